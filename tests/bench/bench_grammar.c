/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a mask takes for a vocabulary of 200,000 tokens: median and worst over all tokens of random replies, COLD
 * (with a new matcher for each reply) and WARM (with one that has seen replies of the schema before). Processor time of
 * this thread, so that what else runs on the machine does not count.
 */
#include <stdio.h>
#include <time.h>

#include "tests/schema_random.h"

#define N_TOKENS 200000
#define N_REPLIES 20
#define N_LONG 60
#define TIMES_MAX 200000
#define NAME_SPACE (N_TOKENS - 3) /* the chat format's markers, which have no bytes */
#define CALLS_BEGIN (N_TOKENS - 2)
#define CALLS_END (N_TOKENS - 1)

static uint64_t times[TIMES_MAX];
static size_t n_times;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static double ms_since(uint64_t begin)
{
    return (double)(now_ns() - begin) / 1e6;
}

static int compare_times(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* One reply; the time of each mask is kept. */
static void time_reply(struct ox_rng *rng, struct ox_matcher *matcher, size_t n_words)
{
    static const int32_t ends[] = {'/', '"', '}', ']', NAME_SPACE, CALLS_END};
    for (int n = 0; n < 2000; n++) {
        const uint64_t *mask;
        const uint64_t begin = now_ns();
        if (ox_matcher_mask(matcher, &mask, NULL) != OX_OK) {
            exit(1);
        }
        const uint64_t end = now_ns();
        if (n_times < TIMES_MAX) {
            times[n_times++] = end - begin;
        }
        int32_t id = random_token(rng, mask, n_words);
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
            id = (n > N_LONG || pick(rng, 20) == 0) && ox_mask_has(mask, ends[i]) ? ends[i] : id;
        }
        if (id < 0 || ox_matcher_token(matcher, id, NULL) != OX_OK) {
            return;
        }
    }
}

static void report(const char *name, const char *how)
{
    qsort(times, n_times, sizeof *times, compare_times);
    printf("%-28s %-5s %7zu masks  median %8.1f us  99 %% %8.1f us  worst %8.1f us\n", name, how, n_times,
           (double)times[n_times / 2] / 1e3, (double)times[n_times * 99 / 100] / 1e3, (double)times[n_times - 1] / 1e3);
    n_times = 0;
}

/* Takes grammar. */
static void measure(const struct ox_lexicon *lexicon, const char *name, struct ox_grammar *grammar, uint64_t begin)
{
    struct ox_matcher *matcher = NULL;
    struct ox_rng rng;
    printf("%-28s compiled in %.2f ms\n", name, ms_since(begin));
    ox_rng_init(&rng, 1);
    for (int i = 0; i < N_REPLIES; i++) {
        if (ox_matcher_new(grammar, lexicon, &matcher, NULL) != OX_OK) {
            exit(1);
        }
        time_reply(&rng, matcher, lexicon->n_words);
        if (i + 1 < N_REPLIES) {
            ox_matcher_free(matcher);
        }
    }
    report(name, "cold");
    for (int i = 0; i < N_REPLIES; i++) {
        ox_matcher_reset(matcher);
        time_reply(&rng, matcher, lexicon->n_words);
    }
    report(name, "warm");
    ox_matcher_free(matcher);
    ox_grammar_free(grammar);
}

static void fail(const struct ox_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void measure_schema(const struct ox_lexicon *lexicon, const char *name, const char *schema)
{
    struct ox_grammar *grammar = NULL;
    struct ox_error err = {0};
    const uint64_t begin = now_ns();
    if (ox_grammar_from_text(ox_str_c(schema), name, true, &grammar, &err) != OX_OK) {
        fail(&err);
    }
    measure(lexicon, name, grammar, begin);
}

static void measure_calls(const struct ox_lexicon *lexicon, const char *name, bool any_arguments, const char *document)
{
    const struct ox_grammar_calls calls = {
        .parallel = true, .any_arguments = any_arguments, .document = ox_str_c(document)};
    json_t *tools = json_loads("[{\"function\": {\"name\": \"search\", \"parameters\": {\"type\": \"object\", "
                               "\"properties\": {\"query\": {\"type\": \"string\"}, \"limit\": {\"type\": "
                               "\"integer\", \"minimum\": 1, \"maximum\": 50}, \"kinds\": {\"type\": \"array\", "
                               "\"items\": {\"enum\": [\"code\", \"text\"]}}}, \"required\": [\"query\"]}}}, "
                               "{\"function\": {\"name\": \"read\", \"parameters\": {\"type\": \"object\", "
                               "\"properties\": {\"path\": {\"type\": \"string\", \"maxLength\": 200}}, "
                               "\"required\": [\"path\"]}}}]",
                               0, NULL);
    struct ox_grammar *grammar = NULL;
    struct ox_error err = {0};
    const uint64_t begin = now_ns();
    if (ox_grammar_from_tools(tools, name, &calls, true, &grammar, &err) != OX_OK) {
        fail(&err);
    }
    json_decref(tools);
    measure(lexicon, name, grammar, begin);
}

int main(void)
{
    static const char *const schemas[][2] = {
        {"any object", "{\"type\": \"object\"}"},
        {"closed object", "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}, \"age\": "
                          "{\"type\": \"integer\", \"minimum\": 0, "
                          "\"maximum\": 150}, \"tags\": {\"type\": \"array\", \"items\": {\"type\": \"string\"}}, "
                          "\"kind\": {\"enum\": [\"person\", "
                          "\"company\", \"animal\"]}, \"born\": {\"type\": \"string\", \"format\": \"date\"}, "
                          "\"score\": {\"type\": \"number\"}}, "
                          "\"required\": [\"name\", \"kind\"], \"additionalProperties\": false}"},
        {"array of unions", "{\"type\": \"array\", \"items\": {\"anyOf\": [{\"type\": \"object\", \"properties\": "
                            "{\"type\": {\"const\": \"a\"}, \"x\": {\"type\": "
                            "\"string\", \"maxLength\": 40}}, \"required\": [\"type\", \"x\"]}, {\"type\": \"object\", "
                            "\"properties\": {\"type\": {\"const\": "
                            "\"b\"}, \"y\": {\"type\": \"number\", \"minimum\": 0}}, \"required\": [\"type\", \"y\"]}, "
                            "{\"type\": \"string\"}]}}"},
        {"patterns", "{\"type\": \"object\", \"properties\": {\"words\": {\"type\": \"string\", \"pattern\": \"^[a-z "
                     "]+$\"}, \"line\": {\"type\": \"string\", "
                     "\"pattern\": \"^[^\\n]{1,60}$\"}, \"id\": {\"type\": \"string\", \"pattern\": "
                     "\"^[A-Z]{3}-[0-9]{4}$\"}}, \"required\": "
                     "[\"words\", \"line\", \"id\"]}"},
    };
    static const struct ox_markers markers = {
        .name_space = NAME_SPACE, .tool_call_begin = CALLS_BEGIN, .tool_call_end = CALLS_END};
    struct vocabulary v;
    struct ox_lexicon *lexicon = NULL;
    make_vocabulary(&v, N_TOKENS, 2026);
    for (int32_t id = NAME_SPACE; id < N_TOKENS; id++) {
        v.tokens[id] = ox_str_make(NULL, 0);
    }
    const uint64_t begin = now_ns();
    if (ox_lexicon_new(v.tokens, v.n, &markers, &lexicon, NULL) != OX_OK) {
        return 1;
    }
    printf("%d tokens, %zu of them plain, %zu + %zu nodes, arranged in %.0f ms\n", (int)v.n,
           lexicon->n_up_to[lexicon->max_characters], lexicon->plain.n, lexicon->other.n, ms_since(begin));
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        measure_schema(lexicon, schemas[i][0], schemas[i][1]);
    }
    measure_calls(lexicon, "calls or a document", false, schemas[1][1]);
    measure_calls(lexicon, "any calls or a document", true, schemas[1][1]);
    ox_lexicon_free(lexicon);
    free_vocabulary(&v);
    return 0;
}
