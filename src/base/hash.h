/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes of 128 bits: a keyed one that nobody can steer without the key, and a fast one that finds damage.
 */
#ifndef OX_BASE_HASH_H
#define OX_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ox_hash {
    uint64_t word[2];
};

static inline bool ox_hash_equal(struct ox_hash a, struct ox_hash b)
{
    return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

/* SipHash-2-4 with 128 bits of result (Aumasson and Bernstein; their reference implementation), words little-endian. */
struct ox_hash ox_siphash(struct ox_hash key, const void *bytes, size_t len);

/* For finding damage in large blocks: any change within 8 aligned bytes is found for certain, any other change with
 * probability 1 - 2^-64 or better. Not keyed: it does not stop anybody who wants two inputs of one hash. */
struct ox_hash ox_checksum(const void *bytes, size_t len);

#endif
