/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread team: OpenMP's threads, pinned one to a core, that run one function together and meet at barriers. Work
 * is split statically by worker; nothing is ever handed out in an order that timing could change.
 */
#ifndef OX_OS_TEAM_H
#define OX_OS_TEAM_H

#include <stddef.h>

#include "base/status.h"
#include "os/topology.h"

#define OX_TEAM_MAX_WORKERS 1024

struct ox_team;

/* One of the team's threads during a run. */
struct ox_worker {
    struct ox_team *team;
    size_t i_worker; /* 0 .. n_workers - 1; 0 is the calling thread */
    size_t n_workers;
};

/* Make a team of n_workers (0: one per core of the topology). The topology is borrowed and must outlive the team; with
 * more workers than cores, or NULL, nothing is pinned. The calling thread is pinned only during runs. */
enum ox_status ox_team_open(const struct ox_topology *topology, size_t n_workers, struct ox_team **out,
                            struct ox_error *err) OX_MUST_USE;
void ox_team_close(struct ox_team **team);

size_t ox_team_n_workers(const struct ox_team *team);

/* Run function(argument, worker) in every worker and return when all have. One run at a time for a team; different
 * teams may run at once from different threads. Must not be called from inside a run. */
void ox_team_run(struct ox_team *team, void (*function)(void *argument, const struct ox_worker *worker),
                 void *argument);

/* Inside a run: wait until every worker of the team is here. Spins briefly, then sleeps. Everything written before it
 * by any worker is seen after it by all. */
void ox_barrier(const struct ox_worker *worker);

/* The share of worker out of n items: *begin <= i < *end; contiguous, in order, sizes differ by at most one `step`
 * (shares start at multiples of step). */
void ox_share(const struct ox_worker *worker, size_t n, size_t step, size_t *begin, size_t *end);

#endif
