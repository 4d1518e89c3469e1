/* SPDX-License-Identifier: Apache-2.0
 *
 * What the APIs share: reading of sampling options, errors, counts, server-sent events.
 */
#include "server/api.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/json_build.h"
#include "base/mem.h"
#include "server/api_values.h"

#define MAX_STOP 16
#define MAX_STOP_BYTES 4096
#define MAX_BIAS 4096

void ox_ask_fini(struct ox_ask *ask)
{
    json_decref(ask->conversation);
    json_decref(ask->body);
    ox_free(ask->ids);
    for (size_t i = 0; i < sizeof ask->kept / sizeof ask->kept[0]; i++) {
        ox_free(ask->kept[i]);
    }
    *ask = (struct ox_ask){0};
}

bool ox_ask_keep(struct ox_ask *ask, void *p)
{
    const size_t n = sizeof ask->kept / sizeof ask->kept[0];
    for (size_t i = 0; p != NULL && i < n; i++) {
        if (ask->kept[i] == NULL) {
            ask->kept[i] = p;
            return true;
        }
    }
    ox_free(p);
    return false;
}

/* ---- errors ---------------------------------------------------------------------------------------------------- */

bool ox_api_refuse(struct ox_api_error *error, int http_status, const char *type, const char *code, const char *param,
                   const char *format, ...)
{
    *error = (struct ox_api_error){.http_status = http_status, .type = type, .code = code};
    snprintf(error->param, sizeof error->param, "%s", param != NULL ? param : "");
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return false;
}

bool ox_api_refuse_nomem(struct ox_api_error *error)
{
    return ox_api_refuse(error, 503, "server_error", "out_of_memory", NULL, "the server is out of memory; try again");
}

void ox_api_error_of(enum oxcart_status status, const struct oxcart_error *err, struct ox_api_error *error)
{
    static const struct {
        int http_status;
        const char *type;
        const char *code;
    } rows[] = {
        [OXCART_OK] = {500, "server_error", NULL},
        [OXCART_E_NOMEM] = {503, "server_error", "out_of_memory"},
        [OXCART_E_IO] = {500, "server_error", NULL},
        [OXCART_E_FORMAT] = {400, "invalid_request_error", NULL},
        [OXCART_E_SHAPE] = {400, "invalid_request_error", NULL},
        [OXCART_E_LIMIT] = {400, "invalid_request_error", NULL},
        [OXCART_E_ARG] = {400, "invalid_request_error", NULL},
        [OXCART_E_DEVICE] = {500, "server_error", NULL},
        [OXCART_E_CANCELLED] = {503, "server_error", "shutting_down"},
        [OXCART_E_STATE] = {400, "invalid_request_error", NULL},
        [OXCART_E_MEDIA] = {400, "invalid_request_error", "invalid_media"},
        [OXCART_E_BUSY] = {429, "rate_limit_error", "queue_full"},
    };
    const size_t n = sizeof rows / sizeof rows[0];
    const size_t row = (size_t)status < n ? (size_t)status : (size_t)OXCART_E_IO;
    (void)ox_api_refuse(error, rows[row].http_status, rows[row].type, rows[row].code, NULL, "%s", err->message);
    error->retry_after_s = rows[row].http_status == 429 || rows[row].http_status == 503 ? 1 : 0;
}

bool ox_api_refuse_model(const struct ox_api_context *context, const char *name, struct ox_api_error *error)
{
    return ox_api_refuse(error, 404, "invalid_request_error", "model_not_found", "model",
                         "model: there is no \"%.80s\" here, only \"%.80s\" (--alias gives it another name)", name,
                         context->alias);
}

/* ---- sampling -------------------------------------------------------------------------------------------------- */

static bool refuse_member(struct ox_api_error *error, const char *key, const char *expected)
{
    return ox_api_refuse(error, 400, "invalid_request_error", "invalid_value", key, "%s: expected %s", key, expected);
}

bool ox_api_read_model(const struct ox_api_context *context, const json_t *body, struct ox_api_error *error)
{
    const json_t *model = json_object_get(body, "model");
    if (model == NULL || json_is_null(model)) {
        return true;
    }
    if (!json_is_string(model)) {
        return refuse_member(error, "model", "a string");
    }
    const struct ox_str name = ox_json_text(model);
    return name.len == 0 || ox_str_is(name, context->alias) ||
           ox_api_refuse_model(context, json_string_value(model), error);
}

json_t *ox_api_typed(const char *type)
{
    json_t *object = json_object();
    ox_json_set(&object, "type", ox_json_new_c(type));
    return object;
}

json_t *ox_api_text_part(json_t *text)
{
    json_t *part = ox_api_typed("text");
    ox_json_set(&part, "text", text);
    return part;
}

json_t *ox_api_media_part(const char *type, json_t *url)
{
    json_t *source = json_object();
    ox_json_set(&source, "url", url);
    json_t *part = ox_api_typed(type);
    ox_json_set(&part, type, source);
    return part;
}

/* A string, or an array of strings. */
bool ox_api_read_stop(json_t *value, const char *key, struct ox_ask *ask, struct ox_api_error *error)
{
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    const size_t n = json_is_array(value) ? json_array_size(value) : 1;
    if (n > MAX_STOP) {
        return refuse_member(error, key, "at most 16 strings");
    }
    const char **texts = ox_calloc(n + 1, sizeof *texts);
    if (!ox_ask_keep(ask, texts)) {
        return ox_api_refuse_nomem(error);
    }
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        const size_t len = json_string_length(item);
        if (!json_is_string(item) || len > MAX_STOP_BYTES || strlen(json_string_value(item)) != len) {
            return refuse_member(error, key,
                                 "a string, or an array of strings, each of at most 4,096 bytes without NUL");
        }
        if (len > 0) {
            texts[used++] = json_string_value(item);
        }
    }
    ask->sampling.stop = texts;
    ask->sampling.n_stop = used;
    return true;
}

/* {"ID": bias} */
static bool read_logit_bias(const struct ox_api_context *context, const json_t *body, struct ox_ask *ask,
                            struct ox_api_error *error)
{
    static const char key[] = "logit_bias";
    json_t *value = json_object_get(body, key);
    if (value == NULL || json_is_null(value) || (json_is_object(value) && json_object_size(value) == 0)) {
        return true;
    }
    if (!json_is_object(value) || json_object_size(value) > MAX_BIAS) {
        return refuse_member(error, key, "an object with at most 4,096 token ids and what to add to each");
    }
    struct oxcart_bias *bias = ox_calloc(json_object_size(value), sizeof *bias);
    if (!ox_ask_keep(ask, bias)) {
        return ox_api_refuse_nomem(error);
    }
    size_t n = 0;
    const char *name;
    json_t *item;
    json_object_foreach(value, name, item)
    {
        int64_t id;
        const double x = json_number_value(item);
        if (!ox_str_to_i64(ox_str_c(name), &id) || id < 0 || id >= context->info.n_vocab) {
            return refuse_member(error, key, "token ids of the model as names");
        }
        if (!json_is_number(item) || !(x >= -100 && x <= 100)) {
            return refuse_member(error, key, "a number from -100 to 100 for each token");
        }
        /* OpenAI's -100 bans a token, whatever its logit. */
        bias[n++] = (struct oxcart_bias){(int32_t)id, x == -100 ? -INFINITY : (float)x};
    }
    ask->sampling.bias = bias;
    ask->sampling.n_bias = n;
    return true;
}

static bool read_seed(const json_t *body, struct ox_ask *ask, struct ox_api_error *error)
{
    const json_t *value = json_object_get(body, "seed");
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    if (!json_is_integer(value)) {
        return refuse_member(error, "seed", "a whole number");
    }
    if (json_integer_value(value) == -1) { /* llama.cpp's and vLLM's "any" */
        return true;
    }
    ask->sampling.seed = (uint64_t)json_integer_value(value);
    ask->sampling.has_seed = 1;
    return true;
}

bool ox_api_read_sampling(const struct ox_api_context *context, json_t *body, struct ox_ask *ask,
                          struct ox_api_error *error)
{
    const struct ox_json_at root = ox_json_root(body, "request");
    struct oxcart_sampling *s = &ask->sampling;
    oxcart_sampling_default(s);
    int64_t top_k = s->top_k;
    if (!ox_api_read_real(&root, "temperature", 0, 100, &s->temperature, error) ||
        !ox_api_read_real(&root, "top_p", 0, 1, &s->top_p, error) ||
        !ox_api_read_real(&root, "min_p", 0, 1, &s->min_p, error) ||
        !ox_api_read_real(&root, "presence_penalty", -100, 100, &s->presence_penalty, error) ||
        !ox_api_read_real(&root, "frequency_penalty", -100, 100, &s->frequency_penalty, error) ||
        !ox_api_read_natural(&root, "top_k", -1, INT32_MAX, &top_k, error) || !read_seed(body, ask, error) ||
        !read_logit_bias(context, body, ask, error) ||
        !ox_api_read_stop(json_object_get(body, "stop"), "stop", ask, error)) {
        return false;
    }
    /* vLLM's -1 is "off"; the library's is "the model's default". */
    const bool off = top_k < 0 && json_is_integer(json_object_get(body, "top_k"));
    s->top_k = off ? 0 : (int32_t)top_k;
    return true;
}

/* ---- forms ------------------------------------------------------------------------------------------------------ */

bool ox_api_hold_form(const struct ox_api_context *context, struct ox_ask *ask, const json_t *schema, const char *param,
                      struct ox_api_error *error)
{
    struct oxcart_sampling *held = &ask->sampling;
    struct oxcart_error err = {0};
    struct ox_buf text = {0};
    if (!json_is_object(schema)) {
        return refuse_member(error, param, "an object, a JSON schema");
    }
    ox_json_write(schema, &text);
    const size_t len = text.len;
    char *kept = ox_buf_take(&text);
    if (!ox_ask_keep(ask, kept)) {
        return ox_api_refuse_nomem(error);
    }
    if (len > context->max_schema_bytes) {
        return ox_api_refuse(error, 400, "invalid_request_error", "schema_too_long", param,
                             "%s: expected at most %zu bytes (--max-schema), found %zu", param,
                             context->max_schema_bytes, len);
    }
    held->constraint = OXCART_CONSTRAINT_JSON_SCHEMA;
    held->json_schema = kept;
    held->json_schema_bytes = len;
    const enum oxcart_status status = oxcart_constraint_check(context->engine, held, NULL, 0, &err);
    if (status == OXCART_E_NOMEM) {
        return ox_api_refuse_nomem(error);
    }
    return status == OXCART_OK ||
           ox_api_refuse(error, 400, "invalid_request_error", "invalid_schema", param, "%s", err.message);
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

/* The constraint of an answer that may or must call. */
static enum oxcart_constraint constraint_of(const struct ox_ask *ask, const struct ox_api_calls *calls)
{
    if (calls->required) {
        return OXCART_CONSTRAINT_TOOLS_REQUIRED;
    }
    return ask->sampling.constraint != OXCART_CONSTRAINT_NONE ? OXCART_CONSTRAINT_TOOLS_OR_JSON
                                                              : OXCART_CONSTRAINT_TOOLS;
}

bool ox_api_hold_calls(const struct ox_api_context *context, struct ox_ask *ask, const struct ox_api_calls *calls,
                       struct ox_api_error *error)
{
    struct oxcart_sampling held = ask->sampling;
    held.constraint = constraint_of(ask, calls);
    held.tool = calls->name;
    held.single_call = calls->single ? 1 : 0;
    held.any_arguments = calls->strict || calls->required ? 0 : 1;
    if (held.constraint == OXCART_CONSTRAINT_TOOLS && !calls->strict && !calls->single) {
        return true;
    }
    struct ox_buf tools = {0};
    struct oxcart_error err = {0};
    ox_json_write(calls->tools, &tools);
    enum oxcart_status status = OXCART_E_NOMEM;
    if (!ox_buf_failed(&tools) && tools.len > context->max_schema_bytes) {
        status = OXCART_E_LIMIT;
        snprintf(err.message, sizeof err.message, "expected at most %zu bytes (--max-schema), found %zu",
                 context->max_schema_bytes, tools.len);
    } else if (!ox_buf_failed(&tools)) {
        status = oxcart_constraint_check(context->engine, &held, tools.ptr, tools.len, &err);
    }
    if (status != OXCART_OK && status != OXCART_E_NOMEM && !calls->strict) {
        held.any_arguments = 1;
        status = oxcart_constraint_check(context->engine, &held, tools.ptr, tools.len, &err);
    }
    ox_buf_fini(&tools);
    if (status == OXCART_E_NOMEM) {
        return ox_api_refuse_nomem(error);
    }
    ask->sampling = held;
    return status == OXCART_OK ||
           ox_api_refuse(error, 400, "invalid_request_error", "invalid_schema", "tools", "%s", err.message);
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

void ox_api_add_event(struct ox_buf *out, const char *name, json_t *data)
{
    if (name != NULL) {
        ox_buf_printf(out, "event: %s\n", name);
    }
    ox_buf_add_c(out, "data: ");
    ox_json_write(data, out);
    json_decref(data);
    ox_buf_add_c(out, "\n\n");
}

json_t *ox_api_usage(const struct oxcart_result *result)
{
    json_t *prompt = json_object();
    ox_json_set(&prompt, "cached_tokens", json_integer(result->n_cached));
    json_t *completion = json_object();
    ox_json_set(&completion, "reasoning_tokens", json_integer(result->n_reasoning));
    json_t *object = json_object();
    ox_json_set(&object, "prompt_tokens", json_integer(result->n_prompt));
    ox_json_set(&object, "completion_tokens", json_integer(result->n_generated));
    ox_json_set(&object, "total_tokens", json_integer((json_int_t)result->n_prompt + result->n_generated));
    ox_json_set(&object, "prompt_tokens_details", prompt);
    ox_json_set(&object, "completion_tokens_details", completion);
    return object;
}

/* With three digits behind the point. */
static json_t *rounded(double x)
{
    return json_real(round(x * 1e3) / 1e3);
}

/* {"KIND_n", "KIND_ms", "KIND_per_token_ms", "KIND_per_second"}; without tokens or time the rates are 0. */
static void set_times(json_t **object, const char *kind, int32_t n, double seconds)
{
    const bool any = n > 0 && seconds > 0;
    const struct {
        const char *name;
        json_t *value;
    } rows[] = {
        {"n", json_integer(n)},
        {"ms", rounded(seconds * 1e3)},
        {"per_token_ms", rounded(any ? seconds * 1e3 / n : 0)},
        {"per_second", rounded(any ? n / seconds : 0)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char key[40];
        snprintf(key, sizeof key, "%s_%s", kind, rows[i].name);
        ox_json_set(object, key, rows[i].value);
    }
}

json_t *ox_api_timings(const struct oxcart_result *result)
{
    json_t *object = json_object();
    ox_json_set(&object, "cache_n", json_integer(result->n_cached));
    set_times(&object, "prompt", result->n_prompt - result->n_cached, result->prompt_s);
    set_times(&object, "predicted", result->n_generated, result->generate_s);
    if (result->n_media > 0) {
        ox_json_set(&object, "media_n", json_integer(result->n_media));
        ox_json_set(&object, "media_ms", rounded(result->media_s * 1e3));
    }
    return object;
}
