/* SPDX-License-Identifier: Apache-2.0
 *
 * The only door to the heap: every size is checked, every failure is a NULL that the caller reports. Large, placed or
 * file-backed memory comes from os/memory.h instead.
 */
#ifndef OX_BASE_MEM_H
#define OX_BASE_MEM_H

#include <stddef.h>

#include "base/compiler.h"

/* Allocate n * size zeroed bytes; NULL if the product overflows or memory is short. n or size 0 gives a valid pointer
 * that must be freed. Any thread. */
void *ox_calloc(size_t n, size_t size) OX_MUST_USE;

/* Resize p (or NULL) to n * size bytes; NULL on failure, and then p is untouched and still owned by the caller.
 * Bytes beyond the old size are not initialised. */
void *ox_realloc(void *p, size_t n, size_t size) OX_MUST_USE;

/* Allocate n * size zeroed bytes aligned to OX_ALIGN; freed with ox_free. */
void *ox_calloc_aligned(size_t n, size_t size) OX_MUST_USE;

/* Copy len bytes and put a NUL behind them; NULL on failure. */
char *ox_strndup(const char *text, size_t len) OX_MUST_USE;
char *ox_strdup(const char *text) OX_MUST_USE;

/* Free what this header's functions returned; NULL is accepted. */
void ox_free(void *p);

/* Grow *p, an array of *cap elements of `size` bytes, to hold at least `need`; doubles. Returns 0, or -1 with
 * everything unchanged. */
int ox_grow(void **p, size_t *cap, size_t need, size_t size) OX_MUST_USE;

#endif
