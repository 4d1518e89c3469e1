/* SPDX-License-Identifier: Apache-2.0
 *
 * Drawing one id: adjust, cut down, weigh, draw. Candidates are ordered by logit, ties by the lower id.
 */
#include "engine/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum ox_status ox_sampler_init(size_t vocab, struct ox_sampler *out, struct ox_error *err)
{
    memset(out, 0, sizeof *out);
    out->vocab = vocab;
    out->candidates = ox_calloc(vocab, sizeof *out->candidates);
    out->weights = ox_calloc(vocab, sizeof *out->weights);
    out->n_drawn = ox_calloc(vocab, sizeof *out->n_drawn);
    if (out->candidates == NULL || out->weights == NULL || out->n_drawn == NULL) {
        ox_sampler_fini(out);
        return ox_error_nomem(err, vocab * sizeof *out->candidates);
    }
    return OX_OK;
}

void ox_sampler_fini(struct ox_sampler *sampler)
{
    ox_free(sampler->candidates);
    ox_free(sampler->weights);
    ox_free(sampler->n_drawn);
    memset(sampler, 0, sizeof *sampler);
}

void ox_sampler_begin(struct ox_sampler *sampler)
{
    memset(sampler->n_drawn, 0, sampler->vocab * sizeof *sampler->n_drawn);
}

static enum ox_status check_range(const char *name, double value, double low, double high, struct ox_error *err)
{
    if (!(value >= low && value <= high)) {
        return ox_error_set(err, OX_E_ARG, "%s: expected a number from %g to %g, found %g", name, low, high, value);
    }
    return OX_OK;
}

enum ox_status ox_sampling_check(const struct oxcart_sampling *options, size_t vocab, struct ox_error *err)
{
    const struct {
        const char *name;
        double value;
        double low;
        double high;
    } ranges[] = {
        {"temperature", (double)options->temperature, 0.0, 100.0},
        {"top-p", (double)options->top_p, 0.0, 1.0},
        {"top-k", (double)options->top_k, 0.0, 2147483647.0},
        {"min-p", (double)options->min_p, 0.0, 1.0},
        {"presence-penalty", (double)options->presence_penalty, -100.0, 100.0},
        {"frequency-penalty", (double)options->frequency_penalty, -100.0, 100.0},
        {"predict", (double)options->n_predict, 0.0, 2147483647.0},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const enum ox_status status = check_range(ranges[i].name, ranges[i].value, ranges[i].low, ranges[i].high, err);
        if (status != OX_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < options->n_bias; i++) {
        if (options->bias[i].id < 0 || (size_t)options->bias[i].id >= vocab || isnan(options->bias[i].bias)) {
            return ox_error_set(err, OX_E_ARG, "logit-bias: id %d is not in 0 to %zu, or its bias is not a number",
                                options->bias[i].id, vocab - 1);
        }
    }
    return OX_OK;
}

/* Better candidates first. */
static int compare(const void *a, const void *b)
{
    const struct ox_candidate *x = a;
    const struct ox_candidate *y = b;
    if (x->logit != y->logit) {
        return x->logit > y->logit ? -1 : 1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

/* The logits after bias and penalties, without the banned, the impossible and what is not allowed; returns how many
 * candidates there are. */
static size_t adjust(struct ox_sampler *sampler, const struct oxcart_sampling *options, const float *logits,
                     const uint8_t *banned, const uint64_t *allowed)
{
    struct ox_candidate *all = sampler->candidates;
    for (size_t i = 0; i < sampler->vocab; i++) {
        all[i].id = (int32_t)i;
        all[i].logit = logits[i];
        const uint32_t n = sampler->n_drawn[i];
        if (n > 0) {
            all[i].logit -= options->presence_penalty + options->frequency_penalty * (float)n;
        }
    }
    for (size_t i = 0; i < options->n_bias; i++) {
        all[options->bias[i].id].logit += options->bias[i].bias;
    }
    size_t n = 0;
    for (size_t i = 0; i < sampler->vocab; i++) {
        if (all[i].logit > -INFINITY && (banned == NULL || banned[i] == 0) &&
            (allowed == NULL || (allowed[i / 64] >> (i % 64) & 1) != 0)) {
            all[n++] = all[i];
        }
    }
    return n;
}

static size_t best_of(const struct ox_candidate *all, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        if (all[i].logit > all[best].logit) {
            best = i;
        }
    }
    return best;
}

/* Bring the k best to the front, in order: a heap whose root is the worst of those kept. */
static void sift_down(struct ox_candidate *heap, size_t n, size_t i)
{
    for (;;) {
        size_t worst = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++) {
            if (compare(&heap[child], &heap[worst]) > 0) {
                worst = child;
            }
        }
        if (worst == i) {
            return;
        }
        const struct ox_candidate moved = heap[i];
        heap[i] = heap[worst];
        heap[worst] = moved;
        i = worst;
    }
}

static void keep_best(struct ox_candidate *all, size_t n, size_t k)
{
    for (size_t i = k / 2; i > 0; i--) {
        sift_down(all, k, i - 1);
    }
    for (size_t i = k; i < n; i++) {
        if (compare(&all[i], &all[0]) < 0) {
            const struct ox_candidate moved = all[0];
            all[0] = all[i];
            all[i] = moved;
            sift_down(all, k, 0);
        }
    }
    qsort(all, k, sizeof *all, compare);
}

/* Weights exp((logit - largest) / temperature) of n candidates; returns their sum. */
static double weigh(struct ox_sampler *sampler, size_t n, double temperature)
{
    const double largest = (double)sampler->candidates[best_of(sampler->candidates, n)].logit;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double logit = (double)sampler->candidates[i].logit;
        /* +inf against +inf counts as equal */
        sampler->weights[i] = logit == largest ? 1.0 : exp((logit - largest) / temperature);
        sum += sampler->weights[i];
    }
    return sum;
}

/* How many of n ordered candidates top-p and min-p leave; *sum becomes the sum of their weights. */
static size_t cut(const struct ox_sampler *sampler, const struct oxcart_sampling *options, size_t n, double *sum)
{
    const double wanted = (double)options->top_p * *sum;
    const double least = (double)options->min_p * sampler->weights[0];
    double reached = 0.0;
    size_t kept = 0;
    while (kept < n) {
        if (kept > 0 && ((options->top_p < 1.0F && reached >= wanted) || sampler->weights[kept] < least)) {
            break;
        }
        reached += sampler->weights[kept++];
    }
    *sum = reached;
    return kept;
}

static size_t draw(struct ox_sampler *sampler, const struct oxcart_sampling *options, size_t n, struct ox_rng *rng)
{
    if (options->temperature == 0.0F) {
        return best_of(sampler->candidates, n);
    }
    const bool ordered = options->top_p < 1.0F || options->min_p > 0.0F;
    if (options->top_k > 0 && (size_t)options->top_k < n) {
        keep_best(sampler->candidates, n, (size_t)options->top_k);
        n = (size_t)options->top_k;
    } else if (ordered) {
        qsort(sampler->candidates, n, sizeof *sampler->candidates, compare);
    }
    double sum = weigh(sampler, n, (double)options->temperature);
    if (ordered) {
        n = cut(sampler, options, n, &sum);
    }
    double left = ox_rng_double(rng) * sum;
    for (size_t i = 0; i + 1 < n; i++) {
        left -= sampler->weights[i];
        if (left < 0.0) {
            return i;
        }
    }
    return n - 1;
}

int32_t ox_sampler_draw(struct ox_sampler *sampler, const struct oxcart_sampling *options, const float *logits,
                        const uint8_t *banned, const uint64_t *allowed, struct ox_rng *rng)
{
    const size_t n = adjust(sampler, options, logits, banned, allowed);
    if (n == 0) {
        return -1;
    }
    const int32_t id = sampler->candidates[draw(sampler, options, n, rng)].id;
    sampler->n_drawn[id]++;
    return id;
}
