/* SPDX-License-Identifier: Apache-2.0
 *
 * Tools as grammars: replies drawn under the mask are read by the reply parser, and the arguments that it makes of them
 * validate against the tool's parameters, for random parameters and for the cases that markup makes hard.
 */
#include <limits.h>

#include "base/json.h"
#include "os/file.h"
#include "tests/oom.h"
#include "tests/schema_random.h"
#include "tests/schema_validate.h"
#include "tests/tap.h"
#include "text/reply.h"

#define N_TOOLS 250
#define N_REPLIES 6

static struct ox_error error;
static struct ox_tokenizer *tokenizer;
static struct ox_markers markers;
static struct ox_lexicon *lexicon;
static int32_t byte_ids[256];

/* What the reply parser has read. */
struct record {
    struct ox_buf content;
    struct ox_buf name[8];
    struct ox_buf arguments[8];
    int n_calls;
    int n_done;
    int n_failed;
};

static int on_event(void *user, const struct ox_reply_event *event)
{
    struct record *record = user;
    const int i = event->index < 8 ? event->index : 7;
    if (event->kind == OX_REPLY_CONTENT) {
        ox_buf_add_str(&record->content, event->text);
    } else if (event->kind == OX_REPLY_CALL_BEGIN) {
        record->n_calls++;
        ox_buf_add_str(&record->name[i], event->text);
    } else if (event->kind == OX_REPLY_CALL_ARGUMENTS) {
        ox_buf_add_str(&record->arguments[i], event->text);
    } else if (event->kind == OX_REPLY_CALL_DONE) {
        record->n_done++;
    } else if (event->kind == OX_REPLY_CALL_FAILED) {
        record->n_failed++;
    }
    return 0;
}

static void free_record(struct record *record)
{
    ox_buf_fini(&record->content);
    for (int i = 0; i < 8; i++) {
        ox_buf_fini(&record->name[i]);
        ox_buf_fini(&record->arguments[i]);
    }
}

static bool read_reply(const json_t *tools, const struct ox_ids *ids, struct record *record)
{
    struct ox_reply *reply = NULL;
    memset(record, 0, sizeof *record);
    const bool good = ox_reply_new(tokenizer, &markers, tools, false, on_event, record, &reply, NULL) == OX_OK &&
                      ox_reply_push(reply, ids->ptr, ids->len, NULL) == OX_OK && ox_reply_finish(reply, NULL) == OX_OK;
    ox_reply_free(reply);
    return good;
}

static json_t *make_tools(const char *name, json_t *parameters)
{
    return json_pack("[{s:s, s:{s:s, s:o}}]", "type", "function", "function", "name", name, "parameters", parameters);
}

static struct ox_grammar *compile(json_t *tools, bool text_first, bool parallel)
{
    const struct ox_grammar_calls calls = {.text_first = text_first, .parallel = parallel};
    struct ox_grammar *grammar = NULL;
    return ox_grammar_from_tools(tools, "tools", &calls, true, &grammar, &error) == OX_OK ? grammar : NULL;
}

/* Draw a reply; tokens that end something are taken once it is long. */
static bool draw_reply(struct ox_rng *rng, struct ox_matcher *matcher, size_t n_long, struct ox_ids *ids)
{
    const int32_t ends[] = {markers.name_space, byte_ids['"'], byte_ids['y'], markers.tool_call_end,
                            byte_ids['/'],      byte_ids['}'], byte_ids[']']};
    const uint64_t *mask;
    for (size_t n = 0; n < n_long + 20000; n++) {
        if (ox_matcher_mask(matcher, &mask, NULL) != OX_OK) {
            return false;
        }
        int32_t id = random_token(rng, mask, lexicon->n_words);
        if (id < 0) {
            return ox_matcher_is_complete(matcher);
        }
        const size_t first = n > n_long && pick(rng, 3) > 0 ? 0 : pick(rng, 14);
        for (size_t i = first; i < 7; i++) {
            if (ox_mask_has(mask, ends[i])) {
                id = ends[i];
                break;
            }
        }
        if (ox_matcher_token(matcher, id, NULL) != OX_OK || ox_ids_add(ids, id) != 0) {
            return false;
        }
    }
    return false;
}

static void show(json_t *tools, const struct ox_ids *ids, const struct record *record, const char *what)
{
    struct ox_buf text = {0};
    char *dump = json_dumps(tools, JSON_COMPACT);
    ox_tokenizer_decode(tokenizer, ids->ptr, ids->len, false, &text);
    NOTE("%s: %s", what, ox_buf_text(&text));
    NOTE("read %s", ox_buf_text(&record->arguments[0]));
    NOTE("tools %s", dump);
    free(dump);
    ox_buf_fini(&text);
}

/* One reply of one call to the first tool. */
static bool check_reply(struct ox_rng *rng, json_t *tools, struct ox_matcher *matcher)
{
    struct ox_ids ids = {0};
    struct record record;
    json_t *arguments = NULL;
    json_t *parameters = json_object_get(json_object_get(json_array_get(tools, 0), "function"), "parameters");
    ox_matcher_reset(matcher);
    const bool ended = draw_reply(rng, matcher, 10 + pick(rng, 80), &ids);
    bool good = read_reply(tools, &ids, &record) && ended && record.n_done == 1 && record.n_failed == 0 &&
                record.content.len == 0;
    good = good && ox_json_parse(ox_buf_str(&record.arguments[0]), "arguments", &arguments, &error) == OX_OK &&
           validates(parameters, parameters, arguments, 0);
    if (!good) {
        show(tools, &ids, &record, ended ? "not valid" : "never ended");
    }
    json_decref(arguments);
    free_record(&record);
    ox_ids_fini(&ids);
    return good;
}

/* Replies for these parameters; false if one is wrong or, unless the parameters are impossible, there is no grammar. */
static bool check_parameters(struct ox_rng *rng, json_t *parameters, int n, int *n_valid)
{
    json_t *tools = make_tools("f", parameters);
    struct ox_grammar *grammar = compile(tools, false, false);
    struct ox_matcher *matcher = NULL;
    bool good = true;
    if (grammar == NULL) {
        good = strstr(error.message, "can satisfy these parameters") != NULL;
        if (!good) {
            NOTE("%s", error.message);
        }
    } else if (ox_matcher_new(grammar, lexicon, &matcher, NULL) == OX_OK) {
        for (int i = 0; i < n && good; i++) {
            good = check_reply(rng, tools, matcher);
            *n_valid += good ? 1 : 0;
        }
    }
    ox_matcher_free(matcher);
    ox_grammar_free(grammar);
    json_decref(tools);
    return good;
}

static void random_tools(void)
{
    struct ox_rng rng;
    bool good = true;
    int n_valid = 0;
    ox_rng_init(&rng, 4);
    for (int i = 0; i < N_TOOLS && good; i++) {
        json_t *root = random_root(&rng);
        json_t *parameters = random_object_schema(&rng, 3);
        json_object_set(parameters, "$defs", json_object_get(root, "$defs"));
        json_decref(root);
        good = check_parameters(&rng, parameters, N_REPLIES, &n_valid);
    }
    OK(good && n_valid > N_TOOLS * N_REPLIES / 2, "%d calls of random tools validate", n_valid);
}

/* Where what is written is not what is read. */
static void hard_parameters(void)
{
    static const char *const properties[] = {
        "{\"p\": {\"type\": [\"string\", \"integer\"], \"minLength\": 1, \"maxLength\": 2, \"maximum\": 5}}",
        "{\"p\": {\"type\": [\"string\", \"null\"], \"maxLength\": 4}}",
        "{\"p\": {\"enum\": [\"yes\", false, \"12\", \"null\", \"x\", 3.5]}}",
        "{\"p\": {\"anyOf\": [{\"type\": \"string\", \"pattern\": \"^(true|on|a)$\"}, {\"type\": \"boolean\"}]}}",
        "{\"p\": {\"anyOf\": [{\"type\": \"object\", \"properties\": {\"x\": {\"type\": \"integer\"}}, \"required\": "
        "[\"x\"]}, "
        "{\"type\": \"object\", \"properties\": {\"x\": {\"type\": \"string\"}, \"y\": {\"const\": 1}}, \"required\": "
        "[\"y\", \"x\"]}]}}",
        "{\"p\": {\"type\": \"object\", \"properties\": {\"item\": {\"type\": \"integer\"}}, \"required\": "
        "[\"item\"]}}",
        "{\"p\": {\"type\": \"object\", \"properties\": {\"a>b\": {\"type\": \"integer\"}}, \"required\": [\"a>b\"]}}",
        "{\"p\": {\"type\": \"object\"}}",
        "{\"p\": {\"type\": \"array\"}}",
        "{\"p\": {\"type\": \"array\", \"items\": {\"type\": \"array\", \"items\": {\"type\": \"string\"}}, "
        "\"minItems\": 1}}",
        "{\"p\": {\"type\": \"array\", \"prefixItems\": [{\"type\": \"integer\"}, {\"type\": \"boolean\"}], "
        "\"minItems\": 2}}",
        "{\"p\": {\"type\": \"number\", \"exclusiveMinimum\": 0, \"maximum\": 1}}",
        "{\"p\": {\"type\": \"object\", \"properties\": {\"q\": {\"type\": \"object\", \"properties\": {\"r\": "
        "{\"type\": \"array\", "
        "\"items\": {\"type\": [\"null\", \"integer\"]}}}}}}}",
        "{\"p\": {\"const\": {\"a\": [1, \"b\"]}}}",
        "{\"p\": {\"type\": \"string\", \"enum\": [\"\", \" \", \"<a>\", \"</p>\"]}}",
        "{\"p\": {}}",
        "{\"p\": {\"$ref\": \"#/$defs/t\"}}",
    };
    struct ox_rng rng;
    ox_rng_init(&rng, 8);
    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++) {
        int n_valid = 0;
        json_t *t = json_loads(
            "{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\"}, \"kids\": {\"type\": \"array\", "
            "\"items\": {\"$ref\": \"#/$defs/t\"}}}, \"required\": [\"n\"]}",
            0, NULL);
        json_t *parameters = json_pack("{s:s, s:o, s:[s], s:{s:o}}", "type", "object", "properties",
                                       json_loads(properties[i], 0, NULL), "required", "p", "$defs", "t", t);
        OK(check_parameters(&rng, parameters, 40, &n_valid) && n_valid == 40, "parameters %s", properties[i]);
    }
}

/* Let matcher take a reply from the beginning. % is the namespace marker, { and } behind it the block's tags. */
static bool take(struct ox_matcher *matcher, const char *text)
{
    bool good = true;
    ox_matcher_reset(matcher);
    for (const char *p = text; *p != '\0' && good; p++) {
        int32_t id = byte_ids[(unsigned char)*p];
        if (*p == '%') {
            id = markers.name_space;
        } else if (p > text && p[-1] == '%' && *p != '<') {
            id = *p == '{' ? markers.tool_call_begin : markers.tool_call_end;
        }
        good = ox_matcher_token(matcher, id, NULL) == OX_OK;
    }
    return good;
}

static bool takes(const struct ox_grammar *grammar, const char *text)
{
    struct ox_matcher *matcher = NULL;
    const bool good = ox_matcher_new(grammar, lexicon, &matcher, NULL) == OX_OK && take(matcher, text) &&
                      ox_matcher_is_complete(matcher);
    ox_matcher_free(matcher);
    return good;
}

/* Behind this beginning, does the mask have just the tokens that are taken? How many are they? */
static void mask_is_exact(const struct ox_grammar *grammar, const char *begin, int least, int most)
{
    struct ox_matcher *matcher = NULL;
    struct ox_matcher *slow = NULL;
    const uint64_t *mask = NULL;
    int n = 0;
    bool good = ox_matcher_new(grammar, lexicon, &matcher, NULL) == OX_OK &&
                ox_matcher_new(grammar, lexicon, &slow, NULL) == OX_OK && take(matcher, begin) && take(slow, begin) &&
                ox_matcher_mask(matcher, &mask, NULL) == OX_OK;
    for (int32_t id = 0; id < lexicon->n_ids && good; id++) {
        const bool taken = ox_matcher_token(slow, id, NULL) == OX_OK;
        good = taken == ox_mask_has(mask, id) && (!taken || take(slow, begin));
        n += taken ? 1 : 0;
    }
    OK(good && n >= least && n <= most, "behind \"%s\" the mask is exact: %d tokens", begin, n);
    ox_matcher_free(matcher);
    ox_matcher_free(slow);
}

static void blocks(void)
{
    json_t *tools = json_loads("[{\"type\": \"function\", \"function\": {\"name\": \"get\", \"parameters\": {\"type\": "
                               "\"object\", \"properties\": {\"city\": {\"type\": "
                               "\"string\"}, \"days\": {\"type\": \"array\", \"items\": {\"type\": \"integer\"}}, "
                               "\"where\": {\"type\": \"object\", \"properties\": {\"x\": "
                               "{\"type\": \"integer\"}}}}, \"required\": [\"city\"]}}}, {\"type\": \"function\", "
                               "\"function\": {\"name\": \"getter\"}}]",
                               0, NULL);
    struct ox_grammar *one = compile(tools, false, false);
    struct ox_grammar *more = compile(tools, false, true);
    struct ox_grammar *text = compile(tools, true, true);
    const struct ox_grammar_calls named = {.name = ox_str_c("getter"), .parallel = true};
    const struct ox_grammar_calls unknown = {.name = ox_str_c("put")};
    struct ox_grammar *only = NULL;
    if (!OK(one != NULL && more != NULL && text != NULL &&
                ox_grammar_from_tools(tools, "tools", &named, true, &only, &error) == OX_OK,
            "grammars of calls")) {
        return;
    }
#define PARIS "%<invoke name=\"get\">%<city>Paris%</city>%</invoke>"
#define GETTER "%<invoke name=\"getter\">%</invoke>"
    OK(takes(one, "%{\n" PARIS "\n%}") && takes(one, "%{" PARIS "%}"), "one call");
    OK(takes(one,
             "%{\n%<invoke name=\"get\">%<city>%</city>%<days>%<item>1%</item>%<item>-2%</item>%</days>%</invoke>\n%}"),
       "an array");
    OK(takes(
           one,
           "%{\n%<invoke name=\"get\">%<city>a%</city>%<days>[1, 2]%</days>%<where>{\"x\": 1}%</where>%</invoke>\n%}"),
       "JSON in markup");
    OK(takes(one, "%{\n%<invoke name=\"get\">%<city>a%</city>%<where>%<x>7%</x>%</where>%</invoke>\n%}"), "an object");
    OK(!takes(one, "%{\n" PARIS "\n" GETTER "\n%}") && takes(more, "%{\n" PARIS "\n" GETTER "\n%}"),
       "two calls, if they may be");
    OK(!takes(one, "%{\n%}") && !takes(more, "%{%}") && !takes(one, "") && !takes(one, "Hello"), "no call");
    OK(takes(text, "Hello") && takes(text, "") && takes(text, "So: %{\n" PARIS "\n%}") &&
           !takes(text, "%{\n" PARIS "\n%}more") && !takes(text, "a%b"),
       "text first");
    OK(takes(only, "%{\n" GETTER "\n%}") && !takes(only, "%{\n" PARIS "\n%}"), "the one named");
    OK(!takes(one, "%{\n%<invoke name=\"get\">%</invoke>\n%}"), "a required parameter is missing");
    OK(!takes(one, "%{\n%<invoke name=\"put\">%</invoke>\n%}"), "a tool that is not there");
    OK(!takes(one, "%{\n%<invoke name=\"get\">%<city>a%</town>%</invoke>\n%}"), "a tag that does not match");
    OK(!takes(one, "%{\n%<invoke name=\"get\">%<city>a%</city>%<days>%<item>x%</item>%</days>%</invoke>\n%}"),
       "a wrong type");
    OK(ox_grammar_from_tools(tools, "tools", &unknown, true, &only, &error) == OX_E_ARG &&
           strcmp(error.message, "tools: #: there is no tool of the wanted name") == 0,
       "a tool of another name is wanted");
    ox_grammar_free(one);
    ox_grammar_free(more);
    ox_grammar_free(text);
    ox_grammar_free(only);
    json_decref(tools);
}

/* Either calls or a document, and nothing beside them. */
static void calls_or_document(void)
{
    static const char tools_text[] =
        "[{\"function\": {\"name\": \"get\", \"parameters\": {\"type\": \"object\", \"properties\": {\"city\": "
        "{\"type\": \"string\"}}, \"required\": [\"city\"]}}}, {\"function\": {\"name\": \"getter\"}}]";
    const struct ox_grammar_calls both = {
        .parallel = true,
        .document = ox_str_c("{\"type\": \"object\", \"properties\": {\"n\": {\"type\": \"integer\"}, \"in\": "
                             "{\"$ref\": \"#\"}}, \"required\": [\"n\"]}")};
    json_t *tools = json_loads(tools_text, 0, NULL);
    struct ox_grammar *grammar = NULL;
    if (!OK(ox_grammar_from_tools(tools, "tools", &both, true, &grammar, &error) == OX_OK, "a grammar of both")) {
        return;
    }
    OK(takes(grammar, "{\"n\": 12}") && takes(grammar, "{\"n\": 1, \"in\": {\"n\": 2}}"), "the document");
    OK(takes(grammar, "%{\n" PARIS "\n" GETTER "\n%}"), "calls");
    OK(!takes(grammar, "{}") && !takes(grammar, "{\"n\": \"1\"}"), "no document of another kind");
    OK(!takes(grammar, "%{\n%<invoke name=\"get\">%</invoke>\n%}"), "no call with other arguments");
    OK(!takes(grammar, "") && !takes(grammar, "Hello") && !takes(grammar, "So: %{\n" GETTER "\n%}"),
       "no text, and none before calls");
    OK(!takes(grammar, "{\"n\": 12}%{\n" GETTER "\n%}") && !takes(grammar, "%{\n" GETTER "\n%}{\"n\": 12}"),
       "never both");
    struct ox_buf deep = {0};
    for (int depth = OX_GRAMMAR_DEPTH; depth <= OX_GRAMMAR_DEPTH + 1; depth++) {
        ox_buf_clear(&deep);
        for (int i = 1; i < depth; i++) {
            ox_buf_add_c(&deep, "{\"n\": 1, \"in\": ");
        }
        ox_buf_add_c(&deep, "{\"n\": 1}");
        for (int i = 1; i < depth; i++) {
            ox_buf_add_byte(&deep, '}');
        }
        OK(takes(grammar, ox_buf_text(&deep)) == (depth == OX_GRAMMAR_DEPTH),
           "the document may be as deep as one without tools: %d", depth);
    }
    ox_buf_fini(&deep);
    ox_grammar_free(grammar);
    static const char *const wrong[] = {"{\"not\": {}}", "{\"type\": \"integer\", \"enum\": [\"a\"]}", "{"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct ox_grammar_calls calls = {.document = ox_str_c(wrong[i])};
        OK(ox_grammar_from_tools(tools, "tools", &calls, true, &grammar, &error) != OX_OK &&
               strstr(error.message, "json-schema: ") == error.message,
           "%s", error.message);
    }
    json_decref(tools);
}

/* Markup nested n deep, one parameter included. */
static bool takes_nested(const struct ox_grammar *grammar, int n)
{
    struct ox_buf text = {0};
    ox_buf_add_c(&text, "%{\n%<invoke name=\"f\">");
    for (int i = 1; i < n; i++) {
        ox_buf_add_c(&text, "%<in>");
    }
    for (int i = 1; i < n; i++) {
        ox_buf_add_c(&text, i == 1 ? "{}%</in>" : "%</in>");
    }
    ox_buf_add_c(&text, "%</invoke>\n%}");
    const bool taken = takes(grammar, ox_buf_text(&text));
    ox_buf_fini(&text);
    return taken;
}

/* Calls have a limit of their own, with a document beside them and without. */
static void depth_of_calls(void)
{
    json_t *tools = json_loads("[{\"function\": {\"name\": \"f\", \"parameters\": {\"type\": \"object\", "
                               "\"properties\": {\"in\": {\"$ref\": \"#\"}}}}}]",
                               0, NULL);
    for (int with = 0; with < 2; with++) {
        const struct ox_grammar_calls calls = {.document = ox_str_make(with != 0 ? "{}" : NULL, with != 0 ? 2 : 0)};
        struct ox_grammar *grammar = NULL;
        OK(ox_grammar_from_tools(tools, "tools", &calls, true, &grammar, &error) == OX_OK &&
               takes_nested(grammar, OX_GRAMMAR_CALL_DEPTH) && !takes_nested(grammar, OX_GRAMMAR_CALL_DEPTH + 1),
           "calls are at most %d deep", OX_GRAMMAR_CALL_DEPTH);
        ox_grammar_free(grammar);
    }
    json_decref(tools);
}

/* Calls whose arguments are the model's affair: everything else about them is held to. */
static void any_arguments(void)
{
    json_t *tools = json_loads("[{\"function\": {\"name\": \"get\", \"parameters\": {\"not\": {}}}}, "
                               "{\"function\": {\"name\": \"getter\"}}]",
                               0, NULL);
    struct ox_grammar_calls calls = {.any_arguments = true, .text_first = true};
    struct ox_grammar *one = NULL;
    struct ox_grammar *more = NULL;
    bool good = ox_grammar_from_tools(tools, "tools", &calls, true, &one, &error) == OX_OK;
    calls = (struct ox_grammar_calls){.any_arguments = true, .parallel = true, .document = ox_str_c("{}")};
    good = good && ox_grammar_from_tools(tools, "tools", &calls, true, &more, &error) == OX_OK;
    if (!OK(good, "a schema that is not understood: %s", error.message)) {
        return;
    }
#define NESTED "%<invoke name=\"get\">%<a>1 < 2 </invoke>%</a>%<b>%<item>x%</item>%</b>%</invoke>"
    OK(takes(one, "%{\n" PARIS "\n%}") && takes(one, "%{" NESTED "%}") && takes(one, "Hm%{\n" GETTER "\n%}"),
       "any arguments");
    OK(!takes(one, "%{\n" PARIS "\n" NESTED "\n%}") && takes(more, "%{\n" PARIS "\n" NESTED "\n%}"),
       "one call, or more");
    OK(!takes(one, "%{\n%<invoke name=\"put\">%</invoke>\n%}"), "a tool that is not there");
    OK(!takes(one, "%{\n%<invoke name=\"get\">%<a>1%</a>\n%}") && !takes(one, "%{\n" PARIS "more%}") &&
           !takes(one, "%{\n%<invoke name=\"get\">"),
       "a call that is not ended, and text behind it");
    OK(takes(more, "[1]") && !takes(more, "[1]%{\n" GETTER "\n%}") && !takes(more, "Hm%{\n" GETTER "\n%}"),
       "or a document");
    const int n_texts = lexicon->n_ids - 100; /* all but what is no text */
    mask_is_exact(one, "", n_texts, lexicon->n_ids);
    mask_is_exact(one, "%{%<invoke name=\"get\">", n_texts, lexicon->n_ids);
    mask_is_exact(one, "%{%<invoke name=\"get\">%", n_texts, lexicon->n_ids);
    mask_is_exact(one, "%{%<invoke name=\"get\">%</invoke", n_texts - 100, lexicon->n_ids - 1);
    mask_is_exact(one, "%{%<invoke name=\"get\">%</invoke>", 2, 2);
    mask_is_exact(more, "", 2, n_texts);
    ox_grammar_free(one);
    ox_grammar_free(more);
    json_decref(tools);
}

/* Where values begin in markup. */
static void masks_of_values(void)
{
    static const struct {
        const char *parameter;
        int least;
        int most;
    } rows[] = {
        {"{\"type\": \"string\"}", 500, INT_MAX},
        {"{\"type\": \"string\", \"maxLength\": 2}", 100, INT_MAX},
        {"{\"type\": \"string\", \"maxLength\": 0}", 1, 1},
        {"{\"enum\": [\"\", \"ab\", \"b\"]}", 4, 4},
        {"{\"type\": \"string\", \"pattern\": \"^[a-c]+$\"}", 3, 40},
        {"{\"type\": [\"string\", \"integer\"], \"maxLength\": 1, \"maximum\": 5}", 100, INT_MAX},
        {"{\"type\": [\"string\", \"null\"], \"minLength\": 3}", 500, INT_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *parameter = json_loads(rows[i].parameter, 0, NULL);
        json_t *tools = make_tools("f", json_pack("{s:{s:O, s:{s:s, s:O}}}", "properties", "p", parameter, "l", "type",
                                                  "array", "items", parameter));
        struct ox_grammar *grammar = compile(tools, false, false);
        NOTE("%s", rows[i].parameter);
        mask_is_exact(grammar, "%{%<invoke name=\"f\">%<p>", rows[i].least, rows[i].most);
        mask_is_exact(grammar, "%{%<invoke name=\"f\">%<l>%<item>", rows[i].least, rows[i].most);
        ox_grammar_free(grammar);
        json_decref(tools);
        json_decref(parameter);
    }
}

/* Replies drawn under the mask of calls or a document are one of them. */
static void drawn(void)
{
    json_t *tools = make_tools("f", json_loads("{\"type\": \"object\", \"properties\": {\"a\": {\"type\": "
                                               "\"integer\"}}, \"required\": [\"a\"]}",
                                               0, NULL));
    json_t *parameters = json_object_get(json_object_get(json_array_get(tools, 0), "function"), "parameters");
    const struct ox_grammar_calls calls = {.parallel = true,
                                           .document = ox_str_c("{\"type\": \"array\", \"items\": {\"enum\": "
                                                                "[1, \"b\"]}}")};
    json_t *schema = json_loads(calls.document.ptr, 0, NULL);
    struct ox_grammar *grammar = NULL;
    struct ox_matcher *matcher = NULL;
    struct ox_rng rng;
    int n_documents = 0;
    int n_calls = 0;
    bool good = ox_grammar_from_tools(tools, "tools", &calls, true, &grammar, &error) == OX_OK &&
                ox_matcher_new(grammar, lexicon, &matcher, &error) == OX_OK;
    ox_rng_init(&rng, 6);
    for (int i = 0; i < 200 && good; i++) {
        struct ox_ids ids = {0};
        struct record record;
        json_t *value = NULL;
        ox_matcher_reset(matcher);
        good = draw_reply(&rng, matcher, 10 + pick(&rng, 40), &ids) && read_reply(tools, &ids, &record) &&
               record.n_failed == 0 && (record.n_done == 0 || record.content.len == 0);
        const struct ox_buf *text = record.n_done > 0 ? &record.arguments[0] : &record.content;
        json_t *of = record.n_done > 0 ? parameters : schema;
        good = good && ox_json_parse(ox_buf_str(text), "reply", &value, &error) == OX_OK && validates(of, of, value, 0);
        n_documents += record.n_done == 0 ? 1 : 0;
        n_calls += record.n_done > 0 ? 1 : 0;
        json_decref(value);
        free_record(&record);
        ox_ids_fini(&ids);
    }
    OK(good && n_documents > 20 && n_calls > 20, "%d documents and %d calls", n_documents, n_calls);
    ox_matcher_free(matcher);
    ox_grammar_free(grammar);
    json_decref(schema);
    json_decref(tools);
}

static void refused(const char *text, const char *sentence)
{
    json_t *tools = json_loads(text, 0, NULL);
    struct ox_grammar *grammar = compile(tools, false, false);
    OK(grammar == NULL && error.code == OX_E_ARG && strstr(error.message, sentence) != NULL, "%s", error.message);
    ox_grammar_free(grammar);
    json_decref(tools);
}

static void errors(void)
{
    refused("[]", "there are no tools");
    refused("[{\"function\": {\"name\": \"\"}}]", "tools: #/0/function: the tool has no name");
    refused("[{\"function\": {\"name\": \"a\\\">b\"}}]", "has no name, or one that a call cannot hold");
    refused("[{\"function\": {\"name\": \"f\", \"parameters\": {\"properties\": {\"a\": {\"not\": {}}}}}}]",
            "tools: #/0/function/parameters/properties/a: the keyword \"not\"");
    refused(
        "[{\"function\": {\"name\": \"f\", \"parameters\": {\"properties\": {\"/a\": {}}, \"required\": [\"/a\"]}}}]",
        "a required parameter has a name that a call cannot hold");
    refused("[{\"function\": {\"name\": \"f\", \"parameters\": {\"type\": \"string\"}}}]",
            "no call in this format can satisfy");
    refused("[{\"function\": {\"name\": \"f\", \"parameters\": {\"properties\": {\"a\": {\"type\": \"integer\", "
            "\"minimum\": 2, \"maximum\": 1}}, "
            "\"required\": [\"a\"]}}}]",
            "no call in this format can satisfy");
}

static void memory(void)
{
    json_t *tools =
        json_loads("[{\"function\": {\"name\": \"f\", \"parameters\": {\"properties\": {\"a\": {\"type\": [\"string\", "
                   "\"integer\"]}, "
                   "\"b\": {\"type\": \"array\", \"items\": {\"type\": \"object\", \"properties\": {\"c\": {}}}}}}}}]",
                   0, NULL);
    for (long n = 1;; n++) {
        struct ox_grammar *grammar = NULL;
        const struct ox_grammar_calls calls = {.parallel = true, .document = ox_str_c("{\"enum\": [1]}")};
        oom_arm(n);
        const enum ox_status status = ox_grammar_from_tools(tools, "tools", &calls, true, &grammar, &error);
        const bool failed = oom_disarm();
        ox_grammar_free(grammar);
        if (!failed || status != OX_E_NOMEM) {
            OK(!failed && status == OX_OK && n > 20, "each of %ld allocations may fail: %s", n,
               failed ? error.message : "");
            break;
        }
    }
    json_decref(tools);
}

static bool open_tokenizer(void)
{
    struct ox_buf text = {0};
    bool good = ox_file_read(tap_file("demo/tokenizer.json"), (size_t)64 << 20, &text, &error) == OX_OK &&
                ox_tokenizer_new(ox_buf_str(&text), "tokenizer.json", NULL, &tokenizer, &error) == OX_OK;
    ox_buf_fini(&text);
    if (good) {
        ox_markers_find(tokenizer, &markers);
        good = ox_lexicon_from_tokenizer(tokenizer, ox_tokenizer_n_ids(tokenizer), &markers, &lexicon, &error) == OX_OK;
    }
    for (int32_t id = 0; good && id < ox_tokenizer_n_ids(tokenizer); id++) {
        const struct ox_str bytes = ox_tokenizer_bytes(tokenizer, id);
        if (bytes.len == 1) {
            byte_ids[(unsigned char)bytes.ptr[0]] = id;
        }
    }
    return good;
}

int main(void)
{
    if (!OK(open_tokenizer(), "the demonstration model's tokenizer: %s", error.message)) {
        return tap_done();
    }
    blocks();
    calls_or_document();
    depth_of_calls();
    any_arguments();
    masks_of_values();
    drawn();
    hard_parameters();
    random_tools();
    errors();
    memory();
    ox_lexicon_free(lexicon);
    ox_tokenizer_free(tokenizer);
    return tap_done();
}
