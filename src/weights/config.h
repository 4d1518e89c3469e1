/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers of a model, from config.json and generation_config.json, checked. Both spellings are read (the release's,
 * and that of files re-saved by transformers); where both are there they must agree.
 * Source: checkpoint's config.json; table of text-model.md sections 2.1 to 2.4.
 */
#ifndef OX_WEIGHTS_CONFIG_H
#define OX_WEIGHTS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"
#include "base/str.h"

/* Largest values accepted: far above any model of this kind, low enough that their products cannot overflow. The
 * smallest is 1 unless said otherwise below. */
#define OX_MAX_LAYERS 1024
#define OX_MAX_WIDTH ((size_t)1 << 20)     /* hidden, *_inter, projector */
#define OX_MAX_VOCAB ((size_t)1 << 24)
#define OX_MAX_HEADS 4096
#define OX_MAX_HEAD_DIM 4096               /* head_dim, index_dim */
#define OX_MAX_POSITIONS ((size_t)1 << 24) /* beyond, a position is no exact F32 */
#define OX_MAX_EXPERTS 65536
#define OX_MAX_BLOCK 65536                 /* block, topk_blocks, init_blocks, local_blocks */
#define OX_DEFAULT_BLOCK 128

struct ox_vision_config {
    size_t n_layers;
    size_t hidden;
    size_t inter;
    size_t n_heads;
    size_t patch;
    size_t n_channels;
    size_t merge;          /* spatial_merge_size */
    size_t temporal;       /* temporal_patch_size */
    size_t segment_frames; /* vision_segment_max_frames */
    size_t projector;      /* projector_hidden_size */
    float eps;
    double rope_theta;
};

struct ox_config {
    size_t n_layers;
    size_t hidden;
    size_t vocab;           /* rows of the embedding and the head */
    size_t n_heads;
    size_t n_kv_heads;      /* divides n_heads */
    size_t head_dim;
    size_t rotary_dim;      /* even, 2 or more, <= head_dim, and <= index_dim where any layer is sparse */
    size_t max_positions;
    size_t dense_inter;     /* width of the dense MLP; 0 if every layer is MoE */
    size_t expert_inter;    /* width of a routed expert; this and the next three are 0 if no layer is MoE */
    size_t shared_inter;    /* width of the shared expert; 0 if there is none */
    size_t n_experts;
    size_t n_experts_used;  /* <= n_experts */
    double rope_theta;
    float eps;              /* rms_norm_eps */
    float routed_scale;
    float swiglu_alpha;
    float swiglu_limit;
    bool norm_adds_one;     /* stored norm weights lack the 1 (safetensors: true, GGUF: false) */

    bool moe_layer[OX_MAX_LAYERS];
    bool sparse_layer[OX_MAX_LAYERS];
    size_t n_index_heads;   /* = n_kv_heads; this and the rest but block are 0 if no layer is sparse */
    size_t index_dim;
    size_t block;           /* tokens in a block of the KV cache and of sparse attention; 128 if no layer is sparse */
    size_t topk_blocks;
    size_t init_blocks;     /* may be 0 */
    size_t local_blocks;    /* may be 0 */

    bool has_vision;
    struct ox_vision_config vision;
    int32_t image_token;    /* -1 if not named */
    int32_t video_token;

    /* generation_config.json; has_... says whether the file names it (do_sample false: temperature 0). Tokens are taken
     * from config.json until ox_config_parse_generation finds better. */
    bool has_temperature, has_top_p, has_top_k, has_min_p;
    float temperature;
    float top_p;
    int32_t top_k;
    float min_p;
    int32_t bos_token;      /* -1 if not named */
    int32_t eos_tokens[16];
    size_t n_eos_tokens;
};

/* Read config.json's bytes into *out; `what` names them in errors. Numbers are checked for range and against each
 * other (heads, rotary size, list lengths); OX_E_FORMAT or OX_E_SHAPE with the member's path. Fields known not to
 * matter (MTP counts, total sizes) are ignored; a field that would change the computation and has a value that we do
 * not compute (attention_output_gate true, scoring_func not sigmoid, sparse_score_type not max, rope_scaling, attention
 * bias, tied embeddings, a quantization_config that is not mxfp8 in blocks of [1, 32]...) is refused by name. Defaults:
 * those fields where they are missing; of vision_config the released num_channels, rope_theta, merge and temporal
 * sizes, segment_frames, and the text model's width as projector; all else must be there. log may be NULL. Any
 * thread. */
enum ox_status ox_config_parse(struct ox_str json, const char *what, const struct ox_log *log, struct ox_config *out,
                               struct ox_error *err) OX_MUST_USE;

/* Read generation_config.json's bytes into the second half of *config (call after ox_config_parse); *config is
 * unchanged on failure. */
enum ox_status ox_config_parse_generation(struct ox_str json, const char *what, struct ox_config *config,
                                          struct ox_error *err) OX_MUST_USE;

#endif
