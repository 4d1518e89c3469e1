/* SPDX-License-Identifier: Apache-2.0
 *
 * Anthropic's Messages API: requests read or refused, replies whole and in pieces, why an answer ended, errors; and that
 * the pieces of random answers add up to the whole.
 */
#include "tests/api_items.h"
#include "tests/api_oom.h"
#include "tests/api_random.h"
#include "tests/demo_help.h"

static const struct ox_api *const api = &ox_api_messages;
static struct ox_api_context context;

#define HEAD "{\"model\": \"demo\", \"max_tokens\": 50, "
#define ASKS "\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]"
#define TOOL                                                                                                           \
    "{\"name\": \"add\", \"description\": \"Adds\", \"input_schema\": {\"type\": \"object\", \"properties\": {\"a\": " \
    "{\"type\": \"integer\"}}}}"

/* ---- requests --------------------------------------------------------------------------------------------------- */

static void test_messages(void)
{
    api_is_read(api, &context, HEAD ASKS "}",
                "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"Hi\"}]}]}",
                "a text");
    api_is_read(api, &context,
                HEAD "\"system\": \"Be brief.\", " ASKS ", \"metadata\": {\"user_id\": \"x\"}, \"who\": 1}",
                "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, "
                "{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"Hi\"}]}]}",
                "a system text; unknown members");
    api_is_read(api, &context,
                HEAD
                "\"system\": [{\"type\": \"text\", \"text\": \"A.\", \"cache_control\": {\"type\": \"ephemeral\"}}, "
                "{\"type\": \"text\", \"text\": \"B.\"}], \"messages\": [{\"role\": \"system\", \"content\": \"C.\"}, "
                "{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"system\", \"content\": \"Late.\"}]}",
                "{\"messages\": [{\"role\": \"system\", \"content\": \"A.\\n\\nB.\\n\\nC.\"}, "
                "{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"Hi\"}]}, "
                "{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"Late.\"}]}]}",
                "instructions become one, late ones keep their place");
    api_is_read(api, &context,
                HEAD "\"messages\": [{\"role\": \"system\", \"content\": \"\"}, {\"role\": \"system\"}]}",
                "{\"messages\": [{\"role\": \"system\", \"content\": \"\"}]}", "instructions that say nothing");
    api_is_read(api, &context,
                HEAD
                "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"source\": {\"type\": "
                "\"base64\", \"media_type\": \"image/png\", \"data\": \"QUJD\"}}, {\"type\": \"image\", \"source\": "
                "{\"type\": \"url\", \"url\": \"https://a/b.png\"}}, {\"type\": \"text\", \"text\": \"What?\"}]}]}",
                "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {\"url\": "
                "\"data:image/png;base64,QUJD\"}}, {\"type\": \"image_url\", \"image_url\": {\"url\": "
                "\"https://a/b.png\"}}, {\"type\": \"text\", \"text\": \"What?\"}]}]}",
                "pictures");
    api_is_read(
        api, &context,
        HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"document\", \"title\": \"Notes\", "
             "\"context\": \"Old.\", \"citations\": {\"enabled\": true}, \"source\": {\"type\": \"text\", "
             "\"media_type\": \"text/plain\", \"data\": \"A\"}}, {\"type\": \"document\", \"title\": null, "
             "\"source\": {\"type\": \"base64\", \"media_type\": \"text/plain\", \"data\": \"Qg==\"}}, {\"type\": "
             "\"text\", \"text\": \"What?\"}]}, {\"role\": \"user\", \"content\": [{\"type\": \"document\", \"title\": "
             "\"T\", \"source\": {\"type\": \"content\", \"content\": [{\"type\": \"text\", \"text\": \"C\"}, "
             "{\"type\": \"image\", \"source\": {\"type\": \"url\", \"url\": \"data:,\"}}]}}, {\"type\": "
             "\"document\", \"source\": {\"type\": \"content\", \"content\": \"D\"}}]}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
        "\"Notes\\nOld.\\n\\nA\\n\\n\"}, {\"type\": \"text\", \"text\": \"B\\n\\n\"}, {\"type\": \"text\", "
        "\"text\": \"What?\"}]}, {\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
        "\"T\\n\\n\"}, {\"type\": \"text\", \"text\": \"C\"}, {\"type\": \"image_url\", \"image_url\": "
        "{\"url\": \"data:,\"}}, {\"type\": \"text\", \"text\": \"\\n\\n\"}, {\"type\": \"text\", \"text\": "
        "\"D\\n\\n\"}]}]}",
        "documents");
    api_is_read(
        api, &context,
        HEAD "\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": "
             "[{\"type\": \"tool_use\", \"id\": \"t\", \"name\": \"read\", \"input\": {}}]}, {\"role\": \"user\", "
             "\"content\": [{\"type\": \"tool_result\", \"tool_use_id\": \"t\", \"content\": [{\"type\": "
             "\"document\", \"source\": {\"type\": \"text\", \"data\": \"A\"}}]}]}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}]}, {\"role\": "
        "\"assistant\", \"content\": \"\", \"reasoning_content\": \"\", \"tool_calls\": [{\"id\": \"t\", \"type\": "
        "\"function\", \"function\": {\"name\": \"read\", \"arguments\": {}}}]}, {\"role\": \"tool\", "
        "\"tool_call_id\": \"t\", \"content\": [{\"type\": \"text\", \"text\": \"A\\n\\n\"}]}]}",
        "a document as a result");
    api_is_read(
        api, &context,
        HEAD "\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": "
             "\"b\"}, {\"role\": \"user\", \"content\": []}, {\"role\": \"user\", \"content\": \"c\"}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}]}, {\"role\": "
        "\"assistant\", \"content\": \"b\", \"reasoning_content\": \"\"}, "
        "{\"role\": \"user\", \"content\": []}, "
        "{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"c\"}]}]}",
        "an answer as text; nothing said");
}

static void test_tools(void)
{
    api_is_read(
        api, &context,
        HEAD "\"tools\": [" TOOL "], \"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": "
             "\"assistant\", \"content\": [{\"type\": \"thinking\", \"thinking\": \"I \", \"signature\": \"s\"}, "
             "{\"type\": \"redacted_thinking\", \"data\": \"xyz\"}, {\"type\": \"thinking\", \"thinking\": "
             "\"think\", \"signature\": \"s\"}, {\"type\": \"text\", \"text\": \"Let me.\"}, {\"type\": "
             "\"tool_use\", \"id\": \"toolu_1\", \"name\": \"add\", \"input\": {\"a\": 1}}, {\"type\": \"tool_use\", "
             "\"id\": \"toolu_2\", \"name\": \"add\", \"input\": {}}]}, {\"role\": \"user\", \"content\": "
             "[{\"type\": \"text\", \"text\": \"So?\"}, {\"type\": \"tool_result\", \"tool_use_id\": \"toolu_2\", "
             "\"content\": \"2\"}, {\"type\": \"tool_result\", \"tool_use_id\": \"toolu_1\", \"is_error\": true, "
             "\"content\": [{\"type\": \"text\", \"text\": \"bad\"}]}, {\"type\": \"tool_result\", \"tool_use_id\": "
             "\"toolu_1\"}]}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}]}, {\"role\": "
        "\"assistant\", \"content\": \"Let me.\", \"reasoning_content\": \"I think\", \"tool_calls\": [{\"id\": "
        "\"toolu_1\", \"type\": \"function\", \"function\": {\"name\": \"add\", \"arguments\": {\"a\": 1}}}, "
        "{\"id\": \"toolu_2\", \"type\": \"function\", \"function\": {\"name\": \"add\", \"arguments\": {}}}]}, "
        "{\"role\": \"tool\", \"tool_call_id\": \"toolu_2\", \"content\": [{\"type\": \"text\", \"text\": \"2\"}]}, "
        "{\"role\": \"tool\", \"tool_call_id\": \"toolu_1\", \"content\": [{\"type\": \"text\", \"text\": "
        "\"Error: \"}, {\"type\": \"text\", \"text\": \"bad\"}]}, "
        "{\"role\": \"tool\", \"tool_call_id\": \"toolu_1\", \"content\": []}, "
        "{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"So?\"}]}], "
        "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"add\", \"description\": \"Adds\", "
        "\"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}}}}]}",
        "thoughts, calls and results of history");
}

/* What calls must look like. */
static void test_choice(void)
{
    static const struct {
        const char *json;
        enum oxcart_constraint constraint;
        const char *tool;
        int single;
        bool shown;
    } rows[] = {
        {HEAD ASKS ", \"tools\": [" TOOL "]}", OXCART_CONSTRAINT_NONE, NULL, 0, true},
        {HEAD ASKS ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"auto\"}}", OXCART_CONSTRAINT_NONE, NULL, 0,
         true},
        {HEAD ASKS ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"any\"}}", OXCART_CONSTRAINT_TOOLS_REQUIRED,
         NULL, 0, true},
        {HEAD ASKS ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"tool\", \"name\": \"add\", "
                   "\"disable_parallel_tool_use\": true}}",
         OXCART_CONSTRAINT_TOOLS_REQUIRED, "add", 1, true},
        {HEAD ASKS ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"none\"}}", OXCART_CONSTRAINT_NONE, NULL, 0,
         false},
        {HEAD ASKS ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"auto\", \"disable_parallel_tool_use\": "
                   "true}}",
         OXCART_CONSTRAINT_TOOLS, NULL, 1, true},
        /* a schema that cannot be held to: the arguments are not looked at */
        {HEAD ASKS ", \"tools\": [{\"name\": \"x\", \"input_schema\": {\"not\": {}}}], \"tool_choice\": {\"type\": "
                   "\"auto\", \"disable_parallel_tool_use\": true}}",
         OXCART_CONSTRAINT_TOOLS, NULL, 1, true},
        {HEAD ASKS ", \"tools\": [{\"name\": \"x\", \"strict\": true, \"type\": \"custom\", \"input_schema\": "
                   "{\"type\": \"object\"}}]}",
         OXCART_CONSTRAINT_TOOLS, NULL, 0, true},
        {HEAD ASKS ", \"tools\": []}", OXCART_CONSTRAINT_NONE, NULL, 0, false},
        /* tools that are not run here are left out */
        {HEAD ASKS ", \"tools\": [{\"type\": \"web_search_20250305\", \"name\": \"web_search\"}]}",
         OXCART_CONSTRAINT_NONE, NULL, 0, false},
        {HEAD ASKS ", \"tools\": [" TOOL ", {\"type\": \"bash_20250124\", \"name\": \"bash\"}]}",
         OXCART_CONSTRAINT_NONE, NULL, 0, true},
        {HEAD ASKS ", \"output_config\": {\"effort\": \"low\", \"format\": {\"type\": \"json_schema\", \"schema\": "
                   "{\"type\": \"object\"}}}}",
         OXCART_CONSTRAINT_JSON_SCHEMA, NULL, 0, false},
        {HEAD ASKS ", \"tools\": [" TOOL "], \"output_config\": {\"format\": {\"type\": \"json_schema\", \"schema\": "
                   "{\"type\": \"object\"}}}}",
         OXCART_CONSTRAINT_TOOLS_OR_JSON, NULL, 0, true},
        {HEAD ASKS ", \"output_format\": {\"type\": \"json_schema\", \"schema\": {\"type\": \"object\"}}}",
         OXCART_CONSTRAINT_JSON_SCHEMA, NULL, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_ask ask;
        struct ox_api_error error;
        const bool read = api_read(api, &context, rows[i].json, &ask, &error);
        const char *tool = ask.sampling.tool;
        OK(read && ask.sampling.constraint == rows[i].constraint && ask.sampling.single_call == rows[i].single &&
               (tool != NULL) == (rows[i].tool != NULL) && (tool == NULL || strcmp(tool, rows[i].tool) == 0) &&
               (json_object_get(ask.conversation, "tools") != NULL) == rows[i].shown,
           "constraint %d: %s %s", (int)rows[i].constraint, rows[i].json, error.message);
        if (strstr(rows[i].json, "json_schema") != NULL) {
            OK(ask.sampling.json_schema != NULL && strcmp(ask.sampling.json_schema, "{\"type\":\"object\"}") == 0 &&
                   ask.sampling.json_schema_bytes == strlen(ask.sampling.json_schema),
               "the schema's text");
        }
        ox_ask_fini(&ask);
    }
}

static void test_options(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    OK(api_read(api, &context,
                HEAD ASKS ", \"temperature\": 0.5, \"top_p\": 0.25, \"top_k\": 3, \"seed\": 4, \"stop_sequences\": "
                          "[\"a\", \"bb\"], \"stream\": true, \"thinking\": {\"type\": \"enabled\", \"budget_tokens\": "
                          "2000}, \"allow_special_tokens\": true}",
                &ask, &error),
       "everything at once");
    OK(ask.kind == OX_ASK_ANSWER && ask.chat && ask.n_choices == 1 && ask.stream && ask.ids == NULL, "kind");
    OK(ask.sampling.n_predict == 50 && ask.sampling.temperature == 0.5F && ask.sampling.top_p == 0.25F &&
           ask.sampling.top_k == 3 && ask.sampling.has_seed != 0 && ask.sampling.seed == 4,
       "sampling");
    OK(ask.sampling.n_stop == 2 && strcmp(ask.sampling.stop[1], "bb") == 0, "stop strings");
    OK(ask.messages.size == sizeof ask.messages && ask.messages.thinking == OXCART_THINKING_ENABLED &&
           ask.messages.allow_special != 0,
       "thinking");
    ox_ask_fini(&ask);
    static const struct {
        const char *json;
        enum oxcart_thinking thinking;
    } rows[] = {
        {HEAD ASKS "}", OXCART_THINKING_DISABLED},
        {HEAD ASKS ", \"thinking\": {\"type\": \"disabled\"}}", OXCART_THINKING_DISABLED},
        {HEAD ASKS ", \"thinking\": {\"type\": \"adaptive\"}}", OXCART_THINKING_ADAPTIVE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        OK(api_read(api, &context, rows[i].json, &ask, &error) && ask.messages.thinking == rows[i].thinking &&
               !ask.stream && ask.messages.allow_special == 0,
           "thinking: %s", rows[i].json);
        ox_ask_fini(&ask);
    }
}

static void test_refusals(void)
{
    static const struct {
        const char *json;
        const char *param;
        const char *says;
    } rows[] = {
        {"[]", "", "object"},
        {"{\"max_tokens\": 1}", "messages", "array"},
        {"{" ASKS "}", "max_tokens", "whole number"},
        {"{\"max_tokens\": 0, " ASKS "}", "max_tokens", "from 1"},
        {"{\"max_tokens\": 1.5, " ASKS "}", "max_tokens", "from 1"},
        {"{\"model\": 1, \"max_tokens\": 1, " ASKS "}", "model", "string"},
        {HEAD ASKS ", \"stream\": 1}", "stream", "true"},
        {HEAD ASKS ", \"temperature\": \"a\"}", "temperature", "number"},
        {HEAD ASKS ", \"allow_special_tokens\": 1}", "allow_special_tokens", "true"},
        {HEAD ASKS ", \"stop_sequences\": \"a\"}", "stop_sequences", "array"},
        {HEAD ASKS ", \"stop_sequences\": [1]}", "stop_sequences", "string"},
        {HEAD ASKS ", \"system\": 1}", "system", "string"},
        {HEAD ASKS ", \"system\": [{\"type\": \"image\"}]}", "system[0].type", "text"},
        {HEAD ASKS ", \"system\": [{\"type\": \"text\"}]}", "system[0].text", "string"},
        {HEAD "\"messages\": []}", "messages", "at least one"},
        {HEAD "\"messages\": [1]}", "messages[0]", "object"},
        {HEAD "\"messages\": [{\"role\": \"tool\", \"content\": \"a\"}]}", "messages[0].role", "user, assistant or"},
        {HEAD "\"messages\": [{\"role\": \"user\"}]}", "messages[0].content", "string"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [\"a\"]}]}", "messages[0].content[0]", "object"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"container_upload\"}]}]}",
         "messages[0].content[0].type", "text, image, document or tool_result"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"document\"}]}]}",
         "messages[0].content[0].source", "object"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"document\", \"source\": {\"type\": "
              "\"url\", \"url\": \"https://a/b.pdf\"}}]}]}",
         "messages[0].content[0].source.type", "text, base64 or content"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"document\", \"source\": {\"type\": "
              "\"text\"}}]}]}",
         "messages[0].content[0].source.data", "string"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"document\", \"source\": {\"type\": "
              "\"base64\", \"media_type\": \"application/pdf\", \"data\": \"JVBERi0=\"}}]}]}",
         "messages[0].content[0].source", "PDF is not read"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"document\", \"source\": {\"type\": "
              "\"content\", \"content\": [{\"type\": \"document\"}]}}]}]}",
         "messages[0].content[0].source.content[0].type", "text or image"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]}",
         "messages[0].content[0].text", "string"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}]}",
         "messages[0].content[0].source", "object"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"source\": {\"type\": "
              "\"file\"}}]}]}",
         "messages[0].content[0].source.type", "base64 or url"},
        {HEAD
         "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"source\": {\"type\": \"url\"}}]}]}",
         "messages[0].content[0].source.url", "address"},
        {HEAD
         "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"source\": {\"type\": \"base64\", "
         "\"data\": \"QQ==\"}}]}]}",
         "messages[0].content[0].source.media_type", "string"},
        {HEAD
         "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"source\": {\"type\": \"base64\", "
         "\"media_type\": \"image/png\"}}]}]}",
         "messages[0].content[0].source.data", "base64"},
        {HEAD
         "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"tool_result\", \"tool_use_id\": \"x\"}]}]}",
         "messages[0].content[0].tool_use_id", "id of a call"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"tool_result\", \"tool_use_id\": \"x\", "
              "\"is_error\": 1}]}]}",
         "messages[0].content[0].is_error", "true"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"tool_result\", \"content\": 5}]}]}",
         "messages[0].content[0].content", "string"},
        {HEAD "\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"tool_result\", \"content\": [{\"type\": "
              "\"tool_result\"}]}]}]}",
         "messages[0].content[0].content[0].type", "text, image or document"},
        {HEAD
         "\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}",
         "messages[1].role", "last message"},
        {HEAD "\"messages\": [{\"role\": \"assistant\"}, {\"role\": \"user\", \"content\": \"a\"}]}",
         "messages[0].content", "string"},
        {HEAD "\"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"image\"}]}, {\"role\": \"user\", "
              "\"content\": \"a\"}]}",
         "messages[0].content[0].type", "tool_use"},
        {HEAD "\"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"thinking\"}]}, {\"role\": \"user\", "
              "\"content\": \"a\"}]}",
         "messages[0].content[0].thinking", "string"},
        {HEAD "\"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"tool_use\"}]}, {\"role\": \"user\", "
              "\"content\": \"a\"}]}",
         "messages[0].content[0].id", "string"},
        {HEAD
         "\"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"tool_use\", \"id\": \"a\"}]}, {\"role\": "
         "\"user\", \"content\": \"a\"}]}",
         "messages[0].content[0].name", "string"},
        {HEAD
         "\"messages\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"tool_use\", \"id\": \"a\", \"name\": "
         "\"b\", \"input\": \"{}\"}]}, {\"role\": \"user\", \"content\": \"a\"}]}",
         "messages[0].content[0].input", "object"},
        {HEAD ASKS ", \"tools\": {}}", "tools", "array"},
        {HEAD ASKS ", \"tools\": [1]}", "tools[0]", "object"},
        {HEAD ASKS ", \"tools\": [{\"type\": 1, \"name\": \"web_search\"}]}", "tools[0].type", "custom"},
        {HEAD ASKS ", \"tools\": [{\"type\": \"web_search_20250305\", \"name\": \"web_search\"}], \"tool_choice\": "
                   "{\"type\": \"tool\", \"name\": \"web_search\"}}",
         "tool_choice", "there are no tools"},
        {HEAD ASKS ", \"tools\": [{\"input_schema\": {}}]}", "tools[0].name", "string"},
        {HEAD ASKS ", \"tools\": [{\"name\": \"a\\u0000b\", \"input_schema\": {}}]}", "tools[0].name", "NUL"},
        {HEAD ASKS ", \"tools\": [{\"name\": \"a\"}]}", "tools[0].input_schema", "schema"},
        {HEAD ASKS ", \"tools\": [{\"name\": \"a\", \"description\": 1, \"input_schema\": {}}]}",
         "tools[0].description", "string"},
        {HEAD ASKS ", \"tools\": [{\"name\": \"a\", \"strict\": 1, \"input_schema\": {}}]}", "tools[0].strict", "true"},
        {HEAD ASKS ", \"tools\": [{\"name\": \"a\", \"strict\": true, \"input_schema\": {\"not\": {}}}]}", "tools",
         "not"},
        {HEAD ASKS ", \"tool_choice\": \"auto\"}", "tool_choice", "object"},
        {HEAD ASKS ", \"tool_choice\": {\"type\": \"some\"}}", "tool_choice.type", "auto, any, tool or none"},
        {HEAD ASKS ", \"tool_choice\": {\"type\": \"any\"}}", "tool_choice", "no tools"},
        {HEAD ASKS ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"tool\"}}", "tool_choice.name", "name"},
        {HEAD ASKS ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"tool\", \"name\": \"x\"}}", "tool_choice",
         "this name"},
        {HEAD ASKS ", \"tool_choice\": {\"type\": \"auto\", \"disable_parallel_tool_use\": 1}}",
         "tool_choice.disable_parallel_tool_use", "true"},
        {HEAD ASKS ", \"thinking\": true}", "thinking", "object"},
        {HEAD ASKS ", \"thinking\": {\"type\": \"on\"}}", "thinking.type", "enabled"},
        {HEAD ASKS ", \"thinking\": {\"type\": \"enabled\", \"budget_tokens\": -1}}", "thinking.budget_tokens",
         "from 1"},
        {HEAD ASKS ", \"output_config\": 1}", "output_config", "object"},
        {HEAD ASKS ", \"output_config\": {\"effort\": \"most\"}}", "output_config.effort", "max"},
        {HEAD ASKS ", \"output_config\": {\"format\": {\"type\": \"xml\"}}}", "output_config.format.type",
         "json_schema"},
        {HEAD ASKS ", \"output_format\": {\"type\": \"json_schema\"}}", "output_format.schema", "object"},
        {HEAD ASKS ", \"output_config\": {\"format\": {\"type\": \"json_schema\"}}}", "output_config.format.schema",
         "object"},
        {HEAD ASKS ", \"output_config\": {\"format\": {\"type\": \"json_schema\", \"schema\": {\"type\": \"x\"}}}}",
         "output_config.format.schema", "type"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_ask ask;
        struct ox_api_error error;
        const bool read = api_read(api, &context, rows[i].json, &ask, &error);
        OK(!read && error.http_status == 400 && strcmp(error.param, rows[i].param) == 0 &&
               strstr(error.message, rows[i].says) != NULL,
           "refused: %s: param \"%s\": %s", rows[i].json, error.param, error.message);
        ox_ask_fini(&ask);
    }
}

/* `format` with `n` copies of `piece` in it. */
static void refused_long(const char *before, const char *piece, size_t n, const char *after, const char *param,
                         const char *option)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct ox_buf json = {0};
    ox_buf_add_c(&json, before);
    for (size_t i = 0; i < n; i++) {
        ox_buf_printf(&json, "%s%s", i > 0 ? ", " : "", piece);
    }
    ox_buf_add_c(&json, after);
    OK(!api_read(api, &context, ox_buf_text(&json), &ask, &error) && error.http_status == 400 &&
           strcmp(error.param, param) == 0 && strstr(error.message, option) != NULL,
       "%s: %s: %s", option, error.param, error.message);
    ox_ask_fini(&ask);
    ox_buf_fini(&json);
}

static void test_limits(void)
{
    refused_long(HEAD "\"messages\": [", "{\"role\": \"user\", \"content\": \"a\"}", 41, "]}", "messages",
                 "--max-messages");
    refused_long(HEAD "\"messages\": [{\"role\": \"user\", \"content\": [",
                 "{\"type\": \"image\", \"source\": {\"type\": \"url\", \"url\": \"data:,\"}}", 4, "]}]}",
                 "messages[0].content[3].source.url", "--max-images");
    refused_long(HEAD ASKS ", \"tools\": [{\"name\": \"a\", \"strict\": true, \"input_schema\": {\"enum\": [", "1", 600,
                 "]}}]}", "tools", "--max-schema");
    refused_long(HEAD ASKS ", \"output_config\": {\"format\": {\"type\": \"json_schema\", \"schema\": {\"enum\": [",
                 "1", 600, "]}}}}", "output_config.format.schema", "--max-schema");
    struct ox_ask ask = {.kind = OX_ASK_COUNT};
    struct ox_api_error error = {0};
    json_t *body = api_tree(ox_str_c("{" ASKS "}"));
    OK(api->read(&context, body, &ask, &error), "to count needs no max_tokens");
    ox_ask_fini(&ask);
    json_decref(body);
    OK(!api_read(api, &context, "{\"model\": \"gpt\", \"max_tokens\": 1, " ASKS "}", &ask, &error) &&
           error.http_status == 404 && strcmp(error.param, "model") == 0,
       "another model is not found");
    ox_ask_fini(&ask);
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

static void test_whole(void)
{
    json_t *m = api_reply_to(api, &context, HEAD ASKS "}", api_answer, OXCART_FINISH_TOOL_CALLS);
    OK(strncmp(api_text(m, "id"), "msg_", 4) == 0 && strlen(api_text(m, "id")) == 28, "an id");
    IS_STR(api_text(m, "type"), "message", "type");
    IS_STR(api_text(m, "role"), "assistant", "role");
    IS_STR(api_text(m, "model"), "demo", "model");
    IS_INT(json_array_size(api_at(m, "content")), 3, "blocks");
    IS_STR(api_text(m, "content.0.type"), "thinking", "thinking comes first");
    IS_STR(api_text(m, "content.0.thinking"), "Thinking.", "thoughts");
    OK(strlen(api_text(m, "content.0.signature")) > 10, "a signature");
    IS_STR(api_text(m, "content.1.type"), "text", "then text");
    IS_STR(api_text(m, "content.1.text"), "It is so.", "the text");
    IS_STR(api_text(m, "content.2.type"), "tool_use", "then the call");
    IS_STR(api_text(m, "content.2.name"), "add", "its name");
    OK(strncmp(api_text(m, "content.2.id"), "toolu_", 6) == 0 && strlen(api_text(m, "content.2.id")) == 30, "its id");
    IS_INT(json_integer_value(api_at(m, "content.2.input.a")), 7, "its input");
    IS_STR(api_text(m, "stop_reason"), "tool_use", "the reason");
    OK(json_is_null(api_at(m, "stop_sequence")), "no stop sequence");
    IS_INT(json_integer_value(api_at(m, "usage.input_tokens")), 10, "tokens that were computed");
    IS_INT(json_integer_value(api_at(m, "usage.cache_read_input_tokens")), 20, "tokens that were found");
    IS_INT(json_integer_value(api_at(m, "usage.output_tokens")), 9, "tokens that were drawn");
    IS_INT(json_integer_value(api_at(m, "usage.output_tokens_details.thinking_tokens")), 4, "... in thoughts");
    json_decref(m);
    static const struct oxcart_event nothing[] = {{.kind = OXCART_EVENT_TOKEN}};
    m = api_reply_to(api, &context, HEAD ASKS "}", nothing, OXCART_FINISH_LENGTH);
    OK(json_is_array(api_at(m, "content")) && json_array_size(api_at(m, "content")) == 0, "nothing said: no blocks");
    IS_STR(api_text(m, "stop_reason"), "model_context_window_exceeded", "fewer tokens than max_tokens");
    json_decref(m);
    m = api_reply_to(api, &context, "{\"max_tokens\": 9, " ASKS "}", nothing, OXCART_FINISH_LENGTH);
    IS_STR(api_text(m, "stop_reason"), "max_tokens", "max_tokens are drawn");
    json_decref(m);
}

/* Integers that jansson cannot hold, and arguments that are none. */
static void test_inputs(void)
{
    struct oxcart_event events[] = {
        {.kind = OXCART_EVENT_CALL_BEGIN, .text = "add", .text_bytes = 3},
        api_event(OXCART_EVENT_CALL_ARGUMENTS, 0, "{\"a\": 123456789012345678901234567890}"),
        {.kind = OXCART_EVENT_CALL_DONE, .text = "", .text_bytes = 0},
        {.kind = OXCART_EVENT_TOKEN},
    };
    json_t *m = api_reply_to(api, &context, HEAD ASKS "}", events, OXCART_FINISH_TOOL_CALLS);
    OK(json_is_real(api_at(m, "content.0.input.a")), "a long integer is a number");
    json_decref(m);
    events[1] = api_event(OXCART_EVENT_CALL_ARGUMENTS, 0, "{\"a\": ");
    m = api_reply_to(api, &context, HEAD ASKS "}", events, OXCART_FINISH_TOOL_CALLS);
    IS_STR(api_text(m, "content.0.input"), "{\"a\": ", "what is no JSON stays text");
    json_decref(m);
}

/* The names of a stream's events in order, each with its block; the same type in the data. */
static void test_stream(void)
{
    static const struct {
        const char *name;
        int index; /* -1: none */
        const char *path;
        const char *text;
    } rows[] = {
        {"message_start", -1, "message.role", "assistant"},
        {"content_block_start", 0, "content_block.type", "thinking"},
        {"content_block_delta", 0, "delta.thinking", "Think"},
        {"content_block_delta", 0, "delta.thinking", "ing."},
        {"content_block_delta", 0, "delta.type", "signature_delta"},
        {"content_block_stop", 0, "type", "content_block_stop"},
        {"content_block_start", 1, "content_block.text", ""},
        {"content_block_delta", 1, "delta.text", "It is "},
        {"content_block_delta", 1, "delta.type", "text_delta"},
        {"content_block_stop", 1, "type", "content_block_stop"},
        {"content_block_start", 2, "content_block.name", "add"},
        {"content_block_delta", 2, "delta.partial_json", "{\"a\": "},
        {"content_block_delta", 2, "delta.type", "input_json_delta"},
        {"content_block_stop", 2, "type", "content_block_stop"},
        {"message_delta", -1, "delta.stop_reason", "tool_use"},
        {"message_stop", -1, "type", "message_stop"},
    };
    const size_t n = sizeof rows / sizeof rows[0];
    json_t *events = api_reply_to(api, &context, HEAD ASKS ", \"stream\": true}", api_answer, OXCART_FINISH_TOOL_CALLS);
    IS_INT(json_array_size(events), n, "events");
    for (size_t i = 0; i < n && i < json_array_size(events); i++) {
        json_t *event = json_array_get(events, i);
        json_t *data = json_object_get(event, "data");
        const json_t *index = json_object_get(data, "index");
        OK(strcmp(api_text(event, "event"), rows[i].name) == 0 && strcmp(api_text(data, "type"), rows[i].name) == 0 &&
               strcmp(api_text(data, rows[i].path), rows[i].text) == 0 &&
               (index == NULL ? -1 : json_integer_value(index)) == rows[i].index,
           "event %zu is %s, %s \"%s\"", i, rows[i].name, rows[i].path, rows[i].text);
    }
    json_t *start = json_array_get(events, 0);
    IS_INT(json_integer_value(api_at(start, "data.message.usage.input_tokens")), 30, "the prompt's tokens at once");
    OK(json_is_null(api_at(start, "data.message.stop_reason")), "no reason yet");
    OK(json_is_object(api_at(json_array_get(events, 10), "data.content_block.input")), "an empty input at first");
    IS_INT(json_integer_value(api_at(json_array_get(events, 14), "data.usage.output_tokens")), 9,
           "the usage at the end");
    json_decref(events);
}

/* Which stop string ended the answer is seen in its last token. */
static void test_stops(void)
{
    static const struct {
        const char *stops;
        const char *tokens[4];
        enum oxcart_finish finish;
        const char *reason;
        const char *stop;
    } rows[] = {
        {"[\"END\"]", {"a", " EN", "D."}, OXCART_FINISH_STOP, "stop_sequence", "END"},
        {"[\"x\", \"END\", \"N\"]", {"a", " E", "ND"}, OXCART_FINISH_STOP, "stop_sequence", "END"},
        {"[\"x\", \"ab\", \"b\"]", {"c", "x y", "ab"}, OXCART_FINISH_STOP, "stop_sequence", "ab"},
        {"[\"x\", \"yy\"]", {"longer than any stop", "y", "y"}, OXCART_FINISH_STOP, "stop_sequence", "yy"},
        {"[\"[\"]", {"a", "[e~["}, OXCART_FINISH_STOP, "end_turn", NULL},
        {"[\"a\"]", {"b", "[e~["}, OXCART_FINISH_STOP, "end_turn", NULL},
        {"[\"a\"]", {"b", "a"}, OXCART_FINISH_LENGTH, "model_context_window_exceeded", NULL},
        {"[]", {"b"}, OXCART_FINISH_STOP, "end_turn", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oxcart_event events[5] = {0};
        char json[256];
        snprintf(json, sizeof json, HEAD ASKS ", \"stop_sequences\": %s}", rows[i].stops);
        for (size_t t = 0; t < 4 && rows[i].tokens[t] != NULL; t++) {
            events[t] = api_event(OXCART_EVENT_TOKEN, 0, rows[i].tokens[t]);
        }
        json_t *m = api_reply_to(api, &context, json, events, rows[i].finish);
        IS_STR(api_text(m, "stop_reason"), rows[i].reason, rows[i].stops);
        IS_STR(api_text(m, "stop_sequence"), rows[i].stop != NULL ? rows[i].stop : "(none)", "the stop string");
        json_decref(m);
    }
}

/* A call that cannot be read is text; where its beginning is out already, the text follows. */
static void test_failed_call(void)
{
    static const struct oxcart_event events[] = {
        {.kind = OXCART_EVENT_CONTENT, .text = "A", .text_bytes = 1},
        {.kind = OXCART_EVENT_CALL_BEGIN, .text = "add", .text_bytes = 3},
        {.kind = OXCART_EVENT_CALL_ARGUMENTS, .text = "{", .text_bytes = 1},
        {.kind = OXCART_EVENT_CALL_FAILED, .text = "<raw>", .text_bytes = 5},
        {.kind = OXCART_EVENT_CONTENT, .text = "B", .text_bytes = 1},
        {.kind = OXCART_EVENT_TOKEN},
    };
    json_t *m = api_reply_to(api, &context, HEAD ASKS "}", events, OXCART_FINISH_STOP);
    IS_INT(json_array_size(api_at(m, "content")), 1, "one block");
    IS_STR(api_text(m, "content.0.text"), "A<raw>B", "nothing is lost");
    json_decref(m);
    m = api_reply_to(api, &context, HEAD ASKS ", \"stream\": true}", events, OXCART_FINISH_STOP);
    IS_STR(api_text(m, "6.data.type"), "content_block_stop", "the call ends");
    IS_STR(api_text(m, "8.data.delta.text"), "<raw>", "its text follows");
    IS_STR(api_text(m, "9.data.delta.text"), "B", "and goes on");
    json_decref(m);
}

/* ---- pieces and the whole --------------------------------------------------------------------------------------- */

static void row_of(uint64_t seed, const char *json, struct api_row *row, struct api_row *expected)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct ox_buf out = {0};
    const struct oxcart_result result = api_result(OXCART_FINISH_STOP);
    (void)api_read(api, &context, json, &ask, &error);
    struct api_player player = {.api = api, .out = &out, .good = true};
    player.reply = api->reply_new(&context, &ask, 30);
    ox_rng_init(&player.rng, seed);
    if (ask.stream) {
        api->begin(player.reply, &out);
    }
    api_play_random(&player);
    player.good = player.good && api->end(player.reply, 0, &result, &out);
    json_t *tree = ask.stream ? api_stream(ox_buf_str(&out)) : api_tree(ox_buf_str(&out));
    json_t *blocks = ask.stream ? api_join_blocks(tree) : json_incref(json_object_get(tree, "content"));
    size_t i;
    json_t *block;
    json_array_foreach(blocks, i, block)
    {
        api_row_block(row, block);
    }
    if (!player.good || tree == NULL) {
        ox_buf_add_c(&row->text, "(bad)");
    }
    *expected = player.expected;
    json_decref(blocks);
    json_decref(tree);
    api->reply_free(player.reply);
    ox_buf_fini(&out);
    ox_ask_fini(&ask);
}

/* Arguments are compared as JSON prints them. */
static void normalise(struct api_row *row)
{
    static const char raw[] = "{\"city\": \"R\\u00f6me \\\"x\\\"\", \"days\": [1, 2]}";
    static const char printed[] = "{\"city\": \"R\xC3\xB6me \\\"x\\\"\", \"days\": [1, 2]}";
    struct ox_buf text = {0};
    size_t at = 0;
    while (at < row->text.len) {
        const size_t found = ox_str_find(ox_buf_str(&row->text), ox_str_c(raw), at);
        ox_buf_add(&text, row->text.ptr + at, found - at);
        if (found < row->text.len) {
            ox_buf_add_c(&text, printed);
        }
        at = found + sizeof raw - 1;
    }
    ox_buf_fini(&row->text);
    row->text = text;
}

static void test_random(void)
{
    size_t n_good = 0;
    size_t n_long = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct api_row rows[2] = {0};
        struct api_row expected[2] = {0};
        row_of(seed, HEAD ASKS "}", &rows[0], &expected[0]);
        row_of(seed, HEAD ASKS ", \"stream\": true}", &rows[1], &expected[1]);
        normalise(&expected[0]);
        const bool good = ox_str_equal(ox_buf_str(&rows[0].text), ox_buf_str(&expected[0].text)) &&
                          ox_str_equal(ox_buf_str(&rows[1].text), ox_buf_str(&expected[0].text));
        n_good += good;
        n_long += rows[0].text.len > 100;
        if (!good) {
            NOTE("seed %" PRIu64 ": expected %s, whole %s, pieces %s", seed, ox_buf_text(&expected[0].text),
                 ox_buf_text(&rows[0].text), ox_buf_text(&rows[1].text));
        }
        for (size_t i = 0; i < 2; i++) {
            ox_buf_fini(&rows[i].text);
            ox_buf_fini(&expected[i].text);
        }
    }
    IS_INT(n_good, 400, "random answers are what they should be, whole and in pieces");
    OK(n_long > 50, "%zu of them are long", n_long);
}

/* ---- errors ----------------------------------------------------------------------------------------------------- */

/* A client that would have its conversation kept is told so in a form that it understands. */
static void test_thread(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct ox_buf out = {0};
    OK(!api_read(api, &context, HEAD ASKS ", \"thread\": {\"type\": \"create\"}}", &ask, &error) &&
           error.http_status == 400 && strcmp(error.param, "thread") == 0,
       "threads are refused: %s", error.message);
    api->error(&error, &out);
    json_t *tree = api_tree(ox_buf_str(&out));
    IS_STR(api_text(tree, "error.details.error_code"), "thread_unsupported_request", "the code that clients look for");
    json_decref(tree);
    ox_buf_fini(&out);
    ox_ask_fini(&ask);
}

static void test_errors(void)
{
    static const struct {
        int http_status;
        const char *type;
    } rows[] = {
        {400, "invalid_request_error"}, {401, "authentication_error"},
        {403, "permission_error"},      {404, "not_found_error"},
        {405, "invalid_request_error"}, {413, "request_too_large"},
        {429, "rate_limit_error"},      {500, "api_error"},
        {503, "overloaded_error"},      {504, "timeout_error"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct ox_api_error error = {.http_status = rows[i].http_status, .message = "Say \"no\"."};
        struct ox_buf out = {0};
        api->error(&error, &out);
        json_t *tree = api_tree(ox_buf_str(&out));
        IS_STR(api_text(tree, "type"), "error", "an error");
        IS_STR(api_text(tree, "error.type"), rows[i].type, "its type");
        IS_STR(api_text(tree, "error.message"), "Say \"no\".", "its sentence");
        json_decref(tree);
        ox_buf_clear(&out);
        api->fail(NULL, &error, &out);
        tree = api_stream(ox_buf_str(&out));
        IS_STR(api_text(tree, "0.event"), "error", "an error in a stream");
        IS_STR(api_text(tree, "0.data.error.type"), rows[i].type, "its type");
        json_decref(tree);
        ox_buf_fini(&out);
    }
    struct ox_buf out = {0};
    api->ping(&out);
    IS_STR(ox_buf_text(&out), "event: ping\ndata: {\"type\":\"ping\"}\n\n", "a ping");
    ox_buf_clear(&out);
    api->count(12, &out);
    IS_STR(ox_buf_text(&out), "{\"input_tokens\":12}", "a count");
    ox_buf_fini(&out);
}

/* ---- without memory --------------------------------------------------------------------------------------------- */

static void test_oom(void)
{
    api_read_oom(api, &context,
                 HEAD "\"system\": \"A.\", \"stop_sequences\": [\"x\"], \"tools\": [" TOOL
                      "], \"tool_choice\": {\"type\": \"any\"}, \"messages\": [{\"role\": \"user\", \"content\": "
                      "[{\"type\": \"image\", \"source\": {\"type\": \"base64\", \"media_type\": \"image/png\", "
                      "\"data\": \"QUJD\"}}]}, {\"role\": \"assistant\", \"content\": [{\"type\": \"thinking\", "
                      "\"thinking\": \"t\"}, {\"type\": \"text\", \"text\": \"b\"}]}, {\"role\": \"user\", "
                      "\"content\": \"c\"}]}");
    api_read_oom(api, &context,
                 HEAD ASKS ", \"output_config\": {\"format\": {\"type\": \"json_schema\", \"schema\": {\"type\": "
                           "\"object\"}}}}");
    api_reply_oom(api, &context, HEAD ASKS ", \"stop_sequences\": [\"xyz\"]}");
    api_reply_oom(api, &context, HEAD ASKS ", \"stream\": true}");
}

/* ---- the demonstration model ------------------------------------------------------------------------------------ */

/* What is read can be rendered, and the model's own words come back as they were. */
static void test_demo(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct oxcart_error err = {0};
    struct oxcart_prompt *prompt = NULL;
    OK(api_read(api, &context,
                HEAD "\"system\": \"Be brief.\", \"tools\": [" TOOL
                     "], \"messages\": [{\"role\": \"user\", \"content\": "
                     "\"1+2?\"}, {\"role\": \"assistant\", \"content\": [{\"type\": \"tool_use\", \"id\": \"t1\", "
                     "\"name\": \"add\", \"input\": {\"a\": 1}}]}, {\"role\": \"user\", \"content\": [{\"type\": "
                     "\"tool_result\", \"tool_use_id\": \"t1\", \"content\": \"3\"}]}]}",
                &ask, &error),
       "read: %s", error.message);
    char *json = json_dumps(ask.conversation, 0);
    OK(oxcart_prompt_from_messages(context.engine, json, strlen(json), &ask.messages, &prompt, &err) == OXCART_OK &&
           oxcart_prompt_tokens(prompt, NULL) > 50,
       "a conversation with calls is a prompt: %s", err.message);
    oxcart_prompt_free(&prompt);
    free(json);
    ox_ask_fini(&ask);
}

int main(void)
{
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 1);
    context = api_context(engine);
    test_messages();
    test_tools();
    test_choice();
    test_options();
    test_refusals();
    test_limits();
    test_whole();
    test_inputs();
    test_stream();
    test_stops();
    test_failed_call();
    test_random();
    test_thread();
    test_errors();
    test_oom();
    test_demo();
    oxcart_engine_close(&engine);
    return tap_done();
}
