/* SPDX-License-Identifier: Apache-2.0
 *
 * model.safetensors.index.json: which file of a folder holds which tensor. Its metadata (total_size) are not used: the
 * released files' are wrong by a module that was never published.
 * Source: checkpoint.md section 1.
 */
#ifndef OX_WEIGHTS_SHARD_INDEX_H
#define OX_WEIGHTS_SHARD_INDEX_H

#include "base/status.h"
#include "base/str.h"

#define OX_SHARD_INDEX_NAME "model.safetensors.index.json"
#define OX_SHARD_INDEX_MAX_BYTES 100000000U

struct ox_shard_entry {
    struct ox_str tensor;
    size_t i_file;
};

/* Everything is owned by the index; all zero is empty. */
struct ox_shard_index {
    struct ox_shard_entry *entries;
    size_t n_entries;
    const char **files; /* plain names, each once, in order of bytes */
    size_t n_files;
    char *names;
};

/* Parse an index's bytes; `what` names them in errors. A file's name that leads out of the folder (a slash, ".", "..",
 * nothing, control characters) and an index without tensors are refused: OX_E_FORMAT. Any thread. */
enum ox_status ox_shard_index_parse(struct ox_str json, const char *what, struct ox_shard_index *out,
                                    struct ox_error *err) OX_MUST_USE;
void ox_shard_index_fini(struct ox_shard_index *index);

#endif
