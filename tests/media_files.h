/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures and clips as files in memory, made at test time. pixels: [height, width, 3] RGB bytes throughout.
 */
#ifndef OX_TESTS_MEDIA_FILES_H
#define OX_TESTS_MEDIA_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* A picture of smooth colours and one hard edge, the same for the same sizes; freed with ox_free. */
uint8_t *media_picture(size_t height, size_t width);

/* A PNG whose data are stored, not packed. channels: 1 grey (the red of pixels), 2 grey and alpha, 3 RGB, 4 RGBA; bits: 8
 * or 16, where the low bytes are noise. */
void media_png(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width, int channels, int bits);

/* A PNG of one grey pixel whose data unpack to n_mib MiB, or which says it is side x side pixels large. */
void media_png_bomb(struct ox_buf *out, size_t n_mib);
void media_png_claim(struct ox_buf *out, uint32_t side);

/* Baseline JPEG of quality 90. */
void media_jpeg(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width);

/* Put EXIF with an orientation into a JPEG made by media_jpeg. */
void media_jpeg_turn(struct ox_buf *jpeg, int orientation);

void media_bmp(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width);

/* A BMP whose pixels are indices of 1, 4 or 8 bits, of all values, and whose palette has n_colours, none of them grey. */
void media_bmp_palette(struct ox_buf *out, size_t height, size_t width, int bits, size_t n_colours);

/* GIF with a palette of 6 x 6 x 6 colours: each value is cut to a multiple of 51. */
void media_gif(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width);

#endif
