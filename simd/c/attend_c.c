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
    const float *queries = (const float *)(const void *)q;
    (void)n_all;
    for (size_t i = 0; i < n_q; i++) {
        float largest = -INFINITY;
        for (size_t j = 0; j < n_keys; j++) {
            const float score = dot_row(queries + (first + i) * dim, keys, j, dim, row);
            largest = score > largest ? score : largest;
        }
        best[i * best_stride] = largest;
    }
}

void ox_index_max_f32_c(OX_INDEX_MAX_PARAMETERS)
{
    index_max(q, n_all, first, n_q, keys, n_keys, dim, best, best_stride, row_f32);
}

void ox_index_max_bf16_c(OX_INDEX_MAX_PARAMETERS)
{
    index_max(q, n_all, first, n_q, keys, n_keys, dim, best, best_stride, row_bf16);
}

/* scores [n_keys], then the part's sum [dim] */
size_t ox_attend_room_c(size_t n_heads, size_t n_keys, size_t dim)
{
    (void)n_heads;
    return (n_keys + dim) * sizeof(float);
}

/* One query over the block: its softmax state, and its sum in out. */
static inline struct ox_softmax attend_query(const float *q, const void *keys, const void *values, size_t n_keys,
                                             size_t dim, float scale, float *scores, float *out, row_function row)
{
    float room[STRETCH];
    float lanes[OX_C_LANES] = {0};
    struct ox_softmax soft = {-INFINITY, 0.0F};
    for (size_t j = 0; j < n_keys; j++) {
        scores[j] = dot_row(q, keys, j, dim, row) * scale;
        soft.max = scores[j] > soft.max ? scores[j] : soft.max;
    }
    for (size_t j = 0; j < n_keys; j++) {
        scores[j] = ox_expf_c(scores[j] - soft.max);
        lanes[j % OX_C_LANES] += scores[j];
    }
    soft.sum = ox_lanes_sum_c(lanes);
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
    return soft;
}

static inline void attend(OX_ATTEND_PARAMETERS, row_function row)
{
    float *scores = room;
    float *part_sum = scores + n_keys;
    for (size_t t = 0; t < n_tokens; t++) {
        const float *queries = (const float *)(const void *)q[t];
        for (size_t h = 0; h < n_heads; h++) {
            const struct ox_softmax part =
                attend_query(queries + h * dim, keys, values, n_seen[t], dim, scale, scores, part_sum, row);
            ox_attend_merge_c(&gathered[t].soft[h], gathered[t].sum + h * dim, &part, part_sum, 1, dim);
        }
    }
}

void ox_attend_f32_c(OX_ATTEND_PARAMETERS)
{
    attend(q, gathered, n_seen, n_tokens, n_heads, keys, values, n_keys, dim, scale, room, row_f32);
}

void ox_attend_bf16_c(OX_ATTEND_PARAMETERS)
{
    attend(q, gathered, n_seen, n_tokens, n_heads, keys, values, n_keys, dim, scale, room, row_bf16);
}

void ox_attend_merge_c(struct ox_softmax *OX_RESTRICT into, float *OX_RESTRICT sum,
                       const struct ox_softmax *OX_RESTRICT part, const float *OX_RESTRICT part_sum, size_t n,
                       size_t dim)
{
    for (size_t i = 0; i < n; i++) {
        const float largest = part[i].max > into[i].max ? part[i].max : into[i].max;
        const float old = into[i].max == largest ? 1.0F : ox_expf_c(into[i].max - largest);
        const float new = part[i].max == largest ? 1.0F : ox_expf_c(part[i].max - largest);
        for (size_t k = 0; k < dim; k++) {
            sum[i * dim + k] = sum[i * dim + k] * old + part_sum[i * dim + k] * new;
        }
        into[i].sum = into[i].sum * old + part[i].sum * new;
        into[i].max = largest;
    }
}
