/* SPDX-License-Identifier: Apache-2.0
 *
 * In place of webp.c in a build without libwebp.
 */
#include "media/helper/decode.h"

enum ox_status ox_decode_webp(const uint8_t *file, size_t len, const struct ox_request *request, struct ox_picture *out,
                              struct ox_error *err)
{
    (void)file;
    (void)len;
    (void)request;
    (void)out;
    return ox_error_set(err, OX_E_DEVICE, "a WebP file, and this build has no libwebp");
}
