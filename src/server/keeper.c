/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread that looks after connections: clients that leave where libmicrohttpd does not see it, silent streams, and
 * deadlines of heads, bodies and answers.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/server_parts.h"

#define TICK_MS 100
#define PING_S 5.0
#define LOOK_S 1.0
/* A body that comes slower than this on average, beyond --idle-timeout, is cut. */
#define BODY_BYTES_S 4096.0

void ox_keeper_wake(struct ox_server *server)
{
    const uint64_t one = 1;
    if (write(server->wake_fd, &one, sizeof one) < 0) {
        return; /* it is awake: the counter is full */
    }
}

/* ---- deadlines ------------------------------------------------------------------------------------------------- */

/* End a connection on which no request is complete; libmicrohttpd has sent nothing of a reply yet. With TLS it just ends. */
static void cut_off(const struct ox_server *server, int fd, bool tell)
{
    static const char text[] = "{\"error\":{\"message\":\"the request did not come in time (--idle-timeout)\","
                               "\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"request_timeout\"}}";
    char reply[512];
    if (tell && !server->access.tls) {
        const int n = snprintf(reply, sizeof reply,
                               "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
                               "Content-Length: %zu\r\n\r\n%s", strlen(text), text);
        (void)send(fd, reply, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    shutdown(fd, SHUT_RDWR);
}

/* A connection without a request: its head is awaited. */
static void check_head_time(const struct ox_server *server, struct ox_link *link, uint64_t now)
{
    if (ox_server_seconds(link->since_ns, now) > (double)server->options.idle_timeout_s) {
        cut_off(server, link->fd, link->fresh);
        link->since_ns = now; /* once */
    }
}

/* A client that is gone while its request is not whole. libmicrohttpd misses the end of a connection that comes together
 * with bytes: it waits for more once it has read those. Twice in a row, so that it had time to take them. */
static void check_end(struct ox_link *link)
{
    char byte;
    bool whole = false;
    if (link->exchange != NULL) {
        pthread_mutex_lock(&link->exchange->lock);
        whole = link->exchange->body_done || link->exchange->handed_over;
        pthread_mutex_unlock(&link->exchange->lock);
    }
    const bool ended = !whole && recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    if (ended && link->ended) {
        shutdown(link->fd, SHUT_RDWR);
    }
    link->ended = ended;
}

enum verdict { VERDICT_KEEP, VERDICT_TOO_LONG, VERDICT_GONE };

/* The exchange's lock is held. */
static void ping(struct ox_exchange *x, uint64_t now)
{
    if (x->decided && x->streams && !x->finished && ox_server_seconds(x->quiet_ns, now) > PING_S) {
        x->route->api->ping(&x->out);
        x->quiet_ns = now;
        ox_exchange_wake(x);
    }
}

static enum verdict check_exchange(struct ox_exchange *x, uint64_t now)
{
    const struct ox_server_options *options = &x->server->options;
    enum verdict verdict = VERDICT_KEEP;
    pthread_mutex_lock(&x->lock);
    const double age = ox_server_seconds(x->begin_ns, now);
    const bool there = !x->gone && x->fd >= 0;
    const bool late_body = age > (double)options->idle_timeout_s + (double)x->body_bytes / BODY_BYTES_S;
    const bool late_answer = options->request_timeout_s > 0 && age > (double)options->request_timeout_s;
    if (there && !x->body_done && late_body) {
        cut_off(x->server, x->fd, true);
        x->http_status = MHD_HTTP_REQUEST_TIMEOUT;
        verdict = VERDICT_GONE;
    } else if (there && x->body_done && !x->finished && late_answer) {
        verdict = VERDICT_TOO_LONG;
    } else if (there && x->body_done) {
        ping(x, now);
    }
    pthread_mutex_unlock(&x->lock);
    return verdict;
}

static void end_late(struct ox_exchange *x)
{
    struct ox_api_error error;
    (void)ox_api_refuse(&error, 408, "invalid_request_error", "request_timeout", NULL,
                        "the answer took longer than %u s (--request-timeout)", x->server->options.request_timeout_s);
    ox_exchange_fail(x, &error);
    ox_exchange_cancel(x);
}

/* ---- the round ------------------------------------------------------------------------------------------------- */

/* Exchanges to work on without the links' lock; each is held. */
struct round {
    struct ox_exchange **held;
    struct pollfd *polled; /* [1 + n_held]: the wake_fd first */
    size_t n_held;
    size_t cap;
    uint64_t look_ns; /* when the ends of connections were looked at */
};

/* Room for n more exchanges. */
static bool make_room(struct round *round, size_t n)
{
    if (n <= round->cap) {
        return true;
    }
    struct ox_exchange **held = ox_realloc(round->held, n, sizeof(struct ox_exchange *));
    if (held != NULL) {
        round->held = held;
    }
    struct pollfd *polled = ox_realloc(round->polled, n + 1, sizeof *polled);
    if (polled != NULL) {
        round->polled = polled;
    }
    if (held == NULL || polled == NULL) {
        return false;
    }
    round->cap = n;
    return true;
}

/* Hold all exchanges, and see to the connections that have none. */
static void gather(struct ox_server *server, struct round *round)
{
    const uint64_t now = ox_clock_ns();
    const bool look = ox_server_seconds(round->look_ns, now) > LOOK_S;
    size_t n = 0;
    round->n_held = 0;
    round->look_ns = look ? now : round->look_ns;
    pthread_mutex_lock(&server->links_lock);
    for (const struct ox_link *link = server->links; link != NULL; link = link->next) {
        n += link->exchange != NULL ? 1 : 0;
    }
    const bool room = make_room(round, n);
    for (struct ox_link *link = server->links; link != NULL; link = link->next) {
        if (look) {
            check_end(link);
        }
        if (link->exchange == NULL) {
            check_head_time(server, link, now);
        } else if (room) {
            ox_exchange_hold(link->exchange);
            round->held[round->n_held++] = link->exchange;
        }
    }
    pthread_mutex_unlock(&server->links_lock);
}

/* The descriptor to watch for the client's end; -1 (which poll ignores) where libmicrohttpd watches or all is over. */
static int watched_fd(struct ox_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    const int fd = x->body_done && !x->gone && !x->handed_over ? x->fd : -1;
    pthread_mutex_unlock(&x->lock);
    return fd;
}

/* Is it still this exchange's socket that was closed by the client? */
static bool has_left(struct ox_exchange *x)
{
    struct pollfd one = {.events = POLLRDHUP};
    pthread_mutex_lock(&x->lock);
    one.fd = x->fd;
    const bool left = !x->gone && !x->handed_over && x->fd >= 0 && poll(&one, 1, 0) == 1;
    pthread_mutex_unlock(&x->lock);
    return left;
}

static void watch(struct ox_server *server, struct round *round)
{
    uint64_t count;
    round->polled[0] = (struct pollfd){.fd = server->wake_fd, .events = POLLIN};
    for (size_t i = 0; i < round->n_held; i++) {
        round->polled[1 + i] = (struct pollfd){.fd = watched_fd(round->held[i]), .events = POLLRDHUP};
    }
    if (poll(round->polled, round->n_held + 1, TICK_MS) <= 0) {
        return;
    }
    if (round->polled[0].revents != 0 && read(server->wake_fd, &count, sizeof count) < 0) {
        round->polled[0].revents = 0;
    }
    for (size_t i = 0; i < round->n_held; i++) {
        if (round->polled[1 + i].revents != 0 && has_left(round->held[i])) {
            ox_exchange_leave(round->held[i]);
        }
    }
}

void *ox_keeper_main(void *argument)
{
    struct ox_server *server = argument;
    struct round round = {0};
    while (!make_room(&round, 64)) {
        poll(NULL, 0, TICK_MS);
    }
    while (!atomic_load(&server->closing)) {
        gather(server, &round);
        const uint64_t now = ox_clock_ns();
        for (size_t i = 0; i < round.n_held; i++) {
            const enum verdict verdict = check_exchange(round.held[i], now);
            if (verdict == VERDICT_TOO_LONG) {
                end_late(round.held[i]);
            } else if (verdict == VERDICT_GONE) {
                ox_exchange_leave(round.held[i]);
            }
        }
        watch(server, &round);
        for (size_t i = 0; i < round.n_held; i++) {
            ox_exchange_release(round.held[i]);
        }
    }
    ox_free(round.held);
    ox_free(round.polled);
    return NULL;
}
