/* SPDX-License-Identifier: Apache-2.0
 *
 * The monotonic clock.
 */
#ifndef OX_OS_CLOCK_H
#define OX_OS_CLOCK_H

#include <stdint.h>

/* Nanoseconds since some fixed moment; never goes back. Any thread. */
uint64_t ox_clock_ns(void);

/* Seconds from one reading to a later one. */
static inline double ox_clock_seconds(uint64_t from_ns, uint64_t to_ns)
{
    return (double)(to_ns - from_ns) * 1e-9;
}

#endif
