/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of products at the C level: 16 lanes, element k goes to lane k mod 16, lanes are added as a tree. The compiler
 * turns the fixed inner loops into whatever vectors the baseline has without changing a bit.
 */
#ifndef OX_SIMD_C_LANES_C_H
#define OX_SIMD_C_LANES_C_H

#include <stddef.h>

#define OX_C_LANES 16

static inline float ox_lanes_sum_c(const float *lane)
{
    float part[OX_C_LANES];
    for (size_t i = 0; i < OX_C_LANES; i++) {
        part[i] = lane[i];
    }
    for (size_t half = OX_C_LANES / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) {
            part[i] += part[i + half];
        }
    }
    return part[0];
}

/* lane[k mod 16] += a[k] * b[k] for k < n; a call begins at lane 0. */
static inline void ox_lanes_dot_c(float *lane, const float *a, const float *b, size_t n)
{
    const size_t whole = n - n % OX_C_LANES;
    float sum[OX_C_LANES];
    for (size_t i = 0; i < OX_C_LANES; i++) {
        sum[i] = lane[i];
    }
    for (size_t k = 0; k < whole; k += OX_C_LANES) {
        for (size_t i = 0; i < OX_C_LANES; i++) {
            sum[i] += a[k + i] * b[k + i];
        }
    }
    for (size_t k = whole; k < n; k++) {
        sum[k - whole] += a[k] * b[k];
    }
    for (size_t i = 0; i < OX_C_LANES; i++) {
        lane[i] = sum[i];
    }
}

static inline float ox_dot_c(const float *a, const float *b, size_t n)
{
    float lane[OX_C_LANES] = {0};
    ox_lanes_dot_c(lane, a, b, n);
    return ox_lanes_sum_c(lane);
}

#endif
