/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may ask: API keys, and the Host and Origin headers by which web pages of strangers betray themselves. No socket
 * here; every function takes header values as they came, NULL where there was none.
 */
#ifndef OX_SERVER_ACCESS_H
#define OX_SERVER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/str.h"

/* All zero asks for no key, knows no other origin and takes every Host. */
struct ox_access {
    struct ox_access_key *keys; /* [n_keys], owned */
    size_t n_keys;
    bool local;              /* the server is bound to a loopback address: Host must name this machine */
    bool tls;                /* own origins begin with https:// */
    const char *cors_origin; /* the one other origin whose pages may ask; NULL: none. Borrowed */
};

/* Read keys, one a line; blanks around them, empty lines and lines that begin with # do not count. `what` names the file
 * in errors. OX_E_FORMAT: a key with other than printable ASCII characters, of more than 1,024, or no key at all. The
 * caller wipes text. */
enum ox_status ox_access_read_keys(struct ox_access *access, struct ox_str text, const char *what,
                                   struct ox_error *err) OX_MUST_USE;

/* Wipe and free the keys. */
void ox_access_fini(struct ox_access *access);

/* Is there no key, or is one in `Authorization: Bearer KEY` or `x-api-key: KEY`? The time depends on the length of what
 * came, not on the keys. */
bool ox_access_key_ok(const struct ox_access *access, const char *authorization, const char *x_api_key);

/* May a request with this Host be answered? A local server answers to localhost, names below it, 127.x.x.x and [::1], with
 * any port: a page whose name was made to point here (DNS rebinding) brings its own. */
bool ox_access_host_ok(const struct ox_access *access, const char *host);

/* May a page of this Origin ask? No header, the server's own origin (host: the Host header), or cors_origin. */
bool ox_access_origin_ok(const struct ox_access *access, const char *origin, const char *host);

/* Is it the origin of --cors-origin, which must be told that it may? */
bool ox_access_origin_is_cors(const struct ox_access *access, const char *origin);

/* Is a Content-Type JSON: application/json, whatever parameters follow? */
bool ox_access_is_json(const char *content_type);

#endif
