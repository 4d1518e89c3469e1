/* SPDX-License-Identifier: Apache-2.0
 *
 * Processor time of what follows decoding: resizing a picture of 4000 x 3000 pixels, and cutting it into patches.
 */
#include <time.h>

#include "base/mem.h"
#include "media/media.h"
#include "tests/tap.h"

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

int main(void)
{
    const size_t h = 3000;
    const size_t w = 4000;
    uint8_t *in = ox_calloc(h * w, 3);
    for (size_t i = 0; i < h * w * 3; i++) {
        in[i] = (uint8_t)(i * 2654435761U >> 13);
    }
    for (int round = 0; round < 5; round++) {
        const struct ox_media_options options = {0};
        struct ox_media media = {0};
        const double begin = now_ms();
        if (ox_media_from_pixels(&options, in, h, w, &media, NULL) != OX_OK) {
            return 1;
        }
        const double resized = now_ms();
        const size_t n = ox_media_grid_h(&media) * ox_media_grid_w(&media);
        float *rows = ox_calloc(n, OX_PATCH_VALUES * sizeof *rows);
        ox_media_patches(&media, 0, 1, rows);
        const double end = now_ms();
        printf("%zu x %zu to %zu x %zu: resize %.1f ms, patches %.1f ms\n", h, w, media.height, media.width,
               resized - begin, end - resized);
        ox_free(rows);
        ox_media_fini(&media);
    }
    ox_free(in);
    return 0;
}
