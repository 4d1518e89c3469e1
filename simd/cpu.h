/* SPDX-License-Identifier: Apache-2.0
 *
 * CPU levels: named bundles of instruction sets, in rising order. A level is there only if the processor has all of it
 * and the kernel of the operating system saves its registers.
 */
#ifndef OX_SIMD_CPU_H
#define OX_SIMD_CPU_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum ox_cpu_level {
    OX_CPU_C, /* plain C for the architecture's baseline; the definition of right */
    OX_N_CPU_LEVELS,
};

/* "c"; never NULL for a valid level. */
const char *ox_cpu_level_name(enum ox_cpu_level level);

/* False if no level has this name. */
bool ox_cpu_level_parse(struct ox_str name, enum ox_cpu_level *out);

/* Can this machine run the level? Any thread. */
bool ox_cpu_has_level(enum ox_cpu_level level);

/* The highest level that this machine can run. */
enum ox_cpu_level ox_cpu_best_level(void);

/* What the level's matrix products are made of, as `bench` names it: "fma-f32" and so on. */
const char *ox_cpu_matmul_unit(enum ox_cpu_level level);

#endif
