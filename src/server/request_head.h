/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a request, and whether a request with it is read at all: everything that is decided before its body.
 */
#ifndef OX_SERVER_REQUEST_HEAD_H
#define OX_SERVER_REQUEST_HEAD_H

#include <stdint.h>

#include "server/access.h"
#include "server/routes.h"

/* The length of a body that is not announced: it comes in pieces. */
#define OX_LENGTH_UNKNOWN UINT64_MAX

/* Headers are NULL where there are none. */
struct ox_request_head {
    const char *method;
    const struct ox_route *route; /* NULL: no such path */
    const char *host;
    const char *origin;
    const char *authorization;
    const char *x_api_key;
    const char *content_type;
    bool ambiguous;  /* several lengths of the body, or several Hosts */
    uint64_t n_body; /* announced bytes of the body, or OX_LENGTH_UNKNOWN */
};

/* May this request be answered? In this order: what others between here and the client may read
 * otherwise (400), Host and Origin (403), the key (401), the path (404), the method (405), the
 * Content-Type (415) and the length of the body (413). OPTIONS needs no key: what browsers ask before they send one. False:
 * *error says why. Any thread. */
bool ox_request_head_ok(const struct ox_request_head *head, const struct ox_access *access, size_t max_body,
                        struct ox_api_error *error);

/* The error for a body of more than max_body bytes; returns false. */
bool ox_request_refuse_body(size_t max_body, struct ox_api_error *error);

/* Append an error's body in the form of an API, OpenAI's if that is NULL. */
void ox_request_add_error(const struct ox_api *api, const struct ox_api_error *error, struct ox_buf *out);

#endif
