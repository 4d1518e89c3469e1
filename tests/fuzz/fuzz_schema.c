/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as a JSON schema, strict or not, or as the parameters of a tool. Invariants: a grammar that is made never leads
 * into a dead end (under every mask there is a token, or the reply may end), and what it calls complete is JSON.
 */
#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/json.h"
#include "tests/schema_random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT_BYTES 8192
#define N_TOKENS 300
#define STEPS 200

/* The bytes and some pieces of JSON; the markers are ids behind them. */
static struct ox_lexicon *make_lexicon(struct vocabulary *v)
{
    static const struct ox_markers markers = {-1, -1, -1, N_TOKENS, -1, -1, N_TOKENS + 1, N_TOKENS + 2, -1, -1, -1, -1};
    struct ox_str tokens[N_TOKENS + 3] = {{NULL, 0}};
    struct ox_lexicon *lexicon = NULL;
    make_vocabulary(v, N_TOKENS, 1);
    memcpy(tokens, v->tokens, N_TOKENS * sizeof *tokens);
    OX_CHECK(ox_lexicon_new(tokens, N_TOKENS + 3, &markers, &lexicon, NULL) == OX_OK);
    return lexicon;
}

static void follow(const struct ox_grammar *grammar, const struct ox_lexicon *lexicon, const struct vocabulary *v,
                   uint64_t seed, bool calls)
{
    struct ox_matcher *matcher = NULL;
    struct ox_buf text = {0};
    struct ox_rng rng;
    ox_rng_init(&rng, seed);
    OX_CHECK(ox_matcher_new(grammar, lexicon, &matcher, NULL) == OX_OK);
    for (int n = 0; n < STEPS; n++) {
        const uint64_t *mask;
        const bool complete = ox_matcher_is_complete(matcher);
        OX_CHECK(ox_matcher_mask(matcher, &mask, NULL) == OX_OK);
        if (complete && !calls) {
            json_t *value = NULL;
            OX_CHECK(ox_json_parse(ox_buf_str(&text), "reply", &value, NULL) == OX_OK);
            json_decref(value);
        }
        int32_t id = random_token(&rng, mask, lexicon->n_words);
        OX_CHECK(id >= 0 || complete);
        for (const char *c = "\"}]/"; *c != '\0' && pick(&rng, 3) == 0; c++) {
            id = ox_mask_has(mask, *c) ? *c : id;
        }
        if (id < 0) {
            break;
        }
        OX_CHECK(ox_matcher_token(matcher, id, NULL) == OX_OK);
        ox_buf_add_str(&text, id < N_TOKENS ? v->tokens[id] : ox_str_c("<marker>"));
    }
    ox_buf_fini(&text);
    ox_matcher_free(matcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vocabulary v;
    static struct ox_lexicon *lexicon;
    if (size < 1 || size > MAX_INPUT_BYTES) {
        return 0;
    }
    if (lexicon == NULL) {
        lexicon = make_lexicon(&v);
    }
    const bool calls = (data[0] & 2) != 0;
    const struct ox_str text = ox_str_make((const char *)data + 1, size - 1);
    const struct ox_grammar_calls options = {.parallel = (data[0] & 4) != 0};
    struct ox_grammar *grammar = NULL;
    struct ox_error err = {0};
    json_t *schema = NULL;
    enum ox_status status = OX_E_FORMAT;
    if (!calls) {
        status = ox_grammar_from_text(text, "schema", (data[0] & 1) != 0, &grammar, &err);
    } else if (ox_json_parse(text, "schema", &schema, &err) == OX_OK) {
        json_t *tools = json_pack("[{s:{s:s, s:o}}]", "function", "name", "f", "parameters", schema);
        status = ox_grammar_from_tools(tools, "tools", &options, (data[0] & 1) != 0, &grammar, &err);
        json_decref(tools);
    }
    OX_CHECK(status == OX_OK || (err.message[0] != '\0' && ox_utf8_valid(ox_str_c(err.message))));
    if (status == OX_OK) {
        follow(grammar, lexicon, &v, ox_str_hash(text), calls);
    }
    ox_grammar_free(grammar);
    return 0;
}
