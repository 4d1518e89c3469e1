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

/* q . key, and the bound of what a kernel may make of it. rounded: q's operand is the kind that may be. */
static double exact_score(const struct check *check, const float *q, bool rounded, const void *keys, bool bf16, size_t j,
                          size_t dim, double *bound)
{
    const double terms = ceil((double)dim / (double)check->score_lanes) + ceil(log2((double)check->score_lanes));
    double sum = 0.0;
    double magnitude = 0.0;
    double flushed = 0.0;
    for (size_t k = dim; k > 0; k--) {
        const double key = cached(keys, bf16, j * dim + k - 1);
        const double value = rounded && check->rounds ? check_nearest_bf16(q[k - 1]) : (double)q[k - 1];
        sum += value * key;
        magnitude += fabs(value * key);
        flushed += check->flush * (fabs(value) + fabs(key) + 1.0);
    }
    *bound = 2.0 * terms * CHECK_U * magnitude + (double)dim * CHECK_TINY + flushed;
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
    const size_t n_all = 1 + check_below(check, check_below(check, 4) == 0 ? 80 : 20);
    const size_t first = check_below(check, n_all);
    const size_t n_q = 1 + check_below(check, n_all - first);
    const size_t best_stride = 1 + check_below(check, 5);
    const enum check_fill fill = finite_fill(check);
    float *all = check_floats(check, n_all * dim);
    const float *q = all + first * dim;
    check_fill(check, fill, 3.0e8F, all, n_all * dim);
    const void *keys = cache_rows(check, fill, 3.0e8F, bf16, n_keys * dim);
    float *best = check_floats(check, (n_q - 1) * best_stride + 1);
    function(check_operand(check, true, all, n_all, dim), n_all, first, n_q, keys, n_keys, dim, best, best_stride);
    for (size_t i = 0; i < n_q; i++) {
        double low = -(double)INFINITY; /* the largest score lies between these */
        double high = low;
        for (size_t j = 0; j < n_keys; j++) {
            double bound;
            const double score = exact_score(check, q + i * dim, false, keys, bf16, j, dim, &bound);
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
    float *alone = check_floats(check, 1);
    function(check_operand(check, true, q + i * dim, 1, dim), 1, 0, 1, keys, n_keys, dim, alone, 1);
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

#define MOST_TOKENS 5

struct attention {
    const float *q; /* of one query */
    const void *keys;
    const void *values;
    bool bf16;
    size_t n_keys; /* that it sees */
    size_t dim;
    float scale;
    struct ox_softmax soft; /* what the kernel found */
    const float *sum;
};

/* Relative error of a weight exp(score - max) where it is rounded to BF16 before it meets the values. */
#define ROUNDED_WEIGHT 0x1p-8

/* The kernel's maximum is one of the scores up to their bound; its sums are those of exp(score - that maximum). The
 * error of a weight is that of its score, of the difference, and of exp. */
static void check_one_query(struct check *check, const struct attention *a)
{
    double weights[160];
    double errors[160]; /* of weights, relative */
    double low = -(double)INFINITY;
    double high = low;
    const double max = (double)a->soft.max;
    const double rounded = check->rounds ? ROUNDED_WEIGHT : 0.0;
    double sum = 0.0;
    double bound = 0.0;
    for (size_t j = 0; j < a->n_keys; j++) {
        double score_bound;
        const double scale = (double)a->scale;
        const double score = exact_score(check, a->q, true, a->keys, a->bf16, j, a->dim, &score_bound) * scale;
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
            bound += fabs(v) * (weights[j - 1] * (errors[j - 1] + rounded + 2.0 * (double)a->n_keys * CHECK_U) +
                                CHECK_EXP_FLUSH) +
                     CHECK_TINY + check->flush * (fabs(v) + 1.0);
        }
        if (!check_near(check, a->sum[k], sum, bound, k)) {
            return;
        }
    }
}

/* Tokens over one block, from nothing gathered. */
struct batch {
    size_t n_tokens;
    size_t n_heads;
    size_t dim;
    const float *q;       /* [n_tokens, n_heads, dim] */
    const size_t *n_seen; /* [n_tokens] */
    struct ox_softmax *soft;
    float *sum;
};

static void attend_batch(struct check *check, attend_function function, const struct batch *b, const void *keys,
                         const void *values, size_t n_keys, float scale, void *room)
{
    const uint8_t *operands[MOST_TOKENS];
    struct ox_gathered gathered[MOST_TOKENS];
    const size_t token = b->n_heads * b->dim;
    for (size_t i = 0; i < b->n_tokens; i++) {
        gathered[i] = (struct ox_gathered){b->soft + i * b->n_heads, b->sum + i * token};
        for (size_t h = 0; h < b->n_heads; h++) {
            gathered[i].soft[h] = (struct ox_softmax){-INFINITY, 0.0F};
        }
        memset(gathered[i].sum, 0, token * sizeof(float));
        operands[i] = check_operand(check, false, b->q + i * token, b->n_heads, b->dim);
    }
    function(operands, gathered, b->n_seen, b->n_tokens, b->n_heads, keys, values, n_keys, b->dim, scale, room);
}

/* One of the batch's tokens alone: the same bits. */
static void attend_alone(struct check *check, attend_function function, const struct batch *b, const void *keys,
                         const void *values, float scale, void *room)
{
    const size_t i = check_below(check, b->n_tokens);
    const size_t token = b->n_heads * b->dim;
    struct batch one = *b;
    one.n_tokens = 1;
    one.q += i * token;
    one.n_seen += i;
    one.soft = check_bytes(check, b->n_heads * sizeof *one.soft);
    one.sum = check_floats(check, token);
    attend_batch(check, function, &one, keys, values, one.n_seen[0], scale, room);
    for (size_t h = 0; h < b->n_heads; h++) {
        const struct ox_softmax found = b->soft[i * b->n_heads + h];
        if (!check_same(one.soft[h].max, found.max) || !check_same(one.soft[h].sum, found.sum)) {
            check_fail(check, "token %zu of %zu, head %zu: state %a %a, alone %a %a", i, b->n_tokens, h,
                       (double)found.max, (double)found.sum, (double)one.soft[h].max, (double)one.soft[h].sum);
        }
    }
    for (size_t k = 0; k < token; k++) {
        if (!check_same(one.sum[k], b->sum[i * token + k])) {
            check_fail(check, "token %zu of %zu: sum %a, alone %a", i, b->n_tokens, (double)b->sum[i * token + k],
                       (double)one.sum[k]);
            return;
        }
    }
}

static void check_attend(struct check *check, bool bf16, attend_function function)
{
    static const size_t dims[] = {1, 16, 80, 96, 128, 513};
    static const size_t blocks[] = {1, 5, 8, 16, 32, 128};
    check_begin(check);
    const size_t dim = check_below(check, 2) == 0 ? dims[check_below(check, 6)] : 1 + check_below(check, 140);
    const size_t n_keys = check_below(check, 2) == 0 ? blocks[check_below(check, 6)] : 1 + check_below(check, 130);
    const float scale = 1.0F / sqrtf((float)dim);
    const enum check_fill fill = finite_fill(check);
    size_t n_seen[MOST_TOKENS];
    struct batch b = {.n_tokens = 1 + check_below(check, MOST_TOKENS), .dim = dim, .n_seen = n_seen};
    b.n_heads = check_below(check, 3) == 0 ? 16 : 1 + check_below(check, 18);
    const size_t n_q = b.n_tokens * b.n_heads;
    for (size_t i = 0; i < b.n_tokens; i++) {
        n_seen[i] = check_below(check, 2) == 0 ? n_keys : 1 + check_below(check, n_keys);
    }
    float *q = check_floats(check, n_q * dim);
    check_fill(check, fill, 3.0F, q, n_q * dim);
    const void *keys = cache_rows(check, fill, 3.0F, bf16, n_keys * dim);
    const void *values = cache_rows(check, finite_fill(check), 1.0e30F, bf16, n_keys * dim);
    b.q = q;
    b.soft = check_bytes(check, n_q * sizeof *b.soft);
    b.sum = check_floats(check, n_q * dim);
    void *room = check_room(check, check->kernels->attend_room(b.n_heads, n_keys, dim));
    attend_batch(check, function, &b, keys, values, n_keys, scale, room);
    const size_t i = check_below(check, n_q);
    const struct attention a = {.q = q + i * dim, .keys = keys, .values = values, .bf16 = bf16,
                                .n_keys = n_seen[i / b.n_heads], .dim = dim, .scale = scale, .soft = b.soft[i],
                                .sum = b.sum + i * dim};
    check_one_query(check, &a);
    attend_alone(check, function, &b, keys, values, scale, room);
}

/* What a token has gathered joins: two blocks one after the other are as attend_merge puts them together. */
static void check_attend_twice(struct check *check, bool bf16, attend_function function)
{
    check_begin(check);
    const size_t dim = 1 + check_below(check, 140);
    const size_t heads = 1 + check_below(check, 17);
    const size_t n_keys = 1 + check_below(check, 40);
    const size_t n_seen = 1 + check_below(check, n_keys);
    struct batch b = {.n_tokens = 1, .n_heads = heads, .dim = dim, .n_seen = &n_seen};
    float *q = check_floats(check, heads * dim);
    float *sums[2] = {check_floats(check, heads * dim), check_floats(check, heads * dim)};
    struct ox_softmax *soft[2] = {check_bytes(check, heads * sizeof **soft), check_bytes(check, heads * sizeof **soft)};
    void *room = check_room(check, check->kernels->attend_room(heads, n_keys, dim));
    check_fill(check, FILL_NORMAL, 0.0F, q, heads * dim);
    b.q = q;
    const void *keys[2] = {cache_rows(check, FILL_NORMAL, 0.0F, bf16, n_keys * dim),
                           cache_rows(check, FILL_NORMAL, 0.0F, bf16, n_keys * dim)};
    for (size_t i = 0; i < 2; i++) { /* keys serve as values too */
        b.soft = soft[i];
        b.sum = sums[i];
        attend_batch(check, function, &b, keys[i], keys[1 - i], n_keys, 0.25F, room);
    }
    struct ox_gathered both = {check_bytes(check, heads * sizeof *both.soft), check_floats(check, heads * dim)};
    memcpy(both.soft, soft[0], heads * sizeof *both.soft);
    memcpy(both.sum, sums[0], heads * dim * sizeof *both.sum);
    const uint8_t *operand = check_operand(check, false, q, heads, dim);
    function(&operand, &both, &n_seen, 1, heads, keys[1], keys[0], n_keys, dim, 0.25F, room);
    check->kernels->attend_merge(soft[0], sums[0], soft[1], sums[1], heads, dim);
    if (memcmp(both.soft, soft[0], heads * sizeof *both.soft) != 0 ||
        memcmp(both.sum, sums[0], heads * dim * sizeof *both.sum) != 0) {
        check_fail(check, "two blocks gathered are not the two merged");
    }
}

/* A NaN among the keys that it sees is seen in the result; one among the others is not. */
static void check_attend_nan(struct check *check, bool bf16, attend_function function)
{
    check_begin(check);
    const size_t dim = 1 + check_below(check, 40);
    const size_t n_keys = 1 + check_below(check, 40);
    const size_t n_seen = 1 + check_below(check, n_keys);
    struct batch b = {.n_tokens = 1, .n_heads = 1, .dim = dim, .n_seen = &n_seen};
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
    b.q = q;
    b.soft = check_bytes(check, sizeof *b.soft);
    b.sum = check_floats(check, dim);
    attend_batch(check, function, &b, keys, values, n_keys, 1.0F,
                 check_room(check, check->kernels->attend_room(1, n_keys, dim)));
    const bool seen = at / dim < n_seen;
    if (isnan(b.soft[0].sum) != seen || isnan(b.sum[0]) != seen) {
        check_fail(check, "a NaN in key %zu of %zu seen gave the state %a %a", at / dim, n_seen,
                   (double)b.soft[0].max, (double)b.soft[0].sum);
    }
}

/* Without scratch nothing can be done; more keys never need less. */
void check_attend_room(struct check *check)
{
    check_begin(check);
    const size_t heads = 1 + check_below(check, 20);
    const size_t n_keys = 1 + check_below(check, 200);
    const size_t dim = 1 + check_below(check, 200);
    const size_t bytes = check->kernels->attend_room(heads, n_keys, dim);
    if (bytes == 0 || check->kernels->attend_room(heads, n_keys + 1, dim) < bytes) {
        check_fail(check, "%zu bytes for %zu heads, %zu keys of %zu", bytes, heads, n_keys, dim);
    }
}

void check_attend_f32(struct check *check)
{
    check_attend(check, false, check->kernels->attend_f32);
    check_attend_twice(check, false, check->kernels->attend_f32);
    check_attend_nan(check, false, check->kernels->attend_f32);
}

void check_attend_bf16(struct check *check)
{
    check_attend(check, true, check->kernels->attend_bf16);
    check_attend_twice(check, true, check->kernels->attend_bf16);
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
    check->kernels->attend_merge(&into, sum, &part, part_sum, 1, dim);
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

/* Several at once are merged as each alone. */
static void check_merge_many(struct check *check)
{
    check_begin(check);
    const size_t n = 2 + check_below(check, 17);
    const size_t dim = 1 + check_below(check, 140);
    struct ox_softmax *into = check_bytes(check, n * sizeof *into);
    struct ox_softmax *part = check_bytes(check, n * sizeof *part);
    struct ox_softmax *alone = check_bytes(check, n * sizeof *alone);
    float *sum = check_floats(check, n * dim);
    float *part_sum = check_floats(check, n * dim);
    float *alone_sum = check_floats(check, n * dim);
    for (size_t i = 0; i < n; i++) {
        into[i] = (struct ox_softmax){(float)check_normal(check), 1.5F};
        part[i] = (struct ox_softmax){check_below(check, 4) == 0 ? into[i].max : (float)check_normal(check), 2.5F};
    }
    check_fill(check, FILL_NORMAL, 0.0F, sum, n * dim);
    check_fill(check, FILL_NORMAL, 0.0F, part_sum, n * dim);
    memcpy(alone, into, n * sizeof *into);
    memcpy(alone_sum, sum, n * dim * sizeof *sum);
    check->kernels->attend_merge(into, sum, part, part_sum, n, dim);
    for (size_t i = 0; i < n; i++) {
        check->kernels->attend_merge(alone + i, alone_sum + i * dim, part + i, part_sum + i * dim, 1, dim);
    }
    if (memcmp(into, alone, n * sizeof *into) != 0 || memcmp(sum, alone_sum, n * dim * sizeof *sum) != 0) {
        check_fail(check, "%zu states of %zu merged at once are not those merged one by one", n, dim);
    }
}

void check_attend_merge(struct check *check)
{
    check_merge_many(check);
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
    check->kernels->attend_merge(&into, sum, &part, part_sum, 1, dim);
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
