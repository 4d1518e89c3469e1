/* SPDX-License-Identifier: Apache-2.0
 *
 * The KV cache: blocks of `block` tokens (the block of sparse attention), each holding for every layer the keys and
 * values of all KV heads and, for sparse layers, the index keys. A full block never changes; blocks are counted
 * references, so that timelines with a common beginning can share them.
 *
 * Inside a block, for each layer one after the other, in the cache's storage format:
 *     keys [n_kv_heads, block, head_dim], values [n_kv_heads, block, head_dim], index keys [block, index_dim]
 * Source of what is stored: text-model.md 5.4 (after norm and rotary embedding).
 */
#ifndef OX_MODEL_CACHE_H
#define OX_MODEL_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "os/memory.h"
#include "os/team.h"
#include "weights/config.h"

enum ox_kv_format { OX_KV_F32, OX_KV_BF16 };

/* "f32", "bf16"; false for any other name. */
bool ox_kv_format_parse(struct ox_str name, enum ox_kv_format *out);
const char *ox_kv_format_name(enum ox_kv_format format);

/* Where things lie in a block; fixed by the model and the format. */
struct ox_kv_layout {
    enum ox_kv_format format;
    size_t block;          /* tokens */
    size_t n_kv_heads;
    size_t head_dim;
    size_t index_dim;      /* 0 without sparse layers */
    size_t element_bytes;
    size_t block_bytes;    /* of all layers, a multiple of 64 */
    size_t n_layers;
    size_t layer_at[OX_MAX_LAYERS]; /* byte offset of layer l's part */
    bool has_index[OX_MAX_LAYERS];
};

enum ox_status ox_kv_layout_init(const struct ox_config *config, enum ox_kv_format format, struct ox_kv_layout *out,
                                 struct ox_error *err) OX_MUST_USE;

/* Bytes of one token in all layers (rounded up to whole bytes of a block's share). */
uint64_t ox_kv_token_bytes(const struct ox_kv_layout *layout);

/* A store of blocks of one layout: address space for n_blocks, memory only for those that were used. One thread at a
 * time. */
struct ox_kv_pool;

enum ox_status ox_kv_pool_open(const struct ox_kv_layout *layout, size_t n_blocks, struct ox_kv_pool **out,
                               struct ox_error *err) OX_MUST_USE;
void ox_kv_pool_close(struct ox_kv_pool **pool);
size_t ox_kv_pool_n_free(const struct ox_kv_pool *pool);
const struct ox_kv_layout *ox_kv_pool_layout(const struct ox_kv_pool *pool);

/* Blocks by themselves, for a store that keeps them between timelines. Each reference taken must be dropped once; a
 * block without any is free. take: false if none is free. */
bool ox_kv_pool_take(struct ox_kv_pool *pool, uint32_t *id) OX_MUST_USE;
void ox_kv_pool_hold(struct ox_kv_pool *pool, uint32_t id);
void ox_kv_pool_drop(struct ox_kv_pool *pool, uint32_t id);
uint32_t ox_kv_pool_n_references(const struct ox_kv_pool *pool, uint32_t id);
/* The block's bytes [block_bytes]. */
uint8_t *ox_kv_pool_bytes(const struct ox_kv_pool *pool, uint32_t id);

/* One timeline: the first n_tokens positions are there. blocks[b] holds positions b * block and on. */
struct ox_kv {
    struct ox_kv_pool *pool;
    uint32_t *block_ids; /* numbers in the pool */
    size_t n_blocks;
    size_t max_blocks;
    size_t n_tokens;
};

/* An empty timeline of at most max_tokens; the pool is borrowed. */
enum ox_status ox_kv_init(struct ox_kv_pool *pool, size_t max_tokens, struct ox_kv *out, struct ox_error *err)
    OX_MUST_USE;
/* Gives the blocks back. */
void ox_kv_fini(struct ox_kv *kv);

/* Make room for positions up to n_tokens + n (not yet counted as there). A last block that is shared is copied first.
 * OX_E_STATE if max_tokens or the pool is exhausted; the timeline is unchanged then. */
enum ox_status ox_kv_reserve(struct ox_kv *kv, size_t n, struct ox_error *err) OX_MUST_USE;

/* Keep the first n_tokens positions; whole blocks beyond them are given back. */
void ox_kv_rewind(struct ox_kv *kv, size_t n_tokens);

/* Append the full block `id` of the pool to a timeline of whole blocks, which takes a reference. OX_E_STATE beyond
 * max_tokens. */
enum ox_status ox_kv_adopt(struct ox_kv *kv, uint32_t id, struct ox_error *err) OX_MUST_USE;

/* Let block b be block `id` of the pool, which holds the same bytes; its own is given back. */
void ox_kv_exchange(struct ox_kv *kv, size_t b, uint32_t id);

/* Make `to` (empty) a second timeline over the first n_tokens positions of `from`, sharing its blocks. */
enum ox_status ox_kv_share(const struct ox_kv *from, size_t n_tokens, struct ox_kv *to, struct ox_error *err)
    OX_MUST_USE;

/* Make `to` (empty, of the same layout, maybe of another pool) a second timeline over the first n_tokens positions of
 * `from` with blocks of its own. OX_E_STATE if it or its pool is too small; `to` is unchanged then. */
enum ox_status ox_kv_copy(const struct ox_kv *from, size_t n_tokens, struct ox_kv *to, struct ox_error *err)
    OX_MUST_USE;

/* Make kv (empty) a timeline of n_tokens positions with random keys, values and index keys of magnitude 0.5 to 1, as if
 * as many tokens had been computed: for measuring. They depend on the seed and the position only. */
enum ox_status ox_kv_fill_random(struct ox_kv *kv, size_t n_tokens, uint64_t seed, struct ox_team *team,
                                 struct ox_error *err) OX_MUST_USE;

/* The part of block b of layer l: keys of KV head g, values of it, index keys; [block, dim] each. */
void *ox_kv_keys(const struct ox_kv *kv, size_t b, size_t layer, size_t g);
void *ox_kv_values(const struct ox_kv *kv, size_t b, size_t layer, size_t g);
void *ox_kv_index_keys(const struct ox_kv *kv, size_t b, size_t layer);

#endif
