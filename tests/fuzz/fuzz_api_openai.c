/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to OpenAI's APIs and random replies to them. Input: JSON text, a byte 0xFF, bytes of chance. The request is
 * read as it is and with random members replaced. Invariants: a refusal has a 4xx, a type and a sentence; what is accepted
 * keeps to the limits; the bytes of a reply are JSON or a stream of it, and the stream's pieces say what the whole says.
 */
#include <stdint.h>

#include "tests/api_events.h"
#include "tests/api_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_CHANGES 24

static struct ox_api_context context;

/* Media of an accepted conversation have one form, and are not too many. */
static void check_conversation(const json_t *conversation)
{
    size_t i;
    size_t k;
    json_t *message;
    json_t *part;
    size_t n_media = 0;
    const json_t *messages = json_object_get(conversation, "messages");
    OX_CHECK(json_array_size(messages) > 0 && json_array_size(messages) <= context.max_messages);
    json_array_foreach(messages, i, message)
    {
        json_array_foreach(json_object_get(message, "content"), k, part)
        {
            const char *type = json_string_value(json_object_get(part, "type"));
            const bool is_media = type != NULL && strcmp(type, "text") != 0;
            n_media += is_media ? 1 : 0;
            OX_CHECK(!is_media || strcmp(type, "image_url") == 0 || strcmp(type, "video_url") == 0);
            OX_CHECK(!is_media || json_string_length(json_object_get(json_object_get(part, type), "url")) > 0);
        }
    }
    OX_CHECK(n_media <= context.max_images);
}

static void play(const struct ox_api *api, struct ox_ask *ask, uint64_t seed)
{
    static struct api_script script;
    struct ox_rng rng;
    struct ox_buf whole = {0};
    struct ox_buf stream = {0};
    ox_rng_init(&rng, seed);
    api_script_make(&script, &rng, ask->n_choices, ask->chat, NULL);
    ask->stream = false;
    OX_CHECK(api_script_play(api, &context, ask, &script, &whole));
    ask->stream = true;
    OX_CHECK(api_script_play(api, &context, ask, &script, &stream));
    json_t *tree = api_tree(ox_buf_str(&whole));
    json_t *events = api_stream(ox_buf_str(&stream));
    OX_CHECK(tree != NULL && events != NULL);
    for (int32_t i = 0; i < ask->n_choices; i++) {
        json_t *a = ask->chat ? api_chat_of_whole(tree, i) : api_text_of_whole(tree, i);
        json_t *b = ask->chat ? api_chat_of_stream(events, i, &script) : api_text_of_stream(events, i);
        OX_CHECK(a != NULL && b != NULL && json_equal(a, b));
        json_decref(a);
        json_decref(b);
    }
    json_decref(tree);
    json_decref(events);
    ox_buf_fini(&whole);
    ox_buf_fini(&stream);
}

static void try_request(const struct ox_api *api, json_t *body, uint64_t seed)
{
    struct ox_ask ask = {0};
    struct ox_api_error error = {0};
    if (api->read(&context, body, &ask, &error)) {
        OX_CHECK(ask.n_choices >= 1 && ask.n_choices <= context.max_choices);
        OX_CHECK(ask.sampling.n_predict >= 0 && ask.sampling.n_logprobs <= 20);
        OX_CHECK(ask.chat ? ask.ids == NULL : ask.n_ids > 0 && ask.conversation == NULL);
        if (ask.chat) {
            check_conversation(ask.conversation);
        }
        for (size_t i = 0; i < ask.n_ids; i++) {
            OX_CHECK(ask.ids[i] >= 0 && ask.ids[i] < context.info.n_vocab);
        }
        play(api, &ask, seed);
    } else {
        api_fuzz_refusal(api, &error);
    }
    ox_ask_fini(&ask);
}

static void try_both(json_t *body, uint64_t seed)
{
    try_request(&ox_api_chat, body, seed);
    try_request(&ox_api_completions, body, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return api_fuzz(data, size, N_CHANGES, &context, try_both);
}
