/* SPDX-License-Identifier: Apache-2.0
 *
 * Kill -9 while conversations are served with a cache folder, again and again: whatever the moment, the next one starts,
 * and everything that it takes from the folder gives the answers that are computed without it.
 *
 *     kv_kill [HOW OFTEN [SEED]]
 *
 * This process itself opens no engine: it could not be forked then.
 */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "tests/mkmodel.h"
#include "tests/scheduler_help.h"

#define N_HISTORIES 8
#define HISTORY 330
#define FOLDER "kv_kill.cache"

/* What a child that looks tells. */
struct verdict {
    uint64_t n_wrong;
    uint64_t n_read;
    uint64_t n_bad;
};

static size_t make_question(size_t history, struct ox_rng *rng, int32_t ids[HISTORY + 64])
{
    struct ox_rng own;
    ox_rng_init(&own, 1000 + history);
    for (size_t i = 0; i < HISTORY; i++) {
        ids[i] = (int32_t)ox_rng_below(&own, 1900);
    }
    const size_t n = 1 + ox_rng_below(rng, 60);
    for (size_t i = 0; i < n; i++) {
        ids[HISTORY + i] = (int32_t)ox_rng_below(rng, 1900);
    }
    return HISTORY + n;
}

/* Room for all histories, or for a part of them, so that files are removed as well. */
static void open_serving(struct oxcart_engine *engine, size_t round, struct serving *serving)
{
    struct oxcart_scheduler_options options = {
        .size = sizeof options, .n_ctx = 1024, .n_parallel = 4, .cache_dir = FOLDER};
    options.cache_bytes = round % 3 == 0 ? (uint64_t)6 << 20 : (uint64_t)64 << 20;
    serving_open(engine, &options, serving);
}

/* Serve random conversations until somebody ends us. A byte is written once things run. */
static void serve_for_ever(size_t round, int out)
{
    static struct asked asked[4];
    struct oxcart_sampling sampling;
    struct serving serving;
    struct ox_rng rng;
    ox_rng_init(&rng, round);
    oxcart_sampling_default(&sampling);
    sampling.n_predict = 40;
    sampling.ignore_end = 1;
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 2);
    open_serving(engine, round, &serving);
    for (size_t i = 0;; i++) {
        int32_t ids[HISTORY + 64];
        const size_t n = make_question(ox_rng_below(&rng, N_HISTORIES), &rng, ids);
        if (i >= 4) {
            await(&asked[i % 4]);
        }
        if (i == 0 && write(out, "x", 1) != 1) {
            _exit(2);
        }
        (void)ask_ids(engine, &serving, ids, n, i, &sampling, &asked[i % 4]);
    }
}

/* Every history with a question of its own, answered from the folder and without it. */
static void look(size_t round, int out)
{
    static struct asked asked[N_HISTORIES];
    static struct demo_reply alone;
    struct verdict verdict = {0};
    struct oxcart_sampling sampling;
    struct serving serving;
    struct ox_rng rng;
    ox_rng_init(&rng, ~(uint64_t)round);
    oxcart_sampling_default(&sampling);
    sampling.n_predict = 6;
    sampling.temperature = 0.0F;
    sampling.ignore_end = 1;
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 2);
    struct oxcart_session *session = demo_session(engine, 1024);
    open_serving(engine, round, &serving);
    for (size_t h = 0; h < N_HISTORIES; h++) {
        struct oxcart_result result;
        int32_t ids[HISTORY + 64];
        const size_t n = make_question(h, &rng, ids);
        bool same = ask_ids(engine, &serving, ids, n, h, &sampling, &asked[h]) &&
                    oxcart_session_set_tokens(session, ids, n, NULL) == OXCART_OK &&
                    demo_decode(session, &sampling, &alone, &result) == OXCART_OK;
        if (same) {
            await(&asked[h]);
            same = asked[h].status == OXCART_OK && asked[h].reply.n_ids == 6 &&
                   memcmp(asked[h].reply.ids, alone.ids, 6 * sizeof alone.ids[0]) == 0;
        }
        verdict.n_wrong += same ? 0 : 1;
    }
    serving_close(&serving, OXCART_STOP_NOW);
    verdict.n_read = serving.last.read_blocks;
    verdict.n_bad = serving.last.bad_blocks;
    if (write(out, &verdict, sizeof verdict) != (ssize_t)sizeof verdict) {
        _exit(2);
    }
    _exit(0);
}

static pid_t begin(void (*child)(size_t round, int out), size_t round, int *in)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return -1;
    }
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child(round, ends[1]);
        _exit(3);
    }
    close(ends[1]);
    *in = ends[0];
    return pid;
}

/* One server killed some time after it began; then one that looks. False if it cannot. */
static bool kill_one(size_t round, struct ox_rng *rng, struct verdict *verdict)
{
    int in = -1;
    char byte;
    pid_t pid = begin(serve_for_ever, round, &in);
    if (pid < 0 || read(in, &byte, 1) != 1) {
        return false;
    }
    const struct timespec pause = {0, (long)ox_rng_below(rng, 400000000)};
    nanosleep(&pause, NULL);
    kill(pid, SIGKILL);
    int status = 0;
    const bool killed = waitpid(pid, &status, 0) == pid && WIFSIGNALED(status);
    close(in);
    pid = killed ? begin(look, round, &in) : -1;
    if (pid < 0) {
        return false;
    }
    const bool told = read(in, verdict, sizeof *verdict) == (ssize_t)sizeof *verdict;
    close(in);
    return waitpid(pid, &status, 0) == pid && told && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    uint64_t n = 3;
    uint64_t seed = 1;
    if ((argc > 1 && !ox_str_to_u64(ox_str_c(argv[1]), &n)) || (argc > 2 && !ox_str_to_u64(ox_str_c(argv[2]), &seed))) {
        return 2;
    }
    struct ox_rng rng;
    struct verdict sum = {0};
    size_t n_looked = 0;
    ox_rng_init(&rng, seed);
    mk_remove_folder(FOLDER);
    for (size_t round = 0; round < n; round++) {
        struct verdict verdict = {0};
        if (kill_one(round + seed, &rng, &verdict)) {
            n_looked++;
        } else {
            NOTE("round %zu: the child that looks did not end well", round);
        }
        sum.n_wrong += verdict.n_wrong;
        sum.n_read += verdict.n_read;
        sum.n_bad += verdict.n_bad;
    }
    mk_remove_folder(FOLDER);
    IS_INT(n_looked, n, "every restart came up");
    IS_INT(sum.n_wrong, 0, "wrong answers");
    OK(sum.n_read > 0, "%" PRIu64 " blocks were taken from the folder, %" PRIu64 " were refused", sum.n_read,
       sum.n_bad);
    return tap_done();
}
