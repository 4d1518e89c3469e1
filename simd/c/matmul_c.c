/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products at the C level. A stretch of one weight row is expanded to F32 once and multiplied with all tokens
 * of a group; each (row, token) sum runs through the 16 lanes of lanes_c.h from the first column to the last.
 */
#include "base/number.h"
#include "simd/c/lanes_c.h"
#include "simd/kernels.h"

/* Columns expanded at a time (a multiple of 32 and of the lanes): 2 KiB, well inside the first cache. */
#define STRETCH 512
/* Tokens that share an expanded stretch; their lanes take 1 KiB. */
#define GROUP 16

typedef void (*expand_function)(OX_EXPAND_PARAMETERS);

static inline void product(OX_PRODUCT_PARAMETERS, expand_function expand, size_t value_bits)
{
    const float *inputs = (const float *)(const void *)x;
    float weights[STRETCH];
    float lanes[GROUP][OX_C_LANES];
    for (size_t n = 0; n < n_rows; n++) {
        const uint8_t *row = values + n * row_bytes;
        const uint8_t *row_scales = scales != NULL ? scales + n * scale_row_bytes : NULL;
        for (size_t t0 = 0; t0 < n_tokens; t0 += GROUP) {
            const size_t group = n_tokens - t0 < GROUP ? n_tokens - t0 : GROUP;
            for (size_t t = 0; t < group; t++) {
                for (size_t i = 0; i < OX_C_LANES; i++) {
                    lanes[t][i] = 0.0F;
                }
            }
            for (size_t k = 0; k < n_cols; k += STRETCH) {
                const size_t len = n_cols - k < STRETCH ? n_cols - k : STRETCH;
                expand(row + k * value_bits / 8, row_scales != NULL ? row_scales + k / 32 : NULL, len, weights);
                for (size_t t = 0; t < group; t++) {
                    ox_lanes_dot_c(lanes[t], weights, inputs + (t0 + t) * n_cols + k, len);
                }
            }
            for (size_t t = 0; t < group; t++) {
                y[(t0 + t) * y_stride + n] = ox_lanes_sum_c(lanes[t]);
            }
        }
    }
}

void ox_exact_f32_c(OX_PRODUCT_PARAMETERS)
{
    product(values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride, ox_expand_f32_c, 32);
}

void ox_product_f32_c(OX_PRODUCT_PARAMETERS)
{
    ox_exact_f32_c(values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void ox_exact_f16_c(OX_PRODUCT_PARAMETERS)
{
    product(values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride, ox_expand_f16_c, 16);
}

void ox_product_f16_c(OX_PRODUCT_PARAMETERS)
{
    ox_exact_f16_c(values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void ox_exact_bf16_c(OX_PRODUCT_PARAMETERS)
{
    product(values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride, ox_expand_bf16_c, 16);
}

void ox_product_bf16_c(OX_PRODUCT_PARAMETERS)
{
    ox_exact_bf16_c(values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void ox_exact_mxfp8_c(OX_PRODUCT_PARAMETERS)
{
    product(values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride, ox_expand_mxfp8_c, 8);
}

void ox_product_mxfp8_c(OX_PRODUCT_PARAMETERS)
{
    ox_exact_mxfp8_c(values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}
