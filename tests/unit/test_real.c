/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubles as text. The expected texts were printed by Python's repr.
 */
#include "base/real.h"

#include "base/rng.h"
#include "base/str.h"
#include "tests/tap.h"

static void test_floats(void)
{
    static const struct {
        double x;
        const char *text;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-2.034, "-2.034"},
        {0.1, "0.1"},
        {0.30000000000000004, "0.30000000000000004"},
        {100.0, "100.0"},
        {123456.789, "123456.789"},
        {0.0001, "0.0001"},
        {0.00012345, "0.00012345"},
        {0.00001, "1e-05"},
        {1e-7, "1e-07"},
        {1.5e-9, "1.5e-09"},
        {1e15, "1000000000000000.0"},
        {9999999999999998.0, "9999999999999998.0"},
        {1e16, "1e+16"},
        {1.2345e16, "1.2345e+16"},
        {1e20, "1e+20"},
        {1e100, "1e+100"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {0x1p-44, "5.684341886080802e-14"},
        {0x1p-1017, "7.120236347223045e-307"},
        {0x1p-957, "8.209073602596753e-289"},
        {0x1p-1, "0.5"},
    };
    struct ox_buf buf;
    ox_buf_init(&buf);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ox_buf_clear(&buf);
        ox_real_add(&buf, rows[i].x);
        IS_STR(ox_buf_text(&buf), rows[i].text, "repr");
    }
    ox_buf_fini(&buf);
}

/* Random doubles read back as they were. */
static void test_round_trip(void)
{
    struct ox_rng rng;
    struct ox_buf buf;
    int n_bad = 0;
    ox_rng_init(&rng, 7);
    ox_buf_init(&buf);
    for (int i = 0; i < 20000; i++) {
        const uint64_t bits = ox_rng_next(&rng) & ~(UINT64_C(1) << 62);
        double x;
        double back = 0.0;
        memcpy(&x, &bits, sizeof x);
        ox_buf_clear(&buf);
        ox_real_add(&buf, x);
        n_bad += !ox_str_to_double(ox_buf_str(&buf), &back) || memcmp(&x, &back, sizeof x) != 0;
    }
    IS_INT(n_bad, 0, "doubles that do not read back");
    ox_buf_fini(&buf);
}

int main(void)
{
    test_floats();
    test_round_trip();
    return tap_done();
}
