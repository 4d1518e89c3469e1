/* SPDX-License-Identifier: Apache-2.0
 *
 * The gated MLPs: dense, routed and shared. Rows of one expert stand together, so that each expert is one product over
 * its rows; every worker has its share of the output rows of every expert, so no popular expert keeps anyone waiting.
 * Source: text-model.md 6, 7.
 */
#include <string.h>

#include "model/step.h"

/* gate, up <- products for n rows of x, then gate <- activation: this worker's share of the width. */
static void gate_up(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_mlp_weights *w,
                    const float *x, size_t n, float *gate, float *up)
{
    const struct ox_config *config = pass->model->config;
    const size_t inter = w->gate.rows;
    size_t begin;
    size_t end;
    ox_linear(pass, worker, &w->gate, x, w->gate.cols, n, gate, inter);
    ox_linear(pass, worker, &w->up, x, w->up.cols, n, up, inter);
    ox_linear_share(worker, &w->gate, &begin, &end);
    for (size_t t = 0; t < n; t++) {
        float *g = gate + t * inter + begin;
        pass->model->kernels->swiglu(g, up + t * inter + begin, end - begin, config->swiglu_alpha,
                                     config->swiglu_limit, g);
    }
}

void ox_step_mlp(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_mlp_weights *w = &pass->model->weights->layers[layer].mlp;
    struct ox_state *state = pass->state;
    const size_t hidden = pass->model->config->hidden;
    size_t begin;
    size_t end;
    gate_up(pass, worker, w, state->normed, pass->n_rows, state->gate, state->up);
    ox_barrier(worker);
    ox_linear(pass, worker, &w->down, state->gate, w->down.cols, pass->n_rows, state->out, hidden);
    ox_linear_share(worker, &w->down, &begin, &end);
    for (size_t t = 0; t < pass->n_rows; t++) {
        pass->model->kernels->add(state->x + t * hidden + begin, state->out + t * hidden + begin, end - begin);
    }
}

/* Copy each row to its slots. */
static void gather(const struct ox_pass *pass, const struct ox_worker *worker)
{
    const struct ox_config *config = pass->model->config;
    struct ox_state *state = pass->state;
    size_t begin;
    size_t end;
    ox_share(worker, pass->n_rows * config->n_experts_used, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        memcpy(state->grouped_x + (size_t)state->expert_slots[i] * config->hidden,
               state->normed + i / config->n_experts_used * config->hidden, config->hidden * sizeof(float));
    }
}

/* x += routed_scale * sum of weight * expert output, experts ascending, + shared: columns [begin, end). */
static void combine(const struct ox_pass *pass, size_t begin, size_t end, float *room)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_kernels *kernels = pass->model->kernels;
    struct ox_state *state = pass->state;
    const size_t hidden = config->hidden;
    const size_t n = end - begin;
    for (size_t t = 0; t < pass->n_rows; t++) {
        memset(room, 0, n * sizeof *room);
        for (size_t i = 0; i < config->n_experts_used; i++) {
            const size_t slot = (size_t)state->expert_slots[t * config->n_experts_used + i];
            kernels->add_scaled(room, state->grouped_out + slot * hidden + begin,
                                state->expert_weights[t * config->n_experts_used + i], n);
        }
        float *x = state->x + t * hidden + begin;
        if (config->shared_inter > 0) {
            kernels->add(x, state->out + t * hidden + begin, n);
        }
        kernels->add_scaled(x, room, config->routed_scale, n);
    }
}

void ox_step_experts(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_layer_weights *w = &pass->model->weights->layers[layer];
    struct ox_state *state = pass->state;
    const size_t hidden = config->hidden;
    const size_t inter = config->expert_inter;
    gather(pass, worker);
    if (config->shared_inter > 0) {
        gate_up(pass, worker, &w->shared, state->normed, pass->n_rows, state->gate, state->up);
    }
    ox_barrier(worker);
    for (size_t e = 0; e < config->n_experts; e++) {
        const size_t slot = state->expert_begin[e];
        const size_t n = state->expert_begin[e + 1] - slot;
        if (n > 0) {
            gate_up(pass, worker, &w->experts[e], state->grouped_x + slot * hidden, n,
                    state->grouped_gate + slot * inter, state->grouped_up + slot * inter);
        }
    }
    ox_barrier(worker);
    if (config->shared_inter > 0) {
        ox_linear(pass, worker, &w->shared.down, state->gate, config->shared_inter, pass->n_rows, state->out, hidden);
    }
    for (size_t e = 0; e < config->n_experts; e++) {
        const size_t slot = state->expert_begin[e];
        const size_t n = state->expert_begin[e + 1] - slot;
        if (n > 0) {
            ox_linear(pass, worker, &w->experts[e].down, state->grouped_gate + slot * inter, inter, n,
                      state->grouped_out + slot * hidden, hidden);
        }
    }
    /* every down matrix has the same rows, so this worker has written all that it combines */
    size_t begin;
    size_t end;
    ox_linear_share(worker, &w->experts[0].down, &begin, &end);
    combine(pass, begin, end, ox_worker_room(pass, worker));
}
