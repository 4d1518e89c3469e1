/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes tensors one by one in the order of the released files, scaled so that activations stay in a sensible range, and
 * writes them with the program's own writer.
 */
#include "tests/mkmodel.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/rng.h"
#include "os/file.h"
#include "weights/safetensors.h"

#define MAX_TENSORS ((size_t)1 << 16)

struct maker {
    const struct mk_model_options *o;
    struct ox_rng rng;
    struct ox_tensor *tensors; /* name and data owned */
    size_t n_tensors;
    size_t n_matrices;
    bool failed;
};

struct mk_model_options mk_model_default(void)
{
    const struct mk_model_options o = {.layers = 4,
                                       .dense_layers = 1,
                                       .full_layers = 1,
                                       .hidden = 64,
                                       .vocab = 256,
                                       .heads = 4,
                                       .kv_heads = 2,
                                       .head_dim = 16,
                                       .rotary_dim = 8,
                                       .inter = 32,
                                       .dense_inter = 128,
                                       .shared_inter = 32,
                                       .experts = 8,
                                       .topk = 2,
                                       .index_dim = 16,
                                       .block = 8,
                                       .topk_blocks = 3,
                                       .local_blocks = 1,
                                       .max_positions = 1048576,
                                       .routed_scale = 2.0,
                                       .format = OX_FORMAT_BF16,
                                       .n_shards = 1};
    return o;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* Roughly normal, variance 1: twelve uniforms. */
static float normal(struct ox_rng *rng)
{
    double sum = -6.0;
    for (int i = 0; i < 12; i++) {
        sum += ox_rng_double(rng);
    }
    return (float)sum;
}

/* Nearest, ties to even, by search among all finite values: slow and plainly right. */
static uint16_t f16_from_f32(float x)
{
    const float magnitude = fabsf(x);
    uint16_t low = 0;
    uint16_t high = 0x7BFF;
    while (high - low > 1) {
        const uint16_t middle = (uint16_t)((low + high) / 2);
        if (ox_f32_from_f16((struct ox_f16){middle}) <= magnitude) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const float below = magnitude - ox_f32_from_f16((struct ox_f16){low});
    const float above = ox_f32_from_f16((struct ox_f16){high}) - magnitude;
    const bool up = above < below || (above == below && high % 2 == 0);
    return (uint16_t)((up ? high : low) | (signbit(x) != 0 ? 0x8000 : 0));
}

static uint8_t e4m3_from_f32(float x)
{
    const float magnitude = fabsf(x);
    uint8_t low = 0;
    uint8_t high = 0x7E;
    while (high - low > 1) {
        const uint8_t middle = (uint8_t)((low + high) / 2);
        if (ox_f32_from_e4m3(middle) <= magnitude) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const float below = magnitude - ox_f32_from_e4m3(low);
    const float above = ox_f32_from_e4m3(high) - magnitude;
    const bool up = above < below || (above == below && high % 2 == 0);
    return (uint8_t)((up ? high : low) | (signbit(x) != 0 ? 0x80 : 0));
}

/* Scale byte of a block: the smallest power of two with which its largest value is at most 448. */
static uint8_t block_scale(const float *x)
{
    float largest = 0;
    for (size_t i = 0; i < 32; i++) {
        largest = fmaxf(largest, fabsf(x[i]));
    }
    uint8_t code = 0;
    while (code < 254 && ox_f32_from_e8m0(code) * 448.0f < largest) {
        code++;
    }
    return code;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

/* Take data (n bytes) as a new tensor. */
static void add(struct maker *m, const char *name, enum ox_dtype dtype, const size_t *dims, size_t n_dims,
                uint8_t *data)
{
    if (data == NULL || m->n_tensors == MAX_TENSORS) {
        ox_free(data);
        m->failed = true;
        return;
    }
    struct ox_tensor *t = &m->tensors[m->n_tensors++];
    char *copy = ox_strdup(name);
    t->name = ox_str_make(copy != NULL ? copy : "", copy != NULL ? strlen(copy) : 0);
    t->dtype = dtype;
    t->n_dims = n_dims;
    t->data = data;
    t->len = ox_dtype_bytes(dtype);
    for (size_t i = 0; i < n_dims; i++) {
        t->dims[i] = dims[i];
        t->len *= dims[i];
    }
    m->failed = m->failed || copy == NULL;
}

static void add_mxfp8(struct maker *m, const char *name, const size_t *dims, size_t n_dims, const float *x, size_t n)
{
    char scale_name[256];
    size_t scale_dims[OX_TENSOR_MAX_DIMS];
    uint8_t *codes = ox_calloc(n, 1);
    uint8_t *scales = ox_calloc(n / 32, 1);
    if (codes != NULL && scales != NULL) {
        for (size_t b = 0; b < n / 32; b++) {
            scales[b] = block_scale(x + 32 * b);
            for (size_t i = 32 * b; i < 32 * b + 32; i++) {
                codes[i] = e4m3_from_f32(x[i] / ox_f32_from_e8m0(scales[b]));
            }
        }
    }
    memcpy(scale_dims, dims, n_dims * sizeof *dims);
    scale_dims[n_dims - 1] /= 32;
    snprintf(scale_name, sizeof scale_name, "%s_scale_inv", name);
    add(m, name, OX_DTYPE_F8_E4M3, dims, n_dims, codes);
    add(m, scale_name, OX_DTYPE_U8, scale_dims, n_dims, scales);
}

/* x: n numbers, which are rounded to format. */
static void add_floats(struct maker *m, const char *name, enum ox_format format, const size_t *dims, size_t n_dims,
                       const float *x, size_t n)
{
    static const enum ox_dtype dtypes[] = {OX_DTYPE_F32, OX_DTYPE_F16, OX_DTYPE_BF16};
    if (format == OX_FORMAT_MXFP8) {
        add_mxfp8(m, name, dims, n_dims, x, n);
        return;
    }
    const size_t step = ox_dtype_bytes(dtypes[format]);
    uint8_t *data = ox_calloc(n, step);
    for (size_t i = 0; data != NULL && i < n; i++) {
        const struct ox_bf16 bf16 = ox_bf16_from_f32(x[i]);
        const uint16_t f16 = format == OX_FORMAT_F16 ? f16_from_f32(x[i]) : 0;
        if (format == OX_FORMAT_F32) {
            memcpy(data + i * step, &x[i], step);
        } else if (format == OX_FORMAT_F16) {
            memcpy(data + i * step, &f16, step);
        } else {
            memcpy(data + i * step, &bf16, step);
        }
    }
    add(m, name, dtypes[format], dims, n_dims, data);
}

/* A name in this checkpoint's spelling: `rest` of a layer, or of the top if layer is SIZE_MAX. */
static void spell(const struct maker *m, size_t layer, const char *rest, char *name, size_t room)
{
    const char *prefix = m->o->spelling == MK_TEXT ? "" : "language_model.";
    if (layer == SIZE_MAX) {
        snprintf(name, room, "%s%s", prefix, rest);
        return;
    }
    const char *moe = "block_sparse_moe.";
    const char *index = "self_attn.index_";
    if (m->o->spelling != MK_RELEASED && strncmp(rest, moe, strlen(moe)) == 0) {
        snprintf(name, room, "%smodel.layers.%zu.mlp.%s", prefix, layer, rest + strlen(moe));
    } else if (m->o->spelling != MK_RELEASED && strncmp(rest, index, strlen(index)) == 0) {
        snprintf(name, room, "%smodel.layers.%zu.self_attn.indexer.%s", prefix, layer, rest + strlen(index));
    } else {
        snprintf(name, room, "%smodel.layers.%zu.%s", prefix, layer, rest);
    }
}

static void random_tensor(struct maker *m, size_t layer, const char *rest, enum ox_format format, const size_t *dims,
                          size_t n_dims, float scale, float base)
{
    char name[224];
    size_t n = 1;
    for (size_t i = 0; i < n_dims; i++) {
        n *= dims[i];
    }
    spell(m, layer, rest, name, sizeof name);
    float *x = ox_calloc(n, sizeof *x);
    if (x == NULL) {
        m->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = base + scale * normal(&m->rng);
    }
    add_floats(m, name, format, dims, n_dims, x, n);
    ox_free(x);
}

static void vector(struct maker *m, size_t layer, const char *rest, size_t n, float scale, float base,
                   enum ox_format format)
{
    random_tensor(m, layer, rest, format, &n, 1, scale, base);
}

/* A matrix in the checkpoint's format. */
static void linear(struct maker *m, size_t layer, const char *rest, size_t rows, size_t cols, float gain)
{
    const size_t dims[] = {rows, cols};
    enum ox_format format = m->o->format;
    if (m->o->mixed) {
        format = (enum ox_format)(m->n_matrices++ % OX_N_FORMATS);
        format = format == OX_FORMAT_MXFP8 && cols % 32 != 0 ? OX_FORMAT_BF16 : format;
    }
    random_tensor(m, layer, rest, format, dims, 2, gain / sqrtf((float)cols), 0);
}

/* Embedding, head, router. */
static void plain(struct maker *m, size_t layer, const char *rest, size_t rows, size_t cols, float gain,
                  enum ox_format format)
{
    const size_t dims[] = {rows, cols};
    random_tensor(m, layer, rest, format, dims, 2, gain / sqrtf((float)cols), 0);
}

static void make_attention(struct maker *m, size_t i)
{
    const struct mk_model_options *o = m->o;
    vector(m, i, "input_layernorm.weight", o->hidden, 0.1f, 0, OX_FORMAT_BF16);
    vector(m, i, "post_attention_layernorm.weight", o->hidden, 0.1f, 0, OX_FORMAT_BF16);
    linear(m, i, "self_attn.q_proj.weight", o->heads * o->head_dim, o->hidden, 1);
    linear(m, i, "self_attn.k_proj.weight", o->kv_heads * o->head_dim, o->hidden, 1);
    linear(m, i, "self_attn.v_proj.weight", o->kv_heads * o->head_dim, o->hidden, 1);
    linear(m, i, "self_attn.o_proj.weight", o->hidden, o->heads * o->head_dim, 1);
    vector(m, i, "self_attn.q_norm.weight", o->head_dim, 0.3f, 0.2f, OX_FORMAT_BF16);
    vector(m, i, "self_attn.k_norm.weight", o->head_dim, 0.3f, 0.2f, OX_FORMAT_BF16);
    if (i >= o->full_layers) {
        linear(m, i, "self_attn.index_q_proj.weight", o->kv_heads * o->index_dim, o->hidden, 1);
        linear(m, i, "self_attn.index_k_proj.weight", o->index_dim, o->hidden, 1);
        vector(m, i, "self_attn.index_q_norm.weight", o->index_dim, 0.2f, 0, OX_FORMAT_BF16);
        vector(m, i, "self_attn.index_k_norm.weight", o->index_dim, 0.2f, 0, OX_FORMAT_BF16);
    }
}

static void make_mlp(struct maker *m, size_t i, const char *prefix, size_t inter)
{
    char name[128];
    snprintf(name, sizeof name, "%sgate_proj.weight", prefix);
    linear(m, i, name, inter, m->o->hidden, 3);
    snprintf(name, sizeof name, "%sup_proj.weight", prefix);
    linear(m, i, name, inter, m->o->hidden, 3);
    snprintf(name, sizeof name, "%sdown_proj.weight", prefix);
    linear(m, i, name, m->o->hidden, inter, 0.3f);
}

static void make_experts(struct maker *m, size_t i)
{
    const struct mk_model_options *o = m->o;
    if (o->spelling != MK_RELEASED) {
        const size_t gate_up[] = {o->experts, 2 * o->inter, o->hidden};
        const size_t down[] = {o->experts, o->hidden, o->inter};
        random_tensor(m, i, "block_sparse_moe.experts.gate_up_proj", o->format, gate_up, 3, 3 / sqrtf((float)o->hidden),
                      0);
        random_tensor(m, i, "block_sparse_moe.experts.down_proj", o->format, down, 3, 0.3f / sqrtf((float)o->inter), 0);
        return;
    }
    for (size_t e = 0; e < o->experts; e++) {
        char name[128];
        snprintf(name, sizeof name, "block_sparse_moe.experts.%zu.w1.weight", e);
        linear(m, i, name, o->inter, o->hidden, 3);
        snprintf(name, sizeof name, "block_sparse_moe.experts.%zu.w2.weight", e);
        linear(m, i, name, o->hidden, o->inter, 0.3f);
        snprintf(name, sizeof name, "block_sparse_moe.experts.%zu.w3.weight", e);
        linear(m, i, name, o->inter, o->hidden, 3);
    }
}

static void make_tensors(struct maker *m)
{
    const struct mk_model_options *o = m->o;
    plain(m, SIZE_MAX, "model.embed_tokens.weight", o->vocab, o->hidden, sqrtf((float)o->hidden), OX_FORMAT_BF16);
    for (size_t i = 0; i < o->layers; i++) {
        make_attention(m, i);
        if (i < o->dense_layers) {
            make_mlp(m, i, "mlp.", o->dense_inter);
            continue;
        }
        plain(m, i, "block_sparse_moe.gate.weight", o->experts, o->hidden, 1.5f, OX_FORMAT_F32);
        vector(m, i, "block_sparse_moe.e_score_correction_bias", o->experts, 0.1f, 0, OX_FORMAT_F32);
        make_experts(m, i);
        if (o->shared_inter > 0) {
            make_mlp(m, i, "block_sparse_moe.shared_experts.", o->shared_inter);
        }
    }
    vector(m, SIZE_MAX, "model.norm.weight", o->hidden, 0.1f, 0, OX_FORMAT_BF16);
    plain(m, SIZE_MAX, "lm_head.weight", o->vocab, o->hidden, 3, OX_FORMAT_BF16);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int write_text(const char *folder, const char *name, const struct ox_buf *text)
{
    struct ox_error err;
    char *path = ox_path_join(folder, name);
    int result = -1;
    if (path == NULL || ox_buf_failed(text)) {
        fprintf(stderr, "%s: out of memory\n", name);
    } else if (ox_file_write(path, text->ptr, text->len, &err) != OX_OK) {
        fprintf(stderr, "%s\n", err.message);
    } else {
        result = 0;
    }
    ox_free(path);
    return result;
}

static void add_flags(struct ox_buf *text, const char *key, size_t n_zero, size_t n, const char *zero, const char *one)
{
    ox_buf_printf(text, "\"%s\": [", key);
    for (size_t i = 0; i < n; i++) {
        ox_buf_printf(text, "%s%s", i > 0 ? ", " : "", i < n_zero ? zero : one);
    }
    ox_buf_add_c(text, "]");
}

/* What both spellings of text_config have. */
static void add_common(struct ox_buf *text, const struct mk_model_options *o)
{
    ox_buf_printf(text,
                  "\"hidden_size\": %zu, \"intermediate_size\": %zu, \"dense_intermediate_size\": %zu, "
                  "\"shared_intermediate_size\": %zu, \"num_hidden_layers\": %zu, \"num_attention_heads\": %zu, "
                  "\"num_key_value_heads\": %zu, \"head_dim\": %zu, \"max_position_embeddings\": %zu, "
                  "\"vocab_size\": %zu, ",
                  o->hidden, o->inter, o->dense_inter, o->shared_inter, o->layers, o->heads, o->kv_heads, o->head_dim,
                  o->max_positions, o->vocab);
    ox_buf_printf(text,
                  "\"rms_norm_eps\": 1e-06, \"tie_word_embeddings\": false, \"num_local_experts\": %zu, "
                  "\"num_experts_per_tok\": %zu, \"n_shared_experts\": %d, \"routed_scaling_factor\": %.17g, "
                  "\"scoring_func\": \"sigmoid\", \"swiglu_alpha\": 1.702, \"swiglu_limit\": 7.0, ",
                  o->experts, o->topk, o->shared_inter > 0 ? 1 : 0, o->routed_scale);
}

static void add_released(struct ox_buf *text, const struct mk_model_options *o)
{
    ox_buf_add_c(text, "\"model_type\": \"minimax_m2\", \"hidden_act\": \"swigluoai\", \"use_routing_bias\": true, "
                       "\"use_qk_norm\": true, \"qk_norm_type\": \"per_head\", \"use_gemma_norm\": true, "
                       "\"attention_output_gate\": false, \"rope_theta\": 5000000, ");
    ox_buf_printf(text, "\"rotary_dim\": %zu, \"partial_rotary_factor\": %.17g, ", o->rotary_dim,
                  (double)o->rotary_dim / (double)o->head_dim);
    add_flags(text, "moe_layer_freq", o->dense_layers, o->layers, "0", "1");
    ox_buf_printf(text,
                  ", \"sparse_attention_config\": {\"use_sparse_attention\": true, \"sparse_index_dim\": %zu, "
                  "\"sparse_num_index_heads\": %zu, \"sparse_topk_blocks\": %zu, \"sparse_block_size\": %zu, "
                  "\"sparse_score_type\": \"max\", \"sparse_init_block\": %zu, \"sparse_local_block\": %zu, ",
                  o->index_dim, o->kv_heads, o->topk_blocks, o->block, o->init_blocks, o->local_blocks);
    add_flags(text, "sparse_disable_index_value", o->full_layers, o->layers, "0", "1");
    ox_buf_add_c(text, ", ");
    add_flags(text, "sparse_attention_freq", o->full_layers, o->layers, "0", "1");
    ox_buf_add_c(text, "}");
}

static void add_resaved(struct ox_buf *text, const struct mk_model_options *o)
{
    ox_buf_printf(text,
                  "\"model_type\": \"minimax_m3_vl_text\", \"hidden_act\": \"silu\", \"rope_parameters\": "
                  "{\"rope_type\": \"default\", \"rope_theta\": 5000000.0, \"partial_rotary_factor\": %.17g}, ",
                  (double)o->rotary_dim / (double)o->head_dim);
    ox_buf_printf(text,
                  "\"index_n_heads\": %zu, \"index_head_dim\": %zu, \"index_block_size\": %zu, "
                  "\"index_topk_blocks\": %zu, \"index_local_blocks\": %zu, \"index_init_blocks\": %zu, ",
                  o->kv_heads, o->index_dim, o->block, o->topk_blocks, o->local_blocks, o->init_blocks);
    add_flags(text, "mlp_layer_types", o->dense_layers, o->layers, "\"dense\"", "\"sparse\"");
    ox_buf_add_c(text, ", ");
    add_flags(text, "layer_types", o->full_layers, o->layers, "\"full_attention\"", "\"minimax_m3_sparse\"");
}

static int write_config(const char *folder, const struct mk_model_options *o)
{
    struct ox_buf text;
    ox_buf_init(&text);
    ox_buf_add_c(&text, "{");
    if (o->spelling == MK_TEXT) {
        add_common(&text, o);
        add_resaved(&text, o);
    } else {
        ox_buf_printf(&text,
                      "\"model_type\": \"minimax_m3_vl\", \"tie_word_embeddings\": false, "
                      "\"%s\": %zu, \"%s\": %zu, \"text_config\": {",
                      o->spelling == MK_RELEASED ? "image_token_index" : "image_token_id", o->vocab - 4,
                      o->spelling == MK_RELEASED ? "video_token_index" : "video_token_id", o->vocab - 3);
        add_common(&text, o);
        (o->spelling == MK_RELEASED ? add_released : add_resaved)(&text, o);
        ox_buf_add_c(&text, "}");
    }
    if (o->mixed || o->format == OX_FORMAT_MXFP8) {
        ox_buf_add_c(&text, ", \"quantization_config\": {\"quant_method\": \"mxfp8\", \"weight_block_size\": [1, 32], "
                            "\"activation_scheme\": \"dynamic\"}");
    }
    ox_buf_add_c(&text, "}\n");
    int result = write_text(folder, "config.json", &text);
    ox_buf_clear(&text);
    ox_buf_printf(&text,
                  "{\"bos_token_id\": 0, \"eos_token_id\": %zu, \"temperature\": 1.0, \"top_p\": 0.95, "
                  "\"top_k\": 40}\n",
                  o->vocab - 1);
    if (result == 0) {
        result = write_text(folder, "generation_config.json", &text);
    }
    ox_buf_fini(&text);
    return result;
}

static int write_file(const char *folder, const char *name, const struct ox_tensor *tensors, size_t n)
{
    struct ox_error err;
    char *path = ox_path_join(folder, name);
    if (path == NULL) {
        return -1;
    }
    const enum ox_status status = ox_safetensors_write(path, tensors, n, &err);
    if (status != OX_OK) {
        fprintf(stderr, "%s\n", err.message);
    }
    ox_free(path);
    return status == OX_OK ? 0 : -1;
}

static int write_shards(const struct maker *m, const char *folder)
{
    const size_t n_shards = m->o->n_shards;
    int result = 0;
    if (n_shards <= 1) {
        return write_file(folder, "model.safetensors", m->tensors, m->n_tensors);
    }
    struct ox_buf index;
    ox_buf_init(&index);
    ox_buf_add_c(&index, "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {");
    for (size_t s = 0; result == 0 && s < n_shards; s++) {
        char name[64];
        const size_t begin = m->n_tensors * s / n_shards;
        const size_t end = m->n_tensors * (s + 1) / n_shards;
        snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", s + 1, n_shards);
        result = write_file(folder, name, m->tensors + begin, end - begin);
        for (size_t i = begin; i < end; i++) {
            ox_buf_printf(&index, "%s\n\"%s\": \"%s\"", i > 0 ? "," : "", m->tensors[i].name.ptr, name);
        }
    }
    ox_buf_add_c(&index, "}}\n");
    if (result == 0) {
        result = write_text(folder, "model.safetensors.index.json", &index);
    }
    ox_buf_fini(&index);
    return result;
}

static int copy_tokenizer(const char *folder, const char *from)
{
    struct ox_buf text;
    struct ox_error err;
    int result = -1;
    ox_buf_init(&text);
    if (ox_file_read(from, (size_t)1 << 30, &text, &err) == OX_OK) {
        result = write_text(folder, "tokenizer.json", &text);
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    ox_buf_fini(&text);
    return result;
}

int mk_model(const char *folder, const struct mk_model_options *options)
{
    struct maker m = {.o = options};
    int result = -1;
    mk_remove_folder(folder);
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "%s: cannot be made: %s\n", folder, strerror(errno));
        return -1;
    }
    m.tensors = ox_calloc(MAX_TENSORS, sizeof *m.tensors);
    if (m.tensors != NULL) {
        ox_rng_init(&m.rng, options->seed);
        make_tensors(&m);
        result = m.failed ? -1 : write_shards(&m, folder);
    }
    if (result == 0) {
        result = write_config(folder, options);
    }
    if (result == 0 && options->tokenizer != NULL) {
        result = copy_tokenizer(folder, options->tokenizer);
    }
    for (size_t i = 0; i < m.n_tensors; i++) {
        ox_free((void *)(uintptr_t)m.tensors[i].data);
        ox_free((void *)(uintptr_t)(m.tensors[i].name.len > 0 ? m.tensors[i].name.ptr : NULL));
    }
    ox_free(m.tensors);
    return result;
}

void mk_remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[4096];
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            (void)unlink(path);
        }
    }
    (void)closedir(dir);
    (void)rmdir(folder);
}
