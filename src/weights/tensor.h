/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors as they lie in files, and matrices as the kernels take them: typed views of mapped memory.
 */
#ifndef OX_WEIGHTS_TENSOR_H
#define OX_WEIGHTS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define OX_TENSOR_MAX_DIMS 8

/* Element types of safetensors. */
enum ox_dtype {
    OX_DTYPE_F32,
    OX_DTYPE_F16,
    OX_DTYPE_BF16,
    OX_DTYPE_F8_E4M3,
    OX_DTYPE_F8_E5M2,
    OX_DTYPE_F8_E8M0,
    OX_DTYPE_F64,
    OX_DTYPE_I64,
    OX_DTYPE_I32,
    OX_DTYPE_I16,
    OX_DTYPE_I8,
    OX_DTYPE_U64,
    OX_DTYPE_U32,
    OX_DTYPE_U16,
    OX_DTYPE_U8,
    OX_DTYPE_BOOL,
    OX_N_DTYPES,
};

/* "BF16" and so on; bytes of one element. */
const char *ox_dtype_name(enum ox_dtype dtype);
size_t ox_dtype_bytes(enum ox_dtype dtype);
bool ox_dtype_parse(struct ox_str name, enum ox_dtype *out);

/* A tensor in a mapped file. Everything is borrowed from the checkpoint that lists it. */
struct ox_tensor {
    struct ox_str name;
    enum ox_dtype dtype;
    size_t n_dims; /* 0 for a scalar */
    size_t dims[OX_TENSOR_MAX_DIMS];
    const uint8_t *data; /* no alignment is promised */
    size_t len;
    size_t i_file;
};

/* Storage formats of matrices that kernels multiply with. */
enum ox_format {
    OX_FORMAT_F32,
    OX_FORMAT_F16,
    OX_FORMAT_BF16,
    OX_FORMAT_MXFP8, /* E4M3 values [rows, cols], E8M0 scales [rows, cols / 32] */
    OX_N_FORMATS,
};

const char *ox_format_name(enum ox_format format);

/* y = W x with W [rows, cols] row-major. values NULL: no such matrix. */
struct ox_matrix {
    enum ox_format format;
    size_t rows;
    size_t cols;
    const uint8_t *values;
    size_t row_bytes;       /* from one row of values to the next */
    const uint8_t *scales;  /* MXFP8 only */
    size_t scale_row_bytes; /* cols / 32 for MXFP8 */
};

/* Bytes that multiplying with all of m reads. */
uint64_t ox_matrix_bytes(const struct ox_matrix *m);

/* A short printable text for messages. */
struct ox_label {
    char text[104];
};

/* A name out of a file: bytes that are no printable ASCII become '?', the middle of a long one "...". */
struct ox_label ox_label_make(struct ox_str name);

/* "[128, 64]"; "[]" for a scalar. */
struct ox_label ox_shape_label(const size_t *dims, size_t n_dims);

#endif
