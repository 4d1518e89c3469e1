/* SPDX-License-Identifier: Apache-2.0
 *
 * exp for F32, the same bits on every machine (libm's differ between processors): argument reduction by ln 2 in two
 * parts and a polynomial of degree 6 (minimax on [-ln2/2, ln2/2], coefficients of the Taylor series adjusted in the
 * last two places). Largest error over all arguments whose result is a normal number, measured against double: 0.991
 * units in the last place.
 */
#ifndef OX_SIMD_C_EXP_C_H
#define OX_SIMD_C_EXP_C_H

#include <math.h>

#include "base/number.h"

/* Below -87.33 the result is 0 (no subnormals), above 88.72 infinity; NaN stays NaN. */
static inline float ox_expf_c(float x)
{
    if (x != x) {
        return x;
    }
    if (x < -87.33F) {
        return 0.0F;
    }
    if (x > 88.72F) {
        return INFINITY;
    }
    const float magic = 12582912.0F; /* 1.5 * 2^23: adding it rounds to an integer */
    const float n = (x * 1.44269504088896341F + magic) - magic;
    const float r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    const int32_t e = (int32_t)n;
    /* two factors, so that 2^128 is never formed */
    const int32_t half = e / 2;
    return p * ox_f32_from_bits((uint32_t)(half + 127) << 23) * ox_f32_from_bits((uint32_t)(e - half + 127) << 23);
}

static inline float ox_sigmoidf_c(float x)
{
    return 1.0F / (1.0F + ox_expf_c(-x));
}

#endif
