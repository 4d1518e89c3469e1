/* SPDX-License-Identifier: Apache-2.0
 *
 * Two lists with a lock, looked through at every taking: there are at most as many jobs as connections.
 */
#include "server/jobs.h"

#include <string.h>

#include "base/compiler.h"

void ox_jobs_init(struct ox_jobs *jobs, size_t n_workers)
{
    OX_CHECK(n_workers >= 4);
    memset(jobs, 0, sizeof *jobs);
    jobs->max_slow = n_workers / 2;
    jobs->max_slow_client = n_workers / 4;
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->wake, NULL);
}

void ox_jobs_fini(struct ox_jobs *jobs)
{
    pthread_cond_destroy(&jobs->wake);
    pthread_mutex_destroy(&jobs->lock);
}

void ox_jobs_add(struct ox_jobs *jobs, struct ox_job *job)
{
    pthread_mutex_lock(&jobs->lock);
    struct ox_job **at = &jobs->waiting;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    job->next = NULL;
    *at = job;
    pthread_cond_signal(&jobs->wake);
    pthread_mutex_unlock(&jobs->lock);
}

/* What is in hand. The lock is held, as below. */
struct load {
    size_t n_client; /* of the same client */
    size_t n_slow;
    size_t n_slow_client;
};

static struct load load_beside(const struct ox_jobs *jobs, const struct ox_job *job)
{
    struct load load = {0};
    for (const struct ox_job *other = jobs->in_hand; other != NULL; other = other->next) {
        const bool same = other->client == job->client;
        load.n_client += same ? 1 : 0;
        load.n_slow += other->slow ? 1 : 0;
        load.n_slow_client += other->slow && same ? 1 : 0;
    }
    return load;
}

/* Where the next job stands; NULL: none may be taken. */
static struct ox_job **find_next(struct ox_jobs *jobs)
{
    struct ox_job **best = NULL;
    size_t n_best = 0;
    for (struct ox_job **at = &jobs->waiting; *at != NULL; at = &(*at)->next) {
        const struct load load = load_beside(jobs, *at);
        const bool may = !(*at)->slow || jobs->ending ||
                         (load.n_slow < jobs->max_slow && load.n_slow_client < jobs->max_slow_client);
        if (may && (best == NULL || load.n_client < n_best)) {
            best = at;
            n_best = load.n_client;
        }
    }
    return best;
}

struct ox_job *ox_jobs_take(struct ox_jobs *jobs)
{
    struct ox_job *job = NULL;
    pthread_mutex_lock(&jobs->lock);
    struct ox_job **at = find_next(jobs);
    while (at == NULL && !jobs->ending) {
        pthread_cond_wait(&jobs->wake, &jobs->lock);
        at = find_next(jobs);
    }
    if (at != NULL) {
        job = *at;
        *at = job->next;
        job->next = jobs->in_hand;
        jobs->in_hand = job;
    }
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

void ox_jobs_done(struct ox_jobs *jobs, struct ox_job *job)
{
    pthread_mutex_lock(&jobs->lock);
    struct ox_job **at = &jobs->in_hand;
    while (*at != job) {
        at = &(*at)->next;
    }
    *at = job->next;
    if (job->slow) {
        pthread_cond_broadcast(&jobs->wake); /* one that was passed over may be taken now */
    }
    pthread_mutex_unlock(&jobs->lock);
}

void ox_jobs_end(struct ox_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    jobs->ending = true;
    pthread_cond_broadcast(&jobs->wake);
    pthread_mutex_unlock(&jobs->lock);
}
