/* SPDX-License-Identifier: Apache-2.0
 *
 * Turning: each of the eight orientations is a corner to begin at and two steps, one for a column and one for a row of
 * the result. Done in squares, so that both pictures stay in the cache.
 */
#include "media/helper/picture.h"

#include <stdbool.h>
#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"

#define CHANNELS ((size_t)3)
#define SQUARE ((size_t)32)

void ox_picture_fini(struct ox_picture *picture)
{
    ox_free(picture->memory);
    memset(picture, 0, sizeof *picture);
}

enum ox_status ox_picture_init(struct ox_picture *picture, size_t height, size_t width, struct ox_error *err)
{
    size_t n;
    memset(picture, 0, sizeof *picture);
    if (ox_ckd_mul(&n, height, width)) {
        return ox_error_nomem(err, SIZE_MAX);
    }
    picture->memory = ox_calloc(n, CHANNELS);
    if (picture->memory == NULL) {
        return ox_error_nomem(err, n);
    }
    picture->pixels = picture->memory;
    picture->height = height;
    picture->width = width;
    return OX_OK;
}

/* Copy one square of out, whose first pixel is at (y0, x0), from in: there, out's pixel (y, x) is number
 * begin + y * row + x * column. */
static void turn_square(const uint8_t *in, ptrdiff_t begin, ptrdiff_t row, ptrdiff_t column, struct ox_picture *out,
                        size_t y0, size_t x0)
{
    const size_t y1 = out->height - y0 < SQUARE ? out->height : y0 + SQUARE;
    const size_t x1 = out->width - x0 < SQUARE ? out->width : x0 + SQUARE;
    for (size_t y = y0; y < y1; y++) {
        for (size_t x = x0; x < x1; x++) {
            const uint8_t *from = in + (begin + (ptrdiff_t)y * row + (ptrdiff_t)x * column) * (ptrdiff_t)CHANNELS;
            uint8_t *to = out->pixels + (y * out->width + x) * CHANNELS;
            to[0] = from[0];
            to[1] = from[1];
            to[2] = from[2];
        }
    }
}

enum ox_status ox_picture_turn(struct ox_picture *picture, enum ox_orientation orientation, struct ox_error *err)
{
    const bool across = orientation >= OX_TRANSPOSE; /* rows become columns */
    const bool from_right = orientation == OX_MIRROR || orientation == OX_TURN_180 || orientation == OX_TRANSVERSE ||
                            orientation == OX_TURN_COUNTERCLOCKWISE;
    const bool from_bottom = orientation == OX_TURN_180 || orientation == OX_FLIP || orientation == OX_TURN_CLOCKWISE ||
                             orientation == OX_TRANSVERSE;
    const ptrdiff_t height = (ptrdiff_t)picture->height;
    const ptrdiff_t width = (ptrdiff_t)picture->width;
    const ptrdiff_t begin = (from_bottom ? (height - 1) * width : 0) + (from_right ? width - 1 : 0);
    const ptrdiff_t down = from_bottom ? -width : width;
    const ptrdiff_t right = from_right ? -1 : 1;
    struct ox_picture out;
    if (orientation == OX_UPRIGHT) {
        return OX_OK;
    }
    const enum ox_status status = across ? ox_picture_init(&out, picture->width, picture->height, err)
                                         : ox_picture_init(&out, picture->height, picture->width, err);
    if (status != OX_OK) {
        return status;
    }
    for (size_t y = 0; y < out.height; y += SQUARE) {
        for (size_t x = 0; x < out.width; x += SQUARE) {
            turn_square(picture->pixels, begin, across ? right : down, across ? down : right, &out, y, x);
        }
    }
    ox_picture_fini(picture);
    *picture = out;
    return OX_OK;
}
