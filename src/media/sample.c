/* SPDX-License-Identifier: Apache-2.0
 *
 * Sampling at a rate, and even thinning. The chosen frames are walked twice, to count and to pick, so that no list of
 * the whole clip is made.
 */
#include "media/sample.h"

#include <math.h>

/* The frame after `frame` at the wanted spacing; n_source or more: there is none. */
static uint64_t frame_after(uint64_t frame, uint64_t n_source, double source_fps, double fps)
{
    if (!(source_fps > 0.0)) {
        return frame + 1;
    }
    const double time = (double)frame / source_fps;
    const double next = ceil((time + 1.0 / fps - 1e-4) * source_fps);
    if (!(next < (double)n_source)) {
        return n_source;
    }
    return next > (double)(frame + 1) ? (uint64_t)next : frame + 1;
}

size_t ox_sample_frames(uint64_t n_source, double source_fps, double fps, size_t max_frames, uint64_t *index,
                        uint64_t *n_sampled)
{
    uint64_t n = 0;
    for (uint64_t frame = 0; frame < n_source; frame = frame_after(frame, n_source, source_fps, fps)) {
        n++;
    }
    *n_sampled = n;
    const uint64_t n_kept = n < max_frames ? n : max_frames;
    const uint64_t steps = n_kept > 1 ? n_kept - 1 : 1;
    uint64_t i = 0;
    size_t i_kept = 0;
    for (uint64_t frame = 0; frame < n_source; frame = frame_after(frame, n_source, source_fps, fps)) {
        /* The nearest to i_kept * (n - 1) / steps. */
        if (i_kept < n_kept && i == (2 * i_kept * (n - 1) + steps) / (2 * steps)) {
            index[i_kept] = frame;
            i_kept++;
        }
        i++;
    }
    return i_kept;
}
