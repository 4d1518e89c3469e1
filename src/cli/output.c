/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing to the two streams and the log file: results checked byte for byte, messages kept apart from the progress
 * line, control characters kept off the terminal.
 */
#include "cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "os/clock.h"

#define NS_PER_S UINT64_C(1000000000)
#define REDRAW_NS (NS_PER_S / 10)
#define SPARSE_NS (10 * NS_PER_S)
#define PENDING_BYTES ((size_t)1 << 16)

/* A terminal that understands more than text. */
static bool is_smart(bool terminal, const char *term)
{
    return terminal && term != NULL && strcmp(term, "dumb") != 0;
}

static bool use_color(const struct output_options *options, bool terminal)
{
    if (options->color != OUTPUT_COLOR_AUTO) {
        return options->color == OUTPUT_COLOR_ALWAYS;
    }
    return is_smart(terminal, options->term) && options->no_color == NULL;
}

enum ox_status output_open(int out, FILE *err, const struct output_options *options, struct output *output,
                           struct ox_error *e)
{
    memset(output, 0, sizeof *output);
    pthread_mutex_init(&output->lock, NULL);
    output->out = out;
    output->err = err;
    output->out_terminal = isatty(out) == 1;
    output->err_terminal = isatty(fileno(err)) == 1;
    output->err_redraws = is_smart(output->err_terminal, options->term);
    output->out_color = use_color(options, output->out_terminal);
    output->err_color = use_color(options, output->err_terminal);
    output->verbosity = options->verbosity;
    if (options->log_file != NULL) {
        output->log = fopen(options->log_file, "ae");
        if (output->log == NULL) {
            return ox_error_set_errno(e, OX_E_IO, errno, "--log-file: '%s' cannot be opened", options->log_file);
        }
    }
    return OX_OK;
}

/* Write all that is pending; Ctrl-C does not stop it (its handler does, the second time). */
static void drain(struct output *output)
{
    size_t done = 0;
    while (done < output->pending.len && output->write_errno == 0) {
        const ssize_t n = write(output->out, output->pending.ptr + done, output->pending.len - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno != EINTR) {
            output->write_errno = errno;
        }
    }
    ox_buf_clear(&output->pending);
}

enum ox_status output_close(struct output *output, struct ox_error *e)
{
    output_clear_progress(output);
    drain(output);
    ox_buf_fini(&output->pending);
    if (output->log != NULL) {
        fclose(output->log);
        output->log = NULL;
    }
    if (output->write_errno != 0) {
        return ox_error_set_errno(e, OX_E_IO, output->write_errno, "standard output cannot be written");
    }
    return OX_OK;
}

bool output_failed(const struct output *output)
{
    return output->write_errno != 0;
}

void output_write(struct output *output, const void *bytes, size_t len)
{
    if (output->write_errno != 0 || len == 0) {
        return;
    }
    output_clear_progress(output);
    ox_buf_add(&output->pending, bytes, len);
    if (ox_buf_failed(&output->pending)) {
        output->write_errno = ENOMEM;
    } else if (output->pending.len >= PENDING_BYTES) {
        drain(output);
    }
}

void output_flush(struct output *output)
{
    drain(output);
}

/* Length of the control character at the beginning of s, 0 if there is none: C0 but tab and line feed, DEL, and C1 as
 * UTF-8 writes it. */
static size_t control_len(struct ox_str s)
{
    const unsigned char c = (unsigned char)s.ptr[0];
    if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7F) {
        return 1;
    }
    if (c == 0xC2 && s.len > 1 && (unsigned char)s.ptr[1] >= 0x80 && (unsigned char)s.ptr[1] < 0xA0) {
        return 2;
    }
    return 0;
}

/* Append s without control characters. */
static void add_tame(struct ox_buf *buf, struct ox_str s)
{
    size_t begin = 0;
    for (size_t i = 0; i < s.len;) {
        const size_t len = control_len(ox_str_make(s.ptr + i, s.len - i));
        if (len == 0) {
            i++;
            continue;
        }
        ox_buf_add(buf, s.ptr + begin, i - begin);
        i += len;
        begin = i;
    }
    if (begin < s.len) {
        ox_buf_add(buf, s.ptr + begin, s.len - begin);
    }
}

void output_text(struct output *output, struct ox_str text)
{
    if (!output->out_terminal) {
        output_write(output, text.ptr, text.len);
        return;
    }
    struct ox_buf tame = {0};
    add_tame(&tame, text);
    output_write(output, tame.ptr, tame.len);
    if (ox_buf_failed(&tame)) {
        output->write_errno = ENOMEM;
    }
    ox_buf_fini(&tame);
}

void output_printf(struct output *output, const char *format, ...)
{
    char text[512];
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(text, sizeof text, format, args);
    if (n >= 0 && (size_t)n < sizeof text) {
        output_write(output, text, (size_t)n);
    } else if (n >= 0) {
        char *longer = ox_calloc((size_t)n + 1, 1);
        if (longer != NULL) {
            (void)vsnprintf(longer, (size_t)n + 1, format, again);
            output_write(output, longer, (size_t)n);
        } else {
            output->write_errno = ENOMEM;
        }
        ox_free(longer);
    }
    va_end(again);
    va_end(args);
}

void output_faint(struct output *output, struct ox_str text)
{
    if (output->out_color) {
        output_write(output, "\033[2m", 4);
    }
    output_text(output, text);
    if (output->out_color) {
        output_write(output, "\033[0m", 4);
    }
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

/* Does the message belong on the screen? */
static bool is_wanted(const struct output *output, enum ox_log_level level)
{
    switch (level) {
    case OX_LOG_ERROR:
        return true;
    case OX_LOG_WARNING:
        return output->verbosity >= 0;
    case OX_LOG_INFO:
        return output->verbosity >= 1;
    case OX_LOG_DEBUG:
        return output->verbosity >= 2;
    }
    return false;
}

/* One line to the log file, with the time in UTC before it. */
static void log_line(struct output *output, const char *label, const char *text)
{
    struct timespec now;
    struct tm parts;
    char stamp[32] = "";
    if (output->log == NULL) {
        return;
    }
    if (clock_gettime(CLOCK_REALTIME, &now) == 0 && gmtime_r(&now.tv_sec, &parts) != NULL) {
        (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ ", &parts);
    }
    struct ox_buf tame = {0};
    add_tame(&tame, ox_str_c(text));
    fprintf(output->log, "%s%s%s\n", stamp, label, ox_buf_text(&tame));
    fflush(output->log);
    ox_buf_fini(&tame);
}

/* One line to stderr. A failure there has nowhere to be told. */
static void err_line(struct output *output, const char *color, const char *label, const char *text)
{
    output_clear_progress(output);
    output_flush(output);
    struct ox_buf line = {0};
    if (output->err_color && color[0] != '\0') {
        ox_buf_printf(&line, "%s%s\033[0m", color, label);
    } else {
        ox_buf_add_c(&line, label);
    }
    add_tame(&line, ox_str_c(text));
    ox_buf_add_byte(&line, '\n');
    fwrite(ox_buf_text(&line), 1, line.len, output->err);
    fflush(output->err);
    ox_buf_fini(&line);
}

void output_message(struct output *output, enum ox_log_level level, const char *text)
{
    static const struct {
        const char *color;
        const char *screen;
        const char *log;
    } labels[] = {
        [OX_LOG_ERROR] = {"\033[1;31m", "oxcart: ", "error: "},
        [OX_LOG_WARNING] = {"\033[1;33m", "oxcart: warning: ", "warning: "},
        [OX_LOG_INFO] = {"", "oxcart: ", "info: "},
        [OX_LOG_DEBUG] = {"", "oxcart: ", "debug: "},
    };
    pthread_mutex_lock(&output->lock);
    log_line(output, labels[level].log, text);
    if (is_wanted(output, level)) {
        err_line(output, labels[level].color, labels[level].screen, text);
    }
    pthread_mutex_unlock(&output->lock);
}

void output_note(struct output *output, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&output->lock);
    log_line(output, "note: ", text);
    if (output->verbosity >= 0) {
        err_line(output, "", "oxcart: ", text);
    }
    pthread_mutex_unlock(&output->lock);
}

void output_line(struct output *output, bool of_error, const char *text)
{
    log_line(output, "", text);
    if (of_error || output->verbosity >= 0) {
        err_line(output, "", "", text);
    }
}

/* ---- progress -------------------------------------------------------------------------------------------------- */

void output_clear_progress(struct output *output)
{
    if (output->progress.on_screen) {
        fputs("\r\033[K", output->err);
        fflush(output->err);
        output->progress.on_screen = false;
    }
}

static void format_count(uint64_t n, const char *unit, char *text, size_t room)
{
    if (strcmp(unit, "bytes") == 0) {
        snprintf(text, room, "%.1f GB", (double)n / 1e9);
    } else {
        snprintf(text, room, "%" PRIu64, n);
    }
}

/* "verify 1.2/13.0 GB (9.2 %) 2.1 GB/s" */
static void format_progress(const struct output_progress *progress, uint64_t done, uint64_t total, const char *unit,
                            uint64_t now_ns, char *text, size_t room)
{
    char part[32];
    char whole[32];
    const bool bytes = strcmp(unit, "bytes") == 0;
    const double seconds = ox_clock_seconds(progress->begin_ns, now_ns);
    const uint64_t gained = done > progress->begin_done ? done - progress->begin_done : 0;
    const double rate = seconds > 0.0 ? (double)gained / seconds : 0.0;
    format_count(done, unit, part, sizeof part);
    format_count(total, unit, whole, sizeof whole);
    snprintf(text, room, "%s %s/%s%s%s (%.1f %%) %.1f %s/s", progress->phase, part, whole, bytes ? "" : " ",
             bytes ? "" : unit, total > 0 ? 100.0 * (double)done / (double)total : 100.0, bytes ? rate / 1e9 : rate,
             bytes ? "GB" : unit);
}

static void report(struct output *output, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
    struct output_progress *progress = &output->progress;
    const uint64_t now_ns = ox_clock_ns();
    if (output->verbosity < 0) {
        return;
    }
    if (!progress->active || strncmp(progress->phase, phase, sizeof progress->phase - 1) != 0) {
        output_clear_progress(output);
        memset(progress, 0, sizeof *progress);
        snprintf(progress->phase, sizeof progress->phase, "%s", phase);
        progress->active = true;
        progress->begin_ns = now_ns;
        progress->last_ns = now_ns;
        progress->begin_done = done;
    }
    const unsigned tenth = total > 0 ? (unsigned)((double)done / (double)total * 10.0) : 10;
    const bool long_enough = now_ns - progress->begin_ns >= NS_PER_S;
    const uint64_t since_ns = now_ns - progress->last_ns;
    char text[160];
    if (output->err_redraws) {
        if (done < total && long_enough && (since_ns >= REDRAW_NS || !progress->on_screen)) {
            format_progress(progress, done, total, unit, now_ns, text, sizeof text);
            output_flush(output);
            fprintf(output->err, "\r\033[K%s", text);
            fflush(output->err);
            progress->on_screen = true;
            progress->last_ns = now_ns;
        }
    } else if (long_enough && (tenth > progress->last_tenth || since_ns >= SPARSE_NS)) {
        format_progress(progress, done, total, unit, now_ns, text, sizeof text);
        err_line(output, "", "", text);
        progress->last_tenth = tenth;
        progress->last_ns = now_ns;
    }
    if (done >= total) {
        output_clear_progress(output);
        progress->active = false;
    }
}

void output_report(struct output *output, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
    pthread_mutex_lock(&output->lock);
    report(output, phase, done, total, unit);
    pthread_mutex_unlock(&output->lock);
}
