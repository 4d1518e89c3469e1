/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures and clips, from files to what the vision tower reads: decoded by the helper program, a child that has given
 * up files, network and privileges before it looks at a byte; resized to whole patches; kept as bytes, from which rows
 * of patches are made as the tower asks for them. The folder's one interface to the rest of the engine.
 *
 * Nothing here has state: all functions may be called from any thread, the same object from one thread at a time
 * (functions that take it const: from many). The environment is not read; where the helper is, the caller says.
 *
 * SOURCE: transformers, minimax_m3_vl image and video processors; frames of a clip are chosen as vLLM does.
 */
#ifndef OX_MEDIA_MEDIA_H
#define OX_MEDIA_MEDIA_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

/* The tower's sizes (part of the model family, not of a checkpoint). */
#define OX_PATCH_SIDE ((size_t)14)     /* pixels */
#define OX_PATCH_MERGE ((size_t)2)     /* patches, on each side, that become one token */
#define OX_PATCH_FRAMES ((size_t)2)    /* frames in one temporal patch */
#define OX_PATCH_VALUES ((size_t)1176) /* 3 channels x 2 frames x 14 x 14 */
#define OX_MEDIA_FACTOR (OX_PATCH_SIDE * OX_PATCH_MERGE)
#define OX_MEDIA_MIN_PIXELS ((uint64_t)3136) /* 4 tokens */
#define OX_MEDIA_MAX_ASPECT 200

/* How media are decoded and prepared. In every member 0 (NULL) means the default. */
struct ox_media_options {
    const char *helper_path;    /* the program oxcart-media, oxcart-media-video beside it; for all but pixels */
    uint64_t max_pixels;        /* of a picture after resizing; 451,584 */
    uint64_t max_frame_pixels;  /* of a clip's frame after resizing; 602,112 */
    uint64_t max_video_pixels;  /* of all frames of a clip together; 45,158,400. Frames become smaller to meet it. */
    double fps;                 /* frames taken from a second of a clip; 1 */
    uint32_t max_frames;        /* frames of a clip; more are thinned evenly; 768 */
    uint64_t max_source_pixels; /* of a picture or frame as it is in the file; 67,108,864 */
    uint64_t max_file_bytes;    /* of a picture's file, and of a clip that comes through a pipe; 512 MiB */
    uint64_t max_helper_bytes;  /* memory that the helper may take while it decodes; 1.5 GiB */
    uint32_t image_timeout_ms;  /* 20,000 */
    uint32_t video_timeout_ms;  /* 600,000 */
};

/* Where encoded bytes come from: exactly one of path, bytes, fd. Everything is borrowed. */
struct ox_media_source {
    const char *name;     /* in messages */
    const char *path;     /* or NULL */
    const uint8_t *bytes; /* or NULL */
    size_t len;
    int fd; /* or -1; read from its beginning if it can seek, and left somewhere */
};

static inline struct ox_media_source ox_media_source_path(const char *path)
{
    const struct ox_media_source source = {.name = path, .path = path, .fd = -1};
    return source;
}

static inline struct ox_media_source ox_media_source_bytes(const char *name, const uint8_t *bytes, size_t len)
{
    const struct ox_media_source source = {.name = name, .bytes = bytes, .len = len, .fd = -1};
    return source;
}

static inline struct ox_media_source ox_media_source_fd(const char *name, int fd)
{
    const struct ox_media_source source = {.name = name, .fd = fd};
    return source;
}

/* The source that an image_url or video_url part means: a data: URI, whose bytes are decoded into room, or a file's
 * name, which is copied there; room must be empty and outlive *out. OX_E_ARG for any other scheme (https://...),
 * OX_E_FORMAT for a data: URI that is none. */
enum ox_status ox_media_source_url(struct ox_str url, struct ox_buf *room, struct ox_media_source *out,
                                   struct ox_error *err) OX_MUST_USE;

enum ox_media_kind { OX_MEDIA_IMAGE, OX_MEDIA_VIDEO };

/* One picture or clip, ready for the tower. All zero is none. */
struct ox_media {
    enum ox_media_kind kind;
    uint8_t *pixels; /* [n_frames, height, width, 3] RGB; hash these to know equal media */
    size_t n_frames; /* 1 for a picture; an odd clip's last frame counts twice in its last temporal patch */
    size_t height;   /* multiples of OX_MEDIA_FACTOR */
    size_t width;
    size_t source_height; /* before resizing, upright */
    size_t source_width;
    uint64_t *frame_index; /* [n_frames] of a clip's frames in its source, ascending; NULL for a picture */
    double source_fps;     /* 0: a picture, or unknown (then there are no time stamps) */
    uint64_t n_source_frames;
    uint64_t n_sampled_frames; /* that `fps` asks for; more than n_frames: thinned to max_frames, tell the user */
};

void ox_media_fini(struct ox_media *media);

/* Decode and prepare a picture: JPEG, PNG, BMP, WebP, or the first frame of a GIF or animated WebP; turned upright as
 * its EXIF says, 16 bits cut to 8, grey replicated, alpha dropped. *out is set on success only.
 * OX_E_IO: no such file, no helper; OX_E_FORMAT: bytes that cannot be decoded; OX_E_LIMIT: beyond a limit (pixels, sides
 * that differ by more than OX_MEDIA_MAX_ASPECT, bytes, time, memory); OX_E_NOMEM. Messages begin with source->name. */
enum ox_status ox_media_load_image(const struct ox_media_options *options, const struct ox_media_source *source,
                                   struct ox_media *out, struct ox_error *err) OX_MUST_USE;

/* Decode the frames of a clip that `fps` and `max_frames` ask for. The same errors, and OX_E_DEVICE if the helper was
 * built without FFmpeg. A clip that breaks off gives the frames before that. */
enum ox_status ox_media_load_video(const struct ox_media_options *options, const struct ox_media_source *source,
                                   struct ox_media *out, struct ox_error *err) OX_MUST_USE;

/* Prepare a picture that is decoded already. pixels: [height, width, 3] RGB. */
enum ox_status ox_media_from_pixels(const struct ox_media_options *options, const uint8_t *pixels, size_t height,
                                    size_t width, struct ox_media *out, struct ox_error *err) OX_MUST_USE;

/* How many patches in time (frame pairs), rows and columns. */
static inline size_t ox_media_grid_t(const struct ox_media *media)
{
    return (media->n_frames + OX_PATCH_FRAMES - 1) / OX_PATCH_FRAMES;
}

static inline size_t ox_media_grid_h(const struct ox_media *media)
{
    return media->height / OX_PATCH_SIDE;
}

static inline size_t ox_media_grid_w(const struct ox_media *media)
{
    return media->width / OX_PATCH_SIDE;
}

/* Placeholder tokens of one temporal patch: a picture has one, a clip ox_media_grid_t of them. */
static inline size_t ox_media_tokens_per_t(const struct ox_media *media)
{
    return ox_media_grid_h(media) * ox_media_grid_w(media) / (OX_PATCH_MERGE * OX_PATCH_MERGE);
}

/* Write the patches of the temporal patches [t, t + n_t), normalised: out is [n_t * grid_h * grid_w, OX_PATCH_VALUES]
 * f32, rows in the order of merge blocks (time, block row, block column, the block's four patches row by row), values
 * in the order channel, frame, y, x. n_t temporal patches at a time bound the memory of a long clip. */
void ox_media_patches(const struct ox_media *media, size_t t, size_t n_t, float *out);

#define OX_MEDIA_TIMESTAMP_BYTES 32

/* Write the time of temporal patch t in seconds with one decimal ("10.5") and a NUL; an empty text if it is unknown. */
void ox_media_timestamp(const struct ox_media *media, size_t t, char out[OX_MEDIA_TIMESTAMP_BYTES]);

#endif
