/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server counts, and its text for Prometheus (exposition format 0.0.4).
 */
#ifndef OX_SERVER_METRICS_H
#define OX_SERVER_METRICS_H

#include <pthread.h>
#include <stdint.h>

#include "base/buf.h"
#include "oxcart.h"

#define OX_METRICS_BUCKETS 16

/* Seconds, counted by upper bounds. */
struct ox_histogram {
    uint64_t counts[OX_METRICS_BUCKETS + 1]; /* the last one: above all bounds */
    double sum;
};

struct ox_metrics {
    pthread_mutex_t lock; /* of what follows */
    struct ox_histogram first;  /* from a request's arrival to its first token */
    struct ox_histogram between; /* from one token of an answer to the next */
    struct ox_histogram whole;   /* from a request's arrival to the end of its reply */
    uint64_t replies[600];       /* by HTTP status */
    uint64_t n_left;             /* requests whose clients left */
};

void ox_metrics_init(struct ox_metrics *metrics);
void ox_metrics_fini(struct ox_metrics *metrics);

/* Count. Any thread. http_status 0: the client left before there was a reply. */
void ox_metrics_first(struct ox_metrics *metrics, double seconds);
void ox_metrics_between(struct ox_metrics *metrics, double seconds);
void ox_metrics_reply(struct ox_metrics *metrics, int http_status, double seconds);
void ox_metrics_left(struct ox_metrics *metrics);

/* Append the text; stats NULL while the model loads. Any thread. */
void ox_metrics_write(struct ox_metrics *metrics, const struct oxcart_scheduler_stats *stats, struct ox_buf *out);

#endif
