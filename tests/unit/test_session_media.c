/* SPDX-License-Identifier: Apache-2.0
 *
 * Saved sessions with pictures and clips: they go on with the same bits, pictures are known again, and what is damaged is
 * refused or computed again from the pixels.
 */
#include "base/mem.h"
#include "engine/session.h"
#include "os/file.h"
#include "os/folder.h"
#include "tests/demo_look.h"
#include "tests/oom.h"

#define FILE_NAME "test_session_media.oxs"
#define N_DRAWN 3
#define CLIP 1
#define N_NEXT 12

static struct drawing drawn[N_DRAWN];
static long fails_at; /* the allocation that fails from the next time on that pictures are shown; 0: none */

/* A picture, a clip and the picture again, each with its question; then `more` or the last question. */
static enum oxcart_status show(struct oxcart_session *session, const char *more, struct oxcart_error *err)
{
    static const size_t which[] = {0, CLIP, 0};
    struct oxcart_media media[3];
    struct ox_buf json = {0};
    ox_buf_add_c(&json, "{\"thinking_mode\": \"disabled\", \"messages\": [");
    for (size_t i = 0; i < 3; i++) {
        const struct drawing *drawing = &drawn[which[i]];
        media[i] = demo_look_media(drawing);
        ox_buf_printf(&json, "%s{\"role\": \"user\", \"content\": [{\"type\": \"%s\"}, \"%s\"]}", i > 0 ? ", " : "",
                      drawing->n_frames > 1 ? "video" : "image", drawing->question);
        if (i < 2 || more != NULL) {
            ox_buf_printf(&json, ", {\"role\": \"assistant\", \"content\": \"%s\"}", drawing->answer);
        }
    }
    if (more != NULL) {
        ox_buf_printf(&json, ", {\"role\": \"user\", \"content\": \"%s\"}", more);
    }
    ox_buf_add_c(&json, "]}");
    const struct oxcart_messages_options options = {.size = sizeof options, .media = media, .n_media = 3};
    if (fails_at > 0) {
        oom_arm(fails_at);
    }
    const enum oxcart_status status = oxcart_session_set_messages(session, json.ptr, json.len, &options, err);
    ox_buf_fini(&json);
    return status;
}

/* The next tokens with every bit of their logits. */
static bool goes_on(struct oxcart_session *session, struct demo_reply *reply, struct oxcart_result *result)
{
    struct oxcart_sampling sampling;
    oxcart_sampling_default(&sampling);
    sampling.temperature = 0.0F;
    sampling.n_predict = N_NEXT;
    sampling.ignore_end = 1;
    sampling.has_logprobs = 1;
    return demo_decode(session, &sampling, reply, result) == OXCART_OK;
}

static bool same_bits(const struct demo_reply *a, const struct demo_reply *b)
{
    return a->n_ids == N_NEXT && b->n_ids == N_NEXT && memcmp(a->ids, b->ids, N_NEXT * sizeof a->ids[0]) == 0 &&
           memcmp(a->logprobs, b->logprobs, N_NEXT * sizeof a->logprobs[0]) == 0;
}

static size_t n_encoded(const struct oxcart_session *session)
{
    size_t n = 0;
    for (size_t i = 0; i < session->pictures.n; i++) {
        n += session->pictures.list[i]->features != NULL ? 1 : 0;
    }
    return n;
}

static struct demo_reply expected; /* of the conversation as it was saved */

static void test_save(struct oxcart_engine *engine)
{
    struct oxcart_session *session = demo_session(engine, 512);
    struct oxcart_session *other = demo_session(engine, 512);
    struct oxcart_error err = {0};
    struct oxcart_result result;
    struct demo_reply found = {0};
    OK(show(session, NULL, &err) == OXCART_OK && oxcart_session_save(session, FILE_NAME, NULL, 0, &err) == OXCART_OK,
       "saved %s", err.message);
    const size_t n = oxcart_session_tokens(session, NULL);
    OK(goes_on(session, &expected, &result), "the session goes on");
    OK(oxcart_session_load(other, FILE_NAME, NULL, NULL, &err) == OXCART_OK &&
           oxcart_session_tokens(other, NULL) == n &&
           memcmp(other->ids.ptr, session->ids.ptr, n * sizeof(int32_t)) == 0,
       "another one loads it %s", err.message);
    OK(other->spans.len == session->spans.len && other->pictures.n == 2 &&
           other->spans.ptr[0].picture == other->spans.ptr[other->spans.len - 1].picture,
       "one picture in two places is one");
    OK(goes_on(other, &found, &result) && same_bits(&found, &expected) && result.n_cached == (int32_t)n &&
           n_encoded(other) == 0,
       "and goes on with the same bits, nothing is encoded");
    /* pictures are shown again, and more is said */
    OK(oxcart_session_load(other, FILE_NAME, NULL, NULL, &err) == OXCART_OK &&
           show(other, "Hello!", &err) == OXCART_OK && goes_on(other, &found, &result) &&
           result.n_cached > (int32_t)n - 20 && n_encoded(other) == 0 && other->pictures.n == 2,
       "its pictures are known again: %d of %zu tokens kept", result.n_cached, n);
    struct demo_reply fresh = {0};
    OK(show(session, "Hello!", &err) == OXCART_OK && goes_on(session, &fresh, &result) && same_bits(&fresh, &found),
       "the same as without saving");
    /* cut in the middle of the clip, and made whole: its pixels are encoded */
    const struct ox_span clip = other->spans.ptr[1];
    OK(oxcart_session_load(other, FILE_NAME, NULL, NULL, &err) == OXCART_OK &&
           oxcart_session_rewind(other, clip.begin + 1, &err) == OXCART_OK && show(other, NULL, &err) == OXCART_OK &&
           goes_on(other, &found, &result) && same_bits(&found, &expected) &&
           result.n_cached == (int32_t)clip.begin + 1 && n_encoded(other) == 2,
       "rewound and shown again: the same bits");
    /* saved in the middle of a clip */
    OK(oxcart_session_rewind(other, clip.begin + 1, &err) == OXCART_OK &&
           oxcart_session_save(other, FILE_NAME ".part", NULL, 0, &err) == OXCART_OK &&
           oxcart_session_load(session, FILE_NAME ".part", NULL, NULL, &err) == OXCART_OK &&
           show(session, NULL, &err) == OXCART_OK && goes_on(session, &found, &result) && same_bits(&found, &expected),
       "saved with a part of a clip %s", err.message);
    ox_file_remove(FILE_NAME ".part");
    oxcart_session_close(&other);
    oxcart_session_close(&session);
}

/* Equal ids with another picture: records of one do not serve the other. */
static void test_other_picture(struct oxcart_engine *engine)
{
    struct oxcart_session *session = demo_session(engine, 512);
    struct oxcart_error err = {0};
    struct oxcart_result result;
    struct demo_reply found = {0};
    struct ox_buf file = {0};
    struct drawing kept = drawn[0];
    drawn[0] = drawn[2];
    OK(show(session, NULL, &err) == OXCART_OK &&
           oxcart_session_save(session, FILE_NAME ".other", NULL, 0, &err) == OXCART_OK &&
           goes_on(session, &found, &result) && !same_bits(&found, &expected),
       "another picture of the same size, another answer");
    drawn[0] = kept;
    /* the head of one file with the records of the other */
    struct ox_buf other = {0};
    OK(ox_file_read(FILE_NAME, (size_t)1 << 30, &file, NULL) == OX_OK &&
           ox_file_read(FILE_NAME ".other", (size_t)1 << 30, &other, NULL) == OX_OK && file.len == other.len,
       "files of one size");
    size_t at = 0;
    while (at + 8 < file.len && memcmp(file.ptr + at, "OXKVBLK\n", 8) != 0) {
        at += 64;
    }
    memcpy(file.ptr + at, other.ptr + at, file.len - at);
    OK(ox_file_write(FILE_NAME ".mixed", file.ptr, file.len, NULL) == OX_OK &&
           oxcart_session_load(session, FILE_NAME ".mixed", NULL, NULL, &err) == OXCART_OK &&
           goes_on(session, &found, &result) && same_bits(&found, &expected),
       "the head of one with records of the other: the head's answer %s", err.message);
    const size_t first = session->spans.ptr[0].begin;
    IS_INT(result.n_cached, (int32_t)(first / 32 * 32), "tokens kept, those before the picture");
    ox_buf_fini(&file);
    ox_buf_fini(&other);
    ox_file_remove(FILE_NAME ".other");
    ox_file_remove(FILE_NAME ".mixed");
    oxcart_session_close(&session);
}

/* Bytes changed and the end cut off, here and there: refused, or right. */
static void test_damage(struct oxcart_engine *engine)
{
    struct oxcart_session *session = demo_session(engine, 512);
    struct oxcart_error err = {0};
    struct ox_buf file = {0};
    size_t n_refused = 0;
    size_t n_less = 0;
    size_t n_wrong = 0;
    OK(ox_file_read(FILE_NAME, (size_t)1 << 30, &file, NULL) == OX_OK, "a file");
    const size_t step = file.len / (TAP_SANITIZED ? 10 : 30);
    for (size_t at = 100; at < file.len; at += at < 200 ? 30 : step) {
        for (size_t cut = 0; cut < 2; cut++) {
            const char old = file.ptr[at];
            struct demo_reply found = {0};
            struct oxcart_result result = {.size = sizeof result};
            file.ptr[at] = (char)(cut == 0 ? old ^ 16 : old);
            n_wrong += ox_file_write(FILE_NAME ".bad", file.ptr, cut == 0 ? file.len : at, NULL) != OX_OK ? 1 : 0;
            file.ptr[at] = old;
            const enum oxcart_status status = oxcart_session_load(session, FILE_NAME ".bad", NULL, NULL, &err);
            if (status == OXCART_OK) {
                n_wrong += goes_on(session, &found, &result) && same_bits(&found, &expected) ? 0 : 1;
                n_less += result.n_cached < result.n_prompt ? 1 : 0;
            } else {
                n_refused++;
                n_wrong += status == OXCART_E_FORMAT ? 0 : 1;
            }
        }
    }
    OK(n_wrong == 0 && n_refused > 4 && n_less > 4, "damaged files: %zu refused, %zu computed again in part, %zu wrong",
       n_refused, n_less, n_wrong);
    ox_buf_fini(&file);
    ox_file_remove(FILE_NAME ".bad");
    oxcart_session_close(&session);
}

/* The n-th allocation of saving and of loading fails. */
static void test_no_memory(struct oxcart_engine *engine)
{
    struct oxcart_session *session = demo_session(engine, 512);
    struct oxcart_error err = {0};
    size_t n_wrong = 0;
    long n = 1;
    OK(show(session, NULL, &err) == OXCART_OK, "a session");
    for (bool failed = true; failed && n < 500; n++) {
        struct oxcart_session *other = demo_session(engine, 512);
        oom_arm(n);
        enum oxcart_status status = oxcart_session_save(session, FILE_NAME ".less", NULL, 0, &err);
        if (status == OXCART_OK) {
            status = oxcart_session_load(other, FILE_NAME ".less", NULL, NULL, &err);
        }
        failed = oom_disarm();
        struct demo_reply found = {0};
        struct oxcart_result result;
        if (status == OXCART_OK) {
            n_wrong += goes_on(other, &found, &result) && same_bits(&found, &expected) ? 0 : 1;
        } else {
            n_wrong += status == OXCART_E_NOMEM && oxcart_session_tokens(other, NULL) == 0 ? 0 : 1;
        }
        oxcart_session_close(&other);
    }
    OK(n > 20 && n < 500 && n_wrong == 0, "%ld allocations fail, %zu wrong", n - 2, n_wrong);
    ox_file_remove(FILE_NAME ".less");
    oxcart_session_close(&session);
}

/* The n-th allocation from showing pictures to the last token fails: an error, or the same bits; and the session shows
 * them all the same the next time. */
static void test_no_memory_to_see(struct oxcart_engine *engine)
{
    size_t n_wrong = 0;
    size_t n_failed = 0;
    long n = 1;
    for (bool failed = true; failed && n < 1000; n++) {
        struct oxcart_session *session = demo_session(engine, 512);
        struct oxcart_error err = {0};
        struct oxcart_result result = {.size = sizeof result};
        struct oxcart_sampling sampling;
        struct demo_reply found = {0};
        oxcart_sampling_default(&sampling);
        sampling.temperature = 0.0F;
        sampling.n_predict = 1;
        fails_at = n;
        enum oxcart_status status = show(session, NULL, &err);
        fails_at = 0;
        if (status == OXCART_OK) {
            status = demo_decode(session, &sampling, &found, &result);
        }
        failed = oom_disarm();
        n_failed += status != OXCART_OK ? 1 : 0;
        n_wrong += status != OXCART_OK && status != OXCART_E_NOMEM ? 1 : 0;
        if (n % 8 == 1) {
            found = (struct demo_reply){0};
            n_wrong += show(session, NULL, &err) == OXCART_OK && goes_on(session, &found, &result) &&
                               same_bits(&found, &expected)
                           ? 0
                           : 1;
        }
        oxcart_session_close(&session);
    }
    OK(n > 20 && n < 1000 && n_failed > 20 && n_wrong == 0, "%ld allocations fail, %zu errors, %zu wrong", n - 2,
       n_failed, n_wrong);
}

int main(void)
{
    draw(DRAW_PICTURE, 10, &drawn[0]);
    draw(DRAW_CLIP, 13, &drawn[CLIP]);
    for (uint64_t seed = 100; drawn[2].height != drawn[0].height || drawn[2].width != drawn[0].width ||
                              strcmp(drawn[2].answer, drawn[0].answer) == 0;
         seed++) {
        draw_free(&drawn[2]);
        draw(DRAW_PICTURE, seed, &drawn[2]);
    }
    drawn[2].question = drawn[0].question;
    memcpy(drawn[2].answer, drawn[0].answer, sizeof drawn[2].answer); /* the same text in the conversation */
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 1);
    test_save(engine);
    test_other_picture(engine);
    test_damage(engine);
    test_no_memory(engine);
    test_no_memory_to_see(engine);
    ox_file_remove(FILE_NAME);
    oxcart_engine_close(&engine);
    for (size_t i = 0; i < N_DRAWN; i++) {
        draw_free(&drawn[i]);
    }
    return tap_done();
}
