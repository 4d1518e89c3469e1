/* SPDX-License-Identifier: Apache-2.0
 *
 * A JSON schema validator for the tests, written after the standard and not after the grammar: a value, a schema, yes
 * or no. Patterns are those that POSIX extended expressions share with ECMA's; of formats only date is looked at.
 */
#ifndef OX_TESTS_SCHEMA_VALIDATE_H
#define OX_TESTS_SCHEMA_VALIDATE_H

#include <jansson.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool validates(json_t *root, json_t *schema, json_t *value, int depth);

static inline bool validate_type_name(const char *type, const json_t *value)
{
    const double x = json_is_real(value) ? json_real_value(value) : 0.5;
    const bool integral =
        json_is_real(value) && x >= -9e15 && x <= 9e15 && (double)(long long)x >= x && (double)(long long)x <= x;
    return (strcmp(type, "null") == 0 && json_is_null(value)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "array") == 0 && json_is_array(value)) ||
           (strcmp(type, "object") == 0 && json_is_object(value)) ||
           (strcmp(type, "number") == 0 && json_is_number(value)) ||
           (strcmp(type, "integer") == 0 && (json_is_integer(value) || integral));
}

static inline bool validate_type(json_t *schema, const json_t *value)
{
    json_t *type = json_object_get(schema, "type");
    bool good = type == NULL || (json_is_string(type) && validate_type_name(json_string_value(type), value));
    for (size_t i = 0; i < json_array_size(type); i++) {
        good = good || validate_type_name(json_string_value(json_array_get(type, i)), value);
    }
    return good || (json_is_true(json_object_get(schema, "nullable")) && json_is_null(value));
}

static inline bool validate_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        return json_number_value(a) >= json_number_value(b) && json_number_value(a) <= json_number_value(b);
    }
    return json_equal(a, b) != 0;
}

static inline bool validate_values(json_t *schema, const json_t *value)
{
    json_t *list = json_object_get(schema, "enum");
    json_t *constant = json_object_get(schema, "const");
    bool good = list == NULL || (json_is_null(value) && json_is_true(json_object_get(schema, "nullable")));
    for (size_t i = 0; i < json_array_size(list); i++) {
        good = good || validate_equal(json_array_get(list, i), value);
    }
    return good && (constant == NULL || validate_equal(constant, value));
}

static inline bool validate_number(json_t *schema, const json_t *value)
{
    const double x = json_number_value(value);
    const json_t *low = json_object_get(schema, "minimum");
    const json_t *high = json_object_get(schema, "maximum");
    const json_t *above = json_object_get(schema, "exclusiveMinimum");
    const json_t *below = json_object_get(schema, "exclusiveMaximum");
    if (json_is_integer(value) && json_is_integer(low) && json_integer_value(value) < json_integer_value(low)) {
        return false;
    }
    return (low == NULL || x >= json_number_value(low)) && (high == NULL || x <= json_number_value(high)) &&
           (above == NULL || x > json_number_value(above)) && (below == NULL || x < json_number_value(below));
}

static inline bool validate_count(json_t *schema, const char *min, const char *max, size_t n)
{
    const json_t *low = json_object_get(schema, min);
    const json_t *high = json_object_get(schema, max);
    return (low == NULL || n >= (size_t)json_integer_value(low)) &&
           (high == NULL || n <= (size_t)json_integer_value(high));
}

static inline bool validate_date(const char *s)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int n[8];
    for (int i = 0, k = 0; i < 10; i++) {
        if (i == 4 || i == 7) {
            if (s[i] != '-') {
                return false;
            }
        } else if (s[i] < '0' || s[i] > '9') {
            return false;
        } else {
            n[k++] = s[i] - '0';
        }
    }
    const int year = 1000 * n[0] + 100 * n[1] + 10 * n[2] + n[3];
    const int month = 10 * n[4] + n[5];
    const int day = 10 * n[6] + n[7];
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return s[10] == '\0' && month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static inline bool validate_string(json_t *schema, const json_t *value)
{
    const char *s = json_string_value(value);
    const json_t *pattern = json_object_get(schema, "pattern");
    const json_t *format = json_object_get(schema, "format");
    size_t n = 0;
    for (size_t i = 0; i < json_string_length(value); i++) {
        n += ((unsigned char)s[i] & 0xC0) != 0x80 ? 1 : 0;
    }
    bool good = validate_count(schema, "minLength", "maxLength", n);
    if (pattern != NULL) {
        regex_t compiled;
        if (regcomp(&compiled, json_string_value(pattern), REG_EXTENDED | REG_NOSUB) != 0) {
            abort();
        }
        good = good && strlen(s) == json_string_length(value) && regexec(&compiled, s, 0, NULL, 0) == 0;
        regfree(&compiled);
    }
    return good && (format == NULL || strcmp(json_string_value(format), "date") != 0 || validate_date(s));
}

static inline bool validate_array(json_t *root, json_t *schema, json_t *value, int depth)
{
    json_t *prefix = json_object_get(schema, "prefixItems");
    json_t *items = json_object_get(schema, "items");
    bool good = validate_count(schema, "minItems", "maxItems", json_array_size(value));
    for (size_t i = 0; i < json_array_size(value) && good; i++) {
        json_t *of = i < json_array_size(prefix) ? json_array_get(prefix, i) : items;
        good = of == NULL || validates(root, of, json_array_get(value, i), depth + 1);
    }
    return good;
}

static inline bool validate_object(json_t *root, json_t *schema, json_t *value, int depth)
{
    json_t *properties = json_object_get(schema, "properties");
    json_t *required = json_object_get(schema, "required");
    json_t *others = json_object_get(schema, "additionalProperties");
    bool good = true;
    const char *key;
    json_t *member;
    for (size_t i = 0; i < json_array_size(required); i++) {
        good = good && json_object_get(value, json_string_value(json_array_get(required, i))) != NULL;
    }
    json_object_foreach(value, key, member)
    {
        json_t *of = json_object_get(properties, key);
        of = of != NULL ? of : others;
        good = good && (of == NULL || validates(root, of, member, depth + 1));
    }
    return good;
}

static inline size_t validate_union(json_t *root, json_t *list, json_t *value, int depth)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        n += validates(root, json_array_get(list, i), value, depth + 1) ? 1 : 0;
    }
    return n;
}

/* Does value satisfy schema, whose references are into root? */
static inline bool validates(json_t *root, json_t *schema, json_t *value, int depth)
{
    json_t *any = json_object_get(schema, "anyOf");
    json_t *one = json_object_get(schema, "oneOf");
    json_t *all = json_object_get(schema, "allOf");
    json_t *reference = json_object_get(schema, "$ref");
    if (depth > 1000) {
        abort();
    }
    if (json_is_boolean(schema)) {
        return json_is_true(schema);
    }
    if (reference != NULL) {
        const char *path = json_string_value(reference);
        json_t *target =
            strncmp(path, "#/$defs/", 8) == 0 ? json_object_get(json_object_get(root, "$defs"), path + 8) : root;
        if (!validates(root, target, value, depth + 1)) {
            return false;
        }
    }
    bool good = validate_type(schema, value) && validate_values(schema, value) &&
                validate_union(root, all, value, depth) == json_array_size(all) &&
                (any == NULL || validate_union(root, any, value, depth) > 0) &&
                (one == NULL || validate_union(root, one, value, depth) == 1);
    good = good && (!json_is_number(value) || validate_number(schema, value));
    good = good && (!json_is_string(value) || validate_string(schema, value));
    good = good && (!json_is_array(value) || validate_array(root, schema, value, depth));
    return good && (!json_is_object(value) || validate_object(root, schema, value, depth));
}

#endif
