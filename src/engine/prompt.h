/* SPDX-License-Identifier: Apache-2.0
 *
 * From conversations, pictures and clips to what a timeline is made of: token ids, and which of them stand for a
 * picture's features.
 */
#ifndef OX_ENGINE_PROMPT_H
#define OX_ENGINE_PROMPT_H

#include "engine/pictures.h"
#include "text/chat.h"

/* Tokens [begin, begin + n) of a timeline stand for features [row, row + n) of picture. */
struct ox_span {
    size_t begin;
    size_t n;
    size_t row;
    struct ox_picture *picture;
};

/* Spans in ascending order, disjoint. All zero is none. */
struct ox_spans {
    struct ox_span *ptr;
    size_t len;
    size_t cap;
};

void ox_spans_fini(struct ox_spans *spans);

/* 0, or -1 when out of memory. */
int ox_spans_add(struct ox_spans *spans, const struct ox_span *span) OX_MUST_USE;

/* Forget what lies at or behind token n. */
void ox_spans_cut(struct ox_spans *spans, size_t n);

/* The span that token `at` is in, or NULL. */
const struct ox_span *ox_spans_find(const struct ox_spans *spans, size_t at);

/* Walks through spans by ascending token; zero it but for spans. */
struct ox_span_cursor {
    const struct ox_spans *spans;
    size_t i;
};

/* The span that token `at` is in, or NULL; `at` must not fall between calls. */
const struct ox_span *ox_span_at(struct ox_span_cursor *cursor, size_t at);

/* Ids with the spans among them; begin counts from the first of these ids. All zero is empty. */
struct ox_encoded {
    struct ox_ids ids;
    struct ox_spans spans;
};

void ox_encoded_fini(struct ox_encoded *encoded);

/* Put the pictures, in order, on the placeholders among encoded->ids. OX_E_ARG unless there are exactly as many of each
 * kind, in this order, as the pictures have features. */
enum ox_status ox_encoded_place(const struct ox_config *config, struct ox_picture *const *pictures, size_t n,
                                struct ox_encoded *encoded, struct ox_error *err) OX_MUST_USE;

/* Read a conversation and render it. options may be NULL; *chat and *prompt are the caller's to free in any case, all zero
 * at first. OX_E_STATE without a tokenizer. */
enum ox_status ox_prompt_render(const struct oxcart_engine *engine, struct ox_str json,
                                const struct oxcart_messages_options *options, struct ox_chat **chat,
                                struct ox_prompt *prompt, struct ox_error *err) OX_MUST_USE;

/* Encode chat's rendered prompt, whose media name their sources, or are taken from options. Pictures are loaded, not
 * encoded. Replays of options stand where they may. options may be NULL. */
enum ox_status ox_prompt_encode(const struct oxcart_engine *engine, struct ox_pictures *pictures,
                                const struct oxcart_messages_options *options, const struct ox_chat *chat,
                                struct ox_prompt *prompt, struct ox_encoded *out, struct ox_error *err) OX_MUST_USE;

#endif
