/* SPDX-License-Identifier: Apache-2.0
 *
 * Python's spelling of JSON. The expected texts were printed by Python's json.dumps.
 */
#include "text/pyjson.h"

#include "base/json.h"
#include "tests/tap.h"

static void test_dumps(void)
{
    static const struct {
        const char *json;
        const char *text;
    } rows[] = {
        {"{}", "{}"},
        {"[]", "[]"},
        {"[ 1 ,2,{\"b\":1,\"a\":[]} ]", "[1, 2, {\"b\": 1, \"a\": []}]"},
        {"\"\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\\\/\\u007f\\u00e9\\ud83d\\ude00\"",
         "\"\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\x7f\xC3\xA9\xF0\x9F\x98\x80\""},
        {"[true,false,null,-5,9223372036854775807,-9223372036854775808,1.0,1E20,-0]",
         "[true, false, null, -5, 9223372036854775807, -9223372036854775808, 1.0, 1e+20, 0]"},
    };
    struct ox_buf buf;
    ox_buf_init(&buf);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *value = NULL;
        OK(ox_json_parse(ox_str_c(rows[i].json), "row", &value, NULL) == OX_OK, "row %zu is JSON", i);
        ox_buf_clear(&buf);
        ox_pyjson_add(&buf, value, 8);
        IS_STR(ox_buf_text(&buf), rows[i].text, "dumps");
        json_decref(value);
    }
    ox_buf_fini(&buf);
}

static void test_depth(void)
{
    json_t *value = json_pack("{s:[{}], s:i}", "a", "b", 1);
    OK(ox_pyjson_within(value, 3), "depth 3 is within 3");
    OK(!ox_pyjson_within(value, 2), "depth 3 is not within 2");
    json_t *number = json_integer(1);
    OK(ox_pyjson_within(number, 0), "a number has depth 0");
    json_decref(number);
    json_decref(value);
}

int main(void)
{
    test_dumps();
    test_depth();
    return tap_done();
}
