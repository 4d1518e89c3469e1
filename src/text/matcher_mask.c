/* SPDX-License-Identifier: Apache-2.0
 *
 * Masks: the ways are walked over the trees of the vocabulary, byte by byte, and what they come to is kept under a key
 * that holds all of their frames that matters. Inside of strings the tree of plain tokens is not walked with frames:
 * any text takes all of them, a limited length the shorter ones, and an automaton has a mask for each of its states.
 */
#include "base/mem.h"
#include "text/matcher_parts.h"

/* Counts that lie further than a token from their limits are equal. */
#define FAR (OX_LEXICON_TOKEN_BYTES + 1U)

/* ---- keys ---- */

static void add_number(struct ox_buf *key, uint64_t number)
{
    ox_buf_add(key, &number, sizeof number);
}

/* How far a count is from its limits. */
static void add_distances(struct ox_buf *key, uint32_t count, uint32_t min, uint32_t max)
{
    const uint32_t missing = count < min ? min - count : 0;
    const uint32_t left = max != OX_NONE && count <= max ? max - count : OX_NONE;
    add_number(key, (uint64_t)(missing < FAR ? missing : FAR) << 32 | (left < FAR ? left : FAR));
}

static void add_frame(const struct ox_matcher *m, struct ox_buf *key, const struct ox_frame *f)
{
    const uint8_t small[8] = {f->kind, f->phase, f->blank, f->left, f->total, 0, 0, 0};
    ox_buf_add(key, small, sizeof small);
    if (f->kind == OX_FRAME_DOCUMENT || f->kind == OX_FRAME_CALLS) {
        add_number(key, (uint64_t)f->count << 32 | f->state);
        return;
    }
    const struct ox_node *node = ox_frame_node(m, f);
    add_number(key, (uint64_t)f->node << 32 | f->state);
    add_number(key, f->code);
    if (f->kind == OX_FRAME_KEY && node->other != OX_NONE) {
        add_number(key, f->hash);
    } else if (f->kind == OX_FRAME_OBJECT) {
        add_number(key, ox_names_sum(m, f->names));
    } else if (f->kind == OX_FRAME_ARRAY || f->kind == OX_FRAME_ITEMS) {
        add_number(key, f->count < node->n_members ? f->count : node->n_members);
        add_distances(key, f->count, node->min, node->max);
    } else if ((f->kind == OX_FRAME_STRING || f->kind == OX_FRAME_RAW) && node->automaton == OX_NONE) {
        add_distances(key, f->count, node->min, node->max);
    } else if (f->kind == OX_FRAME_ELEMENTS) {
        add_number(key, f->count);
    }
}

static void make_key(struct ox_matcher *m)
{
    ox_buf_clear(&m->key);
    for (size_t i = 0; i < m->ways.n; i++) {
        for (uint32_t at = m->ways.tops[i]; at != OX_NONE; at = m->frames[at].parent) {
            add_frame(m, &m->key, &m->frames[at]);
        }
    }
}

/* ---- kept masks ---- */

/* The mask kept under key, or an empty one for it, in place of the one used longest ago; *known tells which. */
static struct ox_kept_mask *find_mask(struct ox_matcher *m, struct ox_kept_mask *masks, size_t n, struct ox_str key,
                                      bool *known)
{
    const size_t words = m->lexicon->n_words;
    struct ox_kept_mask *oldest = masks;
    *known = true;
    for (size_t i = 0; i < n; i++) {
        if (masks[i].used > 0 && ox_str_equal(ox_buf_str(&masks[i].key), key)) {
            masks[i].used = ++m->clock;
            return &masks[i];
        }
        oldest = masks[i].used < oldest->used ? &masks[i] : oldest;
    }
    *known = false;
    oldest->used = 0;
    ox_buf_clear(&oldest->key);
    ox_buf_add_str(&oldest->key, key);
    if (oldest->mask == NULL) {
        oldest->mask = ox_calloc(words, sizeof *oldest->mask);
    }
    if (oldest->mask == NULL || ox_buf_failed(&oldest->key)) {
        ox_buf_fini(&oldest->key);
        return NULL;
    }
    if (words > 0) {
        memset(oldest->mask, 0, words * sizeof *oldest->mask);
    }
    return oldest;
}

static void change_bit(uint64_t *mask, int32_t id, bool set)
{
    const uint64_t bit = (uint64_t)1 << (id % 64);
    uint64_t *word = &mask[(size_t)id / 64];
    *word = set ? *word | bit : *word & ~bit;
}

static void set_bit(uint64_t *mask, int32_t id)
{
    change_bit(mask, id, true);
}

/* Set or clear the tokens that end at a node. */
static void change_token(const struct ox_lexicon *lexicon, uint64_t *mask, const struct ox_lexicon_node *node, bool set)
{
    int32_t id = node->id;
    if (id >= 0) {
        change_bit(mask, id, set);
    }
    while (node->shared && (id = lexicon->same[id]) >= 0) {
        change_bit(mask, id, set);
    }
}

static void change_below(const struct ox_lexicon *lexicon, const struct ox_lexicon_tree *tree, size_t from, size_t to,
                         bool set, uint64_t *mask)
{
    for (size_t i = from; i < to; i++) {
        change_token(lexicon, mask, &tree->nodes[i], set);
    }
}

/* ---- the plain tokens in strings ---- */

/* Plain tokens of at most n characters. */
static void set_short(const struct ox_lexicon *lexicon, uint32_t n, uint64_t *mask)
{
    const size_t n_ids = lexicon->n_up_to[n < lexicon->max_characters ? n : lexicon->max_characters];
    for (size_t i = 0; i < n_ids; i++) {
        set_bit(mask, lexicon->by_length[i]);
    }
}

/* The state behind any character of a plain token, if that is the same for all; else OX_NO_STATE. */
static uint32_t plain_next(const struct ox_automaton *a, uint32_t state)
{
    const uint32_t next = ox_automaton_common(a, state, ' ', '"' - 1);
    const bool same = next != OX_NO_STATE && ox_automaton_common(a, state, '"' + 1, '\\' - 1) == next &&
                      ox_automaton_common(a, state, '\\' + 1, OX_CODE_MAX) == next;
    return same ? next : OX_NO_STATE;
}

/* How many characters of plain tokens the automaton takes from state on, whatever they are; at most `most`. *end: the
 * state behind them. */
static uint32_t plain_run(const struct ox_automaton *a, uint32_t state, uint32_t most, uint32_t *end)
{
    uint32_t n = 0;
    for (; n < most; n++) {
        const uint32_t next = plain_next(a, state);
        if (next == OX_NO_STATE) {
            break;
        }
        state = next;
    }
    *end = state;
    return n;
}

/* What ASCII characters lead to, for the states met last. */
#define N_ROWS 32
struct rows {
    const struct ox_automaton *a;
    uint32_t states[N_ROWS]; /* whose row it is, OX_NO_STATE if none */
    uint8_t loops[N_ROWS];   /* kinds of bytes that lead from the state to itself */
    uint32_t next[N_ROWS][128];
};

/* The kinds of bytes whose characters all lead from the state of a row to `next`. */
static uint8_t kinds_to(const struct rows *rows, size_t row, uint32_t next)
{
    const struct ox_automaton *a = rows->a;
    const uint32_t state = rows->states[row];
    uint8_t kinds = 0xFF;
    if (ox_automaton_common(a, state, 0x80, 0x1FFF) != next ||
        ox_automaton_common(a, state, 0x3000, OX_CODE_MAX) != next) {
        kinds &= (uint8_t)~OX_BYTES_WIDE;
    }
    if (ox_automaton_common(a, state, 0x2000, 0x2FFF) != next) {
        kinds &= (uint8_t)~OX_BYTES_E2;
    }
    for (uint8_t byte = ' '; byte < 0x80; byte++) {
        if (rows->next[row][byte] != next && byte != '"' && byte != '\\') {
            kinds &= (uint8_t)~ox_byte_kind(byte);
        }
    }
    return kinds;
}

static size_t row_of(struct rows *rows, uint32_t state)
{
    const size_t row = state % N_ROWS;
    if (rows->states[row] != state) {
        const struct ox_automaton_state *s = &rows->a->states[state];
        memset(rows->next[row], 0xFF, sizeof rows->next[row]);
        for (uint32_t e = 0; e < s->n_edges; e++) {
            const struct ox_edge *edge = &rows->a->edges[s->first_edge + e];
            for (uint32_t code = edge->low; code <= edge->high && code < 128; code++) {
                rows->next[row][code] = edge->next;
            }
        }
        rows->states[row] = state;
        rows->loops[row] = kinds_to(rows, row, state);
    }
    return row;
}

/* Kinds of bytes that all lead from `state` to one state and from there to itself: a token of such bytes alone is
 * taken. */
static uint8_t easy_kinds(struct rows *rows, uint32_t state)
{
    static const char first[] = "a A0";
    for (size_t i = 0; first[i] != '\0'; i++) {
        const size_t row = row_of(rows, state);
        const uint32_t next = rows->next[row][(unsigned char)first[i]];
        if (next == OX_NO_STATE) {
            continue;
        }
        uint8_t kinds = kinds_to(rows, row, next);
        kinds &= rows->loops[row_of(rows, next)]; /* which may take the place of the other row */
        if (kinds != 0) {
            return kinds;
        }
    }
    return 0;
}

/* Plain tokens of these kinds of bytes alone. */
static void set_kinds(const struct ox_lexicon *lexicon, uint8_t kinds, uint64_t *mask)
{
    for (size_t w = 0; w < lexicon->n_words; w++) {
        uint64_t others = 0;
        for (unsigned kind = 0; kind < OX_N_BYTE_KINDS; kind++) {
            others |= (kinds >> kind & 1) != 0 ? 0 : lexicon->kind_masks[kind * lexicon->n_words + w];
        }
        mask[w] |= lexicon->plain_mask[w] & ~others;
    }
}

/* Where a walk is within a string. */
struct place {
    uint32_t state; /* of the automaton; without one, how many characters fit */
    uint32_t code;
    unsigned left;
    unsigned total;
    bool easy; /* all bytes so far are of easy kinds */
};

/* A byte above ASCII; plain tokens are well formed. a NULL: there is no automaton. */
static bool step_utf8(const struct ox_automaton *a, const struct place *from, uint8_t byte, struct place *to)
{
    uint32_t low;
    uint32_t high;
    *to = *from;
    if (a == NULL) {
        to->state -= byte >= 0xC0 && from->state > 0 ? 1 : 0;
        return byte < 0xC0 || from->state > 0;
    }
    if (from->left == 0) {
        to->total = 2U + (byte >= 0xE0) + (byte >= 0xF0);
        to->left = to->total - 1;
        to->code = byte & (0x7FU >> to->total);
    } else {
        to->code = from->code << 6 | (byte & 0x3F);
        to->left--;
    }
    if (to->left == 0) {
        to->state = ox_automaton_step(a, from->state, to->code);
        return to->state != OX_NO_STATE;
    }
    ox_matcher_utf8_range(to->code, to->left, to->total, &low, &high);
    return low <= high && ox_automaton_takes(a, from->state, low, high);
}

static void rows_init(struct rows *rows, const struct ox_automaton *a)
{
    rows->a = a;
    memset(rows->states, 0xFF, sizeof rows->states);
}

static bool step_place(struct rows *rows, const struct place *from, uint8_t byte, struct place *to)
{
    if (byte >= 0x80) {
        return step_utf8(rows->a, from, byte, to);
    }
    *to = *from;
    if (rows->a == NULL) {
        to->state--;
        return from->state > 0;
    }
    to->state = rows->next[row_of(rows, from->state)][byte];
    return to->state != OX_NO_STATE;
}

/* The plain tokens at nodes `from` to `to` of their tree, whose parent is in place `start`. Tokens of easy kinds of
 * bytes alone are known already. */
static void walk_string(const struct ox_lexicon *lexicon, struct rows *rows, size_t from, size_t to,
                        const struct place *start, uint8_t easy, uint64_t *mask)
{
    struct place places[OX_LEXICON_TOKEN_BYTES + 1];
    const struct ox_lexicon_tree *tree = &lexicon->plain;
    if (from < to) {
        places[tree->nodes[from].depth - 1] = *start;
    }
    for (size_t i = from; i < to;) {
        const struct ox_lexicon_node *node = &tree->nodes[i];
        struct place *next = &places[node->depth];
        if (!step_place(rows, next - 1, node->byte, next)) {
            i = node->end;
            continue;
        }
        next->easy = next->easy && (ox_byte_kind(node->byte) & easy) != 0;
        if (next->easy && (node->kinds & ~easy) == 0) {
            i = node->end;
        } else if (rows->a != NULL && next->left == 0 &&
                   (node->kinds & ~rows->loops[row_of(rows, next->state)]) == 0) {
            change_below(lexicon, tree, i, node->end, true, mask);
            i = node->end;
        } else {
            change_token(lexicon, mask, node, true);
            i++;
        }
    }
}

/* The plain tokens that automaton number `number` takes from state on. */
static const uint64_t *string_mask(struct ox_matcher *m, uint32_t number, uint32_t state)
{
    const struct ox_automaton *a = &m->grammar->automata[number];
    const uint32_t key[2] = {number, state};
    uint32_t end;
    bool known;
    struct ox_kept_mask *kept =
        find_mask(m, m->string_masks, OX_MATCHER_STRING_MASKS, ox_str_make((const char *)key, sizeof key), &known);
    if (kept == NULL) {
        m->no_memory = true;
        return NULL;
    }
    if (!known) {
        const uint32_t most = m->lexicon->max_characters;
        const uint32_t run = plain_run(a, state, most, &end);
        if (run >= most || (run > 0 && !ox_automaton_takes(a, end, ' ', OX_CODE_MAX))) {
            set_short(m->lexicon, run, kept->mask);
        } else {
            const struct place start = {.state = state, .easy = true};
            struct rows rows;
            rows_init(&rows, a);
            const uint8_t easy = easy_kinds(&rows, state);
            if (easy != 0) {
                set_kinds(m->lexicon, easy, kept->mask);
            }
            walk_string(m->lexicon, &rows, 0, m->lexicon->plain.n, &start, easy, kept->mask);
        }
    }
    kept->used = ++m->clock;
    return kept->mask;
}

static bool is_string(const struct ox_frame *f)
{
    return f->kind == OX_FRAME_STRING || f->kind == OX_FRAME_RAW || f->kind == OX_FRAME_KEY;
}

/* Does the string on top take any plain token from here on? */
static bool is_free(const struct ox_matcher *m, const struct ox_frame *f)
{
    if (f->phase != OX_PHASE_BODY) {
        return false;
    }
    if (f->kind == OX_FRAME_KEY) {
        return ox_matcher_has_other(m, &m->frames[f->parent]);
    }
    const struct ox_node *node = ox_frame_node(m, f);
    return node->automaton != OX_NONE ? plain_next(&m->grammar->automata[node->automaton], f->state) == f->state
                                      : node->max == OX_NONE || node->max - f->count >= m->lexicon->max_characters;
}

/* Are all ways in strings? *any: one of them takes any text. */
static bool all_strings(const struct ox_matcher *m, const struct ox_ways *ways, bool *any)
{
    *any = false;
    for (size_t i = 0; i < ways->n; i++) {
        const struct ox_frame *f = &m->frames[ways->tops[i]];
        if (!is_string(f)) {
            return false;
        }
        *any = *any || is_free(m, f);
    }
    return true;
}

/* Add the plain tokens that the string on top takes, without a walk by frames; false if only that can tell. */
static bool add_string(struct ox_matcher *m, const struct ox_frame *f, uint64_t *mask)
{
    const struct ox_lexicon *lexicon = m->lexicon;
    const struct ox_node *node = ox_frame_node(m, f);
    if (f->kind == OX_FRAME_KEY || f->phase != OX_PHASE_BODY) {
        return false;
    }
    if (node->automaton == OX_NONE) {
        set_short(lexicon, node->max - f->count, mask);
        return true;
    }
    const uint64_t *own = string_mask(m, node->automaton, f->state);
    for (size_t w = 0; own != NULL && w < lexicon->n_words; w++) {
        mask[w] |= own[w];
    }
    return true;
}

/* ---- walks ---- */

/* Where all ways are between the characters of values that are strings, no frames are needed for the plain tokens below
 * node i. */
static bool walk_strings(struct ox_matcher *m, const struct ox_ways *ways, size_t i, uint64_t *mask)
{
    for (size_t w = 0; w < ways->n; w++) {
        const struct ox_frame *f = &m->frames[ways->tops[w]];
        if (!is_string(f) || f->kind == OX_FRAME_KEY || f->phase != OX_PHASE_BODY) {
            return false;
        }
    }
    for (size_t w = 0; w < ways->n; w++) {
        const struct ox_frame *f = &m->frames[ways->tops[w]];
        const struct ox_node *node = ox_frame_node(m, f);
        const bool counted = node->automaton == OX_NONE;
        const struct place start = {.state = counted ? node->max - f->count : f->state};
        struct rows rows;
        rows_init(&rows, counted ? NULL : &m->grammar->automata[node->automaton]);
        walk_string(m->lexicon, &rows, i + 1, m->lexicon->plain.nodes[i].end, &start, 0, mask);
    }
    return true;
}

/* Before calls, and in arguments that are not looked at, any text is taken: by one of the ways? *ends: but for tokens
 * that end the call and go on. */
static bool takes_text(const struct ox_matcher *m, const struct ox_ways *ways, bool *ends)
{
    bool any = false;
    *ends = true;
    for (size_t i = 0; i < ways->n; i++) {
        const struct ox_frame *f = &m->frames[ways->tops[i]];
        if (f->kind == OX_FRAME_CALLS && (f->phase == OX_PHASE_TEXT || f->phase == OX_PHASE_FREE)) {
            any = true;
            *ends = *ends && f->count > 0;
        }
    }
    return any;
}

/* The tokens of a tree that m->levels[0] take. full: the mask has all of the tree, which is right for most. */
static void walk(struct ox_matcher *m, const struct ox_lexicon_tree *tree, bool full, uint64_t *mask)
{
    size_t n_frames[OX_LEXICON_TOKEN_BYTES + 1];
    const bool plain = tree == &m->lexicon->plain;
    n_frames[0] = m->n_frames;
    for (size_t i = 0; i < tree->n && !m->no_memory;) {
        const struct ox_lexicon_node *node = &tree->nodes[i];
        struct ox_ways *ways = &m->levels[node->depth];
        bool any = false;
        bool ends = false;
        m->n_frames = n_frames[node->depth - 1];
        ox_matcher_step(m, &m->levels[node->depth - 1], node->byte, ways);
        n_frames[node->depth] = m->n_frames;
        if (ways->n == 0) {
            change_below(m->lexicon, tree, i, full ? node->end : i, false, mask);
            i = node->end;
        } else if ((takes_text(m, ways, &ends) && !ends) || (plain && all_strings(m, ways, &any) && any)) {
            change_below(m->lexicon, tree, i, full ? i : node->end, true, mask);
            i = node->end;
        } else {
            change_token(m->lexicon, mask, node, true);
            i = plain && walk_strings(m, ways, i, mask) ? node->end : i + 1;
        }
    }
    m->n_frames = n_frames[0];
}

static void set_plain(const struct ox_lexicon *lexicon, uint64_t *mask)
{
    memcpy(mask, lexicon->plain_mask, lexicon->n_words * sizeof *mask);
}

/* The plain tokens that the ways take. */
static void add_plain(struct ox_matcher *m, const struct ox_ways *ways, uint64_t *mask)
{
    bool any;
    m->levels[0].n = 0;
    if (!all_strings(m, ways, &any)) {
        m->levels[0] = *ways;
    } else if (any) {
        set_plain(m->lexicon, mask);
    } else {
        for (size_t i = 0; i < ways->n; i++) {
            if (!add_string(m, &m->frames[ways->tops[i]], mask)) {
                m->levels[0].tops[m->levels[0].n++] = ways->tops[i];
            }
        }
    }
    if (m->levels[0].n > 0) {
        walk(m, &m->lexicon->plain, false, mask);
    }
}

static void add_markers(struct ox_matcher *m, uint64_t *mask)
{
    const int32_t ids[] = {m->lexicon->markers.name_space, m->lexicon->markers.tool_call_begin,
                           m->lexicon->markers.tool_call_end};
    const size_t n_frames = m->n_frames;
    for (uint32_t i = 0; i < 3; i++) {
        if (ids[i] >= 0 && ids[i] < m->lexicon->n_ids) {
            ox_matcher_step(m, &m->ways, OX_SYMBOL_NAMESPACE + i, &m->levels[1]);
            if (m->levels[1].n > 0) {
                set_bit(mask, ids[i]);
            }
            m->n_frames = n_frames;
        }
    }
}

static void compute(struct ox_matcher *m, uint64_t *mask)
{
    const struct ox_lexicon *lexicon = m->lexicon;
    const size_t n_frames = m->n_frames;
    struct ox_ways ways = {.n = 0};
    bool ends;
    if (takes_text(m, &m->ways, &ends)) {
        set_plain(lexicon, mask);
        change_below(lexicon, &lexicon->other, 0, lexicon->other.n, true, mask);
        m->levels[0] = m->ways;
        if (ends) {
            walk(m, &lexicon->plain, true, mask);
            walk(m, &lexicon->other, true, mask);
        }
    } else {
        for (size_t i = 0; i < m->ways.n; i++) {
            ox_matcher_begin_text(m, m->ways.tops[i], &ways);
        }
        add_plain(m, &ways, mask);
        m->levels[0] = ways;
        walk(m, &lexicon->other, false, mask);
    }
    m->n_frames = n_frames;
    add_markers(m, mask);
}

enum ox_status ox_matcher_mask(struct ox_matcher *m, const uint64_t **mask, struct ox_error *err)
{
    bool known = false;
    make_key(m);
    struct ox_kept_mask *kept =
        ox_buf_failed(&m->key) ? NULL : find_mask(m, m->masks, OX_MATCHER_MASKS, ox_buf_str(&m->key), &known);
    if (kept != NULL && !known) {
        compute(m, kept->mask);
    }
    if (kept == NULL || m->no_memory) {
        m->no_memory = false;
        ox_buf_fini(&m->key);
        return ox_error_nomem(err, m->lexicon->n_words * sizeof **mask);
    }
    kept->used = ++m->clock;
    *mask = kept->mask;
    return OX_OK;
}
