/* SPDX-License-Identifier: Apache-2.0
 *
 * The drawing itself. What is drawn, how large and where follows the rules by which the model's training pictures were
 * made; a case outside them would ask it for what it was never taught.
 */
#include "tests/draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define STEP 28
#define CHANNELS 3

const char *const draw_kind_names[N_DRAW_KINDS] = {"picture", "two_shapes", "clip"};

struct paint {
    const char *name;
    int rgb[CHANNELS];
};

static const struct paint colours[] = {{"red", {220, 30, 30}},    {"green", {30, 160, 50}},   {"blue", {40, 70, 220}},
                                       {"yellow", {240, 220, 40}}, {"purple", {140, 40, 170}}, {"orange", {245, 140, 20}}};
static const struct paint grounds[] = {{"white", {245, 245, 245}}, {"black", {15, 15, 15}}, {"gray", {128, 128, 128}}};
static const char *const shapes[] = {"circle", "square", "triangle"};

#define N_COLOURS (sizeof colours / sizeof colours[0])

/* One frame being drawn on. */
struct canvas {
    uint8_t *pixels;
    int height;
    int width;
};

/* low <= n <= high */
static int pick(struct ox_rng *rng, int low, int high)
{
    return low + (int)ox_rng_below(rng, (uint64_t)(high - low + 1));
}

static double between(struct ox_rng *rng, double low, double high)
{
    return low + (high - low) * ox_rng_double(rng);
}

static uint8_t to_byte(int x)
{
    if (x < 0) {
        return 0;
    }
    return (uint8_t)(x > 255 ? 255 : x);
}

/* A background: its colour a little off, each pixel a little more. */
static void fill(struct ox_rng *rng, const struct paint *ground, const struct canvas *canvas)
{
    int base[CHANNELS];
    for (int c = 0; c < CHANNELS; c++) {
        base[c] = ground->rgb[c] + pick(rng, -6, 6);
    }
    for (int i = 0; i < canvas->height * canvas->width; i++) {
        for (int c = 0; c < CHANNELS; c++) {
            canvas->pixels[i * CHANNELS + c] = to_byte(base[c] + pick(rng, -5, 5));
        }
    }
}

static void tint(struct ox_rng *rng, const struct paint *colour, uint8_t *rgb)
{
    for (int c = 0; c < CHANNELS; c++) {
        rgb[c] = to_byte(colour->rgb[c] + pick(rng, -12, 12));
    }
}

static int covers(int shape, double dx, double dy, double r)
{
    if (shape == 0) {
        return dx * dx + dy * dy <= r * r;
    }
    if (shape == 1) {
        return fabs(dx) <= 0.88 * r && fabs(dy) <= 0.88 * r;
    }
    return dy <= 0.8 * r && dy >= -r + fabs(dx) * 1.8;
}

static void put(const struct canvas *canvas, int shape, const uint8_t *rgb, double cx, double cy, double r)
{
    for (int y = 0; y < canvas->height; y++) {
        for (int x = 0; x < canvas->width; x++) {
            if (covers(shape, x + 0.5 - cx, y + 0.5 - cy, r)) {
                memcpy(canvas->pixels + (y * canvas->width + x) * CHANNELS, rgb, CHANNELS);
            }
        }
    }
}

static struct canvas open_drawing(struct drawing *out, int n_frames, int height, int width)
{
    out->n_frames = n_frames;
    out->height = height;
    out->width = width;
    out->pixels = malloc((size_t)n_frames * (size_t)height * (size_t)width * CHANNELS);
    if (out->pixels == NULL) {
        abort();
    }
    return (struct canvas){out->pixels, height, width};
}

static void draw_picture(struct ox_rng *rng, struct drawing *out)
{
    const int shape = pick(rng, 0, 2);
    const struct paint *colour = &colours[pick(rng, 0, N_COLOURS - 1)];
    const struct paint *ground = &grounds[pick(rng, 0, 2)];
    const int large = pick(rng, 0, 1);
    const int height = STEP * pick(rng, 3, 8);
    const struct canvas canvas = open_drawing(out, 1, height, STEP * pick(rng, 3, 8));
    const double side = fmin(canvas.height, canvas.width);
    const double r = side * (large ? between(rng, 0.36, 0.46) : between(rng, 0.15, 0.22));
    uint8_t rgb[CHANNELS];
    fill(rng, ground, &canvas);
    tint(rng, colour, rgb);
    const double cx = between(rng, r, canvas.width - r);
    put(&canvas, shape, rgb, cx, between(rng, r, canvas.height - r), r);
    snprintf(out->answer, sizeof out->answer, "A %s %s %s on a %s background.", large ? "large" : "small", colour->name,
             shapes[shape], ground->name);
}

static const char *article(const char *word)
{
    return strchr("aeiou", word[0]) != NULL ? "an" : "a";
}

static void draw_two_shapes(struct ox_rng *rng, struct drawing *out)
{
    const int shape[2] = {pick(rng, 0, 2), pick(rng, 0, 2)};
    const int first = pick(rng, 0, N_COLOURS - 1);
    const int second = (first + pick(rng, 1, N_COLOURS - 1)) % (int)N_COLOURS;
    const struct paint *colour[2] = {&colours[first], &colours[second]};
    const struct paint *ground = &grounds[pick(rng, 0, 2)];
    const int beside = pick(rng, 0, 1);
    const int longer = STEP * pick(rng, 5, 9);
    const int other = STEP * pick(rng, 3, 8);
    const struct canvas canvas = open_drawing(out, 1, beside ? other : longer, beside ? longer : other);
    const double h = canvas.height;
    const double w = canvas.width;
    const double r = (beside ? fmin(h, w / 2) : fmin(h / 2, w)) * between(rng, 0.28, 0.42);
    fill(rng, ground, &canvas);
    for (int i = 0; i < 2; i++) {
        uint8_t rgb[CHANNELS];
        tint(rng, colour[i], rgb);
        const double along = beside ? w : h; /* the first in the first half, the second in the other */
        const double a = between(rng, i * along / 2 + r, (i + 1) * along / 2 - r);
        const double b = between(rng, r, (beside ? h : w) - r);
        put(&canvas, shape[i], rgb, beside ? a : b, beside ? b : a, r);
    }
    snprintf(out->answer, sizeof out->answer, "%s %s %s %s %s %s %s on a %s background.",
             article(colour[0]->name)[1] != '\0' ? "An" : "A", colour[0]->name, shapes[shape[0]],
             beside ? "to the left of" : "above", article(colour[1]->name), colour[1]->name, shapes[shape[1]],
             ground->name);
}

static void draw_clip(struct ox_rng *rng, struct drawing *out)
{
    static const char *const moves[] = {"from left to right", "from right to left", "from top to bottom",
                                        "from bottom to top"};
    const int shape = pick(rng, 0, 2);
    const struct paint *colour = &colours[pick(rng, 0, N_COLOURS - 1)];
    const struct paint *ground = &grounds[pick(rng, 0, 2)];
    const int move = pick(rng, 0, 3);
    const int n = 2 * pick(rng, 2, 4);
    const int size = STEP * pick(rng, 3, 5);
    struct canvas canvas = open_drawing(out, n, size, size);
    const double r = size * between(rng, 0.15, 0.22);
    const double still = between(rng, 0.3, 0.7) * size;
    for (int i = 0; i < n; i++) {
        const double way = r + (double)i / (n - 1) * (size - 2 * r);
        const double along = move % 2 == 1 ? size - way : way;
        uint8_t rgb[CHANNELS];
        fill(rng, ground, &canvas);
        tint(rng, colour, rgb);
        put(&canvas, shape, rgb, move < 2 ? along : still, move < 2 ? still : along, r);
        canvas.pixels += size * size * CHANNELS;
    }
    snprintf(out->answer, sizeof out->answer, "%s %s %s moves %s.", article(colour->name)[1] != '\0' ? "An" : "A",
             colour->name, shapes[shape], moves[move]);
}

void draw(enum draw_kind kind, uint64_t seed, struct drawing *out)
{
    static void (*const functions[N_DRAW_KINDS])(struct ox_rng *, struct drawing *) = {draw_picture, draw_two_shapes,
                                                                                       draw_clip};
    static const char *const about_pictures[] = {"Describe this image in one sentence.", "What is in this picture?",
                                                 "Describe the image."};
    static const char *const about_clips[] = {"Describe this video in one sentence.", "What happens in this video?"};
    struct ox_rng rng;
    memset(out, 0, sizeof *out);
    ox_rng_init(&rng, seed);
    functions[kind](&rng, out);
    out->question = kind == DRAW_CLIP ? about_clips[pick(&rng, 0, 1)] : about_pictures[pick(&rng, 0, 2)];
}

void draw_free(struct drawing *drawing)
{
    free(drawing->pixels);
    memset(drawing, 0, sizeof *drawing);
}
