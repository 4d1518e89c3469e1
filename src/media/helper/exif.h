/* SPDX-License-Identifier: Apache-2.0
 *
 * Which way is up: the orientation in the EXIF data of a JPEG, PNG or WebP file.
 */
#ifndef OX_MEDIA_HELPER_EXIF_H
#define OX_MEDIA_HELPER_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* As EXIF numbers them: what must be done to the stored picture so that it stands upright. */
enum ox_orientation {
    OX_UPRIGHT = 1,
    OX_MIRROR, /* left becomes right */
    OX_TURN_180,
    OX_FLIP,           /* top becomes bottom */
    OX_TRANSPOSE,      /* rows become columns */
    OX_TURN_CLOCKWISE, /* by 90 degrees */
    OX_TRANSVERSE,     /* transposed and turned by 180 degrees */
    OX_TURN_COUNTERCLOCKWISE,
};

/* The orientation that a whole file names, OX_UPRIGHT if it names none or is broken. */
enum ox_orientation ox_exif_orientation(const uint8_t *file, size_t len);

#endif
