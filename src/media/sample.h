/* SPDX-License-Identifier: Apache-2.0
 *
 * Which frames of a clip are looked at.
 *
 * SOURCE: vLLM's video loader at a nominal rate (spacing of at least 1/fps seconds, frame 0 first).
 */
#ifndef OX_MEDIA_SAMPLE_H
#define OX_MEDIA_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Choose from n_source > 0 frames, source_fps a second (0: unknown, then every frame is wanted), those nearest above a
 * spacing of 1 / fps seconds, fps > 0; if these are more than max_frames > 0, that many of them, evenly, the first and
 * (from 2 on) the last among them. index: room for max_frames, filled ascending. Returns how many it holds;
 * *n_sampled: how many there were before thinning. */
size_t ox_sample_frames(uint64_t n_source, double source_fps, double fps, size_t max_frames, uint64_t *index,
                        uint64_t *n_sampled) OX_MUST_USE;

#endif
