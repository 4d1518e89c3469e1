/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of oxcart serve for the tests that load it: one request on a socket that nobody waits for, its streamed answer
 * taken apart as it comes. The same text comes out whichever API was asked, with the reason why it ended.
 */
#ifndef OX_TESTS_E2E_STREAM_CLIENT_H
#define OX_TESTS_E2E_STREAM_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "base/rng.h"
#include "os/clock.h"
#include "tests/tap.h"

enum stream_api { STREAM_CHAT, STREAM_COMPLETIONS, STREAM_MESSAGES, STREAM_RESPONSES, N_STREAM_APIS };

/* One connection, and the request and reply in hand. */
struct stream {
    int fd; /* -1: none */
    struct ox_buf request;
    size_t n_sent;
    struct ox_buf raw; /* came, not taken apart yet */
    bool has_head;
    int http_status; /* 0: not known yet */
    uint64_t retry_after_s;
    bool closes; /* the server, after this reply */
    bool chunked;
    uint64_t left;     /* bytes of the body, or of the chunk in hand */
    struct ox_buf body; /* without the chunks; of streams, the line in hand */
    struct ox_buf text; /* the answer and "|" and why it ended */
    uint64_t n_came;    /* bytes */
    int64_t n_cached;   /* tokens of the prompt that were not computed; -1: not said */
    bool answered;      /* the stream's last event came */
    bool complete;      /* the reply's last byte came */
    bool failed;        /* it ended before, or is no HTTP, or tells an error */
    uint64_t piece_ns;  /* when the last piece of text came */
    uint64_t longest_ns; /* between two of them */
};

/* Begin to connect. No more in the way of buffers than needed if small. */
static inline bool stream_connect(struct stream *s, uint16_t port, bool small)
{
    const int bytes = 4096;
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) {
        return false;
    }
    if (small) {
        (void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    if (connect(s->fd, (const struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
        close(s->fd);
        s->fd = -1;
        return false;
    }
    return true;
}

static inline void stream_close(struct stream *s)
{
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
}

/* Forget the last request and its reply; the connection stays. */
static inline void stream_clear(struct stream *s)
{
    struct stream fresh = {.fd = s->fd, .request = s->request, .raw = s->raw, .body = s->body, .text = s->text,
                           .n_cached = -1};
    ox_buf_clear(&fresh.request);
    ox_buf_clear(&fresh.raw);
    ox_buf_clear(&fresh.body);
    ox_buf_clear(&fresh.text);
    *s = fresh;
}

static inline void stream_fini(struct stream *s)
{
    stream_close(s);
    ox_buf_fini(&s->request);
    ox_buf_fini(&s->raw);
    ox_buf_fini(&s->body);
    ox_buf_fini(&s->text);
}

/* A POST of JSON; who: what tells clients apart. */
static inline void stream_post(struct stream *s, enum stream_api api, size_t who, struct ox_str body)
{
    static const char *const paths[N_STREAM_APIS] = {"/v1/chat/completions", "/v1/completions", "/v1/messages",
                                                     "/v1/responses"};
    stream_clear(s);
    ox_buf_printf(&s->request,
                  "POST %s HTTP/1.1\r\nHost: localhost\r\nx-api-key: client-%zu\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  paths[api], who, body.len);
    ox_buf_add_str(&s->request, body);
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

static inline void stream_add_text(struct stream *s, const json_t *piece)
{
    const struct ox_str text = ox_json_text(piece);
    if (text.len == 0) {
        return;
    }
    const uint64_t now = ox_clock_ns();
    if (s->piece_ns != 0 && now - s->piece_ns > s->longest_ns) {
        s->longest_ns = now - s->piece_ns;
    }
    s->piece_ns = now;
    ox_buf_add_str(&s->text, text);
}

static inline void stream_add_reason(struct stream *s, const json_t *reason)
{
    if (json_is_string(reason)) {
        ox_buf_add_c(&s->text, "|");
        ox_buf_add_str(&s->text, ox_json_text(reason));
    }
}

/* An event of OpenAI's older APIs. */
static inline void stream_take_choice(struct stream *s, const json_t *event)
{
    const json_t *choice = json_array_get(json_object_get(event, "choices"), 0);
    const json_t *delta = json_object_get(choice, "delta");
    const json_t *cached = json_object_get(json_object_get(event, "timings"), "cache_n");
    stream_add_text(s, json_object_get(choice, "text"));
    stream_add_text(s, json_object_get(delta, "reasoning_content"));
    stream_add_text(s, json_object_get(delta, "content"));
    stream_add_reason(s, json_object_get(choice, "finish_reason"));
    s->n_cached = json_is_integer(cached) ? json_integer_value(cached) : s->n_cached;
}

/* An event that has a type: Anthropic's, and those of responses. */
static inline void stream_take_typed(struct stream *s, const json_t *event, struct ox_str type)
{
    const json_t *delta = json_object_get(event, "delta");
    if (ox_str_is(type, "content_block_delta")) {
        stream_add_text(s, json_object_get(delta, "thinking"));
        stream_add_text(s, json_object_get(delta, "text"));
        stream_add_text(s, json_object_get(delta, "partial_json"));
    } else if (ox_str_is(type, "message_delta")) {
        stream_add_reason(s, json_object_get(delta, "stop_reason"));
    } else if (ox_str_is(type, "message_stop")) {
        s->answered = true;
    } else if (ox_str_is(type, "response.completed") || ox_str_is(type, "response.incomplete")) {
        stream_add_reason(s, json_object_get(json_object_get(event, "response"), "status"));
        s->answered = true;
    } else if (ox_str_is(type, "error") || ox_str_is(type, "response.failed")) {
        s->failed = true;
    } else {
        stream_add_text(s, delta); /* a string in the deltas of responses */
    }
}

/* A line of a stream. */
static inline void stream_take_line(struct stream *s, struct ox_str line)
{
    const struct ox_str mark = ox_str_c("data: ");
    json_t *event = NULL;
    if (!ox_str_starts(line, mark)) {
        return;
    }
    const struct ox_str data = ox_str_make(line.ptr + mark.len, line.len - mark.len);
    if (ox_str_is(data, "[DONE]")) {
        s->answered = true;
    } else if (s->answered || ox_json_parse(data, "event", &event, NULL) != OX_OK) {
        s->failed = true;
    } else if (json_object_get(event, "error") != NULL && !json_is_null(json_object_get(event, "error"))) {
        s->failed = true;
    } else if (json_is_string(json_object_get(event, "type"))) {
        stream_take_typed(s, event, ox_json_text(json_object_get(event, "type")));
    } else {
        stream_take_choice(s, event);
    }
    json_decref(event);
}

/* ---- HTTP ------------------------------------------------------------------------------------------------------ */

static inline void stream_drop(struct ox_buf *buf, size_t n)
{
    memmove(buf->ptr, buf->ptr + n, buf->len - n);
    ox_buf_cut(buf, buf->len - n);
}

/* The value of a header (its name in the server's letters), a number; false if there is none. */
static inline bool stream_header(struct ox_str head, const char *name, uint64_t *out)
{
    const size_t at = ox_str_find(head, ox_str_c(name), 0);
    if (at >= head.len) {
        return false;
    }
    const size_t from = at + strlen(name);
    const size_t end = ox_str_find(head, ox_str_c("\r\n"), from);
    return ox_str_to_u64(ox_str_make(head.ptr + from, end - from), out);
}

/* False: more is needed. */
static inline bool stream_take_head(struct stream *s)
{
    const struct ox_str raw = ox_buf_str(&s->raw);
    const size_t end = ox_str_find(raw, ox_str_c("\r\n\r\n"), 0);
    uint64_t status = 0;
    if (end >= raw.len) {
        return false;
    }
    const struct ox_str head = ox_str_make(raw.ptr, end + 2);
    if (!ox_str_starts(head, ox_str_c("HTTP/1.1 ")) || !ox_str_to_u64(ox_str_make(head.ptr + 9, 3), &status)) {
        s->failed = true;
        return false;
    }
    s->http_status = (int)status;
    s->has_head = status != 100;
    (void)stream_header(head, "\r\nRetry-After: ", &s->retry_after_s);
    s->chunked = ox_str_find(head, ox_str_c("\r\nTransfer-Encoding: chunked\r\n"), 0) < head.len;
    s->closes = ox_str_find(head, ox_str_c("\r\nConnection: close\r\n"), 0) < head.len;
    s->left = 0;
    if (!s->chunked && !stream_header(head, "\r\nContent-Length: ", &s->left)) {
        s->left = UINT64_MAX; /* all there is */
    }
    s->complete = s->has_head && !s->chunked && s->left == 0;
    stream_drop(&s->raw, end + 4);
    return true;
}

/* The line before a chunk: its size, and before that the end of the chunk before. False: more is needed. */
static inline bool stream_take_size(struct stream *s)
{
    const struct ox_str raw = ox_buf_str(&s->raw);
    const size_t from = ox_str_starts(raw, ox_str_c("\r\n")) ? 2 : 0;
    const size_t end = ox_str_find(raw, ox_str_c("\r\n"), from);
    uint64_t n = 0;
    if (end >= raw.len || end == from) {
        s->failed = s->failed || (end == from && raw.len > from + 1);
        return false;
    }
    for (size_t i = from; i < end; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, raw.ptr[i] | ('a' - 'A'));
        s->failed = s->failed || digit == NULL || n >> 32 != 0;
        n = n * 16 + (digit != NULL ? (uint64_t)(digit - digits) : 0);
    }
    if (n == 0 && raw.len < end + 4) {
        return false;
    }
    s->complete = n == 0;
    s->left = n;
    stream_drop(&s->raw, n == 0 ? end + 4 : end + 2);
    return !s->failed && !s->complete;
}

static inline void stream_take_body(struct stream *s)
{
    const size_t n = s->left < s->raw.len ? (size_t)s->left : s->raw.len;
    ox_buf_add(&s->body, s->raw.ptr, n);
    stream_drop(&s->raw, n);
    s->left -= n;
    s->complete = !s->chunked && s->left == 0;
    size_t from = 0;
    for (size_t at = 0; s->chunked && at < s->body.len; at++) {
        if (s->body.ptr[at] == '\n') {
            stream_take_line(s, ox_str_make(s->body.ptr + from, at - from));
            from = at + 1;
        }
    }
    if (from > 0) {
        stream_drop(&s->body, from);
    }
}

/* Take apart what came. */
static inline void stream_take(struct stream *s)
{
    bool more = true;
    while (more && !s->failed && !s->complete && s->raw.len > 0) {
        if (!s->has_head) {
            more = stream_take_head(s);
        } else if (s->left > 0) {
            stream_take_body(s);
        } else {
            more = stream_take_size(s);
        }
    }
}

/* What poll shall wait for. */
static inline short stream_events(const struct stream *s)
{
    return s->n_sent < s->request.len ? POLLIN | POLLOUT : POLLIN;
}

/* Go on after poll said so: send, and read at most max bytes. */
static inline void stream_go_on(struct stream *s, size_t max)
{
    char bytes[16384];
    if (s->n_sent < s->request.len) {
        const ssize_t sent =
            send(s->fd, s->request.ptr + s->n_sent, s->request.len - s->n_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        s->n_sent += sent > 0 ? (size_t)sent : 0;
    }
    const ssize_t n = recv(s->fd, bytes, max < sizeof bytes ? max : sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
        s->n_came += (uint64_t)n;
        ox_buf_add(&s->raw, bytes, (size_t)n);
        stream_take(s);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        s->failed = s->failed || !s->complete;
    }
}

/* Send the request, and read its reply to the end. False: there is none. */
static inline bool stream_run(struct stream *s, uint16_t port)
{
    if (s->fd < 0 && !stream_connect(s, port, false)) {
        return false;
    }
    while (!s->failed && !s->complete) {
        struct pollfd one = {.fd = s->fd, .events = stream_events(s)};
        if (poll(&one, 1, 120000) <= 0) {
            s->failed = true;
        } else {
            stream_go_on(s, SIZE_MAX);
        }
    }
    stream_close(s);
    return !s->failed;
}

/* A sample of /metrics; -1 if it cannot be had. */
static inline double stream_metric(uint16_t port, const char *name)
{
    struct stream s = {.fd = -1};
    double value = -1.0;
    char key[96];
    ox_buf_add_c(&s.request, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if (stream_run(&s, port) && s.http_status == 200) {
        const struct ox_str body = ox_buf_str(&s.body);
        snprintf(key, sizeof key, "\noxcart_%s ", name);
        const size_t at = ox_str_find(body, ox_str_c(key), 0);
        if (at < body.len) {
            const size_t from = at + strlen(key);
            const size_t end = ox_str_find(body, ox_str_c("\n"), from);
            value = ox_str_to_double(ox_str_make(body.ptr + from, end - from), &value) ? value : -1.0;
        }
    }
    stream_fini(&s);
    return value;
}

/* ---- what is asked --------------------------------------------------------------------------------------------- */

/* Words that follow from seed: more of them are the same ones and others behind. */
static inline void stream_add_words(struct ox_buf *out, uint64_t seed, size_t n_words)
{
    static const char *const words[] = {"river", "house", "seven", "and",  "light", "the",  "under", "green",
                                        "what",  "is",    "of",    "time", "paper", "small", "north", "to"};
    struct ox_rng rng;
    ox_rng_init(&rng, seed);
    for (size_t i = 0; i < n_words; i++) {
        ox_buf_printf(out, "%s%s", i > 0 ? " " : "", words[ox_rng_below(&rng, sizeof words / sizeof words[0])]);
    }
}

/* A streamed request of so many words: greedy, or drawn with the seed. */
static inline void stream_ask(struct ox_buf *out, enum stream_api api, uint64_t seed, size_t n_words, int n_predict,
                              bool greedy)
{
    static const char *const heads[N_STREAM_APIS] = {"\"messages\":[{\"role\":\"user\",\"content\":\"", "\"prompt\":\"",
                                                     "\"messages\":[{\"role\":\"user\",\"content\":\"", "\"input\":\""};
    static const char *const ends[N_STREAM_APIS] = {"\"}],\"max_tokens\"", "\",\"max_tokens\"", "\"}],\"max_tokens\"",
                                                    "\",\"max_output_tokens\""};
    ox_buf_printf(out, "{%s", heads[api]);
    stream_add_words(out, seed, n_words);
    ox_buf_printf(out, "%s:%d,\"stream\":true,\"ignore_eos\":true,\"temperature\":%d,\"seed\":%" PRIu64 "}", ends[api],
                  n_predict, greedy ? 0 : 1, seed);
}

#endif
