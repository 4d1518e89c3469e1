/* SPDX-License-Identifier: Apache-2.0
 *
 * The making of a conversation from what a client sent piece by piece: what the readers of Responses and Messages share.
 * Pieces come in order: instructions, what the user says, what the assistant thought, said and called, results. Pieces
 * of the assistant that follow each other become one message. Whatever runs out of memory is told by ox_talk_finish.
 */
#ifndef OX_SERVER_API_TALK_H
#define OX_SERVER_API_TALK_H

#include "server/api_values.h"

enum ox_talk_choice {
    OX_TALK_AUTO,
    OX_TALK_NONE,     /* the model is shown no tools */
    OX_TALK_REQUIRED, /* at least one call; of `tool`, if that is not NULL */
};

/* A conversation in the making; ox_talk_read begins and ends it. */
struct ox_talk {
    const struct ox_api_context *context;
    struct ox_ask *ask;
    struct ox_api_error *error;
    enum ox_talk_choice choice;
    const char *tool; /* borrowed */
    bool single;      /* at most one call */
    bool strict;      /* a tool wants its arguments to validate */
    json_t *tools;    /* owned, as all trees; NULL: none yet */
    json_t *messages;
    size_t n_media;
    struct ox_buf system;
    bool in_turn; /* the assistant's message that is being made: */
    struct ox_buf reasoning;
    struct ox_buf said;
    json_t *calls;
    json_t *call_ids; /* ids of the calls of the assistant's latest message, an object */
};

/* Set up ask for body, and let read do the rest. False: *error says why. */
bool ox_talk_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask, struct ox_api_error *error,
                  bool (*read)(struct ox_talk *talk, const struct ox_json_at *root)) OX_MUST_USE;

/* What the parts of a content may be. */
struct ox_talk_parts {
    const char *const *types;
    size_t n;
    const char *expected; /* the whole, in words */
    /* Read one, of types[which], for `into` */
    bool (*read)(struct ox_talk *talk, const struct ox_json_at *part, size_t which, void *into);
};

/* Read an array of parts; refuses what is none. */
bool ox_talk_each(struct ox_talk *talk, const struct ox_json_at *list, const struct ox_talk_parts *parts,
                  void *into) OX_MUST_USE;

/* Instructions. The chat format has one place for them, at the beginning: those that come first become one text, with an
 * empty line between; later ones keep their place as a user's messages. */
void ox_talk_instruct(struct ox_talk *talk, struct ox_str text);

/* Append to parts (an array) a text; the same, of a buffer; or a picture at url (taken), which counts against --max-images;
 * at: for errors. */
void ox_talk_add_text(json_t **parts, struct ox_str text);
void ox_talk_add_buf(json_t **parts, const struct ox_buf *text);
bool ox_talk_add_picture(struct ox_talk *talk, const struct ox_json_at *at, json_t **parts, json_t *url) OX_MUST_USE;

/* A user's message of these parts (taken). */
void ox_talk_user(struct ox_talk *talk, json_t *parts);

/* What follows is the assistant's: add to reasoning and said. */
void ox_talk_assistant(struct ox_talk *talk);

/* What stands between a namespace and the name of a function within it, where both are one name. */
#define OX_TALK_WITHIN "."

/* A call at a place: {"name", "namespace", ID: string, ARGUMENTS: an object, or as_text a string that holds one}. */
bool ox_talk_call(struct ox_talk *talk, const struct ox_json_at *at, const char *id, const char *arguments,
                  bool as_text) OX_MUST_USE;

/* The result of a call (parts or text, taken) whose id stands at a place; it must be of the assistant's latest message. */
bool ox_talk_result(struct ox_talk *talk, const struct ox_json_at *id, json_t *content) OX_MUST_USE;

/* How an API spells tools. */
struct ox_talk_tools {
    const char *type;
    const char *parameters; /* the key of their schema */
    bool plain;             /* the type may be missing, the schema may not */
    bool namespaces;        /* some stand together in {"type": "namespace", "name", "tools"} */
};

/* Tools at a place, if there are any: {"type", "name", "description", "strict", PARAMETERS: schema}. Those of other types
 * are run by OpenAI or Anthropic, or known to their models only (web_search, bash_20250124, ...); agents list them beside
 * their own and have no way to stop it: the model is not shown them. */
bool ox_talk_add_tools(struct ox_talk *talk, const struct ox_json_at *tools,
                       const struct ox_talk_tools *kind) OX_MUST_USE;

/* Everything is there: make ask->conversation and hold calls to what was asked (ox_api_hold_calls). choice_at: for
 * errors. */
bool ox_talk_finish(struct ox_talk *talk, const struct ox_json_at *choice_at) OX_MUST_USE;

/* ---- the readers built on it, each the `read` of its API --------------------------------------------------------- */

/* The code of an error for what Anthropic calls threads. */
#define OX_MESSAGES_NO_THREADS "thread_unsupported_request"
bool ox_messages_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask,
                      struct ox_api_error *error);
bool ox_responses_read(const struct ox_api_context *context, json_t *body, struct ox_ask *ask,
                       struct ox_api_error *error);

#endif
