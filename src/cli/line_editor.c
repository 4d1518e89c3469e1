/* SPDX-License-Identifier: Apache-2.0
 *
 * The line editor: libedit with history, completion of words and paths, bracketed paste (what is pasted is text, its
 * line ends do not send it), and the line in an editor of the user's choice.
 */
#include "cli/line_editor.h"

#include "config.h"

#ifdef OX_HAVE_EDITLINE

#include <errno.h>
#include <glob.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#include "base/mem.h"
#include "os/file.h"

#define HISTORY_LINES 1000
#define MAX_PASTE_BYTES ((size_t)64 << 20)

static const char paste_on[] = "\033[?2004h";
static const char paste_off[] = "\033[?2004l";
static const char paste_end[] = "\033[201~";

struct line_editor {
    EditLine *el;
    History *history;
    const char *path;
    lines_words words;
    bool smart_terminal;
    char prompt[64];
};

static struct line_editor *owner(EditLine *el)
{
    void *data = NULL;
    return el_get(el, EL_CLIENTDATA, &data) == 0 ? data : NULL;
}

static char *show_prompt(EditLine *el)
{
    static char none[] = "";
    struct line_editor *editor = owner(el);
    return editor != NULL ? editor->prompt : none;
}

/* What all of `names` begin with, cut to a character's end. */
static size_t common_length(const char *const *names, size_t n)
{
    size_t len = strlen(names[0]);
    for (size_t i = 1; i < n; i++) {
        size_t same = 0;
        while (same < len && names[i][same] == names[0][same]) {
            same++;
        }
        len = same;
    }
    while (len > 0 && ((unsigned char)names[0][len] & 0xC0U) == 0x80U) {
        len--;
    }
    return len;
}

/* Extend the typed beginning (typed bytes of it) by what the candidates share; list them if that is nothing. */
static unsigned char extend(EditLine *el, const char *const *names, size_t n, size_t typed, bool blank_after)
{
    if (n == 0) {
        return CC_REFRESH_BEEP;
    }
    const size_t len = common_length(names, n);
    if (len > typed) {
        char *more = ox_strndup(names[0] + typed, len - typed);
        if (more != NULL) {
            el_insertstr(el, more);
        }
        ox_free(more);
    }
    if (n == 1 && blank_after) {
        el_insertstr(el, " ");
    }
    if (n > 1 && len <= typed) {
        fputc('\n', stderr);
        for (size_t i = 0; i < n && i < 100; i++) {
            fprintf(stderr, "%s  ", names[i]);
        }
        fputc('\n', stderr);
        return CC_REDISPLAY;
    }
    return CC_REFRESH;
}

static unsigned char complete_word(EditLine *el, const struct line_editor *editor, struct ox_str typed)
{
    const char *found[64];
    size_t n = 0;
    for (size_t i = 0; editor->words(i) != NULL && n < 64; i++) {
        if (ox_str_starts(ox_str_c(editor->words(i)), typed)) {
            found[n++] = editor->words(i);
        }
    }
    return extend(el, found, n, typed.len, true);
}

static unsigned char complete_path(EditLine *el, struct ox_str typed)
{
    struct ox_buf pattern = {0};
    for (size_t i = 0; i < typed.len; i++) {
        if (strchr("*?[]\\", typed.ptr[i]) != NULL) {
            ox_buf_add_byte(&pattern, '\\');
        }
        ox_buf_add_byte(&pattern, typed.ptr[i]);
    }
    ox_buf_add_byte(&pattern, '*');
    glob_t found;
    unsigned char result = CC_REFRESH_BEEP;
    memset(&found, 0, sizeof found);
    if (!ox_buf_failed(&pattern) && glob(ox_buf_text(&pattern), GLOB_MARK, NULL, &found) == 0) {
        result = extend(el, (const char *const *)found.gl_pathv, found.gl_pathc, typed.len, false);
    }
    globfree(&found);
    ox_buf_fini(&pattern);
    return result;
}

static unsigned char complete(EditLine *el, wint_t key)
{
    (void)key;
    const struct line_editor *editor = owner(el);
    const LineInfo *line = el_line(el);
    const struct ox_str typed = ox_str_make(line->buffer, (size_t)(line->cursor - line->buffer));
    if (editor == NULL || typed.len == 0 || typed.ptr[0] != '/') {
        return CC_REFRESH_BEEP;
    }
    const char *blank = memchr(typed.ptr, ' ', typed.len);
    if (blank == NULL) {
        return complete_word(el, editor, typed);
    }
    const size_t begin = (size_t)(blank + 1 - typed.ptr);
    return complete_path(el, ox_str_make(typed.ptr + begin, typed.len - begin));
}

/* Take what is pasted up to the terminal's end mark. */
static unsigned char paste(EditLine *el, wint_t key)
{
    (void)key;
    struct ox_buf text = {0};
    const size_t end_len = sizeof paste_end - 1;
    char c;
    bool ended = false;
    while (!ended && text.len < MAX_PASTE_BYTES && el_getc(el, &c) == 1) {
        ox_buf_add_byte(&text, c == '\r' ? '\n' : c);
        ended = text.len >= end_len && memcmp(text.ptr + text.len - end_len, paste_end, end_len) == 0;
    }
    if (ended) {
        ox_buf_cut(&text, text.len - end_len);
    }
    if (text.len > 0 && !ox_buf_failed(&text)) {
        el_insertstr(el, ox_buf_text(&text));
    }
    ox_buf_fini(&text);
    return CC_REFRESH;
}

/* Run the user's editor on a file, with the terminal on all three streams; true if it ended well. */
static bool run_editor(const char *path)
{
    static const char command[] = "${VISUAL:-${EDITOR:-vi}} \"$1\"";
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", command, "sh", path, (char *)NULL);
        _exit(127);
    }
    int status = 1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void replace_line(EditLine *el, const struct ox_buf *text)
{
    const LineInfo *line = el_line(el);
    el_cursor(el, (int)(line->lastchar - line->cursor)); /* bytes, not characters: it stops at the end */
    el_deletestr(el, el_cursor(el, 0));
    if (text->len > 0) {
        el_insertstr(el, ox_buf_text(text));
    }
}

/* Let the user's editor change the line; it stays as it is if that fails. */
static unsigned char edit(EditLine *el, wint_t key)
{
    (void)key;
    const LineInfo *line = el_line(el);
    struct ox_buf text = {0};
    char path[] = "/tmp/oxcart-XXXXXX";
    const size_t len = (size_t)(line->lastchar - line->buffer);
    const int fd = mkstemp(path);
    bool good = fd >= 0 && write(fd, line->buffer, len) == (ssize_t)len;
    if (fd >= 0) {
        close(fd);
    }
    if (good) {
        el_set(el, EL_PREP_TERM, 0);
        good = run_editor(path) && ox_file_read(path, MAX_PASTE_BYTES, &text, NULL) == OX_OK;
        el_set(el, EL_PREP_TERM, 1);
    }
    if (fd >= 0) {
        unlink(path);
    }
    if (good) {
        while (text.len > 0 && text.ptr[text.len - 1] == '\n') {
            ox_buf_cut(&text, text.len - 1);
        }
        replace_line(el, &text);
    }
    ox_buf_fini(&text);
    return CC_REDISPLAY;
}

struct line_editor *line_editor_open(const char *history_path, lines_words words, bool smart_terminal)
{
    struct line_editor *editor = ox_calloc(1, sizeof *editor);
    if (editor == NULL) {
        return NULL;
    }
    editor->words = words;
    editor->path = history_path;
    editor->smart_terminal = smart_terminal;
    editor->el = el_init("oxcart", stdin, stderr, stderr);
    editor->history = history_init();
    if (editor->el == NULL || editor->history == NULL) {
        line_editor_close(editor);
        return NULL;
    }
    HistEvent event;
    history(editor->history, &event, H_SETSIZE, HISTORY_LINES);
    history(editor->history, &event, H_SETUNIQUE, 1);
    if (editor->path != NULL) {
        history(editor->history, &event, H_LOAD, editor->path);
    }
    el_set(editor->el, EL_CLIENTDATA, editor);
    el_set(editor->el, EL_PROMPT, show_prompt);
    el_set(editor->el, EL_EDITOR, "emacs");
    el_set(editor->el, EL_SIGNAL, 0);
    el_set(editor->el, EL_HIST, history, editor->history);
    /* The wide form: the other one copies these texts and never frees them. */
    el_wset(editor->el, EL_ADDFN, L"ox-complete", L"complete a command or path", complete);
    el_set(editor->el, EL_BIND, "^I", "ox-complete", NULL);
    el_wset(editor->el, EL_ADDFN, L"ox-paste", L"take pasted text as it is", paste);
    el_set(editor->el, EL_BIND, "\\e[200~", "ox-paste", NULL);
    el_wset(editor->el, EL_ADDFN, L"ox-edit", L"change the line in $EDITOR", edit);
    el_set(editor->el, EL_BIND, "^G", "ox-edit", NULL);
    el_source(editor->el, NULL);
    return editor;
}

void line_editor_close(struct line_editor *editor)
{
    if (editor == NULL) {
        return;
    }
    if (editor->history != NULL) {
        history_end(editor->history);
    }
    if (editor->el != NULL) {
        el_end(editor->el);
    }
    ox_free(editor);
}

enum lines_result line_editor_read(struct line_editor *editor, const char *prompt, struct ox_buf *out)
{
    int n = 0;
    snprintf(editor->prompt, sizeof editor->prompt, "%s", prompt);
    el_resize(editor->el);
    fputs(editor->smart_terminal ? paste_on : "", stderr);
    errno = 0;
    const char *line = el_gets(editor->el, &n);
    const int reason = errno;
    fputs(editor->smart_terminal ? paste_off : "", stderr);
    fflush(stderr);
    if (line == NULL || n <= 0) {
        fputc('\n', stderr);
        if (n < 0 && reason == EINTR) {
            el_reset(editor->el);
            return LINES_INTERRUPTED;
        }
        return LINES_END;
    }
    size_t len = (size_t)n;
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) {
        len--;
    }
    ox_buf_add(out, line, len);
    if (len > 0) {
        HistEvent event;
        history(editor->history, &event, H_ENTER, ox_buf_text(out));
        if (editor->path != NULL) {
            history(editor->history, &event, H_SAVE, editor->path);
        }
    }
    return ox_buf_failed(out) ? LINES_FAILED : LINES_GOT;
}

#else

struct line_editor *line_editor_open(const char *history, lines_words words, bool smart_terminal)
{
    (void)history;
    (void)words;
    (void)smart_terminal;
    return NULL;
}

void line_editor_close(struct line_editor *editor)
{
    (void)editor;
}

enum lines_result line_editor_read(struct line_editor *editor, const char *prompt, struct ox_buf *out)
{
    (void)editor;
    (void)prompt;
    (void)out;
    return LINES_END;
}

#endif
