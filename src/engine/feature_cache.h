/* SPDX-License-Identifier: Apache-2.0
 *
 * Features of pictures and clips by the hash of what they show, so that a picture is encoded once for all requests that
 * hold it, as long as there is room. One thread at a time.
 */
#ifndef OX_ENGINE_FEATURE_CACHE_H
#define OX_ENGINE_FEATURE_CACHE_H

#include "base/hash.h"
#include "base/status.h"

struct ox_features {
    struct ox_hash key;
    float *rows; /* [n_rows, hidden] */
    size_t n_rows;
    size_t n_done; /* of them, encoded */
    uint64_t used; /* when it was last asked for */
    bool needed;   /* set by the owner: it may not be forgotten */
};

/* All zero but for row_bytes and max_bytes is an empty one. max_bytes is for the owner to keep. */
struct ox_feature_cache {
    struct ox_features **list;
    size_t n;
    size_t cap;
    size_t row_bytes;
    uint64_t max_bytes;
    uint64_t bytes; /* of all rows */
    uint64_t clock;
};

void ox_feature_cache_fini(struct ox_feature_cache *cache);

/* What is known of this key, or NULL; it counts as just used. */
struct ox_features *ox_feature_cache_find(struct ox_feature_cache *cache, struct ox_hash key);

/* Put in rows [n_rows] (from ox_calloc, taken on success) for a key that is not there, none of them done. */
enum ox_status ox_feature_cache_add(struct ox_feature_cache *cache, struct ox_hash key, float *rows, size_t n_rows,
                                    struct ox_features **out, struct ox_error *err) OX_MUST_USE;

/* Forget the longest unused one that is not needed; false if there is none. */
bool ox_feature_cache_forget(struct ox_feature_cache *cache);

#endif
