/* SPDX-License-Identifier: Apache-2.0
 *
 * The demonstration model opened through the public interface, and its replies collected: what the tests of sessions
 * share.
 */
#ifndef OX_TESTS_DEMO_HELP_H
#define OX_TESTS_DEMO_HELP_H

#include "oxcart.h"
#include "tests/tap.h"

#define DEMO_MOST 512

/* One reply, as its events told it. */
struct demo_reply {
    char content[4096];
    char reasoning[4096];
    int32_t ids[DEMO_MOST];
    double logprobs[DEMO_MOST]; /* of the drawn tokens, where asked for */
    size_t n_ids;
    size_t n_calls_done;
    size_t stop_after; /* tokens, 0: never */
};

static inline void demo_join(char *to, size_t cap, const struct oxcart_event *event)
{
    const size_t len = strlen(to);
    const size_t n = event->text_bytes < cap - len - 1 ? event->text_bytes : cap - len - 1;
    memcpy(to + len, event->text, n);
    to[len + n] = '\0';
}

static inline int demo_on_event(void *user, const struct oxcart_event *event)
{
    struct demo_reply *reply = user;
    if (event->kind == OXCART_EVENT_TOKEN) {
        if (reply->n_ids < DEMO_MOST) {
            reply->logprobs[reply->n_ids] = event->n_logprobs > 0 ? event->logprobs[0].logprob : 0.0;
            reply->ids[reply->n_ids++] = event->id;
        }
        return reply->stop_after > 0 && reply->n_ids == reply->stop_after ? 1 : 0;
    }
    if (event->kind == OXCART_EVENT_CONTENT) {
        demo_join(reply->content, sizeof reply->content, event);
    } else if (event->kind == OXCART_EVENT_REASONING) {
        demo_join(reply->reasoning, sizeof reply->reasoning, event);
    } else if (event->kind == OXCART_EVENT_CALL_DONE) {
        reply->n_calls_done++;
    }
    return 0;
}

/* A model that does not open ends the program. */
static inline struct oxcart_engine *demo_open(const char *folder, int threads)
{
    struct oxcart_error err = {0};
    const struct oxcart_engine_options options = {.size = sizeof options, .model_path = folder, .n_threads = threads};
    struct oxcart_engine *engine = NULL;
    if (oxcart_engine_open(&options, &engine, &err) != OXCART_OK) {
        OK(false, "%s", err.message);
        exit(1);
    }
    return engine;
}

static inline struct oxcart_session *demo_session(struct oxcart_engine *engine, int32_t n_ctx)
{
    struct oxcart_error err = {0};
    const struct oxcart_session_options options = {.size = sizeof options, .n_ctx = n_ctx};
    struct oxcart_session *session = NULL;
    if (oxcart_session_open(engine, &options, &session, &err) != OXCART_OK) {
        OK(false, "%s", err.message);
        exit(1);
    }
    return session;
}

/* Ask one question (no characters that JSON escapes) without thinking; true if the session took it. */
static inline bool demo_ask(struct oxcart_session *session, const char *question)
{
    char json[8192];
    struct oxcart_error err = {0};
    snprintf(json, sizeof json,
             "{\"messages\": [{\"role\": \"user\", \"content\": \"%s\"}], \"thinking_mode\": \"disabled\"}", question);
    if (oxcart_session_set_messages(session, json, strlen(json), NULL, &err) != OXCART_OK) {
        NOTE("%s", err.message);
        return false;
    }
    return true;
}

/* Decode greedily; *reply is begun anew but for stop_after. */
static inline enum oxcart_status demo_decode(struct oxcart_session *session, const struct oxcart_sampling *sampling,
                                             struct demo_reply *reply, struct oxcart_result *result)
{
    const struct oxcart_sampling greedy = {.size = sizeof greedy, .n_predict = DEMO_MOST};
    const size_t stop_after = reply->stop_after;
    struct oxcart_error err = {0};
    memset(reply, 0, sizeof *reply);
    reply->stop_after = stop_after;
    *result = (struct oxcart_result){.size = sizeof *result};
    const enum oxcart_status status =
        oxcart_session_decode(session, sampling != NULL ? sampling : &greedy, demo_on_event, reply, result, &err);
    if (status != OXCART_OK && status != OXCART_E_CANCELLED) {
        NOTE("%s", err.message);
    }
    return status;
}

#endif
