/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler on the demonstration model: whatever runs beside it, each answer is the one that a session of its own
 * gives, and what the header says of queue, clients, memory and cancelling holds.
 */
#include "base/rng.h"
#include "tests/scheduler_help.h"

#define N_ASKED 24
#define LONGEST 700

/* A question, and the answer that a session gives to it. */
struct question {
    int32_t ids[LONGEST];
    size_t n;
    struct oxcart_sampling sampling;
    struct demo_reply alone;
};

static struct question questions[N_ASKED];

/* Random tokens; some questions begin like the one before. */
static void make_questions(struct oxcart_engine *engine)
{
    struct oxcart_session *session = demo_session(engine, 1024);
    struct ox_rng rng;
    ox_rng_init(&rng, 11);
    bool all = true;
    for (size_t q = 0; q < N_ASKED; q++) {
        struct question *it = &questions[q];
        const size_t common = q % 3 != 0 ? questions[q - 1].n * 3 / 4 : 0;
        it->n = common + 1 + ox_rng_below(&rng, q % 4 == 0 ? 300 : 60);
        it->n = it->n < LONGEST ? it->n : LONGEST;
        memcpy(it->ids, q > 0 ? questions[q - 1].ids : it->ids, common * sizeof it->ids[0]);
        for (size_t i = common; i < it->n; i++) {
            it->ids[i] = (int32_t)ox_rng_below(&rng, 1900);
        }
        oxcart_sampling_default(&it->sampling);
        it->sampling.n_predict = 5 + (int32_t)ox_rng_below(&rng, 60);
        it->sampling.temperature = q % 2 == 0 ? 0.0F : 1.0F;
        it->sampling.has_seed = 1;
        it->sampling.seed = q;
        it->sampling.ignore_end = 1;
        struct oxcart_result result;
        all = all && oxcart_session_set_tokens(session, it->ids, it->n, NULL) == OXCART_OK &&
              demo_decode(session, &it->sampling, &it->alone, &result) == OXCART_OK;
    }
    OK(all, "a session answers all questions");
    oxcart_session_close(&session);
}

static bool is_alone(const struct asked *asked, const struct question *question)
{
    return asked->status == OXCART_OK && asked->n_done == 1 && asked->reply.n_ids == question->alone.n_ids &&
           memcmp(asked->reply.ids, question->alone.ids, question->alone.n_ids * sizeof(int32_t)) == 0 &&
           strcmp(asked->reply.content, question->alone.content) == 0;
}

/* All questions at once; how many answers differ from those given alone. */
static size_t ask_all(struct oxcart_engine *engine, struct serving *serving, struct asked *asked)
{
    size_t n_wrong = 0;
    for (size_t q = 0; q < N_ASKED; q++) {
        (void)ask_ids(engine, serving, questions[q].ids, questions[q].n, q % 5, &questions[q].sampling, &asked[q]);
    }
    for (size_t q = 0; q < N_ASKED; q++) {
        if (asked[q].accepted) {
            await(&asked[q]);
        }
        n_wrong += is_alone(&asked[q], &questions[q]) ? 0 : 1;
    }
    return n_wrong;
}

static void test_together(struct oxcart_engine *engine)
{
    static struct asked asked[N_ASKED];
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 1024, .n_parallel = 7};
    struct serving serving;
    serving_open(engine, &options, &serving);
    IS_INT(ask_all(engine, &serving, asked), 0, "answers that differ in company");
    size_t n_cached = 0;
    IS_INT(ask_all(engine, &serving, asked), 0, "answers that differ with cached beginnings");
    for (size_t q = 0; q < N_ASKED; q++) {
        n_cached += (size_t)asked[q].result.n_cached;
        if (questions[q].n > 33 && asked[q].result.n_cached < (int32_t)(questions[q].n - 1) / 32 * 32) {
            OK(false, "question %zu of %zu tokens was asked before, %d are cached", q, questions[q].n,
               asked[q].result.n_cached);
        }
    }
    const struct oxcart_scheduler_stats stats = serving_stats(&serving);
    OK(stats.n_requests == 2 * N_ASKED && stats.n_done == 2 * N_ASKED && stats.n_cancelled == 0 &&
           stats.n_waiting == 0 && stats.n_running == 0 && stats.n_cached_tokens >= n_cached && n_cached > 1000 &&
           stats.kv_used_bytes == stats.kv_shared_bytes && stats.kv_used_bytes > 0 && stats.n_paused == 0,
       "sums: %" PRIu64 " tokens cached, %" PRIu64 " computed", stats.n_cached_tokens, stats.n_prompt_tokens);
    serving_close(&serving, OXCART_STOP_FINISH);
}

int main(void)
{
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 2);
    make_questions(engine);
    test_together(engine);
    oxcart_engine_close(&engine);
    return tap_done();
}
