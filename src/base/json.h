/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON through jansson, with errors in this project's form: every accessor names the place ("text_config.hidden_size"),
 * what it expected and what it found. Trees are owned by whoever loaded them; borrowed members live as long as the root.
 */
#ifndef OX_BASE_JSON_H
#define OX_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

/* Parse text (UTF-8; duplicate keys are refused, NUL characters allowed in strings, any value at the top) into *out,
 * which the caller releases with json_decref. `what` names the input in errors, e.g. a file's path. Integers beyond 64
 * bits and nesting beyond 2,048 are refused. OX_E_FORMAT, with err->offset the byte. */
enum ox_status ox_json_parse(struct ox_str text, const char *what, json_t **out, struct ox_error *err) OX_MUST_USE;

/* The values that parsing text would make, or more: one, and one for each comma and opening bracket outside of strings. */
size_t ox_json_count(struct ox_str text);

/* A place in a tree, for errors: `what` is the input's name, path the member path so far ("" at the root). */
struct ox_json_at {
    const json_t *value;
    const char *what;
    char path[160];
};

struct ox_json_at ox_json_root(const json_t *root, const char *what);

/* The member `key` of an object, or element i of an array; value NULL if there is none (or it is JSON null) or at is
 * no object. The path grows either way. */
struct ox_json_at ox_json_member(const struct ox_json_at *at, const char *key);
struct ox_json_at ox_json_element(const struct ox_json_at *at, size_t i);

/* Read a value of the named kind. A missing value (NULL) is an error: test at->value first where it is optional.
 * All: OX_E_FORMAT with a sentence "WHAT: PATH: expected ..., found ...". Any thread. */
enum ox_status ox_json_get_i64(const struct ox_json_at *at, int64_t low, int64_t high, int64_t *out,
                               struct ox_error *err) OX_MUST_USE;
enum ox_status ox_json_get_double(const struct ox_json_at *at, double low, double high, double *out,
                                  struct ox_error *err) OX_MUST_USE; /* integers accepted */
enum ox_status ox_json_get_bool(const struct ox_json_at *at, bool *out, struct ox_error *err) OX_MUST_USE;
enum ox_status ox_json_get_str(const struct ox_json_at *at, struct ox_str *out, struct ox_error *err) OX_MUST_USE;
enum ox_status ox_json_need_object(const struct ox_json_at *at, struct ox_error *err) OX_MUST_USE;
enum ox_status ox_json_need_array(const struct ox_json_at *at, struct ox_error *err) OX_MUST_USE;

/* The sentence "WHAT: PATH: expected EXPECTED, found FOUND", FOUND made from at's value; returns OX_E_FORMAT. */
enum ox_status ox_json_expected(const struct ox_json_at *at, const char *expected, struct ox_error *err);

/* A string value as a view (owned by the tree); len 0 if v is no string. */
struct ox_str ox_json_text(const json_t *v);

/* Append s as a JSON string with quotes: '"' '\\' and control characters escaped (\b \f \n \r \t \u00XX), the rest as
 * it is; bytes that are no UTF-8 become U+FFFD. Without quotes: ox_json_add_escaped. */
void ox_json_add_quoted(struct ox_buf *buf, struct ox_str s);
void ox_json_add_escaped(struct ox_buf *buf, struct ox_str s);

#endif
