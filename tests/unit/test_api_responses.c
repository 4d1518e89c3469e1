/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenAI's Responses API: requests read or refused, replies whole and in numbered events, log-probabilities, streams that
 * break off; that the pieces of random answers add up to the whole; and an answer of the demonstration model.
 */
#include "tests/api_items.h"
#include "tests/api_oom.h"
#include "tests/api_random.h"
#include "tests/demo_help.h"

static const struct ox_api *const api = &ox_api_responses;
static struct ox_api_context context;

#define ASKS "\"model\": \"demo\", \"input\": \"Hi\""
#define TOOL                                                                                                           \
    "{\"type\": \"function\", \"name\": \"add\", \"description\": \"Adds\", \"parameters\": {\"type\": \"object\", "   \
    "\"properties\": {\"a\": {\"type\": \"integer\"}}}}"
#define SHOWN                                                                                                          \
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"add\", \"description\": \"Adds\", "               \
    "\"parameters\": "                                                                                                 \
    "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}}}}]"
#define USER(text) "{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"" text "\"}]}"

/* ---- requests --------------------------------------------------------------------------------------------------- */

/* Agents send these and do not ask whether they are known. */
static void test_other_tools(void)
{
    api_is_read(api, &context,
                "{" ASKS ", \"tools\": [{\"type\": \"web_search\", \"external_web_access\": false}, " TOOL
                ", {\"type\": \"custom\", \"name\": \"apply_patch\", \"format\": {\"type\": \"grammar\"}}]}",
                "{\"messages\": [" USER("Hi") "], " SHOWN "}", "tools of other types are left out");
}

#define CRM                                                                                                            \
    "{\"type\": \"namespace\", \"name\": \"crm\", \"description\": \"Orders\", \"tools\": [{\"type\": \"function\", "  \
    "\"name\": \"list\", \"defer_loading\": true}, {\"type\": \"custom\", \"name\": \"sql\"}]}"

/* Functions of a namespace have one name with it before the model, and two before the client. */
static void test_namespaces(void)
{
    api_is_read(
        api, &context,
        "{\"tools\": [" CRM ", {\"type\": \"tool_search\"}], \"input\": [{\"role\": \"user\", \"content\": "
        "\"Hi\"}, {\"type\": \"function_call\", \"call_id\": \"c\", \"namespace\": \"crm\", \"name\": \"list\", "
        "\"arguments\": \"{}\"}, {\"type\": \"function_call_output\", \"call_id\": \"c\", \"output\": \"a\"}]}",
        "{\"messages\": [" USER("Hi") ", {\"role\": \"assistant\", \"content\": \"\", \"reasoning_content\": "
                                      "\"\", \"tool_calls\": [{\"id\": \"c\", \"type\": \"function\", "
                                      "\"function\": {\"name\": \"crm.list\", \"arguments\": \"{}\"}}]}, "
                                      "{\"role\": \"tool\", \"tool_call_id\": \"c\", \"content\": "
                                      "[{\"type\": \"text\", \"text\": \"a\"}]}], \"tools\": [{\"type\": "
                                      "\"function\", \"function\": {\"name\": \"crm.list\"}}]}",
        "a namespace's functions");
    static const struct {
        const char *called;
        const char *name;
        const char *space;
    } rows[] = {
        {"crm.list", "list", "crm"}, {"crm.sql", "sql", "crm"}, {"crm.lists", "crm.lists", NULL},
        {"crm.", "crm.", NULL},      {"crm", "crm", NULL},      {"xcrm.list", "xcrm.list", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct oxcart_event events[] = {
            {.kind = OXCART_EVENT_CALL_BEGIN, .text = rows[i].called, .text_bytes = strlen(rows[i].called)},
            {.kind = OXCART_EVENT_CALL_ARGUMENTS, .text = "{}", .text_bytes = 2},
            {.kind = OXCART_EVENT_CALL_DONE, .text = ""},
            {.kind = OXCART_EVENT_TOKEN},
        };
        for (int stream = 0; stream < 2; stream++) {
            json_t *r = api_reply_to(api, &context,
                                     stream != 0 ? "{" ASKS ", \"stream\": true, \"tools\": [" CRM "]}"
                                                 : "{" ASKS ", \"tools\": [" CRM "]}",
                                     events, OXCART_FINISH_TOOL_CALLS);
            const json_t *item = api_at(r, stream != 0 ? "2.data.item" : "output.0");
            const char *space = json_string_value(json_object_get(item, "namespace"));
            OK(ox_str_is(ox_json_text(json_object_get(item, "name")), rows[i].name) &&
                   (rows[i].space == NULL ? space == NULL : space != NULL && strcmp(space, rows[i].space) == 0),
               "%s: %s of %s", rows[i].called, rows[i].name, space != NULL ? space : "none");
            OK(stream == 0 || strcmp(api_text(r, "4.data.name"), rows[i].name) == 0, "where the arguments end, too");
            json_decref(r);
        }
    }
}

static void test_input(void)
{
    api_is_read(api, &context,
                "{\"input\": \"Hi\", \"unknown\": 1, \"store\": true, \"user\": \"me\", \"service_tier\": \"auto\"}",
                "{\"messages\": [" USER("Hi") "]}", "a text");
    api_is_read(api, &context, "{" ASKS ", \"instructions\": \"Be brief.\"}",
                "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, " USER("Hi") "]}", "instructions");
    api_is_read(
        api, &context,
        "{\"instructions\": \"A.\", \"input\": [{\"role\": \"developer\", \"content\": \"B.\"}, {\"type\": "
        "\"message\", \"role\": \"system\", \"content\": [{\"type\": \"input_text\", \"text\": \"C\"}, {\"type\": "
        "\"input_text\", \"text\": \".\"}]}, {\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"developer\", "
        "\"content\": \"Late.\"}]}",
        "{\"messages\": [{\"role\": \"system\", \"content\": \"A.\\n\\nB.\\n\\nC.\"}, " USER("Hi") ", " USER(
            "Late.") "]}",
        "instructions become one, late ones keep their place");
    api_is_read(
        api, &context,
        "{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_text\", \"text\": \"What?\"}, {\"type\": "
        "\"input_image\", \"image_url\": \"data:image/png;base64,QUJD\", \"detail\": \"low\"}]}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"What?\"}, {\"type\": "
        "\"image_url\", \"image_url\": {\"url\": \"data:image/png;base64,QUJD\"}}]}]}",
        "a picture");
    api_is_read(
        api, &context,
        "{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_file\", \"filename\": \"a.txt\", "
        "\"file_data\": \"data:text/plain;base64,QQ==\"}, {\"type\": \"input_text\", \"text\": \"What?\"}]}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a.txt\\n\\nA\\n\\n\"}, "
        "{\"type\": \"text\", \"text\": \"What?\"}]}]}",
        "a file of text");
}

static void test_history(void)
{
    api_is_read(
        api, &context,
        "{\"tools\": [" TOOL "], \"input\": [{\"role\": \"user\", \"content\": \"a\"}, {\"type\": \"reasoning\", "
        "\"id\": \"rs_1\", \"summary\": [{\"type\": \"summary_text\", \"text\": \"not this\"}], \"content\": "
        "[{\"type\": \"reasoning_text\", \"text\": \"I \"}, {\"type\": \"reasoning_text\", \"text\": \"think\"}]}, "
        "{\"type\": \"message\", \"id\": \"msg_1\", \"role\": \"assistant\", \"status\": \"completed\", \"content\": "
        "[{\"type\": \"output_text\", \"text\": \"Let \", \"annotations\": []}, {\"type\": \"refusal\", \"refusal\": "
        "\"me.\"}]}, {\"type\": \"function_call\", \"id\": \"fc_1\", \"call_id\": \"call_1\", \"name\": \"add\", "
        "\"arguments\": \"{\\\"a\\\": 1}\"}, {\"type\": \"function_call\", \"call_id\": \"call_2\", \"name\": "
        "\"add\", \"arguments\": \"{}\"}, {\"type\": \"function_call_output\", \"call_id\": \"call_2\", \"output\": "
        "\"2\"}, {\"type\": \"function_call_output\", \"call_id\": \"call_1\", \"output\": [{\"type\": "
        "\"input_text\", \"text\": \"1\"}]}, {\"type\": \"reasoning\", \"summary\": [{\"type\": \"summary_text\", "
        "\"text\": \"So\"}]}, {\"role\": \"assistant\", \"content\": \"3\"}, {\"role\": \"user\", \"content\": "
        "\"b\"}]}",
        "{\"messages\": [" USER(
            "a") ", {\"role\": \"assistant\", \"content\": \"Let me.\", \"reasoning_content\": "
                 "\"I think\", \"tool_calls\": [{\"id\": \"call_1\", \"type\": \"function\", \"function\": {\"name\": "
                 "\"add\", \"arguments\": \"{\\\"a\\\": 1}\"}}, {\"id\": \"call_2\", \"type\": \"function\", "
                 "\"function\": "
                 "{\"name\": \"add\", \"arguments\": \"{}\"}}]}, {\"role\": \"tool\", \"tool_call_id\": \"call_2\", "
                 "\"content\": [{\"type\": \"text\", \"text\": \"2\"}]}, {\"role\": \"tool\", \"tool_call_id\": "
                 "\"call_1\", "
                 "\"content\": [{\"type\": \"text\", \"text\": \"1\"}]}, {\"role\": \"assistant\", \"content\": \"3\", "
                 "\"reasoning_content\": \"So\"}, " USER("b") "], " SHOWN "}",
        "items of the assistant become one message; thoughts, else their summary");
}

/* What an answer must look like. */
static void test_constraints(void)
{
    static const struct {
        const char *json;
        enum oxcart_constraint constraint;
        const char *tool;
        int single;
        bool shown;
    } rows[] = {
        {"{" ASKS ", \"tools\": [" TOOL "]}", OXCART_CONSTRAINT_NONE, NULL, 0, true},
        {"{" ASKS ", \"tools\": [" TOOL "], \"tool_choice\": \"required\"}", OXCART_CONSTRAINT_TOOLS_REQUIRED, NULL, 0,
         true},
        {"{" ASKS ", \"tools\": [{\"type\": \"web_search\"}]}", OXCART_CONSTRAINT_NONE, NULL, 0, false},
        {"{" ASKS ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"function\", \"name\": \"add\"}, "
         "\"parallel_tool_calls\": false}",
         OXCART_CONSTRAINT_TOOLS_REQUIRED, "add", 1, true},
        {"{" ASKS ", \"tools\": [" CRM ", " TOOL
         "], \"tool_choice\": {\"type\": \"function\", \"name\": \"crm.list\"}}",
         OXCART_CONSTRAINT_TOOLS_REQUIRED, "crm.list", 0, true},
        {"{" ASKS ", \"tools\": [" CRM ", " TOOL "], \"tool_choice\": {\"type\": \"function\", \"name\": \"list\"}}",
         OXCART_CONSTRAINT_TOOLS_REQUIRED, "crm.list", 0, true},
        {"{" ASKS ", \"tools\": [" TOOL "], \"tool_choice\": \"none\", \"parallel_tool_calls\": false}",
         OXCART_CONSTRAINT_NONE, NULL, 0, false},
        {"{" ASKS ", \"tools\": [" TOOL "], \"tool_choice\": \"auto\", \"parallel_tool_calls\": false}",
         OXCART_CONSTRAINT_TOOLS, NULL, 1, true},
        {"{" ASKS ", \"tools\": [{\"type\": \"function\", \"name\": \"x\", \"strict\": true, \"parameters\": null}]}",
         OXCART_CONSTRAINT_TOOLS, NULL, 0, true},
        {"{" ASKS ", \"text\": {\"format\": {\"type\": \"text\"}, \"verbosity\": \"low\"}}", OXCART_CONSTRAINT_NONE,
         NULL, 0, false},
        {"{" ASKS ", \"text\": {\"format\": {\"type\": \"json_object\"}}}", OXCART_CONSTRAINT_JSON_OBJECT, NULL, 0,
         false},
        {"{" ASKS ", \"text\": {\"format\": {\"type\": \"json_schema\", \"name\": \"x\", \"strict\": true, \"schema\": "
         "{\"type\": \"object\"}}}}",
         OXCART_CONSTRAINT_JSON_SCHEMA, NULL, 0, false},
        {"{" ASKS ", \"tools\": [" TOOL "], \"tool_choice\": \"required\", \"text\": {\"format\": {\"type\": "
         "\"json_object\"}}}",
         OXCART_CONSTRAINT_TOOLS_REQUIRED, NULL, 0, true},
        {"{" ASKS ", \"tools\": [" TOOL "], \"text\": {\"format\": {\"type\": \"json_object\"}}}",
         OXCART_CONSTRAINT_TOOLS_OR_JSON, NULL, 0, true},
        {"{" ASKS ", \"tools\": [" TOOL "], \"parallel_tool_calls\": false, \"text\": {\"format\": {\"type\": "
         "\"json_schema\", \"name\": \"x\", \"schema\": {\"type\": \"object\"}}}}",
         OXCART_CONSTRAINT_TOOLS_OR_JSON, NULL, 1, true},
        {"{" ASKS ", \"tools\": [" TOOL "], \"tool_choice\": \"none\", \"text\": {\"format\": {\"type\": "
         "\"json_object\"}}}",
         OXCART_CONSTRAINT_JSON_OBJECT, NULL, 0, false},
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
        ox_ask_fini(&ask);
    }
}

static void test_options(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    OK(api_read(api, &context,
                "{" ASKS ", \"temperature\": 0.5, \"top_p\": 0.25, \"max_output_tokens\": 7, \"stream\": true, "
                "\"top_logprobs\": 3, \"include\": [\"reasoning.encrypted_content\"], \"reasoning\": {\"effort\": "
                "\"high\", \"summary\": \"auto\"}, \"truncation\": \"auto\", \"metadata\": {\"a\": \"b\"}, "
                "\"background\": false, \"previous_response_id\": null}",
                &ask, &error),
       "everything at once: %s", error.message);
    OK(ask.chat && ask.n_choices == 1 && ask.stream && ask.sampling.n_predict == 7, "kind");
    OK(ask.sampling.temperature == 0.5F && ask.sampling.top_p == 0.25F, "sampling");
    OK(ask.sampling.has_logprobs == 1 && ask.sampling.n_logprobs == 3, "log-probabilities");
    OK(ask.messages.thinking == OXCART_THINKING_ENABLED, "thinking");
    ox_ask_fini(&ask);
    OK(api_read(api, &context,
                "{" ASKS ", \"include\": [\"message.output_text.logprobs\"], \"reasoning\": {\"effort\": \"none\"}}",
                &ask, &error) &&
           ask.sampling.has_logprobs == 1 && ask.sampling.n_logprobs == 0 && ask.sampling.n_predict == 0 &&
           ask.messages.thinking == OXCART_THINKING_DISABLED,
       "log-probabilities of the drawn tokens only; no limit; no thinking");
    ox_ask_fini(&ask);
    OK(api_read(api, &context, "{" ASKS ", \"reasoning\": {}}", &ask, &error) && ask.sampling.has_logprobs == 0 &&
           ask.messages.thinking == OXCART_THINKING_UNSET && !ask.stream,
       "the defaults");
    ox_ask_fini(&ask);
}

static void test_refusals(void)
{
    static const struct {
        const char *json;
        const char *param;
        const char *says;
    } rows[] = {
        {"5", "", "object"},
        {"{}", "input", "string or an array"},
        {"{\"input\": []}", "input", "at least one"},
        {"{\"input\": [1]}", "input[0]", "object"},
        {"{\"input\": [{}]}", "input[0].role", "user"},
        {"{\"input\": [{\"type\": \"item_reference\", \"id\": \"x\"}]}", "input[0].type", "function_call_output or"},
        {"{\"input\": [{\"type\": \"web_search_call\"}]}", "input[0].type", "message"},
        {"{\"input\": [{\"role\": \"tool\", \"content\": \"a\"}]}", "input[0].role", "assistant"},
        {"{\"input\": [{\"role\": \"user\"}]}", "input[0].content", "string"},
        {"{\"input\": [{\"role\": \"user\", \"content\": [\"a\"]}]}", "input[0].content[0]", "object"},
        {"{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_file\", \"file_id\": \"x\"}]}]}",
         "input[0].content[0]", "neither kept nor fetched"},
        {"{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_file\", \"file_data\": "
         "\"data:application/pdf;base64,JVBERi0=\"}]}]}",
         "input[0].content[0]", "PDF is not read"},
        {"{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_audio\"}]}]}", "input[0].content[0].type",
         "input_text, input_image or input_file"},
        {"{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_text\"}]}]}", "input[0].content[0].text",
         "string"},
        {"{\"input\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_image\", \"file_id\": \"x\"}]}]}",
         "input[0].content[0].image_url", "address"},
        {"{\"input\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"input_image\"}]}]}",
         "input[0].content[0].type", "output_text"},
        {"{\"input\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"output_text\"}]}]}",
         "input[0].content[0].text", "string"},
        {"{\"input\": [{\"role\": \"assistant\", \"content\": 1}]}", "input[0].content", "string"},
        {"{\"input\": [{\"role\": \"system\", \"content\": 1}]}", "input[0].content", "string"},
        {"{\"input\": [{\"type\": \"function_call\", \"name\": \"a\", \"arguments\": \"{}\"}]}", "input[0].call_id",
         "string"},
        {"{\"input\": [{\"type\": \"function_call\", \"call_id\": \"a\", \"arguments\": \"{}\"}]}", "input[0].name",
         "string"},
        {"{\"input\": [{\"type\": \"function_call\", \"call_id\": \"a\", \"name\": \"a\", \"arguments\": {}}]}",
         "input[0].arguments", "string"},
        {"{\"input\": [{\"type\": \"function_call_output\", \"call_id\": \"a\", \"output\": \"b\"}]}",
         "input[0].call_id", "id of a call"},
        {"{\"input\": [{\"type\": \"function_call_output\", \"call_id\": \"a\"}]}", "input[0].output", "string"},
        {"{\"input\": [{\"type\": \"reasoning\", \"content\": 1}]}", "input[0].content", "array"},
        {"{\"input\": [{\"type\": \"reasoning\", \"content\": [{\"type\": \"text\"}]}]}", "input[0].content[0].type",
         "reasoning_text"},
        {"{\"input\": [{\"type\": \"reasoning\", \"summary\": [{\"type\": \"summary_text\"}]}]}",
         "input[0].summary[0].text", "string"},
        {"{" ASKS ", \"instructions\": []}", "instructions", "string"},
        {"{" ASKS ", \"stream\": \"yes\"}", "stream", "true"},
        {"{" ASKS ", \"temperature\": -1}", "temperature", "number"},
        {"{" ASKS ", \"max_output_tokens\": 0}", "max_output_tokens", "from 1"},
        {"{" ASKS ", \"top_logprobs\": 21}", "top_logprobs", "20"},
        {"{" ASKS ", \"parallel_tool_calls\": 1}", "parallel_tool_calls", "true"},
        {"{" ASKS ", \"store\": 1}", "store", "true"},
        {"{" ASKS ", \"metadata\": []}", "metadata", "object"},
        {"{" ASKS ", \"truncation\": \"some\"}", "truncation", "disabled or auto"},
        {"{" ASKS ", \"include\": \"x\"}", "include", "array"},
        {"{" ASKS ", \"include\": [\"x\"]}", "include[0]", "logprobs"},
        {"{" ASKS ", \"reasoning\": 1}", "reasoning", "object"},
        {"{" ASKS ", \"reasoning\": {\"effort\": \"huge\"}}", "reasoning.effort", "minimal"},
        {"{" ASKS ", \"text\": 1}", "text", "object"},
        {"{" ASKS ", \"text\": {\"format\": {\"type\": \"grammar\"}}}", "text.format.type", "json_schema"},
        {"{" ASKS ", \"text\": {\"format\": {\"type\": \"json_schema\"}}}", "text.format.schema", "object"},
        {"{" ASKS ", \"text\": {\"format\": {\"type\": \"json_schema\", \"schema\": {\"not\": {}}}}}",
         "text.format.schema", "not"},
        {"{" ASKS ", \"tools\": 1}", "tools", "array"},
        {"{" ASKS ", \"tools\": [1]}", "tools[0]", "object"},
        {"{" ASKS ", \"tools\": [{\"name\": \"x\"}]}", "tools[0].type", "function"},
        {"{" ASKS ", \"tools\": [{\"type\": \"namespace\", \"tools\": []}]}", "tools[0].name", "string"},
        {"{" ASKS ", \"tools\": [{\"type\": \"namespace\", \"name\": \"n\", \"tools\": {}}]}", "tools[0].tools",
         "array"},
        {"{" ASKS ", \"tools\": [{\"type\": \"namespace\", \"name\": \"n\", \"tools\": [{\"type\": \"function\"}]}]}",
         "tools[0].tools[0].name", "string"},
        {"{" ASKS ", \"tools\": [{\"type\": \"namespace\", \"name\": \"n\", \"tools\": [{\"type\": \"namespace\", "
         "\"name\": \"m\", \"tools\": [{\"type\": \"function\", \"name\": \"x\"}]}]}], \"tool_choice\": \"required\"}",
         "tool_choice", "no tools"},
        {"{\"input\": [{\"type\": \"function_call\", \"call_id\": \"a\", \"name\": \"a\", \"namespace\": 1, "
         "\"arguments\": \"{}\"}]}",
         "input[0].namespace", "string"},
        {"{" ASKS ", \"tools\": [{\"type\": \"web_search\"}], \"tool_choice\": \"required\"}", "tool_choice",
         "there are no tools"},
        {"{" ASKS ", \"tools\": [{\"type\": \"web_search\"}], \"tool_choice\": {\"type\": \"web_search\"}}",
         "tool_choice.type", "function"},
        {"{" ASKS ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"x\"}}]}", "tools[0].name",
         "string"},
        {"{" ASKS ", \"tools\": [{\"type\": \"function\", \"name\": \"x\", \"parameters\": []}]}",
         "tools[0].parameters", "schema"},
        {"{" ASKS ", \"tool_choice\": \"any\"}", "tool_choice", "auto, none or required"},
        {"{" ASKS ", \"tool_choice\": \"required\"}", "tool_choice", "no tools"},
        {"{" ASKS ", \"tool_choice\": {\"type\": \"allowed_tools\"}}", "tool_choice.type", "function"},
        {"{" ASKS ", \"tool_choice\": {\"type\": \"function\"}}", "tool_choice.name", "name"},
        {"{" ASKS ", \"tools\": [" TOOL "], \"tool_choice\": {\"type\": \"function\", \"name\": \"x\"}}", "tool_choice",
         "this name"},
        {"{" ASKS ", \"tools\": [" CRM "], \"tool_choice\": {\"type\": \"function\", \"name\": \"ist\"}}",
         "tool_choice", "this name"},
        {"{" ASKS ", \"tools\": [" CRM
         ", {\"type\": \"namespace\", \"name\": \"b\", \"tools\": [{\"type\": \"function\", "
         "\"name\": \"list\"}]}], \"tool_choice\": {\"type\": \"function\", \"name\": \"list\"}}",
         "tool_choice", "this name"},
        {"{" ASKS ", \"previous_response_id\": \"resp_1\"}", "previous_response_id", "not stored"},
        {"{" ASKS ", \"conversation\": {\"id\": \"x\"}}", "conversation", "not stored"},
        {"{" ASKS ", \"prompt\": {\"id\": \"x\"}}", "prompt", "not stored"},
        {"{" ASKS ", \"background\": true}", "background", "not stored"},
    };
    struct ox_ask ask;
    struct ox_api_error error;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const bool read = api_read(api, &context, rows[i].json, &ask, &error);
        OK(!read && error.http_status == 400 && strcmp(error.param, rows[i].param) == 0 &&
               strstr(error.message, rows[i].says) != NULL,
           "refused: %s: param \"%s\": %s", rows[i].json, error.param, error.message);
        ox_ask_fini(&ask);
    }
    OK(!api_read(api, &context, "{" ASKS ", \"previous_response_id\": \"resp_1\"}", &ask, &error) &&
           error.code != NULL && strcmp(error.code, "previous_response_not_found") == 0,
       "a code that clients know");
    ox_ask_fini(&ask);
    OK(!api_read(api, &context, "{\"model\": \"gpt\", \"input\": \"Hi\"}", &ask, &error) && error.http_status == 404 &&
           strcmp(error.param, "model") == 0,
       "another model is not found");
    ox_ask_fini(&ask);
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

static void is_id(json_t *tree, const char *path, const char *prefix)
{
    const char *id = api_text(tree, path);
    OK(strncmp(id, prefix, strlen(prefix)) == 0 && strlen(id) == strlen(prefix) + 24, "%s is an id: %s", path, id);
}

static void test_whole(void)
{
    json_t *r =
        api_reply_to(api, &context,
                     "{" ASKS ", \"instructions\": \"Be brief.\", \"metadata\": {\"a\": \"b\"}, \"temperature\": 0.5, "
                     "\"tools\": [" TOOL "], \"reasoning\": {\"effort\": \"low\"}, \"truncation\": \"auto\"}",
                     api_answer, OXCART_FINISH_TOOL_CALLS);
    OK(strncmp(api_text(r, "id"), "resp_", 5) == 0, "an id");
    IS_STR(api_text(r, "object"), "response", "object");
    IS_STR(api_text(r, "status"), "completed", "status");
    IS_STR(api_text(r, "model"), "demo", "model");
    OK(json_integer_value(api_at(r, "created_at")) > 1700000000, "created");
    OK(json_is_null(api_at(r, "error")) && json_is_null(api_at(r, "incomplete_details")), "no error");
    IS_STR(api_text(r, "instructions"), "Be brief.", "instructions are said again");
    IS_STR(api_text(r, "metadata.a"), "b", "metadata too");
    IS_STR(api_text(r, "tools.0.name"), "add", "tools");
    IS_STR(api_text(r, "tool_choice"), "auto", "tool_choice");
    IS_STR(api_text(r, "reasoning.effort"), "low", "effort");
    IS_STR(api_text(r, "text.format.type"), "text", "format");
    IS_STR(api_text(r, "truncation"), "disabled", "nothing is truncated");
    OK(json_real_value(api_at(r, "temperature")) == 0.5 && json_is_null(api_at(r, "top_p")), "sampling");
    OK(json_is_false(api_at(r, "store")) && json_is_true(api_at(r, "parallel_tool_calls")), "nothing is stored");
    IS_INT(json_array_size(api_at(r, "output")), 3, "items");
    IS_STR(api_text(r, "output.0.type"), "reasoning", "reasoning comes first");
    is_id(r, "output.0.id", "rs_");
    IS_STR(api_text(r, "output.0.content.0.type"), "reasoning_text", "its content");
    IS_STR(api_text(r, "output.0.content.0.text"), "Thinking.", "thoughts");
    OK(json_is_array(api_at(r, "output.0.summary")), "no summary");
    IS_STR(api_text(r, "output.1.type"), "message", "then a message");
    is_id(r, "output.1.id", "msg_");
    IS_STR(api_text(r, "output.1.role"), "assistant", "its role");
    IS_STR(api_text(r, "output.1.status"), "completed", "its status");
    IS_STR(api_text(r, "output.1.content.0.type"), "output_text", "its content");
    IS_STR(api_text(r, "output.1.content.0.text"), "It is so.", "the text");
    OK(json_is_array(api_at(r, "output.1.content.0.annotations")), "annotations");
    IS_STR(api_text(r, "output.2.type"), "function_call", "then the call");
    is_id(r, "output.2.id", "fc_");
    is_id(r, "output.2.call_id", "call_");
    IS_STR(api_text(r, "output.2.name"), "add", "its name");
    IS_STR(api_text(r, "output.2.arguments"), "{\"a\": 7}", "its arguments");
    IS_STR(api_text(r, "output.2.status"), "completed", "its status");
    IS_INT(json_integer_value(api_at(r, "usage.input_tokens")), 30, "tokens of the prompt");
    IS_INT(json_integer_value(api_at(r, "usage.input_tokens_details.cached_tokens")), 20, "... that were found");
    IS_INT(json_integer_value(api_at(r, "usage.output_tokens")), 9, "tokens that were drawn");
    IS_INT(json_integer_value(api_at(r, "usage.output_tokens_details.reasoning_tokens")), 4, "... in thoughts");
    IS_INT(json_integer_value(api_at(r, "usage.total_tokens")), 39, "all of them");
    json_decref(r);
}

static void test_incomplete(void)
{
    static const struct oxcart_event events[] = {
        {.kind = OXCART_EVENT_REASONING, .text = "Hm", .text_bytes = 2},
        {.kind = OXCART_EVENT_CONTENT, .text = "It", .text_bytes = 2},
        {.kind = OXCART_EVENT_TOKEN},
    };
    json_t *r = api_reply_to(api, &context, "{" ASKS "}", events, OXCART_FINISH_LENGTH);
    IS_STR(api_text(r, "status"), "incomplete", "cut off");
    IS_STR(api_text(r, "incomplete_details.reason"), "max_output_tokens", "why");
    IS_STR(api_text(r, "output.0.status"), "completed", "what was whole");
    IS_STR(api_text(r, "output.1.status"), "incomplete", "what was not");
    json_decref(r);
    json_t *events_tree = api_reply_to(api, &context, "{" ASKS ", \"stream\": true}", events, OXCART_FINISH_LENGTH);
    const size_t n = json_array_size(events_tree);
    json_t *last = json_array_get(events_tree, n - 1);
    IS_STR(api_text(last, "event"), "response.incomplete", "a stream says it too");
    IS_STR(api_text(last, "data.response.output.1.status"), "incomplete", "of the item");
    json_decref(events_tree);
}

/* The events of a stream in order, numbered, each named as its data. */
static void test_stream(void)
{
    static const struct {
        const char *type;
        int index; /* -1: none */
        const char *path;
        const char *text;
    } rows[] = {
        {"response.created", -1, "response.status", "in_progress"},
        {"response.in_progress", -1, "response.object", "response"},
        {"response.output_item.added", 0, "item.type", "reasoning"},
        {"response.content_part.added", 0, "part.type", "reasoning_text"},
        {"response.reasoning_text.delta", 0, "delta", "Think"},
        {"response.reasoning_text.delta", 0, "delta", "ing."},
        {"response.reasoning_text.done", 0, "text", "Thinking."},
        {"response.content_part.done", 0, "part.text", "Thinking."},
        {"response.output_item.done", 0, "item.content.0.text", "Thinking."},
        {"response.output_item.added", 1, "item.status", "in_progress"},
        {"response.content_part.added", 1, "part.type", "output_text"},
        {"response.output_text.delta", 1, "delta", "It is "},
        {"response.output_text.delta", 1, "delta", "so."},
        {"response.output_text.done", 1, "text", "It is so."},
        {"response.content_part.done", 1, "part.text", "It is so."},
        {"response.output_item.done", 1, "item.status", "completed"},
        {"response.output_item.added", 2, "item.name", "add"},
        {"response.function_call_arguments.delta", 2, "delta", "{\"a\": "},
        {"response.function_call_arguments.delta", 2, "delta", "7}"},
        {"response.function_call_arguments.done", 2, "arguments", "{\"a\": 7}"},
        {"response.output_item.done", 2, "item.arguments", "{\"a\": 7}"},
        {"response.completed", -1, "response.output.1.content.0.text", "It is so."},
    };
    const size_t n = sizeof rows / sizeof rows[0];
    json_t *events = api_reply_to(api, &context, "{" ASKS ", \"stream\": true}", api_answer, OXCART_FINISH_TOOL_CALLS);
    const char *id = "";
    IS_INT(json_array_size(events), n, "events");
    for (size_t i = 0; i < n && i < json_array_size(events); i++) {
        json_t *event = json_array_get(events, i);
        json_t *data = json_object_get(event, "data");
        const json_t *index = json_object_get(data, "output_index");
        const char *item_id = json_string_value(json_object_get(data, "item_id"));
        id = strcmp(rows[i].type, "response.output_item.added") == 0 ? api_text(data, "item.id") : id;
        OK(strcmp(api_text(event, "event"), rows[i].type) == 0 && strcmp(api_text(data, "type"), rows[i].type) == 0 &&
               strcmp(api_text(data, rows[i].path), rows[i].text) == 0 &&
               json_integer_value(json_object_get(data, "sequence_number")) == (json_int_t)i &&
               (index == NULL ? -1 : json_integer_value(index)) == rows[i].index,
           "event %zu is %s, %s \"%s\"", i, rows[i].type, rows[i].path, rows[i].text);
        OK(item_id == NULL || strcmp(item_id, id) == 0, "... of the item at hand");
    }
    json_t *last = json_array_get(events, n - 1);
    IS_INT(json_integer_value(api_at(last, "data.response.usage.output_tokens")), 9, "the usage at the end");
    json_decref(events);
}

/* A stream that breaks off says so to those who look for a response and to those who look for an error. */
static void test_fail(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct ox_buf out = {0};
    OK(api_read(api, &context, "{" ASKS ", \"stream\": true}", &ask, &error), "read");
    struct ox_reply *reply = api->reply_new(&context, &ask, 3);
    const struct ox_api_error why = {.http_status = 503, .code = "shutting_down", .message = "Gone."};
    api->begin(reply, &out);
    OK(api->event(reply, 0, &api_answer[0], &out) && api->event(reply, 0, &api_answer[2], &out), "some of it");
    api->fail(reply, &why, &out);
    json_t *events = api_stream(ox_buf_str(&out));
    const size_t n = json_array_size(events);
    json_t *failed = json_array_get(events, n - 2);
    json_t *last = json_array_get(events, n - 1);
    IS_STR(api_text(failed, "event"), "response.failed", "failed");
    IS_STR(api_text(failed, "data.response.status"), "failed", "status");
    IS_STR(api_text(failed, "data.response.error.code"), "server_error", "code");
    IS_STR(api_text(failed, "data.response.error.message"), "Gone.", "sentence");
    IS_INT(json_array_size(api_at(failed, "data.response.output")), 1, "what was whole");
    IS_STR(api_text(last, "data.type"), "error", "error");
    IS_STR(api_text(last, "data.code"), "shutting_down", "its code");
    IS_INT(json_integer_value(api_at(last, "data.sequence_number")), (intmax_t)n - 1, "numbered");
    json_decref(events);
    api->reply_free(reply);
    ox_ask_fini(&ask);
    ox_buf_clear(&out);
    const struct ox_api_error refused = {
        .http_status = 400, .type = "invalid_request_error", .param = "input[0]", .message = "No."};
    api->error(&refused, &out);
    json_t *tree = api_tree(ox_buf_str(&out));
    IS_STR(api_text(tree, "error.param"), "input[0]", "the body of an error");
    json_decref(tree);
    ox_buf_clear(&out);
    api->count(12, &out);
    IS_STR(ox_buf_text(&out), "{\"object\":\"response.input_tokens\",\"input_tokens\":12}", "a count");
    ox_buf_fini(&out);
}

/* A call that cannot be read is text; where its beginning is out already, it is an incomplete item before the text. */
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
    json_t *r = api_reply_to(api, &context, "{" ASKS "}", events, OXCART_FINISH_STOP);
    IS_INT(json_array_size(api_at(r, "output")), 1, "one item");
    IS_STR(api_text(r, "output.0.content.0.text"), "A<raw>B", "nothing is lost");
    json_decref(r);
    r = api_reply_to(api, &context, "{" ASKS ", \"stream\": true}", events, OXCART_FINISH_STOP);
    json_t *last = json_array_get(r, json_array_size(r) - 1);
    IS_STR(api_text(last, "data.response.output.1.status"), "incomplete", "the call is incomplete");
    IS_STR(api_text(last, "data.response.output.2.content.0.text"), "<raw>B", "its text follows");
    json_decref(r);
}

/* Tokens go with the text they make; those of thoughts and calls are left out. */
static void test_logprobs(void)
{
    static const struct oxcart_logprob pair[] = {{-0.5, 65}, {-1.5, 66}};
    struct oxcart_event events[12] = {0};
    static const char *const texts[] = {"Hm", "It", " is", "{}"};
    static const enum oxcart_event_kind kinds[] = {OXCART_EVENT_REASONING, OXCART_EVENT_CONTENT, OXCART_EVENT_CONTENT,
                                                   OXCART_EVENT_CALL_BEGIN};
    for (size_t i = 0; i < 4; i++) {
        events[2 * i] = api_event(OXCART_EVENT_TOKEN, 0, texts[i]);
        events[2 * i].id = 65;
        events[2 * i].logprobs = pair;
        events[2 * i].n_logprobs = 2;
        events[2 * i + 1] = api_event(kinds[i], 0, texts[i]);
    }
    events[8] = api_event(OXCART_EVENT_CALL_DONE, 0, "");
    json_t *r = api_reply_to(api, &context, "{" ASKS ", \"top_logprobs\": 1}", events, OXCART_FINISH_STOP);
    json_t *list = api_at(r, "output.1.content.0.logprobs");
    IS_INT(json_array_size(list), 2, "two tokens of the text");
    IS_STR(api_text(list, "0.token"), "It", "the first");
    IS_STR(api_text(list, "1.token"), " is", "the second");
    OK(json_real_value(api_at(list, "1.logprob")) == -0.5, "its log-probability");
    IS_INT(json_array_size(api_at(list, "1.bytes")), 3, "its bytes");
    OK(json_real_value(api_at(list, "1.top_logprobs.0.logprob")) == -1.5, "the best");
    json_decref(r);
    r = api_reply_to(api, &context, "{" ASKS ", \"top_logprobs\": 1, \"stream\": true}", events, OXCART_FINISH_STOP);
    size_t n = 0;
    size_t i;
    json_t *event;
    json_array_foreach(r, i, event)
    {
        if (strcmp(api_text(event, "event"), "response.output_text.delta") == 0) {
            IS_STR(api_text(event, "data.logprobs.0.token"), api_text(event, "data.delta"),
                   "each piece has its tokens");
            n++;
        }
        if (strcmp(api_text(event, "event"), "response.output_text.done") == 0) {
            IS_INT(json_array_size(api_at(event, "data.logprobs")), 2, "the whole has all");
        }
    }
    IS_INT(n, 2, "pieces");
    json_decref(r);
}

/* ---- pieces and the whole --------------------------------------------------------------------------------------- */

/* Play the random answer of a seed and write down its items: of a stream, those of the pieces if they are the same as
 * those of the last event. */
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
    json_t *last = json_array_get(tree, json_array_size(tree) - 1);
    json_t *output = ask.stream ? api_at(last, "data.response.output") : api_at(tree, "output");
    json_t *items = ask.stream ? api_join_items(tree) : json_incref(output);
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        api_row_item(row, item);
    }
    if (!player.good || json_equal(items, output) == 0) {
        ox_buf_add_c(&row->text, "(bad)");
    }
    *expected = player.expected;
    json_decref(items);
    json_decref(tree);
    api->reply_free(player.reply);
    ox_buf_fini(&out);
    ox_ask_fini(&ask);
}

static void test_random(void)
{
    size_t n_good = 0;
    size_t n_long = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct api_row rows[2] = {0};
        struct api_row expected[2] = {0};
        row_of(seed, "{" ASKS "}", &rows[0], &expected[0]);
        row_of(seed, "{" ASKS ", \"stream\": true}", &rows[1], &expected[1]);
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

/* ---- without memory --------------------------------------------------------------------------------------------- */

static void test_oom(void)
{
    api_read_oom(api, &context,
                 "{\"instructions\": \"A.\", \"tools\": [" TOOL "], \"parallel_tool_calls\": false, \"input\": "
                 "[{\"role\": \"developer\", \"content\": [{\"type\": \"input_text\", \"text\": \"B.\"}]}, "
                 "{\"type\": \"reasoning\", \"content\": [{\"type\": \"reasoning_text\", \"text\": \"t\"}]}, "
                 "{\"type\": \"function_call\", \"call_id\": \"1\", \"name\": \"add\", \"arguments\": \"{}\"}, "
                 "{\"type\": \"function_call_output\", \"call_id\": \"1\", \"output\": \"c\"}]}");
    api_reply_oom(api, &context, "{" ASKS "}");
    api_reply_oom(api, &context, "{" ASKS ", \"stream\": true}");
}

/* ---- the demonstration model ------------------------------------------------------------------------------------ */

struct demo_listener {
    struct ox_reply *reply;
    struct ox_buf out;
};

static int on_event(void *user, const struct oxcart_event *event)
{
    struct demo_listener *listener = user;
    return api->event(listener->reply, 0, event, &listener->out) ? 0 : 1;
}

/* A real api_answer, with log-probabilities whose tokens spell its text. */
static void test_demo(void)
{
    struct ox_ask ask;
    struct ox_api_error error;
    struct oxcart_error err = {0};
    struct oxcart_session *session = NULL;
    struct demo_listener listener = {0};
    struct oxcart_result result = {.size = sizeof result};
    OK(api_read(api, &context,
                "{\"input\": \"What is the capital of France?\", \"reasoning\": {\"effort\": \"none\"}, "
                "\"max_output_tokens\": 40, \"temperature\": 0, \"include\": [\"message.output_text.logprobs\"]}",
                &ask, &error),
       "read: %s", error.message);
    char *json = json_dumps(ask.conversation, 0);
    listener.reply = api->reply_new(&context, &ask, 0);
    OK(oxcart_session_open(context.engine, NULL, &session, &err) == OXCART_OK &&
           oxcart_session_set_messages(session, json, strlen(json), &ask.messages, &err) == OXCART_OK &&
           oxcart_session_decode(session, &ask.sampling, on_event, &listener, &result, &err) == OXCART_OK &&
           api->end(listener.reply, 0, &result, &listener.out),
       "answered: %s", err.message);
    json_t *r = api_tree(ox_buf_str(&listener.out));
    struct ox_buf spelled = {0};
    json_t *list = api_at(r, "output.0.content.0.logprobs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        ox_buf_add_str(&spelled, ox_json_text(json_object_get(json_array_get(list, i), "token")));
    }
    OK(spelled.len > 0, "something was said: %s", ox_buf_text(&spelled));
    IS_STR(api_text(r, "output.0.content.0.text"), ox_buf_text(&spelled), "the tokens spell the text");
    json_decref(r);
    free(json);
    ox_buf_fini(&spelled);
    ox_buf_fini(&listener.out);
    oxcart_session_close(&session);
    api->reply_free(listener.reply);
    ox_ask_fini(&ask);
}

int main(void)
{
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 1);
    context = api_context(engine);
    test_input();
    test_namespaces();
    test_other_tools();
    test_history();
    test_constraints();
    test_options();
    test_refusals();
    test_whole();
    test_incomplete();
    test_stream();
    test_fail();
    test_failed_call();
    test_logprobs();
    test_random();
    test_oom();
    test_demo();
    oxcart_engine_close(&engine);
    return tap_done();
}
