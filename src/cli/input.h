/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a verb's text comes from: operands, --prompt, --file or standard input, and JSON files named by options.
 * All return EXIT_DONE or, after a message, an exit code.
 */
#ifndef OX_CLI_INPUT_H
#define OX_CLI_INPUT_H

#include <jansson.h>

#include "base/buf.h"
#include "cli/cli.h"

/* Longest text that is read. */
#define INPUT_MAX_BYTES ((size_t)1 << 30)

/* The text, byte for byte, into out (empty). Operands are joined with blanks. More than one source is wrong usage, and so
 * is none while standard input is a terminal. *from_file: it came from a file or standard input. */
int input_text(const struct cli *cli, struct ox_buf *out, bool *from_file) OX_MUST_USE;

/* The file that `option` names ("-": standard input), parsed as JSON; *out is the caller's. EXIT_FAILED if it cannot be
 * read or is no JSON. */
int input_json(const struct cli *cli, enum cli_option option, json_t **out) OX_MUST_USE;

#endif
