/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the forward pass with a probe that keeps what it sees, and writes that down.
 */
#include "engine/trace.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/trace_media.h"
#include "os/file.h"
#include "weights/safetensors.h"

/* Most tokens in one pass, however many are asked for: bounds the working memory. */
#define MAX_PASS 4096
#define NAME_BYTES 32

/* What a trace collects, and where the passes stand. */
struct trace {
    const struct oxcart_engine *engine;
    const struct ox_trace_options *options;
    size_t n;          /* prompt tokens */
    size_t kept;       /* positions kept */
    size_t pass_begin; /* position of the pass's first row */
    float *hidden;     /* [n_layers + 1, kept, hidden] */
    float *logits;     /* [kept, vocab] */
    int32_t *positions;
    int32_t *greedy;
    int32_t *blocks;   /* [n_layers, n, n_kv_heads, topk] */
    int32_t *experts;  /* [n_layers, n, used] */
    float *expert_weights;
    struct ox_map map; /* the choices file */
    struct ox_safetensors choices;
    const int32_t *block_choices[OX_MAX_LAYERS]; /* [n, n_kv_heads, topk], or NULL; copies, aligned */
    const int32_t *expert_choices[OX_MAX_LAYERS];
    int32_t *choice_copies[2 * OX_MAX_LAYERS];
    size_t n_copies;
    struct ox_trace_media media;
    size_t n_features; /* that have their places already */
    struct ox_kv_layout layout;
    struct ox_kv_pool *pool;
    struct ox_kv kv;
    struct ox_state *state;
    struct ox_row *rows;
};

static size_t blocks_per_row(const struct trace *trace)
{
    return trace->engine->config.n_kv_heads * trace->engine->config.topk_blocks;
}

static void on_hidden(void *user, size_t layer, const float *x, size_t n_rows)
{
    struct trace *trace = user;
    const size_t hidden = trace->engine->config.hidden;
    const size_t first = trace->n - trace->kept;
    for (size_t i = 0; i < n_rows; i++) {
        const size_t pos = trace->pass_begin + i;
        if (pos >= first && pos < trace->n) {
            memcpy(trace->hidden + (layer * trace->kept + pos - first) * hidden, x + i * hidden,
                   hidden * sizeof *x);
        }
    }
}

static const int32_t *on_blocks(void *user, size_t layer, size_t i_row, size_t g, const int32_t *ids)
{
    struct trace *trace = user;
    const size_t topk = trace->engine->config.topk_blocks;
    const size_t pos = trace->pass_begin + i_row;
    if (pos >= trace->n) {
        return NULL;
    }
    const size_t at = pos * blocks_per_row(trace) + g * topk;
    memcpy(trace->blocks + layer * trace->n * blocks_per_row(trace) + at, ids, topk * sizeof *ids);
    return trace->block_choices[layer] != NULL ? trace->block_choices[layer] + at : NULL;
}

static const int32_t *on_experts(void *user, size_t layer, size_t i_row, const int32_t *ids, const float *weights)
{
    struct trace *trace = user;
    const size_t used = trace->engine->config.n_experts_used;
    const size_t pos = trace->pass_begin + i_row;
    if (pos >= trace->n) {
        return NULL;
    }
    const size_t at = (layer * trace->n + pos) * used;
    memcpy(trace->experts + at, ids, used * sizeof *ids);
    memcpy(trace->expert_weights + at, weights, used * sizeof *weights);
    return trace->expert_choices[layer] != NULL ? trace->expert_choices[layer] + pos * used : NULL;
}

/* Tensor `name` of the choices file as an aligned copy, if it has the shape [n, a, b] (b 0: [n, a]). */
static enum ox_status copy_choices(struct trace *trace, const char *name, size_t a, size_t b, const int32_t **out,
                                   struct ox_error *err)
{
    const char *path = trace->options->choices;
    const struct ox_tensor *t = ox_safetensors_find(&trace->choices, ox_str_c(name));
    if (t == NULL) {
        return ox_error_set(err, OX_E_SHAPE, "%s: tensor %s is missing", path, name);
    }
    const size_t n_dims = b > 0 ? 3 : 2;
    if (t->dtype != OX_DTYPE_I32 || t->n_dims != n_dims || t->dims[0] != trace->n || t->dims[1] != a ||
        (b > 0 && t->dims[2] != b)) {
        return ox_error_set(err, OX_E_SHAPE, "%s: tensor %s: expected I32 [%zu, %zu%s%.0zu], found another type or shape",
                            path, name, trace->n, a, b > 0 ? ", " : "", b);
    }
    int32_t *copy = ox_calloc(t->len, 1);
    if (copy == NULL) {
        return ox_error_nomem(err, t->len);
    }
    if (t->len > 0) {
        memcpy(copy, t->data, t->len);
    }
    trace->choice_copies[trace->n_copies++] = copy;
    *out = copy;
    return OX_OK;
}

/* Ids ascending and below limit; -1 only behind them (and only where padding is allowed), at least one id. */
static bool ascending(const int32_t *ids, size_t n, size_t limit, bool padding)
{
    if (ids[0] < 0) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (ids[i] == -1 && padding) {
            for (size_t j = i; j < n; j++) {
                if (ids[j] != -1) {
                    return false;
                }
            }
            return true;
        }
        if (ids[i] < 0 || (size_t)ids[i] >= limit || (i > 0 && ids[i] <= ids[i - 1])) {
            return false;
        }
    }
    return true;
}

static enum ox_status load_layer_choices(struct trace *trace, size_t layer, struct ox_error *err)
{
    const struct ox_config *config = &trace->engine->config;
    char name[NAME_BYTES];
    enum ox_status status = OX_OK;
    if (config->sparse_layer[layer]) {
        snprintf(name, sizeof name, "blocks.%zu", layer);
        status = copy_choices(trace, name, config->n_kv_heads, config->topk_blocks, &trace->block_choices[layer], err);
        for (size_t i = 0; status == OX_OK && i < trace->n * config->n_kv_heads; i++) {
            const size_t own = i / config->n_kv_heads / config->block;
            if (!ascending(trace->block_choices[layer] + i * config->topk_blocks, config->topk_blocks, own + 1, true)) {
                status = ox_error_set(err, OX_E_FORMAT, "%s: tensor %s: row %zu names no blocks that its position can see",
                                      trace->options->choices, name, i / config->n_kv_heads);
            }
        }
    }
    if (status == OX_OK && config->moe_layer[layer]) {
        snprintf(name, sizeof name, "experts.%zu", layer);
        status = copy_choices(trace, name, config->n_experts_used, 0, &trace->expert_choices[layer], err);
        for (size_t i = 0; status == OX_OK && i < trace->n; i++) {
            if (!ascending(trace->expert_choices[layer] + i * config->n_experts_used, config->n_experts_used,
                           config->n_experts, false)) {
                status = ox_error_set(err, OX_E_FORMAT, "%s: tensor %s: row %zu names no ascending expert ids",
                                      trace->options->choices, name, i);
            }
        }
    }
    return status;
}

static enum ox_status load_choices(struct trace *trace, struct ox_error *err)
{
    if (trace->options->choices == NULL) {
        return OX_OK;
    }
    enum ox_status status = ox_map_open(trace->options->choices, &trace->map, err);
    if (status == OX_OK) {
        status = ox_safetensors_parse(trace->map.ptr, trace->map.len, trace->options->choices, &trace->choices, err);
    }
    for (size_t l = 0; status == OX_OK && l < trace->engine->config.n_layers; l++) {
        status = load_layer_choices(trace, l, err);
    }
    return status;
}

/* Encode the pictures; there must be as many placeholders as features. */
static enum ox_status load_media(struct trace *trace, struct ox_error *err)
{
    const struct ox_config *config = &trace->engine->config;
    const enum ox_status status = ox_trace_media_load(trace->engine, trace->options->media, &trace->media, err);
    size_t n = 0;
    for (size_t i = 0; i < trace->n; i++) {
        n += trace->options->ids[i] == config->image_token || trace->options->ids[i] == config->video_token ? 1 : 0;
    }
    if (status == OX_OK && n != trace->media.n_features) {
        return ox_error_set(err, OX_E_ARG, "tokens: expected %zu placeholders for %s, found %zu",
                            trace->media.n_features, trace->options->media, n);
    }
    return status;
}

static enum ox_status check(const struct trace *trace, struct ox_error *err)
{
    const struct ox_config *config = &trace->engine->config;
    if (trace->n == 0 || trace->n + trace->options->n_greedy > config->max_positions) {
        return ox_error_set(err, OX_E_ARG, "tokens: expected 1 to %zu with those to follow, found %zu",
                            config->max_positions, trace->n + trace->options->n_greedy);
    }
    for (size_t i = 0; i < trace->n; i++) {
        if (trace->options->ids[i] < 0 || (size_t)trace->options->ids[i] >= config->vocab) {
            return ox_error_set(err, OX_E_ARG, "tokens: id %d at position %zu is not in 0 to %zu",
                                trace->options->ids[i], i, config->vocab - 1);
        }
    }
    return OX_OK;
}

static enum ox_status open_passes(struct trace *trace, size_t max_rows, struct ox_error *err)
{
    const struct oxcart_engine *engine = trace->engine;
    const size_t total = trace->n + trace->options->n_greedy;
    const size_t n_blocks = total / engine->config.block + 1;
    const size_t max_logits = trace->kept < max_rows ? trace->kept : max_rows;
    enum ox_status status = ox_kv_layout_init(&engine->config, trace->options->kv, &trace->layout, err);
    if (status == OX_OK) {
        const uint64_t state = ox_state_bytes(&engine->model, &trace->layout, max_rows, max_logits, total);
        const uint64_t kv = (uint64_t)n_blocks * trace->layout.block_bytes;
        status = ox_engine_check_memory(engine, state > UINT64_MAX - kv ? UINT64_MAX : state + kv, err);
    }
    if (status == OX_OK) {
        status = ox_kv_pool_open(&trace->layout, n_blocks, &trace->pool, err);
    }
    if (status == OX_OK) {
        status = ox_kv_init(trace->pool, total, &trace->kv, err);
    }
    if (status == OX_OK) {
        status = ox_state_open(&engine->model, &trace->layout, max_rows, max_logits, total, &trace->state, err);
    }
    return status;
}

static enum ox_status allocate(struct trace *trace, size_t max_rows, struct ox_error *err)
{
    const struct ox_config *config = &trace->engine->config;
    const size_t layers = config->n_layers;
    trace->rows = ox_calloc(max_rows, sizeof *trace->rows);
    trace->hidden = ox_calloc((layers + 1) * trace->kept, config->hidden * sizeof *trace->hidden);
    trace->logits = ox_calloc(trace->kept, config->vocab * sizeof *trace->logits);
    trace->positions = ox_calloc(trace->kept, sizeof *trace->positions);
    trace->greedy = ox_calloc(trace->options->n_greedy, sizeof *trace->greedy);
    trace->blocks = ox_calloc(layers * trace->n, blocks_per_row(trace) * sizeof *trace->blocks);
    trace->experts = ox_calloc(layers * trace->n, config->n_experts_used * sizeof *trace->experts);
    trace->expert_weights = ox_calloc(layers * trace->n, config->n_experts_used * sizeof *trace->expert_weights);
    if (trace->rows == NULL || trace->hidden == NULL || trace->logits == NULL || trace->positions == NULL ||
        trace->greedy == NULL || trace->blocks == NULL || trace->experts == NULL || trace->expert_weights == NULL) {
        return ox_error_nomem(err, (layers + 1) * trace->kept * config->hidden * sizeof *trace->hidden);
    }
    for (size_t i = 0; i < trace->kept; i++) {
        trace->positions[i] = (int32_t)(trace->n - trace->kept + i);
    }
    return OX_OK;
}

static struct ox_row make_row(struct trace *trace, size_t pos, bool want_logits)
{
    const struct ox_config *config = &trace->engine->config;
    const int32_t id = trace->options->ids[pos];
    struct ox_row row = {.id = id, .kv = &trace->kv, .want_logits = want_logits};
    if (trace->options->media != NULL && (id == config->image_token || id == config->video_token)) {
        row.embedding = trace->media.features + trace->n_features++ * config->hidden;
    }
    return row;
}

/* The prompt, max_rows tokens at a time, then the ids that follow. */
static enum ox_status run_passes(struct trace *trace, size_t max_rows, struct ox_error *err)
{
    const struct oxcart_engine *engine = trace->engine;
    const size_t vocab = engine->config.vocab;
    const size_t first = trace->n - trace->kept;
    const struct ox_probe probe = {trace, on_hidden, on_blocks, on_experts};
    const float *logits = NULL;
    size_t last = 0; /* rows of logits of the last pass, less one */
    while (trace->pass_begin < trace->n) {
        const size_t left = trace->n - trace->pass_begin;
        const size_t rows = left < max_rows ? left : max_rows;
        const enum ox_status status = ox_kv_reserve(&trace->kv, rows, err);
        if (status != OX_OK) {
            return status;
        }
        size_t n_logits = 0;
        const size_t pass_first = trace->pass_begin > first ? trace->pass_begin - first : 0;
        for (size_t i = 0; i < rows; i++) {
            const bool want = trace->pass_begin + i >= first;
            trace->rows[i] = make_row(trace, trace->pass_begin + i, want);
            n_logits += want ? 1 : 0;
        }
        ox_forward(&engine->model, trace->state, trace->rows, rows, &probe, &logits);
        if (n_logits > 0) {
            memcpy(trace->logits + pass_first * vocab, logits, n_logits * vocab * sizeof *logits);
            last = n_logits - 1;
        }
        trace->pass_begin += rows;
    }
    for (size_t i = 0; i < trace->options->n_greedy; i++) {
        const int32_t id = (int32_t)engine->kernels.argmax(logits + last * vocab, vocab);
        trace->greedy[i] = id;
        last = 0;
        const enum ox_status status = ox_kv_reserve(&trace->kv, 1, err);
        if (status != OX_OK) {
            return status;
        }
        const struct ox_row row = {.id = id, .kv = &trace->kv, .want_logits = true};
        ox_forward(&engine->model, trace->state, &row, 1, &probe, &logits);
        trace->pass_begin++;
    }
    return OX_OK;
}

/* The file's tensors; names live in `names`. */
struct listing {
    struct ox_tensor *tensors;
    char (*names)[NAME_BYTES];
    size_t n;
};

static void list(struct listing *l, const char *base, int layer, enum ox_dtype dtype, const void *data, size_t a,
                 size_t b, size_t c)
{
    struct ox_tensor *t = &l->tensors[l->n];
    char *name = l->names[l->n];
    if (layer >= 0) {
        snprintf(name, NAME_BYTES, "%s.%d", base, layer);
    } else {
        snprintf(name, NAME_BYTES, "%s", base);
    }
    t->name = ox_str_c(name);
    t->dtype = dtype;
    t->dims[0] = a;
    t->dims[1] = b;
    t->dims[2] = c;
    t->n_dims = 1U + (b > 0 ? 1U : 0U) + (c > 0 ? 1U : 0U);
    t->data = data;
    t->len = a * (b > 0 ? b : 1) * (c > 0 ? c : 1) * 4;
    l->n++;
}

static enum ox_status write_trace(const struct trace *trace, struct ox_error *err)
{
    const struct ox_config *config = &trace->engine->config;
    const size_t most = 7 + 3 * config->n_layers;
    struct listing l = {ox_calloc(most, sizeof *l.tensors), ox_calloc(most, sizeof *l.names), 0};
    enum ox_status status = OX_OK;
    if (l.tensors == NULL || l.names == NULL) {
        status = ox_error_nomem(err, most * sizeof *l.tensors);
    } else {
        const size_t used = config->n_experts_used;
        list(&l, "tokens", -1, OX_DTYPE_I32, trace->options->ids, trace->n, 0, 0);
        list(&l, "positions", -1, OX_DTYPE_I32, trace->positions, trace->kept, 0, 0);
        list(&l, "logits", -1, OX_DTYPE_F32, trace->logits, trace->kept, config->vocab, 0);
        list(&l, "hidden", -1, OX_DTYPE_F32, trace->hidden, config->n_layers + 1, trace->kept, config->hidden);
        for (size_t i = 0; i < config->n_layers; i++) {
            if (config->sparse_layer[i]) {
                list(&l, "blocks", (int)i, OX_DTYPE_I32, trace->blocks + i * trace->n * blocks_per_row(trace), trace->n,
                     config->n_kv_heads, config->topk_blocks);
            }
            if (config->moe_layer[i]) {
                list(&l, "experts", (int)i, OX_DTYPE_I32, trace->experts + i * trace->n * used, trace->n, used, 0);
                list(&l, "expert_weights", (int)i, OX_DTYPE_F32, trace->expert_weights + i * trace->n * used, trace->n,
                     used, 0);
            }
        }
        if (trace->options->n_greedy > 0) {
            list(&l, "greedy", -1, OX_DTYPE_I32, trace->greedy, trace->options->n_greedy, 0, 0);
        }
        if (trace->options->media != NULL) {
            list(&l, "tower", -1, OX_DTYPE_F32, trace->media.tower, trace->media.n_patches, config->vision.hidden, 0);
            list(&l, "features", -1, OX_DTYPE_F32, trace->media.features, trace->media.n_features, config->hidden, 0);
        }
        status = ox_safetensors_write(trace->options->out, l.tensors, l.n, err);
    }
    ox_free(l.tensors);
    ox_free(l.names);
    return status;
}

static void free_trace(struct trace *trace)
{
    for (size_t i = 0; i < trace->n_copies; i++) {
        ox_free(trace->choice_copies[i]);
    }
    ox_trace_media_fini(&trace->media);
    ox_safetensors_fini(&trace->choices);
    ox_map_close(&trace->map);
    ox_state_close(&trace->state);
    ox_kv_fini(&trace->kv);
    ox_kv_pool_close(&trace->pool);
    ox_free(trace->rows);
    ox_free(trace->hidden);
    ox_free(trace->logits);
    ox_free(trace->positions);
    ox_free(trace->greedy);
    ox_free(trace->blocks);
    ox_free(trace->experts);
    ox_free(trace->expert_weights);
    ox_free(trace);
}

enum ox_status ox_trace_run(struct oxcart_engine *engine, const struct ox_trace_options *options, struct ox_error *err)
{
    struct trace *trace = ox_calloc(1, sizeof *trace);
    if (trace == NULL) {
        return ox_error_nomem(err, sizeof *trace);
    }
    trace->engine = engine;
    trace->options = options;
    trace->n = options->n_ids;
    trace->kept = options->n_positions < trace->n ? options->n_positions : trace->n;
    trace->kept = trace->kept > 0 ? trace->kept : 1;
    const size_t wanted = options->chunk > 0 && options->chunk < trace->n ? options->chunk : trace->n;
    const size_t max_rows = wanted < MAX_PASS ? wanted : MAX_PASS;
    enum ox_status status = check(trace, err);
    if (status == OX_OK) {
        status = load_choices(trace, err);
    }
    if (status == OX_OK && options->media != NULL) {
        status = load_media(trace, err);
    }
    if (status == OX_OK) {
        status = open_passes(trace, max_rows, err);
    }
    if (status == OX_OK) {
        status = allocate(trace, max_rows, err);
    }
    if (status == OX_OK) {
        status = run_passes(trace, max_rows, err);
    }
    if (status == OX_OK) {
        status = write_trace(trace, err);
    }
    free_trace(trace);
    return status;
}
