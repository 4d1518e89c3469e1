/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenAI's chat completions: events become a message, or deltas whose sum is that message. Reasoning goes out as
 * `reasoning_content` and as `reasoning`, since clients know one or the other. A call that could not be read is content;
 * where its beginning has been streamed already, its whole text follows as content.
 */
#include "base/json_build.h"
#include "base/mem.h"
#include "base/rng.h"
#include "server/api_chat_request.h"
#include "server/api_openai.h"
#include "server/recall.h"

#define OBJECT "chat.completion"
#define OBJECT_CHUNK "chat.completion.chunk"
#define ID_BYTES 30 /* "call_", 24 characters, NUL */

struct call {
    char id[ID_BYTES];
    struct ox_buf name;
    struct ox_buf arguments;
    int32_t index;
    bool done;
};

struct choice {
    struct ox_buf content;
    struct ox_buf reasoning;
    struct call *calls;
    size_t n_calls;
    size_t calls_cap;
    struct ox_openai_tokens tokens;
    int32_t *ids; /* [n_ids], all that were drawn, if replies are kept */
    size_t n_ids;
    size_t ids_cap;
    enum oxcart_finish finish;
    bool unread; /* a call could not be read */
    bool failed; /* out of memory, or no unguessable bytes */
};

struct ox_reply {
    struct ox_openai_head head;
    struct choice *choices;
};

static void choice_fini(struct choice *choice)
{
    for (size_t i = 0; i < choice->n_calls; i++) {
        ox_buf_fini(&choice->calls[i].name);
        ox_buf_fini(&choice->calls[i].arguments);
    }
    ox_free(choice->calls);
    ox_free(choice->ids);
    ox_buf_fini(&choice->content);
    ox_buf_fini(&choice->reasoning);
    ox_openai_tokens_fini(&choice->tokens);
}

static void chat_reply_free(struct ox_reply *reply)
{
    if (reply == NULL) {
        return;
    }
    for (int32_t i = 0; reply->choices != NULL && i < reply->head.ask->n_choices; i++) {
        choice_fini(&reply->choices[i]);
    }
    ox_free(reply->choices);
    ox_free(reply);
}

static struct ox_reply *chat_reply_new(const struct ox_api_context *context, const struct ox_ask *ask, size_t n_prompt)
{
    struct ox_reply *reply = ox_calloc(1, sizeof *reply);
    if (reply == NULL) {
        return NULL;
    }
    const bool begun = ox_openai_begin(&reply->head, context, ask, "chatcmpl-", n_prompt);
    reply->choices = ox_calloc((size_t)ask->n_choices, sizeof *reply->choices);
    if (!begun || reply->choices == NULL) {
        chat_reply_free(reply);
        return NULL;
    }
    return reply;
}

/* ---- the parts of a choice -------------------------------------------------------------------------------------- */

/* {"content": tokens so far} where they are asked for and there are any, else null. */
static json_t *take_logprobs(const struct ox_reply *reply, struct choice *choice, bool even_none)
{
    if (reply->head.ask->sampling.has_logprobs == 0) {
        return json_null();
    }
    json_t *content = ox_openai_tokens_take(&choice->tokens);
    if (content != NULL && json_array_size(content) == 0 && !even_none) {
        json_decref(content);
        return json_null();
    }
    json_t *tree = json_object();
    ox_json_set(&tree, "content", content);
    ox_json_set(&tree, "refusal", json_null());
    return tree;
}

/* Send a delta (taken). finish: taken. */
static void add_delta(struct ox_reply *reply, int32_t i, json_t *delta, json_t *finish, struct ox_buf *out)
{
    json_t *tree = json_object();
    ox_json_set(&tree, "index", json_integer(i));
    ox_json_set(&tree, "delta", delta);
    ox_json_set(&tree, "logprobs", take_logprobs(reply, &reply->choices[i], false));
    ox_json_set(&tree, "finish_reason", finish);
    ox_openai_add_chunk(&reply->head, OBJECT_CHUNK, tree, out);
}

/* {"name", "arguments"}, without a name if that is NULL. */
static json_t *function_tree(const struct ox_buf *name, struct ox_str arguments)
{
    json_t *function = json_object();
    if (name != NULL) {
        ox_json_set(&function, "name", ox_json_new_text(ox_buf_str(name)));
    }
    ox_json_set(&function, "arguments", ox_json_new_text(arguments));
    return function;
}

/* What a whole call is: {"id", "type", "function"}; index (of deltas) below 0: left out. */
static json_t *call_tree(const struct call *call, int32_t index, struct ox_str arguments)
{
    json_t *tree = json_object();
    if (index >= 0) {
        ox_json_set(&tree, "index", json_integer(index));
    }
    ox_json_set(&tree, "id", ox_json_new_c(call->id));
    ox_json_set(&tree, "type", ox_json_new_c("function"));
    ox_json_set(&tree, "function", function_tree(&call->name, arguments));
    return tree;
}

/* {"tool_calls": [call (taken)]} */
static json_t *calls_delta(json_t *call)
{
    json_t *calls = json_array();
    ox_json_append(&calls, call);
    json_t *delta = json_object();
    ox_json_set(&delta, "tool_calls", calls);
    return delta;
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

static struct call *find_call(const struct choice *choice, int32_t index)
{
    for (size_t i = choice->n_calls; i > 0; i--) {
        if (choice->calls[i - 1].index == index && !choice->calls[i - 1].done) {
            return &choice->calls[i - 1];
        }
    }
    return NULL;
}

static void begin_call(struct ox_reply *reply, int32_t i, const struct oxcart_event *event, struct ox_buf *out)
{
    struct choice *choice = &reply->choices[i];
    void *calls = choice->calls;
    if (ox_grow(&calls, &choice->calls_cap, choice->n_calls + 1, sizeof *choice->calls) != 0) {
        choice->failed = true;
        return;
    }
    choice->calls = calls;
    struct call *call = &choice->calls[choice->n_calls++];
    *call = (struct call){.index = event->index};
    ox_buf_add(&call->name, event->text, event->text_bytes);
    if (ox_rng_id("call_", call->id, sizeof call->id) != 0 || ox_buf_failed(&call->name)) {
        choice->failed = true;
    }
    if (reply->head.ask->stream) {
        add_delta(reply, i, calls_delta(call_tree(call, event->index, ox_str_c(""))), json_null(), out);
    }
}

static void continue_call(struct ox_reply *reply, int32_t i, const struct oxcart_event *event, struct ox_buf *out)
{
    const struct ox_str text = ox_str_make(event->text, event->text_bytes);
    struct call *call = find_call(&reply->choices[i], event->index);
    if (call == NULL) {
        return;
    }
    ox_buf_add_str(&call->arguments, text);
    reply->choices[i].failed = reply->choices[i].failed || ox_buf_failed(&call->arguments);
    if (reply->head.ask->stream) {
        json_t *tree = json_object();
        ox_json_set(&tree, "index", json_integer(event->index));
        ox_json_set(&tree, "function", function_tree(NULL, text));
        add_delta(reply, i, calls_delta(tree), json_null(), out);
    }
}

static void add_content(struct ox_reply *reply, int32_t i, const struct oxcart_event *event, struct ox_buf *out)
{
    const struct ox_str text = ox_str_make(event->text, event->text_bytes);
    ox_buf_add_str(&reply->choices[i].content, text);
    if (reply->head.ask->stream && text.len > 0) {
        json_t *delta = json_object();
        ox_json_set(&delta, "content", ox_json_new_text(text));
        add_delta(reply, i, delta, json_null(), out);
    }
}

static void add_reasoning(struct ox_reply *reply, int32_t i, const struct oxcart_event *event, struct ox_buf *out)
{
    const struct ox_str text = ox_str_make(event->text, event->text_bytes);
    ox_buf_add_str(&reply->choices[i].reasoning, text);
    if (reply->head.ask->stream) {
        json_t *delta = json_object();
        ox_json_set(&delta, "reasoning_content", ox_json_new_text(text));
        ox_json_set(&delta, "reasoning", ox_json_new_text(text));
        add_delta(reply, i, delta, json_null(), out);
    }
}

static void chat_begin(struct ox_reply *reply, struct ox_buf *out)
{
    for (int32_t i = 0; i < reply->head.ask->n_choices; i++) {
        json_t *delta = json_object();
        ox_json_set(&delta, "role", ox_json_new_c("assistant"));
        ox_json_set(&delta, "content", ox_json_new_c(""));
        add_delta(reply, i, delta, json_null(), out);
    }
}

static void note_token(struct choice *choice, const struct ox_api_context *context, const struct oxcart_event *event)
{
    ox_openai_tokens_add(&choice->tokens, context, event);
    void *ids = choice->ids;
    if (context->recall == NULL) {
        return;
    }
    if (ox_grow(&ids, &choice->ids_cap, choice->n_ids + 1, sizeof *choice->ids) != 0) {
        choice->failed = true;
        return;
    }
    choice->ids = ids;
    choice->ids[choice->n_ids++] = event->id;
}

static bool chat_event(struct ox_reply *reply, int32_t i, const struct oxcart_event *event, struct ox_buf *out)
{
    struct choice *choice = &reply->choices[i];
    struct call *call = find_call(choice, event->index);
    if (event->kind == OXCART_EVENT_TOKEN) {
        note_token(choice, reply->head.context, event);
        return !choice->failed && !choice->tokens.failed;
    }
    ox_openai_tokens_settle(&choice->tokens, event->kind == OXCART_EVENT_CONTENT);
    switch (event->kind) {
    case OXCART_EVENT_REASONING:
        add_reasoning(reply, i, event, out);
        break;
    case OXCART_EVENT_CALL_BEGIN:
        begin_call(reply, i, event, out);
        break;
    case OXCART_EVENT_CALL_ARGUMENTS:
        continue_call(reply, i, event, out);
        break;
    case OXCART_EVENT_CALL_DONE:
        if (call != NULL) {
            call->done = true;
        }
        break;
    case OXCART_EVENT_CONTENT:
    case OXCART_EVENT_CALL_FAILED:
    default:
        choice->unread = choice->unread || event->kind == OXCART_EVENT_CALL_FAILED;
        add_content(reply, i, event, out);
        break;
    }
    return !choice->failed && !choice->tokens.failed && !ox_buf_failed(&choice->content) &&
           !ox_buf_failed(&choice->reasoning) && !ox_buf_failed(out);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static json_t *message_tree(const struct choice *choice)
{
    json_t *calls = json_array();
    for (size_t i = 0; i < choice->n_calls; i++) {
        const struct call *call = &choice->calls[i];
        if (call->done) {
            ox_json_append(&calls, call_tree(call, -1, ox_buf_str(&call->arguments)));
        }
    }
    const bool called = calls == NULL || json_array_size(calls) > 0;
    json_t *message = json_object();
    ox_json_set(&message, "role", ox_json_new_c("assistant"));
    ox_json_set(&message, "content",
                called && choice->content.len == 0 ? json_null() : ox_json_new_text(ox_buf_str(&choice->content)));
    ox_json_set(&message, "refusal", json_null());
    if (choice->reasoning.len > 0) {
        ox_json_set(&message, "reasoning_content", ox_json_new_text(ox_buf_str(&choice->reasoning)));
        ox_json_set(&message, "reasoning", ox_json_new_text(ox_buf_str(&choice->reasoning)));
    }
    if (called) {
        ox_json_set(&message, "tool_calls", calls);
    } else {
        json_decref(calls);
    }
    return message;
}

static void add_whole(struct ox_reply *reply, struct ox_buf *out)
{
    json_t *choices = json_array();
    for (int32_t i = 0; i < reply->head.ask->n_choices; i++) {
        struct choice *choice = &reply->choices[i];
        json_t *tree = json_object();
        ox_json_set(&tree, "index", json_integer(i));
        ox_json_set(&tree, "message", message_tree(choice));
        ox_json_set(&tree, "logprobs", take_logprobs(reply, choice, true));
        ox_json_set(&tree, "finish_reason", ox_openai_finish(choice->finish));
        ox_json_append(&choices, tree);
    }
    json_t *tree = ox_openai_object(&reply->head, OBJECT, choices);
    ox_openai_set_totals(&reply->head, &tree);
    ox_json_write(tree, out);
    json_decref(tree);
}

/* Keep a choice that the model ended itself, for the time when the client sends it back. */
static void keep(struct ox_recall *recall, const struct choice *choice)
{
    struct ox_recall_call *calls = ox_calloc(choice->n_calls, sizeof *calls);
    if (calls == NULL) {
        return;
    }
    for (size_t i = 0; i < choice->n_calls; i++) {
        const struct call *call = &choice->calls[i];
        calls[i] = (struct ox_recall_call){ox_str_c(call->id), ox_buf_str(&call->name), ox_buf_str(&call->arguments)};
    }
    const struct ox_recall_reply reply = {.reasoning = ox_buf_str(&choice->reasoning),
                                          .content = ox_buf_str(&choice->content),
                                          .calls = calls,
                                          .n_calls = choice->n_calls,
                                          .ids = choice->ids,
                                          .n_ids = choice->n_ids};
    ox_recall_keep(recall, &reply);
    ox_free(calls);
}

static bool chat_end(struct ox_reply *reply, int32_t i, const struct oxcart_result *result, struct ox_buf *out)
{
    const bool last = ox_openai_count(&reply->head, result);
    reply->choices[i].finish = result->finish;
    if (result->finish == OXCART_FINISH_TOOL_CALLS && !reply->choices[i].unread) {
        keep(reply->head.context->recall, &reply->choices[i]);
    }
    if (reply->head.ask->stream) {
        add_delta(reply, i, json_object(), ox_openai_finish(result->finish), out);
    }
    if (last && reply->head.ask->stream) {
        ox_openai_add_end(&reply->head, OBJECT_CHUNK, out);
    } else if (last) {
        add_whole(reply, out);
    }
    return !ox_buf_failed(out);
}

static void chat_fail(struct ox_reply *reply, const struct ox_api_error *error, struct ox_buf *out)
{
    (void)reply;
    ox_openai_fail(error, out);
}

const struct ox_api ox_api_chat = {
    .read = ox_chat_request_read,
    .reply_new = chat_reply_new,
    .reply_free = chat_reply_free,
    .begin = chat_begin,
    .event = chat_event,
    .end = chat_end,
    .fail = chat_fail,
    .ping = ox_openai_ping,
    .error = ox_openai_add_error,
};
