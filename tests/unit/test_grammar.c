/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON schemas as grammars: for each keyword documents that are accepted and refused, schemas that are errors and what
 * they say, limits at their edges.
 */
#include "base/buf.h"
#include "tests/oom.h"
#include "tests/tap.h"
#include "text/matcher.h"

static struct ox_error error;

static struct ox_grammar *compile(const char *schema, bool strict)
{
    struct ox_grammar *grammar = NULL;
    memset(&error, 0, sizeof error);
    if (ox_grammar_from_text(ox_str_c(schema), "schema", strict, &grammar, &error) != OX_OK) {
        return NULL;
    }
    return grammar;
}

/* Does the grammar accept text as a whole, byte by byte? */
static bool accepts(const struct ox_grammar *grammar, struct ox_str text)
{
    struct ox_matcher *matcher = NULL;
    bool good = grammar != NULL && ox_matcher_new(grammar, NULL, &matcher, NULL) == OX_OK;
    for (size_t i = 0; i < text.len && good; i++) {
        good = ox_matcher_bytes(matcher, ox_str_make(text.ptr + i, 1), NULL) == OX_OK;
    }
    good = good && ox_matcher_is_complete(matcher);
    ox_matcher_free(matcher);
    return good;
}

/* Documents that a schema accepts, then, behind a NULL, some that it does not. */
static void documents(const char *schema, const char *const *text)
{
    struct ox_grammar *grammar = compile(schema, true);
    bool expected = true;
    if (!OK(grammar != NULL, "%.200s is a grammar %s", schema, error.message)) {
        return;
    }
    for (size_t i = 0; expected || text[i] != NULL; i++) {
        if (text[i] == NULL) {
            expected = false;
            continue;
        }
        OK(accepts(grammar, ox_str_c(text[i])) == expected, "%.100s: %s %.100s", schema, expected ? "takes" : "refuses",
           text[i]);
    }
    ox_grammar_free(grammar);
}

#define DOCUMENTS(schema, ...)                                                                                         \
    do {                                                                                                               \
        static const char *const list[] = {__VA_ARGS__, NULL};                                                         \
        documents(schema, list);                                                                                       \
    } while (0)

static void scalars(void)
{
    DOCUMENTS("{\"type\": \"null\"}", "null", NULL, "nul", "Null", "", "nulll", " null", "null ");
    DOCUMENTS("{\"type\": \"boolean\"}", "true", "false", NULL, "tru", "1", "truefalse");
    DOCUMENTS("{\"type\": \"integer\"}", "0", "-1", "42", "9223372036854775807", "-9223372036854775808", NULL,
              "9223372036854775808", "-9223372036854775809", "01", "-0", "+1", "1.0", "1e3", "-", "");
    DOCUMENTS("{\"type\": \"number\"}", "0", "-0", "-0.0", "1.5", "1e3", "1E+3", "1.25e-10", "123456789012345678",
              "1.7976931348623157e307", "4.9e-324", "123456.789e279", NULL, "1e308", "1e999", ".5", "1.", "1e", "1e+",
              "01", "1.7e400", "NaN", "Infinity", "12e300");
    DOCUMENTS("{\"type\": [\"string\", \"null\"]}", "\"a\"", "null", NULL, "1", "true");
    DOCUMENTS("{\"type\": \"string\", \"nullable\": true}", "\"a\"", "null", NULL, "1");
    DOCUMENTS("{\"enum\": [\"a\", \"b\"], \"nullable\": true}", "\"a\"", "null", NULL, "1");
    DOCUMENTS("true", "1", "\"a\"", "[]", "{\"a\": [1, {\"b\": null}]}", "false", NULL, "]", "{1: 2}", "[1,]");
}

static void bounds(void)
{
    DOCUMENTS("{\"type\": \"integer\", \"minimum\": -17, \"maximum\": 205}", "-17", "-16", "-9", "-1", "0", "7", "99",
              "199", "205", NULL, "-18", "-20", "-100", "206", "210", "300", "1000", "00");
    DOCUMENTS("{\"type\": \"integer\", \"exclusiveMinimum\": 9, \"exclusiveMaximum\": 12}", "10", "11", NULL, "9", "12",
              "1", "-10");
    DOCUMENTS("{\"type\": \"integer\", \"maximum\": -5}", "-5", "-6", "-1000000000000000000", NULL, "-4", "0", "5");
    DOCUMENTS("{\"type\": \"integer\", \"minimum\": 0.5, \"maximum\": 2.5}", "1", "2", NULL, "0", "3", "-1");
    DOCUMENTS("{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}", "0", "1", "0.5", "1.0", "0.0", "1.000",
              "0.99999", NULL, "1.1", "1.0001", "-0.1", "2", "10", "1e0");
    DOCUMENTS("{\"type\": \"number\", \"exclusiveMinimum\": 0, \"exclusiveMaximum\": 1}", "0.5", "0.001", "0.999", NULL,
              "0", "0.0", "1", "1.0", "1.5");
    DOCUMENTS("{\"type\": \"number\", \"minimum\": -2.75, \"maximum\": -0.5}", "-2.75", "-2.7", "-2", "-1.5", "-0.5",
              "-0.50", NULL, "-2.76", "-2.751", "-3", "-0.49", "0", "1", "-0.4");
    DOCUMENTS("{\"type\": \"number\", \"minimum\": 12.5}", "12.5", "13", "100", "12.51", NULL, "12.4", "12", "1",
              "-13");
    DOCUMENTS("{\"type\": \"number\", \"maximum\": 1e300}", "1", "-5.5", "1e10", NULL, "a");
    DOCUMENTS("{\"allOf\": [{\"type\": \"integer\", \"minimum\": 3}, {\"minimum\": 5, \"maximum\": 7}]}", "5", "7",
              NULL, "3", "4", "8");
}

static void strings(void)
{
    DOCUMENTS("{\"type\": \"string\"}", "\"\"", "\"a\"", "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"",
              "\"\\u00e9\\uD83D\\uDE00\\n\\t\\\"\\\\\\/\\b\\f\\r\"", "\"\\u0000\"", "\"\x7F\"", NULL, "\"", "\"\n\"",
              "\"\\x\"", "\"\\u12\"", "\"\\uD83D\"", "\"\\uDE00\"", "\"\\uD83D\\u0041\"", "\"\\uD83Dx\"", "\"\xC3\"",
              "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xE0\x80\x80\"", "\"\xFF\"", "\"\x80\"");
    DOCUMENTS("{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}", "\"ab\"", "\"abc\"",
              "\"\xF0\x9F\x98\x80\xF0\x9F\x98\x80\"", "\"\\uD83D\\uDE00\\n\"", NULL, "\"a\"", "\"abcd\"", "\"\"",
              "\"\\n\"");
    DOCUMENTS("{\"type\": \"string\", \"pattern\": \"^[a-c]+$\"}", "\"a\"", "\"abc\"", NULL, "\"\"", "\"d\"", "\"ad\"",
              "\"\\u0061\"", "\"\\");
    DOCUMENTS("{\"type\": \"string\", \"pattern\": \"b\"}", "\"b\"", "\"abc\"", NULL, "\"\"", "\"ac\"");
    DOCUMENTS("{\"type\": \"string\", \"pattern\": \"^(\xF0\x9F\x98\x80|\\\\n)$\"}", "\"\xF0\x9F\x98\x80\"",
              "\"\\uD83D\\uDE00\"", "\"\\n\"", "\"\\u000A\"", NULL, "\"\\uD83D\\uDE01\"", "\"\\uD83E\"",
              "\"\xF0\x9F\x98\x81\"", "\"\\\\n\"");
    DOCUMENTS("{\"type\": \"string\", \"pattern\": \"^(ab)*$\", \"minLength\": 3, \"maxLength\": 5}", "\"abab\"", NULL,
              "\"ab\"", "\"aba\"", "\"ababab\"");
    DOCUMENTS("{\"type\": \"string\", \"format\": \"date\"}", "\"2026-11-24\"", "\"2024-02-29\"", "\"2000-02-29\"",
              NULL, "\"2026-02-29\"", "\"1900-02-29\"", "\"2026-13-01\"", "\"2026-04-31\"", "\"2026-1-1\"");
    DOCUMENTS("{\"type\": \"string\", \"format\": \"time\"}", "\"12:40:00Z\"", "\"23:59:59.123+01:00\"", NULL,
              "\"24:00:00Z\"", "\"12:40\"", "\"12:40:00\"");
    DOCUMENTS("{\"type\": \"string\", \"format\": \"date-time\"}", "\"2026-11-24T12:40:00Z\"", NULL, "\"2026-11-24\"",
              "\"2026-11-24 12:40:00Z\"");
    DOCUMENTS("{\"type\": \"string\", \"format\": \"uuid\"}", "\"123e4567-e89b-12d3-a456-426614174000\"", NULL,
              "\"123e4567e89b12d3a456426614174000\"", "\"g23e4567-e89b-12d3-a456-426614174000\"");
    DOCUMENTS("{\"type\": \"string\", \"format\": \"ipv4\"}", "\"192.168.0.255\"", "\"0.0.0.0\"", NULL, "\"256.1.1.1\"",
              "\"1.2.3\"", "\"01.2.3.4\"");
    DOCUMENTS("{\"type\": \"string\", \"format\": \"ipv6\"}", "\"::\"", "\"::1\"", "\"1::\"", "\"1:2:3:4:5:6:7:8\"",
              "\"fe80::1:2\"", NULL, "\"1:2:3\"", "\":::\"", "\"1::2::3\"", "\"12345::\"");
    DOCUMENTS("{\"type\": \"string\", \"format\": \"duration\"}", "\"P1D\"", "\"PT5M\"", "\"P1Y2M3DT4H5M6S\"",
              "\"P3W\"", NULL, "\"P\"", "\"PT\"", "\"P1DT\"", "\"1D\"");
    DOCUMENTS("{\"type\": \"string\", \"format\": \"email\"}", "\"a.b@example.org\"", NULL, "\"a@b\"",
              "\"@example.org\"", "\"a b@example.org\"");
    DOCUMENTS("{\"type\": \"string\", \"format\": \"hostname\"}", "\"a-b.example.org\"", NULL, "\"-a\"", "\"a-\"",
              "\"a..b\"");
    DOCUMENTS("{\"pattern\": \"^x$\"}", "\"x\"", NULL, "1", "null", "\"y\"");
}

static void values(void)
{
    DOCUMENTS("{\"enum\": [\"red\", \"green\", 3, 1.5, true, null, [1, \"a\"], {\"k\": [], \"l\": 1}]}", "\"red\"", "3",
              "1.5", "true", "null", "[1,\"a\"]", "[1, \"a\"]", "{\"k\":[],\"l\":1}", "{\n  \"k\": [],\n  \"l\": 1\n}",
              NULL, "\"blue\"", "\"re\"", "4", "1.6", "false", "[1]", "[1, \"b\"]", "{\"k\": []}",
              "{\"l\": 1, \"k\": []}");
    DOCUMENTS("{\"const\": \"x\"}", "\"x\"", NULL, "\"y\"", "x");
    DOCUMENTS("{\"type\": \"integer\", \"enum\": [1, \"a\", 2.5, 7], \"maximum\": 5}", "1", NULL, "\"a\"", "2.5", "7");
    DOCUMENTS("{\"enum\": [\"a\", \"bb\", \"ccc\"], \"minLength\": 2}", "\"bb\"", "\"ccc\"", NULL, "\"a\"");
    DOCUMENTS("{\"allOf\": [{\"enum\": [1, 2, \"a\"]}, {\"enum\": [2, \"a\", 3]}, {\"enum\": [2.0, \"a\"]}]}", "2",
              "\"a\"", NULL, "1", "3");
}

static void arrays(void)
{
    DOCUMENTS("{\"type\": \"array\", \"items\": {\"type\": \"integer\"}}", "[]", "[1]", "[1,2]", "[1, 2, 3]",
              "[\n  1,\n  2\n]", "[ 1 ]", "[ ]", NULL, "[,]", "[1,]", "[1 ,2]", "[1", "[\"a\"]", "[1  ]", "[\n\n1]",
              "[1]]");
    DOCUMENTS("{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"minItems\": 2, \"maxItems\": 3}", "[1,2]",
              "[1,2,3]", NULL, "[]", "[1]", "[1,2,3,4]", "[1\n]");
    DOCUMENTS(
        "{\"type\": \"array\", \"prefixItems\": [{\"type\": \"string\"}, {\"type\": \"integer\"}], \"items\": false}",
        "[]", "[\"a\"]", "[\"a\", 1]", NULL, "[1]", "[\"a\", 1, 2]", "[\"a\", \"b\"]");
    DOCUMENTS("{\"type\": \"array\", \"prefixItems\": [{\"type\": \"string\"}], \"items\": {\"type\": \"null\"}, "
              "\"minItems\": 2}",
              "[\"a\", null]", "[\"a\", null, null]", NULL, "[\"a\"]", "[null, null]");
    DOCUMENTS("{\"prefixItems\": [{\"const\": 1}]}", "[1, \"x\", {}]", "[]", NULL, "[2]", "{}");
    DOCUMENTS("{\"type\": \"array\", \"maxItems\": 0}", "[]", NULL, "[1]");
    DOCUMENTS("{\"type\": \"array\", \"items\": {\"type\": \"array\", \"items\": {\"type\": \"boolean\"}}}",
              "[[true], [], [false, true]]", NULL, "[true]");
    DOCUMENTS("{\"allOf\": [{\"items\": {\"type\": \"integer\"}}, {\"items\": {\"minimum\": 3}, \"maxItems\": 2}]}",
              "[3,4]", NULL, "[2]", "[3,4,5]");
}

static void objects(void)
{
    DOCUMENTS("{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"ab\": {\"type\": \"string\"}, "
              "\"c\": {}}, "
              "\"required\": [\"ab\"]}",
              "{\"ab\":\"x\"}", "{\"a\": 1, \"ab\": \"x\"}", "{\n\t\"a\": 1,\n\t\"ab\": \"x\",\n\t\"c\": [{}]\n}", NULL,
              "{}", "{\"a\": 1}", "{\"ab\": 1}", "{\"ab\": \"x\", \"a\": 1}", "{\"ab\": \"x\", \"d\": 1}",
              "{\"ab\": \"x\", \"ab\": \"x\"}", "{\"ab\": \"x\",}", "{\"ab\" : \"x\"}", "{ab: 1}");
    DOCUMENTS("{\"type\": \"object\"}", "{}", "{\"x\": 1, \"y\": {\"x\": 1}}", NULL, "[]", "{\"x\": 1, \"x\": 2}",
              "{\"\xC3\xA9\": 1, \"\\u00E9\": 2}", "{\"\\u0078\": 2}", "{\"a\\u0000\": 1}");
    DOCUMENTS("{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}, \"additionalProperties\": "
              "{\"type\": \"null\"}}",
              "{}", "{\"a\":1}", "{\"b\":null}", "{\"a\":1,\"b\":null,\"aa\":null,\"\":null}", NULL, "{\"a\":null}",
              "{\"b\":1}", "{\"b\":null,\"b\":null}", "{\"b\":null,\"a\":1}");
    DOCUMENTS("{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}", "{}", "{ }", NULL,
              "{\"a\":1}", "{\"");
    DOCUMENTS("{\"required\": [\"x\", \"y\"]}", "{\"x\":1,\"y\":2}", "{\"x\":1,\"y\":2,\"z\":[]}", NULL, "{\"x\":1}",
              "{\"y\":1}", "1");
    DOCUMENTS("{\"type\": \"object\", \"properties\": {\"b\": {\"type\":\"integer\"}, \"a\": {\"type\":\"integer\"}}}",
              "{\"b\":1,\"a\":2}", "{\"a\":2}", NULL, "{\"a\":2,\"b\":1}");
    DOCUMENTS("{\"type\": \"object\", \"properties\": {\"a\": false, \"b\": true}, \"additionalProperties\": true}",
              "{}", "{\"b\":1}", "{\"c\":1}", NULL, "{\"a\":1}");
    DOCUMENTS("{\"type\": \"object\", \"properties\": {\"\xC3\xA9t\xC3\xA9\": {\"const\": 1}, \"q\\\"\\\\\": "
              "{\"const\": 2}}}",
              "{\"\xC3\xA9t\xC3\xA9\":1}", "{\"\\u00e9t\xC3\xA9\":1,\"q\\\"\\\\\":2}", NULL, "{\"\xC3\xA8\":1}",
              "{\"q\"\\\":2}");
}

static void combinations(void)
{
    DOCUMENTS("{\"anyOf\": [{\"type\": \"integer\"}, {\"type\": \"string\", \"maxLength\": 1}]}", "12", "\"a\"", NULL,
              "\"ab\"", "1.5", "null");
    DOCUMENTS("{\"anyOf\": [{\"type\": \"object\", \"properties\": {\"k\": {\"const\": \"a\"}, \"v\": {\"type\": "
              "\"integer\"}}, "
              "\"required\": [\"k\", \"v\"]}, {\"type\": \"object\", \"properties\": {\"k\": {\"const\": \"ab\"}, "
              "\"w\": {\"type\": "
              "\"null\"}}, \"required\": [\"k\", \"w\"]}]}",
              "{\"k\":\"a\",\"v\":1}", "{\"k\": \"ab\", \"w\": null}", NULL, "{\"k\":\"a\",\"w\":null}",
              "{\"k\":\"ab\",\"v\":1}");
    DOCUMENTS("{\"oneOf\": [{\"type\": \"object\", \"properties\": {\"k\": {\"const\": 1}}, \"required\": [\"k\"]}, "
              "{\"type\": \"object\", "
              "\"properties\": {\"k\": {\"enum\": [2, 3]}}, \"required\": [\"k\"]}, {\"type\": \"null\"}]}",
              "{\"k\":1}", "{\"k\":3}", "null", NULL, "{\"k\":4}", "{}");
    DOCUMENTS("{\"type\": \"object\", \"properties\": {\"a\": {\"type\":\"integer\"}, \"b\": {\"type\":\"integer\"}}, "
              "\"anyOf\": "
              "[{\"required\": [\"a\"]}, {\"required\": [\"b\"]}]}",
              "{\"a\":1}", "{\"b\":1}", "{\"a\":1,\"b\":2}", NULL, "{}");
    DOCUMENTS(
        "{\"allOf\": [{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}, \"required\": [\"a\"]}, "
        "{\"properties\": {\"a\": {\"minimum\": 5}, \"b\": {\"type\": \"string\"}}, \"required\": [\"b\"]}]}",
        "{\"a\":5,\"b\":\"\"}", NULL, "{\"a\":4,\"b\":\"\"}", "{\"a\":5}", "{\"b\":\"\"}");
    DOCUMENTS("{\"$ref\": \"#/$defs/a~1b%20c\", \"$defs\": {\"a/b c\": {\"type\": \"integer\"}}}", "1", NULL, "\"a\"");
    DOCUMENTS("{\"$ref\": \"#/$defs/n\", \"maximum\": 5, \"$defs\": {\"n\": {\"type\": \"integer\", \"minimum\": 3}}}",
              "3", "5", NULL, "2", "6");
    DOCUMENTS("{\"$defs\": {\"tree\": {\"type\": \"object\", \"properties\": {\"v\": {\"type\": \"integer\"}, "
              "\"left\": {\"$ref\": "
              "\"#/$defs/tree\"}, \"kids\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/tree\"}}}, "
              "\"required\": [\"v\"]}}, "
              "\"$ref\": \"#/$defs/tree\"}",
              "{\"v\":1}", "{\"v\":1,\"left\":{\"v\":2,\"left\":{\"v\":3}}}",
              "{\"v\":1,\"kids\":[{\"v\":2},{\"v\":3,\"kids\":[]}]}", NULL, "{\"v\":1,\"left\":{}}", "{\"kids\":[]}");
    DOCUMENTS("{\"type\": \"object\", \"properties\": {\"next\": {\"anyOf\": [{\"$ref\": \"#\"}, {\"type\": "
              "\"null\"}]}}, \"required\": "
              "[\"next\"]}",
              "{\"next\":null}", "{\"next\":{\"next\":{\"next\":null}}}", NULL, "{\"next\":{}}", "{\"next\":1}");
    DOCUMENTS(
        "{\"title\": \"t\", \"description\": \"d\", \"default\": 3, \"examples\": [1], \"$schema\": \"s\", \"x-y\": 1, "
        "\"deprecated\": true, \"uniqueItems\": false, \"type\": \"integer\"}",
        "1", NULL, "\"a\"");
    DOCUMENTS("{\"anyOf\": [false, {\"const\": 1}]}", "1", NULL, "2");
}

/* ---- errors ---- */

static void refused(const char *schema, enum ox_status code, const char *sentence)
{
    struct ox_grammar *grammar = compile(schema, true);
    OK(grammar == NULL && error.code == code && strstr(error.message, sentence) != NULL, "%.100s: %s \"%s\"", schema,
       sentence, error.message);
    ox_grammar_free(grammar);
}

static void errors(void)
{
    refused("{\"type\": \"object\", \"properties\": {\"a\": {\"not\": {}}}}", OX_E_ARG,
            "schema: #/properties/a: the keyword \"not\" is not supported");
    refused("{\"items\": {\"anyOf\": [{}, {\"multipleOf\": 3}]}}", OX_E_ARG,
            "#/items/anyOf/1: the keyword \"multipleOf\"");
    refused("{\"uniqueItems\": true}", OX_E_ARG, "uniqueItems");
    refused("{\"patternProperties\": {\"a\": {}}}", OX_E_ARG, "patternProperties");
    refused("{\"propertys\": {}}", OX_E_ARG, "propertys");
    refused("{\"type\": \"text\"}", OX_E_ARG, "type: expected");
    refused("{\"type\": []}", OX_E_ARG, "type: expected");
    refused("{\"type\": 3}", OX_E_ARG, "type: expected");
    refused("3", OX_E_ARG, "#: expected a schema");
    refused("{\"properties\": {\"a\": 3}}", OX_E_ARG, "#/properties/a: expected a schema");
    refused("{\"properties\": []}", OX_E_ARG, "properties: expected");
    refused("{\"required\": [1]}", OX_E_ARG, "required: expected");
    refused("{\"required\": \"a\"}", OX_E_ARG, "required: expected");
    refused("{\"enum\": []}", OX_E_ARG, "enum: expected");
    refused("{\"anyOf\": []}", OX_E_ARG, "#/anyOf: expected");
    refused("{\"allOf\": {}}", OX_E_ARG, "#/allOf: expected");
    refused("{\"minLength\": -1}", OX_E_ARG, "minLength: expected");
    refused("{\"maxItems\": \"a\"}", OX_E_ARG, "maxItems: expected");
    refused("{\"minimum\": \"a\"}", OX_E_ARG, "minimum: expected");
    refused("{\"type\": \"number\", \"minimum\": 1e-30}", OX_E_ARG, "minimum: a bound");
    refused("{\"type\": \"string\", \"pattern\": 3}", OX_E_ARG, "pattern: expected");
    refused("{\"type\": \"string\", \"pattern\": \"(?=a)\"}", OX_E_ARG, "#: the pattern \"(?=a)\" has look-around");
    refused("{\"properties\": {\"a\": {\"pattern\": \"a\\\\1\"}}}", OX_E_ARG, "#/properties/a: the pattern");
    refused("{\"type\": \"string\", \"format\": \"iri\"}", OX_E_ARG, "the format \"iri\" is not supported");
    refused("{\"items\": [{}]}", OX_E_ARG, "prefixItems");
    refused("{\"prefixItems\": []}", OX_E_ARG, "prefixItems: expected");
    refused("{\"$ref\": \"#/$defs/a\"}", OX_E_ARG, "$ref \"#/$defs/a\" leads nowhere");
    refused("{\"$ref\": \"http://a/b\"}", OX_E_ARG, "leads nowhere");
    refused("{\"$ref\": \"#\"}", OX_E_ARG, "refers to itself without end");
    refused("{\"$ref\": \"#/$defs/a\", \"$defs\": {\"a\": {\"allOf\": [{\"$ref\": \"#/$defs/a\"}]}}}", OX_E_ARG,
            "refers to itself");
    refused("{\"oneOf\": [{\"type\": \"integer\"}, {\"type\": \"number\"}]}", OX_E_ARG,
            "#/oneOf: alternatives 0 and 1");
    refused("{\"oneOf\": [{\"const\": 1}, {\"const\": 1.0}]}", OX_E_ARG, "alternatives 0 and 1");
    refused("{\"oneOf\": [{\"pattern\": \"a\"}, {\"minimum\": 3}]}", OX_E_ARG, "alternatives 0 and 1");
    refused("false", OX_E_ARG, "nothing can satisfy");
    refused("{\"allOf\": [{\"type\": \"string\"}, {\"type\": \"integer\"}]}", OX_E_ARG, "nothing can satisfy");
    refused("{\"type\": \"integer\", \"minimum\": 3, \"maximum\": 2}", OX_E_ARG, "nothing can satisfy");
    refused("{\"type\": \"string\", \"minLength\": 3, \"maxLength\": 2}", OX_E_ARG, "nothing can satisfy");
    refused("{\"type\": \"string\", \"pattern\": \"^(ab)*$\", \"minLength\": 3, \"maxLength\": 3}", OX_E_ARG,
            "nothing can satisfy");
    refused("{\"type\": \"array\", \"minItems\": 1, \"maxItems\": 0}", OX_E_ARG, "nothing can satisfy");
    refused("{\"type\": \"array\", \"items\": false, \"minItems\": 1}", OX_E_ARG, "nothing can satisfy");
    refused("{\"properties\": {\"a\": {\"$ref\": \"#\"}}, \"required\": [\"a\"]}", OX_E_ARG, "nothing can satisfy");
    refused("{\"additionalProperties\": false, \"required\": [\"a\"]}", OX_E_ARG, "nothing can satisfy");
    refused("{\"enum\": [{\"a\": 1}], \"required\": [\"a\"]}", OX_E_ARG, "required beside an enum");
    refused("{", OX_E_FORMAT, "schema: not valid JSON");
    struct ox_grammar *grammar = compile("{\"type\": \"integer\", \"multipleOf\": 3}", false);
    OK(accepts(grammar, ox_str_c("4")), "not strict: what is not supported is ignored");
    ox_grammar_free(grammar);
    grammar = compile("{\"oneOf\": [{\"type\": \"integer\"}, {\"type\": \"number\"}]}", false);
    OK(accepts(grammar, ox_str_c("4")), "not strict: oneOf is anyOf");
    ox_grammar_free(grammar);
}

/* ---- limits ---- */

/* `open` n times, middle, `close` n times. */
static struct ox_buf nested(const char *open, size_t n, const char *middle, const char *close)
{
    struct ox_buf text = {0};
    for (size_t i = 0; i < n; i++) {
        ox_buf_add_c(&text, open);
    }
    ox_buf_add_c(&text, middle);
    for (size_t i = 0; i < n; i++) {
        ox_buf_add_c(&text, close);
    }
    return text;
}

static void depth_of_documents(void)
{
    struct ox_grammar *grammar = compile("{}", true);
    struct ox_buf text = nested("[", OX_GRAMMAR_DEPTH, "1", "]");
    OK(accepts(grammar, ox_buf_str(&text)), "%d arrays within each other", OX_GRAMMAR_DEPTH);
    ox_buf_fini(&text);
    text = nested("[", OX_GRAMMAR_DEPTH + 1, "", "]");
    OK(!accepts(grammar, ox_buf_str(&text)), "one more is not begun");
    ox_buf_fini(&text);
    ox_grammar_free(grammar);

    /* Members that could not be completed are not even begun: in {"next": the value must fit */
    grammar = compile("{\"type\": \"object\", \"properties\": {\"next\": {\"$ref\": \"#\"}}}", true);
    text = nested("{\"next\":", OX_GRAMMAR_DEPTH - 1, "{}", "}");
    OK(accepts(grammar, ox_buf_str(&text)), "the deepest object");
    ox_buf_cut(&text, 8 * (OX_GRAMMAR_DEPTH - 1));
    ox_buf_add_c(&text, "{\"");
    struct ox_matcher *matcher = NULL;
    OK(ox_matcher_new(grammar, NULL, &matcher, NULL) == OX_OK &&
           ox_matcher_bytes(matcher, ox_str_make(text.ptr, text.len - 1), NULL) == OX_OK &&
           ox_matcher_bytes(matcher, ox_str_c("\""), NULL) == OX_E_STATE &&
           ox_matcher_bytes(matcher, ox_str_c("}"), NULL) == OX_OK,
       "in it no name is begun");
    ox_matcher_free(matcher);
    ox_buf_fini(&text);
    ox_grammar_free(grammar);

    struct ox_buf blanks = nested(" ", OX_GRAMMAR_INDENT, "", "");
    text = (struct ox_buf){0};
    ox_buf_printf(&text, "[\n%s1]", ox_buf_text(&blanks));
    grammar = compile("{\"type\": \"array\"}", true);
    OK(accepts(grammar, ox_buf_str(&text)), "%d blanks behind a line end", OX_GRAMMAR_INDENT);
    ox_buf_clear(&text);
    ox_buf_printf(&text, "[\n%s 1]", ox_buf_text(&blanks));
    OK(!accepts(grammar, ox_buf_str(&text)), "and no more");
    ox_buf_fini(&text);
    ox_buf_fini(&blanks);
    ox_grammar_free(grammar);
}

static void limit_of_schema(struct ox_buf *schema, bool good, const char *name)
{
    struct ox_grammar *grammar = compile(ox_buf_text(schema), true);
    OK((grammar != NULL) == good && (good || (error.code == OX_E_LIMIT && strncmp(error.message, "schema: ", 8) == 0)),
       "%s: %s", name, error.message);
    ox_grammar_free(grammar);
    ox_buf_fini(schema);
}

static void limits_of_schemas(void)
{
    /* each level is two: the object and its member */
    struct ox_buf text = nested("{\"items\":", OX_GRAMMAR_SCHEMA_DEPTH - 1, "{}", "}");
    limit_of_schema(&text, true, "the deepest schema");
    text = nested("{\"items\":", OX_GRAMMAR_SCHEMA_DEPTH, "{}", "}");
    limit_of_schema(&text, false, "a schema that is too deep");
    text = nested("", 1, "{\"description\":\"", "");
    while (text.len < OX_GRAMMAR_SCHEMA_BYTES - 2) {
        ox_buf_add_byte(&text, 'x');
    }
    ox_buf_add_c(&text, "\"}");
    OK(text.len == OX_GRAMMAR_SCHEMA_BYTES, "a schema of the largest size");
    limit_of_schema(&text, true, "is taken");
    text = nested(" ", OX_GRAMMAR_SCHEMA_BYTES, "{}", "");
    limit_of_schema(&text, false, "a larger one is not");
    text = nested("", 0, "{\"type\":\"string\",\"pattern\":\"^(a|b)*a(a|b){40}$\"}", "");
    limit_of_schema(&text, false, "a pattern whose automaton explodes");
    text = nested("", 0, "{\"type\":\"string\",\"pattern\":\"^((((a{99}){99}){99}){99}){99}$\"}", "");
    limit_of_schema(&text, false, "a pattern whose net explodes");
    text = nested("", 0, "{\"type\":\"string\",\"maxLength\":4000000000}", "");
    limit_of_schema(&text, true, "a length alone costs nothing");
    text = nested("", 0, "{\"type\":\"string\",\"pattern\":\"a\",\"maxLength\":4000000000}", "");
    limit_of_schema(&text, false, "a length with a pattern does");
    text = nested("", 0, "{\"anyOf\":[{},{},{},{}]}", "");
    struct ox_buf all = {0};
    ox_buf_add_c(&all, "{\"allOf\":[");
    for (int i = 0; i < 7; i++) {
        ox_buf_printf(&all, "%s%s", i > 0 ? "," : "", ox_buf_text(&text));
    }
    ox_buf_add_c(&all, "]}");
    ox_buf_fini(&text);
    limit_of_schema(&all, false, "alternatives that multiply");
    ox_buf_add_c(&all, "{\"allOf\":[{}");
    for (int i = 0; i < 64; i++) {
        ox_buf_add_c(&all, ",{}");
    }
    ox_buf_add_c(&all, "]}");
    limit_of_schema(&all, false, "schemas that hold together");
    ox_buf_add_c(&all, "{\"enum\":[0");
    for (int i = 1; i < 70000; i++) {
        ox_buf_printf(&all, ",%d", i);
    }
    ox_buf_add_c(&all, "]}");
    limit_of_schema(&all, false, "values");
    ox_buf_add_c(&all, "{\"enum\":[\"0\"");
    for (int i = 1; i < 20000; i++) {
        ox_buf_printf(&all, ",\"%d\"", i);
    }
    ox_buf_add_c(&all, "]}");
    limit_of_schema(&all, true, "many strings");
    ox_buf_add_c(&all, "{\"properties\":{\"a\":{}");
    for (int i = 0; i < 5000; i++) {
        ox_buf_printf(&all, ",\"%d\":{\"type\":\"integer\",\"minimum\":%d}", i, i % 10);
    }
    ox_buf_add_c(&all, "}}");
    limit_of_schema(&all, true, "many integers of a few ranges");
    struct ox_buf prefix = nested("x", 900, "", "");
    ox_buf_add_c(&all, "{\"properties\":{");
    for (int i = 0; i < 280; i++) {
        ox_buf_printf(&all, "%s\"%s%d\":{}", i > 0 ? "," : "", ox_buf_text(&prefix), i);
    }
    ox_buf_add_c(&all, "},\"anyOf\":[{}");
    for (int i = 0; i < 18; i++) {
        ox_buf_printf(&all, ",{\"maxItems\":%d}", i);
    }
    ox_buf_add_c(&all, "]}");
    ox_buf_fini(&prefix);
    limit_of_schema(&all, false, "names that are long together");
}

static void memory(void)
{
    static const char schema[] = "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\", \"minimum\": "
                                 "3}, \"b\": {\"enum\": [\"x\", 2, {\"y\": 1}]}, "
                                 "\"c\": {\"pattern\": \"^a+$\", \"maxLength\": 4}}, \"additionalProperties\": true}";
    static const char text[] = "{\"a\": 12, \"b\": {\"y\": 1}, \"c\": \"aa\", \"d\": [null]}";
    json_t *root = json_loads(schema, 0, NULL);
    for (long n = 1;; n++) {
        struct ox_grammar *grammar = NULL;
        struct ox_matcher *matcher = NULL;
        oom_arm(n);
        enum ox_status status = ox_grammar_from_schema(root, "schema", true, &grammar, &error);
        if (status == OX_OK) {
            status = ox_matcher_new(grammar, NULL, &matcher, &error);
        }
        if (status == OX_OK) {
            status = ox_matcher_bytes(matcher, ox_str_c(text), &error);
        }
        const bool failed = oom_disarm();
        const bool good = status == (failed ? OX_E_NOMEM : OX_OK);
        ox_matcher_free(matcher);
        ox_grammar_free(grammar);
        if (!good || !failed) {
            OK(good && n > 20, "each of %ld allocations may fail: %s", n, status == OX_OK ? "" : error.message);
            break;
        }
    }
    json_decref(root);
}

int main(void)
{
    scalars();
    bounds();
    strings();
    values();
    arrays();
    objects();
    combinations();
    errors();
    depth_of_documents();
    limits_of_schemas();
    memory();
    struct ox_grammar *grammar = NULL;
    OK(ox_grammar_from_text(ox_str_c(OX_GRAMMAR_ANY_OBJECT), "any", true, &grammar, NULL) == OX_OK &&
           accepts(grammar, ox_str_c("{\"a\": [1, {}]}")) && !accepts(grammar, ox_str_c("[]")),
       "any object");
    ox_grammar_free(grammar);
    return tap_done();
}
