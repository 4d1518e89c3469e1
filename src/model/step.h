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

/* Attention results of one query head over one segment of its blocks (see attention.c). */
#define OX_SEGMENT_DENSE 8
#define OX_SEGMENT_SPARSE 2

struct ox_state {
    struct ox_kv_layout layout;
    struct ox_region region; /* holds every array below */
    size_t max_rows;
    size_t max_logits;
    size_t max_blocks;  /* of a timeline */
    size_t max_split;   /* most rows whose attention is split into segments */
    size_t n_segments;  /* most segments of a row */
    /* All [max_rows, ...], f32, row-major, contiguous. */
    float *x;        /* [hidden] the residual stream */
    float *normed;   /* [hidden] */
    float *q;        /* [n_heads * head_dim] */
    float *k;        /* [n_kv_heads * head_dim] */
    float *v;        /* [n_kv_heads * head_dim] */
    float *index_q;  /* [n_index_heads * index_dim] */
    float *index_k;  /* [index_dim] */
    float *attended; /* [n_heads * head_dim] */
    float *out;      /* [hidden] result of a projection before it joins the residual stream */
    float *cosine;   /* [rotary_dim / 2] */
    float *sine;     /* [rotary_dim / 2] */
    float *block_scores; /* [n_index_heads, max_blocks] */
    int32_t *chosen;     /* [n_kv_heads, topk_blocks] */
    float *gate;     /* [widest dense or shared MLP] */
    float *up;       /* the same */
    float *router;   /* [n_experts] scores after the sigmoid */
    int32_t *expert_ids;   /* [n_experts_used] ascending */
    float *expert_weights; /* [n_experts_used] */
    int32_t *expert_slots; /* [n_experts_used] index of the row's copy in the grouped arrays */
    /* Grouped by expert: [max_rows * n_experts_used, ...] */
    float *grouped_x;    /* [hidden] */
    float *grouped_gate; /* [expert_inter] */
    float *grouped_up;   /* [expert_inter] */
    float *grouped_out;  /* [hidden] */
    size_t *expert_begin; /* [n_experts + 1] first slot of each expert */
    /* Attention in segments: [max_split, n_heads, n_segments] */
    struct ox_softmax *segment_soft;
    float *segment_sum; /* [head_dim] */
    /* For each worker */
    size_t worker_floats;
    float *worker_room; /* [n_workers, worker_floats] */
    float *logits; /* [max_logits, vocab] */
    /* The pass in hand */
    struct ox_run *runs; /* [max_rows] */
    size_t n_runs;
};

/* One pass. */
struct ox_pass {
    const struct ox_model *model;
    struct ox_state *state;
    const struct ox_row *rows;
    size_t n_rows;
    const struct ox_probe *probe;
};

/* y[t] = W x[t] for n rows: this worker's share of W's rows. x: [n, W->cols], y: [n, W->rows], strides in elements. */
void ox_linear(const struct ox_pass *pass, const struct ox_worker *worker, const struct ox_matrix *w, const float *x,
               size_t x_stride, size_t n, float *y, size_t y_stride);

/* The rows of W that ox_linear gives worker. */
void ox_linear_share(const struct ox_worker *worker, const struct ox_matrix *w, size_t *begin, size_t *end);

/* This worker's scratch: state->worker_floats floats. */
float *ox_worker_room(const struct ox_pass *pass, const struct ox_worker *worker);

/* The timeline's position of row t of run. */
static inline size_t ox_run_pos(const struct ox_run *run, size_t i_row)
{
    return run->first_pos + (i_row - run->first_row);
}

/* Steps, in the order of a pass. None of them ends with a barrier unless it says so. */

/* x <- embedding rows; cosine, sine <- angles of the rows' positions. */
void ox_step_embed(const struct ox_pass *pass, const struct ox_worker *worker);
/* normed <- norm(x, weight). */
void ox_step_norm(const struct ox_pass *pass, const struct ox_worker *worker, const float *weight);
/* q, k, v, index_q, index_k <- projections of normed. */
void ox_step_project(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* Norm and rotary embedding of the heads; k, v and index_k into the cache. */
void ox_step_heads(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* chosen <- the blocks that each row's groups attend to. Has a barrier inside; sparse layers only. */
void ox_step_select(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* attended <- attention. May have a barrier inside. */
void ox_step_attend(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* x += Wo attended. */
void ox_step_output(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* expert_ids, expert_weights, slots and groups <- the router on normed. Ends with a barrier. */
void ox_step_route(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* x += experts and shared expert of normed. Barriers inside. */
void ox_step_experts(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* x += dense MLP of normed. A barrier inside. */
void ox_step_mlp(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer);
/* logits <- head of the rows that want them. A barrier inside. */
void ox_step_head(const struct ox_pass *pass, const struct ox_worker *worker);

#endif
