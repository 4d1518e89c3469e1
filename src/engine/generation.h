/* SPDX-License-Identifier: Apache-2.0
 *
 * One answer in the making, apart from where its logits come from: how its tokens are drawn, what they mean, and when it
 * is over. A session's decoding and the scheduler's requests are both made of it, so that they give the same text.
 */
#ifndef OX_ENGINE_GENERATION_H
#define OX_ENGINE_GENERATION_H

#include <stdbool.h>

#include "base/buf.h"
#include "engine/constraint.h"
#include "engine/engine.h"
#include "engine/sampler.h"
#include "text/reply.h"

/* Most alternatives of a token that a caller may ask for. */
#define OX_MAX_LOGPROBS 20

struct ox_generation {
    const struct oxcart_engine *engine;
    struct oxcart_sampling options; /* resolved; bias and stop are copies of the caller's, no other pointer is kept */
    oxcart_event_handler handler;   /* may be NULL */
    void *user;
    struct ox_reply *reply;          /* conversations only */
    struct ox_buf bytes;             /* plain text: bytes that may become a character */
    struct ox_buf held;              /* content that may begin a stop string */
    uint32_t *n_drawn;               /* [vocab] the owner's, zeros at first: how often each id was drawn */
    struct oxcart_logprob *logprobs; /* [1 + n_logprobs]: the drawn id, then the best */
    size_t n_logprobs;               /* of them in use */
    struct oxcart_bias *own_bias;    /* what options.bias and options.stop point to */
    const char **own_stop;
    struct ox_constraint constraint;
    bool stopped; /* a stop string was found */
    bool ended;   /* an end token was drawn, or would have been if the model had one */
    struct ox_rng rng;
    struct oxcart_result result; /* seed, n_generated, n_reasoning and finish; the rest is the owner's */
};

/* Begin an answer. sampling NULL: the defaults; otherwise checked and copied. chat: the reply is parsed, with these tools
 * (borrowed, may be NULL) and in reasoning already if so; last is the last id before it, -1 if there is none. The owner
 * sets out->n_drawn before the first draw. *out must not be moved. On failure it needs no fini. OX_E_ARG for options that
 * make no sense, OX_E_STATE for a constraint that this model or conversation has no use for. A constraint takes the
 * engine's turn for a moment. */
enum ox_status ox_generation_init(struct oxcart_engine *engine, const struct oxcart_sampling *sampling, bool chat,
                                  json_t *tools, bool starts_in_reasoning, int32_t last,
                                  oxcart_event_handler handler, void *user, struct ox_generation *out,
                                  struct ox_error *err) OX_MUST_USE;
void ox_generation_fini(struct ox_generation *g);

/* Is the answer over: by an end token, a stop string, or n_predict? */
bool ox_generation_is_over(const struct ox_generation *g);

/* Draw the next id from logits [vocab], those of token n of the timeline, within the constraint, and note the
 * log-probabilities that were asked for. *id is -1 where a constrained answer is complete and the model has no token to
 * say so: the answer is over then. OX_E_FORMAT if the logits allow none. scratch is used for its arrays only. Answers may
 * be drawn at the same time, with a scratch each. */
enum ox_status ox_generation_draw(struct ox_generation *g, const struct ox_sampler *scratch, const float *logits,
                                  size_t n, int32_t *id, struct ox_error *err) OX_MUST_USE;

/* Take the drawn id into the answer and tell the handler of it and of what its text makes. OX_E_CANCELLED if the handler
 * says so. */
enum ox_status ox_generation_take(struct ox_generation *g, int32_t id, struct ox_error *err) OX_MUST_USE;

/* The answer is over: what is held back comes out, and result.finish is set. */
enum ox_status ox_generation_finish(struct ox_generation *g, struct ox_error *err) OX_MUST_USE;

#endif
