/* SPDX-License-Identifier: Apache-2.0
 *
 * Turning pictures: a small one whose pixels are numbered, against the results written down; large ones by turning them
 * back.
 */
#include "media/helper/picture.h"

#include "base/rng.h"
#include "tests/tap.h"

/* The picture 012/345 after each orientation, row by row. */
static const struct {
    enum ox_orientation orientation;
    const char *rows;
} turned[] = {
    {OX_UPRIGHT, "012/345"},     {OX_MIRROR, "210/543"},
    {OX_TURN_180, "543/210"},    {OX_FLIP, "345/012"},
    {OX_TRANSPOSE, "03/14/25"},  {OX_TURN_CLOCKWISE, "30/41/52"},
    {OX_TRANSVERSE, "52/41/30"}, {OX_TURN_COUNTERCLOCKWISE, "25/14/03"},
};

static void test_small(void)
{
    for (size_t i = 0; i < sizeof turned / sizeof *turned; i++) {
        struct ox_picture picture;
        char rows[16] = "";
        size_t n = 0;
        bool channels = true;
        if (!OK(ox_picture_init(&picture, 2, 3, NULL) == OX_OK, "a picture")) {
            return;
        }
        for (size_t j = 0; j < 6; j++) {
            picture.pixels[3 * j] = (uint8_t)('0' + j);
            picture.pixels[3 * j + 1] = (uint8_t)(100 + j);
            picture.pixels[3 * j + 2] = (uint8_t)(200 + j);
        }
        const enum ox_status status = ox_picture_turn(&picture, turned[i].orientation, NULL);
        for (size_t y = 0; y < picture.height; y++) {
            for (size_t x = 0; x < picture.width; x++) {
                const uint8_t *pixel = picture.pixels + (y * picture.width + x) * 3;
                rows[n++] = (char)pixel[0];
                channels = channels && pixel[1] == 100 + pixel[0] - '0' && pixel[2] == 200 + pixel[0] - '0';
            }
            rows[n++] = '/';
        }
        rows[n - 1] = '\0';
        OK(status == OX_OK && channels, "orientation %d", (int)turned[i].orientation);
        IS_STR(rows, turned[i].rows, "rows");
        ox_picture_fini(&picture);
        OK(picture.pixels == NULL && picture.memory == NULL, "fini empties");
    }
}

/* Each turn undone by another, on sizes that are no multiple of the squares. */
static void test_there_and_back(void)
{
    static const enum ox_orientation back[] = {0, 1, 2, 3, 4, 5, 8, 7, 6};
    struct ox_rng rng;
    ox_rng_init(&rng, 4);
    for (enum ox_orientation there = OX_UPRIGHT; there <= OX_TURN_COUNTERCLOCKWISE; there++) {
        struct ox_picture picture;
        struct ox_picture copy;
        const size_t len = (size_t)131 * 77 * 3;
        if (ox_picture_init(&picture, 131, 77, NULL) != OX_OK || ox_picture_init(&copy, 131, 77, NULL) != OX_OK) {
            OK(false, "memory");
            return;
        }
        for (size_t i = 0; i < len; i++) {
            picture.pixels[i] = (uint8_t)ox_rng_next(&rng);
        }
        memcpy(copy.pixels, picture.pixels, len);
        OK(ox_picture_turn(&picture, there, NULL) == OX_OK && ox_picture_turn(&picture, back[there], NULL) == OX_OK &&
               picture.height == 131 && picture.width == 77 && memcmp(picture.pixels, copy.pixels, len) == 0,
           "orientation %d and back", (int)there);
        ox_picture_fini(&picture);
        ox_picture_fini(&copy);
    }
}

int main(void)
{
    struct ox_picture picture;
    test_small();
    test_there_and_back();
    IS_INT(ox_picture_init(&picture, SIZE_MAX / 2, 3, NULL), OX_E_NOMEM, "a size that overflows");
    return tap_done();
}
