/* SPDX-License-Identifier: Apache-2.0
 *
 * What the machine can do at most with an engine's workers: bytes read from memory, and operations of its matrix
 * products. Measured again and again between what is held against them, since machines have moods.
 */
#ifndef OX_ENGINE_LIMITS_H
#define OX_ENGINE_LIMITS_H

#include "os/team.h"
#include "os/topology.h"
#include "simd/kernels.h"

struct ox_limits;

/* Make the buffer that is read: eight times the last level of cache, but no more than a sixteenth of the memory
 * available and no less than 256 MiB. Each worker touches its own part first. Everything is borrowed. */
enum ox_status ox_limits_open(const struct ox_topology *topology, const struct ox_kernels *kernels,
                              struct ox_team *team, struct ox_limits **out, struct ox_error *err) OX_MUST_USE;
void ox_limits_close(struct ox_limits **limits);

/* Bytes that ox_limits_open would take. */
uint64_t ox_limits_bytes(const struct ox_topology *topology);

/* Measure both with all workers, for some tenths of a second each. */
void ox_limits_measure(struct ox_limits *limits, double *read_bytes_s, double *matmul_flops_s);

#endif
