/* SPDX-License-Identifier: Apache-2.0
 *
 * Grammars: what a reply may look like, made from a JSON schema or from the tools of a conversation. A grammar is
 * read-only once it is made; a matcher (matcher.h) follows a reply along it. Schemas come from callers: sizes, depths
 * and states are limited, and whatever is not understood is an error that names its place.
 *
 * JSON is accepted in every spelling of strings (but \uXXXX for printable ASCII), with the members of objects in the
 * order of `properties` (optional ones may be missing), additional members last, and white space as people write it:
 * after { [ , : and before } ] either one blank, or a line end and up to 64 blanks and tabs. None is before or behind
 * the document. No member has a name twice. Integers have 64 bits; numbers without bounds are those that a double can
 * hold; numbers with bounds have at most 15 digits and no exponent.
 *
 * Schemas: type (also a list), nullable, enum, const, anyOf, oneOf (whose alternatives must exclude each other visibly:
 * by type, or by a required property with other constants), allOf, $ref into the same schema (recursion too),
 * properties, required, additionalProperties, items, prefixItems, minItems, maxItems, minLength, maxLength, pattern
 * (regex.h), format (date, time, date-time, duration, uuid, ipv4, ipv6, hostname, email), minimum, maximum,
 * exclusiveMinimum, exclusiveMaximum. title, description, default, examples and other remarks mean nothing. Without a
 * type, other keywords imply one ({"pattern": ...} is a string). Objects with `properties` and without
 * additionalProperties are closed; objects without both are open.
 */
#ifndef OX_TEXT_GRAMMAR_H
#define OX_TEXT_GRAMMAR_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"
#include "base/str.h"

/* Limits of what is made from a schema. */
#define OX_GRAMMAR_SCHEMA_BYTES ((size_t)1 << 20) /* its text */
#define OX_GRAMMAR_SCHEMA_DEPTH 128               /* its nesting */
#define OX_GRAMMAR_PARTS_MAX ((size_t)1 << 16)    /* places, values and members that it describes, each */
#define OX_GRAMMAR_NAMES_MAX ((size_t)1 << 22)    /* characters of all members' names together */
#define OX_GRAMMAR_STATES_MAX ((size_t)1 << 18)   /* states made for all its automata together */
#define OX_GRAMMAR_WORK_MAX ((size_t)1 << 24)     /* comparisons and look-ups while it is compiled */
#define OX_GRAMMAR_TOGETHER_MAX 64                /* schemas that one value must satisfy at the same time */
#define OX_GRAMMAR_ALTERNATIVES_MAX 1024          /* alternatives of one value */
/* Deepest nesting of arrays and objects in a reply; in a tool call, whose reader has a limit of its own, less. */
#define OX_GRAMMAR_DEPTH 128
#define OX_GRAMMAR_CALL_DEPTH 60
/* White space behind a line end. */
#define OX_GRAMMAR_INDENT 64

struct ox_grammar;

/* Make the grammar of documents that schema (borrowed for the call, not changed) accepts. `what` names it in errors.
 * strict: keywords that are not understood are errors; else they are ignored, and a document may fail to validate.
 * OX_E_ARG for a schema that is wrong, not understood, or that nothing satisfies: "WHAT: #/properties/a: ...".
 * OX_E_LIMIT, OX_E_NOMEM. Any thread. */
enum ox_status ox_grammar_from_schema(json_t *schema, const char *what, bool strict, struct ox_grammar **out,
                                      struct ox_error *err) OX_MUST_USE;

/* The text of the schema of all JSON objects. */
#define OX_GRAMMAR_ANY_OBJECT "{\"type\": \"object\"}"

/* The same from the schema's text; OX_E_FORMAT if it is no JSON. */
enum ox_status ox_grammar_from_text(struct ox_str schema, const char *what, bool strict, struct ox_grammar **out,
                                    struct ox_error *err) OX_MUST_USE;

struct ox_grammar_calls {
    struct ox_str name;     /* the one tool that may be called; ptr NULL: any */
    bool text_first;        /* text may come before the calls, and calls may be missing */
    bool parallel;          /* more than one call */
    bool any_arguments;     /* the arguments are whatever the model writes: parameters are not looked at */
    struct ox_str document; /* text of a schema: a document may come in place of the calls; ptr NULL: none may. Not
                             * with text_first */
};

/* Make the grammar of replies that call tools (an array as a conversation has it) in the chat format's own markup, so
 * that what the reply parser makes of the arguments satisfies the tool's `parameters`. A tool without parameters takes
 * none. Parameters of a name that the markup cannot hold, and additional ones, are left out. Errors as above, also if a
 * required parameter cannot be expressed, or no tool has the name; those of the document's schema name it "json-schema". */
enum ox_status ox_grammar_from_tools(json_t *tools, const char *what, const struct ox_grammar_calls *calls, bool strict,
                                     struct ox_grammar **out, struct ox_error *err) OX_MUST_USE;

/* NULL is accepted. All its matchers must be gone. */
void ox_grammar_free(struct ox_grammar *grammar);

#endif
