/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a model: machine, files, weights, tokenizer, and the checks that hold them against each other.
 */
#include "engine/engine.h"

#include <string.h>

#include "config.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/memory.h"
#include "weights/synthetic.h"

#define GIB 1073741824.0

enum oxcart_status ox_export_error(const struct ox_error *err, struct oxcart_error *public_err)
{
    if (public_err != NULL) {
        public_err->code = (enum oxcart_status)err->code;
        public_err->sys_errno = err->sys_errno;
        public_err->offset = err->offset;
        memcpy(public_err->message, err->message, sizeof public_err->message);
    }
    return (enum oxcart_status)err->code;
}

/* The library's log in terms of the caller's functions. */
static void pass_message(void *user, enum ox_log_level level, const char *text)
{
    const struct oxcart_engine_options *options = user;
    options->message(options->user, (enum oxcart_log_level)level, text);
}

static void pass_progress(void *user, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
    const struct oxcart_engine_options *options = user;
    options->progress(options->user, phase, done, total, unit);
}

/* FOLDER/NAME read whole; *found false (and OX_OK) if there is no such file. */
static enum ox_status read_part(const char *folder, const char *name, struct ox_buf *out, char **path, bool *found,
                                struct ox_error *err)
{
    *path = ox_path_join(folder, name);
    if (*path == NULL) {
        return ox_error_nomem(err, strlen(folder) + strlen(name) + 2);
    }
    *found = ox_file_exists(*path);
    return *found ? ox_file_read(*path, OX_MAX_JSON_FILE, out, err) : OX_OK;
}

static enum ox_status load_config(struct oxcart_engine *engine, const char *folder, struct ox_error *err)
{
    struct ox_buf text = {0};
    char *path = NULL;
    bool found = false;
    enum ox_status status = read_part(folder, "config.json", &text, &path, &found, err);
    if (status == OX_OK && !found) {
        status = ox_error_set(err, OX_E_IO, "%s: no such file; a model is a folder with config.json, *.safetensors and "
                              "tokenizer.json", path);
    }
    if (status == OX_OK) {
        engine->config_hash = ox_siphash(engine->config_hash, ox_buf_text(&text), text.len);
        status = ox_config_parse(ox_buf_str(&text), path, &engine->log, &engine->config, err);
    }
    ox_buf_fini(&text);
    ox_free(path);
    path = NULL;
    if (status == OX_OK) {
        status = read_part(folder, "generation_config.json", &text, &path, &found, err);
    }
    if (status == OX_OK && found) {
        status = ox_config_parse_generation(ox_buf_str(&text), path, &engine->config, err);
    }
    ox_buf_fini(&text);
    ox_free(path);
    return status;
}

/* Every token must have a row in the matrices; rows without a token are noted, so that they are never drawn. */
static enum ox_status check_ids(struct oxcart_engine *engine, const char *path, struct ox_error *err)
{
    const size_t vocab = engine->config.vocab;
    const int32_t n_ids = ox_tokenizer_n_ids(engine->tokenizer);
    if ((size_t)n_ids > vocab) {
        return ox_error_set(err, OX_E_SHAPE, "%s: token id %d is beyond the model's %zu vocabulary rows", path,
                            n_ids - 1, vocab);
    }
    for (size_t id = 0; id < vocab; id++) {
        engine->banned[id] = ox_tokenizer_bytes(engine->tokenizer, (int32_t)id).ptr == NULL ? 1 : 0;
    }
    return OX_OK;
}

static enum ox_status load_tokenizer(struct oxcart_engine *engine, const char *folder, struct ox_error *err)
{
    struct ox_buf text = {0};
    char *path = NULL;
    bool found = false;
    engine->banned = ox_calloc(engine->config.vocab, 1);
    enum ox_status status =
        engine->banned != NULL ? OX_OK : ox_error_nomem(err, engine->config.vocab);
    if (status == OX_OK) {
        status = read_part(folder, "tokenizer.json", &text, &path, &found, err);
    }
    if (status == OX_OK && found) {
        status = ox_tokenizer_new(ox_buf_str(&text), path, &engine->log, &engine->tokenizer, err);
        if (status == OX_OK) {
            ox_markers_find(engine->tokenizer, &engine->markers);
            status = check_ids(engine, path, err);
        }
    }
    ox_buf_fini(&text);
    ox_free(path);
    return status;
}

/* Count each matrix once. */
static void count_matrix(struct oxcart_engine *engine, const struct ox_matrix *m)
{
    if (m->values != NULL) {
        engine->n_parameters += (uint64_t)m->rows * m->cols;
        engine->weight_bytes += ox_matrix_bytes(m);
    }
}

static void count_mlp(struct oxcart_engine *engine, const struct ox_mlp_weights *w)
{
    count_matrix(engine, &w->gate);
    count_matrix(engine, &w->up);
    count_matrix(engine, &w->down);
}

static void count_affine(struct oxcart_engine *engine, const struct ox_affine *w)
{
    count_matrix(engine, &w->weight);
    engine->n_parameters += w->weight.rows;
}

static void count_vision(struct oxcart_engine *engine)
{
    const struct ox_vision_config *config = &engine->config.vision;
    const struct ox_vision_weights *w = &engine->weights.vision;
    const struct ox_affine *ends[] = {&w->project1, &w->project2, &w->merge1, &w->merge2};
    if (w->layers == NULL) {
        return;
    }
    count_matrix(engine, &w->patch);
    engine->n_parameters += 2 * config->hidden;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        count_affine(engine, ends[i]);
    }
    for (size_t l = 0; l < config->n_layers; l++) {
        const struct ox_vision_layer *layer = &w->layers[l];
        const struct ox_affine *all[] = {&layer->q, &layer->k, &layer->v, &layer->out, &layer->fc1, &layer->fc2};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
            count_affine(engine, all[i]);
        }
        engine->n_parameters += 4 * config->hidden;
    }
}

static void count_weights(struct oxcart_engine *engine)
{
    const struct ox_config *config = &engine->config;
    count_vision(engine);
    count_matrix(engine, &engine->weights.embed);
    count_matrix(engine, &engine->weights.head);
    engine->n_parameters += config->hidden;
    for (size_t l = 0; l < config->n_layers; l++) {
        const struct ox_layer_weights *w = &engine->weights.layers[l];
        const struct ox_matrix *plain[] = {&w->q, &w->k, &w->v, &w->o, &w->index_q, &w->index_k, &w->router};
        for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
            count_matrix(engine, plain[i]);
        }
        engine->n_parameters += 2 * (config->hidden + config->head_dim);
        engine->n_parameters += config->sparse_layer[l] ? 2 * config->index_dim : 0;
        count_mlp(engine, &w->mlp);
        count_mlp(engine, &w->shared);
        if (config->moe_layer[l]) {
            engine->n_parameters += config->n_experts;
            for (size_t e = 0; e < config->n_experts; e++) {
                count_mlp(engine, &w->experts[e]);
            }
        }
    }
}

enum ox_status ox_engine_check_memory(const struct oxcart_engine *engine, uint64_t more, struct ox_error *err)
{
    struct ox_memory_info memory;
    const enum ox_status status = ox_memory_query(&memory, err);
    if (status != OX_OK) {
        return status;
    }
    /* a synthetic model's weights are in memory already and no longer count as available */
    const uint64_t weights = engine->synthetic.ptr != NULL ? 0 : engine->weight_bytes;
    const uint64_t need = weights > UINT64_MAX - more ? UINT64_MAX : weights + more;
    if (need <= memory.available) {
        return OX_OK;
    }
    return ox_error_set(err, OX_E_NOMEM,
                        "not enough memory: weights %.1f GiB and cache and working memory %.1f GiB are needed, %.1f GiB "
                        "are available, %.1f GiB are missing",
                        (double)weights / GIB, (double)more / GIB, (double)memory.available / GIB,
                        (double)(need - memory.available) / GIB);
}

static enum ox_status open_machine(struct oxcart_engine *engine, const struct oxcart_engine_options *options,
                                   struct ox_error *err)
{
    enum ox_cpu_level level = ox_cpu_best_level();
    if (options->cpu_level != NULL && !ox_cpu_level_parse(ox_str_c(options->cpu_level), &level)) {
        return ox_error_set(err, OX_E_ARG, "CPU level \"%s\" is not known", options->cpu_level);
    }
    if (!ox_cpu_has_level(level)) {
        return ox_error_set(err, OX_E_DEVICE, "CPU level \"%s\" is not available on this machine; the best here is \"%s\"",
                            ox_cpu_level_name(level), ox_cpu_level_name(ox_cpu_best_level()));
    }
    if (options->n_threads < 0 || options->n_threads > OX_TEAM_MAX_WORKERS) {
        return ox_error_set(err, OX_E_ARG, "threads: expected 1 to %d, found %d", OX_TEAM_MAX_WORKERS,
                            options->n_threads);
    }
    ox_kernels_init(&engine->kernels, level);
    enum ox_status status = ox_topology_open(NULL, &engine->topology, err);
    if (status == OX_OK) {
        status = ox_team_open(engine->topology, (size_t)options->n_threads, &engine->team, err);
    }
    return status;
}

static enum ox_status open_model(struct oxcart_engine *engine, const char *folder, struct ox_error *err)
{
    const char *slash = strrchr(folder, '/');
    engine->name = ox_strdup(slash != NULL && slash[1] != '\0' ? slash + 1 : folder);
    if (engine->name == NULL) {
        return ox_error_nomem(err, strlen(folder));
    }
    enum ox_status status = load_config(engine, folder, err);
    if (status == OX_OK) {
        status = ox_checkpoint_open(folder, &engine->log, &engine->checkpoint, err);
    }
    if (status == OX_OK) {
        status = ox_weights_bind(engine->checkpoint, &engine->config, &engine->weights, err);
    }
    if (status == OX_OK) {
        count_weights(engine);
        status = ox_engine_check_memory(engine, 0, err);
    }
    if (status == OX_OK) {
        status = load_tokenizer(engine, folder, err);
    }
    if (status == OX_OK) {
        status = ox_model_init(&engine->config, &engine->weights, &engine->kernels, engine->team, &engine->model, err);
    }
    return status;
}

/* Weights of random numbers, in memory of their own. */
static enum ox_status open_synthetic(struct oxcart_engine *engine, struct ox_str spec, uint64_t more,
                                     struct ox_error *err)
{
    struct ox_synthetic synthetic;
    struct ox_buf name = {0};
    ox_buf_printf(&name, "synthetic %.*s", (int)spec.len, spec.ptr);
    engine->name = ox_buf_take(&name);
    if (engine->name == NULL) {
        return ox_error_nomem(err, spec.len);
    }
    enum ox_status status = ox_synthetic_parse(spec, &synthetic, err);
    if (status == OX_OK) {
        engine->config = synthetic.config;
        engine->weight_bytes = ox_synthetic_bytes(&synthetic);
        status = ox_engine_check_memory(engine, more, err);
    }
    if (status == OX_OK) {
        status = ox_region_open((size_t)engine->weight_bytes, &engine->synthetic, err);
    }
    if (status == OX_OK) {
        status = ox_synthetic_bind(&synthetic, engine->synthetic.ptr, &engine->weights, err);
    }
    if (status == OX_OK) {
        engine->weight_bytes = 0;
        count_weights(engine);
        ox_synthetic_fill(&synthetic, &engine->synthetic, &engine->weights, engine->team, &engine->log);
        engine->banned = ox_calloc(engine->config.vocab, 1);
        status = engine->banned != NULL ? OX_OK : ox_error_nomem(err, engine->config.vocab);
    }
    if (status == OX_OK) {
        status = ox_model_init(&engine->config, &engine->weights, &engine->kernels, engine->team, &engine->model, err);
    }
    return status;
}

/* spec NULL: the model at options->model_path. */
static enum ox_status open_engine(const struct oxcart_engine_options *options, const struct ox_str *spec, uint64_t more,
                                  struct oxcart_engine **out, struct ox_error *err)
{
    if (options == NULL || options->size != sizeof *options || (options->model_path == NULL && spec == NULL)) {
        return ox_error_set(err, OX_E_ARG, "engine options: size or model_path is not set");
    }
    struct oxcart_engine *engine = ox_calloc(1, sizeof *engine);
    if (engine == NULL) {
        return ox_error_nomem(err, sizeof *engine);
    }
    engine->n_media_tokens = ox_calloc(1, sizeof *engine->n_media_tokens);
    if (engine->n_media_tokens == NULL || !ox_grammars_init(&engine->grammars)) {
        ox_free(engine->n_media_tokens);
        ox_free(engine);
        return ox_error_set(err, OX_E_NOMEM, "there is no memory or no lock to be had");
    }
    pthread_mutex_init(&engine->turn, NULL);
    struct oxcart_engine_options kept = *options;
    engine->log.user = &kept;
    engine->log.message = options->message != NULL ? pass_message : NULL;
    engine->log.progress = options->progress != NULL ? pass_progress : NULL;
    enum ox_status status = open_machine(engine, options, err);
    if (status == OX_OK && spec != NULL) {
        status = open_synthetic(engine, *spec, more, err);
    } else if (status == OX_OK) {
        status = open_model(engine, options->model_path, err);
    }
    memset(&engine->log, 0, sizeof engine->log); /* its functions are the opener's, and so is `kept` */
    if (status != OX_OK) {
        oxcart_engine_close(&engine);
        return status;
    }
    *out = engine;
    return OX_OK;
}

enum ox_status ox_engine_open(const struct oxcart_engine_options *options, struct oxcart_engine **out,
                              struct ox_error *err)
{
    return open_engine(options, NULL, 0, out, err);
}

enum ox_status ox_engine_open_synthetic(const struct oxcart_engine_options *options, struct ox_str spec, uint64_t more,
                                        struct oxcart_engine **out, struct ox_error *err)
{
    return open_engine(options, &spec, more, out, err);
}

bool ox_engine_is_end(const struct oxcart_engine *engine, int32_t id)
{
    for (size_t i = 0; i < engine->config.n_eos_tokens; i++) {
        if (engine->config.eos_tokens[i] == id) {
            return true;
        }
    }
    return engine->tokenizer != NULL && id >= 0 &&
           (id == engine->markers.end_message || id == engine->markers.begin_message ||
            id == engine->markers.begin_document);
}

enum oxcart_status oxcart_engine_open(const struct oxcart_engine_options *options, struct oxcart_engine **out,
                                      struct oxcart_error *err)
{
    struct ox_error inner = {0};
    if (ox_engine_open(options, out, &inner) != OX_OK) {
        return ox_export_error(&inner, err);
    }
    return OXCART_OK;
}

void oxcart_engine_close(struct oxcart_engine **engine)
{
    struct oxcart_engine *e = *engine;
    if (e == NULL) {
        return;
    }
    ox_model_fini(&e->model);
    ox_lexicon_free(e->lexicon);
    ox_tokenizer_free(e->tokenizer);
    ox_free(e->banned);
    ox_weights_fini(&e->weights);
    ox_checkpoint_close(&e->checkpoint);
    ox_region_close(&e->synthetic);
    ox_team_close(&e->team);
    ox_topology_close(&e->topology);
    ox_grammars_fini(&e->grammars);
    pthread_mutex_destroy(&e->turn);
    ox_free(e->n_media_tokens);
    ox_free(e->name);
    ox_free(e);
    *engine = NULL;
}

/* An expert's format, or the first MLP's. */
const char *ox_engine_format(const struct oxcart_engine *engine)
{
    static const char *const names[OX_N_FORMATS] = {
        [OX_FORMAT_F32] = "f32", [OX_FORMAT_F16] = "f16", [OX_FORMAT_BF16] = "bf16", [OX_FORMAT_MXFP8] = "mxfp8"};
    for (size_t l = 0; l < engine->config.n_layers; l++) {
        if (engine->config.moe_layer[l]) {
            return names[engine->weights.layers[l].experts[0].gate.format];
        }
    }
    return names[engine->weights.layers[0].mlp.gate.format];
}

enum oxcart_status oxcart_engine_info(const struct oxcart_engine *engine, struct oxcart_engine_info *info)
{
    struct ox_kv_layout layout;
    if (info->size != sizeof *info || ox_kv_layout_init(&engine->config, OX_KV_BF16, &layout, NULL) != OX_OK) {
        return OXCART_E_ARG;
    }
    info->name = engine->name;
    info->format = ox_engine_format(engine);
    info->cpu_level = ox_cpu_level_name(engine->kernels.level);
    info->n_threads = (int32_t)ox_team_n_workers(engine->team);
    info->n_layers = (int32_t)engine->config.n_layers;
    info->n_vocab = (int32_t)engine->config.vocab;
    info->n_tokens = engine->tokenizer != NULL ? ox_tokenizer_n_ids(engine->tokenizer) : info->n_vocab;
    info->max_positions = (int32_t)engine->config.max_positions;
    info->has_tokenizer = engine->tokenizer != NULL ? 1 : 0;
    info->has_vision = engine->weights.vision.layers != NULL ? 1 : 0;
    info->n_parameters = engine->n_parameters;
    info->weight_bytes = engine->weight_bytes;
    info->kv_token_bytes = ox_kv_token_bytes(&layout);
    return OXCART_OK;
}

const char *oxcart_version(void)
{
    return PACKAGE_VERSION;
}

void oxcart_free(void *p)
{
    ox_free(p);
}
