/* SPDX-License-Identifier: Apache-2.0
 *
 * The sampler: which ids can come out of top-k, top-p and min-p, that they come with their exact probabilities
 * (chi-square, fixed seeds), penalties, bias, banned ids, odd logits, and options out of range.
 */
#include <math.h>
#include <stdlib.h>

#include "engine/sampler.h"
#include "simd/cpu.h"
#include "tests/tap.h"

#define VOCAB 12
#define N_DRAWS 40000

static struct ox_kernels kernels; /* of the best level of this machine */

static struct oxcart_sampling plain(void)
{
    const struct oxcart_sampling options = {.size = sizeof options, .temperature = 1.0F, .top_p = 1.0F};
    return options;
}

/* How often each of VOCAB ids is drawn in n draws, each with nothing drawn before it. */
static void tally(const struct oxcart_sampling *options, const float *logits, const uint8_t *banned, uint64_t seed,
                  size_t n, size_t *counts)
{
    struct ox_sampler sampler;
    struct ox_rng rng;
    memset(counts, 0, VOCAB * sizeof *counts);
    ox_rng_init(&rng, seed);
    if (ox_sampler_init(&kernels, VOCAB, &sampler, NULL) != OX_OK) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        ox_sampler_begin(&sampler);
        const int32_t id = ox_sampler_draw(&sampler, options, logits, banned, NULL, &rng);
        if (id >= 0 && id < VOCAB) {
            counts[id]++;
        }
    }
    ox_sampler_fini(&sampler);
}

/* The probabilities of softmax(logits / temperature) over the ids for which keep is not 0. */
static void exact(const float *logits, const uint8_t *keep, double temperature, double *p)
{
    double sum = 0.0;
    for (size_t i = 0; i < VOCAB; i++) {
        p[i] = keep[i] != 0 ? exp((double)logits[i] / temperature) : 0.0;
        sum += p[i];
    }
    for (size_t i = 0; i < VOCAB; i++) {
        p[i] /= sum;
    }
}

/* Chi-square of counts against p: no id of probability 0, and the statistic below the 1 - 1e-6 quantile of its degrees
 * of freedom (Wilson and Hilferty's approximation). */
static void check_tally(const char *name, const size_t *counts, const double *p, size_t n)
{
    double chi = 0.0;
    size_t freedom = 0;
    bool impossible = false;
    for (size_t i = 0; i < VOCAB; i++) {
        const double expected = p[i] * (double)n;
        if (p[i] == 0.0) {
            impossible = impossible || counts[i] > 0;
            continue;
        }
        chi += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
        freedom++;
    }
    const double d = freedom > 1 ? (double)(freedom - 1) : 1.0;
    const double z = 4.753;
    const double limit = d * pow(1.0 - 2.0 / (9.0 * d) + z * sqrt(2.0 / (9.0 * d)), 3.0);
    OK(!impossible, "%s: only ids of the set", name);
    OK(chi <= limit, "%s: chi-square %.1f with %zu degrees of freedom, limit %.1f", name, chi, freedom - 1, limit);
}

static const float LOGITS[VOCAB] = {0.5F, 2.0F, -1.0F, 2.0F, 0.0F, 1.5F, -3.0F, 1.0F, 0.25F, -0.5F, 1.75F, -2.0F};
/* from best to worst: 1 3 10 5 7 0 8 4 9 2 11 6 */

static void test_distribution(void)
{
    static const double temperatures[] = {1.0, 0.5, 2.0};
    size_t counts[VOCAB];
    double p[VOCAB];
    uint8_t all[VOCAB];
    memset(all, 1, sizeof all);
    for (size_t i = 0; i < 3; i++) {
        struct oxcart_sampling options = plain();
        options.temperature = (float)temperatures[i];
        char name[64];
        snprintf(name, sizeof name, "temperature %g", temperatures[i]);
        tally(&options, LOGITS, NULL, 11 + i, N_DRAWS, counts);
        exact(LOGITS, all, temperatures[i], p);
        check_tally(name, counts, p, N_DRAWS);
    }
}

static void test_top_k(void)
{
    static const int order[VOCAB] = {1, 3, 10, 5, 7, 0, 8, 4, 9, 2, 11, 6};
    static const int32_t ks[] = {1, 2, 3, 7, 11, 12, 40};
    size_t counts[VOCAB];
    double p[VOCAB];
    for (size_t i = 0; i < sizeof ks / sizeof ks[0]; i++) {
        struct oxcart_sampling options = plain();
        options.top_k = ks[i];
        options.temperature = 1.5F;
        uint8_t keep[VOCAB] = {0};
        for (int32_t j = 0; j < ks[i] && j < VOCAB; j++) {
            keep[order[j]] = 1;
        }
        char name[64];
        snprintf(name, sizeof name, "top-k %d", ks[i]);
        tally(&options, LOGITS, NULL, 100 + i, N_DRAWS, counts);
        exact(LOGITS, keep, 1.5, p);
        check_tally(name, counts, p, N_DRAWS);
    }
    /* ties at the border go to the lower ids */
    static const float equal[VOCAB] = {0};
    struct oxcart_sampling options = plain();
    options.top_k = 5;
    const uint8_t first[VOCAB] = {1, 1, 1, 1, 1};
    tally(&options, equal, NULL, 7, N_DRAWS, counts);
    exact(equal, first, 1.0, p);
    check_tally("top-k 5 of equals", counts, p, N_DRAWS);
}

/* Logits whose probabilities are 1/2, 1/4, 1/8 ... in the order 4, 0, 7, ... */
static void halves(float *logits, const size_t *order, size_t n)
{
    for (size_t i = 0; i < VOCAB; i++) {
        logits[i] = -INFINITY;
    }
    for (size_t i = 0; i < n; i++) {
        logits[order[i]] = (float)(-(double)i * log(2.0));
    }
}

static void test_top_p(void)
{
    static const size_t order[] = {4, 0, 7, 2, 9, 11};
    /* of 32/63, 16/63, 8/63 ...: the fewest best whose sum reaches top-p */
    static const struct {
        float top_p;
        size_t kept;
    } cases[] = {{0.0F, 1}, {0.3F, 1}, {0.5F, 1}, {0.6F, 2}, {0.75F, 2}, {0.8F, 3}, {0.9F, 4}, {0.97F, 5}, {0.99F, 6}};
    float logits[VOCAB];
    size_t counts[VOCAB];
    double p[VOCAB];
    halves(logits, order, 6);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct oxcart_sampling options = plain();
        options.top_p = cases[i].top_p;
        uint8_t keep[VOCAB] = {0};
        for (size_t j = 0; j < cases[i].kept; j++) {
            keep[order[j]] = 1;
        }
        char name[64];
        snprintf(name, sizeof name, "top-p %g", (double)cases[i].top_p);
        tally(&options, logits, NULL, 200 + i, N_DRAWS, counts);
        exact(logits, keep, 1.0, p);
        check_tally(name, counts, p, N_DRAWS);
    }
}

static void test_min_p(void)
{
    static const size_t order[] = {4, 0, 7, 2, 9, 11};
    static const struct {
        float min_p;
        size_t kept;
    } cases[] = {{0.6F, 1}, {0.4F, 2}, {0.2F, 3}, {0.1F, 4}, {0.05F, 5}, {0.01F, 6}, {1.0F, 1}};
    float logits[VOCAB];
    size_t counts[VOCAB];
    double p[VOCAB];
    halves(logits, order, 6);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct oxcart_sampling options = plain();
        options.min_p = cases[i].min_p;
        uint8_t keep[VOCAB] = {0};
        for (size_t j = 0; j < cases[i].kept; j++) {
            keep[order[j]] = 1;
        }
        char name[64];
        snprintf(name, sizeof name, "min-p %g", (double)cases[i].min_p);
        tally(&options, logits, NULL, 300 + i, N_DRAWS, counts);
        exact(logits, keep, 1.0, p);
        check_tally(name, counts, p, N_DRAWS);
    }
    /* all together: top-k 3 leaves 4/7 2/7 1/7, of which top-p 0.84 leaves two (of all six it would leave three) */
    struct oxcart_sampling options = plain();
    options.top_k = 3;
    options.top_p = 0.84F;
    options.min_p = 0.01F;
    const uint8_t keep[VOCAB] = {[4] = 1, [0] = 1};
    tally(&options, logits, NULL, 321, N_DRAWS, counts);
    exact(logits, keep, 1.0, p);
    check_tally("top-k, top-p and min-p", counts, p, N_DRAWS);
}

static int32_t draw_once(const struct oxcart_sampling *options, const float *logits, const uint8_t *banned)
{
    size_t counts[VOCAB];
    tally(options, logits, banned, 5, 1, counts);
    for (int32_t i = 0; i < VOCAB; i++) {
        if (counts[i] == 1) {
            return i;
        }
    }
    return -1;
}

static void test_greedy(void)
{
    struct oxcart_sampling options = plain();
    options.temperature = 0.0F;
    IS_INT(draw_once(&options, LOGITS, NULL), 1, "greedy takes the best, the lower of two equals");
    options.top_k = 3;
    options.top_p = 0.1F;
    options.min_p = 0.9F;
    IS_INT(draw_once(&options, LOGITS, NULL), 1, "greedy whatever else is set");
    const uint8_t banned[VOCAB] = {[1] = 1};
    IS_INT(draw_once(&options, LOGITS, banned), 3, "greedy without the banned best");
}

static void test_banned(void)
{
    size_t counts[VOCAB];
    double p[VOCAB];
    uint8_t banned[VOCAB] = {[1] = 1, [5] = 7, [11] = 255};
    uint8_t keep[VOCAB];
    for (size_t i = 0; i < VOCAB; i++) {
        keep[i] = banned[i] == 0 ? 1 : 0;
    }
    struct oxcart_sampling options = plain();
    tally(&options, LOGITS, banned, 400, N_DRAWS, counts);
    exact(LOGITS, keep, 1.0, p);
    check_tally("three ids banned", counts, p, N_DRAWS);
    const struct oxcart_bias bias[] = {{1, 1000.0F}, {0, -INFINITY}};
    options.bias = bias;
    options.n_bias = 2;
    keep[0] = 0;
    tally(&options, LOGITS, banned, 401, N_DRAWS, counts);
    exact(LOGITS, keep, 1.0, p);
    check_tally("a bias does not lift a ban, a bias of -inf is one", counts, p, N_DRAWS);
    memset(banned, 1, sizeof banned);
    IS_INT(draw_once(&options, LOGITS, banned), -1, "all banned: nothing can be drawn");
}

static void test_odd_logits(void)
{
    struct oxcart_sampling options = plain();
    struct oxcart_sampling greedy = plain();
    greedy.temperature = 0.0F;
    float logits[VOCAB];
    size_t counts[VOCAB];
    double p[VOCAB];
    for (size_t i = 0; i < VOCAB; i++) {
        logits[i] = NAN;
    }
    IS_INT(draw_once(&options, logits, NULL), -1, "only NaN: nothing can be drawn");
    IS_INT(draw_once(&greedy, logits, NULL), -1, "only NaN, greedy");
    logits[3] = -INFINITY;
    IS_INT(draw_once(&options, logits, NULL), -1, "NaN and -inf: nothing can be drawn");
    logits[4] = -1.0e30F;
    IS_INT(draw_once(&options, logits, NULL), 4, "one number among NaN");
    IS_INT(draw_once(&greedy, logits, NULL), 4, "one number among NaN, greedy");
    logits[2] = INFINITY;
    logits[9] = INFINITY;
    IS_INT(draw_once(&greedy, logits, NULL), 2, "the lower of two +inf, greedy");
    tally(&options, logits, NULL, 500, N_DRAWS, counts);
    const float equal[VOCAB] = {0};
    const uint8_t two[VOCAB] = {[2] = 1, [9] = 1};
    exact(equal, two, 1.0, p);
    check_tally("two +inf share evenly", counts, p, N_DRAWS);
    memcpy(logits, LOGITS, sizeof logits);
    logits[1] = NAN;
    logits[6] = -INFINITY;
    uint8_t keep[VOCAB];
    memset(keep, 1, sizeof keep);
    keep[1] = 0;
    keep[6] = 0;
    options.top_p = 0.9999F;
    options.top_k = 11;
    tally(&options, logits, NULL, 501, N_DRAWS, counts);
    exact(LOGITS, keep, 1.0, p);
    check_tally("NaN counts as -inf", counts, p, N_DRAWS);
}

static void test_penalties(void)
{
    struct ox_sampler sampler;
    struct ox_rng rng;
    struct oxcart_sampling options = plain();
    options.temperature = 0.0F;
    options.presence_penalty = 1.0F;
    options.frequency_penalty = 0.5F;
    ox_rng_init(&rng, 1);
    if (!OK(ox_sampler_init(&kernels, VOCAB, &sampler, NULL) == OX_OK, "sampler")) {
        return;
    }
    ox_sampler_begin(&sampler);
    /* after n draws of it an id has lost 1 + n / 2: 3.0, then 1.5, 1.0, 0.5; 2.0 then 0.5, 0.0 */
    float logits[VOCAB];
    for (size_t i = 0; i < VOCAB; i++) {
        logits[i] = -50.0F;
    }
    logits[5] = 3.0F;
    logits[2] = 2.0F;
    logits[7] = 0.75F;
    static const int32_t expected[] = {5, 2, 5, 5, 7, 2, 5, 2, 5};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "draw %zu with penalties", i);
        IS_INT(ox_sampler_draw(&sampler, &options, logits, NULL, NULL, &rng), expected[i], name);
    }
    ox_sampler_begin(&sampler);
    IS_INT(ox_sampler_draw(&sampler, &options, logits, NULL, NULL, &rng), 5, "begin forgets what was drawn");
    OK(logits[5] == 3.0F, "logits are untouched");
    options.presence_penalty = -10.0F;
    options.frequency_penalty = 0.0F;
    ox_sampler_begin(&sampler);
    logits[7] = 2.5F;
    const int32_t first = ox_sampler_draw(&sampler, &options, logits, NULL, NULL, &rng);
    logits[7] = 4.0F;
    IS_INT(ox_sampler_draw(&sampler, &options, logits, NULL, NULL, &rng), first, "a negative penalty is a reward");
    const struct oxcart_bias bias[] = {{7, 30.0F}, {7, 30.0F}, {5, -100.0F}};
    options.presence_penalty = 0.0F;
    options.bias = bias;
    options.n_bias = 2;
    logits[7] = -50.0F;
    IS_INT(ox_sampler_draw(&sampler, &options, logits, NULL, NULL, &rng), 7, "biases of one id add up");
    ox_sampler_fini(&sampler);
}

static void test_allowed(void)
{
    struct ox_sampler sampler;
    struct ox_rng rng;
    struct oxcart_sampling options = plain();
    const uint64_t some = (uint64_t)1 << 2 | (uint64_t)1 << 6;
    const uint64_t none = 0;
    const uint8_t banned[VOCAB] = {[2] = 1};
    size_t counts[VOCAB] = {0};
    ox_rng_init(&rng, 6);
    if (!OK(ox_sampler_init(&kernels, VOCAB, &sampler, NULL) == OX_OK, "sampler")) {
        return;
    }
    options.temperature = 5.0F;
    for (size_t i = 0; i < 200; i++) {
        counts[ox_sampler_draw(&sampler, &options, LOGITS, NULL, &some, &rng)]++;
    }
    OK(counts[2] > 0 && counts[6] > 0 && counts[2] + counts[6] == 200, "only allowed ids are drawn");
    IS_INT(ox_sampler_draw(&sampler, &options, LOGITS, banned, &some, &rng), 6, "what is banned stays banned");
    IS_INT(ox_sampler_draw(&sampler, &options, LOGITS, NULL, &none, &rng), -1, "nothing is allowed");
    ox_sampler_fini(&sampler);
}

static void test_seeds(void)
{
    struct ox_sampler sampler;
    struct oxcart_sampling options = plain();
    options.temperature = 1.0F;
    options.top_k = 8;
    options.top_p = 0.95F;
    int32_t ids[3][64];
    if (!OK(ox_sampler_init(&kernels, VOCAB, &sampler, NULL) == OX_OK, "sampler")) {
        return;
    }
    for (size_t run = 0; run < 3; run++) {
        struct ox_rng rng;
        ox_rng_init(&rng, run == 2 ? 43 : 42);
        ox_sampler_begin(&sampler);
        for (size_t i = 0; i < 64; i++) {
            ids[run][i] = ox_sampler_draw(&sampler, &options, LOGITS, NULL, NULL, &rng);
        }
    }
    OK(memcmp(ids[0], ids[1], sizeof ids[0]) == 0, "one seed gives the same ids again");
    OK(memcmp(ids[0], ids[2], sizeof ids[0]) != 0, "another seed gives others");
    static const int32_t known[8] = {1, 3, 5, 0, 8, 5, 5, 7};
    for (size_t i = 0; i < 8; i++) {
        char name[64];
        snprintf(name, sizeof name, "seed 42, draw %zu", i);
        IS_INT(ids[0][i], known[i], name);
    }
    ox_sampler_fini(&sampler);
}

/* Each line: one option out of range, and what the sentence must name. */
static void test_ranges(void)
{
    struct oxcart_sampling bad[14];
    static const struct oxcart_bias far = {VOCAB, 1.0F};
    static const struct oxcart_bias below = {-1, 1.0F};
    static const struct oxcart_bias not_a_number = {1, NAN};
    static const char *const names[14] = {
        "temperature", "temperature",      "temperature",       "top-p",   "top-p",      "top-k",      "min-p",
        "min-p",       "presence-penalty", "frequency-penalty", "predict", "logit-bias", "logit-bias", "logit-bias"};
    for (size_t i = 0; i < 14; i++) {
        bad[i] = plain();
    }
    bad[0].temperature = -0.5F;
    bad[1].temperature = 101.0F;
    bad[2].temperature = NAN;
    bad[3].top_p = -0.1F;
    bad[4].top_p = 1.1F;
    bad[5].top_k = -1;
    bad[6].min_p = -0.1F;
    bad[7].min_p = NAN;
    bad[8].presence_penalty = 101.0F;
    bad[9].frequency_penalty = -INFINITY;
    bad[10].n_predict = -1;
    bad[11].bias = &far;
    bad[12].bias = &below;
    bad[13].bias = &not_a_number;
    for (size_t i = 0; i < 14; i++) {
        struct ox_error err = {0};
        bad[i].n_bias = bad[i].bias != NULL ? 1 : 0;
        const enum ox_status status = ox_sampling_check(&bad[i], VOCAB, &err);
        OK(status == OX_E_ARG && strstr(err.message, names[i]) != NULL, "out of range %zu: %s", i, err.message);
    }
    struct oxcart_sampling good = plain();
    const struct oxcart_bias bias = {VOCAB - 1, -INFINITY};
    good.bias = &bias;
    good.n_bias = 1;
    good.temperature = 0.0F;
    good.top_p = 0.0F;
    good.min_p = 1.0F;
    OK(ox_sampling_check(&good, VOCAB, NULL) == OX_OK, "the ends of the ranges are in range");
}

/* ---- a vocabulary of many chunks ------------------------------------------------------------------------------- */

#define LARGE 1037

struct ranked {
    float logit;
    int32_t id;
};

static int better_first(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    if (x->logit != y->logit) {
        return x->logit > y->logit ? -1 : 1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

static int lower_first(const void *a, const void *b)
{
    const struct ranked *x = a;
    const struct ranked *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Whether u in [0, 1) picks id where every step is taken in the plainest way: sort all, weigh, cut, go along. Top-k's
 * draws go by rank, others by id; bounds may be off by what F32 leaves open. */
static bool picks(const struct ranked *candidates, size_t n, const struct oxcart_sampling *options, double u,
                  int32_t id)
{
    struct ranked sorted[LARGE];
    memcpy(sorted, candidates, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, better_first);
    const bool top_k = options->top_k > 0 && options->top_k < LARGE;
    if (top_k && (size_t)options->top_k < n) {
        n = (size_t)options->top_k;
    }
    const double best = (double)sorted[0].logit;
    double total = 0.0;
    for (size_t i = 0; i < n; i++) {
        total += exp(((double)sorted[i].logit - best) / (double)options->temperature);
    }
    double kept = 0.0;
    size_t n_kept = 0;
    while (n_kept < n) {
        const double weight = exp(((double)sorted[n_kept].logit - best) / (double)options->temperature);
        const bool enough = options->top_p < 1.0F && kept >= (double)options->top_p * total + 1e-5 * total;
        if (n_kept > 0 && (enough || weight < (double)options->min_p * 0.99999)) {
            break;
        }
        kept += weight;
        n_kept++;
    }
    if (!top_k) {
        qsort(sorted, n_kept, sizeof *sorted, lower_first);
    }
    double before = 0.0;
    for (size_t i = 0; i < n_kept; i++) {
        const double weight = exp(((double)sorted[i].logit - best) / (double)options->temperature);
        if (sorted[i].id == id) {
            const double margin = 1e-3 * kept; /* one candidate more or less at the border moves all bounds */
            return u * kept >= before - margin && u * kept <= before + weight + margin;
        }
        before += weight;
    }
    return false;
}

static void test_large(void)
{
    struct ox_sampler sampler;
    struct ox_rng rng;
    float logits[LARGE];
    uint8_t banned[LARGE] = {0};
    uint64_t allowed[LARGE / 64 + 1];
    size_t wrong = 0;
    size_t n_seen = 0;
    if (!OK(ox_sampler_init(&kernels, LARGE, &sampler, NULL) == OX_OK, "sampler")) {
        return;
    }
    ox_rng_init(&rng, 5);
    for (size_t trial = 0; trial < 600; trial++) {
        struct ranked candidates[LARGE];
        size_t n = 0;
        memset(allowed, trial % 3 == 0 ? 0 : 0xFF, sizeof allowed);
        for (size_t i = 0; i < LARGE; i++) {
            /* many ties; in some trials one that towers above all */
            logits[i] = 0.25F * (float)(int)ox_rng_below(&rng, 32) + (trial % 4 == 0 && i == 700 ? 20.0F : 0.0F);
            logits[i] = ox_rng_below(&rng, 50) == 0 ? NAN : logits[i];
            banned[i] = ox_rng_below(&rng, 20) == 0 ? 1 : 0;
            allowed[i / 64] |= (uint64_t)(ox_rng_below(&rng, 9) == 0) << (i % 64);
            if (logits[i] > -INFINITY && banned[i] == 0 && (allowed[i / 64] >> (i % 64) & 1) != 0) {
                candidates[n++] = (struct ranked){logits[i], (int32_t)i};
            }
        }
        static const int32_t ks[] = {0, 0, 1, 40, 200, 5000};
        static const float ps[] = {1.0F, 0.95F, 0.5F, 0.999F};
        struct oxcart_sampling options = plain();
        options.top_k = ks[trial % 6];
        options.top_p = ps[trial / 6 % 4];
        options.min_p = trial % 5 == 0 ? 0.1F : 0.0F;
        options.temperature = trial % 7 == 0 ? 0.0F : 0.3F + (float)(trial % 7);
        ox_sampler_begin(&sampler);
        struct ox_rng same = rng;
        const double u = ox_rng_double(&same);
        const int32_t id = ox_sampler_draw(&sampler, &options, logits, banned, allowed, &rng);
        if (options.temperature == 0.0F) {
            qsort(candidates, n, sizeof *candidates, better_first);
            wrong += id != candidates[0].id;
        } else {
            wrong += picks(candidates, n, &options, u, id) ? 0 : 1;
        }
        n_seen += n > 0;
    }
    ox_sampler_fini(&sampler);
    IS_INT((long long)n_seen, 600, "there was always something to draw");
    IS_INT((long long)wrong, 0, "draws from 1,037 ids are those of the plainest way");
}

int main(void)
{
    ox_kernels_init(&kernels, ox_cpu_best_level());
    test_distribution();
    test_top_k();
    test_top_p();
    test_min_p();
    test_greedy();
    test_banned();
    test_odd_logits();
    test_penalties();
    test_allowed();
    test_seeds();
    test_ranges();
    test_large();
    return tap_done();
}
