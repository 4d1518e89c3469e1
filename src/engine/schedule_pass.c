/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass of the scheduler: rows are chosen, computed, tokens drawn from them and handed on, and full blocks made known
 * to the store. Runs without the mutex: what it touches belongs to the engine's thread.
 */
#include <string.h>

#include "engine/scheduler.h"
#include "os/clock.h"

/* Blocks of a history that are read at a time, so that the next ones come while the first are used. */
#define READ_AHEAD 64

size_t ox_request_n_tokens(const struct ox_request *request)
{
    return request->prompt->ids.len + request->drawn.len;
}

static int32_t token_at(const struct ox_request *r, size_t pos)
{
    const size_t n_prompt = r->prompt->ids.len;
    return pos < n_prompt ? r->prompt->ids.ptr[pos] : r->drawn.ptr[pos - n_prompt];
}

/* What the store knows block b of the slot's timeline by. */
static const uint64_t *words_of(struct oxcart_scheduler *s, const struct ox_slot *slot, size_t b)
{
    const size_t block = s->layout.block;
    for (size_t i = 0; i < block; i++) {
        const size_t pos = b * block + i;
        s->words[i] = ox_request_word(slot->request, pos, token_at(slot->request, pos));
    }
    return s->words;
}

static bool is_answering(const struct ox_slot *slot)
{
    return slot->request->drawn.len > 0 && ox_request_n_tokens(slot->request) - slot->kv.n_tokens == 1;
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static void give_memory(struct ox_slot *slot)
{
    ox_kv_rewind(&slot->kv, 0);
    slot->last = NULL;
    slot->n_chained = 0;
}

void ox_scheduler_clear_slot(struct oxcart_scheduler *scheduler, struct ox_slot *slot)
{
    ox_scheduler_end_encoding(scheduler, slot);
    ox_block_store_touch(scheduler->store, slot->last);
    give_memory(slot);
    slot->request = NULL;
}

/* The youngest request that may have to give its memory to `slot`: younger, and not in the pass in hand. */
static struct ox_slot *find_victim(const struct oxcart_scheduler *s, const struct ox_slot *slot)
{
    struct ox_slot *victim = NULL;
    for (size_t i = s->n_slots; i > 0; i--) {
        struct ox_slot *other = s->order[i - 1];
        if (other == slot) {
            break;
        }
        if (other->request != NULL && other->n_rows == 0 && other->kv.n_blocks > 0) {
            victim = other;
            break;
        }
    }
    return victim;
}

static size_t blocks_for(const struct oxcart_scheduler *s, size_t n_tokens)
{
    return (n_tokens + s->layout.block - 1) / s->layout.block;
}

/* Room in the slot's timeline for n more tokens; false if older requests hold all memory. */
static bool make_room(struct oxcart_scheduler *s, struct ox_slot *slot, size_t n)
{
    const size_t need = blocks_for(s, slot->kv.n_tokens + n) - slot->kv.n_blocks;
    while (ox_kv_pool_n_free(s->pool) < need) {
        if (ox_block_store_evict(s->store)) {
            continue;
        }
        struct ox_slot *victim = find_victim(s, slot);
        if (victim == NULL) {
            return false;
        }
        give_memory(victim);
        s->n_paused++;
    }
    return ox_kv_reserve(&slot->kv, n, NULL) == OX_OK;
}

/* A request begins, or begins again, when all of it fits beside what others hold; the oldest begins anyway. */
static bool may_begin(const struct oxcart_scheduler *s, const struct ox_slot *slot)
{
    const size_t need = blocks_for(s, ox_request_n_tokens(slot->request)) + 1;
    return slot == s->order[0] || ox_kv_pool_n_free(s->pool) + ox_block_store_n_unused(s->store) >= need;
}

/* Begin to read b and what follows it in the slot's history, as far as is known and READ_AHEAD allows. True if any of it
 * is being read. */
static bool read_ahead(struct oxcart_scheduler *s, const struct ox_slot *slot, struct ox_block *b)
{
    const size_t n_whole = (ox_request_n_tokens(slot->request) - 1) / s->layout.block;
    bool reading = false;
    size_t at = slot->n_chained + 1;
    for (size_t i = 0; i < READ_AHEAD && b != NULL; i++) {
        if (!b->in_memory && b->disk == OX_ON_DISK && !ox_block_store_read(s->store, b)) {
            break;
        }
        reading = reading || b->disk == OX_BEING_READ;
        b = at < n_whole ? ox_block_store_find(s->store, b, words_of(s, slot, at)) : NULL;
        at++;
    }
    return reading;
}

/* Go as far as known blocks reach, but compute the last token, because its logits are wanted. Blocks that are on disk
 * are waited for (slot->reading). */
static void use_known(struct oxcart_scheduler *s, struct ox_slot *slot)
{
    const size_t block = s->layout.block;
    struct ox_request *r = slot->request;
    while (slot->kv.n_tokens == slot->n_chained * block && slot->kv.n_tokens + block < ox_request_n_tokens(r)) {
        struct ox_block *known = ox_block_store_find(s->store, slot->last, words_of(s, slot, slot->n_chained));
        if (known == NULL) {
            break;
        }
        if (!known->in_memory) {
            slot->reading = read_ahead(s, slot, known);
            break;
        }
        if (ox_kv_adopt(&slot->kv, known->memory_id, NULL) != OX_OK) {
            break;
        }
        slot->last = known;
        slot->n_chained++;
    }
    if (slot->kv.n_tokens > r->n_reached) {
        r->g.result.n_cached += (int32_t)(slot->kv.n_tokens - r->n_reached);
        r->n_reached = slot->kv.n_tokens;
    }
}

/* Make the timeline's full blocks known; one that another request computed meanwhile is shared. */
static void keep_blocks(struct oxcart_scheduler *s, struct ox_slot *slot)
{
    const size_t block = s->layout.block;
    while ((slot->n_chained + 1) * block <= slot->kv.n_tokens) {
        const size_t b = slot->n_chained;
        struct ox_block *known = ox_block_store_add(s->store, slot->last, words_of(s, slot, b), slot->kv.block_ids[b]);
        if (known == NULL) {
            return;
        }
        if (known->memory_id != slot->kv.block_ids[b]) {
            ox_kv_exchange(&slot->kv, b, known->memory_id);
        }
        slot->last = known;
        slot->n_chained++;
    }
}

/* ---- choosing rows --------------------------------------------------------------------------------------------- */

/* The slots that are used, the oldest request first; then the others. */
static void put_in_order(struct oxcart_scheduler *s)
{
    for (size_t i = 0; i < s->n_slots; i++) {
        struct ox_slot *slot = &s->slots[i];
        slot->n_rows = 0;
        slot->logits = NULL;
        size_t at = i;
        while (at > 0 && slot->request != NULL &&
               (s->order[at - 1]->request == NULL ||
                s->order[at - 1]->request->seen.ticket > slot->request->seen.ticket)) {
            s->order[at] = s->order[at - 1];
            at--;
        }
        s->order[at] = slot;
    }
}

static void add_rows(struct oxcart_scheduler *s, struct ox_slot *slot, size_t n)
{
    struct ox_request *r = slot->request;
    const size_t total = ox_request_n_tokens(r);
    for (size_t i = 0; i < n; i++) {
        const size_t pos = slot->kv.n_tokens + i;
        const float *embedding = ox_scheduler_embedding(s, r, pos);
        s->rows[s->n_rows++] = (struct ox_row){
            .id = token_at(r, pos), .kv = &slot->kv, .embedding = embedding, .want_logits = pos + 1 == total};
        r->g.result.n_media += embedding != NULL ? 1 : 0;
    }
    slot->n_rows = n;
}

static void add_answers(struct oxcart_scheduler *s)
{
    for (size_t i = 0; i < s->n_slots && s->order[i]->request != NULL; i++) {
        struct ox_slot *slot = s->order[i];
        if (is_answering(slot) && make_room(s, slot, 1)) {
            add_rows(s, slot, 1);
            s->n_beside++;
        }
    }
}

/* When a prompt of this slot's client was worked on last. */
static uint64_t client_served(const struct oxcart_scheduler *s, const struct ox_slot *slot)
{
    uint64_t served = 0;
    for (size_t i = 0; i < s->n_slots; i++) {
        const struct ox_slot *other = &s->slots[i];
        if (other->request != NULL && other->request->seen.client == slot->request->seen.client &&
            other->served > served) {
            served = other->served;
        }
    }
    return served;
}

/* The prompt to work on next: of the client that waits longest, its oldest; NULL if there is none. */
static struct ox_slot *next_prompt(const struct oxcart_scheduler *s)
{
    struct ox_slot *best = NULL;
    for (size_t i = 0; i < s->n_slots && s->order[i]->request != NULL; i++) {
        struct ox_slot *slot = s->order[i];
        if (slot->n_rows == 0 && !slot->tried && !is_answering(slot) &&
            (best == NULL || client_served(s, slot) < client_served(s, best))) {
            best = slot;
        }
    }
    return best;
}

/* How much a row of the slot's prompt costs, compared with one at the beginning of a context. */
static double weight_of(const struct oxcart_scheduler *s, const struct ox_slot *slot, size_t n)
{
    return ox_cost_flops(&s->cost, slot->kv.n_tokens, n, 0) / ox_cost_flops(&s->cost, 0, 1, 0);
}

static void add_piece(struct oxcart_scheduler *s, struct ox_slot *slot)
{
    struct ox_request *r = slot->request;
    slot->tried = true;
    if (slot->kv.n_tokens == 0 && !may_begin(s, slot)) {
        return;
    }
    if (r->start_ns == 0) {
        r->start_ns = ox_clock_ns();
    }
    use_known(s, slot);
    if (slot->reading) {
        return;
    }
    const size_t left = ox_request_n_tokens(r) - slot->kv.n_tokens;
    const size_t most = left < OX_SCHEDULER_ROWS ? left : OX_SCHEDULER_ROWS;
    const double weight = weight_of(s, slot, most);
    const size_t fit = s->n_beside > 0 ? ox_pace_rows(&s->pace, weight, OX_SCHEDULER_ROWS) : OX_SCHEDULER_ROWS;
    const size_t ready = ox_scheduler_ready_rows(s, slot, most);
    if (s->tower_turn || ready == 0 || fit <= s->n_piece) {
        return;
    }
    const size_t n = ready < fit - s->n_piece ? ready : fit - s->n_piece;
    if (!make_room(s, slot, n)) {
        return;
    }
    slot->served = ++s->n_pieces;
    add_rows(s, slot, n);
    s->piece_weight = (s->piece_weight * (double)s->n_piece + weight * (double)n) / (double)(s->n_piece + n);
    s->n_piece += n;
}

static void choose_rows(struct oxcart_scheduler *s)
{
    s->n_rows = 0;
    s->n_piece = 0;
    s->piece_weight = 1.0;
    s->n_beside = 0;
    put_in_order(s);
    add_answers(s);
    s->tower_turn = s->encoding.slot != NULL && s->n_beside > 0 && s->tower_waited;
    for (size_t i = 0; i < s->n_slots; i++) {
        s->slots[i].tried = false;
        s->slots[i].reading = false;
    }
    for (struct ox_slot *slot = next_prompt(s); slot != NULL && s->n_piece < OX_SCHEDULER_ROWS; slot = next_prompt(s)) {
        add_piece(s, slot);
    }
}

/* ---- tokens ---------------------------------------------------------------------------------------------------- */

static void draw_share(void *argument, const struct ox_worker *worker)
{
    struct oxcart_scheduler *s = argument;
    for (size_t i = worker->i_worker; worker->i_worker < s->n_samplers && i < s->n_slots; i += s->n_samplers) {
        struct ox_slot *slot = &s->slots[i];
        if (slot->logits != NULL) {
            struct ox_request *r = slot->request;
            r->status = ox_generation_draw(&r->g, &s->samplers[worker->i_worker], slot->logits, ox_request_n_tokens(r),
                                           &slot->id, &r->err);
        }
    }
}

/* Compute the rows and draw from them. The engine is ours meanwhile. */
static void compute(struct oxcart_scheduler *s)
{
    const float *logits = NULL;
    pthread_mutex_lock(&s->engine->turn);
    ox_forward(&s->engine->model, s->state, s->rows, s->n_rows, NULL, &logits);
    /* logits stand in the order of rows: find each row's slot by its timeline */
    for (size_t t = 0; t < s->n_rows; t++) {
        if (s->rows[t].want_logits) {
            for (size_t i = 0; i < s->n_slots; i++) {
                s->slots[i].logits = &s->slots[i].kv == s->rows[t].kv ? logits : s->slots[i].logits;
            }
            logits += s->engine->config.vocab;
        }
    }
    ox_team_run(s->engine->team, draw_share, s);
    pthread_mutex_unlock(&s->engine->turn);
}

static enum ox_status take_token(struct oxcart_scheduler *s, struct ox_slot *slot, struct ox_error *err)
{
    struct ox_request *r = slot->request;
    if (slot->id < 0) {
        r->over = true;
        return ox_generation_finish(&r->g, err);
    }
    if (ox_ids_add(&r->drawn, slot->id) != 0) {
        return ox_error_nomem(err, r->drawn.len * sizeof slot->id);
    }
    const uint64_t now = ox_clock_ns();
    struct oxcart_result *result = &r->g.result;
    if (r->drawn.len == 1) {
        result->queue_s = ox_clock_seconds(r->submit_ns, r->start_ns);
        result->prompt_s = ox_clock_seconds(r->start_ns, now);
        result->first_s = result->prompt_s;
        r->first_ns = now;
    } else {
        const double pause = ox_clock_seconds(r->token_ns, now);
        const bool others = s->n_piece > 0 || s->encode_s > 0.0;
        s->longest_pause_s = others && pause > s->longest_pause_s ? pause : s->longest_pause_s;
    }
    r->token_ns = now;
    result->generate_s = ox_clock_seconds(r->first_ns, now);
    enum ox_status status = ox_generation_take(&r->g, slot->id, err);
    r->over = ox_generation_is_over(&r->g) || ox_request_n_tokens(r) >= s->n_ctx;
    if (status == OX_OK && r->over) {
        status = ox_generation_finish(&r->g, err);
    }
    return status;
}

/* Let other threads see how far things are. */
static void publish(struct oxcart_scheduler *s)
{
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->n_slots; i++) {
        const struct ox_slot *slot = &s->slots[i];
        struct ox_request *r = slot->request;
        if (r == NULL) {
            continue;
        }
        const size_t n_prompt = r->prompt->ids.len;
        r->seen.n_prompt_done = (int32_t)(slot->kv.n_tokens < n_prompt ? slot->kv.n_tokens : n_prompt);
        r->seen.n_generated = r->g.result.n_generated;
        const bool begun = slot->kv.n_tokens > 0 || s->encoding.slot == slot;
        r->seen.state = begun ? OXCART_SLOT_PROMPT : OXCART_SLOT_WAITING;
        r->seen.state = slot->reading ? OXCART_SLOT_READING : r->seen.state;
        r->seen.state = is_answering(slot) ? OXCART_SLOT_ANSWERING : r->seen.state;
        s->stats.n_cached_tokens += (uint64_t)(r->g.result.n_cached - r->n_cached_seen);
        r->n_cached_seen = r->g.result.n_cached;
        s->stats.n_generated_tokens += slot->logits != NULL ? 1 : 0;
    }
    s->stats.n_prompt_tokens += s->n_piece;
    s->stats.n_passes += s->n_rows > 0 ? 1 : 0;
    s->stats.pass_s += s->pass_s;
    s->stats.n_paused = s->n_paused;
    s->stats.longest_pause_s = s->longest_pause_s;
    pthread_mutex_unlock(&s->mutex);
}

/* Let the tower work before the rows are computed; beside answers, only where no prompt is worked on. */
static void encode(struct oxcart_scheduler *s)
{
    s->encode_s = 0.0;
    if (s->encoding.slot != NULL && (s->n_beside == 0 || s->n_piece == 0)) {
        s->encode_s = ox_scheduler_encode(s);
    }
    s->tower_waited = s->encode_s <= 0.0;
}

/* Has a request failed before anything was computed for it? */
static bool any_failed(const struct oxcart_scheduler *s)
{
    bool any = false;
    for (size_t i = 0; i < s->n_slots; i++) {
        any = any || (s->slots[i].request != NULL && s->slots[i].request->status != OX_OK);
    }
    return any;
}

bool ox_scheduler_pass(struct oxcart_scheduler *s)
{
    const uint64_t begin = ox_clock_ns();
    choose_rows(s);
    encode(s);
    s->pass_s = 0.0;
    if (s->n_rows == 0) {
        publish(s);
        return s->encode_s > 0.0 || any_failed(s);
    }
    compute(s);
    for (size_t i = 0; i < s->n_slots && s->order[i]->request != NULL; i++) {
        struct ox_slot *slot = s->order[i];
        struct ox_request *r = slot->request;
        if (slot->n_rows > 0) {
            keep_blocks(s, slot);
            r->n_reached = slot->kv.n_tokens > r->n_reached ? slot->kv.n_tokens : r->n_reached;
        }
        if (slot->logits != NULL && r->status == OX_OK) {
            r->status = take_token(s, slot, &r->err);
        }
    }
    s->pass_s = ox_clock_seconds(begin, ox_clock_ns()) - s->encode_s;
    ox_pace_learn(&s->pace, s->n_piece, s->piece_weight, s->n_beside > 0, s->pass_s);
    publish(s);
    return true;
}
