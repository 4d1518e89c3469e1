/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds every tensor that the model needs, checks its shape and type, and makes a typed view of it. Names are
 * asked for in the released spelling; a table says how re-saved files spell them. Vectors are copied to F32 in the end,
 * in one piece, when all are known to be there.
 */
#include "weights/weights.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/number.h"

#define MXFP8_BLOCK ((size_t)32)
#define VECTOR_STEP (OX_ALIGN / sizeof(float)) /* each vector begins at a multiple of this */
#define SCALE_SUFFIX "_scale_inv"

/* A vector to be filled once all are known. */
struct vector {
    const struct ox_tensor *tensor;
    const float **out;
    size_t offset; /* in ox_weights.vectors, floats */
    bool add_one;
};

/* How re-saved files spell a part of a name that released files spell otherwise; the first and second are those of
 * files with the text model alone. Source: checkpoint.md 2.2. */
struct spelling {
    const char *released;
    const char *resaved;
};

static const struct spelling spellings[] = {
    {"language_model.model.", "model."},
    {"language_model.lm_head.", "lm_head."},
    {"block_sparse_moe.", "mlp."},
    {"self_attn.index_", "self_attn.indexer."},
    {"embeddings.patch_embedding.", "embeddings.proj."},
    {"encoder.layers.", "layers."},
    {"patch_merge_mlp.", "multi_modal_projector.merge_"},
};

#define N_SPELLINGS (sizeof spellings / sizeof spellings[0])

/* The state of one bind. */
struct binder {
    const struct ox_checkpoint *checkpoint;
    const struct ox_config *config;
    struct ox_weights *out;
    struct ox_error *err;
    bool resaved[N_SPELLINGS]; /* which of the spellings this checkpoint has */
    struct ox_buf name;        /* the tensor that is looked for, as released files call it */
    struct ox_buf own_name;    /* the same as this checkpoint calls it */
    bool out_of_memory;        /* a name could not be made */
    struct vector *vectors;
    size_t n_vectors;
    size_t vectors_cap;
    size_t n_floats;
};

/* A matrix's tensors; scales for MXFP8 only. */
struct stored {
    const struct ox_tensor *values;
    const struct ox_tensor *scales;
    enum ox_format format;
};

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* A part is spelt as in re-saved files where no tensor's name has the released spelling. */
static void find_spellings(struct binder *b)
{
    for (size_t i = 0; i < N_SPELLINGS; i++) {
        const struct ox_str released = ox_str_c(spellings[i].released);
        b->resaved[i] = true;
        for (size_t j = 0; b->resaved[i] && j < ox_checkpoint_n_tensors(b->checkpoint); j++) {
            const struct ox_str name = ox_checkpoint_tensor(b->checkpoint, j)->name;
            b->resaved[i] = ox_str_find(name, released, 0) == name.len;
        }
    }
}

static void set_name(struct binder *b, const char *name)
{
    ox_buf_clear(&b->name);
    ox_buf_add_c(&b->name, name);
}

static void set_layer_name(struct binder *b, size_t layer, const char *rest)
{
    ox_buf_clear(&b->name);
    ox_buf_printf(&b->name, "language_model.model.layers.%zu.%s", layer, rest);
}

/* The tensor called b->name; NULL if there is none. */
static const struct ox_tensor *find(struct binder *b)
{
    struct ox_str rest = ox_buf_str(&b->name);
    ox_buf_clear(&b->own_name);
    for (size_t i = 0; i < N_SPELLINGS; i++) {
        const struct ox_str released = ox_str_c(spellings[i].released);
        const size_t at = b->resaved[i] ? ox_str_find(rest, released, 0) : rest.len;
        if (at < rest.len) {
            ox_buf_add(&b->own_name, rest.ptr, at);
            ox_buf_add_c(&b->own_name, spellings[i].resaved);
            rest = ox_str_make(rest.ptr + at + released.len, rest.len - at - released.len);
        }
    }
    ox_buf_add_str(&b->own_name, rest);
    if (ox_buf_failed(&b->name) || ox_buf_failed(&b->own_name)) {
        b->out_of_memory = true;
        return NULL;
    }
    return ox_checkpoint_find(b->checkpoint, ox_buf_str(&b->own_name));
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

/* "FILE: tensor NAME: expected EXPECTED, found FOUND" */
static enum ox_status unlike(const struct binder *b, const struct ox_tensor *t, const char *expected, const char *found)
{
    const struct ox_label label = ox_label_make(t->name);
    return ox_error_set(b->err, OX_E_SHAPE, "%s: tensor %s: expected %s, found %s",
                        ox_checkpoint_file_name(b->checkpoint, t->i_file), label.text, expected, found);
}

static enum ox_status missing(const struct binder *b, const char *expected)
{
    const struct ox_label label = ox_label_make(ox_buf_str(&b->name));
    const size_t n_files = ox_checkpoint_n_files(b->checkpoint);
    if (b->out_of_memory) {
        return ox_error_nomem(b->err, b->name.len);
    }
    if (n_files == 1) {
        return ox_error_set(b->err, OX_E_SHAPE, "%s: tensor %s: expected %s, found no such tensor",
                            ox_checkpoint_file_name(b->checkpoint, 0), label.text, expected);
    }
    return ox_error_set(b->err, OX_E_SHAPE, "tensor %s: expected %s in one of %zu files (%s...), found no such tensor",
                        label.text, expected, n_files, ox_checkpoint_file_name(b->checkpoint, 0));
}

static enum ox_status check_shape(const struct binder *b, const struct ox_tensor *t, const size_t *dims, size_t n_dims)
{
    if (t->n_dims == n_dims && memcmp(t->dims, dims, n_dims * sizeof *dims) == 0) {
        return OX_OK;
    }
    const struct ox_label expected = ox_shape_label(dims, n_dims);
    const struct ox_label found = ox_shape_label(t->dims, t->n_dims);
    return unlike(b, t, expected.text, found.text);
}

static bool float_format(enum ox_dtype dtype, enum ox_format *out)
{
    switch (dtype) {
    case OX_DTYPE_F32:
        *out = OX_FORMAT_F32;
        return true;
    case OX_DTYPE_F16:
        *out = OX_FORMAT_F16;
        return true;
    case OX_DTYPE_BF16:
        *out = OX_FORMAT_BF16;
        return true;
    default:
        return false;
    }
}

/* The scales of the tensor called b->name, whose shape is dims. */
static enum ox_status need_scales(struct binder *b, const struct ox_tensor *values, const size_t *dims, size_t n_dims,
                                  const struct ox_tensor *scales)
{
    size_t scale_dims[OX_TENSOR_MAX_DIMS];
    const size_t cols = dims[n_dims - 1];
    if (cols % MXFP8_BLOCK != 0) {
        char found[64];
        snprintf(found, sizeof found, "%zu", cols);
        return unlike(b, values, "columns in blocks of 32 for F8_E4M3", found);
    }
    memcpy(scale_dims, dims, n_dims * sizeof *dims);
    scale_dims[n_dims - 1] = cols / MXFP8_BLOCK;
    if (scales == NULL) {
        const struct ox_label expected = ox_shape_label(scale_dims, n_dims);
        ox_buf_add_c(&b->name, SCALE_SUFFIX);
        return missing(b, expected.text);
    }
    if (scales->dtype != OX_DTYPE_U8 && scales->dtype != OX_DTYPE_F8_E8M0) {
        return unlike(b, scales, "U8 or F8_E8M0", ox_dtype_name(scales->dtype));
    }
    return check_shape(b, scales, scale_dims, n_dims);
}

/* Find the tensor called b->name, and its scales if it has any, and check all about them. */
static enum ox_status need_stored(struct binder *b, const size_t *dims, size_t n_dims, struct stored *out)
{
    const size_t name_len = b->name.len;
    const struct ox_tensor *t = find(b);
    ox_buf_add_c(&b->name, SCALE_SUFFIX);
    const struct ox_tensor *scales = find(b);
    ox_buf_cut(&b->name, name_len);
    if (t == NULL) {
        const struct ox_label expected = ox_shape_label(dims, n_dims);
        return missing(b, expected.text);
    }
    enum ox_format format = OX_FORMAT_MXFP8;
    enum ox_status status;
    if (scales != NULL && t->dtype != OX_DTYPE_F8_E4M3) {
        return unlike(b, t, "F8_E4M3, as there is a " SCALE_SUFFIX, ox_dtype_name(t->dtype));
    }
    if (t->dtype != OX_DTYPE_F8_E4M3 && !float_format(t->dtype, &format)) {
        return unlike(b, t, "F32, F16, BF16 or F8_E4M3", ox_dtype_name(t->dtype));
    }
    status = check_shape(b, t, dims, n_dims);
    if (status == OX_OK && format == OX_FORMAT_MXFP8) {
        status = need_scales(b, t, dims, n_dims, scales);
    }
    if (status == OX_OK) {
        *out = (struct stored){t, scales, format};
    }
    return status;
}

/* Rows [first, first + rows) of a stored tensor, its leading dimensions taken as rows. */
static struct ox_matrix view(const struct stored *s, size_t first, size_t rows, size_t cols)
{
    struct ox_matrix m = {.format = s->format, .rows = rows, .cols = cols};
    m.row_bytes = cols * ox_dtype_bytes(s->values->dtype);
    m.values = s->values->data + first * m.row_bytes;
    if (s->format == OX_FORMAT_MXFP8) {
        m.scale_row_bytes = cols / MXFP8_BLOCK;
        m.scales = s->scales->data + first * m.scale_row_bytes;
    }
    return m;
}

/* ---- matrices and vectors ---------------------------------------------------------------------------------------- */

static enum ox_status need_matrix(struct binder *b, size_t rows, size_t cols, struct ox_matrix *out)
{
    const size_t dims[] = {rows, cols};
    struct stored stored;
    const enum ox_status status = need_stored(b, dims, 2, &stored);
    if (status == OX_OK) {
        *out = view(&stored, 0, rows, cols);
    }
    return status;
}

/* A vector with its place among the copies; add_one: of a norm whose file lacks the 1. */
static enum ox_status need_vector(struct binder *b, size_t n, bool add_one, const float **out)
{
    const struct ox_tensor *t = find(b);
    enum ox_format format;
    if (t == NULL) {
        const struct ox_label expected = ox_shape_label(&n, 1);
        return missing(b, expected.text);
    }
    if (!float_format(t->dtype, &format)) {
        return unlike(b, t, "F32, F16 or BF16", ox_dtype_name(t->dtype));
    }
    const enum ox_status status = check_shape(b, t, &n, 1);
    if (status != OX_OK) {
        return status;
    }
    void *vectors = b->vectors;
    if (ox_grow(&vectors, &b->vectors_cap, b->n_vectors + 1, sizeof *b->vectors) != 0) {
        return ox_error_nomem(b->err, (b->n_vectors + 1) * sizeof *b->vectors);
    }
    b->vectors = vectors;
    b->vectors[b->n_vectors++] = (struct vector){t, out, b->n_floats, add_one};
    b->n_floats += (n + VECTOR_STEP - 1) / VECTOR_STEP * VECTOR_STEP;
    return OX_OK;
}

static float load_float(const struct ox_tensor *t, size_t i)
{
    struct ox_f16 f16;
    struct ox_bf16 bf16;
    float f32;
    switch (t->dtype) {
    case OX_DTYPE_F16:
        memcpy(&f16, t->data + i * sizeof f16, sizeof f16);
        return ox_f32_from_f16(f16);
    case OX_DTYPE_BF16:
        memcpy(&bf16, t->data + i * sizeof bf16, sizeof bf16);
        return ox_f32_from_bf16(bf16);
    default:
        memcpy(&f32, t->data + i * sizeof f32, sizeof f32);
        return f32;
    }
}

static enum ox_status copy_vectors(struct binder *b)
{
    float *floats = ox_calloc_aligned(b->n_floats, sizeof *floats);
    if (floats == NULL) {
        return ox_error_nomem(b->err, b->n_floats * sizeof *floats);
    }
    b->out->vectors = floats;
    for (size_t i = 0; i < b->n_vectors; i++) {
        const struct vector *v = &b->vectors[i];
        float *to = floats + v->offset;
        for (size_t j = 0; j < v->tensor->dims[0]; j++) {
            const float x = load_float(v->tensor, j);
            to[j] = v->add_one ? 1.0f + x : x;
        }
        *v->out = to;
    }
    return OX_OK;
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

struct matrix_row {
    const char *name;
    size_t rows;
    size_t cols;
    struct ox_matrix *out;
};

struct norm_row {
    const char *name;
    size_t n;
    const float **out;
};

static enum ox_status bind_matrices(struct binder *b, size_t layer, const struct matrix_row *rows, size_t n)
{
    enum ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        set_layer_name(b, layer, rows[i].name);
        status = need_matrix(b, rows[i].rows, rows[i].cols, rows[i].out);
    }
    return status;
}

static enum ox_status bind_norms(struct binder *b, size_t layer, const struct norm_row *rows, size_t n)
{
    enum ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        set_layer_name(b, layer, rows[i].name);
        status = need_vector(b, rows[i].n, b->config->norm_adds_one, rows[i].out);
    }
    return status;
}

static enum ox_status bind_attention(struct binder *b, size_t layer, struct ox_layer_weights *w)
{
    const struct ox_config *c = b->config;
    const size_t q_rows = c->n_heads * c->head_dim;
    const size_t kv_rows = c->n_kv_heads * c->head_dim;
    const struct norm_row norms[] = {
        {"input_layernorm.weight", c->hidden, &w->input_norm},
        {"post_attention_layernorm.weight", c->hidden, &w->post_norm},
        {"self_attn.q_norm.weight", c->head_dim, &w->q_norm},
        {"self_attn.k_norm.weight", c->head_dim, &w->k_norm},
        {"self_attn.index_q_norm.weight", c->index_dim, &w->index_q_norm},
        {"self_attn.index_k_norm.weight", c->index_dim, &w->index_k_norm},
    };
    const struct matrix_row matrices[] = {
        {"self_attn.q_proj.weight", q_rows, c->hidden, &w->q},
        {"self_attn.k_proj.weight", kv_rows, c->hidden, &w->k},
        {"self_attn.v_proj.weight", kv_rows, c->hidden, &w->v},
        {"self_attn.o_proj.weight", c->hidden, q_rows, &w->o},
        {"self_attn.index_q_proj.weight", c->n_index_heads * c->index_dim, c->hidden, &w->index_q},
        {"self_attn.index_k_proj.weight", c->index_dim, c->hidden, &w->index_k},
    };
    const size_t n = c->sparse_layer[layer] ? 6 : 4; /* the index branch's are last */
    const enum ox_status status = bind_norms(b, layer, norms, n);
    return status == OX_OK ? bind_matrices(b, layer, matrices, n) : status;
}

static enum ox_status bind_mlp(struct binder *b, size_t layer, const char *prefix, size_t inter,
                               struct ox_mlp_weights *w)
{
    const size_t hidden = b->config->hidden;
    const struct matrix_row rows[] = {
        {"gate_proj.weight", inter, hidden, &w->gate},
        {"up_proj.weight", inter, hidden, &w->up},
        {"down_proj.weight", hidden, inter, &w->down},
    };
    enum ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < 3; i++) {
        set_layer_name(b, layer, prefix);
        ox_buf_add_c(&b->name, rows[i].name);
        status = need_matrix(b, rows[i].rows, rows[i].cols, rows[i].out);
    }
    return status;
}

/* Everything of a layer but its routed experts. */
static enum ox_status bind_layer(struct binder *b, size_t layer)
{
    const struct ox_config *c = b->config;
    struct ox_layer_weights *w = &b->out->layers[layer];
    enum ox_status status = bind_attention(b, layer, w);
    if (status == OX_OK && !c->moe_layer[layer]) {
        return bind_mlp(b, layer, "mlp.", c->dense_inter, &w->mlp);
    }
    if (status == OX_OK) {
        set_layer_name(b, layer, "block_sparse_moe.gate.weight");
        status = need_matrix(b, c->n_experts, c->hidden, &w->router);
    }
    if (status == OX_OK) {
        set_layer_name(b, layer, "block_sparse_moe.e_score_correction_bias");
        status = need_vector(b, c->n_experts, false, &w->router_bias);
    }
    if (status == OX_OK && c->shared_inter > 0) {
        status = bind_mlp(b, layer, "block_sparse_moe.shared_experts.", c->shared_inter, &w->shared);
    }
    return status;
}

/* Experts in two tensors for all: rows of gate, then of up; and down. */
static enum ox_status bind_fused_experts(struct binder *b, size_t layer, struct ox_mlp_weights *experts)
{
    const struct ox_config *c = b->config;
    const size_t inter = c->expert_inter;
    const size_t gate_up_dims[] = {c->n_experts, 2 * inter, c->hidden};
    const size_t down_dims[] = {c->n_experts, c->hidden, inter};
    struct stored gate_up;
    struct stored down;
    set_layer_name(b, layer, "block_sparse_moe.experts.gate_up_proj");
    enum ox_status status = need_stored(b, gate_up_dims, 3, &gate_up);
    if (status == OX_OK) {
        set_layer_name(b, layer, "block_sparse_moe.experts.down_proj");
        status = need_stored(b, down_dims, 3, &down);
    }
    for (size_t e = 0; status == OX_OK && e < c->n_experts; e++) {
        experts[e].gate = view(&gate_up, 2 * e * inter, inter, c->hidden);
        experts[e].up = view(&gate_up, (2 * e + 1) * inter, inter, c->hidden);
        experts[e].down = view(&down, e * c->hidden, c->hidden, inter);
    }
    return status;
}

static enum ox_status bind_experts(struct binder *b, size_t layer, struct ox_mlp_weights *experts)
{
    const struct ox_config *c = b->config;
    enum ox_status status = OX_OK;
    set_layer_name(b, layer, "block_sparse_moe.experts.gate_up_proj");
    if (find(b) != NULL) {
        return bind_fused_experts(b, layer, experts);
    }
    for (size_t e = 0; status == OX_OK && e < c->n_experts; e++) {
        const struct matrix_row rows[] = {
            {"w1", c->expert_inter, c->hidden, &experts[e].gate},
            {"w2", c->hidden, c->expert_inter, &experts[e].down},
            {"w3", c->expert_inter, c->hidden, &experts[e].up},
        };
        for (size_t i = 0; status == OX_OK && i < 3; i++) {
            set_layer_name(b, layer, "block_sparse_moe.experts.");
            ox_buf_printf(&b->name, "%zu.%s.weight", e, rows[i].name);
            status = need_matrix(b, rows[i].rows, rows[i].cols, rows[i].out);
        }
    }
    return status;
}

static enum ox_status bind_all_experts(struct binder *b)
{
    const struct ox_config *c = b->config;
    size_t n = 0;
    for (size_t i = 0; i < c->n_layers; i++) {
        n += c->moe_layer[i] ? c->n_experts : 0;
    }
    struct ox_mlp_weights *experts = ox_calloc(n, sizeof *experts);
    if (experts == NULL) {
        return ox_error_nomem(b->err, n * sizeof *experts);
    }
    b->out->all_experts = experts;
    enum ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < c->n_layers; i++) {
        if (c->moe_layer[i]) {
            b->out->layers[i].experts = experts;
            status = bind_experts(b, i, experts);
            experts += c->n_experts;
        }
    }
    return status;
}

/* ---- vision ------------------------------------------------------------------------------------------------------ */

#define VISION_PREFIX "vision_tower.vision_model."

/* The last part of the name that is looked for, and what it must be. */
struct affine_row {
    const char *name;
    size_t rows;
    size_t cols;
    struct ox_affine *out;
};

/* NAME.weight and NAME.bias for each row; prefix stands before. */
static enum ox_status bind_affines(struct binder *b, const char *prefix, const struct affine_row *rows, size_t n)
{
    enum ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        set_name(b, prefix);
        ox_buf_add_c(&b->name, rows[i].name);
        ox_buf_add_c(&b->name, ".weight");
        status = need_matrix(b, rows[i].rows, rows[i].cols, &rows[i].out->weight);
        if (status == OX_OK) {
            set_name(b, prefix);
            ox_buf_add_c(&b->name, rows[i].name);
            ox_buf_add_c(&b->name, ".bias");
            status = need_vector(b, rows[i].rows, false, &rows[i].out->bias);
        }
    }
    return status;
}

static enum ox_status bind_layer_norm(struct binder *b, const char *prefix, const char *name, struct ox_layer_norm *out)
{
    const size_t n = b->config->vision.hidden;
    set_name(b, prefix);
    ox_buf_add_c(&b->name, name);
    ox_buf_add_c(&b->name, ".weight");
    enum ox_status status = need_vector(b, n, false, &out->weight);
    if (status == OX_OK) {
        set_name(b, prefix);
        ox_buf_add_c(&b->name, name);
        ox_buf_add_c(&b->name, ".bias");
        status = need_vector(b, n, false, &out->bias);
    }
    return status;
}

/* The convolution over a patch is a matrix: patches do not overlap. */
static enum ox_status bind_patch(struct binder *b)
{
    const struct ox_vision_config *v = &b->config->vision;
    const size_t dims[] = {v->hidden, v->n_channels, v->temporal, v->patch, v->patch};
    struct stored stored;
    set_name(b, VISION_PREFIX "embeddings.patch_embedding.weight");
    const enum ox_status status = need_stored(b, dims, 5, &stored);
    if (status == OX_OK) {
        b->out->vision.patch = view(&stored, 0, v->hidden, v->n_channels * v->temporal * v->patch * v->patch);
    }
    return status;
}

static enum ox_status bind_vision_layer(struct binder *b, size_t layer)
{
    const struct ox_vision_config *v = &b->config->vision;
    struct ox_vision_layer *w = &b->out->vision.layers[layer];
    const struct affine_row rows[] = {
        {"self_attn.q_proj", v->hidden, v->hidden, &w->q},     {"self_attn.k_proj", v->hidden, v->hidden, &w->k},
        {"self_attn.v_proj", v->hidden, v->hidden, &w->v},     {"self_attn.out_proj", v->hidden, v->hidden, &w->out},
        {"mlp.fc1", v->inter, v->hidden, &w->fc1},             {"mlp.fc2", v->hidden, v->inter, &w->fc2},
    };
    char prefix[64];
    snprintf(prefix, sizeof prefix, VISION_PREFIX "encoder.layers.%zu.", layer);
    enum ox_status status = bind_layer_norm(b, prefix, "layer_norm1", &w->norm1);
    if (status == OX_OK) {
        status = bind_layer_norm(b, prefix, "layer_norm2", &w->norm2);
    }
    return status == OX_OK ? bind_affines(b, prefix, rows, sizeof rows / sizeof rows[0]) : status;
}

bool ox_weights_see(const struct ox_checkpoint *checkpoint, const struct ox_config *config)
{
    static const char *const prefixes[] = {"vision_tower.", "multi_modal_projector.", "patch_merge_mlp."};
    for (size_t i = 0; config->has_vision && i < ox_checkpoint_n_tensors(checkpoint); i++) {
        const struct ox_str name = ox_checkpoint_tensor(checkpoint, i)->name;
        for (size_t j = 0; j < sizeof prefixes / sizeof prefixes[0]; j++) {
            if (ox_str_find(name, ox_str_c(prefixes[j]), 0) < name.len) {
                return true;
            }
        }
    }
    return false;
}

static enum ox_status bind_vision(struct binder *b)
{
    const struct ox_vision_config *v = &b->config->vision;
    struct ox_vision_weights *w = &b->out->vision;
    const size_t text = b->config->hidden;
    const struct affine_row rows[] = {
        {"multi_modal_projector.linear_1", v->projector, v->hidden, &w->project1},
        {"multi_modal_projector.linear_2", text, v->projector, &w->project2},
        {"patch_merge_mlp.linear_1", v->projector, text * v->merge * v->merge, &w->merge1},
        {"patch_merge_mlp.linear_2", text, v->projector, &w->merge2},
    };
    if (!ox_weights_see(b->checkpoint, b->config)) {
        return OX_OK;
    }
    enum ox_status status = bind_patch(b);
    if (status == OX_OK) {
        status = bind_layer_norm(b, VISION_PREFIX, "pre_layrnorm", &w->pre_norm);
    }
    if (status == OX_OK) {
        status = bind_affines(b, "", rows, sizeof rows / sizeof rows[0]);
    }
    if (status == OX_OK) {
        w->layers = ox_calloc(v->n_layers, sizeof *w->layers);
        status = w->layers != NULL ? OX_OK : ox_error_nomem(b->err, v->n_layers * sizeof *w->layers);
    }
    for (size_t i = 0; status == OX_OK && i < v->n_layers; i++) {
        status = bind_vision_layer(b, i);
    }
    return status;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* Nothing is allocated by the configuration's word alone: what exists in the file comes first. */
static enum ox_status bind(struct binder *b)
{
    const struct ox_config *c = b->config;
    find_spellings(b);
    set_name(b, "language_model.model.embed_tokens.weight");
    enum ox_status status = need_matrix(b, c->vocab, c->hidden, &b->out->embed);
    if (status == OX_OK) {
        set_name(b, "language_model.lm_head.weight");
        status = need_matrix(b, c->vocab, c->hidden, &b->out->head);
    }
    if (status == OX_OK) {
        set_name(b, "language_model.model.norm.weight");
        status = need_vector(b, c->hidden, c->norm_adds_one, &b->out->norm);
    }
    if (status != OX_OK) {
        return status;
    }
    b->out->layers = ox_calloc(c->n_layers, sizeof *b->out->layers);
    if (b->out->layers == NULL) {
        return ox_error_nomem(b->err, c->n_layers * sizeof *b->out->layers);
    }
    b->out->n_layers = c->n_layers;
    for (size_t i = 0; status == OX_OK && i < c->n_layers; i++) {
        status = bind_layer(b, i);
    }
    if (status == OX_OK) {
        status = bind_all_experts(b);
    }
    if (status == OX_OK) {
        status = bind_vision(b);
    }
    return status == OX_OK ? copy_vectors(b) : status;
}

enum ox_status ox_weights_bind(const struct ox_checkpoint *checkpoint, const struct ox_config *config,
                               struct ox_weights *out, struct ox_error *err)
{
    struct ox_weights weights = {.norm = NULL};
    struct binder b = {.checkpoint = checkpoint, .config = config, .out = &weights, .err = err};
    enum ox_status status = bind(&b);
    if (status == OX_OK && b.out_of_memory) {
        status = ox_error_nomem(err, b.name.len);
    }
    ox_buf_fini(&b.name);
    ox_buf_fini(&b.own_name);
    ox_free(b.vectors);
    if (status == OX_OK) {
        *out = weights;
    } else {
        ox_weights_fini(&weights);
    }
    return status;
}

void ox_weights_fini(struct ox_weights *weights)
{
    ox_free(weights->layers);
    ox_free(weights->all_experts);
    ox_free(weights->vectors);
    ox_free(weights->vision.layers);
    *weights = (struct ox_weights){.norm = NULL};
}
