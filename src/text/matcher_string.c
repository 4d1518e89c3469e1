/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings, names of members and raw text: bytes and escapes to characters, characters to the string's automaton. A byte
 * is taken only if some character that begins like this may stand here, so nothing leads into a dead end.
 */
#include "text/matcher_parts.h"

/* ---- what characters may come ---- */

static bool takes_characters(const struct ox_matcher *m, const struct ox_frame *f, uint32_t low, uint32_t high)
{
    const struct ox_node *node = ox_frame_node(m, f);
    if (f->kind != OX_FRAME_KEY) {
        return node->automaton != OX_NONE
                   ? ox_automaton_takes(&m->grammar->automata[node->automaton], f->state, low, high)
                   : f->count < node->max;
    }
    const struct ox_frame *object = &m->frames[f->parent];
    if (ox_matcher_has_other(m, object)) {
        return high > 0; /* no NUL in names */
    }
    if (f->state == OX_NONE) {
        return false;
    }
    const struct ox_automaton *names = &m->grammar->automata[node->automaton];
    const struct ox_automaton_state *state = &names->states[f->state];
    for (uint32_t e = 0; e < state->n_edges; e++) {
        const struct ox_edge *edge = &names->edges[state->first_edge + e];
        if (edge->low <= high && edge->high >= low && ox_matcher_name_goes_on(m, object, edge->next)) {
            return true;
        }
    }
    return false;
}

/* The same for a range that may have surrogates in it, which are no characters. */
static bool takes_range(const struct ox_matcher *m, const struct ox_frame *f, uint32_t low, uint32_t high)
{
    high = high > OX_CODE_MAX ? OX_CODE_MAX : high;
    if (low < OX_SURROGATE_FIRST && high >= OX_SURROGATE_FIRST) {
        return takes_characters(m, f, low, OX_SURROGATE_FIRST - 1) ||
               (high > OX_SURROGATE_LAST && takes_characters(m, f, OX_SURROGATE_LAST + 1, high));
    }
    if (low >= OX_SURROGATE_FIRST && low <= OX_SURROGATE_LAST) {
        return high > OX_SURROGATE_LAST && takes_characters(m, f, OX_SURROGATE_LAST + 1, high);
    }
    return low <= high && takes_characters(m, f, low, high);
}

/* The same for a range of \u escapes: printable ASCII is written as it is, which is what everyone does. */
static bool takes_escaped(const struct ox_matcher *m, const struct ox_frame *f, uint32_t low, uint32_t high)
{
    return (low < 0x20 && takes_range(m, f, low, high < 0x20 ? high : 0x1F)) ||
           (high > 0x7E && takes_range(m, f, low > 0x7E ? low : 0x7F, high));
}

/* Escapes of one letter, and what they stand for. */
static const char named_escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";

static bool takes_any_escape(const struct ox_matcher *m, const struct ox_frame *f)
{
    bool takes = takes_escaped(m, f, 0, OX_CODE_MAX);
    for (size_t i = 1; i < sizeof named_escapes && !takes; i += 2) {
        const uint32_t code = (unsigned char)named_escapes[i];
        takes = takes_characters(m, f, code, code);
    }
    return takes;
}

/* A whole character: the frame behind it, if there is one. */
static void take_character(struct ox_matcher *m, uint32_t top, uint32_t code)
{
    const struct ox_frame f = m->frames[top];
    const struct ox_node *node = ox_frame_node(m, &f);
    uint32_t state = f.state;
    uint32_t count = f.count;
    if (!takes_characters(m, &f, code, code)) {
        return;
    }
    if (node->automaton != OX_NONE && state != OX_NONE) {
        state = ox_automaton_step(&m->grammar->automata[node->automaton], state, code);
    } else if (f.kind != OX_FRAME_KEY && (node->max != OX_NONE || count < node->min)) {
        count++; /* else nothing depends on it */
    }
    if (f.phase == OX_PHASE_BODY && f.kind != OX_FRAME_KEY && state == f.state && count == f.count) {
        ox_matcher_emit(m, top); /* nothing has changed */
        return;
    }
    const uint32_t made = ox_matcher_copy(m, top);
    struct ox_frame *to = &m->frames[made];
    to->state = state;
    to->count = count;
    to->phase = OX_PHASE_BODY;
    to->code = 0;
    to->left = 0;
    to->total = 0;
    to->hash = f.kind == OX_FRAME_KEY ? (f.hash ^ code) * 0x100000001B3U : 0;
    ox_matcher_emit(m, made);
}

/* ---- bytes and escapes ---- */

static void emit_phase(struct ox_matcher *m, uint32_t top, enum ox_phase phase, uint32_t code, unsigned left,
                       unsigned total)
{
    const uint32_t made = ox_matcher_copy(m, top);
    struct ox_frame *to = &m->frames[made];
    to->phase = (uint8_t)phase;
    to->code = code;
    to->left = (uint8_t)left;
    to->total = (uint8_t)total;
    ox_matcher_emit(m, made);
}

void ox_matcher_utf8_range(uint32_t code, unsigned left, unsigned total, uint32_t *low, uint32_t *high)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    *low = code << (6 * left);
    *high = *low + (1U << (6 * left)) - 1;
    *low = *low < least[total] ? least[total] : *low;
}

static bool takes_utf8(const struct ox_matcher *m, const struct ox_frame *f, uint32_t code, unsigned left,
                       unsigned total)
{
    uint32_t low;
    uint32_t high;
    ox_matcher_utf8_range(code, left, total, &low, &high);
    return low <= high && takes_range(m, f, low, high);
}

static void take_first_byte(struct ox_matcher *m, uint32_t top, uint32_t byte)
{
    unsigned total = 2;
    if (byte < 0xC2 || byte > 0xF4) {
        return;
    }
    total += byte >= 0xE0 ? 1 : 0;
    total += byte >= 0xF0 ? 1 : 0;
    const uint32_t code = byte & (0x7FU >> total);
    if (takes_utf8(m, &m->frames[top], code, total - 1, total)) {
        emit_phase(m, top, OX_PHASE_UTF8, code, total - 1, total);
    }
}

static void take_next_byte(struct ox_matcher *m, uint32_t top, uint32_t byte)
{
    const struct ox_frame f = m->frames[top];
    if (byte < 0x80 || byte > 0xBF) {
        return;
    }
    const uint32_t code = f.code << 6 | (byte & 0x3F);
    const unsigned left = f.left - 1U;
    if (!takes_utf8(m, &f, code, left, f.total)) {
        return;
    }
    if (left > 0) {
        emit_phase(m, top, OX_PHASE_UTF8, code, left, f.total);
    } else {
        take_character(m, top, code);
    }
}

static void take_escape(struct ox_matcher *m, uint32_t top, uint32_t byte)
{
    if (byte == 'u' && takes_escaped(m, &m->frames[top], 0, OX_CODE_MAX)) {
        emit_phase(m, top, OX_PHASE_HEX, 0, 4, 0);
        return;
    }
    for (size_t i = 0; i + 1 < sizeof named_escapes; i += 2) {
        if (byte == (unsigned char)named_escapes[i]) {
            take_character(m, top, (unsigned char)named_escapes[i + 1]);
            return;
        }
    }
}

static bool hex_digit(uint32_t byte, uint32_t *digit)
{
    const uint32_t lower = byte | 0x20;
    *digit = byte <= '9' ? byte - '0' : lower - 'a' + 10;
    return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'f');
}

/* The characters above U+FFFF whose first half lies from low to high, as far as those are first halves. */
static bool takes_pairs(const struct ox_matcher *m, const struct ox_frame *f, uint32_t low, uint32_t high)
{
    low = low < 0xD800 ? 0xD800 : low;
    high = high > 0xDBFF ? 0xDBFF : high;
    return low <= high &&
           takes_range(m, f, 0x10000 + ((low - 0xD800) << 10), 0x10000 + ((high - 0xD800) << 10) + 0x3FF);
}

static void take_hex(struct ox_matcher *m, uint32_t top, uint32_t byte)
{
    const struct ox_frame f = m->frames[top];
    uint32_t digit;
    if (!hex_digit(byte, &digit)) {
        return;
    }
    const unsigned left = f.left - 1U;
    const uint32_t code = f.code << 4 | digit;
    const uint32_t low = code << (4 * left);
    const uint32_t high = low + (1U << (4 * left)) - 1;
    if (!takes_escaped(m, &f, low, high) && !takes_pairs(m, &f, low, high)) {
        return;
    }
    if (left > 0) {
        emit_phase(m, top, OX_PHASE_HEX, code, left, 0);
    } else if (code >= 0xD800 && code <= 0xDBFF) {
        emit_phase(m, top, OX_PHASE_LOW, code - 0xD800, 0, 0);
    } else {
        take_character(m, top, code);
    }
}

/* The second half: code holds the first half's ten bits above the digits so far. */
static void take_low_hex(struct ox_matcher *m, uint32_t top, uint32_t byte)
{
    const struct ox_frame f = m->frames[top];
    uint32_t digit;
    if (!hex_digit(byte, &digit)) {
        return;
    }
    const unsigned left = f.left - 1U;
    const uint32_t half = f.code >> 16;
    const uint32_t code = (f.code & 0xFFFF) << 4 | digit;
    uint32_t low = code << (4 * left);
    uint32_t high = low + (1U << (4 * left)) - 1;
    low = low < 0xDC00 ? 0xDC00 : low;
    high = high > 0xDFFF ? 0xDFFF : high;
    const uint32_t base = 0x10000 + (half << 10) - 0xDC00;
    if (low > high || !takes_range(m, &f, base + low, base + high)) {
        return;
    }
    if (left > 0) {
        emit_phase(m, top, OX_PHASE_LOW_HEX, half << 16 | code, left, 0);
    } else {
        take_character(m, top, base + code);
    }
}

/* ---- ends ---- */

/* Behind the quote that ends a string or name. */
static bool end_string(struct ox_matcher *m, uint32_t *top)
{
    const struct ox_frame f = m->frames[*top];
    const struct ox_node *node = ox_frame_node(m, &f);
    const struct ox_automaton *automaton = node->automaton != OX_NONE ? &m->grammar->automata[node->automaton] : NULL;
    if (f.kind == OX_FRAME_KEY) {
        const uint32_t end = f.state != OX_NONE ? automaton->states[f.state].accept : OX_NO_STATE;
        const uint32_t member = end != OX_NO_STATE && end < node->n_members ? end : OX_NONE;
        ox_matcher_end_name(m, f.parent, member, f.hash);
        return false;
    }
    const bool ends = automaton != NULL ? automaton->states[f.state].accept != OX_NO_STATE : f.count >= node->min;
    *top = f.parent;
    return ends;
}

static void take_body(struct ox_matcher *m, uint32_t top, uint32_t byte)
{
    if (byte < 0x80) {
        take_character(m, top, byte);
    } else {
        take_first_byte(m, top, byte);
    }
}

/* Text in markup: no quotes, no escapes. */
static bool take_raw(struct ox_matcher *m, uint32_t *top, uint32_t symbol)
{
    const struct ox_frame *f = &m->frames[*top];
    if (symbol > 0xFF) {
        return symbol == OX_SYMBOL_NAMESPACE && f->phase == OX_PHASE_BODY && end_string(m, top);
    }
    if (f->phase == OX_PHASE_UTF8) {
        take_next_byte(m, *top, symbol);
    } else {
        take_body(m, *top, symbol);
    }
    return false;
}

bool ox_matcher_string(struct ox_matcher *m, uint32_t *top, uint32_t symbol)
{
    const struct ox_frame f = m->frames[*top];
    if (f.kind == OX_FRAME_RAW) {
        return take_raw(m, top, symbol);
    }
    switch (f.phase) {
    case OX_PHASE_BODY:
        if (symbol == '"') {
            return end_string(m, top);
        }
        if (symbol == '\\') {
            if (takes_any_escape(m, &f)) {
                emit_phase(m, *top, OX_PHASE_ESCAPE, 0, 0, 0);
            }
        } else if (symbol >= 0x20 && symbol <= 0xFF) {
            take_body(m, *top, symbol);
        }
        break;
    case OX_PHASE_UTF8:
        take_next_byte(m, *top, symbol);
        break;
    case OX_PHASE_ESCAPE:
        take_escape(m, *top, symbol);
        break;
    case OX_PHASE_HEX:
        take_hex(m, *top, symbol);
        break;
    case OX_PHASE_LOW:
        if (symbol == '\\') {
            emit_phase(m, *top, OX_PHASE_LOW_U, f.code, 0, 0);
        }
        break;
    case OX_PHASE_LOW_U:
        if (symbol == 'u') {
            emit_phase(m, *top, OX_PHASE_LOW_HEX, f.code << 16, 4, 0);
        }
        break;
    default:
        take_low_hex(m, *top, symbol);
        break;
    }
    return false;
}
