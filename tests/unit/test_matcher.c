/* SPDX-License-Identifier: Apache-2.0
 *
 * Masks and replies, on random schemas: replies drawn under the mask end and validate, documents that satisfy the
 * schema are accepted however they are cut, and a mask has exactly the tokens whose bytes are accepted one by one.
 */
#include "text/matcher.h"

#include "base/json.h"
#include "tests/oom.h"
#include "tests/schema_random.h"
#include "tests/schema_validate.h"
#include "tests/tap.h"

#define N_SCHEMAS 300
#define N_REPLIES 6

static struct ox_error error;

static struct ox_grammar *compile(json_t *schema)
{
    struct ox_grammar *grammar = NULL;
    return ox_grammar_from_schema(schema, "schema", true, &grammar, &error) == OX_OK ? grammar : NULL;
}

static void print_schema(json_t *schema, const char *what, const char *text)
{
    char *dump = json_dumps(schema, JSON_COMPACT);
    NOTE("%s: %s", what, text);
    NOTE("schema %s", dump);
    free(dump);
}

/* ---- replies ---- */

static bool check_reply(struct ox_rng *rng, json_t *schema, struct ox_matcher *matcher, const struct vocabulary *v,
                        size_t n_words)
{
    struct ox_buf text = {0};
    json_t *value = NULL;
    ox_matcher_reset(matcher);
    const bool ended = random_reply(rng, matcher, v, n_words, 5 + pick(rng, 60), &text);
    const bool parsed = ox_json_parse(ox_buf_str(&text), "reply", &value, &error) == OX_OK;
    const bool good = ended && parsed && validates(schema, schema, value, 0);
    if (!good) {
        print_schema(schema, ended ? "not valid" : "never ended", ox_buf_text(&text));
    }
    json_decref(value);
    ox_buf_fini(&text);
    return good;
}

/* Feed text in random pieces. */
static bool accepts_cut(struct ox_rng *rng, struct ox_matcher *matcher, struct ox_str text)
{
    ox_matcher_reset(matcher);
    for (size_t at = 0; at < text.len;) {
        size_t n = 1 + pick(rng, 9);
        n = n > text.len - at ? text.len - at : n;
        if (ox_matcher_bytes(matcher, ox_str_make(text.ptr + at, n), NULL) != OX_OK) {
            return false;
        }
        at += n;
    }
    return ox_matcher_is_complete(matcher);
}

/* A document that satisfies the schema, printed in several ways. *known: there was one. */
static bool check_instance(struct ox_rng *rng, json_t *schema, struct ox_matcher *matcher, int *n_checked)
{
    static const size_t ways[] = {JSON_COMPACT, 0, JSON_INDENT(2), JSON_INDENT(4) | JSON_ENSURE_ASCII,
                                  JSON_ESCAPE_SLASH};
    json_t *value = random_instance(rng, schema, schema, 0);
    bool good = true;
    if (value == NULL || !validates(schema, schema, value, 0)) {
        json_decref(value);
        return true;
    }
    for (size_t i = 0; i < sizeof ways / sizeof ways[0] && good; i++) {
        char *text = json_dumps(value, ways[i] | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        good = accepts_cut(rng, matcher, ox_str_c(text));
        if (!good) {
            print_schema(schema, "not accepted", text);
        }
        free(text);
        ++*n_checked;
    }
    json_decref(value);
    return good;
}

static void random_schemas(const struct ox_lexicon *lexicon, const struct vocabulary *v)
{
    struct ox_rng rng;
    int n_compiled = 0;
    int n_replies = 0;
    int n_valid = 0;
    int n_documents = 0;
    bool accepted = true;
    ox_rng_init(&rng, 20261124);
    for (int i = 0; i < N_SCHEMAS; i++) {
        json_t *schema = random_root(&rng);
        struct ox_grammar *grammar = compile(schema);
        struct ox_matcher *matcher = NULL;
        if (grammar == NULL) {
            if (strstr(error.message, "nothing can satisfy") == NULL) {
                print_schema(schema, "error", error.message);
                accepted = false;
            }
        } else if (ox_matcher_new(grammar, lexicon, &matcher, NULL) == OX_OK) {
            n_compiled++;
            for (int r = 0; r < N_REPLIES; r++) {
                n_replies++;
                n_valid += check_reply(&rng, schema, matcher, v, lexicon->n_words) ? 1 : 0;
                accepted = check_instance(&rng, schema, matcher, &n_documents) && accepted;
            }
        }
        ox_matcher_free(matcher);
        ox_grammar_free(grammar);
        json_decref(schema);
    }
    OK(n_compiled > N_SCHEMAS * 9 / 10, "%d of %d random schemas can be satisfied", n_compiled, N_SCHEMAS);
    OK(n_valid == n_replies, "%d of %d replies under the mask end and validate", n_valid, n_replies);
    OK(accepted && n_documents > N_SCHEMAS, "%d documents that validate are accepted", n_documents);
}

/* ---- masks ---- */

/* The mask of a matcher that has taken prefix, against a fresh matcher that takes each token byte by byte. */
static bool mask_is_exact(const struct ox_grammar *grammar, const struct ox_lexicon *lexicon,
                          const struct vocabulary *v, struct ox_matcher *matcher, struct ox_str prefix)
{
    const uint64_t *mask;
    bool good = ox_matcher_mask(matcher, &mask, NULL) == OX_OK;
    struct ox_matcher *slow = NULL;
    good = good && ox_matcher_new(grammar, lexicon, &slow, NULL) == OX_OK;
    for (int32_t id = 0; id < v->n && good; id++) {
        bool taken = true;
        ox_matcher_reset(slow);
        good = ox_matcher_bytes(slow, prefix, NULL) == OX_OK;
        for (size_t i = 0; i < v->tokens[id].len && taken; i++) {
            taken = ox_matcher_bytes(slow, ox_str_make(v->tokens[id].ptr + i, 1), NULL) == OX_OK;
        }
        if (taken != ox_mask_has(mask, id)) {
            NOTE("behind %.*s the token %.*s is %s the mask", (int)prefix.len, prefix.ptr, (int)v->tokens[id].len,
                 v->tokens[id].ptr, taken ? "not in" : "in");
            good = false;
        }
    }
    ox_matcher_free(slow);
    return good;
}

static void exact_masks(void)
{
    struct vocabulary v;
    struct ox_lexicon *lexicon = NULL;
    struct ox_rng rng;
    bool good = true;
    int n = 0;
    make_vocabulary(&v, 2200, 5);
    good = ox_lexicon_new(v.tokens, v.n, NULL, &lexicon, &error) == OX_OK;
    ox_rng_init(&rng, 99);
    for (int i = 0; i < 40 && good; i++) {
        json_t *schema = random_root(&rng);
        struct ox_grammar *grammar = compile(schema);
        struct ox_matcher *matcher = NULL;
        struct ox_buf prefix = {0};
        if (grammar != NULL && ox_matcher_new(grammar, lexicon, &matcher, NULL) == OX_OK) {
            for (int step = 0; step < 12 && good; step++) {
                const uint64_t *mask;
                good = mask_is_exact(grammar, lexicon, &v, matcher, ox_buf_str(&prefix));
                n++;
                const int32_t id =
                    ox_matcher_mask(matcher, &mask, NULL) == OX_OK ? random_token(&rng, mask, lexicon->n_words) : -1;
                if (id < 0 || ox_matcher_token(matcher, id, NULL) != OX_OK) {
                    break;
                }
                ox_buf_add_str(&prefix, v.tokens[id]);
            }
        }
        if (!good) {
            print_schema(schema, "wrong mask", "");
        }
        ox_buf_fini(&prefix);
        ox_matcher_free(matcher);
        ox_grammar_free(grammar);
        json_decref(schema);
    }
    OK(good && n > 200, "%d masks have exactly the tokens that are accepted", n);
    ox_lexicon_free(lexicon);
    free_vocabulary(&v);
}

/* Very many ways to read the same: still exact, and it ends. */
static void many_ways(const struct ox_lexicon *lexicon, const struct vocabulary *v)
{
    json_t *list = json_array();
    struct ox_rng rng;
    ox_rng_init(&rng, 3);
    for (int i = 0; i < 200; i++) {
        json_array_append_new(list, json_pack("{s:s, s:{s:{s:s, s:i}, s:{s:i}}, s:[s,s]}", "type", "object",
                                              "properties", "text", "type", "string", "maxLength", i + 1, "k", "const",
                                              i, "required", "text", "k"));
    }
    json_t *schema = json_pack("{s:o}", "anyOf", list);
    struct ox_grammar *grammar = compile(schema);
    struct ox_matcher *matcher = NULL;
    bool good = grammar != NULL && ox_matcher_new(grammar, lexicon, &matcher, NULL) == OX_OK;
    for (int i = 0; i < 5 && good; i++) {
        good = check_reply(&rng, schema, matcher, v, lexicon->n_words);
    }
    OK(good, "200 alternatives with the same beginning");
    ox_matcher_free(matcher);
    ox_grammar_free(grammar);
    json_decref(schema);
}

/* A long reply needs no more memory than a short one. */
static void long_replies(void)
{
    struct ox_grammar *grammar = NULL;
    struct ox_matcher *matcher = NULL;
    bool good = ox_grammar_from_text(ox_str_c("{\"type\": \"array\", \"items\": {\"type\": \"object\"}}"), "schema",
                                     true, &grammar, &error) == OX_OK &&
                ox_matcher_new(grammar, NULL, &matcher, NULL) == OX_OK &&
                ox_matcher_bytes(matcher, ox_str_c("[0"), NULL) == OX_E_STATE &&
                ox_matcher_bytes(matcher, ox_str_c("["), NULL) == OX_OK;
    for (int i = 0; i < 20000 && good; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s{\"a\": \"b\", \"k%d\": [1, 2]}", i > 0 ? "," : "", i);
        oom_arm(i > 10000 ? 2 : 1000000); /* bringing the frames together takes one allocation at a time */
        good = ox_matcher_bytes(matcher, ox_str_c(text), &error) == OX_OK;
        oom_disarm();
    }
    good = good && ox_matcher_bytes(matcher, ox_str_c("]"), NULL) == OX_OK && ox_matcher_is_complete(matcher);
    OK(good, "a reply of 20,000 objects");
    ox_matcher_reset(matcher);
    good = ox_matcher_bytes(matcher, ox_str_c("[{\"k\": 1"), NULL) == OX_OK;
    for (int i = 0; i < 10000 && good; i++) {
        char text[32];
        snprintf(text, sizeof text, ",\"k%d\":%d", i, i);
        good = ox_matcher_bytes(matcher, ox_str_c(text), &error) == OX_OK;
    }
    OK(good && ox_matcher_bytes(matcher, ox_str_c(",\"k77\""), NULL) == OX_E_STATE &&
           ox_matcher_bytes(matcher, ox_str_c(",\"k77"), NULL) == OX_OK &&
           ox_matcher_bytes(matcher, ox_str_c("\""), NULL) == OX_E_STATE &&
           ox_matcher_bytes(matcher, ox_str_c("x\":1}]"), NULL) == OX_OK,
       "an object of 10,000 members has no name twice");
    ox_matcher_free(matcher);
    ox_grammar_free(grammar);
}

static void small_things(const struct ox_lexicon *lexicon, const struct vocabulary *v)
{
    struct ox_grammar *grammar = NULL;
    struct ox_matcher *matcher = NULL;
    const uint64_t *mask = NULL;
    const uint64_t *again = NULL;
    OK(ox_grammar_from_text(ox_str_c("{\"type\": \"string\", \"maxLength\": 3}"), "schema", true, &grammar, &error) ==
               OX_OK &&
           ox_matcher_new(grammar, lexicon, &matcher, &error) == OX_OK,
       "a matcher");
    OK(ox_matcher_mask(matcher, &mask, NULL) == OX_OK && ox_mask_has(mask, '"') && !ox_mask_has(mask, 'a'),
       "a string begins with a quote");
    OK(ox_matcher_token(matcher, 'a', &error) == OX_E_STATE && ox_matcher_token(matcher, -1, &error) == OX_E_STATE &&
           ox_matcher_token(matcher, v->n, &error) == OX_E_STATE && !ox_matcher_is_complete(matcher),
       "what is not accepted changes nothing");
    OK(ox_matcher_mask(matcher, &again, NULL) == OX_OK && again == mask, "a mask is kept");
    OK(ox_matcher_token(matcher, '"', &error) == OX_OK &&
           ox_matcher_bytes(matcher, ox_str_c("a\xE2\x82"), NULL) == OX_OK,
       "half a character");
    OK(ox_matcher_mask(matcher, &mask, NULL) == OX_OK && ox_mask_has(mask, 0x80) && ox_mask_has(mask, 0xBF) &&
           !ox_mask_has(mask, 'a') && !ox_mask_has(mask, '"'),
       "is completed");
    OK(ox_matcher_bytes(matcher, ox_str_c("\xAC"), NULL) == OX_OK && ox_matcher_mask(matcher, &mask, NULL) == OX_OK &&
           ox_mask_has(mask, 'a') && ox_mask_has(mask, '"') && ox_mask_has(mask, '\\') && ox_mask_has(mask, 284) &&
           !ox_mask_has(mask, 284 + 10),
       "one more fits, \"0\" but not \"10\"");
    OK(ox_matcher_bytes(matcher, ox_str_c("b\""), NULL) == OX_OK && ox_matcher_is_complete(matcher), "complete");
    bool none = ox_matcher_mask(matcher, &mask, NULL) == OX_OK;
    for (int32_t id = 0; id < v->n; id++) {
        none = none && !ox_mask_has(mask, id);
    }
    OK(none, "then nothing comes");
    ox_matcher_free(matcher);
    ox_grammar_free(grammar);
}

static void memory(void)
{
    struct vocabulary v;
    struct ox_grammar *grammar = NULL;
    make_vocabulary(&v, 1500, 1);
    OK(ox_grammar_from_text(ox_str_c("{\"properties\": {\"a\": {\"pattern\": \"^[a-z ]+$\"}}, \"required\": [\"a\"]}"),
                            "schema", true, &grammar, &error) == OX_OK,
       "a grammar");
    for (long n = 1;; n++) {
        struct ox_lexicon *lexicon = NULL;
        struct ox_matcher *matcher = NULL;
        const uint64_t *mask;
        oom_arm(n);
        enum ox_status status = ox_lexicon_new(v.tokens, v.n, NULL, &lexicon, &error);
        if (status == OX_OK) {
            status = ox_matcher_new(grammar, lexicon, &matcher, &error);
        }
        if (status == OX_OK) {
            status = ox_matcher_mask(matcher, &mask, &error);
        }
        if (status == OX_OK) {
            status = ox_matcher_bytes(matcher, ox_str_c("{\"a\": \"b"), &error);
        }
        if (status == OX_OK) {
            status = ox_matcher_mask(matcher, &mask, &error);
        }
        const bool failed = oom_disarm();
        if (status == OX_OK && !failed) {
            OK(ox_mask_has(mask, 'c') && !ox_mask_has(mask, 'C'), "the mask is right");
        }
        ox_matcher_free(matcher);
        ox_lexicon_free(lexicon);
        if (!failed || status != OX_E_NOMEM) {
            OK(!failed && status == OX_OK && n > 10, "each of %ld allocations may fail", n);
            break;
        }
    }
    ox_grammar_free(grammar);
    free_vocabulary(&v);
}

int main(void)
{
    struct vocabulary v;
    struct ox_lexicon *lexicon = NULL;
    make_vocabulary(&v, 4000, 7);
    if (!OK(ox_lexicon_new(v.tokens, v.n, NULL, &lexicon, &error) == OX_OK, "a lexicon")) {
        return tap_done();
    }
    small_things(lexicon, &v);
    random_schemas(lexicon, &v);
    exact_masks();
    many_ways(lexicon, &v);
    long_replies();
    memory();
    ox_lexicon_free(lexicon);
    free_vocabulary(&v);
    return tap_done();
}
