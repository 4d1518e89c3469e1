/* SPDX-License-Identifier: Apache-2.0
 *
 * Regions from mmap, and the kernel's files that say how much memory there is: meminfo, the control groups from this
 * process's own up to the root, and the address space limit.
 */
#include "os/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/ckd.h"
#include "base/str.h"
#include "os/file.h"

#define HUGE_BYTES ((size_t)1 << 21)
#define KERNEL_FILE_BYTES ((size_t)1 << 20)

/* ---- regions ---------------------------------------------------------------------------------------------------- */

enum ox_status ox_region_open(size_t len, struct ox_region *out, struct ox_error *err)
{
    const size_t extra = len >= HUGE_BYTES ? HUGE_BYTES : 0; /* room to begin at a huge page's border */
    size_t mapped;
    if (len == 0) {
        out->ptr = NULL;
        out->len = 0;
        return OX_OK;
    }
    if (ox_ckd_add(&mapped, len, extra) || mapped > (size_t)PTRDIFF_MAX) {
        return ox_error_nomem(err, len);
    }
    void *p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        return ox_error_nomem(err, len);
    }
    uint8_t *begin = p;
    if (extra > 0) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        const size_t before = (HUGE_BYTES - (uintptr_t)begin % HUGE_BYTES) % HUGE_BYTES;
        const size_t used = (len + page - 1) / page * page;
        if (before > 0) {
            (void)munmap(begin, before);
            begin += before;
        }
        if (extra > before) {
            const size_t end = (mapped + page - 1) / page * page - before;
            if (end > used) {
                (void)munmap(begin + used, end - used);
            }
        }
    }
    (void)madvise(begin, len, MADV_HUGEPAGE);
    out->ptr = begin;
    out->len = len;
    return OX_OK;
}

void ox_region_close(struct ox_region *region)
{
    if (region->ptr != NULL) {
        (void)munmap(region->ptr, region->len);
    }
    region->ptr = NULL;
    region->len = 0;
}

/* ---- the kernel's files ----------------------------------------------------------------------------------------- */

/* Read root + path: OX_E_IO if it is not there, OX_E_NOMEM. */
static enum ox_status load_kernel_file(const char *root, const char *path, struct ox_buf *text)
{
    char whole[PATH_MAX];
    const int n = snprintf(whole, sizeof whole, "%s%s", root, path);
    ox_buf_clear(text);
    return n > 0 && (size_t)n < sizeof whole ? ox_file_read(whole, KERNEL_FILE_BYTES, text, NULL) : OX_E_IO;
}

/* The same of a file that one can do without. */
static bool read_kernel_file(const char *root, const char *path, struct ox_buf *text)
{
    return load_kernel_file(root, path, text) == OX_OK;
}

/* The next line of *rest, without its end; false at the end of the text. */
static bool next_line(struct ox_str *rest, struct ox_str *line)
{
    if (rest->len == 0) {
        return false;
    }
    const size_t len = ox_str_find(*rest, ox_str_c("\n"), 0);
    *line = ox_str_make(rest->ptr, len);
    const size_t used = len < rest->len ? len + 1 : len;
    *rest = ox_str_make(rest->ptr + used, rest->len - used);
    return true;
}

/* The number that the text begins with, after blanks; false if there is none. */
static bool leading_number(struct ox_str text, uint64_t *out)
{
    size_t begin = 0;
    while (begin < text.len && (text.ptr[begin] == ' ' || text.ptr[begin] == '\t')) {
        begin++;
    }
    size_t end = begin;
    while (end < text.len && text.ptr[end] >= '0' && text.ptr[end] <= '9') {
        end++;
    }
    return ox_str_to_u64(ox_str_make(text.ptr + begin, end - begin), out);
}

/* The number on the line that begins with key ("MemTotal:", "inactive_file "). */
static bool keyed_number(struct ox_str text, const char *key, uint64_t *out)
{
    const struct ox_str prefix = ox_str_c(key);
    struct ox_str line;
    while (next_line(&text, &line)) {
        if (ox_str_starts(line, prefix)) {
            return leading_number(ox_str_make(line.ptr + prefix.len, line.len - prefix.len), out);
        }
    }
    return false;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Files of a control group; the page cache in them can be had back and so counts as available. */
struct group_files {
    const char *base;
    const char *limit;
    const char *used;
    const char *cache_keys[2];
};

static const struct group_files group_v2 = {
    "/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file ", "active_file "}};
static const struct group_files group_v1 = {"/sys/fs/cgroup/memory",
                                            "memory.limit_in_bytes",
                                            "memory.usage_in_bytes",
                                            {"total_inactive_file ", "total_active_file "}};

static bool read_group_file(const char *root, const struct group_files *files, struct ox_str group, const char *name,
                            struct ox_buf *text)
{
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof path, "%s%.*s/%s", files->base, (int)group.len, group.ptr, name);
    return n > 0 && (size_t)n < sizeof path && read_kernel_file(root, path, text);
}

/* Lower info to the limit of one group, if it has one. "max" is no number; version 1 writes a huge one. */
static void apply_group(const char *root, const struct group_files *files, struct ox_str group, struct ox_buf *text,
                        struct ox_memory_info *info)
{
    uint64_t limit;
    if (!read_group_file(root, files, group, files->limit, text) || !leading_number(ox_buf_str(text), &limit) ||
        limit >= (uint64_t)INT64_MAX / 4096 * 4096) {
        return;
    }
    info->total = lower(info->total, limit);
    uint64_t used;
    if (!read_group_file(root, files, group, files->used, text) || !leading_number(ox_buf_str(text), &used)) {
        return;
    }
    uint64_t cache = 0;
    if (read_group_file(root, files, group, "memory.stat", text)) {
        for (size_t i = 0; i < 2; i++) {
            uint64_t bytes;
            if (keyed_number(ox_buf_str(text), files->cache_keys[i], &bytes)) {
                cache += bytes;
            }
        }
    }
    info->available = lower(info->available, minus(limit, minus(used, cache)));
}

/* The group itself and all above it; where the path is one of another name space, only its upper end exists here. */
static void apply_groups(const char *root, const struct group_files *files, struct ox_str group, struct ox_buf *text,
                         struct ox_memory_info *info)
{
    for (;;) {
        while (group.len > 0 && group.ptr[group.len - 1] == '/') {
            group.len--;
        }
        apply_group(root, files, group, text, info);
        if (group.len == 0) {
            return;
        }
        while (group.len > 0 && group.ptr[group.len - 1] != '/') {
            group.len--;
        }
    }
}

/* Is "memory" one of the names between the colons of a line of /proc/self/cgroup? */
static bool names_memory(struct ox_str controllers)
{
    while (controllers.len > 0) {
        const size_t len = ox_str_find(controllers, ox_str_c(","), 0);
        if (ox_str_is(ox_str_make(controllers.ptr, len), "memory")) {
            return true;
        }
        const size_t used = len < controllers.len ? len + 1 : len;
        controllers = ox_str_make(controllers.ptr + used, controllers.len - used);
    }
    return false;
}

static void apply_control_groups(const char *root, struct ox_buf *text, struct ox_memory_info *info)
{
    struct ox_buf own;
    ox_buf_init(&own);
    if (read_kernel_file(root, "/proc/self/cgroup", &own)) {
        struct ox_str rest = ox_buf_str(&own);
        struct ox_str line;
        while (next_line(&rest, &line)) {
            const size_t first = ox_str_find(line, ox_str_c(":"), 0);
            const size_t second = ox_str_find(line, ox_str_c(":"), first + 1);
            if (second >= line.len) {
                continue;
            }
            const struct ox_str controllers = ox_str_make(line.ptr + first + 1, second - first - 1);
            const struct ox_str group = ox_str_make(line.ptr + second + 1, line.len - second - 1);
            if (controllers.len == 0) {
                apply_groups(root, &group_v2, group, text, info);
            } else if (names_memory(controllers)) {
                apply_groups(root, &group_v1, group, text, info);
            }
        }
    }
    ox_buf_fini(&own);
}

/* Field i (from 0) of /proc/self/statm, in bytes; 0 if unknown. */
static uint64_t statm_bytes(const char *root, size_t i)
{
    struct ox_buf text;
    uint64_t pages = 0;
    ox_buf_init(&text);
    if (read_kernel_file(root, "/proc/self/statm", &text)) {
        struct ox_str rest = ox_buf_str(&text);
        for (; i > 0 && rest.len > 0; i--) {
            const size_t len = ox_str_find(rest, ox_str_c(" "), 0);
            const size_t used = len < rest.len ? len + 1 : len;
            rest = ox_str_make(rest.ptr + used, rest.len - used);
        }
        if (!leading_number(rest, &pages)) {
            pages = 0;
        }
    }
    ox_buf_fini(&text);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void apply_address_space(const char *root, struct ox_memory_info *info)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        info->total = lower(info->total, limit.rlim_cur);
        info->available = lower(info->available, minus(limit.rlim_cur, statm_bytes(root, 0)));
    }
}

static uint64_t huge_page_bytes(const char *root, struct ox_buf *text)
{
    uint64_t bytes = 0;
    if (!read_kernel_file(root, "/sys/kernel/mm/transparent_hugepage/enabled", text) ||
        ox_str_find(ox_buf_str(text), ox_str_c("[never]"), 0) < text->len ||
        !read_kernel_file(root, "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", text) ||
        !leading_number(ox_buf_str(text), &bytes)) {
        return 0;
    }
    return bytes;
}

enum ox_status ox_memory_query_below(const char *root, struct ox_memory_info *out, struct ox_error *err)
{
    struct ox_memory_info info = {UINT64_MAX, UINT64_MAX, 0};
    struct ox_buf text;
    ox_buf_init(&text);
    uint64_t kilobytes;
    const enum ox_status status = load_kernel_file(root, "/proc/meminfo", &text);
    if (status != OX_OK) {
        (void)(status == OX_E_NOMEM ? ox_error_nomem(err, KERNEL_FILE_BYTES)
                                    : ox_error_set(err, status, "%s/proc/meminfo: cannot be read", root));
        goto out;
    }
    if (keyed_number(ox_buf_str(&text), "MemTotal:", &kilobytes)) {
        info.total = kilobytes * 1024;
    }
    if (keyed_number(ox_buf_str(&text), "MemAvailable:", &kilobytes)) {
        info.available = kilobytes * 1024;
    }
    apply_control_groups(root, &text, &info);
    apply_address_space(root, &info);
    info.available = lower(info.available, info.total);
    info.huge_page = huge_page_bytes(root, &text);
    *out = info;
out:
    ox_buf_fini(&text);
    return status;
}

enum ox_status ox_memory_query(struct ox_memory_info *out, struct ox_error *err)
{
    return ox_memory_query_below("", out, err);
}

uint64_t ox_memory_resident(void)
{
    return statm_bytes("", 1);
}

uint64_t ox_memory_resident_peak(void)
{
    /* Not getrusage: its peak is inherited from the program that started this one. */
    struct ox_buf text;
    uint64_t kilobytes = 0;
    ox_buf_init(&text);
    if (read_kernel_file("", "/proc/self/status", &text) && !keyed_number(ox_buf_str(&text), "VmHWM:", &kilobytes)) {
        kilobytes = 0;
    }
    ox_buf_fini(&text);
    return kilobytes * 1024;
}
