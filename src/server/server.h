/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP server: sockets and threads around the APIs (api.h) and the library's scheduler.
 *
 * A request is an EXCHANGE. Its way through the threads:
 *
 *     http thread (libmicrohttpd's, http.c)   reads head and body, asks access.h, finds the route; answers what is at hand
 *                                             (health, models, metrics, slots, the page); else suspends the connection
 *     workers (worker.c)                      take it from their queue (jobs.h): parse JSON, load what media parts point
 *                                             to, make the prompt, hand it to the scheduler
 *     engine thread                           inside oxcart_scheduler_run: events become bytes in the exchange's buffer,
 *                                             and the connection is resumed; never waits for a client
 *     http thread                             sends what is in the buffer, suspends again where there is nothing
 *     keeper (keeper.c)                       sees clients that leave, silent streams (pings) and deadlines
 *     recorder (recorder.c)                   writes the trace
 *
 * An exchange's lock guards its buffer and state; locks are taken in the order links, exchange, libmicrohttpd's own. The
 * scheduler is never called with a lock held. An exchange lives as long as its connection, a worker or an unfinished
 * choice holds it.
 *
 * Life: open (answers 503, /health too) - serve (ready) - stop (no new requests) - wait until all are answered - close.
 */
#ifndef OX_SERVER_SERVER_H
#define OX_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"
#include "base/str.h"
#include "oxcart.h"

struct ox_server;

struct ox_server_options {
    const char *host;        /* a name or address */
    uint16_t port;           /* 0: any that is free */
    struct ox_str tls_cert;  /* PEM; len 0: no TLS */
    struct ox_str tls_key;
    struct ox_str api_keys;  /* one a line; len 0: none. Only read by open */
    const char *keys_name;   /* the keys' file, for errors */
    bool insecure;           /* other addresses than loopback need no key */
    const char *cors_origin; /* NULL: none */
    size_t max_body;         /* --max-body and so on: all are set */
    size_t max_messages;
    size_t max_images;
    size_t max_schema_bytes;
    uint32_t request_timeout_s; /* 0: none */
    uint32_t idle_timeout_s;
    /* Pictures and clips: what the library needs for them, and where parts may point (media_source.h). */
    const char *media_helper;
    int64_t max_pixels;
    double fps;
    int32_t max_frames;
    const char *media_folder;
    const char *const *media_hosts; /* [n_media_hosts] */
    size_t n_media_hosts;
    int64_t max_media_tokens; /* of all requests, decoded; 0: two contexts of them, and at least 262,144 */
    bool permit_loopback; /* for tests, as in struct ox_media_options; no option of the program leads here */
    bool with_page;
    bool log_requests; /* one message a request */
    int trace_fd;      /* requests and replies as JSON lines (recorder.h); -1: none. The caller's */
    /* Messages, from any thread. */
    void (*message)(void *user, enum ox_log_level level, const char *text);
    void *user;
};

/* What is served; set for ox_server_serve. */
struct ox_server_model {
    struct oxcart_engine *engine;
    struct oxcart_scheduler *scheduler; /* both outlive the server's last call */
    const char *alias;                  /* NULL: the model's name */
    int32_t n_ctx;                      /* longest prompt and answer */
    int32_t n_parallel;
    int64_t started; /* Unix time */
};

/* Listen, and answer that the model is loading. Texts of options are borrowed until close. OX_E_ARG: an address that others
 * can reach without key or insecure, keys or TLS texts that make no sense; OX_E_IO: the address cannot be had. One thread
 * owns the server: open to close are its. */
enum ox_status ox_server_open(const struct ox_server_options *options, struct ox_server **out,
                              struct ox_error *err) OX_MUST_USE;

/* "http://127.0.0.1:8080", as a client on this machine would spell it. */
const char *ox_server_url(const struct ox_server *server);

/* Be ready: make the threads that answer. */
enum ox_status ox_server_serve(struct ox_server *server, const struct ox_server_model *model,
                               struct ox_error *err) OX_MUST_USE;

/* Take no new connections and requests; those whose head is there go on. */
void ox_server_stop(struct ox_server *server);

/* Is everything answered and sent, after a stop? Clients that neither send the rest nor read the reply are waited for as
 * long as --idle-timeout. */
bool ox_server_done(struct ox_server *server);

/* End what is left, join all threads, free; *server becomes NULL and may be NULL. */
void ox_server_close(struct ox_server **server);

#endif
