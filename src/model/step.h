/* SPDX-License-Identifier: Apache-2.0
 *
 * What the steps of the forward pass share: the pass in hand, its scratch arrays, and the linear layer. Internal to
 * src/model. Every step is a function that all workers of the team run together; each does its own share, decided by
 * shape and worker number alone, and steps that depend on each other are separated by ox_barrier.
 */
#ifndef OX_MODEL_STEP_H
#define OX_MODEL_STEP_H

#include "model/model.h"

/* Rows of one timeline in a batch. */
struct ox_run {
    struct ox_kv *kv;
    size_t first_row;
    size_t n_rows;
    size_t first_pos;
};

/* Blocks whose results are put together before they join a row's total, in dense and in sparse layers (attention.c). */
#define OX_SEGMENT_DENSE 8
#define OX_SEGMENT_SPARSE 1

/* Floats of a panel of results (experts.c): two of them fit into a second cache of 1 MiB. */
#define OX_PANEL_FLOATS ((size_t)128 << 10)

/* Most rows that attend to a block together: their running sums should stay in the second cache. */
#define OX_TILE_ROWS_DENSE 16
#define OX_TILE_ROWS_SPARSE 64

struct ox_state {
    struct ox_kv_layout layout;
    struct ox_region region; /* holds every array below */
    size_t max_rows;
    size_t max_logits;
    size_t max_blocks;  /* of a timeline */
    size_t max_split;   /* most rows whose attention is split into segments */
    size_t n_segments;  /* most segments of a row */
    /* Bytes of a token's operand (simd/kernels.h) of each kind; group_bytes: of all queries of a KV group */
    size_t hidden_bytes;
    size_t hidden_exact_bytes;
    size_t attended_bytes;
    size_t gate_bytes;
    size_t expert_bytes;
    size_t group_bytes;
    size_t index_bytes;
    /* All [max_rows, ...], f32, row-major, contiguous. */
    float *x;        /* [hidden] the residual stream */
    float *normed;   /* [hidden] */
    float *q;        /* [n_heads * head_dim] */
    float *k;        /* [n_kv_heads * head_dim] */
    float *v;        /* [n_kv_heads * head_dim] */
    float *index_q;  /* [n_index_heads * index_dim] */
    float *index_k;  /* [index_dim] */
    float *attended; /* [n_heads * head_dim] */
    float *cosine;   /* [rotary_dim / 2] */
    float *sine;     /* [rotary_dim / 2] */
    float *block_scores; /* [n_index_heads, max_blocks] */
    int32_t *chosen;     /* [n_kv_heads, topk_blocks] */
    float *routed;   /* [hidden] sum of the experts' results */
    float *router;   /* [n_experts] scores after the sigmoid */
    int32_t *expert_ids;   /* [n_experts_used] ascending */
    float *expert_weights; /* [n_experts_used] */
    struct ox_softmax *attended_soft; /* [n_heads] */
    /* Operands */
    uint8_t *input;        /* [max_rows] of normed */
    uint8_t *exact_input;  /* [max_rows] of normed, exact */
    uint8_t *q_input;      /* [max_rows, n_kv_heads] of a group's queries */
    uint8_t *index_input;  /* [max_rows * n_index_heads] exact, of index_q */
    uint8_t *attended_input; /* [max_rows] */
    uint8_t *gate_input;   /* [max_rows] of the dense or shared MLP's activations */
    /* Grouped by expert: [max_rows * n_experts_used] */
    int32_t *slot_choices; /* which (row * n_experts_used + choice) stands there */
    uint8_t *grouped_input; /* operands of normed */
    uint8_t *grouped_gate;  /* operands of the experts' activations */
    size_t *expert_begin;   /* [n_experts + 1] first slot of each expert */
    /* Attention in segments: [max_split, n_heads, n_segments] */
    struct ox_softmax *segment_soft;
    float *segment_sum; /* [head_dim] */
    /* For each worker */
    size_t attend_floats; /* scratch of the attention kernels */
    size_t worker_floats;
    float *worker_room; /* [n_workers, worker_floats] */
    float *logits; /* [max_logits, vocab] */
    uint64_t expert_reads[OX_MAX_LAYERS]; /* experts that had rows, summed over all passes */
    /* The pass in hand */
    struct ox_run *runs; /* [max_rows] */
    size_t n_runs;
    uint32_t *run_of; /* [max_rows] which run a row belongs to */
};

/* One pass. */
struct ox_pass {
    const struct ox_model *model;
    struct ox_state *state;
    const struct ox_row *rows;
    size_t n_rows;
    const struct ox_probe *probe;
};

/* Rows of a matrix from `begin` to `end` times n tokens; y: the result of row `begin` of the first token. */
void ox_product(const struct ox_kernels *kernels, const struct ox_matrix *w, size_t begin, size_t end,
                const uint8_t *operand, size_t n, float *y, size_t y_stride);

/* y[t] = W x[t] for n tokens: this worker's share of W's rows. y: [n, W->rows]. */
void ox_linear(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_matrix *w,
               const uint8_t *operand, size_t n, float *y);

/* The same of an exact operand, with every bit of x. */
void ox_linear_exact(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_matrix *w,
                     const uint8_t *exact_operand, size_t n, float *y);

/* The rows of W that ox_linear gives worker. */
void ox_linear_share(const struct ox_worker *worker, const struct ox_matrix *w, size_t *begin, size_t *end);

/* This worker's share of making an operand of n rows of x (x_stride elements apart), n_cols wide; no worker needs
 * another's part of x. */
void ox_pack(const struct ox_pass *pass, const struct ox_worker *worker, const float *x, size_t x_stride, size_t n,
             size_t n_cols, uint8_t *operand);

/* One group: n <= OX_GROUP_TOKENS rows of x, all columns. */
void ox_pack_group(void (*pack)(OX_PACK_PARAMETERS), const float *x, size_t x_stride, size_t n, size_t n_cols,
                   uint8_t *group);

/* This worker's scratch: state->worker_floats floats, aligned to 64. */
float *ox_worker_room(const struct ox_pass *pass, const struct ox_worker *worker);

/* The run of a row. */
static inline const struct ox_run *ox_run_of(const struct ox_state *state, size_t t)
{
    return &state->runs[state->run_of[t]];
}

/* The timeline's position of row t of run. */
static inline size_t ox_run_pos(const struct ox_run *run, size_t i_row)
{
    return run->first_pos + (i_row - run->first_row);
}

/* Steps, in the order of a pass. None of them ends with a barrier unless it says so. */

/* x <- embedding rows; cosine, sine <- angles of the rows' positions. */
void ox_step_embed(const struct ox_pass *pass, const struct ox_worker *worker);
/* normed, input <- norm(x, weight); with `exact` exact_input too. */
void ox_step_norm(const struct ox_pass *pass, const struct ox_worker *worker, const float *weight, bool exact);
/* q, k, v, index_q, index_k <- projections of normed. */
void ox_step_project(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* Norm and rotary embedding of the heads, q_input, index_input; k, v and index_k into the cache. */
void ox_step_heads(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* chosen <- the blocks that each row's groups attend to. Has a barrier inside; sparse layers only. */
void ox_step_select(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* attended <- attention. May have a barrier inside. */
void ox_step_attend(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* x += Wo attended. A barrier inside. */
void ox_step_output(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* expert_ids, expert_weights, slots <- the router on normed. Ends with a barrier. */
void ox_step_route(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* x += experts and shared expert of normed. Barriers inside. */
void ox_step_experts(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* x += dense MLP of normed. A barrier inside. */
void ox_step_mlp(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* logits <- head of the rows that want them. A barrier inside. */
void ox_step_head(const struct ox_pass *pass, const struct ox_worker *worker);

#endif
