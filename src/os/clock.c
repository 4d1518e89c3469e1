/* SPDX-License-Identifier: Apache-2.0
 *
 * The monotonic clock in nanoseconds.
 */
#include "os/clock.h"

#include <time.h>

uint64_t ox_clock_ns(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
