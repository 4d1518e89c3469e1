/* SPDX-License-Identifier: Apache-2.0
 *
 * What the machine is made of, from hwloc: cores we may use, caches, memory nodes.
 */
#ifndef OX_OS_TOPOLOGY_H
#define OX_OS_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define OX_MAX_NODES 64

struct ox_topology; /* read-only once loaded; any thread */

/* synthetic: NULL for this machine, or an hwloc synthetic description ("numa:2 core:4 pu:2") for tests. */
enum ox_status ox_topology_open(const char *synthetic, struct ox_topology **out, struct ox_error *err) OX_MUST_USE;
void ox_topology_close(struct ox_topology **topology);

/* One per core that this process may run on: what a thread is pinned to. Cores come node by node. */
size_t ox_topology_n_cores(const struct ox_topology *topology);
size_t ox_topology_n_nodes(const struct ox_topology *topology);

/* Operating system's number of the first processing unit of core i, and the index of the node it is nearest to. */
int ox_topology_core_pu(const struct ox_topology *topology, size_t i);
size_t ox_topology_core_node(const struct ox_topology *topology, size_t i);

/* Local memory of node i in bytes. */
uint64_t ox_topology_node_bytes(const struct ox_topology *topology, size_t i);

/* Size of the largest cache of a level (1 = L1 data, 2, 3) in bytes, 0 if there is none; how many such caches. */
uint64_t ox_topology_cache_bytes(const struct ox_topology *topology, int level);
size_t ox_topology_n_caches(const struct ox_topology *topology, int level);

/* The processor's name, never NULL, owned by the topology. */
const char *ox_topology_cpu_name(const struct ox_topology *topology);

#endif
