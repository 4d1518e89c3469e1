/* SPDX-License-Identifier: Apache-2.0
 *
 * A small random model opened from the inside, and passes over it: what the tests of the forward pass share.
 */
#ifndef OX_TESTS_MODEL_HELP_H
#define OX_TESTS_MODEL_HELP_H

#include "base/mem.h"
#include "base/rng.h"
#include "model/model.h"
#include "os/file.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"

struct test_model {
    struct ox_config config;
    struct ox_checkpoint *checkpoint;
    struct ox_weights weights;
    struct ox_kernels kernels;
    struct ox_team *team;
    struct ox_model model;
    struct ox_kv_layout layout;
    struct ox_kv_pool *pool;
};

/* A model that cannot be opened ends the program: nothing else makes sense then. */
static inline void test_need(enum ox_status status, const struct ox_error *err)
{
    if (status != OX_OK) {
        OK(false, "%s", err->message);
        exit(1);
    }
}

/* Open the checkpoint of folder with so many workers and a pool of n_blocks. */
static inline void test_model_open(const char *folder, size_t n_workers, enum ox_kv_format format, size_t n_blocks,
                                   struct test_model *out)
{
    struct ox_error err = {0};
    struct ox_buf text = {0};
    char *path = ox_path_join(folder, "config.json");
    memset(out, 0, sizeof *out);
    test_need(ox_file_read(path, (size_t)1 << 20, &text, &err), &err);
    test_need(ox_config_parse(ox_buf_str(&text), path, NULL, &out->config, &err), &err);
    test_need(ox_checkpoint_open(folder, NULL, &out->checkpoint, &err), &err);
    test_need(ox_weights_bind(out->checkpoint, &out->config, &out->weights, &err), &err);
    test_need(ox_team_open(NULL, n_workers, &out->team, &err), &err);
    ox_kernels_init(&out->kernels, OX_CPU_C);
    test_need(ox_model_init(&out->config, &out->weights, &out->kernels, out->team, &out->model, &err), &err);
    test_need(ox_kv_layout_init(&out->config, format, &out->layout, &err), &err);
    test_need(ox_kv_pool_open(&out->layout, n_blocks, &out->pool, &err), &err);
    ox_buf_fini(&text);
    ox_free(path);
}

static inline void test_model_close(struct test_model *m)
{
    ox_kv_pool_close(&m->pool);
    ox_model_fini(&m->model);
    ox_team_close(&m->team);
    ox_weights_fini(&m->weights);
    ox_checkpoint_close(&m->checkpoint);
}

static inline void test_kv_open(struct test_model *m, size_t max_tokens, struct ox_kv *out)
{
    struct ox_error err = {0};
    test_need(ox_kv_init(m->pool, max_tokens, out, &err), &err);
}

static inline struct ox_state *test_state_open(struct test_model *m, size_t max_rows, size_t max_tokens)
{
    struct ox_error err = {0};
    struct ox_state *state = NULL;
    test_need(ox_state_open(&m->model, &m->layout, max_rows, max_rows, max_tokens, &state, &err), &err);
    return state;
}

/* n ids below vocab. */
static inline void test_ids(uint64_t seed, size_t vocab, int32_t *ids, size_t n)
{
    struct ox_rng rng;
    ox_rng_init(&rng, seed);
    for (size_t i = 0; i < n; i++) {
        ids[i] = (int32_t)ox_rng_below(&rng, vocab);
    }
}

/* Append n ids to kv, `chunk` at a time; the logits of all to out [n, vocab] (NULL: none wanted). */
static inline void test_append(struct test_model *m, struct ox_kv *kv, const int32_t *ids, size_t n, size_t chunk,
                               const struct ox_probe *probe, float *out)
{
    struct ox_error err = {0};
    struct ox_state *state = test_state_open(m, chunk, kv->max_blocks * m->config.block);
    struct ox_row *rows = ox_calloc(chunk, sizeof *rows);
    for (size_t from = 0; rows != NULL && from < n; from += chunk) {
        const size_t len = n - from < chunk ? n - from : chunk;
        const float *logits = NULL;
        for (size_t i = 0; i < len; i++) {
            rows[i] = (struct ox_row){.id = ids[from + i], .kv = kv, .want_logits = out != NULL};
        }
        test_need(ox_kv_reserve(kv, len, &err), &err);
        ox_forward(&m->model, state, rows, len, probe, &logits);
        if (out != NULL) {
            memcpy(out + from * m->config.vocab, logits, len * m->config.vocab * sizeof *out);
        }
    }
    ox_free(rows);
    ox_state_close(&state);
}

static inline bool test_part_same(const void *a, const void *b, size_t n_tokens, size_t dim, size_t element)
{
    return memcmp(a, b, n_tokens * dim * element) == 0;
}

/* Do two timelines of one length hold the same bytes? Their pools have the same layout. */
static inline bool test_kv_same(const struct test_model *m, const struct ox_kv *a, const struct ox_kv *b)
{
    const struct ox_config *config = &m->config;
    const size_t element = m->layout.element_bytes;
    bool same = a->n_tokens == b->n_tokens;
    for (size_t pos = 0; same && pos < a->n_tokens; pos += config->block) {
        const size_t left = a->n_tokens - pos;
        const size_t n = left < config->block ? left : config->block;
        const size_t i = pos / config->block;
        for (size_t l = 0; l < config->n_layers; l++) {
            for (size_t g = 0; g < config->n_kv_heads; g++) {
                same = same &&
                       test_part_same(ox_kv_keys(a, i, l, g), ox_kv_keys(b, i, l, g), n, config->head_dim, element) &&
                       test_part_same(ox_kv_values(a, i, l, g), ox_kv_values(b, i, l, g), n, config->head_dim, element);
            }
            same = same && (!config->sparse_layer[l] || test_part_same(ox_kv_index_keys(a, i, l),
                                                                       ox_kv_index_keys(b, i, l), n,
                                                                       config->index_dim, element));
        }
    }
    return same;
}

#endif
