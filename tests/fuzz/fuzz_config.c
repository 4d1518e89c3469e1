/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as config.json and as generation_config.json. A file that is refused says why and changes nothing; of one
 * that is taken every number lies in the range that config.h states, and fits the others.
 */
#include <math.h>
#include <stdlib.h>

#include "weights/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static bool within(size_t x, size_t low, size_t high)
{
    return x >= low && x <= high;
}

static bool any(const bool *flags, size_t n, bool wanted)
{
    for (size_t i = 0; i < n; i++) {
        if (flags[i] == wanted) {
            return true;
        }
    }
    return false;
}

static void check_trunk(const struct ox_config *c)
{
    check(within(c->n_layers, 1, OX_MAX_LAYERS) && within(c->hidden, 1, OX_MAX_WIDTH));
    check(within(c->vocab, 1, OX_MAX_VOCAB) && within(c->max_positions, 1, OX_MAX_POSITIONS));
    check(within(c->n_heads, 1, OX_MAX_HEADS) && within(c->n_kv_heads, 1, OX_MAX_HEADS));
    check(c->n_heads % c->n_kv_heads == 0 && within(c->head_dim, 1, OX_MAX_HEAD_DIM));
    check(within(c->rotary_dim, 2, c->head_dim) && c->rotary_dim % 2 == 0);
    check(c->rope_theta >= 1 && c->rope_theta <= 1e15 && c->eps > 0 && c->eps <= 1 && c->norm_adds_one);
    check(c->swiglu_alpha >= 0 && c->swiglu_alpha <= 1e4f && c->swiglu_limit > 0 && c->swiglu_limit <= 1e6f);
    check(c->image_token >= -1 && c->video_token >= -1 && c->bos_token >= -1 && c->n_eos_tokens <= 16);
    for (size_t i = 0; i < c->n_eos_tokens; i++) {
        check(c->eos_tokens[i] >= 0);
    }
}

static void check_layers(const struct ox_config *c)
{
    if (any(c->moe_layer, c->n_layers, false)) {
        check(within(c->dense_inter, 1, OX_MAX_WIDTH));
    }
    if (any(c->moe_layer, c->n_layers, true)) {
        check(within(c->expert_inter, 1, OX_MAX_WIDTH) && within(c->shared_inter, 0, OX_MAX_WIDTH));
        check(within(c->n_experts, 1, OX_MAX_EXPERTS) && within(c->n_experts_used, 1, c->n_experts));
        check(c->routed_scale >= 0 && c->routed_scale <= 1e4f);
    }
    check(within(c->block, 1, OX_MAX_BLOCK));
    if (any(c->sparse_layer, c->n_layers, true)) {
        check(c->n_index_heads == c->n_kv_heads && within(c->index_dim, c->rotary_dim, OX_MAX_HEAD_DIM));
        check(within(c->topk_blocks, 1, OX_MAX_BLOCK) && c->init_blocks <= OX_MAX_BLOCK &&
              c->local_blocks <= OX_MAX_BLOCK);
    } else {
        check(c->block == OX_DEFAULT_BLOCK && c->n_index_heads == 0 && c->topk_blocks == 0);
    }
}

static void check_vision(const struct ox_vision_config *v)
{
    check(within(v->n_layers, 1, OX_MAX_LAYERS) && within(v->hidden, 1, OX_MAX_WIDTH));
    check(within(v->inter, 1, OX_MAX_WIDTH) && within(v->projector, 1, OX_MAX_WIDTH));
    check(within(v->n_heads, 1, OX_MAX_HEADS) && v->hidden % v->n_heads == 0);
    check(v->patch > 0 && v->n_channels > 0 && v->merge > 0 && v->temporal > 0 && v->segment_frames > 0);
    check(v->eps > 0 && v->eps <= 1 && v->rope_theta >= 1);
}

static void check_sampling(const struct ox_config *c)
{
    check(!c->has_temperature || (c->temperature >= 0 && c->temperature <= 100));
    check(!c->has_top_p || (c->top_p >= 0 && c->top_p <= 1));
    check(!c->has_top_k || c->top_k >= 0);
    check(!c->has_min_p || (c->min_p >= 0 && c->min_p <= 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ox_config empty;
    struct ox_config c = empty;
    struct ox_error err;
    const struct ox_str text = ox_str_make((const char *)data, size);
    memset(&err, 0, sizeof err);
    enum ox_status status = ox_config_parse(text, "fuzz", NULL, &c, &err);
    if (status == OX_OK) {
        check_trunk(&c);
        check_layers(&c);
        if (c.has_vision) {
            check_vision(&c.vision);
        }
    } else {
        check(memcmp(&c, &empty, sizeof c) == 0 && err.code == status && strncmp(err.message, "fuzz: ", 6) == 0);
    }
    const struct ox_config before = c;
    memset(&err, 0, sizeof err);
    status = ox_config_parse_generation(text, "fuzz", &c, &err);
    if (status == OX_OK) {
        check_sampling(&c);
        check(c.n_eos_tokens <= 16 && c.hidden == before.hidden);
    } else {
        check(memcmp(&c, &before, sizeof c) == 0 && err.code == status && strncmp(err.message, "fuzz: ", 6) == 0);
    }
    return 0;
}
