/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON schema to grammar, objects: which members there are when several schemas hold together, what each must satisfy,
 * and whether others may follow.
 */
#include "base/json.h"
#include "base/mem.h"
#include "text/schema_parts.h"
#include "text/toolargs.h"

/* One member in the making. */
struct slot {
    struct ox_str name; /* borrowed from the schema */
    uint32_t choice;
    bool required;
};

/* One object in the making. */
struct maker {
    struct ox_schema_compiler *c;
    const struct ox_schema_together *schemas;
    const struct ox_schema_place *place;
    bool markup;
    bool closed; /* no schema speaks of additional members, and one lists members */
    json_t *slots_by_name;
    struct slot *slots;
    size_t n_slots;
    size_t slots_cap;
};

static enum ox_status add_slot(struct maker *m, struct ox_str name, bool required)
{
    const json_t *known = json_object_getn(m->slots_by_name, name.ptr, name.len);
    if (known != NULL) {
        struct slot *slot = &m->slots[json_integer_value(known)];
        slot->required = slot->required || required;
        return OX_OK;
    }
    void *slots = m->slots;
    const int failed = ox_grow(&slots, &m->slots_cap, m->n_slots + 1, sizeof *m->slots);
    m->slots = slots;
    if (failed != 0 ||
        json_object_setn_new(m->slots_by_name, name.ptr, name.len, json_integer((json_int_t)m->n_slots)) != 0) {
        return ox_error_nomem(m->c->err, m->n_slots * sizeof *m->slots);
    }
    m->slots[m->n_slots++] = (struct slot){name, OX_NONE, required};
    return OX_OK;
}

/* The members that one schema names. */
static enum ox_status gather_names(struct maker *m, const struct ox_schema_item *item)
{
    json_t *properties = json_object_get(item->value, "properties");
    const json_t *required = json_object_get(item->value, "required");
    const char *key;
    json_t *value;
    if (properties != NULL && !json_is_object(properties)) {
        return ox_schema_error(m->c, OX_E_ARG, item->path, "properties: expected an object");
    }
    if (required != NULL && !json_is_array(required)) {
        return ox_schema_error(m->c, OX_E_ARG, item->path, "required: expected a list of names");
    }
    enum ox_status status = ox_schema_spend(m->c, json_object_size(properties) + json_array_size(required) + 1);
    json_object_foreach(properties, key, value)
    {
        if (status == OX_OK) {
            status = add_slot(m, ox_str_c(key), false);
        }
    }
    for (size_t i = 0; i < json_array_size(required) && status == OX_OK; i++) {
        const json_t *name = json_array_get(required, i);
        if (!json_is_string(name)) {
            return ox_schema_error(m->c, OX_E_ARG, item->path, "required: expected a list of names");
        }
        if (memchr(json_string_value(name), '\0', json_string_length(name)) != NULL) {
            return ox_schema_error(m->c, OX_E_ARG, item->path, "required: a name with a NUL character");
        }
        status = add_slot(m, ox_json_text(name), true);
    }
    return status;
}

/* What a member of this name must satisfy (name.ptr NULL: one that no schema names). */
static enum ox_status gather_member(struct maker *m, struct ox_str name, struct ox_schema_together *t)
{
    enum ox_status status = ox_schema_spend(m->c, m->schemas->n);
    t->n = 0;
    t->next = 0;
    for (size_t s = 0; s < m->schemas->n && status == OX_OK; s++) {
        const struct ox_schema_item *item = &m->schemas->items[s];
        json_t *properties = json_object_get(item->value, "properties");
        json_t *own = name.ptr != NULL ? json_object_getn(properties, name.ptr, name.len) : NULL;
        json_t *others = json_object_get(item->value, "additionalProperties");
        if (own != NULL) {
            size_t path = ox_schema_path(m->c, item->path, "properties", SIZE_MAX);
            path = ox_schema_path(m->c, path, name.ptr, SIZE_MAX);
            status = ox_schema_add(m->c, t, own, path, SIZE_MAX, OX_SCHEMA_PLAIN);
        } else if (others != NULL) {
            status = ox_schema_add(m->c, t, others, ox_schema_path(m->c, item->path, "additionalProperties", SIZE_MAX),
                                   SIZE_MAX, OX_SCHEMA_PLAIN);
        }
    }
    return status;
}

/* Can the markup hold a member of this name? "item" alone would be read as an array. */
static bool fits_markup(const struct maker *m, struct ox_str name)
{
    const bool item = ox_str_is(name, "item") && !m->place->arguments;
    return name.len > 0 && !item && name.ptr[0] != '/' && memchr(name.ptr, '>', name.len) == NULL &&
           !ox_str_starts(name, ox_str_c("invoke name=\""));
}

static enum ox_status place_members(struct maker *m)
{
    enum ox_status status = OX_OK;
    for (size_t i = 0; i < m->n_slots && status == OX_OK; i++) {
        struct slot *slot = &m->slots[i];
        struct ox_schema_together t = {.n = 0};
        const json_t *reader = m->markup ? ox_toolargs_child(m->c->root, m->place->reader, slot->name) : NULL;
        status = gather_member(m, slot->name, &t);
        if (status == OX_OK) {
            status =
                ox_schema_place(m->c, &t, t.n > 0 ? t.items[0].path : m->place->path, m->markup, reader, &slot->choice);
        }
    }
    return status;
}

/* Leave out members that the markup cannot hold; *impossible: one of them is required. */
static void drop_names(struct maker *m, bool *impossible)
{
    size_t kept = 0;
    *impossible = false;
    for (size_t i = 0; i < m->n_slots; i++) {
        if (fits_markup(m, m->slots[i].name)) {
            m->slots[kept++] = m->slots[i];
        } else {
            *impossible = *impossible || m->slots[i].required || !m->place->arguments;
        }
    }
    m->n_slots = kept;
}

static enum ox_status make_node(struct maker *m, struct ox_node node)
{
    struct ox_grammar *g = m->c->g;
    uint32_t number;
    enum ox_status status = OX_OK;
    node.first_member = (uint32_t)g->n_members;
    node.n_members = (uint32_t)m->n_slots;
    for (size_t i = 0; i < m->n_slots && status == OX_OK; i++) {
        status = ox_grammar_add_member(g, m->slots[i].name, m->slots[i].choice, m->c->err);
        if (status == OX_OK && m->slots[i].required) {
            g->members[g->n_members - 1].next_required = 0;
        }
    }
    if (status == OX_OK) {
        status = ox_grammar_add_member(g, ox_str_c(""), OX_NONE, m->c->err);
    }
    if (status == OX_OK) {
        status = ox_grammar_add_node(g, node, &number, m->c->err);
    }
    if (status == OX_OK) {
        status = ox_grammar_finish_members(g, number, m->c->err);
    }
    return status == OX_OK ? ox_schema_found(m->c, number) : status;
}

/* Additional members: none in markup, where their names would be free. */
static enum ox_status place_others(struct maker *m, struct ox_node *node)
{
    struct ox_schema_together t = {.n = 0};
    if (m->markup || m->closed) {
        return OX_OK;
    }
    const enum ox_status status = gather_member(m, ox_str_make(NULL, 0), &t);
    bool never = status != OX_OK;
    for (size_t i = 0; i < t.n; i++) {
        never = never || json_is_false(t.items[i].value);
    }
    const size_t path = t.n > 0 ? t.items[0].path : m->place->path;
    return never ? status : ox_schema_place(m->c, &t, path, false, NULL, &node->other);
}

static enum ox_status make(struct maker *m)
{
    struct ox_node node = {
        .kind = m->markup ? OX_NODE_ELEMENTS : OX_NODE_OBJECT,
        .other = OX_NONE,
        .min = m->markup && !m->place->arguments ? 1 : 0,
        .max = OX_NONE,
    };
    bool open = false;
    bool impossible = false;
    enum ox_status status = OX_OK;
    for (size_t s = 0; s < m->schemas->n && status == OX_OK; s++) {
        const json_t *schema = m->schemas->items[s].value;
        open = open || json_object_get(schema, "additionalProperties") != NULL;
        m->closed = m->closed || json_object_size(json_object_get(schema, "properties")) > 0;
        status = gather_names(m, &m->schemas->items[s]);
    }
    m->closed = m->closed && !open;
    if (m->markup) {
        drop_names(m, &impossible);
    }
    if (status == OX_OK && impossible && m->place->arguments) {
        return ox_schema_error(m->c, OX_E_ARG, m->place->path,
                               "a required parameter has a name that a call cannot hold");
    }
    if (status != OX_OK || impossible) {
        return status;
    }
    status = place_members(m);
    if (status == OX_OK) {
        status = place_others(m, &node);
    }
    return status == OX_OK ? make_node(m, node) : status;
}

enum ox_status ox_schema_object(struct ox_schema_compiler *c, const struct ox_facts *facts,
                                const struct ox_schema_place *place, bool as_elements)
{
    struct maker m = {.c = c, .schemas = facts->schemas, .place = place, .markup = as_elements};
    m.slots_by_name = json_object();
    const enum ox_status status = m.slots_by_name != NULL ? make(&m) : ox_error_nomem(c->err, 64);
    json_decref(m.slots_by_name);
    ox_free(m.slots);
    return status;
}
