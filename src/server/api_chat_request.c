/* SPDX-License-Identifier: Apache-2.0
 *
 * A request for a chat completion becomes a conversation, sampling options and a constraint. Every refusal names the
 * member that caused it.
 */
#include "server/api_chat_request.h"

#include <stdio.h>

#include "base/json.h"
#include "base/json_build.h"
#include "base/mem.h"
#include "server/api_document.h"
#include "server/api_openai.h"
#include "server/recall.h"

#define MAX_TOOL_NAME_BYTES 256

/* A place in the request, as errors name it. */
struct place {
    char path[96];
};

static struct place place_of(const char *list, size_t i, const char *rest)
{
    struct place place;
    snprintf(place.path, sizeof place.path, "%.40s[%zu]%.30s", list, i, rest);
    return place;
}

static bool refuse_value(struct ox_api_error *error, const char *param, const char *expected)
{
    return ox_openai_refuse(error, "invalid_value", param, "%s: expected %s", param, expected);
}

/* Is the member there? JSON null is not. */
static json_t *member(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return value == NULL || json_is_null(value) ? NULL : value;
}

static bool member_is(const json_t *object, const char *key, const char *text)
{
    return json_is_string(json_object_get(object, key)) && ox_str_is(ox_json_text(json_object_get(object, key)), text);
}

/* ---- parts of messages ------------------------------------------------------------------------------------------ */

struct reading {
    const struct ox_api_context *context;
    struct ox_api_error *error;
    json_t *messages; /* the conversation's, NULL after a failed allocation */
    bool leading;     /* only instructions came so far */
    size_t n_media;
};

/* Set *url to that of {"data": BASE64, "format": "mp4"}, a data: URI; NULL when out of memory. False if it is none. */
static bool inline_url(const json_t *input, json_t **url)
{
    const struct ox_str data = ox_json_text(json_object_get(input, "data"));
    const json_t *format = member(input, "format");
    if (data.len == 0 || (format != NULL && !json_is_string(format))) {
        return false;
    }
    struct ox_buf text = {0};
    ox_buf_add_c(&text, "data:video/");
    ox_buf_add_str(&text, format != NULL ? ox_json_text(format) : ox_str_c("mp4"));
    ox_buf_add_c(&text, ";base64,");
    ox_buf_add_str(&text, data);
    *url = ox_buf_failed(&text) ? NULL : ox_json_new_text(ox_buf_str(&text));
    ox_buf_fini(&text);
    return true;
}

/* Set *url (a new reference) to that of a picture or clip: a string or {"url": string} under its type's name, or "url"
 * beside it. False if it has none. */
static bool media_url(const json_t *part, const char *type, json_t **url)
{
    json_t *value = member(part, type);
    if (json_is_object(value)) {
        value = member(value, "url") != NULL ? member(value, "url") : value;
    } else if (value == NULL) {
        value = member(part, "url");
    }
    if (json_is_object(value) && strcmp(type, "input_video") == 0) {
        return inline_url(value, url);
    }
    *url = json_incref(value);
    return json_string_length(value) > 0;
}

/* {"file": {"filename", "file_data"}} as text; NULL after a refusal, or out of memory. */
static json_t *file_part(struct reading *r, const json_t *part, const struct place *at)
{
    struct ox_buf text = {0};
    const char *why = ox_document_add_file(&text, member(part, "file"));
    json_t *read = NULL;
    if (why != NULL) {
        (void)ox_openai_refuse(r->error, "invalid_value", at->path, "%s.file: %s", at->path, why);
    } else if (!ox_buf_failed(&text)) {
        read = ox_api_text_part(ox_json_new_text(ox_buf_str(&text)));
    }
    ox_buf_fini(&text);
    return read;
}

/* An element of a content list as the chat format has it; NULL after a refusal. */
static json_t *read_part(struct reading *r, const json_t *part, const struct place *at)
{
    static const struct {
        const char *type;
        const char *becomes;
    } media[] = {
        {"image_url", "image_url"}, {"image", "image_url"},       {"video_url", "video_url"},
        {"video", "video_url"},     {"input_video", "video_url"},
    };
    static const char *const texts[] = {"text", "refusal"};
    for (size_t i = 0; i < 2; i++) {
        if (!member_is(part, "type", texts[i])) {
            continue;
        }
        if (!json_is_string(json_object_get(part, texts[i]))) {
            (void)ox_openai_refuse(r->error, "invalid_value", at->path, "%s.%s: expected a string", at->path, texts[i]);
            return NULL;
        }
        return ox_api_text_part(json_incref(json_object_get(part, texts[i])));
    }
    for (size_t i = 0; i < sizeof media / sizeof media[0]; i++) {
        if (!member_is(part, "type", media[i].type)) {
            continue;
        }
        json_t *url = NULL;
        if (!media_url(part, media[i].type, &url)) {
            json_decref(url);
            (void)ox_openai_refuse(r->error, "invalid_value", at->path, "%s.%s: expected an object with a \"url\"",
                                   at->path, media[i].type);
            return NULL;
        }
        r->n_media++;
        return ox_api_media_part(media[i].becomes, url);
    }
    if (member_is(part, "type", "file")) {
        return file_part(r, part, at);
    }
    (void)ox_openai_refuse(r->error, "invalid_value", at->path,
                           "%s: expected a part of type text, image_url, video_url, input_video or file", at->path);
    return NULL;
}

/* A message's content, a new reference; NULL after a refusal. */
static json_t *read_content(struct reading *r, const json_t *message, size_t i)
{
    const struct place at = place_of("messages", i, ".content");
    json_t *content = member(message, "content");
    if (content == NULL) {
        return json_null();
    }
    if (json_is_string(content)) {
        return json_incref(content);
    }
    if (!json_is_array(content)) {
        (void)refuse_value(r->error, at.path, "a string, null or an array of parts");
        return NULL;
    }
    json_t *parts = json_array();
    for (size_t k = 0; k < json_array_size(content) && parts != NULL; k++) {
        json_t *item = json_array_get(content, k);
        const struct place inner = place_of(at.path, k, "");
        json_t *part = json_is_string(item) ? json_incref(item) : read_part(r, item, &inner);
        ox_json_append(&parts, part);
    }
    if (parts != NULL && r->n_media > r->context->max_images) {
        (void)ox_openai_refuse(r->error, "too_many_images", "messages",
                               "messages: expected at most %zu pictures and clips (--max-images)",
                               r->context->max_images);
        json_decref(parts);
        return NULL;
    }
    return parts;
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

/* Append what a content value holds to parts. */
static void add_parts(json_t **parts, json_t *content)
{
    for (size_t i = 0; i < json_array_size(content); i++) {
        ox_json_append(parts, json_incref(json_array_get(content, i)));
    }
    if (json_is_string(content)) {
        ox_json_append(parts, ox_api_text_part(json_incref(content)));
    }
}

/* One more instruction behind the last message, which is one too. */
static void join_instructions(struct reading *r, json_t *content)
{
    json_t *last = json_array_get(r->messages, json_array_size(r->messages) - 1);
    json_t *parts = json_array();
    json_t *more = json_array();
    add_parts(&parts, json_object_get(last, "content"));
    add_parts(&more, content);
    if (json_array_size(parts) > 0 && json_array_size(more) > 0) {
        ox_json_append(&parts, ox_api_text_part(ox_json_new_c("\n\n")));
    }
    if (parts == NULL || more == NULL || json_array_extend(parts, more) != 0 ||
        json_object_set(last, "content", parts) != 0) {
        json_decref(r->messages);
        r->messages = NULL;
    }
    json_decref(parts);
    json_decref(more);
}

static bool read_call(struct reading *r, const json_t *call, size_t i, size_t k)
{
    const struct place list = place_of("messages", i, ".tool_calls");
    const struct place at = place_of(list.path, k, "");
    const json_t *type = member(call, "type");
    const json_t *function = member(call, "function");
    const json_t *arguments = member(function, "arguments");
    const json_t *id = member(call, "id");
    if (type != NULL && !member_is(call, "type", "function")) {
        return ox_openai_refuse(r->error, "unsupported_value", at.path, "%s.type: only \"function\" is supported",
                                at.path);
    }
    if (!json_is_string(member(function, "name"))) {
        return ox_openai_refuse(r->error, "invalid_value", at.path, "%s.function.name: expected a string", at.path);
    }
    if (arguments != NULL && !json_is_string(arguments) && !json_is_object(arguments)) {
        return ox_openai_refuse(r->error, "invalid_value", at.path,
                                "%s.function.arguments: expected a string that holds a JSON object", at.path);
    }
    return id == NULL || json_is_string(id) ||
           ox_openai_refuse(r->error, "invalid_value", at.path, "%s.id: expected a string", at.path);
}

/* What an assistant's message has beside its content. */
static bool read_assistant(struct reading *r, const json_t *message, size_t i, json_t **out)
{
    static const char *const keys[] = {"reasoning_content", "reasoning"};
    bool found = false;
    for (size_t k = 0; k < 2; k++) {
        json_t *reasoning = member(message, keys[k]);
        if (reasoning != NULL && !json_is_string(reasoning)) {
            const struct place at = place_of("messages", i, k == 0 ? ".reasoning_content" : ".reasoning");
            return refuse_value(r->error, at.path, "a string");
        }
        if (reasoning != NULL && !found) {
            ox_json_set(out, "reasoning_content", json_incref(reasoning));
            found = true;
        }
    }
    json_t *calls = member(message, "tool_calls");
    if (calls != NULL && !json_is_array(calls)) {
        const struct place at = place_of("messages", i, ".tool_calls");
        return refuse_value(r->error, at.path, "an array");
    }
    for (size_t k = 0; k < json_array_size(calls); k++) {
        if (!read_call(r, json_array_get(calls, k), i, k)) {
            return false;
        }
    }
    if (json_array_size(calls) > 0) {
        ox_json_set(out, "tool_calls", json_incref(calls));
    }
    return true;
}

/* What a message of this role becomes; NULL if there is no such role. */
static const char *role_in_format(const struct reading *r, const struct ox_str role, size_t i)
{
    static const char *const known[] = {"user", "assistant", "tool"};
    for (size_t k = 0; k < 3; k++) {
        if (ox_str_is(role, known[k])) {
            return known[k];
        }
    }
    if (ox_str_is(role, "root") && i == 0) {
        return "root";
    }
    if (ox_str_is(role, "system") || ox_str_is(role, "developer")) {
        return r->leading ? "system" : "user";
    }
    return NULL;
}

static bool is_last_system(const struct reading *r)
{
    const size_t n = json_array_size(r->messages);
    return n > 0 && member_is(json_array_get(r->messages, n - 1), "role", "system");
}

static bool read_message(struct reading *r, const json_t *message, size_t i)
{
    const struct place at = place_of("messages", i, "");
    const struct place at_role = place_of("messages", i, ".role");
    if (!json_is_object(message)) {
        return refuse_value(r->error, at.path, "an object");
    }
    const char *role = role_in_format(r, ox_json_text(json_object_get(message, "role")), i);
    if (role == NULL) {
        return refuse_value(r->error, at_role.path, "system, developer, user, assistant or tool");
    }
    json_t *content = read_content(r, message, i);
    if (content == NULL) {
        return false;
    }
    const bool is_system = strcmp(role, "system") == 0;
    r->leading = is_system || strcmp(role, "root") == 0;
    if (is_system && is_last_system(r)) {
        join_instructions(r, content);
        json_decref(content);
        return true;
    }
    json_t *out = json_object();
    ox_json_set(&out, "role", ox_json_new_c(role));
    ox_json_set(&out, "content", content);
    json_t *call_id = member(message, "tool_call_id");
    bool good = strcmp(role, "assistant") != 0 || read_assistant(r, message, i, &out);
    if (good && strcmp(role, "tool") == 0 && call_id != NULL) {
        const struct place at_id = place_of("messages", i, ".tool_call_id");
        good = json_is_string(call_id) || refuse_value(r->error, at_id.path, "a string");
        ox_json_set(&out, "tool_call_id", json_incref(call_id));
    }
    if (!good) {
        json_decref(out);
        return false;
    }
    ox_json_append(&r->messages, out);
    return true;
}

static bool read_messages(const struct ox_api_context *context, const json_t *body, json_t **conversation,
                          struct ox_api_error *error)
{
    const json_t *messages = json_object_get(body, "messages");
    const size_t n = json_array_size(messages);
    struct reading r = {.context = context, .error = error, .messages = json_array(), .leading = true};
    bool good = n > 0 || refuse_value(error, "messages", "an array of at least one message");
    if (good && n > context->max_messages) {
        good = ox_openai_refuse(error, "too_many_messages", "messages",
                                "messages: expected at most %zu (--max-messages), found %zu", context->max_messages, n);
    }
    for (size_t i = 0; i < n && good; i++) {
        good = read_message(&r, json_array_get(messages, i), i);
    }
    ox_json_set(conversation, "messages", r.messages);
    return good;
}

/* ---- the answer's form ------------------------------------------------------------------------------------------ */

static bool read_format(const struct ox_api_context *context, const json_t *body, struct ox_ask *ask,
                        struct ox_api_error *error)
{
    const json_t *format = member(body, "response_format");
    const json_t *holder = member(format, "json_schema");
    bool strict;
    if (format == NULL || member_is(format, "type", "text")) {
        return true;
    }
    const bool any_object = member_is(format, "type", "json_object");
    if (!any_object && !member_is(format, "type", "json_schema")) {
        return ox_openai_refuse(error, "invalid_value", "response_format.type",
                                "response_format.type: expected text, json_object or json_schema");
    }
    if (any_object) {
        ask->sampling.constraint = OXCART_CONSTRAINT_JSON_OBJECT;
        return true;
    }
    if (!ox_api_read_bool(holder, "strict", &strict, error)) {
        snprintf(error->param, sizeof error->param, "response_format.json_schema.strict");
        return false;
    }
    return ox_api_hold_form(context, ask, member(holder, "schema"), "response_format.json_schema.schema", error);
}

/* ---- tools ------------------------------------------------------------------------------------------------------ */

/* Can the chat format write this name? */
static bool is_tool_name(const json_t *name)
{
    const struct ox_str text = ox_json_text(name);
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || strchr("\"<>", text.ptr[i]) != NULL) {
            return false;
        }
    }
    return json_is_string(name) && text.len > 0 && text.len <= MAX_TOOL_NAME_BYTES;
}

static bool read_tool(const json_t *tool, size_t i, bool *strict, struct ox_api_error *error)
{
    const struct place at = place_of("tools", i, "");
    const json_t *function = member(tool, "function");
    const json_t *parameters = member(function, "parameters");
    bool is_strict = false;
    if (!json_is_object(function)) {
        const struct place inner = place_of("tools", i, ".function");
        return refuse_value(error, inner.path, "an object");
    }
    if (!is_tool_name(json_object_get(function, "name"))) {
        const struct place name = place_of("tools", i, ".function.name");
        return refuse_value(error, name.path, "a name of at most 256 bytes without quotes and angle brackets");
    }
    if (parameters != NULL && !json_is_object(parameters)) {
        const struct place inner = place_of("tools", i, ".function.parameters");
        return refuse_value(error, inner.path, "an object, a JSON schema");
    }
    if (!ox_api_read_bool(function, "strict", &is_strict, error)) {
        snprintf(error->param, sizeof error->param, "%.70s.function.strict", at.path);
        return false;
    }
    *strict = *strict || is_strict;
    return true;
}

static bool has_tool(const json_t *tools, struct ox_str name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        if (ox_str_equal(ox_json_text(json_object_get(function, "name")), name)) {
            return true;
        }
    }
    return false;
}

static bool read_choice(const json_t *body, struct ox_api_calls *calling, struct ox_api_error *error)
{
    const json_t *choice = member(body, "tool_choice");
    const json_t *name = member(member(choice, "function"), "name");
    if (choice == NULL || member_is(body, "tool_choice", "auto")) {
        return true;
    }
    if (member_is(body, "tool_choice", "none")) {
        calling->tools = NULL;
        return true;
    }
    const bool named = member_is(choice, "type", "function") && json_is_string(name);
    if (!named && !member_is(body, "tool_choice", "required")) {
        return refuse_value(error, "tool_choice",
                            "auto, none, required or {\"type\": \"function\", \"function\": {\"name\": ...}}");
    }
    if (calling->tools == NULL) {
        return ox_openai_refuse(error, "invalid_value", "tool_choice", "tool_choice: there are no tools to call");
    }
    if (named && !has_tool(calling->tools, ox_json_text(name))) {
        return ox_openai_refuse(error, "invalid_value", "tool_choice", "tool_choice: there is no tool \"%.80s\"",
                                json_string_value(name));
    }
    calling->required = true;
    calling->name = json_string_value(name);
    return true;
}

/* The functions among the tools, in *out (NULL: out of memory). Tools of other types are run by OpenAI, or known to its
 * models only; agents list them beside their functions: the model is not shown them. */
static bool read_functions(const json_t *tools, json_t **out, bool *strict, struct ox_api_error *error)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        json_t *tool = json_array_get(tools, i);
        const struct place type = place_of("tools", i, ".type");
        if (json_string_length(member(tool, "type")) == 0) {
            return refuse_value(error, type.path, "function");
        }
        if (!member_is(tool, "type", "function")) {
            continue;
        }
        if (!read_tool(tool, i, strict, error)) {
            return false;
        }
        ox_json_append(out, json_incref(tool));
    }
    return true;
}

/* Tools, and the form of an answer that does not call any. */
static bool read_tools(const struct ox_api_context *context, json_t *body, struct ox_ask *ask,
                       struct ox_api_error *error)
{
    struct ox_api_calls calling = {0};
    bool parallel = true;
    const json_t *tools = member(body, "tools");
    json_t *functions = json_array();
    bool good = tools == NULL || json_is_array(tools) || refuse_value(error, "tools", "an array");
    good = good && read_functions(tools, &functions, &calling.strict, error);
    calling.tools = json_array_size(functions) > 0 ? functions : NULL;
    good = good && functions != NULL && read_choice(body, &calling, error) &&
           ox_api_read_bool(body, "parallel_tool_calls", &parallel, error) && read_format(context, body, ask, error);
    calling.single = !parallel;
    if (!good || calling.tools == NULL) {
        json_decref(functions);
        return good;
    }
    ox_json_set(&ask->conversation, "tools", functions);
    return ask->conversation != NULL && ox_api_hold_calls(context, ask, &calling, error);
}

/* ---- the rest of the answer ----------------------------------------------------------------------------------- */

static bool read_logprobs(const json_t *body, struct ox_ask *ask, struct ox_api_error *error)
{
    bool wanted = false;
    int64_t n = 0;
    if (!ox_api_read_bool(body, "logprobs", &wanted, error) ||
        !ox_api_read_natural(body, "top_logprobs", 0, OX_OPENAI_MAX_LOGPROBS, &n, error)) {
        return false;
    }
    if (n > 0 && !wanted) {
        return ox_openai_refuse(error, "invalid_value", "top_logprobs", "top_logprobs: needs logprobs to be true");
    }
    ask->sampling.has_logprobs = wanted ? 1 : 0;
    ask->sampling.n_logprobs = (int32_t)n;
    return true;
}

/* ---- thinking --------------------------------------------------------------------------------------------------- */

static bool read_mode(const json_t *mode, enum oxcart_thinking *out, struct ox_api_error *error)
{
    static const char *const names[] = {
        [OXCART_THINKING_ADAPTIVE] = "adaptive",
        [OXCART_THINKING_ENABLED] = "enabled",
        [OXCART_THINKING_DISABLED] = "disabled",
    };
    for (int i = OXCART_THINKING_ADAPTIVE; i <= OXCART_THINKING_DISABLED; i++) {
        if (ox_str_is(ox_json_text(mode), names[i])) {
            *out = (enum oxcart_thinking)i;
            return true;
        }
    }
    return refuse_value(error, "chat_template_kwargs.thinking_mode", "adaptive, enabled or disabled");
}

static bool read_thinking(const json_t *body, struct ox_ask *ask, struct ox_api_error *error)
{
    static const char *const switches[] = {"enable_thinking", "thinking"};
    const json_t *options = member(body, "chat_template_kwargs");
    enum oxcart_thinking *thinking = &ask->messages.thinking;
    if (!ox_openai_read_effort(json_object_get(body, "reasoning_effort"), "reasoning_effort", thinking, error)) {
        return false;
    }
    if (options != NULL && !json_is_object(options)) {
        return refuse_value(error, "chat_template_kwargs", "an object");
    }
    for (size_t i = 0; i < 2; i++) {
        bool on = false;
        if (!ox_api_read_bool(options, switches[i], &on, error)) {
            snprintf(error->param, sizeof error->param, "chat_template_kwargs.%s", switches[i]);
            return false;
        }
        if (member(options, switches[i]) != NULL) {
            *thinking = on ? OXCART_THINKING_ENABLED : OXCART_THINKING_DISABLED;
            break;
        }
    }
    const json_t *mode = member(options, "thinking_mode");
    return mode == NULL || read_mode(mode, thinking, error);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

/* Members that ask for what does not exist here. */
static bool refuse_others(const json_t *body, struct ox_api_error *error)
{
    const json_t *modalities = member(body, "modalities");
    static const char *const old[] = {"functions", "function_call"};
    for (size_t i = 0; i < 2; i++) {
        if (member(body, old[i]) != NULL) {
            return ox_openai_refuse(error, "unsupported_parameter", old[i],
                                    "%s: not supported, use tools and tool_choice", old[i]);
        }
    }
    if (modalities != NULL &&
        !(json_array_size(modalities) == 1 && ox_str_is(ox_json_text(json_array_get(modalities, 0)), "text"))) {
        return ox_openai_refuse(error, "unsupported_value", "modalities", "modalities: answers are text only");
    }
    return member(body, "audio") == NULL ||
           ox_openai_refuse(error, "unsupported_parameter", "audio", "audio: answers are text only");
}

static bool read_all(const struct ox_api_context *context, json_t *body, struct ox_ask *ask, struct ox_api_error *error)
{
    bool allow_special = false;
    ask->chat = true;
    ask->messages.size = sizeof ask->messages;
    if (!ox_openai_read(context, body, ask, error) ||
        !ox_openai_read_limit(body, "max_completion_tokens", ask, error) || !refuse_others(body, error) ||
        !read_logprobs(body, ask, error) || !read_thinking(body, ask, error) ||
        !ox_api_read_bool(body, "allow_special_tokens", &allow_special, error)) {
        return false;
    }
    ask->messages.allow_special = allow_special ? 1 : 0;
    ask->conversation = json_object();
    if (!read_messages(context, body, &ask->conversation, error) || !read_tools(context, body, ask, error) ||
        ask->conversation == NULL) {
        return false;
    }
    ox_recall_fill(context->recall, ask);
    return true;
}

bool ox_chat_request_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask,
                          struct ox_api_error *error)
{
    *error = (struct ox_api_error){0};
    /* A tree that could not be made has said nothing. */
    return read_all(context, body, ask, error) || (error->http_status == 0 && ox_api_refuse_nomem(error));
}
