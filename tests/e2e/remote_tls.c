/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetching over https, against hosts of this program that show certificates of remote_tls.sh: what a known authority vouches
 * for is fetched, and nothing else.
 *
 *     remote_tls FOLDER     with ca.pem, host.key and the certificates below
 */
#include <microhttpd.h>

#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"
#include "server/remote_media.h"
#include "tests/tap.h"

static char ca_file[4200];

static enum MHD_Result answer(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *n_upload, void **con_cls)
{
    static char picture[] = "picture";
    const bool redirects = strncmp(url, "/to-", 4) == 0;
    (void)cls;
    (void)method;
    (void)version;
    (void)upload;
    (void)n_upload;
    (void)con_cls;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(picture), picture, MHD_RESPMEM_PERSISTENT);
    if (redirects) {
        const bool plain = strcmp(url, "/to-http") == 0;
        (void)MHD_add_response_header(response, "Location", plain ? "http://media.test/file" : "/file");
    }
    const enum MHD_Result result = MHD_queue_response(connection, redirects ? 302 : 200, response);
    MHD_destroy_response(response);
    return result;
}

static char *read_text(const char *folder, const char *name)
{
    char path[4200];
    struct ox_buf text = {0};
    struct ox_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    OK(ox_file_read(path, 1 << 20, &text, &err) == OX_OK, "%s %s", name, err.message);
    return ox_buf_take(&text);
}

/* A host that shows the certificate; its port in *port. */
static struct MHD_Daemon *start_host(const char *certificate, const char *key, uint16_t *port)
{
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS, 0, NULL, NULL, answer, NULL,
                         MHD_OPTION_HTTPS_MEM_CERT, certificate, MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_END);
    const union MHD_DaemonInfo *info = daemon != NULL ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    *port = info != NULL ? info->port : 0;
    return daemon;
}

static const char *resolve(void *user, const char *host, uint16_t port)
{
    (void)user;
    (void)host;
    (void)port;
    return "127.0.0.1";
}

static enum ox_status fetch(const char *path, uint16_t port, const char *authorities, struct ox_buf *out,
                            struct ox_error *err)
{
    char url[128];
    char host[64];
    const char *const hosts[] = {host};
    snprintf(url, sizeof url, "https://media.test:%u%s", port, path);
    snprintf(host, sizeof host, "media.test:%u", port);
    const struct ox_fetch_options options = {.hosts = hosts,
                                             .n_hosts = 1,
                                             .max_bytes = 1000,
                                             .deadline_ns = ox_clock_ns() + 20000000000U,
                                             .connect_ms = 10000,
                                             .permit_loopback = true,
                                             .resolve = resolve,
                                             .ca_file = authorities};
    return ox_fetch(ox_str_c(url), &options, out, err);
}

static void brings(const char *path, uint16_t port)
{
    struct ox_buf out = {0};
    struct ox_error err = {0};
    OK(fetch(path, port, ca_file, &out, &err) == OX_OK && ox_str_is(ox_buf_str(&out), "picture"), "%s is fetched %s", path,
       err.message);
    ox_buf_fini(&out);
}

static void fails(const char *path, uint16_t port, const char *authorities, enum ox_status status, const char *why)
{
    struct ox_buf out = {0};
    struct ox_error err = {0};
    OK(fetch(path, port, authorities, &out, &err) == status, "%s: %s", why, err.message);
    OK(strstr(ox_buf_text(&out), "picture") == NULL, "nothing came of it");
    ox_buf_fini(&out);
}

static void test_bad(const char *folder, const char *name, const char *key)
{
    uint16_t port;
    char *certificate = read_text(folder, name);
    struct MHD_Daemon *daemon = start_host(certificate, key, &port);
    OK(daemon != NULL, "a host with %s", name);
    fails("/file", port, ca_file, OX_E_IO, name);
    if (daemon != NULL) {
        MHD_stop_daemon(daemon);
    }
    ox_free(certificate);
}

int main(int argc, char **argv)
{
    static const char *const bad[] = {"name.pem", "old.pem", "other.pem", "self.pem"};
    if (argc != 2) {
        fprintf(stderr, "usage: remote_tls FOLDER\n");
        return 2;
    }
    uint16_t port;
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", argv[1]);
    char *key = read_text(argv[1], "host.key");
    char *certificate = read_text(argv[1], "good.pem");
    struct MHD_Daemon *daemon = start_host(certificate, key, &port);
    if (!OK(daemon != NULL, "a host with good.pem")) {
        return tap_done();
    }
    brings("/file", port);
    brings("/to-file", port);
    fails("/to-http", port, ca_file, OX_E_ARG, "a redirect to http");
    fails("/file", port, NULL, OX_E_IO, "the system's authorities alone");
    MHD_stop_daemon(daemon);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        test_bad(argv[1], bad[i], key);
    }
    ox_free(certificate);
    ox_free(key);
    return tap_done();
}
