/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated instructions against formulas of their own, and against the processor's where that has them: the same
 * bits for every kind of value, NaN payloads aside.
 *
 *     check_emulation [SEED]
 */
#include <cpuid.h>
#include <math.h>
#include <unistd.h>

#include "base/number.h"
#include "base/rng.h"
#include "base/str.h"
#include "simd/cpu.h"
#include "tests/simd/emulate/scalars.h"
#include "tests/simd/try.h"
#include "tests/tap.h"

#define N_TRIALS 20000

typedef void (*try_function)(const struct try_input *in, struct try_output *out);

#define OX_TRY(expression) #expression,
static const char *const names_avx512[] = {
#include "tests/simd/try_avx512.def"
};
static const char *const names_avx512bf16[] = {
#include "tests/simd/try_avx512bf16.def"
};
#undef OX_TRY

#define N_AVX512 (sizeof names_avx512 / sizeof names_avx512[0])
#define N_AVX512BF16 (sizeof names_avx512bf16 / sizeof names_avx512bf16[0])
_Static_assert(N_AVX512 <= TRY_MAX && N_AVX512BF16 <= TRY_MAX, "TRY_MAX is too small");

/* Any float: moderate, of any exponent, subnormal or nearly, special, at half the last place of a BF16. */
static float any_float(struct ox_rng *rng)
{
    const uint32_t bits = (uint32_t)ox_rng_next(rng);
    switch (ox_rng_below(rng, 6)) {
    case 0:
        return ox_f32_from_bits(bits);
    case 1:
        return ox_f32_from_bits(bits & 0x80FFFFFFU);
    case 2:
        return ox_f32_from_bits((bits & 0x80000000U) | (ox_rng_below(rng, 2) == 0 ? 0x7F800000U : 0x7FC00000U));
    case 3:
        return ox_f32_from_bits((bits & 0xBFFF0000U) | 0x8000U);
    default:
        return (float)(ox_rng_double(rng) * 8.0 - 4.0);
    }
}

static void any_input(struct ox_rng *rng, struct try_input *in)
{
    for (size_t i = 0; i < 16; i++) {
        const float x = any_float(rng);
        const float y = any_float(rng);
        in->a[i] = any_float(rng);
        in->b[i] = any_float(rng);
        /* now and then a sum that nearly vanishes, and results at the edge of the subnormals */
        in->c[i] = ox_rng_below(rng, 4) == 0 ? -in->a[i] * in->b[i] : any_float(rng);
        memcpy(in->i + 4 * i, &x, sizeof x);
        memcpy(in->j + 4 * i, &y, sizeof y);
    }
    for (size_t i = 0; i < 64; i++) {
        in->table[i] = any_float(rng);
        if (ox_rng_below(rng, 3) == 0) {
            in->i[i] = (uint8_t)ox_rng_next(rng);
            in->j[i] = (uint8_t)ox_rng_next(rng);
        }
    }
    in->k = ox_rng_next(rng);
}

/* Equal, or NaN in the same 32 bits (two halves are NaN only where both are). */
static bool same(const uint8_t *a, const uint8_t *b)
{
    for (size_t i = 0; i < 64; i += 4) {
        float x;
        float y;
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        if (memcmp(a + i, b + i, 4) != 0 && !(isnan(x) && isnan(y))) {
            return false;
        }
    }
    return true;
}

static void compare(struct ox_rng *rng, const char *const *names, size_t n, try_function real, try_function model)
{
    static struct try_input in;
    static struct try_output found;
    static struct try_output expected;
    size_t n_wrong[TRY_MAX] = {0};
    for (size_t trial = 0; trial < N_TRIALS; trial++) {
        any_input(rng, &in);
        real(&in, &expected);
        model(&in, &found);
        for (size_t i = 0; i < n; i++) {
            n_wrong[i] += !same(found.value[i], expected.value[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        OK(n_wrong[i] == 0, "%s: %zu of %d differ from the processor", names[i], n_wrong[i], N_TRIALS);
    }
}

/* One rounding, against the C library's fmaf. */
static void check_fma(struct ox_rng *rng)
{
    size_t n_wrong = 0;
    for (size_t i = 0; i < 1000000; i++) {
        const float a = any_float(rng);
        const float b = any_float(rng);
        const float c = i % 4 == 0 ? -a * b : any_float(rng);
        const float found = emulate_fma(a, b, c);
        const float expected = fmaf(a, b, c);
        n_wrong += ox_bits_from_f32(found) != ox_bits_from_f32(expected) && !(isnan(found) && isnan(expected));
    }
    OK(n_wrong == 0, "emulate_fma: %zu differ from fmaf", n_wrong);
}

static uint16_t bf16(float x)
{
    return ox_bf16_from_f32(x).bits;
}

/* The BF16 units: what the manual says about subnormals, rounding and order. */
static void check_bf16(void)
{
    const uint16_t tiny = 0x007F; /* the largest subnormal */
    OK(emulate_fma_bf16(tiny, bf16(0x1p127F), 1.0F) == 1.0F, "a subnormal factor is zero");
    OK(emulate_fma_bf16(bf16(0.0F), bf16(1.0F), 0x1p-130F) == 0.0F, "a subnormal sum is zero");
    OK(emulate_fma_bf16(bf16(0x1p-70F), bf16(0x1p-60F), 0.0F) == 0.0F, "a subnormal result is zero");
    OK(signbit(emulate_fma_bf16(bf16(-0x1p-70F), bf16(0x1p-60F), 0.0F)) != 0, "and keeps its sign");
    OK(emulate_fma_bf16(bf16(0x1p-63F), bf16(0x1p-63F), 0.0F) == 0x1p-126F, "the smallest normal result stays");
    OK(emulate_flush(0x1.fffffep-127) == 0.0F, "a subnormal of 24 bits is zero");
    OK(emulate_flush(0x1.ffffffp-127) == 0x1p-126F, "what rounds to the smallest normal number is that");
    OK(emulate_fma_bf16(bf16(0x1p-12F), bf16(0x1p-12F), 1.0F) == 1.0F, "a tie goes to even");
    OK(emulate_fma_bf16(bf16(0x1.02p-12F), bf16(0x1p-12F), 1.0F) > 1.0F, "more than a tie goes up");
    OK(emulate_bf16(0x1p-127F) == 0 && emulate_bf16(-0x1p-127F) == 0x8000, "subnormals become BF16 zeros");
    OK(emulate_bf16(0x1.01p0F) == bf16(1.0F) && emulate_bf16(0x1.03p0F) == bf16(0x1.04p0F), "ties to even");
    OK(emulate_bf16(0x1.fffffep127F) == 0x7F80, "the largest float becomes infinity");
    OK(emulate_bf16(ox_f32_from_bits(0x7F800001U)) == 0x7FC0, "a signalling NaN becomes a quiet one");

    static struct try_input in;
    static struct try_output out;
    const uint16_t odd_first[4] = {bf16(1.0F), bf16(-0x1p24F), bf16(3.0F), bf16(2.0F)};
    const uint16_t ones[4] = {bf16(1.0F), bf16(1.0F), bf16(5.0F), bf16(7.0F)};
    float sums[2];
    in.a[0] = 0x1p24F;
    in.a[1] = 0.5F;
    memcpy(in.i, odd_first, sizeof odd_first);
    memcpy(in.j, ones, sizeof ones);
    ox_try_avx512bf16_emulated(&in, &out);
    memcpy(sums, out.value[0], sizeof sums);
    OK(sums[0] == 1.0F, "the odd product is added first");
    OK(sums[1] == 29.5F, "each lane adds its two products");
}

static bool has_avx512bf16_vbmi(void)
{
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
    if (!ox_cpu_has_level(OX_CPU_AVX512) || __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (ecx & 2U) == 0) {
        return false;
    }
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & 0x20U) != 0;
}

int main(int argc, char **argv)
{
    uint64_t seed = (uint64_t)getpid();
    struct ox_rng rng;
    if (argc > 1 && !ox_str_to_u64(ox_str_c(argv[1]), &seed)) {
        fprintf(stderr, "usage: check_emulation [SEED]\n");
        return 2;
    }
    NOTE("seed %" PRIu64, seed);
    ox_rng_init(&rng, seed);
    check_fma(&rng);
    check_bf16();
    if (ox_cpu_has_level(OX_CPU_AVX512)) {
        compare(&rng, names_avx512, N_AVX512, ox_try_avx512, ox_try_avx512_emulated);
    } else {
        SKIP("AVX-512 against the processor", "not on this machine");
    }
    if (has_avx512bf16_vbmi()) {
        compare(&rng, names_avx512bf16, N_AVX512BF16, ox_try_avx512bf16, ox_try_avx512bf16_emulated);
    } else {
        SKIP("AVX-512 BF16 and VBMI against the processor", "not on this machine");
    }
    return tap_done();
}
