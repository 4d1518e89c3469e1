/* SPDX-License-Identifier: Apache-2.0
 *
 * The KV cache: where things lie in a block, and the life of blocks: reserved, rewound, shared, copied when a shared
 * one is written to, given back, exhausted.
 */
#include "base/mem.h"
#include "base/number.h"
#include "base/rng.h"
#include "model/cache.h"
#include "tests/tap.h"

#define BLOCK 5
#define HEADS 3
#define DIM 24
#define INDEX 20
#define LAYERS 4

/* Layers 1 and 3 are sparse. */
static struct ox_config *make_config(void)
{
    struct ox_config *config = ox_calloc(1, sizeof *config);
    if (config == NULL) {
        exit(1);
    }
    config->n_layers = LAYERS;
    config->n_kv_heads = HEADS;
    config->head_dim = DIM;
    config->index_dim = INDEX;
    config->block = BLOCK;
    config->sparse_layer[1] = true;
    config->sparse_layer[3] = true;
    return config;
}

static struct ox_kv_pool *open_pool(enum ox_kv_format format, size_t n_blocks)
{
    struct ox_config *config = make_config();
    struct ox_kv_layout *layout = ox_calloc(1, sizeof *layout);
    struct ox_kv_pool *pool = NULL;
    struct ox_error err = {0};
    if (layout == NULL || ox_kv_layout_init(config, format, layout, &err) != OX_OK ||
        ox_kv_pool_open(layout, n_blocks, &pool, &err) != OX_OK) {
        NOTE("%s", err.message);
        exit(1);
    }
    ox_free(layout);
    ox_free(config);
    return pool;
}

static void test_formats(void)
{
    enum ox_kv_format format = OX_KV_F32;
    OK(ox_kv_format_parse(ox_str_c("bf16"), &format) && format == OX_KV_BF16, "bf16 is a format");
    OK(ox_kv_format_parse(ox_str_c("f32"), &format) && format == OX_KV_F32, "f32 is a format");
    OK(!ox_kv_format_parse(ox_str_c("BF16"), &format) && !ox_kv_format_parse(ox_str_c(""), &format) &&
           !ox_kv_format_parse(ox_str_c("q8"), &format),
       "others are none");
    IS_STR(ox_kv_format_name(OX_KV_F32), "f32", "name of f32");
    IS_STR(ox_kv_format_name(OX_KV_BF16), "bf16", "name of bf16");
}

/* Every part of a block: inside it, aligned, and apart from all others. */
static void test_layout(enum ox_kv_format format, size_t element)
{
    struct ox_kv_pool *pool = open_pool(format, 3);
    const struct ox_kv_layout *layout = ox_kv_pool_layout(pool);
    struct ox_kv kv;
    struct ox_error err = {0};
    OK(layout->block_bytes % OX_ALIGN == 0 && layout->element_bytes == element, "%s: blocks are aligned",
       ox_kv_format_name(format));
    IS_INT(layout->index_dim, INDEX, "index size");
    const size_t values = (size_t)(LAYERS * 2 * HEADS * DIM + 2 * INDEX) * BLOCK * element;
    OK(layout->block_bytes >= values && layout->block_bytes < values + LAYERS * OX_ALIGN,
       "%zu bytes a block hold %zu and the alignment of each layer", layout->block_bytes, values);
    OK(ox_kv_token_bytes(layout) == (layout->block_bytes + BLOCK - 1) / BLOCK, "bytes of a token");
    if (!OK(ox_kv_init(pool, 3 * BLOCK, &kv, &err) == OX_OK && ox_kv_reserve(&kv, 3 * BLOCK, &err) == OX_OK,
            "a timeline of three blocks: %s", err.message)) {
        return;
    }
    /* each part is filled with its own number; afterwards all numbers must still be there */
    uint8_t number = 0;
    bool aligned = true;
    for (int pass = 0; pass < 2; pass++) {
        bool good = true;
        number = 1;
        for (size_t b = 0; b < 3; b++) {
            for (size_t l = 0; l < LAYERS; l++) {
                for (size_t part = 0; part < 2 * HEADS + l % 2; part++) {
                    const size_t g = part % HEADS;
                    uint8_t *p = part < HEADS ? ox_kv_keys(&kv, b, l, g) : ox_kv_values(&kv, b, l, g);
                    if (part == 2 * HEADS) {
                        p = ox_kv_index_keys(&kv, b, l);
                    }
                    const size_t dim = part == 2 * HEADS ? INDEX : DIM;
                    const size_t len = BLOCK * dim * element;
                    aligned = aligned && (uintptr_t)p % element == 0;
                    for (size_t i = 0; i < len; i++) {
                        good = good && (pass == 0 || p[i] == number);
                        p[i] = number;
                    }
                    number++;
                }
            }
        }
        OK(good, "parts do not overlap (pass %d, %d parts)", pass, number - 1);
    }
    OK(aligned, "parts are aligned to their elements");
    ox_kv_fini(&kv);
    IS_INT(ox_kv_pool_n_free(pool), 3, "all blocks came back");
    ox_kv_pool_close(&pool);
    OK(pool == NULL, "closing forgets the pool");
    ox_kv_pool_close(&pool);
}

/* A pretended pass: n positions are written (their number into the first key of layer 0) and counted. */
static bool append(struct ox_kv *kv, size_t n, float mark)
{
    if (ox_kv_reserve(kv, n, NULL) != OX_OK) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t pos = kv->n_tokens + i;
        float *key = ox_kv_keys(kv, pos / BLOCK, 0, 0);
        key[pos % BLOCK * DIM] = mark + (float)pos;
    }
    kv->n_tokens += n;
    return true;
}

static float mark_at(const struct ox_kv *kv, size_t pos)
{
    const float *key = ox_kv_keys(kv, pos / BLOCK, 0, 0);
    return key[pos % BLOCK * DIM];
}

static void test_reserve_rewind(void)
{
    struct ox_kv_pool *pool = open_pool(OX_KV_F32, 4);
    struct ox_kv kv;
    struct ox_error err = {0};
    if (!OK(ox_kv_init(pool, 3 * BLOCK + 1, &kv, &err) == OX_OK, "init")) {
        return;
    }
    OK(ox_kv_reserve(&kv, 0, &err) == OX_OK && kv.n_blocks == 0, "reserving nothing takes nothing");
    OK(append(&kv, 1, 0.0F) && kv.n_blocks == 1, "one token takes a block");
    OK(append(&kv, BLOCK - 1, 0.0F) && kv.n_blocks == 1, "the block is filled");
    OK(append(&kv, BLOCK + 1, 0.0F) && kv.n_blocks == 3, "crossing into the third");
    OK(ox_kv_reserve(&kv, BLOCK, &err) == OX_OK && kv.n_blocks == 4 && kv.n_tokens == 2 * BLOCK + 1,
       "reserved is not counted");
    OK(ox_kv_reserve(&kv, BLOCK, &err) == OX_OK && kv.n_blocks == 4, "reserving again takes nothing more");
    OK(ox_kv_reserve(&kv, 2 * BLOCK, &err) == OX_E_STATE && kv.n_blocks == 4 && err.message[0] != '\0',
       "beyond max_tokens: %s", err.message);
    ox_kv_rewind(&kv, 2 * BLOCK + 1);
    IS_INT(kv.n_blocks, 3, "rewinding to where it stands gives back what was only reserved");
    ox_kv_rewind(&kv, BLOCK);
    IS_INT(kv.n_blocks, 1, "blocks after a rewind to a border");
    IS_INT(ox_kv_pool_n_free(pool), 3, "the rest is free");
    OK(append(&kv, 2, 100.0F) && mark_at(&kv, BLOCK - 1) == (float)(BLOCK - 1) && mark_at(&kv, BLOCK) == 105.0F,
       "what was before the rewind stays, what comes after is new");
    ox_kv_rewind(&kv, 0);
    OK(kv.n_blocks == 0 && ox_kv_pool_n_free(pool) == 4, "rewind to nothing");
    ox_kv_fini(&kv);
    ox_kv_fini(&kv);
    ox_kv_pool_close(&pool);
}

static void test_share(void)
{
    struct ox_kv_pool *pool = open_pool(OX_KV_F32, 6);
    struct ox_kv a;
    struct ox_kv b;
    struct ox_kv c;
    struct ox_error err = {0};
    const bool ready = ox_kv_init(pool, 6 * BLOCK, &a, &err) == OX_OK &&
                       ox_kv_init(pool, 6 * BLOCK, &b, &err) == OX_OK && ox_kv_init(pool, BLOCK, &c, &err) == OX_OK;
    if (!OK(ready && append(&a, 2 * BLOCK + 3, 0.0F), "a timeline of two blocks and a part")) {
        return;
    }
    OK(ox_kv_share(&a, 2 * BLOCK + 2, &b, &err) == OX_OK && b.n_tokens == 2 * BLOCK + 2, "shared but for a token");
    IS_INT(ox_kv_pool_n_free(pool), 3, "sharing takes no blocks");
    OK(ox_kv_keys(&a, 1, 0, 0) == ox_kv_keys(&b, 1, 0, 0), "a full block is one and the same");
    OK(append(&b, 1, 500.0F), "the second goes on");
    IS_INT(ox_kv_pool_n_free(pool), 2, "... in a copy of the last block");
    OK(ox_kv_keys(&a, 2, 0, 0) != ox_kv_keys(&b, 2, 0, 0) && ox_kv_keys(&a, 1, 0, 0) == ox_kv_keys(&b, 1, 0, 0),
       "only the last block was copied");
    OK(mark_at(&a, 12) == 12.0F && mark_at(&b, 12) == 512.0F && mark_at(&b, 11) == 11.0F,
       "neither sees what the other writes");
    OK(append(&a, 1, 700.0F) && mark_at(&a, 13) == 713.0F && ox_kv_pool_n_free(pool) == 2,
       "the first, alone in its block again, writes in place");
    ox_kv_rewind(&b, BLOCK + 1);
    OK(append(&b, 1, 900.0F) && mark_at(&b, BLOCK + 1) == 906.0F && mark_at(&a, BLOCK + 1) == (float)(BLOCK + 1),
       "rewinding into a shared full block and writing copies it");
    OK(ox_kv_share(&a, BLOCK + 1, &c, &err) == OX_E_STATE && c.n_blocks == 0, "too much for a short timeline: %s",
       err.message);
    OK(ox_kv_share(&a, BLOCK, &c, &err) == OX_OK && c.n_tokens == BLOCK, "sharing a whole block");
    ox_kv_fini(&a);
    OK(mark_at(&c, 3) == 3.0F, "a shared block outlives the timeline it came from");
    ox_kv_fini(&b);
    ox_kv_fini(&c);
    IS_INT(ox_kv_pool_n_free(pool), 6, "all blocks came back");
    ox_kv_pool_close(&pool);
}

static void test_exhaustion(void)
{
    struct ox_kv_pool *pool = open_pool(OX_KV_F32, 3);
    struct ox_kv a;
    struct ox_kv b;
    struct ox_error err = {0};
    if (!OK(ox_kv_init(pool, 100, &a, &err) == OX_OK && ox_kv_init(pool, 100, &b, &err) == OX_OK, "two timelines")) {
        return;
    }
    OK(append(&a, 2 * BLOCK - 1, 0.0F), "two of three blocks taken");
    OK(ox_kv_reserve(&b, BLOCK + 1, &err) == OX_E_STATE && b.n_blocks == 0 && ox_kv_pool_n_free(pool) == 1,
       "not enough for two more, and then none is taken: %s", err.message);
    OK(ox_kv_share(&a, 2 * BLOCK - 1, &b, &err) == OX_OK, "shared");
    OK(append(&b, 1, 0.0F) && ox_kv_pool_n_free(pool) == 0, "the last block becomes the copy");
    OK(ox_kv_reserve(&b, 1, &err) == OX_E_STATE && b.n_tokens == 2 * BLOCK, "the pool is exhausted");
    ox_kv_rewind(&b, BLOCK);
    OK(append(&b, 1, 0.0F), "room again after a rewind");
    ox_kv_rewind(&b, 0);
    OK(ox_kv_share(&a, 2 * BLOCK - 1, &b, &err) == OX_OK && ox_kv_reserve(&b, 2, &err) == OX_E_STATE &&
           ox_kv_keys(&a, 1, 0, 0) == ox_kv_keys(&b, 1, 0, 0),
       "copy and a new block do not both fit: nothing changes");
    ox_kv_fini(&a);
    ox_kv_fini(&b);
    IS_INT(ox_kv_pool_n_free(pool), 3, "all blocks came back");
    ox_kv_pool_close(&pool);
    struct ox_kv_layout *layout = ox_calloc(1, sizeof *layout);
    struct ox_config *config = make_config();
    if (layout != NULL && ox_kv_layout_init(config, OX_KV_F32, layout, &err) == OX_OK) {
        OK(ox_kv_pool_open(layout, SIZE_MAX / 4, &pool, &err) == OX_E_LIMIT, "too many blocks: %s", err.message);
        config->block = SIZE_MAX / 4;
        OK(ox_kv_layout_init(config, OX_KV_F32, layout, &err) == OX_E_LIMIT, "too large a block: %s", err.message);
    }
    ox_free(config);
    ox_free(layout);
}

/* Random life of three timelines against a plain model of what each must hold. */
static void test_random(void)
{
    enum { N = 3, MOST = 40 };
    struct ox_kv_pool *pool = open_pool(OX_KV_F32, 20);
    struct ox_kv kv[N];
    float held[N][MOST];
    struct ox_rng rng;
    size_t wrong = 0;
    ox_rng_init(&rng, 77);
    for (size_t i = 0; i < N; i++) {
        if (ox_kv_init(pool, MOST, &kv[i], NULL) != OX_OK) {
            exit(1);
        }
    }
    for (int step = 0; step < 20000; step++) {
        struct ox_kv *one = &kv[ox_rng_below(&rng, N)];
        float *marks = held[one - kv];
        const size_t len = one->n_tokens;
        const size_t n = (size_t)ox_rng_below(&rng, 9);
        switch (ox_rng_below(&rng, 4)) {
        case 0: {
            const size_t other = (size_t)ox_rng_below(&rng, N);
            if (&kv[other] != one) {
                const size_t some = (size_t)ox_rng_below(&rng, kv[other].n_tokens + 1);
                ox_kv_rewind(one, 0);
                wrong += ox_kv_share(&kv[other], some, one, NULL) != OX_OK ? 1 : 0;
                memcpy(marks, held[other], some * sizeof *marks);
            }
            break;
        }
        case 1:
            ox_kv_rewind(one, (size_t)ox_rng_below(&rng, len + 1));
            break;
        default:
            if (append(one, n, (float)(step % 1000) * 64.0F)) {
                for (size_t i = 0; i < n; i++) {
                    marks[len + i] = (float)(step % 1000) * 64.0F + (float)(len + i);
                }
            }
        }
        for (size_t i = 0; i < N; i++) {
            for (size_t pos = 0; pos < kv[i].n_tokens; pos++) {
                wrong += mark_at(&kv[i], pos) != held[i][pos] ? 1 : 0;
            }
        }
    }
    OK(wrong == 0, "20,000 random steps of three timelines: %zu wrong", wrong);
    for (size_t i = 0; i < N; i++) {
        ox_kv_fini(&kv[i]);
    }
    IS_INT(ox_kv_pool_n_free(pool), 20, "all blocks came back");
    ox_kv_pool_close(&pool);
}

/* Bytes of the first n_tokens positions' blocks, one behind the other. */
static uint64_t hash_blocks(const struct ox_kv *kv, size_t n_tokens)
{
    const size_t bytes = ox_kv_pool_layout(kv->pool)->block_bytes;
    uint64_t hash = 0;
    for (size_t b = 0; b < (n_tokens + BLOCK - 1) / BLOCK; b++) {
        hash = hash * 31 + ox_str_hash(ox_str_make(ox_kv_keys(kv, b, 0, 0), bytes));
    }
    return hash;
}

static void test_copy(void)
{
    struct ox_kv_pool *pool = open_pool(OX_KV_BF16, 6);
    struct ox_kv_pool *other = open_pool(OX_KV_BF16, 3);
    struct ox_team *team = NULL;
    struct ox_kv from;
    struct ox_kv to;
    struct ox_error err = {0};
    if (!OK(ox_team_open(NULL, 2, &team, &err) == OX_OK && ox_kv_init(pool, 4 * BLOCK, &from, &err) == OX_OK &&
                ox_kv_init(other, 4 * BLOCK, &to, &err) == OX_OK &&
                ox_kv_fill_random(&from, 3 * BLOCK + 2, 7, team, &err) == OX_OK,
            "a random timeline: %s", err.message)) {
        return;
    }
    OK(ox_kv_copy(&from, 3 * BLOCK + 1, &to, &err) == OX_E_STATE && to.n_blocks == 0 && ox_kv_pool_n_free(other) == 3,
       "no room for four blocks in a pool of three: %s", err.message);
    OK(ox_kv_copy(&from, 2 * BLOCK + 1, &to, &err) == OX_OK && to.n_tokens == 2 * BLOCK + 1 && to.n_blocks == 3,
       "a copy in another pool");
    OK(hash_blocks(&to, to.n_tokens) == hash_blocks(&from, to.n_tokens), "the copy's bytes are the same");
    memset(ox_kv_keys(&to, 0, 0, 0), 0, DIM);
    OK(hash_blocks(&to, to.n_tokens) != hash_blocks(&from, to.n_tokens), "and its own");
    ox_kv_fini(&to);
    ox_kv_fini(&from);
    OK(ox_kv_pool_n_free(pool) == 6 && ox_kv_pool_n_free(other) == 3, "all blocks came back");
    ox_kv_pool_close(&other);
    ox_kv_pool_close(&pool);
    ox_team_close(&team);
}

/* Magnitudes, and that neither workers nor length matter. */
static void test_fill_random(enum ox_kv_format format)
{
    uint64_t hashes[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        static const size_t workers[4] = {1, 3, 1, 1};
        struct ox_kv_pool *pool = open_pool(format, 4);
        struct ox_team *team = NULL;
        struct ox_kv kv;
        struct ox_error err = {0};
        if (!OK(ox_team_open(NULL, workers[i], &team, &err) == OX_OK &&
                    ox_kv_init(pool, 4 * BLOCK, &kv, &err) == OX_OK &&
                    ox_kv_fill_random(&kv, i == 2 ? 2 * BLOCK : 4 * BLOCK, i == 3 ? 8 : 7, team, &err) == OX_OK,
                "filled: %s", err.message)) {
            return;
        }
        hashes[i] = hash_blocks(&kv, 2 * BLOCK);
        const uint8_t *values = ox_kv_index_keys(&kv, 1, 3);
        size_t n_good = 0;
        for (size_t k = 0; k < BLOCK * INDEX; k++) {
            float x = 0.0F;
            struct ox_bf16 half;
            memcpy(&half, values + 2 * k, sizeof half);
            memcpy(&x, values + (format == OX_KV_F32 ? 4 * k : 0), sizeof x);
            const float value = format == OX_KV_F32 ? x : ox_f32_from_bf16(half);
            n_good += (value >= 0.5F && value < 1.0F) || (value <= -0.5F && value > -1.0F) ? 1 : 0;
        }
        IS_INT(n_good, BLOCK * INDEX, "magnitudes from 0.5 to 1");
        ox_kv_fini(&kv);
        ox_kv_pool_close(&pool);
        ox_team_close(&team);
    }
    OK(hashes[0] == hashes[1] && hashes[0] == hashes[2], "%s: the same from 1 or 3 workers, for any length",
       ox_kv_format_name(format));
    OK(hashes[0] != hashes[3], "%s: another seed, other values", ox_kv_format_name(format));
}

/* Blocks that a store keeps between timelines. */
static void test_keep(void)
{
    struct ox_kv_pool *pool = open_pool(OX_KV_BF16, 4);
    const size_t block_bytes = ox_kv_pool_layout(pool)->block_bytes;
    struct ox_kv a;
    struct ox_kv b;
    struct ox_error err = {0};
    uint32_t own = 0;
    OK(ox_kv_init(pool, 2 * BLOCK, &a, &err) == OX_OK && ox_kv_init(pool, 2 * BLOCK, &b, &err) == OX_OK &&
           ox_kv_reserve(&a, BLOCK, &err) == OX_OK,
       "a block in use");
    a.n_tokens = BLOCK;
    const uint32_t id = a.block_ids[0];
    memset(ox_kv_pool_bytes(pool, id), 7, block_bytes);
    ox_kv_pool_hold(pool, id);
    IS_INT(ox_kv_pool_n_references(pool, id), 2, "held once more");
    ox_kv_rewind(&a, 0);
    OK(ox_kv_pool_n_free(pool) == 3 && ox_kv_pool_n_references(pool, id) == 1, "it outlives its timeline");
    OK(ox_kv_adopt(&b, id, &err) == OX_OK && b.n_tokens == BLOCK && b.block_ids[0] == id &&
           ox_kv_pool_n_references(pool, id) == 2 && *(const uint8_t *)ox_kv_keys(&b, 0, 0, 0) == 7,
       "another one begins with it");
    OK(ox_kv_pool_take(pool, &own) && ox_kv_pool_n_free(pool) == 2 && own != id, "a block of one's own");
    ox_kv_exchange(&b, 0, own);
    OK(b.block_ids[0] == own && ox_kv_pool_n_references(pool, own) == 2 && ox_kv_pool_n_references(pool, id) == 1,
       "exchanged");
    OK(ox_kv_adopt(&b, id, &err) == OX_OK && ox_kv_adopt(&b, id, &err) == OX_E_STATE && b.n_tokens == 2 * BLOCK,
       "a timeline that is full: %s", err.message);
    ox_kv_fini(&a);
    ox_kv_fini(&b);
    ox_kv_pool_drop(pool, id);
    ox_kv_pool_drop(pool, own);
    IS_INT(ox_kv_pool_n_free(pool), 4, "all are free again");
    for (size_t i = 0; i < 4; i++) {
        OK(ox_kv_pool_take(pool, &own), "block %zu", i);
    }
    OK(!ox_kv_pool_take(pool, &own), "and no fifth");
    ox_kv_pool_close(&pool);
}

int main(void)
{
    test_keep();
    test_copy();
    test_fill_random(OX_KV_BF16);
    test_fill_random(OX_KV_F32);
    test_formats();
    test_layout(OX_KV_F32, 4);
    test_layout(OX_KV_BF16, 2);
    test_reserve_rewind();
    test_share();
    test_exhaustion();
    test_random();
    return tap_done();
}
