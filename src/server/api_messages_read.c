/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of Anthropic's Messages API become asks. Results of tools stand in a user's message there and are messages of
 * their own here, before what else the user says. Thinking is off unless `thinking` asks for it, as clients that do not
 * know of it expect; a budget of it cannot be kept and is ignored. Thoughts of history are read, their signatures are not,
 * and redacted ones are left out: nobody here can read them.
 */
#include "server/api_talk.h"

#include "base/json_build.h"
#include "server/api_document.h"

/* {"type": "base64", "media_type", "data"} as a data: URI */
static json_t *data_uri(const struct ox_json_at *media_type, const struct ox_json_at *data)
{
    struct ox_buf uri = {0};
    ox_buf_add_c(&uri, "data:");
    ox_buf_add_str(&uri, ox_json_text(media_type->value));
    ox_buf_add_c(&uri, ";base64,");
    ox_buf_add_str(&uri, ox_json_text(data->value));
    json_t *text = ox_buf_failed(&uri) ? NULL : ox_json_new_text(ox_buf_str(&uri));
    ox_buf_fini(&uri);
    return text;
}

static bool read_image(struct ox_talk *talk, const struct ox_json_at *block, json_t **parts)
{
    static const char *const types[] = {"base64", "url"};
    const struct ox_json_at source = ox_json_member(block, "source");
    const struct ox_json_at type = ox_json_member(&source, "type");
    const struct ox_json_at media_type = ox_json_member(&source, "media_type");
    const struct ox_json_at data = ox_json_member(&source, "data");
    const struct ox_json_at url = ox_json_member(&source, "url");
    size_t which;
    if (!json_is_object(source.value)) {
        return ox_api_expected(&source, "an object", talk->error);
    }
    if (!ox_api_one_of(&type, types, 2, &which, talk->error)) {
        return false;
    }
    if (which == 1) {
        return json_string_length(url.value) > 0
                   ? ox_talk_add_picture(talk, &url, parts, ox_json_new_text(ox_json_text(url.value)))
                   : ox_api_expected(&url, "a string with an address", talk->error);
    }
    if (json_string_length(media_type.value) == 0) {
        return ox_api_expected(&media_type, "a string", talk->error);
    }
    if (json_string_length(data.value) == 0) {
        return ox_api_expected(&data, "a string in base64", talk->error);
    }
    return ox_talk_add_picture(talk, &data, parts, data_uri(&media_type, &data));
}

/* ---- system ----------------------------------------------------------------------------------------------------- */

static bool read_instruction(struct ox_talk *talk, const struct ox_json_at *block, size_t which, void *into)
{
    struct ox_str text;
    (void)which;
    (void)into;
    if (!ox_api_text(block, "text", &text, talk->error)) {
        return false;
    }
    ox_talk_instruct(talk, text);
    return true;
}

/* A string or text blocks. */
static bool read_instructions(struct ox_talk *talk, const struct ox_json_at *at)
{
    static const char *const types[] = {"text"};
    static const struct ox_talk_parts known = {types, 1, "a string or an array of text blocks", read_instruction};
    if (at->value == NULL || json_is_string(at->value)) {
        ox_talk_instruct(talk, ox_json_text(at->value));
        return true;
    }
    return ox_talk_each(talk, at, &known, NULL);
}

/* ---- the user --------------------------------------------------------------------------------------------------- */

enum { USER_TEXT, USER_IMAGE, USER_DOCUMENT, USER_RESULT };
static const char *const user_types[] = {"text", "image", "document", "tool_result"};

/* A text block, as a part of the chat format. */
static bool read_text(struct ox_talk *talk, const struct ox_json_at *block, json_t **parts)
{
    struct ox_str text;
    if (!ox_api_text(block, "text", &text, talk->error)) {
        return false;
    }
    ox_talk_add_text(parts, text);
    return true;
}

/* A block of a document's own content: text or an image. */
static bool read_inner(struct ox_talk *talk, const struct ox_json_at *block, size_t which, void *into)
{
    return which == USER_IMAGE ? read_image(talk, block, into) : read_text(talk, block, into);
}

/* {"type": "text", "data"}, {"type": "base64", "media_type", "data"} or {"type": "content", "content"}; `head` is what the
 * document begins with. */
static bool read_source(struct ox_talk *talk, const struct ox_json_at *source, struct ox_buf *head, json_t **parts)
{
    enum { TEXT, BASE64, CONTENT };
    static const char *const types[] = {"text", "base64", "content"};
    static const struct ox_talk_parts known = {user_types, 2, "a string or an array of text and image blocks",
                                               read_inner};
    const struct ox_json_at content = ox_json_member(source, "content");
    const struct ox_json_at media_type = ox_json_member(source, "media_type");
    struct ox_str data = ox_json_text(content.value);
    const char *why = NULL;
    size_t which;
    if (!ox_api_type(source, types, 3, &which, talk->error) ||
        (which != CONTENT && !ox_api_text(source, "data", &data, talk->error))) {
        return false;
    }
    if (which == CONTENT && !json_is_string(content.value)) {
        ox_talk_add_buf(parts, head);
        ox_buf_clear(head);
        if (!ox_talk_each(talk, &content, &known, parts)) {
            return false;
        }
    } else if (which == BASE64) {
        why = ox_document_add_base64(head, ox_json_text(media_type.value), data);
    } else {
        ox_buf_add_str(head, data);
    }
    ox_document_end(head);
    ox_talk_add_buf(parts, head);
    return why == NULL || ox_api_refuse_at(source, why, talk->error);
}

static bool read_document(struct ox_talk *talk, const struct ox_json_at *block, json_t **parts)
{
    const struct ox_json_at source = ox_json_member(block, "source");
    const struct ox_json_at title = ox_json_member(block, "title");
    const struct ox_json_at context = ox_json_member(block, "context");
    struct ox_buf head = {0};
    ox_document_begin(&head, ox_json_text(title.value), ox_json_text(context.value));
    const bool ok = read_source(talk, &source, &head, parts);
    ox_buf_fini(&head);
    return ok;
}

/* A block that is no result, as parts of the chat format. */
static bool read_part(struct ox_talk *talk, const struct ox_json_at *block, size_t which, void *into)
{
    switch (which) {
    case USER_IMAGE:
        return read_image(talk, block, into);
    case USER_DOCUMENT:
        return read_document(talk, block, into);
    case USER_TEXT:
    default:
        return read_text(talk, block, into);
    }
}

/* The content of a tool_result: a string, blocks, or nothing. The chat format has no mark for calls that failed, so the
 * text says it. */
static bool read_result_content(struct ox_talk *talk, const struct ox_json_at *result, json_t **parts)
{
    static const struct ox_talk_parts known = {user_types, 3, "a string or an array of text, image and document blocks",
                                               read_part};
    const struct ox_json_at content = ox_json_member(result, "content");
    bool is_error = false;
    if (!ox_api_read_bool(result, "is_error", &is_error, talk->error)) {
        return false;
    }
    if (is_error) {
        ox_talk_add_text(parts, ox_str_c("Error: "));
    }
    if (json_is_string(content.value)) {
        ox_talk_add_text(parts, ox_json_text(content.value));
        return true;
    }
    return content.value == NULL || ox_talk_each(talk, &content, &known, parts);
}

static bool read_result(struct ox_talk *talk, const struct ox_json_at *result)
{
    const struct ox_json_at id = ox_json_member(result, "tool_use_id");
    json_t *parts = json_array();
    if (!read_result_content(talk, result, &parts)) {
        json_decref(parts);
        return false;
    }
    return ox_talk_result(talk, &id, parts);
}

/* A result among the blocks of a user's message; the others are read later. */
static bool read_result_block(struct ox_talk *talk, const struct ox_json_at *block, size_t which, void *into)
{
    (void)into;
    return which != USER_RESULT || read_result(talk, block);
}

static bool read_other_block(struct ox_talk *talk, const struct ox_json_at *block, size_t which, void *into)
{
    return which == USER_RESULT || read_part(talk, block, which, into);
}

static bool read_user(struct ox_talk *talk, const struct ox_json_at *content)
{
    static const char expected[] = "a string or an array of blocks";
    static const struct ox_talk_parts results = {user_types, 4, expected, read_result_block};
    static const struct ox_talk_parts others = {user_types, 4, expected, read_other_block};
    json_t *parts = json_array();
    bool ok = true;
    if (json_is_string(content->value)) {
        ox_talk_add_text(&parts, ox_json_text(content->value));
    } else {
        ok = ox_talk_each(talk, content, &results, NULL) && ox_talk_each(talk, content, &others, &parts);
    }
    const bool only_results = parts != NULL && json_array_size(content->value) > 0 && json_array_size(parts) == 0;
    if (!ok || only_results) {
        json_decref(parts);
        return ok;
    }
    ox_talk_user(talk, parts);
    return true;
}

/* ---- the assistant ---------------------------------------------------------------------------------------------- */

static bool read_assistant_block(struct ox_talk *talk, const struct ox_json_at *block, size_t which, void *into)
{
    enum { TEXT, THINKING, REDACTED, USE };
    const struct ox_json_at thinking = ox_json_member(block, "thinking");
    struct ox_str text;
    (void)into;
    switch (which) {
    case TEXT:
        if (!ox_api_text(block, "text", &text, talk->error)) {
            return false;
        }
        ox_buf_add_str(&talk->said, text);
        return true;
    case THINKING:
        ox_buf_add_str(&talk->reasoning, ox_json_text(thinking.value));
        return json_is_string(thinking.value) || ox_api_expected(&thinking, "a string", talk->error);
    case USE:
        return ox_talk_call(talk, block, "id", "input", false);
    case REDACTED:
    default:
        return true;
    }
}

static bool read_assistant(struct ox_talk *talk, const struct ox_json_at *content)
{
    static const char *const types[] = {"text", "thinking", "redacted_thinking", "tool_use"};
    static const struct ox_talk_parts known = {types, 4, "a string or an array of blocks", read_assistant_block};
    ox_talk_assistant(talk);
    if (json_is_string(content->value)) {
        ox_buf_add_str(&talk->said, ox_json_text(content->value));
        return true;
    }
    return ox_talk_each(talk, content, &known, NULL);
}

static bool read_messages(struct ox_talk *talk, const struct ox_json_at *messages)
{
    enum { USER, ASSISTANT, SYSTEM };
    static const char *const roles[] = {"user", "assistant", "system"};
    const size_t n = json_array_size(messages->value);
    size_t which = USER;
    if (!ox_api_need_messages(talk->context, messages, talk->error)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct ox_json_at message = ox_json_element(messages, i);
        const struct ox_json_at role = ox_json_member(&message, "role");
        const struct ox_json_at content = ox_json_member(&message, "content");
        if (!json_is_object(message.value)) {
            return ox_api_expected(&message, "an object", talk->error);
        }
        if (!ox_api_one_of(&role, roles, 3, &which, talk->error)) {
            return false;
        }
        if (which == ASSISTANT && i + 1 == n) {
            return ox_api_refuse_at(&role,
                                    "the last message must be the user's: an answer that is begun for the "
                                    "model cannot be continued",
                                    talk->error);
        }
        static bool (*const readers[])(struct ox_talk *, const struct ox_json_at *) = {read_user, read_assistant,
                                                                                       read_instructions};
        if (!readers[which](talk, &content)) {
            return false;
        }
    }
    return true;
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

static bool read_choice(struct ox_talk *talk, const struct ox_json_at *choice)
{
    enum { AUTO, ANY, TOOL, NONE };
    static const char *const types[] = {"auto", "any", "tool", "none"};
    static const enum ox_talk_choice choices[] = {
        [AUTO] = OX_TALK_AUTO, [ANY] = OX_TALK_REQUIRED, [TOOL] = OX_TALK_REQUIRED, [NONE] = OX_TALK_NONE};
    const struct ox_json_at name = ox_json_member(choice, "name");
    size_t which;
    if (choice->value == NULL) {
        return true;
    }
    if (!ox_api_type(choice, types, 4, &which, talk->error) ||
        !ox_api_read_bool(choice, "disable_parallel_tool_use", &talk->single, talk->error)) {
        return false;
    }
    if (which == TOOL && json_string_length(name.value) == 0) {
        return ox_api_expected(&name, "the name of a tool", talk->error);
    }
    talk->choice = choices[which];
    talk->tool = which == TOOL ? json_string_value(name.value) : NULL;
    return true;
}

static bool read_thinking(struct ox_talk *talk, const struct ox_json_at *thinking)
{
    static const char *const types[] = {"enabled", "disabled", "adaptive"};
    static const enum oxcart_thinking modes[] = {OXCART_THINKING_ENABLED, OXCART_THINKING_DISABLED,
                                                 OXCART_THINKING_ADAPTIVE};
    int64_t n;
    size_t which = 1;
    if (thinking->value != NULL && (!ox_api_type(thinking, types, 3, &which, talk->error) ||
                                    !ox_api_read_natural(thinking, "budget_tokens", 1, INT32_MAX, &n, talk->error))) {
        return false;
    }
    talk->ask->messages.thinking = modes[which];
    return true;
}

/* {"type": "json_schema", "schema"} */
static bool read_format(struct ox_talk *talk, const struct ox_json_at *format)
{
    static const char *const types[] = {"json_schema"};
    const struct ox_json_at schema = ox_json_member(format, "schema");
    size_t which;
    return format->value == NULL ||
           (ox_api_type(format, types, 1, &which, talk->error) &&
            ox_api_hold_form(talk->context, talk->ask, schema.value, schema.path, talk->error));
}

/* output_config: {"format", "effort"}, or the format as output_format beside it, its older place. */
static bool read_output(struct ox_talk *talk, const struct ox_json_at *root)
{
    static const char *const efforts[] = {"low", "medium", "high", "xhigh", "max"};
    const struct ox_json_at config = ox_json_member(root, "output_config");
    const struct ox_json_at format = ox_json_member(&config, "format");
    const struct ox_json_at old_format = ox_json_member(root, "output_format");
    const struct ox_json_at effort = ox_json_member(&config, "effort");
    size_t which;
    if (!ox_api_maybe_object(&config, talk->error)) {
        return false;
    }
    if (effort.value != NULL && !ox_api_one_of(&effort, efforts, 5, &which, talk->error)) {
        return false;
    }
    return read_format(talk, format.value != NULL ? &format : &old_format);
}

/* max_tokens, which only a request for an answer needs. */
static bool read_limit(struct ox_talk *talk, const struct ox_json_at *root)
{
    const struct ox_json_at limit = ox_json_member(root, "max_tokens");
    int64_t n = 0;
    if (talk->ask->kind == OX_ASK_COUNT) {
        return true;
    }
    if (limit.value == NULL) {
        return ox_api_expected(&limit, "a whole number from 1", talk->error);
    }
    if (!ox_api_read_natural(root, "max_tokens", 1, INT32_MAX, &n, talk->error)) {
        return false;
    }
    talk->ask->sampling.n_predict = (int32_t)n;
    return true;
}

/* stop_sequences: an array of strings */
static bool read_stops(struct ox_talk *talk, const struct ox_json_at *root)
{
    const struct ox_json_at stops = ox_json_member(root, "stop_sequences");
    if (stops.value != NULL && !json_is_array(stops.value)) {
        return ox_api_expected(&stops, "an array of strings", talk->error);
    }
    return ox_api_read_stop(json_object_get(root->value, "stop_sequences"), "stop_sequences", talk->ask, talk->error);
}

/* thread: a conversation that the server keeps. Clients know this refusal and send the whole conversation then. */
static bool refuse_thread(struct ox_talk *talk, const struct ox_json_at *root)
{
    const struct ox_json_at thread = ox_json_member(root, "thread");
    if (thread.value == NULL) {
        return true;
    }
    (void)ox_api_refuse_at(&thread, "conversations are not stored here; send the whole conversation without it",
                           talk->error);
    talk->error->code = OX_MESSAGES_NO_THREADS;
    return false;
}

static bool read_request(struct ox_talk *talk, const struct ox_json_at *root)
{
    static const struct ox_talk_tools custom = {.type = "custom", .parameters = "input_schema", .plain = true};
    const struct ox_json_at system = ox_json_member(root, "system");
    const struct ox_json_at messages = ox_json_member(root, "messages");
    const struct ox_json_at tools = ox_json_member(root, "tools");
    const struct ox_json_at choice = ox_json_member(root, "tool_choice");
    const struct ox_json_at thinking = ox_json_member(root, "thinking");
    return refuse_thread(talk, root) && read_limit(talk, root) && read_stops(talk, root) &&
           read_thinking(talk, &thinking) && read_instructions(talk, &system) && read_messages(talk, &messages) &&
           ox_talk_add_tools(talk, &tools, &custom) && read_choice(talk, &choice) && read_output(talk, root) &&
           ox_talk_finish(talk, &choice);
}

bool ox_messages_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask,
                      struct ox_api_error *error)
{
    return ox_talk_read(context, body, ask, error, read_request);
}
