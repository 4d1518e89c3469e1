/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures and clips in requests: answers are those of a session, whoever else is served; what is encoded and kept is not
 * encoded and computed again; equal ids with other pictures are another history. From the inside, without threads:
 * turns of tower and prompts beside a running answer, cancelling, and failing allocations.
 */
#include "base/buf.h"
#include "engine/scheduler.h"
#include "tests/demo_look.h"
#include "tests/media_files.h"
#include "tests/mkmodel.h"
#include "tests/oom.h"
#include "tests/scheduler_help.h"

#define FOLDER "test_scheduler_media.cache"
#define N_DRAWN 6
#define CLIP 3
#define TWIN 4 /* as large as the first, but another picture */
#define TWO_SHAPES 5
#define MOST 3

static struct drawing drawn[N_DRAWN];

static void draw_all(void)
{
    for (size_t i = 0; i < N_DRAWN; i++) {
        const enum draw_kind other = i == TWO_SHAPES ? DRAW_TWO_SHAPES : DRAW_PICTURE;
        draw(i == CLIP ? DRAW_CLIP : other, 10 + i, &drawn[i]);
    }
    struct drawing *twin = &drawn[TWIN];
    for (uint64_t seed = 100;
         twin->height != drawn[0].height || twin->width != drawn[0].width || strcmp(twin->answer, drawn[0].answer) == 0;
         seed++) {
        draw_free(twin);
        draw(DRAW_PICTURE, seed, twin);
    }
    twin->question = drawn[0].question;
}

/* A conversation: pictures, each with its question and, but for the last one, its answer; `tail` is said at its end. */
struct talk {
    size_t which[MOST];
    size_t n;
    const char *tail;
    struct demo_reply alone; /* what a session says */
};

/* Write the conversation and its media; returns their number. */
static size_t write_talk(const struct talk *talk, struct oxcart_media media[MOST], struct ox_buf *json)
{
    ox_buf_add_c(json, "{\"thinking_mode\": \"disabled\", \"messages\": [");
    for (size_t i = 0; i < talk->n; i++) {
        const struct drawing *drawing = &drawn[talk->which[i]];
        media[i] = demo_look_media(drawing);
        ox_buf_printf(json, "%s{\"role\": \"user\", \"content\": [{\"type\": \"%s\"}, \"%s\"]}", i > 0 ? ", " : "",
                      drawing->n_frames > 1 ? "video" : "image", drawing->question);
        if (i + 1 < talk->n || talk->tail != NULL) {
            ox_buf_printf(json, ", {\"role\": \"assistant\", \"content\": \"%s\"}", drawing->answer);
        }
    }
    if (talk->tail != NULL) {
        ox_buf_printf(json, ", {\"role\": \"user\", \"content\": \"%s\"}", talk->tail);
    }
    ox_buf_add_c(json, "]}");
    return talk->n;
}

static struct oxcart_prompt *make_prompt(struct oxcart_engine *engine, const struct talk *talk)
{
    struct oxcart_media media[MOST];
    struct ox_buf json = {0};
    struct oxcart_error err = {0};
    struct oxcart_prompt *prompt = NULL;
    struct oxcart_messages_options options = {.size = sizeof options, .media = media};
    options.n_media = write_talk(talk, media, &json);
    if (oxcart_prompt_from_messages(engine, json.ptr, json.len, &options, &prompt, &err) != OXCART_OK) {
        OK(false, "%s", err.message);
        exit(1);
    }
    ox_buf_fini(&json);
    return prompt;
}

/* Greedy, with log-probabilities: every bit of the logits counts. */
static struct oxcart_sampling exact(void)
{
    struct oxcart_sampling sampling;
    oxcart_sampling_default(&sampling);
    sampling.temperature = 0.0F;
    sampling.n_predict = 40;
    sampling.has_logprobs = 1;
    return sampling;
}

static void answer_alone(struct oxcart_engine *engine, const struct oxcart_sampling *sampling, struct talk *talk)
{
    struct oxcart_media media[MOST];
    struct ox_buf json = {0};
    struct oxcart_error err = {0};
    struct oxcart_result result = {.size = sizeof result};
    struct oxcart_session *session = demo_session(engine, 1024);
    struct oxcart_messages_options options = {.size = sizeof options, .media = media};
    options.n_media = write_talk(talk, media, &json);
    if (oxcart_session_set_messages(session, json.ptr, json.len, &options, &err) != OXCART_OK ||
        demo_decode(session, sampling, &talk->alone, &result) != OXCART_OK) {
        OK(false, "%s", err.message);
        exit(1);
    }
    ox_buf_fini(&json);
    oxcart_session_close(&session);
}

static bool is_alone(const struct asked *asked, const struct talk *talk)
{
    const struct demo_reply *alone = &talk->alone;
    return asked->status == OXCART_OK && asked->n_done == 1 && asked->reply.n_ids == alone->n_ids &&
           memcmp(asked->reply.ids, alone->ids, alone->n_ids * sizeof alone->ids[0]) == 0 &&
           memcmp(asked->reply.logprobs, alone->logprobs, alone->n_ids * sizeof alone->logprobs[0]) == 0;
}

static const char long_tail[] = "What is the capital of France? What is the capital of Spain? What is the capital of "
                                "Italy? What is the capital of Norway? What is the capital of France?";

static struct talk talks[] = {
    {.which = {0}, .n = 1},       {.which = {1}, .n = 1},          {.which = {CLIP}, .n = 1},
    {.which = {0, CLIP}, .n = 2}, {.which = {TWIN}, .n = 1},       {.which = {0}, .n = 1},
    {.which = {2, 1, 0}, .n = 3}, {.which = {TWO_SHAPES}, .n = 1}, {.which = {0}, .n = 1, .tail = long_tail},
};

#define N_TALKS (sizeof talks / sizeof talks[0])

/* All at once, of several clients; how many answers are not the session's. */
static size_t ask_all(struct oxcart_engine *engine, struct serving *serving, struct asked *asked)
{
    size_t n_wrong = 0;
    const struct oxcart_sampling sampling = exact();
    for (size_t i = 0; i < N_TALKS; i++) {
        struct oxcart_prompt *prompt = make_prompt(engine, &talks[i]);
        OK(ask_prompt(serving, prompt, i % 4, &sampling, &asked[i]), "handed in %s", asked[i].err.message);
        oxcart_prompt_free(&prompt);
    }
    for (size_t i = 0; i < N_TALKS; i++) {
        await(&asked[i]);
        n_wrong += is_alone(&asked[i], &talks[i]) ? 0 : 1;
    }
    return n_wrong;
}

static void test_together(struct oxcart_engine *engine)
{
    static struct asked asked[N_TALKS];
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 1024, .n_parallel = 3};
    struct serving serving;
    bool right = true;
    const struct oxcart_sampling sampling = exact();
    for (size_t i = 0; i < N_TALKS; i++) {
        answer_alone(engine, &sampling, &talks[i]);
        right = right && (talks[i].tail != NULL ||
                          strcmp(talks[i].alone.content, drawn[talks[i].which[talks[i].n - 1]].answer) == 0);
    }
    OK(right, "sessions see what is there");
    OK(strcmp(talks[0].alone.content, talks[4].alone.content) != 0, "equal ids, other pictures, other answers");
    serving_open(engine, &options, &serving);
    IS_INT(ask_all(engine, &serving, asked), 0, "answers that differ in company");
    struct oxcart_scheduler_stats stats = serving_stats(&serving);
    OK(stats.n_encoded == N_DRAWN && stats.media_used_bytes > 0, "each picture is encoded once: %" PRIu64,
       stats.n_encoded);
    IS_INT(ask_all(engine, &serving, asked), 0, "answers that differ when all is known");
    stats = serving_stats(&serving);
    bool cached = true;
    for (size_t i = 0; i < N_TALKS; i++) {
        cached = cached && asked[i].result.n_cached >= (asked[i].result.n_prompt - 1) / 32 * 32;
    }
    OK(cached && stats.n_encoded == N_DRAWN, "whole blocks are found, pictures in them too");
    OK(asked[0].result.n_media < 32 && asked[0].result.media_s <= 0.0, "%d tokens of a picture are computed again",
       asked[0].result.n_media);
    serving_close(&serving, OXCART_STOP_FINISH);
}

/* Room for nothing but what is needed now. */
static void test_little_room(struct oxcart_engine *engine)
{
    static struct asked asked[N_TALKS];
    const struct oxcart_scheduler_options options = {
        .size = sizeof options, .n_ctx = 1024, .n_parallel = 4, .media_bytes = 1};
    struct oxcart_scheduler_options bad = options;
    struct serving serving;
    struct oxcart_error err = {0};
    serving_open(engine, &options, &serving);
    IS_INT(ask_all(engine, &serving, asked), 0, "answers that differ where features are forgotten");
    const struct oxcart_scheduler_stats stats = serving_stats(&serving);
    OK(stats.n_encoded > N_DRAWN, "some are encoded more than once: %" PRIu64, stats.n_encoded);
    serving_close(&serving, OXCART_STOP_FINISH);
    bad.media_bytes = -1;
    OK(oxcart_scheduler_open(engine, &bad, &serving.scheduler, &err) == OXCART_E_ARG, "no such size: %s", err.message);
}

/* Memory for less than two: requests give theirs up, and compute their pictures again. */
static void test_little_memory(struct oxcart_engine *engine)
{
    enum { N = 3 };
    static struct asked asked[N];
    struct talk some[N] = {{.which = {0}, .n = 1}, {.which = {TWIN}, .n = 1}, {.which = {1}, .n = 1}};
    struct oxcart_engine_info info = {.size = sizeof info};
    struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 600, .n_parallel = N, .media_bytes = 1};
    struct oxcart_sampling sampling = exact();
    struct serving serving;
    bool same = oxcart_engine_info(engine, &info) == OXCART_OK;
    sampling.ignore_end = 1;
    sampling.n_predict = 200;
    options.kv_bytes = info.kv_token_bytes * 640;
    for (size_t i = 0; i < N; i++) {
        answer_alone(engine, &sampling, &some[i]);
    }
    serving_open(engine, &options, &serving);
    for (size_t i = 0; i < N; i++) {
        struct oxcart_prompt *prompt = make_prompt(engine, &some[i]);
        same = same && ask_prompt(&serving, prompt, i, &sampling, &asked[i]);
        oxcart_prompt_free(&prompt);
    }
    for (size_t i = 0; same && i < N; i++) {
        await(&asked[i]);
        same = is_alone(&asked[i], &some[i]);
    }
    const struct oxcart_scheduler_stats stats = serving_stats(&serving);
    OK(same && stats.n_paused > 0,
       "where memory is short answers are the same: %" PRIu64 " times it was given up, %" PRIu64
       " pictures were encoded",
       stats.n_paused, stats.n_encoded);
    serving_close(&serving, OXCART_STOP_FINISH);
}

/* After a restart the folder gives what was computed from a picture, and not for another one. */
static void test_restart(struct oxcart_engine *engine)
{
    static struct asked asked[2];
    const struct oxcart_scheduler_options options = {
        .size = sizeof options, .n_ctx = 1024, .cache_dir = FOLDER, .cache_bytes = 1U << 28};
    struct talk with = {.which = {0}, .n = 1, .tail = long_tail};
    struct talk other = {.which = {TWIN}, .n = 1, .tail = long_tail};
    struct oxcart_prompt *prompts[2] = {make_prompt(engine, &with), make_prompt(engine, &other)};
    const struct oxcart_sampling sampling = exact();
    const size_t first = prompts[0]->spans.ptr[0].begin;
    struct serving serving;
    answer_alone(engine, &sampling, &with);
    answer_alone(engine, &sampling, &other);
    mk_remove_folder(FOLDER);
    serving_open(engine, &options, &serving);
    OK(ask_prompt(&serving, prompts[0], 1, &sampling, &asked[0]), "handed in");
    await(&asked[0]);
    OK(is_alone(&asked[0], &with) && asked[0].result.n_cached == 0 && serving_stats(&serving).n_encoded == 1 &&
           asked[0].result.n_media == (int32_t)prompts[0]->spans.ptr[0].n && asked[0].result.media_s > 0.0,
       "a picture is encoded, %d tokens, %.3f s", asked[0].result.n_media, asked[0].result.media_s);
    serving_close(&serving, OXCART_STOP_FINISH);
    serving_open(engine, &options, &serving);
    OK(ask_prompt(&serving, prompts[0], 1, &sampling, &asked[0]), "handed in after a restart");
    await(&asked[0]);
    struct oxcart_scheduler_stats stats = serving_stats(&serving);
    OK(is_alone(&asked[0], &with) && asked[0].result.n_cached == (asked[0].result.n_prompt - 1) / 32 * 32 &&
           stats.n_encoded == 0 && stats.read_blocks > 0 && asked[0].result.n_media == 0,
       "%d of %d tokens are read, nothing is encoded", asked[0].result.n_cached, asked[0].result.n_prompt);
    OK(ask_prompt(&serving, prompts[1], 1, &sampling, &asked[1]), "the same with another picture");
    await(&asked[1]);
    stats = serving_stats(&serving);
    OK(is_alone(&asked[1], &other) && asked[1].result.n_cached == (int32_t)(first / 32 * 32) && stats.n_encoded == 1,
       "only what stands before it is known: %d of %zu", asked[1].result.n_cached, first);
    serving_close(&serving, OXCART_STOP_FINISH);
    mk_remove_folder(FOLDER);
    oxcart_prompt_free(&prompts[0]);
    oxcart_prompt_free(&prompts[1]);
}

/* ---- loading --------------------------------------------------------------------------------------------------- */

static size_t n_heard;

static void hear(void *user, enum oxcart_log_level level, const char *text)
{
    (void)user;
    (void)level;
    n_heard++;
    NOTE("%s", text);
}

static void test_loading(struct oxcart_engine *engine)
{
    static const char bare[] = "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}";
    char helper[4300];
    struct ox_buf file = {0};
    struct oxcart_error err = {0};
    struct oxcart_prompt *prompt = NULL;
    struct oxcart_prompt *pixels = NULL;
    media_png(&file, drawn[0].pixels, (size_t)drawn[0].height, (size_t)drawn[0].width, 3, 8);
    struct oxcart_media media = {
        .size = sizeof media, .kind = OXCART_MEDIA_IMAGE, .bytes = (const uint8_t *)file.ptr, .n_bytes = file.len};
    struct oxcart_messages_options options = {.size = sizeof options, .media = &media, .n_media = 1};
    OK(oxcart_prompt_from_messages(engine, bare, sizeof bare - 1, &options, &prompt, &err) == OXCART_E_ARG,
       "a file without a helper: %s", err.message);
    demo_look_helper(helper, sizeof helper);
    options.media_helper = helper;
    options.message = hear;
    OK(oxcart_prompt_from_messages(engine, bare, sizeof bare - 1, &options, &prompt, &err) == OXCART_OK,
       "a PNG file is decoded %s", err.message);
    media = demo_look_media(&drawn[0]);
    OK(oxcart_prompt_from_messages(engine, bare, sizeof bare - 1, &options, &pixels, &err) == OXCART_OK &&
           pixels->ids.len == prompt->ids.len && pixels->spans.len == 1 && pixels->pictures.n == 1 &&
           memcmp(pixels->pictures.list[0]->media.pixels, prompt->pictures.list[0]->media.pixels,
                  (size_t)(drawn[0].height * drawn[0].width * 3)) == 0,
       "into the same pixels %s", err.message);
    oxcart_prompt_free(&prompt);
    oxcart_prompt_free(&pixels);
    file.ptr[40] = (char)~file.ptr[40];
    media = (struct oxcart_media){
        .size = sizeof media, .kind = OXCART_MEDIA_IMAGE, .bytes = (const uint8_t *)file.ptr, .n_bytes = 60};
    OK(oxcart_prompt_from_messages(engine, bare, sizeof bare - 1, &options, &prompt, &err) == OXCART_E_MEDIA,
       "a broken one: %s", err.message);
    media = demo_look_media(&drawn[0]);
    options.max_pixels = -1;
    OK(oxcart_prompt_from_messages(engine, bare, sizeof bare - 1, &options, &prompt, &err) == OXCART_E_ARG,
       "no such size: %s", err.message);
    options.max_pixels = 3136;
    OK(oxcart_prompt_from_messages(engine, bare, sizeof bare - 1, &options, &prompt, &err) == OXCART_OK &&
           prompt->spans.ptr[0].n <= 4,
       "made smaller %s", err.message);
    oxcart_prompt_free(&prompt);
    options.n_media = 0;
    OK(oxcart_prompt_from_messages(engine, bare, sizeof bare - 1, &options, &prompt, &err) == OXCART_E_ARG,
       "a picture that is not there: %s", err.message);
    IS_INT(n_heard, 0, "warnings");
    ox_buf_fini(&file);
}

/* ---- from the inside ------------------------------------------------------------------------------------------- */

/* One request and what came of it. */
struct told {
    struct demo_reply reply;
    size_t n_done;
    enum oxcart_status status;
};

static int on_event(void *user, const struct oxcart_event *event)
{
    struct told *told = user;
    return demo_on_event(&told->reply, event);
}

static void on_done(void *user, enum oxcart_status status, const struct oxcart_result *result,
                    const struct oxcart_error *err)
{
    struct told *told = user;
    (void)result;
    (void)err;
    told->n_done++;
    told->status = status;
}

static enum oxcart_status hand_in(struct oxcart_scheduler *s, struct oxcart_prompt *prompt, bool endless,
                                  struct told *told, uint64_t *ticket)
{
    struct oxcart_sampling sampling = exact();
    sampling.ignore_end = endless ? 1 : 0;
    sampling.n_predict = endless ? 0 : sampling.n_predict;
    const struct oxcart_request request = {.size = sizeof request,
                                           .prompt = prompt,
                                           .sampling = &sampling,
                                           .handler = on_event,
                                           .done = on_done,
                                           .user = told};
    memset(told, 0, sizeof *told);
    return oxcart_scheduler_submit(s, &request, ticket, NULL);
}

/* As run admits it. */
static void admit(struct oxcart_scheduler *s, size_t i)
{
    struct ox_request *r = s->waiting;
    s->waiting = r->next;
    s->n_waiting--;
    r->next = NULL;
    r->g.n_drawn = s->slots[i].n_drawn;
    s->slots[i].request = r;
}

static struct oxcart_scheduler *open_inside(struct oxcart_engine *engine)
{
    struct oxcart_scheduler *s = NULL;
    const struct oxcart_scheduler_options options = {.size = sizeof options, .n_ctx = 1024, .n_parallel = 2};
    if (oxcart_scheduler_open(engine, &options, &s, NULL) != OXCART_OK) {
        exit(1);
    }
    return s;
}

/* While an answer runs, tower and prompt take turns, and the answer gets its token each time. */
static void test_turns(struct oxcart_engine *engine)
{
    static struct told told[2];
    const int32_t few[] = {11, 12, 13};
    struct oxcart_scheduler *s = open_inside(engine);
    struct oxcart_prompt *text = ids_prompt(engine, few, 3);
    struct oxcart_prompt *clip = make_prompt(engine, &talks[2]);
    const struct ox_media *media = &clip->pictures.list[0]->media;
    const size_t n_t = ox_media_grid_t(media);
    const size_t most = engine->config.vision.segment_frames;
    const size_t n_segments = (n_t + most - 1) / most;
    OK(hand_in(s, text, true, &told[0], NULL) == OXCART_OK && hand_in(s, clip, false, &told[1], NULL) == OXCART_OK,
       "two requests");
    admit(s, 0);
    OK(ox_scheduler_pass(s) && told[0].reply.n_ids == 1, "the first answers");
    admit(s, 1);
    size_t n_tower = 0;
    size_t n_passes = 0;
    bool each = true;
    while (told[1].reply.n_ids == 0 && n_passes < 1000) {
        const size_t before = told[0].reply.n_ids;
        /* a clock of our own: nothing may take any time */
        ox_pace_init(&s->pace, 1e-9);
        each = each && ox_scheduler_pass(s) && (told[0].reply.n_ids == before + 1 || before == DEMO_MOST) &&
               !(s->n_piece > 0 && s->encode_s > 0.0);
        n_tower += s->encode_s > 0.0 ? 1 : 0;
        n_passes++;
    }
    const size_t n_units = (2 + 2 * engine->config.vision.n_layers) * n_segments;
    OK(each && n_passes < 1000, "a token for each of %zu passes", n_passes);
    OK(n_tower == n_units && s->n_encoded == 1, "the clip is encoded in %zu pieces of %zu", n_tower, n_units);
    ox_pace_init(&s->pace, 0.5);
    while (ox_scheduler_pass(s) && !s->slots[1].request->over) {
    }
    OK(told[1].reply.n_ids == talks[2].alone.n_ids &&
           memcmp(told[1].reply.logprobs, talks[2].alone.logprobs, told[1].reply.n_ids * sizeof(double)) == 0,
       "the session's answer: %s", told[1].reply.content);
    oxcart_scheduler_stop(s, OXCART_STOP_NOW);
    oxcart_scheduler_run(s);
    oxcart_scheduler_close(&s);
    oxcart_prompt_free(&text);
    oxcart_prompt_free(&clip);
}

/* Cancelled in the middle of the tower, closed there, and taken up by another request. */
static void test_cancel(struct oxcart_engine *engine)
{
    static struct told told[2];
    uint64_t ticket = 0;
    for (size_t way = 0; way < 2; way++) {
        struct oxcart_scheduler *s = open_inside(engine);
        struct oxcart_prompt *prompt = make_prompt(engine, &talks[0]);
        bool good = hand_in(s, prompt, false, &told[0], &ticket) == OXCART_OK &&
                    hand_in(s, prompt, false, &told[1], NULL) == OXCART_OK;
        admit(s, 0);
        for (size_t i = 0; good && i < 3; i++) {
            ox_pace_init(&s->pace, 1e-9);
            good = ox_scheduler_pass(s);
        }
        OK(good && s->encoding.slot == &s->slots[0] && s->n_encoded == 0, "a picture is being encoded");
        oxcart_prompt_free(&prompt);
        ox_pace_init(&s->pace, 0.5);
        if (way == 0) {
            oxcart_scheduler_cancel(s, ticket);
        }
        oxcart_scheduler_stop(s, way == 0 ? OXCART_STOP_FINISH : OXCART_STOP_NOW);
        oxcart_scheduler_run(s);
        OK(told[0].n_done == 1 && told[0].status == OXCART_E_CANCELLED && s->encoding.slot == NULL, "and is no more");
        OK(told[1].n_done == 1 && told[1].status == (way == 0 ? OXCART_OK : OXCART_E_CANCELLED) &&
               s->n_encoded == 1 - way && (way == 1 || strcmp(told[1].reply.content, talks[0].alone.content) == 0),
           "the other one: \"%s\"", told[1].reply.content);
        oxcart_scheduler_close(&s);
    }
}

/* Pictures are decoded as long as there is room for their tokens: in the prompt, and in all prompts that are kept. */
static void test_room(struct oxcart_engine *engine)
{
    static struct told told[1];
    const struct talk twice = {.which = {0, 0}, .n = 2};
    struct oxcart_media media[MOST];
    struct ox_buf json = {0};
    struct oxcart_prompt *prompt = NULL;
    struct oxcart_prompt *other = NULL;
    struct oxcart_error err = {0};
    struct oxcart_messages_options options = {.size = sizeof options, .media = media};
    int64_t n_tokens = 0;
    options.n_media = write_talk(&talks[6], media, &json);
    for (size_t i = 0; i < options.n_media; i++) {
        n_tokens += (int64_t)(media[i].height / 28) * (media[i].width / 28);
    }
    options.max_media_tokens = n_tokens - 1;
    options.all_media_tokens = 2 * n_tokens - 1;
    OK(oxcart_prompt_from_messages(engine, json.ptr, json.len, &options, &prompt, &err) == OXCART_E_STATE &&
           prompt == NULL, "more than the prompt may have: %s", err.message);
    IS_INT(atomic_load(engine->n_media_tokens), 0, "tokens are kept of it");
    options.max_media_tokens = n_tokens;
    OK(oxcart_prompt_from_messages(engine, json.ptr, json.len, &options, &prompt, &err) == OXCART_OK, "as many as that: %s",
       err.message);
    IS_INT(atomic_load(engine->n_media_tokens), (size_t)n_tokens, "tokens are kept");
    struct oxcart_scheduler *s = open_inside(engine);
    OK(hand_in(s, prompt, false, &told[0], NULL) == OXCART_OK, "it waits");
    oxcart_prompt_free(&prompt);
    OK(oxcart_prompt_from_messages(engine, json.ptr, json.len, &options, &other, &err) == OXCART_E_BUSY && other == NULL,
       "no room for two: %s", err.message);
    IS_INT(atomic_load(engine->n_media_tokens), (size_t)n_tokens, "tokens are kept still");
    oxcart_scheduler_stop(s, OXCART_STOP_FINISH);
    oxcart_scheduler_run(s);
    OK(strcmp(told[0].reply.content, talks[6].alone.content) == 0, "it is answered: \"%s\"", told[0].reply.content);
    OK(oxcart_prompt_from_messages(engine, json.ptr, json.len, &options, &other, &err) == OXCART_OK,
       "then there is room: %s", err.message);
    oxcart_prompt_free(&other);
    oxcart_scheduler_close(&s);
    options.all_media_tokens = -1;
    OK(oxcart_prompt_from_messages(engine, json.ptr, json.len, &options, &other, &err) == OXCART_E_ARG, "%s", err.message);
    ox_buf_clear(&json);
    options.all_media_tokens = 0;
    options.n_media = write_talk(&twice, media, &json);
    options.max_media_tokens = (int64_t)(media[0].height / 28) * (media[0].width / 28);
    OK(oxcart_prompt_from_messages(engine, json.ptr, json.len, &options, &other, &err) == OXCART_OK,
       "what is shown twice is kept once: %s", err.message);
    oxcart_prompt_free(&other);
    ox_buf_fini(&json);
}

/* The n-th allocation fails, from the prompt to the end: an error, or the same answers. */
static void test_no_memory(struct oxcart_engine *engine)
{
    static struct told told[2];
    struct oxcart_media media[MOST];
    struct ox_buf json = {0};
    struct oxcart_messages_options options = {.size = sizeof options, .media = media, .all_media_tokens = 100000};
    options.n_media = write_talk(&talks[3], media, &json);
    size_t n_failed = 0;
    size_t n_wrong = 0;
    long n = 1;
    for (bool failed = true; failed && n < 3000; n++) {
        struct oxcart_scheduler *s = open_inside(engine);
        struct oxcart_prompt *prompt = NULL;
        struct oxcart_error err = {0};
        memset(told, 0, sizeof told);
        oom_arm(n);
        enum oxcart_status status = oxcart_prompt_from_messages(engine, json.ptr, json.len, &options, &prompt, &err);
        for (size_t i = 0; status == OXCART_OK && i < 2; i++) {
            status = hand_in(s, prompt, false, &told[i], NULL);
        }
        oxcart_scheduler_stop(s, OXCART_STOP_FINISH);
        oxcart_scheduler_run(s);
        failed = oom_disarm();
        n_failed += status != OXCART_OK ? 1 : 0;
        n_wrong += status != OXCART_OK && status != OXCART_E_NOMEM ? 1 : 0;
        for (size_t i = 0; status == OXCART_OK && i < 2; i++) {
            const bool same = told[i].status == OXCART_OK && strcmp(told[i].reply.content, talks[3].alone.content) == 0;
            const bool known = told[i].status == OXCART_E_NOMEM;
            n_failed += same ? 0 : 1;
            if (told[i].n_done != 1 || !(same || known)) {
                NOTE("allocation %ld, request %zu: status %d", n, i, (int)told[i].status);
                n_wrong++;
            }
        }
        oxcart_prompt_free(&prompt);
        oxcart_scheduler_close(&s);
    }
    OK(n > 20 && n < 3000 && n_failed > 20 && n_wrong == 0, "%ld allocations fail, %zu calls and answers, %zu wrong",
       n - 2, n_failed, n_wrong);
    IS_INT(atomic_load(engine->n_media_tokens), 0, "tokens of pictures are still counted");
    ox_buf_fini(&json);
}

int main(void)
{
    draw_all();
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 1);
    test_together(engine);
    test_little_room(engine);
    test_little_memory(engine);
    test_restart(engine);
    test_loading(engine);
    test_turns(engine);
    test_cancel(engine);
    test_room(engine);
    test_no_memory(engine);
    oxcart_engine_close(&engine);
    for (size_t i = 0; i < N_DRAWN; i++) {
        draw_free(&drawn[i]);
    }
    return tap_done();
}
