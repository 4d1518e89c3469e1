/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparing what a replay says with what the rendered message says, and encoding a text in which some messages are tokens
 * already. A replay's tokens stand between control tokens, where the text is cut anyway: what stands before and behind
 * them is encoded as it would be without them.
 */
#include "engine/replay.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "text/reply.h"

/* ---- what a message says ------------------------------------------------------------------------------------------ */

struct said {
    struct ox_buf reasoning;
    struct ox_buf content;
    struct ox_buf name; /* of the call in hand */
    struct ox_buf arguments;
    json_t *calls; /* [name, arguments, name, arguments, ...] */
    bool failed;   /* a call could not be read */
    bool no_memory;
};

static void said_fini(struct said *said)
{
    ox_buf_fini(&said->reasoning);
    ox_buf_fini(&said->content);
    ox_buf_fini(&said->name);
    ox_buf_fini(&said->arguments);
    json_decref(said->calls);
}

/* A call is whole. Arguments that JSON's numbers cannot hold are compared as text. */
static void add_call(struct said *said)
{
    json_t *arguments = NULL;
    if (ox_json_parse(ox_buf_str(&said->arguments), "arguments", &arguments, NULL) != OX_OK) {
        arguments = json_stringn(said->arguments.ptr, said->arguments.len);
    }
    const bool good = json_array_append_new(said->calls, json_stringn(said->name.ptr, said->name.len)) == 0 &&
                      json_array_append_new(said->calls, arguments) == 0;
    said->no_memory = said->no_memory || !good;
}

static int on_event(void *user, const struct ox_reply_event *event)
{
    struct said *said = user;
    switch (event->kind) {
    case OX_REPLY_REASONING:
        ox_buf_add_str(&said->reasoning, event->text);
        break;
    case OX_REPLY_CONTENT:
        ox_buf_add_str(&said->content, event->text);
        break;
    case OX_REPLY_CALL_BEGIN:
        ox_buf_clear(&said->arguments);
        ox_buf_clear(&said->name);
        ox_buf_add_str(&said->name, event->text);
        break;
    case OX_REPLY_CALL_ARGUMENTS:
        ox_buf_add_str(&said->arguments, event->text);
        break;
    case OX_REPLY_CALL_DONE:
        add_call(said);
        break;
    case OX_REPLY_CALL_FAILED:
    default:
        said->failed = true;
        break;
    }
    return 0;
}

/* What n ids say. */
static enum ox_status read_ids(const struct oxcart_engine *engine, const struct ox_chat *chat, bool in_reasoning,
                               const int32_t *ids, size_t n, struct said *said, struct ox_error *err)
{
    struct ox_reply *reply = NULL;
    said->calls = json_array();
    if (said->calls == NULL) {
        return ox_error_nomem(err, sizeof *said->calls);
    }
    enum ox_status status = ox_reply_new(engine->tokenizer, &engine->markers, ox_chat_tools(chat), in_reasoning, on_event,
                                         said, &reply, err);
    if (status == OX_OK) {
        status = ox_reply_push(reply, ids, n, err);
    }
    if (status == OX_OK) {
        status = ox_reply_finish(reply, err);
    }
    ox_reply_free(reply);
    const bool full = ox_buf_failed(&said->reasoning) || ox_buf_failed(&said->content) || ox_buf_failed(&said->name) ||
                      ox_buf_failed(&said->arguments) || said->no_memory;
    return status == OX_OK && full ? ox_error_nomem(err, said->content.len) : status;
}

static bool is_blank(const struct ox_buf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if (strchr(" \t\r\n", text->ptr[i]) == NULL || text->ptr[i] == '\0') {
            return false;
        }
    }
    return true;
}

/* Blanks alone are no content: clients do not send them back. */
static bool same(const struct said *a, const struct said *b)
{
    return !a->failed && !b->failed && ox_str_equal(ox_buf_str(&a->reasoning), ox_buf_str(&b->reasoning)) &&
           (ox_str_equal(ox_buf_str(&a->content), ox_buf_str(&b->content)) ||
            (is_blank(&a->content) && is_blank(&b->content))) &&
           json_equal(a->calls, b->calls) == 1;
}

/* ---- which replays may stand ------------------------------------------------------------------------------------- */

/* Scratch of encoding slices of a prompt. */
struct slicing {
    const struct oxcart_engine *engine;
    const struct ox_prompt *prompt;
    struct ox_range *caller; /* [prompt->n_caller] */
    size_t n_caller;         /* of the prompt's; 0: special tokens are allowed */
};

static enum ox_status slicing_init(const struct oxcart_engine *engine, const struct ox_prompt *prompt,
                                   bool allow_special, struct slicing *out, struct ox_error *err)
{
    *out = (struct slicing){.engine = engine, .prompt = prompt, .n_caller = allow_special ? 0 : prompt->n_caller};
    out->caller = ox_calloc(prompt->n_caller, sizeof *out->caller);
    return out->caller != NULL ? OX_OK : ox_error_nomem(err, prompt->n_caller * sizeof *out->caller);
}

/* The first range of the caller's that ends behind `at`. */
static size_t first_range(const struct slicing *s, size_t at)
{
    size_t low = 0;
    size_t high = s->n_caller;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (s->prompt->caller[middle].end > at) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Append the ids of bytes [begin, end) of the text. */
static enum ox_status encode_slice(struct slicing *s, size_t begin, size_t end, struct ox_ids *ids, struct ox_error *err)
{
    size_t n = 0;
    for (size_t i = first_range(s, begin); i < s->n_caller && s->prompt->caller[i].begin < end; i++) {
        const struct ox_range range = s->prompt->caller[i];
        s->caller[n++] = (struct ox_range){(range.begin > begin ? range.begin : begin) - begin,
                                           (range.end < end ? range.end : end) - begin};
    }
    return ox_tokenizer_encode(s->engine->tokenizer, ox_str_make(s->prompt->text.ptr + begin, end - begin), s->caller, n,
                               ids, err);
}

/* May the token stand inside of a reply? */
static bool may_stand(const struct oxcart_engine *engine, int32_t id)
{
    const struct ox_markers *m = &engine->markers;
    const int32_t places[] = {m->begin_document, m->begin_message, m->end_message, m->image,
                              m->video,          m->media_begin,   m->media_end};
    const int32_t parts[] = {m->name_space, m->think_begin, m->think_end, m->tool_call_begin, m->tool_call_end};
    if (id < 0 || (size_t)id >= engine->config.vocab || ox_tokenizer_bytes(engine->tokenizer, id).ptr == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (id == places[i]) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (id == parts[i]) {
            return true;
        }
    }
    return !ox_tokenizer_is_special(engine->tokenizer, id);
}

/* A whole message, its end token the last one, that does not repeat what the generation prompt ended with. */
static bool is_whole(const struct oxcart_engine *engine, int32_t tag, const struct oxcart_replay *replay)
{
    const size_t n = replay->n_ids;
    if (n == 0 || replay->ids[n - 1] != engine->markers.end_message || (tag >= 0 && replay->ids[0] == tag)) {
        return false;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        if (!may_stand(engine, replay->ids[i])) {
            return false;
        }
    }
    return true;
}

/* Does a picture or clip stand in the message? */
static bool has_media(const struct ox_prompt *prompt, const struct ox_chat_reply *reply)
{
    bool any = false;
    for (size_t i = 0; i < prompt->n_media; i++) {
        any = any || (prompt->media[i].at >= reply->begin && prompt->media[i].at < reply->end);
    }
    return any;
}

/* Does the replay say what the rendered message says? */
static enum ox_status compare(struct slicing *s, const struct ox_chat *chat, bool in_reasoning,
                              const struct ox_chat_reply *reply, const struct oxcart_replay *replay, bool *equal,
                              struct ox_error *err)
{
    struct said drawn = {0};
    struct said rendered = {0};
    struct ox_ids ids = {0};
    enum ox_status status = read_ids(s->engine, chat, in_reasoning, replay->ids, replay->n_ids - 1, &drawn, err);
    if (status == OX_OK) {
        status = encode_slice(s, reply->begin, reply->end, &ids, err);
    }
    if (status == OX_OK) {
        status = read_ids(s->engine, chat, false, ids.ptr, ids.len, &rendered, err);
    }
    *equal = status == OX_OK && same(&drawn, &rendered);
    ox_ids_fini(&ids);
    said_fini(&drawn);
    said_fini(&rendered);
    return status;
}

/* What the generation prompt ends with in this mode; -1: nothing. False if the tokenizer has no such token. */
static bool find_tag(const struct oxcart_engine *engine, const struct ox_chat *chat, int32_t *tag, bool *in_reasoning)
{
    enum ox_thinking thinking = OX_THINKING_ADAPTIVE;
    const bool named = ox_chat_thinking(chat, &thinking) && thinking != OX_THINKING_ADAPTIVE;
    *in_reasoning = named && thinking == OX_THINKING_ENABLED;
    *tag = -1;
    if (named) {
        *tag = *in_reasoning ? engine->markers.think_begin : engine->markers.think_end;
    }
    return (!named || *tag >= 0) && engine->markers.end_message >= 0;
}

/* The first replay for each message, at its index; indices below n count. */
static void put_by_message(const struct oxcart_messages_options *options, const struct oxcart_replay **by_message,
                           size_t n)
{
    for (size_t i = options->n_replay; i > 0; i--) {
        if (options->replay[i - 1].message < n) {
            by_message[options->replay[i - 1].message] = &options->replay[i - 1];
        }
    }
}

static enum ox_status choose(struct slicing *s, const struct ox_chat *chat, const struct oxcart_replay *const *by_message,
                             struct ox_replayed *out, size_t *n, struct ox_error *err)
{
    int32_t tag;
    bool in_reasoning;
    enum ox_status status = OX_OK;
    *n = 0;
    if (!find_tag(s->engine, chat, &tag, &in_reasoning)) {
        return OX_OK;
    }
    for (size_t i = 0; status == OX_OK && i < s->prompt->n_replies; i++) {
        const struct ox_chat_reply *reply = &s->prompt->replies[i];
        const struct oxcart_replay *replay = by_message[reply->message];
        bool equal = false;
        if (replay != NULL && is_whole(s->engine, tag, replay) && !has_media(s->prompt, reply)) {
            status = compare(s, chat, in_reasoning, reply, replay, &equal, err);
        }
        if (equal) {
            out[(*n)++] = (struct ox_replayed){reply->begin, reply->end, tag, replay->ids, replay->n_ids};
        }
    }
    return status;
}

enum ox_status ox_replay_choose(const struct oxcart_engine *engine, const struct ox_chat *chat,
                                const struct oxcart_messages_options *options, const struct ox_prompt *prompt,
                                struct ox_replayed **out, size_t *n, struct ox_error *err)
{
    *n = 0;
    if (options == NULL || options->n_replay == 0 || prompt->n_replies == 0) {
        return OX_OK;
    }
    const size_t n_messages = prompt->replies[prompt->n_replies - 1].message + 1;
    struct slicing slicing = {0};
    const struct oxcart_replay **by_message = ox_calloc(n_messages, sizeof *by_message);
    struct ox_replayed *replayed = ox_calloc(prompt->n_replies, sizeof *replayed);
    enum ox_status status = by_message != NULL && replayed != NULL ? OX_OK : ox_error_nomem(err, sizeof *replayed);
    if (status == OX_OK) {
        status = slicing_init(engine, prompt, options->allow_special != 0, &slicing, err);
    }
    if (status == OX_OK) {
        put_by_message(options, by_message, n_messages);
        status = choose(&slicing, chat, by_message, replayed, n, err);
    }
    ox_free(slicing.caller);
    ox_free(by_message);
    if (status != OX_OK) {
        ox_free(replayed);
        return status;
    }
    *out = replayed;
    return OX_OK;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

static enum ox_status add_ids(const struct ox_replayed *replayed, struct ox_ids *ids, struct ox_error *err)
{
    int failed = replayed->tag >= 0 ? ox_ids_add(ids, replayed->tag) : 0;
    for (size_t i = 0; failed == 0 && i < replayed->n_ids; i++) {
        failed = ox_ids_add(ids, replayed->ids[i]);
    }
    return failed == 0 ? OX_OK : ox_error_nomem(err, replayed->n_ids * sizeof *ids->ptr);
}

enum ox_status ox_replay_encode(const struct oxcart_engine *engine, const struct ox_prompt *prompt, bool allow_special,
                                const struct ox_replayed *replayed, size_t n, struct ox_ids *ids, struct ox_error *err)
{
    struct slicing slicing;
    size_t at = 0;
    enum ox_status status = slicing_init(engine, prompt, allow_special, &slicing, err);
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        status = encode_slice(&slicing, at, replayed[i].begin, ids, err);
        if (status == OX_OK) {
            status = add_ids(&replayed[i], ids, err);
        }
        at = replayed[i].end;
    }
    if (status == OX_OK) {
        status = encode_slice(&slicing, at, prompt->text.len, ids, err);
    }
    ox_free(slicing.caller);
    return status;
}
