/* SPDX-License-Identifier: Apache-2.0
 *
 * Renders a checked conversation into the prompt's text, and notes which bytes of it came from the caller. Fixed code
 * for the one format; each function is one section of it. Source: chat template of MiniMax-M3.
 */
#include "text/chat.h"

#include "base/json.h"
#include "base/mem.h"
#include "text/chat_parse.h"
#include "text/markers.h"
#include "text/pyjson.h"

#define NS OX_TEXT_NAMESPACE

/* The texts below are what the model was trained on: to the letter. */
static const char default_system[] =
    "Your model version is MiniMax-M3, developed by MiniMax. Knowledge cutoff: January 2026. Founded in early 2022, "
    "MiniMax is a global AI foundation model company committed to advancing the frontiers of AI towards AGI.";
static const char default_developer[] = "You are a helpful assistant.";
static const char general_thinking[] =
    "\n\n<thinking_instructions>\n"
    "You have a thinking capability that allows you to reason step by step before responding. When thinking is "
    "enabled, "
    "wrap your reasoning in <mm:think></mm:think> tags before your response. When thinking is disabled, begin your "
    "response directly after the </mm:think> prefix. When thinking is adaptive, decide on your own whether to think "
    "for "
    "the current turn.\n";
static const char adaptive_thinking[] = "Current thinking mode: adaptive. You are encouraged to think for complex "
                                        "decision-making, multi-step reasoning, or "
                                        "when analyzing function/tool results.\n";
static const char enabled_thinking[] =
    "Current thinking mode: enabled. You MUST think step by step before every response, including after receiving "
    "function/tool results.\n";
static const char disabled_thinking[] = "Current thinking mode: disabled. Do not output any thinking process.\n";
static const char tools_before[] = "\n\n# Tools\nYou may call one or more tools to assist with the user query.\n"
                                   "Here are the tools available in JSONSchema format:\n\n<tools>\n";
static const char tools_after[] =
    "</tools>\n\n"
    "To call tools, wrap all invocations in a single " NS "<tool_call>" NS "</tool_call> block. Parameter values "
    "containing nested objects or arrays are recursively expanded into XML elements. Example:\n"
    "\n" NS "<tool_call>\n" NS "<invoke name=\"tool-name-1\">" NS "<param-1>value-1" NS "</param-1>" NS "<param-2>" NS
    "<item>" NS "<key-a>val-a" NS "</key-a>" NS "<key-b>val-b" NS "</key-b>" NS "</item>" NS "</param-2>" NS
    "</invoke>\n" NS "<invoke name=\"tool-name-2\">" NS "<param-1>value-1" NS "</param-1>" NS "</invoke>\n" NS
    "</tool_call>";

/* A prompt being written. An allocation that fails marks out->text, as appending does. */
struct writer {
    struct ox_prompt *out;
    size_t max_bytes;
    size_t max_depth;
    bool too_long;
};

static void put(struct writer *w, struct ox_str text)
{
    if (w->too_long || text.len > w->max_bytes - w->out->text.len) {
        w->too_long = true;
        return;
    }
    ox_buf_add_str(&w->out->text, text);
}

/* Text of the format itself, control tokens included. */
static void put_format(struct writer *w, const char *text)
{
    put(w, ox_str_c(text));
}

/* Bytes from begin to the end of the text came from the caller. */
static void mark_caller(struct writer *w, size_t begin)
{
    struct ox_prompt *out = w->out;
    if (begin >= out->text.len || out->text.failed) {
        return;
    }
    if (out->n_caller > 0 && out->caller[out->n_caller - 1].end == begin) {
        out->caller[out->n_caller - 1].end = out->text.len;
        return;
    }
    void *caller = out->caller;
    if (ox_grow(&caller, &out->caller_cap, out->n_caller + 1, sizeof out->caller[0]) != 0) {
        out->text.failed = true;
        return;
    }
    out->caller = caller;
    out->caller[out->n_caller++] = (struct ox_range){begin, out->text.len};
}

static void put_caller(struct writer *w, struct ox_str text)
{
    const size_t begin = w->out->text.len;
    put(w, text);
    mark_caller(w, begin);
}

static void note_media(struct writer *w, const struct ox_chat_media *media)
{
    struct ox_prompt *out = w->out;
    void *grown = out->media;
    if (ox_grow(&grown, &out->media_cap, out->n_media + 1, sizeof out->media[0]) != 0) {
        out->text.failed = true;
        return;
    }
    out->media = grown;
    out->media[out->n_media++] = *media;
}

/* From begin to the end of the text, an assistant's message. */
static void note_reply(struct writer *w, size_t message, size_t begin)
{
    struct ox_prompt *out = w->out;
    void *grown = out->replies;
    if (ox_grow(&grown, &out->replies_cap, out->n_replies + 1, sizeof out->replies[0]) != 0) {
        out->text.failed = true;
        return;
    }
    out->replies = grown;
    out->replies[out->n_replies++] = (struct ox_chat_reply){message, begin, out->text.len};
}

static void put_media(struct writer *w, bool is_video, struct ox_str source)
{
    const struct ox_chat_media media = {is_video, source, w->out->text.len};
    put_format(w, is_video ? OX_TEXT_VIDEO : OX_TEXT_IMAGE);
    if (!w->too_long) {
        note_media(w, &media);
    }
}

/* The visible text of a content value: nothing for NULL. */
static void put_content(struct writer *w, const json_t *content, bool is_result)
{
    if (json_is_string(content)) {
        put_caller(w, ox_json_text(content));
        return;
    }
    for (size_t i = 0; i < json_array_size(content); i++) {
        struct ox_str text;
        bool ok;
        const enum ox_chat_part part = ox_chat_part_read(json_array_get(content, i), is_result, &text, &ok);
        if (part == OX_CHAT_PART_IMAGE || part == OX_CHAT_PART_VIDEO) {
            put_media(w, part == OX_CHAT_PART_VIDEO, text);
        } else if (part != OX_CHAT_PART_UNKNOWN) {
            put_caller(w, text);
        }
    }
}

/* Copy bytes [begin, end) of a rendered piece, with what is known about them. */
static void put_slice(struct writer *w, const struct ox_prompt *piece, size_t begin, size_t end)
{
    size_t at = begin;
    for (size_t i = 0; i < piece->n_caller; i++) {
        const struct ox_range range = piece->caller[i];
        const size_t from = range.begin > at ? range.begin : at;
        const size_t to = range.end < end ? range.end : end;
        if (from < to) {
            put(w, ox_str_make(piece->text.ptr + at, from - at));
            put_caller(w, ox_str_make(piece->text.ptr + from, to - from));
            at = to;
        }
    }
    const size_t start = w->out->text.len - (at - begin);
    if (at < end) {
        put(w, ox_str_make(piece->text.ptr + at, end - at));
    }
    for (size_t i = 0; i < piece->n_media && !w->too_long; i++) {
        struct ox_chat_media media = piece->media[i];
        if (media.at >= begin && media.at < end) {
            media.at = media.at - begin + start;
            note_media(w, &media);
        }
    }
}

/* Move the ends of [*begin, *end) inward over line feeds. */
static void strip(struct ox_str text, size_t *begin, size_t *end)
{
    while (*begin < *end && text.ptr[*begin] == '\n') {
        (*begin)++;
    }
    while (*begin < *end && text.ptr[*end - 1] == '\n') {
        (*end)--;
    }
}

/* Where needle last stands in text, or text.len. */
static size_t find_last(struct ox_str text, struct ox_str needle)
{
    size_t last = text.len;
    for (size_t at = ox_str_find(text, needle, 0); at < text.len; at = ox_str_find(text, needle, at + 1)) {
        last = at;
    }
    return last;
}

/* Reasoning and content of an assistant message that keeps its reasoning, if it has any, in the visible text. */
static void put_split_content(struct writer *w, const struct ox_prompt *piece)
{
    const struct ox_str begin_tag = ox_str_c(OX_TEXT_THINK_BEGIN);
    const struct ox_str end_tag = ox_str_c(OX_TEXT_THINK_END);
    const struct ox_str text = ox_buf_str(&piece->text);
    size_t end = ox_str_find(text, end_tag, 0);
    if (end >= text.len) {
        put_format(w, OX_TEXT_THINK_END);
        put_slice(w, piece, 0, text.len);
        return;
    }
    size_t begin = 0;
    strip(text, &begin, &end);
    const size_t tag = find_last(ox_str_make(text.ptr + begin, end - begin), begin_tag) + begin;
    if (tag < end) {
        begin = tag + begin_tag.len;
    }
    strip(text, &begin, &end);
    if (begin < end) {
        put_format(w, OX_TEXT_THINK_BEGIN);
        put_slice(w, piece, begin, end);
    }
    put_format(w, OX_TEXT_THINK_END);
    begin = find_last(text, end_tag) + end_tag.len;
    end = text.len;
    strip(text, &begin, &end);
    put_slice(w, piece, begin, end);
}

static void put_thinking_and_content(struct writer *w, const struct ox_chat_message *message)
{
    if (message->reasoning.ptr != NULL) {
        if (message->reasoning.len > 0) {
            put_format(w, OX_TEXT_THINK_BEGIN);
            put_caller(w, message->reasoning);
        }
        put_format(w, OX_TEXT_THINK_END);
        put_content(w, message->content, false);
        return;
    }
    struct ox_prompt piece;
    memset(&piece, 0, sizeof piece);
    struct writer inner = {&piece, w->max_bytes, w->max_depth, false};
    put_content(&inner, message->content, false);
    if (inner.too_long || ox_buf_failed(&piece.text)) {
        w->too_long = w->too_long || inner.too_long;
        w->out->text.failed = w->out->text.failed || piece.text.failed;
    } else {
        put_split_content(w, &piece);
    }
    ox_prompt_fini(&piece);
}

static void put_value(struct writer *w, json_t *value, size_t depth);

static void put_element(struct writer *w, struct ox_str key, json_t *value, size_t depth)
{
    put_format(w, NS "<");
    put_caller(w, key);
    put_format(w, ">");
    put_value(w, value, depth);
    put_format(w, NS "</");
    put_caller(w, key);
    put_format(w, ">");
}

/* The entries of an object but those that are null. */
static void put_entries(struct writer *w, json_t *object, size_t depth)
{
    const char *key;
    json_t *member;
    json_object_foreach(object, key, member)
    {
        if (!json_is_null(member) && !w->too_long) {
            put_element(w, ox_str_c(key), member, depth);
        }
    }
}

/* A value of a call's arguments. Reading the conversation has checked the depth; the test here only bounds recursion. */
static void put_value(struct writer *w, json_t *value, size_t depth)
{
    if (depth > w->max_depth) {
        return;
    }
    if (json_is_object(value)) {
        put_entries(w, value, depth + 1);
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value) && !w->too_long; i++) {
            put_format(w, NS "<item>");
            put_value(w, json_array_get(value, i), depth + 1);
            put_format(w, NS "</item>");
        }
    } else if (json_is_string(value)) {
        put_caller(w, ox_json_text(value));
    } else if (json_is_boolean(value)) {
        put_caller(w, ox_str_c(json_is_true(value) ? "true" : "false"));
    } else if (json_is_number(value)) {
        struct ox_buf number;
        ox_buf_init(&number);
        ox_pyjson_add_number(&number, value);
        w->out->text.failed = w->out->text.failed || ox_buf_failed(&number);
        put_caller(w, ox_buf_str(&number));
        ox_buf_fini(&number);
    }
}

static void put_calls(struct writer *w, const struct ox_chat_call *calls, size_t n)
{
    put_format(w, NS "<tool_call>\n");
    for (size_t i = 0; i < n; i++) {
        put_format(w, NS "<invoke name=\"");
        put_caller(w, calls[i].name);
        put_format(w, "\">");
        if (calls[i].arguments != NULL) {
            put_entries(w, calls[i].arguments, 1);
        }
        put_caller(w, calls[i].raw);
        put_format(w, NS "</invoke>\n");
    }
    put_format(w, NS "</tool_call>");
}

static void put_system(struct writer *w, const struct ox_chat *chat)
{
    put_format(w, OX_TEXT_BEGIN_DOCUMENT OX_TEXT_BEGIN_MESSAGE "system\n");
    const size_t before = w->out->text.len;
    put_content(w, chat->system, false);
    if (w->out->text.len == before) {
        put_format(w, default_system);
    }
    put_format(w, general_thinking);
    if (chat->has_thinking && chat->thinking == OX_THINKING_ENABLED) {
        put_format(w, enabled_thinking);
    } else if (chat->has_thinking && chat->thinking == OX_THINKING_DISABLED) {
        put_format(w, disabled_thinking);
    } else {
        put_format(w, adaptive_thinking);
    }
    put_format(w, "</thinking_instructions>" OX_TEXT_END_MESSAGE "\n");
}

static void put_developer(struct writer *w, const struct ox_chat *chat)
{
    put_format(w, OX_TEXT_BEGIN_MESSAGE "developer\n");
    const size_t before = w->out->text.len;
    put_content(w, chat->developer, false);
    if (w->out->text.len == before) {
        if (chat->identity.ptr != NULL) {
            put_caller(w, chat->identity);
        } else {
            put_format(w, default_developer);
        }
    }
    if (chat->tools != NULL) {
        put_format(w, tools_before);
        for (size_t i = 0; i < json_array_size(chat->tools); i++) {
            const size_t begin = w->out->text.len + strlen("<tool>");
            put_format(w, "<tool>");
            ox_pyjson_add(&w->out->text, json_object_get(json_array_get(chat->tools, i), "function"), w->max_depth);
            mark_caller(w, begin);
            w->too_long = w->too_long || w->out->text.len > w->max_bytes;
            put_format(w, "</tool>\n");
        }
        put_format(w, tools_after);
    }
    put_format(w, OX_TEXT_END_MESSAGE "\n");
}

static void put_assistant(struct writer *w, const struct ox_chat *chat, const struct ox_chat_message *message)
{
    put_format(w, OX_TEXT_BEGIN_MESSAGE "ai\n");
    const size_t begin = w->out->text.len;
    put_thinking_and_content(w, message);
    if (message->n_calls > 0) {
        put_calls(w, chat->calls + message->first_call, message->n_calls);
    }
    put_format(w, OX_TEXT_END_MESSAGE);
    note_reply(w, message->place, begin);
    put_format(w, "\n");
}

static void put_messages(struct writer *w, const struct ox_chat *chat)
{
    for (size_t i = 0; i < chat->n_messages && !w->too_long; i++) {
        const struct ox_chat_message *message = &chat->messages[i];
        switch (message->role) {
        case OX_CHAT_USER:
            put_format(w, OX_TEXT_BEGIN_MESSAGE "user\n");
            put_content(w, message->content, false);
            put_format(w, OX_TEXT_END_MESSAGE "\n");
            break;
        case OX_CHAT_ASSISTANT:
            put_assistant(w, chat, message);
            break;
        case OX_CHAT_TOOL:
            if (i == 0 || chat->messages[i - 1].role != OX_CHAT_TOOL) {
                put_format(w, OX_TEXT_BEGIN_MESSAGE "tool");
            }
            put_format(w, "\n<response>");
            put_content(w, message->content, true);
            put_format(w, "</response>");
            if (i + 1 == chat->n_messages || chat->messages[i + 1].role != OX_CHAT_TOOL) {
                put_format(w, OX_TEXT_END_MESSAGE "\n");
            }
            break;
        case OX_CHAT_DROPPED:
        default:
            break;
        }
    }
}

static void put_generation(struct writer *w, const struct ox_chat *chat)
{
    put_format(w, OX_TEXT_BEGIN_MESSAGE "ai\n");
    if (chat->has_thinking && chat->thinking == OX_THINKING_ENABLED) {
        put_format(w, OX_TEXT_THINK_BEGIN);
        w->out->starts_in_reasoning = true;
    } else if (chat->has_thinking && chat->thinking == OX_THINKING_DISABLED) {
        put_format(w, OX_TEXT_THINK_END);
    }
}

void ox_prompt_fini(struct ox_prompt *prompt)
{
    ox_buf_fini(&prompt->text);
    ox_free(prompt->caller);
    ox_free(prompt->media);
    ox_free(prompt->replies);
    memset(prompt, 0, sizeof *prompt);
}

static size_t placeholder_len(const struct ox_chat_media *media)
{
    return strlen(media->is_video ? OX_TEXT_VIDEO : OX_TEXT_IMAGE);
}

/* Beginning and end of the first reply, of the second one, and so on. */
static size_t *reply_edge(struct ox_prompt *prompt, size_t i)
{
    struct ox_chat_reply *reply = &prompt->replies[i / 2];
    return i % 2 == 0 ? &reply->begin : &reply->end;
}

/* Move what stands behind placeholders that have become texts. No placeholder stands in a caller's text. */
static void move_marks(struct ox_prompt *prompt, const struct ox_str *texts)
{
    size_t delta = 0; /* modulo 2^64: a text may be shorter than its placeholder */
    size_t r = 0;
    size_t e = 0; /* of the beginnings and ends of replies */
    for (size_t i = 0; i <= prompt->n_media; i++) {
        while (e < 2 * prompt->n_replies &&
               (i == prompt->n_media || *reply_edge(prompt, e) <= prompt->media[i].at)) {
            *reply_edge(prompt, e++) += delta;
        }
        for (; r < prompt->n_caller && (i == prompt->n_media || prompt->caller[r].begin < prompt->media[i].at); r++) {
            prompt->caller[r].begin += delta;
            prompt->caller[r].end += delta;
        }
        if (i < prompt->n_media) {
            prompt->media[i].at += delta;
            delta += texts[i].len - placeholder_len(&prompt->media[i]);
        }
    }
}

enum ox_status ox_prompt_expand(struct ox_prompt *prompt, const struct ox_str *texts, size_t max_bytes,
                                struct ox_error *err)
{
    const size_t most = max_bytes > 0 ? max_bytes : OX_CHAT_MAX_TEXT_BYTES;
    struct ox_buf text = {0};
    size_t at = 0;
    for (size_t i = 0; i < prompt->n_media; i++) {
        const struct ox_chat_media *media = &prompt->media[i];
        ox_buf_add(&text, prompt->text.ptr + at, media->at - at);
        if (text.len > most || texts[i].len > most - text.len) {
            ox_buf_fini(&text);
            return ox_error_set(err, OX_E_LIMIT, "the prompt with its pictures is longer than the limit of %zu bytes",
                                most);
        }
        ox_buf_add_str(&text, texts[i]);
        at = media->at + placeholder_len(media);
    }
    ox_buf_add(&text, prompt->text.ptr + at, prompt->text.len - at);
    if (ox_buf_failed(&text)) {
        ox_buf_fini(&text);
        return ox_error_nomem(err, prompt->text.len);
    }
    move_marks(prompt, texts);
    ox_buf_fini(&prompt->text);
    prompt->text = text;
    return OX_OK;
}

enum ox_status ox_chat_render(const struct ox_chat *chat, struct ox_prompt *out, struct ox_error *err)
{
    struct writer w = {out, chat->limits.max_text_bytes, chat->limits.max_depth, false};
    put_system(&w, chat);
    put_developer(&w, chat);
    put_messages(&w, chat);
    if (chat->generates) {
        put_generation(&w, chat);
    }
    if (w.too_long) {
        ox_prompt_fini(out);
        return ox_error_set(err, OX_E_LIMIT, "%s: the rendered prompt is longer than the limit of %zu bytes",
                            chat->what, chat->limits.max_text_bytes);
    }
    if (ox_buf_failed(&out->text)) {
        const size_t len = out->text.len;
        ox_prompt_fini(out);
        return ox_error_nomem(err, len);
    }
    return OX_OK;
}
