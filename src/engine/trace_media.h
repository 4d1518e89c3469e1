/* SPDX-License-Identifier: Apache-2.0
 *
 * Patches out of a file, through the vision tower: what a trace with media needs.
 */
#ifndef OX_ENGINE_TRACE_MEDIA_H
#define OX_ENGINE_TRACE_MEDIA_H

#include "engine/engine.h"

/* All zero is none. */
struct ox_trace_media {
    size_t n_patches;
    size_t n_features;
    float *tower;    /* [n_patches, hidden size of the tower] */
    float *features; /* [n_features, hidden] */
};

void ox_trace_media_fini(struct ox_trace_media *media);

/* Encode the pictures and clips of the file (see trace.h) into *out, which must be all zero; release it also after a
 * failure. OX_E_SHAPE: no vision tower, or tensors of another type or shape, or
 * grids that do not fit. */
enum ox_status ox_trace_media_load(const struct oxcart_engine *engine, const char *path, struct ox_trace_media *out,
                                   struct ox_error *err) OX_MUST_USE;

#endif
