/* SPDX-License-Identifier: Apache-2.0
 *
 * The block store: full KV blocks by the tokens they were computed from, so that a history that was computed once is
 * found again. A tree: a block's parent is the block before it in its history, so that equal tokens after different
 * histories are different blocks. Found by a hash of the whole history, and then compared, so that collisions cost time
 * and nothing else.
 *
 * What a token is: its id, or, for a placeholder of a picture or clip, a hash of what it stands for.
 * With a folder (block_disk.h), blocks are written to it as they are added, and stay known when their memory is given
 * back; reading them is begun here and takes effect when ox_block_store_collect is called after it. Beginnings are
 * written before what follows them and removed after it, so that what is there makes sense at any moment.
 *
 * One thread at a time, the one that uses the pool.
 */
#ifndef OX_ENGINE_BLOCK_STORE_H
#define OX_ENGINE_BLOCK_STORE_H

#include "engine/block_disk.h"

/* A token for the store: its id, or the 63 low bits of a hash of what it stands for, with a mark that no id has. */
static inline uint64_t ox_block_word(int32_t id)
{
    return (uint64_t)(uint32_t)id;
}

static inline uint64_t ox_block_media_word(uint64_t hash)
{
    return hash | (uint64_t)1 << 63U;
}

struct ox_block_store;

/* Where a block stands with the folder; from OX_BEING_WRITTEN on, it is there or will be. */
enum ox_on_disk { OX_NOT_ON_DISK, OX_TO_WRITE, OX_BEING_WRITTEN, OX_ON_DISK, OX_BEING_READ };

/* One block that the store knows. Owned by the store; stays at least as long as its memory is held by a timeline, as it
 * is on disk, or as it has children. */
struct ox_block {
    struct ox_block *parent; /* NULL: first of its history */
    struct ox_block *same;   /* next of its row in the table */
    struct ox_block *newer;  /* in the order of last use, if in memory */
    struct ox_block *older;
    struct ox_block *disk_newer; /* in the same order, if on disk; or among those to be written */
    struct ox_block *disk_older;
    size_t n_children;
    size_t n_disk_children; /* of them, those on disk or on their way there */
    enum ox_on_disk disk;
    struct ox_hash key; /* of its whole history */
    uint32_t memory_id; /* block of the pool, on which the store has a reference: in memory, or being read */
    bool in_memory;
    uint64_t words[]; /* [block] */
};

/* The pool is borrowed. */
enum ox_status ox_block_store_open(struct ox_kv_pool *pool, struct ox_block_store **out,
                                   struct ox_error *err) OX_MUST_USE;
/* Gives all blocks back to the pool. */
void ox_block_store_close(struct ox_block_store **store);

/* What all keys begin with: a secret, which a folder keeps. Fixed once the folder is there. */
struct ox_hash ox_block_store_root(const struct ox_block_store *store);

/* The block of these words [block] after parent (NULL: at the beginning), or NULL. */
struct ox_block *ox_block_store_find(const struct ox_block_store *store, const struct ox_block *parent,
                                     const uint64_t *words);

/* Keep block memory_id of the pool as the one of words after parent; the store takes a reference. If it is known
 * already, the one that is there is returned, with its own memory (compare memory_id). NULL if there is no memory for
 * the entry, or if the block is being read: nothing is kept then. It counts as just used. */
struct ox_block *ox_block_store_add(struct ox_block_store *store, struct ox_block *parent, const uint64_t *words,
                                    uint32_t memory_id);

/* It, and the blocks before it, were used just now. block may be NULL. */
void ox_block_store_touch(struct ox_block_store *store, struct ox_block *block);

/* Give back to the pool the least recently used block that nobody else holds; false if there is none. */
bool ox_block_store_evict(struct ox_block_store *store);

/* Blocks of the pool that the store holds, and those of them that nobody else does. */
size_t ox_block_store_n_blocks(const struct ox_block_store *store);
size_t ox_block_store_n_unused(const struct ox_block_store *store);

/* ---- the folder ------------------------------------------------------------------------------------------------ */

struct ox_store_stats {
    uint64_t disk_bytes;
    uint64_t disk_limit_bytes;
    uint64_t n_read;
    uint64_t n_written;
    uint64_t n_bad;     /* could not be read, or were not what they should be */
    uint64_t n_dropped; /* lost their memory before they were written, or could not be written */
};

/* Keep blocks also in disk, which is taken (and set to NULL); an empty store only. At most limit_bytes are used; 0: a
 * fifth of what is free there or used by it already. What the folder holds is known from now on; files that no history
 * leads to are removed. */
enum ox_status ox_block_store_use_disk(struct ox_block_store *store, struct ox_block_disk **disk, uint64_t limit_bytes,
                                       struct ox_error *err) OX_MUST_USE;
/* NULL: none is used. */
struct ox_block_disk *ox_block_store_disk(const struct ox_block_store *store);

/* Begin to read a block that is on disk and not in memory into a block of the pool. False if the pool has none that is
 * free or can be given back. */
bool ox_block_store_read(struct ox_block_store *store, struct ox_block *block);

/* Take note of what the disk has done, and give it more to do; all: everything that is to be written, else as much as
 * may hold memory for that. Returns whether anything was done. */
bool ox_block_store_collect(struct ox_block_store *store, bool all);

void ox_block_store_stats(const struct ox_block_store *store, struct ox_store_stats *stats);

#endif
