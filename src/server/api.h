/* SPDX-License-Identifier: Apache-2.0
 *
 * An API: how one family of clients spells requests and replies. Here is no socket and no thread: an API turns a JSON
 * tree into an ASK (what the engine shall do) and the engine's events into bytes. Whoever serves it sends those bytes,
 * at once if the ask streams, else when the reply is whole.
 *
 * One reply belongs to one request and lives through: new, begin, any number of events and pings, end or fail, free.
 */
#ifndef OX_SERVER_API_H
#define OX_SERVER_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "oxcart.h"

/* An error as clients see it. type and code are literals of the API's own ("invalid_request_error"); code and param may
 * be NULL or empty. */
struct ox_api_error {
    int http_status;
    const char *type;
    const char *code;
    int retry_after_s; /* 0: the header is not sent */
    char param[96];
    char message[320];
};

struct ox_recall;

/* What all requests may rely on; set before the first one and not changed later. */
struct ox_api_context {
    struct oxcart_engine *engine;
    struct oxcart_engine_info info;
    const char *alias;       /* the model's id */
    int64_t started;         /* Unix time of the start, for "created" of the model */
    int32_t n_ctx;           /* longest prompt and answer */
    size_t max_messages;     /* --max-messages */
    size_t max_images;       /* --max-images: pictures and clips of one request */
    size_t max_schema_bytes; /* --max-schema */
    int32_t max_choices;     /* most answers to one request (n) */
    /* Replies with calls, kept until a client sends them back (recall.h); NULL: none are. */
    struct ox_recall *recall;
};

enum ox_ask_kind {
    OX_ASK_ANSWER, /* generate */
    OX_ASK_COUNT   /* only count the prompt's tokens */
};

/* What a request asks for. All zero is empty; released with ox_ask_fini. */
struct ox_ask {
    enum ox_ask_kind kind;
    json_t *conversation;                    /* what oxcart_prompt_from_messages reads, owned; NULL: ids */
    struct oxcart_messages_options messages; /* thinking, allow_special, replay (in `kept`) */
    int32_t *ids;                            /* [n_ids], owned (ox_free) */
    size_t n_ids;
    struct oxcart_sampling sampling; /* points into body, or to what `kept` owns */
    json_t *body;                    /* the request, a reference: the owner of texts */
    void *kept[4];                   /* owned (ox_free): arrays and texts that sampling points to; NULL: none */
    int32_t n_choices;               /* answers; at least 1. Choice i draws with seed + i */
    bool stream;
    bool include_usage; /* streams: tokens are counted in the last piece */
    bool echo;          /* completions: the prompt precedes the answer */
    bool chat;          /* the reply is parsed into reasoning, content and calls */
};
void ox_ask_fini(struct ox_ask *ask);

/* Let ask own p (from ox_calloc and so on). False, with p freed, if p is NULL or there is no more place. */
bool ox_ask_keep(struct ox_ask *ask, void *p) OX_MUST_USE;

struct ox_reply; /* an API's own; each defines it in its file */

struct ox_api {
    /* Read a request (a tree that any client may have sent) into *ask, which is empty but for `kind`: the caller sets it,
     * by the path. Where tokens are only counted, what limits the answer may be missing. False: *error says why, with
     * http_status 400 or another 4xx; the caller releases *ask all the same. Members that nobody knows are ignored. */
    bool (*read)(const struct ox_api_context *context, json_t *body, struct ox_ask *ask, struct ox_api_error *error);

    /* A reply; NULL when out of memory. context and ask outlive it. n_prompt: the prompt's tokens. */
    struct ox_reply *(*reply_new)(const struct ox_api_context *context, const struct ox_ask *ask, size_t n_prompt);
    void (*reply_free)(struct ox_reply *reply);

    /* Append to out what a stream begins with; called for streams only, before the first event. */
    void (*begin)(struct ox_reply *reply, struct ox_buf *out);

    /* An event of a choice. Streams append to out what follows from it; others keep it. Appends nothing else, so that
     * out may be sent after each call. False: out of memory. */
    bool (*event)(struct ox_reply *reply, int32_t choice, const struct oxcart_event *event, struct ox_buf *out);

    /* A choice is done. The call for the last one appends the rest of the stream, or the whole reply. Asks of kind
     * OX_ASK_COUNT have no reply_new but `count`. False: out of memory. */
    bool (*end)(struct ox_reply *reply, int32_t choice, const struct oxcart_result *result, struct ox_buf *out);

    /* The stream breaks off: append what tells the client. */
    void (*fail)(struct ox_reply *reply, const struct ox_api_error *error, struct ox_buf *out);

    /* Append what keeps a silent stream alive. */
    void (*ping)(struct ox_buf *out);

    /* The reply to an ask of kind OX_ASK_COUNT; NULL if the API has none. */
    void (*count)(size_t n_tokens, struct ox_buf *out);

    /* The body of a reply that is an error. */
    void (*error)(const struct ox_api_error *error, struct ox_buf *out);
};

extern const struct ox_api ox_api_chat;        /* POST /v1/chat/completions */
extern const struct ox_api ox_api_completions; /* POST /v1/completions */
extern const struct ox_api ox_api_responses;   /* POST /v1/responses, /v1/responses/input_tokens */
extern const struct ox_api ox_api_messages;    /* POST /v1/messages, /v1/messages/count_tokens */

/* ---- what the APIs share (api.c) --------------------------------------------------------------------------------- */

/* Fill *error with a sentence; returns false. */
bool ox_api_refuse(struct ox_api_error *error, int http_status, const char *type, const char *code, const char *param,
                   const char *format, ...) OX_PRINTF(6, 7);

/* The same for memory that ran out. */
bool ox_api_refuse_nomem(struct ox_api_error *error);

/* The same, with 404, for a model of another name; the sentence says which one is here. */
bool ox_api_refuse_model(const struct ox_api_context *context, const char *name, struct ox_api_error *error);

/* The error for what the library returned: its status becomes the HTTP status and the type of OpenAI's errors. */
void ox_api_error_of(enum oxcart_status status, const struct oxcart_error *err, struct ox_api_error *error);

/* The members that sampling has in every API (temperature, top_p, top_k, min_p, seed, penalties, logit_bias, stop), those
 * of body that are there. Texts are borrowed from body. */
bool ox_api_read_sampling(const struct ox_api_context *context, json_t *body, struct ox_ask *ask,
                          struct ox_api_error *error);

/* Is the model that body names the one that is here? It need not name one: "model" may be missing, null or empty. */
bool ox_api_read_model(const struct ox_api_context *context, const json_t *body, struct ox_api_error *error);

/* {"type": type} */
json_t *ox_api_typed(const char *type);

/* Parts of a content as the chat format has it: {"type": "text", "text"}, and {"type": TYPE, TYPE: {"url"}}. Take text and
 * url. */
json_t *ox_api_text_part(json_t *text);
json_t *ox_api_media_part(const char *type, json_t *url);

/* A string or an array of strings that end the answer; key names it in errors. NULL: none. */
bool ox_api_read_stop(json_t *value, const char *key, struct ox_ask *ask, struct ox_api_error *error);

/* The answer shall be the JSON that this schema describes; param: its place in the request. False with an error that names
 * it: it is no schema, longer than --max-schema, or cannot be held to. */
bool ox_api_hold_form(const struct ox_api_context *context, struct ox_ask *ask, const json_t *schema, const char *param,
                      struct ox_api_error *error);

/* How an answer may call. */
struct ox_api_calls {
    const json_t *tools;
    const char *name; /* the only one that may be called, kept by ask; NULL: any */
    bool required;    /* at least one call, and nothing else, whatever form the answer should have */
    bool strict;      /* a tool wants its arguments to validate */
    bool single;      /* at most one call */
};

/* Constrain ask's answer so; where it has been constrained to a form already, and no call is required, to that or to
 * calls. Tools that may be called, and are not strict, are called with any arguments, and so are those that must be called
 * if their schemas say more than can be held to, or more than --max-schema. False: strict ones cannot be held to. */
bool ox_api_hold_calls(const struct ox_api_context *context, struct ox_ask *ask, const struct ox_api_calls *calls,
                       struct ox_api_error *error);

/* One server-sent event: "event: NAME" unless name is NULL, "data: " and the tree, taken; NULL marks out as failed. */
void ox_api_add_event(struct ox_buf *out, const char *name, json_t *data);

/* {"prompt_tokens", "completion_tokens", ...}, as OpenAI's chat completions count them. */
json_t *ox_api_usage(const struct oxcart_result *result);

/* {"cache_n", "prompt_n", "prompt_ms", "prompt_per_token_ms", "prompt_per_second", "predicted_n", ...}: what a client of
 * llama.cpp reads from `timings`; and "media_n", "media_ms" where there were pictures or clips. */
json_t *ox_api_timings(const struct oxcart_result *result);

#endif
