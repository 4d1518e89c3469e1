/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoder's answer, from bytes that are none: the first says whether a picture or a clip was asked for. What is
 * accepted keeps every limit, and used no byte that is not there.
 */
#include <string.h>

#include "base/str.h"
#include "media/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum ox_status read_bytes(void *user, void *bytes, size_t len, struct ox_error *err)
{
    struct ox_str *left = user;
    if (left->len < len) {
        return ox_error_set(err, OX_E_IO, "the end");
    }
    memcpy(bytes, left->ptr, len);
    *left = ox_str_make(left->ptr + len, left->len - len);
    return OX_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ox_media_options options = {.max_pixels = 12544,
                                                    .max_frame_pixels = 6272,
                                                    .max_video_pixels = 20000,
                                                    .fps = 1.0,
                                                    .max_frames = 5,
                                                    .max_source_pixels = 100000};
    struct ox_media media;
    struct ox_error err = {0};
    if (size == 0) {
        return 0;
    }
    const enum ox_media_kind kind = data[0] % 2 == 0 ? OX_MEDIA_IMAGE : OX_MEDIA_VIDEO;
    struct ox_str left = ox_str_make((const char *)data + 1, size - 1);
    const struct ox_frames_input input = {read_bytes, &left};
    const enum ox_status status = ox_frames_read(&input, kind, &options, &media, &err);
    OX_CHECK(status == OX_OK || err.message[0] != '\0');
    if (status == OX_OK) {
        OX_CHECK(media.n_frames >= 1 && media.n_frames <= (kind == OX_MEDIA_IMAGE ? 1U : options.max_frames));
        OX_CHECK(media.height % OX_MEDIA_FACTOR == 0 && media.width % OX_MEDIA_FACTOR == 0);
        OX_CHECK(media.source_height * media.source_width <= options.max_source_pixels);
        OX_CHECK((kind == OX_MEDIA_VIDEO) == (media.frame_index != NULL));
        OX_CHECK(media.n_frames * media.height * media.width * 3 < size);
        char time[OX_MEDIA_TIMESTAMP_BYTES];
        for (size_t t = 0; t < ox_media_grid_t(&media); t++) {
            ox_media_timestamp(&media, t, time);
        }
        ox_media_fini(&media);
    }
    return 0;
}
