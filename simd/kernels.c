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

void ox_kernels_init(struct ox_kernels *kernels, enum ox_cpu_level level)
{
    init_c(kernels);
    kernels->level = level;
}
