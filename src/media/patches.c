/* SPDX-License-Identifier: Apache-2.0
 *
 * From bytes to the tower's input: normalised pixels, cut into patches of 14 x 14 pixels and two frames, in the order of
 * the 2 x 2 blocks that become one token; and the time that stands before each frame pair.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "media/media.h"

#define CHANNELS ((size_t)3)

/* SOURCE: CLIP's mean and standard deviation (RGB), as in the processors of the model. */
static const float mean[CHANNELS] = {0.48145466F, 0.4578275F, 0.40821073F};
static const float deviation[CHANNELS] = {0.26862954F, 0.26130258F, 0.27577711F};

/* One patch: frames[f] points to its first pixel in frame f; a row of pixels is stride bytes. */
static void write_patch(const uint8_t *const frames[OX_PATCH_FRAMES], size_t stride,
                        const float table[CHANNELS][UINT8_MAX + 1], float *out)
{
    for (size_t c = 0; c < CHANNELS; c++) {
        for (size_t f = 0; f < OX_PATCH_FRAMES; f++) {
            for (size_t y = 0; y < OX_PATCH_SIDE; y++) {
                const uint8_t *row = frames[f] + y * stride + c;
                for (size_t x = 0; x < OX_PATCH_SIDE; x++) {
                    *out++ = table[c][row[CHANNELS * x]];
                }
            }
        }
    }
}

void ox_media_patches(const struct ox_media *media, size_t t, size_t n_t, float *out)
{
    float table[CHANNELS][UINT8_MAX + 1];
    const size_t stride = media->width * CHANNELS;
    const size_t per_t = ox_media_grid_h(media) * ox_media_grid_w(media);
    const size_t per_block_row = ox_media_grid_w(media) * OX_PATCH_MERGE;
    for (size_t c = 0; c < CHANNELS; c++) {
        for (size_t i = 0; i <= UINT8_MAX; i++) {
            table[c][i] = ((float)i - mean[c] * 255.0F) / (deviation[c] * 255.0F);
        }
    }
    for (size_t i = 0; i < n_t * per_t; i++) {
        const size_t n = i % per_t;
        const size_t in_row = n % per_block_row;
        const size_t in_block = in_row % (OX_PATCH_MERGE * OX_PATCH_MERGE);
        const size_t py = n / per_block_row * OX_PATCH_MERGE + in_block / OX_PATCH_MERGE;
        const size_t px = in_row / (OX_PATCH_MERGE * OX_PATCH_MERGE) * OX_PATCH_MERGE + in_block % OX_PATCH_MERGE;
        const uint8_t *frames[OX_PATCH_FRAMES];
        for (size_t f = 0; f < OX_PATCH_FRAMES; f++) {
            const size_t wanted = (t + i / per_t) * OX_PATCH_FRAMES + f;
            const size_t frame = wanted < media->n_frames ? wanted : media->n_frames - 1;
            frames[f] =
                media->pixels + ((frame * media->height + py * OX_PATCH_SIDE) * stride) + px * OX_PATCH_SIDE * CHANNELS;
        }
        write_patch(frames, stride, (const float(*)[UINT8_MAX + 1]) table, out + i * OX_PATCH_VALUES);
    }
}

void ox_media_timestamp(const struct ox_media *media, size_t t, char out[OX_MEDIA_TIMESTAMP_BYTES])
{
    out[0] = '\0';
    if (media->frame_index == NULL || !(media->source_fps > 0.0)) {
        return;
    }
    /* printf's "%.1f" without the locale's decimal point: ten times the fraction is exact in long double. */
    const double seconds = (double)media->frame_index[t * OX_PATCH_FRAMES] / media->source_fps;
    const double whole = floor(seconds);
    const uint64_t tenths = (uint64_t)rintl((long double)(seconds - whole) * 10.0L);
    const uint64_t full = (uint64_t)whole + tenths / 10;
    (void)snprintf(out, OX_MEDIA_TIMESTAMP_BYTES, "%" PRIu64 ".%" PRIu64, full, tenths % 10);
}
