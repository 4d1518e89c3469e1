/* SPDX-License-Identifier: Apache-2.0
 *
 * What is left of a request when it is over: counts, a line of the log, a record of the trace. Headers, and with them keys,
 * are in none of them.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

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

/* The bodies go to the recorder. */
static void record(struct ox_exchange *x, double seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct ox_record record = {.time_s = (double)now.tv_sec + (double)now.tv_nsec * 1e-9,
                               .http_status = x->http_status,
                               .seconds = seconds,
                               .left = x->gone,
                               .request = x->kept_body,
                               .reply = x->kept_reply};
    memcpy(record.id, x->id, sizeof record.id);
    memcpy(record.address, x->address, sizeof record.address);
    printable(ox_str_c(x->method), record.method, METHOD_BYTES);
    ox_buf_add_str(&record.path, ox_buf_str(&x->url));
    x->kept_body = (struct ox_buf){0};
    x->kept_reply = (struct ox_buf){0};
    ox_recorder_add(x->server->recorder, &record);
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
    if (x->server->recorder != NULL) {
        record(x, seconds);
    }
    pthread_mutex_unlock(&x->lock);
}
