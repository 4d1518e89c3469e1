/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json and generation_config.json in numbers. A member has up to two places (the release's and the one of files
 * re-saved by transformers); what would change the computation in a way that is not computed here is refused by name.
 * Source: text-model.md sections 2.1 to 2.4.
 */
#include "weights/config.h"

#include <math.h>
#include <stdio.h>

#include "base/json.h"

/* The places of a configuration, and what is filled. */
struct reader {
    const struct ox_log *log;
    struct ox_error *err;
    struct ox_config *out;
    struct ox_json_at root;
    struct ox_json_at text;        /* text_config, or the root where the file has no vision */
    struct ox_json_at sparse;      /* text.sparse_attention_config */
    struct ox_json_at rope;        /* text.rope_parameters */
    struct ox_json_at vision;      /* vision_config */
    struct ox_json_at compression; /* vision.img_token_compression_config */
};

/* One spelling of a member. */
struct place {
    const struct ox_json_at *at;
    const char *key;
};

/* Numbers are compared by value (128 and 128.0 agree), all else as JSON. */
static bool agree(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        return json_number_value(a) == json_number_value(b);
    }
    return json_equal(a, b) != 0;
}

/* The member at either place; both may be there if they agree. Where neither is, *out is the first, without a value. */
static enum ox_status get_either(const struct reader *r, struct place a, struct place b, struct ox_json_at *out)
{
    const struct ox_json_at first = ox_json_member(a.at, a.key);
    const struct ox_json_at second = ox_json_member(b.at, b.key);
    if (first.value != NULL && second.value != NULL && !agree(first.value, second.value)) {
        char expected[OX_ERROR_MESSAGE_BYTES];
        snprintf(expected, sizeof expected, "the same as %s", first.path);
        return ox_json_expected(&second, expected, r->err);
    }
    *out = first.value == NULL && second.value != NULL ? second : first;
    return OX_OK;
}

static enum ox_status read_size(const struct reader *r, const struct ox_json_at *at, size_t low, size_t high,
                                size_t *out)
{
    int64_t value = 0;
    const enum ox_status status = ox_json_get_i64(at, (int64_t)low, (int64_t)high, &value, r->err);
    if (status == OX_OK) {
        *out = (size_t)value;
    }
    return status;
}

/* A size with its bounds and the place(s) where it stands. */
struct size_row {
    struct place place;
    struct place other; /* at NULL: none */
    size_t low;
    size_t high;
    size_t *out;
    bool optional; /* leaves *out alone where the member is missing */
};

static enum ox_status read_sizes(const struct reader *r, const struct size_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct ox_json_at at = ox_json_member(rows[i].place.at, rows[i].place.key);
        enum ox_status status = OX_OK;
        if (rows[i].other.at != NULL) {
            status = get_either(r, rows[i].place, rows[i].other, &at);
        }
        if (status == OX_OK && (at.value != NULL || !rows[i].optional)) {
            status = read_size(r, &at, rows[i].low, rows[i].high, rows[i].out);
        }
        if (status != OX_OK) {
            return status;
        }
    }
    return OX_OK;
}

/* A positive F32. */
static enum ox_status read_float(const struct reader *r, const struct ox_json_at *at, double low, double high,
                                 float *out)
{
    double value = 0;
    const enum ox_status status = ox_json_get_double(at, low, high, &value, r->err);
    if (status == OX_OK) {
        *out = (float)value;
    }
    return status;
}

/* ---- what must be as the model computes it ----------------------------------------------------------------------- */

enum demand { MUST_BE_TRUE, MUST_BE_FALSE, MUST_BE_TEXT, MUST_BE_NUMBER, MUST_BE_ABSENT };

struct demand_row {
    const char *key;
    enum demand demand;
    const char *text;
    double number;
};

/* Members of text_config; a missing one is taken to be so. */
static const struct demand_row text_demands[] = {
    {"use_gemma_norm", MUST_BE_TRUE, NULL, 0},
    {"use_qk_norm", MUST_BE_TRUE, NULL, 0},
    {"qk_norm_type", MUST_BE_TEXT, "per_head", 0},
    {"attention_output_gate", MUST_BE_FALSE, NULL, 0},
    {"attention_bias", MUST_BE_FALSE, NULL, 0},
    {"mlp_bias", MUST_BE_FALSE, NULL, 0},
    {"tie_word_embeddings", MUST_BE_FALSE, NULL, 0},
    {"rope_scaling", MUST_BE_ABSENT, NULL, 0},
    {"sliding_window", MUST_BE_ABSENT, NULL, 0},
    {"attn_logit_softcapping", MUST_BE_ABSENT, NULL, 0},
    {"final_logit_softcapping", MUST_BE_ABSENT, NULL, 0},
    {"scoring_func", MUST_BE_TEXT, "sigmoid", 0},
    {"use_routing_bias", MUST_BE_TRUE, NULL, 0},
    {"norm_topk_prob", MUST_BE_TRUE, NULL, 0},
    {"n_group", MUST_BE_NUMBER, NULL, 1},
    {"topk_group", MUST_BE_NUMBER, NULL, 1},
    {"swiglu_beta", MUST_BE_NUMBER, NULL, 1},
};

static const struct demand_row root_demands[] = {
    {"tie_word_embeddings", MUST_BE_FALSE, NULL, 0},
    {"num_reward_heads", MUST_BE_NUMBER, NULL, 0},
};

static const struct demand_row sparse_demands[] = {
    {"sparse_score_type", MUST_BE_TEXT, "max", 0},
};

static const struct demand_row rope_demands[] = {
    {"rope_type", MUST_BE_TEXT, "default", 0},
};

static const struct demand_row vision_demands[] = {
    {"hidden_act", MUST_BE_TEXT, "gelu", 0},
    {"rope_mode", MUST_BE_TEXT, "3d", 0},
};

static const struct demand_row projector_demands[] = {
    {"projector_hidden_act", MUST_BE_TEXT, "gelu", 0},
    {"multimodal_projector_bias", MUST_BE_TRUE, NULL, 0},
    {"vision_feature_layer", MUST_BE_NUMBER, NULL, -1},
    {"vision_feature_select_strategy", MUST_BE_TEXT, "full", 0},
};

static enum ox_status check_demand(const struct reader *r, const struct ox_json_at *at, const struct demand_row *row)
{
    const struct ox_json_at member = ox_json_member(at, row->key);
    const json_t *v = member.value;
    char expected[64];
    if (v == NULL) {
        return OX_OK;
    }
    switch (row->demand) {
    case MUST_BE_TRUE:
        return json_is_true(v) ? OX_OK : ox_json_expected(&member, "true", r->err);
    case MUST_BE_FALSE:
        return json_is_false(v) ? OX_OK : ox_json_expected(&member, "false", r->err);
    case MUST_BE_TEXT:
        snprintf(expected, sizeof expected, "\"%s\"", row->text);
        return ox_str_is(ox_json_text(v), row->text) ? OX_OK : ox_json_expected(&member, expected, r->err);
    case MUST_BE_NUMBER:
        snprintf(expected, sizeof expected, "%g", row->number);
        return json_is_number(v) && json_number_value(v) == row->number ? OX_OK
                                                                        : ox_json_expected(&member, expected, r->err);
    case MUST_BE_ABSENT:
    default:
        return ox_json_expected(&member, "null or nothing", r->err);
    }
}

static enum ox_status check_demands(const struct reader *r, const struct ox_json_at *at, const struct demand_row *rows,
                                    size_t n)
{
    enum ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        status = check_demand(r, at, &rows[i]);
    }
    return status;
}

#define N_ROWS(rows) (sizeof(rows) / sizeof(rows)[0])

static enum ox_status check_quantization(const struct reader *r, const struct ox_json_at *at)
{
    static const struct demand_row method = {"quant_method", MUST_BE_TEXT, "mxfp8", 0};
    const struct ox_json_at q = ox_json_member(at, "quantization_config");
    if (q.value == NULL) {
        return OX_OK;
    }
    enum ox_status status = ox_json_need_object(&q, r->err);
    if (status != OX_OK) {
        return status;
    }
    const struct ox_json_at name = ox_json_member(&q, "quant_method");
    status = name.value == NULL ? ox_json_expected(&name, "\"mxfp8\"", r->err) : check_demand(r, &q, &method);
    if (status != OX_OK) {
        return status;
    }
    const struct ox_json_at block = ox_json_member(&q, "weight_block_size");
    const json_t *rows = json_array_get(block.value, 0);
    const json_t *cols = json_array_get(block.value, 1);
    if (json_array_size(block.value) != 2 || !json_is_integer(rows) || !json_is_integer(cols)) {
        return ox_json_expected(&block, "[1, 32]", r->err);
    }
    if (json_integer_value(rows) != 1 || json_integer_value(cols) != 32) {
        return ox_error_set(r->err, OX_E_FORMAT, "%s: %s: expected [1, 32], found [%lld, %lld]", block.what, block.path,
                            (long long)json_integer_value(rows), (long long)json_integer_value(cols));
    }
    return OX_OK;
}

/* The kind of model, and where its numbers stand. */
static enum ox_status find_places(struct reader *r)
{
    enum ox_status status = ox_json_need_object(&r->root, r->err);
    if (status != OX_OK) {
        return status;
    }
    const struct ox_json_at type = ox_json_member(&r->root, "model_type");
    const struct ox_json_at text = ox_json_member(&r->root, "text_config");
    const bool whole = ox_str_is(ox_json_text(type.value), "minimax_m3_vl");
    if (!whole && !ox_str_is(ox_json_text(type.value), "minimax_m3_vl_text")) {
        return ox_json_expected(&type, "\"minimax_m3_vl\" or \"minimax_m3_vl_text\"", r->err);
    }
    r->text = whole ? text : r->root;
    status = ox_json_need_object(&r->text, r->err);
    if (status != OX_OK) {
        return status;
    }
    const struct ox_json_at text_type = ox_json_member(&text, "model_type");
    const struct ox_str name = ox_json_text(text_type.value);
    if (text_type.value != NULL && !ox_str_is(name, "minimax_m2") && !ox_str_is(name, "minimax_m3_vl_text")) {
        return ox_json_expected(&text_type, "\"minimax_m2\" or \"minimax_m3_vl_text\"", r->err);
    }
    r->sparse = ox_json_member(&r->text, "sparse_attention_config");
    r->rope = ox_json_member(&r->text, "rope_parameters");
    r->vision = ox_json_member(&r->root, "vision_config");
    r->compression = ox_json_member(&r->vision, "img_token_compression_config");
    const struct ox_json_at *const parts[] = {&r->sparse, &r->rope, &r->vision, &r->compression};
    for (size_t i = 0; status == OX_OK && i < N_ROWS(parts); i++) {
        if (parts[i]->value != NULL) {
            status = ox_json_need_object(parts[i], r->err);
        }
    }
    return status;
}

static enum ox_status check_computation(const struct reader *r)
{
    struct ox_json_at type;
    enum ox_status status = check_demands(r, &r->root, root_demands, N_ROWS(root_demands));
    if (status == OX_OK) {
        status = check_demands(r, &r->text, text_demands, N_ROWS(text_demands));
    }
    if (status == OX_OK) {
        status = check_demands(r, &r->sparse, sparse_demands, N_ROWS(sparse_demands));
    }
    if (status == OX_OK) {
        status = check_demands(r, &r->rope, rope_demands, N_ROWS(rope_demands));
    }
    if (status == OX_OK) {
        status = check_quantization(r, &r->root);
    }
    if (status == OX_OK) {
        status = check_quantization(r, &r->text);
    }
    if (status == OX_OK) {
        status = get_either(r, (struct place){&r->root, "torch_dtype"}, (struct place){&r->root, "dtype"}, &type);
    }
    const struct ox_json_at act = ox_json_member(&r->text, "hidden_act");
    const struct ox_str name = ox_json_text(act.value);
    if (status == OX_OK && !ox_str_is(name, "swigluoai") && !ox_str_is(name, "silu")) {
        status = ox_json_expected(&act, "\"swigluoai\" or \"silu\"", r->err);
    }
    return status;
}

/* ---- the text model ---------------------------------------------------------------------------------------------- */

static enum ox_status read_shape(const struct reader *r)
{
    struct ox_config *c = r->out;
    const struct ox_json_at *t = &r->text;
    const struct size_row rows[] = {
        {{t, "num_hidden_layers"}, {NULL, NULL}, 1, OX_MAX_LAYERS, &c->n_layers, false},
        {{t, "hidden_size"}, {NULL, NULL}, 1, OX_MAX_WIDTH, &c->hidden, false},
        {{t, "vocab_size"}, {NULL, NULL}, 1, OX_MAX_VOCAB, &c->vocab, false},
        {{t, "num_attention_heads"}, {NULL, NULL}, 1, OX_MAX_HEADS, &c->n_heads, false},
        {{t, "num_key_value_heads"}, {NULL, NULL}, 1, OX_MAX_HEADS, &c->n_kv_heads, false},
        {{t, "head_dim"}, {NULL, NULL}, 1, OX_MAX_HEAD_DIM, &c->head_dim, false},
        {{t, "max_position_embeddings"}, {NULL, NULL}, 1, OX_MAX_POSITIONS, &c->max_positions, false},
    };
    const enum ox_status status = read_sizes(r, rows, N_ROWS(rows));
    if (status == OX_OK && c->n_heads % c->n_kv_heads != 0) {
        const struct ox_json_at at = ox_json_member(t, "num_key_value_heads");
        return ox_error_set(r->err, OX_E_SHAPE, "%s: %s: expected a divisor of num_attention_heads (%zu), found %zu",
                            at.what, at.path, c->n_heads, c->n_kv_heads);
    }
    return status;
}

/* rotary_dim, or head_dim times partial_rotary_factor, or both if they agree. */
static enum ox_status read_rotary(const struct reader *r)
{
    struct ox_config *c = r->out;
    struct ox_json_at factor_at;
    double factor = 0;
    const struct ox_json_at dim_at = ox_json_member(&r->text, "rotary_dim");
    enum ox_status status = get_either(r, (struct place){&r->text, "partial_rotary_factor"},
                                       (struct place){&r->rope, "partial_rotary_factor"}, &factor_at);
    if (status == OX_OK && factor_at.value != NULL) {
        status = ox_json_get_double(&factor_at, 0, 1, &factor, r->err);
    }
    if (status == OX_OK && (dim_at.value != NULL || factor_at.value == NULL)) {
        status = read_size(r, &dim_at, 2, c->head_dim, &c->rotary_dim);
    } else if (status == OX_OK) {
        c->rotary_dim = (size_t)(factor * (double)c->head_dim + 1e-6);
    }
    if (status != OX_OK) {
        return status;
    }
    if (factor_at.value != NULL && fabs(factor * (double)c->head_dim - (double)c->rotary_dim) > 1e-3) {
        return ox_error_set(r->err, OX_E_SHAPE,
                            "%s: %s: expected %zu of head_dim %zu to be turned as rotary_dim says, "
                            "found the factor %g",
                            factor_at.what, factor_at.path, c->rotary_dim, c->head_dim, factor);
    }
    if (c->rotary_dim < 2 || c->rotary_dim % 2 != 0) {
        return ox_error_set(r->err, OX_E_SHAPE, "%s: %s: expected an even number from 2 on, found %zu", dim_at.what,
                            dim_at.path, c->rotary_dim);
    }
    return OX_OK;
}

static enum ox_status read_rope(const struct reader *r)
{
    struct ox_json_at theta;
    enum ox_status status =
        get_either(r, (struct place){&r->text, "rope_theta"}, (struct place){&r->rope, "rope_theta"}, &theta);
    if (status == OX_OK) {
        status = ox_json_get_double(&theta, 1, 1e15, &r->out->rope_theta, r->err);
    }
    return status == OX_OK ? read_rotary(r) : status;
}

static enum ox_status read_factors(const struct reader *r)
{
    struct ox_config *c = r->out;
    const struct ox_json_at eps = ox_json_member(&r->text, "rms_norm_eps");
    const struct ox_json_at alpha = ox_json_member(&r->text, "swiglu_alpha");
    const struct ox_json_at limit = ox_json_member(&r->text, "swiglu_limit");
    enum ox_status status = read_float(r, &eps, 1e-20, 1, &c->eps);
    if (status == OX_OK) {
        status = read_float(r, &alpha, 0, 1e4, &c->swiglu_alpha);
    }
    if (status == OX_OK) {
        status = read_float(r, &limit, 1e-3, 1e6, &c->swiglu_limit);
    }
    return status;
}

/* One flag a layer, as a list of 1 and 0 or as a list of names for them. */
struct flags_row {
    struct place numbers;
    struct place names;
    const char *one;
    const char *zero;
    bool *out;
};

static enum ox_status need_list(const struct reader *r, const struct ox_json_at *list)
{
    if (json_is_array(list->value) && json_array_size(list->value) == r->out->n_layers) {
        return OX_OK;
    }
    char expected[80];
    snprintf(expected, sizeof expected, "an array of %zu (num_hidden_layers)", r->out->n_layers);
    return ox_json_expected(list, expected, r->err);
}

static enum ox_status read_number_flags(const struct reader *r, const struct ox_json_at *list, bool *out)
{
    enum ox_status status = need_list(r, list);
    for (size_t i = 0; status == OX_OK && i < r->out->n_layers; i++) {
        const struct ox_json_at at = ox_json_element(list, i);
        size_t flag = 0;
        status = read_size(r, &at, 0, 1, &flag);
        out[i] = flag == 1;
    }
    return status;
}

/* check: out is set already and must agree. */
static enum ox_status read_name_flags(const struct reader *r, const struct ox_json_at *list,
                                      const struct flags_row *row, bool check)
{
    enum ox_status status = need_list(r, list);
    for (size_t i = 0; status == OX_OK && i < r->out->n_layers; i++) {
        const struct ox_json_at at = ox_json_element(list, i);
        const struct ox_str name = ox_json_text(at.value);
        const bool flag = ox_str_is(name, row->one);
        char expected[OX_ERROR_MESSAGE_BYTES];
        if (!flag && !ox_str_is(name, row->zero)) {
            snprintf(expected, sizeof expected, "\"%s\" or \"%s\"", row->one, row->zero);
            status = ox_json_expected(&at, expected, r->err);
        } else if (check && flag != row->out[i]) {
            const struct ox_json_at numbers = ox_json_member(row->numbers.at, row->numbers.key);
            snprintf(expected, sizeof expected, "\"%s\" as %s says", flag ? row->zero : row->one, numbers.path);
            status = ox_json_expected(&at, expected, r->err);
        }
        row->out[i] = flag;
    }
    return status;
}

static enum ox_status read_flags(const struct reader *r, const struct flags_row *row)
{
    const struct ox_json_at numbers = ox_json_member(row->numbers.at, row->numbers.key);
    const struct ox_json_at names = ox_json_member(row->names.at, row->names.key);
    enum ox_status status = OX_OK;
    if (numbers.value != NULL || names.value == NULL) {
        status = read_number_flags(r, &numbers, row->out);
    }
    if (status == OX_OK && names.value != NULL) {
        status = read_name_flags(r, &names, row, numbers.value != NULL);
    }
    return status;
}

static bool any_layer(const struct ox_config *c, const bool *flags)
{
    bool any = false;
    for (size_t i = 0; i < c->n_layers; i++) {
        any = any || flags[i];
    }
    return any;
}

static bool all_layers(const struct ox_config *c, const bool *flags)
{
    bool all = true;
    for (size_t i = 0; i < c->n_layers; i++) {
        all = all && flags[i];
    }
    return all;
}

static enum ox_status read_shared_width(const struct reader *r)
{
    struct ox_config *c = r->out;
    const struct ox_json_at *t = &r->text;
    const struct ox_json_at width = ox_json_member(t, "shared_intermediate_size");
    size_t n_shared = 0;
    const struct size_row count = {{t, "n_shared_experts"}, {NULL, NULL}, 0, 64, &n_shared, width.value != NULL};
    n_shared = 1;
    enum ox_status status = read_sizes(r, &count, 1);
    if (status != OX_OK || n_shared == 0) {
        c->shared_inter = 0;
        return status;
    }
    if (width.value == NULL) {
        c->shared_inter = c->expert_inter * n_shared;
        return c->shared_inter <= OX_MAX_WIDTH ? OX_OK : ox_json_expected(&width, "the shared experts' width", r->err);
    }
    return read_size(r, &width, 0, OX_MAX_WIDTH, &c->shared_inter);
}

static enum ox_status read_moe(const struct reader *r)
{
    struct ox_config *c = r->out;
    const struct ox_json_at *t = &r->text;
    const struct flags_row flags = {{t, "moe_layer_freq"}, {t, "mlp_layer_types"}, "sparse", "dense", c->moe_layer};
    enum ox_status status = read_flags(r, &flags);
    if (status == OX_OK && !all_layers(c, c->moe_layer)) {
        const struct ox_json_at width = ox_json_member(t, "dense_intermediate_size");
        status = read_size(r, &width, 1, OX_MAX_WIDTH, &c->dense_inter);
    }
    if (status != OX_OK || !any_layer(c, c->moe_layer)) {
        return status;
    }
    const struct size_row rows[] = {
        {{t, "intermediate_size"}, {NULL, NULL}, 1, OX_MAX_WIDTH, &c->expert_inter, false},
        {{t, "num_local_experts"}, {NULL, NULL}, 1, OX_MAX_EXPERTS, &c->n_experts, false},
    };
    const struct ox_json_at used = ox_json_member(t, "num_experts_per_tok");
    const struct ox_json_at scale = ox_json_member(t, "routed_scaling_factor");
    status = read_sizes(r, rows, N_ROWS(rows));
    if (status == OX_OK) {
        status = read_size(r, &used, 1, c->n_experts, &c->n_experts_used);
    }
    if (status == OX_OK) {
        status = read_float(r, &scale, 0, 1e4, &c->routed_scale);
    }
    return status == OX_OK ? read_shared_width(r) : status;
}

/* The index branch of a sparse layer has an output of its own unless this list says that it is disabled. */
static enum ox_status check_index_value(const struct reader *r)
{
    const struct ox_json_at list = ox_json_member(&r->sparse, "sparse_disable_index_value");
    enum ox_status status = list.value != NULL ? need_list(r, &list) : OX_OK;
    for (size_t i = 0; status == OX_OK && list.value != NULL && i < r->out->n_layers; i++) {
        const struct ox_json_at at = ox_json_element(&list, i);
        size_t disabled = 0;
        status = read_size(r, &at, r->out->sparse_layer[i] ? 1 : 0, 1, &disabled);
    }
    return status;
}

/* Which layers are sparse; use_sparse_attention false means none. */
static enum ox_status read_sparse_layers(const struct reader *r)
{
    struct ox_config *c = r->out;
    const struct flags_row flags = {{&r->sparse, "sparse_attention_freq"},
                                    {&r->text, "layer_types"},
                                    "minimax_m3_sparse",
                                    "full_attention",
                                    c->sparse_layer};
    const struct ox_json_at use = ox_json_member(&r->sparse, "use_sparse_attention");
    const struct ox_json_at freq = ox_json_member(&r->sparse, "sparse_attention_freq");
    const struct ox_json_at types = ox_json_member(&r->text, "layer_types");
    bool used = true;
    enum ox_status status = OX_OK;
    if (use.value != NULL) {
        status = ox_json_get_bool(&use, &used, r->err);
    }
    if (status == OX_OK && (used || freq.value != NULL || types.value != NULL)) {
        status = read_flags(r, &flags);
    }
    if (status == OX_OK && !used && any_layer(c, c->sparse_layer)) {
        return ox_json_expected(&use, "true, because layers are listed as sparse", r->err);
    }
    return status;
}

static enum ox_status read_sparse(const struct reader *r)
{
    struct ox_config *c = r->out;
    const struct ox_json_at *t = &r->text;
    const struct ox_json_at *s = &r->sparse;
    enum ox_status status = read_sparse_layers(r);
    if (status != OX_OK) {
        return status;
    }
    if (!any_layer(c, c->sparse_layer)) {
        c->block = OX_DEFAULT_BLOCK;
        return OX_OK;
    }
    const struct size_row rows[] = {
        {{s, "sparse_num_index_heads"}, {t, "index_n_heads"}, 1, OX_MAX_HEADS, &c->n_index_heads, false},
        {{s, "sparse_index_dim"}, {t, "index_head_dim"}, 1, OX_MAX_HEAD_DIM, &c->index_dim, false},
        {{s, "sparse_block_size"}, {t, "index_block_size"}, 1, OX_MAX_BLOCK, &c->block, false},
        {{s, "sparse_topk_blocks"}, {t, "index_topk_blocks"}, 1, OX_MAX_BLOCK, &c->topk_blocks, false},
        {{s, "sparse_init_block"}, {t, "index_init_blocks"}, 0, OX_MAX_BLOCK, &c->init_blocks, false},
        {{s, "sparse_local_block"}, {t, "index_local_blocks"}, 0, OX_MAX_BLOCK, &c->local_blocks, false},
    };
    struct ox_json_at heads;
    struct ox_json_at width;
    status = read_sizes(r, rows, N_ROWS(rows));
    if (status == OX_OK) {
        status = check_index_value(r);
    }
    if (status == OX_OK) {
        status = get_either(r, rows[0].place, rows[0].other, &heads);
    }
    if (status == OX_OK) {
        status = get_either(r, rows[1].place, rows[1].other, &width);
    }
    if (status == OX_OK && c->n_index_heads != c->n_kv_heads) {
        status = ox_error_set(r->err, OX_E_SHAPE, "%s: %s: expected %zu (num_key_value_heads), found %zu", heads.what,
                              heads.path, c->n_kv_heads, c->n_index_heads);
    }
    if (status == OX_OK && c->rotary_dim > c->index_dim) {
        status = ox_error_set(r->err, OX_E_SHAPE, "%s: %s: expected at least %zu (rotary_dim), found %zu", width.what,
                              width.path, c->rotary_dim, c->index_dim);
    }
    return status;
}

/* ---- special tokens, vision -------------------------------------------------------------------------------------- */

/* A token's id, or -1 where the member is missing. */
static enum ox_status read_token(const struct reader *r, const struct ox_json_at *at, int32_t *out)
{
    size_t id = 0;
    *out = -1;
    if (at->value == NULL) {
        return OX_OK;
    }
    const enum ox_status status = read_size(r, at, 0, INT32_MAX, &id);
    if (status == OX_OK) {
        *out = (int32_t)id;
    }
    return status;
}

static enum ox_status read_media_tokens(const struct reader *r)
{
    struct ox_json_at at;
    enum ox_status status =
        get_either(r, (struct place){&r->root, "image_token_index"}, (struct place){&r->root, "image_token_id"}, &at);
    if (status == OX_OK) {
        status = read_token(r, &at, &r->out->image_token);
    }
    if (status == OX_OK) {
        status = get_either(r, (struct place){&r->root, "video_token_index"},
                            (struct place){&r->root, "video_token_id"}, &at);
    }
    return status == OX_OK ? read_token(r, &at, &r->out->video_token) : status;
}

static enum ox_status read_vision(const struct reader *r)
{
    struct ox_vision_config *v = &r->out->vision;
    const struct ox_json_at *a = &r->vision;
    if (a->value == NULL) {
        return OX_OK;
    }
    *v = (struct ox_vision_config){.n_channels = 3,
                                   .merge = 2,
                                   .temporal = 2,
                                   .segment_frames = 4,
                                   .projector = r->out->hidden,
                                   .rope_theta = 10000};
    const struct size_row rows[] = {
        {{a, "num_hidden_layers"}, {NULL, NULL}, 1, OX_MAX_LAYERS, &v->n_layers, false},
        {{a, "hidden_size"}, {NULL, NULL}, 1, OX_MAX_WIDTH, &v->hidden, false},
        {{a, "intermediate_size"}, {NULL, NULL}, 1, OX_MAX_WIDTH, &v->inter, false},
        {{a, "num_attention_heads"}, {NULL, NULL}, 1, OX_MAX_HEADS, &v->n_heads, false},
        {{a, "patch_size"}, {NULL, NULL}, 1, 1024, &v->patch, false},
        {{a, "num_channels"}, {NULL, NULL}, 1, 16, &v->n_channels, true},
        {{&r->compression, "spatial_merge_size"}, {a, "spatial_merge_size"}, 1, 64, &v->merge, true},
        {{&r->compression, "temporal_patch_size"}, {a, "temporal_patch_size"}, 1, 64, &v->temporal, true},
        {{a, "vision_segment_max_frames"}, {NULL, NULL}, 1, 1000000, &v->segment_frames, true},
        {{&r->root, "projector_hidden_size"}, {NULL, NULL}, 1, OX_MAX_WIDTH, &v->projector, true},
    };
    const struct ox_json_at eps = ox_json_member(a, "layer_norm_eps");
    const struct ox_json_at theta = ox_json_member(a, "rope_theta");
    enum ox_status status = check_demands(r, a, vision_demands, N_ROWS(vision_demands));
    if (status == OX_OK) {
        status = check_demands(r, &r->root, projector_demands, N_ROWS(projector_demands));
    }
    if (status == OX_OK) {
        status = read_sizes(r, rows, N_ROWS(rows));
    }
    if (status == OX_OK) {
        status = read_float(r, &eps, 1e-20, 1, &v->eps);
    }
    if (status == OX_OK && theta.value != NULL) {
        status = ox_json_get_double(&theta, 1, 1e15, &v->rope_theta, r->err);
    }
    if (status == OX_OK && v->hidden % v->n_heads != 0) {
        status = ox_error_set(r->err, OX_E_SHAPE,
                              "%s: vision_config.num_attention_heads: expected a divisor of "
                              "hidden_size (%zu), found %zu",
                              a->what, v->hidden, v->n_heads);
    }
    r->out->has_vision = status == OX_OK;
    return status;
}

/* One id or a list of them. */
static enum ox_status read_eos(const struct reader *r, const struct ox_json_at *at)
{
    struct ox_config *c = r->out;
    const size_t most = N_ROWS(c->eos_tokens);
    if (at->value == NULL) {
        return OX_OK;
    }
    c->n_eos_tokens = 0;
    if (!json_is_array(at->value)) {
        const enum ox_status status = read_token(r, at, &c->eos_tokens[0]);
        c->n_eos_tokens = status == OX_OK ? 1 : 0;
        return status;
    }
    if (json_array_size(at->value) > most) {
        return ox_json_expected(at, "an id or at most 16 of them", r->err);
    }
    for (size_t i = 0; i < json_array_size(at->value); i++) {
        const struct ox_json_at id = ox_json_element(at, i);
        const enum ox_status status =
            id.value == NULL ? ox_json_expected(&id, "an id", r->err) : read_token(r, &id, &c->eos_tokens[i]);
        if (status != OX_OK) {
            return status;
        }
        c->n_eos_tokens++;
    }
    return OX_OK;
}

static enum ox_status read_end_tokens(const struct reader *r, const struct ox_json_at *at)
{
    const struct ox_json_at bos = ox_json_member(at, "bos_token_id");
    const struct ox_json_at eos = ox_json_member(at, "eos_token_id");
    const enum ox_status status = bos.value != NULL ? read_token(r, &bos, &r->out->bos_token) : OX_OK;
    return status == OX_OK ? read_eos(r, &eos) : status;
}

/* ---- the two files ----------------------------------------------------------------------------------------------- */

static enum ox_status read_config(struct reader *r)
{
    static enum ox_status (*const steps[])(const struct reader *r) = {
        check_computation, read_shape, read_rope, read_factors, read_moe, read_sparse, read_media_tokens, read_vision,
    };
    enum ox_status status = find_places(r);
    for (size_t i = 0; status == OX_OK && i < N_ROWS(steps); i++) {
        status = steps[i](r);
    }
    if (status == OX_OK) {
        status = read_end_tokens(r, &r->text);
    }
    const struct ox_json_at mtp = ox_json_member(&r->text, "num_mtp_modules");
    if (status == OX_OK && json_integer_value(mtp.value) > 0) {
        ox_log_message(r->log, OX_LOG_DEBUG, "%s: %s: ignored, released files hold no such modules", mtp.what,
                       mtp.path);
    }
    return status;
}

enum ox_status ox_config_parse(struct ox_str json, const char *what, const struct ox_log *log, struct ox_config *out,
                               struct ox_error *err)
{
    struct ox_config config = {.norm_adds_one = true, .image_token = -1, .video_token = -1, .bos_token = -1};
    json_t *root = NULL;
    enum ox_status status = ox_json_parse(json, what, &root, err);
    if (status == OX_OK) {
        struct reader r = {.log = log, .err = err, .out = &config, .root = ox_json_root(root, what)};
        status = read_config(&r);
    }
    json_decref(root);
    if (status == OX_OK) {
        *out = config;
    }
    return status;
}

static enum ox_status read_sampling(const struct reader *r)
{
    struct ox_config *c = r->out;
    const struct ox_json_at temperature = ox_json_member(&r->root, "temperature");
    const struct ox_json_at top_p = ox_json_member(&r->root, "top_p");
    const struct ox_json_at top_k = ox_json_member(&r->root, "top_k");
    const struct ox_json_at min_p = ox_json_member(&r->root, "min_p");
    const struct ox_json_at sample = ox_json_member(&r->root, "do_sample");
    enum ox_status status = OX_OK;
    bool samples = true;
    c->has_temperature = temperature.value != NULL;
    c->has_top_p = top_p.value != NULL;
    c->has_top_k = top_k.value != NULL;
    c->has_min_p = min_p.value != NULL;
    if (c->has_temperature) {
        status = read_float(r, &temperature, 0, 100, &c->temperature);
    }
    if (status == OX_OK && c->has_top_p) {
        status = read_float(r, &top_p, 0, 1, &c->top_p);
    }
    if (status == OX_OK && c->has_top_k) {
        status = read_token(r, &top_k, &c->top_k);
    }
    if (status == OX_OK && c->has_min_p) {
        status = read_float(r, &min_p, 0, 1, &c->min_p);
    }
    if (status == OX_OK && sample.value != NULL) {
        status = ox_json_get_bool(&sample, &samples, r->err);
    }
    if (status == OX_OK && !samples) {
        c->has_temperature = true;
        c->temperature = 0;
    }
    return status;
}

enum ox_status ox_config_parse_generation(struct ox_str json, const char *what, struct ox_config *config,
                                          struct ox_error *err)
{
    struct ox_config changed = *config;
    json_t *root = NULL;
    enum ox_status status = ox_json_parse(json, what, &root, err);
    if (status == OX_OK) {
        const struct reader r = {.err = err, .out = &changed, .root = ox_json_root(root, what)};
        status = ox_json_need_object(&r.root, err);
        if (status == OX_OK) {
            status = read_sampling(&r);
        }
        if (status == OX_OK) {
            status = read_end_tokens(&r, &r.root);
        }
    }
    json_decref(root);
    if (status == OX_OK) {
        *config = changed;
    }
    return status;
}
