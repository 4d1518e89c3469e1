/* SPDX-License-Identifier: Apache-2.0
 *
 * Draws pictures and clips of the kinds that the demonstration model was trained on, with what it should say about them:
 * shapes in six colours on three backgrounds, a little noise everywhere. Equal seeds give equal cases.
 */
#ifndef OX_TESTS_DRAW_H
#define OX_TESTS_DRAW_H

#include <stddef.h>
#include <stdint.h>

enum draw_kind { DRAW_PICTURE, DRAW_TWO_SHAPES, DRAW_CLIP, N_DRAW_KINDS };

extern const char *const draw_kind_names[N_DRAW_KINDS];

/* pixels [n_frames, height, width, 3] RGB, sides multiples of 28; free with draw_free. */
struct drawing {
    uint8_t *pixels;
    int32_t n_frames; /* 1 unless it is a clip */
    int32_t height;
    int32_t width;
    const char *question;
    char answer[160];
};

void draw(enum draw_kind kind, uint64_t seed, struct drawing *out);
void draw_free(struct drawing *drawing);

#endif
