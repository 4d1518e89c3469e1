/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON numbers between bounds as automata over their bytes. Bounds are decimal, so that no rounding decides: what an
 * automaton accepts is on the right side of its bounds also after a reader has made a double of it. Used by the
 * grammar.
 */
#ifndef OX_TEXT_NUMERALS_H
#define OX_TEXT_NUMERALS_H

#include <jansson.h>

#include "text/automaton.h"

/* Digits before and after the point. */
#define OX_DECIMAL_WHOLE 19
#define OX_DECIMAL_FRACTION 15

struct ox_decimal {
    bool negative;
    uint8_t digits[OX_DECIMAL_WHOLE + OX_DECIMAL_FRACTION];
};

/* A lower or upper bound. */
struct ox_bound {
    bool set;
    bool exclusive;
    struct ox_decimal at;
};

/* The decimal that a JSON number is written as; false if it has too many digits. */
bool ox_decimal_from_json(const json_t *value, struct ox_decimal *out) OX_MUST_USE;

int ox_decimal_compare(const struct ox_decimal *a, const struct ox_decimal *b);

/* Does a number lie within bounds that may not be set? */
bool ox_bounds_hold(const struct ox_decimal *x, const struct ox_bound *low, const struct ox_bound *high);

/* Make *out (empty) accept integers of 64 bits within the bounds: digits, a minus, no leading zeros, no -0. */
enum ox_status ox_numerals_integers(const struct ox_bound *low, const struct ox_bound *high, struct ox_automaton *out,
                                    struct ox_error *err) OX_MUST_USE;

/* The same for numbers with at most 15 digits and without an exponent; without any bound: all numbers of up to 18
 * digits before the point, 20 behind it, and an exponent that a double can hold. */
enum ox_status ox_numerals_reals(const struct ox_bound *low, const struct ox_bound *high, struct ox_automaton *out,
                                 struct ox_error *err) OX_MUST_USE;

#endif
