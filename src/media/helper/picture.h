/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoded picture inside the helper, and turning it upright.
 */
#ifndef OX_MEDIA_HELPER_PICTURE_H
#define OX_MEDIA_HELPER_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "media/helper/exif.h"

/* pixels: [height, width, 3] RGB. All zero is none. */
struct ox_picture {
    void *memory; /* that the pixels lie in, of base/mem.h; freed with ox_picture_fini */
    uint8_t *pixels;
    size_t height;
    size_t width;
};

void ox_picture_fini(struct ox_picture *picture);

/* Make room for a picture; its pixels are 0. OX_E_NOMEM. */
enum ox_status ox_picture_init(struct ox_picture *picture, size_t height, size_t width,
                               struct ox_error *err) OX_MUST_USE;

/* Turn the picture as orientation says; memory for a second one is taken meanwhile. OX_E_NOMEM: unchanged. */
enum ox_status ox_picture_turn(struct ox_picture *picture, enum ox_orientation orientation,
                               struct ox_error *err) OX_MUST_USE;

#endif
