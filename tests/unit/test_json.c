/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON: what is refused, how errors name the place, and the string writer against the parser.
 */
#include "base/json.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "tests/tap.h"

static json_t *parse(const char *text)
{
    json_t *root = NULL;
    struct ox_error err = {0};
    if (ox_json_parse(ox_str_c(text), "test", &root, &err) != OX_OK) {
        OK(false, "%s", err.message);
    }
    return root;
}

static void test_count(void)
{
    static const struct {
        const char *text;
        size_t n;
    } cases[] = {
        {"1", 1},          {"", 1},       {"[]", 2},          {"[1,2,3]", 4},
        {"{\"a\":[1]}", 3}, {"\"[,{\"", 1}, {"\"\\\",,\",2", 2}, {"[\"\\\\\",\"a\"]", 3},
        {"[[[[", 5},       {"\"\\", 1},   {"{},{}", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        IS_INT(ox_json_count(ox_str_c(cases[i].text)), cases[i].n, cases[i].text);
    }
}

static void test_parse(void)
{
    static const char *const good[] = {"{}",
                                       "[]",
                                       "1",
                                       "\"x\"",
                                       "null",
                                       " {\"a\": [1, 2.5, true, null]} ",
                                       "\"a\\u0000b\"",
                                       "9223372036854775807",
                                       "-9223372036854775808"};
    static const char *const bad[] = {
        "",      " ",        "{",           "{\"a\": 1, \"a\": 2}", "[1,]",    "nul", "1 2", "{\"a\": 1} x",
        "'a'",   "\"\xFF\"", "\"\\ud800\"", "9223372036854775808",  "[1e999]", "01",  "NaN", "{\"a\" 1}",
        "\"\n\""};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        json_t *root = NULL;
        OK(ox_json_parse(ox_str_c(good[i]), "f", &root, NULL) == OX_OK && root != NULL, "good: %s", good[i]);
        json_decref(root);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *root = NULL;
        struct ox_error err = {0};
        OK(ox_json_parse(ox_str_c(bad[i]), "f.json", &root, &err) == OX_E_FORMAT && root == NULL &&
               strncmp(err.message, "f.json: not valid JSON at line ", 31) == 0,
           "bad %zu: %s", i, err.message);
    }
    struct ox_error err = {0};
    json_t *root = NULL;
    OK(ox_json_parse(ox_str_make(NULL, 0), "f", &root, &err) == OX_E_FORMAT, "no bytes at all");
    OK(ox_json_parse(ox_str_c("{\n  \"a\": x\n}"), "f", &root, &err) == OX_E_FORMAT && err.offset > 8 &&
           err.offset <= 11 && strstr(err.message, "line 2") != NULL,
       "the place: byte %ju, %s", (uintmax_t)err.offset, err.message);
    OK(ox_json_parse(ox_str_c("{\"a key of \\\"many\\\" letters\": 1, \"a key of \\\"many\\\" letters\": 2}"), "f",
                     &root, &err) == OX_E_FORMAT &&
           strstr(err.message, "duplicate object key near '\"a key of \\\"many\\\" letters\"'") != NULL,
       "a doubled key is named however long: %s", err.message);
    OK(ox_json_parse(ox_str_make("{}x", 2), "f", &root, &err) == OX_OK, "needs no end");
    json_decref(root);
}

static void test_depth(void)
{
    static char text[8192];
    for (size_t depth = 2040; depth <= 2060; depth++) {
        json_t *root = NULL;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        const enum ox_status status = ox_json_parse(ox_str_make(text, 2 * depth), "f", &root, NULL);
        if ((status == OX_OK) != (depth <= 2048)) {
            OK(false, "nesting of %zu: %s", depth, ox_status_name(status));
        }
        json_decref(root);
    }
    OK(true, "nesting of 2,048 is read, of 2,049 refused");
}

static void test_places(void)
{
    json_t *root = parse("{\"a\": {\"list\": [1, {\"x\": \"deep\"}, null]}, \"none\": null}");
    const struct ox_json_at top = ox_json_root(root, "config.json");
    const struct ox_json_at a = ox_json_member(&top, "a");
    const struct ox_json_at list = ox_json_member(&a, "list");
    const struct ox_json_at second = ox_json_element(&list, 1);
    const struct ox_json_at deep = ox_json_member(&second, "x");
    struct ox_str text;
    IS_STR(deep.path, "a.list[1].x", "a path");
    OK(ox_json_get_str(&deep, &text, NULL) == OX_OK && ox_str_is(text, "deep"), "and what is there");
    OK(ox_json_member(&top, "none").value == NULL, "null is missing");
    OK(ox_json_element(&list, 2).value == NULL, "also in an array");
    OK(ox_json_element(&list, 3).value == NULL && ox_json_element(&list, SIZE_MAX).value == NULL, "behind the end");
    OK(ox_json_member(&top, "b").value == NULL, "no such member");
    const struct ox_json_at missing = ox_json_member(&top, "b");
    const struct ox_json_at below = ox_json_member(&missing, "c");
    OK(below.value == NULL && strcmp(below.path, "b.c") == 0, "below what is missing, the path goes on");
    OK(ox_json_member(&list, "x").value == NULL && ox_json_element(&top, 0).value == NULL, "of the wrong kind");

    struct ox_error err = {0};
    int64_t number;
    IS_INT(ox_json_get_i64(&deep, 1, 9, &number, &err), OX_E_FORMAT, "a string is no integer");
    IS_STR(err.message, "config.json: a.list[1].x: expected an integer from 1 to 9, found the string \"deep\"", "says");
    IS_INT(ox_json_get_i64(&below, 1, 9, &number, &err), OX_E_FORMAT, "nothing is no integer");
    IS_STR(err.message, "config.json: b.c: expected an integer from 1 to 9, found nothing", "says");
    IS_INT(ox_json_need_array(&top, &err), OX_E_FORMAT, "an object is no array");
    IS_STR(err.message, "config.json: expected an array, found an object", "at the root there is no path");

    struct ox_json_at at = top;
    for (int i = 0; i < 50; i++) {
        at = ox_json_member(&at, "a_rather_long_name_of_a_member");
        at = ox_json_element(&at, 123456);
    }
    OK(strlen(at.path) < sizeof at.path, "paths have an end");
    json_decref(root);
}

static void test_kinds(void)
{
    json_t *root =
        parse("{\"i\": 7, \"d\": 2.5, \"t\": true, \"f\": false, \"s\": \"x\\u0000y\", \"o\": {}, \"l\": [1, 2],"
              " \"big\": 9223372036854775807}");
    const struct ox_json_at top = ox_json_root(root, "f");
    static const char *const names[] = {"i", "d", "t", "f", "s", "o", "l", "big", "missing"};
    static const char *const kinds[] = {"i", "id", "tf", "s", "o", "l"};
    struct ox_error err = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct ox_json_at at = ox_json_member(&top, names[i]);
        int64_t integer;
        double number;
        bool flag;
        struct ox_str text;
        const bool got[] = {
            ox_json_get_i64(&at, 0, 100, &integer, &err) == OX_OK,
            ox_json_get_double(&at, 0, 100, &number, &err) == OX_OK,
            ox_json_get_bool(&at, &flag, &err) == OX_OK,
            ox_json_get_str(&at, &text, &err) == OX_OK,
            ox_json_need_object(&at, &err) == OX_OK,
            ox_json_need_array(&at, &err) == OX_OK,
        };
        for (size_t k = 0; k < 6; k++) {
            const bool expected = strlen(names[i]) == 1 && strchr(kinds[k], names[i][0]) != NULL;
            if (got[k] != expected) {
                OK(false, "%s as kind %zu", names[i], k);
            }
        }
    }
    OK(true, "every kind read as every other");

    int64_t integer = 0;
    double number = 0;
    bool flag = false;
    struct ox_str text = {0};
    const struct ox_json_at i = ox_json_member(&top, "i");
    const struct ox_json_at d = ox_json_member(&top, "d");
    const struct ox_json_at big = ox_json_member(&top, "big");
    const struct ox_json_at t = ox_json_member(&top, "t");
    const struct ox_json_at f = ox_json_member(&top, "f");
    const struct ox_json_at s = ox_json_member(&top, "s");
    OK(ox_json_get_i64(&i, 7, 7, &integer, NULL) == OX_OK && integer == 7, "at both limits");
    OK(ox_json_get_i64(&i, 8, 9, &integer, NULL) != OX_OK && ox_json_get_i64(&i, 0, 6, &integer, NULL) != OX_OK,
       "outside them");
    OK(ox_json_get_i64(&big, INT64_MIN, INT64_MAX, &integer, NULL) == OX_OK && integer == INT64_MAX, "all 64 bits");
    OK(ox_json_get_double(&d, 2.5, 2.5, &number, NULL) == OX_OK && number == 2.5, "a number at both limits");
    OK(ox_json_get_double(&d, 2.6, 3, &number, NULL) != OX_OK && ox_json_get_double(&d, 0, 2.4, &number, NULL) != OX_OK,
       "outside them");
    OK(ox_json_get_double(&i, 0, 9, &number, NULL) == OX_OK && number == 7.0, "an integer is a number");
    OK(ox_json_get_bool(&t, &flag, NULL) == OX_OK && flag, "true");
    OK(ox_json_get_bool(&f, &flag, NULL) == OX_OK && !flag, "false");
    OK(ox_json_get_str(&s, &text, NULL) == OX_OK && text.len == 3 && memcmp(text.ptr, "x\0y", 3) == 0,
       "a string with a NUL");
    OK(ox_json_text(s.value).len == 3 && ox_json_text(i.value).len == 0 && ox_json_text(NULL).len == 0, "as a view");
    IS_INT(ox_json_get_double(&s, 0, 1, &number, &err), OX_E_FORMAT, "a string is no number");
    OK(strstr(err.message, "expected a number from 0 to 1, found the string") != NULL, "says so: %s", err.message);
    static const char *const found[][2] = {{"d", "found 2.5"}, {"t", "found true"}, {"l", "found an array of 2"}};
    for (size_t k = 0; k < 3; k++) {
        const struct ox_json_at at = ox_json_member(&top, found[k][0]);
        (void)ox_json_expected(&at, "something else", &err);
        OK(strstr(err.message, found[k][1]) != NULL, "%s", err.message);
    }
    json_decref(root);
}

static void test_quoted(void)
{
    struct ox_buf buf = {0};
    ox_json_add_quoted(&buf, ox_str_make("a\"b\\c/\b\f\n\r\t\x01\x1F\x7F\0z", 16));
    IS_STR(ox_buf_text(&buf), "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\\u0000z\"", "every escape");
    ox_buf_clear(&buf);
    ox_json_add_escaped(&buf, ox_str_c("x\xC3\xA9\xFFy"));
    IS_STR(ox_buf_text(&buf), "x\xC3\xA9\xEF\xBF\xBDy", "without quotes; what is no UTF-8 is replaced");
    ox_buf_clear(&buf);
    ox_json_add_quoted(&buf, ox_str_make(NULL, 0));
    IS_STR(ox_buf_text(&buf), "\"\"", "nothing");

    /* Any bytes, read back, are the repaired bytes. */
    struct ox_rng rng;
    ox_rng_init(&rng, 5);
    bool same = true;
    for (int trial = 0; trial < 5000; trial++) {
        char text[32];
        const size_t n = (size_t)ox_rng_below(&rng, sizeof text);
        for (size_t i = 0; i < n; i++) {
            text[i] = (char)ox_rng_below(&rng, trial % 2 == 0 ? 256 : 96);
        }
        struct ox_buf lossy = {0};
        json_t *root = NULL;
        ox_buf_clear(&buf);
        ox_json_add_quoted(&buf, ox_str_make(text, n));
        ox_utf8_add_lossy(&lossy, ox_str_make(text, n));
        same = same && ox_json_parse(ox_buf_str(&buf), "f", &root, NULL) == OX_OK &&
               ox_str_equal(ox_json_text(root), ox_buf_str(&lossy));
        json_decref(root);
        ox_buf_fini(&lossy);
    }
    OK(same, "any bytes, quoted and read again");
    ox_buf_fini(&buf);
}

int main(void)
{
    test_count();
    test_parse();
    test_depth();
    test_places();
    test_kinds();
    test_quoted();
    return tap_done();
}
