/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters and histograms, and that their text is what Prometheus reads.
 */
#include "server/metrics.h"

#include <inttypes.h>

#include "tests/tap.h"

/* The value of the sample whose line begins with name and a blank; -1 if there is none. */
static double value(const struct ox_buf *text, const char *name)
{
    const size_t len = strlen(name);
    for (const char *line = ox_buf_text(text); line != NULL && *line != '\0';) {
        if (strncmp(line, name, len) == 0 && line[len] == ' ') {
            const char *number = line + len + 1;
            double x;
            return ox_str_to_double(ox_str_make(number, strcspn(number, "\n")), &x) ? x : -2.0;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return -1.0;
}

/* Every line is a comment or a sample, and every sample's name was declared before. */
static bool is_well_formed(const struct ox_buf *text)
{
    char declared[96] = "";
    const char *line = ox_buf_text(text);
    while (*line != '\0') {
        const size_t len = strcspn(line, "\n");
        if (strncmp(line, "# TYPE ", 7) == 0) {
            snprintf(declared, sizeof declared, "%.*s", (int)strcspn(line + 7, " "), line + 7);
        } else if (strncmp(line, "# HELP ", 7) != 0) {
            if (declared[0] == '\0' || strncmp(line, declared, strlen(declared)) != 0 ||
                memchr(line, ' ', len) == NULL) {
                return false;
            }
        }
        if (line[len] != '\n') {
            return false;
        }
        line += len + 1;
    }
    return true;
}

static void test_histogram(void)
{
    struct ox_metrics metrics;
    struct ox_buf text = {0};
    ox_metrics_init(&metrics);
    ox_metrics_first(&metrics, 0.001); /* a bound belongs to its bucket */
    ox_metrics_first(&metrics, 0.0011);
    ox_metrics_first(&metrics, 1e6);
    ox_metrics_between(&metrics, 0.3);
    ox_metrics_write(&metrics, NULL, &text);
    OK(is_well_formed(&text), "the text is well formed");
    OK(value(&text, "oxcart_time_to_first_token_seconds_bucket{le=\"0.001\"}") == 1.0 &&
           value(&text, "oxcart_time_to_first_token_seconds_bucket{le=\"0.0025\"}") == 2.0 &&
           value(&text, "oxcart_time_to_first_token_seconds_bucket{le=\"1800\"}") == 2.0 &&
           value(&text, "oxcart_time_to_first_token_seconds_bucket{le=\"+Inf\"}") == 3.0,
       "buckets add up");
    OK(value(&text, "oxcart_time_to_first_token_seconds_count") == 3.0, "the count");
    OK(value(&text, "oxcart_time_to_first_token_seconds_sum") == 1e6, "the sum, to nine digits");
    OK(value(&text, "oxcart_inter_token_seconds_bucket{le=\"0.25\"}") == 0.0 &&
           value(&text, "oxcart_inter_token_seconds_bucket{le=\"0.5\"}") == 1.0,
       "histograms are apart");
    OK(value(&text, "oxcart_ready") == 0.0 && value(&text, "oxcart_running") == -1.0, "loading");
    ox_buf_fini(&text);
    ox_metrics_fini(&metrics);
}

static void test_counts(void)
{
    const struct oxcart_scheduler_stats stats = {.size = sizeof stats, .n_running = 3, .n_waiting = 4,
                                                 .n_prompt_tokens = 5000000000U, .n_cached_tokens = 7,
                                                 .n_generated_tokens = 8, .kv_bytes = 200, .kv_used_bytes = 50,
                                                 .n_encoded = 9, .media_used_bytes = 1000, .cache_bytes = 5,
                                                 .cache_limit_bytes = 6};
    struct ox_metrics metrics;
    struct ox_buf text = {0};
    ox_metrics_init(&metrics);
    ox_metrics_reply(&metrics, 200, 0.1);
    ox_metrics_reply(&metrics, 200, 0.1);
    ox_metrics_reply(&metrics, 429, 0.0);
    ox_metrics_reply(&metrics, 100000, 0.0); /* counted in the histogram only */
    ox_metrics_reply(&metrics, -1, 0.0);
    ox_metrics_reply(&metrics, 0, 0.0); /* no reply: the client left */
    ox_metrics_left(&metrics);
    ox_metrics_write(&metrics, &stats, &text);
    OK(is_well_formed(&text), "the text is well formed");
    OK(value(&text, "oxcart_requests_total{code=\"200\"}") == 2.0 &&
           value(&text, "oxcart_requests_total{code=\"429\"}") == 1.0, "replies by status");
    OK(value(&text, "oxcart_request_seconds_count") == 6.0, "all requests");
    OK(value(&text, "oxcart_requests_total{code=\"0\"}") == -1.0, "none without a status");
    OK(value(&text, "oxcart_clients_left_total") == 1.0, "clients that left");
    OK(value(&text, "oxcart_running") == 3.0 && value(&text, "oxcart_queue") == 4.0, "running and waiting");
    OK(value(&text, "oxcart_prompt_tokens_total") == 5e9 && value(&text, "oxcart_cached_tokens_total") == 7.0 &&
           value(&text, "oxcart_generated_tokens_total") == 8.0, "tokens");
    OK(value(&text, "oxcart_kv_used_ratio") == 0.25, "the share of KV memory");
    OK(value(&text, "oxcart_media_encoded_total") == 9.0 && value(&text, "oxcart_media_bytes") == 1000.0, "pictures");
    OK(value(&text, "oxcart_cache_bytes") == 5.0 && value(&text, "oxcart_cache_limit_bytes") == 6.0, "the cache folder");
    OK(value(&text, "oxcart_ready") == 1.0, "ready");
    ox_buf_fini(&text);
    ox_metrics_fini(&metrics);
}

int main(void)
{
    test_histogram();
    test_counts();
    return tap_done();
}
