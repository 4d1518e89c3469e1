/* SPDX-License-Identifier: Apache-2.0
 *
 * exp of a vector: the polynomial of simd/c/exp_c.h with fused multiply-adds and the same limits (0 below -87.33,
 * infinity above 88.72, NaN stays NaN). Included after vector_<level>.h.
 */
#ifndef OX_SIMD_WIDE_EXP_WIDE_H
#define OX_SIMD_WIDE_EXP_WIDE_H

OX_INLINE ox_vf ox_exp_wide(ox_vf x)
{
    const ox_vf n = ox_v_round(ox_v_mul(x, ox_v_set(1.44269504088896341F)));
    ox_vf r = ox_v_fma(n, ox_v_set(-0.693359375F), x);
    r = ox_v_fma(n, ox_v_set(2.12194440e-4F), r);
    ox_vf p = ox_v_set(1.9875691500e-4F);
    p = ox_v_fma(p, r, ox_v_set(1.3981999507e-3F));
    p = ox_v_fma(p, r, ox_v_set(8.3334519073e-3F));
    p = ox_v_fma(p, r, ox_v_set(4.1665795894e-2F));
    p = ox_v_fma(p, r, ox_v_set(1.6666665459e-1F));
    p = ox_v_fma(p, r, ox_v_set(5.0000001201e-1F));
    p = ox_v_fma(p, ox_v_mul(r, r), ox_v_add(r, ox_v_set(1.0F)));
    const ox_vf y = ox_v_times_power(p, n);
    return ox_v_clip_exp(x, y, -87.33F, 88.72F);
}

/* 1 / (1 + exp(-x)) */
OX_INLINE ox_vf ox_sigmoid_wide(ox_vf x)
{
    const ox_vf one = ox_v_set(1.0F);
    return ox_v_div(one, ox_v_add(one, ox_exp_wide(ox_v_sub(ox_v_zero(), x))));
}

#endif
