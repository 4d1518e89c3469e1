/* SPDX-License-Identifier: Apache-2.0
 *
 * An engine from the inside: a loaded model with everything that belongs to it. Sessions, traces and benchmarks are
 * built on it; programs outside use oxcart.h.
 */
#ifndef OX_ENGINE_ENGINE_H
#define OX_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/log.h"
#include "model/model.h"
#include "os/topology.h"
#include "oxcart.h"
#include "text/grammars.h"
#include "text/lexicon.h"
#include "text/markers.h"
#include "weights/checkpoint.h"

/* Default and largest batch of a prefill, in rows. */
#define OX_BATCH_ROWS 2048
/* Longest context unless it is asked for. */
#define OX_DEFAULT_CTX 32768

struct oxcart_engine {
    struct ox_log log;
    char *name;
    struct ox_topology *topology;
    struct ox_team *team;
    struct ox_kernels kernels;
    struct ox_config config;
    struct ox_hash config_hash; /* of config.json's text */
    struct ox_checkpoint *checkpoint;
    struct ox_weights weights;
    struct ox_region synthetic; /* the matrices of a synthetic model; checkpoint is NULL then */
    struct ox_model model;
    struct ox_tokenizer *tokenizer; /* NULL if the folder has no tokenizer.json */
    struct ox_markers markers;
    struct ox_lexicon *lexicon; /* NULL until a reply is constrained; made under `turn` */
    struct ox_grammars grammars; /* of constrained replies */
    uint8_t *banned;       /* [vocab] nonzero: no token has this id, never drawn */
    uint64_t weight_bytes; /* of the tensors bound */
    uint64_t n_parameters;
    pthread_mutex_t turn;  /* held while a session computes */
    atomic_size_t *n_media_tokens; /* of pictures and clips that prompts keep decoded, where that is limited */
};

/* Open in this project's own terms; the public function wraps it. */
enum ox_status ox_engine_open(const struct oxcart_engine_options *options, struct oxcart_engine **out,
                              struct ox_error *err) OX_MUST_USE;

/* Open a synthetic model instead (see weights/synthetic.h for spec): options->model_path is ignored, the name is "synthetic "
 * and the spec. more: bytes that the caller will want besides the weights; OX_E_NOMEM before anything is allocated if all
 * of it does not fit. There is no tokenizer. */
enum ox_status ox_engine_open_synthetic(const struct oxcart_engine_options *options, struct ox_str spec, uint64_t more,
                                        struct oxcart_engine **out, struct ox_error *err) OX_MUST_USE;

/* OX_E_NOMEM with a sentence that says what is needed, there and missing, unless the weights and `more` bytes fit in
 * the memory that is available. */
enum ox_status ox_engine_check_memory(const struct oxcart_engine *engine, uint64_t more, struct ox_error *err)
    OX_MUST_USE;

/* The format that most of the weights are in, as the public interface names it ("mxfp8"). */
const char *ox_engine_format(const struct oxcart_engine *engine);

/* What the bits of a KV block in this layout depend on: equal for equal models, CPU levels and program versions. Any
 * thread. */
struct ox_hash ox_engine_identity(const struct oxcart_engine *engine, const struct ox_kv_layout *layout);

/* Copy an error for the public interface; returns err's code. public_err may be NULL. */
enum oxcart_status ox_export_error(const struct ox_error *err, struct oxcart_error *public_err);

/* May this id be drawn as the end of a message? */
bool ox_engine_is_end(const struct oxcart_engine *engine, int32_t id);

/* Largest JSON file of a checkpoint that is read. */
#define OX_MAX_JSON_FILE ((size_t)256 << 20)

#endif
