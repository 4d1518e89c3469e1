/* SPDX-License-Identifier: Apache-2.0
 *
 * Clips as files, made at test time with FFmpeg's encoders.
 */
#ifndef OX_TESTS_MEDIA_CLIP_H
#define OX_TESTS_MEDIA_CLIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clip_spec {
    const char *container; /* FFmpeg's name of the muxer: "matroska", "mp4", "mpegts", ... */
    const char *encoder;   /* "ffv1", "libx264", ...; NULL: packets of rubbish that say they are raw video */
    const char *format;    /* of pixels: "bgr0" (RGB kept as it is), "yuv420p", ... */
    size_t height;
    size_t width;
    size_t n_frames;
    int fps;
    int gop;        /* frames from one key frame to the next; 0: the encoder's choice */
    int n_b_frames; /* between two others; 0: none */
    int turn;       /* degrees clockwise, as players shall show it */
    bool bt709;     /* the matrix of HD, said in the file */
};

/* Draw frame i into pixels: [height, width, 3]. RGB, or Y, U, V where the format is YUV (whose chroma is taken from the
 * even pixels of the even rows). */
typedef void (*clip_draw)(size_t i, size_t height, size_t width, uint8_t *pixels, void *user);

/* Write the clip to path; false if this FFmpeg cannot (then *why says what is missing). */
bool clip_make(const char *path, const struct clip_spec *spec, clip_draw draw, void *user, const char **why);

#endif
