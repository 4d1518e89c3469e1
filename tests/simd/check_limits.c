/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel checks: the two that measure the machine.
 */
#include "tests/simd/check.h"

/* The sum of words byte by byte: a byte counts 256 ^ (its place in a word). */
void check_read_sum(struct check *check)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    check_begin(check);
    const size_t n = check_length(check) + 8 * check_length(check);
    const size_t offset = check_below(check, 64);
    uint8_t *whole = check_bytes(check, n + offset);
    uint8_t *p = whole + offset;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t place = first == 1 ? i % 8 : 7 - i % 8;
        p[i] = (uint8_t)ox_rng_next(&check->rng);
        sum += (uint64_t)p[i] << (8 * place);
    }
    const uint64_t found = check->kernels->read_sum(p, n);
    if (found != sum) {
        check_fail(check, "%zu bytes: sum %llx, exact %llx", n, (unsigned long long)found, (unsigned long long)sum);
    }
}

void check_peak_flops(struct check *check)
{
    check_begin(check);
    const size_t n_rounds = check_below(check, 50);
    float *out = check_floats(check, 1);
    const size_t one = check->kernels->peak_flops(1, out);
    const size_t all = check->kernels->peak_flops(n_rounds, out);
    if (one == 0 || all != n_rounds * one) {
        check_fail(check, "%zu rounds: %zu operations, one round: %zu", n_rounds, all, one);
    }
    if (!isfinite(*out)) {
        check_fail(check, "%zu rounds: the sum is %g", n_rounds, (double)*out);
    }
}
