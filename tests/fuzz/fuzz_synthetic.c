/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptions of synthetic models: what is taken is within every limit, and its matrices lie apart from each other in
 * exactly the bytes that were announced.
 */

#include "base/compiler.h"
#include "weights/synthetic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Binding many experts is only more of the same. */
#define MOST_BOUND 20000

static void check_matrix(const struct ox_matrix *m, const uint8_t *base, uint64_t *at)
{
    if (m->values == NULL) {
        return;
    }
    OX_CHECK((uint64_t)(m->values - base) == *at);
    *at = (*at + m->rows * (uint64_t)m->row_bytes + OX_ALIGN - 1) / OX_ALIGN * OX_ALIGN;
    if (m->scales != NULL) {
        OX_CHECK((uint64_t)(m->scales - base) == *at && m->cols % 32 == 0);
        *at = (*at + m->rows * (uint64_t)m->scale_row_bytes + OX_ALIGN - 1) / OX_ALIGN * OX_ALIGN;
    }
}

static void check_mlp(const struct ox_mlp_weights *w, const uint8_t *base, uint64_t *at)
{
    check_matrix(&w->gate, base, at);
    check_matrix(&w->up, base, at);
    check_matrix(&w->down, base, at);
}

static void check_weights(const struct ox_synthetic *s)
{
    static const uint8_t base[OX_ALIGN];
    const struct ox_config *c = &s->config;
    struct ox_weights weights;
    uint64_t at = 0;
    if (ox_synthetic_bind(s, base, &weights, NULL) != OX_OK) {
        return;
    }
    check_matrix(&weights.embed, base, &at);
    for (size_t l = 0; l < c->n_layers; l++) {
        const struct ox_layer_weights *w = &weights.layers[l];
        const struct ox_matrix *plain[] = {&w->q, &w->k, &w->v, &w->o, &w->index_q, &w->index_k};
        for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
            check_matrix(plain[i], base, &at);
        }
        check_mlp(&w->mlp, base, &at);
        check_matrix(&w->router, base, &at);
        for (size_t e = 0; c->moe_layer[l] && e < c->n_experts; e++) {
            check_mlp(&w->experts[e], base, &at);
        }
        check_mlp(&w->shared, base, &at);
    }
    check_matrix(&weights.head, base, &at);
    OX_CHECK(at == ox_synthetic_bytes(s));
    ox_weights_fini(&weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ox_synthetic s;
    struct ox_error err = {0};
    const enum ox_status status = ox_synthetic_parse(ox_str_make((const char *)data, size), &s, &err);
    if (status != OX_OK) {
        OX_CHECK(status == OX_E_ARG && err.code == OX_E_ARG && err.message[0] != '\0');
        return 0;
    }
    const struct ox_config *c = &s.config;
    OX_CHECK(c->n_layers >= 1 && c->n_layers <= OX_MAX_LAYERS && c->hidden >= 1 && c->hidden <= OX_MAX_WIDTH);
    OX_CHECK(c->n_kv_heads >= 1 && c->n_heads % c->n_kv_heads == 0 && c->n_heads <= OX_MAX_HEADS);
    OX_CHECK(c->rotary_dim % 2 == 0 && c->rotary_dim >= 2 && c->rotary_dim <= c->head_dim && c->block >= 1);
    OX_CHECK(c->n_experts_used <= c->n_experts && c->init_blocks + c->local_blocks <= c->topk_blocks);
    OX_CHECK(c->vocab >= 1 && c->vocab <= OX_MAX_VOCAB && c->max_positions <= OX_MAX_POSITIONS);
    if (ox_synthetic_bytes(&s) != UINT64_MAX && c->n_layers * (c->n_experts + 1) <= MOST_BOUND) {
        check_weights(&s);
    }
    return 0;
}
