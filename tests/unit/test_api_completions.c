/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenAI's completions: requests read or refused, replies whole and in pieces, the old form of log-probabilities, and
 * real answers of the demonstration model.
 */
#include <math.h>

#include "tests/api_events.h"
#include "tests/demo_help.h"

static const struct ox_api *const api = &ox_api_completions;
static struct ox_api_context context;

/* ---- requests --------------------------------------------------------------------------------------------------- */

static void test_prompts(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    int32_t *ids = NULL;
    size_t n = 0;
    OK(oxcart_encode(context.engine, "Hi there", 8, 0, &ids, &n, NULL) == OXCART_OK, "encoded");
    static const char *const same[] = {"{\"prompt\": \"Hi there\", \"unknown\": 1, \"model\": null}",
                                       "{\"prompt\": [\"Hi there\"], \"model\": \"demo\"}"};
    for (size_t i = 0; i < 2; i++) {
        OK(api_read(api, &context, same[i], &ask, &error) && ask.n_ids == n &&
               memcmp(ask.ids, ids, n * sizeof *ids) == 0,
           "a string becomes its tokens: %s", same[i]);
        OK(ask.conversation == NULL && !ask.chat && ask.n_choices == 1 && !ask.stream && !ask.echo &&
               ask.sampling.n_predict == 0 && ask.sampling.has_logprobs == 0,
           "the defaults");
        ox_ask_fini(&ask);
    }
    oxcart_free(ids);
    static const char *const arrays[] = {"{\"prompt\": [5, 6, 7]}", "{\"prompt\": [[5, 6, 7]]}"};
    for (size_t i = 0; i < 2; i++) {
        OK(api_read(api, &context, arrays[i], &ask, &error) && ask.n_ids == 3 && ask.ids[0] == 5 && ask.ids[2] == 7,
           "tokens are taken: %s", arrays[i]);
        ox_ask_fini(&ask);
    }
}

/* Text that spells a control token is one only where the request says so. */
static void test_special(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    OK(api_read(api, &context, "{\"prompt\": \"]~b]\"}", &ask, &error) && ask.n_ids > 1,
       "a control token's text is text");
    ox_ask_fini(&ask);
    OK(api_read(api, &context, "{\"prompt\": \"]~b]\", \"allow_special_tokens\": true}", &ask, &error) &&
           ask.n_ids == 1,
       "... unless it is allowed");
    ox_ask_fini(&ask);
}

static void test_options(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    OK(api_read(api, &context,
                "{\"prompt\": \"a\", \"max_tokens\": 7, \"n\": 3, \"stream\": true, \"stream_options\": "
                "{\"include_usage\": true}, \"echo\": true, \"stop\": [\"x\", \"yy\"], \"seed\": 11, \"temperature\": "
                "0.5, \"presence_penalty\": 1, \"frequency_penalty\": 2, \"logit_bias\": {\"5\": -100, \"6\": 3}, "
                "\"best_of\": 3, \"suffix\": \"\", \"ignore_eos\": true}",
                &ask, &error),
       "everything at once");
    OK(ask.sampling.n_predict == 7 && ask.n_choices == 3 && ask.stream && ask.include_usage && ask.echo, "counts");
    OK(ask.sampling.n_stop == 2 && strcmp(ask.sampling.stop[1], "yy") == 0, "stop strings");
    OK(ask.sampling.has_seed != 0 && ask.sampling.seed == 11 && ask.sampling.temperature == 0.5F, "seed, temperature");
    OK(ask.sampling.presence_penalty == 1.0F && ask.sampling.frequency_penalty == 2.0F, "penalties");
    OK(ask.sampling.n_bias == 2 && isinf(ask.sampling.bias[0].bias) && ask.sampling.bias[1].bias == 3.0F, "biases");
    OK(ask.sampling.ignore_end == 1, "the end is passed over");
    ox_ask_fini(&ask);
    OK(api_read(api, &context, "{\"prompt\": \"a\", \"logprobs\": 0, \"max_tokens\": -1}", &ask, &error) &&
           ask.sampling.has_logprobs == 1 && ask.sampling.n_logprobs == 0 && ask.sampling.n_predict == 0,
       "log-probabilities of the drawn tokens only; no limit");
    ox_ask_fini(&ask);
}

static void test_refusals(void)
{
    static const struct {
        const char *json;
        int http_status;
        const char *param;
        const char *says;
    } rows[] = {
        {"[]", 400, "", "object"},
        {"{}", 400, "prompt", "expected a string"},
        {"{\"prompt\": 5}", 400, "prompt", "expected a string"},
        {"{\"prompt\": \"\"}", 400, "prompt", "at least one token"},
        {"{\"prompt\": []}", 400, "prompt", "at least one token"},
        {"{\"prompt\": [[]]}", 400, "prompt", "at least one token"},
        {"{\"prompt\": [\"a\", \"b\"]}", 400, "prompt", "one prompt a request, found 2"},
        {"{\"prompt\": [[1], [2]]}", 400, "prompt", "one prompt a request, found 2"},
        {"{\"prompt\": [1, \"b\"]}", 400, "prompt", "expected a string"},
        {"{\"prompt\": [1, 1.5]}", 400, "prompt", "expected a string"},
        {"{\"prompt\": [-1]}", 400, "prompt", "token -1"},
        {"{\"prompt\": [4294967297]}", 400, "prompt", "token 4294967297"},
        {"{\"prompt\": \"a\", \"model\": \"gpt\"}", 404, "model", "gpt"},
        {"{\"prompt\": \"a\", \"model\": 1}", 400, "model", "string"},
        {"{\"prompt\": \"a\", \"n\": 5}", 400, "n", "from 1 to 4"},
        {"{\"prompt\": \"a\", \"n\": 0}", 400, "n", "from 1 to 4"},
        {"{\"prompt\": \"a\", \"max_tokens\": 0}", 400, "max_tokens", "at least 1"},
        {"{\"prompt\": \"a\", \"max_tokens\": \"7\"}", 400, "max_tokens", "whole number"},
        {"{\"prompt\": \"a\", \"stream\": 1}", 400, "stream", "true or false"},
        {"{\"prompt\": \"a\", \"stream_options\": 1}", 400, "stream_options", "object"},
        {"{\"prompt\": \"a\", \"stream_options\": {\"include_usage\": 1}}", 400, "stream_options.include_usage",
         "true"},
        {"{\"prompt\": \"a\", \"suffix\": \"z\"}", 400, "suffix", "insert"},
        {"{\"prompt\": \"a\", \"suffix\": 1}", 400, "suffix", "string"},
        {"{\"prompt\": \"a\", \"best_of\": 2}", 400, "best_of", "same number as n"},
        {"{\"prompt\": \"a\", \"echo\": 1}", 400, "echo", "true or false"},
        {"{\"prompt\": \"a\", \"logprobs\": 21}", 400, "logprobs", "0 to 20"},
        {"{\"prompt\": \"a\", \"logprobs\": 1, \"echo\": true}", 400, "logprobs", "echo"},
        {"{\"prompt\": \"a\", \"stop\": [1]}", 400, "stop", "string"},
        {"{\"prompt\": \"a\", \"allow_special_tokens\": 1}", 400, "allow_special_tokens", "true or false"},
        {"{\"prompt\": \"a\", \"ignore_eos\": 1}", 400, "ignore_eos", "true or false"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_ask ask;
        struct ox_api_error error;
        const bool read = api_read(api, &context, rows[i].json, &ask, &error);
        OK(!read && error.http_status == rows[i].http_status && strcmp(error.param, rows[i].param) == 0 &&
               strstr(error.message, rows[i].says) != NULL && strcmp(error.type, "invalid_request_error") == 0,
           "refused: %s: %d %s: %s", rows[i].json, error.http_status, error.param, error.message);
        ox_ask_fini(&ask);
    }
}

static void test_errors(void)
{
    struct ox_buf out = {0};
    struct ox_api_error error = {.type = "invalid_request_error", .param = "n", .message = "n: \"no\""};
    api->error(&error, &out);
    IS_STR(
        ox_buf_text(&out),
        "{\"error\":{\"message\":\"n: \\\"no\\\"\",\"type\":\"invalid_request_error\",\"param\":\"n\",\"code\":null}}",
        "an error's body");
    ox_buf_clear(&out);
    error.code = "c";
    error.param[0] = '\0';
    api->fail(NULL, &error, &out);
    json_t *events = api_stream(ox_buf_str(&out));
    IS_STR(api_text(events, "0.event"), "error", "an error in a stream has a name");
    IS_STR(api_text(events, "0.data.error.code"), "c", "... its code");
    OK(json_is_null(api_at(events, "0.data.error.param")), "... no param");
    IS_STR(api_text(events, "1.data"), "[DONE]", "... and the stream's end behind it");
    json_decref(events);
    ox_buf_clear(&out);
    api->ping(&out);
    IS_STR(ox_buf_text(&out), ": ping\n\n", "a ping is a comment");
    ox_buf_fini(&out);
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

/* Two choices whose pieces come by turns. */
static void feed(struct ox_reply *reply, struct ox_buf *out)
{
    static const struct {
        int32_t choice;
        const char *text;
    } pieces[] = {{0, "Hello"}, {1, "Good "}, {0, ", w"}, {1, "day"}, {0, "orld"}};
    const struct oxcart_result results[] = {
        {.finish = OXCART_FINISH_STOP, .n_prompt = 4, .n_cached = 3, .n_generated = 5, .prompt_s = 0.5},
        {.finish = OXCART_FINISH_LENGTH, .n_prompt = 4, .n_cached = 1, .n_generated = 7, .generate_s = 0.25},
    };
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        const struct oxcart_event event = api_event(OXCART_EVENT_CONTENT, 0, pieces[i].text);
        OK(api->event(reply, pieces[i].choice, &event, out), "piece taken");
    }
    OK(api->end(reply, 1, &results[1], out), "the second ends first");
    OK(api->end(reply, 0, &results[0], out), "the first");
}

static void test_whole(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct ox_buf out = {0};
    OK(api_read(api, &context, "{\"prompt\": \"a\", \"n\": 2, \"echo\": true}", &ask, &error), "a request for two");
    struct ox_reply *reply = api->reply_new(&context, &ask, 4);
    feed(reply, &out);
    json_t *tree = api_tree(ox_buf_str(&out));
    IS_STR(api_text(tree, "object"), "text_completion", "object");
    IS_STR(api_text(tree, "model"), "demo", "model");
    OK(strncmp(api_text(tree, "id"), "cmpl-", 5) == 0 && strlen(api_text(tree, "id")) > 20, "id");
    OK(json_integer_value(api_at(tree, "created")) > 1600000000, "created");
    OK(strncmp(api_text(tree, "system_fingerprint"), "oxcart-", 7) == 0, "fingerprint");
    IS_STR(api_text(tree, "choices.0.text"), "aHello, world", "first text, behind the prompt");
    IS_STR(api_text(tree, "choices.1.text"), "aGood day", "second text");
    IS_STR(api_text(tree, "choices.0.finish_reason"), "stop", "finish reason");
    IS_STR(api_text(tree, "choices.1.finish_reason"), "length", "finish reason");
    IS_INT(json_integer_value(api_at(tree, "choices.1.index")), 1, "index");
    OK(json_is_null(api_at(tree, "choices.0.logprobs")), "no log-probabilities");
    IS_INT(json_integer_value(api_at(tree, "usage.prompt_tokens")), 4, "prompt tokens");
    IS_INT(json_integer_value(api_at(tree, "usage.completion_tokens")), 12, "tokens of both");
    IS_INT(json_integer_value(api_at(tree, "usage.total_tokens")), 16, "in total");
    IS_INT(json_integer_value(api_at(tree, "usage.prompt_tokens_details.cached_tokens")), 1, "found for both");
    IS_INT(json_integer_value(api_at(tree, "timings.predicted_n")), 12, "timings");
    OK(json_real_value(api_at(tree, "timings.predicted_ms")) == 250.0, "times");
    json_decref(tree);
    ox_buf_fini(&out);
    api->reply_free(reply);
    ox_ask_fini(&ask);
}

static void test_stream(bool usage)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct ox_buf out = {0};
    OK(api_read(api, &context,
                usage ? "{\"prompt\": \"a\", \"n\": 2, \"stream\": true, \"echo\": true, \"stream_options\": "
                        "{\"include_usage\": true}}"
                      : "{\"prompt\": \"a\", \"n\": 2, \"stream\": true, \"echo\": true}",
                &ask, &error),
       "a stream");
    struct ox_reply *reply = api->reply_new(&context, &ask, 4);
    api->begin(reply, &out);
    feed(reply, &out);
    json_t *events = api_stream(ox_buf_str(&out));
    const size_t n = json_array_size(events);
    IS_INT(n, usage ? 11 : 10, "pieces");
    struct ox_buf texts[2] = {{0}, {0}};
    for (size_t i = 0; i + 1 < n; i++) {
        json_t *data = api_at(json_array_get(events, i), "data");
        const json_int_t choice = json_integer_value(api_at(data, "choices.0.index"));
        ox_buf_add_c(&texts[choice], i + 2 < n || !usage ? api_text(data, "choices.0.text") : "");
        OK(strcmp(api_text(data, "id"), api_text(events, "0.data.id")) == 0, "one id");
        OK((json_object_get(data, "usage") != NULL) == usage, "a usage only if asked for");
    }
    IS_STR(ox_buf_text(&texts[0]), "aHello, world", "first text");
    IS_STR(ox_buf_text(&texts[1]), "aGood day", "second text");
    IS_STR(api_text(events, "7.data.choices.0.finish_reason"), "length", "the second ends first");
    OK(json_is_null(api_at(events, "6.data.choices.0.finish_reason")), "no reason before");
    IS_STR(api_text(json_array_get(events, n - 1), "data"), "[DONE]", "the end");
    json_t *last = json_array_get(events, n - 2);
    IS_INT(json_integer_value(api_at(last, "data.timings.predicted_n")), 12, "timings in the last piece");
    if (usage) {
        IS_INT(json_array_size(api_at(last, "data.choices")), 0, "the usage has no choice");
        IS_INT(json_integer_value(api_at(last, "data.usage.completion_tokens")), 12, "usage");
        OK(json_is_null(api_at(events, "0.data.usage")), "null before");
    }
    ox_buf_fini(&texts[0]);
    ox_buf_fini(&texts[1]);
    json_decref(events);
    ox_buf_fini(&out);
    api->reply_free(reply);
    ox_ask_fini(&ask);
}

/* Tokens wait for their text: half a character, the beginning of a stop string. */
static void test_logprobs_by_hand(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct ox_buf out = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    OK(oxcart_encode(context.engine, "a b", 3, 0, &ids, &n, NULL) == OXCART_OK && n >= 2, "tokens");
    OK(api_read(api, &context, "{\"prompt\": \"a\", \"stream\": true, \"logprobs\": 1}", &ask, &error), "a request");
    struct ox_reply *reply = api->reply_new(&context, &ask, 1);
    const struct oxcart_logprob drawn[] = {{-0.5, ids[0]}, {-INFINITY, ids[1]}};
    struct oxcart_event token = api_event(OXCART_EVENT_TOKEN, 0, "\xC3");
    const struct oxcart_event text = api_event(OXCART_EVENT_CONTENT, 0, "\xC3\xA9x");
    const struct oxcart_result result = {.finish = OXCART_FINISH_STOP};
    token.id = ids[0];
    token.logprobs = drawn;
    token.n_logprobs = 2;
    OK(api->event(reply, 0, &token, &out) && out.len == 0, "a token alone sends nothing");
    token.text = "\xA9x";
    token.text_bytes = 2;
    OK(api->event(reply, 0, &token, &out) && api->event(reply, 0, &text, &out), "its other half and the text");
    token.text = "STOP";
    token.text_bytes = 4;
    OK(api->event(reply, 0, &token, &out) && api->end(reply, 0, &result, &out), "a stop string");
    json_t *events = api_stream(ox_buf_str(&out));
    json_t *logprobs = api_at(events, "0.data.choices.0.logprobs");
    IS_INT(json_array_size(api_at(logprobs, "tokens")), 2, "both tokens go with the text");
    IS_STR(api_text(logprobs, "tokens.0"), "bytes:\\xc3", "half a character as bytes");
    IS_STR(api_text(logprobs, "tokens.1"), "bytes:\\xa9\\x78", "the other half");
    OK(json_real_value(api_at(logprobs, "token_logprobs.0")) == -0.5, "logarithm");
    IS_INT(json_integer_value(api_at(logprobs, "text_offset.0")), 0, "offset");
    IS_INT(json_integer_value(api_at(logprobs, "text_offset.1")), 1, "offset in characters");
    IS_INT(json_object_size(api_at(logprobs, "top_logprobs.0")), 2, "the best, and the drawn one");
    OK(json_array_size(api_at(events, "1.data.choices.0.logprobs.tokens")) == 0, "a stop string's tokens are no text");
    json_decref(events);
    ox_buf_fini(&out);
    api->reply_free(reply);
    ox_ask_fini(&ask);
    oxcart_free(ids);
}

/* ---- random replies --------------------------------------------------------------------------------------------- */

static void test_random(void)
{
    static struct api_script script;
    struct ox_rng rng;
    int32_t *ids = NULL;
    size_t n = 0;
    bool same = true;
    size_t n_logprobs = 0;
    OK(oxcart_encode(context.engine, "a b", 3, 0, &ids, &n, NULL) == OXCART_OK && n >= 2, "tokens");
    const struct oxcart_logprob tokens[] = {{-0.25, ids[0]}, {-0.5, ids[1]}};
    ox_rng_init(&rng, 8);
    for (int round = 0; round < 300 && same; round++) {
        struct ox_buf outs[2] = {{0}, {0}};
        const int32_t n_choices = 1 + (int32_t)ox_rng_below(&rng, 3);
        const bool logprobs = round % 2 != 0;
        api_script_make(&script, &rng, n_choices, false, logprobs ? tokens : NULL);
        for (int stream = 0; stream < 2; stream++) {
            char json[200];
            struct ox_ask ask;
            struct ox_api_error error;
            snprintf(json, sizeof json, "{\"prompt\": \"a\", \"n\": %d, %s, \"stream\": %s}", (int)n_choices,
                     logprobs ? "\"logprobs\": 1" : "\"echo\": true", stream != 0 ? "true" : "false");
            same = same && api_read(api, &context, json, &ask, &error) &&
                   api_script_play(api, &context, &ask, &script, &outs[stream]);
            ox_ask_fini(&ask);
        }
        json_t *whole = api_tree(ox_buf_str(&outs[0]));
        json_t *events = api_stream(ox_buf_str(&outs[1]));
        for (int32_t i = 0; i < n_choices; i++) {
            json_t *a = api_text_of_whole(whole, i);
            json_t *b = api_text_of_stream(events, i);
            same = same && a != NULL && b != NULL && json_equal(a, b);
            n_logprobs += json_array_size(api_at(a, "logprobs.tokens"));
            json_decref(a);
            json_decref(b);
        }
        json_decref(whole);
        json_decref(events);
        ox_buf_fini(&outs[0]);
        ox_buf_fini(&outs[1]);
    }
    OK(same, "300 random replies: the pieces say what the whole says");
    OK(n_logprobs > 100, "with log-probabilities");
    oxcart_free(ids);
}

/* ---- with the model --------------------------------------------------------------------------------------------- */

struct run {
    struct ox_reply *reply;
    struct ox_buf out;
};

static int on_event(void *user, const struct oxcart_event *event)
{
    struct run *run = user;
    return api->event(run->reply, 0, event, &run->out) ? 0 : 1;
}

/* A reply of the demonstration model, as its tree or its stream. */
static void answer(struct oxcart_session *session, const char *json, struct run *run)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct oxcart_result result = {.size = sizeof result};
    *run = (struct run){0};
    if (!OK(api_read(api, &context, json, &ask, &error), "request: %s", error.message)) {
        return;
    }
    OK(oxcart_session_set_tokens(session, ask.ids, ask.n_ids, NULL) == OXCART_OK, "prompt");
    run->reply = api->reply_new(&context, &ask, ask.n_ids);
    if (ask.stream) {
        api->begin(run->reply, &run->out);
    }
    OK(oxcart_session_decode(session, &ask.sampling, on_event, run, &result, NULL) == OXCART_OK, "answer");
    OK(api->end(run->reply, 0, &result, &run->out), "end");
    api->reply_free(run->reply);
    ox_ask_fini(&ask);
}

static void test_model(void)
{
    struct oxcart_session *session = demo_session(context.engine, 512);
    struct run whole;
    struct run stream;
    answer(session, "{\"prompt\": \"The capital of\", \"max_tokens\": 12, \"temperature\": 0, \"logprobs\": 3}",
           &whole);
    answer(
        session,
        "{\"prompt\": \"The capital of\", \"max_tokens\": 12, \"temperature\": 0, \"logprobs\": 3, \"stream\": true}",
        &stream);
    json_t *tree = api_tree(ox_buf_str(&whole.out));
    json_t *events = api_stream(ox_buf_str(&stream.out));
    json_t *logprobs = api_at(tree, "choices.0.logprobs");
    struct ox_buf joined = {0};
    struct ox_buf streamed = {0};
    const size_t n = json_array_size(api_at(logprobs, "tokens"));
    size_t n_streamed = 0;
    bool offsets = true;
    bool best = true;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(api_at(logprobs, "tokens"), i));
        const double drawn = json_number_value(json_array_get(api_at(logprobs, "token_logprobs"), i));
        json_t *top = json_array_get(api_at(logprobs, "top_logprobs"), i);
        offsets =
            offsets && (size_t)json_integer_value(json_array_get(api_at(logprobs, "text_offset"), i)) == joined.len;
        best = best && json_object_size(top) == 3 && json_number_value(json_object_get(top, name)) == drawn;
        ox_buf_add_c(&joined, name);
    }
    for (size_t i = 0; i + 1 < json_array_size(events); i++) {
        json_t *event = json_array_get(events, i);
        ox_buf_add_c(&streamed, api_text(event, "data.choices.0.text"));
        n_streamed += json_array_size(api_at(event, "data.choices.0.logprobs.tokens"));
    }
    NOTE("%s", ox_buf_text(&joined));
    OK(n > 3, "tokens");
    IS_STR(ox_buf_text(&joined), api_text(tree, "choices.0.text"), "the tokens are the text");
    IS_STR(ox_buf_text(&streamed), api_text(tree, "choices.0.text"), "the stream says the same");
    IS_INT(n_streamed, n, "and tells as many tokens");
    OK(offsets, "offsets are where the tokens begin");
    OK(best, "three tokens each, and the drawn one, which is the best, has its logarithm there");
    ox_buf_fini(&joined);
    ox_buf_fini(&streamed);
    json_decref(tree);
    json_decref(events);
    ox_buf_fini(&whole.out);
    ox_buf_fini(&stream.out);
    oxcart_session_close(&session);
}

int main(void)
{
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 1);
    context = api_context(engine);
    test_prompts();
    test_special();
    test_options();
    test_refusals();
    test_errors();
    test_whole();
    test_stream(false);
    test_stream(true);
    test_logprobs_by_hand();
    test_random();
    test_model();
    oxcart_engine_close(&engine);
    return tap_done();
}
