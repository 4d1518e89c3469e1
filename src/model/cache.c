/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of the KV cache in one large region, handed out by number and counted.
 */
#include "model/cache.h"

#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "base/rng.h"

struct ox_kv_pool {
    struct ox_kv_layout layout;
    struct ox_region region;
    uint32_t *n_references; /* [n_blocks], 0: free */
    uint32_t *free_ids;     /* stack of n_free */
    size_t n_free;
    size_t n_blocks;
};

bool ox_kv_format_parse(struct ox_str name, enum ox_kv_format *out)
{
    if (ox_str_is(name, "f32")) {
        *out = OX_KV_F32;
        return true;
    }
    if (ox_str_is(name, "bf16")) {
        *out = OX_KV_BF16;
        return true;
    }
    return false;
}

const char *ox_kv_format_name(enum ox_kv_format format)
{
    return format == OX_KV_F32 ? "f32" : "bf16";
}

enum ox_status ox_kv_layout_init(const struct ox_config *config, enum ox_kv_format format, struct ox_kv_layout *out,
                                 struct ox_error *err)
{
    memset(out, 0, sizeof *out);
    out->format = format;
    out->block = config->block;
    out->n_kv_heads = config->n_kv_heads;
    out->head_dim = config->head_dim;
    out->element_bytes = format == OX_KV_F32 ? 4 : 2;
    out->n_layers = config->n_layers;
    size_t at = 0;
    for (size_t l = 0; l < config->n_layers; l++) {
        out->layer_at[l] = at;
        out->has_index[l] = config->sparse_layer[l];
        size_t elements;
        size_t index;
        const bool sparse = config->sparse_layer[l];
        if (sparse) {
            out->index_dim = config->index_dim;
        }
        if (ox_ckd_mul(&elements, 2 * config->head_dim, config->n_kv_heads) ||
            ox_ckd_add(&elements, elements, sparse ? config->index_dim : 0) ||
            ox_ckd_mul(&elements, elements, config->block) || ox_ckd_mul(&index, elements, out->element_bytes) ||
            ox_ckd_add(&at, at, index) || ox_ckd_round_up(&at, at, OX_ALIGN)) {
            return ox_error_set(err, OX_E_LIMIT, "KV cache: one block of %zu tokens exceeds the address space",
                                config->block);
        }
    }
    out->block_bytes = at;
    return OX_OK;
}

uint64_t ox_kv_token_bytes(const struct ox_kv_layout *layout)
{
    return (layout->block_bytes + layout->block - 1) / layout->block;
}

enum ox_status ox_kv_pool_open(const struct ox_kv_layout *layout, size_t n_blocks, struct ox_kv_pool **out,
                               struct ox_error *err)
{
    size_t bytes;
    if (n_blocks > UINT32_MAX || ox_ckd_mul(&bytes, n_blocks, layout->block_bytes)) {
        return ox_error_set(err, OX_E_LIMIT, "KV cache: %zu blocks of %zu bytes exceed the address space", n_blocks,
                            layout->block_bytes);
    }
    struct ox_kv_pool *pool = ox_calloc(1, sizeof *pool);
    if (pool == NULL) {
        return ox_error_nomem(err, sizeof *pool);
    }
    pool->layout = *layout;
    pool->n_blocks = n_blocks;
    pool->n_references = ox_calloc(n_blocks, sizeof *pool->n_references);
    pool->free_ids = ox_calloc(n_blocks, sizeof *pool->free_ids);
    enum ox_status status = OX_OK;
    if (pool->n_references == NULL || pool->free_ids == NULL) {
        status = ox_error_nomem(err, n_blocks * sizeof *pool->free_ids);
    } else {
        status = ox_region_open(bytes, &pool->region, err);
    }
    if (status != OX_OK) {
        ox_kv_pool_close(&pool);
        return status;
    }
    /* low numbers first, so that a short timeline touches little memory */
    for (size_t i = 0; i < n_blocks; i++) {
        pool->free_ids[i] = (uint32_t)(n_blocks - 1 - i);
    }
    pool->n_free = n_blocks;
    *out = pool;
    return OX_OK;
}

void ox_kv_pool_close(struct ox_kv_pool **pool)
{
    if (*pool == NULL) {
        return;
    }
    ox_region_close(&(*pool)->region);
    ox_free((*pool)->n_references);
    ox_free((*pool)->free_ids);
    ox_free(*pool);
    *pool = NULL;
}

size_t ox_kv_pool_n_free(const struct ox_kv_pool *pool)
{
    return pool->n_free;
}

const struct ox_kv_layout *ox_kv_pool_layout(const struct ox_kv_pool *pool)
{
    return &pool->layout;
}

static uint32_t take_block(struct ox_kv_pool *pool)
{
    const uint32_t id = pool->free_ids[--pool->n_free];
    pool->n_references[id] = 1;
    return id;
}

static void give_block(struct ox_kv_pool *pool, uint32_t id)
{
    OX_CHECK(pool->n_references[id] > 0);
    if (--pool->n_references[id] == 0) {
        pool->free_ids[pool->n_free++] = id;
    }
}

static uint8_t *block_at(const struct ox_kv_pool *pool, uint32_t id)
{
    return pool->region.ptr + (size_t)id * pool->layout.block_bytes;
}

bool ox_kv_pool_take(struct ox_kv_pool *pool, uint32_t *id)
{
    if (pool->n_free == 0) {
        return false;
    }
    *id = take_block(pool);
    return true;
}

void ox_kv_pool_hold(struct ox_kv_pool *pool, uint32_t id)
{
    OX_CHECK(pool->n_references[id] > 0);
    pool->n_references[id]++;
}

void ox_kv_pool_drop(struct ox_kv_pool *pool, uint32_t id)
{
    give_block(pool, id);
}

uint32_t ox_kv_pool_n_references(const struct ox_kv_pool *pool, uint32_t id)
{
    return pool->n_references[id];
}

uint8_t *ox_kv_pool_bytes(const struct ox_kv_pool *pool, uint32_t id)
{
    return block_at(pool, id);
}

enum ox_status ox_kv_init(struct ox_kv_pool *pool, size_t max_tokens, struct ox_kv *out, struct ox_error *err)
{
    memset(out, 0, sizeof *out);
    out->pool = pool;
    out->max_blocks = max_tokens / pool->layout.block + (max_tokens % pool->layout.block != 0 ? 1 : 0);
    out->block_ids = ox_calloc(out->max_blocks, sizeof *out->block_ids);
    return out->block_ids != NULL ? OX_OK : ox_error_nomem(err, out->max_blocks * sizeof *out->block_ids);
}

void ox_kv_fini(struct ox_kv *kv)
{
    if (kv->pool != NULL) {
        ox_kv_rewind(kv, 0);
    }
    ox_free(kv->block_ids);
    memset(kv, 0, sizeof *kv);
}

enum ox_status ox_kv_reserve(struct ox_kv *kv, size_t n, struct ox_error *err)
{
    struct ox_kv_pool *pool = kv->pool;
    const size_t block = pool->layout.block;
    const size_t end = kv->n_tokens + n;
    const size_t need = end / block + (end % block != 0 ? 1 : 0);
    const size_t own = kv->n_tokens / block; /* first block that will be written */
    const bool copy = n > 0 && own < kv->n_blocks && pool->n_references[kv->block_ids[own]] > 1;
    const size_t more = (need > kv->n_blocks ? need - kv->n_blocks : 0) + (copy ? 1 : 0);
    if (need > kv->max_blocks || more > pool->n_free) {
        return ox_error_set(err, OX_E_STATE, "KV cache: no room for %zu more tokens after %zu", n, kv->n_tokens);
    }
    if (copy) {
        const uint32_t id = take_block(pool);
        memcpy(block_at(pool, id), block_at(pool, kv->block_ids[own]), pool->layout.block_bytes);
        give_block(pool, kv->block_ids[own]);
        kv->block_ids[own] = id;
    }
    while (kv->n_blocks < need) {
        kv->block_ids[kv->n_blocks++] = take_block(pool);
    }
    return OX_OK;
}

void ox_kv_rewind(struct ox_kv *kv, size_t n_tokens)
{
    const size_t block = kv->pool->layout.block;
    OX_CHECK(n_tokens <= kv->n_tokens);
    const size_t keep = n_tokens / block + (n_tokens % block != 0 ? 1 : 0);
    while (kv->n_blocks > keep) {
        give_block(kv->pool, kv->block_ids[--kv->n_blocks]);
    }
    kv->n_tokens = n_tokens;
}

enum ox_status ox_kv_adopt(struct ox_kv *kv, uint32_t id, struct ox_error *err)
{
    const size_t block = kv->pool->layout.block;
    OX_CHECK(kv->n_tokens == kv->n_blocks * block);
    if (kv->n_blocks == kv->max_blocks) {
        return ox_error_set(err, OX_E_STATE, "KV cache: a timeline of %zu blocks is full", kv->max_blocks);
    }
    ox_kv_pool_hold(kv->pool, id);
    kv->block_ids[kv->n_blocks++] = id;
    kv->n_tokens += block;
    return OX_OK;
}

void ox_kv_exchange(struct ox_kv *kv, size_t b, uint32_t id)
{
    OX_CHECK(b < kv->n_blocks);
    ox_kv_pool_hold(kv->pool, id);
    give_block(kv->pool, kv->block_ids[b]);
    kv->block_ids[b] = id;
}

enum ox_status ox_kv_share(const struct ox_kv *from, size_t n_tokens, struct ox_kv *to, struct ox_error *err)
{
    const size_t block = from->pool->layout.block;
    const size_t need = n_tokens / block + (n_tokens % block != 0 ? 1 : 0);
    OX_CHECK(n_tokens <= from->n_tokens && to->n_tokens == 0 && to->pool == from->pool);
    if (need > to->max_blocks) {
        return ox_error_set(err, OX_E_STATE, "KV cache: a timeline of %zu blocks cannot hold %zu tokens", to->max_blocks,
                            n_tokens);
    }
    ox_kv_rewind(to, 0);
    for (size_t b = 0; b < need; b++) {
        to->block_ids[b] = from->block_ids[b];
        from->pool->n_references[from->block_ids[b]]++;
    }
    to->n_blocks = need;
    to->n_tokens = n_tokens;
    return OX_OK;
}

enum ox_status ox_kv_copy(const struct ox_kv *from, size_t n_tokens, struct ox_kv *to, struct ox_error *err)
{
    const size_t block_bytes = from->pool->layout.block_bytes;
    OX_CHECK(n_tokens <= from->n_tokens && to->n_tokens == 0 && block_bytes == to->pool->layout.block_bytes);
    const enum ox_status status = ox_kv_reserve(to, n_tokens, err);
    if (status != OX_OK) {
        return status;
    }
    const size_t block = from->pool->layout.block;
    const size_t n = n_tokens / block + (n_tokens % block != 0 ? 1 : 0);
    for (size_t b = 0; b < n; b++) {
        memcpy(block_at(to->pool, to->block_ids[b]), block_at(from->pool, from->block_ids[b]), block_bytes);
    }
    to->n_tokens = n_tokens;
    return OX_OK;
}

struct random_fill {
    const struct ox_kv *kv;
    uint64_t seed;
};

/* Sign and mantissa are random, the exponent that of [0.5, 1). A worker's blocks get their memory from its node. */
static void fill_blocks(void *argument, const struct ox_worker *worker)
{
    const struct random_fill *fill = argument;
    const struct ox_kv_layout *layout = &fill->kv->pool->layout;
    const bool wide = layout->format == OX_KV_F32;
    const uint64_t keep = wide ? 0x807FFFFF807FFFFFU : 0x807F807F807F807FU;
    const uint64_t set = wide ? 0x3F0000003F000000U : 0x3F003F003F003F00U;
    for (size_t b = worker->i_worker; b < fill->kv->n_blocks; b += worker->n_workers) {
        uint8_t *p = block_at(fill->kv->pool, fill->kv->block_ids[b]);
        struct ox_rng rng;
        ox_rng_init(&rng, fill->seed + b * 0x9E3779B97F4A7C15U);
        /* block_bytes is a multiple of 64 */
        for (size_t i = 0; i < layout->block_bytes; i += sizeof(uint64_t)) {
            const uint64_t word = (ox_rng_next(&rng) & keep) | set;
            memcpy(p + i, &word, sizeof word);
        }
    }
}

enum ox_status ox_kv_fill_random(struct ox_kv *kv, size_t n_tokens, uint64_t seed, struct ox_team *team,
                                 struct ox_error *err)
{
    OX_CHECK(kv->n_tokens == 0);
    const enum ox_status status = ox_kv_reserve(kv, n_tokens, err);
    if (status == OX_OK) {
        struct random_fill fill = {kv, seed};
        ox_team_run(team, fill_blocks, &fill);
        kv->n_tokens = n_tokens;
    }
    return status;
}

/* Element `at` of layer's part of block b. */
static void *element(const struct ox_kv *kv, size_t b, size_t layer, size_t at)
{
    const struct ox_kv_layout *layout = &kv->pool->layout;
    OX_CHECK(b < kv->n_blocks);
    return block_at(kv->pool, kv->block_ids[b]) + layout->layer_at[layer] + at * layout->element_bytes;
}

void *ox_kv_keys(const struct ox_kv *kv, size_t b, size_t layer, size_t g)
{
    const struct ox_kv_layout *layout = &kv->pool->layout;
    return element(kv, b, layer, g * layout->block * layout->head_dim);
}

void *ox_kv_values(const struct ox_kv *kv, size_t b, size_t layer, size_t g)
{
    const struct ox_kv_layout *layout = &kv->pool->layout;
    return element(kv, b, layer, (layout->n_kv_heads + g) * layout->block * layout->head_dim);
}

void *ox_kv_index_keys(const struct ox_kv *kv, size_t b, size_t layer)
{
    const struct ox_kv_layout *layout = &kv->pool->layout;
    return element(kv, b, layer, 2 * layout->n_kv_heads * layout->block * layout->head_dim);
}
