/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON schema to grammar, the keywords: which there are, what they say together about types, values, lengths and
 * counts, and whether two schemas visibly exclude each other.
 */
#include "base/json.h"
#include "text/schema_parts.h"
#include "text/toolargs.h"

#define ALL_TYPES                                                                                                      \
    (OX_TYPE_STRING | OX_TYPE_INTEGER | OX_TYPE_NUMBER | OX_TYPE_BOOLEAN | OX_TYPE_OBJECT | OX_TYPE_ARRAY |            \
     OX_TYPE_NULL)
#define NUMBERS (OX_TYPE_INTEGER | OX_TYPE_NUMBER)
#define EXCLUDE_DEPTH 8

/* What a keyword is: types that it implies for a schema without a type. */
struct keyword {
    const char *name;
    unsigned implies;
};

static const struct keyword known[] = {
    {"type", 0},
    {"nullable", 0},
    {"enum", 0},
    {"const", 0},
    {"anyOf", 0},
    {"oneOf", 0},
    {"allOf", 0},
    {"$ref", 0},
    {"properties", OX_TYPE_OBJECT},
    {"required", OX_TYPE_OBJECT},
    {"additionalProperties", OX_TYPE_OBJECT},
    {"items", OX_TYPE_ARRAY},
    {"prefixItems", OX_TYPE_ARRAY},
    {"minItems", OX_TYPE_ARRAY},
    {"maxItems", OX_TYPE_ARRAY},
    {"minLength", OX_TYPE_STRING},
    {"maxLength", OX_TYPE_STRING},
    {"pattern", OX_TYPE_STRING},
    {"format", OX_TYPE_STRING},
    {"minimum", NUMBERS},
    {"maximum", NUMBERS},
    {"exclusiveMinimum", NUMBERS},
    {"exclusiveMaximum", NUMBERS},
};
#define N_KNOWN (sizeof known / sizeof known[0])

/* Keywords that say nothing about what is valid. */
static const char *const remarks[] = {
    "$schema", "$id",      "$anchor",      "$comment",         "$defs",           "definitions",   "title",
    "default", "examples", "example",      "description",      "deprecated",      "readOnly",      "writeOnly",
    "strict",  "name",     "externalDocs", "contentMediaType", "contentEncoding", "discriminator",
};
#define N_REMARKS (sizeof remarks / sizeof remarks[0])

static const struct keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < N_KNOWN; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

static bool is_remark(const char *name)
{
    bool found = strncmp(name, "x-", 2) == 0;
    for (size_t i = 0; i < N_REMARKS; i++) {
        found = found || strcmp(remarks[i], name) == 0;
    }
    return found;
}

/* Values of keywords that change nothing, so that generators of schemas may write them. */
static bool says_nothing(const char *name, const json_t *value)
{
    return (strcmp(name, "uniqueItems") == 0 && json_is_false(value)) ||
           (strcmp(name, "minProperties") == 0 && json_is_integer(value) && json_integer_value(value) == 0) ||
           (strcmp(name, "unevaluatedProperties") == 0 && json_is_true(value)) ||
           (strcmp(name, "patternProperties") == 0 && json_is_object(value) && json_object_size(value) == 0);
}

enum ox_status ox_schema_check_keywords(struct ox_schema_compiler *c, const struct ox_schema_item *item)
{
    const char *key;
    json_t *value;
    const enum ox_status status = ox_schema_spend(c, json_object_size(item->value));
    if (status != OX_OK) {
        return status;
    }
    json_object_foreach(item->value, key, value)
    {
        if (find_keyword(key) == NULL && !is_remark(key) && !says_nothing(key, value) && c->strict) {
            return ox_schema_error(c, OX_E_ARG, item->path, "the keyword \"%.40s\" is not supported", key);
        }
    }
    return OX_OK;
}

/* ---- types ---- */

static unsigned type_named(const json_t *name)
{
    static const struct keyword types[] = {
        {"string", OX_TYPE_STRING}, {"integer", OX_TYPE_INTEGER}, {"number", NUMBERS},    {"boolean", OX_TYPE_BOOLEAN},
        {"object", OX_TYPE_OBJECT}, {"array", OX_TYPE_ARRAY},     {"null", OX_TYPE_NULL},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (json_is_string(name) && ox_str_is(ox_json_text(name), types[i].name)) {
            return types[i].implies;
        }
    }
    return 0;
}

enum ox_status ox_schema_types(const struct ox_schema_compiler *c, const struct ox_schema_item *item, unsigned *types)
{
    const json_t *type = json_object_get(item->value, "type");
    unsigned all = type_named(type);
    bool good = type == NULL || all != 0 || json_array_size(type) > 0;
    for (size_t i = 0; i < json_array_size(type); i++) {
        const unsigned one = type_named(json_array_get(type, i));
        good = good && one != 0;
        all |= one;
    }
    if (!good) {
        return ox_schema_error(
            c, OX_E_ARG, item->path,
            "type: expected string, number, integer, boolean, object, array, null or a list of them");
    }
    if (all != 0 && json_is_true(json_object_get(item->value, "nullable"))) {
        all |= OX_TYPE_NULL;
    }
    *types = all;
    return OX_OK;
}

static unsigned type_of(const json_t *value)
{
    static const unsigned types[] = {
        [JSON_OBJECT] = OX_TYPE_OBJECT, [JSON_ARRAY] = OX_TYPE_ARRAY, [JSON_STRING] = OX_TYPE_STRING,
        [JSON_INTEGER] = NUMBERS,       [JSON_REAL] = NUMBERS,        [JSON_TRUE] = OX_TYPE_BOOLEAN,
        [JSON_FALSE] = OX_TYPE_BOOLEAN, [JSON_NULL] = OX_TYPE_NULL,
    };
    return types[json_typeof(value)];
}

/* What the keywords of schemas without a type imply; all types if there are none. */
static unsigned implied_types(const struct ox_schema_together *t)
{
    unsigned types = 0;
    for (size_t i = 0; i < t->n; i++) {
        for (size_t k = 0; k < N_KNOWN && json_is_object(t->items[i].value); k++) {
            types |= json_object_get(t->items[i].value, known[k].name) != NULL ? known[k].implies : 0;
        }
    }
    return types != 0 ? types : ALL_TYPES;
}

/* Equal as JSON schema means it: 1 is 1.0. */
static bool is_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b) && json_typeof(a) != json_typeof(b)) {
        const double x = json_number_value(a);
        const double y = json_number_value(b);
        return !(x < y) && !(x > y);
    }
    return json_equal(a, b) != 0;
}

static bool holds_value(const json_t *list, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (is_equal(json_array_get(list, i), value)) {
            return true;
        }
    }
    return false;
}

/* Keep what is in the list, and, after the first, was there before. */
static enum ox_status meet_values(struct ox_schema_compiler *c, json_t **values, json_t *list, bool nullable)
{
    const json_t *from = *values != NULL ? *values : list;
    const size_t n = json_array_size(list);
    const enum ox_status status = ox_schema_spend(c, *values != NULL ? n * json_array_size(from) : n);
    if (status != OX_OK) {
        return status;
    }
    json_t *kept = json_array();
    int failed = kept == NULL ? -1 : 0;
    for (size_t i = 0; i < json_array_size(from) && failed == 0; i++) {
        json_t *value = json_array_get(from, i);
        if (*values == NULL || holds_value(list, value) || (nullable && json_is_null(value))) {
            failed = json_array_append(kept, value);
        }
    }
    if (failed == 0 && *values == NULL && nullable && !holds_value(kept, json_null())) {
        failed = json_array_append_new(kept, json_null());
    }
    json_decref(*values);
    *values = kept;
    return failed == 0 ? OX_OK : ox_error_nomem(c->err, 64);
}

static enum ox_status read_values(struct ox_schema_compiler *c, const struct ox_schema_item *item,
                                  struct ox_facts *facts)
{
    json_t *list = json_object_get(item->value, "enum");
    json_t *constant = json_object_get(item->value, "const");
    enum ox_status status = OX_OK;
    if (list != NULL && json_array_size(list) == 0) {
        return ox_schema_error(c, OX_E_ARG, item->path, "enum: expected a list of values");
    }
    if (list != NULL) {
        status = meet_values(c, &facts->values, list, json_is_true(json_object_get(item->value, "nullable")));
    }
    if (status == OX_OK && constant != NULL) {
        json_t *one = json_array();
        if (one == NULL || json_array_append(one, constant) != 0) {
            status = ox_error_nomem(c->err, 64);
        } else {
            status = meet_values(c, &facts->values, one, false);
        }
        json_decref(one);
    }
    return status;
}

/* ---- counts ---- */

/* Raise *low, or lower *high, to what the keyword says. Above 32 bits a lower limit cannot be met, an upper one is
 * none. */
static enum ox_status read_count(const struct ox_schema_compiler *c, const struct ox_schema_item *item, const char *key,
                                 uint32_t *low, uint32_t *high)
{
    const json_t *value = json_object_get(item->value, key);
    if (value == NULL) {
        return OX_OK;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return ox_schema_error(c, OX_E_ARG, item->path, "%s: expected a whole number, 0 or more", key);
    }
    const uint64_t n = (uint64_t)json_integer_value(value);
    const uint32_t count = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
    if (low != NULL && count > *low) {
        *low = count;
    }
    if (high != NULL && count < *high) {
        *high = count;
    }
    return OX_OK;
}

static enum ox_status read_counts(const struct ox_schema_compiler *c, const struct ox_schema_item *item,
                                  struct ox_facts *facts)
{
    enum ox_status status = read_count(c, item, "minLength", &facts->min_length, NULL);
    if (status == OX_OK) {
        status = read_count(c, item, "maxLength", NULL, &facts->max_length);
    }
    if (status == OX_OK) {
        status = read_count(c, item, "minItems", &facts->min_items, NULL);
    }
    return status == OX_OK ? read_count(c, item, "maxItems", NULL, &facts->max_items) : status;
}

enum ox_status ox_schema_facts(struct ox_schema_compiler *c, const struct ox_schema_together *t, struct ox_facts *out)
{
    bool typed = false;
    enum ox_status status = OX_OK;
    *out = (struct ox_facts){.schemas = t, .types = ALL_TYPES, .max_length = UINT32_MAX, .max_items = UINT32_MAX};
    for (size_t i = 0; i < t->n && status == OX_OK; i++) {
        const struct ox_schema_item *item = &t->items[i];
        unsigned types;
        if (!json_is_object(item->value)) {
            continue;
        }
        status = ox_schema_types(c, item, &types);
        if (status == OX_OK && types != 0) {
            out->types &= types;
            typed = true;
        }
        if (status == OX_OK) {
            status = read_values(c, item, out);
        }
        if (status == OX_OK) {
            status = read_counts(c, item, out);
        }
    }
    if (!typed && out->values == NULL) {
        out->types = implied_types(t);
    }
    return status;
}

/* ---- schemas that exclude each other ---- */

/* The schema itself, or where its $ref leads, for schemas that are nothing but a $ref and remarks. */
static json_t *resolve(const struct ox_schema_compiler *c, json_t *schema)
{
    for (int i = 0; i < EXCLUDE_DEPTH; i++) {
        json_t *reference = json_object_get(schema, "$ref");
        json_t *target = reference != NULL ? ox_schema_follow(c->root, ox_json_text(reference)) : NULL;
        if (target == NULL) {
            break;
        }
        schema = target;
    }
    return schema;
}

/* Is no value of schema a's enum or const among b's? False if one of them has none. */
static bool values_differ(json_t *a, json_t *b)
{
    json_t *lists[2] = {json_object_get(a, "enum"), json_object_get(b, "enum")};
    json_t *constants[2] = {json_object_get(a, "const"), json_object_get(b, "const")};
    if ((lists[0] == NULL && constants[0] == NULL) || (lists[1] == NULL && constants[1] == NULL)) {
        return false;
    }
    const size_t n = constants[0] != NULL ? 1 : json_array_size(lists[0]);
    for (size_t i = 0; i < n; i++) {
        const json_t *value = constants[0] != NULL ? constants[0] : json_array_get(lists[0], i);
        const bool in_b = constants[1] != NULL ? is_equal(constants[1], value) : holds_value(lists[1], value);
        if (in_b) {
            return false;
        }
    }
    return true;
}

/* The types of all values that a schema allows, or more. */
static unsigned widest_types(const struct ox_schema_compiler *c, json_t *schema)
{
    const struct ox_schema_item item = {schema, 0, 0, OX_SCHEMA_PLAIN};
    json_t *list = json_object_get(schema, "enum");
    const json_t *constant = json_object_get(schema, "const");
    unsigned types = 0;
    if (ox_schema_types(c, &item, &types) == OX_OK && types != 0) {
        return types;
    }
    types = constant != NULL ? type_of(constant) : 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        types |= type_of(json_array_get(list, i));
    }
    return types != 0 ? types : ALL_TYPES;
}

/* What comparing two schemas costs. */
static size_t cost_of(const json_t *a, const json_t *b)
{
    static const char *const lists[] = {"enum", "required"};
    size_t cost = 8;
    for (size_t i = 0; i < 2; i++) {
        const size_t n_a = json_array_size(json_object_get(a, lists[i]));
        const size_t n_b = json_array_size(json_object_get(b, lists[i]));
        cost += (n_a + 1) * (n_b + 1);
    }
    return cost;
}

bool ox_schema_exclude(struct ox_schema_compiler *c, json_t *a, json_t *b, int depth)
{
    a = resolve(c, a);
    b = resolve(c, b);
    if (json_is_false(a) || json_is_false(b)) {
        return true;
    }
    if (ox_schema_spend(c, cost_of(a, b)) != OX_OK) {
        return false;
    }
    const unsigned types = widest_types(c, a) & widest_types(c, b);
    if (types == 0 || values_differ(a, b)) {
        return true;
    }
    if ((types & ~(unsigned)OX_TYPE_OBJECT) != 0 || depth == EXCLUDE_DEPTH) {
        return false;
    }
    const json_t *required = json_object_get(a, "required");
    const json_t *required_b = json_object_get(b, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const json_t *name = json_array_get(required, i);
        const struct ox_str text = ox_json_text(name);
        if (!json_is_string(name) || !holds_value(required_b, name)) {
            continue;
        }
        json_t *in_a = json_object_getn(json_object_get(a, "properties"), text.ptr, text.len);
        json_t *in_b = json_object_getn(json_object_get(b, "properties"), text.ptr, text.len);
        if (json_is_object(in_a) && json_is_object(in_b) && ox_schema_exclude(c, in_a, in_b, depth + 1)) {
            return true;
        }
    }
    return false;
}
