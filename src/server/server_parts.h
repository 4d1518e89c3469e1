/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server's files share: the server, its connections, and the exchange (server.h).
 */
#ifndef OX_SERVER_SERVER_PARTS_H
#define OX_SERVER_SERVER_PARTS_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "os/clock.h"
#include "server/access.h"
#include "server/api.h"
#include "server/jobs.h"
#include "server/metrics.h"
#include "server/page.h"
#include "server/recorder.h"
#include "server/request_head.h"
#include "server/routes.h"
#include "server/server.h"

/* Most answers to one request (n). */
#define OX_MAX_CHOICES 8
/* So many that some may wait for hosts that give media, or for their decoder (jobs.h). */
#define OX_N_WORKERS 8
/* Bytes of a stream that its client has not read; more end it. */
#define OX_MAX_UNSENT ((size_t)4 << 20)

enum ox_server_state { OX_SERVER_LOADING, OX_SERVER_READY, OX_SERVER_STOPPING };

/* A connection, from its first byte to its end. Guarded by the server's links_lock. */
struct ox_link {
    struct ox_link *next;
    struct ox_link *previous;
    struct ox_exchange *exchange; /* the request in hand; NULL: its head is awaited */
    int fd;
    bool fresh;        /* no request came yet */
    bool ended;        /* the client's side, as the keeper saw when it looked last */
    uint64_t since_ns; /* begin of the connection, or end of its last request */
};

/* One answer to a request. */
struct ox_choice {
    struct ox_exchange *exchange;
    int32_t index;
    uint64_t ticket;
    bool submitted;
    bool done;
    uint64_t last_ns; /* of its last token; 0: none. Engine thread only */
};

struct ox_exchange {
    struct ox_server *server;
    struct MHD_Connection *connection;
    const struct ox_route *route; /* NULL: none of ours */
    const struct ox_api *errors;  /* whose form they have; NULL: OpenAI's */
    const char *method;           /* libmicrohttpd's; the http thread's only, as the next two */
    struct ox_buf url;       /* the target's path */
    struct ox_buf authority; /* ... its host; empty: the Host header's */
    char address[64];
    char id[24];
    bool cors; /* Origin is --cors-origin */
    bool ambiguous;  /* its head (request_head.h), as the next two */
    bool bad_target;
    bool needs_host;
    const struct ox_page_asset *asset; /* the page's file that is asked for; NULL: none */
    uint64_t client;
    uint64_t begin_ns;
    atomic_uint holders;
    struct ox_job job;  /* the workers' */
    json_t *tree;       /* ... its parsed body, while they have work with it */
    atomic_bool left;             /* gone, for those who look without the lock */

    pthread_mutex_t lock; /* of what follows */
    int fd;              /* -1: the connection has ended */
    struct ox_buf body;
    size_t body_bytes;   /* came */
    size_t counted_bytes; /* that count in the server's bodies_bytes */
    bool body_done;
    bool suspended;
    bool gone;           /* the client left, or was left: nothing is sent any more */
    bool decided;        /* status and head of the reply are known */
    bool streams;        /* the body comes in pieces */
    bool finished;       /* out holds all that there will be */
    bool handed_over;    /* libmicrohttpd has all of the reply: what the client does now is its affair */
    bool failed;         /* an error was told: events do not count any more */
    int http_status;
    const char *content_type;
    const char *allow;
    int retry_after_s;
    struct ox_buf out;
    size_t n_sent;
    uint64_t quiet_ns;   /* when bytes were last put into out */
    struct ox_buf kept_body;  /* for the trace */
    struct ox_buf kept_reply;
    struct ox_ask ask;
    struct ox_reply *reply;
    struct ox_choice choices[OX_MAX_CHOICES];
    int32_t n_open;      /* choices that are not done, and one while they are handed in */
    struct oxcart_result sums; /* of the choices: n_prompt, n_cached, n_generated */
};

struct ox_server {
    struct ox_server_options options;
    struct ox_access access;
    char url[128];
    struct MHD_Daemon *daemon;
    char *tls_cert; /* with their NUL; owned, wiped */
    char *tls_key;
    int listen_fd;
    int wake_fd; /* an eventfd: the keeper shall look */
    atomic_int state;    /* enum ox_server_state */
    uint64_t stop_ns;    /* when it was stopped */
    atomic_bool closing; /* nothing is suspended any more */
    _Atomic uint64_t bodies_bytes; /* of requests, whose parsed form is kept until the answer's end, and large replies */
    struct ox_metrics metrics;
    struct ox_recorder *recorder; /* of the trace; NULL: none */

    pthread_mutex_t links_lock;
    struct ox_link *links;

    atomic_bool served; /* what follows is set, for the rest of the server's life */
    struct ox_server_model model;
    struct ox_api_context context;

    struct ox_jobs jobs;
    pthread_t keeper;
    pthread_t engine_thread;
    pthread_t disk_thread;
    pthread_t workers[OX_N_WORKERS];
    bool has_keeper;
    bool has_engine_thread;
    bool has_disk_thread;
    size_t n_workers;
};

/* 0 if the second reading is the earlier one: they may be another thread's. */
static inline double ox_server_seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? ox_clock_seconds(from_ns, to_ns) : 0.0;
}

static inline enum ox_server_state ox_server_state(struct ox_server *server)
{
    return (enum ox_server_state)atomic_load(&server->state);
}

/* ---- exchange.c ------------------------------------------------------------------------------------------------ */

/* A new exchange with one holder; NULL when out of memory. */
struct ox_exchange *ox_exchange_new(struct ox_server *server, struct MHD_Connection *connection,
                                    const char *method) OX_MUST_USE;
void ox_exchange_hold(struct ox_exchange *x);
void ox_exchange_release(struct ox_exchange *x);

/* Let the http thread go on with the connection, if it is suspended. The lock is held. */
void ox_exchange_wake(struct ox_exchange *x);

/* Decide a whole reply, whose bytes are taken from body. Nothing if one is decided. */
void ox_exchange_reply(struct ox_exchange *x, int http_status, const char *content_type, struct ox_buf *body);

/* Tell an error: as the reply if none is decided, else as the end of the stream. */
void ox_exchange_fail(struct ox_exchange *x, const struct ox_api_error *error);

/* Count n bytes of a body, the request's or a large reply's, until the exchange ends. Is there room in the memory that
 * all bodies share? The lock is held. */
bool ox_exchange_count(struct ox_exchange *x, size_t n) OX_MUST_USE;

/* Forget the body's bytes, which were parsed. */
void ox_exchange_drop_body(struct ox_exchange *x);

/* The client is not there any more, or shall not be: end its answers and its connection. */
void ox_exchange_leave(struct ox_exchange *x);

/* End the answers that are not done. No lock is held. */
void ox_exchange_cancel(struct ox_exchange *x);

/* ---- http.c ---------------------------------------------------------------------------------------------------- */

/* Start libmicrohttpd on the listening socket. */
enum ox_status ox_http_start(struct ox_server *server, int family, struct ox_error *err) OX_MUST_USE;

/* ---- endpoints.c ----------------------------------------------------------------------------------------------- */

/* Answer a GET of the route; any thread. */
void ox_endpoint_get(struct ox_exchange *x);

/* Answer a POST that is no API's from its parsed body. */
void ox_endpoint_post(struct ox_exchange *x, const json_t *body);

/* What the library needs to know of a conversation's media: the server's options, the rest empty. endpoints.c */
struct oxcart_messages_options ox_server_messages(struct ox_server *server);

/* ---- worker.c -------------------------------------------------------------------------------------------------- */

/* Queue an exchange whose body is there; the queue holds it until a worker is through with it. */
void ox_work_add(struct ox_exchange *x);
void *ox_worker_main(void *server);

/* ---- keeper.c -------------------------------------------------------------------------------------------------- */

void *ox_keeper_main(void *server);
void ox_keeper_wake(struct ox_server *server);

/* ---- journal.c ------------------------------------------------------------------------------------------------- */

/* A request is over: count it, log it, hand it to the recorder. */
void ox_journal_add(struct ox_exchange *x);

#endif
