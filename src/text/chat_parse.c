/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a conversation: checks everything that rendering relies on, parses arguments that came as text, and puts tool
 * results in the order of the calls they answer. Every refusal names its place in the JSON.
 */
#include "text/chat_parse.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "text/pyjson.h"

#define DEFAULT_MAX_MESSAGES 65536
#define DEFAULT_MAX_DEPTH 64

/* What reading a conversation needs at every step. */
struct reader {
    struct ox_chat *chat;
    const struct ox_log *log;
    struct ox_error *err;
};

enum ox_status ox_thinking_parse(struct ox_str text, enum ox_thinking *out, struct ox_error *err)
{
    static const char *const names[] = {"adaptive", "enabled", "disabled"};
    static const enum ox_thinking modes[] = {OX_THINKING_ADAPTIVE, OX_THINKING_ENABLED, OX_THINKING_DISABLED};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (ox_str_is(text, names[i])) {
            *out = modes[i];
            return OX_OK;
        }
    }
    return ox_error_set(err, OX_E_ARG, "thinking mode: expected adaptive, enabled or disabled, found \"%.*s\"",
                        text.len < 40 ? (int)text.len : 40, text.len > 0 ? text.ptr : "");
}

static struct ox_str member_text(const json_t *object, const char *key)
{
    return ox_json_text(json_object_get(object, key));
}

/* The source of a picture or clip: under `key` a string or {"url": string}; else "url", "path" or "source". */
static bool read_source(const json_t *part, const char *key, bool needed, struct ox_str *source)
{
    const json_t *value = json_object_get(part, key);
    if (json_is_object(value)) {
        value = json_object_get(value, "url");
    }
    static const char *const others[] = {"url", "path", "source"};
    for (size_t i = 0; i < sizeof others / sizeof others[0] && (value == NULL || json_is_null(value)) && !needed; i++) {
        value = json_object_get(part, others[i]);
    }
    if (value == NULL || json_is_null(value)) {
        return !needed;
    }
    *source = ox_json_text(value);
    return json_is_string(value) && (source->len > 0 || !needed);
}

enum ox_chat_part ox_chat_part_read(const json_t *part, bool is_result, struct ox_str *text, bool *ok)
{
    static const struct {
        const char *type;
        enum ox_chat_part part;
        bool needs_source;
    } media[] = {
        {"image", OX_CHAT_PART_IMAGE, false},
        {"video", OX_CHAT_PART_VIDEO, false},
        {"image_url", OX_CHAT_PART_IMAGE, true},
        {"video_url", OX_CHAT_PART_VIDEO, true},
    };
    *text = ox_str_make("", 0);
    *ok = true;
    if (json_is_string(part)) {
        *text = ox_json_text(part);
        return OX_CHAT_PART_TEXT;
    }
    const struct ox_str type = member_text(part, "type");
    for (size_t i = 0; i < sizeof media / sizeof media[0]; i++) {
        if (ox_str_is(type, media[i].type)) {
            *ok = read_source(part, media[i].type, media[i].needs_source, text);
            return media[i].part;
        }
    }
    if (is_result && json_is_string(json_object_get(part, "output"))) {
        *text = member_text(part, "output");
        return OX_CHAT_PART_OUTPUT;
    }
    if (ox_str_is(type, "text")) {
        *text = member_text(part, "text");
        *ok = json_is_string(json_object_get(part, "text"));
        return OX_CHAT_PART_TEXT;
    }
    return OX_CHAT_PART_UNKNOWN;
}

/* The sentence for an element of a content list that cannot be read. */
static enum ox_status refuse_part(const struct ox_json_at *at, enum ox_chat_part part, struct ox_error *err)
{
    const struct ox_json_at type = ox_json_member(at, "type");
    if (!json_is_object(at->value)) {
        return ox_json_expected(at, "an object or a string", err);
    }
    if (part == OX_CHAT_PART_UNKNOWN) {
        return ox_json_expected(&type, "text, image, video, image_url or video_url", err);
    }
    if (part == OX_CHAT_PART_TEXT) {
        const struct ox_json_at text = ox_json_member(at, "text");
        return ox_json_expected(&text, "a string", err);
    }
    const struct ox_json_at source = ox_json_member(at, json_string_value(type.value));
    return ox_json_expected(&source, "a string or an object with the string \"url\"", err);
}

/* Check a message's content and hand it out (NULL: none). */
static enum ox_status read_content(const struct reader *r, const struct ox_json_at *message, const char *key,
                                   bool is_result, json_t **out)
{
    const struct ox_json_at content = ox_json_member(message, key);
    *out = NULL;
    if (content.value == NULL) {
        return OX_OK;
    }
    if (!json_is_string(content.value) && !json_is_array(content.value)) {
        return ox_json_expected(&content, "a string, null or a list of parts", r->err);
    }
    for (size_t i = 0; i < json_array_size(content.value); i++) {
        const json_t *value = json_array_get(content.value, i);
        struct ox_str text;
        bool ok;
        const enum ox_chat_part part = ox_chat_part_read(value, is_result, &text, &ok);
        if (part == OX_CHAT_PART_UNKNOWN || !ok) {
            const struct ox_json_at at = ox_json_element(&content, i);
            return refuse_part(&at, part, r->err);
        }
    }
    *out = json_object_get(message->value, key);
    return OX_OK;
}

/* The length of a number that begins at `at`. */
static size_t number_length(struct ox_str text, size_t at)
{
    size_t n = 0;
    while (at + n < text.len && memchr("0123456789+-.eE", text.ptr[at + n], 15) != NULL) {
        n++;
    }
    return n;
}

/* Is this an integer of more than 64 bits, and a value (not a key, which JSON does not allow)? */
static bool is_long_integer(struct ox_str text, size_t at, size_t len)
{
    const struct ox_str number = ox_str_make(text.ptr + at, len);
    const size_t first = number.ptr[0] == '-' ? 1 : 0;
    int64_t value;
    if (len <= first || number.ptr[first] < '1' || number.ptr[first] > '9' || ox_str_to_i64(number, &value)) {
        return false;
    }
    for (size_t i = first; i < len; i++) {
        if (number.ptr[i] < '0' || number.ptr[i] > '9') {
            return false;
        }
    }
    size_t next = at + len;
    while (next < text.len && memchr(" \t\r\n", text.ptr[next], 4) != NULL) {
        next++;
    }
    return next == text.len || text.ptr[next] != ':';
}

/* Copy JSON with its integers of more than 64 bits as strings; false if it has none. */
static bool quote_long_integers(struct ox_str text, struct ox_buf *out)
{
    bool any = false;
    bool in_string = false;
    size_t at = 0;
    while (at < text.len) {
        const size_t len = in_string ? 0 : number_length(text, at);
        if (len > 0 && is_long_integer(text, at, len)) {
            any = true;
            ox_json_add_quoted(out, ox_str_make(text.ptr + at, len));
        } else if (len > 0) {
            ox_buf_add(out, text.ptr + at, len);
        } else if (in_string && text.ptr[at] == '\\' && at + 1 < text.len) {
            ox_buf_add(out, text.ptr + at, 2);
            at += 2;
            continue;
        } else {
            in_string = in_string != (text.ptr[at] == '"');
            ox_buf_add_byte(out, text.ptr[at]);
        }
        at += len > 0 ? len : 1;
    }
    return any;
}

static bool is_blank(struct ox_str text)
{
    size_t n = 0;
    while (n < text.len && memchr(" \t\r\n", text.ptr[n], 4) != NULL) {
        n++;
    }
    return n == text.len;
}

/* Parse arguments that came as text. Integers of any length: jansson has 64 bits, but in arguments a string of digits
 * renders as the number would. What is no object stays text. */
static enum ox_status parse_arguments(const struct reader *r, struct ox_str text, struct ox_chat_call *call)
{
    struct ox_buf quoted;
    json_t *value = NULL;
    ox_buf_init(&quoted);
    enum ox_status status = ox_json_parse(text, "arguments", &value, NULL);
    if (status == OX_E_FORMAT && quote_long_integers(text, &quoted)) {
        status = ox_buf_failed(&quoted) ? OX_E_NOMEM : ox_json_parse(ox_buf_str(&quoted), "arguments", &value, NULL);
    }
    ox_buf_fini(&quoted);
    if (status == OX_E_NOMEM) {
        return ox_error_nomem(r->err, text.len);
    }
    if (json_is_object(value)) {
        call->arguments = value;
        return OX_OK;
    }
    json_decref(value);
    call->raw = text;
    return OX_OK;
}

/* Read a call's arguments: an object, a string, or nothing. */
static enum ox_status read_arguments(const struct reader *r, const struct ox_json_at *function,
                                     struct ox_chat_call *call)
{
    const struct ox_json_at at = ox_json_member(function, "arguments");
    const struct ox_str text = ox_json_text(at.value);
    if (json_is_object(at.value)) {
        call->arguments = json_incref(json_object_get(function->value, "arguments"));
    } else if (at.value != NULL && !json_is_string(at.value)) {
        return ox_json_expected(&at, "an object, or a string that holds one in JSON", r->err);
    } else if (!is_blank(text) && !ox_str_is(text, "null")) { /* null: what some clients make of no arguments */
        const enum ox_status status = parse_arguments(r, text, call);
        if (status != OX_OK) {
            return status;
        }
    }
    if (call->arguments != NULL && !ox_pyjson_within(call->arguments, r->chat->limits.max_depth)) {
        return ox_error_set(r->err, OX_E_LIMIT, "%s: %s: nested deeper than %zu", at.what, at.path,
                            r->chat->limits.max_depth);
    }
    return OX_OK;
}

static enum ox_status read_call(const struct reader *r, const struct ox_json_at *at)
{
    struct ox_chat *chat = r->chat;
    enum ox_status status = ox_json_need_object(at, r->err);
    if (status != OX_OK) {
        return status;
    }
    struct ox_json_at function = ox_json_member(at, "function");
    if (function.value == NULL) {
        function = *at;
    }
    struct ox_chat_call call = {.arguments = NULL};
    const struct ox_json_at name = ox_json_member(&function, "name");
    status = ox_json_get_str(&name, &call.name, r->err);
    if (status != OX_OK) {
        return status;
    }
    const struct ox_json_at id = ox_json_member(at, "id");
    if (id.value != NULL) {
        status = ox_json_get_str(&id, &call.id, r->err);
        if (status != OX_OK) {
            return status;
        }
    }
    void *calls = chat->calls;
    if (ox_grow(&calls, &chat->calls_cap, chat->n_calls + 1, sizeof chat->calls[0]) != 0) {
        return ox_error_nomem(r->err, (chat->n_calls + 1) * sizeof chat->calls[0]);
    }
    chat->calls = calls;
    status = read_arguments(r, &function, &call);
    chat->calls[chat->n_calls++] = call;
    return status;
}

static enum ox_status read_assistant(const struct reader *r, const struct ox_json_at *at, struct ox_chat_message *out)
{
    const struct ox_json_at reasoning = ox_json_member(at, "reasoning_content");
    if (json_is_string(reasoning.value)) {
        out->reasoning = ox_json_text(reasoning.value);
    } else if (reasoning.value != NULL) {
        return ox_json_expected(&reasoning, "a string or null", r->err);
    }
    const struct ox_json_at calls = ox_json_member(at, "tool_calls");
    if (calls.value != NULL && !json_is_array(calls.value)) {
        return ox_json_expected(&calls, "a list or null", r->err);
    }
    out->first_call = r->chat->n_calls;
    for (size_t i = 0; i < json_array_size(calls.value); i++) {
        const struct ox_json_at call = ox_json_element(&calls, i);
        const enum ox_status status = read_call(r, &call);
        if (status != OX_OK) {
            return status;
        }
    }
    out->n_calls = r->chat->n_calls - out->first_call;
    return OX_OK;
}

static enum ox_status read_result(const struct reader *r, const struct ox_json_at *at,
                                  const struct ox_chat_message *assistant, struct ox_chat_message *out)
{
    if (assistant == NULL || assistant->n_calls == 0) {
        return ox_error_set(r->err, OX_E_FORMAT,
                            "%s: %s: Message has tool role, but there was no previous assistant message with a tool "
                            "call!",
                            at->what, at->path);
    }
    const struct ox_json_at id = ox_json_member(at, "tool_call_id");
    return id.value == NULL ? OX_OK : ox_json_get_str(&id, &out->call_id, r->err);
}

/* Where a tool result goes: its call's number, and its place among its neighbours where two answer one call. */
struct rank {
    size_t call;
    size_t at;
};

static int compare_ranks(const void *a, const void *b)
{
    const struct rank *x = a;
    const struct rank *y = b;
    if (x->call != y->call) {
        return x->call < y->call ? -1 : 1;
    }
    return (x->at > y->at) - (x->at < y->at);
}

/* Rank results by their calls. A result that names no call takes the next call that no result names; one too many
 * comes last. Names count only if every call has one. *sorted: nothing to move. */
static enum ox_status rank_results(const struct reader *r, const struct ox_chat_message *assistant,
                                   const struct ox_chat_message *results, size_t n, struct rank *ranks, json_t *numbers)
{
    const struct ox_chat_call *calls = r->chat->calls + assistant->first_call;
    bool named = true;
    for (size_t i = 0; i < assistant->n_calls; i++) {
        named = named && calls[i].id.ptr != NULL;
        if (calls[i].id.ptr != NULL && json_object_getn(numbers, calls[i].id.ptr, calls[i].id.len) == NULL &&
            json_object_setn_new(numbers, calls[i].id.ptr, calls[i].id.len, json_integer((json_int_t)i)) != 0) {
            return ox_error_nomem(r->err, calls[i].id.len);
        }
    }
    bool *taken = ox_calloc(assistant->n_calls, sizeof taken[0]);
    if (taken == NULL) {
        return ox_error_nomem(r->err, assistant->n_calls);
    }
    for (size_t i = 0; i < n; i++) {
        const struct ox_str id = results[i].call_id;
        const json_t *number = id.ptr != NULL && named ? json_object_getn(numbers, id.ptr, id.len) : NULL;
        if (id.ptr != NULL && named && number == NULL) {
            ox_free(taken);
            return ox_error_set(r->err, OX_E_FORMAT,
                                "%s: messages[%zu].tool_call_id: expected the id of one of the %zu calls of "
                                "messages[%zu], found \"%.40s\"",
                                r->chat->what, results[i].place, assistant->n_calls, assistant->place, id.ptr);
        }
        ranks[i].at = i;
        ranks[i].call = number != NULL ? (size_t)json_integer_value(number) : SIZE_MAX;
        if (number != NULL) {
            taken[ranks[i].call] = true;
        }
    }
    size_t next = 0;
    for (size_t i = 0; i < n; i++) {
        if (ranks[i].call == SIZE_MAX) {
            while (next < assistant->n_calls && taken[next]) {
                next++;
            }
            ranks[i].call = next;
            next += next < assistant->n_calls;
        }
    }
    ox_free(taken);
    return OX_OK;
}

/* Put the n results of one run of tool messages in the order of the assistant's calls. */
static enum ox_status order_results(const struct reader *r, const struct ox_chat_message *assistant,
                                    struct ox_chat_message *results, size_t n)
{
    struct rank *ranks = ox_calloc(n, sizeof ranks[0]);
    struct ox_chat_message *copy = ox_calloc(n, sizeof copy[0]);
    json_t *numbers = json_object();
    enum ox_status status;
    if (ranks == NULL || copy == NULL || numbers == NULL) {
        status = ox_error_nomem(r->err, n * sizeof copy[0]);
        goto out;
    }
    status = rank_results(r, assistant, results, n, ranks, numbers);
    if (status != OX_OK) {
        goto out;
    }
    qsort(ranks, n, sizeof ranks[0], compare_ranks);
    memcpy(copy, results, n * sizeof copy[0]);
    for (size_t i = 0; i < n; i++) {
        results[i] = copy[ranks[i].at];
    }
out:
    json_decref(numbers);
    ox_free(copy);
    ox_free(ranks);
    return status;
}

static enum ox_status order_all_results(const struct reader *r)
{
    struct ox_chat *chat = r->chat;
    const struct ox_chat_message *assistant = NULL;
    size_t i = 0;
    while (i < chat->n_messages) {
        if (chat->messages[i].role == OX_CHAT_ASSISTANT) {
            assistant = &chat->messages[i];
        }
        size_t end = i;
        while (end < chat->n_messages && chat->messages[end].role == OX_CHAT_TOOL) {
            end++;
        }
        if (end > i + 1 || (end > i && chat->messages[i].call_id.ptr != NULL)) {
            const enum ox_status status = order_results(r, assistant, chat->messages + i, end - i);
            if (status != OX_OK) {
                return status;
            }
        }
        i = end > i ? end : i + 1;
    }
    return OX_OK;
}

static enum ox_status read_role(const struct reader *r, const struct ox_json_at *message, struct ox_str *out)
{
    static const char *const known[] = {"root", "system", "developer", "user", "assistant", "tool"};
    enum ox_status status = ox_json_need_object(message, r->err);
    if (status != OX_OK) {
        return status;
    }
    const struct ox_json_at role = ox_json_member(message, "role");
    *out = ox_json_text(role.value);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (json_is_string(role.value) && ox_str_is(*out, known[i])) {
            return OX_OK;
        }
    }
    return ox_json_expected(&role, "root, system, developer, user, assistant or tool", r->err);
}

/* Read message i. *assistant: the latest assistant message before it, which this may become. */
static enum ox_status read_message(const struct reader *r, const struct ox_json_at *messages, size_t i,
                                   const struct ox_chat_message **assistant)
{
    struct ox_chat *chat = r->chat;
    const struct ox_json_at at = ox_json_element(messages, i);
    struct ox_str role;
    json_t *content;
    enum ox_status status = read_role(r, &at, &role);
    if (status != OX_OK) {
        return status;
    }
    status = read_content(r, &at, "content", ox_str_is(role, "tool"), &content);
    if (status != OX_OK) {
        return status;
    }
    const bool is_root = ox_str_is(role, "root");
    const bool is_developer = ox_str_is(role, "system") || ox_str_is(role, "developer");
    if (i == 0 && is_root) {
        chat->system = content;
        return OX_OK;
    }
    const json_t *first = json_array_get(messages->value, 0);
    if (is_developer && (i == 0 || (i == 1 && ox_str_is(member_text(first, "role"), "root")))) {
        chat->developer = content;
        return OX_OK;
    }
    struct ox_chat_message *message = &chat->messages[chat->n_messages++];
    message->place = i;
    message->content = content;
    if (ox_str_is(role, "user")) {
        message->role = OX_CHAT_USER;
    } else if (ox_str_is(role, "assistant")) {
        message->role = OX_CHAT_ASSISTANT;
        *assistant = message;
        status = read_assistant(r, &at, message);
    } else if (ox_str_is(role, "tool")) {
        message->role = OX_CHAT_TOOL;
        status = read_result(r, &at, *assistant, message);
    } else {
        ox_log_message(r->log, OX_LOG_WARNING,
                       "%s: %s: a %.*s message that is not at the beginning has no place in the chat format and is "
                       "left out",
                       at.what, at.path, (int)role.len, role.ptr);
    }
    return status;
}

static enum ox_status read_messages(const struct reader *r, const struct ox_json_at *root)
{
    struct ox_chat *chat = r->chat;
    const struct ox_json_at messages = ox_json_member(root, "messages");
    if (!json_is_array(messages.value) || json_array_size(messages.value) == 0) {
        return ox_json_expected(&messages, "a list of at least one message", r->err);
    }
    const size_t n = json_array_size(messages.value);
    if (n > chat->limits.max_messages) {
        return ox_error_set(r->err, OX_E_LIMIT, "%s: messages: expected at most %zu, found %zu", chat->what,
                            chat->limits.max_messages, n);
    }
    chat->messages = ox_calloc(n, sizeof chat->messages[0]);
    if (chat->messages == NULL) {
        return ox_error_nomem(r->err, n * sizeof chat->messages[0]);
    }
    const struct ox_chat_message *assistant = NULL;
    for (size_t i = 0; i < n; i++) {
        const enum ox_status status = read_message(r, &messages, i, &assistant);
        if (status != OX_OK) {
            return status;
        }
    }
    return order_all_results(r);
}

static enum ox_status read_tools(const struct reader *r, const struct ox_json_at *root)
{
    const struct ox_json_at tools = ox_json_member(root, "tools");
    if (tools.value == NULL) {
        return OX_OK;
    }
    enum ox_status status = ox_json_need_array(&tools, r->err);
    for (size_t i = 0; status == OX_OK && i < json_array_size(tools.value); i++) {
        const struct ox_json_at tool = ox_json_element(&tools, i);
        const struct ox_json_at function = ox_json_member(&tool, "function");
        status = ox_json_need_object(&function, r->err);
        if (status == OX_OK && !ox_pyjson_within(json_object_get(tool.value, "function"), r->chat->limits.max_depth)) {
            status = ox_error_set(r->err, OX_E_LIMIT, "%s: %s: nested deeper than %zu", function.what, function.path,
                                  r->chat->limits.max_depth);
        }
    }
    if (status == OX_OK && json_array_size(tools.value) > 0) {
        r->chat->tools = json_object_get(root->value, "tools");
    }
    return status;
}

static enum ox_status read_options(const struct reader *r, const struct ox_json_at *root)
{
    struct ox_chat *chat = r->chat;
    const struct ox_json_at thinking = ox_json_member(root, "thinking_mode");
    if (thinking.value != NULL) {
        if (!json_is_string(thinking.value) ||
            ox_thinking_parse(ox_json_text(thinking.value), &chat->thinking, NULL) != OX_OK) {
            return ox_json_expected(&thinking, "adaptive, enabled or disabled", r->err);
        }
        chat->has_thinking = true;
    }
    const struct ox_json_at identity = ox_json_member(root, "model_identity");
    if (identity.value != NULL) {
        const enum ox_status status = ox_json_get_str(&identity, &chat->identity, r->err);
        if (status != OX_OK) {
            return status;
        }
    }
    const struct ox_json_at generates = ox_json_member(root, "add_generation_prompt");
    chat->generates = true;
    return generates.value == NULL ? OX_OK : ox_json_get_bool(&generates, &chat->generates, r->err);
}

static size_t or_default(size_t value, size_t otherwise)
{
    return value > 0 && value < otherwise ? value : otherwise;
}

enum ox_status ox_chat_from_json(json_t *root, const char *what, const struct ox_chat_limits *limits,
                                 const struct ox_log *log, struct ox_chat **out, struct ox_error *err)
{
    static const struct ox_chat_limits none;
    const struct ox_chat_limits *given = limits != NULL ? limits : &none;
    struct ox_chat *chat = ox_calloc(1, sizeof *chat);
    if (chat == NULL) {
        return ox_error_nomem(err, sizeof *chat);
    }
    const struct reader r = {chat, log, err};
    chat->root = json_incref(root);
    chat->what = ox_strdup(what);
    chat->limits.max_messages = or_default(given->max_messages, DEFAULT_MAX_MESSAGES);
    chat->limits.max_depth = or_default(given->max_depth, DEFAULT_MAX_DEPTH);
    chat->limits.max_text_bytes = or_default(given->max_text_bytes, OX_CHAT_MAX_TEXT_BYTES);
    if (chat->what == NULL) {
        ox_chat_free(chat);
        return ox_error_nomem(err, strlen(what) + 1);
    }
    const struct ox_json_at at = ox_json_root(root, chat->what);
    enum ox_status status = ox_json_need_object(&at, err);
    if (status == OX_OK) {
        status = read_options(&r, &at);
    }
    if (status == OX_OK) {
        status = read_tools(&r, &at);
    }
    if (status == OX_OK) {
        status = read_messages(&r, &at);
    }
    if (status != OX_OK) {
        ox_chat_free(chat);
        return status;
    }
    *out = chat;
    return OX_OK;
}

enum ox_status ox_chat_parse(struct ox_str json, const char *what, const struct ox_chat_limits *limits,
                             const struct ox_log *log, struct ox_chat **out, struct ox_error *err)
{
    json_t *root = NULL;
    enum ox_status status = ox_json_parse(json, what, &root, err);
    if (status == OX_OK) {
        status = ox_chat_from_json(root, what, limits, log, out, err);
    }
    json_decref(root);
    return status;
}

void ox_chat_free(struct ox_chat *chat)
{
    if (chat == NULL) {
        return;
    }
    for (size_t i = 0; i < chat->n_calls; i++) {
        json_decref(chat->calls[i].arguments);
    }
    ox_free(chat->calls);
    ox_free(chat->messages);
    ox_free(chat->what);
    json_decref(chat->root);
    ox_free(chat);
}

bool ox_chat_thinking(const struct ox_chat *chat, enum ox_thinking *out)
{
    *out = chat->thinking;
    return chat->has_thinking;
}

void ox_chat_set_thinking(struct ox_chat *chat, enum ox_thinking thinking)
{
    chat->has_thinking = true;
    chat->thinking = thinking;
}

const json_t *ox_chat_tools(const struct ox_chat *chat)
{
    return chat->tools;
}
