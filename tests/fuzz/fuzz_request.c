/* SPDX-License-Identifier: Apache-2.0
 *
 * Any request, without a socket: "METHOD TARGET" and headers as "Name: value", a line each, an empty line, the body. A head
 * that is accepted has what each rule asks for, seen in another way; a refusal has a status, a sentence, and a body that is
 * JSON; so has one of the API that reads the body.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "server/request_head.h"
#include "tests/api_help.h"
#include "tests/demo_help.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_BYTES 16384
#define MAX_BODY 4096
#define KEY "fuzz-key"

static struct ox_api_context context;

/* Cut the next line off *left and end it with a NUL. */
static char *next_line(char **left)
{
    char *line = *left;
    char *end = strchr(line, '\n');
    if (end == NULL) {
        *left = line + strlen(line);
    } else {
        *end = '\0';
        *left = end + 1;
    }
    return line;
}

/* Authority and path are parts of the target, one behind the other. */
static void check_target(struct ox_str text, const struct ox_request_target *target)
{
    if (target->authority.ptr == NULL) {
        OX_CHECK(ox_str_equal(target->path, text));
        return;
    }
    const size_t begin = (size_t)(target->authority.ptr - text.ptr);
    OX_CHECK(begin >= 7 && begin + target->authority.len <= text.len);
    OX_CHECK(target->path.len > 0 && target->path.ptr[0] == '/');
    OX_CHECK(begin + target->authority.len == text.len ||
             target->path.ptr == target->authority.ptr + target->authority.len);
}

static void read_head(char **left, struct ox_request_head *head)
{
    const char **const fields[] = {&head->host, &head->origin, &head->authorization, &head->x_api_key,
                                   &head->content_type};
    static const char *const names[] = {"Host: ", "Origin: ", "Authorization: ", "x-api-key: ", "Content-Type: "};
    char *line = next_line(left);
    char *blank = strchr(line, ' ');
    head->method = line;
    struct ox_request_target target;
    const char *text = "";
    if (blank != NULL) {
        *blank = '\0';
        text = blank + 1;
    }
    head->bad_target = !ox_request_target_read(ox_str_c(text), &target);
    check_target(ox_str_c(text), &target);
    head->route = ox_route_find(target.path, true);
    while (*(line = next_line(left)) != '\0') {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (strncmp(line, names[i], strlen(names[i])) == 0) {
                *fields[i] = line + strlen(names[i]);
            }
        }
    }
}

/* What was accepted must have been allowed. */
static void check_accepted(const struct ox_request_head *head, const struct ox_access *access)
{
    if (access->local && head->host != NULL) {
        OX_CHECK(strcasestr(head->host, "localhost") != NULL || strstr(head->host, "127.") == head->host ||
                 strstr(head->host, "[::1]") == head->host);
    }
    OX_CHECK(head->origin == NULL || strchr(head->origin, ':') != NULL);
    if (strcmp(head->method, "OPTIONS") == 0) {
        return;
    }
    OX_CHECK(head->route != NULL && ox_route_takes(head->route, head->method));
    OX_CHECK(!head->route->posts || strcasestr(head->content_type, "json") != NULL);
    OX_CHECK(head->n_body <= MAX_BODY);
    const bool keyed = (head->authorization != NULL && strstr(head->authorization, KEY) != NULL) ||
                       (head->x_api_key != NULL && strstr(head->x_api_key, KEY) != NULL);
    OX_CHECK(access->n_keys == 0 || head->route->open || keyed);
}

static void check_refused(const struct ox_route *route, const struct ox_api_error *error)
{
    struct ox_buf out = {0};
    OX_CHECK(error->http_status >= 400 && error->http_status < 600 && error->type != NULL && error->message[0] != '\0');
    ox_request_add_error(route != NULL ? route->api : NULL, error, &out);
    json_t *tree = api_tree(ox_buf_str(&out));
    OX_CHECK(json_is_object(tree) && json_is_string(api_at(tree, "error.message")));
    json_decref(tree);
    ox_buf_fini(&out);
}

static void read_body(const struct ox_route *route, struct ox_str text)
{
    struct ox_ask ask = {.kind = route->ask};
    struct ox_api_error error = {0};
    json_t *body = api_tree(text);
    if (body != NULL) {
        if (route->api->read(&context, body, &ask, &error)) {
            OX_CHECK(ask.kind == OX_ASK_COUNT || (ask.n_choices >= 1 && ask.n_choices <= context.max_choices));
            OX_CHECK((ask.conversation != NULL) != (ask.ids != NULL));
        } else {
            check_refused(route, &error);
        }
    }
    ox_ask_fini(&ask);
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[MAX_BYTES + 1];
    if (context.engine == NULL) {
        context = api_context(demo_open(tap_file("demo"), 1));
    }
    if (size > MAX_BYTES) {
        return 0;
    }
    for (unsigned kind = 0; kind < 4; kind++) { /* with and without keys, for this machine and for all */
        struct ox_access access = {.local = (kind & 1) != 0, .cors_origin = "https://pages.example"};
        struct ox_request_head head = {0};
        struct ox_api_error error = {0};
        char *left = text;
        if ((kind & 2) != 0) {
            OX_CHECK(ox_access_read_keys(&access, ox_str_c(KEY "\n"), "keys", NULL) == OX_OK);
        }
        if (size > 0) {
            memcpy(text, data, size);
        }
        text[size] = '\0';
        read_head(&left, &head);
        const size_t begin = (size_t)(left - text);
        head.n_body = size - (begin < size ? begin : size);
        if (ox_request_head_ok(&head, &access, MAX_BODY, &error)) {
            check_accepted(&head, &access);
            if (kind == 0 && head.route != NULL && head.route->api != NULL) {
                read_body(head.route, ox_str_make(left, (size_t)head.n_body));
            }
        } else {
            check_refused(head.route, &error);
        }
        ox_access_fini(&access);
    }
    return 0;
}
