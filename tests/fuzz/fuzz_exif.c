/* SPDX-License-Identifier: Apache-2.0
 *
 * Orientation of any file: one of the eight, the same when bytes are added behind what is no JPEG, PNG or WebP.
 */
#include "base/compiler.h"
#include "media/helper/exif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const enum ox_orientation whole = ox_exif_orientation(data, size);
    OX_CHECK(whole >= OX_UPRIGHT && whole <= OX_TURN_COUNTERCLOCKWISE);
    for (size_t len = 0; len < size; len = len * 2 + 1) {
        const enum ox_orientation part = ox_exif_orientation(data, len);
        OX_CHECK(part >= OX_UPRIGHT && part <= OX_TURN_COUNTERCLOCKWISE);
    }
    const int first = size > 0 ? data[0] : 0;
    OX_CHECK(whole == OX_UPRIGHT || first == 0xFF || first == 0x89 || first == 'R');
    return 0;
}
