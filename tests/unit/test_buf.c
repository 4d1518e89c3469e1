/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing buffers: every way of appending, the NUL behind, and the mark that a failure leaves.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "tests/tap.h"

static void test_add(void)
{
    struct ox_buf buf = {0};
    IS_STR(ox_buf_text(&buf), "", "an empty buffer has a text");
    OK(ox_buf_str(&buf).len == 0 && !ox_buf_failed(&buf), "of no length");
    ox_buf_add(&buf, "ab\0c", 4);
    OK(buf.len == 4 && memcmp(buf.ptr, "ab\0c", 5) == 0, "bytes, a NUL behind them");
    ox_buf_cut(&buf, 0);
    ox_buf_add_c(&buf, "one");
    ox_buf_add_byte(&buf, ' ');
    ox_buf_add_str(&buf, ox_str_make("two!", 3));
    ox_buf_printf(&buf, " %d %s", 3, "four");
    IS_STR(ox_buf_text(&buf), "one two 3 four", "all ways of appending");
    IS_INT(buf.len, 14, "the length");
    ox_buf_add(&buf, NULL, 0);
    ox_buf_add_str(&buf, ox_str_make(NULL, 0));
    IS_INT(buf.len, 14, "nothing adds nothing");
    ox_buf_cut(&buf, 20);
    IS_INT(buf.len, 14, "cutting to more does nothing");
    ox_buf_cut(&buf, 3);
    IS_STR(ox_buf_text(&buf), "one", "cutting to less leaves a NUL");
    const char *before = buf.ptr;
    ox_buf_clear(&buf);
    OK(buf.len == 0 && buf.ptr == before, "clearing keeps the memory");
    IS_STR(ox_buf_text(&buf), "", "but not the bytes");
    ox_buf_fini(&buf);
    OK(buf.ptr == NULL && buf.len == 0 && buf.cap == 0, "finished");
    ox_buf_add_c(&buf, "again");
    IS_STR(ox_buf_text(&buf), "again", "and usable again");
    ox_buf_fini(&buf);
    ox_buf_init(&buf);
    ox_buf_cut(&buf, 0);
    ox_buf_clear(&buf);
    ox_buf_fini(&buf);
}

static void test_printf(void)
{
    struct ox_buf buf = {0};
    bool same = true;
    for (int n = 0; n < 600; n++) {
        ox_buf_clear(&buf);
        ox_buf_add_c(&buf, "<");
        ox_buf_printf(&buf, "%0*d", n, 7);
        same =
            same && buf.len == (n > 0 ? (size_t)n + 1 : 2) && buf.ptr[buf.len] == '\0' && buf.ptr[buf.len - 1] == '7';
    }
    OK(same, "texts of every length to 600");
    ox_buf_fini(&buf);
}

static void test_take(void)
{
    struct ox_buf buf = {0};
    char *text = ox_buf_take(&buf);
    OK(text != NULL && text[0] == '\0', "an empty buffer gives an empty text");
    ox_free(text);
    ox_buf_add(&buf, "a\0b", 3);
    text = ox_buf_take(&buf);
    OK(text != NULL && memcmp(text, "a\0b", 4) == 0, "the bytes with a NUL behind");
    OK(buf.ptr == NULL && buf.len == 0 && !ox_buf_failed(&buf), "the buffer is empty");
    ox_free(text);
}

static void test_failure(void)
{
    struct ox_buf buf = {0};
    ox_buf_add_c(&buf, "kept");
    ox_buf_add(&buf, "x", SIZE_MAX - 2);
    OK(ox_buf_failed(&buf), "a length that overflows marks the buffer");
    IS_STR(ox_buf_text(&buf), "kept", "what was there stays");
    ox_buf_add_c(&buf, "more");
    ox_buf_add_byte(&buf, 'x');
    ox_buf_printf(&buf, "%d", 1);
    IS_STR(ox_buf_text(&buf), "kept", "later appends do nothing");
    OK(ox_buf_take(&buf) == NULL, "it cannot be taken");
    OK(buf.ptr == NULL && !ox_buf_failed(&buf), "and is empty and usable afterwards");
    ox_buf_add(&buf, "x", SIZE_MAX);
    OK(ox_buf_failed(&buf), "marked again");
    ox_buf_clear(&buf);
    OK(!ox_buf_failed(&buf), "clearing removes the mark");
    ox_buf_fini(&buf);
}

int main(void)
{
    test_add();
    test_printf();
    test_take();
    test_failure();
    return tap_done();
}
