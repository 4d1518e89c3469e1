/* SPDX-License-Identifier: Apache-2.0
 *
 * Which frames are taken: known cases, and what must hold for any.
 */
#include "media/sample.h"

#include <math.h>

#include "base/rng.h"
#include "tests/tap.h"

#define ROOM 4096

static uint64_t found[ROOM];

static void is_list(uint64_t n_source, double source_fps, double fps, size_t max, const char *expected, uint64_t n_all)
{
    char text[256] = "";
    uint64_t n_sampled = 0;
    const size_t n = ox_sample_frames(n_source, source_fps, fps, max, found, &n_sampled);
    for (size_t i = 0; i < n; i++) {
        const size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s%" PRIu64, i > 0 ? " " : "", found[i]);
    }
    OK(strcmp(text, expected) == 0 && n_sampled == n_all,
       "%" PRIu64 " frames at %g, wanted %g, at most %zu: \"%s\" of %" PRIu64 ", expected \"%s\" of %" PRIu64, n_source,
       source_fps, fps, max, text, n_sampled, expected, n_all);
}

static void test_any(void)
{
    static const double rates[] = {0.0, 0.5, 1.0, 12.5, 23.976, 25.0, 29.97, 30.0, 59.94, 1000.0};
    struct ox_rng rng;
    bool ordered = true;
    bool spaced = true;
    bool ends = true;
    ox_rng_init(&rng, 3);
    for (size_t i = 0; i < 3000; i++) {
        const uint64_t n_source = 1 + ox_rng_below(&rng, 3000);
        const double source_fps = rates[ox_rng_below(&rng, sizeof rates / sizeof *rates)];
        const double fps = ldexp(1.0, (int)ox_rng_below(&rng, 8) - 4);
        const size_t max = 1 + (size_t)ox_rng_below(&rng, 300);
        uint64_t n_sampled = 0;
        uint64_t n_again = 0;
        const size_t n = ox_sample_frames(n_source, source_fps, fps, max, found, &n_sampled);
        ordered = ordered && n > 0 && n == (n_sampled < max ? n_sampled : max) && found[0] == 0;
        for (size_t j = 0; j < n; j++) {
            ordered = ordered && found[j] < n_source && (j == 0 || found[j] > found[j - 1]);
            const double gap = j > 0 && source_fps > 0.0 ? (double)(found[j] - found[j - 1]) / source_fps : INFINITY;
            spaced = spaced && (gap >= 1.0 / fps - 2e-4 || gap * source_fps >= 1.0);
        }
        const uint64_t last = found[n - 1];
        const size_t n_all = ox_sample_frames(n_source, source_fps, fps, ROOM, found, &n_again);
        ends = ends && n_again == n_sampled && n_all == n_sampled && (n == 1 || last == found[n_all - 1]);
    }
    OK(ordered, "ascending, within the clip, frame 0 first, no more than asked for");
    OK(spaced, "never nearer than the spacing");
    OK(ends, "thinning keeps the last");
}

int main(void)
{
    is_list(6, 1.0, 1.0, 768, "0 1 2 3 4 5", 6);
    is_list(100, 25.0, 1.0, 768, "0 25 50 75", 4);
    is_list(101, 25.0, 1.0, 768, "0 25 50 75 100", 5);
    is_list(100, 29.97, 1.0, 768, "0 30 60 90", 4);
    is_list(10, 4.0, 2.0, 768, "0 2 4 6 8", 5);
    is_list(5, 1.0, 30.0, 768, "0 1 2 3 4", 5);
    is_list(4, 0.0, 1.0, 768, "0 1 2 3", 4);
    is_list(1, 25.0, 1.0, 768, "0", 1);
    is_list(10, 1.0, 1.0, 4, "0 3 6 9", 10);
    is_list(10, 1.0, 1.0, 1, "0", 10);
    is_list(10, 1.0, 1.0, 2, "0 9", 10);
    is_list(11, 1.0, 1.0, 5, "0 3 5 8 10", 11);
    test_any();
    return tap_done();
}
