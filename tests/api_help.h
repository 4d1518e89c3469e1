/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the APIs share: requests as JSON text, hand-made events, streams taken apart.
 */
#ifndef OX_TESTS_API_HELP_H
#define OX_TESTS_API_HELP_H

#include "base/json.h"
#include "server/api.h"

static inline struct ox_api_context api_context(struct oxcart_engine *engine)
{
    struct ox_api_context context = {.engine = engine,
                                     .alias = "demo",
                                     .n_ctx = 2048,
                                     .max_messages = 40,
                                     .max_images = 3,
                                     .max_schema_bytes = 1000,
                                     .max_choices = 4};
    context.info.size = sizeof context.info;
    (void)oxcart_engine_info(engine, &context.info);
    return context;
}

/* The tree of a text that is right; NULL where it is not. */
static inline json_t *api_tree(struct ox_str text)
{
    json_t *tree = NULL;
    return ox_json_parse(text, "test", &tree, NULL) == OX_OK ? tree : NULL;
}

/* Read a request; ask and error are begun anew. */
static inline bool api_read(const struct ox_api *api, const struct ox_api_context *context, const char *json,
                            struct ox_ask *ask, struct ox_api_error *error)
{
    *ask = (struct ox_ask){0};
    *error = (struct ox_api_error){0};
    json_t *body = api_tree(ox_str_c(json));
    const bool read = body != NULL && api->read(context, body, ask, error);
    json_decref(body);
    return read;
}

static inline struct oxcart_event api_event(enum oxcart_event_kind kind, int32_t index, const char *text)
{
    return (struct oxcart_event){.kind = kind, .index = index, .text = text, .text_bytes = strlen(text)};
}

/* A member of a member ...: "choices.0.delta.content", NULL if there is none. */
static inline json_t *api_at(json_t *tree, const char *path)
{
    json_t *value = tree;
    struct ox_str left = ox_str_c(path);
    while (left.len > 0 && value != NULL) {
        const size_t n = ox_str_find(left, ox_str_c("."), 0);
        uint64_t i;
        if (json_is_array(value)) {
            value = ox_str_to_u64(ox_str_make(left.ptr, n), &i) ? json_array_get(value, (size_t)i) : NULL;
        } else {
            value = json_object_getn(value, left.ptr, n);
        }
        const size_t skip = n < left.len ? n + 1 : n;
        left = ox_str_make(left.ptr + skip, left.len - skip);
    }
    return value;
}

/* The string there, or "(none)". */
static inline const char *api_text(json_t *tree, const char *path)
{
    const char *text = json_string_value(api_at(tree, path));
    return text != NULL ? text : "(none)";
}

/* Take a stream apart: an array of {"event", "data"}, where data is a tree, or the string "[DONE]"; comments are left
 * out. NULL if it is not made as a stream must be. */
static inline json_t *api_stream(struct ox_str stream)
{
    json_t *events = json_array();
    json_t *event = json_object();
    size_t at = 0;
    bool good = true;
    while (at < stream.len && good) {
        const size_t end = ox_str_find(stream, ox_str_c("\n"), at);
        const struct ox_str line = ox_str_make(stream.ptr + at, end - at);
        good = end < stream.len;
        at = end + 1;
        if (line.len == 0) {
            if (json_object_size(event) > 0) {
                good = good && json_object_get(event, "data") != NULL;
                json_array_append(events, event);
            }
            json_decref(event);
            event = json_object();
        } else if (ox_str_starts(line, ox_str_c("event: "))) {
            json_object_set_new(event, "event", json_stringn(line.ptr + 7, line.len - 7));
        } else if (ox_str_starts(line, ox_str_c("data: "))) {
            const struct ox_str data = ox_str_make(line.ptr + 6, line.len - 6);
            json_t *tree = ox_str_is(data, "[DONE]") ? json_string("[DONE]") : api_tree(data);
            good = good && tree != NULL && json_object_get(event, "data") == NULL;
            json_object_set_new(event, "data", tree != NULL ? tree : json_null());
        } else {
            good = good && line.ptr[0] == ':';
        }
    }
    good = good && json_object_size(event) == 0;
    json_decref(event);
    if (!good) {
        json_decref(events);
        return NULL;
    }
    return events;
}

#endif
