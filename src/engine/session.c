/* SPDX-License-Identifier: Apache-2.0
 *
 * The timeline of a session: appended to, rewound, replaced with its common prefix kept, computed in batches.
 */
#include "engine/session.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "os/clock.h"

/* Rows of a prompt's first pass, the least of a later one, and between which times their number stays. */
#define FIRST_BATCH_ROWS 512
#define LEAST_BATCH_ROWS 64
#define SHORT_PASS_S 1.0
#define LONG_PASS_S 4.0

enum ox_status ox_session_choose(const struct oxcart_engine *engine, const struct oxcart_session_options *options,
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

/* The library's log in terms of the caller's function. */
static void pass_message(void *user, enum ox_log_level level, const char *text)
{
    const struct oxcart_session *session = user;
    session->on_message(session->on_message_user, (enum oxcart_log_level)level, text);
}

static enum ox_status choose_media(struct oxcart_session *session, const struct oxcart_session_options *options,
                                   struct ox_error *err)
{
    struct ox_pictures *pictures = &session->pictures;
    pictures->max_bytes = OX_PICTURES_BYTES;
    pictures->feature_bytes = session->engine->config.hidden * sizeof(float);
    if (options == NULL) {
        return OX_OK;
    }
    session->on_message = options->message;
    session->on_message_user = options->user;
    pictures->log = (struct ox_log){.message = options->message != NULL ? pass_message : NULL, .user = session};
    if (options->media_bytes < 0) {
        return ox_error_set(err, OX_E_ARG, "session options: media_bytes is below 0");
    }
    if (options->media_bytes > 0) {
        pictures->max_bytes = (uint64_t)options->media_bytes;
    }
    return ox_pictures_choose(options->media_helper, options->max_pixels, options->fps, options->max_frames, pictures,
                              err);
}

static enum ox_status open_memory(struct oxcart_session *session, enum ox_kv_format format, struct ox_error *err)
{
    const struct oxcart_engine *engine = session->engine;
    const size_t block = engine->config.block;
    const size_t n_blocks = session->n_ctx / block + 1;
    session->max_rows = session->n_ctx < OX_BATCH_ROWS ? session->n_ctx : OX_BATCH_ROWS;
    session->batch_rows = session->max_rows < FIRST_BATCH_ROWS ? session->max_rows : FIRST_BATCH_ROWS;
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
        status = ox_sampler_init(&engine->kernels, engine->config.vocab, &session->sampler, err);
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
    enum ox_status status = ox_session_choose(engine, options, &n_ctx, &format, &inner);
    struct oxcart_session *session = NULL;
    if (status == OX_OK) {
        session = ox_calloc(1, sizeof *session);
        status = session != NULL ? OX_OK : ox_error_nomem(&inner, sizeof *session);
    }
    if (status == OX_OK) {
        session->engine = engine;
        session->n_ctx = n_ctx;
        status = choose_media(session, options, &inner);
    }
    if (status == OX_OK) {
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
    ox_spans_fini(&s->spans);
    ox_pictures_fini(&s->pictures);
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

/* Who asks whether to go on while pictures are encoded. */
struct asking {
    struct oxcart_session *session;
    size_t done;
    size_t total;
};

static bool stop_encoding(void *user)
{
    const struct asking *asking = user;
    struct oxcart_session *session = asking->session;
    return session->on_prompt != NULL && session->on_prompt(session->on_prompt_user, asking->done, asking->total) != 0;
}

/* Encode the pictures that the next n tokens need. */
static enum ox_status prepare_features(struct oxcart_session *session, size_t n, size_t done, size_t total,
                                       struct ox_error *err)
{
    const size_t from = session->kv.n_tokens;
    struct asking asking = {session, done, total};
    enum ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < session->spans.len; i++) {
        const struct ox_span *span = &session->spans.ptr[i];
        if (span->begin < from + n && span->begin + span->n > from && span->picture->features == NULL) {
            const uint64_t begin = ox_clock_ns();
            status = ox_picture_encode(session->engine, span->picture, stop_encoding, &asking, err);
            session->media_s += ox_clock_seconds(begin, ox_clock_ns());
        }
    }
    return status;
}

/* Compute the next n tokens of the timeline, all_logits or only the last one's. The engine's turn is held. */
static enum ox_status compute_batch(struct oxcart_session *session, size_t n, bool all_logits, struct ox_error *err)
{
    const size_t from = session->kv.n_tokens;
    const enum ox_status status = ox_kv_reserve(&session->kv, n, err);
    if (status != OX_OK) {
        return status;
    }
    struct ox_span_cursor cursor = {&session->spans, 0};
    for (size_t i = 0; i < n; i++) {
        const struct ox_span *span = ox_span_at(&cursor, from + i);
        session->rows[i] = (struct ox_row){.id = session->ids.ptr[from + i],
                                           .kv = &session->kv,
                                           .want_logits = all_logits || from + i + 1 == session->ids.len};
        if (span != NULL) {
            session->rows[i].embedding =
                span->picture->features + (span->row + from + i - span->begin) * session->engine->config.hidden;
            session->n_media++;
        }
    }
    ox_forward(&session->engine->model, session->state, session->rows, n, NULL, &session->logits);
    return OX_OK;
}

/* Cut the timeline back to what is computed. */
static void drop_rest(struct oxcart_session *session)
{
    session->ids.len = session->kv.n_tokens;
    ox_spans_cut(&session->spans, session->kv.n_tokens);
    session->logits = NULL;
}

/* A pass of n rows took so long: the next ones have as many rows as make them long enough to be efficient, short enough
 * to be stopped and to show progress. What is computed does not depend on it. */
static void adapt_batch(struct oxcart_session *session, size_t n, double seconds)
{
    if (n == session->batch_rows && seconds < SHORT_PASS_S) {
        session->batch_rows = n * 2 < session->max_rows ? n * 2 : session->max_rows;
    } else if (seconds > LONG_PASS_S && session->batch_rows > LEAST_BATCH_ROWS) {
        session->batch_rows /= 2;
    }
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
        const size_t n = left < session->batch_rows ? left : session->batch_rows;
        status = prepare_features(session, n, session->kv.n_tokens - begin, total - begin, err);
        if (status != OX_OK) {
            drop_rest(session);
            return status;
        }
        pthread_mutex_lock(&session->engine->turn);
        const uint64_t pass_begin_ns = ox_clock_ns();
        status = compute_batch(session, n, false, err);
        adapt_batch(session, n, ox_clock_seconds(pass_begin_ns, ox_clock_ns()));
        pthread_mutex_unlock(&session->engine->turn);
        const bool prompt = total - begin > 1;
        if (status == OX_OK && prompt && session->on_prompt != NULL &&
            session->on_prompt(session->on_prompt_user, session->kv.n_tokens - begin, total - begin) != 0 &&
            session->kv.n_tokens < total) {
            drop_rest(session);
            status = ox_error_set(err, OX_E_CANCELLED, "stopped after %zu of %zu prompt tokens",
                                  session->kv.n_tokens - begin, total - begin);
        }
    }
    return status;
}

/* Ids in range; those that stand for pictures only where a span says so. first: the timeline's token that ids begin at. */
static enum ox_status check_ids(const struct oxcart_session *session, const int32_t *ids, size_t n,
                                const struct ox_spans *spans, size_t first, struct ox_error *err)
{
    const struct ox_config *config = &session->engine->config;
    const bool sees = session->engine->weights.vision.layers != NULL;
    struct ox_span_cursor cursor = {spans, 0};
    for (size_t i = 0; i < n; i++) {
        const bool placed = ox_span_at(&cursor, first + i) != NULL;
        if (ids[i] < 0 || (size_t)ids[i] >= config->vocab) {
            return ox_error_set(err, OX_E_ARG, "token id %d is not in 0 to %zu", ids[i], config->vocab - 1);
        }
        if (sees && !placed && (ids[i] == config->image_token || ids[i] == config->video_token)) {
            return ox_error_set(err, OX_E_ARG, "token id %d stands for a picture or clip, and none is there", ids[i]);
        }
    }
    return OX_OK;
}

/* Put ids at the end of the timeline without computing them. spans: of tokens of the timeline; those before its end are
 * there already. */
static enum ox_status extend(struct oxcart_session *session, const int32_t *ids, size_t n,
                             const struct ox_spans *spans, struct ox_error *err)
{
    const size_t len = session->ids.len;
    if (n > session->n_ctx - len) {
        return ox_error_set(err, OX_E_STATE, "context full: %zu tokens and %zu more exceed the context of %zu (ctx-size)",
                            len, n, session->n_ctx);
    }
    enum ox_status status = check_ids(session, ids, n, spans, len, err);
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        status = ox_ids_add(&session->ids, ids[i]) == 0 ? OX_OK : ox_error_nomem(err, n * sizeof *ids);
    }
    for (size_t i = 0; status == OX_OK && i < spans->len; i++) {
        struct ox_span span = spans->ptr[i];
        const size_t known = span.begin < len ? len - span.begin : 0;
        if (known < span.n) {
            span.begin += known;
            span.row += known;
            span.n -= known;
            status = ox_spans_add(&session->spans, &span) == 0 ? OX_OK : ox_error_nomem(err, sizeof span);
        }
    }
    if (status != OX_OK) {
        session->ids.len = len;
        ox_spans_cut(&session->spans, len);
    } else if (n > 0) {
        session->logits = NULL;
    }
    return status;
}

static void begin_prompt(struct oxcart_session *session)
{
    session->prompt_begin_ns = ox_clock_ns();
    session->n_cached = 0;
    session->prompt_s = 0.0;
    session->n_media = 0;
    session->media_s = 0.0;
}

void ox_session_trim_pictures(struct oxcart_session *session)
{
    for (size_t i = 0; i < session->pictures.n; i++) {
        session->pictures.list[i]->kept = false;
    }
    for (size_t i = 0; i < session->spans.len; i++) {
        session->spans.ptr[i].picture->kept = true;
    }
    ox_pictures_trim(&session->pictures);
}

static enum ox_status end_prompt(struct oxcart_session *session, struct ox_error *err)
{
    const enum ox_status status = session->ids.len > 0 ? ox_session_compute(session, err) : OX_OK;
    ox_session_trim_pictures(session);
    session->prompt_s = ox_clock_seconds(session->prompt_begin_ns, ox_clock_ns());
    return status;
}

enum oxcart_status oxcart_session_append(struct oxcart_session *session, const int32_t *ids, size_t n,
                                         struct oxcart_error *err)
{
    struct ox_error inner = {0};
    const struct ox_spans none = {0};
    begin_prompt(session);
    session->n_cached = session->ids.len;
    enum ox_status status = extend(session, ids, n, &none, &inner);
    if (status == OX_OK && n > 0) {
        session->chat = false;
        status = end_prompt(session, &inner);
    }
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

/* The picture's tokens and what stands around them, as ids behind the timeline. */
static enum ox_status encode_media(struct oxcart_session *session, const struct oxcart_media *media,
                                   struct ox_encoded *out, struct ox_error *err)
{
    const struct oxcart_engine *engine = session->engine;
    struct ox_picture *picture = NULL;
    struct ox_buf text = {0};
    enum ox_status status = ox_pictures_check(engine, err);
    if (status == OX_OK && engine->tokenizer == NULL) {
        status = ox_error_set(err, OX_E_STATE, "%s: the model's folder has no tokenizer.json", engine->name);
    }
    if (status == OX_OK) {
        const uint64_t begin = ox_clock_ns();
        status = ox_pictures_load(&session->pictures, media, &picture, err);
        session->media_s += ox_clock_seconds(begin, ox_clock_ns());
    }
    if (status == OX_OK) {
        ox_picture_text(picture, &text);
        status = ox_buf_failed(&text) ? ox_error_nomem(err, text.len) : OX_OK;
    }
    if (status == OX_OK) {
        status = ox_tokenizer_encode(engine->tokenizer, ox_buf_str(&text), NULL, 0, &out->ids, err);
    }
    if (status == OX_OK) {
        status = ox_encoded_place(&engine->config, &picture, 1, out, err);
    }
    for (size_t i = 0; i < out->spans.len; i++) {
        out->spans.ptr[i].begin += session->ids.len;
    }
    ox_buf_fini(&text);
    return status;
}

enum oxcart_status oxcart_session_append_media(struct oxcart_session *session, const struct oxcart_media *media,
                                               struct oxcart_error *err)
{
    struct ox_error inner = {0};
    struct ox_encoded encoded = {0};
    begin_prompt(session);
    session->n_cached = session->ids.len;
    enum ox_status status = encode_media(session, media, &encoded, &inner);
    if (status == OX_OK) {
        status = extend(session, encoded.ids.ptr, encoded.ids.len, &encoded.spans, &inner);
    }
    if (status == OX_OK) {
        session->chat = false;
        status = end_prompt(session, &inner);
    }
    ox_encoded_fini(&encoded);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

static void rewind_to(struct oxcart_session *session, size_t n)
{
    if (n < session->ids.len) {
        session->ids.len = n;
        ox_spans_cut(&session->spans, n);
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

/* How many tokens the timeline has in common with a prompt, pictures compared as well. */
static size_t common_prefix(const struct oxcart_session *session, const struct ox_encoded *prompt)
{
    struct ox_span_cursor old = {&session->spans, 0};
    struct ox_span_cursor new = {&prompt->spans, 0};
    size_t same = 0;
    for (; same < prompt->ids.len && same < session->ids.len; same++) {
        const struct ox_span *a = ox_span_at(&old, same);
        const struct ox_span *b = ox_span_at(&new, same);
        if (session->ids.ptr[same] != prompt->ids.ptr[same] || (a == NULL) != (b == NULL) ||
            (a != NULL && (a->picture != b->picture || a->row + same - a->begin != b->row + same - b->begin))) {
            break;
        }
    }
    return same;
}

static enum ox_status set_prompt(struct oxcart_session *session, const struct ox_encoded *prompt, struct ox_error *err)
{
    const size_t n = prompt->ids.len;
    if (n > session->n_ctx) {
        return ox_error_set(err, OX_E_STATE, "context full: the prompt has %zu tokens, the context %zu (ctx-size)", n,
                            session->n_ctx);
    }
    const size_t same = common_prefix(session, prompt);
    rewind_to(session, same);
    session->n_cached = same < session->kv.n_tokens ? same : session->kv.n_tokens;
    const int32_t *rest = n > same ? prompt->ids.ptr + same : NULL;
    const enum ox_status status = extend(session, rest, n - same, &prompt->spans, err);
    return status == OX_OK ? end_prompt(session, err) : status;
}

enum oxcart_status oxcart_session_set_tokens(struct oxcart_session *session, const int32_t *ids, size_t n,
                                             struct oxcart_error *err)
{
    struct ox_error inner = {0};
    struct ox_encoded prompt = {0};
    enum ox_status status = OX_OK;
    begin_prompt(session);
    session->chat = false;
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        status = ox_ids_add(&prompt.ids, ids[i]) == 0 ? OX_OK : ox_error_nomem(&inner, n * sizeof *ids);
    }
    if (status == OX_OK) {
        status = set_prompt(session, &prompt, &inner);
    }
    ox_encoded_fini(&prompt);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

/* Render and encode; the parts of the session that the reply's parser needs are set. */
static enum ox_status encode_messages(struct oxcart_session *session, struct ox_str json,
                                      const struct oxcart_messages_options *options, struct ox_encoded *out,
                                      struct ox_error *err)
{
    struct ox_chat *chat = NULL;
    struct ox_prompt prompt = {0};
    enum ox_status status = ox_prompt_render(session->engine, json, options, &chat, &prompt, err);
    if (status == OX_OK) {
        const uint64_t begin = ox_clock_ns();
        status = ox_prompt_encode(session->engine, &session->pictures, options, chat, &prompt, out, err);
        session->media_s += prompt.n_media > 0 ? ox_clock_seconds(begin, ox_clock_ns()) : 0.0;
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
    struct ox_encoded prompt = {0};
    begin_prompt(session);
    enum ox_status status = encode_messages(session, ox_str_make(json, json_bytes), options, &prompt, &inner);
    if (status == OX_OK) {
        session->chat = true;
        status = set_prompt(session, &prompt, &inner);
    }
    ox_encoded_fini(&prompt);
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
    const struct ox_spans none = {0};
    status = extend(session, ids, n, &none, err);
    if (status != OX_OK || n == 0) {
        return status;
    }
    logprobs[0] = first;
    while (status == OX_OK && session->kv.n_tokens < session->ids.len) { /* no picture among these */
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
            drop_rest(session);
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
