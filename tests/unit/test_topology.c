/* SPDX-License-Identifier: Apache-2.0
 *
 * Made-up machines of every kind that matters, and this one.
 */
#include <sched.h>

#include "os/clock.h"
#include "os/topology.h"
#include "tests/tap.h"

static struct ox_topology *open_synthetic(const char *text)
{
    struct ox_topology *t = NULL;
    struct ox_error err = {0};
    if (!OK(ox_topology_open(text, &t, &err) == OX_OK, "\"%s\" %s", text, err.message)) {
        exit(tap_done());
    }
    return t;
}

static void test_two_nodes(void)
{
    struct ox_topology *t = open_synthetic("numa:2(memory=1073741824) core:4 pu:2");
    IS_INT(ox_topology_n_nodes(t), 2, "nodes");
    IS_INT(ox_topology_n_cores(t), 8, "cores, not hyper-threads");
    bool in_order = true;
    bool first_pus = true;
    for (size_t i = 0; i < 8; i++) {
        in_order = in_order && ox_topology_core_node(t, i) == i / 4;
        first_pus = first_pus && ox_topology_core_pu(t, i) == (int)(2 * i);
    }
    OK(in_order, "cores come node by node");
    OK(first_pus, "each by its first processing unit");
    IS_INT(ox_topology_node_bytes(t, 0), 1 << 30, "memory of node 0");
    IS_INT(ox_topology_node_bytes(t, 1), 1 << 30, "memory of node 1");
    OK(ox_topology_cpu_name(t) != NULL && ox_topology_cpu_name(t)[0] != '\0', "a name: %s", ox_topology_cpu_name(t));
    ox_topology_close(&t);
    OK(t == NULL, "closed");
    ox_topology_close(&t);
}

/* Processing units numbered across the nodes, as many servers do: still node by node. */
static void test_scattered(void)
{
    struct ox_topology *t = open_synthetic("numa:2 core:4 pu:1(indexes=0,2,4,6,1,3,5,7)");
    static const int pus[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    bool good = true;
    for (size_t i = 0; i < 8; i++) {
        good = good && ox_topology_core_pu(t, i) == pus[i] && ox_topology_core_node(t, i) == i / 4;
    }
    OK(good, "cores of node 0 first, by the system's numbers");
    ox_topology_close(&t);
}

static void test_caches(void)
{
    struct ox_topology *t =
        open_synthetic("package:2 numa:1 l3:2(size=33554432) l2:4(size=2097152) l1d:1(size=49152) core:1 pu:1");
    IS_INT(ox_topology_cache_bytes(t, 1), 49152, "first level");
    IS_INT(ox_topology_cache_bytes(t, 2), 2097152, "second level");
    IS_INT(ox_topology_cache_bytes(t, 3), 33554432, "third level");
    IS_INT(ox_topology_n_caches(t, 1), 16, "as many first as cores");
    IS_INT(ox_topology_n_caches(t, 2), 16, "as many second");
    IS_INT(ox_topology_n_caches(t, 3), 4, "four third");
    IS_INT(ox_topology_cache_bytes(t, 0), 0, "no level 0");
    IS_INT(ox_topology_cache_bytes(t, 4), 0, "no level 4");
    IS_INT(ox_topology_n_caches(t, -1), 0, "no level -1");
    ox_topology_close(&t);
    t = open_synthetic("core:2 pu:1");
    IS_INT(ox_topology_cache_bytes(t, 3), 0, "a machine without caches");
    IS_INT(ox_topology_n_caches(t, 3), 0, "has none");
    IS_INT(ox_topology_n_nodes(t), 1, "and one node");
    ox_topology_close(&t);
}

static void test_sizes(void)
{
    struct ox_topology *t = open_synthetic("pu:1");
    IS_INT(ox_topology_n_cores(t), 1, "the smallest machine");
    ox_topology_close(&t);
    t = open_synthetic("package:8 numa:8 core:16 pu:2");
    IS_INT(ox_topology_n_cores(t), 1024, "a large one");
    IS_INT(ox_topology_n_nodes(t), 64, "with as many nodes as we take");
    IS_INT(ox_topology_core_node(t, 1023), 63, "the last core's node");
    ox_topology_close(&t);

    struct ox_error err = {0};
    IS_INT(ox_topology_open("numa:65 core:1 pu:1", &t, &err), OX_E_LIMIT, "one node more");
    OK(t == NULL && strstr(err.message, "expected at most 64 memory nodes, found 65") != NULL, "says so: %s",
       err.message);
    IS_INT(ox_topology_open("nonsense:x", &t, &err), OX_E_ARG, "no description");
    OK(t == NULL && strstr(err.message, "\"nonsense:x\" is no synthetic description") != NULL, "says so: %s",
       err.message);
}

/* With all but one processing unit taken away, one core is left, and it is that one. */
static void test_affinity(void)
{
    cpu_set_t all;
    cpu_set_t one;
    if (sched_getaffinity(0, sizeof all, &all) != 0) {
        NOTE("more processing units than this test knows");
        return;
    }
    int last = 0;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET((size_t)i, &all)) {
            last = i;
        }
    }
    CPU_ZERO(&one);
    CPU_SET((size_t)last, &one);
    sched_setaffinity(0, sizeof one, &one);
    struct ox_topology *t = NULL;
    struct ox_error err = {0};
    IS_INT(ox_topology_open(NULL, &t, &err), OX_OK, "this machine, one processing unit allowed");
    IS_INT(ox_topology_n_cores(t), 1, "one core");
    IS_INT(ox_topology_core_pu(t, 0), last, "the allowed one");
    ox_topology_close(&t);
    sched_setaffinity(0, sizeof all, &all);
}

static void test_this_machine(void)
{
    struct ox_topology *t = NULL;
    struct ox_error err = {0};
    cpu_set_t all;
    IS_INT(ox_topology_open(NULL, &t, &err), OX_OK, "this machine");
    const size_t n = ox_topology_n_cores(t);
    NOTE("%s, %zu cores, %zu nodes", ox_topology_cpu_name(t), n, ox_topology_n_nodes(t));
    OK(n >= 1 && ox_topology_n_nodes(t) >= 1, "has a core and a node");
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        good = good && ox_topology_core_node(t, i) < ox_topology_n_nodes(t);
        good = good && (i == 0 || ox_topology_core_node(t, i) >= ox_topology_core_node(t, i - 1));
    }
    OK(good, "cores come node by node");
    if (sched_getaffinity(0, sizeof all, &all) == 0) {
        OK(n <= (size_t)CPU_COUNT(&all), "no more cores than processing units");
        for (size_t i = 0; i < n; i++) {
            good = good && CPU_ISSET((size_t)ox_topology_core_pu(t, i), &all);
        }
        OK(good, "all of them allowed");
    }
    ox_topology_close(&t);

    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        const uint64_t from = ox_clock_ns();
        if (ox_topology_open(NULL, &t, &err) == OX_OK) {
            ox_topology_close(&t);
        }
        const uint64_t took = ox_clock_ns() - from;
        best = took < best ? took : best;
    }
    NOTE("opening takes %.2f ms", (double)best * 1e-6);
}

int main(void)
{
    test_two_nodes();
    test_scattered();
    test_caches();
    test_sizes();
    test_affinity();
    test_this_machine();
    return tap_done();
}
