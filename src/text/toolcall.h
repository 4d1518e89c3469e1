/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of tool calls in a reply's content: a state machine over text and the NS marker that never looks ahead,
 * so that its events do not depend on how the stream is cut. Used by the reply parser only.
 * Source: chat-template.md section 6.2.
 */
#ifndef OX_TEXT_TOOLCALL_H
#define OX_TEXT_TOOLCALL_H

#include "base/buf.h"
#include "text/reply.h"

/* The deepest nesting of one parameter's value, and the longest raw text of a call; what goes beyond fails. */
#define OX_TOOLCALL_DEPTH 64
#define OX_TOOLCALL_BYTES ((size_t)16 << 20)

/* Takes events; text as in struct ox_reply_event. */
typedef void (*ox_toolcall_emit)(void *user, enum ox_reply_event_kind kind, int index, struct ox_str text);

enum ox_toolcall_state {
    OX_TOOLCALL_OUT,    /* outside of blocks */
    OX_TOOLCALL_BLOCK,  /* in a block, between calls */
    OX_TOOLCALL_INVOKE, /* behind NS<invoke */
    OX_TOOLCALL_NAME,   /* in the tool's name */
    OX_TOOLCALL_PARAMS, /* in a call, between parameters */
    OX_TOOLCALL_VALUE,  /* in a parameter */
    OX_TOOLCALL_FAILED, /* in a call that has failed */
};

/* A finished element inside of another: its name and its JSON, both in the parent's `children`. */
struct ox_toolcall_child {
    size_t key_at;
    size_t key_len;
    size_t json_at;
    size_t json_len;
    size_t next;  /* the next child with the same name, 0 if none */
    bool follows; /* an earlier child has the same name */
};

/* An element whose end has not come yet. */
struct ox_toolcall_element {
    struct ox_buf key;
    struct ox_buf text; /* its raw text so far; of a value that is streamed only the blanks before it */
    struct ox_buf children;
    struct ox_toolcall_child *child;
    size_t n_child;
    size_t child_cap;
    const json_t *schema;
    unsigned types;
    bool is_text;   /* something that is no blank has come */
    bool is_nested; /* an element has come */
};

struct ox_toolcall {
    const json_t *tools;
    ox_toolcall_emit emit;
    void *user;
    enum ox_toolcall_state state;
    bool in_tag; /* behind an NS, until it is clear what it begins */
    bool stray;  /* in a block, behind text that does not belong there */
    bool no_memory;
    struct ox_buf held; /* what is not decided yet; in a call: its raw text from NS<invoke */
    size_t tag_at;      /* in held: where the NS of the tag stands */
    size_t tag_text_at; /* in held: the tag's first byte that is no blank; 0: none yet */
    size_t name_at;     /* in held: what follows <invoke, then the name */
    int index;          /* of this call; -1: its name is not complete */
    int n_begun;
    int n_done;
    size_t n_params;
    json_t *keys;         /* names of this call's parameters so far */
    const json_t *schema; /* of this call's parameters */
    struct ox_buf json;   /* scratch */
    size_t depth;
    struct ox_toolcall_element element[OX_TOOLCALL_DEPTH];
};

/* Prepare *t (all of it is overwritten). */
void ox_toolcall_init(struct ox_toolcall *t, const json_t *tools, ox_toolcall_emit emit, void *user);
void ox_toolcall_fini(struct ox_toolcall *t);

/* Take text (whole characters, valid UTF-8), the NS marker, or the end. t->no_memory tells of a failed allocation. */
void ox_toolcall_text(struct ox_toolcall *t, struct ox_str text);
void ox_toolcall_namespace(struct ox_toolcall *t);
void ox_toolcall_finish(struct ox_toolcall *t);

#endif
