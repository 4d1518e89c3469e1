/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over one block of keys, and the index branch's best score of a block, at the C level.
 */
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "simd/c/exp_c.h"
#include "simd/c/lanes_c.h"
#include "simd/kernels.h"

/* Longest stretch of a key or value that is expanded at a time. */
#define STRETCH 512

/* Row `i` of a [.., dim] array of f32 or bf16, columns [from, from + len), as f32: in place, or expanded into room. */
static inline const float *row_f32(const void *rows, size_t i, size_t dim, size_t from, size_t len, float *room)
{
    (void)len;
    (void)room;
    return (const float *)rows + i * dim + from;
}

static inline const float *row_bf16(const void *rows, size_t i, size_t dim, size_t from, size_t len, float *room)
{
    const struct ox_bf16 *row = (const struct ox_bf16 *)rows + i * dim + from;
    for (size_t k = 0; k < len; k++) {
        room[k] = ox_f32_from_bf16(row[k]);
    }
    return room;
}

typedef const float *(*row_function)(const void *rows, size_t i, size_t dim, size_t from, size_t len, float *room);

static inline float dot_row(const float *q, const void *keys, size_t i, size_t dim, row_function row)
{
    float room[STRETCH];
    float lanes[OX_C_LANES] = {0};
    for (size_t k = 0; k < dim; k += STRETCH) {
        const size_t len = dim - k < STRETCH ? dim - k : STRETCH;
        ox_lanes_dot_c(lanes, row(keys, i, dim, k, len, room), q + k, len);
    }
    return ox_lanes_sum_c(lanes);
}

static inline void index_max(OX_INDEX_MAX_PARAMETERS, row_function row)
{
    for (size_t i = 0; i < n_q; i++) {
        float largest = -INFINITY;
        for (size_t j = 0; j < n_keys; j++) {
            const float score = dot_row(q + i * q_stride, keys, j, dim, row);
            largest = score > largest ? score : largest;
        }
        best[i * best_stride] = largest;
    }
}

void ox_index_max_f32_c(OX_INDEX_MAX_PARAMETERS)
{
    index_max(q, q_stride, n_q, keys, n_keys, dim, best, best_stride, row_f32);
}

void ox_index_max_bf16_c(OX_INDEX_MAX_PARAMETERS)
{
    index_max(q, q_stride, n_q, keys, n_keys, dim, best, best_stride, row_bf16);
}

static inline void attend(OX_ATTEND_PARAMETERS, row_function row)
{
    float room[STRETCH];
    for (size_t i = 0; i < n_q; i++) {
        float largest = -INFINITY;
        for (size_t j = 0; j < n_keys; j++) {
            scores[j] = dot_row(q + i * q_stride, keys, j, dim, row) * scale;
            largest = scores[j] > largest ? scores[j] : largest;
        }
        float lanes[OX_C_LANES] = {0};
        for (size_t j = 0; j < n_keys; j++) {
            scores[j] = ox_expf_c(scores[j] - largest);
            lanes[j % OX_C_LANES] += scores[j];
        }
        soft[i].max = largest;
        soft[i].sum = ox_lanes_sum_c(lanes);
        float *out = sum + i * dim;
        memset(out, 0, dim * sizeof *out);
        for (size_t j = 0; j < n_keys; j++) {
            for (size_t k = 0; k < dim; k += STRETCH) {
                const size_t len = dim - k < STRETCH ? dim - k : STRETCH;
                const float *value = row(values, j, dim, k, len, room);
                for (size_t c = 0; c < len; c++) {
                    out[k + c] += scores[j] * value[c];
                }
            }
        }
    }
}

void ox_attend_f32_c(OX_ATTEND_PARAMETERS)
{
    attend(q, q_stride, n_q, keys, values, n_keys, dim, scale, soft, sum, scores, row_f32);
}

void ox_attend_bf16_c(OX_ATTEND_PARAMETERS)
{
    attend(q, q_stride, n_q, keys, values, n_keys, dim, scale, soft, sum, scores, row_bf16);
}

void ox_attend_merge_c(struct ox_softmax *into, float *OX_RESTRICT sum, struct ox_softmax part,
                       const float *OX_RESTRICT part_sum, size_t dim)
{
    const float largest = part.max > into->max ? part.max : into->max;
    const float old = into->max == largest ? 1.0F : ox_expf_c(into->max - largest);
    const float new = part.max == largest ? 1.0F : ox_expf_c(part.max - largest);
    for (size_t i = 0; i < dim; i++) {
        sum[i] = sum[i] * old + part_sum[i] * new;
    }
    into->sum = into->sum * old + part.sum * new;
    into->max = largest;
}
