/* SPDX-License-Identifier: Apache-2.0
 *
 * Pieces become a conversation.
 */
#include "server/api_talk.h"

#include <stdio.h>

#include "base/json_build.h"
#include "server/recall.h"

static json_t *text_of(const struct ox_buf *buf)
{
    return ox_buf_failed(buf) ? NULL : ox_json_new_text(ox_buf_str(buf));
}

bool ox_talk_each(struct ox_talk *talk, const struct ox_json_at *list, const struct ox_talk_parts *parts, void *into)
{
    if (!json_is_array(list->value)) {
        return ox_api_expected(list, parts->expected, talk->error);
    }
    for (size_t i = 0; i < json_array_size(list->value); i++) {
        const struct ox_json_at part = ox_json_element(list, i);
        size_t which;
        if (!ox_api_type(&part, parts->types, parts->n, &which, talk->error) ||
            !parts->read(talk, &part, which, into)) {
            return false;
        }
    }
    return true;
}

/* ---- begin ------------------------------------------------------------------------------------------------------ */

/* What requests of both APIs have. */
static bool begin(struct ox_talk *talk, json_t *body, const struct ox_json_at *root)
{
    const struct ox_api_context *context = talk->context;
    struct ox_api_error *error = talk->error;
    struct ox_ask *ask = talk->ask;
    bool allow_special = false;
    if (!json_is_object(body)) {
        return ox_api_expected(root, "an object", talk->error);
    }
    ask->body = json_incref(body);
    ask->n_choices = 1;
    ask->chat = true;
    ask->messages.size = sizeof ask->messages;
    if (!ox_api_read_model(context, body, error) || !ox_api_read_bool(root, "stream", &ask->stream, error) ||
        !ox_api_read_bool(root, "allow_special_tokens", &allow_special, error)) {
        return false;
    }
    ask->messages.allow_special = allow_special ? 1 : 0;
    return ox_api_read_sampling(context, body, ask, error);
}

bool ox_talk_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask, struct ox_api_error *error,
                  bool (*read)(struct ox_talk *talk, const struct ox_json_at *root))
{
    const struct ox_json_at root = ox_json_root(body, "request");
    struct ox_talk talk = {
        .context = context,
        .ask = ask,
        .error = error,
        .messages = json_array(),
        .call_ids = json_object(),
    };
    const bool ok = begin(&talk, body, &root) && read(&talk, &root);
    json_decref(talk.tools);
    json_decref(talk.messages);
    json_decref(talk.calls);
    json_decref(talk.call_ids);
    ox_buf_fini(&talk.system);
    ox_buf_fini(&talk.reasoning);
    ox_buf_fini(&talk.said);
    return ok;
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

/* {"role", "content" (taken)} */
static json_t *message(const char *role, json_t *content)
{
    json_t *object = json_object();
    ox_json_set(&object, "role", ox_json_new_c(role));
    ox_json_set(&object, "content", content);
    return object;
}

/* The assistant's message that is being made, if one is, is whole. */
static void end_turn(struct ox_talk *talk)
{
    if (!talk->in_turn) {
        return;
    }
    json_t *object = message("assistant", text_of(&talk->said));
    ox_json_set(&object, "reasoning_content", text_of(&talk->reasoning));
    if (talk->calls != NULL) {
        ox_json_set(&object, "tool_calls", talk->calls);
        talk->calls = NULL;
    }
    ox_json_append(&talk->messages, object);
    ox_buf_clear(&talk->said);
    ox_buf_clear(&talk->reasoning);
    talk->in_turn = false;
}

void ox_talk_add_text(json_t **parts, struct ox_str text)
{
    ox_json_append(parts, ox_api_text_part(ox_json_new_text(text)));
}

void ox_talk_add_buf(json_t **parts, const struct ox_buf *text)
{
    ox_json_append(parts, ox_api_text_part(text_of(text)));
}

bool ox_talk_add_picture(struct ox_talk *talk, const struct ox_json_at *at, json_t **parts, json_t *url)
{
    ox_json_append(parts, ox_api_media_part("image_url", url));
    return ox_api_count_media(talk->context, at, &talk->n_media, talk->error);
}

void ox_talk_user(struct ox_talk *talk, json_t *parts)
{
    end_turn(talk);
    ox_json_append(&talk->messages, message("user", parts));
}

void ox_talk_instruct(struct ox_talk *talk, struct ox_str text)
{
    if (text.len == 0) {
        return;
    }
    if (talk->in_turn || json_array_size(talk->messages) > 0) {
        json_t *parts = json_array();
        ox_talk_add_text(&parts, text);
        ox_talk_user(talk, parts);
        return;
    }
    if (talk->system.len > 0) {
        ox_buf_add_c(&talk->system, "\n\n");
    }
    ox_buf_add_str(&talk->system, text);
}

void ox_talk_assistant(struct ox_talk *talk)
{
    if (!talk->in_turn) {
        json_decref(talk->call_ids);
        talk->call_ids = json_object();
        talk->in_turn = true;
    }
}

/* The name that the model knows a function by: with its namespace before it, if it has one. Released by the caller. */
static struct ox_buf name_within(struct ox_str space, struct ox_str name)
{
    struct ox_buf full = {0};
    ox_buf_add_str(&full, space);
    ox_buf_add_c(&full, space.len > 0 ? OX_TALK_WITHIN : "");
    ox_buf_add_str(&full, name);
    return full;
}

bool ox_talk_call(struct ox_talk *talk, const struct ox_json_at *at, const char *id, const char *arguments,
                  bool as_text)
{
    const struct ox_json_at id_at = ox_json_member(at, id);
    const struct ox_json_at name_at = ox_json_member(at, "name");
    const struct ox_json_at space = ox_json_member(at, "namespace");
    const struct ox_json_at arguments_at = ox_json_member(at, arguments);
    const struct ox_str id_text = ox_json_text(id_at.value);
    if (id_text.len == 0) {
        return ox_api_expected(&id_at, "a string that is not empty", talk->error);
    }
    if (json_string_length(name_at.value) == 0) {
        return ox_api_expected(&name_at, "a string that is not empty", talk->error);
    }
    if (space.value != NULL && !json_is_string(space.value)) {
        return ox_api_expected(&space, "a string", talk->error);
    }
    if (as_text && !json_is_string(arguments_at.value)) {
        return ox_api_expected(&arguments_at, "a string that holds an object in JSON", talk->error);
    }
    if (!as_text && !json_is_object(arguments_at.value)) {
        return ox_api_expected(&arguments_at, "an object", talk->error);
    }
    ox_talk_assistant(talk);
    struct ox_buf full = name_within(ox_json_text(space.value), ox_json_text(name_at.value));
    json_t *function = json_object();
    ox_json_set(&function, "name", text_of(&full));
    ox_buf_fini(&full);
    ox_json_set(&function, "arguments", json_incref(json_object_get(at->value, arguments)));
    json_t *call = ox_api_typed("function");
    ox_json_set(&call, "id", json_incref(json_object_get(at->value, id)));
    ox_json_set(&call, "function", function);
    if (talk->calls == NULL) {
        talk->calls = json_array();
    }
    ox_json_append(&talk->calls, call);
    if (talk->calls == NULL ||
        json_object_setn_new_nocheck(talk->call_ids, id_text.ptr, id_text.len, json_true()) != 0) {
        talk->system.failed = true; /* as good a place as any: finish tells */
    }
    return true;
}

bool ox_talk_result(struct ox_talk *talk, const struct ox_json_at *id, json_t *content)
{
    const struct ox_str text = ox_json_text(id->value);
    end_turn(talk);
    if (!json_is_string(id->value) || json_object_getn(talk->call_ids, text.ptr, text.len) == NULL) {
        json_decref(content);
        return ox_buf_failed(&talk->system)
                   ? ox_api_refuse_nomem(talk->error)
                   : ox_api_expected(id, "the id of a call of the assistant's message before it", talk->error);
    }
    json_t *object = message("tool", content);
    ox_json_set(&object, "tool_call_id", ox_json_new_text(text));
    ox_json_append(&talk->messages, object);
    return true;
}

/* ---- tools ------------------------------------------------------------------------------------------------------ */

static bool read_name(const struct ox_talk *talk, const struct ox_json_at *at, struct ox_str *out)
{
    const struct ox_json_at name = ox_json_member(at, "name");
    *out = ox_json_text(name.value);
    return (out->len > 0 && strlen(out->ptr) == out->len) ||
           ox_api_expected(&name, "a string that is not empty, without NUL", talk->error);
}

/* A tool at a place: {"name", "description", "strict", PARAMETERS: schema}. */
static bool add_tool(struct ox_talk *talk, const struct ox_json_at *at, const char *parameters, struct ox_str space)
{
    const struct ox_json_at description = ox_json_member(at, "description");
    const struct ox_json_at schema = ox_json_member(at, parameters);
    bool strict = false;
    struct ox_str name;
    if (!read_name(talk, at, &name)) {
        return false;
    }
    if (description.value != NULL && !json_is_string(description.value)) {
        return ox_api_expected(&description, "a string", talk->error);
    }
    if (schema.value != NULL && !json_is_object(schema.value)) {
        return ox_api_expected(&schema, "an object, a JSON schema", talk->error);
    }
    if (!ox_api_read_bool(at, "strict", &strict, talk->error)) {
        return false;
    }
    struct ox_buf full = name_within(space, name);
    json_t *function = json_object();
    ox_json_set(&function, "name", text_of(&full));
    if (description.value != NULL) {
        ox_json_set(&function, "description", ox_json_new_text(ox_json_text(description.value)));
    }
    if (schema.value != NULL) {
        ox_json_set(&function, "parameters", json_incref(json_object_get(at->value, parameters)));
    }
    json_t *tool = ox_api_typed("function");
    ox_json_set(&tool, "function", function);
    if (talk->tools == NULL) {
        talk->tools = json_array();
    }
    ox_json_append(&talk->tools, tool);
    ox_buf_fini(&full);
    talk->strict = talk->strict || strict;
    return talk->tools != NULL || ox_api_refuse_nomem(talk->error);
}

static bool add_tools(struct ox_talk *talk, const struct ox_json_at *tools, const struct ox_talk_tools *kind,
                      struct ox_str space);

/* The functions of a namespace, which has none within it. */
static bool add_namespace(struct ox_talk *talk, const struct ox_json_at *at, const struct ox_talk_tools *kind)
{
    const struct ox_json_at tools = ox_json_member(at, "tools");
    const struct ox_talk_tools inner = {.type = kind->type, .parameters = kind->parameters};
    struct ox_str name;
    return read_name(talk, at, &name) && add_tools(talk, &tools, &inner, name);
}

static bool add_tools(struct ox_talk *talk, const struct ox_json_at *tools, const struct ox_talk_tools *kind,
                      struct ox_str space)
{
    bool good = ox_api_maybe_array(tools, talk->error);
    for (size_t i = 0; i < json_array_size(tools->value) && good; i++) {
        const struct ox_json_at tool = ox_json_element(tools, i);
        const struct ox_json_at type = ox_json_member(&tool, "type");
        const struct ox_json_at schema = ox_json_member(&tool, kind->parameters);
        const struct ox_str type_text = ox_json_text(type.value);
        const bool is_plain = kind->plain && json_is_object(tool.value) && type.value == NULL;
        if (!json_is_object(tool.value)) {
            good = ox_api_expected(&tool, "an object", talk->error);
        } else if (!is_plain && type_text.len == 0) {
            good = ox_api_expected(&type, kind->type, talk->error);
        } else if (is_plain || ox_str_is(type_text, kind->type)) {
            good = kind->plain && schema.value == NULL
                       ? ox_api_expected(&schema, "an object, a JSON schema", talk->error)
                       : add_tool(talk, &tool, kind->parameters, space);
        } else if (kind->namespaces && ox_str_is(type_text, "namespace")) {
            good = add_namespace(talk, &tool, kind);
        }
    }
    return good;
}

bool ox_talk_add_tools(struct ox_talk *talk, const struct ox_json_at *tools, const struct ox_talk_tools *kind)
{
    return add_tools(talk, tools, kind, ox_str_make("", 0));
}

/* ---- finish ----------------------------------------------------------------------------------------------------- */

static bool hold_calls(const struct ox_talk *talk)
{
    const struct ox_api_calls calls = {.tools = talk->tools,
                                       .name = talk->tool,
                                       .required = talk->choice == OX_TALK_REQUIRED,
                                       .strict = talk->strict,
                                       .single = talk->single};
    return ox_api_hold_calls(talk->context, talk->ask, &calls, talk->error);
}

/* Is this the name of a function within some namespace? */
static bool is_within(struct ox_str full, struct ox_str name)
{
    const size_t len = name.len + strlen(OX_TALK_WITHIN);
    return full.len > len && ox_str_starts(ox_str_make(full.ptr + full.len - len, len), ox_str_c(OX_TALK_WITHIN)) &&
           ox_str_equal(ox_str_make(full.ptr + full.len - name.len, name.len), name);
}

/* The full name of the tool that a client calls so: with its namespace, or without where no other has it; NULL: none. */
static const char *find_tool(const struct ox_talk *talk, struct ox_str name)
{
    const char *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(talk->tools); i++) {
        const json_t *function = json_object_get(json_array_get(talk->tools, i), "function");
        const json_t *full = json_object_get(function, "name");
        if (ox_str_equal(ox_json_text(full), name)) {
            return json_string_value(full);
        }
        if (is_within(ox_json_text(full), name)) {
            found = json_string_value(full);
            n++;
        }
    }
    return n == 1 ? found : NULL;
}

/* Do choice and tools go together? */
static bool check_choice(struct ox_talk *talk, const struct ox_json_at *choice_at)
{
    const bool has_tools = json_array_size(talk->tools) > 0;
    if (talk->choice == OX_TALK_REQUIRED && !has_tools) {
        return ox_api_refuse_at(choice_at, "a call is wanted, but there are no tools", talk->error);
    }
    if (talk->tool == NULL) {
        return true;
    }
    talk->tool = find_tool(talk, ox_str_c(talk->tool));
    return talk->tool != NULL || ox_api_refuse_at(choice_at, "there is no tool of this name", talk->error);
}

bool ox_talk_finish(struct ox_talk *talk, const struct ox_json_at *choice_at)
{
    const bool shows_tools = talk->choice != OX_TALK_NONE && json_array_size(talk->tools) > 0;
    end_turn(talk);
    if (!check_choice(talk, choice_at) || (shows_tools && !hold_calls(talk))) {
        return false;
    }
    json_t *conversation = json_object();
    const bool is_silent = json_array_size(talk->messages) == 0; /* a conversation has one message at least */
    if ((talk->system.len > 0 || is_silent) && talk->messages != NULL) {
        json_t *system = message("system", text_of(&talk->system));
        if (system == NULL || json_array_insert_new(talk->messages, 0, system) != 0) {
            talk->system.failed = true;
        }
    }
    ox_json_set(&conversation, "messages", talk->messages);
    talk->messages = NULL;
    if (shows_tools) {
        ox_json_set(&conversation, "tools", talk->tools);
        talk->tools = NULL;
    }
    talk->ask->conversation = conversation;
    if (conversation == NULL || ox_buf_failed(&talk->system)) {
        return ox_api_refuse_nomem(talk->error);
    }
    ox_recall_fill(talk->context->recall, talk->ask);
    return true;
}
