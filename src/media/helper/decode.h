/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoders, one a library. They run in the jail, on bytes that nobody has looked at. Where libwebp was left out at
 * configure time, webp_none.c stands in for webp.c and says so. Clips are decoded by a program of their own.
 */
#ifndef OX_MEDIA_HELPER_DECODE_H
#define OX_MEDIA_HELPER_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "media/helper/picture.h"
#include "media/helper/send.h"

/* Decode a whole file of a kind that the function knows, as it is stored (not turned upright); *out must be empty. A file
 * that ends before its last pixel gives no picture, and the same bytes give the same picture or error.
 * OX_E_FORMAT: broken, cut short, or of no known kind; OX_E_LIMIT: larger than request allows, or needs more memory or work than
 * its size explains; OX_E_NOMEM; OX_E_DEVICE: the library was left out. */
enum ox_status ox_decode_image(const uint8_t *file, size_t len, const struct ox_request *request,
                               struct ox_picture *out, struct ox_error *err) OX_MUST_USE;
enum ox_status ox_decode_stb(const uint8_t *file, size_t len, const struct ox_request *request, struct ox_picture *out,
                             struct ox_error *err) OX_MUST_USE;
enum ox_status ox_decode_webp(const uint8_t *file, size_t len, const struct ox_request *request, struct ox_picture *out,
                              struct ox_error *err) OX_MUST_USE;

/* Decode a picture's file, turn it upright and send it. The same errors, and OX_E_IO: nobody reads. */
enum ox_status ox_send_image(const uint8_t *file, size_t len, const struct ox_request *request,
                             struct ox_error *err) OX_MUST_USE;

/* Decode the clip on descriptor 0 and send its frames. The same errors. */
enum ox_status ox_decode_clip(const struct ox_request *request, struct ox_error *err) OX_MUST_USE;

#endif
