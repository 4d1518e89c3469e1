/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of a conversation, shared by the file that checks it (chat_parse.c) and the one that renders it (chat.c).
 * Texts and trees are borrowed from `root` unless it says otherwise.
 */
#ifndef OX_TEXT_CHAT_PARSE_H
#define OX_TEXT_CHAT_PARSE_H

#include "text/chat.h"

enum ox_chat_role {
    OX_CHAT_DROPPED, /* rendered as nothing, but ends a run of tool results */
    OX_CHAT_USER,
    OX_CHAT_ASSISTANT,
    OX_CHAT_TOOL,
};

struct ox_chat_call {
    struct ox_str name;
    struct ox_str id;  /* ptr NULL: none */
    json_t *arguments; /* an object, a reference of its own; NULL: no arguments, or */
    struct ox_str raw; /* text that holds no object, as it came */
};

struct ox_chat_message {
    enum ox_chat_role role;
    size_t place;            /* its index in "messages" */
    json_t *content;         /* checked; NULL: none */
    struct ox_str reasoning; /* ptr NULL: the message has none (which is not the same as an empty one) */
    struct ox_str call_id;   /* of a tool result; ptr NULL: none */
    size_t first_call;       /* into calls */
    size_t n_calls;
};

struct ox_chat {
    json_t *root;                 /* a reference of its own */
    char *what;                   /* owned */
    struct ox_chat_limits limits; /* no zeros */
    bool has_thinking;
    enum ox_thinking thinking;
    bool generates;                   /* add_generation_prompt */
    struct ox_str identity;           /* ptr NULL: none */
    json_t *system;                   /* content of the root message; NULL: none */
    json_t *developer;                /* content of the system or developer message; NULL: none */
    json_t *tools;                    /* NULL: none */
    struct ox_chat_message *messages; /* in the order of rendering: tool results stand in the order of their calls */
    size_t n_messages;
    struct ox_chat_call *calls;
    size_t n_calls;
    size_t calls_cap;
};

/* What an element of a content list is. */
enum ox_chat_part {
    OX_CHAT_PART_TEXT,
    OX_CHAT_PART_IMAGE,
    OX_CHAT_PART_VIDEO,
    OX_CHAT_PART_OUTPUT, /* {"output": "..."} in a tool result */
    OX_CHAT_PART_UNKNOWN,
};

/* Classify an element; *text: its text, or the source of its picture or clip (len 0: none). Returns
 * OX_CHAT_PART_UNKNOWN if the type is none we know, and *ok false if its type is known but its text or source is not
 * of the right kind. is_result: the element stands in a tool result. */
enum ox_chat_part ox_chat_part_read(const json_t *part, bool is_result, struct ox_str *text, bool *ok);

#endif
