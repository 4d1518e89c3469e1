/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums and products of sizes that notice overflow (C23's stdckdint, for C11). All return true where the exact result
 * does not fit, and then *out is unusable.
 */
#ifndef OX_BASE_CKD_H
#define OX_BASE_CKD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool ox_ckd_add(size_t *out, size_t a, size_t b)
{
    return __builtin_add_overflow(a, b, out);
}

static inline bool ox_ckd_mul(size_t *out, size_t a, size_t b)
{
    return __builtin_mul_overflow(a, b, out);
}

static inline bool ox_ckd_add_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    return __builtin_add_overflow(a, b, out);
}

static inline bool ox_ckd_mul_u64(uint64_t *out, uint64_t a, uint64_t b)
{
    return __builtin_mul_overflow(a, b, out);
}

/* Round x up to a multiple of step (> 0). */
static inline bool ox_ckd_round_up(size_t *out, size_t x, size_t step)
{
    size_t sum;
    if (ox_ckd_add(&sum, x, step - 1)) {
        return true;
    }
    *out = sum - sum % step;
    return false;
}

#endif
