/* SPDX-License-Identifier: Apache-2.0
 *
 * The router: which experts a row goes to, with which weights, and the grouping of rows by expert. Scores in F32; the
 * bias counts for the choice only; ties to the lower expert. Source: text-model.md 7.
 */
#include <math.h>

#include "model/step.h"

/* The n_experts_used experts with the largest score + bias, ids ascending. */
static void choose(const struct ox_config *config, const float *scores, const float *bias, int32_t *ids)
{
    for (size_t i = 0; i < config->n_experts_used; i++) {
        int32_t best = -1;
        float best_score = -INFINITY;
        for (size_t e = 0; e < config->n_experts; e++) {
            bool taken = false;
            for (size_t j = 0; j < i; j++) {
                taken = taken || ids[j] == (int32_t)e;
            }
            const float score = scores[e] + bias[e];
            if (!taken && (best < 0 || score > best_score)) {
                best = (int32_t)e;
                best_score = score;
            }
        }
        ids[i] = best;
    }
    for (size_t i = 1; i < config->n_experts_used; i++) {
        const int32_t id = ids[i];
        size_t at = i;
        while (at > 0 && ids[at - 1] > id) {
            ids[at] = ids[at - 1];
            at--;
        }
        ids[at] = id;
    }
}

/* Unbiased scores of the chosen, normalised to sum 1. */
static void weigh(const struct ox_config *config, const float *scores, const int32_t *ids, float *weights)
{
    float sum = 0.0F;
    for (size_t i = 0; i < config->n_experts_used; i++) {
        weights[i] = scores[ids[i]];
        sum += weights[i];
    }
    for (size_t i = 0; i < config->n_experts_used; i++) {
        weights[i] /= sum;
    }
}

static void route_row(const struct ox_pass *pass, size_t layer, size_t t)
{
    const struct ox_config *config = pass->model->config;
    struct ox_state *state = pass->state;
    const size_t n_used = config->n_experts_used;
    float *scores = state->router + t * config->n_experts;
    int32_t *ids = state->expert_ids + t * n_used;
    float *weights = state->expert_weights + t * n_used;
    pass->model->kernels->sigmoid(scores, config->n_experts);
    choose(config, scores, pass->model->weights->layers[layer].router_bias, ids);
    weigh(config, scores, ids, weights);
    if (pass->probe != NULL && pass->probe->experts != NULL) {
        const int32_t *other = pass->probe->experts(pass->probe->user, layer, t, ids, weights);
        if (other != NULL) {
            for (size_t i = 0; i < n_used; i++) {
                ids[i] = other[i];
            }
            weigh(config, scores, ids, weights);
        }
    }
}

/* Counting sort of (row, choice) by expert; rows of an expert keep their order. */
static void group(const struct ox_pass *pass, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    struct ox_state *state = pass->state;
    const size_t n = pass->n_rows * config->n_experts_used;
    size_t *begin = state->expert_begin;
    for (size_t e = 0; e <= config->n_experts; e++) {
        begin[e] = 0;
    }
    for (size_t i = 0; i < n; i++) {
        begin[(size_t)state->expert_ids[i] + 1]++;
    }
    for (size_t e = 0; e < config->n_experts; e++) {
        state->expert_reads[layer] += begin[e + 1] > 0 ? 1 : 0;
        begin[e + 1] += begin[e];
    }
    for (size_t i = 0; i < n; i++) {
        state->slot_choices[begin[state->expert_ids[i]]++] = (int32_t)i;
    }
    for (size_t e = config->n_experts; e > 0; e--) {
        begin[e] = begin[e - 1];
    }
    begin[0] = 0;
}

void ox_step_route(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    struct ox_state *state = pass->state;
    const struct ox_matrix *router = &pass->model->weights->layers[layer].router;
    ox_linear_exact(pass, worker, router, state->exact_input, pass->n_rows, state->router);
    ox_barrier(worker);
    for (size_t t = worker->i_worker; t < pass->n_rows; t += worker->n_workers) {
        route_row(pass, layer, t);
    }
    ox_barrier(worker);
    if (worker->i_worker == 0) {
        group(pass, layer);
    }
    ox_barrier(worker);
}
