/* SPDX-License-Identifier: Apache-2.0
 *
 * The size of pieces on made-up machines: a pass never takes longer than the limit once the machine is known, and not
 * much longer while it is being learned; pieces are as large as that allows; a single slow pass is forgotten.
 */
#include "base/rng.h"
#include "engine/pace.h"
#include "tests/tap.h"

/* Seconds of a pass: reading weights, a part of them more with each row until all are read, arithmetic, and noise. */
struct machine {
    double base_s;
    double experts_s;
    double reach; /* rows that read most of the experts */
    double row_s;
    double noise;
};

static double pass_s(const struct machine *m, size_t n_rows, double weight, struct ox_rng *rng)
{
    const double share = (double)n_rows / ((double)n_rows + m->reach);
    const double s = m->base_s + m->experts_s * share + m->row_s * weight * (double)n_rows;
    return s * (1.0 + m->noise * ox_rng_double(rng));
}

/* Prompts beside running answers on m: the longest pass, the longest after the first 20, and the mean rows at the end. */
static void play(const struct machine *m, double limit_s, double weight, double *longest, double *later, double *rows)
{
    struct ox_pace pace;
    struct ox_rng rng;
    ox_rng_init(&rng, 3);
    ox_pace_init(&pace, limit_s);
    *longest = 0.0;
    *later = 0.0;
    *rows = 0.0;
    ox_pace_learn(&pace, 0, 1.0, 1, pass_s(m, 0, 1.0, &rng));
    for (size_t i = 0; i < 400; i++) {
        const size_t n = ox_pace_rows(&pace, weight, 512);
        const double s = pass_s(m, n, weight, &rng);
        ox_pace_learn(&pace, n, weight, 1, s);
        *longest = s > *longest ? s : *longest;
        *later = i >= 20 && s > *later ? s : *later;
        *rows += i >= 200 ? (double)n / 200.0 : 0.0;
    }
}

static void test_machines(void)
{
    static const struct {
        const char *name;
        struct machine m;
        double weight;
        double most_rows; /* that fit into three quarters of the limit */
    } rows[] = {
        {"large model", {0.080, 0.120, 20.0, 0.0060, 0.05}, 1.0, 36.0},
        {"large model, deep", {0.080, 0.120, 20.0, 0.0060, 0.05}, 3.0, 13.0},
        {"small model", {0.002, 0.001, 10.0, 0.0001, 0.2}, 1.0, 512.0},
        {"slow machine", {0.450, 0.300, 20.0, 0.1000, 0.0}, 1.0, 1.0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double longest;
        double later;
        double mean;
        play(&rows[i].m, 0.5, rows[i].weight, &longest, &later, &mean);
        const bool can = rows[i].m.base_s < 0.4;
        OK(!can || (longest <= 0.5 && later <= 0.5), "%s: longest pass %.3f s, later %.3f s", rows[i].name, longest,
           later);
        OK(mean >= 0.6 * rows[i].most_rows && mean <= 1.01 * rows[i].most_rows, "%s: %.1f rows a piece, %.0f fit",
           rows[i].name, mean, rows[i].most_rows);
    }
}

static void test_first(void)
{
    struct ox_pace pace;
    ox_pace_init(&pace, 0.5);
    const size_t first = ox_pace_rows(&pace, 1.0, 512);
    OK(first >= 1 && first <= 8, "the first piece is small: %zu", first);
    IS_INT(ox_pace_rows(&pace, 1.0, 1), 1, "but there is one");
    size_t n = first;
    size_t n_too_far = 0;
    for (size_t i = 0; i < 12; i++) {
        ox_pace_learn(&pace, n, 1.0, 1, 1e-6 * (double)n);
        const size_t next = ox_pace_rows(&pace, 1.0, 512);
        n_too_far += next > 4 * n ? 1 : 0;
        n = next;
    }
    OK(n == 512 && n_too_far == 0, "pieces grow step by step to all there is");
    ox_pace_learn(&pace, 512, 1.0, 0, 2.0);
    const size_t after = ox_pace_rows(&pace, 1.0, 512);
    OK(after < 512, "long passes without answers count as well: %zu rows", after);
}

/* The machine was busy with something else once. */
static void test_forgives(void)
{
    struct ox_pace pace;
    ox_pace_init(&pace, 0.5);
    for (size_t i = 0; i < 30; i++) {
        const size_t n = ox_pace_rows(&pace, 1.0, 512);
        ox_pace_learn(&pace, n, 1.0, 1, 0.0005 * (double)n);
    }
    IS_INT(ox_pace_rows(&pace, 1.0, 512), 512, "all fits");
    ox_pace_learn(&pace, 512, 1.0, 1, 30.0);
    ox_pace_learn(&pace, 0, 1.0, 1, 30.0);
    OK(ox_pace_rows(&pace, 1.0, 512) < 64, "after a slow pass it is careful: %zu", ox_pace_rows(&pace, 1.0, 512));
    for (size_t i = 0; i < 200; i++) {
        const size_t n = ox_pace_rows(&pace, 1.0, 512);
        ox_pace_learn(&pace, n, 1.0, 1, 0.0005 * (double)n);
    }
    IS_INT(ox_pace_rows(&pace, 1.0, 512), 512, "and then forgets it");
}

/* What else may take time beside answers. */
static void test_room(void)
{
    struct ox_pace pace;
    ox_pace_init(&pace, 0.4);
    const double all = ox_pace_room(&pace);
    ox_pace_learn(&pace, 0, 1.0, 1, 0.1);
    const double rest = ox_pace_room(&pace);
    OK(all > 0.25 && all < 0.4 && rest > all - 0.101 && rest < all - 0.099, "%.3f s of 0.4, then %.3f", all, rest);
    ox_pace_learn(&pace, 0, 1.0, 1, 0.5);
    OK(ox_pace_room(&pace) <= 0.0 && ox_pace_room(&pace) >= 0.0, "none where answers take all");
}

int main(void)
{
    test_room();
    test_machines();
    test_first();
    test_forgives();
    return tap_done();
}
