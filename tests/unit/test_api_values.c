/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of requests at their limits, and what is said of others, with their places.
 */
#include "server/api_values.h"

#include "tests/api_help.h"
#include "tests/tap.h"

static const struct ox_api_context context = {.max_messages = 2, .max_images = 1};

/* One member of a kind. */
static void test_members(void)
{
    json_t *body =
        api_tree(ox_str_c("{\"one\": 1, \"half\": 0.5, \"big\": 9223372036854775807, \"yes\": true, \"none\": "
                          "null, \"text\": \"5\"}"));
    const struct ox_json_at root = ox_json_root(body, "request");
    struct ox_api_error error = {0};
    float x = 7.0F;
    int64_t n = 7;
    bool flag = false;
    OK(ox_api_read_real(&root, "missing", 0, 1, &x, &error) && ox_api_read_real(&root, "none", 0, 1, &x, &error) &&
           x == 7.0F,
       "a number that is not there");
    OK(ox_api_read_real(&root, "one", 0, 1, &x, &error) && x == 1.0F, "the limit itself");
    OK(ox_api_read_real(&root, "half", 0.5, 1, &x, &error) && x == 0.5F, "the lower one");
    OK(!ox_api_read_real(&root, "one", 0, 0.99, &x, &error) && strcmp(error.param, "one") == 0, "above");
    OK(!ox_api_read_real(&root, "half", 0.6, 1, &x, &error) && strstr(error.message, "from 0.6 to 1") != NULL, "below");
    OK(!ox_api_read_real(&root, "text", 0, 10, &x, &error) && x == 0.5F, "a text is no number");
    OK(ox_api_read_natural(&root, "none", 0, 1, &n, &error) && n == 7, "a count that is not there");
    OK(ox_api_read_natural(&root, "one", 1, 1, &n, &error) && n == 1, "both limits");
    OK(!ox_api_read_natural(&root, "one", 2, 3, &n, &error) && !ox_api_read_natural(&root, "one", -3, 0, &n, &error),
       "beyond them");
    OK(!ox_api_read_natural(&root, "half", 0, 1, &n, &error) && error.http_status == 400, "half is no count");
    OK(ox_api_read_natural(&root, "big", 0, INT64_MAX, &n, &error) && n == INT64_MAX, "the largest");
    OK(ox_api_read_bool(&root, "yes", &flag, &error) && flag, "true");
    OK(ox_api_read_bool(&root, "none", &flag, &error) && flag, "not there");
    OK(!ox_api_read_bool(&root, "one", &flag, &error) && strcmp(error.param, "one") == 0, "1 is not true");
    json_decref(body);
}

/* The error of what was refused. */
static void is_refused(bool read, const struct ox_api_error *error, const char *param, const char *message)
{
    OK(!read && error->http_status == 400, "refused with 400");
    IS_STR(error->param, param, "the place");
    IS_STR(error->message, message, "the sentence");
}

static void test_places(void)
{
    json_t *body = api_tree(ox_str_c("{\"a\": [{\"b\": 5, \"c\": \"x\", \"type\": \"y\"}], \"n\": null}"));
    const struct ox_json_at root = ox_json_root(body, "request");
    const struct ox_json_at a = ox_json_member(&root, "a");
    const struct ox_json_at item = ox_json_element(&a, 0);
    const struct ox_json_at b = ox_json_member(&item, "b");
    const struct ox_json_at nothing = ox_json_member(&root, "n");
    static const char *const words[] = {"x", "y", "z"};
    struct ox_api_error error = {0};
    struct ox_str text;
    size_t which = 9;
    float x;
    is_refused(ox_api_expected(&b, "a word", &error), &error, "a[0].b", "a[0].b: expected a word, found 5");
    is_refused(ox_api_expected(&root, "a word", &error), &error, "", "request: expected a word, found an object");
    is_refused(ox_api_refuse_at(&b, "it cannot be", &error), &error, "a[0].b", "a[0].b: it cannot be");
    is_refused(ox_api_read_real(&item, "b", 0, 1, &x, &error), &error, "a[0].b",
               "a[0].b: expected a number from 0 to 1, found 5");
    OK(ox_api_maybe_object(&item, &error) && ox_api_maybe_object(&nothing, &error) && ox_api_maybe_array(&a, &error) &&
           ox_api_maybe_array(&nothing, &error),
       "what may be missing");
    is_refused(ox_api_maybe_object(&b, &error), &error, "a[0].b", "a[0].b: expected an object, found 5");
    is_refused(ox_api_maybe_array(&b, &error), &error, "a[0].b", "a[0].b: expected an array, found 5");
    OK(ox_api_text(&item, "c", &text, &error) && ox_str_is(text, "x"), "a text");
    is_refused(ox_api_text(&item, "d", &text, &error), &error, "a[0].d", "a[0].d: expected a string, found nothing");
    OK(ox_api_type(&item, words, 3, &which, &error) && which == 1, "a type");
    is_refused(ox_api_type(&item, words, 1, &which, &error), &error, "a[0].type",
               "a[0].type: expected x, found the string \"y\"");
    is_refused(ox_api_type(&b, words, 3, &which, &error), &error, "a[0].b", "a[0].b: expected an object, found 5");
    is_refused(ox_api_one_of(&b, words, 3, &which, &error), &error, "a[0].b", "a[0].b: expected x, y or z, found 5");
    json_decref(body);
}

static void test_counts(void)
{
    json_t *body = api_tree(ox_str_c("{\"none\": [], \"two\": [1, 2], \"three\": [1, 2, 3]}"));
    const struct ox_json_at root = ox_json_root(body, "request");
    const struct ox_json_at none = ox_json_member(&root, "none");
    const struct ox_json_at two = ox_json_member(&root, "two");
    const struct ox_json_at three = ox_json_member(&root, "three");
    struct ox_api_error error = {0};
    size_t n = 0;
    OK(ox_api_need_messages(&context, &two, &error), "as many as allowed");
    is_refused(ox_api_need_messages(&context, &none, &error), &error, "none",
               "none: expected an array with at least one element, found an array of 0");
    is_refused(ox_api_need_messages(&context, &three, &error), &error, "three",
               "three: expected at most 2 (--max-messages), found 3");
    OK(ox_api_count_media(&context, &two, &n, &error) && n == 1, "a picture");
    is_refused(ox_api_count_media(&context, &two, &n, &error), &error, "two",
               "two: expected at most 1 pictures and clips (--max-images)");
    json_decref(body);
}

int main(void)
{
    test_members();
    test_places();
    test_counts();
    return tap_done();
}
