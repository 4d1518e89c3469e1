/* SPDX-License-Identifier: Apache-2.0
 *
 * A matcher from the inside: stacks of frames that share their lower parts, in one arena. Included by matcher*.c only.
 */
#ifndef OX_TEXT_MATCHER_PARTS_H
#define OX_TEXT_MATCHER_PARTS_H

#include "text/grammar_parts.h"
#include "text/matcher.h"

enum ox_frame_kind {
    OX_FRAME_DOCUMENT, /* the bottom: VALUE, then END */
    OX_FRAME_SCALAR,
    OX_FRAME_STRING,
    OX_FRAME_KEY, /* the string that is a member's name; node: the object */
    OX_FRAME_OBJECT,
    OX_FRAME_ARRAY,
    OX_FRAME_RAW,
    OX_FRAME_ELEMENTS,
    OX_FRAME_ITEMS,
    OX_FRAME_CALLS, /* the bottom of a reply with calls; state: of the block's automaton */
    OX_FRAME_NAMES, /* no part of a stack: a name that an object has already, and in `names` the one before */
};

/* What an object, array or document waits for; what a string is in the middle of. */
enum ox_phase {
    OX_PHASE_OPEN, /* behind { or [ */
    OX_PHASE_COLON,
    OX_PHASE_VALUE,
    OX_PHASE_AFTER, /* behind a value */
    OX_PHASE_NEXT,  /* behind a comma */
    OX_PHASE_END,   /* nothing more */
    OX_PHASE_TEXT,  /* calls: text before them */
    OX_PHASE_BLOCK, /* calls */
    OX_PHASE_FREE,  /* calls: arguments that are not looked at */
    OX_PHASE_MARK,  /* markup: a namespace symbol */
    OX_PHASE_LESS,  /* markup: the < behind it */
    OX_PHASE_TAG,   /* markup: a name or / */
    OX_PHASE_NAME,  /* markup: more of the name */
    OX_PHASE_CLOSE, /* markup: the tag that closes a member or element */
    OX_PHASE_BODY,  /* strings: between characters */
    OX_PHASE_UTF8,  /* left: bytes that are missing, of `total` */
    OX_PHASE_ESCAPE,
    OX_PHASE_HEX,     /* left: digits that are missing */
    OX_PHASE_LOW,     /* behind the first half of a surrogate pair: \ */
    OX_PHASE_LOW_U,   /* u */
    OX_PHASE_LOW_HEX, /* digits */
};

/* `blank` of objects and arrays. */
enum { OX_BLANK_NONE, OX_BLANK_ONE, OX_BLANK_LINE }; /* LINE + n: n blanks behind a line end */

struct ox_frame {
    uint64_t hash;   /* KEY: of the name so far; NAMES: of the name */
    uint32_t parent; /* in frames; OX_NONE at the bottom */
    uint32_t node;
    uint32_t state; /* of the automaton, or OX_NONE in a name that no member has; OBJECT, ELEMENTS: the next member */
    uint32_t count; /* characters or elements so far; ELEMENTS, CALLS: symbols of the closing tag (ITEMS: state) */
    uint32_t code;  /* strings: the character so far; OBJECT: choice of the member's value; ELEMENTS: its number, and
                        state of the automaton before its name is complete; NAMES: state and count are a sum of all */
    uint32_t names; /* OBJECT: additional members so far, OX_NONE if none */
    uint16_t depth; /* objects and arrays around, itself included */
    uint8_t kind;
    uint8_t phase;
    uint8_t blank;
    uint8_t left;
    uint8_t total;
};

/* Tops of the stacks that are followed. */
struct ox_ways {
    uint32_t tops[OX_MATCHER_WAYS];
    size_t n;
};

/* A mask and what it is the mask of. */
struct ox_kept_mask {
    struct ox_buf key;
    uint64_t *mask;
    uint64_t used; /* when, 0: free */
};

struct ox_matcher {
    const struct ox_grammar *grammar;
    const struct ox_lexicon *lexicon;
    struct ox_frame *frames; /* 0 is none: what a failed allocation gives */
    size_t n_frames;
    size_t frames_cap;
    struct ox_ways ways;
    struct ox_ways *next; /* what a step makes */
    size_t n_live;        /* frames in use when they were last brought together */
    bool no_memory;
    struct ox_kept_mask masks[OX_MATCHER_MASKS];
    struct ox_kept_mask string_masks[OX_MATCHER_STRING_MASKS];
    uint64_t clock;
    struct ox_buf key;      /* scratch */
    struct ox_ways *levels; /* [OX_LEXICON_TOKEN_BYTES + 1] ways behind each byte of a walk */
};

/* Follow symbol from `from` to `to` (emptied first). Frames are added and stay. */
void ox_matcher_step(struct ox_matcher *m, const struct ox_ways *from, uint32_t symbol, struct ox_ways *to);

/* A copy of frame `of`, to change; returns its number. m->no_memory and 0, which may be written too, if there is no
 * room. */
uint32_t ox_matcher_copy(struct ox_matcher *m, uint32_t of);

/* One more way to go on. */
void ox_matcher_emit(struct ox_matcher *m, uint32_t top);

/* One symbol for the string, name or raw text on top. Returns false; or true where it has ended and symbol is to be
 * looked at (raw text), or its parent is the new top (others): *top is that. matcher_string.c */
bool ox_matcher_string(struct ox_matcher *m, uint32_t *top, uint32_t symbol);

/* The characters (and surrogates) that `total` bytes can stand for whose first ones, with `left` missing, give code;
 * none if *low > *high. matcher_string.c */
void ox_matcher_utf8_range(uint32_t code, unsigned left, unsigned total, uint32_t *low, uint32_t *high);

/* Add to `to` the way that has top on top. Where the value of a member or element in markup is to begin, and may be text
 * or markup and nothing else, these are the ways in which it has begun as text: bytes lead to the same from there. */
void ox_matcher_begin_text(struct ox_matcher *m, uint32_t top, struct ox_ways *to);

/* Objects and arrays: can the value of `choice` still be nested here? Which members may come, from `state` on? */
bool ox_matcher_fits(const struct ox_matcher *m, const struct ox_frame *frame, uint32_t choice);
bool ox_matcher_has_member(const struct ox_matcher *m, const struct ox_frame *frame, uint32_t member);
bool ox_matcher_has_other(const struct ox_matcher *m, const struct ox_frame *frame);

/* May a member come whose name begins as `state` of the automaton of names says? */
bool ox_matcher_name_goes_on(const struct ox_matcher *m, const struct ox_frame *frame, uint32_t state);

/* The frame of an object behind a name: a declared member, or OX_NONE and the hash of another name. */
void ox_matcher_end_name(struct ox_matcher *m, uint32_t object, uint32_t member, uint64_t hash);

/* A number that stands for all names of a list. */
static inline uint64_t ox_names_sum(const struct ox_matcher *m, uint32_t names)
{
    return names != OX_NONE ? (uint64_t)m->frames[names].state << 32 | m->frames[names].count : 0;
}

/* The symbol of a token that is a marker, or OX_NONE. */
static inline uint32_t ox_lexicon_marker(const struct ox_lexicon *lexicon, int32_t id)
{
    const int32_t ids[] = {lexicon->markers.name_space, lexicon->markers.tool_call_begin,
                           lexicon->markers.tool_call_end};
    for (uint32_t i = 0; id >= 0 && i < 3; i++) {
        if (id == ids[i]) {
            return OX_SYMBOL_NAMESPACE + i;
        }
    }
    return OX_NONE;
}

static inline const struct ox_node *ox_frame_node(const struct ox_matcher *m, const struct ox_frame *frame)
{
    return &m->grammar->nodes[frame->node];
}

#endif
