/* SPDX-License-Identifier: Apache-2.0
 *
 * The choice between the line editor and plain reading, and the history file's place.
 */
#include "cli/lines.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cli/line_editor.h"

#define MAX_LINE_BYTES ((size_t)64 << 20)

struct lines {
    const struct cli *cli;
    struct line_editor *editor; /* NULL: plain */
    struct ox_buf history;
};

/* Make the folders of path, as private as the XDG rules ask. A failure shows when the file is opened. */
static void make_folders(const struct ox_buf *path)
{
    struct ox_buf folder = {0};
    for (size_t i = 0; i < path->len; i++) {
        if (path->ptr[i] == '/' && i > 0) {
            ox_buf_clear(&folder);
            ox_buf_add(&folder, path->ptr, i);
            if (mkdir(ox_buf_text(&folder), 0700) != 0 && errno != EEXIST) {
                break;
            }
        }
    }
    ox_buf_fini(&folder);
}

static bool find_history(const struct cli_environment *environment, struct ox_buf *path)
{
    if (environment->state_home != NULL && environment->state_home[0] == '/') {
        ox_buf_printf(path, "%s/oxcart/history", environment->state_home);
    } else if (environment->home != NULL) {
        ox_buf_printf(path, "%s/.local/state/oxcart/history", environment->home);
    } else {
        return false;
    }
    return !ox_buf_failed(path);
}

struct lines *lines_open(const struct cli *cli, lines_words words)
{
    struct lines *lines = ox_calloc(1, sizeof *lines);
    if (lines == NULL) {
        return NULL;
    }
    lines->cli = cli;
    if (cli->in_terminal && cli->output->err_terminal) {
        const bool kept = find_history(&cli->environment, &lines->history);
        if (kept) {
            make_folders(&lines->history);
        }
        lines->editor = line_editor_open(kept ? ox_buf_text(&lines->history) : NULL, words, cli->output->err_redraws);
    }
    return lines;
}

void lines_close(struct lines *lines)
{
    if (lines != NULL) {
        line_editor_close(lines->editor);
        ox_buf_fini(&lines->history);
        ox_free(lines);
    }
}

static enum lines_result read_plain(struct ox_buf *out)
{
    errno = 0;
    for (;;) {
        const int c = getc(stdin);
        if (c == '\n') {
            return ox_buf_failed(out) ? LINES_FAILED : LINES_GOT;
        }
        if (c == EOF) {
            break;
        }
        ox_buf_add_byte(out, (char)c);
        if (out->len > MAX_LINE_BYTES) {
            return LINES_FAILED;
        }
    }
    if (ferror(stdin) != 0) {
        const bool interrupted = errno == EINTR;
        clearerr(stdin);
        return interrupted ? LINES_INTERRUPTED : LINES_END;
    }
    return out->len > 0 ? LINES_GOT : LINES_END;
}

enum lines_result lines_read(struct lines *lines, const char *prompt, struct ox_buf *out)
{
    ox_buf_clear(out);
    output_clear_progress(lines->cli->output);
    output_flush(lines->cli->output);
    if (lines->editor != NULL) {
        return line_editor_read(lines->editor, prompt, out);
    }
    const bool shown = lines->cli->in_terminal;
    fputs(shown ? prompt : "", stderr);
    fflush(stderr);
    const enum lines_result result = read_plain(out);
    if (shown && (result == LINES_INTERRUPTED || result == LINES_END)) {
        fputc('\n', stderr);
    }
    return result;
}
