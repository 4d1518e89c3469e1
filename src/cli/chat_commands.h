/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands that a conversation knows: lines that begin with a slash.
 */
#ifndef OX_CLI_CHAT_COMMANDS_H
#define OX_CLI_CHAT_COMMANDS_H

#include "cli/chat_state.h"

/* Do what line says (it begins with '/'); complaints go to stderr. */
void chat_command(struct chat *chat, struct ox_str line);

/* The name of the i-th command, NULL behind the last. */
const char *chat_command_word(size_t i);

/* Free what /set and /think keep. */
void chat_free_texts(struct chat *chat);

#endif
