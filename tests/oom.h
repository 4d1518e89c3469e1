/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes the n-th allocation fail. Only for test programs that are linked with
 *     -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc
 * (WRAP_ALLOCATIONS in Makefile.am): the project's objects then allocate through the functions here. Shared libraries
 * do not (jansson cannot do without memory). One thread.
 *
 *     for (long n = 1;; n++) {
 *         oom_arm(n);
 *         status = ox_x_new(...);
 *         if (!oom_disarm()) { ... the call made fewer than n allocations: status must be OX_OK; break; }
 *         ... status must be OX_E_NOMEM, and nothing may leak ...
 *     }
 */
#ifndef OX_TESTS_OOM_H
#define OX_TESTS_OOM_H

#include <stdbool.h>
#include <stddef.h>

/* The linker's names. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static long oom_left; /* allocations until the one that fails; 0: none fails */
static bool oom_has_failed;

/* Let the n-th allocation from now on fail, n > 0. */
static inline void oom_arm(long n)
{
    oom_left = n;
    oom_has_failed = false;
}

/* Let all succeed again; true if one failed since oom_arm. */
static inline bool oom_disarm(void)
{
    oom_left = 0;
    return oom_has_failed;
}

static inline bool oom_fails(void)
{
    if (oom_left == 0 || --oom_left > 0) {
        return false;
    }
    oom_has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return oom_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return oom_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return oom_fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return oom_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

#endif
