/* SPDX-License-Identifier: Apache-2.0
 *
 * What the APIs share: sampling options of requests, errors of the library as HTTP's, server-sent events, counts.
 */
#include <math.h>

#include "base/json_build.h"
#include "base/mem.h"
#include "tests/api_help.h"
#include "tests/tap.h"

static const struct ox_api_context context = {.info = {.n_vocab = 100}};

static void test_keep(void)
{
    struct ox_ask ask = {0};
    for (size_t i = 0; i < 4; i++) {
        OK(ox_ask_keep(&ask, ox_calloc(1, 1)), "place %zu", i);
    }
    OK(!ox_ask_keep(&ask, ox_calloc(1, 1)), "no fifth place");
    OK(!ox_ask_keep(&ask, NULL), "nothing cannot be kept");
    ask.conversation = json_object();
    ask.body = json_object();
    ask.ids = ox_calloc(3, sizeof *ask.ids);
    ask.n_ids = 3;
    ox_ask_fini(&ask);
    OK(ask.conversation == NULL && ask.body == NULL && ask.ids == NULL && ask.n_ids == 0 && ask.kept[0] == NULL,
       "empty afterwards");
}

static void test_errors(void)
{
    static const struct {
        enum oxcart_status status;
        int http_status;
        const char *type;
        int retry_after_s;
    } rows[] = {
        {OXCART_E_NOMEM, 503, "server_error", 1},           {OXCART_E_IO, 500, "server_error", 0},
        {OXCART_E_FORMAT, 400, "invalid_request_error", 0}, {OXCART_E_SHAPE, 400, "invalid_request_error", 0},
        {OXCART_E_LIMIT, 400, "invalid_request_error", 0},  {OXCART_E_ARG, 400, "invalid_request_error", 0},
        {OXCART_E_DEVICE, 500, "server_error", 0},          {OXCART_E_CANCELLED, 503, "server_error", 1},
        {OXCART_E_STATE, 400, "invalid_request_error", 0},  {OXCART_E_MEDIA, 400, "invalid_request_error", 0},
        {OXCART_E_BUSY, 429, "rate_limit_error", 1},        {(enum oxcart_status)99, 500, "server_error", 0},
    };
    const struct oxcart_error err = {.message = "100 % wrong"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_api_error error;
        ox_api_error_of(rows[i].status, &err, &error);
        OK(error.http_status == rows[i].http_status && strcmp(error.type, rows[i].type) == 0 &&
               error.retry_after_s == rows[i].retry_after_s && strcmp(error.message, "100 % wrong") == 0,
           "status %d is %d", (int)rows[i].status, error.http_status);
    }
    struct ox_api_error error;
    OK(!ox_api_refuse(&error, 413, "t", NULL, NULL, "%d %s", 5, "x") && error.http_status == 413 &&
           strcmp(error.message, "5 x") == 0 && error.param[0] == '\0',
       "a refusal");
    OK(!ox_api_refuse_nomem(&error) && error.http_status == 503, "no memory");
}

static void test_sampling(void)
{
    struct ox_ask ask = {0};
    struct ox_api_error error = {0};
    json_t *body = json_object();
    struct oxcart_sampling preset;
    oxcart_sampling_default(&preset);
    OK(ox_api_read_sampling(&context, body, &ask, &error) && memcmp(&ask.sampling, &preset, sizeof preset) == 0,
       "nothing said, the defaults");
    json_decref(body);
    body = api_tree(ox_str_c("{\"temperature\": 0, \"top_p\": 1, \"top_k\": -1, \"min_p\": 0.25, \"seed\": -2, "
                             "\"logit_bias\": {\"99\": -100, \"0\": 1.5}, \"stop\": [\"\", \"a\"]}"));
    OK(ox_api_read_sampling(&context, body, &ask, &error), "read %s", error.message);
    OK(ask.sampling.temperature == 0.0F && ask.sampling.top_p == 1.0F && ask.sampling.min_p == 0.25F, "numbers");
    OK(ask.sampling.top_k == 0, "top_k -1 is off");
    OK(ask.sampling.has_seed == 1 && ask.sampling.seed == UINT64_MAX - 1, "any seed");
    OK(ask.sampling.n_bias == 2 && ask.sampling.bias[0].id == 99 && isinf(ask.sampling.bias[0].bias) &&
           ask.sampling.bias[0].bias < 0 && ask.sampling.bias[1].bias == 1.5F,
       "a bias of -100 bans");
    OK(ask.sampling.n_stop == 1 && strcmp(ask.sampling.stop[0], "a") == 0, "empty stop strings are none");
    json_decref(body);
    ox_ask_fini(&ask);
    body = api_tree(ox_str_c("{\"seed\": -1}"));
    OK(ox_api_read_sampling(&context, body, &ask, &error) && ask.sampling.has_seed == 0, "but -1 is none");
    json_decref(body);
    ox_ask_fini(&ask);
}

static void test_model(void)
{
    static const struct {
        const char *body;
        int http_status; /* 0: it is this one */
    } rows[] = {
        {"{}", 0},
        {"{\"model\": null}", 0},
        {"{\"model\": \"\"}", 0},
        {"{\"model\": \"tiny\"}", 0},
        {"{\"model\": 1}", 400},
        {"{\"model\": \"gpt-0\"}", 404},
        {"{\"model\": \"tiny\\u0000\"}", 404},
    };
    const struct ox_api_context here = {.alias = "tiny"};
    struct ox_api_error error = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *body = api_tree(ox_str_c(rows[i].body));
        error = (struct ox_api_error){0};
        OK(ox_api_read_model(&here, body, &error) == (rows[i].http_status == 0) &&
               error.http_status == rows[i].http_status,
           "model of %s: %s", rows[i].body, error.message);
        json_decref(body);
    }
    (void)ox_api_refuse_model(&here, "gpt-0", &error);
    IS_STR(error.message, "model: there is no \"gpt-0\" here, only \"tiny\" (--alias gives it another name)",
           "says what is here");
    IS_STR(error.code, "model_not_found", "the code that clients look for");
}

static void test_wrong_sampling(void)
{
    static const char *const rows[][2] = {
        {"temperature", "{\"temperature\": -1}"},
        {"temperature", "{\"temperature\": \"1\"}"},
        {"top_p", "{\"top_p\": 1.5}"},
        {"min_p", "{\"min_p\": 2}"},
        {"top_k", "{\"top_k\": -2}"},
        {"seed", "{\"seed\": 1.5}"},
        {"presence_penalty", "{\"presence_penalty\": 101}"},
        {"frequency_penalty", "{\"frequency_penalty\": []}"},
        {"logit_bias", "{\"logit_bias\": [1]}"},
        {"logit_bias", "{\"logit_bias\": {\"100\": 1}}"},
        {"logit_bias", "{\"logit_bias\": {\"x\": 1}}"},
        {"logit_bias", "{\"logit_bias\": {\"1\": 101}}"},
        {"logit_bias", "{\"logit_bias\": {\"1\": null}}"},
        {"stop", "{\"stop\": 1}"},
        {"stop", "{\"stop\": [\"a\", 1]}"},
        {"stop", "{\"stop\": [\"a\\u0000b\"]}"},
        {"stop", "{\"stop\": [\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_ask ask = {0};
        struct ox_api_error error = {0};
        json_t *body = api_tree(ox_str_c(rows[i][1]));
        OK(body != NULL && !ox_api_read_sampling(&context, body, &ask, &error) && error.http_status == 400 &&
               strcmp(error.param, rows[i][0]) == 0,
           "%s: %s", rows[i][1], error.message);
        json_decref(body);
        ox_ask_fini(&ask);
    }
}

static void test_long_stop(void)
{
    for (size_t len = 4096; len < 4098; len++) {
        struct ox_ask ask = {0};
        struct ox_api_error error = {0};
        char text[4097];
        memset(text, 'x', sizeof text);
        json_t *stop = json_stringn(text, len);
        OK(ox_api_read_stop(stop, "until", &ask, &error) == (len == 4096), "a stop string of %zu bytes", len);
        OK(len == 4096 || strcmp(error.param, "until") == 0, "the member's name");
        ox_ask_fini(&ask);
        json_decref(stop);
    }
}

static void test_replies(void)
{
    struct ox_buf out = {0};
    const struct oxcart_result result = {
        .n_prompt = 9, .n_cached = 4, .n_generated = 6, .n_reasoning = 2, .prompt_s = 0.0123456, .generate_s = 2};
    ox_api_add_event(&out, NULL, json_object());
    ox_api_add_event(&out, "done", json_string("a\nb"));
    IS_STR(ox_buf_text(&out), "data: {}\n\nevent: done\ndata: \"a\\nb\"\n\n", "events are lines");
    ox_api_add_event(&out, NULL, NULL);
    OK(ox_buf_failed(&out), "a tree that could not be made");
    ox_buf_fini(&out);
    json_t *usage = ox_api_usage(&result);
    ox_json_write(usage, &out);
    IS_STR(
        ox_buf_text(&out),
        "{\"prompt_tokens\":9,\"completion_tokens\":6,\"total_tokens\":15,\"prompt_tokens_details\":{\"cached_tokens\":"
        "4},\"completion_tokens_details\":{\"reasoning_tokens\":2}}",
        "usage");
    json_decref(usage);
    ox_buf_clear(&out);
    json_t *timings = ox_api_timings(&result);
    ox_json_write(timings, &out);
    IS_STR(ox_buf_text(&out),
           "{\"cache_n\":4,\"prompt_n\":5,\"prompt_ms\":12.346,\"prompt_per_token_ms\":2.469,\"prompt_per_second\":"
           "405.003,\"predicted_n\":6,\"predicted_ms\":2000.0,\"predicted_per_token_ms\":333.333,"
           "\"predicted_per_second\":3.0}",
           "timings");
    json_decref(timings);
    const struct oxcart_result nothing = {.n_prompt = 4, .n_cached = 4, .prompt_s = 1, .n_media = 2, .media_s = 0.5};
    ox_buf_clear(&out);
    timings = ox_api_timings(&nothing);
    ox_json_write(timings, &out);
    IS_STR(ox_buf_text(&out),
           "{\"cache_n\":4,\"prompt_n\":0,\"prompt_ms\":1000.0,\"prompt_per_token_ms\":0.0,\"prompt_per_second\":0.0,"
           "\"predicted_n\":0,\"predicted_ms\":0.0,\"predicted_per_token_ms\":0.0,\"predicted_per_second\":0.0,"
           "\"media_n\":2,\"media_ms\":500.0}",
           "timings without tokens, and with pictures");
    json_decref(timings);
    ox_buf_fini(&out);
}

int main(void)
{
    test_keep();
    test_errors();
    test_sampling();
    test_model();
    test_wrong_sampling();
    test_long_stop();
    test_replies();
    return tap_done();
}
