/* SPDX-License-Identifier: Apache-2.0
 *
 * The program's two streams. Standard output carries only the result, and a byte of it that cannot be written is a
 * failure; standard error carries messages, statistics and progress. What a model or a file says never drives a
 * terminal: control characters are left out there.
 */
#ifndef OX_CLI_OUTPUT_H
#define OX_CLI_OUTPUT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/log.h"
#include "base/status.h"
#include "base/str.h"

enum output_color { OUTPUT_COLOR_AUTO, OUTPUT_COLOR_ALWAYS, OUTPUT_COLOR_NEVER };

/* Progress of the phase in hand. */
struct output_progress {
    char phase[32];
    uint64_t begin_ns;
    uint64_t last_ns;
    uint64_t begin_done;
    unsigned last_tenth;
    bool active;
    bool on_screen; /* a line without end stands on the terminal */
};

struct output {
    int out;           /* file descriptor of the result */
    struct ox_buf pending; /* what is not written to it yet */
    FILE *err;
    FILE *log;         /* NULL: none; closed by output_close */
    bool out_terminal;
    bool err_terminal;
    bool err_redraws;  /* err is a terminal that can move its cursor */
    bool out_color;
    bool err_color;
    int verbosity;     /* -1 quiet, 0, 1, 2 */
    int write_errno;   /* first failure on out, 0: none */
    struct output_progress progress;
    pthread_mutex_t lock; /* of messages and progress */
};

struct output_options {
    enum output_color color;
    int verbosity;
    const char *log_file; /* NULL: none */
    const char *no_color; /* environment; NULL: not set */
    const char *term;
};

/* Take out, a file descriptor, and err (which stay the caller's). OX_E_IO if the log file cannot be opened. */
enum ox_status output_open(int out, FILE *err, const struct output_options *options, struct output *output,
                           struct ox_error *e) OX_MUST_USE;

/* Write out what is buffered, close the log. OX_E_IO with a sentence if any byte of the result was lost. */
enum ox_status output_close(struct output *output, struct ox_error *e) OX_MUST_USE;

/* The result. write: bytes as they are; text: without control characters if out is a terminal; flush: now. After a
 * failure they do nothing; output_failed tells. */
void output_write(struct output *output, const void *bytes, size_t len);
void output_text(struct output *output, struct ox_str text);
void output_printf(struct output *output, const char *format, ...) OX_PRINTF(2, 3);
void output_flush(struct output *output);
bool output_failed(const struct output *output);

/* Thinking: text in a faint colour if out has colours. */
void output_faint(struct output *output, struct ox_str text);

/* A line on stderr, "oxcart: " before it. Errors always; warnings and notes unless quiet; info with -v, debug with -vv.
 * These two and output_report: any thread. */
void output_message(struct output *output, enum ox_log_level level, const char *text);
void output_note(struct output *output, const char *format, ...) OX_PRINTF(2, 3);

/* A line on stderr as it is (statistics, help to a usage error); nothing if quiet, unless it belongs to an error. */
void output_line(struct output *output, bool of_error, const char *text);

/* How far a phase is; done == total ends it. Shown once it has lasted a second: one line, redrawn, on a terminal, else a
 * whole line every 10 % or 10 s. */
void output_report(struct output *output, const char *phase, uint64_t done, uint64_t total, const char *unit);

/* Take the progress line off the screen. */
void output_clear_progress(struct output *output);

#endif
