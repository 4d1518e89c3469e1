/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's life: the listening socket, its threads, and their end in the right order.
 */
#include "server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "server/recall.h"
#include "server/server_parts.h"

#define BACKLOG 128
/* For the tokens of replies with calls, which clients send back. */
#define RECALL_BYTES ((size_t)64 << 20)

/* ---- the socket ------------------------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, address, sizeof in6);
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

static int bind_one(const struct addrinfo *info)
{
    const int yes = 1;
    const int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        const int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* The address that the socket got, as a client here would spell it. */
static void spell_url(struct ox_server *server)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    char host[INET6_ADDRSTRLEN + NI_MAXHOST] = "?";
    char port[16] = "?";
    if (getsockname(server->listen_fd, (struct sockaddr *)&bound, &len) == 0 &&
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        const bool v6 = bound.ss_family == AF_INET6;
        snprintf(server->url, sizeof server->url, "%s://%s%.80s%s:%s", server->access.tls ? "https" : "http",
                 v6 ? "[" : "", host, v6 ? "]" : "", port);
    }
}

static enum ox_status start_listening(struct ox_server *server, int *family, struct ox_error *err)
{
    const struct ox_server_options *options = &server->options;
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[16];
    snprintf(port, sizeof port, "%u", options->port);
    const int found = getaddrinfo(options->host, port, &hints, &list);
    if (found != 0) {
        return ox_error_set(err, OX_E_IO, "--host: '%.100s': %s", options->host, gai_strerror(found));
    }
    enum ox_status status = OX_OK;
    errno = 0;
    for (const struct addrinfo *info = list; info != NULL && server->listen_fd < 0 && status == OX_OK;
         info = info->ai_next) {
        const bool local = is_loopback(info->ai_addr);
        if (!local && server->access.n_keys == 0 && !options->insecure) {
            status = ox_error_set(err, OX_E_ARG, "--host: '%.100s' can be reached from other machines: expected "
                                                 "--api-key-file, or --insecure to serve everybody", options->host);
            break;
        }
        server->listen_fd = bind_one(info);
        server->access.local = local;
        *family = info->ai_family;
    }
    freeaddrinfo(list);
    if (status == OX_OK && server->listen_fd < 0) {
        status = ox_error_set_errno(err, OX_E_IO, errno, "--host, --port: cannot listen at '%.100s' port %s",
                                    options->host, port);
    }
    spell_url(server);
    return status;
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

/* Threads that are made between the two take no signals: those are the main thread's. */
static void block_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

static void restore_signals(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void *engine_main(void *argument)
{
    struct ox_server *server = argument;
    oxcart_scheduler_run(server->model.scheduler);
    return NULL;
}

static void *disk_main(void *argument)
{
    struct ox_server *server = argument;
    oxcart_scheduler_run_disk(server->model.scheduler);
    return NULL;
}

static bool make_thread(pthread_t *thread, void *(*function)(void *), struct ox_server *server)
{
    return pthread_create(thread, NULL, function, server) == 0;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

/* Copy a text with a NUL behind it, as libmicrohttpd wants it. */
static enum ox_status copy_secret(struct ox_str text, char **out, struct ox_error *err)
{
    if (text.len == 0) {
        return OX_OK;
    }
    *out = ox_strndup(text.ptr, text.len);
    return *out != NULL ? OX_OK : ox_error_nomem(err, text.len);
}

static enum ox_status start(struct ox_server *server, struct ox_error *err)
{
    const struct ox_server_options *options = &server->options;
    int family = AF_INET;
    enum ox_status status = OX_OK;
    server->access.cors_origin = options->cors_origin;
    server->access.tls = options->tls_cert.len > 0;
    if ((options->tls_cert.len > 0) != (options->tls_key.len > 0)) {
        return ox_error_set(err, OX_E_ARG, "TLS needs both --tls-cert and --tls-key");
    }
    if (options->api_keys.len > 0 || options->keys_name != NULL) {
        status = ox_access_read_keys(&server->access, options->api_keys, options->keys_name, err);
    }
    if (status == OX_OK) {
        status = copy_secret(options->tls_cert, &server->tls_cert, err);
    }
    if (status == OX_OK) {
        status = copy_secret(options->tls_key, &server->tls_key, err);
    }
    if (status == OX_OK) {
        status = start_listening(server, &family, err);
    }
    server->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (status == OX_OK && server->wake_fd < 0) {
        status = ox_error_set_errno(err, OX_E_IO, errno, "eventfd");
    }
    if (status == OX_OK && options->trace_fd >= 0) {
        const struct ox_log log = {.message = options->message, .user = options->user};
        status = ox_recorder_open(options->trace_fd, OX_RECORDER_BYTES, &log, &server->recorder, err);
    }
    if (status == OX_OK) {
        status = ox_http_start(server, family, err);
    }
    if (status == OX_OK) {
        server->has_keeper = make_thread(&server->keeper, ox_keeper_main, server);
        status = server->has_keeper ? OX_OK : ox_error_set(err, OX_E_NOMEM, "a thread cannot be made");
    }
    return status;
}

enum ox_status ox_server_open(const struct ox_server_options *options, struct ox_server **out, struct ox_error *err)
{
    sigset_t before;
    struct ox_server *server = ox_calloc(1, sizeof *server);
    if (server == NULL) {
        return ox_error_nomem(err, sizeof *server);
    }
    server->options = *options;
    server->listen_fd = -1;
    server->wake_fd = -1;
    atomic_init(&server->state, OX_SERVER_LOADING);
    ox_metrics_init(&server->metrics);
    pthread_mutex_init(&server->links_lock, NULL);
    ox_jobs_init(&server->jobs, OX_N_WORKERS);
    block_signals(&before);
    const enum ox_status status = start(server, err);
    restore_signals(&before);
    server->options.api_keys = (struct ox_str){0};
    if (status != OX_OK) {
        ox_server_close(&server);
        return status;
    }
    *out = server;
    return OX_OK;
}

const char *ox_server_url(const struct ox_server *server)
{
    return server->url;
}

static void fill_context(struct ox_server *server)
{
    struct ox_api_context *context = &server->context;
    const struct ox_server_options *options = &server->options;
    context->engine = server->model.engine;
    context->info.size = sizeof context->info;
    (void)oxcart_engine_info(server->model.engine, &context->info);
    context->alias = server->model.alias != NULL ? server->model.alias : context->info.name;
    context->started = server->model.started;
    context->n_ctx = server->model.n_ctx;
    context->max_messages = options->max_messages;
    context->max_images = options->max_images;
    context->max_schema_bytes = options->max_schema_bytes;
    context->max_choices = OX_MAX_CHOICES;
    context->recall = ox_recall_new(RECALL_BYTES); /* without memory nothing is kept */
}

enum ox_status ox_server_serve(struct ox_server *server, const struct ox_server_model *model, struct ox_error *err)
{
    sigset_t before;
    server->model = *model;
    fill_context(server);
    atomic_store(&server->served, true);
    block_signals(&before);
    server->has_engine_thread = make_thread(&server->engine_thread, engine_main, server);
    server->has_disk_thread = make_thread(&server->disk_thread, disk_main, server);
    while (server->n_workers < OX_N_WORKERS &&
           make_thread(&server->workers[server->n_workers], ox_worker_main, server)) {
        server->n_workers++;
    }
    restore_signals(&before);
    if (!server->has_engine_thread || !server->has_disk_thread || server->n_workers < OX_N_WORKERS) {
        return ox_error_set(err, OX_E_NOMEM, "a thread cannot be made");
    }
    atomic_store(&server->state, OX_SERVER_READY);
    return OX_OK;
}

/* The socket is ours from now on, to be closed when libmicrohttpd has ended. */
static void stop_listening(struct ox_server *server)
{
    if (server->daemon != NULL && atomic_exchange(&server->state, OX_SERVER_STOPPING) != OX_SERVER_STOPPING) {
        (void)MHD_quiesce_daemon(server->daemon);
    }
}

void ox_server_stop(struct ox_server *server)
{
    stop_listening(server);
    server->stop_ns = ox_clock_ns();
}

/* Does it depend on its client alone how long the request goes on? */
static bool awaits_client(struct ox_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    const bool awaits = !x->body_done || x->finished;
    pthread_mutex_unlock(&x->lock);
    return awaits;
}

bool ox_server_done(struct ox_server *server)
{
    const double age = ox_server_seconds(server->stop_ns, ox_clock_ns());
    const bool patient = age < (double)server->options.idle_timeout_s;
    bool busy = false;
    pthread_mutex_lock(&server->links_lock);
    for (const struct ox_link *link = server->links; link != NULL; link = link->next) {
        busy = busy || (link->exchange != NULL && (patient || !awaits_client(link->exchange)));
    }
    pthread_mutex_unlock(&server->links_lock);
    return !busy;
}

static void end_workers(struct ox_server *server)
{
    ox_jobs_end(&server->jobs);
    for (size_t i = 0; i < server->n_workers; i++) {
        pthread_join(server->workers[i], NULL);
    }
}

/* Nothing may be suspended when libmicrohttpd is stopped. */
static void resume_all(struct ox_server *server)
{
    atomic_store(&server->closing, true);
    pthread_mutex_lock(&server->links_lock);
    for (const struct ox_link *link = server->links; link != NULL; link = link->next) {
        if (link->exchange != NULL) {
            pthread_mutex_lock(&link->exchange->lock);
            ox_exchange_wake(link->exchange);
            pthread_mutex_unlock(&link->exchange->lock);
        }
    }
    pthread_mutex_unlock(&server->links_lock);
}

void ox_server_close(struct ox_server **server)
{
    struct ox_server *s = *server;
    if (s == NULL) {
        return;
    }
    stop_listening(s);
    resume_all(s);
    if (s->has_keeper) {
        ox_keeper_wake(s);
        pthread_join(s->keeper, NULL);
    }
    end_workers(s);
    if (s->has_engine_thread) {
        oxcart_scheduler_stop(s->model.scheduler, OXCART_STOP_NOW);
        pthread_join(s->engine_thread, NULL);
    }
    if (s->has_disk_thread) {
        pthread_join(s->disk_thread, NULL);
    }
    if (s->daemon != NULL) {
        MHD_stop_daemon(s->daemon);
    }
    ox_recorder_close(&s->recorder);
    if (s->listen_fd >= 0) {
        close(s->listen_fd);
    }
    if (s->wake_fd >= 0) {
        close(s->wake_fd);
    }
    ox_recall_free(s->context.recall);
    ox_access_fini(&s->access);
    if (s->tls_key != NULL) {
        ox_wipe(s->tls_key, strlen(s->tls_key));
    }
    ox_free(s->tls_key);
    ox_free(s->tls_cert);
    ox_metrics_fini(&s->metrics);
    pthread_mutex_destroy(&s->links_lock);
    ox_jobs_fini(&s->jobs);
    ox_free(s);
    *server = NULL;
}
