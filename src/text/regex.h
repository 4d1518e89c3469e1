/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions of JSON schemas (`pattern`, `format`) as automata over characters: the part of ECMA-262 (unicode
 * mode) that is regular. Patterns come from callers.
 */
#ifndef OX_TEXT_REGEX_H
#define OX_TEXT_REGEX_H

#include "text/automaton.h"

/* Groups within groups, and the largest number in {n,m}. */
#define OX_REGEX_DEPTH 64
#define OX_REGEX_REPEAT_MAX 65535

/* Make *out (empty) accept the texts in which pattern is found, as a schema's `pattern` means it: anywhere, unless ^
 * and $ stand at the beginning and end of an alternative. Understood: literals, ., classes, \d \w \s and their
 * opposites (ASCII digits and letters), \t \n \v \f \r \0 \xHH \uHHHH \u{H..} and escaped punctuation, groups (also
 * (?:...) and (?<name>...)), alternatives, * + ? {n} {n,} {n,m} (a ? behind them changes nothing here). OX_E_ARG for
 * anything else (\b, \p, back references, look-around, ^ or $ inside), with what it is and err->offset where;
 * OX_E_LIMIT for too many states. Any thread. */
enum ox_status ox_regex_compile(struct ox_str pattern, struct ox_automaton *out, struct ox_error *err) OX_MUST_USE;

/* The same for pattern as a whole: as if it were ^(?:pattern)$. */
enum ox_status ox_regex_compile_whole(struct ox_str pattern, struct ox_automaton *out,
                                      struct ox_error *err) OX_MUST_USE;

/* The pattern of a schema's `format` (for ox_regex_compile_whole), or NULL if it is not known: date (only days that
 * there are), time, date-time (RFC 3339, no leap seconds), duration (ISO 8601), uuid, ipv4, ipv6, email and hostname
 * (plain ASCII forms). */
const char *ox_regex_format(struct ox_str format);

#endif
