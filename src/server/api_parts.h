/* SPDX-License-Identifier: Apache-2.0
 *
 * An answer as a row of parts: reasoning, text and calls, one after the other. What Responses calls output items and
 * Messages calls content blocks is made of these. Reasoning may come in the middle of a call; the row has no place for
 * that, so it is kept until the call is done.
 *
 * Streams: a call that turns out unreadable stays (its beginning is out already) and is marked `failed`, its raw text
 * follows as text. Whole replies: it goes, and its raw text joins the text around it. Nothing generated is lost.
 */
#ifndef OX_SERVER_API_PARTS_H
#define OX_SERVER_API_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "oxcart.h"
#include "server/recall.h"

enum ox_part_kind { OX_PART_REASONING, OX_PART_TEXT, OX_PART_CALL };

struct ox_part {
    enum ox_part_kind kind;
    bool closed;
    bool failed;        /* a call that could not be read */
    char id[25];        /* unguessable letters and digits */
    struct ox_buf name; /* of the tool */
    struct ox_buf text; /* of a call: its arguments */
};

/* What a stream hears; i is the number of the part, always the last one. */
struct ox_parts_listener {
    void (*opened)(void *user, size_t i);
    void (*grown)(void *user, size_t i, struct ox_str text);
    void (*closed)(void *user, size_t i);
};

/* All zero is empty; listener NULL: a whole reply; recall NULL: nothing is kept. */
struct ox_parts {
    struct ox_part *list; /* [n] */
    size_t n;
    size_t cap;
    struct ox_buf late_reasoning;
    struct ox_buf late_text;
    const struct ox_parts_listener *listener;
    void *user;
    struct ox_recall *recall;
    int32_t *ids; /* [n_ids], all that were drawn, if they are kept */
    size_t n_ids;
    size_t ids_cap;
    bool unread; /* a call could not be read */
};
void ox_parts_init(struct ox_parts *parts, const struct ox_parts_listener *listener, void *user,
                   struct ox_recall *recall);
void ox_parts_fini(struct ox_parts *parts);

/* An event of the answer. False: out of memory, or no unguessable bytes. */
bool ox_parts_event(struct ox_parts *parts, const struct oxcart_event *event) OX_MUST_USE;

/* The model has ended the answer itself, with calls: keep its tokens in recall, under the calls' ids behind this prefix.
 * Not if a call could not be read. */
void ox_parts_keep(const struct ox_parts *parts, const char *prefix);

/* The answer is over: what is open is closed. False as above. */
bool ox_parts_end(struct ox_parts *parts) OX_MUST_USE;

#endif
