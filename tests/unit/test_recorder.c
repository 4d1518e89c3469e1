/* SPDX-License-Identifier: Apache-2.0
 *
 * The trace's writer: what it writes, that nobody waits for it, what is left out when the file is slow or full, and that
 * closing writes the rest.
 */
#include "server/recorder.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "base/json.h"
#include "os/clock.h"
#include "tests/oom.h"
#include "tests/tap.h"

#define NAME "test_recorder.trace"
#define BIG ((size_t)200000) /* more than a pipe takes */

/* What the log heard. Read when the recorder is closed, or under the lock. */
static struct heard {
    pthread_mutex_t lock;
    size_t n;
    char last[256];
} heard = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_message(void *user, enum ox_log_level level, const char *text)
{
    (void)user;
    pthread_mutex_lock(&heard.lock);
    heard.n += level == OX_LOG_WARNING ? 1 : 0;
    snprintf(heard.last, sizeof heard.last, "%s", text);
    pthread_mutex_unlock(&heard.lock);
}

static size_t n_heard(void)
{
    pthread_mutex_lock(&heard.lock);
    const size_t n = heard.n;
    pthread_mutex_unlock(&heard.lock);
    return n;
}

static struct ox_recorder *open_recorder(int fd, size_t max_bytes)
{
    const struct ox_log log = {.message = on_message};
    struct ox_recorder *recorder = NULL;
    struct ox_error err = {0};
    heard.n = 0;
    heard.last[0] = '\0';
    OK(ox_recorder_open(fd, max_bytes, &log, &recorder, &err) == OX_OK, "opened %s", err.message);
    if (recorder == NULL) {
        exit(1);
    }
    return recorder;
}

/* A record whose request has so many blanks before its end. */
static void add(struct ox_recorder *recorder, int number, size_t n_more)
{
    struct ox_record record = {.time_s = 1.5, .http_status = number, .seconds = 0.25, .left = number % 2 == 1};
    snprintf(record.id, sizeof record.id, "req_%d", number);
    snprintf(record.address, sizeof record.address, "127.0.0.1");
    snprintf(record.method, sizeof record.method, "POST");
    ox_buf_add_c(&record.path, "/v1/completions");
    ox_buf_printf(&record.request, "{\"prompt\":\"%*s\"}", (int)n_more, "a");
    ox_buf_add_c(&record.reply, "data: {}\n\n");
    ox_recorder_add(recorder, &record);
    if (record.path.ptr != NULL || record.request.ptr != NULL || record.reply.ptr != NULL) {
        OK(false, "the record is empty afterwards");
    }
}

static void read_all(int fd, struct ox_buf *out)
{
    char bytes[65536];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) > 0) {
        ox_buf_add(out, bytes, (size_t)n);
    }
}

/* The numbers of the records in text, and how many lines are no JSON. */
static size_t read_lines(const struct ox_buf *text, int *numbers, size_t max, size_t *n_bad)
{
    const struct ox_str all = ox_buf_str(text);
    size_t n = 0;
    *n_bad = 0;
    for (size_t at = 0; at < all.len;) {
        const size_t end = ox_str_find(all, ox_str_c("\n"), at);
        json_t *line = NULL;
        if (end == all.len || ox_json_parse(ox_str_make(all.ptr + at, end - at), "line", &line, NULL) != OX_OK) {
            (*n_bad)++;
        } else if (n < max) {
            numbers[n++] = (int)json_integer_value(json_object_get(line, "status"));
        }
        json_decref(line);
        at = end + 1;
    }
    return n;
}

static void test_lines(void)
{
    static const char expected[] =
        "{\"time\":1.5,\"id\":\"req_200\",\"address\":\"127.0.0.1\",\"method\":\"POST\",\"path\":\"/v1/completions\","
        "\"status\":200,\"seconds\":0.25,\"left\":false,\"request\":{\"prompt\":\" a\"},\"reply\":\"data: {}\\n\\n\"}\n";
    struct ox_buf text = {0};
    int numbers[1000];
    size_t n_bad = 0;
    const int fd = open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct ox_recorder *recorder = open_recorder(fd, OX_RECORDER_BYTES);
    add(recorder, 200, 2);
    for (int i = 1; i < 1000; i++) {
        add(recorder, i, 10);
    }
    ox_recorder_close(&recorder);
    OK(recorder == NULL && lseek(fd, 0, SEEK_SET) == 0, "closed");
    read_all(fd, &text);
    OK(ox_str_starts(ox_buf_str(&text), ox_str_c(expected)), "a line: %.400s", ox_buf_text(&text));
    const size_t n = read_lines(&text, numbers, 1000, &n_bad);
    bool in_order = n == 1000;
    for (size_t i = 1; i < n; i++) {
        in_order = in_order && numbers[i] == (int)i;
    }
    OK(in_order && n_bad == 0 && heard.n == 0, "all that waited was written, in order: %zu", n);
    ox_buf_fini(&text);
    ox_recorder_close(&recorder);
    close(fd);
    (void)unlink(NAME);
}

static void *close_recorder(void *argument)
{
    ox_recorder_close(argument);
    return NULL;
}

/* Nobody reads: who adds does not wait, and what is too much is left out. */
static void test_slow(void)
{
    int ends[2];
    int numbers[100];
    size_t n_bad = 0;
    struct ox_buf text = {0};
    OK(pipe(ends) == 0, "a pipe");
    struct ox_recorder *recorder = open_recorder(ends[1], 3 * BIG);
    const uint64_t begin = ox_clock_ns();
    for (int i = 1; i <= 10; i++) {
        add(recorder, i, BIG);
    }
    OK(ox_clock_seconds(begin, ox_clock_ns()) < 5.0, "nobody waits");
    IS_INT(n_heard(), 1, "warnings");
    OK(strstr(heard.last, "left out") != NULL, "%s", heard.last);
    char first[1000];
    OK(read(ends[0], first, sizeof first) == (ssize_t)sizeof first, "somebody begins to read");
    ox_buf_add(&text, first, sizeof first);
    pthread_t closer;
    OK(pthread_create(&closer, NULL, close_recorder, &recorder) == 0, "it is closed");
    size_t n = 0;
    while (n < 2) {
        char bytes[65536];
        const ssize_t got = read(ends[0], bytes, sizeof bytes);
        if (got <= 0) {
            break;
        }
        ox_buf_add(&text, bytes, (size_t)got);
        n = read_lines(&text, numbers, 100, &n_bad);
    }
    pthread_join(closer, NULL);
    OK(n == 2 && n_bad == 0 && numbers[0] == 1 && numbers[1] == 2, "two had room: %zu", n);
    OK(heard.n == 2 && strcmp(heard.last, "--trace: 8 requests were left out") == 0, "%s", heard.last);
    close(ends[0]);
    close(ends[1]);
    ox_buf_fini(&text);
}

/* One that is larger than the room is written where nothing else waits. */
static void test_large(void)
{
    struct ox_buf text = {0};
    int numbers[4];
    size_t n_bad = 0;
    const int fd = open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct ox_recorder *recorder = open_recorder(fd, 1);
    add(recorder, 7, BIG);
    ox_recorder_close(&recorder);
    OK(lseek(fd, 0, SEEK_SET) == 0, "closed");
    read_all(fd, &text);
    OK(read_lines(&text, numbers, 4, &n_bad) == 1 && numbers[0] == 7 && heard.n == 0, "it is there");
    ox_buf_fini(&text);
    close(fd);
    (void)unlink(NAME);
}

static void test_full_disk(void)
{
    const int fd = open("/dev/full", O_WRONLY);
    if (fd < 0) {
        SKIP("a full disk", "there is no /dev/full");
        return;
    }
    struct ox_recorder *recorder = open_recorder(fd, OX_RECORDER_BYTES);
    for (int i = 1; i <= 5; i++) {
        add(recorder, i, 2);
    }
    ox_recorder_close(&recorder);
    OK(heard.n == 2 && strcmp(heard.last, "--trace: 5 requests were left out") == 0, "a full disk is told once: %zu, %s",
       heard.n, heard.last);
    close(fd);
}

/* A line that was cut off ends before the next one. */
static void test_torn(void)
{
    int ends[2];
    int numbers[4];
    size_t n_bad = 0;
    struct ox_buf text = {0};
    OK(pipe(ends) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0, "a pipe that does not wait");
    struct ox_recorder *recorder = open_recorder(ends[1], OX_RECORDER_BYTES);
    add(recorder, 1, BIG);
    for (int i = 0; i < 1000 && n_heard() == 0; i++) {
        poll(NULL, 0, 10);
    }
    OK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0, "read what is there");
    read_all(ends[0], &text);
    const size_t n_cut = text.len;
    add(recorder, 2, 2);
    ox_recorder_close(&recorder);
    read_all(ends[0], &text);
    OK(n_cut > 1000 && n_cut < BIG && text.ptr[n_cut] == '\n', "the first was cut off after %zu bytes", n_cut);
    OK(read_lines(&text, numbers, 4, &n_bad) == 1 && n_bad == 1 && numbers[0] == 2, "the second is whole");
    OK(strcmp(heard.last, "--trace: 1 requests were left out") == 0, "%s", heard.last);
    close(ends[0]);
    close(ends[1]);
    ox_buf_fini(&text);
}

static void test_no_memory(void)
{
    const struct ox_log log = {0};
    struct ox_recorder *recorder = NULL;
    struct ox_error err = {0};
    oom_arm(1);
    const enum ox_status status = ox_recorder_open(0, 1, &log, &recorder, &err);
    OK(oom_disarm() && status == OX_E_NOMEM && recorder == NULL, "%s", err.message);
}

int main(void)
{
    test_lines();
    test_slow();
    test_large();
    test_full_disk();
    test_torn();
    test_no_memory();
    return tap_done();
}
