/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of requests: what is refused, with which status, and what is looked at first.
 */
#include "server/request_head.h"

#include "base/json.h"
#include "tests/tap.h"

#define MAX_BODY 100

/* The status that a head gets; 0 if it may be answered. */
static int status_of(const struct ox_request_head *head, const struct ox_access *access)
{
    struct ox_api_error error = {0};
    const bool ok = ox_request_head_ok(head, access, MAX_BODY, &error);
    return ok ? 0 : error.http_status;
}

/* Everything wrong at once: mended one by one, each fault is told in its turn. */
static void test_order(const struct ox_access *access)
{
    struct ox_request_head head = {.method = "GET", .host = "evil.example", .origin = "http://evil.example",
                                   .content_type = "text/plain", .bad_target = true, .no_host = true, .ambiguous = true,
                                   .n_body = MAX_BODY + 1};
    IS_INT(status_of(&head, access), 400, "two meanings");
    head.ambiguous = false;
    IS_INT(status_of(&head, access), 400, "no Host");
    head.no_host = false;
    IS_INT(status_of(&head, access), 400, "no target");
    head.bad_target = false;
    IS_INT(status_of(&head, access), 403, "Host");
    head.host = "localhost";
    IS_INT(status_of(&head, access), 403, "Origin");
    head.origin = "http://localhost";
    IS_INT(status_of(&head, access), 401, "the key");
    head.x_api_key = "key";
    IS_INT(status_of(&head, access), 404, "the path");
    head.route = ox_route_find(ox_str_c("/tokenize"), true);
    IS_INT(status_of(&head, access), 405, "the method");
    head.method = "POST";
    IS_INT(status_of(&head, access), 415, "the Content-Type");
    head.content_type = "application/json";
    IS_INT(status_of(&head, access), 413, "the length");
    head.n_body = MAX_BODY;
    IS_INT(status_of(&head, access), 0, "nothing is left");
    head.n_body = OX_LENGTH_UNKNOWN;
    IS_INT(status_of(&head, access), 0, "a length that is not announced is counted later");
}

static void test_open(const struct ox_access *access)
{
    struct ox_request_head head = {.method = "OPTIONS", .host = "localhost"};
    IS_INT(status_of(&head, access), 0, "OPTIONS needs no key and no path");
    head.origin = "http://evil.example";
    IS_INT(status_of(&head, access), 403, "but its Origin counts");
    head = (struct ox_request_head){.method = "GET", .route = ox_route_find(ox_str_c("/health"), true)};
    IS_INT(status_of(&head, access), 0, "/health needs no key");
    head.route = ox_route_find(ox_str_c("/metrics"), true);
    IS_INT(status_of(&head, access), 401, "/metrics does");
}

static void test_errors(void)
{
    static const char *const paths[] = {"/tokenize", "/v1/chat/completions", "/v1/messages", "/v1/responses"};
    struct ox_api_error error;
    OK(!ox_request_refuse_body(MAX_BODY, &error) && error.http_status == 413 &&
           strstr(error.message, "100 bytes (--max-body)") != NULL, "a large body: %s", error.message);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct ox_buf out = {0};
        json_t *tree = NULL;
        ox_request_add_error(ox_route_find(ox_str_c(paths[i]), true)->api, &error, &out);
        OK(ox_json_parse(ox_buf_str(&out), "error", &tree, NULL) == OX_OK &&
               json_is_string(json_object_get(json_object_get(tree, "error"), "message")),
           "as JSON: %s", ox_buf_text(&out));
        /* Anthropic's errors have a type of their own at the top. */
        const bool anthropic = strcmp(paths[i], "/v1/messages") == 0;
        OK(anthropic == json_is_string(json_object_get(tree, "type")), "in the API's form");
        json_decref(tree);
        ox_buf_fini(&out);
    }
}

static void test_target(void)
{
    static const struct {
        const char *text;
        const char *authority; /* NULL: none */
        const char *path;
        bool good;
    } cases[] = {
        {"/health", NULL, "/health", true},
        {"", NULL, "", true},
        {"*", NULL, "*", true},
        {"//evil.example/x", NULL, "//evil.example/x", true},
        {"http:/x", NULL, "http:/x", true},
        {"ftp://host/x", NULL, "ftp://host/x", true},
        {"http://localhost/health", "localhost", "/health", true},
        {"HTTPS://[::1]:80/a/b", "[::1]:80", "/a/b", true},
        {"http://localhost:8080", "localhost:8080", "/", true},
        {"http://localhost/", "localhost", "/", true},
        {"http:///x", "", "/x", false},
        {"http://", "", "/", false},
        {"http://me@localhost/x", "me@localhost", "/x", false},
        {"http://evil.example/@", "evil.example", "/@", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ox_request_target target;
        const bool good = ox_request_target_read(ox_str_c(cases[i].text), &target);
        const bool host = cases[i].authority == NULL ? target.authority.ptr == NULL
                                                     : ox_str_is(target.authority, cases[i].authority);
        OK(good == cases[i].good && host && ox_str_is(target.path, cases[i].path), "'%s': '%.*s' and '%.*s'", cases[i].text,
           (int)target.authority.len, target.authority.ptr, (int)target.path.len, target.path.ptr);
    }
}

int main(void)
{
    struct ox_access access = {.local = true};
    OK(ox_access_read_keys(&access, ox_str_c("key"), "keys", NULL) == OX_OK, "a key");
    test_order(&access);
    test_open(&access);
    test_errors();
    test_target();
    ox_access_fini(&access);
    return tap_done();
}
