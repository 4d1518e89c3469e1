/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel checks: matrix products, conversions of rows, and stores. Formats are decoded here by arithmetic on sign,
 * exponent and mantissa in double, not by bits as the kernels do.
 */
#include "tests/simd/check.h"

enum format { F32, F16, BF16, MXFP8 };

static const size_t value_bytes[] = {[F32] = 4, [F16] = 2, [BF16] = 2, [MXFP8] = 1};

/* A number of `e` exponent bits and `m` mantissa bits, bias as IEEE's; without infinities if `finite` (E4M3). */
static double decode_bits(uint32_t bits, int e, int m, bool finite)
{
    const double sign = (bits >> (e + m) & 1U) != 0 ? -1.0 : 1.0;
    const int exponent = (int)(bits >> m & ((1U << e) - 1U));
    const double mantissa = (double)(bits & ((1U << m) - 1U));
    const int bias = (1 << (e - 1)) - 1;
    const double steps = ldexp(1.0, m);
    if (finite ? exponent == (1 << e) - 1 && mantissa == steps - 1.0 : exponent == (1 << e) - 1 && mantissa > 0.0) {
        return (double)NAN;
    }
    if (!finite && exponent == (1 << e) - 1) {
        return sign * (double)INFINITY;
    }
    if (exponent == 0) {
        return sign * ldexp(mantissa, 1 - bias - m);
    }
    return sign * ldexp(steps + mantissa, exponent - bias - m);
}

static double decode(enum format format, const uint8_t *values, const uint8_t *scales, size_t i)
{
    const uint8_t *p = values + i * value_bytes[format];
    switch (format) {
    case F32:
        return decode_bits((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24, 8, 23,
                           false);
    case F16:
        return decode_bits((uint32_t)p[0] | (uint32_t)p[1] << 8, 5, 10, false);
    case BF16:
        return decode_bits((uint32_t)p[0] | (uint32_t)p[1] << 8, 8, 7, false);
    case MXFP8:
    default:
        if (scales[i / 32] == 255) {
            return (double)NAN;
        }
        return decode_bits(p[0], 4, 3, true) * ldexp(1.0, (int)scales[i / 32] - 127);
    }
}

/* Random weights: fills of the format's own. */
static void fill_weights(struct check *check, enum format format, enum check_fill fill, uint8_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x;
        check_fill(check, fill, i % 2 == 0 ? 3.0e4F : 6.0e4F, &x, 1);
        if (format == F32) {
            memcpy(values + 4 * i, &x, 4);
        } else if (format == BF16) {
            const struct ox_bf16 h = ox_bf16_from_f32(x);
            memcpy(values + 2 * i, &h, 2);
        } else if (format == F16) {
            /* any code whose exponent is not that of infinity, unless specials are wanted */
            uint16_t bits = (uint16_t)check_below(check, 0x10000);
            if (fill == FILL_ZERO) {
                bits = (uint16_t)(bits & 0x8000U);
            } else if (fill == FILL_DENORMAL) {
                bits = (uint16_t)(bits & 0x83FFU);
            } else if (fill != FILL_SPECIAL && (bits & 0x7C00U) == 0x7C00U) {
                bits = (uint16_t)(bits & 0xBBFFU);
            }
            memcpy(values + 2 * i, &bits, 2);
        } else {
            uint8_t code = (uint8_t)check_below(check, 256);
            if (fill == FILL_ZERO) {
                code = (uint8_t)(code & 0x80U);
            } else if (fill == FILL_MAX) {
                code = (uint8_t)((code & 0x80U) | 0x7EU);
            } else if (fill != FILL_SPECIAL && (code & 0x7FU) == 0x7FU) {
                code = (uint8_t)(code & 0xF7U);
            }
            if (fill == FILL_NORMAL && (code & 0x70U) == 0 && check_below(check, 64) != 0) {
                code = (uint8_t)(code | 0x40U); /* as conversion leaves them: hardly any of the least two exponents */
            }
            values[i] = code;
        }
    }
}

static void fill_scales(struct check *check, enum check_fill fill, uint8_t *scales, size_t n)
{
    static const uint8_t extremes[] = {0, 1, 127, 254};
    for (size_t i = 0; i < n; i++) {
        scales[i] = (uint8_t)(110 + check_below(check, 25));
        if (fill == FILL_NORMAL && check_below(check, 16) == 0) { /* so small beside codes that are nothing special */
            scales[i] = (uint8_t)check_below(check, 8);
        } else if (fill == FILL_WIDE || fill == FILL_DENORMAL) {
            scales[i] = extremes[check_below(check, 3)];
        } else if (fill == FILL_SPECIAL && check_below(check, 8) == 0) {
            scales[i] = check_below(check, 2) == 0 ? 255 : 254;
        }
    }
}

/* x in units of the last place, rounded by the C library. */
double check_nearest_bf16(float x)
{
    if (isnan(x) || isinf(x) || x == 0.0F) {
        return (double)x;
    }
    int exponent;
    frexp((double)x, &exponent);
    const double unit = ldexp(1.0, (exponent < -125 ? -125 : exponent) - 8);
    const double y = nearbyint((double)x / unit) * unit;
    return fabs(y) >= 0x1p128 ? copysign((double)INFINITY, y) : y;
}

typedef void (*product_function)(OX_PRODUCT_PARAMETERS);

struct product {
    enum format format;
    bool exact; /* the kind of operand */
    const uint8_t *values;
    size_t row_bytes;
    const uint8_t *scales;
    size_t scale_row_bytes;
    size_t n_rows;
    size_t n_cols;
    const float *x; /* [n_tokens, n_cols] */
    size_t n_tokens;
    float *y;
    size_t y_stride;
};

/* Made group by group, each in several calls. */
uint8_t *check_operand(struct check *check, bool exact, const float *x, size_t n, size_t n_cols)
{
    const struct ox_kernels *kernels = check->kernels;
    const size_t token_bytes = exact ? kernels->exact_bytes(n_cols) : kernels->operand_bytes(n_cols);
    uint8_t *operand = check_bytes(check, n * token_bytes);
    for (size_t t = 0; t < n; t += OX_GROUP_TOKENS) {
        const size_t group = n - t < OX_GROUP_TOKENS ? n - t : OX_GROUP_TOKENS;
        size_t begin = 0;
        while (begin < n_cols) {
            const float *rows[OX_GROUP_TOKENS];
            size_t end = begin + OX_PACK_COLS * (1 + check_below(check, n_cols / OX_PACK_COLS + 1));
            end = end > n_cols ? n_cols : end;
            for (size_t i = 0; i < group; i++) {
                rows[i] = x + (t + i) * n_cols + begin;
            }
            (exact ? kernels->pack_exact : kernels->pack)(rows, group, begin, end, n_cols, operand + t * token_bytes);
            begin = end;
        }
    }
    return operand;
}

/* What a level's operand holds of x. */
static double held(const struct check *check, const struct product *p, size_t i)
{
    return check->rounds && !p->exact ? check_nearest_bf16(p->x[i]) : (double)p->x[i];
}

/* At levels that round: may an infinite sum be NaN, since numbers are split into pieces, of which some are 0? */
static bool splits(const struct check *check, enum format format, bool exact)
{
    return check->rounds && (exact || format == F32 || format == F16);
}

/* One sum. */
static bool check_value(struct check *check, const struct product *p, size_t n, size_t t)
{
    const double terms = ceil((double)p->n_cols / (double)check->lanes) + ceil(log2((double)check->lanes));
    const float found = p->y[t * p->y_stride + n];
    double sum = 0.0;
    double magnitude = 0.0;
    double flushed = 0.0; /* what is lost where subnormal numbers count as 0 */
    for (size_t k = p->n_cols; k > 0; k--) {
        /* what the format holds may lie beyond F32: then it is an infinity */
        const double w = (double)(float)decode(p->format, p->values + n * p->row_bytes,
                                               p->scales != NULL ? p->scales + n * p->scale_row_bytes : NULL, k - 1);
        const double value = held(check, p, t * p->n_cols + k - 1);
        const double product = w * value;
        sum += product;
        magnitude += fabs(product);
        flushed += check->flush * (fabs(w) + fabs(value) + 1.0);
    }
    if (isfinite(magnitude) && magnitude > (double)FLT_MAX / 2.0) {
        return true; /* partial sums may overflow in some orders */
    }
    if (splits(check, p->format, p->exact) && isinf(sum) && isnan(found)) {
        return true;
    }
    const double bound = 2.0 * terms * CHECK_U * magnitude + (double)p->n_cols * CHECK_TINY + flushed;
    return check_near(check, found, sum, bound, t * p->n_rows + n);
}

/* Every step-th sum, and the gaps between the rows. */
static void check_values(struct check *check, const struct product *p, size_t step)
{
    for (size_t i = 0; i < p->n_rows * p->n_tokens; i += step) {
        if (!check_value(check, p, i % p->n_rows, i / p->n_rows)) {
            return;
        }
    }
    for (size_t t = 0; t + 1 < p->n_tokens; t++) {
        if (!check_is_canary(p->y + t * p->y_stride + p->n_rows, p->y_stride - p->n_rows)) {
            check_fail(check, "the gap behind token %zu of y was written to", t);
        }
    }
}

/* One row and token alone, elsewhere in memory, gets the same bits. */
static void check_alone(struct check *check, const struct product *p, product_function function)
{
    if (p->n_rows == 0 || p->n_tokens == 0) {
        return;
    }
    const size_t n = check_below(check, p->n_rows);
    const size_t t = check_below(check, p->n_tokens);
    const size_t bytes = p->n_cols * value_bytes[p->format];
    uint8_t *values = check_bytes(check, bytes);
    uint8_t *scales = p->scales != NULL ? check_bytes(check, p->n_cols / 32) : NULL;
    float *y = check_floats(check, 1);
    if (p->n_cols > 0) {
        memcpy(values, p->values + n * p->row_bytes, bytes);
    }
    if (scales != NULL && p->n_cols > 0) {
        memcpy(scales, p->scales + n * p->scale_row_bytes, p->n_cols / 32);
    }
    const uint8_t *operand = check_operand(check, p->exact, p->x + t * p->n_cols, 1, p->n_cols);
    function(values, bytes, scales, p->n_cols / 32, 1, p->n_cols, operand, 1, y, 1);
    if (!check_same(*y, p->y[t * p->y_stride + n])) {
        check_fail(check, "row %zu, token %zu: %a among %zu x %zu, %a alone (%zu columns)", n, t,
                   (double)p->y[t * p->y_stride + n], p->n_rows, p->n_tokens, (double)*y, p->n_cols);
    }
}

/* A product of random numbers in this shape. step: every so manieth sum is looked at. */
static void try_product(struct check *check, struct product p, enum check_fill fill, size_t step,
                        product_function function)
{
    p.row_bytes = p.n_cols * value_bytes[p.format] + check_below(check, 2) * check_below(check, 67);
    p.y_stride = p.n_rows + check_below(check, 2) * check_below(check, 9);
    uint8_t *values =
        check_bytes(check, p.n_rows > 0 ? (p.n_rows - 1) * p.row_bytes + p.n_cols * value_bytes[p.format] : 0);
    uint8_t *scales = NULL;
    for (size_t n = 0; n < p.n_rows; n++) {
        fill_weights(check, p.format, fill, values + n * p.row_bytes, p.n_cols);
    }
    if (p.format == MXFP8) {
        p.scale_row_bytes = p.n_cols / 32 + check_below(check, 4);
        scales = check_bytes(check, p.n_rows > 0 ? (p.n_rows - 1) * p.scale_row_bytes + p.n_cols / 32 : 0);
        for (size_t n = 0; n < p.n_rows; n++) {
            fill_scales(check, fill, scales + n * p.scale_row_bytes, p.n_cols / 32);
        }
    }
    float *x = check_floats(check, p.n_tokens * p.n_cols);
    check_fill(check, fill, 1.0e20F, x, p.n_tokens * p.n_cols);
    p.values = values;
    p.scales = scales;
    p.x = x;
    p.y = check_floats(check, p.n_tokens > 0 ? (p.n_tokens - 1) * p.y_stride + p.n_rows : 0);
    function(values, p.row_bytes, scales, p.scale_row_bytes, p.n_rows, p.n_cols,
             check_operand(check, p.exact, x, p.n_tokens, p.n_cols), p.n_tokens, p.y, p.y_stride);
    check_values(check, &p, step);
    check_alone(check, &p, function);
}

/* More than a level takes at a time: buffers have 4 MiB. */
static void try_large_product(struct check *check, enum format format, bool exact, size_t n_tokens, size_t n_cols,
                              product_function function)
{
    struct product p = {.format = format, .exact = exact};
    check_begin(check);
    p.n_tokens = n_tokens + check_below(check, 20);
    p.n_cols = n_cols + check_below(check, 50);
    if (format == MXFP8) {
        p.n_cols = p.n_cols / 32 * 32;
    }
    p.n_rows = 33 + check_below(check, 40);
    try_product(check, p, FILL_NORMAL, 1 + p.n_rows * p.n_tokens / 100, function);
}

static void check_product(struct check *check, enum format format, bool exact, product_function function)
{
    struct product p = {.format = format, .exact = exact};
    check_begin(check);
    p.n_cols = check_length(check);
    if (format == MXFP8) {
        p.n_cols = (p.n_cols + 31) / 32 * 32;
    }
    const size_t most = p.n_cols > 512 ? 3 : 41;
    p.n_tokens = check_below(check, 3) == 0 ? 1 : check_below(check, most + 1);
    p.n_rows = check_below(check, most);
    try_product(check, p, (enum check_fill)check_below(check, N_FILLS), 1, function);
    if (check->n_trials == 1) { /* 512 tokens, and more of few tokens than the second cache holds */
        try_large_product(check, format, exact, exact ? 260 : 520, 1100, function);
        try_large_product(check, format, exact, exact ? 68 : 100, 4000, function);
    }
}

void check_product_f32(struct check *check)
{
    check_product(check, F32, false, check->kernels->product_f32);
}

void check_product_f16(struct check *check)
{
    check_product(check, F16, false, check->kernels->product_f16);
}

void check_product_bf16(struct check *check)
{
    check_product(check, BF16, false, check->kernels->product_bf16);
}

/* Once, every code with every scale, among ones and picked out by a token that is 0 elsewhere. */
static void check_mxfp8_codes(struct check *check, bool exact, product_function function)
{
    check_begin(check);
    const size_t n_cols = 64;
    uint8_t *values = check_bytes(check, 256 * n_cols);
    uint8_t *scales = check_bytes(check, (size_t)256 * 2);
    float *x = check_floats(check, n_cols);
    float *y = check_floats(check, 256);
    const size_t at = check_below(check, n_cols);
    memset(x, 0, n_cols * sizeof *x);
    memset(values, 0x38, 256 * n_cols);
    x[at] = 1.0F;
    for (size_t code = 0; code < 256; code++) {
        values[code * n_cols + at] = (uint8_t)code;
    }
    const uint8_t *operand = check_operand(check, exact, x, 1, n_cols);
    for (size_t scale = 0; scale < 256; scale++) {
        memset(scales, (int)scale, (size_t)256 * 2);
        function(values, n_cols, scales, 2, 256, n_cols, operand, 1, y, 256);
        for (size_t code = 0; code < 256; code++) {
            const double w = (double)(float)decode(MXFP8, values + code * n_cols, scales, at);
            const bool lost = splits(check, MXFP8, exact) && isinf(w) && isnan(y[code]);
            if (!lost && !check_near(check, y[code], w, fabs(w) < 0x1p-126 ? check->flush : 0.0, scale * 256 + code)) {
                return;
            }
        }
    }
}

void check_product_mxfp8(struct check *check)
{
    check_product(check, MXFP8, false, check->kernels->product_mxfp8);
    if (check->n_trials == 2) {
        check_mxfp8_codes(check, false, check->kernels->product_mxfp8);
    }
}

void check_exact_f32(struct check *check)
{
    check_product(check, F32, true, check->kernels->exact_f32);
}

void check_exact_f16(struct check *check)
{
    check_product(check, F16, true, check->kernels->exact_f16);
}

void check_exact_bf16(struct check *check)
{
    check_product(check, BF16, true, check->kernels->exact_bf16);
}

void check_exact_mxfp8(struct check *check)
{
    check_product(check, MXFP8, true, check->kernels->exact_mxfp8);
    if (check->n_trials == 2) {
        check_mxfp8_codes(check, true, check->kernels->exact_mxfp8);
    }
}

/* Rows of the identity give back what an operand holds of one token in a group: nothing is lost, nothing at another
 * place, in any cut of the columns. Columns that take no more bytes are zeros, whatever the weights make of them. */
static void check_packed(struct check *check, bool exact)
{
    check_begin(check);
    const size_t n_cols = 1 + check_below(check, 140);
    const size_t n = 1 + check_below(check, 40);
    const size_t bytes = exact ? check->kernels->exact_bytes(n_cols) : check->kernels->operand_bytes(n_cols);
    size_t n_wide = n_cols;
    while ((exact ? check->kernels->exact_bytes(n_wide + 1) : check->kernels->operand_bytes(n_wide + 1)) == bytes) {
        n_wide++;
    }
    float *x = check_floats(check, n * n_cols);
    float *identity = check_floats(check, n_cols * n_wide);
    float *y = check_floats(check, n * n_cols);
    const struct product p = {.format = F32, .exact = exact, .x = x};
    check_fill(check, FILL_NORMAL, 0.0F, x, n * n_cols);
    for (size_t i = 0; i < n_cols * n_wide; i++) {
        identity[i] = i / n_wide == i % n_wide || i % n_wide >= n_cols ? 1.0F : 0.0F;
    }
    (exact ? check->kernels->exact_f32 : check->kernels->product_f32)(
        (const uint8_t *)identity, n_wide * sizeof(float), NULL, 0, n_cols, n_wide,
        check_operand(check, exact, x, n, n_cols), n, y, n_cols);
    for (size_t i = 0; i < n * n_cols; i++) {
        if (!check_near(check, y[i], held(check, &p, i), 0.0, i)) {
            return;
        }
    }
}

void check_pack(struct check *check)
{
    check_packed(check, false);
}

void check_pack_exact(struct check *check)
{
    check_packed(check, true);
}

/* A token takes the same bytes in any group, and floats may stand behind it. */
void check_operand_bytes(struct check *check)
{
    check_begin(check);
    const size_t n_cols = check_length(check);
    const size_t bytes = check->kernels->operand_bytes(n_cols);
    if (bytes % 4 != 0 || bytes < 2 * n_cols) {
        check_fail(check, "%zu bytes for %zu columns", bytes, n_cols);
    }
}

void check_exact_bytes(struct check *check)
{
    check_begin(check);
    const size_t n_cols = check_length(check);
    const size_t bytes = check->kernels->exact_bytes(n_cols);
    if (bytes % 4 != 0 || bytes < 4 * n_cols) {
        check_fail(check, "%zu bytes for %zu columns", bytes, n_cols);
    }
}

typedef void (*expand_function)(OX_EXPAND_PARAMETERS);

/* Exactly the decoded values, for n codes at `values`. */
static void check_expanded(struct check *check, enum format format, expand_function function, expand_function lower,
                           const uint8_t *values, const uint8_t *scales, size_t n)
{
    float *out = check_floats(check, n);
    float *same = check_floats(check, n);
    function(values, scales, n, out);
    lower(values, scales, n, same);
    for (size_t i = 0; i < n; i++) {
        const float exact = (float)decode(format, values, scales, i);
        if (!check_same(out[i], exact) || !check_same(out[i], same[i])) {
            check_fail(check, "element %zu of %zu: %a, exact %a, level c %a", i, n, (double)out[i], (double)exact,
                       (double)same[i]);
            return;
        }
    }
}

static void check_expand(struct check *check, enum format format, expand_function function, expand_function lower)
{
    const enum check_fill fill = (enum check_fill)check_below(check, N_FILLS);
    check_begin(check);
    size_t n = check_length(check);
    uint8_t *scales = NULL;
    if (format == MXFP8) {
        n = (n + 31) / 32 * 32;
        scales = check_bytes(check, n / 32);
        fill_scales(check, fill, scales, n / 32);
    }
    uint8_t *values = check_bytes(check, n * value_bytes[format]);
    fill_weights(check, format, fill, values, n);
    check_expanded(check, format, function, lower, values, scales, n);
}

/* Every code of a 16-bit format, once. */
static void check_all_codes(struct check *check, enum format format, expand_function function, expand_function lower)
{
    if (check->n_trials != 1) {
        return;
    }
    check_begin(check);
    uint8_t *values = check_bytes(check, 0x20000);
    for (uint32_t i = 0; i < 0x10000; i++) {
        values[2 * i] = (uint8_t)(i & 0xFFU);
        values[2 * i + 1] = (uint8_t)(i >> 8);
    }
    check_expanded(check, format, function, lower, values, NULL, 0x10000);
}

void check_expand_f32(struct check *check)
{
    check_expand(check, F32, check->kernels->expand_f32, check->lower->expand_f32);
}

void check_expand_f16(struct check *check)
{
    check_expand(check, F16, check->kernels->expand_f16, check->lower->expand_f16);
    check_all_codes(check, F16, check->kernels->expand_f16, check->lower->expand_f16);
}

void check_expand_bf16(struct check *check)
{
    check_expand(check, BF16, check->kernels->expand_bf16, check->lower->expand_bf16);
    check_all_codes(check, BF16, check->kernels->expand_bf16, check->lower->expand_bf16);
}

/* Every code with every scale, once. */
static void check_all_mxfp8(struct check *check)
{
    check_begin(check);
    uint8_t *values = check_bytes(check, (size_t)256 * 256);
    uint8_t *scales = check_bytes(check, (size_t)256 * 8);
    for (size_t i = 0; i < (size_t)256 * 256; i++) {
        values[i] = (uint8_t)(i % 256);
        scales[i / 32] = (uint8_t)(i / 256);
    }
    check_expanded(check, MXFP8, check->kernels->expand_mxfp8, check->lower->expand_mxfp8, values, scales,
                   (size_t)256 * 256);
}

void check_expand_mxfp8(struct check *check)
{
    check_expand(check, MXFP8, check->kernels->expand_mxfp8, check->lower->expand_mxfp8);
    if (check->n_trials == 1) {
        check_all_mxfp8(check);
    }
}

void check_store_f32(struct check *check)
{
    check_begin(check);
    const size_t n = check_length(check);
    float *x = check_floats(check, n);
    check_fill(check, (enum check_fill)check_below(check, N_FILLS), FLT_MAX, x, n);
    uint8_t *out = check_bytes(check, 4 * n);
    check->kernels->store_f32(x, n, out);
    if (n > 0 && memcmp(x, out, 4 * n) != 0) {
        check_fail(check, "%zu values were not stored as they are", n);
    }
}

void check_store_bf16(struct check *check)
{
    check_begin(check);
    const size_t n = check_length(check);
    float *x = check_floats(check, n);
    check_fill(check, (enum check_fill)check_below(check, N_FILLS), FLT_MAX, x, n);
    for (size_t i = 0; i < n; i++) {
        if (check_below(check, 4) == 0) { /* halfway between two, or just beside */
            const uint32_t odd = check_below(check, 3) == 0 ? (uint32_t)check_below(check, 3) - 1U : 0U;
            x[i] = ox_f32_from_bits(((uint32_t)check_below(check, 0x10000) << 16 | 0x8000U) + odd);
        }
    }
    uint8_t *out = check_bytes(check, 2 * n);
    check->kernels->store_bf16(x, n, out);
    for (size_t i = 0; i < n; i++) {
        const double found = decode(BF16, out, NULL, i);
        const double exact = check_nearest_bf16(x[i]);
        if (!(found == exact && signbit(found) == signbit(exact)) && !(isnan(found) && isnan(exact))) {
            check_fail(check, "%a became %a, expected %a", (double)x[i], found, exact);
            return;
        }
    }
}
