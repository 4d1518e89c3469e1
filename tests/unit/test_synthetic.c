/* SPDX-License-Identifier: Apache-2.0
 *
 * Synthetic models: descriptions right and wrong, where matrices lie, and the random numbers in them.
 */
#include <math.h>

#include "base/mem.h"
#include "base/number.h"
#include "os/team.h"
#include "tests/tap.h"
#include "weights/synthetic.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(a)[0])

static const char small[] = "m3,layers=3,hidden=64,inter=32,dense_inter=96,shared_inter=64,heads=4,kv_heads=2,head_dim=32,"
                            "rotary_dim=16,index_dim=16,experts=6,used=2,vocab=50,block=8,topk_blocks=3";

static void test_released(void)
{
    struct ox_synthetic s;
    struct ox_error err = {0};
    if (!OK(ox_synthetic_parse(ox_str_c("m3"), &s, &err) == OX_OK, "m3: %s", err.message)) {
        return;
    }
    const struct ox_config *c = &s.config;
    OK(s.format == OX_FORMAT_MXFP8 && s.seed == 1, "released format, seed 1");
    OK(c->n_layers == 60 && c->hidden == 6144 && c->vocab == 200064 && c->n_heads == 64 && c->n_kv_heads == 4 &&
           c->head_dim == 128 && c->rotary_dim == 64 && c->max_positions == 1048576,
       "released sizes: attention");
    OK(c->dense_inter == 12288 && c->expert_inter == 3072 && c->shared_inter == 3072 && c->n_experts == 128 &&
           c->n_experts_used == 4,
       "released sizes: MLPs");
    OK(c->n_index_heads == 4 && c->index_dim == 128 && c->block == 128 && c->topk_blocks == 16 && c->init_blocks == 0 &&
           c->local_blocks == 1,
       "released sizes: blocks");
    OK(!c->moe_layer[2] && !c->sparse_layer[2] && c->moe_layer[3] && c->sparse_layer[3] && c->moe_layer[59],
       "three dense layers, then sparse ones");
    OK(c->image_token == -1 && c->bos_token == -1 && c->n_eos_tokens == 0 && !c->has_vision, "no tokens, no vision");
    /* arithmetic.md 2: the released text model's tensors but norms and biases, in the formats of the release */
    const uint64_t mxfp8 = UINT64_C(413122166784) + 60 * UINT64_C(106954752) + 57 * UINT64_C(60555264) +
                           3 * UINT64_C(226492416);
    const uint64_t bytes = mxfp8 / 32 * 33 + 4 * UINT64_C(1229193216) + 57 * UINT64_C(4) * 128 * 6144;
    OK(ox_synthetic_bytes(&s) == bytes, "bytes: %llu, expected %llu", (unsigned long long)ox_synthetic_bytes(&s),
       (unsigned long long)bytes);
}

static void test_members(void)
{
    struct ox_synthetic s;
    struct ox_error err = {0};
    OK(ox_synthetic_parse(ox_str_c("m3,layers=4,seed=18446744073709551615,format=f32,experts=8"), &s, &err) == OX_OK &&
           s.seed == UINT64_MAX && s.format == OX_FORMAT_F32 && s.config.n_experts == 8 && s.config.n_layers == 4,
       "members are taken");
    OK(!s.config.sparse_layer[0] && s.config.sparse_layer[1] && s.config.sparse_layer[3],
       "fewer layers: the first alone is dense");
    OK(ox_synthetic_parse(ox_str_c("m3,layers=61"), &s, &err) == OX_OK && !s.config.sparse_layer[2] &&
           s.config.sparse_layer[3],
       "more layers: three are dense");
    OK(ox_synthetic_parse(ox_str_c("m3,dense=2,layers=2"), &s, &err) == OX_OK && !s.config.moe_layer[1] &&
           s.config.n_experts == 0 && s.config.topk_blocks == 0 && s.config.block == 128 && s.config.dense_inter == 12288,
       "dense layers only");
    OK(ox_synthetic_parse(ox_str_c("m3,dense=0,layers=2"), &s, &err) == OX_OK && s.config.moe_layer[0] &&
           s.config.dense_inter == 0,
       "sparse layers only");
    OK(ox_synthetic_parse(ox_str_c("m3,format=f16,hidden=50,shared_inter=0"), &s, &err) == OX_OK &&
           s.config.hidden == 50 && s.config.shared_inter == 0,
       "widths of any number where the format has no blocks");
}

static void test_wrong(void)
{
    static const struct {
        const char *spec;
        const char *says;
    } wrong[] = {
        {"", "expected m3"},
        {"m4", "found \"m4\""},
        {"m3x", "found \"m3x\""},
        {"m3,", "expected NAME=VALUE"},
        {"m3,,layers=2", "expected NAME=VALUE"},
        {"m3,layers", "found \"layers\""},
        {"m3,depth=2", "found \"depth\""},
        {"m3,layers=", "layers: expected a number from 1 to 1024, found \"\""},
        {"m3,layers=0", "layers: expected a number from 1"},
        {"m3,layers=1025", "found \"1025\""},
        {"m3,layers=-1", "found \"-1\""},
        {"m3,layers=1e3", "found \"1e3\""},
        {"m3,layers=99999999999999999999", "layers: expected"},
        {"m3,layers=2,layers=3", "layers is given twice"},
        {"m3,format=q9", "format: expected mxfp8, bf16, f16 or f32, found \"q9\""},
        {"m3,format=bf16,format=bf16", "format is given twice"},
        {"m3,layers=2,dense=3", "dense at most layers, found 3 and 2"},
        {"m3,heads=6", "heads a multiple of kv_heads, found 6 and 4"},
        {"m3,rotary_dim=63", "rotary_dim even"},
        {"m3,rotary_dim=130", "rotary_dim at most head_dim"},
        {"m3,index_dim=32", "rotary_dim at most index_dim, found 64 and 32"},
        {"m3,used=129", "used at most experts"},
        {"m3,topk_blocks=2,init_blocks=2", "found 3 and 2"},
        {"m3,hidden=100", "hidden to be a multiple of 32"},
        {"m3,inter=33", "inter to be a multiple of 32"},
        {"m3,heads=4,head_dim=66", "heads * head_dim to be a multiple of 32"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct ox_synthetic s;
        struct ox_error err = {0};
        const enum ox_status status = ox_synthetic_parse(ox_str_c(wrong[i].spec), &s, &err);
        OK(status == OX_E_ARG && strstr(err.message, wrong[i].says) != NULL, "\"%s\": %s", wrong[i].spec, err.message);
    }
}

static void test_overflow(void)
{
    struct ox_synthetic s;
    struct ox_weights w;
    struct ox_error err = {0};
    static const uint8_t nowhere = 0;
    const char *spec = "m3,layers=1024,hidden=1048576,inter=1048576,experts=65536,used=1,format=f32";
    OK(ox_synthetic_parse(ox_str_c(spec), &s, &err) == OX_OK && ox_synthetic_bytes(&s) == UINT64_MAX,
       "2^69 bytes do not fit in 64 bits");
    OK(ox_synthetic_parse(ox_str_c("m3,layers=2,experts=64"), &s, &err) == OX_OK &&
           ox_synthetic_bind(&s, &nowhere, &w, &err) == OX_OK && w.n_layers == 2 && w.layers[1].experts[63].down.cols == 3072,
       "matrices can be bound without being there");
    ox_weights_fini(&w);
}

/* Mean square of a matrix's values, and whether rows differ. */
static void check_values(const struct ox_matrix *m, double rms, const char *name)
{
    double squares = 0.0;
    double sum = 0.0;
    for (size_t r = 0; r < m->rows; r++) {
        for (size_t k = 0; k < m->cols; k++) {
            const uint8_t *p = m->values + r * m->row_bytes;
            float x = 0.0F;
            struct ox_bf16 b;
            struct ox_f16 h;
            switch (m->format) {
            case OX_FORMAT_F32:
                memcpy(&x, p + 4 * k, sizeof x);
                break;
            case OX_FORMAT_F16:
                memcpy(&h, p + 2 * k, sizeof h);
                x = ox_f32_from_f16(h);
                break;
            case OX_FORMAT_BF16:
                memcpy(&b, p + 2 * k, sizeof b);
                x = ox_f32_from_bf16(b);
                break;
            case OX_FORMAT_MXFP8:
                x = ox_f32_from_e4m3(p[k]) * ox_f32_from_e8m0(m->scales[r * m->scale_row_bytes + k / 32]);
                break;
            case OX_N_FORMATS:
            default:
                break;
            }
            squares += (double)x * (double)x;
            sum += (double)x;
        }
    }
    const double n = (double)(m->rows * m->cols);
    const double found = sqrt(squares / n);
    OK(found > rms / 1.6 && found < rms * 1.6, "%s, %s: root of mean square %.4f, wanted %.4f", name,
       ox_format_name(m->format), found, rms);
    OK(fabs(sum / n) < 6.0 * rms / sqrt(n), "%s: mean %.5f", name, sum / n);
    OK(memcmp(m->values, m->values + m->row_bytes, m->row_bytes) != 0, "%s: rows differ", name);
}

/* Fill with n workers; the bytes' hash. */
static uint64_t fill(const char *format, uint64_t seed, size_t n_workers, bool look)
{
    char spec[512];
    struct ox_synthetic s;
    struct ox_error err = {0};
    struct ox_region region = {0};
    struct ox_weights w;
    struct ox_team *team = NULL;
    snprintf(spec, sizeof spec, "%s,format=%s,seed=%llu", small, format, (unsigned long long)seed);
    if (!OK(ox_synthetic_parse(ox_str_c(spec), &s, &err) == OX_OK &&
                ox_region_open((size_t)ox_synthetic_bytes(&s), &region, &err) == OX_OK &&
                ox_synthetic_bind(&s, region.ptr, &w, &err) == OX_OK &&
                ox_team_open(NULL, n_workers, &team, &err) == OX_OK,
            "%s", err.message)) {
        exit(1);
    }
    ox_synthetic_fill(&s, &region, &w, team, NULL);
    const uint64_t hash = ox_str_hash(ox_str_make((const char *)region.ptr, region.len));
    if (look) {
        check_values(&w.embed, 1.0, "embed");
        check_values(&w.head, 1.0 / 8.0, "head");
        check_values(&w.layers[0].mlp.down, 1.0 / sqrt(96.0), "mlp.down");
        check_values(&w.layers[2].o, 1.0 / sqrt(128.0), "o");
        check_values(&w.layers[2].router, 1.0 / 8.0, "router");
        check_values(&w.layers[2].experts[5].gate, 1.0 / 8.0, "expert.gate");
        check_values(&w.layers[1].shared.down, 1.0 / 8.0, "shared.down");
        OK(w.layers[1].input_norm[63] == 1.0F && w.layers[1].index_k_norm[15] == 1.0F && w.norm[0] == 1.0F &&
               w.layers[1].router_bias[5] == 0.0F,
           "norms are 1, biases 0");
        OK(w.layers[2].experts[5].down.values + 64 * 32 <= region.ptr + region.len, "matrices lie in the region");
        OK(w.layers[0].experts == NULL && w.layers[0].index_q.values == NULL && w.layers[1].mlp.gate.values == NULL,
           "layers have the matrices of their kind");
    }
    ox_weights_fini(&w);
    ox_region_close(&region);
    ox_team_close(&team);
    return hash;
}

static void test_fill(void)
{
    static const char *const formats[] = {"mxfp8", "bf16", "f16", "f32"};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        const uint64_t one = fill(formats[i], 1, 1, true);
        OK(fill(formats[i], 1, 3, false) == one, "%s: the same from 1 or 3 workers", formats[i]);
        OK(fill(formats[i], 2, 1, false) != one, "%s: another seed, other weights", formats[i]);
    }
}

int main(void)
{
    test_released();
    test_members();
    test_wrong();
    test_overflow();
    test_fill();
    return tap_done();
}
