/* SPDX-License-Identifier: Apache-2.0
 *
 * A session from the inside: one timeline of tokens, its KV cache and the scratch of its passes.
 *
 * The timeline (ids) may be longer than what has been computed (kv.n_tokens): the token drawn last is computed only
 * when another one is wanted.
 */
#ifndef OX_ENGINE_SESSION_H
#define OX_ENGINE_SESSION_H

#include "engine/engine.h"
#include "engine/prompt.h"
#include "engine/sampler.h"
#include "text/tokenizer.h"

/* Rows whose logits a session can hold at a time: score asks for all of a batch. */
#define OX_SESSION_LOGITS 32

struct oxcart_session {
    struct oxcart_engine *engine;
    size_t n_ctx;
    struct ox_kv_layout layout;
    struct ox_kv_pool *pool;
    struct ox_kv kv;
    struct ox_state *state;
    struct ox_row *rows; /* [max_rows] */
    size_t max_rows;
    size_t batch_rows; /* of a prompt in one pass, as long as passes take about a second */
    struct ox_ids ids;
    struct ox_spans spans; /* which of them stand for pictures */
    struct ox_pictures pictures;
    const float *logits; /* of the last token, NULL if they must be computed; owned by state */
    struct ox_sampler sampler;
    void (*on_message)(void *user, enum oxcart_log_level level, const char *text);
    void *on_message_user;
    oxcart_prompt_handler on_prompt;
    void *on_prompt_user;
    bool chat;                /* the timeline is a rendered conversation */
    bool starts_in_reasoning; /* ... whose generation prompt opened the thinking block */
    json_t *tools;            /* ... with these tools, or NULL */
    size_t n_cached;
    uint64_t prompt_begin_ns;
    double prompt_s;
    size_t n_media; /* of the tokens that this computed, those of pictures */
    double media_s;
};

/* The context and the KV format that options (NULL: the defaults) ask for; OX_E_ARG if the model has no such. */
enum ox_status ox_session_choose(const struct oxcart_engine *engine, const struct oxcart_session_options *options,
                                 size_t *n_ctx, enum ox_kv_format *kv, struct ox_error *err) OX_MUST_USE;

/* Compute what of the timeline is not computed yet, so that session->logits are those of its last token.
 * OX_E_CANCELLED if the prompt handler says so. Takes the engine's turn. */
enum ox_status ox_session_compute(struct oxcart_session *session, struct ox_error *err) OX_MUST_USE;

/* Nothing is being computed: features may go, and pictures that the timeline does not point to (ox_pictures_trim). */
void ox_session_trim_pictures(struct oxcart_session *session);

#endif
