/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens by id and ids by bytes, and the alphabet that tokenizer.json writes bytes in.
 */
#include "text/vocab.h"

#include "base/mem.h"
#include "base/utf8.h"

enum ox_status ox_vocab_init(struct ox_vocab *vocab, int32_t n_ids, size_t n_tokens, struct ox_error *err)
{
    memset(vocab, 0, sizeof *vocab);
    OX_CHECK(n_ids >= 0 && n_ids <= OX_VOCAB_IDS_MAX && n_tokens <= (size_t)n_ids);
    size_t n_rows = 16;
    while (n_rows < 2 * n_tokens) {
        n_rows *= 2;
    }
    vocab->tokens = ox_calloc((size_t)n_ids, sizeof *vocab->tokens);
    vocab->rows = ox_calloc(n_rows, sizeof *vocab->rows);
    if (vocab->tokens == NULL || vocab->rows == NULL) {
        ox_vocab_fini(vocab);
        return ox_error_nomem(err, (size_t)n_ids * sizeof *vocab->tokens);
    }
    for (size_t i = 0; i < n_rows; i++) {
        vocab->rows[i].id = -1;
    }
    vocab->n_ids = n_ids;
    vocab->mask = n_rows - 1;
    return OX_OK;
}

void ox_vocab_fini(struct ox_vocab *vocab)
{
    ox_free(vocab->tokens);
    ox_free(vocab->rows);
    ox_buf_fini(&vocab->bytes);
    memset(vocab, 0, sizeof *vocab);
}

/* The row of these bytes, or the free row where they belong; their tag in any case. */
static struct ox_vocab_row *row_of(const struct ox_vocab *vocab, struct ox_str bytes, uint32_t *tag)
{
    const uint64_t hash = ox_str_hash(bytes);
    *tag = (uint32_t)(hash >> 32);
    size_t at = (size_t)(hash ^ (hash >> 32)) & vocab->mask;
    while (vocab->rows[at].id >= 0 &&
           (vocab->rows[at].tag != *tag || !ox_str_equal(ox_vocab_bytes(vocab, vocab->rows[at].id), bytes))) {
        at = (at + 1) & vocab->mask;
    }
    return &vocab->rows[at];
}

int ox_vocab_set(struct ox_vocab *vocab, int32_t id, struct ox_str bytes, uint32_t flags)
{
    OX_CHECK(id >= 0 && id < vocab->n_ids && vocab->tokens[id].flags == 0);
    struct ox_vocab_token *token = &vocab->tokens[id];
    const size_t begin = vocab->bytes.len;
    ox_buf_add_str(&vocab->bytes, bytes);
    if (bytes.len > UINT32_MAX || ox_buf_failed(&vocab->bytes)) {
        return -1;
    }
    token->begin = begin;
    token->len = (uint32_t)bytes.len;
    token->flags = flags | OX_VOCAB_TAKEN;
    if ((flags & OX_VOCAB_BASE) != 0) {
        uint32_t tag;
        struct ox_vocab_row *row = row_of(vocab, bytes, &tag);
        row->id = id;
        row->tag = tag;
    }
    return 0;
}

int32_t ox_vocab_find(const struct ox_vocab *vocab, struct ox_str bytes)
{
    uint32_t tag;
    return row_of(vocab, bytes, &tag)->id;
}

const struct ox_vocab_token *ox_vocab_get(const struct ox_vocab *vocab, int32_t id)
{
    if (id < 0 || id >= vocab->n_ids || vocab->tokens[id].flags == 0) {
        return NULL;
    }
    return &vocab->tokens[id];
}

struct ox_str ox_vocab_bytes(const struct ox_vocab *vocab, int32_t id)
{
    const struct ox_vocab_token *token = ox_vocab_get(vocab, id);
    if (token == NULL) {
        return ox_str_make(NULL, 0);
    }
    return ox_str_make(ox_buf_text(&vocab->bytes) + token->begin, token->len);
}

/* The byte of a character: itself if it is printable in Latin-1, else the k-th of the other 68 bytes (0 to 32, 127 to
 * 160, 173) is U+0100 + k. -1 for other characters. Source: GPT-2's bytes_to_unicode. */
static int byte_of(uint32_t code)
{
    if ((code >= 33 && code <= 126) || (code >= 161 && code <= 255 && code != 173)) {
        return (int)code;
    }
    if (code < 0x100 || code > 0x143) {
        return -1;
    }
    const int k = (int)code - 0x100;
    if (k <= 32) {
        return k;
    }
    return k <= 66 ? 127 + (k - 33) : 173;
}

bool ox_vocab_unmap(struct ox_str text, struct ox_buf *bytes)
{
    size_t at = 0;
    while (at < text.len) {
        uint32_t code;
        at += ox_utf8_decode(ox_str_make(text.ptr + at, text.len - at), &code);
        const int byte = byte_of(code);
        if (byte < 0) {
            return false;
        }
        ox_buf_add_byte(bytes, (char)(unsigned char)byte);
    }
    return true;
}
