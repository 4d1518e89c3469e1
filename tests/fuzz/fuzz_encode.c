/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as text, with any plain ranges, under the three tokenizers of the tests: decoding gives the text back, no
 * plain byte is in an added token, ranges change nothing where no added token stands, and the pieces are those of the
 * hand-written matcher. Finds its data below $abs_top_srcdir, or below the current folder.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/pretok_scan.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_TOKENIZERS 3

static struct ox_tokenizer *tokenizers[N_TOKENIZERS];
static struct scan scans[N_TOKENIZERS];

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static void load_all(void)
{
    static const char *const names[N_TOKENIZERS] = {"golden/tokenizer/tokenizer.json",
                                                    "golden/tokenizer/tokenizer-noslash.json", "demo/tokenizer.json"};
    const char *top = getenv("abs_top_srcdir");
    for (int i = 0; i < N_TOKENIZERS; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/tests/%s", top != NULL ? top : ".", names[i]);
        struct ox_buf bytes;
        ox_buf_init(&bytes);
        FILE *f = fopen(path, "rb");
        if (f == NULL) {
            fprintf(stderr, "cannot open %s: run from the top of the source tree or set abs_top_srcdir\n", path);
            exit(1);
        }
        char block[4096];
        for (size_t n = fread(block, 1, sizeof block, f); n > 0; n = fread(block, 1, sizeof block, f)) {
            ox_buf_add(&bytes, block, n);
        }
        fclose(f);
        check(ox_tokenizer_new(ox_buf_str(&bytes), path, NULL, &tokenizers[i], NULL) == OX_OK);
        ox_buf_fini(&bytes);
        scan_open(&scans[i], i != 1);
    }
}

/* Encode, and check what must hold for any ranges. Returns whether an added token is among the ids. */
static bool encode(const struct ox_tokenizer *t, struct ox_str text, const struct ox_range *plain, size_t n,
                   struct ox_ids *ids)
{
    struct ox_buf back;
    bool has_added = false;
    size_t at = 0;
    size_t k = 0;
    ox_ids_init(ids);
    ox_buf_init(&back);
    check(ox_tokenizer_encode(t, text, plain, n, ids, NULL) == OX_OK);
    for (size_t i = 0; i < ids->len; i++) {
        const size_t end = at + ox_tokenizer_bytes(t, ids->ptr[i]).len;
        check(end > at);
        if (ox_tokenizer_is_added(t, ids->ptr[i])) {
            has_added = true;
            while (k < n && plain[k].end <= at) {
                k++;
            }
            check(k == n || plain[k].begin >= end);
        }
        at = end;
    }
    ox_tokenizer_decode(t, ids->ptr, ids->len, false, &back);
    check(ox_str_equal(ox_buf_str(&back), text));
    ox_buf_fini(&back);
    return has_added;
}

static bool same(const struct ox_ids *a, const struct ox_ids *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->ptr, b->ptr, a->len * sizeof *a->ptr) == 0);
}

static void check_pieces(const struct ox_tokenizer *t, struct scan *scan, struct ox_str text)
{
    struct ox_ids lengths;
    size_t sum = 0;
    ox_ids_init(&lengths);
    check(ox_tokenizer_pieces(t, text, &lengths, NULL) == OX_OK);
    for (size_t i = 0; i < lengths.len; i++) {
        check(lengths.ptr[i] > 0);
        sum += (size_t)lengths.ptr[i];
    }
    check(sum == text.len);
    check(!ox_utf8_valid(text) || scan_agrees(scan, text, lengths.ptr, lengths.len));
    ox_ids_fini(&lengths);
}

/* Byte 0: tokenizer and number of ranges; then two bytes a range, the distances of its ends; then the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ox_range plain[8];
    if (tokenizers[0] == NULL) {
        load_all();
    }
    if (size == 0) {
        return 0;
    }
    const int which = data[0] % N_TOKENIZERS;
    size_t n = (data[0] / N_TOKENIZERS) % 8;
    n = 1 + 2 * n <= size ? n : 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        plain[i].begin = at + data[1 + 2 * i];
        plain[i].end = plain[i].begin + 1 + data[2 + 2 * i];
        at = plain[i].end;
    }
    const struct ox_str text = ox_str_make((const char *)data + 1 + 2 * n, size - 1 - 2 * n);
    const struct ox_range all = {0, text.len};
    const struct ox_tokenizer *t = tokenizers[which];
    struct ox_ids free_ids;
    struct ox_ids some_ids;
    struct ox_ids plain_ids;
    const bool has_added = encode(t, text, NULL, 0, &free_ids);
    encode(t, text, plain, n, &some_ids);
    check(!encode(t, text, &all, 1, &plain_ids));
    check(has_added || (same(&free_ids, &some_ids) && same(&free_ids, &plain_ids)));
    check(n > 0 || same(&free_ids, &some_ids));
    ox_ids_fini(&free_ids);
    ox_ids_fini(&some_ids);
    ox_ids_fini(&plain_ids);
    check_pieces(t, &scans[which], text);
    return 0;
}
