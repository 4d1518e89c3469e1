/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over one block at level neonbf16; equal to simd/c/attend_c.c on rounded queries within BOUND, where weights
 * are rounded to BF16 before they meet BF16 values. Both halves are this level's products: keys are a matrix and
 * queries its tokens; values, turned once, are a matrix of dim rows and the packed weights its tokens. Keys and values
 * that are F32 are the level below's affair, which gets the queries widened.
 */
#include <math.h>

#include "simd/kernels.h"
#include "simd/neonbf16/vector_neonbf16.h"
#include "simd/wide/exp_wide.inc"

/* Queries whose scores are kept at a time, if a token has not more. */
#define BATCH 64

OX_INLINE size_t rounded_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* What the room is cut into, in bytes from its begin. */
struct layout {
    size_t n_q;     /* queries of a batch */
    size_t row;     /* columns of a row of scores */
    size_t weights; /* their operand */
    size_t turned;  /* values */
    size_t sums;    /* [n_q][dim], or the widened queries */
    size_t parts;   /* their softmax states */
    size_t end;
};

OX_INLINE struct layout layout_of(size_t n_heads, size_t n_keys, size_t dim)
{
    struct layout l;
    l.n_q = n_heads < BATCH ? BATCH / n_heads * n_heads : n_heads;
    l.row = rounded_up(n_keys, 4);
    l.weights = rounded_up(l.n_q * l.row * sizeof(float), 64);
    l.turned = l.weights + rounded_up(l.n_q * ox_row_bytes(n_keys), 64);
    l.sums = l.turned + rounded_up(dim * ox_row_bytes(n_keys), 64);
    l.parts = l.sums + rounded_up(l.n_q * dim * sizeof(float), 64);
    l.end = l.parts + rounded_up(l.n_q * sizeof(struct ox_softmax), 64);
    return l;
}

/* In place: lane j of v[i] to lane i of v[j]. */
OX_INLINE void transpose_eight(uint16x8_t *v)
{
    for (size_t i = 0; i < 8; i += 2) {
        const uint16x8x2_t t = vtrnq_u16(v[i], v[i + 1]);
        v[i] = t.val[0];
        v[i + 1] = t.val[1];
    }
    for (size_t i = 0; i < 8; i += i % 4 == 1 ? 3 : 1) {
        const uint32x4x2_t t = vtrnq_u32(vreinterpretq_u32_u16(v[i]), vreinterpretq_u32_u16(v[i + 2]));
        v[i] = vreinterpretq_u16_u32(t.val[0]);
        v[i + 2] = vreinterpretq_u16_u32(t.val[1]);
    }
    for (size_t i = 0; i < 4; i++) {
        const uint64x2_t a = vreinterpretq_u64_u16(v[i]);
        const uint64x2_t b = vreinterpretq_u64_u16(v[i + 4]);
        v[i] = vreinterpretq_u16_u64(vtrn1q_u64(a, b));
        v[i + 4] = vreinterpretq_u16_u64(vtrn2q_u64(a, b));
    }
}

/* values [n_keys, dim] to turned [dim][n_keys rounded up to 8], zeros behind the last key. */
static void turn_values(const uint8_t *values, size_t n_keys, size_t dim, uint16_t *turned)
{
    const size_t row = rounded_up(n_keys, 8);
    for (size_t j = 0; j < n_keys; j += 8) {
        for (size_t k = 0; k < dim; k += 8) {
            const size_t width = dim - k < 8 ? dim - k : 8;
            uint16x8_t v[8];
            for (size_t i = 0; i < 8; i++) {
                const uint8_t *from = values + ((j + i) * dim + k) * 2;
                v[i] = vdupq_n_u16(0);
                if (j + i < n_keys) {
                    v[i] = width < 8 ? ox_load_eight_n(from, width) : ox_load_eight(from);
                }
            }
            transpose_eight(v);
            for (size_t i = 0; i < width; i++) {
                vst1q_u16(turned + (k + i) * row + j, v[i]);
            }
        }
    }
}

/* Scores of one query, of which n count, to weights exp(scale * score - largest); the others become 0. */
OX_INLINE struct ox_softmax weigh(float *scores, size_t row, size_t n, float scale)
{
    struct ox_softmax soft;
    ox_vf largest = ox_v_set(-INFINITY);
    for (size_t j = 0; j < row; j += 4) {
        ox_v_store(scores + j, ox_v_mul(ox_v_load(scores + j), ox_v_set(scale)));
    }
    for (size_t j = n; j < row; j++) {
        scores[j] = -INFINITY;
    }
    for (size_t j = 0; j < row; j += 4) {
        largest = ox_v_max(ox_v_load(scores + j), largest);
    }
    soft.max = ox_v_reduce_max(largest);
    ox_vf sum = ox_v_zero();
    for (size_t j = 0; j < row; j += 4) {
        const ox_vf e = ox_exp_wide(ox_v_sub(ox_v_load(scores + j), ox_v_set(soft.max)));
        ox_v_store(scores + j, e);
        sum = ox_v_add(sum, e);
    }
    soft.sum = ox_v_reduce_add(sum);
    return soft;
}

/* Weights of n_q queries to their operand. */
OX_INLINE void pack_weights(const float *scores, size_t row, size_t n_q, size_t n_keys, uint8_t *operand)
{
    for (size_t i = 0; i < n_q; i += OX_GROUP_TOKENS) {
        const float *rows[OX_GROUP_TOKENS];
        const size_t n = n_q - i < OX_GROUP_TOKENS ? n_q - i : OX_GROUP_TOKENS;
        for (size_t r = 0; r < n; r++) {
            rows[r] = scores + (i + r) * row;
        }
        OX_PAIRS_LEVEL(ox_pack)(rows, n, 0, n_keys, n_keys, operand + i * ox_row_bytes(n_keys));
    }
}

size_t OX_PAIRS_LEVEL(ox_attend_room)(size_t n_heads, size_t n_keys, size_t dim)
{
    const struct layout l = layout_of(n_heads, n_keys, dim);
    return l.end + OX_LEVEL(ox_attend_room)(n_heads, n_keys, dim);
}

void OX_PAIRS_LEVEL(ox_attend_bf16)(OX_ATTEND_PARAMETERS)
{
    const struct layout l = layout_of(n_heads, n_keys, dim);
    float *scores = room;
    uint8_t *weights = (uint8_t *)room + l.weights;
    uint8_t *turned = (uint8_t *)room + l.turned;
    float *sums = (float *)(void *)((uint8_t *)room + l.sums);
    struct ox_softmax *parts = (struct ox_softmax *)(void *)((uint8_t *)room + l.parts);
    turn_values(values, n_keys, dim, (uint16_t *)(void *)turned);
    for (size_t t0 = 0; t0 < n_tokens; t0 += l.n_q / n_heads) {
        const size_t n = n_tokens - t0 < l.n_q / n_heads ? n_tokens - t0 : l.n_q / n_heads;
        for (size_t t = 0; t < n; t++) {
            float *own = scores + t * n_heads * l.row;
            OX_PAIRS_LEVEL(ox_product_bf16)(keys, 2 * dim, NULL, 0, n_keys, dim, q[t0 + t], n_heads, own, l.row);
            for (size_t h = 0; h < n_heads; h++) {
                parts[t * n_heads + h] = weigh(own + h * l.row, l.row, n_seen[t0 + t], scale);
            }
        }
        pack_weights(scores, l.row, n * n_heads, n_keys, weights);
        OX_PAIRS_LEVEL(ox_product_bf16)(turned, ox_row_bytes(n_keys), NULL, 0, dim, n_keys, weights, n * n_heads, sums,
                                        dim);
        for (size_t t = 0; t < n; t++) {
            const size_t i = t * n_heads;
            const struct ox_gathered *to = &gathered[t0 + t];
            OX_LEVEL(ox_attend_merge)(to->soft, to->sum, parts + i, sums + i * dim, n_heads, dim);
        }
    }
}

/* n_heads queries as F32 to out [n_heads, dim]. */
OX_INLINE void widen_queries(const uint8_t *q, size_t n_heads, size_t dim, float *out)
{
    for (size_t h = 0; h < n_heads; h++) {
        const size_t stride = h % 2 == 1 || h + 1 < n_heads ? 16 : 8;
        const uint8_t *query = q + (h - h % 2) * ox_row_bytes(dim) + h % 2 * 8;
        for (size_t k = 0; k < dim; k += 4) {
            const ox_vf v = ox_v_load_bf16(query + k / 4 * stride);
            if (dim - k < 4) {
                ox_v_store_n(out + h * dim + k, v, dim - k);
            } else {
                ox_v_store(out + h * dim + k, v);
            }
        }
    }
}

void OX_PAIRS_LEVEL(ox_attend_f32)(OX_ATTEND_PARAMETERS)
{
    const struct layout l = layout_of(n_heads, n_keys, dim);
    float *widened = (float *)(void *)((uint8_t *)room + l.sums);
    const uint8_t *operand[BATCH];
    for (size_t t0 = 0; t0 < n_tokens; t0 += l.n_q / n_heads) {
        const size_t n = n_tokens - t0 < l.n_q / n_heads ? n_tokens - t0 : l.n_q / n_heads;
        for (size_t t = 0; t < n; t++) {
            float *to = widened + t * n_heads * dim;
            widen_queries(q[t0 + t], n_heads, dim, to);
            operand[t] = (const uint8_t *)to;
        }
        OX_LEVEL(ox_attend_f32)(operand, gathered + t0, n_seen + t0, n, n_heads, keys, values, n_keys, dim, scale,
                                (uint8_t *)room + l.end);
    }
}
