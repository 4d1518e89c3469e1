/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens a second that oxcart serve gives to so many conversations at once, as their clients see it: all stream, and while all
 * do, the server's own count of tokens is read twice. serve_batch.sh starts the server and runs this.
 *
 *     bench_http PORT CONVERSATIONS SECONDS
 */
#include "tests/e2e/stream_client.h"

#define MOST 256

/* Read what is there of all streams; false if one has ended. */
static bool read_streams(struct stream *streams, size_t n, int wait_ms)
{
    static struct pollfd polled[MOST];
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        polled[i] = (struct pollfd){.fd = streams[i].fd, .events = stream_events(&streams[i])};
    }
    (void)poll(polled, n, wait_ms);
    for (size_t i = 0; i < n; i++) {
        if (polled[i].revents != 0) {
            stream_go_on(&streams[i], SIZE_MAX);
        }
        good = good && !streams[i].failed && !streams[i].complete;
    }
    return good;
}

static size_t count_begun(const struct stream *streams, size_t n)
{
    size_t n_begun = 0;
    for (size_t i = 0; i < n; i++) {
        n_begun += streams[i].piece_ns != 0 ? 1 : 0;
    }
    return n_begun;
}

/* Tokens a second, all together; below 0: a stream broke off, or ended too early. */
static double measure(uint16_t port, struct stream *streams, size_t n, double seconds)
{
    struct ox_buf body = {0};
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        streams[i] = (struct stream){.fd = -1};
        ox_buf_clear(&body);
        stream_ask(&body, STREAM_COMPLETIONS, i, 8, 4000, true);
        stream_post(&streams[i], STREAM_COMPLETIONS, i, ox_buf_str(&body));
        good = stream_connect(&streams[i], port, false) && good;
    }
    ox_buf_fini(&body);
    while (good && count_begun(streams, n) < n) {
        good = read_streams(streams, n, 100);
    }
    const double n_before = stream_metric(port, "generated_tokens_total");
    const uint64_t begin = ox_clock_ns();
    while (good && ox_clock_seconds(begin, ox_clock_ns()) < seconds) {
        good = read_streams(streams, n, 100);
    }
    const double n_after = stream_metric(port, "generated_tokens_total");
    const double took = ox_clock_seconds(begin, ox_clock_ns());
    for (size_t i = 0; i < n; i++) {
        stream_fini(&streams[i]);
    }
    return good && n_before >= 0.0 ? (n_after - n_before) / took : -1.0;
}

int main(int argc, char **argv)
{
    static struct stream streams[MOST];
    uint64_t numbers[3] = {0, 0, 0};
    for (int i = 1; i < argc && i < 4; i++) {
        if (!ox_str_to_u64(ox_str_c(argv[i]), &numbers[i - 1])) {
            argc = 0;
        }
    }
    if (argc != 4 || numbers[1] == 0 || numbers[1] > MOST) {
        fprintf(stderr, "usage: bench_http PORT CONVERSATIONS SECONDS\n");
        return 2;
    }
    const double tok_s = measure((uint16_t)numbers[0], streams, numbers[1], (double)numbers[2]);
    printf("%.2f\n", tok_s);
    return tok_s > 0.0 ? 0 : 1;
}
