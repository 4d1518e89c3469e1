/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenMP makes and keeps the threads; everything inside a run is ours: pinning, shares, and a barrier of two levels
 * (groups of workers, then the last of each group) that spins for as long as steps of a forward pass are apart and
 * then sleeps in the kernel. What starts and ends a run is ordered by atomics of our own, so that ThreadSanitizer sees it.
 */
#include "os/team.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

#define GROUP_WORKERS 16
#define MAX_GROUPS (OX_TEAM_MAX_WORKERS / GROUP_WORKERS)
#define MAX_CPUS 8192

/* Pauses before sleeping: some 50 to 100 us where every worker has a core, next to nothing where they share. */
#define SPINS_OWN_CORE 2000
#define SPINS_SHARED_CORE 20

/* A set of processing units large enough for any machine. */
struct cpus {
    cpu_set_t sets[MAX_CPUS / CPU_SETSIZE];
};

/* One cache line, so that groups do not disturb each other. */
struct line {
    _Alignas(OX_ALIGN) _Atomic uint32_t value;
};

struct ox_team {
    struct line arrived[MAX_GROUPS];
    struct line groups_arrived;
    struct line generation; /* counts barriers; what sleepers wait on */
    struct line sleepers;
    struct line started; /* counts runs */
    struct line finished;
    void (*function)(void *argument, const struct ox_worker *worker);
    void *argument;
    size_t n_workers;
    size_t n_groups;
    int spins;
    int *pus;         /* of each worker; NULL: not pinned */
    struct cpus home; /* what an unpinned worker may use */
};

/* What OpenMP's thread is pinned to now, -1: to nothing. Threads outlive teams and serve several, so this belongs to the
 * thread: it is the one thing in the project that is neither constant nor reached from a handle. */
static _Thread_local int pinned_pu = -1;

static void pin(int pu)
{
    struct cpus one;
    memset(&one, 0, sizeof one);
    CPU_SET_S((size_t)pu, sizeof one, one.sets);
    if (sched_setaffinity(0, sizeof one, one.sets) == 0) {
        pinned_pu = pu;
    }
}

static void unpin(const struct cpus *to)
{
    (void)sched_setaffinity(0, sizeof *to, to->sets);
    pinned_pu = -1;
}

static void place(const struct ox_team *team, size_t i_worker)
{
    if (team->pus == NULL) {
        if (pinned_pu != -1) {
            unpin(&team->home);
        }
    } else if (pinned_pu != team->pus[i_worker]) {
        pin(team->pus[i_worker]);
    }
}

/* How many threads OpenMP really gives where n are asked for. */
static size_t threads_given(size_t n)
{
    struct line given;
    atomic_init(&given.value, 0);
    struct line *const counter = &given;
#pragma omp parallel num_threads((int)n) default(none) firstprivate(counter)
    {
        atomic_fetch_add_explicit(&counter->value, 1, memory_order_acq_rel);
    }
    return atomic_load_explicit(&given.value, memory_order_acquire);
}

static enum ox_status choose_pus(struct ox_team *team, const struct ox_topology *topology, struct ox_error *err)
{
    if (topology == NULL || team->n_workers > ox_topology_n_cores(topology)) {
        return OX_OK;
    }
    team->pus = ox_calloc(team->n_workers, sizeof *team->pus);
    if (team->pus == NULL) {
        return ox_error_nomem(err, team->n_workers * sizeof *team->pus);
    }
    for (size_t i = 0; i < team->n_workers; i++) {
        team->pus[i] = ox_topology_core_pu(topology, i);
        if (team->pus[i] >= MAX_CPUS) {
            return ox_error_set(err, OX_E_LIMIT, "threads: expected processing units below %d, found %d", MAX_CPUS,
                                team->pus[i]);
        }
    }
    return OX_OK;
}

enum ox_status ox_team_open(const struct ox_topology *topology, size_t n_workers, struct ox_team **out,
                            struct ox_error *err)
{
    enum ox_status status;
    if (n_workers == 0) {
        n_workers = topology != NULL ? ox_topology_n_cores(topology) : 1;
    }
    if (n_workers > OX_TEAM_MAX_WORKERS) {
        return ox_error_set(err, OX_E_LIMIT, "threads: expected at most %d, found %zu", OX_TEAM_MAX_WORKERS, n_workers);
    }
    struct ox_team *team = ox_calloc_aligned(1, sizeof *team);
    if (team == NULL) {
        return ox_error_nomem(err, sizeof *team);
    }
    team->n_workers = n_workers;
    team->n_groups = (n_workers + GROUP_WORKERS - 1) / GROUP_WORKERS;
    if (sched_getaffinity(0, sizeof team->home, team->home.sets) != 0) {
        status = ox_error_set_errno(err, OX_E_DEVICE, errno, "threads: the processors to run on cannot be found");
        goto fail;
    }
    status = choose_pus(team, topology, err);
    if (status != OX_OK) {
        goto fail;
    }
    const bool own_core = n_workers <= (size_t)CPU_COUNT_S(sizeof team->home, team->home.sets);
    team->spins = own_core ? SPINS_OWN_CORE : SPINS_SHARED_CORE;
    const int dynamic = omp_get_dynamic();
    omp_set_dynamic(0);
    const size_t given = n_workers > 1 ? threads_given(n_workers) : 1;
    omp_set_dynamic(dynamic);
    if (given != n_workers) {
        status = ox_error_set(err, OX_E_LIMIT, "threads: expected %zu from OpenMP, found %zu (OMP_THREAD_LIMIT?)",
                              n_workers, given);
        goto fail;
    }
    *out = team;
    return OX_OK;
fail:
    ox_team_close(&team);
    return status;
}

void ox_team_close(struct ox_team **team)
{
    if (*team != NULL) {
        ox_free((*team)->pus);
        ox_free(*team);
        *team = NULL;
    }
}

size_t ox_team_n_workers(const struct ox_team *team)
{
    return team->n_workers;
}

/* One worker's part of a run. The acquire pairs with the release of started in ox_team_run; the release of finished with
 * the acquire there. */
static void work(struct ox_team *team, size_t i_worker)
{
    (void)atomic_load_explicit(&team->started.value, memory_order_acquire);
    place(team, i_worker);
    const struct ox_worker worker = {team, i_worker, team->n_workers};
    team->function(team->argument, &worker);
    atomic_fetch_add_explicit(&team->finished.value, 1, memory_order_release);
}

void ox_team_run(struct ox_team *team, void (*function)(void *argument, const struct ox_worker *worker), void *argument)
{
    struct cpus before;
    const bool pins = team->pus != NULL && sched_getaffinity(0, sizeof before, before.sets) == 0;
    team->function = function;
    team->argument = argument;
    atomic_store_explicit(&team->finished.value, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&team->started.value, 1, memory_order_release);
    if (team->n_workers == 1) {
        work(team, 0);
    } else {
        const int dynamic = omp_get_dynamic();
        omp_set_dynamic(0);
#pragma omp parallel num_threads((int)team->n_workers) default(none) firstprivate(team)
        {
            /* Fewer threads than workers could never pass a barrier; ox_team_open has seen that all come. */
            OX_CHECK((size_t)omp_get_num_threads() == team->n_workers);
            work(team, (size_t)omp_get_thread_num());
        }
        omp_set_dynamic(dynamic);
    }
    OX_CHECK(atomic_load_explicit(&team->finished.value, memory_order_acquire) == team->n_workers);
    if (pins) {
        unpin(&before);
    }
}

#if defined(__x86_64__) || defined(__i386__)
static void pause_cpu(void)
{
    __builtin_ia32_pause();
}
#elif defined(__aarch64__)
static void pause_cpu(void)
{
    __asm__ volatile("isb" ::: "memory");
}
#else
static void pause_cpu(void)
{
}
#endif

static void sleep_while(_Atomic uint32_t *word, uint32_t value)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake_all(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Is this the last worker of all to arrive? Counters are set back by whoever fills them, before anyone is let go. */
static bool arrive_last(struct ox_team *team, size_t i_worker)
{
    const size_t group = i_worker / GROUP_WORKERS;
    const size_t first = group * GROUP_WORKERS;
    const size_t left = team->n_workers - first;
    const uint32_t full = (uint32_t)(left < GROUP_WORKERS ? left : GROUP_WORKERS);
    if (atomic_fetch_add_explicit(&team->arrived[group].value, 1, memory_order_acq_rel) + 1 != full) {
        return false;
    }
    atomic_store_explicit(&team->arrived[group].value, 0, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->groups_arrived.value, 1, memory_order_acq_rel) + 1 != team->n_groups) {
        return false;
    }
    atomic_store_explicit(&team->groups_arrived.value, 0, memory_order_relaxed);
    return true;
}

void ox_barrier(const struct ox_worker *worker)
{
    struct ox_team *team = worker->team;
    _Atomic uint32_t *generation = &team->generation.value;
    const uint32_t now = atomic_load_explicit(generation, memory_order_relaxed);
    if (arrive_last(team, worker->i_worker)) {
        /* Sequentially consistent with sleepers: either we see a sleeper, or it sees the new generation. */
        atomic_store_explicit(generation, now + 1, memory_order_seq_cst);
        if (atomic_load_explicit(&team->sleepers.value, memory_order_seq_cst) != 0) {
            wake_all(generation);
        }
        return;
    }
    for (int i = 0; i < team->spins; i++) {
        if (atomic_load_explicit(generation, memory_order_acquire) != now) {
            return;
        }
        pause_cpu();
    }
    atomic_fetch_add_explicit(&team->sleepers.value, 1, memory_order_seq_cst);
    while (atomic_load_explicit(generation, memory_order_seq_cst) == now) {
        sleep_while(generation, now);
    }
    atomic_fetch_sub_explicit(&team->sleepers.value, 1, memory_order_seq_cst);
}

void ox_share(const struct ox_worker *worker, size_t n, size_t step, size_t *begin, size_t *end)
{
    OX_CHECK(step > 0);
    const size_t n_blocks = n / step + (n % step != 0 ? 1 : 0);
    const size_t each = n_blocks / worker->n_workers;
    const size_t extra = n_blocks % worker->n_workers;
    const size_t i = worker->i_worker;
    const size_t first = i * each + (i < extra ? i : extra);
    const size_t last = first + each + (i < extra ? 1 : 0);
    *begin = first < n_blocks ? first * step : n;
    *end = last < n_blocks ? last * step : n;
}
