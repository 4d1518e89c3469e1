/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared grammars: found again by what they were made from, forgotten in their turn, freed by their last user (which a
 * sanitizer sees), and looked for by many threads at once.
 */
#include "text/grammars.h"

#include "tests/tap.h"

#define N_THREADS 4
#define N_ROUNDS 400

static struct ox_grammars grammars;

/* Find the grammar of a key, or make one. */
static struct ox_shared_grammar *need(const char *key, size_t more_bytes, bool *was_there)
{
    struct ox_buf text = {0};
    struct ox_grammar *grammar = NULL;
    ox_buf_add_c(&text, key);
    for (size_t i = 0; i < more_bytes; i++) {
        ox_buf_add_byte(&text, 'x');
    }
    struct ox_shared_grammar *shared = ox_grammars_find(&grammars, ox_buf_str(&text));
    *was_there = shared != NULL;
    if (shared != NULL) {
        ox_buf_fini(&text);
        return shared;
    }
    if (ox_grammar_from_text(ox_str_c("{\"type\": \"boolean\"}"), "schema", true, &grammar, NULL) != OX_OK ||
        ox_grammars_add(&grammars, &text, &grammar, &shared, NULL) != OX_OK) {
        return NULL;
    }
    return shared;
}

/* Need it for a moment: was it there? */
static bool touch(const char *key, size_t more_bytes)
{
    bool was_there;
    struct ox_shared_grammar *shared = need(key, more_bytes, &was_there);
    ox_grammars_leave(&grammars, &shared);
    return was_there && shared == NULL;
}

static void test_found(void)
{
    bool was_there;
    struct ox_shared_grammar *first = need("a", 0, &was_there);
    OK(first != NULL && first->grammar != NULL && !was_there, "the first time it is made");
    struct ox_shared_grammar *second = need("a", 0, &was_there);
    OK(was_there && second == first, "the second time it is there, in use or not");
    OK(!touch("b", 0), "another is another");
    ox_grammars_leave(&grammars, &second);
    for (int i = 0; i < OX_GRAMMARS_MAX; i++) {
        char key[16];
        snprintf(key, sizeof key, "n%d", i);
        (void)touch(key, 0);
    }
    OK(!touch("b", 0), "what was not used for longest is forgotten");
    OK(touch("n15", 0) && touch("n2", 0), "the others are not");
    OK(!touch("a", 0), "also where somebody uses it");
    OK(first->grammar != NULL, "who goes on with it");
    ox_grammars_leave(&grammars, &first);
    OK(grammars.n == OX_GRAMMARS_MAX, "as many as may be");
}

static void test_bytes(void)
{
    OK(!touch("c", OX_GRAMMARS_KEY_BYTES - 1), "a key as long as all together");
    OK(grammars.n == 1 && touch("c", OX_GRAMMARS_KEY_BYTES - 1), "is the only one");
    OK(!touch("d", 0) && grammars.n == 1 && touch("d", 0), "until the next comes");
    OK(!touch("e", OX_GRAMMARS_KEY_BYTES) && !touch("e", OX_GRAMMARS_KEY_BYTES), "a longer one is not kept");
    OK(touch("d", 0), "and drives nobody out");
}

static void *run(void *user)
{
    size_t *n_wrong = user;
    for (int i = 0; i < N_ROUNDS; i++) {
        char key[16];
        bool was_there;
        snprintf(key, sizeof key, "t%d", i % (OX_GRAMMARS_MAX + 3));
        struct ox_shared_grammar *shared = need(key, 0, &was_there);
        *n_wrong += shared == NULL || !ox_str_is(ox_buf_str(&shared->key), key) ? 1 : 0;
        ox_grammars_leave(&grammars, &shared);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[N_THREADS];
    size_t n_wrong[N_THREADS] = {0};
    for (int i = 0; i < N_THREADS; i++) {
        OK(pthread_create(&threads[i], NULL, run, &n_wrong[i]) == 0, "thread %d", i);
    }
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        OK(n_wrong[i] == 0, "thread %d got what it looked for", i);
    }
    OK(grammars.n <= OX_GRAMMARS_MAX, "no more than may be");
}

int main(void)
{
    OK(ox_grammars_init(&grammars), "begin");
    test_found();
    test_bytes();
    test_threads();
    ox_grammars_fini(&grammars);
    return tap_done();
}
