/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing list of token ids.
 */
#include "base/mem.h"
#include "text/tokenizer.h"

void ox_ids_init(struct ox_ids *ids)
{
    ids->ptr = NULL;
    ids->len = 0;
    ids->cap = 0;
}

void ox_ids_fini(struct ox_ids *ids)
{
    ox_free(ids->ptr);
    ox_ids_init(ids);
}

int ox_ids_add(struct ox_ids *ids, int32_t id)
{
    if (ids->len == ids->cap) {
        void *p = ids->ptr;
        if (ids->len == SIZE_MAX || ox_grow(&p, &ids->cap, ids->len + 1, sizeof *ids->ptr) != 0) {
            return -1;
        }
        ids->ptr = p;
    }
    ids->ptr[ids->len++] = id;
    return 0;
}
