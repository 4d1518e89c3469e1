/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine as hwloc sees it, copied once into plain arrays: afterwards hwloc is not needed, and any thread may read.
 */
#include "os/topology.h"

#include <hwloc.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

struct core {
    int pu;
    size_t node;
    size_t order; /* hwloc's, within the machine */
};

struct cache {
    uint64_t bytes;
    size_t n;
};

struct ox_topology {
    struct core *cores;
    size_t n_cores;
    uint64_t node_bytes[OX_MAX_NODES];
    size_t n_nodes;
    struct cache caches[4]; /* by level; [0] unused */
    char *cpu_name;
};

static int compare_cores(const void *left, const void *right)
{
    const struct core *a = left;
    const struct core *b = right;
    if (a->node != b->node) {
        return a->node < b->node ? -1 : 1;
    }
    if (a->order != b->order) {
        return a->order < b->order ? -1 : 1;
    }
    return 0;
}

/* Index of the first node near obj that has memory; the first near it if none has. */
static size_t nearest_node(hwloc_topology_t machine, hwloc_obj_t obj)
{
    size_t found = 0;
    bool any = false;
    for (int i = hwloc_bitmap_first(obj->nodeset); i >= 0; i = hwloc_bitmap_next(obj->nodeset, i)) {
        const struct hwloc_obj *node = hwloc_get_numanode_obj_by_os_index(machine, (unsigned)i);
        if (node != NULL && node->attr->numanode.local_memory > 0) {
            return node->logical_index;
        }
        if (node != NULL && !any) {
            found = node->logical_index;
            any = true;
        }
    }
    return found;
}

static enum ox_status copy_nodes(hwloc_topology_t machine, struct ox_topology *t, struct ox_error *err)
{
    const int n = hwloc_get_nbobjs_by_type(machine, HWLOC_OBJ_NUMANODE);
    if (n > OX_MAX_NODES) {
        return ox_error_set(err, OX_E_LIMIT, "topology: expected at most %d memory nodes, found %d", OX_MAX_NODES, n);
    }
    t->n_nodes = n > 0 ? (size_t)n : 1;
    for (int i = 0; i < n; i++) {
        const struct hwloc_obj *node = hwloc_get_obj_by_type(machine, HWLOC_OBJ_NUMANODE, (unsigned)i);
        t->node_bytes[i] = node->attr->numanode.local_memory;
    }
    return OX_OK;
}

/* allowed: the processing units that this thread may run on, NULL for all. */
static enum ox_status copy_cores(hwloc_topology_t machine, hwloc_const_cpuset_t allowed, struct ox_topology *t,
                                 struct ox_error *err)
{
    hwloc_obj_type_t type = HWLOC_OBJ_CORE;
    int n = hwloc_get_nbobjs_by_type(machine, type);
    if (n <= 0) {
        type = HWLOC_OBJ_PU;
        n = hwloc_get_nbobjs_by_type(machine, type);
    }
    if (n <= 0) {
        return ox_error_set(err, OX_E_DEVICE, "topology: expected at least one core, found none");
    }
    t->cores = ox_calloc((size_t)n, sizeof *t->cores);
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (t->cores == NULL || set == NULL) {
        hwloc_bitmap_free(set);
        return ox_error_nomem(err, (size_t)n * sizeof *t->cores);
    }
    for (int i = 0; i < n; i++) {
        hwloc_obj_t obj = hwloc_get_obj_by_type(machine, type, (unsigned)i);
        hwloc_bitmap_copy(set, obj->cpuset);
        if (allowed != NULL) {
            hwloc_bitmap_and(set, set, allowed);
        }
        const int pu = hwloc_bitmap_first(set);
        if (pu >= 0) {
            const struct core core = {pu, nearest_node(machine, obj), (size_t)i};
            t->cores[t->n_cores++] = core;
        }
    }
    hwloc_bitmap_free(set);
    if (t->n_cores == 0) {
        return ox_error_set(err, OX_E_DEVICE, "topology: expected a core that this process may use, found none");
    }
    qsort(t->cores, t->n_cores, sizeof *t->cores, compare_cores);
    return OX_OK;
}

static void copy_caches(hwloc_topology_t machine, struct ox_topology *t)
{
    static const hwloc_obj_type_t types[4] = {HWLOC_OBJ_TYPE_MAX, HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE,
                                              HWLOC_OBJ_L3CACHE};
    for (size_t level = 1; level < 4; level++) {
        const int n = hwloc_get_nbobjs_by_type(machine, types[level]);
        for (int i = 0; i < n; i++) {
            const struct hwloc_obj *cache = hwloc_get_obj_by_type(machine, types[level], (unsigned)i);
            if (cache->attr->cache.size > t->caches[level].bytes) {
                t->caches[level].bytes = cache->attr->cache.size;
            }
        }
        t->caches[level].n = n > 0 ? (size_t)n : 0;
    }
}

static enum ox_status copy_name(hwloc_topology_t machine, struct ox_topology *t, struct ox_error *err)
{
    hwloc_obj_t package = hwloc_get_obj_by_type(machine, HWLOC_OBJ_PACKAGE, 0);
    const char *name = package != NULL ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;
    t->cpu_name = ox_strdup(name != NULL ? name : "unknown processor");
    return t->cpu_name != NULL ? OX_OK : ox_error_nomem(err, 64);
}

static enum ox_status copy_machine(hwloc_topology_t machine, bool synthetic, struct ox_topology *t,
                                   struct ox_error *err)
{
    hwloc_bitmap_t allowed = NULL;
    if (!synthetic) {
        allowed = hwloc_bitmap_alloc();
        if (allowed == NULL) {
            return ox_error_nomem(err, sizeof *t);
        }
        if (hwloc_get_cpubind(machine, allowed, HWLOC_CPUBIND_THREAD) != 0) {
            hwloc_bitmap_fill(allowed);
        }
    }
    enum ox_status status = copy_nodes(machine, t, err);
    if (status == OX_OK) {
        status = copy_cores(machine, allowed, t, err);
    }
    if (status == OX_OK) {
        copy_caches(machine, t);
        status = copy_name(machine, t, err);
    }
    hwloc_bitmap_free(allowed);
    return status;
}

enum ox_status ox_topology_open(const char *synthetic, struct ox_topology **out, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    hwloc_topology_t machine = NULL;
    struct ox_topology *t = ox_calloc(1, sizeof *t);
    if (t == NULL || hwloc_topology_init(&machine) != 0) {
        status = ox_error_nomem(err, sizeof *t);
        goto fail;
    }
    if (synthetic != NULL && hwloc_topology_set_synthetic(machine, synthetic) != 0) {
        status = ox_error_set(err, OX_E_ARG, "topology: \"%s\" is no synthetic description", synthetic);
        goto fail;
    }
    /* Devices are not asked for (hwloc's default), so that no driver is probed. */
    if (hwloc_topology_load(machine) != 0) {
        status = ox_error_set(err, OX_E_DEVICE, "topology: hwloc cannot read this machine");
        goto fail;
    }
    status = copy_machine(machine, synthetic != NULL, t, err);
    if (status != OX_OK) {
        goto fail;
    }
    hwloc_topology_destroy(machine);
    *out = t;
    return OX_OK;
fail:
    if (machine != NULL) {
        hwloc_topology_destroy(machine);
    }
    ox_topology_close(&t);
    return status;
}

void ox_topology_close(struct ox_topology **topology)
{
    struct ox_topology *t = *topology;
    if (t != NULL) {
        ox_free(t->cores);
        ox_free(t->cpu_name);
        ox_free(t);
    }
    *topology = NULL;
}

size_t ox_topology_n_cores(const struct ox_topology *topology)
{
    return topology->n_cores;
}

size_t ox_topology_n_nodes(const struct ox_topology *topology)
{
    return topology->n_nodes;
}

int ox_topology_core_pu(const struct ox_topology *topology, size_t i)
{
    OX_CHECK(i < topology->n_cores);
    return topology->cores[i].pu;
}

size_t ox_topology_core_node(const struct ox_topology *topology, size_t i)
{
    OX_CHECK(i < topology->n_cores);
    return topology->cores[i].node;
}

uint64_t ox_topology_node_bytes(const struct ox_topology *topology, size_t i)
{
    OX_CHECK(i < topology->n_nodes);
    return topology->node_bytes[i];
}

uint64_t ox_topology_cache_bytes(const struct ox_topology *topology, int level)
{
    return level >= 1 && level <= 3 ? topology->caches[level].bytes : 0;
}

size_t ox_topology_n_caches(const struct ox_topology *topology, int level)
{
    return level >= 1 && level <= 3 ? topology->caches[level].n : 0;
}

const char *ox_topology_cpu_name(const struct ox_topology *topology)
{
    return topology->cpu_name;
}
