/* SPDX-License-Identifier: Apache-2.0
 *
 * The tail of the normal distribution: for a >= 0, half of erfc(a / sqrt 2) is exp(-a^2 / 2) times a polynomial of degree
 * 10 in 1 / (1 + 0.35 a / sqrt 2), without a constant term. Coefficients: least squares of the relative error made even
 * by reweighting, rounded to F32; largest relative error over 0 <= a <= 13.3, in exact arithmetic: 1.9e-8.
 */
#ifndef OX_SIMD_C_ERF_C_H
#define OX_SIMD_C_ERF_C_H

/* From here on the tail is 0 in F32. */
#define OX_ERF_FAR 100.0F

#define OX_ERF_SLOPE 0.247487373F /* 0.35 / sqrt 2 */

/* From the highest power down to y^1. */
static const float ox_erf_tail[10] = {3.743370622e-02F, -1.534872055e-01F, 1.681615561e-01F, -9.193921462e-03F,
                                      7.087598741e-02F, 1.551728547e-01F,  1.478417963e-01F, 1.886662096e-01F,
                                      1.970397830e-01F, 1.974892467e-01F};

/* erfc(a / sqrt 2) / (2 exp(-a^2 / 2)) */
static inline float ox_erf_tail_c(float a)
{
    const float y = 1.0F / (1.0F + OX_ERF_SLOPE * a);
    float p = ox_erf_tail[0];
    for (int i = 1; i < 10; i++) {
        p = p * y + ox_erf_tail[i];
    }
    return 0.5F * (p * y);
}

#endif
