/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetching, against a small HTTP server of this test: what may be fetched comes whole, and every way to lead the fetch
 * to another address, another host or without end is refused, by the connections that the server does not see.
 */
#include "server/remote_media.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"
#include "server/media_source.h"
#include "server/remote_host.h"
#include "tests/tap.h"

#define MAX_BODY 100000

/* ---- the server -------------------------------------------------------------------------------------------------- */

static struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
    atomic_bool stop;
    atomic_int n_requests;
    char last[4096]; /* the last request, read by the test when its answer is there */
} server;

static bool say(int fd, const char *text, size_t len)
{
    while (len > 0) {
        const ssize_t put = send(fd, text, len, MSG_NOSIGNAL);
        if (put <= 0) {
            return false;
        }
        text += put;
        len -= (size_t)put;
    }
    return true;
}

static void say_text(int fd, const char *text)
{
    (void)say(fd, text, strlen(text));
}

static void redirect(int fd, const char *location)
{
    char text[1024];
    snprintf(text, sizeof text, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nnone", location);
    say_text(fd, text);
}

/* Say what again and again, until the client leaves or the test ends. */
static void say_forever(int fd, const char *what, int pause_ms)
{
    char byte;
    struct pollfd gone = {.fd = fd, .events = POLLIN};
    while (!atomic_load(&server.stop) && say(fd, what, strlen(what))) {
        if (poll(&gone, 1, pause_ms) > 0 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0) {
            return;
        }
    }
}

static void say_n(int fd, size_t n)
{
    char head[128];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    say_text(fd, head);
    for (size_t i = 0; i < n && say(fd, "x", 1); i++) {
    }
}

/* Redirects by path. PORT stands for the server's. */
static const struct {
    const char *path;
    const char *location;
} redirects[] = {
    {"/to-file", "/file"},
    {"/to-relative", "file"},
    {"/to-metadata", "http://169.254.169.254/latest/meta-data/"},
    {"/to-loopback6", "http://[::1]:PORT/file"},
    {"/to-mapped", "http://[::ffff:127.0.0.1]:PORT/file"},
    {"/to-decimal", "http://2130706433:PORT/file"},
    {"/to-octal", "http://0177.0.0.1:PORT/file"},
    {"/to-short", "http://127.1:PORT/file"},
    {"/to-address", "http://127.0.0.1:PORT/file"},
    {"/to-scheme", "file:///etc/hostname"},
    {"/to-gopher", "gopher://media.test:PORT/file"},
    {"/to-data", "data:text/plain,secret"},
    {"/to-other", "http://other.test:PORT/file"},
    {"/to-slashes", "//other.test:PORT/file"},
    {"/to-user", "http://media.test@other.test:PORT/file"},
    {"/to-user-back", "http://other.test@media.test:PORT/file"},
    {"/to-port", "http://media.test:1/file"},
    {"/to-backslash", "http://media.test:PORT\\@other.test/file"},
    {"/to-itself", "/to-itself"},
    {"/to-rebound", "http://rebind.test:PORT/file"},
    {"/to-nothing", ""},
};

static bool answer_redirect(int fd, const char *path)
{
    for (size_t i = 0; i < sizeof redirects / sizeof redirects[0]; i++) {
        if (strcmp(path, redirects[i].path) == 0) {
            char location[512];
            const char *port = strstr(redirects[i].location, "PORT");
            if (port == NULL) {
                snprintf(location, sizeof location, "%s", redirects[i].location);
            } else {
                snprintf(location, sizeof location, "%.*s%u%s", (int)(port - redirects[i].location),
                         redirects[i].location, server.port, port + 4);
            }
            redirect(fd, location);
            return true;
        }
    }
    return false;
}

static void answer(int fd, const char *path)
{
    if (answer_redirect(fd, path)) {
        return;
    }
    if (strcmp(path, "/file") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nSet-Cookie: a=b\r\n\r\npicture");
    } else if (strcmp(path, "/gzip") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nas is");
    } else if (strcmp(path, "/limit") == 0) {
        say_n(fd, MAX_BODY);
    } else if (strcmp(path, "/large") == 0) {
        say_n(fd, MAX_BODY + 1);
    } else if (strcmp(path, "/endless") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\n\r\n");
        say_forever(fd, "0123456789012345678901234567890123456789012345678901234567890123", 0);
    } else if (strcmp(path, "/trickle") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\n\r\n");
        say_forever(fd, "x", 20);
    } else if (strcmp(path, "/headers") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\n");
        say_forever(fd, "X-More: 0123456789012345678901234567890123456789\r\n", 0);
    } else if (strcmp(path, "/endless-error") == 0) {
        say_text(fd, "HTTP/1.1 500 No\r\n\r\n");
        say_forever(fd, "0123456789012345678901234567890123456789012345678901234567890123", 1);
    } else if (strcmp(path, "/silent") == 0) {
        say_forever(fd, "", 20);
    } else if (strcmp(path, "/short") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    } else {
        say_text(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nsecret");
    }
}

static void serve_one(int fd)
{
    size_t len = 0;
    while (len < sizeof server.last - 1) {
        const ssize_t got = recv(fd, server.last + len, sizeof server.last - 1 - len, 0);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
        server.last[len] = '\0';
        if (strstr(server.last, "\r\n\r\n") != NULL || server.last[0] != 'G') {
            break;
        }
    }
    char path[256] = "";
    if (sscanf(server.last, "GET %255s", path) == 1) {
        answer(fd, path);
    }
}

static void *serve(void *unused)
{
    (void)unused;
    while (!atomic_load(&server.stop)) {
        struct pollfd wait = {.fd = server.fd, .events = POLLIN};
        if (poll(&wait, 1, 20) <= 0) {
            continue;
        }
        const int fd = accept(server.fd, NULL, NULL);
        if (fd >= 0) {
            atomic_fetch_add(&server.n_requests, 1);
            serve_one(fd);
            (void)close(fd);
        }
    }
    return NULL;
}

static bool start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&address, len) != 0 || listen(server.fd, 8) != 0 ||
        getsockname(server.fd, (struct sockaddr *)&address, &len) != 0) {
        return false;
    }
    server.port = ntohs(address.sin_port);
    return pthread_create(&server.thread, NULL, serve, NULL) == 0;
}

/* ---- the checks -------------------------------------------------------------------------------------------------- */

static int n_rebind; /* how often rebind.test was asked for */

/* The names of this test. */
static const char *resolve(void *user, const char *host, uint16_t port)
{
    (void)user;
    (void)port;
    if (strstr(host, ".test") == NULL && strcmp(host, "localhost") != 0) {
        return NULL; /* an address */
    }
    if (strcmp(host, "rebind.test") == 0) {
        return n_rebind++ == 0 ? "127.0.0.1" : "10.0.0.1";
    }
    if (strcmp(host, "private.test") == 0) {
        return "192.168.0.1";
    }
    if (strcmp(host, "metadata.test") == 0) {
        return "169.254.169.254";
    }
    if (strcmp(host, "mapped.test") == 0) {
        return "[::ffff:127.0.0.1]";
    }
    if (strcmp(host, "local6.test") == 0) {
        return "[fe80::1]";
    }
    if (strcmp(host, "both.test") == 0) {
        return "10.0.0.1,127.0.0.1";
    }
    return "127.0.0.1";
}

static char host_entries[12][64];
static const char *hosts[12];
static struct ox_fetch_options options;

static void allow(const char *entry)
{
    char *room = host_entries[options.n_hosts];
    const char *port = strstr(entry, "PORT");
    if (port == NULL) {
        snprintf(room, sizeof host_entries[0], "%s", entry);
    } else {
        snprintf(room, sizeof host_entries[0], "%.*s%u", (int)(port - entry), entry, server.port);
    }
    hosts[options.n_hosts++] = room;
}

/* Fetch PATH of HOST; the time is in seconds. */
static enum ox_status fetch(const char *host, const char *path, struct ox_buf *out, struct ox_error *err)
{
    char url[512];
    snprintf(url, sizeof url, "http://%s:%u%s", host, server.port, path);
    *out = (struct ox_buf){0};
    *err = (struct ox_error){0};
    options.deadline_ns = ox_clock_ns() + 10000000000U;
    return ox_fetch(ox_str_c(url), &options, out, err);
}

static void brings(const char *host, const char *path, const char *expected)
{
    struct ox_buf out;
    struct ox_error err;
    OK(fetch(host, path, &out, &err) == OX_OK && strcmp(ox_buf_text(&out), expected) == 0, "%s%s brings \"%s\" (%s)",
       host, path, expected, err.message);
    ox_buf_fini(&out);
}

/* The fetch fails so, after n requests that the server saw. */
static void fails(const char *host, const char *path, enum ox_status expected, const char *sentence, int n)
{
    struct ox_buf out;
    struct ox_error err;
    const int before = atomic_load(&server.n_requests);
    const enum ox_status status = fetch(host, path, &out, &err);
    OK(status == expected && strstr(err.message, sentence) != NULL, "%s%s: %s, \"%s\"", host, path,
       ox_status_name(status), err.message);
    IS_INT(atomic_load(&server.n_requests) - before, n, "requests seen");
    OK(strstr(err.message, "secret") == NULL, "the answer is not told");
    ox_buf_fini(&out);
}

static void test_good(void)
{
    brings("media.test", "/file", "picture");
    OK(strstr(server.last, "Cookie") == NULL && strstr(server.last, "Authorization") == NULL &&
           strstr(server.last, "Accept-Encoding") == NULL && strstr(server.last, "Referer") == NULL,
       "the request says nothing of us");
    brings("MEDIA.test", "/file", "picture");
    brings("media.test", "/to-file", "picture");
    OK(strstr(server.last, "Cookie") == NULL, "no cookie is kept from one hop to the next");
    brings("media.test", "/to-relative", "picture");
    brings("media.test", "/gzip", "as i"); /* not decoded */
    brings("both.test", "/file", "picture");
    /* The environment's proxy is not asked: it is a closed port. */
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    brings("media.test", "/file", "picture");
    unsetenv("http_proxy");
    unsetenv("all_proxy");
}

static void test_redirects(void)
{
    static const char not_allowed[] = "--allow-remote-media";
    static const char *const elsewhere[] = {"/to-metadata", "/to-loopback6", "/to-mapped", "/to-decimal", "/to-octal",
                                            "/to-short",    "/to-address",   "/to-other",  "/to-slashes", "/to-port"};
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        fails("media.test", elsewhere[i], OX_E_ARG, not_allowed, 1);
    }
    fails("media.test", "/to-scheme", OX_E_ARG, "only http and https", 1);
    fails("media.test", "/to-gopher", OX_E_ARG, "only http and https", 1);
    fails("media.test", "/to-data", OX_E_ARG, "", 1);
    fails("media.test", "/to-user", OX_E_ARG, "names a user", 1);
    fails("media.test", "/to-user-back", OX_E_ARG, "names a user", 1);
    fails("media.test", "/to-backslash", OX_E_ARG, "expected a URL", 1);
    fails("media.test", "/to-itself", OX_E_LIMIT, "more than 5 redirects", 6);
    fails("media.test", "/to-nothing", OX_E_ARG, "expected a URL", 1);
}

static void test_addresses(void)
{
    static const char refused[] = "not a public one";
    static const char *const names[] = {"private.test", "metadata.test", "mapped.test", "local6.test"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fails(names[i], "/file", OX_E_ARG, refused, 0);
    }
    /* Allowed by name, and still no address to connect to. */
    fails("10.1.2.3", "/file", OX_E_ARG, refused, 0);
    /* The name means another address the second time. */
    n_rebind = 0;
    brings("rebind.test", "/file", "picture");
    fails("rebind.test", "/file", OX_E_ARG, refused, 0);
    n_rebind = 1;
    fails("media.test", "/to-rebound", OX_E_ARG, refused, 1);
    /* As the program runs it: loopback is refused like the others, by name, by address and in a redirect. */
    options.permit_loopback = false;
    fails("media.test", "/file", OX_E_ARG, refused, 0);
    fails("localhost", "/file", OX_E_ARG, refused, 0);
    fails("127.0.0.1", "/file", OX_E_ARG, refused, 0);
    fails("[::1]", "/file", OX_E_ARG, refused, 0);
    options.permit_loopback = true;
}

static void *cancel_soon(void *flag)
{
    (void)poll(NULL, 0, 100);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

static void test_limits(void)
{
    struct ox_buf out;
    struct ox_error err;
    OK(fetch("media.test", "/limit", &out, &err) == OX_OK && out.len == MAX_BODY, "exactly the limit");
    ox_buf_fini(&out);
    fails("media.test", "/large", OX_E_LIMIT, "larger than 100000 bytes", 1);
    fails("media.test", "/endless", OX_E_LIMIT, "larger than 100000 bytes", 1);
    fails("media.test", "/headers", OX_E_LIMIT, "larger than", 1);
    fails("media.test", "/endless-error", OX_E_IO, "status 500", 1);
    fails("media.test", "/missing", OX_E_IO, "status 404", 1);
    fails("media.test", "/short", OX_E_IO, "could not be asked", 1);

    static const char *const slow[] = {"/silent", "/trickle"};
    for (size_t i = 0; i < 2; i++) {
        char slow_url[128];
        snprintf(slow_url, sizeof slow_url, "http://media.test:%u%s", server.port, slow[i]);
        const uint64_t begin = ox_clock_ns();
        options.deadline_ns = begin + 300000000;
        out = (struct ox_buf){0};
        const enum ox_status status = ox_fetch(ox_str_c(slow_url), &options, &out, &err);
        const double s = ox_clock_seconds(begin, ox_clock_ns());
        OK(status == OX_E_LIMIT && s > 0.25 && s < 5, "%s ends after %.2f s: %s", slow[i], s, err.message);
        ox_buf_fini(&out);
    }
    char url[64];
    snprintf(url, sizeof url, "http://media.test:%u/file", server.port);
    options.deadline_ns = 1;
    out = (struct ox_buf){0};
    OK(ox_fetch(ox_str_c(url), &options, &out, &err) == OX_E_LIMIT, "no time left: %s", err.message);

    atomic_bool cancelled = false;
    pthread_t thread;
    options.cancelled = &cancelled;
    const uint64_t begin = ox_clock_ns();
    const bool started = pthread_create(&thread, NULL, cancel_soon, &cancelled) == 0;
    OK(started && fetch("media.test", "/silent", &out, &err) == OX_E_CANCELLED, "cancelled: %s", err.message);
    OK(ox_clock_seconds(begin, ox_clock_ns()) < 5, "soon");
    if (started) {
        (void)pthread_join(thread, NULL);
    }
    options.cancelled = NULL;
    ox_buf_fini(&out);
}

static void refuses_url(const char *url, const char *sentence)
{
    struct ox_buf out = {0};
    struct ox_error err = {0};
    options.deadline_ns = ox_clock_ns() + 10000000000U;
    const enum ox_status status = ox_fetch(ox_str_c(url), &options, &out, &err);
    OK(status == OX_E_ARG && strstr(err.message, sentence) != NULL, "%.60s: %s", url, err.message);
    ox_buf_fini(&out);
}

static void test_urls(void)
{
    static const char not_allowed[] = "--allow-remote-media";
    refuses_url("http://media.test/", not_allowed); /* allowed at the server's port only */
    refuses_url("http://plain.test:81/", not_allowed);
    refuses_url("https://plain.test:80/", not_allowed);
    refuses_url("http://plain.test:443/", not_allowed);
    refuses_url("http://a.plain.test/", not_allowed);
    refuses_url("http://plain.test.evil.test/", not_allowed);
    refuses_url("http://plain.test./", not_allowed);
    refuses_url("http://evil.test/?http://plain.test/", not_allowed);
    refuses_url("http://evil.test#@plain.test/", not_allowed);
    refuses_url("http://user@plain.test/", "names a user");
    refuses_url("http://user:word@plain.test/", "names a user");
    refuses_url("ftp://plain.test/", "only http and https");
    refuses_url("file:///etc/passwd", "only http and https");
    refuses_url("dict://plain.test/", "only http and https");
    refuses_url("http://", "expected a URL");
    refuses_url("http:///x", not_allowed); /* curl reads it as x */
    refuses_url("plain.test/x", "expected a URL");
    refuses_url("", "expected a URL");
    refuses_url("http://plain.test/ x", "expected a URL");
    refuses_url("http://plain.test/\r\nHost: x", "expected a URL");
    refuses_url("http://plain.test\\@evil.test/", "expected a URL");
    refuses_url("http://pl\xc3\xa4in.test/", "expected a URL");
    refuses_url("http://plain.test:99999/", "expected a URL");
    char longest[OX_FETCH_MAX_URL_BYTES + 2] = "http://evil.test/";
    memset(longest + strlen(longest), 'x', OX_FETCH_MAX_URL_BYTES - strlen(longest));
    refuses_url(longest, not_allowed);
    longest[OX_FETCH_MAX_URL_BYTES] = 'x';
    refuses_url(longest, "expected a URL");
    /* The scheme's own port is allowed, for https too: both connect to a closed port or to no HTTP server. */
    struct ox_buf out = {0};
    struct ox_error err = {0};
    options.deadline_ns = ox_clock_ns() + 10000000000U;
    options.permit_loopback = false;
    OK(ox_fetch(ox_str_c("http://plain.test/"), &options, &out, &err) == OX_E_ARG &&
           strstr(err.message, "not a public one") != NULL,
       "port 80 is only kept by the address: %s", err.message);
    OK(ox_fetch(ox_str_c("https://PLAIN.test/"), &options, &out, &err) == OX_E_ARG &&
           strstr(err.message, "not a public one") != NULL,
       "port 443 is only kept by the address: %s", err.message);
    options.permit_loopback = true;
    char url[64];
    snprintf(url, sizeof url, "https://media.test:%u/file", server.port);
    OK(ox_fetch(ox_str_c(url), &options, &out, &err) == OX_E_IO, "https without a certificate: %s", err.message);
    ox_buf_fini(&out);
}

static void test_entries(void)
{
    static const struct {
        const char *entry;
        bool valid;
    } entries[] = {{"example.org", true},
                   {"a-b.c_d.9", true},
                   {"example.org:8080", true},
                   {"[::1]", true},
                   {"[2606:4700::1]:443", true},
                   {"[::ffff:1.2.3.4]", true},
                   {"", false},
                   {":80", false},
                   {"a b", false},
                   {"http://a", false},
                   {"a/", false},
                   {"a:", false},
                   {"a:0", false},
                   {"a:65535", true},
                   {"a:65536", false},
                   {"a:8o", false},
                   {"*.a", false},
                   {"[]", false},
                   {"[::1", false},
                   {"::1", false},
                   {"[::1]x", false},
                   {"[gg]", false},
                   {"u@a", false}};
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        OK(ox_fetch_host_is_valid(ox_str_c(entries[i].entry)) == entries[i].valid, "\"%s\" is %s entry",
           entries[i].entry, entries[i].valid ? "an" : "no");
    }
    char name[300];
    memset(name, 'a', sizeof name);
    OK(ox_fetch_host_is_valid(ox_str_make(name, 253)) && !ox_fetch_host_is_valid(ox_str_make(name, 254)),
       "253 bytes are the most");
    OK(!ox_remote_host_allows(ox_str_c("a b"), ox_str_c("a b"), 80, true), "what is no entry allows nothing");
}

/* The same through a conversation. */
static void test_conversation(void)
{
    char text[2048];
    struct ox_media_set set = {0};
    struct ox_api_error error = {0};
    const struct ox_media_options media = {
        .hosts = hosts, .n_hosts = options.n_hosts, .permit_loopback = true, .resolve = resolve};
    snprintf(text, sizeof text,
             "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
             "\"http://media.test:%u/file\"}},{\"type\":\"text\",\"text\":\"x\"}]}]}",
             server.port);
    json_t *root = json_loads(text, 0, NULL);
    OK(ox_media_load(root, &media, NULL, &set, &error) && set.n_media == 1 && set.media[0].n_bytes == 7 &&
           memcmp(set.media[0].bytes, "picture", 7) == 0 && set.media[0].kind == OXCART_MEDIA_IMAGE,
       "a picture of another host: %s", error.message);
    IS_STR(set.n_media == 1 ? set.media[0].name : "", "messages[0].content[0].image_url", "its name is its place");
    char *after = json_dumps(root, JSON_COMPACT);
    IS_STR(after,
           "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"},{\"type\":\"text\",\"text\":\"x\"}]}]}",
           "the part that is left");
    free(after);
    ox_media_set_fini(&set);
    json_decref(root);

    snprintf(text, sizeof text,
             "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
             "\"http://media.test:%u/missing\"}]}]}",
             server.port);
    root = json_loads(text, 0, NULL);
    OK(!ox_media_load(root, &media, NULL, &set, &error) && error.http_status == 400 && set.n_media == 0 &&
           strcmp(error.message, "messages[0].content[0].image_url: the host answered with status 404") == 0,
       "one that is not there: %s", error.message);
    json_decref(root);
}

int main(void)
{
    options = (struct ox_fetch_options){
        .hosts = hosts, .max_bytes = MAX_BODY, .connect_ms = 2000, .permit_loopback = true, .resolve = resolve};
    if (!start()) {
        tap_skip_all("no socket of the loopback interface");
    }
    static const char *const allowed[] = {
        "media.test:PORT",  "private.test:PORT", "metadata.test:PORT", "mapped.test:PORT", "local6.test:PORT",
        "rebind.test:PORT", "both.test:PORT",    "localhost:PORT",     "10.1.2.3:PORT",    "plain.test"};
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        allow(allowed[i]);
    }
    OK(ox_fetch_is_built(), "this build can fetch");
    test_good();
    test_redirects();
    /* From here on the addresses themselves are allowed, and still refused. */
    allow("127.0.0.1:PORT");
    allow("[::1]:PORT");
    test_addresses();
    test_limits();
    test_urls();
    test_entries();
    test_conversation();
    atomic_store(&server.stop, true);
    (void)pthread_join(server.thread, NULL);
    (void)close(server.fd);
    return tap_done();
}
