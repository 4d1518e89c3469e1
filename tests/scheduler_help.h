/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of a scheduler, collected: what the tests of serving share. The thread that answers is made here.
 */
#ifndef OX_TESTS_SCHEDULER_HELP_H
#define OX_TESTS_SCHEDULER_HELP_H

#include <pthread.h>

#include "tests/demo_help.h"

/* A scheduler with its threads. */
struct serving {
    struct oxcart_scheduler *scheduler;
    pthread_t engine_thread;
    pthread_t disk_thread;
    bool with_disk;                     /* there is one */
    struct oxcart_scheduler_stats last; /* the sums when it was closed */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

/* One request and what came of it; members below `serving` are guarded by its mutex until it is done. */
struct asked {
    struct serving *serving;
    struct demo_reply reply;
    struct oxcart_result result;
    enum oxcart_status status;
    struct oxcart_error err;
    uint64_t ticket;
    bool accepted;
    bool done;
    size_t n_done;
    size_t order; /* the how-manieth to get its first token */
    size_t *n_first;
};

static inline void *serving_engine_main(void *argument)
{
    oxcart_scheduler_run(argument);
    return NULL;
}

static inline void *serving_disk_main(void *argument)
{
    oxcart_scheduler_run_disk(argument);
    return NULL;
}

static inline void serving_start(struct serving *serving)
{
    pthread_mutex_init(&serving->mutex, NULL);
    pthread_cond_init(&serving->changed, NULL);
    if (pthread_create(&serving->engine_thread, NULL, serving_engine_main, serving->scheduler) != 0 ||
        (serving->with_disk &&
         pthread_create(&serving->disk_thread, NULL, serving_disk_main, serving->scheduler) != 0)) {
        OK(false, "threads can be made");
        exit(1);
    }
}

/* A scheduler that does not open ends the program. */
static inline void serving_open(struct oxcart_engine *engine, const struct oxcart_scheduler_options *options,
                                struct serving *serving)
{
    struct oxcart_error err = {0};
    memset(serving, 0, sizeof *serving);
    if (oxcart_scheduler_open(engine, options, &serving->scheduler, &err) != OXCART_OK) {
        OK(false, "%s", err.message);
        exit(1);
    }
    serving->with_disk = true;
    serving_start(serving);
}

static inline void serving_close(struct serving *serving, enum oxcart_stop how)
{
    oxcart_scheduler_stop(serving->scheduler, how);
    pthread_join(serving->engine_thread, NULL);
    if (serving->with_disk) {
        pthread_join(serving->disk_thread, NULL);
    }
    serving->last = (struct oxcart_scheduler_stats){.size = sizeof serving->last};
    (void)oxcart_scheduler_stats(serving->scheduler, &serving->last);
    oxcart_scheduler_close(&serving->scheduler);
    pthread_cond_destroy(&serving->changed);
    pthread_mutex_destroy(&serving->mutex);
}

static inline int asked_event(void *user, const struct oxcart_event *event)
{
    struct asked *asked = user;
    pthread_mutex_lock(&asked->serving->mutex);
    const int stop = demo_on_event(&asked->reply, event);
    if (asked->reply.n_ids == 1 && event->kind == OXCART_EVENT_TOKEN && asked->n_first != NULL) {
        asked->order = (*asked->n_first)++;
    }
    pthread_cond_broadcast(&asked->serving->changed);
    pthread_mutex_unlock(&asked->serving->mutex);
    return stop;
}

static inline void asked_done(void *user, enum oxcart_status status, const struct oxcart_result *result,
                              const struct oxcart_error *err)
{
    struct asked *asked = user;
    pthread_mutex_lock(&asked->serving->mutex);
    asked->status = status;
    asked->err = *err;
    asked->done = true;
    asked->n_done++;
    if (result != NULL) {
        asked->result = *result;
    }
    pthread_cond_broadcast(&asked->serving->changed);
    pthread_mutex_unlock(&asked->serving->mutex);
}

/* Hand a prompt in; *asked is begun anew but for reply.stop_after and n_first. */
static inline bool ask_prompt(struct serving *serving, struct oxcart_prompt *prompt, uint64_t client,
                              const struct oxcart_sampling *sampling, struct asked *asked)
{
    const size_t stop_after = asked->reply.stop_after;
    size_t *n_first = asked->n_first;
    memset(asked, 0, sizeof *asked);
    asked->reply.stop_after = stop_after;
    asked->n_first = n_first;
    asked->serving = serving;
    const struct oxcart_request request = {.size = sizeof request,
                                           .prompt = prompt,
                                           .sampling = sampling,
                                           .client = client,
                                           .handler = asked_event,
                                           .done = asked_done,
                                           .user = asked};
    asked->status = oxcart_scheduler_submit(serving->scheduler, &request, &asked->ticket, &asked->err);
    asked->accepted = asked->status == OXCART_OK;
    return asked->accepted;
}

static inline struct oxcart_prompt *ids_prompt(struct oxcart_engine *engine, const int32_t *ids, size_t n)
{
    struct oxcart_prompt *prompt = NULL;
    struct oxcart_error err = {0};
    if (oxcart_prompt_from_tokens(engine, ids, n, &prompt, &err) != OXCART_OK) {
        OK(false, "%s", err.message);
        exit(1);
    }
    return prompt;
}

static inline bool ask_ids(struct oxcart_engine *engine, struct serving *serving, const int32_t *ids, size_t n,
                           uint64_t client, const struct oxcart_sampling *sampling, struct asked *asked)
{
    struct oxcart_prompt *prompt = ids_prompt(engine, ids, n);
    const bool accepted = ask_prompt(serving, prompt, client, sampling, asked);
    oxcart_prompt_free(&prompt);
    return accepted;
}

/* Wait until it is done. */
static inline void await(struct asked *asked)
{
    pthread_mutex_lock(&asked->serving->mutex);
    while (!asked->done) {
        pthread_cond_wait(&asked->serving->changed, &asked->serving->mutex);
    }
    pthread_mutex_unlock(&asked->serving->mutex);
}

/* Wait until n tokens of it were drawn, or it is done. */
static inline void await_tokens(struct asked *asked, size_t n)
{
    pthread_mutex_lock(&asked->serving->mutex);
    while (!asked->done && asked->reply.n_ids < n) {
        pthread_cond_wait(&asked->serving->changed, &asked->serving->mutex);
    }
    pthread_mutex_unlock(&asked->serving->mutex);
}

static inline struct oxcart_scheduler_stats serving_stats(struct serving *serving)
{
    struct oxcart_scheduler_stats stats = {.size = sizeof stats};
    if (oxcart_scheduler_stats(serving->scheduler, &stats) != OXCART_OK) {
        OK(false, "the sums can be had");
    }
    return stats;
}

#endif
