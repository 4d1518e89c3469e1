/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products for any vector level: included by matmul_<level>.c after vector_<level>.h, which names the vectors
 * (see vector_avx512.h for the list). Equal to simd/c/matmul_c.c within BOUND. One F32 accumulator vector for each
 * (row, token), OX_VL columns a step from the first column to the last, fused multiply-add, lanes added as a tree at
 * the end: the same for one token and for many, so a token's bits do not depend on its company.
 *
 * Few tokens: weights go from memory through registers once; several rows at a time keep the multiply-add pipes busy.
 * Many tokens: 16 rows x 512 columns are expanded to F32 in a 32 KiB panel, which tiles of OX_TILE_ROWS x
 * OX_TILE_TOKENS accumulators then use for all tokens; accumulators rest in memory between panels.
 */
#ifndef OX_SIMD_WIDE_MATMUL_WIDE_H
#define OX_SIMD_WIDE_MATMUL_WIDE_H

#include "simd/kernels.h"

#define PANEL_ROWS 16
#define PANEL_COLS 512
/* Tokens whose accumulators rest together: at most 48 KiB, well inside the second cache. */
#define GROUP_TOKENS 48
#define BLOCK_VECTORS (32 / OX_VL)

enum format { F32, F16, BF16, MXFP8 };

/* What a product works on. */
struct weights {
    const uint8_t *values;
    size_t row_bytes;
    const uint8_t *scales;
    size_t scale_row_bytes;
    size_t n_cols;
};

OX_INLINE ox_vf load(enum format format, const uint8_t *row, size_t k)
{
    if (format == F32) {
        return ox_v_load_bytes(row + 4 * k);
    }
    return format == F16 ? ox_v_load_f16(row + 2 * k) : ox_v_load_bf16(row + 2 * k);
}

/* The first n < OX_VL weights at k, zeros behind them; nothing beyond is read. */
OX_INLINE ox_vf load_tail(enum format format, const uint8_t *row, size_t k, size_t n)
{
    const size_t bytes = format == F32 ? 4 : 2;
    uint8_t room[4 * OX_VL] = {0};
    memcpy(room, row + bytes * k, bytes * n);
    return load(format, room, 0);
}

/* R rows from n on x C tokens, straight from the weights. */
OX_INLINE void direct(enum format format, const struct weights *w, size_t n, size_t R, const float *x, size_t x_stride,
                      size_t C, float *y, size_t y_stride)
{
    ox_vf sum[OX_DIRECT_ROWS][OX_TILE_TOKENS];
    ox_vb watch[OX_DIRECT_ROWS];
    const uint8_t *row[OX_DIRECT_ROWS];
    const uint8_t *scales[OX_DIRECT_ROWS];
    for (size_t r = 0; r < R; r++) {
        row[r] = w->values + (n + r) * w->row_bytes;
        scales[r] = format == MXFP8 ? w->scales + (n + r) * w->scale_row_bytes : NULL;
        watch[r] = ox_v_watch_begin();
        for (size_t c = 0; c < C; c++) {
            sum[r][c] = ox_v_zero();
        }
    }
    size_t k = 0;
    if (format == MXFP8) {
        for (; k < w->n_cols; k += 32) {
#pragma GCC unroll 8
            for (size_t r = 0; r < R; r++) {
                ox_vf value[BLOCK_VECTORS];
                ox_v_load_mxfp8(row[r] + k, scales[r][k / 32], value);
                watch[r] = ox_v_watch(watch[r], row[r] + k);
#pragma GCC unroll 8
                for (size_t c = 0; c < C; c++) {
#pragma GCC unroll 8
                    for (size_t v = 0; v < BLOCK_VECTORS; v++) {
                        sum[r][c] = ox_v_fma(value[v], ox_v_load(x + c * x_stride + k + v * OX_VL), sum[r][c]);
                    }
                }
            }
        }
    } else {
        for (; k + OX_VL <= w->n_cols; k += OX_VL) {
#pragma GCC unroll 8
            for (size_t r = 0; r < R; r++) {
                const ox_vf value = load(format, row[r], k);
#pragma GCC unroll 8
                for (size_t c = 0; c < C; c++) {
                    sum[r][c] = ox_v_fma(value, ox_v_load(x + c * x_stride + k), sum[r][c]);
                }
            }
        }
        for (size_t r = 0; r < R && k < w->n_cols; r++) {
            const ox_vf value = load_tail(format, row[r], k, w->n_cols - k);
            for (size_t c = 0; c < C; c++) {
                sum[r][c] = ox_v_fma(value, ox_v_load_n(x + c * x_stride + k, w->n_cols - k), sum[r][c]);
            }
        }
    }
    for (size_t r = 0; r < R; r++) {
        const int nan = format == MXFP8 && ox_v_watched(watch[r]);
        for (size_t c = 0; c < C; c++) {
            y[c * y_stride + n + r] = nan ? __builtin_nanf("") : ox_v_reduce_add(sum[r][c]);
        }
    }
}

/* All rows for C tokens. */
OX_INLINE void direct_rows(enum format format, const struct weights *w, size_t n_rows, const float *x, size_t x_stride,
                           size_t C, float *y, size_t y_stride)
{
    const size_t R = C == 1 ? OX_DIRECT_ROWS : OX_TILE_ROWS;
    size_t n = 0;
    for (; n + R <= n_rows; n += R) {
        direct(format, w, n, R, x, x_stride, C, y, y_stride);
    }
    for (; n < n_rows; n++) {
        direct(format, w, n, 1, x, x_stride, C, y, y_stride);
    }
}

OX_INLINE void few_tokens(enum format format, const struct weights *w, size_t n_rows, const float *x, size_t x_stride,
                          size_t n_tokens, float *y, size_t y_stride)
{
    switch (n_tokens) {
    case 1:
        direct_rows(format, w, n_rows, x, x_stride, 1, y, y_stride);
        break;
    case 2:
        direct_rows(format, w, n_rows, x, x_stride, 2, y, y_stride);
        break;
    case 3:
        direct_rows(format, w, n_rows, x, x_stride, 3, y, y_stride);
        break;
    case 4:
        direct_rows(format, w, n_rows, x, x_stride, 4, y, y_stride);
        break;
    case 5:
        direct_rows(format, w, n_rows, x, x_stride, 5, y, y_stride);
        break;
    case 6:
        direct_rows(format, w, n_rows, x, x_stride, 6, y, y_stride);
        break;
    default:
        break;
    }
}

/* Columns [k, k + len) of R rows from n on to panel [R][PANEL_COLS], zeros up to a multiple of OX_VL. */
OX_INLINE void fill_panel(enum format format, const struct weights *w, size_t n, size_t R, size_t k, size_t len,
                          float *panel)
{
    for (size_t r = 0; r < R; r++) {
        const uint8_t *row = w->values + (n + r) * w->row_bytes;
        float *to = panel + r * PANEL_COLS;
        size_t i = 0;
        if (format == MXFP8) {
            const uint8_t *scales = w->scales + (n + r) * w->scale_row_bytes;
            ox_vb watch = ox_v_watch_begin();
            for (; i < len; i += 32) {
                ox_vf value[BLOCK_VECTORS];
                ox_v_load_mxfp8(row + k + i, scales[(k + i) / 32], value);
                watch = ox_v_watch(watch, row + k + i);
                for (size_t v = 0; v < BLOCK_VECTORS; v++) {
                    ox_v_store(to + i + v * OX_VL, value[v]);
                }
            }
            if (ox_v_watched(watch)) {
                to[0] = __builtin_nanf("");
            }
            continue;
        }
        for (; i + OX_VL <= len; i += OX_VL) {
            ox_v_store(to + i, load(format, row, k + i));
        }
        if (i < len) {
            ox_v_store(to + i, load_tail(format, row, k + i, len - i));
        }
    }
}

/* R rows of the panel x C tokens over len columns; sums: [C][PANEL_ROWS] vectors. */
OX_INLINE void tile(const float *panel, size_t R, const float *x, size_t x_stride, size_t C, size_t len, ox_vf *sums)
{
    ox_vf sum[OX_TILE_ROWS][OX_TILE_TOKENS];
#pragma GCC unroll 8
    for (size_t r = 0; r < R; r++) {
#pragma GCC unroll 8
        for (size_t c = 0; c < C; c++) {
            sum[r][c] = sums[c * PANEL_ROWS + r];
        }
    }
    size_t k = 0;
    for (; k + OX_VL <= len; k += OX_VL) {
        ox_vf value[OX_TILE_ROWS];
#pragma GCC unroll 8
        for (size_t r = 0; r < R; r++) {
            value[r] = ox_v_load(panel + r * PANEL_COLS + k);
        }
#pragma GCC unroll 8
        for (size_t c = 0; c < C; c++) {
            const ox_vf input = ox_v_load(x + c * x_stride + k);
#pragma GCC unroll 8
            for (size_t r = 0; r < R; r++) {
                sum[r][c] = ox_v_fma(value[r], input, sum[r][c]);
            }
        }
    }
    if (k < len) {
#pragma GCC unroll 8
        for (size_t c = 0; c < C; c++) {
            const ox_vf input = ox_v_load_n(x + c * x_stride + k, len - k);
#pragma GCC unroll 8
            for (size_t r = 0; r < R; r++) {
                sum[r][c] = ox_v_fma(ox_v_load(panel + r * PANEL_COLS + k), input, sum[r][c]);
            }
        }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < R; r++) {
#pragma GCC unroll 8
        for (size_t c = 0; c < C; c++) {
            sums[c * PANEL_ROWS + r] = sum[r][c];
        }
    }
}

/* A panel of R rows x C tokens. */
OX_INLINE void tile_rows(const float *panel, size_t R, const float *x, size_t x_stride, size_t C, size_t len,
                         ox_vf *sums)
{
    size_t r = 0;
    for (; r + OX_TILE_ROWS <= R; r += OX_TILE_ROWS) {
        tile(panel + r * PANEL_COLS, OX_TILE_ROWS, x, x_stride, C, len, sums + r);
    }
    for (; r < R; r++) {
        tile(panel + r * PANEL_COLS, 1, x, x_stride, C, len, sums + r);
    }
}

OX_INLINE void many_tokens(enum format format, const struct weights *w, size_t n_rows, const float *x, size_t x_stride,
                           size_t n_tokens, float *y, size_t y_stride)
{
    _Alignas(64) float panel[PANEL_ROWS * PANEL_COLS];
    ox_vf sums[GROUP_TOKENS * PANEL_ROWS];
    for (size_t n = 0; n < n_rows; n += PANEL_ROWS) {
        const size_t R = n_rows - n < PANEL_ROWS ? n_rows - n : PANEL_ROWS;
        for (size_t t0 = 0; t0 < n_tokens; t0 += GROUP_TOKENS) {
            const size_t group = n_tokens - t0 < GROUP_TOKENS ? n_tokens - t0 : GROUP_TOKENS;
            for (size_t i = 0; i < group * PANEL_ROWS; i++) {
                sums[i] = ox_v_zero();
            }
            for (size_t k = 0; k < w->n_cols; k += PANEL_COLS) {
                const size_t len = w->n_cols - k < PANEL_COLS ? w->n_cols - k : PANEL_COLS;
                const float *input = x + t0 * x_stride + k;
                size_t t = 0;
                fill_panel(format, w, n, R, k, len, panel);
                for (; t + OX_TILE_TOKENS <= group; t += OX_TILE_TOKENS) {
                    tile_rows(panel, R, input + t * x_stride, x_stride, OX_TILE_TOKENS, len, sums + t * PANEL_ROWS);
                }
                for (; t < group; t++) {
                    tile_rows(panel, R, input + t * x_stride, x_stride, 1, len, sums + t * PANEL_ROWS);
                }
            }
            for (size_t t = 0; t < group; t++) {
                for (size_t r = 0; r < R; r++) {
                    y[(t0 + t) * y_stride + n + r] = ox_v_reduce_add(sums[t * PANEL_ROWS + r]);
                }
            }
        }
    }
}

OX_INLINE void matmul(enum format format, OX_MATMUL_PARAMETERS)
{
    const struct weights w = {values, row_bytes, scales, scale_row_bytes, n_cols};
    if (n_tokens <= OX_TILE_TOKENS) {
        few_tokens(format, &w, n_rows, x, x_stride, n_tokens, y, y_stride);
    } else {
        many_tokens(format, &w, n_rows, x, x_stride, n_tokens, y, y_stride);
    }
}

void OX_LEVEL(ox_matmul_f32)(OX_MATMUL_PARAMETERS)
{
    matmul(F32, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, x_stride, n_tokens, y, y_stride);
}

void OX_LEVEL(ox_matmul_f16)(OX_MATMUL_PARAMETERS)
{
    matmul(F16, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, x_stride, n_tokens, y, y_stride);
}

void OX_LEVEL(ox_matmul_bf16)(OX_MATMUL_PARAMETERS)
{
    matmul(BF16, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, x_stride, n_tokens, y, y_stride);
}

void OX_LEVEL(ox_matmul_mxfp8)(OX_MATMUL_PARAMETERS)
{
    matmul(MXFP8, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, x_stride, n_tokens, y, y_stride);
}

#endif
