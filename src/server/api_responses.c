/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies of OpenAI's Responses API: a response with output items (reasoning, message, function_call), whole or as a
 * stream of events that are numbered. Thoughts are sent as they are, as content of type reasoning_text; there is no
 * summary of them. A stream that breaks off ends with response.failed and error.
 */
#include <stdio.h>
#include <time.h>

#include "base/json_build.h"
#include "base/mem.h"
#include "base/rng.h"
#include "server/api_openai.h"
#include "server/api_parts.h"
#include "server/api_talk.h"

#define CALL_PREFIX "call_"

struct ox_reply {
    const struct ox_api_context *context;
    const struct ox_ask *ask;
    char id[30];
    int64_t created;
    int64_t n_events;
    struct ox_parts parts;
    size_t cut;                     /* the part that a limit cut off; SIZE_MAX: none */
    struct ox_openai_tokens tokens; /* with log-probabilities: */
    json_t *fresh;                  /* those of the text that is coming; NULL: none */
    json_t *logprobs;               /* those of part i as element i */
    struct ox_buf *out;             /* of the call that is going on */
};

/* ---- trees ------------------------------------------------------------------------------------------------------ */

static json_t *item_id(const struct ox_part *part)
{
    static const char *const prefixes[] = {
        [OX_PART_REASONING] = "rs_", [OX_PART_TEXT] = "msg_", [OX_PART_CALL] = "fc_"};
    char text[48];
    snprintf(text, sizeof text, "%s%s", prefixes[part->kind], part->id);
    return ox_json_new_c(text);
}

static json_t *call_id(const struct ox_part *part)
{
    char text[48];
    snprintf(text, sizeof text, CALL_PREFIX "%s", part->id);
    return ox_json_new_c(text);
}

/* An array of its own: the caller owns it. */
static json_t *logprobs_of(const struct ox_reply *reply, size_t i)
{
    json_t *known = json_array_get(reply->logprobs, i);
    return known != NULL ? json_incref(known) : json_array();
}

/* The one part of the content of item i: whole, or as it begins. */
static json_t *content_of(const struct ox_reply *reply, size_t i, bool whole)
{
    const struct ox_part *part = &reply->parts.list[i];
    json_t *content = ox_api_typed(part->kind == OX_PART_TEXT ? "output_text" : "reasoning_text");
    ox_json_set(&content, "text", ox_json_new_text(whole ? ox_buf_str(&part->text) : ox_str_make("", 0)));
    if (part->kind == OX_PART_TEXT) {
        ox_json_set(&content, "annotations", json_array());
        ox_json_set(&content, "logprobs", whole ? logprobs_of(reply, i) : json_array());
    }
    return content;
}

static bool has_function(const json_t *space, struct ox_str name)
{
    const json_t *tools = json_object_get(space, "tools");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        if (ox_str_equal(ox_json_text(json_object_get(json_array_get(tools, i), "name")), name)) {
            return true;
        }
    }
    return false;
}

/* The namespace of a call's function, which the model knows as one name with it; empty: none. */
static struct ox_str space_of(const struct ox_reply *reply, const struct ox_part *part)
{
    const json_t *tools = json_object_get(reply->ask->body, "tools");
    const struct ox_str within = ox_str_c(OX_TALK_WITHIN);
    const struct ox_str full = ox_buf_str(&part->name);
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        const struct ox_str space = ox_json_text(json_object_get(tool, "name"));
        const size_t begin = space.len + within.len;
        if (full.len > begin && ox_str_starts(full, space) &&
            ox_str_starts(ox_str_make(full.ptr + space.len, full.len - space.len), within) &&
            has_function(tool, ox_str_make(full.ptr + begin, full.len - begin))) {
            return space;
        }
    }
    return ox_str_make("", 0);
}

static json_t *name_of(const struct ox_part *part, struct ox_str space)
{
    const size_t skip = space.len > 0 ? space.len + strlen(OX_TALK_WITHIN) : 0;
    return ox_json_new_text(ox_str_make(ox_buf_text(&part->name) + skip, part->name.len - skip));
}

/* Part i as an item: whole, or as it begins. */
static json_t *item_of(const struct ox_reply *reply, size_t i, bool whole)
{
    static const char *const types[] = {
        [OX_PART_REASONING] = "reasoning", [OX_PART_TEXT] = "message", [OX_PART_CALL] = "function_call"};
    const struct ox_part *part = &reply->parts.list[i];
    const char *end = part->failed || i == reply->cut ? "incomplete" : "completed";
    json_t *item = ox_api_typed(types[part->kind]);
    ox_json_set(&item, "id", item_id(part));
    ox_json_set(&item, "status", ox_json_new_c(whole ? end : "in_progress"));
    if (part->kind == OX_PART_CALL) {
        ox_json_set(&item, "call_id", call_id(part));
        const struct ox_str space = space_of(reply, part);
        ox_json_set(&item, "name", name_of(part, space));
        if (space.len > 0) {
            ox_json_set(&item, "namespace", ox_json_new_text(space));
        }
        ox_json_set(&item, "arguments", ox_json_new_text(whole ? ox_buf_str(&part->text) : ox_str_make("", 0)));
        return item;
    }
    json_t *content = json_array();
    if (whole) {
        ox_json_append(&content, content_of(reply, i, true));
    }
    ox_json_set(&item, "content", content);
    if (part->kind == OX_PART_TEXT) {
        ox_json_set(&item, "role", ox_json_new_c("assistant"));
    } else {
        ox_json_set(&item, "summary", json_array());
    }
    return item;
}

/* The items that are closed. */
static json_t *output_of(const struct ox_reply *reply)
{
    json_t *output = json_array();
    for (size_t i = 0; i < reply->parts.n && reply->parts.list[i].closed; i++) {
        ox_json_append(&output, item_of(reply, i, true));
    }
    return output;
}

static json_t *usage_of(const struct oxcart_result *result)
{
    json_t *input = json_object();
    json_t *output = json_object();
    json_t *usage = json_object();
    ox_json_set(&input, "cached_tokens", json_integer(result->n_cached));
    ox_json_set(&output, "reasoning_tokens", json_integer(result->n_reasoning));
    ox_json_set(&usage, "input_tokens", json_integer(result->n_prompt));
    ox_json_set(&usage, "input_tokens_details", input);
    ox_json_set(&usage, "output_tokens", json_integer(result->n_generated));
    ox_json_set(&usage, "output_tokens_details", output);
    ox_json_set(&usage, "total_tokens", json_integer((json_int_t)result->n_prompt + result->n_generated));
    return usage;
}

/* What the request said, or (taken) what counts where it said nothing. */
static json_t *echo(const struct ox_reply *reply, const char *key, json_t *otherwise)
{
    json_t *value = json_object_get(reply->ask->body, key);
    if (value == NULL || json_is_null(value)) {
        return otherwise;
    }
    json_decref(otherwise);
    return json_incref(value);
}

static json_t *plain_text(void)
{
    json_t *text = json_object();
    ox_json_set(&text, "format", ox_api_typed("text"));
    return text;
}

static json_t *drawn_with(float x)
{
    return x >= 0 ? ox_json_new_real((double)x) : json_null();
}

/* The response; output and usage are taken, error (NULL: none) too. */
static json_t *response_of(const struct ox_reply *reply, const char *status, json_t *output, json_t *usage,
                           json_t *error)
{
    const struct oxcart_sampling *sampling = &reply->ask->sampling;
    json_t *details = json_null();
    if (strcmp(status, "incomplete") == 0) {
        details = json_object();
        ox_json_set(&details, "reason", ox_json_new_c("max_output_tokens"));
    }
    json_t *reasoning = json_object();
    ox_json_set(&reasoning, "effort", json_null());
    ox_json_set(&reasoning, "summary", json_null());
    json_t *r = json_object();
    ox_json_set(&r, "id", ox_json_new_c(reply->id));
    ox_json_set(&r, "object", ox_json_new_c("response"));
    ox_json_set(&r, "created_at", json_integer(reply->created));
    ox_json_set(&r, "status", ox_json_new_c(status));
    ox_json_set(&r, "error", error != NULL ? error : json_null());
    ox_json_set(&r, "incomplete_details", details);
    ox_json_set(&r, "model", ox_json_new_c(reply->context->alias));
    ox_json_set(&r, "output", output);
    ox_json_set(&r, "usage", usage);
    ox_json_set(&r, "instructions", echo(reply, "instructions", json_null()));
    ox_json_set(&r, "max_output_tokens", echo(reply, "max_output_tokens", json_null()));
    ox_json_set(&r, "metadata", echo(reply, "metadata", json_object()));
    ox_json_set(&r, "parallel_tool_calls", echo(reply, "parallel_tool_calls", json_true()));
    ox_json_set(&r, "reasoning", echo(reply, "reasoning", reasoning));
    ox_json_set(&r, "temperature", drawn_with(sampling->temperature));
    ox_json_set(&r, "text", echo(reply, "text", plain_text()));
    ox_json_set(&r, "tool_choice", echo(reply, "tool_choice", ox_json_new_c("auto")));
    ox_json_set(&r, "tools", echo(reply, "tools", json_array()));
    ox_json_set(&r, "top_logprobs", json_integer(sampling->n_logprobs));
    ox_json_set(&r, "top_p", drawn_with(sampling->top_p));
    ox_json_set(&r, "background", json_false());
    ox_json_set(&r, "previous_response_id", json_null());
    ox_json_set(&r, "store", json_false());
    ox_json_set(&r, "truncation", ox_json_new_c("disabled"));
    return r;
}

/* ---- the stream ------------------------------------------------------------------------------------------------- */

/* Append an event; object (taken) has its type. */
static void add_event(struct ox_reply *reply, const char *type, json_t *object)
{
    ox_json_set(&object, "sequence_number", json_integer(reply->n_events));
    reply->n_events++;
    ox_api_add_event(reply->out, type, object);
}

static void add_response(struct ox_reply *reply, const char *type, json_t *response)
{
    json_t *object = ox_api_typed(type);
    ox_json_set(&object, "response", response);
    add_event(reply, type, object);
}

/* An event of item i, with one member (taken). of_content: it is of the item's content. */
static json_t *item_event(const struct ox_reply *reply, const char *type, size_t i, bool of_content, const char *key,
                          json_t *value)
{
    json_t *object = ox_api_typed(type);
    ox_json_set(&object, "output_index", json_integer((json_int_t)i));
    if (strcmp(key, "item") != 0) {
        ox_json_set(&object, "item_id", item_id(&reply->parts.list[i]));
    }
    if (of_content) {
        ox_json_set(&object, "content_index", json_integer(0));
    }
    ox_json_set(&object, key, value);
    return object;
}

/* What the pieces of each kind of part are called. */
static const struct {
    const char *delta;
    const char *done;
    const char *key; /* of the whole in done */
} pieces[] = {
    [OX_PART_REASONING] = {"response.reasoning_text.delta", "response.reasoning_text.done", "text"},
    [OX_PART_TEXT] = {"response.output_text.delta", "response.output_text.done", "text"},
    [OX_PART_CALL] = {"response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments"},
};

static void opened(void *user, size_t i)
{
    static const char added[] = "response.output_item.added";
    static const char part_added[] = "response.content_part.added";
    struct ox_reply *reply = user;
    add_event(reply, added, item_event(reply, added, i, false, "item", item_of(reply, i, false)));
    if (reply->parts.list[i].kind != OX_PART_CALL) {
        add_event(reply, part_added, item_event(reply, part_added, i, true, "part", content_of(reply, i, false)));
    }
}

static void grown(void *user, size_t i, struct ox_str text)
{
    struct ox_reply *reply = user;
    const enum ox_part_kind kind = reply->parts.list[i].kind;
    const char *type = pieces[kind].delta;
    json_t *object = item_event(reply, type, i, kind != OX_PART_CALL, "delta", ox_json_new_text(text));
    if (kind == OX_PART_TEXT) {
        ox_json_set(&object, "logprobs", reply->fresh != NULL ? json_incref(reply->fresh) : json_array());
    }
    add_event(reply, type, object);
}

static void closed(void *user, size_t i)
{
    static const char part_done[] = "response.content_part.done";
    static const char done[] = "response.output_item.done";
    struct ox_reply *reply = user;
    const struct ox_part *part = &reply->parts.list[i];
    const bool is_call = part->kind == OX_PART_CALL;
    const char *type = pieces[part->kind].done;
    json_t *whole = ox_json_new_text(ox_buf_str(&part->text));
    json_t *object = item_event(reply, type, i, !is_call, pieces[part->kind].key, whole);
    if (part->kind == OX_PART_TEXT) {
        ox_json_set(&object, "logprobs", logprobs_of(reply, i));
    }
    if (is_call) {
        ox_json_set(&object, "name", name_of(part, space_of(reply, part)));
    }
    add_event(reply, type, object);
    if (!is_call) {
        add_event(reply, part_done, item_event(reply, part_done, i, true, "part", content_of(reply, i, true)));
    }
    add_event(reply, done, item_event(reply, done, i, false, "item", item_of(reply, i, true)));
}

/* ---- log-probabilities ------------------------------------------------------------------------------------------ */

/* Text comes: what waits belongs to it. False: out of memory. */
static bool take_logprobs(struct ox_reply *reply, const struct oxcart_event *event)
{
    const bool is_content = event->kind == OXCART_EVENT_CONTENT;
    if (reply->ask->sampling.has_logprobs == 0) {
        return true;
    }
    ox_openai_tokens_settle(&reply->tokens, is_content);
    reply->fresh = is_content ? ox_openai_tokens_take(&reply->tokens) : NULL;
    return !is_content || reply->fresh != NULL;
}

/* The text has come, to the last part: so have they. False: out of memory. */
static bool keep_logprobs(struct ox_reply *reply)
{
    bool good = true;
    if (reply->fresh == NULL) {
        return true;
    }
    while (good && json_array_size(reply->logprobs) < reply->parts.n) {
        good = json_array_append_new(reply->logprobs, json_array()) == 0;
    }
    if (good && reply->parts.n > 0) {
        good = json_array_extend(json_array_get(reply->logprobs, reply->parts.n - 1), reply->fresh) == 0;
    }
    json_decref(reply->fresh);
    reply->fresh = NULL;
    return good;
}

/* ---- the API ---------------------------------------------------------------------------------------------------- */

static struct ox_reply *reply_new(const struct ox_api_context *context, const struct ox_ask *ask, size_t n_prompt)
{
    static const struct ox_parts_listener listener = {opened, grown, closed};
    struct ox_reply *reply = ox_calloc(1, sizeof *reply);
    struct timespec now = {0};
    (void)n_prompt; /* the result has it too */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (reply == NULL || ox_rng_id("resp_", reply->id, sizeof reply->id) != 0) {
        ox_free(reply);
        return NULL;
    }
    reply->context = context;
    reply->ask = ask;
    reply->created = (int64_t)now.tv_sec;
    reply->cut = SIZE_MAX;
    reply->logprobs = json_array();
    ox_parts_init(&reply->parts, ask->stream ? &listener : NULL, reply, context->recall);
    return reply;
}

static void reply_free(struct ox_reply *reply)
{
    if (reply != NULL) {
        ox_parts_fini(&reply->parts);
        ox_openai_tokens_fini(&reply->tokens);
        json_decref(reply->logprobs);
        json_decref(reply->fresh);
        ox_free(reply);
    }
}

static void begin(struct ox_reply *reply, struct ox_buf *out)
{
    static const char *const types[] = {"response.created", "response.in_progress"};
    reply->out = out;
    for (size_t i = 0; i < 2; i++) {
        add_response(reply, types[i], response_of(reply, "in_progress", json_array(), json_null(), NULL));
    }
}

static bool event(struct ox_reply *reply, int32_t choice, const struct oxcart_event *event, struct ox_buf *out)
{
    (void)choice;
    reply->out = out;
    if (event->kind == OXCART_EVENT_TOKEN) {
        ox_openai_tokens_add(&reply->tokens, reply->context, event);
        return ox_parts_event(&reply->parts, event) && !reply->tokens.failed;
    }
    return take_logprobs(reply, event) && ox_parts_event(&reply->parts, event) && keep_logprobs(reply) &&
           !ox_buf_failed(out);
}

static bool end(struct ox_reply *reply, int32_t choice, const struct oxcart_result *result, struct ox_buf *out)
{
    const bool is_cut = result->finish == OXCART_FINISH_LENGTH;
    const char *status = is_cut ? "incomplete" : "completed";
    const size_t n = reply->parts.n;
    (void)choice;
    reply->out = out;
    if (is_cut && n > 0 && !reply->parts.list[n - 1].closed) {
        reply->cut = n - 1;
    }
    if (!ox_parts_end(&reply->parts)) {
        return false;
    }
    if (result->finish == OXCART_FINISH_TOOL_CALLS) {
        ox_parts_keep(&reply->parts, CALL_PREFIX);
    }
    json_t *response = response_of(reply, status, output_of(reply), usage_of(result), NULL);
    if (reply->ask->stream) {
        add_response(reply, is_cut ? "response.incomplete" : "response.completed", response);
    } else {
        ox_json_write(response, out);
        json_decref(response);
    }
    return !ox_buf_failed(out);
}

static void fail(struct ox_reply *reply, const struct ox_api_error *error, struct ox_buf *out)
{
    const char *code = error->http_status == 429 ? "rate_limit_exceeded" : "server_error";
    json_t *inner = json_object();
    json_t *object = ox_api_typed("error");
    reply->out = out;
    ox_json_set(&inner, "code", ox_json_new_c(code));
    ox_json_set(&inner, "message", ox_json_new_c(error->message));
    add_response(reply, "response.failed", response_of(reply, "failed", output_of(reply), json_null(), inner));
    ox_json_set(&object, "code", ox_json_new_c(error->code != NULL ? error->code : code));
    ox_json_set(&object, "message", ox_json_new_c(error->message));
    ox_json_set(&object, "param", error->param[0] != '\0' ? ox_json_new_c(error->param) : json_null());
    add_event(reply, "error", object);
}

static void count(size_t n_tokens, struct ox_buf *out)
{
    ox_buf_printf(out, "{\"object\":\"response.input_tokens\",\"input_tokens\":%zu}", n_tokens);
}

const struct ox_api ox_api_responses = {
    .read = ox_responses_read,
    .reply_new = reply_new,
    .reply_free = reply_free,
    .begin = begin,
    .event = event,
    .end = end,
    .fail = fail,
    .ping = ox_openai_ping,
    .count = count,
    .error = ox_openai_add_error,
};
