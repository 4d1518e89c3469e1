/* SPDX-License-Identifier: Apache-2.0
 *
 * What the steps of the vision tower share. Internal to src/model. As in step.h, a step is a function that all workers
 * run together; rows of a segment are worked on in chunks, so that only the residual stream, keys and values exist for
 * all of it.
 */
#ifndef OX_MODEL_VISION_STEP_H
#define OX_MODEL_VISION_STEP_H

#include "model/step.h"
#include "model/vision.h"

/* Most queries of one head that attend together, and fewest; and keys at a time, which decides the order of summation,
 * not only speed. */
#define OX_VISION_MOST_QUERIES ((size_t)256)
#define OX_VISION_LEAST_QUERIES ((size_t)64)
#define OX_VISION_TILE_KEYS 256

struct ox_vision {
    struct ox_pass pass; /* of the model alone: what the linear layers ask for */
    struct ox_region region; /* holds every array below */
    size_t max_patches;
    size_t chunk;     /* most rows of a chunk, a multiple of merge^2 */
    size_t head_dim;
    size_t head_width; /* of a stored head: head_dim, and zeros as far as an operand of it reaches */
    size_t tile;      /* queries of one head that attend together */
    size_t half;      /* pairs of a head that are rotated: three axes, one after the other */
    bool bf16;        /* keys and values are BF16: the level rounds operands anyway */
    size_t element_bytes; /* of keys and values */
    size_t head_bytes;    /* of an operand row of a head's queries */
    /* For the whole segment */
    float *x;         /* [max_patches, hidden] the residual stream */
    uint8_t *keys;    /* [n_heads, max_patches, head_width]; the segment's patches before there are any */
    uint8_t *values;  /* the same */
    float *cosine;    /* [max_patches, half] */
    float *sine;
    /* For a chunk */
    float *normed;    /* [hidden] */
    float *q;         /* [hidden] */
    float *k;
    float *v;
    float *attended;  /* [hidden] */
    float *projected; /* [hidden of the text model] */
    uint8_t *input;   /* operands of whatever comes next */
    uint8_t *inner_input;
    uint8_t *q_input; /* [n_heads, chunk] */
    /* For each worker */
    size_t attend_floats;
    size_t worker_floats;
    float *worker_room; /* [n_workers, worker_floats]: a panel of results, or attention's scratch, then sums and
                           softmaxes of a tile */
    /* The segment in hand */
    size_t t;
    size_t h;
    size_t w;
    size_t n; /* t * h * w */
    float *tower;
    float *features;
    size_t unit; /* of its work, the next one */
    size_t end_unit; /* where the piece in hand ends */
};

/* Rows [begin, begin + n) of the segment. */
struct ox_chunk {
    size_t begin;
    size_t n;
};

static inline const struct ox_kernels *ox_vision_kernels(const struct ox_vision *vision)
{
    return vision->pass.model->kernels;
}

static inline const struct ox_vision_config *ox_vision_config_of(const struct ox_vision *vision)
{
    return &vision->pass.model->config->vision;
}

/* cosine, sine <- the angles of all rows. */
void ox_vision_angles(const struct ox_vision *vision, const struct ox_worker *worker);
/* The chunk's k and v, rotated, into keys and values. */
void ox_vision_store(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_chunk *chunk);
/* q_input <- the chunk's q, rotated. */
void ox_vision_rotate(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_chunk *chunk);
/* attended <- attention of the chunk's rows over the whole segment. */
void ox_vision_attend(const struct ox_vision *vision, const struct ox_worker *worker, const struct ox_chunk *chunk);

#endif
