/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies put into later prompts as they were drawn: which replays count, and that what was computed for them is found
 * again, in sessions and in requests.
 */
#include <jansson.h>

#include "engine/engine.h"
#include "tests/oom.h"
#include "tests/scheduler_help.h"

#define NS "]<]minimax[>["
#define END "[e~["
#define MOST_IDS 2048

#define QUESTION "{\"role\": \"user\", \"content\": \"What is the weather in Oslo?\"}"
#define TOOLS \
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"parameters\": {\"type\": " \
    "\"object\", \"properties\": {\"city\": {\"type\": \"string\"}, \"days\": {\"type\": \"array\", \"items\": " \
    "{\"type\": \"integer\"}}, \"exact\": {\"type\": \"boolean\"}}, \"required\": [\"city\", \"days\"]}}}]"
#define CALL(ARGUMENTS) \
    "\"tool_calls\": [{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"arguments\": " ARGUMENTS "}}]"
#define RIGHT CALL("{\"days\": [1, 2], \"city\": \"Oslo\"}")
#define INVOKE NS "<invoke name=\"get_weather\">"
#define DRAWN NS "<tool_call>" INVOKE NS "<city>Oslo" NS "</city>" NS " <days>[1,  2]" NS "</days>" NS "</invoke> " NS \
                 "</tool_call>"

struct ids {
    int32_t ptr[MOST_IDS];
    size_t n;
};

static void encode(const struct oxcart_engine *engine, const char *text, size_t len, struct ids *out)
{
    int32_t *ids = NULL;
    size_t n = 0;
    if (oxcart_encode(engine, text, len, 0, &ids, &n, NULL) != OXCART_OK || n > MOST_IDS - out->n) {
        exit(1);
    }
    memcpy(out->ptr + out->n, ids, n * sizeof *ids);
    out->n += n;
    oxcart_free(ids);
}

/* The tokens of a conversation: the question, and unless it is NULL the assistant's message and what follows. */
static enum oxcart_status prompt_of(const struct oxcart_engine *engine, const char *mode, const char *assistant,
                                    const struct oxcart_replay *replay, size_t n_replay, struct ids *out)
{
    char json[8192];
    struct oxcart_prompt *prompt = NULL;
    struct oxcart_error err = {0};
    const struct oxcart_messages_options options = {.size = sizeof options, .replay = replay, .n_replay = n_replay};
    snprintf(json, sizeof json,
             "{\"thinking_mode\": \"%s\", " TOOLS ", \"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, "
             QUESTION "%s%s%s]}",
             mode, assistant != NULL ? ", {\"role\": \"assistant\", " : "", assistant != NULL ? assistant : "",
             assistant != NULL ? "}, {\"role\": \"user\", \"content\": \"Go on.\"}" : "");
    const enum oxcart_status status =
        oxcart_prompt_from_messages(engine, json, strlen(json), &options, &prompt, &err);
    out->n = 0;
    if (status == OXCART_OK) {
        const int32_t *ids = NULL;
        out->n = oxcart_prompt_tokens(prompt, &ids);
        memcpy(out->ptr, ids, out->n * sizeof *ids);
    } else if (status != OXCART_E_NOMEM) {
        NOTE("%s", err.message);
    }
    oxcart_prompt_free(&prompt);
    return status;
}

static bool begins_with(const struct ids *all, const struct ids *first, const struct ids *then)
{
    return all->n > first->n + then->n && memcmp(all->ptr, first->ptr, first->n * sizeof first->ptr[0]) == 0 &&
           memcmp(all->ptr + first->n, then->ptr, then->n * sizeof then->ptr[0]) == 0;
}

/* ---- which count ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *mode;
    const char *assistant;
    const char *drawn;
    bool counts;
} cases[] = {
    {"a call with odd blanks", "disabled", RIGHT, DRAWN END, true},
    {"arguments as text", "disabled", CALL("\"{\\\"city\\\":\\\"Oslo\\\",\\\"days\\\":[1,2]}\""), DRAWN END, true},
    {"blanks for no content", "disabled", "\"content\": \"\", " RIGHT, "\n" DRAWN END, true},
    {"content before a call", "disabled", "\"content\": \"So. \", " RIGHT, "So. " DRAWN END, true},
    {"plain content", "disabled", "\"content\": \"Hello\"", "Hello" END, true},
    {"with thoughts", "enabled", "\"reasoning_content\": \"Hm.\\n\", \"content\": \"Yes\"", "Hm.\n</mm:think>Yes" END, true},
    {"thoughts by choice", "adaptive", "\"reasoning_content\": \"Hm\", " RIGHT, "<mm:think>Hm</mm:think>" DRAWN END, true},
    {"no thoughts by choice", "adaptive", "\"content\": \"Yes\"", "</mm:think>Yes" END, true},
    {"no tag at all", "adaptive", "\"content\": \"Yes\"", "Yes" END, true},
    {"empty thoughts", "enabled", "\"content\": \"Yes\"", "</mm:think>Yes" END, true},
    {"thoughts in the content", "enabled", "\"content\": \"<mm:think>Hm</mm:think>Yes\"", "Hm</mm:think>Yes" END, true},
    {"thoughts that the message lacks", "enabled", "\"content\": \"Yes\"", "Hm</mm:think>Yes" END, false},
    {"other thoughts", "enabled", "\"reasoning_content\": \"Ha\", \"content\": \"Yes\"", "Hm</mm:think>Yes" END, false},
    {"thoughts that were not drawn", "enabled", "\"reasoning_content\": \"Ha\", \"content\": \"Yes\"",
     "</mm:think>Yes" END, false},
    {"drawn in another mode", "enabled", "\"content\": \"Yes\"", "Yes" END, false},
    {"a tag twice", "enabled", "\"reasoning_content\": \"Hm\", \"content\": \"Yes\"", "<mm:think>Hm</mm:think>Yes" END,
     false},
    {"other content", "disabled", "\"content\": \"Hullo\"", "Hello" END, false},
    {"content with more", "disabled", "\"content\": \"Hello \"", "Hello" END, false},
    {"another city", "disabled", CALL("{\"days\": [1, 2], \"city\": \"Rome\"}"), DRAWN END, false},
    {"another number", "disabled", CALL("{\"days\": [1, 3], \"city\": \"Oslo\"}"), DRAWN END, false},
    {"one argument more", "disabled", CALL("{\"days\": [1, 2], \"city\": \"Oslo\", \"exact\": true}"), DRAWN END, false},
    {"another tool", "disabled",
     "\"tool_calls\": [{\"function\": {\"name\": \"get_time\", \"arguments\": {\"days\": [1, 2], \"city\": \"Oslo\"}}}]",
     DRAWN END, false},
    {"two calls for one", "disabled",
     "\"tool_calls\": [{\"name\": \"get_weather\", \"arguments\": {\"days\": [1, 2], \"city\": \"Oslo\"}}, "
     "{\"name\": \"get_weather\", \"arguments\": {\"days\": [1, 2], \"city\": \"Oslo\"}}]",
     DRAWN END, false},
    {"no call", "disabled", "\"content\": \"\"", DRAWN END, false},
    {"a call that failed", "disabled", "\"content\": \"\"", NS "<tool_call>" INVOKE NS "</city>" END, false},
    {"a marker that begins nothing", "disabled", "\"content\": \"" NS "<b>\"", NS "<b>" END, true},
    {"no end", "disabled", "\"content\": \"Hello\"", "Hello", false},
    {"two ends", "disabled", "\"content\": \"Hello\"", "Hello" END END, false},
    {"another message", "disabled", "\"content\": \"Hello\"", "Hello]~b]" END, false},
    {"another document", "disabled", "\"content\": \"Hello\"", "]~!b[Hello" END, false},
    {"a picture", "disabled", "\"content\": \"Hello\"", "Hello]<]image[>[" END, false},
    {"nothing", "disabled", "\"content\": \"\"", "", false},
};

static void test_cases(const struct oxcart_engine *engine)
{
    static struct ids first;
    static struct ids rendered;
    static struct ids found;
    static struct ids drawn;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        drawn.n = 0;
        encode(engine, cases[i].drawn, strlen(cases[i].drawn), &drawn);
        const struct oxcart_replay replay = {.message = 2, .ids = drawn.ptr, .n_ids = drawn.n};
        const bool made = prompt_of(engine, cases[i].mode, NULL, NULL, 0, &first) == OXCART_OK &&
                          prompt_of(engine, cases[i].mode, cases[i].assistant, NULL, 0, &rendered) == OXCART_OK &&
                          prompt_of(engine, cases[i].mode, cases[i].assistant, &replay, 1, &found) == OXCART_OK;
        if (cases[i].counts) {
            OK(made && begins_with(&found, &first, &drawn), "%s: as drawn", cases[i].name);
        } else {
            OK(made && found.n == rendered.n && memcmp(found.ptr, rendered.ptr, found.n * sizeof found.ptr[0]) == 0,
               "%s: rendered", cases[i].name);
        }
        /* what follows the message is what would follow it anyway */
        size_t tail = 0;
        while (tail < found.n && tail < rendered.n &&
               found.ptr[found.n - 1 - tail] == rendered.ptr[rendered.n - 1 - tail]) {
            tail++;
        }
        OK(tail >= 8, "and then the same %zu tokens", tail);
    }
}

/* Which message a replay is for, and tokens that encoding would not choose. */
static void test_places(const struct oxcart_engine *engine)
{
    static struct ids first;
    static struct ids rendered;
    static struct ids found;
    static struct ids letters;
    static const char hello[] = "Hello";
    for (size_t i = 0; i < sizeof hello - 1; i++) {
        encode(engine, hello + i, 1, &letters);
    }
    encode(engine, END, strlen(END), &letters);
    int32_t other[MOST_IDS];
    memcpy(other, letters.ptr, sizeof other);
    other[0] = letters.ptr[1];
    const struct oxcart_replay replays[] = {{1, letters.ptr, letters.n},      {3, letters.ptr, letters.n},
                                            {SIZE_MAX, letters.ptr, letters.n}, {2, letters.ptr, letters.n},
                                            {2, other, letters.n}};
    static const char said[] = "\"content\": \"Hello\"";
    bool made = prompt_of(engine, "disabled", NULL, NULL, 0, &first) == OXCART_OK &&
                prompt_of(engine, "disabled", said, NULL, 0, &rendered) == OXCART_OK &&
                prompt_of(engine, "disabled", said, replays, 5, &found) == OXCART_OK;
    OK(made && letters.n == 6 && begins_with(&found, &first, &letters) && found.n > rendered.n,
       "letter by letter: %zu tokens for %zu", found.n, rendered.n);
    OK(prompt_of(engine, "disabled", said, replays, 3, &found) == OXCART_OK && found.n == rendered.n &&
           memcmp(found.ptr, rendered.ptr, found.n * sizeof found.ptr[0]) == 0,
       "replays for other messages are passed over");
    letters.ptr[2] = -1;
    made = prompt_of(engine, "disabled", said, replays, 4, &found) == OXCART_OK && found.n == rendered.n;
    letters.ptr[2] = 1 << 24;
    OK(made && prompt_of(engine, "disabled", said, replays, 4, &found) == OXCART_OK && found.n == rendered.n,
       "and those with ids that there are not");
}

/* Pictures before, in and behind a message that was drawn here. */
static void test_pictures(const struct oxcart_engine *engine)
{
    static uint8_t pixels[56 * 56 * 3];
    static struct ids drawn;
    const struct oxcart_media one = {
        .size = sizeof one, .pixels = pixels, .n_frames = 1, .height = 56, .width = 56};
    const struct oxcart_media media[] = {one, one, one};
    struct oxcart_messages_options options = {.size = sizeof options, .media = media, .n_media = 3};
    static const char talk[] =
        "{\"thinking_mode\": \"disabled\", \"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, "
        "\"First?\"]}, {\"role\": \"assistant\", \"content\": \"Hello\"}, {\"role\": \"user\", \"content\": [\"Then?\", "
        "{\"type\": \"image\"}]}, {\"role\": \"assistant\", \"content\": [\"Hello\", {\"type\": \"image\"}]}]}";
    struct oxcart_prompt *prompts[2] = {NULL, NULL};
    struct oxcart_error err = {0};
    const int32_t *ids[2];
    for (size_t i = 0; i < 4; i++) {
        encode(engine, &"Hell"[i], 1, &drawn);
    }
    encode(engine, "o" END, strlen("o" END), &drawn);
    const struct oxcart_replay given[] = {{1, drawn.ptr, drawn.n}, {3, drawn.ptr, drawn.n}};
    OK(oxcart_prompt_from_messages(engine, talk, strlen(talk), &options, &prompts[0], &err) == OXCART_OK, "rendered %s",
       err.message);
    options.replay = given;
    options.n_replay = 2;
    OK(oxcart_prompt_from_messages(engine, talk, strlen(talk), &options, &prompts[1], &err) == OXCART_OK, "replayed %s",
       err.message);
    const size_t n = oxcart_prompt_tokens(prompts[0], &ids[0]);
    const size_t more = oxcart_prompt_tokens(prompts[1], &ids[1]) - n;
    size_t head = 0;
    while (head < n && ids[0][head] == ids[1][head]) {
        head++;
    }
    size_t tail = 0;
    while (tail < n && ids[0][n - 1 - tail] == ids[1][n + more - 1 - tail]) {
        tail++;
    }
    size_t n_placeholders = 0;
    for (size_t i = 0; i < n + more; i++) {
        n_placeholders += ids[1][i] == engine->config.image_token ? 1 : 0;
    }
    OK(more == 4 && head + tail < n && head > n_placeholders / 3 && n_placeholders == 12 &&
           memcmp(&ids[1][head], drawn.ptr, drawn.n * sizeof drawn.ptr[0]) == 0,
       "the first message is as drawn, the one with a picture is rendered: %zu tokens more", more);
    oxcart_prompt_free(&prompts[0]);
    oxcart_prompt_free(&prompts[1]);
}

static void test_no_memory(const struct oxcart_engine *engine)
{
    static struct ids drawn;
    static struct ids expected;
    static struct ids found;
    encode(engine, DRAWN END, strlen(DRAWN END), &drawn);
    const struct oxcart_replay replay = {.message = 2, .ids = drawn.ptr, .n_ids = drawn.n};
    OK(prompt_of(engine, "disabled", RIGHT, &replay, 1, &expected) == OXCART_OK, "a replay");
    size_t n_wrong = 0;
    long n = 1;
    for (bool failed = true; failed && n < 3000; n++) {
        oom_arm(n);
        const enum oxcart_status status = prompt_of(engine, "disabled", RIGHT, &replay, 1, &found);
        failed = oom_disarm();
        const bool same = status == OXCART_OK && found.n == expected.n &&
                          memcmp(found.ptr, expected.ptr, found.n * sizeof found.ptr[0]) == 0;
        n_wrong += same || status == OXCART_E_NOMEM ? 0 : 1;
    }
    OK(n > 20 && n < 3000 && n_wrong == 0, "%ld allocations fail, %zu wrong", n - 2, n_wrong);
}

/* ---- what is found again ----------------------------------------------------------------------------------------- */

#define TALK "{\"thinking_mode\": \"disabled\", " TOOLS ", \"messages\": [" QUESTION

/* A wild reply, as a client gets it. */
struct reply {
    struct ids ids;
    char name[64];
    char arguments[2048];
    struct demo_reply text;
};

static int on_event(void *user, const struct oxcart_event *event)
{
    struct reply *reply = user;
    if (event->kind == OXCART_EVENT_CALL_BEGIN) {
        demo_join(reply->name, sizeof reply->name, event);
    } else if (event->kind == OXCART_EVENT_CALL_ARGUMENTS) {
        demo_join(reply->arguments, sizeof reply->arguments, event);
    } else if (event->kind == OXCART_EVENT_TOKEN && reply->ids.n < MOST_IDS) {
        reply->ids.ptr[reply->ids.n++] = event->id;
    }
    return demo_on_event(&reply->text, event);
}

static struct oxcart_sampling wild(uint64_t seed)
{
    struct oxcart_sampling sampling;
    oxcart_sampling_default(&sampling);
    sampling.temperature = 2.0F;
    sampling.top_k = 0;
    sampling.top_p = 1.0F;
    sampling.n_predict = DEMO_MOST;
    sampling.seed = seed;
    sampling.has_seed = 1;
    sampling.constraint = OXCART_CONSTRAINT_TOOLS_REQUIRED;
    sampling.single_call = 1;
    return sampling;
}

/* The conversation with the reply and the tool's result in it. */
static json_t *next_turn(const struct reply *reply)
{
    json_t *talk = json_loads(TALK "]}", 0, NULL);
    json_t *messages = json_object_get(talk, "messages");
    json_t *assistant = json_pack("{s:s, s:s, s:[{s:{s:s, s:s}}]}", "role", "assistant", "content", reply->text.content,
                                  "tool_calls", "function", "name", reply->name, "arguments", reply->arguments);
    if (reply->text.reasoning[0] != '\0') {
        json_object_set_new(assistant, "reasoning_content", json_string(reply->text.reasoning));
    }
    json_array_append_new(messages, assistant);
    json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "tool", "content", "21 degrees, sunny"));
    return talk;
}

static void test_found_again(struct oxcart_engine *engine)
{
    static struct reply reply;
    static struct asked asked;
    const struct oxcart_scheduler_options scheduling = {.size = sizeof scheduling, .n_ctx = 2048};
    struct oxcart_session *session = demo_session(engine, 2048);
    struct serving serving;
    size_t n_replies = 0;
    size_t n_whole = 0;
    size_t n_without = 0;
    size_t n_served = 0;
    serving_open(engine, &scheduling, &serving);
    for (uint64_t seed = 0; seed < 12; seed++) {
        const struct oxcart_sampling sampling = wild(seed);
        struct oxcart_result result = {.size = sizeof result};
        struct oxcart_error err = {0};
        memset(&reply, 0, sizeof reply);
        if (oxcart_session_set_messages(session, TALK "]}", strlen(TALK "]}"), NULL, &err) != OXCART_OK ||
            oxcart_session_decode(session, &sampling, on_event, &reply, &result, &err) != OXCART_OK) {
            OK(false, "%s", err.message);
            break;
        }
        if (result.finish != OXCART_FINISH_TOOL_CALLS) {
            continue;
        }
        n_replies++;
        json_t *talk = next_turn(&reply);
        char *json = json_dumps(talk, 0);
        const struct oxcart_replay replay = {.message = 1, .ids = reply.ids.ptr, .n_ids = reply.ids.n};
        const struct oxcart_messages_options options = {.size = sizeof options, .replay = &replay, .n_replay = 1};
        /* all but the token that was drawn last, which nothing has followed */
        const int32_t known = result.n_prompt + (int32_t)reply.ids.n - 1;
        struct demo_reply answer = {.stop_after = 1};
        struct oxcart_result next;
        struct oxcart_prompt *prompt = NULL;
        if (oxcart_session_set_messages(session, json, strlen(json), &options, &err) == OXCART_OK &&
            demo_decode(session, NULL, &answer, &next) == OXCART_E_CANCELLED) {
            n_whole += next.n_cached == known ? 1 : 0;
        }
        if (oxcart_session_rewind(session, (size_t)known, &err) == OXCART_OK &&
            oxcart_session_set_messages(session, json, strlen(json), NULL, &err) == OXCART_OK &&
            demo_decode(session, NULL, &answer, &next) == OXCART_E_CANCELLED) {
            n_without += next.n_cached == known ? 1 : 0;
        }
        /* the same reply of a request, and its next turn */
        if (oxcart_prompt_from_messages(engine, TALK "]}", strlen(TALK "]}"), NULL, &prompt, &err) == OXCART_OK &&
            ask_prompt(&serving, prompt, 1, &sampling, &asked)) {
            await(&asked);
        }
        oxcart_prompt_free(&prompt);
        const bool drawn = asked.reply.n_ids == reply.ids.n;
        if (drawn && oxcart_prompt_from_messages(engine, json, strlen(json), &options, &prompt, &err) == OXCART_OK &&
            ask_prompt(&serving, prompt, 1, NULL, &asked)) {
            await(&asked);
            n_served += asked.result.n_cached >= known / 32 * 32 ? 1 : 0;
        }
        oxcart_prompt_free(&prompt);
        free(json);
        json_decref(talk);
    }
    OK(n_replies >= 6 && n_whole == n_replies, "%zu of %zu replies are kept whole", n_whole, n_replies);
    OK(n_without < n_replies, "without replay, %zu", n_without);
    OK(n_served == n_replies, "and %zu in requests", n_served);
    serving_close(&serving, OXCART_STOP_FINISH);
    oxcart_session_close(&session);
}

int main(void)
{
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 1);
    test_cases(engine);
    test_places(engine);
    test_pictures(engine);
    test_no_memory(engine);
    test_found_again(engine);
    oxcart_engine_close(&engine);
    return tap_done();
}
