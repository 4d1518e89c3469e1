/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as a conversation in JSON, rendered. Invariants: the caller's ranges are ascending, apart and inside of the
 * text; outside of them there are exactly the control tokens that the messages call for; media stand at their tokens.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/json.h"
#include "text/chat.h"
#include "text/markers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(struct ox_str text, const char *needle)
{
    size_t n = 0;
    const struct ox_str token = ox_str_c(needle);
    for (size_t at = ox_str_find(text, token, 0); at < text.len; at = ox_str_find(text, token, at + token.len)) {
        n++;
    }
    return n;
}

static struct ox_str role_of(const json_t *messages, size_t i)
{
    return ox_json_text(json_object_get(json_array_get(messages, i), "role"));
}

/* How many messages the prompt must have: two sections, each user and assistant, each run of results. */
static size_t expected_messages(const json_t *messages)
{
    size_t n = 2;
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const struct ox_str role = role_of(messages, i);
        n += ox_str_is(role, "user") || ox_str_is(role, "assistant");
        n += ox_str_is(role, "tool") && (i == 0 || !ox_str_is(role_of(messages, i - 1), "tool"));
    }
    return n;
}

static size_t expected_calls(const json_t *messages)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(messages); i++) {
        if (ox_str_is(role_of(messages, i), "assistant")) {
            n += json_array_size(json_object_get(json_array_get(messages, i), "tool_calls"));
        }
    }
    return n;
}

static void check_prompt(const struct ox_prompt *prompt, const json_t *root)
{
    struct ox_buf rest;
    size_t at = 0;
    ox_buf_init(&rest);
    for (size_t i = 0; i < prompt->n_caller; i++) {
        const struct ox_range range = prompt->caller[i];
        OX_CHECK(range.begin < range.end && range.end <= prompt->text.len && (i == 0 || range.begin > at));
        ox_buf_add(&rest, prompt->text.ptr + at, range.begin - at);
        ox_buf_add_byte(&rest, '\1');
        at = range.end;
    }
    ox_buf_add(&rest, prompt->text.ptr + at, prompt->text.len - at);
    const struct ox_str text = ox_buf_str(&rest);
    const json_t *messages = json_object_get(root, "messages");
    const bool generates = !json_is_false(json_object_get(root, "add_generation_prompt"));
    const size_t n_messages = expected_messages(messages);
    const size_t n_examples = json_array_size(json_object_get(root, "tools")) > 0 ? 2 : 0;
    OX_CHECK(count(text, OX_TEXT_BEGIN_DOCUMENT) == 1);
    OX_CHECK(count(text, OX_TEXT_BEGIN_MESSAGE) == n_messages + (generates ? 1 : 0));
    OX_CHECK(count(text, OX_TEXT_END_MESSAGE) == n_messages);
    OX_CHECK(count(text, OX_TEXT_NAMESPACE "<invoke name=\"") == n_examples + expected_calls(messages));
    OX_CHECK(count(text, OX_TEXT_IMAGE) + count(text, OX_TEXT_VIDEO) == prompt->n_media);
    for (size_t i = 0; i < prompt->n_media; i++) {
        const struct ox_str token = ox_str_c(prompt->media[i].is_video ? OX_TEXT_VIDEO : OX_TEXT_IMAGE);
        OX_CHECK(prompt->media[i].at + token.len <= prompt->text.len);
        OX_CHECK(memcmp(prompt->text.ptr + prompt->media[i].at, token.ptr, token.len) == 0);
        OX_CHECK(i == 0 || prompt->media[i].at > prompt->media[i - 1].at);
    }
    const struct ox_str all = ox_buf_str(&prompt->text);
    const struct ox_str before = ox_str_c(OX_TEXT_BEGIN_MESSAGE "ai\n");
    const struct ox_str last = ox_str_c(OX_TEXT_END_MESSAGE);
    for (size_t i = 0; i < prompt->n_replies; i++) {
        const struct ox_chat_reply *reply = &prompt->replies[i];
        OX_CHECK(i == 0 ||
                 (reply->begin > prompt->replies[i - 1].end && reply->message > prompt->replies[i - 1].message));
        OX_CHECK(reply->begin >= before.len && reply->end <= all.len && reply->begin + last.len <= reply->end);
        OX_CHECK(memcmp(all.ptr + reply->begin - before.len, before.ptr, before.len) == 0);
        OX_CHECK(memcmp(all.ptr + reply->end - last.len, last.ptr, last.len) == 0);
    }
    ox_buf_fini(&rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *root = NULL;
    struct ox_chat *chat = NULL;
    struct ox_prompt prompt;
    struct ox_error err;
    memset(&prompt, 0, sizeof prompt);
    if (ox_json_parse(ox_str_make((const char *)data, size), "fuzz", &root, &err) != OX_OK) {
        return 0;
    }
    if (ox_chat_from_json(root, "fuzz", NULL, NULL, &chat, &err) == OX_OK) {
        OX_CHECK(ox_chat_render(chat, &prompt, &err) == OX_OK);
        check_prompt(&prompt, root);
    } else {
        OX_CHECK(strncmp(err.message, "fuzz", 4) == 0);
    }
    ox_prompt_fini(&prompt);
    ox_chat_free(chat);
    json_decref(root);
    return 0;
}
