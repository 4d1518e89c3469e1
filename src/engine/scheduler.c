/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler's outside: opening, handing requests in, and the loop that looks at the queue between two passes.
 */
#include "engine/scheduler.h"

#include <string.h>

#include "base/mem.h"
#include "engine/session.h"
#include "os/clock.h"
#include "os/memory.h"

#define USUAL_PARALLEL 8
#define USUAL_QUEUE 64
#define USUAL_STALL_MS 500
#define MOST_PARALLEL 1024

/* ---- opening --------------------------------------------------------------------------------------------------- */

static enum ox_status check_options(const struct oxcart_scheduler_options *o, struct ox_error *err)
{
    if (o->size != sizeof *o) {
        return ox_error_set(err, OX_E_ARG, "scheduler options: size is not set");
    }
    if (o->n_parallel < 0 || o->n_parallel > MOST_PARALLEL) {
        return ox_error_set(err, OX_E_ARG, "parallel: expected 1 to %d, found %d", MOST_PARALLEL, o->n_parallel);
    }
    if (o->media_bytes < 0) {
        return ox_error_set(err, OX_E_ARG, "media_bytes: expected a number above 0, found %lld",
                            (long long)o->media_bytes);
    }
    if (o->max_stall_ms < 0) {
        return ox_error_set(err, OX_E_ARG, "max-stall: expected a number above 0, found %d", o->max_stall_ms);
    }
    return OX_OK;
}

/* Blocks for kv_bytes, or for a quarter of what the weights leave free, but then at least for one whole request. */
static enum ox_status size_pool(struct oxcart_scheduler *s, uint64_t kv_bytes, struct ox_error *err)
{
    const size_t block = s->engine->config.block;
    const uint64_t least = s->n_ctx / block + 1;
    uint64_t blocks = kv_bytes / s->layout.block_bytes;
    if (kv_bytes == 0) {
        struct ox_memory_info memory;
        const enum ox_status status = ox_memory_query(&memory, err);
        if (status != OX_OK) {
            return status;
        }
        /* a checkpoint's weights will be there as well, a synthetic model's are */
        const uint64_t weights = s->engine->synthetic.ptr != NULL ? 0 : s->engine->weight_bytes;
        blocks = memory.available > weights ? (memory.available - weights) / 4 / s->layout.block_bytes : 0;
        blocks = blocks < least ? least : blocks;
    }
    if (blocks < least) {
        return ox_error_set(
            err, OX_E_ARG,
            "kv-memory: %llu bytes hold %llu tokens, a request may have %zu (ctx-size): expected at least "
            "%llu bytes",
            (unsigned long long)kv_bytes, (unsigned long long)(blocks * block), s->n_ctx,
            (unsigned long long)(least * s->layout.block_bytes));
    }
    s->pool_blocks = blocks < UINT32_MAX ? (size_t)blocks : UINT32_MAX;
    return OX_OK;
}

static enum ox_status open_slots(struct oxcart_scheduler *s, struct ox_error *err)
{
    const size_t vocab = s->engine->config.vocab;
    const size_t n_workers = ox_team_n_workers(s->engine->team);
    s->n_samplers = n_workers < s->n_slots ? n_workers : s->n_slots;
    s->slots = ox_calloc(s->n_slots, sizeof *s->slots);
    s->order = ox_calloc(s->n_slots, sizeof(struct ox_slot *));
    s->samplers = ox_calloc(s->n_samplers, sizeof *s->samplers);
    s->rows = ox_calloc(s->max_rows, sizeof *s->rows);
    s->words = ox_calloc(s->engine->config.block, sizeof *s->words);
    if (s->slots == NULL || s->order == NULL || s->samplers == NULL || s->rows == NULL || s->words == NULL) {
        return ox_error_nomem(err, s->n_slots * sizeof *s->slots);
    }
    enum ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < s->n_samplers; i++) {
        status = ox_sampler_init(vocab, &s->samplers[i], err);
    }
    for (size_t i = 0; status == OX_OK && i < s->n_slots; i++) {
        status = ox_kv_init(s->pool, s->n_ctx, &s->slots[i].kv, err);
        if (status == OX_OK) {
            s->slots[i].n_drawn = ox_calloc(vocab, sizeof(uint32_t));
            status = s->slots[i].n_drawn != NULL ? OX_OK : ox_error_nomem(err, vocab * sizeof(uint32_t));
        }
    }
    return status;
}

static enum ox_status open_memory(struct oxcart_scheduler *s, enum ox_kv_format format, uint64_t kv_bytes,
                                  struct ox_error *err)
{
    const struct ox_model *model = &s->engine->model;
    s->max_rows = OX_SCHEDULER_ROWS + s->n_slots;
    enum ox_status status = ox_kv_layout_init(&s->engine->config, format, &s->layout, err);
    if (status == OX_OK) {
        status = size_pool(s, kv_bytes, err);
    }
    if (status == OX_OK) {
        const uint64_t state = ox_state_bytes(model, &s->layout, s->max_rows, s->n_slots, s->n_ctx);
        const uint64_t kv = (uint64_t)s->pool_blocks * s->layout.block_bytes;
        status = ox_engine_check_memory(s->engine, state > UINT64_MAX - kv ? UINT64_MAX : state + kv, err);
    }
    if (status == OX_OK) {
        status = ox_kv_pool_open(&s->layout, s->pool_blocks, &s->pool, err);
    }
    if (status == OX_OK) {
        status = ox_state_open(model, &s->layout, s->max_rows, s->n_slots, s->n_ctx, &s->state, err);
    }
    if (status == OX_OK) {
        status = ox_block_store_open(s->pool, &s->store, err);
    }
    return status == OX_OK ? open_slots(s, err) : status;
}

static void pass_message(void *user, enum ox_log_level level, const char *text)
{
    const struct oxcart_scheduler *s = user;
    if (s->message != NULL) {
        s->message(s->message_user, (enum oxcart_log_level)level, text);
    }
}

/* There is news: run looks again. The mutex is held. */
static void tell(struct oxcart_scheduler *s)
{
    s->n_news++;
    pthread_cond_broadcast(&s->wake);
}

/* The disk has done something. */
static void on_disk(void *user)
{
    struct oxcart_scheduler *s = user;
    pthread_mutex_lock(&s->mutex);
    tell(s);
    pthread_mutex_unlock(&s->mutex);
}

static enum ox_status open_disk(struct oxcart_scheduler *s, const char *folder, uint64_t limit_bytes,
                                struct ox_error *err)
{
    const struct ox_log log = {.message = pass_message, .user = s};
    struct ox_block_disk *disk = NULL;
    const enum ox_status status =
        ox_block_disk_open(folder, ox_engine_identity(s->engine, &s->layout), &s->layout, &log, on_disk, s, &disk, err);
    return status == OX_OK ? ox_block_store_use_disk(s->store, &disk, limit_bytes, err) : status;
}

static enum ox_status open_scheduler(struct oxcart_scheduler *s, const struct oxcart_scheduler_options *options,
                                     struct ox_error *err)
{
    const struct oxcart_session_options session = {.size = sizeof session, .n_ctx = options->n_ctx, .kv = options->kv};
    enum ox_kv_format format = OX_KV_BF16;
    s->n_slots = options->n_parallel > 0 ? (size_t)options->n_parallel : USUAL_PARALLEL;
    s->n_queue = options->n_queue > 0 ? (size_t)options->n_queue : USUAL_QUEUE;
    s->n_queue = options->n_queue < 0 ? 0 : s->n_queue;
    s->message = options->message;
    s->message_user = options->user;
    s->features.row_bytes = s->engine->config.hidden * sizeof(float);
    s->features.max_bytes = options->media_bytes > 0 ? (uint64_t)options->media_bytes : OX_PICTURES_BYTES;
    enum ox_status status = ox_session_choose(s->engine, &session, &s->n_ctx, &format, err);
    if (status == OX_OK) {
        status = open_memory(s, format, options->kv_bytes, err);
    }
    if (status == OX_OK && options->cache_dir != NULL) {
        status = open_disk(s, options->cache_dir, options->cache_bytes, err);
    }
    if (status == OX_OK) {
        ox_cost_init(&s->engine->config, &s->engine->weights, &s->cost);
        ox_pace_init(&s->pace, (options->max_stall_ms > 0 ? options->max_stall_ms : USUAL_STALL_MS) * 1e-3);
        s->stats.kv_bytes = (uint64_t)s->pool_blocks * s->layout.block_bytes;
    }
    return status;
}

enum oxcart_status oxcart_scheduler_open(struct oxcart_engine *engine, const struct oxcart_scheduler_options *options,
                                         struct oxcart_scheduler **out, struct oxcart_error *err)
{
    static const struct oxcart_scheduler_options usual = {.size = sizeof usual};
    struct ox_error inner = {0};
    const struct oxcart_scheduler_options *o = options != NULL ? options : &usual;
    struct oxcart_scheduler *s = NULL;
    enum ox_status status = check_options(o, &inner);
    if (status == OX_OK) {
        s = ox_calloc(1, sizeof *s);
        status = s != NULL ? OX_OK : ox_error_nomem(&inner, sizeof *s);
    }
    if (status == OX_OK) {
        s->engine = engine;
        pthread_mutex_init(&s->mutex, NULL);
        pthread_cond_init(&s->wake, NULL);
        status = open_scheduler(s, o, &inner);
    }
    if (status != OX_OK) {
        oxcart_scheduler_close(&s);
        return ox_export_error(&inner, err);
    }
    *out = s;
    return OXCART_OK;
}

/* ---- the end of a request -------------------------------------------------------------------------------------- */

static void free_request(struct ox_request *r)
{
    ox_generation_fini(&r->g);
    ox_free(r->media_keys);
    ox_prompt_release(r->prompt);
    ox_ids_fini(&r->drawn);
    ox_free(r);
}

/* Tell the caller and free it. The mutex is not held. */
static void end_request(struct ox_request *r, enum ox_status status, const struct ox_error *err)
{
    if (r->done != NULL) {
        struct oxcart_error public_err = {0};
        if (status != OX_OK) {
            (void)ox_export_error(err, &public_err);
        }
        r->g.result.size = sizeof r->g.result;
        const bool whole = status == OX_OK || status == OX_E_CANCELLED;
        r->done(r->user, (enum oxcart_status)status, whole ? &r->g.result : NULL, &public_err);
    }
    free_request(r);
}

static void end_cancelled(struct ox_request *r)
{
    struct ox_error err = {0};
    (void)ox_error_set(&err, OX_E_CANCELLED, "stopped by the caller");
    if (r->start_ns == 0) {
        r->g.result.queue_s = ox_clock_seconds(r->submit_ns, ox_clock_ns());
    }
    end_request(r, OX_E_CANCELLED, &err);
}

void oxcart_scheduler_close(struct oxcart_scheduler **scheduler)
{
    struct oxcart_scheduler *s = *scheduler;
    if (s == NULL) {
        return;
    }
    while (s->waiting != NULL) {
        struct ox_request *r = s->waiting;
        s->waiting = r->next;
        end_cancelled(r);
    }
    ox_scheduler_end_encoding(s, s->encoding.slot);
    ox_feature_cache_fini(&s->features);
    for (size_t i = 0; s->slots != NULL && i < s->n_slots; i++) {
        ox_kv_fini(&s->slots[i].kv);
        ox_free(s->slots[i].n_drawn);
    }
    for (size_t i = 0; s->samplers != NULL && i < s->n_samplers; i++) {
        ox_sampler_fini(&s->samplers[i]);
    }
    ox_free(s->slots);
    ox_free(s->order);
    ox_free(s->samplers);
    ox_free(s->rows);
    ox_free(s->words);
    ox_block_store_close(&s->store);
    ox_state_close(&s->state);
    ox_kv_pool_close(&s->pool);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->mutex);
    ox_free(s);
    *scheduler = NULL;
}

/* ---- handing in ------------------------------------------------------------------------------------------------ */

static enum ox_status make_request(struct oxcart_scheduler *s, const struct oxcart_request *given,
                                   struct ox_request **out, struct ox_error *err)
{
    if (given->size != sizeof *given || given->prompt == NULL) {
        return ox_error_set(err, OX_E_ARG, "request: size or prompt is not set");
    }
    struct oxcart_prompt *prompt = given->prompt;
    if (prompt->ids.len >= s->n_ctx) {
        return ox_error_set(err, OX_E_STATE,
                            "context full: the prompt has %zu tokens, with an answer the context has room for %zu "
                            "(ctx-size)",
                            prompt->ids.len, s->n_ctx);
    }
    struct ox_request *r = ox_calloc(1, sizeof *r);
    if (r == NULL) {
        return ox_error_nomem(err, sizeof *r);
    }
    enum ox_status status = ox_generation_init(s->engine, given->sampling, prompt->chat, prompt->tools,
                                               prompt->starts_in_reasoning, prompt->ids.ptr[prompt->ids.len - 1],
                                               given->handler, given->user, &r->g, err);
    if (status != OX_OK) {
        ox_free(r);
        return status;
    }
    r->prompt = ox_prompt_keep(prompt);
    status = ox_request_hash_media(s, r, err);
    if (status != OX_OK) {
        free_request(r);
        return status;
    }
    r->done = given->done;
    r->user = given->user;
    r->submit_ns = ox_clock_ns();
    r->g.result.n_prompt = (int32_t)prompt->ids.len;
    r->seen.client = given->client;
    r->seen.n_prompt = (int32_t)prompt->ids.len;
    *out = r;
    return OX_OK;
}

/* A client's requests stand in rounds: its next one comes after those it has already, and one of a client that has none
 * in the round that is being served. The mutex is held, as below. */
static uint64_t next_round(const struct oxcart_scheduler *s, uint64_t client)
{
    uint64_t round = s->round;
    for (const struct ox_request *r = s->waiting; r != NULL; r = r->next) {
        if (r->seen.client == client && r->round >= round) {
            round = r->round + 1;
        }
    }
    for (size_t i = 0; i < s->n_slots; i++) {
        const struct ox_request *r = s->slots[i].request;
        if (r != NULL && r->seen.client == client && r->round >= round) {
            round = r->round + 1;
        }
    }
    return round;
}

static size_t count_free_slots(const struct oxcart_scheduler *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_slots; i++) {
        n += s->slots[i].request == NULL ? 1 : 0;
    }
    return n;
}

static enum ox_status enqueue(struct oxcart_scheduler *s, struct ox_request *r, struct ox_error *err)
{
    if (s->stopping) {
        return ox_error_set(err, OX_E_CANCELLED, "no new requests are taken: the scheduler is being stopped");
    }
    if (s->n_waiting >= s->n_queue + count_free_slots(s)) {
        s->stats.n_refused++;
        return ox_error_set(err, OX_E_BUSY, "busy: %zu requests are running and %zu waiting (parallel, queue)",
                            s->n_slots, s->n_waiting);
    }
    r->seen.ticket = ++s->next_ticket;
    r->round = next_round(s, r->seen.client);
    struct ox_request **at = &s->waiting;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = r;
    s->n_waiting++;
    s->stats.n_requests++;
    tell(s);
    return OX_OK;
}

enum oxcart_status oxcart_scheduler_submit(struct oxcart_scheduler *scheduler, const struct oxcart_request *request,
                                           uint64_t *ticket, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    struct ox_request *r = NULL;
    enum ox_status status = make_request(scheduler, request, &r, &inner);
    if (status != OX_OK) {
        return ox_export_error(&inner, err);
    }
    pthread_mutex_lock(&scheduler->mutex);
    status = enqueue(scheduler, r, &inner);
    if (status == OX_OK && ticket != NULL) {
        *ticket = r->seen.ticket;
    }
    pthread_mutex_unlock(&scheduler->mutex);
    if (status != OX_OK) {
        free_request(r);
        return ox_export_error(&inner, err);
    }
    return OXCART_OK;
}

void oxcart_scheduler_cancel(struct oxcart_scheduler *scheduler, uint64_t ticket)
{
    pthread_mutex_lock(&scheduler->mutex);
    for (struct ox_request *r = scheduler->waiting; r != NULL; r = r->next) {
        r->cancelled = r->cancelled || r->seen.ticket == ticket;
    }
    for (size_t i = 0; i < scheduler->n_slots; i++) {
        struct ox_request *r = scheduler->slots[i].request;
        if (r != NULL && r->seen.ticket == ticket) {
            r->cancelled = true;
        }
    }
    tell(scheduler);
    pthread_mutex_unlock(&scheduler->mutex);
}

void oxcart_scheduler_stop(struct oxcart_scheduler *scheduler, enum oxcart_stop how)
{
    pthread_mutex_lock(&scheduler->mutex);
    scheduler->stopping = true;
    scheduler->stop_now = scheduler->stop_now || how == OXCART_STOP_NOW;
    tell(scheduler);
    pthread_mutex_unlock(&scheduler->mutex);
}

/* ---- looking in ------------------------------------------------------------------------------------------------ */

static size_t count_running(const struct oxcart_scheduler *s)
{
    return s->n_slots - count_free_slots(s);
}

enum oxcart_status oxcart_scheduler_stats(struct oxcart_scheduler *scheduler, struct oxcart_scheduler_stats *stats)
{
    if (stats->size != sizeof *stats) {
        return OXCART_E_ARG;
    }
    pthread_mutex_lock(&scheduler->mutex);
    *stats = scheduler->stats;
    stats->size = sizeof *stats;
    stats->n_running = (int32_t)count_running(scheduler);
    stats->n_waiting = (int32_t)scheduler->n_waiting;
    pthread_mutex_unlock(&scheduler->mutex);
    return OXCART_OK;
}

static void copy_slot(const struct ox_request *r, struct oxcart_slot *slots, size_t n, size_t *used)
{
    if (*used < n) {
        slots[*used] = r->seen;
        slots[*used].age_s = ox_clock_seconds(r->submit_ns, ox_clock_ns());
    }
    (*used)++;
}

size_t oxcart_scheduler_slots(struct oxcart_scheduler *scheduler, struct oxcart_slot *slots, size_t n)
{
    size_t used = 0;
    pthread_mutex_lock(&scheduler->mutex);
    for (size_t i = 0; i < scheduler->n_slots; i++) {
        if (scheduler->slots[i].request != NULL) {
            copy_slot(scheduler->slots[i].request, slots, n, &used);
        }
    }
    for (const struct ox_request *r = scheduler->waiting; r != NULL; r = r->next) {
        copy_slot(r, slots, n, &used);
    }
    pthread_mutex_unlock(&scheduler->mutex);
    return used;
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

/* The waiting request whose turn it is, taken from the queue: the lowest round, the first of it. */
static struct ox_request *take_next(struct oxcart_scheduler *s)
{
    struct ox_request **best = &s->waiting;
    for (struct ox_request **at = &s->waiting; *at != NULL; at = &(*at)->next) {
        if ((*at)->round < (*best)->round) {
            best = at;
        }
    }
    struct ox_request *r = *best;
    *best = r->next;
    r->next = NULL;
    s->n_waiting--;
    return r;
}

static void admit(struct oxcart_scheduler *s)
{
    for (size_t i = 0; i < s->n_slots && s->waiting != NULL; i++) {
        struct ox_slot *slot = &s->slots[i];
        if (slot->request == NULL) {
            struct ox_request *r = take_next(s);
            s->round = r->round;
            slot->request = r;
            slot->served = 0;
            memset(slot->n_drawn, 0, s->engine->config.vocab * sizeof *slot->n_drawn);
            r->g.n_drawn = slot->n_drawn;
        }
    }
}

/* Requests that end now, in a list: cancelled ones and those that are over. Their slots are free afterwards. */
static struct ox_request *collect_ended(struct oxcart_scheduler *s)
{
    struct ox_request *ended = NULL;
    for (struct ox_request **at = &s->waiting; *at != NULL;) {
        struct ox_request *r = *at;
        if (r->cancelled || s->stop_now) {
            *at = r->next;
            s->n_waiting--;
            r->next = ended;
            r->status = OX_E_CANCELLED;
            ended = r;
        } else {
            at = &r->next;
        }
    }
    for (size_t i = 0; i < s->n_slots; i++) {
        struct ox_slot *slot = &s->slots[i];
        struct ox_request *r = slot->request;
        if (r == NULL || !(r->over || r->status != OX_OK || r->cancelled || s->stop_now)) {
            continue;
        }
        r->status = !r->over && r->status == OX_OK ? OX_E_CANCELLED : r->status;
        r->next = ended;
        ended = r;
        ox_scheduler_clear_slot(s, slot);
    }
    for (const struct ox_request *r = ended; r != NULL; r = r->next) {
        s->stats.n_done++;
        s->stats.n_cancelled += r->status == OX_E_CANCELLED ? 1 : 0;
    }
    return ended;
}

static void end_all(struct ox_request *ended)
{
    while (ended != NULL) {
        struct ox_request *next = ended->next;
        if (ended->status == OX_E_CANCELLED) {
            end_cancelled(ended);
        } else {
            end_request(ended, ended->status, &ended->err);
        }
        ended = next;
    }
}

static void copy_store_stats(struct oxcart_scheduler *s)
{
    struct ox_store_stats store;
    ox_block_store_stats(s->store, &store);
    const size_t n_used = s->pool_blocks - ox_kv_pool_n_free(s->pool);
    s->stats.kv_used_bytes = (uint64_t)n_used * s->layout.block_bytes;
    s->stats.kv_shared_bytes = (uint64_t)ox_block_store_n_unused(s->store) * s->layout.block_bytes;
    s->stats.media_used_bytes = s->features.bytes;
    s->stats.n_encoded = s->n_encoded;
    s->stats.cache_bytes = store.disk_bytes;
    s->stats.cache_limit_bytes = store.disk_limit_bytes;
    s->stats.read_blocks = store.n_read;
    s->stats.written_blocks = store.n_written;
    s->stats.bad_blocks = store.n_bad;
    s->stats.dropped_blocks = store.n_dropped;
}

/* Where nobody lends a thread for the disk, do one of its jobs; false if there is none or somebody does. */
static bool work_for_disk(struct oxcart_scheduler *s)
{
    struct ox_block_disk *disk = ox_block_store_disk(s->store);
    return disk != NULL && !ox_block_disk_is_attended(disk) && ox_block_disk_work(disk, false);
}

/* One round between two looks at the queue; returns whether anything moved. The mutex is not held. */
static bool go_on(struct oxcart_scheduler *s, struct ox_request *ended, bool busy)
{
    bool moved = ended != NULL;
    end_all(ended);
    moved = ox_block_store_collect(s->store, false) || moved;
    moved = (busy && ox_scheduler_pass(s)) || moved;
    return work_for_disk(s) || moved;
}

/* Everything is answered: what is to be written is handed to the disk, which then may end. */
static void finish_disk(struct oxcart_scheduler *s)
{
    struct ox_block_disk *disk = ox_block_store_disk(s->store);
    if (disk == NULL) {
        return;
    }
    (void)ox_block_store_collect(s->store, true);
    ox_block_disk_stop(disk);
    while (work_for_disk(s)) {
    }
}

void oxcart_scheduler_run(struct oxcart_scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->mutex);
    for (;;) {
        const uint64_t seen = scheduler->n_news;
        struct ox_request *ended = collect_ended(scheduler);
        admit(scheduler);
        copy_store_stats(scheduler);
        const bool busy = count_running(scheduler) > 0;
        if (ended == NULL && !busy && scheduler->stopping) {
            break;
        }
        pthread_mutex_unlock(&scheduler->mutex);
        const bool moved = go_on(scheduler, ended, busy);
        pthread_mutex_lock(&scheduler->mutex);
        while (!moved && scheduler->n_news == seen) {
            pthread_cond_wait(&scheduler->wake, &scheduler->mutex);
        }
    }
    pthread_mutex_unlock(&scheduler->mutex);
    finish_disk(scheduler);
}

void oxcart_scheduler_run_disk(struct oxcart_scheduler *scheduler)
{
    struct ox_block_disk *disk = ox_block_store_disk(scheduler->store);
    if (disk == NULL) {
        return;
    }
    ox_block_disk_attend(disk, true);
    while (ox_block_disk_work(disk, true)) {
    }
    ox_block_disk_attend(disk, false);
}
