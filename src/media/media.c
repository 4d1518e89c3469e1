/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading: the options are completed, the source becomes a descriptor that can seek, the helper is started on it, its
 * answer is read. Whatever goes wrong is told once, with the source's name before it.
 */
#include "media/media.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ckd.h"
#include "base/data_uri.h"
#include "base/mem.h"
#include "media/child.h"
#include "media/frames.h"
#include "media/protocol.h"
#include "media/resize.h"

#define CHANNELS ((size_t)3)
#define COPY_BYTES ((size_t)1 << 16)
#define OPERAND_BYTES 24
#define VIDEO_SUFFIX "-video"

static const struct ox_media_options defaults = {
    .max_pixels = 451584,
    .max_frame_pixels = 602112,
    .max_video_pixels = 45158400,
    .fps = 1.0,
    .max_frames = 768,
    .max_source_pixels = 67108864,
    .max_file_bytes = (uint64_t)512 << 20,
    .max_helper_bytes = (uint64_t)1536 << 20,
    .image_timeout_ms = 20000,
    .video_timeout_ms = 600000,
};

/* Each member of options, or its default where it is 0. */
static enum ox_status complete(const struct ox_media_options *options, struct ox_media_options *out,
                               struct ox_error *err)
{
    *out = *options;
    out->max_pixels = options->max_pixels != 0 ? options->max_pixels : defaults.max_pixels;
    out->max_frame_pixels = options->max_frame_pixels != 0 ? options->max_frame_pixels : defaults.max_frame_pixels;
    out->max_video_pixels = options->max_video_pixels != 0 ? options->max_video_pixels : defaults.max_video_pixels;
    out->fps = options->fps != 0.0 ? options->fps : defaults.fps;
    out->max_frames = options->max_frames != 0 ? options->max_frames : defaults.max_frames;
    out->max_source_pixels = options->max_source_pixels != 0 ? options->max_source_pixels : defaults.max_source_pixels;
    out->max_file_bytes = options->max_file_bytes != 0 ? options->max_file_bytes : defaults.max_file_bytes;
    out->max_helper_bytes = options->max_helper_bytes != 0 ? options->max_helper_bytes : defaults.max_helper_bytes;
    out->image_timeout_ms = options->image_timeout_ms != 0 ? options->image_timeout_ms : defaults.image_timeout_ms;
    out->video_timeout_ms = options->video_timeout_ms != 0 ? options->video_timeout_ms : defaults.video_timeout_ms;
    if (!(out->fps > 0.0) || !isfinite(out->fps)) {
        return ox_error_set(err, OX_E_ARG, "frames per second: expected a number above 0, found %g", out->fps);
    }
    if (out->max_pixels < OX_MEDIA_MIN_PIXELS || out->max_frame_pixels < OX_MEDIA_MIN_PIXELS) {
        return ox_error_set(err, OX_E_ARG, "pixels of a picture: expected at least %" PRIu64 ", found %" PRIu64,
                            OX_MEDIA_MIN_PIXELS,
                            out->max_pixels < out->max_frame_pixels ? out->max_pixels : out->max_frame_pixels);
    }
    return OX_OK;
}

void ox_media_fini(struct ox_media *media)
{
    ox_free(media->pixels);
    ox_free(media->frame_index);
    memset(media, 0, sizeof *media);
}

/* ---- where the bytes come from ---------------------------------------------------------------------------------- */

static enum ox_status write_whole(int fd, const uint8_t *bytes, size_t len, struct ox_error *err)
{
    while (len > 0) {
        const ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno != EINTR) {
            return ox_error_set_errno(err, OX_E_NOMEM, errno, "no room for a copy");
        }
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return OX_OK;
}

/* Copy what a pipe holds to `copy`, up to max bytes. */
static enum ox_status copy_stream(int fd, int copy, uint64_t max, struct ox_error *err)
{
    uint8_t room[COPY_BYTES];
    uint64_t total = 0;
    for (;;) {
        const ssize_t n = read(fd, room, sizeof room);
        if (n == 0) {
            return OX_OK;
        }
        if (n < 0 && errno != EINTR) {
            return ox_error_set_errno(err, OX_E_IO, errno, "cannot be read");
        }
        total += n > 0 ? (uint64_t)n : 0;
        if (total > max) {
            return ox_error_set(err, OX_E_LIMIT, "longer than %" PRIu64 " bytes", max);
        }
        const enum ox_status status = write_whole(copy, room, n > 0 ? (size_t)n : 0, err);
        if (status != OX_OK) {
            return status;
        }
    }
}

/* A descriptor in memory with the source's bytes (bytes != NULL) or what fd gives. */
static enum ox_status open_copy(const uint8_t *bytes, size_t len, int fd, uint64_t max, int *out, struct ox_error *err)
{
    const int copy = memfd_create("oxcart-media", MFD_CLOEXEC);
    if (copy < 0) {
        return ox_error_set_errno(err, OX_E_NOMEM, errno, "no room for a copy");
    }
    const enum ox_status status = bytes != NULL ? write_whole(copy, bytes, len, err) : copy_stream(fd, copy, max, err);
    if (status != OX_OK) {
        (void)close(copy);
        return status;
    }
    *out = copy;
    return OX_OK;
}

/* Open the source as a descriptor that can seek; *out must be closed. */
static enum ox_status open_source(const struct ox_media_source *source, enum ox_media_kind kind,
                                  const struct ox_media_options *options, int *out, struct ox_error *err)
{
    struct stat st;
    if (source->path == NULL && source->fd < 0) {
        return open_copy(source->bytes != NULL ? source->bytes : (const uint8_t *)"", source->len, -1, 0, out, err);
    }
    const int fd = source->path != NULL ? open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
                                        : fcntl(source->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || fstat(fd, &st) != 0) {
        const int reason = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return ox_error_set_errno(err, OX_E_IO, reason, "cannot be opened");
    }
    enum ox_status status = OX_OK;
    if (S_ISDIR(st.st_mode)) {
        status = ox_error_set(err, OX_E_IO, "expected a file, found a folder");
    } else if (!S_ISREG(st.st_mode)) {
        status = open_copy(NULL, 0, fd, options->max_file_bytes, out, err);
    } else if (kind == OX_MEDIA_IMAGE && (uint64_t)st.st_size > options->max_file_bytes) {
        status = ox_error_set(err, OX_E_LIMIT, "longer than %" PRIu64 " bytes", options->max_file_bytes);
    } else {
        *out = fd;
        return OX_OK;
    }
    (void)close(fd);
    return status;
}

enum ox_status ox_media_source_url(struct ox_str url, struct ox_buf *room, struct ox_media_source *out,
                                   struct ox_error *err)
{
    if (ox_data_uri_is(url)) {
        const enum ox_status status = ox_data_uri_decode(url, room, err);
        if (status != OX_OK) {
            ox_error_prefix(err, "data: URI: ");
            return status;
        }
        *out = ox_media_source_bytes("data: URI", (const uint8_t *)ox_buf_text(room), room->len);
        return OX_OK;
    }
    const size_t scheme = ox_str_find(url, ox_str_c("://"), 0);
    if (scheme < url.len || url.len == 0 || memchr(url.ptr, '\0', url.len) != NULL) {
        return ox_error_set(err, OX_E_ARG, "expected a file's name or a data: URI, found \"%.*s\"",
                            (int)(url.len < 80 ? url.len : 80), url.len > 0 ? url.ptr : "");
    }
    ox_buf_add_str(room, url);
    if (ox_buf_failed(room)) {
        return ox_error_nomem(err, url.len);
    }
    *out = ox_media_source_path(ox_buf_text(room));
    return OX_OK;
}

/* ---- loading ------------------------------------------------------------------------------------------------------ */

static enum ox_status read_child(void *user, void *bytes, size_t len, struct ox_error *err)
{
    return ox_child_read((struct ox_child *)user, bytes, len, err);
}

/* Start the program `path` on fd with the operands of protocol.h and read its answer. */
static enum ox_status decode(const struct ox_media_options *options, enum ox_media_kind kind, const char *path, int fd,
                             struct ox_media *out, struct ox_error *err)
{
    const bool image = kind == OX_MEDIA_IMAGE;
    const uint32_t timeout_ms = image ? options->image_timeout_ms : options->video_timeout_ms;
    uint64_t numbers[OX_N_OPERANDS];
    char texts[OX_N_OPERANDS][OPERAND_BYTES];
    const char *argv[OX_N_OPERANDS + 2] = {path};
    struct ox_child child;
    memset(&child, 0, sizeof child);
    numbers[OX_OPERAND_MAX_PIXELS] = image ? options->max_pixels : options->max_frame_pixels;
    numbers[OX_OPERAND_MAX_VIDEO_PIXELS] = options->max_video_pixels;
    numbers[OX_OPERAND_MAX_SOURCE_PIXELS] = options->max_source_pixels;
    numbers[OX_OPERAND_MAX_FRAMES] = options->max_frames;
    memcpy(&numbers[OX_OPERAND_FPS_BITS], &options->fps, sizeof options->fps);
    numbers[OX_OPERAND_MAX_BYTES] = options->max_helper_bytes;
    numbers[OX_OPERAND_TIMEOUT_S] = timeout_ms / 1000 + 1;
    for (size_t i = 0; i < OX_N_OPERANDS; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%" PRIu64, numbers[i]);
        argv[1 + i] = texts[i];
    }
    enum ox_status status = ox_child_start(argv, fd, timeout_ms, &child, err);
    if (status == OX_OK) {
        const struct ox_frames_input input = {read_child, &child};
        status = ox_frames_read(&input, kind, options, out, err);
        ox_child_finish(&child);
    }
    return status;
}

/* The program that decodes media of this kind, in path; OX_E_DEVICE if the one for clips was not built. */
static enum ox_status find_helper(const char *helper_path, enum ox_media_kind kind, struct ox_buf *path,
                                  struct ox_error *err)
{
    if (helper_path == NULL) {
        return ox_error_set(err, OX_E_ARG, "no program to decode it with");
    }
    ox_buf_add_c(path, helper_path);
    if (kind == OX_MEDIA_VIDEO) {
        ox_buf_add_c(path, VIDEO_SUFFIX);
    }
    if (ox_buf_failed(path)) {
        return ox_error_nomem(err, strlen(helper_path));
    }
    if (kind == OX_MEDIA_VIDEO && access(helper_path, X_OK) == 0 && access(ox_buf_text(path), F_OK) != 0) {
        return ox_error_set(err, OX_E_DEVICE, "a video, and this build has no FFmpeg (there is no %s)",
                            ox_buf_text(path));
    }
    return OX_OK;
}

static enum ox_status load(const struct ox_media_options *options, enum ox_media_kind kind,
                           const struct ox_media_source *source, struct ox_media *out, struct ox_error *err)
{
    struct ox_media_options full;
    struct ox_buf path;
    int fd = -1;
    enum ox_status status = complete(options, &full, err);
    if (status != OX_OK) {
        return status;
    }
    ox_buf_init(&path);
    status = find_helper(full.helper_path, kind, &path, err);
    if (status == OX_OK) {
        status = open_source(source, kind, &full, &fd, err);
    }
    if (status == OX_OK) {
        status = decode(&full, kind, ox_buf_text(&path), fd, out, err);
        (void)close(fd);
    }
    ox_buf_fini(&path);
    if (status != OX_OK) {
        ox_error_prefix(err, "%s: ", source->name);
    }
    return status;
}

enum ox_status ox_media_load_image(const struct ox_media_options *options, const struct ox_media_source *source,
                                   struct ox_media *out, struct ox_error *err)
{
    return load(options, OX_MEDIA_IMAGE, source, out, err);
}

enum ox_status ox_media_load_video(const struct ox_media_options *options, const struct ox_media_source *source,
                                   struct ox_media *out, struct ox_error *err)
{
    return load(options, OX_MEDIA_VIDEO, source, out, err);
}

enum ox_status ox_media_from_pixels(const struct ox_media_options *options, const uint8_t *pixels, size_t height,
                                    size_t width, struct ox_media *out, struct ox_error *err)
{
    struct ox_media_options full;
    struct ox_media media;
    uint64_t source_pixels;
    size_t bytes;
    memset(&media, 0, sizeof media);
    enum ox_status status = complete(options, &full, err);
    if (status != OX_OK) {
        return status;
    }
    if (height == 0 || width == 0) {
        return ox_error_set(err, OX_E_ARG, "a picture of %zu x %zu pixels", height, width);
    }
    if (ox_ckd_mul_u64(&source_pixels, height, width) || source_pixels > full.max_source_pixels) {
        return ox_error_set(err, OX_E_LIMIT, "a picture of %zu x %zu pixels: expected at most %" PRIu64, height, width,
                            full.max_source_pixels);
    }
    status = ox_resize_target(height, width, full.max_pixels, &media.height, &media.width, err);
    if (status != OX_OK) {
        return status;
    }
    if (ox_ckd_mul(&bytes, media.height, media.width)) {
        return ox_error_nomem(err, SIZE_MAX);
    }
    media.pixels = ox_calloc(bytes, CHANNELS);
    if (media.pixels == NULL) {
        return ox_error_nomem(err, bytes);
    }
    status = ox_resize_rgb(pixels, height, width, media.pixels, media.height, media.width, err);
    if (status != OX_OK) {
        ox_media_fini(&media);
        return status;
    }
    media.kind = OX_MEDIA_IMAGE;
    media.n_frames = 1;
    media.source_height = height;
    media.source_width = width;
    media.n_source_frames = 1;
    media.n_sampled_frames = 1;
    *out = media;
    return OX_OK;
}
