/* SPDX-License-Identifier: Apache-2.0
 *
 * Target sizes in IEEE double, and the resize in Pillow's integers: weights of 22 bits, first along rows, then along
 * columns, rounded to bytes after each. A weight is cut into two halves of 16 bits, so that rows are sums of products of
 * 16-bit numbers, which every processor does eight at a time.
 */
#include "media/resize.h"

#include <math.h>
#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "media/media.h"

#define WEIGHT_BITS 22
#define HALF_BITS 11 /* weights reach 1.0, 2^22: the upper half is at most 2^11 */
#define DOT_STEP ((size_t)8)
#define CHANNELS ((size_t)3)
#define COLUMN_BLOCK ((size_t)512)
#define SUPPORT 2.0

/* Where the samples of one output sample begin and how much each counts. */
struct axis {
    size_t n_out;
    size_t n_taps;  /* most that one output sample has, rounded up to DOT_STEP; the rest have weight 0 */
    size_t *first;  /* [n_out] */
    size_t *count;  /* [n_out] */
    int32_t *whole; /* [n_out, n_taps] */
    int16_t *high;  /* [n_out, n_taps], high * 2^HALF_BITS + low = whole */
    int16_t *low;
};

enum ox_status ox_resize_target(size_t height, size_t width, uint64_t max_pixels, size_t *out_height, size_t *out_width,
                                struct ox_error *err)
{
    const double factor = (double)OX_MEDIA_FACTOR;
    const double long_side = (double)(height > width ? height : width);
    const double short_side = (double)(height > width ? width : height);
    if (long_side > OX_MEDIA_MAX_ASPECT * short_side) {
        return ox_error_set(err, OX_E_LIMIT, "sides of %zu x %zu: expected at most %d times the other", height, width,
                            OX_MEDIA_MAX_ASPECT);
    }
    const double area = (double)height * (double)width;
    double h = fmax(factor, rint((double)height / factor) * factor);
    double w = fmax(factor, rint((double)width / factor) * factor);
    if (h * w > (double)max_pixels) {
        const double beta = sqrt(area / (double)max_pixels);
        h = fmax(factor, floor((double)height / beta / factor) * factor);
        w = fmax(factor, floor((double)width / beta / factor) * factor);
    } else if (h * w < (double)OX_MEDIA_MIN_PIXELS) {
        const double beta = sqrt((double)OX_MEDIA_MIN_PIXELS / area);
        h = ceil((double)height * beta / factor) * factor;
        w = ceil((double)width * beta / factor) * factor;
    }
    *out_height = (size_t)h;
    *out_width = (size_t)w;
    return OX_OK;
}

/* The kernel, a = -0.5. */
static double cubic(double x)
{
    const double a = -0.5;
    const double t = fabs(x);
    if (t < 1.0) {
        return ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
    }
    if (t < 2.0) {
        return (((t - 5.0) * t + 8.0) * t - 4.0) * a;
    }
    return 0.0;
}

static void axis_fini(struct axis *axis)
{
    ox_free(axis->first);
    ox_free(axis->count);
    ox_free(axis->whole);
    ox_free(axis->high);
    ox_free(axis->low);
    memset(axis, 0, sizeof *axis);
}

/* The weights of output sample i; room: [n_taps]. */
static void axis_weigh(struct axis *axis, size_t i, double scale, size_t n_in, double *room)
{
    const double stretch = fmax(scale, 1.0);
    const double center = ((double)i + 0.5) * scale;
    const double begin = center - SUPPORT * stretch + 0.5;
    const double end = center + SUPPORT * stretch + 0.5;
    const size_t first = begin > 0.0 ? (size_t)begin : 0;
    const size_t behind = end < (double)n_in ? (size_t)end : n_in;
    double sum = 0.0;
    for (size_t x = first; x < behind; x++) {
        room[x - first] = cubic(((double)x - center + 0.5) * (1.0 / stretch));
        sum += room[x - first];
    }
    axis->first[i] = first;
    axis->count[i] = behind - first;
    for (size_t j = 0; j < behind - first; j++) {
        const double weight = sum != 0.0 ? room[j] / sum : room[j];
        const double scaled = weight * (double)(1 << WEIGHT_BITS);
        const int32_t whole = (int32_t)(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
        const int32_t low = ((whole + (1 << (HALF_BITS - 1))) & ((1 << HALF_BITS) - 1)) - (1 << (HALF_BITS - 1));
        axis->whole[i * axis->n_taps + j] = whole;
        axis->low[i * axis->n_taps + j] = (int16_t)low;
        axis->high[i * axis->n_taps + j] = (int16_t)((whole - low) / (1 << HALF_BITS));
    }
}

static enum ox_status axis_init(struct axis *axis, size_t n_in, size_t n_out, struct ox_error *err)
{
    const double scale = (double)n_in / (double)n_out;
    size_t n;
    memset(axis, 0, sizeof *axis);
    axis->n_out = n_out;
    axis->n_taps = (size_t)(2.0 * ceil(SUPPORT * fmax(scale, 1.0))) + 1;
    if (ox_ckd_round_up(&axis->n_taps, axis->n_taps, DOT_STEP) || ox_ckd_mul(&n, n_out, axis->n_taps)) {
        return ox_error_nomem(err, SIZE_MAX);
    }
    double *room = ox_calloc(axis->n_taps, sizeof *room);
    axis->first = ox_calloc(n_out, sizeof *axis->first);
    axis->count = ox_calloc(n_out, sizeof *axis->count);
    axis->whole = ox_calloc(n, sizeof *axis->whole);
    axis->high = ox_calloc(n, sizeof *axis->high);
    axis->low = ox_calloc(n, sizeof *axis->low);
    if (room == NULL || axis->first == NULL || axis->count == NULL || axis->whole == NULL || axis->high == NULL ||
        axis->low == NULL) {
        ox_free(room);
        return ox_error_nomem(err, n * sizeof *axis->whole);
    }
    for (size_t i = 0; i < n_out; i++) {
        axis_weigh(axis, i, scale, n_in, room);
    }
    ox_free(room);
    return OX_OK;
}

static uint8_t rounded(int32_t sum)
{
    const int32_t value = sum >> WEIGHT_BITS; /* towards minus infinity, as Pillow's */
    if (value < 0) {
        return 0;
    }
    return (uint8_t)(value > UINT8_MAX ? UINT8_MAX : value);
}

/* Sum of the products of n 16-bit numbers, n a multiple of DOT_STEP. No sum of resizing overflows: the weights of a
 * sample add up to at most 1.5 * 2^22 in magnitude, times 255. */
static int32_t dot(const int16_t *OX_RESTRICT x, const int16_t *OX_RESTRICT y, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i] * y[i];
    }
    return sum;
}

/* One row along its length. planes: [CHANNELS, stride] is room for the row's channels; what lies behind the row's end
 * there has weight 0. */
static void resize_row(const struct axis *axis, const uint8_t *in, size_t width, int16_t *planes, size_t stride,
                       uint8_t *out)
{
    for (size_t x = 0; x < width; x++) {
        planes[x] = in[CHANNELS * x];
        planes[stride + x] = in[CHANNELS * x + 1];
        planes[2 * stride + x] = in[CHANNELS * x + 2];
    }
    for (size_t i = 0; i < axis->n_out; i++) {
        const int16_t *high = axis->high + i * axis->n_taps;
        const int16_t *low = axis->low + i * axis->n_taps;
        for (size_t c = 0; c < CHANNELS; c++) {
            const int16_t *plane = planes + c * stride + axis->first[i];
            const int32_t upper = dot(plane, high, axis->n_taps);
            const int32_t lower = dot(plane, low, axis->n_taps);
            out[CHANNELS * i + c] = rounded((1 << (WEIGHT_BITS - 1)) + upper * (1 << HALF_BITS) + lower);
        }
    }
}

static enum ox_status resize_rows(const uint8_t *in, size_t height, size_t width, uint8_t *out, size_t out_width,
                                  struct ox_error *err)
{
    struct axis axis;
    size_t stride = 0;
    int16_t *planes = NULL;
    enum ox_status status = axis_init(&axis, width, out_width, err);
    if (status == OX_OK && !ox_ckd_add(&stride, width, axis.n_taps)) {
        planes = ox_calloc(CHANNELS * stride, sizeof *planes);
    }
    if (status == OX_OK && planes == NULL) {
        status = ox_error_nomem(err, stride);
    }
    for (size_t y = 0; status == OX_OK && y < height; y++) {
        resize_row(&axis, in + y * width * CHANNELS, width, planes, stride, out + y * out_width * CHANNELS);
    }
    ox_free(planes);
    axis_fini(&axis);
    return status;
}

/* Output row i of the columns' pass: n bytes a row. */
static void resize_column_row(const struct axis *axis, size_t i, const uint8_t *in, size_t n, uint8_t *out)
{
    int32_t sums[COLUMN_BLOCK];
    for (size_t begin = 0; begin < n; begin += COLUMN_BLOCK) {
        const size_t len = n - begin < COLUMN_BLOCK ? n - begin : COLUMN_BLOCK;
        for (size_t x = 0; x < len; x++) {
            sums[x] = 1 << (WEIGHT_BITS - 1);
        }
        for (size_t j = 0; j < axis->count[i]; j++) {
            const uint8_t *row = in + (axis->first[i] + j) * n + begin;
            const int32_t weight = axis->whole[i * axis->n_taps + j];
            for (size_t x = 0; x < len; x++) {
                sums[x] += row[x] * weight;
            }
        }
        for (size_t x = 0; x < len; x++) {
            out[begin + x] = rounded(sums[x]);
        }
    }
}

static enum ox_status resize_columns(const uint8_t *in, size_t height, size_t n, uint8_t *out, size_t out_height,
                                     struct ox_error *err)
{
    struct axis axis;
    const enum ox_status status = axis_init(&axis, height, out_height, err);
    for (size_t i = 0; status == OX_OK && i < out_height; i++) {
        resize_column_row(&axis, i, in, n, out + i * n);
    }
    axis_fini(&axis);
    return status;
}

enum ox_status ox_resize_rgb(const uint8_t *in, size_t height, size_t width, uint8_t *out, size_t out_height,
                             size_t out_width, struct ox_error *err)
{
    const size_t n = out_width * CHANNELS;
    if (height == out_height && width == out_width) {
        memcpy(out, in, height * width * CHANNELS);
        return OX_OK;
    }
    if (height == out_height) {
        return resize_rows(in, height, width, out, out_width, err);
    }
    if (width == out_width) {
        return resize_columns(in, height, n, out, out_height, err);
    }
    uint8_t *between = ox_calloc(height, n);
    if (between == NULL) {
        return ox_error_nomem(err, height * n);
    }
    enum ox_status status = resize_rows(in, height, width, between, out_width, err);
    if (status == OX_OK) {
        status = resize_columns(between, height, n, out, out_height, err);
    }
    ox_free(between);
    return status;
}
