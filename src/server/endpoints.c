/* SPDX-License-Identifier: Apache-2.0
 *
 * The endpoints that are no API of answers: what is served and how it is doing, and text to tokens and back. Names and
 * shapes are llama.cpp's where it has them.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/json_build.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "server/api_values.h"
#include "server/server_parts.h"

/* Requests that /slots shows. */
#define MAX_SLOTS 4096
/* Ids whose text is made at once. */
#define DECODE_IDS ((size_t)4096)
/* Of pictures and clips that requests keep decoded: 1.2 GB if all are clips. */
#define MEDIA_TOKENS 262144

static void reply_json(struct ox_exchange *x, int http_status, json_t *tree)
{
    struct ox_buf out = {0};
    ox_json_write(tree, &out);
    json_decref(tree);
    ox_exchange_reply(x, http_status, "application/json", &out);
}

static json_t *text(const char *c)
{
    return ox_json_new_text(ox_str_c(c));
}

/* ---- what is served --------------------------------------------------------------------------------------------- */

static void health(struct ox_exchange *x)
{
    static const char *const words[] = {
        [OX_SERVER_LOADING] = "loading model", [OX_SERVER_READY] = "ok", [OX_SERVER_STOPPING] = "stopping"};
    const enum ox_server_state state = ox_server_state(x->server);
    json_t *object = json_object();
    ox_json_set(&object, "status", text(words[state]));
    x->retry_after_s = state == OX_SERVER_LOADING ? 5 : 0;
    reply_json(x, state == OX_SERVER_READY ? 200 : 503, object);
}

static json_t *modalities(const struct ox_server *server)
{
    json_t *array = json_array();
    ox_json_append(&array, text("text"));
    if (server->context.info.has_vision != 0) {
        ox_json_append(&array, text("image"));
        ox_json_append(&array, text("video"));
    }
    return array;
}

static json_t *model(const struct ox_server *server)
{
    const struct oxcart_engine_info *info = &server->context.info;
    json_t *meta = json_object();
    ox_json_set(&meta, "n_ctx", json_integer(server->model.n_ctx));
    ox_json_set(&meta, "n_ctx_train", json_integer(info->max_positions));
    ox_json_set(&meta, "n_vocab", json_integer(info->n_vocab));
    ox_json_set(&meta, "n_params", ox_json_new_natural(info->n_parameters));
    ox_json_set(&meta, "size", ox_json_new_natural(info->weight_bytes));
    json_t *architecture = json_object();
    ox_json_set(&architecture, "input_modalities", modalities(server));
    char created[32] = "";
    struct tm utc;
    const time_t started = (time_t)server->context.started;
    if (gmtime_r(&started, &utc) != NULL) {
        (void)strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    json_t *object = json_object();
    ox_json_set(&object, "id", text(server->context.alias));
    ox_json_set(&object, "object", text("model"));
    ox_json_set(&object, "created", json_integer(server->context.started));
    ox_json_set(&object, "owned_by", text("oxcart"));
    ox_json_set(&object, "max_model_len", json_integer(server->model.n_ctx));
    ox_json_set(&object, "meta", meta);
    ox_json_set(&object, "architecture", architecture);
    /* Anthropic's names for the same. */
    ox_json_set(&object, "type", text("model"));
    ox_json_set(&object, "display_name", text(server->context.alias));
    ox_json_set(&object, "created_at", text(created));
    return object;
}

static void models(struct ox_exchange *x)
{
    json_t *data = json_array();
    ox_json_append(&data, model(x->server));
    json_t *object = json_object();
    ox_json_set(&object, "object", text("list"));
    ox_json_set(&object, "data", data);
    ox_json_set(&object, "has_more", json_false());
    ox_json_set(&object, "first_id", text(x->server->context.alias));
    ox_json_set(&object, "last_id", text(x->server->context.alias));
    reply_json(x, 200, object);
}

static void one_model(struct ox_exchange *x)
{
    const char *id = ox_buf_text(&x->url) + strlen("/v1/models/");
    if (strcmp(id, x->server->context.alias) == 0) {
        reply_json(x, 200, model(x->server));
        return;
    }
    struct ox_api_error error;
    (void)ox_api_refuse_model(&x->server->context, id, &error);
    ox_exchange_fail(x, &error);
}

static void props(struct ox_exchange *x)
{
    const struct ox_server *server = x->server;
    json_t *settings = json_object();
    ox_json_set(&settings, "n_ctx", json_integer(server->model.n_ctx));
    json_t *modes = json_object();
    ox_json_set(&modes, "vision", json_boolean(server->context.info.has_vision));
    ox_json_set(&modes, "video", json_boolean(server->context.info.has_vision));
    ox_json_set(&modes, "audio", json_false());
    json_t *object = json_object();
    ox_json_set(&object, "default_generation_settings", settings);
    ox_json_set(&object, "total_slots", json_integer(server->model.n_parallel));
    ox_json_set(&object, "model_alias", text(server->context.alias));
    ox_json_set(&object, "model_path", text(server->context.info.name));
    ox_json_set(&object, "modalities", modes);
    ox_json_set(&object, "build_info", text(oxcart_version()));
    ox_json_set(&object, "format", text(server->context.info.format));
    ox_json_set(&object, "cpu_level", text(server->context.info.cpu_level));
    ox_json_set(&object, "n_threads", json_integer(server->context.info.n_threads));
    reply_json(x, 200, object);
}

/* ---- how it is doing -------------------------------------------------------------------------------------------- */

static json_t *slot_object(const struct ox_server *server, size_t id, const struct oxcart_slot *slot)
{
    static const char *const words[] = {[OXCART_SLOT_WAITING] = "waiting",
                                        [OXCART_SLOT_READING] = "reading",
                                        [OXCART_SLOT_PROMPT] = "prompt",
                                        [OXCART_SLOT_ANSWERING] = "answering"};
    json_t *object = json_object();
    ox_json_set(&object, "id", ox_json_new_natural(id));
    ox_json_set(&object, "n_ctx", json_integer(server->model.n_ctx));
    ox_json_set(&object, "is_processing", json_boolean(slot != NULL && slot->state != OXCART_SLOT_WAITING));
    ox_json_set(&object, "state", text(slot != NULL ? words[slot->state] : "idle"));
    if (slot == NULL) {
        return object;
    }
    json_t *next = json_object();
    ox_json_set(&next, "n_decoded", json_integer(slot->n_generated));
    json_t *next_token = json_array();
    ox_json_append(&next_token, next);
    ox_json_set(&object, "id_task", ox_json_new_natural(slot->ticket));
    ox_json_set(&object, "n_prompt_tokens", json_integer(slot->n_prompt));
    ox_json_set(&object, "n_prompt_tokens_processed", json_integer(slot->n_prompt_done));
    ox_json_set(&object, "next_token", next_token);
    ox_json_set(&object, "age_s", ox_json_new_real(slot->age_s));
    return object;
}

/* Those that run or wait, then idle ones up to --parallel. */
static void slots(struct ox_exchange *x)
{
    const struct ox_server *server = x->server;
    struct oxcart_slot *list = ox_calloc(MAX_SLOTS, sizeof *list);
    struct ox_api_error error;
    if (list == NULL) {
        (void)ox_api_refuse_nomem(&error);
        ox_exchange_fail(x, &error);
        return;
    }
    const size_t there = oxcart_scheduler_slots(server->model.scheduler, list, MAX_SLOTS);
    const size_t n = there < MAX_SLOTS ? there : MAX_SLOTS;
    const size_t n_parallel = (size_t)server->model.n_parallel;
    json_t *array = json_array();
    for (size_t i = 0; i < n || i < n_parallel; i++) {
        ox_json_append(&array, slot_object(server, i, i < n ? &list[i] : NULL));
    }
    ox_free(list);
    reply_json(x, 200, array);
}

static void metrics(struct ox_exchange *x)
{
    struct ox_buf out = {0};
    struct oxcart_scheduler_stats stats = {.size = sizeof stats};
    const bool there = atomic_load(&x->server->served) &&
                       oxcart_scheduler_stats(x->server->model.scheduler, &stats) == OXCART_OK;
    ox_metrics_write(&x->server->metrics, there ? &stats : NULL, &out);
    ox_exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}

void ox_endpoint_get(struct ox_exchange *x)
{
    struct ox_api_error error;
    if (x->route->kind == OX_ROUTE_HEALTH) {
        health(x);
    } else if (x->route->kind == OX_ROUTE_METRICS) {
        metrics(x);
    } else if (!atomic_load(&x->server->served)) {
        (void)ox_api_refuse(&error, 503, "server_error", "loading", NULL, "the model is loading; try again");
        error.retry_after_s = 5;
        ox_exchange_fail(x, &error);
    } else if (x->route->kind == OX_ROUTE_MODELS) {
        models(x);
    } else if (x->route->kind == OX_ROUTE_MODEL) {
        one_model(x);
    } else if (x->route->kind == OX_ROUTE_SLOTS) {
        slots(x);
    } else {
        props(x);
    }
}

/* ---- text and tokens -------------------------------------------------------------------------------------------- */

static void fail_with(struct ox_exchange *x, enum oxcart_status status, const struct oxcart_error *err)
{
    struct ox_api_error error;
    ox_api_error_of(status, err, &error);
    ox_exchange_fail(x, &error);
}

static void refuse(struct ox_exchange *x, const char *param, const char *expected)
{
    struct ox_api_error error;
    (void)ox_api_refuse(&error, 400, "invalid_request_error", "invalid_value", param, "%s: expected %s", param,
                        expected);
    ox_exchange_fail(x, &error);
}

/* Most bytes of a text in an answer: tokens of usual text have room, in numbers at least. */
static size_t max_answer(const struct ox_server *server)
{
    return 2 * server->options.max_body;
}

/* Reply with out, which is as large as what was asked for; what: that. */
static void reply_large(struct ox_exchange *x, const char *what, struct ox_buf *out)
{
    struct ox_api_error error = {0};
    const size_t max = max_answer(x->server);
    pthread_mutex_lock(&x->lock);
    const bool room = out->len <= max && ox_exchange_count(x, out->len);
    pthread_mutex_unlock(&x->lock);
    if (room) {
        ox_exchange_reply(x, 200, "application/json", out);
        return;
    }
    if (out->len > max) {
        (void)ox_api_refuse(&error, 413, "invalid_request_error", "request_too_large", what,
                            "%s: the answer would be larger than %zu bytes, twice --max-body", what, max);
    } else {
        (void)ox_api_refuse_nomem(&error);
        error.retry_after_s = 1;
    }
    ox_buf_fini(out);
    ox_exchange_fail(x, &error);
}

/* The token's text, or an array of its bytes where it is no UTF-8. */
static void add_piece(const struct ox_server *server, int32_t id, struct ox_buf *out)
{
    char *bytes = NULL;
    size_t n = 0;
    if (oxcart_decode(server->model.engine, &id, 1, 0, &bytes, &n, NULL) != OXCART_OK) {
        out->failed = true;
    } else if (ox_utf8_valid(ox_str_make(bytes, n))) {
        ox_json_add_quoted(out, ox_str_make(bytes, n));
    } else {
        for (size_t i = 0; i < n; i++) {
            ox_buf_printf(out, "%c%d", i == 0 ? '[' : ',', (unsigned char)bytes[i]);
        }
        ox_buf_add_byte(out, ']');
    }
    oxcart_free(bytes);
}

/* {"tokens": [...]}, written at once: a tree would be many times as large. Stops when it is too long for an answer. */
static void add_tokens(const struct ox_server *server, const int32_t *ids, size_t n, bool pieces, struct ox_buf *out)
{
    const size_t max = max_answer(server);
    ox_buf_add_c(out, "{\"tokens\":[");
    for (size_t i = 0; i < n && out->len <= max && !ox_buf_failed(out); i++) {
        ox_buf_printf(out, pieces ? "%s{\"id\":%d,\"piece\":" : "%s%d", i > 0 ? "," : "", ids[i]);
        if (pieces) {
            add_piece(server, ids[i], out);
            ox_buf_add_byte(out, '}');
        }
    }
    ox_buf_add_c(out, "]}");
}

static void tokenize(struct ox_exchange *x, const json_t *body)
{
    const struct ox_json_at root = ox_json_root(body, "request");
    const json_t *content = json_object_get(body, "content");
    struct ox_api_error error;
    bool special = true;
    bool pieces = false;
    if (!json_is_string(content)) {
        refuse(x, "content", "a string");
        return;
    }
    if (!ox_api_read_bool(&root, "parse_special", &special, &error) ||
        !ox_api_read_bool(&root, "with_pieces", &pieces, &error)) {
        ox_exchange_fail(x, &error);
        return;
    }
    struct oxcart_error err = {0};
    struct ox_buf out = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    const enum oxcart_status status =
        oxcart_encode(x->server->model.engine, json_string_value(content), json_string_length(content),
                      special ? 0 : OXCART_TEXT_PLAIN, &ids, &n, &err);
    if (status != OXCART_OK) {
        fail_with(x, status, &err);
        return;
    }
    add_tokens(x->server, ids, n, pieces, &out);
    oxcart_free(ids);
    reply_large(x, "content", &out);
}

/* Append the text of ids, as long as it has room in an answer. */
static enum oxcart_status add_text(const struct ox_server *server, const int32_t *ids, size_t n, struct ox_buf *out,
                                   struct oxcart_error *err)
{
    const size_t max = max_answer(server);
    for (size_t at = 0; at < n && out->len <= max; at += DECODE_IDS) {
        char *bytes = NULL;
        size_t n_bytes = 0;
        const size_t part = n - at < DECODE_IDS ? n - at : DECODE_IDS;
        const enum oxcart_status status =
            oxcart_decode(server->model.engine, ids + at, part, 0, &bytes, &n_bytes, err);
        if (status != OXCART_OK) {
            return status;
        }
        ox_buf_add(out, bytes, n_bytes);
        oxcart_free(bytes);
    }
    return OXCART_OK;
}

/* Decode ids, which stand for `what` in the request, and reply {key: text}. */
static void reply_text(struct ox_exchange *x, const char *what, const char *key, const int32_t *ids, size_t n)
{
    struct oxcart_error err = {0};
    struct ox_buf text = {0};
    struct ox_buf out = {0};
    const enum oxcart_status status = add_text(x->server, ids, n, &text, &err);
    if (status != OXCART_OK) {
        fail_with(x, status, &err);
    } else {
        ox_buf_printf(&out, "{\"%s\":", key);
        ox_json_add_quoted(&out, ox_buf_str(&text));
        ox_buf_add_byte(&out, '}');
        out.failed = out.failed || text.failed;
        reply_large(x, what, &out);
    }
    ox_buf_fini(&text);
}

static void detokenize(struct ox_exchange *x, const json_t *body)
{
    const json_t *tokens = json_object_get(body, "tokens");
    const size_t n = json_array_size(tokens);
    const int32_t n_vocab = x->server->context.info.n_vocab;
    int32_t *ids = ox_calloc(n + 1, sizeof *ids);
    bool good = json_is_array(tokens);
    for (size_t i = 0; ids != NULL && good && i < n; i++) {
        const json_t *item = json_array_get(tokens, i);
        const json_int_t id = json_integer_value(item);
        good = json_is_integer(item) && id >= 0 && id < n_vocab;
        ids[i] = good ? (int32_t)id : 0;
    }
    if (ids == NULL) {
        struct ox_api_error error;
        (void)ox_api_refuse_nomem(&error);
        ox_exchange_fail(x, &error);
    } else if (!good) {
        refuse(x, "tokens", "an array of token ids of the model");
    } else {
        reply_text(x, "tokens", "content", ids, n);
    }
    ox_free(ids);
}

static void on_media_message(void *user, enum oxcart_log_level level, const char *message)
{
    const struct ox_server *server = user;
    server->options.message(server->options.user, (enum ox_log_level)level, message);
}

/* So many that a prompt full of clips can be answered while another waits. */
static int64_t all_media_tokens(const struct ox_server *server)
{
    const int64_t contexts = 2 * (int64_t)server->model.n_ctx;
    if (server->options.max_media_tokens > 0) {
        return server->options.max_media_tokens;
    }
    return contexts > MEDIA_TOKENS ? contexts : MEDIA_TOKENS;
}

struct oxcart_messages_options ox_server_messages(struct ox_server *server)
{
    const struct oxcart_messages_options messages = {
        .size = sizeof messages,
        .media_helper = server->options.media_helper,
        .max_pixels = server->options.max_pixels,
        .fps = server->options.fps,
        .max_frames = server->options.max_frames,
        .message = on_media_message,
        .user = server,
        .max_media_tokens = server->model.n_ctx,
        .all_media_tokens = all_media_tokens(server),
    };
    return messages;
}

/* The prompt's text: its tokens, decoded. */
static void apply_template(struct ox_exchange *x, const json_t *body)
{
    struct ox_buf json = {0};
    struct oxcart_prompt *prompt = NULL;
    struct oxcart_error err = {0};
    const int32_t *ids = NULL;
    if (!json_is_array(json_object_get(body, "messages"))) {
        refuse(x, "messages", "an array");
        return;
    }
    ox_json_write(body, &json);
    const struct oxcart_messages_options messages = ox_server_messages(x->server);
    const enum oxcart_status status =
        oxcart_prompt_from_messages(x->server->model.engine, ox_buf_text(&json), json.len, &messages, &prompt, &err);
    ox_buf_fini(&json);
    if (status != OXCART_OK) {
        fail_with(x, status, &err);
        return;
    }
    const size_t n = oxcart_prompt_tokens(prompt, &ids);
    reply_text(x, "messages", "prompt", ids, n);
    oxcart_prompt_free(&prompt);
}

void ox_endpoint_post(struct ox_exchange *x, const json_t *body)
{
    struct ox_api_error error;
    if (x->route->kind == OX_ROUTE_TOKENIZE) {
        tokenize(x, body);
    } else if (x->route->kind == OX_ROUTE_DETOKENIZE) {
        detokenize(x, body);
    } else if (x->route->kind == OX_ROUTE_TEMPLATE) {
        apply_template(x, body);
    } else {
        (void)ox_api_refuse(&error, 501, "invalid_request_error", "not_implemented", NULL,
                            "MiniMax-M3 is no embedding model: this server has no embeddings");
        ox_exchange_fail(x, &error);
    }
}
