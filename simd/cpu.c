/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of CPU levels and which of them this machine has: CPUID says what the processor can do, XGETBV which
 * registers the operating system saves, and Linux is asked for the tiles.
 */
#include "simd/cpu.h"

#include <stdint.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    const char *matmul_unit;
} levels[OX_N_CPU_LEVELS] = {
    [OX_CPU_C] = {"c", "fma-f32"},
    [OX_CPU_AVX2] = {"avx2", "fma-f32"},
    [OX_CPU_AVX512] = {"avx512", "fma-f32"},
    [OX_CPU_AVX512BF16] = {"avx512bf16", "avx512-bf16"},
    [OX_CPU_AMX] = {"amx", "amx-bf16"},
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
#define LEAF7_EDX_AMX_BF16 (1U << 22)
#define LEAF7_EDX_AMX_TILE (1U << 24)
#define LEAF7_1_EAX_AVX512_BF16 (1U << 5)
#define XCR0_YMM 0x06U      /* SSE and AVX state */
#define XCR0_ZMM 0xE6U      /* and opmask, upper halves, upper registers */
#define XCR0_TILES 0x60000U /* configuration and data of the tiles */
/* What Linux calls asking for the tiles' data (asm/prctl.h). */
#define REQUEST_STATE 0x1023
#define STATE_TILE_DATA 18

struct cpu {
    uint32_t leaf1_ecx;
    uint32_t leaf7_ebx;
    uint32_t leaf7_edx;
    uint32_t leaf7_1_eax;
    uint32_t xcr0;
    bool amd;
};

static struct cpu ask(void)
{
    struct cpu cpu = {0};
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
    if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) != 0) {
        cpu.amd = ebx == signature_AMD_ebx && ecx == signature_AMD_ecx && edx == signature_AMD_edx;
    }
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) {
        cpu.leaf1_ecx = ecx;
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
        cpu.leaf7_ebx = ebx;
        cpu.leaf7_edx = edx;
    }
    if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) {
        cpu.leaf7_1_eax = eax;
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

static bool may_use_tiles(void)
{
    return syscall(SYS_arch_prctl, REQUEST_STATE, STATE_TILE_DATA) == 0;
}

bool ox_cpu_has_level(enum ox_cpu_level level)
{
    const struct cpu cpu = ask();
    const bool avx2 = all(cpu.leaf1_ecx, LEAF1_ECX_FMA | LEAF1_ECX_AVX | LEAF1_ECX_F16C) &&
                      all(cpu.leaf7_ebx, LEAF7_EBX_AVX2) && all(cpu.xcr0, XCR0_YMM);
    const bool avx512 = avx2 && all(cpu.xcr0, XCR0_ZMM) &&
                        all(cpu.leaf7_ebx, LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512BW |
                                               LEAF7_EBX_AVX512VL);
    const bool bf16 = avx512 && all(cpu.leaf7_1_eax, LEAF7_1_EAX_AVX512_BF16);
    switch (level) {
    case OX_CPU_C:
        return true;
    case OX_CPU_AVX2:
        return avx2;
    case OX_CPU_AVX512:
        return avx512;
    case OX_CPU_AVX512BF16:
        return bf16;
    case OX_CPU_AMX:
        return bf16 && all(cpu.xcr0, XCR0_TILES) && all(cpu.leaf7_edx, LEAF7_EDX_AMX_BF16 | LEAF7_EDX_AMX_TILE) &&
               may_use_tiles();
    case OX_N_CPU_LEVELS:
    default:
        return false;
    }
}

static bool is_fast(enum ox_cpu_level level)
{
    return level != OX_CPU_AVX512BF16 || ask().amd;
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

static const struct {
    const char *name;
    const char *matmul_unit;
} levels[OX_N_CPU_LEVELS] = {
    [OX_CPU_C] = {"c", "neon-f32"},
    [OX_CPU_NEON] = {"neon", "neon-f32"},
    [OX_CPU_NEONBF16] = {"neonbf16", "neon-bf16"},
};

/* Of AT_HWCAP2 (asm/hwcap.h). */
#define HAS_BF16 (1UL << 14)

bool ox_cpu_has_level(enum ox_cpu_level level)
{
    switch (level) {
    case OX_CPU_C:
    case OX_CPU_NEON: /* Advanced SIMD is part of the baseline */
        return true;
    case OX_CPU_NEONBF16:
        return (getauxval(AT_HWCAP2) & HAS_BF16) != 0;
    case OX_N_CPU_LEVELS:
    default:
        return false;
    }
}

static bool is_fast(enum ox_cpu_level level)
{
    (void)level;
    return true;
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

static bool is_fast(enum ox_cpu_level level)
{
    (void)level;
    return true;
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
        if (ox_cpu_has_level((enum ox_cpu_level)i) && is_fast((enum ox_cpu_level)i)) {
            best = (enum ox_cpu_level)i;
        }
    }
    return best;
}

const char *ox_cpu_matmul_unit(enum ox_cpu_level level)
{
    return levels[level].matmul_unit;
}
