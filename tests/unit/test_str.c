/* SPDX-License-Identifier: Apache-2.0
 *
 * Text with a length: comparing, finding, and every way a text can be or not be a number.
 */
#include <locale.h>
#include <math.h>

#include "base/str.h"
#include "tests/tap.h"

static struct ox_str empty(void)
{
    return ox_str_make(NULL, 0);
}

static void test_compare(void)
{
    OK(ox_str_equal(empty(), ox_str_c("")), "nothing equals nothing");
    OK(ox_str_equal(ox_str_make("a\0b", 3), ox_str_make("a\0b", 3)), "NUL bytes count");
    OK(!ox_str_equal(ox_str_make("a\0b", 3), ox_str_make("a\0c", 3)), "behind them too");
    OK(!ox_str_equal(ox_str_c("a"), ox_str_c("ab")), "lengths count");
    OK(ox_str_is(ox_str_make("word!", 4), "word") && !ox_str_is(ox_str_c("word"), "wor"), "against C text");
    OK(ox_str_starts(ox_str_c("abc"), ox_str_c("ab")) && ox_str_starts(ox_str_c("abc"), ox_str_c("abc")), "starts");
    OK(!ox_str_starts(ox_str_c("ab"), ox_str_c("abc")) && !ox_str_starts(ox_str_c("abc"), ox_str_c("b")),
       "does not start");
    OK(ox_str_starts(empty(), empty()) && ox_str_starts(ox_str_c("a"), empty()), "everything starts with nothing");
}

static void test_find(void)
{
    const struct ox_str text = ox_str_c("abcabc");
    IS_INT(ox_str_find(text, ox_str_c("bc"), 0), 1, "the first");
    IS_INT(ox_str_find(text, ox_str_c("bc"), 1), 1, "at from itself");
    IS_INT(ox_str_find(text, ox_str_c("bc"), 2), 4, "the next");
    IS_INT(ox_str_find(text, ox_str_c("bc"), 5), 6, "no more");
    IS_INT(ox_str_find(text, ox_str_c("abcabcd"), 0), 6, "longer than the text");
    IS_INT(ox_str_find(text, empty(), 3), 3, "nothing is found at from");
    IS_INT(ox_str_find(text, empty(), 6), 6, "also at the end");
    IS_INT(ox_str_find(text, empty(), 7), 6, "from behind the end");
    IS_INT(ox_str_find(text, ox_str_c("a"), SIZE_MAX), 6, "from far behind the end");
    IS_INT(ox_str_find(empty(), ox_str_c("a"), 0), 0, "in nothing");
    IS_INT(ox_str_find(ox_str_make("a\0bc", 4), ox_str_make("\0b", 2), 0), 1, "NUL bytes");
}

static void test_u64(void)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"7", true, 7},
        {"0012", true, 12},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"99999999999999999999", false, 0},
        {"184467440737095516150", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1a", false, 0},
        {"0x10", false, 0},
        {"1.0", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 12345;
        const bool good = ox_str_to_u64(ox_str_c(rows[i].text), &value);
        OK(good == rows[i].good && value == (good ? rows[i].value : 12345), "u64 \"%s\"", rows[i].text);
    }
    uint64_t value;
    OK(ox_str_to_u64(ox_str_make("123456", 3), &value) && value == 123, "needs no end");
    OK(!ox_str_to_u64(ox_str_make("1\0", 2), &value), "a NUL is no digit");
}

static void test_i64(void)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"-12", true, -12},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", false, 0},
        {"-", false, 0},
        {"--1", false, 0},
        {"+1", false, 0},
        {"", false, 0},
        {"- 1", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = 12345;
        const bool good = ox_str_to_i64(ox_str_c(rows[i].text), &value);
        OK(good == rows[i].good && value == (good ? rows[i].value : 12345), "i64 \"%s\"", rows[i].text);
    }
}

static void test_double(void)
{
    static const struct {
        const char *text;
        bool good;
        double value;
    } rows[] = {
        {"0", true, 0.0},     {"1", true, 1.0},      {"-0.5", true, -0.5}, {"1e-3", true, 0.001},  {".5", true, 0.5},
        {"5.", true, 5.0},    {"1E+2", true, 100.0}, {"+2", true, 2.0},    {"1e308", true, 1e308}, {"1e309", false, 0},
        {"-1e999", false, 0}, {"inf", false, 0},     {"nan", false, 0},    {"infinity", false, 0}, {"0x10", false, 0},
        {"1,5", false, 0},    {"", false, 0},        {" 1", false, 0},     {"1 ", false, 0},       {"1e", false, 0},
        {"e5", false, 0},     {"1.2.3", false, 0},   {"--1", false, 0},    {"-", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double value = 12345;
        const bool good = ox_str_to_double(ox_str_c(rows[i].text), &value);
        const double expected = good ? rows[i].value : 12345;
        OK(good == rows[i].good && fabs(value - expected) <= fabs(expected) * 1e-15, "double \"%s\"", rows[i].text);
    }
    double value;
    char digits[80];
    memset(digits, '1', sizeof digits);
    OK(ox_str_to_double(ox_str_make(digits, 63), &value), "63 bytes");
    OK(!ox_str_to_double(ox_str_make(digits, 64), &value), "64 bytes are too many");
    OK(!ox_str_to_double(ox_str_make("1\0", 2), &value), "a NUL is no digit");
    OK(ox_str_to_double(ox_str_make("1.5rest", 3), &value) && value == 1.5, "needs no end");
    /* Any locale with a comma that this system has. */
    if (setlocale(LC_ALL, "de_DE.UTF-8") != NULL || setlocale(LC_ALL, "fr_FR.UTF-8") != NULL) {
        OK(ox_str_to_double(ox_str_c("1.5"), &value) && value == 1.5, "whatever the locale");
        setlocale(LC_ALL, "C");
    } else {
        NOTE("no locale with a comma here");
    }
}

static void test_size(void)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"5", true, 5},
        {"1k", true, 1024},
        {"1K", true, 1024},
        {"3m", true, 3 << 20},
        {"3M", true, 3 << 20},
        {"2g", true, UINT64_C(2) << 30},
        {"2G", true, UINT64_C(2) << 30},
        {"1t", true, UINT64_C(1) << 40},
        {"1T", true, UINT64_C(1) << 40},
        {"16777215T", true, UINT64_C(16777215) << 40},
        {"16777216T", false, 0},
        {"k", false, 0},
        {"", false, 0},
        {"1kk", false, 0},
        {"1.5G", false, 0},
        {"-1k", false, 0},
        {"1p", false, 0},
        {"1 k", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 12345;
        const bool good = ox_str_to_size(ox_str_c(rows[i].text), &value);
        OK(good == rows[i].good && value == (good ? rows[i].value : 12345), "size \"%s\"", rows[i].text);
    }
    uint64_t value;
    OK(!ox_str_to_size(ox_str_make("1\0", 2), &value), "a NUL is no unit");
}

static void test_rest(void)
{
    OK(ox_str_hash(empty()) == UINT64_C(0xcbf29ce484222325), "FNV-1a of nothing");
    OK(ox_str_hash(ox_str_c("a")) == UINT64_C(0xaf63dc4c8601ec8c), "of a");
    OK(ox_str_hash(ox_str_c("foobar")) == UINT64_C(0x85944171f73967e8), "of foobar");
    char secret[8] = "secret!";
    ox_wipe(secret, 6);
    OK(memcmp(secret, "\0\0\0\0\0\0!", 8) == 0, "wiped, and no more than asked");
}

int main(void)
{
    test_compare();
    test_find();
    test_u64();
    test_i64();
    test_double();
    test_size();
    test_rest();
    return tap_done();
}
