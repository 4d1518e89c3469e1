/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder of the block store: one file for a block, KEY.kv, written whole or not at all, and never trusted before its
 * sums are checked. What happens to files is done by jobs in the order they came, reading before all else; somebody must
 * lend a thread (ox_block_disk_work). The rest is for the thread of the store.
 *
 * Besides the blocks there are two files: `lock`, and `root`, a secret of 16 bytes with which keys begin, so that nobody
 * can make up two histories of one key. Without it, no block is right any more.
 */
#ifndef OX_ENGINE_BLOCK_DISK_H
#define OX_ENGINE_BLOCK_DISK_H

#include <pthread.h>

#include "base/log.h"
#include "engine/kv_record.h"
#include "model/cache.h"

struct ox_block_disk;

/* A file that was found when the folder was opened and whose header is right. */
struct ox_disk_file {
    struct ox_hash key;
    struct ox_hash parent;
    uint64_t bytes;
    int64_t changed;
    bool foreign;    /* of another model, format, level or version: kept while there is room */
    bool linked;     /* the store knows it (set by the store) */
    uint64_t *words; /* [block], NULL if foreign; owned by the disk */
};

enum ox_disk_kind { OX_DISK_READ, OX_DISK_WRITE, OX_DISK_REMOVE };

/* One thing to do. Members but `next` and `status` are the store's; a job is the disk's from submit to its appearance
 * in ox_block_disk_finished. */
struct ox_disk_job {
    struct ox_disk_job *next;
    enum ox_disk_kind kind;
    struct ox_hash key;
    struct ox_hash parent;
    const uint64_t *words; /* [block] */
    uint8_t *payload;      /* [block_bytes] written from or read to; not for REMOVE */
    void *owner;
    enum ox_status status;
};

/* Open the folder at path (made if missing) for blocks of this identity and layout. Leftovers of writing that was cut
 * short, and files whose header is damaged, are removed. message may be NULL; it is called for what goes wrong, on the
 * calling thread and on that of ox_block_disk_work. finished(user): a job was done; any thread. OX_E_BUSY if another
 * process uses the folder, OX_E_IO. */
enum ox_status ox_block_disk_open(const char *path, struct ox_hash identity, const struct ox_kv_layout *layout,
                                  const struct ox_log *log, void (*finished)(void *user), void *user,
                                  struct ox_block_disk **out, struct ox_error *err) OX_MUST_USE;
/* No thread may be in ox_block_disk_work. Jobs that were not done are forgotten. */
void ox_block_disk_close(struct ox_block_disk **disk);

/* What was found; the array is the disk's. */
struct ox_disk_file *ox_block_disk_files(struct ox_block_disk *disk, size_t *n);
struct ox_hash ox_block_disk_root(const struct ox_block_disk *disk);
/* Bytes of one block's file. */
uint64_t ox_block_disk_file_bytes(const struct ox_block_disk *disk);
/* Bytes that can still be written on that disk. */
uint64_t ox_block_disk_free_bytes(const struct ox_block_disk *disk);

/* Hand in a job made with ox_calloc. */
void ox_block_disk_submit(struct ox_block_disk *disk, struct ox_disk_job *job);
/* All jobs done since the last call, in order; the caller frees them. */
struct ox_disk_job *ox_block_disk_finished(struct ox_block_disk *disk);
/* Jobs not done yet. */
size_t ox_block_disk_n_jobs(struct ox_block_disk *disk);

/* Do one job; one is done at a time. wait: wait for it to come; false if none can be done now (with wait: if all are done
 * after ox_block_disk_stop). Any thread. */
bool ox_block_disk_work(struct ox_block_disk *disk, bool wait);
/* Let waiting end once all jobs are done; nothing is submitted after it. */
void ox_block_disk_stop(struct ox_block_disk *disk);
/* Somebody is, or is no longer, inside a loop of ox_block_disk_work; is anybody? */
void ox_block_disk_attend(struct ox_block_disk *disk, bool here);
bool ox_block_disk_is_attended(struct ox_block_disk *disk);

#endif
