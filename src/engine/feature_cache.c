/* SPDX-License-Identifier: Apache-2.0
 *
 * A list: pictures are few, and each is thousands of times as large as its entry.
 */
#include "engine/feature_cache.h"

#include <string.h>

#include "base/mem.h"

static void free_features(struct ox_features *features)
{
    ox_free(features->rows);
    ox_free(features);
}

void ox_feature_cache_fini(struct ox_feature_cache *cache)
{
    for (size_t i = 0; i < cache->n; i++) {
        free_features(cache->list[i]);
    }
    ox_free(cache->list);
    memset(cache, 0, sizeof *cache);
}

struct ox_features *ox_feature_cache_find(struct ox_feature_cache *cache, struct ox_hash key)
{
    for (size_t i = 0; i < cache->n; i++) {
        if (ox_hash_equal(cache->list[i]->key, key)) {
            cache->list[i]->used = ++cache->clock;
            return cache->list[i];
        }
    }
    return NULL;
}

enum ox_status ox_feature_cache_add(struct ox_feature_cache *cache, struct ox_hash key, float *rows, size_t n_rows,
                                    struct ox_features **out, struct ox_error *err)
{
    void *list = cache->list;
    struct ox_features *features = ox_calloc(1, sizeof *features);
    if (features == NULL || ox_grow(&list, &cache->cap, cache->n + 1, sizeof(struct ox_features *)) != 0) {
        ox_free(features);
        return ox_error_nomem(err, sizeof *features);
    }
    cache->list = list;
    cache->list[cache->n++] = features;
    cache->bytes += (uint64_t)n_rows * cache->row_bytes;
    *features = (struct ox_features){.key = key, .rows = rows, .n_rows = n_rows, .used = ++cache->clock};
    *out = features;
    return OX_OK;
}

bool ox_feature_cache_forget(struct ox_feature_cache *cache)
{
    size_t oldest = cache->n;
    for (size_t i = 0; i < cache->n; i++) {
        if (!cache->list[i]->needed && (oldest == cache->n || cache->list[i]->used < cache->list[oldest]->used)) {
            oldest = i;
        }
    }
    if (oldest == cache->n) {
        return false;
    }
    cache->bytes -= (uint64_t)cache->list[oldest]->n_rows * cache->row_bytes;
    free_features(cache->list[oldest]);
    cache->list[oldest] = cache->list[--cache->n];
    return true;
}
