/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters and histograms. The scheduler's own sums are asked for when somebody wants to read them.
 */
#include "server/metrics.h"

#include <inttypes.h>
#include <string.h>

/* Upper bounds in seconds: from the token of a small model in memory to a prompt of a million tokens. */
static const double bounds[OX_METRICS_BUCKETS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                  0.5,   1,      2.5,   5,    10,    60,   300, 1800};

void ox_metrics_init(struct ox_metrics *metrics)
{
    memset(metrics, 0, sizeof *metrics);
    pthread_mutex_init(&metrics->lock, NULL);
}

void ox_metrics_fini(struct ox_metrics *metrics)
{
    pthread_mutex_destroy(&metrics->lock);
}

static void count(struct ox_metrics *metrics, struct ox_histogram *histogram, double seconds)
{
    size_t i = 0;
    while (i < OX_METRICS_BUCKETS && seconds > bounds[i]) {
        i++;
    }
    pthread_mutex_lock(&metrics->lock);
    histogram->counts[i]++;
    histogram->sum += seconds;
    pthread_mutex_unlock(&metrics->lock);
}

void ox_metrics_first(struct ox_metrics *metrics, double seconds)
{
    count(metrics, &metrics->first, seconds);
}

void ox_metrics_between(struct ox_metrics *metrics, double seconds)
{
    count(metrics, &metrics->between, seconds);
}

void ox_metrics_reply(struct ox_metrics *metrics, int http_status, double seconds)
{
    count(metrics, &metrics->whole, seconds);
    const int n = (int)(sizeof metrics->replies / sizeof metrics->replies[0]);
    if (http_status > 0 && http_status < n) {
        pthread_mutex_lock(&metrics->lock);
        metrics->replies[http_status]++;
        pthread_mutex_unlock(&metrics->lock);
    }
}

void ox_metrics_left(struct ox_metrics *metrics)
{
    pthread_mutex_lock(&metrics->lock);
    metrics->n_left++;
    pthread_mutex_unlock(&metrics->lock);
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

static void add_head(struct ox_buf *out, const char *name, const char *type, const char *help)
{
    ox_buf_printf(out, "# HELP oxcart_%s %s\n# TYPE oxcart_%s %s\n", name, help, name, type);
}

static void add_counter(struct ox_buf *out, const char *name, const char *help, uint64_t value)
{
    add_head(out, name, "counter", help);
    ox_buf_printf(out, "oxcart_%s %" PRIu64 "\n", name, value);
}

static void add_gauge(struct ox_buf *out, const char *name, const char *help, double value)
{
    add_head(out, name, "gauge", help);
    ox_buf_printf(out, "oxcart_%s %.9g\n", name, value);
}

static void add_seconds(struct ox_buf *out, const char *name, const char *help, double value)
{
    add_head(out, name, "counter", help);
    ox_buf_printf(out, "oxcart_%s %.9g\n", name, value);
}

static void add_histogram(struct ox_buf *out, const char *name, const char *help, const struct ox_histogram *histogram)
{
    uint64_t n = 0;
    add_head(out, name, "histogram", help);
    for (size_t i = 0; i < OX_METRICS_BUCKETS; i++) {
        n += histogram->counts[i];
        ox_buf_printf(out, "oxcart_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds[i], n);
    }
    n += histogram->counts[OX_METRICS_BUCKETS];
    ox_buf_printf(out, "oxcart_%s_bucket{le=\"+Inf\"} %" PRIu64 "\noxcart_%s_sum %.9g\noxcart_%s_count %" PRIu64 "\n",
                  name, n, name, histogram->sum, name, n);
}

static void add_stats(struct ox_buf *out, const struct oxcart_scheduler_stats *s)
{
    add_counter(out, "prompt_tokens_total", "Prompt tokens computed.", s->n_prompt_tokens);
    add_counter(out, "cached_tokens_total", "Prompt tokens found in memory or in the cache folder.",
                s->n_cached_tokens);
    add_counter(out, "generated_tokens_total", "Tokens drawn.", s->n_generated_tokens);
    add_counter(out, "answers_total", "Answers that ended, however.", s->n_done);
    add_counter(out, "answers_cancelled_total", "Answers that were ended early.", s->n_cancelled);
    add_counter(out, "answers_refused_total", "Answers refused because the queue was full.", s->n_refused);
    add_counter(out, "answers_paused_total", "How often a running answer gave its memory to others.", s->n_paused);
    add_counter(out, "passes_total", "Passes of the model.", s->n_passes);
    add_counter(out, "weight_read_bytes_total", "Bytes of weights that passes read, each matrix once a pass.",
                s->weight_bytes);
    add_seconds(out, "pass_seconds_total", "Time in passes of the model.", s->pass_s);
    add_gauge(out, "longest_pause_seconds", "Longest pause that prompts put between two tokens.", s->longest_pause_s);
    add_gauge(out, "running", "Answers that are running.", s->n_running);
    add_gauge(out, "queue", "Answers that are waiting.", s->n_waiting);
    add_gauge(out, "kv_used_ratio", "Share of the KV memory that is used.",
              s->kv_bytes > 0 ? (double)s->kv_used_bytes / (double)s->kv_bytes : 0.0);
    add_gauge(out, "kv_bytes", "KV memory.", (double)s->kv_bytes);
    add_gauge(out, "kv_kept_bytes", "KV memory of kept beginnings that no answer uses now.",
              (double)s->kv_shared_bytes);
    add_counter(out, "media_encoded_total", "Pictures and clips encoded.", s->n_encoded);
    add_gauge(out, "media_bytes", "Memory of pictures and clips that are kept encoded.", (double)s->media_used_bytes);
    add_gauge(out, "cache_bytes", "Bytes in the cache folder.", (double)s->cache_bytes);
    add_gauge(out, "cache_limit_bytes", "Most bytes that are kept there.", (double)s->cache_limit_bytes);
    add_counter(out, "cache_read_blocks_total", "KV blocks read from the cache folder.", s->read_blocks);
    add_counter(out, "cache_written_blocks_total", "KV blocks written to the cache folder.", s->written_blocks);
    add_counter(out, "cache_bad_blocks_total", "KV blocks of the cache folder that were damaged.", s->bad_blocks);
    add_counter(out, "cache_dropped_blocks_total", "KV blocks not written: the disk was slow or full.",
                s->dropped_blocks);
}

void ox_metrics_write(struct ox_metrics *metrics, const struct oxcart_scheduler_stats *stats, struct ox_buf *out)
{
    add_gauge(out, "ready", "1 if the model is loaded and requests are taken.", stats != NULL ? 1 : 0);
    if (stats != NULL) {
        add_stats(out, stats);
    }
    pthread_mutex_lock(&metrics->lock);
    add_head(out, "requests_total", "counter", "HTTP requests that were answered, by status.");
    for (size_t i = 0; i < sizeof metrics->replies / sizeof metrics->replies[0]; i++) {
        if (metrics->replies[i] > 0) {
            ox_buf_printf(out, "oxcart_requests_total{code=\"%zu\"} %" PRIu64 "\n", i, metrics->replies[i]);
        }
    }
    add_counter(out, "clients_left_total", "Requests whose clients left before the end.", metrics->n_left);
    add_histogram(out, "time_to_first_token_seconds", "From a request's arrival to its first token.", &metrics->first);
    add_histogram(out, "inter_token_seconds", "From one token of an answer to the next.", &metrics->between);
    add_histogram(out, "request_seconds", "From a request's arrival to the end of its reply.", &metrics->whole);
    pthread_mutex_unlock(&metrics->lock);
}
