/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap: zeroed, aligned, checked sizes; and the checked arithmetic of ckd.h that it stands on.
 */
#include "base/ckd.h"
#include "base/mem.h"
#include "tests/tap.h"

static bool all_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

static void test_ckd(void)
{
    size_t out;
    uint64_t wide;
    OK(!ox_ckd_add(&out, SIZE_MAX - 1, 1) && out == SIZE_MAX, "the largest sum");
    OK(ox_ckd_add(&out, SIZE_MAX, 1), "one more");
    OK(!ox_ckd_mul(&out, SIZE_MAX / 3, 3) && out == SIZE_MAX / 3 * 3, "a large product");
    OK(ox_ckd_mul(&out, SIZE_MAX / 3 + 1, 3), "too large a product");
    OK(!ox_ckd_mul(&out, SIZE_MAX, 0) && out == 0, "nothing times much");
    OK(!ox_ckd_add_u64(&wide, UINT64_MAX, 0) && wide == UINT64_MAX && ox_ckd_add_u64(&wide, UINT64_MAX, 1),
       "64-bit sums");
    OK(!ox_ckd_mul_u64(&wide, UINT64_C(1) << 32, UINT64_C(0xFFFFFFFF)) &&
           ox_ckd_mul_u64(&wide, UINT64_C(1) << 32, UINT64_C(1) << 32),
       "64-bit products");
    OK(!ox_ckd_round_up(&out, 0, 64) && out == 0, "0 rounds to 0");
    OK(!ox_ckd_round_up(&out, 1, 64) && out == 64, "1 to 64");
    OK(!ox_ckd_round_up(&out, 64, 64) && out == 64, "64 stays");
    OK(!ox_ckd_round_up(&out, 65, 64) && out == 128, "65 to 128");
    OK(!ox_ckd_round_up(&out, 7, 3) && out == 9, "steps need not be powers of two");
    OK(!ox_ckd_round_up(&out, SIZE_MAX - 63, 64) && out == SIZE_MAX - 63, "the last multiple");
    OK(ox_ckd_round_up(&out, SIZE_MAX - 62, 64), "behind it there is none");
}

static void test_alloc(void)
{
    unsigned char *p = ox_calloc(1000, 3);
    OK(p != NULL && all_zero(p, 3000), "calloc gives zeros");
    ox_free(p);
    OK(ox_calloc(SIZE_MAX / 2, 3) == NULL, "a product that overflows is refused");
    OK(ox_realloc(NULL, SIZE_MAX / 2, 3) == NULL, "also by realloc");
    OK(ox_calloc_aligned(SIZE_MAX / 2, 3) == NULL, "also by aligned calloc");
    OK(ox_calloc_aligned(SIZE_MAX - 5, 1) == NULL, "also where rounding up overflows");
    p = ox_calloc(0, 8);
    OK(p != NULL, "nothing is a pointer");
    ox_free(p);
    p = ox_calloc(8, 0);
    OK(p != NULL, "many nothings too");
    ox_free(p);
    p = ox_calloc_aligned(0, 1);
    OK(p != NULL && (uintptr_t)p % OX_ALIGN == 0, "aligned nothing");
    ox_free(p);
    bool good = true;
    for (size_t n = 1; n < 300; n++) {
        p = ox_calloc_aligned(n, 1);
        good = good && p != NULL && (uintptr_t)p % OX_ALIGN == 0 && all_zero(p, n);
        memset(p, 0xFF, n);
        ox_free(p);
    }
    OK(good, "aligned memory is aligned and zero");
    ox_free(NULL);
}

static void test_realloc(void)
{
    unsigned char *p = ox_realloc(NULL, 3, 4);
    OK(p != NULL, "realloc of nothing");
    memcpy(p, "hello world", 12);
    unsigned char *grown = ox_realloc(p, 1000, 4);
    OK(grown != NULL && memcmp(grown, "hello world", 12) == 0, "keeps the bytes");
    OK(ox_realloc(grown, SIZE_MAX, 2) == NULL && memcmp(grown, "hello world", 12) == 0, "a failure keeps them too");
    grown = ox_realloc(grown, 0, 4);
    OK(grown != NULL, "to nothing is a pointer");
    ox_free(grown);
}

static void test_strings(void)
{
    char *s = ox_strndup("ab\0cd", 5);
    OK(s != NULL && memcmp(s, "ab\0cd", 6) == 0, "strndup copies NUL bytes and adds one");
    ox_free(s);
    s = ox_strndup(NULL, 0);
    OK(s != NULL && s[0] == '\0', "no bytes");
    ox_free(s);
    OK(ox_strndup("x", SIZE_MAX) == NULL, "too many bytes");
    s = ox_strdup("word");
    OK(s != NULL && strcmp(s, "word") == 0, "strdup");
    ox_free(s);
}

static void test_grow(void)
{
    void *p = NULL;
    size_t cap = 0;
    IS_INT(ox_grow(&p, &cap, 1, 4), 0, "grow nothing");
    OK(p != NULL && cap >= 1, "to at least one");
    size_t n_moves = 0;
    bool kept = true;
    for (size_t n = 1; n <= 100000; n++) {
        const size_t before = cap;
        if (ox_grow(&p, &cap, n, sizeof(int)) != 0 || cap < n) {
            kept = false;
            break;
        }
        n_moves += cap != before ? 1 : 0;
        ((int *)p)[n - 1] = (int)n;
    }
    for (size_t i = 0; kept && i < 100000; i++) {
        kept = ((int *)p)[i] == (int)i + 1;
    }
    OK(kept, "one at a time, all are kept");
    OK(n_moves < 20, "by doubling (%zu times)", n_moves);
    void *old = p;
    const size_t old_cap = cap;
    IS_INT(ox_grow(&p, &cap, SIZE_MAX / 2, sizeof(int)), -1, "too many");
    OK(p == old && cap == old_cap, "leaves everything unchanged");
    IS_INT(ox_grow(&p, &cap, SIZE_MAX, 1), -1, "the most there are");
    OK(p == old && cap == old_cap, "leaves everything unchanged");
    IS_INT(ox_grow(&p, &cap, 5, sizeof(int)), 0, "less than there is");
    OK(p == old && cap == old_cap, "changes nothing");
    ox_free(p);
}

int main(void)
{
    test_ckd();
    test_alloc();
    test_realloc();
    test_strings();
    test_grow();
    return tap_done();
}
