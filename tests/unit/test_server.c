/* SPDX-License-Identifier: Apache-2.0
 *
 * The server while the model loads, and how it opens and closes: what a script cannot hold still. What it answers when it is
 * ready is asked by tests/e2e/cli_serve.sh.
 */
#include "server/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tap.h"

static void on_message(void *user, enum ox_log_level level, const char *text)
{
    (void)user;
    (void)level;
    (void)text;
}

static struct ox_server_options usual_options(void)
{
    const struct ox_server_options options = {.host = "127.0.0.1", .max_body = 1000, .max_messages = 10,
                                              .max_images = 1, .max_schema_bytes = 100, .idle_timeout_s = 60,
                                              .with_page = true, .trace_fd = -1, .message = on_message};
    return options;
}

static int connect_to(const struct ox_server *server)
{
    uint64_t port = 0;
    const char *colon = strrchr(ox_server_url(server), ':');
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!ox_str_to_u64(ox_str_c(colon + 1), &port)) {
        return fd;
    }
    const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    OK(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0, "connected");
    return fd;
}

/* Send text and keep what comes until `end` has come, or the server closes. */
static const char *talk(int fd, const char *text, const char *end)
{
    static char reply[65536];
    size_t n = 0;
    reply[0] = '\0';
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text)) {
        return reply;
    }
    for (ssize_t got = 1; got > 0 && n < sizeof reply - 1 && (end == NULL || strstr(reply, end) == NULL);) {
        got = recv(fd, reply + n, sizeof reply - 1 - n, 0);
        n += got > 0 ? (size_t)got : 0;
        reply[n] = '\0';
    }
    return reply;
}

/* What the server says to text until it closes. */
static const char *ask(const struct ox_server *server, const char *text)
{
    const int fd = connect_to(server);
    const char *reply = talk(fd, text, NULL);
    close(fd);
    return reply;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void test_loading(void)
{
    const struct ox_server_options options = usual_options();
    struct ox_server *server = NULL;
    struct ox_error err = {0};
    OK(ox_server_open(&options, &server, &err) == OX_OK, "it opens: %s", err.message);
    if (server == NULL) {
        return;
    }
    OK(begins(ox_server_url(server), "http://127.0.0.1:"), "its URL: %s", ox_server_url(server));
    const char *reply = ask(server, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    OK(begins(reply, "HTTP/1.1 503 ") && strstr(reply, "{\"status\":\"loading model\"}") != NULL &&
           strstr(reply, "\r\nRetry-After: ") != NULL, "/health: 503, loading");
    reply = ask(server, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    OK(begins(reply, "HTTP/1.1 503 ") && strstr(reply, "\"code\":\"loading\"") != NULL &&
           strstr(reply, "\r\nRetry-After: ") != NULL, "a request: 503 with Retry-After");
    static const char *const paths[] = {"/v1/models", "/v1/models/x", "/props", "/slots"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char request[160];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", paths[i]);
        OK(begins(ask(server, request), "HTTP/1.1 503 "), "%s: 503", paths[i]);
    }
    reply = ask(server, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    OK(begins(reply, "HTTP/1.1 200 ") && strstr(reply, "oxcart_ready 0\n") != NULL, "/metrics says so");
    reply = ask(server, "GET / HTTP/1.0\r\n\r\n");
    OK(begins(reply, "HTTP/1.") && strstr(reply, " 200 OK\r\n") != NULL, "the page is there");
    reply = ask(server, "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        "Content-Type: application/json\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
    OK(begins(reply, "HTTP/1.1 413 ") && strstr(reply, "--max-body") != NULL, "a large body is refused before it is sent");
    reply = ask(server, "\x16\x03\x01 nothing of HTTP\r\n\r\n");
    OK(strstr(reply, " 200 ") == NULL, "nothing of HTTP is nothing");
    ox_server_stop(server);
    OK(ox_server_done(server), "nothing is left to do");
    ox_server_close(&server);
    OK(server == NULL, "closed");
    ox_server_close(&server);
}

/* Whoever is connected may ask to the last moment, also where loading failed. */
static void test_stop_while_loading(void)
{
    const struct ox_server_options options = usual_options();
    struct ox_server *server = NULL;
    struct ox_error err = {0};
    OK(ox_server_open(&options, &server, &err) == OX_OK, "it opens: %s", err.message);
    if (server == NULL) {
        return;
    }
    const int fd = connect_to(server);
    const char *reply = talk(fd, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", "}");
    OK(begins(reply, "HTTP/1.1 503 "), "/health: 503");
    ox_server_stop(server);
    reply = talk(fd, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", "}");
    OK(strstr(reply, "{\"status\":\"stopping\"}") != NULL, "/health: stopping");
    static const char *const paths[] = {"/v1/models", "/v1/models/x", "/props", "/slots"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char request[160];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", paths[i]);
        OK(begins(talk(fd, request, "}}"), "HTTP/1.1 503 "), "%s: 503", paths[i]);
    }
    reply = talk(fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", NULL);
    OK(begins(reply, "HTTP/1.1 200 ") && strstr(reply, "oxcart_ready 0\n") != NULL, "/metrics: not ready");
    close(fd);
    ox_server_close(&server);
}

static void test_open_errors(void)
{
    struct ox_server *server = NULL;
    struct ox_server *second = NULL;
    struct ox_error err = {0};
    struct ox_server_options options = usual_options();
    options.host = "0.0.0.0";
    OK(ox_server_open(&options, &server, &err) == OX_E_ARG && server == NULL && strstr(err.message, "--insecure") != NULL,
       "others need a key: %s", err.message);
    options.host = "no such name";
    OK(ox_server_open(&options, &server, &err) == OX_E_IO && server == NULL, "no address: %s", err.message);
    options = usual_options();
    options.tls_cert = ox_str_c("no certificate");
    OK(ox_server_open(&options, &server, &err) == OX_E_ARG, "a certificate alone: %s", err.message);
    options.tls_key = ox_str_c("no key");
    OK(ox_server_open(&options, &server, &err) == OX_E_ARG && server == NULL, "no certificate: %s", err.message);
    options = usual_options();
    if (ox_server_open(&options, &server, &err) == OX_OK) {
        uint64_t port = 0;
        OK(ox_str_to_u64(ox_str_c(strrchr(ox_server_url(server), ':') + 1), &port), "a port");
        options.port = (uint16_t)port;
        OK(ox_server_open(&options, &second, &err) == OX_E_IO && second == NULL, "a port in use: %s", err.message);
    }
    ox_server_close(&server);
    options = usual_options();
    options.host = "0.0.0.0";
    options.insecure = true;
    OK(ox_server_open(&options, &server, &err) == OX_OK, "--insecure");
    ox_server_close(&server);
    options.insecure = false;
    options.keys_name = "keys";
    options.api_keys = ox_str_c("secret\n");
    OK(ox_server_open(&options, &server, &err) == OX_OK, "or a key");
    if (server != NULL) {
        OK(begins(ask(server, "GET /metrics HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n"), "HTTP/1.1 401 "),
           "which is asked for");
    }
    ox_server_close(&server);
}

int main(void)
{
    test_loading();
    test_stop_while_loading();
    test_open_errors();
    return tap_done();
}
