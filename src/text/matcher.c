/* SPDX-License-Identifier: Apache-2.0
 *
 * The automaton with a stack: one symbol at a time, every way at once. A frame is never changed once it is made, so
 * ways share what they have in common, and a walk over the vocabulary goes back by forgetting frames.
 */
#include "base/mem.h"
#include "text/matcher_parts.h"

/* Frames that may lie around before those in use are brought together. */
#define FRAMES_KEPT 4096

uint32_t ox_matcher_copy(struct ox_matcher *m, uint32_t of)
{
    void *frames = m->frames;
    if (m->n_frames >= OX_NONE - 1 || ox_grow(&frames, &m->frames_cap, m->n_frames + 1, sizeof *m->frames) != 0) {
        m->no_memory = true;
        return 0;
    }
    m->frames = frames;
    m->frames[m->n_frames] = m->frames[of];
    return (uint32_t)m->n_frames++;
}

static bool same_frame(const struct ox_matcher *m, const struct ox_frame *a, const struct ox_frame *b)
{
    return a->hash == b->hash && ox_names_sum(m, a->names) == ox_names_sum(m, b->names) && a->node == b->node &&
           a->state == b->state && a->count == b->count && a->code == b->code && a->depth == b->depth &&
           a->kind == b->kind && a->phase == b->phase && a->blank == b->blank && a->left == b->left &&
           a->total == b->total;
}

/* Are two stacks equal? */
static bool same_stack(const struct ox_matcher *m, uint32_t a, uint32_t b)
{
    while (a != b) {
        if (a == OX_NONE || b == OX_NONE || !same_frame(m, &m->frames[a], &m->frames[b])) {
            return false;
        }
        a = m->frames[a].parent;
        b = m->frames[b].parent;
    }
    return true;
}

void ox_matcher_emit(struct ox_matcher *m, uint32_t top)
{
    if (m->no_memory || m->next->n == OX_MATCHER_WAYS) {
        return;
    }
    for (size_t i = 0; i < m->next->n; i++) {
        if (same_stack(m, m->next->tops[i], top)) {
            return;
        }
    }
    m->next->tops[m->next->n++] = top;
}

/* A new frame on top of parent. */
static uint32_t push(struct ox_matcher *m, uint32_t parent, enum ox_frame_kind kind, uint32_t node, enum ox_phase phase)
{
    const uint32_t made = ox_matcher_copy(m, parent);
    const uint16_t depth = m->frames[parent].depth;
    const bool nests =
        kind == OX_FRAME_OBJECT || kind == OX_FRAME_ARRAY || kind == OX_FRAME_ELEMENTS || kind == OX_FRAME_ITEMS;
    if (!m->no_memory) {
        m->frames[made] = (struct ox_frame){
            .parent = parent,
            .node = node,
            .names = OX_NONE,
            .kind = (uint8_t)kind,
            .phase = (uint8_t)phase,
            .depth = (uint16_t)(depth + (nests ? 1 : 0)),
        };
    }
    return made;
}

/* A copy of `of` in another phase. */
static uint32_t turn(struct ox_matcher *m, uint32_t of, enum ox_phase phase)
{
    const uint32_t made = ox_matcher_copy(m, of);
    m->frames[made].phase = (uint8_t)phase;
    m->frames[made].blank = OX_BLANK_NONE;
    return made;
}

/* ---- values ---- */

bool ox_matcher_fits(const struct ox_matcher *m, const struct ox_frame *frame, uint32_t choice)
{
    const uint32_t height = m->grammar->choices[choice].height;
    return height != OX_NONE && frame->depth + height <= OX_GRAMMAR_DEPTH;
}

static bool feed(struct ox_matcher *m, uint32_t *top, uint32_t symbol);

/* Symbol for the frame `top` and, as long as that ends before it, for those below. */
static void feed_down(struct ox_matcher *m, uint32_t top, uint32_t symbol)
{
    while (!m->no_memory && feed(m, &top, symbol)) {
    }
}

/* Begin a value of one node with symbol, on top of parent. */
static void begin_node(struct ox_matcher *m, uint32_t parent, uint32_t number, uint32_t symbol)
{
    const struct ox_node *node = &m->grammar->nodes[number];
    switch (node->kind) {
    case OX_NODE_SCALAR:
        if (ox_automaton_takes(&m->grammar->automata[node->automaton], 0, symbol, symbol)) {
            feed_down(m, push(m, parent, OX_FRAME_SCALAR, number, OX_PHASE_VALUE), symbol);
        }
        break;
    case OX_NODE_RAW:
        feed_down(m, push(m, parent, OX_FRAME_RAW, number, OX_PHASE_BODY), symbol);
        break;
    case OX_NODE_STRING:
        if (symbol == '"') {
            ox_matcher_emit(m, push(m, parent, OX_FRAME_STRING, number, OX_PHASE_BODY));
        }
        break;
    case OX_NODE_OBJECT:
        if (symbol == '{') {
            ox_matcher_emit(m, push(m, parent, OX_FRAME_OBJECT, number, OX_PHASE_OPEN));
        }
        break;
    case OX_NODE_ARRAY:
        if (symbol == '[') {
            ox_matcher_emit(m, push(m, parent, OX_FRAME_ARRAY, number, OX_PHASE_OPEN));
        }
        break;
    case OX_NODE_ELEMENTS:
    case OX_NODE_ITEMS:
        if (symbol == OX_SYMBOL_NAMESPACE) {
            const bool items = node->kind == OX_NODE_ITEMS;
            ox_matcher_emit(m, push(m, parent, items ? OX_FRAME_ITEMS : OX_FRAME_ELEMENTS, number, OX_PHASE_LESS));
        }
        break;
    }
}

/* Begin a value of choice with symbol; `behind` is the frame that waits for it. */
static void begin_value(struct ox_matcher *m, uint32_t behind, uint32_t choice, uint32_t symbol)
{
    const struct ox_choice *c = &m->grammar->choices[choice];
    const uint32_t room = OX_GRAMMAR_DEPTH - m->frames[behind].depth;
    for (uint32_t i = 0; i < c->n_nodes && !m->no_memory; i++) {
        const uint32_t node = m->grammar->alternatives[c->first_node + i];
        if (m->grammar->nodes[node].height <= room) {
            begin_node(m, behind, node, symbol);
        }
    }
}

/* White space where there may be some; true if symbol was white space, accepted or not. */
static bool take_blank(struct ox_matcher *m, uint32_t top, uint32_t symbol)
{
    const uint8_t blank = m->frames[top].blank;
    uint8_t next = OX_BLANK_NONE;
    if (symbol != ' ' && symbol != '\t' && symbol != '\n') {
        return false;
    }
    if (symbol == '\n') {
        next = blank == OX_BLANK_NONE ? OX_BLANK_LINE : OX_BLANK_NONE;
    } else if (blank == OX_BLANK_NONE) {
        next = OX_BLANK_ONE;
    } else if (blank >= OX_BLANK_LINE && blank < OX_BLANK_LINE + OX_GRAMMAR_INDENT) {
        next = (uint8_t)(blank + 1);
    }
    if (next != OX_BLANK_NONE) {
        const uint32_t made = ox_matcher_copy(m, top);
        m->frames[made].blank = next;
        ox_matcher_emit(m, made);
    }
    return true;
}

/* ---- objects ---- */

bool ox_matcher_has_member(const struct ox_matcher *m, const struct ox_frame *frame, uint32_t member)
{
    const struct ox_node *node = ox_frame_node(m, frame);
    const struct ox_member *members = &m->grammar->members[node->first_member];
    return member >= frame->state && member <= members[frame->state].next_required && member < node->n_members &&
           ox_matcher_fits(m, frame, members[member].choice);
}

/* Are all required members there? */
static bool has_required(const struct ox_matcher *m, const struct ox_frame *frame)
{
    const struct ox_node *node = ox_frame_node(m, frame);
    return m->grammar->members[node->first_member + frame->state].next_required == node->n_members;
}

bool ox_matcher_has_other(const struct ox_matcher *m, const struct ox_frame *frame)
{
    const struct ox_node *node = ox_frame_node(m, frame);
    return node->other != OX_NONE && has_required(m, frame) && ox_matcher_fits(m, frame, node->other);
}

bool ox_matcher_name_goes_on(const struct ox_matcher *m, const struct ox_frame *frame, uint32_t state)
{
    const struct ox_below *below = &m->grammar->below[ox_frame_node(m, frame)->below + state];
    const uint32_t *members = &m->grammar->below_members[below->first];
    uint32_t low = 0;
    uint32_t high = below->n;
    while (low < high) { /* the first that is not before frame->state */
        const uint32_t middle = low + (high - low) / 2;
        if (members[middle] < frame->state) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct ox_node *node = ox_frame_node(m, frame);
    const uint32_t last = m->grammar->members[node->first_member + frame->state].next_required;
    for (; low < below->n && members[low] <= last; low++) {
        if (ox_matcher_has_member(m, frame, members[low])) {
            return true;
        }
    }
    return false;
}

/* May another member come? */
static bool has_any_member(const struct ox_matcher *m, const struct ox_frame *frame)
{
    const struct ox_node *node = ox_frame_node(m, frame);
    return ox_matcher_has_other(m, frame) ||
           (m->grammar->automata[node->automaton].n_states > 0 && ox_matcher_name_goes_on(m, frame, 0));
}

void ox_matcher_end_name(struct ox_matcher *m, uint32_t object, uint32_t member, uint64_t hash)
{
    const struct ox_frame f = m->frames[object];
    const struct ox_node *node = ox_frame_node(m, &f);
    uint32_t names = f.names;
    if (member != OX_NONE ? !ox_matcher_has_member(m, &f, member) : !ox_matcher_has_other(m, &f)) {
        return;
    }
    if (member == OX_NONE) {
        for (uint32_t i = names; i != OX_NONE; i = m->frames[i].names) {
            if (m->frames[i].hash == hash) {
                return;
            }
        }
        const uint64_t sum = ox_names_sum(m, f.names) * 0x100000001B3U + hash;
        names = push(m, object, OX_FRAME_NAMES, f.node, OX_PHASE_END);
        m->frames[names].hash = hash;
        m->frames[names].state = (uint32_t)(sum >> 32);
        m->frames[names].count = (uint32_t)sum;
        m->frames[names].names = f.names;
        m->frames[names].parent = OX_NONE;
    }
    const uint32_t made = turn(m, object, OX_PHASE_COLON);
    m->frames[made].names = names;
    m->frames[made].state = member != OX_NONE ? member + 1 : node->n_members;
    m->frames[made].code = member != OX_NONE ? m->grammar->members[node->first_member + member].choice : node->other;
    ox_matcher_emit(m, made);
}

/* A name, or the end of the object, where either may come. */
static bool take_member(struct ox_matcher *m, uint32_t *top, uint32_t symbol, bool may_end)
{
    const struct ox_frame f = m->frames[*top];
    if (symbol == '"' && has_any_member(m, &f)) {
        const uint32_t object = f.blank == OX_BLANK_NONE ? *top : turn(m, *top, (enum ox_phase)f.phase);
        const uint32_t made = push(m, object, OX_FRAME_KEY, f.node, OX_PHASE_BODY);
        if (m->grammar->automata[ox_frame_node(m, &f)->automaton].n_states == 0) {
            m->frames[made].state = OX_NONE;
        }
        ox_matcher_emit(m, made);
    } else if (symbol == '}' && may_end && has_required(m, &f)) {
        ox_matcher_emit(m, f.parent);
    }
    return false;
}

static bool feed_object(struct ox_matcher *m, uint32_t *top, uint32_t symbol)
{
    const struct ox_frame f = m->frames[*top];
    switch (f.phase) {
    case OX_PHASE_OPEN:
    case OX_PHASE_NEXT:
        return take_blank(m, *top, symbol) ? false : take_member(m, top, symbol, f.phase == OX_PHASE_OPEN);
    case OX_PHASE_COLON:
        if (symbol == ':') {
            ox_matcher_emit(m, turn(m, *top, OX_PHASE_VALUE));
        }
        return false;
    case OX_PHASE_VALUE:
        if (!take_blank(m, *top, symbol)) {
            begin_value(m, turn(m, *top, OX_PHASE_AFTER), f.code, symbol);
        }
        return false;
    default:
        if (symbol == '}' && has_required(m, &f)) {
            ox_matcher_emit(m, f.parent);
        } else if (symbol == ',' && f.blank == OX_BLANK_NONE && has_any_member(m, &f)) {
            ox_matcher_emit(m, turn(m, *top, OX_PHASE_NEXT));
        } else if (has_required(m, &f)) {
            take_blank(m, *top, symbol);
        }
        return false;
    }
}

/* ---- arrays ---- */

/* The choice of the next element, or OX_NONE if there can be none. */
static uint32_t next_element(const struct ox_matcher *m, const struct ox_frame *frame)
{
    const struct ox_node *node = ox_frame_node(m, frame);
    uint32_t choice = node->other;
    if (frame->count < node->n_members) {
        choice = m->grammar->members[node->first_member + frame->count].choice;
    }
    return frame->count < node->max && choice != OX_NONE && ox_matcher_fits(m, frame, choice) ? choice : OX_NONE;
}

/* The frame behind the next element. */
static uint32_t count_element(struct ox_matcher *m, uint32_t top, enum ox_phase phase)
{
    const struct ox_node *node = ox_frame_node(m, &m->frames[top]);
    const uint32_t made = turn(m, top, phase);
    const uint32_t most = node->min > node->n_members ? node->min : node->n_members;
    if (node->max != OX_NONE || m->frames[made].count < most) {
        m->frames[made].count++; /* else nothing depends on it */
    }
    return made;
}

static bool feed_array(struct ox_matcher *m, uint32_t *top, uint32_t symbol)
{
    const struct ox_frame f = m->frames[*top];
    const bool may_end = f.count >= ox_frame_node(m, &f)->min;
    const uint32_t element = next_element(m, &f);
    if (f.phase == OX_PHASE_AFTER) {
        if (symbol == ']' && may_end) {
            ox_matcher_emit(m, f.parent);
        } else if (symbol == ',' && f.blank == OX_BLANK_NONE && element != OX_NONE) {
            ox_matcher_emit(m, turn(m, *top, OX_PHASE_NEXT));
        } else if (may_end) {
            take_blank(m, *top, symbol);
        }
        return false;
    }
    if (take_blank(m, *top, symbol)) {
        return false;
    }
    if (symbol == ']' && f.phase == OX_PHASE_OPEN && may_end) {
        ox_matcher_emit(m, f.parent);
    } else if (element != OX_NONE) {
        begin_value(m, count_element(m, *top, OX_PHASE_AFTER), element, symbol);
    }
    return false;
}

/* ---- markup ---- */

/* How much of a closing tag is there, of a frame of elements or items. */
static uint32_t *progress_of(struct ox_frame *frame)
{
    return frame->kind == OX_FRAME_ITEMS ? &frame->state : &frame->count;
}

/* The name that the tags of the current member or element carry. */
static struct ox_str tag_name(const struct ox_matcher *m, const struct ox_frame *frame)
{
    if (frame->kind == OX_FRAME_ITEMS) {
        return ox_str_c("item");
    }
    const struct ox_node *node = ox_frame_node(m, frame);
    return ox_member_name(m->grammar, &m->grammar->members[node->first_member + frame->code]);
}

/* The closing tag: namespace symbol, </NAME> */
static void feed_close(struct ox_matcher *m, uint32_t top, uint32_t symbol)
{
    static const uint32_t begin[] = {OX_SYMBOL_NAMESPACE, '<', '/'};
    struct ox_frame f = m->frames[top];
    const struct ox_str name = tag_name(m, &f);
    const uint32_t at = *progress_of(&f);
    uint32_t wanted = '>';
    if (at < 3) {
        wanted = begin[at];
    } else if (at - 3 < name.len) {
        wanted = (unsigned char)name.ptr[at - 3];
    }
    if (symbol != wanted) {
        return;
    }
    const bool ends = at == name.len + 3;
    const uint32_t made = turn(m, top, ends ? OX_PHASE_MARK : OX_PHASE_CLOSE);
    *progress_of(&m->frames[made]) = ends ? 0 : at + 1;
    if (ends && f.kind == OX_FRAME_ELEMENTS) {
        m->frames[made].code = 0;
    }
    ox_matcher_emit(m, made);
}

/* Behind the namespace symbol, < and / where only the end of this frame can stand: what is below goes on from there. */
static void end_markup(struct ox_matcher *m, uint32_t top)
{
    const uint32_t made = ox_matcher_copy(m, m->frames[top].parent);
    if (m->frames[made].kind == OX_FRAME_CALLS) {
        m->frames[made].state = m->grammar->after;
    } else {
        *progress_of(&m->frames[made]) = 3;
    }
    ox_matcher_emit(m, made);
}

/* More of a member's name. */
static void feed_name(struct ox_matcher *m, uint32_t top, uint32_t symbol)
{
    const struct ox_frame f = m->frames[top];
    const struct ox_node *node = ox_frame_node(m, &f);
    const struct ox_automaton *names = &m->grammar->automata[node->automaton];
    const uint32_t state = names->n_states > 0 ? ox_automaton_step(names, f.code, symbol) : OX_NO_STATE;
    if (state == OX_NO_STATE || !ox_matcher_name_goes_on(m, &f, state)) {
        return;
    }
    const uint32_t member = names->states[state].accept;
    const uint32_t made = turn(m, top, member != OX_NO_STATE ? OX_PHASE_VALUE : OX_PHASE_NAME);
    m->frames[made].code = state;
    if (member != OX_NO_STATE) {
        m->frames[made].code = member;
        m->frames[made].state = member + 1;
    }
    ox_matcher_emit(m, made);
}

static bool feed_elements(struct ox_matcher *m, uint32_t top, uint32_t symbol)
{
    const struct ox_frame f = m->frames[top];
    const struct ox_node *node = ox_frame_node(m, &f);
    switch (f.phase) {
    case OX_PHASE_MARK:
        if (symbol == OX_SYMBOL_NAMESPACE) {
            ox_matcher_emit(m, turn(m, top, OX_PHASE_LESS));
        }
        break;
    case OX_PHASE_LESS:
        if (symbol == '<') {
            ox_matcher_emit(m, turn(m, top, OX_PHASE_TAG));
        }
        break;
    case OX_PHASE_TAG:
        if (symbol == '/') {
            if (has_required(m, &f) && (node->min == 0 || f.state > 0)) {
                end_markup(m, top);
            }
            break;
        }
        feed_name(m, top, symbol);
        break;
    case OX_PHASE_NAME:
        feed_name(m, top, symbol);
        break;
    case OX_PHASE_VALUE:
        begin_value(m, turn(m, top, OX_PHASE_CLOSE), m->grammar->members[node->first_member + f.code].choice, symbol);
        break;
    default:
        feed_close(m, top, symbol);
        break;
    }
    return false;
}

static bool feed_items(struct ox_matcher *m, uint32_t top, uint32_t symbol)
{
    static const char name[] = "item>";
    const struct ox_frame f = m->frames[top];
    switch (f.phase) {
    case OX_PHASE_MARK:
        if (symbol == OX_SYMBOL_NAMESPACE) {
            ox_matcher_emit(m, turn(m, top, OX_PHASE_LESS));
        }
        break;
    case OX_PHASE_LESS:
        if (symbol == '<') {
            ox_matcher_emit(m, turn(m, top, OX_PHASE_TAG));
        }
        break;
    case OX_PHASE_TAG:
        if (symbol == '/' && f.count >= ox_frame_node(m, &f)->min) {
            end_markup(m, top);
        } else if (symbol == 'i' && next_element(m, &f) != OX_NONE) {
            const uint32_t made = turn(m, top, OX_PHASE_NAME);
            m->frames[made].state = 1;
            ox_matcher_emit(m, made);
        }
        break;
    case OX_PHASE_NAME:
        if (symbol == (unsigned char)name[f.state]) {
            const bool ends = f.state + 2 == sizeof name;
            const uint32_t made = turn(m, top, ends ? OX_PHASE_VALUE : OX_PHASE_NAME);
            m->frames[made].state = ends ? 0 : f.state + 1;
            ox_matcher_emit(m, made);
        }
        break;
    case OX_PHASE_VALUE:
        begin_value(m, count_element(m, top, OX_PHASE_CLOSE), next_element(m, &f), symbol);
        break;
    default:
        feed_close(m, top, symbol);
        break;
    }
    return false;
}

/* The choice of the value that is to begin in markup; OX_NONE where none is. */
static uint32_t markup_choice(const struct ox_matcher *m, const struct ox_frame *f)
{
    if (f->phase != OX_PHASE_VALUE || (f->kind != OX_FRAME_ELEMENTS && f->kind != OX_FRAME_ITEMS)) {
        return OX_NONE;
    }
    return f->kind == OX_FRAME_ITEMS ? next_element(m, f)
                                     : m->grammar->members[ox_frame_node(m, f)->first_member + f->code].choice;
}

void ox_matcher_begin_text(struct ox_matcher *m, uint32_t top, struct ox_ways *to)
{
    const struct ox_frame f = m->frames[top];
    const uint32_t choice = markup_choice(m, &f);
    const uint32_t n_nodes = choice != OX_NONE ? m->grammar->choices[choice].n_nodes : 0;
    const uint32_t *nodes = n_nodes > 0 ? &m->grammar->alternatives[m->grammar->choices[choice].first_node] : NULL;
    uint32_t n_texts = 0;
    uint32_t n_markup = 0;
    for (uint32_t i = 0; i < n_nodes; i++) {
        const enum ox_node_kind kind = m->grammar->nodes[nodes[i]].kind;
        n_texts += kind == OX_NODE_RAW ? 1 : 0;
        n_markup += kind == OX_NODE_ELEMENTS || kind == OX_NODE_ITEMS ? 1 : 0;
    }
    m->next = to;
    if (n_texts == 0 || n_texts + n_markup < n_nodes || to->n + n_texts > OX_MATCHER_WAYS) {
        ox_matcher_emit(m, top);
        return;
    }
    const uint32_t behind =
        f.kind == OX_FRAME_ITEMS ? count_element(m, top, OX_PHASE_CLOSE) : turn(m, top, OX_PHASE_CLOSE);
    for (uint32_t i = 0; i < n_nodes; i++) {
        if (m->grammar->nodes[nodes[i]].kind == OX_NODE_RAW) {
            ox_matcher_emit(m, push(m, behind, OX_FRAME_RAW, nodes[i], OX_PHASE_BODY));
        }
    }
}

/* The arguments of the tool whose name is complete. */
static void begin_call(struct ox_matcher *m, uint32_t calls, uint32_t tool)
{
    if (m->grammar->tools[tool] == OX_NONE) {
        ox_matcher_emit(m, turn(m, calls, OX_PHASE_FREE));
        return;
    }
    const struct ox_choice *c = &m->grammar->choices[m->grammar->tools[tool]];
    const uint32_t room = OX_GRAMMAR_DEPTH - m->frames[calls].depth;
    for (uint32_t i = 0; i < c->n_nodes && !m->no_memory; i++) {
        const uint32_t node = m->grammar->alternatives[c->first_node + i];
        if (m->grammar->nodes[node].height <= room) {
            ox_matcher_emit(m, push(m, calls, OX_FRAME_ELEMENTS, node, OX_PHASE_MARK));
        }
    }
}

/* Arguments of any kind: only the tag that ends the call is looked for. */
static void feed_free(struct ox_matcher *m, uint32_t top, uint32_t symbol)
{
    static const char end[] = "</invoke>";
    const uint32_t at = m->frames[top].count; /* 1 behind the namespace symbol, and so on; else 0 */
    if (symbol > 0xFF && symbol != OX_SYMBOL_NAMESPACE) {
        return;
    }
    const uint32_t made = ox_matcher_copy(m, top);
    m->frames[made].count = symbol == OX_SYMBOL_NAMESPACE ? 1 : 0;
    if (at > 0 && symbol == (unsigned char)end[at - 1]) {
        m->frames[made].count = at + 1;
    }
    if (m->frames[made].count == sizeof end) {
        const struct ox_automaton *block = &m->grammar->automata[m->grammar->block];
        m->frames[made].count = 0;
        m->frames[made].phase = OX_PHASE_BLOCK;
        m->frames[made].state = m->grammar->after;
        for (size_t i = 2; end[i] != '\0'; i++) {
            m->frames[made].state = ox_automaton_step(block, m->frames[made].state, (unsigned char)end[i]);
        }
    }
    ox_matcher_emit(m, made);
}

static bool feed_calls(struct ox_matcher *m, uint32_t top, uint32_t symbol)
{
    const struct ox_frame f = m->frames[top];
    if (f.phase == OX_PHASE_TEXT && symbol <= 0xFF) {
        ox_matcher_emit(m, top);
        return false;
    }
    if (f.phase == OX_PHASE_FREE) {
        feed_free(m, top, symbol);
        return false;
    }
    if (f.phase == OX_PHASE_END) {
        return false;
    }
    const struct ox_automaton *block = &m->grammar->automata[m->grammar->block];
    const uint32_t state = ox_automaton_step(block, f.state, symbol);
    if (state == OX_NO_STATE) {
        return false;
    }
    const uint32_t tool = block->states[state].accept;
    const uint32_t made = turn(m, top, tool == m->grammar->n_tools ? OX_PHASE_END : OX_PHASE_BLOCK);
    m->frames[made].state = state;
    if (tool < m->grammar->n_tools) {
        begin_call(m, made, tool);
    } else {
        ox_matcher_emit(m, made);
    }
    return false;
}

/* ---- steps ---- */

static bool feed_scalar(struct ox_matcher *m, uint32_t *top, uint32_t symbol)
{
    const struct ox_frame f = m->frames[*top];
    const struct ox_automaton *automaton = &m->grammar->automata[ox_frame_node(m, &f)->automaton];
    const uint32_t state = ox_automaton_step(automaton, f.state, symbol);
    if (state != OX_NO_STATE) {
        const uint32_t made = ox_matcher_copy(m, *top);
        m->frames[made].state = state;
        ox_matcher_emit(m, made);
        return false;
    }
    *top = f.parent;
    return automaton->states[f.state].accept != OX_NO_STATE;
}

/* One symbol for the frame *top. True: that frame ends before the symbol, which is for the frame that *top is now. */
static bool feed(struct ox_matcher *m, uint32_t *top, uint32_t symbol)
{
    const struct ox_frame *f = &m->frames[*top];
    bool raw;
    switch ((enum ox_frame_kind)f->kind) {
    case OX_FRAME_SCALAR:
        return feed_scalar(m, top, symbol);
    case OX_FRAME_STRING:
    case OX_FRAME_KEY:
    case OX_FRAME_RAW:
        raw = f->kind == OX_FRAME_RAW;
        if (ox_matcher_string(m, top, symbol)) {
            if (raw) {
                return true;
            }
            ox_matcher_emit(m, *top);
        }
        return false;
    case OX_FRAME_OBJECT:
        return feed_object(m, top, symbol);
    case OX_FRAME_ARRAY:
        return feed_array(m, top, symbol);
    case OX_FRAME_ELEMENTS:
        return feed_elements(m, *top, symbol);
    case OX_FRAME_ITEMS:
        return feed_items(m, *top, symbol);
    case OX_FRAME_CALLS:
        return feed_calls(m, *top, symbol);
    case OX_FRAME_DOCUMENT:
        if (f->phase == OX_PHASE_VALUE) {
            begin_value(m, turn(m, *top, OX_PHASE_END), m->grammar->start, symbol);
        }
        return false;
    case OX_FRAME_NAMES:
    default:
        return false;
    }
}

void ox_matcher_step(struct ox_matcher *m, const struct ox_ways *from, uint32_t symbol, struct ox_ways *to)
{
    to->n = 0;
    m->next = to;
    for (size_t i = 0; i < from->n; i++) {
        feed_down(m, from->tops[i], symbol);
    }
}

/* ---- the reply ---- */

/* One more way to begin, with a frame at the bottom. */
static void begin_way(struct ox_matcher *m, enum ox_frame_kind kind, enum ox_phase phase, size_t depth)
{
    m->frames[m->n_frames] = (struct ox_frame){
        .parent = OX_NONE,
        .names = OX_NONE,
        .kind = (uint8_t)kind,
        .phase = (uint8_t)phase,
        .depth = (uint16_t)depth,
    };
    m->ways.tops[m->ways.n++] = (uint32_t)m->n_frames++;
}

void ox_matcher_reset(struct ox_matcher *m)
{
    m->n_frames = 1;
    m->n_live = 0;
    m->no_memory = false;
    m->ways.n = 0;
    if (m->grammar->start != OX_NONE) {
        begin_way(m, OX_FRAME_DOCUMENT, OX_PHASE_VALUE, 0);
    }
    if (m->grammar->block != OX_NONE) {
        begin_way(m, OX_FRAME_CALLS, m->grammar->text_first ? OX_PHASE_TEXT : OX_PHASE_BLOCK,
                  OX_GRAMMAR_DEPTH - OX_GRAMMAR_CALL_DEPTH);
    }
}

enum ox_status ox_matcher_new(const struct ox_grammar *grammar, const struct ox_lexicon *lexicon,
                              struct ox_matcher **out, struct ox_error *err)
{
    struct ox_matcher *m = ox_calloc(1, sizeof *m);
    if (m == NULL) {
        return ox_error_nomem(err, sizeof *m);
    }
    m->grammar = grammar;
    m->lexicon = lexicon;
    m->frames = ox_calloc(FRAMES_KEPT, sizeof *m->frames);
    m->levels = ox_calloc(OX_LEXICON_TOKEN_BYTES + 1, sizeof *m->levels);
    if (m->frames == NULL || m->levels == NULL) {
        ox_matcher_free(m);
        return ox_error_nomem(err, FRAMES_KEPT * sizeof *m->frames);
    }
    m->frames_cap = FRAMES_KEPT;
    ox_matcher_reset(m);
    *out = m;
    return OX_OK;
}

static void free_masks(struct ox_kept_mask *masks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ox_buf_fini(&masks[i].key);
        ox_free(masks[i].mask);
    }
}

void ox_matcher_free(struct ox_matcher *m)
{
    if (m == NULL) {
        return;
    }
    free_masks(m->masks, OX_MATCHER_MASKS);
    free_masks(m->string_masks, OX_MATCHER_STRING_MASKS);
    ox_buf_fini(&m->key);
    ox_free(m->frames);
    ox_free(m->levels);
    ox_free(m);
}

/* Bring the frames in use together. What a frame refers to was made before it, so one pass down and one up do. */
static enum ox_status compact(struct ox_matcher *m, struct ox_error *err)
{
    uint32_t *moved = ox_calloc(m->n_frames, sizeof *moved);
    if (moved == NULL) {
        return ox_error_nomem(err, m->n_frames * sizeof *moved);
    }
    for (size_t i = 0; i < m->ways.n; i++) {
        moved[m->ways.tops[i]] = 1;
    }
    for (size_t i = m->n_frames; i > 1; i--) {
        const struct ox_frame *f = &m->frames[i - 1];
        if (moved[i - 1] != 0 && f->parent != OX_NONE) {
            moved[f->parent] = 1;
        }
        if (moved[i - 1] != 0 && f->names != OX_NONE) {
            moved[f->names] = 1;
        }
    }
    size_t n = 1;
    for (size_t i = 1; i < m->n_frames; i++) {
        if (moved[i] != 0) {
            struct ox_frame f = m->frames[i];
            f.parent = f.parent != OX_NONE ? moved[f.parent] : OX_NONE;
            f.names = f.names != OX_NONE ? moved[f.names] : OX_NONE;
            moved[i] = (uint32_t)n;
            m->frames[n++] = f;
        }
    }
    for (size_t i = 0; i < m->ways.n; i++) {
        m->ways.tops[i] = moved[m->ways.tops[i]];
    }
    m->n_frames = n;
    m->n_live = n;
    ox_free(moved);
    return OX_OK;
}

static enum ox_status not_accepted(struct ox_error *err)
{
    return ox_error_set(err, OX_E_STATE, "the grammar does not accept this here");
}

/* Take n symbols, of bytes or of one marker. */
static enum ox_status take(struct ox_matcher *m, struct ox_str bytes, uint32_t marker, struct ox_error *err)
{
    struct ox_ways ways[2];
    const size_t n = bytes.ptr != NULL ? bytes.len : 1;
    const size_t n_frames = m->n_frames;
    ways[0] = m->ways;
    for (size_t i = 0; i < n; i++) {
        const uint32_t symbol = bytes.ptr != NULL ? (unsigned char)bytes.ptr[i] : marker;
        ox_matcher_step(m, &ways[i % 2], symbol, &ways[(i + 1) % 2]);
        if (m->no_memory || ways[(i + 1) % 2].n == 0) {
            const bool no_memory = m->no_memory;
            m->n_frames = n_frames;
            m->no_memory = false;
            return no_memory ? ox_error_nomem(err, m->frames_cap * sizeof *m->frames) : not_accepted(err);
        }
    }
    m->ways = ways[n % 2];
    return m->n_frames > 2 * m->n_live + FRAMES_KEPT / 2 ? compact(m, err) : OX_OK;
}

enum ox_status ox_matcher_bytes(struct ox_matcher *m, struct ox_str bytes, struct ox_error *err)
{
    return take(m, ox_str_make(bytes.ptr != NULL ? bytes.ptr : "", bytes.len), 0, err);
}

enum ox_status ox_matcher_token(struct ox_matcher *m, int32_t id, struct ox_error *err)
{
    const struct ox_lexicon *lexicon = m->lexicon;
    const uint32_t marker = ox_lexicon_marker(lexicon, id);
    if (marker != OX_NONE) {
        return take(m, ox_str_make(NULL, 0), marker, err);
    }
    if (id < 0 || id >= lexicon->n_ids || lexicon->tokens[id].ptr == NULL || lexicon->tokens[id].len == 0 ||
        lexicon->tokens[id].len > OX_LEXICON_TOKEN_BYTES) {
        return not_accepted(err);
    }
    return take(m, lexicon->tokens[id], 0, err);
}

/* Can the reply end with this frame on top? */
static bool may_end(const struct ox_matcher *m, uint32_t top)
{
    const struct ox_frame *f = &m->frames[top];
    if (f->kind == OX_FRAME_SCALAR) {
        const struct ox_automaton *automaton = &m->grammar->automata[ox_frame_node(m, f)->automaton];
        return automaton->states[f->state].accept != OX_NO_STATE && may_end(m, f->parent);
    }
    return (f->kind == OX_FRAME_DOCUMENT && f->phase == OX_PHASE_END) ||
           (f->kind == OX_FRAME_CALLS && (f->phase == OX_PHASE_END || f->phase == OX_PHASE_TEXT));
}

bool ox_matcher_is_complete(const struct ox_matcher *m)
{
    for (size_t i = 0; i < m->ways.n; i++) {
        if (may_end(m, m->ways.tops[i])) {
            return true;
        }
    }
    return false;
}
