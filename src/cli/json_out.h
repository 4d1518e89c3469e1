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

/* A string; bytes that are no UTF-8 become U+FFFD. NULL when out of memory, as all functions here; jansson's setters
 * take that for a failure, and json_out_print tells it. */
json_t *json_out_text(struct ox_str text);

/* A byte count or id; a number with at most 6 digits behind the point. */
json_t *json_out_natural(uint64_t n);
json_t *json_out_real(double x);

/* Set object[key] = value, taking value. A failure makes *object NULL (and frees it); nothing is done if it is NULL. */
void json_out_set(json_t **object, const char *key, json_t *value);

/* Append value (taken) to *array, likewise. */
void json_out_append(json_t **array, json_t *value);

/* {"id": ..., "type": "function", "function": {"name": ..., "arguments": "..."}} */
json_t *json_out_call(const struct answer_call *call);

/* The calls of an answer as an array. */
json_t *json_out_calls(const struct answer *answer);

/* The object that `run --json` prints. */
json_t *json_out_answer(const struct answer *answer);

/* Print tree (borrowed) and a line feed; flags: JSON_COMPACT, JSON_INDENT(2) or 0. A NULL tree marks output as failed. */
void json_out_print(struct output *output, const json_t *tree, size_t flags);

#endif
