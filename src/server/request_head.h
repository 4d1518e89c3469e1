/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a request, and whether a request with it is read at all: everything that is decided before its body.
 */
#ifndef OX_SERVER_REQUEST_HEAD_H
#define OX_SERVER_REQUEST_HEAD_H

#include <stdint.h>

#include "base/str.h"
#include "server/access.h"
#include "server/routes.h"

/* The length of a body that is not announced: it comes in pieces. */
#define OX_LENGTH_UNKNOWN UINT64_MAX

/* What a request line asks for, in the text that it was read from. */
struct ox_request_target {
    struct ox_str authority; /* HOST or HOST:PORT of an absolute target; ptr NULL: there is none, the Host header counts */
    struct ox_str path;      /* without a query */
};

/* Read PATH, http://HOST/PATH or https://HOST/PATH (as proxies get them; the path may be missing) without a query. False: an
 * absolute one without a host, or with a user. Any thread. SOURCE: RFC 9112, 3.2. */
bool ox_request_target_read(struct ox_str text, struct ox_request_target *out) OX_MUST_USE;

/* Headers are NULL where there are none. */
struct ox_request_head {
    const char *method;
    const struct ox_route *route; /* NULL: no such path */
    const char *host; /* the target's, or else the header */
    const char *origin;
    const char *authorization;
    const char *x_api_key;
    const char *content_type;
    bool bad_target; /* ox_request_target_read */
    bool no_host;    /* HTTP/1.1 without a Host header */
    bool ambiguous;  /* several lengths of the body, or several Hosts */
    uint64_t n_body; /* announced bytes of the body, or OX_LENGTH_UNKNOWN */
};

/* May this request be answered? In this order: what is no HTTP, or what others between here and the client may read
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
