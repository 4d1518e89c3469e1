/* SPDX-License-Identifier: Apache-2.0
 *
 * The chat format: messages and tools in, the prompt's text out, together with the ranges of it that came from the
 * caller (and so must not be read as control tokens). A conversation is kept as it came, as a JSON tree; rendering is
 * fixed C code, no template is executed. Source: chat template of MiniMax-M3 (chat-template.md sections 2 to 4).
 */
#ifndef OX_TEXT_CHAT_H
#define OX_TEXT_CHAT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/status.h"
#include "text/tokenizer.h"

enum ox_thinking {
    OX_THINKING_ADAPTIVE,
    OX_THINKING_ENABLED,
    OX_THINKING_DISABLED,
};

/* "adaptive", "enabled" or "disabled"; OX_E_ARG and a sentence for anything else. */
enum ox_status ox_thinking_parse(struct ox_str text, enum ox_thinking *out, struct ox_error *err) OX_MUST_USE;

/* One picture or clip of a conversation, in order of its placeholder. */
struct ox_chat_media {
    bool is_video;
    struct ox_str source; /* file name or data: URI, owned by the conversation: "image_url" or "video_url" (a string or
                           * {"url": ...}), or "image", "video", "url", "path" or "source" of {"type": "image"} or
                           * "video"; len 0 for a bare one */
    size_t at;            /* where its placeholder stands in the rendered text (bytes) */
};

/* A checked conversation. */
struct ox_chat;

#define OX_CHAT_MAX_TEXT_BYTES ((size_t)256 << 20)

/* Limits a caller may lower; zero means the default in brackets. */
struct ox_chat_limits {
    size_t max_messages;   /* 65,536 */
    size_t max_depth;      /* nesting of tool arguments and schemas: 64 */
    size_t max_text_bytes; /* of the rendered prompt: 256 MiB */
};

/* Read a conversation object {"messages": [...], "tools": [...], "thinking_mode": "...", "add_generation_prompt": true,
 * "model_identity": "..."} from JSON bytes; `what` names them in errors. Checks everything that rendering relies on:
 * roles (root, system, developer, user, assistant, tool), content (string, null, or list of parts: text, image, video,
 * image_url, video_url, strings), tool_calls (arguments an object, or a string; OpenAI's and the plain form), tools
 * (objects, each with a `function` object or OpenAI/Anthropic's flat form is NOT accepted here), tool results in the
 * order of the calls (reordered by tool_call_id where ids are given), thinking_mode known. Unknown members are ignored.
 * Results are ordered within a run of tool messages, by the calls of the assistant message before it; one that names no
 * call takes the next call that no other names. Integers beyond 64 bits are understood only in arguments given as text.
 * Text of arguments that holds no object in JSON, as that of a call that was cut off, stands in the call as it came.
 * What the format silently drops (second system message) gives a warning through log. OX_E_FORMAT / OX_E_LIMIT with a
 * sentence that names the place ("messages[3].content[0].type: expected ..., found ..."). */
enum ox_status ox_chat_parse(struct ox_str json, const char *what, const struct ox_chat_limits *limits,
                             const struct ox_log *log, struct ox_chat **out, struct ox_error *err) OX_MUST_USE;

/* The same from a tree (borrowed; a reference is taken). */
enum ox_status ox_chat_from_json(json_t *root, const char *what, const struct ox_chat_limits *limits,
                                 const struct ox_log *log, struct ox_chat **out, struct ox_error *err) OX_MUST_USE;

void ox_chat_free(struct ox_chat *chat);

/* The mode that the conversation names; false if it names none. */
bool ox_chat_thinking(const struct ox_chat *chat, enum ox_thinking *out);

/* Override the mode. */
void ox_chat_set_thinking(struct ox_chat *chat, enum ox_thinking thinking);

/* The conversation's tools (array, borrowed) or NULL: the reply parser types arguments with their schemas. */
const json_t *ox_chat_tools(const struct ox_chat *chat);

/* One assistant's message of a conversation in the rendered text: bytes [begin, end), from what follows the line that
 * begins a message to the end token. */
struct ox_chat_reply {
    size_t message; /* its index in "messages" */
    size_t begin;
    size_t end;
};

/* The rendered prompt. Owns its members; release with ox_prompt_fini. All zero is empty. */
struct ox_prompt {
    struct ox_buf text;
    struct ox_range *caller; /* ascending, disjoint, adjacent ones merged: bytes that came from the caller */
    size_t n_caller;
    size_t caller_cap;
    struct ox_chat_media *media; /* in order; the placeholders themselves are template text, not caller text */
    size_t n_media;
    size_t media_cap;
    struct ox_chat_reply *replies; /* in order of the text */
    size_t n_replies;
    size_t replies_cap;
    bool starts_in_reasoning; /* the generation prompt ended with <mm:think> */
};

void ox_prompt_fini(struct ox_prompt *prompt);

/* Put texts[i] in the place of the i-th placeholder (n_media of them); caller, media[].at and replies move with the text. Unchanged
 * on failure: OX_E_LIMIT beyond max_bytes (0: the default of ox_chat_limits), OX_E_NOMEM. */
enum ox_status ox_prompt_expand(struct ox_prompt *prompt, const struct ox_str *texts, size_t max_bytes,
                                struct ox_error *err) OX_MUST_USE;

/* Render into *out (which must be empty). */
enum ox_status ox_chat_render(const struct ox_chat *chat, struct ox_prompt *out, struct ox_error *err) OX_MUST_USE;

#endif
