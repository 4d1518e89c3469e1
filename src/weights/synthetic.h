/* SPDX-License-Identifier: Apache-2.0
 *
 * Models of random numbers: the released model's shapes, or others, without any file, for measuring speed. Matrices
 * have the formats of a released checkpoint: embedding and head BF16, router F32, all others in one chosen format.
 */
#ifndef OX_WEIGHTS_SYNTHETIC_H
#define OX_WEIGHTS_SYNTHETIC_H

#include "base/log.h"
#include "os/memory.h"
#include "os/team.h"
#include "weights/config.h"
#include "weights/weights.h"

/* Layers of the released model, and how many of them are dense with full attention. */
#define OX_RELEASED_LAYERS 60
#define OX_RELEASED_DENSE 3

/* What to make. */
struct ox_synthetic {
    struct ox_config config;
    enum ox_format format; /* of all but embedding, head and router */
    uint64_t seed;
};

/* Read "m3[,NAME=VALUE]...": format=mxfp8|bf16|f16|f32 (mxfp8), seed=N (1), layers=N (60), dense=N (how many layers, the
 * first ones, have full attention and a dense MLP: 3 of 60 or more, 1 of fewer), and the sizes hidden, inter,
 * dense_inter, shared_inter, heads, kv_heads, head_dim, rotary_dim, experts, used, vocab, positions, index_dim, block,
 * topk_blocks, init_blocks, local_blocks, which are the released model's where they are not named. Everything is held
 * against everything else; OX_E_ARG names the member, what was expected and what was found. */
enum ox_status ox_synthetic_parse(struct ox_str spec, struct ox_synthetic *out, struct ox_error *err) OX_MUST_USE;

/* Bytes of all matrices, each rounded up to OX_ALIGN; UINT64_MAX if they exceed 64 bits. */
uint64_t ox_synthetic_bytes(const struct ox_synthetic *synthetic);

/* Make *out (released with ox_weights_fini) with every matrix at its place from `base` on, one behind the other in
 * ox_synthetic_bytes bytes; norms are 1, router biases 0. The bytes are not touched: where only shapes are wanted, they
 * need not exist. */
enum ox_status ox_synthetic_bind(const struct ox_synthetic *synthetic, const uint8_t *base, struct ox_weights *out,
                                 struct ox_error *err) OX_MUST_USE;

/* Fill the region that weights were bound to (its ptr was `base`) with random numbers of mean square 1 / columns
 * (embedding: 1), each worker the rows that it will multiply with. The numbers depend on the seed and the shapes, not on
 * the team. Progress through log, which may be NULL. */
void ox_synthetic_fill(const struct ox_synthetic *synthetic, const struct ox_region *region,
                       const struct ox_weights *weights, struct ox_team *team, const struct ox_log *log);

#endif
