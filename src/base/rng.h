/* SPDX-License-Identifier: Apache-2.0
 *
 * A small, fast, seeded random generator (xoshiro256**, seeded through splitmix64; Blackman and Vigna, public domain
 * algorithms) for sampling, synthetic weights and tests. Not for secrets: see ox_rng_secret.
 */
#ifndef OX_BASE_RNG_H
#define OX_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct ox_rng {
    uint64_t state[4];
};

/* Any seed is good, 0 included; equal seeds give equal streams on every machine. */
void ox_rng_init(struct ox_rng *rng, uint64_t seed);

uint64_t ox_rng_next(struct ox_rng *rng);

/* Uniform in [0, 1) with 53 random bits. */
double ox_rng_double(struct ox_rng *rng);

/* Uniform in [0, n), n > 0, without bias. */
uint64_t ox_rng_below(struct ox_rng *rng, uint64_t n);

/* Fill p with n unguessable bytes from the kernel; 0, or -1 if it gives none. */
int ox_rng_secret(void *p, size_t n) OX_MUST_USE;

/* Write prefix to id, then unguessable letters and digits up to its end (id_bytes with the NUL, more than the prefix
 * needs). 0, or -1 if the kernel gives no bytes. */
int ox_rng_id(const char *prefix, char *id, size_t id_bytes) OX_MUST_USE;

#endif
