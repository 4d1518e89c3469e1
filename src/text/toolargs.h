/* SPDX-License-Identifier: Apache-2.0
 *
 * Turns the raw text of a tool call's parameter into JSON, guided by the tool's JSON schema. Schemas come from callers:
 * whatever makes no sense in one counts as absent. Source: chat-template.md section 6.2.
 */
#ifndef OX_TEXT_TOOLARGS_H
#define OX_TEXT_TOOLARGS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* Types that a schema allows, as bits; 0: it does not say. */
enum {
    OX_TYPE_STRING = 1,
    OX_TYPE_INTEGER = 2,
    OX_TYPE_NUMBER = 4,
    OX_TYPE_BOOLEAN = 8,
    OX_TYPE_OBJECT = 16,
    OX_TYPE_ARRAY = 32,
    OX_TYPE_NULL = 64,
};

/* The parameters' schema of the tool called `name` in tools (an array as a conversation has it, or NULL), or NULL. */
const json_t *ox_toolargs_find(const json_t *tools, struct ox_str name);

/* The types that schema allows: `type` (one or a list), through anyOf, oneOf, allOf and local $ref; without any of them,
 * what `properties`, `items`, `enum` or `const` imply. root: the schema that $ref starts from. Both may be NULL. */
unsigned ox_toolargs_types(const json_t *root, const json_t *schema);

/* The schema of an object's member `key`, or of an array's elements (key "item"), or NULL. */
const json_t *ox_toolargs_child(const json_t *root, const json_t *schema, struct ox_str key);

/* May a value of these types be written as a JSON string before its end is known? */
static inline bool ox_toolargs_streams(unsigned types)
{
    return types == 0 || types == OX_TYPE_STRING;
}

/* Append raw (valid UTF-8) as JSON: null if allowed and raw is null, Null, NULL or empty; else the first that fits of
 * integer, number, boolean, object or array (raw parsed as JSON), as far as types allow them; else a string. Integers
 * have any length. Blanks around numbers and booleans are skipped. */
void ox_toolargs_add(struct ox_buf *buf, unsigned types, struct ox_str raw);

#endif
