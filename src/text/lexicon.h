/* SPDX-License-Identifier: Apache-2.0
 *
 * A vocabulary arranged for masks: its tokens as two trees of bytes. PLAIN tokens are what a JSON string may hold as it
 * stands (whole characters but perhaps the last, no quotes, backslashes or control characters): inside of a string they
 * depend on nothing but the string. The others are few. Read-only once it is made; any number of threads may use it.
 */
#ifndef OX_TEXT_LEXICON_H
#define OX_TEXT_LEXICON_H

#include "base/status.h"
#include "base/str.h"
#include "text/markers.h"
#include "text/tokenizer.h"

/* Longer tokens are never allowed by a mask. */
#define OX_LEXICON_TOKEN_BYTES 255

/* A node of a tree, which lies in memory in the order of a walk: children behind their parent. */
struct ox_lexicon_node {
    uint32_t end; /* index behind the nodes below */
    int32_t id;   /* the token that ends here, -1 if none; others with the same bytes: `same` */
    uint8_t byte;
    uint8_t depth; /* bytes up to here */
    bool shared;   /* more than one token ends here */
    uint8_t kinds; /* of the bytes below: ox_byte_kind of each */
};

/* Kinds of bytes in plain tokens, as bits. */
enum {
    OX_BYTES_LOWER = 1,
    OX_BYTES_UPPER = 2,
    OX_BYTES_DIGIT = 4,
    OX_BYTES_BLANK = 8,
    OX_BYTES_ASCII = 16, /* others */
    OX_BYTES_WIDE = 32,  /* above ASCII, but */
    OX_BYTES_E2 = 64,    /* the first byte of U+2000 to U+2FFF, where most of what a pattern's . \s \S tell apart is */
    OX_N_BYTE_KINDS = 7,
};

static inline uint8_t ox_byte_kind(uint8_t byte)
{
    if (byte >= 'a' && byte <= 'z') {
        return OX_BYTES_LOWER;
    }
    if (byte >= 'A' && byte <= 'Z') {
        return OX_BYTES_UPPER;
    }
    if (byte >= '0' && byte <= '9') {
        return OX_BYTES_DIGIT;
    }
    if (byte == ' ') {
        return OX_BYTES_BLANK;
    }
    if (byte < 0x80) {
        return OX_BYTES_ASCII;
    }
    return byte == 0xE2 ? OX_BYTES_E2 : OX_BYTES_WIDE;
}

struct ox_lexicon_tree {
    struct ox_lexicon_node *nodes;
    size_t n;
};

struct ox_lexicon {
    int32_t n_ids;
    size_t n_words;        /* of a mask: 64 ids each */
    struct ox_str *tokens; /* [n_ids] ptr NULL: not text */
    struct ox_buf bytes;
    int32_t *same; /* [n_ids] the next id with the same bytes, -1 if none */
    struct ox_lexicon_tree plain;
    struct ox_lexicon_tree other;
    int32_t *by_length; /* ids of plain tokens, by their number of characters */
    size_t *n_up_to;    /* [max_characters + 1] how many of them have at most so many */
    uint32_t max_characters;
    uint64_t *plain_mask; /* [n_words] */
    uint64_t *kind_masks; /* [OX_N_BYTE_KINDS][n_words] plain tokens that hold a byte of this kind */
    struct ox_markers markers;
};

/* Make a lexicon of n_ids tokens; tokens[i].ptr NULL where id i is no text (no token, or an added one). The bytes are
 * copied. markers: ids of the chat format's control tokens, or NULL. */
enum ox_status ox_lexicon_new(const struct ox_str *tokens, int32_t n_ids, const struct ox_markers *markers,
                              struct ox_lexicon **out, struct ox_error *err) OX_MUST_USE;

/* The same of a tokenizer's tokens, added ones left out, for ids below n_ids (the rows of the model's head). */
enum ox_status ox_lexicon_from_tokenizer(const struct ox_tokenizer *tokenizer, int32_t n_ids,
                                         const struct ox_markers *markers, struct ox_lexicon **out,
                                         struct ox_error *err) OX_MUST_USE;

void ox_lexicon_free(struct ox_lexicon *lexicon);

#endif
