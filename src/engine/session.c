/* SPDX-License-Identifier: Apache-2.0
 *
 * The timeline of a session: appended to, rewound, replaced with its common prefix kept, computed in batches.
 */
#include "engine/session.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "os/clock.h"

static enum ox_status choose_options(const struct oxcart_engine *engine, const struct oxcart_session_options *options,
                                     size_t *n_ctx, enum ox_kv_format *kv, struct ox_error *err)
{
    const size_t most = engine->config.max_positions;
    *n_ctx = most < OX_DEFAULT_CTX ? most : OX_DEFAULT_CTX;
    *kv = OX_KV_BF16;
    if (options == NULL) {
        return OX_OK;
    }
    if (options->size != sizeof *options) {
        return ox_error_set(err, OX_E_ARG, "session options: size is not set");
    }
    if (options->n_ctx < 0 || (size_t)options->n_ctx > most) {
        return ox_error_set(err, OX_E_ARG, "ctx-size: expected 1 to %zu (the model's maximum), found %d", most,
                            options->n_ctx);
    }
    if (options->n_ctx > 0) {
        *n_ctx = (size_t)options->n_ctx;
    }
    if (options->kv != NULL && !ox_kv_format_parse(ox_str_c(options->kv), kv)) {
        return ox_error_set(err, OX_E_ARG, "kv: expected bf16 or f32, found \"%s\"", options->kv);
    }
    return OX_OK;
}

static enum ox_status open_memory(struct oxcart_session *session, enum ox_kv_format format, struct ox_error *err)
{
    const struct oxcart_engine *engine = session->engine;
    const size_t block = engine->config.block;
    const size_t n_blocks = session->n_ctx / block + 1;
    session->max_rows = session->n_ctx < OX_BATCH_ROWS ? session->n_ctx : OX_BATCH_ROWS;
    enum ox_status status = ox_kv_layout_init(&engine->config, format, &session->layout, err);
    if (status == OX_OK) {
        const uint64_t state =
            ox_state_bytes(&engine->model, &session->layout, session->max_rows, OX_SESSION_LOGITS, session->n_ctx);
        const uint64_t kv = (uint64_t)n_blocks * session->layout.block_bytes;
        status = ox_engine_check_memory(engine, state > UINT64_MAX - kv ? UINT64_MAX : state + kv, err);
    }
    if (status == OX_OK) {
        status = ox_kv_pool_open(&session->layout, n_blocks, &session->pool, err);
    }
    if (status == OX_OK) {
        status = ox_kv_init(session->pool, session->n_ctx, &session->kv, err);
    }
    if (status == OX_OK) {
        status = ox_state_open(&engine->model, &session->layout, session->max_rows, OX_SESSION_LOGITS, session->n_ctx,
                               &session->state, err);
    }
    if (status == OX_OK) {
        status = ox_sampler_init(engine->config.vocab, &session->sampler, err);
    }
    if (status == OX_OK) {
        session->rows = ox_calloc(session->max_rows, sizeof *session->rows);
        status = session->rows != NULL ? OX_OK : ox_error_nomem(err, session->max_rows * sizeof *session->rows);
    }
    return status;
}

enum oxcart_status oxcart_session_open(struct oxcart_engine *engine, const struct oxcart_session_options *options,
                                       struct oxcart_session **out, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    enum ox_kv_format format = OX_KV_BF16;
    size_t n_ctx = 0;
    enum ox_status status = choose_options(engine, options, &n_ctx, &format, &inner);
    struct oxcart_session *session = NULL;
    if (status == OX_OK) {
        session = ox_calloc(1, sizeof *session);
        status = session != NULL ? OX_OK : ox_error_nomem(&inner, sizeof *session);
    }
    if (status == OX_OK) {
        session->engine = engine;
        session->n_ctx = n_ctx;
        status = open_memory(session, format, &inner);
    }
    if (status != OX_OK) {
        oxcart_session_close(&session);
        return ox_export_error(&inner, err);
    }
    *out = session;
    return OXCART_OK;
}

void oxcart_session_close(struct oxcart_session **session)
{
    struct oxcart_session *s = *session;
    if (s == NULL) {
        return;
    }
    json_decref(s->tools);
    ox_sampler_fini(&s->sampler);
    ox_free(s->rows);
    ox_ids_fini(&s->ids);
    ox_state_close(&s->state);
    ox_kv_fini(&s->kv);
    ox_kv_pool_close(&s->pool);
    ox_free(s);
    *session = NULL;
}

size_t oxcart_session_tokens(const struct oxcart_session *session, const int32_t **ids)
{
    if (ids != NULL) {
        *ids = session->ids.ptr;
    }
    return session->ids.len;
}

void oxcart_session_on_prompt(struct oxcart_session *session, oxcart_prompt_handler handler, void *user)
{
    session->on_prompt = handler;
    session->on_prompt_user = user;
}

/* Compute the next n tokens of the timeline, all_logits or only the last one's. The engine's turn is held. */
static enum ox_status compute_batch(struct oxcart_session *session, size_t n, bool all_logits, struct ox_error *err)
{
    const size_t from = session->kv.n_tokens;
    const enum ox_status status = ox_kv_reserve(&session->kv, n, err);
    if (status != OX_OK) {
        return status;
    }
    for (size_t i = 0; i < n; i++) {
        session->rows[i] = (struct ox_row){.id = session->ids.ptr[from + i],
                                           .kv = &session->kv,
                                           .want_logits = all_logits || from + i + 1 == session->ids.len};
    }
    ox_forward(&session->engine->model, session->state, session->rows, n, NULL, &session->logits);
    return OX_OK;
}

enum ox_status ox_session_compute(struct oxcart_session *session, struct ox_error *err)
{
    const size_t total = session->ids.len;
    if (total == 0) {
        return ox_error_set(err, OX_E_STATE, "nothing to decode: the timeline is empty");
    }
    if (session->kv.n_tokens == total && session->logits == NULL) {
        ox_kv_rewind(&session->kv, total - 1);
    }
    const size_t begin = session->kv.n_tokens;
    enum ox_status status = OX_OK;
    while (status == OX_OK && session->kv.n_tokens < total) {
        const size_t left = total - session->kv.n_tokens;
        pthread_mutex_lock(&session->engine->turn);
        status = compute_batch(session, left < session->max_rows ? left : session->max_rows, false, err);
        pthread_mutex_unlock(&session->engine->turn);
        const bool prompt = total - begin > 1;
        if (status == OX_OK && prompt && session->on_prompt != NULL &&
            session->on_prompt(session->on_prompt_user, session->kv.n_tokens - begin, total - begin) != 0 &&
            session->kv.n_tokens < total) {
            session->ids.len = session->kv.n_tokens;
            session->logits = NULL;
            status = ox_error_set(err, OX_E_CANCELLED, "stopped after %zu of %zu prompt tokens",
                                  session->kv.n_tokens - begin, total - begin);
        }
    }
    return status;
}

/* Put ids at the end of the timeline without computing them. */
static enum ox_status extend(struct oxcart_session *session, const int32_t *ids, size_t n, struct ox_error *err)
{
    const size_t vocab = session->engine->config.vocab;
    const size_t len = session->ids.len;
    if (n > session->n_ctx - len) {
        return ox_error_set(err, OX_E_STATE, "context full: %zu tokens and %zu more exceed the context of %zu (ctx-size)",
                            len, n, session->n_ctx);
    }
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= vocab) {
            return ox_error_set(err, OX_E_ARG, "token id %d is not in 0 to %zu", ids[i], vocab - 1);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (ox_ids_add(&session->ids, ids[i]) != 0) {
            session->ids.len = len;
            return ox_error_nomem(err, n * sizeof *ids);
        }
    }
    if (n > 0) {
        session->logits = NULL;
    }
    return OX_OK;
}

static void begin_prompt(struct oxcart_session *session)
{
    session->prompt_begin_ns = ox_clock_ns();
    session->n_cached = 0;
    session->prompt_s = 0.0;
}

static enum ox_status end_prompt(struct oxcart_session *session, struct ox_error *err)
{
    const enum ox_status status = session->ids.len > 0 ? ox_session_compute(session, err) : OX_OK;
    session->prompt_s = ox_clock_seconds(session->prompt_begin_ns, ox_clock_ns());
    return status;
}

enum oxcart_status oxcart_session_append(struct oxcart_session *session, const int32_t *ids, size_t n,
                                         struct oxcart_error *err)
{
    struct ox_error inner = {0};
    begin_prompt(session);
    session->n_cached = session->ids.len;
    enum ox_status status = extend(session, ids, n, &inner);
    if (status == OX_OK && n > 0) {
        session->chat = false;
        status = end_prompt(session, &inner);
    }
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

static void rewind_to(struct oxcart_session *session, size_t n)
{
    if (n < session->ids.len) {
        session->ids.len = n;
        session->logits = NULL;
    }
    if (n < session->kv.n_tokens) {
        ox_kv_rewind(&session->kv, n);
    }
}

enum oxcart_status oxcart_session_rewind(struct oxcart_session *session, size_t n, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    if (n > session->ids.len) {
        ox_error_set(&inner, OX_E_ARG, "rewind: expected at most %zu (the timeline's length), found %zu",
                     session->ids.len, n);
        return ox_export_error(&inner, err);
    }
    rewind_to(session, n);
    session->chat = false;
    return OXCART_OK;
}

static enum ox_status set_tokens(struct oxcart_session *session, const int32_t *ids, size_t n, struct ox_error *err)
{
    if (n > session->n_ctx) {
        return ox_error_set(err, OX_E_STATE, "context full: the prompt has %zu tokens, the context %zu (ctx-size)", n,
                            session->n_ctx);
    }
    size_t same = 0;
    while (same < n && same < session->ids.len && session->ids.ptr[same] == ids[same]) {
        same++;
    }
    rewind_to(session, same);
    session->n_cached = same < session->kv.n_tokens ? same : session->kv.n_tokens;
    const enum ox_status status = extend(session, ids + same, n - same, err);
    return status == OX_OK ? end_prompt(session, err) : status;
}

enum oxcart_status oxcart_session_set_tokens(struct oxcart_session *session, const int32_t *ids, size_t n,
                                             struct oxcart_error *err)
{
    struct ox_error inner = {0};
    begin_prompt(session);
    session->chat = false;
    const enum ox_status status = set_tokens(session, ids, n, &inner);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

/* Render and encode; the parts of the session that the reply's parser needs are set. */
static enum ox_status encode_messages(struct oxcart_session *session, struct ox_str json,
                                      const struct oxcart_messages_options *options, struct ox_ids *ids,
                                      struct ox_error *err)
{
    const struct oxcart_engine *engine = session->engine;
    struct ox_chat *chat = NULL;
    struct ox_prompt prompt = {0};
    enum ox_status status = ox_chat_parse(json, "conversation", NULL, NULL, &chat, err);
    if (status == OX_OK && options != NULL && options->thinking != OXCART_THINKING_UNSET) {
        ox_chat_set_thinking(chat, (enum ox_thinking)((int)options->thinking - (int)OXCART_THINKING_ADAPTIVE));
    }
    if (status == OX_OK) {
        status = ox_chat_render(chat, &prompt, err);
    }
    if (status == OX_OK && prompt.n_media > 0) {
        status = ox_error_set(err, OX_E_ARG, "conversation: it holds %zu pictures or clips; this version reads text only",
                              prompt.n_media);
    }
    if (status == OX_OK) {
        const bool allow = options != NULL && options->allow_special != 0;
        status = ox_tokenizer_encode(engine->tokenizer, ox_buf_str(&prompt.text), prompt.caller,
                                     allow ? 0 : prompt.n_caller, ids, err);
    }
    if (status == OX_OK) {
        json_decref(session->tools);
        session->tools = NULL;
        if (ox_chat_tools(chat) != NULL) {
            session->tools = json_deep_copy(ox_chat_tools(chat));
            status = session->tools != NULL ? OX_OK : ox_error_nomem(err, json.len);
        }
        session->starts_in_reasoning = prompt.starts_in_reasoning;
    }
    ox_prompt_fini(&prompt);
    ox_chat_free(chat);
    return status;
}

enum oxcart_status oxcart_session_set_messages(struct oxcart_session *session, const char *json, size_t json_bytes,
                                               const struct oxcart_messages_options *options,
                                               struct oxcart_error *err)
{
    struct ox_error inner = {0};
    struct ox_ids ids = {0};
    enum ox_status status = OX_OK;
    begin_prompt(session);
    if (session->engine->tokenizer == NULL) {
        status = ox_error_set(&inner, OX_E_STATE, "%s: the model's folder has no tokenizer.json",
                              session->engine->name);
    } else if (options != NULL && (options->size != sizeof *options || options->thinking < OXCART_THINKING_UNSET ||
                                   options->thinking > OXCART_THINKING_DISABLED)) {
        status = ox_error_set(&inner, OX_E_ARG, "messages options: size or thinking is not set to a known value");
    }
    if (status == OX_OK) {
        status = encode_messages(session, ox_str_make(json, json_bytes), options, &ids, &inner);
    }
    if (status == OX_OK) {
        session->chat = true;
        status = set_tokens(session, ids.ptr, ids.len, &inner);
    }
    ox_ids_fini(&ids);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

/* ln of the probability that logits give id. */
static double log_probability(const float *logits, size_t vocab, int32_t id)
{
    double largest = -INFINITY;
    for (size_t i = 0; i < vocab; i++) {
        largest = (double)logits[i] > largest ? (double)logits[i] : largest;
    }
    double sum = 0.0;
    for (size_t i = 0; i < vocab; i++) {
        sum += exp((double)logits[i] - largest);
    }
    return (double)logits[id] - largest - log(sum);
}

static enum ox_status score(struct oxcart_session *session, const int32_t *ids, size_t n, double *logprobs,
                            struct ox_error *err)
{
    const size_t vocab = session->engine->config.vocab;
    const size_t begin = session->ids.len;
    enum ox_status status = begin > 0 ? ox_session_compute(session, err) : OX_OK;
    if (status != OX_OK) {
        return status;
    }
    double first = NAN;
    if (begin > 0 && n > 0 && ids[0] >= 0 && (size_t)ids[0] < vocab) {
        first = log_probability(session->logits, vocab, ids[0]);
    }
    status = extend(session, ids, n, err);
    if (status != OX_OK || n == 0) {
        return status;
    }
    logprobs[0] = first;
    while (status == OX_OK && session->kv.n_tokens < session->ids.len) {
        const size_t from = session->kv.n_tokens;
        const size_t left = session->ids.len - from;
        const size_t most = session->max_rows < OX_SESSION_LOGITS ? session->max_rows : OX_SESSION_LOGITS;
        const size_t rows = left < most ? left : most;
        pthread_mutex_lock(&session->engine->turn);
        status = compute_batch(session, rows, true, err);
        pthread_mutex_unlock(&session->engine->turn);
        for (size_t i = 0; status == OX_OK && i < rows; i++) {
            if (from + i + 1 < session->ids.len) {
                logprobs[from + i + 1 - begin] =
                    log_probability(session->logits + i * vocab, vocab, session->ids.ptr[from + i + 1]);
            }
        }
        if (status == OX_OK && session->on_prompt != NULL &&
            session->on_prompt(session->on_prompt_user, session->kv.n_tokens - begin, n) != 0) {
            session->ids.len = session->kv.n_tokens;
            status = ox_error_set(err, OX_E_CANCELLED, "stopped after %zu of %zu tokens", session->ids.len - begin, n);
        }
        session->logits = NULL; /* they are those of many rows */
    }
    return status;
}

enum oxcart_status oxcart_session_score(struct oxcart_session *session, const int32_t *ids, size_t n, double *logprobs,
                                        struct oxcart_error *err)
{
    struct ox_error inner = {0};
    begin_prompt(session);
    session->n_cached = session->ids.len;
    session->chat = false;
    const enum ox_status status = score(session, ids, n, logprobs, &inner);
    session->prompt_s = ox_clock_seconds(session->prompt_begin_ns, ox_clock_ns());
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}
