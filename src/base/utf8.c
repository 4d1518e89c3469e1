/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 by the book: one table-free decoder that everything else is built on.
 */
#include "base/utf8.h"

/* The allowed range of a character's second byte, and how many bytes follow the first; 0 for an impossible first. */
static size_t following(unsigned char first, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
        return 1;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        *low = first == 0xE0 ? 0xA0 : 0x80;
        *high = first == 0xED ? 0x9F : 0xBF;
        return 2;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        *low = first == 0xF0 ? 0x90 : 0x80;
        *high = first == 0xF4 ? 0x8F : 0xBF;
        return 3;
    }
    return 0;
}

/* As ox_utf8_decode; *wanted is the length that the first byte promises (1 if it promises nothing). */
static size_t decode(struct ox_str s, uint32_t *code, size_t *wanted)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    *wanted = 1;
    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    unsigned char low;
    unsigned char high;
    const size_t more = following(p[0], &low, &high);
    *wanted = more + 1;
    uint32_t value = p[0] & (0x3FU >> more);
    for (size_t i = 1; i <= more; i++) {
        if (i >= s.len || p[i] < low || p[i] > high) {
            *code = UINT32_MAX;
            return i;
        }
        value = (value << 6) | (p[i] & 0x3FU);
        low = 0x80;
        high = 0xBF;
    }
    *code = more > 0 ? value : UINT32_MAX;
    return more + 1;
}

size_t ox_utf8_decode(struct ox_str s, uint32_t *code)
{
    size_t wanted;
    return decode(s, code, &wanted);
}

size_t ox_utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    const size_t more = 1U + (code >= 0x800) + (code >= 0x10000);
    static const unsigned char marks[] = {0, 0xC0, 0xE0, 0xF0};
    for (size_t i = more; i > 0; i--) {
        out[i] = (char)(0x80U | (code & 0x3FU));
        code >>= 6;
    }
    out[0] = (char)(marks[more] | code);
    return more + 1;
}

bool ox_utf8_valid(struct ox_str s)
{
    size_t at = 0;
    while (at < s.len) {
        uint32_t code;
        at += ox_utf8_decode(ox_str_make(s.ptr + at, s.len - at), &code);
        if (code == UINT32_MAX) {
            return false;
        }
    }
    return true;
}

size_t ox_utf8_tail(struct ox_str s)
{
    const size_t most = s.len < 3 ? s.len : 3;
    for (size_t back = 1; back <= most; back++) {
        const unsigned char byte = (unsigned char)s.ptr[s.len - back];
        if ((byte & 0xC0) == 0x80) {
            continue;
        }
        uint32_t code;
        size_t wanted;
        const size_t len = decode(ox_str_make(s.ptr + s.len - back, back), &code, &wanted);
        return code == UINT32_MAX && len == back && wanted > back ? back : 0;
    }
    return 0;
}

void ox_utf8_add_lossy(struct ox_buf *buf, struct ox_str s)
{
    size_t at = 0;
    size_t good = 0;
    while (at < s.len) {
        uint32_t code;
        const size_t len = ox_utf8_decode(ox_str_make(s.ptr + at, s.len - at), &code);
        if (code == UINT32_MAX) {
            ox_buf_add(buf, s.ptr + good, at - good);
            ox_buf_add(buf, "\xEF\xBF\xBD", 3);
            good = at + len;
        }
        at += len;
    }
    if (s.len > good) {
        ox_buf_add(buf, s.ptr + good, s.len - good);
    }
}
