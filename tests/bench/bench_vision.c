/* SPDX-License-Identifier: Apache-2.0
 *
 * The vision tower's speed on a picture of 672 x 672 pixels with the released sizes and random weights, beside what the
 * machine's multiply-adds can do in the same minute.
 *
 *     bench_vision [--layers=N] [--side=PATCHES] [--level=CPU_LEVEL] [--threads=N] [--rounds=N] [--cpu-time=1]
 *
 * --cpu-time: one thread, and its own time instead of the clock's, for machines that others use at the same time.
 * Fewer layers than 32 take less memory; the figure for 32 is worked out from the layers' share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/number.h"
#include "base/rng.h"
#include "engine/limits.h"
#include "model/vision.h"
#include "os/clock.h"
#include "os/memory.h"

#define RELEASED_LAYERS 32
#define MOST_LAYERS 32
#define TEXT 6144
#define PATCH_VALUES 1176

static struct ox_region memory;
static size_t used;

static uint8_t *take(size_t bytes)
{
    uint8_t *p = memory.ptr + used;
    used += (bytes + OX_ALIGN - 1) / OX_ALIGN * OX_ALIGN;
    return p;
}

/* Random BF16 (or F32) numbers between -1 and 1, divided by the root of the columns. */
static struct ox_matrix make_matrix(struct ox_rng *rng, size_t rows, size_t cols, enum ox_format format)
{
    const size_t step = format == OX_FORMAT_F32 ? 4 : 2;
    struct ox_matrix m = {.format = format, .rows = rows, .cols = cols, .row_bytes = cols * step};
    uint8_t *values = take(rows * cols * step);
    uint64_t bits = ox_rng_next(rng);
    for (size_t i = 0; i < rows * cols; i++) {
        bits = bits * UINT64_C(6364136223846793005) + 1;
        const float x = ((float)(bits >> 40) * 0x1p-23F - 1.0F) * 1.7F / (float)(cols < 2000 ? 36 : 80);
        const struct ox_bf16 rounded = ox_bf16_from_f32(x);
        memcpy(values + i * step, format == OX_FORMAT_F32 ? (const void *)&x : (const void *)&rounded, step);
    }
    m.values = values;
    return m;
}

static const float *make_vector(size_t n, float value)
{
    float *x = (float *)(void *)take(n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        x[i] = value;
    }
    return x;
}

static struct ox_affine make_affine(struct ox_rng *rng, size_t rows, size_t cols)
{
    return (struct ox_affine){make_matrix(rng, rows, cols, OX_FORMAT_BF16), make_vector(rows, 0.0F)};
}

static struct ox_layer_norm make_norm(size_t n)
{
    return (struct ox_layer_norm){make_vector(n, 1.0F), make_vector(n, 0.0F)};
}

static void make_tower(const struct ox_vision_config *v, struct ox_vision_layer *layers, struct ox_vision_weights *w)
{
    struct ox_rng rng;
    ox_rng_init(&rng, 1);
    w->patch = make_matrix(&rng, v->hidden, PATCH_VALUES, OX_FORMAT_F32);
    w->pre_norm = make_norm(v->hidden);
    w->layers = layers;
    for (size_t l = 0; l < v->n_layers; l++) {
        layers[l] = (struct ox_vision_layer){.norm1 = make_norm(v->hidden),
                                             .norm2 = make_norm(v->hidden),
                                             .q = make_affine(&rng, v->hidden, v->hidden),
                                             .k = make_affine(&rng, v->hidden, v->hidden),
                                             .v = make_affine(&rng, v->hidden, v->hidden),
                                             .out = make_affine(&rng, v->hidden, v->hidden),
                                             .fc1 = make_affine(&rng, v->inter, v->hidden),
                                             .fc2 = make_affine(&rng, v->hidden, v->inter)};
    }
    w->project1 = make_affine(&rng, v->projector, v->hidden);
    w->project2 = make_affine(&rng, TEXT, v->projector);
    w->merge1 = make_affine(&rng, v->projector, (size_t)TEXT * 4);
    w->merge2 = make_affine(&rng, TEXT, v->projector);
}

static double layer_flops(const struct ox_vision_config *v, double n)
{
    const double hidden = (double)v->hidden;
    return 2.0 * n * (4.0 * hidden * hidden + 2.0 * hidden * (double)v->inter) + 4.0 * n * n * hidden;
}

/* Patch embedding, projector and merger. */
static double end_flops(const struct ox_vision_config *v, double n)
{
    const double p = (double)v->projector;
    return 2.0 * n * (PATCH_VALUES * (double)v->hidden + (double)v->hidden * p + p * TEXT) +
           2.0 * n / 4.0 * (4.0 * TEXT * p + p * TEXT);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    uint64_t value = otherwise;
    for (int i = 1; i < argc; i++) {
        const size_t len = strlen(name);
        if (strncmp(argv[i], name, len) == 0 && !ox_str_to_u64(ox_str_c(argv[i] + len), &value)) {
            fprintf(stderr, "bench_vision: %s: expected a number\n", argv[i]);
            exit(2);
        }
    }
    return value;
}

static void need(enum ox_status status, const struct ox_error *err)
{
    if (status != OX_OK) {
        fprintf(stderr, "bench_vision: %s\n", err->message);
        exit(1);
    }
}

#define MOST_ROUNDS 100
#define PEAK_SECONDS 0.1

static double own_seconds(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0 ? (double)now.tv_sec + (double)now.tv_nsec * 1e-9 : 0.0;
}

/* Multiply-adds of one thread in its own time. */
static double own_peak(const struct ox_kernels *kernels)
{
    float value;
    double operations = 0.0;
    const double begin = own_seconds();
    while (own_seconds() - begin < PEAK_SECONDS) {
        operations += (double)kernels->peak_flops(1000, &value);
    }
    return operations / (own_seconds() - begin);
}

int main(int argc, char **argv)
{
    static struct ox_config config;
    static struct ox_weights weights;
    static struct ox_vision_layer layers[MOST_LAYERS];
    struct ox_error err = {0};
    struct ox_kernels kernels;
    struct ox_topology *topology = NULL;
    struct ox_team *team = NULL;
    struct ox_vision *vision = NULL;
    struct ox_limits *limits = NULL;
    struct ox_region features = {0};
    enum ox_cpu_level level = ox_cpu_best_level();
    const size_t side = (size_t)option(argc, argv, "--side=", 48);
    size_t n_rounds = (size_t)option(argc, argv, "--rounds=", 5);
    n_rounds = n_rounds > MOST_ROUNDS ? MOST_ROUNDS : n_rounds;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--level=", 8) == 0 && !ox_cpu_level_parse(ox_str_c(argv[i] + 8), &level)) {
            fprintf(stderr, "bench_vision: %s is not known\n", argv[i]);
            return 2;
        }
    }
    config.hidden = TEXT;
    config.vision = (struct ox_vision_config){.n_layers = (size_t)option(argc, argv, "--layers=", 4), .hidden = 1280,
                                              .inter = 5120, .n_heads = 16, .patch = 14, .n_channels = 3, .merge = 2,
                                              .temporal = 2, .segment_frames = 4, .projector = TEXT, .eps = 1e-5F,
                                              .rope_theta = 10000.0};
    const struct ox_vision_config *v = &config.vision;
    if (v->n_layers > MOST_LAYERS || side < 2 || side % 2 != 0 || n_rounds == 0) {
        fprintf(stderr, "bench_vision: at most %d layers, an even side, a round or more\n", MOST_LAYERS);
        return 2;
    }
    const size_t n = side * side;
    need(ox_region_open(((size_t)700 + v->n_layers * 48) << 20, &memory, &err), &err);
    make_tower(v, layers, &weights.vision);
    ox_kernels_init(&kernels, level);
    need(ox_topology_open(NULL, &topology, &err), &err);
    const bool own = option(argc, argv, "--cpu-time=", 0) != 0;
    need(ox_team_open(topology, own ? 1 : (size_t)option(argc, argv, "--threads=", 0), &team, &err), &err);
    need(ox_limits_open(topology, &kernels, team, &limits, &err), &err);
    const struct ox_model model = {.config = &config, .weights = &weights, .kernels = &kernels, .team = team};
    need(ox_vision_open(&model, n, &vision, &err), &err);
    need(ox_region_open(n / 4 * TEXT * sizeof(float), &features, &err), &err);
    double seconds[MOST_ROUNDS];
    double peaks[MOST_ROUNDS];
    const double flops = (double)v->n_layers * layer_flops(v, (double)n) + end_flops(v, (double)n);
    for (size_t r = 0; r < n_rounds; r++) {
        float *patches = ox_vision_patches(vision);
        double read_bytes_s;
        for (size_t i = 0; i < n * PATCH_VALUES; i++) {
            patches[i] = (float)(i % 613) * 0.005F - 1.5F;
        }
        const double own_begin = own_seconds();
        const uint64_t begin = ox_clock_ns();
        ox_vision_encode(vision, 1, side, side, NULL, (float *)(void *)features.ptr);
        seconds[r] = own ? own_seconds() - own_begin : ox_clock_seconds(begin, ox_clock_ns());
        if (own) {
            peaks[r] = own_peak(&kernels);
        } else {
            ox_limits_measure(limits, &read_bytes_s, &peaks[r]);
        }
    }
    qsort(seconds, n_rounds, sizeof seconds[0], by_value);
    qsort(peaks, n_rounds, sizeof peaks[0], by_value);
    const double rate = flops / seconds[n_rounds / 2];
    const double peak = peaks[n_rounds / 2];
    const double whole = RELEASED_LAYERS * layer_flops(v, (double)n) + end_flops(v, (double)n);
    printf("level %s, %zu threads, %zu patches, %zu layers: %.3f s (%.3f to %.3f), %.1f GFLOP/s of %.1f: %.1f %%; %d "
           "layers: about %.2f s, memory %.0f MiB\n",
           ox_cpu_level_name(level), ox_team_n_workers(team), n, v->n_layers, seconds[n_rounds / 2], seconds[0],
           seconds[n_rounds - 1], rate / 1e9, peak / 1e9, 100.0 * rate / peak, RELEASED_LAYERS, whole / rate,
           (double)ox_vision_bytes(&model, n) / 1048576.0);
    ox_vision_close(&vision);
    ox_limits_close(&limits);
    ox_team_close(&team);
    ox_topology_close(&topology);
    ox_region_close(&features);
    ox_region_close(&memory);
    return 0;
}
