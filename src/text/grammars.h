/* SPDX-License-Identifier: Apache-2.0
 *
 * Grammars that are in use or were lately, by what they were made from: agents send the same tools and schemas with every
 * request, and making their grammar takes longer than a token. Bounded in number and in bytes of the keys; what was not
 * used for longest is forgotten. All functions but init and fini: any thread.
 */
#ifndef OX_TEXT_GRAMMARS_H
#define OX_TEXT_GRAMMARS_H

#include <pthread.h>

#include "base/buf.h"
#include "text/grammar.h"

#define OX_GRAMMARS_MAX 16
#define OX_GRAMMARS_KEY_BYTES ((size_t)2 << 20)

/* A grammar and its users. */
struct ox_shared_grammar {
    const struct ox_grammar *grammar;
    struct ox_grammar *own; /* the rest is this module's */
    struct ox_buf key;
    size_t n_users;
    struct ox_shared_grammar *next;
};

struct ox_grammars {
    pthread_mutex_t lock;
    struct ox_shared_grammar *newest; /* by use */
    size_t n;
    size_t key_bytes;
};

/* False: there is no lock to be had. */
bool ox_grammars_init(struct ox_grammars *grammars) OX_MUST_USE;

/* Nobody uses any of them any more. */
void ox_grammars_fini(struct ox_grammars *grammars);

/* The grammar that was made from this; NULL: it is not there. Its caller leaves it when done. */
struct ox_shared_grammar *ox_grammars_find(struct ox_grammars *grammars, struct ox_str key) OX_MUST_USE;

/* Take a grammar that was made from key, and key (both are empty then, also after a failure). *out: as find returns it.
 * One with a longer key than all may have together is not kept, but shared all the same. OX_E_NOMEM. */
enum ox_status ox_grammars_add(struct ox_grammars *grammars, struct ox_buf *key, struct ox_grammar **grammar,
                               struct ox_shared_grammar **out, struct ox_error *err) OX_MUST_USE;

/* The caller does not use *shared any more; NULL is accepted, and it is NULL then. */
void ox_grammars_leave(struct ox_grammars *grammars, struct ox_shared_grammar **shared);

#endif
