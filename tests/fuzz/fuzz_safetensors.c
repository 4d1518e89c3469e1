/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a safetensors file. A file that is refused says why; one that is taken has tensors that lie in the bytes,
 * share none, and are as long as their types and shapes say; written again and read again they are the same.
 */
#include <stdlib.h>

#include "weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static void check_tensor(const struct ox_tensor *t, const uint8_t *begin, const uint8_t *end)
{
    size_t n = ox_dtype_bytes(t->dtype);
    check(t->n_dims <= OX_TENSOR_MAX_DIMS && t->data >= begin && t->data <= end && t->len <= (size_t)(end - t->data));
    for (size_t i = 0; i < t->n_dims; i++) {
        check(!__builtin_mul_overflow(n, t->dims[i], &n));
    }
    check(n == t->len && t->i_file == 0 && t->name.ptr[t->name.len] == '\0');
}

static void check_again(const struct ox_safetensors *st)
{
    struct ox_buf file;
    struct ox_safetensors again;
    ox_buf_init(&file);
    check(ox_safetensors_header(st->tensors, st->n_tensors, &file, NULL) == OX_OK && file.len % 8 == 0);
    for (size_t i = 0; i < st->n_tensors; i++) {
        ox_buf_add(&file, st->tensors[i].data, st->tensors[i].len);
    }
    check(!ox_buf_failed(&file));
    check(ox_safetensors_parse((const uint8_t *)file.ptr, file.len, "again", &again, NULL) == OX_OK);
    check(again.n_tensors == st->n_tensors);
    for (size_t i = 0; i < st->n_tensors && i < 64; i++) {
        const struct ox_tensor *a = &st->tensors[i];
        const struct ox_tensor *b = ox_safetensors_find(&again, a->name);
        check(b != NULL && b->dtype == a->dtype && b->n_dims == a->n_dims && b->len == a->len);
        check(memcmp(a->dims, b->dims, a->n_dims * sizeof a->dims[0]) == 0 && memcmp(a->data, b->data, a->len) == 0);
    }
    ox_safetensors_fini(&again);
    ox_buf_fini(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ox_safetensors st = {NULL, 0, NULL, 0};
    struct ox_error err;
    memset(&err, 0, sizeof err);
    const enum ox_status status = ox_safetensors_parse(data, size, "fuzz", &st, &err);
    if (status != OX_OK) {
        check(st.tensors == NULL && err.code == status && strncmp(err.message, "fuzz: ", 6) == 0);
        return 0;
    }
    check(st.header_bytes >= 10 && st.header_bytes <= size);
    for (size_t i = 0; i < st.n_tensors; i++) {
        check_tensor(&st.tensors[i], data + st.header_bytes, data + size);
        check(i == 0 || st.tensors[i - 1].data + st.tensors[i - 1].len <= st.tensors[i].data);
    }
    check_again(&st);
    ox_safetensors_fini(&st);
    return 0;
}
