/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies of Anthropic's Messages API: a message of blocks (thinking, text, tool_use), whole or as a stream of events.
 * A signature of thinking is only a checksum: clients hand it back, nobody here looks at it.
 */
#include <stdio.h>

#include "base/json_build.h"
#include "base/mem.h"
#include "base/rng.h"
#include "server/api_parts.h"
#include "server/api_talk.h"
#include "text/markers.h"

#define CALL_PREFIX "toolu_"

struct ox_reply {
    const struct ox_api_context *context;
    const struct ox_ask *ask;
    size_t n_prompt;
    char id[29];
    struct ox_parts parts;
    struct ox_buf *out; /* of the call that is going on */
    struct ox_buf tail; /* bytes of the latest tokens, enough to find a stop string that ends in the last one */
    size_t last_bytes;  /* of these, the last one's */
};

/* ---- trees ------------------------------------------------------------------------------------------------------ */

static json_t *prefixed(const char *prefix, const char *id)
{
    char text[48];
    snprintf(text, sizeof text, "%s%s", prefix, id);
    return ox_json_new_c(text);
}

static json_t *signature_of(const struct ox_part *part)
{
    char text[32];
    snprintf(text, sizeof text, "oxcart-%016llx", (unsigned long long)ox_str_hash(ox_buf_str(&part->text)));
    return ox_json_new_c(text);
}

/* A call's arguments as a tree. Integers beyond 64 bits become floating-point; what is no JSON stays text. */
static json_t *input_of(const struct ox_part *part)
{
    const size_t flags = JSON_ALLOW_NUL | JSON_DECODE_ANY;
    json_t *input = json_loadb(ox_buf_text(&part->text), part->text.len, flags, NULL);
    if (input == NULL) {
        input = json_loadb(ox_buf_text(&part->text), part->text.len, flags | JSON_DECODE_INT_AS_REAL, NULL);
    }
    return input != NULL ? input : ox_json_new_text(ox_buf_str(&part->text));
}

/* A part as a block: whole, or as the beginning of one. */
static json_t *block_of(const struct ox_part *part, bool whole)
{
    const struct ox_str text = whole ? ox_buf_str(&part->text) : ox_str_make("", 0);
    json_t *block = NULL;
    switch (part->kind) {
    case OX_PART_REASONING:
        block = ox_api_typed("thinking");
        ox_json_set(&block, "thinking", ox_json_new_text(text));
        ox_json_set(&block, "signature", whole ? signature_of(part) : ox_json_new_c(""));
        return block;
    case OX_PART_CALL:
        block = ox_api_typed("tool_use");
        ox_json_set(&block, "id", prefixed(CALL_PREFIX, part->id));
        ox_json_set(&block, "name", ox_json_new_text(ox_buf_str(&part->name)));
        ox_json_set(&block, "input", whole ? input_of(part) : json_object());
        return block;
    case OX_PART_TEXT:
    default:
        block = ox_api_typed("text");
        ox_json_set(&block, "text", ox_json_new_text(text));
        ox_json_set(&block, "citations", json_null());
        return block;
    }
}

/* Tokens of the prompt that were found are counted apart from the others. */
static json_t *usage_of(int32_t n_prompt, const struct oxcart_result *result)
{
    json_t *details = json_object();
    ox_json_set(&details, "thinking_tokens", json_integer(result->n_reasoning));
    json_t *usage = json_object();
    ox_json_set(&usage, "input_tokens", json_integer((json_int_t)n_prompt - result->n_cached));
    ox_json_set(&usage, "output_tokens", json_integer(result->n_generated));
    ox_json_set(&usage, "cache_read_input_tokens", json_integer(result->n_cached));
    ox_json_set(&usage, "cache_creation_input_tokens", json_integer(0));
    ox_json_set(&usage, "output_tokens_details", details);
    return usage;
}

/* The message with its blocks, reasons and usage (all taken). */
static json_t *message_of(const struct ox_reply *reply, json_t *content, json_t *reason, json_t *stop, json_t *usage)
{
    json_t *message = ox_api_typed("message");
    ox_json_set(&message, "id", ox_json_new_c(reply->id));
    ox_json_set(&message, "role", ox_json_new_c("assistant"));
    ox_json_set(&message, "model", ox_json_new_c(reply->context->alias));
    ox_json_set(&message, "content", content);
    ox_json_set(&message, "stop_reason", reason);
    ox_json_set(&message, "stop_sequence", stop);
    ox_json_set(&message, "usage", usage);
    return message;
}

/* ---- why the answer ended --------------------------------------------------------------------------------------- */

static size_t longest_stop(const struct oxcart_sampling *sampling)
{
    size_t longest = 0;
    for (size_t i = 0; i < sampling->n_stop; i++) {
        const size_t len = strlen(sampling->stop[i]);
        longest = len > longest ? len : longest;
    }
    return longest;
}

/* Keep the end of what was drawn. */
static void remember(struct ox_reply *reply, const struct oxcart_event *event)
{
    struct ox_buf *tail = &reply->tail;
    const size_t longest = longest_stop(&reply->ask->sampling);
    if (longest == 0) {
        return;
    }
    if (tail->len > longest) {
        memmove(tail->ptr, tail->ptr + tail->len - longest, longest);
        ox_buf_cut(tail, longest);
    }
    ox_buf_add(tail, event->text, event->text_bytes);
    reply->last_bytes = event->text_bytes;
}

/* Did a stop string end the answer? Then the last token was none that ends the message. */
static bool was_stopped(const struct ox_reply *reply, const struct oxcart_result *result)
{
    static const char *const ends[] = {OX_TEXT_END_MESSAGE, OX_TEXT_BEGIN_MESSAGE, OX_TEXT_BEGIN_DOCUMENT};
    const struct ox_buf *tail = &reply->tail;
    if (result->finish != OXCART_FINISH_STOP || tail->len == 0) {
        return false;
    }
    const struct ox_str last = ox_str_make(tail->ptr + tail->len - reply->last_bytes, reply->last_bytes);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ox_str_is(last, ends[i])) {
            return false;
        }
    }
    return true;
}

/* The stop string that ends in the last token, the one that begins first; NULL if none is found. */
static const char *which_stop(const struct ox_reply *reply)
{
    const struct oxcart_sampling *sampling = &reply->ask->sampling;
    const struct ox_str tail = ox_buf_str(&reply->tail);
    const char *found = sampling->n_stop == 1 ? sampling->stop[0] : NULL;
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < sampling->n_stop; i++) {
        const struct ox_str stop = ox_str_c(sampling->stop[i]);
        const size_t before = tail.len - reply->last_bytes; /* bytes that the last token found */
        const size_t at = ox_str_find(tail, stop, before >= stop.len ? before - stop.len + 1 : 0);
        if (at + stop.len <= tail.len && at < first) {
            first = at;
            found = sampling->stop[i];
        }
    }
    return found;
}

static void reasons(const struct ox_reply *reply, const struct oxcart_result *result, json_t **reason, json_t **stop)
{
    *stop = json_null();
    if (result->finish == OXCART_FINISH_TOOL_CALLS) {
        *reason = ox_json_new_c("tool_use");
    } else if (result->finish == OXCART_FINISH_LENGTH) {
        const bool is_limit = result->n_generated >= reply->ask->sampling.n_predict;
        *reason = ox_json_new_c(is_limit ? "max_tokens" : "model_context_window_exceeded");
    } else if (was_stopped(reply, result)) {
        const char *text = which_stop(reply);
        *reason = ox_json_new_c("stop_sequence");
        *stop = text != NULL ? ox_json_new_c(text) : json_null();
    } else {
        *reason = ox_json_new_c("end_turn");
    }
}

/* ---- the stream ------------------------------------------------------------------------------------------------- */

static json_t *block_event(const char *type, size_t i)
{
    json_t *object = ox_api_typed(type);
    ox_json_set(&object, "index", json_integer((json_int_t)i));
    return object;
}

static void opened(void *user, size_t i)
{
    const struct ox_reply *reply = user;
    json_t *object = block_event("content_block_start", i);
    ox_json_set(&object, "content_block", block_of(&reply->parts.list[i], false));
    ox_api_add_event(reply->out, "content_block_start", object);
}

/* A delta with one member (taken). */
static void add_delta(const struct ox_reply *reply, size_t i, const char *type, const char *key, json_t *value)
{
    json_t *delta = ox_api_typed(type);
    json_t *object = block_event("content_block_delta", i);
    ox_json_set(&delta, key, value);
    ox_json_set(&object, "delta", delta);
    ox_api_add_event(reply->out, "content_block_delta", object);
}

static void grown(void *user, size_t i, struct ox_str text)
{
    static const char *const deltas[][2] = {
        [OX_PART_REASONING] = {"thinking_delta", "thinking"},
        [OX_PART_TEXT] = {"text_delta", "text"},
        [OX_PART_CALL] = {"input_json_delta", "partial_json"},
    };
    const struct ox_reply *reply = user;
    const enum ox_part_kind kind = reply->parts.list[i].kind;
    add_delta(reply, i, deltas[kind][0], deltas[kind][1], ox_json_new_text(text));
}

static void closed(void *user, size_t i)
{
    const struct ox_reply *reply = user;
    const struct ox_part *part = &reply->parts.list[i];
    if (part->kind == OX_PART_REASONING) {
        add_delta(reply, i, "signature_delta", "signature", signature_of(part));
    }
    ox_api_add_event(reply->out, "content_block_stop", block_event("content_block_stop", i));
}

/* ---- the API ---------------------------------------------------------------------------------------------------- */

static struct ox_reply *reply_new(const struct ox_api_context *context, const struct ox_ask *ask, size_t n_prompt)
{
    static const struct ox_parts_listener listener = {opened, grown, closed};
    struct ox_reply *reply = ox_calloc(1, sizeof *reply);
    if (reply == NULL || ox_rng_id("msg_", reply->id, sizeof reply->id) != 0) {
        ox_free(reply);
        return NULL;
    }
    reply->context = context;
    reply->ask = ask;
    reply->n_prompt = n_prompt;
    ox_parts_init(&reply->parts, ask->stream ? &listener : NULL, reply, context->recall);
    return reply;
}

static void reply_free(struct ox_reply *reply)
{
    if (reply != NULL) {
        ox_parts_fini(&reply->parts);
        ox_buf_fini(&reply->tail);
        ox_free(reply);
    }
}

static void begin(struct ox_reply *reply, struct ox_buf *out)
{
    static const struct oxcart_result nothing;
    json_t *usage = usage_of((int32_t)reply->n_prompt, &nothing);
    json_t *object = ox_api_typed("message_start");
    ox_json_set(&object, "message", message_of(reply, json_array(), json_null(), json_null(), usage));
    ox_api_add_event(out, "message_start", object);
}

static bool event(struct ox_reply *reply, int32_t choice, const struct oxcart_event *event, struct ox_buf *out)
{
    (void)choice;
    reply->out = out;
    if (event->kind == OXCART_EVENT_TOKEN) {
        remember(reply, event);
    }
    return ox_parts_event(&reply->parts, event) && !ox_buf_failed(&reply->tail) && !ox_buf_failed(out);
}

static bool end(struct ox_reply *reply, int32_t choice, const struct oxcart_result *result, struct ox_buf *out)
{
    json_t *reason;
    json_t *stop;
    (void)choice;
    reply->out = out;
    if (!ox_parts_end(&reply->parts)) {
        return false;
    }
    if (result->finish == OXCART_FINISH_TOOL_CALLS) {
        ox_parts_keep(&reply->parts, CALL_PREFIX);
    }
    reasons(reply, result, &reason, &stop);
    json_t *usage = usage_of(result->n_prompt, result);
    if (reply->ask->stream) {
        json_t *delta = json_object();
        ox_json_set(&delta, "stop_reason", reason);
        ox_json_set(&delta, "stop_sequence", stop);
        json_t *object = ox_api_typed("message_delta");
        ox_json_set(&object, "delta", delta);
        ox_json_set(&object, "usage", usage);
        ox_api_add_event(out, "message_delta", object);
        ox_api_add_event(out, "message_stop", ox_api_typed("message_stop"));
        return !ox_buf_failed(out);
    }
    json_t *content = json_array();
    for (size_t i = 0; i < reply->parts.n; i++) {
        ox_json_append(&content, block_of(&reply->parts.list[i], true));
    }
    json_t *message = message_of(reply, content, reason, stop, usage);
    ox_json_write(message, out);
    json_decref(message);
    return !ox_buf_failed(out);
}

/* Anthropic's types are those of HTTP's codes. */
static json_t *error_tree(const struct ox_api_error *error)
{
    static const struct {
        int http_status;
        const char *type;
    } rows[] = {
        {401, "authentication_error"}, {403, "permission_error"}, {404, "not_found_error"}, {413, "request_too_large"},
        {429, "rate_limit_error"},     {503, "overloaded_error"}, {504, "timeout_error"},
    };
    const char *type = error->http_status < 500 ? "invalid_request_error" : "api_error";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        type = error->http_status == rows[i].http_status ? rows[i].type : type;
    }
    json_t *inner = ox_api_typed(type);
    ox_json_set(&inner, "message", ox_json_new_c(error->message));
    if (error->code != NULL && strcmp(error->code, OX_MESSAGES_NO_THREADS) == 0) {
        json_t *details = json_object();
        ox_json_set(&details, "error_code", ox_json_new_c(error->code));
        ox_json_set(&inner, "details", details);
    }
    json_t *tree = ox_api_typed("error");
    ox_json_set(&tree, "error", inner);
    return tree;
}

static void fail(struct ox_reply *reply, const struct ox_api_error *error, struct ox_buf *out)
{
    (void)reply;
    ox_api_add_event(out, "error", error_tree(error));
}

static void ping(struct ox_buf *out)
{
    ox_api_add_event(out, "ping", ox_api_typed("ping"));
}

static void count(size_t n_tokens, struct ox_buf *out)
{
    ox_buf_printf(out, "{\"input_tokens\":%zu}", n_tokens);
}

static void add_error(const struct ox_api_error *error, struct ox_buf *out)
{
    json_t *tree = error_tree(error);
    ox_json_write(tree, out);
    json_decref(tree);
}

const struct ox_api ox_api_messages = {
    .read = ox_messages_read,
    .reply_new = reply_new,
    .reply_free = reply_free,
    .begin = begin,
    .event = event,
    .end = end,
    .fail = fail,
    .ping = ping,
    .count = count,
    .error = add_error,
};
