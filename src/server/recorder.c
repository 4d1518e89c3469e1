/* SPDX-License-Identifier: Apache-2.0
 *
 * A list with a lock; the thread takes a record at a time, without the lock while it writes. A line that was written in part
 * is ended, so that those behind it can be read.
 */
#include "server/recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/json_build.h"
#include "base/mem.h"

struct node {
    struct node *next;
    struct ox_record record;
    size_t n_bytes;
};

struct ox_recorder {
    int fd;
    size_t max_bytes;
    struct ox_log log;
    pthread_t thread;
    bool has_thread;
    bool torn;    /* the thread's: the last line has no end */
    bool failing; /* the thread's: the last write failed */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct node *first;
    struct node *last;
    size_t n_bytes;     /* that wait, with those of the record in hand */
    uint64_t n_dropped; /* since the log was told their number */
    bool ending;
};

void ox_record_fini(struct ox_record *record)
{
    ox_buf_fini(&record->path);
    ox_buf_fini(&record->request);
    ox_buf_fini(&record->reply);
    memset(record, 0, sizeof *record);
}

/* ---- a line ------------------------------------------------------------------------------------------------------ */

/* A body as JSON if it is that, else as text. */
static json_t *as_json(const struct ox_buf *bytes)
{
    json_t *tree = NULL;
    if (bytes->len > 0 && ox_json_parse(ox_buf_str(bytes), "trace", &tree, NULL) == OX_OK) {
        return tree;
    }
    return ox_json_new_text(ox_buf_str(bytes));
}

static void add_line(const struct ox_record *record, struct ox_buf *line)
{
    json_t *object = json_object();
    ox_json_set(&object, "time", ox_json_new_real(record->time_s));
    ox_json_set(&object, "id", ox_json_new_text(ox_str_c(record->id)));
    ox_json_set(&object, "address", ox_json_new_text(ox_str_c(record->address)));
    ox_json_set(&object, "method", ox_json_new_text(ox_str_c(record->method)));
    ox_json_set(&object, "path", ox_json_new_text(ox_buf_str(&record->path)));
    ox_json_set(&object, "status", json_integer(record->http_status));
    ox_json_set(&object, "seconds", ox_json_new_real(record->seconds));
    ox_json_set(&object, "left", json_boolean(record->left));
    ox_json_set(&object, "request", as_json(&record->request));
    ox_json_set(&object, "reply", as_json(&record->reply));
    ox_json_write(object, line);
    json_decref(object);
    ox_buf_add_byte(line, '\n');
}

/* False: errno says why not all of it. */
static bool write_all(struct ox_recorder *recorder, const char *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        const ssize_t written = write(recorder->fd, bytes + at, n - at);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        at += written > 0 ? (size_t)written : 0;
        recorder->torn = at > 0 ? at < n : recorder->torn;
    }
    return true;
}

/* A full disk must not end the service. */
static bool write_record(struct ox_recorder *recorder, const struct ox_record *record)
{
    struct ox_buf line = {0};
    add_line(record, &line);
    if (ox_buf_failed(&line)) {
        ox_buf_fini(&line);
        return false;
    }
    const bool good = (!recorder->torn || write_all(recorder, "\n", 1)) && write_all(recorder, line.ptr, line.len);
    if (!good && !recorder->failing) {
        ox_log_message(&recorder->log, OX_LOG_WARNING, "--trace: %s", strerror(errno));
    }
    recorder->failing = !good;
    ox_buf_fini(&line);
    return good;
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

/* The next record; NULL at the end. */
static struct node *take(struct ox_recorder *recorder)
{
    pthread_mutex_lock(&recorder->lock);
    while (recorder->first == NULL && !recorder->ending) {
        pthread_cond_wait(&recorder->wake, &recorder->lock);
    }
    struct node *node = recorder->first;
    if (node != NULL) {
        recorder->first = node->next;
    }
    pthread_mutex_unlock(&recorder->lock);
    return node;
}

/* One is written, or not: the log is told how many are missing once there are no more that wait. */
static void settle(struct ox_recorder *recorder, size_t n_bytes, bool written)
{
    uint64_t n_dropped = 0;
    pthread_mutex_lock(&recorder->lock);
    recorder->n_bytes -= n_bytes;
    recorder->n_dropped += written ? 0 : 1;
    if (recorder->first == NULL && written) {
        n_dropped = recorder->n_dropped;
        recorder->n_dropped = 0;
    }
    pthread_mutex_unlock(&recorder->lock);
    if (n_dropped > 0) {
        ox_log_message(&recorder->log, OX_LOG_WARNING, "--trace: %" PRIu64 " requests were left out", n_dropped);
    }
}

static void *main_of_thread(void *argument)
{
    struct ox_recorder *recorder = argument;
    struct node *node = NULL;
    while ((node = take(recorder)) != NULL) {
        const bool written = write_record(recorder, &node->record);
        settle(recorder, node->n_bytes, written);
        ox_record_fini(&node->record);
        ox_free(node);
    }
    return NULL;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

enum ox_status ox_recorder_open(int fd, size_t max_bytes, const struct ox_log *log, struct ox_recorder **out,
                                struct ox_error *err)
{
    struct ox_recorder *recorder = ox_calloc(1, sizeof *recorder);
    if (recorder == NULL) {
        return ox_error_nomem(err, sizeof *recorder);
    }
    recorder->fd = fd;
    recorder->max_bytes = max_bytes;
    recorder->log = *log;
    pthread_mutex_init(&recorder->lock, NULL);
    pthread_cond_init(&recorder->wake, NULL);
    recorder->has_thread = pthread_create(&recorder->thread, NULL, main_of_thread, recorder) == 0;
    if (!recorder->has_thread) {
        ox_recorder_close(&recorder);
        return ox_error_set(err, OX_E_NOMEM, "a thread cannot be made");
    }
    *out = recorder;
    return OX_OK;
}

/* Put it into the list if there is room. The lock is held. */
static bool append(struct ox_recorder *recorder, struct node *node)
{
    const size_t room = recorder->max_bytes > recorder->n_bytes ? recorder->max_bytes - recorder->n_bytes : 0;
    if (node == NULL || (recorder->n_bytes > 0 && node->n_bytes > room)) {
        return false;
    }
    if (recorder->first == NULL) {
        recorder->first = node;
    } else {
        recorder->last->next = node;
    }
    recorder->last = node;
    recorder->n_bytes += node->n_bytes;
    pthread_cond_signal(&recorder->wake);
    return true;
}

void ox_recorder_add(struct ox_recorder *recorder, struct ox_record *record)
{
    struct node *node = ox_calloc(1, sizeof *node);
    if (node != NULL) {
        node->record = *record;
        node->n_bytes = sizeof *node + record->path.len + record->request.len + record->reply.len;
        memset(record, 0, sizeof *record);
    }
    pthread_mutex_lock(&recorder->lock);
    const bool taken = append(recorder, node);
    recorder->n_dropped += taken ? 0 : 1;
    const bool first = !taken && recorder->n_dropped == 1;
    pthread_mutex_unlock(&recorder->lock);
    if (first) {
        ox_log_message(&recorder->log, OX_LOG_WARNING, "--trace: requests are left out: the file is slow, or memory short");
    }
    if (!taken && node != NULL) {
        ox_record_fini(&node->record);
        ox_free(node);
    }
    ox_record_fini(record);
}

void ox_recorder_close(struct ox_recorder **recorder)
{
    struct ox_recorder *r = *recorder;
    if (r == NULL) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->ending = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    if (r->has_thread) {
        pthread_join(r->thread, NULL);
    }
    if (r->n_dropped > 0) {
        ox_log_message(&r->log, OX_LOG_WARNING, "--trace: %" PRIu64 " requests were left out", r->n_dropped);
    }
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    ox_free(r);
    *recorder = NULL;
}
