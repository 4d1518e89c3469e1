/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to the Responses and Messages APIs and random replies to them. Input: JSON text, a byte 0xFF, bytes of chance.
 * The request is read as it is and with random members replaced. Invariants: a refusal has a 4xx, a type and a sentence;
 * an accepted conversation is one that the chat format takes, but for arguments, which only it reads; a reply is JSON or a
 * stream of it, whatever the events were, and where they are those of an engine, the pieces say what the whole says.
 */
#include <stdint.h>

#include "tests/api_events.h"
#include "tests/api_fuzz.h"
#include "tests/api_random.h"
#include "text/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_CHANGES 16

static struct ox_api_context context;

static void check_conversation(json_t *conversation)
{
    struct ox_chat *chat = NULL;
    struct ox_error err = {0};
    const enum ox_status status = ox_chat_from_json(conversation, "fuzz", NULL, NULL, &chat, &err);
    OX_CHECK(status == OX_OK || strstr(err.message, "arguments") != NULL ||
             strstr(err.message, "nested deeper") != NULL);
    ox_chat_free(chat);
}

/* The row of a reply's parts. */
static void row_of(const struct ox_api *api, bool stream, struct ox_str bytes, struct api_row *row)
{
    const bool is_messages = api == &ox_api_messages;
    json_t *tree = stream ? api_stream(bytes) : api_tree(bytes);
    json_t *parts = json_incref(json_object_get(tree, is_messages ? "content" : "output"));
    size_t i;
    json_t *part;
    OX_CHECK(tree != NULL);
    if (stream) {
        parts = is_messages ? api_join_blocks(tree) : api_join_items(tree);
    }
    json_array_foreach(parts, i, part)
    {
        if (is_messages) {
            api_row_block(row, part);
        } else {
            api_row_item(row, part);
        }
    }
    json_decref(parts);
    json_decref(tree);
}

/* Events of an engine: both forms of the reply say the same. */
static void play(const struct ox_api *api, struct ox_ask *ask, uint64_t seed)
{
    static const struct oxcart_result result = {.size = sizeof result, .n_prompt = 5, .n_generated = 3};
    struct api_row rows[2] = {0};
    for (int i = 0; i < 2; i++) {
        struct ox_buf out = {0};
        struct api_player player = {.api = api, .out = &out, .good = true};
        ask->stream = i == 1;
        player.reply = api->reply_new(&context, ask, 5);
        ox_rng_init(&player.rng, seed);
        if (ask->stream) {
            api->begin(player.reply, &out);
        }
        api_play_random(&player);
        OX_CHECK(player.good && api->end(player.reply, 0, &result, &out));
        row_of(api, ask->stream, ox_buf_str(&out), &rows[i]);
        api->reply_free(player.reply);
        ox_buf_fini(&player.expected.text);
        ox_buf_fini(&out);
    }
    OX_CHECK(ox_str_equal(ox_buf_str(&rows[0].text), ox_buf_str(&rows[1].text)));
    ox_buf_fini(&rows[0].text);
    ox_buf_fini(&rows[1].text);
}

/* Events in any order: what comes out has its form; and a stream may break off at any point. */
static void play_anything(const struct ox_api *api, struct ox_ask *ask, uint64_t seed)
{
    static const struct ox_api_error error = {.http_status = 500, .message = "broken"};
    static const struct oxcart_result result = {.size = sizeof result, .finish = OXCART_FINISH_LENGTH};
    struct ox_rng rng;
    struct ox_buf out = {0};
    ox_rng_init(&rng, seed);
    ask->stream = ox_rng_below(&rng, 2) == 0;
    struct ox_reply *reply = api->reply_new(&context, ask, 5);
    OX_CHECK(reply != NULL);
    if (ask->stream) {
        api->begin(reply, &out);
    }
    const size_t n = ox_rng_below(&rng, 40);
    for (size_t i = 0; i < n; i++) {
        const enum oxcart_event_kind kind = (enum oxcart_event_kind)ox_rng_below(&rng, OXCART_EVENT_CALL_FAILED + 1);
        const struct oxcart_event event = api_event(kind, (int32_t)ox_rng_below(&rng, 3) - 1, api_random_text(&rng));
        OX_CHECK(api->event(reply, 0, &event, &out));
    }
    const bool breaks = ask->stream && ox_rng_below(&rng, 2) == 0;
    if (breaks) {
        api->fail(reply, &error, &out);
    }
    OX_CHECK(breaks || api->end(reply, 0, &result, &out));
    json_t *tree = ask->stream ? api_stream(ox_buf_str(&out)) : api_tree(ox_buf_str(&out));
    OX_CHECK(tree != NULL);
    json_decref(tree);
    api->reply_free(reply);
    ox_buf_fini(&out);
}

static void try_request(const struct ox_api *api, json_t *body, uint64_t seed)
{
    struct ox_ask ask = {.kind = seed % 4 == 0 ? OX_ASK_COUNT : OX_ASK_ANSWER};
    struct ox_api_error error = {0};
    if (api->read(&context, body, &ask, &error)) {
        OX_CHECK(ask.n_choices == 1 && ask.chat && ask.ids == NULL && ask.body == body);
        OX_CHECK(ask.sampling.n_predict >= 0 && ask.sampling.n_logprobs <= 20);
        check_conversation(ask.conversation);
        play(api, &ask, seed);
        play_anything(api, &ask, seed);
    } else {
        api_fuzz_refusal(api, &error);
    }
    ox_ask_fini(&ask);
}

static void try_both(json_t *body, uint64_t seed)
{
    try_request(&ox_api_messages, body, seed);
    try_request(&ox_api_responses, body, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return api_fuzz(data, size, N_CHANGES, &context, try_both);
}
