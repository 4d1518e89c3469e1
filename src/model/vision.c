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

/* What is done with the result of a product, by the worker that has computed it. */
enum then { THEN_NOTHING, THEN_GELU, THEN_ADD };

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
    s->half = 3 * (2 * (s->head_dim / 2) / 3 / 2);
    s->head_bytes = kernels->operand_bytes(s->head_dim);
    s->bf16 = s->head_bytes < kernels->exact_bytes(s->head_dim);
    s->element_bytes = s->bf16 ? 2 : sizeof(float);
    const size_t room = kernels->attend_room(OX_GROUP_TOKENS, OX_VISION_TILE_KEYS, s->head_dim);
    s->attend_floats = whole_lines((room + sizeof(float) - 1) / sizeof(float));
    s->worker_floats = whole_lines(s->attend_floats + OX_VISION_TILE_QUERIES *
                                                          (s->head_dim + sizeof(struct ox_softmax) / sizeof(float)));
}

static void place_chunk(struct layout *l, const struct ox_model *model, struct ox_vision *s)
{
    const struct ox_vision_config *v = &model->config->vision;
    const struct ox_kernels *kernels = model->kernels;
    const size_t text = model->config->hidden;
    const size_t widest = larger(v->inter, v->projector);
    const size_t square = v->merge * v->merge;
    size_t input = larger(kernels->operand_bytes(v->hidden), kernels->exact_bytes(ox_vision_patch_values(model->config)));
    input = larger(input, (kernels->operand_bytes(text * square) + square - 1) / square);
    s->normed = place(l, s->chunk, v->hidden, sizeof(float));
    s->q = place(l, s->chunk, v->hidden, sizeof(float));
    s->k = place(l, s->chunk, v->hidden, sizeof(float));
    s->v = place(l, s->chunk, v->hidden, sizeof(float));
    s->attended = place(l, s->chunk, v->hidden, sizeof(float));
    s->inner = place(l, s->chunk, widest, sizeof(float));
    s->projected = place(l, s->chunk, larger(text, v->hidden), sizeof(float));
    s->input = place(l, s->chunk, input, 1);
    s->inner_input = place(l, s->chunk, kernels->operand_bytes(widest), 1);
    s->q_input = place(l, s->chunk, v->n_heads, s->head_bytes);
}

static void place_all(struct layout *l, const struct ox_model *model, struct ox_vision *s)
{
    const struct ox_vision_config *v = &model->config->vision;
    const size_t both = 2 * v->hidden * s->element_bytes;
    s->x = place(l, s->max_patches, v->hidden, sizeof(float));
    s->keys = place(l, s->max_patches, larger(both, ox_vision_patch_values(model->config) * sizeof(float)), 1);
    s->values = s->keys != NULL ? s->keys + s->max_patches * v->hidden * s->element_bytes : NULL;
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

/* y <- W x + bias for this worker's share of W's rows, and what comes then; onto: [n, W's rows] for THEN_ADD. */
static void affine(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_affine *w,
                   const uint8_t *operand, size_t n, float *y, enum then then, float *onto)
{
    const struct ox_kernels *kernels = ox_vision_kernels(vision);
    const size_t stride = w->weight.rows;
    size_t begin;
    size_t end;
    ox_linear_share(worker, &w->weight, &begin, &end);
    ox_product(kernels, &w->weight, begin, end, operand, n, y + begin, stride);
    for (size_t i = 0; i < n && begin < end; i++) {
        float *row = y + i * stride + begin;
        kernels->add(row, w->bias + begin, end - begin);
        if (then == THEN_GELU) {
            kernels->gelu(row, end - begin);
        } else if (then == THEN_ADD) {
            kernels->add(onto + i * stride + begin, row, end - begin);
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

/* x <- norm(Wp patch), with every bit of the patch: it is little work. Barriers inside. */
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
        ox_pack_group(kernels->pack_exact, patches + i * values, values, n, values,
                      vision->input + i * kernels->exact_bytes(values));
    }
    ox_barrier(worker);
    ox_linear_exact(&vision->pass, worker, &weights->patch, vision->input, chunk->n, x);
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
    affine(vision, worker, &w->k, vision->input, chunk->n, vision->k, THEN_NOTHING, NULL);
    affine(vision, worker, &w->v, vision->input, chunk->n, vision->v, THEN_NOTHING, NULL);
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
    affine(vision, worker, &w->q, vision->input, chunk->n, vision->q, THEN_NOTHING, NULL);
    ox_barrier(worker);
    ox_vision_rotate(vision, worker, chunk);
    ox_barrier(worker);
    ox_vision_attend(vision, worker, chunk);
    ox_barrier(worker);
    pack(vision, worker, vision->attended, chunk->n, config->hidden, vision->input);
    ox_barrier(worker);
    affine(vision, worker, &w->out, vision->input, chunk->n, vision->projected, THEN_ADD, x);
    ox_barrier(worker);
    norm(vision, worker, &w->norm2, chunk);
    ox_barrier(worker);
    affine(vision, worker, &w->fc1, vision->input, chunk->n, vision->inner, THEN_GELU, NULL);
    ox_barrier(worker);
    pack(vision, worker, vision->inner, chunk->n, config->inter, vision->inner_input);
    ox_barrier(worker);
    affine(vision, worker, &w->fc2, vision->inner_input, chunk->n, vision->projected, THEN_ADD, x);
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
    affine(vision, worker, &w->project1, vision->input, chunk->n, vision->inner, THEN_GELU, NULL);
    ox_barrier(worker);
    pack(vision, worker, vision->inner, chunk->n, config->projector, vision->inner_input);
    ox_barrier(worker);
    affine(vision, worker, &w->project2, vision->inner_input, chunk->n, vision->projected, THEN_NOTHING, NULL);
    ox_barrier(worker);
    /* the rows of a square stand one behind the other: together they are one row */
    pack(vision, worker, vision->projected, n, text * square, vision->input);
    ox_barrier(worker);
    affine(vision, worker, &w->merge1, vision->input, n, vision->inner, THEN_GELU, NULL);
    ox_barrier(worker);
    pack(vision, worker, vision->inner, n, config->projector, vision->inner_input);
    ox_barrier(worker);
    affine(vision, worker, &w->merge2, vision->inner_input, n, vision->features + chunk->begin / square * text,
           THEN_NOTHING, NULL);
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
