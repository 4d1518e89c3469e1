/* SPDX-License-Identifier: Apache-2.0
 *
 * What a fallible function returns and how it says why. A status is a small code that a program can act on;
 * struct ox_error carries the one sentence that a person reads. The sentence is written once, where the fault
 * is seen, and names the file, tensor or option, what was expected and what was found.
 */
#ifndef OX_BASE_STATUS_H
#define OX_BASE_STATUS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define OX_ERROR_MESSAGE_BYTES 256

enum ox_status {
    OX_OK = 0,
    OX_E_NOMEM,     /* an allocation failed, or a model does not fit in memory */
    OX_E_IO,        /* a file or stream could not be opened, read or written */
    OX_E_FORMAT,    /* bytes that are not what their format demands */
    OX_E_SHAPE,     /* well-formed, but of another shape, type or size than the model needs */
    OX_E_LIMIT,     /* larger, deeper or longer than a named limit allows */
    OX_E_ARG,       /* an argument or option that makes no sense */
    OX_E_DEVICE,    /* a CPU level or device that was demanded is not there */
    OX_E_CANCELLED, /* the caller asked to stop */
    OX_E_STATE,     /* a call that the object cannot serve now (context full, nothing to decode) */
    OX_E_MEDIA,     /* a picture or clip that cannot be used */
    OX_E_BUSY,      /* somebody else has it, or too many want it: later perhaps */
};

/* Why a call failed. `code` OX_OK: nothing happened yet. Owned by the caller, plain data, may be copied. */
struct ox_error {
    enum ox_status code;
    int sys_errno;        /* errno at the fault, 0 if none */
    uint64_t offset;      /* byte offset in the input at the fault, 0 if it has none */
    char message[OX_ERROR_MESSAGE_BYTES];
};

/* Fill err (which may be NULL) with code and a printf-formatted sentence, and return code. A sentence that is too
 * long is cut at a character's end. Any thread. */
enum ox_status ox_error_set(struct ox_error *err, enum ox_status code, const char *format, ...) OX_PRINTF(3, 4);

/* The same, and append ": " with the text of sys_errno, which is kept. */
enum ox_status ox_error_set_errno(struct ox_error *err, enum ox_status code, int sys_errno, const char *format, ...)
    OX_PRINTF(4, 5);

/* Put a printf-formatted prefix before err's message (err may be NULL), e.g. a file's name and ": ". */
void ox_error_prefix(struct ox_error *err, const char *format, ...) OX_PRINTF(2, 3);

/* The standard sentence for a failed allocation of `bytes`; returns OX_E_NOMEM. */
enum ox_status ox_error_nomem(struct ox_error *err, size_t bytes);

/* A status as an identifier for logs, e.g. "OX_E_IO". Never NULL. */
const char *ox_status_name(enum ox_status status);

#endif
