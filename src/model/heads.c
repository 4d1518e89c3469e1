/* SPDX-License-Identifier: Apache-2.0
 *
 * Norms and projections: the normed stream becomes queries, keys, values and the index branch's query and key; each
 * head is normed and rotated, and what later tokens need goes into the KV cache. Source: text-model.md 4, 5.1, 5.3.
 */
#include "model/step.h"

void ox_step_norm(const struct ox_pass *pass, const struct ox_worker *worker, const float *weight, bool exact)
{
    const struct ox_kernels *kernels = pass->model->kernels;
    struct ox_state *state = pass->state;
    const size_t hidden = pass->model->config->hidden;
    size_t begin;
    size_t end;
    ox_share(worker, pass->n_rows, OX_GROUP_TOKENS, &begin, &end);
    for (size_t t = begin; t < end; t += OX_GROUP_TOKENS) {
        const size_t n = end - t < OX_GROUP_TOKENS ? end - t : OX_GROUP_TOKENS;
        float *normed = state->normed + t * hidden;
        for (size_t i = 0; i < n; i++) {
            kernels->rms_norm(state->x + (t + i) * hidden, weight, hidden, pass->model->config->eps,
                              normed + i * hidden);
        }
        ox_pack_group(kernels->pack, normed, hidden, n, hidden, state->input + t * state->hidden_bytes);
        if (exact) {
            ox_pack_group(kernels->pack_exact, normed, hidden, n, hidden,
                          state->exact_input + t * state->hidden_exact_bytes);
        }
    }
}

void ox_step_project(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_layer_weights *w = &pass->model->weights->layers[layer];
    struct ox_state *state = pass->state;
    const size_t n = pass->n_rows;
    ox_linear(pass, worker, &w->q, state->input, n, state->q);
    ox_linear(pass, worker, &w->k, state->input, n, state->k);
    ox_linear(pass, worker, &w->v, state->input, n, state->v);
    if (pass->model->config->sparse_layer[layer]) {
        ox_linear_exact(pass, worker, &w->index_q, state->exact_input, n, state->index_q);
        ox_linear_exact(pass, worker, &w->index_k, state->exact_input, n, state->index_k);
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

/* The queries of KV group g of row t, as an operand. */
static void finish_queries(const struct ox_pass *pass, size_t layer, size_t t, size_t g)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_kernels *kernels = pass->model->kernels;
    struct ox_state *state = pass->state;
    const size_t dim = config->head_dim;
    const size_t heads = config->n_heads / config->n_kv_heads;
    const size_t token_bytes = state->group_bytes / heads;
    float *q = state->q + (t * config->n_heads + g * heads) * dim;
    uint8_t *to = state->q_input + (t * config->n_kv_heads + g) * state->group_bytes;
    for (size_t h = 0; h < heads; h++) {
        finish_head(pass, t, q + h * dim, pass->model->weights->layers[layer].q_norm, dim);
    }
    for (size_t h = 0; h < heads; h += OX_GROUP_TOKENS) {
        const size_t n = heads - h < OX_GROUP_TOKENS ? heads - h : OX_GROUP_TOKENS;
        ox_pack_group(kernels->pack, q + h * dim, dim, n, dim, to + h * token_bytes);
    }
}

/* Key and value of KV head g of row t, into the cache. */
static void finish_key(const struct ox_pass *pass, size_t layer, size_t t, size_t g)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_run *run = ox_run_of(pass->state, t);
    const size_t dim = config->head_dim;
    const size_t b = ox_run_pos(run, t) / config->block;
    const size_t j = ox_run_pos(run, t) % config->block;
    float *k = pass->state->k + (t * config->n_kv_heads + g) * dim;
    finish_head(pass, t, k, pass->model->weights->layers[layer].k_norm, dim);
    store(pass, k, dim, ox_kv_keys(run->kv, b, layer, g), j * dim);
    store(pass, pass->state->v + (t * config->n_kv_heads + g) * dim, dim, ox_kv_values(run->kv, b, layer, g), j * dim);
}

/* A group of index queries: heads of a row one after the other, rows one after the other; as an operand. */
static void finish_index_queries(const struct ox_pass *pass, size_t layer, size_t group)
{
    const struct ox_config *config = pass->model->config;
    struct ox_state *state = pass->state;
    const size_t dim = config->index_dim;
    const size_t first = group * OX_GROUP_TOKENS;
    const size_t left = pass->n_rows * config->n_index_heads - first;
    const size_t n = left < OX_GROUP_TOKENS ? left : OX_GROUP_TOKENS;
    float *q = state->index_q + first * dim;
    for (size_t i = 0; i < n; i++) {
        finish_head(pass, (first + i) / config->n_index_heads, q + i * dim,
                    pass->model->weights->layers[layer].index_q_norm, dim);
    }
    ox_pack_group(pass->model->kernels->pack_exact, q, dim, n, dim, state->index_input + first * state->index_bytes);
}

static void finish_index_key(const struct ox_pass *pass, size_t layer, size_t t)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_run *run = ox_run_of(pass->state, t);
    const size_t dim = config->index_dim;
    const size_t pos = ox_run_pos(run, t);
    float *index_k = pass->state->index_k + t * dim;
    finish_head(pass, t, index_k, pass->model->weights->layers[layer].index_k_norm, dim);
    store(pass, index_k, dim, ox_kv_index_keys(run->kv, pos / config->block, layer), pos % config->block * dim);
}

/* What is to be done, numbered one after the other: groups of queries, keys, and in sparse layers groups of index queries
 * and index keys. */
void ox_step_heads(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    const bool sparse = config->sparse_layer[layer];
    const size_t n_index_q = pass->n_rows * config->n_index_heads;
    const size_t n_keys = pass->n_rows * config->n_kv_heads;
    const size_t n_groups = sparse ? (n_index_q + OX_GROUP_TOKENS - 1) / OX_GROUP_TOKENS : 0;
    size_t begin;
    size_t end;
    ox_share(worker, 2 * n_keys + n_groups + (sparse ? pass->n_rows : 0), 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        if (i < n_keys) {
            finish_queries(pass, layer, i / config->n_kv_heads, i % config->n_kv_heads);
        } else if (i < 2 * n_keys) {
            finish_key(pass, layer, (i - n_keys) / config->n_kv_heads, (i - n_keys) % config->n_kv_heads);
        } else if (i < 2 * n_keys + n_groups) {
            finish_index_queries(pass, layer, i - 2 * n_keys);
        } else {
            finish_index_key(pass, layer, i - 2 * n_keys - n_groups);
        }
    }
}
