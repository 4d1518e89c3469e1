/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler from the inside, without threads: requests are handed in, it is told to finish, and then run. Failing
 * allocations, and prompts in pieces beside running answers.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "engine/scheduler.h"
#include "tests/mkmodel.h"
#include "tests/oom.h"
#include "tests/tap.h"

#define FOLDER "test_scheduler_inside.cache"
#define MOST 64

/* One request and what came of it. */
struct told {
    int32_t ids[MOST];
    double logprobs[MOST]; /* of the drawn tokens: every bit of the logits counts */
    size_t n;
    size_t n_done;
    enum oxcart_status status;
    struct oxcart_result result;
};

static int on_event(void *user, const struct oxcart_event *event)
{
    struct told *told = user;
    if (event->kind == OXCART_EVENT_TOKEN && told->n < MOST) {
        told->logprobs[told->n] = event->logprobs[0].logprob;
        told->ids[told->n++] = event->id;
    }
    return 0;
}

static void on_done(void *user, enum oxcart_status status, const struct oxcart_result *result,
                    const struct oxcart_error *err)
{
    struct told *told = user;
    (void)err;
    told->n_done++;
    told->status = status;
    if (result != NULL) {
        told->result = *result;
    }
}

static bool same_bits(const struct told *a, const struct told *b)
{
    return a->n == b->n && memcmp(a->ids, b->ids, a->n * sizeof a->ids[0]) == 0 &&
           memcmp(a->logprobs, b->logprobs, a->n * sizeof a->logprobs[0]) == 0;
}

static struct oxcart_engine *open_demo(void)
{
    struct ox_error err = {0};
    struct oxcart_engine *engine = NULL;
    const struct oxcart_engine_options options = {
        .size = sizeof options, .model_path = tap_file("demo"), .n_threads = 1};
    if (ox_engine_open(&options, &engine, &err) != OX_OK) {
        OK(false, "%s", err.message);
        exit(1);
    }
    return engine;
}

static struct oxcart_sampling greedy(int32_t n)
{
    struct oxcart_sampling sampling;
    oxcart_sampling_default(&sampling);
    sampling.temperature = 0.0F;
    sampling.n_predict = n;
    sampling.ignore_end = 1;
    sampling.has_logprobs = 1;
    return sampling;
}

static enum oxcart_status hand_in(struct oxcart_scheduler *scheduler, struct oxcart_prompt *prompt, int32_t n,
                                  struct told *told)
{
    const struct oxcart_sampling sampling = greedy(n);
    const struct oxcart_request request = {.size = sizeof request,
                                           .prompt = prompt,
                                           .sampling = &sampling,
                                           .handler = on_event,
                                           .done = on_done,
                                           .user = told};
    memset(told, 0, sizeof *told);
    return oxcart_scheduler_submit(scheduler, &request, NULL, NULL);
}

static struct oxcart_prompt *make_prompt(struct oxcart_engine *engine, size_t n, uint64_t seed)
{
    struct oxcart_prompt *prompt = NULL;
    struct ox_rng rng;
    int32_t *ids = ox_calloc(n, sizeof *ids);
    ox_rng_init(&rng, seed);
    for (size_t i = 0; ids != NULL && i < n; i++) {
        ids[i] = (int32_t)ox_rng_below(&rng, 1900);
    }
    if (ids == NULL || ox_prompt_from_tokens(engine, ids, n, &prompt, NULL) != OX_OK) {
        exit(1);
    }
    ox_free(ids);
    return prompt;
}

/* ---- pieces ---------------------------------------------------------------------------------------------------- */

/* Passes one by one: while an answer runs, a long prompt comes in pieces as large as the limit allows, and the answer
 * gets its token in each of them. */
static void test_pieces(struct oxcart_engine *engine)
{
    static struct told told[2];
    struct oxcart_scheduler *s = NULL;
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 2048, .n_parallel = 2};
    struct oxcart_prompt *few = make_prompt(engine, 10, 1);
    struct oxcart_prompt *many = make_prompt(engine, 900, 2);
    bool good = oxcart_scheduler_open(engine, &options, &s, NULL) == OXCART_OK;
    good = good && hand_in(s, few, 0, &told[0]) == OXCART_OK && hand_in(s, many, 1, &told[1]) == OXCART_OK;
    if (!good) {
        exit(1);
    }
    /* as run admits them, one after the other */
    for (size_t i = 0; i < 2; i++) {
        struct ox_request *r = s->waiting;
        s->waiting = r->next;
        s->n_waiting--;
        r->next = NULL;
        r->g.n_drawn = s->slots[i].n_drawn;
        s->slots[i].request = r;
        if (i == 0) {
            good = ox_scheduler_pass(s) && s->n_piece == 10 && told[0].n == 1;
        }
    }
    OK(good, "a prompt alone is computed in one piece");
    size_t n_passes = 0;
    bool each = true;
    while (told[1].n == 0 && n_passes < 2000) {
        const size_t before = told[0].n;
        /* a clock of our own: a pass of 8 rows takes the whole limit of 0.5 s */
        ox_pace_init(&s->pace, 0.5);
        ox_pace_learn(&s->pace, 0, 1.0, 1, 0.05);
        ox_pace_learn(&s->pace, 4, 1.0, 1, 0.25);
        const double weight =
            ox_cost_flops(&s->cost, s->slots[1].kv.n_tokens, 512, 0) / ox_cost_flops(&s->cost, 0, 1, 0);
        each = each && ox_scheduler_pass(s) && (told[0].n == before + 1 || before == MOST) && s->n_piece >= 1 &&
               s->n_piece <= 7 && (weight < 2.0 || s->n_piece <= 4);
        n_passes++;
    }
    OK(each && n_passes >= 900 / 7 && n_passes < 900, "beside an answer in %zu pieces", n_passes);
    ox_pace_init(&s->pace, 0.5);
    oxcart_scheduler_stop(s, OXCART_STOP_NOW);
    oxcart_scheduler_run(s);
    OK(told[0].n_done == 1 && told[0].status == OXCART_E_CANCELLED && told[1].n_done == 1 &&
           told[1].status == OXCART_OK,
       "both have ended");
    oxcart_scheduler_close(&s);
    oxcart_prompt_free(&few);
    oxcart_prompt_free(&many);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

/* The n-th allocation fails: an error, or the same answers with less kept. */
static void test_no_memory(struct oxcart_engine *engine)
{
    static struct told told[2];
    static struct told good[2];
    struct oxcart_prompt *prompts[2] = {make_prompt(engine, 70, 1), make_prompt(engine, 40, 2)};
    const struct oxcart_scheduler_options options = {
        .size = sizeof options, .n_ctx = 128, .n_parallel = 2, .cache_dir = FOLDER, .cache_bytes = 1U << 24};
    size_t n_wrong = 0;
    size_t n_failed = 0;
    long n = 0;
    for (bool failed = true; failed && n < 2000; n++) {
        struct oxcart_scheduler *s = NULL;
        struct oxcart_error err = {0};
        mk_remove_folder(FOLDER);
        if (n > 0) {
            oom_arm(n);
        }
        enum oxcart_status status = oxcart_scheduler_open(engine, &options, &s, &err);
        for (size_t i = 0; status == OXCART_OK && i < 2; i++) {
            status = hand_in(s, prompts[i], 5, &told[i]);
        }
        if (s != NULL) {
            oxcart_scheduler_stop(s, OXCART_STOP_FINISH);
            oxcart_scheduler_run(s);
        }
        oxcart_scheduler_close(&s);
        failed = n == 0 || oom_disarm();
        if (n == 0) {
            memcpy(good, told, sizeof good);
        }
        for (size_t i = 0; status == OXCART_OK && i < 2; i++) {
            const bool same = told[i].status == OXCART_OK && same_bits(&told[i], &good[i]);
            if (told[i].n_done != 1 || !(same || told[i].status == OXCART_E_NOMEM)) {
                NOTE("allocation %ld, request %zu: status %d, %zu tokens", n, i, (int)told[i].status, told[i].n);
                n_wrong++;
            }
        }
        /* how much memory there is could not be read: that is told as such */
        if (status != OXCART_OK && status != OXCART_E_NOMEM && status != OXCART_E_IO) {
            NOTE("allocation %ld: %s", n, err.message);
            n_wrong++;
        }
        n_failed += status != OXCART_OK ? 1 : 0;
    }
    mk_remove_folder(FOLDER);
    OK(n > 20 && n < 2000 && n_failed > 5 && n_wrong == 0, "%ld allocations fail, %zu of them calls, %zu answers wrong",
       n - 2, n_failed, n_wrong);
    oxcart_prompt_free(&prompts[0]);
    oxcart_prompt_free(&prompts[1]);
}

int main(void)
{
    struct oxcart_engine *engine = open_demo();
    test_pieces(engine);
    test_no_memory(engine);
    oxcart_engine_close(&engine);
    return tap_done();
}
