/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON schema to grammar, the frame: every place of a document (the whole, a member, an element) is a choice of nodes,
 * compiled one after the other from the schemas that hold there together. $ref and allOf add to these schemas, anyOf
 * and oneOf make alternatives of them; equal sets of schemas are one place, which is how recursion ends.
 */
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/pyjson.h"
#include "text/schema_parts.h"

#define PATH_BYTES 120
/* Beyond this, places are named by what they are in. */
#define PATHS_BYTES_MAX ((size_t)16 << 20)
#define ONE_OF_MAX 256

enum ox_status ox_schema_error(const struct ox_schema_compiler *c, enum ox_status code, size_t path, const char *format,
                               ...)
{
    char sentence[200];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return ox_error_set(c->err, code, "%.60s: %s: %s", c->what, ox_buf_text(&c->paths) + path, sentence);
}

enum ox_status ox_schema_spend(struct ox_schema_compiler *c, size_t n)
{
    c->work += n;
    return c->work <= OX_GRAMMAR_WORK_MAX ? OX_OK : ox_schema_error(c, OX_E_LIMIT, 0, "the schema is too much work");
}

enum ox_status ox_schema_check_depth(const struct ox_schema_compiler *c, json_t *schema)
{
    if (!ox_pyjson_within(schema, OX_GRAMMAR_SCHEMA_DEPTH)) {
        return ox_schema_error(c, OX_E_LIMIT, 0, "nested more than %d levels deep", OX_GRAMMAR_SCHEMA_DEPTH);
    }
    return OX_OK;
}

size_t ox_schema_path(struct ox_schema_compiler *c, size_t path, const char *key, size_t i)
{
    char text[PATH_BYTES + 64];
    const size_t at = c->paths.len;
    if (at > PATHS_BYTES_MAX) {
        return path;
    }
    size_t len = strlen(key) < 40 ? strlen(key) : 40;
    len -= ox_utf8_tail(ox_str_make(key, len));
    const int n =
        snprintf(text, sizeof text, "%s%s%.*s", ox_buf_text(&c->paths) + path, len > 0 ? "/" : "", (int)len, key);
    if (i != SIZE_MAX && n > 0 && (size_t)n < sizeof text) {
        snprintf(text + n, sizeof text - (size_t)n, "/%zu", i);
    }
    len = strlen(text) < PATH_BYTES ? strlen(text) : PATH_BYTES;
    len -= ox_utf8_tail(ox_str_make(text, len));
    text[len] = '\0';
    ox_buf_add(&c->paths, text, len + 1);
    return ox_buf_failed(&c->paths) ? path : at;
}

/* One part of a reference, with ~0, ~1 and %XX decoded, into out. */
static void decode_part(struct ox_str part, struct ox_buf *out)
{
    for (size_t i = 0; i < part.len; i++) {
        char byte = part.ptr[i];
        if (byte == '~' && i + 1 < part.len && (part.ptr[i + 1] == '0' || part.ptr[i + 1] == '1')) {
            byte = part.ptr[++i] == '0' ? '~' : '/';
        } else if (byte == '%' && i + 2 < part.len) {
            static const char hex[] = "0123456789ABCDEFabcdef";
            const char *high = part.ptr[i + 1] != '\0' ? strchr(hex, part.ptr[i + 1]) : NULL;
            const char *low = part.ptr[i + 2] != '\0' ? strchr(hex, part.ptr[i + 2]) : NULL;
            if (high != NULL && low != NULL) {
                const unsigned h = (unsigned)(high - hex);
                const unsigned l = (unsigned)(low - hex);
                byte = (char)((h > 15 ? h - 6 : h) << 4 | (l > 15 ? l - 6 : l));
                i += 2;
            }
        }
        ox_buf_add_byte(out, byte);
    }
}

/* The member or element of `at` that part names. */
static json_t *step(const json_t *at, struct ox_str part)
{
    uint64_t i;
    if (json_is_array(at)) {
        return ox_str_to_u64(part, &i) ? json_array_get(at, i) : NULL;
    }
    return json_object_getn(at, part.len > 0 ? part.ptr : "", part.len);
}

json_t *ox_schema_follow(json_t *root, struct ox_str reference)
{
    struct ox_buf part = {0};
    json_t *at = root;
    size_t i = 1;
    if (reference.len == 0 || reference.ptr[0] != '#' || (reference.len > 1 && reference.ptr[1] != '/')) {
        return NULL;
    }
    while (i < reference.len && at != NULL) {
        const size_t end = ox_str_find(reference, ox_str_c("/"), i + 1);
        ox_buf_clear(&part);
        decode_part(ox_str_make(reference.ptr + i + 1, end - i - 1), &part);
        at = ox_buf_failed(&part) ? NULL : step(at, ox_buf_str(&part));
        i = end;
    }
    ox_buf_fini(&part);
    return at;
}

/* ---- schemas that hold together ---- */

/* Is `schema` looked at because of itself? */
static bool is_circular(const struct ox_schema_together *t, const json_t *schema, size_t parent)
{
    for (size_t i = parent; i < t->n; i = t->items[i].parent) {
        if (t->items[i].value == schema) {
            return true;
        }
        if (t->items[i].parent == i) {
            return false;
        }
    }
    return false;
}

enum ox_status ox_schema_add(const struct ox_schema_compiler *c, struct ox_schema_together *t, json_t *schema,
                             size_t path, size_t parent, enum ox_schema_kind kind)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->items[i].value == schema) {
            if (is_circular(t, schema, parent)) {
                return ox_schema_error(c, OX_E_ARG, path, "the schema refers to itself without end");
            }
            return OX_OK;
        }
    }
    if (t->n == OX_GRAMMAR_TOGETHER_MAX) {
        return ox_schema_error(c, OX_E_LIMIT, path, "more than %d schemas hold for one value", OX_GRAMMAR_TOGETHER_MAX);
    }
    t->items[t->n] = (struct ox_schema_item){schema, path, parent == SIZE_MAX ? t->n : parent, kind};
    t->n++;
    return OX_OK;
}

/* The schemas that item i brings along. */
static enum ox_status look_at(struct ox_schema_compiler *c, struct ox_schema_together *t, size_t i)
{
    const struct ox_schema_item item = t->items[i];
    enum ox_status status = OX_OK;
    if (json_is_boolean(item.value)) {
        return OX_OK;
    }
    if (!json_is_object(item.value)) {
        return ox_schema_error(c, OX_E_ARG, item.path, "expected a schema, an object");
    }
    status = ox_schema_check_keywords(c, &item);
    const json_t *reference = json_object_get(item.value, "$ref");
    if (status == OX_OK && reference != NULL) {
        json_t *target = ox_schema_follow(c->root, ox_json_text(reference));
        if (target == NULL) {
            return ox_schema_error(c, OX_E_ARG, item.path, "$ref \"%.60s\" leads nowhere in this schema",
                                   json_is_string(reference) ? json_string_value(reference) : "");
        }
        status = ox_schema_add(c, t, target, ox_schema_path(c, item.path, "$ref", SIZE_MAX), i, OX_SCHEMA_PLAIN);
    }
    static const char *const keys[] = {"allOf", "anyOf", "oneOf"};
    for (size_t k = 0; k < 3 && status == OX_OK; k++) {
        json_t *list = json_object_get(item.value, keys[k]);
        const size_t path = list != NULL ? ox_schema_path(c, item.path, keys[k], SIZE_MAX) : 0;
        if (list != NULL && json_array_size(list) == 0) {
            return ox_schema_error(c, OX_E_ARG, path, "expected a list of schemas");
        }
        if (list != NULL && k > 0) {
            status = ox_schema_add(c, t, list, path, i, k == 1 ? OX_SCHEMA_ANY_OF : OX_SCHEMA_ONE_OF);
        }
        for (size_t a = 0; k == 0 && a < json_array_size(list) && status == OX_OK; a++) {
            status = ox_schema_add(c, t, json_array_get(list, a), ox_schema_path(c, item.path, keys[k], a), i,
                                   OX_SCHEMA_PLAIN);
        }
    }
    return status;
}

static enum ox_status check_one_of(struct ox_schema_compiler *c, const struct ox_schema_item *item)
{
    const size_t n = json_array_size(item->value);
    if (n > ONE_OF_MAX) {
        return ox_schema_error(c, OX_E_LIMIT, item->path, "more than %d alternatives", ONE_OF_MAX);
    }
    for (size_t i = 0; i < n && c->strict; i++) {
        for (size_t k = i + 1; k < n; k++) {
            if (!ox_schema_exclude(c, json_array_get(item->value, i), json_array_get(item->value, k), 0)) {
                return ox_schema_error(c, OX_E_ARG, item->path,
                                       "alternatives %zu and %zu may hold at once, or it is not obvious that they "
                                       "cannot; use anyOf",
                                       i, k);
            }
        }
    }
    return OX_OK;
}

static bool has_false(const struct ox_schema_together *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (json_is_false(t->items[i].value)) {
            return true;
        }
    }
    return false;
}

/* Follow $ref and allOf, and each alternative of anyOf and oneOf, down to sets of schemas without any of them. */
static enum ox_status expand(struct ox_schema_compiler *c, struct ox_schema_together *t,
                             const struct ox_schema_place *place)
{
    while (t->next < t->n) {
        const size_t i = t->next++;
        const struct ox_schema_item item = t->items[i];
        enum ox_status status = OX_OK;
        if (item.kind == OX_SCHEMA_PLAIN) {
            status = look_at(c, t, i);
            if (status != OX_OK) {
                return status;
            }
            continue;
        }
        if (item.kind == OX_SCHEMA_ONE_OF) {
            status = check_one_of(c, &item);
        }
        for (size_t k = 0; k < json_array_size(item.value) && status == OX_OK; k++) {
            struct ox_schema_together one = *t;
            status = ox_schema_add(c, &one, json_array_get(item.value, k), ox_schema_path(c, item.path, "", k), i,
                                   OX_SCHEMA_PLAIN);
            if (status == OX_OK) {
                status = expand(c, &one, place);
            }
        }
        return status;
    }
    if (++c->n_alternatives > OX_GRAMMAR_ALTERNATIVES_MAX) {
        return ox_schema_error(c, OX_E_LIMIT, place->path, "more than %d alternatives", OX_GRAMMAR_ALTERNATIVES_MAX);
    }
    const enum ox_status status = ox_schema_spend(c, OX_GRAMMAR_TOGETHER_MAX);
    return status != OX_OK || has_false(t) ? status : ox_schema_nodes(c, t, place);
}

/* ---- places ---- */

/* A text that is the same for equal places. */
static void name_place(struct ox_buf *name, const struct ox_schema_together *t, bool markup, const json_t *reader)
{
    ox_buf_printf(name, "%d %p", markup ? 1 : 0, (const void *)reader);
    for (size_t i = 0; i < t->n; i++) {
        ox_buf_printf(name, " %p", (const void *)t->items[i].value);
    }
}

static enum ox_status new_place(struct ox_schema_compiler *c, const struct ox_schema_together *t,
                                struct ox_schema_place place)
{
    void *places = c->places;
    void *items = c->place_items;
    const int failed = ox_grow(&places, &c->places_cap, c->n_places + 1, sizeof *c->places);
    c->places = places;
    const int failed_items = ox_grow(&items, &c->place_items_cap, c->n_place_items + t->n, sizeof *c->place_items);
    c->place_items = items;
    if (failed != 0 || failed_items != 0) {
        return ox_error_nomem(c->err, c->n_places * sizeof *c->places);
    }
    const enum ox_status status = ox_grammar_add_choice(c->g, &place.choice, c->err);
    if (status == OX_OK) {
        place.first = c->n_place_items;
        place.n = t->n;
        for (size_t i = 0; i < t->n; i++) {
            c->place_items[c->n_place_items++] = t->items[i];
        }
        c->places[c->n_places++] = place;
    }
    return status;
}

enum ox_status ox_schema_place(struct ox_schema_compiler *c, const struct ox_schema_together *t, size_t path,
                               bool markup, const json_t *reader, uint32_t *choice)
{
    struct ox_buf name = {0};
    enum ox_status status = OX_OK;
    name_place(&name, t, markup, reader);
    const json_t *known = json_object_get(c->known, ox_buf_text(&name));
    if (ox_buf_failed(&name)) {
        status = ox_error_nomem(c->err, 1024);
    } else if (known != NULL) {
        *choice = (uint32_t)json_integer_value(known);
    } else {
        status = new_place(c, t, (struct ox_schema_place){.path = path, .markup = markup, .reader = reader});
        if (status == OX_OK) {
            *choice = c->places[c->n_places - 1].choice;
            if (json_object_set_new(c->known, ox_buf_text(&name), json_integer((json_int_t)*choice)) != 0) {
                status = ox_error_nomem(c->err, name.len);
            }
        }
    }
    ox_buf_fini(&name);
    return status;
}

enum ox_status ox_schema_arguments(struct ox_schema_compiler *c, json_t *parameters, size_t path, uint32_t *choice)
{
    struct ox_schema_together t = {.n = 0};
    enum ox_status status = ox_schema_add(c, &t, parameters, path, SIZE_MAX, OX_SCHEMA_PLAIN);
    c->root = parameters;
    if (status == OX_OK) {
        status = new_place(
            c, &t, (struct ox_schema_place){.path = path, .markup = true, .arguments = true, .reader = parameters});
    }
    if (status == OX_OK) {
        *choice = c->places[c->n_places - 1].choice;
        status = ox_schema_run(c);
    }
    return status;
}

static enum ox_status fill(struct ox_schema_compiler *c, const struct ox_schema_place *place)
{
    struct ox_schema_together t = {.n = place->n};
    for (size_t i = 0; i < place->n; i++) {
        t.items[i] = c->place_items[place->first + i];
    }
    c->n_found = 0;
    c->n_alternatives = 0;
    enum ox_status status = expand(c, &t, place);
    for (size_t i = 0; status == OX_OK && i < c->n_found; i++) {
        status = ox_grammar_add_alternative(c->g, place->choice, c->found[i], c->err);
    }
    return status;
}

enum ox_status ox_schema_run(struct ox_schema_compiler *c)
{
    enum ox_status status = OX_OK;
    for (; status == OX_OK && c->n_filled < c->n_places; c->n_filled++) {
        const struct ox_schema_place place = c->places[c->n_filled];
        status = fill(c, &place);
    }
    ox_grammar_measure(c->g);
    return status;
}

enum ox_status ox_schema_init(struct ox_schema_compiler *c, struct ox_grammar *g, const char *what, bool strict,
                              struct ox_error *err)
{
    memset(c, 0, sizeof *c);
    c->g = g;
    c->what = what;
    c->strict = strict;
    c->err = err;
    c->known = json_object();
    memset(c->plain, 0xFF, sizeof c->plain);
    ox_buf_add(&c->paths, "#", 2);
    return c->known == NULL || ox_buf_failed(&c->paths) ? ox_error_nomem(err, 64) : OX_OK;
}

enum ox_status ox_schema_fini(struct ox_schema_compiler *c, enum ox_status status)
{
    if (status == OX_OK && ox_buf_failed(&c->paths)) {
        status = ox_error_nomem(c->err, c->paths.len);
    }
    if (status == OX_E_LIMIT && c->err != NULL && !ox_str_starts(ox_str_c(c->err->message), ox_str_c(c->what))) {
        ox_error_prefix(c->err, "%.60s: ", c->what); /* a limit of the whole, which no place has said */
    }
    json_decref(c->known);
    ox_buf_fini(&c->paths);
    ox_free(c->places);
    ox_free(c->place_items);
    ox_free(c->found);
    return status;
}

/* ---- grammars of documents ---- */

enum ox_status ox_schema_document(struct ox_schema_compiler *c, json_t *schema)
{
    struct ox_schema_together t = {.n = 0};
    c->root = schema;
    enum ox_status status = ox_schema_check_depth(c, schema);
    if (status == OX_OK) {
        status = ox_schema_add(c, &t, schema, 0, SIZE_MAX, OX_SCHEMA_PLAIN);
    }
    if (status == OX_OK) {
        status = ox_schema_place(c, &t, 0, false, NULL, &c->g->start);
    }
    if (status == OX_OK) {
        status = ox_schema_run(c);
    }
    if (status == OX_OK && c->g->choices[c->g->start].height == OX_NONE) {
        status = ox_schema_error(c, OX_E_ARG, 0, "nothing can satisfy this schema");
    }
    return status;
}

enum ox_status ox_grammar_from_schema(json_t *schema, const char *what, bool strict, struct ox_grammar **out,
                                      struct ox_error *err)
{
    struct ox_schema_compiler c;
    struct ox_grammar *g = ox_calloc(1, sizeof *g);
    if (g == NULL) {
        return ox_error_nomem(err, sizeof *g);
    }
    g->block = OX_NONE;
    enum ox_status status = ox_schema_init(&c, g, what, strict, err);
    if (status == OX_OK) {
        status = ox_schema_document(&c, schema);
    }
    status = ox_schema_fini(&c, status);
    if (status != OX_OK) {
        ox_grammar_free(g);
        return status;
    }
    *out = g;
    return OX_OK;
}

enum ox_status ox_schema_read(struct ox_str text, const char *what, json_t **out, struct ox_error *err)
{
    if (text.len > OX_GRAMMAR_SCHEMA_BYTES) {
        return ox_error_set(err, OX_E_LIMIT, "%.60s: the schema has %zu bytes, more than %zu", what, text.len,
                            OX_GRAMMAR_SCHEMA_BYTES);
    }
    return ox_json_parse(text, what, out, err);
}

enum ox_status ox_grammar_from_text(struct ox_str schema, const char *what, bool strict, struct ox_grammar **out,
                                    struct ox_error *err)
{
    json_t *root = NULL;
    enum ox_status status = ox_schema_read(schema, what, &root, err);
    if (status == OX_OK) {
        status = ox_grammar_from_schema(root, what, strict, out, err);
        json_decref(root);
    }
    return status;
}
