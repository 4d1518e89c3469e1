/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands, one row and one function each.
 */
#include "cli/chat_commands.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/json_build.h"
#include "base/mem.h"
#include "cli/input.h"
#include "cli/json_out.h"
#include "os/file.h"

static void say(struct chat *chat, const char *text)
{
    output_line(chat->cli.output, true, text);
}

/* ---- settings -------------------------------------------------------------------------------------------------- */

/* Give an option a value; text is copied. */
static bool set_option(struct chat *chat, enum cli_option option, struct ox_str text)
{
    struct ox_error err = {0};
    void *texts = chat->texts;
    char *copy = ox_strndup(text.len > 0 ? text.ptr : "", text.len);
    if (copy == NULL || ox_grow(&texts, &chat->texts_cap, chat->n_texts + 1, sizeof *chat->texts) != 0) {
        ox_free(copy);
        say(chat, "out of memory");
        return false;
    }
    chat->texts = texts;
    chat->texts[chat->n_texts++] = copy;
    if (cli_args_set(&chat->cli.args, option, copy, &err) != OX_OK) {
        say(chat, err.message);
        return false;
    }
    return true;
}

void chat_free_texts(struct chat *chat)
{
    for (size_t i = 0; i < chat->n_texts; i++) {
        ox_free(chat->texts[i]);
    }
    ox_free(chat->texts);
    chat->texts = NULL;
    chat->n_texts = 0;
}

/* What /set may change: sampling, and how thinking is shown. */
static bool is_setting(enum cli_option option)
{
    const struct cli_option_info *info = cli_option_info(option);
    return cli_verb_has(VERB_CHAT, option) && info->kind != KIND_LIST && info->kind != KIND_FILES &&
           (info->group == GROUP_SAMPLING || option == OPT_THINKING || option == OPT_SHOW_THINKING);
}

static void list_settings(struct chat *chat)
{
    struct ox_buf text = {0};
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct cli_option_info *info = cli_option_info((enum cli_option)i);
        if (!is_setting((enum cli_option)i)) {
            continue;
        }
        const struct cli_value *value = &chat->cli.args.values[i];
        const char *given = value->text != NULL ? value->text : "on";
        const char *preset = info->preset[0] != '\0' ? info->preset : "off";
        ox_buf_printf(&text, "%s  %-18s %s", text.len > 0 ? "\n" : "", info->name, value->n_given > 0 ? given : preset);
    }
    say(chat, ox_buf_text(&text));
    ox_buf_fini(&text);
}

static void do_set(struct chat *chat, struct ox_str rest)
{
    char name[64];
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != ' ' && rest.ptr[len] != '=') {
        len++;
    }
    if (len == 0) {
        list_settings(chat);
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)(len < 60 ? len : 60), rest.ptr);
    for (char *p = name; *p != '\0'; p++) {
        *p = *p == '_' ? '-' : *p;
    }
    const struct ox_str value =
        len < rest.len ? ox_str_make(rest.ptr + len + 1, rest.len - len - 1) : ox_str_make("", 0);
    const enum cli_option option = cli_option_find(VERB_CHAT, name);
    if (option == N_OPTIONS || !is_setting(option)) {
        say(chat, "no such setting; /set alone lists them");
        return;
    }
    if (cli_option_info(option)->kind != KIND_FLAG) {
        (void)set_option(chat, option, value);
        return;
    }
    if (!ox_str_is(value, "on") && !ox_str_is(value, "off") && value.len > 0) {
        say(chat, "expected on or off");
        return;
    }
    memset(&chat->cli.args.values[option], 0, sizeof chat->cli.args.values[option]);
    chat->cli.args.values[option].n_given = ox_str_is(value, "off") ? 0 : 1;
}

static void do_think(struct chat *chat, struct ox_str rest)
{
    (void)set_option(chat, OPT_THINKING, rest.len > 0 ? rest : ox_str_c("enabled"));
}

static void do_nothink(struct chat *chat, struct ox_str rest)
{
    (void)rest;
    (void)set_option(chat, OPT_THINKING, ox_str_c("disabled"));
}

/* ---- the conversation ------------------------------------------------------------------------------------------ */

static bool has_system(const struct chat *chat)
{
    const json_t *first = json_array_get(json_object_get(chat->conversation, "messages"), 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    return role != NULL && strcmp(role, "system") == 0;
}

static void do_clear(struct chat *chat, struct ox_str rest)
{
    (void)rest;
    json_t *messages = json_object_get(chat->conversation, "messages");
    while (json_array_size(messages) > (has_system(chat) ? 1U : 0U)) {
        (void)json_array_remove(messages, json_array_size(messages) - 1);
    }
    json_decref(chat->shown);
    chat->shown = NULL;
    say(chat, "a new conversation");
}

static void do_system(struct chat *chat, struct ox_str rest)
{
    json_t *messages = json_object_get(chat->conversation, "messages");
    if (has_system(chat)) {
        (void)json_array_remove(messages, 0);
    }
    if (rest.len == 0) {
        say(chat, "no system prompt");
        return;
    }
    json_t *message = json_object();
    ox_json_set(&message, "role", ox_json_new_text(ox_str_c("system")));
    ox_json_set(&message, "content", ox_json_new_text(rest));
    if (message == NULL || json_array_insert_new(messages, 0, message) != 0) {
        say(chat, "out of memory");
    }
}

static void do_regen(struct chat *chat, struct ox_str rest)
{
    (void)rest;
    while (chat_pop_if(chat, "assistant") || chat_pop_if(chat, "tool")) {
    }
    if (strcmp(conversation_last_role(chat->conversation), "user") != 0) {
        say(chat, "there is nothing to answer yet");
        return;
    }
    chat_respond(chat);
}

static void do_read(struct chat *chat, struct ox_str rest)
{
    struct ox_buf text = {0};
    struct ox_error err = {0};
    char *path = ox_strndup(rest.len > 0 ? rest.ptr : "", rest.len);
    if (path == NULL || rest.len == 0 || ox_str_is(rest, "-")) {
        say(chat, "expected /read FILE");
    } else if (ox_file_read(path, INPUT_MAX_BYTES, &text, &err) != OX_OK) {
        say(chat, err.message);
    } else {
        chat_say(chat, ox_buf_str(&text));
    }
    ox_buf_fini(&text);
    ox_free(path);
}

/* The file goes with the next message; whether it can be decoded shows then. */
static void show_media(struct chat *chat, struct ox_str rest, bool is_video)
{
    char *path = ox_strndup(rest.len > 0 ? rest.ptr : "", rest.len);
    if (path == NULL || rest.len == 0) {
        say(chat, is_video ? "expected /video FILE" : "expected /image FILE");
    } else if (chat->info.has_vision == 0) {
        say(chat, "this model cannot see");
    } else if (!ox_file_exists(path) || ox_file_is_folder(path)) {
        struct ox_buf text = {0};
        ox_buf_printf(&text, "%s: no such file", path);
        say(chat, ox_buf_text(&text));
        ox_buf_fini(&text);
    } else {
        chat->shown = chat->shown != NULL ? chat->shown : json_array();
        say(chat, conversation_add_part(&chat->shown, is_video, rest) ? "it goes with your next message" : "out of memory");
    }
    ox_free(path);
}

static void do_image(struct chat *chat, struct ox_str rest)
{
    show_media(chat, rest, false);
}

static void do_video(struct chat *chat, struct ox_str rest)
{
    show_media(chat, rest, true);
}

/* A name as a C string; NULL after a message if there is none. */
static char *file_name(struct chat *chat, struct ox_str rest, const char *usage)
{
    char *path = rest.len > 0 ? ox_strndup(rest.ptr, rest.len) : NULL;
    if (path == NULL) {
        say(chat, usage);
    }
    return path;
}

/* The session's file, with the conversation as its note. */
static void do_save(struct chat *chat, struct ox_str rest)
{
    struct oxcart_error err = {0};
    char *path = file_name(chat, rest, "expected /save FILE");
    struct ox_buf note = {0};
    if (path == NULL) {
        return;
    }
    if (!conversation_write(chat->conversation, &note)) {
        say(chat, "out of memory");
    } else if (oxcart_session_save(chat->session, path, note.ptr, note.len, &err) != OXCART_OK) {
        say(chat, err.message);
    } else {
        char text[96];
        snprintf(text, sizeof text, "saved, %zu tokens", oxcart_session_tokens(chat->session, NULL));
        say(chat, text);
    }
    ox_buf_fini(&note);
    ox_free(path);
}

/* What is loaded is a conversation that can be rendered, or the one in hand stays. */
static void take_conversation(struct chat *chat, const char *note, size_t note_bytes)
{
    struct ox_error err = {0};
    json_t *conversation = NULL;
    if (ox_json_parse(ox_str_make(note, note_bytes), "the conversation in it", &conversation, &err) != OX_OK) {
        say(chat, err.message);
        return;
    }
    if (!json_is_array(json_object_get(conversation, "messages"))) {
        say(chat, "there is no conversation in it");
        json_decref(conversation);
        return;
    }
    json_decref(chat->conversation);
    chat->conversation = conversation;
    char text[96];
    snprintf(text, sizeof text, "loaded, %zu messages, %zu tokens",
             json_array_size(json_object_get(conversation, "messages")), oxcart_session_tokens(chat->session, NULL));
    say(chat, text);
}

static void do_load(struct chat *chat, struct ox_str rest)
{
    struct oxcart_error err = {0};
    char *note = NULL;
    size_t note_bytes = 0;
    char *path = file_name(chat, rest, "expected /load FILE");
    if (path == NULL) {
        return;
    }
    if (oxcart_session_load(chat->session, path, &note, &note_bytes, &err) != OXCART_OK) {
        say(chat, err.message);
    } else {
        take_conversation(chat, note, note_bytes);
    }
    oxcart_free(note);
    ox_free(path);
}

/* ---- what there is --------------------------------------------------------------------------------------------- */

static void do_ctx(struct chat *chat, struct ox_str rest)
{
    (void)rest;
    char text[96];
    snprintf(text, sizeof text, "%zu of %d tokens of the context are used", oxcart_session_tokens(chat->session, NULL),
             chat->n_ctx);
    say(chat, text);
}

static void do_stats(struct chat *chat, struct ox_str rest)
{
    (void)rest;
    if (chat->has_last) {
        chat_show_statistics(chat, OX_LOG_ERROR);
    } else {
        say(chat, "nothing was answered yet");
    }
}

static void do_show(struct chat *chat, struct ox_str rest)
{
    (void)rest;
    const struct oxcart_engine_info *info = &chat->info;
    struct ox_buf text = {0};
    const bool large = info->n_parameters >= UINT64_C(1000000000);
    ox_buf_printf(&text, "model %s: %.1f %s parameters, %s, %.1f %s, %d layers, context up to %d\n", info->name,
                  (double)info->n_parameters / (large ? 1e9 : 1e6), large ? "billion" : "million", info->format,
                  (double)info->weight_bytes / (large ? 1e9 : 1e6), large ? "GB" : "MB", info->n_layers,
                  info->max_positions);
    ox_buf_printf(&text, "computes at CPU level %s with %d threads", info->cpu_level, info->n_threads);
    if (has_system(chat)) {
        const json_t *first = json_array_get(json_object_get(chat->conversation, "messages"), 0);
        const char *content = json_string_value(json_object_get(first, "content"));
        ox_buf_printf(&text, "\nsystem prompt: %s", content != NULL ? content : "");
    }
    say(chat, ox_buf_text(&text));
    ox_buf_fini(&text);
    do_ctx(chat, ox_str_make("", 0));
    list_settings(chat);
}

static void do_exit(struct chat *chat, struct ox_str rest)
{
    (void)rest;
    chat->leave = true;
}

static void do_help(struct chat *chat, struct ox_str rest);

static const struct {
    const char *name;
    const char *argument;
    const char *help; /* "": the same as the one before */
    void (*function)(struct chat *chat, struct ox_str rest);
} commands[] = {
    {"/help", "", "list commands", do_help},
    {"/?", "", "", do_help},
    {"/exit", "", "leave (so does Ctrl-D)", do_exit},
    {"/bye", "", "", do_exit},
    {"/quit", "", "", do_exit},
    {"/clear", "", "begin a new conversation, with the same system prompt", do_clear},
    {"/regen", "", "answer the last message again", do_regen},
    {"/read", "FILE", "send a file's text as your message", do_read},
    {"/image", "FILE", "show a picture with your next message", do_image},
    {"/video", "FILE", "show a clip with your next message", do_video},
    {"/save", "FILE", "write the conversation, and what was computed for it, to a file", do_save},
    {"/load", "FILE", "go on with a saved conversation", do_load},
    {"/system", "TEXT", "set the system prompt; without TEXT: none", do_system},
    {"/set", "KEY VALUE", "change a setting; alone: list them", do_set},
    {"/show", "", "the model and the settings", do_show},
    {"/think", "[MODE]", "adaptive, enabled or disabled; alone: enabled", do_think},
    {"/nothink", "", "the model answers without thinking", do_nothink},
    {"/ctx", "", "how much of the context is used", do_ctx},
    {"/stats", "", "the last answer's speed", do_stats},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void do_help(struct chat *chat, struct ox_str rest)
{
    (void)rest;
    struct ox_buf text = {0};
    for (size_t i = 0; i < N_COMMANDS; i++) {
        char head[40];
        snprintf(head, sizeof head, "%s %s", commands[i].name, commands[i].argument);
        ox_buf_printf(&text, "  %-18s %s\n", head, commands[i].help[0] != '\0' ? commands[i].help : "the same");
    }
    ox_buf_add_c(&text, "A message of several lines stands between \"\"\" and \"\"\", or its lines end with \\.");
    say(chat, ox_buf_text(&text));
    ox_buf_fini(&text);
}

const char *chat_command_word(size_t i)
{
    return i < N_COMMANDS ? commands[i].name : NULL;
}

void chat_command(struct chat *chat, struct ox_str line)
{
    size_t len = 0;
    while (len < line.len && line.ptr[len] != ' ' && line.ptr[len] != '\n') {
        len++;
    }
    size_t begin = len;
    while (begin < line.len && line.ptr[begin] == ' ') {
        begin++;
    }
    while (line.len > begin && line.ptr[line.len - 1] == ' ') {
        line.len--;
    }
    const struct ox_str rest = ox_str_make(line.ptr + begin, line.len - begin);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (ox_str_is(ox_str_make(line.ptr, len), commands[i].name)) {
            commands[i].function(chat, rest);
            return;
        }
    }
    say(chat, "no such command; /help lists them");
}
