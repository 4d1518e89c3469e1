/* SPDX-License-Identifier: Apache-2.0
 *
 * jansson behind accessors whose errors name the place, and the one JSON string writer.
 */
#include "base/json.h"

#include <stdio.h>

#include "base/utf8.h"

/* The string literal of text that ends at `end`, without its quotes; empty if there is none. */
static struct ox_str literal_before(struct ox_str text, size_t end)
{
    if (end < 2 || end > text.len || text.ptr[end - 1] != '"') {
        return ox_str_make("", 0);
    }
    size_t begin = end - 1;
    while (begin > 0) {
        size_t n_slashes = 0;
        begin--;
        while (n_slashes < begin && text.ptr[begin - 1 - n_slashes] == '\\') {
            n_slashes++;
        }
        if (text.ptr[begin] == '"' && n_slashes % 2 == 0) {
            return ox_str_make(text.ptr + begin + 1, end - begin - 2);
        }
    }
    return ox_str_make("", 0);
}

/* jansson names a doubled key only if it is short; say the others too. */
static enum ox_status not_valid(struct ox_str text, const char *what, const json_error_t *error, struct ox_error *err)
{
    const size_t end = error->position > 0 ? (size_t)error->position : 0;
    struct ox_str key = ox_str_make("", 0);
    if (json_error_code(error) == json_error_duplicate_key && strstr(error->text, " near ") == NULL) {
        key = literal_before(text, end);
    }
    ox_error_set(err, OX_E_FORMAT, "%s: not valid JSON at line %d column %d: %s%s%.*s%s", what, error->line,
                 error->column, error->text, key.len > 0 ? " near '\"" : "", key.len < 120 ? (int)key.len : 120,
                 key.ptr, key.len > 0 ? "\"'" : "");
    if (err != NULL) {
        err->offset = end;
    }
    return OX_E_FORMAT;
}

enum ox_status ox_json_parse(struct ox_str text, const char *what, json_t **out, struct ox_error *err)
{
    json_error_t error;
    json_t *root = json_loadb(text.ptr != NULL ? text.ptr : "", text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (root == NULL) {
        const enum json_error_code code = json_error_code(&error);
        if (code == json_error_out_of_memory) {
            return ox_error_set(err, OX_E_NOMEM, "%s: out of memory while reading JSON", what);
        }
        return not_valid(text, what, &error, err);
    }
    *out = root;
    return OX_OK;
}

size_t ox_json_count(struct ox_str text)
{
    size_t n = 1;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        if (c == '"') {
            in_string = !in_string;
        } else if (in_string) {
            i += c == '\\' ? 1 : 0;
        } else {
            n += c == ',' || c == '[' || c == '{' ? 1 : 0;
        }
    }
    return n;
}

struct ox_json_at ox_json_root(const json_t *root, const char *what)
{
    struct ox_json_at at = {root, what, ""};
    return at;
}

struct ox_json_at ox_json_member(const struct ox_json_at *at, const char *key)
{
    struct ox_json_at next = {NULL, at->what, ""};
    snprintf(next.path, sizeof next.path, "%.90s%s%.60s", at->path, at->path[0] != '\0' ? "." : "", key);
    const json_t *value = json_object_get(at->value, key);
    next.value = json_is_null(value) ? NULL : value;
    return next;
}

struct ox_json_at ox_json_element(const struct ox_json_at *at, size_t i)
{
    struct ox_json_at next = {NULL, at->what, ""};
    snprintf(next.path, sizeof next.path, "%.120s[%zu]", at->path, i);
    const json_t *value = json_array_get(at->value, i);
    next.value = json_is_null(value) ? NULL : value;
    return next;
}

/* A short description of a value for "found ...". */
static void describe(const json_t *v, char *text, size_t room)
{
    if (v == NULL) {
        snprintf(text, room, "nothing");
        return;
    }
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        snprintf(text, room, "an object");
        break;
    case JSON_ARRAY:
        snprintf(text, room, "an array of %zu", json_array_size(v));
        break;
    case JSON_STRING:
        snprintf(text, room, "the string \"%.40s\"", json_string_value(v));
        break;
    case JSON_INTEGER:
        snprintf(text, room, "%lld", (long long)json_integer_value(v));
        break;
    case JSON_REAL:
        snprintf(text, room, "%.17g", json_real_value(v));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(text, room, "%s", json_is_true(v) ? "true" : "false");
        break;
    case JSON_NULL:
    default:
        snprintf(text, room, "null");
        break;
    }
}

enum ox_status ox_json_expected(const struct ox_json_at *at, const char *expected, struct ox_error *err)
{
    char found[80];
    describe(at->value, found, sizeof found);
    if (at->path[0] == '\0') {
        return ox_error_set(err, OX_E_FORMAT, "%s: expected %s, found %s", at->what, expected, found);
    }
    return ox_error_set(err, OX_E_FORMAT, "%s: %s: expected %s, found %s", at->what, at->path, expected, found);
}

enum ox_status ox_json_get_i64(const struct ox_json_at *at, int64_t low, int64_t high, int64_t *out,
                               struct ox_error *err)
{
    if (!json_is_integer(at->value) || json_integer_value(at->value) < low || json_integer_value(at->value) > high) {
        char expected[80];
        snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)low, (long long)high);
        return ox_json_expected(at, expected, err);
    }
    *out = json_integer_value(at->value);
    return OX_OK;
}

enum ox_status ox_json_get_double(const struct ox_json_at *at, double low, double high, double *out,
                                  struct ox_error *err)
{
    const double value = json_is_number(at->value) ? json_number_value(at->value) : 0.0;
    if (!json_is_number(at->value) || !(value >= low && value <= high)) {
        char expected[80];
        snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
        return ox_json_expected(at, expected, err);
    }
    *out = value;
    return OX_OK;
}

enum ox_status ox_json_get_bool(const struct ox_json_at *at, bool *out, struct ox_error *err)
{
    if (!json_is_boolean(at->value)) {
        return ox_json_expected(at, "true or false", err);
    }
    *out = json_is_true(at->value);
    return OX_OK;
}

enum ox_status ox_json_get_str(const struct ox_json_at *at, struct ox_str *out, struct ox_error *err)
{
    if (!json_is_string(at->value)) {
        return ox_json_expected(at, "a string", err);
    }
    *out = ox_json_text(at->value);
    return OX_OK;
}

enum ox_status ox_json_need_object(const struct ox_json_at *at, struct ox_error *err)
{
    return json_is_object(at->value) ? OX_OK : ox_json_expected(at, "an object", err);
}

enum ox_status ox_json_need_array(const struct ox_json_at *at, struct ox_error *err)
{
    return json_is_array(at->value) ? OX_OK : ox_json_expected(at, "an array", err);
}

struct ox_str ox_json_text(const json_t *v)
{
    if (!json_is_string(v)) {
        return ox_str_make("", 0);
    }
    return ox_str_make(json_string_value(v), json_string_length(v));
}

void ox_json_add_escaped(struct ox_buf *buf, struct ox_str s)
{
    static const char named[] = "b\bf\fn\nr\rt\t\"\"\\\\";
    size_t at = 0;
    while (at < s.len) {
        uint32_t code;
        const size_t len = ox_utf8_decode(ox_str_make(s.ptr + at, s.len - at), &code);
        if (code == UINT32_MAX) {
            ox_buf_add(buf, "\xEF\xBF\xBD", 3);
        } else if (code < 0x20 || code == '"' || code == '\\') {
            const char *name = NULL;
            for (size_t i = 1; i < sizeof named - 1; i += 2) {
                if ((unsigned char)named[i] == code) {
                    name = named + i - 1;
                }
            }
            if (name != NULL) {
                ox_buf_add_byte(buf, '\\');
                ox_buf_add_byte(buf, *name);
            } else {
                ox_buf_printf(buf, "\\u%04x", (unsigned)code);
            }
        } else {
            ox_buf_add(buf, s.ptr + at, len);
        }
        at += len;
    }
}

void ox_json_add_quoted(struct ox_buf *buf, struct ox_str s)
{
    ox_buf_add_byte(buf, '"');
    ox_json_add_escaped(buf, s);
    ox_buf_add_byte(buf, '"');
}
