/* SPDX-License-Identifier: Apache-2.0
 *
 * The server on the demonstration model where a script cannot hold it: little room for pictures that wait, a trace that
 * nobody reads. What it answers otherwise is asked by tests/e2e/cli_serve.sh.
 */
#include "server/server.h"

#include <pthread.h>

#include "base/mem.h"
#include "tests/demo_help.h"
#include "tests/demo_look.h"
#include "tests/e2e/stream_client.h"
#include "tests/media_files.h"

#define PICTURE "test_serving.bmp"
#define LARGE "test_serving_large.bmp"
#define MOST_ASKED 8

/* A server that answers, with all that it needs. */
struct fixture {
    struct oxcart_engine *engine;
    struct oxcart_scheduler *scheduler;
    struct ox_server *server;
    uint16_t port;
    char helper[4300];
};

static void on_message(void *user, enum ox_log_level level, const char *text)
{
    (void)user;
    (void)level;
    NOTE("%s", text);
}

static struct ox_server_options usual_options(void)
{
    const struct ox_server_options options = {.host = "127.0.0.1", .max_body = 2 << 20, .max_messages = 10,
                                              .max_images = 4, .max_schema_bytes = 1000, .idle_timeout_s = 60,
                                              .media_folder = ".", .trace_fd = -1, .message = on_message};
    return options;
}

/* What does not open ends the program. */
static void open_fixture(struct ox_server_options options, int32_t n_parallel, int32_t n_ctx, struct fixture *f)
{
    struct ox_error err = {0};
    struct oxcart_error public_err = {0};
    uint64_t port = 0;
    const struct oxcart_scheduler_options scheduling = {
        .size = sizeof scheduling, .n_parallel = n_parallel, .n_ctx = n_ctx, .kv_bytes = 256 << 20};
    memset(f, 0, sizeof *f);
    demo_look_helper(f->helper, sizeof f->helper);
    options.media_helper = f->helper;
    f->engine = demo_open(tap_file("demo"), 1);
    const bool good =
        oxcart_scheduler_open(f->engine, &scheduling, &f->scheduler, &public_err) == OXCART_OK &&
        ox_server_open(&options, &f->server, &err) == OX_OK;
    const struct ox_server_model model = {
        .engine = f->engine, .scheduler = f->scheduler, .n_ctx = n_ctx, .n_parallel = n_parallel};
    if (!good || ox_server_serve(f->server, &model, &err) != OX_OK ||
        !ox_str_to_u64(ox_str_c(strrchr(ox_server_url(f->server), ':') + 1), &port)) {
        OK(false, "it serves: %s%s", err.message, public_err.message);
        exit(1);
    }
    f->port = (uint16_t)port;
}

static void close_fixture(struct fixture *f)
{
    ox_server_stop(f->server);
    ox_server_close(&f->server);
    oxcart_scheduler_close(&f->scheduler);
    oxcart_engine_close(&f->engine);
}

static struct oxcart_scheduler_stats stats_of(struct fixture *f)
{
    struct oxcart_scheduler_stats stats = {.size = sizeof stats};
    (void)oxcart_scheduler_stats(f->scheduler, &stats);
    return stats;
}

/* Send the request in s, and go on until so many wait in the queue, or the reply is there. */
static void send_until(struct fixture *f, struct stream *s, int32_t n_waiting)
{
    if (s->fd < 0 && !stream_connect(s, f->port, false)) {
        s->failed = true;
    }
    for (int i = 0; i < 3000 && !s->failed && !s->complete && (n_waiting < 0 || stats_of(f).n_waiting != n_waiting); i++) {
        struct pollfd one = {.fd = s->fd, .events = stream_events(s)};
        if (poll(&one, 1, 10) > 0) {
            stream_go_on(s, SIZE_MAX);
        }
    }
}

static void await_waiting(struct fixture *f, int32_t n_waiting)
{
    for (int i = 0; i < 1000 && stats_of(f).n_waiting != n_waiting; i++) {
        poll(NULL, 0, 10);
    }
}

/* An answer that goes on until its client leaves. */
static void begin_long(struct fixture *f, struct stream *s)
{
    stream_post(s, STREAM_COMPLETIONS, 0,
                ox_str_c("{\"prompt\":\"Once upon\",\"max_tokens\":30000,\"ignore_eos\":true,\"stream\":true}"));
    if (!stream_connect(s, f->port, false)) {
        OK(false, "connected");
        exit(1);
    }
    while (!s->failed && s->text.len == 0) {
        struct pollfd one = {.fd = s->fd, .events = stream_events(s)};
        (void)poll(&one, 1, 10);
        stream_go_on(s, SIZE_MAX);
    }
    OK(!s->failed, "an answer that takes long has begun");
}

/* What is in the picture of that file? */
static void post_picture(struct stream *s, const char *url)
{
    char body[512];
    const int n = snprintf(body, sizeof body,
                           "{\"temperature\":0,\"max_tokens\":64,\"chat_template_kwargs\":{\"thinking_mode\":\"disabled\"},"
                           "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
                           "\"%s\"}},{\"type\":\"text\",\"text\":\"What is in this picture?\"}]}]}",
                           url);
    stream_post(s, STREAM_CHAT, 0, ox_str_make(body, (size_t)n));
}

static bool has(const struct stream *s, const char *text)
{
    const struct ox_str body = ox_buf_str(&s->body);
    return ox_str_find(body, ox_str_c(text), 0) < body.len;
}

static void write_bmp(const char *name, const uint8_t *pixels, size_t height, size_t width)
{
    struct ox_buf bytes = {0};
    media_bmp(&bytes, pixels, height, width);
    FILE *file = fopen(name, "wb");
    OK(file != NULL && fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len, "%s is written", name);
    if (file != NULL) {
        fclose(file);
    }
    ox_buf_fini(&bytes);
}

/* ---- pictures that wait ------------------------------------------------------------------------------------------ */

/* They are decoded, and kept so, as long as there is room. */
static void test_room(const struct drawing *drawing)
{
    struct fixture f;
    struct stream first = {.fd = -1};
    struct stream asked[MOST_ASKED];
    struct ox_server_options options = usual_options();
    const int32_t n_tokens = drawing->height / 28 * (drawing->width / 28);
    options.max_media_tokens = 3 * n_tokens + 1;
    open_fixture(options, 1, 32768, &f);
    begin_long(&f, &first);
    for (int i = 0; i < 5; i++) {
        asked[i] = (struct stream){.fd = -1};
        post_picture(&asked[i], PICTURE);
        send_until(&f, &asked[i], i < 3 ? i + 1 : -1);
    }
    IS_INT(stats_of(&f).n_waiting, 3, "requests with a picture wait");
    for (int i = 3; i < 5; i++) {
        OK(asked[i].http_status == 429 && asked[i].retry_after_s > 0 && has(&asked[i], "\"type\":\"rate_limit_error\""),
           "one more: %d, Retry-After %d: %s", asked[i].http_status, (int)asked[i].retry_after_s,
           ox_buf_text(&asked[i].body));
    }
    stream_close(&asked[1]);
    await_waiting(&f, 2);
    IS_INT(stats_of(&f).n_waiting, 2, "are left when one goes");
    post_picture(&asked[3], PICTURE);
    send_until(&f, &asked[3], 3);
    IS_INT(stats_of(&f).n_waiting, 3, "wait when another takes its place");
    stream_close(&first);
    for (int i = 0; i < 4; i++) {
        if (i != 1) {
            send_until(&f, &asked[i], -1);
            OK(asked[i].http_status == 200 && has(&asked[i], drawing->answer), "answered: %s", ox_buf_text(&asked[i].body));
        }
    }
    for (int i = 0; i < 5; i++) {
        stream_fini(&asked[i]);
    }
    stream_fini(&first);
    close_fixture(&f);
}

/* Pictures that alone are too long for the context are told as other prompts are. */
static void test_context(void)
{
    struct fixture f;
    struct stream s = {.fd = -1};
    open_fixture(usual_options(), 1, 512, &f);
    post_picture(&s, LARGE);
    send_until(&f, &s, -1);
    OK(s.http_status == 400 && has(&s, "\"code\":\"context_length_exceeded\"") && has(&s, " 512 "), "576 tokens: %s",
       ox_buf_text(&s.body));
    post_picture(&s, PICTURE);
    send_until(&f, &s, -1);
    OK(s.http_status == 200, "a small one: %d", s.http_status);
    stream_fini(&s);
    close_fixture(&f);
}

/* ---- the trace --------------------------------------------------------------------------------------------------- */

static void *read_pipe(void *argument)
{
    const int *fd = argument;
    static char bytes[65536];
    static size_t n_lines;
    ssize_t n;
    while ((n = read(*fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            n_lines += bytes[i] == '\n' ? 1 : 0;
        }
    }
    return &n_lines;
}

/* Where the trace's file takes nothing any more, streams go on; closing waits until all is written. */
static void test_slow_trace(void)
{
    struct fixture f;
    struct stream s = {.fd = -1};
    struct ox_buf body = {0};
    int ends[2];
    pthread_t reader;
    void *n_lines = NULL;
    struct ox_server_options options = usual_options();
    OK(pipe(ends) == 0, "a pipe");
    options.trace_fd = ends[1];
    open_fixture(options, 2, 4096, &f);
    ox_buf_printf(&body, "{\"content\":\"%*s\"}", 200000, "a");
    for (int i = 0; i < 3; i++) {
        stream_post(&s, STREAM_COMPLETIONS, 0, ox_buf_str(&body));
        send_until(&f, &s, -1);
        OK(s.http_status == 400 && s.complete, "a large request is answered: %d", s.http_status);
    }
    const uint64_t begin = ox_clock_ns();
    for (int i = 0; i < 3; i++) {
        ox_buf_clear(&body);
        stream_ask(&body, STREAM_COMPLETIONS, 1, 4, 20, true);
        stream_post(&s, STREAM_COMPLETIONS, 0, ox_buf_str(&body));
        send_until(&f, &s, -1);
        OK(s.answered && s.complete, "a stream goes on");
    }
    OK(ox_clock_seconds(begin, ox_clock_ns()) < 20.0 && s.longest_ns < 5000000000, "without a pause");
    stream_fini(&s);
    OK(pthread_create(&reader, NULL, read_pipe, &ends[0]) == 0, "the trace is read");
    close_fixture(&f);
    close(ends[1]);
    pthread_join(reader, &n_lines);
    IS_INT(*(const size_t *)n_lines, 6, "lines are written");
    close(ends[0]);
    ox_buf_fini(&body);
}

int main(void)
{
    struct drawing drawing;
    uint8_t *large = media_picture(672, 672);
    draw(DRAW_PICTURE, 3, &drawing);
    write_bmp(PICTURE, drawing.pixels, (size_t)drawing.height, (size_t)drawing.width);
    write_bmp(LARGE, large, 672, 672);
    ox_free(large);
    test_room(&drawing);
    test_context();
    test_slow_trace();
    draw_free(&drawing);
    (void)unlink(PICTURE);
    (void)unlink(LARGE);
    return tap_done();
}
