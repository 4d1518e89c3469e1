/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenAI's way of saying things, where chat completions and completions agree.
 */
#include "server/api_openai.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "base/json_build.h"
#include "base/rng.h"
#include "base/utf8.h"

/* What stands for the logarithm of zero, which JSON cannot say. */
#define LEAST_LOGPROB (-9999.0)

bool ox_openai_refuse(struct ox_api_error *error, const char *code, const char *param, const char *format, ...)
{
    char message[sizeof error->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return ox_api_refuse(error, 400, "invalid_request_error", code, param, "%s", message);
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

static bool read_stream(const struct ox_json_at *root, struct ox_ask *ask, struct ox_api_error *error)
{
    const struct ox_json_at options = ox_json_member(root, "stream_options");
    return ox_api_read_bool(root, "stream", &ask->stream, error) && ox_api_maybe_object(&options, error) &&
           ox_api_read_bool(&options, "include_usage", &ask->include_usage, error);
}

bool ox_openai_read_limit(const struct ox_json_at *root, const char *key, struct ox_ask *ask,
                          struct ox_api_error *error)
{
    int64_t n = ask->sampling.n_predict;
    const struct ox_json_at limit = ox_json_member(root, key);
    if (json_is_integer(limit.value) && json_integer_value(limit.value) == 0) {
        return ox_api_expected(&limit, "at least 1", error);
    }
    if (!ox_api_read_natural(root, key, -1, INT32_MAX, &n, error)) {
        return false;
    }
    ask->sampling.n_predict = n > 0 ? (int32_t)n : 0;
    return true;
}

bool ox_openai_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask, struct ox_api_error *error)
{
    const struct ox_json_at root = ox_json_root(body, "request");
    int64_t n = 1;
    bool ignore_end = false;
    if (!json_is_object(body)) {
        return ox_openai_refuse(error, "invalid_value", NULL, "expected a JSON object");
    }
    if (!ox_api_read_model(context, body, error) || !read_stream(&root, ask, error) ||
        !ox_api_read_natural(&root, "n", 1, context->max_choices, &n, error) ||
        !ox_api_read_sampling(context, body, ask, error) || !ox_openai_read_limit(&root, "max_tokens", ask, error) ||
        !ox_api_read_bool(&root, "ignore_eos", &ignore_end, error)) {
        return false;
    }
    ask->body = json_incref(body);
    ask->n_choices = (int32_t)n;
    ask->sampling.ignore_end = ignore_end ? 1 : 0;
    return true;
}

bool ox_openai_read_effort(const struct ox_json_at *at, enum oxcart_thinking *out, struct ox_api_error *error)
{
    static const char *const names[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
    static const enum oxcart_thinking modes[] = {
        OXCART_THINKING_DISABLED, OXCART_THINKING_DISABLED, OXCART_THINKING_ADAPTIVE, OXCART_THINKING_ADAPTIVE,
        OXCART_THINKING_ENABLED,  OXCART_THINKING_ENABLED,  OXCART_THINKING_ENABLED};
    size_t which;
    if (at->value == NULL) {
        return true;
    }
    if (!ox_api_one_of(at, names, sizeof names / sizeof names[0], &which, error)) {
        return false;
    }
    *out = modes[which];
    return true;
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

bool ox_openai_begin(struct ox_openai_head *head, const struct ox_api_context *context, const struct ox_ask *ask,
                     const char *prefix, size_t n_prompt)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    head->context = context;
    head->ask = ask;
    head->created = (int64_t)now.tv_sec;
    head->n_left = ask->n_choices;
    head->total.n_prompt = (int32_t)n_prompt;
    head->total.n_cached = (int32_t)n_prompt;
    return ox_rng_id(prefix, head->id, sizeof head->id) == 0;
}

json_t *ox_openai_object(const struct ox_openai_head *head, const char *object, json_t *choices)
{
    const struct oxcart_engine_info *info = &head->context->info;
    char fingerprint[96];
    /* Equal seeds give equal answers where these are equal. */
    snprintf(fingerprint, sizeof fingerprint, "oxcart-%s-%s-%s", oxcart_version(),
             info->format != NULL ? info->format : "", info->cpu_level != NULL ? info->cpu_level : "");
    json_t *tree = json_object();
    ox_json_set(&tree, "id", ox_json_new_c(head->id));
    ox_json_set(&tree, "object", ox_json_new_c(object));
    ox_json_set(&tree, "created", json_integer(head->created));
    ox_json_set(&tree, "model", ox_json_new_c(head->context->alias));
    ox_json_set(&tree, "system_fingerprint", ox_json_new_c(fingerprint));
    ox_json_set(&tree, "choices", choices);
    return tree;
}

void ox_openai_add_chunk(const struct ox_openai_head *head, const char *object, json_t *choice, struct ox_buf *out)
{
    json_t *choices = json_array();
    ox_json_append(&choices, choice);
    json_t *tree = ox_openai_object(head, object, choices);
    if (head->ask->include_usage) {
        ox_json_set(&tree, "usage", json_null());
    } else if (head->n_left == 0) {
        ox_json_set(&tree, "timings", ox_api_timings(&head->total));
    }
    ox_api_add_event(out, NULL, tree);
}

static double longer(double a, double b)
{
    return a > b ? a : b;
}

bool ox_openai_count(struct ox_openai_head *head, const struct oxcart_result *result)
{
    struct oxcart_result *total = &head->total;
    total->n_cached = result->n_cached < total->n_cached ? result->n_cached : total->n_cached;
    total->n_media = result->n_media > total->n_media ? result->n_media : total->n_media;
    total->n_generated += result->n_generated;
    total->n_reasoning += result->n_reasoning;
    total->media_s = longer(result->media_s, total->media_s);
    total->prompt_s = longer(result->prompt_s, total->prompt_s);
    total->generate_s = longer(result->generate_s, total->generate_s);
    head->n_left--;
    return head->n_left == 0;
}

void ox_openai_set_totals(const struct ox_openai_head *head, json_t **object)
{
    ox_json_set(object, "usage", ox_api_usage(&head->total));
    ox_json_set(object, "timings", ox_api_timings(&head->total));
}

void ox_openai_add_end(const struct ox_openai_head *head, const char *object, struct ox_buf *out)
{
    if (head->ask->include_usage) {
        json_t *tree = ox_openai_object(head, object, json_array());
        ox_openai_set_totals(head, &tree);
        ox_api_add_event(out, NULL, tree);
    }
    ox_buf_add_c(out, "data: [DONE]\n\n");
}

json_t *ox_openai_finish(enum oxcart_finish finish)
{
    static const char *const names[] = {
        [OXCART_FINISH_STOP] = "stop",
        [OXCART_FINISH_LENGTH] = "length",
        [OXCART_FINISH_TOOL_CALLS] = "tool_calls",
    };
    return ox_json_new_c(names[finish]);
}

static json_t *text_or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? json_null() : ox_json_new_c(text);
}

static json_t *error_tree(const struct ox_api_error *error)
{
    json_t *inner = json_object();
    ox_json_set(&inner, "message", ox_json_new_c(error->message));
    ox_json_set(&inner, "type", text_or_null(error->type));
    ox_json_set(&inner, "param", text_or_null(error->param));
    ox_json_set(&inner, "code", text_or_null(error->code));
    json_t *tree = json_object();
    ox_json_set(&tree, "error", inner);
    return tree;
}

void ox_openai_add_error(const struct ox_api_error *error, struct ox_buf *out)
{
    json_t *tree = error_tree(error);
    ox_json_write(tree, out);
    json_decref(tree);
}

void ox_openai_ping(struct ox_buf *out)
{
    ox_buf_add_c(out, ": ping\n\n");
}

void ox_openai_fail(const struct ox_api_error *error, struct ox_buf *out)
{
    ox_api_add_event(out, "error", error_tree(error));
    ox_buf_add_c(out, "data: [DONE]\n\n");
}

/* ---- log-probabilities ------------------------------------------------------------------------------------------ */

void ox_openai_tokens_fini(struct ox_openai_tokens *tokens)
{
    json_decref(tokens->waiting);
    json_decref(tokens->content);
    *tokens = (struct ox_openai_tokens){0};
}

json_t *ox_openai_token_text(struct ox_str bytes, const char *prefix)
{
    if (ox_utf8_valid(bytes)) {
        return ox_json_new_text(bytes);
    }
    struct ox_buf text = {0};
    ox_buf_add_c(&text, prefix);
    for (size_t i = 0; i < bytes.len; i++) {
        ox_buf_printf(&text, "\\x%02x", (unsigned)(unsigned char)bytes.ptr[i]);
    }
    json_t *value = ox_buf_failed(&text) ? NULL : ox_json_new_text(ox_buf_str(&text));
    ox_buf_fini(&text);
    return value;
}

/* {"token", "logprob", "bytes"} */
static json_t *token_tree(struct ox_str bytes, double logprob)
{
    json_t *array = json_array();
    for (size_t i = 0; i < bytes.len; i++) {
        ox_json_append(&array, json_integer((unsigned char)bytes.ptr[i]));
    }
    json_t *tree = json_object();
    ox_json_set(&tree, "token", ox_openai_token_text(bytes, ""));
    ox_json_set(&tree, "logprob", ox_json_new_real(logprob > LEAST_LOGPROB ? logprob : LEAST_LOGPROB));
    ox_json_set(&tree, "bytes", array);
    return tree;
}

/* The tree of a token that the engine must spell. */
static json_t *spelled_tree(const struct ox_api_context *context, const struct oxcart_logprob *token)
{
    char *text = NULL;
    size_t len = 0;
    if (oxcart_decode(context->engine, &token->id, 1, 0, &text, &len, NULL) != OXCART_OK) {
        return NULL;
    }
    json_t *tree = token_tree(ox_str_make(text, len), token->logprob);
    oxcart_free(text);
    return tree;
}

/* Does a token give text where special ones do not? */
static bool makes_text(const struct ox_api_context *context, int32_t id, bool *failed)
{
    char *text = NULL;
    size_t len = 0;
    if (oxcart_decode(context->engine, &id, 1, OXCART_TEXT_SKIP_SPECIAL, &text, &len, NULL) != OXCART_OK) {
        *failed = true;
        return false;
    }
    oxcart_free(text);
    return len > 0;
}

void ox_openai_tokens_add(struct ox_openai_tokens *tokens, const struct ox_api_context *context,
                          const struct oxcart_event *event)
{
    if (event->n_logprobs == 0 || !makes_text(context, event->id, &tokens->failed)) {
        return;
    }
    json_t *best = json_array();
    for (size_t i = 1; i < event->n_logprobs; i++) {
        ox_json_append(&best, spelled_tree(context, &event->logprobs[i]));
    }
    json_t *tree = token_tree(ox_str_make(event->text, event->text_bytes), event->logprobs[0].logprob);
    ox_json_set(&tree, "top_logprobs", best);
    if (tokens->waiting == NULL) {
        tokens->waiting = json_array();
    }
    ox_json_append(&tokens->waiting, tree);
    tokens->failed = tokens->failed || tokens->waiting == NULL;
}

void ox_openai_tokens_settle(struct ox_openai_tokens *tokens, bool is_content)
{
    if (tokens->waiting == NULL) {
        return;
    }
    if (is_content && tokens->content == NULL) {
        tokens->content = tokens->waiting;
        tokens->waiting = NULL;
        return;
    }
    if (is_content && json_array_extend(tokens->content, tokens->waiting) != 0) {
        tokens->failed = true;
    }
    json_decref(tokens->waiting);
    tokens->waiting = NULL;
}

json_t *ox_openai_tokens_take(struct ox_openai_tokens *tokens)
{
    json_t *content = tokens->content != NULL ? tokens->content : json_array();
    tokens->content = NULL;
    if (tokens->failed) {
        json_decref(content);
        return NULL;
    }
    return content;
}
