/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading tokenizer.json: every kind of file that must be refused, with its sentence; what is unusual but accepted;
 * what single settings do; allocations that fail.
 */
#include "tests/oom.h"
#include "tests/tokenizer_help.h"

#include "base/json.h"
#include "base/utf8.h"

/* ---- small tokenizers made here --------------------------------------------------------------------------------- */

static const char pattern[] =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|"
    "'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|"
    "'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* A tokenizer.json: the 256 bytes (id = byte), ab 256, abc 257, added <x> 300, <x>y 301 (special), [z] 302. */
static json_t *small_tree(void)
{
    json_t *vocab = json_object();
    uint32_t beyond = 0x100;
    for (uint32_t b = 0; b < 256; b++) {
        const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
        char text[5] = {0};
        ox_utf8_encode(printable ? b : beyond++, text);
        json_object_set_new(vocab, text, json_integer((json_int_t)b));
    }
    json_object_set_new(vocab, "ab", json_integer(256));
    json_object_set_new(vocab, "abc", json_integer(257));
    return json_pack("{s:s, s:n, s:n, s:[{s:i,s:s,s:b,s:b,s:b,s:b,s:b},{s:i,s:s,s:b},{s:i,s:s}], s:n,"
                     " s:{s:s,s:[{s:s,s:{s:s},s:s,s:b},{s:s,s:b,s:b,s:b}]}, s:n, s:{s:s},"
                     " s:{s:s, s:n, s:n, s:b, s:b, s:o, s:[s,[s,s]]}}",
                     "version", "1.0", "truncation", "padding", "added_tokens", "id", 300, "content", "<x>",
                     "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized", 1, "special", 0, "id", 301, "content",
                     "<x>y", "special", 1, "id", 302, "content", "[z]", "normalizer", "pre_tokenizer", "type",
                     "Sequence", "pretokenizers", "type", "Split", "pattern", "Regex", pattern, "behavior", "Isolated",
                     "invert", 0, "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 0,
                     "post_processor", "decoder", "type", "ByteLevel", "model", "type", "BPE", "dropout", "unk_token",
                     "byte_fallback", 0, "ignore_merges", 0, "vocab", vocab, "merges", "a b", "ab", "c");
}

/* Replace (or set) the member at a path like "model.vocab.a" or "added_tokens.0.id" by JSON text; NULL deletes it. */
static void patch(json_t *tree, const char *path, const char *text)
{
    char key[64];
    json_t *value = text != NULL ? json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    OX_CHECK(text == NULL || value != NULL);
    for (;;) {
        const char *dot = strchr(path, '.');
        const size_t len = dot != NULL ? (size_t)(dot - path) : strlen(path);
        snprintf(key, sizeof key, "%.*s", (int)len, path);
        const size_t i = (size_t)(key[0] - '0');
        if (dot != NULL) {
            tree = json_is_array(tree) ? json_array_get(tree, i) : json_object_get(tree, key);
            OX_CHECK(tree != NULL);
            path = dot + 1;
            continue;
        }
        int failed;
        if (json_is_array(tree) && value == NULL) {
            failed = json_array_remove(tree, i);
        } else if (json_is_array(tree) && i == json_array_size(tree)) {
            failed = json_array_append_new(tree, value);
        } else if (json_is_array(tree)) {
            failed = json_array_set_new(tree, i, value);
        } else {
            failed = value == NULL ? json_object_del(tree, key) : json_object_set_new(tree, key, value);
        }
        OX_CHECK(failed == 0);
        return;
    }
}

static enum ox_status load_tree(const json_t *tree, const struct ox_log *log, struct ox_tokenizer **out)
{
    char *text = json_dumps(tree, 0);
    OX_CHECK(text != NULL);
    memset(&error, 0, sizeof error);
    const enum ox_status status = ox_tokenizer_new(ox_str_c(text), "t.json", log, out, &error);
    free(text);
    return status;
}

static struct ox_tokenizer *load_patched(const char *path, const char *text)
{
    struct ox_tokenizer *t = NULL;
    json_t *tree = small_tree();
    if (path != NULL) {
        patch(tree, path, text);
    }
    OK(load_tree(tree, NULL, &t) == OX_OK, "loads with %s = %.60s: %s", path != NULL ? path : "nothing",
       text != NULL ? text : "(none)", error.message);
    json_decref(tree);
    return t;
}

struct refusal {
    const char *path;
    const char *text;
    const char *message;
};

#define SPLIT "pre_tokenizer.pretokenizers.0"
#define BYTES "pre_tokenizer.pretokenizers.1"
#define IDS "an integer from 0 to 16777215"

static const struct refusal refusals[] = {
    {"normalizer", "{\"type\": \"NFC\"}", "t.json: normalizer: expected null, found an object"},
    {"decoder", "{\"type\": \"WordPiece\"}",
     "t.json: decoder.type: expected \"ByteLevel\", found the string \"WordPiece\""},
    {"decoder", "7", "t.json: decoder.type: expected \"ByteLevel\", found nothing"},
    {"pre_tokenizer", NULL, "t.json: pre_tokenizer.type: expected \"Sequence\", found nothing"},
    {"pre_tokenizer", "null", "t.json: pre_tokenizer.type: expected \"Sequence\", found nothing"},
    {"pre_tokenizer.type", "\"Whitespace\"",
     "t.json: pre_tokenizer.type: expected \"Sequence\", found the string \"Whitespace\""},
    {"pre_tokenizer.pretokenizers", "{}",
     "t.json: pre_tokenizer.pretokenizers: expected an array of a Split and a ByteLevel, found an object"},
    {"pre_tokenizer.pretokenizers.2", "{\"type\": \"Digits\"}",
     "t.json: pre_tokenizer.pretokenizers: expected an array of a Split and a ByteLevel, found an array of 3"},
    {SPLIT ".type", "\"Punctuation\"",
     "t.json: pre_tokenizer.pretokenizers[0].type: expected \"Split\", found the string \"Punctuation\""},
    {SPLIT ".pattern", "{\"String\": \" \"}",
     "t.json: pre_tokenizer.pretokenizers[0].pattern.Regex: expected a string, found nothing"},
    {SPLIT ".pattern", "\"x\"",
     "t.json: pre_tokenizer.pretokenizers[0].pattern.Regex: expected a string, found nothing"},
    {SPLIT ".pattern.Regex", "[]",
     "t.json: pre_tokenizer.pretokenizers[0].pattern.Regex: expected a string, found an array of 0"},
    {SPLIT ".pattern.Regex", "\"\"", "t.json: pre_tokenizer: Regex: expected a pattern, found an empty one"},
    {SPLIT ".pattern.Regex", "\"(\"",
     "t.json: pre_tokenizer: Regex: expected a regular expression, found missing closing parenthesis"},
    {SPLIT ".pattern.Regex", "\"\\\\\"",
     "t.json: pre_tokenizer: Regex: expected a regular expression, found \\ at end of pattern"},
    {SPLIT ".pattern.Regex", "\"a\\u0000b\"", "t.json: pre_tokenizer: Regex: found a NUL character"},
    {SPLIT ".pattern.Regex", "\"[a[bc]]\"", "t.json: pre_tokenizer: Regex: found a character class within a class"},
    {SPLIT ".pattern.Regex", "\"[a&&b]\"", "t.json: pre_tokenizer: Regex: found a character class within a class"},
    {SPLIT ".pattern.Regex", "\"[a[:b\"", "t.json: pre_tokenizer: Regex: found a character class within a class"},
    {SPLIT ".pattern.Regex", "\"\\\\h+\"",
     "t.json: pre_tokenizer: Regex: found \\h, \\H, \\Q or \\E, which regular expression engines read differently"},
    {SPLIT ".behavior", "\"MergedWithNext\"",
     "t.json: pre_tokenizer.pretokenizers[0].behavior: expected \"Isolated\" (or \"Removed\" with \"invert\" and a "
     "known "
     "pattern), found the string \"MergedWithNext\""},
    {SPLIT ".behavior", "\"Removed\"",
     "t.json: pre_tokenizer.pretokenizers[0].behavior: expected \"Isolated\" (or \"Removed\" with \"invert\" and a "
     "known "
     "pattern), found the string \"Removed\""},
    {SPLIT ".behavior", "3", "t.json: pre_tokenizer.pretokenizers[0].behavior: expected a string, found 3"},
    {SPLIT ".invert", "\"no\"",
     "t.json: pre_tokenizer.pretokenizers[0].invert: expected true or false, found the string \"no\""},
    {BYTES ".type", "\"Metaspace\"",
     "t.json: pre_tokenizer.pretokenizers[1].type: expected \"ByteLevel\", found the string \"Metaspace\""},
    {BYTES ".add_prefix_space", "true",
     "t.json: pre_tokenizer.pretokenizers[1].add_prefix_space: expected false, found true"},
    {BYTES ".add_prefix_space", NULL,
     "t.json: pre_tokenizer.pretokenizers[1].add_prefix_space: expected false, found nothing"},
    {BYTES ".use_regex", "true", "t.json: pre_tokenizer.pretokenizers[1].use_regex: expected false, found true"},
    {BYTES ".use_regex", NULL, "t.json: pre_tokenizer.pretokenizers[1].use_regex: expected false, found nothing"},
    {"model", NULL, "t.json: model.type: expected \"BPE\", found nothing"},
    {"model", "[]", "t.json: model.type: expected \"BPE\", found nothing"},
    {"model.type", "\"Unigram\"", "t.json: model.type: expected \"BPE\", found the string \"Unigram\""},
    {"model.dropout", "0.5", "t.json: model.dropout: expected null, found 0.5"},
    {"model.dropout", "\"no\"", "t.json: model.dropout: expected null, found the string \"no\""},
    {"model.continuing_subword_prefix", "\"##\"",
     "t.json: model.continuing_subword_prefix: expected null, found the string \"##\""},
    {"model.end_of_word_suffix", "\"</w>\"",
     "t.json: model.end_of_word_suffix: expected null, found the string \"</w>\""},
    {"model.byte_fallback", "true", "t.json: model.byte_fallback: expected false, found true"},
    {"model.byte_fallback", "1", "t.json: model.byte_fallback: expected true or false, found 1"},
    {"model.ignore_merges", "\"\"", "t.json: model.ignore_merges: expected true or false, found the string \"\""},
    {"model.vocab", NULL, "t.json: model.vocab: expected an object, found nothing"},
    {"model.vocab", "[1]", "t.json: model.vocab: expected an object, found an array of 1"},
    {"model.vocab", "{}", "t.json: model.vocab: expected a token for each of the 256 bytes, found none for byte 0x00"},
    {"model.vocab.A", NULL,
     "t.json: model.vocab: expected a token for each of the 256 bytes, found none for byte 0x41"},
    {"model.vocab.A", "\"65\"", "t.json: model.vocab.A: expected an id from 0 to 16777215, found the string \"65\""},
    {"model.vocab.A", "65.0", "t.json: model.vocab.A: expected an id from 0 to 16777215, found 65"},
    {"model.vocab.A", "null", "t.json: model.vocab.A: expected an id from 0 to 16777215, found nothing"},
    {"model.vocab.A", "-1", "t.json: model.vocab.A: expected an id from 0 to 16777215, found -1"},
    {"model.vocab.A", "16777216", "t.json: model.vocab.A: expected an id from 0 to 16777215, found 16777216"},
    {"model.vocab.A", "9223372036854775807",
     "t.json: model.vocab.A: expected an id from 0 to 16777215, found 9223372036854775807"},
    {"model.vocab.abc", "256", "t.json: model.vocab.abc: expected an id that no other token has, found 256"},
    {"model.vocab.abc", "300", "t.json: model.vocab.abc: expected an id that no added token has, found 300"},
    {"model.vocab.<x>", "299", "t.json: model.vocab.<x>: expected 300 as in added_tokens, found 299"},
    {"model.merges", NULL, "t.json: model.merges: expected an array, found nothing"},
    {"model.merges", "{}", "t.json: model.merges: expected an array, found an object"},
    {"model.merges.0", "7", "t.json: model.merges[0]: expected \"left right\" or [\"left\", \"right\"], found 7"},
    {"model.merges.0", "\"ab\"",
     "t.json: model.merges[0]: expected \"left right\" or [\"left\", \"right\"], found the string \"ab\""},
    {"model.merges.0", "\"a b c\"",
     "t.json: model.merges[0]: expected \"left right\" or [\"left\", \"right\"], found the string \"a b c\""},
    {"model.merges.1", "[\"ab\"]",
     "t.json: model.merges[1]: expected \"left right\" or [\"left\", \"right\"], found an array of 1"},
    {"model.merges.1", "[\"ab\", 3]",
     "t.json: model.merges[1]: expected \"left right\" or [\"left\", \"right\"], found an array of 2"},
    {"model.merges.1", "[\"ab\", \"c\", \"d\"]",
     "t.json: model.merges[1]: expected \"left right\" or [\"left\", \"right\"], found an array of 3"},
    {"model.merges.0", "\"xy b\"",
     "t.json: model.merges[0]: expected tokens of model.vocab that are no added tokens, found none for its left half"},
    {"model.merges.0", "\" b\"",
     "t.json: model.merges[0]: expected tokens of model.vocab that are no added tokens, found none for its left half"},
    {"model.merges.1", "[\"a\", \"\\u4e2d\"]",
     "t.json: model.merges[1]: expected tokens of model.vocab that are no added tokens, found none for its right half"},
    {"model.merges.1", "[\"a\", \"\"]",
     "t.json: model.merges[1]: expected tokens of model.vocab that are no added tokens, found none for its right half"},
    {"model.merges.1", "[\"b\", \"a\"]",
     "t.json: model.merges[1]: expected tokens of model.vocab that are no added tokens, found none for its result"},
    {"added_tokens", "{}", "t.json: added_tokens: expected an array, found an object"},
    {"added_tokens.0", "\"<x>\"", "t.json: added_tokens[0].id: expected " IDS ", found nothing"},
    {"added_tokens.1.id", "-1", "t.json: added_tokens[1].id: expected " IDS ", found -1"},
    {"added_tokens.1.id", "16777216", "t.json: added_tokens[1].id: expected " IDS ", found 16777216"},
    {"added_tokens.1.id", "\"301\"", "t.json: added_tokens[1].id: expected " IDS ", found the string \"301\""},
    {"added_tokens.1.id", "300", "t.json: added_tokens[1].id: expected an id that no other added token has, found 300"},
    {"added_tokens.1.id", "97", "t.json: model.vocab.a: expected an id that no added token has, found 97"},
    {"added_tokens.1.content", "null", "t.json: added_tokens[1].content: expected a string, found nothing"},
    {"added_tokens.1.content", "[]", "t.json: added_tokens[1].content: expected a string, found an array of 0"},
    {"added_tokens.1.content", "\"\"", "t.json: added_tokens[1].content: expected 1 to 1024 bytes, found 0"},
    {"added_tokens.1.content", "\"<x>\"",
     "t.json: added_tokens[1].content: expected a text that no other added token has, found the string \"<x>\""},
    {"added_tokens.1.content", "\"ab\"", "t.json: model.vocab.ab: expected 301 as in added_tokens, found 256"},
    {"added_tokens.0.single_word", "true", "t.json: added_tokens[0].single_word: expected false, found true"},
    {"added_tokens.0.lstrip", "true", "t.json: added_tokens[0].lstrip: expected false, found true"},
    {"added_tokens.0.rstrip", "true", "t.json: added_tokens[0].rstrip: expected false, found true"},
    {"added_tokens.0.special", "\"yes\"",
     "t.json: added_tokens[0].special: expected true or false, found the string \"yes\""},
};

static void test_refusals(void)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct ox_tokenizer *t = NULL;
        json_t *tree = small_tree();
        patch(tree, refusals[i].path, refusals[i].text);
        const enum ox_status status = load_tree(tree, NULL, &t);
        IS_STR(error.message, refusals[i].message, refusals[i].path);
        OK(status == OX_E_FORMAT && error.code == OX_E_FORMAT && t == NULL, "%s: OX_E_FORMAT", refusals[i].path);
        ox_tokenizer_free(t);
        json_decref(tree);
    }
}

/* What no patch can write. */
static void test_refusals_raw(void)
{
    static const struct refusal raw[] = {
        {"", NULL, "t.json: not valid JSON at line 1 column 0: '[' or '{' expected near end of file"},
        {"[]", NULL, "t.json: expected an object, found an array of 0"},
        {"7", NULL, "t.json: expected an object, found 7"},
        {"{\"model\": {\"vocab\": {\"a\": 1, \"a\": 2}}}", NULL,
         "t.json: not valid JSON at line 1 column 32: duplicate object key near '\"a\"'"},
        {"{\"model\": {\"vocab\": {\"a\": 99999999999999999999}}}", NULL,
         "t.json: not valid JSON at line 1 column 46: too big integer near '99999999999999999999'"},
    };
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
        struct ox_tokenizer *t = NULL;
        memset(&error, 0, sizeof error);
        const enum ox_status status = ox_tokenizer_new(ox_str_c(raw[i].path), "t.json", NULL, &t, &error);
        OK(status == OX_E_FORMAT && t == NULL, "refused: %s", raw[i].path);
        if (i == 0) {
            OK(strstr(error.message, "t.json: not valid JSON") != NULL, "message: %s", error.message);
        } else {
            IS_STR(error.message, raw[i].message, "message");
        }
    }
    json_t *tree = small_tree();
    struct ox_tokenizer *t = NULL;
    struct ox_buf text;
    ox_buf_init(&text);
    ox_buf_add_byte(&text, '"');
    for (int i = 0; i < 1025; i++) {
        ox_buf_add_byte(&text, 'x');
    }
    ox_buf_add_byte(&text, '"');
    patch(tree, "added_tokens.0.content", ox_buf_text(&text));
    OK(load_tree(tree, NULL, &t) == OX_E_FORMAT, "an added token of 1025 bytes");
    IS_STR(error.message, "t.json: added_tokens[0].content: expected 1 to 1024 bytes, found 1025", "its message");
    ox_buf_cut(&text, 1025);
    ox_buf_add_byte(&text, '"');
    patch(tree, "added_tokens.0.content", ox_buf_text(&text));
    OK(load_tree(tree, NULL, &t) == OX_OK, "an added token of 1024 bytes");
    ox_tokenizer_free(t);
    t = NULL;
    ox_buf_clear(&text);
    ox_buf_printf(&text, "\"%08193d\"", 0);
    patch(tree, SPLIT ".pattern.Regex", ox_buf_text(&text));
    OK(load_tree(tree, NULL, &t) == OX_E_LIMIT, "a pattern of 8193 bytes");
    IS_STR(error.message, "t.json: pre_tokenizer: Regex: expected at most 8192 bytes, found 8193", "its message");
    ox_buf_fini(&text);
    json_decref(tree);
}

static int n_messages;
static char last_message[1100];

static void take_message(void *user, enum ox_log_level level, const char *text)
{
    (void)user;
    (void)level;
    n_messages++;
    snprintf(last_message, sizeof last_message, "%s", text);
}

/* What is unusual but accepted, with the words it gives. */
static void test_accepted(void)
{
    static const struct refusal rows[] = {
        {"version", "\"2.0\"", NULL},
        {"model.unk_token", "\"<unk>\"", NULL},
        {"model.fuse_unk", "true", NULL},
        {"model.dropout", "0.0", NULL},
        {"model.end_of_word_suffix", "\"\"", NULL},
        {"model.byte_fallback", NULL, NULL},
        {"decoder", "null", NULL},
        {"added_tokens", "[]", NULL},
        {"added_tokens", NULL, NULL},
        {"model.merges", "[]", NULL},
        {"model.vocab.<x>", "300", NULL},
        {"model.vocab.<two words>", "299", NULL},
        {"model.vocab.\u4e2d", "16777215", NULL},
        {"post_processor", "{\"type\": \"ByteLevel\"}", NULL},
        {SPLIT ".invert", "true", NULL},
        {"post_processor", "{\"type\": \"TemplateProcessing\"}",
         "t.json: post_processor is not used: no tokens are added to a text"},
        {"truncation", "{\"max_length\": 5}", "t.json: truncation is not used"},
        {"padding", "{}", "t.json: padding is not used"},
        {"model.merges.2", "\"a b\"", "t.json: model.merges: 1 pairs occur again; the last one counts"},
        {SPLIT ".pattern.Regex", "\"\\\\s+\"",
         "t.json: the pattern of the pre-tokenizer is not that of a released model; "
         "pieces may differ from other programs' in rare cases"},
    };
    const struct ox_log log = {take_message, NULL, NULL};
    const struct ox_str text = ox_str_c("abc  ab <x>y[z] \xF0\x9F\x98\x80 \xFF");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ox_tokenizer *t = NULL;
        json_t *tree = small_tree();
        patch(tree, rows[i].path, rows[i].text);
        n_messages = 0;
        last_message[0] = '\0';
        OK(load_tree(tree, &log, &t) == OX_OK, "%s accepted: %s", rows[i].path, error.message);
        IS_STR(last_message, rows[i].message != NULL ? rows[i].message : "", "message");
        IS_INT(n_messages, rows[i].message != NULL ? 1 : 0, "messages");
        if (t != NULL) {
            struct ox_ids ids = encode(t, text, NULL, 0);
            OK(decodes_to(t, &ids, false, text), "%s: text decodes to itself", rows[i].path);
            ox_ids_fini(&ids);
        }
        ox_tokenizer_free(t);
        json_decref(tree);
    }
}

static void ids_are(const struct ox_tokenizer *t, struct ox_str text, const struct ox_range *plain, size_t n,
                    const char *expected, const char *name)
{
    struct ox_ids ids = encode(t, text, plain, n);
    struct ox_buf found;
    ox_buf_init(&found);
    for (size_t i = 0; i < ids.len; i++) {
        ox_buf_printf(&found, "%s%d", i > 0 ? " " : "", (int)ids.ptr[i]);
    }
    IS_STR(ox_buf_text(&found), expected, name);
    ox_buf_fini(&found);
    ox_ids_fini(&ids);
}

static void test_ranges(void)
{
    struct ox_tokenizer *t = load_patched(NULL, NULL);
    const struct ox_str text = ox_str_c("abc<x>y");
    const struct ox_range all = {0, 7};
    const struct ox_range beyond = {0, SIZE_MAX};
    const struct ox_range empty[] = {{0, 0}, {4, 4}, {7, 7}, {9, 8}};
    const struct ox_range tail[] = {{6, 7}};
    const struct ox_range head[] = {{0, 3}};
    const struct ox_range inside[] = {{0, 1}, {4, 5}};
    const struct ox_range first[] = {{3, 4}};
    ids_are(t, text, NULL, 0, "257 301", "longest added token");
    ids_are(t, text, &all, 1, "257 60 120 62 121", "everything plain");
    ids_are(t, text, &beyond, 1, "257 60 120 62 121", "a range beyond the end");
    ids_are(t, text, empty, 4, "257 301", "empty ranges touch nothing");
    ids_are(t, text, tail, 1, "257 300 121", "the longest that touches no plain byte");
    ids_are(t, text, head, 1, "257 301", "a range that ends where the token begins");
    ids_are(t, text, inside, 2, "257 60 120 62 121", "one byte inside");
    ids_are(t, text, first, 1, "257 60 120 62 121", "its first byte");
    ids_are(t, ox_str_c("<x<x>"), NULL, 0, "60 120 300", "a false start");
    ids_are(t, ox_str_c("<x><x>y<x"), NULL, 0, "300 301 60 120", "side by side");
    const struct ox_range border = {1, 2};
    ids_are(t, ox_str_c("abc"), &border, 1, "257", "borders of ranges cut no piece");
    ids_are(t, ox_str_make(NULL, 0), NULL, 0, "", "no text");
    ids_are(t, ox_str_make("a\0b", 3), NULL, 0, "97 0 98", "a NUL");
    ids_are(t,
            ox_str_c("ab\xFF\xE4\xB8"
                     "ab"),
            NULL, 0, "256 255 228 184 256", "broken UTF-8");
    ox_tokenizer_free(t);

    t = load_patched("model.vocab.<x>", "300");
    ids_are(t, ox_str_c("<x>"), &all, 1, "60 120 62", "an added token in vocab is not made from plain text");
    ids_are(t, ox_str_c("<x>"), NULL, 0, "300", "but as itself");
    ox_tokenizer_free(t);

    t = load_patched("model.ignore_merges", "true");
    ids_are(t, ox_str_c("abc"), NULL, 0, "257", "ignore_merges");
    ox_tokenizer_free(t);
    t = load_patched("model.merges", "[]");
    ids_are(t, ox_str_c("abc"), NULL, 0, "97 98 99", "no merges");
    ox_tokenizer_free(t);
    t = load_patched("model.merges", "[\"ab c\", \"a b\"]");
    ids_are(t, ox_str_c("abcabab"), NULL, 0, "257 256 256", "order of merges");
    ox_tokenizer_free(t);
    t = load_patched("model.vocab.<two words>", "299");
    int32_t odd[] = {97, -5, 299, 298, 301, 16777215, 98};
    struct ox_ids ids = {odd, 7, 7};
    OK(decodes_to(t, &ids, false, ox_str_c("a<two words><x>yb")), "ids without a token give nothing");
    OK(decodes_to(t, &ids, true, ox_str_c("a<two words>b")), "special tokens left out");
    ox_tokenizer_free(t);
}

/* Patterns of other kinds: gaps, empty matches, borders; a piece list each. */
static void test_patterns(void)
{
    static const struct {
        const char *pattern;
        const char *text;
        const char *lengths;
    } rows[] = {
        {"b+", "aabba", "2 2 1"},
        {"b+", "bb", "2"},
        {"x", "aabba", "5"},
        {"(?=[A-Z])", "aBcDE", "1 2 1 1"},
        {"(?=[A-Z])", "BcD", "2 1"},
        {"$", "ab", "2"},
        {"a*", "baab", "1 2 1"},
        {"\\\\s", "a b\\n\\u180ec", "1 1 1 1 4"},
        {"\\\\S+", "ab \\u180ec", "2 1 4"},
        {"[^\\\\s]+", "ab \\u180ec", "2 1 4"},
        {"[\\\\S]+", "ab \\u180ec", "2 1 4"},
        {"[\\\\s-x]+", "a -xb", "1 3 1"},
        {"[]a]+", "b]a]b", "1 3 1"},
        {"[^]a]+", "b]a]b", "1 3 1"},
        {"[[:digit:]]+", "a12b", "1 2 1"},
        {"\\\\[[a-z]\\\\]", "x[a]y", "1 3 1"},
        {"^.", "ab\\ncd", "1 2 1 1"},
        {"a\\\\Kb", "xabab", "2 1 1 1"},
        {"(?i:'s)", "a'S'\\u017f", "1 2 3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char quoted[100];
        snprintf(quoted, sizeof quoted, "\"%s\"", rows[i].pattern);
        struct ox_tokenizer *t = load_patched(SPLIT ".pattern.Regex", quoted);
        snprintf(quoted, sizeof quoted, "\"%s\"", rows[i].text);
        json_t *text = json_loads(quoted, JSON_DECODE_ANY, NULL);
        struct ox_ids lengths;
        struct ox_buf found;
        ox_ids_init(&lengths);
        ox_buf_init(&found);
        OK(ox_tokenizer_pieces(t, ox_json_text(text), &lengths, &error) == OX_OK, "%s cuts", rows[i].pattern);
        for (size_t k = 0; k < lengths.len; k++) {
            ox_buf_printf(&found, "%s%d", k > 0 ? " " : "", (int)lengths.ptr[k]);
        }
        IS_STR(ox_buf_text(&found), rows[i].lengths, rows[i].pattern);
        ox_buf_fini(&found);
        ox_ids_fini(&lengths);
        json_decref(text);
        ox_tokenizer_free(t);
    }
    struct ox_tokenizer *t = load_patched(SPLIT ".pattern.Regex", "\"(?:a+)+[bc]\"");
    char text[40];
    memset(text, 'a', sizeof text);
    struct ox_ids ids;
    ox_ids_init(&ids);
    OX_CHECK(ox_ids_add(&ids, 5) == 0);
    OK(ox_tokenizer_encode(t, ox_str_make(text, sizeof text), NULL, 0, &ids, &error) == OX_E_LIMIT,
       "a pattern that never ends: %s", error.message);
    OK(ids.len == 1 && ids.ptr[0] == 5, "the list is as it was");
    ox_ids_fini(&ids);
    ox_tokenizer_free(t);
    json_t *tree = small_tree();
    patch(tree, SPLIT ".invert", "true");
    patch(tree, SPLIT ".behavior", "\"Removed\"");
    OK(load_tree(tree, NULL, &t) == OX_OK, "Removed with invert and the known pattern");
    ids_are(t, ox_str_c("abc ab"), NULL, 0, "257 32 256", "is the same");
    ox_tokenizer_free(t);
    t = NULL;
    patch(tree, SPLIT ".pattern.Regex", "\"a+\"");
    OK(load_tree(tree, NULL, &t) == OX_E_FORMAT, "Removed with invert and another pattern would lose text");
    json_decref(tree);
}

/* ---- allocation failure ----------------------------------------------------------------------------------------- */

static void test_oom(void)
{
    json_t *tree = small_tree();
    char *text = json_dumps(tree, 0);
    json_decref(tree);
    OX_CHECK(text != NULL);
    /* jansson itself is left alone: it ends the program or reports a fault of the text when it gets no memory. */
    bool good = true;
    long n = 1;
    for (bool failed = true; failed && n < 100000; n++) {
        struct ox_tokenizer *t = NULL;
        oom_arm(n);
        const enum ox_status status = ox_tokenizer_new(ox_str_c(text), "t.json", NULL, &t, &error);
        failed = oom_disarm();
        if (failed ? (status != OX_E_NOMEM || t != NULL) : (status != OX_OK || t == NULL)) {
            good = false;
            NOTE("allocation %ld: %s %s", n, ox_status_name(status), error.message);
        }
        ox_tokenizer_free(t);
    }
    OK(good && n > 20, "loading with each of %ld allocations failing", n - 2);
    free(text);

    struct ox_tokenizer *t = load_patched("model.vocab.ee", "258");
    char long_text[2000];
    memset(long_text, 'e', sizeof long_text);
    memcpy(long_text + 900, " <x> \xFF 12", 9);
    struct ox_ids ids;
    ox_ids_init(&ids);
    good = true;
    n = 1;
    for (bool failed = true; failed && n < 100000; n++) {
        ox_ids_fini(&ids);
        OX_CHECK(ox_ids_add(&ids, 3) == 0 && ox_ids_add(&ids, 4) == 0);
        oom_arm(n);
        const enum ox_status status =
            ox_tokenizer_encode(t, ox_str_make(long_text, sizeof long_text), NULL, 0, &ids, &error);
        failed = oom_disarm();
        good = good && ids.ptr[0] == 3 && ids.ptr[1] == 4 &&
               (failed ? status == OX_E_NOMEM && ids.len == 2 : status == OX_OK && ids.len > 2);
    }
    OK(good && n > 8, "encoding with each of %ld allocations failing", n - 2);
    ox_ids_fini(&ids);
    good = true;
    n = 1;
    for (bool failed = true; failed && n < 100000; n++) {
        oom_arm(n);
        const enum ox_status status = ox_tokenizer_pieces(t, ox_str_make(long_text, sizeof long_text), &ids, &error);
        failed = oom_disarm();
        good = good && status == (failed ? OX_E_NOMEM : OX_OK) && (ids.len == 0) == failed;
    }
    OK(good && n > 5, "cutting with each of %ld allocations failing", n - 2);
    ox_ids_fini(&ids);
    ox_tokenizer_free(t);
}

int main(void)
{
    test_refusals();
    test_refusals_raw();
    test_accepted();
    test_ranges();
    test_patterns();
    test_oom();
    return tap_done();
}
