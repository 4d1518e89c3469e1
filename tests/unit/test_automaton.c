/* SPDX-License-Identifier: Apache-2.0
 *
 * Automata by themselves: patterns against what they match, sets of texts combined, integers and decimals between random
 * bounds against plain comparisons.
 */
#include "text/automaton.h"

#include <regex.h>

#include "base/buf.h"
#include "base/rng.h"
#include "tests/oom.h"
#include "tests/tap.h"
#include "text/numerals.h"
#include "text/regex.h"

static struct ox_error error;

static struct ox_automaton compile(const char *pattern)
{
    struct ox_automaton a = {0};
    memset(&error, 0, sizeof error);
    if (ox_regex_compile(ox_str_c(pattern), &a, &error) != OX_OK) {
        NOTE("%s", error.message);
    }
    return a;
}

/* Texts that a pattern is found in, then, behind a NULL, texts that it is not found in. */
static void texts(const char *pattern, const char *const *text)
{
    struct ox_automaton a = compile(pattern);
    bool expected = true;
    for (size_t i = 0; expected || text[i] != NULL; i++) {
        if (text[i] == NULL) {
            expected = false;
            continue;
        }
        OK(ox_automaton_accepts(&a, ox_str_c(text[i])) == expected, "%s %s \"%s\"", pattern,
           expected ? "takes" : "refuses", text[i]);
    }
    ox_automaton_fini(&a);
}

#define TEXTS(pattern, ...)                                                                                            \
    do {                                                                                                               \
        static const char *const list[] = {__VA_ARGS__, NULL};                                                         \
        texts(pattern, list);                                                                                          \
    } while (0)

static void patterns(void)
{
    TEXTS("", "", "a", NULL);
    TEXTS("^$", "", NULL, "a");
    TEXTS("^a?b*c+$", "c", "abbc", "acc", NULL, "ab", "aac", "b");
    TEXTS("^(a|bc)d$", "ad", "bcd", NULL, "abcd", "d");
    TEXTS("^a|b$", "ax", "xb", "a", "b", NULL, "xax", "bx");
    TEXTS("^(?:ab){2}$", "abab", NULL, "ab", "ababab");
    TEXTS("^(?<name>a){1,}$", "a", "aaa", NULL, "");
    TEXTS("^a{0}b{2,3}?$", "bb", "bbb", NULL, "b", "abb", "bbbb");
    TEXTS("^[a-c\\-x]$", "a", "c", "-", "x", NULL, "d", "");
    TEXTS("^[^a-c]$", "d", "\xC3\xA9", "\n", NULL, "a", "dd");
    TEXTS("^[]$", NULL, "", "a");
    TEXTS("^[^]$", "a", "\n", NULL, "");
    TEXTS("^[\\d_-]+$", "1-2_3", NULL, "a");
    TEXTS("^\\w\\W\\d\\D\\s\\S$", "a.1x y", "_-0- -", NULL, "a.1x yy", "..1x y", "\xC3\xA9.1x y");
    TEXTS("^.$", "a", "\xF0\x9F\x98\x80", NULL, "\n", "\r", "\xE2\x80\xA8", "");
    TEXTS("^\\s$", " ", "\t", "\xC2\xA0", "\xE3\x80\x80", NULL, "a");
    TEXTS("^\\x41\\u0042\\u{1F600}\\uD83D\\uDE00\\t\\.\\/$", "AB\xF0\x9F\x98\x80\xF0\x9F\x98\x80\t./", NULL, "AB");
    TEXTS("^[\\b]$", "\b", NULL, "b");
    TEXTS("b", "abc", NULL, "ac");
    TEXTS("^((a|b)*c)*$", "", "c", "abcbac", NULL, "ab");
    TEXTS("^()*$", "", NULL, "a");
}

static void wrong_patterns(void)
{
    static const char *const wrong[][2] = {
        {"(", "a group without an end"},
        {")", "a ) without a ("},
        {"a)", "a ) without a ("},
        {"[a", "an end in the middle"},
        {"*", "a character that must be escaped"},
        {"a**", "a quantifier behind a quantifier"},
        {"a{2,1}", "begins no {n,m}"},
        {"a{", "begins no {n,m}"},
        {"a{70000}", "more than 65535"},
        {"}", "must be escaped"},
        {"\\b", "an escape that is not supported"},
        {"\\1", "an escape"},
        {"\\p{L}", "an escape"},
        {"\\k<a>", "an escape"},
        {"\\", "an end in the middle"},
        {"\\xZ1", "hexadecimal"},
        {"\\uD83D", "half of a surrogate pair"},
        {"\\u{110000}", "above U+10FFFF"},
        {"(?=a)", "look-around"},
        {"(?!a)", "look-around"},
        {"(?<=a)", "look-around"},
        {"(?<!a)", "look-around"},
        {"(?i)a", "a group of an unknown kind"},
        {"a^b", "an anchor"},
        {"a$b", "an anchor"},
        {"(^a)", "an anchor"},
        {"[b-a]", "a range in a class"},
        {"[\\d-z]", "a range in a class"},
        {"a\xFF", "no UTF-8"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ox_automaton a = {0};
        const enum ox_status status = ox_regex_compile(ox_str_c(wrong[i][0]), &a, &error);
        OK(status == OX_E_ARG && strstr(error.message, wrong[i][1]) != NULL && error.offset <= strlen(wrong[i][0]),
           "%s", error.message);
        ox_automaton_fini(&a);
    }
    struct ox_buf deep = {0};
    for (int i = 0; i <= OX_REGEX_DEPTH; i++) {
        ox_buf_add_byte(&deep, '(');
    }
    struct ox_automaton a = {0};
    OK(ox_regex_compile(ox_buf_str(&deep), &a, &error) == OX_E_ARG && strstr(error.message, "too deeply") != NULL, "%s",
       error.message);
    ox_buf_fini(&deep);
    for (size_t i = 0; i < 9; i++) {
        static const char *const formats[] = {"date", "time", "date-time", "duration", "uuid",
                                              "ipv4", "ipv6", "hostname",  "email"};
        OK(ox_regex_compile_whole(ox_str_c(ox_regex_format(ox_str_c(formats[i]))), &a, &error) == OX_OK &&
               a.n_states > 0,
           "format %s", formats[i]);
        ox_automaton_fini(&a);
    }
    OK(ox_regex_format(ox_str_c("iri")) == NULL, "an unknown format");
}

/* Random patterns of the part that POSIX knows too, on all texts of up to 5 letters. */
static void against_posix(void)
{
    static const char *const parts[] = {"a", "b", "[ab]", "[^a]", "(a|b)", "(ab|c)", "(a|)", "c"};
    static const char *const counts[] = {"", "*", "+", "?", "{2}", "{1,2}", "{0,3}"};
    struct ox_rng rng;
    int n_wrong = 0;
    ox_rng_init(&rng, 12);
    for (int i = 0; i < 120; i++) {
        struct ox_buf pattern = {0};
        ox_buf_add_c(&pattern, ox_rng_below(&rng, 2) == 0 ? "^" : "");
        for (uint64_t k = 1 + ox_rng_below(&rng, 3); k > 0; k--) {
            ox_buf_add_c(&pattern, parts[ox_rng_below(&rng, 8)]);
            ox_buf_add_c(&pattern, counts[ox_rng_below(&rng, 7)]);
        }
        ox_buf_add_c(&pattern, ox_rng_below(&rng, 2) == 0 ? "$" : "");
        regex_t posix;
        struct ox_automaton a = compile(ox_buf_text(&pattern));
        if (regcomp(&posix, ox_buf_text(&pattern), REG_EXTENDED | REG_NOSUB) != 0) {
            exit(1);
        }
        for (int t = 0; t < 1024; t++) {
            char text[6] = "";
            for (int k = 0, rest = t; k < 5 && rest > 0; k++, rest /= 4) {
                text[k] = (char)('a' - 1 + rest % 4);
                text[k] = text[k] < 'a' ? 'd' : text[k];
            }
            n_wrong += ox_automaton_accepts(&a, ox_str_c(text)) == (regexec(&posix, text, 0, NULL, 0) == 0) ? 0 : 1;
        }
        regfree(&posix);
        ox_automaton_fini(&a);
        ox_buf_fini(&pattern);
    }
    OK(n_wrong == 0, "120 random patterns agree with POSIX");
}

static void combined(void)
{
    struct ox_automaton a = compile("^[ab]*$");
    struct ox_automaton b = compile("ab");
    struct ox_automaton lengths = {0};
    struct ox_automaton both = {0};
    struct ox_automaton rest = {0};
    struct ox_automaton none = {0};
    OK(ox_automaton_lengths(2, 3, &lengths, &error) == OX_OK && !ox_automaton_accepts(&lengths, ox_str_c("a")) &&
           ox_automaton_accepts(&lengths, ox_str_c("\xC3\xA9\xC3\xA9")) &&
           !ox_automaton_accepts(&lengths, ox_str_c("aaaa")),
       "lengths");
    OK(ox_automaton_both(&a, &b, &both, &error) == OX_OK && ox_automaton_accepts(&both, ox_str_c("bab")) &&
           !ox_automaton_accepts(&both, ox_str_c("cab")) && !ox_automaton_accepts(&both, ox_str_c("ba")),
       "both");
    OK(ox_automaton_without(&a, &b, &rest, &error) == OX_OK && !ox_automaton_accepts(&rest, ox_str_c("bab")) &&
           ox_automaton_accepts(&rest, ox_str_c("bba")) && !ox_automaton_accepts(&rest, ox_str_c("c")),
       "one without the other");
    OK(ox_automaton_both(&both, &rest, &none, &error) == OX_OK && none.n_states == 0 &&
           !ox_automaton_accepts(&none, ox_str_c("")),
       "nothing is left, not even a state");
    OK(ox_automaton_takes(&a, 0, 'b', 'z') && !ox_automaton_takes(&a, 0, 'c', 'z') &&
           ox_automaton_step(&a, 0, 'c') == OX_NO_STATE,
       "edges");
    OK(ox_automaton_common(&a, 0, 'a', 'b') != OX_NO_STATE && ox_automaton_common(&a, 0, 'a', 'c') == OX_NO_STATE &&
           ox_automaton_common(&lengths, 0, 0, OX_CODE_MAX) != OX_NO_STATE,
       "where a range leads, surrogates aside");
    ox_automaton_fini(&a);
    ox_automaton_fini(&b);
    ox_automaton_fini(&lengths);
    ox_automaton_fini(&both);
    ox_automaton_fini(&rest);
    ox_automaton_fini(&none);
    OK(ox_automaton_lengths(0, OX_AUTOMATON_STATES_MAX - 1, &lengths, &error) == OX_OK, "the largest automaton");
    ox_automaton_fini(&lengths);
    OK(ox_automaton_lengths(0, OX_AUTOMATON_STATES_MAX, &lengths, &error) == OX_E_LIMIT, "one state too many: %s",
       error.message);
}

static struct ox_bound bound_of(json_t *value, bool exclusive)
{
    struct ox_bound bound = {.set = true, .exclusive = exclusive};
    if (!ox_decimal_from_json(value, &bound.at)) {
        exit(1);
    }
    json_decref(value);
    return bound;
}

static void integers(void)
{
    struct ox_rng rng;
    int n_wrong = 0;
    ox_rng_init(&rng, 3);
    for (int i = 0; i < 60; i++) {
        const int64_t low = (int64_t)ox_rng_below(&rng, 2400) - 1200;
        const int64_t high = low + (int64_t)ox_rng_below(&rng, 900) - 10;
        const bool exclusive = ox_rng_below(&rng, 2) == 0;
        const struct ox_bound bounds[2] = {bound_of(json_integer(low), exclusive),
                                           bound_of(json_integer(high), exclusive)};
        struct ox_automaton a = {0};
        if (ox_numerals_integers(&bounds[0], &bounds[1], &a, &error) != OX_OK) {
            exit(1);
        }
        for (int64_t x = -1600; x <= 2400; x++) {
            char text[32];
            snprintf(text, sizeof text, "%lld", (long long)x);
            const bool inside = exclusive ? x > low && x < high : x >= low && x <= high;
            n_wrong += ox_automaton_accepts(&a, ox_str_c(text)) == inside ? 0 : 1;
        }
        ox_automaton_fini(&a);
    }
    OK(n_wrong == 0, "integers between 60 random bounds");
}

static void reals(void)
{
    struct ox_rng rng;
    int n_wrong = 0;
    ox_rng_init(&rng, 4);
    for (int i = 0; i < 60; i++) {
        const double hundredths = (double)ox_rng_below(&rng, 40000) - 20000;
        const double low = hundredths / 100;
        const double high = (hundredths + (double)ox_rng_below(&rng, 10000)) / 100;
        const bool exclusive = ox_rng_below(&rng, 2) == 0;
        const struct ox_bound bounds[2] = {bound_of(json_real(low), exclusive), bound_of(json_real(high), exclusive)};
        struct ox_automaton a = {0};
        if (ox_numerals_reals(&bounds[0], &bounds[1], &a, &error) != OX_OK) {
            exit(1);
        }
        for (int k = 0; k < 3000; k++) {
            char text[64];
            double x;
            const double near = ox_rng_below(&rng, 2) == 0 ? low : high;
            snprintf(text, sizeof text, "%.*f", (int)ox_rng_below(&rng, 6),
                     near + ((double)ox_rng_below(&rng, 2000) - 1000) / 500);
            if (!ox_str_to_double(ox_str_c(text), &x)) {
                exit(1);
            }
            const bool inside = exclusive ? x > low && x < high : x >= low && x <= high;
            const bool zero = text[0] == '-' && !(x < 0); /* -0.0 may be left out */
            n_wrong += zero || ox_automaton_accepts(&a, ox_str_c(text)) == inside ? 0 : 1;
        }
        ox_automaton_fini(&a);
    }
    OK(n_wrong == 0, "decimals between 60 random bounds");
    struct ox_decimal x;
    json_t *tiny = json_real(1e-30);
    json_t *large = json_real(1e25);
    OK(!ox_decimal_from_json(tiny, &x) && !ox_decimal_from_json(large, &x), "bounds of too many digits");
    json_decref(tiny);
    json_decref(large);
}

static void memory(void)
{
    for (long n = 1;; n++) {
        struct ox_automaton a = {0};
        oom_arm(n);
        const enum ox_status status = ox_regex_compile(ox_str_c("^(a|b){2,5}[^c-x]*$"), &a, &error);
        const bool failed = oom_disarm();
        ox_automaton_fini(&a);
        if (!failed || status != OX_E_NOMEM) {
            OK(!failed && status == OX_OK && n > 5, "each of %ld allocations may fail", n);
            break;
        }
    }
}

int main(void)
{
    patterns();
    wrong_patterns();
    against_posix();
    combined();
    integers();
    reals();
    memory();
    return tap_done();
}
