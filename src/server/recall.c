/* SPDX-License-Identifier: Apache-2.0
 *
 * Kept replies: a table by the first call's id, a list by use. Readers hold a reference while they compare, so that the
 * lock is held for look-ups only.
 */
#include "server/recall.h"

#include <pthread.h>

#include "base/ckd.h"
#include "base/json.h"
#include "base/mem.h"
#include "server/api.h"

#define N_BUCKETS ((size_t)8192)

/* A kept reply. Its texts stand one behind the other: reasoning, content, then id, name and arguments of each call. */
struct kept {
    struct kept *next; /* in its bucket */
    struct kept *newer;
    struct kept *older;
    size_t n_users; /* the store, and those who compare */
    size_t bytes;
    struct ox_buf text;
    size_t *ends; /* [2 + 3 * n_calls] in text */
    size_t n_calls;
    int32_t *ids; /* [n_ids] */
    size_t n_ids;
};

struct ox_recall {
    pthread_mutex_t lock;
    size_t max_bytes;
    size_t used_bytes;
    struct kept *newest;
    struct kept *oldest;
    struct kept *buckets[N_BUCKETS];
};

struct ox_recall *ox_recall_new(size_t max_bytes)
{
    struct ox_recall *recall = ox_calloc(1, sizeof *recall);
    if (recall == NULL || pthread_mutex_init(&recall->lock, NULL) != 0) {
        ox_free(recall);
        return NULL;
    }
    recall->max_bytes = max_bytes;
    return recall;
}

static void kept_free(struct kept *kept)
{
    if (kept != NULL) {
        ox_buf_fini(&kept->text);
        ox_free(kept->ends);
        ox_free(kept->ids);
        ox_free(kept);
    }
}

void ox_recall_free(struct ox_recall *recall)
{
    if (recall == NULL) {
        return;
    }
    for (struct kept *kept = recall->newest; kept != NULL;) {
        struct kept *older = kept->older;
        kept_free(kept);
        kept = older;
    }
    pthread_mutex_destroy(&recall->lock);
    ox_free(recall);
}

/* ---- one reply -------------------------------------------------------------------------------------------------- */

static struct ox_str text_of(const struct kept *kept, size_t i)
{
    const size_t begin = i > 0 ? kept->ends[i - 1] : 0;
    return ox_str_make(kept->text.ptr + begin, kept->ends[i] - begin);
}

static struct ox_str reasoning_of(const struct kept *kept)
{
    return text_of(kept, 0);
}

static struct ox_str content_of(const struct kept *kept)
{
    return text_of(kept, 1);
}

static struct ox_recall_call call_of(const struct kept *kept, size_t i)
{
    return (struct ox_recall_call){text_of(kept, 2 + 3 * i), text_of(kept, 3 + 3 * i), text_of(kept, 4 + 3 * i)};
}

static void add_text(struct kept *kept, size_t i, struct ox_str text)
{
    ox_buf_add_str(&kept->text, text);
    kept->ends[i] = kept->text.len;
}

static struct kept *kept_new(const struct ox_recall_reply *reply)
{
    struct kept *kept = ox_calloc(1, sizeof *kept);
    size_t n_ends;
    if (kept == NULL || ox_ckd_mul(&n_ends, reply->n_calls, 3) || ox_ckd_add(&n_ends, n_ends, 2)) {
        ox_free(kept);
        return NULL;
    }
    kept->n_users = 1;
    kept->ends = ox_calloc(n_ends, sizeof *kept->ends);
    kept->ids = ox_calloc(reply->n_ids, sizeof *kept->ids);
    if (kept->ends == NULL || kept->ids == NULL) {
        kept_free(kept);
        return NULL;
    }
    add_text(kept, 0, reply->reasoning);
    add_text(kept, 1, reply->content);
    for (size_t i = 0; i < reply->n_calls; i++) {
        add_text(kept, 2 + 3 * i, reply->calls[i].id);
        add_text(kept, 3 + 3 * i, reply->calls[i].name);
        add_text(kept, 4 + 3 * i, reply->calls[i].arguments);
    }
    if (ox_buf_failed(&kept->text)) {
        kept_free(kept);
        return NULL;
    }
    memcpy(kept->ids, reply->ids, reply->n_ids * sizeof *kept->ids);
    kept->n_calls = reply->n_calls;
    kept->n_ids = reply->n_ids;
    kept->bytes = sizeof *kept + kept->text.cap + n_ends * sizeof *kept->ends + kept->n_ids * sizeof *kept->ids;
    return kept;
}

/* ---- the store; all with the lock held -------------------------------------------------------------------------- */

static struct kept **bucket_of(struct ox_recall *recall, struct ox_str id)
{
    return &recall->buckets[ox_str_hash(id) % N_BUCKETS];
}

static struct kept *look_up(struct ox_recall *recall, struct ox_str id)
{
    struct kept *kept = *bucket_of(recall, id);
    while (kept != NULL && !ox_str_equal(call_of(kept, 0).id, id)) {
        kept = kept->next;
    }
    return kept;
}

static void unlink_use(struct ox_recall *recall, struct kept *kept)
{
    struct kept **behind = kept->older != NULL ? &kept->older->newer : &recall->oldest;
    struct kept **before = kept->newer != NULL ? &kept->newer->older : &recall->newest;
    *behind = kept->newer;
    *before = kept->older;
}

static void link_newest(struct ox_recall *recall, struct kept *kept)
{
    struct kept **behind = recall->newest != NULL ? &recall->newest->newer : &recall->oldest;
    kept->older = recall->newest;
    kept->newer = NULL;
    *behind = kept;
    recall->newest = kept;
}

static void leave(struct kept *kept)
{
    kept->n_users--;
    if (kept->n_users == 0) {
        kept_free(kept);
    }
}

static void forget(struct ox_recall *recall, struct kept *kept)
{
    struct kept **at = bucket_of(recall, call_of(kept, 0).id);
    while (*at != kept) {
        at = &(*at)->next;
    }
    *at = kept->next;
    unlink_use(recall, kept);
    recall->used_bytes -= kept->bytes;
    leave(kept);
}

static void put(struct ox_recall *recall, struct kept *kept)
{
    const struct ox_str id = call_of(kept, 0).id;
    struct kept *same = look_up(recall, id);
    if (same != NULL) {
        forget(recall, same);
    }
    while (recall->oldest != NULL && kept->bytes > recall->max_bytes - recall->used_bytes) {
        forget(recall, recall->oldest);
    }
    struct kept **bucket = bucket_of(recall, id);
    kept->next = *bucket;
    *bucket = kept;
    link_newest(recall, kept);
    recall->used_bytes += kept->bytes;
}

void ox_recall_keep(struct ox_recall *recall, const struct ox_recall_reply *reply)
{
    struct kept *kept = recall != NULL && reply->n_calls > 0 && reply->n_ids > 0 ? kept_new(reply) : NULL;
    if (kept == NULL) {
        return;
    }
    if (kept->bytes > recall->max_bytes) {
        kept_free(kept);
        return;
    }
    pthread_mutex_lock(&recall->lock);
    put(recall, kept);
    pthread_mutex_unlock(&recall->lock);
}

/* ---- comparing -------------------------------------------------------------------------------------------------- */

static bool is_blank(struct ox_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (memchr(" \t\r\n", text.ptr[i], 4) == NULL) {
            return false;
        }
    }
    return true;
}

/* Blanks alone are no content: clients do not send them back. */
static bool same_text(struct ox_str a, struct ox_str b)
{
    return ox_str_equal(a, b) || (is_blank(a) && is_blank(b));
}

static bool same_content(const struct kept *kept, const json_t *content)
{
    if (!json_is_array(content)) {
        return same_text(ox_json_text(content), content_of(kept));
    }
    struct ox_buf text = {0};
    bool same = true;
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const json_t *inner = json_is_string(part) ? part : json_object_get(part, "text");
        same = same && json_is_string(inner);
        ox_buf_add_str(&text, ox_json_text(inner));
    }
    same = same && !ox_buf_failed(&text) && same_text(ox_buf_str(&text), content_of(kept));
    ox_buf_fini(&text);
    return same;
}

static bool same_arguments(struct ox_str kept, json_t *arguments)
{
    json_t *before = NULL;
    json_t *now = NULL;
    if (json_is_string(arguments) && ox_str_equal(ox_json_text(arguments), kept)) {
        return true;
    }
    bool same = ox_json_parse(kept, "arguments", &before, NULL) == OX_OK;
    if (json_is_string(arguments)) {
        same = same && ox_json_parse(ox_json_text(arguments), "arguments", &now, NULL) == OX_OK;
    } else {
        now = json_incref(arguments);
    }
    same = same && json_equal(before, now) != 0;
    json_decref(before);
    json_decref(now);
    return same;
}

static bool same_calls(const struct kept *kept, const json_t *calls)
{
    bool same = json_array_size(calls) == kept->n_calls;
    for (size_t i = 0; i < kept->n_calls && same; i++) {
        const struct ox_recall_call before = call_of(kept, i);
        const json_t *now = json_array_get(calls, i);
        const json_t *function = json_object_get(now, "function");
        same = ox_str_equal(ox_json_text(json_object_get(now, "id")), before.id) &&
               ox_str_equal(ox_json_text(json_object_get(function, "name")), before.name) &&
               same_arguments(before.arguments, json_object_get(function, "arguments"));
    }
    return same;
}

/* Is this message the kept reply? If it has no reasoning it gets that of the reply. */
static bool is_kept(const struct kept *kept, json_t *message)
{
    const json_t *reasoning = json_object_get(message, "reasoning_content");
    if (!same_content(kept, json_object_get(message, "content")) ||
        !same_calls(kept, json_object_get(message, "tool_calls"))) {
        return false;
    }
    const struct ox_str text = reasoning_of(kept);
    if (json_string_length(reasoning) > 0) {
        return ox_str_equal(ox_json_text(reasoning), text);
    }
    return text.len == 0 || json_object_set_new(message, "reasoning_content", json_stringn(text.ptr, text.len)) == 0;
}

/* ---- conversations ---------------------------------------------------------------------------------------------- */

struct hit {
    size_t message;
    struct kept *kept;
};

struct hits {
    struct hit *list;
    size_t n;
    size_t cap;
    size_t n_ids;
};

/* A kept reply that its caller must leave; NULL: none. */
static struct kept *find(struct ox_recall *recall, const json_t *message)
{
    const json_t *first = json_array_get(json_object_get(message, "tool_calls"), 0);
    const struct ox_str id = ox_json_text(json_object_get(first, "id"));
    if (id.len == 0 || !ox_str_is(ox_json_text(json_object_get(message, "role")), "assistant")) {
        return NULL;
    }
    pthread_mutex_lock(&recall->lock);
    struct kept *kept = look_up(recall, id);
    if (kept != NULL) {
        unlink_use(recall, kept);
        link_newest(recall, kept);
        kept->n_users++;
    }
    pthread_mutex_unlock(&recall->lock);
    return kept;
}

static void leave_locked(struct ox_recall *recall, struct kept *kept)
{
    pthread_mutex_lock(&recall->lock);
    leave(kept);
    pthread_mutex_unlock(&recall->lock);
}

static void collect(struct ox_recall *recall, const json_t *messages, struct hits *hits)
{
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i);
        struct kept *kept = find(recall, message);
        void *list = hits->list;
        if (kept == NULL) {
            continue;
        }
        if (ox_grow(&list, &hits->cap, hits->n + 1, sizeof *hits->list) != 0 || !is_kept(kept, message)) {
            leave_locked(recall, kept);
        } else {
            hits->n++;
            ((struct hit *)list)[hits->n - 1] = (struct hit){i, kept};
            hits->n_ids += kept->n_ids;
        }
        hits->list = list;
    }
}

/* The replays and behind them their ids, in one allocation of ask's. */
static void set_replay(struct ox_ask *ask, const struct hits *hits)
{
    size_t head_bytes;
    size_t ids_bytes;
    size_t bytes;
    if (hits->n == 0 || ox_ckd_mul(&head_bytes, hits->n, sizeof(struct oxcart_replay)) ||
        ox_ckd_mul(&ids_bytes, hits->n_ids, sizeof(int32_t)) || ox_ckd_add(&bytes, head_bytes, ids_bytes)) {
        return;
    }
    struct oxcart_replay *replay = ox_calloc(1, bytes);
    if (!ox_ask_keep(ask, replay)) {
        return;
    }
    int32_t *ids = (int32_t *)(replay + hits->n);
    for (size_t i = 0; i < hits->n; i++) {
        const struct kept *kept = hits->list[i].kept;
        memcpy(ids, kept->ids, kept->n_ids * sizeof *ids);
        replay[i] = (struct oxcart_replay){hits->list[i].message, ids, kept->n_ids};
        ids += kept->n_ids;
    }
    ask->messages.replay = replay;
    ask->messages.n_replay = hits->n;
}

void ox_recall_fill(struct ox_recall *recall, struct ox_ask *ask)
{
    struct hits hits = {0};
    if (recall == NULL) {
        return;
    }
    collect(recall, json_object_get(ask->conversation, "messages"), &hits);
    set_replay(ask, &hits);
    for (size_t i = 0; i < hits.n; i++) {
        leave_locked(recall, hits.list[i].kept);
    }
    ox_free(hits.list);
}
