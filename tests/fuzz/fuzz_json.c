/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON: what parses and is written again parses to the same; no more values than are counted before; every accessor answers or names the place; any bytes,
 * quoted, read back as the repaired bytes; numbers read from text are those that JSON reads.
 */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_VISITS 2000

/* Ask every question of a value and of what is below it. */
static void visit(const struct ox_json_at *at, int depth, int *n_left)
{
    int64_t integer;
    double number;
    bool flag;
    struct ox_str text;
    struct ox_error err = {0};
    if (depth == 0 || --*n_left < 0) {
        return;
    }
    const int n_kinds = (ox_json_get_i64(at, INT64_MIN, INT64_MAX, &integer, &err) == OX_OK) +
                        (ox_json_get_bool(at, &flag, &err) == OX_OK) + (ox_json_get_str(at, &text, &err) == OX_OK) +
                        (ox_json_need_object(at, &err) == OX_OK) + (ox_json_need_array(at, &err) == OX_OK);
    OX_CHECK(n_kinds <= 1);
    OX_CHECK(ox_json_get_double(at, -INFINITY, INFINITY, &number, &err) == OX_OK || !json_is_number(at->value));
    OX_CHECK(strlen(at->path) < sizeof at->path);
    if (at->value == NULL) {
        OX_CHECK(n_kinds == 0 && strstr(err.message, "found nothing") != NULL);
    }
    const struct ox_json_at nowhere = ox_json_member(at, "no such member");
    OX_CHECK(nowhere.value == NULL || json_is_object(at->value));
    for (size_t i = 0; i < json_array_size(at->value); i++) {
        const struct ox_json_at element = ox_json_element(at, i);
        visit(&element, depth - 1, n_left);
    }
    for (const char *key = NULL; json_is_object(at->value);) {
        void *next = key == NULL ? json_object_iter((json_t *)(uintptr_t)at->value)
                                 : json_object_iter_next((json_t *)(uintptr_t)at->value, json_object_key_to_iter(key));
        if (next == NULL) {
            break;
        }
        key = json_object_iter_key(next);
        const struct ox_json_at member = ox_json_member(at, key);
        visit(&member, depth - 1, n_left);
    }
}

/* Values in a tree. */
static size_t count(const json_t *value)
{
    size_t n = 1;
    for (size_t i = 0; i < json_array_size(value); i++) {
        n += count(json_array_get(value, i));
    }
    json_t *object = (json_t *)(uintptr_t)value;
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        n += count(json_object_iter_value(at));
    }
    return n;
}

static void check_quoted(struct ox_str text)
{
    struct ox_buf quoted = {0};
    struct ox_buf lossy = {0};
    json_t *root = NULL;
    ox_json_add_quoted(&quoted, text);
    ox_utf8_add_lossy(&lossy, text);
    OX_CHECK(ox_json_parse(ox_buf_str(&quoted), "quoted", &root, NULL) == OX_OK);
    OX_CHECK(ox_str_equal(ox_json_text(root), ox_buf_str(&lossy)));
    json_decref(root);
    ox_buf_fini(&quoted);
    ox_buf_fini(&lossy);
}

static void check_numbers(struct ox_str text, const json_t *root)
{
    int64_t integer;
    double number;
    if (json_is_integer(root) && ox_str_to_i64(text, &integer)) {
        OX_CHECK(integer == json_integer_value(root));
    }
    if (json_is_real(root) && ox_str_to_double(text, &number)) {
        OX_CHECK(memcmp(&number, &(double){json_real_value(root)}, sizeof number) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ox_str text = ox_str_make((const char *)data, size);
    struct ox_error err = {0};
    json_t *root = NULL;
    check_quoted(text);
    const enum ox_status status = ox_json_parse(text, "input", &root, &err);
    if (status != OX_OK) {
        OX_CHECK(status == OX_E_FORMAT && root == NULL && err.code == OX_E_FORMAT && err.offset <= size + 1);
        return 0;
    }
    OX_CHECK(ox_json_count(text) >= count(root));
    const struct ox_json_at at = ox_json_root(root, "input");
    int n_left = MAX_VISITS;
    visit(&at, 64, &n_left);
    check_numbers(text, root);
    char *again = json_dumps(root, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
    OX_CHECK(again != NULL);
    json_t *copy = NULL;
    OX_CHECK(ox_json_parse(ox_str_c(again), "again", &copy, &err) == OX_OK && json_equal(root, copy));
    json_decref(copy);
    free(again);
    json_decref(root);
    return 0;
}
