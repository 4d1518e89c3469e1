/* SPDX-License-Identifier: Apache-2.0
 *
 * Drawing one id: adjust, cut down, weigh, draw. Candidates are ordered by logit, ties by the lower id. Of 200,000 ids
 * few are ever looked at one by one: kernels find the largest of each chunk, and weigh them all where the tail counts.
 */
#include "engine/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static size_t n_chunks(size_t vocab)
{
    return vocab / OX_CHUNK + (vocab % OX_CHUNK != 0);
}

enum ox_status ox_sampler_init(const struct ox_kernels *kernels, size_t vocab, struct ox_sampler *out,
                               struct ox_error *err)
{
    memset(out, 0, sizeof *out);
    out->kernels = kernels;
    out->vocab = vocab;
    out->logits = ox_calloc_aligned(vocab, sizeof *out->logits);
    out->largest = ox_calloc(n_chunks(vocab), sizeof *out->largest);
    out->weights = ox_calloc_aligned(vocab, sizeof *out->weights);
    out->sums = ox_calloc(n_chunks(vocab), sizeof *out->sums);
    out->buckets = ox_calloc(OX_SAMPLER_BUCKETS, sizeof *out->buckets);
    out->candidates = ox_calloc(vocab, sizeof *out->candidates);
    out->n_drawn = ox_calloc(vocab, sizeof *out->n_drawn);
    if (out->logits == NULL || out->largest == NULL || out->weights == NULL || out->sums == NULL ||
        out->buckets == NULL || out->candidates == NULL || out->n_drawn == NULL) {
        ox_sampler_fini(out);
        return ox_error_nomem(err, vocab * sizeof *out->candidates);
    }
    return OX_OK;
}

void ox_sampler_fini(struct ox_sampler *sampler)
{
    ox_free(sampler->logits);
    ox_free(sampler->largest);
    ox_free(sampler->weights);
    ox_free(sampler->sums);
    ox_free(sampler->buckets);
    ox_free(sampler->candidates);
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

/* Make what is not allowed impossible: bits of a word for OX_CHUNK ids. */
static void forbid(float *logits, size_t n, uint64_t allowed)
{
    if (allowed == UINT64_MAX) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if ((allowed >> i & 1) == 0) {
            logits[i] = -INFINITY;
        }
    }
}

/* Make the banned impossible: few, so eight are looked at in one. */
static void ban(float *logits, const uint8_t *banned, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t eight = 0;
        while (i + 8 <= n && eight == 0) {
            memcpy(&eight, banned + i, 8);
            i += eight == 0 ? 8 : 0;
        }
        if (i < n && banned[i] != 0) {
            logits[i] = -INFINITY;
        }
    }
}

/* The logits after bias and penalties, the banned and what is not allowed impossible; returns the largest. */
static float adjust(struct ox_sampler *sampler, const struct oxcart_sampling *options, const float *logits,
                    const uint8_t *banned, const uint64_t *allowed)
{
    float *own = sampler->logits;
    const size_t vocab = sampler->vocab;
    memcpy(own, logits, vocab * sizeof *own);
    const bool penalties = options->presence_penalty != 0.0F || options->frequency_penalty != 0.0F;
    for (size_t i = 0; penalties && i < vocab; i++) {
        const uint32_t n = sampler->n_drawn[i];
        if (n > 0) {
            own[i] -= options->presence_penalty + options->frequency_penalty * (float)n;
        }
    }
    for (size_t i = 0; i < options->n_bias; i++) {
        own[options->bias[i].id] += options->bias[i].bias;
    }
    if (banned != NULL) {
        ban(own, banned, vocab);
    }
    for (size_t i = 0; allowed != NULL && i < vocab; i += OX_CHUNK) {
        forbid(own + i, vocab - i < OX_CHUNK ? vocab - i : OX_CHUNK, allowed[i / OX_CHUNK]);
    }
    sampler->kernels->chunk_max(own, vocab, sampler->largest);
    float largest = -INFINITY;
    for (size_t c = 0; c < n_chunks(vocab); c++) {
        largest = sampler->largest[c] > largest ? sampler->largest[c] : largest;
    }
    return largest;
}

/* The first id with the largest logit. */
static int32_t best_id(const struct ox_sampler *sampler, float largest)
{
    size_t i = 0;
    while (sampler->largest[i / OX_CHUNK] != largest) {
        i += OX_CHUNK;
    }
    while (sampler->logits[i] != largest) {
        i++;
    }
    return (int32_t)i;
}

/* A heap whose root is the worst of those kept. */
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

/* The at most k best to candidates, in order; returns how many. Chunks that hold nothing better than the worst of k
 * are passed by. */
static size_t keep_best(struct ox_sampler *sampler, size_t k)
{
    struct ox_candidate *kept = sampler->candidates;
    size_t n = 0;
    for (size_t begin = 0; begin < sampler->vocab; begin += OX_CHUNK) {
        const size_t end = sampler->vocab - begin < OX_CHUNK ? sampler->vocab : begin + OX_CHUNK;
        float least = n < k ? -INFINITY : kept[0].logit;
        if (!(sampler->largest[begin / OX_CHUNK] > least)) {
            continue; /* of equals the lower id is better, and that is kept */
        }
        for (size_t i = begin; i < end; i++) {
            if (!(sampler->logits[i] > least)) {
                continue;
            }
            const struct ox_candidate candidate = {.logit = sampler->logits[i], .id = (int32_t)i};
            if (n < k) {
                kept[n++] = candidate;
                for (size_t j = n == k ? k / 2 : 0; j > 0; j--) {
                    sift_down(kept, k, j - 1);
                }
            } else {
                kept[0] = candidate;
                sift_down(kept, k, 0);
            }
            least = n < k ? -INFINITY : kept[0].logit;
        }
    }
    qsort(kept, n, sizeof *kept, compare);
    return n;
}

/* How many of n ordered candidates top-p and min-p leave; *sum becomes the sum of their weights. */
static size_t cut(const struct ox_candidate *all, const struct oxcart_sampling *options, size_t n, double *sum)
{
    const double wanted = (double)options->top_p * *sum;
    const double least = (double)options->min_p * all[0].weight;
    double reached = 0.0;
    size_t kept = 0;
    while (kept < n) {
        if (kept > 0 && ((options->top_p < 1.0F && reached >= wanted) || all[kept].weight < least)) {
            break;
        }
        reached += all[kept++].weight;
    }
    *sum = reached;
    return kept;
}

/* Draw one of n candidates whose weights are sum. */
static int32_t draw_of(const struct ox_candidate *all, size_t n, double sum, struct ox_rng *rng)
{
    double left = ox_rng_double(rng) * sum;
    for (size_t i = 0; i + 1 < n; i++) {
        left -= all[i].weight;
        if (left < 0.0) {
            return all[i].id;
        }
    }
    return all[n - 1].id;
}

/* Only the k best count. */
static int32_t draw_best(struct ox_sampler *sampler, const struct oxcart_sampling *options, struct ox_rng *rng)
{
    struct ox_candidate *all = sampler->candidates;
    size_t n = keep_best(sampler, (size_t)options->top_k);
    const double largest = (double)all[0].logit;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double logit = (double)all[i].logit;
        /* +inf against +inf counts as equal */
        all[i].weight = logit == largest ? 1.0 : exp((logit - largest) / (double)options->temperature);
        sum += all[i].weight;
    }
    n = cut(all, options, n, &sum);
    return draw_of(all, n, sum, rng);
}

/* Weights of the whole vocabulary; returns their sum. */
static double weigh_all(struct ox_sampler *sampler, float largest, float temperature)
{
    sampler->kernels->weigh(sampler->logits, sampler->vocab, largest, 1.0F / temperature, sampler->weights,
                            sampler->sums);
    double total = 0.0;
    for (size_t c = 0; c < n_chunks(sampler->vocab); c++) {
        total += (double)sampler->sums[c];
    }
    return total;
}

/* The whole vocabulary counts, in order of ids. */
static int32_t draw_any(struct ox_sampler *sampler, double total, struct ox_rng *rng)
{
    double left = ox_rng_double(rng) * total;
    size_t i = 0;
    while (i + OX_CHUNK < sampler->vocab && left >= (double)sampler->sums[i / OX_CHUNK]) {
        left -= (double)sampler->sums[i / OX_CHUNK];
        i += OX_CHUNK;
    }
    size_t last = sampler->vocab; /* that can be drawn, in case rounding leaves something over */
    for (; i < sampler->vocab; i++) {
        if (sampler->weights[i] > 0.0F) {
            last = i;
            left -= (double)sampler->weights[i];
            if (left < 0.0) {
                return (int32_t)i;
            }
        }
    }
    while (last == sampler->vocab) {
        i--;
        last = sampler->weights[i] > 0.0F ? i : last;
    }
    return (int32_t)last;
}

/* ---- top-p and min-p of the whole vocabulary: the border is found by buckets of logits, of which one is sorted --- */

/* What divides those who are kept from the others: no worse than the border, no lighter than least. */
struct border {
    struct ox_candidate last;
    float least;
};

static bool keeps(const struct border *border, const struct ox_sampler *sampler, size_t i)
{
    const float logit = sampler->logits[i];
    const bool good = logit > border->last.logit || (logit == border->last.logit && (int32_t)i <= border->last.id);
    return good && sampler->weights[i] >= border->least && sampler->weights[i] > 0.0F;
}

/* Buckets are equally wide in the exponent of the weight, the last one takes the rest (weights below exp(-20)). */
static size_t bucket_of(float logit, float largest, float buckets_per_logit)
{
    if (logit == largest) {
        return 0;
    }
    const float at = (largest - logit) * buckets_per_logit;
    return at < (float)(OX_SAMPLER_BUCKETS - 1) ? (size_t)at : OX_SAMPLER_BUCKETS - 1;
}

/* The border that top-p draws, whose weights must reach `wanted`. */
static struct ox_candidate find_border(struct ox_sampler *sampler, float largest, float temperature, double wanted)
{
    const float per_logit = (float)OX_SAMPLER_BUCKETS / (20.0F * temperature);
    memset(sampler->buckets, 0, OX_SAMPLER_BUCKETS * sizeof *sampler->buckets);
    for (size_t i = 0; i < sampler->vocab; i++) {
        if (sampler->weights[i] > 0.0F) {
            sampler->buckets[bucket_of(sampler->logits[i], largest, per_logit)] += (double)sampler->weights[i];
        }
    }
    double reached = 0.0;
    size_t b = 0;
    while (b + 1 < OX_SAMPLER_BUCKETS && reached + sampler->buckets[b] < wanted) {
        reached += sampler->buckets[b++];
    }
    size_t n = 0;
    for (size_t i = 0; i < sampler->vocab; i++) {
        if (sampler->weights[i] > 0.0F && bucket_of(sampler->logits[i], largest, per_logit) == b) {
            sampler->candidates[n++] = (struct ox_candidate){.logit = sampler->logits[i], .id = (int32_t)i};
        }
    }
    qsort(sampler->candidates, n, sizeof *sampler->candidates, compare);
    struct ox_candidate last = {.logit = largest, .id = INT32_MAX};
    for (size_t i = 0; i < n && (i == 0 || reached < wanted); i++) {
        last = sampler->candidates[i];
        reached += (double)sampler->weights[last.id];
    }
    return last;
}

static int32_t draw_nucleus(struct ox_sampler *sampler, const struct oxcart_sampling *options, float largest,
                            double total, struct ox_rng *rng)
{
    struct border border = {.last = {.logit = -INFINITY, .id = INT32_MAX}, .least = options->min_p};
    if (options->top_p < 1.0F) {
        border.last = find_border(sampler, largest, options->temperature, (double)options->top_p * total);
    }
    double sum = 0.0;
    for (size_t i = 0; i < sampler->vocab; i++) {
        sum += keeps(&border, sampler, i) ? (double)sampler->weights[i] : 0.0;
    }
    double left = ox_rng_double(rng) * sum;
    size_t last = 0;
    for (size_t i = 0; i < sampler->vocab && left >= 0.0; i++) {
        if (keeps(&border, sampler, i)) {
            left -= (double)sampler->weights[i];
            last = i;
        }
    }
    return (int32_t)last;
}

int32_t ox_sampler_draw(struct ox_sampler *sampler, const struct oxcart_sampling *options, const float *logits,
                        const uint8_t *banned, const uint64_t *allowed, struct ox_rng *rng)
{
    const float largest = adjust(sampler, options, logits, banned, allowed);
    if (!(largest > -INFINITY)) {
        return -1;
    }
    int32_t id;
    if (options->temperature == 0.0F) {
        id = best_id(sampler, largest);
    } else if (options->top_k > 0 && (size_t)options->top_k < sampler->vocab) {
        id = draw_best(sampler, options, rng);
    } else {
        const double total = weigh_all(sampler, largest, options->temperature);
        const bool ordered = options->top_p < 1.0F || options->min_p > 0.0F;
        id = ordered ? draw_nucleus(sampler, options, largest, total, rng) : draw_any(sampler, total, rng);
    }
    sampler->n_drawn[id]++;
    return id;
}
