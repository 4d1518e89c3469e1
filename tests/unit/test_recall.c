/* SPDX-License-Identifier: Apache-2.0
 *
 * Kept replies: what is unchanged comes back, what is changed does not; the bound in bytes; many threads; failing
 * allocations; and the way through chat completions, there and back.
 */
#include <pthread.h>

#include "base/json_build.h"
#include "base/mem.h"
#include "server/recall.h"
#include "tests/api_help.h"
#include "tests/oom.h"
#include "tests/tap.h"

static const int32_t drawn[] = {11, 12, 13, 14, 15};

/* A reply with two calls, whose first one has this id. */
static void keep(struct ox_recall *recall, const char *id, size_t n_ids)
{
    const struct ox_recall_call calls[] = {
        {ox_str_c(id), ox_str_c("f"), ox_str_c("{\"x\": 1, \"y\": [2, \"a\"]}")},
        {ox_str_c("call_2"), ox_str_c("g"), ox_str_c("{}")},
    };
    const struct ox_recall_reply reply = {.reasoning = ox_str_c("Hm."),
                                          .content = ox_str_c("I look."),
                                          .calls = calls,
                                          .n_calls = 2,
                                          .ids = drawn,
                                          .n_ids = n_ids};
    ox_recall_keep(recall, &reply);
}

/* How many replays a conversation of one assistant's message behind a question has; ask must be released. */
static size_t fill(struct ox_recall *recall, const char *message, struct ox_ask *ask)
{
    struct ox_buf json = {0};
    *ask = (struct ox_ask){0};
    ox_buf_printf(&json, "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, %s]}", message);
    ask->conversation = api_tree(ox_buf_str(&json));
    OK(ask->conversation != NULL, "a conversation");
    ox_buf_fini(&json);
    ox_recall_fill(recall, ask);
    return ask->messages.n_replay;
}

static bool is_found(struct ox_recall *recall, const char *message)
{
    struct ox_ask ask;
    const bool found = fill(recall, message, &ask) == 1 && ask.messages.replay[0].message == 1 &&
                       ask.messages.replay[0].n_ids == 5 &&
                       memcmp(ask.messages.replay[0].ids, drawn, sizeof drawn) == 0;
    ox_ask_fini(&ask);
    return found;
}

#define HEAD "{\"role\": \"assistant\", "
#define CALLS                                                                                                          \
    "\"tool_calls\": [{\"id\": \"call_1\", \"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": "    \
    "\"{\\\"x\\\": 1, \\\"y\\\": [2, \\\"a\\\"]}\"}}, {\"id\": \"call_2\", \"type\": \"function\", \"function\": "     \
    "{\"name\": \"g\", \"arguments\": \"{}\"}}]}"
#define OTHER_CALLS(id, name, arguments, rest)                                                                         \
    "\"tool_calls\": [{\"id\": \"" id "\", \"function\": {\"name\": \"" name "\", \"arguments\": " arguments "}}" rest \
    "]}"
#define SECOND ", {\"id\": \"call_2\", \"function\": {\"name\": \"g\", \"arguments\": {}}}"
#define SAME_TEXT "\"{\\\"y\\\":[2,\\\"a\\\"],\\\"x\\\":1}\""

static void test_same(void)
{
    static const char *const same[] = {
        HEAD "\"content\": \"I look.\", \"reasoning_content\": \"Hm.\", " CALLS,
        HEAD "\"content\": \"I look.\", " CALLS,
        HEAD "\"content\": \"I look.\", \"reasoning_content\": \"\", " CALLS,
        HEAD "\"content\": [{\"type\": \"text\", \"text\": \"I \"}, \"look.\"], " CALLS,
        HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_1", "f", SAME_TEXT, SECOND),
        HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_1", "f", "{\"x\": 1, \"y\": [2, \"a\"]}", SECOND),
    };
    static const char *const other[] = {
        HEAD "\"content\": \"I look\", " CALLS,
        HEAD "\"content\": null, " CALLS,
        HEAD CALLS,
        HEAD "\"content\": [{\"type\": \"text\", \"text\": \"I look.\"}, {\"type\": \"image_url\", \"image_url\": "
             "\"x\"}], " CALLS,
        HEAD "\"content\": \"I look.\", \"reasoning_content\": \"Hm\", " CALLS,
        HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_3", "f", SAME_TEXT, SECOND),
        HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_1", "h", SAME_TEXT, SECOND),
        HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_1", "f", "\"{\\\"x\\\": 2, \\\"y\\\": [2, \\\"a\\\"]}\"",
                                                      SECOND),
        HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_1", "f", "\"{\"", SECOND),
        HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_1", "f", "null", SECOND),
        HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_1", "f", SAME_TEXT, ""),
        HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_1", "f", SAME_TEXT, SECOND SECOND),
        HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_2", "g", "{}", SECOND),
        HEAD "\"content\": \"I look.\"}",
        "{\"role\": \"user\", \"content\": \"I look.\", " CALLS,
    };
    struct ox_recall *recall = ox_recall_new(100000);
    keep(recall, "call_1", 5);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        OK(is_found(recall, same[i]), "found: %s", same[i]);
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        OK(!is_found(recall, other[i]), "not found: %s", other[i]);
    }
    ox_recall_free(recall);
    OK(!is_found(NULL, same[0]), "no store, nothing found");
    keep(NULL, "call_1", 5);
}

/* A message without reasoning gets it back; one with its own keeps that. */
static void test_reasoning(void)
{
    struct ox_ask ask;
    struct ox_recall *recall = ox_recall_new(100000);
    keep(recall, "call_1", 5);
    IS_INT(fill(recall, HEAD "\"content\": \"I look.\", " CALLS, &ask), 1, "found");
    IS_STR(api_text(ask.conversation, "messages.1.reasoning_content"), "Hm.", "with its reasoning");
    ox_ask_fini(&ask);
    IS_INT(fill(recall, HEAD "\"content\": \"I see.\", " CALLS, &ask), 0, "changed");
    OK(api_at(ask.conversation, "messages.1.reasoning_content") == NULL, "no reasoning for what was not said");
    ox_ask_fini(&ask);
    ox_recall_free(recall);
}

/* Blanks before a call need not come back; text must. */
static void test_blanks(void)
{
    static const struct {
        const char *kept;
        const char *message;
        size_t n;
    } rows[] = {
        {"\n", "null", 1},      {"\n", "\"\"", 1},  {" \n", "[]", 1},     {"", "\"\\n\"", 1},
        {"", "\"\\u0000\"", 0}, {"\n", "\"a\"", 0}, {"a", "\"a\\n\"", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_ask ask;
        struct ox_buf message = {0};
        struct ox_recall *recall = ox_recall_new(100000);
        const struct ox_recall_call call = {ox_str_c("call_1"), ox_str_c("f"), ox_str_c("{}")};
        const struct ox_recall_reply reply = {
            .content = ox_str_c(rows[i].kept), .calls = &call, .n_calls = 1, .ids = drawn, .n_ids = 5};
        ox_recall_keep(recall, &reply);
        ox_buf_printf(&message, HEAD "\"content\": %s, " OTHER_CALLS("call_1", "f", "{}", ""), rows[i].message);
        IS_INT(fill(recall, ox_buf_text(&message), &ask), rows[i].n, rows[i].message);
        ox_ask_fini(&ask);
        ox_buf_fini(&message);
        ox_recall_free(recall);
    }
}

/* Several messages of one conversation, and an ask that has no place. */
static void test_several(void)
{
    struct ox_ask ask = {0};
    struct ox_recall *recall = ox_recall_new(100000);
    keep(recall, "call_1", 5);
    keep(recall, "call_9", 2);
    static const char nine[] = HEAD "\"content\": \"I look.\", " OTHER_CALLS("call_9", "f", SAME_TEXT, SECOND);
    static const char both[] =
        HEAD "\"content\": \"I look.\", " CALLS ", {\"role\": \"tool\", \"content\": \"\"}, " HEAD
             "\"content\": \"I look.\", " OTHER_CALLS("call_9", "f", SAME_TEXT, SECOND);
    IS_INT(fill(recall, both, &ask), 2, "two replays");
    OK(ask.messages.replay[0].message == 1 && ask.messages.replay[1].message == 3 &&
           ask.messages.replay[1].n_ids == 2 && ask.messages.replay[1].ids[1] == 12,
       "each with its own tokens");
    ox_ask_fini(&ask);
    ask = (struct ox_ask){0};
    ask.conversation = json_object();
    json_t *messages = json_array();
    json_array_append_new(messages, api_tree(ox_str_c(nine)));
    json_object_set_new(ask.conversation, "messages", messages);
    for (size_t i = 0; i < sizeof ask.kept / sizeof ask.kept[0]; i++) {
        OK(ox_ask_keep(&ask, ox_strdup("")), "a place is taken");
    }
    ox_recall_fill(recall, &ask);
    OK(ask.messages.n_replay == 0 && ask.messages.replay == NULL, "no place, no replay");
    ox_ask_fini(&ask);
    ox_recall_free(recall);
}

/* The message of the reply with this id. */
static bool has(struct ox_recall *recall, const char *id)
{
    struct ox_buf json = {0};
    ox_buf_printf(&json, HEAD "\"content\": \"I look.\", " OTHER_CALLS("%s", "f", "%s", "%s"), id, SAME_TEXT, SECOND);
    const bool found = is_found(recall, ox_buf_text(&json));
    ox_buf_fini(&json);
    return found;
}

static void test_bound(void)
{
    /* How large one is: the smallest store that keeps it. */
    size_t bytes = 1;
    for (bool kept = false; !kept && bytes < 4096;) {
        struct ox_recall *recall = ox_recall_new(bytes);
        struct ox_ask ask = {0};
        ask.conversation = api_tree(ox_str_c("{\"messages\": [" HEAD "\"content\": \"I look.\", " CALLS "]}"));
        keep(recall, "call_1", 5);
        ox_recall_fill(recall, &ask);
        kept = ask.messages.n_replay == 1;
        bytes += kept ? 0 : 1;
        ox_ask_fini(&ask);
        ox_recall_free(recall);
    }
    NOTE("a kept reply has %zu bytes", bytes);
    struct ox_recall *recall = ox_recall_new(3 * bytes);
    keep(recall, "call_a", 5);
    keep(recall, "call_b", 5);
    keep(recall, "call_c", 5);
    OK(has(recall, "call_b") && has(recall, "call_c") && has(recall, "call_a"), "three fit");
    keep(recall, "call_d", 5);
    OK(!has(recall, "call_b"), "a fourth drives out the one that was not used for longest");
    OK(has(recall, "call_c") && has(recall, "call_a") && has(recall, "call_d"), "and no other");
    keep(recall, "call_c", 5);
    OK(has(recall, "call_c") && has(recall, "call_a") && has(recall, "call_d"), "the same again takes no second place");
    ox_recall_free(recall);
    recall = ox_recall_new(3 * bytes - 1);
    keep(recall, "call_a", 5);
    keep(recall, "call_b", 5);
    keep(recall, "call_c", 5);
    OK(!has(recall, "call_a") && has(recall, "call_b") && has(recall, "call_c"), "one byte less: two");
    ox_recall_free(recall);
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

#define N_THREADS 4
#define N_ROUNDS 400

struct worker {
    struct ox_recall *recall;
    int number;
    size_t n_found;
    bool wrong;
};

/* Keep replies whose tokens tell whose they are, and look for those of all. */
static void *work(void *user)
{
    struct worker *worker = user;
    for (int i = 0; i < N_ROUNDS; i++) {
        char id[32];
        char json[400];
        const int32_t ids[] = {worker->number * 1000 + i % 7, 5};
        snprintf(id, sizeof id, "call_%d_%d", worker->number, i % 7);
        const struct ox_recall_call call = {ox_str_c(id), ox_str_c("f"), ox_str_c("{}")};
        const struct ox_recall_reply reply = {.calls = &call, .n_calls = 1, .ids = ids, .n_ids = 2};
        ox_recall_keep(worker->recall, &reply);
        const int whose = i % N_THREADS;
        snprintf(json, sizeof json,
                 "{\"messages\": [" HEAD "\"content\": null, " OTHER_CALLS("call_%d_%d", "f", "{}", "") "]}", whose,
                 i % 7);
        struct ox_ask ask = {0};
        ask.conversation = api_tree(ox_str_c(json));
        ox_recall_fill(worker->recall, &ask);
        if (ask.messages.n_replay == 1) {
            worker->n_found++;
            worker->wrong = worker->wrong || ask.messages.replay[0].ids[0] != whose * 1000 + i % 7;
        }
        ox_ask_fini(&ask);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[N_THREADS];
    struct worker workers[N_THREADS];
    struct ox_recall *recall = ox_recall_new(4000); /* not all fit */
    for (int i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){.recall = recall, .number = i};
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    size_t n_found = 0;
    bool wrong = false;
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
        n_found += workers[i].n_found;
        wrong = wrong || workers[i].wrong;
    }
    OK(n_found > 0 && !wrong, "%d threads found %zu, each the right one", N_THREADS, n_found);
    ox_recall_free(recall);
}

static void test_oom(void)
{
    long n = 1;
    bool good = true;
    for (bool failed = true; failed; n++) {
        oom_arm(n);
        struct ox_recall *recall = ox_recall_new(100000);
        if (recall != NULL) {
            keep(recall, "call_1", 5);
        }
        failed = oom_disarm();
        good = good && (recall != NULL || failed);
        ox_recall_free(recall);
    }
    OK(good && n > 4, "%ld allocations of keeping fail", n);
    struct ox_recall *recall = ox_recall_new(100000);
    keep(recall, "call_1", 5);
    n = 1;
    for (bool failed = true; failed; n++) {
        struct ox_ask ask = {0};
        ask.conversation = api_tree(ox_str_c("{\"messages\": [" HEAD "\"content\": [\"I look.\"], " CALLS "]}"));
        oom_arm(n);
        ox_recall_fill(recall, &ask);
        failed = oom_disarm();
        good = good && ask.messages.n_replay == (failed ? 0U : 1U);
        ox_ask_fini(&ask);
    }
    OK(good && n > 3, "%ld allocations of finding fail", n);
    ox_recall_free(recall);
}

/* ---- through an API --------------------------------------------------------------------------------------------- */

static void feed(const struct ox_api *api, struct ox_reply *reply, bool fails, enum oxcart_finish finish,
                 struct ox_buf *out)
{
    const struct oxcart_event events[] = {
        api_event(OXCART_EVENT_REASONING, 0, "Hm."),
        api_event(OXCART_EVENT_CONTENT, 0, "I look."),
        api_event(OXCART_EVENT_CALL_BEGIN, 0, "f"),
        api_event(OXCART_EVENT_CALL_ARGUMENTS, 0, "{\"x\":1}"),
        fails ? api_event(OXCART_EVENT_CALL_FAILED, 0, "no") : api_event(OXCART_EVENT_CALL_DONE, 0, ""),
    };
    const struct oxcart_result result = {.finish = finish};
    bool good = true;
    for (size_t i = 0; i < 5; i++) {
        struct oxcart_event token = api_event(OXCART_EVENT_TOKEN, 0, "");
        token.id = drawn[i];
        good = good && api->event(reply, 0, &token, out) && api->event(reply, 0, &events[i], out);
    }
    OK(good && api->end(reply, 0, &result, out), "a reply");
}

/* The request that brings a reply back: before it, a list of what the reply holds or that itself, behind it. */
struct way {
    const struct ox_api *api;
    const char *first;
    const char *before;
    const char *part;
    bool is_list;
    const char *after;
};

static const struct way ways[] = {
    {&ox_api_chat, "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}",
     "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, ", "choices.0.message", false, "]}"},
    {&ox_api_messages, "{\"max_tokens\": 9, \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}",
     "{\"max_tokens\": 9, \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", "
     "\"content\": [",
     "content", true, "]}, {\"role\": \"user\", \"content\": \"Well?\"}]}"},
    {&ox_api_responses, "{\"input\": \"Hi\"}", "{\"input\": [{\"role\": \"user\", \"content\": \"Hi\"}, ", "output",
     true, "]}"},
};

/* The next request of a client that drops reasoning, or does not. */
static void write_next(const struct way *way, json_t *tree, bool drops, struct ox_buf *next)
{
    json_t *part = api_at(tree, way->part);
    bool any = false;
    ox_buf_add_c(next, way->before);
    for (size_t i = 0; i < json_array_size(part) && way->is_list; i++) {
        json_t *item = json_array_get(part, i);
        const bool is_thought =
            strcmp(api_text(item, "type"), "thinking") == 0 || strcmp(api_text(item, "type"), "reasoning") == 0;
        if (!is_thought || !drops) {
            ox_buf_add_c(next, any ? ", " : "");
            ox_json_write(item, next);
            any = true;
        }
    }
    if (!way->is_list) {
        json_t *copy = json_deep_copy(part);
        if (drops) {
            json_object_del(copy, "reasoning");
            json_object_del(copy, "reasoning_content");
        }
        ox_json_write(copy, next);
        json_decref(copy);
    }
    ox_buf_add_c(next, way->after);
}

static void test_way(const struct way *way, bool drops, bool fails, enum oxcart_finish finish, bool is_found)
{
    struct ox_api_context context = {.alias = "demo", .max_messages = 40, .max_choices = 4, .n_ctx = 100};
    struct ox_ask ask;
    struct ox_api_error error;
    struct ox_buf out = {0};
    struct ox_buf next = {0};
    context.recall = ox_recall_new(100000);
    OK(api_read(way->api, &context, way->first, &ask, &error) && ask.messages.n_replay == 0, "a request %s",
       error.message);
    struct ox_reply *reply = way->api->reply_new(&context, &ask, 3);
    feed(way->api, reply, fails, finish, &out);
    way->api->reply_free(reply);
    ox_ask_fini(&ask);
    json_t *tree = api_tree(ox_buf_str(&out));
    write_next(way, tree, drops, &next);
    OK(api_read(way->api, &context, ox_buf_text(&next), &ask, &error), "the next one %s", error.message);
    OK((ask.messages.n_replay == 1) == is_found, "a reply comes back: %d", (int)is_found);
    if (ask.messages.n_replay == 1) {
        OK(ask.messages.replay[0].message == 1 && ask.messages.replay[0].n_ids == 5 &&
               memcmp(ask.messages.replay[0].ids, drawn, sizeof drawn) == 0,
           "with the tokens that were drawn");
        IS_STR(api_text(ask.conversation, "messages.1.reasoning_content"), "Hm.", "and what was thought");
    }
    json_decref(tree);
    ox_buf_fini(&out);
    ox_buf_fini(&next);
    ox_ask_fini(&ask);
    ox_recall_free(context.recall);
}

static void test_ways(void)
{
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        test_way(&ways[i], false, false, OXCART_FINISH_TOOL_CALLS, true);
        test_way(&ways[i], true, false, OXCART_FINISH_TOOL_CALLS, true);
        test_way(&ways[i], false, true, OXCART_FINISH_TOOL_CALLS, false);
        test_way(&ways[i], false, false, OXCART_FINISH_LENGTH, false);
    }
}

int main(void)
{
    test_same();
    test_reasoning();
    test_blanks();
    test_several();
    test_bound();
    test_threads();
    test_oom();
    test_ways();
    return tap_done();
}
