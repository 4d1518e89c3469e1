/* SPDX-License-Identifier: Apache-2.0
 *
 * The workers' queue. Slow jobs (large bodies, pictures and clips, above all those that other hosts give when they like) may
 * have half of the workers, and one client's a quarter; so others always find a worker. Of those that may be
 * taken, the next is one of the client that has the fewest in hand.
 */
#ifndef OX_SERVER_JOBS_H
#define OX_SERVER_JOBS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of what it is done for, the owner. client and slow are not changed between add and take. */
struct ox_job {
    struct ox_job *next;
    void *owner;
    uint64_t client;
    bool slow;
};

struct ox_jobs {
    size_t max_slow; /* at once */
    size_t max_slow_client;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct ox_job *waiting; /* in the order in which they came */
    struct ox_job *in_hand;
    bool ending;
};

/* For so many workers, at least 4. */
void ox_jobs_init(struct ox_jobs *jobs, size_t n_workers);

/* Nobody is inside its functions, and nothing waits. */
void ox_jobs_fini(struct ox_jobs *jobs);

/* All of these: any thread. */
void ox_jobs_add(struct ox_jobs *jobs, struct ox_job *job);

/* The next job, waited for; to be given back with ox_jobs_done before its owner goes, or is added again. NULL after
 * ox_jobs_end, when all is taken: then slow ones are taken at once. */
struct ox_job *ox_jobs_take(struct ox_jobs *jobs);
void ox_jobs_done(struct ox_jobs *jobs, struct ox_job *job);

/* No more jobs are waited for. */
void ox_jobs_end(struct ox_jobs *jobs);

#endif
