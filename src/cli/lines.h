/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines from standard input: edited, with history and completion, on a terminal; as they come elsewhere.
 */
#ifndef OX_CLI_LINES_H
#define OX_CLI_LINES_H

#include "base/buf.h"
#include "cli/cli.h"

enum lines_result { LINES_GOT, LINES_END, LINES_INTERRUPTED, LINES_FAILED };

struct lines;

/* The i-th word that Tab completes at the beginning of a line; NULL behind the last. */
typedef const char *(*lines_words)(size_t i);

/* NULL when out of memory. */
struct lines *lines_open(const struct cli *cli, lines_words words);
void lines_close(struct lines *lines);

/* Read one line without its end into out (emptied before). prompt is shown on a terminal only. */
enum lines_result lines_read(struct lines *lines, const char *prompt, struct ox_buf *out);

#endif
