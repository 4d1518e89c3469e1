/* SPDX-License-Identifier: Apache-2.0
 *
 * What the scheduler gives: total speed of 1, 8 and 32 answers at once, the longest pause that prompts put into answers,
 * and the time to the first token of a long conversation after a restart, with and without the cache folder.
 *
 *     bench_serve MODEL           a checkpoint folder
 *     bench_serve synthetic=SPEC  random weights, as in oxcart bench --synthetic
 */
#include "base/rng.h"
#include "engine/engine.h"
#include "os/clock.h"
#include "tests/mkmodel.h"
#include "tests/scheduler_help.h"

#define FOLDER "bench_serve.cache"
#define LONG 8000

static struct oxcart_engine *open_model(const char *name)
{
    struct ox_error err = {0};
    struct oxcart_engine *engine = NULL;
    const struct oxcart_engine_options options = {.size = sizeof options, .model_path = name};
    const char *spec = strncmp(name, "synthetic=", 10) == 0 ? name + 10 : NULL;
    const enum ox_status status = spec != NULL ? ox_engine_open_synthetic(&options, ox_str_c(spec), 0, &engine, &err)
                                               : ox_engine_open(&options, &engine, &err);
    if (status != OX_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return engine;
}

static struct oxcart_sampling greedy(int32_t n)
{
    struct oxcart_sampling sampling;
    oxcart_sampling_default(&sampling);
    sampling.temperature = 0.0F;
    sampling.n_predict = n;
    sampling.ignore_end = 1;
    return sampling;
}

static void make_ids(int32_t *ids, size_t n, uint64_t seed, size_t vocab)
{
    struct ox_rng rng;
    ox_rng_init(&rng, seed);
    for (size_t i = 0; i < n; i++) {
        ids[i] = (int32_t)ox_rng_below(&rng, vocab);
    }
}

/* Answers of so many requests at once, in tokens a second from the last one's first token on. */
static double measure_batch(struct oxcart_engine *engine, size_t batch)
{
    static struct asked asked[32];
    const struct oxcart_scheduler_options options = {
        .size = sizeof options, .n_ctx = 512, .n_parallel = (int32_t)batch, .kv_bytes = 0};
    const struct oxcart_sampling sampling = greedy(64);
    struct serving serving;
    serving_open(engine, &options, &serving);
    for (size_t i = 0; i < batch; i++) {
        int32_t ids[16];
        make_ids(ids, 16, i, engine->config.vocab);
        (void)ask_ids(engine, &serving, ids, 16, i, &sampling, &asked[i]);
    }
    double slowest = 0.0;
    for (size_t i = 0; i < batch; i++) {
        await(&asked[i]);
        const double each = asked[i].result.generate_s / (asked[i].result.n_generated - 1);
        slowest = each > slowest ? each : slowest;
    }
    serving_close(&serving, OXCART_STOP_NOW);
    return (double)batch / slowest;
}

/* One answer runs while long prompts come in; the longest pause it had. */
static void measure_pause(struct oxcart_engine *engine)
{
    static struct asked asked[5];
    static int32_t ids[4][2000];
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 4096, .n_parallel = 5};
    const struct oxcart_sampling many = greedy(2000);
    const struct oxcart_sampling one = greedy(1);
    struct serving serving;
    serving_open(engine, &options, &serving);
    make_ids(ids[0], 16, 99, engine->config.vocab);
    (void)ask_ids(engine, &serving, ids[0], 16, 0, &many, &asked[4]);
    await_tokens(&asked[4], 5);
    const uint64_t begin = ox_clock_ns();
    for (size_t i = 0; i < 4; i++) {
        make_ids(ids[i], 2000, i, engine->config.vocab);
        (void)ask_ids(engine, &serving, ids[i], 2000, 1 + i, &one, &asked[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        await(&asked[i]);
    }
    const double seconds = ox_clock_seconds(begin, ox_clock_ns());
    serving_close(&serving, OXCART_STOP_NOW);
    printf("4 prompts of 2,000 tokens beside an answer: %.1f s, longest pause %.3f s (limit 0.500)\n", seconds,
           serving.last.longest_pause_s);
}

static double ask_long(struct oxcart_engine *engine, const char *folder, const int32_t *ids, size_t n,
                       int32_t *n_cached)
{
    static struct asked asked;
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 8192, .cache_dir = folder};
    const struct oxcart_sampling sampling = greedy(2);
    struct serving serving;
    serving_open(engine, &options, &serving);
    (void)ask_ids(engine, &serving, ids, n, 1, &sampling, &asked);
    await(&asked);
    serving_close(&serving, OXCART_STOP_NOW);
    *n_cached = asked.result.n_cached;
    return asked.result.queue_s + asked.result.first_s;
}

static void measure_restart(struct oxcart_engine *engine)
{
    static int32_t ids[LONG + 20];
    int32_t n_cached = 0;
    make_ids(ids, LONG + 20, 5, engine->config.vocab);
    mk_remove_folder(FOLDER);
    const double fresh = ask_long(engine, FOLDER, ids, LONG, &n_cached);
    const double again = ask_long(engine, FOLDER, ids, LONG + 20, &n_cached);
    printf("%d tokens: first token after %.3f s; after a restart, with 20 tokens more, %.3f s (%d cached): %.1f times "
           "as fast\n",
           LONG, fresh, again, n_cached, fresh / again);
    mk_remove_folder(FOLDER);
}

int main(int argc, char **argv)
{
    struct oxcart_engine *engine = open_model(argc > 1 ? argv[1] : tap_file("demo"));
    const double one = measure_batch(engine, 1);
    const double eight = measure_batch(engine, 8);
    const double many = measure_batch(engine, 32);
    printf("tokens a second: 1 answer %.2f, 8 %.2f (%.2f x), 32 %.2f (%.2f x)\n", one, eight, eight / one, many,
           many / one);
    measure_pause(engine);
    measure_restart(engine);
    oxcart_engine_close(&engine);
    return 0;
}
