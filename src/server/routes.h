/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's paths: what each is, which methods it takes, and whether it is open without a key.
 */
#ifndef OX_SERVER_ROUTES_H
#define OX_SERVER_ROUTES_H

#include <stdbool.h>

#include "base/str.h"
#include "server/api.h"

enum ox_route_kind {
    OX_ROUTE_ASK, /* an API: `api` and `ask` say which */
    OX_ROUTE_HEALTH,
    OX_ROUTE_MODELS,
    OX_ROUTE_MODEL, /* the id follows the path */
    OX_ROUTE_METRICS,
    OX_ROUTE_PROPS,
    OX_ROUTE_SLOTS,
    OX_ROUTE_TOKENIZE,
    OX_ROUTE_DETOKENIZE,
    OX_ROUTE_TEMPLATE,
    OX_ROUTE_EMBEDDINGS,
    OX_ROUTE_PAGE /* a file of the chat page */
};

struct ox_route {
    const char *path;
    enum ox_route_kind kind;
    bool posts; /* POST, else GET and HEAD */
    bool open;  /* needs no key */
    const struct ox_api *api;
    enum ox_ask_kind ask;
};

/* The route of a path (without a query), NULL if there is none. with_page: the chat page is served. Any thread. */
const struct ox_route *ox_route_find(struct ox_str path, bool with_page);

/* The API whose form errors have: the route's; where it has none, or there is none for this path, Anthropic's below its
 * own path and for its clients (anthropic: they send the header anthropic-version). NULL: OpenAI's form. Any thread. */
const struct ox_api *ox_route_errors(const struct ox_route *route, struct ox_str path, bool anthropic);

/* The value of Allow. */
const char *ox_route_allow(const struct ox_route *route);

/* Does it take this method (OPTIONS aside)? */
bool ox_route_takes(const struct ox_route *route, const char *method);

#endif
