/* SPDX-License-Identifier: Apache-2.0
 *
 * Error values: formatting a sentence into a fixed buffer, cut at a character's end where it is too long.
 */
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* End text, of which `wanted` bytes were to be written, at the end of a UTF-8 character. */
static void cut_at_character(char *text, int wanted)
{
    const size_t len = strlen(text);
    if (wanted < 0) {
        text[0] = '\0';
    } else if ((size_t)wanted > len) {
        text[len - ox_utf8_tail(ox_str_make(text, len))] = '\0';
    }
}

static void set(struct ox_error *err, enum ox_status code, int sys_errno, const char *format, va_list args)
    OX_PRINTF(4, 0);
static void set(struct ox_error *err, enum ox_status code, int sys_errno, const char *format, va_list args)
{
    err->code = code;
    err->sys_errno = sys_errno;
    err->offset = 0;
    cut_at_character(err->message, vsnprintf(err->message, sizeof err->message, format, args));
}

enum ox_status ox_error_set(struct ox_error *err, enum ox_status code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        set(err, code, 0, format, args);
        va_end(args);
    }
    return code;
}

enum ox_status ox_error_set_errno(struct ox_error *err, enum ox_status code, int sys_errno, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        set(err, code, sys_errno, format, args);
        va_end(args);
        char room_for_reason[96];
        /* glibc's form, which returns the text. */
        const char *reason = strerror_r(sys_errno, room_for_reason, sizeof room_for_reason);
        const size_t len = strlen(err->message);
        const size_t room = sizeof err->message - len;
        cut_at_character(err->message + len, snprintf(err->message + len, room, ": %s", reason));
    }
    return code;
}

void ox_error_prefix(struct ox_error *err, const char *format, ...)
{
    if (err == NULL) {
        return;
    }
    char old[OX_ERROR_MESSAGE_BYTES];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, format);
    cut_at_character(err->message, vsnprintf(err->message, sizeof err->message, format, args));
    va_end(args);
    const size_t len = strlen(err->message);
    const size_t room = sizeof err->message - len;
    cut_at_character(err->message + len, snprintf(err->message + len, room, "%s", old));
}

enum ox_status ox_error_nomem(struct ox_error *err, size_t bytes)
{
    return ox_error_set(err, OX_E_NOMEM, "out of memory: %zu bytes could not be allocated", bytes);
}

const char *ox_status_name(enum ox_status status)
{
    static const char *const names[] = {"OX_OK",    "OX_E_NOMEM",  "OX_E_IO",        "OX_E_FORMAT", "OX_E_SHAPE",
                                        "OX_E_LIMIT", "OX_E_ARG", "OX_E_DEVICE", "OX_E_CANCELLED", "OX_E_STATE",
                                        "OX_E_MEDIA", "OX_E_BUSY"};
    if ((size_t)status >= sizeof names / sizeof names[0]) {
        return "OX_E_UNKNOWN";
    }
    return names[status];
}
