/* SPDX-License-Identifier: Apache-2.0
 *
 * libedit behind four functions; without libedit there is no editor (open returns NULL).
 */
#ifndef OX_CLI_LINE_EDITOR_H
#define OX_CLI_LINE_EDITOR_H

#include "cli/lines.h"

struct line_editor;

/* history: path of the history file, or NULL; borrowed. */
struct line_editor *line_editor_open(const char *history, lines_words words, bool smart_terminal);
void line_editor_close(struct line_editor *editor);
enum lines_result line_editor_read(struct line_editor *editor, const char *prompt, struct ox_buf *out);

#endif
