/* SPDX-License-Identifier: Apache-2.0
 *
 * The gated MLPs: dense, routed and shared. Rows of one expert stand together, so that each expert is one product over
 * its rows; every worker has its share of the output rows of every expert, so no popular expert keeps anyone waiting.
 * Results are made in panels of some tokens and as many matrix rows as keep them in the second cache: gate, up,
 * activation and packing of a panel, or a panel of down and its sum, follow each other without a way through memory.
 * Source: text-model.md 6, 7.
 */
#include <string.h>

#include "model/step.h"

/* Tokens of a panel: so many that filling the matrix units' panels of weights pays, so few that hundreds of rows pass by
 * their operand before it has to be read again. */
#define PANEL_TOKENS ((size_t)16 * OX_GROUP_TOKENS)

static size_t panel_tokens(size_t left)
{
    return left < PANEL_TOKENS ? left : PANEL_TOKENS;
}

/* Matrix rows of a panel for n tokens: a multiple of what can be packed. */
static size_t panel_rows(size_t n)
{
    const size_t rows = OX_PANEL_FLOATS / n;
    return rows - rows % OX_PACK_COLS;
}

/* Columns [begin, end) of the activations of n tokens, which stand in panel rows `width` apart, into an operand. */
static void pack_panel(const struct ox_pass *pass, const float *panel, size_t width, size_t n, size_t begin, size_t end,
                       size_t n_cols, uint8_t *operand)
{
    const struct ox_kernels *kernels = pass->model->kernels;
    const size_t token_bytes = kernels->operand_bytes(n_cols);
    for (size_t t = 0; t < n; t += OX_GROUP_TOKENS) {
        const size_t group = n - t < OX_GROUP_TOKENS ? n - t : OX_GROUP_TOKENS;
        const float *rows[OX_GROUP_TOKENS];
        for (size_t i = 0; i < group; i++) {
            rows[i] = panel + (t + i) * width;
        }
        kernels->pack(rows, group, begin, end, n_cols, operand + t * token_bytes);
    }
}

/* out <- operand of the activations of n tokens: rows [begin, end) of gate and up. */
static void gate_up_tokens(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_mlp_weights *w,
                           size_t begin, size_t end, const uint8_t *operand, size_t n, uint8_t *out)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_kernels *kernels = pass->model->kernels;
    const size_t step = panel_rows(n);
    float *gate = ox_worker_room(pass, worker);
    float *up = gate + OX_PANEL_FLOATS;
    for (size_t row = begin; row < end; row += step) {
        const size_t width = end - row < step ? end - row : step;
        ox_product(kernels, &w->gate, row, row + width, operand, n, gate, width);
        ox_product(kernels, &w->up, row, row + width, operand, n, up, width);
        kernels->swiglu(gate, up, n * width, config->swiglu_alpha, config->swiglu_limit, gate);
        pack_panel(pass, gate, width, n, row, row + width, w->gate.rows, out);
    }
}

/* The same for any number of tokens: this worker's share of the width. */
static void gate_up(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_mlp_weights *w,
                    const uint8_t *operand, size_t n, uint8_t *out)
{
    const struct ox_kernels *kernels = pass->model->kernels;
    const size_t in_bytes = kernels->operand_bytes(w->gate.cols);
    const size_t out_bytes = kernels->operand_bytes(w->gate.rows);
    size_t begin;
    size_t end;
    ox_share(worker, w->gate.rows, OX_PACK_COLS, &begin, &end);
    for (size_t t = 0; t < n; t += PANEL_TOKENS) {
        gate_up_tokens(pass, worker, w, begin, end, operand + t * in_bytes, panel_tokens(n - t), out + t * out_bytes);
    }
}

/* x += W x operand for all rows of the pass: this worker's share of the columns. */
static void add_down(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_matrix *w,
                     const uint8_t *operand)
{
    const struct ox_kernels *kernels = pass->model->kernels;
    const size_t token_bytes = kernels->operand_bytes(w->cols);
    float *panel = ox_worker_room(pass, worker);
    size_t begin;
    size_t end;
    ox_linear_share(worker, w, &begin, &end);
    for (size_t t = 0; t < pass->n_rows; t += PANEL_TOKENS) {
        const size_t n = panel_tokens(pass->n_rows - t);
        const size_t step = panel_rows(n);
        for (size_t row = begin; row < end; row += step) {
            const size_t width = end - row < step ? end - row : step;
            ox_product(kernels, w, row, row + width, operand + t * token_bytes, n, panel, width);
            for (size_t i = 0; i < n; i++) {
                kernels->add(pass->state->x + (t + i) * w->rows + row, panel + i * width, width);
            }
        }
    }
}

void ox_step_output(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_matrix *o = &pass->model->weights->layers[layer].o;
    ox_pack(pass, worker, pass->state->attended, o->cols, pass->n_rows, o->cols, pass->state->attended_input);
    ox_barrier(worker);
    add_down(pass, worker, o, pass->state->attended_input);
}

void ox_step_mlp(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_mlp_weights *w = &pass->model->weights->layers[layer].mlp;
    struct ox_state *state = pass->state;
    gate_up(pass, worker, w, state->input, pass->n_rows, state->gate_input);
    ox_barrier(worker);
    add_down(pass, worker, &w->down, state->gate_input);
}

/* Operands of the rows of every expert: groups are dealt out one by one. */
static void gather(const struct ox_pass *pass, const struct ox_worker *worker)
{
    const struct ox_config *config = pass->model->config;
    struct ox_state *state = pass->state;
    size_t i_group = 0;
    for (size_t e = 0; e < config->n_experts; e++) {
        const size_t end = state->expert_begin[e + 1];
        for (size_t slot = state->expert_begin[e]; slot < end; slot += OX_GROUP_TOKENS) {
            if (i_group++ % worker->n_workers != worker->i_worker) {
                continue;
            }
            const size_t n = end - slot < OX_GROUP_TOKENS ? end - slot : OX_GROUP_TOKENS;
            const float *rows[OX_GROUP_TOKENS];
            for (size_t i = 0; i < n; i++) {
                const size_t t = (size_t)state->slot_choices[slot + i] / config->n_experts_used;
                rows[i] = state->normed + t * config->hidden;
            }
            pass->model->kernels->pack(rows, n, 0, config->hidden, config->hidden,
                                       state->grouped_input + slot * state->hidden_bytes);
        }
    }
}

/* routed += weight * down x activations of n tokens, whose slots begin at `slot`: columns [begin, end). */
static void add_expert_tokens(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_matrix *down,
                              size_t begin, size_t end, size_t slot, size_t n)
{
    const struct ox_kernels *kernels = pass->model->kernels;
    struct ox_state *state = pass->state;
    const uint8_t *operand = state->grouped_gate + slot * state->expert_bytes;
    const size_t step = panel_rows(n);
    float *panel = ox_worker_room(pass, worker);
    for (size_t row = begin; row < end; row += step) {
        const size_t width = end - row < step ? end - row : step;
        ox_product(kernels, down, row, row + width, operand, n, panel, width);
        for (size_t i = 0; i < n; i++) {
            const size_t choice = (size_t)state->slot_choices[slot + i];
            const size_t t = choice / pass->model->config->n_experts_used;
            kernels->add_scaled(state->routed + t * down->rows + row, panel + i * width, state->expert_weights[choice],
                                width);
        }
    }
}

/* The same for all tokens of an expert: this worker's share of the columns. Experts come in ascending order, and so the
 * terms of each row's sum. */
static void add_expert(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_matrix *down,
                       size_t slot, size_t n)
{
    size_t begin;
    size_t end;
    ox_linear_share(worker, down, &begin, &end);
    for (size_t t = 0; t < n; t += PANEL_TOKENS) {
        add_expert_tokens(pass, worker, down, begin, end, slot + t, panel_tokens(n - t));
    }
}

/* x += routed_scale * routed: columns [begin, end), which this worker has made. */
static void add_routed(const struct ox_pass *pass, size_t begin, size_t end)
{
    const struct ox_config *config = pass->model->config;
    struct ox_state *state = pass->state;
    for (size_t t = 0; t < pass->n_rows; t++) {
        const size_t at = t * config->hidden + begin;
        pass->model->kernels->add_scaled(state->x + at, state->routed + at, config->routed_scale, end - begin);
    }
}

void ox_step_experts(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_layer_weights *w = &pass->model->weights->layers[layer];
    struct ox_state *state = pass->state;
    const bool alone = pass->n_rows == 1; /* then every expert's rows are the row */
    size_t begin;
    size_t end;
    if (!alone) {
        gather(pass, worker);
    }
    if (config->shared_inter > 0) {
        gate_up(pass, worker, &w->shared, state->input, pass->n_rows, state->gate_input);
    }
    ox_linear_share(worker, &w->experts[0].down, &begin, &end);
    for (size_t t = 0; t < pass->n_rows; t++) {
        memset(state->routed + t * config->hidden + begin, 0, (end - begin) * sizeof(float));
    }
    if (!alone) {
        ox_barrier(worker);
    }
    for (size_t e = 0; e < config->n_experts; e++) {
        const size_t slot = state->expert_begin[e];
        const size_t n = state->expert_begin[e + 1] - slot;
        if (n > 0) {
            gate_up(pass, worker, &w->experts[e], alone ? state->input : state->grouped_input + slot * state->hidden_bytes,
                    n, state->grouped_gate + slot * state->expert_bytes);
        }
    }
    ox_barrier(worker);
    if (config->shared_inter > 0) {
        add_down(pass, worker, &w->shared.down, state->gate_input);
    }
    for (size_t e = 0; e < config->n_experts; e++) {
        const size_t slot = state->expert_begin[e];
        const size_t n = state->expert_begin[e + 1] - slot;
        if (n > 0) {
            add_expert(pass, worker, &w->experts[e].down, slot, n);
        }
    }
    /* every down matrix has the same rows, so this worker has written all that it adds */
    add_routed(pass, begin, end);
}
