/* SPDX-License-Identifier: Apache-2.0
 *
 * An answer's tokens and text. Text on its way to the caller passes the reply parser (after a conversation) and the watch
 * for stop strings.
 */
#include "engine/generation.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

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

static int emit(struct ox_generation *g, enum oxcart_event_kind kind, int32_t index, struct ox_str text)
{
    const struct oxcart_event event = {.kind = kind, .index = index, .text = text.ptr, .text_bytes = text.len};
    return g->handler != NULL ? g->handler(g->user, &event) : 0;
}

/* Let go of what is held back, n bytes of it. */
static int release(struct ox_generation *g, size_t n)
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
static size_t find_stop(const struct ox_generation *g)
{
    size_t first = g->held.len;
    for (size_t i = 0; i < g->options.n_stop; i++) {
        const size_t at = ox_str_find(ox_buf_str(&g->held), ox_str_c(g->options.stop[i]), 0);
        first = at < first ? at : first;
    }
    return first;
}

/* How many bytes at the end of held could be the beginning of a stop string. */
static size_t stop_prefix(const struct ox_generation *g)
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
static int content(struct ox_generation *g, struct ox_str text)
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
    struct ox_generation *g = user;
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
        [OX_REPLY_REASONING] = OXCART_EVENT_REASONING,   [OX_REPLY_CONTENT] = OXCART_EVENT_CONTENT,
        [OX_REPLY_CALL_BEGIN] = OXCART_EVENT_CALL_BEGIN, [OX_REPLY_CALL_ARGUMENTS] = OXCART_EVENT_CALL_ARGUMENTS,
        [OX_REPLY_CALL_DONE] = OXCART_EVENT_CALL_DONE,   [OX_REPLY_CALL_FAILED] = OXCART_EVENT_CALL_FAILED,
    };
    return emit(g, kinds[event->kind], event->index, event->text);
}

/* Plain text: the token's bytes, whole characters only (all, if the text ends here). */
static int push_plain(struct ox_generation *g, int32_t id, bool last)
{
    if (id >= 0) {
        ox_tokenizer_decode(g->engine->tokenizer, &id, 1, true, &g->bytes);
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
static enum ox_status deliver(struct ox_generation *g, int32_t id, struct ox_error *err)
{
    const bool has_text = g->engine->tokenizer != NULL;
    const struct ox_str bytes = has_text ? ox_tokenizer_bytes(g->engine->tokenizer, id) : ox_str_make(NULL, 0);
    const struct oxcart_event event = {.kind = OXCART_EVENT_TOKEN,
                                       .id = id,
                                       .text = bytes.ptr,
                                       .text_bytes = bytes.len,
                                       .logprobs = g->n_logprobs > 0 ? g->logprobs : NULL,
                                       .n_logprobs = g->n_logprobs};
    if (g->handler != NULL && g->handler(g->user, &event) != 0) {
        return cancelled(err);
    }
    if (g->ended || !has_text) {
        return OX_OK;
    }
    if (g->reply != NULL) {
        const enum ox_status status = ox_reply_push(g->reply, &id, 1, err);
        return status == OX_E_CANCELLED ? cancelled(err) : status;
    }
    return push_plain(g, id, false) != 0 ? cancelled(err) : OX_OK;
}

/* What is held back anywhere comes out. */
static enum ox_status flush(struct ox_generation *g, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    if (g->reply != NULL) {
        status = ox_reply_finish(g->reply, err);
    } else if (g->engine->tokenizer != NULL) {
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

/* ---- drawing --------------------------------------------------------------------------------------------------- */

static double log_of_sum(const float *logits, size_t vocab, double *largest)
{
    double most = -INFINITY;
    for (size_t i = 0; i < vocab; i++) {
        most = (double)logits[i] > most ? (double)logits[i] : most;
    }
    double sum = 0.0;
    for (size_t i = 0; i < vocab; i++) {
        sum += logits[i] > -INFINITY ? exp((double)logits[i] - most) : 0.0;
    }
    *largest = most;
    return log(sum);
}

/* Put (id, logit) among the n best so far, which stand in order, ties by the lower id (ids come ascending). */
static size_t insert_best(struct oxcart_logprob *best, size_t n, size_t most, int32_t id, double value)
{
    size_t at = n;
    while (at > 0 && value > best[at - 1].logprob) {
        at--;
    }
    if (at == most) {
        return n;
    }
    const size_t kept = n < most ? n : most - 1;
    memmove(best + at + 1, best + at, (kept - at) * sizeof *best);
    best[at] = (struct oxcart_logprob){.id = id, .logprob = value};
    return kept + 1;
}

static void note_logprobs(struct ox_generation *g, int32_t id, const float *logits)
{
    const size_t vocab = g->engine->config.vocab;
    const size_t most = (size_t)g->options.n_logprobs;
    double largest;
    const double norm = log_of_sum(logits, vocab, &largest);
    g->logprobs[0] = (struct oxcart_logprob){.id = id, .logprob = (double)logits[id] - largest - norm};
    size_t n = 0;
    for (size_t i = 0; i < vocab && most > 0; i++) {
        if (logits[i] > -INFINITY) {
            n = insert_best(g->logprobs + 1, n, most, (int32_t)i, (double)logits[i] - largest - norm);
        }
    }
    g->n_logprobs = 1 + n;
}

static bool in_reasoning(const struct ox_generation *g)
{
    return g->reply != NULL && ox_reply_in_reasoning(g->reply);
}

enum ox_status ox_generation_draw(struct ox_generation *g, const struct ox_sampler *scratch, const float *logits,
                                  size_t n, int32_t *id, struct ox_error *err)
{
    struct ox_constraint *constraint = &g->constraint;
    struct ox_sampler sampler = *scratch;
    const bool constrained = constraint->matcher != NULL;
    const enum ox_status status = constrained ? ox_constraint_mask(constraint, in_reasoning(g), err) : OX_OK;
    if (status != OX_OK) {
        return status;
    }
    sampler.n_drawn = g->n_drawn;
    *id = ox_sampler_draw(&sampler, &g->options, logits, g->engine->banned, constraint->allowed, &g->rng);
    if (*id < 0) {
        g->ended = ox_constraint_is_complete(constraint);
    }
    if (*id < 0 && !g->ended) {
        return ox_error_set(err, OX_E_FORMAT, "the model's logits hold no number%s at position %zu",
                            constrained ? " for any token that may come" : "", n);
    }
    if (*id < 0) {
        return OX_OK;
    }
    if (g->options.has_logprobs != 0) {
        note_logprobs(g, *id, logits);
    }
    return constrained ? ox_constraint_take(constraint, in_reasoning(g), *id, err) : OX_OK;
}

enum ox_status ox_generation_take(struct ox_generation *g, int32_t id, struct ox_error *err)
{
    g->result.n_generated++;
    g->ended = ox_engine_is_end(g->engine, id) && g->options.ignore_end == 0;
    const bool reasoning = in_reasoning(g);
    const enum ox_status status = deliver(g, id, err);
    g->result.n_reasoning += reasoning && !g->ended ? 1 : 0;
    return status;
}

bool ox_generation_is_over(const struct ox_generation *g)
{
    return g->ended || g->stopped || (g->options.n_predict > 0 && g->result.n_generated >= g->options.n_predict);
}

enum ox_status ox_generation_finish(struct ox_generation *g, struct ox_error *err)
{
    const enum ox_status status = flush(g, err);
    if (g->stopped || g->ended) {
        const bool calls = g->ended && g->reply != NULL && ox_reply_calls_done(g->reply) > 0;
        g->result.finish = calls ? OXCART_FINISH_TOOL_CALLS : OXCART_FINISH_STOP;
    }
    return status;
}

/* ---- beginning and end ----------------------------------------------------------------------------------------- */

/* A bias list of our own; with ignore_end, end tokens are banned through it. */
static enum ox_status copy_bias(struct ox_generation *g, struct ox_error *err)
{
    const struct oxcart_engine *engine = g->engine;
    const size_t n = g->options.n_bias;
    const size_t n_ends = g->options.ignore_end != 0 ? engine->config.n_eos_tokens + 3 : 0;
    const struct oxcart_bias *given = g->options.bias;
    g->options.bias = NULL;
    g->options.n_bias = 0;
    struct oxcart_bias *all = ox_calloc(n + n_ends, sizeof *all);
    if (all == NULL) {
        return ox_error_nomem(err, n * sizeof *all);
    }
    if (n > 0) {
        memcpy(all, given, n * sizeof *all);
    }
    size_t used = n;
    for (size_t id = 0; id < engine->config.vocab && used < n + n_ends; id++) {
        if (ox_engine_is_end(engine, (int32_t)id)) {
            all[used++] = (struct oxcart_bias){(int32_t)id, -INFINITY};
        }
    }
    g->own_bias = all;
    g->options.bias = all;
    g->options.n_bias = used;
    return OX_OK;
}

/* The stop strings, behind their pointers in one allocation. */
static enum ox_status copy_stops(struct ox_generation *g, struct ox_error *err)
{
    const size_t n = g->options.n_stop;
    const char *const *given = g->options.stop;
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += strlen(given[i]) + 1;
    }
    g->options.stop = NULL;
    g->options.n_stop = 0;
    const char **all = ox_calloc(1, n * sizeof *all + bytes);
    if (all == NULL) {
        return ox_error_nomem(err, n * sizeof *all + bytes);
    }
    char *text = (char *)(all + n);
    for (size_t i = 0; i < n; i++) {
        const size_t len = strlen(given[i]) + 1;
        memcpy(text, given[i], len);
        all[i] = text;
        text += len;
    }
    g->own_stop = all;
    g->options.stop = all;
    g->options.n_stop = n;
    return OX_OK;
}

static enum ox_status check_options(const struct ox_generation *g, struct ox_error *err)
{
    const struct oxcart_sampling *options = &g->options;
    if (options->n_logprobs < 0 || options->n_logprobs > OX_MAX_LOGPROBS) {
        return ox_error_set(err, OX_E_ARG, "logprobs: expected 0 to %d alternatives, found %d", OX_MAX_LOGPROBS,
                            options->n_logprobs);
    }
    const enum ox_status status = ox_sampling_check(options, g->engine->config.vocab, err);
    return status == OX_OK ? check_stops(options, err) : status;
}

/* The parts that are allocated. */
static enum ox_status prepare(struct ox_generation *g, bool chat, const json_t *tools, bool starts_in_reasoning,
                              struct ox_error *err)
{
    enum ox_status status = copy_stops(g, err);
    if (status == OX_OK) {
        status = copy_bias(g, err);
    }
    if (status == OX_OK && g->options.has_logprobs != 0) {
        g->logprobs = ox_calloc(1 + (size_t)g->options.n_logprobs, sizeof *g->logprobs);
        status = g->logprobs != NULL ? OX_OK : ox_error_nomem(err, sizeof *g->logprobs);
    }
    if (status == OX_OK && g->options.has_seed == 0 && ox_rng_secret(&g->options.seed, sizeof g->options.seed) != 0) {
        status = ox_error_set(err, OX_E_IO, "the system gives no random seed");
    }
    if (status == OX_OK && chat) {
        status = ox_reply_new(g->engine->tokenizer, &g->engine->markers, tools, starts_in_reasoning, on_reply, g,
                              &g->reply, err);
    }
    return status;
}

enum ox_status ox_generation_init(struct oxcart_engine *engine, const struct oxcart_sampling *sampling, bool chat,
                                  json_t *tools, bool starts_in_reasoning, int32_t last,
                                  oxcart_event_handler handler, void *user, struct ox_generation *out,
                                  struct ox_error *err)
{
    if (sampling != NULL && sampling->size != sizeof *sampling) {
        return ox_error_set(err, OX_E_ARG, "sampling options: size is not set");
    }
    memset(out, 0, sizeof *out);
    out->engine = engine;
    out->handler = handler;
    out->user = user;
    out->result.finish = OXCART_FINISH_LENGTH;
    if (sampling != NULL) {
        out->options = *sampling;
    } else {
        oxcart_sampling_default(&out->options);
    }
    resolve(&engine->config, &out->options);
    enum ox_status status = check_options(out, err);
    if (status != OX_OK) {
        return status;
    }
    status = ox_constraint_begin(&out->constraint, engine, chat, tools, last, &out->options, err);
    out->options.json_schema = NULL;
    out->options.tool = NULL;
    if (status == OX_OK) {
        status = prepare(out, chat, tools, starts_in_reasoning, err);
    }
    if (status != OX_OK) {
        ox_generation_fini(out);
        return status;
    }
    ox_rng_init(&out->rng, out->options.seed);
    out->result.seed = out->options.seed;
    return OX_OK;
}

void ox_generation_fini(struct ox_generation *g)
{
    ox_constraint_fini(&g->constraint);
    ox_reply_free(g->reply);
    ox_buf_fini(&g->held);
    ox_buf_fini(&g->bytes);
    ox_free(g->logprobs);
    ox_free(g->own_bias);
    ox_free(g->own_stop);
    memset(g, 0, sizeof *g);
}
