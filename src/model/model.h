/* SPDX-License-Identifier: Apache-2.0
 *
 * The forward pass of the text model: token ids and positions in, KV cache extended, logits out. A model is read-only;
 * a state is the scratch memory of one pass at a time, sized once, so that the pass itself allocates nothing.
 *
 * A pass takes a batch of rows. A row is one token of one timeline; rows of one timeline stand together, in order of
 * position. What is computed for a row has the same bits in any batch, chunking and number of threads.
 */
#ifndef OX_MODEL_MODEL_H
#define OX_MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "model/cache.h"
#include "os/team.h"
#include "simd/kernels.h"
#include "weights/config.h"
#include "weights/weights.h"

/* Everything is borrowed and must outlive the model, except inv_freq, which is part of it. */
struct ox_model {
    const struct ox_config *config;
    const struct ox_weights *weights;
    const struct ox_kernels *kernels;
    struct ox_team *team;
    float *inv_freq; /* [rotary_dim / 2] */
};

enum ox_status ox_model_init(const struct ox_config *config, const struct ox_weights *weights,
                             const struct ox_kernels *kernels, struct ox_team *team, struct ox_model *out,
                             struct ox_error *err) OX_MUST_USE;
void ox_model_fini(struct ox_model *model);

/* One token of a batch. */
struct ox_row {
    int32_t id;             /* 0 .. vocab - 1 */
    struct ox_kv *kv;       /* its timeline; its position is that of the row in order after kv->n_tokens */
    const float *embedding; /* [hidden] to use instead of id's row (a picture's feature), or NULL */
    bool want_logits;
};

/* What a caller may watch and override. All members may be NULL. Called during the pass, from any worker; calls for
 * different rows may come at the same time. Rows are numbered within the batch. */
struct ox_probe {
    void *user;
    /* x: [n_rows, hidden], the input of `layer`; layer n_layers: the last output, before the final norm. Called by one
     * worker. */
    void (*hidden)(void *user, size_t layer, const float *x, size_t n_rows);
    /* ids: [topk_blocks] that group g of the row selected, ascending, padded with -1. Return ids to use instead (same
     * form, valid for the row's position), or NULL. */
    const int32_t *(*blocks)(void *user, size_t layer, size_t i_row, size_t g, const int32_t *ids);
    /* ids, weights: [n_experts_used], ids ascending, weights before the routed factor. Return ids to use instead (their
     * weights are then computed from the row's own scores), or NULL. */
    const int32_t *(*experts)(void *user, size_t layer, size_t i_row, const int32_t *ids, const float *weights);
};

/* Scratch of a pass; opaque to callers but for what ox_forward documents. */
struct ox_state;

/* Sized for batches of up to max_rows rows (>= 1), max_logits of them wanting logits, timelines of up to max_tokens.
 * kv: the layout of every timeline used with it. */
enum ox_status ox_state_open(const struct ox_model *model, const struct ox_kv_layout *layout, size_t max_rows,
                             size_t max_logits, size_t max_tokens, struct ox_state **out, struct ox_error *err)
    OX_MUST_USE;
void ox_state_close(struct ox_state **state);

/* How many experts of a layer the passes so far have read: each once a pass that had rows for it. */
uint64_t ox_state_expert_reads(const struct ox_state *state, size_t layer);

/* Bytes that ox_state_open would take; UINT64_MAX on overflow. */
uint64_t ox_state_bytes(const struct ox_model *model, const struct ox_kv_layout *layout, size_t max_rows,
                        size_t max_logits, size_t max_tokens);

/* Compute a batch: rows [n_rows], 1 <= n_rows <= max_rows. Room for the new positions must have been reserved in each
 * timeline (ox_kv_reserve); on return each timeline's n_tokens has grown by its rows. *logits: [rows that want them, in
 * order][vocab], owned by the state, valid until its next use; may be NULL if no row wants any. probe may be NULL.
 * Cannot fail. One pass at a time for a state and for a team. */
void ox_forward(const struct ox_model *model, struct ox_state *state, const struct ox_row *rows, size_t n_rows,
                const struct ox_probe *probe, const float **logits);

#endif
