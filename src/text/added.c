/* SPDX-License-Identifier: Apache-2.0
 *
 * A tree of bytes whose siblings are linked lists, entered through a table of first bytes.
 */
#include "text/added.h"

#include "base/mem.h"

struct ox_added_node {
    uint32_t child; /* 0: none; node 0 is never used */
    uint32_t sibling;
    int32_t id; /* of the text that ends here, -1 if none */
    unsigned char byte;
};

void ox_added_fini(struct ox_added *added)
{
    ox_free(added->nodes);
    memset(added, 0, sizeof *added);
}

/* A node of the list that begins with `node`, or 0. */
static uint32_t among(const struct ox_added *added, uint32_t node, unsigned char byte)
{
    while (node != 0 && added->nodes[node].byte != byte) {
        node = added->nodes[node].sibling;
    }
    return node;
}

int ox_added_put(struct ox_added *added, struct ox_str text, int32_t id)
{
    OX_CHECK(text.len > 0 && text.len <= OX_ADDED_BYTES_MAX);
    void *p = added->nodes;
    if (added->n_nodes > UINT32_MAX - OX_ADDED_BYTES_MAX - 1 ||
        ox_grow(&p, &added->nodes_cap, added->n_nodes + text.len + 1, sizeof *added->nodes) != 0) {
        return -1;
    }
    added->nodes = p;
    added->n_nodes = added->n_nodes > 0 ? added->n_nodes : 1;
    uint32_t *list = &added->first[(unsigned char)text.ptr[0]];
    uint32_t node = 0;
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char byte = (unsigned char)text.ptr[i];
        node = among(added, *list, byte);
        if (node == 0) {
            node = (uint32_t)added->n_nodes++;
            added->nodes[node] = (struct ox_added_node){0, *list, -1, byte};
            *list = node;
        }
        list = &added->nodes[node].child;
    }
    added->nodes[node].id = id;
    return 0;
}

int32_t ox_added_match(const struct ox_added *added, struct ox_str text, size_t *len)
{
    int32_t id = -1;
    uint32_t node = text.len > 0 ? added->first[(unsigned char)text.ptr[0]] : 0;
    for (size_t i = 0; i < text.len; i++) {
        node = among(added, node, (unsigned char)text.ptr[i]);
        if (node == 0) {
            break;
        }
        if (added->nodes[node].id >= 0) {
            id = added->nodes[node].id;
            *len = i + 1;
        }
        node = added->nodes[node].child;
    }
    return id;
}

int32_t ox_added_find(const struct ox_added *added, struct ox_str text)
{
    size_t len = 0;
    const int32_t id = ox_added_match(added, text, &len);
    return id >= 0 && len == text.len ? id : -1;
}
