/* SPDX-License-Identifier: Apache-2.0
 *
 * Every tensor of the model bound to a typed view, its shape, type and file checked. Vectors (norms, biases) are
 * copied to F32; matrices stay where they lie in the mapping.
 * Source of names and shapes: checkpoint.md sections 2.1, 2.2 (released) and 2.2's last paragraph (re-saved by transformers).
 */
#ifndef OX_WEIGHTS_WEIGHTS_H
#define OX_WEIGHTS_WEIGHTS_H

#include "weights/checkpoint.h"
#include "weights/config.h"

/* One gated MLP: gate, up [inter, hidden], down [hidden, inter]. */
struct ox_mlp_weights {
    struct ox_matrix gate;
    struct ox_matrix up;
    struct ox_matrix down;
};

struct ox_layer_weights {
    const float *input_norm;  /* [hidden], 1 already added where the file lacks it */
    const float *post_norm;   /* [hidden], likewise; so all norms here */
    struct ox_matrix q;       /* [n_heads * head_dim, hidden] */
    struct ox_matrix k;       /* [n_kv_heads * head_dim, hidden] */
    struct ox_matrix v;       /* the same */
    struct ox_matrix o;       /* [hidden, n_heads * head_dim] */
    const float *q_norm;      /* [head_dim] */
    const float *k_norm;      /* [head_dim] */
    /* sparse layers only */
    struct ox_matrix index_q; /* [n_index_heads * index_dim, hidden] */
    struct ox_matrix index_k; /* [index_dim, hidden] */
    const float *index_q_norm; /* [index_dim] */
    const float *index_k_norm; /* [index_dim] */
    /* dense layers: mlp; MoE layers: the rest */
    struct ox_mlp_weights mlp;
    struct ox_matrix router;    /* [n_experts, hidden] */
    const float *router_bias;   /* [n_experts] */
    struct ox_mlp_weights *experts; /* n_experts */
    struct ox_mlp_weights shared;   /* values NULL if shared_inter is 0 */
};

/* y = W x + bias. */
struct ox_affine {
    struct ox_matrix weight; /* [rows, cols] */
    const float *bias;       /* [rows] */
};

/* A layer norm; both [n]. */
struct ox_layer_norm {
    const float *weight;
    const float *bias;
};

/* One layer of the vision tower; its sizes are those of ox_vision_config. */
struct ox_vision_layer {
    struct ox_layer_norm norm1; /* [hidden] */
    struct ox_layer_norm norm2;
    struct ox_affine q;         /* [hidden, hidden], so are k, v and out */
    struct ox_affine k;
    struct ox_affine v;
    struct ox_affine out;
    struct ox_affine fc1;       /* [inter, hidden] */
    struct ox_affine fc2;       /* [hidden, inter] */
};

/* The vision tower and what connects it with the text model (whose width is `text` here). */
struct ox_vision_weights {
    struct ox_matrix patch; /* [hidden, channels * temporal * patch * patch] */
    struct ox_layer_norm pre_norm;
    struct ox_vision_layer *layers; /* NULL: the checkpoint has no vision */
    struct ox_affine project1;      /* [projector, hidden], each patch */
    struct ox_affine project2;      /* [text, projector] */
    struct ox_affine merge1;        /* [projector, text * merge * merge], each square of patches */
    struct ox_affine merge2;        /* [text, projector] */
};

struct ox_weights {
    struct ox_matrix embed; /* [vocab, hidden] */
    struct ox_matrix head;  /* [vocab, hidden] */
    const float *norm;      /* [hidden] */
    struct ox_layer_weights *layers;
    size_t n_layers;
    struct ox_mlp_weights *all_experts; /* owns layers[].experts */
    float *vectors;                     /* owns all vectors */
    struct ox_vision_weights vision;
};

/* Bind. Every missing, misshapen or mistyped tensor is an error that names file, tensor, expected and found
 * (OX_E_SHAPE). A matrix may be F32, F16, BF16 or F8_E4M3 with scales NAME_scale_inv (U8 or F8_E8M0), a vector F32, F16
 * or BF16. The vision tower is bound if ox_weights_see (a file with the text model alone is legal); other tensors (mtp)
 * are ignored. The checkpoint must outlive *out. */
enum ox_status ox_weights_bind(const struct ox_checkpoint *checkpoint, const struct ox_config *config,
                               struct ox_weights *out, struct ox_error *err) OX_MUST_USE;

/* Can the model see: has config a vision tower, and the checkpoint any tensor of it? */
bool ox_weights_see(const struct ox_checkpoint *checkpoint, const struct ox_config *config);

/* Free what bind allocated; all zero is legal. */
void ox_weights_fini(struct ox_weights *weights);

#endif
