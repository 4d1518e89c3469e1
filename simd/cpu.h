/* SPDX-License-Identifier: Apache-2.0
 *
 * CPU levels: named bundles of instruction sets, in rising order. A level is there only if it was compiled, the
 * processor has all of it, and the kernel of the operating system saves its registers.
 */
#ifndef OX_SIMD_CPU_H
#define OX_SIMD_CPU_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum ox_cpu_level {
    OX_CPU_C, /* plain C for the architecture's baseline; the definition of right */
#if defined(__x86_64__)
    OX_CPU_AVX2,       /* AVX2, FMA, F16C */
    OX_CPU_AVX512,     /* AVX-512 F, BW, DQ, VL */
    OX_CPU_AVX512BF16, /* and AVX512_BF16 */
    OX_CPU_AMX,        /* and AMX-TILE, AMX-BF16 */
#elif defined(__aarch64__)
    OX_CPU_NEON,     /* ARMv8.0's Advanced SIMD */
    OX_CPU_NEONBF16, /* and BF16 */
#endif
    OX_N_CPU_LEVELS,
};

/* "c", "avx2" and so on; never NULL for a valid level. */
const char *ox_cpu_level_name(enum ox_cpu_level level);

/* False if no level of this architecture has this name. */
bool ox_cpu_level_parse(struct ox_str name, enum ox_cpu_level *out);

/* Can this machine run the level? Tiles are state that Linux gives only to a process that asks for it: this asks, for
 * all threads of the process. Any thread. Source: Intel SDM volume 1, chapters 13.3, 14.3, 15.2, 18.3 (CPUID, XGETBV);
 * arch_prctl(2) and Linux's Documentation/arch/x86/xstate.rst (permission). */
bool ox_cpu_has_level(enum ox_cpu_level level);

/* The fastest level that this machine can run: the highest, but avx512bf16 only on AMD's processors. Measured, TFLOP/s
 * of a core, pairs of BF16 against F32: Zen 4 0.234 against 0.117, Sapphire Rapids 0.110 against 0.222. The maker
 * decides and not a timing, since the level decides about bits. */
enum ox_cpu_level ox_cpu_best_level(void);

/* What the level's matrix products are made of, as `bench` names it: "fma-f32" and so on. */
const char *ox_cpu_matmul_unit(enum ox_cpu_level level);

#endif
