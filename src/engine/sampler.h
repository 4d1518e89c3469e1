/* SPDX-License-Identifier: Apache-2.0
 *
 * The sampler: one id drawn from a row of logits. Penalties and bias change the logits, then temperature, top-k, top-p
 * and min-p in this order, then one random number decides. Equal logits, options and random state give equal ids.
 */
#ifndef OX_ENGINE_SAMPLER_H
#define OX_ENGINE_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/status.h"
#include "oxcart.h"

struct ox_candidate {
    float logit;
    int32_t id;
};

/* Scratch of a sampler for one vocabulary size. */
struct ox_sampler {
    size_t vocab;
    struct ox_candidate *candidates; /* [vocab] */
    double *weights;                 /* [vocab] */
    uint32_t *n_drawn;               /* [vocab] how often each id was generated since ox_sampler_begin */
};

enum ox_status ox_sampler_init(size_t vocab, struct ox_sampler *out, struct ox_error *err) OX_MUST_USE;
void ox_sampler_fini(struct ox_sampler *sampler);

/* Forget what was drawn. */
void ox_sampler_begin(struct ox_sampler *sampler);

/* Check that options are in range and biased ids exist: OX_E_ARG with a sentence. All defaults must be resolved. */
enum ox_status ox_sampling_check(const struct oxcart_sampling *options, size_t vocab, struct ox_error *err)
    OX_MUST_USE;

/* Draw an id. logits: [vocab], untouched; NaN counts as -inf. banned: [vocab] or NULL, nonzero ids are never drawn.
 * allowed: NULL, or a bit for each id (id % 64 of word id / 64): others are never drawn. Returns -1 if nothing can be
 * drawn. The id is counted for the penalties. */
int32_t ox_sampler_draw(struct ox_sampler *sampler, const struct oxcart_sampling *options, const float *logits,
                        const uint8_t *banned, const uint64_t *allowed, struct ox_rng *rng);

#endif
