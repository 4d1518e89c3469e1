/* SPDX-License-Identifier: Apache-2.0
 *
 * What OpenAI's chat completions and completions share: members of requests, the head of replies, log-probabilities,
 * errors and the end of streams.
 */
#ifndef OX_SERVER_API_OPENAI_H
#define OX_SERVER_API_OPENAI_H

#include "server/api_values.h"

#define OX_OPENAI_MAX_LOGPROBS 20

/* Refuse with 400 and type "invalid_request_error"; returns false. */
bool ox_openai_refuse(struct ox_api_error *error, const char *code, const char *param, const char *format, ...)
    OX_PRINTF(4, 5);

/* Read what both kinds of request have: model (another name than the alias is refused with 404), stream, stream_options,
 * n, seed, sampling, stop strings, max_tokens, and vLLM's ignore_eos. */
bool ox_openai_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask, struct ox_api_error *error);

/* Read a limit of tokens: 1 and more, or -1, "until the model stops". */
bool ox_openai_read_limit(const struct ox_json_at *root, const char *key, struct ox_ask *ask,
                          struct ox_api_error *error);

/* Read a wish for thinking: none and minimal disable it, low and medium leave it to the model, high, xhigh and max demand
 * it. False for another value; nothing is set if there is none. */
bool ox_openai_read_effort(const struct ox_json_at *at, enum oxcart_thinking *out, struct ox_api_error *error);

/* ---- replies ---------------------------------------------------------------------------------------------------- */

/* What every object of one reply begins with, and the sums of its choices. */
struct ox_openai_head {
    const struct ox_api_context *context;
    const struct ox_ask *ask;
    char id[40];
    int64_t created;
    int32_t n_left;             /* choices that are not done */
    struct oxcart_result total; /* of those that are */
};

/* False: no unguessable bytes for the id. */
bool ox_openai_begin(struct ox_openai_head *head, const struct ox_api_context *context, const struct ox_ask *ask,
                     const char *prefix, size_t n_prompt);

/* {"id", "object", "created", "model", "system_fingerprint", "choices": choices (taken)} */
json_t *ox_openai_object(const struct ox_openai_head *head, const char *object, json_t *choices);

/* The same with one choice (taken), as an event of a stream. With include_usage each has a "usage", null but in the last
 * one. */
void ox_openai_add_chunk(const struct ox_openai_head *head, const char *object, json_t *choice, struct ox_buf *out);

/* A choice is done: add up. True if it was the last. Tokens of choices are summed; of the prompt, what was found for all of
 * them counts as cached; of times the longest counts. */
bool ox_openai_count(struct ox_openai_head *head, const struct oxcart_result *result);

/* Add "usage" and "timings" to an object. */
void ox_openai_set_totals(const struct ox_openai_head *head, json_t **object);

/* The end of a stream: the piece with the usage, if it was asked for, and "[DONE]". */
void ox_openai_add_end(const struct ox_openai_head *head, const char *object, struct ox_buf *out);

/* "stop", "length" or "tool_calls". */
json_t *ox_openai_finish(enum oxcart_finish finish);

/* The error, ping and fail of struct ox_api. A stream that breaks off gets an event "error" and its end. */
void ox_openai_add_error(const struct ox_api_error *error, struct ox_buf *out);
void ox_openai_ping(struct ox_buf *out);
void ox_openai_fail(const struct ox_api_error *error, struct ox_buf *out);

/* ---- log-probabilities ------------------------------------------------------------------------------------------ */

/* The tokens of one choice's content. A token is told before its text, which may be held back (the beginning of a stop
 * string, half a character) or turn out to be no content at all: so it waits until text comes, and goes with it. Tokens
 * that make no text (the end of the message, marks of thinking) are left out. All zero is empty. */
struct ox_openai_tokens {
    json_t *waiting; /* array of {"token", "logprob", "bytes", "top_logprobs"}, NULL: empty */
    json_t *content; /* the same */
    bool failed;     /* out of memory */
};
void ox_openai_tokens_fini(struct ox_openai_tokens *tokens);

/* A token was drawn. */
void ox_openai_tokens_add(struct ox_openai_tokens *tokens, const struct ox_api_context *context,
                          const struct oxcart_event *event);

/* Text came: those that wait belong to it, and are content or not. */
void ox_openai_tokens_settle(struct ox_openai_tokens *tokens, bool is_content);

/* Hand out the content's tokens so far, an array; the caller owns it. NULL: out of memory. */
json_t *ox_openai_tokens_take(struct ox_openai_tokens *tokens);

/* A token's text: where its bytes are no UTF-8, prefix and each byte as "\xE2". */
json_t *ox_openai_token_text(struct ox_str bytes, const char *prefix);

#endif
