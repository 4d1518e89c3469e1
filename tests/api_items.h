/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of Responses and Messages share: one request and its conversation, one answer and its reply.
 */
#ifndef OX_TESTS_API_ITEMS_H
#define OX_TESTS_API_ITEMS_H

#include "tests/api_help.h"
#include "tests/tap.h"

/* Is the conversation of a request exactly this JSON? */
static inline void api_is_read(const struct ox_api *api, const struct ox_api_context *context, const char *json,
                               const char *conversation, const char *name)
{
    struct ox_ask ask;
    struct ox_api_error error;
    json_t *expected = api_tree(ox_str_c(conversation));
    const bool read = api_read(api, context, json, &ask, &error);
    char *found = json_dumps(ask.conversation, JSON_COMPACT);
    OK(read && expected != NULL && json_equal(ask.conversation, expected) != 0, "%s: %s %s", name,
       found != NULL ? found : "", error.message);
    free(found);
    json_decref(expected);
    ox_ask_fini(&ask);
}

/* What an engine tells at the end. */
static inline struct oxcart_result api_result(enum oxcart_finish finish)
{
    return (struct oxcart_result){.size = sizeof(struct oxcart_result),
                                  .finish = finish,
                                  .n_prompt = 30,
                                  .n_cached = 20,
                                  .n_generated = 9,
                                  .n_reasoning = 4};
}

/* The reply to events (ended by kind TOKEN with text NULL), as a tree or, of a stream, an array of events. */
static inline json_t *api_reply_to(const struct ox_api *api, const struct ox_api_context *context, const char *json,
                                   const struct oxcart_event *events, enum oxcart_finish finish)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct ox_buf out = {0};
    if (!OK(api_read(api, context, json, &ask, &error), "read: %s", error.message)) {
        ox_ask_fini(&ask);
        return NULL;
    }
    struct ox_reply *reply = api->reply_new(context, &ask, 30);
    const struct oxcart_result result = api_result(finish);
    bool good = reply != NULL;
    if (ask.stream) {
        api->begin(reply, &out);
    }
    for (size_t i = 0; events[i].text != NULL; i++) {
        const size_t before = out.len;
        good = good && api->event(reply, 0, &events[i], &out) && (ask.stream || out.len == before);
    }
    good = good && api->end(reply, 0, &result, &out);
    json_t *tree = ask.stream ? api_stream(ox_buf_str(&out)) : api_tree(ox_buf_str(&out));
    OK(good && tree != NULL, "a reply: %.300s", ox_buf_text(&out));
    api->reply_free(reply);
    ox_buf_fini(&out);
    ox_ask_fini(&ask);
    return tree;
}

/* Thoughts, text and a call. */
static const struct oxcart_event api_answer[] = {
    {.kind = OXCART_EVENT_REASONING, .text = "Think", .text_bytes = 5},
    {.kind = OXCART_EVENT_REASONING, .text = "ing.", .text_bytes = 4},
    {.kind = OXCART_EVENT_CONTENT, .text = "It is ", .text_bytes = 6},
    {.kind = OXCART_EVENT_CONTENT, .text = "so.", .text_bytes = 3},
    {.kind = OXCART_EVENT_CALL_BEGIN, .text = "add", .text_bytes = 3},
    {.kind = OXCART_EVENT_CALL_ARGUMENTS, .text = "{\"a\": ", .text_bytes = 6},
    {.kind = OXCART_EVENT_CALL_ARGUMENTS, .text = "7}", .text_bytes = 2},
    {.kind = OXCART_EVENT_CALL_DONE, .text = "", .text_bytes = 0},
    {.kind = OXCART_EVENT_TOKEN},
};

#endif
