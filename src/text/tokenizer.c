/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding and decoding. Encoding walks over the text once: added tokens are taken out where they may be, what lies
 * between is cut into pieces, and each piece is merged.
 */
#include "text/tokenizer.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "text/tokenizer_parts.h"

enum ox_status ox_tokenizer_new(struct ox_str json, const char *what, const struct ox_log *log,
                                struct ox_tokenizer **out, struct ox_error *err)
{
    struct ox_tokenizer *tokenizer = ox_calloc(1, sizeof *tokenizer);
    if (tokenizer == NULL) {
        return ox_error_nomem(err, sizeof *tokenizer);
    }
    const enum ox_status status = ox_tokenizer_load(tokenizer, json, what, log, err);
    if (status != OX_OK) {
        ox_tokenizer_free(tokenizer);
        return status;
    }
    *out = tokenizer;
    return OX_OK;
}

void ox_tokenizer_free(struct ox_tokenizer *tokenizer)
{
    if (tokenizer != NULL) {
        ox_vocab_fini(&tokenizer->vocab);
        ox_added_fini(&tokenizer->added);
        ox_bpe_fini(&tokenizer->bpe);
        ox_pretok_free(tokenizer->pretok);
        ox_free(tokenizer);
    }
}

int32_t ox_tokenizer_n_ids(const struct ox_tokenizer *tokenizer)
{
    return tokenizer->vocab.n_ids;
}

struct ox_str ox_tokenizer_bytes(const struct ox_tokenizer *tokenizer, int32_t id)
{
    return ox_vocab_bytes(&tokenizer->vocab, id);
}

bool ox_tokenizer_is_added(const struct ox_tokenizer *tokenizer, int32_t id)
{
    const struct ox_vocab_token *token = ox_vocab_get(&tokenizer->vocab, id);
    return token != NULL && (token->flags & OX_VOCAB_ADDED) != 0;
}

bool ox_tokenizer_is_special(const struct ox_tokenizer *tokenizer, int32_t id)
{
    const struct ox_vocab_token *token = ox_vocab_get(&tokenizer->vocab, id);
    return token != NULL && (token->flags & OX_VOCAB_SPECIAL) != 0;
}

int32_t ox_tokenizer_added_id(const struct ox_tokenizer *tokenizer, struct ox_str text)
{
    return ox_added_find(&tokenizer->added, text);
}

/* One call of ox_tokenizer_encode. */
struct encoding {
    const struct ox_tokenizer *tokenizer;
    struct ox_pretok_run run;
    struct ox_bpe_work work;
    struct ox_ids *out;
    struct ox_ids *lengths; /* instead of out, for ox_tokenizer_pieces */
};

static enum ox_status add_piece(struct encoding *e, struct ox_str piece, struct ox_error *err)
{
    if (e->lengths != NULL) {
        return ox_ids_add(e->lengths, (int32_t)piece.len) == 0 ? OX_OK : ox_error_nomem(err, piece.len);
    }
    const int32_t whole = e->tokenizer->ignore_merges ? ox_vocab_find(&e->tokenizer->vocab, piece) : -1;
    const int failed =
        whole >= 0 ? ox_ids_add(e->out, whole) : ox_bpe_encode(&e->tokenizer->bpe, &e->work, piece, e->out);
    return failed == 0 ? OX_OK : ox_error_nomem(err, piece.len);
}

/* The end of the valid UTF-8 that begins at `at`; *broken is the length of the broken part behind it, 0 at the end. */
static size_t valid_until(struct ox_str text, size_t at, size_t *broken)
{
    *broken = 0;
    while (at < text.len) {
        uint32_t code;
        const size_t len = ox_utf8_decode(ox_str_make(text.ptr + at, text.len - at), &code);
        if (code == UINT32_MAX) {
            *broken = len;
            break;
        }
        at += len;
    }
    return at;
}

/* Cut a stretch without added tokens into pieces, and take each. */
static enum ox_status add_stretch(struct encoding *e, struct ox_str text, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    size_t at = 0;
    while (at < text.len && status == OX_OK) {
        size_t broken;
        const size_t end = valid_until(text, at, &broken);
        struct ox_str piece;
        ox_pretok_start(&e->run, ox_str_make(text.ptr + at, end - at));
        status = ox_pretok_next(&e->run, &piece, err);
        while (status == OX_OK && piece.len > 0) {
            status = add_piece(e, piece, err);
            if (status == OX_OK) {
                status = ox_pretok_next(&e->run, &piece, err);
            }
        }
        if (status == OX_OK && broken > 0) {
            status = add_piece(e, ox_str_make(text.ptr + end, broken), err);
        }
        at = end + broken;
    }
    return status;
}

static enum ox_status too_long(struct ox_str text, struct ox_error *err)
{
    return ox_error_set(err, OX_E_LIMIT, "text to be cut into tokens: expected at most %d bytes, found %zu", INT32_MAX,
                        text.len);
}

/* The ids of the whole text. */
static enum ox_status add_text(struct encoding *e, struct ox_str text, const struct ox_range *plain, size_t n_plain,
                               struct ox_error *err)
{
    const struct ox_added *added = &e->tokenizer->added;
    size_t stretch = 0; /* begin of the text that waits to be cut */
    size_t i_plain = 0; /* first range that ends behind `at` */
    size_t at = 0;
    while (at < text.len) {
        while (i_plain < n_plain && (plain[i_plain].end <= at || plain[i_plain].end <= plain[i_plain].begin)) {
            i_plain++;
        }
        size_t limit = text.len;
        if (i_plain < n_plain && plain[i_plain].begin < limit) {
            limit = plain[i_plain].begin;
        }
        if (limit <= at) {
            at = plain[i_plain].end;
            continue;
        }
        size_t len = 0;
        const int32_t id = ox_added_match(added, ox_str_make(text.ptr + at, limit - at), &len);
        if (id < 0) {
            at++;
            continue;
        }
        enum ox_status status = add_stretch(e, ox_str_make(text.ptr + stretch, at - stretch), err);
        if (status == OX_OK && ox_ids_add(e->out, id) != 0) {
            status = ox_error_nomem(err, sizeof id);
        }
        if (status != OX_OK) {
            return status;
        }
        at += len;
        stretch = at;
    }
    return add_stretch(e, ox_str_make(text.ptr + stretch, text.len - stretch), err);
}

enum ox_status ox_tokenizer_encode(const struct ox_tokenizer *tokenizer, struct ox_str text,
                                   const struct ox_range *plain, size_t n_plain, struct ox_ids *out,
                                   struct ox_error *err)
{
    if (text.len == 0) {
        return OX_OK;
    }
    if (text.len > INT32_MAX) {
        return too_long(text, err);
    }
    const size_t len = out->len;
    struct encoding e = {.tokenizer = tokenizer, .out = out};
    enum ox_status status = ox_pretok_open(tokenizer->pretok, &e.run, err);
    if (status == OX_OK) {
        status = add_text(&e, text, plain, n_plain, err);
    }
    if (status != OX_OK) {
        out->len = len;
    }
    ox_pretok_close(&e.run);
    ox_bpe_work_fini(&e.work);
    return status;
}

void ox_tokenizer_decode(const struct ox_tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special,
                         struct ox_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!skip_special || !ox_tokenizer_is_special(tokenizer, ids[i])) {
            ox_buf_add_str(out, ox_tokenizer_bytes(tokenizer, ids[i]));
        }
    }
}

enum ox_status ox_tokenizer_pieces(const struct ox_tokenizer *tokenizer, struct ox_str text, struct ox_ids *lengths,
                                   struct ox_error *err)
{
    if (text.len > INT32_MAX) {
        return too_long(text, err);
    }
    const size_t len = lengths->len;
    struct encoding e = {.tokenizer = tokenizer, .lengths = lengths};
    enum ox_status status = ox_pretok_open(tokenizer->pretok, &e.run, err);
    if (status == OX_OK) {
        status = add_stretch(&e, text, err);
    }
    if (status != OX_OK) {
        lengths->len = len;
    }
    ox_pretok_close(&e.run);
    return status;
}
