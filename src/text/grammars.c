/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared grammars: a short list, the latest used first. The list is one user of each that is in it.
 */
#include "text/grammars.h"

#include "base/mem.h"

bool ox_grammars_init(struct ox_grammars *grammars)
{
    *grammars = (struct ox_grammars){0};
    return pthread_mutex_init(&grammars->lock, NULL) == 0;
}

/* One user less. The lock is held. */
static void leave(struct ox_shared_grammar *shared)
{
    shared->n_users--;
    if (shared->n_users == 0) {
        ox_grammar_free(shared->own);
        ox_buf_fini(&shared->key);
        ox_free(shared);
    }
}

/* Take the one at *at out of the list. The lock is held. */
static struct ox_shared_grammar *unlink_at(struct ox_grammars *grammars, struct ox_shared_grammar **at)
{
    struct ox_shared_grammar *shared = *at;
    *at = shared->next;
    grammars->n--;
    grammars->key_bytes -= shared->key.len;
    return shared;
}

static void link_newest(struct ox_grammars *grammars, struct ox_shared_grammar *shared)
{
    shared->next = grammars->newest;
    grammars->newest = shared;
    grammars->n++;
    grammars->key_bytes += shared->key.len;
}

static void forget_oldest(struct ox_grammars *grammars)
{
    struct ox_shared_grammar **at = &grammars->newest;
    while ((*at)->next != NULL) {
        at = &(*at)->next;
    }
    leave(unlink_at(grammars, at));
}

void ox_grammars_fini(struct ox_grammars *grammars)
{
    while (grammars->n > 0) {
        forget_oldest(grammars);
    }
    pthread_mutex_destroy(&grammars->lock);
}

struct ox_shared_grammar *ox_grammars_find(struct ox_grammars *grammars, struct ox_str key)
{
    struct ox_shared_grammar *found = NULL;
    pthread_mutex_lock(&grammars->lock);
    struct ox_shared_grammar **at = &grammars->newest;
    while (*at != NULL && !ox_str_equal(ox_buf_str(&(*at)->key), key)) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        found = unlink_at(grammars, at);
        link_newest(grammars, found);
        found->n_users++;
    }
    pthread_mutex_unlock(&grammars->lock);
    return found;
}

enum ox_status ox_grammars_add(struct ox_grammars *grammars, struct ox_buf *key, struct ox_grammar **grammar,
                               struct ox_shared_grammar **out, struct ox_error *err)
{
    struct ox_shared_grammar *shared = ox_buf_failed(key) ? NULL : ox_calloc(1, sizeof *shared);
    if (shared == NULL) {
        ox_grammar_free(*grammar);
        ox_buf_fini(key);
        *grammar = NULL;
        return ox_error_nomem(err, sizeof *shared);
    }
    shared->grammar = *grammar;
    shared->own = *grammar;
    shared->key = *key;
    shared->n_users = 1;
    *grammar = NULL;
    *key = (struct ox_buf){0};
    pthread_mutex_lock(&grammars->lock);
    if (shared->key.len <= OX_GRAMMARS_KEY_BYTES) {
        shared->n_users++;
        link_newest(grammars, shared);
    }
    while (grammars->n > OX_GRAMMARS_MAX || grammars->key_bytes > OX_GRAMMARS_KEY_BYTES) {
        forget_oldest(grammars);
    }
    pthread_mutex_unlock(&grammars->lock);
    *out = shared;
    return OX_OK;
}

void ox_grammars_leave(struct ox_grammars *grammars, struct ox_shared_grammar **shared)
{
    if (*shared == NULL) {
        return;
    }
    pthread_mutex_lock(&grammars->lock);
    leave(*shared);
    pthread_mutex_unlock(&grammars->lock);
    *shared = NULL;
}
