/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention of every row over its blocks: all of them in dense layers, the chosen ones in sparse layers; nothing else is
 * touched. Many rows: block by block over the rows that attend to it, so that its keys and values are fetched once for
 * all of them. Few rows: their blocks are shared among the workers. Either way blocks are put together in ascending
 * order within segments of a fixed number of blocks, and segments in ascending order: so the order of summation is the
 * same. Source: text-model.md 5.1 to 5.3, 9.
 */
#include <math.h>
#include <string.h>

#include "model/step.h"

/* The blocks of one row and group: the i-th is ids[i], or i itself where ids is NULL. */
struct block_list {
    const int32_t *ids;
    size_t n;
};

static struct block_list blocks_of(const struct ox_pass *pass, size_t layer, size_t t, size_t g)
{
    const struct ox_config *config = pass->model->config;
    struct block_list list = {NULL, ox_run_pos(ox_run_of(pass->state, t), t) / config->block + 1};
    if (config->sparse_layer[layer]) {
        list.ids = pass->state->chosen + (t * config->n_kv_heads + g) * config->topk_blocks;
        list.n = 0;
        while (list.n < config->topk_blocks && list.ids[list.n] >= 0) {
            list.n++;
        }
    }
    return list;
}

static size_t block_at(struct block_list list, size_t i)
{
    return list.ids != NULL ? (size_t)list.ids[i] : i;
}

static size_t segment_blocks(const struct ox_pass *pass, size_t layer)
{
    return pass->model->config->sparse_layer[layer] ? OX_SEGMENT_SPARSE : OX_SEGMENT_DENSE;
}

/* Rows of one timeline that attend to the same block of KV head g. */
struct together {
    const uint8_t *q[OX_TILE_ROWS_SPARSE];
    struct ox_gathered gathered[OX_TILE_ROWS_SPARSE];
    size_t n_seen[OX_TILE_ROWS_SPARSE];
    size_t n;
};

/* Row t joins, for block b; what it gathers goes to soft [heads] and sum [heads, head_dim]. */
static void join(const struct ox_pass *pass, struct together *together, size_t t, size_t g, size_t b,
                 struct ox_softmax *soft, float *sum)
{
    const struct ox_config *config = pass->model->config;
    const size_t pos = ox_run_pos(ox_run_of(pass->state, t), t);
    const size_t i = together->n++;
    together->q[i] = pass->state->q_input + (t * config->n_kv_heads + g) * pass->state->group_bytes;
    together->gathered[i] = (struct ox_gathered){soft, sum};
    together->n_seen[i] = b == pos / config->block ? pos % config->block + 1 : config->block;
}

/* They attend to block b, which is then done. room: worker scratch. */
static void attend_block(const struct ox_pass *pass, size_t layer, const struct ox_run *run, size_t g, size_t b,
                         struct together *together, void *room)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_kernels *kernels = pass->model->kernels;
    const size_t heads = config->n_heads / config->n_kv_heads;
    const float scale = 1.0F / sqrtf((float)config->head_dim);
    const void *keys = ox_kv_keys(run->kv, b, layer, g);
    const void *values = ox_kv_values(run->kv, b, layer, g);
    size_t n_keys = 0;
    for (size_t i = 0; i < together->n; i++) {
        n_keys = together->n_seen[i] > n_keys ? together->n_seen[i] : n_keys;
    }
    if (pass->state->layout.format == OX_KV_BF16) {
        kernels->attend_bf16(together->q, together->gathered, together->n_seen, together->n, heads, keys, values,
                             n_keys, config->head_dim, scale, room);
    } else {
        kernels->attend_f32(together->q, together->gathered, together->n_seen, together->n, heads, keys, values,
                            n_keys, config->head_dim, scale, room);
    }
    together->n = 0;
}

static void clear(struct ox_softmax *soft, float *sum, size_t n, size_t dim)
{
    for (size_t i = 0; i < n; i++) {
        soft[i] = (struct ox_softmax){-INFINITY, 0.0F};
    }
    memset(sum, 0, n * dim * sizeof *sum);
}

/* Divide by the softmax's sum: the attention's result, in place. */
static void finish(const struct ox_softmax *soft, float *sum, size_t n, size_t dim)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < dim; k++) {
            sum[i * dim + k] /= soft[i].sum;
        }
    }
}

/* ---- many rows ---------------------------------------------------------------------------------------------------- */

/* Rows [begin, end) of one timeline and KV head g, for one worker: at most OX_TILE_ROWS_SPARSE, or _DENSE. */
struct tile {
    const struct ox_pass *pass;
    size_t layer;
    const struct ox_run *run;
    size_t g;
    size_t begin;
    size_t end;
    struct ox_softmax *segment_soft; /* [rows, heads], dense layers only */
    float *segment_sum;              /* [rows, heads, head_dim] */
    void *room;
};

static struct ox_softmax *soft_of(const struct tile *tile, size_t t)
{
    const struct ox_config *config = tile->pass->model->config;
    return tile->pass->state->attended_soft + t * config->n_heads + tile->g * (config->n_heads / config->n_kv_heads);
}

static float *sum_of(const struct tile *tile, size_t t)
{
    const struct ox_config *config = tile->pass->model->config;
    const size_t heads = config->n_heads / config->n_kv_heads;
    return tile->pass->state->attended + (t * config->n_heads + tile->g * heads) * config->head_dim;
}

/* Every row sees every block up to its own: segment by segment. */
static void attend_dense(const struct tile *tile)
{
    const struct ox_config *config = tile->pass->model->config;
    const size_t dim = config->head_dim;
    const size_t heads = config->n_heads / config->n_kv_heads;
    const size_t n_blocks = ox_run_pos(tile->run, tile->end - 1) / config->block + 1;
    struct together together;
    together.n = 0;
    for (size_t from = 0; from < n_blocks; from += OX_SEGMENT_DENSE) {
        const size_t to = n_blocks - from < OX_SEGMENT_DENSE ? n_blocks : from + OX_SEGMENT_DENSE;
        clear(tile->segment_soft, tile->segment_sum, (tile->end - tile->begin) * heads, dim);
        for (size_t b = from; b < to; b++) {
            for (size_t t = tile->begin; t < tile->end; t++) {
                const size_t at = (t - tile->begin) * heads;
                if (ox_run_pos(tile->run, t) >= b * config->block) {
                    join(tile->pass, &together, t, tile->g, b, tile->segment_soft + at, tile->segment_sum + at * dim);
                }
            }
            attend_block(tile->pass, tile->layer, tile->run, tile->g, b, &together, tile->room);
        }
        for (size_t t = tile->begin; t < tile->end; t++) {
            const size_t at = (t - tile->begin) * heads;
            if (ox_run_pos(tile->run, t) >= from * config->block) {
                tile->pass->model->kernels->attend_merge(soft_of(tile, t), sum_of(tile, t), tile->segment_soft + at,
                                                         tile->segment_sum + at * dim, heads, dim);
            }
        }
    }
}

/* Every row sees the blocks that it has chosen: the lowest block that any row still has to see comes next. */
static void attend_sparse(const struct tile *tile)
{
    size_t next[OX_TILE_ROWS_SPARSE] = {0};
    struct block_list lists[OX_TILE_ROWS_SPARSE];
    struct together together;
    together.n = 0;
    for (size_t t = tile->begin; t < tile->end; t++) {
        lists[t - tile->begin] = blocks_of(tile->pass, tile->layer, t, tile->g);
    }
    for (;;) {
        size_t lowest = SIZE_MAX;
        for (size_t i = 0; i < tile->end - tile->begin; i++) {
            if (next[i] < lists[i].n && block_at(lists[i], next[i]) < lowest) {
                lowest = block_at(lists[i], next[i]);
            }
        }
        if (lowest == SIZE_MAX) {
            return;
        }
        for (size_t i = 0; i < tile->end - tile->begin; i++) {
            if (next[i] < lists[i].n && block_at(lists[i], next[i]) == lowest) {
                const size_t t = tile->begin + i;
                join(tile->pass, &together, t, tile->g, lowest, soft_of(tile, t), sum_of(tile, t));
                next[i]++;
            }
        }
        attend_block(tile->pass, tile->layer, tile->run, tile->g, lowest, &together, tile->room);
    }
}

static void attend_tile(const struct tile *tile)
{
    const struct ox_config *config = tile->pass->model->config;
    const size_t heads = config->n_heads / config->n_kv_heads;
    for (size_t t = tile->begin; t < tile->end; t++) {
        clear(soft_of(tile, t), sum_of(tile, t), heads, config->head_dim);
    }
    if (config->sparse_layer[tile->layer]) {
        attend_sparse(tile);
    } else {
        attend_dense(tile);
    }
    for (size_t t = tile->begin; t < tile->end; t++) {
        finish(soft_of(tile, t), sum_of(tile, t), heads, config->head_dim);
    }
}

/* Rows of a tile: as many as may attend together, but so few that every worker gets some tiles. */
static size_t tile_rows(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    const size_t most = config->sparse_layer[layer] ? OX_TILE_ROWS_SPARSE : OX_TILE_ROWS_DENSE;
    const size_t rows = pass->n_rows * config->n_kv_heads / (4 * worker->n_workers);
    if (rows == 0) {
        return 1;
    }
    return rows < most ? rows : most;
}

static void attend_whole(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_state *state = pass->state;
    const size_t heads = config->n_heads / config->n_kv_heads;
    const size_t rows = tile_rows(pass, worker, layer);
    float *room = ox_worker_room(pass, worker);
    struct tile tile = {.pass = pass, .layer = layer, .room = room};
    size_t item = 0;
    room += state->attend_floats;
    tile.segment_sum = room;
    tile.segment_soft = (struct ox_softmax *)(room + OX_TILE_ROWS_DENSE * heads * config->head_dim);
    for (size_t r = 0; r < state->n_runs; r++) {
        tile.run = &state->runs[r];
        const size_t run_end = tile.run->first_row + tile.run->n_rows;
        for (tile.begin = tile.run->first_row; tile.begin < run_end; tile.begin += rows) {
            tile.end = run_end - tile.begin < rows ? run_end : tile.begin + rows;
            for (tile.g = 0; tile.g < config->n_kv_heads; tile.g++) {
                if (item++ % worker->n_workers == worker->i_worker) {
                    attend_tile(&tile);
                }
            }
        }
    }
}

/* ---- few rows ----------------------------------------------------------------------------------------------------- */

/* One segment of the blocks of row t and group g: from, to in its list. */
static void attend_segment(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer, size_t t, size_t g,
                           struct block_list list, size_t from, size_t to)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_state *state = pass->state;
    const size_t heads = config->n_heads / config->n_kv_heads;
    const size_t at = ((t * state->n_segments + from / segment_blocks(pass, layer)) * config->n_kv_heads + g) * heads;
    struct ox_softmax *soft = state->segment_soft + at;
    float *sum = state->segment_sum + at * config->head_dim;
    struct together together;
    together.n = 0;
    clear(soft, sum, heads, config->head_dim);
    for (size_t i = from; i < to; i++) {
        join(pass, &together, t, g, block_at(list, i), soft, sum);
        attend_block(pass, layer, ox_run_of(state, t), g, block_at(list, i), &together, ox_worker_room(pass, worker));
    }
}

/* Segments of head i (all rows' heads numbered one after the other) put together. */
static void merge_segments(const struct ox_pass *pass, size_t layer, size_t i)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_state *state = pass->state;
    const size_t dim = config->head_dim;
    const size_t t = i / config->n_heads;
    const size_t h = i % config->n_heads;
    const size_t step = segment_blocks(pass, layer);
    const struct block_list list = blocks_of(pass, layer, t, h / (config->n_heads / config->n_kv_heads));
    struct ox_softmax *soft = state->attended_soft + i;
    float *sum = state->attended + i * dim;
    clear(soft, sum, 1, dim);
    for (size_t from = 0; from < list.n; from += step) {
        const size_t at = (t * state->n_segments + from / step) * config->n_heads + h;
        pass->model->kernels->attend_merge(soft, sum, state->segment_soft + at, state->segment_sum + at * dim, 1, dim);
    }
    finish(soft, sum, 1, dim);
}

static void attend_split(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    const size_t step = segment_blocks(pass, layer);
    size_t item = 0;
    for (size_t t = 0; t < pass->n_rows; t++) {
        for (size_t g = 0; g < config->n_kv_heads; g++) {
            const struct block_list list = blocks_of(pass, layer, t, g);
            for (size_t from = 0; from < list.n; from += step) {
                if (item++ % worker->n_workers == worker->i_worker) {
                    attend_segment(pass, worker, layer, t, g, list, from,
                                   list.n - from < step ? list.n : from + step);
                }
            }
        }
    }
    ox_barrier(worker);
    size_t begin;
    size_t end;
    ox_share(worker, pass->n_rows * config->n_heads, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        merge_segments(pass, layer, i);
    }
}

void ox_step_attend(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    if (pass->n_rows <= pass->state->max_split &&
        pass->n_rows * pass->model->config->n_kv_heads < 4 * worker->n_workers) {
        attend_split(pass, worker, layer);
    } else {
        attend_whole(pass, worker, layer);
    }
}
