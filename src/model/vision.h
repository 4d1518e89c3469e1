/* SPDX-License-Identifier: Apache-2.0
 *
 * The vision tower: patches of a picture or a stretch of a clip in, rows for the text model out. One segment at a time:
 * attention does not reach beyond a segment, so that neither a clip's length nor the number of pictures costs memory.
 *
 * A segment is a picture (one temporal patch) or up to ox_vision_config.segment_frames temporal patches of a clip; its
 * patches stand in the order of vision.md 3. What is computed has the same bits for any number of threads.
 */
#ifndef OX_MODEL_VISION_H
#define OX_MODEL_VISION_H

#include "model/model.h"

/* Scratch memory for one segment at a time. */
struct ox_vision;

/* Sized for segments of up to max_patches >= 1 patches. The model must have vision weights (weights->vision.layers) and
 * outlive it. */
enum ox_status ox_vision_open(const struct ox_model *model, size_t max_patches, struct ox_vision **out,
                              struct ox_error *err) OX_MUST_USE;
void ox_vision_close(struct ox_vision **vision);

/* Bytes that ox_vision_open would take: about 3 (BF16 levels: 2) times the F32 rows of the tower's width for every
 * patch, and a fixed amount; UINT64_MAX on overflow. */
uint64_t ox_vision_bytes(const struct ox_model *model, size_t max_patches);

/* Numbers in a patch: channels * temporal * patch * patch. */
size_t ox_vision_patch_values(const struct ox_config *config);

/* Where the caller puts the next segment's patches: [max_patches, ox_vision_patch_values] f32. */
float *ox_vision_patches(struct ox_vision *vision);

/* Encode the segment whose t * h * w <= max_patches patches stand in ox_vision_patches, which is overwritten. h and w are
 * multiples of the merge size. features: [t * h * w / merge^2, hidden size of the text model]; tower: the tower's output,
 * [t * h * w, hidden size of the tower], or NULL. Cannot fail. One call at a time for a vision and for a team. */
void ox_vision_encode(struct ox_vision *vision, size_t t, size_t h, size_t w, float *tower, float *features);

/* The same in pieces, with the same bits: begin, then advance until it returns false. A piece is `most` (at least 1) units
 * of work, a unit being what one layer does with about 256 patches or less. Other work may use the team in between. */
void ox_vision_begin(struct ox_vision *vision, size_t t, size_t h, size_t w, float *tower, float *features);
bool ox_vision_advance(struct ox_vision *vision, size_t most);

#endif
