/* SPDX-License-Identifier: Apache-2.0
 *
 * The multiply-add limit at level avx512bf16: dot products of BF16 pairs in registers, as many side by side as a tile
 * of the matrix products has.
 */
#include "simd/avx512bf16/vector_avx512bf16.h"
#include "simd/kernels.h"

#define CHAINS 24
#define STEPS 64

size_t OX_PAIRS_LEVEL(ox_peak_flops)(size_t n_rounds, float *out)
{
    /* +0.5 and -0.5 times 0.75: a chain stays where it is, and finite */
    const __m512i signs = _mm512_set1_epi32((int32_t)0xBF003F00U);
    const __m512i factor = _mm512_set1_epi16(0x3F40);
    ox_vf a[CHAINS];
    for (size_t i = 0; i < CHAINS; i++) {
        a[i] = ox_v_set((float)i);
    }
    for (size_t round = 0; round < n_rounds; round++) {
        for (size_t step = 0; step < STEPS; step++) {
            OX_UNROLL
            for (size_t i = 0; i < CHAINS; i++) {
                a[i] = ox_dot_pairs(a[i], signs, factor);
            }
        }
    }
    float sum = 0.0F;
    for (size_t i = 0; i < CHAINS; i++) {
        sum += ox_v_reduce_add(a[i]);
    }
    *out = sum;
    return n_rounds * STEPS * CHAINS * 16 * 4;
}
