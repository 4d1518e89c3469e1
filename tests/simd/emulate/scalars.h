/* SPDX-License-Identifier: Apache-2.0
 *
 * Scalar arithmetic of the emulated instructions: one rounding where the processor rounds once, and the BF16 units,
 * which take subnormals for zeros, on the way in and on the way out, and look at no control register.
 */
#ifndef OX_TESTS_EMULATE_SCALARS_H
#define OX_TESTS_EMULATE_SCALARS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/number.h"

/* a * b + c rounded to odd: exact if double has it, else the neighbour whose last bit is set. Rounding that to F32 or
 * fewer bits rounds once. Source: Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums". */
static inline double emulate_fma_odd(float a, float b, float c)
{
    const double product = (double)a * (double)b; /* exact */
    double sum = product + (double)c;
    const double part = sum - product;
    const double error = (product - (sum - part)) + ((double)c - part);
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    if ((error > 0.0 || error < 0.0) && (bits & 1U) == 0) {
        bits = (error > 0.0) == (sum > 0.0) ? bits + 1U : bits - 1U;
        memcpy(&sum, &bits, sizeof sum);
    }
    return sum;
}

static inline float emulate_fma(float a, float b, float c)
{
    return (float)emulate_fma_odd(a, b, c);
}

/* VSCALEFPS: x * 2^floor(y), rounded once. An infinite y decides where x is a quiet NaN. */
static inline float emulate_scalef(float x, float y)
{
    const bool quiet = isnan(x) && (ox_bits_from_f32(x) & 0x00400000U) != 0;
    if (isinf(y) && quiet) {
        return y > 0.0F ? y : 0.0F;
    }
    if (isnan(x) || isnan(y)) {
        return x + y;
    }
    if (isinf(y)) {
        return x * (y > 0.0F ? y : 0.0F);
    }
    return (float)ldexp((double)x, (int)fmax(fmin(floor((double)y), 600.0), -600.0));
}

/* VREDUCEPS with M = 0, rounding down: x - floor(x), which is rounded down too, so that its zero is negative; but 0 for
 * infinities. */
static inline float emulate_fraction(float x)
{
    const double whole = floor((double)x);
    if (isinf(x)) {
        return 0.0F;
    }
    const float nearest = (float)((double)x - whole);
    if (nearest == 0.0F) {
        return -0.0F;
    }
    return whole + (double)nearest > (double)x ? nextafterf(nearest, -1.0F) : nearest;
}

/* A subnormal becomes the zero of its sign. */
static inline float emulate_no_subnormal(float x)
{
    const uint32_t bits = ox_bits_from_f32(x);
    return (bits & 0x7F800000U) == 0 ? ox_f32_from_bits(bits & 0x80000000U) : x;
}

/* To F32, a subnormal becoming zero. What 24 bits with no limit to the exponent would round to the smallest normal
 * number is not subnormal. */
static inline float emulate_flush(double x)
{
    const double limit = 0x1p-126 - 0x1p-151;
    if (x > -limit && x < limit) {
        return x < 0.0 || (x == 0.0 && 1.0 / x < 0.0) ? -0.0F : 0.0F;
    }
    return (float)x;
}

/* One step of VDPBF16PS and TDPBF16PS. */
static inline float emulate_fma_bf16(uint16_t a, uint16_t b, float sum)
{
    const float x = emulate_no_subnormal(ox_f32_from_bits((uint32_t)a << 16));
    const float y = emulate_no_subnormal(ox_f32_from_bits((uint32_t)b << 16));
    return emulate_flush(emulate_fma_odd(x, y, emulate_no_subnormal(sum)));
}

/* VCVTNEPS2BF16: to nearest, ties to even; subnormals become zeros, NaN stays one. */
static inline uint16_t emulate_bf16(float x)
{
    return ox_bf16_from_f32(emulate_no_subnormal(x)).bits;
}

/* VCVTPS2DQ: to nearest, ties to even; what does not fit becomes the smallest number. */
static inline int32_t emulate_round_to_int(float x)
{
    if (!(x >= -0x1p31F && x < 0x1p31F)) {
        return INT32_MIN;
    }
    return (int32_t)__builtin_rintf(x);
}

#endif
