/* SPDX-License-Identifier: Apache-2.0
 *
 * Patches against the formula of the model's description, written the other way round: from a value's place in a row
 * to the pixel that it must be. Time stamps against printf.
 */
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "media/media.h"
#include "tests/tap.h"

static const double mean[3] = {0.48145466, 0.4578275, 0.40821073};
static const double deviation[3] = {0.26862954, 0.26130258, 0.27577711};

/* Every value of the rows of temporal patches [t, t + n_t). */
static bool right(const struct ox_media *media, size_t t, size_t n_t, const float *rows)
{
    const size_t gh = media->height / 14;
    const size_t gw = media->width / 14;
    size_t n = 0;
    bool good = true;
    for (size_t it = t; it < t + n_t; it++) {
        for (size_t bh = 0; bh < gh / 2; bh++) {
            for (size_t bw = 0; bw < gw / 2; bw++) {
                for (size_t ih = 0; ih < 2; ih++) {
                    for (size_t iw = 0; iw < 2; iw++) {
                        for (size_t i = 0; i < 1176; i++) {
                            const size_t x = 14 * (2 * bw + iw) + i % 14;
                            const size_t y = 14 * (2 * bh + ih) + i / 14 % 14;
                            const size_t f = 2 * it + i / 196 % 2;
                            const size_t c = i / 392;
                            const size_t frame = f < media->n_frames ? f : media->n_frames - 1;
                            const uint8_t pixel =
                                media->pixels[((frame * media->height + y) * media->width + x) * 3 + c];
                            const double value = (pixel / 255.0 - mean[c]) / deviation[c];
                            good = good && fabs(rows[n * 1176 + i] - value) <= 4e-7 * (1.0 + fabs(value));
                        }
                        n++;
                    }
                }
            }
        }
    }
    return good;
}

static void test_order(size_t n_frames, size_t height, size_t width)
{
    struct ox_rng rng;
    struct ox_media media = {.n_frames = n_frames, .height = height, .width = width};
    ox_rng_init(&rng, n_frames + height);
    media.pixels = ox_calloc(n_frames * height * width, 3);
    for (size_t i = 0; i < n_frames * height * width * 3; i++) {
        media.pixels[i] = (uint8_t)ox_rng_below(&rng, 256);
    }
    const size_t per_t = ox_media_grid_h(&media) * ox_media_grid_w(&media);
    const size_t n_t = ox_media_grid_t(&media);
    IS_INT(n_t, (n_frames + 1) / 2, "temporal patches");
    IS_INT(ox_media_tokens_per_t(&media), height * width / 28 / 28, "tokens");
    float *rows = ox_calloc(n_t * per_t, OX_PATCH_VALUES * sizeof *rows);
    ox_media_patches(&media, 0, n_t, rows);
    OK(right(&media, 0, n_t, rows), "%zu frames of %zu x %zu: all at once", n_frames, height, width);
    bool parts = true;
    for (size_t t = 0; t < n_t; t++) {
        float *alone = ox_calloc(per_t, OX_PATCH_VALUES * sizeof *alone); /* exactly, so that more is seen */
        ox_media_patches(&media, t, 1, alone);
        parts = parts && memcmp(alone, rows + t * per_t * OX_PATCH_VALUES, per_t * OX_PATCH_VALUES * 4) == 0;
        ox_free(alone);
    }
    OK(parts, "one temporal patch at a time gives the same");
    ox_free(rows);
    ox_media_fini(&media);
    OK(media.pixels == NULL, "fini empties");
}

static void test_timestamps(void)
{
    static const double rates[] = {1.0, 2.0, 24.0, 25.0, 30000.0 / 1001.0, 29.97, 7.3, 60.0, 0.5, 4.0, 40.0};
    struct ox_rng rng;
    char found[OX_MEDIA_TIMESTAMP_BYTES];
    char expected[64];
    uint64_t index[4] = {0, 1, 2, 3};
    struct ox_media media = {.frame_index = index, .n_frames = 4};
    size_t n_wrong = 0;
    ox_rng_init(&rng, 9);
    for (size_t i = 0; i < 50000; i++) {
        media.source_fps = rates[i % (sizeof rates / sizeof *rates)];
        index[2] = i < 25000 ? i : ox_rng_below(&rng, 1 << 30);
        ox_media_timestamp(&media, 1, found);
        snprintf(expected, sizeof expected, "%.1f", (double)index[2] / media.source_fps);
        n_wrong += strcmp(found, expected) != 0;
    }
    IS_INT(n_wrong, 0, "time stamps unlike printf's");
    index[2] = 21;
    media.source_fps = 2.0;
    ox_media_timestamp(&media, 1, found);
    IS_STR(found, "10.5", "21 frames at 2 a second");
    ox_media_timestamp(&media, 0, found);
    IS_STR(found, "0.0", "the beginning");
    media.source_fps = 0.0;
    ox_media_timestamp(&media, 1, found);
    IS_STR(found, "", "unknown rate");
    media.source_fps = 1.0;
    media.frame_index = NULL;
    ox_media_timestamp(&media, 0, found);
    IS_STR(found, "", "a picture");
}

int main(void)
{
    test_order(1, 56, 84);
    test_order(2, 28, 56);
    test_order(5, 84, 28);
    test_timestamps();
    return tap_done();
}
