/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder is read once, when it is opened; afterwards only what was written by this process is believed to be there,
 * and a file is read as if anybody might have changed it.
 */
#include "engine/block_disk.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "os/file.h"
#include "os/folder.h"

/* "0123456789abcdef0123456789abcdef.kv" */
#define NAME_BYTES 36

struct queue {
    struct ox_disk_job *first;
    struct ox_disk_job **end;
};

struct ox_block_disk {
    char *path;
    struct ox_log log;
    void (*finished)(void *user);
    void *finished_user;
    struct ox_hash identity;
    struct ox_hash root;
    size_t block;
    size_t block_bytes;
    size_t header_bytes;
    int lock; /* -1: none */
    struct ox_disk_file *files;
    size_t n_files;
    size_t files_cap;

    pthread_mutex_t mutex; /* for all that follows */
    pthread_cond_t wake;
    struct queue reads;
    struct queue others;
    struct queue done;
    size_t n_jobs;
    size_t n_attending;
    bool working; /* a job is being done: one at a time, so that their order is that of the files */
    bool stopping;
};

/* ---- names ----------------------------------------------------------------------------------------------------- */

static void name_of(struct ox_hash key, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%016llx%016llx.kv", (unsigned long long)key.word[0], (unsigned long long)key.word[1]);
}

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name);
    const size_t m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* FOLDER/NAME; false if that is too long to be a path. */
static bool path_of(const struct ox_block_disk *disk, const char *name, char path[PATH_MAX])
{
    const int n = snprintf(path, PATH_MAX, "%s/%s", disk->path, name);
    return n > 0 && n < PATH_MAX;
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static enum ox_status note_file(struct ox_block_disk *disk, const struct ox_kv_record *record, uint64_t bytes,
                                int64_t changed, struct ox_error *err)
{
    void *files = disk->files;
    if (ox_grow(&files, &disk->files_cap, disk->n_files + 1, sizeof *disk->files) != 0) {
        return ox_error_nomem(err, disk->n_files * sizeof *disk->files);
    }
    disk->files = files;
    struct ox_disk_file *file = &disk->files[disk->n_files];
    *file = (struct ox_disk_file){.key = record->key, .parent = record->parent, .bytes = bytes, .changed = changed};
    file->foreign = !ox_hash_equal(record->identity, disk->identity);
    if (!file->foreign) {
        file->words = ox_calloc(disk->block, sizeof *file->words);
        if (file->words == NULL) {
            return ox_error_nomem(err, disk->block * sizeof *file->words);
        }
        for (size_t i = 0; i < disk->block; i++) {
            file->words[i] = ox_kv_record_word(record, i);
        }
    }
    disk->n_files++;
    return OX_OK;
}

/* The header of the file at path, in *header (ox_free). */
static enum ox_status read_header(const char *path, uint8_t **header, struct ox_kv_record *record, struct ox_error *err)
{
    uint8_t first[OX_KV_RECORD_FIRST] = {0};
    size_t len = 0;
    *header = NULL;
    enum ox_status status = ox_file_read_at(path, 0, first, sizeof first, err);
    if (status == OX_OK) {
        status = ox_kv_record_length(first, sizeof first, &len, err);
    }
    if (status == OX_OK) {
        *header = ox_calloc(len, 1);
        status = *header != NULL ? OX_OK : ox_error_nomem(err, len);
    }
    if (status == OX_OK) {
        status = ox_file_read_at(path, 0, *header, len, err);
    }
    return status == OX_OK ? ox_kv_record_parse(*header, len, record, err) : status;
}

/* Is a record of ours a whole block in its own file? */
static bool fits(const struct ox_block_disk *disk, const struct ox_kv_record *record, const char *name, uint64_t bytes)
{
    char own[NAME_BYTES];
    name_of(record->key, own);
    if (strcmp(name, own) != 0 || bytes != record->header_bytes + record->payload_bytes) {
        return false;
    }
    return !ox_hash_equal(record->identity, disk->identity) ||
           (record->block == disk->block && record->n_tokens == disk->block &&
            record->payload_bytes == disk->block_bytes);
}

static enum ox_status look_at(void *user, const char *name, uint64_t bytes, int64_t changed, struct ox_error *err)
{
    struct ox_block_disk *disk = user;
    char path[PATH_MAX];
    if (!path_of(disk, name, path)) {
        return OX_OK;
    }
    if (ends_with(name, ".tmp")) {
        ox_file_remove(path);
        return OX_OK;
    }
    if (!ends_with(name, ".kv")) {
        return OX_OK;
    }
    struct ox_kv_record record;
    struct ox_error why = {0};
    uint8_t *header = NULL;
    enum ox_status status = read_header(path, &header, &record, &why);
    if (status == OX_OK && !fits(disk, &record, name, bytes)) {
        status = ox_error_set(&why, OX_E_FORMAT, "KV record: not as long as it says, or under another's name");
    }
    if (status == OX_OK) {
        status = note_file(disk, &record, bytes, changed, err);
    } else if (status == OX_E_NOMEM) {
        (void)ox_error_nomem(err, OX_KV_RECORD_MAX_HEADER);
    } else {
        ox_log_message(&disk->log, OX_LOG_WARNING, "%s: removed from the cache: %s", name, why.message);
        ox_file_remove(path);
        status = OX_OK;
    }
    ox_free(header);
    return status;
}

/* Read the secret, or make one. */
static enum ox_status open_root(struct ox_block_disk *disk, struct ox_error *err)
{
    char path[PATH_MAX];
    uint8_t bytes[16];
    if (!path_of(disk, "root", path)) {
        return ox_error_set(err, OX_E_ARG, "%s: the path is too long", disk->path);
    }
    if (ox_file_read_at(path, 0, bytes, sizeof bytes, NULL) != OX_OK) {
        if (ox_rng_secret(bytes, sizeof bytes) != 0) {
            return ox_error_set(err, OX_E_IO, "the system gives no random key");
        }
        const enum ox_status status = ox_file_write(path, bytes, sizeof bytes, err);
        if (status != OX_OK) {
            return status;
        }
    }
    memcpy(&disk->root, bytes, sizeof disk->root);
    return OX_OK;
}

static enum ox_status open_folder(struct ox_block_disk *disk, struct ox_error *err)
{
    char path[PATH_MAX];
    enum ox_status status = ox_folder_make(disk->path, err);
    if (status == OX_OK && !path_of(disk, "lock", path)) {
        status = ox_error_set(err, OX_E_ARG, "%s: the path is too long", disk->path);
    }
    if (status == OX_OK) {
        status = ox_folder_lock(path, &disk->lock, err);
    }
    if (status == OX_OK) {
        status = open_root(disk, err);
    }
    return status == OX_OK ? ox_folder_list(disk->path, look_at, disk, err) : status;
}

enum ox_status ox_block_disk_open(const char *path, struct ox_hash identity, const struct ox_kv_layout *layout,
                                  const struct ox_log *log, void (*finished)(void *user), void *user,
                                  struct ox_block_disk **out, struct ox_error *err)
{
    struct ox_block_disk *disk = ox_calloc(1, sizeof *disk);
    if (disk == NULL) {
        return ox_error_nomem(err, sizeof *disk);
    }
    pthread_mutex_init(&disk->mutex, NULL);
    pthread_cond_init(&disk->wake, NULL);
    disk->reads.end = &disk->reads.first;
    disk->others.end = &disk->others.first;
    disk->done.end = &disk->done.first;
    disk->lock = -1;
    disk->finished = finished;
    disk->finished_user = user;
    disk->identity = identity;
    disk->block = layout->block;
    disk->block_bytes = layout->block_bytes;
    disk->header_bytes = ox_kv_record_header_bytes(layout->block);
    if (log != NULL) {
        disk->log = *log;
    }
    disk->path = ox_strdup(path);
    enum ox_status status = OX_OK;
    if (disk->path == NULL) {
        status = ox_error_nomem(err, strlen(path) + 1);
    } else if (layout->block > OX_KV_RECORD_MAX_BLOCK) {
        status = ox_error_set(err, OX_E_LIMIT, "cache-dir: blocks of %zu tokens are too large", layout->block);
    } else {
        status = open_folder(disk, err);
    }
    if (status != OX_OK) {
        ox_block_disk_close(&disk);
        return status;
    }
    *out = disk;
    return OX_OK;
}

static void free_jobs(struct ox_disk_job *job)
{
    while (job != NULL) {
        struct ox_disk_job *next = job->next;
        ox_free(job);
        job = next;
    }
}

void ox_block_disk_close(struct ox_block_disk **disk)
{
    struct ox_block_disk *d = *disk;
    if (d == NULL) {
        return;
    }
    free_jobs(d->reads.first);
    free_jobs(d->others.first);
    free_jobs(d->done.first);
    for (size_t i = 0; i < d->n_files; i++) {
        ox_free(d->files[i].words);
    }
    ox_free(d->files);
    if (d->lock >= 0) {
        ox_folder_unlock(d->lock);
    }
    ox_free(d->path);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->mutex);
    ox_free(d);
    *disk = NULL;
}

struct ox_disk_file *ox_block_disk_files(struct ox_block_disk *disk, size_t *n)
{
    *n = disk->n_files;
    return disk->files;
}

struct ox_hash ox_block_disk_root(const struct ox_block_disk *disk)
{
    return disk->root;
}

uint64_t ox_block_disk_file_bytes(const struct ox_block_disk *disk)
{
    return (uint64_t)disk->header_bytes + disk->block_bytes;
}

uint64_t ox_block_disk_free_bytes(const struct ox_block_disk *disk)
{
    return ox_folder_free_bytes(disk->path);
}

/* ---- jobs ------------------------------------------------------------------------------------------------------ */

static void push(struct queue *queue, struct ox_disk_job *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
}

static struct ox_disk_job *pop(struct queue *queue)
{
    struct ox_disk_job *job = queue->first;
    if (job != NULL) {
        queue->first = job->next;
        queue->end = queue->first != NULL ? queue->end : &queue->first;
    }
    return job;
}

void ox_block_disk_submit(struct ox_block_disk *disk, struct ox_disk_job *job)
{
    pthread_mutex_lock(&disk->mutex);
    push(job->kind == OX_DISK_READ ? &disk->reads : &disk->others, job);
    disk->n_jobs++;
    pthread_cond_signal(&disk->wake);
    pthread_mutex_unlock(&disk->mutex);
}

struct ox_disk_job *ox_block_disk_finished(struct ox_block_disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    struct ox_disk_job *done = disk->done.first;
    disk->done.first = NULL;
    disk->done.end = &disk->done.first;
    pthread_mutex_unlock(&disk->mutex);
    return done;
}

size_t ox_block_disk_n_jobs(struct ox_block_disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    const size_t n = disk->n_jobs;
    pthread_mutex_unlock(&disk->mutex);
    return n;
}

static enum ox_status write_block(struct ox_block_disk *disk, const char *path, const struct ox_disk_job *job,
                                  uint8_t *header, struct ox_error *err)
{
    const struct ox_kv_record record = {.identity = disk->identity,
                                        .key = job->key,
                                        .parent = job->parent,
                                        .block = (uint32_t)disk->block,
                                        .n_tokens = (uint32_t)disk->block,
                                        .payload_bytes = disk->block_bytes,
                                        .payload_sum = ox_checksum(job->payload, disk->block_bytes)};
    ox_kv_record_write(&record, job->words, header);
    const struct ox_str parts[] = {ox_str_make((const char *)header, disk->header_bytes),
                                   ox_str_make((const char *)job->payload, disk->block_bytes)};
    return ox_file_write_parts(path, parts, 2, err);
}

/* Everything must be what the job expects: the file may be damaged, or not the one that was written. */
static bool is_expected(const struct ox_block_disk *disk, const struct ox_disk_job *job,
                        const struct ox_kv_record *record)
{
    bool same = ox_hash_equal(record->identity, disk->identity) && ox_hash_equal(record->key, job->key) &&
                ox_hash_equal(record->parent, job->parent) && record->block == disk->block &&
                record->n_tokens == disk->block && record->payload_bytes == disk->block_bytes;
    for (size_t i = 0; same && i < disk->block; i++) {
        same = ox_kv_record_word(record, i) == job->words[i];
    }
    return same;
}

static enum ox_status read_block(const struct ox_block_disk *disk, const char *path, const struct ox_disk_job *job,
                                 struct ox_error *err)
{
    struct ox_kv_record record;
    uint8_t *header = NULL;
    enum ox_status status = read_header(path, &header, &record, err);
    if (status == OX_OK && !is_expected(disk, job, &record)) {
        status = ox_error_set(err, OX_E_FORMAT, "KV record: another block than expected");
    }
    if (status == OX_OK) {
        status = ox_file_read_at(path, record.header_bytes, job->payload, disk->block_bytes, err);
    }
    if (status == OX_OK && !ox_hash_equal(record.payload_sum, ox_checksum(job->payload, disk->block_bytes))) {
        status = ox_error_set(err, OX_E_FORMAT, "KV record: the block is damaged");
    }
    ox_free(header);
    return status;
}

static void do_job(struct ox_block_disk *disk, struct ox_disk_job *job)
{
    char name[NAME_BYTES];
    char path[PATH_MAX];
    struct ox_error err = {0};
    name_of(job->key, name);
    if (!path_of(disk, name, path)) {
        job->status = ox_error_set(&err, OX_E_IO, "the path is too long");
    } else if (job->kind == OX_DISK_WRITE) {
        /* a header of its own: threads may work at the same time */
        uint8_t *header = ox_calloc(disk->header_bytes, 1);
        job->status =
            header != NULL ? write_block(disk, path, job, header, &err) : ox_error_nomem(&err, disk->header_bytes);
        ox_free(header);
    } else if (job->kind == OX_DISK_READ) {
        job->status = read_block(disk, path, job, &err);
        if (job->status == OX_OK) {
            ox_file_touch(path);
        } else if (job->status == OX_E_FORMAT) {
            ox_file_remove(path);
        }
    } else {
        ox_file_remove(path);
    }
    if (job->status != OX_OK) {
        ox_log_message(&disk->log, OX_LOG_WARNING, "cache: %s: %s", name, err.message);
    }
}

bool ox_block_disk_work(struct ox_block_disk *disk, bool wait)
{
    pthread_mutex_lock(&disk->mutex);
    while (wait && (disk->working || (disk->n_jobs == 0 && !disk->stopping))) {
        pthread_cond_wait(&disk->wake, &disk->mutex);
    }
    struct ox_disk_job *job = disk->working ? NULL : pop(&disk->reads);
    if (job == NULL && !disk->working) {
        job = pop(&disk->others);
    }
    disk->working = disk->working || job != NULL;
    pthread_mutex_unlock(&disk->mutex);
    if (job == NULL) {
        return false;
    }
    do_job(disk, job);
    pthread_mutex_lock(&disk->mutex);
    push(&disk->done, job);
    disk->n_jobs--;
    disk->working = false;
    pthread_cond_broadcast(&disk->wake);
    pthread_mutex_unlock(&disk->mutex);
    disk->finished(disk->finished_user);
    return true;
}

void ox_block_disk_stop(struct ox_block_disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    disk->stopping = true;
    pthread_cond_broadcast(&disk->wake);
    pthread_mutex_unlock(&disk->mutex);
}

void ox_block_disk_attend(struct ox_block_disk *disk, bool here)
{
    pthread_mutex_lock(&disk->mutex);
    disk->n_attending += here ? 1 : 0;
    disk->n_attending -= here ? 0 : 1;
    pthread_mutex_unlock(&disk->mutex);
}

bool ox_block_disk_is_attended(struct ox_block_disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    const bool attended = disk->n_attending > 0;
    pthread_mutex_unlock(&disk->mutex);
    return attended;
}
