/* SPDX-License-Identifier: Apache-2.0
 *
 * The server on the demonstration model where a script cannot hold it: little room for pictures that wait, a trace that
 * nobody reads, what the largest bodies cost, a host of pictures that never answers. What it answers otherwise is asked by tests/e2e/cli_serve.sh.
 */
#include "server/server.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

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

/* What is in the picture there? who: what tells clients apart. */
static void post_picture(struct stream *s, size_t who, const char *url)
{
    char body[512];
    const int n = snprintf(body, sizeof body,
                           "{\"temperature\":0,\"max_tokens\":64,\"chat_template_kwargs\":{\"thinking_mode\":\"disabled\"},"
                           "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
                           "\"%s\"}},{\"type\":\"text\",\"text\":\"What is in this picture?\"}]}]}",
                           url);
    stream_post(s, STREAM_CHAT, who, ox_str_make(body, (size_t)n));
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
        post_picture(&asked[i], 0, PICTURE);
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
    post_picture(&asked[3], 0, PICTURE);
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
    post_picture(&s, 0, LARGE);
    send_until(&f, &s, -1);
    OK(s.http_status == 400 && has(&s, "\"code\":\"context_length_exceeded\"") && has(&s, " 512 "), "576 tokens: %s",
       ox_buf_text(&s.body));
    post_picture(&s, 0, PICTURE);
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

/* ---- a slow host ------------------------------------------------------------------------------------------------- */

/* Takes requests for pictures, and answers none. */
static struct host {
    int fd;
    pthread_t thread;
    char url[64];
    atomic_bool stop;
    atomic_size_t n_asked;
} host;

static void *host_main(void *unused)
{
    int fds[64];
    size_t n = 0;
    (void)unused;
    while (!atomic_load(&host.stop)) {
        struct pollfd one = {.fd = host.fd, .events = POLLIN};
        if (n < 64 && poll(&one, 1, 10) > 0 && (fds[n] = accept(host.fd, NULL, NULL)) >= 0) {
            n++;
            atomic_store(&host.n_asked, n);
        }
    }
    while (n > 0) {
        close(fds[--n]);
    }
    return NULL;
}

static void start_host(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    host.fd = socket(AF_INET, SOCK_STREAM, 0);
    OK(bind(host.fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(host.fd, 16) == 0 &&
           getsockname(host.fd, (struct sockaddr *)&at, &len) == 0 &&
           pthread_create(&host.thread, NULL, host_main, NULL) == 0, "a host that never answers");
    snprintf(host.url, sizeof host.url, "http://127.0.0.1:%u/picture", ntohs(at.sin_port));
}

static void stop_host(void)
{
    atomic_store(&host.stop, true);
    pthread_join(host.thread, NULL);
    close(host.fd);
}

static void send_all(struct fixture *f, struct stream *s, size_t n, size_t who)
{
    for (size_t i = 0; i < n; i++) {
        s[i] = (struct stream){.fd = -1};
        post_picture(&s[i], who, host.url);
        if (stream_connect(&s[i], f->port, false)) {
            while (s[i].n_sent < s[i].request.len && !s[i].failed) {
                struct pollfd one = {.fd = s[i].fd, .events = POLLOUT};
                (void)poll(&one, 1, 10);
                stream_go_on(&s[i], SIZE_MAX);
            }
        }
    }
}

/* How many requests reach the host, and no more than that. */
static size_t await_asked(size_t n)
{
    for (int i = 0; i < 1000 && atomic_load(&host.n_asked) < n; i++) {
        (void)poll(NULL, 0, 10);
    }
    (void)poll(NULL, 0, 500);
    return atomic_load(&host.n_asked);
}

/* Clients that name such a host wait for each other, and nobody for them. */
static void test_slow_host(const struct drawing *drawing)
{
    struct fixture f;
    struct stream first[10];
    struct stream second[10];
    struct stream s = {.fd = -1};
    start_host();
    char allowed[64];
    struct ox_server_options options = usual_options();
    snprintf(allowed, sizeof allowed, "%.*s", (int)(strlen(host.url) - strlen("http:///picture")), host.url + 7);
    options.media_hosts = (const char *const[]){allowed};
    options.n_media_hosts = 1;
    options.permit_loopback = true;
    open_fixture(options, 4, 4096, &f);
    const uint64_t begin = ox_clock_ns();
    send_all(&f, first, 10, 1);
    IS_INT(await_asked(2), 2, "pictures are asked for by a client that wants ten");
    post_picture(&s, 2, PICTURE);
    send_until(&f, &s, -1);
    OK(s.http_status == 200 && has(&s, drawing->answer), "another one's picture is looked at: %d", s.http_status);
    send_all(&f, second, 10, 3);
    IS_INT(await_asked(4), 4, "when a second one comes");
    struct ox_buf body = {0};
    for (size_t who = 1; who < 4; who++) {
        ox_buf_clear(&body);
        stream_ask(&body, STREAM_COMPLETIONS, 1, 4, 20, true);
        stream_post(&s, STREAM_COMPLETIONS, who, ox_buf_str(&body));
        send_until(&f, &s, -1);
        OK(s.answered && s.complete, "text of client %zu is answered", who);
    }
    const double seconds = ox_clock_seconds(begin, ox_clock_ns());
    OK(seconds < 15.0, "before the host's time is over: %.1f s", seconds);
    stream_close(&first[0]);
    stream_close(&second[0]);
    OK(await_asked(5) >= 5, "when two leave, others ask");
    for (size_t i = 0; i < 10; i++) {
        stream_fini(&first[i]);
        stream_fini(&second[i]);
    }
    stream_fini(&s);
    ox_buf_fini(&body);
    close_fixture(&f);
    stop_host();
}

/* ---- text and tokens --------------------------------------------------------------------------------------------- */

#define PATH_TEXT "POST /%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"

/* Ask path; the reply's body as a tree, or NULL. */
static json_t *ask_path(struct fixture *f, struct stream *s, const char *path, struct ox_str body)
{
    json_t *tree = NULL;
    stream_clear(s);
    ox_buf_printf(&s->request, PATH_TEXT, path, body.len);
    ox_buf_add_str(&s->request, body);
    send_until(f, s, -1);
    return ox_json_parse(ox_buf_str(&s->body), "reply", &tree, NULL) == OX_OK ? tree : NULL;
}

/* The pieces of the tokens in a row. */
static void join_pieces(const json_t *tokens, struct ox_buf *out)
{
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *piece = json_object_get(json_array_get(tokens, i), "piece");
        ox_buf_add_str(out, ox_json_text(piece));
        for (size_t j = 0; j < json_array_size(piece); j++) {
            ox_buf_add_byte(out, (char)json_integer_value(json_array_get(piece, j)));
        }
    }
}

/* There and back, with characters that several tokens make up. */
static void test_tokens(struct fixture *f)
{
    struct stream s = {.fd = -1};
    struct ox_buf text = {0};
    struct ox_buf body = {0};
    struct ox_buf joined = {0};
    for (int i = 0; i < 3000; i++) {
        ox_buf_printf(&text, "%d \xF0\x9F\x98\x80\xC3\xA9\"\n", i);
    }
    ox_buf_add_c(&body, "{\"with_pieces\":true,\"content\":");
    ox_json_add_quoted(&body, ox_buf_str(&text));
    ox_buf_add_c(&body, "}");
    json_t *tree = ask_path(f, &s, "tokenize", ox_buf_str(&body));
    join_pieces(json_object_get(tree, "tokens"), &joined);
    OK(s.http_status == 200 && ox_str_equal(ox_buf_str(&joined), ox_buf_str(&text)), "the pieces are the text");
    OK(ox_str_find(ox_buf_str(&s.body), ox_str_c("\"piece\":[240"), 0) < s.body.len, "some are bytes");
    const size_t n = json_array_size(json_object_get(tree, "tokens"));
    json_decref(tree);
    ox_buf_clear(&body);
    ox_buf_add_c(&body, "{\"content\":");
    ox_json_add_quoted(&body, ox_buf_str(&text));
    ox_buf_add_c(&body, "}");
    tree = ask_path(f, &s, "tokenize", ox_buf_str(&body));
    OK(n > 10000 && json_array_size(json_object_get(tree, "tokens")) == n, "%zu tokens", n);
    json_decref(tree);
    ox_buf_clear(&body);
    ox_buf_add_str(&body, ox_buf_str(&s.body));
    tree = ask_path(f, &s, "detokenize", ox_buf_str(&body));
    OK(ox_str_equal(ox_json_text(json_object_get(tree, "content")), ox_buf_str(&text)), "and back");
    json_decref(tree);
    stream_fini(&s);
    ox_buf_fini(&text);
    ox_buf_fini(&body);
    ox_buf_fini(&joined);
}

/* The most memory that the process has used. */
static uint64_t peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss << 10 : 0;
}

/* A body of exactly --max-body: begin, then piece again and again, blanks, end. */
static void fill(struct ox_buf *body, const char *begin, const char *piece, const char *end, size_t n_bytes)
{
    ox_buf_clear(body);
    ox_buf_add_c(body, begin);
    while (body->len + strlen(piece) + strlen(end) <= n_bytes) {
        ox_buf_add_c(body, piece);
    }
    ox_buf_add_c(body, end);
    ox_buf_printf(body, "%*s", (int)(n_bytes - body->len), "");
}

/* As large as it may be, and as many tokens or values as that can be. */
static void test_largest(struct fixture *f, size_t max_body)
{
    static const struct {
        const char *path;
        const char *begin;
        const char *piece;
        const char *end;
        const char *says;
    } cases[] = {
        {"tokenize", "{\"with_pieces\":true,\"content\":\"", "q ", "\"}", "content: the answer would be larger than "},
        {"tokenize", "{\"with_pieces\":true,\"content\":\"", "\\u0001", "\"}", "content: the answer would be larger than "},
        {"tokenize", "{\"content\":\"", "The capital of France is Paris. ", "\"}", "{\"tokens\":["},
        {"detokenize", "{\"tokens\":[", "0,", "0]}", "more than "},
        {"v1/completions", "{\"prompt\":[", "0,", "0]}", "more than "},
        {"v1/chat/completions", "{\"messages\":[", "{},", "{}]}", "more than "},
        {"v1/messages", "{\"messages\":", "[", "", "more than "},
    };
    struct stream s = {.fd = -1};
    struct ox_buf body = {0};
    const uint64_t before = peak_bytes();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fill(&body, cases[i].begin, cases[i].piece, cases[i].end, max_body);
        json_decref(ask_path(f, &s, cases[i].path, ox_buf_str(&body)));
        OK(s.complete && has(&s, cases[i].says) && s.http_status == (cases[i].says[0] == '{' ? 200 : 413), "%s: %d %.120s",
           cases[i].path, s.http_status, ox_buf_text(&s.body));
    }
    fill(&body, "{\"content\":\"", "q ", "\"}", max_body + 1);
    json_decref(ask_path(f, &s, "tokenize", ox_buf_str(&body)));
    IS_INT(s.http_status, 413, "one byte more");
    const uint64_t grown = peak_bytes() - before;
    OK(TAP_SANITIZED || grown < 32 * max_body, "all of it in %.1f times the body's bytes",
       (double)grown / (double)max_body);
    stream_fini(&s);
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
    test_slow_host(&drawing);
    struct fixture f;
    struct ox_server_options options = usual_options();
    options.max_body = (size_t)4 << 20;
    open_fixture(options, 1, 4096, &f);
    test_tokens(&f);
    test_largest(&f, options.max_body);
    close_fixture(&f);
    draw_free(&drawing);
    (void)unlink(PICTURE);
    (void)unlink(LARGE);
    return tap_done();
}
