/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention of the vision tower: every patch of a segment attends to every other, head by head. The cache's attention
 * kernel serves: what it takes for a token's heads here are OX_GROUP_TOKENS patches that see the same keys. Keys come in
 * tiles with a running softmax, so that no matrix of all pairs ever exists. A head of 80 is stored as one of 96 where
 * the level's operands are that wide anyway: matrix units take whole steps. Source: vision.md 6, 6.1, 6.2.
 */
#include <math.h>
#include <string.h>

#include "model/vision_step.h"

/* Row, column and temporal patch of row i: blocks of merge x merge patches, blocks row by row. */
static void position(const struct ox_vision *vision, size_t i, size_t *t, size_t *row, size_t *column)
{
    const size_t merge = ox_vision_config_of(vision)->merge;
    const size_t in_frame = i % (vision->h * vision->w);
    const size_t block = in_frame / (merge * merge);
    const size_t in_block = in_frame % (merge * merge);
    const size_t blocks_wide = vision->w / merge;
    *t = i / (vision->h * vision->w);
    *row = block / blocks_wide * merge + in_block / merge;
    *column = block % blocks_wide * merge + in_block % merge;
}

void ox_vision_angles(const struct ox_vision *vision, const struct ox_worker *worker)
{
    const size_t third = vision->half / 3;
    const double theta = ox_vision_config_of(vision)->rope_theta;
    size_t begin;
    size_t end;
    ox_share(worker, vision->n, 1, &begin, &end);
    for (size_t d = 0; d < third; d++) {
        /* frequency and angle are F32, as the model was trained; only then double */
        const float frequency = (float)(1.0 / pow(theta, (double)d / (double)third));
        for (size_t i = begin; i < end; i++) {
            size_t at[3];
            position(vision, i, &at[0], &at[1], &at[2]);
            for (size_t axis = 0; axis < 3; axis++) {
                const double angle = (double)((float)at[axis] * frequency);
                vision->cosine[i * vision->half + axis * third + d] = (float)cos(angle);
                vision->sine[i * vision->half + axis * third + d] = (float)sin(angle);
            }
        }
    }
}

static void rotate(const struct ox_vision *vision, size_t i, float *head)
{
    ox_vision_kernels(vision)->rope(head, vision->cosine + i * vision->half, vision->sine + i * vision->half,
                                    vision->half);
}

/* Row `row` of head h among keys or values. */
static uint8_t *stored_row(const struct ox_vision *vision, uint8_t *rows, size_t h, size_t row)
{
    return rows + (h * vision->max_patches + row) * vision->head_width * vision->element_bytes;
}

static void store(const struct ox_vision *vision, const float *head, uint8_t *to)
{
    const struct ox_kernels *kernels = ox_vision_kernels(vision);
    if (vision->bf16) {
        kernels->store_bf16(head, vision->head_dim, to);
    } else {
        kernels->store_f32(head, vision->head_dim, to);
    }
    memset(to + vision->head_dim * vision->element_bytes, 0,
           (vision->head_width - vision->head_dim) * vision->element_bytes);
}

void ox_vision_store(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_chunk *chunk)
{
    const struct ox_vision_config *config = ox_vision_config_of(vision);
    size_t begin;
    size_t end;
    ox_share(worker, chunk->n, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        for (size_t h = 0; h < config->n_heads; h++) {
            float *key = vision->k + i * config->hidden + h * vision->head_dim;
            rotate(vision, chunk->begin + i, key);
            store(vision, key, stored_row(vision, vision->keys, h, chunk->begin + i));
            store(vision, vision->v + i * config->hidden + h * vision->head_dim,
                  stored_row(vision, vision->values, h, chunk->begin + i));
        }
    }
}

/* The operand of the chunk's queries of head h from row i on, a multiple of OX_GROUP_TOKENS. */
static uint8_t *queries(const struct ox_vision *vision, size_t h, size_t i)
{
    return vision->q_input + (h * vision->chunk + i) * vision->head_bytes;
}

void ox_vision_rotate(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_chunk *chunk)
{
    const struct ox_vision_config *config = ox_vision_config_of(vision);
    const size_t n_groups = (chunk->n + OX_GROUP_TOKENS - 1) / OX_GROUP_TOKENS;
    size_t begin;
    size_t end;
    ox_share(worker, n_groups * config->n_heads, 1, &begin, &end);
    for (size_t item = begin; item < end; item++) {
        const size_t h = item % config->n_heads;
        const size_t i = item / config->n_heads * OX_GROUP_TOKENS;
        const size_t n = chunk->n - i < OX_GROUP_TOKENS ? chunk->n - i : OX_GROUP_TOKENS;
        float *q = vision->q + i * config->hidden + h * vision->head_dim;
        for (size_t j = 0; j < n; j++) {
            rotate(vision, chunk->begin + i + j, q + j * config->hidden);
        }
        ox_pack_group(ox_vision_kernels(vision)->pack, q, config->hidden, n, vision->head_dim, queries(vision, h, i));
    }
}

/* Queries of head h, rows [i, i + n) of the chunk, n <= vision->tile. */
struct tile {
    size_t h;
    size_t i;
    size_t n;
    struct ox_softmax *soft; /* [n] */
    float *sum;              /* [n, head_width] */
    void *room;
};

/* Groups of `rows` queries each, from the tile's row `from` on, over keys [j, j + n_keys). */
static void attend_groups(const struct ox_vision *vision, const struct tile *tile, size_t from, size_t rows,
                          size_t n_groups, size_t j, size_t n_keys)
{
    const struct ox_kernels *kernels = ox_vision_kernels(vision);
    const float scale = 1.0F / sqrtf((float)vision->head_dim);
    const void *keys = stored_row(vision, vision->keys, tile->h, j);
    const void *values = stored_row(vision, vision->values, tile->h, j);
    const uint8_t *q[OX_VISION_MOST_QUERIES / OX_GROUP_TOKENS];
    struct ox_gathered gathered[OX_VISION_MOST_QUERIES / OX_GROUP_TOKENS];
    size_t n_seen[OX_VISION_MOST_QUERIES / OX_GROUP_TOKENS];
    for (size_t g = 0; g < n_groups; g++) {
        const size_t at = from + g * rows;
        q[g] = queries(vision, tile->h, tile->i + at);
        gathered[g] = (struct ox_gathered){tile->soft + at, tile->sum + at * vision->head_width};
        n_seen[g] = n_keys;
    }
    if (n_groups > 0 && vision->bf16) {
        kernels->attend_bf16(q, gathered, n_seen, n_groups, rows, keys, values, n_keys, vision->head_width, scale,
                             tile->room);
    } else if (n_groups > 0) {
        kernels->attend_f32(q, gathered, n_seen, n_groups, rows, keys, values, n_keys, vision->head_width, scale,
                            tile->room);
    }
}

static void attend_tile(const struct ox_vision *vision, const struct tile *tile)
{
    const struct ox_vision_config *config = ox_vision_config_of(vision);
    const size_t whole = tile->n / OX_GROUP_TOKENS * OX_GROUP_TOKENS;
    for (size_t i = 0; i < tile->n; i++) {
        tile->soft[i] = (struct ox_softmax){-INFINITY, 0.0F};
    }
    memset(tile->sum, 0, tile->n * vision->head_width * sizeof *tile->sum);
    for (size_t j = 0; j < vision->n; j += OX_VISION_TILE_KEYS) {
        const size_t n_keys = vision->n - j < OX_VISION_TILE_KEYS ? vision->n - j : OX_VISION_TILE_KEYS;
        attend_groups(vision, tile, 0, OX_GROUP_TOKENS, whole / OX_GROUP_TOKENS, j, n_keys);
        attend_groups(vision, tile, whole, tile->n - whole, whole < tile->n ? 1 : 0, j, n_keys);
    }
    for (size_t i = 0; i < tile->n; i++) {
        float *out = vision->attended + (tile->i + i) * config->hidden + tile->h * vision->head_dim;
        const float *sum = tile->sum + i * vision->head_width;
        const float factor = 1.0F / tile->soft[i].sum;
        for (size_t k = 0; k < vision->head_dim; k++) {
            out[k] = sum[k] * factor;
        }
    }
}

void ox_vision_attend(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_chunk *chunk)
{
    const size_t n_tiles = (chunk->n + vision->tile - 1) / vision->tile;
    float *room = vision->worker_room + worker->i_worker * vision->worker_floats;
    float *sum = room + vision->attend_floats;
    struct tile tile = {.room = room, .sum = sum};
    tile.soft = (struct ox_softmax *)(void *)(sum + vision->tile * vision->head_width);
    size_t begin;
    size_t end;
    /* head by head, so that a worker's tiles share keys */
    ox_share(worker, n_tiles * ox_vision_config_of(vision)->n_heads, 1, &begin, &end);
    for (size_t item = begin; item < end; item++) {
        tile.h = item / n_tiles;
        tile.i = item % n_tiles * vision->tile;
        tile.n = chunk->n - tile.i < vision->tile ? chunk->n - tile.i : vision->tile;
        attend_tile(vision, &tile);
    }
}
