/* SPDX-License-Identifier: Apache-2.0
 *
 * The scratch memory of a pass: every array it needs, sized once and laid into one region. The same walk over the
 * arrays first adds up their sizes and then hands out their places.
 */
#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "model/step.h"

/* Segment results kept for split attention: at most so many bytes, but room for at least 8 rows. */
#define SPLIT_BYTES ((size_t)64 << 20)
#define SPLIT_ROWS 8

/* Either counting (base NULL) or placing. */
struct layout {
    uint8_t *base;
    size_t at;
    bool overflow;
};

static void *place(struct layout *layout, size_t a, size_t b, size_t c, size_t size)
{
    size_t bytes;
    size_t next;
    if (ox_ckd_mul(&bytes, a, b) || ox_ckd_mul(&bytes, bytes, c) || ox_ckd_mul(&bytes, bytes, size) ||
        ox_ckd_round_up(&bytes, bytes, OX_ALIGN) || ox_ckd_add(&next, layout->at, bytes)) {
        layout->overflow = true;
        return NULL;
    }
    void *p = layout->base != NULL ? layout->base + layout->at : NULL;
    layout->at = next;
    return p;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t whole_lines(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

/* Scratch floats of one worker: two panels, or what attention needs. */
static void size_worker(const struct ox_model *model, struct ox_state *s)
{
    const struct ox_config *config = model->config;
    const size_t heads = config->n_heads / config->n_kv_heads;
    const size_t soft = sizeof(struct ox_softmax) / sizeof(float);
    const size_t room = model->kernels->attend_room(heads, config->block, config->head_dim);
    s->attend_floats = whole_lines((room + sizeof(float) - 1) / sizeof(float));
    s->worker_floats = whole_lines(
        larger(2 * OX_PANEL_FLOATS, s->attend_floats + OX_TILE_ROWS_DENSE * heads * (config->head_dim + soft)));
}

static void size_operands(const struct ox_model *model, struct ox_state *s)
{
    const struct ox_config *config = model->config;
    const struct ox_kernels *kernels = model->kernels;
    s->hidden_bytes = kernels->operand_bytes(config->hidden);
    s->hidden_exact_bytes = kernels->exact_bytes(config->hidden);
    s->attended_bytes = kernels->operand_bytes(config->n_heads * config->head_dim);
    s->gate_bytes = larger(kernels->operand_bytes(config->dense_inter), kernels->operand_bytes(config->shared_inter));
    s->expert_bytes = kernels->operand_bytes(config->expert_inter);
    s->group_bytes = config->n_heads / config->n_kv_heads * kernels->operand_bytes(config->head_dim);
    s->index_bytes = kernels->exact_bytes(config->index_dim);
}

static void place_operands(struct layout *l, const struct ox_config *config, struct ox_state *s)
{
    const size_t rows = s->max_rows;
    s->input = place(l, larger(rows, s->max_logits), s->hidden_bytes, 1, 1);
    s->exact_input = place(l, rows, s->hidden_exact_bytes, 1, 1);
    s->q_input = place(l, rows, config->n_kv_heads, s->group_bytes, 1);
    s->index_input = place(l, rows, config->n_index_heads, s->index_bytes, 1);
    s->attended_input = place(l, rows, s->attended_bytes, 1, 1);
    s->gate_input = place(l, rows, s->gate_bytes, 1, 1);
}

static void place_experts(struct layout *l, const struct ox_config *config, struct ox_state *s)
{
    const size_t rows = s->max_rows;
    const size_t used = config->n_experts_used;
    s->routed = place(l, rows, config->hidden, 1, sizeof(float));
    s->router = place(l, rows, config->n_experts, 1, sizeof(float));
    s->expert_ids = place(l, rows, used, 1, sizeof(int32_t));
    s->expert_weights = place(l, rows, used, 1, sizeof(float));
    s->slot_choices = place(l, rows, used, 1, sizeof(int32_t));
    s->grouped_input = place(l, rows, used, s->hidden_bytes, 1);
    s->grouped_gate = place(l, rows, used, s->expert_bytes, 1);
    s->expert_begin = place(l, config->n_experts + 1, 1, 1, sizeof(size_t));
}

static void place_all(struct layout *l, const struct ox_model *model, struct ox_state *s)
{
    const struct ox_config *config = model->config;
    const size_t rows = s->max_rows;
    s->x = place(l, rows, config->hidden, 1, sizeof(float));
    s->normed = place(l, larger(rows, s->max_logits), config->hidden, 1, sizeof(float));
    s->q = place(l, rows, config->n_heads, config->head_dim, sizeof(float));
    s->k = place(l, rows, config->n_kv_heads, config->head_dim, sizeof(float));
    s->v = place(l, rows, config->n_kv_heads, config->head_dim, sizeof(float));
    s->index_q = place(l, rows, config->n_index_heads, config->index_dim, sizeof(float));
    s->index_k = place(l, rows, config->index_dim, 1, sizeof(float));
    s->attended = place(l, rows, config->n_heads, config->head_dim, sizeof(float));
    s->attended_soft = place(l, rows, config->n_heads, 1, sizeof(struct ox_softmax));
    s->cosine = place(l, rows, config->rotary_dim / 2, 1, sizeof(float));
    s->sine = place(l, rows, config->rotary_dim / 2, 1, sizeof(float));
    s->block_scores = place(l, rows, config->n_index_heads, s->max_blocks, sizeof(float));
    s->chosen = place(l, rows, config->n_kv_heads, config->topk_blocks, sizeof(int32_t));
    place_operands(l, config, s);
    place_experts(l, config, s);
    const size_t split = s->max_split * s->n_segments;
    s->segment_soft = place(l, split, config->n_heads, 1, sizeof(struct ox_softmax));
    s->segment_sum = place(l, split, config->n_heads, config->head_dim, sizeof(float));
    s->worker_room = place(l, ox_team_n_workers(model->team), s->worker_floats, 1, sizeof(float));
    s->logits = place(l, s->max_logits, config->vocab, 1, sizeof(float));
    s->runs = place(l, rows, 1, 1, sizeof(struct ox_run));
    s->run_of = place(l, rows, 1, 1, sizeof(uint32_t));
}

/* Fill in the sizes of *s; false if they overflow. */
static bool size_state(const struct ox_model *model, const struct ox_kv_layout *layout, size_t max_rows,
                       size_t max_logits, size_t max_tokens, struct ox_state *s)
{
    const struct ox_config *config = model->config;
    memset(s, 0, sizeof *s);
    s->layout = *layout;
    s->max_rows = max_rows;
    s->max_logits = max_logits;
    s->max_blocks = max_tokens / config->block + 1;
    const size_t dense = s->max_blocks / OX_SEGMENT_DENSE + 1;
    const size_t sparse = smaller(config->topk_blocks, s->max_blocks) / OX_SEGMENT_SPARSE + 1;
    s->n_segments = larger(dense, sparse);
    size_t row_bytes;
    if (ox_ckd_mul(&row_bytes, s->n_segments * config->n_heads,
                   config->head_dim * sizeof(float) + sizeof(struct ox_softmax))) {
        return false;
    }
    s->max_split = smaller(max_rows, larger(SPLIT_ROWS, SPLIT_BYTES / larger(row_bytes, 1)));
    size_operands(model, s);
    size_worker(model, s);
    return true;
}

uint64_t ox_state_bytes(const struct ox_model *model, const struct ox_kv_layout *layout, size_t max_rows,
                        size_t max_logits, size_t max_tokens)
{
    struct ox_state s;
    struct layout l = {0};
    if (!size_state(model, layout, max_rows, max_logits, max_tokens, &s)) {
        return UINT64_MAX;
    }
    place_all(&l, model, &s);
    return l.overflow ? UINT64_MAX : l.at;
}

enum ox_status ox_state_open(const struct ox_model *model, const struct ox_kv_layout *layout, size_t max_rows,
                             size_t max_logits, size_t max_tokens, struct ox_state **out, struct ox_error *err)
{
    const uint64_t bytes = ox_state_bytes(model, layout, max_rows, max_logits, max_tokens);
    struct ox_state *state = ox_calloc(1, sizeof *state);
    if (state == NULL || bytes == UINT64_MAX || !size_state(model, layout, max_rows, max_logits, max_tokens, state)) {
        ox_free(state);
        return ox_error_set(err, OX_E_NOMEM, "the working memory for %zu rows of context %zu cannot be had", max_rows,
                            max_tokens);
    }
    const enum ox_status status = ox_region_open((size_t)bytes, &state->region, err);
    if (status != OX_OK) {
        ox_free(state);
        return status;
    }
    struct layout l = {.base = state->region.ptr};
    place_all(&l, model, state);
    *out = state;
    return OX_OK;
}

void ox_state_close(struct ox_state **state)
{
    if (*state == NULL) {
        return;
    }
    ox_region_close(&(*state)->region);
    ox_free(*state);
    *state = NULL;
}

uint64_t ox_state_expert_reads(const struct ox_state *state, size_t layer)
{
    return state->expert_reads[layer];
}
