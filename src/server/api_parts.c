/* SPDX-License-Identifier: Apache-2.0
 *
 * Events become a row of parts.
 */
#include "server/api_parts.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"

static void fini_part(struct ox_part *part)
{
    ox_buf_fini(&part->name);
    ox_buf_fini(&part->text);
}

void ox_parts_init(struct ox_parts *parts, const struct ox_parts_listener *listener, void *user,
                   struct ox_recall *recall)
{
    *parts = (struct ox_parts){.listener = listener, .user = user, .recall = recall};
}

void ox_parts_fini(struct ox_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) {
        fini_part(&parts->list[i]);
    }
    ox_free(parts->list);
    ox_free(parts->ids);
    ox_buf_fini(&parts->late_reasoning);
    ox_buf_fini(&parts->late_text);
    *parts = (struct ox_parts){0};
}

/* The part that is still growing; NULL: none. */
static struct ox_part *growing(struct ox_parts *parts)
{
    struct ox_part *last = parts->n > 0 ? &parts->list[parts->n - 1] : NULL;
    return last != NULL && !last->closed ? last : NULL;
}

static void close_last(struct ox_parts *parts)
{
    struct ox_part *last = growing(parts);
    if (last == NULL) {
        return;
    }
    last->closed = true;
    if (parts->listener != NULL) {
        parts->listener->closed(parts->user, parts->n - 1);
    }
}

static bool open_part(struct ox_parts *parts, enum ox_part_kind kind, struct ox_str name)
{
    close_last(parts);
    void *list = parts->list;
    if (ox_grow(&list, &parts->cap, parts->n + 1, sizeof *parts->list) != 0) {
        return false;
    }
    parts->list = list;
    struct ox_part *part = &parts->list[parts->n];
    *part = (struct ox_part){.kind = kind};
    ox_buf_add_str(&part->name, name);
    if (ox_buf_failed(&part->name) || ox_rng_id("", part->id, sizeof part->id) != 0) {
        fini_part(part);
        return false;
    }
    parts->n++;
    if (parts->listener != NULL) {
        parts->listener->opened(parts->user, parts->n - 1);
    }
    return true;
}

static bool grow_last(struct ox_parts *parts, struct ox_str text)
{
    struct ox_part *last = growing(parts);
    if (last == NULL || text.len == 0) {
        return true;
    }
    ox_buf_add_str(&last->text, text);
    if (parts->listener != NULL) {
        parts->listener->grown(parts->user, parts->n - 1, text);
    }
    return !ox_buf_failed(&last->text);
}

static bool add(struct ox_parts *parts, enum ox_part_kind kind, struct ox_str text)
{
    const struct ox_part *last = growing(parts);
    if (text.len == 0) {
        return true;
    }
    if (last != NULL && last->kind == OX_PART_CALL) {
        struct ox_buf *late = kind == OX_PART_TEXT ? &parts->late_text : &parts->late_reasoning;
        ox_buf_add_str(late, text);
        return !ox_buf_failed(late);
    }
    if ((last == NULL || last->kind != kind) && !open_part(parts, kind, ox_str_make("", 0))) {
        return false;
    }
    return grow_last(parts, text);
}

/* A whole reply forgets its last part; the text before it goes on. */
static void drop_last(struct ox_parts *parts)
{
    parts->n--;
    fini_part(&parts->list[parts->n]);
    if (parts->n > 0 && parts->list[parts->n - 1].kind != OX_PART_CALL) {
        parts->list[parts->n - 1].closed = false;
    }
}

/* The call that is growing, if one is, ends; what came meanwhile follows. */
static bool end_call(struct ox_parts *parts, bool failed)
{
    struct ox_part *last = growing(parts);
    if (last == NULL || last->kind != OX_PART_CALL) {
        return true;
    }
    last->failed = failed;
    close_last(parts);
    if (failed && parts->listener == NULL) {
        drop_last(parts);
    }
    const bool ok = add(parts, OX_PART_REASONING, ox_buf_str(&parts->late_reasoning)) &&
                    add(parts, OX_PART_TEXT, ox_buf_str(&parts->late_text));
    ox_buf_clear(&parts->late_reasoning);
    ox_buf_clear(&parts->late_text);
    return ok;
}

static bool note_token(struct ox_parts *parts, int32_t id)
{
    void *ids = parts->ids;
    if (parts->recall == NULL) {
        return true;
    }
    if (ox_grow(&ids, &parts->ids_cap, parts->n_ids + 1, sizeof *parts->ids) != 0) {
        return false;
    }
    parts->ids = ids;
    parts->ids[parts->n_ids++] = id;
    return true;
}

bool ox_parts_event(struct ox_parts *parts, const struct oxcart_event *event)
{
    const struct ox_str text = ox_str_make(event->text, event->text_bytes);
    const struct ox_part *last = growing(parts);
    switch (event->kind) {
    case OXCART_EVENT_REASONING:
        return add(parts, OX_PART_REASONING, text);
    case OXCART_EVENT_CONTENT:
        return add(parts, OX_PART_TEXT, text);
    case OXCART_EVENT_CALL_BEGIN:
        return end_call(parts, false) && open_part(parts, OX_PART_CALL, text);
    case OXCART_EVENT_CALL_ARGUMENTS:
        return last == NULL || last->kind != OX_PART_CALL || grow_last(parts, text);
    case OXCART_EVENT_CALL_DONE:
        return end_call(parts, false);
    case OXCART_EVENT_CALL_FAILED:
        parts->unread = true;
        return end_call(parts, true) && add(parts, OX_PART_TEXT, text);
    case OXCART_EVENT_TOKEN:
    default:
        return note_token(parts, event->id);
    }
}

bool ox_parts_end(struct ox_parts *parts)
{
    const bool ok = end_call(parts, true);
    close_last(parts);
    return ok;
}

/* ---- keeping ---------------------------------------------------------------------------------------------------- */

/* A call's id as the client knows it. */
struct full_id {
    char text[40];
};

void ox_parts_keep(const struct ox_parts *parts, const char *prefix)
{
    struct ox_buf reasoning = {0};
    struct ox_buf content = {0};
    struct ox_recall_call *calls = ox_calloc(parts->n, sizeof *calls);
    struct full_id *ids = ox_calloc(parts->n, sizeof *ids);
    size_t n = 0;
    for (size_t i = 0; i < parts->n && calls != NULL && ids != NULL; i++) {
        const struct ox_part *part = &parts->list[i];
        if (part->kind == OX_PART_CALL) {
            snprintf(ids[n].text, sizeof ids[n].text, "%s%s", prefix, part->id);
            calls[n] = (struct ox_recall_call){ox_str_c(ids[n].text), ox_buf_str(&part->name), ox_buf_str(&part->text)};
            n++;
        } else {
            ox_buf_add_str(part->kind == OX_PART_TEXT ? &content : &reasoning, ox_buf_str(&part->text));
        }
    }
    const struct ox_recall_reply reply = {.reasoning = ox_buf_str(&reasoning),
                                          .content = ox_buf_str(&content),
                                          .calls = calls,
                                          .n_calls = n,
                                          .ids = parts->ids,
                                          .n_ids = parts->n_ids};
    if (!parts->unread && !ox_buf_failed(&reasoning) && !ox_buf_failed(&content)) {
        ox_recall_keep(parts->recall, &reply);
    }
    ox_buf_fini(&reasoning);
    ox_buf_fini(&content);
    ox_free(calls);
    ox_free(ids);
}
