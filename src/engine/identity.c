/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bits of a KV block depend on, in one hash: the model's config, its tensors' names, types and shapes, samples
 * of their bytes, the KV cache's layout, the CPU level and the program's version.
 */
#include <string.h>

#include "base/bytes.h"
#include "config.h"
#include "engine/engine.h"

/* To be raised when this program begins to give other bits within one version. */
#define BITS_REVISION 2
/* Bytes are looked at in so many tensors at most, in so many places each: a large model lies on a disk. */
#define SAMPLED_TENSORS 512
#define SAMPLES 4
#define SAMPLE_BYTES 64

/* The chain: each hash is the key of the next. */
static void mix(struct ox_hash *hash, const void *bytes, size_t len)
{
    *hash = ox_siphash(*hash, bytes, len);
}

static void mix_number(struct ox_hash *hash, uint64_t number)
{
    uint8_t bytes[8];
    ox_bytes_put(bytes, number, sizeof bytes);
    mix(hash, bytes, sizeof bytes);
}

static void mix_tensor(struct ox_hash *hash, const struct ox_tensor *t, bool sampled)
{
    mix(hash, t->name.ptr, t->name.len);
    mix_number(hash, (uint64_t)t->dtype);
    mix_number(hash, t->n_dims);
    for (size_t d = 0; d < t->n_dims; d++) {
        mix_number(hash, t->dims[d]);
    }
    for (size_t i = 0; sampled && i < SAMPLES; i++) {
        const size_t n = t->len < SAMPLE_BYTES ? t->len : SAMPLE_BYTES;
        mix(hash, t->data + (t->len - n) / (SAMPLES - 1) * i, n);
    }
}

static void mix_layout(struct ox_hash *hash, const struct ox_kv_layout *layout)
{
    mix_number(hash, (uint64_t)layout->format);
    mix_number(hash, layout->block);
    mix_number(hash, layout->n_kv_heads);
    mix_number(hash, layout->head_dim);
    mix_number(hash, layout->index_dim);
    mix_number(hash, layout->block_bytes);
    for (size_t l = 0; l < layout->n_layers; l++) {
        mix_number(hash, layout->layer_at[l]);
    }
}

struct ox_hash ox_engine_identity(const struct oxcart_engine *engine, const struct ox_kv_layout *layout)
{
    struct ox_hash hash = engine->config_hash;
    mix(&hash, PACKAGE_VERSION, sizeof PACKAGE_VERSION);
    mix_number(&hash, BITS_REVISION);
    mix_number(&hash, (uint64_t)engine->kernels.level);
    mix_layout(&hash, layout);
    if (engine->checkpoint == NULL) {
        /* a synthetic model is what its name says */
        mix(&hash, engine->name, strlen(engine->name));
        return hash;
    }
    const size_t n = ox_checkpoint_n_tensors(engine->checkpoint);
    const size_t step = n / SAMPLED_TENSORS + 1;
    for (size_t i = 0; i < n; i++) {
        mix_tensor(&hash, ox_checkpoint_tensor(engine->checkpoint, i), i % step == 0);
    }
    return hash;
}
