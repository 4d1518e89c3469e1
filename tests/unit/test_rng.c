/* SPDX-License-Identifier: Apache-2.0
 *
 * The random generator: known values, ranges, and that it is even enough for sampling.
 */
#include "base/rng.h"
#include "tests/tap.h"

static void test_known(void)
{
    /* splitmix64 from seed 0 (its authors' test values) is the state; xoshiro256** then gives these. */
    struct ox_rng rng;
    ox_rng_init(&rng, 0);
    OK(rng.state[0] == UINT64_C(0xe220a8397b1dcdaf) && rng.state[1] == UINT64_C(0x6e789e6aa1b965f4) &&
           rng.state[2] == UINT64_C(0x06c45d188009454f) && rng.state[3] == UINT64_C(0xf88bb8a8724c81ec),
       "seed 0 through splitmix64");
    const struct ox_rng counted = {{1, 2, 3, 4}};
    rng = counted;
    static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
    bool same = true;
    for (size_t i = 0; i < 4; i++) {
        same = same && ox_rng_next(&rng) == expected[i];
    }
    OK(same, "xoshiro256** from state 1 2 3 4");
    struct ox_rng a;
    struct ox_rng b;
    ox_rng_init(&a, 42);
    ox_rng_init(&b, 42);
    same = true;
    for (int i = 0; i < 1000; i++) {
        same = same && ox_rng_next(&a) == ox_rng_next(&b);
    }
    OK(same, "equal seeds, equal streams");
    ox_rng_init(&b, 43);
    OK(ox_rng_next(&a) != ox_rng_next(&b), "other seeds, other streams");
}

static void test_double(void)
{
    struct ox_rng rng;
    ox_rng_init(&rng, 7);
    double sum = 0;
    double least = 1;
    double most = 0;
    bool fine = true;
    for (int i = 0; i < 1000000; i++) {
        const double x = ox_rng_double(&rng);
        fine = fine && x >= 0.0 && x < 1.0 && x * 0x1p53 == (double)(uint64_t)(x * 0x1p53);
        sum += x;
        least = x < least ? x : least;
        most = x > most ? x : most;
    }
    OK(fine, "in [0, 1), multiples of 2^-53");
    OK(sum > 498500 && sum < 501500, "mean one half (%.1f in a million)", sum);
    OK(least < 1e-4 && most > 1 - 1e-4, "from end to end");
    /* The largest that next can give stays below one. */
    OK((double)(UINT64_MAX >> 11) * 0x1p-53 < 1.0, "never one");
}

static void test_below(void)
{
    struct ox_rng rng;
    ox_rng_init(&rng, 9);
    long counts[7] = {0};
    bool inside = true;
    for (int i = 0; i < 700000; i++) {
        const uint64_t x = ox_rng_below(&rng, 7);
        inside = inside && x < 7;
        counts[x % 7]++;
    }
    double chi = 0;
    for (int i = 0; i < 7; i++) {
        const double difference = (double)counts[i] - 100000.0;
        chi += difference * difference / 100000.0;
    }
    OK(inside, "below 7");
    OK(chi < 27.9, "evenly (chi square %.2f, 6 degrees)", chi);
    bool small = true;
    for (int i = 0; i < 1000; i++) {
        small = small && ox_rng_below(&rng, 1) == 0 && ox_rng_below(&rng, UINT64_MAX) < UINT64_MAX;
    }
    OK(small, "below 1 and below the largest");
    /* With n just above 2^63 plain remainders would give the lower numbers twice as often. */
    const uint64_t n = (UINT64_C(1) << 63) + (UINT64_C(1) << 62);
    int low = 0;
    for (int i = 0; i < 30000; i++) {
        low += ox_rng_below(&rng, n) < n / 3 ? 1 : 0;
    }
    OK(low > 9600 && low < 10400, "without bias (%d of 30,000 in the lowest third)", low);
}

static void test_secret(void)
{
    unsigned char a[300] = {0};
    unsigned char b[300] = {0};
    IS_INT(ox_rng_secret(a, sizeof a), 0, "300 bytes from the kernel");
    IS_INT(ox_rng_secret(b, sizeof b), 0, "and 300 more");
    OK(memcmp(a, b, sizeof a) != 0, "are others");
    bool tail = false;
    for (size_t i = 256; i < sizeof a; i++) {
        tail = tail || a[i] != 0;
    }
    OK(tail, "to the end");
    IS_INT(ox_rng_secret(a, 0), 0, "none");
    char id[30];
    char other[30];
    IS_INT(ox_rng_id("call_", id, sizeof id), 0, "an id");
    IS_INT(ox_rng_id("call_", other, sizeof other), 0, "and another");
    OK(strlen(id) == 29 && strncmp(id, "call_", 5) == 0 &&
           strspn(id + 5, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == 24,
       "prefix, then letters and digits to the end");
    OK(strcmp(id, other) != 0, "no two are alike");
}

int main(void)
{
    test_known();
    test_double();
    test_below();
    test_secret();
    return tap_done();
}
