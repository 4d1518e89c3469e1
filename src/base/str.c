/* SPDX-License-Identifier: Apache-2.0
 *
 * Searching, hashing and number parsing for texts with a length.
 */
#include "base/str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "base/ckd.h"

size_t ox_str_find(struct ox_str a, struct ox_str needle, size_t from)
{
    if (from > a.len || needle.len > a.len - from) {
        return a.len;
    }
    if (needle.len == 0) {
        return from;
    }
    const char *hit = memmem(a.ptr + from, a.len - from, needle.ptr, needle.len);
    return hit == NULL ? a.len : (size_t)(hit - a.ptr);
}

bool ox_str_to_u64(struct ox_str s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return false;
        }
        const uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (ox_ckd_mul_u64(&value, value, 10) || ox_ckd_add_u64(&value, value, digit)) {
            return false;
        }
    }
    *out = value;
    return true;
}

bool ox_str_to_i64(struct ox_str s, int64_t *out)
{
    const bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude;
    if (!ox_str_to_u64(negative ? ox_str_make(s.ptr + 1, s.len - 1) : s, &magnitude)) {
        return false;
    }
    const uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (magnitude > limit) {
        return false;
    }
    if (negative) {
        *out = magnitude == limit ? INT64_MIN : -(int64_t)magnitude;
    } else {
        *out = (int64_t)magnitude;
    }
    return true;
}

bool ox_str_to_double(struct ox_str s, double *out)
{
    char text[64];
    if (s.len == 0 || s.len >= sizeof text) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (strchr("0123456789+-.eE", s.ptr[i]) == NULL || s.ptr[i] == '\0') {
            return false;
        }
    }
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    const locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0) {
        return false;
    }
    char *end = NULL;
    const double value = strtod_l(text, &end, c_locale);
    freelocale(c_locale);
    if (end != text + s.len || !isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

bool ox_str_to_size(struct ox_str s, uint64_t *out)
{
    static const char units[] = "kKmMgGtT";
    uint64_t factor = 1;
    if (s.len > 0) {
        const char *unit = strchr(units, s.ptr[s.len - 1]);
        if (unit != NULL && *unit != '\0') {
            factor = (uint64_t)1 << (10 * ((unit - units) / 2 + 1));
            s.len--;
        }
    }
    uint64_t value;
    if (!ox_str_to_u64(s, &value) || ox_ckd_mul_u64(&value, value, factor)) {
        return false;
    }
    *out = value;
    return true;
}

uint64_t ox_str_hash(struct ox_str s)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < s.len; i++) {
        hash = (hash ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

void ox_wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}
