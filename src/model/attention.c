/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention of every row over its blocks: all of them in dense layers, the chosen ones in sparse layers; nothing else is
 * touched. Each block gives its own softmax state and sum; blocks are put together in ascending order within segments
 * of a fixed number of blocks, and segments in ascending order: so the order of summation is the same whether one
 * worker takes a whole row (prefill) or many share it (decode). Source: text-model.md 5.1 to 5.3, 9.
 */
#include <math.h>
#include <string.h>

#include "model/step.h"

/* The blocks of one row and group: the i-th is ids[i], or i itself where ids is NULL. */
struct block_list {
    const int32_t *ids;
    size_t n;
};

static struct block_list blocks_of(const struct ox_pass *pass, size_t layer, size_t t, size_t pos, size_t g)
{
    const struct ox_config *config = pass->model->config;
    struct block_list list = {NULL, pos / config->block + 1};
    if (config->sparse_layer[layer]) {
        list.ids = pass->state->chosen + (t * config->n_kv_heads + g) * config->topk_blocks;
        list.n = 0;
        while (list.n < config->topk_blocks && list.ids[list.n] >= 0) {
            list.n++;
        }
    }
    return list;
}

static size_t segment_blocks(const struct ox_pass *pass, size_t layer)
{
    return pass->model->config->sparse_layer[layer] ? OX_SEGMENT_SPARSE : OX_SEGMENT_DENSE;
}

/* The heads of group g of row t over blocks [from, to) of list, into soft [heads] and sum [heads, head_dim]. room:
 * worker scratch: one block's sums and softmax states, then the scores of its keys. */
static void attend_segment(const struct ox_pass *pass, size_t layer, const struct ox_run *run, size_t t, size_t g,
                           struct block_list list, size_t from, size_t to, struct ox_softmax *soft, float *sum,
                           float *room)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_kernels *kernels = pass->model->kernels;
    const size_t dim = config->head_dim;
    const size_t heads = config->n_heads / config->n_kv_heads;
    const size_t pos = ox_run_pos(run, t);
    const float *q = pass->state->q + (t * config->n_heads + g * heads) * dim;
    const float scale = 1.0F / sqrtf((float)dim);
    float *part_sum = room;
    struct ox_softmax *part = (struct ox_softmax *)(part_sum + heads * dim);
    float *scores = (float *)(part + heads);
    for (size_t h = 0; h < heads; h++) {
        soft[h].max = -INFINITY;
        soft[h].sum = 0.0F;
    }
    memset(sum, 0, heads * dim * sizeof *sum);
    for (size_t i = from; i < to; i++) {
        const size_t b = list.ids != NULL ? (size_t)list.ids[i] : i;
        const size_t n_keys = b == pos / config->block ? pos % config->block + 1 : config->block;
        const void *keys = ox_kv_keys(run->kv, b, layer, g);
        const void *values = ox_kv_values(run->kv, b, layer, g);
        if (pass->state->layout.format == OX_KV_BF16) {
            kernels->attend_bf16(q, dim, heads, keys, values, n_keys, dim, scale, part, part_sum, scores);
        } else {
            kernels->attend_f32(q, dim, heads, keys, values, n_keys, dim, scale, part, part_sum, scores);
        }
        for (size_t h = 0; h < heads; h++) {
            kernels->attend_merge(&soft[h], sum + h * dim, part[h], part_sum + h * dim, dim);
        }
    }
}

/* Divide by the softmax's sum: the attention's result. */
static void finish(const struct ox_pass *pass, struct ox_softmax soft, const float *sum, float *out)
{
    const size_t dim = pass->model->config->head_dim;
    for (size_t i = 0; i < dim; i++) {
        out[i] = sum[i] / soft.sum;
    }
}

/* One row and group, all segments, by one worker. */
static void attend_whole(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer,
                         const struct ox_run *run, size_t t, size_t g)
{
    const struct ox_config *config = pass->model->config;
    const size_t dim = config->head_dim;
    const size_t heads = config->n_heads / config->n_kv_heads;
    const size_t step = segment_blocks(pass, layer);
    const struct block_list list = blocks_of(pass, layer, t, ox_run_pos(run, t), g);
    /* room: [segment sums][segment states][total sums][total states][scratch of attend_segment] */
    float *segment_sum = ox_worker_room(pass, worker);
    struct ox_softmax *segment_soft = (struct ox_softmax *)(segment_sum + heads * dim);
    float *total_sum = (float *)(segment_soft + heads);
    struct ox_softmax *total_soft = (struct ox_softmax *)(total_sum + heads * dim);
    float *room = (float *)(total_soft + heads);
    for (size_t h = 0; h < heads; h++) {
        total_soft[h].max = -INFINITY;
        total_soft[h].sum = 0.0F;
    }
    memset(total_sum, 0, heads * dim * sizeof *total_sum);
    for (size_t from = 0; from < list.n; from += step) {
        const size_t to = list.n - from < step ? list.n : from + step;
        attend_segment(pass, layer, run, t, g, list, from, to, segment_soft, segment_sum, room);
        for (size_t h = 0; h < heads; h++) {
            pass->model->kernels->attend_merge(&total_soft[h], total_sum + h * dim, segment_soft[h],
                                               segment_sum + h * dim, dim);
        }
    }
    for (size_t h = 0; h < heads; h++) {
        finish(pass, total_soft[h], total_sum + h * dim,
               pass->state->attended + (t * config->n_heads + g * heads + h) * dim);
    }
}

/* Few rows: the segments of all rows and groups are dealt out one by one, kept apart, then put together head by
 * head. */
static void attend_split(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    struct ox_state *state = pass->state;
    const size_t dim = config->head_dim;
    const size_t heads = config->n_heads / config->n_kv_heads;
    const size_t step = segment_blocks(pass, layer);
    size_t item = 0;
    for (size_t r = 0; r < state->n_runs; r++) {
        const struct ox_run *run = &state->runs[r];
        for (size_t i = run->first_row * config->n_kv_heads; i < (run->first_row + run->n_rows) * config->n_kv_heads;
             i++) {
            const size_t t = i / config->n_kv_heads;
            const size_t g = i % config->n_kv_heads;
            const struct block_list list = blocks_of(pass, layer, t, ox_run_pos(run, t), g);
            for (size_t from = 0; from < list.n; from += step) {
                if (item++ % worker->n_workers != worker->i_worker) {
                    continue;
                }
                const size_t to = list.n - from < step ? list.n : from + step;
                const size_t at = ((t * state->n_segments + from / step) * config->n_kv_heads + g) * heads;
                attend_segment(pass, layer, run, t, g, list, from, to, state->segment_soft + at,
                               state->segment_sum + at * dim, ox_worker_room(pass, worker));
            }
        }
    }
    ox_barrier(worker);
    for (size_t r = 0; r < state->n_runs; r++) {
        const struct ox_run *run = &state->runs[r];
        for (size_t i = run->first_row * config->n_heads; i < (run->first_row + run->n_rows) * config->n_heads; i++) {
            if (i % worker->n_workers != worker->i_worker) {
                continue;
            }
            const size_t t = i / config->n_heads;
            const size_t h = i % config->n_heads;
            const struct block_list list = blocks_of(pass, layer, t, ox_run_pos(run, t), h / heads);
            float *total = ox_worker_room(pass, worker);
            struct ox_softmax soft = {-INFINITY, 0.0F};
            memset(total, 0, dim * sizeof *total);
            for (size_t from = 0; from < list.n; from += step) {
                const size_t at = (t * state->n_segments + from / step) * config->n_heads + h;
                pass->model->kernels->attend_merge(&soft, total, state->segment_soft[at],
                                                   state->segment_sum + at * dim, dim);
            }
            finish(pass, soft, total, state->attended + i * dim);
        }
    }
}

void ox_step_attend(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_state *state = pass->state;
    if (pass->n_rows <= state->max_split && pass->n_rows * config->n_kv_heads < 4 * worker->n_workers) {
        attend_split(pass, worker, layer);
        return;
    }
    for (size_t r = 0; r < state->n_runs; r++) {
        const struct ox_run *run = &state->runs[r];
        for (size_t t = run->first_row; t < run->first_row + run->n_rows; t++) {
            for (size_t g = 0; g < config->n_kv_heads; g++) {
                if ((t * config->n_kv_heads + g) % worker->n_workers == worker->i_worker) {
                    attend_whole(pass, worker, layer, run, t, g);
                }
            }
        }
    }
}

void ox_step_output(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_matrix *o = &pass->model->weights->layers[layer].o;
    struct ox_state *state = pass->state;
    const size_t hidden = pass->model->config->hidden;
    size_t begin;
    size_t end;
    ox_linear(pass, worker, o, state->attended, o->cols, pass->n_rows, state->out, hidden);
    ox_linear_share(worker, o, &begin, &end);
    for (size_t t = 0; t < pass->n_rows; t++) {
        pass->model->kernels->add(state->x + t * hidden + begin, state->out + t * hidden + begin, end - begin);
    }
}
