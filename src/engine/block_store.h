/* SPDX-License-Identifier: Apache-2.0
 *
 * The block store: full KV blocks by the tokens they were computed from, so that a history that was computed once is
 * found again. A tree: a block's parent is the block before it in its history, so that equal tokens after different
 * histories are different blocks. Found by a hash of the whole history, and then compared, so that collisions cost time
 * and nothing else.
 *
 * What a token is: its id, or, for a placeholder of a picture or clip, a hash of what it stands for (ox_block_word).
 * One thread at a time, the one that uses the pool.
 */
#ifndef OX_ENGINE_BLOCK_STORE_H
#define OX_ENGINE_BLOCK_STORE_H

#include "base/hash.h"
#include "model/cache.h"

/* A token for the store: id, or (if salt is not 0) the 63 low bits of salt with a mark that no id has. */
static inline uint64_t ox_block_word(int32_t id, uint64_t salt)
{
    return salt != 0 ? salt | (uint64_t)1 << 63U : (uint64_t)(uint32_t)id;
}

struct ox_block_store;

/* One block that the store knows. Owned by the store; stays as long as it is in memory and held by a timeline, or has
 * children. */
struct ox_block {
    struct ox_block *parent; /* NULL: first of its history */
    struct ox_block *same;   /* next of its row in the table */
    struct ox_block *newer;  /* in the order of last use */
    struct ox_block *older;
    size_t n_children;
    struct ox_hash key;      /* of its whole history */
    uint32_t memory_id;      /* block of the pool, on which the store has a reference */
    bool in_memory;
    uint64_t words[];        /* [block] */
};

/* The pool is borrowed. */
enum ox_status ox_block_store_open(struct ox_kv_pool *pool, struct ox_block_store **out, struct ox_error *err)
    OX_MUST_USE;
/* Gives all blocks back to the pool. */
void ox_block_store_close(struct ox_block_store **store);

/* The block of these words [block] after parent (NULL: at the beginning), or NULL. */
struct ox_block *ox_block_store_find(const struct ox_block_store *store, const struct ox_block *parent,
                                     const uint64_t *words);

/* Keep block memory_id of the pool as the one of words after parent; the store takes a reference. If it is known
 * already, the one that is there is returned, with its own memory (compare memory_id). NULL if there is no memory for
 * the entry: nothing is kept then. It counts as just used. */
struct ox_block *ox_block_store_add(struct ox_block_store *store, struct ox_block *parent, const uint64_t *words,
                                    uint32_t memory_id);

/* It, and the blocks before it, were used just now. block may be NULL. */
void ox_block_store_touch(struct ox_block_store *store, struct ox_block *block);

/* Give back to the pool the least recently used block that nobody else holds; false if there is none. */
bool ox_block_store_evict(struct ox_block_store *store);

/* Blocks of the pool that the store holds, and those of them that nobody else does. */
size_t ox_block_store_n_blocks(const struct ox_block_store *store);
size_t ox_block_store_n_unused(const struct ox_block_store *store);

#endif
