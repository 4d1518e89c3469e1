/* SPDX-License-Identifier: Apache-2.0
 *
 * What the machine can do at most at the C level: reading memory, and multiply-adds in registers. No part of the
 * forward pass; the benchmark holds its results against them.
 */
#include <string.h>

#include "simd/kernels.h"

/* Two words at any address, and how many of these are added side by side. */
typedef uint64_t pair __attribute__((vector_size(16), aligned(1), may_alias));
#define PAIRS 8

uint64_t ox_read_sum_c(const uint8_t *p, size_t n)
{
    pair lanes[PAIRS] = {{0}};
    const size_t whole = n - n % sizeof lanes;
    for (size_t i = 0; i < whole; i += sizeof lanes) {
        const pair *from = (const pair *)(p + i);
        for (size_t k = 0; k < PAIRS; k++) {
            lanes[k] += from[k];
        }
    }
    uint64_t sum = 0;
    for (size_t k = 0; k < PAIRS; k++) {
        sum += lanes[k][0] + lanes[k][1];
    }
    for (size_t i = whole; i < n; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, p + i, n - i < sizeof word ? n - i : sizeof word);
        sum += word;
    }
    return sum;
}

/* The compiler's vectors of 4 are what every baseline has registers for; 12 of them and the 2 factors fit into 16, and
 * hide a multiplication and an addition of 4 cycles each at nearly 2 of both a cycle. */
typedef float vector __attribute__((vector_size(16)));
#define VECTORS 12
#define STEPS 64

size_t ox_peak_flops_c(size_t n_rounds, float *out)
{
    const vector factor = {0.5F, 0.25F, 0.125F, 0.75F};
    const vector term = {0.5F, 0.75F, 0.875F, 0.25F};
    vector a[VECTORS];
    for (size_t i = 0; i < VECTORS; i++) {
        const float begin = (float)i;
        a[i] = (vector){begin, begin, begin, begin};
    }
    for (size_t round = 0; round < n_rounds; round++) {
        for (size_t step = 0; step < STEPS; step++) {
            for (size_t i = 0; i < VECTORS; i++) {
                a[i] = a[i] * factor + term;
            }
        }
    }
    float sum = 0.0F;
    for (size_t i = 0; i < VECTORS; i++) {
        sum += a[i][0] + a[i][1] + a[i][2] + a[i][3];
    }
    *out = sum;
    return n_rounds * STEPS * VECTORS * 4 * 2;
}
