/* SPDX-License-Identifier: Apache-2.0
 *
 * A request for a chat completion becomes a conversation, sampling options and a constraint. Every refusal names the
 * member that caused it.
 */
#include "server/api_chat_request.h"

#include "base/json_build.h"
#include "base/mem.h"
#include "server/api_document.h"
#include "server/api_openai.h"
#include "server/recall.h"

#define MAX_TOOL_NAME_BYTES 256

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
    const json_t *format = json_object_get(input, "format");
    const bool has_format = format != NULL && !json_is_null(format);
    if (data.len == 0 || (has_format && !json_is_string(format))) {
        return false;
    }
    struct ox_buf text = {0};
    ox_buf_add_c(&text, "data:video/");
    ox_buf_add_str(&text, has_format ? ox_json_text(format) : ox_str_c("mp4"));
    ox_buf_add_c(&text, ";base64,");
    ox_buf_add_str(&text, data);
    *url = ox_buf_failed(&text) ? NULL : ox_json_new_text(ox_buf_str(&text));
    ox_buf_fini(&text);
    return true;
}

/* Set *url (a new reference) to that of a picture or clip: a string or {"url": string} under its type's name, or "url"
 * beside it. False if it has none. */
static bool media_url(const struct ox_json_at *part, const char *type, json_t **url)
{
    const struct ox_json_at inner = ox_json_member(part, type);
    const bool within = ox_json_member(&inner, "url").value != NULL;
    json_t *value = json_object_get(within ? inner.value : part->value, within || inner.value == NULL ? "url" : type);
    if (json_is_object(value) && strcmp(type, "input_video") == 0) {
        return inline_url(value, url);
    }
    *url = json_incref(value);
    return json_string_length(value) > 0;
}

/* A picture or clip; NULL after a refusal, or out of memory, as all these. */
static json_t *read_media(struct reading *r, const struct ox_json_at *part, const char *type)
{
    const struct ox_json_at at = ox_json_member(part, type);
    json_t *url = NULL;
    if (!media_url(part, type, &url)) {
        json_decref(url);
        (void)ox_api_expected(&at, "an object with a \"url\"", r->error);
        return NULL;
    }
    json_t *media = ox_api_media_part(strncmp(type, "image", 5) == 0 ? "image_url" : "video_url", url);
    if (!ox_api_count_media(r->context, &at, &r->n_media, r->error)) {
        json_decref(media);
        return NULL;
    }
    return media;
}

/* {"file": {"filename", "file_data"}} as text */
static json_t *read_file(const struct reading *r, const struct ox_json_at *part)
{
    const struct ox_json_at file = ox_json_member(part, "file");
    struct ox_buf text = {0};
    const char *why = ox_document_add_file(&text, file.value);
    json_t *read = NULL;
    if (why != NULL) {
        (void)ox_api_refuse_at(&file, why, r->error);
    } else if (!ox_buf_failed(&text)) {
        read = ox_api_text_part(ox_json_new_text(ox_buf_str(&text)));
    }
    ox_buf_fini(&text);
    return read;
}

/* An element of a content list as the chat format has it. */
static json_t *read_part(struct reading *r, const struct ox_json_at *part)
{
    enum { TEXT, REFUSAL, FILE_OF_TEXT, FIRST_MEDIA };
    static const char *const types[] = {"text",  "refusal",   "file",  "image_url",
                                        "image", "video_url", "video", "input_video"};
    struct ox_str text;
    size_t which;
    if (!ox_api_type(part, types, sizeof types / sizeof types[0], &which, r->error)) {
        return NULL;
    }
    if (which >= FIRST_MEDIA) {
        return read_media(r, part, types[which]);
    }
    if (which == FILE_OF_TEXT) {
        return read_file(r, part);
    }
    return ox_api_text(part, types[which], &text, r->error)
               ? ox_api_text_part(json_incref(json_object_get(part->value, types[which])))
               : NULL;
}

/* A message's content, a new reference. */
static json_t *read_content(struct reading *r, const struct ox_json_at *message)
{
    const struct ox_json_at content = ox_json_member(message, "content");
    if (content.value == NULL) {
        return json_null();
    }
    if (json_is_string(content.value)) {
        return json_incref(json_object_get(message->value, "content"));
    }
    if (!json_is_array(content.value)) {
        (void)ox_api_expected(&content, "a string, null or an array of parts", r->error);
        return NULL;
    }
    json_t *parts = json_array();
    for (size_t i = 0; i < json_array_size(content.value) && parts != NULL; i++) {
        const struct ox_json_at part = ox_json_element(&content, i);
        json_t *item = json_array_get(content.value, i);
        ox_json_append(&parts, json_is_string(item) ? json_incref(item) : read_part(r, &part));
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

static bool read_call(const struct reading *r, const struct ox_json_at *call)
{
    static const char *const types[] = {"function"};
    const struct ox_json_at type = ox_json_member(call, "type");
    const struct ox_json_at function = ox_json_member(call, "function");
    const struct ox_json_at arguments = ox_json_member(&function, "arguments");
    const struct ox_json_at id = ox_json_member(call, "id");
    struct ox_str name;
    size_t which;
    if ((type.value != NULL && !ox_api_one_of(&type, types, 1, &which, r->error)) ||
        !ox_api_text(&function, "name", &name, r->error)) {
        return false;
    }
    if (arguments.value != NULL && !json_is_string(arguments.value) && !json_is_object(arguments.value)) {
        return ox_api_expected(&arguments, "a string that holds a JSON object", r->error);
    }
    return id.value == NULL || json_is_string(id.value) || ox_api_expected(&id, "a string", r->error);
}

/* What an assistant's message has beside its content. */
static bool read_assistant(const struct reading *r, const struct ox_json_at *message, json_t **out)
{
    static const char *const keys[] = {"reasoning_content", "reasoning"};
    bool found = false;
    for (size_t k = 0; k < 2; k++) {
        const struct ox_json_at reasoning = ox_json_member(message, keys[k]);
        if (reasoning.value != NULL && !json_is_string(reasoning.value)) {
            return ox_api_expected(&reasoning, "a string", r->error);
        }
        if (reasoning.value != NULL && !found) {
            ox_json_set(out, "reasoning_content", json_incref(json_object_get(message->value, keys[k])));
            found = true;
        }
    }
    const struct ox_json_at calls = ox_json_member(message, "tool_calls");
    bool good = ox_api_maybe_array(&calls, r->error);
    for (size_t k = 0; k < json_array_size(calls.value) && good; k++) {
        const struct ox_json_at call = ox_json_element(&calls, k);
        good = read_call(r, &call);
    }
    if (json_array_size(calls.value) > 0) {
        ox_json_set(out, "tool_calls", json_incref(json_object_get(message->value, "tool_calls")));
    }
    return good;
}

/* What a message of this role becomes; NULL if there is no such role. */
static const char *role_in_format(const struct reading *r, const struct ox_str role, bool first)
{
    static const char *const known[] = {"user", "assistant", "tool"};
    for (size_t k = 0; k < 3; k++) {
        if (ox_str_is(role, known[k])) {
            return known[k];
        }
    }
    if (ox_str_is(role, "root") && first) {
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
    const json_t *last = n > 0 ? json_array_get(r->messages, n - 1) : NULL;
    return ox_str_is(ox_json_text(json_object_get(last, "role")), "system");
}

static bool read_message(struct reading *r, const struct ox_json_at *message, bool first)
{
    const struct ox_json_at role_at = ox_json_member(message, "role");
    const struct ox_json_at call_id = ox_json_member(message, "tool_call_id");
    if (!json_is_object(message->value)) {
        return ox_api_expected(message, "an object", r->error);
    }
    const char *role = role_in_format(r, ox_json_text(role_at.value), first);
    if (role == NULL) {
        return ox_api_expected(&role_at, "system, developer, user, assistant or tool", r->error);
    }
    json_t *content = read_content(r, message);
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
    bool good = strcmp(role, "assistant") != 0 || read_assistant(r, message, &out);
    if (good && strcmp(role, "tool") == 0 && call_id.value != NULL) {
        good = json_is_string(call_id.value) || ox_api_expected(&call_id, "a string", r->error);
        ox_json_set(&out, "tool_call_id", json_incref(json_object_get(message->value, "tool_call_id")));
    }
    if (!good) {
        json_decref(out);
        return false;
    }
    ox_json_append(&r->messages, out);
    return true;
}

static bool read_messages(const struct ox_api_context *context, const struct ox_json_at *root, json_t **conversation,
                          struct ox_api_error *error)
{
    const struct ox_json_at messages = ox_json_member(root, "messages");
    struct reading r = {.context = context, .error = error, .messages = json_array(), .leading = true};
    bool good = ox_api_need_messages(context, &messages, error);
    for (size_t i = 0; i < json_array_size(messages.value) && good; i++) {
        const struct ox_json_at message = ox_json_element(&messages, i);
        good = read_message(&r, &message, i == 0);
    }
    ox_json_set(conversation, "messages", r.messages);
    return good;
}

/* ---- the answer's form ------------------------------------------------------------------------------------------ */

static bool read_format(const struct ox_api_context *context, const struct ox_json_at *root, struct ox_ask *ask,
                        struct ox_api_error *error)
{
    enum { TEXT, OBJECT, SCHEMA };
    static const char *const types[] = {"text", "json_object", "json_schema"};
    const struct ox_json_at format = ox_json_member(root, "response_format");
    const struct ox_json_at holder = ox_json_member(&format, "json_schema");
    const struct ox_json_at schema = ox_json_member(&holder, "schema");
    size_t which = TEXT;
    bool strict;
    if (format.value != NULL && !ox_api_type(&format, types, 3, &which, error)) {
        return false;
    }
    if (which == OBJECT) {
        ask->sampling.constraint = OXCART_CONSTRAINT_JSON_OBJECT;
    }
    return which != SCHEMA || (ox_api_read_bool(&holder, "strict", &strict, error) &&
                               ox_api_hold_form(context, ask, schema.value, schema.path, error));
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

static bool read_function(const struct ox_json_at *function, bool *strict, struct ox_api_error *error)
{
    const struct ox_json_at name = ox_json_member(function, "name");
    const struct ox_json_at parameters = ox_json_member(function, "parameters");
    bool is_strict = false;
    if (!json_is_object(function->value)) {
        return ox_api_expected(function, "an object", error);
    }
    if (!is_tool_name(name.value)) {
        return ox_api_expected(&name, "a name of at most 256 bytes without quotes and angle brackets", error);
    }
    if (parameters.value != NULL && !json_is_object(parameters.value)) {
        return ox_api_expected(&parameters, "an object, a JSON schema", error);
    }
    if (!ox_api_read_bool(function, "strict", &is_strict, error)) {
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

static bool read_choice(const struct ox_json_at *root, struct ox_api_calls *calling, struct ox_api_error *error)
{
    enum { AUTO, NONE, REQUIRED };
    static const char *const words[] = {"auto", "none", "required"};
    static const char *const types[] = {"function"};
    const struct ox_json_at choice = ox_json_member(root, "tool_choice");
    const struct ox_json_at function = ox_json_member(&choice, "function");
    const bool named = json_is_object(choice.value);
    struct ox_str name = {NULL, 0};
    size_t which = AUTO;
    if (named && (!ox_api_type(&choice, types, 1, &which, error) || !ox_api_text(&function, "name", &name, error))) {
        return false;
    }
    if (!named && choice.value != NULL && !ox_api_one_of(&choice, words, 3, &which, error)) {
        return false;
    }
    calling->required = named || which == REQUIRED;
    calling->name = name.ptr;
    if (!named && which == NONE) {
        calling->tools = NULL;
    }
    if (calling->required && calling->tools == NULL) {
        return ox_api_refuse_at(&choice, "there are no tools to call", error);
    }
    return !named || has_tool(calling->tools, name) ||
           ox_openai_refuse(error, "invalid_value", choice.path, "tool_choice: there is no tool \"%.80s\"", name.ptr);
}

/* The functions among the tools, in *out (NULL: out of memory). Tools of other types are run by OpenAI, or known to its
 * models only; agents list them beside their functions: the model is not shown them. */
static bool read_functions(const struct ox_json_at *tools, json_t **out, bool *strict, struct ox_api_error *error)
{
    bool good = ox_api_maybe_array(tools, error);
    for (size_t i = 0; i < json_array_size(tools->value) && good; i++) {
        const struct ox_json_at tool = ox_json_element(tools, i);
        const struct ox_json_at type = ox_json_member(&tool, "type");
        const struct ox_json_at function = ox_json_member(&tool, "function");
        if (json_string_length(type.value) == 0) {
            good = ox_api_expected(&type, "function", error);
        } else if (ox_str_is(ox_json_text(type.value), "function")) {
            good = read_function(&function, strict, error);
            ox_json_append(out, json_incref(json_array_get(tools->value, i)));
        }
    }
    return good;
}

/* Tools, and the form of an answer that does not call any. */
static bool read_tools(const struct ox_api_context *context, const struct ox_json_at *root, struct ox_ask *ask,
                       struct ox_api_error *error)
{
    const struct ox_json_at tools = ox_json_member(root, "tools");
    struct ox_api_calls calling = {0};
    bool parallel = true;
    json_t *functions = json_array();
    bool good = read_functions(&tools, &functions, &calling.strict, error);
    calling.tools = json_array_size(functions) > 0 ? functions : NULL;
    good = good && functions != NULL && read_choice(root, &calling, error) &&
           ox_api_read_bool(root, "parallel_tool_calls", &parallel, error) && read_format(context, root, ask, error);
    calling.single = !parallel;
    if (!good || calling.tools == NULL) {
        json_decref(functions);
        return good;
    }
    ox_json_set(&ask->conversation, "tools", functions);
    return ask->conversation != NULL && ox_api_hold_calls(context, ask, &calling, error);
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

static bool read_logprobs(const struct ox_json_at *root, struct ox_ask *ask, struct ox_api_error *error)
{
    bool wanted = false;
    int64_t n = 0;
    if (!ox_api_read_bool(root, "logprobs", &wanted, error) ||
        !ox_api_read_natural(root, "top_logprobs", 0, OX_OPENAI_MAX_LOGPROBS, &n, error)) {
        return false;
    }
    if (n > 0 && !wanted) {
        return ox_openai_refuse(error, "invalid_value", "top_logprobs", "top_logprobs: needs logprobs to be true");
    }
    ask->sampling.has_logprobs = wanted ? 1 : 0;
    ask->sampling.n_logprobs = (int32_t)n;
    return true;
}

static bool read_thinking(const struct ox_json_at *root, struct ox_ask *ask, struct ox_api_error *error)
{
    static const char *const switches[] = {"enable_thinking", "thinking"};
    static const char *const names[] = {"adaptive", "enabled", "disabled"};
    static const enum oxcart_thinking modes[] = {OXCART_THINKING_ADAPTIVE, OXCART_THINKING_ENABLED,
                                                 OXCART_THINKING_DISABLED};
    const struct ox_json_at effort = ox_json_member(root, "reasoning_effort");
    const struct ox_json_at options = ox_json_member(root, "chat_template_kwargs");
    const struct ox_json_at mode = ox_json_member(&options, "thinking_mode");
    enum oxcart_thinking *thinking = &ask->messages.thinking;
    size_t which;
    if (!ox_openai_read_effort(&effort, thinking, error) || !ox_api_maybe_object(&options, error)) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        bool on = false;
        if (!ox_api_read_bool(&options, switches[i], &on, error)) {
            return false;
        }
        if (ox_json_member(&options, switches[i]).value != NULL) {
            *thinking = on ? OXCART_THINKING_ENABLED : OXCART_THINKING_DISABLED;
            break;
        }
    }
    if (mode.value != NULL && !ox_api_one_of(&mode, names, 3, &which, error)) {
        return false;
    }
    *thinking = mode.value != NULL ? modes[which] : *thinking;
    return true;
}

/* Members that ask for what does not exist here. */
static bool refuse_others(const struct ox_json_at *root, struct ox_api_error *error)
{
    static const char *const old[] = {"functions", "function_call"};
    const struct ox_json_at modalities = ox_json_member(root, "modalities");
    for (size_t i = 0; i < 2; i++) {
        if (ox_json_member(root, old[i]).value != NULL) {
            return ox_openai_refuse(error, "unsupported_parameter", old[i],
                                    "%s: not supported, use tools and tool_choice", old[i]);
        }
    }
    if (modalities.value != NULL && !(json_array_size(modalities.value) == 1 &&
                                      ox_str_is(ox_json_text(json_array_get(modalities.value, 0)), "text"))) {
        return ox_openai_refuse(error, "unsupported_value", "modalities", "modalities: answers are text only");
    }
    return ox_json_member(root, "audio").value == NULL ||
           ox_openai_refuse(error, "unsupported_parameter", "audio", "audio: answers are text only");
}

static bool read_all(const struct ox_api_context *context, json_t *body, struct ox_ask *ask, struct ox_api_error *error)
{
    const struct ox_json_at root = ox_json_root(body, "request");
    bool allow_special = false;
    ask->chat = true;
    ask->messages.size = sizeof ask->messages;
    if (!ox_openai_read(context, body, ask, error) ||
        !ox_openai_read_limit(&root, "max_completion_tokens", ask, error) || !refuse_others(&root, error) ||
        !read_logprobs(&root, ask, error) || !read_thinking(&root, ask, error) ||
        !ox_api_read_bool(&root, "allow_special_tokens", &allow_special, error)) {
        return false;
    }
    ask->messages.allow_special = allow_special ? 1 : 0;
    ask->conversation = json_object();
    if (!read_messages(context, &root, &ask->conversation, error) || !read_tools(context, &root, ask, error) ||
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
