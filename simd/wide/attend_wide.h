/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over one block, and the index branch's best score of a block, for any vector level; equal to
 * simd/c/attend_c.c within BOUND. Included by attend_<level>.c after vector_<level>.h.
 *
 * Scores: OX_VL keys at a time are expanded and transposed to [dim][OX_VL] once and serve all queries; a score is one
 * chain of multiply-adds over the dimensions in order, OX_VL keys side by side, several queries interleaved. Values:
 * OX_VALUE_QUERIES queries x OX_VALUE_VECTORS vectors of dimensions run over the keys in order. Both orders depend on
 * the shape alone.
 */
#ifndef OX_SIMD_WIDE_ATTEND_WIDE_H
#define OX_SIMD_WIDE_ATTEND_WIDE_H

#include <math.h>

#include "simd/kernels.h"
#include "simd/wide/exp_wide.h"

/* Dimensions transposed at a time. */
#define STRETCH 256
#define QUERIES 8

enum format { F32, BF16 };

/* n <= OX_VL elements at column k of row i, zeros behind them. */
OX_INLINE ox_vf load_row(enum format format, const uint8_t *rows, size_t i, size_t dim, size_t k, size_t n)
{
    const size_t bytes = format == F32 ? 4 : 2;
    const uint8_t *from = rows + (i * dim + k) * bytes;
    uint8_t room[4 * OX_VL] = {0};
    if (n < OX_VL) {
        memcpy(room, from, n * bytes);
        from = room;
    }
    return format == F32 ? ox_v_load_bytes(from) : ox_v_load_bf16(from);
}

/* Dimensions [from, from + len) of keys [j, j + n) to turned [len rounded up to OX_VL][OX_VL], zeros where there is
 * none. */
OX_INLINE void turn_keys(enum format format, const uint8_t *keys, size_t j, size_t n, size_t dim, size_t from,
                         size_t len, float *turned)
{
    for (size_t k = 0; k < len; k += OX_VL) {
        ox_vf v[OX_VL];
        const size_t width = len - k < OX_VL ? len - k : OX_VL;
        for (size_t i = 0; i < OX_VL; i++) {
            v[i] = i < n ? load_row(format, keys, j + i, dim, from + k, width) : ox_v_zero();
        }
        ox_v_transpose(v);
        for (size_t i = 0; i < OX_VL; i++) {
            ox_v_store(turned + (k + i) * OX_VL, v[i]);
        }
    }
}

/* sums[i] += q[i] . turned for Q queries. */
OX_INLINE void score_queries(const float *q, size_t q_stride, size_t Q, const float *turned, size_t len, ox_vf *sums)
{
    ox_vf sum[QUERIES];
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; i++) {
        sum[i] = sums[i];
    }
    for (size_t k = 0; k < len; k++) {
        const ox_vf column = ox_v_load(turned + k * OX_VL);
#pragma GCC unroll 8
        for (size_t i = 0; i < Q; i++) {
            sum[i] = ox_v_fma(ox_v_set(q[i * q_stride + k]), column, sum[i]);
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; i++) {
        sums[i] = sum[i];
    }
}

/* The same for up to QUERIES queries. */
OX_INLINE void score_group(const float *q, size_t q_stride, size_t n_q, const float *turned, size_t len, ox_vf *sums)
{
    if (n_q == QUERIES) {
        score_queries(q, q_stride, QUERIES, turned, len, sums);
        return;
    }
    size_t i = 0;
    for (; i + 4 <= n_q; i += 4) {
        score_queries(q + i * q_stride, q_stride, 4, turned, len, sums + i);
    }
    for (; i < n_q; i++) {
        score_queries(q + i * q_stride, q_stride, 1, turned, len, sums + i);
    }
}

/* All scores, scaled, to scores [n_q][row]; columns from n_keys on are -inf. */
OX_INLINE void score_block(enum format format, const float *q, size_t q_stride, size_t n_q, const uint8_t *keys,
                           size_t n_keys, size_t dim, float scale, float *scores, size_t row)
{
    _Alignas(64) float turned[STRETCH * OX_VL];
    for (size_t j = 0; j < row; j += OX_VL) {
        const size_t n = n_keys - j < OX_VL ? n_keys - j : OX_VL;
        for (size_t q0 = 0; q0 < n_q; q0 += QUERIES) {
            const size_t group = n_q - q0 < QUERIES ? n_q - q0 : QUERIES;
            ox_vf sums[QUERIES];
            for (size_t i = 0; i < group; i++) {
                sums[i] = ox_v_zero();
            }
            for (size_t k = 0; k < dim; k += STRETCH) {
                const size_t len = dim - k < STRETCH ? dim - k : STRETCH;
                if (q0 == 0 || dim > STRETCH) {
                    turn_keys(format, keys, j, n, dim, k, len, turned);
                }
                score_group(q + q0 * q_stride + k, q_stride, group, turned, len, sums);
            }
            for (size_t i = 0; i < group; i++) {
                ox_v_store(scores + (q0 + i) * row + j, ox_v_mul(sums[i], ox_v_set(scale)));
            }
        }
    }
    for (size_t i = 0; i < n_q; i++) {
        for (size_t j = n_keys; j < row; j++) {
            scores[i * row + j] = -INFINITY;
        }
    }
}

/* Columns of a row of scores: whole vectors. */
OX_INLINE size_t row_length(size_t n_keys)
{
    return (n_keys + OX_VL - 1) / OX_VL * OX_VL;
}

OX_INLINE ox_vf row_max(const float *scores, size_t row)
{
    ox_vf largest = ox_v_set(-INFINITY);
    for (size_t j = 0; j < row; j += OX_VL) {
        largest = ox_v_max(ox_v_load(scores + j), largest);
    }
    return largest;
}

OX_INLINE void index_max(enum format format, OX_INDEX_MAX_PARAMETERS)
{
    _Alignas(64) float scores[QUERIES * 2 * OX_VL];
    const size_t bytes = (format == F32 ? 4 : 2) * dim;
    for (size_t q0 = 0; q0 < n_q; q0 += QUERIES) {
        const size_t group = n_q - q0 < QUERIES ? n_q - q0 : QUERIES;
        for (size_t i = 0; i < group; i++) {
            best[(q0 + i) * best_stride] = -INFINITY;
        }
        for (size_t j = 0; j < n_keys; j += OX_VL) {
            const size_t n = n_keys - j < OX_VL ? n_keys - j : OX_VL;
            score_block(format, q + q0 * q_stride, q_stride, group, (const uint8_t *)keys + j * bytes, n, dim, 1.0F,
                        scores, OX_VL);
            for (size_t i = 0; i < group; i++) {
                const float largest = ox_v_reduce_max(ox_v_load(scores + i * OX_VL));
                float *to = &best[(q0 + i) * best_stride];
                *to = largest > *to ? largest : *to;
            }
        }
    }
}

void OX_LEVEL(ox_index_max_f32)(OX_INDEX_MAX_PARAMETERS)
{
    index_max(F32, q, q_stride, n_q, keys, n_keys, dim, best, best_stride);
}

void OX_LEVEL(ox_index_max_bf16)(OX_INDEX_MAX_PARAMETERS)
{
    index_max(BF16, q, q_stride, n_q, keys, n_keys, dim, best, best_stride);
}

/* Scores of one query to exp(score - largest); columns of -inf become 0. */
OX_INLINE struct ox_softmax exponentials(float *scores, size_t row)
{
    struct ox_softmax soft;
    soft.max = ox_v_reduce_max(row_max(scores, row));
    ox_vf sum = ox_v_zero();
    for (size_t j = 0; j < row; j += OX_VL) {
        const ox_vf e = ox_exp_wide(ox_v_sub(ox_v_load(scores + j), ox_v_set(soft.max)));
        ox_v_store(scores + j, e);
        sum = ox_v_add(sum, e);
    }
    soft.sum = ox_v_reduce_add(sum);
    return soft;
}

/* sum [Q][dim], V vectors of columns from `from` on <- scores x values; the last vector has `tail` lanes. */
OX_INLINE void values_tile(enum format format, const float *scores, size_t row, size_t Q, const uint8_t *values,
                           size_t n_keys, size_t dim, size_t from, size_t V, size_t tail, float *sum)
{
    ox_vf out[OX_VALUE_QUERIES][OX_VALUE_VECTORS];
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; i++) {
#pragma GCC unroll 8
        for (size_t v = 0; v < V; v++) {
            out[i][v] = ox_v_zero();
        }
    }
    for (size_t j = 0; j < n_keys; j++) {
#pragma GCC unroll 8
        for (size_t v = 0; v < V; v++) {
            const ox_vf value = load_row(format, values, j, dim, from + OX_VL * v, v + 1 == V ? tail : OX_VL);
#pragma GCC unroll 8
            for (size_t i = 0; i < Q; i++) {
                out[i][v] = ox_v_fma(ox_v_set(scores[i * row + j]), value, out[i][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; i++) {
#pragma GCC unroll 8
        for (size_t v = 0; v < V; v++) {
            float *to = sum + i * dim + from + OX_VL * v;
            if (v + 1 == V && tail < OX_VL) {
                ox_v_store_n(to, out[i][v], tail);
            } else {
                ox_v_store(to, out[i][v]);
            }
        }
    }
}

/* All dimensions for Q queries. */
OX_INLINE void values_queries(enum format format, const float *scores, size_t row, size_t Q, const uint8_t *values,
                              size_t n_keys, size_t dim, float *sum)
{
    size_t from = 0;
    for (; from + OX_VL * OX_VALUE_VECTORS <= dim; from += OX_VL * OX_VALUE_VECTORS) {
        values_tile(format, scores, row, Q, values, n_keys, dim, from, OX_VALUE_VECTORS, OX_VL, sum);
    }
    for (; from < dim; from += OX_VL) {
        const size_t tail = dim - from < OX_VL ? dim - from : OX_VL;
        values_tile(format, scores, row, Q, values, n_keys, dim, from, 1, tail, sum);
    }
}

OX_INLINE void attend(enum format format, OX_ATTEND_PARAMETERS)
{
    const size_t row = row_length(n_keys);
    score_block(format, q, q_stride, n_q, keys, n_keys, dim, scale, scores, row);
    for (size_t i = 0; i < n_q; i++) {
        soft[i] = exponentials(scores + i * row, row);
    }
    size_t i = 0;
    for (; i + OX_VALUE_QUERIES <= n_q; i += OX_VALUE_QUERIES) {
        values_queries(format, scores + i * row, row, OX_VALUE_QUERIES, values, n_keys, dim, sum + i * dim);
    }
    for (; i + 2 <= n_q; i += 2) {
        values_queries(format, scores + i * row, row, 2, values, n_keys, dim, sum + i * dim);
    }
    for (; i < n_q; i++) {
        values_queries(format, scores + i * row, row, 1, values, n_keys, dim, sum + i * dim);
    }
}

void OX_LEVEL(ox_attend_f32)(OX_ATTEND_PARAMETERS)
{
    attend(F32, q, q_stride, n_q, keys, values, n_keys, dim, scale, soft, sum, scores);
}

void OX_LEVEL(ox_attend_bf16)(OX_ATTEND_PARAMETERS)
{
    attend(BF16, q, q_stride, n_q, keys, values, n_keys, dim, scale, soft, sum, scores);
}

/* exp of one number, by the vector function, so that every level has one exp. */
OX_INLINE float exp_of(float x)
{
    float all[OX_VL];
    ox_v_store(all, ox_exp_wide(ox_v_set(x)));
    return all[0];
}

void OX_LEVEL(ox_attend_merge)(struct ox_softmax *into, float *OX_RESTRICT sum, struct ox_softmax part,
                               const float *OX_RESTRICT part_sum, size_t dim)
{
    const float largest = part.max > into->max ? part.max : into->max;
    const float old = into->max == largest ? 1.0F : exp_of(into->max - largest);
    const float new = part.max == largest ? 1.0F : exp_of(part.max - largest);
    size_t i = 0;
    for (; i + OX_VL <= dim; i += OX_VL) {
        const ox_vf scaled = ox_v_mul(ox_v_load(sum + i), ox_v_set(old));
        ox_v_store(sum + i, ox_v_fma(ox_v_load(part_sum + i), ox_v_set(new), scaled));
    }
    if (i < dim) {
        const ox_vf scaled = ox_v_mul(ox_v_load_n(sum + i, dim - i), ox_v_set(old));
        ox_v_store_n(sum + i, ox_v_fma(ox_v_load_n(part_sum + i, dim - i), ox_v_set(new), scaled), dim - i);
    }
    into->sum = into->sum * old + part.sum * new;
    into->max = largest;
}

#endif
