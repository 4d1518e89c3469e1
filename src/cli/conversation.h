/* SPDX-License-Identifier: Apache-2.0
 *
 * A conversation as `run` and `chat` hold it: the JSON object that the library renders.
 */
#ifndef OX_CLI_CONVERSATION_H
#define OX_CLI_CONVERSATION_H

#include <jansson.h>

#include "cli/answer.h"
#include "cli/cli.h"

/* {"messages": [system if --system], "tools": [...] if --tools}. Returns EXIT_DONE or, after a message, an exit code. */
int conversation_new(const struct cli *cli, json_t **conversation) OX_MUST_USE;

/* Append {"role": role, "content": text}. False when out of memory, as below. */
bool conversation_add(json_t *conversation, const char *role, struct ox_str text) OX_MUST_USE;

/* Append to *parts (an array) the part that shows a picture or clip out of a file. False when out of memory: *parts is NULL
 * then. */
bool conversation_add_part(json_t **parts, bool is_video, struct ox_str path) OX_MUST_USE;

/* Append the user's message: parts, which are taken (NULL: none), and behind them the text. */
bool conversation_add_shown(json_t *conversation, json_t *parts, struct ox_str text) OX_MUST_USE;

/* Append the answer as the assistant's message, its thinking and calls included. */
bool conversation_add_answer(json_t *conversation, const struct answer *answer) OX_MUST_USE;

/* Append the result of a call. */
bool conversation_add_result(json_t *conversation, const char *call_id, struct ox_str text) OX_MUST_USE;

/* The role of the last message, "" if there is none. */
const char *conversation_last_role(const json_t *conversation);

/* Append its JSON to text. */
bool conversation_write(const json_t *conversation, struct ox_buf *text) OX_MUST_USE;

/* Make it the session's timeline. Parts may name files; what --messages read names them from its own folder. The error is
 * the library's. */
enum oxcart_status conversation_render(const struct cli *cli, const json_t *conversation,
                                       struct oxcart_session *session, struct oxcart_error *err) OX_MUST_USE;

#endif
