/* SPDX-License-Identifier: Apache-2.0
 *
 * Automata: subset construction, products, and the removal of states from which nothing can be accepted. New states are
 * found through one hash of their contents, so both constructions are the same loop over different keys.
 */
#include "text/automaton.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

void ox_automaton_fini(struct ox_automaton *a)
{
    ox_free(a->states);
    ox_free(a->edges);
    memset(a, 0, sizeof *a);
}

/* The first edge of state that does not end before code; the edge behind the last if all do. */
static const struct ox_edge *edge_from(const struct ox_automaton *a, uint32_t state, uint32_t code,
                                       const struct ox_edge **end)
{
    size_t n = a->states[state].n_edges;
    const struct ox_edge *edge = n > 0 ? a->edges + a->states[state].first_edge : NULL;
    *end = n > 0 ? edge + n : NULL;
    while (n > 0) {
        const size_t half = n / 2;
        if (edge[half].high < code) {
            edge += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return edge;
}

uint32_t ox_automaton_step(const struct ox_automaton *a, uint32_t state, uint32_t code)
{
    const struct ox_edge *end;
    const struct ox_edge *edge = edge_from(a, state, code, &end);
    return edge < end && edge->low <= code ? edge->next : OX_NO_STATE;
}

bool ox_automaton_takes(const struct ox_automaton *a, uint32_t state, uint32_t low, uint32_t high)
{
    const struct ox_edge *end;
    const struct ox_edge *edge = edge_from(a, state, low, &end);
    return edge < end && edge->low <= high;
}

bool ox_automaton_accepts(const struct ox_automaton *a, struct ox_str text)
{
    uint32_t state = a->n_states > 0 ? 0 : OX_NO_STATE;
    for (size_t at = 0; at < text.len && state != OX_NO_STATE;) {
        uint32_t code;
        at += ox_utf8_decode(ox_str_make(text.ptr + at, text.len - at), &code);
        state = ox_automaton_step(a, state, code);
    }
    return state != OX_NO_STATE && a->states[state].accept != OX_NO_STATE;
}

uint32_t ox_automaton_common(const struct ox_automaton *a, uint32_t state, uint32_t low, uint32_t high)
{
    const struct ox_edge *end;
    const struct ox_edge *edge = edge_from(a, state, low, &end);
    const uint32_t next = edge < end ? edge->next : OX_NO_STATE;
    for (; edge < end && edge->low <= low && edge->next == next; edge++) {
        if (edge->high >= high) {
            return next;
        }
        low = edge->high + 1 == OX_SURROGATE_FIRST ? OX_SURROGATE_LAST + 1 : edge->high + 1;
    }
    return OX_NO_STATE;
}

/* ---- nets ---- */

void ox_net_fini(struct ox_net *net)
{
    ox_free(net->states);
    ox_free(net->edges);
    memset(net, 0, sizeof *net);
}

uint32_t ox_net_add(struct ox_net *net)
{
    void *states = net->states;
    if (net->status == OX_OK && net->n_states >= OX_NET_STATES_MAX) {
        net->status = OX_E_LIMIT;
    }
    if (net->status == OX_OK && ox_grow(&states, &net->states_cap, net->n_states + 1, sizeof *net->states) != 0) {
        net->status = OX_E_NOMEM;
    }
    if (net->status != OX_OK) {
        return 0;
    }
    net->states = states;
    net->states[net->n_states] = (struct ox_net_state){OX_NO_STATE, OX_NO_STATE};
    return (uint32_t)net->n_states++;
}

static void add_net_edge(struct ox_net *net, uint32_t from, uint32_t low, uint32_t high, uint32_t to)
{
    void *edges = net->edges;
    if (net->status == OX_OK && net->n_edges >= 4 * OX_NET_STATES_MAX) {
        net->status = OX_E_LIMIT;
    }
    if (net->status == OX_OK && ox_grow(&edges, &net->edges_cap, net->n_edges + 1, sizeof *net->edges) != 0) {
        net->status = OX_E_NOMEM;
    }
    if (net->status != OX_OK) {
        return;
    }
    net->edges = edges;
    net->edges[net->n_edges] = (struct ox_net_edge){low, high, to, net->states[from].first_edge};
    net->states[from].first_edge = (uint32_t)net->n_edges++;
}

void ox_net_link(struct ox_net *net, uint32_t from, uint32_t low, uint32_t high, uint32_t to)
{
    if (low < OX_SURROGATE_FIRST) {
        const uint32_t last = high < OX_SURROGATE_FIRST ? high : OX_SURROGATE_FIRST - 1;
        if (low <= last) {
            add_net_edge(net, from, low, last, to);
        }
    }
    if (high > OX_SURROGATE_LAST) {
        add_net_edge(net, from, low > OX_SURROGATE_LAST ? low : OX_SURROGATE_LAST + 1, high, to);
    }
}

void ox_net_skip(struct ox_net *net, uint32_t from, uint32_t to)
{
    add_net_edge(net, from, 1, 0, to);
}

uint32_t ox_net_bytes(struct ox_net *net, uint32_t from, struct ox_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const uint32_t to = ox_net_add(net);
        ox_net_link(net, from, (unsigned char)text.ptr[i], (unsigned char)text.ptr[i], to);
        from = to;
    }
    return from;
}

uint32_t ox_net_text(struct ox_net *net, uint32_t from, struct ox_str text)
{
    for (size_t at = 0; at < text.len;) {
        uint32_t code;
        at += ox_utf8_decode(ox_str_make(text.ptr + at, text.len - at), &code);
        const uint32_t to = ox_net_add(net);
        ox_net_link(net, from, code, code, to);
        from = to;
    }
    return from;
}

void ox_net_accept(struct ox_net *net, uint32_t state, uint32_t end)
{
    if (net->status == OX_OK && end < net->states[state].accept) {
        net->states[state].accept = end;
    }
}

/* ---- making automata ---- */

/* A run of numbers in `pool` that stands for one state of the automaton in the making. */
struct key {
    size_t at;
    size_t len;
};

/* An automaton in the making: state i is the set, or the pair, keys[i]. */
struct maker {
    struct ox_automaton *out;
    struct key *keys;
    size_t keys_cap;
    uint32_t *pool;
    size_t n_pool;
    size_t pool_cap;
    uint32_t *rows; /* hash: state + 1, 0 if free; n_rows a power of two */
    size_t n_rows;
    size_t work;
};

static void maker_fini(struct maker *m)
{
    ox_free(m->keys);
    ox_free(m->pool);
    ox_free(m->rows);
}

static enum ox_status too_large(struct ox_error *err)
{
    return ox_error_set(err, OX_E_LIMIT,
                        "a pattern, enumeration or length is too large: more than %zu states or %zu edges",
                        OX_AUTOMATON_STATES_MAX, OX_AUTOMATON_EDGES_MAX);
}

static size_t hash_of(const uint32_t *numbers, size_t n)
{
    return (size_t)ox_str_hash(ox_str_make((const char *)numbers, n * sizeof *numbers));
}

static int rehash(struct maker *m)
{
    const size_t n_rows = m->n_rows == 0 ? 64 : 2 * m->n_rows;
    uint32_t *rows = ox_calloc(n_rows, sizeof *rows);
    if (rows == NULL) {
        return -1;
    }
    for (size_t i = 0; i < m->out->n_states; i++) {
        size_t at = hash_of(m->pool + m->keys[i].at, m->keys[i].len) & (n_rows - 1);
        while (rows[at] != 0) {
            at = (at + 1) & (n_rows - 1);
        }
        rows[at] = (uint32_t)i + 1;
    }
    ox_free(m->rows);
    m->rows = rows;
    m->n_rows = n_rows;
    return 0;
}

/* The state of these numbers, made if it is new; with its end then. */
static enum ox_status state_of(struct maker *m, const uint32_t *numbers, size_t n, uint32_t accept, uint32_t *state,
                               struct ox_error *err)
{
    struct ox_automaton *out = m->out;
    if (2 * (out->n_states + 1) > m->n_rows && rehash(m) != 0) {
        return ox_error_nomem(err, m->n_rows * sizeof *m->rows);
    }
    size_t at = hash_of(numbers, n) & (m->n_rows - 1);
    for (; m->rows[at] != 0; at = (at + 1) & (m->n_rows - 1)) {
        const struct key *key = &m->keys[m->rows[at] - 1];
        if (key->len == n && memcmp(m->pool + key->at, numbers, n * sizeof *numbers) == 0) {
            *state = m->rows[at] - 1;
            return OX_OK;
        }
    }
    if (out->n_states >= OX_AUTOMATON_STATES_MAX) {
        return too_large(err);
    }
    void *keys = m->keys;
    void *pool = m->pool;
    void *states = out->states;
    const int failed = ox_grow(&keys, &m->keys_cap, out->n_states + 1, sizeof *m->keys);
    m->keys = keys;
    const int failed_pool = ox_grow(&pool, &m->pool_cap, m->n_pool + n, sizeof *m->pool);
    m->pool = pool;
    const int failed_states = ox_grow(&states, &out->states_cap, out->n_states + 1, sizeof *out->states);
    out->states = states;
    if (failed != 0 || failed_pool != 0 || failed_states != 0) {
        return ox_error_nomem(err, n * sizeof *m->pool);
    }
    memcpy(m->pool + m->n_pool, numbers, n * sizeof *numbers);
    m->keys[out->n_states] = (struct key){m->n_pool, n};
    m->n_pool += n;
    out->states[out->n_states] = (struct ox_automaton_state){0, 0, accept};
    m->rows[at] = (uint32_t)out->n_states + 1;
    *state = (uint32_t)out->n_states++;
    return OX_OK;
}

/* Another edge of the state that is being made; it joins the one before where that leads to the same place. */
static enum ox_status add_edge(struct ox_automaton *a, uint32_t state, struct ox_edge edge, struct ox_error *err)
{
    struct ox_automaton_state *s = &a->states[state];
    if (s->n_edges == 0) {
        s->first_edge = (uint32_t)a->n_edges;
    } else {
        struct ox_edge *last = &a->edges[a->n_edges - 1];
        if (last->next == edge.next && last->high + 1 == edge.low) {
            last->high = edge.high;
            return OX_OK;
        }
    }
    void *edges = a->edges;
    if (a->n_edges >= OX_AUTOMATON_EDGES_MAX) {
        return too_large(err);
    }
    if (ox_grow(&edges, &a->edges_cap, a->n_edges + 1, sizeof *a->edges) != 0) {
        return ox_error_nomem(err, a->n_edges * sizeof *a->edges);
    }
    a->edges = edges;
    a->edges[a->n_edges++] = edge;
    s->n_edges++;
    return OX_OK;
}

/* Which states lead to an end: backwards over all edges until nothing changes. */
static void mark_living(const struct ox_automaton *a, bool *lives)
{
    bool changed = true;
    for (size_t i = 0; i < a->n_states; i++) {
        lives[i] = a->states[i].accept != OX_NO_STATE;
    }
    while (changed) {
        changed = false;
        for (size_t i = a->n_states; i > 0; i--) {
            const struct ox_automaton_state *s = &a->states[i - 1];
            for (uint32_t e = 0; e < s->n_edges && !lives[i - 1]; e++) {
                lives[i - 1] = lives[a->edges[s->first_edge + e].next];
                changed = changed || lives[i - 1];
            }
        }
    }
}

/* Leave out the states that lead nowhere. */
static enum ox_status trim(struct ox_automaton *a, struct ox_error *err)
{
    bool *lives = ox_calloc(a->n_states, sizeof *lives);
    uint32_t *renamed = ox_calloc(a->n_states, sizeof *renamed);
    if (lives == NULL || renamed == NULL) {
        ox_free(lives);
        ox_free(renamed);
        return ox_error_nomem(err, a->n_states * sizeof *renamed);
    }
    mark_living(a, lives);
    size_t n_states = 0;
    for (size_t i = 0; i < a->n_states; i++) {
        renamed[i] = (uint32_t)n_states;
        n_states += lives[i] ? 1 : 0;
    }
    size_t n_edges = 0;
    for (size_t i = 0; i < a->n_states; i++) {
        const struct ox_automaton_state s = a->states[i];
        const uint32_t first = (uint32_t)n_edges;
        for (uint32_t e = s.first_edge; lives[i] && e < s.first_edge + s.n_edges; e++) {
            if (lives[a->edges[e].next]) {
                a->edges[n_edges] = a->edges[e];
                a->edges[n_edges++].next = renamed[a->edges[e].next];
            }
        }
        if (lives[i]) {
            a->states[renamed[i]] = (struct ox_automaton_state){first, (uint32_t)n_edges - first, s.accept};
        }
    }
    const bool empty = a->n_states == 0 || !lives[0];
    a->n_states = empty ? 0 : n_states;
    a->n_edges = n_edges;
    ox_free(lives);
    ox_free(renamed);
    return OX_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int compare_edges(const void *a, const void *b)
{
    const struct ox_edge *x = a;
    const struct ox_edge *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* What the subset construction works with; arrays of one entry a state or edge of the net. */
struct subset {
    const struct ox_net *net;
    struct maker maker;
    uint32_t *set; /* the states of one set */
    size_t n_set;
    uint32_t *seen;      /* [state] the number of the set that it was last put into */
    uint32_t round;      /* that number */
    struct ox_edge *out; /* the edges that leave one set */
    uint32_t *cuts;      /* where one of them begins or has ended */
    struct ox_edge *active;
};

/* Put state and what it reaches without a code into the set. */
static void put(struct subset *s, uint32_t state)
{
    if (s->seen[state] == s->round) {
        return;
    }
    s->seen[state] = s->round;
    size_t done = s->n_set;
    s->set[s->n_set++] = state;
    for (; done < s->n_set; done++) {
        uint32_t e = s->net->states[s->set[done]].first_edge;
        for (; e != OX_NO_STATE; e = s->net->edges[e].sibling) {
            const struct ox_net_edge *edge = &s->net->edges[e];
            if (edge->low > edge->high && s->seen[edge->next] != s->round) {
                s->seen[edge->next] = s->round;
                s->set[s->n_set++] = edge->next;
            }
        }
    }
}

/* The state of the set that was gathered. */
static enum ox_status set_state(struct subset *s, uint32_t *state, struct ox_error *err)
{
    uint32_t accept = OX_NO_STATE;
    qsort(s->set, s->n_set, sizeof *s->set, compare_numbers);
    for (size_t i = 0; i < s->n_set; i++) {
        const uint32_t end = s->net->states[s->set[i]].accept;
        accept = end < accept ? end : accept;
    }
    s->maker.work += s->n_set;
    if (s->maker.work > OX_AUTOMATON_WORK_MAX) {
        return too_large(err);
    }
    return state_of(&s->maker, s->set, s->n_set, accept, state, err);
}

/* The edges that leave set `from`, ascending, and the cuts between the intervals in which nothing changes. */
static size_t gather_edges(struct subset *s, uint32_t from, size_t *n_cuts)
{
    const struct key key = s->maker.keys[from];
    size_t n = 0;
    size_t cuts = 0;
    for (size_t i = 0; i < key.len; i++) {
        uint32_t e = s->net->states[s->maker.pool[key.at + i]].first_edge;
        for (; e != OX_NO_STATE; e = s->net->edges[e].sibling) {
            const struct ox_net_edge *edge = &s->net->edges[e];
            if (edge->low <= edge->high) {
                s->out[n++] = (struct ox_edge){edge->low, edge->high, edge->next};
                s->cuts[cuts++] = edge->low;
                s->cuts[cuts++] = edge->high + 1;
            }
        }
    }
    qsort(s->out, n, sizeof *s->out, compare_edges);
    qsort(s->cuts, cuts, sizeof *s->cuts, compare_numbers);
    *n_cuts = cuts;
    return n;
}

/* All edges of set `from`: interval by interval, with the net's edges that cover it. */
static enum ox_status expand_set(struct subset *s, uint32_t from, struct ox_error *err)
{
    size_t n_cuts;
    const size_t n = gather_edges(s, from, &n_cuts);
    size_t taken = 0;
    size_t n_active = 0;
    for (size_t c = 0; c + 1 < n_cuts; c++) {
        const uint32_t low = s->cuts[c];
        if (low == s->cuts[c + 1]) {
            continue;
        }
        while (taken < n && s->out[taken].low <= low) {
            s->active[n_active++] = s->out[taken++];
        }
        size_t kept = 0;
        s->n_set = 0;
        s->round++;
        for (size_t i = 0; i < n_active; i++) {
            if (s->active[i].high >= low) {
                put(s, s->active[i].next);
                s->active[kept++] = s->active[i];
            }
        }
        n_active = kept;
        s->maker.work += kept;
        if (s->n_set == 0) {
            continue;
        }
        struct ox_edge edge = {low, s->cuts[c + 1] - 1, 0};
        enum ox_status status = set_state(s, &edge.next, err);
        if (status == OX_OK) {
            status = add_edge(s->maker.out, from, edge, err);
        }
        if (status != OX_OK) {
            return status;
        }
    }
    return OX_OK;
}

enum ox_status ox_net_determine(const struct ox_net *net, struct ox_automaton *out, struct ox_error *err)
{
    if (net->status == OX_E_LIMIT) {
        return ox_error_set(err, OX_E_LIMIT, "a pattern or enumeration needs more than %zu states", OX_NET_STATES_MAX);
    }
    if (net->status != OX_OK) {
        return ox_error_nomem(err, net->n_states * sizeof *net->states);
    }
    if (net->n_states == 0) {
        return OX_OK;
    }
    struct subset s = {.net = net, .maker = {.out = out}};
    s.set = ox_calloc(net->n_states, sizeof *s.set);
    s.seen = ox_calloc(net->n_states, sizeof *s.seen);
    s.out = ox_calloc(net->n_edges, sizeof *s.out);
    s.active = ox_calloc(net->n_edges, sizeof *s.active);
    s.cuts = ox_calloc(net->n_edges, 2 * sizeof *s.cuts);
    enum ox_status status = OX_OK;
    if (s.set == NULL || s.seen == NULL || s.out == NULL || s.active == NULL || s.cuts == NULL) {
        status = ox_error_nomem(err, net->n_edges * sizeof *s.out);
    } else {
        uint32_t start;
        s.round = 1;
        put(&s, 0);
        status = set_state(&s, &start, err);
    }
    for (uint32_t i = 0; status == OX_OK && i < out->n_states; i++) {
        status = expand_set(&s, i, err);
    }
    out->n_made = out->n_states + s.maker.work / 16;
    if (status == OX_OK) {
        status = trim(out, err);
    }
    maker_fini(&s.maker);
    ox_free(s.set);
    ox_free(s.seen);
    ox_free(s.out);
    ox_free(s.active);
    ox_free(s.cuts);
    if (status != OX_OK) {
        ox_automaton_fini(out);
    }
    return status;
}

/* ---- products ---- */

/* Two automata side by side; b's state is OX_NO_STATE where b has given up. */
struct product {
    const struct ox_automaton *a;
    const struct ox_automaton *b;
    bool both; /* else: a without b */
    struct maker maker;
};

static enum ox_status pair_state(struct product *p, uint32_t a, uint32_t b, uint32_t *state, struct ox_error *err)
{
    const uint32_t pair[2] = {a, b};
    const bool in_b = b != OX_NO_STATE && p->b->states[b].accept != OX_NO_STATE;
    return state_of(&p->maker, pair, 2, in_b == p->both ? p->a->states[a].accept : OX_NO_STATE, state, err);
}

/* The edges of pair `from` below edge `of` of a. */
static enum ox_status expand_edge(struct product *p, uint32_t from, uint32_t b, struct ox_edge of, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    uint32_t low = of.low;
    while (status == OX_OK && low <= of.high) {
        struct ox_edge edge = {low, of.high, 0};
        uint32_t next_b = OX_NO_STATE;
        if (b != OX_NO_STATE) {
            const struct ox_edge *end;
            const struct ox_edge *other = edge_from(p->b, b, low, &end);
            if (other < end && other->low <= low) {
                next_b = other->next;
                edge.high = other->high < of.high ? other->high : of.high;
            } else if (other < end && other->low <= of.high) {
                edge.high = other->low - 1;
            }
        }
        low = edge.high + 1;
        if (p->both && next_b == OX_NO_STATE) {
            continue;
        }
        status = pair_state(p, of.next, next_b, &edge.next, err);
        if (status == OX_OK) {
            status = add_edge(p->maker.out, from, edge, err);
        }
    }
    return status;
}

static enum ox_status multiply(const struct ox_automaton *a, const struct ox_automaton *b, bool both,
                               struct ox_automaton *out, struct ox_error *err)
{
    struct product p = {.a = a, .b = b, .both = both, .maker = {.out = out}};
    uint32_t start;
    out->n_made = a->n_made + b->n_made;
    if (a->n_states == 0 || (both && b->n_states == 0)) {
        return OX_OK;
    }
    enum ox_status status = pair_state(&p, 0, b->n_states > 0 ? 0 : OX_NO_STATE, &start, err);
    for (uint32_t i = 0; status == OX_OK && i < out->n_states; i++) {
        const uint32_t in_a = p.maker.pool[p.maker.keys[i].at];
        const uint32_t in_b = p.maker.pool[p.maker.keys[i].at + 1];
        for (uint32_t e = 0; status == OX_OK && e < a->states[in_a].n_edges; e++) {
            status = expand_edge(&p, i, in_b, a->edges[a->states[in_a].first_edge + e], err);
        }
    }
    out->n_made += out->n_states + out->n_edges / 16;
    if (status == OX_OK) {
        status = trim(out, err);
    }
    maker_fini(&p.maker);
    if (status != OX_OK) {
        ox_automaton_fini(out);
    }
    return status;
}

enum ox_status ox_automaton_both(const struct ox_automaton *a, const struct ox_automaton *b, struct ox_automaton *out,
                                 struct ox_error *err)
{
    return multiply(a, b, true, out, err);
}

enum ox_status ox_automaton_without(const struct ox_automaton *a, const struct ox_automaton *b,
                                    struct ox_automaton *out, struct ox_error *err)
{
    return multiply(a, b, false, out, err);
}

enum ox_status ox_automaton_lengths(size_t min, size_t max, struct ox_automaton *out, struct ox_error *err)
{
    const size_t last = max == SIZE_MAX ? min : max;
    if (last >= OX_AUTOMATON_STATES_MAX) {
        return too_large(err);
    }
    struct ox_net net = {0};
    uint32_t at = ox_net_add(&net);
    for (size_t n = 0; n < last; n++) {
        const uint32_t next = ox_net_add(&net);
        ox_net_link(&net, at, 0, OX_CODE_MAX, next);
        if (n >= min) {
            ox_net_accept(&net, at, 0);
        }
        at = next;
    }
    if (last >= min) {
        ox_net_accept(&net, at, 0);
    }
    if (max == SIZE_MAX) {
        ox_net_link(&net, at, 0, OX_CODE_MAX, at);
    }
    const enum ox_status status = ox_net_determine(&net, out, err);
    ox_net_fini(&net);
    return status;
}
