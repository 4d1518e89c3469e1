/* SPDX-License-Identifier: Apache-2.0
 *
 * What was drawn here, by the ids of its calls. A client sends a reply with calls back as part of its next request, as
 * text; the tokens that rendering makes of that text may be others than those that were drawn (arguments spelled with
 * other blanks, a word cut differently), and what was computed for the drawn ones would be lost. So the exact tokens are
 * kept under the call's id, which nobody can guess, and come back if the message is what the client received.
 *
 * A store is bounded in bytes and forgets what was not used for longest. All functions: any thread; a store may be NULL,
 * which keeps nothing.
 */
#ifndef OX_SERVER_RECALL_H
#define OX_SERVER_RECALL_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct ox_ask;
struct ox_recall;

/* NULL when out of memory. */
struct ox_recall *ox_recall_new(size_t max_bytes) OX_MUST_USE;

/* Nobody may use it any more. */
void ox_recall_free(struct ox_recall *recall);

struct ox_recall_call {
    struct ox_str id; /* as the client knows it */
    struct ox_str name;
    struct ox_str arguments; /* JSON text */
};

/* A reply that the model ended by itself, with calls that are all done. */
struct ox_recall_reply {
    struct ox_str reasoning;
    struct ox_str content;
    const struct ox_recall_call *calls; /* [n_calls], at least 1 */
    size_t n_calls;
    const int32_t *ids; /* [n_ids], all that were drawn, the end token included */
    size_t n_ids;
};

/* Keep a copy, unless there is no memory for it or it alone is larger than the store. */
void ox_recall_keep(struct ox_recall *recall, const struct ox_recall_reply *reply);

/* Set ask->messages.replay for each assistant's message of ask->conversation that is a kept reply, unchanged: the same
 * content (blanks alone are none), the same calls in the same order (ids, names, and arguments as JSON values), and the
 * same reasoning. A message without reasoning gets that of the reply, which changes the conversation's trees: many clients
 * do not send it back. Does nothing where there is no memory, or no place in ask. */
void ox_recall_fill(struct ox_recall *recall, struct ox_ask *ask);

#endif
