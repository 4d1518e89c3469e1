/* SPDX-License-Identifier: Apache-2.0
 *
 * Traces: the forward pass's inner tensors for given ids, as a safetensors file that a reference can be compared with.
 * Tensors (n tokens, m positions kept, the last m of the prompt):
 *     tokens [n] I32; positions [m] I32; logits [m, vocab] F32; hidden [n_layers + 1, m, hidden] F32
 *     blocks.L [n, n_kv_heads, topk_blocks] I32 for every sparse layer L, ascending, padded with -1
 *     experts.L [n, n_experts_used] I32 ascending, expert_weights.L F32 (before the routed factor) for every MoE layer L
 *     greedy [g] I32: the ids that follow, each the largest logit over all rows
 * and with media (r patches of k pictures and clips, f = r / merge^2):
 *     tower [r, hidden size of the tower] F32, the tower's output; features [f, hidden] F32
 */
#ifndef OX_ENGINE_TRACE_H
#define OX_ENGINE_TRACE_H

#include "engine/engine.h"

struct ox_trace_options {
    const int32_t *ids;
    size_t n_ids;          /* >= 1 */
    size_t n_positions;    /* how many last positions to keep, at most n_ids count */
    size_t n_greedy;       /* ids to follow */
    size_t chunk;          /* tokens a pass; 0: all at once */
    enum ox_kv_format kv;
    const char *choices;   /* a file in the form above whose blocks and experts are used instead, or NULL */
    const char *media;     /* a file with pixels [r, values of a patch] F32 and grids [k, 3] I32, each the number of
                            * temporal patches, rows and columns; their features take the places of the picture and clip
                            * tokens among ids, in order. Or NULL. */
    const char *out;       /* path */
};

/* Run a trace. What the engine itself would have chosen is written also where choices override it. OX_E_ARG for ids that
 * the model does not have or too many, or of which another number are placeholders than there are features; OX_E_FORMAT,
 * OX_E_SHAPE for a choices or media file that does not fit, or a model without a vision tower; OX_E_NOMEM. */
enum ox_status ox_trace_run(struct oxcart_engine *engine, const struct ox_trace_options *options, struct ox_error *err)
    OX_MUST_USE;

#endif
