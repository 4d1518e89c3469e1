/* SPDX-License-Identifier: Apache-2.0
 *
 * Binding: every view lies where its tensor lies, in every format, spelling and number of files; norms have their 1,
 * vectors of every type their values. What is refused: test_wrong_files.c.
 */
#include "weights/weights.h"

#include <stdarg.h>
#include <sys/stat.h>

#include "base/number.h"
#include "tests/bind_model.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"
#include "weights/safetensors.h"

#define FOLDER "test-weights.tmp"

static const struct ox_tensor *tensor(const struct bound_model *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static const struct ox_tensor *tensor(const struct bound_model *m, const char *format, ...)
{
    char name[256];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return ox_checkpoint_find(m->checkpoint, ox_str_c(name));
}

/* Is w the view of rows [first, first + rows) of t (and its scales)? */
static bool is_view(const struct bound_model *m, const struct ox_matrix *w, const struct ox_tensor *t, size_t first,
                    size_t rows, size_t cols)
{
    static const enum ox_dtype dtypes[OX_N_FORMATS] = {OX_DTYPE_F32, OX_DTYPE_F16, OX_DTYPE_BF16, OX_DTYPE_F8_E4M3};
    if (t == NULL || w->rows != rows || w->cols != cols || t->dtype != dtypes[w->format]) {
        return false;
    }
    const bool values = w->row_bytes == cols * ox_dtype_bytes(t->dtype) && w->values == t->data + first * w->row_bytes;
    if (w->format != OX_FORMAT_MXFP8) {
        return values && w->scales == NULL && w->scale_row_bytes == 0;
    }
    const struct ox_tensor *s = tensor(m, "%s_scale_inv", t->name.ptr);
    return values && s != NULL && w->scale_row_bytes == cols / 32 && w->scales == s->data + first * (cols / 32);
}

static float value(const struct ox_tensor *t, size_t i)
{
    uint32_t f32;
    uint16_t u16;
    if (t->dtype == OX_DTYPE_F32) {
        memcpy(&f32, t->data + 4 * i, 4);
        return ox_f32_from_bits(f32);
    }
    memcpy(&u16, t->data + 2 * i, 2);
    if (t->dtype == OX_DTYPE_F16) {
        return ox_f32_from_f16((struct ox_f16){u16});
    }
    return ox_f32_from_bf16((struct ox_bf16){u16});
}

/* Is v the tensor's values with `plus` added in F32? */
static bool is_vector(const float *v, const struct ox_tensor *t, size_t n, float plus)
{
    bool same = v != NULL && t != NULL && t->len / ox_dtype_bytes(t->dtype) == n && (uintptr_t)v % OX_ALIGN == 0;
    for (size_t i = 0; same && i < n; i++) {
        same = v[i] == plus + value(t, i);
    }
    return same;
}

/* The names' parts that depend on the spelling. */
struct names {
    const char *prefix;
    const char *moe;
    const char *index;
};

static struct names names_of(enum mk_spelling spelling)
{
    static const struct names released = {"language_model.", "block_sparse_moe", "index_"};
    static const struct names resaved = {"language_model.", "mlp", "indexer."};
    static const struct names text = {"", "mlp", "indexer."};
    if (spelling == MK_RELEASED) {
        return released;
    }
    return spelling == MK_TEXT ? text : resaved;
}

static bool attention_bound(const struct bound_model *m, const struct mk_model_options *o, size_t i)
{
    const struct ox_layer_weights *w = &m->weights.layers[i];
    const struct names n = names_of(o->spelling);
    char l[128];
    snprintf(l, sizeof l, "%smodel.layers.%zu.", n.prefix, i);
    const size_t q = o->heads * o->head_dim;
    const size_t kv = o->kv_heads * o->head_dim;
    bool good = is_vector(w->input_norm, tensor(m, "%sinput_layernorm.weight", l), o->hidden, 1) &&
                is_vector(w->post_norm, tensor(m, "%spost_attention_layernorm.weight", l), o->hidden, 1) &&
                is_vector(w->q_norm, tensor(m, "%sself_attn.q_norm.weight", l), o->head_dim, 1) &&
                is_vector(w->k_norm, tensor(m, "%sself_attn.k_norm.weight", l), o->head_dim, 1) &&
                is_view(m, &w->q, tensor(m, "%sself_attn.q_proj.weight", l), 0, q, o->hidden) &&
                is_view(m, &w->k, tensor(m, "%sself_attn.k_proj.weight", l), 0, kv, o->hidden) &&
                is_view(m, &w->v, tensor(m, "%sself_attn.v_proj.weight", l), 0, kv, o->hidden) &&
                is_view(m, &w->o, tensor(m, "%sself_attn.o_proj.weight", l), 0, o->hidden, q);
    if (i < o->full_layers) {
        return good && w->index_q.values == NULL && w->index_q_norm == NULL;
    }
    const size_t rows = o->kv_heads * o->index_dim;
    good = good && is_vector(w->index_q_norm, tensor(m, "%sself_attn.%sq_norm.weight", l, n.index), o->index_dim, 1) &&
           is_vector(w->index_k_norm, tensor(m, "%sself_attn.%sk_norm.weight", l, n.index), o->index_dim, 1);
    return good && is_view(m, &w->index_q, tensor(m, "%sself_attn.%sq_proj.weight", l, n.index), 0, rows, o->hidden) &&
           is_view(m, &w->index_k, tensor(m, "%sself_attn.%sk_proj.weight", l, n.index), 0, o->index_dim, o->hidden);
}

static bool mlp_bound(const struct bound_model *m, const struct ox_mlp_weights *w, const char *name, size_t inter,
                      size_t hidden)
{
    return is_view(m, &w->gate, tensor(m, "%sgate_proj.weight", name), 0, inter, hidden) &&
           is_view(m, &w->up, tensor(m, "%sup_proj.weight", name), 0, inter, hidden) &&
           is_view(m, &w->down, tensor(m, "%sdown_proj.weight", name), 0, hidden, inter);
}

static bool expert_bound(const struct bound_model *m, const struct mk_model_options *o, size_t i, size_t e)
{
    const struct ox_mlp_weights *w = &m->weights.layers[i].experts[e];
    const struct names n = names_of(o->spelling);
    char x[128];
    snprintf(x, sizeof x, "%smodel.layers.%zu.%s.experts.", n.prefix, i, n.moe);
    if (o->spelling != MK_RELEASED) {
        const struct ox_tensor *gate_up = tensor(m, "%sgate_up_proj", x);
        return is_view(m, &w->gate, gate_up, 2 * e * o->inter, o->inter, o->hidden) &&
               is_view(m, &w->up, gate_up, (2 * e + 1) * o->inter, o->inter, o->hidden) &&
               is_view(m, &w->down, tensor(m, "%sdown_proj", x), e * o->hidden, o->hidden, o->inter);
    }
    return is_view(m, &w->gate, tensor(m, "%s%zu.w1.weight", x, e), 0, o->inter, o->hidden) &&
           is_view(m, &w->up, tensor(m, "%s%zu.w3.weight", x, e), 0, o->inter, o->hidden) &&
           is_view(m, &w->down, tensor(m, "%s%zu.w2.weight", x, e), 0, o->hidden, o->inter);
}

static bool ffn_bound(const struct bound_model *m, const struct mk_model_options *o, size_t i)
{
    const struct ox_layer_weights *w = &m->weights.layers[i];
    const struct names n = names_of(o->spelling);
    char name[128];
    if (i < o->dense_layers) {
        snprintf(name, sizeof name, "%smodel.layers.%zu.mlp.", n.prefix, i);
        return mlp_bound(m, &w->mlp, name, o->dense_inter, o->hidden) && w->experts == NULL && w->router.values == NULL;
    }
    snprintf(name, sizeof name, "%smodel.layers.%zu.%s.", n.prefix, i, n.moe);
    bool good = is_view(m, &w->router, tensor(m, "%sgate.weight", name), 0, o->experts, o->hidden) &&
                is_vector(w->router_bias, tensor(m, "%se_score_correction_bias", name), o->experts, 0) &&
                w->mlp.gate.values == NULL;
    for (size_t e = 0; good && e < o->experts; e++) {
        good = expert_bound(m, o, i, e);
    }
    snprintf(name, sizeof name, "%smodel.layers.%zu.%s.shared_experts.", n.prefix, i, n.moe);
    return good && (o->shared_inter == 0 ? w->shared.gate.values == NULL
                                         : mlp_bound(m, &w->shared, name, o->shared_inter, o->hidden));
}

static void check_model(const struct mk_model_options *o, const char *what)
{
    struct bound_model m;
    struct ox_error err;
    memset(&err, 0, sizeof err);
    if (!OK(mk_model(FOLDER, o) == 0, "%s: made", what) ||
        !OK(bind_model(FOLDER, &m, &err) == OX_OK, "%s: bound %s", what, err.message)) {
        return;
    }
    const char *prefix = names_of(o->spelling).prefix;
    OK(is_view(&m, &m.weights.embed, tensor(&m, "%smodel.embed_tokens.weight", prefix), 0, o->vocab, o->hidden) &&
           is_view(&m, &m.weights.head, tensor(&m, "%slm_head.weight", prefix), 0, o->vocab, o->hidden) &&
           is_vector(m.weights.norm, tensor(&m, "%smodel.norm.weight", prefix), o->hidden, 1),
       "%s: embedding, head, norm", what);
    IS_INT(m.weights.n_layers, o->layers, "layers");
    for (size_t i = 0; i < o->layers; i++) {
        OK(attention_bound(&m, o, i), "%s: layer %zu attention", what, i);
        OK(ffn_bound(&m, o, i), "%s: layer %zu feed-forward", what, i);
    }
    close_model(&m);
    OK(m.weights.layers == NULL && m.weights.vectors == NULL && m.weights.all_experts == NULL, "%s: fini empties",
       what);
    ox_weights_fini(&m.weights);
}

static void test_formats(void)
{
    struct mk_model_options o = mk_model_default();
    for (enum ox_format format = OX_FORMAT_F32; format < OX_N_FORMATS; format++) {
        o.format = format;
        check_model(&o, ox_format_name(format));
    }
    o.mixed = true;
    o.n_shards = 7;
    check_model(&o, "every format in one model, seven files");
    o.mixed = false;
    o.format = OX_FORMAT_BF16;
    o.shared_inter = 0;
    o.full_layers = 4;
    check_model(&o, "no shared expert, no sparse layer");
}

static void test_spellings(void)
{
    struct mk_model_options o = mk_model_default();
    o.spelling = MK_RESAVED;
    check_model(&o, "re-saved");
    o.format = OX_FORMAT_MXFP8;
    o.spelling = MK_TEXT;
    o.n_shards = 3;
    check_model(&o, "text alone, MXFP8");
}

/* Sizes that are multiples of nothing. */
static void test_odd(void)
{
    struct mk_model_options o = mk_model_default();
    o.hidden = 52;
    o.heads = 6;
    o.kv_heads = 3;
    o.head_dim = 10;
    o.index_dim = 9;
    o.inter = 7;
    o.shared_inter = 5;
    o.dense_inter = 11;
    o.experts = 3;
    o.vocab = 31;
    o.format = OX_FORMAT_F16;
    check_model(&o, "odd sizes");
}

/* Norms as they are where the file has the 1 already; all types of vectors; scales of type F8_E8M0. */
static void test_vectors(void)
{
    struct mk_model_options o = mk_model_default();
    struct bound_model m;
    struct ox_error err;
    struct ox_tensor tensors[512];
    static uint8_t bytes[64 * 4];
    o.format = OX_FORMAT_MXFP8;
    if (!OK(mk_model(FOLDER, &o) == 0 && bind_model(FOLDER, &m, &err) == OX_OK, "model")) {
        return;
    }
    const size_t n = ox_checkpoint_n_tensors(m.checkpoint);
    size_t n_vectors = 0;
    OK(n <= 512, "room for all tensors");
    for (size_t i = 0; i < 64; i++) {
        const float x = (float)i / 64.0f - 0.3f;
        memcpy(bytes + 4 * i, &x, 4);
    }
    for (size_t i = 0; i < n; i++) {
        tensors[i] = *ox_checkpoint_tensor(m.checkpoint, i);
        if (tensors[i].dtype == OX_DTYPE_U8) {
            tensors[i].dtype = OX_DTYPE_F8_E8M0;
        } else if (tensors[i].n_dims == 1 && tensors[i].dtype == OX_DTYPE_BF16 && n_vectors++ % 3 == 0) {
            tensors[i].dtype = OX_DTYPE_F32;
            tensors[i].data = bytes;
        } else if (tensors[i].n_dims == 1 && n_vectors % 3 == 2) {
            tensors[i].dtype = tensors[i].dtype == OX_DTYPE_BF16 ? OX_DTYPE_F16 : tensors[i].dtype;
        }
    }
    OK(ox_safetensors_write(FOLDER "/2.safetensors", tensors, n, &err) == OX_OK, "second file");
    close_model(&m);
    memset(&m.weights, 0, sizeof m.weights);
    OK(ox_checkpoint_open(FOLDER "/2.safetensors", NULL, &m.checkpoint, &err) == OX_OK, "opened");
    bool types[3] = {false, false, false};
    for (size_t i = 0; i < n; i++) {
        const struct ox_tensor *t = ox_checkpoint_tensor(m.checkpoint, i);
        if (t->n_dims == 1) {
            types[t->dtype] = true;
        }
    }
    OK(types[OX_DTYPE_F32] && types[OX_DTYPE_F16] && types[OX_DTYPE_BF16], "vectors of all types");
    for (int plus = 0; plus < 2; plus++) {
        m.config.norm_adds_one = plus == 1;
        if (!OK(ox_weights_bind(m.checkpoint, &m.config, &m.weights, &err) == OX_OK, "bound: %s", err.message)) {
            continue;
        }
        bool good = true;
        for (size_t i = 0; i < o.layers; i++) {
            const struct ox_layer_weights *w = &m.weights.layers[i];
            const char *l = "language_model.model.layers.";
            good = good &&
                   is_vector(w->input_norm, tensor(&m, "%s%zu.input_layernorm.weight", l, i), o.hidden, (float)plus) &&
                   is_vector(w->post_norm, tensor(&m, "%s%zu.post_attention_layernorm.weight", l, i), o.hidden,
                             (float)plus) &&
                   is_vector(w->q_norm, tensor(&m, "%s%zu.self_attn.q_norm.weight", l, i), o.head_dim, (float)plus) &&
                   is_vector(w->k_norm, tensor(&m, "%s%zu.self_attn.k_norm.weight", l, i), o.head_dim, (float)plus) &&
                   (w->router_bias == NULL ||
                    is_vector(w->router_bias, tensor(&m, "%s%zu.block_sparse_moe.e_score_correction_bias", l, i),
                              o.experts, 0));
        }
        OK(good, "norms with %d added, the router's bias with none", plus);
        ox_weights_fini(&m.weights);
    }
    close_model(&m);
}

/* Write tensor i of the golden vision model under another name (NULL: leave it out), or with more rows said to be there,
 * and bind what comes out. */
static enum ox_status bind_changed(const struct bound_model *whole, size_t changed, const char *name, bool reshape,
                                   struct ox_error *err)
{
    const size_t n = ox_checkpoint_n_tensors(whole->checkpoint);
    struct ox_tensor *tensors = ox_calloc(n, sizeof *tensors);
    uint8_t *larger = NULL;
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct ox_tensor t = *ox_checkpoint_tensor(whole->checkpoint, i);
        if (i == changed && !reshape && name == NULL) {
            continue;
        }
        if (i == changed && name != NULL) {
            t.name = ox_str_c(name);
        }
        if (i == changed && reshape) {
            t.len = t.len / t.dims[0] * (t.dims[0] + 1);
            t.dims[0]++;
            larger = ox_calloc(t.len, 1);
            t.data = larger;
        }
        tensors[n_kept++] = t;
    }
    struct bound_model m;
    enum ox_status status = ox_safetensors_write(FOLDER "/model.safetensors", tensors, n_kept, err);
    if (status == OX_OK) {
        memset(&m, 0, sizeof m);
        m.config = whole->config;
        status = ox_checkpoint_open(FOLDER, NULL, &m.checkpoint, err);
    }
    if (status == OX_OK) {
        status = ox_weights_bind(m.checkpoint, &m.config, &m.weights, err);
        close_model(&m);
    }
    ox_free(larger);
    ox_free(tensors);
    return status;
}

static bool is_affine(const struct bound_model *m, const struct ox_affine *w, const char *name, size_t rows, size_t cols)
{
    return is_view(m, &w->weight, tensor(m, "%s.weight", name), 0, rows, cols) &&
           is_vector(w->bias, tensor(m, "%s.bias", name), rows, 0.0F);
}

/* The tower where it lies; each of its tensors is asked for, by name and shape; a file without any is text only. */
static void test_vision(void)
{
    struct bound_model m;
    struct ox_error err = {0};
    if (!OK(bind_model(tap_file("golden/trace/vision"), &m, &err) == OX_OK, "the golden vision model %s", err.message)) {
        return;
    }
    const struct ox_vision_weights *w = &m.weights.vision;
    const struct ox_vision_config *c = &m.config.vision;
    const struct ox_tensor *patch = tensor(&m, "vision_tower.vision_model.embeddings.patch_embedding.weight");
    OK(patch != NULL && w->patch.values == patch->data && w->patch.rows == c->hidden && w->patch.cols == 1176 &&
           w->patch.format == OX_FORMAT_F32, "patch embedding");
    OK(is_affine(&m, &w->project1, "multi_modal_projector.linear_1", c->projector, c->hidden) &&
           is_affine(&m, &w->project2, "multi_modal_projector.linear_2", m.config.hidden, c->projector) &&
           is_affine(&m, &w->merge1, "patch_merge_mlp.linear_1", c->projector, 4 * m.config.hidden) &&
           is_affine(&m, &w->merge2, "patch_merge_mlp.linear_2", m.config.hidden, c->projector), "projector and merger");
    const char *last = "vision_tower.vision_model.encoder.layers.1.";
    char name[128];
    snprintf(name, sizeof name, "%smlp.fc2", last);
    OK(is_affine(&m, &w->layers[1].fc2, name, c->hidden, c->inter) &&
           is_vector(w->layers[1].norm2.bias, tensor(&m, "%slayer_norm2.bias", last), c->hidden, 0.0F), "a layer");
    size_t n_tower = 0;
    size_t n_bad = 0;
    for (size_t i = 0; i < ox_checkpoint_n_tensors(m.checkpoint); i++) {
        const struct ox_tensor *t = ox_checkpoint_tensor(m.checkpoint, i);
        const struct ox_label label = ox_label_make(t->name);
        if (ox_str_starts(t->name, ox_str_c("language_model."))) {
            continue;
        }
        n_tower++;
        const bool missed = bind_changed(&m, i, NULL, false, &err) == OX_E_SHAPE && strstr(err.message, label.text) != NULL;
        const bool checked = bind_changed(&m, i, NULL, true, &err) == OX_E_SHAPE && strstr(err.message, label.text) != NULL;
        n_bad += missed && checked ? 0 : 1;
    }
    OK(n_tower == 3 + 16 * c->n_layers + 8 && n_bad == 0, "each of %zu tensors is missed by name, and its shape checked",
       n_tower);
    close_model(&m);
    OK(bind_model(tap_file("golden/trace/tiny"), &m, &err) == OX_OK && m.weights.vision.layers == NULL, "text only");
    m.config.has_vision = true;
    ox_weights_fini(&m.weights);
    OK(ox_weights_bind(m.checkpoint, &m.config, &m.weights, &err) == OX_OK && m.weights.vision.layers == NULL,
       "a configuration with a tower, a file without one");
    close_model(&m);
}

/* Put a part of a name in the place of another, where it is. */
static bool respell(struct ox_tensor *t, const char *from, const char *to, char *room, size_t room_bytes)
{
    const size_t at = ox_str_find(t->name, ox_str_c(from), 0);
    if (at == t->name.len) {
        return false;
    }
    const size_t rest = at + strlen(from);
    snprintf(room, room_bytes, "%.*s%s%.*s", (int)at, t->name.ptr, to, (int)(t->name.len - rest), t->name.ptr + rest);
    t->name = ox_str_c(room);
    return true;
}

/* The names that transformers gives the tower's tensors. */
static void test_vision_spelling(void)
{
    static const char *const parts[][2] = {{"embeddings.patch_embedding.", "embeddings.proj."},
                                           {"encoder.layers.", "layers."},
                                           {"patch_merge_mlp.linear_", "multi_modal_projector.merge_linear_"}};
    static char names[256][128];
    struct bound_model m;
    struct bound_model other;
    struct ox_error err = {0};
    if (!OK(bind_model(tap_file("golden/trace/vision"), &m, &err) == OX_OK, "the golden vision model %s", err.message)) {
        return;
    }
    const size_t n = ox_checkpoint_n_tensors(m.checkpoint);
    struct ox_tensor *tensors = ox_calloc(n, sizeof *tensors);
    size_t n_respelled = 0;
    for (size_t i = 0; i < n && i < 256; i++) {
        tensors[i] = *ox_checkpoint_tensor(m.checkpoint, i);
        bool done = false;
        for (size_t k = 0; !done && k < 3; k++) {
            done = respell(&tensors[i], parts[k][0], parts[k][1], names[i], sizeof names[i]);
        }
        n_respelled += done ? 1 : 0;
    }
    memset(&other, 0, sizeof other);
    other.config = m.config;
    OK(n_respelled == 1 + 16 * m.config.vision.n_layers + 4 &&
           ox_safetensors_write(FOLDER "/model.safetensors", tensors, n, &err) == OX_OK &&
           ox_checkpoint_open(FOLDER, NULL, &other.checkpoint, &err) == OX_OK &&
           ox_weights_bind(other.checkpoint, &other.config, &other.weights, &err) == OX_OK &&
           memcmp(other.weights.vision.merge2.weight.values, m.weights.vision.merge2.weight.values,
                  m.weights.vision.merge2.weight.rows * m.weights.vision.merge2.weight.row_bytes) == 0,
       "re-saved names %s", err.message);
    close_model(&other);
    close_model(&m);
    ox_free(tensors);
}

int main(void)
{
    mk_remove_folder(FOLDER);
    OK(mkdir(FOLDER, 0777) == 0, "a folder");
    test_vision();
    test_vision_spelling();
    test_formats();
    test_spellings();
    test_odd();
    test_vectors();
    mk_remove_folder(FOLDER);
    return tap_done();
}
