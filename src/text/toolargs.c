/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks JSON schemas for the types of parameters, and converts raw text to them. Walks are bounded by a budget of
 * schemas looked at, because references may lead in circles.
 */
#include "text/toolargs.h"

#include <math.h>
#include <strings.h>

#include "base/json.h"
#include "base/real.h"
#include "text/pyjson.h"

#define SCHEMA_BUDGET 1000
#define SCHEMA_DEPTH 32
#define JSON_DEPTH 64
/* Doubles below this are exact integers, and so may be printed as such. */
#define EXACT_INTEGERS 9007199254740992.0

static const char *const unions[] = {"anyOf", "oneOf", "allOf"};
#define N_UNIONS (sizeof unions / sizeof unions[0])

const json_t *ox_toolargs_find(const json_t *tools, struct ox_str name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        const json_t *found = json_object_get(function, "name");
        if (json_is_string(found) && ox_str_equal(ox_json_text(found), name)) {
            return json_object_get(function, "parameters");
        }
    }
    return NULL;
}

/* The schema that a local reference ("#/$defs/place") leads to, or NULL. */
static const json_t *follow(const json_t *root, struct ox_str reference)
{
    if (reference.len == 0 || reference.ptr[0] != '#') {
        return NULL;
    }
    const json_t *at = root;
    size_t i = 1;
    while (i < reference.len && at != NULL) {
        if (reference.ptr[i] != '/') {
            return NULL;
        }
        const size_t end = ox_str_find(reference, ox_str_c("/"), i + 1);
        at = json_object_getn(at, reference.ptr + i + 1, end - i - 1);
        i = end;
    }
    return at;
}

static unsigned type_named(const json_t *name)
{
    static const struct {
        const char *name;
        unsigned type;
    } types[] = {
        {"string", OX_TYPE_STRING},   {"integer", OX_TYPE_INTEGER}, {"number", OX_TYPE_NUMBER},
        {"boolean", OX_TYPE_BOOLEAN}, {"object", OX_TYPE_OBJECT},   {"array", OX_TYPE_ARRAY},
        {"null", OX_TYPE_NULL},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (json_is_string(name) && ox_str_is(ox_json_text(name), types[i].name)) {
            return types[i].type;
        }
    }
    return 0;
}

static unsigned type_of(const json_t *value)
{
    static const unsigned types[] = {
        [JSON_OBJECT] = OX_TYPE_OBJECT,   [JSON_ARRAY] = OX_TYPE_ARRAY, [JSON_STRING] = OX_TYPE_STRING,
        [JSON_INTEGER] = OX_TYPE_INTEGER, [JSON_REAL] = OX_TYPE_NUMBER, [JSON_TRUE] = OX_TYPE_BOOLEAN,
        [JSON_FALSE] = OX_TYPE_BOOLEAN,   [JSON_NULL] = OX_TYPE_NULL,
    };
    return types[json_typeof(value)];
}

/* What a schema without a type implies by its other members. */
static unsigned implied(const json_t *schema)
{
    if (json_is_object(json_object_get(schema, "properties"))) {
        return OX_TYPE_OBJECT;
    }
    if (json_object_get(schema, "items") != NULL) {
        return OX_TYPE_ARRAY;
    }
    const json_t *constant = json_object_get(schema, "const");
    unsigned types = constant != NULL ? type_of(constant) : 0;
    const json_t *values = json_object_get(schema, "enum");
    for (size_t i = 0; i < json_array_size(values) && i < SCHEMA_BUDGET; i++) {
        types |= type_of(json_array_get(values, i));
    }
    return types;
}

static unsigned types_of(const json_t *root, const json_t *schema, int depth, int *budget)
{
    if (!json_is_object(schema) || depth == 0 || *budget <= 0) {
        return 0;
    }
    (*budget)--;
    const json_t *type = json_object_get(schema, "type");
    unsigned types = type_named(type);
    for (size_t i = 0; i < json_array_size(type) && i < SCHEMA_BUDGET; i++) {
        types |= type_named(json_array_get(type, i));
    }
    if (types != 0) {
        return types;
    }
    const json_t *reference = json_object_get(schema, "$ref");
    if (reference != NULL) {
        types |= types_of(root, follow(root, ox_json_text(reference)), depth - 1, budget);
    }
    for (size_t u = 0; u < N_UNIONS; u++) {
        const json_t *list = json_object_get(schema, unions[u]);
        for (size_t i = 0; i < json_array_size(list) && *budget > 0; i++) {
            types |= types_of(root, json_array_get(list, i), depth - 1, budget);
        }
    }
    return types != 0 ? types : implied(schema);
}

unsigned ox_toolargs_types(const json_t *root, const json_t *schema)
{
    int budget = SCHEMA_BUDGET;
    return types_of(root, schema, SCHEMA_DEPTH, &budget);
}

static const json_t *child_of(const json_t *root, const json_t *schema, struct ox_str key, int depth, int *budget)
{
    if (!json_is_object(schema) || depth == 0 || *budget <= 0) {
        return NULL;
    }
    (*budget)--;
    const json_t *child = json_object_getn(json_object_get(schema, "properties"), key.ptr, key.len);
    if (json_is_object(child)) {
        return child;
    }
    child = json_object_get(schema, "items");
    if (ox_str_is(key, "item") && json_is_object(child)) {
        return child;
    }
    const json_t *reference = json_object_get(schema, "$ref");
    child = reference == NULL ? NULL : child_of(root, follow(root, ox_json_text(reference)), key, depth - 1, budget);
    for (size_t u = 0; u < N_UNIONS && child == NULL; u++) {
        const json_t *list = json_object_get(schema, unions[u]);
        for (size_t i = 0; i < json_array_size(list) && child == NULL && *budget > 0; i++) {
            child = child_of(root, json_array_get(list, i), key, depth - 1, budget);
        }
    }
    if (child != NULL) {
        return child;
    }
    child = json_object_get(schema, "additionalProperties");
    return json_is_object(child) ? child : NULL;
}

const json_t *ox_toolargs_child(const json_t *root, const json_t *schema, struct ox_str key)
{
    int budget = SCHEMA_BUDGET;
    return child_of(root, schema, ox_str_make(key.len > 0 ? key.ptr : "", key.len), SCHEMA_DEPTH, &budget);
}

static bool is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static struct ox_str trim(struct ox_str s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s = ox_str_make(s.ptr + 1, s.len - 1);
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

static bool is_one_of(struct ox_str s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s.len == strlen(names[i]) && strncasecmp(s.ptr, names[i], s.len) == 0) {
            return true;
        }
    }
    return false;
}

/* Digits with an optional sign: appended without plus and leading zeros, so that they are a JSON number. */
static bool add_integer(struct ox_buf *buf, struct ox_str text)
{
    const bool negative = text.len > 0 && text.ptr[0] == '-';
    if (negative || (text.len > 0 && text.ptr[0] == '+')) {
        text = ox_str_make(text.ptr + 1, text.len - 1);
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
    }
    if (text.len == 0) {
        return false;
    }
    while (text.len > 1 && text.ptr[0] == '0') {
        text = ox_str_make(text.ptr + 1, text.len - 1);
    }
    if (negative && !ox_str_is(text, "0")) {
        ox_buf_add_byte(buf, '-');
    }
    ox_buf_add_str(buf, text);
    return true;
}

static bool add_number(struct ox_buf *buf, struct ox_str text)
{
    double x;
    if (add_integer(buf, text)) {
        return true;
    }
    if (!ox_str_to_double(text, &x)) {
        return false;
    }
    if (fabs(x) < EXACT_INTEGERS && !(x < trunc(x)) && !(x > trunc(x))) {
        ox_buf_printf(buf, "%lld", (long long)x);
    } else {
        ox_real_add(buf, x);
    }
    return true;
}

static bool add_boolean(struct ox_buf *buf, struct ox_str text)
{
    static const char *const yes[] = {"true", "1", "yes", "on"};
    static const char *const no[] = {"false", "0", "no", "off"};
    if (is_one_of(text, yes, sizeof yes / sizeof yes[0])) {
        ox_buf_add_c(buf, "true");
        return true;
    }
    if (is_one_of(text, no, sizeof no / sizeof no[0])) {
        ox_buf_add_c(buf, "false");
        return true;
    }
    return false;
}

static bool add_json(struct ox_buf *buf, struct ox_str text)
{
    json_t *value = NULL;
    if (ox_json_parse(text, "argument", &value, NULL) != OX_OK) {
        return false;
    }
    const bool good = (json_is_object(value) || json_is_array(value)) && ox_pyjson_within(value, JSON_DEPTH);
    if (good) {
        ox_pyjson_add(buf, value, JSON_DEPTH);
    }
    json_decref(value);
    return good;
}

void ox_toolargs_add(struct ox_buf *buf, unsigned types, struct ox_str raw)
{
    const struct ox_str text = trim(raw);
    if ((types & OX_TYPE_NULL) != 0 &&
        (raw.len == 0 || ox_str_is(raw, "null") || ox_str_is(raw, "Null") || ox_str_is(raw, "NULL"))) {
        ox_buf_add_c(buf, "null");
        return;
    }
    if (((types & OX_TYPE_INTEGER) != 0 && add_integer(buf, text)) ||
        ((types & OX_TYPE_NUMBER) != 0 && add_number(buf, text)) ||
        ((types & OX_TYPE_BOOLEAN) != 0 && add_boolean(buf, text)) ||
        ((types & (OX_TYPE_OBJECT | OX_TYPE_ARRAY)) != 0 && add_json(buf, text))) {
        return;
    }
    ox_json_add_quoted(buf, raw);
}
