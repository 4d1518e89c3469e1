/* SPDX-License-Identifier: Apache-2.0
 *
 * What a tokenizer is made of; for tokenizer.c, which uses the parts, and tokenizer_load.c, which fills them.
 */
#ifndef OX_TEXT_TOKENIZER_PARTS_H
#define OX_TEXT_TOKENIZER_PARTS_H

#include "text/added.h"
#include "text/bpe.h"
#include "text/pretok.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

struct ox_tokenizer {
    struct ox_vocab vocab;
    struct ox_added added;
    struct ox_bpe bpe;
    struct ox_pretok *pretok;
    bool ignore_merges; /* a piece that is a base token as a whole becomes it at once */
};

/* Fill an all-zero tokenizer from tokenizer.json; on failure it holds parts that ox_tokenizer_free releases. */
enum ox_status ox_tokenizer_load(struct ox_tokenizer *tokenizer, struct ox_str json, const char *what,
                                 const struct ox_log *log, struct ox_error *err) OX_MUST_USE;

#endif
