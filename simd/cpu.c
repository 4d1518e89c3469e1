/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of CPU levels and which of them this machine has.
 */
#include "simd/cpu.h"

static const struct {
    const char *name;
    const char *matmul_unit;
} levels[OX_N_CPU_LEVELS] = {
    [OX_CPU_C] = {"c", "fma-f32"},
};

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

bool ox_cpu_has_level(enum ox_cpu_level level)
{
    return level == OX_CPU_C;
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
