/* SPDX-License-Identifier: Apache-2.0
 *
 * One request and its reply: who holds it, what is decided, and how it ends.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/rng.h"
#include "server/server_parts.h"

/* All bodies together, in --max-body. */
#define MAX_BODIES 8

/* The client's address as text, and what tells clients apart: address and key. */
static void identify(struct ox_exchange *x)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const char *authorization = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Authorization");
    const char *key = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "x-api-key");
    snprintf(x->address, sizeof x->address, "?");
    if (info != NULL && info->client_addr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, info->client_addr, sizeof in);
        inet_ntop(AF_INET, &in.sin_addr, x->address, sizeof x->address);
    } else if (info != NULL && info->client_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, info->client_addr, sizeof in6);
        inet_ntop(AF_INET6, &in6.sin6_addr, x->address, sizeof x->address);
    }
    struct ox_buf who = {0};
    ox_buf_printf(&who, "%s\n%s\n%s", x->address, authorization != NULL ? authorization : "", key != NULL ? key : "");
    x->client = ox_str_hash(ox_buf_str(&who));
    ox_wipe(who.ptr, who.len);
    ox_buf_fini(&who);
}

struct ox_exchange *ox_exchange_new(struct ox_server *server, struct MHD_Connection *connection, const char *method)
{
    struct ox_exchange *x = ox_calloc(1, sizeof *x);
    if (x == NULL) {
        return NULL;
    }
    x->server = server;
    x->connection = connection;
    x->method = method;
    x->begin_ns = ox_clock_ns();
    x->quiet_ns = x->begin_ns;
    x->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    atomic_init(&x->holders, 1);
    pthread_mutex_init(&x->lock, NULL);
    identify(x);
    x->job = (struct ox_job){.owner = x, .client = x->client};
    if (ox_rng_id("req_", x->id, sizeof x->id) != 0) {
        x->id[0] = '\0';
    }
    for (int32_t i = 0; i < OX_MAX_CHOICES; i++) {
        x->choices[i].exchange = x;
        x->choices[i].index = i;
    }
    return x;
}

void ox_exchange_hold(struct ox_exchange *x)
{
    atomic_fetch_add(&x->holders, 1);
}

bool ox_exchange_count(struct ox_exchange *x, size_t n)
{
    struct ox_server *server = x->server;
    const uint64_t before = atomic_fetch_add(&server->bodies_bytes, n);
    x->counted_bytes += n;
    return before + n <= (uint64_t)server->options.max_body * MAX_BODIES;
}

void ox_exchange_drop_body(struct ox_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    if (x->server->recorder != NULL && x->kept_body.len == 0) {
        x->kept_body = x->body;
        x->body = (struct ox_buf){0};
    }
    ox_buf_fini(&x->body);
    pthread_mutex_unlock(&x->lock);
}

void ox_exchange_release(struct ox_exchange *x)
{
    if (atomic_fetch_sub(&x->holders, 1) != 1) {
        return;
    }
    if (x->reply != NULL) {
        x->route->api->reply_free(x->reply);
    }
    ox_ask_fini(&x->ask);
    json_decref(x->tree);
    atomic_fetch_sub(&x->server->bodies_bytes, x->counted_bytes);
    ox_buf_fini(&x->body);
    ox_buf_fini(&x->url);
    ox_buf_fini(&x->authority);
    ox_buf_fini(&x->out);
    ox_buf_fini(&x->kept_body);
    ox_buf_fini(&x->kept_reply);
    pthread_mutex_destroy(&x->lock);
    ox_free(x);
}

void ox_exchange_wake(struct ox_exchange *x)
{
    if (x->suspended) {
        x->suspended = false;
        MHD_resume_connection(x->connection);
    }
}

/* The lock is held. */
static void decide(struct ox_exchange *x, int http_status, const char *content_type, struct ox_buf *body)
{
    ox_buf_fini(&x->out);
    x->out = *body;
    *body = (struct ox_buf){0};
    x->http_status = http_status;
    x->content_type = content_type;
    x->decided = true;
    x->finished = true;
    ox_exchange_wake(x);
}

void ox_exchange_reply(struct ox_exchange *x, int http_status, const char *content_type, struct ox_buf *body)
{
    if (ox_buf_failed(body)) {
        struct ox_api_error error;
        (void)ox_api_refuse_nomem(&error);
        ox_buf_fini(body);
        ox_exchange_fail(x, &error);
        return;
    }
    pthread_mutex_lock(&x->lock);
    if (!x->decided) {
        decide(x, http_status, content_type, body);
    }
    pthread_mutex_unlock(&x->lock);
    ox_buf_fini(body);
}

void ox_exchange_fail(struct ox_exchange *x, const struct ox_api_error *error)
{
    struct ox_buf body = {0};
    pthread_mutex_lock(&x->lock);
    x->failed = true;
    if (!x->decided) {
        ox_request_add_error(x->errors, error, &body);
        x->retry_after_s = error->retry_after_s;
        x->streams = false;
        decide(x, error->http_status, "application/json", &body);
    } else if (!x->finished) {
        x->route->api->fail(x->reply, error, &x->out);
        x->finished = true;
        ox_exchange_wake(x);
    }
    pthread_mutex_unlock(&x->lock);
}

void ox_exchange_cancel(struct ox_exchange *x)
{
    uint64_t tickets[OX_MAX_CHOICES];
    size_t n = 0;
    pthread_mutex_lock(&x->lock);
    for (size_t i = 0; i < OX_MAX_CHOICES; i++) {
        if (x->choices[i].submitted && !x->choices[i].done) {
            tickets[n++] = x->choices[i].ticket;
        }
    }
    pthread_mutex_unlock(&x->lock);
    for (size_t i = 0; i < n; i++) {
        oxcart_scheduler_cancel(x->server->model.scheduler, tickets[i]);
    }
}

void ox_exchange_leave(struct ox_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    const bool already = x->gone;
    x->gone = true;
    atomic_store(&x->left, true);
    if (!already && x->fd >= 0) {
        shutdown(x->fd, SHUT_RDWR);
    }
    ox_exchange_wake(x);
    pthread_mutex_unlock(&x->lock);
    if (!already) {
        ox_exchange_cancel(x);
    }
}
