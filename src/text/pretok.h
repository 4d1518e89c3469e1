/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting text into pieces with the regular expression of tokenizer.json, through PCRE2. What PCRE2 understands
 * otherwise than the format's own library (Oniguruma) is rewritten or refused.
 */
#ifndef OX_TEXT_PRETOK_H
#define OX_TEXT_PRETOK_H

#include "base/status.h"
#include "base/str.h"

/* The longest pattern that is accepted; the released one has 274 bytes. */
#define OX_PRETOK_PATTERN_BYTES_MAX 8192

/* A compiled pattern, read-only. */
struct ox_pretok;

/* Compile a pattern (UTF-8). `what` names the file in errors. OX_E_FORMAT for a pattern that is none or that PCRE2
 * cannot match as meant; OX_E_LIMIT, OX_E_NOMEM. */
enum ox_status ox_pretok_new(struct ox_str pattern, const char *what, struct ox_pretok **out,
                             struct ox_error *err) OX_MUST_USE;
void ox_pretok_free(struct ox_pretok *pretok);

/* Is this the pattern of a released model? Then its pieces are known to leave no gap and to take linear time. */
bool ox_pretok_known(struct ox_str pattern);

/* One cutting of one text; all zero can be released. */
struct ox_pretok_run {
    const struct ox_pretok *pretok;
    struct ox_pretok_scratch *scratch;
    struct ox_str text;
    size_t begin;  /* of the next piece */
    size_t search; /* where the next match may begin */
    size_t ready;  /* end of a match that is a piece of its own behind the gap that was just given; 0 if none */
};

/* Prepare for texts of one encoding; then for each stretch of valid UTF-8 ox_pretok_start, and ox_pretok_next until it
 * gives a piece of length 0. OX_E_NOMEM. */
enum ox_status ox_pretok_open(const struct ox_pretok *pretok, struct ox_pretok_run *run,
                              struct ox_error *err) OX_MUST_USE;
void ox_pretok_close(struct ox_pretok_run *run);

/* text must be valid UTF-8 and outlive the run. */
void ox_pretok_start(struct ox_pretok_run *run, struct ox_str text);

/* The next piece: a match, or what lies between two. len 0 at the end. OX_E_NOMEM; OX_E_LIMIT if the pattern needs too
 * many steps, which the known ones never do. */
enum ox_status ox_pretok_next(struct ox_pretok_run *run, struct ox_str *piece, struct ox_error *err) OX_MUST_USE;

#endif
