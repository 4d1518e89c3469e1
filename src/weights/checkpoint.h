/* SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint folder: its files mapped, its tensors listed and checked against each other, found by name.
 */
#ifndef OX_WEIGHTS_CHECKPOINT_H
#define OX_WEIGHTS_CHECKPOINT_H

#include "base/log.h"
#include "base/status.h"
#include "weights/tensor.h"

struct ox_checkpoint;

/* Open every safetensors file of folder: those that model.safetensors.index.json names, else model.safetensors (or
 * path itself, if it is a .safetensors file). Headers are read and checked, data are not touched. Errors name file and
 * tensor (files by their name in the folder): OX_E_IO (missing shard), OX_E_FORMAT (header too large (> 100 MB), not
 * JSON, doubled name, offsets out of the file, overlapping, size that does not fit shape and dtype; a hole is accepted
 * with a debug message), OX_E_SHAPE (a tensor that the index promises in a file is not there, or is in two files).
 * Progress "open" in files where there is an index. log may be NULL. */
enum ox_status ox_checkpoint_open(const char *path, const struct ox_log *log, struct ox_checkpoint **out,
                                  struct ox_error *err) OX_MUST_USE;
void ox_checkpoint_close(struct ox_checkpoint **checkpoint);

size_t ox_checkpoint_n_tensors(const struct ox_checkpoint *checkpoint);
/* In order of file, then offset. */
const struct ox_tensor *ox_checkpoint_tensor(const struct ox_checkpoint *checkpoint, size_t i);
/* NULL if there is none. */
const struct ox_tensor *ox_checkpoint_find(const struct ox_checkpoint *checkpoint, struct ox_str name);

size_t ox_checkpoint_n_files(const struct ox_checkpoint *checkpoint);
const char *ox_checkpoint_file_path(const struct ox_checkpoint *checkpoint, size_t i);
/* The path's last part: how messages name a file. */
const char *ox_checkpoint_file_name(const struct ox_checkpoint *checkpoint, size_t i);
uint64_t ox_checkpoint_file_bytes(const struct ox_checkpoint *checkpoint, size_t i);
/* Sum of all tensors' bytes. */
uint64_t ox_checkpoint_data_bytes(const struct ox_checkpoint *checkpoint);

/* Ask the kernel to read len bytes of tensor from offset on soon. */
void ox_checkpoint_advise(const struct ox_checkpoint *checkpoint, const struct ox_tensor *tensor, size_t offset,
                          size_t len);

/* Read every byte of every tensor and find what no header shows: NaN in F32/F16/BF16 tensors, NaN codes (0x7F, 0xFF) in
 * E4M3, infinities, and scale bytes (F8_E8M0, or U8 with a name that ends in "_scale_inv") of 255 (NaN) or above 246,
 * with which the largest E4M3 value leaves F32's range; F64 and F8_E5M2 are looked at too, integers have nothing to
 * find. Calls report(user, tensor, sentence) for each bad tensor, the sentence saying how many elements and which is
 * the first; *n_bad counts the tensors. Progress "verify" in bytes through log; OX_E_CANCELLED if report returns
 * nonzero. */
enum ox_status ox_checkpoint_verify(const struct ox_checkpoint *checkpoint, const struct ox_log *log,
                                    int (*report)(void *user, const struct ox_tensor *tensor, const char *sentence),
                                    void *user, size_t *n_bad, struct ox_error *err) OX_MUST_USE;

#endif
