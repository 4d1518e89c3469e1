/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers between bounds: for each count of digits before the point, a net whose states know the place and whether the
 * digits so far equal those of the lower or of the upper bound.
 */
#include "text/numerals.h"

#include <stdio.h>

#include "text/regex.h"

#define N_DIGITS (OX_DECIMAL_WHOLE + OX_DECIMAL_FRACTION)
/* Decimals of so many digits stay apart as doubles. */
#define EXACT_DIGITS 15

/* The digits of mantissa (a point perhaps among them), moved by exponent places, into out. */
static bool place_digits(struct ox_str mantissa, int64_t exponent, struct ox_decimal *out)
{
    const size_t point = ox_str_find(mantissa, ox_str_c("."), 0);
    int64_t place = OX_DECIMAL_WHOLE - (int64_t)point - exponent;
    for (size_t i = 0; i < mantissa.len; i++) {
        if (i == point) {
            continue;
        }
        const uint8_t digit = (uint8_t)(mantissa.ptr[i] - '0');
        if (digit > 9 || (digit > 0 && (place < 0 || place >= N_DIGITS))) {
            return false;
        }
        if (digit > 0) {
            out->digits[place] = digit;
        }
        place++;
    }
    return true;
}

/* The shortest digits that read back as the number, as D.DDDe+XX (an integer's digits as they are). */
static void write_number(const json_t *value, char *text, size_t room)
{
    if (json_is_integer(value)) {
        snprintf(text, room, "%lld", (long long)json_integer_value(value));
        return;
    }
    const double x = json_real_value(value);
    double back = 0.0;
    int digits = 0;
    do {
        snprintf(text, room, "%.*e", digits, x);
    } while ((!ox_str_to_double(ox_str_c(text), &back) || back < x || back > x) && ++digits < 17);
}

bool ox_decimal_from_json(const json_t *value, struct ox_decimal *out)
{
    char text[48];
    int64_t exponent = 0;
    memset(out, 0, sizeof *out);
    write_number(value, text, sizeof text);
    out->negative = text[0] == '-';
    const struct ox_str all = ox_str_c(out->negative ? text + 1 : text);
    const size_t e = ox_str_find(all, ox_str_c("e"), 0);
    if (e < all.len) {
        const size_t skip = all.ptr[e + 1] == '+' ? 2 : 1;
        if (!ox_str_to_i64(ox_str_make(all.ptr + e + skip, all.len - e - skip), &exponent)) {
            return false;
        }
    }
    return place_digits(ox_str_make(all.ptr, e), exponent, out);
}

static bool is_zero(const struct ox_decimal *x, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (x->digits[i] != 0) {
            return false;
        }
    }
    return true;
}

int ox_decimal_compare(const struct ox_decimal *a, const struct ox_decimal *b)
{
    const int magnitudes = memcmp(a->digits, b->digits, N_DIGITS);
    if (is_zero(a, 0, N_DIGITS) && is_zero(b, 0, N_DIGITS)) {
        return 0;
    }
    if (a->negative != b->negative) {
        return a->negative ? -1 : 1;
    }
    return a->negative ? -magnitudes : magnitudes;
}

bool ox_bounds_hold(const struct ox_decimal *x, const struct ox_bound *low, const struct ox_bound *high)
{
    const int below = low->set ? ox_decimal_compare(x, &low->at) : 1;
    const int above = high->set ? ox_decimal_compare(x, &high->at) : -1;
    return (low->exclusive ? below > 0 : below >= 0) && (high->exclusive ? above < 0 : above <= 0);
}

/* ---- automata ---- */

/* One count of digits before the point, and the magnitudes between two bounds (NULL: none). */
struct builder {
    struct ox_net net;
    const struct ox_bound *low;
    const struct ox_bound *high;
    bool integers;
    size_t first;                     /* place of the first digit */
    size_t last;                      /* place behind the last digit */
    uint32_t ids[N_DIGITS + 1][2][2]; /* states: place, equal to low so far, equal to high so far */
};

/* May a number end before `place`? */
static bool may_end(const struct builder *b, size_t place, bool on_low, bool on_high)
{
    if (place < OX_DECIMAL_WHOLE) {
        return false;
    }
    if (on_low && (!is_zero(&b->low->at, place, N_DIGITS) || b->low->exclusive)) {
        return false;
    }
    return !(on_high && b->high->exclusive && is_zero(&b->high->at, place, N_DIGITS));
}

/* The state at `place`; new ones are joined to the others by the caller, places ascending. */
static uint32_t state_at(struct builder *b, size_t place, bool on_low, bool on_high)
{
    uint32_t *id = &b->ids[place][on_low][on_high];
    if (*id == OX_NO_STATE) {
        *id = ox_net_add(&b->net);
        if (may_end(b, place, on_low, on_high)) {
            ox_net_accept(&b->net, *id, 0);
        }
    }
    return *id;
}

/* Digits from `from`, which stands at place. */
static void link_digits(struct builder *b, uint32_t from, size_t place, bool on_low, bool on_high)
{
    const bool single = b->first == OX_DECIMAL_WHOLE - 1;
    for (uint8_t digit = 0; digit <= 9; digit++) {
        const uint8_t least = on_low ? b->low->at.digits[place] : 0;
        const uint8_t most = on_high ? b->high->at.digits[place] : 9;
        if (digit < least || digit > most || (place == b->first && digit == 0 && !single)) {
            continue;
        }
        const uint32_t to = state_at(b, place + 1, on_low && digit == least, on_high && digit == most);
        ox_net_link(&b->net, from, (uint32_t)'0' + digit, (uint32_t)'0' + digit, to);
    }
}

/* Numbers with b->first set. */
static void link_length(struct builder *b, uint32_t from)
{
    const bool has_low = b->low->set;
    const bool has_high = b->high->set;
    memset(b->ids, 0xFF, sizeof b->ids);
    if (has_low && !is_zero(&b->low->at, 0, b->first)) {
        return;
    }
    const uint32_t start = state_at(b, b->first, has_low, has_high && is_zero(&b->high->at, 0, b->first));
    ox_net_skip(&b->net, from, start);
    for (size_t place = b->first; place < b->last; place++) {
        for (unsigned i = 0; i < 4; i++) {
            const bool on_low = (i & 1) != 0;
            const bool on_high = (i & 2) != 0;
            uint32_t id = b->ids[place][on_low][on_high];
            if (id == OX_NO_STATE) {
                continue;
            }
            if (place == OX_DECIMAL_WHOLE) {
                const uint32_t point = ox_net_add(&b->net);
                ox_net_link(&b->net, id, '.', '.', point);
                id = point;
            }
            link_digits(b, id, place, on_low, on_high);
        }
    }
}

/* Numbers of magnitudes between low and high. */
static void link_magnitudes(struct builder *b, uint32_t from, const struct ox_bound *low, const struct ox_bound *high)
{
    const size_t most = b->integers ? OX_DECIMAL_WHOLE : EXACT_DIGITS;
    b->low = low;
    b->high = high;
    for (size_t n = 1; n <= most; n++) {
        b->first = OX_DECIMAL_WHOLE - n;
        b->last = b->integers ? OX_DECIMAL_WHOLE : OX_DECIMAL_WHOLE + (EXACT_DIGITS - n);
        link_length(b, from);
    }
}

static enum ox_status make_range(bool integers, const struct ox_bound *low, const struct ox_bound *high,
                                 struct ox_automaton *out, struct ox_error *err)
{
    static const struct ox_bound none;
    struct builder b = {.integers = integers};
    const uint32_t start = ox_net_add(&b.net);
    /* [low, high] is [max(0, low), high] and -[max(0, -high), -low] */
    if (!(high->set && high->at.negative)) {
        link_magnitudes(&b, start, low->set && !low->at.negative ? low : &none, high);
    }
    if (!(low->set && !low->at.negative)) {
        struct ox_bound least = {.set = integers};
        if (integers) {
            least.at.digits[OX_DECIMAL_WHOLE - 1] = 1;
        }
        const uint32_t minus = ox_net_add(&b.net);
        ox_net_link(&b.net, start, '-', '-', minus);
        link_magnitudes(&b, minus, high->set && high->at.negative ? high : &least, low);
    }
    const enum ox_status status = ox_net_determine(&b.net, out, err);
    ox_net_fini(&b.net);
    return status;
}

static bool is_plus_or_minus_zero(const struct ox_bound *bound)
{
    return bound->set && is_zero(&bound->at, 0, N_DIGITS);
}

enum ox_status ox_numerals_integers(const struct ox_bound *low, const struct ox_bound *high, struct ox_automaton *out,
                                    struct ox_error *err)
{
    static const struct ox_bound least = {
        true, false, {true, {9, 2, 2, 3, 3, 7, 2, 0, 3, 6, 8, 5, 4, 7, 7, 5, 8, 0, 8}}};
    static const struct ox_bound most = {
        true, false, {false, {9, 2, 2, 3, 3, 7, 2, 0, 3, 6, 8, 5, 4, 7, 7, 5, 8, 0, 7}}};
    struct ox_bound lower = low->set && ox_decimal_compare(&low->at, &least.at) > 0 ? *low : least;
    struct ox_bound upper = high->set && ox_decimal_compare(&high->at, &most.at) < 0 ? *high : most;
    lower.at.negative = lower.at.negative && !is_plus_or_minus_zero(&lower);
    upper.at.negative = upper.at.negative && !is_plus_or_minus_zero(&upper);
    return make_range(true, &lower, &upper, out, err);
}

enum ox_status ox_numerals_reals(const struct ox_bound *low, const struct ox_bound *high, struct ox_automaton *out,
                                 struct ox_error *err)
{
    if (!low->set && !high->set) {
        /* the second half: one digit before the point, so that the largest exponents stay in range */
        return ox_regex_compile_whole(
            ox_str_c("-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,20})?([eE]([+-]?[0-9]{1,2}|[+-]?1[0-9]{2}|[+-]?2[0-7][0-9]))?"
                     "|-?[0-9](\\.[0-9]{1,20})?[eE](\\+?([0-2]?[0-9]{1,2}|30[0-7])|-[0-9]{1,3})"),
            out, err);
    }
    struct ox_bound lower = *low;
    struct ox_bound upper = *high;
    lower.at.negative = lower.at.negative && !is_plus_or_minus_zero(&lower);
    upper.at.negative = upper.at.negative && !is_plus_or_minus_zero(&upper);
    return make_range(false, &lower, &upper, out, err);
}
