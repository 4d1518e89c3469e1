/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths, methods, and what is open without a key.
 */
#include "server/routes.h"

#include "tests/tap.h"

static const struct ox_route *find(const char *path)
{
    return ox_route_find(ox_str_c(path), true);
}

static void test_apis(void)
{
    static const struct {
        const char *path;
        const struct ox_api *api;
        enum ox_ask_kind ask;
    } rows[] = {
        {"/v1/chat/completions", &ox_api_chat, OX_ASK_ANSWER},
        {"/v1/messages", &ox_api_messages, OX_ASK_ANSWER},
        {"/v1/messages/count_tokens", &ox_api_messages, OX_ASK_COUNT},
        {"/v1/responses", &ox_api_responses, OX_ASK_ANSWER},
        {"/v1/responses/input_tokens", &ox_api_responses, OX_ASK_COUNT},
        {"/v1/completions", &ox_api_completions, OX_ASK_ANSWER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct ox_route *route = find(rows[i].path);
        OK(route != NULL && route->kind == OX_ROUTE_ASK && route->api == rows[i].api && route->ask == rows[i].ask,
           "%s is its API's", rows[i].path);
        OK(route != NULL && ox_route_takes(route, "POST") && !ox_route_takes(route, "GET") &&
               !ox_route_takes(route, "post"), "and takes POST");
    }
}

static void test_errors(void)
{
    static const struct {
        const char *path;
        bool anthropic;
        const struct ox_api *api;
    } rows[] = {
        {"/v1/messages", false, &ox_api_messages},      {"/v1/messages/batches", false, &ox_api_messages},
        {"/v1/chat/completions", true, &ox_api_chat},   {"/v1/messagesx", false, NULL},
        {"/v1/models", false, NULL},                    {"/v1/models", true, &ox_api_messages},
        {"/v1/complete", true, &ox_api_messages},       {"/v1/complete", false, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct ox_str path = ox_str_c(rows[i].path);
        OK(ox_route_errors(ox_route_find(path, true), path, rows[i].anthropic) == rows[i].api, "errors of %s, %d",
           rows[i].path, rows[i].anthropic);
    }
}

static void test_open(void)
{
    static const char *const guarded[] = {"/v1/responses", "/v1/responses/input_tokens",
                                          "/v1/completions", "/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/v1/models/x", "/metrics", "/props", "/slots",
                                          "/tokenize", "/detokenize", "/apply-template", "/v1/embeddings"};
    for (size_t i = 0; i < sizeof guarded / sizeof guarded[0]; i++) {
        const struct ox_route *route = find(guarded[i]);
        OK(route != NULL && !route->open, "%s needs a key", guarded[i]);
    }
    OK(find("/health")->open && find("/")->open, "/health and the page do not");
    OK(ox_route_find(ox_str_c("/"), false) == NULL, "--no-ui: no page");
    OK(ox_route_find(ox_str_c("/health"), false) != NULL, "but all else");
}

static void test_paths(void)
{
    static const char *const none[] = {"",          "/v1",       "/v1/models/", "/health/", "/Health",      "//health",
                                       "/healthz",  "/v1/model", "/index.html", "health",   "/page_assets.c", "/../health"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        OK(find(none[i]) == NULL, "'%s' is no path", none[i]);
    }
    OK(find("/v1/models/org/name")->kind == OX_ROUTE_MODEL, "ids may hold slashes");
    OK(ox_route_takes(find("/slots"), "HEAD") && ox_route_takes(find("/slots"), "GET") &&
           !ox_route_takes(find("/slots"), "POST"), "GET and HEAD");
    IS_STR(ox_route_allow(find("/slots")), "GET, HEAD, OPTIONS", "Allow of a GET");
    IS_STR(ox_route_allow(find("/tokenize")), "POST, OPTIONS", "Allow of a POST");
}

int main(void)
{
    test_apis();
    test_errors();
    test_open();
    test_paths();
    return tap_done();
}
