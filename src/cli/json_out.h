/* SPDX-License-Identifier: Apache-2.0
 *
 * Results as JSON trees, and their printing.
 */
#ifndef OX_CLI_JSON_OUT_H
#define OX_CLI_JSON_OUT_H

#include <jansson.h>

#include "base/str.h"
#include "cli/answer.h"
#include "cli/output.h"

/* {"id": ..., "type": "function", "function": {"name": ..., "arguments": "..."}} */
json_t *json_out_call(const struct answer_call *call);

/* The calls of an answer as an array. */
json_t *json_out_calls(const struct answer *answer);

/* The object that `run --json` prints. */
json_t *json_out_answer(const struct answer *answer);

/* Print tree (borrowed) and a line feed; flags: JSON_COMPACT, JSON_INDENT(2) or 0. A NULL tree marks output as failed. */
void json_out_print(struct output *output, const json_t *tree, size_t flags);

#endif
