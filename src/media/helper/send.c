/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages are written as they are made; the reader takes them as fast as it can, so nothing is queued.
 */
#include "media/helper/send.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "base/str.h"
#include "media/media.h"
#include "media/resize.h"

#define CHANNELS ((size_t)3)

bool ox_request_read(size_t n, const char *const *operands, struct ox_request *request)
{
    double fps;
    if (n != OX_N_OPERANDS) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!ox_str_to_u64(ox_str_c(operands[i]), &request->numbers[i]) || request->numbers[i] == 0) {
            return false;
        }
    }
    memcpy(&fps, &request->numbers[OX_OPERAND_FPS_BITS], sizeof fps);
    return request->numbers[OX_OPERAND_MAX_PIXELS] >= OX_MEDIA_MIN_PIXELS && fps > 0.0 && isfinite(fps);
}

static enum ox_status send_bytes(const void *bytes, size_t len, struct ox_error *err)
{
    const char *at = bytes;
    while (len > 0) {
        const ssize_t n = write(STDOUT_FILENO, at, len);
        if (n < 0 && errno != EINTR) {
            return ox_error_set_errno(err, OX_E_IO, errno, "nobody reads the answer");
        }
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return OX_OK;
}

static enum ox_status send_head(enum ox_protocol_kind kind, uint64_t len, struct ox_error *err)
{
    const struct ox_protocol_head head = {.magic = OX_PROTOCOL_MAGIC, .kind = kind, .len = len};
    return send_bytes(&head, sizeof head, err);
}

void ox_answer_fini(struct ox_answer *answer)
{
    ox_free(answer->frame);
    memset(answer, 0, sizeof *answer);
}

/* Decide the size of the frames and say what will come. */
static enum ox_status begin(struct ox_answer *answer, const struct ox_picture *picture, uint64_t max_pixels,
                            struct ox_error *err)
{
    struct ox_protocol_info *info = &answer->info;
    size_t height;
    size_t width;
    enum ox_status status = ox_resize_target(picture->height, picture->width, max_pixels, &height, &width, err);
    if (status != OX_OK) {
        return status;
    }
    answer->frame = ox_calloc(height * CHANNELS, width);
    if (answer->frame == NULL) {
        return ox_error_nomem(err, height * CHANNELS);
    }
    info->source_height = picture->height;
    info->source_width = picture->width;
    info->height = height;
    info->width = width;
    status = send_head(OX_PROTOCOL_INFO, sizeof *info, err);
    return status == OX_OK ? send_bytes(info, sizeof *info, err) : status;
}

enum ox_status ox_answer_frame(struct ox_answer *answer, const struct ox_picture *picture, uint64_t index,
                               uint64_t max_pixels, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    if (answer->frame == NULL) {
        status = begin(answer, picture, max_pixels, err);
    }
    const size_t height = (size_t)answer->info.height;
    const size_t width = (size_t)answer->info.width;
    const size_t bytes = height * width * CHANNELS;
    if (status == OX_OK) {
        status = ox_resize_rgb(picture->pixels, picture->height, picture->width, answer->frame, height, width, err);
    }
    if (status == OX_OK) {
        status = send_head(OX_PROTOCOL_FRAME, sizeof index + bytes, err);
    }
    if (status == OX_OK) {
        status = send_bytes(&index, sizeof index, err);
    }
    if (status == OX_OK) {
        status = send_bytes(answer->frame, bytes, err);
    }
    answer->n_frames_sent += status == OX_OK;
    return status;
}

enum ox_status ox_answer_end(struct ox_error *err)
{
    return send_head(OX_PROTOCOL_END, 0, err);
}

void ox_answer_error(const struct ox_error *err)
{
    const uint32_t code = err->code;
    const size_t text = strnlen(err->message, OX_PROTOCOL_MAX_ERROR_BYTES);
    if (send_head(OX_PROTOCOL_ERROR, sizeof code + text, NULL) != OX_OK ||
        send_bytes(&code, sizeof code, NULL) != OX_OK || send_bytes(err->message, text, NULL) != OX_OK) {
        return; /* who does not read the answer does not read this either */
    }
}

enum ox_status ox_request_check(const struct ox_request *request, uint64_t height, uint64_t width, struct ox_error *err)
{
    const uint64_t most = request->numbers[OX_OPERAND_MAX_SOURCE_PIXELS];
    uint64_t pixels;
    if (height == 0 || width == 0) {
        return ox_error_set(err, OX_E_FORMAT, "a picture without pixels");
    }
    if (ox_ckd_mul_u64(&pixels, height, width) || pixels > most) {
        return ox_error_set(err, OX_E_LIMIT,
                            "%" PRIu64 " x %" PRIu64 " pixels (width x height): expected at most %" PRIu64 " in all",
                            width, height, most);
    }
    return OX_OK;
}
