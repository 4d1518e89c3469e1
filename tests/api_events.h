/* SPDX-License-Identifier: Apache-2.0
 *
 * Random replies: event sequences as an engine sends them, for several choices by turns, and what a client makes of a
 * stream of chat completions. For the property that pieces say what the whole says.
 */
#ifndef OX_TESTS_API_EVENTS_H
#define OX_TESTS_API_EVENTS_H

#include "base/json_build.h"
#include "base/rng.h"
#include "tests/api_help.h"

#define API_EVENTS_MOST 200
#define API_CHOICES_MOST 4

struct api_script {
    struct {
        int32_t choice;
        struct oxcart_event event;
    } steps[API_EVENTS_MOST];
    size_t n;
    bool has_failed[API_CHOICES_MOST][API_EVENTS_MOST]; /* calls by index */
};

static inline const char *api_random_text(struct ox_rng *rng)
{
    static const char *const texts[] = {"a",           " word", "\"quoted\"", "line\nend\n\n",
                                        "data: x\n\n", "{}",    "\xC3\xA9t",  "\xE2\x82\xAC",
                                        "\\",          "\t",    "<b>",        "\x01"};
    return texts[ox_rng_below(rng, sizeof texts / sizeof texts[0])];
}

static inline void api_script_add(struct api_script *script, int32_t choice, struct oxcart_event event)
{
    script->steps[script->n].choice = choice;
    script->steps[script->n].event = event;
    script->n++;
}

/* tokens: with log-probabilities of these (may be NULL). chat: not only content. */
static inline void api_script_make(struct api_script *script, struct ox_rng *rng, int32_t n_choices, bool chat,
                                   const struct oxcart_logprob *tokens)
{
    int32_t n_calls[API_CHOICES_MOST] = {0};
    bool open[API_CHOICES_MOST] = {false};
    const size_t n = (size_t)ox_rng_below(rng, API_EVENTS_MOST - 2 * API_CHOICES_MOST);
    memset(script, 0, sizeof *script);
    while (script->n < n) {
        const int32_t i = (int32_t)ox_rng_below(rng, (uint64_t)n_choices);
        const char *text = api_random_text(rng);
        const uint64_t kind = ox_rng_below(rng, chat ? 7 : 3);
        if (kind == 0 || kind == 3) {
            struct oxcart_event token = api_event(OXCART_EVENT_TOKEN, 0, text);
            token.id = tokens != NULL ? tokens[0].id : 0;
            token.logprobs = tokens;
            token.n_logprobs = tokens != NULL ? 2 : 0;
            api_script_add(script, i, token);
        } else if (kind < 3) {
            api_script_add(script, i, api_event(OXCART_EVENT_CONTENT, 0, text));
        } else if (kind == 4) {
            api_script_add(script, i, api_event(OXCART_EVENT_REASONING, 0, text));
        } else if (!open[i] && kind == 5) {
            api_script_add(script, i, api_event(OXCART_EVENT_CALL_BEGIN, n_calls[i], "f"));
            open[i] = true;
        } else if (!open[i]) {
            api_script_add(script, i, api_event(OXCART_EVENT_CALL_FAILED, -1, text));
        } else if (kind == 5) {
            api_script_add(script, i, api_event(OXCART_EVENT_CALL_ARGUMENTS, n_calls[i], text));
        } else {
            const bool failed = ox_rng_below(rng, 3) == 0;
            script->has_failed[i][n_calls[i]] = failed;
            api_script_add(script, i,
                           failed ? api_event(OXCART_EVENT_CALL_FAILED, n_calls[i], text)
                                  : api_event(OXCART_EVENT_CALL_DONE, n_calls[i], ""));
            n_calls[i]++;
            open[i] = false;
        }
    }
    for (int32_t i = 0; i < n_choices; i++) {
        if (open[i]) {
            script->has_failed[i][n_calls[i]] = true;
            api_script_add(script, i, api_event(OXCART_EVENT_CALL_FAILED, n_calls[i], "cut off"));
        }
    }
}

/* Play a script for a request; the bytes are appended to out. False if the API failed. */
static inline bool api_script_play(const struct ox_api *api, const struct ox_api_context *context,
                                   const struct ox_ask *ask, const struct api_script *script, struct ox_buf *out)
{
    struct ox_reply *reply = api->reply_new(context, ask, 5);
    bool good = reply != NULL;
    if (good && ask->stream) {
        api->begin(reply, out);
    }
    for (size_t i = 0; i < script->n && good; i++) {
        good = api->event(reply, script->steps[i].choice, &script->steps[i].event, out);
    }
    for (int32_t i = ask->n_choices - 1; i >= 0 && good; i--) {
        const struct oxcart_result result = {.size = sizeof result,
                                             .finish = (enum oxcart_finish)(i % 3),
                                             .n_prompt = 5,
                                             .n_cached = i,
                                             .n_generated = 3 + i};
        good = api->end(reply, i, &result, out);
    }
    api->reply_free(reply);
    return good;
}

/* {"content", "reasoning", "calls": [name, arguments, ...], "logprobs": [...], "finish"}: of one choice of a whole reply. */
static inline json_t *api_chat_of_whole(json_t *tree, int32_t choice)
{
    char path[40];
    snprintf(path, sizeof path, "choices.%d", (int)choice);
    json_t *from = api_at(tree, path);
    const char *content = json_string_value(api_at(from, "message.content"));
    const char *reasoning = json_string_value(api_at(from, "message.reasoning"));
    json_t *calls = json_array();
    size_t k;
    json_t *call;
    json_array_foreach(api_at(from, "message.tool_calls"), k, call)
    {
        json_array_append(calls, api_at(call, "function.name"));
        json_array_append(calls, api_at(call, "function.arguments"));
    }
    json_t *logprobs = api_at(from, "logprobs.content");
    return json_pack("{s:s,s:s,s:o,s:o,s:O}", "content", content != NULL ? content : "", "reasoning",
                     reasoning != NULL ? reasoning : "", "calls", calls, "logprobs",
                     logprobs != NULL ? json_incref(logprobs) : json_array(), "finish", api_at(from, "finish_reason"));
}

/* The same, joined from the events of a stream; calls that failed are left out. NULL if a delta makes no sense. */
static inline json_t *api_chat_of_stream(json_t *events, int32_t choice, const struct api_script *script)
{
    struct ox_buf content = {0};
    struct ox_buf reasoning = {0};
    struct ox_buf arguments[API_EVENTS_MOST] = {{0}};
    json_t *names = json_array();
    json_t *calls = json_array();
    json_t *logprobs = json_array();
    json_t *finish = NULL;
    bool good = true;
    size_t k;
    json_t *event;
    json_array_foreach(events, k, event)
    {
        json_t *from = api_at(event, "data.choices.0");
        if (from == NULL || json_integer_value(api_at(from, "index")) != choice) {
            continue;
        }
        json_t *call = api_at(from, "delta.tool_calls.0");
        const size_t i = (size_t)json_integer_value(api_at(call, "index"));
        ox_buf_add_str(&content, ox_json_text(api_at(from, "delta.content")));
        ox_buf_add_str(&reasoning, ox_json_text(api_at(from, "delta.reasoning")));
        good = good && json_equal(api_at(from, "delta.reasoning"), api_at(from, "delta.reasoning_content")) ==
                           (api_at(from, "delta.reasoning") != NULL);
        if (api_at(call, "function.name") != NULL) {
            good = good && i == json_array_size(names) && strncmp(api_text(call, "id"), "call_", 5) == 0 &&
                   strcmp(api_text(call, "type"), "function") == 0;
            json_array_append(names, api_at(call, "function.name"));
        } else if (call != NULL) {
            good = good && i + 1 == json_array_size(names) && api_at(call, "id") == NULL;
        }
        if (call != NULL && good) {
            ox_buf_add_str(&arguments[i], ox_json_text(api_at(call, "function.arguments")));
        }
        json_array_extend(logprobs, api_at(from, "logprobs.content"));
        good = good && finish == NULL;
        finish = json_is_string(api_at(from, "finish_reason")) ? api_at(from, "finish_reason") : finish;
    }
    for (size_t i = 0; i < API_EVENTS_MOST; i++) {
        if (i < json_array_size(names) && !script->has_failed[choice][i]) {
            json_array_append(calls, json_array_get(names, i));
            json_array_append_new(calls, ox_json_new_text(ox_buf_str(&arguments[i])));
        }
        ox_buf_fini(&arguments[i]);
    }
    json_t *joined = good && finish != NULL
                         ? json_pack("{s:s,s:s,s:O,s:O,s:O}", "content", ox_buf_text(&content), "reasoning",
                                     ox_buf_text(&reasoning), "calls", calls, "logprobs", logprobs, "finish", finish)
                         : NULL;
    json_decref(names);
    json_decref(calls);
    json_decref(logprobs);
    ox_buf_fini(&content);
    ox_buf_fini(&reasoning);
    return joined;
}

/* The same two for completions: {"text", "logprobs", "finish"}. */
static inline json_t *api_text_of_whole(json_t *tree, int32_t choice)
{
    char path[40];
    snprintf(path, sizeof path, "choices.%d", (int)choice);
    json_t *from = api_at(tree, path);
    json_t *logprobs = api_at(from, "logprobs");
    return json_pack("{s:O,s:o,s:O}", "text", api_at(from, "text"), "logprobs",
                     json_is_object(logprobs) ? json_incref(logprobs) : json_object(), "finish",
                     api_at(from, "finish_reason"));
}

static inline json_t *api_text_of_stream(json_t *events, int32_t choice)
{
    struct ox_buf text = {0};
    json_t *logprobs = json_object();
    json_t *finish = NULL;
    size_t k;
    json_t *event;
    json_array_foreach(events, k, event)
    {
        json_t *from = api_at(event, "data.choices.0");
        if (from == NULL || json_integer_value(api_at(from, "index")) != choice) {
            continue;
        }
        const char *key;
        json_t *values;
        ox_buf_add_str(&text, ox_json_text(api_at(from, "text")));
        json_object_foreach(api_at(from, "logprobs"), key, values)
        {
            if (json_object_get(logprobs, key) == NULL) {
                json_object_set_new(logprobs, key, json_array());
            }
            json_array_extend(json_object_get(logprobs, key), values);
        }
        finish = json_is_string(api_at(from, "finish_reason")) ? api_at(from, "finish_reason") : finish;
    }
    json_t *joined = finish != NULL ? json_pack("{s:o,s:O,s:O}", "text", ox_json_new_text(ox_buf_str(&text)),
                                                "logprobs", logprobs, "finish", finish)
                                    : NULL;
    json_decref(logprobs);
    ox_buf_fini(&text);
    return joined;
}

#endif
