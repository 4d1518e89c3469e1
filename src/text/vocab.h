/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokens by id, and the ids by text: the bytes of every token in one piece of memory, and a hash over the base
 * tokens. Read-only once it is filled.
 */
#ifndef OX_TEXT_VOCAB_H
#define OX_TEXT_VOCAB_H

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

/* Ids are below this. */
#define OX_VOCAB_IDS_MAX ((int32_t)1 << 24)

enum ox_vocab_flags {
    OX_VOCAB_TAKEN = 1,   /* a token has this id */
    OX_VOCAB_ADDED = 2,   /* it is an added token */
    OX_VOCAB_SPECIAL = 4, /* and marked special */
    OX_VOCAB_BASE = 8,    /* it is in the hash: text can be cut into it */
};

struct ox_vocab_token {
    size_t begin; /* of its bytes */
    uint32_t len;
    uint32_t flags;
};

/* One row of the hash; free if id is -1. The tag is a part of the hash: few other tokens' bytes are looked at. */
struct ox_vocab_row {
    int32_t id;
    uint32_t tag;
};

/* All zero is empty and can be released. */
struct ox_vocab {
    struct ox_vocab_token *tokens; /* n_ids of them */
    int32_t n_ids;
    struct ox_buf bytes;
    struct ox_vocab_row *rows; /* of base tokens: a power of two, mask + 1, at most half of them taken */
    size_t mask;
};

/* Make room for ids below n_ids, of which n_tokens are base tokens. OX_E_NOMEM, and vocab is still empty. */
enum ox_status ox_vocab_init(struct ox_vocab *vocab, int32_t n_ids, size_t n_tokens, struct ox_error *err) OX_MUST_USE;
void ox_vocab_fini(struct ox_vocab *vocab);

/* Give a free id (0 <= id < n_ids) its bytes and flags, OX_VOCAB_TAKEN added; with OX_VOCAB_BASE it can be found (not
 * more of them than ox_vocab_init was told, no two with the same bytes). 0, or -1 when out of memory. */
int ox_vocab_set(struct ox_vocab *vocab, int32_t id, struct ox_str bytes, uint32_t flags) OX_MUST_USE;

/* The base token with these bytes, or -1. Any thread. */
int32_t ox_vocab_find(const struct ox_vocab *vocab, struct ox_str bytes);

/* The token of an id, or NULL if there is none; any number is accepted. */
const struct ox_vocab_token *ox_vocab_get(const struct ox_vocab *vocab, int32_t id);

/* Its bytes, owned by vocab; ptr NULL if there is none. */
struct ox_str ox_vocab_bytes(const struct ox_vocab *vocab, int32_t id);

/* Append the bytes that `text` stands for in the alphabet of byte-level BPE (one character a byte). False if a
 * character is not of that alphabet; what was appended is then meaningless. */
bool ox_vocab_unmap(struct ox_str text, struct ox_buf *bytes);

#endif
