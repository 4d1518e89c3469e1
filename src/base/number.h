/* SPDX-License-Identifier: Apache-2.0
 *
 * Storage types of numbers: structs around integers, so that mixing them up does not compile, and exact conversions.
 * Source: checkpoint formats (BF16, IEEE half, OCP E4M3 and E8M0 of the OCP MX specification 1.0).
 */
#ifndef OX_BASE_NUMBER_H
#define OX_BASE_NUMBER_H

#include <stdint.h>
#include <string.h>

struct ox_bf16 {
    uint16_t bits;
};

struct ox_f16 {
    uint16_t bits;
};

static inline float ox_f32_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t ox_bits_from_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float ox_f32_from_bf16(struct ox_bf16 x)
{
    return ox_f32_from_bits((uint32_t)x.bits << 16);
}

/* Round to nearest, ties to even; NaN stays NaN (quiet). */
static inline struct ox_bf16 ox_bf16_from_f32(float x)
{
    const uint32_t bits = ox_bits_from_f32(x);
    struct ox_bf16 y;
    if ((bits & 0x7FFFFFFFU) > 0x7F800000U) {
        y.bits = (uint16_t)((bits >> 16) | 0x40U);
    } else {
        y.bits = (uint16_t)((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
    }
    return y;
}

/* IEEE binary16 to binary32, exact, subnormals included. */
static inline float ox_f32_from_f16(struct ox_f16 h)
{
    const uint32_t sign = (uint32_t)(h.bits & 0x8000U) << 16;
    const uint32_t exponent = (h.bits >> 10) & 0x1FU;
    const uint32_t mantissa = h.bits & 0x3FFU;
    if (exponent == 0) {
        const float magnitude = (float)mantissa * 0x1p-24f;
        return ox_f32_from_bits(sign | ox_bits_from_f32(magnitude));
    }
    if (exponent == 31) {
        return ox_f32_from_bits(sign | 0x7F800000U | (mantissa << 13));
    }
    return ox_f32_from_bits(sign | ((exponent + 112U) << 23) | (mantissa << 13));
}

/* OCP E4M3: no infinities, 0x7F and 0xFF are NaN, largest 448, smallest subnormal 2^-9. */
static inline float ox_f32_from_e4m3(uint8_t code)
{
    const uint32_t sign = (uint32_t)(code & 0x80U) << 24;
    const uint32_t exponent = (code >> 3) & 0xFU;
    const uint32_t mantissa = code & 7U;
    if ((code & 0x7FU) == 0x7FU) {
        return ox_f32_from_bits(sign | 0x7FC00000U);
    }
    if (exponent == 0) {
        return ox_f32_from_bits(sign | ox_bits_from_f32((float)mantissa * 0x1p-9f));
    }
    return ox_f32_from_bits(sign | ((exponent + 120U) << 23) | (mantissa << 20));
}

/* E8M0: 2^(code - 127), exact (code 0 is a subnormal of binary32); 255 is NaN. */
static inline float ox_f32_from_e8m0(uint8_t code)
{
    if (code == 255) {
        return ox_f32_from_bits(0x7FC00000U);
    }
    return ox_f32_from_bits(code == 0 ? 0x00400000U : (uint32_t)code << 23);
}

#endif
