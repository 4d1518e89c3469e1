/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart serve under load: many clients that stream, of which some leave, some read slowly, some stop for seconds in the
 * middle of a large answer and then go on, some go on with the conversation, and others that mean harm.
 * Every answer that comes to its end is compared with the one that the server gave to its question alone, and the
 * server's memory, files and pauses are looked at.
 *
 *     server_load PORT PID SECONDS CLIENTS STALL_MS GROWTH_MB [SEED [PAUSES]]
 *
 * STALL_MS is the server's --max-stall; GROWTH_MB what its memory may grow by once it is warm; PAUSES, if not 0, says that
 * answers must have given their memory to others and gone on later.
 */
#include <dirent.h>

#include "base/rng.h"
#include "tests/e2e/stream_client.h"

#define N_LENGTHS 5
#define N_QUESTIONS (N_LENGTHS * N_STREAM_APIS)
/* The first ones have less than a thousand tokens; four of five requests are theirs. */
#define N_SHORT (N_QUESTIONS - N_STREAM_APIS)
/* One more for each of an API with messages, which goes on with the conversation; and one whose answer is large. */
#define N_ALL_QUESTIONS (N_QUESTIONS + 2 * N_LENGTHS + 1)
#define LARGE (N_ALL_QUESTIONS - 1)
#define MAX_CLIENTS 512
#define N_CROWD 16
#define SECOND_NS ((uint64_t)1000000000)
/* Memory is looked at so often, and is warm after a third of the time. */
#define LOOK_S 10
/* More than this part of the server's time taken by other programs, and its pauses are theirs. */
#define MOST_LOST 0.2

struct question {
    enum stream_api api;
    struct ox_buf body;
    struct ox_buf answer; /* what it gets alone */
    const struct question *next; /* goes on with it; NULL: none */
};

enum manner {
    MANNER_GOOD,
    MANNER_LEAVES, /* after so many bytes of the reply */
    MANNER_SLOW,   /* reads a little now and then */
    MANNER_STALLS, /* reads so many bytes, then for seconds nothing, then the rest */
    MANNER_HOSTILE
};

enum harm {
    HARM_HALF_HEAD,
    HARM_HALF_BODY,
    HARM_GARBAGE,
    HARM_HUGE_HEAD,
    HARM_LONGER,   /* the body than announced */
    HARM_LENGTHS,  /* two of them */
    HARM_TOO_MUCH, /* a body over the limit, as announced */
    HARM_ENDLESS,  /* ... and without saying so */
    HARM_CROWD,    /* connections that send nothing */
    HARM_RESET,    /* a request and a reset */
    N_HARMS
};

struct client {
    struct stream stream;
    enum manner manner;
    const struct question *question;
    const struct question *next; /* to be asked after it */
    enum harm harm;
    size_t who;
    uint64_t wake_ns;     /* nothing before */
    uint64_t end_ns;      /* the hostile go by then */
    uint64_t leave_after; /* bytes */
    uint64_t stall_after;
    int crowd[N_CROWD];
};

/* All of it. */
struct load {
    uint16_t port;
    uint64_t pid;
    uint64_t seconds;
    uint64_t n_clients; /* that ask; an eighth more are hostile */
    double stall_s;
    uint64_t growth_bytes;
    bool wants_pauses;
    struct ox_rng rng;
    struct question questions[N_ALL_QUESTIONS];
    struct client clients[MAX_CLIENTS];
    size_t n_all;
    bool stopping; /* nobody asks any more */
    uint64_t n_checked;
    uint64_t n_wrong;
    uint64_t n_broken; /* ended without an answer, and nobody wanted that */
    uint64_t n_left;
    uint64_t n_slow;
    uint64_t n_stalled;
    uint64_t n_continued;
    uint64_t n_busy; /* told to come back later */
    uint64_t n_harms[N_HARMS];
    uint64_t n_harm_served; /* answered as if they were requests */
    uint64_t longest_ns;    /* between two pieces of an answer to a good client */
    uint64_t warm_bytes;
    uint64_t most_bytes;
};

/* ---- the server's process -------------------------------------------------------------------------------------- */

static uint64_t resident_bytes(uint64_t pid)
{
    char path[64];
    char line[256];
    uint64_t kib = 0;
    snprintf(path, sizeof path, "/proc/%" PRIu64 "/status", pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *digits = line + strcspn(line, "0123456789");
        if (strncmp(line, "VmRSS:", 6) == 0 &&
            !ox_str_to_u64(ox_str_make(digits, strspn(digits, "0123456789")), &kib)) {
            kib = 0;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib << 10;
}

static size_t count_files(uint64_t pid)
{
    char path[64];
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%" PRIu64 "/fd", pid);
    DIR *folder = opendir(path);
    while (folder != NULL && readdir(folder) != NULL) {
        n++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return n;
}

/* How long the server's threads ran, or were ready and others had the processors. */
static void add_times(uint64_t pid, const char *task, uint64_t *ran_ns, uint64_t *waited_ns)
{
    char path[128];
    char line[128] = "";
    uint64_t ran = 0;
    uint64_t waited = 0;
    snprintf(path, sizeof path, "/proc/%" PRIu64 "/task/%.16s/schedstat", pid, task);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return;
    }
    const bool got = fgets(line, sizeof line, file) != NULL;
    const size_t n_first = strcspn(line, " ");
    const char *second = line + n_first + (line[n_first] == ' ' ? 1 : 0);
    if (got && ox_str_to_u64(ox_str_make(line, n_first), &ran) &&
        ox_str_to_u64(ox_str_make(second, strcspn(second, " ")), &waited)) {
        *ran_ns += ran;
        *waited_ns += waited;
    }
    fclose(file);
}

/* The part of its time that the server lost to other programs; 0 if the system does not say. */
static double lost_share(uint64_t pid)
{
    char path[64];
    uint64_t ran_ns = 0;
    uint64_t waited_ns = 0;
    snprintf(path, sizeof path, "/proc/%" PRIu64 "/task", pid);
    DIR *folder = opendir(path);
    const struct dirent *entry = NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        add_times(pid, entry->d_name, &ran_ns, &waited_ns);
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return ran_ns > 0 ? (double)waited_ns / (double)(ran_ns + waited_ns) : 0.0;
}

/* ---- alone ----------------------------------------------------------------------------------------------------- */

/* What the question gets. False if it is not answered. */
static bool ask_one(const struct load *load, struct question *q)
{
    struct stream s = {.fd = -1};
    stream_post(&s, q->api, 0, ox_buf_str(&q->body));
    const bool ok = stream_run(&s, load->port) && s.http_status == 200 && s.answered && s.text.len > 1;
    ox_buf_add_str(&q->answer, ox_buf_str(&s.text));
    if (!ok) {
        NOTE("question %td: status %d, %s", q - load->questions, s.http_status, ox_buf_text(&s.body));
    }
    stream_fini(&s);
    return ok;
}

/* The same conversation with the answer to it and another question. */
static void write_next(const struct question *q, uint64_t seed, size_t length, struct question *next)
{
    const struct ox_str answer = ox_buf_str(&q->answer);
    next->api = q->api;
    ox_buf_add_c(&next->body, "{\"messages\":[{\"role\":\"user\",\"content\":\"");
    stream_add_words(&next->body, seed, length);
    ox_buf_add_c(&next->body, "\"},{\"role\":\"assistant\",\"content\":");
    ox_json_add_quoted(&next->body, ox_str_make(answer.ptr, ox_str_find(answer, ox_str_c("|"), 0)));
    ox_buf_add_c(&next->body, "},{\"role\":\"user\",\"content\":\"");
    stream_add_words(&next->body, seed + 1000, 6);
    ox_buf_add_c(&next->body, "\"}],\"max_tokens\":30,\"stream\":true,\"ignore_eos\":true,\"temperature\":0}");
}

/* Hundreds of kilobytes: the buffers between server and client do not hold it. */
static void write_large(struct question *q)
{
    q->api = STREAM_CHAT;
    ox_buf_add_c(&q->body, "{\"messages\":[{\"role\":\"user\",\"content\":\"");
    stream_add_words(&q->body, 77, 30);
    ox_buf_add_c(&q->body, "\"}],\"max_tokens\":150,\"stream\":true,\"ignore_eos\":true,\"temperature\":0,"
                           "\"logprobs\":true,\"top_logprobs\":20}");
}

/* Ask everything once, one after the other. False if something is not answered. */
static bool ask_alone(struct load *load)
{
    static const size_t lengths[N_LENGTHS] = {4, 20, 100, 400, 1600};
    struct question *next = load->questions + N_QUESTIONS;
    bool ok = true;
    for (size_t i = 0; ok && i < N_QUESTIONS; i++) {
        struct question *q = &load->questions[i];
        q->api = (enum stream_api)(i % N_STREAM_APIS);
        const size_t length = lengths[i / N_STREAM_APIS];
        stream_ask(&q->body, q->api, 100 + i, length, 24 + 8 * (int)(i % 7), i % 3 == 0);
        ok = ask_one(load, q);
        if (ok && (q->api == STREAM_CHAT || q->api == STREAM_MESSAGES)) {
            write_next(q, 100 + i, length, next);
            ok = ask_one(load, next);
            q->next = next++;
        }
    }
    write_large(&load->questions[LARGE]);
    return ok && ask_one(load, &load->questions[LARGE]);
}

/* ---- clients that ask ------------------------------------------------------------------------------------------ */

/* Little fits into the buffers of its connection. */
static bool reads_little(const struct client *c)
{
    return c->manner == MANNER_SLOW || c->manner == MANNER_STALLS;
}

/* One of five may be of the longest. */
static const struct question *choose_question(struct load *load)
{
    return &load->questions[ox_rng_below(&load->rng, ox_rng_below(&load->rng, 5) == 0 ? N_QUESTIONS : N_SHORT)];
}

static void ask(struct load *load, struct client *c)
{
    const uint64_t dice = ox_rng_below(&load->rng, 10);
    c->question = c->next != NULL ? c->next : choose_question(load);
    c->next = NULL;
    c->manner = MANNER_GOOD;
    c->leave_after = UINT64_MAX;
    c->stall_after = UINT64_MAX;
    if (dice == 2) {
        c->manner = MANNER_STALLS;
        c->question = &load->questions[LARGE];
        c->stall_after = ox_rng_below(&load->rng, 100000);
        stream_close(&c->stream);
    } else if (dice == 0) {
        c->manner = MANNER_LEAVES;
        c->leave_after = ox_rng_below(&load->rng, 6000);
        c->end_ns = ox_clock_ns() + ox_rng_below(&load->rng, 4 * SECOND_NS);
    } else if (dice == 1) {
        c->manner = MANNER_SLOW;
        stream_close(&c->stream);
    }
    stream_post(&c->stream, c->question->api, c->who % 16, ox_buf_str(&c->question->body));
    if (c->stream.fd < 0 && !stream_connect(&c->stream, load->port, reads_little(c))) {
        c->wake_ns = ox_clock_ns() + SECOND_NS / 10;
    }
}

/* A reply that came to its end. */
static void check(struct load *load, struct client *c)
{
    const struct stream *s = &c->stream;
    const struct ox_str alone = ox_buf_str(&c->question->answer);
    if (s->http_status == 429 && s->retry_after_s > 0) {
        load->n_busy++;
        c->wake_ns = ox_clock_ns() + s->retry_after_s * SECOND_NS;
        return;
    }
    load->n_checked++;
    load->n_slow += c->manner == MANNER_SLOW ? 1 : 0;
    load->n_stalled += c->manner == MANNER_STALLS && c->stall_after == UINT64_MAX ? 1 : 0;
    load->n_continued += c->question >= load->questions + N_QUESTIONS && c->question != &load->questions[LARGE] ? 1 : 0;
    c->next = c->question->next;
    if (s->http_status != 200 || !s->answered || !ox_str_equal(ox_buf_str(&s->text), alone)) {
        load->n_wrong++;
        NOTE("wrong: status %d, api %d: '%s', alone '%s'", s->http_status, (int)c->question->api, ox_buf_text(&s->text),
             ox_buf_text(&c->question->answer));
    }
    if (c->manner == MANNER_GOOD && s->longest_ns > load->longest_ns) {
        load->longest_ns = s->longest_ns;
    }
}

/* Every other client keeps its connection for the next request, where the server does. */
static void end_request(struct load *load, struct client *c)
{
    if (c->stream.closes || reads_little(c) || ox_rng_below(&load->rng, 2) == 0) {
        stream_close(&c->stream);
    }
    c->question = NULL;
}

static void go_on_asking(struct load *load, struct client *c, uint64_t now)
{
    struct stream *s = &c->stream;
    const bool slow = c->manner == MANNER_SLOW;
    const bool leaves = c->manner == MANNER_LEAVES;
    stream_go_on(s, slow ? 50 + ox_rng_below(&load->rng, 400) : SIZE_MAX);
    c->wake_ns = slow ? now + ox_rng_below(&load->rng, SECOND_NS / 15) : 0;
    if (s->n_came >= c->stall_after) {
        c->stall_after = UINT64_MAX; /* once */
        c->wake_ns = now + SECOND_NS + ox_rng_below(&load->rng, 2 * SECOND_NS);
    }
    if (s->complete && !s->failed) {
        check(load, c);
        end_request(load, c);
    } else if (s->failed) {
        load->n_broken++;
        NOTE("broken: status %d after %" PRIu64 " bytes, api %d: '%s' %s", s->http_status, s->n_came,
             (int)c->question->api, ox_buf_text(&s->text), ox_buf_text(&s->body));
        stream_close(s);
        end_request(load, c);
    } else if (leaves && s->n_came >= c->leave_after) {
        c->end_ns = 0;
    }
}

/* ---- clients that mean harm ------------------------------------------------------------------------------------ */

static void add_head(struct ox_buf *out, const char *length)
{
    ox_buf_printf(out,
                  "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n\r\n",
                  length);
}

static void make_crowd(const struct load *load, struct client *c)
{
    for (size_t i = 0; i < N_CROWD; i++) {
        struct stream one = {.fd = -1};
        c->crowd[i] = stream_connect(&one, load->port, false) ? one.fd : -1;
    }
}

static void close_crowd(struct client *c)
{
    for (size_t i = 0; i < N_CROWD; i++) {
        if (c->crowd[i] >= 0) {
            close(c->crowd[i]);
            c->crowd[i] = -1;
        }
    }
}

/* What such a client sends. */
static void write_harm(struct load *load, struct client *c, struct ox_buf *out)
{
    const struct ox_str body = ox_buf_str(&load->questions[1].body);
    switch (c->harm) {
    case HARM_HALF_HEAD:
        ox_buf_add_c(out, "POST /v1/completions HTTP/1.1\r\nHost: local");
        break;
    case HARM_HALF_BODY:
        add_head(out, "Content-Length: 4000");
        ox_buf_add_str(out, body);
        break;
    case HARM_GARBAGE:
        for (size_t i = 0; i < 3000; i++) {
            ox_buf_add_byte(out, (char)ox_rng_below(&load->rng, 256));
        }
        break;
    case HARM_HUGE_HEAD:
        ox_buf_printf(out, "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: %0*d\r\n\r\n", 200000, 0);
        break;
    case HARM_LONGER:
        add_head(out, "Content-Length: 10");
        ox_buf_add_str(out, body);
        break;
    case HARM_LENGTHS:
        add_head(out, "Content-Length: 12\r\nContent-Length: 7");
        ox_buf_add_str(out, body);
        break;
    case HARM_TOO_MUCH:
        add_head(out, "Content-Length: 99999999999");
        ox_buf_add_str(out, body);
        break;
    case HARM_ENDLESS:
        add_head(out, "Transfer-Encoding: chunked");
        for (size_t i = 0; i < 40; i++) {
            ox_buf_printf(out, "10000\r\n%0*d\r\n", 0x10000, 0);
        }
        break;
    case HARM_RESET:
        add_head(out, "Content-Length: 4000");
        ox_buf_printf(out, "%.*s%*s", (int)body.len, body.ptr, 4000 - (int)body.len, "");
        break;
    case HARM_CROWD:
    case N_HARMS:
        break;
    }
}

static void begin_harm(struct load *load, struct client *c, uint64_t now)
{
    c->harm = (enum harm)ox_rng_below(&load->rng, N_HARMS);
    c->end_ns = now + ox_rng_below(&load->rng, 2 * SECOND_NS);
    load->n_harms[c->harm]++;
    stream_clear(&c->stream);
    write_harm(load, c, &c->stream.request);
    if (c->harm == HARM_CROWD) {
        make_crowd(load, c);
        c->wake_ns = c->end_ns;
    }
    if (!stream_connect(&c->stream, load->port, false)) {
        c->wake_ns = now + SECOND_NS / 10;
    }
}

static void end_harm(struct load *load, struct client *c, uint64_t now)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (c->harm == HARM_RESET) {
        (void)setsockopt(c->stream.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    } else if (c->stream.http_status == 200) {
        load->n_harm_served++;
        NOTE("served: harm %d", (int)c->harm);
    }
    stream_close(&c->stream);
    close_crowd(c);
    c->wake_ns = now + ox_rng_below(&load->rng, SECOND_NS / 5);
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

/* A client that has nothing in hand begins something, where it may. */
static void begin(struct load *load, struct client *c, uint64_t now)
{
    if (c->manner == MANNER_HOSTILE && c->stream.fd < 0 && !load->stopping) {
        begin_harm(load, c, now);
    } else if (c->manner != MANNER_HOSTILE && c->question == NULL && !load->stopping) {
        ask(load, c);
    } else if (c->question != NULL && c->stream.fd < 0 &&
               !stream_connect(&c->stream, load->port, reads_little(c))) {
        c->wake_ns = now + SECOND_NS / 10;
    }
}

/* What a client does when its time has come; ready: poll said so. */
static void step(struct load *load, struct client *c, bool ready, uint64_t now)
{
    if (c->stream.fd < 0) {
        return;
    }
    if (c->manner == MANNER_HOSTILE) {
        if (ready) {
            stream_go_on(&c->stream, SIZE_MAX);
        }
        if (c->stream.failed || c->stream.complete || now >= c->end_ns || load->stopping) {
            end_harm(load, c, now);
        }
        return;
    }
    if (ready && c->question != NULL) {
        go_on_asking(load, c, now);
    }
    if (c->manner == MANNER_LEAVES && c->question != NULL && now >= c->end_ns) {
        load->n_left++;
        stream_close(&c->stream);
        c->question = NULL;
    }
}

/* One turn of all clients; false when none has anything in hand any more. */
static bool turn(struct load *load)
{
    static struct pollfd polled[MAX_CLIENTS];
    uint64_t now = ox_clock_ns();
    bool busy = false;
    for (size_t i = 0; i < load->n_all; i++) {
        struct client *c = &load->clients[i];
        if (now >= c->wake_ns) {
            begin(load, c, now);
        }
        const bool wants = now >= c->wake_ns && (c->question != NULL || c->manner == MANNER_HOSTILE);
        polled[i] = (struct pollfd){.fd = wants ? c->stream.fd : -1, .events = stream_events(&c->stream)};
        busy = busy || c->question != NULL;
    }
    (void)poll(polled, load->n_all, 10);
    now = ox_clock_ns();
    for (size_t i = 0; i < load->n_all; i++) {
        step(load, &load->clients[i], polled[i].fd >= 0 && polled[i].revents != 0, now);
    }
    return busy || !load->stopping;
}

/* Note the server's memory; it is warm from a third of the time on. */
static void look(struct load *load, uint64_t second)
{
    const uint64_t bytes = resident_bytes(load->pid);
    NOTE("%" PRIu64 " s: %" PRIu64 " KiB, %zu files, %" PRIu64 " answers, %" PRIu64 " wrong, %" PRIu64 " broken",
         second, bytes >> 10, count_files(load->pid), load->n_checked, load->n_wrong, load->n_broken);
    if (load->warm_bytes == 0 && 3 * second >= load->seconds) {
        load->warm_bytes = bytes;
    }
    load->most_bytes = bytes > load->most_bytes && load->warm_bytes > 0 ? bytes : load->most_bytes;
}

static void run(struct load *load)
{
    const uint64_t start = ox_clock_ns();
    uint64_t next = LOOK_S;
    for (;;) {
        const uint64_t second = (ox_clock_ns() - start) / SECOND_NS;
        load->stopping = second >= load->seconds;
        if (!turn(load)) {
            break;
        }
        if (second >= next) {
            look(load, second);
            next += LOOK_S;
        }
    }
    for (size_t i = 0; i < load->n_all; i++) {
        stream_close(&load->clients[i].stream);
    }
    look(load, load->seconds);
}

static void open_clients(struct load *load)
{
    load->n_all = load->n_clients + (load->n_clients + 7) / 8;
    for (size_t i = 0; i < load->n_all; i++) {
        struct client *c = &load->clients[i];
        c->stream.fd = -1;
        c->who = i;
        c->manner = i < load->n_clients ? MANNER_GOOD : MANNER_HOSTILE;
        for (size_t j = 0; j < N_CROWD; j++) {
            c->crowd[j] = -1;
        }
    }
}

static void close_load(struct load *load)
{
    for (size_t i = 0; i < load->n_all; i++) {
        stream_fini(&load->clients[i].stream);
    }
    for (size_t i = 0; i < N_ALL_QUESTIONS; i++) {
        ox_buf_fini(&load->questions[i].body);
        ox_buf_fini(&load->questions[i].answer);
    }
}

/* ---- afterwards ------------------------------------------------------------------------------------------------ */

/* Until nothing runs or waits and no more files are open than at the beginning. They are counted when the connections that
 * asked have had time to end, too. */
static bool is_at_rest(const struct load *load, size_t n_files, size_t *n_now)
{
    bool rest = false;
    for (size_t i = 0; i < 100 && !rest; i++) {
        rest = stream_metric(load->port, "running") == 0.0 && stream_metric(load->port, "queue") == 0.0;
        poll(NULL, 0, 200);
        *n_now = count_files(load->pid);
        rest = rest && *n_now <= n_files;
    }
    return rest;
}

/* The server's bound is one of time on a machine that is its own. */
static void tell_pauses(const struct load *load, double lost)
{
    const double pause = stream_metric(load->port, "longest_pause_seconds");
    const double n_paused = stream_metric(load->port, "answers_paused_total");
    const double pass = stream_metric(load->port, "pass_seconds_total") / stream_metric(load->port, "passes_total");
    NOTE("longest pause: %.3f s as the server counts, %.3f s as good clients see it; a pass takes %.3f s; %.0f answers "
         "gave "
         "their memory away; others took %.0f %% of the server's time",
         pause, (double)load->longest_ns / (double)SECOND_NS, pass, n_paused, 100.0 * lost);
    if (load->wants_pauses) {
        OK(n_paused > 0.0, "answers gave their memory away and went on later: %.0f times", n_paused);
    }
    if (lost > MOST_LOST || n_paused > 0.0 || TAP_SANITIZED != 0) {
        SKIP("no pause is longer than --max-stall and a pass", "the machine is not the server's, or memory was short");
        return;
    }
    OK(pause >= 0.0 && pause <= load->stall_s + pass, "no pause is longer than --max-stall and a pass: %.3f s", pause);
}

static void tell(struct load *load, size_t n_files, double lost)
{
    uint64_t n_harms = 0;
    for (size_t i = 0; i < N_HARMS; i++) {
        n_harms += load->n_harms[i];
    }
    size_t n_now = 0;
    const bool rest = is_at_rest(load, n_files, &n_now);
    OK(load->n_checked > 0 && load->n_slow > 0 && load->n_left > 0 && n_harms > 0,
       "%" PRIu64 " answers, %" PRIu64 " of them read slowly; %" PRIu64 " clients left, %" PRIu64
       " were told to wait, %" PRIu64 " meant harm",
       load->n_checked, load->n_slow, load->n_left, load->n_busy, n_harms);
    OK(load->n_stalled > 0 && load->n_continued > 0, "%" PRIu64 " answers were not read for seconds, %" PRIu64
       " went on with a conversation", load->n_stalled, load->n_continued);
    IS_INT(load->n_wrong, 0, "answers that differ from those given alone");
    IS_INT(load->n_broken, 0, "answers that broke off");
    IS_INT(load->n_harm_served, 0, "requests answered that are none");
    OK(rest, "all is at rest: %zu files are open, %zu before; %.0f answers run, %.0f wait", n_now, n_files,
       stream_metric(load->port, "running"), stream_metric(load->port, "queue"));
    /* AddressSanitizer keeps what was freed. */
    OK(TAP_SANITIZED != 0 || load->most_bytes <= load->warm_bytes + load->growth_bytes,
       "memory is flat: %" PRIu64 " KiB when warm, at most %" PRIu64 " KiB later", load->warm_bytes >> 10,
       load->most_bytes >> 10);
    tell_pauses(load, lost);
}

static bool read_arguments(struct load *load, int argc, char **argv)
{
    uint64_t numbers[8] = {0, 0, 0, 0, 0, 0, 1, 0};
    for (int i = 1; i < argc && i <= 8; i++) {
        if (!ox_str_to_u64(ox_str_c(argv[i]), &numbers[i - 1])) {
            return false;
        }
    }
    load->port = (uint16_t)numbers[0];
    load->pid = numbers[1];
    load->seconds = numbers[2];
    load->n_clients = numbers[3];
    load->stall_s = (double)numbers[4] / 1000.0;
    load->growth_bytes = numbers[5] << 20;
    ox_rng_init(&load->rng, numbers[6]);
    load->wants_pauses = numbers[7] != 0;
    return argc >= 7 && load->n_clients > 0 && load->n_clients <= MAX_CLIENTS - (MAX_CLIENTS + 7) / 8;
}

int main(int argc, char **argv)
{
    static struct load load;
    if (!read_arguments(&load, argc, argv)) {
        fprintf(stderr, "usage: server_load PORT PID SECONDS CLIENTS STALL_MS GROWTH_MB [SEED [PAUSES]]\n");
        return 2;
    }
    open_clients(&load);
    const size_t n_files = count_files(load.pid);
    NOTE("start: %" PRIu64 " KiB, %zu files", resident_bytes(load.pid) >> 10, n_files);
    if (OK(ask_alone(&load), "every question alone")) {
        NOTE("alone: %" PRIu64 " KiB", resident_bytes(load.pid) >> 10);
        run(&load);
        tell(&load, n_files, lost_share(load.pid));
    }
    close_load(&load);
    return tap_done();
}
