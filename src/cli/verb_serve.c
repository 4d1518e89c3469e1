/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart serve: the options become a server, which listens before the model is loaded, answers, and stops at the first
 * SIGTERM or Ctrl-C when all is answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/notify.h"
#include "os/file.h"
#include "server/remote_media.h"
#include "server/server.h"

#define MAX_SECRET_BYTES ((size_t)1 << 20)
#define USUAL_CTX 32768
#define USUAL_PARALLEL 8
#define LOOK_MS 100

/* Everything that serving needs, opened in this order. */
struct service {
    const struct cli *cli;
    struct ox_buf keys; /* wiped */
    struct ox_buf tls_cert;
    struct ox_buf tls_key; /* wiped */
    int trace_fd;
    char *media_helper;
    char *host_names;         /* --allow-remote-media, taken apart */
    const char **media_hosts; /* [n_media_hosts], in host_names */
    size_t n_media_hosts;
    struct ox_server *server;
    struct oxcart_engine *engine;
    struct oxcart_scheduler *scheduler;
};

static void tell(const struct service *service, const char *text)
{
    notify(service->cli->environment.notify_socket, text);
}

static void on_message(void *user, enum ox_log_level level, const char *text)
{
    output_message(user, level, text);
}

static void on_scheduler_message(void *user, enum oxcart_log_level level, const char *text)
{
    output_message(user, (enum ox_log_level)level, text);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

/* A size as "64M", not 0. */
static int read_size(const struct cli *cli, enum cli_option option, uint64_t otherwise, uint64_t *out)
{
    const char *text = cli_text(&cli->args, option, NULL);
    *out = otherwise;
    if (text != NULL && (!ox_str_to_size(ox_str_c(text), out) || *out == 0 || *out > INT64_MAX / 16)) {
        return cli_fail(cli, EXIT_USAGE, "--%s: expected a size such as 64M, found '%.60s'",
                        cli_option_info(option)->name, text);
    }
    return EXIT_DONE;
}

static int read_file(const struct cli *cli, enum cli_option option, struct ox_buf *out)
{
    struct ox_error err = {0};
    const char *path = cli_text(&cli->args, option, NULL);
    if (path != NULL && ox_file_read(path, MAX_SECRET_BYTES, out, &err) != OX_OK) {
        ox_error_prefix(&err, "--%s: ", cli_option_info(option)->name);
        return cli_fail_error(cli, &err, EXIT_FAILED);
    }
    return EXIT_DONE;
}

/* Requests may hold what nobody else shall read. */
static int open_trace(struct service *service)
{
    const char *path = cli_text(&service->cli->args, OPT_SERVE_TRACE, NULL);
    service->trace_fd = -1;
    if (path == NULL) {
        return EXIT_DONE;
    }
    service->trace_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (service->trace_fd < 0) {
        struct ox_error err = {0};
        (void)ox_error_set_errno(&err, OX_E_IO, errno, "--trace: '%.120s'", path);
        return cli_fail_error(service->cli, &err, EXIT_FAILED);
    }
    return EXIT_DONE;
}

/* Take --allow-remote-media apart. */
static int read_hosts(struct service *service)
{
    const struct cli *cli = service->cli;
    const char *text = cli_text(&cli->args, OPT_REMOTE_MEDIA, NULL);
    if (text == NULL) {
        return EXIT_DONE;
    }
    if (!ox_fetch_is_built()) {
        return cli_fail(cli, EXIT_USAGE, "--allow-remote-media: this oxcart was built without libcurl");
    }
    service->host_names = ox_strdup(text);
    service->media_hosts = ox_calloc(strlen(text) + 1, sizeof(const char *));
    if (service->host_names == NULL || service->media_hosts == NULL) {
        return cli_fail(cli, EXIT_MEMORY, "out of memory");
    }
    for (char *name = service->host_names; name != NULL;) {
        char *comma = strchr(name, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        if (!ox_fetch_host_is_valid(ox_str_c(name))) {
            return cli_fail(cli, EXIT_USAGE, "--allow-remote-media: expected hosts separated by commas, found '%.60s'",
                            name);
        }
        service->media_hosts[service->n_media_hosts++] = name;
        name = comma != NULL ? comma + 1 : NULL;
    }
    return EXIT_DONE;
}

/* Everything about pictures and clips. */
static int read_media(struct service *service, struct ox_server_options *options)
{
    const struct cli *cli = service->cli;
    const int code = read_hosts(service);
    service->media_helper = cli_media_helper();
    options->media_helper = service->media_helper;
    options->max_pixels = (int64_t)cli_natural(&cli->args, OPT_MAX_PIXELS, 0);
    options->fps = cli_real(&cli->args, OPT_FPS, 0.0);
    options->max_frames = (int32_t)cli_natural(&cli->args, OPT_MAX_FRAMES, 0);
    options->media_folder = cli_text(&cli->args, OPT_MEDIA_PATH, NULL);
    options->media_hosts = service->media_hosts;
    options->n_media_hosts = service->n_media_hosts;
    if (code == EXIT_DONE && options->media_folder != NULL && !ox_file_is_folder(options->media_folder)) {
        return cli_fail(cli, EXIT_USAGE, "--media-path: '%.120s' is no folder", options->media_folder);
    }
    return code;
}

static int read_limits(const struct cli *cli, struct ox_server_options *options)
{
    uint64_t body;
    uint64_t schema;
    int code = read_size(cli, OPT_MAX_BODY, (uint64_t)64 << 20, &body);
    if (code == EXIT_DONE) {
        code = read_size(cli, OPT_MAX_SCHEMA, (uint64_t)256 << 10, &schema);
    }
    if (code == EXIT_DONE) {
        options->max_body = (size_t)body;
        options->max_schema_bytes = (size_t)schema;
    }
    options->max_messages = (size_t)cli_natural(&cli->args, OPT_MAX_MESSAGES, 4096);
    options->max_images = (size_t)cli_natural(&cli->args, OPT_MAX_IMAGES, 64);
    options->request_timeout_s = (uint32_t)cli_natural(&cli->args, OPT_REQUEST_TIMEOUT, 0);
    options->idle_timeout_s = (uint32_t)cli_natural(&cli->args, OPT_IDLE_TIMEOUT, 60);
    return code;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static int open_server(struct service *service)
{
    const struct cli *cli = service->cli;
    struct ox_error err = {0};
    struct ox_server_options options = {
        .host = cli_text(&cli->args, OPT_HOST, "127.0.0.1"),
        .port = (uint16_t)cli_natural(&cli->args, OPT_PORT, 8080),
        .keys_name = cli_text(&cli->args, OPT_API_KEY_FILE, NULL),
        .insecure = cli_given(&cli->args, OPT_INSECURE),
        .cors_origin = cli_text(&cli->args, OPT_CORS_ORIGIN, NULL),
        .with_page = !cli_given(&cli->args, OPT_NO_UI),
        .log_requests = cli->output->verbosity >= 1 || cli->output->log != NULL,
        .message = on_message,
        .user = cli->output,
    };
    int code = read_limits(cli, &options);
    if (code == EXIT_DONE) {
        code = read_media(service, &options);
    }
    if (code == EXIT_DONE) {
        code = read_file(cli, OPT_API_KEY_FILE, &service->keys);
    }
    if (code == EXIT_DONE) {
        code = read_file(cli, OPT_TLS_CERT, &service->tls_cert);
    }
    if (code == EXIT_DONE) {
        code = read_file(cli, OPT_TLS_KEY, &service->tls_key);
    }
    if (code == EXIT_DONE) {
        code = open_trace(service);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    options.trace_fd = service->trace_fd;
    options.api_keys = ox_buf_str(&service->keys);
    options.tls_cert = ox_buf_str(&service->tls_cert);
    options.tls_key = ox_buf_str(&service->tls_key);
    if (ox_server_open(&options, &service->server, &err) != OX_OK) {
        service->server = NULL;
        return cli_fail_error(cli, &err, EXIT_FAILED);
    }
    if (options.insecure && options.keys_name == NULL) {
        output_message(cli->output, OX_LOG_WARNING, "--insecure: everybody who can reach this machine can use the server");
    }
    return EXIT_DONE;
}

static int open_scheduler(struct service *service)
{
    const struct cli *cli = service->cli;
    const uint64_t queue = cli_natural(&cli->args, OPT_QUEUE, 64);
    struct oxcart_scheduler_options options = {
        .size = sizeof options,
        .n_parallel = (int32_t)cli_natural(&cli->args, OPT_PARALLEL, USUAL_PARALLEL),
        .n_queue = queue == 0 ? -1 : (int32_t)queue,
        .n_ctx = (int32_t)cli_natural(&cli->args, OPT_CTX_SIZE, 0),
        .kv = cli_text(&cli->args, OPT_KV, NULL),
        .max_stall_ms = (int32_t)cli_natural(&cli->args, OPT_MAX_STALL, 0),
        .cache_dir = cli_text(&cli->args, OPT_CACHE_DIR, NULL),
        .message = on_scheduler_message,
        .user = cli->output,
    };
    struct oxcart_error err = {0};
    int code = read_size(cli, OPT_KV_MEMORY, 0, &options.kv_bytes);
    if (code == EXIT_DONE) {
        code = read_size(cli, OPT_CACHE_SIZE, 0, &options.cache_bytes);
    }
    if (code == EXIT_DONE && oxcart_scheduler_open(service->engine, &options, &service->scheduler, &err) != OXCART_OK) {
        service->scheduler = NULL;
        code = cli_fail_public(cli, &err, EXIT_FAILED);
    }
    return code;
}

/* Load the model while the server says so, then let it answer. */
static int load(struct service *service)
{
    const struct cli *cli = service->cli;
    struct oxcart_engine_info info = {.size = sizeof info};
    struct ox_error err = {0};
    tell(service, "STATUS=loading the model");
    int code = cli_open(cli, &service->engine, NULL);
    if (code != EXIT_DONE) {
        return code;
    }
    if (oxcart_engine_info(service->engine, &info) == OXCART_OK && info.has_tokenizer == 0) {
        return cli_fail(cli, EXIT_MODEL, "%s: the model's folder has no tokenizer.json", info.name);
    }
    code = open_scheduler(service);
    if (code != EXIT_DONE) {
        return code;
    }
    const int32_t usual = info.max_positions < USUAL_CTX ? info.max_positions : USUAL_CTX;
    const struct ox_server_model model = {
        .engine = service->engine,
        .scheduler = service->scheduler,
        .alias = cli_text(&cli->args, OPT_ALIAS, NULL),
        .n_ctx = (int32_t)cli_natural(&cli->args, OPT_CTX_SIZE, (uint64_t)usual),
        .n_parallel = (int32_t)cli_natural(&cli->args, OPT_PARALLEL, USUAL_PARALLEL),
        .started = (int64_t)time(NULL),
    };
    if (ox_server_serve(service->server, &model, &err) != OX_OK) {
        return cli_fail_error(cli, &err, EXIT_FAILED);
    }
    output_note(cli->output, "serving %s at %s", model.alias != NULL ? model.alias : info.name,
                ox_server_url(service->server));
    tell(service, "READY=1\nSTATUS=ready");
    return EXIT_DONE;
}

/* Until the first signal; the second one ends the program (main.c). */
static void serve(struct service *service)
{
    struct cli_signals *signals = service->cli->signals;
    while (signals->n_interrupts == 0) {
        poll(NULL, 0, LOOK_MS);
    }
    tell(service, "STOPPING=1\nSTATUS=finishing the answers");
    output_note(service->cli->output, "finishing the answers; once more ends at once");
    ox_server_stop(service->server);
    while (!ox_server_done(service->server)) {
        poll(NULL, 0, LOOK_MS);
    }
}

static void wipe(struct ox_buf *secret)
{
    if (secret->ptr != NULL) {
        ox_wipe(secret->ptr, secret->cap);
    }
    ox_buf_fini(secret);
}

int verb_serve(const struct cli *cli)
{
    struct service service = {.cli = cli, .trace_fd = -1};
    int code = open_server(&service);
    wipe(&service.keys);
    wipe(&service.tls_key);
    if (code == EXIT_DONE) {
        code = load(&service);
    }
    if (code == EXIT_DONE) {
        cli->signals->mode = INTERRUPT_SERVES;
        serve(&service);
    }
    ox_server_close(&service.server);
    oxcart_scheduler_close(&service.scheduler);
    oxcart_engine_close(&service.engine);
    ox_buf_fini(&service.tls_cert);
    ox_free(service.media_helper);
    ox_free(service.host_names);
    ox_free(service.media_hosts);
    if (service.trace_fd >= 0) {
        close(service.trace_fd);
    }
    return code;
}
