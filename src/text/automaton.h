/* SPDX-License-Identifier: Apache-2.0
 *
 * Finite automata over characters: a net of states (nondeterministic) to build with, and the deterministic automaton
 * that comes out of it, in which every state leads to an accepting one. What a code stands for is the user's affair:
 * Unicode scalar values inside of strings, bytes and marker symbols elsewhere. Used by the grammar only.
 */
#ifndef OX_TEXT_AUTOMATON_H
#define OX_TEXT_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

#define OX_CODE_MAX 0x10FFFFU
#define OX_SURROGATE_FIRST 0xD800U
#define OX_SURROGATE_LAST 0xDFFFU
/* No state, or not accepting. */
#define OX_NO_STATE UINT32_MAX
/* Limits: states of a net, states and edges of an automaton, and states looked at while one is made of the other. */
#define OX_NET_STATES_MAX ((size_t)1 << 18)
#define OX_AUTOMATON_STATES_MAX ((size_t)1 << 16)
#define OX_AUTOMATON_EDGES_MAX ((size_t)1 << 20)
#define OX_AUTOMATON_WORK_MAX ((size_t)1 << 22)

/* Codes low to high lead to state next. */
struct ox_edge {
    uint32_t low;
    uint32_t high;
    uint32_t next;
};

struct ox_automaton_state {
    uint32_t first_edge; /* n_edges of them, ascending and disjoint */
    uint32_t n_edges;
    uint32_t accept; /* which of the net's ends this is, OX_NO_STATE if none */
};

/* All zero is the automaton that accepts nothing. State 0 is the start. */
struct ox_automaton {
    struct ox_automaton_state *states;
    size_t n_states;
    size_t states_cap;
    struct ox_edge *edges;
    size_t n_edges;
    size_t edges_cap;
    size_t n_made; /* a measure of the work: states made on the way to it, also for what it was made of, and a 16th of
                      what was looked at */
};

void ox_automaton_fini(struct ox_automaton *a);

/* The state behind code, or OX_NO_STATE. */
uint32_t ox_automaton_step(const struct ox_automaton *a, uint32_t state, uint32_t code);

/* Does an edge of state take a code from low to high? */
bool ox_automaton_takes(const struct ox_automaton *a, uint32_t state, uint32_t low, uint32_t high);

/* Does the automaton accept this UTF-8 text? */
bool ox_automaton_accepts(const struct ox_automaton *a, struct ox_str text);

/* If all codes from low to high (surrogates aside) lead to one and the same state: that state; else OX_NO_STATE. */
uint32_t ox_automaton_common(const struct ox_automaton *a, uint32_t state, uint32_t low, uint32_t high);

/* What both accept (ends are a's), or what a accepts and b does not. OX_E_LIMIT beyond OX_AUTOMATON_STATES_MAX. out
 * must be another object. */
enum ox_status ox_automaton_both(const struct ox_automaton *a, const struct ox_automaton *b, struct ox_automaton *out,
                                 struct ox_error *err) OX_MUST_USE;
enum ox_status ox_automaton_without(const struct ox_automaton *a, const struct ox_automaton *b,
                                    struct ox_automaton *out, struct ox_error *err) OX_MUST_USE;

/* Texts of min to max characters; max SIZE_MAX: no upper limit. */
enum ox_status ox_automaton_lengths(size_t min, size_t max, struct ox_automaton *out, struct ox_error *err) OX_MUST_USE;

/* ---- nets ---- */

struct ox_net_edge {
    uint32_t low; /* low > high: taken without a code */
    uint32_t high;
    uint32_t next;
    uint32_t sibling; /* the next edge of the same state, OX_NO_STATE if none */
};

struct ox_net_state {
    uint32_t first_edge;
    uint32_t accept;
};

/* All zero is empty; state 0 is the start. A failed allocation or a limit is kept in `status` and told by
 * ox_net_determine, so that building needs no checks. */
struct ox_net {
    struct ox_net_state *states;
    size_t n_states;
    size_t states_cap;
    struct ox_net_edge *edges;
    size_t n_edges;
    size_t edges_cap;
    enum ox_status status;
};

void ox_net_fini(struct ox_net *net);

/* A new state; 0 after a failure (still a valid argument). */
uint32_t ox_net_add(struct ox_net *net);

/* Edges for codes low to high (surrogates are left out), or for nothing at all. */
void ox_net_link(struct ox_net *net, uint32_t from, uint32_t low, uint32_t high, uint32_t to);
void ox_net_skip(struct ox_net *net, uint32_t from, uint32_t to);

/* A path of the bytes, or of the characters (valid UTF-8), of text; returns its last state. */
uint32_t ox_net_bytes(struct ox_net *net, uint32_t from, struct ox_str text);
uint32_t ox_net_text(struct ox_net *net, uint32_t from, struct ox_str text);

/* Texts that end in state belong to end number `end`; where several would, the lowest counts. */
void ox_net_accept(struct ox_net *net, uint32_t state, uint32_t end);

/* Make *out (empty) the automaton of net. OX_E_LIMIT, OX_E_NOMEM. */
enum ox_status ox_net_determine(const struct ox_net *net, struct ox_automaton *out, struct ox_error *err) OX_MUST_USE;

#endif
