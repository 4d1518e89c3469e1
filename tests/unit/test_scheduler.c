/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler on the demonstration model: whatever runs beside it, each answer is the one that a session of its own
 * gives, and what the header says of queue, clients, memory and cancelling holds.
 */
#include "base/rng.h"
#include "tests/mkmodel.h"
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
        it->sampling.has_logprobs = 1; /* every bit of the logits counts */
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
           memcmp(asked->reply.logprobs, question->alone.logprobs, question->alone.n_ids * sizeof(double)) == 0 &&
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
    /* a pass reads every layer's attention at least, and no weight twice */
    struct oxcart_engine_info info = {.size = sizeof info};
    (void)oxcart_engine_info(engine, &info);
    OK(stats.weight_bytes > stats.n_passes * (info.weight_bytes / 20) &&
           stats.weight_bytes < stats.n_passes * info.weight_bytes,
       "%" PRIu64 " passes read %" PRIu64 " bytes of weights", stats.n_passes, stats.weight_bytes);
    serving_close(&serving, OXCART_STOP_FINISH);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static const int32_t few_ids[] = {11, 12, 13, 14, 15};

static struct oxcart_sampling many_tokens(int32_t n)
{
    struct oxcart_sampling sampling;
    oxcart_sampling_default(&sampling);
    sampling.n_predict = n;
    sampling.temperature = 0.0F;
    sampling.ignore_end = 1;
    return sampling;
}

/* Memory for one request of six: the others give theirs up and compute it again. */
static void test_little_memory(struct oxcart_engine *engine)
{
    static struct asked asked[6];
    static struct demo_reply alone[6];
    struct oxcart_engine_info info = {.size = sizeof info};
    OK(oxcart_engine_info(engine, &info) == OXCART_OK, "what a token takes");
    struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 512, .n_parallel = 6};
    options.kv_bytes = info.kv_token_bytes * (512 + 32);
    const struct oxcart_sampling sampling = many_tokens(300);
    struct oxcart_session *session = demo_session(engine, 512);
    bool same = true;
    for (size_t i = 0; i < 6; i++) {
        struct oxcart_result result;
        same = same && oxcart_session_set_tokens(session, questions[i].ids, 20 + i, NULL) == OXCART_OK &&
               demo_decode(session, &sampling, &alone[i], &result) == OXCART_OK;
    }
    oxcart_session_close(&session);
    struct serving serving;
    serving_open(engine, &options, &serving);
    for (size_t i = 0; i < 6; i++) {
        (void)ask_ids(engine, &serving, questions[i].ids, 20 + i, i, &sampling, &asked[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        await(&asked[i]);
        same = same && asked[i].status == OXCART_OK && alone[i].n_ids == 300 && asked[i].reply.n_ids == 300 &&
               memcmp(asked[i].reply.ids, alone[i].ids, sizeof alone[i].ids[0] * 300) == 0 &&
               asked[i].result.n_cached <= 32;
    }
    OK(same, "where memory is short answers are the same");
    const struct oxcart_scheduler_stats stats = serving_stats(&serving);
    OK(stats.n_paused > 0 && stats.kv_used_bytes <= options.kv_bytes, "%" PRIu64 " times memory was given up",
       stats.n_paused);
    serving_close(&serving, OXCART_STOP_FINISH);
    struct oxcart_error err = {0};
    options.kv_bytes -= info.kv_token_bytes * 64;
    OK(oxcart_scheduler_open(engine, &options, &serving.scheduler, &err) == OXCART_E_ARG, "too little: %s",
       err.message);
}

/* ---- the queue ------------------------------------------------------------------------------------------------- */

static void test_queue(struct oxcart_engine *engine)
{
    static struct asked asked[8];
    const struct oxcart_scheduler_options options = {
        .size = sizeof options, .n_ctx = 2048, .n_parallel = 1, .n_queue = 2};
    const struct oxcart_sampling sampling = many_tokens(400);
    struct serving serving;
    serving_open(engine, &options, &serving);
    OK(ask_ids(engine, &serving, few_ids, 5, 1, &sampling, &asked[0]), "one runs");
    await_tokens(&asked[0], 2); /* then the pass of the first can be seen */
    OK(ask_ids(engine, &serving, few_ids, 4, 1, &sampling, &asked[1]) &&
           ask_ids(engine, &serving, few_ids, 3, 1, &sampling, &asked[2]),
       "two wait");
    OK(!ask_ids(engine, &serving, few_ids, 2, 2, &sampling, &asked[3]) && asked[3].status == OXCART_E_BUSY,
       "the fourth is refused: %s", asked[3].err.message);
    struct oxcart_slot slots[8];
    OK(oxcart_scheduler_slots(serving.scheduler, slots, 8) == 3 && slots[0].ticket == asked[0].ticket &&
           slots[0].client == 1 && slots[0].n_prompt == 5 && slots[0].n_prompt_done == 5 && slots[0].n_generated > 0 &&
           slots[0].state == OXCART_SLOT_ANSWERING && slots[1].state == OXCART_SLOT_WAITING &&
           slots[2].ticket == asked[2].ticket && slots[2].n_prompt == 3 && slots[0].age_s >= slots[2].age_s,
       "they can be seen");
    oxcart_scheduler_cancel(serving.scheduler, asked[1].ticket);
    await(&asked[1]);
    OK(asked[1].status == OXCART_E_CANCELLED && asked[1].n_done == 1 && asked[1].reply.n_ids == 0 && !asked[0].done,
       "one that waits is cancelled at once: %s", asked[1].err.message);
    pthread_mutex_lock(&serving.mutex);
    const size_t before = asked[0].reply.n_ids;
    oxcart_scheduler_cancel(serving.scheduler, asked[0].ticket);
    pthread_mutex_unlock(&serving.mutex);
    await(&asked[0]);
    OK(asked[0].status == OXCART_E_CANCELLED && asked[0].reply.n_ids <= before + 1 &&
           asked[0].result.n_generated == (int32_t)asked[0].reply.n_ids,
       "one that runs draws %zu more", asked[0].reply.n_ids - before);
    oxcart_scheduler_cancel(serving.scheduler, asked[0].ticket);
    oxcart_scheduler_cancel(serving.scheduler, 99);
    await_tokens(&asked[2], 2);
    const struct oxcart_scheduler_stats stats = serving_stats(&serving);
    OK(stats.n_refused == 1 && stats.n_cancelled == 2 && stats.n_done == 2 && stats.n_requests == 3 &&
           stats.n_running == 1,
       "sums");
    asked[4].reply.stop_after = 7;
    OK(ask_ids(engine, &serving, few_ids, 5, 1, &sampling, &asked[4]), "one whose handler stops it");
    oxcart_scheduler_stop(serving.scheduler, OXCART_STOP_FINISH);
    OK(!ask_ids(engine, &serving, few_ids, 5, 1, &sampling, &asked[5]) && asked[5].status == OXCART_E_CANCELLED,
       "stopping: %s", asked[5].err.message);
    await(&asked[4]);
    OK(asked[2].done && asked[2].status == OXCART_OK && asked[2].reply.n_ids == 400,
       "those that are there are finished");
    OK(asked[4].status == OXCART_E_CANCELLED && asked[4].reply.n_ids == 7, "and stopped by their handlers");
    serving_close(&serving, OXCART_STOP_NOW);
}

static void test_refused(struct oxcart_engine *engine)
{
    static struct asked asked;
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 64, .n_parallel = 2};
    struct oxcart_error err = {0};
    struct serving serving = {0};
    struct oxcart_prompt *prompt = NULL;
    const int32_t bad = 1 << 20;
    OK(oxcart_prompt_from_tokens(engine, &bad, 1, &prompt, &err) == OXCART_E_ARG && prompt == NULL, "no such id: %s",
       err.message);
    OK(oxcart_prompt_from_tokens(engine, &bad, 0, &prompt, &err) == OXCART_E_ARG, "no tokens: %s", err.message);
    OK(oxcart_prompt_from_messages(engine, "{}", 2, NULL, &prompt, &err) == OXCART_E_FORMAT, "no messages: %s",
       err.message);
    struct oxcart_scheduler_options wrong = options;
    wrong.n_parallel = -1;
    OK(oxcart_scheduler_open(engine, &wrong, &serving.scheduler, &err) == OXCART_E_ARG, "parallel: %s", err.message);
    wrong = options;
    wrong.max_stall_ms = -1;
    OK(oxcart_scheduler_open(engine, &wrong, &serving.scheduler, &err) == OXCART_E_ARG, "max-stall: %s", err.message);
    wrong.size = 0;
    OK(oxcart_scheduler_open(engine, &wrong, &serving.scheduler, &err) == OXCART_E_ARG, "size: %s", err.message);
    serving_open(engine, &options, &serving);
    struct oxcart_sampling sampling = many_tokens(0);
    sampling.top_p = 3.0F;
    OK(!ask_ids(engine, &serving, few_ids, 5, 1, &sampling, &asked) && asked.status == OXCART_E_ARG, "top-p: %s",
       asked.err.message);
    sampling = many_tokens(0);
    OK(!ask_ids(engine, &serving, questions[0].ids, 64, 1, &sampling, &asked) && asked.status == OXCART_E_STATE,
       "no room for an answer: %s", asked.err.message);
    OK(ask_ids(engine, &serving, questions[0].ids, 60, 1, &sampling, &asked), "four tokens fit");
    await(&asked);
    OK(asked.status == OXCART_OK && asked.reply.n_ids == 4 && asked.result.finish == OXCART_FINISH_LENGTH,
       "a full context ends the answer");
    serving_close(&serving, OXCART_STOP_FINISH);
}

/* One client hands in ten, then another one: its turn comes second. */
static void test_fair(struct oxcart_engine *engine)
{
    static struct asked asked[12];
    size_t n_first = 0;
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 512, .n_parallel = 1};
    const struct oxcart_sampling sampling = many_tokens(60);
    struct serving serving;
    serving_open(engine, &options, &serving);
    for (size_t i = 0; i < 12; i++) {
        asked[i].n_first = &n_first;
    }
    (void)ask_ids(engine, &serving, few_ids, 5, 7, &sampling, &asked[0]);
    await_tokens(&asked[0], 1);
    for (size_t i = 1; i < 10; i++) {
        (void)ask_ids(engine, &serving, few_ids, 4, 7, &sampling, &asked[i]);
    }
    (void)ask_ids(engine, &serving, few_ids, 3, 8, &sampling, &asked[10]);
    (void)ask_ids(engine, &serving, few_ids, 2, 8, &sampling, &asked[11]);
    bool all = true;
    for (size_t i = 0; i < 12; i++) {
        await(&asked[i]);
        all = all && asked[i].status == OXCART_OK && asked[i].reply.n_ids == 60;
    }
    OK(all, "all twelve are answered");
    OK(asked[10].order <= 2 && asked[11].order <= 4, "the other client's come as number %zu and %zu", asked[10].order,
       asked[11].order);
    bool in_order = true;
    for (size_t i = 1; i < 9; i++) {
        in_order = in_order && asked[i].order < asked[i + 1].order;
    }
    OK(in_order, "a client's own stay in order");
    serving_close(&serving, OXCART_STOP_FINISH);
}

/* ---- conversations --------------------------------------------------------------------------------------------- */

static const char capital[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"What is the capital of France?\"}], "
                              "\"thinking_mode\": \"disabled\"}";

static void test_conversation(struct oxcart_engine *engine)
{
    static struct asked asked[2];
    struct oxcart_prompt *prompt = NULL;
    struct oxcart_error err = {0};
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 1024};
    struct serving serving;
    serving_open(engine, &options, &serving);
    struct oxcart_sampling sampling = many_tokens(100);
    sampling.ignore_end = 0;
    OK(oxcart_prompt_from_messages(engine, capital, sizeof capital - 1, NULL, &prompt, &err) == OXCART_OK,
       "a conversation as a prompt %s", err.message);
    const int32_t *ids;
    const size_t n = oxcart_prompt_tokens(prompt, &ids);
    OK(n > 10 && ids[0] >= 0 && oxcart_prompt_tokens(prompt, NULL) == n, "its tokens: %zu", n);
    const char *stop[] = {" Paris"};
    OK(ask_prompt(&serving, prompt, 1, &sampling, &asked[0]), "handed in");
    sampling.stop = stop;
    sampling.n_stop = 1;
    OK(ask_prompt(&serving, prompt, 2, &sampling, &asked[1]), "handed in again, with a stop string");
    oxcart_prompt_free(&prompt);
    stop[0] = "the strings were copied";
    await(&asked[0]);
    await(&asked[1]);
    IS_STR(asked[0].reply.content, "The capital of France is Paris.", "answer");
    IS_STR(asked[1].reply.content, "The capital of France is", "answer up to the stop string");
    const struct oxcart_result *result = &asked[0].result;
    OK(result->n_prompt == (int32_t)n && result->finish == OXCART_FINISH_STOP &&
           result->n_generated == (int32_t)asked[0].reply.n_ids && result->prompt_s > 0.0 &&
           result->first_s >= result->prompt_s && result->generate_s > 0.0 && result->queue_s >= 0.0,
       "counts and times");
    serving_close(&serving, OXCART_STOP_FINISH);
}

/* ---- constraints ----------------------------------------------------------------------------------------------- */

static const char city_schema[] =
    "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", \"pattern\": \"^[A-Z][a-z]+$\", "
    "\"maxLength\": 9}, \"n\": {\"type\": \"integer\"}}, \"required\": [\"city\", \"n\"]}";

/* Hot answers held to the schema, together: what sessions give for the same seeds. */
static void test_constraint(struct oxcart_engine *engine)
{
    enum { N = 4 };
    static struct asked asked[N];
    static struct demo_reply alone;
    struct oxcart_result result;
    char schema[sizeof city_schema];
    struct oxcart_prompt *prompt = NULL;
    struct oxcart_error err = {0};
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 1024};
    struct oxcart_session *session = demo_session(engine, 1024);
    struct oxcart_sampling sampling = many_tokens(DEMO_MOST);
    struct serving serving;
    serving_open(engine, &options, &serving);
    sampling.ignore_end = 0;
    sampling.temperature = 2.5F;
    sampling.has_seed = 1;
    sampling.json_schema = schema;
    sampling.json_schema_bytes = sizeof city_schema - 1;
    OK(oxcart_prompt_from_messages(engine, capital, sizeof capital - 1, NULL, &prompt, &err) == OXCART_OK,
       "a prompt %s", err.message);
    sampling.constraint = OXCART_CONSTRAINT_TOOLS;
    OK(!ask_prompt(&serving, prompt, 1, &sampling, &asked[0]) && asked[0].status == OXCART_E_STATE,
       "calls where there are no tools: %s", asked[0].err.message);
    sampling.constraint = OXCART_CONSTRAINT_JSON_SCHEMA;
    for (size_t i = 0; i < N; i++) {
        sampling.seed = i;
        memcpy(schema, city_schema, sizeof schema);
        OK(ask_prompt(&serving, prompt, i, &sampling, &asked[i]), "handed in %s", asked[i].err.message);
        memset(schema, '!', sizeof schema); /* it was copied */
    }
    memcpy(schema, city_schema, sizeof schema);
    for (size_t i = 0; i < N; i++) {
        sampling.seed = i;
        await(&asked[i]);
        OK(oxcart_session_set_messages(session, capital, sizeof capital - 1, NULL, &err) == OXCART_OK &&
               demo_decode(session, &sampling, &alone, &result) == OXCART_OK,
           "the same from a session %s", err.message);
        OK(asked[i].status == OXCART_OK && asked[i].reply.content[0] == '{', "held to the schema");
        IS_STR(asked[i].reply.content, alone.content, "and the session's answer");
    }
    oxcart_prompt_free(&prompt);
    serving_close(&serving, OXCART_STOP_FINISH);
    oxcart_session_close(&session);
}

/* ---- log-probabilities ----------------------------------------------------------------------------------------- */

struct heard {
    struct demo_reply reply;
    size_t n_right;
    size_t n_ordered;
    double logprobs[64];
};

static int hear(void *user, const struct oxcart_event *event)
{
    struct heard *heard = user;
    if (event->kind == OXCART_EVENT_TOKEN && heard->reply.n_ids < 64) {
        bool ordered = event->n_logprobs == 6;
        for (size_t i = 2; ordered && i < event->n_logprobs; i++) {
            ordered = event->logprobs[i - 1].logprob >= event->logprobs[i].logprob;
        }
        heard->n_ordered += ordered ? 1 : 0;
        /* drawn greedily: the token is the best one */
        heard->n_right += ordered && event->logprobs[0].id == event->id && event->logprobs[1].id == event->id &&
                                  event->logprobs[0].logprob == event->logprobs[1].logprob
                              ? 1
                              : 0;
        heard->logprobs[heard->reply.n_ids] = event->n_logprobs > 0 ? event->logprobs[0].logprob : 1.0;
    }
    return demo_on_event(&heard->reply, event);
}

static void test_logprobs(struct oxcart_engine *engine)
{
    static struct heard heard;
    struct oxcart_session *session = demo_session(engine, 256);
    struct oxcart_sampling sampling = many_tokens(40);
    sampling.has_logprobs = 1;
    sampling.n_logprobs = 5;
    OK(oxcart_session_append(session, few_ids, 5, NULL) == OXCART_OK &&
           oxcart_session_decode(session, &sampling, hear, &heard, NULL, NULL) == OXCART_OK,
       "decoding with log-probabilities");
    OK(heard.reply.n_ids == 40 && heard.n_ordered == 40 && heard.n_right == 40, "six a token, the best first");
    double scores[64];
    bool same = oxcart_session_rewind(session, 5, NULL) == OXCART_OK &&
                oxcart_session_score(session, heard.reply.ids, 40, scores, NULL) == OXCART_OK;
    for (size_t i = 0; same && i < 40; i++) {
        same = scores[i] - heard.logprobs[i] < 1e-9 && heard.logprobs[i] - scores[i] < 1e-9;
    }
    OK(same, "they are what scoring gives");
    struct oxcart_error err = {0};
    sampling.n_logprobs = 21;
    OK(oxcart_session_decode(session, &sampling, NULL, NULL, NULL, &err) == OXCART_E_ARG, "too many: %s", err.message);
    oxcart_session_close(&session);
}

/* ---- from inside a handler -------------------------------------------------------------------------------------- */

struct chained {
    struct asked first;
    struct asked second;
    struct oxcart_prompt *prompt;
    struct oxcart_sampling sampling;
    size_t n_tokens;
    bool handed_in;
};

/* At its third token the first request hands in another one and cancels itself. */
static int on_chained(void *user, const struct oxcart_event *event)
{
    struct chained *chained = user;
    struct oxcart_scheduler *scheduler = chained->first.serving->scheduler;
    if (event->kind == OXCART_EVENT_TOKEN && ++chained->n_tokens == 3) {
        chained->handed_in =
            ask_prompt(chained->first.serving, chained->prompt, 2, &chained->sampling, &chained->second);
        struct oxcart_slot slots[4];
        chained->handed_in = chained->handed_in && oxcart_scheduler_slots(scheduler, slots, 4) == 2;
        oxcart_scheduler_cancel(scheduler, chained->first.ticket);
    }
    return 0;
}

static void on_first_done(void *user, enum oxcart_status status, const struct oxcart_result *result,
                          const struct oxcart_error *err)
{
    struct chained *chained = user;
    asked_done(&chained->first, status, result, err);
}

static void test_inside_handlers(struct oxcart_engine *engine)
{
    static struct chained chained;
    static struct asked asked[2];
    struct serving serving;
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 1024, .n_parallel = 3};
    serving_open(engine, &options, &serving);
    chained.prompt = ids_prompt(engine, few_ids, 5);
    chained.sampling = many_tokens(400);
    chained.first.serving = &serving;
    const struct oxcart_request request = {.size = sizeof request,
                                           .prompt = chained.prompt,
                                           .sampling = &chained.sampling,
                                           .handler = on_chained,
                                           .done = on_first_done,
                                           .user = &chained};
    OK(oxcart_scheduler_submit(serving.scheduler, &request, &chained.first.ticket, NULL) == OXCART_OK, "handed in");
    await(&chained.first);
    OK(chained.first.status == OXCART_E_CANCELLED && chained.n_tokens == 3 && chained.handed_in,
       "a handler cancels its request and hands in another");
    await_tokens(&chained.second, 5);
    OK(ask_prompt(&serving, chained.prompt, 3, &chained.sampling, &asked[0]) &&
           ask_prompt(&serving, chained.prompt, 3, &chained.sampling, &asked[1]),
       "two more");
    await_tokens(&asked[1], 2);
    oxcart_prompt_free(&chained.prompt);
    serving_close(&serving, OXCART_STOP_NOW);
    OK(chained.second.done && chained.second.status == OXCART_E_CANCELLED && asked[0].n_done == 1 &&
           asked[0].status == OXCART_E_CANCELLED && asked[1].n_done == 1 && asked[1].status == OXCART_E_CANCELLED,
       "stopping at once ends them all");
}

/* ---- the folder ------------------------------------------------------------------------------------------------ */

static void ask_with_folder(struct oxcart_engine *engine, const char *folder, bool with_thread, const char *what,
                            size_t least_cached)
{
    static struct asked asked[N_ASKED];
    const struct oxcart_scheduler_options options = {
        .size = sizeof options, .n_ctx = 1024, .n_parallel = 5, .cache_dir = folder, .cache_bytes = 1U << 28};
    struct serving serving;
    memset(&serving, 0, sizeof serving);
    struct oxcart_error err = {0};
    if (oxcart_scheduler_open(engine, &options, &serving.scheduler, &err) != OXCART_OK) {
        OK(false, "%s", err.message);
        return;
    }
    struct oxcart_scheduler *second = NULL;
    OK(oxcart_scheduler_open(engine, &options, &second, &err) == OXCART_E_BUSY && second == NULL,
       "%s: nobody else may use the folder: %s", what, err.message);
    serving.with_disk = with_thread;
    serving_start(&serving);
    const size_t n_wrong = ask_all(engine, &serving, asked);
    const struct oxcart_scheduler_stats stats = serving_stats(&serving);
    OK(n_wrong == 0 && stats.bad_blocks == 0 && stats.read_blocks * 32 >= least_cached,
       "%s: %zu answers differ, %" PRIu64 " blocks read, %" PRIu64 " bad", what, n_wrong, stats.read_blocks,
       stats.bad_blocks);
    serving_close(&serving, OXCART_STOP_FINISH);
}

static void test_folder(struct oxcart_engine *engine)
{
    const char *folder = "test_scheduler.cache";
    mk_remove_folder(folder);
    ask_with_folder(engine, folder, true, "an empty folder", 0);
    ask_with_folder(engine, folder, true, "after a restart", 1000);
    ask_with_folder(engine, folder, false, "without a thread for the disk", 1000);
    mk_remove_folder(folder);
}

int main(void)
{
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 2);
    make_questions(engine);
    test_together(engine);
    test_little_memory(engine);
    test_queue(engine);
    test_refused(engine);
    test_fair(engine);
    test_conversation(engine);
    test_constraint(engine);
    test_logprobs(engine);
    test_inside_handlers(engine);
    test_folder(engine);
    oxcart_engine_close(&engine);
    return tap_done();
}
