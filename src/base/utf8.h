/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8: decoding, validation, and what to do with bytes that are none. Follows Unicode's definition (table 3-7): no
 * surrogates, nothing above U+10FFFF, no overlong forms; broken input is cut into "maximal parts", each of which
 * stands for one U+FFFD.
 */
#ifndef OX_BASE_UTF8_H
#define OX_BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* Decode the character at s.ptr[0] (s.len > 0). Returns its length in bytes, 1 to 4, and sets *code. For broken bytes
 * returns the length of the maximal part (1 to 3) and sets *code to UINT32_MAX. A sequence that s ends in the middle of
 * counts as broken; see ox_utf8_tail. */
size_t ox_utf8_decode(struct ox_str s, uint32_t *code);

/* Write code (a scalar value) as 1 to 4 bytes; returns how many. */
size_t ox_utf8_encode(uint32_t code, char out[4]);

bool ox_utf8_valid(struct ox_str s);

/* How many bytes at the end of s are the beginning of a character that more bytes could complete: 0 to 3. */
size_t ox_utf8_tail(struct ox_str s);

/* Append s with each broken part replaced by U+FFFD. */
void ox_utf8_add_lossy(struct ox_buf *buf, struct ox_str s);

#endif
