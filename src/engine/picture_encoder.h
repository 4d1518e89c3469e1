/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of one picture or clip through the vision tower, segment by segment and, where others want the engine in
 * between, in pieces of a segment.
 */
#ifndef OX_ENGINE_PICTURE_ENCODER_H
#define OX_ENGINE_PICTURE_ENCODER_H

#include "engine/engine.h"
#include "media/media.h"

struct ox_picture_encoder {
    struct oxcart_engine *engine;
    const struct ox_media *media;
    struct ox_vision *vision;
    size_t segment; /* temporal patches that are encoded together */
    size_t t;       /* first temporal patch of the segment in hand */
    bool begun;     /* its patches are in the tower */
    float *features;
};

/* Begin to encode media, which is borrowed as features is: [tokens, hidden], the first n_done rows (of whole segments) are
 * there already. OX_E_NOMEM. */
enum ox_status ox_picture_encoder_open(struct oxcart_engine *engine, const struct ox_media *media, float *features,
                                       size_t n_done, struct ox_picture_encoder *out, struct ox_error *err) OX_MUST_USE;
void ox_picture_encoder_close(struct ox_picture_encoder *encoder);

/* Bytes that encoding media takes meanwhile, its features not counted. */
uint64_t ox_picture_encoder_bytes(const struct oxcart_engine *engine, const struct ox_media *media);

/* How many rows of features are there. */
size_t ox_picture_encoder_n_done(const struct ox_picture_encoder *encoder);

/* Do at most so many units (ox_vision_advance) of the segment in hand; false if all segments are done. Takes the engine's
 * turn. */
bool ox_picture_encoder_advance(struct ox_picture_encoder *encoder, size_t most);

#endif
