/* SPDX-License-Identifier: Apache-2.0
 *
 * Sampled tokens to events: tokens become text and markers, think tags split reasoning from content, and content goes
 * through the grammar of tool calls (toolcall.c), which sees nothing of the reasoning. Events of one kind that follow
 * each other in one push are handed out as one.
 */
#include "text/reply.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/toolcall.h"

struct ox_reply {
    const struct ox_tokenizer *tokenizer;
    struct ox_markers markers;
    ox_reply_handler handler;
    void *user;
    bool in_reasoning;
    bool finished;
    enum ox_status status; /* OX_OK until something ends the work */
    struct ox_buf bytes;   /* bytes that have not become text yet */
    struct ox_buf lossy;   /* scratch: text with U+FFFD for what was no UTF-8 */
    struct ox_buf pending; /* the text of the event that is being gathered */
    enum ox_reply_event_kind pending_kind;
    int pending_index;
    struct ox_toolcall calls;
};

static void deliver(struct ox_reply *reply, enum ox_reply_event_kind kind, int index, struct ox_str text)
{
    if (reply->status != OX_OK) {
        return;
    }
    const struct ox_reply_event event = {kind, index, ox_str_make(text.len > 0 ? text.ptr : "", text.len)};
    if (reply->handler(reply->user, &event) != 0) {
        reply->status = OX_E_CANCELLED;
    }
}

static void deliver_pending(struct ox_reply *reply)
{
    if (ox_buf_failed(&reply->pending)) {
        reply->status = reply->status == OX_OK ? OX_E_NOMEM : reply->status;
    }
    if (reply->pending.len > 0) {
        deliver(reply, reply->pending_kind, reply->pending_index, ox_buf_str(&reply->pending));
    }
    ox_buf_clear(&reply->pending);
}

static void emit(void *user, enum ox_reply_event_kind kind, int index, struct ox_str text)
{
    struct ox_reply *reply = user;
    if (kind != reply->pending_kind || index != reply->pending_index) {
        deliver_pending(reply);
        reply->pending_kind = kind;
        reply->pending_index = index;
    }
    if (kind == OX_REPLY_REASONING || kind == OX_REPLY_CONTENT || kind == OX_REPLY_CALL_ARGUMENTS) {
        ox_buf_add_str(&reply->pending, text);
    } else {
        deliver(reply, kind, index, text);
    }
}

static void take_text(struct ox_reply *reply, struct ox_str text)
{
    if (text.len == 0) {
        return;
    }
    ox_buf_clear(&reply->lossy);
    ox_utf8_add_lossy(&reply->lossy, text);
    if (ox_buf_failed(&reply->lossy)) {
        reply->status = OX_E_NOMEM;
    } else if (reply->in_reasoning) {
        emit(reply, OX_REPLY_REASONING, -1, ox_buf_str(&reply->lossy));
    } else {
        ox_toolcall_text(&reply->calls, ox_buf_str(&reply->lossy));
    }
}

static void take_bytes(struct ox_reply *reply, struct ox_str bytes)
{
    ox_buf_add_str(&reply->bytes, bytes);
    if (ox_buf_failed(&reply->bytes)) {
        reply->status = OX_E_NOMEM;
        return;
    }
    char tail[4];
    const struct ox_str all = ox_buf_str(&reply->bytes);
    const size_t n_tail = ox_utf8_tail(all);
    take_text(reply, ox_str_make(all.ptr, all.len - n_tail));
    memcpy(tail, all.ptr + all.len - n_tail, n_tail);
    ox_buf_clear(&reply->bytes);
    ox_buf_add(&reply->bytes, tail, n_tail);
}

/* A marker stands here: a character that is not complete never will be. */
static void end_text(struct ox_reply *reply)
{
    take_text(reply, ox_buf_str(&reply->bytes));
    ox_buf_clear(&reply->bytes);
}

/* Markers that have no place in a reply. */
static bool is_silent(const struct ox_reply *reply, int32_t id)
{
    const struct ox_markers *m = &reply->markers;
    return id == m->begin_document || id == m->begin_message || id == m->end_message || id == m->image ||
           id == m->video || ox_tokenizer_is_special(reply->tokenizer, id);
}

static void take_token(struct ox_reply *reply, int32_t id)
{
    const struct ox_markers *m = &reply->markers;
    if (id < 0) {
        return;
    }
    if (id == m->think_begin || id == m->think_end) {
        end_text(reply);
        reply->in_reasoning = id == m->think_begin;
    } else if (id == m->name_space) {
        end_text(reply);
        if (reply->in_reasoning) {
            emit(reply, OX_REPLY_REASONING, -1, ox_str_c(OX_TEXT_NAMESPACE));
        } else {
            ox_toolcall_namespace(&reply->calls);
        }
    } else if (id == m->tool_call_begin || id == m->tool_call_end || !is_silent(reply, id)) {
        const struct ox_str bytes = ox_tokenizer_bytes(reply->tokenizer, id);
        if (bytes.ptr != NULL && bytes.len > 0) {
            take_bytes(reply, bytes);
        }
    }
    if (reply->calls.no_memory && reply->status == OX_OK) {
        reply->status = OX_E_NOMEM;
    }
}

static enum ox_status tell(const struct ox_reply *reply, struct ox_error *err)
{
    if (reply->status == OX_OK) {
        return OX_OK;
    }
    return ox_error_set(err, reply->status, "%s",
                        reply->status == OX_E_NOMEM ? "out of memory while reading a reply"
                                                    : "reading the reply was stopped by its handler");
}

enum ox_status ox_reply_new(const struct ox_tokenizer *tokenizer, const struct ox_markers *markers, const json_t *tools,
                            bool starts_in_reasoning, ox_reply_handler handler, void *user, struct ox_reply **out,
                            struct ox_error *err)
{
    struct ox_reply *reply = ox_calloc(1, sizeof *reply);
    if (reply == NULL) {
        return ox_error_nomem(err, sizeof *reply);
    }
    reply->tokenizer = tokenizer;
    reply->markers = *markers;
    reply->handler = handler;
    reply->user = user;
    reply->in_reasoning = starts_in_reasoning;
    ox_toolcall_init(&reply->calls, tools, emit, reply);
    *out = reply;
    return OX_OK;
}

void ox_reply_free(struct ox_reply *reply)
{
    if (reply == NULL) {
        return;
    }
    ox_toolcall_fini(&reply->calls);
    ox_buf_fini(&reply->bytes);
    ox_buf_fini(&reply->lossy);
    ox_buf_fini(&reply->pending);
    ox_free(reply);
}

enum ox_status ox_reply_push(struct ox_reply *reply, const int32_t *ids, size_t n, struct ox_error *err)
{
    if (reply->finished) {
        return ox_error_set(err, OX_E_STATE, "tokens came after the end of the reply");
    }
    for (size_t i = 0; i < n && reply->status == OX_OK; i++) {
        take_token(reply, ids[i]);
    }
    deliver_pending(reply);
    return tell(reply, err);
}

enum ox_status ox_reply_finish(struct ox_reply *reply, struct ox_error *err)
{
    if (reply->finished) {
        return ox_error_set(err, OX_E_STATE, "the reply has ended already");
    }
    reply->finished = true;
    if (reply->status == OX_OK) {
        end_text(reply);
        ox_toolcall_finish(&reply->calls);
        if (reply->calls.no_memory) {
            reply->status = OX_E_NOMEM;
        }
        deliver_pending(reply);
    }
    return tell(reply, err);
}

int ox_reply_calls_done(const struct ox_reply *reply)
{
    return reply->calls.n_done;
}

bool ox_reply_in_reasoning(const struct ox_reply *reply)
{
    return reply->in_reasoning;
}
