/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts bytes and operations of a token.
 */
#include "engine/cost.h"

#include <string.h>

const char *ox_purpose_name(enum ox_purpose purpose)
{
    static const char *const names[OX_N_PURPOSES] = {
        [OX_FOR_EXPERTS] = "experts", [OX_FOR_SHARED] = "shared", [OX_FOR_DENSE] = "dense",
        [OX_FOR_ATTENTION] = "attention", [OX_FOR_INDEX] = "index", [OX_FOR_KV] = "kv", [OX_FOR_HEAD] = "head"};
    return names[purpose];
}

static void add(struct ox_cost *cost, enum ox_purpose purpose, const struct ox_matrix *m)
{
    if (m->values != NULL) {
        cost->weight_bytes[purpose] += ox_matrix_bytes(m);
        cost->multiplied[purpose] += (uint64_t)m->rows * m->cols;
    }
}

static void add_mlp(struct ox_cost *cost, enum ox_purpose purpose, const struct ox_mlp_weights *w)
{
    add(cost, purpose, &w->gate);
    add(cost, purpose, &w->up);
    add(cost, purpose, &w->down);
}

void ox_cost_init(const struct ox_config *config, const struct ox_weights *weights, struct ox_cost *out)
{
    memset(out, 0, sizeof *out);
    out->config = config;
    add(out, OX_FOR_HEAD, &weights->head);
    for (size_t l = 0; l < config->n_layers; l++) {
        const struct ox_layer_weights *w = &weights->layers[l];
        add(out, OX_FOR_ATTENTION, &w->q);
        add(out, OX_FOR_ATTENTION, &w->k);
        add(out, OX_FOR_ATTENTION, &w->v);
        add(out, OX_FOR_ATTENTION, &w->o);
        add(out, OX_FOR_INDEX, &w->index_q);
        add(out, OX_FOR_INDEX, &w->index_k);
        add_mlp(out, OX_FOR_DENSE, &w->mlp);
        add_mlp(out, OX_FOR_SHARED, &w->shared);
        add(out, OX_FOR_EXPERTS, &w->router);
        if (config->moe_layer[l] && config->n_experts > 0) {
            const struct ox_mlp_weights *e = &w->experts[0];
            out->expert_bytes[l] = ox_matrix_bytes(&e->gate) + ox_matrix_bytes(&e->up) + ox_matrix_bytes(&e->down);
            out->multiplied[OX_FOR_EXPERTS] +=
                config->n_experts_used * 3 * (uint64_t)config->hidden * config->expert_inter;
        }
    }
}

uint64_t ox_cost_keys(const struct ox_config *config, bool sparse, size_t pos)
{
    const size_t n_blocks = pos / config->block + 1;
    if (!sparse || n_blocks <= config->topk_blocks) {
        return (uint64_t)pos + 1;
    }
    return (uint64_t)(config->topk_blocks - 1) * config->block + pos % config->block + 1;
}

uint64_t ox_cost_scored_keys(const struct ox_config *config, size_t pos)
{
    const size_t n_blocks = pos / config->block + 1;
    const size_t always = config->local_blocks + config->init_blocks;
    if (n_blocks <= config->topk_blocks || n_blocks <= always) {
        return 0;
    }
    const uint64_t keys = (uint64_t)(n_blocks - always) * config->block;
    return config->local_blocks > 0 ? keys : keys - (config->block - 1 - pos % config->block);
}

/* Sums over the positions first .. first + n - 1, one layer of each kind. */
struct key_sums {
    double dense;
    double sparse;
    double scored;
};

static struct key_sums sum_keys(const struct ox_config *config, size_t first, size_t n)
{
    struct key_sums sums = {0, 0, 0};
    for (size_t pos = first; pos < first + n; pos++) {
        sums.dense += (double)ox_cost_keys(config, false, pos);
        sums.sparse += (double)ox_cost_keys(config, true, pos);
        sums.scored += (double)ox_cost_scored_keys(config, pos);
    }
    return sums;
}

static size_t count_sparse(const struct ox_config *config)
{
    size_t n = 0;
    for (size_t l = 0; l < config->n_layers; l++) {
        n += config->sparse_layer[l] ? 1 : 0;
    }
    return n;
}

void ox_cost_bytes(const struct ox_cost *cost, const struct ox_kv_layout *layout, size_t first, size_t n, size_t batch,
                   double expert_step_bytes, double bytes[OX_N_PURPOSES])
{
    const struct ox_config *config = cost->config;
    const struct key_sums keys = sum_keys(config, first, n);
    const double n_sparse = (double)count_sparse(config);
    const double n_dense = (double)config->n_layers - n_sparse;
    const double kv_bytes = (double)(2 * config->n_kv_heads * config->head_dim * layout->element_bytes);
    for (size_t i = 0; i < OX_N_PURPOSES; i++) {
        bytes[i] = (double)cost->weight_bytes[i] / (double)batch;
    }
    bytes[OX_FOR_EXPERTS] += expert_step_bytes / (double)batch;
    bytes[OX_FOR_KV] += (n_dense * keys.dense + n_sparse * keys.sparse) / (double)n * kv_bytes;
    bytes[OX_FOR_INDEX] += n_sparse * keys.scored / (double)n * (double)(layout->index_dim * layout->element_bytes);
}

double ox_cost_expert_bytes(const struct ox_cost *cost)
{
    double bytes = 0;
    for (size_t l = 0; l < cost->config->n_layers; l++) {
        bytes += (double)cost->config->n_experts_used * (double)cost->expert_bytes[l];
    }
    return bytes;
}

double ox_cost_flops(const struct ox_cost *cost, size_t first, size_t n, size_t n_heads)
{
    const struct ox_config *config = cost->config;
    const struct key_sums keys = sum_keys(config, first, n);
    const double n_sparse = (double)count_sparse(config);
    const double n_dense = (double)config->n_layers - n_sparse;
    double flops = 0;
    for (size_t i = 0; i < OX_N_PURPOSES; i++) {
        const double share = i == OX_FOR_HEAD ? (double)n_heads / (double)n : 1.0;
        flops += 2.0 * (double)cost->multiplied[i] * share;
    }
    /* a key costs a product with the query and one with its weight in each head */
    flops += 4.0 * (double)(config->n_heads * config->head_dim) *
             (n_dense * keys.dense + n_sparse * keys.sparse) / (double)n;
    flops += 2.0 * (double)(config->n_index_heads * config->index_dim) * n_sparse * keys.scored / (double)n;
    return flops;
}
