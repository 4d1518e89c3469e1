/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies that were drawn here, put into a later prompt token for token. They are believed only as far as they say what
 * the conversation says: both are read by the reply parser and compared.
 */
#ifndef OX_ENGINE_REPLAY_H
#define OX_ENGINE_REPLAY_H

#include "engine/engine.h"
#include "text/chat.h"

/* Instead of bytes [begin, end) of the rendered text: the token that the generation prompt ended with, then ids. */
struct ox_replayed {
    size_t begin;
    size_t end;
    int32_t tag; /* -1: none */
    const int32_t *ids; /* [n_ids] the caller's */
    size_t n_ids;
};

/* Choose those of options' replays that may stand in the rendered prompt, in the order of the text; *out is to be freed
 * with ox_free. options may be NULL. */
enum ox_status ox_replay_choose(const struct oxcart_engine *engine, const struct ox_chat *chat,
                                const struct oxcart_messages_options *options, const struct ox_prompt *prompt,
                                struct ox_replayed **out, size_t *n, struct ox_error *err) OX_MUST_USE;

/* Encode the rendered text with these in it, appending to ids. allow_special: as in options. */
enum ox_status ox_replay_encode(const struct oxcart_engine *engine, const struct ox_prompt *prompt, bool allow_special,
                                const struct ox_replayed *replayed, size_t n, struct ox_ids *ids,
                                struct ox_error *err) OX_MUST_USE;

#endif
