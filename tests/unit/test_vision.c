/* SPDX-License-Identifier: Apache-2.0
 *
 * The vision tower against a plain computation in double, with heads of the released size, weights of every format, on
 * pictures of several chunks and tiles of rows with odd rests, at every level, emulated where the processor has it not;
 * the same bits for any number of threads; nothing allocated while it works. That this is what the model was trained to
 * do is tested by test_trace.c.
 */
#include "model/vision.h"

#include <math.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/rng.h"
#include "tests/oom.h"
#include "tests/tap.h"

#define LAYERS 2
#define HIDDEN 160
#define HEADS 2
#define HEAD_DIM (HIDDEN / HEADS)
#define THIRD 13 /* frequencies of an axis: 2 * (80 / 2) / 3 / 2 */
#define INTER 288
#define PROJECTOR 64
#define WIDEST (INTER + VALUES)
#define TEXT 32
#define VALUES 12 /* a patch: 3 channels, 1 frame, 2 x 2 pixels */
#define MERGE 2
#define SQUARE (MERGE * MERGE)
#define MOST_PATCHES 1000

typedef void (*init_function)(struct ox_kernels *kernels, enum ox_cpu_level level);

#if defined(OX_HAVE_EMULATION)
void ox_kernels_init_emulated(struct ox_kernels *kernels, enum ox_cpu_level level);
static const init_function emulated_init = ox_kernels_init_emulated;
#else
static const init_function emulated_init = NULL;
#endif

/* A tower of random numbers: matrices in one format but for two in F32, vectors in F32. */
struct tower {
    struct ox_config config;
    struct ox_weights weights;
    struct ox_vision_layer layers[LAYERS];
    void *owned[192];
    size_t n_owned;
    struct ox_rng rng;
};

static float normal(struct ox_rng *rng)
{
    double sum = -6.0;
    for (int i = 0; i < 12; i++) {
        sum += ox_rng_double(rng);
    }
    return (float)sum;
}

static void *take(struct tower *t, size_t bytes)
{
    void *p = ox_calloc(bytes, 1);
    if (p == NULL || t->n_owned == sizeof t->owned / sizeof t->owned[0]) {
        abort();
    }
    t->owned[t->n_owned++] = p;
    return p;
}

static const float *make_vector(struct tower *t, size_t n, float scale, float base)
{
    float *x = take(t, n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        x[i] = base + scale * normal(&t->rng);
    }
    return x;
}

/* n codes of normal numbers at `values`, and a scale for each 32 that makes them about 1 / sqrt(cols) large. */
static void make_mxfp8(struct tower *t, uint8_t *values, uint8_t *scales, size_t n, size_t cols)
{
    const int unit = 127 - (int)lround(log2(sqrt((double)cols)));
    for (size_t i = 0; i < n; i++) {
        const uint64_t bits = ox_rng_next(&t->rng);
        values[i] = (uint8_t)((bits & 0x87U) | (3 + (bits >> 8) % 6) << 3);
        if (i % 32 == 0) {
            scales[i / 32] = (uint8_t)(unit - 1 + (int)(bits >> 16 & 1U));
        }
    }
}

/* Cut to a half, which is 0 where that would be subnormal. */
static struct ox_f16 cut_to_f16(float x)
{
    const uint32_t bits = ox_bits_from_f32(x);
    const uint32_t exponent = (bits >> 23 & 0xFFU) - 112U;
    const uint32_t magnitude = exponent - 1U < 30U ? exponent << 10 | (bits >> 13 & 0x3FFU) : 0U;
    return (struct ox_f16){(uint16_t)(bits >> 16 & 0x8000U) | (uint16_t)magnitude};
}

static struct ox_matrix make_matrix(struct tower *t, size_t rows, size_t cols, enum ox_format format, float gain)
{
    static const size_t steps[OX_N_FORMATS] = {
        [OX_FORMAT_F32] = 4, [OX_FORMAT_F16] = 2, [OX_FORMAT_BF16] = 2, [OX_FORMAT_MXFP8] = 1};
    const size_t step = steps[format];
    uint8_t *values = take(t, rows * cols * step);
    struct ox_matrix m = {.format = format, .rows = rows, .cols = cols, .values = values, .row_bytes = cols * step};
    if (format == OX_FORMAT_MXFP8) {
        uint8_t *scales = take(t, rows * cols / 32);
        make_mxfp8(t, values, scales, rows * cols, cols);
        m.scales = scales;
        m.scale_row_bytes = cols / 32;
        return m;
    }
    for (size_t i = 0; i < rows * cols; i++) {
        const float x = gain * normal(&t->rng) / sqrtf((float)cols);
        const struct ox_bf16 bf16 = ox_bf16_from_f32(x);
        const struct ox_f16 f16 = cut_to_f16(x);
        const void *const forms[OX_N_FORMATS] = {
            [OX_FORMAT_F32] = &x, [OX_FORMAT_F16] = &f16, [OX_FORMAT_BF16] = &bf16};
        memcpy(values + i * step, forms[format], step);
    }
    return m;
}

static struct ox_affine make_affine(struct tower *t, size_t rows, size_t cols, enum ox_format format)
{
    return (struct ox_affine){make_matrix(t, rows, cols, format, 1.5F), make_vector(t, rows, 0.1F, 0.0F)};
}

static struct ox_layer_norm make_norm(struct tower *t)
{
    return (struct ox_layer_norm){make_vector(t, HIDDEN, 0.1F, 1.0F), make_vector(t, HIDDEN, 0.1F, 0.0F)};
}

static void make_tower(struct tower *t, enum ox_format format)
{
    memset(t, 0, sizeof *t);
    ox_rng_init(&t->rng, 5);
    t->config.hidden = TEXT;
    t->config.has_vision = true;
    t->config.vision = (struct ox_vision_config){.n_layers = LAYERS,
                                                 .hidden = HIDDEN,
                                                 .inter = INTER,
                                                 .n_heads = HEADS,
                                                 .patch = 2,
                                                 .n_channels = 3,
                                                 .merge = MERGE,
                                                 .temporal = 1,
                                                 .segment_frames = 4,
                                                 .projector = PROJECTOR,
                                                 .eps = 1e-5F,
                                                 .rope_theta = 10000.0};
    struct ox_vision_weights *w = &t->weights.vision;
    w->layers = t->layers;
    w->patch = make_matrix(t, HIDDEN, VALUES, OX_FORMAT_F32, 1.0F);
    w->pre_norm = make_norm(t);
    for (size_t l = 0; l < LAYERS; l++) {
        struct ox_vision_layer *layer = &t->layers[l];
        layer->norm1 = make_norm(t);
        layer->norm2 = make_norm(t);
        layer->q = make_affine(t, HIDDEN, HIDDEN, format);
        layer->k = make_affine(t, HIDDEN, HIDDEN, format);
        layer->v = make_affine(t, HIDDEN, HIDDEN, format);
        layer->out = make_affine(t, HIDDEN, HIDDEN, OX_FORMAT_F32);
        layer->fc1 = make_affine(t, INTER, HIDDEN, format);
        layer->fc2 = make_affine(t, HIDDEN, INTER, format);
    }
    w->project1 = make_affine(t, PROJECTOR, HIDDEN, format);
    w->project2 = make_affine(t, TEXT, PROJECTOR, format);
    w->merge1 = make_affine(t, PROJECTOR, TEXT * SQUARE, format);
    w->merge2 = make_affine(t, TEXT, PROJECTOR, format);
}

static void free_tower(struct tower *t)
{
    for (size_t i = 0; i < t->n_owned; i++) {
        ox_free(t->owned[i]);
    }
}

/* ---- the same in double ------------------------------------------------------------------------------------------ */

static double weight(const struct ox_matrix *m, size_t row, size_t col)
{
    const uint8_t *at = m->values + row * m->row_bytes + col * (m->row_bytes / m->cols);
    struct ox_bf16 bf16;
    struct ox_f16 f16;
    float whole;
    switch (m->format) {
    case OX_FORMAT_F16:
        memcpy(&f16, at, sizeof f16);
        return (double)ox_f32_from_f16(f16);
    case OX_FORMAT_BF16:
        memcpy(&bf16, at, sizeof bf16);
        return (double)ox_f32_from_bf16(bf16);
    case OX_FORMAT_MXFP8: {
        const double mantissa = (double)(8 + (*at & 7)) / 8.0;
        const double power = ldexp(1.0, (*at >> 3 & 15) - 7 + m->scales[row * m->scale_row_bytes + col / 32] - 127);
        return (*at & 0x80) != 0 ? -mantissa * power : mantissa * power;
    }
    default:
        memcpy(&whole, at, sizeof whole);
        return (double)whole;
    }
}

static double *doubles(size_t n)
{
    double *x = ox_calloc(n, sizeof *x);
    if (x == NULL) {
        abort();
    }
    return x;
}

/* y [n, rows] <- W x + bias (none: NULL) */
static void multiply(const struct ox_matrix *m, const float *bias, const double *x, size_t n, double *y)
{
    double *row = doubles(m->cols);
    for (size_t r = 0; r < m->rows; r++) {
        for (size_t c = 0; c < m->cols; c++) {
            row[c] = weight(m, r, c);
        }
        for (size_t i = 0; i < n; i++) {
            double sum = bias != NULL ? (double)bias[r] : 0.0;
            for (size_t c = 0; c < m->cols; c++) {
                sum += row[c] * x[i * m->cols + c];
            }
            y[i * m->rows + r] = sum;
        }
    }
    ox_free(row);
}

static void normalise(const struct ox_layer_norm *w, const double *x, size_t n, double *y)
{
    for (size_t i = 0; i < n; i++) {
        double mean = 0.0;
        double square = 0.0;
        for (size_t c = 0; c < HIDDEN; c++) {
            mean += x[i * HIDDEN + c] / HIDDEN;
        }
        for (size_t c = 0; c < HIDDEN; c++) {
            square += pow(x[i * HIDDEN + c] - mean, 2.0) / HIDDEN;
        }
        for (size_t c = 0; c < HIDDEN; c++) {
            y[i * HIDDEN + c] =
                (x[i * HIDDEN + c] - mean) / sqrt(square + 1e-5) * (double)w->weight[c] + (double)w->bias[c];
        }
    }
}

static void smooth(double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] *= 0.5 * erfc(-x[i] * sqrt(0.5));
    }
}

/* Rotate all heads of rows in the order of merge blocks. */
static void turn(double *x, size_t t, size_t h, size_t w)
{
    size_t i = 0;
    for (size_t frame = 0; frame < t; frame++) {
        for (size_t y0 = 0; y0 < h; y0 += MERGE) {
            for (size_t x0 = 0; x0 < w; x0 += MERGE) {
                for (size_t k = 0; k < SQUARE; k++, i++) {
                    const size_t at[3] = {frame, y0 + k / MERGE, x0 + k % MERGE};
                    for (size_t d = 0; d < HEADS * 3 * THIRD; d++) {
                        const size_t pair = d % (3 * THIRD);
                        double *a = x + i * HIDDEN + d / (3 * THIRD) * HEAD_DIM + pair;
                        double *b = a + 3 * THIRD;
                        const double angle = (double)at[pair / THIRD] * pow(10000.0, -(double)(pair % THIRD) / THIRD);
                        const double old = *a;
                        *a = old * cos(angle) - *b * sin(angle);
                        *b = *b * cos(angle) + old * sin(angle);
                    }
                }
            }
        }
    }
}

static void look(const double *q, const double *k, const double *v, size_t n, double *out)
{
    double *score = doubles(n);
    for (size_t head = 0; head < HEADS; head++) {
        for (size_t i = 0; i < n; i++) {
            const size_t at = head * HEAD_DIM;
            double largest = -(double)INFINITY;
            double sum = 0.0;
            for (size_t j = 0; j < n; j++) {
                score[j] = 0.0;
                for (size_t d = at; d < at + HEAD_DIM; d++) {
                    score[j] += q[i * HIDDEN + d] * k[j * HIDDEN + d] / sqrt(HEAD_DIM);
                }
                largest = fmax(largest, score[j]);
            }
            for (size_t d = at; d < at + HEAD_DIM; d++) {
                out[i * HIDDEN + d] = 0.0;
            }
            for (size_t j = 0; j < n; j++) {
                const double e = exp(score[j] - largest);
                sum += e;
                for (size_t d = at; d < at + HEAD_DIM; d++) {
                    out[i * HIDDEN + d] += e * v[j * HIDDEN + d];
                }
            }
            for (size_t d = at; d < at + HEAD_DIM; d++) {
                out[i * HIDDEN + d] /= sum;
            }
        }
    }
    ox_free(score);
}

static void reference(const struct tower *tower, const float *patches, size_t t, size_t h, size_t w, double *x,
                      double *features)
{
    const struct ox_vision_weights *all = &tower->weights.vision;
    const size_t n = t * h * w;
    double *in = doubles(n * WIDEST);
    double *q = doubles(n * HIDDEN);
    double *k = doubles(n * HIDDEN);
    double *v = doubles(n * HIDDEN);
    double *inner = doubles(n * INTER);
    for (size_t i = 0; i < n * VALUES; i++) {
        in[i] = (double)patches[i];
    }
    multiply(&all->patch, NULL, in, n, q);
    normalise(&all->pre_norm, q, n, x);
    for (size_t l = 0; l < LAYERS; l++) {
        const struct ox_vision_layer *layer = &tower->layers[l];
        normalise(&layer->norm1, x, n, in);
        multiply(&layer->q.weight, layer->q.bias, in, n, q);
        multiply(&layer->k.weight, layer->k.bias, in, n, k);
        multiply(&layer->v.weight, layer->v.bias, in, n, v);
        turn(q, t, h, w);
        turn(k, t, h, w);
        look(q, k, v, n, in);
        multiply(&layer->out.weight, layer->out.bias, in, n, q);
        for (size_t i = 0; i < n * HIDDEN; i++) {
            x[i] += q[i];
        }
        normalise(&layer->norm2, x, n, in);
        multiply(&layer->fc1.weight, layer->fc1.bias, in, n, inner);
        smooth(inner, n * INTER);
        multiply(&layer->fc2.weight, layer->fc2.bias, inner, n, q);
        for (size_t i = 0; i < n * HIDDEN; i++) {
            x[i] += q[i];
        }
    }
    multiply(&all->project1.weight, all->project1.bias, x, n, inner);
    smooth(inner, n * PROJECTOR);
    multiply(&all->project2.weight, all->project2.bias, inner, n, in);
    multiply(&all->merge1.weight, all->merge1.bias, in, n / SQUARE, inner);
    smooth(inner, n / SQUARE * PROJECTOR);
    multiply(&all->merge2.weight, all->merge2.bias, inner, n / SQUARE, features);
    ox_free(in);
    ox_free(q);
    ox_free(k);
    ox_free(v);
    ox_free(inner);
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static struct tower tower;
static float patches[MOST_PATCHES * VALUES];

/* Kernels of a level; those of the emulated processor where this one has it not. */
static bool find_kernels(enum ox_cpu_level level, struct ox_kernels *kernels, bool *is_emulated)
{
    *is_emulated = !ox_cpu_has_level(level);
    if (*is_emulated && emulated_init == NULL) {
        return false;
    }
    (*is_emulated ? emulated_init : ox_kernels_init)(kernels, level);
    return true;
}

/* Encode patches at a level with so many threads, in pieces of so many units (0: all at once); no allocation may be
 * needed for it. */
static bool encode(const struct ox_kernels *kernels, size_t n_workers, size_t piece, size_t t, size_t h, size_t w,
                   float *out, float *features)
{
    struct ox_team *team = NULL;
    struct ox_vision *vision = NULL;
    struct ox_error err = {0};
    const size_t n = t * h * w;
    if (ox_team_open(NULL, n_workers, &team, &err) != OX_OK) {
        NOTE("%s", err.message);
        return false;
    }
    const struct ox_model model = {
        .config = &tower.config, .weights = &tower.weights, .kernels = kernels, .team = team};
    bool good = ox_vision_open(&model, n, &vision, &err) == OX_OK;
    if (good) {
        memcpy(ox_vision_patches(vision), patches, n * VALUES * sizeof *patches);
        oom_arm(1);
        if (piece == 0) {
            ox_vision_encode(vision, t, h, w, out, features);
        } else {
            size_t n_pieces = 1;
            ox_vision_begin(vision, t, h, w, out, features);
            while (ox_vision_advance(vision, piece)) {
                n_pieces++;
            }
            good = n_pieces == ((2 + 2 * LAYERS) * ((n + 255) / 256) + piece - 1) / piece;
        }
        good = !oom_disarm() && good;
    }
    ox_vision_close(&vision);
    ox_team_close(&team);
    return good;
}

/* The worst row's relative error. */
static double worst(const double *exact, const float *found, size_t rows, size_t cols)
{
    double most = 0.0;
    for (size_t r = 0; r < rows; r++) {
        double square = 0.0;
        double off = 0.0;
        for (size_t i = r * cols; i < (r + 1) * cols; i++) {
            square += exact[i] * exact[i];
            off += (exact[i] - (double)found[i]) * (exact[i] - (double)found[i]);
        }
        const double error = sqrt(off / square);
        most = isnan(error) || error > most ? error : most;
    }
    return most;
}

static void test_size(size_t t, size_t h, size_t w)
{
    static const size_t workers[] = {1, 3, 7};
    const size_t n = t * h * w;
    double *x = doubles(n * HIDDEN);
    double *exact = doubles(n / SQUARE * TEXT);
    float *found = ox_calloc(n * HIDDEN, sizeof *found);
    float *features = ox_calloc(n / SQUARE * TEXT, sizeof *features);
    float *again = ox_calloc(n / SQUARE * TEXT, sizeof *again);
    float *again_tower = ox_calloc(n * HIDDEN, sizeof *again_tower);
    reference(&tower, patches, t, h, w, x, exact);
    for (size_t l = 0; l < OX_N_CPU_LEVELS; l++) {
        const enum ox_cpu_level level = (enum ox_cpu_level)l;
        struct ox_kernels kernels;
        bool is_emulated;
        if (!find_kernels(level, &kernels, &is_emulated)) {
            continue;
        }
        const double limit = kernels.operand_bytes(HIDDEN) < kernels.exact_bytes(HIDDEN) ? 2.5e-2 : 1e-5;
        OK(encode(&kernels, 2, 0, t, h, w, found, features), "%zu x %zu x %zu at level %s%s: nothing is allocated", t,
           h, w, ox_cpu_level_name(level), is_emulated ? ", emulated" : "");
        const double tower_error = worst(x, found, n, HIDDEN);
        const double feature_error = worst(exact, features, n / SQUARE, TEXT);
        OK(tower_error <= limit && feature_error <= limit, "tower off by %.2g, features by %.2g", tower_error,
           feature_error);
        const size_t n_skipped = n < 200 ? 2 : 3; /* emulation takes long */
        for (size_t i = is_emulated ? n_skipped : 0; i < sizeof workers / sizeof workers[0]; i++) {
            OK(encode(&kernels, workers[i], i * 3, t, h, w, again_tower, again) &&
                   memcmp(again, features, n / SQUARE * TEXT * sizeof *again) == 0 &&
                   memcmp(again_tower, found, n * HIDDEN * sizeof *found) == 0,
               "%zu threads, pieces of %zu: the same bits", workers[i], i * 3);
        }
    }
    ox_free(x);
    ox_free(exact);
    ox_free(found);
    ox_free(features);
    ox_free(again);
    ox_free(again_tower);
}

/* Memory grows with the patches by the rows that must exist for all of them, and by no more. */
static void test_bytes(void)
{
    struct ox_kernels kernels;
    struct ox_team *team = NULL;
    ox_kernels_init(&kernels, OX_CPU_C);
    if (!OK(ox_team_open(NULL, 2, &team, NULL) == OX_OK, "a team")) {
        return;
    }
    const struct ox_model model = {
        .config = &tower.config, .weights = &tower.weights, .kernels = &kernels, .team = team};
    const uint64_t few = ox_vision_bytes(&model, 10000);
    const uint64_t many = ox_vision_bytes(&model, 30000);
    const uint64_t row = (3 * HIDDEN + 2 * 3 * THIRD) * sizeof(float);
    OK(many - few <= 20000 * row + 1000 && many - few >= 20000 * row - 1000, "%llu bytes for each patch",
       (unsigned long long)((many - few) / 20000));
    OK(ox_vision_bytes(&model, SIZE_MAX / 2) == UINT64_MAX, "more than there can be");
    struct ox_vision *vision = NULL;
    struct ox_error err = {0};
    OK(ox_vision_open(&model, SIZE_MAX / 2, &vision, &err) == OX_E_NOMEM && vision == NULL, "%s", err.message);
    oom_arm(1);
    const enum ox_status status = ox_vision_open(&model, 16, &vision, &err);
    OK(oom_disarm() && status == OX_E_NOMEM && vision == NULL, "an allocation that fails: %s", err.message);
    ox_team_close(&team);
}

int main(void)
{
    static const enum ox_format others[] = {OX_FORMAT_F16, OX_FORMAT_MXFP8, OX_FORMAT_F32};
    make_tower(&tower, OX_FORMAT_BF16);
    for (size_t i = 0; i < sizeof patches / sizeof patches[0]; i++) {
        patches[i] = normal(&tower.rng);
    }
    test_size(1, 2, 2);
    test_size(3, 4, 6);
    test_size(1, 18, 30); /* three chunks and tiles of keys, odd rests */
    test_size(4, 14, 10); /* a chunk's end within a frame */
    test_bytes();
    free_tower(&tower);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        NOTE("weights in format %zu", (size_t)others[i]);
        make_tower(&tower, others[i]);
        test_size(2, 6, 14);
        free_tower(&tower);
    }
    return tap_done();
}
