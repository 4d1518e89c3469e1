/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of the added tokens as a tree of bytes: which of them begins here, the longest that fits?
 */
#ifndef OX_TEXT_ADDED_H
#define OX_TEXT_ADDED_H

#include "base/str.h"

/* The longest text of an added token: what one byte of a prompt can cost. */
#define OX_ADDED_BYTES_MAX 1024

struct ox_added_node;

/* All zero is empty and can be released; read-only once all are added. */
struct ox_added {
    struct ox_added_node *nodes;
    size_t n_nodes;
    size_t nodes_cap;
    uint32_t first[256]; /* node of a text's first byte; 0 if no text begins with it */
};

void ox_added_fini(struct ox_added *added);

/* Add a text (1 to OX_ADDED_BYTES_MAX bytes) that is not there yet. 0, or -1 when out of memory. */
int ox_added_put(struct ox_added *added, struct ox_str text, int32_t id) OX_MUST_USE;

/* The id whose text is exactly this, or -1. Any thread. */
int32_t ox_added_find(const struct ox_added *added, struct ox_str text);

/* The id of the longest text that `text` begins with and its length in *len; -1 if there is none. Any thread. */
int32_t ox_added_match(const struct ox_added *added, struct ox_str text, size_t *len);

#endif
