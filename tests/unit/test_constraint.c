/* SPDX-License-Identifier: Apache-2.0
 *
 * Constrained answers through the public interface, on the demonstration model: documents, calls of tools, thinking,
 * and options that make no sense.
 */
#include "engine/engine.h"
#include "tests/demo_help.h"

#include "tests/schema_validate.h"

static const char city_schema[] =
    "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", \"pattern\": \"^[A-Z][a-z]+$\", "
    "\"maxLength\": 9}, \"n\": {\"type\": \"integer\"}}, \"required\": [\"city\", \"n\"]}";
static const char tools[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"What is the weather in Rome?\"}], "
                            "\"thinking_mode\": \"disabled\", \"tools\": [{\"type\": "
                            "\"function\", \"function\": {\"name\": \"get_weather\", \"description\": \"Current "
                            "weather of a city\", \"parameters\": {\"type\": \"object\", "
                            "\"properties\": {\"city\": {\"type\": \"string\", \"enum\": [\"Lima\", \"Oslo\"]}, "
                            "\"days\": {\"type\": \"array\", \"items\": {\"type\": "
                            "\"integer\", \"minimum\": 1, \"maximum\": 7}, \"minItems\": 1, \"maxItems\": 3}}, "
                            "\"required\": [\"city\", \"days\"]}}}, {\"type\": \"function\", "
                            "\"function\": {\"name\": \"get_time\", \"parameters\": {\"type\": \"object\", "
                            "\"properties\": {\"city\": {\"type\": \"string\", \"maxLength\": "
                            "8}}, \"required\": [\"city\"]}}}]}";

static struct oxcart_error error;

static struct oxcart_sampling wild(enum oxcart_constraint constraint, uint64_t seed)
{
    struct oxcart_sampling sampling;
    oxcart_sampling_default(&sampling);
    sampling.temperature = 2.5F;
    sampling.top_k = 0;
    sampling.top_p = 1.0F;
    sampling.n_predict = DEMO_MOST;
    sampling.seed = seed;
    sampling.has_seed = 1;
    sampling.constraint = constraint;
    sampling.json_schema = city_schema;
    sampling.json_schema_bytes = sizeof city_schema - 1;
    return sampling;
}

/* The calls of one reply. */
struct calls {
    char names[8][64];
    char arguments[8][512];
    char content[8192];
    int n_done;
    int n_failed;
};

static int on_event(void *user, const struct oxcart_event *event)
{
    struct calls *calls = user;
    const int32_t i = event->index >= 0 && event->index < 8 ? event->index : 7;
    if (event->kind == OXCART_EVENT_CALL_BEGIN) {
        demo_join(calls->names[i], sizeof calls->names[i], event);
    } else if (event->kind == OXCART_EVENT_CALL_ARGUMENTS) {
        demo_join(calls->arguments[i], sizeof calls->arguments[i], event);
    } else if (event->kind == OXCART_EVENT_CONTENT) {
        demo_join(calls->content, sizeof calls->content, event);
    }
    calls->n_done += event->kind == OXCART_EVENT_CALL_DONE ? 1 : 0;
    calls->n_failed += event->kind == OXCART_EVENT_CALL_FAILED ? 1 : 0;
    return 0;
}

static bool is_document(const char *text, const char *schema_text)
{
    json_t *schema = json_loads(schema_text, 0, NULL);
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    const bool good = value != NULL && validates(schema, schema, value, 0);
    json_decref(value);
    json_decref(schema);
    return good;
}

static void documents(struct oxcart_session *session)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct demo_reply reply = {0};
        struct oxcart_result result = {.size = sizeof result};
        struct oxcart_sampling sampling = wild(OXCART_CONSTRAINT_JSON_SCHEMA, seed);
        OK(demo_ask(session, "What is the capital of France?") &&
               oxcart_session_decode(session, &sampling, demo_on_event, &reply, &result, &error) == OXCART_OK &&
               result.finish == OXCART_FINISH_STOP && is_document(reply.content, city_schema),
           "seed %d: %s", (int)seed, reply.content);
    }
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct demo_reply reply = {0};
        struct oxcart_result result = {.size = sizeof result};
        struct oxcart_sampling sampling = wild(OXCART_CONSTRAINT_JSON_OBJECT, seed);
        const bool done = demo_ask(session, "Hello") && oxcart_session_decode(session, &sampling, demo_on_event, &reply,
                                                                              &result, &error) == OXCART_OK;
        OK(done && (result.finish == OXCART_FINISH_LENGTH || is_document(reply.content, "{\"type\": \"object\"}")) &&
               reply.content[0] == '{',
           "any object, seed %d: %.60s", (int)seed, reply.content);
    }
}

static void thinking(struct oxcart_session *session)
{
    static const char *const modes[] = {"enabled", "adaptive", "disabled"};
    for (size_t i = 0; i < 3; i++) {
        int n_thoughts = 0;
        for (uint64_t seed = 1; seed <= 8; seed++) {
            char talk[256];
            struct demo_reply reply = {0};
            struct oxcart_result result = {.size = sizeof result};
            struct oxcart_sampling sampling = wild(OXCART_CONSTRAINT_JSON_SCHEMA, seed);
            sampling.temperature = i == 0 ? 1.0F : 2.5F; /* so that thinking comes to its end */
            snprintf(
                talk, sizeof talk,
                "{\"messages\": [{\"role\": \"user\", \"content\": \"Add 12 and 30.\"}], \"thinking_mode\": \"%s\"}",
                modes[i]);
            OK(oxcart_session_set_messages(session, talk, strlen(talk), NULL, &error) == OXCART_OK &&
                   oxcart_session_decode(session, &sampling, demo_on_event, &reply, &result, &error) == OXCART_OK &&
                   (result.finish == OXCART_FINISH_LENGTH || is_document(reply.content, city_schema)),
               "%s, seed %d: (%.40s) %s", modes[i], (int)seed, reply.reasoning, reply.content);
            n_thoughts += result.n_reasoning > 0 ? 1 : 0;
        }
        OK(i != 0 ? i == 1 || n_thoughts == 0 : n_thoughts == 8, "%s: %d of 8 answers had thoughts", modes[i],
           n_thoughts);
    }
}

static void calls(struct oxcart_session *session)
{
    static const char weather[] = "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", \"enum\": "
                                  "[\"Lima\", \"Oslo\"]}, \"days\": {\"type\": "
                                  "\"array\", \"items\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 7}, "
                                  "\"minItems\": 1, \"maxItems\": 3}}, "
                                  "\"required\": [\"city\", \"days\"]}";
    static const char clock[] = "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", "
                                "\"maxLength\": 8}}, \"required\": [\"city\"]}";
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct calls found = {0};
        struct oxcart_result result = {.size = sizeof result};
        struct oxcart_sampling sampling = wild(OXCART_CONSTRAINT_TOOLS_REQUIRED, seed);
        sampling.single_call = 1;
        sampling.tool = seed % 3 == 0 ? "get_time" : NULL;
        const bool done = oxcart_session_set_messages(session, tools, sizeof tools - 1, NULL, &error) == OXCART_OK &&
                          oxcart_session_decode(session, &sampling, on_event, &found, &result, &error) == OXCART_OK;
        const bool time = strcmp(found.names[0], "get_time") == 0;
        OK(done && result.finish == OXCART_FINISH_TOOL_CALLS && found.n_done == 1 && found.n_failed == 0 &&
               found.content[0] == '\0' && (time || seed % 3 != 0) &&
               is_document(found.arguments[0], time ? clock : weather),
           "a call is required, seed %d: %s %s", (int)seed, found.names[0], found.arguments[0]);
    }
    struct calls found = {0};
    struct oxcart_result result = {.size = sizeof result};
    struct oxcart_sampling sampling = wild(OXCART_CONSTRAINT_TOOLS, 1);
    sampling.temperature = 0.0F;
    sampling.single_call = 1;
    OK(oxcart_session_set_messages(session, tools, sizeof tools - 1, NULL, &error) == OXCART_OK &&
           oxcart_session_decode(session, &sampling, on_event, &found, &result, &error) == OXCART_OK &&
           found.n_done == 1 && is_document(found.arguments[0], weather),
       "a call that the model makes by itself stays within its schema: %s", found.arguments[0]);
    static const char told[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"What is the weather in Rome?\"}, {\"role\": "
        "\"assistant\", \"content\": \"\", "
        "\"tool_calls\": [{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"arguments\": {\"city\": "
        "\"Rome\"}}}]}, "
        "{\"role\": \"tool\", \"content\": \"21 degrees, sunny\"}], \"thinking_mode\": \"disabled\", \"tools\": "
        "[{\"type\": "
        "\"function\", \"function\": {\"name\": \"get_weather\", \"description\": \"Current weather of a city\", "
        "\"parameters\": "
        "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\"}}, \"required\": [\"city\"]}}}]}";
    memset(&found, 0, sizeof found);
    OK(oxcart_session_set_messages(session, told, sizeof told - 1, NULL, &error) == OXCART_OK &&
           oxcart_session_decode(session, &sampling, on_event, &found, &result, &error) == OXCART_OK &&
           found.n_done == 0 && strcmp(found.content, "The weather in Rome is 21 degrees, sunny.") == 0,
       "text is free: %s", found.content);
}

/* Calls, or a document: whichever comes is valid, and nothing stands beside it. */
static void calls_or_documents(const struct oxcart_engine *engine, struct oxcart_session *session)
{
    const struct oxcart_bias no_call = {engine->markers.name_space, -100.0F};
    static const char time[] = "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", "
                               "\"maxLength\": 8}}, \"required\": [\"city\"]}";
    int n_documents = 0;
    int n_calls = 0;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct calls found = {0};
        struct oxcart_result result = {.size = sizeof result};
        struct oxcart_sampling sampling = wild(OXCART_CONSTRAINT_TOOLS_OR_JSON, seed);
        sampling.tool = "get_time";
        sampling.any_arguments = seed % 4 == 0;
        sampling.bias = &no_call; /* the model would rather call */
        sampling.n_bias = seed % 2;
        if (seed % 3 == 0) {
            sampling.json_schema = NULL;
        }
        const char *schema = seed % 3 == 0 ? "{\"type\": \"object\"}" : city_schema;
        const bool done = oxcart_session_set_messages(session, tools, sizeof tools - 1, NULL, &error) == OXCART_OK &&
                          oxcart_session_decode(session, &sampling, on_event, &found, &result, &error) == OXCART_OK;
        const bool is_call = found.names[0][0] != '\0';
        const bool whole = result.finish != OXCART_FINISH_LENGTH;
        const bool valid = is_call ? strcmp(found.names[0], "get_time") == 0 && found.content[0] == '\0' &&
                                         is_document(found.arguments[0], time)
                                   : is_document(found.content, schema);
        OK(done && (valid || !whole || (is_call && sampling.any_arguments != 0)),
           "a call or a document, seed %d: %s %s%s", (int)seed, found.names[0], found.arguments[0], found.content);
        n_calls += whole && is_call ? 1 : 0;
        n_documents += whole && !is_call ? 1 : 0;
    }
    OK(n_documents > 0 && n_calls > 0, "%d documents and %d calls", n_documents, n_calls);
}

static void refused(struct oxcart_session *session, const struct oxcart_sampling *sampling, enum oxcart_status code,
                    const char *sentence)
{
    size_t n = oxcart_session_tokens(session, NULL);
    memset(&error, 0, sizeof error);
    const enum oxcart_status status = oxcart_session_decode(session, sampling, NULL, NULL, NULL, &error);
    OK(status == code && strstr(error.message, sentence) != NULL && oxcart_session_tokens(session, NULL) == n, "%s",
       error.message);
}

static void errors(struct oxcart_session *session)
{
    struct oxcart_sampling sampling = wild(OXCART_CONSTRAINT_JSON_SCHEMA, 1);
    OK(demo_ask(session, "Hello"), "a question");
    sampling.json_schema = "{\"not\": {}}";
    sampling.json_schema_bytes = strlen(sampling.json_schema);
    refused(session, &sampling, OXCART_E_ARG, "json-schema: #: the keyword \"not\"");
    sampling.json_schema = NULL;
    sampling.json_schema_bytes = 0;
    refused(session, &sampling, OXCART_E_FORMAT, "not valid JSON");
    sampling = wild(OXCART_CONSTRAINT_TOOLS_REQUIRED, 1);
    refused(session, &sampling, OXCART_E_STATE, "the conversation has no tools");
    sampling.constraint = OXCART_CONSTRAINT_TOOLS_OR_JSON;
    refused(session, &sampling, OXCART_E_STATE, "the conversation has no tools");
    sampling = wild((enum oxcart_constraint)99, 1);
    refused(session, &sampling, OXCART_E_ARG, "constraint is not one that is known");
    sampling = wild(OXCART_CONSTRAINT_JSON_OBJECT, 1);
    sampling.ignore_end = 1;
    refused(session, &sampling, OXCART_E_ARG, "ignore_end makes no sense");
    sampling = wild(OXCART_CONSTRAINT_TOOLS_REQUIRED, 1);
    sampling.tool = "put";
    OK(oxcart_session_set_messages(session, tools, sizeof tools - 1, NULL, &error) == OXCART_OK,
       "a question with tools");
    refused(session, &sampling, OXCART_E_ARG, "no tool of the wanted name");
    OK(oxcart_schema_check(city_schema, sizeof city_schema - 1, &error) == OXCART_OK, "a schema can be checked");
    OK(oxcart_schema_check("{\"type\": 1}", 11, &error) == OXCART_E_ARG &&
           strstr(error.message, "#: type: expected") != NULL,
       "and refused");
}

/* What a constraint can be is told before, and what was made for that serves the answer. */
static void checks(struct oxcart_engine *engine, struct oxcart_session *session)
{
    static const char one[] = "[{\"type\": \"function\", \"function\": {\"name\": \"one\", \"parameters\": "
                              "{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\"}}}}}]";
    struct demo_reply reply = {0};
    struct oxcart_result result = {.size = sizeof result};
    struct oxcart_sampling sampling = wild(OXCART_CONSTRAINT_TOOLS_REQUIRED, 1);
    const size_t before = engine->grammars.n;
    OK(oxcart_constraint_check(engine, &sampling, one, sizeof one - 1, &error) == OXCART_OK &&
           engine->grammars.n == before + 1,
       "tools can be checked");
    struct ox_buf json = {0};
    ox_buf_printf(&json, "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"tools\": %s}", one);
    OK(oxcart_session_set_messages(session, json.ptr, json.len, NULL, &error) == OXCART_OK &&
           oxcart_session_decode(session, &sampling, demo_on_event, &reply, &result, &error) == OXCART_OK &&
           engine->grammars.n == before + 1,
       "the answer takes the grammar that was made then");
    ox_buf_fini(&json);
    sampling.any_arguments = 1;
    OK(oxcart_constraint_check(engine, &sampling, one, sizeof one - 1, &error) == OXCART_OK &&
           engine->grammars.n == before + 2,
       "any arguments make another grammar");
    sampling.constraint = OXCART_CONSTRAINT_TOOLS_OR_JSON;
    for (int i = 0; i < 4; i++) {
        sampling.json_schema = i % 2 == 0 ? city_schema : NULL;
        OK(oxcart_constraint_check(engine, &sampling, one, sizeof one - 1, &error) == OXCART_OK &&
               engine->grammars.n == before + 3 + (i > 0 ? 1 : 0),
           "so does each schema beside the tools, once");
    }
    sampling = wild(OXCART_CONSTRAINT_TOOLS_REQUIRED, 1);
    sampling.tool = "two";
    OK(oxcart_constraint_check(engine, &sampling, one, sizeof one - 1, &error) == OXCART_E_ARG &&
           strstr(error.message, "no tool of the wanted name") != NULL,
       "%s", error.message);
    OK(oxcart_constraint_check(engine, &sampling, NULL, 0, &error) == OXCART_E_STATE, "%s", error.message);
    OK(oxcart_constraint_check(engine, &sampling, "[", 1, &error) == OXCART_E_FORMAT, "%s", error.message);
}

/* Text without a conversation: everything is the answer. */
static void plain(struct oxcart_engine *engine, struct oxcart_session *session)
{
    int32_t *ids = NULL;
    size_t n = 0;
    struct demo_reply reply = {0};
    struct oxcart_result result = {.size = sizeof result};
    struct oxcart_sampling sampling = wild(OXCART_CONSTRAINT_JSON_SCHEMA, 3);
    OK(oxcart_encode(engine, "Once", 4, 0, &ids, &n, &error) == OXCART_OK &&
           oxcart_session_set_tokens(session, ids, n, &error) == OXCART_OK &&
           oxcart_session_decode(session, &sampling, demo_on_event, &reply, &result, &error) == OXCART_OK &&
           is_document(reply.content, city_schema),
       "behind plain text: %s", reply.content);
    oxcart_free(ids);
}

int main(void)
{
    struct oxcart_engine *engine = demo_open(tap_file("demo"), 0);
    struct oxcart_session *session = demo_session(engine, 0);
    documents(session);
    thinking(session);
    calls(session);
    calls_or_documents(engine, session);
    errors(session);
    checks(engine, session);
    plain(engine, session);
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
    return tap_done();
}
