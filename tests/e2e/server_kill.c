/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests/e2e/server_kill.sh does to a server between its start and its end.
 *
 *     server_kill kill PORT PID SEED          some clients ask until, at a random moment, PID is killed
 *     server_kill look PORT PORT SEED         every history with a question of its own: do two servers answer the same?
 *
 * Both ask about the same histories, cut at random places and with random ends, so that there is always something to be
 * found in the cache folder and something to be written. `look` prints how many answers were wrong, and how many tokens
 * the first server had.
 */
#include <signal.h>

#include "base/rng.h"
#include "tests/e2e/stream_client.h"

#define N_HISTORIES 8
#define N_WORDS 400
#define N_CLIENTS 4
/* Killed by then. */
#define MOST_MS 1500

static void make_question(struct ox_rng *rng, size_t history, int n_predict, struct ox_buf *out)
{
    ox_buf_clear(out);
    ox_buf_add_c(out, "{\"prompt\":\"");
    stream_add_words(out, 1000 + history, N_WORDS / 4 + ox_rng_below(rng, N_WORDS));
    ox_buf_add_c(out, " ");
    stream_add_words(out, ox_rng_next(rng), 1 + ox_rng_below(rng, 40));
    ox_buf_printf(out, "\",\"max_tokens\":%d,\"temperature\":0,\"ignore_eos\":true,\"stream\":true}", n_predict);
}

/* Ask and ask; the server is gone at the end. */
static int kill_one(uint16_t port, pid_t pid, uint64_t seed)
{
    static struct stream streams[N_CLIENTS];
    struct pollfd polled[N_CLIENTS];
    struct ox_buf body = {0};
    struct ox_rng rng;
    ox_rng_init(&rng, seed);
    const uint64_t end_ns = ox_clock_ns() + ox_rng_below(&rng, MOST_MS) * 1000000;
    for (size_t i = 0; i < N_CLIENTS; i++) {
        streams[i].fd = -1;
    }
    while (ox_clock_ns() < end_ns) {
        for (size_t i = 0; i < N_CLIENTS; i++) {
            struct stream *s = &streams[i];
            if (s->fd < 0 || s->complete || s->failed) {
                stream_close(s);
                make_question(&rng, ox_rng_below(&rng, N_HISTORIES), 20, &body);
                stream_post(s, STREAM_COMPLETIONS, i, ox_buf_str(&body));
                (void)stream_connect(s, port, false);
            }
            polled[i] = (struct pollfd){.fd = s->fd, .events = stream_events(s)};
        }
        (void)poll(polled, N_CLIENTS, 10);
        for (size_t i = 0; i < N_CLIENTS; i++) {
            if (polled[i].revents != 0) {
                stream_go_on(&streams[i], SIZE_MAX);
            }
        }
    }
    const int status = kill(pid, SIGKILL);
    for (size_t i = 0; i < N_CLIENTS; i++) {
        stream_fini(&streams[i]);
    }
    ox_buf_fini(&body);
    return status == 0 ? 0 : 1;
}

static int look(uint16_t port, uint16_t other, uint64_t seed)
{
    struct stream here = {.fd = -1};
    struct stream there = {.fd = -1};
    struct ox_buf body = {0};
    struct ox_rng rng;
    int64_t n_cached = 0;
    size_t n_wrong = 0;
    ox_rng_init(&rng, ~seed);
    for (size_t h = 0; h < N_HISTORIES; h++) {
        make_question(&rng, h, 6, &body);
        stream_post(&here, STREAM_COMPLETIONS, 0, ox_buf_str(&body));
        stream_post(&there, STREAM_COMPLETIONS, 0, ox_buf_str(&body));
        const bool both = stream_run(&here, port) && stream_run(&there, other) && here.answered && there.answered;
        const bool same = both && ox_str_equal(ox_buf_str(&here.text), ox_buf_str(&there.text));
        if (!same) {
            printf("# wrong: %d '%s', expected %d '%s'\n", here.http_status, ox_buf_text(&here.text), there.http_status,
                   ox_buf_text(&there.text));
        }
        n_wrong += same ? 0 : 1;
        n_cached += here.n_cached > 0 ? here.n_cached : 0;
    }
    printf("wrong %zu cached %" PRId64 "\n", n_wrong, n_cached);
    stream_fini(&here);
    stream_fini(&there);
    ox_buf_fini(&body);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t port;
    uint64_t other;
    uint64_t seed;
    if (argc != 5 || !ox_str_to_u64(ox_str_c(argv[2]), &port) || !ox_str_to_u64(ox_str_c(argv[3]), &other) ||
        !ox_str_to_u64(ox_str_c(argv[4]), &seed)) {
        fprintf(stderr, "usage: server_kill kill PORT PID SEED | look PORT PORT SEED\n");
        return 2;
    }
    return strcmp(argv[1], "kill") == 0 ? kill_one((uint16_t)port, (pid_t)other, seed)
                                        : look((uint16_t)port, (uint16_t)other, seed);
}
