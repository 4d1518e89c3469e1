/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON and numbers spelled as Python spells them, because the chat format was made there: json.dumps with
 * ensure_ascii=False (separators ", " and ": "), str(int), repr(float). Independent of the locale.
 */
#ifndef OX_TEXT_PYJSON_H
#define OX_TEXT_PYJSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Append an integer or a real as str() does (base/real.h); anything else appends nothing. */
void ox_pyjson_add_number(struct ox_buf *buf, const json_t *value);

/* Append value as json.dumps(value, ensure_ascii=False). The tree must be at most max_depth deep (ox_pyjson_depth);
 * what lies deeper is left out. */
void ox_pyjson_add(struct ox_buf *buf, json_t *value, size_t max_depth);

/* Is value nested at most max_depth objects and arrays deep (a number has depth 0, {} has 1)? Looks no deeper. */
bool ox_pyjson_within(json_t *value, size_t max_depth);

#endif
