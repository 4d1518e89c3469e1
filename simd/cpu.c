/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of CPU levels and which of them this machine has: CPUID says what the processor can do, XGETBV which
 * registers the operating system saves.
 */
#include "simd/cpu.h"

#include <stdint.h>

#if defined(__x86_64__)
#include <cpuid.h>

static const struct {
    const char *name;
    const char *matmul_unit;
} levels[OX_N_CPU_LEVELS] = {
    [OX_CPU_C] = {"c", "fma-f32"},
    [OX_CPU_AVX2] = {"avx2", "fma-f32"},
    [OX_CPU_AVX512] = {"avx512", "fma-f32"},
};

/* Bits of CPUID and of XCR0. */
#define LEAF1_ECX_FMA (1U << 12)
#define LEAF1_ECX_OSXSAVE (1U << 27)
#define LEAF1_ECX_AVX (1U << 28)
#define LEAF1_ECX_F16C (1U << 29)
#define LEAF7_EBX_AVX2 (1U << 5)
#define LEAF7_EBX_AVX512F (1U << 16)
#define LEAF7_EBX_AVX512DQ (1U << 17)
#define LEAF7_EBX_AVX512BW (1U << 30)
#define LEAF7_EBX_AVX512VL (1U << 31)
#define XCR0_YMM 0x06U /* SSE and AVX state */
#define XCR0_ZMM 0xE6U /* and opmask, upper halves, upper registers */

struct cpu {
    uint32_t leaf1_ecx;
    uint32_t leaf7_ebx;
    uint32_t xcr0;
};

static struct cpu ask(void)
{
    struct cpu cpu = {0};
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) {
        cpu.leaf1_ecx = ecx;
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
        cpu.leaf7_ebx = ebx;
    }
    if ((cpu.leaf1_ecx & LEAF1_ECX_OSXSAVE) != 0) {
        __asm__ volatile("xgetbv" : "=a"(cpu.xcr0), "=d"(edx) : "c"(0));
    }
    return cpu;
}

static bool all(uint32_t word, uint32_t bits)
{
    return (word & bits) == bits;
}

bool ox_cpu_has_level(enum ox_cpu_level level)
{
    const struct cpu cpu = ask();
    const bool avx2 = all(cpu.leaf1_ecx, LEAF1_ECX_FMA | LEAF1_ECX_AVX | LEAF1_ECX_F16C) &&
                      all(cpu.leaf7_ebx, LEAF7_EBX_AVX2) && all(cpu.xcr0, XCR0_YMM);
    const bool avx512 = avx2 && all(cpu.xcr0, XCR0_ZMM) &&
                        all(cpu.leaf7_ebx, LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512BW |
                                               LEAF7_EBX_AVX512VL);
    switch (level) {
    case OX_CPU_C:
        return true;
    case OX_CPU_AVX2:
        return avx2;
    case OX_CPU_AVX512:
        return avx512;
    case OX_N_CPU_LEVELS:
    default:
        return false;
    }
}

#elif defined(__aarch64__)

static const struct {
    const char *name;
    const char *matmul_unit;
} levels[OX_N_CPU_LEVELS] = {
    [OX_CPU_C] = {"c", "neon-f32"},
    [OX_CPU_NEON] = {"neon", "neon-f32"},
};

bool ox_cpu_has_level(enum ox_cpu_level level)
{
    return level < OX_N_CPU_LEVELS; /* Advanced SIMD is part of the baseline */
}

#else

static const struct {
    const char *name;
    const char *matmul_unit;
} levels[OX_N_CPU_LEVELS] = {
    [OX_CPU_C] = {"c", "fma-f32"},
};

bool ox_cpu_has_level(enum ox_cpu_level level)
{
    return level == OX_CPU_C;
}

#endif

const char *ox_cpu_level_name(enum ox_cpu_level level)
{
    return levels[level].name;
}

bool ox_cpu_level_parse(struct ox_str name, enum ox_cpu_level *out)
{
    for (size_t i = 0; i < OX_N_CPU_LEVELS; i++) {
        if (ox_str_is(name, levels[i].name)) {
            *out = (enum ox_cpu_level)i;
            return true;
        }
    }
    return false;
}

enum ox_cpu_level ox_cpu_best_level(void)
{
    enum ox_cpu_level best = OX_CPU_C;
    for (size_t i = 0; i < OX_N_CPU_LEVELS; i++) {
        if (ox_cpu_has_level((enum ox_cpu_level)i)) {
            best = (enum ox_cpu_level)i;
        }
    }
    return best;
}

const char *ox_cpu_matmul_unit(enum ox_cpu_level level)
{
    return levels[level].matmul_unit;
}
