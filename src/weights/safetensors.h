/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors container: 8 bytes of header length, a JSON header, tensor data. Reading works on bytes in memory
 * and checks everything before it is used; writing streams tensors to a file.
 */
#ifndef OX_WEIGHTS_SAFETENSORS_H
#define OX_WEIGHTS_SAFETENSORS_H

#include "base/buf.h"
#include "base/status.h"
#include "weights/tensor.h"

#define OX_SAFETENSORS_MAX_HEADER 100000000U

/* A parsed header; tensors and names (each with a NUL behind it) are owned by it, data point into the bytes that were
 * parsed. All zero is empty. */
struct ox_safetensors {
    struct ox_tensor *tensors; /* in order of offset */
    size_t n_tensors;
    char *names;
    size_t header_bytes; /* what stands before the data: length and JSON */
};

/* Parse bytes; `what` names them in errors. i_file is set to 0 in all tensors. Bytes that belong to no tensor are
 * accepted; everything else that the format forbids is OX_E_FORMAT, with file and tensor named. Any thread. */
enum ox_status ox_safetensors_parse(const uint8_t *bytes, size_t len, const char *what, struct ox_safetensors *out,
                                    struct ox_error *err) OX_MUST_USE;
void ox_safetensors_fini(struct ox_safetensors *st);
/* NULL if there is none. */
const struct ox_tensor *ox_safetensors_find(const struct ox_safetensors *st, struct ox_str name);

/* Append what stands before the data in a file with these tensors (names, dtypes and dims are read), one behind the
 * other: length and header, a multiple of 8 bytes in all. Names must differ. OX_E_ARG where a shape overflows,
 * OX_E_LIMIT where the header would be too large. */
enum ox_status ox_safetensors_header(const struct ox_tensor *tensors, size_t n, struct ox_buf *header,
                                     struct ox_error *err) OX_MUST_USE;

/* Write tensors (names, dtypes, dims and data are read; the rest ignored) to path, data start a multiple of 8 and in
 * the given order, metadata {"format": "pt"}, through a temporary file and a rename. */
enum ox_status ox_safetensors_write(const char *path, const struct ox_tensor *tensors, size_t n, struct ox_error *err)
    OX_MUST_USE;

#endif
