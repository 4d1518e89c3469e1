/* SPDX-License-Identifier: Apache-2.0
 *
 * Saved sessions: they go on as if they had never been put away, and a damaged file costs time, not truth.
 */
#include "base/mem.h"
#include "os/file.h"
#include "os/folder.h"
#include "tests/demo_help.h"

#define FILE_NAME "test_session_file.oxs"

static const char note[] = "{\"of\": \"the caller\"}";

static void make_ids(int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ids[i] = (int32_t)(3 + i * 37 % 1900);
    }
}

/* The next 12 tokens, and how much was cached. */
static bool goes_on(struct oxcart_session *session, int32_t *ids, int32_t *n_cached)
{
    static struct demo_reply reply;
    struct oxcart_sampling sampling;
    struct oxcart_result result;
    oxcart_sampling_default(&sampling);
    sampling.temperature = 0.0F;
    sampling.n_predict = 12;
    sampling.ignore_end = 1;
    if (demo_decode(session, &sampling, &reply, &result) != OXCART_OK) {
        return false;
    }
    memcpy(ids, reply.ids, 12 * sizeof *ids);
    *n_cached = result.n_cached;
    return true;
}

int main(void)
{
    enum { N = 75 };
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 2);
    struct oxcart_session *session = demo_session(engine, 256);
    struct oxcart_session *other = demo_session(engine, 128);
    struct oxcart_session *small = demo_session(engine, 64);
    struct oxcart_error err = {0};
    int32_t ids[N];
    int32_t expected[12];
    int32_t found[12];
    int32_t n_cached = 0;
    const int32_t *timeline;
    char *got = NULL;
    size_t got_bytes = 0;
    make_ids(ids, N);
    OK(oxcart_session_append(session, ids, N, &err) == OXCART_OK &&
           oxcart_session_save(session, FILE_NAME, note, sizeof note - 1, &err) == OXCART_OK,
       "saved %s", err.message);
    OK(goes_on(session, expected, &n_cached), "the session goes on");
    OK(oxcart_session_load(other, FILE_NAME, &got, &got_bytes, &err) == OXCART_OK, "another one loads it %s",
       err.message);
    OK(got_bytes == sizeof note - 1 && strcmp(got, note) == 0, "the note");
    oxcart_free(got);
    OK(oxcart_session_tokens(other, &timeline) == N && memcmp(timeline, ids, sizeof ids) == 0, "the tokens");
    OK(goes_on(other, found, &n_cached) && memcmp(found, expected, sizeof found) == 0 && n_cached == N,
       "and goes on the same way, with all tokens cached");
    OK(oxcart_session_load(session, FILE_NAME, NULL, NULL, &err) == OXCART_OK &&
           oxcart_session_tokens(session, NULL) == N && goes_on(session, found, &n_cached) &&
           memcmp(found, expected, sizeof found) == 0,
       "in place of a longer one, without the note");
    OK(oxcart_session_load(small, FILE_NAME, NULL, NULL, &err) == OXCART_E_STATE &&
           oxcart_session_tokens(small, NULL) == 0,
       "a context that is too small: %s", err.message);
    OK(oxcart_session_load(small, "test_session_file.none", NULL, NULL, &err) == OXCART_E_IO, "no file: %s",
       err.message);
    OK(oxcart_session_save(small, FILE_NAME ".empty", NULL, 0, &err) == OXCART_OK &&
           oxcart_session_load(other, FILE_NAME ".empty", &got, &got_bytes, &err) == OXCART_OK && got_bytes == 0 &&
           oxcart_session_tokens(other, NULL) == 0,
       "an empty session");
    oxcart_free(got);

    /* another KV format finds the note, and nothing else */
    const struct oxcart_session_options wide = {.size = sizeof wide, .n_ctx = 128, .kv = "f32"};
    struct oxcart_session *f32 = NULL;
    OK(oxcart_session_open(engine, &wide, &f32, &err) == OXCART_OK &&
           oxcart_session_load(f32, FILE_NAME, &got, &got_bytes, &err) == OXCART_OK && strcmp(got, note) == 0 &&
           oxcart_session_tokens(f32, NULL) == 0,
       "another KV format");
    oxcart_free(got);

    /* bytes changed and the end cut off, here and there: refused, or right */
    struct ox_buf file = {0};
    OK(ox_file_read(FILE_NAME, (size_t)1 << 30, &file, NULL) == OX_OK && file.len > 300000,
       "a file with three blocks of KV cache");
    size_t n_refused = 0;
    size_t n_less = 0;
    size_t n_wrong = 0;
    const size_t step = file.len / (TAP_SANITIZED ? 12 : 40);
    for (size_t at = 0; at < file.len; at += at < 700 ? 35 : step) {
        const char old = file.ptr[at];
        for (size_t cut = 0; cut < 2; cut++) {
            file.ptr[at] = (char)(cut == 0 ? old ^ 16 : old);
            if (ox_file_write(FILE_NAME ".bad", file.ptr, cut == 0 ? file.len : at, NULL) != OX_OK) {
                n_wrong++;
            }
            const enum oxcart_status status = oxcart_session_load(other, FILE_NAME ".bad", &got, &got_bytes, &err);
            if (status == OXCART_OK) {
                const bool same = strcmp(got, note) == 0 && oxcart_session_tokens(other, NULL) == N &&
                                  goes_on(other, found, &n_cached) && memcmp(found, expected, sizeof found) == 0;
                n_wrong += same ? 0 : 1;
                n_less += n_cached < N ? 1 : 0;
                oxcart_free(got);
            } else {
                n_refused += status == OXCART_E_FORMAT ? 1 : 0;
                n_wrong += status == OXCART_E_FORMAT ? 0 : 1;
            }
            got = NULL;
        }
        file.ptr[at] = old;
    }
    OK(n_wrong == 0 && n_refused > 0 && n_less > 0, "damaged files: %zu refused, %zu computed again in part, %zu wrong",
       n_refused, n_less, n_wrong);
    ox_buf_fini(&file);
    ox_file_remove(FILE_NAME);
    ox_file_remove(FILE_NAME ".bad");
    ox_file_remove(FILE_NAME ".empty");
    oxcart_session_close(&f32);
    oxcart_session_close(&small);
    oxcart_session_close(&other);
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
    return tap_done();
}
