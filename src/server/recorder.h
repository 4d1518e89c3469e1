/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the trace: a thread of its own makes a JSON line of each record and writes it, so that a slow disk holds up
 * nobody. What waits for it is bounded; records beyond that are left out, and the log says so.
 */
#ifndef OX_SERVER_RECORDER_H
#define OX_SERVER_RECORDER_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/status.h"

/* Bytes of records that wait, unless a single one is larger. */
#define OX_RECORDER_BYTES ((size_t)64 << 20)

/* A request that is over. */
struct ox_record {
    double time_s; /* Unix time */
    char id[24];
    char address[64];
    char method[17]; /* cut */
    struct ox_buf path;
    int http_status;
    double seconds;
    bool left;             /* the client, before the end */
    struct ox_buf request; /* bodies: JSON, or else text */
    struct ox_buf reply;
};
void ox_record_fini(struct ox_record *record);

struct ox_recorder;

/* Begin to write to fd, the caller's, records of at most max_bytes at a time. log (copied) hears of what is left out, on the
 * threads that add, write and close. OX_E_NOMEM if there is no memory or thread. */
enum ox_status ox_recorder_open(int fd, size_t max_bytes, const struct ox_log *log, struct ox_recorder **out,
                                struct ox_error *err) OX_MUST_USE;

/* Take the record, which is empty afterwards. Never waits for the file. Any thread. */
void ox_recorder_add(struct ox_recorder *recorder, struct ox_record *record);

/* Write what waits, end the thread and free; *recorder becomes NULL and may be NULL. */
void ox_recorder_close(struct ox_recorder **recorder);

#endif
