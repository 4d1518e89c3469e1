/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads patches and grids, and encodes them segment by segment.
 */
#include "engine/trace_media.h"

#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "model/vision.h"
#include "os/file.h"
#include "weights/safetensors.h"

/* Most temporal patches, rows or columns of a picture: their product stays far below 2^63. */
#define MAX_SIDE 100000

/* The file, and where its tensors are. */
struct source {
    const char *path;
    struct ox_map map;
    struct ox_safetensors file;
    const struct ox_tensor *pixels;
    const struct ox_tensor *grids;
};

struct grid {
    size_t t;
    size_t h;
    size_t w;
};

static struct grid grid_at(const struct source *source, size_t i)
{
    int32_t sides[3];
    memcpy(sides, source->grids->data + i * sizeof sides, sizeof sides);
    return (struct grid){(size_t)sides[0], (size_t)sides[1], (size_t)sides[2]};
}

void ox_trace_media_fini(struct ox_trace_media *media)
{
    ox_free(media->tower);
    ox_free(media->features);
    memset(media, 0, sizeof *media);
}

static enum ox_status find_tensor(const struct source *source, const char *name, enum ox_dtype dtype, size_t columns,
                                  const struct ox_tensor **out, struct ox_error *err)
{
    const struct ox_tensor *t = ox_safetensors_find(&source->file, ox_str_c(name));
    if (t == NULL || t->dtype != dtype || t->n_dims != 2 || t->dims[1] != columns) {
        return ox_error_set(err, OX_E_SHAPE, "%s: tensor %s: expected %s [*, %zu], found %s", source->path, name,
                            ox_dtype_name(dtype), columns, t == NULL ? "no such tensor" : "another type or shape");
    }
    *out = t;
    return OX_OK;
}

/* Sides in range and multiples of the merge size, all patches accounted for. */
static enum ox_status check_grids(const struct source *source, size_t merge, struct ox_error *err)
{
    size_t n_patches = 0;
    for (size_t i = 0; i < source->grids->dims[0]; i++) {
        int32_t sides[3];
        memcpy(sides, source->grids->data + i * sizeof sides, sizeof sides);
        for (size_t k = 0; k < 3; k++) {
            if (sides[k] < 1 || sides[k] > MAX_SIDE || (k > 0 && (size_t)sides[k] % merge != 0)) {
                return ox_error_set(err, OX_E_SHAPE, "%s: tensor grids: row %zu: expected sides from 1 to %d, rows and "
                                    "columns multiples of %zu, found [%d, %d, %d]", source->path, i, MAX_SIDE, merge,
                                    sides[0], sides[1], sides[2]);
            }
        }
        const struct grid grid = grid_at(source, i);
        if (ox_ckd_add(&n_patches, n_patches, grid.t * grid.h * grid.w)) {
            n_patches = SIZE_MAX;
            break;
        }
    }
    if (n_patches != source->pixels->dims[0]) {
        return ox_error_set(err, OX_E_SHAPE, "%s: tensor pixels: expected %zu rows, as grids say, found %zu",
                            source->path, n_patches, source->pixels->dims[0]);
    }
    return OX_OK;
}

static enum ox_status open_source(const struct oxcart_engine *engine, struct source *source, struct ox_error *err)
{
    const struct ox_config *config = &engine->config;
    enum ox_status status = ox_map_open(source->path, &source->map, err);
    if (status == OX_OK) {
        status = ox_safetensors_parse(source->map.ptr, source->map.len, source->path, &source->file, err);
    }
    if (status == OX_OK) {
        status = find_tensor(source, "pixels", OX_DTYPE_F32, ox_vision_patch_values(config), &source->pixels, err);
    }
    if (status == OX_OK) {
        status = find_tensor(source, "grids", OX_DTYPE_I32, 3, &source->grids, err);
    }
    return status == OX_OK ? check_grids(source, config->vision.merge, err) : status;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static enum ox_status open_vision(const struct oxcart_engine *engine, const struct source *source,
                                  struct ox_vision **out, struct ox_error *err)
{
    size_t most = 1;
    for (size_t i = 0; i < source->grids->dims[0]; i++) {
        const struct grid grid = grid_at(source, i);
        const size_t n = smaller(grid.t, engine->config.vision.segment_frames) * grid.h * grid.w;
        most = n > most ? n : most;
    }
    const enum ox_status status = ox_engine_check_memory(engine, ox_vision_bytes(&engine->model, most), err);
    return status == OX_OK ? ox_vision_open(&engine->model, most, out, err) : status;
}

static void encode_all(const struct oxcart_engine *engine, const struct source *source, struct ox_vision *vision,
                       const struct ox_trace_media *out)
{
    const struct ox_config *config = &engine->config;
    const size_t values = ox_vision_patch_values(config);
    const size_t square = config->vision.merge * config->vision.merge;
    size_t row = 0;
    for (size_t i = 0; i < source->grids->dims[0]; i++) {
        const struct grid grid = grid_at(source, i);
        for (size_t t = 0; t < grid.t; t += config->vision.segment_frames) {
            const size_t n_t = smaller(grid.t - t, config->vision.segment_frames);
            const size_t n = n_t * grid.h * grid.w;
            memcpy(ox_vision_patches(vision), source->pixels->data + row * values * sizeof(float),
                   n * values * sizeof(float));
            ox_vision_encode(vision, n_t, grid.h, grid.w, out->tower + row * config->vision.hidden,
                             out->features + row / square * config->hidden);
            row += n;
        }
    }
}

enum ox_status ox_trace_media_load(const struct oxcart_engine *engine, const char *path, struct ox_trace_media *out,
                                   struct ox_error *err)
{
    const struct ox_config *config = &engine->config;
    struct source source = {.path = path};
    struct ox_vision *vision = NULL;
    if (engine->weights.vision.layers == NULL) {
        return ox_error_set(err, OX_E_SHAPE, "%s: the model has no vision tower", engine->name);
    }
    enum ox_status status = open_source(engine, &source, err);
    if (status == OX_OK) {
        status = open_vision(engine, &source, &vision, err);
    }
    if (status == OX_OK) {
        out->n_patches = source.pixels->dims[0];
        out->n_features = out->n_patches / (config->vision.merge * config->vision.merge);
        out->tower = ox_calloc(out->n_patches, config->vision.hidden * sizeof *out->tower);
        out->features = ox_calloc(out->n_features, config->hidden * sizeof *out->features);
        if (out->tower == NULL || out->features == NULL) {
            status = ox_error_nomem(err, out->n_patches * config->vision.hidden * sizeof *out->tower);
        }
    }
    if (status == OX_OK) {
        encode_all(engine, &source, vision, out);
    }
    ox_vision_close(&vision);
    ox_safetensors_fini(&source.file);
    ox_map_close(&source.map);
    return status;
}
