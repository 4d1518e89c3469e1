/* SPDX-License-Identifier: Apache-2.0
 *
 * Little-endian numbers in bytes, for formats of our own.
 */
#ifndef OX_BASE_BYTES_H
#define OX_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

/* Write the n (at most 8) low bytes of value to p, the lowest first. */
static inline void ox_bytes_put(uint8_t *p, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(value >> (8U * i));
    }
}

/* Read n (at most 8) bytes at p. */
static inline uint64_t ox_bytes_get(const uint8_t *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)p[i] << (8U * i);
    }
    return value;
}

/* The same for a hash, 16 bytes. */
static inline void ox_bytes_put_hash(uint8_t *p, struct ox_hash hash)
{
    ox_bytes_put(p, hash.word[0], 8);
    ox_bytes_put(p + 8, hash.word[1], 8);
}

static inline struct ox_hash ox_bytes_get_hash(const uint8_t *p)
{
    const struct ox_hash hash = {{ox_bytes_get(p, 8), ox_bytes_get(p + 8, 8)}};
    return hash;
}

#endif
