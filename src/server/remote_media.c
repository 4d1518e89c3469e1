/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetching with libcurl. One hop at a time: curl takes each URL apart once, and the parts that are checked here are the
 * ones that it then uses; it follows nothing by itself.
 */
#include "server/remote_media.h"

#include <curl/curl.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/clock.h"
#include "server/address.h"
#include "server/remote_host.h"

#define MAX_HEADER_BYTES 65536

/* One fetch. */
struct fetch {
    const struct ox_fetch_options *options;
    CURL *curl;
    CURLU *url;
    struct curl_slist *resolved; /* of this hop */
    struct ox_buf *out;
    size_t header_bytes;
    bool is_https;
    bool address_refused;
    bool too_large;
    bool refused_body; /* of an answer other than 200: not read */
    struct ox_error *err;
};

bool ox_fetch_is_built(void)
{
    return true;
}

static bool is_cancelled(const struct fetch *f)
{
    /* Pairs with whoever sets it; nothing else is read because of it. */
    return f->options->cancelled != NULL && atomic_load_explicit(f->options->cancelled, memory_order_relaxed);
}

/* ---- what curl calls ------------------------------------------------------------------------------------------- */

static curl_socket_t on_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetch *f = user;
    const bool good = ox_address_is_public(&address->addr, address->addrlen) ||
                      (f->options->permit_loopback && ox_address_is_loopback(&address->addr, address->addrlen));
    if (purpose != CURLSOCKTYPE_IPCXN || !good) {
        f->address_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
    struct fetch *f = user;
    long http_status = 0;
    (void)curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &http_status);
    f->refused_body = http_status != 200;
    f->too_large = size * n > f->options->max_bytes - f->out->len;
    if (f->refused_body || f->too_large) {
        return 0;
    }
    ox_buf_add(f->out, bytes, size * n);
    return ox_buf_failed(f->out) ? 0 : size * n;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *user)
{
    struct fetch *f = user;
    (void)bytes;
    f->header_bytes += size * n;
    f->too_large = f->header_bytes > MAX_HEADER_BYTES;
    return f->too_large ? 0 : size * n;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    const struct fetch *f = user;
    (void)total;
    (void)now;
    (void)up_total;
    (void)up_now;
    return is_cancelled(f) ? 1 : 0;
}

/* ---- one hop ----------------------------------------------------------------------------------------------------- */

/* Put text into f->url: a whole URL, or a redirect's, which may be relative to the one before. */
static enum ox_status set_url(struct fetch *f, struct ox_str text)
{
    bool plain = text.len <= OX_FETCH_MAX_URL_BYTES;
    for (size_t i = 0; plain && i < text.len; i++) {
        plain = text.ptr[i] > ' ' && text.ptr[i] < 0x7f && text.ptr[i] != '\\';
    }
    char *copy = plain ? ox_strndup(text.ptr, text.len) : NULL;
    if (plain && copy == NULL) {
        return ox_error_nomem(f->err, text.len);
    }
    const CURLUcode code =
        plain ? curl_url_set(f->url, CURLUPART_URL, copy, CURLU_DISALLOW_USER) : CURLUE_MALFORMED_INPUT;
    ox_free(copy);
    switch (code) {
    case CURLUE_OK:
        return OX_OK;
    case CURLUE_OUT_OF_MEMORY:
        return ox_error_nomem(f->err, text.len);
    case CURLUE_USER_NOT_ALLOWED:
        return ox_error_set(f->err, OX_E_ARG, "the URL names a user, which is not allowed");
    case CURLUE_UNSUPPORTED_SCHEME:
        return ox_error_set(f->err, OX_E_ARG, "only http and https URLs are fetched");
    default:
        return ox_error_set(f->err, OX_E_ARG, "expected a URL of at most %d bytes of ASCII, without blanks",
                            OX_FETCH_MAX_URL_BYTES);
    }
}

static bool is_allowed(const struct ox_fetch_options *options, struct ox_str host, uint16_t port, bool is_default_port)
{
    for (size_t i = 0; i < options->n_hosts; i++) {
        if (ox_remote_host_allows(ox_str_c(options->hosts[i]), host, port, is_default_port)) {
            return true;
        }
    }
    return false;
}

/* In a test: the addresses of this hop's host. */
static enum ox_status resolve_for_test(struct fetch *f, const char *host, uint16_t port)
{
    const char *addresses = f->options->resolve(f->options->user, host, port);
    if (addresses == NULL) {
        return OX_OK;
    }
    struct ox_buf line = {0};
    ox_buf_printf(&line, "%s:%u:%s", host, port, addresses);
    f->resolved = curl_slist_append(NULL, ox_buf_text(&line));
    ox_buf_fini(&line);
    return f->resolved != NULL ? OX_OK : ox_error_nomem(f->err, line.len);
}

/* May f->url be fetched? */
static enum ox_status check_url(struct fetch *f, bool was_https)
{
    char *scheme = NULL;
    char *host = NULL;
    char *port_text = NULL;
    uint64_t port = 0;
    enum ox_status status = OX_OK;
    const bool read = curl_url_get(f->url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                      curl_url_get(f->url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                      curl_url_get(f->url, CURLUPART_PORT, &port_text, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                      ox_str_to_u64(ox_str_c(port_text), &port) && port > 0 && port <= UINT16_MAX;
    const bool is_https = scheme != NULL && ox_str_is(ox_str_c(scheme), "https");
    const bool is_http = scheme != NULL && ox_str_is(ox_str_c(scheme), "http");
    const uint64_t usual = is_https ? 443 : 80;
    if (!is_http && !is_https) {
        status = ox_error_set(f->err, OX_E_ARG, "only http and https URLs are fetched");
    } else if (!read) {
        status = ox_error_set(f->err, OX_E_ARG, "expected a URL with a host");
    } else if (was_https && !is_https) {
        status = ox_error_set(f->err, OX_E_ARG, "a redirect from https to http is not followed");
    } else if (!is_allowed(f->options, ox_str_c(host), (uint16_t)port, port == usual)) {
        status = ox_error_set(f->err, OX_E_ARG, "%.80s, port %u, is not among the hosts of --allow-remote-media", host,
                              (unsigned)port);
    } else if (f->options->resolve != NULL) {
        status = resolve_for_test(f, host, (uint16_t)port);
    }
    f->is_https = is_https;
    curl_free(scheme);
    curl_free(host);
    curl_free(port_text);
    return status;
}

/* Milliseconds until the deadline, at most a day. */
static long time_left_ms(const struct fetch *f)
{
    const uint64_t now = ox_clock_ns();
    const uint64_t left = f->options->deadline_ns > now ? (f->options->deadline_ns - now) / 1000000 : 0;
    return left < 86400000 ? (long)left : 86400000;
}

/* What curl is told for every hop: it starts from its defaults each time. */
static bool set_options(struct fetch *f)
{
    CURL *c = f->curl;
    const curl_off_t max_bytes =
        f->options->max_bytes < (size_t)INT64_MAX ? (curl_off_t)f->options->max_bytes : (curl_off_t)INT64_MAX;
    curl_easy_reset(c);
    bool good = curl_easy_setopt(c, CURLOPT_CURLU, f->url) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_NOPROXY, "*") == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_HTTP_CONTENT_DECODING, 0L) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, time_left_ms(f)) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)f->options->connect_ms) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, max_bytes) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_USERAGENT, "oxcart") == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, f) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_WRITEDATA, f) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_HEADERDATA, f) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_XFERINFODATA, f) == CURLE_OK;
    good = good && curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    good = good && (f->options->ca_file == NULL || curl_easy_setopt(c, CURLOPT_CAINFO, f->options->ca_file) == CURLE_OK);
    return good && (f->resolved == NULL || curl_easy_setopt(c, CURLOPT_RESOLVE, f->resolved) == CURLE_OK);
}

/* Why the hop brought nothing. */
static enum ox_status refuse(const struct fetch *f, CURLcode code)
{
    if (is_cancelled(f)) {
        return ox_error_set(f->err, OX_E_CANCELLED, "the request was given up");
    }
    if (ox_buf_failed(f->out) || code == CURLE_OUT_OF_MEMORY) {
        return ox_error_nomem(f->err, f->out->len);
    }
    if (f->too_large || code == CURLE_FILESIZE_EXCEEDED) {
        return ox_error_set(f->err, OX_E_LIMIT, "the host's answer is larger than %zu bytes", f->options->max_bytes);
    }
    if (f->address_refused && (code == CURLE_COULDNT_CONNECT || code == CURLE_ABORTED_BY_CALLBACK)) {
        return ox_error_set(f->err, OX_E_ARG, "the host's address is not a public one");
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return ox_error_set(f->err, OX_E_LIMIT, "the host took too long");
    }
    return ox_error_set(f->err, OX_E_IO, "the host could not be asked: %s", curl_easy_strerror(code));
}

/* Fetch f->url. *location: where it redirects to (in curl's memory), NULL if the bytes are there. */
static enum ox_status hop(struct fetch *f, const char **location)
{
    struct curl_header *header = NULL;
    long http_status = 0;
    *location = NULL;
    f->header_bytes = 0;
    f->address_refused = false;
    f->refused_body = false;
    if (time_left_ms(f) == 0) {
        return ox_error_set(f->err, OX_E_LIMIT, "the host took too long");
    }
    if (!set_options(f)) {
        return ox_error_nomem(f->err, 0);
    }
    const CURLcode code = curl_easy_perform(f->curl);
    (void)curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &http_status);
    if (code != CURLE_OK && !(f->refused_body && !is_cancelled(f))) {
        return refuse(f, code);
    }
    if (http_status == 200) {
        return OX_OK;
    }
    const bool redirects =
        http_status == 301 || http_status == 302 || http_status == 303 || http_status == 307 || http_status == 308;
    if (redirects && curl_easy_header(f->curl, "Location", 0, CURLH_HEADER, -1, &header) == CURLHE_OK) {
        *location = header->value;
        return OX_OK;
    }
    return ox_error_set(f->err, OX_E_IO, "the host answered with status %ld", http_status);
}

enum ox_status ox_fetch(struct ox_str url, const struct ox_fetch_options *options, struct ox_buf *out,
                        struct ox_error *err)
{
    struct fetch f = {.options = options, .curl = curl_easy_init(), .url = curl_url(), .out = out, .err = err};
    enum ox_status status = f.curl != NULL && f.url != NULL ? OX_OK : ox_error_nomem(err, 0);
    const char *location = NULL;
    for (int n = 0; status == OX_OK && (n == 0 || location != NULL); n++) {
        const bool was_https = f.is_https;
        const struct ox_str next = location != NULL ? ox_str_c(location) : url;
        if (n > OX_FETCH_MAX_REDIRECTS) {
            status = ox_error_set(err, OX_E_LIMIT, "more than %d redirects", OX_FETCH_MAX_REDIRECTS);
        } else {
            status = set_url(&f, next);
        }
        curl_slist_free_all(f.resolved);
        f.resolved = NULL;
        if (status == OX_OK) {
            status = check_url(&f, was_https);
        }
        if (status == OX_OK) {
            status = hop(&f, &location);
        }
    }
    if (f.curl != NULL) {
        curl_easy_cleanup(f.curl);
    }
    curl_url_cleanup(f.url);
    curl_slist_free_all(f.resolved);
    return status;
}
