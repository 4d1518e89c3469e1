/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures and clips of running requests: how they are told apart, whose turn in the tower it is, and how long it may work
 * beside running answers. One is encoded at a time, in pieces between passes; what is encoded already is used meanwhile.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/scheduler.h"
#include "os/clock.h"

enum ox_status ox_request_hash_media(const struct oxcart_scheduler *s, struct ox_request *r, struct ox_error *err)
{
    const struct ox_pictures *pictures = &r->prompt->pictures;
    r->media_keys = ox_calloc(pictures->n, sizeof *r->media_keys);
    if (r->media_keys == NULL) {
        return ox_error_nomem(err, pictures->n * sizeof *r->media_keys);
    }
    for (size_t i = 0; i < pictures->n; i++) {
        r->media_keys[i] = ox_picture_hash(pictures->list[i], ox_block_store_root(s->store));
    }
    return OX_OK;
}

uint64_t ox_request_word(const struct ox_request *r, size_t pos, int32_t id)
{
    const struct ox_span *span = ox_spans_find(&r->prompt->spans, pos);
    if (span == NULL) {
        return ox_block_word(id);
    }
    return ox_block_media_word(ox_picture_row_hash(r->media_keys[span->picture->i], span->row + pos - span->begin));
}

static struct ox_features *features_of(struct oxcart_scheduler *s, const struct ox_request *r,
                                       const struct ox_span *span)
{
    return ox_feature_cache_find(&s->features, r->media_keys[span->picture->i]);
}

const float *ox_scheduler_embedding(struct oxcart_scheduler *s, const struct ox_request *r, size_t pos)
{
    const struct ox_span *span = ox_spans_find(&r->prompt->spans, pos);
    if (span == NULL) {
        return NULL;
    }
    const struct ox_features *features = features_of(s, r, span);
    const size_t row = span->row + pos - span->begin;
    OX_CHECK(features != NULL && row < features->n_done);
    return features->rows + row * s->engine->config.hidden;
}

/* ---- room ------------------------------------------------------------------------------------------------------ */

/* Has the slot's request pictures that are still to be computed? */
static bool wants_media(const struct ox_slot *slot)
{
    const struct ox_spans *spans = &slot->request->prompt->spans;
    const struct ox_span *last = spans->len > 0 ? &spans->ptr[spans->len - 1] : NULL;
    return last != NULL && last->begin + last->n > slot->kv.n_tokens;
}

/* What requests that have begun still need stays. */
static void mark_needed(struct oxcart_scheduler *s)
{
    for (size_t i = 0; i < s->features.n; i++) {
        s->features.list[i]->needed = false;
    }
    for (size_t i = 0; i < s->n_slots; i++) {
        const struct ox_slot *slot = &s->slots[i];
        const struct ox_request *r = slot->request;
        for (size_t j = 0; r != NULL && r->start_ns != 0 && j < r->prompt->spans.len; j++) {
            const struct ox_span *span = &r->prompt->spans.ptr[j];
            struct ox_features *features = span->begin + span->n > slot->kv.n_tokens ? features_of(s, r, span) : NULL;
            if (features != NULL) {
                features->needed = true;
            }
        }
    }
}

/* Room for so many bytes of features. The oldest request with pictures gets it anyway, so that some request goes on. */
static bool make_room(struct oxcart_scheduler *s, const struct ox_slot *slot, uint64_t bytes)
{
    size_t first = 0;
    while (s->order[first] != slot && !wants_media(s->order[first])) {
        first++;
    }
    mark_needed(s);
    while (s->features.bytes + bytes > s->features.max_bytes && ox_feature_cache_forget(&s->features)) {
    }
    return s->features.bytes + bytes <= s->features.max_bytes || s->order[first] == slot;
}

/* ---- encoding -------------------------------------------------------------------------------------------------- */

void ox_scheduler_end_encoding(struct oxcart_scheduler *s, const struct ox_slot *slot)
{
    if (slot != NULL && s->encoding.slot == slot) {
        ox_picture_encoder_close(&s->encoding.encoder);
        memset(&s->encoding, 0, sizeof s->encoding);
    }
}

static enum ox_status open_encoding(struct oxcart_scheduler *s, const struct ox_picture *picture, struct ox_hash key,
                                    struct ox_error *err)
{
    struct ox_encoding *e = &s->encoding;
    enum ox_status status = OX_OK;
    e->features = ox_feature_cache_find(&s->features, key);
    if (e->features == NULL) {
        float *rows = NULL;
        status = ox_picture_new_features(s->engine, picture, &rows, err);
        if (status == OX_OK) {
            status = ox_feature_cache_add(&s->features, key, rows, picture->n_features, &e->features, err);
        }
        if (status != OX_OK) {
            ox_free(rows);
            return status;
        }
    }
    e->features->needed = true;
    return ox_picture_encoder_open(s->engine, &picture->media, e->features->rows, e->features->n_done, &e->encoder, err);
}

/* Begin to encode picture for the slot if the tower is free and there is room. Without memory the request ends. */
static void begin_encoding(struct oxcart_scheduler *s, struct ox_slot *slot, const struct ox_picture *picture)
{
    struct ox_request *r = slot->request;
    const struct ox_hash key = r->media_keys[picture->i];
    if (s->encoding.slot != NULL) {
        return;
    }
    const bool there = ox_feature_cache_find(&s->features, key) != NULL;
    if (!make_room(s, slot, there ? 0 : (uint64_t)picture->n_features * s->features.row_bytes)) {
        return;
    }
    enum ox_status status = open_encoding(s, picture, key, &r->err);
    while (status == OX_E_NOMEM && ox_feature_cache_forget(&s->features)) {
        status = open_encoding(s, picture, key, &r->err);
    }
    if (status != OX_OK) {
        r->status = status;
        return;
    }
    s->encoding.slot = slot;
}

size_t ox_scheduler_ready_rows(struct oxcart_scheduler *s, struct ox_slot *slot, size_t n)
{
    const struct ox_spans *spans = &slot->request->prompt->spans;
    const size_t from = slot->kv.n_tokens;
    for (size_t i = 0; i < spans->len && spans->ptr[i].begin < from + n; i++) {
        const struct ox_span *span = &spans->ptr[i];
        if (span->begin + span->n <= from) {
            continue;
        }
        const struct ox_features *features = features_of(s, slot->request, span);
        const size_t n_done = features != NULL && features->n_done > span->row ? features->n_done - span->row : 0;
        const size_t ready = span->begin + n_done;
        if (n_done < span->n && ready < from + n) {
            begin_encoding(s, slot, span->picture);
            return ready > from ? ready - from : 0;
        }
    }
    return n;
}

double ox_scheduler_encode(struct oxcart_scheduler *s)
{
    struct ox_encoding *e = &s->encoding;
    const double room = ox_pace_room(&s->pace);
    const uint64_t begin = ox_clock_ns();
    double longest = 0.0;
    double total = 0.0;
    bool more = true;
    while (more && total + longest <= room) {
        more = ox_picture_encoder_advance(&e->encoder, 1);
        const double now = ox_clock_seconds(begin, ox_clock_ns());
        longest = now - total > longest ? now - total : longest;
        total = now;
    }
    e->features->n_done = ox_picture_encoder_n_done(&e->encoder);
    e->slot->served = ++s->n_pieces;
    e->slot->request->g.result.media_s += total;
    if (!more) {
        s->n_encoded++;
        ox_scheduler_end_encoding(s, e->slot);
    }
    return total;
}
