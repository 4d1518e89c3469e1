/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a grammar: appending them, automata of names, and heights, which tell how deep a value must at least
 * nest and whether it can be finished at all.
 */
#include "text/grammar_parts.h"

#include "base/mem.h"
#include "base/utf8.h"

void ox_grammar_free(struct ox_grammar *g)
{
    if (g == NULL) {
        return;
    }
    for (size_t i = 0; i < g->n_automata; i++) {
        ox_automaton_fini(&g->automata[i]);
    }
    ox_free(g->automata);
    ox_free(g->nodes);
    ox_free(g->members);
    ox_free(g->choices);
    ox_free(g->alternatives);
    ox_free(g->below);
    ox_free(g->below_members);
    ox_free(g->tools);
    ox_buf_fini(&g->names);
    ox_free(g);
}

/* Room for one more part in *p. */
static enum ox_status grow(void **p, size_t *cap, size_t n, size_t size, struct ox_error *err)
{
    if (n >= OX_GRAMMAR_PARTS_MAX) {
        return ox_error_set(err, OX_E_LIMIT, "the schema describes more than %zu places, values or members",
                            OX_GRAMMAR_PARTS_MAX);
    }
    return ox_grow(p, cap, n + 1, size) == 0 ? OX_OK : ox_error_nomem(err, n * size);
}

enum ox_status ox_grammar_add_automaton(struct ox_grammar *g, struct ox_automaton *taken, uint32_t *number,
                                        struct ox_error *err)
{
    void *automata = g->automata;
    enum ox_status status = grow(&automata, &g->automata_cap, g->n_automata, sizeof *g->automata, err);
    g->automata = automata;
    if (status == OX_OK && g->n_states + taken->n_made > OX_GRAMMAR_STATES_MAX) {
        status = ox_error_set(err, OX_E_LIMIT, "the schema's patterns and enumerations need more than %zu states",
                              OX_GRAMMAR_STATES_MAX);
    }
    if (status != OX_OK) {
        ox_automaton_fini(taken);
        return status;
    }
    g->n_states += taken->n_made;
    *number = (uint32_t)g->n_automata;
    g->automata[g->n_automata++] = *taken;
    memset(taken, 0, sizeof *taken);
    return OX_OK;
}

enum ox_status ox_grammar_add_node(struct ox_grammar *g, struct ox_node node, uint32_t *number, struct ox_error *err)
{
    void *nodes = g->nodes;
    const enum ox_status status = grow(&nodes, &g->nodes_cap, g->n_nodes, sizeof *g->nodes, err);
    g->nodes = nodes;
    if (status == OX_OK) {
        *number = (uint32_t)g->n_nodes;
        g->nodes[g->n_nodes++] = node;
    }
    return status;
}

enum ox_status ox_grammar_add_choice(struct ox_grammar *g, uint32_t *number, struct ox_error *err)
{
    void *choices = g->choices;
    const enum ox_status status = grow(&choices, &g->choices_cap, g->n_choices, sizeof *g->choices, err);
    g->choices = choices;
    if (status == OX_OK) {
        *number = (uint32_t)g->n_choices;
        g->choices[g->n_choices++] = (struct ox_choice){0, 0, OX_NONE};
    }
    return status;
}

enum ox_status ox_grammar_add_alternative(struct ox_grammar *g, uint32_t choice, uint32_t node, struct ox_error *err)
{
    void *alternatives = g->alternatives;
    const enum ox_status status =
        grow(&alternatives, &g->alternatives_cap, g->n_alternatives, sizeof *g->alternatives, err);
    g->alternatives = alternatives;
    if (status == OX_OK) {
        struct ox_choice *c = &g->choices[choice];
        if (c->n_nodes == 0) {
            c->first_node = (uint32_t)g->n_alternatives;
        }
        OX_CHECK(c->first_node + c->n_nodes == g->n_alternatives);
        c->n_nodes++;
        g->alternatives[g->n_alternatives++] = node;
    }
    return status;
}

enum ox_status ox_grammar_add_member(struct ox_grammar *g, struct ox_str name, uint32_t choice, struct ox_error *err)
{
    void *members = g->members;
    const enum ox_status status = grow(&members, &g->members_cap, g->n_members, sizeof *g->members, err);
    g->members = members;
    if (status == OX_OK) {
        g->members[g->n_members++] = (struct ox_member){g->names.len, name.len, choice, OX_NONE};
        ox_buf_add_str(&g->names, name);
    }
    return status == OX_OK && ox_buf_failed(&g->names) ? ox_error_nomem(err, name.len) : status;
}

/* ---- names ---- */

static enum ox_status make_names(struct ox_grammar *g, const struct ox_node *node, struct ox_automaton *out,
                                 struct ox_error *err)
{
    struct ox_net net = {0};
    const uint32_t start = ox_net_add(&net);
    if (node->kind == OX_NODE_OBJECT && node->other != OX_NONE) {
        ox_net_accept(&net, start, node->n_members); /* or there would be no state to begin other names in */
    }
    for (uint32_t i = 0; i < node->n_members; i++) {
        const struct ox_str name = ox_member_name(g, &g->members[node->first_member + i]);
        uint32_t end;
        if (node->kind == OX_NODE_OBJECT) {
            end = ox_net_text(&net, start, name);
        } else {
            end = ox_net_bytes(&net, ox_net_bytes(&net, start, name), ox_str_c(">"));
        }
        ox_net_accept(&net, end, i);
    }
    const enum ox_status status = ox_net_determine(&net, out, err);
    ox_net_fini(&net);
    return status;
}

/* Count (list NULL) or list member i in all states that its name passes. */
static void pass_name(const struct ox_grammar *g, const struct ox_node *node, const struct ox_automaton *names,
                      uint32_t i, struct ox_below *below, uint32_t *list)
{
    const struct ox_str name = ox_member_name(g, &g->members[node->first_member + i]);
    uint32_t state = 0;
    for (size_t at = 0; state != OX_NO_STATE; at++) {
        if (list != NULL) {
            list[below[state].first + below[state].n] = i;
        }
        below[state].n++;
        if (at > name.len || (at == name.len && node->kind == OX_NODE_OBJECT)) {
            return;
        }
        if (at < name.len && node->kind == OX_NODE_OBJECT) {
            uint32_t code;
            at += ox_utf8_decode(ox_str_make(name.ptr + at, name.len - at), &code) - 1;
            state = ox_automaton_step(names, state, code);
        } else {
            state = ox_automaton_step(names, state, at < name.len ? (unsigned char)name.ptr[at] : (uint32_t)'>');
        }
    }
}

static enum ox_status list_below(struct ox_grammar *g, struct ox_node *node, const struct ox_automaton *names,
                                 struct ox_error *err)
{
    void *below = g->below;
    void *list = g->below_members;
    const size_t n = names->n_states;
    if (n == 0) {
        return OX_OK;
    }
    int failed = ox_grow(&below, &g->below_cap, g->n_below + n, sizeof *g->below);
    g->below = below;
    if (failed != 0) {
        return ox_error_nomem(err, n * sizeof *g->below);
    }
    struct ox_below *mine = g->below + g->n_below;
    memset(mine, 0, n * sizeof *mine);
    node->below = (uint32_t)g->n_below;
    g->n_below += n;
    for (uint32_t i = 0; i < node->n_members; i++) {
        pass_name(g, node, names, i, mine, NULL);
    }
    size_t total = g->n_below_members;
    for (size_t s = 0; s < n; s++) {
        const size_t first = total;
        total += mine[s].n;
        mine[s] = (struct ox_below){(uint32_t)first, 0};
    }
    if (total > OX_GRAMMAR_NAMES_MAX) {
        return ox_error_set(err, OX_E_LIMIT, "the names of the schema's members are longer than %zu together",
                            OX_GRAMMAR_NAMES_MAX);
    }
    failed = ox_grow(&list, &g->below_members_cap, total, sizeof *g->below_members);
    g->below_members = list;
    if (failed != 0) {
        return ox_error_nomem(err, total * sizeof *g->below_members);
    }
    g->n_below_members = total;
    for (uint32_t i = 0; i < node->n_members; i++) {
        pass_name(g, node, names, i, mine, g->below_members);
    }
    return OX_OK;
}

enum ox_status ox_grammar_finish_members(struct ox_grammar *g, uint32_t number, struct ox_error *err)
{
    struct ox_node *node = &g->nodes[number];
    struct ox_automaton names = {0};
    uint32_t next = node->n_members;
    for (uint32_t i = node->n_members + 1; i > 0; i--) {
        struct ox_member *member = &g->members[node->first_member + i - 1];
        if (i <= node->n_members && member->next_required == 0) {
            next = i - 1;
        }
        member->next_required = next;
    }
    enum ox_status status = make_names(g, node, &names, err);
    if (status == OX_OK) {
        status = list_below(g, node, &names, err);
    }
    if (status != OX_OK) {
        ox_automaton_fini(&names);
        return status;
    }
    return ox_grammar_add_automaton(g, &names, &node->automaton, err);
}

/* ---- heights ---- */

static bool is_required(const struct ox_grammar *g, const struct ox_node *node, uint32_t i)
{
    return g->members[node->first_member + i].next_required == i;
}

/* The largest height among what node must hold; OX_NONE if that cannot be finished. */
static uint32_t height_within(const struct ox_grammar *g, const struct ox_node *node)
{
    const bool members = node->kind == OX_NODE_OBJECT || node->kind == OX_NODE_ELEMENTS;
    uint32_t highest = 0;
    uint32_t least = OX_NONE; /* among the members, for markup that must have one */
    for (uint32_t i = 0; i < node->n_members; i++) {
        const uint32_t height = g->choices[g->members[node->first_member + i].choice].height;
        least = height < least ? height : least;
        if ((members ? is_required(g, node, i) : i < node->min) && height > highest) {
            highest = height;
        }
    }
    if (node->kind == OX_NODE_ELEMENTS && node->min > 0 && least > highest) {
        highest = least;
    }
    if (!members && node->min > node->n_members) {
        const uint32_t height = node->other != OX_NONE ? g->choices[node->other].height : OX_NONE;
        highest = height > highest ? height : highest;
    }
    return !members && node->min > node->max ? OX_NONE : highest;
}

static uint32_t height_of(const struct ox_grammar *g, const struct ox_node *node)
{
    if (node->kind == OX_NODE_SCALAR || node->kind == OX_NODE_STRING || node->kind == OX_NODE_RAW) {
        const bool empty = node->automaton != OX_NONE && g->automata[node->automaton].n_states == 0;
        return empty || (node->automaton == OX_NONE && node->min > node->max) ? OX_NONE : 0;
    }
    const uint32_t within = height_within(g, node);
    return within >= OX_GRAMMAR_DEPTH ? OX_NONE : within + 1;
}

void ox_grammar_measure(struct ox_grammar *g)
{
    bool changed = true;
    for (size_t i = 0; i < g->n_nodes; i++) {
        g->nodes[i].height = OX_NONE;
    }
    while (changed) {
        changed = false;
        /* what lies within comes behind, mostly */
        for (size_t i = g->n_choices; i > 0; i--) {
            struct ox_choice *choice = &g->choices[i - 1];
            for (uint32_t k = 0; k < choice->n_nodes; k++) {
                struct ox_node *node = &g->nodes[g->alternatives[choice->first_node + k]];
                node->height = height_of(g, node);
                if (node->height < choice->height) {
                    choice->height = node->height;
                    changed = true;
                }
            }
        }
    }
}
