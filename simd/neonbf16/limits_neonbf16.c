/* SPDX-License-Identifier: Apache-2.0
 *
 * The multiply-add limit at level neonbf16: BFMMLA in registers, as many side by side as a tile of the matrix products
 * has.
 */
#include "simd/kernels.h"
#include "simd/neonbf16/vector_neonbf16.h"

#define CHAINS 16
#define STEPS 64

size_t OX_PAIRS_LEVEL(ox_peak_flops)(size_t n_rounds, float *out)
{
    /* +0.5 and -0.5 times 0.75390625: a chain stays where it is, and finite (0.75 is a constant for which gcc 12 makes
     * an instruction that only half precision has) */
    const uint16x8_t signs = vreinterpretq_u16_u32(vdupq_n_u32(0xBF003F00U));
    const uint16x8_t factor = vdupq_n_u16(0x3F41);
    ox_vf a[CHAINS];
    for (size_t i = 0; i < CHAINS; i++) {
        a[i] = ox_v_set((float)i);
    }
    for (size_t round = 0; round < n_rounds; round++) {
        for (size_t step = 0; step < STEPS; step++) {
            OX_UNROLL
            for (size_t i = 0; i < CHAINS; i++) {
                a[i] = ox_multiply_pairs(a[i], signs, factor);
            }
        }
    }
    float sum = 0.0F;
    for (size_t i = 0; i < CHAINS; i++) {
        sum += ox_v_reduce_add(a[i]);
    }
    *out = sum;
    return n_rounds * STEPS * CHAINS * 32;
}
