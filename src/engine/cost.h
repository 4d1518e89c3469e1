/* SPDX-License-Identifier: Apache-2.0
 *
 * What a token costs: bytes that must be read for it, and floating-point operations, counted from shapes and positions.
 * Pure functions; no weight is looked at. Left out as next to nothing: norms, biases, the row of the embedding, and what
 * is written. Source: arithmetic.md 2 to 4.
 */
#ifndef OX_ENGINE_COST_H
#define OX_ENGINE_COST_H

#include "model/cache.h"
#include "weights/config.h"
#include "weights/weights.h"

/* What bytes are read for. */
enum ox_purpose {
    OX_FOR_EXPERTS,   /* routers and the experts that are used */
    OX_FOR_SHARED,    /* shared experts */
    OX_FOR_DENSE,     /* MLPs of dense layers */
    OX_FOR_ATTENTION, /* q, k, v, o */
    OX_FOR_INDEX,     /* index projections, and index keys of the blocks that are scored */
    OX_FOR_KV,        /* keys and values of the blocks that are attended to */
    OX_FOR_HEAD,      /* vocabulary head */
    OX_N_PURPOSES,
};

/* "experts" and so on, as `bench` prints them. */
const char *ox_purpose_name(enum ox_purpose purpose);

/* A model's sums. */
struct ox_cost {
    const struct ox_config *config;        /* borrowed */
    uint64_t weight_bytes[OX_N_PURPOSES];  /* of all layers; EXPERTS: the routers alone; KV: 0 */
    uint64_t multiplied[OX_N_PURPOSES];    /* weights that one token is multiplied with, used experts included */
    uint64_t expert_bytes[OX_MAX_LAYERS];  /* of one expert of a layer; 0 where there are none */
};

/* Weights may be bound without being there. config and weights are not kept but for the pointer to config. */
void ox_cost_init(const struct ox_config *config, const struct ox_weights *weights, struct ox_cost *out);

/* Keys that one token at a position attends to, or scores for the index (none where all blocks fit), in one layer. The
 * token's own block is taken to be among the chosen. */
uint64_t ox_cost_keys(const struct ox_config *config, bool sparse, size_t pos);
uint64_t ox_cost_scored_keys(const struct ox_config *config, size_t pos);

/* Bytes per token of decoding: n steps (n > 0), in each of which `batch` timelines compute one token, at positions first,
 * first + 1 and so on. What all tokens of a step share is divided among them. expert_step_bytes: mean bytes of the
 * different experts that a step uses, e.g. for batch 1 n_experts_used of each layer. */
void ox_cost_bytes(const struct ox_cost *cost, const struct ox_kv_layout *layout, size_t first, size_t n, size_t batch,
                   double expert_step_bytes, double bytes[OX_N_PURPOSES]);

/* Bytes of the different experts that one token uses. */
double ox_cost_expert_bytes(const struct ox_cost *cost);

/* Floating-point operations per token for n tokens (n > 0) of one timeline from position first, n_heads of which go
 * through the vocabulary head: 2 for each weight used, attention over the blocks selected, the index scan. */
double ox_cost_flops(const struct ox_cost *cost, size_t first, size_t n, size_t n_heads);

#endif
