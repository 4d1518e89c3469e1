/* SPDX-License-Identifier: Apache-2.0
 *
 * Which decoder a picture's first bytes ask for; and what is done with the picture.
 */
#include <stdbool.h>
#include <string.h>

#include "media/helper/decode.h"
#include "media/helper/exif.h"

static bool begins(const uint8_t *file, size_t len, size_t at, const char *bytes, size_t n)
{
    return len >= at + n && memcmp(file + at, bytes, n) == 0;
}

enum ox_status ox_decode_image(const uint8_t *file, size_t len, const struct ox_request *request,
                               struct ox_picture *out, struct ox_error *err)
{
    if (begins(file, len, 0, "RIFF", 4) && begins(file, len, 8, "WEBP", 4)) {
        return ox_decode_webp(file, len, request, out, err);
    }
    if (!begins(file, len, 0, "\xFF\xD8\xFF", 3) && !begins(file, len, 0, "\x89PNG\r\n\x1A\n", 8) &&
        !begins(file, len, 0, "GIF8", 4) && !begins(file, len, 0, "BM", 2)) {
        return ox_error_set(err, OX_E_FORMAT, "expected JPEG, PNG, GIF, BMP or WebP, found %s",
                            len == 0 ? "an empty file" : "something else");
    }
    return ox_decode_stb(file, len, request, out, err);
}

enum ox_status ox_send_image(const uint8_t *file, size_t len, const struct ox_request *request, struct ox_error *err)
{
    struct ox_picture picture = {0};
    struct ox_answer answer;
    memset(&answer, 0, sizeof answer);
    answer.info.n_frames = 1;
    answer.info.n_sampled_frames = 1;
    answer.info.n_source_frames = 1;
    enum ox_status status = ox_decode_image(file, len, request, &picture, err);
    if (status == OX_OK) {
        status = ox_picture_turn(&picture, ox_exif_orientation(file, len), err);
    }
    if (status == OX_OK) {
        status = ox_answer_frame(&answer, &picture, 0, request->numbers[OX_OPERAND_MAX_PIXELS], err);
    }
    if (status == OX_OK) {
        status = ox_answer_end(err);
    }
    ox_answer_fini(&answer);
    ox_picture_fini(&picture);
    return status;
}
