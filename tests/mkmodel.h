/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes small random checkpoints for tests: the released layout and names (or those of re-saved files), any shape, any
 * format of matrices, one file or many. Equal options give equal bytes.
 */
#ifndef OX_TESTS_MKMODEL_H
#define OX_TESTS_MKMODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weights/tensor.h"

/* How names and config.json are spelt. */
enum mk_spelling {
    MK_RELEASED,
    MK_RESAVED, /* transformers' module names, fused experts, list-of-names config */
    MK_TEXT,    /* the same for the text model alone: no language_model prefix, text_config at the top level */
};

struct mk_model_options {
    size_t layers;
    size_t dense_layers; /* the first so many have a dense MLP */
    size_t full_layers;  /* the first so many have dense attention */
    size_t hidden;
    size_t vocab;
    size_t heads;
    size_t kv_heads;
    size_t head_dim;
    size_t rotary_dim;
    size_t inter;
    size_t dense_inter;
    size_t shared_inter;
    size_t experts;
    size_t topk;
    size_t index_dim;
    size_t block;
    size_t topk_blocks;
    size_t local_blocks;
    size_t init_blocks;
    size_t max_positions;
    double routed_scale;
    enum ox_format format; /* of all matrices but embedding, head and router (BF16, BF16, F32) */
    bool mixed;            /* matrices take F32, F16, BF16 and (where the width allows) MXFP8 in turn instead */
    enum mk_spelling spelling;
    size_t n_shards;       /* 1: model.safetensors; more: with an index */
    uint64_t seed;
    const char *tokenizer; /* file to copy to tokenizer.json, or NULL */
};

/* 4 layers (1 dense, 1 with full attention), hidden 64, vocabulary 256, 8 experts; BF16 in one file, seed 0. */
struct mk_model_options mk_model_default(void);

/* Write the checkpoint to folder, which is made if it is not there; files of an earlier one are replaced. 0, or -1 with
 * a sentence on standard error. */
int mk_model(const char *folder, const struct mk_model_options *options);

/* Remove a folder with everything in it (one level). */
void mk_remove_folder(const char *folder);

#endif
