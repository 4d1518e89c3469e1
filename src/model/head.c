/* SPDX-License-Identifier: Apache-2.0
 *
 * The last step: final norm and vocabulary head, for the rows that want logits only. Source: text-model.md 8.
 */
#include "model/step.h"

void ox_step_head(const struct ox_pass *pass, const struct ox_worker *worker)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_weights *weights = pass->model->weights;
    struct ox_state *state = pass->state;
    const size_t hidden = config->hidden;
    size_t n = 0;
    for (size_t t = 0; t < pass->n_rows; t++) {
        if (!pass->rows[t].want_logits) {
            continue;
        }
        if (n % worker->n_workers == worker->i_worker) {
            pass->model->kernels->rms_norm(state->x + t * hidden, weights->norm, hidden, config->eps,
                                           state->normed + n * hidden);
        }
        n++;
    }
    ox_barrier(worker);
    ox_pack(pass, worker, state->normed, hidden, n, hidden, state->input);
    ox_barrier(worker);
    ox_linear(pass, worker, &weights->head, state->input, n, state->logits);
}
