/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart bench: prefill and decode speed at context frontiers, of a model or of random weights in its shapes.
 */
#include "base/mem.h"
#include "cli/cli.h"
#include "engine/benchmark.h"
#include "weights/synthetic.h"

/* Longest list of depths or batches. */
#define MAX_LIST 64
#define SEED 1

struct list {
    size_t values[MAX_LIST];
    size_t n;
};

/* Whole numbers separated by commas. */
static int read_list(const struct cli *cli, enum cli_option option, const char *preset, size_t low, struct list *out)
{
    const struct ox_str text = ox_str_c(cli_text(&cli->args, option, preset));
    size_t end;
    for (size_t begin = 0; begin <= text.len; begin = end + 1) {
        uint64_t n;
        end = ox_str_find(text, ox_str_c(","), begin);
        const struct ox_str item = ox_str_make(text.ptr + begin, end - begin);
        if (!ox_str_to_u64(item, &n) || n < low || n > INT32_MAX) {
            return cli_fail(cli, EXIT_USAGE, "--%s: expected whole numbers from %zu on, separated by commas, found '%s'",
                            cli_option_info(option)->name, low, text.ptr);
        }
        if (out->n == MAX_LIST) {
            return cli_fail(cli, EXIT_USAGE, "--%s: expected at most %d numbers", cli_option_info(option)->name,
                            MAX_LIST);
        }
        out->values[out->n++] = (size_t)n;
    }
    return EXIT_DONE;
}

/* Random weights: everything is checked before time is spent on them. */
static int open_synthetic(const struct cli *cli, const struct ox_benchmark_options *options,
                          struct oxcart_engine **engine)
{
    const struct ox_str spec = ox_str_c(cli_text(&cli->args, OPT_SYNTHETIC, ""));
    struct ox_error err = {0};
    struct ox_synthetic *synthetic = ox_calloc(1, sizeof *synthetic);
    if (synthetic == NULL) {
        return cli_fail(cli, EXIT_MEMORY, "out of memory");
    }
    const struct ox_log log = cli_log(cli);
    const struct oxcart_engine_options engine_options = {
        .size = sizeof engine_options,
        .n_threads = (int32_t)cli_natural(&cli->args, OPT_THREADS, 0),
        .cpu_level = cli_text(&cli->args, OPT_CPU_LEVEL, NULL),
        .progress = log.progress,
        .user = log.user,
    };
    enum ox_status status = ox_synthetic_parse(spec, synthetic, &err);
    if (status == OX_OK) {
        status = ox_benchmark_check(&synthetic->config, options, &err);
    }
    if (status == OX_OK) {
        const uint64_t more = ox_benchmark_cache_bytes(&synthetic->config, options);
        status = ox_engine_open_synthetic(&engine_options, spec, more, engine, &err);
    }
    ox_free(synthetic);
    return status == OX_OK ? EXIT_DONE : cli_fail_error(cli, &err, EXIT_FAILED);
}

static int run(const struct cli *cli, struct oxcart_engine *engine, const struct ox_benchmark_options *options)
{
    struct ox_benchmark benchmark = {0};
    struct ox_error err = {0};
    struct ox_buf text = {0};
    if (ox_benchmark_run(engine, options, &benchmark, &err) != OX_OK) {
        return cli_fail_error(cli, &err, EXIT_FAILED);
    }
    if (cli_given(&cli->args, OPT_JSON)) {
        ox_benchmark_add_json(&benchmark, &text);
    } else {
        ox_benchmark_add_csv(&benchmark, &text);
    }
    const int code = ox_buf_failed(&text) ? cli_fail(cli, EXIT_MEMORY, "out of memory") : EXIT_DONE;
    if (code == EXIT_DONE) {
        output_write(cli->output, text.ptr, text.len);
    }
    ox_buf_fini(&text);
    ox_benchmark_fini(&benchmark);
    return code;
}

int verb_bench(const struct cli *cli)
{
    struct list depths = {0};
    struct list batches = {0};
    struct oxcart_engine *engine = NULL;
    const bool synthetic = cli_given(&cli->args, OPT_SYNTHETIC);
    if (synthetic && cli_given(&cli->args, OPT_MODEL)) {
        return cli_fail(cli, EXIT_USAGE, "expected --model or --synthetic, found both");
    }
    int code = read_list(cli, OPT_DEPTH, "0,8192,32768", 0, &depths);
    if (code == EXIT_DONE) {
        code = read_list(cli, OPT_BATCH, "1", 1, &batches);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    const struct ox_log log = cli_log(cli);
    struct ox_benchmark_options options = {
        .prompt = (size_t)cli_natural(&cli->args, OPT_BENCH_PROMPT, 512),
        .predict = (size_t)cli_natural(&cli->args, OPT_BENCH_PREDICT, 64),
        .depths = depths.values,
        .n_depths = depths.n,
        .batches = batches.values,
        .n_batches = batches.n,
        .repeat = (size_t)cli_natural(&cli->args, OPT_REPEAT, 5),
        .seed = SEED,
        .log = &log,
    };
    (void)ox_kv_format_parse(ox_str_c(cli_text(&cli->args, OPT_KV, "bf16")), &options.kv);
    code = synthetic ? open_synthetic(cli, &options, &engine) : cli_open(cli, &engine, NULL);
    if (code == EXIT_DONE) {
        code = run(cli, engine, &options);
    }
    oxcart_engine_close(&engine);
    return code;
}
