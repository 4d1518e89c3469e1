/* SPDX-License-Identifier: Apache-2.0
 *
 * Buffers against pages that may not be touched: a read or write one byte before the first or behind the last byte ends
 * the program. One guard serves many buffers, one after the other; each lies at one end of it, and the free side is
 * filled with a pattern that guard_intact looks at.
 */
#ifndef OX_TESTS_GUARD_H
#define OX_TESTS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_PATTERN 0xDB
#define GUARD_CANARY_BYTES ((size_t)4096)

struct guard {
    uint8_t *map; /* a forbidden page, `room` bytes, a forbidden page */
    size_t map_len;
    uint8_t *open;
    size_t room;
    uint8_t *canaries; /* beside the buffer taken last */
    size_t n_canaries;
};

/* Make room for buffers of up to max_len bytes; false if memory is short. */
static inline bool guard_init(struct guard *guard, size_t max_len)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    memset(guard, 0, sizeof *guard);
    const size_t room = (max_len + page - 1) / page * page + page;
    void *map = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        return false;
    }
    guard->map = map;
    guard->map_len = room + 2 * page;
    guard->open = guard->map + page;
    guard->room = room;
    return mprotect(guard->open, room, PROT_READ | PROT_WRITE) == 0;
}

static inline void guard_fini(struct guard *guard)
{
    if (guard->map != NULL) {
        munmap(guard->map, guard->map_len);
    }
    memset(guard, 0, sizeof *guard);
}

/* A buffer of len <= max_len bytes, full of the pattern. at_end: the byte behind its last is forbidden (and its address
 * has the alignment that len leaves it); else the byte before its first. The buffer taken before is gone. */
static inline void *guard_take(struct guard *guard, size_t len, bool at_end)
{
    const size_t beside = guard->room - len;
    guard->n_canaries = beside < GUARD_CANARY_BYTES ? beside : GUARD_CANARY_BYTES;
    uint8_t *p = at_end ? guard->open + beside : guard->open;
    guard->canaries = at_end ? p - guard->n_canaries : p + len;
    memset(guard->canaries, GUARD_PATTERN, guard->n_canaries);
    memset(p, GUARD_PATTERN, len);
    return p;
}

/* Are the bytes beside the buffer still the pattern? */
static inline bool guard_intact(const struct guard *guard)
{
    for (size_t i = 0; i < guard->n_canaries; i++) {
        if (guard->canaries[i] != GUARD_PATTERN) {
            return false;
        }
    }
    return true;
}

#endif
