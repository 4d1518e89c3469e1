/* SPDX-License-Identifier: Apache-2.0
 *
 * The forward pass on small random checkpoints: bits do not depend on chunks, threads, batch or history; sparse
 * attention over all blocks is dense attention; embedding rows can be overridden; nothing is allocated.
 */
#include <math.h>

#include "tests/model_help.h"
#include "tests/oom.h"

#define FOLDER "test_forward_model"
#define TOKENS 83

static struct mk_model_options odd_model(void)
{
    struct mk_model_options o = mk_model_default();
    o.hidden = 96;
    o.heads = 6;
    o.kv_heads = 3;
    o.head_dim = 24;
    o.rotary_dim = 12;
    o.inter = 40;
    o.dense_inter = 72;
    o.shared_inter = 56;
    o.experts = 7;
    o.topk = 3;
    o.index_dim = 20;
    o.block = 5;
    o.topk_blocks = 4;
    o.local_blocks = 2;
    o.vocab = 131;
    return o;
}

static struct mk_model_options mixed_model(void)
{
    struct mk_model_options o = mk_model_default();
    o.mixed = true;
    o.init_blocks = 1;
    o.n_shards = 3;
    return o;
}

/* Logits [TOKENS, vocab] of all rows; freed with ox_free. */
static float *run(struct test_model *m, struct ox_kv *kv, const int32_t *ids, size_t chunk)
{
    float *logits = ox_calloc(TOKENS, m->config.vocab * sizeof *logits);
    test_append(m, kv, ids, TOKENS, chunk, NULL, logits);
    return logits;
}

static bool same_rows(const struct test_model *m, const float *a, const float *b, size_t n)
{
    return memcmp(a, b, n * m->config.vocab * sizeof *a) == 0;
}

static void test_chunks_and_threads(const char *name, enum ox_kv_format format)
{
    static const size_t chunks[] = {1, 3, 7, TOKENS};
    static const size_t workers[] = {1, 2, 5};
    struct test_model *reference = ox_calloc(1, sizeof *reference);
    struct ox_kv kv;
    int32_t ids[TOKENS];
    test_model_open(FOLDER, 1, format, 64, reference);
    test_ids(1, reference->config.vocab, ids, TOKENS);
    test_kv_open(reference, TOKENS, &kv);
    float *logits = run(reference, &kv, ids, TOKENS);
    bool finite = true;
    for (size_t i = 0; i < TOKENS * reference->config.vocab; i++) {
        finite = finite && isfinite(logits[i]);
    }
    OK(finite, "%s: logits are finite", name);
    for (size_t w = 0; w < 3; w++) {
        struct test_model *m = ox_calloc(1, sizeof *m);
        test_model_open(FOLDER, workers[w], format, 64, m);
        for (size_t c = 0; c < 4; c++) {
            struct ox_kv other;
            test_kv_open(m, TOKENS, &other);
            float *found = run(m, &other, ids, chunks[c]);
            OK(same_rows(m, found, logits, TOKENS) && test_kv_same(m, &other, &kv),
               "%s, cache in %s: chunk %zu and %zu workers give the same bits", name, ox_kv_format_name(format),
               chunks[c], workers[w]);
            ox_free(found);
            ox_kv_fini(&other);
        }
        test_model_close(m);
        ox_free(m);
    }
    ox_free(logits);
    ox_kv_fini(&kv);
    test_model_close(reference);
    ox_free(reference);
}

/* More rows than a panel of the MLPs holds (256), for a popular expert too: as in passes that fill no panel. */
static void test_long(const char *name)
{
    enum { LONG = 700 };
    static const size_t chunks[] = {LONG, 60};
    struct test_model *m = ox_calloc(1, sizeof *m);
    struct ox_kv kv[2];
    float *logits[2];
    int32_t ids[LONG];
    test_model_open(FOLDER, 2, OX_KV_F32, 400, m);
    test_ids(60, m->config.vocab, ids, LONG);
    for (size_t i = 0; i < 2; i++) {
        logits[i] = ox_calloc(LONG, m->config.vocab * sizeof *logits[i]);
        test_kv_open(m, LONG, &kv[i]);
        test_append(m, &kv[i], ids, LONG, chunks[i], NULL, logits[i]);
    }
    OK(same_rows(m, logits[0], logits[1], LONG) && test_kv_same(m, &kv[0], &kv[1]),
       "%s: %d rows in one pass as in passes of %zu", name, LONG, chunks[1]);
    for (size_t i = 0; i < 2; i++) {
        ox_free(logits[i]);
        ox_kv_fini(&kv[i]);
    }
    test_model_close(m);
    ox_free(m);
}

/* Four timelines of unequal lengths go on together, some with several rows, some with one: each as if alone. */
static void test_batch(struct test_model *m)
{
    enum { N = 4 };
    static const size_t lengths[N] = {31, 1, 64, 17};
    static const size_t more[N] = {1, 6, 1, 12};
    struct ox_kv alone[N];
    struct ox_kv together[N];
    int32_t ids[N][TOKENS];
    struct ox_row rows[64];
    float *expected[N];
    size_t n_rows = 0;
    struct ox_error err = {0};
    for (size_t i = 0; i < N; i++) {
        test_ids(10 + i, m->config.vocab, ids[i], TOKENS);
        test_kv_open(m, TOKENS, &alone[i]);
        test_kv_open(m, TOKENS, &together[i]);
        expected[i] = ox_calloc(TOKENS, m->config.vocab * sizeof(float));
        test_append(m, &alone[i], ids[i], lengths[i] + more[i], 9, NULL, expected[i]);
        test_append(m, &together[i], ids[i], lengths[i], TOKENS, NULL, NULL);
        test_need(ox_kv_reserve(&together[i], more[i], &err), &err);
        for (size_t j = 0; j < more[i]; j++) {
            rows[n_rows++] = (struct ox_row){.id = ids[i][lengths[i] + j], .kv = &together[i], .want_logits = j % 2 == 0};
        }
    }
    struct ox_state *state = test_state_open(m, n_rows, TOKENS);
    const float *logits = NULL;
    ox_forward(&m->model, state, rows, n_rows, NULL, &logits);
    size_t at = 0;
    for (size_t i = 0; i < N; i++) {
        bool good = together[i].n_tokens == lengths[i] + more[i];
        for (size_t j = 0; j < more[i]; j += 2) {
            good = good && same_rows(m, logits + at * m->config.vocab,
                                     expected[i] + (lengths[i] + j) * m->config.vocab, 1);
            at++;
        }
        OK(good, "timeline %zu in a batch: logits as alone", i);
        OK(test_kv_same(m, &together[i], &alone[i]), "timeline %zu in a batch: cache as alone", i);
        ox_free(expected[i]);
        ox_kv_fini(&alone[i]);
        ox_kv_fini(&together[i]);
    }
    ox_state_close(&state);
}

static void test_rewind_and_share(struct test_model *m)
{
    int32_t ids[TOKENS];
    int32_t others[TOKENS];
    struct ox_kv plain;
    struct ox_kv kv;
    struct ox_kv second;
    struct ox_error err = {0};
    float *found = ox_calloc(TOKENS, m->config.vocab * sizeof *found);
    test_ids(20, m->config.vocab, ids, TOKENS);
    test_ids(21, m->config.vocab, others, TOKENS);
    test_kv_open(m, TOKENS, &plain);
    test_kv_open(m, TOKENS, &kv);
    float *expected = run(m, &plain, ids, TOKENS);
    static const size_t cuts[] = {0, 1, 24, 25, 26, 40, TOKENS - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        ox_kv_rewind(&kv, 0);
        test_append(m, &kv, ids, cuts[i], 16, NULL, NULL);
        test_append(m, &kv, others, TOKENS - cuts[i], 16, NULL, NULL);
        ox_kv_rewind(&kv, cuts[i]);
        test_append(m, &kv, ids + cuts[i], TOKENS - cuts[i], 16, NULL, found);
        OK(same_rows(m, found, expected + cuts[i] * m->config.vocab, TOKENS - cuts[i]) && test_kv_same(m, &kv, &plain),
           "back to %zu and on: as if nothing else had been", cuts[i]);
        test_kv_open(m, TOKENS + 7, &second);
        test_need(ox_kv_share(&plain, cuts[i], &second, &err), &err);
        test_append(m, &second, others, 7, 7, NULL, NULL);
        ox_kv_rewind(&second, cuts[i]);
        test_append(m, &second, ids + cuts[i], TOKENS - cuts[i], 16, NULL, found);
        OK(same_rows(m, found, expected + cuts[i] * m->config.vocab, TOKENS - cuts[i]) &&
               test_kv_same(m, &second, &plain),
           "over a shared beginning of %zu: as if computed", cuts[i]);
        ox_kv_fini(&second);
    }
    ox_free(expected);
    ox_free(found);
    ox_kv_fini(&plain);
    ox_kv_fini(&kv);
}

static double worst_row(const float *x, const float *y, size_t rows, size_t n)
{
    double worst = 0.0;
    for (size_t r = 0; r < rows; r++) {
        double square = 0.0;
        double difference = 0.0;
        for (size_t i = r * n; i < (r + 1) * n; i++) {
            const double d = (double)x[i] - (double)y[i];
            square += (double)x[i] * (double)x[i];
            difference += d * d;
        }
        worst = fmax(worst, sqrt(difference / square));
    }
    return worst;
}

/* The same weights with room for every block, and with dense attention everywhere. */
static void test_sparse_is_dense(struct test_model *m)
{
    int32_t ids[TOKENS];
    struct ox_kv kv;
    test_ids(30, m->config.vocab, ids, TOKENS);
    const struct ox_config kept = m->config;
    test_kv_open(m, TOKENS, &kv);
    float *some = run(m, &kv, ids, 16);
    ox_kv_rewind(&kv, 0);
    m->config.topk_blocks = TOKENS / m->config.block + 1;
    float *all = run(m, &kv, ids, 16);
    ox_kv_rewind(&kv, 0);
    m->config.topk_blocks = 5000;
    float *more = run(m, &kv, ids, 16);
    ox_kv_rewind(&kv, 0);
    memset(m->config.sparse_layer, 0, sizeof m->config.sparse_layer);
    float *dense = run(m, &kv, ids, 16);
    const double apart = worst_row(dense, all, TOKENS, m->config.vocab);
    OK(same_rows(m, all, more, TOKENS), "more than all blocks is all blocks");
    /* sums in another order turn a rounding of the cache to BF16 now and then */
    OK(apart < (m->layout.format == OX_KV_F32 ? 1e-5 : 1e-3), "sparse attention over all blocks is dense attention (worst row off by %.2g)", apart);
    OK(worst_row(dense, some, TOKENS, m->config.vocab) > 1e-2, "over some blocks it is not");
    m->config = kept;
    ox_free(some);
    ox_free(all);
    ox_free(more);
    ox_free(dense);
    ox_kv_fini(&kv);
}

/* A row with an embedding of its own is as the token that has this embedding. */
static void test_embedding(struct test_model *m)
{
    int32_t ids[TOKENS];
    struct ox_kv plain;
    struct ox_kv kv;
    struct ox_row rows[TOKENS];
    struct ox_error err = {0};
    test_ids(40, m->config.vocab, ids, TOKENS);
    test_kv_open(m, TOKENS, &plain);
    test_kv_open(m, TOKENS, &kv);
    float *expected = run(m, &plain, ids, TOKENS);
    float *embedding = ox_calloc(TOKENS, m->config.hidden * sizeof *embedding);
    for (size_t i = 0; i < TOKENS; i++) {
        const bool override = i % 3 == 1;
        if (override) {
            m->kernels.expand_bf16(m->weights.embed.values + (size_t)ids[i] * m->weights.embed.row_bytes, NULL,
                                   m->config.hidden, embedding + i * m->config.hidden);
        }
        rows[i] = (struct ox_row){.id = override ? 0 : ids[i], .kv = &kv, .want_logits = true,
                                  .embedding = override ? embedding + i * m->config.hidden : NULL};
    }
    struct ox_state *state = test_state_open(m, TOKENS, TOKENS);
    const float *logits = NULL;
    test_need(ox_kv_reserve(&kv, TOKENS, &err), &err);
    ox_forward(&m->model, state, rows, TOKENS, NULL, &logits);
    OK(same_rows(m, logits, expected, TOKENS) && test_kv_same(m, &kv, &plain), "embeddings of its own");
    ox_kv_rewind(&kv, 0);
    test_need(ox_kv_reserve(&kv, TOKENS, &err), &err);
    embedding[m->config.hidden] += 1.0F;
    ox_forward(&m->model, state, rows, TOKENS, NULL, &logits);
    OK(same_rows(m, logits, expected, 1) && !same_rows(m, logits + m->config.vocab, expected + m->config.vocab, 1),
       "another embedding shows from its row on");
    ox_state_close(&state);
    ox_free(embedding);
    ox_free(expected);
    ox_kv_fini(&plain);
    ox_kv_fini(&kv);
}

/* Room in the cache is reserved and passes are run while every allocation fails. */
static void test_no_allocation(struct test_model *m)
{
    int32_t ids[TOKENS];
    struct ox_kv kv;
    struct ox_row rows[TOKENS];
    struct ox_error err = {0};
    test_ids(50, m->config.vocab, ids, TOKENS);
    test_kv_open(m, TOKENS, &kv);
    struct ox_state *state = test_state_open(m, TOKENS, TOKENS);
    for (size_t i = 0; i < TOKENS; i++) {
        rows[i] = (struct ox_row){.id = ids[i], .kv = &kv, .want_logits = true};
    }
    const float *logits = NULL;
    oom_arm(1);
    void *p = ox_calloc(1, 1);
    const bool works = oom_disarm();
    OK(works && p == NULL, "allocations are watched");
    ox_free(p);
    oom_arm(1);
    test_need(ox_kv_reserve(&kv, TOKENS - 1, &err), &err);
    ox_forward(&m->model, state, rows, TOKENS - 1, NULL, &logits);
    test_need(ox_kv_reserve(&kv, 1, &err), &err);
    ox_forward(&m->model, state, rows, 1, NULL, &logits);
    OK(!oom_disarm(), "a pass allocates nothing");
    ox_state_close(&state);
    ox_kv_fini(&kv);
}

/* ox_state_bytes is what a state takes; sizes that cannot be are refused. */
static void test_state(struct test_model *m)
{
    struct ox_state *state = NULL;
    struct ox_error err = {0};
    const uint64_t small = ox_state_bytes(&m->model, &m->layout, 1, 1, 10);
    const uint64_t large = ox_state_bytes(&m->model, &m->layout, 512, 32, 10000);
    OK(small > 0 && small < large && large < UINT64_MAX, "bytes of a state: %" PRIu64 " to %" PRIu64, small, large);
    OK(ox_state_bytes(&m->model, &m->layout, SIZE_MAX / 2, 1, 10) == UINT64_MAX, "overflow of rows is seen");
    OK(ox_state_bytes(&m->model, &m->layout, 1, 1, SIZE_MAX - 1) == UINT64_MAX, "overflow of tokens is seen");
    OK(ox_state_open(&m->model, &m->layout, SIZE_MAX / 2, 1, 10, &state, &err) == OX_E_NOMEM, "and refused: %s",
       err.message);
    ox_state_close(&state);
}

int main(void)
{
    const struct mk_model_options kinds[] = {odd_model(), mixed_model()};
    static const char *const names[] = {"odd sizes", "all formats"};
    for (size_t i = 0; i < 2; i++) {
        if (mk_model(FOLDER, &kinds[i]) != 0) {
            OK(false, "model");
            return tap_done();
        }
        test_chunks_and_threads(names[i], OX_KV_F32);
        test_chunks_and_threads(names[i], OX_KV_BF16);
        test_long(names[i]);
        struct test_model *m = ox_calloc(1, sizeof *m);
        test_model_open(FOLDER, 3, i == 0 ? OX_KV_F32 : OX_KV_BF16, 200, m);
        test_batch(m);
        test_rewind_and_share(m);
        test_sparse_is_dense(m);
        test_embedding(m);
        test_no_allocation(m);
        test_state(m);
        test_model_close(m);
        ox_free(m);
    }
    mk_remove_folder(FOLDER);
    return tap_done();
}
