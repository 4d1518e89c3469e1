/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the helper's answer. Nothing in it is believed: sizes must be those that this side computes itself from the
 * size of the source, numbers must lie within the limits, text is cut and cleaned.
 */
#ifndef OX_MEDIA_FRAMES_H
#define OX_MEDIA_FRAMES_H

#include "base/status.h"
#include "media/media.h"

/* Where the answer comes from: read fills all of len bytes or fails and says why. */
struct ox_frames_input {
    enum ox_status (*read)(void *user, void *bytes, size_t len, struct ox_error *err);
    void *user;
};

/* Read one whole answer to a request for `kind` under options, in which no member is 0. *out is set on success only.
 * The helper's own error is returned as it says; an answer that is none is OX_E_IO. */
enum ox_status ox_frames_read(const struct ox_frames_input *input, enum ox_media_kind kind,
                              const struct ox_media_options *options, struct ox_media *out,
                              struct ox_error *err) OX_MUST_USE;

/* How many pixels a frame of a clip of n_frames > 0 may have after resizing. */
uint64_t ox_frames_max_pixels(uint64_t max_pixels, uint64_t max_video_pixels, uint64_t n_frames);

#endif
