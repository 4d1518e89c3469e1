/* SPDX-License-Identifier: Apache-2.0
 *
 * Values at their places.
 */
#include "server/api_values.h"

#include <stdio.h>

bool ox_api_expected(const struct ox_json_at *at, const char *expected, struct ox_api_error *error)
{
    struct ox_error err = {0};
    (void)ox_json_expected(at, expected, &err);
    const size_t skip = at->path[0] != '\0' ? strlen(at->what) + 2 : 0; /* the path says enough */
    return ox_api_refuse(error, 400, "invalid_request_error", "invalid_value", at->path, "%s", err.message + skip);
}

bool ox_api_refuse_at(const struct ox_json_at *at, const char *sentence, struct ox_api_error *error)
{
    return ox_api_refuse(error, 400, "invalid_request_error", "invalid_value", at->path, "%.90s: %s", at->path,
                         sentence);
}

bool ox_api_maybe_object(const struct ox_json_at *at, struct ox_api_error *error)
{
    return at->value == NULL || json_is_object(at->value) || ox_api_expected(at, "an object", error);
}

bool ox_api_maybe_array(const struct ox_json_at *at, struct ox_api_error *error)
{
    return at->value == NULL || json_is_array(at->value) || ox_api_expected(at, "an array", error);
}

bool ox_api_read_real(const struct ox_json_at *object, const char *key, double low, double high, float *out,
                      struct ox_api_error *error)
{
    const struct ox_json_at at = ox_json_member(object, key);
    const double x = json_number_value(at.value);
    if (at.value == NULL) {
        return true;
    }
    if (!json_is_number(at.value) || !(x >= low && x <= high)) {
        char expected[64];
        snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
        return ox_api_expected(&at, expected, error);
    }
    *out = (float)x;
    return true;
}

bool ox_api_read_natural(const struct ox_json_at *object, const char *key, int64_t low, int64_t high, int64_t *out,
                         struct ox_api_error *error)
{
    const struct ox_json_at at = ox_json_member(object, key);
    const json_int_t n = json_integer_value(at.value);
    if (at.value == NULL) {
        return true;
    }
    if (!json_is_integer(at.value) || n < low || n > high) {
        char expected[80];
        snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)low, (long long)high);
        return ox_api_expected(&at, expected, error);
    }
    *out = n;
    return true;
}

bool ox_api_read_bool(const struct ox_json_at *object, const char *key, bool *out, struct ox_api_error *error)
{
    const struct ox_json_at at = ox_json_member(object, key);
    if (at.value == NULL) {
        return true;
    }
    *out = json_is_true(at.value);
    return json_is_boolean(at.value) || ox_api_expected(&at, "true or false", error);
}

bool ox_api_text(const struct ox_json_at *object, const char *key, struct ox_str *out, struct ox_api_error *error)
{
    const struct ox_json_at text = ox_json_member(object, key);
    *out = ox_json_text(text.value);
    return json_is_string(text.value) || ox_api_expected(&text, "a string", error);
}

bool ox_api_one_of(const struct ox_json_at *at, const char *const *texts, size_t n, size_t *which,
                   struct ox_api_error *error)
{
    char expected[160] = "";
    for (size_t i = 0; i < n; i++) {
        if (json_is_string(at->value) && ox_str_is(ox_json_text(at->value), texts[i])) {
            *which = i;
            return true;
        }
        const size_t len = strlen(expected);
        const char *between = i + 1 < n ? ", " : " or ";
        snprintf(expected + len, sizeof expected - len, "%s%s", i > 0 ? between : "", texts[i]);
    }
    return ox_api_expected(at, expected, error);
}

bool ox_api_type(const struct ox_json_at *at, const char *const *types, size_t n, size_t *which,
                 struct ox_api_error *error)
{
    const struct ox_json_at type = ox_json_member(at, "type");
    if (!json_is_object(at->value)) {
        return ox_api_expected(at, "an object", error);
    }
    return ox_api_one_of(&type, types, n, which, error);
}

bool ox_api_need_messages(const struct ox_api_context *context, const struct ox_json_at *at, struct ox_api_error *error)
{
    const size_t n = json_array_size(at->value);
    if (n == 0) {
        return ox_api_expected(at, "an array with at least one element", error);
    }
    return n <= context->max_messages ||
           ox_api_refuse(error, 400, "invalid_request_error", "too_many_messages", at->path,
                         "%.90s: expected at most %zu (--max-messages), found %zu", at->path, context->max_messages, n);
}

bool ox_api_count_media(const struct ox_api_context *context, const struct ox_json_at *at, size_t *n,
                        struct ox_api_error *error)
{
    (*n)++;
    return *n <= context->max_images || ox_api_refuse(error, 400, "invalid_request_error", "too_many_images", at->path,
                                                      "%.90s: expected at most %zu pictures and clips (--max-images)",
                                                      at->path, context->max_images);
}
