/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and replying where each allocation fails once. Only for programs that are linked with WRAP_ALLOCATIONS (oom.h).
 */
#ifndef OX_TESTS_API_OOM_H
#define OX_TESTS_API_OOM_H

#include "engine/engine.h"
#include "tests/api_help.h"
#include "tests/oom.h"
#include "tests/tap.h"

/* No grammar was made yet: a request has to make its own. */
static inline void api_forget_grammars(const struct ox_api_context *context)
{
    ox_grammars_fini(&context->engine->grammars);
    OX_CHECK(ox_grammars_init(&context->engine->grammars));
}

/* A request is read, or the server is out of memory. */
static inline void api_read_oom(const struct ox_api *api, const struct ox_api_context *context, const char *json)
{
    json_t *body = api_tree(ox_str_c(json));
    bool good = body != NULL;
    long n = 1;
    for (bool failed = true; failed && good; n++) {
        struct ox_ask ask = {0};
        struct ox_api_error error = {0};
        api_forget_grammars(context);
        oom_arm(n);
        const bool read = api->read(context, body, &ask, &error);
        failed = oom_disarm();
        good = failed ? !read && error.http_status == 503 : read;
        if (!good) {
            NOTE("allocation %ld: %d %s", n, error.http_status, error.message);
        }
        ox_ask_fini(&ask);
    }
    OK(good && n > 10, "%ld allocations of reading a request fail", n);
    json_decref(body);
}

/* A reply is written, or the API says that it could not. */
static inline void api_reply_oom(const struct ox_api *api, const struct ox_api_context *context, const char *json)
{
    static const struct {
        enum oxcart_event_kind kind;
        const char *text;
    } events[] = {
        {OXCART_EVENT_TOKEN, "Hm"},       {OXCART_EVENT_REASONING, "Hm"},      {OXCART_EVENT_TOKEN, "Hi"},
        {OXCART_EVENT_CONTENT, "Hi"},     {OXCART_EVENT_CALL_BEGIN, "add"},    {OXCART_EVENT_CALL_ARGUMENTS, "{"},
        {OXCART_EVENT_REASONING, "Oh"},   {OXCART_EVENT_CALL_ARGUMENTS, "}"},  {OXCART_EVENT_CALL_DONE, ""},
        {OXCART_EVENT_CALL_BEGIN, "bad"}, {OXCART_EVENT_CALL_FAILED, "<bad>"}, {OXCART_EVENT_CONTENT, "more"},
    };
    static const struct oxcart_result result = {.size = sizeof result, .n_generated = 3};
    struct ox_ask ask;
    struct ox_api_error error;
    OK(api_read(api, context, json, &ask, &error), "read: %s", error.message);
    bool good = true;
    long n = 1;
    for (bool failed = true; failed && good; n++) {
        struct ox_buf out = {0};
        oom_arm(n);
        struct ox_reply *reply = api->reply_new(context, &ask, 5);
        bool played = reply != NULL;
        if (played && ask.stream) {
            api->begin(reply, &out);
        }
        for (size_t i = 0; i < sizeof events / sizeof events[0] && played; i++) {
            const struct oxcart_event event = api_event(events[i].kind, 0, events[i].text);
            played = api->event(reply, 0, &event, &out);
        }
        played = played && api->end(reply, 0, &result, &out);
        failed = oom_disarm();
        good = played == !failed;
        api->reply_free(reply);
        ox_buf_fini(&out);
    }
    OK(good && n > 10, "%ld allocations of a reply fail", n);
    ox_ask_fini(&ask);
}

#endif
