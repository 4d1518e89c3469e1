/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding: draw a token, tell the caller, decide whether the answer is over, compute the next. Text on its way to the
 * caller passes the reply parser (after a conversation) and the watch for stop strings.
 */
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "engine/constraint.h"
#include "os/clock.h"
#include "text/reply.h"

/* One decode call. */
struct generation {
    struct oxcart_session *session;
    struct oxcart_sampling options;
    oxcart_event_handler handler;
    void *user;
    struct ox_reply *reply;  /* conversations only */
    struct ox_buf bytes;     /* plain text: bytes that may become a character */
    struct ox_buf held;      /* content that may begin a stop string */
    bool stopped;            /* a stop string was found */
    struct ox_constraint constraint;
    struct ox_rng rng;
    struct oxcart_result result;
};

void oxcart_sampling_default(struct oxcart_sampling *sampling)
{
    memset(sampling, 0, sizeof *sampling);
    sampling->size = sizeof *sampling;
    sampling->temperature = -1.0F;
    sampling->top_p = -1.0F;
    sampling->top_k = -1;
    sampling->min_p = -1.0F;
}

/* Put the checkpoint's values, then the model card's, where the caller left them open. */
static void resolve(const struct ox_config *config, struct oxcart_sampling *options)
{
    if (options->temperature < 0.0F) {
        options->temperature = config->has_temperature ? config->temperature : 1.0F;
    }
    if (options->top_p < 0.0F) {
        options->top_p = config->has_top_p ? config->top_p : 0.95F;
    }
    if (options->top_k < 0) {
        options->top_k = config->has_top_k ? config->top_k : 40;
    }
    if (options->min_p < 0.0F) {
        options->min_p = config->has_min_p ? config->min_p : 0.0F;
    }
}

static enum ox_status check_stops(const struct oxcart_sampling *options, struct ox_error *err)
{
    for (size_t i = 0; i < options->n_stop; i++) {
        if (options->stop[i][0] == '\0' || !ox_utf8_valid(ox_str_c(options->stop[i]))) {
            return ox_error_set(err, OX_E_ARG, "stop: string %zu is empty or no UTF-8", i);
        }
    }
    return OX_OK;
}

static int emit(struct generation *g, enum oxcart_event_kind kind, int32_t index, struct ox_str text)
{
    const struct oxcart_event event = {
        .kind = kind, .index = index, .text = text.ptr, .text_bytes = text.len};
    return g->handler != NULL ? g->handler(g->user, &event) : 0;
}

/* Let go of what is held back, n bytes of it. */
static int release(struct generation *g, size_t n)
{
    if (n == 0) {
        return 0;
    }
    const int stop = emit(g, OXCART_EVENT_CONTENT, 0, ox_str_make(g->held.ptr, n));
    memmove(g->held.ptr, g->held.ptr + n, g->held.len - n);
    ox_buf_cut(&g->held, g->held.len - n);
    return stop;
}

/* Where the first stop string stands in held, or its length. */
static size_t find_stop(const struct generation *g)
{
    size_t first = g->held.len;
    for (size_t i = 0; i < g->options.n_stop; i++) {
        const size_t at = ox_str_find(ox_buf_str(&g->held), ox_str_c(g->options.stop[i]), 0);
        first = at < first ? at : first;
    }
    return first;
}

/* How many bytes at the end of held could be the beginning of a stop string. */
static size_t stop_prefix(const struct generation *g)
{
    size_t longest = 0;
    for (size_t i = 0; i < g->options.n_stop; i++) {
        const struct ox_str stop = ox_str_c(g->options.stop[i]);
        size_t len = stop.len - 1 < g->held.len ? stop.len - 1 : g->held.len;
        while (len > longest && memcmp(g->held.ptr + g->held.len - len, stop.ptr, len) != 0) {
            len--;
        }
        longest = len > longest ? len : longest;
    }
    return longest;
}

/* Content on its way out. */
static int content(struct generation *g, struct ox_str text)
{
    if (g->stopped || text.len == 0) {
        return 0;
    }
    if (g->options.n_stop == 0) {
        return emit(g, OXCART_EVENT_CONTENT, 0, text);
    }
    ox_buf_add_str(&g->held, text);
    const size_t at = find_stop(g);
    if (at < g->held.len) {
        const int stop = release(g, at);
        g->stopped = true;
        ox_buf_clear(&g->held);
        return stop;
    }
    return release(g, g->held.len - stop_prefix(g));
}

static int on_reply(void *user, const struct ox_reply_event *event)
{
    struct generation *g = user;
    if (g->stopped) {
        return 0;
    }
    if (event->kind == OX_REPLY_CONTENT) {
        return content(g, event->text);
    }
    const int stop = release(g, g->held.len);
    if (stop != 0) {
        return stop;
    }
    static const enum oxcart_event_kind kinds[] = {
        [OX_REPLY_REASONING] = OXCART_EVENT_REASONING,
        [OX_REPLY_CONTENT] = OXCART_EVENT_CONTENT,
        [OX_REPLY_CALL_BEGIN] = OXCART_EVENT_CALL_BEGIN,
        [OX_REPLY_CALL_ARGUMENTS] = OXCART_EVENT_CALL_ARGUMENTS,
        [OX_REPLY_CALL_DONE] = OXCART_EVENT_CALL_DONE,
        [OX_REPLY_CALL_FAILED] = OXCART_EVENT_CALL_FAILED,
    };
    return emit(g, kinds[event->kind], event->index, event->text);
}

/* Plain text: the token's bytes, whole characters only (all, if the text ends here). */
static int push_plain(struct generation *g, int32_t id, bool last)
{
    if (id >= 0) {
        ox_tokenizer_decode(g->session->engine->tokenizer, &id, 1, true, &g->bytes);
    }
    const size_t tail = last ? 0 : ox_utf8_tail(ox_buf_str(&g->bytes));
    const size_t whole = g->bytes.len - tail;
    if (whole == 0) {
        return 0;
    }
    struct ox_buf clean = {0};
    ox_utf8_add_lossy(&clean, ox_str_make(g->bytes.ptr, whole));
    const int stop = content(g, ox_buf_str(&clean));
    ox_buf_fini(&clean);
    memmove(g->bytes.ptr, g->bytes.ptr + whole, tail);
    ox_buf_cut(&g->bytes, tail);
    return stop;
}

static enum ox_status cancelled(struct ox_error *err)
{
    return ox_error_set(err, OX_E_CANCELLED, "stopped by the caller");
}

/* Tell the caller of one drawn token and of what its text makes. */
static enum ox_status deliver(struct generation *g, int32_t id, bool end, struct ox_error *err)
{
    const struct oxcart_event event = {.kind = OXCART_EVENT_TOKEN, .id = id};
    if (g->handler != NULL && g->handler(g->user, &event) != 0) {
        return cancelled(err);
    }
    if (end || g->session->engine->tokenizer == NULL) {
        return OX_OK;
    }
    if (g->reply != NULL) {
        const enum ox_status status = ox_reply_push(g->reply, &id, 1, err);
        return status == OX_E_CANCELLED ? cancelled(err) : status;
    }
    return push_plain(g, id, false) != 0 ? cancelled(err) : OX_OK;
}

/* What is held back anywhere comes out. */
static enum ox_status flush(struct generation *g, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    if (g->reply != NULL) {
        status = ox_reply_finish(g->reply, err);
    } else if (g->session->engine->tokenizer != NULL) {
        status = push_plain(g, -1, true) != 0 ? OX_E_CANCELLED : OX_OK;
    }
    if (status == OX_OK && release(g, g->held.len) != 0) {
        status = OX_E_CANCELLED;
    }
    if (status == OX_OK && (ox_buf_failed(&g->held) || ox_buf_failed(&g->bytes))) {
        return ox_error_nomem(err, g->held.len);
    }
    return status == OX_E_CANCELLED ? cancelled(err) : status;
}

/* The next id, or -1 if the logits allow none. */
static int32_t draw(struct generation *g)
{
    struct oxcart_session *session = g->session;
    const struct oxcart_engine *engine = session->engine;
    return ox_sampler_draw(&session->sampler, &g->options, session->logits, engine->banned, g->constraint.allowed,
                           &g->rng);
}

/* Draw an id within the constraint, and follow it. *id is -1 where a constrained answer is complete and the model has no
 * token to say so. */
static enum ox_status draw_next(struct generation *g, bool reasoning, int32_t *id, struct ox_error *err)
{
    struct ox_constraint *constraint = &g->constraint;
    enum ox_status status = OX_OK;
    if (constraint->matcher != NULL) {
        status = ox_constraint_mask(constraint, reasoning, err);
    }
    if (status != OX_OK) {
        return status;
    }
    *id = draw(g);
    if (*id < 0 && !ox_constraint_is_complete(constraint)) {
        return ox_error_set(err, OX_E_FORMAT, "the model's logits hold no number%s at position %zu",
                            constraint->matcher != NULL ? " for any token that may come" : "", g->session->ids.len);
    }
    return *id >= 0 && constraint->matcher != NULL ? ox_constraint_take(constraint, reasoning, *id, err) : OX_OK;
}

/* The loop; *by_itself: the model ended its message. */
static enum ox_status generate(struct generation *g, bool *by_itself, struct ox_error *err)
{
    struct oxcart_session *session = g->session;
    const uint64_t begin = ox_clock_ns();
    enum ox_status status = OX_OK;
    *by_itself = false;
    while (status == OX_OK && !*by_itself && !g->stopped) {
        if (session->ids.len >= session->n_ctx ||
            (g->options.n_predict > 0 && g->result.n_generated >= g->options.n_predict)) {
            break;
        }
        const bool reasoning = g->reply != NULL && ox_reply_in_reasoning(g->reply);
        int32_t id = -1;
        status = ox_session_compute(session, err);
        if (status == OX_OK) {
            status = draw_next(g, reasoning, &id, err);
        }
        if (status != OX_OK || id < 0) {
            *by_itself = status == OX_OK;
            break;
        }
        if (ox_ids_add(&session->ids, id) != 0) {
            return ox_error_nomem(err, session->ids.len * sizeof id);
        }
        session->logits = NULL;
        if (g->result.n_generated == 0) {
            g->result.first_s = session->prompt_s + ox_clock_seconds(begin, ox_clock_ns());
        }
        g->result.n_generated++;
        *by_itself = ox_engine_is_end(session->engine, id) && g->options.ignore_end == 0;
        status = deliver(g, id, *by_itself, err);
        g->result.n_reasoning += reasoning && !*by_itself ? 1 : 0;
    }
    g->result.generate_s = ox_clock_seconds(begin, ox_clock_ns());
    return status;
}

/* With ignore_end, end tokens are banned through the bias list: a copy with one entry more for each. */
static enum ox_status ban_ends(struct generation *g, struct oxcart_bias **list, struct ox_error *err)
{
    const struct oxcart_engine *engine = g->session->engine;
    const size_t n = g->options.n_bias;
    struct oxcart_bias *all = ox_calloc(n + engine->config.n_eos_tokens + 3, sizeof *all);
    if (all == NULL) {
        return ox_error_nomem(err, n * sizeof *all);
    }
    if (n > 0) {
        memcpy(all, g->options.bias, n * sizeof *all);
    }
    size_t used = n;
    for (size_t id = 0; id < engine->config.vocab && used < n + engine->config.n_eos_tokens + 3; id++) {
        if (ox_engine_is_end(engine, (int32_t)id)) {
            all[used++] = (struct oxcart_bias){(int32_t)id, -__builtin_inff()};
        }
    }
    g->options.bias = all;
    g->options.n_bias = used;
    *list = all;
    return OX_OK;
}

static enum ox_status prepare(struct generation *g, const struct oxcart_sampling *sampling, struct oxcart_bias **list,
                              struct ox_error *err)
{
    const struct oxcart_engine *engine = g->session->engine;
    if (sampling != NULL && sampling->size != sizeof *sampling) {
        return ox_error_set(err, OX_E_ARG, "sampling options: size is not set");
    }
    if (sampling != NULL) {
        g->options = *sampling;
    } else {
        oxcart_sampling_default(&g->options);
    }
    resolve(&engine->config, &g->options);
    enum ox_status status = ox_sampling_check(&g->options, engine->config.vocab, err);
    if (status == OX_OK) {
        status = check_stops(&g->options, err);
    }
    if (status == OX_OK && g->options.ignore_end != 0) {
        status = ban_ends(g, list, err);
    }
    if (status == OX_OK && g->options.has_seed == 0 &&
        ox_rng_secret(&g->options.seed, sizeof g->options.seed) != 0) {
        status = ox_error_set(err, OX_E_IO, "the system gives no random seed");
    }
    if (status == OX_OK) {
        status = ox_constraint_begin(&g->constraint, g->session, &g->options, err);
    }
    if (status == OX_OK && g->session->chat) {
        status = ox_reply_new(engine->tokenizer, &engine->markers, g->session->tools, g->session->starts_in_reasoning,
                              on_reply, g, &g->reply, err);
    }
    return status;
}

enum oxcart_status oxcart_session_decode(struct oxcart_session *session, const struct oxcart_sampling *sampling,
                                         oxcart_event_handler handler, void *user, struct oxcart_result *result,
                                         struct oxcart_error *err)
{
    struct ox_error inner = {0};
    struct generation g = {.session = session, .handler = handler, .user = user};
    struct oxcart_bias *list = NULL;
    bool by_itself = false;
    enum ox_status status = OX_OK;
    if (result != NULL && result->size != sizeof *result) {
        status = ox_error_set(&inner, OX_E_ARG, "result: size is not set");
    }
    if (status == OX_OK) {
        status = prepare(&g, sampling, &list, &inner);
    }
    if (status == OX_OK) {
        ox_rng_init(&g.rng, g.options.seed);
        ox_sampler_begin(&session->sampler);
        g.result.n_prompt = (int32_t)session->ids.len;
        g.result.n_cached = (int32_t)session->n_cached;
        g.result.prompt_s = session->prompt_s;
        g.result.n_media = (int32_t)session->n_media;
        g.result.media_s = session->media_s;
        g.result.seed = g.options.seed;
        status = generate(&g, &by_itself, &inner);
        if (status == OX_OK) {
            status = flush(&g, &inner);
        }
        g.result.finish = OXCART_FINISH_LENGTH;
        if (g.stopped || by_itself) {
            const bool calls = by_itself && g.reply != NULL && ox_reply_calls_done(g.reply) > 0;
            g.result.finish = calls ? OXCART_FINISH_TOOL_CALLS : OXCART_FINISH_STOP;
        }
    }
    if (result != NULL && (status == OX_OK || status == OX_E_CANCELLED)) {
        g.result.size = sizeof *result;
        *result = g.result;
    }
    ox_constraint_fini(&g.constraint);
    ox_reply_free(g.reply);
    ox_buf_fini(&g.held);
    ox_buf_fini(&g.bytes);
    ox_free(list);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

enum oxcart_status oxcart_schema_check(const char *json_schema, size_t json_schema_bytes, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    struct ox_grammar *grammar = NULL;
    const struct ox_str text = ox_str_make(json_schema, json_schema_bytes);
    const enum ox_status status = ox_grammar_from_text(text, "json-schema", true, &grammar, &inner);
    ox_grammar_free(grammar);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}
