/* SPDX-License-Identifier: Apache-2.0
 *
 * The chat format: every golden conversation byte for byte, what counts as the caller's text, the order of tool
 * results, media, limits, and one row for each way a conversation can be wrong.
 */
#include "text/chat.h"

#include "base/json.h"
#include "tests/oom.h"
#include "tests/tap.h"
#include "text/markers.h"

#define NS OX_TEXT_NAMESPACE

struct warnings {
    int n;
    char last[1024];
};

static void keep_warning(void *user, enum ox_log_level level, const char *text)
{
    struct warnings *warnings = user;
    warnings->n += level == OX_LOG_WARNING;
    snprintf(warnings->last, sizeof warnings->last, "%s", text);
}

/* Render a conversation given as JSON; on failure *out stays empty and err says why. */
static enum ox_status render_tree(json_t *root, const struct ox_chat_limits *limits, const struct ox_log *log,
                                  struct ox_prompt *out, struct ox_error *err)
{
    struct ox_chat *chat = NULL;
    memset(out, 0, sizeof *out);
    memset(err, 0, sizeof *err);
    enum ox_status status = ox_chat_from_json(root, "chat", limits, log, &chat, err);
    if (status == OX_OK) {
        status = ox_chat_render(chat, out, err);
    }
    ox_chat_free(chat);
    return status;
}

static enum ox_status render(const char *json, const struct ox_chat_limits *limits, const struct ox_log *log,
                             struct ox_prompt *out, struct ox_error *err)
{
    struct ox_chat *chat = NULL;
    memset(out, 0, sizeof *out);
    memset(err, 0, sizeof *err);
    enum ox_status status = ox_chat_parse(ox_str_c(json), "chat", limits, log, &chat, err);
    if (status == OX_OK) {
        status = ox_chat_render(chat, out, err);
    }
    ox_chat_free(chat);
    return status;
}

/* Are the ranges ascending, not empty, apart from each other and inside of the text? */
static bool ranges_fit(const struct ox_prompt *prompt)
{
    size_t end = 0;
    for (size_t i = 0; i < prompt->n_caller; i++) {
        const struct ox_range range = prompt->caller[i];
        if (range.begin >= range.end || range.end > prompt->text.len || (i > 0 && range.begin <= end)) {
            return false;
        }
        end = range.end;
    }
    return true;
}

/* Append the prompt's text, with every range of the caller's replaced by one byte 1. */
static void add_skeleton(struct ox_buf *buf, const struct ox_prompt *prompt)
{
    size_t at = 0;
    for (size_t i = 0; i < prompt->n_caller; i++) {
        ox_buf_add(buf, prompt->text.ptr + at, prompt->caller[i].begin - at);
        ox_buf_add_byte(buf, '\1');
        at = prompt->caller[i].end;
    }
    ox_buf_add(buf, prompt->text.ptr + at, prompt->text.len - at);
}

/* Would a longer text change how this member is rendered? (Contents that reasoning is split out of, and names.) */
static bool steers(const char *key, json_t *member)
{
    static const char *const kept[] = {"role", "type", "id", "tool_call_id", "thinking_mode"};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        if (strcmp(key, kept[i]) == 0) {
            return true;
        }
    }
    char *text = json_dumps(member, JSON_ENCODE_ANY);
    const bool splits = text != NULL && strcmp(key, "content") == 0 && strstr(text, OX_TEXT_THINK_END) != NULL;
    free(text);
    return splits;
}

/* Put a text behind every string that is the caller's and not empty; behind keys too inside of arguments. */
static json_t *forge(json_t *value, const char *more, bool in_arguments)
{
    if (json_is_string(value)) {
        return json_string_length(value) == 0 ? json_incref(value)
                                              : json_sprintf("%s%s", json_string_value(value), more);
    }
    if (json_is_array(value)) {
        json_t *copy = json_array();
        for (size_t i = 0; i < json_array_size(value); i++) {
            json_array_append_new(copy, forge(json_array_get(value, i), more, in_arguments));
        }
        return copy;
    }
    if (json_is_object(value)) {
        json_t *copy = json_object();
        const char *key;
        json_t *member;
        json_object_foreach(value, key, member)
        {
            const bool within = in_arguments || strcmp(key, "arguments") == 0;
            json_t *name = in_arguments ? json_sprintf("%s%s", key, more) : json_string(key);
            json_object_set_new(copy, json_string_value(name),
                                !in_arguments && steers(key, member) ? json_incref(member)
                                                                     : forge(member, more, within));
            json_decref(name);
        }
        return copy;
    }
    return json_incref(value);
}

/* The same conversation with other texts from the caller has the same bytes outside of the caller's ranges. */
static void test_skeleton(json_t *conversation, size_t i, const char *more)
{
    struct ox_prompt plain;
    struct ox_prompt forged;
    struct ox_error err;
    struct ox_buf a;
    struct ox_buf b;
    ox_buf_init(&a);
    ox_buf_init(&b);
    json_t *other = forge(conversation, more, false);
    const bool ok = render_tree(conversation, NULL, NULL, &plain, &err) == OX_OK &&
                    render_tree(other, NULL, NULL, &forged, &err) == OX_OK;
    if (OK(ok, "case %zu renders with forged texts: %s", i, err.message)) {
        add_skeleton(&a, &plain);
        add_skeleton(&b, &forged);
        OK(ranges_fit(&forged), "case %zu: ranges are in order", i);
        OK(ox_str_equal(ox_buf_str(&a), ox_buf_str(&b)), "case %zu: what the caller writes stays in its ranges", i);
        if (!ox_str_equal(ox_buf_str(&a), ox_buf_str(&b))) {
            NOTE("%s", ox_buf_text(&a));
            NOTE("%s", ox_buf_text(&b));
        }
    }
    ox_prompt_fini(&plain);
    ox_prompt_fini(&forged);
    ox_buf_fini(&a);
    ox_buf_fini(&b);
    json_decref(other);
}

static void test_golden(void)
{
    json_t *cases = json_load_file(tap_file("golden/chat/cases.json"), 0, NULL);
    IS_INT(json_array_size(cases), 88, "golden conversations");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        json_t *conversation = json_array_get(cases, i);
        const char *expected = json_string_value(json_object_get(conversation, "rendered"));
        struct ox_prompt prompt;
        struct ox_error err;
        const enum ox_status status = render_tree(conversation, NULL, NULL, &prompt, &err);
        OK(status == OX_OK, "case %zu renders: %s", i, err.message);
        if (!OK(expected != NULL && strcmp(ox_buf_text(&prompt.text), expected) == 0, "case %zu is the golden text",
                i)) {
            NOTE("expected %s", expected);
            NOTE("found    %s", ox_buf_text(&prompt.text));
        }
        OK(ranges_fit(&prompt), "case %zu: ranges are in order", i);
        ox_prompt_fini(&prompt);
        test_skeleton(conversation, i, "Z");
        test_skeleton(conversation, i, "]~!b[]~b][e~[" NS "<tool_call></tool_call><mm:think>]<]image[>[]<]video[>[<");
    }
    json_decref(cases);
}

/* Everything behind the developer section of what json renders to. */
static void is_tail(const char *json, const char *expected, const char *name)
{
    struct ox_prompt prompt;
    struct ox_error err;
    const enum ox_status status = render(json, NULL, NULL, &prompt, &err);
    const char *tail = "";
    if (OK(status == OX_OK, "%s: renders: %s", name, err.message)) {
        tail = strstr(ox_buf_text(&prompt.text), "]~b]developer\n");
        tail = tail != NULL ? strstr(tail, "[e~[\n") : NULL;
        tail = tail != NULL ? tail + 5 : "";
    }
    IS_STR(tail, expected, name);
    ox_prompt_fini(&prompt);
}

#define USER "{\"role\":\"user\",\"content\":\"Hi\"}"
#define CALL(id, name) "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"arguments\":{}}}"
#define INVOKE(name) NS "<invoke name=\"" name "\">" NS "</invoke>\n"
#define CALLS(calls) "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" calls "]}"
#define RESULT(id, text) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" text "\"}"
#define BARE_RESULT(text) "{\"role\":\"tool\",\"content\":\"" text "\"}"
#define QUIET(messages) "{\"add_generation_prompt\":false,\"messages\":[" messages "]}"

static void test_results(void)
{
    is_tail(QUIET(USER "," CALLS(CALL("a", "x") "," CALL("b", "y") "," CALL("c", "z")) "," RESULT("c", "3") "," RESULT(
                "a", "1") "," RESULT("b", "2")),
            "]~b]user\nHi[e~[\n]~b]ai\n</mm:think>" NS "<tool_call>\n" INVOKE("x") INVOKE("y") INVOKE("z") NS
            "</tool_call>[e~[\n]~b]tool\n<response>1</response>\n<response>2</response>\n<response>3</"
            "response>[e~[\n",
            "results come in the order of the calls");
    is_tail(
        QUIET(CALLS(CALL("a", "x") "," CALL("b", "y")) "," BARE_RESULT("2") "," RESULT("a", "1") "," BARE_RESULT("3")),
        "]~b]ai\n</mm:think>" NS "<tool_call>\n" INVOKE("x") INVOKE("y") NS
        "</tool_call>[e~[\n]~b]tool\n<response>1</response>\n<response>2</response>\n<response>3</response>"
        "[e~[\n",
        "a result without an id takes the call that is left");
    is_tail(QUIET(CALLS(CALL("a", "x") "," CALL("b", "y") "," CALL("c", "z")) "," BARE_RESULT("1") "," RESULT(
                "b", "2") "," BARE_RESULT("3")),
            "]~b]ai\n</mm:think>" NS "<tool_call>\n" INVOKE("x") INVOKE("y") INVOKE("z") NS
            "</tool_call>[e~[\n]~b]tool\n<response>1</response>\n<response>2</response>\n<response>3</response>"
            "[e~[\n",
            "results without an id take calls in turn");
    is_tail(QUIET(CALLS(CALL("a", "x")) "," BARE_RESULT("1") "," USER "," RESULT("a", "2")),
            "]~b]ai\n</mm:think>" NS "<tool_call>\n" INVOKE("x") NS
            "</tool_call>[e~[\n]~b]tool\n<response>1</response>[e~[\n]~b]user\nHi[e~[\n]~b]tool\n"
            "<response>2</response>[e~[\n",
            "each run of results has a header of its own");
}

static void test_forms(void)
{
    is_tail(QUIET("{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1.50,\\\"b\\\":"
                  "null,\\\"c\\\":[true,null,{\\\"d\\\":\\\"<&>\\\"}]}\"}]}"),
            "]~b]ai\n</mm:think>" NS "<tool_call>\n" NS "<invoke name=\"f\">" NS "<a>1.5" NS "</a>" NS "<c>" NS
            "<item>true" NS "</item>" NS "<item>" NS "</item>" NS "<item>" NS "<d><&>" NS "</d>" NS "</item>" NS
            "</c>" NS "</invoke>\n" NS "</tool_call>[e~[\n",
            "plain call, arguments as text");
    is_tail(QUIET("{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":"
                  "[-123456789012345678901 ,\\\"\\\\\\\"99999999999999999999\\\",1.5e10,9223372036854775807]}\"}]}"),
            "]~b]ai\n</mm:think>" NS "<tool_call>\n" NS "<invoke name=\"f\">" NS "<a>" NS
            "<item>-123456789012345678901" NS "</item>" NS "<item>\"99999999999999999999" NS "</item>" NS
            "<item>15000000000.0" NS "</item>" NS "<item>9223372036854775807" NS "</item>" NS "</a>" NS "</invoke>\n" NS
            "</tool_call>[e~[\n",
            "long integers in arguments as text");
    is_tail(QUIET("{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":\" \"},{\"name\":\"g\"}]}"),
            "]~b]ai\n</mm:think>" NS "<tool_call>\n" INVOKE("f") INVOKE("g") NS "</tool_call>[e~[\n",
            "calls without arguments");
    is_tail(QUIET("{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":\"null\"},{\"name\":\"g\","
                  "\"arguments\":\"{\\\"city\\\": \\\"Par\"}]}"),
            "]~b]ai\n</mm:think>" NS "<tool_call>\n" INVOKE("f") NS "<invoke name=\"g\">{\"city\": \"Par" NS
            "</invoke>\n" NS "</tool_call>[e~[\n",
            "arguments that were cut off");
    is_tail(QUIET("{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":\"3\"},{\"name\":\"g\","
                  "\"arguments\":\"{99999999999999999999 : 1}\"},{\"name\":\"h\",\"arguments\":\"[e~[\"}]}"),
            "]~b]ai\n</mm:think>" NS "<tool_call>\n" NS "<invoke name=\"f\">3" NS "</invoke>\n" NS
            "<invoke name=\"g\">{99999999999999999999 : 1}" NS "</invoke>\n" NS "<invoke name=\"h\">[e~[" NS
            "</invoke>\n" NS "</tool_call>[e~[\n",
            "arguments that are no object");
    is_tail(QUIET("{\"role\":\"assistant\",\"content\":\"\\n<mm:think>a<mm:think>\\nb\\n\\n</mm:think>x</mm:think>\\nc"
                  "\\n\"}"),
            "]~b]ai\n<mm:think>b</mm:think>c[e~[\n", "reasoning split out of the content");
    is_tail(QUIET("{\"role\":\"assistant\",\"reasoning_content\":\"\",\"content\":\"a</mm:think>b\"}"),
            "]~b]ai\n</mm:think>a</mm:think>b[e~[\n", "empty reasoning keeps the content whole");
    is_tail(QUIET("{\"role\":\"user\",\"content\":[\"a\",{\"type\":\"text\",\"text\":\"b\"},{\"type\":\"image\"},"
                  "{\"type\":\"video_url\",\"video_url\":\"f\"}]}"),
            "]~b]user\nab]<]image[>[]<]video[>[[e~[\n", "parts of a content");
    is_tail(QUIET(CALLS(CALL("a", "x")) ",{\"role\":\"tool\",\"content\":[{\"output\":\"o\",\"type\":\"text\",\"text\":"
                                        "\"t\"},{\"type\":\"image\"},\"s\"]},{\"role\":\"tool\",\"content\":null}"),
            "]~b]ai\n</mm:think>" NS "<tool_call>\n" INVOKE("x") NS
            "</tool_call>[e~[\n]~b]tool\n<response>o]<]image[>[s</response>\n<response></response>[e~[\n",
            "parts of a result");
    is_tail("{\"messages\":[" USER "],\"thinking_mode\":\"enabled\"}", "]~b]user\nHi[e~[\n]~b]ai\n<mm:think>",
            "generation prompt, enabled");
    is_tail("{\"messages\":[" USER "],\"thinking_mode\":\"disabled\"}", "]~b]user\nHi[e~[\n]~b]ai\n</mm:think>",
            "generation prompt, disabled");
}

static void test_thinking(void)
{
    struct ox_error err;
    struct ox_chat *chat = NULL;
    struct ox_prompt prompt;
    enum ox_thinking mode = OX_THINKING_DISABLED;
    memset(&prompt, 0, sizeof prompt);
    OK(ox_chat_parse(ox_str_c("{\"messages\":[" USER "]}"), "chat", NULL, NULL, &chat, &err) == OX_OK, "parses");
    OK(!ox_chat_thinking(chat, &mode), "no mode is named");
    ox_chat_set_thinking(chat, OX_THINKING_ENABLED);
    OK(ox_chat_thinking(chat, &mode) && mode == OX_THINKING_ENABLED, "the mode that was set");
    OK(ox_chat_render(chat, &prompt, &err) == OX_OK && prompt.starts_in_reasoning, "starts in reasoning");
    OK(strstr(ox_buf_text(&prompt.text), "mode: enabled. You MUST") != NULL, "the mode's line");
    OK(ox_chat_tools(chat) == NULL, "no tools");
    ox_prompt_fini(&prompt);
    ox_chat_free(chat);
    OK(ox_thinking_parse(ox_str_c("adaptive"), &mode, &err) == OX_OK && mode == OX_THINKING_ADAPTIVE, "adaptive");
    OK(ox_thinking_parse(ox_str_c("maybe"), &mode, &err) == OX_E_ARG, "unknown mode");
    IS_STR(err.message, "thinking mode: expected adaptive, enabled or disabled, found \"maybe\"", "its sentence");
}

static void test_media(void)
{
    static const struct {
        bool is_video;
        const char *source;
    } expected[] = {
        {false, ""}, {false, "a.png"}, {true, "data:video/mp4;base64,AA=="}, {false, "b.png"}, {false, "c"}};
    struct ox_prompt prompt;
    struct ox_error err;
    struct ox_chat *chat = NULL;
    memset(&prompt, 0, sizeof prompt);
    const char *json =
        "{\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"image\"}]},{\"role\":\"user\",\"content\":["
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"a.png\",\"detail\":\"low\"}},\"]<]image[>[\","
        "{\"type\":\"video_url\",\"video_url\":\"data:video/mp4;base64,AA==\"}]},"
        "{\"role\":\"assistant\",\"content\":[\"\\n<mm:think>t\",{\"type\":\"image\",\"image\":\"lost\"},"
        "\"u<mm:think>\\nv\",{\"type\":\"image\",\"image\":\"b.png\"},\"\\n</mm:think>\\nw\","
        "{\"type\":\"image\",\"path\":\"c\"}]}]}";
    if (OK(ox_chat_parse(ox_str_c(json), "chat", NULL, NULL, &chat, &err) == OX_OK, "media: parses: %s", err.message)) {
        OK(ox_chat_render(chat, &prompt, &err) == OX_OK, "media: renders");
        IS_INT(prompt.n_media, 5, "number of media");
        for (size_t i = 0; i < prompt.n_media && i < 5; i++) {
            const struct ox_chat_media *media = &prompt.media[i];
            const char *token = media->is_video ? OX_TEXT_VIDEO : OX_TEXT_IMAGE;
            OK(media->is_video == expected[i].is_video && ox_str_is(media->source, expected[i].source),
               "medium %zu is the right one", i);
            OK(strncmp(prompt.text.ptr + media->at, token, strlen(token)) == 0, "medium %zu stands at its token", i);
            bool apart = true;
            for (size_t k = 0; k < prompt.n_caller; k++) {
                apart =
                    apart && (prompt.caller[k].end <= media->at || prompt.caller[k].begin >= media->at + strlen(token));
            }
            OK(apart, "medium %zu is the format's text", i);
        }
        OK(strstr(ox_buf_text(&prompt.text), "]~b]ai\n<mm:think>v]<]image[>[</mm:think>w]<]image[>[[e~[") != NULL,
           "media in reasoning split out of the content");
    }
    ox_prompt_fini(&prompt);
    ox_chat_free(chat);
}

/* Placeholders become texts of any length; what came from the caller, and where, stays known. */
static void test_expand(void)
{
    static const char talk[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"before\"}, {\"type\": "
        "\"image\"}, {\"type\": \"video\"}, {\"type\": \"text\", \"text\": \"between\"}, {\"type\": \"image\"}, {\"type\": "
        "\"text\", \"text\": \"behind\"}]}]}";
    static const char *const words[] = {"before", "between", "behind"};
    const struct ox_str texts[] = {ox_str_c("<a text that is longer than a placeholder>"), ox_str_c(""), ox_str_c("<b>")};
    struct ox_prompt prompt;
    struct ox_error err = {0};
    memset(&prompt, 0, sizeof prompt);
    if (!OK(render(talk, NULL, NULL, &prompt, &err) == OX_OK && prompt.n_media == 3 && prompt.n_caller == 3,
            "three placeholders %s", err.message)) {
        return;
    }
    OK(ox_prompt_expand(&prompt, texts, 100, &err) == OX_E_LIMIT && prompt.media[0].at < prompt.text.len, "too long: %s",
       err.message);
    oom_arm(1);
    const enum ox_status status = ox_prompt_expand(&prompt, texts, 0, &err);
    OK(oom_disarm() && status == OX_E_NOMEM, "no memory for it");
    OK(strstr(ox_buf_text(&prompt.text), "before" OX_TEXT_IMAGE OX_TEXT_VIDEO "between" OX_TEXT_IMAGE "behind") != NULL,
       "unchanged by what failed");
    OK(ox_prompt_expand(&prompt, texts, 0, &err) == OX_OK &&
           strstr(ox_buf_text(&prompt.text), "before<a text that is longer than a placeholder>between<b>behind") != NULL,
       "their texts stand in their places");
    OK(ranges_fit(&prompt) && prompt.n_caller == 3, "ranges are in order");
    for (size_t i = 0; i < 3; i++) {
        const struct ox_range range = prompt.caller[i];
        OK(ox_str_is(ox_str_make(prompt.text.ptr + range.begin, range.end - range.begin), words[i]), "\"%s\" is the caller's",
           words[i]);
        OK(ox_str_starts(ox_str_make(prompt.text.ptr + prompt.media[i].at, prompt.text.len - prompt.media[i].at), texts[i]),
           "text %zu is where it is said to be", i);
    }
    ox_prompt_fini(&prompt);
}

static void test_dropped(void)
{
    struct warnings warnings = {0, ""};
    const struct ox_log log = {keep_warning, NULL, &warnings};
    struct ox_prompt prompt;
    struct ox_error err;
    const enum ox_status status =
        render(QUIET(USER ",{\"role\":\"system\",\"content\":\"gone\"}," USER), NULL, &log, &prompt, &err);
    OK(status == OX_OK && strstr(ox_buf_text(&prompt.text), "gone") == NULL, "a late system message is left out");
    IS_INT(warnings.n, 1, "with a warning");
    IS_STR(
        warnings.last,
        "chat: messages[1]: a system message that is not at the beginning has no place in the chat format and is left "
        "out",
        "its text");
    ox_prompt_fini(&prompt);
}

static void test_errors(void)
{
    static const struct {
        const char *json;
        enum ox_status status;
        const char *message;
    } rows[] = {
        {"[", OX_E_FORMAT, "chat: not valid JSON at line 1 column 1: ']' expected near end of file"},
        {"[]", OX_E_FORMAT, "chat: expected an object, found an array of 0"},
        {"{}", OX_E_FORMAT, "chat: messages: expected a list of at least one message, found nothing"},
        {"{\"messages\":[]}", OX_E_FORMAT,
         "chat: messages: expected a list of at least one message, found an array of 0"},
        {"{\"messages\":[3]}", OX_E_FORMAT, "chat: messages[0]: expected an object, found 3"},
        {"{\"messages\":[{\"content\":\"x\"}]}", OX_E_FORMAT,
         "chat: messages[0].role: expected root, system, developer, user, assistant or tool, found nothing"},
        {"{\"messages\":[{\"role\":\"function\"}]}", OX_E_FORMAT,
         "chat: messages[0].role: expected root, system, developer, user, assistant or tool, found the string "
         "\"function\""},
        {"{\"messages\":[{\"role\":\"user\",\"content\":7}]}", OX_E_FORMAT,
         "chat: messages[0].content: expected a string, null or a list of parts, found 7"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[7]}]}", OX_E_FORMAT,
         "chat: messages[0].content[0]: expected an object or a string, found 7"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"audio\"}]}]}", OX_E_FORMAT,
         "chat: messages[0].content[0].type: expected text, image, video, image_url or video_url, found the string "
         "\"audio\""},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"output\":\"x\"}]}]}", OX_E_FORMAT,
         "chat: messages[0].content[0].type: expected text, image, video, image_url or video_url, found nothing"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}", OX_E_FORMAT,
         "chat: messages[0].content[0].text: expected a string, found nothing"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}]}", OX_E_FORMAT,
         "chat: messages[0].content[0].image_url: expected a string or an object with the string \"url\", found an "
         "object"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"image\":5}]}]}", OX_E_FORMAT,
         "chat: messages[0].content[0].image: expected a string or an object with the string \"url\", found 5"},
        {"{\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":5}]}", OX_E_FORMAT,
         "chat: messages[0].reasoning_content: expected a string or null, found 5"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":{}}]}", OX_E_FORMAT,
         "chat: messages[0].tool_calls: expected a list or null, found an object"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}", OX_E_FORMAT,
         "chat: messages[0].tool_calls[0].name: expected a string, found nothing"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"id\":1}]}]}", OX_E_FORMAT,
         "chat: messages[0].tool_calls[0].id: expected a string, found 1"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":[]}]}]}", OX_E_FORMAT,
         "chat: messages[0].tool_calls[0].arguments: expected an object, or a string that holds one in JSON, found an "
         "array of 0"},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":{\"n\":"
         "123456789012345678901}}]}]}",
         OX_E_FORMAT, "chat: not valid JSON at line 1 column 97: too big integer"},
        {"{\"messages\":[" BARE_RESULT("x") "]}", OX_E_FORMAT,
         "chat: messages[0]: Message has tool role, but there was no previous assistant message with a tool call!"},
        {"{\"messages\":[" CALLS(CALL("a", "x")) ",{\"role\":\"assistant\"}," BARE_RESULT("x") "]}", OX_E_FORMAT,
         "chat: messages[2]: Message has tool role, but there was no previous assistant message with a tool call!"},
        {"{\"messages\":[" CALLS(CALL("a", "x")) "," RESULT("b", "x") "]}", OX_E_FORMAT,
         "chat: messages[1].tool_call_id: expected the id of one of the 1 calls of messages[0], found \"b\""},
        {"{\"messages\":[" USER "],\"thinking_mode\":\"auto\"}", OX_E_FORMAT,
         "chat: thinking_mode: expected adaptive, enabled or disabled, found the string \"auto\""},
        {"{\"messages\":[" USER "],\"model_identity\":1}", OX_E_FORMAT,
         "chat: model_identity: expected a string, found 1"},
        {"{\"messages\":[" USER "],\"add_generation_prompt\":1}", OX_E_FORMAT,
         "chat: add_generation_prompt: expected true or false, found 1"},
        {"{\"messages\":[" USER "],\"tools\":{}}", OX_E_FORMAT, "chat: tools: expected an array, found an object"},
        {"{\"messages\":[" USER "],\"tools\":[{\"name\":\"f\"}]}", OX_E_FORMAT,
         "chat: tools[0].function: expected an object, found nothing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_prompt prompt;
        struct ox_error err;
        const enum ox_status status = render(rows[i].json, NULL, NULL, &prompt, &err);
        IS_INT(status, rows[i].status, rows[i].json);
        IS_STR(err.message, rows[i].message, "its sentence");
        ox_prompt_fini(&prompt);
    }
}

static void test_limits(void)
{
    struct ox_prompt prompt;
    struct ox_error err;
    struct ox_chat_limits limits = {2, 2, 0};
    OK(render(QUIET(USER "," USER), &limits, NULL, &prompt, &err) == OX_OK, "messages at the limit");
    const size_t len = prompt.text.len;
    ox_prompt_fini(&prompt);
    OK(render(QUIET(USER "," USER "," USER), &limits, NULL, &prompt, &err) == OX_E_LIMIT, "one message too many");
    IS_STR(err.message, "chat: messages: expected at most 2, found 3", "its sentence");
    limits.max_text_bytes = len;
    OK(render(QUIET(USER "," USER), &limits, NULL, &prompt, &err) == OX_OK, "text at the limit");
    ox_prompt_fini(&prompt);
    limits.max_text_bytes = len - 1;
    OK(render(QUIET(USER "," USER), &limits, NULL, &prompt, &err) == OX_E_LIMIT, "one byte too many");
    OK(prompt.text.ptr == NULL && prompt.caller == NULL, "nothing is left behind");
    limits.max_text_bytes = 0;
    OK(render(QUIET("{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":{\"a\":[1]}}]}"), &limits,
              NULL, &prompt, &err) == OX_OK,
       "arguments as deep as allowed");
    ox_prompt_fini(&prompt);
    OK(render(QUIET("{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":[[]]}\"}]}"),
              &limits, NULL, &prompt, &err) == OX_E_LIMIT,
       "one level too deep");
    IS_STR(err.message, "chat: messages[0].tool_calls[0].arguments: nested deeper than 2", "its sentence");
    OK(render("{\"messages\":[" USER "],\"tools\":[{\"function\":{\"a\":{\"b\":{}}}}]}", &limits, NULL, &prompt,
              &err) == OX_E_LIMIT,
       "a schema too deep");
    IS_STR(err.message, "chat: tools[0].function: nested deeper than 2", "its sentence");
}

/* Every allocation fails once. */
static void test_no_memory(void)
{
    const char *json =
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"},\"a\"]},{\"role\":\"assistant\","
        "\"content\":[\"t</"
        "mm:think>\",{\"type\":\"image\"}],\"tool_calls\":[{\"name\":\"f\",\"id\":\"a\",\"arguments\":"
        "\"{\\\"n\\\":[1.5,123456789012345678901]}\"},{\"name\":\"g\",\"id\":\"b\"}]}," RESULT("b", "2") "," RESULT(
            "a", "1") "],\"tools\":[{\"function\":{}}]}";
    long n = 0;
    int n_bad = 0;
    bool failed = true;
    while (failed && n < 10000) {
        struct ox_prompt prompt;
        struct ox_error err;
        oom_arm(++n);
        const enum ox_status status = render(json, NULL, NULL, &prompt, &err);
        failed = oom_disarm();
        n_bad += status != (failed ? OX_E_NOMEM : OX_OK) || (failed && prompt.text.ptr != NULL);
        ox_prompt_fini(&prompt);
    }
    OK(n > 10 && !failed, "%ld allocations failed in turn", n - 1);
    IS_INT(n_bad, 0, "wrong outcomes");
}

int main(void)
{
    test_no_memory();
    test_golden();
    test_results();
    test_forms();
    test_thinking();
    test_media();
    test_expand();
    test_dropped();
    test_errors();
    test_limits();
    return tap_done();
}
