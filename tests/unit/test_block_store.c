/* SPDX-License-Identifier: Apache-2.0
 *
 * The block store: histories found again and told apart, the order in which they are forgotten, and the folder: what
 * comes back from it is what was written, whatever happened to the files meanwhile.
 */
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "engine/block_store.h"
#include "os/file.h"
#include "os/folder.h"
#include "tests/mkmodel.h"
#include "tests/oom.h"
#include "tests/tap.h"

#define BLOCK 4
#define FOLDER "test_block_store.cache"

static const struct ox_hash identity = {{0x1234, 0x5678}};

static void need(enum ox_status status, const struct ox_error *err)
{
    if (status != OX_OK) {
        OK(false, "%s", err->message);
        exit(1);
    }
}

static void make_layout(struct ox_kv_layout *layout)
{
    struct ox_config *config = ox_calloc(1, sizeof *config);
    struct ox_error err = {0};
    if (config == NULL) {
        exit(1);
    }
    config->n_layers = 1;
    config->n_kv_heads = 1;
    config->head_dim = 8;
    config->block = BLOCK;
    need(ox_kv_layout_init(config, OX_KV_BF16, layout, &err), &err);
    ox_free(config);
}

static struct ox_kv_pool *open_pool(size_t n_blocks)
{
    static struct ox_kv_layout layout;
    struct ox_kv_pool *pool = NULL;
    struct ox_error err = {0};
    make_layout(&layout);
    need(ox_kv_pool_open(&layout, n_blocks, &pool, &err), &err);
    return pool;
}

/* The words of block b of history h, and the bytes that belong to it. */
static const uint64_t *words_of(size_t h, size_t b)
{
    static uint64_t words[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        words[i] = h * 1000 + b * 10 + i;
    }
    return words;
}

static void fill(uint8_t *bytes, size_t n, size_t h, size_t b)
{
    struct ox_rng rng;
    ox_rng_init(&rng, h * 100 + b);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)ox_rng_next(&rng);
    }
}

static bool is_filled(const struct ox_kv_pool *pool, uint32_t id, size_t h, size_t b)
{
    uint8_t bytes[4096];
    const size_t n = ox_kv_pool_layout(pool)->block_bytes;
    fill(bytes, n, h, b);
    return n <= sizeof bytes && memcmp(bytes, ox_kv_pool_bytes(pool, id), n) == 0;
}

/* Add block b of history h after parent, as a timeline would that then lets go of it. NULL if it was not kept. */
static struct ox_block *add(struct ox_block_store *store, struct ox_kv_pool *pool, struct ox_block *parent, size_t h,
                            size_t b)
{
    uint32_t id = 0;
    while (!ox_kv_pool_take(pool, &id)) {
        if (!ox_block_store_evict(store)) {
            return NULL;
        }
    }
    fill(ox_kv_pool_bytes(pool, id), ox_kv_pool_layout(pool)->block_bytes, h, b);
    struct ox_block *block = ox_block_store_add(store, parent, words_of(h, b), id);
    ox_kv_pool_drop(pool, id);
    return block;
}

static struct ox_block_store *open_store(struct ox_kv_pool *pool)
{
    struct ox_block_store *store = NULL;
    struct ox_error err = {0};
    need(ox_block_store_open(pool, &store, &err), &err);
    return store;
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static void test_tree(void)
{
    struct ox_kv_pool *pool = open_pool(10);
    struct ox_block_store *store = open_store(pool);
    OK(ox_block_store_find(store, NULL, words_of(1, 0)) == NULL, "nothing is known");
    struct ox_block *a = add(store, pool, NULL, 1, 0);
    struct ox_block *b = add(store, pool, a, 1, 1);
    struct ox_block *c = add(store, pool, NULL, 2, 0);
    OK(a != NULL && b != NULL && c != NULL && b->parent == a && a->n_children == 1, "three blocks");
    OK(ox_block_store_find(store, NULL, words_of(1, 0)) == a && ox_block_store_find(store, a, words_of(1, 1)) == b &&
           ox_block_store_find(store, NULL, words_of(2, 0)) == c,
       "found");
    OK(ox_block_store_find(store, c, words_of(1, 1)) == NULL &&
           ox_block_store_find(store, NULL, words_of(1, 1)) == NULL,
       "not after another history");
    OK(ox_block_store_n_blocks(store) == 3 && ox_block_store_n_unused(store) == 3 && ox_kv_pool_n_free(pool) == 7,
       "counted");
    uint32_t id = 0;
    OK(ox_kv_pool_take(pool, &id) && ox_block_store_add(store, a, words_of(1, 1), id) == b && b->memory_id != id &&
           ox_kv_pool_n_references(pool, id) == 1,
       "what is known keeps its own memory");
    ox_kv_pool_drop(pool, id);
    OK(ox_block_word(5) == 5 && ox_block_word(INT32_MAX) != ox_block_media_word(INT32_MAX) &&
           ox_block_media_word(1) != ox_block_media_word(2) && ox_block_media_word(0) > UINT32_MAX,
       "a picture is what it shows, not its placeholder");
    for (size_t h = 0; h < 300; h++) {
        (void)add(store, pool, NULL, 100 + h, 0);
    }
    size_t n_there = 0;
    for (size_t h = 0; h < 300; h++) {
        n_there += ox_block_store_find(store, NULL, words_of(100 + h, 0)) != NULL ? 1 : 0;
    }
    OK(n_there == 10 && ox_block_store_find(store, NULL, words_of(399, 0)) != NULL &&
           ox_block_store_find(store, NULL, words_of(1, 0)) == NULL,
       "as many as there is memory for, the last ones");
    ox_block_store_close(&store);
    IS_INT(ox_kv_pool_n_free(pool), 10, "all memory is given back");
    ox_kv_pool_close(&pool);
}

static void test_order(void)
{
    struct ox_kv_pool *pool = open_pool(6);
    struct ox_block_store *store = open_store(pool);
    struct ox_block *a = add(store, pool, NULL, 1, 0);
    struct ox_block *b = add(store, pool, a, 1, 1);
    struct ox_block *c = add(store, pool, NULL, 2, 0);
    struct ox_block *d = add(store, pool, c, 2, 1);
    ox_block_store_touch(store, d);
    ox_block_store_touch(store, b);
    ox_block_store_touch(store, NULL);
    ox_kv_pool_hold(pool, d->memory_id);
    const uint32_t held = d->memory_id;
    IS_INT(ox_block_store_n_unused(store), 3, "one is in use");
    OK(ox_block_store_evict(store) && d->in_memory, "what is in use stays");
    ox_kv_pool_drop(pool, held);
    OK(ox_block_store_evict(store) && ox_block_store_find(store, a, words_of(1, 1)) != NULL &&
           ox_block_store_find(store, NULL, words_of(2, 0)) == NULL,
       "then the history that was used longer ago goes");
    OK(ox_block_store_evict(store) && ox_block_store_find(store, a, words_of(1, 1)) == NULL &&
           ox_block_store_find(store, NULL, words_of(1, 0)) == a,
       "of a history its end goes first");
    OK(ox_block_store_evict(store) && !ox_block_store_evict(store) && ox_kv_pool_n_free(pool) == 6, "to the last one");
    ox_block_store_close(&store);
    ox_kv_pool_close(&pool);
}

/* ---- the folder ------------------------------------------------------------------------------------------------ */

static void no_news(void *user)
{
    (void)user;
}

static enum ox_status use_folder(struct ox_block_store *store, const struct ox_kv_pool *pool, struct ox_hash who,
                                 uint64_t limit, struct ox_error *err)
{
    struct ox_block_disk *disk = NULL;
    const enum ox_status status =
        ox_block_disk_open(FOLDER, who, ox_kv_pool_layout(pool), NULL, no_news, NULL, &disk, err);
    return status == OX_OK ? ox_block_store_use_disk(store, &disk, limit, err) : status;
}

static struct ox_block_store *open_with_folder(struct ox_kv_pool *pool, struct ox_hash who, uint64_t limit)
{
    struct ox_block_store *store = open_store(pool);
    struct ox_error err = {0};
    need(use_folder(store, pool, who, limit, &err), &err);
    return store;
}

static void work(struct ox_block_store *store)
{
    do {
        (void)ox_block_store_collect(store, true);
    } while (ox_block_disk_work(ox_block_store_disk(store), false));
    (void)ox_block_store_collect(store, true);
}

/* Block b of h after parent, read from the folder if need be; NULL if it is not there. */
static struct ox_block *get(struct ox_block_store *store, struct ox_block *parent, size_t h, size_t b)
{
    struct ox_block *block = ox_block_store_find(store, parent, words_of(h, b));
    if (block != NULL && !block->in_memory && block->disk == OX_ON_DISK && ox_block_store_read(store, block)) {
        work(store);
        block = ox_block_store_find(store, parent, words_of(h, b));
    }
    return block != NULL && block->in_memory ? block : NULL;
}

/* How many blocks of history h (n of them) can be had, and *n_wrong of these with other bytes. */
static size_t count_good(struct ox_block_store *store, const struct ox_kv_pool *pool, size_t h, size_t n,
                         size_t *n_wrong)
{
    struct ox_block *at = NULL;
    for (size_t b = 0; b < n; b++) {
        at = get(store, at, h, b);
        if (at == NULL) {
            return b;
        }
        *n_wrong += is_filled(pool, at->memory_id, h, b) ? 0 : 1;
    }
    return n;
}

static void write_histories(struct ox_kv_pool *pool, uint64_t limit, size_t n_histories, size_t n_blocks)
{
    struct ox_block_store *store = open_with_folder(pool, identity, limit);
    for (size_t h = 0; h < n_histories; h++) {
        struct ox_block *at = NULL;
        for (size_t b = 0; b < n_blocks; b++) {
            at = add(store, pool, at, h, b);
            work(store);
        }
    }
    ox_block_store_close(&store);
}

static void test_folder(void)
{
    struct ox_kv_pool *pool = open_pool(8);
    struct ox_error err = {0};
    size_t n_wrong = 0;
    mk_remove_folder(FOLDER);
    write_histories(pool, 1 << 20, 3, 4);
    struct ox_block_store *store = open_with_folder(pool, identity, 1 << 20);
    struct ox_store_stats stats;
    ox_block_store_stats(store, &stats);
    OK(stats.disk_bytes == 12 * ox_block_disk_file_bytes(ox_block_store_disk(store)), "twelve files are known");
    struct ox_block_store *second = open_store(pool);
    OK(use_folder(second, pool, identity, 0, &err) == OX_E_BUSY, "one at a time: %s", err.message);
    ox_block_store_close(&second);
    for (size_t h = 0; h < 3; h++) {
        IS_INT(count_good(store, pool, h, 4, &n_wrong), 4, "a history comes back");
    }
    IS_INT(n_wrong, 0, "blocks with other bytes");
    ox_block_store_stats(store, &stats);
    OK(stats.n_read == 12 && stats.n_bad == 0 && stats.n_written == 0, "sums");
    ox_block_store_close(&store);

    const struct ox_hash other = {{identity.word[0], 1}};
    store = open_with_folder(pool, other, 1 << 20);
    OK(count_good(store, pool, 0, 1, &n_wrong) == 0, "another model finds nothing");
    ox_block_store_close(&store);
    store = open_with_folder(pool, identity, 1 << 20);
    IS_INT(count_good(store, pool, 2, 4, &n_wrong), 4, "and takes nothing away");
    ox_block_store_close(&store);
    /* room for five files: those of others go first */
    store = open_with_folder(pool, other, 5 * (uint64_t)(192 + 128));
    ox_block_store_stats(store, &stats);
    OK(stats.disk_bytes <= stats.disk_limit_bytes, "%llu bytes, at most %llu", (unsigned long long)stats.disk_bytes,
       (unsigned long long)stats.disk_limit_bytes);
    struct ox_block *at = NULL;
    for (size_t b = 0; b < 5; b++) {
        at = add(store, pool, at, 9, b);
    }
    work(store);
    ox_block_store_close(&store);
    store = open_with_folder(pool, other, 0);
    IS_INT(count_good(store, pool, 9, 5, &n_wrong), 5, "until there is room");
    ox_block_store_close(&store);
    IS_INT(n_wrong, 0, "blocks with other bytes");
    ox_kv_pool_close(&pool);
    mk_remove_folder(FOLDER);
}

/* More than the folder may hold: the ends of what was used longest ago go first, and what stays can be reached. */
static void test_limit(void)
{
    struct ox_kv_pool *pool = open_pool(4);
    size_t n_wrong = 0;
    mk_remove_folder(FOLDER);
    struct ox_block_store *store = open_with_folder(pool, identity, 1 << 20);
    const uint64_t each = ox_block_disk_file_bytes(ox_block_store_disk(store));
    ox_block_store_close(&store);
    write_histories(pool, 7 * each, 3, 3);
    store = open_with_folder(pool, identity, 7 * each);
    struct ox_store_stats stats;
    ox_block_store_stats(store, &stats);
    OK(stats.disk_bytes == 7 * each && stats.n_bad == 0, "the folder is full: %llu bytes",
       (unsigned long long)stats.disk_bytes);
    OK(count_good(store, pool, 2, 3, &n_wrong) == 3 && count_good(store, pool, 1, 3, &n_wrong) == 3 &&
           count_good(store, pool, 0, 3, &n_wrong) == 1 && n_wrong == 0,
       "of the oldest history its beginning is left");
    ox_block_store_close(&store);
    ox_kv_pool_close(&pool);
    mk_remove_folder(FOLDER);
}

/* ---- damage ---------------------------------------------------------------------------------------------------- */

struct names {
    char name[8][64];
    size_t n;
};

static enum ox_status note_name(void *user, const char *name, uint64_t bytes, int64_t changed, struct ox_error *err)
{
    struct names *names = user;
    (void)bytes;
    (void)changed;
    (void)err;
    if (strstr(name, ".kv") != NULL && names->n < 8) {
        snprintf(names->name[names->n++], sizeof names->name[0], FOLDER "/%s", name);
    }
    return OX_OK;
}

/* Put bytes in place of the file, one of two, see what the store makes of it, and remove the folder. */
static void try_damage(struct ox_kv_pool *pool, const char *path, const void *bytes, size_t len, size_t *n_right,
                       size_t *n_wrong)
{
    struct ox_error err = {0};
    need(ox_file_write(path, bytes, len, &err), &err);
    struct ox_block_store *store = open_with_folder(pool, identity, 1 << 20);
    *n_right += count_good(store, pool, 0, 2, n_wrong);
    work(store);
    ox_block_store_close(&store);
    mk_remove_folder(FOLDER);
}

static void copy_folder(const struct names *names, struct ox_buf *copies, struct ox_buf *root)
{
    struct ox_error err = {0};
    for (size_t i = 0; i < names->n; i++) {
        need(ox_file_read(names->name[i], 1 << 20, &copies[i], &err), &err);
    }
    need(ox_file_read(FOLDER "/root", 1 << 20, root, &err), &err);
}

static void restore_folder(const struct names *names, const struct ox_buf *copies, const struct ox_buf *root)
{
    struct ox_error err = {0};
    need(ox_folder_make(FOLDER, &err), &err);
    for (size_t i = 0; i < names->n; i++) {
        need(ox_file_write(names->name[i], copies[i].ptr, copies[i].len, &err), &err);
    }
    need(ox_file_write(FOLDER "/root", root->ptr, root->len, &err), &err);
}

static void test_damage(void)
{
    struct ox_kv_pool *pool = open_pool(4);
    struct names names = {.n = 0};
    struct ox_buf copies[8] = {{0}};
    struct ox_buf root = {0};
    struct ox_error err = {0};
    size_t n_right = 0;
    size_t n_wrong = 0;
    size_t n_tried = 0;
    mk_remove_folder(FOLDER);
    write_histories(pool, 1 << 20, 1, 2);
    need(ox_folder_list(FOLDER, note_name, &names, &err), &err);
    IS_INT(names.n, 2, "two files");
    copy_folder(&names, copies, &root);
    for (size_t i = 0; i < names.n; i++) {
        const size_t len = copies[i].len;
        for (size_t at = 0; at < len; at += TAP_SANITIZED ? 11 : 5) {
            char *bad = ox_strndup(copies[i].ptr, len);
            memcpy(bad, copies[i].ptr, len);
            bad[at] = (char)(bad[at] ^ (1 << at % 8));
            restore_folder(&names, copies, &root);
            try_damage(pool, names.name[i], bad, len, &n_right, &n_wrong);
            restore_folder(&names, copies, &root);
            try_damage(pool, names.name[i], copies[i].ptr, at, &n_right, &n_wrong);
            ox_free(bad);
            n_tried += 2;
        }
        /* the one under the other's name */
        restore_folder(&names, copies, &root);
        try_damage(pool, names.name[i], copies[1 - i].ptr, len, &n_right, &n_wrong);
        n_tried++;
    }
    IS_INT(n_wrong, 0, "damaged blocks that were believed");
    /* if the first is bad nothing comes back, if the second is, one */
    IS_INT(n_right, n_tried / 2, "good blocks beside damaged ones");
    restore_folder(&names, copies, &root);
    struct ox_block_store *store = open_with_folder(pool, identity, 1 << 20);
    IS_INT(count_good(store, pool, 0, 2, &n_wrong), 2, "undamaged, both come back");
    ox_block_store_close(&store);
    need(ox_file_write(FOLDER "/root", "another secret..", 16, &err), &err);
    store = open_with_folder(pool, identity, 1 << 20);
    IS_INT(count_good(store, pool, 0, 2, &n_wrong), 0, "with another secret nothing is right");
    work(store);
    ox_block_store_close(&store);
    names.n = 0;
    need(ox_folder_list(FOLDER, note_name, &names, &err), &err);
    IS_INT(names.n, 0, "and the files are gone");
    for (size_t i = 0; i < 8; i++) {
        ox_buf_fini(&copies[i]);
    }
    ox_buf_fini(&root);
    ox_kv_pool_close(&pool);
    mk_remove_folder(FOLDER);
}

/* Damage after the folder was opened: found when the block is read. */
static void test_late_damage(void)
{
    struct ox_kv_pool *pool = open_pool(4);
    struct names names = {.n = 0};
    struct ox_buf bytes = {0};
    struct ox_error err = {0};
    size_t n_wrong = 0;
    mk_remove_folder(FOLDER);
    write_histories(pool, 1 << 20, 1, 1);
    need(ox_folder_list(FOLDER, note_name, &names, &err), &err);
    need(ox_file_read(names.name[0], 1 << 20, &bytes, &err), &err);
    for (size_t at = 0; at < bytes.len; at += 5) {
        struct ox_block_store *store = open_with_folder(pool, identity, 1 << 20);
        bytes.ptr[at] = (char)(bytes.ptr[at] + 1);
        need(ox_file_write(names.name[0], bytes.ptr, bytes.len, &err), &err);
        bytes.ptr[at] = (char)(bytes.ptr[at] - 1);
        const size_t n = count_good(store, pool, 0, 1, &n_wrong);
        struct ox_store_stats stats;
        ox_block_store_stats(store, &stats);
        if (n != 0 || stats.n_bad != 1 || stats.disk_bytes != 0 || ox_file_exists(names.name[0])) {
            OK(false, "byte %zu: %zu blocks, %llu bad", at, n, (unsigned long long)stats.n_bad);
        }
        ox_block_store_close(&store);
        need(ox_file_write(names.name[0], bytes.ptr, bytes.len, &err), &err);
    }
    IS_INT(n_wrong, 0, "blocks damaged while they were known that were believed");
    ox_buf_fini(&bytes);
    ox_kv_pool_close(&pool);
    mk_remove_folder(FOLDER);
}

/* The n-th allocation fails: less is kept, nothing is wrong or lost. */
static void test_no_memory(void)
{
    size_t n_wrong = 0;
    long n = 1;
    for (bool failed = true; failed && n < 500; n++) {
        struct ox_kv_pool *pool = open_pool(4);
        mk_remove_folder(FOLDER);
        write_histories(pool, 1 << 20, 1, 2);
        struct ox_block_store *store = NULL;
        oom_arm(n);
        enum ox_status status = ox_block_store_open(pool, &store, NULL);
        if (status == OX_OK) {
            status = use_folder(store, pool, identity, 1 << 20, NULL);
        }
        struct ox_block *at = NULL;
        for (size_t b = 0; status == OX_OK && b < 3; b++) {
            struct ox_block *next = get(store, at, 0, b);
            next = next != NULL ? next : add(store, pool, at, 0, b);
            if (next == NULL) {
                break;
            }
            at = next;
            work(store);
        }
        failed = oom_disarm();
        n_wrong += status != OX_OK && (status != OX_E_NOMEM || !failed) ? 1 : 0;
        if (status == OX_OK) {
            work(store);
            (void)count_good(store, pool, 0, 3, &n_wrong);
        }
        ox_block_store_close(&store);
        n_wrong += ox_kv_pool_n_free(pool) == 4 ? 0 : 1;
        ox_kv_pool_close(&pool);
    }
    OK(n > 10 && n < 500 && n_wrong == 0, "%ld allocations fail, %zu wrong", n - 2, n_wrong);
    mk_remove_folder(FOLDER);
}

int main(void)
{
    test_tree();
    test_order();
    test_folder();
    test_limit();
    test_damage();
    test_late_damage();
    test_no_memory();
    return tap_done();
}
