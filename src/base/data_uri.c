/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes written as text: the head of a data: URI is only asked whether base64 follows; base64 is read six bits at a time.
 */
#include "base/data_uri.h"

#include <strings.h>

#define SCHEME "data:"
#define BASE64 ";base64"

static enum ox_status fault(struct ox_error *err, size_t at, const char *expected, unsigned char found)
{
    (void)ox_error_set(err, OX_E_FORMAT, "byte %zu: expected %s, found 0x%02x", at, expected, found);
    if (err != NULL) {
        err->offset = at;
    }
    return OX_E_FORMAT;
}

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The six bits of a character, or -1. */
static int sextet(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+' || c == '-') {
        return 62;
    }
    return c == '/' || c == '_' ? 63 : -1;
}

/* The end of base64 text: n_sextets characters were read, the bits of an unfinished byte are left. s from `at` on may
 * hold padding and white space only. */
static enum ox_status base64_end(struct ox_str s, size_t at, size_t n_sextets, uint32_t left, struct ox_error *err)
{
    const size_t n_padding = (4 - n_sextets % 4) % 4;
    size_t n = 0;
    for (; at < s.len; at++) {
        const unsigned char c = (unsigned char)s.ptr[at];
        if (c == '=') {
            n++;
        } else if (!is_space(c)) {
            return fault(err, at, "base64's end", c);
        }
    }
    if (n_padding == 3 || (n != 0 && n != n_padding)) {
        (void)ox_error_set(err, OX_E_FORMAT, "base64 ends in a group of %zu characters and %zu '='", n_sextets % 4, n);
    } else if (left != 0) {
        (void)ox_error_set(err, OX_E_FORMAT, "base64 ends with bits that belong to no byte");
    } else {
        return OX_OK;
    }
    if (err != NULL) {
        err->offset = s.len;
    }
    return OX_E_FORMAT;
}

enum ox_status ox_base64_decode(struct ox_str s, struct ox_buf *out, struct ox_error *err)
{
    uint32_t bits = 0; /* those that belong to no byte yet */
    unsigned n_bits = 0;
    size_t n_sextets = 0;
    size_t at = 0;
    for (; at < s.len && s.ptr[at] != '='; at++) {
        const unsigned char c = (unsigned char)s.ptr[at];
        const int value = sextet(c);
        if (value < 0 && !is_space(c)) {
            return fault(err, at, "a base64 character", c);
        }
        if (value < 0) {
            continue;
        }
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        n_sextets++;
        if (n_bits >= 8) {
            n_bits -= 8;
            ox_buf_add_byte(out, (char)(unsigned char)(bits >> n_bits));
            bits &= (1U << n_bits) - 1;
        }
    }
    const enum ox_status status = base64_end(s, at, n_sextets, bits, err);
    return status == OX_OK && ox_buf_failed(out) ? ox_error_nomem(err, out->len) : status;
}

bool ox_data_uri_is(struct ox_str s)
{
    return s.len >= strlen(SCHEME) && strncasecmp(s.ptr, SCHEME, strlen(SCHEME)) == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum ox_status percent_decode(struct ox_str s, struct ox_buf *out, struct ox_error *err)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '%') {
            ox_buf_add_byte(out, s.ptr[i]);
            continue;
        }
        const int high = s.len - i > 2 ? hex_digit(s.ptr[i + 1]) : -1;
        const int low = s.len - i > 2 ? hex_digit(s.ptr[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return fault(err, i, "%XX", '%');
        }
        ox_buf_add_byte(out, (char)(unsigned char)(high << 4 | low));
        i += 2;
    }
    return ox_buf_failed(out) ? ox_error_nomem(err, out->len) : OX_OK;
}

enum ox_status ox_data_uri_decode(struct ox_str s, struct ox_buf *out, struct ox_error *err)
{
    const size_t comma = ox_str_find(s, ox_str_c(","), 0);
    if (!ox_data_uri_is(s) || comma == s.len) {
        return ox_error_set(err, OX_E_FORMAT, "expected data:TYPE;base64,DATA, found no %s",
                            ox_data_uri_is(s) ? "comma" : "\"data:\"");
    }
    const struct ox_str data = ox_str_make(s.ptr + comma + 1, s.len - comma - 1);
    const size_t head = comma - strlen(SCHEME);
    const bool base64 =
        head >= strlen(BASE64) && strncasecmp(s.ptr + comma - strlen(BASE64), BASE64, strlen(BASE64)) == 0;
    const enum ox_status status = base64 ? ox_base64_decode(data, out, err) : percent_decode(data, out, err);
    if (status == OX_E_FORMAT && err != NULL) {
        err->offset += comma + 1;
    }
    return status;
}
