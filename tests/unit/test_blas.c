/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenBLAS as a second opinion on products of F32 weights, in the tower's and in odd shapes: every level of this machine
 * beside cblas_sgemm on one thread, with activations as the level takes them and with every bit of them. It also says how
 * fast each is, which fails nothing.
 */
#include <cblas.h>
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "os/clock.h"
#include "simd/cpu.h"
#include "simd/kernels.h"
#include "tests/tap.h"

#define U (1.0 / 16777216.0) /* unit roundoff of F32 */
#define U_BF16 (1.0 / 256.0) /* of BF16 */

struct shape {
    size_t n_rows;
    size_t n_cols;
    size_t n_tokens;
};

static const struct shape shapes[] = {
    {1280, 1176, 64},  /* patches */
    {1280, 1280, 100}, /* projections */
    {5120, 1280, 33},  /* the wide half of a layer */
    {1280, 5120, 17},  /* and the way back */
    {33, 7, 5},        {1, 1, 1}, {257, 100, 1},
};

/* Values and, of their magnitudes, what a sum can be off by. */
struct trial {
    struct shape shape;
    float *w;      /* [n_rows, n_cols] */
    float *x;      /* [n_tokens, n_cols] */
    float *blas;   /* [n_tokens, n_rows] */
    float *bounds; /* sums of |w x| */
    float *y;
};

static void multiply(const struct shape *s, const float *w, const float *x, float *y)
{
    const int n = (int)s->n_cols;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)s->n_tokens, (int)s->n_rows, n, 1.0F, x, n, w, n, 0.0F, y,
                (int)s->n_rows);
}

static void magnitudes(const struct trial *t)
{
    const size_t n_w = t->shape.n_rows * t->shape.n_cols;
    const size_t n_x = t->shape.n_tokens * t->shape.n_cols;
    float *w = ox_calloc(n_w, sizeof *w);
    float *x = ox_calloc(n_x, sizeof *x);
    for (size_t i = 0; i < n_w; i++) {
        w[i] = fabsf(t->w[i]);
    }
    for (size_t i = 0; i < n_x; i++) {
        x[i] = fabsf(t->x[i]);
    }
    multiply(&t->shape, w, x, t->bounds);
    ox_free(w);
    ox_free(x);
}

static void trial_open(const struct shape *shape, uint64_t seed, struct trial *t)
{
    struct ox_rng rng;
    const size_t n_w = shape->n_rows * shape->n_cols;
    const size_t n_x = shape->n_tokens * shape->n_cols;
    const size_t n_y = shape->n_tokens * shape->n_rows;
    *t = (struct trial){.shape = *shape};
    t->w = ox_calloc_aligned(n_w, sizeof *t->w);
    t->x = ox_calloc_aligned(n_x, sizeof *t->x);
    t->blas = ox_calloc_aligned(n_y, sizeof *t->blas);
    t->bounds = ox_calloc_aligned(n_y, sizeof *t->bounds);
    t->y = ox_calloc_aligned(n_y, sizeof *t->y);
    ox_rng_init(&rng, seed);
    for (size_t i = 0; i < n_w; i++) {
        t->w[i] = (float)(ox_rng_double(&rng) - 0.5);
    }
    for (size_t i = 0; i < n_x; i++) {
        t->x[i] = (float)(ox_rng_double(&rng) - 0.5) * 8.0F;
    }
    magnitudes(t);
}

static void trial_close(struct trial *t)
{
    ox_free(t->w);
    ox_free(t->x);
    ox_free(t->blas);
    ox_free(t->bounds);
    ox_free(t->y);
}

/* One level's product, its operand packed as the engine does. */
static double product(const struct trial *t, size_t token_bytes, void (*pack)(OX_PACK_PARAMETERS),
                      void (*kernel)(OX_PRODUCT_PARAMETERS))
{
    const struct shape *s = &t->shape;
    uint8_t *operand = ox_calloc_aligned(s->n_tokens, token_bytes);
    for (size_t i = 0; i < s->n_tokens; i += OX_GROUP_TOKENS) {
        const size_t n = s->n_tokens - i < OX_GROUP_TOKENS ? s->n_tokens - i : OX_GROUP_TOKENS;
        const float *rows[OX_GROUP_TOKENS];
        for (size_t j = 0; j < n; j++) {
            rows[j] = t->x + (i + j) * s->n_cols;
        }
        pack(rows, n, 0, s->n_cols, s->n_cols, operand + i * token_bytes);
    }
    const uint64_t begin = ox_clock_ns();
    kernel((const uint8_t *)t->w, s->n_cols * sizeof(float), NULL, 0, s->n_rows, s->n_cols, operand, s->n_tokens, t->y,
           s->n_rows);
    const uint64_t end = ox_clock_ns();
    ox_free(operand);
    return ox_clock_seconds(begin, end);
}

/* The largest difference as a share of what both may be off by; u: how the level rounds activations. */
static double worst_share(const struct trial *t, double u)
{
    double worst = 0.0;
    for (size_t i = 0; i < t->shape.n_tokens * t->shape.n_rows; i++) {
        const double allowed = (4.0 * (double)t->shape.n_cols * U + u) * (double)t->bounds[i] + 1e-37;
        worst = fmax(worst, fabs((double)t->y[i] - (double)t->blas[i]) / allowed);
    }
    return worst;
}

static void check_level(struct trial *t, enum ox_cpu_level level, double blas_s)
{
    struct ox_kernels kernels;
    const struct shape *s = &t->shape;
    ox_kernels_init(&kernels, level);
    const double flops = 2.0 * (double)s->n_rows * (double)s->n_cols * (double)s->n_tokens;
    const double exact_s = product(t, kernels.exact_bytes(s->n_cols), kernels.pack_exact, kernels.exact_f32);
    const double exact = worst_share(t, 0.0);
    OK(exact <= 1.0, "%zu x %zu, %zu tokens, level %s, exact: %.3f of what may differ", s->n_rows, s->n_cols,
       s->n_tokens, ox_cpu_level_name(level), exact);
    (void)product(t, kernels.operand_bytes(s->n_cols), kernels.pack, kernels.product_f32);
    const double rounded = worst_share(t, U_BF16);
    OK(rounded <= 1.0, "%zu x %zu, %zu tokens, level %s: %.3f of what may differ", s->n_rows, s->n_cols, s->n_tokens,
       ox_cpu_level_name(level), rounded);
    NOTE("%.1f GFLOP/s, OpenBLAS %.1f", flops / exact_s * 1e-9, flops / blas_s * 1e-9);
}

int main(void)
{
    openblas_set_num_threads(1);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct trial t;
        trial_open(&shapes[i], 7 + i, &t);
        multiply(&t.shape, t.w, t.x, t.blas);
        const uint64_t begin = ox_clock_ns();
        multiply(&t.shape, t.w, t.x, t.blas);
        const double blas_s = ox_clock_seconds(begin, ox_clock_ns());
        for (size_t l = 0; l < OX_N_CPU_LEVELS; l++) {
            if (ox_cpu_has_level((enum ox_cpu_level)l)) {
                check_level(&t, (enum ox_cpu_level)l, blas_s);
            }
        }
        trial_close(&t);
    }
    return tap_done();
}
