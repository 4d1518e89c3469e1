/* SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd's callbacks: head and body of a request come in, the reply goes out. All of it runs on the one http
 * thread, but for the moments when others resume a connection; nothing here waits.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "server/server_parts.h"

#define HEAD_BYTES ((size_t)64 << 10)   /* request line and headers, and libmicrohttpd's own buffers */
#define PIECE_BYTES ((size_t)16 << 10)  /* of a stream, sent at once */
#define DRAIN_BYTES ((uint64_t)1 << 20) /* of a refused body that are read so that the client sees the reply */
#define MAX_CONNECTIONS 1024
/* The keeper's deadlines come first, since it says why; what is left are clients that do not read. */
#define AFTER_KEEPER_S 2

static const char *header(const struct ox_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

/* ---- the reply ------------------------------------------------------------------------------------------------- */

/* The next piece of a stream. */
static ssize_t read_piece(void *cls, uint64_t pos, char *to, size_t max)
{
    struct ox_exchange *x = cls;
    ssize_t n = 0;
    (void)pos;
    pthread_mutex_lock(&x->lock);
    const size_t left = x->out.len - x->n_sent;
    if (x->gone || ox_buf_failed(&x->out) || atomic_load(&x->server->closing)) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (left > 0) {
        n = (ssize_t)(left < max ? left : max);
        memcpy(to, x->out.ptr + x->n_sent, (size_t)n);
        x->n_sent += (size_t)n;
        if (x->server->recorder != NULL) {
            ox_buf_add(&x->kept_reply, to, (size_t)n);
        }
        if (x->n_sent == x->out.len) {
            ox_buf_clear(&x->out);
            x->n_sent = 0;
        }
    } else if (x->finished) {
        x->handed_over = true;
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
    }
    pthread_mutex_unlock(&x->lock);
    return n;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value); /* out of memory: the reply goes without */
}

static void add_page_headers(const struct ox_exchange *x, struct MHD_Response *response)
{
    if (x->asset == NULL) {
        add_header(response, "Cache-Control", "no-store");
        return;
    }
    add_header(response, "Cache-Control", "no-cache");
    add_header(response, "Content-Security-Policy", OX_PAGE_POLICY);
    add_header(response, "Referrer-Policy", "no-referrer");
    add_header(response, "ETag", x->asset->etag);
}

static void add_cors_headers(const struct ox_exchange *x, struct MHD_Response *response)
{
    if (!x->cors) {
        return;
    }
    add_header(response, "Access-Control-Allow-Origin", header(x, "Origin"));
    add_header(response, "Vary", "Origin");
    if (header(x, "Access-Control-Request-Method") != NULL) {
        const char *headers = header(x, "Access-Control-Request-Headers");
        add_header(response, "Access-Control-Allow-Methods", x->allow != NULL ? x->allow : "GET");
        add_header(response, "Access-Control-Allow-Headers", headers != NULL ? headers : "Content-Type");
        add_header(response, "Access-Control-Max-Age", "600");
    }
}

static void add_headers(const struct ox_exchange *x, struct MHD_Response *response)
{
    char number[16];
    add_header(response, "X-Content-Type-Options", "nosniff");
    add_header(response, "X-Request-Id", x->id);
    if (x->errors == &ox_api_messages) {
        add_header(response, "request-id", x->id);
    }
    if (x->content_type != NULL) {
        add_header(response, "Content-Type", x->content_type);
    }
    if (x->ambiguous) {
        add_header(response, "Connection", "close"); /* what follows may be a part of it */
    }
    if (x->streams) {
        add_header(response, "X-Accel-Buffering", "no");
    }
    if (x->allow != NULL) {
        add_header(response, "Allow", x->allow);
    }
    if (x->http_status == MHD_HTTP_UNAUTHORIZED) {
        add_header(response, "WWW-Authenticate", "Bearer");
    }
    if (x->retry_after_s > 0) {
        snprintf(number, sizeof number, "%d", x->retry_after_s);
        add_header(response, "Retry-After", number);
    }
    add_page_headers(x, response);
    add_cors_headers(x, response);
}

/* Hand the decided reply to libmicrohttpd, without the lock: what is decided does not change. */
static enum MHD_Result send_reply(struct ox_exchange *x)
{
    struct MHD_Response *response = NULL;
    if (x->streams) {
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, read_piece, x, NULL);
    } else {
        pthread_mutex_lock(&x->lock);
        const size_t n = x->out.len;
        if (x->server->recorder != NULL) {
            ox_buf_add(&x->kept_reply, x->out.ptr, n);
        }
        char *bytes = ox_buf_take(&x->out);
        x->handed_over = true;
        pthread_mutex_unlock(&x->lock);
        response = bytes != NULL ? MHD_create_response_from_buffer_with_free_callback(n, bytes, ox_free)
                                 : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(x, response);
    const enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)x->http_status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the head -------------------------------------------------------------------------------------------------- */

/* Length of the body as announced. */
static uint64_t announced(const struct ox_exchange *x)
{
    uint64_t n = 0;
    const char *length = header(x, "Content-Length");
    if (length != NULL && ox_str_to_u64(ox_str_c(length), &n)) {
        return n;
    }
    return header(x, "Transfer-Encoding") != NULL ? OX_LENGTH_UNKNOWN : 0;
}

struct framing {
    size_t n_hosts;
    size_t n_lengths;
};

static enum MHD_Result count_framing(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct framing *framing = cls;
    (void)kind;
    (void)value;
    framing->n_hosts += strcasecmp(key, "Host") == 0 ? 1 : 0;
    framing->n_lengths += strcasecmp(key, "Content-Length") == 0 || strcasecmp(key, "Transfer-Encoding") == 0 ? 1 : 0;
    return MHD_YES;
}

/* Could a proxy before us see another host, or another end of the request? libmicrohttpd takes one of them. */
static bool is_ambiguous(const struct ox_exchange *x)
{
    struct framing framing = {0};
    (void)MHD_get_connection_values(x->connection, MHD_HEADER_KIND, count_framing, &framing);
    return framing.n_hosts > 1 || framing.n_lengths > 1;
}

/* The host that is asked for. The target's makes the header void. */
static const char *host_of(const struct ox_exchange *x)
{
    return x->authority.len > 0 ? ox_buf_text(&x->authority) : header(x, "Host");
}

/* Take the request line's target apart, and note what else is wrong with the head. */
static void read_target(struct ox_exchange *x, const char *url, const char *version)
{
    struct ox_request_target target;
    const bool good = ox_request_target_read(ox_str_c(url), &target);
    ox_buf_add_str(&x->url, target.path);
    ox_buf_add_str(&x->authority, target.authority);
    x->bad_target = !good || ox_buf_failed(&x->authority); /* without memory the header must not count in its place */
    x->needs_host = strcmp(version, MHD_HTTP_VERSION_1_1) == 0;
    x->ambiguous = is_ambiguous(x);
}

/* Can a request with this head be answered, and now? */
static bool check_head(struct ox_exchange *x, struct ox_api_error *error)
{
    const struct ox_request_head head = {.method = x->method,
                                         .route = x->route,
                                         .host = host_of(x),
                                         .origin = header(x, "Origin"),
                                         .authorization = header(x, "Authorization"),
                                         .x_api_key = header(x, "x-api-key"),
                                         .content_type = header(x, "Content-Type"),
                                         .bad_target = x->bad_target,
                                         .no_host = x->needs_host && header(x, "Host") == NULL,
                                         .ambiguous = x->ambiguous,
                                         .n_body = announced(x)};
    if (!ox_request_head_ok(&head, &x->server->access, x->server->options.max_body, error)) {
        x->allow = error->http_status == MHD_HTTP_METHOD_NOT_ALLOWED ? ox_route_allow(x->route) : NULL;
        return false;
    }
    const enum ox_server_state state = ox_server_state(x->server);
    if (x->route != NULL && x->route->posts && state != OX_SERVER_READY) {
        const bool loading = state == OX_SERVER_LOADING;
        (void)ox_api_refuse(error, 503, "server_error", loading ? "loading" : "shutting_down", NULL, "%s",
                            loading ? "the model is loading; try again" : "the server is being stopped");
        error->retry_after_s = loading ? 5 : 1;
        return false;
    }
    return true;
}

/* Tie the exchange to its connection. */
static bool attach(struct ox_exchange *x)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct ox_link *link = info != NULL ? info->socket_context : NULL;
    if (link == NULL) {
        return false;
    }
    pthread_mutex_lock(&x->server->links_lock);
    link->exchange = x;
    link->fresh = false;
    pthread_mutex_unlock(&x->server->links_lock);
    return true;
}

static enum MHD_Result begin(struct ox_server *server, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, void **con_cls)
{
    struct ox_api_error error;
    struct ox_exchange *x = ox_exchange_new(server, connection, method);
    if (x == NULL || !attach(x)) {
        if (x != NULL) {
            ox_exchange_release(x);
        }
        return MHD_NO;
    }
    *con_cls = x;
    read_target(x, url, version);
    x->route = ox_route_find(ox_buf_str(&x->url), server->options.with_page);
    x->errors = ox_route_errors(x->route, ox_buf_str(&x->url), header(x, "anthropic-version") != NULL);
    x->cors = ox_access_origin_is_cors(&server->access, header(x, "Origin"));
    if (check_head(x, &error)) {
        return MHD_YES;
    }
    ox_exchange_fail(x, &error);
    /* A client that asks first, or would send much, is told at once; else it may not look before all is sent. */
    const uint64_t n = announced(x);
    const bool at_once = x->ambiguous || header(x, "Expect") != NULL || (n != OX_LENGTH_UNKNOWN && n > DRAIN_BYTES);
    return at_once ? send_reply(x) : MHD_YES;
}

/* ---- the body -------------------------------------------------------------------------------------------------- */

static enum MHD_Result take_body(struct ox_exchange *x, const char *bytes, size_t n)
{
    struct ox_api_error error = {0};
    bool too_many = false;
    pthread_mutex_lock(&x->lock);
    x->body_bytes += n;
    if (x->decided) {
        const bool enough = x->body_bytes > x->server->options.max_body + DRAIN_BYTES;
        pthread_mutex_unlock(&x->lock);
        return enough ? MHD_NO : MHD_YES;
    }
    if (x->body_bytes > x->server->options.max_body) {
        (void)ox_request_refuse_body(x->server->options.max_body, &error);
    } else if (!ox_exchange_count(x, n)) {
        too_many = true;
    } else {
        ox_buf_add(&x->body, bytes, n);
        too_many = ox_buf_failed(&x->body);
    }
    pthread_mutex_unlock(&x->lock);
    if (too_many) {
        (void)ox_api_refuse_nomem(&error);
        error.retry_after_s = 1;
    }
    if (error.http_status != 0) {
        ox_exchange_fail(x, &error);
    }
    return MHD_YES;
}

/* A file of the chat page, or 304 where the client has it. */
static void reply_page(struct ox_exchange *x)
{
    struct ox_buf body = {0};
    const char *known = header(x, "If-None-Match");
    x->asset = ox_page_find(ox_buf_str(&x->url));
    if (known != NULL && strstr(known, x->asset->etag) != NULL) {
        ox_exchange_reply(x, MHD_HTTP_NOT_MODIFIED, NULL, &body);
        return;
    }
    ox_buf_add(&body, x->asset->bytes, x->asset->n_bytes);
    ox_exchange_reply(x, MHD_HTTP_OK, x->asset->content_type, &body);
}

/* OPTIONS: what a path takes, and to pages of --cors-origin that they may ask. */
static void reply_options(struct ox_exchange *x)
{
    struct ox_buf body = {0};
    x->allow = x->route != NULL ? ox_route_allow(x->route) : "GET, HEAD, POST, OPTIONS";
    ox_exchange_reply(x, MHD_HTTP_NO_CONTENT, NULL, &body);
}

static void dispatch(struct ox_exchange *x)
{
    if (strcmp(x->method, "OPTIONS") == 0) {
        reply_options(x);
    } else if (x->route->kind == OX_ROUTE_PAGE) {
        reply_page(x);
    } else if (x->route->posts) {
        ox_work_add(x);
    } else {
        ox_endpoint_get(x);
    }
}

/* The whole request is here, or the connection was resumed. */
static enum MHD_Result go_on(struct ox_exchange *x)
{
    enum MHD_Result result = MHD_YES;
    pthread_mutex_lock(&x->lock);
    const bool first = !x->body_done && !x->decided;
    x->body_done = true;
    pthread_mutex_unlock(&x->lock);
    if (first) {
        dispatch(x);
    }
    pthread_mutex_lock(&x->lock);
    const bool decided = x->decided;
    if (x->gone || atomic_load(&x->server->closing)) {
        result = MHD_NO;
    } else if (!decided) {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
    }
    pthread_mutex_unlock(&x->lock);
    return result == MHD_YES && decided ? send_reply(x) : result;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *n_upload, void **con_cls)
{
    struct ox_exchange *x = *con_cls;
    if (x == NULL) {
        return begin(cls, connection, url, method, version, con_cls);
    }
    if (*n_upload > 0) {
        const size_t n = *n_upload;
        *n_upload = 0;
        return take_body(x, upload, n);
    }
    return go_on(x);
}

/* ---- ends ------------------------------------------------------------------------------------------------------ */

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    struct ox_server *server = cls;
    struct ox_exchange *x = *con_cls;
    if (x == NULL) {
        return;
    }
    *con_cls = NULL;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct ox_link *link = info != NULL ? info->socket_context : NULL;
    pthread_mutex_lock(&server->links_lock);
    if (link != NULL) {
        link->exchange = NULL;
        link->since_ns = ox_clock_ns();
    }
    pthread_mutex_unlock(&server->links_lock);
    pthread_mutex_lock(&x->lock);
    x->fd = -1;
    x->suspended = false;
    x->gone = x->gone || code != MHD_REQUEST_TERMINATED_COMPLETED_OK;
    atomic_store(&x->left, x->gone);
    pthread_mutex_unlock(&x->lock);
    ox_exchange_cancel(x);
    ox_journal_add(x);
    ox_exchange_release(x);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct ox_server *server = cls;
    struct ox_link *link = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        link = ox_calloc(1, sizeof *link);
        *socket_context = link;
        if (link == NULL) {
            return;
        }
        link->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        link->fresh = true;
        link->since_ns = ox_clock_ns();
        pthread_mutex_lock(&server->links_lock);
        link->next = server->links;
        if (link->next != NULL) {
            link->next->previous = link;
        }
        server->links = link;
        pthread_mutex_unlock(&server->links_lock);
        ox_keeper_wake(server);
        return;
    }
    if (link == NULL) {
        return;
    }
    pthread_mutex_lock(&server->links_lock);
    if (link->next != NULL) {
        link->next->previous = link->previous;
    }
    if (link->previous != NULL) {
        link->previous->next = link->next;
    } else {
        server->links = link->next;
    }
    pthread_mutex_unlock(&server->links_lock);
    *socket_context = NULL;
    ox_free(link);
}

static void on_log(void *cls, const char *format, va_list args) OX_PRINTF(2, 0);
static void on_log(void *cls, const char *format, va_list args)
{
    const struct ox_server *server = cls;
    char text[256];
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    server->options.message(server->options.user, OX_LOG_DEBUG, text);
}

/* As many connections as files may be open, less what the rest of the program opens. */
static unsigned connection_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= 2 * MAX_CONNECTIONS) {
        return MAX_CONNECTIONS;
    }
    return limit.rlim_cur > 32 ? (unsigned)(limit.rlim_cur / 2) : 16;
}

enum ox_status ox_http_start(struct ox_server *server, int family, struct ox_error *err)
{
    const struct ox_server_options *options = &server->options;
    const unsigned limit = connection_limit();
    const bool tls = options->tls_cert.len > 0;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    flags |= family == AF_INET6 ? MHD_USE_IPv6 : 0;
    flags |= tls ? MHD_USE_TLS : 0;
    struct MHD_OptionItem secrets[3] = {{MHD_OPTION_END, 0, NULL}};
    if (tls) {
        secrets[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls_cert};
        secrets[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls_key};
        secrets[2] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    }
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
        MHD_OPTION_LISTEN_SOCKET, server->listen_fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEAD_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)options->idle_timeout_s + AFTER_KEEPER_S, MHD_OPTION_CONNECTION_LIMIT, limit,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, limit / 2, MHD_OPTION_ARRAY, secrets, MHD_OPTION_END);
    if (server->daemon == NULL && tls) {
        return ox_error_set(err, OX_E_ARG, "TLS: the certificate and key cannot be used (--tls-cert, --tls-key)");
    }
    return server->daemon != NULL ? OX_OK : ox_error_set(err, OX_E_IO, "the HTTP server cannot be started");
}
