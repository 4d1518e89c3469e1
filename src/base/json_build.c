/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON trees built without a check at every step: one failure makes the tree NULL.
 */
#include "base/json_build.h"

#include <math.h>

#include "base/utf8.h"

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

void ox_json_write(const json_t *tree, struct ox_buf *buf)
{
    if (tree == NULL || json_dump_callback(tree, add_part, buf, JSON_COMPACT | JSON_ENCODE_ANY) != 0) {
        buf->failed = true;
    }
}
