/* SPDX-License-Identifier: Apache-2.0
 *
 * The reply parser: a table of streams and their events, each cut in every way and spelled with other tokens; calls
 * that the chat format renders come back as they were; limits and the handler's stop.
 */
#include "text/reply.h"

#include "base/json.h"
#include "base/rng.h"
#include "tests/oom.h"
#include "tests/tap.h"
#include "text/chat.h"
#include "text/toolcall.h"

#define NS OX_TEXT_NAMESPACE

/* In streams: one byte for each token that text cannot spell. */
#define N "\1"           /* NS */
#define THINK "\2"       /* <mm:think> */
#define UNTHINK "\3"     /* </mm:think> */
#define CALLS "\1\4"     /* NS<tool_call> */
#define END_CALLS "\1\5" /* NS</tool_call> */
#define STOP "\6"        /* [e~[ */

static struct ox_tokenizer *tokenizer;
static struct ox_markers markers;
static int32_t byte_id[256];

/* Events written down: "R(text)", "C(text)", "B0(name)", "A0(text)", "D0", "F0(raw)", neighbours of one kind as one. */
struct record {
    struct ox_buf buf;
    enum ox_reply_event_kind kind;
    int index;
    int n_events;
    int stop_after; /* 0: never */
    bool all_valid;
};

static int on_event(void *user, const struct ox_reply_event *event)
{
    struct record *record = user;
    static const char letters[] = "RCBADF";
    const bool text =
        event->kind == OX_REPLY_REASONING || event->kind == OX_REPLY_CONTENT || event->kind == OX_REPLY_CALL_ARGUMENTS;
    const bool same = text && record->n_events > 0 && record->kind == event->kind && record->index == event->index;
    if (same) {
        ox_buf_cut(&record->buf, record->buf.len - 1);
    } else {
        ox_buf_add_byte(&record->buf, letters[event->kind]);
        if (event->index >= 0) {
            ox_buf_printf(&record->buf, "%d", event->index);
        }
    }
    if (event->kind != OX_REPLY_CALL_DONE) {
        ox_buf_add_c(&record->buf, same ? "" : "(");
        ox_buf_add_str(&record->buf, event->text);
        ox_buf_add_byte(&record->buf, ')');
    }
    json_t *check = json_stringn(event->text.ptr, event->text.len);
    record->all_valid = record->all_valid && check != NULL;
    json_decref(check);
    record->kind = event->kind;
    record->index = event->index;
    record->n_events++;
    return record->stop_after > 0 && record->n_events >= record->stop_after;
}

static void record_init(struct record *record)
{
    memset(record, 0, sizeof *record);
    record->all_valid = true;
}

/* Tokens of a stream. by_byte: ordinary text one token a byte; spelled: <tool_call> from ordinary tokens. */
static void tokens_of(struct ox_str stream, bool by_byte, bool spelled, struct ox_ids *ids)
{
    const int32_t special[] = {
        [1] = markers.name_space,      [2] = markers.think_begin,   [3] = markers.think_end,
        [4] = markers.tool_call_begin, [5] = markers.tool_call_end, [6] = markers.end_message,
    };
    struct ox_buf text;
    ox_buf_init(&text);
    for (size_t i = 0; i <= stream.len; i++) {
        const unsigned char byte = i < stream.len ? (unsigned char)stream.ptr[i] : 1;
        if (spelled && (byte == 4 || byte == 5)) {
            ox_buf_add_c(&text, byte == 4 ? OX_TEXT_TOOL_CALL_BEGIN : OX_TEXT_TOOL_CALL_END);
            continue;
        }
        if (byte < 1 || byte > 6) {
            ox_buf_add_byte(&text, (char)byte);
            continue;
        }
        const struct ox_range all = {0, text.len};
        int bad = 0;
        if (by_byte) {
            for (size_t k = 0; k < text.len; k++) {
                bad += ox_ids_add(ids, byte_id[(unsigned char)text.ptr[k]]) != 0;
            }
        } else if (text.len > 0) {
            bad += ox_tokenizer_encode(tokenizer, ox_buf_str(&text), &all, 1, ids, NULL) != OX_OK;
        }
        bad += i < stream.len && ox_ids_add(ids, special[byte]) != 0;
        if (bad != 0) {
            OK(false, "encoding works");
        }
        ox_buf_clear(&text);
    }
    ox_buf_fini(&text);
}

enum cut { CUT_NONE, CUT_ALL, CUT_RANDOM };

/* Push ids in pieces and write the events down. */
static enum ox_status read_reply(const struct ox_ids *ids, const json_t *tools, bool starts_in_reasoning, enum cut cut,
                                 struct ox_rng *rng, struct record *record)
{
    struct ox_reply *reply = NULL;
    struct ox_error err;
    enum ox_status status =
        ox_reply_new(tokenizer, &markers, tools, starts_in_reasoning, on_event, record, &reply, &err);
    size_t at = 0;
    while (status == OX_OK && at < ids->len) {
        const size_t left = ids->len - at;
        size_t n = cut == CUT_ALL ? 1 : left;
        if (cut == CUT_RANDOM) {
            n = (size_t)ox_rng_below(rng, left < 9 ? left + 1 : 9);
        }
        status = ox_reply_push(reply, ids->ptr + at, n, &err);
        at += n;
    }
    if (status == OX_OK) {
        status = ox_reply_finish(reply, &err);
    }
    ox_reply_free(reply);
    return status;
}

/* One stream, cut and spelled in every way, gives `expected`. */
static void check_stream(struct ox_str stream, const json_t *tools, bool starts_in_reasoning, const char *expected,
                         const char *name)
{
    struct ox_rng rng;
    int n_different = 0;
    ox_rng_init(&rng, 1);
    for (int form = 0; form < 4; form++) {
        struct ox_ids ids = {NULL, 0, 0};
        tokens_of(stream, (form & 1) != 0, (form & 2) != 0, &ids);
        for (int i = 0; i < 12; i++) {
            struct record record;
            record_init(&record);
            static const enum cut first[] = {CUT_NONE, CUT_ALL};
            const enum cut cut = i < 2 ? first[i] : CUT_RANDOM;
            const enum ox_status status = read_reply(&ids, tools, starts_in_reasoning, cut, &rng, &record);
            const bool same = status == OX_OK && strcmp(ox_buf_text(&record.buf), expected) == 0 && record.all_valid;
            if (!same && n_different++ == 0) {
                NOTE("%s, form %d, cut %d: status %d", name, form, i, (int)status);
                NOTE("expected %s", expected);
                NOTE("found    %s", ox_buf_text(&record.buf));
            }
            ox_buf_fini(&record.buf);
        }
        ox_ids_fini(&ids);
    }
    OK(n_different == 0, "%s", name);
}

static const char tools_json[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{"
    "\"s\":{\"type\":\"string\"},\"i\":{\"type\":\"integer\"},\"n\":{\"type\":\"number\"},\"b\":{\"type\":\"boolean\"},"
    "\"o\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"integer\"},\"y\":{\"type\":\"array\",\"items\":{"
    "\"type\":\"number\"}}},\"additionalProperties\":{\"type\":\"boolean\"}},\"a\":{\"items\":{\"type\":\"integer\"}},"
    "\"sn\":{\"type\":[\"string\",\"null\"]},\"in\":{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]},"
    "\"r\":{\"$ref\":\"#/$defs/p\"},\"e\":{\"enum\":[1,2]},\"loop\":{\"$ref\":\"#/properties/loop\"}},"
    "\"$defs\":{\"p\":{\"type\":\"object\",\"properties\":{\"q\":{\"type\":\"boolean\"}}}}}}}]";

#define INVOKE(name) N "<invoke name=\"" name "\">"
#define END_INVOKE N "</invoke>"
#define PARAM(key, value) N "<" key ">" value N "</" key ">"
#define CALL_F(params) CALLS "\n" INVOKE("f") params END_INVOKE "\n" END_CALLS

struct row {
    const char *stream;
    const char *expected;
    const char *name;
};

static const struct row text_rows[] = {
    {"", "", "nothing"},
    {"Hello", "C(Hello)", "plain content"},
    {"Hello" STOP, "C(Hello)", "the stop token is no text"},
    {THINK "why" UNTHINK "so", "R(why)C(so)", "reasoning, then content"},
    {UNTHINK "so", "C(so)", "no thought"},
    {"a" UNTHINK "b", "C(ab)", "a stray end of reasoning"},
    {THINK "a" THINK "b", "R(ab)", "a stray begin of reasoning, no end"},
    {"a" THINK "b" UNTHINK "c" THINK "d" UNTHINK "e", "C(a)R(b)C(c)R(d)C(e)", "reasoning twice"},
    {THINK "\n\n" UNTHINK "\n\nx\n", "R(\n\n)C(\n\nx\n)", "nothing is trimmed"},
    {THINK CALLS INVOKE("f") UNTHINK, "R(" NS "<tool_call>" NS "<invoke name=\"f\">)", "markup in reasoning is text"},
    {"\xC3\xA9\xF0\x9F\x98\x80", "C(\xC3\xA9\xF0\x9F\x98\x80)", "characters of several bytes"},
    {"a\xF0\x9F", "C(a\xEF\xBF\xBD)", "half a character at the end"},
    {"\xF0\x9F" THINK "\x98\x80", "C(\xEF\xBF\xBD)R(\xEF\xBF\xBD\xEF\xBF\xBD)", "a marker splits a character"},
    {"\xF0\x9F" STOP "\x98\x80", "C(\xF0\x9F\x98\x80)", "a silent token does not"},
    {"\xFF\x80x\xE0\x80", "C(\xEF\xBF\xBD\xEF\xBF\xBDx\xEF\xBF\xBD\xEF\xBF\xBD)", "no UTF-8"},
    {"a\4b\5c", "C(a<tool_call>b</tool_call>c)", "tool call tokens without NS are text"},
    {"a" N "b", "C(a" NS "b)", "a stray NS is text"},
    {"a" N, "C(a" NS ")", "NS at the end is text"},
    {"a" N " \n<tool", "C(a" NS " \n<tool)", "half a tag at the end is text"},
    {N N "\4", "C(" NS ")", "NS twice: the first is stray"},
    {"a" END_CALLS "b", "C(a" NS "</tool_call>b)", "an end without a begin is text"},
    {"a" INVOKE("f") END_INVOKE, "C(a" NS "<invoke name=\"f\">" NS "</invoke>)",
     "an invoke outside of a block is text"},
    {"a\n" CALLS "\n" END_CALLS "\nb", "C(a\n\nb)", "an empty block"},
    {CALLS " x " N "y" END_CALLS, "C( x " NS "y)", "text in a block is content"},
    {CALLS "x" N "</tool_call>" CALLS " " END_CALLS, "C(x)", "blanks in a block behind one with text"},
    {CALLS "\n\n" N, "C(\n\n" NS ")", "a block that is cut off"},
};

static const struct row call_rows[] = {
    {CALL_F(""), "B0(f)A0({})D0", "no parameters"},
    {"a\n" CALL_F(PARAM("s", "x")) "\nb", "C(a\n)B0(f)A0({\"s\": \"x\"})D0C(\nb)", "a string, and text around"},
    {CALL_F(PARAM("s", "") PARAM("t", " \n") PARAM("u", " v ")),
     "B0(f)A0({\"s\": \"\", \"t\": \" \\n\", \"u\": \" v \"})D0", "strings stay as they are"},
    {CALL_F(PARAM("s", "\"\\\n\t\x7F\xC3\xA9<b>&</s>\4")),
     "B0(f)A0({\"s\": \"\\\"\\\\\\n\\t\x7F\xC3\xA9<b>&</s><tool_call>\"})D0", "strings are escaped"},
    {CALL_F(PARAM("s", "\xE2\x82" STOP "\xAC\xF0\x9F")), "B0(f)A0({\"s\": \"\xE2\x82\xAC\xEF\xBF\xBD\"})D0",
     "bytes in strings"},
    {CALL_F(PARAM("i", " 12 ") PARAM("n", "1.50") PARAM("b", "Yes") PARAM("e", "2")),
     "B0(f)A0({\"i\": 12, \"n\": 1.5, \"b\": true, \"e\": 2})D0", "scalars"},
    {CALL_F(PARAM("i", "-123456789012345678901234567890") PARAM("n", "2.0") PARAM("b", "OFF")),
     "B0(f)A0({\"i\": -123456789012345678901234567890, \"n\": 2, \"b\": false})D0", "long and integral numbers"},
    {CALL_F(PARAM("i", "1.5") PARAM("n", "nan") PARAM("b", "maybe") PARAM("e", "x")),
     "B0(f)A0({\"i\": \"1.5\", \"n\": \"nan\", \"b\": \"maybe\", \"e\": \"x\"})D0", "what fails stays a string"},
    {CALL_F(PARAM("i", "+007") PARAM("n", "1e400") PARAM("in", "-0")),
     "B0(f)A0({\"i\": 7, \"n\": \"1e400\", \"in\": 0})D0", "numbers come out as JSON has them"},
    {CALL_F(PARAM("sn", "null") PARAM("in", "") PARAM("s", "null")),
     "B0(f)A0({\"sn\": null, \"in\": null, \"s\": \"null\"})D0", "null where it is allowed"},
    {CALL_F(PARAM("sn", "x") PARAM("in", "nothing") PARAM("i", "")),
     "B0(f)A0({\"sn\": \"x\", \"in\": \"nothing\", \"i\": \"\"})D0", "and not elsewhere"},
    {CALL_F(PARAM("o", "{\"x\":[1,{}]}") PARAM("a", "[1") PARAM("r", "5")),
     "B0(f)A0({\"o\": {\"x\": [1, {}]}, \"a\": \"[1\", \"r\": \"5\"})D0", "objects as raw text"},
    {CALL_F(PARAM("o", PARAM("x", "3") PARAM("y", PARAM("item", "1") PARAM("item", "2.5")) PARAM("z", "on"))),
     "B0(f)A0({\"o\": {\"x\": 3, \"y\": [1, 2.5], \"z\": true}})D0", "nested by their schemas"},
    {CALL_F(PARAM("a", "\n " PARAM("item", "1") "\n" PARAM("item", "b") "\n") PARAM("r", PARAM("q", "1"))),
     "B0(f)A0({\"a\": [1, \"b\"], \"r\": {\"q\": true}})D0", "blanks between elements, a reference"},
    {CALL_F(PARAM("s", PARAM("k", "1") PARAM("k", "2") PARAM("l", "") PARAM("k", PARAM("item", "")))),
     "B0(f)A0({\"s\": {\"k\": [\"1\", \"2\", [\"\"]], \"l\": \"\"}})D0", "a repeated key is an array"},
    {CALL_F(PARAM("q", PARAM("item", "1") PARAM("k", "2") PARAM("item", "3"))),
     "B0(f)A0({\"q\": {\"item\": [\"1\", \"3\"], \"k\": \"2\"}})D0", "items among others are a key"},
    {CALL_F(PARAM("loop", "x") PARAM("", "y") PARAM("a b\"", "z")),
     "B0(f)A0({\"loop\": \"x\", \"\": \"y\", \"a b\\\"\": \"z\"})D0", "odd keys, a schema that is a circle"},
    {CALLS N "\n <invoke name=\"f\">\n" N " <s>x" N "\t</s> " N "\n</invoke>" N " </tool_call>",
     "B0(f)A0({\"s\": \"x\"})D0", "blanks behind NS"},
    {CALLS INVOKE("g") PARAM("i", "1") END_INVOKE INVOKE("f") PARAM("i", "1") END_INVOKE END_CALLS CALL_F(""),
     "B0(g)A0({\"i\": \"1\"})D0B1(f)A1({\"i\": 1})D1B2(f)A2({})D2", "several calls and blocks, an unknown tool"},
    {CALL_F(N "<s>x"), "B0(f)A0({\"s\": \"x\"})D0", "the last closing tag is missing"},
    {CALL_F(N "<i>"), "B0(f)A0({\"i\": \"\"})D0", "and nothing before it"},
    {CALL_F(N "<o>" PARAM("x", "1")), "B0(f)A0({\"o\": {\"x\": 1}})D0", "and elements before it"},
    {CALL_F(N "<i>1" THINK "hm" UNTHINK "2" N "</i>"), "B0(f)A0({\"i\": )R(hm)A0(12})D0",
     "reasoning does not touch the call"},
};

/* The raw text of a call of f. */
#define RAW(params) NS "<invoke name=\"f\">" params

static const struct row failed_rows[] = {
    {CALLS INVOKE("f") N "<s>x", "B0(f)A0({\"s\": \"x)F0(" RAW(NS "<s>x") ")", "cut off in a string"},
    {CALLS INVOKE("f") N "<i>1", "B0(f)A0({\"i\": )F0(" RAW(NS "<i>1") ")", "cut off in a number"},
    {CALLS INVOKE("f") PARAM("i", "1") N, "B0(f)A0({\"i\": 1)F0(" RAW(NS "<i>1" NS "</i>" NS) ")", "cut off behind NS"},
    {CALLS INVOKE("f") N "<i", "B0(f)A0({)F0(" RAW(NS "<i") ")", "cut off in a tag"},
    {CALLS N "<invoke name=\"f", "F(" NS "<invoke name=\"f)", "cut off in the name"},
    {CALLS N "<invoke", "F(" NS "<invoke)", "cut off before the name"},
    {CALLS N "<invoke nme=\"f\">" END_INVOKE END_CALLS "x", "F(" NS "<invoke nme=\"f\">" NS "</invoke>)C(x)",
     "no name"},
    {CALLS N "<invoke name=\"f" N "\">" END_CALLS, "F(" NS "<invoke name=\"f" NS "\">)", "NS in the name"},
    {CALL_F("x") "y", "B0(f)A0({)F0(" RAW("x" NS "</invoke>\n") ")C(y)", "text between parameters"},
    {CALL_F(PARAM("s", "x" N "y")), "B0(f)A0({\"s\": \"x)F0(" RAW(NS "<s>x" NS "y" NS "</s>" NS "</invoke>\n") ")",
     "NS in a value"},
    {CALL_F(N "<s>x" N "</t>"), "B0(f)A0({\"s\": \"x)F0(" RAW(NS "<s>x" NS "</t>" NS "</invoke>\n") ")",
     "another closing tag"},
    {CALL_F(N "<o>" N "<x>1"), "B0(f)A0({\"o\": )F0(" RAW(NS "<o>" NS "<x>1" NS "</invoke>\n") ")",
     "an inner closing tag is missing"},
    {CALL_F(N "<s>x" PARAM("t", "1")),
     "B0(f)A0({\"s\": \"x)F0(" RAW(NS "<s>x" NS "<t>1" NS "</t>" NS "</invoke>\n") ")", "text, then an element"},
    {CALL_F(PARAM("o", PARAM("x", "1") "y")),
     "B0(f)A0({\"o\": )F0(" RAW(NS "<o>" NS "<x>1" NS "</x>y" NS "</o>" NS "</invoke>\n") ")", "an element, then text"},
    {CALL_F(PARAM("i", "1") PARAM("i", "2")),
     "B0(f)A0({\"i\": 1)F0(" RAW(NS "<i>1" NS "</i>" NS "<i>2" NS "</i>" NS "</invoke>\n") ")", "a parameter twice"},
    {CALL_F(N "</s>"), "B0(f)A0({)F0(" RAW(NS "</s>" NS "</invoke>\n") ")", "a closing tag alone"},
    {CALLS INVOKE("f") N "<s>x" INVOKE("g") END_INVOKE END_CALLS,
     "B0(f)A0({\"s\": \"x)F0(" RAW(NS "<s>x") ")B1(g)A1({})D1", "the next call ends a failed one"},
    {CALLS INVOKE("f") INVOKE("g") PARAM("i", "1") END_INVOKE END_CALLS,
     "B0(f)A0({)F0(" RAW("") ")B1(g)A1({\"i\": \"1\"})D1", "a call that is not closed"},
    {CALLS INVOKE("f") N "<a>" INVOKE("g") END_INVOKE END_CALLS "x",
     "B0(f)A0({\"a\": )F0(" RAW(NS "<a>") ")B1(g)A1({})D1C(x)", "a call in a value"},
    {CALLS INVOKE("f") END_CALLS "x", "B0(f)A0({)F0(" RAW("") ")C(x)", "the end of the block ends a failed call"},
    {CALLS INVOKE("f") N "<s>x" END_CALLS "x", "B0(f)A0({\"s\": \"x)F0(" RAW(NS "<s>x") ")C(x)", "also in a string"},
    {CALLS INVOKE("f") N N "\5x", "B0(f)A0({)F0(" RAW(NS) ")C(x)", "NS twice in a call"},
    {CALLS INVOKE("f") N "<invoke name=\"g", "B0(f)A0({)F0(" RAW("") ")F(" NS "<invoke name=\"g)",
     "cut off in the name of the call behind a failed one"},
    {CALLS INVOKE("f") N "<invoke name=\"g" N "<i>", "B0(f)A0({)F0(" RAW("") ")F(" NS "<invoke name=\"g" NS "<i>)",
     "NS in the name of the call behind a failed one"},
    {CALLS INVOKE("f") N "<s>x" THINK "r", "B0(f)A0({\"s\": \"x)R(r)F0(" RAW(NS "<s>x") ")",
     "reasoning at the end does not lose a call"},
};

static void test_tables(const json_t *tools)
{
    static const struct {
        const struct row *rows;
        size_t n;
    } tables[] = {
        {text_rows, sizeof text_rows / sizeof text_rows[0]},
        {call_rows, sizeof call_rows / sizeof call_rows[0]},
        {failed_rows, sizeof failed_rows / sizeof failed_rows[0]},
    };
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct row *row = &tables[t].rows[i];
            check_stream(ox_str_c(row->stream), tools, false, row->expected, row->name);
        }
    }
    check_stream(ox_str_c("why" UNTHINK "so"), tools, true, "R(why)C(so)", "starts in reasoning");
    check_stream(ox_str_c(THINK "why"), tools, true, "R(why)", "starts in reasoning, no end");
    check_stream(ox_str_c(CALL_F(PARAM("i", "1"))), NULL, false, "B0(f)A0({\"i\": \"1\"})D0", "no tools are known");
}

/* Values nested as deep as allowed, and one deeper. */
static void test_depth(void)
{
    for (int depth = OX_TOOLCALL_DEPTH; depth <= OX_TOOLCALL_DEPTH + 1; depth++) {
        struct ox_buf stream;
        struct record record;
        struct ox_ids ids = {NULL, 0, 0};
        record_init(&record);
        ox_buf_init(&stream);
        ox_buf_add_c(&stream, CALLS INVOKE("f"));
        for (int i = 0; i < depth; i++) {
            ox_buf_add_c(&stream, N "<k>");
        }
        ox_buf_add_c(&stream, "x");
        for (int i = 0; i < depth; i++) {
            ox_buf_add_c(&stream, N "</k>");
        }
        ox_buf_add_c(&stream, END_INVOKE END_CALLS);
        tokens_of(ox_buf_str(&stream), false, false, &ids);
        OK(read_reply(&ids, NULL, false, CUT_NONE, NULL, &record) == OX_OK, "reads depth %d", depth);
        OK((strstr(ox_buf_text(&record.buf), ")D0") != NULL) == (depth == OX_TOOLCALL_DEPTH), "depth %d", depth);
        OK((strstr(ox_buf_text(&record.buf), ")F0(") != NULL) == (depth > OX_TOOLCALL_DEPTH), "depth %d", depth);
        ox_ids_fini(&ids);
        ox_buf_fini(&stream);
        ox_buf_fini(&record.buf);
    }
}

/* A call longer than its limit fails with what fits, the rest is content; at the same character for every cut. */
static void test_length(void)
{
    uint64_t hash[4] = {0, 1, 2, 3};
    struct ox_rng rng;
    int32_t longest = byte_id['x'];
    for (int32_t id = 0; id < ox_tokenizer_n_ids(tokenizer); id++) {
        if (!ox_tokenizer_is_added(tokenizer, id) &&
            ox_tokenizer_bytes(tokenizer, id).len > ox_tokenizer_bytes(tokenizer, longest).len) {
            longest = id;
        }
    }
    ox_rng_init(&rng, 3);
    for (int form = 0; form < 4; form++) {
        struct record record;
        struct ox_ids ids = {NULL, 0, 0};
        size_t len = 0;
        int bad = 0;
        record_init(&record);
        tokens_of(ox_str_c(form < 2 ? CALLS INVOKE("f") N "<s>" : CALLS INVOKE("f") N "<s>x"), false, false, &ids);
        while (len < OX_TOOLCALL_BYTES - 500) {
            bad += ox_ids_add(&ids, longest);
            len += ox_tokenizer_bytes(tokenizer, longest).len;
        }
        for (int i = 0; i < 200; i++) {
            tokens_of(ox_str_c("\xF0\x9F\x98\x80"), form % 2 == 1, false, &ids);
        }
        tokens_of(ox_str_c(N "</s>" END_INVOKE END_CALLS "x"), false, false, &ids);
        OK(bad == 0 && read_reply(&ids, NULL, false, form % 2 == 0 ? CUT_NONE : CUT_RANDOM, &rng, &record) == OX_OK,
           "a long call");
        hash[form] = ox_str_hash(ox_buf_str(&record.buf));
        const size_t failed = ox_str_find(ox_buf_str(&record.buf), ox_str_c(")F0("), 0);
        const size_t content = ox_str_find(ox_buf_str(&record.buf), ox_str_c(")C("), failed);
        OK(content < record.buf.len, "fails, and goes on as content");
        OK(content - failed - 4 <= OX_TOOLCALL_BYTES && content - failed - 4 > OX_TOOLCALL_BYTES - 4, "at the limit");
        OK(record.all_valid, "no character is cut");
        OK(ox_str_equal(ox_str_c("x)"), ox_str_make(record.buf.ptr + record.buf.len - 2, 2)), "to its end");
        ox_ids_fini(&ids);
        ox_buf_fini(&record.buf);
    }
    OK(hash[0] == hash[1] && hash[2] == hash[3], "the same for another cut");
}

static void test_stop(void)
{
    struct ox_reply *reply = NULL;
    struct record record;
    struct ox_error err;
    struct ox_ids ids = {NULL, 0, 0};
    record_init(&record);
    record.stop_after = 2;
    tokens_of(ox_str_c(CALL_F(PARAM("s", "x")) "y"), false, false, &ids);
    OK(ox_reply_new(tokenizer, &markers, NULL, false, on_event, &record, &reply, &err) == OX_OK, "a parser");
    OK(ox_reply_push(reply, ids.ptr, ids.len, &err) == OX_E_CANCELLED, "the handler stops it");
    OK(ox_reply_push(reply, ids.ptr, ids.len, &err) == OX_E_CANCELLED, "it takes nothing more");
    OK(ox_reply_finish(reply, &err) == OX_E_CANCELLED, "also at the end");
    IS_INT(record.n_events, 2, "events");
    OK(ox_reply_push(reply, ids.ptr, 1, &err) == OX_E_STATE, "the end is the end");
    ox_reply_free(reply);
    ox_buf_fini(&record.buf);
    record_init(&record);
    OK(ox_reply_new(tokenizer, &markers, NULL, true, on_event, &record, &reply, &err) == OX_OK, "another parser");
    OK(ox_reply_in_reasoning(reply), "begins in reasoning");
    OK(ox_reply_push(reply, &markers.think_end, 1, &err) == OX_OK && !ox_reply_in_reasoning(reply), "no longer");
    OK(ox_reply_push(reply, ids.ptr, ids.len, &err) == OX_OK && ox_reply_calls_done(reply) == 1, "one call is done");
    const int32_t none[] = {-1, INT32_MAX, INT32_MIN};
    OK(ox_reply_push(reply, none, 3, &err) == OX_OK, "ids without a token give nothing");
    ox_reply_free(reply);
    ox_ids_fini(&ids);
    ox_buf_fini(&record.buf);
}

/* Counts events without allocating. */
static int on_any(void *user, const struct ox_reply_event *event)
{
    int *n = user;
    *n += event->kind == OX_REPLY_CALL_DONE;
    return 0;
}

/* Every allocation fails once. */
static void test_no_memory(const json_t *tools)
{
    struct ox_ids ids = {NULL, 0, 0};
    long n = 0;
    int n_bad = 0;
    bool failed = true;
    tokens_of(ox_str_c("a" THINK "b" UNTHINK CALL_F(PARAM("s", "x") PARAM("i", "1") PARAM(
                  "o", PARAM("x", "1") PARAM("x", "2"))) CALLS INVOKE("f") INVOKE("g") END_INVOKE "\xF0"),
              false, false, &ids);
    while (failed && n < 10000) {
        struct ox_reply *reply = NULL;
        int n_done = 0;
        oom_arm(++n);
        enum ox_status status = ox_reply_new(tokenizer, &markers, tools, false, on_any, &n_done, &reply, NULL);
        status = status == OX_OK ? ox_reply_push(reply, ids.ptr, ids.len, NULL) : status;
        status = status == OX_OK ? ox_reply_finish(reply, NULL) : status;
        failed = oom_disarm();
        n_bad += status != (failed ? OX_E_NOMEM : OX_OK) || (!failed && n_done != 2);
        ox_reply_free(reply);
    }
    OK(n > 10 && !failed, "%ld allocations failed in turn", n - 1);
    IS_INT(n_bad, 0, "wrong outcomes");
    ox_ids_fini(&ids);
}

/* ---- round trip ---- */

static json_t *random_string(struct ox_rng *rng)
{
    static const char *const parts[] = {"a",
                                        " ",
                                        "\n",
                                        "<",
                                        ">",
                                        "/",
                                        "</k0>",
                                        "\"",
                                        "\\",
                                        "\xC3\xA9",
                                        "\xF0\x9F\x98\x80",
                                        NS,
                                        "<mm:think>",
                                        "</mm:think>",
                                        "<tool_call>",
                                        "[e~[",
                                        "null",
                                        "7",
                                        "\t",
                                        "]"};
    char text[256] = "";
    size_t len = 0;
    const uint64_t n = ox_rng_below(rng, 6);
    for (uint64_t i = 0; i < n; i++) {
        const char *part = parts[ox_rng_below(rng, sizeof parts / sizeof parts[0])];
        len += (size_t)snprintf(text + len, sizeof text - len, "%s", part);
    }
    return json_string(text);
}

/* A value that the format can carry when no schema gives types: strings, and objects and arrays that are not empty. */
static json_t *random_value(struct ox_rng *rng, int depth)
{
    const uint64_t kind = depth > 0 ? ox_rng_below(rng, 4) : 0;
    if (kind < 2) {
        return random_string(rng);
    }
    json_t *value = kind == 2 ? json_array() : json_object();
    const int n = 1 + (int)ox_rng_below(rng, 4);
    for (int i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        if (kind == 2) {
            json_array_append_new(value, random_value(rng, depth - 1));
        } else {
            json_object_set_new(value, key, random_value(rng, depth - 1));
        }
    }
    return value;
}

/* Only done calls, their arguments parsed. */
struct calls {
    struct ox_buf arguments;
    json_t *list;
};

static int on_call(void *user, const struct ox_reply_event *event)
{
    struct calls *calls = user;
    if (event->kind == OX_REPLY_CALL_BEGIN) {
        ox_buf_clear(&calls->arguments);
    } else if (event->kind == OX_REPLY_CALL_ARGUMENTS) {
        ox_buf_add_str(&calls->arguments, event->text);
    } else if (event->kind == OX_REPLY_CALL_DONE) {
        json_t *arguments = NULL;
        if (ox_json_parse(ox_buf_str(&calls->arguments), "arguments", &arguments, NULL) == OX_OK) {
            json_array_append_new(calls->list, arguments);
        }
    }
    return 0;
}

/* Render an assistant's message with calls, read it back from its tokens. */
static bool comes_back(json_t *list)
{
    struct ox_chat *chat = NULL;
    struct ox_prompt prompt;
    struct ox_ids ids = {NULL, 0, 0};
    struct ox_reply *reply = NULL;
    struct calls calls = {{NULL, 0, 0, false}, json_array()};
    memset(&prompt, 0, sizeof prompt);
    json_t *tool_calls = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_array_append_new(tool_calls, json_pack("{s:s, s:O}", "name", "t", "arguments", json_array_get(list, i)));
    }
    json_t *root = json_pack("{s:b, s:[{s:s, s:s, s:o}]}", "add_generation_prompt", 0, "messages", "role", "assistant",
                             "content", "Look:", "tool_calls", tool_calls);
    bool ok = ox_chat_from_json(root, "chat", NULL, NULL, &chat, NULL) == OX_OK &&
              ox_chat_render(chat, &prompt, NULL) == OX_OK;
    ok = ok &&
         ox_tokenizer_encode(tokenizer, ox_buf_str(&prompt.text), prompt.caller, prompt.n_caller, &ids, NULL) == OX_OK;
    size_t begin = ids.len;
    while (begin > 0 && ids.ptr[begin - 1] != markers.think_end) {
        begin--;
    }
    ok = ok && ox_reply_new(tokenizer, &markers, NULL, false, on_call, &calls, &reply, NULL) == OX_OK;
    ok = ok && ox_reply_push(reply, ids.ptr + begin, ids.len - begin, NULL) == OX_OK;
    ok = ok && ox_reply_finish(reply, NULL) == OX_OK;
    ok = ok && json_equal(calls.list, list);
    ox_reply_free(reply);
    ox_chat_free(chat);
    ox_prompt_fini(&prompt);
    ox_ids_fini(&ids);
    ox_buf_fini(&calls.arguments);
    json_decref(calls.list);
    json_decref(root);
    return ok;
}

static void test_round_trip(void)
{
    struct ox_rng rng;
    int n_lost = 0;
    ox_rng_init(&rng, 5);
    for (int i = 0; i < 400; i++) {
        json_t *list = json_array();
        const int n = 1 + (int)ox_rng_below(&rng, 3);
        for (int k = 0; k < n; k++) {
            json_t *arguments = json_object();
            for (int p = (int)ox_rng_below(&rng, 4); p > 0; p--) {
                char key[16];
                snprintf(key, sizeof key, "p%d", p);
                json_object_set_new(arguments, key, random_value(&rng, 3));
            }
            json_array_append_new(list, arguments);
        }
        if (!comes_back(list) && n_lost++ == 0) {
            char *text = json_dumps(list, 0);
            NOTE("lost: %s", text);
            free(text);
        }
        json_decref(list);
    }
    IS_INT(n_lost, 0, "calls that do not come back as they were rendered");
}

static bool load_tokenizer(void)
{
    struct ox_error err = {OX_OK, 0, 0, ""};
    json_t *file = json_load_file(tap_file("demo/tokenizer.json"), 0, NULL);
    char *text = file != NULL ? json_dumps(file, 0) : NULL;
    const bool ok =
        OK(text != NULL && ox_tokenizer_new(ox_str_c(text), "tokenizer.json", NULL, &tokenizer, &err) == OX_OK,
           "the demonstration model's tokenizer: %s", text != NULL ? err.message : "no file");
    free(text);
    json_decref(file);
    if (!ok) {
        return false;
    }
    ox_markers_find(tokenizer, &markers);
    for (int32_t id = 0; id < ox_tokenizer_n_ids(tokenizer); id++) {
        const struct ox_str bytes = ox_tokenizer_bytes(tokenizer, id);
        if (bytes.len == 1 && !ox_tokenizer_is_added(tokenizer, id)) {
            byte_id[(unsigned char)bytes.ptr[0]] = id;
        }
    }
    return OK(markers.name_space >= 0 && markers.tool_call_end >= 0 && markers.think_begin >= 0, "has the markers");
}

int main(void)
{
    memset(&markers, 0, sizeof markers);
    if (!load_tokenizer()) {
        return tap_done();
    }
    json_t *tools = json_loads(tools_json, 0, NULL);
    OK(tools != NULL, "the tools are JSON");
    test_tables(tools);
    test_depth();
    test_length();
    test_stop();
    test_no_memory(tools);
    test_round_trip();
    json_decref(tools);
    ox_tokenizer_free(tokenizer);
    return tap_done();
}
