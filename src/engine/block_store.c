/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table of blocks with chains, and lists of them in the order of last use: those in memory, those on disk, those
 * still to be written.
 */
#include "engine/block_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "base/rng.h"

/* Rows of the table at first; always a power of two. */
#define FEWEST_ROWS 64

struct ox_block_store {
    struct ox_kv_pool *pool;
    size_t block; /* tokens */
    size_t pool_blocks;
    struct ox_hash root;
    struct ox_block **table; /* [n_rows] */
    size_t n_rows;
    size_t n_blocks;
    struct ox_block *newest; /* in memory */
    struct ox_block *oldest;
    size_t n_in_memory;
    struct ox_block_disk *disk; /* NULL: none */
    struct ox_block *disk_newest;
    struct ox_block *disk_oldest;
    struct ox_block *write_last; /* to be written, the first one first */
    struct ox_block *write_first;
    size_t n_writing;
    size_t most_writing;
    struct ox_disk_file *foreign; /* [n_foreign] files of others, the oldest last */
    size_t n_foreign;
    struct ox_store_stats stats;
};

enum ox_status ox_block_store_open(struct ox_kv_pool *pool, struct ox_block_store **out, struct ox_error *err)
{
    struct ox_block_store *store = ox_calloc(1, sizeof *store);
    if (store == NULL) {
        return ox_error_nomem(err, sizeof *store);
    }
    store->pool = pool;
    store->block = ox_kv_pool_layout(pool)->block;
    store->pool_blocks = ox_kv_pool_n_free(pool);
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
            if (b->in_memory || b->disk == OX_BEING_READ) {
                ox_kv_pool_drop(s->pool, b->memory_id);
            }
            if (b->disk == OX_BEING_WRITTEN) {
                ox_kv_pool_drop(s->pool, b->memory_id);
            }
            ox_free(b);
            b = next;
        }
    }
    ox_block_disk_close(&s->disk);
    ox_free(s->foreign);
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

struct ox_hash ox_block_store_root(const struct ox_block_store *store)
{
    return store->root;
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

/* The same for one of the two lists of the disk, whose ends are *newest and *oldest. */
static void unlink_disk(struct ox_block **newest, struct ox_block **oldest, struct ox_block *b)
{
    *(b->disk_newer != NULL ? &b->disk_newer->disk_older : newest) = b->disk_older;
    *(b->disk_older != NULL ? &b->disk_older->disk_newer : oldest) = b->disk_newer;
    b->disk_newer = NULL;
    b->disk_older = NULL;
}

static void link_disk(struct ox_block **newest, struct ox_block **oldest, struct ox_block *b)
{
    b->disk_older = *newest;
    *(*newest != NULL ? &(*newest)->disk_newer : oldest) = b;
    *newest = b;
}

/* A block is put in before its parent, so that what is forgotten first are ends, not beginnings. */
void ox_block_store_touch(struct ox_block_store *store, struct ox_block *block)
{
    for (struct ox_block *b = block; b != NULL; b = b->parent) {
        if (b->in_memory) {
            unlink_use(store, b);
            link_newest(store, b);
        }
        if (b->disk == OX_ON_DISK) {
            unlink_disk(&store->disk_newest, &store->disk_oldest, b);
            link_disk(&store->disk_newest, &store->disk_oldest, b);
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

static void take_out(struct ox_block_store *store, struct ox_block *b)
{
    struct ox_block **at = row_of(store, b->key);
    while (*at != b) {
        at = &(*at)->same;
    }
    *at = b->same;
    store->n_blocks--;
}

/* Is there any reason left to know the block? */
static bool is_needed(const struct ox_block *b)
{
    return b->in_memory || b->disk != OX_NOT_ON_DISK || b->n_children > 0;
}

/* Forget the block if it is nowhere, and then those before it that were known only for its sake. */
static void forget(struct ox_block_store *store, struct ox_block *b)
{
    while (b != NULL && !is_needed(b)) {
        struct ox_block *parent = b->parent;
        take_out(store, b);
        ox_free(b);
        if (parent != NULL) {
            parent->n_children--;
        }
        b = parent;
    }
}

static void set_to_write(struct ox_block_store *store, struct ox_block *b)
{
    if (store->disk != NULL && b->disk == OX_NOT_ON_DISK) {
        b->disk = OX_TO_WRITE;
        link_disk(&store->write_last, &store->write_first, b);
    }
}

struct ox_block *ox_block_store_add(struct ox_block_store *store, struct ox_block *parent, const uint64_t *words,
                                    uint32_t memory_id)
{
    const struct ox_hash key = key_of(store, parent, words);
    struct ox_block *b = find(store, key, parent, words);
    if (b == NULL) {
        b = new_block(store, key, parent, words);
    }
    if (b != NULL && b->disk == OX_BEING_READ) {
        return NULL; /* it will have memory of its own in a moment */
    }
    if (b != NULL && !b->in_memory) {
        ox_kv_pool_hold(store->pool, memory_id);
        b->memory_id = memory_id;
        b->in_memory = true;
        store->n_in_memory++;
        link_newest(store, b);
        set_to_write(store, b);
    }
    return b;
}

static bool is_unused(const struct ox_block_store *store, const struct ox_block *b)
{
    return ox_kv_pool_n_references(store->pool, b->memory_id) == 1;
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
    if (b->disk == OX_TO_WRITE) {
        unlink_disk(&store->write_last, &store->write_first, b);
        b->disk = OX_NOT_ON_DISK;
        store->stats.n_dropped++;
    }
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

/* ---- the folder ------------------------------------------------------------------------------------------------ */

struct ox_block_disk *ox_block_store_disk(const struct ox_block_store *store)
{
    return store->disk;
}

void ox_block_store_stats(const struct ox_block_store *store, struct ox_store_stats *stats)
{
    *stats = store->stats;
}

/* Hand in a job for b; false without memory. memory: the block of the pool, not for REMOVE. */
static bool submit(struct ox_block_store *store, enum ox_disk_kind kind, struct ox_block *b)
{
    struct ox_disk_job *job = ox_calloc(1, sizeof *job);
    if (job == NULL) {
        return false;
    }
    job->kind = kind;
    job->key = b->key;
    job->parent = b->parent != NULL ? b->parent->key : store->root;
    if (kind != OX_DISK_REMOVE) {
        job->words = b->words;
        job->owner = b;
        job->payload = ox_kv_pool_bytes(store->pool, b->memory_id);
    }
    ox_block_disk_submit(store->disk, job);
    return true;
}

/* It is, or is on its way to be, on disk (or no longer). */
static void count_disk(struct ox_block_store *store, struct ox_block *b, bool there)
{
    const uint64_t bytes = ox_block_disk_file_bytes(store->disk);
    store->stats.disk_bytes = there ? store->stats.disk_bytes + bytes : store->stats.disk_bytes - bytes;
    if (b->parent != NULL) {
        b->parent->n_disk_children += there ? 1 : 0;
        b->parent->n_disk_children -= there ? 0 : 1;
    }
}

/* Remove the oldest of the files of others; false if there is none. */
static bool remove_foreign(struct ox_block_store *store)
{
    struct ox_disk_job *job = store->n_foreign > 0 ? ox_calloc(1, sizeof *job) : NULL;
    if (job == NULL) {
        return false;
    }
    const struct ox_disk_file *file = &store->foreign[--store->n_foreign];
    store->stats.disk_bytes -= file->bytes;
    job->kind = OX_DISK_REMOVE;
    job->key = file->key;
    ox_block_disk_submit(store->disk, job);
    return true;
}

/* Remove the least recently used block that nothing on disk follows; false if there is none. */
static bool remove_oldest(struct ox_block_store *store)
{
    struct ox_block *b = store->disk_oldest;
    while (b != NULL && b->n_disk_children > 0) {
        b = b->disk_newer;
    }
    if (b == NULL || !submit(store, OX_DISK_REMOVE, b)) {
        return false;
    }
    unlink_disk(&store->disk_newest, &store->disk_oldest, b);
    count_disk(store, b, false);
    b->disk = OX_NOT_ON_DISK;
    forget(store, b);
    return true;
}

static bool make_disk_room(struct ox_block_store *store, uint64_t bytes)
{
    while (store->stats.disk_bytes + bytes > store->stats.disk_limit_bytes) {
        if (!remove_foreign(store) && !remove_oldest(store)) {
            return false;
        }
    }
    return true;
}

/* Begin to write the block that waits longest. */
static void write_next(struct ox_block_store *store)
{
    struct ox_block *b = store->write_first;
    unlink_disk(&store->write_last, &store->write_first, b);
    b->disk = OX_NOT_ON_DISK;
    /* without its parent it would not be found again */
    const bool follows = b->parent == NULL || b->parent->disk >= OX_BEING_WRITTEN;
    if (b->parent != NULL) {
        b->parent->n_disk_children++; /* it must not be removed to make room */
    }
    const bool room = follows && make_disk_room(store, ox_block_disk_file_bytes(store->disk));
    if (b->parent != NULL) {
        b->parent->n_disk_children--;
    }
    if (!room || !submit(store, OX_DISK_WRITE, b)) {
        store->stats.n_dropped++;
        return;
    }
    ox_kv_pool_hold(store->pool, b->memory_id);
    b->disk = OX_BEING_WRITTEN;
    count_disk(store, b, true);
    store->n_writing++;
}

bool ox_block_store_read(struct ox_block_store *store, struct ox_block *block)
{
    OX_CHECK(!block->in_memory && block->disk == OX_ON_DISK);
    if (ox_kv_pool_n_free(store->pool) == 0 && !ox_block_store_evict(store)) {
        return false;
    }
    if (!ox_kv_pool_take(store->pool, &block->memory_id)) {
        return false;
    }
    if (!submit(store, OX_DISK_READ, block)) {
        ox_kv_pool_drop(store->pool, block->memory_id);
        return false;
    }
    unlink_disk(&store->disk_newest, &store->disk_oldest, block);
    block->disk = OX_BEING_READ;
    return true;
}

static void end_read(struct ox_block_store *store, struct ox_block *b, bool good)
{
    if (good) {
        b->disk = OX_ON_DISK;
        b->in_memory = true;
        store->n_in_memory++;
        link_newest(store, b);
        link_disk(&store->disk_newest, &store->disk_oldest, b);
        store->stats.n_read++;
        return;
    }
    ox_kv_pool_drop(store->pool, b->memory_id);
    count_disk(store, b, false);
    b->disk = OX_NOT_ON_DISK;
    store->stats.n_bad++;
    forget(store, b);
}

static void end_write(struct ox_block_store *store, struct ox_block *b, bool good)
{
    ox_kv_pool_drop(store->pool, b->memory_id);
    store->n_writing--;
    if (good) {
        b->disk = OX_ON_DISK;
        link_disk(&store->disk_newest, &store->disk_oldest, b);
        store->stats.n_written++;
        return;
    }
    count_disk(store, b, false);
    b->disk = OX_NOT_ON_DISK;
    store->stats.n_dropped++;
    forget(store, b);
}

bool ox_block_store_collect(struct ox_block_store *store, bool all)
{
    if (store->disk == NULL) {
        return false;
    }
    bool any = false;
    for (struct ox_disk_job *job = ox_block_disk_finished(store->disk); job != NULL;) {
        struct ox_disk_job *next = job->next;
        if (job->kind == OX_DISK_READ) {
            end_read(store, job->owner, job->status == OX_OK);
        } else if (job->kind == OX_DISK_WRITE) {
            end_write(store, job->owner, job->status == OX_OK);
        }
        ox_free(job);
        job = next;
        any = true;
    }
    while (store->write_first != NULL && (all || store->n_writing < store->most_writing)) {
        write_next(store);
        any = true;
    }
    return any;
}

/* ---- what the folder holds when it is opened -------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const struct ox_disk_file *x = a;
    const struct ox_disk_file *y = b;
    if (x->key.word[0] != y->key.word[0]) {
        return x->key.word[0] < y->key.word[0] ? -1 : 1;
    }
    return (x->key.word[1] > y->key.word[1]) - (x->key.word[1] < y->key.word[1]);
}

static int by_age(const void *a, const void *b)
{
    const struct ox_disk_file *const *x = a;
    const struct ox_disk_file *const *y = b;
    return ((*x)->changed > (*y)->changed) - ((*x)->changed < (*y)->changed);
}

static struct ox_disk_file *find_file(struct ox_disk_file *files, size_t n, struct ox_hash key)
{
    const struct ox_disk_file wanted = {.key = key};
    struct ox_disk_file *file = bsearch(&wanted, files, n, sizeof *files, by_key);
    return file != NULL && !file->foreign && file->words != NULL ? file : NULL;
}

/* Scratch of linking. */
struct linking {
    struct ox_disk_file *files; /* [n] by key */
    size_t n;
    struct ox_block **blocks; /* [n] that they became */
    size_t *chain;            /* [n] */
};

static void remove_file(struct ox_block_store *store, struct ox_disk_file *file)
{
    struct ox_disk_job *job = ox_calloc(1, sizeof *job);
    file->linked = true;
    ox_free(file->words);
    file->words = NULL;
    store->stats.n_bad++;
    if (job != NULL) {
        job->kind = OX_DISK_REMOVE;
        job->key = file->key;
        ox_block_disk_submit(store->disk, job);
    }
}

/* Make file's block known after parent (NULL: at the beginning) if its key is right. */
static struct ox_block *link_file(struct ox_block_store *store, const struct ox_disk_file *file,
                                  struct ox_block *parent)
{
    if (!ox_hash_equal(key_of(store, parent, file->words), file->key)) {
        return NULL;
    }
    struct ox_block *b = new_block(store, file->key, parent, file->words);
    if (b != NULL) {
        b->disk = OX_ON_DISK;
        count_disk(store, b, true);
    }
    return b;
}

/* Link file i, after those that it follows; what leads nowhere is removed. */
static void link_chain(struct ox_block_store *store, struct linking *l, size_t i)
{
    size_t depth = 0;
    size_t at = i;
    struct ox_block *parent = NULL;
    bool good = true;
    for (;;) {
        struct ox_disk_file *file = &l->files[at];
        l->chain[depth++] = at;
        file->linked = true;
        if (ox_hash_equal(file->parent, store->root)) {
            break;
        }
        const struct ox_disk_file *before = find_file(l->files, l->n, file->parent);
        const size_t next = before != NULL ? (size_t)(before - l->files) : 0;
        if (before == NULL || (before->linked && l->blocks[next] == NULL)) {
            good = false; /* missing, bad, or in this very chain */
            break;
        }
        if (before->linked) {
            parent = l->blocks[next];
            break;
        }
        at = next;
    }
    while (depth > 0) {
        const size_t file = l->chain[--depth];
        parent = good ? link_file(store, &l->files[file], parent) : NULL;
        l->blocks[file] = parent;
        good = parent != NULL;
        if (!good) {
            remove_file(store, &l->files[file]);
        }
    }
}

/* Put what was linked in the order of use, and those of others apart. */
static void put_by_age(struct ox_block_store *store, const struct linking *l, struct ox_disk_file **by_use)
{
    for (size_t i = 0; i < l->n; i++) {
        by_use[i] = &l->files[i];
    }
    qsort(by_use, l->n, sizeof(struct ox_disk_file *), by_age);
    for (size_t i = 0; i < l->n; i++) {
        struct ox_block *b = l->blocks[by_use[i] - l->files];
        if (b != NULL) {
            link_disk(&store->disk_newest, &store->disk_oldest, b);
        }
    }
    for (size_t i = l->n; i > 0; i--) {
        if (by_use[i - 1]->foreign) {
            store->foreign[store->n_foreign++] = *by_use[i - 1];
            store->stats.disk_bytes += by_use[i - 1]->bytes;
        }
    }
}

static enum ox_status link_files(struct ox_block_store *store, struct ox_error *err)
{
    struct linking l = {0};
    l.files = ox_block_disk_files(store->disk, &l.n);
    l.blocks = ox_calloc(l.n, sizeof(struct ox_block *));
    l.chain = ox_calloc(l.n, sizeof *l.chain);
    store->foreign = ox_calloc(l.n, sizeof *store->foreign);
    struct ox_disk_file **by_use = ox_calloc(l.n, sizeof(struct ox_disk_file *));
    enum ox_status status = OX_OK;
    if (l.blocks == NULL || l.chain == NULL || store->foreign == NULL || by_use == NULL) {
        status = ox_error_nomem(err, l.n * sizeof *l.chain);
    } else if (l.n > 0) {
        qsort(l.files, l.n, sizeof *l.files, by_key);
        for (size_t i = 0; i < l.n; i++) {
            if (!l.files[i].foreign && !l.files[i].linked) {
                link_chain(store, &l, i);
            }
        }
        put_by_age(store, &l, by_use);
    }
    ox_free(l.blocks);
    ox_free(l.chain);
    ox_free(by_use);
    return status;
}

enum ox_status ox_block_store_use_disk(struct ox_block_store *store, struct ox_block_disk **disk, uint64_t limit_bytes,
                                       struct ox_error *err)
{
    OX_CHECK(store->disk == NULL && store->n_blocks == 0);
    store->disk = *disk;
    *disk = NULL;
    store->root = ox_block_disk_root(store->disk);
    /* what waits to be written keeps its memory: an eighth of it */
    store->most_writing = store->pool_blocks / 8 + 1;
    const enum ox_status status = link_files(store, err);
    if (status != OX_OK) {
        return status;
    }
    const uint64_t usual = (ox_block_disk_free_bytes(store->disk) + store->stats.disk_bytes) / 5;
    store->stats.disk_limit_bytes = limit_bytes > 0 ? limit_bytes : usual;
    (void)make_disk_room(store, 0);
    return OX_OK;
}
