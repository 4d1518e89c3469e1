/* SPDX-License-Identifier: Apache-2.0
 *
 * Random answers for tests of APIs whose replies are rows of parts, and a form to compare them in: a line for each part,
 * "R:" reasoning, "T:" text, "C:" a call's name and arguments; neighbours of one kind are one.
 */
#ifndef OX_TESTS_API_RANDOM_H
#define OX_TESTS_API_RANDOM_H

#include "base/rng.h"
#include "tests/api_help.h"

/* Calls of this name fail. */
#define API_FAILING "broken"

struct api_row {
    struct ox_buf text;
    char kind; /* of the last part */
};

static inline void api_row_add(struct api_row *row, char kind, struct ox_str text)
{
    if (text.len > 0 && (kind == 'C' || kind != row->kind)) {
        ox_buf_printf(&row->text, "\n%c:", kind);
        row->kind = kind;
    }
    ox_buf_add_str(&row->text, text);
}

/* A call, left out if it failed. */
static inline void api_row_call(struct api_row *row, const char *name, const char *arguments)
{
    char text[512];
    if (strcmp(name, API_FAILING) != 0) {
        snprintf(text, sizeof text, "%s%s", name, arguments);
        api_row_add(row, 'C', ox_str_c(text));
    }
}

/* Who gets the events, and what should become of them. */
struct api_player {
    const struct ox_api *api;
    struct ox_reply *reply;
    struct ox_buf *out;
    struct ox_rng rng;
    struct api_row expected;
    int32_t n_calls;
    bool good;
};

static inline void api_play(struct api_player *p, enum oxcart_event_kind kind, int32_t index, const char *text)
{
    const struct oxcart_event token = {.kind = OXCART_EVENT_TOKEN, .id = 5, .text = text, .text_bytes = strlen(text)};
    const struct oxcart_event event = api_event(kind, index, text);
    p->good = p->good && p->api->event(p->reply, 0, &token, p->out) && p->api->event(p->reply, 0, &event, p->out);
}

/* A call in pieces, perhaps with reasoning in between, done or failed. */
static inline void api_play_call(struct api_player *p)
{
    static const char *const pieces[] = {"{", "\"city\": ", "\"R\\u00f6", "me \\\"x\\\"\"", ", \"days\": [1, 2]", "}"};
    const bool fails = ox_rng_below(&p->rng, 3) == 0;
    const char *name = fails ? API_FAILING : "get_weather";
    const size_t n = fails ? ox_rng_below(&p->rng, 6) : 6;
    const int32_t index = p->n_calls++;
    char arguments[128] = "";
    struct ox_buf late = {0};
    api_play(p, OXCART_EVENT_CALL_BEGIN, index, name);
    for (size_t i = 0; i < n; i++) {
        api_play(p, OXCART_EVENT_CALL_ARGUMENTS, index, pieces[i]);
        snprintf(arguments + strlen(arguments), sizeof arguments - strlen(arguments), "%s", pieces[i]);
        if (ox_rng_below(&p->rng, 8) == 0) {
            api_play(p, OXCART_EVENT_REASONING, 0, "hm?");
            ox_buf_add_c(&late, "hm?");
        }
    }
    api_play(p, fails ? OXCART_EVENT_CALL_FAILED : OXCART_EVENT_CALL_DONE, index, fails ? "<raw call>" : "");
    api_row_call(&p->expected, name, arguments);
    api_row_add(&p->expected, 'R', ox_buf_str(&late));
    api_row_add(&p->expected, 'T', ox_str_c(fails ? "<raw call>" : ""));
    ox_buf_fini(&late);
}

static inline void api_play_random(struct api_player *p)
{
    static const char *const texts[] = {"Hello", " world", "\n", "\xC3\xA4\xF0\x9F\x98\x80", "\"quoted\\\"", ""};
    const size_t n = ox_rng_below(&p->rng, 12);
    for (size_t i = 0; i < n; i++) {
        const char *text = texts[ox_rng_below(&p->rng, 6)];
        switch (ox_rng_below(&p->rng, 5)) {
        case 0:
        case 1:
            api_play(p, OXCART_EVENT_CONTENT, 0, text);
            api_row_add(&p->expected, 'T', ox_str_c(text));
            break;
        case 2:
            api_play(p, OXCART_EVENT_REASONING, 0, text);
            api_row_add(&p->expected, 'R', ox_str_c(text));
            break;
        case 3:
            api_play_call(p);
            break;
        default:
            api_play(p, OXCART_EVENT_CALL_FAILED, -1, "<no name");
            api_row_add(&p->expected, 'T', ox_str_c("<no name"));
            break;
        }
    }
}

/* ---- what a client makes of replies ----------------------------------------------------------------------------- */

/* A block of the Messages API. */
static inline void api_row_block(struct api_row *row, json_t *block)
{
    const char *type = api_text(block, "type");
    if (strcmp(type, "text") == 0) {
        api_row_add(row, 'T', ox_json_text(json_object_get(block, "text")));
    } else if (strcmp(type, "thinking") == 0) {
        api_row_add(row, 'R', ox_json_text(json_object_get(block, "thinking")));
    } else {
        char *input = json_dumps(json_object_get(block, "input"), 0);
        api_row_call(row, api_text(block, "name"), input);
        free(input);
    }
}

/* The blocks that a client makes of a stream. */
static inline json_t *api_join_blocks(json_t *events)
{
    json_t *blocks = json_array();
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event)
    {
        json_t *data = json_object_get(event, "data");
        json_t *block = json_array_get(blocks, (size_t)json_integer_value(json_object_get(data, "index")));
        const char *type = api_text(data, "type");
        static const char *const keys[] = {"text", "thinking", "signature", "partial_json"};
        if (strcmp(type, "content_block_start") == 0) {
            json_array_append(blocks, json_object_get(data, "content_block"));
        }
        for (size_t k = 0; strcmp(type, "content_block_delta") == 0 && k < 4; k++) {
            const char *more = json_string_value(json_object_get(json_object_get(data, "delta"), keys[k]));
            const char *old = json_string_value(json_object_get(block, keys[k]));
            if (more != NULL) {
                json_object_set_new(block, keys[k], json_sprintf("%s%s", old != NULL ? old : "", more));
            }
        }
        if (strcmp(type, "content_block_stop") == 0 && json_object_get(block, "partial_json") != NULL) {
            json_t *input = api_tree(ox_json_text(json_object_get(block, "partial_json")));
            json_object_set_new(block, "input", input != NULL ? input : json_null());
        }
    }
    return blocks;
}

/* An item of the Responses API; calls that failed are not completed. */
static inline void api_row_item(struct api_row *row, json_t *item)
{
    const char *type = api_text(item, "type");
    if (strcmp(type, "message") == 0) {
        api_row_add(row, 'T', ox_json_text(api_at(item, "content.0.text")));
    } else if (strcmp(type, "reasoning") == 0) {
        api_row_add(row, 'R', ox_json_text(api_at(item, "content.0.text")));
    } else if (strcmp(api_text(item, "status"), "completed") == 0) {
        api_row_call(row, api_text(item, "name"), api_text(item, "arguments"));
    }
}

/* The items that a client makes of the pieces of a stream. */
static inline json_t *api_join_items(json_t *events)
{
    json_t *items = json_array();
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event)
    {
        json_t *data = json_object_get(event, "data");
        json_t *item = json_array_get(items, (size_t)json_integer_value(json_object_get(data, "output_index")));
        const char *delta = json_string_value(json_object_get(data, "delta"));
        if (strcmp(api_text(data, "type"), "response.output_item.added") == 0) {
            json_array_append(items, json_object_get(data, "item"));
        } else if (strcmp(api_text(data, "type"), "response.content_part.added") == 0) {
            json_array_append(json_object_get(item, "content"), json_object_get(data, "part"));
        } else if (strcmp(api_text(data, "type"), "response.output_item.done") == 0) {
            json_object_set(item, "status", api_at(data, "item.status"));
        }
        json_t *owner = api_at(item, "content.0");
        const char *key = owner != NULL ? "text" : "arguments";
        owner = owner != NULL ? owner : item;
        if (delta != NULL) {
            json_object_set_new(owner, key, json_sprintf("%s%s", api_text(owner, key), delta));
        }
    }
    return items;
}

#endif
