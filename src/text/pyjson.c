/* SPDX-License-Identifier: Apache-2.0
 *
 * Python's spelling of JSON and numbers.
 */
#include "text/pyjson.h"

#include "base/json.h"
#include "base/real.h"

void ox_pyjson_add_number(struct ox_buf *buf, const json_t *value)
{
    if (json_is_integer(value)) {
        ox_buf_printf(buf, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        ox_real_add(buf, json_real_value(value));
    }
}

static void add_object(struct ox_buf *buf, json_t *value, size_t max_depth)
{
    const char *key;
    json_t *member;
    const char *separator = "";
    ox_buf_add_byte(buf, '{');
    json_object_foreach(value, key, member)
    {
        ox_buf_add_c(buf, separator);
        ox_json_add_quoted(buf, ox_str_c(key));
        ox_buf_add_c(buf, ": ");
        ox_pyjson_add(buf, member, max_depth - 1);
        separator = ", ";
    }
    ox_buf_add_byte(buf, '}');
}

static void add_array(struct ox_buf *buf, json_t *value, size_t max_depth)
{
    ox_buf_add_byte(buf, '[');
    for (size_t i = 0; i < json_array_size(value); i++) {
        ox_buf_add_c(buf, i > 0 ? ", " : "");
        ox_pyjson_add(buf, json_array_get(value, i), max_depth - 1);
    }
    ox_buf_add_byte(buf, ']');
}

void ox_pyjson_add(struct ox_buf *buf, json_t *value, size_t max_depth)
{
    if (json_is_object(value) || json_is_array(value)) {
        if (max_depth == 0) {
            return;
        }
        if (json_is_object(value)) {
            add_object(buf, value, max_depth);
        } else {
            add_array(buf, value, max_depth);
        }
    } else if (json_is_string(value)) {
        ox_json_add_quoted(buf, ox_json_text(value));
    } else if (json_is_number(value)) {
        ox_pyjson_add_number(buf, value);
    } else if (json_is_boolean(value)) {
        ox_buf_add_c(buf, json_is_true(value) ? "true" : "false");
    } else {
        ox_buf_add_c(buf, "null");
    }
}

bool ox_pyjson_within(json_t *value, size_t max_depth)
{
    if (!json_is_object(value) && !json_is_array(value)) {
        return true;
    }
    if (max_depth == 0) {
        return false;
    }
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (!ox_pyjson_within(json_array_get(value, i), max_depth - 1)) {
                return false;
            }
        }
        return true;
    }
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member)
    {
        if (!ox_pyjson_within(member, max_depth - 1)) {
            return false;
        }
    }
    return true;
}
