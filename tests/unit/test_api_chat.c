/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenAI's chat completions: what requests become, each refusal, replies whole and in pieces by hand, random replies of
 * which the pieces say what the whole says, and real answers of the demonstration model.
 */
#include "server/recall.h"
#include "tests/api_events.h"
#include "tests/api_oom.h"
#include "tests/demo_help.h"

#define HI "\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]"
#define TOOL                                                                                                           \
    "{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"type\": \"object\", \"properties\": " \
    "{\"x\": {\"type\": \"integer\"}}, \"required\": [\"x\"]}}}"
#define OPEN_TOOL                                                                                                      \
    "{\"type\": \"function\", \"function\": {\"name\": \"g\", \"parameters\": {\"type\": \"object\", \"not\": {}}}}"
#define STRICT_TOOL "{\"type\": \"function\", \"function\": {\"name\": \"s\", \"strict\": true}}"

static const struct ox_api *const api = &ox_api_chat;
static struct ox_api_context context;

/* ---- conversations ---------------------------------------------------------------------------------------------- */

/* Messages become the conversation's. */
static void test_messages(void)
{
    static const struct {
        const char *what;
        const char *from;
        const char *to;
    } rows[] = {
        {"a question", "[{\"role\":\"user\",\"content\":\"Hi\",\"name\":\"x\"}]",
         "[{\"role\":\"user\",\"content\":\"Hi\"}]"},
        {"instructions", "[{\"role\":\"developer\",\"content\":\"Be brief\"},{\"role\":\"user\",\"content\":\"Hi\"}]",
         "[{\"role\":\"system\",\"content\":\"Be brief\"},{\"role\":\"user\",\"content\":\"Hi\"}]"},
        {"two instructions become one",
         "[{\"role\":\"system\",\"content\":\"A\"},{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":"
         "\"B\"}]}"
         ",{\"role\":\"user\",\"content\":\"Hi\"}]",
         "[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"A\"},{\"type\":\"text\",\"text\":\"\\n\\n\"}"
         ","
         "{\"type\":\"text\",\"text\":\"B\"}]},{\"role\":\"user\",\"content\":\"Hi\"}]"},
        {"nothing is joined without a gap",
         "[{\"role\":\"system\",\"content\":null},{\"role\":\"system\",\"content\":\"A\"},{\"role\":\"system\"}]",
         "[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"A\"}]}]"},
        {"later ones keep their place",
         "[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"system\",\"content\":\"B\"}]",
         "[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"user\",\"content\":\"B\"}]"},
        {"the model's own root", "[{\"role\":\"root\",\"content\":\"R\"},{\"role\":\"system\",\"content\":\"S\"}]",
         "[{\"role\":\"root\",\"content\":\"R\"},{\"role\":\"system\",\"content\":\"S\"}]"},
        {"calls and results",
         "[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":null,\"reasoning\":\"hm\","
         "\"refusal\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
         "\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"5\"}]",
         "[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":"
         "\"hm\","
         "\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
         "{\"role\":\"tool\",\"content\":\"5\",\"tool_call_id\":\"c\"}]"},
        {"reasoning_content before reasoning",
         "[{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":\"x\",\"reasoning_content\":\"y\",\"tool_calls\":[]}"
         "]",
         "[{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"y\"}]"},
        {"parts",
         "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":"
         "{\"url\":\"data:x\",\"detail\":\"low\"}},{\"type\":\"video_url\",\"video_url\":\"v\"},{\"type\":\"input_"
         "video\","
         "\"input_video\":{\"data\":\"AAAA\",\"format\":\"webm\"}},\"b\",{\"type\":\"refusal\",\"refusal\":\"no\"}]}]",
         "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":"
         "{\"url\":\"data:x\"}},{\"type\":\"video_url\",\"video_url\":{\"url\":\"v\"}},{\"type\":\"video_url\","
         "\"video_url\":{\"url\":\"data:video/webm;base64,AAAA\"}},\"b\",{\"type\":\"text\",\"text\":\"no\"}]}]"},
        {"a file of text",
         "[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"filename\":\"a.txt\",\"file_data\":\"data:"
         "text/"
         "plain;base64,QQ==\"}}]}]",
         "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a.txt\\n\\nA\\n\\n\"}]}]"},
        {"the format's own parts",
         "[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"image\":\"i\"},{\"type\":\"video\",\"url\":\"v\"}]}]",
         "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"i\"}},{\"type\":\"video_"
         "url\","
         "\"video_url\":{\"url\":\"v\"}}]}]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_ask ask;
        struct ox_api_error error;
        struct ox_buf json = {0};
        ox_buf_printf(&json, "{\"messages\": %s}", rows[i].from);
        const bool read = api_read(api, &context, ox_buf_text(&json), &ask, &error);
        json_t *expected = api_tree(ox_str_c(rows[i].to));
        OK(read && expected != NULL && json_equal(json_object_get(ask.conversation, "messages"), expected), "%s%s%s",
           rows[i].what, read ? "" : ": ", error.message);
        json_decref(expected);
        ox_buf_fini(&json);
        ox_ask_fini(&ask);
    }
}

static void test_defaults(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    OK(api_read(api, &context, "{" HI ", \"model\": \"demo\", \"store\": true, \"anything\": {}}", &ask, &error) &&
           ask.kind == OX_ASK_ANSWER && ask.chat && ask.n_choices == 1 && !ask.stream && ask.ids == NULL &&
           ask.messages.thinking == OXCART_THINKING_UNSET && ask.messages.allow_special == 0 &&
           ask.sampling.constraint == OXCART_CONSTRAINT_NONE && ask.sampling.has_logprobs == 0 &&
           ask.sampling.n_predict == 0 && json_object_size(ask.conversation) == 1,
       "the defaults; unknown members are passed over");
    ox_ask_fini(&ask);
    OK(api_read(api, &context,
                "{" HI
                ", \"max_tokens\": 5, \"max_completion_tokens\": 9, \"logprobs\": true, \"top_logprobs\": 4, \"n\": "
                "2, \"stream\": true, \"allow_special_tokens\": true, \"modalities\": [\"text\"], \"stop\": \"x\"}",
                &ask, &error) &&
           ask.sampling.n_predict == 9 && ask.sampling.has_logprobs == 1 && ask.sampling.n_logprobs == 4 &&
           ask.n_choices == 2 && ask.stream && ask.messages.allow_special == 1 && ask.sampling.n_stop == 1,
       "what was asked for");
    ox_ask_fini(&ask);
}

static void test_thinking(void)
{
    static const struct {
        const char *members;
        enum oxcart_thinking thinking;
    } rows[] = {
        {"\"reasoning_effort\": \"none\"", OXCART_THINKING_DISABLED},
        {"\"reasoning_effort\": \"minimal\"", OXCART_THINKING_DISABLED},
        {"\"reasoning_effort\": \"low\"", OXCART_THINKING_ADAPTIVE},
        {"\"reasoning_effort\": \"medium\"", OXCART_THINKING_ADAPTIVE},
        {"\"reasoning_effort\": \"high\"", OXCART_THINKING_ENABLED},
        {"\"reasoning_effort\": \"xhigh\"", OXCART_THINKING_ENABLED},
        {"\"reasoning_effort\": \"max\"", OXCART_THINKING_ENABLED},
        {"\"reasoning_effort\": null, \"chat_template_kwargs\": {}", OXCART_THINKING_UNSET},
        {"\"chat_template_kwargs\": {\"enable_thinking\": true}", OXCART_THINKING_ENABLED},
        {"\"chat_template_kwargs\": {\"thinking\": false}, \"reasoning_effort\": \"high\"", OXCART_THINKING_DISABLED},
        {"\"chat_template_kwargs\": {\"thinking_mode\": \"adaptive\", \"enable_thinking\": true}",
         OXCART_THINKING_ADAPTIVE},
        {"\"chat_template_kwargs\": {\"thinking_mode\": \"disabled\"}", OXCART_THINKING_DISABLED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_ask ask;
        struct ox_api_error error;
        struct ox_buf json = {0};
        ox_buf_printf(&json, "{" HI ", %s}", rows[i].members);
        OK(api_read(api, &context, ox_buf_text(&json), &ask, &error) && ask.messages.thinking == rows[i].thinking, "%s",
           rows[i].members);
        ox_buf_fini(&json);
        ox_ask_fini(&ask);
    }
}

/* Tools and forms become constraints. */
static void test_constraints(void)
{
    static const struct {
        const char *members;
        enum oxcart_constraint constraint;
        bool tools;
        const char *tool;
        bool single;
        bool any; /* arguments */
    } rows[] = {
        {"\"tools\": [" TOOL "]", OXCART_CONSTRAINT_NONE, true, NULL, false, false},
        {"\"tools\": [" OPEN_TOOL "], \"tool_choice\": \"auto\"", OXCART_CONSTRAINT_NONE, true, NULL, false, false},
        {"\"tools\": [], \"tool_choice\": \"none\", \"parallel_tool_calls\": false", OXCART_CONSTRAINT_NONE, false,
         NULL, false, false},
        {"\"tools\": [" TOOL "], \"tool_choice\": \"none\"", OXCART_CONSTRAINT_NONE, false, NULL, false, false},
        {"\"tools\": [" TOOL "], \"tool_choice\": \"required\"", OXCART_CONSTRAINT_TOOLS_REQUIRED, true, NULL, false,
         false},
        {"\"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"f\"}}",
         OXCART_CONSTRAINT_TOOLS_REQUIRED, true, "f", false, false},
        {"\"tools\": [" OPEN_TOOL ", " TOOL "], \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": "
         "\"f\"}}, \"parallel_tool_calls\": false",
         OXCART_CONSTRAINT_TOOLS_REQUIRED, true, "f", true, false},
        {"\"tools\": [" TOOL "], \"parallel_tool_calls\": false", OXCART_CONSTRAINT_TOOLS, true, NULL, true, true},
        {"\"tools\": [" TOOL ", " OPEN_TOOL "], \"parallel_tool_calls\": false", OXCART_CONSTRAINT_TOOLS, true, NULL,
         true, true},
        {"\"tools\": [" OPEN_TOOL "], \"tool_choice\": \"required\"", OXCART_CONSTRAINT_TOOLS_REQUIRED, true, NULL,
         false, true},
        {"\"tools\": [{\"type\": \"web_search\"}], \"parallel_tool_calls\": false", OXCART_CONSTRAINT_NONE, false, NULL,
         false, false},
        {"\"tools\": [{\"type\": \"custom\", \"custom\": {\"name\": \"f\"}}, " TOOL "], \"tool_choice\": \"required\"",
         OXCART_CONSTRAINT_TOOLS_REQUIRED, true, NULL, false, false},
        {"\"tools\": [" STRICT_TOOL "]", OXCART_CONSTRAINT_TOOLS, true, NULL, false, false},
        {"\"response_format\": {\"type\": \"text\"}", OXCART_CONSTRAINT_NONE, false, NULL, false, false},
        {"\"response_format\": {\"type\": \"json_object\"}", OXCART_CONSTRAINT_JSON_OBJECT, false, NULL, false, false},
        {"\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"n\", \"strict\": true, "
         "\"schema\": "
         "{\"type\": \"object\"}}}",
         OXCART_CONSTRAINT_JSON_SCHEMA, false, NULL, false, false},
        {"\"response_format\": {\"type\": \"json_object\"}, \"tools\": [" TOOL "], \"tool_choice\": \"none\"",
         OXCART_CONSTRAINT_JSON_OBJECT, false, NULL, false, false},
        {"\"response_format\": {\"type\": \"json_object\"}, \"tools\": [" TOOL "], \"tool_choice\": \"required\"",
         OXCART_CONSTRAINT_TOOLS_REQUIRED, true, NULL, false, false},
        {"\"response_format\": {\"type\": \"json_object\"}, \"tools\": [" OPEN_TOOL "]",
         OXCART_CONSTRAINT_TOOLS_OR_JSON, true, NULL, false, true},
        {"\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {\"type\": \"object\"}}}, "
         "\"tools\": [" STRICT_TOOL "], \"parallel_tool_calls\": false",
         OXCART_CONSTRAINT_TOOLS_OR_JSON, true, NULL, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_ask ask;
        struct ox_api_error error;
        struct ox_buf json = {0};
        ox_buf_printf(&json, "{" HI ", %s}", rows[i].members);
        const bool read = api_read(api, &context, ox_buf_text(&json), &ask, &error);
        const char *tool = ask.sampling.tool;
        OK(read && ask.sampling.constraint == rows[i].constraint &&
               (json_object_get(ask.conversation, "tools") != NULL) == rows[i].tools &&
               (ask.sampling.single_call != 0) == rows[i].single && (ask.sampling.any_arguments != 0) == rows[i].any,
           "%s: %d %s", rows[i].members, (int)ask.sampling.constraint, error.message);
        OK(json_array_size(json_object_get(ask.conversation, "tools")) <= 2 &&
               !ox_str_is(ox_json_text(api_at(ask.conversation, "tools.0.type")), "custom"),
           "functions alone are shown");
        OK(rows[i].tool == NULL ? tool == NULL : tool != NULL && strcmp(tool, rows[i].tool) == 0, "the tool's name");
        if (strstr(rows[i].members, "json_schema") != NULL) {
            IS_STR(ask.sampling.json_schema, "{\"type\":\"object\"}", "the schema's text");
            IS_INT(ask.sampling.json_schema_bytes, 17, "its length");
        }
        ox_buf_fini(&json);
        ox_ask_fini(&ask);
    }
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *members;
    const char *param;
    const char *says;
} refusals[] = {
    {"\"messages\": []", "messages", "at least one"},
    {"\"messages\": {}", "messages", "at least one"},
    {"\"n\": 1", "messages", "at least one"},
    {"\"messages\": [1]", "messages[0]", "object"},
    {"\"messages\": [{\"role\": \"function\", \"content\": \"\"}]", "messages[0].role", "expected system"},
    {"\"messages\": [{\"content\": \"\"}]", "messages[0].role", "expected system"},
    {"\"messages\": [{\"role\": \"user\"}, {\"role\": \"root\"}]", "messages[1].role", "expected system"},
    {"\"messages\": [{\"role\": \"user\", \"content\": 5}]", "messages[0].content", "string"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [5]}]", "messages[0].content[0]", "an object"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]", "messages[0].content[0].text",
     "a string"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [\"a\", {\"type\": \"input_audio\"}]}]",
     "messages[0].content[1].type", "input_video"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {}}]}]",
     "messages[0].content[0].image_url", "url"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"file\", \"file\": {\"file_id\": \"x\"}}]}]",
     "messages[0].content[0].file", "neither kept nor fetched"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"file\"}]}]", "messages[0].content[0].file",
     "file_data"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"file\", \"file\": {\"file_data\": "
     "\"data:application/pdf;base64,JVBERi0=\"}}]}]",
     "messages[0].content[0].file", "PDF is not read"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]", "messages[0].content[0].image",
     "url"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {\"data\": "
     "\"AA\"}}]}]",
     "messages[0].content[0].image_url", "url"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": \"a\"}, {\"type\": "
     "\"image_url\", \"image_url\": \"a\"}, {\"type\": \"video_url\", \"video_url\": \"a\"}]}, {\"role\": \"user\", "
     "\"content\": [{\"type\": \"image_url\", \"image_url\": \"a\"}]}]",
     "messages[1].content[0].image_url", "at most 3 pictures and clips (--max-images)"},
    {"\"messages\": [{\"role\": \"assistant\", \"reasoning\": {}}]", "messages[0].reasoning", "string"},
    {"\"messages\": [{\"role\": \"assistant\", \"reasoning_content\": 1}]", "messages[0].reasoning_content", "string"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": {}}]", "messages[0].tool_calls", "array"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"type\": \"custom\"}]}]",
     "messages[0].tool_calls[0].type", "function"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {}}]}]",
     "messages[0].tool_calls[0].function.name", "string"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": 1}}]}]",
     "messages[0].tool_calls[0].function.arguments", "a string that holds"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"id\": 1, \"function\": {\"name\": \"f\"}}]}]",
     "messages[0].tool_calls[0].id", "string"},
    {"\"messages\": [{\"role\": \"tool\", \"tool_call_id\": 1}]", "messages[0].tool_call_id", "string"},
    {HI ", \"tools\": {}", "tools", "array"},
    {HI ", \"tools\": [1]", "tools[0].type", "function"},
    {HI ", \"tools\": [{\"function\": {\"name\": \"f\"}}]", "tools[0].type", "function"},
    {HI ", \"tools\": [{\"type\": \"web_search\"}], \"tool_choice\": \"required\"", "tool_choice", "no tools"},
    {HI ", \"tools\": [" TOOL ", {\"type\": \"function\"}]", "tools[1].function", "object"},
    {HI ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"\"}}]", "tools[0].function.name", "name"},
    {HI ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"a\\\">b\"}}]", "tools[0].function.name",
     "name"},
    {HI ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"a\", \"parameters\": 1}}]",
     "tools[0].function.parameters", "schema"},
    {HI ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"a\", \"strict\": 1}}]",
     "tools[0].function.strict", "true or false"},
    {HI ", \"tools\": [" STRICT_TOOL ", " OPEN_TOOL "]", "tools", "not"},
    {HI ", \"tool_choice\": \"required\"", "tool_choice", "no tools"},
    {HI ", \"tools\": [" TOOL "], \"tool_choice\": \"any\"", "tool_choice", "auto"},
    {HI ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"function\", \"function\": {\"name\": \"g\"}}",
     "tool_choice", "no tool \"g\""},
    {HI ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"allowed_tools\"}", "tool_choice.type", "function"},
    {HI ", \"tools\": [" TOOL "], \"parallel_tool_calls\": 0", "parallel_tool_calls", "true or false"},
    {HI ", \"response_format\": \"json\"", "response_format", "an object"},
    {HI ", \"response_format\": {\"type\": \"grammar\"}", "response_format.type", "json_schema"},
    {HI ", \"response_format\": {\"type\": \"json_schema\"}", "response_format.json_schema.schema", "schema"},
    {HI ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"strict\": 1, \"schema\": {}}}",
     "response_format.json_schema.strict", "true or false"},
    {HI ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {\"not\": {}}}}",
     "response_format.json_schema.schema", "not"},
    {HI ", \"top_logprobs\": 2", "top_logprobs", "needs logprobs"},
    {HI ", \"logprobs\": true, \"top_logprobs\": 21", "top_logprobs", "0 to 20"},
    {HI ", \"logprobs\": 2", "logprobs", "true or false"},
    {HI ", \"reasoning_effort\": \"huge\"", "reasoning_effort", "none, minimal"},
    {HI ", \"reasoning_effort\": 1", "reasoning_effort", "none, minimal"},
    {HI ", \"chat_template_kwargs\": 1", "chat_template_kwargs", "object"},
    {HI ", \"chat_template_kwargs\": {\"thinking_mode\": \"on\"}", "chat_template_kwargs.thinking_mode", "adaptive"},
    {HI ", \"chat_template_kwargs\": {\"enable_thinking\": \"on\"}", "chat_template_kwargs.enable_thinking", "true"},
    {HI ", \"max_completion_tokens\": 0", "max_completion_tokens", "at least 1"},
    {HI ", \"n\": 9", "n", "1 to 4"},
    {HI ", \"functions\": []", "functions", "use tools"},
    {HI ", \"function_call\": \"auto\"", "function_call", "use tools"},
    {HI ", \"modalities\": [\"text\", \"audio\"]", "modalities", "text only"},
    {HI ", \"audio\": {}", "audio", "text only"},
    {HI ", \"allow_special_tokens\": 1", "allow_special_tokens", "true or false"},
};

static void refuse(const char *json, const char *param, const char *says)
{
    struct ox_ask ask;
    struct ox_api_error error;
    const bool read = api_read(api, &context, json, &ask, &error);
    OK(!read && error.http_status == 400 && strcmp(error.param, param) == 0 && strstr(error.message, says) != NULL &&
           strcmp(error.type, "invalid_request_error") == 0,
       "refused: %.200s: %s: %s", json, error.param, error.message);
    ox_ask_fini(&ask);
}

static void test_refusals(void)
{
    struct ox_buf json = {0};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        ox_buf_clear(&json);
        ox_buf_printf(&json, "{%s}", refusals[i].members);
        refuse(ox_buf_text(&json), refusals[i].param, refusals[i].says);
    }
    for (int more = 0; more < 2; more++) {
        struct ox_ask ask;
        struct ox_api_error error;
        ox_buf_clear(&json);
        ox_buf_add_c(&json, "{\"messages\": [");
        for (size_t i = 0; i < context.max_messages + (size_t)more; i++) {
            ox_buf_printf(&json, "%s{\"role\": \"user\", \"content\": \"a\"}", i > 0 ? ", " : "");
        }
        ox_buf_add_c(&json, "]}");
        const bool read = api_read(api, &context, ox_buf_text(&json), &ask, &error);
        OK(read == (more == 0), "%zu messages", context.max_messages + (size_t)more);
        OK(more == 0 || strstr(error.message, "at most 40 (--max-messages), found 41") != NULL, "%s", error.message);
        ox_ask_fini(&ask);
    }
    ox_buf_clear(&json);
    ox_buf_add_c(&json,
                 "{" HI
                 ", \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": {\"title\": \"");
    for (size_t i = 0; i < context.max_schema_bytes; i++) {
        ox_buf_add_byte(&json, 'x');
    }
    ox_buf_add_c(&json, "\"}}}}");
    refuse(ox_buf_text(&json), "response_format.json_schema.schema", "at most 1000 bytes (--max-schema)");
    for (int strict = 0; strict < 2; strict++) {
        struct ox_ask ask;
        struct ox_api_error error;
        ox_buf_clear(&json);
        ox_buf_printf(&json,
                      "{" HI ", \"tool_choice\": \"required\", \"tools\": [{\"type\": \"function\", \"function\": "
                      "{\"strict\": %s, \"name\": \"f\", \"description\": \"",
                      strict != 0 ? "true" : "false");
        for (size_t i = 0; i < context.max_schema_bytes; i++) {
            ox_buf_add_byte(&json, 'x');
        }
        ox_buf_add_c(&json, "\"}}]}");
        if (strict != 0) {
            refuse(ox_buf_text(&json), "tools", "at most 1000 bytes (--max-schema)");
            continue;
        }
        OK(api_read(api, &context, ox_buf_text(&json), &ask, &error) && ask.sampling.any_arguments != 0 &&
               ask.sampling.constraint == OXCART_CONSTRAINT_TOOLS_REQUIRED,
           "longer schemas are not held to, if they need not be");
        ox_ask_fini(&ask);
    }
    ox_buf_fini(&json);
}

/* ---- replies by hand -------------------------------------------------------------------------------------------- */

/* Reasoning, an answer, a call, one that could not be read, another one. */
static const struct oxcart_event *events_of_reply(size_t *n)
{
    static struct oxcart_event events[12];
    *n = 0;
    events[(*n)++] = api_event(OXCART_EVENT_REASONING, 0, "Let me ");
    events[(*n)++] = api_event(OXCART_EVENT_REASONING, 0, "see.");
    events[(*n)++] = api_event(OXCART_EVENT_CONTENT, 0, "I look.");
    events[(*n)++] = api_event(OXCART_EVENT_CALL_BEGIN, 0, "f");
    events[(*n)++] = api_event(OXCART_EVENT_CALL_ARGUMENTS, 0, "{\"x\": ");
    events[(*n)++] = api_event(OXCART_EVENT_CALL_ARGUMENTS, 0, "1}");
    events[(*n)++] = api_event(OXCART_EVENT_CALL_DONE, 0, "");
    events[(*n)++] = api_event(OXCART_EVENT_CALL_BEGIN, 1, "g");
    events[(*n)++] = api_event(OXCART_EVENT_CALL_ARGUMENTS, 1, "{\"y");
    events[(*n)++] = api_event(OXCART_EVENT_CALL_FAILED, 1, "<invoke name=\"g\">oops");
    events[(*n)++] = api_event(OXCART_EVENT_CALL_BEGIN, 2, "f");
    events[(*n)++] = api_event(OXCART_EVENT_CALL_DONE, 2, "");
    return events;
}

static void play(const char *json, struct ox_buf *out)
{
    struct ox_ask ask;
    struct ox_api_error error;
    size_t n;
    const struct oxcart_event *events = events_of_reply(&n);
    const struct oxcart_result result = {
        .finish = OXCART_FINISH_TOOL_CALLS, .n_prompt = 10, .n_cached = 4, .n_generated = 30, .n_reasoning = 8};
    OK(api_read(api, &context, json, &ask, &error), "request");
    struct ox_reply *reply = api->reply_new(&context, &ask, 10);
    if (ask.stream) {
        api->begin(reply, out);
    }
    for (size_t i = 0; i < n; i++) {
        const size_t before = out->len;
        OK(api->event(reply, 0, &events[i], out) &&
               (out->len > before) == (ask.stream && events[i].kind != OXCART_EVENT_CALL_DONE),
           "event %zu is sent at once, or kept", i);
    }
    OK(api->end(reply, 0, &result, out), "end");
    api->reply_free(reply);
    ox_ask_fini(&ask);
}

static void test_whole(void)
{
    struct ox_buf out = {0};
    play("{" HI "}", &out);
    json_t *tree = api_tree(ox_buf_str(&out));
    json_t *message = api_at(tree, "choices.0.message");
    IS_STR(api_text(tree, "object"), "chat.completion", "object");
    OK(strncmp(api_text(tree, "id"), "chatcmpl-", 9) == 0, "id");
    IS_STR(api_text(message, "role"), "assistant", "role");
    IS_STR(api_text(message, "content"), "I look.<invoke name=\"g\">oops", "content, with what could not be read");
    IS_STR(api_text(message, "reasoning_content"), "Let me see.", "reasoning");
    IS_STR(api_text(message, "reasoning"), "Let me see.", "reasoning, under its other name");
    OK(json_is_null(api_at(message, "refusal")), "no refusal");
    IS_INT(json_array_size(api_at(message, "tool_calls")), 2, "calls that are done");
    IS_STR(api_text(message, "tool_calls.0.function.name"), "f", "name");
    IS_STR(api_text(message, "tool_calls.0.function.arguments"), "{\"x\": 1}", "arguments");
    IS_STR(api_text(message, "tool_calls.0.type"), "function", "type");
    OK(strlen(api_text(message, "tool_calls.0.id")) == 29 &&
           strcmp(api_text(message, "tool_calls.0.id"), api_text(message, "tool_calls.1.id")) != 0,
       "ids differ");
    OK(api_at(message, "tool_calls.0.index") == NULL, "no index in a whole reply");
    IS_STR(api_text(tree, "choices.0.finish_reason"), "tool_calls", "finish reason");
    OK(json_is_null(api_at(tree, "choices.0.logprobs")), "no log-probabilities");
    IS_INT(json_integer_value(api_at(tree, "usage.completion_tokens_details.reasoning_tokens")), 8, "reasoning tokens");
    IS_INT(json_integer_value(api_at(tree, "usage.prompt_tokens_details.cached_tokens")), 4, "cached tokens");
    IS_INT(json_integer_value(api_at(tree, "usage.total_tokens")), 40, "all tokens");
    IS_INT(json_integer_value(api_at(tree, "timings.cache_n")), 4, "timings");
    json_decref(tree);
    ox_buf_fini(&out);
}

static void test_stream(void)
{
    struct ox_buf out = {0};
    play("{" HI ", \"stream\": true, \"stream_options\": {\"include_usage\": true}}", &out);
    json_t *events = api_stream(ox_buf_str(&out));
    IS_INT(json_array_size(events), 14, "pieces");
    IS_STR(api_text(events, "0.data.choices.0.delta.role"), "assistant", "the first delta has the role");
    IS_STR(api_text(events, "0.data.object"), "chat.completion.chunk", "object");
    IS_STR(api_text(events, "1.data.choices.0.delta.reasoning_content"), "Let me ", "reasoning");
    IS_STR(api_text(events, "1.data.choices.0.delta.reasoning"), "Let me ", "reasoning, under its other name");
    IS_STR(api_text(events, "3.data.choices.0.delta.content"), "I look.", "content");
    json_t *call = api_at(events, "4.data.choices.0.delta.tool_calls.0");
    IS_INT(json_integer_value(api_at(call, "index")), 0, "a call's index");
    OK(strlen(api_text(call, "id")) == 29, "id");
    IS_STR(api_text(call, "type"), "function", "type");
    IS_STR(api_text(call, "function.name"), "f", "name");
    IS_STR(api_text(call, "function.arguments"), "", "no arguments yet");
    call = api_at(events, "5.data.choices.0.delta.tool_calls.0");
    IS_STR(api_text(call, "function.arguments"), "{\"x\": ", "the arguments' beginning");
    OK(json_object_size(call) == 2 && json_object_size(api_at(call, "function")) == 1, "and nothing else");
    IS_STR(api_text(events, "9.data.choices.0.delta.content"), "<invoke name=\"g\">oops", "a failed call's text");
    IS_INT(json_integer_value(api_at(events, "10.data.choices.0.delta.tool_calls.0.index")), 2, "the next call");
    OK(json_object_size(api_at(events, "11.data.choices.0.delta")) == 0, "nothing new at the end");
    IS_STR(api_text(events, "11.data.choices.0.finish_reason"), "tool_calls", "finish reason");
    IS_INT(json_array_size(api_at(events, "12.data.choices")), 0, "the usage comes alone");
    IS_INT(json_integer_value(api_at(events, "12.data.usage.total_tokens")), 40, "usage");
    IS_STR(api_text(events, "13.data"), "[DONE]", "the end");
    json_decref(events);
    ox_buf_fini(&out);
}

/* An answer without text is an empty string; with calls it is null. */
static void test_empty(void)
{
    for (int called = 0; called < 2; called++) {
        struct ox_ask ask;
        struct ox_api_error error;
        struct ox_buf out = {0};
        const struct oxcart_event begin = api_event(OXCART_EVENT_CALL_BEGIN, 0, "f");
        const struct oxcart_event done = api_event(OXCART_EVENT_CALL_DONE, 0, "");
        const struct oxcart_result result = {.finish = OXCART_FINISH_STOP};
        OK(api_read(api, &context, "{" HI "}", &ask, &error), "request");
        struct ox_reply *reply = api->reply_new(&context, &ask, 10);
        OK(called == 0 || (api->event(reply, 0, &begin, &out) && api->event(reply, 0, &done, &out)), "events");
        OK(api->end(reply, 0, &result, &out), "end");
        json_t *tree = api_tree(ox_buf_str(&out));
        json_t *content = api_at(tree, "choices.0.message.content");
        OK(called != 0 ? json_is_null(content) : json_is_string(content), "no text");
        OK(api_at(tree, "choices.0.message.reasoning") == NULL, "no reasoning");
        OK((api_at(tree, "choices.0.message.tool_calls") != NULL) == (called != 0), "calls only where there are any");
        json_decref(tree);
        ox_buf_fini(&out);
        api->reply_free(reply);
        ox_ask_fini(&ask);
    }
}

/* ---- random replies --------------------------------------------------------------------------------------------- */

static void test_random(void)
{
    static struct api_script script;
    struct ox_rng rng;
    int32_t *ids = NULL;
    size_t n = 0;
    bool same = true;
    size_t n_logprobs = 0;
    OK(oxcart_encode(context.engine, "a b", 3, 0, &ids, &n, NULL) == OXCART_OK && n >= 2, "tokens");
    const struct oxcart_logprob tokens[] = {{-0.25, ids[0]}, {-0.5, ids[1]}};
    ox_rng_init(&rng, 7);
    for (int round = 0; round < 300 && same; round++) {
        struct ox_buf outs[2] = {{0}, {0}};
        const int32_t n_choices = 1 + (int32_t)ox_rng_below(&rng, 3);
        api_script_make(&script, &rng, n_choices, true, round % 2 != 0 ? tokens : NULL);
        for (int stream = 0; stream < 2; stream++) {
            char json[200];
            struct ox_ask ask;
            struct ox_api_error error;
            snprintf(json, sizeof json, "{" HI ", \"n\": %d, \"logprobs\": %s, \"stream\": %s}", (int)n_choices,
                     round % 2 != 0 ? "true" : "false", stream != 0 ? "true" : "false");
            same = same && api_read(api, &context, json, &ask, &error) &&
                   api_script_play(api, &context, &ask, &script, &outs[stream]);
            ox_ask_fini(&ask);
        }
        json_t *whole = api_tree(ox_buf_str(&outs[0]));
        json_t *events = api_stream(ox_buf_str(&outs[1]));
        for (int32_t i = 0; i < n_choices; i++) {
            json_t *a = api_chat_of_whole(whole, i);
            json_t *b = api_chat_of_stream(events, i, &script);
            same = same && a != NULL && b != NULL && json_equal(a, b);
            n_logprobs += json_array_size(api_at(a, "logprobs"));
            json_decref(a);
            json_decref(b);
        }
        json_decref(whole);
        json_decref(events);
        ox_buf_fini(&outs[0]);
        ox_buf_fini(&outs[1]);
    }
    OK(same, "300 random replies: the pieces say what the whole says");
    OK(n_logprobs > 100, "with log-probabilities");
    oxcart_free(ids);
}

/* ---- without memory --------------------------------------------------------------------------------------------- */

static void test_read_oom(void)
{
    api_read_oom(
        api, &context,
        "{\"messages\": [{\"role\": \"system\", \"content\": \"A\"}, {\"role\": \"system\", \"content\": \"B\"}, "
        "{\"role\": \"user\", \"content\": [{\"type\": \"input_video\", \"input_video\": {\"data\": \"AAAA\"}}]}], "
        "\"stop\": \"x\", \"logit_bias\": {\"1\": 1}, \"tools\": [" TOOL "], \"tool_choice\": \"required\"}");
}

static void test_play_oom(void)
{
    static struct api_script script;
    struct ox_rng rng;
    struct ox_ask ask;
    struct ox_api_error error;
    ox_rng_init(&rng, 3);
    api_script_make(&script, &rng, 2, true, NULL);
    for (int stream = 0; stream < 2; stream++) {
        OK(api_read(api, &context, stream != 0 ? "{" HI ", \"n\": 2, \"stream\": true}" : "{" HI ", \"n\": 2}", &ask,
                    &error),
           "request");
        bool good = true;
        long n = 1;
        for (bool failed = true; failed && good; n++) {
            struct ox_buf out = {0};
            oom_arm(n);
            const bool played = api_script_play(api, &context, &ask, &script, &out);
            failed = oom_disarm();
            good = played == !failed;
            ox_buf_fini(&out);
        }
        OK(good && n > 5, "%ld allocations of a reply fail", n);
        ox_ask_fini(&ask);
    }
}

/* ---- with the model --------------------------------------------------------------------------------------------- */

struct run {
    struct ox_reply *reply;
    struct ox_buf out;
};

static int on_event(void *user, const struct oxcart_event *event)
{
    struct run *run = user;
    return api->event(run->reply, 0, event, &run->out) ? 0 : 1;
}

/* A reply of the demonstration model. */
static json_t *answer_counted(struct oxcart_session *session, const char *json, struct oxcart_result *result)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct oxcart_error err = {0};
    struct run run = {0};
    if (!OK(api_read(api, &context, json, &ask, &error), "request: %s", error.message)) {
        return NULL;
    }
    struct ox_buf text = {0};
    ox_json_write(ask.conversation, &text);
    OK(oxcart_session_set_messages(session, text.ptr, text.len, &ask.messages, &err) == OXCART_OK, "prompt %s",
       err.message);
    const int32_t *ids = NULL;
    run.reply = api->reply_new(&context, &ask, oxcart_session_tokens(session, &ids));
    if (ask.stream) {
        api->begin(run.reply, &run.out);
    }
    OK(oxcart_session_decode(session, &ask.sampling, on_event, &run, result, &err) == OXCART_OK, "answer %s",
       err.message);
    OK(api->end(run.reply, 0, result, &run.out), "end");
    json_t *tree = ask.stream ? api_stream(ox_buf_str(&run.out)) : api_tree(ox_buf_str(&run.out));
    api->reply_free(run.reply);
    ox_buf_fini(&run.out);
    ox_buf_fini(&text);
    ox_ask_fini(&ask);
    return tree;
}

static json_t *answer(struct oxcart_session *session, const char *json)
{
    struct oxcart_result result = {.size = sizeof result};
    return answer_counted(session, json, &result);
}

#define TIME_TOOL                                                                                                      \
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"get_time\", \"description\": \"Local time of a "  \
    "city\", \"parameters\": {\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\"}}, "              \
    "\"required\": "                                                                                                   \
    "[\"city\"]}}}]"

static void test_model(void)
{
    struct oxcart_session *session = demo_session(context.engine, 2048);
    json_t *tree = answer(session, "{\"messages\": [{\"role\": \"user\", \"content\": \"What is 27 plus 38?\"}], "
                                   "\"temperature\": 0, \"reasoning_effort\": \"high\", \"logprobs\": true, "
                                   "\"top_logprobs\": 2}");
    json_t *tokens = api_at(tree, "choices.0.logprobs.content");
    struct ox_buf joined = {0};
    bool bytes = true;
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        json_t *token = json_array_get(tokens, i);
        const struct ox_str text = ox_json_text(api_at(token, "token"));
        ox_buf_add_str(&joined, text);
        bytes = bytes && json_array_size(api_at(token, "bytes")) == text.len && text.len > 0 &&
                json_integer_value(api_at(token, "bytes.0")) == (unsigned char)text.ptr[0] &&
                json_array_size(api_at(token, "top_logprobs")) == 2 &&
                strcmp(api_text(token, "top_logprobs.0.token"), api_text(token, "token")) == 0;
    }
    IS_STR(api_text(tree, "choices.0.message.content"), "65", "a sum");
    IS_STR(api_text(tree, "choices.0.message.reasoning"), "7 + 8 = 15. 2 + 3 + 1 = 6.", "reasoning");
    IS_STR(ox_buf_text(&joined), "65", "the log-probabilities are those of the content's tokens");
    OK(bytes, "bytes, and two best ones, of which the first was drawn");
    ox_buf_fini(&joined);
    json_decref(tree);
    tree = answer(session, "{\"messages\": [{\"role\": \"user\", \"content\": \"What time is it in Rome?\"}], "
                           "\"temperature\": 0, \"reasoning_effort\": \"none\", " TIME_TOOL "}");
    IS_STR(api_text(tree, "choices.0.finish_reason"), "tool_calls", "a call");
    IS_STR(api_text(tree, "choices.0.message.tool_calls.0.function.name"), "get_time", "its name");
    json_t *arguments = api_tree(ox_json_text(api_at(tree, "choices.0.message.tool_calls.0.function.arguments")));
    IS_STR(api_text(arguments, "city"), "Rome", "its arguments");
    json_decref(arguments);
    json_decref(tree);
    tree = answer(session,
                  "{\"messages\": [{\"role\": \"user\", \"content\": \"Tell me about Rome.\"}], \"temperature\": 0, "
                  "\"reasoning_effort\": \"none\", \"tool_choice\": \"required\", \"parallel_tool_calls\": false, "
                  "\"stream\": true, " TIME_TOOL "}");
    static struct api_script none;
    json_t *reply = api_chat_of_stream(tree, 0, &none);
    IS_INT(json_array_size(api_at(reply, "calls")), 2, "one call, as required");
    IS_STR(api_text(reply, "calls.0"), "get_time", "its name");
    json_decref(reply);
    json_decref(tree);
    oxcart_session_close(&session);
}

/* Calls drawn hot come back with their results; in how many of the turns are all tokens so far found? */
static int count_kept(struct oxcart_session *session, int n_turns, int *n_called)
{
    int n_kept = 0;
    *n_called = 0;
    for (int seed = 0; seed < n_turns; seed++) {
        struct ox_buf json = {0};
        struct oxcart_result first = {.size = sizeof first};
        struct oxcart_result second = {.size = sizeof second};
        ox_buf_printf(
            &json,
            "{\"messages\": [{\"role\": \"user\", \"content\": \"What time is it in Rome?\"}], \"temperature\": "
            "3.5, \"top_k\": 0, \"top_p\": 1, \"max_tokens\": 200, \"seed\": %d, \"reasoning_effort\": "
            "\"none\", \"tool_choice\": \"required\", \"parallel_tool_calls\": false, " TIME_TOOL "}",
            seed);
        json_t *tree = answer_counted(session, ox_buf_text(&json), &first);
        char *message = json_dumps(api_at(tree, "choices.0.message"), 0);
        ox_buf_clear(&json);
        ox_buf_printf(&json,
                      "{\"messages\": [{\"role\": \"user\", \"content\": \"What time is it in Rome?\"}, %s, {\"role\": "
                      "\"tool\", \"tool_call_id\": \"%s\", \"content\": \"12:40\"}], \"max_tokens\": 1, "
                      "\"reasoning_effort\": \"none\", " TIME_TOOL "}",
                      message, api_text(tree, "choices.0.message.tool_calls.0.id"));
        json_t *next = strcmp(api_text(tree, "choices.0.finish_reason"), "tool_calls") == 0
                           ? answer_counted(session, ox_buf_text(&json), &second)
                           : NULL;
        *n_called += next != NULL ? 1 : 0;
        n_kept += next != NULL && second.n_cached >= first.n_prompt + first.n_generated - 1 ? 1 : 0;
        NOTE("%.40s: %d of %d", api_text(tree, "choices.0.message.tool_calls.0.function.arguments"),
             (int)second.n_cached, (int)(first.n_prompt + first.n_generated));
        free(message);
        json_decref(tree);
        json_decref(next);
        ox_buf_fini(&json);
    }
    return n_kept;
}

static void test_replay(void)
{
    struct oxcart_session *session = demo_session(context.engine, 2048);
    int n_called = 0;
    const int n_before = count_kept(session, 12, &n_called);
    OK(n_called >= 3 && n_before < n_called, "without a store of replies %d of %d turns find all tokens", n_before,
       n_called);
    context.recall = ox_recall_new(1 << 20);
    const int n_kept = count_kept(session, 12, &n_called);
    IS_INT(n_kept, n_called, "turns that find all tokens of the turn before, with it");
    ox_recall_free(context.recall);
    context.recall = NULL;
    oxcart_session_close(&session);
}

int main(void)
{
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 1);
    context = api_context(engine);
    test_messages();
    test_defaults();
    test_thinking();
    test_constraints();
    test_refusals();
    test_whole();
    test_stream();
    test_empty();
    test_random();
    test_read_oom();
    test_play_oom();
    test_model();
    test_replay();
    oxcart_engine_close(&engine);
    return tap_done();
}
