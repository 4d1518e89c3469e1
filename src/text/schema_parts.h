/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema compiler from the inside: places that wait to be compiled, and the schemas that one value must satisfy
 * together. Included by schema*.c only.
 */
#ifndef OX_TEXT_SCHEMA_PARTS_H
#define OX_TEXT_SCHEMA_PARTS_H

#include <jansson.h>

#include "text/grammar_parts.h"
#include "text/numerals.h"

/* Longest prefixItems. */
#define OX_SCHEMA_PREFIX_MAX 256

enum ox_schema_kind {
    OX_SCHEMA_PLAIN,  /* value: a schema */
    OX_SCHEMA_ANY_OF, /* value: a list of schemas of which one must hold */
    OX_SCHEMA_ONE_OF,
};

struct ox_schema_item {
    json_t *value;
    size_t path;   /* in paths: "#/properties/a" and a NUL */
    size_t parent; /* the item whose $ref, allOf or anyOf this is; itself for the first ones */
    enum ox_schema_kind kind;
};

/* Schemas that hold for one value at the same time. */
struct ox_schema_together {
    struct ox_schema_item items[OX_GRAMMAR_TOGETHER_MAX];
    size_t n;
    size_t next; /* the first whose $ref, allOf, anyOf, oneOf are not looked at */
};

/* A choice that is to be filled. reader: in markup, the schema by which the reply parser reads this place (or NULL). */
struct ox_schema_place {
    uint32_t choice;
    size_t first; /* n of place_items */
    size_t n;
    size_t path;
    bool markup;
    bool arguments; /* a tool's arguments as a whole */
    const json_t *reader;
};

/* Numbers between bounds, as some of the last were. */
#define OX_SCHEMA_RANGES 16
struct ox_schema_range {
    struct ox_bound low;
    struct ox_bound high;
    bool real;
    uint32_t automaton;
};

enum { OX_PLAIN_NULL, OX_PLAIN_BOOLEAN, OX_PLAIN_INTEGER, OX_PLAIN_NUMBER, OX_N_PLAIN };

struct ox_schema_compiler {
    struct ox_grammar *g;
    json_t *root;
    const char *what;
    bool strict;
    struct ox_error *err;
    struct ox_buf paths;
    json_t *known; /* what a place is made of, as text -> its choice */
    struct ox_schema_place *places;
    size_t n_places;
    size_t places_cap;
    size_t n_filled; /* places that are compiled */
    struct ox_schema_item *place_items;
    size_t n_place_items;
    size_t place_items_cap;
    uint32_t *found; /* nodes of the place that is being compiled */
    size_t n_found;
    size_t found_cap;
    size_t n_alternatives; /* of that place */
    size_t work;
    struct ox_schema_range ranges[OX_SCHEMA_RANGES];
    size_t n_ranges;            /* ever made */
    uint32_t plain[OX_N_PLAIN]; /* automata that many places share; OX_NONE: not made yet */
};

/* What the keywords of schemas that hold together say. */
struct ox_facts {
    const struct ox_schema_together *schemas;
    unsigned types; /* OX_TYPE_*; NUMBER never without INTEGER */
    json_t *values; /* enum and const: an array, or NULL */
    uint32_t min_length;
    uint32_t max_length;
    uint32_t min_items;
    uint32_t max_items;
};

/* An error about the place `path`: "WHAT: PATH: ..."; returns code. */
enum ox_status ox_schema_error(const struct ox_schema_compiler *c, enum ox_status code, size_t path, const char *format,
                               ...) OX_PRINTF(4, 5);

/* OX_E_LIMIT if schema is nested too deeply. */
enum ox_status ox_schema_check_depth(const struct ox_schema_compiler *c, json_t *schema) OX_MUST_USE;

/* Count n steps of work; OX_E_LIMIT when it becomes too much. */
enum ox_status ox_schema_spend(struct ox_schema_compiler *c, size_t n) OX_MUST_USE;

/* The path of something below path: "/key", or "/key/i" where i is not SIZE_MAX. */
size_t ox_schema_path(struct ox_schema_compiler *c, size_t path, const char *key, size_t i);

/* The choice for these schemas (which must not be larger than the limit allows): known, or a new place. */
enum ox_status ox_schema_place(struct ox_schema_compiler *c, const struct ox_schema_together *schemas, size_t path,
                               bool markup, const json_t *reader, uint32_t *choice) OX_MUST_USE;

/* Add a schema to those that hold together. */
enum ox_status ox_schema_add(const struct ox_schema_compiler *c, struct ox_schema_together *t, json_t *schema,
                             size_t path, size_t parent, enum ox_schema_kind kind) OX_MUST_USE;

/* The schema in a text of at most OX_GRAMMAR_SCHEMA_BYTES, a new reference. schema.c */
enum ox_status ox_schema_read(struct ox_str text, const char *what, json_t **out, struct ox_error *err) OX_MUST_USE;

/* The grammar's document: what this schema accepts. schema.c */
enum ox_status ox_schema_document(struct ox_schema_compiler *c, json_t *schema) OX_MUST_USE;

/* A choice for the arguments of a tool with these parameters, compiled with all that is in it. */
enum ox_status ox_schema_arguments(struct ox_schema_compiler *c, json_t *parameters, size_t path,
                                   uint32_t *choice) OX_MUST_USE;

/* Compile all places that wait. */
enum ox_status ox_schema_run(struct ox_schema_compiler *c) OX_MUST_USE;

/* Add the nodes of one alternative to found; schema_nodes.c. */
enum ox_status ox_schema_nodes(struct ox_schema_compiler *c, const struct ox_schema_together *schemas,
                               const struct ox_schema_place *place) OX_MUST_USE;

/* Another node of the place that is being compiled. schema_nodes.c */
enum ox_status ox_schema_found(struct ox_schema_compiler *c, uint32_t node) OX_MUST_USE;

/* Add the node of an object to found, as JSON or as markup. schema_object.c */
enum ox_status ox_schema_object(struct ox_schema_compiler *c, const struct ox_facts *facts,
                                const struct ox_schema_place *place, bool as_elements) OX_MUST_USE;

/* The types that a schema names, 0 if none; OX_TYPE_NULL added for nullable. schema_facts.c */
enum ox_status ox_schema_types(const struct ox_schema_compiler *c, const struct ox_schema_item *item,
                               unsigned *types) OX_MUST_USE;

/* Read types, values, lengths and counts; release with json_decref(values). schema_facts.c */
enum ox_status ox_schema_facts(struct ox_schema_compiler *c, const struct ox_schema_together *schemas,
                               struct ox_facts *out) OX_MUST_USE;

/* OX_E_ARG where a keyword of the schema is not understood. schema_facts.c */
enum ox_status ox_schema_check_keywords(struct ox_schema_compiler *c, const struct ox_schema_item *item) OX_MUST_USE;

/* Can no value satisfy both? False where that is not obvious. schema_facts.c */
bool ox_schema_exclude(struct ox_schema_compiler *c, json_t *a, json_t *b, int depth);

/* Where a local reference leads, or NULL. schema.c */
json_t *ox_schema_follow(json_t *root, struct ox_str reference);

/* Begin and end a compiler; fini tells an out-of-memory of its texts if status is OX_OK. schema.c */
enum ox_status ox_schema_init(struct ox_schema_compiler *c, struct ox_grammar *g, const char *what, bool strict,
                              struct ox_error *err) OX_MUST_USE;
enum ox_status ox_schema_fini(struct ox_schema_compiler *c, enum ox_status status) OX_MUST_USE;

#endif
