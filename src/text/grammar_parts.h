/* SPDX-License-Identifier: Apache-2.0
 *
 * A grammar from the inside: values and their alternatives as numbered parts, which the schema compiler adds and the
 * matcher walks. Included by grammar*.c, schema*.c, matcher.c and mask.c only.
 */
#ifndef OX_TEXT_GRAMMAR_PARTS_H
#define OX_TEXT_GRAMMAR_PARTS_H

#include "base/buf.h"
#include "text/automaton.h"
#include "text/grammar.h"

/* Symbols beside bytes: tokens that are control tokens of the chat format. */
enum {
    OX_SYMBOL_NAMESPACE = 256,
    OX_SYMBOL_CALLS_BEGIN,
    OX_SYMBOL_CALLS_END,
    OX_N_SYMBOLS,
};

/* No part; no upper limit; never finished. */
#define OX_NONE UINT32_MAX

enum ox_node_kind {
    OX_NODE_SCALAR,   /* automaton over symbols; ends where it accepts and cannot go on */
    OX_NODE_STRING,   /* JSON string: automaton over characters, or OX_NONE and min to max characters */
    OX_NODE_OBJECT,   /* members; automaton over the characters of their names */
    OX_NODE_ARRAY,    /* elements */
    OX_NODE_RAW,      /* text in markup up to the next namespace symbol: as STRING */
    OX_NODE_ELEMENTS, /* members in markup; automaton over the bytes of NAME> */
    OX_NODE_ITEMS,    /* elements in markup, all called item */
};

/* One way a value may be. */
struct ox_node {
    enum ox_node_kind kind;
    uint32_t automaton;
    uint32_t min; /* characters, elements, or members (markup: 1 if there must be one) */
    uint32_t max;
    uint32_t first_member; /* OBJECT, ELEMENTS: n_members and one behind the last; ARRAY, ITEMS: the first elements */
    uint32_t n_members;
    uint32_t other;  /* choice of additional members, or of further elements; OX_NONE: there are none */
    uint32_t below;  /* OBJECT, ELEMENTS: in `below`, where its automaton's states begin */
    uint32_t height; /* how many objects and arrays it holds within each other at least, itself included */
};

struct ox_member {
    size_t name_at; /* in names */
    size_t name_len;
    uint32_t choice;
    uint32_t next_required; /* the first required member from this one on; n_members if none */
};

/* What may stand in one place: n_nodes of `alternatives`. */
struct ox_choice {
    uint32_t first_node;
    uint32_t n_nodes;
    uint32_t height;
};

/* Numbers in below_members. */
struct ox_below {
    uint32_t first;
    uint32_t n;
};

struct ox_grammar {
    struct ox_automaton *automata;
    size_t n_automata;
    size_t automata_cap;
    size_t n_states; /* made for all of them */
    struct ox_node *nodes;
    size_t n_nodes;
    size_t nodes_cap;
    struct ox_member *members;
    size_t n_members;
    size_t members_cap;
    struct ox_choice *choices;
    size_t n_choices;
    size_t choices_cap;
    uint32_t *alternatives; /* nodes */
    size_t n_alternatives;
    size_t alternatives_cap;
    struct ox_below *below; /* for each state of an automaton of names: the members whose names go on from there */
    size_t n_below;
    size_t below_cap;
    uint32_t *below_members;
    size_t n_below_members;
    size_t below_members_cap;
    struct ox_buf names;
    uint32_t start;  /* choice of the document; OX_NONE: there is none */
    uint32_t block;  /* automaton of the block around calls, whose ends are numbers of `tools`; OX_NONE: no calls */
    uint32_t after;  /* its state behind </ of a call */
    uint32_t *tools; /* choices of their arguments, OX_NONE: any; n_tools itself is the end of the block */
    size_t n_tools;
    bool text_first;
};

/* Appending parts; all return OX_E_NOMEM or OX_E_LIMIT and take what they say they take in any case. */
enum ox_status ox_grammar_add_automaton(struct ox_grammar *g, struct ox_automaton *taken, uint32_t *number,
                                        struct ox_error *err) OX_MUST_USE;
enum ox_status ox_grammar_add_node(struct ox_grammar *g, struct ox_node node, uint32_t *number,
                                   struct ox_error *err) OX_MUST_USE;
enum ox_status ox_grammar_add_choice(struct ox_grammar *g, uint32_t *number, struct ox_error *err) OX_MUST_USE;

/* A further alternative of the choice that is being filled: choices are filled one after the other. */
enum ox_status ox_grammar_add_alternative(struct ox_grammar *g, uint32_t choice, uint32_t node,
                                          struct ox_error *err) OX_MUST_USE;
enum ox_status ox_grammar_add_member(struct ox_grammar *g, struct ox_str name, uint32_t choice,
                                     struct ox_error *err) OX_MUST_USE;

/* Give an OBJECT or ELEMENTS node (whose members are added, next_required 0 for the required ones and OX_NONE for the
 * others, with one more behind the last) its automaton of names and its next_required. */
enum ox_status ox_grammar_finish_members(struct ox_grammar *g, uint32_t node, struct ox_error *err) OX_MUST_USE;

/* Compute all heights. Those above OX_GRAMMAR_DEPTH count as never finished, so that the passes are few. */
void ox_grammar_measure(struct ox_grammar *g);

static inline struct ox_str ox_member_name(const struct ox_grammar *g, const struct ox_member *member)
{
    return ox_str_make(ox_buf_text(&g->names) + member->name_at, member->name_len);
}

#endif
