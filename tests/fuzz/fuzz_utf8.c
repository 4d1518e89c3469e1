/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8: repairing gives valid text, leaves valid text alone, does not depend on how a stream is cut, and characters
 * go there and back.
 */
#include "base/buf.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_characters(struct ox_str text)
{
    size_t at = 0;
    bool valid = true;
    while (at < text.len) {
        uint32_t code;
        char back[4];
        const size_t len = ox_utf8_decode(ox_str_make(text.ptr + at, text.len - at), &code);
        OX_CHECK(len >= 1 && len <= 4 && len <= text.len - at);
        if (code == UINT32_MAX) {
            valid = false;
        } else {
            OX_CHECK(ox_utf8_encode(code, back) == len && memcmp(back, text.ptr + at, len) == 0);
        }
        at += len;
    }
    OX_CHECK(valid == ox_utf8_valid(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ox_str text = ox_str_make((const char *)data, size);
    struct ox_buf whole = {0};
    struct ox_buf parts = {0};
    check_characters(text);
    ox_utf8_add_lossy(&whole, text);
    OX_CHECK(!ox_buf_failed(&whole) && ox_utf8_valid(ox_buf_str(&whole)));
    OX_CHECK(whole.len <= 3 * size);
    OX_CHECK(!ox_utf8_valid(text) || ox_str_equal(text, ox_buf_str(&whole)));

    /* Cut as the bytes themselves say. */
    size_t done = 0;
    for (size_t end = 0; end < size; end += 1 + data[end] % 5) {
        const struct ox_str pending = ox_str_make(text.ptr + done, end - done);
        const size_t tail = ox_utf8_tail(pending);
        OX_CHECK(tail <= 3 && tail <= pending.len);
        ox_utf8_add_lossy(&parts, ox_str_make(pending.ptr, pending.len - tail));
        done += pending.len - tail;
    }
    ox_utf8_add_lossy(&parts, ox_str_make(text.ptr + done, size - done));
    OX_CHECK(ox_str_equal(ox_buf_str(&whole), ox_buf_str(&parts)));
    ox_buf_fini(&whole);
    ox_buf_fini(&parts);
    return 0;
}
