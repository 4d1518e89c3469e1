/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and sizes of element types and matrix formats, and tensors as people read them in messages.
 */
#include "weights/tensor.h"

#include <stdio.h>

struct dtype_row {
    const char *name;
    size_t bytes;
};

static const struct dtype_row dtypes[OX_N_DTYPES] = {
    [OX_DTYPE_F32] = {"F32", 4},         [OX_DTYPE_F16] = {"F16", 2},         [OX_DTYPE_BF16] = {"BF16", 2},
    [OX_DTYPE_F8_E4M3] = {"F8_E4M3", 1}, [OX_DTYPE_F8_E5M2] = {"F8_E5M2", 1}, [OX_DTYPE_F8_E8M0] = {"F8_E8M0", 1},
    [OX_DTYPE_F64] = {"F64", 8},         [OX_DTYPE_I64] = {"I64", 8},         [OX_DTYPE_I32] = {"I32", 4},
    [OX_DTYPE_I16] = {"I16", 2},         [OX_DTYPE_I8] = {"I8", 1},           [OX_DTYPE_U64] = {"U64", 8},
    [OX_DTYPE_U32] = {"U32", 4},         [OX_DTYPE_U16] = {"U16", 2},         [OX_DTYPE_U8] = {"U8", 1},
    [OX_DTYPE_BOOL] = {"BOOL", 1},
};

const char *ox_dtype_name(enum ox_dtype dtype)
{
    return dtypes[dtype].name;
}

size_t ox_dtype_bytes(enum ox_dtype dtype)
{
    return dtypes[dtype].bytes;
}

bool ox_dtype_parse(struct ox_str name, enum ox_dtype *out)
{
    for (size_t i = 0; i < OX_N_DTYPES; i++) {
        if (ox_str_is(name, dtypes[i].name)) {
            *out = (enum ox_dtype)i;
            return true;
        }
    }
    return false;
}

const char *ox_format_name(enum ox_format format)
{
    static const char *const names[OX_N_FORMATS] = {
        [OX_FORMAT_F32] = "F32",
        [OX_FORMAT_F16] = "F16",
        [OX_FORMAT_BF16] = "BF16",
        [OX_FORMAT_MXFP8] = "MXFP8",
    };
    return names[format];
}

uint64_t ox_matrix_bytes(const struct ox_matrix *m)
{
    if (m->values == NULL) {
        return 0;
    }
    return (uint64_t)m->rows * ((uint64_t)m->row_bytes + m->scale_row_bytes);
}

/* What a terminal may be shown of a byte from a file. */
static char printable(char c)
{
    return c >= ' ' && c <= '~' ? c : '?';
}

struct ox_label ox_label_make(struct ox_str name)
{
    struct ox_label label;
    const size_t room = sizeof label.text - 1;
    const bool whole = name.len <= room;
    const size_t head = whole ? name.len : room / 2;
    const size_t tail = whole ? 0 : room - head - 3;
    size_t at = 0;
    for (size_t i = 0; i < head; i++) {
        label.text[at++] = printable(name.ptr[i]);
    }
    if (!whole) {
        memcpy(label.text + at, "...", 3);
        at += 3;
    }
    for (size_t i = name.len - tail; i < name.len; i++) {
        label.text[at++] = printable(name.ptr[i]);
    }
    label.text[at] = '\0';
    return label;
}

struct ox_label ox_shape_label(const size_t *dims, size_t n_dims)
{
    struct ox_label label;
    size_t at = 1;
    label.text[0] = '[';
    for (size_t i = 0; i < n_dims; i++) {
        const int n = snprintf(label.text + at, sizeof label.text - at, "%s%zu", i > 0 ? ", " : "", dims[i]);
        const size_t room = sizeof label.text - at - 2;
        if (n < 0 || (size_t)n > room) {
            break;
        }
        at += (size_t)n;
    }
    label.text[at] = ']';
    label.text[at + 1] = '\0';
    return label;
}
