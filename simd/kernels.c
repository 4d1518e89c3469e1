/* SPDX-License-Identifier: Apache-2.0
 *
 * Fills the kernel table, level by level upward.
 */
#include "simd/kernels.h"

static void init_c(struct ox_kernels *kernels)
{
#define OX_KERNEL(name, type, parameters, class) kernels->name = ox_##name##_c;
#include "simd/kernels.def"
#undef OX_KERNEL
}

#if defined(__x86_64__)

static void init_levels(struct ox_kernels *kernels, enum ox_cpu_level level)
{
    if (level < OX_CPU_AVX2) {
        return;
    }
#define OX_WIDE_KERNEL(name) kernels->name = OX_LEVEL_NAME(ox_##name, avx2);
#include "simd/wide/wide.def"
#undef OX_WIDE_KERNEL
    if (level < OX_CPU_AVX512) {
        return;
    }
#define OX_WIDE_KERNEL(name) kernels->name = OX_LEVEL_NAME(ox_##name, avx512);
#include "simd/wide/wide.def"
#undef OX_WIDE_KERNEL
    if (level < OX_CPU_AVX512BF16) {
        return;
    }
#define OX_ROUNDED_KERNEL(name) kernels->name = OX_LEVEL_NAME(ox_##name, avx512bf16);
#include "simd/rounded.def"
#undef OX_ROUNDED_KERNEL
    if (level < OX_CPU_AMX) {
        return;
    }
#define OX_AMX_KERNEL(name) kernels->name = OX_LEVEL_NAME(ox_##name, amx);
#include "simd/amx/amx.def"
#undef OX_AMX_KERNEL
}

#elif defined(__aarch64__)

static void init_levels(struct ox_kernels *kernels, enum ox_cpu_level level)
{
    if (level < OX_CPU_NEON) {
        return;
    }
#define OX_WIDE_KERNEL(name) kernels->name = OX_LEVEL_NAME(ox_##name, neon);
#include "simd/wide/wide.def"
#undef OX_WIDE_KERNEL
    if (level < OX_CPU_NEONBF16) {
        return;
    }
#define OX_ROUNDED_KERNEL(name) kernels->name = OX_LEVEL_NAME(ox_##name, neonbf16);
#include "simd/rounded.def"
#undef OX_ROUNDED_KERNEL
}

#else

static void init_levels(struct ox_kernels *kernels, enum ox_cpu_level level)
{
    (void)kernels;
    (void)level;
}

#endif

void ox_kernels_init(struct ox_kernels *kernels, enum ox_cpu_level level)
{
    init_c(kernels);
    init_levels(kernels, level);
    kernels->level = level;
}
