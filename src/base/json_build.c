/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON trees built without a check at every step: one failure makes the tree NULL.
 */
#include "base/json_build.h"

#include <math.h>

#include "base/json.h"
#include "base/real.h"
#include "base/utf8.h"

/* Twice what ox_json_parse takes: trees are built around what was parsed. */
#define MAX_DEPTH 4096

json_t *ox_json_new_text(struct ox_str text)
{
    if (ox_utf8_valid(text)) {
        return json_stringn_nocheck(text.len > 0 ? text.ptr : "", text.len);
    }
    struct ox_buf clean = {0};
    ox_utf8_add_lossy(&clean, text);
    json_t *value = ox_buf_failed(&clean) ? NULL : json_stringn_nocheck(ox_buf_text(&clean), clean.len);
    ox_buf_fini(&clean);
    return value;
}

json_t *ox_json_new_c(const char *text)
{
    return ox_json_new_text(ox_str_c(text));
}

json_t *ox_json_new_natural(uint64_t n)
{
    return json_integer((json_int_t)(n <= INT64_MAX ? n : INT64_MAX));
}

json_t *ox_json_new_real(double x)
{
    if (!isfinite(x)) {
        return json_null();
    }
    return json_real(fabs(x) < 1e9 ? round(x * 1e6) / 1e6 : x);
}

void ox_json_set(json_t **object, const char *key, json_t *value)
{
    if (*object == NULL) {
        json_decref(value);
        return;
    }
    if (value == NULL || json_object_set_new_nocheck(*object, key, value) != 0) {
        json_decref(*object);
        *object = NULL;
    }
}

void ox_json_append(json_t **array, json_t *value)
{
    if (*array == NULL) {
        json_decref(value);
        return;
    }
    if (value == NULL || json_array_append_new(*array, value) != 0) {
        json_decref(*array);
        *array = NULL;
    }
}

static int add_part(const char *bytes, size_t len, void *user)
{
    ox_buf_add(user, bytes, len);
    return 0;
}

static void add_value(json_t *value, struct ox_buf *buf, size_t depth);

static void add_object(json_t *value, struct ox_buf *buf, size_t depth)
{
    void *at = json_object_iter(value);
    const char *separator = "";
    ox_buf_add_byte(buf, '{');
    while (at != NULL) {
        ox_buf_add_c(buf, separator);
        ox_json_add_quoted(buf, ox_str_make(json_object_iter_key(at), json_object_iter_key_len(at)));
        ox_buf_add_byte(buf, ':');
        add_value(json_object_iter_value(at), buf, depth);
        separator = ",";
        at = json_object_iter_next(value, at);
    }
    ox_buf_add_byte(buf, '}');
}

static void add_array(json_t *value, struct ox_buf *buf, size_t depth)
{
    ox_buf_add_byte(buf, '[');
    for (size_t i = 0; i < json_array_size(value); i++) {
        ox_buf_add_c(buf, i > 0 ? "," : "");
        add_value(json_array_get(value, i), buf, depth);
    }
    ox_buf_add_byte(buf, ']');
}

/* Reals are spelled here, since jansson prints all 17 digits of them. */
static void add_value(json_t *value, struct ox_buf *buf, size_t depth)
{
    if (json_is_real(value)) {
        ox_real_add(buf, json_real_value(value));
    } else if ((json_is_object(value) || json_is_array(value)) && depth == 0) {
        buf->failed = true;
    } else if (json_is_object(value)) {
        add_object(value, buf, depth - 1);
    } else if (json_is_array(value)) {
        add_array(value, buf, depth - 1);
    } else if (json_dump_callback(value, add_part, buf, JSON_ENCODE_ANY) != 0) {
        buf->failed = true;
    }
}

void ox_json_write(const json_t *tree, struct ox_buf *buf)
{
    if (tree == NULL) {
        buf->failed = true;
        return;
    }
    /* jansson's iterators want a tree that may change, and change nothing. */
    add_value((json_t *)(uintptr_t)tree, buf, MAX_DEPTH);
}
