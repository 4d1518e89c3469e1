/* SPDX-License-Identifier: Apache-2.0
 *
 * The demonstration model at work: plays the conversations of tests/golden/demo/cases.jsonl greedily through the public
 * interface alone and counts right answers by kind. At least 98 % of all and 93 % of each kind must be right (of few
 * cases of a kind, all but one). The few that go wrong go wrong in the reference in float64, too.
 *
 *     demo_tasks [--all] [--show] [--level=CPU_LEVEL]
 *
 * Without --all, the first 6 cases of each kind (and fewer of the longest) are played.
 */
#include <jansson.h>

#include "oxcart.h"
#include "tests/tap.h"

#define MOST_KINDS 16
#define SHORT_ROUNDS 6
#define MOST_TOKENS 600

/* Right answers of one kind. */
struct kind {
    char name[32];
    size_t n;
    size_t n_right;
};

/* The long registers take most of the time: few of them in the short run. */
static size_t short_rounds(const char *kind)
{
    if (strcmp(kind, "needle_150") == 0) {
        return 2;
    }
    return strcmp(kind, "needle_40") == 0 ? 3 : SHORT_ROUNDS;
}

/* One reply, as it comes in. */
struct reply {
    char content[8192];
    size_t content_len;
    json_t *calls; /* [{"name": .., "arguments": ".. JSON so far"}] */
    bool broken;   /* something did not fit, or a call failed */
};

static void add_arguments(struct reply *reply, const char *text, size_t len)
{
    json_t *call = json_array_get(reply->calls, json_array_size(reply->calls) - 1);
    const char *so_far = json_string_value(json_object_get(call, "arguments"));
    char joined[4096];
    if (so_far == NULL || strlen(so_far) + len >= sizeof joined) {
        reply->broken = true;
        return;
    }
    snprintf(joined, sizeof joined, "%s%.*s", so_far, (int)len, text);
    json_object_set_new(call, "arguments", json_string(joined));
}

static int on_event(void *user, const struct oxcart_event *event)
{
    struct reply *reply = user;
    switch (event->kind) {
    case OXCART_EVENT_CONTENT:
        if (reply->content_len + event->text_bytes >= sizeof reply->content) {
            reply->broken = true;
            return 1;
        }
        memcpy(reply->content + reply->content_len, event->text, event->text_bytes);
        reply->content_len += event->text_bytes;
        break;
    case OXCART_EVENT_CALL_BEGIN:
        json_array_append_new(reply->calls, json_pack("{s:s%, s:s}", "name", event->text, event->text_bytes,
                                                      "arguments", ""));
        break;
    case OXCART_EVENT_CALL_ARGUMENTS:
        add_arguments(reply, event->text, event->text_bytes);
        break;
    case OXCART_EVENT_CALL_FAILED:
        reply->broken = true;
        break;
    case OXCART_EVENT_TOKEN:
    case OXCART_EVENT_REASONING:
    case OXCART_EVENT_CALL_DONE:
    default:
        break;
    }
    return 0;
}

/* Arguments parsed, so that calls compare as what they say. */
static bool parse_calls(json_t *calls)
{
    for (size_t i = 0; i < json_array_size(calls); i++) {
        json_t *call = json_array_get(calls, i);
        json_t *arguments = json_loads(json_string_value(json_object_get(call, "arguments")), 0, NULL);
        if (arguments == NULL) {
            return false;
        }
        json_object_set_new(call, "arguments", arguments);
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The content without blanks at its ends is exactly the answer. */
static bool right_answer(const struct reply *reply, const char *answer)
{
    const char *begin = reply->content;
    const char *end = begin + reply->content_len;
    while (begin < end && is_blank(*begin)) {
        begin++;
    }
    while (end > begin && is_blank(end[-1])) {
        end--;
    }
    return (size_t)(end - begin) == strlen(answer) && memcmp(begin, answer, strlen(answer)) == 0;
}

/* Play one case; is its answer right? */
static bool play(struct oxcart_session *session, json_t *one, struct reply *reply, struct oxcart_result *result)
{
    struct oxcart_error err = {0};
    const struct oxcart_sampling greedy = {.size = sizeof greedy, .n_predict = MOST_TOKENS};
    json_t *talk = json_pack("{s:O, s:O*, s:O*}", "messages", json_object_get(one, "messages"), "tools",
                             json_object_get(one, "tools"), "thinking_mode", json_object_get(one, "thinking_mode"));
    char *text = json_dumps(talk, JSON_COMPACT);
    enum oxcart_status status = oxcart_session_set_messages(session, text, strlen(text), NULL, &err);
    if (status == OXCART_OK) {
        status = oxcart_session_decode(session, &greedy, on_event, reply, result, &err);
    }
    free(text);
    json_decref(talk);
    if (status != OXCART_OK) {
        NOTE("%s", err.message);
        return false;
    }
    const json_t *answer = json_object_get(one, "answer");
    if (answer != NULL) {
        return !reply->broken && result->finish == OXCART_FINISH_STOP && json_array_size(reply->calls) == 0 &&
               right_answer(reply, json_string_value(answer));
    }
    return !reply->broken && result->finish == OXCART_FINISH_TOOL_CALLS && parse_calls(reply->calls) &&
           json_equal(reply->calls, json_object_get(one, "calls"));
}

static struct kind *find_kind(struct kind *kinds, size_t *n_kinds, const char *name)
{
    for (size_t i = 0; i < *n_kinds; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    if (*n_kinds == MOST_KINDS) {
        return NULL;
    }
    snprintf(kinds[*n_kinds].name, sizeof kinds[0].name, "%s", name);
    return &kinds[(*n_kinds)++];
}

static void show(json_t *one, const struct reply *reply)
{
    char *calls = json_dumps(reply->calls, JSON_COMPACT | JSON_SORT_KEYS);
    char *expected = json_dumps(json_object_get(one, "calls"), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    const char *answer = json_string_value(json_object_get(one, "answer"));
    NOTE("%s (%s): \"%.*s\" %s, expected %s", json_string_value(json_object_get(one, "name")),
         json_string_value(json_object_get(one, "thinking_mode")), (int)reply->content_len, reply->content, calls,
         answer != NULL ? answer : expected);
    free(calls);
    free(expected);
}

/* Every line of the file; counts into kinds. False if the file cannot be used. */
static bool play_all(FILE *file, struct oxcart_session *session, bool all, bool show_all,
                     struct kind *kinds, size_t *n_kinds)
{
    static char line[1 << 16];
    while (fgets(line, (int)sizeof line, file) != NULL) {
        json_t *one = json_loads(line, 0, NULL);
        const char *name = json_string_value(json_object_get(one, "name"));
        struct kind *kind = name != NULL ? find_kind(kinds, n_kinds, name) : NULL;
        if (kind == NULL) {
            json_decref(one);
            return false;
        }
        const size_t most = all ? SIZE_MAX : short_rounds(name);
        if (kind->n < most) {
            struct reply reply = {.calls = json_array()};
            struct oxcart_result result = {.size = sizeof result};
            const bool right = play(session, one, &reply, &result);
            kind->n++;
            kind->n_right += right ? 1 : 0;
            if (!right || show_all) {
                show(one, &reply);
            }
            json_decref(reply.calls);
        }
        json_decref(one);
    }
    return true;
}

static void report(const struct kind *kinds, size_t n_kinds)
{
    size_t n = 0;
    size_t n_right = 0;
    for (size_t i = 0; i < n_kinds; i++) {
        n += kinds[i].n;
        n_right += kinds[i].n_right;
        const size_t n_wrong = kinds[i].n - kinds[i].n_right;
        OK(kinds[i].n > 0 && (n_wrong <= 1 || 100 * n_wrong <= 7 * kinds[i].n), "%s: %zu of %zu right", kinds[i].name, kinds[i].n_right,
           kinds[i].n);
    }
    OK(n_kinds == 10 && 100 * n_right >= 98 * n, "all %zu kinds: %zu of %zu right", n_kinds, n_right, n);
}

int main(int argc, char **argv)
{
    bool all = false;
    bool show_all = false;
    const char *level = NULL;
    for (int i = 1; i < argc; i++) {
        all = all || strcmp(argv[i], "--all") == 0;
        show_all = show_all || strcmp(argv[i], "--show") == 0;
        level = strncmp(argv[i], "--level=", 8) == 0 ? argv[i] + 8 : level;
    }
    struct oxcart_error err = {0};
    char model[4200];
    snprintf(model, sizeof model, "%s", tap_file("demo"));
    const struct oxcart_engine_options options = {.size = sizeof options, .model_path = model, .cpu_level = level};
    struct oxcart_engine *engine = NULL;
    struct oxcart_session *session = NULL;
    FILE *file = fopen(tap_file("golden/demo/cases.jsonl"), "r");
    struct kind kinds[MOST_KINDS] = {0};
    size_t n_kinds = 0;
    if (OK(file != NULL, "cases") && OK(oxcart_engine_open(&options, &engine, &err) == OXCART_OK &&
                                            oxcart_session_open(engine, NULL, &session, &err) == OXCART_OK,
                                        "the demonstration model opens %s", err.message)) {
        OK(play_all(file, session, all, show_all, kinds, &n_kinds), "every case can be read");
        report(kinds, n_kinds);
    }
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
    if (file != NULL) {
        fclose(file);
    }
    return tap_done();
}
