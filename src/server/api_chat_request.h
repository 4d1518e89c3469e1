/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a request for a chat completion.
 */
#ifndef OX_SERVER_API_CHAT_REQUEST_H
#define OX_SERVER_API_CHAT_REQUEST_H

#include "server/api.h"

/* The `read` of ox_api_chat. The conversation is made anew, with what the chat format knows:
 * - Roles: root, system, developer, user, assistant, tool. The format has one place for instructions, at the beginning:
 *   the first system and developer messages become one, with an empty line between. Later ones keep their place, as a
 *   user's messages, which the format knows there.
 * - Parts of content: text, refusal (as text), file (its text: api_document.h), and media: image_url, video_url, image, video, and llama.cpp's input_video
 *   {"data", "format"}. Media become {"type": "image_url" | "video_url", TYPE: {"url": ...}} and nothing else.
 * - `reasoning` of earlier answers becomes reasoning_content, if that is not there.
 * Thinking: chat_template_kwargs.thinking_mode, else .enable_thinking or .thinking, else reasoning_effort as
 * ox_openai_read_effort reads it.
 * Tools of other types than function are left out.
 * Calls: tool_choice none shows no tools to the model; else ox_api_hold_calls says what is kept to. */
bool ox_chat_request_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask,
                          struct ox_api_error *error);

#endif
