/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps between matrix products at the C level: norm, rotary embedding, activation, sums.
 */
#include <math.h>
#include <stdbool.h>

#include "simd/c/erf_c.h"
#include "simd/c/exp_c.h"
#include "simd/c/lanes_c.h"
#include "simd/kernels.h"

void ox_rms_norm_c(const float *x, const float *OX_RESTRICT weight, size_t n, float eps, float *y)
{
    const float mean = ox_dot_c(x, x, n) / (float)n;
    const float factor = 1.0F / sqrtf(mean + eps);
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i] * factor * weight[i];
    }
}

/* The mean of (x[i] - from)^p, p 1 or 2, over the lanes of lanes_c.h. */
static float mean_c(const float *x, size_t n, float from, bool squares)
{
    float lanes[OX_C_LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        const float d = x[i] - from;
        lanes[i % OX_C_LANES] += squares ? d * d : d;
    }
    return ox_lanes_sum_c(lanes) / (float)n;
}

void ox_layer_norm_c(const float *x, const float *OX_RESTRICT weight, const float *OX_RESTRICT bias, size_t n,
                     float eps, float *y)
{
    const float mean = mean_c(x, n, 0.0F, false);
    const float factor = 1.0F / sqrtf(mean_c(x, n, mean, true) + eps);
    for (size_t i = 0; i < n; i++) {
        y[i] = (x[i] - mean) * factor * weight[i] + bias[i];
    }
}

void ox_rope_c(float *OX_RESTRICT x, const float *OX_RESTRICT cosine, const float *OX_RESTRICT sine, size_t half)
{
    for (size_t i = 0; i < half; i++) {
        const float a = x[i];
        const float b = x[half + i];
        x[i] = a * cosine[i] - b * sine[i];
        x[half + i] = b * cosine[i] + a * sine[i];
    }
}

void ox_swiglu_c(const float *gate, const float *up, size_t n, float alpha, float limit, float *y)
{
    for (size_t i = 0; i < n; i++) {
        /* written so that NaN passes through the clamps */
        const float g = gate[i] > limit ? limit : gate[i];
        const float low = up[i] < -limit ? -limit : up[i];
        const float u = low > limit ? limit : low;
        y[i] = g * ox_sigmoidf_c(alpha * g) * (u + 1.0F);
    }
}

void ox_gelu_c(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* written so that NaN passes through */
        const float positive = x[i] < 0.0F ? 0.0F : x[i];
        const float magnitude = x[i] < 0.0F ? -x[i] : x[i];
        const float a = magnitude > OX_ERF_FAR ? OX_ERF_FAR : magnitude;
        x[i] = positive - a * (ox_expf_c(a * a * -0.5F) * ox_erf_tail_c(a));
    }
}

void ox_add_c(float *OX_RESTRICT y, const float *OX_RESTRICT x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

void ox_add_scaled_c(float *OX_RESTRICT y, const float *OX_RESTRICT x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        y[i] += factor * x[i];
    }
}

void ox_scale_c(float *x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] *= factor;
    }
}

void ox_sigmoid_c(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = ox_sigmoidf_c(x[i]);
    }
}

size_t ox_argmax_c(const float *x, size_t n)
{
    size_t best = 0;
    float value = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (x[i] > value) {
            value = x[i];
            best = i;
        }
    }
    return best;
}

static size_t chunk_end(size_t begin, size_t n)
{
    return n - begin < OX_CHUNK ? n : begin + OX_CHUNK;
}

void ox_chunk_max_c(const float *OX_RESTRICT x, size_t n, float *OX_RESTRICT out)
{
    for (size_t begin = 0; begin < n; begin += OX_CHUNK) {
        float largest = -INFINITY;
        for (size_t i = begin; i < chunk_end(begin, n); i++) {
            largest = x[i] > largest ? x[i] : largest;
        }
        out[begin / OX_CHUNK] = largest;
    }
}

void ox_weigh_c(const float *OX_RESTRICT x, size_t n, float largest, float factor, float *OX_RESTRICT weights,
                float *OX_RESTRICT sums)
{
    for (size_t begin = 0; begin < n; begin += OX_CHUNK) {
        float sum = 0.0F;
        for (size_t i = begin; i < chunk_end(begin, n); i++) {
            weights[i] = 1.0F;
            if (x[i] != largest) {
                weights[i] = x[i] > -INFINITY ? ox_expf_c((x[i] - largest) * factor) : 0.0F;
            }
            sum += weights[i];
        }
        sums[begin / OX_CHUNK] = sum;
    }
}
