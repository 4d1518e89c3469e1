/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps between matrix products for any vector level; equal to simd/c/norm_c.c within their tolerance classes.
 * Included by norm_<level>.c after vector_<level>.h. The last, incomplete vector goes through a zeroed buffer.
 */
#ifndef OX_SIMD_WIDE_NORM_WIDE_H
#define OX_SIMD_WIDE_NORM_WIDE_H

#include <math.h>

#include "simd/kernels.h"
#include "simd/wide/exp_wide.h"

/* Elements [i, n) as a vector: all OX_VL of them, or what is left and zeros. */
OX_INLINE ox_vf load_at(const float *x, size_t i, size_t n)
{
    return n - i >= OX_VL ? ox_v_load(x + i) : ox_v_load_n(x + i, n - i);
}

OX_INLINE void store_at(float *y, size_t i, size_t n, ox_vf v)
{
    if (n - i >= OX_VL) {
        ox_v_store(y + i, v);
    } else {
        ox_v_store_n(y + i, v, n - i);
    }
}

void OX_LEVEL(ox_rms_norm)(const float *x, const float *OX_RESTRICT weight, size_t n, float eps, float *y)
{
    ox_vf sum = ox_v_zero();
    for (size_t i = 0; i < n; i += OX_VL) {
        const ox_vf v = load_at(x, i, n);
        sum = ox_v_fma(v, v, sum);
    }
    const float mean = ox_v_reduce_add(sum) / (float)n;
    const ox_vf factor = ox_v_set(1.0F / sqrtf(mean + eps));
    for (size_t i = 0; i < n; i += OX_VL) {
        store_at(y, i, n, ox_v_mul(ox_v_mul(load_at(x, i, n), factor), load_at(weight, i, n)));
    }
}

void OX_LEVEL(ox_rope)(float *OX_RESTRICT x, const float *OX_RESTRICT cosine, const float *OX_RESTRICT sine,
                       size_t half)
{
    for (size_t i = 0; i < half; i += OX_VL) {
        const ox_vf a = load_at(x, i, half);
        const ox_vf b = load_at(x + half, i, half);
        const ox_vf c = load_at(cosine, i, half);
        const ox_vf s = load_at(sine, i, half);
        store_at(x, i, half, ox_v_sub(ox_v_mul(a, c), ox_v_mul(b, s)));
        store_at(x + half, i, half, ox_v_add(ox_v_mul(b, c), ox_v_mul(a, s)));
    }
}

void OX_LEVEL(ox_swiglu)(const float *gate, const float *up, size_t n, float alpha, float limit, float *y)
{
    const ox_vf one = ox_v_set(1.0F);
    for (size_t i = 0; i < n; i += OX_VL) {
        /* min and max give their second operand where one is NaN */
        const ox_vf g = ox_v_min(ox_v_set(limit), load_at(gate, i, n));
        const ox_vf u = ox_v_min(ox_v_set(limit), ox_v_max(ox_v_set(-limit), load_at(up, i, n)));
        const ox_vf s = ox_sigmoid_wide(ox_v_mul(ox_v_set(alpha), g));
        store_at(y, i, n, ox_v_mul(ox_v_mul(g, s), ox_v_add(u, one)));
    }
}

void OX_LEVEL(ox_add)(float *OX_RESTRICT y, const float *OX_RESTRICT x, size_t n)
{
    for (size_t i = 0; i < n; i += OX_VL) {
        store_at(y, i, n, ox_v_add(load_at(y, i, n), load_at(x, i, n)));
    }
}

void OX_LEVEL(ox_add_scaled)(float *OX_RESTRICT y, const float *OX_RESTRICT x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i += OX_VL) {
        store_at(y, i, n, ox_v_fma(ox_v_set(factor), load_at(x, i, n), load_at(y, i, n)));
    }
}

void OX_LEVEL(ox_sigmoid)(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += OX_VL) {
        store_at(x, i, n, ox_sigmoid_wide(load_at(x, i, n)));
    }
}

#endif
