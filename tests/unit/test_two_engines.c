/* SPDX-License-Identifier: Apache-2.0
 *
 * Two engines in one process, each in its own thread, opened, used and closed at the same time; and two sessions of one
 * engine from two threads. Everyone gets what they would get alone.
 */
#include <pthread.h>

#include "tests/demo_help.h"

#define N_QUESTIONS 4
#define ROUNDS 3

static const char *const questions[N_QUESTIONS] = {"What is the capital of Norway?", "Count from 5 to 14.",
                                                   "Repeat: amber 12 kettle moss 900 drum", "Who are you?"};

/* What one thread does and finds. */
struct job {
    const char *folder;             /* engine of its own, or */
    struct oxcart_engine *engine;   /* a shared one */
    int threads;
    size_t first; /* question to begin with */
    struct demo_reply replies[ROUNDS * N_QUESTIONS];
    bool good;
};

static void *work(void *argument)
{
    struct job *job = argument;
    job->good = true;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct oxcart_engine *own = job->engine == NULL ? demo_open(job->folder, job->threads) : NULL;
        struct oxcart_session *session = demo_session(job->engine != NULL ? job->engine : own, 512);
        for (size_t i = 0; i < N_QUESTIONS; i++) {
            const size_t q = (i + job->first) % N_QUESTIONS;
            struct oxcart_result result;
            job->good = job->good && demo_ask(session, questions[q]) &&
                        demo_decode(session, NULL, &job->replies[round * N_QUESTIONS + q], &result) == OXCART_OK;
        }
        oxcart_session_close(&session);
        oxcart_engine_close(&own);
    }
    return NULL;
}

static bool same(const struct job *a, const struct job *b)
{
    bool good = a->good && b->good;
    for (size_t i = 0; i < ROUNDS * N_QUESTIONS; i++) {
        const struct demo_reply *x = &a->replies[i];
        const struct demo_reply *y = &b->replies[i];
        good = good && x->n_ids > 0 && x->n_ids == y->n_ids && strcmp(x->content, y->content) == 0 &&
               memcmp(x->ids, y->ids, x->n_ids * sizeof x->ids[0]) == 0;
    }
    return good;
}

/* Two jobs at the same time. */
static void run_both(struct job *jobs)
{
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0) {
            OK(false, "thread");
            exit(1);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    char folder[4200];
    static struct job alone;
    static struct job jobs[2];
    snprintf(folder, sizeof folder, "%s", tap_file("demo"));
    alone.folder = folder;
    alone.threads = 1;
    work(&alone);
    IS_STR(alone.replies[0].content, "The capital of Norway is Oslo.", "one engine");
    IS_STR(alone.replies[1].content, "5, 6, 7, 8, 9, 10, 11, 12, 13, 14.", "one engine");
    for (size_t i = 0; i < 2; i++) {
        jobs[i].folder = folder;
        jobs[i].threads = (int)i + 1;
        jobs[i].first = 2 * i;
    }
    run_both(jobs);
    OK(same(&alone, &jobs[0]) && same(&alone, &jobs[1]), "two engines at once, one with 1 thread, one with 2");
    struct oxcart_engine *engine = demo_open(folder, 2);
    memset(jobs, 0, sizeof jobs);
    jobs[0].engine = engine;
    jobs[1].engine = engine;
    jobs[1].first = 1;
    run_both(jobs);
    OK(same(&alone, &jobs[0]) && same(&alone, &jobs[1]), "two sessions of one engine take turns");
    oxcart_engine_close(&engine);
    return tap_done();
}
