/* SPDX-License-Identifier: Apache-2.0
 *
 * Benchmarks: what tokens cost, against the published sums of the released shapes and against counting one by one;
 * what a run needs; and its report, from synthetic models and the demonstration model.
 */
#include <math.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/benchmark.h"
#include "engine/limits.h"
#include "tests/tap.h"
#include "weights/synthetic.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(a)[0])
#define SMALL                                                                                                          \
    "m3,layers=3,hidden=64,inter=32,dense_inter=96,shared_inter=64,heads=4,kv_heads=2,head_dim=32,rotary_dim=16,"      \
    "index_dim=16,experts=6,used=2,vocab=50,block=8,topk_blocks=3"

/* ---- costs ------------------------------------------------------------------------------------------------------- */

/* A model's shapes without its weights. */
struct shapes {
    struct ox_synthetic synthetic;
    struct ox_weights weights;
    struct ox_cost cost;
    struct ox_kv_layout layout;
};

static void open_shapes(const char *spec, struct shapes *s)
{
    static const uint8_t nowhere = 0;
    struct ox_error err = {0};
    if (ox_synthetic_parse(ox_str_c(spec), &s->synthetic, &err) != OX_OK ||
        ox_synthetic_bind(&s->synthetic, &nowhere, &s->weights, &err) != OX_OK ||
        ox_kv_layout_init(&s->synthetic.config, OX_KV_BF16, &s->layout, &err) != OX_OK) {
        OK(false, "%s: %s", spec, err.message);
        exit(1);
    }
    ox_cost_init(&s->synthetic.config, &s->weights, &s->cost);
}

static void near(double found, double expected, double digit, const char *name)
{
    OK(fabs(found - expected) <= digit * 0.5000001, "%s: %.6g, expected %.6g", name, found, expected);
}

/* bytes at one position for batch 1, in GB; the sum without cache. */
static double bytes_at(const struct shapes *s, size_t pos, double bytes[OX_N_PURPOSES])
{
    double sum = 0;
    ox_cost_bytes(&s->cost, &s->layout, pos, 1, 1, ox_cost_expert_bytes(&s->cost), bytes);
    for (size_t i = 0; i < OX_N_PURPOSES; i++) {
        bytes[i] *= 1e-9;
        sum += i == OX_FOR_KV ? 0 : bytes[i];
    }
    return sum;
}

/* arithmetic.md 2: bytes of weights for a token. */
static void test_weight_bytes(void)
{
    static struct shapes s;
    double bytes[OX_N_PURPOSES];
    open_shapes("m3", &s);
    near(bytes_at(&s, 0, bytes), 26.83, 0.01, "MXFP8, all weights, GB");
    near(ox_cost_expert_bytes(&s.cost) * 1e-9, 13.31, 0.01, "MXFP8, routed experts, GB");
    near(bytes[OX_FOR_EXPERTS] * 1e9, 228.0 * 58392576 + 57.0 * 128 * 6144 * 4, 1, "MXFP8, experts and routers");
    near(bytes[OX_FOR_SHARED] * 1e9, 57.0 * 58392576, 1, "MXFP8, shared experts");
    near(bytes[OX_FOR_DENSE] * 1e9, 679477248.0 / 32 * 33, 1, "MXFP8, dense MLPs");
    near(bytes[OX_FOR_ATTENTION] * 1e9, 6417285120.0 / 32 * 33, 1, "MXFP8, attention");
    near(bytes[OX_FOR_INDEX] * 1e9, 224133120.0 / 32 * 33, 1, "MXFP8, index projections");
    near(bytes[OX_FOR_HEAD] * 1e9, 1229193216.0 * 2, 1, "head in BF16");
    ox_weights_fini(&s.weights);
    open_shapes("m3,format=bf16", &s);
    near(bytes_at(&s, 0, bytes), 49.56, 0.011, "BF16, all weights, GB"); /* norms are not counted */
    near(ox_cost_expert_bytes(&s.cost) * 1e-9, 25.82, 0.01, "BF16, routed experts, GB");
    ox_weights_fini(&s.weights);
}

/* arithmetic.md 3 and 4: what one token reads of the cache and computes. */
static void test_cache_and_flops(void)
{
    static const struct {
        size_t context;
        double kv;
        double attention; /* GFLOP */
    } rows[] = {{4096, 0.264, 4.23}, {32768, 0.440, 7.05}, {131072, 1.044, 16.7}, {524288, 3.460, 55.4},
                {1048576, 6.682, 106.9}};
    static struct shapes s;
    double bytes[OX_N_PURPOSES];
    open_shapes("m3", &s);
    const double linear = ox_cost_flops(&s.cost, 0, 1, 1) - 60.0 * 32768;
    near(linear * 1e-9, 49.46, 0.011, "linear layers and head, GFLOP");
    near((linear - ox_cost_flops(&s.cost, 0, 1, 0) + 60.0 * 32768) * 1e-9, 2.46, 0.01, "head, GFLOP");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const size_t n_blocks = rows[i].context / 128;
        (void)bytes_at(&s, rows[i].context - 1, bytes);
        near(bytes[OX_FOR_KV], rows[i].kv, 0.001, "keys and values, GB");
        /* the scan leaves the token's own block out */
        const double keys = (double)(n_blocks - 1) * 128;
        near(bytes[OX_FOR_INDEX] * 1e9 - 224133120.0 / 32 * 33, keys * 57 * 256, 64, "index keys");
        const double flops = ox_cost_flops(&s.cost, rows[i].context - 1, 1, 1) - linear;
        near((flops - keys * 57 * 1024) * 1e-9, rows[i].attention, rows[i].attention > 10 ? 0.1 : 0.01,
             "attention, GFLOP");
    }
    /* a prefill: means over positions, the head once */
    const double mean = (ox_cost_flops(&s.cost, 5000, 1, 0) + ox_cost_flops(&s.cost, 5001, 1, 1)) / 2;
    near(ox_cost_flops(&s.cost, 5000, 2, 1), mean, 100, "two tokens' mean");
    ox_weights_fini(&s.weights);
}

/* One by one, as the index does it. */
static void test_keys(size_t init_blocks, size_t local_blocks)
{
    struct ox_config *config = ox_calloc(1, sizeof *config);
    size_t n_wrong = 0;
    if (config == NULL) {
        exit(1);
    }
    config->block = 5;
    config->topk_blocks = 4;
    config->init_blocks = init_blocks;
    config->local_blocks = local_blocks;
    for (size_t pos = 0; pos < 100; pos++) {
        const size_t own = pos / 5;
        size_t scored = 0;
        for (size_t b = 0; own + 1 > 4 && b <= own; b++) {
            const size_t n_keys = b == own ? pos % 5 + 1 : 5;
            scored += b + local_blocks > own || b < init_blocks ? 0 : n_keys;
        }
        const size_t attended = own + 1 <= 4 ? pos + 1 : 3 * 5 + pos % 5 + 1;
        n_wrong += ox_cost_scored_keys(config, pos) == scored ? 0 : 1;
        n_wrong += ox_cost_keys(config, true, pos) == attended ? 0 : 1;
        n_wrong += ox_cost_keys(config, false, pos) == pos + 1 ? 0 : 1;
    }
    OK(n_wrong == 0, "keys with %zu initial and %zu local blocks: %zu wrong", init_blocks, local_blocks, n_wrong);
    ox_free(config);
}

static void test_batch(void)
{
    static struct shapes s;
    double one[OX_N_PURPOSES];
    double four[OX_N_PURPOSES];
    open_shapes(SMALL, &s);
    ox_cost_bytes(&s.cost, &s.layout, 100, 3, 1, 1000, one);
    ox_cost_bytes(&s.cost, &s.layout, 100, 3, 4, 1000, four);
    near(four[OX_FOR_ATTENTION], one[OX_FOR_ATTENTION] / 4, 1e-6, "weights are shared");
    near(four[OX_FOR_EXPERTS], one[OX_FOR_EXPERTS] / 4, 1e-6, "experts are shared");
    near(four[OX_FOR_KV], one[OX_FOR_KV], 1e-6, "the cache is not");
    near(one[OX_FOR_KV], (102.0 + 2 * (101 % 8 + 1 + 16)) * 2 * 2 * 32 * 2, 1e-6, "mean over three positions");
    ox_weights_fini(&s.weights);
}

static void test_spread(void)
{
    double odd[] = {3, 1, 2};
    double even[] = {4, 1, 2, 8};
    const struct ox_spread a = ox_spread_of(odd, 3);
    const struct ox_spread b = ox_spread_of(even, 4);
    OK(a.median == 2 && a.min == 1 && a.max == 3, "median of three");
    OK(b.median == 3 && b.min == 1 && b.max == 8, "median of four");
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static const size_t depths[] = {0, 45};
static const size_t batches[] = {1, 3};
static const struct ox_benchmark_options plain_options = {
    .prompt = 9, .predict = 4, .depths = depths, .n_depths = 2, .batches = batches, .n_batches = 2, .repeat = 2,
    .kv = OX_KV_BF16, .seed = 1};

static struct oxcart_engine *open_synthetic(const char *spec, uint64_t more, enum ox_status expected)
{
    const struct oxcart_engine_options options = {.size = sizeof options, .n_threads = 2};
    struct oxcart_engine *engine = NULL;
    struct ox_error err = {0};
    const enum ox_status status = ox_engine_open_synthetic(&options, ox_str_c(spec), more, &engine, &err);
    OK(status == expected && (engine != NULL) == (expected == OX_OK), "%s: %s %s", spec, ox_status_name(status),
       err.message);
    return engine;
}

static double number(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    OK(json_is_number(v) && isfinite(json_number_value(v)), "%s is a number", name);
    return json_number_value(v);
}

static double spread(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    const double median = number(v, "median");
    const double min = number(v, "min");
    OK(min > 0 && min <= median && median <= number(v, "max"), "%s: in order", name);
    return median;
}

static void check_result(const json_t *r, size_t i, double read_bytes_s, double flops_s, bool extrapolated)
{
    IS_INT(json_integer_value(json_object_get(r, "depth")), depths[i / 2], "depth");
    IS_INT(json_integer_value(json_object_get(r, "batch")), batches[i % 2], "batch");
    IS_INT(json_integer_value(json_object_get(r, "prompt")), 9, "prompt");
    IS_INT(json_integer_value(json_object_get(r, "predict")), 4, "predict");
    const json_t *prefill = json_object_get(r, "prefill");
    const double share = spread(prefill, "tok_s") * number(prefill, "flops_per_token") / flops_s;
    OK(fabs(number(prefill, "share_of_matmul") / share - 1) < 1e-4, "share of matmul");
    const json_t *decode = json_object_get(r, "decode");
    const json_t *bytes = json_object_get(decode, "bytes_per_token");
    double sum = 0;
    for (size_t p = 0; p < OX_N_PURPOSES; p++) {
        sum += number(bytes, ox_purpose_name((enum ox_purpose)p));
    }
    OK(fabs(sum - number(bytes, "total")) <= OX_N_PURPOSES, "total of bytes");
    const double read_share = spread(decode, "tok_s") * sum / read_bytes_s;
    OK(fabs(number(decode, "share_of_read") / read_share - 1) < 1e-3, "share of read");
    IS_INT(json_object_size(r), extrapolated ? 7 : 6, "no more members");
    const json_t *full = json_object_get(r, "extrapolation");
    if (extrapolated) {
        IS_INT(json_integer_value(json_object_get(full, "layers")), 60, "extrapolated to 60 layers");
        OK(spread(json_object_get(full, "prefill"), "tok_s") < spread(prefill, "tok_s") &&
               spread(json_object_get(full, "decode"), "tok_s") < spread(decode, "tok_s"),
           "more layers are slower");
    }
}

/* Run; the report parsed, NULL on failure. */
static json_t *report(struct oxcart_engine *engine, const struct ox_benchmark_options *options)
{
    struct ox_benchmark b = {0};
    struct ox_error err = {0};
    struct ox_buf text = {0};
    json_t *root = NULL;
    if (!OK(ox_benchmark_run(engine, options, &b, &err) == OX_OK, "a run: %s", err.message)) {
        return NULL;
    }
    ox_benchmark_add_json(&b, &text);
    OK(ox_json_parse(ox_buf_str(&text), "report", &root, &err) == OX_OK, "the report is JSON: %s", err.message);
    ox_buf_clear(&text);
    ox_benchmark_add_csv(&b, &text);
    size_t commas[8] = {0};
    size_t n_lines = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len && n_lines < 8; i++) {
        quoted = quoted != (text.ptr[i] == '"');
        commas[n_lines] += text.ptr[i] == ',' && !quoted ? 1 : 0;
        n_lines += text.ptr[i] == '\n' ? 1 : 0;
    }
    IS_INT(n_lines, options->n_depths * options->n_batches + 1, "lines of the table");
    for (size_t i = 1; i < n_lines && i < 8; i++) {
        IS_INT(commas[i], commas[0], "a field for each column");
    }
    ox_buf_fini(&text);
    ox_benchmark_fini(&b);
    return root;
}

static void check_report(const json_t *root, const char *model, const char *format, bool extrapolated)
{
    IS_STR(ox_json_text(json_object_get(root, "model")).ptr, model, "model");
    IS_STR(ox_json_text(json_object_get(root, "format")).ptr, format, "format");
    IS_INT(json_integer_value(json_object_get(root, "threads")), 2, "threads");
    IS_INT(json_integer_value(json_object_get(root, "rounds")), 2, "rounds");
    OK(ox_json_text(json_object_get(root, "cpu_level")).len > 0, "CPU level");
    const json_t *machine = json_object_get(root, "machine");
    const double read_bytes_s = spread(machine, "read_bytes_s");
    const double flops_s = spread(machine, "matmul_flops_s");
    OK(ox_json_text(json_object_get(machine, "matmul_unit")).len > 0, "matmul unit");
    const json_t *results = json_object_get(root, "results");
    IS_INT(json_array_size(results), 4, "depths times batches");
    for (size_t i = 0; i < json_array_size(results); i++) {
        check_result(json_array_get(results, i), i, read_bytes_s, flops_s, extrapolated);
    }
}

static double bytes_for(const json_t *root, size_t i_result, const char *purpose)
{
    const json_t *r = json_array_get(json_object_get(root, "results"), i_result);
    return number(json_object_get(json_object_get(r, "decode"), "bytes_per_token"), purpose);
}

static void test_synthetic_run(void)
{
    static struct shapes s;
    struct oxcart_engine *engine = open_synthetic(SMALL, 0, OX_OK);
    if (engine == NULL) {
        return;
    }
    json_t *root = report(engine, &plain_options);
    check_report(root, "synthetic " SMALL, "mxfp8", true);
    open_shapes(SMALL, &s);
    const double expert = 3.0 * 64 * 32 / 32 * 33;
    const double routers = 2.0 * 6 * 64 * 4;
    near(bytes_for(root, 0, "experts"), 2 * 2 * expert + routers, 1, "a token's two experts of two layers");
    const double three = bytes_for(root, 1, "experts") * 3 - routers;
    OK(three >= 2 * 2 * expert - 3 && three <= 2 * 6 * expert + 3, "three tokens' experts: %.0f, one's: %.0f", three,
       2 * 2 * expert);
    /* positions 45 to 48, blocks of 8, 3 of them in two layers: 6, 7, 8 and 1 keys of the own block */
    near(bytes_for(root, 2, "kv"), (47.5 + 2 * (16 + 5.5)) * 2 * 2 * 32 * 2, 1, "keys and values from depth 45 on");
    struct ox_benchmark_options wide = plain_options;
    wide.kv = OX_KV_F32;
    json_t *other = report(engine, &wide);
    near(bytes_for(other, 3, "kv"), 2 * bytes_for(root, 3, "kv"), 2, "a cache in F32 is twice as large");
    ox_weights_fini(&s.weights);
    json_decref(other);
    json_decref(root);
    oxcart_engine_close(&engine);
}

/* Only layers of both kinds can be extrapolated from. */
static void test_one_kind(void)
{
    static const char *const specs[] = {SMALL ",dense=0", SMALL ",dense=3", SMALL ",shared_inter=0,format=bf16"};
    const size_t one = 1;
    struct ox_benchmark_options options = plain_options;
    options.batches = &one;
    options.n_batches = 1;
    options.repeat = 1;
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        char spec[512];
        const char *start = strstr(specs[i], "shared_inter=64,");
        /* the last case names shared_inter again, which is refused: take the first one out */
        snprintf(spec, sizeof spec, "%.*s%s", (int)(start - specs[i]), specs[i],
                 i == 2 ? start + strlen("shared_inter=64,") : start);
        struct oxcart_engine *engine = open_synthetic(spec, 0, OX_OK);
        json_t *root = engine != NULL ? report(engine, &options) : NULL;
        const json_t *first = json_array_get(json_object_get(root, "results"), 0);
        OK(json_is_object(first) && (json_object_get(first, "extrapolation") != NULL) == (i == 2),
           "%s: extrapolation", spec);
        json_decref(root);
        oxcart_engine_close(&engine);
    }
}

static void test_model_run(void)
{
    const struct oxcart_engine_options options = {.size = sizeof options, .model_path = tap_file("demo"), .n_threads = 2};
    struct oxcart_engine *engine = NULL;
    struct ox_error err = {0};
    if (!OK(ox_engine_open(&options, &engine, &err) == OX_OK, "the demonstration model: %s", err.message)) {
        return;
    }
    json_t *root = report(engine, &plain_options);
    check_report(root, "demo", "mxfp8", false);
    json_decref(root);
    oxcart_engine_close(&engine);
}

static void test_refusals(void)
{
    const size_t deep[] = {0, 1048571};
    const size_t far[] = {1000000};
    const size_t many[] = {1, OX_BENCHMARK_MAX_BATCH + 1};
    const size_t most[] = {OX_BENCHMARK_MAX_BATCH};
    struct ox_benchmark b = {0};
    struct ox_error err = {0};
    struct oxcart_engine *engine = open_synthetic(SMALL, 0, OX_OK);
    struct ox_benchmark_options options = plain_options;
    options.depths = deep;
    OK(ox_benchmark_run(engine, &options, &b, &err) == OX_E_ARG && strstr(err.message, "1048571") != NULL &&
           strstr(err.message, "1048576") != NULL,
       "too deep: %s", err.message);
    options.prompt = 1048577;
    options.depths = depths;
    OK(ox_benchmark_run(engine, &options, &b, &err) == OX_E_ARG, "too long: %s", err.message);
    options = plain_options;
    options.batches = many;
    OK(ox_benchmark_run(engine, &options, &b, &err) == OX_E_ARG && strstr(err.message, "4097") != NULL, "too many: %s",
       err.message);
    options.batches = most;
    options.n_batches = 1;
    options.depths = far;
    options.n_depths = 1;
    OK(ox_benchmark_run(engine, &options, &b, &err) == OX_E_NOMEM && strstr(err.message, "missing") != NULL,
       "too much: %s", err.message);
    oxcart_engine_close(&engine);
    (void)open_synthetic(SMALL, UINT64_MAX, OX_E_NOMEM);
    (void)open_synthetic("m3,layers=1024,experts=65536,hidden=1048576", 0, OX_E_NOMEM);
    (void)open_synthetic("m3,layers=1000000", 0, OX_E_ARG);
}

static void test_limits(void)
{
    struct ox_topology *topology = NULL;
    struct ox_team *team = NULL;
    struct ox_limits *limits = NULL;
    struct ox_kernels kernels;
    struct ox_error err = {0};
    double read_bytes_s = 0;
    double matmul_flops_s = 0;
    ox_kernels_init(&kernels, OX_CPU_C);
    if (!OK(ox_topology_open(NULL, &topology, &err) == OX_OK && ox_team_open(topology, 2, &team, &err) == OX_OK &&
                ox_limits_open(topology, &kernels, team, &limits, &err) == OX_OK,
            "limits: %s", err.message)) {
        return;
    }
    OK(ox_limits_bytes(topology) >= (uint64_t)256 << 20, "at least 256 MiB are read");
    ox_limits_measure(limits, &read_bytes_s, &matmul_flops_s);
    OK(read_bytes_s > 1e7 && read_bytes_s < 1e14, "bytes read: %.3g/s", read_bytes_s);
    OK(matmul_flops_s > 1e6 && matmul_flops_s < 1e15, "operations: %.3g/s", matmul_flops_s);
    ox_limits_close(&limits);
    ox_limits_close(&limits);
    ox_team_close(&team);
    ox_topology_close(&topology);
}

int main(void)
{
    test_weight_bytes();
    test_cache_and_flops();
    test_keys(0, 1);
    test_keys(1, 2);
    test_keys(2, 0);
    test_batch();
    test_spread();
    test_synthetic_run();
    test_one_kind();
    test_model_run();
    test_refusals();
    test_limits();
    return tap_done();
}
