/* SPDX-License-Identifier: Apache-2.0
 *
 * Formats messages for a sink that the caller owns.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

void ox_log_message(const struct ox_log *log, enum ox_log_level level, const char *format, ...)
{
    if (log == NULL || log->message == NULL) {
        return;
    }
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log->message(log->user, level, text);
}

void ox_log_progress(const struct ox_log *log, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
    if (log != NULL && log->progress != NULL) {
        log->progress(log->user, phase, done, total, unit);
    }
}
