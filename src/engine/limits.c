/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the two measuring kernels in all workers at once, between barriers.
 */
#include "engine/limits.h"

#include <string.h>

#include "base/mem.h"
#include "os/clock.h"
#include "os/memory.h"

#define LEAST_BYTES ((uint64_t)256 << 20)
#define CACHES 8
#define MEASURE_S 0.2
#define PAGE_BYTES 4096

/* A worker's results, in a cache line of its own. */
struct line {
    _Alignas(OX_ALIGN) uint64_t sum;
    uint64_t operations;
    float value;
};

struct ox_limits {
    const struct ox_kernels *kernels;
    struct ox_team *team;
    struct ox_region buffer;
    struct line *lines; /* [n_workers] */
    size_t n_rounds;    /* of peak_flops, for MEASURE_S */
    /* of the measurement in hand; written by worker 0 between barriers */
    uint64_t n_passes;
    double seconds;
    bool more;
};

uint64_t ox_limits_bytes(const struct ox_topology *topology)
{
    struct ox_memory_info memory;
    uint64_t cache = 0;
    for (int level = 3; level >= 1 && cache == 0; level--) {
        cache = ox_topology_cache_bytes(topology, level) * ox_topology_n_caches(topology, level);
    }
    uint64_t bytes = CACHES * cache;
    if (ox_memory_query(&memory, NULL) == OX_OK && bytes > memory.available / 16) {
        bytes = memory.available / 16;
    }
    return bytes > LEAST_BYTES ? bytes : LEAST_BYTES;
}

static void touch(void *argument, const struct ox_worker *worker)
{
    const struct ox_limits *limits = argument;
    size_t begin;
    size_t end;
    ox_share(worker, limits->buffer.len, PAGE_BYTES, &begin, &end);
    memset(limits->buffer.ptr + begin, 0x55, end - begin);
}

/* Rounds of peak_flops that take about MEASURE_S. */
static size_t find_rounds(const struct ox_kernels *kernels)
{
    float value;
    double seconds = 0;
    size_t n = 64;
    for (;;) {
        const uint64_t begin = ox_clock_ns();
        (void)kernels->peak_flops(n, &value);
        seconds = ox_clock_seconds(begin, ox_clock_ns());
        if (seconds > MEASURE_S / 20) {
            return (size_t)((double)n * MEASURE_S / seconds) + 1;
        }
        n *= 2;
    }
}

enum ox_status ox_limits_open(const struct ox_topology *topology, const struct ox_kernels *kernels,
                              struct ox_team *team, struct ox_limits **out, struct ox_error *err)
{
    const size_t n_workers = ox_team_n_workers(team);
    struct ox_limits *limits = ox_calloc(1, sizeof *limits);
    if (limits == NULL) {
        return ox_error_nomem(err, sizeof *limits);
    }
    limits->kernels = kernels;
    limits->team = team;
    limits->lines = ox_calloc_aligned(n_workers, sizeof *limits->lines);
    enum ox_status status = limits->lines != NULL ? OX_OK : ox_error_nomem(err, n_workers * sizeof *limits->lines);
    if (status == OX_OK) {
        status = ox_region_open((size_t)ox_limits_bytes(topology), &limits->buffer, err);
    }
    if (status != OX_OK) {
        ox_limits_close(&limits);
        return status;
    }
    ox_team_run(team, touch, limits);
    limits->n_rounds = find_rounds(kernels);
    *out = limits;
    return OX_OK;
}

void ox_limits_close(struct ox_limits **limits)
{
    if (*limits == NULL) {
        return;
    }
    ox_region_close(&(*limits)->buffer);
    ox_free((*limits)->lines);
    ox_free(*limits);
    *limits = NULL;
}

static void read_all(void *argument, const struct ox_worker *worker)
{
    struct ox_limits *limits = argument;
    struct line *line = &limits->lines[worker->i_worker];
    size_t begin;
    size_t end;
    ox_share(worker, limits->buffer.len, PAGE_BYTES, &begin, &end);
    ox_barrier(worker);
    const uint64_t start = ox_clock_ns();
    bool more = true;
    while (more) {
        line->sum += limits->kernels->read_sum(limits->buffer.ptr + begin, end - begin);
        ox_barrier(worker);
        if (worker->i_worker == 0) {
            limits->seconds = ox_clock_seconds(start, ox_clock_ns());
            limits->n_passes++;
            limits->more = limits->seconds < MEASURE_S;
        }
        ox_barrier(worker);
        more = limits->more;
    }
}

static void multiply_all(void *argument, const struct ox_worker *worker)
{
    struct ox_limits *limits = argument;
    struct line *line = &limits->lines[worker->i_worker];
    ox_barrier(worker);
    const uint64_t start = ox_clock_ns();
    line->operations = limits->kernels->peak_flops(limits->n_rounds, &line->value);
    ox_barrier(worker);
    if (worker->i_worker == 0) {
        limits->seconds = ox_clock_seconds(start, ox_clock_ns());
    }
}

void ox_limits_measure(struct ox_limits *limits, double *read_bytes_s, double *matmul_flops_s)
{
    limits->n_passes = 0;
    ox_team_run(limits->team, read_all, limits);
    *read_bytes_s = (double)limits->n_passes * (double)limits->buffer.len / limits->seconds;
    ox_team_run(limits->team, multiply_all, limits);
    double operations = 0;
    for (size_t i = 0; i < ox_team_n_workers(limits->team); i++) {
        operations += (double)limits->lines[i].operations;
    }
    *matmul_flops_s = operations / limits->seconds;
}
