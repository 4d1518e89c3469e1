/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures in sessions, through the public interface: what is kept and what is computed again, in prompts that change,
 * timelines that are cut, and caches that are too small. Whatever the way to a timeline, the answer is the same.
 */
#include "engine/session.h"
#include "tests/demo_look.h"

#define N_DRAWN 4

static struct drawing drawn[N_DRAWN]; /* three pictures and a clip */

static struct oxcart_session *open_session(struct oxcart_engine *engine, const struct oxcart_session_options *options)
{
    struct oxcart_error err = {0};
    struct oxcart_session *session = NULL;
    if (oxcart_session_open(engine, options, &session, &err) != OXCART_OK) {
        OK(false, "%s", err.message);
        exit(1);
    }
    return session;
}

/* A conversation of turns: picture `which[i]` and a question, answered by its description but for the last one. */
static enum oxcart_status show(struct oxcart_session *session, const size_t *which, size_t n, struct oxcart_error *err)
{
    struct oxcart_media media[N_DRAWN];
    struct ox_buf json = {0};
    ox_buf_add_c(&json, "{\"thinking_mode\": \"disabled\", \"messages\": [");
    for (size_t i = 0; i < n; i++) {
        const struct drawing *drawing = &drawn[which[i]];
        media[i] = demo_look_media(drawing);
        ox_buf_printf(
            &json, "%s{\"role\": \"user\", \"content\": [{\"type\": \"%s\"}, {\"type\": \"text\", \"text\": \"%s\"}]}",
            i > 0 ? ", " : "", drawing->n_frames > 1 ? "video" : "image", drawing->question);
        if (i + 1 < n) {
            ox_buf_printf(&json, ", {\"role\": \"assistant\", \"content\": \"%s\"}", drawing->answer);
        }
    }
    ox_buf_add_c(&json, "]}");
    const struct oxcart_messages_options options = {.size = sizeof options, .media = media, .n_media = n};
    const enum oxcart_status status = oxcart_session_set_messages(session, json.ptr, json.len, &options, err);
    ox_buf_fini(&json);
    return status;
}

/* The same, and what the model says. */
static bool ask(struct oxcart_session *session, const size_t *which, size_t n, struct demo_reply *reply,
                struct oxcart_result *result)
{
    struct oxcart_error err = {0};
    if (show(session, which, n, &err) != OXCART_OK) {
        NOTE("%s", err.message);
        return false;
    }
    return demo_decode(session, NULL, reply, result) == OXCART_OK;
}

static bool same_reply(const struct demo_reply *a, const struct demo_reply *b)
{
    return a->n_ids == b->n_ids && memcmp(a->ids, b->ids, a->n_ids * sizeof a->ids[0]) == 0;
}

/* How many placeholders the timeline holds. */
static size_t count_placeholders(const struct oxcart_session *session)
{
    const int32_t *ids = NULL;
    const size_t n = oxcart_session_tokens(session, &ids);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += ids[i] == session->engine->config.image_token || ids[i] == session->engine->config.video_token ? 1 : 0;
    }
    return count;
}

static size_t n_features(const struct drawing *drawing)
{
    return (size_t)((drawing->n_frames + 1) / 2 * (drawing->height / 28) * (drawing->width / 28));
}

/* Turns are added: what is known stays, and a new session that gets all at once says the same. */
static void test_turns(struct oxcart_engine *engine)
{
    static const size_t turns[] = {0, 3, 1};
    struct oxcart_session *session = open_session(engine, NULL);
    struct demo_reply reply = {0};
    struct demo_reply fresh = {0};
    struct oxcart_result result = {.size = sizeof result};
    struct oxcart_result first = {.size = sizeof first};
    for (size_t n = 1; n <= 3; n++) {
        struct oxcart_session *other = open_session(engine, NULL);
        const bool good = ask(session, turns, n, &reply, &result) && ask(other, turns, n, &fresh, &first);
        OK(good && same_reply(&reply, &fresh), "%zu turns: \"%s\", as at once", n, reply.content);
        OK((size_t)result.n_media == n_features(&drawn[turns[n - 1]]), "only the new picture is computed: %d tokens",
           result.n_media);
        OK(result.media_s > 0.0 && result.media_s < result.prompt_s, "in %.3f s of %.3f", result.media_s,
           result.prompt_s);
        OK(session->pictures.n == n, "%zu pictures are known", session->pictures.n);
        OK(n == 1 || result.n_cached > 0, "%d tokens were kept", result.n_cached);
        oxcart_session_close(&other);
    }
    OK(count_placeholders(session) == n_features(&drawn[0]) + n_features(&drawn[1]) + n_features(&drawn[3]),
       "as many placeholders as features");
    oxcart_session_close(&session);
}

/* Another picture of the same size in the same place: its tokens have the same ids and are not the same. */
static void test_other_picture(struct oxcart_engine *engine)
{
    struct drawing twin = {0};
    struct drawing kept = drawn[0];
    struct oxcart_session *session = open_session(engine, NULL);
    struct demo_reply first = {0};
    struct demo_reply second = {0};
    struct demo_reply again = {0};
    struct oxcart_result result = {.size = sizeof result};
    static const size_t which[] = {0};
    for (uint64_t seed = 100;
         twin.height != kept.height || twin.width != kept.width || strcmp(twin.answer, kept.answer) == 0; seed++) {
        draw_free(&twin);
        draw(DRAW_PICTURE, seed, &twin);
    }
    twin.question = kept.question;
    OK(ask(session, which, 1, &first, &result), "a picture");
    const int32_t n_prompt = result.n_prompt;
    drawn[0] = twin;
    OK(ask(session, which, 1, &second, &result) && result.n_prompt == n_prompt &&
           (size_t)result.n_media == n_features(&twin) && result.n_cached > 0 &&
           (size_t)(result.n_prompt - result.n_cached) > n_features(&twin),
       "another of the same size is computed");
    OK(strcmp(first.content, kept.answer) == 0 && strcmp(second.content, twin.answer) == 0, "\"%s\", then \"%s\"",
       first.content, second.content);
    drawn[0] = kept;
    OK(ask(session, which, 1, &again, &result) && same_reply(&first, &again) && session->pictures.n == 2,
       "the first again: encoded already, the same answer");
    draw_free(&twin);
    oxcart_session_close(&session);
}

/* Append piece by piece, cut in the middle of a picture, go on. */
static void test_append(struct oxcart_engine *engine)
{
    static const size_t which[] = {1};
    struct oxcart_error err = {0};
    struct oxcart_session *whole = open_session(engine, NULL);
    struct oxcart_session *pieces = open_session(engine, NULL);
    struct demo_reply a = {0};
    struct demo_reply b = {0};
    struct oxcart_result result = {.size = sizeof result};
    const struct oxcart_media media = demo_look_media(&drawn[1]);
    const int32_t *ids = NULL;
    OK(show(whole, which, 1, &err) == OXCART_OK, "a conversation %s", err.message);
    const size_t n = oxcart_session_tokens(whole, &ids);
    const struct ox_span span = whole->spans.ptr[0];
    OK(whole->spans.len == 1 && span.n == n_features(&drawn[1]), "its picture is %zu tokens", span.n);
    OK(oxcart_session_append(pieces, ids, span.begin - 1, &err) == OXCART_OK &&
           oxcart_session_append_media(pieces, &media, &err) == OXCART_OK &&
           oxcart_session_append(pieces, ids + span.begin + span.n + 1, n - span.begin - span.n - 1, &err) == OXCART_OK,
       "the same in pieces %s", err.message);
    const int32_t *other = NULL;
    OK(oxcart_session_tokens(pieces, &other) == n && memcmp(ids, other, n * sizeof *ids) == 0, "the same tokens");
    OK(demo_decode(whole, NULL, &a, &result) == OXCART_OK && demo_decode(pieces, NULL, &b, &result) == OXCART_OK &&
           same_reply(&a, &b),
       "the same answer: %s", b.content);
    OK(oxcart_session_rewind(pieces, span.begin + span.n / 2, &err) == OXCART_OK && pieces->spans.len == 1 &&
           pieces->spans.ptr[0].n == span.n / 2,
       "cut in the middle of the picture");
    OK(show(pieces, which, 1, &err) == OXCART_OK && demo_decode(pieces, NULL, &b, &result) == OXCART_OK &&
           same_reply(&a, &b) && (size_t)result.n_media == span.n - span.n / 2,
       "and shown whole again: the rest of it is computed, the same answer");
    oxcart_session_close(&whole);
    oxcart_session_close(&pieces);
}

/* Room for nothing: every picture is encoded when it is needed, and forgotten. */
static void test_small_cache(struct oxcart_engine *engine)
{
    static const size_t which[] = {2, 0, 1};
    const struct oxcart_session_options options = {.size = sizeof options, .media_bytes = 1};
    struct oxcart_session *small = open_session(engine, &options);
    struct oxcart_session *large = open_session(engine, NULL);
    struct demo_reply a = {0};
    struct demo_reply b = {0};
    struct oxcart_result result = {.size = sizeof result};
    for (size_t from = 0; from < 3; from++) { /* the pictures before it are no longer part of it */
        const bool good =
            ask(small, which + from, 3 - from, &a, &result) && ask(large, which + from, 3 - from, &b, &result);
        size_t n_encoded = 0;
        for (size_t i = 0; i < small->pictures.n; i++) {
            n_encoded += small->pictures.list[i]->features != NULL ? 1 : 0;
        }
        OK(good && same_reply(&a, &b), "%zu pictures: the same answer", 3 - from);
        OK(n_encoded == 0 && small->pictures.n == 3 - from, "%zu are known, none encoded", small->pictures.n);
    }
    OK(large->pictures.n == 3, "with room, all stay");
    oxcart_session_close(&small);
    oxcart_session_close(&large);
}

/* One picture in two places is one picture. */
static void test_twice(struct oxcart_engine *engine)
{
    static const size_t which[] = {0, 0};
    struct oxcart_session *session = open_session(engine, NULL);
    struct oxcart_error err = {0};
    OK(show(session, which, 2, &err) == OXCART_OK && session->pictures.n == 1 && session->spans.len == 2 &&
           session->spans.ptr[0].picture == session->spans.ptr[1].picture,
       "shown twice, known once %s", err.message);
    oxcart_session_close(&session);
}

static int stop_at_once(void *user, size_t done, size_t total)
{
    size_t *calls = user;
    ++*calls;
    (void)done;
    (void)total;
    return 1;
}

static void test_stop(struct oxcart_engine *engine)
{
    static const size_t which[] = {3};
    struct oxcart_session *session = open_session(engine, NULL);
    struct oxcart_error err = {0};
    size_t calls = 0;
    oxcart_session_on_prompt(session, stop_at_once, &calls);
    OK(show(session, which, 1, &err) == OXCART_E_CANCELLED && calls == 1 && oxcart_session_tokens(session, NULL) == 0,
       "stopped before the clip is encoded: %s", err.message);
    oxcart_session_on_prompt(session, NULL, NULL);
    OK(show(session, which, 1, &err) == OXCART_OK, "and taken up again");
    oxcart_session_close(&session);
}

/* The text around placeholders, as the format has it. */
static void test_text(struct oxcart_engine *engine)
{
    struct oxcart_session *session = open_session(engine, NULL);
    struct oxcart_error err = {0};
    struct oxcart_media media = demo_look_media(&drawn[3]);
    char *text = NULL;
    size_t len = 0;
    const int32_t *ids = NULL;
    media.frames_s = 4.0;
    OK(oxcart_session_append_media(session, &media, &err) == OXCART_OK, "a clip %s", err.message);
    const size_t n = oxcart_session_tokens(session, &ids);
    OK(oxcart_decode(engine, ids, n, 0, &text, &len, &err) == OXCART_OK, "its text");
    struct ox_buf expected = {0};
    for (int t = 0; t < drawn[3].n_frames / 2; t++) {
        ox_buf_printf(&expected, "]<]%d.%d seconds[>[]<]start of image[>[", t / 2, t % 2 * 5);
        for (size_t i = 0; i < n_features(&drawn[3]) / (size_t)(drawn[3].n_frames / 2); i++) {
            ox_buf_add_c(&expected, "]<]video[>[");
        }
        ox_buf_add_c(&expected, "]<]end of image[>[");
    }
    OK(text != NULL && ox_str_is(ox_buf_str(&expected), text),
       "a time, the brackets and the placeholders of each frame pair");
    ox_buf_fini(&expected);
    oxcart_free(text);
    media.frames_s = 0.0;
    OK(oxcart_session_rewind(session, 0, &err) == OXCART_OK &&
           oxcart_session_append_media(session, &media, &err) == OXCART_OK &&
           oxcart_session_tokens(session, NULL) == n_features(&drawn[3]) + (size_t)drawn[3].n_frames,
       "no times where there is no speed");
    oxcart_session_close(&session);
}

struct heard {
    size_t n;
};

static void on_message(void *user, enum oxcart_log_level level, const char *text)
{
    struct heard *heard = user;
    heard->n++;
    (void)level;
    NOTE("%s", text);
}

static void test_refusals(struct oxcart_engine *engine)
{
    struct heard heard = {0};
    const struct oxcart_session_options options = {
        .size = sizeof options, .n_ctx = 200, .max_frames = 4, .message = on_message, .user = &heard};
    struct oxcart_session *session = open_session(engine, &options);
    struct oxcart_error err = {0};
    struct oxcart_media media = demo_look_media(&drawn[0]);
    struct oxcart_messages_options talk = {.size = sizeof talk};
    static const char bare[] = "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}";
    static const char named[] = "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", "
                                "\"image_url\": \"no/such.png\"}]}]}";
    static const char spelled[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"]<]image[>[\"}]}";
    static const char remote[] = "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", "
                                 "\"image_url\": \"http://localhost/x.png\"}]}]}";
    const int32_t placeholder[] = {5, engine->config.image_token};
    OK(oxcart_session_append(session, placeholder, 2, &err) == OXCART_E_ARG, "a placeholder alone: %s", err.message);
    OK(oxcart_session_set_tokens(session, placeholder, 2, &err) == OXCART_E_ARG &&
           oxcart_session_tokens(session, NULL) == 0,
       "set: %s", err.message);
    OK(oxcart_session_score(session, placeholder, 2, (double[2]){0.0}, &err) == OXCART_E_ARG, "scored: %s",
       err.message);
    OK(oxcart_session_set_messages(session, bare, sizeof bare - 1, NULL, &err) == OXCART_E_ARG, "no picture: %s",
       err.message);
    talk.media = &media;
    talk.n_media = 2;
    struct oxcart_media two[] = {media, media};
    talk.media = two;
    OK(oxcart_session_set_messages(session, bare, sizeof bare - 1, &talk, &err) == OXCART_E_ARG, "two for one: %s",
       err.message);
    talk.n_media = 1;
    two[0].kind = OXCART_MEDIA_VIDEO;
    OK(oxcart_session_set_messages(session, bare, sizeof bare - 1, &talk, &err) == OXCART_E_ARG,
       "a clip for a picture: %s", err.message);
    talk.n_media = 0;
    OK(oxcart_session_set_messages(session, named, sizeof named - 1, &talk, &err) == OXCART_E_ARG,
       "a file where none may be named: %s", err.message);
    talk.media_files = 1;
    OK(oxcart_session_set_messages(session, remote, sizeof remote - 1, &talk, &err) == OXCART_E_ARG,
       "from the network: %s", err.message);
    talk.allow_special = 1;
    OK(oxcart_session_set_messages(session, spelled, sizeof spelled - 1, &talk, &err) == OXCART_E_ARG,
       "a placeholder that the text spells: %s", err.message);
    talk.allow_special = 0;
    OK(oxcart_session_set_messages(session, spelled, sizeof spelled - 1, &talk, &err) == OXCART_OK,
       "which is text otherwise");
    struct oxcart_media wrong = media;
    wrong.path = "x";
    OK(oxcart_session_append_media(session, &wrong, &err) == OXCART_E_ARG, "two sources: %s", err.message);
    wrong = media;
    wrong.width = 0;
    OK(oxcart_session_append_media(session, &wrong, &err) == OXCART_E_ARG, "no columns: %s", err.message);
    wrong = demo_look_media(&drawn[3]);
    OK(oxcart_session_append_media(session, &wrong, &err) == OXCART_E_MEDIA, "too many frames: %s", err.message);
    wrong = media;
    wrong.height = 1;
    wrong.width = 400;
    OK(oxcart_session_append_media(session, &wrong, &err) == OXCART_E_MEDIA, "too long and thin: %s", err.message);
    wrong = (struct oxcart_media){.size = sizeof wrong, .path = "no/such.png"};
    OK(oxcart_session_append_media(session, &wrong, &err) == OXCART_E_ARG, "files without a helper: %s", err.message);
    size_t before = 0;
    enum oxcart_status status = OXCART_OK;
    for (int i = 0; status == OXCART_OK && i < 20; i++) {
        before = oxcart_session_tokens(session, NULL);
        status = oxcart_session_append_media(session, &media, &err);
    }
    OK(status == OXCART_E_STATE && oxcart_session_tokens(session, NULL) == before, "no room in the context: %s",
       err.message);
    oxcart_session_close(&session);
    struct oxcart_session_options bad = {.size = sizeof bad, .max_pixels = -1};
    OK(oxcart_session_open(engine, &bad, &session, &err) == OXCART_E_ARG, "a negative size: %s", err.message);
}

/* A model that cannot see. */
static void test_blind(void)
{
    struct oxcart_engine *engine = demo_open(tap_file("golden/trace/tiny"), 1);
    struct oxcart_session *session = demo_session(engine, 64);
    struct oxcart_error err = {0};
    struct oxcart_engine_info info = {.size = sizeof info};
    const struct oxcart_media media = demo_look_media(&drawn[0]);
    OK(oxcart_engine_info(engine, &info) == OXCART_OK && info.has_vision == 0, "a model for text only");
    OK(oxcart_session_append_media(session, &media, &err) == OXCART_E_STATE, "cannot see: %s", err.message);
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
}

/* What is for text only says so: prompts of ids. And pictures take and leave their places in a session that is loaded. */
static void test_text_only(struct oxcart_engine *engine)
{
    static const char without[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello!\"}]}";
    const size_t which[] = {0};
    const struct oxcart_media media = demo_look_media(&drawn[0]);
    const struct oxcart_messages_options options = {.size = sizeof options, .media = &media, .n_media = 1};
    const int32_t image = engine->config.image_token;
    struct oxcart_session *session = demo_session(engine, 1024);
    struct oxcart_prompt *prompt = NULL;
    struct oxcart_error err = {0};
    OK(show(session, which, 1, &err) == OXCART_OK, "a picture is shown %s", err.message);
    OK(oxcart_session_rewind(session, 1, &err) == OXCART_OK &&
           oxcart_session_save(session, "test_pictures.oxs", NULL, 0, &err) == OXCART_OK,
       "without it, the session is saved %s", err.message);
    OK(show(session, which, 1, &err) == OXCART_OK &&
           oxcart_session_load(session, "test_pictures.oxs", NULL, NULL, &err) == OXCART_OK &&
           oxcart_session_save(session, "test_pictures.oxs", NULL, 0, &err) == OXCART_OK,
       "what is loaded takes the place of a picture %s", err.message);
    OK(remove("test_pictures.oxs") == 0, "the file is gone");
    OK(oxcart_prompt_from_messages(engine, without, strlen(without), &options, &prompt, &err) == OXCART_E_ARG,
       "no request with a picture that no part wants: %s", err.message);
    OK(oxcart_prompt_from_tokens(engine, &image, 1, &prompt, &err) == OXCART_E_ARG, "nor with its token: %s",
       err.message);
    oxcart_session_close(&session);
}

int main(void)
{
    for (size_t i = 0; i < N_DRAWN; i++) {
        draw(i == 3 ? DRAW_CLIP : DRAW_PICTURE, 10 + i, &drawn[i]);
    }
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 2);
    struct oxcart_engine_info info = {.size = sizeof info};
    OK(oxcart_engine_info(engine, &info) == OXCART_OK && info.has_vision == 1, "the demonstration model sees");
    test_turns(engine);
    test_other_picture(engine);
    test_append(engine);
    test_small_cache(engine);
    test_twice(engine);
    test_stop(engine);
    test_text(engine);
    test_refusals(engine);
    test_text_only(engine);
    oxcart_engine_close(&engine);
    test_blind();
    for (size_t i = 0; i < N_DRAWN; i++) {
        draw_free(&drawn[i]);
    }
    return tap_done();
}
