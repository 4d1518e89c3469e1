/* SPDX-License-Identifier: Apache-2.0
 *
 * Block selection against a plain loop: the index query is computed here in double from the layer's input, its products
 * with the cached index keys give each block's score, and a loop takes the blocks. Ties go to the lower block, local and
 * initial blocks are always taken, and nothing else of the cache is looked at.
 */
#include <math.h>

#include "base/number.h"
#include "tests/model_help.h"

#define FOLDER "test_index_model"
#define TOKENS 90
#define MOST_BLOCKS 64
#define MOST_TOPK 80

/* What the probe saw of one prompt, in one pass. */
struct seen {
    const struct ox_config *config;
    float *hidden;   /* [n_layers + 1, TOKENS, hidden] */
    int32_t *blocks; /* [n_layers, TOKENS, n_kv_heads, MOST_TOPK] */
};

static void on_hidden(void *user, size_t layer, const float *x, size_t n_rows)
{
    const struct seen *seen = user;
    const size_t n = seen->config->hidden;
    memcpy(seen->hidden + layer * TOKENS * n, x, n_rows * n * sizeof *x);
}

static int32_t *blocks_at(const struct seen *seen, size_t layer, size_t row, size_t g)
{
    return seen->blocks + ((layer * TOKENS + row) * seen->config->n_kv_heads + g) * MOST_TOPK;
}

static const int32_t *on_blocks(void *user, size_t layer, size_t i_row, size_t g, const int32_t *ids)
{
    const struct seen *seen = user;
    memcpy(blocks_at(seen, layer, i_row, g), ids, seen->config->topk_blocks * sizeof *ids);
    return NULL;
}

static double weight_at(const struct ox_matrix *w, size_t row, size_t col)
{
    struct ox_bf16 h;
    memcpy(&h, w->values + row * w->row_bytes + 2 * col, sizeof h);
    return (double)ox_f32_from_bf16(h);
}

/* The index query of one head and position, in double, from the layer's input x. */
static void index_query(const struct test_model *m, size_t layer, const float *x, size_t pos, size_t g, double *q)
{
    const struct ox_config *config = &m->config;
    const struct ox_layer_weights *w = &m->weights.layers[layer];
    const size_t dim = config->index_dim;
    double square = 0.0;
    for (size_t k = 0; k < config->hidden; k++) {
        square += (double)x[k] * (double)x[k];
    }
    const double norm = sqrt(square / (double)config->hidden + (double)config->eps);
    square = 0.0;
    for (size_t i = 0; i < dim; i++) {
        q[i] = 0.0;
        for (size_t k = 0; k < config->hidden; k++) {
            q[i] += weight_at(&w->index_q, g * dim + i, k) * (double)x[k] / norm * (double)w->input_norm[k];
        }
        square += q[i] * q[i];
    }
    const double head_norm = sqrt(square / (double)dim + (double)config->eps);
    for (size_t i = 0; i < dim; i++) {
        q[i] = q[i] / head_norm * (double)w->index_q_norm[i];
    }
    const size_t half = config->rotary_dim / 2;
    for (size_t i = 0; i < half; i++) {
        const float angle = (float)pos * (float)pow(config->rope_theta, -2.0 * (double)i / (double)config->rotary_dim);
        const double a = q[i];
        const double b = q[half + i];
        q[i] = a * cos((double)angle) - b * sin((double)angle);
        q[half + i] = b * cos((double)angle) + a * sin((double)angle);
    }
}

/* Scores of all blocks that pos sees, forced ones infinite; returns how many there are. */
static size_t score_blocks(const struct test_model *m, const struct ox_kv *kv, size_t layer, const double *q,
                           size_t pos, double *scores)
{
    const struct ox_config *config = &m->config;
    const size_t own = pos / config->block;
    for (size_t b = 0; b <= own; b++) {
        const float *keys = ox_kv_index_keys(kv, b, layer);
        scores[b] = -(double)INFINITY;
        for (size_t j = 0; j < config->block && b * config->block + j <= pos; j++) {
            double product = 0.0;
            for (size_t i = 0; i < config->index_dim; i++) {
                product += q[i] * (double)keys[j * config->index_dim + i];
            }
            scores[b] = product > scores[b] ? product : scores[b];
        }
        if (b < config->init_blocks || own - b < config->local_blocks) {
            scores[b] = (double)INFINITY;
        }
    }
    return own + 1;
}

/* Take the best topk one by one. *margin: by how much the last one taken beat the best one left. */
static void choose(const struct ox_config *config, const double *scores, size_t n, int32_t *ids, double *margin)
{
    bool taken[MOST_BLOCKS] = {false};
    double last = (double)INFINITY;
    size_t n_taken = 0;
    *margin = (double)INFINITY;
    for (size_t turn = 0; turn <= config->topk_blocks; turn++) {
        size_t best = n;
        for (size_t b = n; b > 0; b--) {
            if (!taken[b - 1] && (best == n || scores[b - 1] >= scores[best])) {
                best = b - 1;
            }
        }
        if (best == n) {
            break;
        }
        if (turn == config->topk_blocks) {
            *margin = isinf(last) ? (double)INFINITY : last - scores[best];
            break;
        }
        taken[best] = true;
        last = scores[best];
        n_taken++;
    }
    size_t at = 0;
    for (size_t b = 0; b < n; b++) {
        if (taken[b]) {
            ids[at++] = (int32_t)b;
        }
    }
    while (at < config->topk_blocks) {
        ids[at++] = -1;
    }
    OX_CHECK(n_taken <= config->topk_blocks);
}

/* Every row, group and sparse layer of one prompt. ties: all scores are equal (the index query's weights are zero), so
 * that no margin excuses anything. */
static void check_prompt(struct test_model *m, const char *name, bool ties)
{
    const struct ox_config *config = &m->config;
    struct seen seen = {config, ox_calloc((config->n_layers + 1) * TOKENS, config->hidden * sizeof(float)),
                        ox_calloc(config->n_layers * TOKENS, config->n_kv_heads * MOST_TOPK * sizeof(int32_t))};
    const struct ox_probe probe = {.user = &seen, .hidden = on_hidden, .blocks = on_blocks};
    int32_t ids[TOKENS];
    struct ox_kv kv;
    size_t n_wrong = 0;
    size_t n_close = 0;
    size_t n_real = 0; /* rows where something had to be left out */
    test_ids(5, config->vocab, ids, TOKENS);
    test_kv_open(m, TOKENS, &kv);
    test_append(m, &kv, ids, TOKENS, TOKENS, &probe, NULL);
    for (size_t layer = 0; layer < config->n_layers; layer++) {
        for (size_t i = 0; config->sparse_layer[layer] && i < TOKENS * config->n_kv_heads; i++) {
            const size_t pos = i / config->n_kv_heads;
            const size_t g = i % config->n_kv_heads;
            double q[128];
            double scores[MOST_BLOCKS];
            double margin;
            int32_t expected[MOST_TOPK];
            index_query(m, layer, seen.hidden + (layer * TOKENS + pos) * config->hidden, pos, g, q);
            if (ties) {
                memset(q, 0, sizeof q);
            }
            const size_t n = score_blocks(m, &kv, layer, q, pos, scores);
            choose(config, scores, n, expected, &margin);
            n_real += n > config->topk_blocks ? 1 : 0;
            if (!ties && margin < 1e-4) {
                n_close++;
            } else if (memcmp(expected, blocks_at(&seen, layer, pos, g), config->topk_blocks * sizeof *expected) != 0) {
                n_wrong++;
            }
        }
    }
    OK(n_wrong == 0, "%s: %zu of %zu choices are wrong (%zu too close to tell)", name, n_wrong, n_real, n_close);
    OK(n_close < n_real / 20 + 1, "%s: nearly all can be told", name);
    ox_free(seen.hidden);
    ox_free(seen.blocks);
    ox_kv_fini(&kv);
}

/* Index query weights of zero: all scores are 0. */
static void make_ties(struct test_model *m, uint8_t *zeros)
{
    for (size_t l = 0; l < m->config.n_layers; l++) {
        if (m->config.sparse_layer[l]) {
            m->weights.layers[l].index_q.values = zeros;
        }
    }
}

/* Changing keys and values of blocks that were not selected changes nothing; of one that was, it does. */
static void test_untouched(struct test_model *m)
{
    const struct ox_config *config = &m->config;
    struct seen seen = {config, ox_calloc((config->n_layers + 1) * TOKENS, config->hidden * sizeof(float)),
                        ox_calloc(config->n_layers * TOKENS, config->n_kv_heads * MOST_TOPK * sizeof(int32_t))};
    const struct ox_probe probe = {.user = &seen, .hidden = on_hidden, .blocks = on_blocks};
    int32_t ids[TOKENS];
    struct ox_kv kv;
    float *before = ox_calloc(config->vocab, sizeof *before);
    float *after = ox_calloc(config->vocab, sizeof *after);
    test_ids(6, config->vocab, ids, TOKENS);
    test_kv_open(m, TOKENS, &kv);
    test_append(m, &kv, ids, TOKENS - 1, TOKENS, NULL, NULL);
    test_append(m, &kv, ids + TOKENS - 1, 1, 1, &probe, before); /* one row: number 0 of its pass */
    for (size_t selected = 0; selected < 2; selected++) {
        ox_kv_rewind(&kv, TOKENS - 1);
        bool changed = false;
        for (size_t l = 0; l < config->n_layers; l++) {
            for (size_t i = 0; config->sparse_layer[l] && i < config->n_kv_heads * (TOKENS / config->block - 2); i++) {
                const size_t g = i % config->n_kv_heads;
                const size_t b = i / config->n_kv_heads;
                bool chosen = false;
                for (size_t j = 0; j < config->topk_blocks; j++) {
                    chosen = chosen || blocks_at(&seen, l, 0, g)[j] == (int32_t)b;
                }
                if (chosen == (selected == 1)) {
                    float *values = ox_kv_values(&kv, b, l, g);
                    float *keys = ox_kv_keys(&kv, b, l, g);
                    for (size_t k = 0; k < config->block * config->head_dim; k++) {
                        values[k] = selected == 1 ? values[k] + 1.0F : NAN;
                        keys[k] = selected == 1 ? keys[k] : NAN;
                    }
                    changed = true;
                }
            }
        }
        test_append(m, &kv, ids + TOKENS - 1, 1, 1, NULL, after);
        const bool same = memcmp(before, after, config->vocab * sizeof *before) == 0;
        OK(changed && same == (selected == 0), "blocks that were %sselected %s", selected == 1 ? "" : "not ",
           selected == 1 ? "count" : "are never touched");
    }
    ox_free(before);
    ox_free(after);
    ox_free(seen.hidden);
    ox_free(seen.blocks);
    ox_kv_fini(&kv);
}

int main(void)
{
    static const struct {
        size_t topk;
        size_t local;
        size_t init;
    } cases[] = {{4, 1, 0}, {4, 2, 0}, {4, 0, 0}, {4, 1, 1}, {5, 2, 2}, {3, 2, 2}, {2, 3, 0}, {1, 1, 0}, {1, 0, 0},
                 {16, 1, 0}, {70, 1, 1}};
    struct mk_model_options o = mk_model_default();
    o.hidden = 96;
    o.kv_heads = 2;
    o.index_dim = 20;
    o.rotary_dim = 12;
    o.block = 5;
    o.seed = 3;
    struct test_model *m = ox_calloc(1, sizeof *m);
    uint8_t *zeros = ox_calloc(o.kv_heads * o.index_dim * o.hidden, 2);
    if (mk_model(FOLDER, &o) != 0 || m == NULL || zeros == NULL) {
        OK(false, "model");
        return tap_done();
    }
    test_model_open(FOLDER, 2, OX_KV_F32, 40, m);
    test_untouched(m);
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof cases[0]); i++) {
        char name[100];
        const bool ties = i % 2 == 1;
        const size_t c = i / 2;
        test_model_close(m);
        test_model_open(FOLDER, 1 + i % 3, OX_KV_F32, 40, m);
        m->config.topk_blocks = cases[c].topk;
        m->config.local_blocks = cases[c].local;
        m->config.init_blocks = cases[c].init;
        if (ties) {
            make_ties(m, zeros);
        }
        snprintf(name, sizeof name, "top %zu, local %zu, init %zu%s", cases[c].topk, cases[c].local, cases[c].init,
                 ties ? ", all equal" : "");
        check_prompt(m, name, ties);
    }
    test_model_close(m);
    ox_free(m);
    ox_free(zeros);
    mk_remove_folder(FOLDER);
    return tap_done();
}
