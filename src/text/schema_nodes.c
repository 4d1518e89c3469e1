/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON schema to grammar, the values: nodes for what schemas that hold together allow, at most one for each type. In
 * markup, only what the reply parser turns back into a value of that type.
 */
#include "base/json.h"
#include "base/mem.h"
#include "text/pyjson.h"
#include "text/regex.h"
#include "text/schema_parts.h"
#include "text/toolargs.h"

/* One alternative of one place. */
struct maker {
    struct ox_schema_compiler *c;
    const struct ox_schema_place *place;
    struct ox_facts facts;
    unsigned reads; /* the types that the reply parser looks for here */
    size_t path;
};

enum ox_status ox_schema_found(struct ox_schema_compiler *c, uint32_t node)
{
    void *nodes = c->found;
    if (ox_grow(&nodes, &c->found_cap, c->n_found + 1, sizeof *c->found) != 0) {
        return ox_error_nomem(c->err, c->n_found * sizeof *c->found);
    }
    c->found = nodes;
    c->found[c->n_found++] = node;
    return OX_OK;
}

static enum ox_status add_node(struct maker *m, struct ox_node node)
{
    uint32_t number;
    const enum ox_status status = ox_grammar_add_node(m->c->g, node, &number, m->c->err);
    return status == OX_OK ? ox_schema_found(m->c, number) : status;
}

/* An error without a place gets this one. */
static enum ox_status place_error(const struct maker *m, enum ox_status status)
{
    if (status == OX_E_ARG || status == OX_E_LIMIT) {
        ox_error_prefix(m->c->err, "%.60s: %s: ", m->c->what, ox_buf_text(&m->c->paths) + m->path);
    }
    return status;
}

/* ---- scalars ---- */

static enum ox_status make_plain(unsigned which, struct ox_automaton *out, struct ox_error *err)
{
    static const struct ox_bound none;
    switch (which) {
    case OX_PLAIN_NULL:
        return ox_regex_compile_whole(ox_str_c("null"), out, err);
    case OX_PLAIN_BOOLEAN:
        return ox_regex_compile_whole(ox_str_c("true|false"), out, err);
    case OX_PLAIN_INTEGER:
        return ox_numerals_integers(&none, &none, out, err);
    default:
        return ox_numerals_reals(&none, &none, out, err);
    }
}

static enum ox_status add_plain(struct maker *m, unsigned which)
{
    uint32_t *number = &m->c->plain[which];
    if (*number == OX_NONE) {
        struct ox_automaton automaton = {0};
        enum ox_status status = make_plain(which, &automaton, m->c->err);
        if (status == OX_OK) {
            status = ox_grammar_add_automaton(m->c->g, &automaton, number, m->c->err);
        }
        if (status != OX_OK) {
            return place_error(m, status);
        }
    }
    return add_node(m, (struct ox_node){.kind = OX_NODE_SCALAR, .automaton = *number, .other = OX_NONE});
}

/* Tighten *bound by the keyword. */
static enum ox_status read_bound(const struct maker *m, const struct ox_schema_item *item, const char *key, bool is_low,
                                 bool exclusive, struct ox_bound *bound)
{
    const json_t *value = json_object_get(item->value, key);
    struct ox_bound one = {true, exclusive, {0}};
    if (value == NULL) {
        return OX_OK;
    }
    if (!json_is_number(value)) {
        return ox_schema_error(m->c, OX_E_ARG, item->path, "%s: expected a number", key);
    }
    if (!ox_decimal_from_json(value, &one.at)) {
        const double x = json_number_value(value);
        if (is_low ? x <= -1e19 : x >= 1e19) {
            return OX_OK; /* beyond all numbers that are written */
        }
        return ox_schema_error(m->c, OX_E_ARG, item->path,
                               "%s: a bound of more than 19 digits before or 15 behind the point", key);
    }
    const int order = bound->set ? ox_decimal_compare(&one.at, &bound->at) : 0;
    if (!bound->set || (is_low ? order > 0 : order < 0) || (order == 0 && exclusive)) {
        *bound = one;
    }
    return OX_OK;
}

static enum ox_status read_bounds(const struct maker *m, struct ox_bound *low, struct ox_bound *high)
{
    enum ox_status status = OX_OK;
    *low = (struct ox_bound){0};
    *high = (struct ox_bound){0};
    for (size_t i = 0; i < m->facts.schemas->n && status == OX_OK; i++) {
        const struct ox_schema_item *item = &m->facts.schemas->items[i];
        status = read_bound(m, item, "minimum", true, false, low);
        if (status == OX_OK) {
            status = read_bound(m, item, "exclusiveMinimum", true, true, low);
        }
        if (status == OX_OK) {
            status = read_bound(m, item, "maximum", false, false, high);
        }
        if (status == OX_OK) {
            status = read_bound(m, item, "exclusiveMaximum", false, true, high);
        }
    }
    return status;
}

/* The range with these bounds, made if none of the last ones has them. Bounds are bytes without gaps. */
static enum ox_status find_range(struct maker *m, struct ox_schema_range *range)
{
    struct ox_schema_compiler *c = m->c;
    struct ox_automaton automaton = {0};
    for (size_t i = 0; i < c->n_ranges && i < OX_SCHEMA_RANGES; i++) {
        const struct ox_schema_range *known = &c->ranges[i];
        if (known->real == range->real && memcmp(&known->low, &range->low, sizeof range->low) == 0 &&
            memcmp(&known->high, &range->high, sizeof range->high) == 0) {
            *range = *known;
            return OX_OK;
        }
    }
    enum ox_status status = range->real ? ox_numerals_reals(&range->low, &range->high, &automaton, c->err)
                                        : ox_numerals_integers(&range->low, &range->high, &automaton, c->err);
    if (status == OX_OK) {
        status = ox_grammar_add_automaton(c->g, &automaton, &range->automaton, c->err);
    }
    if (status == OX_OK) {
        c->ranges[c->n_ranges++ % OX_SCHEMA_RANGES] = *range;
    }
    return place_error(m, status);
}

static enum ox_status add_number(struct maker *m)
{
    struct ox_schema_range range = {.real = (m->facts.types & OX_TYPE_NUMBER) != 0};
    enum ox_status status = read_bounds(m, &range.low, &range.high);
    if (status != OX_OK) {
        return status;
    }
    if (!range.low.set && !range.high.set) {
        return add_plain(m, range.real ? OX_PLAIN_NUMBER : OX_PLAIN_INTEGER);
    }
    status = find_range(m, &range);
    const struct ox_node node = {.kind = OX_NODE_SCALAR, .automaton = range.automaton, .other = OX_NONE};
    return status == OX_OK ? add_node(m, node) : status;
}

/* ---- strings ---- */

/* Narrow *automaton (*any: it is still every text) to what `by` accepts too; by is taken. */
static enum ox_status narrow(struct maker *m, struct ox_automaton *automaton, bool *any, struct ox_automaton *by)
{
    struct ox_automaton both = {0};
    enum ox_status status = OX_OK;
    if (*any) {
        *automaton = *by;
        *any = false;
        return OX_OK;
    }
    status = ox_automaton_both(automaton, by, &both, m->c->err);
    ox_automaton_fini(automaton);
    ox_automaton_fini(by);
    *automaton = both;
    return place_error(m, status);
}

/* What `pattern` and `format` of one schema allow. */
static enum ox_status narrow_by_schema(struct maker *m, const struct ox_schema_item *item,
                                       struct ox_automaton *automaton, bool *any)
{
    const json_t *pattern = json_object_get(item->value, "pattern");
    const json_t *format = json_object_get(item->value, "format");
    struct ox_automaton by = {0};
    enum ox_status status = OX_OK;
    m->path = item->path;
    if (pattern != NULL && !json_is_string(pattern)) {
        return ox_schema_error(m->c, OX_E_ARG, item->path, "pattern: expected a string");
    }
    if (pattern != NULL) {
        status = ox_regex_compile(ox_json_text(pattern), &by, m->c->err);
        status = status == OX_OK ? narrow(m, automaton, any, &by) : place_error(m, status);
    }
    if (status != OX_OK || format == NULL) {
        return status;
    }
    const char *known = ox_regex_format(ox_json_text(format));
    if (known == NULL && m->c->strict) {
        return ox_schema_error(m->c, OX_E_ARG, item->path, "the format \"%.40s\" is not supported",
                               json_is_string(format) ? json_string_value(format) : "");
    }
    memset(&by, 0, sizeof by);
    if (known != NULL) {
        status = ox_regex_compile_whole(ox_str_c(known), &by, m->c->err);
        status = status == OX_OK ? narrow(m, automaton, any, &by) : place_error(m, status);
    }
    return status;
}

/* The strings among the values, as an automaton. */
static enum ox_status narrow_by_values(struct maker *m, struct ox_automaton *automaton, bool *any)
{
    struct ox_net net = {0};
    struct ox_automaton by = {0};
    const uint32_t start = ox_net_add(&net);
    for (size_t i = 0; i < json_array_size(m->facts.values); i++) {
        const json_t *value = json_array_get(m->facts.values, i);
        if (json_is_string(value)) {
            ox_net_accept(&net, ox_net_text(&net, start, ox_json_text(value)), 0);
        }
    }
    const enum ox_status status = ox_net_determine(&net, &by, m->c->err);
    ox_net_fini(&net);
    return status == OX_OK ? narrow(m, automaton, any, &by) : place_error(m, status);
}

/* Texts that the reply parser would not take for strings, where it looks for other types too. */
static enum ox_status narrow_by_reader(struct maker *m, struct ox_automaton *automaton, bool *any)
{
#define BLANKS "[ \\t-\\r]*"
    static const struct {
        unsigned types;
        const char *pattern;
    } others[] = {
        {OX_TYPE_NULL, "|null|Null|NULL"},
        {OX_TYPE_INTEGER | OX_TYPE_NUMBER, "|" BLANKS "[+-]?[0-9.][0-9.eE+-]*" BLANKS},
        {OX_TYPE_BOOLEAN,
         "|" BLANKS "([Tt][Rr][Uu][Ee]|1|[Yy][Ee][Ss]|[Oo][Nn]|[Ff][Aa][Ll][Ss][Ee]|0|[Nn][Oo]|[Oo][Ff][Ff])" BLANKS},
        {OX_TYPE_OBJECT | OX_TYPE_ARRAY, "|" BLANKS "[{\\[][^]*"},
    };
    struct ox_buf pattern = {0};
    struct ox_automaton by = {0};
    struct ox_automaton rest = {0};
    if (ox_toolargs_streams(m->reads)) {
        return OX_OK;
    }
    ox_buf_add_c(&pattern, (m->reads & OX_TYPE_NULL) != 0 ? "" : "null");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        ox_buf_add_c(&pattern, (m->reads & others[i].types) != 0 ? others[i].pattern : "");
    }
    enum ox_status status = ox_buf_failed(&pattern) ? ox_error_nomem(m->c->err, 256) : OX_OK;
    if (status == OX_OK && *any) {
        *any = false;
        status = ox_automaton_lengths(0, SIZE_MAX, automaton, m->c->err);
    }
    if (status == OX_OK) {
        status = ox_regex_compile_whole(ox_buf_str(&pattern), &by, m->c->err);
    }
    if (status == OX_OK) {
        status = ox_automaton_without(automaton, &by, &rest, m->c->err);
    }
    ox_buf_fini(&pattern);
    ox_automaton_fini(&by);
    ox_automaton_fini(automaton);
    *automaton = rest;
    return place_error(m, status);
}

static enum ox_status add_string(struct maker *m)
{
    const struct ox_facts *f = &m->facts;
    struct ox_node node = {
        .kind = m->place->markup ? OX_NODE_RAW : OX_NODE_STRING,
        .automaton = OX_NONE,
        .min = f->min_length,
        .max = f->max_length,
        .other = OX_NONE,
    };
    struct ox_automaton automaton = {0};
    bool any = true;
    enum ox_status status = OX_OK;
    for (size_t i = 0; i < f->schemas->n && status == OX_OK; i++) {
        status = narrow_by_schema(m, &f->schemas->items[i], &automaton, &any);
    }
    m->path = m->place->path;
    if (status == OX_OK && f->values != NULL) {
        status = narrow_by_values(m, &automaton, &any);
    }
    if (status == OX_OK && m->place->markup) {
        status = narrow_by_reader(m, &automaton, &any);
    }
    if (status == OX_OK && !any && (f->min_length > 0 || f->max_length != UINT32_MAX)) {
        struct ox_automaton lengths = {0};
        if (f->min_length <= f->max_length) {
            status = ox_automaton_lengths(f->min_length, f->max_length != UINT32_MAX ? f->max_length : SIZE_MAX,
                                          &lengths, m->c->err);
        }
        status = status == OX_OK ? narrow(m, &automaton, &any, &lengths) : place_error(m, status);
    }
    if (status == OX_OK && !any) {
        node.min = 0;
        node.max = OX_NONE;
        status = ox_grammar_add_automaton(m->c->g, &automaton, &node.automaton, m->c->err);
        status = place_error(m, status);
    }
    ox_automaton_fini(&automaton);
    return status == OX_OK ? add_node(m, node) : status;
}

/* ---- arrays ---- */

/* What the element at index i must satisfy. */
static enum ox_status gather_element(struct maker *m, size_t i, struct ox_schema_together *t)
{
    const struct ox_schema_together *schemas = m->facts.schemas;
    enum ox_status status = OX_OK;
    t->n = 0;
    t->next = 0;
    for (size_t s = 0; s < schemas->n && status == OX_OK; s++) {
        const struct ox_schema_item *item = &schemas->items[s];
        json_t *prefix = json_object_get(item->value, "prefixItems");
        json_t *items = json_object_get(item->value, "items");
        if (i < json_array_size(prefix)) {
            status = ox_schema_add(m->c, t, json_array_get(prefix, i),
                                   ox_schema_path(m->c, item->path, "prefixItems", i), SIZE_MAX, OX_SCHEMA_PLAIN);
        } else if (items != NULL) {
            status = ox_schema_add(m->c, t, items, ox_schema_path(m->c, item->path, "items", SIZE_MAX), SIZE_MAX,
                                   OX_SCHEMA_PLAIN);
        }
    }
    return status;
}

static size_t place_path(const struct maker *m, const struct ox_schema_together *t)
{
    return t->n > 0 ? t->items[0].path : m->place->path;
}

static enum ox_status longest_prefix(struct maker *m, size_t *n)
{
    *n = 0;
    for (size_t s = 0; s < m->facts.schemas->n; s++) {
        const struct ox_schema_item *item = &m->facts.schemas->items[s];
        const json_t *prefix = json_object_get(item->value, "prefixItems");
        if (prefix != NULL && json_array_size(prefix) == 0) {
            return ox_schema_error(m->c, OX_E_ARG, item->path, "prefixItems: expected a list of schemas");
        }
        if (json_is_array(json_object_get(item->value, "items"))) {
            return ox_schema_error(m->c, OX_E_ARG, item->path,
                                   "items: expected a schema; a list is called prefixItems");
        }
        *n = json_array_size(prefix) > *n ? json_array_size(prefix) : *n;
    }
    return ox_schema_spend(m->c, (*n + 1) * m->facts.schemas->n);
}

/* Arrays; in markup (as_items) without a prefix, which the reply parser does not know, and not empty. */
static enum ox_status add_array(struct maker *m, bool as_items)
{
    struct ox_schema_together t = {.n = 0};
    struct ox_node node = {
        .kind = as_items ? OX_NODE_ITEMS : OX_NODE_ARRAY,
        .automaton = OX_NONE,
        .min = m->facts.min_items,
        .max = m->facts.max_items,
        .other = OX_NONE,
    };
    size_t n_prefix;
    uint32_t choices[OX_SCHEMA_PREFIX_MAX];
    const json_t *reader = as_items ? ox_toolargs_child(m->c->root, m->place->reader, ox_str_c("item")) : NULL;
    enum ox_status status = longest_prefix(m, &n_prefix);
    if (status != OX_OK || (as_items && (n_prefix > 0 || node.max == 0))) {
        return status;
    }
    if (n_prefix > OX_SCHEMA_PREFIX_MAX) {
        return ox_schema_error(m->c, OX_E_LIMIT, m->place->path, "more than %d prefixItems", OX_SCHEMA_PREFIX_MAX);
    }
    node.min = as_items && node.min == 0 ? 1 : node.min;
    for (size_t i = 0; i <= n_prefix && status == OX_OK; i++) {
        status = gather_element(m, i, &t);
        if (status == OX_OK) {
            status = ox_schema_place(m->c, &t, place_path(m, &t), as_items, reader,
                                     i < n_prefix ? &choices[i] : &node.other);
        }
    }
    node.first_member = (uint32_t)m->c->g->n_members;
    node.n_members = (uint32_t)n_prefix;
    for (size_t i = 0; i < n_prefix && status == OX_OK; i++) {
        status = ox_grammar_add_member(m->c->g, ox_str_c(""), choices[i], m->c->err);
    }
    return status == OX_OK ? add_node(m, node) : status;
}

/* ---- values ---- */

static enum ox_status value_node(struct maker *m, json_t *value, uint32_t *node);

/* A choice of exactly this value. */
static enum ox_status value_choice(struct maker *m, json_t *value, uint32_t *choice)
{
    uint32_t node;
    enum ox_status status = value_node(m, value, &node);
    if (status == OX_OK) {
        status = ox_grammar_add_choice(m->c->g, choice, m->c->err);
    }
    return status == OX_OK ? ox_grammar_add_alternative(m->c->g, *choice, node, m->c->err) : status;
}

/* The choices of an array's elements, or of an object's members, as members of the grammar. */
static enum ox_status value_members(struct maker *m, json_t *value, struct ox_node *node)
{
    const size_t n = json_is_array(value) ? json_array_size(value) : json_object_size(value);
    uint32_t *choices = ox_calloc(n, sizeof *choices);
    enum ox_status status = choices != NULL ? OX_OK : ox_error_nomem(m->c->err, n);
    size_t i = 0;
    for (i = 0; i < json_array_size(value) && status == OX_OK; i++) {
        status = value_choice(m, json_array_get(value, i), &choices[i]);
    }
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member)
    {
        if (status == OX_OK) {
            status = value_choice(m, member, &choices[i++]);
        }
    }
    node->first_member = (uint32_t)m->c->g->n_members;
    node->n_members = (uint32_t)n;
    void *at = json_object_iter(value);
    for (i = 0; i < n && status == OX_OK; i++) {
        const char *name = at != NULL ? json_object_iter_key(at) : "";
        status = ox_grammar_add_member(m->c->g, ox_str_c(name), choices[i], m->c->err);
        at = at != NULL ? json_object_iter_next(value, at) : NULL;
    }
    ox_free(choices);
    return status;
}

static enum ox_status value_object(struct maker *m, json_t *value, uint32_t *node)
{
    struct ox_node object = {.kind = OX_NODE_OBJECT, .automaton = OX_NONE, .other = OX_NONE};
    enum ox_status status = value_members(m, value, &object);
    for (uint32_t i = 0; status == OX_OK && i < object.n_members; i++) {
        m->c->g->members[object.first_member + i].next_required = 0;
    }
    if (status == OX_OK) {
        status = ox_grammar_add_member(m->c->g, ox_str_c(""), OX_NONE, m->c->err);
    }
    if (status == OX_OK) {
        status = ox_grammar_add_node(m->c->g, object, node, m->c->err);
    }
    return status == OX_OK ? ox_grammar_finish_members(m->c->g, *node, m->c->err) : status;
}

/* One path of this text, as bytes or as characters. */
static enum ox_status value_text(struct maker *m, struct ox_str text, bool bytes, uint32_t *number)
{
    struct ox_net net = {0};
    struct ox_automaton automaton = {0};
    const uint32_t start = ox_net_add(&net);
    ox_net_accept(&net, bytes ? ox_net_bytes(&net, start, text) : ox_net_text(&net, start, text), 0);
    enum ox_status status = ox_net_determine(&net, &automaton, m->c->err);
    ox_net_fini(&net);
    if (status == OX_OK) {
        status = ox_grammar_add_automaton(m->c->g, &automaton, number, m->c->err);
    }
    return place_error(m, status);
}

/* A node of exactly this value as JSON. */
static enum ox_status value_node(struct maker *m, json_t *value, uint32_t *node)
{
    struct ox_node made = {.kind = OX_NODE_SCALAR, .automaton = OX_NONE, .max = OX_NONE, .other = OX_NONE};
    enum ox_status status = OX_OK;
    if (json_is_object(value)) {
        return value_object(m, value, node);
    }
    if (json_is_array(value)) {
        made.kind = OX_NODE_ARRAY;
        made.min = (uint32_t)json_array_size(value);
        made.max = made.min;
        status = value_members(m, value, &made);
    } else if (json_is_string(value)) {
        made.kind = OX_NODE_STRING;
        status = value_text(m, ox_json_text(value), false, &made.automaton);
    } else {
        struct ox_buf text = {0};
        ox_pyjson_add(&text, value, 1);
        status = ox_buf_failed(&text) ? ox_error_nomem(m->c->err, 64)
                                      : value_text(m, ox_buf_str(&text), true, &made.automaton);
        ox_buf_fini(&text);
    }
    return status == OX_OK ? ox_grammar_add_node(m->c->g, made, node, m->c->err) : status;
}

static bool is_integral(const json_t *value)
{
    const double x = json_real_value(value);
    return x >= -9e15 && x <= 9e15 && !(x < (double)(int64_t)x) && !(x > (double)(int64_t)x);
}

/* Does a number among the values satisfy types and bounds? */
static bool number_fits(const struct maker *m, const json_t *value, const struct ox_bound *low,
                        const struct ox_bound *high)
{
    struct ox_decimal x;
    const bool integer = json_is_integer(value) || is_integral(value);
    if ((m->facts.types & (integer ? OX_TYPE_INTEGER : OX_TYPE_NUMBER)) == 0) {
        return false;
    }
    return (!low->set && !high->set) || (ox_decimal_from_json(value, &x) && ox_bounds_hold(&x, low, high));
}

/* May this value of enum or const stand here, as JSON or as what the reply parser reads? Strings are treated apart. */
static bool value_fits(const struct maker *m, const json_t *value, const struct ox_bound *low,
                       const struct ox_bound *high)
{
    const unsigned reads = m->place->markup ? m->reads : ~0U;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return (m->facts.types & OX_TYPE_OBJECT) != 0 && (reads & (OX_TYPE_OBJECT | OX_TYPE_ARRAY)) != 0;
    case JSON_ARRAY:
        return (m->facts.types & OX_TYPE_ARRAY) != 0 && (reads & (OX_TYPE_OBJECT | OX_TYPE_ARRAY)) != 0;
    case JSON_INTEGER:
        return (reads & (OX_TYPE_INTEGER | OX_TYPE_NUMBER)) != 0 && number_fits(m, value, low, high);
    case JSON_REAL:
        return (reads & OX_TYPE_NUMBER) != 0 && number_fits(m, value, low, high);
    case JSON_TRUE:
    case JSON_FALSE:
        return (m->facts.types & reads & OX_TYPE_BOOLEAN) != 0;
    case JSON_NULL:
        return (m->facts.types & reads & OX_TYPE_NULL) != 0;
    case JSON_STRING:
    default:
        return false;
    }
}

/* Schemas that say more about objects and arrays than which there are. */
static enum ox_status check_bare(const struct maker *m)
{
    static const char *const keys[] = {"properties", "required", "additionalProperties", "items", "prefixItems",
                                       "minItems",   "maxItems"};
    for (size_t s = 0; s < m->facts.schemas->n; s++) {
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            if (json_object_get(m->facts.schemas->items[s].value, keys[k]) != NULL) {
                return ox_schema_error(m->c, OX_E_ARG, m->facts.schemas->items[s].path,
                                       "%s beside an enum or const with objects or arrays is not supported", keys[k]);
            }
        }
    }
    return OX_OK;
}

/* The values of enum and const, but for strings. */
static enum ox_status add_values(struct maker *m)
{
    struct ox_bound low;
    struct ox_bound high;
    enum ox_status status = read_bounds(m, &low, &high);
    for (size_t i = 0; i < json_array_size(m->facts.values) && status == OX_OK; i++) {
        json_t *value = json_array_get(m->facts.values, i);
        uint32_t node;
        if (!value_fits(m, value, &low, &high)) {
            continue;
        }
        if (json_is_object(value) || json_is_array(value)) {
            status = check_bare(m);
        }
        if (status == OX_OK) {
            status = value_node(m, value, &node);
        }
        if (status == OX_OK) {
            status = ox_schema_found(m->c, node);
        }
    }
    return status;
}

/* ---- all of it ---- */

/* Nodes for the types that have no values listed. */
static enum ox_status add_types(struct maker *m)
{
    const unsigned types = m->facts.types;
    const unsigned reads = m->place->markup ? m->reads : ~0U;
    const bool number = (types & OX_TYPE_NUMBER) != 0 ? (reads & OX_TYPE_NUMBER) != 0
                                                      : (reads & (OX_TYPE_NUMBER | OX_TYPE_INTEGER)) != 0;
    const bool json = (reads & (OX_TYPE_OBJECT | OX_TYPE_ARRAY)) != 0;
    enum ox_status status = OX_OK;
    if ((types & reads & OX_TYPE_NULL) != 0) {
        status = add_plain(m, OX_PLAIN_NULL);
    }
    if (status == OX_OK && (types & reads & OX_TYPE_BOOLEAN) != 0) {
        status = add_plain(m, OX_PLAIN_BOOLEAN);
    }
    if (status == OX_OK && (types & (OX_TYPE_INTEGER | OX_TYPE_NUMBER)) != 0 && number) {
        status = add_number(m);
    }
    if (status == OX_OK && (types & OX_TYPE_OBJECT) != 0 && json) {
        status = ox_schema_object(m->c, &m->facts, m->place, false);
    }
    if (status == OX_OK && (types & OX_TYPE_OBJECT) != 0 && m->place->markup) {
        status = ox_schema_object(m->c, &m->facts, m->place, true);
    }
    if (status == OX_OK && (types & OX_TYPE_ARRAY) != 0 && json) {
        status = add_array(m, false);
    }
    if (status == OX_OK && (types & OX_TYPE_ARRAY) != 0 && m->place->markup) {
        status = add_array(m, true);
    }
    return status;
}

enum ox_status ox_schema_nodes(struct ox_schema_compiler *c, const struct ox_schema_together *t,
                               const struct ox_schema_place *place)
{
    struct maker m = {.c = c, .place = place, .path = place->path};
    m.reads = place->markup ? ox_toolargs_types(c->root, place->reader) : 0;
    enum ox_status status = ox_schema_facts(c, t, &m.facts);
    if (place->arguments) {
        m.facts.types &= OX_TYPE_OBJECT;
        status = status == OX_OK && m.facts.types != 0 ? ox_schema_object(c, &m.facts, place, true) : status;
        json_decref(m.facts.values);
        return status;
    }
    if (status == OX_OK && (m.facts.types & OX_TYPE_STRING) != 0) {
        status = add_string(&m);
    }
    if (status == OX_OK) {
        status = m.facts.values != NULL ? add_values(&m) : add_types(&m);
    }
    json_decref(m.facts.values);
    return status;
}
