/* SPDX-License-Identifier: Apache-2.0
 *
 * A conversation in progress, shared by its loop (verb_chat.c) and its commands (chat_commands.c).
 */
#ifndef OX_CLI_CHAT_STATE_H
#define OX_CLI_CHAT_STATE_H

#include "cli/answer.h"
#include "cli/conversation.h"
#include "cli/lines.h"

/* Longest context unless -c says otherwise. */
#define CHAT_USUAL_CTX 32768

struct chat {
    struct cli cli; /* a copy: /set and /think change its options */
    struct oxcart_engine *engine;
    struct oxcart_session *session;
    struct oxcart_engine_info info;
    int32_t n_ctx;
    json_t *conversation;
    json_t *shown; /* parts of the next message: pictures and clips; NULL: none */
    struct lines *lines;
    struct answer_watch watch;
    struct oxcart_result last;
    bool has_last;
    bool leave;
    int code;    /* of the last turn that failed */
    char **texts; /* arguments that cli's options borrow */
    size_t n_texts;
    size_t texts_cap;
};

/* Add text as the user's message and answer. */
void chat_say(struct chat *chat, struct ox_str text);

/* Answer the conversation as it stands; a turn that fails is taken back. */
void chat_respond(struct chat *chat);

/* Remove the last message if it is of this role. */
bool chat_pop_if(struct chat *chat, const char *role);

/* The last answer's statistics; OX_LOG_ERROR: on the screen whatever -q and -v say. */
void chat_show_statistics(struct chat *chat, enum ox_log_level level);

#endif
