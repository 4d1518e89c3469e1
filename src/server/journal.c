/* SPDX-License-Identifier: Apache-2.0
 *
 * What is left of a request when it is over: counts, a line of the log, a line of the trace. Headers, and with them keys,
 * are in none of them.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/json_build.h"
#include "server/server_parts.h"

#define URL_BYTES 120
#define METHOD_BYTES 16

/* What a client wrote: what is no printable ASCII as '?', cut after max bytes. */
static void printable(struct ox_str s, char *text, size_t max)
{
    size_t n = 0;
    for (; n < s.len && n < max; n++) {
        text[n] = (char)(s.ptr[n] > ' ' && s.ptr[n] <= '~' ? s.ptr[n] : '?');
    }
    text[n] = '\0';
}

static void log_line(const struct ox_exchange *x, double seconds)
{
    char url[URL_BYTES + 1];
    char method[METHOD_BYTES + 1];
    char tokens[96] = "";
    char text[512];
    printable(ox_buf_str(&x->url), url, URL_BYTES);
    printable(ox_str_c(x->method), method, METHOD_BYTES);
    if (x->sums.n_prompt > 0) {
        snprintf(tokens, sizeof tokens, " | prompt %d tok (%d cached) | generated %d tok", x->sums.n_prompt,
                 x->sums.n_cached, x->sums.n_generated);
    }
    snprintf(text, sizeof text, "%s %s %s %d %.3f s%s%s", x->address, method, url, x->http_status, seconds, tokens,
             x->gone ? " | client left" : "");
    x->server->options.message(x->server->options.user, OX_LOG_INFO, text);
}

static void write_all(int fd, const char *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        const ssize_t written = write(fd, bytes + at, n - at);
        if (written <= 0) {
            return; /* a full disk must not end the service */
        }
        at += (size_t)written;
    }
}

/* A body as JSON if it is that, else as text. */
static json_t *as_json(const struct ox_buf *bytes)
{
    json_t *tree = NULL;
    if (bytes->len > 0 && ox_json_parse(ox_buf_str(bytes), "trace", &tree, NULL) == OX_OK) {
        return tree;
    }
    return ox_json_new_text(ox_buf_str(bytes));
}

static void trace_line(struct ox_exchange *x, double seconds)
{
    struct timespec now;
    struct ox_buf line = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    json_t *object = json_object();
    ox_json_set(&object, "time", json_real((double)now.tv_sec + (double)now.tv_nsec * 1e-9));
    ox_json_set(&object, "id", ox_json_new_text(ox_str_c(x->id)));
    ox_json_set(&object, "address", ox_json_new_text(ox_str_c(x->address)));
    ox_json_set(&object, "method", ox_json_new_text(ox_str_c(x->method)));
    ox_json_set(&object, "path", ox_json_new_text(ox_buf_str(&x->url)));
    ox_json_set(&object, "status", json_integer(x->http_status));
    ox_json_set(&object, "seconds", json_real(seconds));
    ox_json_set(&object, "left", json_boolean(x->gone));
    ox_json_set(&object, "request", as_json(&x->kept_body));
    ox_json_set(&object, "reply", as_json(&x->kept_reply));
    ox_json_write(object, &line);
    json_decref(object);
    ox_buf_add_byte(&line, '\n');
    if (!ox_buf_failed(&line)) {
        pthread_mutex_lock(&x->server->trace_lock);
        write_all(x->server->options.trace_fd, line.ptr, line.len);
        pthread_mutex_unlock(&x->server->trace_lock);
    }
    ox_buf_fini(&line);
}

void ox_journal_add(struct ox_exchange *x)
{
    const double seconds = ox_server_seconds(x->begin_ns, ox_clock_ns());
    pthread_mutex_lock(&x->lock);
    ox_metrics_reply(&x->server->metrics, x->http_status, seconds);
    if (x->gone) {
        ox_metrics_left(&x->server->metrics);
    }
    if (x->server->options.log_requests) {
        log_line(x, seconds);
    }
    if (x->server->options.trace_fd >= 0) {
        trace_line(x, seconds);
    }
    pthread_mutex_unlock(&x->lock);
}
