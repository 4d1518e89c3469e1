/* SPDX-License-Identifier: Apache-2.0
 *
 * A prompt of requests from the inside: token ids, the media that stand for some of them, and what the reply's parser must know.
 * Counted references, because requests outlive the caller's handle.
 */
#ifndef OX_ENGINE_REQUEST_PROMPT_H
#define OX_ENGINE_REQUEST_PROMPT_H

#include <jansson.h>
#include <stdatomic.h>

#include "engine/prompt.h"

struct oxcart_prompt {
    atomic_size_t n_references;
    struct ox_ids ids;
    struct ox_spans spans; /* which of them stand for pictures and clips */
    struct ox_pictures pictures; /* these, not encoded */
    bool chat;                /* a rendered conversation: its reply is parsed */
    bool starts_in_reasoning; /* ... whose generation prompt opened the thinking block */
    json_t *tools;            /* ... with these tools, or NULL */
};

enum ox_status ox_prompt_from_tokens(const struct oxcart_engine *engine, const int32_t *ids, size_t n,
                                     struct oxcart_prompt **out, struct ox_error *err) OX_MUST_USE;

/* options as in oxcart.h, may be NULL. OX_E_STATE without a tokenizer. */
enum ox_status ox_prompt_from_messages(const struct oxcart_engine *engine, struct ox_str json,
                                       const struct oxcart_messages_options *options, struct oxcart_prompt **out,
                                       struct ox_error *err) OX_MUST_USE;

/* One more reference to it, for ox_prompt_release. The prompt is not written to otherwise. */
struct oxcart_prompt *ox_prompt_keep(struct oxcart_prompt *prompt);
void ox_prompt_release(struct oxcart_prompt *prompt);

#endif
