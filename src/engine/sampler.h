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
#include "simd/kernels.h"

struct ox_candidate {
    float logit;
    int32_t id;
    double weight; /* exp((logit - largest) / temperature) */
};

#define OX_SAMPLER_BUCKETS 2048

/* Scratch of a sampler for one vocabulary size. */
struct ox_sampler {
    const struct ox_kernels *kernels;
    size_t vocab;
    float *logits;                   /* [vocab] after penalties, bias and bans; -inf: cannot be drawn */
    float *largest;                  /* [chunks of OX_CHUNK] of logits */
    float *weights;                  /* [vocab] of all, where the tail counts */
    float *sums;                     /* [chunks] of weights */
    double *buckets;                 /* [OX_SAMPLER_BUCKETS] weights of logits that are near each other */
    struct ox_candidate *candidates; /* [vocab] the best, in order */
    uint32_t *n_drawn;               /* [vocab] how often each id was generated since ox_sampler_begin */
};

/* kernels must outlive the sampler. */
enum ox_status ox_sampler_init(const struct ox_kernels *kernels, size_t vocab, struct ox_sampler *out,
                               struct ox_error *err) OX_MUST_USE;
void ox_sampler_fini(struct ox_sampler *sampler);

/* Forget what was drawn. */
void ox_sampler_begin(struct ox_sampler *sampler);

/* Check that options are in range and biased ids exist: OX_E_ARG with a sentence. All defaults must be resolved. */
enum ox_status ox_sampling_check(const struct oxcart_sampling *options, size_t vocab, struct ox_error *err) OX_MUST_USE;

/* Draw an id. logits: [vocab], untouched; NaN counts as -inf. banned: [vocab] or NULL, nonzero ids are never drawn.
 * allowed: NULL, or a bit for each id (id % 64 of word id / 64): others are never drawn. Returns -1 if nothing can be
 * drawn. The id is counted for the penalties. */
int32_t ox_sampler_draw(struct ox_sampler *sampler, const struct oxcart_sampling *options, const float *logits,
                        const uint8_t *banned, const uint64_t *allowed, struct ox_rng *rng);

#endif
