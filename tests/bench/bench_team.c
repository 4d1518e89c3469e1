/* SPDX-License-Identifier: Apache-2.0
 *
 * What a barrier and a run cost: bench_team [WORKERS...] prints microseconds for each number of workers (default: 1, 2,
 * one a core). Medians of 21 rounds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "os/clock.h"
#include "os/team.h"

#define ROUNDS 21
#define BARRIERS 10000
#define RUNS 1000

static void barriers_run(void *argument, const struct ox_worker *worker)
{
    (void)argument;
    for (int i = 0; i < BARRIERS; i++) {
        ox_barrier(worker);
    }
}

static void empty_run(void *argument, const struct ox_worker *worker)
{
    (void)argument;
    (void)worker;
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

static int measure(const struct ox_topology *topology, size_t n_workers)
{
    struct ox_team *team = NULL;
    struct ox_error err = {0};
    double barrier_us[ROUNDS];
    double run_us[ROUNDS];
    if (ox_team_open(topology, n_workers, &team, &err) != OX_OK) {
        fprintf(stderr, "bench_team: %s\n", err.message);
        return 1;
    }
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t from = ox_clock_ns();
        ox_team_run(team, barriers_run, NULL);
        barrier_us[r] = ox_clock_seconds(from, ox_clock_ns()) * 1e6 / BARRIERS;
        from = ox_clock_ns();
        for (int i = 0; i < RUNS; i++) {
            ox_team_run(team, empty_run, NULL);
        }
        run_us[r] = ox_clock_seconds(from, ox_clock_ns()) * 1e6 / RUNS;
    }
    printf("%4zu workers: barrier %.3f us, run %.3f us\n", ox_team_n_workers(team), median(barrier_us), median(run_us));
    ox_team_close(&team);
    return 0;
}

int main(int argc, char **argv)
{
    struct ox_topology *topology = NULL;
    struct ox_error err = {0};
    int status = 0;
    if (ox_topology_open(NULL, &topology, &err) != OX_OK) {
        fprintf(stderr, "bench_team: %s\n", err.message);
        return 1;
    }
    if (argc < 2) {
        status = measure(topology, 1) | measure(topology, 2) | measure(topology, 0);
    }
    for (int i = 1; i < argc; i++) {
        uint64_t n;
        if (!ox_str_to_u64(ox_str_c(argv[i]), &n) || n > OX_TEAM_MAX_WORKERS) {
            fprintf(stderr, "bench_team: expected a number of workers, found \"%s\"\n", argv[i]);
            return 2;
        }
        status |= measure(topology, (size_t)n);
    }
    ox_topology_close(&topology);
    return status;
}
