/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the rounds of a benchmark: timelines, passes, clocks. What each token costs is counted in cost.c, what the
 * machine can do is measured in limits.c, benchmark_report.c writes it down.
 */
#include "engine/benchmark.h"

#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/limits.h"
#include "os/clock.h"
#include "weights/synthetic.h"

/* Seconds of one measurement in a round, and what they would be with all of the released model's layers. */
struct timing {
    double seconds;
    double full_seconds;
};

struct bench {
    struct oxcart_engine *engine;
    const struct ox_benchmark_options *options;
    struct ox_cost cost;
    struct ox_kv_layout layout;
    struct ox_kv_pool *pool;
    struct ox_state *state;
    struct ox_limits *limits;
    struct ox_kv *bases; /* [most batch]: timelines of the largest depth */
    struct ox_kv *work;  /* [most batch]: over them, for the measurement in hand */
    struct ox_row *rows;
    size_t max_rows;
    size_t max_batch;
    size_t max_depth;
    size_t n_full_dense; /* dense layers to extrapolate to; 0 both: nothing */
    size_t n_full_sparse;
    /* of the measurement in hand */
    struct ox_rng rng;
    uint64_t layer_ns[OX_MAX_LAYERS + 1]; /* when each began in this pass */
    double dense_s; /* in dense layers so far */
    double sparse_s;
    int32_t *experts; /* [n_layers, most batch, n_experts_used] of this pass; NULL: prefill, nothing is kept */
    bool *used;       /* [n_experts] */
    bool keep_experts;
    /* results */
    struct timing *prefill; /* [n_depths, repeat] */
    struct timing *decode;  /* [n_depths, n_batches, repeat] */
    double *expert_bytes;   /* [n_depths, n_batches]: sums over all steps */
    double *read_bytes_s;   /* [repeat] */
    double *matmul_flops_s;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t largest(const size_t *values, size_t n)
{
    size_t most = 0;
    for (size_t i = 0; i < n; i++) {
        most = larger(most, values[i]);
    }
    return most;
}

/* ---- before the rounds ------------------------------------------------------------------------------------------- */

enum ox_status ox_benchmark_check(const struct ox_config *config, const struct ox_benchmark_options *options,
                                  struct ox_error *err)
{
    const size_t depth = largest(options->depths, options->n_depths);
    const size_t more = larger(options->prompt, options->predict);
    if (more > config->max_positions || depth > config->max_positions - more) {
        return ox_error_set(err, OX_E_ARG, "depth %zu with %zu more tokens exceeds the model's %zu positions", depth, more,
                            config->max_positions);
    }
    for (size_t i = 0; i < options->n_batches; i++) {
        if (options->batches[i] < 1 || options->batches[i] > OX_BENCHMARK_MAX_BATCH) {
            return ox_error_set(err, OX_E_ARG, "batch: expected 1 to %d timelines, found %zu", OX_BENCHMARK_MAX_BATCH,
                                options->batches[i]);
        }
    }
    return OX_OK;
}

/* Blocks of the pool: the timelines below the depths, and what the largest measurement adds to them (2 more: the block
 * that a depth ends in is copied, and a new one may be begun). Sizes have passed ox_benchmark_check: no overflow. */
static size_t pool_blocks(const struct ox_config *config, const struct ox_benchmark_options *options)
{
    const size_t block = config->block;
    const size_t batch = largest(options->batches, options->n_batches);
    const size_t below = largest(options->depths, options->n_depths) / block + 1;
    const size_t prefill = options->prompt / block + 2;
    const size_t decode = batch * (options->predict / block + 2);
    return batch * below + larger(prefill, decode);
}

uint64_t ox_benchmark_cache_bytes(const struct ox_config *config, const struct ox_benchmark_options *options)
{
    struct ox_kv_layout layout;
    uint64_t bytes;
    if (ox_kv_layout_init(config, options->kv, &layout, NULL) != OX_OK ||
        ox_ckd_mul_u64(&bytes, pool_blocks(config, options), layout.block_bytes)) {
        return UINT64_MAX;
    }
    return bytes;
}

/* Everything that takes much memory, after a look at whether there is so much. */
static enum ox_status open_memory(struct bench *bench, struct ox_error *err)
{
    const struct ox_benchmark_options *options = bench->options;
    const struct ox_model *model = &bench->engine->model;
    const size_t max_tokens = bench->max_depth + larger(options->prompt, options->predict);
    const uint64_t cache = ox_benchmark_cache_bytes(model->config, options);
    const uint64_t state = ox_state_bytes(model, &bench->layout, bench->max_rows, bench->max_batch, max_tokens);
    uint64_t all;
    if (ox_ckd_add_u64(&all, cache, state) || ox_ckd_add_u64(&all, all, ox_limits_bytes(bench->engine->topology))) {
        all = UINT64_MAX;
    }
    enum ox_status status = ox_engine_check_memory(bench->engine, all, err);
    if (status == OX_OK) {
        status = ox_kv_pool_open(&bench->layout, pool_blocks(model->config, options), &bench->pool, err);
    }
    if (status == OX_OK) {
        status = ox_state_open(model, &bench->layout, bench->max_rows, bench->max_batch, max_tokens, &bench->state, err);
    }
    if (status == OX_OK) {
        status = ox_limits_open(bench->engine->topology, &bench->engine->kernels, bench->engine->team, &bench->limits,
                                err);
    }
    for (size_t i = 0; status == OX_OK && i < bench->max_batch; i++) {
        status = ox_kv_init(bench->pool, bench->max_depth, &bench->bases[i], err);
        if (status == OX_OK) {
            status = ox_kv_init(bench->pool, max_tokens, &bench->work[i], err);
        }
    }
    return status;
}

static enum ox_status open_bench(struct bench *bench, struct ox_error *err)
{
    const struct ox_benchmark_options *options = bench->options;
    const struct ox_config *config = &bench->engine->config;
    bench->max_depth = largest(options->depths, options->n_depths);
    bench->max_batch = largest(options->batches, options->n_batches);
    const size_t most = larger(options->prompt, bench->max_depth);
    bench->max_rows = larger(bench->max_batch, most < OX_BATCH_ROWS ? most : OX_BATCH_ROWS);
    const size_t n_prefill = options->n_depths * options->repeat;
    const size_t n_decode = options->n_depths * options->n_batches;
    bench->bases = ox_calloc(bench->max_batch, sizeof *bench->bases);
    bench->work = ox_calloc(bench->max_batch, sizeof *bench->work);
    bench->rows = ox_calloc(bench->max_rows, sizeof *bench->rows);
    bench->experts = ox_calloc(config->n_layers * bench->max_batch, config->n_experts_used * sizeof *bench->experts);
    bench->used = ox_calloc(config->n_experts, sizeof *bench->used);
    bench->prefill = ox_calloc(n_prefill, sizeof *bench->prefill);
    bench->decode = ox_calloc(n_decode, options->repeat * sizeof *bench->decode);
    bench->expert_bytes = ox_calloc(n_decode, sizeof *bench->expert_bytes);
    bench->read_bytes_s = ox_calloc(options->repeat, sizeof *bench->read_bytes_s);
    bench->matmul_flops_s = ox_calloc(options->repeat, sizeof *bench->matmul_flops_s);
    if (bench->bases == NULL || bench->work == NULL || bench->rows == NULL || bench->experts == NULL ||
        bench->used == NULL || bench->prefill == NULL || bench->decode == NULL || bench->expert_bytes == NULL ||
        bench->read_bytes_s == NULL || bench->matmul_flops_s == NULL) {
        return ox_error_nomem(err, n_decode * options->repeat * sizeof *bench->decode);
    }
    enum ox_status status = ox_kv_layout_init(config, options->kv, &bench->layout, err);
    if (status == OX_OK) {
        status = open_memory(bench, err);
    }
    ox_cost_init(config, &bench->engine->weights, &bench->cost);
    return status;
}

static void close_bench(struct bench *bench)
{
    for (size_t i = 0; i < bench->max_batch; i++) {
        if (bench->work != NULL) {
            ox_kv_fini(&bench->work[i]);
        }
        if (bench->bases != NULL) {
            ox_kv_fini(&bench->bases[i]);
        }
    }
    ox_limits_close(&bench->limits);
    ox_state_close(&bench->state);
    ox_kv_pool_close(&bench->pool);
    ox_free(bench->bases);
    ox_free(bench->work);
    ox_free(bench->rows);
    ox_free(bench->experts);
    ox_free(bench->used);
    ox_free(bench->prefill);
    ox_free(bench->decode);
    ox_free(bench->expert_bytes);
    ox_free(bench->read_bytes_s);
    ox_free(bench->matmul_flops_s);
    ox_free(bench);
}

/* What to extrapolate to: needs a layer of either kind to know its time. */
static void plan_extrapolation(struct bench *bench)
{
    const struct ox_config *config = &bench->engine->config;
    const bool last_sparse = config->sparse_layer[config->n_layers - 1];
    if (bench->engine->synthetic.ptr != NULL && config->n_layers < OX_RELEASED_LAYERS && last_sparse &&
        !config->sparse_layer[0]) {
        bench->n_full_dense = OX_RELEASED_DENSE;
        bench->n_full_sparse = OX_RELEASED_LAYERS - OX_RELEASED_DENSE;
    }
}

/* ---- passes ------------------------------------------------------------------------------------------------------ */

/* Called by one worker, where all have met. */
static void on_layer(void *user, size_t layer, const float *x, size_t n_rows)
{
    struct bench *bench = user;
    (void)x;
    (void)n_rows;
    bench->layer_ns[layer] = ox_clock_ns();
}

static const int32_t *on_experts(void *user, size_t layer, size_t i_row, const int32_t *ids, const float *weights)
{
    struct bench *bench = user;
    const size_t n_used = bench->engine->config.n_experts_used;
    (void)weights;
    if (bench->keep_experts) {
        memcpy(bench->experts + (layer * bench->max_batch + i_row) * n_used, ids, n_used * sizeof *ids);
    }
    return NULL;
}

/* Compute bench->rows[0 .. n); returns how long it took. */
static double forward(struct bench *bench, size_t n)
{
    const struct ox_probe probe = {.user = bench, .hidden = on_layer, .experts = on_experts};
    const struct ox_config *config = &bench->engine->config;
    const float *logits;
    const uint64_t begin = ox_clock_ns();
    ox_forward(&bench->engine->model, bench->state, bench->rows, n, &probe, &logits);
    const double seconds = ox_clock_seconds(begin, ox_clock_ns());
    for (size_t l = 0; l < config->n_layers; l++) {
        const double layer_s = ox_clock_seconds(bench->layer_ns[l], bench->layer_ns[l + 1]);
        if (config->sparse_layer[l]) {
            bench->sparse_s += layer_s;
        } else {
            bench->dense_s += layer_s;
        }
    }
    return seconds;
}

/* Seconds of a measurement, and with all layers: those of one kind are alike. */
static struct timing extrapolate(struct bench *bench, double seconds)
{
    const struct ox_config *config = &bench->engine->config;
    struct timing timing = {seconds, 0.0};
    if (bench->n_full_sparse > 0) {
        size_t n_sparse = 0;
        for (size_t l = 0; l < config->n_layers; l++) {
            n_sparse += config->sparse_layer[l] ? 1 : 0;
        }
        const double dense_s = bench->dense_s / (double)(config->n_layers - n_sparse);
        const double sparse_s = bench->sparse_s / (double)n_sparse;
        timing.full_seconds = seconds - bench->dense_s - bench->sparse_s + (double)bench->n_full_dense * dense_s +
                              (double)bench->n_full_sparse * sparse_s;
    }
    return timing;
}

static int32_t draw_id(struct bench *bench)
{
    return (int32_t)ox_rng_below(&bench->rng, bench->engine->config.vocab);
}

/* Append n random tokens to kv in passes of OX_BATCH_ROWS, the last with logits; adds to *seconds. report: say how far. */
static enum ox_status append(struct bench *bench, struct ox_kv *kv, size_t n, bool report, double *seconds,
                             struct ox_error *err)
{
    for (size_t done = 0; done < n;) {
        const size_t n_rows = n - done < OX_BATCH_ROWS ? n - done : OX_BATCH_ROWS;
        const enum ox_status status = ox_kv_reserve(kv, n_rows, err);
        if (status != OX_OK) {
            return status;
        }
        for (size_t i = 0; i < n_rows; i++) {
            bench->rows[i] =
                (struct ox_row){.id = draw_id(bench), .kv = kv, .want_logits = !report && done + i + 1 == n};
        }
        *seconds += forward(bench, n_rows);
        done += n_rows;
        if (report) {
            ox_log_progress(bench->options->log, "context below the depth", done, n, "tokens");
        }
    }
    return OX_OK;
}

/* The timelines below the depths. The first pass over a model also brings its weights into memory. */
static enum ox_status fill_bases(struct bench *bench, struct ox_error *err)
{
    struct ox_kv *first = &bench->bases[0];
    double seconds = 0;
    enum ox_status status = OX_OK;
    bench->keep_experts = false;
    ox_rng_init(&bench->rng, bench->options->seed);
    const bool synthetic = bench->engine->synthetic.ptr != NULL;
    if (!synthetic) {
        status = append(bench, first, bench->max_depth, true, &seconds, err);
    }
    for (size_t i = synthetic ? 0 : 1; status == OX_OK && i < bench->max_batch; i++) {
        if (synthetic) {
            status = ox_kv_fill_random(&bench->bases[i], bench->max_depth, bench->options->seed + i,
                                       bench->engine->team, err);
        } else {
            status = ox_kv_copy(first, bench->max_depth, &bench->bases[i], err);
        }
    }
    if (status == OX_OK && (synthetic || bench->max_depth == 0)) { /* scratch memory and weights that were never read */
        status = append(bench, &bench->work[0], bench->options->prompt, false, &seconds, err);
        ox_kv_rewind(&bench->work[0], 0);
    }
    return status;
}

/* ---- measurements ------------------------------------------------------------------------------------------------ */

static void begin_measurement(struct bench *bench, size_t round, size_t depth, bool keep_experts)
{
    bench->dense_s = 0;
    bench->sparse_s = 0;
    bench->keep_experts = keep_experts;
    ox_rng_init(&bench->rng, bench->options->seed + 1 + round * 0x9E3779B97F4A7C15U + depth);
}

static enum ox_status measure_prefill(struct bench *bench, size_t round, size_t i_depth, struct ox_error *err)
{
    const size_t depth = bench->options->depths[i_depth];
    struct ox_kv *kv = &bench->work[0];
    double seconds = 0;
    begin_measurement(bench, round, depth, false);
    enum ox_status status = ox_kv_share(&bench->bases[0], depth, kv, err);
    if (status == OX_OK) {
        status = append(bench, kv, bench->options->prompt, false, &seconds, err);
    }
    ox_kv_rewind(kv, 0);
    bench->prefill[i_depth * bench->options->repeat + round] = extrapolate(bench, seconds);
    return status;
}

/* Bytes of the different experts in the pass just done. */
static double count_experts(struct bench *bench, size_t n_rows)
{
    const struct ox_config *config = &bench->engine->config;
    double bytes = 0;
    for (size_t l = 0; l < config->n_layers; l++) {
        if (!config->moe_layer[l]) {
            continue;
        }
        size_t n_different = 0;
        const int32_t *ids = bench->experts + l * bench->max_batch * config->n_experts_used;
        memset(bench->used, 0, config->n_experts * sizeof *bench->used);
        for (size_t i = 0; i < n_rows * config->n_experts_used; i++) {
            n_different += bench->used[ids[i]] ? 0 : 1;
            bench->used[ids[i]] = true;
        }
        bytes += (double)n_different * (double)bench->cost.expert_bytes[l];
    }
    return bytes;
}

static enum ox_status measure_decode(struct bench *bench, size_t round, size_t i_depth, size_t i_batch,
                                     struct ox_error *err)
{
    const struct ox_benchmark_options *options = bench->options;
    const size_t depth = options->depths[i_depth];
    const size_t batch = options->batches[i_batch];
    const size_t at = i_depth * options->n_batches + i_batch;
    enum ox_status status = OX_OK;
    double seconds = 0;
    begin_measurement(bench, round, depth, true);
    for (size_t i = 0; status == OX_OK && i < batch; i++) {
        status = ox_kv_share(&bench->bases[i], depth, &bench->work[i], err);
    }
    for (size_t step = 0; status == OX_OK && step < options->predict; step++) {
        for (size_t i = 0; status == OX_OK && i < batch; i++) {
            status = ox_kv_reserve(&bench->work[i], 1, err);
            bench->rows[i] = (struct ox_row){.id = draw_id(bench), .kv = &bench->work[i], .want_logits = true};
        }
        if (status == OX_OK) {
            seconds += forward(bench, batch);
            bench->expert_bytes[at] += count_experts(bench, batch);
        }
    }
    for (size_t i = 0; i < batch; i++) {
        ox_kv_rewind(&bench->work[i], 0);
    }
    bench->decode[at * options->repeat + round] = extrapolate(bench, seconds);
    return status;
}

static enum ox_status run_rounds(struct bench *bench, struct ox_error *err)
{
    const struct ox_benchmark_options *options = bench->options;
    const size_t total = options->repeat * options->n_depths * (1 + options->n_batches);
    size_t done = 0;
    for (size_t round = 0; round < options->repeat; round++) {
        ox_limits_measure(bench->limits, &bench->read_bytes_s[round], &bench->matmul_flops_s[round]);
        for (size_t d = 0; d < options->n_depths; d++) {
            enum ox_status status = measure_prefill(bench, round, d, err);
            ox_log_progress(options->log, "benchmark", ++done, total, "measurements");
            for (size_t b = 0; status == OX_OK && b < options->n_batches; b++) {
                status = measure_decode(bench, round, d, b, err);
                ox_log_progress(options->log, "benchmark", ++done, total, "measurements");
            }
            if (status != OX_OK) {
                return status;
            }
        }
    }
    return OX_OK;
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

struct ox_spread ox_spread_of(double *values, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const double value = values[i];
        size_t at = i;
        while (at > 0 && values[at - 1] > value) {
            values[at] = values[at - 1];
            at--;
        }
        values[at] = value;
    }
    const double middle = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2.0;
    return (struct ox_spread){middle, values[0], values[n - 1]};
}

/* Rates of n tokens in the rounds' times. room: [repeat]. */
static struct ox_spread rates(const struct bench *bench, const struct timing *timings, size_t n, bool full,
                              double *room)
{
    for (size_t i = 0; i < bench->options->repeat; i++) {
        room[i] = (double)n / (full ? timings[i].full_seconds : timings[i].seconds);
    }
    return ox_spread_of(room, bench->options->repeat);
}

static void fill_result(const struct bench *bench, size_t i_depth, size_t i_batch, const struct ox_benchmark *all,
                        double *room, struct ox_benchmark_result *r)
{
    const struct ox_benchmark_options *options = bench->options;
    const size_t at = i_depth * options->n_batches + i_batch;
    const struct timing *prefill = bench->prefill + i_depth * options->repeat;
    const struct timing *decode = bench->decode + at * options->repeat;
    r->depth = options->depths[i_depth];
    r->batch = options->batches[i_batch];
    const size_t n_decoded = options->predict * r->batch;
    r->prefill_tok_s = rates(bench, prefill, options->prompt, false, room);
    r->decode_tok_s = rates(bench, decode, n_decoded, false, room);
    r->prefill_flops = ox_cost_flops(&bench->cost, r->depth, options->prompt, 1);
    r->share_of_matmul = r->prefill_tok_s.median * r->prefill_flops / all->matmul_flops_s.median;
    ox_cost_bytes(&bench->cost, &bench->layout, r->depth, options->predict, r->batch,
                  bench->expert_bytes[at] / (double)(options->predict * options->repeat), r->decode_bytes);
    for (size_t i = 0; i < OX_N_PURPOSES; i++) {
        r->decode_bytes_total += r->decode_bytes[i];
    }
    r->share_of_read = r->decode_tok_s.median * r->decode_bytes_total / all->read_bytes_s.median;
    r->extrapolated = bench->n_full_sparse > 0;
    if (r->extrapolated) {
        r->full_prefill_tok_s = rates(bench, prefill, options->prompt, true, room);
        r->full_decode_tok_s = rates(bench, decode, n_decoded, true, room);
    }
}

static enum ox_status fill_results(const struct bench *bench, struct ox_benchmark *out, struct ox_error *err)
{
    const struct ox_benchmark_options *options = bench->options;
    const size_t n = options->n_depths * options->n_batches;
    double *room = ox_calloc(options->repeat, sizeof *room);
    memset(out, 0, sizeof *out);
    out->results = ox_calloc(n, sizeof *out->results);
    if (room == NULL || out->results == NULL) {
        ox_free(room);
        ox_benchmark_fini(out);
        return ox_error_nomem(err, n * sizeof *out->results);
    }
    out->engine = bench->engine;
    out->prompt = options->prompt;
    out->predict = options->predict;
    out->repeat = options->repeat;
    out->read_bytes_s = ox_spread_of(bench->read_bytes_s, options->repeat);
    out->matmul_flops_s = ox_spread_of(bench->matmul_flops_s, options->repeat);
    for (size_t d = 0; d < options->n_depths; d++) {
        for (size_t b = 0; b < options->n_batches; b++) {
            fill_result(bench, d, b, out, room, &out->results[out->n_results++]);
        }
    }
    ox_free(room);
    return OX_OK;
}

enum ox_status ox_benchmark_run(struct oxcart_engine *engine, const struct ox_benchmark_options *options,
                                struct ox_benchmark *out, struct ox_error *err)
{
    enum ox_status status = ox_benchmark_check(&engine->config, options, err);
    if (status != OX_OK) {
        return status;
    }
    struct bench *bench = ox_calloc(1, sizeof *bench);
    if (bench == NULL) {
        return ox_error_nomem(err, sizeof *bench);
    }
    bench->engine = engine;
    bench->options = options;
    plan_extrapolation(bench);
    pthread_mutex_lock(&engine->turn);
    status = open_bench(bench, err);
    if (status == OX_OK) {
        status = fill_bases(bench, err);
    }
    if (status == OX_OK) {
        status = run_rounds(bench, err);
    }
    pthread_mutex_unlock(&engine->turn);
    if (status == OX_OK) {
        status = fill_results(bench, out, err);
    }
    close_bench(bench);
    return status;
}

void ox_benchmark_fini(struct ox_benchmark *benchmark)
{
    ox_free(benchmark->results);
    memset(benchmark, 0, sizeof *benchmark);
}
