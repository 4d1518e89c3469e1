/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as a reply for one of some schemas, alone or beside tools (the first byte says which); those from 0xFD on are the
 * markers of calls. Invariants: cut in any way it is accepted as far as in one piece; a mask has a token just if its bytes
 * are accepted one by one; what is complete is JSON that validates, or calls.
 */
#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/json.h"
#include "tests/schema_random.h"
#include "tests/schema_validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT_BYTES 1024
#define N_TOKENS 700 /* and the three markers behind them */
#define FIRST_MARKER 0xFD

static const char *const schemas[] = {
    "{\"type\": \"object\"}",
    "{}",
    ("{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\", \"minimum\": -12, \"maximum\": 345}, "
     "\"ab\": {\"type\": "
     "\"string\", \"maxLength\": 3}, \"b\": {\"enum\": [\"x\", \"xy\", 1, 12, null]}}, \"required\": [\"ab\"], "
     "\"additionalProperties\": "
     "{\"type\": \"boolean\"}}"),
    "{\"type\": \"array\", \"items\": {\"type\": \"string\", \"pattern\": \"^[a-c]{2,4}$\"}, \"minItems\": 1, "
    "\"maxItems\": 3}",
    ("{\"anyOf\": [{\"type\": \"object\", \"properties\": {\"k\": {\"const\": \"a\"}, \"v\": {\"type\": \"number\", "
     "\"exclusiveMinimum\": "
     "0.5, \"maximum\": 2}}, \"required\": [\"k\", \"v\"]}, {\"type\": \"object\", \"properties\": {\"k\": {\"const\": "
     "\"ab\"}, \"v\": {\"type\": "
     "\"string\", \"format\": \"date\"}}, \"required\": [\"k\", \"v\"]}]}"),
    ("{\"$ref\": \"#/$defs/d\", \"$defs\": {\"d\": {\"type\": \"object\", \"properties\": {\"n\": {\"type\": "
     "[\"number\", \"null\"]}, \"d\": "
     "{\"$ref\": \"#/$defs/d\"}, \"e\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/d\"}}}, \"required\": "
     "[\"n\"]}}}"),
};
#define N_SCHEMAS (sizeof schemas / sizeof schemas[0])

/* Each schema once more, beside these: with their parameters, and every second one with any. */
static const char tools[] =
    "[{\"function\": {\"name\": \"f\", \"parameters\": {\"properties\": {\"s\": {\"type\": \"string\"}, \"t\": "
    "{\"type\": "
    "\"string\", \"maxLength\": 3}, \"e\": {\"enum\": [\"\", \"a<\", 7]}, \"l\": {\"type\": \"array\", \"items\": "
    "{\"$ref\": \"#\"}}}}}}, {\"function\": {\"name\": \"fg\"}}]";
#define N_GRAMMARS (2 * N_SCHEMAS)

struct state {
    struct vocabulary v;
    struct ox_lexicon *lexicon;
    json_t *schema[N_GRAMMARS];
    struct ox_grammar *grammar[N_GRAMMARS];
    struct ox_matcher *matcher[N_GRAMMARS]; /* with masks kept from earlier inputs */
};

static void make_state(struct state *s)
{
    static const struct ox_markers markers = {
        .name_space = N_TOKENS, .tool_call_begin = N_TOKENS + 1, .tool_call_end = N_TOKENS + 2};
    json_t *tree = json_loads(tools, 0, NULL);
    make_vocabulary(&s->v, N_TOKENS + 3, 3);
    for (size_t i = N_TOKENS; i < N_TOKENS + 3; i++) {
        s->v.tokens[i] = ox_str_make(NULL, 0);
    }
    OX_CHECK(ox_lexicon_new(s->v.tokens, N_TOKENS + 3, &markers, &s->lexicon, NULL) == OX_OK);
    for (size_t i = 0; i < N_GRAMMARS; i++) {
        const char *schema = schemas[i % N_SCHEMAS];
        const struct ox_grammar_calls calls = {
            .parallel = i % 3 == 0, .any_arguments = i % 2 == 0, .document = ox_str_c(schema)};
        s->schema[i] = json_loads(schema, 0, NULL);
        OX_CHECK((i < N_SCHEMAS ? ox_grammar_from_schema(s->schema[i], "schema", true, &s->grammar[i], NULL)
                                : ox_grammar_from_tools(tree, "tools", &calls, true, &s->grammar[i], NULL)) == OX_OK);
        OX_CHECK(ox_matcher_new(s->grammar[i], s->lexicon, &s->matcher[i], NULL) == OX_OK);
    }
    json_decref(tree);
}

static bool is_marker(char byte)
{
    return (unsigned char)byte >= FIRST_MARKER;
}

/* Take bytes without markers, or one marker. */
static enum ox_status take(struct ox_matcher *matcher, const char *bytes, size_t n)
{
    return is_marker(bytes[0]) ? ox_matcher_token(matcher, N_TOKENS + (unsigned char)bytes[0] - FIRST_MARKER, NULL)
                               : ox_matcher_bytes(matcher, ox_str_make(bytes, n), NULL);
}

/* How many bytes are accepted, one by one. */
static size_t accepted(struct ox_matcher *matcher, struct ox_str text)
{
    ox_matcher_reset(matcher);
    for (size_t i = 0; i < text.len; i++) {
        if (take(matcher, text.ptr + i, 1) != OX_OK) {
            return i;
        }
    }
    return text.len;
}

/* How many of n bytes can be taken at once. */
static size_t together(const char *bytes, size_t n)
{
    size_t len = 1;
    while (len < n && !is_marker(bytes[0]) && !is_marker(bytes[len])) {
        len++;
    }
    return len;
}

static void check_cuts(struct ox_matcher *matcher, struct ox_str good, uint64_t seed)
{
    struct ox_rng rng;
    ox_rng_init(&rng, seed);
    ox_matcher_reset(matcher);
    for (size_t at = 0; at < good.len;) {
        size_t n = 1 + pick(&rng, 12);
        n = together(good.ptr + at, n > good.len - at ? good.len - at : n);
        OX_CHECK(take(matcher, good.ptr + at, n) == OX_OK);
        at += n;
    }
}

/* The mask where matcher stands, against a matcher that takes the tokens byte by byte. */
static void check_mask(const struct state *s, size_t i, struct ox_matcher *matcher, struct ox_str prefix)
{
    const uint64_t *mask;
    struct ox_matcher *slow = NULL;
    OX_CHECK(ox_matcher_mask(matcher, &mask, NULL) == OX_OK);
    OX_CHECK(ox_matcher_new(s->grammar[i], s->lexicon, &slow, NULL) == OX_OK);
    for (int32_t id = 0; id < N_TOKENS + 3; id++) {
        bool taken = accepted(slow, prefix) == prefix.len;
        for (size_t k = 0; k < s->v.tokens[id].len && taken; k++) {
            taken = ox_matcher_bytes(slow, ox_str_make(s->v.tokens[id].ptr + k, 1), NULL) == OX_OK;
        }
        taken = taken && (id < N_TOKENS || ox_matcher_token(slow, id, NULL) == OX_OK);
        OX_CHECK(taken == ox_mask_has(mask, id));
    }
    ox_matcher_free(slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct state state;
    if (size < 1 || size > MAX_INPUT_BYTES) {
        return 0;
    }
    if (state.lexicon == NULL) {
        make_state(&state);
    }
    const size_t i = data[0] % N_GRAMMARS;
    struct ox_matcher *matcher = state.matcher[i];
    const struct ox_str text = ox_str_make((const char *)data + 1, size - 1);
    const struct ox_str good = ox_str_make(text.ptr, accepted(matcher, text));
    const bool complete = ox_matcher_is_complete(matcher);
    json_t *value = NULL;
    if (complete && (good.len == 0 || !is_marker(good.ptr[0]))) {
        OX_CHECK(ox_json_parse(good, "reply", &value, NULL) == OX_OK &&
                 validates(state.schema[i], state.schema[i], value, 0));
        json_decref(value);
    }
    check_cuts(matcher, good, ox_str_hash(text));
    OX_CHECK(ox_matcher_is_complete(matcher) == complete);
    check_mask(&state, i, matcher, good);
    if (good.len < text.len) {
        const size_t n = together(text.ptr + good.len, text.len - good.len);
        OX_CHECK(take(matcher, text.ptr + good.len, 1) == OX_E_STATE);
        OX_CHECK(take(matcher, text.ptr + good.len, n) == OX_E_STATE);
        OX_CHECK(ox_matcher_is_complete(matcher) == complete);
    }
    return 0;
}
