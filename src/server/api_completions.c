/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenAI's completions: a prompt without a format, a string or tokens, and the text that follows it. One prompt a request.
 */
#include "base/json.h"
#include "base/json_build.h"
#include "base/mem.h"
#include "server/api_openai.h"

#define OBJECT "text_completion"

/* ---- requests --------------------------------------------------------------------------------------------------- */

static bool refuse_prompt(struct ox_api_error *error)
{
    return ox_openai_refuse(error, "invalid_value", "prompt",
                            "prompt: expected a string, an array of token ids, or an array with one of these");
}

/* Encode text; what spells control tokens is ordinary text unless the request allows it. */
static bool read_text(const struct ox_api_context *context, struct ox_str text, bool allow_special, struct ox_ask *ask,
                      struct ox_api_error *error)
{
    struct oxcart_error err = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    const enum oxcart_status status =
        oxcart_encode(context->engine, text.ptr, text.len, allow_special ? 0 : OXCART_TEXT_PLAIN, &ids, &n, &err);
    if (status != OXCART_OK) {
        ox_api_error_of(status, &err, error);
        return false;
    }
    ask->ids = ox_calloc(n, sizeof *ask->ids);
    if (ask->ids != NULL && n > 0) {
        memcpy(ask->ids, ids, n * sizeof *ids);
    }
    ask->n_ids = n;
    oxcart_free(ids);
    return ask->ids != NULL || ox_api_refuse_nomem(error);
}

static bool read_ids(const struct ox_api_context *context, const json_t *array, struct ox_ask *ask,
                     struct ox_api_error *error)
{
    const size_t n = json_array_size(array);
    ask->ids = ox_calloc(n, sizeof *ask->ids);
    if (ask->ids == NULL) {
        return ox_api_refuse_nomem(error);
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);
        const json_int_t id = json_integer_value(item);
        if (!json_is_integer(item)) {
            return refuse_prompt(error);
        }
        if (id < 0 || id >= context->info.n_vocab) {
            return ox_openai_refuse(error, "invalid_value", "prompt", "prompt: token %lld is not one of 0 to %d",
                                    (long long)id, (int)(context->info.n_vocab - 1));
        }
        ask->ids[i] = (int32_t)id;
    }
    ask->n_ids = n;
    return true;
}

static bool read_prompt(const struct ox_api_context *context, const struct ox_json_at *root, struct ox_ask *ask,
                        struct ox_api_error *error)
{
    bool allow_special = false;
    if (!ox_api_read_bool(root, "allow_special_tokens", &allow_special, error)) {
        return false;
    }
    const json_t *prompt = json_object_get(root->value, "prompt");
    const json_t *first = json_array_get(prompt, 0);
    if (json_is_string(first) || json_is_array(first)) {
        if (json_array_size(prompt) > 1) {
            return ox_openai_refuse(error, "unsupported_value", "prompt",
                                    "prompt: expected one prompt a request, found %zu", json_array_size(prompt));
        }
        prompt = first;
    }
    if (!json_is_string(prompt) && !json_is_array(prompt)) {
        return refuse_prompt(error);
    }
    if (json_is_string(prompt) && !read_text(context, ox_json_text(prompt), allow_special, ask, error)) {
        return false;
    }
    if (json_is_array(prompt) && !read_ids(context, prompt, ask, error)) {
        return false;
    }
    return ask->n_ids > 0 ||
           ox_openai_refuse(error, "invalid_value", "prompt", "prompt: expected at least one token, found none");
}

/* Members that ask for what does not exist here. */
static bool refuse_others(const json_t *body, const struct ox_ask *ask, struct ox_api_error *error)
{
    const json_t *suffix = json_object_get(body, "suffix");
    const json_t *best_of = json_object_get(body, "best_of");
    if (suffix != NULL && !json_is_null(suffix) && !ox_str_is(ox_json_text(suffix), "")) {
        return ox_openai_refuse(error, "unsupported_value", "suffix",
                                "suffix: the model completes text at its end only, it cannot insert");
    }
    if (suffix != NULL && !json_is_null(suffix) && !json_is_string(suffix)) {
        return ox_openai_refuse(error, "invalid_value", "suffix", "suffix: expected a string");
    }
    if (best_of != NULL && !json_is_null(best_of) && json_integer_value(best_of) != ask->n_choices) {
        return ox_openai_refuse(error, "unsupported_value", "best_of",
                                "best_of: expected the same number as n: all answers are returned");
    }
    return true;
}

static bool read_logprobs(const struct ox_json_at *root, struct ox_ask *ask, struct ox_api_error *error)
{
    int64_t n = -1;
    if (!ox_api_read_natural(root, "logprobs", 0, OX_OPENAI_MAX_LOGPROBS, &n, error)) {
        return false;
    }
    if (n >= 0 && ask->echo) {
        return ox_openai_refuse(error, "unsupported_value", "logprobs",
                                "logprobs: not together with echo: the prompt's log-probabilities are not computed");
    }
    ask->sampling.has_logprobs = n >= 0 ? 1 : 0;
    ask->sampling.n_logprobs = n > 0 ? (int32_t)n : 0;
    return true;
}

static bool completions_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask,
                             struct ox_api_error *error)
{
    const struct ox_json_at root = ox_json_root(body, "request");
    return ox_openai_read(context, body, ask, error) && refuse_others(body, ask, error) &&
           ox_api_read_bool(&root, "echo", &ask->echo, error) && read_logprobs(&root, ask, error) &&
           read_prompt(context, &root, ask, error);
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

struct choice {
    struct ox_buf text; /* replies that are whole */
    struct ox_openai_tokens tokens;
    size_t offset; /* characters before the next token */
    enum oxcart_finish finish;
};

struct ox_reply {
    struct ox_openai_head head;
    struct ox_buf echo; /* the prompt's text, if it is wanted */
    struct choice *choices;
};

static void completions_reply_free(struct ox_reply *reply)
{
    if (reply == NULL) {
        return;
    }
    for (int32_t i = 0; reply->choices != NULL && i < reply->head.ask->n_choices; i++) {
        ox_buf_fini(&reply->choices[i].text);
        ox_openai_tokens_fini(&reply->choices[i].tokens);
    }
    ox_free(reply->choices);
    ox_buf_fini(&reply->echo);
    ox_free(reply);
}

/* The prompt as it came, or what its tokens say. */
static void add_prompt(const struct ox_api_context *context, const struct ox_ask *ask, struct ox_buf *out)
{
    const json_t *prompt = json_object_get(ask->body, "prompt");
    const json_t *first = json_array_get(prompt, 0);
    const json_t *text = json_is_string(first) ? first : prompt;
    if (json_is_string(text)) {
        ox_buf_add_str(out, ox_json_text(text));
        return;
    }
    char *decoded = NULL;
    size_t len = 0;
    if (oxcart_decode(context->engine, ask->ids, ask->n_ids, 0, &decoded, &len, NULL) != OXCART_OK) {
        out->failed = true;
        return;
    }
    ox_buf_add(out, decoded, len);
    oxcart_free(decoded);
}

static struct ox_reply *completions_reply_new(const struct ox_api_context *context, const struct ox_ask *ask,
                                              size_t n_prompt)
{
    struct ox_reply *reply = ox_calloc(1, sizeof *reply);
    if (reply == NULL) {
        return NULL;
    }
    const bool begun = ox_openai_begin(&reply->head, context, ask, "cmpl-", n_prompt);
    reply->choices = ox_calloc((size_t)ask->n_choices, sizeof *reply->choices);
    if (ask->echo) {
        add_prompt(context, ask, &reply->echo);
    }
    if (!begun || reply->choices == NULL || ox_buf_failed(&reply->echo)) {
        completions_reply_free(reply);
        return NULL;
    }
    return reply;
}

/* How many characters begin in these bytes. */
static size_t count_characters(const json_t *bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(bytes); i++) {
        n += (json_integer_value(json_array_get(bytes, i)) & 0xC0) != 0x80 ? 1 : 0;
    }
    return n;
}

/* A token as this API names it: not the text that chat completions give to bytes that are no UTF-8. */
static json_t *old_name(const json_t *token)
{
    const json_t *bytes = json_object_get(token, "bytes");
    struct ox_buf text = {0};
    for (size_t i = 0; i < json_array_size(bytes); i++) {
        ox_buf_add_byte(&text, (char)json_integer_value(json_array_get(bytes, i)));
    }
    json_t *name = ox_buf_failed(&text) ? NULL : ox_openai_token_text(ox_buf_str(&text), "bytes:");
    ox_buf_fini(&text);
    return name;
}

/* Set object[name of token] = its logarithm, unless a better token has that name. */
static void set_best(json_t **object, const json_t *token)
{
    json_t *name = old_name(token);
    const struct ox_str key = ox_json_text(name);
    if (name == NULL || *object == NULL) {
        json_decref(*object);
        *object = NULL;
    } else if (json_object_getn(*object, key.ptr, key.len) == NULL &&
               json_object_setn_new_nocheck(*object, key.ptr, key.len,
                                            json_incref(json_object_get(token, "logprob"))) != 0) {
        json_decref(*object);
        *object = NULL;
    }
    json_decref(name);
}

/* {"tokens", "token_logprobs", "top_logprobs", "text_offset"} of the tokens that came since the last call. */
static json_t *take_logprobs(struct choice *choice)
{
    json_t *content = ox_openai_tokens_take(&choice->tokens);
    json_t *names = json_array();
    json_t *logprobs = json_array();
    json_t *bests = json_array();
    json_t *offsets = json_array();
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *token = json_array_get(content, i);
        const json_t *top = json_object_get(token, "top_logprobs");
        json_t *best = json_object();
        for (size_t j = 0; j < json_array_size(top); j++) {
            set_best(&best, json_array_get(top, j));
        }
        set_best(&best, token);
        ox_json_append(&names, old_name(token));
        ox_json_append(&logprobs, json_incref(json_object_get(token, "logprob")));
        ox_json_append(&bests, best);
        ox_json_append(&offsets, ox_json_new_natural(choice->offset));
        choice->offset += count_characters(json_object_get(token, "bytes"));
    }
    json_t *object = content != NULL ? json_object() : NULL;
    ox_json_set(&object, "tokens", names);
    ox_json_set(&object, "token_logprobs", logprobs);
    ox_json_set(&object, "top_logprobs", bests);
    ox_json_set(&object, "text_offset", offsets);
    json_decref(content);
    return object;
}

/* {"index", "text", "logprobs", "finish_reason" (taken)} */
static json_t *choice_tree(struct ox_reply *reply, int32_t i, struct ox_str text, json_t *finish)
{
    json_t *tree = json_object();
    ox_json_set(&tree, "index", json_integer(i));
    ox_json_set(&tree, "text", ox_json_new_text(text));
    const bool wanted = reply->head.ask->sampling.has_logprobs != 0;
    ox_json_set(&tree, "logprobs", wanted ? take_logprobs(&reply->choices[i]) : json_null());
    ox_json_set(&tree, "finish_reason", finish);
    return tree;
}

static void completions_begin(struct ox_reply *reply, struct ox_buf *out)
{
    for (int32_t i = 0; reply->head.ask->echo && i < reply->head.ask->n_choices; i++) {
        ox_openai_add_chunk(&reply->head, OBJECT, choice_tree(reply, i, ox_buf_str(&reply->echo), json_null()), out);
    }
}

static bool completions_event(struct ox_reply *reply, int32_t i, const struct oxcart_event *event, struct ox_buf *out)
{
    struct choice *choice = &reply->choices[i];
    if (event->kind == OXCART_EVENT_TOKEN) {
        ox_openai_tokens_add(&choice->tokens, reply->head.context, event);
    } else if (event->kind == OXCART_EVENT_CONTENT) {
        const struct ox_str text = ox_str_make(event->text, event->text_bytes);
        ox_openai_tokens_settle(&choice->tokens, true);
        if (reply->head.ask->stream) {
            ox_openai_add_chunk(&reply->head, OBJECT, choice_tree(reply, i, text, json_null()), out);
        } else {
            ox_buf_add_str(&choice->text, text);
        }
    }
    return !choice->tokens.failed && !ox_buf_failed(&choice->text) && !ox_buf_failed(out);
}

/* The reply that is not a stream. */
static void add_whole(struct ox_reply *reply, struct ox_buf *out)
{
    json_t *choices = json_array();
    for (int32_t i = 0; i < reply->head.ask->n_choices; i++) {
        struct choice *choice = &reply->choices[i];
        struct ox_buf text = {0};
        ox_buf_add_str(&text, ox_buf_str(&reply->echo));
        ox_buf_add_str(&text, ox_buf_str(&choice->text));
        ox_json_append(&choices, ox_buf_failed(&text)
                                     ? NULL
                                     : choice_tree(reply, i, ox_buf_str(&text), ox_openai_finish(choice->finish)));
        ox_buf_fini(&text);
    }
    json_t *tree = ox_openai_object(&reply->head, OBJECT, choices);
    ox_openai_set_totals(&reply->head, &tree);
    ox_json_write(tree, out);
    json_decref(tree);
}

static bool completions_end(struct ox_reply *reply, int32_t i, const struct oxcart_result *result, struct ox_buf *out)
{
    const bool last = ox_openai_count(&reply->head, result);
    reply->choices[i].finish = result->finish;
    if (reply->head.ask->stream) {
        json_t *finish = ox_openai_finish(result->finish);
        ox_openai_add_chunk(&reply->head, OBJECT, choice_tree(reply, i, ox_str_c(""), finish), out);
    }
    if (last && reply->head.ask->stream) {
        ox_openai_add_end(&reply->head, OBJECT, out);
    } else if (last) {
        add_whole(reply, out);
    }
    return !ox_buf_failed(out);
}

static void completions_fail(struct ox_reply *reply, const struct ox_api_error *error, struct ox_buf *out)
{
    (void)reply;
    ox_openai_fail(error, out);
}

const struct ox_api ox_api_completions = {
    .read = completions_read,
    .reply_new = completions_reply_new,
    .reply_free = completions_reply_free,
    .begin = completions_begin,
    .event = completions_event,
    .end = completions_end,
    .fail = completions_fail,
    .ping = ox_openai_ping,
    .error = ox_openai_add_error,
};
