/* SPDX-License-Identifier: Apache-2.0
 *
 * Text as pointer and length, and the only place that turns text into numbers. Nothing here needs a terminating NUL
 * and nothing depends on the locale.
 */
#ifndef OX_BASE_STR_H
#define OX_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

/* A view of bytes; the header that hands one out names its owner. ptr may be NULL only if len is 0. */
struct ox_str {
    const char *ptr;
    size_t len;
};

static inline struct ox_str ox_str_make(const char *ptr, size_t len)
{
    const struct ox_str s = {ptr, len};
    return s;
}

static inline struct ox_str ox_str_c(const char *text)
{
    return ox_str_make(text, strlen(text));
}

static inline bool ox_str_equal(struct ox_str a, struct ox_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool ox_str_is(struct ox_str a, const char *text)
{
    return ox_str_equal(a, ox_str_c(text));
}

static inline bool ox_str_starts(struct ox_str a, struct ox_str prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

/* Where needle first stands in a at or after `from`, or a.len if nowhere. An empty needle is found at `from`. */
size_t ox_str_find(struct ox_str a, struct ox_str needle, size_t from);

/* Parse the whole of s as a decimal number: no blanks, no trailing bytes, the sign '-' only where the type has one.
 * True and *out set on success; false on anything else, overflow included. */
bool ox_str_to_u64(struct ox_str s, uint64_t *out) OX_MUST_USE;
bool ox_str_to_i64(struct ox_str s, int64_t *out) OX_MUST_USE;

/* Parse the whole of s as a finite decimal floating-point number ("1", "-0.5", "1e-3"); hexadecimal, nan and inf are
 * refused. At most 63 bytes. */
bool ox_str_to_double(struct ox_str s, double *out) OX_MUST_USE;

/* Parse a size: digits with an optional k, M, G or T (powers of 1024, either case). */
bool ox_str_to_size(struct ox_str s, uint64_t *out) OX_MUST_USE;

/* FNV-1a of the bytes, 64 bit. */
uint64_t ox_str_hash(struct ox_str s);

/* Overwrite n bytes in a way that the compiler keeps. */
void ox_wipe(void *p, size_t n);

#endif
