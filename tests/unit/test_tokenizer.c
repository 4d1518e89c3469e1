/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokenizer against golden cases (made by other implementations), its own inverse, a hand-written matcher of the
 * pattern, the definition of merging, and the growth of its work with the length of a piece.
 */
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "tests/pretok_scan.h"
#include "tests/tokenizer_help.h"
#include "text/markers.h"
#include "text/tokenizer_parts.h"

/* ---- help ------------------------------------------------------------------------------------------------------- */

static struct ox_buf read_file(const char *name)
{
    struct ox_buf bytes;
    ox_buf_init(&bytes);
    FILE *f = fopen(tap_file(name), "rb");
    if (f == NULL) {
        fprintf(stderr, "cannot open %s\n", tap_file(name));
        exit(1);
    }
    char block[4096];
    for (size_t n = fread(block, 1, sizeof block, f); n > 0; n = fread(block, 1, sizeof block, f)) {
        ox_buf_add(&bytes, block, n);
    }
    fclose(f);
    return bytes;
}

static json_t *read_json(const char *name)
{
    struct ox_buf bytes = read_file(name);
    json_t *root = NULL;
    if (ox_json_parse(ox_buf_str(&bytes), name, &root, &error) != OX_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    ox_buf_fini(&bytes);
    return root;
}

static struct ox_tokenizer *load(const char *name)
{
    struct ox_buf bytes = read_file(name);
    struct ox_tokenizer *t = NULL;
    if (ox_tokenizer_new(ox_buf_str(&bytes), name, NULL, &t, &error) != OX_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    ox_buf_fini(&bytes);
    return t;
}

static bool same_ids(const struct ox_ids *found, const json_t *expected)
{
    if (found->len != json_array_size(expected)) {
        return false;
    }
    for (size_t i = 0; i < found->len; i++) {
        if (found->ptr[i] != json_integer_value(json_array_get(expected, i))) {
            return false;
        }
    }
    return true;
}

/* ---- golden cases ----------------------------------------------------------------------------------------------- */

static bool pieces_agree(const struct ox_tokenizer *t, struct scan *scan, const json_t *c)
{
    const struct ox_str text = ox_json_text(json_object_get(c, "text"));
    const json_t *pieces = json_object_get(c, "pieces");
    struct ox_ids lengths;
    ox_ids_init(&lengths);
    const bool agree = ox_tokenizer_pieces(t, text, &lengths, &error) == OX_OK &&
                       (!json_is_array(pieces) || same_ids(&lengths, pieces)) &&
                       scan_agrees(scan, text, lengths.ptr, lengths.len);
    ox_ids_fini(&lengths);
    return agree;
}

static bool ids_agree(const struct ox_tokenizer *t, const json_t *c, const char *member)
{
    const struct ox_str text = ox_json_text(json_object_get(c, "text"));
    const json_t *ranges = json_object_get(c, "plain");
    struct ox_range plain[8];
    const size_t n = json_array_size(ranges);
    for (size_t k = 0; k < n && k < 8; k++) {
        plain[k].begin = (size_t)json_integer_value(json_array_get(json_array_get(ranges, k), 0));
        plain[k].end = (size_t)json_integer_value(json_array_get(json_array_get(ranges, k), 1));
    }
    struct ox_ids ids = encode(t, text, plain, n);
    const bool agree = same_ids(&ids, json_object_get(c, member)) && decodes_to(t, &ids, false, text);
    ox_ids_fini(&ids);
    return agree;
}

static bool decoding_agrees(const struct ox_tokenizer *t, const json_t *c, bool skip)
{
    const json_t *ids = json_object_get(c, "ids");
    struct ox_ids list;
    struct ox_buf bytes;
    struct ox_buf lossy;
    ox_ids_init(&list);
    ox_buf_init(&bytes);
    ox_buf_init(&lossy);
    for (size_t k = 0; k < json_array_size(ids); k++) {
        OX_CHECK(ox_ids_add(&list, (int32_t)json_integer_value(json_array_get(ids, k))) == 0);
    }
    ox_tokenizer_decode(t, list.ptr, list.len, skip, &bytes);
    ox_utf8_add_lossy(&lossy, ox_buf_str(&bytes));
    const struct ox_str expected = ox_json_text(json_object_get(c, skip ? "without_special" : "text"));
    const bool agrees = ox_str_equal(ox_buf_str(&lossy), expected);
    ox_buf_fini(&bytes);
    ox_buf_fini(&lossy);
    ox_ids_fini(&list);
    return agrees;
}

/* Count a case that is wrong, and say which. */
static int wrong(bool good, const char *name, size_t i)
{
    if (!good) {
        NOTE("%s: case %zu is wrong", name, i);
    }
    return good ? 0 : 1;
}

static void test_golden(const struct ox_tokenizer *slash, const struct ox_tokenizer *noslash)
{
    json_t *root = read_json("golden/tokenizer/cases.json");
    const json_t *cases = json_object_get(root, "encode");
    const json_t *decode = json_object_get(root, "decode");
    struct scan scan;
    scan_open(&scan, true);
    int n_wrong[4] = {0, 0, 0, 0};
    IS_INT(json_array_size(cases), 628, "golden encode cases");
    IS_INT(json_array_size(decode), 80, "golden decode cases");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        n_wrong[0] += wrong(ids_agree(slash, c, "slash"), "tokenizer.json", i);
        n_wrong[1] += wrong(ids_agree(noslash, c, "noslash"), "tokenizer-noslash.json", i);
        n_wrong[2] += wrong(pieces_agree(slash, &scan, c), "pieces", i);
    }
    for (size_t i = 0; i < json_array_size(decode); i++) {
        const json_t *c = json_array_get(decode, i);
        n_wrong[3] += wrong(decoding_agrees(slash, c, false), "decoding", i);
        n_wrong[3] += wrong(decoding_agrees(slash, c, true), "decoding without special tokens", i);
    }
    IS_INT(n_wrong[0], 0, "golden cases with wrong ids, tokenizer.json");
    IS_INT(n_wrong[1], 0, "golden cases with wrong ids, tokenizer-noslash.json");
    IS_INT(n_wrong[2], 0, "golden cases cut wrongly");
    IS_INT(n_wrong[3], 0, "golden cases decoded wrongly");
    scan_close(&scan);
    json_decref(root);
}

static void test_demo(const struct ox_tokenizer *demo)
{
    json_t *cases = read_json("golden/tokenizer/demo_cases.json");
    struct scan scan;
    int n_wrong[2] = {0, 0};
    scan_open(&scan, true);
    OK(json_array_size(cases) > 900, "%zu cases of the demonstration model", json_array_size(cases));
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        n_wrong[0] += wrong(ids_agree(demo, c, "ids"), "demo", i);
        if (json_is_array(json_object_get(c, "pieces"))) {
            n_wrong[1] += wrong(pieces_agree(demo, &scan, c), "pieces of demo", i);
        }
    }
    IS_INT(n_wrong[0], 0, "cases of the demonstration model with wrong ids");
    IS_INT(n_wrong[1], 0, "cases of the demonstration model cut wrongly");
    scan_close(&scan);
    json_decref(cases);
}

/* ---- the vocabulary --------------------------------------------------------------------------------------------- */

/* Every base token's bytes, merged as one piece, give the token back; every added token is found in a text. */
static void test_vocabulary(const struct ox_tokenizer *t, const char *name, int n_added, int n_unreachable)
{
    int n_wrong = 0;
    int n_found = 0;
    int n_other = 0;
    struct ox_bpe_work work = {0};
    for (int32_t id = 0; id < ox_tokenizer_n_ids(t); id++) {
        const struct ox_str bytes = ox_tokenizer_bytes(t, id);
        struct ox_ids ids;
        ox_ids_init(&ids);
        if (ox_tokenizer_is_added(t, id)) {
            n_found += ox_tokenizer_added_id(t, bytes) == id ? 1 : 0;
            ids = encode(t, bytes, NULL, 0);
        } else if (ox_bpe_encode(&t->bpe, &work, bytes, &ids) != 0) {
            exit(1);
        }
        n_wrong += decodes_to(t, &ids, false, bytes) ? 0 : 1;
        n_other += ids.len == 1 && ids.ptr[0] == id ? 0 : 1;
        ox_ids_fini(&ids);
        struct ox_ids again = encode(t, bytes, NULL, 0);
        n_wrong += decodes_to(t, &again, false, bytes) ? 0 : 1;
        ox_ids_fini(&again);
    }
    ox_bpe_work_fini(&work);
    OK(n_wrong == 0, "%s: %d tokens whose bytes do not come back", name, n_wrong);
    OK(n_found == n_added, "%s: %d added tokens found by their texts, expected %d", name, n_found, n_added);
    OK(n_other == n_unreachable, "%s: %d tokens that their bytes do not merge to, expected %d", name, n_other,
       n_unreachable);
    OK(ox_tokenizer_bytes(t, -1).ptr == NULL && ox_tokenizer_bytes(t, INT32_MIN).ptr == NULL &&
           ox_tokenizer_bytes(t, ox_tokenizer_n_ids(t)).ptr == NULL && ox_tokenizer_bytes(t, INT32_MAX).ptr == NULL,
       "%s: no token beyond the ids", name);
    OK(!ox_tokenizer_is_added(t, -1) && !ox_tokenizer_is_special(t, ox_tokenizer_n_ids(t)), "%s: nor a flag", name);
}

static void test_markers(const struct ox_tokenizer *demo, const struct ox_tokenizer *slash)
{
    struct ox_markers m;
    ox_markers_find(demo, &m);
    IS_INT(m.begin_document, 2036, "]~!b[");
    IS_INT(m.end_message, 2038, "[e~[");
    IS_INT(m.think_begin, 2044, "<mm:think>");
    IS_INT(m.tool_call_end, 2047, "</tool_call>");
    ox_markers_find(slash, &m);
    IS_INT(m.video, -1, "no ]<]video[>[ in this file");
    OK(ox_tokenizer_is_special(slash, 4991) && !ox_tokenizer_is_special(slash, 4994) &&
           ox_tokenizer_is_added(slash, 4994),
       "special and other added tokens");
    IS_INT(ox_tokenizer_added_id(slash, ox_str_c("<think")), -1, "a part of an added token");
    IS_INT(ox_tokenizer_added_id(slash, ox_str_c("<think>x")), -1, "more than an added token");
    IS_INT(ox_tokenizer_added_id(slash, ox_str_c("")), -1, "empty text");
}

/* ---- pieces against the hand-written matcher -------------------------------------------------------------------- */

static void test_scan(const struct ox_tokenizer *slash, const struct ox_tokenizer *noslash)
{
    static const uint32_t common[] = {' ',  ' ',    '\n', '\r',   '\t',   '\'',  '\'',   's',   't',
                                      'L',  'l',    'R',  'e',    'a',    'A',   'Z',    '1',   '9',
                                      '/',  '.',    '!',  0x17F,  0x180E, 0x301, 0x4E2D, 0x1C5, 0x2B0,
                                      0xBD, 0x3000, 0x85, 0x200B, 0xE9,   0xC9,  0x1F600};
    struct scan with;
    struct scan without;
    struct ox_rng rng;
    scan_open(&with, true);
    scan_open(&without, false);
    ox_rng_init(&rng, 5);
    int n_wrong = 0;
    for (int round = 0; round < 20000; round++) {
        char text[256];
        size_t len = 0;
        const uint64_t n = 1 + ox_rng_below(&rng, 40);
        for (uint64_t i = 0; i < n; i++) {
            uint32_t code = common[ox_rng_below(&rng, sizeof common / sizeof *common)];
            if (ox_rng_below(&rng, 4) == 0) {
                code = (uint32_t)ox_rng_below(&rng, ox_rng_below(&rng, 8) == 0 ? 0x110000 : 0x3000);
                code = code >= 0xD800 && code < 0xE000 ? 'x' : code;
            }
            len += ox_utf8_encode(code, text + len);
        }
        for (int which = 0; which < 2; which++) {
            struct ox_ids lengths;
            ox_ids_init(&lengths);
            const struct ox_str s = ox_str_make(text, len);
            n_wrong += ox_tokenizer_pieces(which == 0 ? slash : noslash, s, &lengths, &error) == OX_OK &&
                               scan_agrees(which == 0 ? &with : &without, s, lengths.ptr, lengths.len)
                           ? 0
                           : 1;
            ox_ids_fini(&lengths);
        }
    }
    IS_INT(n_wrong, 0, "random texts cut otherwise than by hand");
    /* Every character by itself between letters, blanks and punctuation. */
    n_wrong = 0;
    for (uint32_t code = 0; code < 0x110000; code += code < 0x3400 || (code >= 0xA000 && code < 0x20000) ? 1 : 61) {
        char text[32] = "aA ";
        size_t len = 3;
        if (code >= 0xD800 && code < 0xE000) {
            continue;
        }
        len += ox_utf8_encode(code, text + len);
        memcpy(text + len, "A!", 2);
        len += 2;
        len += ox_utf8_encode(code, text + len);
        memcpy(text + len, " x", 2);
        const struct ox_str s = ox_str_make(text, len + 2);
        struct ox_ids lengths;
        ox_ids_init(&lengths);
        n_wrong +=
            ox_tokenizer_pieces(slash, s, &lengths, &error) == OX_OK && scan_agrees(&with, s, lengths.ptr, lengths.len)
                ? 0
                : 1;
        ox_ids_fini(&lengths);
    }
    IS_INT(n_wrong, 0, "characters cut otherwise than by hand");
    scan_close(&with);
    scan_close(&without);
}

/* ---- merging ---------------------------------------------------------------------------------------------------- */

/* The definition: merge the lowest rank, leftmost first, until none is left. */
static size_t merge_naively(const struct ox_bpe *bpe, struct ox_str piece, int32_t *ids)
{
    size_t n = piece.len;
    for (size_t i = 0; i < n; i++) {
        ids[i] = bpe->symbols[(unsigned char)piece.ptr[i]];
    }
    for (;;) {
        uint32_t lowest = UINT32_MAX;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const uint32_t rank = ox_bpe_rank(bpe, ids[i], ids[i + 1]);
            if (rank < lowest) {
                lowest = rank;
                at = i;
            }
        }
        if (lowest == UINT32_MAX) {
            return n;
        }
        ids[at] = bpe->merged[lowest];
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

/* Random pieces of some letters against the definition; returns how many differ. */
static int merging_differs(const struct ox_bpe *bpe, struct ox_rng *rng, const char *letters, int n_rounds)
{
    struct ox_bpe_work work = {0};
    int n_wrong = 0;
    for (int round = 0; round < n_rounds; round++) {
        char piece[300];
        int32_t expected[300];
        const size_t len = 1 + (size_t)ox_rng_below(rng, round % 2 == 0 ? 40 : sizeof piece);
        const uint64_t kinds = 1 + ox_rng_below(rng, strlen(letters));
        for (size_t i = 0; i < len; i++) {
            piece[i] = round % 7 == 0 ? (char)ox_rng_below(rng, 256) : letters[ox_rng_below(rng, kinds)];
        }
        struct ox_ids ids;
        ox_ids_init(&ids);
        const size_t n = merge_naively(bpe, ox_str_make(piece, len), expected);
        const bool same = ox_bpe_encode(bpe, &work, ox_str_make(piece, len), &ids) == 0 && ids.len == n &&
                          memcmp(ids.ptr, expected, n * sizeof *expected) == 0;
        n_wrong += same ? 0 : 1;
        ox_ids_fini(&ids);
    }
    ox_bpe_work_fini(&work);
    return n_wrong;
}

/* Merges in any order: a token's own merges may rank before the merge that makes it, as in no trained file. */
static int odd_merging_differs(struct ox_rng *rng)
{
    enum { N_LETTERS = 4, N_MERGES = 60 };
    int32_t merges[N_MERGES][3];
    struct ox_bpe bpe;
    OX_CHECK(ox_bpe_init(&bpe, N_MERGES, NULL) == OX_OK);
    for (int32_t i = 0; i < 256; i++) {
        bpe.symbols[i] = i >= 'a' && i < 'a' + N_LETTERS ? i - 'a' : 1000 + i;
    }
    for (int32_t i = 0; i < N_MERGES; i++) {
        merges[i][0] = (int32_t)ox_rng_below(rng, (uint64_t)(N_LETTERS + i));
        merges[i][1] = (int32_t)ox_rng_below(rng, (uint64_t)(N_LETTERS + i < 12 ? N_LETTERS + i : 12));
        merges[i][2] = N_LETTERS + i;
    }
    for (int32_t left = N_MERGES; left > 0; left--) {
        const uint64_t pick = ox_rng_below(rng, (uint64_t)left);
        ox_bpe_add(&bpe, merges[pick][0], merges[pick][1], merges[pick][2]);
        memmove(merges[pick], merges[pick + 1], ((size_t)left - 1 - pick) * sizeof merges[0]);
    }
    const int n_wrong = merging_differs(&bpe, rng, "abcd", 40);
    ox_bpe_fini(&bpe);
    return n_wrong;
}

static void test_merging(const struct ox_tokenizer *t, const struct ox_tokenizer *demo)
{
    struct ox_rng rng;
    int n_wrong = 0;
    ox_rng_init(&rng, 9);
    IS_INT(merging_differs(&t->bpe, &rng, "aeinrst hou", 600), 0, "pieces of tokenizer.json merged wrongly");
    IS_INT(merging_differs(&demo->bpe, &rng, "aeinrst hou", 600), 0,
           "pieces of the demonstration model merged wrongly");
    for (int i = 0; i < 40; i++) {
        n_wrong += odd_merging_differs(&rng);
    }
    IS_INT(n_wrong, 0, "pieces merged wrongly with merges in random order");
}

/* Steps of merging a piece of n bytes made of `unit` stay below a small multiple of n log2 n. */
static void check_growth(const struct ox_bpe *bpe, const char *unit, const char *name)
{
    for (unsigned log_n = 14; log_n <= 20; log_n += 3) {
        const size_t n = (size_t)1 << log_n;
        struct ox_bpe_work work = {0};
        struct ox_ids ids;
        char *text = ox_calloc(n, 1);
        OX_CHECK(text != NULL);
        for (size_t i = 0; i < n; i++) {
            text[i] = unit[i % strlen(unit)];
        }
        ox_ids_init(&ids);
        OX_CHECK(ox_bpe_encode(bpe, &work, ox_str_make(text, n), &ids) == 0);
        OK(work.n_steps >= n && work.n_steps <= 6 * n * log_n, "%s: %zu bytes take %" PRIu64 " steps, %.2f n log n",
           name, n, work.n_steps, (double)work.n_steps / ((double)n * log_n));
        ox_ids_fini(&ids);
        ox_bpe_work_fini(&work);
        ox_free(text);
    }
}

static void test_growth(const struct ox_tokenizer *t)
{
    static const char *const units[] = {
        "a", " ", "\n", "the", "in", "0", "!", "\xE4\xB8\xAD", "abcdefghijklmnopqrstuvwxyz"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        check_growth(&t->bpe, units[i], "a run");
    }
    /* Doubling all the way: a a -> b, b b -> c, ... */
    struct ox_bpe doubling;
    OX_CHECK(ox_bpe_init(&doubling, 20, NULL) == OX_OK);
    for (int32_t i = 0; i < 20; i++) {
        OX_CHECK(!ox_bpe_add(&doubling, i, i, i + 1));
    }
    check_growth(&doubling, "a", "doubling");
    OK(ox_bpe_rank(&doubling, 19, 19) == 19 && ox_bpe_rank(&doubling, 20, 20) == UINT32_MAX, "ranks");
    ox_bpe_fini(&doubling);

    /* The whole path on a megabyte, where it must simply end. */
    const size_t n = (size_t)1 << 20;
    char *text = ox_calloc(n, 1);
    OX_CHECK(text != NULL);
    static const char *const runs[] = {"A", "a",    " ",     "\n",       "]",  "]~", "<",
                                       "1", "\xFF", "a\xFF", "\xCC\x81", " a", "'s"};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        for (size_t k = 0; k < n; k++) {
            text[k] = runs[i][k % strlen(runs[i])];
        }
        struct ox_ids ids = encode(t, ox_str_make(text, n), NULL, 0);
        OK(decodes_to(t, &ids, false, ox_str_make(text, n)), "1 MiB of %s", i < 8 ? runs[i] : "a run");
        ox_ids_fini(&ids);
    }
    ox_free(text);

    /* One piece that takes more steps than PCRE2 allows by itself. */
    const size_t n_capitals = (size_t)12 << 20;
    struct ox_ids lengths;
    ox_ids_init(&lengths);
    text = ox_calloc(n_capitals, 1);
    OX_CHECK(text != NULL);
    memset(text, 'A', n_capitals);
    OK(ox_tokenizer_pieces(t, ox_str_make(text, n_capitals), &lengths, &error) == OX_OK && lengths.len == 1,
       "12 MiB of capitals are one piece");
    ox_ids_fini(&lengths);
    ox_free(text);
}

int main(void)
{
    struct ox_tokenizer *slash = load("golden/tokenizer/tokenizer.json");
    struct ox_tokenizer *noslash = load("golden/tokenizer/tokenizer-noslash.json");
    struct ox_tokenizer *demo = load("demo/tokenizer.json");
    IS_INT(ox_tokenizer_n_ids(slash), 5000, "ids of tokenizer.json");
    IS_INT(ox_tokenizer_n_ids(noslash), 5002, "ids of tokenizer-noslash.json");
    IS_INT(ox_tokenizer_n_ids(demo), 2048, "ids of the demonstration model");
    test_golden(slash, noslash);
    test_demo(demo);
    test_vocabulary(slash, "tokenizer.json", 12, 0);
    test_vocabulary(noslash, "tokenizer-noslash.json", 12, 2);
    test_vocabulary(demo, "demo", 12, 0);
    test_markers(demo, slash);
    test_scan(slash, noslash);
    test_merging(slash, demo);
    test_growth(slash);
    ox_tokenizer_free(slash);
    ox_tokenizer_free(noslash);
    ox_tokenizer_free(demo);
    ox_tokenizer_free(NULL);
    return tap_done();
}
