/* SPDX-License-Identifier: Apache-2.0
 *
 * The linear layer: activations are packed into operands, the rows of a matrix are shared among the workers, each of
 * which runs the format's kernel.
 */
#include "model/step.h"

/* Shares begin at multiples of 16 rows: a tile of the matrix units, and a cache line of the output. */
#define ROW_STEP 16

typedef void (*product_function)(OX_PRODUCT_PARAMETERS);

static product_function rounded_product(const struct ox_kernels *kernels, enum ox_format format)
{
    const product_function products[OX_N_FORMATS] = {
        [OX_FORMAT_F32] = kernels->product_f32,
        [OX_FORMAT_F16] = kernels->product_f16,
        [OX_FORMAT_BF16] = kernels->product_bf16,
        [OX_FORMAT_MXFP8] = kernels->product_mxfp8,
    };
    return products[format];
}

static product_function exact_product(const struct ox_kernels *kernels, enum ox_format format)
{
    const product_function products[OX_N_FORMATS] = {
        [OX_FORMAT_F32] = kernels->exact_f32,
        [OX_FORMAT_F16] = kernels->exact_f16,
        [OX_FORMAT_BF16] = kernels->exact_bf16,
        [OX_FORMAT_MXFP8] = kernels->exact_mxfp8,
    };
    return products[format];
}

static void multiply(product_function function, const struct ox_matrix *w, size_t begin, size_t end,
                     const uint8_t *operand, size_t n, float *y, size_t y_stride)
{
    const uint8_t *scales = w->scales != NULL ? w->scales + begin * w->scale_row_bytes : NULL;
    if (begin < end) {
        function(w->values + begin * w->row_bytes, w->row_bytes, scales, w->scale_row_bytes, end - begin, w->cols,
                 operand, n, y, y_stride);
    }
}

void ox_product(const struct ox_kernels *kernels, const struct ox_matrix *w, size_t begin, size_t end,
                const uint8_t *operand, size_t n, float *y, size_t y_stride)
{
    multiply(rounded_product(kernels, w->format), w, begin, end, operand, n, y, y_stride);
}

void ox_linear_share(const struct ox_worker *worker, const struct ox_matrix *w, size_t *begin, size_t *end)
{
    ox_share(worker, w->rows, ROW_STEP, begin, end);
}

void ox_linear(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_matrix *w,
               const uint8_t *operand, size_t n, float *y)
{
    size_t begin;
    size_t end;
    ox_linear_share(worker, w, &begin, &end);
    ox_product(pass->model->kernels, w, begin, end, operand, n, y + begin, w->rows);
}

void ox_linear_exact(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_matrix *w,
                     const uint8_t *exact_operand, size_t n, float *y)
{
    size_t begin;
    size_t end;
    ox_linear_share(worker, w, &begin, &end);
    multiply(exact_product(pass->model->kernels, w->format), w, begin, end, exact_operand, n, y + begin, w->rows);
}

void ox_pack_group(void (*pack)(OX_PACK_PARAMETERS), const float *x, size_t x_stride, size_t n, size_t n_cols,
                   uint8_t *group)
{
    const float *rows[OX_GROUP_TOKENS];
    for (size_t i = 0; i < n; i++) {
        rows[i] = x + i * x_stride;
    }
    pack(rows, n, 0, n_cols, n_cols, group);
}

void ox_pack(const struct ox_pass *pass, const struct ox_worker *worker, const float *x, size_t x_stride, size_t n,
             size_t n_cols, uint8_t *operand)
{
    const struct ox_kernels *kernels = pass->model->kernels;
    const size_t token_bytes = kernels->operand_bytes(n_cols);
    const size_t n_pieces = (n_cols + OX_PACK_COLS - 1) / OX_PACK_COLS;
    const size_t n_groups = (n + OX_GROUP_TOKENS - 1) / OX_GROUP_TOKENS;
    size_t begin;
    size_t end;
    /* pieces of all groups, one after the other: a few tokens are shared by columns, many by groups */
    ox_share(worker, n_groups * n_pieces, 1, &begin, &end);
    while (begin < end) {
        const size_t g = begin / n_pieces;
        const size_t piece = begin % n_pieces;
        const size_t last = end - begin < n_pieces - piece ? piece + (end - begin) : n_pieces;
        const size_t first = g * OX_GROUP_TOKENS;
        const size_t rows_here = n - first < OX_GROUP_TOKENS ? n - first : OX_GROUP_TOKENS;
        const size_t column = piece * OX_PACK_COLS;
        const size_t behind = last == n_pieces ? n_cols : last * OX_PACK_COLS;
        const float *rows[OX_GROUP_TOKENS];
        for (size_t i = 0; i < rows_here; i++) {
            rows[i] = x + (first + i) * x_stride + column;
        }
        kernels->pack(rows, rows_here, column, behind, n_cols, operand + first * token_bytes);
        begin += last - piece;
    }
}

float *ox_worker_room(const struct ox_pass *pass, const struct ox_worker *worker)
{
    return pass->state->worker_room + worker->i_worker * pass->state->worker_floats;
}
