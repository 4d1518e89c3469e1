/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread team: every worker runs once, barriers hold, shares cover everything once, results do not depend on the
 * number of workers, and two teams may run at once.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "os/team.h"
#include "tests/tap.h"

#define MOST_WORKERS 64

static struct ox_team *open_team(const struct ox_topology *topology, size_t n)
{
    struct ox_team *team = NULL;
    struct ox_error err = {0};
    if (ox_team_open(topology, n, &team, &err) != OX_OK) {
        OK(false, "%s", err.message);
        exit(tap_done());
    }
    return team;
}

struct seen {
    _Atomic int runs[MOST_WORKERS];
    _Atomic int wrong;
    pthread_t caller;
};

static void count_run(void *argument, const struct ox_worker *worker)
{
    struct seen *seen = argument;
    atomic_fetch_add(&seen->runs[worker->i_worker], 1);
    if (worker->i_worker == 0 && !pthread_equal(pthread_self(), seen->caller)) {
        atomic_fetch_add(&seen->wrong, 1);
    }
}

static void test_every_worker(const struct ox_topology *topology)
{
    static const size_t sizes[] = {1, 2, 3, 7, 16, 17, 33, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct seen seen = {0};
        seen.caller = pthread_self();
        struct ox_team *team = open_team(topology, sizes[i]);
        for (int run = 0; run < 50; run++) {
            ox_team_run(team, count_run, &seen);
        }
        bool once = true;
        for (size_t w = 0; w < MOST_WORKERS; w++) {
            once = once && seen.runs[w] == (w < sizes[i] ? 50 : 0);
        }
        OK(once && ox_team_n_workers(team) == sizes[i], "%zu workers, each once a run", sizes[i]);
        OK(seen.wrong == 0, "worker 0 is the calling thread");
        ox_team_close(&team);
        OK(team == NULL, "closed");
    }
    struct ox_team *none = NULL;
    ox_team_close(&none);
}

/* Plain memory handed round: each worker writes its cell, all check all cells behind the barrier. */
struct relay {
    int cells[MOST_WORKERS];
    int rounds;
    _Atomic int faults;
};

static void relay_run(void *argument, const struct ox_worker *worker)
{
    struct relay *relay = argument;
    for (int round = 1; round <= relay->rounds; round++) {
        relay->cells[worker->i_worker] = round;
        ox_barrier(worker);
        for (size_t w = 0; w < worker->n_workers; w++) {
            if (relay->cells[w] != round) {
                atomic_fetch_add(&relay->faults, 1);
            }
        }
        ox_barrier(worker);
    }
}

static void test_barrier(const struct ox_topology *topology)
{
    static const size_t sizes[] = {1, 2, 3, 15, 16, 17, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct relay relay = {.rounds = sizes[i] <= 2 ? 3000 : 100};
        struct ox_team *team = open_team(topology, sizes[i]);
        ox_team_run(team, relay_run, &relay);
        ox_team_run(team, relay_run, &relay);
        OK(relay.faults == 0, "%zu workers, %d rounds: everything written before is seen after", sizes[i],
           relay.rounds);
        ox_team_close(&team);
    }
}

/* One worker comes late: the others must sleep and be woken. */
static void late_run(void *argument, const struct ox_worker *worker)
{
    struct relay *relay = argument;
    const struct timespec nap = {0, 3 * 1000 * 1000};
    for (int round = 1; round <= relay->rounds; round++) {
        if ((size_t)round % worker->n_workers == worker->i_worker) {
            nanosleep(&nap, NULL);
        }
        relay->cells[worker->i_worker] = round;
        ox_barrier(worker);
        if (relay->cells[(size_t)round % worker->n_workers] != round) {
            atomic_fetch_add(&relay->faults, 1);
        }
        ox_barrier(worker);
    }
}

static void test_late(const struct ox_topology *topology)
{
    static const size_t sizes[] = {2, 5, 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct relay relay = {.rounds = 20};
        struct ox_team *team = open_team(topology, sizes[i]);
        ox_team_run(team, late_run, &relay);
        OK(relay.faults == 0, "%zu workers, each late in turn", sizes[i]);
        ox_team_close(&team);
    }
}

static void test_share(void)
{
    static const size_t lengths[] = {0, 1, 2, 15, 16, 17, 63, 64, 100, 1000, 4097};
    static const size_t steps[] = {1, 2, 16, 32, 1000};
    bool covers = true;
    bool even = true;
    bool aligned = true;
    for (size_t w = 1; w <= MOST_WORKERS; w++) {
        for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
            for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
                size_t at = 0;
                size_t least = SIZE_MAX;
                size_t most = 0;
                for (size_t i = 0; i < w; i++) {
                    const struct ox_worker worker = {NULL, i, w};
                    size_t begin;
                    size_t end;
                    ox_share(&worker, lengths[l], steps[s], &begin, &end);
                    covers = covers && begin == at && end >= begin;
                    aligned = aligned && (begin == end || begin % steps[s] == 0);
                    const size_t n_steps = (end - begin + steps[s] - 1) / steps[s];
                    least = n_steps < least ? n_steps : least;
                    most = n_steps > most ? n_steps : most;
                    at = end;
                }
                covers = covers && at == lengths[l];
                even = even && most - least <= 1;
            }
        }
    }
    OK(covers, "shares are contiguous, in order, and cover everything once");
    OK(even, "they differ by at most one step");
    OK(aligned, "they start at multiples of step");
    const struct ox_worker last = {NULL, 1, 2};
    size_t begin;
    size_t end;
    ox_share(&last, SIZE_MAX, 3, &begin, &end);
    OK(begin < end && end == SIZE_MAX, "the largest number of items does not overflow");
}

/* A sum in blocks of fixed size: the same bits for every number of workers. */
#define N_ITEMS 10000
#define N_BLOCKS 157 /* of 64 items */
struct sum {
    float values[N_ITEMS];
    float blocks[N_BLOCKS];
    float total;
};

static void sum_run(void *argument, const struct ox_worker *worker)
{
    struct sum *sum = argument;
    size_t begin;
    size_t end;
    ox_share(worker, N_BLOCKS, 1, &begin, &end);
    for (size_t b = begin; b < end; b++) {
        float part = 0;
        for (size_t i = b * 64; i < b * 64 + 64 && i < N_ITEMS; i++) {
            part += sum->values[i];
        }
        sum->blocks[b] = part;
    }
    ox_barrier(worker);
    if (worker->i_worker == 0) {
        sum->total = 0;
        for (size_t b = 0; b < N_BLOCKS; b++) {
            sum->total += sum->blocks[b];
        }
    }
}

static float sum_with(const struct ox_topology *topology, size_t n_workers)
{
    static struct sum sum;
    for (size_t i = 0; i < N_ITEMS; i++) {
        sum.values[i] = 1.0F / (float)(i + 1);
    }
    memset(sum.blocks, 0, sizeof sum.blocks);
    struct ox_team *team = open_team(topology, n_workers);
    ox_team_run(team, sum_run, &sum);
    ox_team_close(&team);
    return sum.total;
}

static void test_same_bits(const struct ox_topology *topology)
{
    const float one = sum_with(topology, 1);
    bool same = one > 9.0F && one < 10.0F;
    for (size_t n = 2; n <= MOST_WORKERS; n += 5) {
        const float more = sum_with(topology, n);
        same = same && memcmp(&one, &more, sizeof one) == 0;
    }
    OK(same, "the same bits for 1 to 64 workers");
}

/* Where workers are when they run. */
struct places {
    cpu_set_t sets[MOST_WORKERS];
};

static void places_run(void *argument, const struct ox_worker *worker)
{
    struct places *places = argument;
    sched_getaffinity(0, sizeof places->sets[0], &places->sets[worker->i_worker]);
}

static void test_pinning(const struct ox_topology *topology)
{
    static struct places places;
    cpu_set_t before;
    cpu_set_t after;
    const size_t n = ox_topology_n_cores(topology);
    if (n > MOST_WORKERS || sched_getaffinity(0, sizeof before, &before) != 0) {
        NOTE("a machine too large for this test");
        return;
    }
    struct ox_team *team = open_team(topology, 0);
    IS_INT(ox_team_n_workers(team), n, "0 workers: one a core");
    ox_team_run(team, places_run, &places);
    bool pinned = true;
    for (size_t i = 0; i < n; i++) {
        pinned = pinned && CPU_COUNT(&places.sets[i]) == 1 &&
                 CPU_ISSET((size_t)ox_topology_core_pu(topology, i), &places.sets[i]);
    }
    OK(pinned, "each worker is pinned to its core");
    sched_getaffinity(0, sizeof after, &after);
    OK(CPU_EQUAL(&before, &after), "the caller is free again afterwards");

    struct ox_team *many = open_team(topology, n + 1);
    ox_team_run(many, places_run, &places);
    bool unpinned = true;
    for (size_t i = 0; i < n + 1 && i < MOST_WORKERS; i++) {
        unpinned = unpinned && CPU_EQUAL(&places.sets[i], &before);
    }
    OK(unpinned, "more workers than cores: nobody is pinned, also not those of the team before");
    ox_team_run(team, places_run, &places);
    pinned = true;
    for (size_t i = 0; i < n; i++) {
        pinned = pinned && CPU_COUNT(&places.sets[i]) == 1;
    }
    OK(pinned, "the first team pins again");
    ox_team_close(&many);
    ox_team_close(&team);
}

struct other {
    const struct ox_topology *topology;
    size_t n_workers;
    int faults;
};

static void *run_other(void *argument)
{
    struct other *other = argument;
    struct relay relay = {.rounds = 20};
    struct ox_team *team = NULL;
    if (ox_team_open(other->topology, other->n_workers, &team, NULL) != OX_OK) {
        other->faults = -1;
        return NULL;
    }
    for (int i = 0; i < 30; i++) {
        ox_team_run(team, relay_run, &relay);
    }
    ox_team_close(&team);
    other->faults = relay.faults;
    return NULL;
}

static void test_two_teams(const struct ox_topology *topology)
{
    struct other others[2] = {{topology, 2, 0}, {topology, 3, 0}};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, run_other, &others[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    OK(others[0].faults == 0 && others[1].faults == 0, "two teams at once from two threads");

    struct ox_team *a = open_team(topology, 2);
    struct ox_team *b = open_team(topology, 5);
    struct relay relay = {.rounds = 10};
    for (int i = 0; i < 10; i++) {
        ox_team_run(a, relay_run, &relay);
        ox_team_run(b, relay_run, &relay);
    }
    OK(relay.faults == 0, "two teams in turn from one thread");
    ox_team_close(&a);
    ox_team_close(&b);
}

static void test_errors(const struct ox_topology *topology)
{
    struct ox_team *team = NULL;
    struct ox_error err = {0};
    IS_INT(ox_team_open(topology, OX_TEAM_MAX_WORKERS + 1, &team, &err), OX_E_LIMIT, "too many workers");
    OK(team == NULL && strstr(err.message, "expected at most 1024, found 1025") != NULL, "says so: %s", err.message);
    IS_INT(ox_team_open(NULL, 0, &team, &err), OX_OK, "no topology, no number");
    IS_INT(ox_team_n_workers(team), 1, "is one worker");
    ox_team_close(&team);
}

/* Run again with a limit on OpenMP's threads: opening must fail with a sentence, not hang. */
static void test_thread_limit(char **argv)
{
    fflush(stdout);
    setenv("OMP_THREAD_LIMIT", "2", 1);
    char command[4096];
    snprintf(command, sizeof command, "'%s' limited", argv[0]);
    const int status = system(command);
    unsetenv("OMP_THREAD_LIMIT");
    OK(status == 0, "fewer threads than workers: refused by ox_team_open");
}

static int limited(void)
{
    struct ox_team *team = NULL;
    struct ox_error err = {0};
    const enum ox_status status = ox_team_open(NULL, 4, &team, &err);
    ox_team_close(&team);
    return status == OX_E_LIMIT && strstr(err.message, "expected 4 from OpenMP, found 2") != NULL ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct ox_topology *topology = NULL;
    struct ox_error err = {0};
    if (argc > 1) {
        return limited();
    }
    if (ox_topology_open(NULL, &topology, &err) != OX_OK) {
        OK(false, "%s", err.message);
        return tap_done();
    }
    test_share();
    test_every_worker(topology);
    test_every_worker(NULL);
    test_barrier(topology);
    test_late(topology);
    test_same_bits(topology);
    test_pinning(topology);
    test_two_teams(topology);
    test_errors(topology);
    test_thread_limit(argv);
    ox_topology_close(&topology);
    return tap_done();
}
