/* SPDX-License-Identifier: Apache-2.0
 *
 * The size a picture is brought to, and bringing it there: bicubic with antialiasing in 8-bit arithmetic, to the bit
 * what the model was trained on.
 *
 * SOURCE: transformers, minimax_m3_vl smart_resize; Pillow, src/libImaging/Resample.c (bicubic, 8 bits a channel).
 */
#ifndef OX_MEDIA_RESIZE_H
#define OX_MEDIA_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Set *out_height, *out_width to multiples of OX_MEDIA_FACTOR near height, width (both > 0, product below 2^53), with
 * OX_MEDIA_MIN_PIXELS to max_pixels between them where their ratio lets them. OX_E_LIMIT if the sides differ by more
 * than OX_MEDIA_MAX_ASPECT. */
enum ox_status ox_resize_target(size_t height, size_t width, uint64_t max_pixels, size_t *out_height, size_t *out_width,
                                struct ox_error *err) OX_MUST_USE;

/* Resize in: [height, width, 3] bytes to out: [out_height, out_width, 3]; all sizes > 0, no overlap. An axis whose size
 * stays is copied. Memory for one picture of height x out_width is taken meanwhile; OX_E_NOMEM. */
enum ox_status ox_resize_rgb(const uint8_t *in, size_t height, size_t width, uint8_t *out, size_t out_height,
                             size_t out_width, struct ox_error *err) OX_MUST_USE;

#endif
