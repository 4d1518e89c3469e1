/* SPDX-License-Identifier: Apache-2.0
 *
 * The vision tower, its projector and merger: patch embedding, layers of attention and MLP, then every patch projected
 * and each square of patches merged into one row. Each layer walks a segment's rows twice in chunks: keys and values of
 * all rows first, then everything else. Source: vision.md 6, 7.
 */
#include "model/vision.h"

#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "model/vision_step.h"

/* Rows of a chunk, about: their operands should stay in the second cache. 256 rows took 7 % less time than 128 and 10 %
 * less than 512 at the released sizes (bench_vision --cpu-time=1, 576 patches, level avx512, Xeon with 2 MiB). */
#define CHUNK_ROWS ((size_t)256)

/* Rows of a matrix whose results are kept in a panel, until what follows has read them from the second cache. */
#define PANEL_ROWS ((size_t)256)
/* Floats from one token's results to the next: rows of 16 tokens shall not fall on each other in the first cache. */
#define PANEL_STRIDE (PANEL_ROWS + 16)

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Either counting (base NULL) or placing. */
struct layout {
    uint8_t *base;
    size_t at;
    bool overflow;
};

static void *place(struct layout *l, size_t rows, size_t width, size_t element_bytes)
{
    size_t bytes;
    size_t next;
    if (ox_ckd_mul(&bytes, rows, width) || ox_ckd_mul(&bytes, bytes, element_bytes) ||
        ox_ckd_round_up(&bytes, bytes, OX_ALIGN) || ox_ckd_add(&next, l->at, bytes)) {
        l->overflow = true;
        return NULL;
    }
    void *p = l->base != NULL ? l->base + l->at : NULL;
    l->at = next;
    return p;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t whole_lines(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

size_t ox_vision_patch_values(const struct ox_config *config)
{
    const struct ox_vision_config *v = &config->vision;
    return v->n_channels * v->temporal * v->patch * v->patch;
}

/* How many queries attend together, of one head after the other: many, since each time the keys and values are made
 * ready, which costs as much as some queries; but few enough that all workers have equal shares of a chunk. No bit
 * depends on it. */
static size_t choose_tile(size_t chunk, size_t n_heads, size_t n_workers)
{
    const size_t ready = OX_GROUP_TOKENS;
    size_t best = OX_VISION_LEAST_QUERIES;
    size_t least = SIZE_MAX;
    for (size_t tile = OX_VISION_LEAST_QUERIES; tile <= OX_VISION_MOST_QUERIES; tile *= 2) {
        const size_t n_items = (chunk + tile - 1) / tile * n_heads;
        const size_t time = (n_items + n_workers - 1) / n_workers * (tile + ready);
        best = time <= least ? tile : best;
        least = time <= least ? time : least;
    }
    return best;
}

static void size_vision(const struct ox_model *model, size_t max_patches, struct ox_vision *s)
{
    const struct ox_vision_config *v = &model->config->vision;
    const struct ox_kernels *kernels = model->kernels;
    const size_t square = v->merge * v->merge;
    memset(s, 0, sizeof *s);
    s->pass.model = model;
    s->max_patches = max_patches;
    s->chunk = larger(CHUNK_ROWS / square, 1) * square;
    s->head_dim = v->hidden / v->n_heads;
    s->tile = choose_tile(s->chunk, v->n_heads, ox_team_n_workers(model->team));
    s->half = 3 * (2 * (s->head_dim / 2) / 3 / 2);
    s->head_bytes = kernels->operand_bytes(s->head_dim);
    s->head_width = s->head_dim;
    while (kernels->operand_bytes(s->head_width + 1) == s->head_bytes) {
        s->head_width++;
    }
    s->bf16 = s->head_bytes < kernels->exact_bytes(s->head_dim);
    s->element_bytes = s->bf16 ? 2 : sizeof(float);
    const size_t room = kernels->attend_room(OX_GROUP_TOKENS, OX_VISION_TILE_KEYS, s->head_width);
    s->attend_floats = whole_lines((room + sizeof(float) - 1) / sizeof(float));
    const size_t tile = s->attend_floats +
                        s->tile * (s->head_width + sizeof(struct ox_softmax) / sizeof(float));
    s->worker_floats = whole_lines(larger(tile, s->chunk * PANEL_STRIDE));
}

static void place_chunk(struct layout *l, const struct ox_model *model, struct ox_vision *s)
{
    const struct ox_vision_config *v = &model->config->vision;
    const struct ox_kernels *kernels = model->kernels;
    const size_t text = model->config->hidden;
    const size_t widest = larger(v->inter, v->projector);
    const size_t square = v->merge * v->merge;
    size_t input = larger(kernels->operand_bytes(v->hidden), kernels->operand_bytes(ox_vision_patch_values(model->config)));
    input = larger(input, (kernels->operand_bytes(text * square) + square - 1) / square);
    s->normed = place(l, s->chunk, v->hidden, sizeof(float));
    s->q = place(l, s->chunk, v->hidden, sizeof(float));
    s->k = place(l, s->chunk, v->hidden, sizeof(float));
    s->v = place(l, s->chunk, v->hidden, sizeof(float));
    s->attended = place(l, s->chunk, v->hidden, sizeof(float));
    s->projected = place(l, s->chunk, text, sizeof(float));
    s->input = place(l, s->chunk, input, 1);
    s->inner_input = place(l, s->chunk, kernels->operand_bytes(widest), 1);
    s->q_input = place(l, s->chunk, v->n_heads, s->head_bytes);
}

static void place_all(struct layout *l, const struct ox_model *model, struct ox_vision *s)
{
    const struct ox_vision_config *v = &model->config->vision;
    const size_t row_bytes = v->n_heads * s->head_width * s->element_bytes;
    s->x = place(l, s->max_patches, v->hidden, sizeof(float));
    s->keys = place(l, s->max_patches, larger(2 * row_bytes, ox_vision_patch_values(model->config) * sizeof(float)), 1);
    s->values = s->keys != NULL ? s->keys + s->max_patches * row_bytes : NULL;
    s->cosine = place(l, s->max_patches, s->half, sizeof(float));
    s->sine = place(l, s->max_patches, s->half, sizeof(float));
    place_chunk(l, model, s);
    s->worker_room = place(l, ox_team_n_workers(model->team), s->worker_floats, sizeof(float));
}

uint64_t ox_vision_bytes(const struct ox_model *model, size_t max_patches)
{
    struct ox_vision s;
    struct layout l = {0};
    size_vision(model, max_patches, &s);
    place_all(&l, model, &s);
    return l.overflow ? UINT64_MAX : l.at;
}

enum ox_status ox_vision_open(const struct ox_model *model, size_t max_patches, struct ox_vision **out,
                              struct ox_error *err)
{
    const uint64_t bytes = ox_vision_bytes(model, max_patches);
    struct ox_vision *vision = ox_calloc(1, sizeof *vision);
    if (vision == NULL || bytes == UINT64_MAX) {
        ox_free(vision);
        return ox_error_set(err, OX_E_NOMEM, "the working memory for a picture of %zu patches cannot be had",
                            max_patches);
    }
    size_vision(model, max_patches, vision);
    const enum ox_status status = ox_region_open((size_t)bytes, &vision->region, err);
    if (status != OX_OK) {
        ox_free(vision);
        return status;
    }
    struct layout l = {.base = vision->region.ptr};
    place_all(&l, model, vision);
    *out = vision;
    return OX_OK;
}

void ox_vision_close(struct ox_vision **vision)
{
    if (*vision == NULL) {
        return;
    }
    ox_region_close(&(*vision)->region);
    ox_free(*vision);
    *vision = NULL;
}

float *ox_vision_patches(struct ox_vision *vision)
{
    return (float *)(void *)vision->keys;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* y [n, W's rows] <- W x + bias: this worker's share of W's rows. */
static void affine(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_affine *w,
                   const uint8_t *operand, size_t n, float *y)
{
    const struct ox_kernels *kernels = ox_vision_kernels(vision);
    const size_t stride = w->weight.rows;
    size_t begin;
    size_t end;
    ox_linear_share(worker, &w->weight, &begin, &end);
    ox_product(kernels, &w->weight, begin, end, operand, n, y + begin, stride);
    for (size_t i = 0; i < n && begin < end; i++) {
        kernels->add(y + i * stride + begin, w->bias + begin, end - begin);
    }
}

/* Room for the results of PANEL_ROWS rows for a chunk: [chunk, PANEL_STRIDE]. */
static float *panel_of(const struct ox_vision *vision, const struct ox_worker *worker)
{
    return vision->worker_room + worker->i_worker * vision->worker_floats;
}

/* onto [n, W's rows] += W x + bias: this worker's share, a panel at a time. */
static void affine_add(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_affine *w,
                       const uint8_t *operand, size_t n, float *onto)
{
    const struct ox_kernels *kernels = ox_vision_kernels(vision);
    float *panel = panel_of(vision, worker);
    size_t begin;
    size_t end;
    ox_linear_share(worker, &w->weight, &begin, &end);
    for (size_t row = begin; row < end; row += PANEL_ROWS) {
        const size_t len = end - row < PANEL_ROWS ? end - row : PANEL_ROWS;
        ox_product(kernels, &w->weight, row, row + len, operand, n, panel, PANEL_STRIDE);
        for (size_t i = 0; i < n; i++) {
            float *result = panel + i * PANEL_STRIDE;
            kernels->add(result, w->bias + row, len);
            kernels->add(onto + i * w->weight.rows + row, result, len);
        }
    }
}

/* out <- operands of gelu(W x + bias): this worker's share, a panel at a time. */
static void affine_gelu(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_affine *w,
                        const uint8_t *operand, size_t n, uint8_t *out)
{
    const struct ox_kernels *kernels = ox_vision_kernels(vision);
    const size_t out_bytes = kernels->operand_bytes(w->weight.rows);
    float *panel = panel_of(vision, worker);
    size_t begin;
    size_t end;
    ox_share(worker, w->weight.rows, OX_PACK_COLS, &begin, &end);
    for (size_t row = begin; row < end; row += PANEL_ROWS) {
        const size_t len = end - row < PANEL_ROWS ? end - row : PANEL_ROWS;
        ox_product(kernels, &w->weight, row, row + len, operand, n, panel, PANEL_STRIDE);
        for (size_t i = 0; i < n; i += OX_GROUP_TOKENS) {
            const size_t n_here = n - i < OX_GROUP_TOKENS ? n - i : OX_GROUP_TOKENS;
            const float *rows[OX_GROUP_TOKENS];
            for (size_t j = 0; j < n_here; j++) {
                float *result = panel + (i + j) * PANEL_STRIDE;
                kernels->add(result, w->bias + row, len);
                kernels->gelu(result, len);
                rows[j] = result;
            }
            kernels->pack(rows, n_here, row, row + len, w->weight.rows, out + i * out_bytes);
        }
    }
}

static void pack(const struct ox_vision *vision, const struct ox_worker *worker, const float *x, size_t n, size_t n_cols,
                 uint8_t *operand)
{
    ox_pack(&vision->pass, worker, x, n_cols, n, n_cols, operand);
}

/* input <- norm of the chunk's rows of x. */
static void norm(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_layer_norm *w,
                 const struct ox_chunk *chunk)
{
    const struct ox_kernels *kernels = ox_vision_kernels(vision);
    const struct ox_vision_config *config = ox_vision_config_of(vision);
    const size_t hidden = config->hidden;
    const size_t row_bytes = kernels->operand_bytes(hidden);
    size_t begin;
    size_t end;
    ox_share(worker, chunk->n, OX_GROUP_TOKENS, &begin, &end);
    for (size_t i = begin; i < end; i += OX_GROUP_TOKENS) {
        const size_t n = end - i < OX_GROUP_TOKENS ? end - i : OX_GROUP_TOKENS;
        float *normed = vision->normed + i * hidden;
        for (size_t j = 0; j < n; j++) {
            kernels->layer_norm(vision->x + (chunk->begin + i + j) * hidden, w->weight, w->bias, hidden, config->eps,
                                normed + j * hidden);
        }
        ox_pack_group(kernels->pack, normed, hidden, n, hidden, vision->input + i * row_bytes);
    }
}

/* x <- norm(Wp patch); the patch is rounded where the level rounds, as the model's authors do. Barriers inside. */
static void embed(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_chunk *chunk)
{
    const struct ox_kernels *kernels = ox_vision_kernels(vision);
    const struct ox_vision_weights *weights = &vision->pass.model->weights->vision;
    const size_t values = weights->patch.cols;
    const size_t hidden = weights->patch.rows;
    const float *patches = (const float *)(const void *)vision->keys + chunk->begin * values;
    float *x = vision->x + chunk->begin * hidden;
    size_t begin;
    size_t end;
    ox_share(worker, chunk->n, OX_GROUP_TOKENS, &begin, &end);
    for (size_t i = begin; i < end; i += OX_GROUP_TOKENS) {
        const size_t n = end - i < OX_GROUP_TOKENS ? end - i : OX_GROUP_TOKENS;
        ox_pack_group(kernels->pack, patches + i * values, values, n, values,
                      vision->input + i * kernels->operand_bytes(values));
    }
    ox_barrier(worker);
    ox_linear(&vision->pass, worker, &weights->patch, vision->input, chunk->n, x);
    ox_barrier(worker);
    for (size_t i = begin; i < end; i++) {
        kernels->layer_norm(x + i * hidden, weights->pre_norm.weight, weights->pre_norm.bias, hidden,
                            ox_vision_config_of(vision)->eps, x + i * hidden);
    }
    ox_barrier(worker);
}

/* Keys and values of the chunk. Barriers inside. */
static void gather(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_vision_layer *w,
                   const struct ox_chunk *chunk)
{
    norm(vision, worker, &w->norm1, chunk);
    ox_barrier(worker);
    affine(vision, worker, &w->k, vision->input, chunk->n, vision->k);
    affine(vision, worker, &w->v, vision->input, chunk->n, vision->v);
    ox_barrier(worker);
    ox_vision_store(vision, worker, chunk);
    ox_barrier(worker);
}

/* Everything else of a layer. Barriers inside. */
static void attend(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_vision_layer *w,
                   const struct ox_chunk *chunk)
{
    const struct ox_vision_config *config = ox_vision_config_of(vision);
    float *x = vision->x + chunk->begin * config->hidden;
    norm(vision, worker, &w->norm1, chunk);
    ox_barrier(worker);
    affine(vision, worker, &w->q, vision->input, chunk->n, vision->q);
    ox_barrier(worker);
    ox_vision_rotate(vision, worker, chunk);
    ox_barrier(worker);
    ox_vision_attend(vision, worker, chunk);
    ox_barrier(worker);
    pack(vision, worker, vision->attended, chunk->n, config->hidden, vision->input);
    ox_barrier(worker);
    affine_add(vision, worker, &w->out, vision->input, chunk->n, x);
    ox_barrier(worker);
    norm(vision, worker, &w->norm2, chunk);
    ox_barrier(worker);
    affine_gelu(vision, worker, &w->fc1, vision->input, chunk->n, vision->inner_input);
    ox_barrier(worker);
    affine_add(vision, worker, &w->fc2, vision->inner_input, chunk->n, x);
    ox_barrier(worker);
}

/* features <- the chunk's patches, projected and merged. Barriers inside. */
static void merge(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_chunk *chunk)
{
    const struct ox_vision_config *config = ox_vision_config_of(vision);
    const struct ox_vision_weights *w = &vision->pass.model->weights->vision;
    const size_t text = vision->pass.model->config->hidden;
    const size_t square = config->merge * config->merge;
    const size_t n = chunk->n / square;
    pack(vision, worker, vision->x + chunk->begin * config->hidden, chunk->n, config->hidden, vision->input);
    ox_barrier(worker);
    affine_gelu(vision, worker, &w->project1, vision->input, chunk->n, vision->inner_input);
    ox_barrier(worker);
    affine(vision, worker, &w->project2, vision->inner_input, chunk->n, vision->projected);
    ox_barrier(worker);
    /* the rows of a square stand one behind the other: together they are one row */
    pack(vision, worker, vision->projected, n, text * square, vision->input);
    ox_barrier(worker);
    affine_gelu(vision, worker, &w->merge1, vision->input, n, vision->inner_input);
    ox_barrier(worker);
    affine(vision, worker, &w->merge2, vision->inner_input, n, vision->features + chunk->begin / square * text);
    ox_barrier(worker);
}

static struct ox_chunk chunk_at(const struct ox_vision *vision, size_t begin)
{
    const size_t left = vision->n - begin;
    return (struct ox_chunk){begin, left < vision->chunk ? left : vision->chunk};
}

/* Units of work follow each other: the embedding of each chunk, in each layer the keys and values of each chunk and then
 * the rest of it, and the merging of each chunk. */
static size_t n_chunks(const struct ox_vision *vision)
{
    return (vision->n + vision->chunk - 1) / vision->chunk;
}

static size_t n_units(const struct ox_vision *vision)
{
    return (2 + 2 * ox_vision_config_of(vision)->n_layers) * n_chunks(vision);
}

static void run_unit(const struct ox_vision *vision, const struct ox_worker *worker, size_t unit)
{
    const struct ox_vision_config *config = ox_vision_config_of(vision);
    const struct ox_vision_weights *weights = &vision->pass.model->weights->vision;
    const struct ox_chunk chunk = chunk_at(vision, unit % n_chunks(vision) * vision->chunk);
    const size_t walk = unit / n_chunks(vision);
    if (walk == 0) {
        if (unit == 0) {
            ox_vision_angles(vision, worker);
        }
        embed(vision, worker, &chunk);
    } else if (walk == 1 + 2 * config->n_layers) {
        merge(vision, worker, &chunk);
    } else if (walk % 2 == 1) {
        gather(vision, worker, &weights->layers[(walk - 1) / 2], &chunk);
    } else {
        attend(vision, worker, &weights->layers[(walk - 1) / 2], &chunk);
    }
}

static void run_units(void *argument, const struct ox_worker *worker)
{
    const struct ox_vision *vision = argument;
    for (size_t unit = vision->unit; unit < vision->end_unit; unit++) {
        run_unit(vision, worker, unit);
    }
}

void ox_vision_begin(struct ox_vision *vision, size_t t, size_t h, size_t w, float *tower, float *features)
{
    const size_t square = ox_vision_config_of(vision)->merge;
    OX_CHECK(h % square == 0 && w % square == 0 && t * h * w > 0 && t * h * w <= vision->max_patches);
    vision->t = t;
    vision->h = h;
    vision->w = w;
    vision->n = t * h * w;
    vision->tower = tower;
    vision->features = features;
    vision->unit = 0;
}

bool ox_vision_advance(struct ox_vision *vision, size_t most)
{
    const size_t all = n_units(vision);
    const size_t left = all - vision->unit;
    vision->end_unit = vision->unit + (most < left ? most : left);
    ox_team_run(vision->pass.model->team, run_units, vision);
    vision->unit = vision->end_unit;
    if (vision->unit == all && vision->tower != NULL) {
        memcpy(vision->tower, vision->x, vision->n * ox_vision_config_of(vision)->hidden * sizeof *vision->x);
    }
    return vision->unit < all;
}

void ox_vision_encode(struct ox_vision *vision, size_t t, size_t h, size_t w, float *tower, float *features)
{
    ox_vision_begin(vision, t, h, w, tower, features);
    (void)ox_vision_advance(vision, SIZE_MAX);
}
