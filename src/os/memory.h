/* SPDX-License-Identifier: Apache-2.0
 *
 * Large memory straight from the kernel, and how much of it there is.
 */
#ifndef OX_OS_MEMORY_H
#define OX_OS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A zeroed anonymous region, page aligned, asked to use huge pages; untouched pages cost nothing. All zero is none. */
struct ox_region {
    uint8_t *ptr;
    size_t len;
};

enum ox_status ox_region_open(size_t len, struct ox_region *out, struct ox_error *err) OX_MUST_USE;
void ox_region_close(struct ox_region *region);

/* What this machine has for us, in bytes; UINT64_MAX where no limit is known. Limits of control groups (v2 and v1) and
 * RLIMIT_AS count. */
struct ox_memory_info {
    uint64_t total;     /* installed, or the group's limit if that is lower */
    uint64_t available; /* what could be taken now without swapping, page cache included */
    uint64_t huge_page; /* size of a transparent huge page, 0 if there are none */
};

enum ox_status ox_memory_query(struct ox_memory_info *out, struct ox_error *err) OX_MUST_USE;

/* The same with `root` put before the names of the kernel's files (/proc/..., /sys/...): for tests. */
enum ox_status ox_memory_query_below(const char *root, struct ox_memory_info *out, struct ox_error *err) OX_MUST_USE;

/* The process's resident set now, and its largest so far; 0 if unknown. */
uint64_t ox_memory_resident(void);
uint64_t ox_memory_resident_peak(void);

#endif
