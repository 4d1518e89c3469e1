/* SPDX-License-Identifier: Apache-2.0
 *
 * Storage types of numbers: every code of every 8- and 16-bit type against its definition in double arithmetic, and
 * rounding to BF16 against the nearest of all.
 */
#include <math.h>

#include "base/number.h"
#include "base/rng.h"
#include "tests/tap.h"

/* (-1)^s 2^(e - bias) (1 + m / 2^bits), or without the 1 and one exponent higher where e is 0. */
static double by_definition(unsigned code, int n_exponent, int n_mantissa, int bias)
{
    const unsigned mantissa = code & ((1U << n_mantissa) - 1U);
    const unsigned exponent = (code >> n_mantissa) & ((1U << n_exponent) - 1U);
    const double sign = ((code >> (n_mantissa + n_exponent)) & 1U) != 0 ? -1.0 : 1.0;
    const double fraction = (double)mantissa / (double)(1U << n_mantissa);
    if (exponent == 0) {
        return sign * ldexp(fraction, 1 - bias);
    }
    return sign * ldexp(1.0 + fraction, (int)exponent - bias);
}

static bool same_number(float found, double expected)
{
    return (double)found == expected && (signbit(found) != 0) == (signbit(expected) != 0);
}

static void test_bits(void)
{
    OK(ox_f32_from_bits(0x3FC00000U) == 1.5F && ox_bits_from_f32(-2.0F) == 0xC0000000U, "bits of binary32");
}

static void test_e4m3(void)
{
    bool good = true;
    for (unsigned code = 0; code < 256; code++) {
        const float x = ox_f32_from_e4m3((uint8_t)code);
        good = good && ((code & 0x7FU) == 0x7FU ? isnan(x) : same_number(x, by_definition(code, 4, 3, 7)));
    }
    OK(good, "all 256 codes of E4M3");
    OK(ox_f32_from_e4m3(0x7E) == 448.0F && ox_f32_from_e4m3(1) == 0x1p-9F, "largest and smallest");
}

static void test_e8m0(void)
{
    bool good = true;
    for (unsigned code = 0; code < 255; code++) {
        good = good && same_number(ox_f32_from_e8m0((uint8_t)code), ldexp(1.0, (int)code - 127));
    }
    OK(good, "255 codes of E8M0");
    OK(isnan(ox_f32_from_e8m0(255)), "the last is NaN");
}

static void test_f16(void)
{
    bool good = true;
    for (unsigned code = 0; code < 65536; code++) {
        const struct ox_f16 h = {(uint16_t)code};
        const float x = ox_f32_from_f16(h);
        if ((code & 0x7C00U) == 0x7C00U) {
            const bool is_nan = (code & 0x3FFU) != 0;
            good = good && (is_nan ? isnan(x) : isinf(x) && (signbit(x) != 0) == ((code >> 15) != 0));
        } else {
            good = good && same_number(x, by_definition(code, 5, 10, 15));
        }
    }
    OK(good, "all 65,536 codes of binary16");
}

static void test_bf16(void)
{
    bool exact = true;
    bool back = true;
    for (unsigned code = 0; code < 65536; code++) {
        const struct ox_bf16 b = {(uint16_t)code};
        const float x = ox_f32_from_bf16(b);
        if ((code & 0x7F80U) == 0x7F80U) {
            exact = exact && ((code & 0x7FU) != 0 ? isnan(x) != 0 : isinf(x) != 0);
        } else {
            exact = exact && same_number(x, by_definition(code, 8, 7, 127));
        }
        const struct ox_bf16 again = ox_bf16_from_f32(x);
        back = back && (isnan(x) ? isnan(ox_f32_from_bf16(again)) != 0 : again.bits == code);
    }
    OK(exact, "all 65,536 codes of BF16");
    OK(back, "there and back");
}

/* Is y the BF16 nearest to x, an even one where two are equally near? x and y finite. */
static bool nearest(float x, struct ox_bf16 y)
{
    const struct ox_bf16 below = {(uint16_t)(ox_bits_from_f32(x) >> 16)};
    const struct ox_bf16 above = {(uint16_t)(below.bits + 1)};
    const double low = fabs((double)ox_f32_from_bf16(below) - (double)x);
    double high = fabs((double)ox_f32_from_bf16(above) - (double)x);
    if ((above.bits & 0x7FFFU) == 0x7F80U) {
        high = fabs(ldexp(1.0, 128) - fabs((double)x)); /* infinity stands for 2^128 in rounding */
    }
    if (low != high) {
        return y.bits == (low < high ? below.bits : above.bits);
    }
    return y.bits == (below.bits % 2 == 0 ? below.bits : above.bits);
}

static void test_rounding(void)
{
    struct ox_rng rng;
    ox_rng_init(&rng, 3);
    bool good = true;
    for (int i = 0; i < 2000000; i++) {
        uint32_t bits = (uint32_t)ox_rng_next(&rng);
        if (i % 4 == 0) {
            bits = (bits & 0xFFFF0000U) | 0x8000U; /* ties */
        }
        const float x = ox_f32_from_bits(bits);
        const struct ox_bf16 y = ox_bf16_from_f32(x);
        if (isnan(x)) {
            good = good && isnan(ox_f32_from_bf16(y)) && (y.bits & 0x40U) != 0;
        } else if (isinf(x)) {
            good = good && y.bits == bits >> 16;
        } else {
            good = good && nearest(x, y);
        }
    }
    OK(good, "two million values to the nearest, ties to even, NaN to quiet NaN");
    OK(ox_bf16_from_f32(0x1.FFp127F).bits == 0x7F80U && ox_bf16_from_f32(0x1.FEFFFEp127F).bits == 0x7F7FU,
       "what is beyond the largest becomes infinite, just below it not");
    OK(isnan(ox_f32_from_bf16(ox_bf16_from_f32(ox_f32_from_bits(0x7F800001U)))), "a NaN in low bits stays one");
    OK(ox_bf16_from_f32(-0.0F).bits == 0x8000U, "minus zero");
}

int main(void)
{
    test_bits();
    test_e4m3();
    test_e8m0();
    test_f16();
    test_bf16();
    test_rounding();
    return tap_done();
}
