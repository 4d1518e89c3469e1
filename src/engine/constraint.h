/* SPDX-License-Identifier: Apache-2.0
 *
 * A reply held to a grammar: which ids may be drawn next, thinking included. Thinking is free; where a reply may still
 * begin with it, its tags are allowed too; once it is over, or the answer has begun, the grammar alone decides.
 */
#ifndef OX_ENGINE_CONSTRAINT_H
#define OX_ENGINE_CONSTRAINT_H

#include "engine/engine.h"
#include "text/matcher.h"

/* All zero: no constraint. */
struct ox_constraint {
    struct oxcart_engine *engine; /* outlives it */
    struct ox_shared_grammar *grammar; /* one of the engine's */
    struct ox_matcher *matcher; /* NULL: everything is allowed */
    uint64_t *allowed;          /* [n_words] */
    size_t n_words;
    struct ox_ids ends;
    bool may_think; /* nothing of the answer is there, and no thinking has ended */
};

/* Begin a reply as options ask. chat: it is one in a conversation, with these tools (borrowed, may be NULL); last is the
 * last id before it. OX_E_ARG: options or schema make no sense; OX_E_STATE: there is no tokenizer, or tools are wanted
 * where there are none. Release with ox_constraint_fini in any case, before the engine is closed. Takes the engine's turn. A grammar
 * that was made for the same options and tools lately is used again. */
enum ox_status ox_constraint_begin(struct ox_constraint *c, struct oxcart_engine *engine, bool chat,
                                   json_t *tools, int32_t last, const struct oxcart_sampling *options,
                                   struct ox_error *err) OX_MUST_USE;
void ox_constraint_fini(struct ox_constraint *c);

/* Can a reply be held to the options? The grammar is kept for it. */
enum ox_status ox_constraint_check(struct oxcart_engine *engine, json_t *tools, const struct oxcart_sampling *options,
                                   struct ox_error *err) OX_MUST_USE;

/* The ids that may come next, a bit each, in c->allowed. reasoning: the reply is in its thinking. */
enum ox_status ox_constraint_mask(struct ox_constraint *c, bool reasoning, struct ox_error *err) OX_MUST_USE;

/* Note an id that was drawn under the last mask. */
enum ox_status ox_constraint_take(struct ox_constraint *c, bool reasoning, int32_t id,
                                  struct ox_error *err) OX_MUST_USE;

/* May the reply end here? */
bool ox_constraint_is_complete(const struct ox_constraint *c);

#endif
