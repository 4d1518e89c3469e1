/* SPDX-License-Identifier: Apache-2.0
 *
 * Running the helper: a child with one open file to read, a pipe to answer through, no environment, and a deadline.
 */
#ifndef OX_MEDIA_CHILD_H
#define OX_MEDIA_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

/* A running child. All zero is none. */
struct ox_child {
    pid_t pid;
    int answer; /* the pipe's end; valid if pid > 0 */
    uint32_t timeout_ms;
    int64_t deadline_ms; /* CLOCK_MONOTONIC */
};

/* Start argv[0] (a path; argv ends with NULL) with input as its standard input, its output into a pipe and nothing else
 * open. OX_E_IO names argv[0]. After success the child must be ended with ox_child_finish. */
enum ox_status ox_child_start(const char *const *argv, int input, uint32_t timeout_ms, struct ox_child *child,
                              struct ox_error *err) OX_MUST_USE;

/* Read exactly len bytes of the answer. OX_E_LIMIT at the deadline. OX_E_IO if the answer ends before: the child is
 * waited for, and the message says how it ended. */
enum ox_status ox_child_read(struct ox_child *child, void *bytes, size_t len, struct ox_error *err) OX_MUST_USE;

/* Kill the child if it still runs, and wait for it. Accepts one that was finished. */
void ox_child_finish(struct ox_child *child);

#endif
