/* SPDX-License-Identifier: Apache-2.0
 *
 * Building the conversation object and handing it to the library.
 */
#include "cli/conversation.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_build.h"
#include "base/mem.h"
#include "cli/input.h"
#include "cli/json_out.h"

static bool append(json_t *conversation, json_t *message)
{
    return message != NULL && json_array_append_new(json_object_get(conversation, "messages"), message) == 0;
}

static json_t *make_message(const char *role, struct ox_str text)
{
    json_t *message = json_object();
    ox_json_set(&message, "role", ox_json_new_text(ox_str_c(role)));
    ox_json_set(&message, "content", ox_json_new_text(text));
    return message;
}

bool conversation_add(json_t *conversation, const char *role, struct ox_str text)
{
    return append(conversation, make_message(role, text));
}

bool conversation_add_part(json_t **parts, bool is_video, struct ox_str path)
{
    struct ox_buf name = {0};
    if (ox_str_find(path, ox_str_c("/"), 0) == path.len && ox_str_find(path, ox_str_c(":"), 0) < path.len) {
        ox_buf_add_c(&name, "./"); /* no scheme, but a file's name */
    }
    ox_buf_add_str(&name, path);
    json_t *part = json_object();
    ox_json_set(&part, "type", ox_json_new_text(ox_str_c(is_video ? "video" : "image")));
    ox_json_set(&part, is_video ? "video" : "image", ox_buf_failed(&name) ? NULL : ox_json_new_text(ox_buf_str(&name)));
    ox_buf_fini(&name);
    ox_json_append(parts, part);
    return *parts != NULL;
}

bool conversation_add_shown(json_t *conversation, json_t *parts, struct ox_str text)
{
    if (json_array_size(parts) == 0) {
        json_decref(parts);
        return conversation_add(conversation, "user", text);
    }
    json_t *part = json_object();
    ox_json_set(&part, "type", ox_json_new_text(ox_str_c("text")));
    ox_json_set(&part, "text", ox_json_new_text(text));
    ox_json_append(&parts, part);
    json_t *message = json_object();
    ox_json_set(&message, "role", ox_json_new_text(ox_str_c("user")));
    ox_json_set(&message, "content", parts);
    return append(conversation, message);
}

bool conversation_add_answer(json_t *conversation, const struct answer *answer)
{
    json_t *message = make_message("assistant", ox_buf_str(&answer->content));
    ox_json_set(&message, "reasoning_content", ox_json_new_text(ox_buf_str(&answer->reasoning)));
    if (answer->n_calls > 0) {
        ox_json_set(&message, "tool_calls", json_out_calls(answer));
    }
    return append(conversation, message);
}

bool conversation_add_result(json_t *conversation, const char *call_id, struct ox_str text)
{
    json_t *message = make_message("tool", text);
    ox_json_set(&message, "tool_call_id", ox_json_new_text(ox_str_c(call_id)));
    return append(conversation, message);
}

const char *conversation_last_role(const json_t *conversation)
{
    const json_t *messages = json_object_get(conversation, "messages");
    const size_t n = json_array_size(messages);
    const char *role = n > 0 ? json_string_value(json_object_get(json_array_get(messages, n - 1), "role")) : NULL;
    return role != NULL ? role : "";
}

int conversation_new(const struct cli *cli, json_t **conversation)
{
    json_t *tools = NULL;
    if (cli_given(&cli->args, OPT_TOOLS)) {
        const int code = input_json(cli, OPT_TOOLS, &tools);
        if (code != EXIT_DONE) {
            return code;
        }
        if (!json_is_array(tools)) {
            json_decref(tools);
            return cli_fail(cli, EXIT_FAILED, "%s: expected a JSON array of tools, found something else",
                            cli->args.values[OPT_TOOLS].text);
        }
    }
    json_t *made = json_object();
    ox_json_set(&made, "messages", json_array());
    if (tools != NULL) {
        ox_json_set(&made, "tools", tools);
    }
    const char *system = cli_text(&cli->args, OPT_SYSTEM, NULL);
    if (made == NULL || (system != NULL && !conversation_add(made, "system", ox_str_c(system)))) {
        json_decref(made);
        return cli_fail(cli, EXIT_MEMORY, "out of memory");
    }
    *conversation = made;
    return EXIT_DONE;
}

static enum oxcart_thinking choose_thinking(const struct cli_args *args)
{
    static const enum oxcart_thinking modes[] = {
        ['a'] = OXCART_THINKING_ADAPTIVE, ['d'] = OXCART_THINKING_DISABLED, ['e'] = OXCART_THINKING_ENABLED};
    const char *text = cli_text(args, OPT_THINKING, NULL);
    return text != NULL ? modes[(unsigned char)text[0]] : OXCART_THINKING_UNSET;
}

/* The folder of the conversation's file; NULL for the current one. False when out of memory. */
static bool messages_folder(const struct cli_args *args, char **folder)
{
    const char *path = cli_text(args, OPT_MESSAGES, "");
    const char *slash = strrchr(path, '/');
    *folder = slash != NULL ? ox_strndup(path, (size_t)(slash - path) + 1) : NULL;
    return slash == NULL || *folder != NULL;
}

bool conversation_write(const json_t *conversation, struct ox_buf *text)
{
    ox_json_write(conversation, text);
    return !ox_buf_failed(text);
}

enum oxcart_status conversation_render(const struct cli *cli, const json_t *conversation,
                                       struct oxcart_session *session, struct oxcart_error *err)
{
    char *folder = NULL;
    const bool has_folder = messages_folder(&cli->args, &folder);
    const struct oxcart_messages_options options = {
        .size = sizeof options,
        .thinking = choose_thinking(&cli->args),
        .allow_special = cli_given(&cli->args, OPT_ALLOW_SPECIAL) ? 1 : 0,
        .media_files = 1,
        .media_folder = folder,
    };
    struct ox_buf text = {0};
    enum oxcart_status status = OXCART_E_NOMEM;
    if (has_folder && conversation_write(conversation, &text)) {
        status = oxcart_session_set_messages(session, text.ptr, text.len, &options, err);
    } else {
        err->code = OXCART_E_NOMEM;
        snprintf(err->message, sizeof err->message, "out of memory");
    }
    ox_buf_fini(&text);
    ox_free(folder);
    return status;
}
