/* SPDX-License-Identifier: Apache-2.0
 *
 * Random changes of a request: what a hostile client may send in place of what belongs there.
 */
#ifndef OX_TESTS_API_CHANGE_H
#define OX_TESTS_API_CHANGE_H

#include "base/rng.h"
#include "tests/api_help.h"

/* A value that a hostile client may put anywhere; a new reference. */
static inline json_t *api_random_value(struct ox_rng *rng)
{
    static const char *const values[] = {
        "null",
        "true",
        "0",
        "-1",
        "2",
        "9223372036854775807",
        "1e308",
        "\"\"",
        "\"auto\"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "[[]]",
        "[null]",
        "{\"type\": \"function\"}",
        "{\"url\": \"data:x\"}",
        "[{\"type\": \"image_url\"}]",
        "{\"type\": \"text\", \"text\": 1}",
        "\"system\"",
        "\"user\"",
        "\"tool_result\"",
        "\"function_call_output\"",
        "{\"type\": \"image\", \"source\": {\"type\": \"url\", \"url\": \"x\"}}",
        "\"assistant\"",
        "[1, 2, 3]",
        "{\"\": {\"\": {}}}",
    };
    json_t *value = api_tree(ox_str_c(values[ox_rng_below(rng, sizeof values / sizeof values[0])]));
    return value != NULL ? value : json_null();
}

/* Replace or take away a value somewhere below a tree. */
static inline void api_change(json_t *tree, struct ox_rng *rng)
{
    const size_t n = json_is_array(tree) ? json_array_size(tree) : json_object_size(tree);
    if (n == 0) {
        return;
    }
    size_t at = (size_t)ox_rng_below(rng, n);
    if (json_is_array(tree)) {
        json_t *below = json_array_get(tree, at);
        if (json_is_array(below) || json_is_object(below) ? ox_rng_below(rng, 3) > 0 : false) {
            api_change(below, rng);
        } else if (ox_rng_below(rng, 4) == 0) {
            json_array_remove(tree, at);
        } else {
            json_array_set_new(tree, at, api_random_value(rng));
        }
        return;
    }
    void *iter = json_object_iter(tree);
    for (; at > 0; at--) {
        iter = json_object_iter_next(tree, iter);
    }
    json_t *below = json_object_iter_value(iter);
    if (json_is_array(below) || json_is_object(below) ? ox_rng_below(rng, 3) > 0 : false) {
        api_change(below, rng);
    } else {
        json_object_iter_set_new(tree, iter, api_random_value(rng));
    }
}

#endif
