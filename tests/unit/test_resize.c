/* SPDX-License-Identifier: Apache-2.0
 *
 * Resizing: target sizes against the table of the reference, pictures against those that Pillow made (golden/resize),
 * and random sizes against the same arithmetic written the slow way.
 */
#include "media/resize.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "media/media.h"
#include "os/file.h"
#include "tests/guard.h"
#include "tests/oom.h"
#include "tests/tap.h"
#include "weights/safetensors.h"

#define GOLDEN_PICTURES 15
#define MAX_PIXELS 451584

static void test_target(void)
{
    static const size_t rows[][4] = {
        {1080, 1920, 504, 896}, {720, 1280, 504, 896},  {480, 640, 476, 644},   {600, 800, 560, 756},
        {672, 672, 672, 672},   {1024, 1024, 672, 672}, {2016, 2016, 672, 672}, {100, 3000, 112, 2996},
        {20, 20, 56, 56},       {42, 42, 56, 56},       {70, 70, 56, 56},       {1, 1, 56, 56},
        {3000, 4000, 560, 756}, {6000, 8000, 560, 756}, {10000, 60, 8652, 28},  {28, 5600, 28, 5600},
        {677, 667, 672, 672},   {672, 673, 672, 672},   {45, 45, 56, 56},       {27, 29, 56, 84},
        {1500, 20, 1512, 28},   {1, 200, 28, 196},
    };
    struct ox_error err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t h = 0;
        size_t w = 0;
        const enum ox_status status = ox_resize_target(rows[i][0], rows[i][1], MAX_PIXELS, &h, &w, &err);
        OK(status == OX_OK && h == rows[i][2] && w == rows[i][3], "%zu x %zu becomes %zu x %zu, found %zu x %zu",
           rows[i][0], rows[i][1], rows[i][2], rows[i][3], h, w);
    }
    size_t h = 0;
    size_t w = 0;
    IS_INT(ox_resize_target(201, 1, MAX_PIXELS, &h, &w, &err), OX_E_LIMIT, "201 to 1");
    IS_STR(err.message, "sides of 201 x 1: expected at most 200 times the other", "and why");
    IS_INT(ox_resize_target(1, 201, MAX_PIXELS, &h, &w, NULL), OX_E_LIMIT, "1 to 201");
    IS_INT(ox_resize_target(200000, 1000, MAX_PIXELS, &h, &w, NULL), OX_OK, "200 to 1, large");
    OK(w == 28 && h % 28 == 0, "no side falls below 28 (%zu x %zu)", h, w);
    bool all = true;
    struct ox_rng rng;
    ox_rng_init(&rng, 5);
    for (size_t i = 0; i < 20000; i++) {
        const size_t in_h = 1 + (size_t)ox_rng_below(&rng, 9000);
        const size_t in_w = 1 + (size_t)ox_rng_below(&rng, 9000);
        if (ox_resize_target(in_h, in_w, MAX_PIXELS, &h, &w, NULL) == OX_OK) {
            all = all && h % 28 == 0 && w % 28 == 0 && h >= 28 && w >= 28 && h * w >= OX_MEDIA_MIN_PIXELS - 28 * 28 * 2;
            all = all && (h * w <= MAX_PIXELS || h == 28 || w == 28);
        }
    }
    OK(all, "random sizes: whole tokens, within the bounds");
}

/* ---- Pillow's pictures ------------------------------------------------------------------------------------------ */

static const struct ox_tensor *picture(const struct ox_safetensors *st, const char *what, int i)
{
    char name[16];
    snprintf(name, sizeof name, "%s.%d", what, i);
    return ox_safetensors_find(st, ox_str_c(name));
}

static void test_golden(void)
{
    struct ox_map map = {NULL, 0};
    struct ox_safetensors st = {0};
    struct ox_error err = {0};
    const char *path = tap_file("golden/resize/bicubic.safetensors");
    if (!OK(ox_map_open(path, &map, &err) == OX_OK && ox_safetensors_parse(map.ptr, map.len, path, &st, &err) == OX_OK,
            "golden pictures: %s", err.message)) {
        return;
    }
    IS_INT(st.n_tensors, 2 * GOLDEN_PICTURES, "pictures");
    for (int i = 0; i < GOLDEN_PICTURES; i++) {
        const struct ox_tensor *in = picture(&st, "in", i);
        const struct ox_tensor *out = picture(&st, "out", i);
        uint8_t *found = ox_calloc(out->len, 1);
        const enum ox_status status = ox_resize_rgb(in->data, (size_t)in->dims[0], (size_t)in->dims[1], found,
                                                    (size_t)out->dims[0], (size_t)out->dims[1], &err);
        size_t n_wrong = 0;
        for (size_t j = 0; j < out->len; j++) {
            n_wrong += found[j] != out->data[j];
        }
        OK(status == OX_OK && n_wrong == 0, "picture %d, %d x %d to %d x %d: %zu bytes differ from Pillow's", i,
           (int)in->dims[0], (int)in->dims[1], (int)out->dims[0], (int)out->dims[1], n_wrong);
        ox_free(found);
    }
    ox_safetensors_fini(&st);
    ox_map_close(&map);
}

/* ---- the same, slowly --------------------------------------------------------------------------------------------- */

static double kernel(double x)
{
    const double t = fabs(x);
    if (t < 1.0) {
        return ((-0.5 + 2.0) * t - (-0.5 + 3.0)) * t * t + 1.0;
    }
    return t < 2.0 ? (((t - 5.0) * t + 8.0) * t - 4.0) * -0.5 : 0.0;
}

/* Sample i of n_out along an axis of n_in bytes, stride apart. */
static uint8_t slow_sample(const uint8_t *in, size_t n_in, size_t stride, size_t i, size_t n_out)
{
    const double scale = (double)n_in / (double)n_out;
    const double fs = scale > 1.0 ? scale : 1.0;
    const double center = ((double)i + 0.5) * scale;
    int x0 = (int)(center - 2.0 * fs + 0.5);
    int x1 = (int)(center + 2.0 * fs + 0.5);
    double sum = 0.0;
    int64_t acc = 1 << 21;
    x0 = x0 < 0 ? 0 : x0;
    x1 = x1 > (int)n_in ? (int)n_in : x1;
    if (n_in == n_out) {
        return in[i * stride];
    }
    for (int x = x0; x < x1; x++) {
        sum += kernel((x - center + 0.5) * (1.0 / fs));
    }
    for (int x = x0; x < x1; x++) {
        const double k = kernel((x - center + 0.5) * (1.0 / fs)) / sum * (1 << 22);
        acc += in[(size_t)x * stride] * (int64_t)(k < 0 ? k - 0.5 : k + 0.5);
    }
    acc >>= 22;
    acc = acc < 0 ? 0 : acc;
    return (uint8_t)(acc > 255 ? 255 : acc);
}

static void slow_resize(const uint8_t *in, size_t h, size_t w, uint8_t *out, size_t out_h, size_t out_w)
{
    uint8_t *between = ox_calloc(h * out_w, 3);
    for (size_t i = 0; i < h * out_w * 3; i++) {
        const size_t y = i / (out_w * 3);
        between[i] = slow_sample(in + y * w * 3 + i % 3, w, 3, i / 3 % out_w, out_w);
    }
    for (size_t i = 0; i < out_h * out_w * 3; i++) {
        out[i] = slow_sample(between + i % (out_w * 3), h, out_w * 3, i / (out_w * 3), out_h);
    }
    ox_free(between);
}

/* Random bytes, or only 0 and 255, which overshoot. */
static void test_random(void)
{
    struct ox_rng rng;
    struct guard in_guard;
    struct guard out_guard;
    bool all = true;
    bool intact = true;
    ox_rng_init(&rng, 77);
    OK(guard_init(&in_guard, 70000 * 3) && guard_init(&out_guard, 400 * 400 * 3), "guards");
    for (size_t round = 0; round < 150; round++) {
        const bool is_long = round % 10 == 0;
        const size_t h = 1 + (size_t)ox_rng_below(&rng, is_long ? 3 : 150);
        const size_t w = 1 + (size_t)ox_rng_below(&rng, is_long ? 20000 : 150);
        const size_t out_h = 1 + (size_t)ox_rng_below(&rng, 90);
        const size_t out_w = 1 + (size_t)ox_rng_below(&rng, 90);
        const size_t len = out_h * out_w * 3;
        uint8_t *in = guard_take(&in_guard, h * w * 3, round % 2 == 0);
        uint8_t *out = guard_take(&out_guard, len, round % 2 == 0);
        uint8_t *expected = ox_calloc(len, 1);
        for (size_t i = 0; i < h * w * 3; i++) {
            const uint64_t r = ox_rng_next(&rng) >> 32;
            in[i] = (uint8_t)(round % 3 == 0 ? (r & 1) * 255 : r);
        }
        slow_resize(in, h, w, expected, out_h, out_w);
        all = all && ox_resize_rgb(in, h, w, out, out_h, out_w, NULL) == OX_OK && memcmp(out, expected, len) == 0;
        intact = intact && guard_intact(&in_guard) && guard_intact(&out_guard);
        ox_free(expected);
    }
    OK(all, "random pictures are those of the slow way");
    OK(intact, "nothing beside them is written");
    guard_fini(&in_guard);
    guard_fini(&out_guard);
}

/* The largest picture that must work, of one colour, in a moment. */
static void test_large(void)
{
    const size_t h = 6000;
    const size_t w = 8000;
    uint8_t *in = ox_calloc(h * w, 3);
    uint8_t *out = ox_calloc(560 * 756, 3);
    if (in == NULL || out == NULL) {
        OK(false, "memory for 8000 x 6000");
        return;
    }
    memset(in, 200, h * w * 3);
    bool same = ox_resize_rgb(in, h, w, out, 560, 756, NULL) == OX_OK;
    for (size_t i = 0; i < (size_t)560 * 756 * 3; i++) {
        same = same && out[i] == 200;
    }
    OK(same, "8000 x 6000 of one colour stays that colour");
    ox_free(in);
    ox_free(out);
}

static void test_no_memory(void)
{
    uint8_t in[30 * 40 * 3] = {0};
    uint8_t out[56 * 28 * 3];
    struct ox_error err;
    for (long n = 1;; n++) {
        oom_arm(n);
        const enum ox_status status = ox_resize_rgb(in, 30, 40, out, 56, 28, &err);
        if (!oom_disarm()) {
            OK(status == OX_OK && n > 10, "%ld allocations", n - 1);
            break;
        }
        OK(status == OX_E_NOMEM, "allocation %ld fails", n);
    }
}

int main(void)
{
    test_target();
    test_golden();
    test_random();
    test_large();
    test_no_memory();
    return tap_done();
}
