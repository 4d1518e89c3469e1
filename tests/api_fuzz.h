/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzz targets of the APIs share. Input: JSON text, a byte 0xFF, bytes of chance. The request is tried as it is
 * and with random members replaced.
 */
#ifndef OX_TESTS_API_FUZZ_H
#define OX_TESTS_API_FUZZ_H

#include "base/compiler.h"
#include "tests/api_change.h"
#include "tests/demo_help.h"

#define API_FUZZ_MARK 0xFF
#define API_FUZZ_MAX_BYTES 8192

/* A refusal has a 4xx, a type, a sentence, and a body that says it. */
static inline void api_fuzz_refusal(const struct ox_api *api, const struct ox_api_error *error)
{
    struct ox_buf out = {0};
    OX_CHECK(error->http_status >= 400 && error->http_status < 500 && error->type != NULL && error->message[0] != '\0');
    api->error(error, &out);
    json_t *tree = api_tree(ox_buf_str(&out));
    OX_CHECK(json_is_string(api_at(tree, "error.message")));
    json_decref(tree);
    ox_buf_fini(&out);
}

/* The body of a target: try is called with a request n_changes times. context is made at the first input. */
static inline int api_fuzz(const uint8_t *data, size_t size, int n_changes, struct ox_api_context *context,
                           void (*try)(json_t *body, uint64_t seed))
{
    if (size > API_FUZZ_MAX_BYTES) {
        return 0;
    }
    if (context->engine == NULL) {
        *context = api_context(demo_open(tap_file("demo"), 1));
    }
    const uint8_t *mark = size > 0 ? memchr(data, API_FUZZ_MARK, size) : NULL;
    const size_t len = mark != NULL ? (size_t)(mark - data) : size;
    const uint64_t seed = ox_str_hash(ox_str_make((const char *)data + len, size - len));
    struct ox_rng rng;
    ox_rng_init(&rng, seed);
    json_t *body = api_tree(ox_str_make((const char *)data, len));
    for (int i = 0; i < n_changes && body != NULL; i++) {
        try(body, seed + (uint64_t)i);
        api_change(body, &rng);
    }
    json_decref(body);
    return 0;
}

#endif
