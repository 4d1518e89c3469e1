/* SPDX-License-Identifier: Apache-2.0
 *
 * Trees to text: numbers as they were sent, no artefacts of binary fractions, everything else as jansson writes it.
 */
#include "base/json_build.h"

#include "base/json.h"
#include "tests/tap.h"

#define LIMIT 4096

static void is_written(json_t *tree, const char *text, const char *what)
{
    struct ox_buf buf = {0};
    ox_json_write(tree, &buf);
    OK(!ox_buf_failed(&buf), "%s: written", what);
    IS_STR(ox_buf_text(&buf), text, what);
    ox_buf_fini(&buf);
}

/* What comes in goes out. */
static void test_same(void)
{
    static const char *const rows[] = {
        "[0.1,50.209,2.485,1e+20,1e-07,0.30000000000000004,1.7976931348623157e+308,5e-324,-0.0,3.0]",
        "[0,-5,9223372036854775807,-9223372036854775808]",
        "{\"b\":{\"a\":[]},\"a\":{},\"\\\"\\\\\\n\":null,\"\xC3\xA9\":[true,false,[[]]]}",
        "\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\/\x7f\xC3\xA9\xF0\x9F\x98\x80\\u0000.\"",
        "0.95",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *tree = NULL;
        OK(ox_json_parse(ox_str_c(rows[i]), "row", &tree, NULL) == OX_OK, "row %zu is JSON", i);
        is_written(tree, rows[i], "a row");
        json_decref(tree);
    }
}

static void test_new_real(void)
{
    json_t *array = json_array();
    ox_json_append(&array, ox_json_new_real((double)0.95F));
    ox_json_append(&array, ox_json_new_real(-1.0 / 3.0));
    ox_json_append(&array, ox_json_new_real(1.0 / 0.0));
    is_written(array, "[0.95,-0.333333,null]", "at most 6 digits");
    json_decref(array);
}

static void test_new_text(void)
{
    json_t *array = json_array();
    ox_json_append(&array, ox_json_new_c("a"));
    ox_json_append(&array, ox_json_new_c("\xFF"));
    ox_json_append(&array, ox_json_new_text(ox_str_make("b\0c\xC3", 4)));
    is_written(array, "[\"a\",\"\xEF\xBF\xBD\",\"b\\u0000c\xEF\xBF\xBD\"]", "broken bytes are replaced");
    json_decref(array);
}

/* A key may have a NUL: names of tokens do. */
static void test_nul_key(void)
{
    json_t *object = json_object();
    OK(json_object_setn_new_nocheck(object, "a\0b", 3, json_true()) == 0, "a key with NUL");
    is_written(object, "{\"a\\u0000b\":true}", "is escaped");
    json_decref(object);
}

static bool fits(size_t depth)
{
    struct ox_buf buf = {0};
    json_t *tree = json_array();
    for (size_t i = 1; i < depth; i++) {
        json_t *outer = json_array();
        ox_json_append(&outer, tree);
        tree = outer;
    }
    ox_json_write(tree, &buf);
    const bool good = !ox_buf_failed(&buf);
    ox_buf_fini(&buf);
    json_decref(tree);
    return good;
}

static void test_limits(void)
{
    struct ox_buf buf = {0};
    OK(fits(LIMIT), "the deepest tree");
    OK(!fits(LIMIT + 1), "one deeper");
    ox_json_write(NULL, &buf);
    OK(ox_buf_failed(&buf), "no tree");
    ox_buf_fini(&buf);
}

int main(void)
{
    test_same();
    test_new_real();
    test_new_text();
    test_nul_key();
    test_limits();
    return tap_done();
}
