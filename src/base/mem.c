/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap behind checked sizes. Nothing else in the project calls malloc, so tests can make the n-th call fail here.
 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/ckd.h"

void *ox_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (ox_ckd_mul(&bytes, n, size)) {
        return NULL;
    }
    return calloc(1, bytes > 0 ? bytes : 1);
}

void *ox_realloc(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (ox_ckd_mul(&bytes, n, size)) {
        return NULL;
    }
    return realloc(p, bytes > 0 ? bytes : 1);
}

void *ox_calloc_aligned(size_t n, size_t size)
{
    size_t bytes;
    if (ox_ckd_mul(&bytes, n, size) || ox_ckd_round_up(&bytes, bytes > 0 ? bytes : 1, OX_ALIGN)) {
        return NULL;
    }
    void *p = aligned_alloc(OX_ALIGN, bytes);
    if (p != NULL) {
        memset(p, 0, bytes);
    }
    return p;
}

char *ox_strndup(const char *text, size_t len)
{
    size_t bytes;
    if (ox_ckd_add(&bytes, len, 1)) {
        return NULL;
    }
    char *copy = malloc(bytes);
    if (copy != NULL) {
        if (len > 0) {
            memcpy(copy, text, len);
        }
        copy[len] = '\0';
    }
    return copy;
}

char *ox_strdup(const char *text)
{
    return ox_strndup(text, strlen(text));
}

void ox_free(void *p)
{
    free(p);
}

int ox_grow(void **p, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap) {
        return 0;
    }
    size_t wanted = *cap < 8 ? 8 : *cap;
    while (wanted < need) {
        if (ox_ckd_mul(&wanted, wanted, 2)) {
            wanted = need;
        }
    }
    void *grown = ox_realloc(*p, wanted, size);
    if (grown == NULL) {
        return -1;
    }
    *p = grown;
    *cap = wanted;
    return 0;
}
