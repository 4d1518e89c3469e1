/* SPDX-License-Identifier: Apache-2.0
 *
 * Benchmarks: prefill and decode speed of a loaded model at given depths of context and numbers of timelines, beside what
 * the machine can do at most and what each token must read and compute.
 *
 * A round measures the machine, then each depth: one prefill, one decode for each batch. Rounds follow each other, so
 * that what changes over time hits all alike. Tokens are drawn from a seed. The timelines below a depth are those of
 * the largest depth cut short; they are computed once (random for a synthetic model) and every measurement goes back to
 * them. Each timeline of a batch has memory of its own for its whole context.
 */
#ifndef OX_ENGINE_BENCHMARK_H
#define OX_ENGINE_BENCHMARK_H

#include "base/buf.h"
#include "engine/cost.h"
#include "engine/engine.h"

struct ox_benchmark_options {
    size_t prompt;  /* new tokens of a prefill, >= 1 */
    size_t predict; /* tokens to decode in each timeline, >= 1 */
    const size_t *depths;
    size_t n_depths; /* >= 1 */
    const size_t *batches; /* each >= 1 */
    size_t n_batches; /* >= 1 */
    size_t repeat; /* rounds, >= 1 */
    enum ox_kv_format kv;
    uint64_t seed;
    const struct ox_log *log; /* progress; may be NULL */
};

/* Of the rounds' values. */
struct ox_spread {
    double median; /* of an even number: the mean of the two in the middle */
    double min;
    double max;
};

struct ox_benchmark_result {
    size_t depth;
    size_t batch;
    struct ox_spread prefill_tok_s;
    double prefill_flops;        /* per token */
    double share_of_matmul;      /* of medians */
    struct ox_spread decode_tok_s; /* of all timelines together */
    double decode_bytes[OX_N_PURPOSES]; /* per token */
    double decode_bytes_total;
    double share_of_read;        /* of medians */
    bool extrapolated;           /* a synthetic model of fewer layers than the released one, with layers of both kinds */
    struct ox_spread full_prefill_tok_s; /* as if all OX_RELEASED_LAYERS were there */
    struct ox_spread full_decode_tok_s;
};

struct ox_benchmark {
    const struct oxcart_engine *engine; /* borrowed */
    size_t prompt;
    size_t predict;
    size_t repeat;
    struct ox_spread read_bytes_s;
    struct ox_spread matmul_flops_s;
    struct ox_benchmark_result *results; /* depth by depth, within them batch by batch */
    size_t n_results;
};

/* OX_E_ARG with a sentence unless every depth and what is added to it stays within the model's positions and every
 * batch is within OX_BENCHMARK_MAX_BATCH. */
#define OX_BENCHMARK_MAX_BATCH 4096
enum ox_status ox_benchmark_check(const struct ox_config *config, const struct ox_benchmark_options *options,
                                  struct ox_error *err) OX_MUST_USE;

/* Bytes of the timelines' cache; UINT64_MAX if they exceed 64 bits. */
uint64_t ox_benchmark_cache_bytes(const struct ox_config *config, const struct ox_benchmark_options *options);

/* Run all rounds. OX_E_NOMEM, before memory is taken, if it does not fit; errors of ox_benchmark_check. Takes the
 * engine's turn. */
enum ox_status ox_benchmark_run(struct oxcart_engine *engine, const struct ox_benchmark_options *options,
                                struct ox_benchmark *out, struct ox_error *err) OX_MUST_USE;
void ox_benchmark_fini(struct ox_benchmark *benchmark);

/* n values (n > 0), which are put in order. */
struct ox_spread ox_spread_of(double *values, size_t n);

/* Append the whole result: one JSON object and a line end, or a header line and a line for each result. */
void ox_benchmark_add_json(const struct ox_benchmark *benchmark, struct ox_buf *out);
void ox_benchmark_add_csv(const struct ox_benchmark *benchmark, struct ox_buf *out);

#endif
