/* SPDX-License-Identifier: Apache-2.0
 *
 * Regions, and what the kernel's files say about memory: made-up trees of /proc and /sys for each kind of limit.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"
#include "os/memory.h"
#include "tests/tap.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

static char root[] = "test_memory.XXXXXX";

static void make(const char *path, const char *text)
{
    char whole[256];
    struct ox_error err = {0};
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *p = strchr(whole, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(whole, 0700) != 0 && errno != EEXIST) {
            NOTE("%s cannot be made", whole);
        }
        *p = '/';
    }
    if (ox_file_write(whole, text, strlen(text), &err) != OX_OK) {
        NOTE("%s", err.message);
    }
}

static void clean(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    if (system(command) != 0) {
        NOTE("%s cannot be removed", root);
    }
}

static void expect(const char *what, uint64_t total, uint64_t available)
{
    struct ox_memory_info info = {0};
    struct ox_error err = {0};
    IS_INT(ox_memory_query_below(root, &info, &err), OX_OK, what);
    IS_INT(info.total / KIB, total / KIB, "  total in KiB");
    IS_INT(info.available / KIB, available / KIB, "  available in KiB");
}

static void test_files(void)
{
    struct ox_memory_info info = {0};
    struct ox_error err = {0};
    IS_INT(ox_memory_query_below(root, &info, &err), OX_E_IO, "no meminfo");
    OK(strstr(err.message, "/proc/meminfo: cannot be read") != NULL, "says so: %s", err.message);

    make("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree:  1000 kB\nMemAvailable:    8388608 kB\n");
    expect("no groups", 16 * GIB, 8 * GIB);
    make("/proc/self/cgroup", "0::/user/app\n");
    expect("a group without files", 16 * GIB, 8 * GIB);

    make("/sys/fs/cgroup/user/app/memory.max", "max\n");
    expect("version 2, no limit", 16 * GIB, 8 * GIB);
    make("/sys/fs/cgroup/user/app/memory.max", "4294967296\n");
    make("/sys/fs/cgroup/user/app/memory.current", "3221225472\n");
    expect("version 2, 4 GiB, 3 used", 4 * GIB, 1 * GIB);
    make("/sys/fs/cgroup/user/app/memory.stat", "anon 1\ninactive_file 1073741824\nactive_file 536870912\nfile 9\n");
    expect("version 2, half of the used is page cache", 4 * GIB, 2560 * MIB);
    make("/sys/fs/cgroup/user/memory.max", "2147483648\n");
    make("/sys/fs/cgroup/user/memory.current", "3221225472\n");
    expect("version 2, a group above is tighter and full", 2 * GIB, 0);
    make("/sys/fs/cgroup/user/memory.max", "34359738368\n");
    expect("version 2, a limit above the installed memory", 4 * GIB, 2560 * MIB);

    make("/proc/self/cgroup", "12:cpu,cpuacct:/x\n7:freezer,memory:/docker/abc\n1:name=systemd:/y\n");
    make("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    expect("version 1, no limit", 16 * GIB, 8 * GIB);
    make("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
    make("/sys/fs/cgroup/memory/memory.usage_in_bytes", "805306368\n");
    make("/sys/fs/cgroup/memory/memory.stat",
         "inactive_file 1\ntotal_inactive_file 268435456\ntotal_active_file 134217728\n");
    expect("version 1 seen from a container", 1 * GIB, 640 * MIB);
    make("/proc/self/cgroup", "7:memoryx:/docker/abc\n::\nrubbish\n\n0:\n");
    expect("lines that are none", 16 * GIB, 8 * GIB);
}

static void test_huge_page(void)
{
    struct ox_memory_info info = {0};
    make("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    make("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n");
    IS_INT(ox_memory_query_below(root, &info, NULL), OX_OK, "huge pages on demand");
    IS_INT(info.huge_page, 2 * MIB, "their size");
    make("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
    IS_INT(ox_memory_query_below(root, &info, NULL), OX_OK, "huge pages off");
    IS_INT(info.huge_page, 0, "none");
}

/* In a child, because the limit cannot be raised again. */
static void test_address_space(void)
{
    if (TAP_SANITIZED) {
        NOTE("sanitizers need more addresses than RLIMIT_AS would leave");
        return;
    }
    char text[64];
    snprintf(text, sizeof text, "%ju 5 4 3 2 1 0\n", (uintmax_t)(GIB / (uint64_t)sysconf(_SC_PAGESIZE)));
    make("/proc/self/statm", text);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        struct ox_memory_info info = {0};
        const struct rlimit limit = {2 * GIB, 2 * GIB};
        const bool good = setrlimit(RLIMIT_AS, &limit) == 0 && ox_memory_query_below(root, &info, NULL) == OX_OK &&
                          info.total == 2 * GIB && info.available == GIB;
        _exit(good ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    OK(status == 0, "RLIMIT_AS counts: 2 GiB, of which 1 is taken");
}

static void test_machine(void)
{
    struct ox_memory_info info = {0};
    struct ox_error err = {0};
    IS_INT(ox_memory_query(&info, &err), OX_OK, "this machine");
    OK(info.total >= 16 * MIB && info.available <= info.total, "%ju MiB, %ju MiB to be had",
       (uintmax_t)(info.total / MIB), (uintmax_t)(info.available / MIB));
    NOTE("huge page %ju", (uintmax_t)info.huge_page);
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

static void test_regions(void)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, (5 << 20) + 4097};
    struct ox_error err = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct ox_region region = {0};
        IS_INT(ox_region_open(sizes[i], &region, &err), OX_OK, "a region");
        OK(region.len == sizes[i] && (uintptr_t)region.ptr % 4096 == 0 && all_zero(region.ptr, region.len),
           "of %zu bytes, page aligned, all zero", sizes[i]);
        memset(region.ptr, 0xA5, region.len);
        OK(region.ptr[0] == 0xA5 && region.ptr[region.len - 1] == 0xA5, "writable to its last byte");
        ox_region_close(&region);
        OK(region.ptr == NULL && region.len == 0, "closed");
        ox_region_close(&region);
    }
    struct ox_region region = {0};
    IS_INT(ox_region_open(0, &region, &err), OX_OK, "no bytes");
    ox_region_close(&region);
    IS_INT(ox_region_open(SIZE_MAX, &region, &err), OX_E_NOMEM, "too many bytes");
    IS_INT(ox_region_open(SIZE_MAX / 4, &region, &err), OX_E_NOMEM, "more than there are addresses");
    OK(region.ptr == NULL && err.code == OX_E_NOMEM && err.message[0] != '\0', "says so: %s", err.message);
}

static void test_resident(void)
{
    struct ox_region region = {0};
    struct ox_error err = {0};
    const size_t len = 256 * (size_t)MIB;
    const uint64_t before = ox_memory_resident();
    OK(before > 0 && ox_memory_resident_peak() >= before, "resident, and its peak");
    IS_INT(ox_region_open(len, &region, &err), OX_OK, "256 MiB");
    OK(ox_memory_resident() < before + 32 * MIB, "cost nothing untouched");
    memset(region.ptr, 1, len / 4);
    const uint64_t touched = ox_memory_resident();
    OK(touched >= before + 60 * MIB && touched < before + 200 * MIB, "and what is touched costs (%ju MiB)",
       (uintmax_t)((touched - before) / MIB));
    ox_region_close(&region);
    OK(ox_memory_resident() < before + 32 * MIB, "until it is closed");
    OK(ox_memory_resident_peak() >= touched - 4 * MIB, "the peak stays");
}

int main(void)
{
    if (mkdtemp(root) == NULL) {
        tap_skip_all("no folder to write to");
    }
    test_files();
    test_huge_page();
    test_address_space();
    test_machine();
    test_regions();
    test_resident();
    clean();
    return tap_done();
}
