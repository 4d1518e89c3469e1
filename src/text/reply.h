/* SPDX-License-Identifier: Apache-2.0
 *
 * The reply parser: sampled tokens in, events out (reasoning, content, tool calls), the same events in sum however the
 * stream is cut. Works on token ids for the control tokens (NS, <mm:think>, </mm:think>), so text that merely spells
 * them is text. Source: chat-template.md section 6.
 *
 * Think tags come first: the grammar of calls sees the content alone, so reasoning in the middle of a call does not end
 * it. An NS that begins nothing, and text between the calls of a block, are content; only blanks between tags are
 * dropped. A second parameter of the same name fails its call, because what was streamed cannot become an array; deeper
 * elements of one name do. A call fails also beyond 64 levels or 16 MiB of raw text.
 */
#ifndef OX_TEXT_REPLY_H
#define OX_TEXT_REPLY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"
#include "base/str.h"
#include "text/markers.h"

enum ox_reply_event_kind {
    OX_REPLY_REASONING,      /* text */
    OX_REPLY_CONTENT,        /* text */
    OX_REPLY_CALL_BEGIN,     /* index, text = the tool's name */
    OX_REPLY_CALL_ARGUMENTS, /* index, text = the next bytes of the arguments' JSON */
    OX_REPLY_CALL_DONE,      /* index */
    OX_REPLY_CALL_FAILED,    /* index (-1: failed before its name was complete), text = raw text of the whole call */
};

struct ox_reply_event {
    enum ox_reply_event_kind kind;
    int index;          /* number of the call, from 0 in order of CALL_BEGIN */
    struct ox_str text; /* valid UTF-8, valid during the call only */
};

/* Return nonzero to stop; ox_reply_* then return OX_E_CANCELLED and the parser takes nothing more. */
typedef int (*ox_reply_handler)(void *user, const struct ox_reply_event *event);

struct ox_reply;

/* tokenizer and tools (array of tools as in the conversation, or NULL) are borrowed and must outlive the parser. */
enum ox_status ox_reply_new(const struct ox_tokenizer *tokenizer, const struct ox_markers *markers,
                            const json_t *tools, bool starts_in_reasoning, ox_reply_handler handler, void *user,
                            struct ox_reply **out, struct ox_error *err) OX_MUST_USE;
void ox_reply_free(struct ox_reply *reply);

/* Feed sampled tokens. Incomplete UTF-8 is held back; what can never complete comes out as U+FFFD. Special tokens other
 * than the markers give nothing. */
enum ox_status ox_reply_push(struct ox_reply *reply, const int32_t *ids, size_t n, struct ox_error *err) OX_MUST_USE;

/* The stream has ended: what is held back comes out; an open call fails. */
enum ox_status ox_reply_finish(struct ox_reply *reply, struct ox_error *err) OX_MUST_USE;

/* Calls done so far. */
int ox_reply_calls_done(const struct ox_reply *reply);

/* Is the parser in reasoning at this point? (Tokens are counted as reasoning tokens by this.) */
bool ox_reply_in_reasoning(const struct ox_reply *reply);

#endif
