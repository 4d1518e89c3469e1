/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 against a definition written differently: all code points, all sequences of up to 3 bytes, many of 4, and how
 * broken bytes fall into maximal parts.
 */
#include "base/buf.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "tests/tap.h"

/* Unicode table 3-7 as a list of ranges: does p[0..n) begin a well-formed sequence, and is it whole? */
static const unsigned char table[9][8] = {
    {0x00, 0x7F, 0, 0, 0, 0, 0, 0},
    {0xC2, 0xDF, 0x80, 0xBF, 0, 0, 0, 0},
    {0xE0, 0xE0, 0xA0, 0xBF, 0x80, 0xBF, 0, 0},
    {0xE1, 0xEC, 0x80, 0xBF, 0x80, 0xBF, 0, 0},
    {0xED, 0xED, 0x80, 0x9F, 0x80, 0xBF, 0, 0},
    {0xEE, 0xEF, 0x80, 0xBF, 0x80, 0xBF, 0, 0},
    {0xF0, 0xF0, 0x90, 0xBF, 0x80, 0xBF, 0x80, 0xBF},
    {0xF1, 0xF3, 0x80, 0xBF, 0x80, 0xBF, 0x80, 0xBF},
    {0xF4, 0xF4, 0x80, 0x8F, 0x80, 0xBF, 0x80, 0xBF},
};

/* How many of the n bytes belong to the sequence that begins here (at least 1); *whole: is it a character? */
static size_t by_table(const unsigned char *p, size_t n, bool *whole)
{
    size_t longest = 0;
    *whole = false;
    for (size_t r = 0; r < 9; r++) {
        size_t wanted = 1;
        while (wanted < 4 && table[r][2 * wanted + 1] != 0) {
            wanted++;
        }
        size_t matched = 0;
        while (matched < wanted && matched < n && p[matched] >= table[r][2 * matched] &&
               p[matched] <= table[r][2 * matched + 1]) {
            matched++;
        }
        if (matched == wanted) {
            *whole = true;
            return wanted;
        }
        longest = matched > longest ? matched : longest;
    }
    return longest > 0 ? longest : 1;
}

static bool agrees(const unsigned char *p, size_t n)
{
    uint32_t code;
    bool whole;
    const size_t expected = by_table(p, n, &whole);
    const size_t found = ox_utf8_decode(ox_str_make((const char *)p, n), &code);
    return found == expected && (code != UINT32_MAX) == whole;
}

static void test_decode(void)
{
    bool good = true;
    unsigned char p[4];
    for (unsigned a = 0; a < 256; a++) {
        p[0] = (unsigned char)a;
        good = good && agrees(p, 1);
        for (unsigned b = 0; b < 256; b++) {
            p[1] = (unsigned char)b;
            good = good && agrees(p, 2);
            for (unsigned c = 0; c < 256; c++) {
                p[2] = (unsigned char)c;
                good = good && agrees(p, 3);
            }
        }
    }
    OK(good, "all sequences of 1 to 3 bytes");
    static const unsigned char edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xF0, 0xFF};
    const size_t n = sizeof edges;
    for (unsigned a = 0xE0; a < 256; a++) {
        for (size_t i = 0; i < n * n * n; i++) {
            p[0] = (unsigned char)a;
            p[1] = edges[i / n / n];
            p[2] = edges[i / n % n];
            p[3] = edges[i % n];
            good = good && agrees(p, 4);
        }
    }
    OK(good, "sequences of 4 bytes with bytes at the edges");
}

static void test_round_trip(void)
{
    bool good = true;
    char p[4];
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        if (code >= 0xD800 && code <= 0xDFFF) {
            continue;
        }
        uint32_t back;
        const size_t len = ox_utf8_encode(code, p);
        size_t expected = 1;
        expected += code >= 0x80 ? 1U : 0U;
        expected += code >= 0x800 ? 1U : 0U;
        expected += code >= 0x10000 ? 1U : 0U;
        good = good && len == expected && ox_utf8_decode(ox_str_make(p, len), &back) == len && back == code;
    }
    OK(good, "every character there and back, in the shortest form");
    IS_INT(ox_utf8_encode(0x20AC, p), 3, "the euro sign");
    OK(memcmp(p, "\xE2\x82\xAC", 3) == 0, "is E2 82 AC");
}

static void test_valid(void)
{
    static const struct {
        const char *text;
        size_t len;
        bool valid;
        size_t tail;
        const char *lossy;
    } rows[] = {
        {"", 0, true, 0, ""},
        {"plain", 5, true, 0, "plain"},
        {"a\0b", 3, true, 0, NULL},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, true, 0, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"a\x80z", 3, false, 0, "a\xEF\xBF\xBDz"},
        {"\xC0\xAF", 2, false, 0, "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0\x80", 3, false, 0, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF4\x90\x80\x80", 4, false, 0, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        /* Unicode's own example (section 3.9): maximal parts. */
        {"\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", 13, false, 0,
         "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
         "b\xEF\xBF\xBD"
         "c\xEF\xBF\xBD\xEF\xBF\xBD"
         "d"},
        {"x\xC3", 2, false, 1, "x\xEF\xBF\xBD"},
        {"x\xE2\x82", 3, false, 2, "x\xEF\xBF\xBD"},
        {"x\xF0\x9F\x98", 4, false, 3, "x\xEF\xBF\xBD"},
        {"\xF0\x9F", 2, false, 2, "\xEF\xBF\xBD"},
        {"\xE0\x80", 2, false, 0, "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0", 2, false, 0, "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF4\x90", 2, false, 0, "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xFF", 1, false, 0, "\xEF\xBF\xBD"},
        {"\xC0", 1, false, 0, "\xEF\xBF\xBD"},
        {"\xC3\xA9\x80", 3, false, 0, "\xC3\xA9\xEF\xBF\xBD"},
        {"\x80\x80\x80\x80", 4, false, 0, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct ox_str s = ox_str_make(rows[i].text, rows[i].len);
        struct ox_buf lossy = {0};
        OK(ox_utf8_valid(s) == rows[i].valid, "row %zu: valid", i);
        IS_INT(ox_utf8_tail(s), rows[i].tail, "its unfinished end");
        ox_utf8_add_lossy(&lossy, s);
        if (rows[i].lossy != NULL) {
            IS_STR(ox_buf_text(&lossy), rows[i].lossy, "repaired");
        } else {
            OK(ox_str_equal(ox_buf_str(&lossy), s), "repaired: unchanged");
        }
        ox_buf_fini(&lossy);
    }
}

/* However a text is cut, holding back its unfinished end and repairing the rest gives what repairing the whole gives. */
static void test_stream(void)
{
    struct ox_rng rng;
    ox_rng_init(&rng, 1);
    bool same = true;
    bool valid = true;
    static const unsigned char bytes[] = {'a', 0x80, 0xBF, 0xC3, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0xED, 0xF4, 0x8F};
    for (int trial = 0; trial < 20000; trial++) {
        char text[24];
        const size_t n = (size_t)ox_rng_below(&rng, sizeof text);
        for (size_t i = 0; i < n; i++) {
            text[i] = (char)bytes[ox_rng_below(&rng, sizeof bytes)];
        }
        struct ox_buf whole = {0};
        struct ox_buf parts = {0};
        ox_utf8_add_lossy(&whole, ox_str_make(text, n));
        size_t done = 0;
        for (size_t end = 1; end <= n; end++) {
            const struct ox_str pending = ox_str_make(text + done, end - done);
            const size_t ready = pending.len - ox_utf8_tail(pending);
            ox_utf8_add_lossy(&parts, ox_str_make(text + done, ready));
            done += ready;
        }
        ox_utf8_add_lossy(&parts, ox_str_make(text + done, n - done));
        same = same && ox_str_equal(ox_buf_str(&whole), ox_buf_str(&parts));
        valid = valid && ox_utf8_valid(ox_buf_str(&whole));
        ox_buf_fini(&whole);
        ox_buf_fini(&parts);
    }
    OK(same, "byte by byte as in one piece");
    OK(valid, "what is repaired is valid");
}

int main(void)
{
    test_decode();
    test_round_trip();
    test_valid();
    test_stream();
    return tap_done();
}
