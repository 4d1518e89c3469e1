/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel checks: attention over one block, putting blocks together, and the index branch's best score of a block.
 */
#include "tests/simd/check.h"

static double cached(const void *rows, bool bf16, size_t i)
{
    return bf16 ? (double)ox_f32_from_bf16(((const struct ox_bf16 *)rows)[i]) : (double)((const float *)rows)[i];
}

/* n values of a kind, as the cache stores them. */
static void *cache_rows(struct check *check, enum check_fill fill, float max, bool bf16, size_t n)
{
    if (!bf16) {
        float *x = check_floats(check, n);
        check_fill(check, fill, max, x, n);
        return x;
    }
    struct ox_bf16 *x = check_bytes(check, n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        float value;
        check_fill(check, fill, max, &value, 1);
        x[i] = ox_bf16_from_f32(value);
    }
    return x;
}

/* q . key, and the bound of what a kernel may make of it. */
static double exact_score(const struct check *check, const float *q, const void *keys, bool bf16, size_t j, size_t dim,
                          double *bound)
{
    const double terms = ceil((double)dim / (double)check->score_lanes) + ceil(log2((double)check->score_lanes));
    double sum = 0.0;
    double magnitude = 0.0;
    for (size_t k = dim; k > 0; k--) {
        const double product = (double)q[k - 1] * cached(keys, bf16, j * dim + k - 1);
        sum += product;
        magnitude += fabs(product);
    }
    *bound = 2.0 * terms * CHECK_U * magnitude + (double)dim * CHECK_TINY;
    return sum;
}

/* Kinds of values that make finite scores. */
static enum check_fill finite_fill(struct check *check)
{
    static const enum check_fill fills[] = {FILL_NORMAL, FILL_NORMAL, FILL_ZERO, FILL_MAX, FILL_ALTERNATING,
                                            FILL_DENORMAL};
    return fills[check_below(check, sizeof fills / sizeof fills[0])];
}

typedef void (*index_max_function)(OX_INDEX_MAX_PARAMETERS);

static void check_index_max(struct check *check, bool bf16, index_max_function function)
{
    static const size_t dims[] = {1, 16, 20, 64, 128, 513};
    check_begin(check);
    const size_t dim = check_below(check, 2) == 0 ? dims[check_below(check, 6)] : 1 + check_below(check, 140);
    const size_t n_keys = 1 + check_below(check, 130);
    const size_t n_q = 1 + check_below(check, 9);
    const size_t q_stride = dim + check_below(check, 5);
    const size_t best_stride = 1 + check_below(check, 5);
    const enum check_fill fill = finite_fill(check);
    float *q = check_floats(check, (n_q - 1) * q_stride + dim);
    for (size_t i = 0; i < n_q; i++) {
        check_fill(check, fill, 3.0e8F, q + i * q_stride, dim);
    }
    const void *keys = cache_rows(check, fill, 3.0e8F, bf16, n_keys * dim);
    float *best = check_floats(check, (n_q - 1) * best_stride + 1);
    function(q, q_stride, n_q, keys, n_keys, dim, best, best_stride);
    for (size_t i = 0; i < n_q; i++) {
        double low = -(double)INFINITY; /* the largest score lies between these */
        double high = low;
        for (size_t j = 0; j < n_keys; j++) {
            double bound;
            const double score = exact_score(check, q + i * q_stride, keys, bf16, j, dim, &bound);
            low = score - bound > low ? score - bound : low;
            high = score + bound > high ? score + bound : high;
        }
        const double found = (double)best[i * best_stride];
        if (!(found >= low && found <= high)) {
            check_fail(check, "query %zu of %zu, %zu keys of %zu: %.9g not in %.9g .. %.9g", i, n_q, n_keys, dim, found,
                       low, high);
            return;
        }
        if (i + 1 < n_q && !check_is_canary(best + i * best_stride + 1, best_stride - 1)) {
            check_fail(check, "the gap behind result %zu was written to", i);
        }
    }
    const size_t i = check_below(check, n_q);
    float *alone_q = check_floats(check, dim);
    float *alone = check_floats(check, 1);
    memcpy(alone_q, q + i * q_stride, dim * sizeof *q);
    function(alone_q, dim, 1, keys, n_keys, dim, alone, 1);
    if (!check_same(*alone, best[i * best_stride])) {
        check_fail(check, "query %zu of %zu: %a, alone %a", i, n_q, (double)best[i * best_stride], (double)*alone);
    }
}

void check_index_max_f32(struct check *check)
{
    check_index_max(check, false, check->kernels->index_max_f32);
}

void check_index_max_bf16(struct check *check)
{
    check_index_max(check, true, check->kernels->index_max_bf16);
}

typedef void (*attend_function)(OX_ATTEND_PARAMETERS);

struct attention {
    const float *q; /* of one query */
    const void *keys;
    const void *values;
    bool bf16;
    size_t n_keys;
    size_t dim;
    float scale;
    struct ox_softmax soft; /* what the kernel found */
    const float *sum;
};

/* The kernel's maximum is one of the scores up to their bound; its sums are those of exp(score - that maximum). The
 * error of a weight is that of its score, of the difference, and of exp. */
static void check_one_query(struct check *check, const struct attention *a)
{
    double weights[160];
    double errors[160]; /* of weights, relative */
    double low = -(double)INFINITY;
    double high = low;
    const double max = (double)a->soft.max;
    double sum = 0.0;
    double bound = 0.0;
    for (size_t j = 0; j < a->n_keys; j++) {
        double score_bound;
        const double scale = (double)a->scale;
        const double score = exact_score(check, a->q, a->keys, a->bf16, j, a->dim, &score_bound) * scale;
        score_bound = score_bound * scale + 2.0 * CHECK_U * fabs(score) + CHECK_TINY;
        low = score - score_bound > low ? score - score_bound : low;
        high = score + score_bound > high ? score + score_bound : high;
        weights[j] = exp(score - max);
        errors[j] = expm1(score_bound + 2.0 * CHECK_U * fabs(score - max)) + 2.0 * CHECK_EXP_U;
        sum += weights[j];
        bound += weights[j] * (errors[j] + 2.0 * (double)a->n_keys * CHECK_U) + CHECK_EXP_FLUSH;
    }
    if (!(max >= low && max <= high)) {
        check_fail(check, "largest score %.9g not in %.9g .. %.9g", max, low, high);
        return;
    }
    if (!check_near(check, a->soft.sum, sum, bound, 0)) {
        return;
    }
    for (size_t k = 0; k < a->dim; k++) {
        sum = 0.0;
        bound = 0.0;
        for (size_t j = a->n_keys; j > 0; j--) {
            const double v = cached(a->values, a->bf16, (j - 1) * a->dim + k);
            sum += weights[j - 1] * v;
            bound += fabs(v) * (weights[j - 1] * (errors[j - 1] + 2.0 * (double)a->n_keys * CHECK_U) + CHECK_EXP_FLUSH) +
                     CHECK_TINY;
        }
        if (!check_near(check, a->sum[k], sum, bound, k)) {
            return;
        }
    }
}

static void check_attend(struct check *check, bool bf16, attend_function function)
{
    static const size_t dims[] = {1, 16, 24, 64, 128, 513};
    static const size_t blocks[] = {1, 5, 8, 16, 32, 128};
    check_begin(check);
    const size_t dim = check_below(check, 2) == 0 ? dims[check_below(check, 6)] : 1 + check_below(check, 140);
    const size_t n_keys = check_below(check, 2) == 0 ? blocks[check_below(check, 6)] : 1 + check_below(check, 130);
    const size_t n_q = 1 + check_below(check, 17);
    const size_t q_stride = dim + check_below(check, 5);
    const float scale = 1.0F / sqrtf((float)dim);
    const enum check_fill fill = finite_fill(check);
    float *q = check_floats(check, (n_q - 1) * q_stride + dim);
    for (size_t i = 0; i < n_q; i++) {
        check_fill(check, fill, 3.0F, q + i * q_stride, dim);
    }
    const void *keys = cache_rows(check, fill, 3.0F, bf16, n_keys * dim);
    const void *values = cache_rows(check, finite_fill(check), 1.0e30F, bf16, n_keys * dim);
    struct ox_softmax *soft = check_bytes(check, n_q * sizeof *soft);
    float *sum = check_floats(check, n_q * dim);
    float *scores = check_floats(check, n_q * ((n_keys + 15) / 16 * 16));
    function(q, q_stride, n_q, keys, values, n_keys, dim, scale, soft, sum, scores);
    const size_t i = check_below(check, n_q);
    const struct attention a = {.q = q + i * q_stride, .keys = keys, .values = values, .bf16 = bf16, .n_keys = n_keys,
                                .dim = dim, .scale = scale, .soft = soft[i], .sum = sum + i * dim};
    check_one_query(check, &a);
    struct ox_softmax alone;
    float *alone_sum = check_floats(check, dim);
    function(a.q, dim, 1, keys, values, n_keys, dim, scale, &alone, alone_sum, scores);
    if (!check_same(alone.max, a.soft.max) || !check_same(alone.sum, a.soft.sum)) {
        check_fail(check, "query %zu of %zu: state %a %a, alone %a %a", i, n_q, (double)a.soft.max,
                   (double)a.soft.sum, (double)alone.max, (double)alone.sum);
    }
    for (size_t k = 0; k < dim; k++) {
        if (!check_same(alone_sum[k], a.sum[k])) {
            check_fail(check, "query %zu of %zu: sum %a, alone %a", i, n_q, (double)a.sum[k], (double)alone_sum[k]);
            return;
        }
    }
}

/* A NaN among the keys is seen in the result. */
static void check_attend_nan(struct check *check, bool bf16, attend_function function)
{
    check_begin(check);
    const size_t dim = 1 + check_below(check, 40);
    const size_t n_keys = 1 + check_below(check, 40);
    float *q = check_floats(check, dim);
    check_fill(check, FILL_NORMAL, 0.0F, q, dim);
    void *keys = cache_rows(check, FILL_NORMAL, 0.0F, bf16, n_keys * dim);
    const void *values = cache_rows(check, FILL_NORMAL, 0.0F, bf16, n_keys * dim);
    const size_t at = check_below(check, n_keys * dim);
    if (bf16) {
        ((struct ox_bf16 *)keys)[at] = ox_bf16_from_f32(NAN);
    } else {
        ((float *)keys)[at] = NAN;
    }
    struct ox_softmax soft;
    float *sum = check_floats(check, dim);
    float *scores = check_floats(check, (n_keys + 15) / 16 * 16);
    function(q, dim, 1, keys, values, n_keys, dim, 1.0F, &soft, sum, scores);
    if (!isnan(soft.sum) || !isnan(sum[0])) {
        check_fail(check, "a NaN key gave the state %a %a", (double)soft.max, (double)soft.sum);
    }
}

void check_attend_f32(struct check *check)
{
    check_attend(check, false, check->kernels->attend_f32);
    check_attend_nan(check, false, check->kernels->attend_f32);
}

void check_attend_bf16(struct check *check)
{
    check_attend(check, true, check->kernels->attend_bf16);
    check_attend_nan(check, true, check->kernels->attend_bf16);
}

/* Into an empty state goes the part as it is. */
static void check_merge_empty(struct check *check, struct ox_softmax part, const float *part_sum, size_t dim)
{
    struct ox_softmax into = {-INFINITY, 0.0F};
    float *sum = check_floats(check, dim);
    for (size_t i = 0; i < dim; i++) {
        sum[i] = 0.0F;
    }
    check->kernels->attend_merge(&into, sum, part, part_sum, dim);
    if (!check_same(into.max, part.max) || !check_same(into.sum, part.sum)) {
        check_fail(check, "an empty state and %a %a gave %a %a", (double)part.max, (double)part.sum, (double)into.max,
                   (double)into.sum);
    }
    for (size_t i = 0; i < dim; i++) {
        if (sum[i] != part_sum[i]) {
            check_fail(check, "an empty sum and %a gave %a", (double)part_sum[i], (double)sum[i]);
            return;
        }
    }
}

void check_attend_merge(struct check *check)
{
    check_begin(check);
    const size_t dim = check_length(check);
    const enum check_fill fill = finite_fill(check);
    float *sum = check_floats(check, dim);
    float *part_sum = check_floats(check, dim);
    float *before = check_floats(check, dim);
    check_fill(check, fill, 1.0e30F, sum, dim);
    check_fill(check, fill, 1.0e30F, part_sum, dim);
    if (dim > 0) {
        memcpy(before, sum, dim * sizeof *sum);
    }
    struct ox_softmax into = {(float)(20.0 * check_normal(check)), (float)(1.0 + 9.0 * ox_rng_double(&check->rng))};
    struct ox_softmax part = {(float)(20.0 * check_normal(check)), (float)(1.0 + 9.0 * ox_rng_double(&check->rng))};
    if (check_below(check, 4) == 0) {
        part.max = into.max;
    }
    const struct ox_softmax old = into;
    check->kernels->attend_merge(&into, sum, part, part_sum, dim);
    const double max = fmax((double)old.max, (double)part.max);
    const double a = exp((double)old.max - max);
    const double b = exp((double)part.max - max);
    const double apart = fabs((double)old.max - (double)part.max);
    /* the difference of the maxima, exp, a product and a sum are rounded */
    const double u = expm1(CHECK_U * apart) + CHECK_EXP_U + 2.0 * CHECK_U;
    if ((double)into.max != max) {
        check_fail(check, "largest of %a and %a: %a", (double)old.max, (double)part.max, (double)into.max);
    }
    check_near(check, into.sum, (double)old.sum * a + (double)part.sum * b,
               2.0 * u * ((double)old.sum * a + (double)part.sum * b) + 20.0 * CHECK_EXP_FLUSH, 0);
    for (size_t i = 0; i < dim; i++) {
        const double x = (double)before[i] * a;
        const double y = (double)part_sum[i] * b;
        const double flush = CHECK_EXP_FLUSH * (fabs((double)before[i]) + fabs((double)part_sum[i])) + 2.0 * CHECK_TINY;
        if (!check_near(check, sum[i], x + y, 2.0 * u * (fabs(x) + fabs(y)) + flush, i)) {
            return;
        }
    }
    check_merge_empty(check, part, part_sum, dim);
}
