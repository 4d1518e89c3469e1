/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures and clips of a timeline in a file, with the tokens that stand for them. Kept as pixels: from these the same
 * features are computed again where they are needed, pictures are known again when they are shown again, and in the
 * released model's size they are a fifth of the features or less. All numbers are little-endian:
 *
 *      0  u32 pictures, u32 spans
 *         for each picture: u32 kind (0 a picture, 1 a clip), u32 0, u64 frames, height, width, height and width of the
 *         source, frames of the source a second (as IEEE 754 binary64), frames of the source, frames that were asked for;
 *         a clip: u64 index in the source of each frame; pixels [frames, height, width, 3]
 *         for each span: u64 first token, tokens, first row of features, picture
 */
#ifndef OX_ENGINE_MEDIA_RECORD_H
#define OX_ENGINE_MEDIA_RECORD_H

#include "engine/prompt.h"

/* Append the record of these spans and their pictures; without memory, out is marked. */
void ox_media_record_write(const struct ox_spans *spans, struct ox_buf *out);

/* Read a record that is all of bytes: pictures are added to those that are known, spans to an empty list; what was added
 * stays on failure. n_tokens: of the timeline. OX_E_FORMAT for anything that makes no sense. */
enum ox_status ox_media_record_read(const uint8_t *bytes, size_t len, size_t n_tokens, struct ox_pictures *pictures,
                                    struct ox_spans *spans, struct ox_error *err) OX_MUST_USE;

#endif
