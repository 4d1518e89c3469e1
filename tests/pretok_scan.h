/* SPDX-License-Identifier: Apache-2.0
 *
 * The released models' pattern as a hand-written matcher, an answer to hold the regular expression's against. Only the
 * general category of a character comes from PCRE2's tables, so that both know the same version of Unicode.
 */
#ifndef OX_TESTS_PRETOK_SCAN_H
#define OX_TESTS_PRETOK_SCAN_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/utf8.h"

enum scan_class {
    SCAN_KNOWN = 1,
    SCAN_UPPER = 2, /* Lu Lt Lm Lo M */
    SCAN_LOWER = 4, /* Ll Lm Lo M */
    SCAN_LETTER = 8,
    SCAN_NUMBER = 16,
    SCAN_SPACE = 32,
};

struct scan {
    pcre2_code *code;
    pcre2_match_data *data;
    unsigned char *classes; /* of each code point, filled when asked */
    bool slash;             /* the pattern's tail of punctuation takes '/' */
    uint32_t *text;
    size_t n;
};

static inline void scan_open(struct scan *s, bool slash)
{
    static const char groups[] = "(\\p{Lu}|\\p{Lt})|(\\p{Ll})|(\\p{Lm}|\\p{Lo})|(\\p{M})|(\\p{N})|.";
    int error;
    PCRE2_SIZE offset;
    memset(s, 0, sizeof *s);
    s->slash = slash;
    s->code = pcre2_compile((PCRE2_SPTR)groups, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP | PCRE2_DOTALL, &error,
                            &offset, NULL);
    s->data = s->code != NULL ? pcre2_match_data_create_from_pattern(s->code, NULL) : NULL;
    s->classes = calloc(0x110000, 1);
    if (s->data == NULL || s->classes == NULL) {
        abort();
    }
}

static inline void scan_close(struct scan *s)
{
    pcre2_match_data_free(s->data);
    pcre2_code_free(s->code);
    free(s->classes);
}

static inline bool scan_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* The classes of character i; none at the end of the text. */
static inline unsigned scan_at(const struct scan *s, size_t i)
{
    static const unsigned of_group[] = {0,
                                        SCAN_UPPER | SCAN_LETTER,
                                        SCAN_LOWER | SCAN_LETTER,
                                        SCAN_UPPER | SCAN_LOWER | SCAN_LETTER,
                                        SCAN_UPPER | SCAN_LOWER,
                                        SCAN_NUMBER};
    if (i >= s->n) {
        return 0;
    }
    const uint32_t c = s->text[i];
    if (s->classes[c] == 0) {
        char bytes[4];
        const size_t len = ox_utf8_encode(c, bytes);
        const int group = pcre2_match(s->code, (PCRE2_SPTR)bytes, len, 0, 0, s->data, NULL) - 1;
        if (group < 0) {
            abort();
        }
        const unsigned space = scan_is_space(c) ? (unsigned)SCAN_SPACE : 0U;
        s->classes[c] = (unsigned char)(SCAN_KNOWN | space | of_group[group]);
    }
    return s->classes[c];
}

/* [^\r\n\p{L}\p{N}] */
static inline bool scan_is_prefix(const struct scan *s, size_t i)
{
    return i < s->n && s->text[i] != '\r' && s->text[i] != '\n' && (scan_at(s, i) & (SCAN_LETTER | SCAN_NUMBER)) == 0;
}

static inline size_t scan_run(const struct scan *s, size_t i, unsigned classes)
{
    while ((scan_at(s, i) & classes) != 0) {
        i++;
    }
    return i;
}

static inline size_t scan_contraction(const struct scan *s, size_t i)
{
    static const char *const ends[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    if (i >= s->n || s->text[i] != '\'') {
        return i;
    }
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
        size_t j = 0;
        for (; ends[k][j] != '\0' && i + 1 + j < s->n; j++) {
            const uint32_t c = s->text[i + 1 + j];
            const uint32_t lower = c >= 'A' && c <= 'Z' ? c + 32 : c;
            if (lower != (unsigned char)ends[k][j] && !(c == 0x17F && ends[k][j] == 's')) {
                break;
            }
        }
        if (ends[k][j] == '\0') {
            return i + 1 + j;
        }
    }
    return i;
}

/* The first two alternatives: the end of their match, or 0. */
static inline size_t scan_word(const struct scan *s, size_t at)
{
    for (int alternative = 1; alternative <= 2; alternative++) {
        for (size_t skip = scan_is_prefix(s, at) ? 2 : 1; skip > 0; skip--) {
            const size_t start = at + skip - 1;
            const size_t upper = scan_run(s, start, SCAN_UPPER);
            size_t end = scan_run(s, upper, SCAN_LOWER);
            if (alternative == 1) {
                /* at least one of the second class: if none follows, the last of the run that is in both */
                while (end <= upper && end > start && (scan_at(s, end - 1) & SCAN_LOWER) == 0) {
                    end--;
                }
                if (end > start) {
                    return scan_contraction(s, end);
                }
            } else if (upper > start) {
                return scan_contraction(s, end);
            }
        }
    }
    return 0;
}

/* The end of the piece that begins at `at`. */
static inline size_t scan_piece(const struct scan *s, size_t at)
{
    const size_t word = scan_word(s, at);
    if (word > 0) {
        return word;
    }
    const size_t numbers = scan_run(s, at, SCAN_NUMBER);
    if (numbers > at) {
        return numbers < at + 3 ? numbers : at + 3;
    }
    size_t end = at + (s->text[at] == ' ' ? 1 : 0);
    const size_t first = end;
    while (end < s->n && (scan_at(s, end) & (SCAN_SPACE | SCAN_LETTER | SCAN_NUMBER)) == 0) {
        end++;
    }
    if (end > first) {
        while (end < s->n && (s->text[end] == '\r' || s->text[end] == '\n' || (s->slash && s->text[end] == '/'))) {
            end++;
        }
        return end;
    }
    const size_t blanks = scan_run(s, at, SCAN_SPACE);
    for (size_t i = blanks; i > at; i--) {
        if (s->text[i - 1] == '\r' || s->text[i - 1] == '\n') {
            return i;
        }
    }
    return blanks == s->n || blanks == at + 1 ? blanks : blanks - 1;
}

/* Do `lengths` (n of them, in bytes) cut text (valid UTF-8) as this matcher does? */
static inline bool scan_agrees(struct scan *s, struct ox_str text, const int32_t *lengths, size_t n)
{
    s->text = calloc(text.len + 1, sizeof *s->text);
    size_t *offsets = calloc(text.len + 1, sizeof *offsets);
    if (s->text == NULL || offsets == NULL) {
        abort();
    }
    s->n = 0;
    for (size_t i = 0; i < text.len; s->n++) {
        offsets[s->n] = i;
        i += ox_utf8_decode(ox_str_make(text.ptr + i, text.len - i), &s->text[s->n]);
    }
    offsets[s->n] = text.len;
    size_t at = 0;
    size_t i = 0;
    bool agrees = true;
    while (at < s->n && agrees) {
        const size_t end = scan_piece(s, at);
        agrees = i < n && offsets[end] - offsets[at] == (size_t)lengths[i];
        at = end;
        i++;
    }
    free(offsets);
    free(s->text);
    return agrees && i == n;
}

#endif
