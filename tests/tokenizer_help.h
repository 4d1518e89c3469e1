/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the tokenizer share.
 */
#ifndef OX_TESTS_TOKENIZER_HELP_H
#define OX_TESTS_TOKENIZER_HELP_H

#include "tests/tap.h"
#include "text/tokenizer.h"

static struct ox_error error;

/* The ids of text; exits where that fails. */
static inline struct ox_ids encode(const struct ox_tokenizer *t, struct ox_str text, const struct ox_range *plain,
                                   size_t n)
{
    struct ox_ids ids;
    ox_ids_init(&ids);
    if (ox_tokenizer_encode(t, text, plain, n, &ids, &error) != OX_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return ids;
}

static inline bool decodes_to(const struct ox_tokenizer *t, const struct ox_ids *ids, bool skip, struct ox_str text)
{
    struct ox_buf bytes;
    ox_buf_init(&bytes);
    ox_tokenizer_decode(t, ids->ptr, ids->len, skip, &bytes);
    const bool same = !ox_buf_failed(&bytes) && ox_str_equal(ox_buf_str(&bytes), text);
    ox_buf_fini(&bytes);
    return same;
}

#endif
