/* SPDX-License-Identifier: Apache-2.0
 *
 * Block selection of the sparse layers: for every row and KV group, the blocks whose keys score best against the index
 * query, local and initial blocks always among them. Exact, ties to the lower block. Source: text-model.md 5.3.
 */
#include <math.h>

#include "model/step.h"

/* Is block b always taken by a query in block `own`? */
static bool forced(const struct ox_config *config, size_t b, size_t own)
{
    return b + config->local_blocks > own || b < config->init_blocks;
}

/* Rows whose visible blocks all fit need no scores. */
static bool takes_all(const struct ox_config *config, size_t pos)
{
    return pos / config->block + 1 <= config->topk_blocks;
}

/* Scores of block b for rows [t, end), which see its first n_keys keys. */
static void score_rows(const struct ox_pass *pass, size_t layer, const struct ox_run *run, size_t b, size_t t,
                       size_t end, size_t n_keys)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_kernels *kernels = pass->model->kernels;
    struct ox_state *state = pass->state;
    const size_t heads = config->n_index_heads;
    const size_t n_all = pass->n_rows * heads;
    const void *keys = ox_kv_index_keys(run->kv, b, layer);
    float *best = state->block_scores + t * heads * state->max_blocks + b;
    if (t >= end) {
        return;
    }
    if (state->layout.format == OX_KV_BF16) {
        kernels->index_max_bf16(state->index_input, n_all, t * heads, (end - t) * heads, keys, n_keys,
                                config->index_dim, best, state->max_blocks);
    } else {
        kernels->index_max_f32(state->index_input, n_all, t * heads, (end - t) * heads, keys, n_keys,
                               config->index_dim, best, state->max_blocks);
    }
}

/* The first row of run at position pos or later. */
static size_t first_row(const struct ox_run *run, size_t pos)
{
    const size_t ahead = pos > run->first_pos ? pos - run->first_pos : 0;
    return run->first_row + (ahead < run->n_rows ? ahead : run->n_rows);
}

/* Scores of block b for the rows of run that need one: those behind it see all of it, those in it a part. */
static void score_block(const struct ox_pass *pass, size_t layer, const struct ox_run *run, size_t b)
{
    const struct ox_config *config = pass->model->config;
    const size_t end = run->first_row + run->n_rows;
    const size_t chooses = first_row(run, config->topk_blocks * config->block); /* rows before it take all blocks */
    const size_t behind = first_row(run, (b + 1) * config->block);
    size_t t = first_row(run, b * config->block);
    if (b < config->init_blocks) {
        return;
    }
    for (t = t < chooses ? chooses : t; t < behind; t++) {
        if (!forced(config, b, b)) {
            score_rows(pass, layer, run, b, t, t + 1, ox_run_pos(run, t) % config->block + 1);
        }
    }
    t = first_row(run, (b + config->local_blocks) * config->block);
    t = t < behind ? behind : t;
    score_rows(pass, layer, run, b, t < chooses ? chooses : t, end, config->block);
}

/* The `take` blocks with the largest of scores[n_blocks], ties to the lower, ascending, into ids. heap: room for `take`
 * ids. A heap whose root is the worst of the kept: (lower score, then higher id) is worse. */
static bool worse(const float *scores, int32_t a, int32_t b)
{
    return scores[a] < scores[b] || (scores[a] == scores[b] && a > b);
}

static void sift_down(const float *scores, int32_t *heap, size_t n, size_t i)
{
    for (;;) {
        size_t worst = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++) {
            if (worse(scores, heap[child], heap[worst])) {
                worst = child;
            }
        }
        if (worst == i) {
            return;
        }
        const int32_t moved = heap[i];
        heap[i] = heap[worst];
        heap[worst] = moved;
        i = worst;
    }
}

static void select_top(const float *scores, size_t n_blocks, size_t take, int32_t *ids)
{
    for (size_t b = 0; b < take; b++) {
        ids[b] = (int32_t)b;
    }
    for (size_t i = take / 2; i > 0; i--) {
        sift_down(scores, ids, take, i - 1);
    }
    for (size_t b = take; b < n_blocks; b++) {
        if (worse(scores, ids[0], (int32_t)b)) {
            ids[0] = (int32_t)b;
            sift_down(scores, ids, take, 0);
        }
    }
    /* insertion sort: take is small */
    for (size_t i = 1; i < take; i++) {
        const int32_t id = ids[i];
        size_t at = i;
        while (at > 0 && ids[at - 1] > id) {
            ids[at] = ids[at - 1];
            at--;
        }
        ids[at] = id;
    }
}

static void select_row(const struct ox_pass *pass, size_t layer, size_t t, size_t pos, size_t g)
{
    const struct ox_config *config = pass->model->config;
    struct ox_state *state = pass->state;
    const size_t n_blocks = pos / config->block + 1;
    const size_t take = n_blocks < config->topk_blocks ? n_blocks : config->topk_blocks;
    int32_t *ids = state->chosen + (t * config->n_kv_heads + g) * config->topk_blocks;
    for (size_t i = 0; i < config->topk_blocks; i++) {
        ids[i] = i < take ? (int32_t)i : -1;
    }
    if (!takes_all(config, pos)) {
        float *scores = state->block_scores + (t * config->n_index_heads + g) * state->max_blocks;
        for (size_t b = 0; b < n_blocks; b++) {
            if (forced(config, b, n_blocks - 1)) {
                scores[b] = INFINITY;
            }
        }
        select_top(scores, n_blocks, take, ids);
    }
    if (pass->probe != NULL && pass->probe->blocks != NULL) {
        const int32_t *other = pass->probe->blocks(pass->probe->user, layer, t, g, ids);
        for (size_t i = 0; other != NULL && i < config->topk_blocks; i++) {
            ids[i] = other[i];
        }
    }
}

void ox_step_select(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_state *state = pass->state;
    for (size_t r = 0; r < state->n_runs; r++) {
        const struct ox_run *run = &state->runs[r];
        const size_t last = run->first_pos + run->n_rows - 1;
        if (takes_all(config, last)) {
            continue;
        }
        for (size_t b = worker->i_worker; b <= last / config->block; b += worker->n_workers) {
            score_block(pass, layer, run, b);
        }
    }
    ox_barrier(worker);
    for (size_t r = 0; r < state->n_runs; r++) {
        const struct ox_run *run = &state->runs[r];
        for (size_t t = run->first_row; t < run->first_row + run->n_rows; t++) {
            for (size_t g = 0; g < config->n_kv_heads; g++) {
                if ((t * config->n_kv_heads + g) % worker->n_workers == worker->i_worker) {
                    select_row(pass, layer, t, ox_run_pos(run, t), g);
                }
            }
        }
    }
}
