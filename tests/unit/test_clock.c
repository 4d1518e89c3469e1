/* SPDX-License-Identifier: Apache-2.0
 *
 * The clock goes forward and counts nanoseconds.
 */
#include <time.h>

#include "os/clock.h"
#include "tests/tap.h"

int main(void)
{
    bool forward = true;
    uint64_t last = ox_clock_ns();
    for (int i = 0; i < 100000; i++) {
        const uint64_t now = ox_clock_ns();
        forward = forward && now >= last;
        last = now;
    }
    OK(forward, "never goes back");

    const struct timespec nap = {0, 20 * 1000 * 1000};
    const uint64_t from = ox_clock_ns();
    nanosleep(&nap, NULL);
    const double seconds = ox_clock_seconds(from, ox_clock_ns());
    OK(seconds >= 0.0199 && seconds < 30.0, "20 ms of sleep are 20 ms or a little more (%.4f s)", seconds);
    OK(ox_clock_seconds(1000, 2501000) == 0.0025, "2.5 million ns are 2.5 ms");
    return tap_done();
}
