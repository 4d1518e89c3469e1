/* SPDX-License-Identifier: Apache-2.0
 *
 * Merging of one piece of text: the table of merges and the loop that applies them, lowest rank first and leftmost
 * first among equals. Source: byte-level BPE as in the Hugging Face tokenizers format.
 */
#ifndef OX_TEXT_BPE_H
#define OX_TEXT_BPE_H

#include "base/status.h"
#include "base/str.h"
#include "text/tokenizer.h"

/* At most this many merges. */
#define OX_BPE_MERGES_MAX ((size_t)1 << 24)

/* Pieces of more symbols than this are merged with a heap; shorter ones by looking at every pair. Anything from 8 to 64
 * measured alike on text, where cutting takes most of the time. */
#define OX_BPE_SHORT 32

/* One row of the hash table; free if merged is -1. */
struct ox_bpe_row {
    int32_t left;
    int32_t right;
    int32_t merged;
    uint32_t rank;
};

/* The merges, read-only once they are all added. All zero is empty and can be released. */
struct ox_bpe {
    int32_t symbols[256];    /* id of the token that is this one byte */
    struct ox_bpe_row *rows; /* open addressing, mask + 1 rows, a power of two, at most half of them taken */
    size_t mask;
    int32_t *merged; /* by rank */
    size_t n_merges; /* ranks so far */
    size_t merges_cap;
};

/* Make room for n_merges merges. OX_E_NOMEM, and bpe is still empty. */
enum ox_status ox_bpe_init(struct ox_bpe *bpe, size_t n_merges, struct ox_error *err) OX_MUST_USE;
void ox_bpe_fini(struct ox_bpe *bpe);

/* Append the merge of the next rank (not more of them than ox_bpe_init was told). True if the pair had a merge before:
 * the later one then counts, as in the format's own library. */
bool ox_bpe_add(struct ox_bpe *bpe, int32_t left, int32_t right, int32_t merged);

/* The rank of a pair's merge, or UINT32_MAX. Any thread. */
uint32_t ox_bpe_rank(const struct ox_bpe *bpe, int32_t left, int32_t right);

/* Scratch of one encoding, reused from piece to piece. All zero is empty. */
struct ox_bpe_work {
    struct ox_bpe_link *links;
    size_t links_cap;
    uint64_t *heap;
    size_t heap_cap;
    size_t heap_len;
    uint64_t n_steps; /* pairs looked up and heap entries moved so far: what the time is proportional to */
};

void ox_bpe_work_fini(struct ox_bpe_work *work);

/* Append the ids of one piece (at most INT32_MAX bytes) to out: O(n log n). 0, or -1 when out of memory (out then holds
 * part of the piece). Any thread with a work of its own. */
int ox_bpe_encode(const struct ox_bpe *bpe, struct ox_bpe_work *work, struct ox_str piece,
                  struct ox_ids *out) OX_MUST_USE;

#endif
