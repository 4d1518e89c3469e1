/* SPDX-License-Identifier: Apache-2.0
 *
 * The workers' queue: whose job is next, what slow ones may have, and that everything is taken in the end. Threads of their
 * own take many jobs at once.
 */
#include "server/jobs.h"

#include <poll.h>

#include "tests/tap.h"

#define N_WORKERS 8

static struct ox_job job(uint64_t client, bool slow)
{
    return (struct ox_job){.client = client, .slow = slow};
}

/* Take one that is there. */
static const struct ox_job *take(struct ox_jobs *jobs)
{
    return jobs->waiting != NULL ? ox_jobs_take(jobs) : NULL;
}

static void test_order(void)
{
    struct ox_jobs jobs;
    struct ox_job a[4] = {job(1, false), job(1, false), job(1, false), job(1, false)};
    struct ox_job b = job(2, false);
    struct ox_job c = job(3, false);
    ox_jobs_init(&jobs, N_WORKERS);
    for (size_t i = 0; i < 4; i++) {
        ox_jobs_add(&jobs, &a[i]);
    }
    OK(take(&jobs) == &a[0] && take(&jobs) == &a[1], "one client alone: in order");
    ox_jobs_add(&jobs, &b);
    ox_jobs_add(&jobs, &c);
    OK(take(&jobs) == &b && take(&jobs) == &c, "others come before it");
    ox_jobs_done(&jobs, &b);
    ox_jobs_add(&jobs, &b);
    OK(take(&jobs) == &b, "and again");
    OK(take(&jobs) == &a[2] && take(&jobs) == &a[3], "then the rest");
    ox_jobs_end(&jobs);
    OK(ox_jobs_take(&jobs) == NULL, "the end");
    ox_jobs_fini(&jobs);
}

static void test_slow(void)
{
    struct ox_jobs jobs;
    struct ox_job slow[9];
    struct ox_job fast = job(1, false);
    ox_jobs_init(&jobs, N_WORKERS);
    for (size_t i = 0; i < 9; i++) {
        slow[i] = job(1 + i / 3, true);
        ox_jobs_add(&jobs, &slow[i]);
    }
    ox_jobs_add(&jobs, &fast);
    OK(take(&jobs) == &slow[0] && take(&jobs) == &slow[3] && take(&jobs) == &slow[6], "one of each client");
    OK(take(&jobs) == &slow[1], "then a second");
    OK(take(&jobs) == &fast, "half of the workers; the fast one is passed on");
    ox_jobs_done(&jobs, &slow[6]);
    OK(take(&jobs) == &slow[7], "who has none is next");
    ox_jobs_done(&jobs, &slow[3]);
    ox_jobs_done(&jobs, &slow[7]);
    ox_jobs_done(&jobs, &slow[0]);
    OK(take(&jobs) == &slow[4] && take(&jobs) == &slow[8] && take(&jobs) == &slow[5], "and again, one in each turn");
    ox_jobs_done(&jobs, &slow[4]);
    ox_jobs_done(&jobs, &slow[8]);
    ox_jobs_done(&jobs, &slow[5]);
    OK(take(&jobs) == &slow[2], "the last one");
    ox_jobs_fini(&jobs);
}

/* One client alone has a quarter. */
static void test_one_client(void)
{
    struct ox_jobs jobs;
    struct ox_job slow[4] = {job(1, true), job(1, true), job(1, true), job(1, true)};
    struct ox_job fast = job(1, false);
    struct ox_job other = job(2, true);
    ox_jobs_init(&jobs, N_WORKERS);
    for (size_t i = 0; i < 4; i++) {
        ox_jobs_add(&jobs, &slow[i]);
    }
    OK(take(&jobs) == &slow[0] && take(&jobs) == &slow[1], "two");
    ox_jobs_add(&jobs, &fast);
    OK(take(&jobs) == &fast, "no third before a fast one that came later");
    ox_jobs_add(&jobs, &other);
    OK(take(&jobs) == &other, "no third before another's");
    ox_jobs_end(&jobs);
    OK(take(&jobs) == &slow[2] && take(&jobs) == &slow[3] && ox_jobs_take(&jobs) == NULL, "all at the end");
    ox_jobs_fini(&jobs);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

#define N_JOBS 2000
#define N_CLIENTS 5

static struct {
    struct ox_jobs jobs;
    struct ox_job all[N_JOBS];
    pthread_mutex_t lock;
    size_t n_taken;
    size_t n_slow; /* in hand */
    size_t n_slow_client[N_CLIENTS];
    size_t most_slow;
    size_t most_slow_client;
} many;

static void count(const struct ox_job *taken, int by)
{
    size_t *client = &many.n_slow_client[taken->client];
    pthread_mutex_lock(&many.lock);
    many.n_taken += by > 0 ? 1 : 0;
    if (taken->slow) {
        many.n_slow += (size_t)by;
        *client += (size_t)by;
        many.most_slow = many.n_slow > many.most_slow ? many.n_slow : many.most_slow;
        many.most_slow_client = *client > many.most_slow_client ? *client : many.most_slow_client;
    }
    pthread_mutex_unlock(&many.lock);
}

static void *worker_main(void *unused)
{
    struct ox_job *taken = NULL;
    (void)unused;
    while ((taken = ox_jobs_take(&many.jobs)) != NULL) {
        count(taken, 1);
        count(taken, -1);
        ox_jobs_done(&many.jobs, taken);
    }
    return NULL;
}

static bool is_all_taken(void)
{
    pthread_mutex_lock(&many.lock);
    const bool all = many.n_taken == N_JOBS;
    pthread_mutex_unlock(&many.lock);
    return all;
}

static void test_threads(void)
{
    pthread_t threads[N_WORKERS];
    ox_jobs_init(&many.jobs, N_WORKERS);
    pthread_mutex_init(&many.lock, NULL);
    for (size_t i = 0; i < N_WORKERS; i++) {
        OK(pthread_create(&threads[i], NULL, worker_main, NULL) == 0, "a worker");
    }
    for (size_t i = 0; i < N_JOBS; i++) {
        many.all[i] = job(i % N_CLIENTS, i % 3 != 0);
        ox_jobs_add(&many.jobs, &many.all[i]);
    }
    for (int i = 0; i < 1000 && !is_all_taken(); i++) {
        (void)poll(NULL, 0, 10);
    }
    OK(is_all_taken(), "all are taken without an end");
    ox_jobs_end(&many.jobs);
    for (size_t i = 0; i < N_WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    OK(many.most_slow <= N_WORKERS / 2 && many.most_slow_client <= N_WORKERS / 4 && many.n_slow == 0,
       "slow ones at once: %zu, of a client %zu", many.most_slow, many.most_slow_client);
    OK(many.jobs.waiting == NULL && many.jobs.in_hand == NULL, "nothing is left");
    pthread_mutex_destroy(&many.lock);
    ox_jobs_fini(&many.jobs);
}

int main(void)
{
    test_order();
    test_slow();
    test_one_client();
    test_threads();
    return tap_done();
}
