/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel checker's parts share: the run in hand, buffers against guard pages, adversarial values, and the
 * comparison of floats. Every number comes from the run's seed.
 */
#ifndef OX_TESTS_CHECK_H
#define OX_TESTS_CHECK_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/number.h"
#include "base/rng.h"
#include "simd/kernels.h"
#include "tests/guard.h"

/* Unit roundoff of F32, and the step of its subnormals: products may lose so much absolutely. */
#define CHECK_U 0x1p-24
#define CHECK_TINY 0x1p-149
/* exp of the kernels: relative error (exp_c.h: below 1 ulp), and below which it may flush to 0. */
#define CHECK_EXP_U 0x1p-23
#define CHECK_EXP_FLUSH 0x1.4p-126
#define CHECK_BUFFERS 20

/* Tolerance classes of kernels.def. */
enum check_class { CHECK_EXACT, CHECK_BOUND, CHECK_ULP, CHECK_OWN };

/* One kernel at one level under test. */
struct check {
    const struct ox_kernels *kernels; /* the level under test */
    const struct ox_kernels *lower;   /* the C level */
    const char *name;
    struct ox_rng rng;
    size_t lanes; /* partial sums of the level's products, at least */
    size_t score_lanes; /* the same of an attention score */
    bool rounds;  /* operands are rounded to BF16, but exact ones */
    double flush; /* subnormal numbers up to this count as 0; 0: none do */
    struct guard buffers[CHECK_BUFFERS];
    size_t n_buffers; /* taken in this trial */
    size_t buffer_len[CHECK_BUFFERS];
    void *buffer[CHECK_BUFFERS];
    uint64_t digest; /* of all buffers as the trials left them, all NaN being one */
    size_t n_trials;
    size_t n_failed;
};

typedef void (*check_function)(struct check *check);

/* Kinds of values, by trial. */
enum check_fill {
    FILL_NORMAL,
    FILL_ZERO,
    FILL_MAX,
    FILL_ALTERNATING,
    FILL_DENORMAL,
    FILL_WIDE, /* exponents all over the place */
    FILL_SPECIAL, /* normal with a few infinities and NaN */
    N_FILLS,
};

/* Note a failure (the first few are printed, with a printf-formatted sentence). */
void check_fail(struct check *check, const char *format, ...) OX_PRINTF(2, 3);

/* Begin a trial: all buffers are free again; those of the last trial join the digest, its canaries are looked at. */
void check_begin(struct check *check);

/* A buffer of len bytes against a guard page, full of canaries. Floats: at any multiple of 4. */
void *check_bytes(struct check *check, size_t len);
float *check_floats(struct check *check, size_t n);

/* Scratch of at least len bytes, aligned to 64, against a guard page behind it. */
void *check_room(struct check *check, size_t len);

/* A length: 0 to 257, now and then one of the model's. */
size_t check_length(struct check *check);
size_t check_below(struct check *check, size_t n);
double check_normal(struct check *check);

/* Values of a kind; FILL_MAX has the magnitude `max`. */
void check_fill(struct check *check, enum check_fill fill, float max, float *x, size_t n);

/* The same bits, all NaN being one. */
bool check_same(float a, float b);

/* |found - exact| <= bound; NaN and infinities must be equal. False notes a failure at place i. */
bool check_near(struct check *check, float found, double exact, double bound, size_t i);

/* The operand of n tokens x [n, n_cols], or the exact operand, in a buffer of the check. */
uint8_t *check_operand(struct check *check, bool exact, const float *x, size_t n, size_t n_cols);

/* The BF16 number nearest to x, ties to the even one; subnormal numbers are kept. */
double check_nearest_bf16(float x);

/* Every float of the canary pattern still there? For the gaps between rows. */
bool check_is_canary(const float *x, size_t n);

#define OX_KERNEL(name, type, parameters, class) void check_##name(struct check *check);
#include "simd/kernels.def"
#undef OX_KERNEL

/* The exponential of the C level against double. */
void check_exp(struct check *check);

#endif
