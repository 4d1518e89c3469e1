/* SPDX-License-Identifier: Apache-2.0
 *
 * Where messages and progress go. The library prints nothing itself: it hands lines to the sink of its engine.
 */
#ifndef OX_BASE_LOG_H
#define OX_BASE_LOG_H

#include <stdint.h>

#include "base/compiler.h"

enum ox_log_level { OX_LOG_ERROR, OX_LOG_WARNING, OX_LOG_INFO, OX_LOG_DEBUG };

/* All zero is a valid sink that drops everything. Functions may be called from any one thread at a time; `text` has no
 * line end and is valid during the call only. */
struct ox_log {
    void (*message)(void *user, enum ox_log_level level, const char *text);
    /* Progress of a named phase, e.g. ("verify", bytes done, bytes in all, "bytes"); done == total ends the phase. */
    void (*progress)(void *user, const char *phase, uint64_t done, uint64_t total, const char *unit);
    void *user;
};

/* Format one message for log (which may be NULL or empty); cut at 1,023 bytes. */
void ox_log_message(const struct ox_log *log, enum ox_log_level level, const char *format, ...) OX_PRINTF(3, 4);

void ox_log_progress(const struct ox_log *log, const char *phase, uint64_t done, uint64_t total, const char *unit);

#endif
