/* SPDX-License-Identifier: Apache-2.0
 *
 * The index branch's best score of a block at level amx; equal to simd/c/attend_c.c's within BOUND, subnormal numbers
 * counting as 0. Sixteen keys of BF16 are the left side of a tile product as they lie in the cache, up to sixteen
 * queries in three pieces the right side: one chain over the columns in order, each step with all pieces. Sums stand as
 * [keys][queries], so that the largest needs no work across lanes. Keys of F32, and those whose dim no step divides, go
 * level avx512's way.
 */
#include <math.h>

#include "simd/amx/vector_amx.h"

/* Tiles: sums, keys, queries. */
#define SUM_0 0
#define SUM_1 1
#define SUM_2 2
#define SUM_3 3
#define LEFT_0 4
#define LEFT_1 5
#define RIGHT_0 6
#define RIGHT_1 7
#define MOST_TILES 4

/* Some queries of one group. */
struct range {
    const uint8_t *right; /* the first one's column in the first tile */
    size_t n_group;
    size_t n;
    size_t n_steps;
    size_t key_bytes;
};

OX_INLINE void configure(size_t n_keys, size_t n)
{
    struct ox_tile_config config = {.palette = 1};
    for (size_t i = SUM_0; i <= LEFT_1; i++) {
        config.rows[i] = (uint8_t)n_keys;
        config.colsb[i] = i <= SUM_3 ? (uint16_t)(4 * n) : OX_TILE_ROW_BYTES;
    }
    for (size_t i = RIGHT_0; i <= RIGHT_1; i++) {
        config.rows[i] = OX_TILE_ROWS_MAX;
        config.colsb[i] = (uint16_t)(4 * n);
    }
    ox_tile_configure(&config);
}

/* T x 16 keys (or as many as configured) x the queries to sums [T][16][n]. Meanwhile n_ahead bytes behind them come
 * from memory, a share with each multiplication. */
OX_INLINE void score_tiles(const struct range *q, size_t T, const uint8_t *keys, size_t n_ahead, float *sums)
{
    const size_t share = n_ahead / (q->n_steps * PIECES) + 64;
    const uint8_t *ahead = keys + T * 16 * q->key_bytes;
    size_t fetched = 0;
    const size_t tile = 16 * q->key_bytes;
    const size_t stride = 4 * q->n_group;
    OX_TILE_ZERO(SUM_0);
    if (T > 1) {
        OX_TILE_ZERO(SUM_1);
        OX_TILE_ZERO(SUM_2);
        OX_TILE_ZERO(SUM_3);
    }
    for (size_t s = 0; s < q->n_steps; s++) {
        const uint8_t *left = keys + s * OX_TILE_ROW_BYTES;
        for (size_t p = 0; p < PIECES; p++) {
            for (const size_t end = least(fetched + share, n_ahead); fetched < end; fetched += 64) {
                _mm_prefetch((const void *)(ahead + fetched), _MM_HINT_T1);
            }
            OX_TILE_LOAD(RIGHT_0, q->right + (s * PIECES + p) * 16 * stride, stride);
            OX_TILE_LOAD(LEFT_0, left, q->key_bytes);
            OX_TILE_MULTIPLY(SUM_0, LEFT_0, RIGHT_0);
            if (T > 1) {
                OX_TILE_LOAD(LEFT_1, left + tile, q->key_bytes);
                OX_TILE_MULTIPLY(SUM_1, LEFT_1, RIGHT_0);
                OX_TILE_LOAD(LEFT_0, left + 2 * tile, q->key_bytes);
                OX_TILE_MULTIPLY(SUM_2, LEFT_0, RIGHT_0);
                OX_TILE_LOAD(LEFT_1, left + 3 * tile, q->key_bytes);
                OX_TILE_MULTIPLY(SUM_3, LEFT_1, RIGHT_0);
            }
        }
    }
    OX_TILE_STORE(SUM_0, sums, 4 * q->n);
    if (T > 1) {
        OX_TILE_STORE(SUM_1, sums + 16 * q->n, 4 * q->n);
        OX_TILE_STORE(SUM_2, sums + 32 * q->n, 4 * q->n);
        OX_TILE_STORE(SUM_3, sums + 48 * q->n, 4 * q->n);
    }
}

/* The largest of n_rows rows of scores and of `largest`; NaN never wins. */
OX_INLINE ox_vf max_rows(const float *sums, size_t n_rows, size_t n, ox_vf largest)
{
    const __mmask16 lanes = lanes_of(n);
    for (size_t i = 0; i < n_rows; i++) {
        largest = ox_v_max(_mm512_maskz_loadu_ps(lanes, sums + i * n), largest);
    }
    return largest;
}

OX_INLINE void max_range(const struct range *q, const uint8_t *keys, size_t n_keys, float *best, size_t best_stride)
{
    _Alignas(64) float sums[MOST_TILES * OX_TILE_BYTES / sizeof(float)];
    ox_vf largest = ox_v_set(-INFINITY);
    size_t i = 0;
    if (n_keys >= 16) {
        configure(16, q->n);
        for (; i + (size_t)MOST_TILES * 16 <= n_keys; i += (size_t)MOST_TILES * 16) {
            const size_t left = n_keys - i - (size_t)MOST_TILES * 16;
            score_tiles(q, MOST_TILES, keys + i * q->key_bytes, least(left, (size_t)MOST_TILES * 16) * q->key_bytes,
                        sums);
            largest = max_rows(sums, (size_t)MOST_TILES * 16, q->n, largest);
        }
        for (; i + 16 <= n_keys; i += 16) {
            score_tiles(q, 1, keys + i * q->key_bytes, 0, sums);
            largest = max_rows(sums, 16, q->n, largest);
        }
    }
    if (i < n_keys) {
        configure(n_keys - i, q->n);
        score_tiles(q, 1, keys + i * q->key_bytes, 0, sums);
        largest = max_rows(sums, n_keys - i, q->n, largest);
    }
    ox_v_store(sums, largest);
    for (size_t j = 0; j < q->n; j++) {
        best[j * best_stride] = sums[j];
    }
}

typedef void (*index_max_function)(OX_INDEX_MAX_PARAMETERS);

/* Group by group at level avx512, which takes the rows of F32 that stand before the pieces. */
OX_INLINE void index_max_rows(index_max_function function, OX_INDEX_MAX_PARAMETERS)
{
    const size_t end = first + n_q;
    for (size_t i = first; i < end;) {
        const size_t g = i / OX_GROUP_TOKENS * OX_GROUP_TOKENS;
        const size_t n = least(end, g + OX_GROUP_TOKENS) - i;
        function(q + g * exact_bytes(dim), group_tokens(n_all, g), i - g, n, keys, n_keys, dim,
                 best + (i - first) * best_stride, best_stride);
        i += n;
    }
}

void OX_LEVEL(ox_index_max_f32)(OX_INDEX_MAX_PARAMETERS)
{
    index_max_rows(OX_LEVEL_NAME(ox_index_max_f32, avx512), q, n_all, first, n_q, keys, n_keys, dim, best, best_stride);
}

void OX_LEVEL(ox_index_max_bf16)(OX_INDEX_MAX_PARAMETERS)
{
    const size_t end = first + n_q;
    if (dim % STEP_COLS != 0) {
        index_max_rows(OX_LEVEL_NAME(ox_index_max_bf16, avx512), q, n_all, first, n_q, keys, n_keys, dim, best,
                       best_stride);
        return;
    }
    for (size_t i = first; i < end;) {
        const size_t g = i / OX_GROUP_TOKENS * OX_GROUP_TOKENS;
        const size_t n_group = group_tokens(n_all, g);
        const struct range range = {.right = q + g * exact_bytes(dim) + n_group * dim * sizeof(float) + 4 * (i - g),
                                    .n_group = n_group,
                                    .n = least(end, g + OX_GROUP_TOKENS) - i,
                                    .n_steps = steps_of(dim),
                                    .key_bytes = dim * sizeof(struct ox_bf16)};
        max_range(&range, keys, n_keys, best + (i - first) * best_stride, best_stride);
        i += range.n;
    }
    ox_tile_release();
}
