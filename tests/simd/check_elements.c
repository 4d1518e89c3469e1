/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel checks: norm, rotary embedding, activation, sums, the largest, and the exponential that they are made of.
 */
#include "simd/c/exp_c.h"

#include "tests/simd/check.h"

static enum check_fill any_fill(struct check *check)
{
    return (enum check_fill)check_below(check, N_FILLS);
}

/* The square root and its argument are rounded, the sum of squares has only positive terms. */
void check_rms_norm(struct check *check)
{
    check_begin(check);
    const size_t n = 1 + check_length(check);
    const float eps = check_below(check, 2) == 0 ? 1e-6F : 1e-5F;
    float *x = check_floats(check, n);
    float *weight = check_floats(check, n);
    float *y = check_floats(check, n);
    check_fill(check, any_fill(check), 1.0e15F, x, n);
    check_fill(check, FILL_NORMAL, 0.0F, weight, n);
    check->kernels->rms_norm(x, weight, n, eps, y);
    double squares = 0.0;
    for (size_t i = n; i > 0; i--) {
        squares += (double)x[i - 1] * (double)x[i - 1];
    }
    const double root = sqrt(squares / (double)n + (double)eps);
    const double terms = ceil((double)n / (double)check->lanes) + ceil(log2((double)check->lanes));
    /* half of the sum's error, then: mean, + eps, root, inverse, two products */
    const double u = (0.5 * 2.0 * terms + 2.0 * 6.0) * CHECK_U;
    for (size_t i = 0; i < n; i++) {
        const double exact = (double)x[i] * (double)weight[i] / root;
        if (!check_near(check, y[i], exact, u * fabs(exact) + 2.0 * CHECK_TINY * (1.0 + fabs((double)weight[i])), i)) {
            return;
        }
    }
    check->kernels->rms_norm(x, weight, n, eps, x);
    for (size_t i = 0; i < n; i++) {
        if (!check_same(x[i], y[i])) {
            check_fail(check, "in place, element %zu of %zu: %a, apart %a", i, n, (double)x[i], (double)y[i]);
            return;
        }
    }
}

/* Mean and variance in double from the back; how far the level's own may be off follows from their roundings. */
void check_layer_norm(struct check *check)
{
    check_begin(check);
    const size_t n = 1 + check_length(check);
    const float eps = check_below(check, 2) == 0 ? 1e-6F : 1e-5F;
    float *x = check_floats(check, n);
    float *weight = check_floats(check, n);
    float *bias = check_floats(check, n);
    float *y = check_floats(check, n);
    const float offset = check_below(check, 2) == 0 ? 0.0F : 30.0F;
    check_fill(check, any_fill(check), 1.0e15F, x, n);
    check_fill(check, FILL_NORMAL, 0.0F, weight, n);
    check_fill(check, FILL_NORMAL, 0.0F, bias, n);
    double sum = 0.0;
    double magnitudes = 0.0;
    for (size_t i = n; i > 0; i--) {
        x[i - 1] += offset;
        sum += (double)x[i - 1];
        magnitudes += fabs((double)x[i - 1]);
    }
    check->kernels->layer_norm(x, weight, bias, n, eps, y);
    const double mean = sum / (double)n;
    double squares = 0.0;
    for (size_t i = n; i > 0; i--) {
        squares += ((double)x[i - 1] - mean) * ((double)x[i - 1] - mean);
    }
    const double root = sqrt(squares / (double)n + (double)eps);
    const double terms = ceil((double)n / (double)check->lanes) + ceil(log2((double)check->lanes)) + 1.0;
    /* the mean is off by so much, a difference from it and its square a little more; the root by half of the squares' */
    const double off = terms * CHECK_U * magnitudes / (double)n + (double)n * CHECK_TINY;
    const double mean_shift = off / root;
    const double relative = terms * CHECK_U + mean_shift + mean_shift * mean_shift + 6.0 * CHECK_U;
    for (size_t i = 0; i < n; i++) {
        const double w = fabs((double)weight[i]);
        const double scaled = ((double)x[i] - mean) / root;
        const double exact = scaled * (double)weight[i] + (double)bias[i];
        const double bound = 2.0 * (w * (mean_shift + fabs(scaled) * relative) + CHECK_U * fabs((double)bias[i]));
        if (!check_near(check, y[i], exact, bound + 4.0 * CHECK_TINY, i)) {
            return;
        }
    }
    check->kernels->layer_norm(x, weight, bias, n, eps, x);
    for (size_t i = 0; i < n; i++) {
        if (!check_same(x[i], y[i])) {
            check_fail(check, "in place, element %zu of %zu: %a, apart %a", i, n, (double)x[i], (double)y[i]);
            return;
        }
    }
}

void check_rope(struct check *check)
{
    check_begin(check);
    const size_t half = check_length(check) / 2;
    float *x = check_floats(check, 2 * half);
    float *before = check_floats(check, 2 * half);
    float *cosine = check_floats(check, half);
    float *sine = check_floats(check, half);
    check_fill(check, any_fill(check), 1.0e37F, x, 2 * half);
    for (size_t i = 0; i < half; i++) {
        const double angle = 1.0e6 * ox_rng_double(&check->rng);
        cosine[i] = (float)cos(angle);
        sine[i] = (float)sin(angle);
    }
    if (half > 0) {
        memcpy(before, x, 2 * half * sizeof *x);
    }
    check->kernels->rope(x, cosine, sine, half);
    for (size_t i = 0; i < 2 * half; i++) {
        /* the complex product (a + ib)(c + is) */
        const double a = (double)before[i % half];
        const double b = (double)before[half + i % half];
        const double c = (double)cosine[i % half];
        const double s = (double)sine[i % half];
        const double exact = i < half ? -(b * s) + a * c : a * s + b * c;
        const double magnitude = i < half ? fabs(a * c) + fabs(b * s) : fabs(b * c) + fabs(a * s);
        if (!check_near(check, x[i], exact, 2.0 * 2.0 * CHECK_U * magnitude + 2.0 * CHECK_TINY, i)) {
            return;
        }
    }
}

static double exact_sigmoid(double x)
{
    return x >= 0.0 ? 1.0 / (1.0 + exp(-x)) : exp(x) / (1.0 + exp(x));
}

void check_swiglu(struct check *check)
{
    check_begin(check);
    const size_t n = check_length(check);
    const float alpha = check_below(check, 2) == 0 ? 1.702F : 1.0F;
    const float limit = check_below(check, 2) == 0 ? 7.0F : 0.5F;
    float *gate = check_floats(check, n);
    float *up = check_floats(check, n);
    float *y = check_floats(check, n);
    check_fill(check, any_fill(check), 40.0F, gate, n);
    check_fill(check, any_fill(check), 1.0e30F, up, n);
    for (size_t i = 0; i < n; i++) {
        gate[i] *= check_below(check, 4) == 0 ? 10.0F : 1.0F; /* reaches the clamps and the tails */
    }
    check->kernels->swiglu(gate, up, n, alpha, limit, y);
    for (size_t i = 0; i < n; i++) {
        /* fmin and fmax would lose a NaN */
        const double g = isnan(gate[i]) ? (double)NAN : fmin((double)gate[i], (double)limit);
        const double u = isnan(up[i]) ? (double)NAN : fmax(fmin((double)up[i], (double)limit), -(double)limit);
        const double exact = (u + 1.0) * g * exact_sigmoid((double)alpha * g);
        /* alpha g, exp, 1 +, inverse, u + 1, two products */
        const double relative = 2.0 * (fabs((double)alpha * g) + 2.0 + 5.0) * CHECK_U;
        const double flush = 2.0 * CHECK_EXP_FLUSH * (1.0 + fabs(g)) * (1.0 + fabs(u));
        if (!check_near(check, y[i], exact, relative * fabs(exact) + flush, i)) {
            return;
        }
    }
    float *in_place = check_below(check, 2) == 0 ? gate : up;
    check->kernels->swiglu(gate, up, n, alpha, limit, in_place);
    for (size_t i = 0; i < n; i++) {
        if (!check_same(in_place[i], y[i])) {
            check_fail(check, "in place, element %zu of %zu: %a, apart %a", i, n, (double)in_place[i], (double)y[i]);
            return;
        }
    }
}

/* The square in the exponent is rounded, then exp, the tail's polynomial, its products and the last difference. */
void check_gelu(struct check *check)
{
    check_begin(check);
    const size_t n = check_length(check);
    float *x = check_floats(check, n);
    float *before = check_floats(check, n);
    check_fill(check, any_fill(check), 6.0F, x, n);
    for (size_t i = 0; i < n; i++) {
        x[i] *= check_below(check, 4) == 0 ? 5.0F : 1.0F;
        before[i] = x[i];
    }
    check->kernels->gelu(x, n);
    for (size_t i = 0; i < n; i++) {
        const double v = (double)before[i];
        const double exact = v == -(double)INFINITY ? 0.0 : 0.5 * v * erfc(-v / sqrt(2.0));
        const double tail = 0.5 * fabs(v) * erfc(fabs(v) / sqrt(2.0));
        const double u = v * v * CHECK_U + CHECK_EXP_U + 20.0 * CHECK_U + 2e-8;
        const double bound = isnan(v) || isinf(v) ? 0.0 : 2.0 * u * tail + 2.0 * CHECK_U * fabs(exact);
        if (!check_near(check, x[i], exact, bound + 30.0 * CHECK_EXP_FLUSH, i)) {
            return;
        }
    }
}

void check_sigmoid(struct check *check)
{
    check_begin(check);
    const size_t n = check_length(check);
    float *x = check_floats(check, n);
    float *before = check_floats(check, n);
    check_fill(check, any_fill(check), 60.0F, x, n);
    for (size_t i = 0; i < n; i++) {
        x[i] *= check_below(check, 4) == 0 ? 40.0F : 1.0F;
        before[i] = x[i];
    }
    check->kernels->sigmoid(x, n);
    for (size_t i = 0; i < n; i++) {
        const double exact = exact_sigmoid((double)before[i]);
        if (!check_near(check, x[i], exact, (CHECK_EXP_U + 2.0 * 2.0 * CHECK_U) * exact + 2.0 * CHECK_EXP_FLUSH, i)) {
            return;
        }
    }
}

/* y op= x at the level and at level c, which must agree to the bit; exact: the double result rounded once. */
static void compare_exact(struct check *check, const float *found, const float *lower, const double *exact, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!check_same(found[i], (float)exact[i]) || !check_same(found[i], lower[i])) {
            check_fail(check, "element %zu of %zu: %a, exact %a, level c %a", i, n, (double)found[i],
                       (double)(float)exact[i], (double)lower[i]);
            return;
        }
    }
}

void check_add(struct check *check)
{
    check_begin(check);
    const size_t n = check_length(check);
    float *x = check_floats(check, n);
    float *y = check_floats(check, n);
    float *lower = check_floats(check, n);
    double *exact = check_bytes(check, (n + 1) * sizeof *exact);
    check_fill(check, any_fill(check), FLT_MAX, x, n);
    check_fill(check, any_fill(check), FLT_MAX, y, n);
    for (size_t i = 0; i < n; i++) {
        lower[i] = y[i];
        exact[i] = (double)y[i] + (double)x[i];
    }
    check->kernels->add(y, x, n);
    check->lower->add(lower, x, n);
    compare_exact(check, y, lower, exact, n);
}

void check_scale(struct check *check)
{
    check_begin(check);
    const size_t n = check_length(check);
    const float factor = (float)(3.0 * check_normal(check));
    float *x = check_floats(check, n);
    float *lower = check_floats(check, n);
    double *exact = check_bytes(check, (n + 1) * sizeof *exact);
    check_fill(check, any_fill(check), FLT_MAX, x, n);
    for (size_t i = 0; i < n; i++) {
        lower[i] = x[i];
        exact[i] = (double)x[i] * (double)factor;
    }
    check->kernels->scale(x, factor, n);
    check->lower->scale(lower, factor, n);
    compare_exact(check, x, lower, exact, n);
}

void check_add_scaled(struct check *check)
{
    check_begin(check);
    const size_t n = check_length(check);
    const float factor = (float)(3.0 * check_normal(check));
    float *x = check_floats(check, n);
    float *y = check_floats(check, n);
    float *before = check_floats(check, n);
    check_fill(check, any_fill(check), 1.0e37F, x, n);
    check_fill(check, any_fill(check), 1.0e37F, y, n);
    if (n > 0) {
        memcpy(before, y, n * sizeof *y);
    }
    check->kernels->add_scaled(y, x, factor, n);
    for (size_t i = 0; i < n; i++) {
        const double product = (double)factor * (double)x[i];
        const double magnitude = fabs(product) + fabs((double)before[i]);
        if (!check_near(check, y[i], (double)before[i] + product, 2.0 * 2.0 * CHECK_U * magnitude + CHECK_TINY, i)) {
            return;
        }
    }
}

void check_argmax(struct check *check)
{
    check_begin(check);
    const size_t n = 1 + check_length(check);
    float *x = check_floats(check, n);
    check_fill(check, any_fill(check), 1.0F, x, n);
    if (check_below(check, 2) == 0) { /* many ties */
        for (size_t i = 0; i < n; i++) {
            x[i] = (float)check_below(check, 3);
        }
    }
    if (check_below(check, 8) == 0) { /* nothing to choose */
        for (size_t i = 0; i < n; i++) {
            x[i] = check_below(check, 2) == 0 ? NAN : -INFINITY;
        }
    }
    size_t expected = 0; /* from the back, so that the lowest of equals is found last */
    float largest = -INFINITY;
    for (size_t i = n; i > 0; i--) {
        if (x[i - 1] >= largest && x[i - 1] > -INFINITY) {
            largest = x[i - 1];
            expected = i - 1;
        }
    }
    const size_t found = check->kernels->argmax(x, n);
    if (found != expected || found != check->lower->argmax(x, n)) {
        check_fail(check, "of %zu: %zu, expected %zu", n, found, expected);
    }
}

void check_chunk_max(struct check *check)
{
    check_begin(check);
    const size_t n = check_length(check);
    const size_t n_chunks = (n + OX_CHUNK - 1) / OX_CHUNK;
    float *x = check_floats(check, n);
    float *found = check_floats(check, n_chunks);
    check_fill(check, any_fill(check), 1.0F, x, n);
    for (size_t i = 0; i < n; i++) { /* some are none, some impossible; whole chunks of them too */
        const size_t kind = check_below(check, 16);
        if (kind < 2 || i / OX_CHUNK % 3 == 1) {
            x[i] = kind % 2 == 0 ? NAN : -INFINITY;
        }
    }
    check->kernels->chunk_max(x, n, found);
    for (size_t c = 0; c < n_chunks; c++) {
        float largest = -INFINITY;
        for (size_t i = c * OX_CHUNK; i < n && i < (c + 1) * OX_CHUNK; i++) {
            largest = fmaxf(largest, x[i]);
        }
        if (found[c] != largest) {
            check_fail(check, "chunk %zu of %zu values: %a, expected %a", c, n, (double)found[c], (double)largest);
            return;
        }
    }
}

/* The difference and its product are rounded, then exp; a sum has only positive terms. */
void check_weigh(struct check *check)
{
    check_begin(check);
    const size_t n = check_length(check);
    const size_t n_chunks = (n + OX_CHUNK - 1) / OX_CHUNK;
    float *x = check_floats(check, n);
    float *weights = check_floats(check, n);
    float *sums = check_floats(check, n_chunks);
    const float factor = (float)(0.01 + 3.0 * ox_rng_double(&check->rng));
    float largest = -INFINITY;
    check_fill(check, FILL_NORMAL, 0.0F, x, n);
    const bool infinite = check_below(check, 8) == 0;
    for (size_t i = 0; i < n; i++) {
        const size_t kind = check_below(check, 16);
        static const float odd[] = {NAN, -INFINITY, INFINITY};
        x[i] = kind < (infinite ? 3U : 2U) ? odd[kind] : 10.0F * x[i];
        largest = fmaxf(largest, x[i]);
    }
    if (!(largest > -INFINITY)) {
        return;
    }
    check->kernels->weigh(x, n, largest, factor, weights, sums);
    for (size_t i = 0; i < n; i++) {
        const double argument = ((double)x[i] - (double)largest) * (double)factor;
        const double ordinary = x[i] > -INFINITY ? exp(argument) : 0.0;
        const double exact = x[i] == largest ? 1.0 : ordinary;
        const double off = 2.0 * CHECK_U * (2.0 * fabs(fmax(argument, -100.0)) + 3.0);
        if (!check_near(check, weights[i], exact, off * exact + (argument < -87.0 ? 1.2e-38 : 0.0), i)) {
            return;
        }
    }
    for (size_t c = 0; c < n_chunks; c++) {
        double sum = 0.0;
        for (size_t i = c * OX_CHUNK; i < n && i < (c + 1) * OX_CHUNK; i++) {
            sum += (double)weights[i];
        }
        if (!check_near(check, sums[c], sum, OX_CHUNK * CHECK_U * sum, c)) {
            return;
        }
    }
}

/* Every 61st argument for which the result is a normal number, and the edges. */
void check_exp(struct check *check)
{
    double worst = 0.0;
    float worst_at = 0.0F;
    check_begin(check);
    for (uint32_t bits = 0x2F000000U; bits < 0x42B20000U; bits += 61) {
        for (uint32_t sign = 0; sign < 2; sign++) {
            const float x = ox_f32_from_bits(bits | sign << 31);
            if (x < -87.33F || x > 88.72F) {
                continue;
            }
            const double exact = exp((double)x);
            int exponent;
            frexp(exact, &exponent);
            const double ulps = fabs((double)ox_expf_c(x) - exact) / ldexp(1.0, exponent - 24);
            if (ulps > worst) {
                worst = ulps;
                worst_at = x;
            }
        }
    }
    if (!(worst < 1.0)) {
        check_fail(check, "exp(%a) is off by %.4f units in the last place", (double)worst_at, worst);
    }
    if (ox_expf_c(0.0F) != 1.0F || ox_expf_c(-0.0F) != 1.0F || ox_expf_c(-INFINITY) != 0.0F ||
        ox_expf_c(-87.34F) != 0.0F || !isinf(ox_expf_c(88.73F)) || !isinf(ox_expf_c(INFINITY)) ||
        !isnan(ox_expf_c(NAN)) || !isfinite(ox_expf_c(88.72F)) || !(ox_expf_c(-87.33F) >= FLT_MIN)) {
        check_fail(check, "exp at 0, the limits, an infinity or NaN is not what exp_c.h says");
    }
}
