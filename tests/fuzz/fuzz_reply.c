/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as a stream of tokens. Invariants: every cut of the stream gives the same events; each call that begins ends
 * once, done or failed; the arguments of a done call are a JSON object; marked letters of the text never get lost.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/rng.h"
#include "text/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT_BYTES 4096
#define MARKED 'Z'
#define FIRST_ADDED 256

static const char *const added[] = {OX_TEXT_NAMESPACE,       OX_TEXT_THINK_BEGIN,   OX_TEXT_THINK_END,
                                    OX_TEXT_TOOL_CALL_BEGIN, OX_TEXT_TOOL_CALL_END, OX_TEXT_END_MESSAGE};
#define N_ADDED ((int)(sizeof added / sizeof added[0]))

/* What single bytes from 0xE0 on stand for. */
static const char *const pieces[] = {
    "<invoke name=\"",
    "f\">",
    "</invoke>",
    "<s>",
    "</s>",
    "<o>",
    "</o>",
    "<item>",
    "</item>",
    "<x>",
    "</x>",
    "<i>",
    "</i>",
    "1",
    "<invoke",
    "g\">",
    " ",
    "null",
    "{\"k\":",
    "[1]",
    "<b>",
    "</b>",
    "true",
    "\n",
    "\xE2\x82",
    "\xAC",
    "\xF0\x9F",
    "\x98",
    "<sn>",
    "</sn>",
};
#define N_PIECES ((int)(sizeof pieces / sizeof pieces[0]))

static const char tools_json[] =
    "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"s\":{\"type\":\"string\"},\"i\":{\"type\":"
    "\"integer\"}"
    ",\"b\":{\"type\":\"boolean\"},\"sn\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]},\"o\":{\"type\":"
    "\"object\",\"properties\":{\"x\":{\"type\":\"number\"},\"s\":{\"$ref\":\"#\"},\"o\":{\"type\":[\"array\","
    "\"string\"],"
    "\"items\":{\"type\":\"integer\"}}}}}}}}]";

/* A tokenizer with a token for each byte, in the order of the bytes, and the added ones. */
static struct ox_tokenizer *make_tokenizer(void)
{
    struct ox_buf json;
    struct ox_tokenizer *tokenizer = NULL;
    ox_buf_init(&json);
    ox_buf_add_c(&json, "{\"model\":{\"type\":\"BPE\",\"vocab\":{");
    unsigned other = 256;
    for (unsigned byte = 0; byte < 256; byte++) {
        const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
        ox_buf_printf(&json, "%s\"\\u%04x\":%u", byte > 0 ? "," : "", printable ? byte : other++, byte);
    }
    ox_buf_add_c(&json,
                 "},\"merges\":[]},\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
                 "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},"
                 "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]},"
                 "\"added_tokens\":[");
    for (int i = 0; i < N_ADDED; i++) {
        ox_buf_printf(&json,
                      "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                      "\"normalized\":false,\"special\":true}",
                      i > 0 ? "," : "", FIRST_ADDED + i, added[i]);
    }
    ox_buf_add_c(&json, "]}");
    struct ox_error err;
    if (ox_tokenizer_new(ox_buf_str(&json), "fuzz", NULL, &tokenizer, &err) != OX_OK) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    for (int32_t byte = 0; byte < 256; byte++) {
        const struct ox_str bytes = ox_tokenizer_bytes(tokenizer, byte);
        OX_CHECK(bytes.len == 1 && (unsigned char)bytes.ptr[0] == (unsigned char)byte);
    }
    ox_buf_fini(&json);
    return tokenizer;
}

/* Events of a whole reply. */
struct record {
    struct ox_buf log;       /* every event, neighbours of one kind as one */
    struct ox_buf kept;      /* the text of all but calls that failed after their arguments began */
    struct ox_buf arguments; /* of the call that is open */
    enum ox_reply_event_kind kind;
    int index;
    int n_begun;
    int n_done;
    bool open;
};

static void check_arguments(const struct record *record)
{
    json_error_t error;
    json_t *arguments = json_loadb(record->arguments.ptr, record->arguments.len,
                                   JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    OX_CHECK(json_is_object(arguments) || json_error_code(&error) == json_error_numeric_overflow);
    json_decref(arguments);
}

static int on_event(void *user, const struct ox_reply_event *event)
{
    struct record *record = user;
    const bool text =
        event->kind == OX_REPLY_REASONING || event->kind == OX_REPLY_CONTENT || event->kind == OX_REPLY_CALL_ARGUMENTS;
    OX_CHECK(!text || event->text.len > 0);
    if (!text || record->kind != event->kind || record->index != event->index || record->log.len == 0) {
        ox_buf_printf(&record->log, "\n%d %d ", (int)event->kind, event->index);
    }
    ox_buf_add_str(&record->log, event->text);
    record->kind = event->kind;
    record->index = event->index;
    json_t *check = json_stringn(event->text.ptr, event->text.len);
    OX_CHECK(check != NULL);
    json_decref(check);
    switch (event->kind) {
    case OX_REPLY_CALL_BEGIN:
        OX_CHECK(!record->open && event->index == record->n_begun);
        record->open = true;
        record->n_begun++;
        ox_buf_clear(&record->arguments);
        break;
    case OX_REPLY_CALL_ARGUMENTS:
        OX_CHECK(record->open && event->index == record->n_begun - 1);
        ox_buf_add_str(&record->arguments, event->text);
        break;
    case OX_REPLY_CALL_DONE:
        OX_CHECK(record->open && event->index == record->n_begun - 1);
        record->open = false;
        record->n_done++;
        check_arguments(record);
        ox_buf_add_str(&record->kept, ox_buf_str(&record->arguments));
        break;
    case OX_REPLY_CALL_FAILED:
        OX_CHECK(event->index == (record->open ? record->n_begun - 1 : -1));
        record->open = false;
        ox_buf_add_str(&record->kept, event->text);
        break;
    case OX_REPLY_REASONING:
    case OX_REPLY_CONTENT:
    default:
        ox_buf_add_str(&record->kept, event->text);
        break;
    }
    return 0;
}

static void read_reply(const struct ox_tokenizer *tokenizer, const struct ox_ids *ids, const json_t *tools,
                       bool in_reasoning, size_t step, struct record *record)
{
    struct ox_markers markers;
    struct ox_reply *reply = NULL;
    struct ox_rng rng;
    ox_markers_find(tokenizer, &markers);
    memset(record, 0, sizeof *record);
    ox_rng_init(&rng, step);
    OX_CHECK(ox_reply_new(tokenizer, &markers, tools, in_reasoning, on_event, record, &reply, NULL) == OX_OK);
    for (size_t at = 0; at < ids->len;) {
        const size_t left = ids->len - at;
        const size_t wanted = step > 1 ? (size_t)ox_rng_below(&rng, step) : 1;
        const size_t n = step == 0 || wanted > left ? left : wanted;
        OX_CHECK(ox_reply_push(reply, ids->ptr + at, n, NULL) == OX_OK);
        at += n;
    }
    OX_CHECK(ox_reply_finish(reply, NULL) == OX_OK);
    OX_CHECK(!record->open && ox_reply_calls_done(reply) == record->n_done);
    ox_reply_free(reply);
}

static size_t count_marked(struct ox_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        n += text.ptr[i] == MARKED;
    }
    return n;
}

/* Tokens of the input. Marked letters only where they cannot be part of a tag (whose text does not come out of a
 * call that is done). Returns how many there are. */
static size_t tokens_of(const uint8_t *data, size_t size, struct ox_ids *ids)
{
    size_t n_marked = 0;
    bool in_tag = false;
    for (size_t i = 0; i < size; i++) {
        char single[2] = {(char)data[i], '\0'};
        const char *text = single;
        if (data[i] < N_ADDED) {
            OX_CHECK(ox_ids_add(ids, FIRST_ADDED + data[i]) == 0);
            in_tag = in_tag || data[i] == 3 || data[i] == 4;
            in_tag = in_tag && data[i] != 0;
            continue;
        }
        if (data[i] >= 0xE0 && data[i] - 0xE0 < N_PIECES) {
            text = pieces[data[i] - 0xE0];
        }
        if (data[i] == MARKED && in_tag) {
            continue;
        }
        n_marked += data[i] == MARKED;
        for (const char *p = text; *p != '\0'; p++) {
            in_tag = *p == '<' || (in_tag && *p != '>');
            OX_CHECK(ox_ids_add(ids, (unsigned char)*p) == 0);
        }
    }
    return n_marked;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ox_tokenizer *tokenizer;
    if (size < 1 || size > MAX_INPUT_BYTES) {
        return 0;
    }
    if (tokenizer == NULL) {
        tokenizer = make_tokenizer();
    }
    static const size_t steps[] = {0, 1, 3, 8};
    struct record record[4];
    struct ox_ids ids = {NULL, 0, 0};
    json_t *tools = (data[0] & 1) != 0 ? json_loads(tools_json, 0, NULL) : NULL;
    const size_t n_marked = tokens_of(data + 1, size - 1, &ids);
    for (size_t i = 0; i < 4; i++) {
        read_reply(tokenizer, &ids, tools, (data[0] & 2) != 0, steps[i], &record[i]);
        OX_CHECK(ox_str_equal(ox_buf_str(&record[0].log), ox_buf_str(&record[i].log)));
        OX_CHECK(count_marked(ox_buf_str(&record[i].kept)) >= n_marked);
    }
    for (size_t i = 0; i < 4; i++) {
        ox_buf_fini(&record[i].log);
        ox_buf_fini(&record[i].kept);
        ox_buf_fini(&record[i].arguments);
    }
    json_decref(tools);
    ox_ids_fini(&ids);
    return 0;
}
