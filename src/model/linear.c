/* SPDX-License-Identifier: Apache-2.0
 *
 * The linear layer: the rows of a matrix are shared among the workers, each of which runs the format's kernel.
 */
#include "model/step.h"

/* Shares begin at multiples of 16 rows: a tile of the matrix units, and a cache line of the output. */
#define ROW_STEP 16

void ox_linear_share(const struct ox_worker *worker, const struct ox_matrix *w, size_t *begin, size_t *end)
{
    ox_share(worker, w->rows, ROW_STEP, begin, end);
}

void ox_linear(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_matrix *w, const float *x,
               size_t x_stride, size_t n, float *y, size_t y_stride)
{
    const struct ox_kernels *kernels = pass->model->kernels;
    size_t begin;
    size_t end;
    ox_linear_share(worker, w, &begin, &end);
    if (begin == end) {
        return;
    }
    const uint8_t *values = w->values + begin * w->row_bytes;
    const uint8_t *scales = w->scales != NULL ? w->scales + begin * w->scale_row_bytes : NULL;
    const size_t rows = end - begin;
    switch (w->format) {
    case OX_FORMAT_F32:
        kernels->matmul_f32(values, w->row_bytes, NULL, 0, rows, w->cols, x, x_stride, n, y + begin, y_stride);
        break;
    case OX_FORMAT_F16:
        kernels->matmul_f16(values, w->row_bytes, NULL, 0, rows, w->cols, x, x_stride, n, y + begin, y_stride);
        break;
    case OX_FORMAT_BF16:
        kernels->matmul_bf16(values, w->row_bytes, NULL, 0, rows, w->cols, x, x_stride, n, y + begin, y_stride);
        break;
    case OX_FORMAT_MXFP8:
        kernels->matmul_mxfp8(values, w->row_bytes, scales, w->scale_row_bytes, rows, w->cols, x, x_stride, n,
                              y + begin, y_stride);
        break;
    case OX_N_FORMATS:
    default:
        OX_CHECK(false);
    }
}

float *ox_worker_room(const struct ox_pass *pass, const struct ox_worker *worker)
{
    return pass->state->worker_room + worker->i_worker * pass->state->worker_floats;
}
