/* SPDX-License-Identifier: Apache-2.0
 *
 * A recursive descent over the pattern that builds a net as it goes; a counted repetition reads its atom once for each
 * copy. Depth and states are limited, so time is bounded whatever the pattern.
 */
#include "text/regex.h"

#include "base/buf.h"
#include "base/utf8.h"

#define CLASS_RANGES_MAX 4096

struct range {
    uint32_t low;
    uint32_t high;
};

/* A set of characters, sorted and disjoint once it is finished. */
struct set {
    struct range ranges[CLASS_RANGES_MAX];
    size_t n;
};

struct parser {
    struct ox_str text;
    size_t at;
    int depth;
    struct ox_net net;
    struct set *set;   /* scratch */
    const char *wrong; /* what is not understood, NULL if nothing yet */
};

/* A part of the net: the pattern's piece leads from begin to end. */
struct part {
    uint32_t begin;
    uint32_t end;
};

static struct part parse_alternatives(struct parser *p, bool whole);

static void fail(struct parser *p, const char *wrong)
{
    if (p->wrong == NULL) {
        p->wrong = wrong;
    }
}

static bool stopped(const struct parser *p)
{
    return p->wrong != NULL || p->net.status != OX_OK;
}

static bool at_end(const struct parser *p)
{
    return p->at >= p->text.len;
}

static bool looking_at(const struct parser *p, const char *what)
{
    return ox_str_starts(ox_str_make(p->text.ptr + p->at, p->text.len - p->at), ox_str_c(what));
}

static bool take(struct parser *p, const char *what)
{
    if (at_end(p) || !looking_at(p, what)) {
        return false;
    }
    p->at += strlen(what);
    return true;
}

static uint32_t take_character(struct parser *p)
{
    uint32_t code;
    if (at_end(p)) {
        fail(p, "an end in the middle of something");
        return 0;
    }
    p->at += ox_utf8_decode(ox_str_make(p->text.ptr + p->at, p->text.len - p->at), &code);
    if (code == UINT32_MAX) {
        fail(p, "a byte that is no UTF-8");
        return 0;
    }
    return code;
}

/* ---- sets of characters ---- */

static void add_range(struct parser *p, uint32_t low, uint32_t high)
{
    struct set *set = p->set;
    if (set->n == CLASS_RANGES_MAX) {
        fail(p, "a class with too many ranges");
        return;
    }
    size_t i = set->n++;
    for (; i > 0 && set->ranges[i - 1].low > low; i--) {
        set->ranges[i] = set->ranges[i - 1];
    }
    set->ranges[i] = (struct range){low, high};
}

/* Add what is not in the n given ranges (ascending). */
static void add_others(struct parser *p, const struct range *ranges, size_t n)
{
    uint32_t low = 0;
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].low > low) {
            add_range(p, low, ranges[i].low - 1);
        }
        low = ranges[i].high >= low ? ranges[i].high + 1 : low;
    }
    if (low <= OX_CODE_MAX) {
        add_range(p, low, OX_CODE_MAX);
    }
}

static const struct range digits[] = {{'0', '9'}};
static const struct range word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct range blanks[] = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                                      {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                                      {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
static const struct range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

/* \d \w \s and their opposites; false if letter is none of them. */
static bool add_class(struct parser *p, uint32_t letter)
{
    static const struct {
        char letter;
        const struct range *ranges;
        size_t n;
    } classes[] = {{'d', digits, 1}, {'w', word, 4}, {'s', blanks, sizeof blanks / sizeof blanks[0]}};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (letter == (uint32_t)classes[i].letter) {
            for (size_t r = 0; r < classes[i].n; r++) {
                add_range(p, classes[i].ranges[r].low, classes[i].ranges[r].high);
            }
            return true;
        }
        if (letter == (uint32_t)classes[i].letter - 'a' + 'A') {
            add_others(p, classes[i].ranges, classes[i].n);
            return true;
        }
    }
    return false;
}

static uint32_t take_hex(struct parser *p, size_t n)
{
    uint32_t code = 0;
    for (size_t i = 0; i < n && !stopped(p); i++) {
        static const char hex[] = "0123456789abcdef";
        const uint32_t c = take_character(p);
        const uint32_t lower = c >= 'A' && c <= 'F' ? c + 32 : c;
        const char *digit = lower > 0 && lower < 128 ? strchr(hex, (int)lower) : NULL;
        if (digit == NULL) {
            fail(p, "an escape without hexadecimal digits");
            return 0;
        }
        code = code << 4 | (uint32_t)(digit - hex);
    }
    return code;
}

/* Behind \u: four digits, a surrogate pair of them, or {...}. */
static uint32_t take_unicode(struct parser *p)
{
    uint32_t code = 0;
    if (take(p, "{")) {
        const size_t begin = p->at;
        while (!stopped(p) && !take(p, "}")) {
            code = code << 4 | take_hex(p, 1);
            if (p->at - begin > 6) {
                fail(p, "a character above U+10FFFF");
            }
        }
    } else {
        code = take_hex(p, 4);
        if (code >= 0xD800 && code < 0xDC00 && take(p, "\\u")) {
            const uint32_t second = take_hex(p, 4);
            code = second >= 0xDC00 && second < 0xE000 ? 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00) : 0xD800;
        }
    }
    if (code > OX_CODE_MAX || (code >= OX_SURROGATE_FIRST && code <= OX_SURROGATE_LAST)) {
        fail(p, "half of a surrogate pair, or a character above U+10FFFF");
    }
    return code;
}

/* What stands for one character behind a backslash. */
static uint32_t take_escape(struct parser *p, bool in_class)
{
    static const char named[] = "t\tn\nv\vf\fr\r";
    const uint32_t letter = take_character(p);
    for (size_t i = 0; i + 1 < sizeof named; i += 2) {
        if (letter == (unsigned char)named[i]) {
            return (unsigned char)named[i + 1];
        }
    }
    if (letter == 'b' && in_class) {
        return '\b';
    }
    if (letter == 'x') {
        return take_hex(p, 2);
    }
    if (letter == 'u') {
        return take_unicode(p);
    }
    if (letter == '0' && (at_end(p) || p->text.ptr[p->at] < '0' || p->text.ptr[p->at] > '9')) {
        return 0;
    }
    if (letter >= 128 || (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') ||
        (letter >= 'A' && letter <= 'Z')) {
        fail(p, "an escape that is not supported (\\b, \\p, \\k, back references)");
    }
    return letter;
}

/* One character of a class, or a class within it (*is_set). */
static uint32_t take_class_member(struct parser *p, bool *is_set)
{
    *is_set = false;
    if (!take(p, "\\")) {
        return take_character(p);
    }
    if (!at_end(p) && add_class(p, (unsigned char)p->text.ptr[p->at])) {
        p->at++;
        *is_set = true;
        return 0;
    }
    return take_escape(p, true);
}

/* Behind [, up to and with ]. */
static void parse_class(struct parser *p)
{
    const bool negative = take(p, "^");
    while (!stopped(p) && !take(p, "]")) {
        bool is_set;
        bool high_is_set = false;
        const uint32_t low = take_class_member(p, &is_set);
        uint32_t high = low;
        if (looking_at(p, "-") && !looking_at(p, "-]")) {
            p->at++;
            high = take_class_member(p, &high_is_set);
            if (is_set || high_is_set || high < low) {
                fail(p, "a range in a class that is none");
            }
        }
        if (!is_set && !stopped(p)) {
            add_range(p, low, high);
        }
    }
    if (negative && !stopped(p)) {
        static const struct range none[] = {{0, 0}};
        struct range *ranges = p->set->ranges;
        const size_t n = p->set->n;
        if (n > CLASS_RANGES_MAX / 2 - 1) {
            fail(p, "a class with too many ranges");
            return;
        }
        /* the ranges move to the upper half, and what lies between them takes their place */
        memmove(ranges + CLASS_RANGES_MAX / 2, ranges, n * sizeof *ranges);
        p->set->n = 0;
        add_others(p, n > 0 ? ranges + CLASS_RANGES_MAX / 2 : none, n);
    }
}

static struct part link_set(struct parser *p)
{
    const struct part part = {ox_net_add(&p->net), ox_net_add(&p->net)};
    for (size_t i = 0; i < p->set->n; i++) {
        ox_net_link(&p->net, part.begin, p->set->ranges[i].low, p->set->ranges[i].high, part.end);
    }
    return part;
}

/* ---- structure ---- */

static void skip_group_name(struct parser *p)
{
    while (!stopped(p) && !take(p, ">")) {
        take_character(p);
    }
}

static struct part parse_group(struct parser *p)
{
    if (take(p, "?")) {
        if (looking_at(p, "<=") || looking_at(p, "<!") || looking_at(p, "=") || looking_at(p, "!")) {
            fail(p, "look-around");
        } else if (take(p, "<")) {
            skip_group_name(p);
        } else if (!take(p, ":")) {
            fail(p, "a group of an unknown kind");
        }
    }
    if (++p->depth > OX_REGEX_DEPTH) {
        fail(p, "groups nested too deeply");
    }
    const struct part part = parse_alternatives(p, false);
    p->depth--;
    if (!stopped(p) && !take(p, ")")) {
        fail(p, "a group without an end");
    }
    return part;
}

static struct part parse_atom(struct parser *p)
{
    p->set->n = 0;
    if (take(p, "(")) {
        return parse_group(p);
    }
    if (take(p, "[")) {
        parse_class(p);
    } else if (take(p, ".")) {
        add_others(p, line_ends, sizeof line_ends / sizeof line_ends[0]);
    } else if (take(p, "\\")) {
        if (!at_end(p) && add_class(p, (unsigned char)p->text.ptr[p->at])) {
            p->at++;
        } else {
            const uint32_t code = take_escape(p, false);
            add_range(p, code, code);
        }
    } else if (looking_at(p, "^") || looking_at(p, "$")) {
        fail(p, "an anchor that is not at the beginning or end of the pattern");
    } else if (memchr("*+?{}]", p->text.ptr[p->at], 6) != NULL) {
        fail(p, "a character that must be escaped");
    } else {
        const uint32_t code = take_character(p);
        add_range(p, code, code);
    }
    return link_set(p);
}

static uint32_t take_number(struct parser *p)
{
    uint32_t n = 0;
    const size_t begin = p->at;
    while (!at_end(p) && p->text.ptr[p->at] >= '0' && p->text.ptr[p->at] <= '9') {
        n = 10 * n + (uint32_t)(p->text.ptr[p->at++] - '0');
        if (n > OX_REGEX_REPEAT_MAX) {
            fail(p, "a repetition of more than 65535 times");
            return 0;
        }
    }
    if (p->at == begin) {
        fail(p, "a { that begins no {n,m}");
    }
    return n;
}

/* The quantifier behind an atom; max UINT32_MAX: no limit. False if there is none. */
static bool take_quantifier(struct parser *p, uint32_t *min, uint32_t *max)
{
    *min = 1;
    *max = UINT32_MAX;
    if (take(p, "*")) {
        *min = 0;
    } else if (take(p, "?")) {
        *min = 0;
        *max = 1;
    } else if (take(p, "{")) {
        *min = take_number(p);
        *max = *min;
        if (take(p, ",")) {
            *max = looking_at(p, "}") ? UINT32_MAX : take_number(p);
        }
        if (!stopped(p) && (!take(p, "}") || *max < *min)) {
            fail(p, "a { that begins no {n,m}");
        }
    } else if (!take(p, "+")) {
        return false;
    }
    take(p, "?");
    if (!at_end(p) && memchr("*+?{", p->text.ptr[p->at], 4) != NULL) {
        fail(p, "a quantifier behind a quantifier");
    }
    return true;
}

/* Read the atom that begins at `from` again. */
static struct part copy_atom(struct parser *p, size_t from)
{
    const size_t at = p->at;
    p->at = from;
    const struct part part = parse_atom(p);
    p->at = at;
    return part;
}

/* An atom and its quantifier: min copies, then either a loop or up to max - min copies that can be skipped. */
static struct part parse_term(struct parser *p)
{
    const size_t from = p->at;
    const struct part first = parse_atom(p);
    uint32_t min;
    uint32_t max;
    if (stopped(p) || !take_quantifier(p, &min, &max)) {
        return first;
    }
    const struct part whole = {ox_net_add(&p->net), ox_net_add(&p->net)};
    const uint32_t n_copies = max == UINT32_MAX ? min + 1 : max;
    uint32_t at = whole.begin;
    for (uint32_t i = 0; i < n_copies && !stopped(p); i++) {
        const struct part part = i == 0 ? first : copy_atom(p, from);
        if (i >= min) {
            ox_net_skip(&p->net, at, whole.end);
        }
        ox_net_skip(&p->net, at, part.begin);
        if (max == UINT32_MAX && i >= min) {
            ox_net_skip(&p->net, part.end, at);
        } else {
            at = ox_net_add(&p->net);
            ox_net_skip(&p->net, part.end, at);
        }
    }
    ox_net_skip(&p->net, at, whole.end);
    return whole;
}

/* Any text before or behind: what an alternative without an anchor allows. */
static void link_anything(struct parser *p, uint32_t state)
{
    ox_net_link(&p->net, state, 0, OX_CODE_MAX, state);
}

/* One alternative; at the top of a searched pattern with its anchors. */
static struct part parse_sequence(struct parser *p, bool searched)
{
    struct part whole = {ox_net_add(&p->net), 0};
    uint32_t at = whole.begin;
    bool anchored = false;
    if (searched && !take(p, "^")) {
        link_anything(p, at);
    }
    at = ox_net_add(&p->net);
    ox_net_skip(&p->net, whole.begin, at);
    while (!stopped(p) && !at_end(p) && !looking_at(p, "|") && !looking_at(p, ")")) {
        if (searched && looking_at(p, "$") && (p->at + 1 == p->text.len || p->text.ptr[p->at + 1] == '|')) {
            p->at++;
            anchored = true;
            break;
        }
        const struct part part = parse_term(p);
        ox_net_skip(&p->net, at, part.begin);
        at = part.end;
    }
    whole.end = ox_net_add(&p->net);
    ox_net_skip(&p->net, at, whole.end);
    if (searched && !anchored) {
        link_anything(p, whole.end);
    }
    return whole;
}

static struct part parse_alternatives(struct parser *p, bool searched)
{
    const struct part whole = {ox_net_add(&p->net), ox_net_add(&p->net)};
    do {
        const struct part part = parse_sequence(p, searched);
        ox_net_skip(&p->net, whole.begin, part.begin);
        ox_net_skip(&p->net, part.end, whole.end);
    } while (!stopped(p) && take(p, "|"));
    return whole;
}

static enum ox_status compile(struct ox_str pattern, bool searched, struct ox_automaton *out, struct ox_error *err)
{
    struct set set;
    struct parser p = {.text = pattern, .set = &set};
    const uint32_t start = ox_net_add(&p.net);
    const struct part whole = parse_alternatives(&p, searched);
    if (!stopped(&p) && !at_end(&p)) {
        fail(&p, "a ) without a (");
    }
    ox_net_skip(&p.net, start, whole.begin);
    ox_net_accept(&p.net, whole.end, 0);
    enum ox_status status;
    if (p.wrong != NULL && p.net.status == OX_OK) {
        status = ox_error_set(err, OX_E_ARG, "the pattern \"%.*s%s\" has %s", pattern.len > 60 ? 60 : (int)pattern.len,
                              pattern.ptr, pattern.len > 60 ? "..." : "", p.wrong);
        if (err != NULL) {
            err->offset = p.at;
        }
    } else {
        status = ox_net_determine(&p.net, out, err);
    }
    ox_net_fini(&p.net);
    return status;
}

enum ox_status ox_regex_compile(struct ox_str pattern, struct ox_automaton *out, struct ox_error *err)
{
    return compile(pattern, true, out, err);
}

enum ox_status ox_regex_compile_whole(struct ox_str pattern, struct ox_automaton *out, struct ox_error *err)
{
    return compile(pattern, false, out, err);
}

#define DATE                                                                                                           \
    "\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-" \
    "8]))"                                                                                                             \
    "|(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
#define TIME "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:[Zz]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define BYTE "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define HEX4 "[0-9A-Fa-f]{1,4}"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

const char *ox_regex_format(struct ox_str format)
{
    static const struct {
        const char *name;
        const char *pattern;
    } formats[] = {
        {"date", DATE},
        {"time", TIME},
        {"date-time", "(?:" DATE ")[Tt]" TIME},
        {"duration", "P(?:\\d{1,9}W|\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}D)"
                     "|P(?:\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}D)?"
                     "T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S)"},
        {"uuid", "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"},
        {"ipv4", BYTE "(?:\\." BYTE "){3}"},
        {"ipv6", "(?:" HEX4 ":){7}" HEX4 "|(?:" HEX4 ":){1,7}:|(?:" HEX4 ":){1,6}:" HEX4 "|(?:" HEX4 ":){1,5}(?::" HEX4
                 "){1,2}|(?:" HEX4 ":){1,4}(?::" HEX4 "){1,3}|(?:" HEX4 ":){1,3}(?::" HEX4 "){1,4}|(?:" HEX4
                 ":){1,2}(?::" HEX4 "){1,5}|" HEX4 ":(?::" HEX4 "){1,6}|:(?:(?::" HEX4 "){1,7}|:)"},
        {"hostname", LABEL "(?:\\." LABEL "){0,3}"},
        {"email", "[A-Za-z0-9_+-]{1,32}(?:\\.[A-Za-z0-9_+-]{1,32})?@" LABEL "(?:\\." LABEL "){1,3}"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (ox_str_is(format, formats[i].name)) {
            return formats[i].pattern;
        }
    }
    return NULL;
}
