/* SPDX-License-Identifier: Apache-2.0
 *
 * Single kernels beside what the machine can do at most, measured in the same run: matrix products in the released
 * model's shapes, attention over blocks, index scores. Weights and cache blocks stand in an arena larger than the
 * caches and are walked through, so that each call finds its own in memory; every thread has its rows, or its blocks.
 *
 *     bench_simd [--level=NAME] [--kernel=NAME] [--tokens=N] [--threads=N] [--rounds=N] [--arena=BYTES] [--json]
 *
 * Without --level: every level of this machine but c. Medians of the rounds. GB/s counts each byte of weights or cache
 * once, GFLOP/s two a multiply-add; shares are those of read_sum and peak_flops at that level.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/rng.h"
#include "base/str.h"
#include "os/clock.h"
#include "os/team.h"
#include "simd/kernels.h"

#define MOST_ROUNDS 101
#define ROUND_S 0.05
#define MOST_TOKENS 2048
#define MOST_COLS 6144
#define MOST_ROWS 8192
#define PATTERN_BYTES ((size_t)1 << 20)

/* Of the released model: heads of a KV group, their size, keys of a block; index heads. */
#define HEADS 16
#define DIM 128
#define BLOCK 128
#define INDEX_HEADS 4

enum format { F32, BF16, MXFP8, N_FORMATS };

struct bench {
    struct ox_team *team;
    size_t n_workers;
    size_t n_rounds;
    size_t n_tokens; /* only this many; 0: all */
    const char *only;
    bool json;
    uint8_t *arena;
    size_t arena_bytes;
    uint8_t *scales;
    uint8_t *pattern;
    float *x;
    uint8_t *operand;
    float *y;
    uint8_t *rooms; /* of all workers */
    size_t room_bytes;
    struct ox_kernels kernels;
    double read_bytes_s;
    double flops_s;
    size_t n_printed;
};

/* What one call does, and what for; worker's part of call number `call`. */
struct task {
    struct bench *bench;
    void (*call)(const struct task *task, const struct ox_worker *worker, size_t call);
    const char *kernel;
    enum format format;
    bool exact;
    size_t n_rows;
    size_t n_cols;
    size_t n_tokens;
    size_t n_calls;
    void (*product)(OX_PRODUCT_PARAMETERS);
    void (*attend)(OX_ATTEND_PARAMETERS);
    void (*index_max)(OX_INDEX_MAX_PARAMETERS);
    double bytes; /* of a call, all workers */
    double flops;
};

static size_t format_bytes(enum format format, size_t n)
{
    static const size_t bytes[N_FORMATS] = {[F32] = 4, [BF16] = 2, [MXFP8] = 1};
    return n * bytes[format];
}

/* ---- tasks ------------------------------------------------------------------------------------------------------ */

static void call_product(const struct task *task, const struct ox_worker *worker, size_t call)
{
    struct bench *b = task->bench;
    const size_t row_bytes = format_bytes(task->format, task->n_cols);
    const size_t scale_bytes = task->format == MXFP8 ? task->n_cols / 32 : 0;
    const size_t matrix = row_bytes * task->n_rows;
    const size_t i = call % (b->arena_bytes / matrix);
    size_t begin;
    size_t end;
    ox_share(worker, task->n_rows, 16, &begin, &end);
    task->product(b->arena + i * matrix + begin * row_bytes, row_bytes,
                  scale_bytes > 0 ? b->scales + i * (scale_bytes * task->n_rows) + begin * scale_bytes : NULL,
                  scale_bytes, end - begin, task->n_cols, b->operand, task->n_tokens, b->y + begin, task->n_rows);
}

/* Where a worker's block of this call is: keys, then values. */
static const uint8_t *block_of(const struct task *task, const struct ox_worker *worker, size_t call, size_t bytes)
{
    const size_t n = task->bench->arena_bytes / bytes / worker->n_workers;
    return task->bench->arena + (worker->i_worker * n + call % n) * bytes;
}

static void call_attend(const struct task *task, const struct ox_worker *worker, size_t call)
{
    struct bench *b = task->bench;
    const size_t bytes = format_bytes(task->format, (size_t)BLOCK * DIM);
    const uint8_t *keys = block_of(task, worker, call, 2 * bytes);
    const uint8_t *q[MOST_TOKENS];
    struct ox_gathered gathered[MOST_TOKENS];
    size_t n_seen[MOST_TOKENS];
    uint8_t *room = b->rooms + worker->i_worker * b->room_bytes;
    float *sum = b->y + worker->i_worker * task->n_tokens * HEADS * (DIM + 2);
    struct ox_softmax *soft = (struct ox_softmax *)(sum + task->n_tokens * HEADS * DIM);
    for (size_t t = 0; t < task->n_tokens; t++) {
        q[t] = b->operand + t * HEADS * b->kernels.operand_bytes(DIM);
        gathered[t] = (struct ox_gathered){soft + t * HEADS, sum + t * HEADS * DIM};
        n_seen[t] = BLOCK;
    }
    task->attend(q, gathered, n_seen, task->n_tokens, HEADS, keys, keys + bytes, BLOCK, DIM, 0.088F, room);
}

static void call_index_max(const struct task *task, const struct ox_worker *worker, size_t call)
{
    struct bench *b = task->bench;
    const uint8_t *keys = block_of(task, worker, call, format_bytes(task->format, (size_t)BLOCK * DIM));
    const size_t n = task->n_tokens * INDEX_HEADS;
    task->index_max(b->operand, n, 0, n, keys, BLOCK, DIM, b->y + worker->i_worker * n, 1);
}

static void call_read(const struct task *task, const struct ox_worker *worker, size_t call)
{
    struct bench *b = task->bench;
    const size_t part = ((size_t)1 << 20);
    volatile uint64_t sum = b->kernels.read_sum(block_of(task, worker, call, part), part);
    (void)sum;
}

static void call_peak(const struct task *task, const struct ox_worker *worker, size_t call)
{
    float out;
    (void)call;
    (void)worker;
    task->bench->kernels.peak_flops(1000, &out);
}

/* ---- measuring -------------------------------------------------------------------------------------------------- */

/* Calls so far go on through the arena. */
struct run {
    const struct task *task;
    size_t first;
    size_t n;
};

static void run_calls(void *argument, const struct ox_worker *worker)
{
    const struct run *run = argument;
    for (size_t i = 0; i < run->n; i++) {
        run->task->call(run->task, worker, run->first + i);
    }
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Seconds of a call. */
static double measure(const struct task *task)
{
    const struct bench *b = task->bench;
    double seconds[MOST_ROUNDS];
    struct run run = {task, 0, 1};
    ox_team_run(b->team, run_calls, &run);
    for (;;) {
        const uint64_t from = ox_clock_ns();
        run.first += run.n;
        ox_team_run(b->team, run_calls, &run);
        if (ox_clock_seconds(from, ox_clock_ns()) >= ROUND_S) {
            break;
        }
        run.n *= 2;
    }
    for (size_t r = 0; r < b->n_rounds; r++) {
        const uint64_t from = ox_clock_ns();
        run.first += run.n;
        ox_team_run(b->team, run_calls, &run);
        seconds[r] = ox_clock_seconds(from, ox_clock_ns()) / (double)run.n;
    }
    qsort(seconds, b->n_rounds, sizeof *seconds, compare);
    return seconds[b->n_rounds / 2];
}

static void print_result(struct bench *b, const struct task *task, double seconds)
{
    const char *level = ox_cpu_level_name(b->kernels.level);
    const double read = 100.0 * task->bytes / seconds / b->read_bytes_s;
    const double peak = 100.0 * task->flops / seconds / b->flops_s;
    if (b->json) {
        printf("%s\n  {\"level\": \"%s\", \"kernel\": \"%s\", \"rows\": %zu, \"cols\": %zu, \"tokens\": %zu, \"us\": "
               "%.3f, "
               "\"bytes_s\": %.4g, \"flops_s\": %.4g, \"read_share\": %.4f, \"peak_share\": %.4f}",
               b->n_printed > 0 ? "," : "", level, task->kernel, task->n_rows, task->n_cols, task->n_tokens,
               seconds * 1e6, task->bytes / seconds, task->flops / seconds, read / 100.0, peak / 100.0);
    } else {
        printf("%-10s %-14s %5zu x %-5zu %5zu tokens %10.1f us %8.2f GB/s %5.1f %% %9.1f GFLOP/s %5.1f %%\n", level,
               task->kernel, task->n_rows, task->n_cols, task->n_tokens, seconds * 1e6, task->bytes / seconds * 1e-9,
               read, task->flops / seconds * 1e-9, peak);
    }
    b->n_printed++;
    fflush(stdout);
}

/* ---- data ------------------------------------------------------------------------------------------------------- */

static double normal(struct ox_rng *rng)
{
    double sum = -6.0;
    for (int i = 0; i < 12; i++) {
        sum += ox_rng_double(rng);
    }
    return sum;
}

/* The code whose value is nearest to x, |x| <= 448. */
static uint8_t e4m3_from(double x)
{
    uint8_t low = 0;
    uint8_t high = 0x7E;
    while (low < high) {
        const uint8_t middle = (uint8_t)((low + high) / 2);
        const double edge = 0.5 * ((double)ox_f32_from_e4m3(middle) + (double)ox_f32_from_e4m3((uint8_t)(middle + 1)));
        if (fabs(x) <= edge) {
            high = middle;
        } else {
            low = (uint8_t)(middle + 1);
        }
    }
    return (uint8_t)(low | (x < 0.0 ? 0x80 : 0));
}

/* Weights as training leaves them: normal, MXFP8 with a block's largest within the top exponent. */
static void make_pattern(struct bench *b, enum format format)
{
    struct ox_rng rng;
    ox_rng_init(&rng, 1);
    for (size_t i = 0; i < PATTERN_BYTES / format_bytes(format, 32); i++) {
        uint8_t *to = b->pattern + i * format_bytes(format, 32);
        double x[32];
        double largest = 0.0;
        for (size_t k = 0; k < 32; k++) {
            x[k] = normal(&rng);
            largest = fabs(x[k]) > largest ? fabs(x[k]) : largest;
        }
        for (size_t k = 0; k < 32; k++) {
            const float value = (float)(0.02 * x[k]);
            const struct ox_bf16 rounded = ox_bf16_from_f32(value);
            if (format == F32) {
                memcpy(to + 4 * k, &value, 4);
            } else if (format == BF16) {
                memcpy(to + 2 * k, &rounded, 2);
            } else {
                to[k] = e4m3_from(x[k] / largest * (256.0 + 192.0 * ox_rng_double(&rng)));
            }
        }
    }
}

static void fill_share(void *argument, const struct ox_worker *worker)
{
    const struct bench *b = argument;
    size_t begin;
    size_t end;
    ox_share(worker, b->arena_bytes / PATTERN_BYTES, 1, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        memcpy(b->arena + i * PATTERN_BYTES, b->pattern, PATTERN_BYTES);
        memset(b->scales + i * (PATTERN_BYTES / 32), 112, PATTERN_BYTES / 32);
    }
}

static void fill_arena(struct bench *b, enum format format)
{
    make_pattern(b, format);
    ox_team_run(b->team, fill_share, b);
}

/* b->x as the operand of n rows. */
static void make_operand(struct bench *b, bool exact, size_t n, size_t n_cols)
{
    const size_t bytes = exact ? b->kernels.exact_bytes(n_cols) : b->kernels.operand_bytes(n_cols);
    for (size_t t = 0; t < n; t += OX_GROUP_TOKENS) {
        const size_t group = n - t < OX_GROUP_TOKENS ? n - t : OX_GROUP_TOKENS;
        const float *rows[OX_GROUP_TOKENS];
        for (size_t i = 0; i < group; i++) {
            rows[i] = b->x + (t + i) * n_cols;
        }
        (exact ? b->kernels.pack_exact : b->kernels.pack)(rows, group, 0, n_cols, n_cols, b->operand + t * bytes);
    }
}

/* ---- what is measured ------------------------------------------------------------------------------------------- */

static bool wanted(const struct bench *b, const char *kernel)
{
    return b->only == NULL || strcmp(b->only, kernel) == 0;
}

static void bench_products(struct bench *b, struct task task)
{
    static const size_t shapes[][2] = {{3072, 6144}, {6144, 3072}, {8192, 6144}, {512, 6144}};
    static const size_t router[][2] = {{128, 6144}};
    static const size_t tokens[] = {1, 4, 16, 64, 256, 1024, 2048};
    const size_t(*shape)[2] = task.format == F32 ? router : shapes;
    const size_t n_shapes = task.format == F32 ? 1 : sizeof shapes / sizeof shapes[0];
    task.bench = b;
    task.call = call_product;
    for (size_t i = 0; i < n_shapes && wanted(b, task.kernel); i++) {
        for (size_t j = 0; j < sizeof tokens / sizeof tokens[0]; j++) {
            if ((b->n_tokens != 0 && b->n_tokens != tokens[j]) || (task.exact && shape[i][0] > 512)) {
                continue;
            }
            task.n_rows = shape[i][0];
            task.n_cols = shape[i][1];
            task.n_tokens = tokens[j];
            task.bytes = (double)format_bytes(task.format, task.n_rows * task.n_cols);
            task.bytes += task.format == MXFP8 ? task.bytes / 32.0 : 0.0;
            task.flops = 2.0 * (double)(task.n_rows * task.n_cols) * (double)task.n_tokens;
            make_operand(b, task.exact, task.n_tokens, task.n_cols);
            print_result(b, &task, measure(&task));
        }
    }
}

/* Attention and index scores: each worker has a block of its own, so a call is n_workers blocks. */
static void bench_blocks(struct bench *b, struct task task)
{
    static const size_t tokens[] = {1, 8, 64};
    const bool attends = task.attend != NULL;
    const double pairs = (double)b->n_workers * BLOCK * DIM;
    task.bench = b;
    task.call = attends ? call_attend : call_index_max;
    task.n_rows = BLOCK;
    task.n_cols = DIM;
    for (size_t j = 0; j < sizeof tokens / sizeof tokens[0] && wanted(b, task.kernel); j++) {
        if (b->n_tokens != 0 && b->n_tokens != tokens[j]) {
            continue;
        }
        const size_t heads = attends ? HEADS : INDEX_HEADS;
        task.n_tokens = tokens[j];
        task.bytes = (attends ? 2.0 : 1.0) * pairs * (double)format_bytes(task.format, 1);
        task.flops = (attends ? 4.0 : 2.0) * pairs * (double)(heads * task.n_tokens);
        make_operand(b, !attends, task.n_tokens * heads, DIM);
        memset(b->y, 0, b->n_workers * task.n_tokens * heads * (DIM + 2) * sizeof *b->y);
        print_result(b, &task, measure(&task));
    }
}

static void bench_level(struct bench *b, enum ox_cpu_level level)
{
    ox_kernels_init(&b->kernels, level);
    const struct ox_kernels *k = &b->kernels;
    float out;
    const struct task read = {.bench = b, .call = call_read};
    const struct task peak = {.bench = b, .call = call_peak};
    fill_arena(b, BF16);
    b->read_bytes_s = (double)b->n_workers * 0x1p20 / measure(&read);
    b->flops_s = (double)b->n_workers * (double)k->peak_flops(1000, &out) / measure(&peak);
    if (b->json) {
        printf("%s\n  {\"level\": \"%s\", \"threads\": %zu, \"read_bytes_s\": %.4g, \"matmul_flops_s\": %.4g, "
               "\"matmul_unit\": \"%s\"}",
               b->n_printed++ > 0 ? "," : "", ox_cpu_level_name(level), b->n_workers, b->read_bytes_s, b->flops_s,
               ox_cpu_matmul_unit(level));
    } else {
        printf("%-10s %zu threads: reads %.2f GB/s, multiplies %.1f GFLOP/s (%s)\n", ox_cpu_level_name(level),
               b->n_workers, b->read_bytes_s * 1e-9, b->flops_s * 1e-9, ox_cpu_matmul_unit(level));
    }
    bench_products(b, (struct task){.kernel = "product_bf16", .format = BF16, .product = k->product_bf16});
    bench_products(b, (struct task){.kernel = "exact_bf16", .format = BF16, .exact = true, .product = k->exact_bf16});
    bench_blocks(b, (struct task){.kernel = "attend_bf16", .format = BF16, .attend = k->attend_bf16});
    bench_blocks(b, (struct task){.kernel = "index_max_bf16", .format = BF16, .index_max = k->index_max_bf16});
    fill_arena(b, MXFP8);
    bench_products(b, (struct task){.kernel = "product_mxfp8", .format = MXFP8, .product = k->product_mxfp8});
    bench_products(b,
                   (struct task){.kernel = "exact_mxfp8", .format = MXFP8, .exact = true, .product = k->exact_mxfp8});
    fill_arena(b, F32);
    bench_products(b, (struct task){.kernel = "exact_f32", .format = F32, .exact = true, .product = k->exact_f32});
    bench_blocks(b, (struct task){.kernel = "attend_f32", .format = F32, .attend = k->attend_f32});
    bench_blocks(b, (struct task){.kernel = "index_max_f32", .format = F32, .index_max = k->index_max_f32});
}

static void *take(size_t bytes)
{
    void *p = aligned_alloc((size_t)2 << 20, (bytes + ((size_t)2 << 20) - 1) >> 21 << 21);
    if (p == NULL) {
        fprintf(stderr, "bench_simd: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return p;
}

static void prepare(struct bench *b)
{
    struct ox_rng rng;
    const size_t n = (size_t)MOST_TOKENS * MOST_COLS;
    ox_rng_init(&rng, 2);
    b->room_bytes = (size_t)1 << 20;
    b->arena = take(b->arena_bytes);
    b->scales = take(b->arena_bytes / 32);
    b->pattern = take(PATTERN_BYTES);
    b->x = take(n * sizeof(float));
    b->operand = take(n * 10 + 4096); /* the largest: F32 and three pieces of BF16 */
    b->y = take((size_t)MOST_TOKENS * MOST_ROWS * sizeof(float));
    b->rooms = take(b->n_workers * b->room_bytes);
    for (size_t i = 0; i < n; i++) {
        b->x[i] = (float)ox_rng_double(&rng) - 0.5F;
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_simd [--level=NAME] [--kernel=NAME] [--tokens=N] [--threads=N] [--rounds=N] "
                    "[--arena=BYTES] [--json]\n");
    return 2;
}

/* The number behind "--name=", or false. */
static bool number(const char *argument, const char *name, size_t *out)
{
    uint64_t n;
    const size_t len = strlen(name);
    if (strncmp(argument, name, len) != 0 || !ox_str_to_size(ox_str_c(argument + len), &n)) {
        return false;
    }
    *out = (size_t)n;
    return true;
}

int main(int argc, char **argv)
{
    static struct bench b = {.n_rounds = 5, .arena_bytes = (size_t)1 << 30};
    enum ox_cpu_level only = OX_N_CPU_LEVELS;
    struct ox_topology *topology = NULL;
    struct ox_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--kernel=", 9) == 0) {
            b.only = argv[i] + 9;
        } else if (strcmp(argv[i], "--json") == 0) {
            b.json = true;
        } else if (!(strncmp(argv[i], "--level=", 8) == 0 && ox_cpu_level_parse(ox_str_c(argv[i] + 8), &only)) &&
                   !number(argv[i], "--tokens=", &b.n_tokens) && !number(argv[i], "--threads=", &b.n_workers) &&
                   !number(argv[i], "--rounds=", &b.n_rounds) && !number(argv[i], "--arena=", &b.arena_bytes)) {
            return usage();
        }
    }
    b.arena_bytes = b.arena_bytes / PATTERN_BYTES * PATTERN_BYTES;
    if (b.n_rounds == 0 || b.n_rounds > MOST_ROUNDS || b.arena_bytes < (size_t)128 << 20) {
        fprintf(stderr, "bench_simd: 1 to %d rounds, an arena of 128M at least\n", MOST_ROUNDS);
        return 2;
    }
    if (ox_topology_open(NULL, &topology, &err) != OX_OK ||
        ox_team_open(topology, b.n_workers, &b.team, &err) != OX_OK) {
        fprintf(stderr, "bench_simd: %s\n", err.message);
        return 1;
    }
    b.n_workers = ox_team_n_workers(b.team);
    prepare(&b);
    if (b.json) {
        printf("[");
    }
    for (size_t l = 0; l < OX_N_CPU_LEVELS; l++) {
        const enum ox_cpu_level level = (enum ox_cpu_level)l;
        if (ox_cpu_has_level(level) && (only == level || (only == OX_N_CPU_LEVELS && level != OX_CPU_C))) {
            bench_level(&b, level);
        }
    }
    if (b.json) {
        printf("\n]\n");
    }
    ox_team_close(&b.team);
    ox_topology_close(&topology);
    return 0;
}
