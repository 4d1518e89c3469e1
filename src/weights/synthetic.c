/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses a synthetic model's description, lays its matrices out in one region and fills them: every row from a random
 * generator of its own, so that the numbers do not depend on who fills it.
 */
#include "weights/synthetic.h"

#include <math.h>
#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "base/rng.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(a)[0])

/* Rows dealt out at a time, as the forward pass deals them (model/linear.c), so that memory is first touched by the worker
 * that will read it. */
#define ROW_STEP 16

/* ---- the description --------------------------------------------------------------------------------------------- */

/* Everything that a description can name, with the released model's values. */
struct numbers {
    uint64_t seed;
    uint64_t layers;
    uint64_t dense;
    uint64_t hidden;
    uint64_t inter;
    uint64_t dense_inter;
    uint64_t shared_inter;
    uint64_t heads;
    uint64_t kv_heads;
    uint64_t head_dim;
    uint64_t rotary_dim;
    uint64_t experts;
    uint64_t used;
    uint64_t vocab;
    uint64_t positions;
    uint64_t index_dim;
    uint64_t block;
    uint64_t topk_blocks;
    uint64_t init_blocks;
    uint64_t local_blocks;
};

/* Source: text-model.md 2.2, 2.3. dense: see read_numbers. */
static const struct numbers released = {
    .seed = 1,
    .layers = OX_RELEASED_LAYERS,
    .dense = OX_RELEASED_DENSE,
    .hidden = 6144,
    .inter = 3072,
    .dense_inter = 12288,
    .shared_inter = 3072,
    .heads = 64,
    .kv_heads = 4,
    .head_dim = 128,
    .rotary_dim = 64,
    .experts = 128,
    .used = 4,
    .vocab = 200064,
    .positions = 1048576,
    .index_dim = 128,
    .block = 128,
    .topk_blocks = 16,
    .init_blocks = 0,
    .local_blocks = 1,
};

struct member {
    const char *name;
    size_t offset;
    uint64_t low;
    uint64_t high;
};

static const struct member members[] = {
    {"seed", offsetof(struct numbers, seed), 0, UINT64_MAX},
    {"layers", offsetof(struct numbers, layers), 1, OX_MAX_LAYERS},
    {"dense", offsetof(struct numbers, dense), 0, OX_MAX_LAYERS},
    {"hidden", offsetof(struct numbers, hidden), 1, OX_MAX_WIDTH},
    {"inter", offsetof(struct numbers, inter), 1, OX_MAX_WIDTH},
    {"dense_inter", offsetof(struct numbers, dense_inter), 1, OX_MAX_WIDTH},
    {"shared_inter", offsetof(struct numbers, shared_inter), 0, OX_MAX_WIDTH},
    {"heads", offsetof(struct numbers, heads), 1, OX_MAX_HEADS},
    {"kv_heads", offsetof(struct numbers, kv_heads), 1, OX_MAX_HEADS},
    {"head_dim", offsetof(struct numbers, head_dim), 1, OX_MAX_HEAD_DIM},
    {"rotary_dim", offsetof(struct numbers, rotary_dim), 2, OX_MAX_HEAD_DIM},
    {"experts", offsetof(struct numbers, experts), 1, OX_MAX_EXPERTS},
    {"used", offsetof(struct numbers, used), 1, OX_MAX_EXPERTS},
    {"vocab", offsetof(struct numbers, vocab), 1, OX_MAX_VOCAB},
    {"positions", offsetof(struct numbers, positions), 1, OX_MAX_POSITIONS},
    {"index_dim", offsetof(struct numbers, index_dim), 1, OX_MAX_HEAD_DIM},
    {"block", offsetof(struct numbers, block), 1, OX_MAX_BLOCK},
    {"topk_blocks", offsetof(struct numbers, topk_blocks), 1, OX_MAX_BLOCK},
    {"init_blocks", offsetof(struct numbers, init_blocks), 0, OX_MAX_BLOCK},
    {"local_blocks", offsetof(struct numbers, local_blocks), 1, OX_MAX_BLOCK},
};

static const struct {
    const char *name;
    enum ox_format format;
} formats[] = {
    {"mxfp8", OX_FORMAT_MXFP8}, {"bf16", OX_FORMAT_BF16}, {"f16", OX_FORMAT_F16}, {"f32", OX_FORMAT_F32}};

static enum ox_status read_format(struct ox_str value, enum ox_format *out, struct ox_error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (ox_str_is(value, formats[i].name)) {
            *out = formats[i].format;
            return OX_OK;
        }
    }
    const struct ox_label found = ox_label_make(value);
    return ox_error_set(err, OX_E_ARG, "synthetic model: format: expected mxfp8, bf16, f16 or f32, found \"%s\"",
                        found.text);
}

static enum ox_status read_number(const struct member *member, struct ox_str value, struct numbers *numbers,
                                  struct ox_error *err)
{
    uint64_t n;
    if (!ox_str_to_u64(value, &n) || n < member->low || n > member->high) {
        const struct ox_label found = ox_label_make(value);
        return ox_error_set(err, OX_E_ARG, "synthetic model: %s: expected a number from %llu to %llu, found \"%s\"",
                            member->name, (unsigned long long)member->low, (unsigned long long)member->high,
                            found.text);
    }
    memcpy((char *)numbers + member->offset, &n, sizeof n);
    return OX_OK;
}

/* One NAME=VALUE. *seen: a bit for each member, and the one behind them for format. */
static enum ox_status read_item(struct ox_str item, struct numbers *numbers, enum ox_format *format, uint32_t *seen,
                                struct ox_error *err)
{
    const size_t equals = ox_str_find(item, ox_str_c("="), 0);
    const struct ox_str name = ox_str_make(item.ptr, equals);
    size_t i = 0;
    while (i < ARRAY_LEN(members) && !ox_str_is(name, members[i].name)) {
        i++;
    }
    const struct ox_label label = ox_label_make(name);
    if (equals == item.len || (i == ARRAY_LEN(members) && !ox_str_is(name, "format"))) {
        return ox_error_set(err, OX_E_ARG, "synthetic model: expected NAME=VALUE with a size's name (layers, dense, "
                            "format, seed, hidden, inter, experts, ...), found \"%s\"", label.text);
    }
    if ((*seen & (1U << i)) != 0) {
        return ox_error_set(err, OX_E_ARG, "synthetic model: %s is given twice", label.text);
    }
    *seen |= 1U << i;
    const struct ox_str value = ox_str_make(item.ptr + equals + 1, item.len - equals - 1);
    return i == ARRAY_LEN(members) ? read_format(value, format, err) : read_number(&members[i], value, numbers, err);
}

static enum ox_status read_numbers(struct ox_str spec, struct numbers *numbers, enum ox_format *format,
                                   struct ox_error *err)
{
    const struct ox_str comma = ox_str_c(",");
    size_t end = ox_str_find(spec, comma, 0);
    uint32_t seen = 0;
    *numbers = released;
    *format = OX_FORMAT_MXFP8;
    if (!ox_str_is(ox_str_make(spec.ptr, end), "m3")) {
        const struct ox_label found = ox_label_make(ox_str_make(spec.ptr, end));
        return ox_error_set(err, OX_E_ARG, "synthetic model: expected m3[,NAME=VALUE]..., found \"%s\"", found.text);
    }
    numbers->dense = UINT64_MAX;
    while (end < spec.len) {
        const size_t begin = end + 1;
        end = ox_str_find(spec, comma, begin);
        const enum ox_status status =
            read_item(ox_str_make(spec.ptr + begin, end - begin), numbers, format, &seen, err);
        if (status != OX_OK) {
            return status;
        }
    }
    if (numbers->dense == UINT64_MAX) {
        numbers->dense = numbers->layers < released.layers ? 1 : released.dense;
    }
    return OX_OK;
}

/* The sizes against each other. */
static enum ox_status check_numbers(const struct numbers *n, enum ox_format format, struct ox_error *err)
{
    const bool sparse = n->dense < n->layers;
    const struct {
        bool good;
        const char *rule;
        uint64_t left;
        uint64_t right;
    } rules[] = {
        {n->dense <= n->layers, "dense at most layers", n->dense, n->layers},
        {n->heads % n->kv_heads == 0, "heads a multiple of kv_heads", n->heads, n->kv_heads},
        {n->rotary_dim % 2 == 0, "rotary_dim even", n->rotary_dim, 2},
        {n->rotary_dim <= n->head_dim, "rotary_dim at most head_dim", n->rotary_dim, n->head_dim},
        {!sparse || n->rotary_dim <= n->index_dim, "rotary_dim at most index_dim", n->rotary_dim, n->index_dim},
        {n->used <= n->experts, "used at most experts", n->used, n->experts},
        {n->init_blocks + n->local_blocks <= n->topk_blocks, "init_blocks + local_blocks at most topk_blocks",
         n->init_blocks + n->local_blocks, n->topk_blocks},
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (!rules[i].good) {
            return ox_error_set(err, OX_E_ARG, "synthetic model: expected %s, found %llu and %llu", rules[i].rule,
                                (unsigned long long)rules[i].left, (unsigned long long)rules[i].right);
        }
    }
    const struct {
        const char *name;
        uint64_t cols;
    } widths[] = {{"hidden", n->hidden},
                  {"heads * head_dim", n->heads * n->head_dim},
                  {"inter", n->inter},
                  {"dense_inter", n->dense_inter},
                  {"shared_inter", n->shared_inter}};
    for (size_t i = 0; format == OX_FORMAT_MXFP8 && i < ARRAY_LEN(widths); i++) {
        if (widths[i].cols % 32 != 0) {
            return ox_error_set(err, OX_E_ARG, "synthetic model: expected %s to be a multiple of 32 for format mxfp8, "
                                "found %llu", widths[i].name, (unsigned long long)widths[i].cols);
        }
    }
    return OX_OK;
}

static void fill_config(const struct numbers *n, struct ox_config *config)
{
    memset(config, 0, sizeof *config);
    config->n_layers = n->layers;
    config->hidden = n->hidden;
    config->vocab = n->vocab;
    config->n_heads = n->heads;
    config->n_kv_heads = n->kv_heads;
    config->head_dim = n->head_dim;
    config->rotary_dim = n->rotary_dim;
    config->max_positions = n->positions;
    config->rope_theta = 5000000.0;
    config->eps = 1e-6F;
    config->routed_scale = 2.0F;
    config->swiglu_alpha = 1.702F;
    config->swiglu_limit = 7.0F;
    config->norm_adds_one = true;
    config->block = OX_DEFAULT_BLOCK;
    if (n->dense > 0) {
        config->dense_inter = n->dense_inter;
    }
    if (n->dense < n->layers) {
        config->expert_inter = n->inter;
        config->shared_inter = n->shared_inter;
        config->n_experts = n->experts;
        config->n_experts_used = n->used;
        config->n_index_heads = n->kv_heads;
        config->index_dim = n->index_dim;
        config->block = n->block;
        config->topk_blocks = n->topk_blocks;
        config->init_blocks = n->init_blocks;
        config->local_blocks = n->local_blocks;
    }
    for (size_t l = n->dense; l < n->layers; l++) {
        config->moe_layer[l] = true;
        config->sparse_layer[l] = true;
    }
    config->image_token = -1;
    config->video_token = -1;
    config->bos_token = -1;
}

enum ox_status ox_synthetic_parse(struct ox_str spec, struct ox_synthetic *out, struct ox_error *err)
{
    struct numbers numbers;
    enum ox_format format;
    enum ox_status status = read_numbers(spec, &numbers, &format, err);
    if (status == OX_OK) {
        status = check_numbers(&numbers, format, err);
    }
    if (status == OX_OK) {
        fill_config(&numbers, &out->config);
        out->format = format;
        out->seed = numbers.seed;
    }
    return status;
}

/* ---- layout ------------------------------------------------------------------------------------------------------ */

/* Either counting (base NULL) or placing. */
struct layout {
    const uint8_t *base;
    enum ox_format format;
    uint64_t at;
    bool overflow;
};

static void take(struct layout *l, uint64_t rows, uint64_t row_bytes, const uint8_t **out)
{
    uint64_t bytes;
    uint64_t end;
    if (ox_ckd_mul_u64(&bytes, rows, row_bytes) || ox_ckd_add_u64(&end, l->at, bytes) ||
        ox_ckd_add_u64(&end, end, (OX_ALIGN - end % OX_ALIGN) % OX_ALIGN)) {
        l->overflow = true;
        return;
    }
    *out = l->base != NULL ? l->base + l->at : NULL;
    l->at = end;
}

static void place(struct layout *l, enum ox_format format, size_t rows, size_t cols, struct ox_matrix *m)
{
    static const size_t element_bytes[OX_N_FORMATS] = {
        [OX_FORMAT_F32] = 4, [OX_FORMAT_F16] = 2, [OX_FORMAT_BF16] = 2, [OX_FORMAT_MXFP8] = 1};
    memset(m, 0, sizeof *m);
    m->format = format;
    m->rows = rows;
    m->cols = cols;
    m->row_bytes = cols * element_bytes[format];
    take(l, rows, m->row_bytes, &m->values);
    if (format == OX_FORMAT_MXFP8) {
        m->scale_row_bytes = cols / 32;
        take(l, rows, m->scale_row_bytes, &m->scales);
    }
}

static void place_mlp(struct layout *l, size_t hidden, size_t inter, struct ox_mlp_weights *w)
{
    place(l, l->format, inter, hidden, &w->gate);
    place(l, l->format, inter, hidden, &w->up);
    place(l, l->format, hidden, inter, &w->down);
}

static void place_experts(struct layout *l, const struct ox_config *config, struct ox_mlp_weights *experts)
{
    if (experts == NULL) {
        struct ox_mlp_weights one;
        struct layout alone = {NULL, l->format, 0, false};
        const uint8_t *values;
        place_mlp(&alone, config->hidden, config->expert_inter, &one);
        l->overflow = l->overflow || alone.overflow;
        take(l, config->n_experts, alone.at, &values);
        return;
    }
    for (size_t e = 0; e < config->n_experts; e++) {
        place_mlp(l, config->hidden, config->expert_inter, &experts[e]);
    }
}

/* All matrices of a layer. experts NULL: they are counted only. */
static void place_layer(struct layout *l, const struct ox_config *config, size_t layer, struct ox_layer_weights *w)
{
    const size_t hidden = config->hidden;
    const size_t head_rows = config->n_heads * config->head_dim;
    const size_t kv_rows = config->n_kv_heads * config->head_dim;
    place(l, l->format, head_rows, hidden, &w->q);
    place(l, l->format, kv_rows, hidden, &w->k);
    place(l, l->format, kv_rows, hidden, &w->v);
    place(l, l->format, hidden, head_rows, &w->o);
    if (config->sparse_layer[layer]) {
        place(l, l->format, config->n_index_heads * config->index_dim, hidden, &w->index_q);
        place(l, l->format, config->index_dim, hidden, &w->index_k);
    }
    if (!config->moe_layer[layer]) {
        place_mlp(l, hidden, config->dense_inter, &w->mlp);
        return;
    }
    place(l, OX_FORMAT_F32, config->n_experts, hidden, &w->router);
    place_experts(l, config, w->experts);
    if (config->shared_inter > 0) {
        place_mlp(l, hidden, config->shared_inter, &w->shared);
    }
}

uint64_t ox_synthetic_bytes(const struct ox_synthetic *synthetic)
{
    const struct ox_config *config = &synthetic->config;
    struct layout l = {NULL, synthetic->format, 0, false};
    struct ox_matrix matrix;
    place(&l, OX_FORMAT_BF16, config->vocab, config->hidden, &matrix);
    place(&l, OX_FORMAT_BF16, config->vocab, config->hidden, &matrix);
    for (size_t i = 0; i < config->n_layers; i++) {
        struct ox_layer_weights layer = {0};
        place_layer(&l, config, i, &layer);
    }
    return l.overflow ? UINT64_MAX : l.at;
}

/* Norms of every length are the same row of ones; all biases one row of zeros behind it. */
static void bind_vectors(const struct ox_config *config, size_t n_ones, struct ox_weights *w)
{
    for (size_t i = 0; i < n_ones; i++) {
        w->vectors[i] = 1.0F;
    }
    w->norm = w->vectors;
    for (size_t i = 0; i < config->n_layers; i++) {
        struct ox_layer_weights *layer = &w->layers[i];
        layer->input_norm = w->vectors;
        layer->post_norm = w->vectors;
        layer->q_norm = w->vectors;
        layer->k_norm = w->vectors;
        layer->index_q_norm = w->vectors;
        layer->index_k_norm = w->vectors;
        layer->router_bias = w->vectors + n_ones;
    }
}

enum ox_status ox_synthetic_bind(const struct ox_synthetic *synthetic, const uint8_t *base, struct ox_weights *out,
                                 struct ox_error *err)
{
    const struct ox_config *config = &synthetic->config;
    size_t n_ones = config->hidden > config->head_dim ? config->hidden : config->head_dim;
    n_ones = n_ones > config->index_dim ? n_ones : config->index_dim;
    memset(out, 0, sizeof *out);
    size_t n_moe = 0;
    for (size_t i = 0; i < config->n_layers; i++) {
        n_moe += config->moe_layer[i] ? 1 : 0;
    }
    out->n_layers = config->n_layers;
    out->layers = ox_calloc(config->n_layers, sizeof *out->layers);
    out->all_experts = ox_calloc(n_moe * config->n_experts, sizeof *out->all_experts);
    out->vectors = ox_calloc(n_ones + config->n_experts, sizeof *out->vectors);
    if (out->layers == NULL || out->all_experts == NULL || out->vectors == NULL) {
        ox_weights_fini(out);
        return ox_error_nomem(err, n_moe * config->n_experts * sizeof *out->all_experts);
    }
    bind_vectors(config, n_ones, out);
    struct layout l = {base, synthetic->format, 0, false};
    struct ox_mlp_weights *experts = out->all_experts;
    place(&l, OX_FORMAT_BF16, config->vocab, config->hidden, &out->embed);
    for (size_t i = 0; i < config->n_layers; i++) {
        if (config->moe_layer[i]) {
            out->layers[i].experts = experts;
            experts += config->n_experts;
        }
        place_layer(&l, config, i, &out->layers[i]);
    }
    place(&l, OX_FORMAT_BF16, config->vocab, config->hidden, &out->head);
    if (l.overflow) {
        ox_weights_fini(out);
        return ox_error_set(err, OX_E_NOMEM, "synthetic model: its matrices exceed 64-bit sizes");
    }
    return OX_OK;
}

/* ---- filling ----------------------------------------------------------------------------------------------------- */

struct fill {
    const struct ox_synthetic *synthetic;
    const struct ox_region *region;
    const struct ox_weights *weights;
    const struct ox_log *log;
    uint64_t total;
};

/* One worker's walk over all matrices. */
struct walk {
    const struct fill *fill;
    const struct ox_worker *worker;
    uint64_t i_matrix;
    uint64_t done;
};

/* Sign and mantissa are random, the exponent is fixed: which bits of a 64-bit word stay random, and the others. For
 * mantissas that are uniform in [1, 2) the root of the mean square is sqrt(7/3). */
struct pattern {
    uint64_t keep;
    uint64_t set;
    int scale_code; /* E8M0, MXFP8 only */
};

static struct pattern pattern_of(enum ox_format format, double rms)
{
    const int exponent = (int)lround(log2(rms / sqrt(7.0 / 3.0)));
    const uint64_t e = (uint64_t)(127 + exponent);
    const uint64_t half = (uint64_t)(15 + (exponent < -14 ? -14 : exponent));
    switch (format) {
    case OX_FORMAT_F32:
        return (struct pattern){0x807FFFFF807FFFFFU, (e << 23) * 0x0000000100000001U, 0};
    case OX_FORMAT_F16:
        return (struct pattern){0x83FF83FF83FF83FFU, (half << 10) * 0x0001000100010001U, 0};
    case OX_FORMAT_BF16:
        return (struct pattern){0x807F807F807F807FU, (e << 7) * 0x0001000100010001U, 0};
    case OX_FORMAT_MXFP8: /* codes of magnitude [1, 2), the scale does the rest */
        return (struct pattern){0x8787878787878787U, 0x3838383838383838U, 127 + exponent};
    case OX_N_FORMATS:
    default:
        OX_CHECK(false);
        return (struct pattern){0, 0, 0};
    }
}

static void fill_row(const struct pattern *pattern, uint64_t seed, uint8_t *row, size_t n_bytes)
{
    struct ox_rng rng;
    ox_rng_init(&rng, seed);
    for (size_t i = 0; i < n_bytes; i += sizeof(uint64_t)) {
        const uint64_t word = (ox_rng_next(&rng) & pattern->keep) | pattern->set;
        memcpy(row + i, &word, n_bytes - i < sizeof word ? n_bytes - i : sizeof word);
    }
}

static void fill_matrix(struct walk *walk, const struct ox_matrix *m, double rms)
{
    const struct fill *fill = walk->fill;
    if (m->values == NULL) {
        return;
    }
    const struct pattern pattern = pattern_of(m->format, rms);
    uint8_t *values = fill->region->ptr + (m->values - fill->region->ptr);
    size_t begin;
    size_t end;
    ox_share(walk->worker, m->rows, ROW_STEP, &begin, &end);
    for (size_t r = begin; r < end; r++) {
        /* odd factors: neighbours' seeds differ, the generator's start mixes them */
        const uint64_t seed = fill->synthetic->seed + walk->i_matrix * 0x9E3779B97F4A7C15U + r * 0xD1B54A32D192ED03U;
        fill_row(&pattern, seed, values + r * m->row_bytes, m->row_bytes);
    }
    if (m->scales != NULL && end > begin) {
        uint8_t *scales = fill->region->ptr + (m->scales - fill->region->ptr);
        memset(scales + begin * m->scale_row_bytes, pattern.scale_code, (end - begin) * m->scale_row_bytes);
    }
    walk->i_matrix++;
    walk->done += ox_matrix_bytes(m);
    if (walk->worker->i_worker == 0) { /* the caller's thread */
        ox_log_progress(fill->log, "random weights", walk->done, fill->total, "bytes");
    }
}

static void fill_weight(struct walk *walk, const struct ox_matrix *m)
{
    fill_matrix(walk, m, 1.0 / sqrt((double)(m->cols > 0 ? m->cols : 1)));
}

static void fill_mlp(struct walk *walk, const struct ox_mlp_weights *w)
{
    fill_weight(walk, &w->gate);
    fill_weight(walk, &w->up);
    fill_weight(walk, &w->down);
}

static void fill_all(void *argument, const struct ox_worker *worker)
{
    const struct fill *fill = argument;
    const struct ox_config *config = &fill->synthetic->config;
    struct walk walk = {fill, worker, 0, 0};
    fill_matrix(&walk, &fill->weights->embed, 1.0);
    fill_weight(&walk, &fill->weights->head);
    for (size_t i = 0; i < config->n_layers; i++) {
        const struct ox_layer_weights *w = &fill->weights->layers[i];
        const struct ox_matrix *plain[] = {&w->q, &w->k, &w->v, &w->o, &w->index_q, &w->index_k, &w->router};
        for (size_t k = 0; k < ARRAY_LEN(plain); k++) {
            fill_weight(&walk, plain[k]);
        }
        fill_mlp(&walk, &w->mlp);
        fill_mlp(&walk, &w->shared);
        for (size_t e = 0; config->moe_layer[i] && e < config->n_experts; e++) {
            fill_mlp(&walk, &w->experts[e]);
        }
    }
}

void ox_synthetic_fill(const struct ox_synthetic *synthetic, const struct ox_region *region,
                       const struct ox_weights *weights, struct ox_team *team, const struct ox_log *log)
{
    struct fill fill = {synthetic, region, weights, log, ox_matrix_bytes(&weights->embed)};
    const struct ox_config *config = &synthetic->config;
    fill.total += ox_matrix_bytes(&weights->head);
    for (size_t i = 0; i < config->n_layers; i++) {
        const struct ox_layer_weights *w = &weights->layers[i];
        const struct ox_matrix *plain[] = {&w->q,       &w->k,      &w->v,        &w->o,         &w->index_q,
                                           &w->index_k, &w->router, &w->mlp.gate, &w->mlp.up,    &w->mlp.down,
                                           &w->shared.gate, &w->shared.up, &w->shared.down};
        for (size_t k = 0; k < ARRAY_LEN(plain); k++) {
            fill.total += ox_matrix_bytes(plain[k]);
        }
        if (config->moe_layer[i]) { /* all experts are alike */
            fill.total += config->n_experts * (ox_matrix_bytes(&w->experts[0].gate) +
                                               ox_matrix_bytes(&w->experts[0].up) + ox_matrix_bytes(&w->experts[0].down));
        }
    }
    ox_team_run(team, fill_all, &fill);
}
