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
        for (const char *c = "\"}]"; *c != '\0'; c++) {
            id = (n > N_LONG || pick(rng, 20) == 0) && ox_mask_has(mask, *c) ? *c : id;
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

static void measure(const struct ox_lexicon *lexicon, const char *name, const char *schema)
{
    struct ox_grammar *grammar = NULL;
    struct ox_matcher *matcher = NULL;
    struct ox_error err = {0};
    struct ox_rng rng;
    const uint64_t begin = now_ns();
    if (ox_grammar_from_text(ox_str_c(schema), name, true, &grammar, &err) != OX_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
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
    struct vocabulary v;
    struct ox_lexicon *lexicon = NULL;
    make_vocabulary(&v, N_TOKENS, 2026);
    const uint64_t begin = now_ns();
    if (ox_lexicon_new(v.tokens, v.n, NULL, &lexicon, NULL) != OX_OK) {
        return 1;
    }
    printf("%d tokens, %zu of them plain, %zu + %zu nodes, arranged in %.0f ms\n", (int)v.n,
           lexicon->n_up_to[lexicon->max_characters], lexicon->plain.n, lexicon->other.n, ms_since(begin));
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        measure(lexicon, schemas[i][0], schemas[i][1]);
    }
    ox_lexicon_free(lexicon);
    free_vocabulary(&v);
    return 0;
}
