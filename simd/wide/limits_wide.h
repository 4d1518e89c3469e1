/* SPDX-License-Identifier: Apache-2.0
 *
 * Multiply-adds in registers for any vector level, as many side by side as a tile of the matrix products has; included
 * by limits_<level>.c after vector_<level>.h. The benchmark holds its results against it.
 */
#ifndef OX_SIMD_WIDE_LIMITS_WIDE_H
#define OX_SIMD_WIDE_LIMITS_WIDE_H

#include "simd/kernels.h"

#define CHAINS (OX_TILE_ROWS * OX_TILE_TOKENS)
#define STEPS 64

size_t OX_LEVEL(ox_peak_flops)(size_t n_rounds, float *out)
{
    const ox_vf factor = ox_v_set(0.5F);
    const ox_vf term = ox_v_set(0.75F);
    ox_vf a[CHAINS];
    for (size_t i = 0; i < CHAINS; i++) {
        a[i] = ox_v_set((float)i);
    }
    for (size_t round = 0; round < n_rounds; round++) {
        for (size_t step = 0; step < STEPS; step++) {
#pragma GCC unroll 32
            for (size_t i = 0; i < CHAINS; i++) {
                a[i] = ox_v_fma(a[i], factor, term);
            }
        }
    }
    float sum = 0.0F;
    for (size_t i = 0; i < CHAINS; i++) {
        sum += ox_v_reduce_add(a[i]);
    }
    *out = sum;
    return n_rounds * STEPS * CHAINS * OX_VL * 2;
}

#endif
