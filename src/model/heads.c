/* SPDX-License-Identifier: Apache-2.0
 *
 * Norms and projections: the normed stream becomes queries, keys, values and the index branch's query and key; each
 * head is normed and rotated, and what later tokens need goes into the KV cache. Source: text-model.md 4, 5.1, 5.3.
 */
#include "model/step.h"

void ox_step_norm(const struct ox_pass *pass, const struct ox_worker *worker, const float *weight)
{
    const size_t hidden = pass->model->config->hidden;
    size_t begin;
    size_t end;
    ox_share(worker, pass->n_rows, 1, &begin, &end);
    for (size_t t = begin; t < end; t++) {
        pass->model->kernels->rms_norm(pass->state->x + t * hidden, weight, hidden, pass->model->config->eps,
                                       pass->state->normed + t * hidden);
    }
}

void ox_step_project(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_layer_weights *w = &pass->model->weights->layers[layer];
    struct ox_state *state = pass->state;
    const size_t hidden = pass->model->config->hidden;
    ox_linear(pass, worker, &w->q, state->normed, hidden, pass->n_rows, state->q, w->q.rows);
    ox_linear(pass, worker, &w->k, state->normed, hidden, pass->n_rows, state->k, w->k.rows);
    ox_linear(pass, worker, &w->v, state->normed, hidden, pass->n_rows, state->v, w->v.rows);
    if (pass->model->config->sparse_layer[layer]) {
        ox_linear(pass, worker, &w->index_q, state->normed, hidden, pass->n_rows, state->index_q, w->index_q.rows);
        ox_linear(pass, worker, &w->index_k, state->normed, hidden, pass->n_rows, state->index_k, w->index_k.rows);
    }
}

/* Norm and rotate one head of row t in place. */
static void finish_head(const struct ox_pass *pass, size_t t, float *head, const float *weight, size_t dim)
{
    const struct ox_config *config = pass->model->config;
    const size_t half = config->rotary_dim / 2;
    pass->model->kernels->rms_norm(head, weight, dim, config->eps, head);
    pass->model->kernels->rope(head, pass->state->cosine + t * half, pass->state->sine + t * half, half);
}

/* Put n values at element `at` of a part of the cache. */
static void store(const struct ox_pass *pass, const float *x, size_t n, void *part, size_t at)
{
    const struct ox_kernels *kernels = pass->model->kernels;
    uint8_t *to = (uint8_t *)part + at * pass->state->layout.element_bytes;
    if (pass->state->layout.format == OX_KV_BF16) {
        kernels->store_bf16(x, n, to);
    } else {
        kernels->store_f32(x, n, to);
    }
}

/* Heads of a row, in this order: n_heads queries, n_kv_heads keys, n_kv_heads values, and in sparse layers
 * n_index_heads index queries and one index key. */
static void finish_one(const struct ox_pass *pass, size_t layer, const struct ox_run *run, size_t t, size_t i)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_layer_weights *w = &pass->model->weights->layers[layer];
    struct ox_state *state = pass->state;
    const size_t dim = config->head_dim;
    const size_t pos = ox_run_pos(run, t);
    const size_t b = pos / config->block;
    const size_t j = pos % config->block;
    if (i < config->n_heads) {
        finish_head(pass, t, state->q + (t * config->n_heads + i) * dim, w->q_norm, dim);
        return;
    }
    i -= config->n_heads;
    if (i < config->n_kv_heads) {
        float *k = state->k + (t * config->n_kv_heads + i) * dim;
        finish_head(pass, t, k, w->k_norm, dim);
        store(pass, k, dim, ox_kv_keys(run->kv, b, layer, i), j * dim);
        return;
    }
    i -= config->n_kv_heads;
    if (i < config->n_kv_heads) {
        const float *v = state->v + (t * config->n_kv_heads + i) * dim;
        store(pass, v, dim, ox_kv_values(run->kv, b, layer, i), j * dim);
        return;
    }
    i -= config->n_kv_heads;
    if (i < config->n_index_heads) {
        finish_head(pass, t, state->index_q + (t * config->n_index_heads + i) * config->index_dim, w->index_q_norm,
                    config->index_dim);
        return;
    }
    float *index_k = state->index_k + t * config->index_dim;
    finish_head(pass, t, index_k, w->index_k_norm, config->index_dim);
    store(pass, index_k, config->index_dim, ox_kv_index_keys(run->kv, b, layer), j * config->index_dim);
}

void ox_step_heads(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    const size_t index = config->sparse_layer[layer] ? config->n_index_heads + 1 : 0;
    const size_t heads = config->n_heads + 2 * config->n_kv_heads + index;
    size_t begin;
    size_t end;
    ox_share(worker, pass->n_rows * heads, 1, &begin, &end);
    for (size_t r = 0; r < pass->state->n_runs; r++) {
        const struct ox_run *run = &pass->state->runs[r];
        size_t i = run->first_row * heads;
        const size_t run_end = (run->first_row + run->n_rows) * heads;
        for (i = i < begin ? begin : i; i < run_end && i < end; i++) {
            finish_one(pass, layer, run, i / heads, i % heads);
        }
    }
}
