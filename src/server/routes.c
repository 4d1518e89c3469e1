/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of paths.
 */
#include "server/routes.h"

#include "server/page.h"

static const struct ox_route routes[] = {
    {"/v1/chat/completions", OX_ROUTE_ASK, true, false, &ox_api_chat, OX_ASK_ANSWER},
    {"/v1/completions", OX_ROUTE_ASK, true, false, &ox_api_completions, OX_ASK_ANSWER},
    {"/v1/messages", OX_ROUTE_ASK, true, false, &ox_api_messages, OX_ASK_ANSWER},
    {"/v1/messages/count_tokens", OX_ROUTE_ASK, true, false, &ox_api_messages, OX_ASK_COUNT},
    {"/v1/responses", OX_ROUTE_ASK, true, false, &ox_api_responses, OX_ASK_ANSWER},
    {"/v1/responses/input_tokens", OX_ROUTE_ASK, true, false, &ox_api_responses, OX_ASK_COUNT},
    {"/v1/embeddings", OX_ROUTE_EMBEDDINGS, true, false, NULL, OX_ASK_ANSWER},
    {"/v1/models", OX_ROUTE_MODELS, false, false, NULL, OX_ASK_ANSWER},
    {"/health", OX_ROUTE_HEALTH, false, true, NULL, OX_ASK_ANSWER},
    {"/metrics", OX_ROUTE_METRICS, false, false, NULL, OX_ASK_ANSWER},
    {"/props", OX_ROUTE_PROPS, false, false, NULL, OX_ASK_ANSWER},
    {"/slots", OX_ROUTE_SLOTS, false, false, NULL, OX_ASK_ANSWER},
    {"/tokenize", OX_ROUTE_TOKENIZE, true, false, NULL, OX_ASK_ANSWER},
    {"/detokenize", OX_ROUTE_DETOKENIZE, true, false, NULL, OX_ASK_ANSWER},
    {"/apply-template", OX_ROUTE_TEMPLATE, true, false, NULL, OX_ASK_ANSWER},
};

static const struct ox_route model = {"/v1/models/", OX_ROUTE_MODEL, false, false, NULL, OX_ASK_ANSWER};
static const struct ox_route page = {"/", OX_ROUTE_PAGE, false, true, NULL, OX_ASK_ANSWER};

const struct ox_route *ox_route_find(struct ox_str path, bool with_page)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (ox_str_is(path, routes[i].path)) {
            return &routes[i];
        }
    }
    const struct ox_str models = ox_str_c(model.path);
    if (path.len > models.len && ox_str_starts(path, models)) {
        return &model;
    }
    return with_page && ox_page_find(path) != NULL ? &page : NULL;
}

const struct ox_api *ox_route_errors(const struct ox_route *route, struct ox_str path, bool anthropic)
{
    if (route != NULL && route->api != NULL) {
        return route->api;
    }
    return anthropic || ox_str_starts(path, ox_str_c("/v1/messages/")) ? &ox_api_messages : NULL;
}

const char *ox_route_allow(const struct ox_route *route)
{
    return route->posts ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
}

bool ox_route_takes(const struct ox_route *route, const char *method)
{
    const struct ox_str given = ox_str_c(method);
    return route->posts ? ox_str_is(given, "POST") : ox_str_is(given, "GET") || ox_str_is(given, "HEAD");
}
