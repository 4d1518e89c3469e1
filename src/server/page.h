/* SPDX-License-Identifier: Apache-2.0
 *
 * The chat page: the files of src/server/page/, as they are. It is static, asks for nothing outside its own origin, and
 * uses the public API only.
 */
#ifndef OX_SERVER_PAGE_H
#define OX_SERVER_PAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* The Content-Security-Policy that the page needs and is to be served with: scripts, styles and requests of its own
 * origin; pictures and clips also from memory (data: and blob:). Nothing inline. */
#define OX_PAGE_POLICY                                                                                                 \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src data: blob:; "     \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* One file. */
struct ox_page_asset {
    const char *path; /* of the request: "/", "/page.css" */
    const char *content_type;
    const uint8_t *bytes; /* [n_bytes] */
    size_t n_bytes;
    const char *etag; /* with its quotes; another one when the bytes are others */
};

extern const struct ox_page_asset ox_page_assets[];
extern const size_t ox_page_n_assets;

/* The file at path (without a query), NULL if there is none. Any thread. */
const struct ox_page_asset *ox_page_find(struct ox_str path);

#endif
