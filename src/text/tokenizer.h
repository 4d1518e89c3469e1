/* SPDX-License-Identifier: Apache-2.0
 *
 * Text to token ids and back: byte-level BPE as tokenizer.json describes it. A tokenizer is read-only once it is made;
 * any number of threads may use it. Source: the Hugging Face tokenizers format; pattern and rules as in the released
 * model's tokenizer.json.
 */
#ifndef OX_TEXT_TOKENIZER_H
#define OX_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/status.h"
#include "base/str.h"

/* A growing list of token ids; all zero is empty. */
struct ox_ids {
    int32_t *ptr;
    size_t len;
    size_t cap;
};

void ox_ids_init(struct ox_ids *ids);
void ox_ids_fini(struct ox_ids *ids);
/* 0, or -1 when out of memory (ids unchanged). */
int ox_ids_add(struct ox_ids *ids, int32_t id) OX_MUST_USE;

/* A range of bytes [begin, end) of a text. */
struct ox_range {
    size_t begin;
    size_t end;
};

struct ox_tokenizer;

/* Make a tokenizer from the bytes of a tokenizer.json. `what` names them in errors. Accepted: model BPE without
 * byte_fallback, dropout, prefixes or suffixes; ignore_merges either way; merges as strings or pairs; normalizer null;
 * pre_tokenizer Sequence of Split (Isolated, or Removed with invert for the released models' pattern, which covers all
 * text) and ByteLevel (add_prefix_space false, use_regex false); decoder ByteLevel or null; each of the 256 bytes in
 * vocab; anything else is OX_E_FORMAT with a sentence that names the field. Ids may have holes; at most 2^24 ids. Added
 * tokens: `normalized` has no meaning here; single_word, lstrip and rstrip must be false; one that also stands in vocab
 * (same text, same id) can be reached as an added token only, never by merging. Unusual but harmless findings go to log
 * (may be NULL): truncation, padding, a post_processor (no tokens are ever added to a text), a pattern other than the
 * released models', a pair that is merged twice (the last one counts). */
enum ox_status ox_tokenizer_new(struct ox_str json, const char *what, const struct ox_log *log,
                                struct ox_tokenizer **out, struct ox_error *err) OX_MUST_USE;
void ox_tokenizer_free(struct ox_tokenizer *tokenizer);

/* One more than the largest id. */
int32_t ox_tokenizer_n_ids(const struct ox_tokenizer *tokenizer);

/* The bytes that id stands for (owned by the tokenizer); ptr NULL if no token has this id. */
struct ox_str ox_tokenizer_bytes(const struct ox_tokenizer *tokenizer, int32_t id);

/* Added tokens: is it one at all, and is it marked special (left out by decoding without special tokens)? */
bool ox_tokenizer_is_added(const struct ox_tokenizer *tokenizer, int32_t id);
bool ox_tokenizer_is_special(const struct ox_tokenizer *tokenizer, int32_t id);

/* The id of the added token with exactly this text, or -1. */
int32_t ox_tokenizer_added_id(const struct ox_tokenizer *tokenizer, struct ox_str text);

/* Append the ids of text to out. plain: n_plain ascending, disjoint ranges of text in which added tokens are not
 * recognised: an added token is recognised only where its text touches no byte of a plain range. The text between
 * recognised tokens is cut into pieces as one, across the borders of plain ranges. Bytes that are no UTF-8 are
 * encoded as the bytes they are (each broken part is a piece of its own). Time is O(n log n).
 * OX_E_NOMEM; OX_E_LIMIT for a text above INT32_MAX bytes, or where a pattern other than the released models' needs too
 * many steps. out is then unchanged in its first len ids. */
enum ox_status ox_tokenizer_encode(const struct ox_tokenizer *tokenizer, struct ox_str text,
                                   const struct ox_range *plain, size_t n_plain, struct ox_ids *out,
                                   struct ox_error *err) OX_MUST_USE;

/* Append the bytes of ids to out; ids without a token give nothing; with skip_special, special tokens give nothing. */
void ox_tokenizer_decode(const struct ox_tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special,
                         struct ox_buf *out);

/* Cut text into pieces as the pattern of tokenizer.json does (no added tokens): append the length in bytes of each
 * piece to lengths. For tests. */
enum ox_status ox_tokenizer_pieces(const struct ox_tokenizer *tokenizer, struct ox_str text, struct ox_ids *lengths,
                                   struct ox_error *err) OX_MUST_USE;

#endif
