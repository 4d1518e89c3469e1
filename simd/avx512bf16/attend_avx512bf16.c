/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over one block at level avx512bf16; equal to simd/c/attend_c.c on rounded queries within BOUND, where
 * weights are rounded to BF16 before they meet BF16 values.
 *
 * Scores: pairs of columns of 32 keys at a time are turned to [pairs][32 keys] once and serve all queries; a score is
 * one chain of VDPBF16PS over the columns in order, keys side by side, four queries interleaved. Values: VDPBF16PS over
 * pairs of keys in order, 32 dimensions of eight queries at a time. Both orders depend on the shape alone. Keys and
 * values that are F32 are the level below's affair, which gets the queries widened.
 */
#include <math.h>

#include "simd/avx512bf16/vector_avx512bf16.h"
#include "simd/kernels.h"
#include "simd/wide/exp_wide.inc"

/* Columns of keys turned at a time, and keys: 16 KiB. */
#define STRETCH 256
#define KEYS 32
#define QUERIES 4
#define VALUE_QUERIES 8
/* Queries whose scores are kept at a time. */
#define BATCH 64

/* A query in its operand: where its blocks begin, and how far apart they are. */
struct query {
    const uint8_t *block;
    size_t stride;
};

/* Query i of the tokens' n_heads each; pack_avx512bf16.c says how they lie. */
OX_INLINE struct query query_of(const uint8_t *const *q, size_t i, size_t n_heads, size_t dim)
{
    const size_t h = i % n_heads;
    const size_t first = h / TILE_TOKENS * TILE_TOKENS;
    const size_t n_tile = n_heads - first < TILE_TOKENS ? n_heads - first : TILE_TOKENS;
    const uint8_t *tile = q[i / n_heads] + first * ox_n_blocks(dim) * BLOCK_BYTES;
    const struct query query = {tile + (h - first) * BLOCK_BYTES, n_tile * BLOCK_BYTES};
    return query;
}

/* Columns [from, from + len) of keys [j, j + n), n <= 16, to turned [pairs of len, rounded up to 32][KEYS] from lane
 * `lane` on, zeros where there is none. */
OX_INLINE void turn_keys(const uint8_t *keys, size_t j, size_t n, size_t dim, size_t from, size_t len, size_t lane,
                         uint32_t *turned)
{
    for (size_t k = 0; k < len; k += BLOCK_COLS) {
        const size_t width = len - k < BLOCK_COLS ? len - k : BLOCK_COLS;
        ox_vf v[16];
        for (size_t i = 0; i < 16; i++) {
            const uint8_t *row = keys + ((j + i) * dim + from + k) * 2;
            __m512i pairs = _mm512_setzero_si512();
            if (i < n) {
                pairs = width < BLOCK_COLS ? ox_load_pairs_n(row, width) : ox_load_pairs(row);
            }
            v[i] = _mm512_castsi512_ps(pairs);
        }
        ox_v_transpose(v);
        for (size_t i = 0; i < 16; i++) {
            _mm512_store_ps((void *)(turned + (k / 2 + i) * KEYS + lane), v[i]);
        }
    }
}

/* What is asked for while scores are made, a line a step: the next keys, then the first line of each value. */
struct ahead {
    const uint8_t *at[2];
    size_t step_bytes[2];
    size_t left[2]; /* lines */
};

/* Take up to n lines of one kind; if there are none, some line that is there. */
OX_INLINE const uint8_t *take_ahead(struct ahead *ahead, size_t n, const void *there, size_t *step_bytes)
{
    const size_t i = ahead->left[0] > 0 ? 0 : 1;
    const uint8_t *at = ahead->at[i];
    const size_t taken = n < ahead->left[i] ? n : ahead->left[i];
    *step_bytes = taken > 0 ? ahead->step_bytes[i] : 0;
    ahead->at[i] += taken * ahead->step_bytes[i];
    ahead->left[i] -= taken;
    return taken > 0 ? at : there;
}

/* sums[i] += columns of Q queries . turned keys; block b is the first. */
OX_INLINE void score_queries(const struct query *q, size_t b, size_t Q, const uint32_t *turned, size_t len,
                             struct ahead *next, ox_vf sums[][2])
{
    size_t step_bytes;
    const size_t n_steps = (len + BLOCK_COLS - 1) / BLOCK_COLS * (BLOCK_COLS / 2);
    const uint8_t *ahead = take_ahead(next, n_steps, turned, &step_bytes);
    ox_vf sum[QUERIES][2];
    OX_UNROLL
    for (size_t i = 0; i < Q; i++) {
        sum[i][0] = sums[i][0];
        sum[i][1] = sums[i][1];
    }
    for (size_t k = 0; k < len; k += BLOCK_COLS) {
        const uint8_t *from[QUERIES];
        OX_UNROLL
        for (size_t i = 0; i < Q; i++) {
            from[i] = q[i].block + (b + k / BLOCK_COLS) * q[i].stride;
        }
        for (size_t p = 0; p < BLOCK_COLS / 2; p++) {
            _mm_prefetch((const char *)ahead, _MM_HINT_T0);
            ahead += step_bytes;
            const __m512i low = _mm512_load_si512((const void *)(turned + (k / 2 + p) * KEYS));
            const __m512i high = _mm512_load_si512((const void *)(turned + (k / 2 + p) * KEYS + 16));
            OX_UNROLL
            for (size_t i = 0; i < Q; i++) {
                uint32_t pair;
                memcpy(&pair, from[i] + 4 * p, sizeof pair);
                const __m512i column = _mm512_set1_epi32((int32_t)pair);
                sum[i][0] = ox_dot_pairs(sum[i][0], column, low);
                sum[i][1] = ox_dot_pairs(sum[i][1], column, high);
            }
        }
    }
    OX_UNROLL
    for (size_t i = 0; i < Q; i++) {
        sums[i][0] = sum[i][0];
        sums[i][1] = sum[i][1];
    }
}

/* All scores of n_q queries with keys [j, j + n), scaled, to scores [n_q][row] from column j on. */
OX_INLINE void score_keys(const struct query *q, size_t n_q, const uint8_t *keys, size_t j, size_t n, size_t dim,
                          float scale, struct ahead *next, float *scores, size_t row)
{
    _Alignas(64) uint32_t turned[STRETCH / 2 * KEYS];
    ox_vf sums[BATCH][2];
    for (size_t i = 0; i < n_q; i++) {
        sums[i][0] = ox_v_zero();
        sums[i][1] = ox_v_zero();
    }
    for (size_t k = 0; k < dim; k += STRETCH) {
        const size_t len = dim - k < STRETCH ? dim - k : STRETCH;
        turn_keys(keys, j, n < 16 ? n : 16, dim, k, len, 0, turned);
        turn_keys(keys, j + 16, n < 16 ? 0 : n - 16, dim, k, len, 16, turned);
        size_t i = 0;
        for (; i + QUERIES <= n_q; i += QUERIES) {
            score_queries(q + i, k / BLOCK_COLS, QUERIES, turned, len, next, sums + i);
        }
        for (; i < n_q; i++) {
            score_queries(q + i, k / BLOCK_COLS, 1, turned, len, next, sums + i);
        }
    }
    for (size_t i = 0; i < n_q; i++) {
        ox_v_store(scores + i * row + j, ox_v_mul(sums[i][0], ox_v_set(scale)));
        ox_v_store(scores + i * row + j + 16, ox_v_mul(sums[i][1], ox_v_set(scale)));
    }
}

/* Scores of one query, of which n count, to weights exp(score - largest) as BF16, in place from the row's begin; the
 * others become 0. */
OX_INLINE struct ox_softmax weigh(float *scores, size_t row, size_t n)
{
    struct ox_softmax soft;
    ox_vf largest = ox_v_set(-INFINITY);
    for (size_t j = n; j < row; j++) {
        scores[j] = -INFINITY;
    }
    for (size_t j = 0; j < row; j += 16) {
        largest = ox_v_max(ox_v_load(scores + j), largest);
    }
    soft.max = ox_v_reduce_max(largest);
    ox_vf sum = ox_v_zero();
    for (size_t j = 0; j < row; j += KEYS) {
        const ox_vf low = ox_exp_wide(ox_v_sub(ox_v_load(scores + j), ox_v_set(soft.max)));
        const ox_vf high = ox_exp_wide(ox_v_sub(ox_v_load(scores + j + 16), ox_v_set(soft.max)));
        sum = ox_v_add(ox_v_add(sum, low), high);
        _mm512_storeu_si512((void *)((uint8_t *)scores + 2 * j), ox_round_pairs(low, high));
    }
    soft.sum = ox_v_reduce_add(sum);
    return soft;
}

/* 32 dimensions of a value, the last `width` < 32 with zeros behind them. */
OX_INLINE __m512i load_value(const uint8_t *values, size_t j, size_t dim, size_t from, size_t width)
{
    const uint8_t *p = values + (j * dim + from) * 2;
    return width < BLOCK_COLS ? ox_load_pairs_n(p, width) : ox_load_pairs(p);
}

/* Dimensions [from, from + width) of sum [Q][dim] <- weights x values. Unpacking leaves dimensions 0-3, 8-11 .. in one
 * vector and 4-7, 12-15 .. in the other. */
OX_INLINE void values_tile(const float *scores, size_t row, size_t Q, const uint8_t *values, size_t n_keys, size_t dim,
                           size_t from, size_t width, float *sum)
{
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i second = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
    ox_vf out[VALUE_QUERIES][2];
    OX_UNROLL
    for (size_t i = 0; i < Q; i++) {
        out[i][0] = ox_v_zero();
        out[i][1] = ox_v_zero();
    }
    for (size_t j = 0; j < n_keys; j += 2) {
        /* what the next dimensions need */
        _mm_prefetch((const char *)values + (j * dim + from) * 2 + 64, _MM_HINT_T0);
        _mm_prefetch((const char *)values + ((j + 1) * dim + from) * 2 + 64, _MM_HINT_T0);
        const __m512i a = load_value(values, j, dim, from, width);
        const __m512i b = j + 1 < n_keys ? load_value(values, j + 1, dim, from, width) : _mm512_setzero_si512();
        const __m512i low = _mm512_unpacklo_epi16(a, b);
        const __m512i high = _mm512_unpackhi_epi16(a, b);
        OX_UNROLL
        for (size_t i = 0; i < Q; i++) {
            uint32_t pair;
            memcpy(&pair, (const uint8_t *)(scores + i * row) + 2 * j, sizeof pair);
            const __m512i weights = _mm512_set1_epi32((int32_t)pair);
            out[i][0] = ox_dot_pairs(out[i][0], weights, low);
            out[i][1] = ox_dot_pairs(out[i][1], weights, high);
        }
    }
    const __mmask16 low_mask = (__mmask16)(width < 16 ? (1U << width) - 1U : 0xFFFFU);
    const __mmask16 high_mask = (__mmask16)(width < 16 ? 0U : (1U << (width - 16)) - 1U);
    OX_UNROLL
    for (size_t i = 0; i < Q; i++) {
        float *to = sum + i * dim + from;
        _mm512_mask_storeu_ps(to, low_mask, _mm512_permutex2var_ps(out[i][0], first, out[i][1]));
        _mm512_mask_storeu_ps(to + 16, high_mask, _mm512_permutex2var_ps(out[i][0], second, out[i][1]));
    }
}

/* All dimensions for Q queries. */
OX_INLINE void values_queries(const float *scores, size_t row, size_t Q, const uint8_t *values, size_t n_keys,
                              size_t dim, float *sum)
{
    size_t from = 0;
    for (; from + BLOCK_COLS <= dim; from += BLOCK_COLS) {
        values_tile(scores, row, Q, values, n_keys, dim, from, BLOCK_COLS, sum);
    }
    if (from < dim) {
        values_tile(scores, row, Q, values, n_keys, dim, from, dim - from, sum);
    }
}

/* Sums of a batch of queries: part_sum [n_q][dim] <- weights x values. */
OX_INLINE void values_batch(const float *scores, size_t row, size_t n_q, const uint8_t *values, size_t n_keys,
                            size_t dim, float *part_sum)
{
    size_t i = 0;
    for (; i + VALUE_QUERIES <= n_q; i += VALUE_QUERIES) {
        values_queries(scores + i * row, row, VALUE_QUERIES, values, n_keys, dim, part_sum + i * dim);
    }
    for (; i + 4 <= n_q; i += 4) {
        values_queries(scores + i * row, row, 4, values, n_keys, dim, part_sum + i * dim);
    }
    for (; i < n_q; i++) {
        values_queries(scores + i * row, row, 1, values, n_keys, dim, part_sum + i * dim);
    }
}

/* Columns of a row of scores: whole vectors of weights. */
OX_INLINE size_t row_length(size_t n_keys)
{
    return (n_keys + KEYS - 1) / KEYS * KEYS;
}

OX_INLINE size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* A batch's scores, then its sums; or widened queries, then what the level below needs. */
size_t OX_PAIRS_LEVEL(ox_attend_room)(size_t n_heads, size_t n_keys, size_t dim)
{
    const size_t own = BATCH * (row_length(n_keys) + dim) * sizeof(float);
    const size_t widened = (larger(n_heads, BATCH) * dim * sizeof(float) + 63) / 64 * 64;
    return larger(own, widened + OX_LEVEL(ox_attend_room)(n_heads, n_keys, dim));
}

void OX_PAIRS_LEVEL(ox_attend_bf16)(OX_ATTEND_PARAMETERS)
{
    const size_t row = row_length(n_keys);
    const size_t n_q = n_tokens * n_heads;
    float *scores = room;
    float *part_sum = scores + BATCH * row;
    struct ox_softmax part[BATCH];
    struct query query[BATCH];
    for (size_t q0 = 0; q0 < n_q; q0 += BATCH) {
        const size_t batch = n_q - q0 < BATCH ? n_q - q0 : BATCH;
        for (size_t i = 0; i < batch; i++) {
            query[i] = query_of(q, q0 + i, n_heads, dim);
        }
        for (size_t j = 0; j < n_keys; j += KEYS) {
            const size_t n = n_keys - j < KEYS ? n_keys - j : KEYS;
            const size_t row_bytes = dim * 2;
            struct ahead next = {{(const uint8_t *)keys + (j + n) * row_bytes, (const uint8_t *)values + j * row_bytes},
                                 {64, row_bytes},
                                 {0, 0}};
            if (q0 == 0) {
                next.left[0] = ((n_keys - j - n < KEYS ? n_keys - j - n : KEYS) * row_bytes + 63) / 64;
                next.left[1] = n;
            }
            score_keys(query, batch, keys, j, n, dim, scale, &next, scores, row);
        }
        for (size_t i = 0; i < batch; i++) {
            part[i] = weigh(scores + i * row, row, n_seen[(q0 + i) / n_heads]);
        }
        values_batch(scores, row, batch, values, n_keys, dim, part_sum);
        for (size_t i = 0; i < batch;) {
            const struct ox_gathered *to = &gathered[(q0 + i) / n_heads];
            const size_t h = (q0 + i) % n_heads;
            const size_t n = n_heads - h < batch - i ? n_heads - h : batch - i;
            OX_LEVEL(ox_attend_merge)(to->soft + h, to->sum + h * dim, part + i, part_sum + i * dim, n, dim);
            i += n;
        }
    }
}

/* n_heads queries of one token as F32 to out [n_heads, dim]. */
OX_INLINE void widen_queries(const uint8_t *const *q, size_t t, size_t n_heads, size_t dim, float *out)
{
    for (size_t h = 0; h < n_heads; h++) {
        const struct query query = query_of(q, t * n_heads + h, n_heads, dim);
        for (size_t k = 0; k < dim; k += 16) {
            const ox_vf v = ox_v_load_bf16(query.block + k / BLOCK_COLS * query.stride + k % BLOCK_COLS * 2);
            const size_t left = dim - k;
            _mm512_mask_storeu_ps(out + h * dim + k, (__mmask16)(left < 16 ? (1U << left) - 1U : 0xFFFFU), v);
        }
    }
}

void OX_PAIRS_LEVEL(ox_attend_f32)(OX_ATTEND_PARAMETERS)
{
    float *widened = room;
    uint8_t *rest = (uint8_t *)room + (larger(n_heads, BATCH) * dim * sizeof(float) + 63) / 64 * 64;
    const size_t most = n_heads < BATCH ? BATCH / n_heads : 1;
    const uint8_t *operand[BATCH];
    for (size_t t0 = 0; t0 < n_tokens; t0 += most) {
        const size_t n = n_tokens - t0 < most ? n_tokens - t0 : most;
        for (size_t t = 0; t < n; t++) {
            float *to = widened + t * n_heads * dim;
            widen_queries(q, t0 + t, n_heads, dim, to);
            operand[t] = (const uint8_t *)to;
        }
        OX_LEVEL(ox_attend_f32)(operand, gathered + t0, n_seen + t0, n, n_heads, keys, values, n_keys, dim, scale,
                                rest);
    }
}
