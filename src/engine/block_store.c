/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table of blocks with chains, and a list of them in the order of last use.
 */
#include "engine/block_store.h"

#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "base/rng.h"

/* Rows of the table at first; always a power of two. */
#define FEWEST_ROWS 64

struct ox_block_store {
    struct ox_kv_pool *pool;
    size_t block; /* tokens */
    struct ox_hash root;
    struct ox_block **table; /* [n_rows] */
    size_t n_rows;
    size_t n_blocks;
    struct ox_block *newest;
    struct ox_block *oldest;
    size_t n_in_memory;
};

enum ox_status ox_block_store_open(struct ox_kv_pool *pool, struct ox_block_store **out, struct ox_error *err)
{
    struct ox_block_store *store = ox_calloc(1, sizeof *store);
    if (store == NULL) {
        return ox_error_nomem(err, sizeof *store);
    }
    store->pool = pool;
    store->block = ox_kv_pool_layout(pool)->block;
    store->n_rows = FEWEST_ROWS;
    store->table = ox_calloc(store->n_rows, sizeof(struct ox_block *));
    enum ox_status status = OX_OK;
    if (store->table == NULL) {
        status = ox_error_nomem(err, store->n_rows * sizeof(struct ox_block *));
    } else if (ox_rng_secret(&store->root, sizeof store->root) != 0) {
        status = ox_error_set(err, OX_E_IO, "the system gives no random key");
    }
    if (status != OX_OK) {
        ox_block_store_close(&store);
        return status;
    }
    *out = store;
    return OX_OK;
}

void ox_block_store_close(struct ox_block_store **store)
{
    struct ox_block_store *s = *store;
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; s->table != NULL && i < s->n_rows; i++) {
        for (struct ox_block *b = s->table[i]; b != NULL;) {
            struct ox_block *next = b->same;
            if (b->in_memory) {
                ox_kv_pool_drop(s->pool, b->memory_id);
            }
            ox_free(b);
            b = next;
        }
    }
    ox_free(s->table);
    ox_free(s);
    *store = NULL;
}

static struct ox_block **row_of(const struct ox_block_store *store, struct ox_hash key)
{
    return &store->table[key.word[0] & (store->n_rows - 1)];
}

static struct ox_hash key_of(const struct ox_block_store *store, const struct ox_block *parent, const uint64_t *words)
{
    return ox_siphash(parent != NULL ? parent->key : store->root, words, store->block * sizeof *words);
}

static struct ox_block *find(const struct ox_block_store *store, struct ox_hash key, const struct ox_block *parent,
                             const uint64_t *words)
{
    struct ox_block *b = *row_of(store, key);
    while (b != NULL && !(ox_hash_equal(b->key, key) && b->parent == parent &&
                          memcmp(b->words, words, store->block * sizeof *words) == 0)) {
        b = b->same;
    }
    return b;
}

struct ox_block *ox_block_store_find(const struct ox_block_store *store, const struct ox_block *parent,
                                     const uint64_t *words)
{
    return find(store, key_of(store, parent, words), parent, words);
}

/* ---- order of use ---------------------------------------------------------------------------------------------- */

static void unlink_use(struct ox_block_store *store, struct ox_block *b)
{
    *(b->newer != NULL ? &b->newer->older : &store->newest) = b->older;
    *(b->older != NULL ? &b->older->newer : &store->oldest) = b->newer;
    b->newer = NULL;
    b->older = NULL;
}

static void link_newest(struct ox_block_store *store, struct ox_block *b)
{
    b->older = store->newest;
    *(store->newest != NULL ? &store->newest->newer : &store->oldest) = b;
    store->newest = b;
}

/* A block is put in before its parent, so that what is forgotten first are ends, not beginnings. */
void ox_block_store_touch(struct ox_block_store *store, struct ox_block *block)
{
    for (struct ox_block *b = block; b != NULL; b = b->parent) {
        if (b->in_memory) {
            unlink_use(store, b);
            link_newest(store, b);
        }
    }
}

/* ---- keeping and forgetting ------------------------------------------------------------------------------------ */

/* Twice as many rows; without memory for them the chains grow longer instead. */
static void widen(struct ox_block_store *store)
{
    const size_t n_old = store->n_rows;
    struct ox_block **old = store->table;
    struct ox_block **wide = ox_calloc(n_old, 2 * sizeof(struct ox_block *));
    if (wide == NULL) {
        return;
    }
    store->table = wide;
    store->n_rows = 2 * n_old;
    for (size_t i = 0; i < n_old; i++) {
        for (struct ox_block *b = old[i]; b != NULL;) {
            struct ox_block *next = b->same;
            struct ox_block **row = row_of(store, b->key);
            b->same = *row;
            *row = b;
            b = next;
        }
    }
    ox_free(old);
}

static struct ox_block *new_block(struct ox_block_store *store, struct ox_hash key, struct ox_block *parent,
                                  const uint64_t *words)
{
    struct ox_block *b = ox_calloc(1, sizeof *b + store->block * sizeof *words);
    if (b == NULL) {
        return NULL;
    }
    if (store->n_blocks >= store->n_rows) {
        widen(store);
    }
    b->parent = parent;
    b->key = key;
    memcpy(b->words, words, store->block * sizeof *words);
    struct ox_block **row = row_of(store, key);
    b->same = *row;
    *row = b;
    store->n_blocks++;
    if (parent != NULL) {
        parent->n_children++;
    }
    return b;
}

static void forget(struct ox_block_store *store, struct ox_block *b)
{
    struct ox_block **at = row_of(store, b->key);
    while (*at != b) {
        at = &(*at)->same;
    }
    *at = b->same;
    store->n_blocks--;
    if (b->parent != NULL) {
        b->parent->n_children--;
    }
    ox_free(b);
}

struct ox_block *ox_block_store_add(struct ox_block_store *store, struct ox_block *parent, const uint64_t *words,
                                    uint32_t memory_id)
{
    const struct ox_hash key = key_of(store, parent, words);
    struct ox_block *b = find(store, key, parent, words);
    if (b == NULL) {
        b = new_block(store, key, parent, words);
    }
    if (b != NULL && !b->in_memory) {
        ox_kv_pool_hold(store->pool, memory_id);
        b->memory_id = memory_id;
        b->in_memory = true;
        store->n_in_memory++;
        link_newest(store, b);
    }
    return b;
}

static bool is_unused(const struct ox_block_store *store, const struct ox_block *b)
{
    return b->n_children == 0 && ox_kv_pool_n_references(store->pool, b->memory_id) == 1;
}

bool ox_block_store_evict(struct ox_block_store *store)
{
    struct ox_block *b = store->oldest;
    while (b != NULL && !is_unused(store, b)) {
        b = b->newer;
    }
    if (b == NULL) {
        return false;
    }
    unlink_use(store, b);
    ox_kv_pool_drop(store->pool, b->memory_id);
    b->in_memory = false;
    store->n_in_memory--;
    forget(store, b);
    return true;
}

size_t ox_block_store_n_blocks(const struct ox_block_store *store)
{
    return store->n_in_memory;
}

size_t ox_block_store_n_unused(const struct ox_block_store *store)
{
    size_t n = 0;
    for (const struct ox_block *b = store->oldest; b != NULL; b = b->newer) {
        n += ox_kv_pool_n_references(store->pool, b->memory_id) == 1 ? 1 : 0;
    }
    return n;
}
