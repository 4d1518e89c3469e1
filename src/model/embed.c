/* SPDX-License-Identifier: Apache-2.0
 *
 * The first step: token ids become rows of the residual stream, positions become rotary angles.
 * Source: text-model.md 3 and 5.1.
 */
#include <math.h>
#include <string.h>

#include "model/step.h"

static void expand_row(const struct ox_kernels *kernels, const struct ox_matrix *w, size_t row, float *out)
{
    const uint8_t *values = w->values + row * w->row_bytes;
    const uint8_t *scales = w->scales != NULL ? w->scales + row * w->scale_row_bytes : NULL;
    switch (w->format) {
    case OX_FORMAT_F32:
        kernels->expand_f32(values, NULL, w->cols, out);
        break;
    case OX_FORMAT_F16:
        kernels->expand_f16(values, NULL, w->cols, out);
        break;
    case OX_FORMAT_BF16:
        kernels->expand_bf16(values, NULL, w->cols, out);
        break;
    case OX_FORMAT_MXFP8:
        kernels->expand_mxfp8(values, scales, w->cols, out);
        break;
    case OX_N_FORMATS:
    default:
        OX_CHECK(false);
    }
}

void ox_step_embed(const struct ox_pass *pass, const struct ox_worker *worker)
{
    const struct ox_config *config = pass->model->config;
    struct ox_state *state = pass->state;
    const size_t half = config->rotary_dim / 2;
    size_t begin;
    size_t end;
    ox_share(worker, pass->n_rows, 1, &begin, &end);
    for (size_t r = 0; r < state->n_runs; r++) {
        const struct ox_run *run = &state->runs[r];
        for (size_t t = run->first_row; t < run->first_row + run->n_rows; t++) {
            if (t < begin || t >= end) {
                continue;
            }
            float *x = state->x + t * config->hidden;
            if (pass->rows[t].embedding != NULL) {
                memcpy(x, pass->rows[t].embedding, config->hidden * sizeof *x);
            } else {
                expand_row(pass->model->kernels, &pass->model->weights->embed, (size_t)pass->rows[t].id, x);
            }
            /* the angle is a product of two F32, rounded to F32, as the model was trained; only then double */
            const float pos = (float)ox_run_pos(run, t);
            for (size_t i = 0; i < half; i++) {
                const float angle = pos * pass->model->inv_freq[i];
                state->cosine[t * half + i] = (float)cos((double)angle);
                state->sine[t * half + i] = (float)sin((double)angle);
            }
        }
    }
}
