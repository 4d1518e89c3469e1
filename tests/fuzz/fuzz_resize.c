/* SPDX-License-Identifier: Apache-2.0
 *
 * Preparing a picture: six bytes are its sides and the limit, the rest its pixels, over and over. The result has whole
 * tokens, keeps the limit where the ratio lets it, one colour stays one colour, and patches hold every pixel. The same
 * bytes choose frames of a clip.
 */

#include <stdbool.h>

#include "base/mem.h"
#include "media/media.h"
#include "media/sample.h"

#define MAX_FRAMES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t pair(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

static void check_patches(const struct ox_media *media)
{
    const size_t n = ox_media_grid_h(media) * ox_media_grid_w(media);
    float *rows = ox_calloc(n, OX_PATCH_VALUES * sizeof *rows);
    OX_CHECK(rows != NULL);
    ox_media_patches(media, 0, 1, rows);
    for (size_t i = 0; i < n * OX_PATCH_VALUES; i++) {
        OX_CHECK(rows[i] > -2.0F && rows[i] < 2.3F);
    }
    ox_free(rows);
}

static void check_frames(size_t n_source, size_t fps, size_t max)
{
    uint64_t index[MAX_FRAMES];
    uint64_t n_sampled = 0;
    const size_t most = 1 + max % MAX_FRAMES;
    const size_t n =
        ox_sample_frames(1 + n_source, (double)(fps % 100) / 3.0, 1.0 + (double)(fps % 7), most, index, &n_sampled);
    OX_CHECK(n >= 1 && n <= most && n <= n_sampled && n_sampled <= 1 + n_source && index[0] == 0);
    for (size_t i = 0; i < n; i++) {
        OX_CHECK(index[i] <= n_source && (i == 0 || index[i] > index[i - 1]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ox_media media;
    struct ox_error err = {0};
    if (size < 7) {
        return 0;
    }
    const size_t height = 1 + pair(data) % 160;
    const size_t width = 1 + pair(data + 2) % 160;
    const struct ox_media_options options = {.max_pixels = 4 * OX_MEDIA_MIN_PIXELS + pair(data + 4) * 4};
    const size_t len = height * width * 3;
    uint8_t *pixels = ox_calloc(len, 1);
    OX_CHECK(pixels != NULL);
    bool one_colour = true;
    for (size_t i = 0; i < len; i++) {
        pixels[i] = data[6 + i % (size - 6)];
        one_colour = one_colour && pixels[i] == pixels[0];
    }
    check_frames(pair(data), pair(data + 2), pair(data + 4));
    const enum ox_status status = ox_media_from_pixels(&options, pixels, height, width, &media, &err);
    const size_t longer = height > width ? height : width;
    const size_t shorter = height > width ? width : height;
    OX_CHECK(status == (longer > OX_MEDIA_MAX_ASPECT * shorter ? OX_E_LIMIT : OX_OK));
    if (status == OX_OK) {
        OX_CHECK(media.height % OX_MEDIA_FACTOR == 0 && media.width % OX_MEDIA_FACTOR == 0 && media.height > 0 &&
                 media.width > 0);
        OX_CHECK(media.height * media.width <= options.max_pixels || media.height == OX_MEDIA_FACTOR ||
                 media.width == OX_MEDIA_FACTOR);
        for (size_t i = 0; one_colour && i < media.height * media.width * 3; i++) {
            OX_CHECK(media.pixels[i] == pixels[0]);
        }
        check_patches(&media);
        ox_media_fini(&media);
    }
    ox_free(pixels);
    return 0;
}
