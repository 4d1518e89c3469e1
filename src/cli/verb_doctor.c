/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart doctor: what this machine has, what of it will be used, and which released model fits.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "base/json_build.h"
#include "cli/input.h"
#include "cli/json_out.h"
#include "os/file.h"
#include "os/memory.h"
#include "os/topology.h"
#include "simd/cpu.h"

#define GIB 1073741824.0

/* The released checkpoints: bytes of their files, and of the KV cache of the usual context (32,768 tokens of 137,472
 * bytes). Source: arithmetic.md sections 2 and 3. */
static const struct {
    const char *name;
    uint64_t weight_bytes;
} releases[] = {
    {"MiniMax-M3 MXFP8", UINT64_C(443740000000)},
    {"MiniMax-M3 BF16", UINT64_C(854170000000)},
};
#define N_RELEASES (sizeof releases / sizeof releases[0])
#define USUAL_KV_BYTES (UINT64_C(32768) * UINT64_C(137472))

struct machine {
    struct ox_topology *topology;
    struct ox_memory_info memory;
    char huge_pages[64]; /* the word that the kernel has chosen */
    uint64_t lock_limit;
    uint64_t space_limit;
};

/* The word in brackets of the kernel's "always [madvise] never". */
static void read_huge_pages(char *word, size_t room)
{
    struct ox_buf text = {0};
    struct ox_error err = {0};
    snprintf(word, room, "unknown");
    if (ox_file_read("/sys/kernel/mm/transparent_hugepage/enabled", 4096, &text, &err) == OX_OK) {
        const char *begin = memchr(text.ptr, '[', text.len);
        const char *end = begin != NULL ? memchr(begin, ']', text.len - (size_t)(begin - text.ptr)) : NULL;
        if (end != NULL) {
            snprintf(word, room, "%.*s", (int)(end - begin - 1), begin + 1);
        }
    }
    ox_buf_fini(&text);
}

static uint64_t read_limit(int resource)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return UINT64_MAX;
    }
    return limit.rlim_cur;
}

static enum ox_status look(struct machine *machine, struct ox_error *err)
{
    enum ox_status status = ox_topology_open(NULL, &machine->topology, err);
    if (status == OX_OK) {
        status = ox_memory_query(&machine->memory, err);
    }
    read_huge_pages(machine->huge_pages, sizeof machine->huge_pages);
    machine->lock_limit = read_limit(RLIMIT_MEMLOCK);
    machine->space_limit = read_limit(RLIMIT_AS);
    return status;
}

static uint64_t need_bytes(size_t i)
{
    return releases[i].weight_bytes + USUAL_KV_BYTES;
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

static void print_bytes(struct output *output, uint64_t n)
{
    if (n == UINT64_MAX) {
        output_printf(output, "no limit");
    } else if (n >= UINT64_C(1) << 30) {
        output_printf(output, "%.1f GiB", (double)n / GIB);
    } else if (n >= UINT64_C(1) << 20) {
        output_printf(output, "%.1f MiB", (double)n / 1048576.0);
    } else {
        output_printf(output, "%.0f KiB", (double)n / 1024.0);
    }
}

static void print_levels(struct output *output)
{
    const enum ox_cpu_level best = ox_cpu_best_level();
    output_printf(output, "CPU level    %s", ox_cpu_level_name(best));
    output_printf(output, best + 1 == OX_N_CPU_LEVELS ? ", the highest that this program has\n"
                                                      : ", the highest that this processor can run\n");
    output_printf(output, "levels      ");
    for (size_t i = 0; i < OX_N_CPU_LEVELS; i++) {
        output_printf(output, " %s (%s)", ox_cpu_level_name((enum ox_cpu_level)i),
                      ox_cpu_has_level((enum ox_cpu_level)i) ? "yes" : "not on this processor");
    }
    output_printf(output, "\n");
}

static void print_caches(struct output *output, const struct ox_topology *topology)
{
    output_printf(output, "caches      ");
    for (int level = 1; level <= 3; level++) {
        if (ox_topology_cache_bytes(topology, level) > 0) {
            output_printf(output, " L%d %zu x ", level, ox_topology_n_caches(topology, level));
            print_bytes(output, ox_topology_cache_bytes(topology, level));
        }
    }
    output_printf(output, "\n");
}

static void print_nodes(struct output *output, const struct ox_topology *topology)
{
    const size_t n_cores = ox_topology_n_cores(topology);
    const size_t n_nodes = ox_topology_n_nodes(topology);
    output_printf(output, "cores        %zu may be used: %zu threads, one on each core\n", n_cores, n_cores);
    for (size_t node = 0; node < n_nodes; node++) {
        size_t n = 0;
        for (size_t i = 0; i < n_cores; i++) {
            n += ox_topology_core_node(topology, i) == node ? 1 : 0;
        }
        output_printf(output, "node %-7zu %zu cores, ", node, n);
        print_bytes(output, ox_topology_node_bytes(topology, node));
        output_printf(output, "\n");
    }
}

static void print_memory(struct output *output, const struct machine *machine)
{
    output_printf(output, "memory       ");
    print_bytes(output, machine->memory.total);
    output_printf(output, ", available now ");
    print_bytes(output, machine->memory.available);
    output_printf(output, "\nhuge pages   transparent: %s", machine->huge_pages);
    if (machine->memory.huge_page > 0) {
        output_printf(output, ", of ");
        print_bytes(output, machine->memory.huge_page);
        output_printf(output, "%s", strcmp(machine->huge_pages, "never") == 0
                                        ? "; not used (set it to madvise for the KV cache)"
                                        : "; used for the KV cache and working memory");
    }
    output_printf(output, "\nlimits       locked memory ");
    print_bytes(output, machine->lock_limit);
    output_printf(output, ", address space ");
    print_bytes(output, machine->space_limit);
    output_printf(output, "\nGPUs         none are used: this program computes on CPUs\n");
}

static void print_releases(struct output *output, const struct machine *machine)
{
    for (size_t i = 0; i < N_RELEASES; i++) {
        const uint64_t need = need_bytes(i);
        output_printf(output, "%-18s %.1f GB with 32768 tokens of context: ", releases[i].name, (double)need / 1e9);
        if (need <= machine->memory.available) {
            output_printf(output, "fits\n");
        } else {
            output_printf(output, "does not fit, %.1f GB are missing\n",
                          (double)(need - machine->memory.available) / 1e9);
        }
    }
}

/* ---- JSON ------------------------------------------------------------------------------------------------------ */

static json_t *json_limit(uint64_t n)
{
    return n == UINT64_MAX ? json_null() : ox_json_new_natural(n);
}

static json_t *json_levels(void)
{
    json_t *levels = json_object();
    for (size_t i = 0; i < OX_N_CPU_LEVELS; i++) {
        ox_json_set(&levels, ox_cpu_level_name((enum ox_cpu_level)i),
                     json_boolean(ox_cpu_has_level((enum ox_cpu_level)i)));
    }
    return levels;
}

static json_t *json_caches(const struct ox_topology *topology)
{
    json_t *caches = json_array();
    for (int level = 1; level <= 3; level++) {
        if (ox_topology_cache_bytes(topology, level) > 0) {
            json_t *cache = json_object();
            ox_json_set(&cache, "level", json_integer(level));
            ox_json_set(&cache, "bytes", ox_json_new_natural(ox_topology_cache_bytes(topology, level)));
            ox_json_set(&cache, "count", ox_json_new_natural(ox_topology_n_caches(topology, level)));
            ox_json_append(&caches, cache);
        }
    }
    return caches;
}

static json_t *json_nodes(const struct ox_topology *topology)
{
    json_t *nodes = json_array();
    for (size_t node = 0; node < ox_topology_n_nodes(topology); node++) {
        size_t n = 0;
        for (size_t i = 0; i < ox_topology_n_cores(topology); i++) {
            n += ox_topology_core_node(topology, i) == node ? 1 : 0;
        }
        json_t *object = json_object();
        ox_json_set(&object, "cores", ox_json_new_natural(n));
        ox_json_set(&object, "bytes", ox_json_new_natural(ox_topology_node_bytes(topology, node)));
        ox_json_append(&nodes, object);
    }
    return nodes;
}

static json_t *json_releases(const struct machine *machine)
{
    json_t *models = json_array();
    for (size_t i = 0; i < N_RELEASES; i++) {
        const uint64_t need = need_bytes(i);
        const uint64_t there = machine->memory.available;
        json_t *object = json_object();
        ox_json_set(&object, "name", ox_json_new_text(ox_str_c(releases[i].name)));
        ox_json_set(&object, "bytes", ox_json_new_natural(need));
        ox_json_set(&object, "fits", json_boolean(need <= there));
        ox_json_set(&object, "missing_bytes", ox_json_new_natural(need > there ? need - there : 0));
        ox_json_append(&models, object);
    }
    return models;
}

static void print_json(struct output *output, const struct machine *machine)
{
    json_t *object = json_object();
    ox_json_set(&object, "cpu", ox_json_new_text(ox_str_c(ox_topology_cpu_name(machine->topology))));
    ox_json_set(&object, "cpu_level", ox_json_new_text(ox_str_c(ox_cpu_level_name(ox_cpu_best_level()))));
    ox_json_set(&object, "cpu_levels", json_levels());
    ox_json_set(&object, "threads", ox_json_new_natural(ox_topology_n_cores(machine->topology)));
    ox_json_set(&object, "caches", json_caches(machine->topology));
    ox_json_set(&object, "nodes", json_nodes(machine->topology));
    ox_json_set(&object, "memory_bytes", json_limit(machine->memory.total));
    ox_json_set(&object, "available_bytes", json_limit(machine->memory.available));
    ox_json_set(&object, "huge_pages", ox_json_new_text(ox_str_c(machine->huge_pages)));
    ox_json_set(&object, "huge_page_bytes", ox_json_new_natural(machine->memory.huge_page));
    ox_json_set(&object, "locked_memory_limit", json_limit(machine->lock_limit));
    ox_json_set(&object, "address_space_limit", json_limit(machine->space_limit));
    ox_json_set(&object, "gpus", json_array());
    ox_json_set(&object, "models", json_releases(machine));
    json_out_print(output, object, JSON_INDENT(1));
    json_decref(object);
}

int verb_doctor(const struct cli *cli)
{
    struct machine machine;
    struct ox_error err = {0};
    memset(&machine, 0, sizeof machine);
    int code = EXIT_DONE;
    if (look(&machine, &err) != OX_OK) {
        code = cli_fail_error(cli, &err, EXIT_FAILED);
    } else if (cli_given(&cli->args, OPT_JSON)) {
        print_json(cli->output, &machine);
    } else {
        output_printf(cli->output, "processor    %s\n", ox_topology_cpu_name(machine.topology));
        print_levels(cli->output);
        print_caches(cli->output, machine.topology);
        print_nodes(cli->output, machine.topology);
        print_memory(cli->output, &machine);
        print_releases(cli->output, &machine);
    }
    ox_topology_close(&machine.topology);
    return code;
}
