/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer is read message by message; a picture's or clip's memory is taken once its size was checked, and frames are
 * read straight into it.
 */
#include "media/frames.h"

#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "media/protocol.h"
#include "media/resize.h"

#define CHANNELS ((size_t)3)
#define MAX_SOURCE_FRAMES ((uint64_t)1 << 40)
#define MAX_SOURCE_FPS 1e6

uint64_t ox_frames_max_pixels(uint64_t max_pixels, uint64_t max_video_pixels, uint64_t n_frames)
{
    const uint64_t share = max_video_pixels / n_frames;
    const uint64_t least = share < max_pixels ? share : max_pixels;
    return least > OX_MEDIA_MIN_PIXELS ? least : OX_MEDIA_MIN_PIXELS;
}

static enum ox_status nonsense(struct ox_error *err, const char *what)
{
    return ox_error_set(err, OX_E_IO, "the decoder answered nonsense (%s)", what);
}

static enum ox_status read_head(const struct ox_frames_input *input, struct ox_protocol_head *head,
                                struct ox_error *err)
{
    const enum ox_status status = input->read(input->user, head, sizeof *head, err);
    if (status == OX_OK && head->magic != OX_PROTOCOL_MAGIC) {
        return nonsense(err, "no message");
    }
    return status;
}

/* Read the body of an ERROR and make it this call's error. */
static enum ox_status read_error(const struct ox_frames_input *input, uint64_t len, struct ox_error *err)
{
    uint32_t code;
    char text[OX_PROTOCOL_MAX_ERROR_BYTES];
    if (len <= sizeof code || len > sizeof code + sizeof text) {
        return nonsense(err, "length of an error");
    }
    const size_t n = (size_t)len - sizeof code;
    enum ox_status status = input->read(input->user, &code, sizeof code, err);
    if (status == OX_OK) {
        status = input->read(input->user, text, n, err);
    }
    if (status != OX_OK) {
        return status;
    }
    if (code != OX_E_FORMAT && code != OX_E_LIMIT && code != OX_E_NOMEM && code != OX_E_DEVICE && code != OX_E_IO) {
        return nonsense(err, "code of an error");
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            text[i] = '?';
        }
    }
    return ox_error_set(err, (enum ox_status)code, "%.*s", (int)n, text);
}

/* Is info an answer to what was asked? */
static enum ox_status check_info(const struct ox_protocol_info *info, enum ox_media_kind kind,
                                 const struct ox_media_options *options, struct ox_error *err)
{
    uint64_t source_pixels;
    size_t height;
    size_t width;
    if (info->source_height == 0 || info->source_width == 0 ||
        ox_ckd_mul_u64(&source_pixels, info->source_height, info->source_width) ||
        source_pixels > options->max_source_pixels) {
        return nonsense(err, "size of the source");
    }
    const bool image = kind == OX_MEDIA_IMAGE;
    if (info->n_frames == 0 || info->n_frames > (image ? 1 : options->max_frames) ||
        info->n_sampled_frames < info->n_frames || info->n_source_frames < info->n_sampled_frames ||
        info->n_source_frames > (image ? 1 : MAX_SOURCE_FRAMES)) {
        return nonsense(err, "number of frames");
    }
    if (!(info->source_fps >= 0.0 && info->source_fps <= MAX_SOURCE_FPS) || (image && info->source_fps != 0.0)) {
        return nonsense(err, "frame rate");
    }
    uint64_t max_pixels = options->max_pixels;
    if (!image) {
        max_pixels = ox_frames_max_pixels(options->max_frame_pixels, options->max_video_pixels, info->n_frames);
    }
    if (ox_resize_target((size_t)info->source_height, (size_t)info->source_width, max_pixels, &height, &width, NULL) !=
            OX_OK ||
        info->height != height || info->width != width) {
        return nonsense(err, "size of the frames");
    }
    return OX_OK;
}

static enum ox_status media_alloc(struct ox_media *media, enum ox_media_kind kind, const struct ox_protocol_info *info,
                                  size_t *frame_bytes, struct ox_error *err)
{
    media->kind = kind;
    media->height = (size_t)info->height;
    media->width = (size_t)info->width;
    media->source_height = (size_t)info->source_height;
    media->source_width = (size_t)info->source_width;
    media->source_fps = info->source_fps;
    media->n_source_frames = info->n_source_frames;
    media->n_sampled_frames = info->n_sampled_frames;
    if (ox_ckd_mul(frame_bytes, media->height, media->width) || ox_ckd_mul(frame_bytes, *frame_bytes, CHANNELS)) {
        return ox_error_nomem(err, SIZE_MAX);
    }
    media->pixels = ox_calloc((size_t)info->n_frames, *frame_bytes);
    if (media->pixels == NULL) {
        return ox_error_nomem(err, *frame_bytes);
    }
    if (kind == OX_MEDIA_VIDEO) {
        media->frame_index = ox_calloc((size_t)info->n_frames, sizeof *media->frame_index);
        if (media->frame_index == NULL) {
            return ox_error_nomem(err, (size_t)info->n_frames * sizeof *media->frame_index);
        }
    }
    return OX_OK;
}

static enum ox_status read_frame(const struct ox_frames_input *input, uint64_t len, size_t frame_bytes, size_t max,
                                 struct ox_media *media, struct ox_error *err)
{
    uint64_t index;
    if (media->n_frames == max || len != sizeof index + frame_bytes) {
        return nonsense(err, "length of a frame");
    }
    enum ox_status status = input->read(input->user, &index, sizeof index, err);
    if (status != OX_OK) {
        return status;
    }
    if (index >= media->n_source_frames ||
        (media->n_frames > 0 && media->frame_index != NULL && index <= media->frame_index[media->n_frames - 1])) {
        return nonsense(err, "order of frames");
    }
    if (media->frame_index != NULL) {
        media->frame_index[media->n_frames] = index;
    }
    status = input->read(input->user, media->pixels + media->n_frames * frame_bytes, frame_bytes, err);
    media->n_frames += status == OX_OK;
    return status;
}

/* What follows INFO. */
static enum ox_status read_frames(const struct ox_frames_input *input, size_t frame_bytes, size_t max,
                                  struct ox_media *media, struct ox_error *err)
{
    for (;;) {
        struct ox_protocol_head head;
        enum ox_status status = read_head(input, &head, err);
        if (status == OX_OK && head.kind == OX_PROTOCOL_FRAME) {
            status = read_frame(input, head.len, frame_bytes, max, media, err);
        } else if (status == OX_OK && head.kind == OX_PROTOCOL_ERROR) {
            return read_error(input, head.len, err);
        } else if (status == OX_OK) {
            const bool end = head.kind == OX_PROTOCOL_END && head.len == 0 && media->n_frames > 0;
            return end ? OX_OK : nonsense(err, "end of the frames");
        }
        if (status != OX_OK) {
            return status;
        }
    }
}

enum ox_status ox_frames_read(const struct ox_frames_input *input, enum ox_media_kind kind,
                              const struct ox_media_options *options, struct ox_media *out, struct ox_error *err)
{
    struct ox_protocol_head head;
    struct ox_protocol_info info;
    struct ox_media media;
    size_t frame_bytes = 0;
    memset(&media, 0, sizeof media);
    enum ox_status status = read_head(input, &head, err);
    if (status == OX_OK && head.kind == OX_PROTOCOL_ERROR) {
        return read_error(input, head.len, err);
    }
    if (status == OX_OK && (head.kind != OX_PROTOCOL_INFO || head.len != sizeof info)) {
        return nonsense(err, "first message");
    }
    if (status == OX_OK) {
        status = input->read(input->user, &info, sizeof info, err);
    }
    if (status == OX_OK) {
        status = check_info(&info, kind, options, err);
    }
    if (status == OX_OK) {
        status = media_alloc(&media, kind, &info, &frame_bytes, err);
    }
    if (status == OX_OK) {
        status = read_frames(input, frame_bytes, (size_t)info.n_frames, &media, err);
    }
    if (status != OX_OK) {
        ox_media_fini(&media);
        return status;
    }
    *out = media;
    return OX_OK;
}
