/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of OpenAI's Responses API become asks. Nothing is stored: a conversation comes whole, and what refers to an
 * earlier response is refused. Items that follow each other and are the assistant's (reasoning, messages, calls) are one
 * message of the chat format. truncation "auto" is accepted and never truncates: what does not fit is an error.
 */
#include "server/api_talk.h"

#include "base/json_build.h"
#include "server/api_document.h"
#include "server/api_openai.h"

/* ---- content ---------------------------------------------------------------------------------------------------- */

static bool read_image(struct ox_talk *talk, const struct ox_json_at *part, json_t **parts)
{
    const struct ox_json_at url = ox_json_member(part, "image_url");
    if (json_string_length(url.value) == 0) {
        return ox_api_expected(&url, "a string with an address (files are not kept here)", talk->error);
    }
    return ox_talk_add_picture(talk, &url, parts, ox_json_new_text(ox_json_text(url.value)));
}

static bool read_file(struct ox_talk *talk, const struct ox_json_at *part, json_t **parts)
{
    struct ox_buf text = {0};
    const char *why = ox_document_add_file(&text, part->value);
    if (why == NULL) {
        ox_talk_add_buf(parts, &text);
    }
    ox_buf_fini(&text);
    return why == NULL || ox_api_refuse_at(part, why, talk->error);
}

static bool read_part(struct ox_talk *talk, const struct ox_json_at *part, size_t which, void *into)
{
    enum { TEXT, IMAGE, FILE_OF_TEXT };
    json_t **parts = into;
    struct ox_str text;
    switch (which) {
    case IMAGE:
        return read_image(talk, part, parts);
    case FILE_OF_TEXT:
        return read_file(talk, part, parts);
    case TEXT:
    default:
        if (!ox_api_text(part, "text", &text, talk->error)) {
            return false;
        }
        ox_talk_add_text(parts, text);
        return true;
    }
}

/* What a user says or a call gives: a string or parts. */
static bool read_content(struct ox_talk *talk, const struct ox_json_at *content, json_t **parts)
{
    static const char *const types[] = {"input_text", "input_image", "input_file"};
    static const struct ox_talk_parts known = {types, 3, "a string or an array of parts", read_part};
    if (json_is_string(content->value)) {
        ox_talk_add_text(parts, ox_json_text(content->value));
        return true;
    }
    return ox_talk_each(talk, content, &known, parts);
}

static bool read_word(struct ox_talk *talk, const struct ox_json_at *part, size_t which, void *into)
{
    enum { OUTPUT, INPUT, REFUSAL };
    struct ox_str text;
    if (!ox_api_text(part, which == REFUSAL ? "refusal" : "text", &text, talk->error)) {
        return false;
    }
    ox_buf_add_str(into, text);
    return true;
}

/* What the assistant said, or instructions: text alone, added up in *out. */
static bool read_words(struct ox_talk *talk, const struct ox_json_at *content, struct ox_buf *out)
{
    static const char *const types[] = {"output_text", "input_text", "refusal"};
    static const struct ox_talk_parts known = {types, 3, "a string or an array of parts", read_word};
    if (json_is_string(content->value)) {
        ox_buf_add_str(out, ox_json_text(content->value));
        return true;
    }
    return ox_talk_each(talk, content, &known, out);
}

/* ---- items ------------------------------------------------------------------------------------------------------ */

static bool read_user(struct ox_talk *talk, const struct ox_json_at *content)
{
    json_t *parts = json_array();
    if (!read_content(talk, content, &parts)) {
        json_decref(parts);
        return false;
    }
    ox_talk_user(talk, parts);
    return true;
}

static bool read_message(struct ox_talk *talk, const struct ox_json_at *item)
{
    enum { USER, ASSISTANT, SYSTEM, DEVELOPER };
    static const char *const roles[] = {"user", "assistant", "system", "developer"};
    const struct ox_json_at role = ox_json_member(item, "role");
    const struct ox_json_at content = ox_json_member(item, "content");
    struct ox_buf words = {0};
    size_t which;
    if (!ox_api_one_of(&role, roles, 4, &which, talk->error)) {
        return false;
    }
    if (which == USER) {
        return read_user(talk, &content);
    }
    if (which == ASSISTANT) {
        ox_talk_assistant(talk);
        return read_words(talk, &content, &talk->said);
    }
    const bool ok = read_words(talk, &content, &words);
    ox_talk_instruct(talk, ox_buf_str(&words));
    talk->system.failed = talk->system.failed || ox_buf_failed(&words);
    ox_buf_fini(&words);
    return ok;
}

static bool read_call(struct ox_talk *talk, const struct ox_json_at *item)
{
    return ox_talk_call(talk, item, "call_id", "arguments", true);
}

static bool read_result(struct ox_talk *talk, const struct ox_json_at *item)
{
    const struct ox_json_at id = ox_json_member(item, "call_id");
    const struct ox_json_at output = ox_json_member(item, "output");
    json_t *parts = json_array();
    if (!read_content(talk, &output, &parts)) {
        json_decref(parts);
        return false;
    }
    return ox_talk_result(talk, &id, parts);
}

/* Add up the texts of the parts below `key`, if they are there. */
static bool read_thoughts(struct ox_talk *talk, const struct ox_json_at *item, const char *key, const char *type,
                          size_t *n)
{
    const struct ox_json_at list = ox_json_member(item, key);
    const char *const types[] = {type};
    const struct ox_talk_parts known = {types, 1, "an array", read_word};
    *n = json_array_size(list.value);
    return list.value == NULL || ox_talk_each(talk, &list, &known, &talk->reasoning);
}

/* Thoughts, or where a client keeps only their summary, that. What is encrypted was not written here. */
static bool read_reasoning(struct ox_talk *talk, const struct ox_json_at *item)
{
    size_t n;
    ox_talk_assistant(talk);
    return read_thoughts(talk, item, "content", "reasoning_text", &n) &&
           (n > 0 || read_thoughts(talk, item, "summary", "summary_text", &n));
}

static bool read_input(struct ox_talk *talk, const struct ox_json_at *input)
{
    static const char *const types[] = {"message", "function_call", "function_call_output", "reasoning"};
    static bool (*const readers[])(struct ox_talk *, const struct ox_json_at *) = {read_message, read_call, read_result,
                                                                                   read_reasoning};
    if (json_is_string(input->value)) {
        return read_user(talk, input);
    }
    if (!json_is_array(input->value)) {
        return ox_api_expected(input, "a string or an array of items", talk->error);
    }
    if (!ox_api_need_messages(talk->context, input, talk->error)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(input->value); i++) {
        const struct ox_json_at item = ox_json_element(input, i);
        const struct ox_json_at type = ox_json_member(&item, "type");
        size_t which = 0; /* a message may leave its type out */
        const bool is_plain = json_is_object(item.value) && type.value == NULL;
        if (!is_plain && !ox_api_type(&item, types, 4, &which, talk->error)) {
            return false;
        }
        if (!readers[which](talk, &item)) {
            return false;
        }
    }
    return true;
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

static bool read_choice(struct ox_talk *talk, const struct ox_json_at *choice)
{
    static const char *const words[] = {"auto", "none", "required"};
    static const enum ox_talk_choice choices[] = {OX_TALK_AUTO, OX_TALK_NONE, OX_TALK_REQUIRED};
    static const char *const types[] = {"function"};
    const struct ox_json_at name = ox_json_member(choice, "name");
    size_t which = 0;
    if (json_is_object(choice->value)) {
        talk->choice = OX_TALK_REQUIRED;
        talk->tool = json_string_value(name.value);
        return ox_api_type(choice, types, 1, &which, talk->error) &&
               (json_string_length(name.value) > 0 || ox_api_expected(&name, "the name of a tool", talk->error));
    }
    if (choice->value != NULL && !ox_api_one_of(choice, words, 3, &which, talk->error)) {
        return false;
    }
    talk->choice = choices[which];
    return true;
}

/* text: {"format": {"type", "schema"}} */
static bool read_format(struct ox_talk *talk, const struct ox_json_at *text)
{
    enum { TEXT, OBJECT, SCHEMA };
    static const char *const types[] = {"text", "json_object", "json_schema"};
    const struct ox_json_at format = ox_json_member(text, "format");
    const struct ox_json_at schema = ox_json_member(&format, "schema");
    size_t which = TEXT;
    if (!ox_api_maybe_object(text, talk->error)) {
        return false;
    }
    if (format.value != NULL && !ox_api_type(&format, types, 3, &which, talk->error)) {
        return false;
    }
    if (which == OBJECT) {
        talk->ask->sampling.constraint = OXCART_CONSTRAINT_JSON_OBJECT;
    }
    return which != SCHEMA || ox_api_hold_form(talk->context, talk->ask, schema.value, schema.path, talk->error);
}

static bool read_effort(struct ox_talk *talk, const struct ox_json_at *reasoning)
{
    const struct ox_json_at effort = ox_json_member(reasoning, "effort");
    return ox_api_maybe_object(reasoning, talk->error) &&
           ox_openai_read_effort(&effort, &talk->ask->messages.thinking, talk->error);
}

/* include: of what it may name, only log-probabilities are there. */
static bool read_include(struct ox_talk *talk, const struct ox_json_at *include)
{
    static const char *const known[] = {"message.output_text.logprobs",
                                        "reasoning.encrypted_content",
                                        "message.input_image.image_url",
                                        "file_search_call.results",
                                        "web_search_call.results",
                                        "web_search_call.action.sources",
                                        "computer_call_output.output.image_url",
                                        "code_interpreter_call.outputs"};
    const size_t n = sizeof known / sizeof known[0];
    if (!ox_api_maybe_array(include, talk->error)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(include->value); i++) {
        const struct ox_json_at what = ox_json_element(include, i);
        size_t which;
        if (!ox_api_one_of(&what, known, n, &which, talk->error)) {
            return false;
        }
        talk->ask->sampling.has_logprobs |= which == 0;
    }
    return true;
}

/* Members that promise what is not here. */
static bool refuse_stored(struct ox_talk *talk, const struct ox_json_at *root)
{
    static const struct {
        const char *key;
        const char *code;
        const char *sentence;
    } rows[] = {
        {"previous_response_id", "previous_response_not_found",
         "responses are not stored here; send the whole conversation as input"},
        {"conversation", "conversation_not_found",
         "conversations are not stored here; send the whole conversation as input"},
        {"prompt", "prompt_not_found", "prompts are not stored here; send the text itself"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct ox_json_at at = ox_json_member(root, rows[i].key);
        if (at.value != NULL) {
            (void)ox_api_refuse_at(&at, rows[i].sentence, talk->error);
            talk->error->code = rows[i].code;
            return false;
        }
    }
    const struct ox_json_at background = ox_json_member(root, "background");
    bool is_background = false;
    if (!ox_api_read_bool(root, "background", &is_background, talk->error)) {
        return false;
    }
    return !is_background || ox_api_refuse_at(&background,
                                              "responses are not stored here, so none can be fetched "
                                              "later",
                                              talk->error);
}

static bool read_options(struct ox_talk *talk, const struct ox_json_at *root)
{
    static const char *const truncations[] = {"disabled", "auto"};
    const struct ox_json_at truncation = ox_json_member(root, "truncation");
    const struct ox_json_at metadata = ox_json_member(root, "metadata");
    bool parallel = true;
    bool is_stored;
    int64_t n = 0;
    int64_t n_logprobs = 0;
    size_t which;
    if (!ox_api_read_natural(root, "max_output_tokens", 1, INT32_MAX, &n, talk->error) ||
        !ox_api_read_bool(root, "parallel_tool_calls", &parallel, talk->error) ||
        !ox_api_read_bool(root, "store", &is_stored, talk->error) ||
        !ox_api_read_natural(root, "top_logprobs", 0, OX_OPENAI_MAX_LOGPROBS, &n_logprobs, talk->error) ||
        !ox_api_maybe_object(&metadata, talk->error)) {
        return false;
    }
    if (truncation.value != NULL && !ox_api_one_of(&truncation, truncations, 2, &which, talk->error)) {
        return false;
    }
    talk->single = !parallel;
    talk->ask->sampling.n_predict = (int32_t)n;
    talk->ask->sampling.n_logprobs = (int32_t)n_logprobs;
    talk->ask->sampling.has_logprobs |= n_logprobs > 0;
    return true;
}

static bool read_request(struct ox_talk *talk, const struct ox_json_at *root)
{
    static const struct ox_talk_tools functions = {.type = "function", .parameters = "parameters", .namespaces = true};
    const struct ox_json_at instructions = ox_json_member(root, "instructions");
    const struct ox_json_at input = ox_json_member(root, "input");
    const struct ox_json_at tools = ox_json_member(root, "tools");
    const struct ox_json_at choice = ox_json_member(root, "tool_choice");
    const struct ox_json_at text = ox_json_member(root, "text");
    const struct ox_json_at reasoning = ox_json_member(root, "reasoning");
    const struct ox_json_at include = ox_json_member(root, "include");
    if (instructions.value != NULL && !json_is_string(instructions.value)) {
        return ox_api_expected(&instructions, "a string", talk->error);
    }
    ox_talk_instruct(talk, ox_json_text(instructions.value));
    return refuse_stored(talk, root) && read_input(talk, &input) && read_options(talk, root) &&
           read_include(talk, &include) && read_effort(talk, &reasoning) &&
           ox_talk_add_tools(talk, &tools, &functions) && read_choice(talk, &choice) && read_format(talk, &text) &&
           ox_talk_finish(talk, &choice);
}

bool ox_responses_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask,
                       struct ox_api_error *error)
{
    return ox_talk_read(context, body, ask, error, read_request);
}
