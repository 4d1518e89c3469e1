/* SPDX-License-Identifier: Apache-2.0
 *
 * A matcher follows one reply along a grammar, and says which tokens may come next. Whatever it has accepted can be
 * completed, so a reply that only takes tokens of the masks ends as a valid one, if it is given the room.
 *
 * Where a grammar is ambiguous, the ways a reply can be read are followed together, at most OX_MATCHER_WAYS of them;
 * what goes beyond is not followed, which can rule out valid documents of schemas with very many similar alternatives,
 * but never lets an invalid one pass.
 *
 * Masks are exact: a token is in the mask just if its bytes are accepted one after the other. They are kept, so that
 * where the grammar has been before nothing is computed; the tokens that stand inside of a string as they are depend on
 * the string only, and are not walked at all where any text may stand.
 */
#ifndef OX_TEXT_MATCHER_H
#define OX_TEXT_MATCHER_H

#include "text/grammar.h"
#include "text/lexicon.h"

#define OX_MATCHER_WAYS 64
/* Masks that are kept, each n_ids / 8 bytes. */
#define OX_MATCHER_MASKS 128
#define OX_MATCHER_STRING_MASKS 64

struct ox_matcher;

/* Begin at the beginning of a reply. grammar and lexicon (NULL: bytes only) must outlive the matcher. */
enum ox_status ox_matcher_new(const struct ox_grammar *grammar, const struct ox_lexicon *lexicon,
                              struct ox_matcher **out, struct ox_error *err) OX_MUST_USE;
void ox_matcher_free(struct ox_matcher *matcher);

/* Go back to the beginning; kept masks stay. */
void ox_matcher_reset(struct ox_matcher *matcher);

/* Take bytes, or the token id. OX_E_STATE if the grammar does not accept them here, and then nothing is taken;
 * OX_E_NOMEM. */
enum ox_status ox_matcher_bytes(struct ox_matcher *matcher, struct ox_str bytes, struct ox_error *err) OX_MUST_USE;
enum ox_status ox_matcher_token(struct ox_matcher *matcher, int32_t id, struct ox_error *err) OX_MUST_USE;

/* May the reply end here? */
bool ox_matcher_is_complete(const struct ox_matcher *matcher);

/* The tokens that may come next: bit id % 64 of word id / 64, n_words of the lexicon; owned by the matcher and valid
 * until its next call. No end token is among them: see ox_matcher_is_complete. */
enum ox_status ox_matcher_mask(struct ox_matcher *matcher, const uint64_t **mask, struct ox_error *err) OX_MUST_USE;

static inline bool ox_mask_has(const uint64_t *mask, int32_t id)
{
    return (mask[(size_t)id / 64] >> (id % 64) & 1) != 0;
}

#endif
