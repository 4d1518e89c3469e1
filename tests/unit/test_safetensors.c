/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors container in memory: what is read from good headers, that every shortened file is refused, what is
 * written, and the other small claims of safetensors.h and tensor.h. Wrong headers: test_wrong_files.c.
 */
#include "weights/safetensors.h"

#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "os/file.h"
#include "tests/tap.h"

#define PATH "test-safetensors.tmp"

/* Length, header, n_data bytes 0, 1, 2, ... */
static void make_file(struct ox_buf *out, const char *header, size_t n_data)
{
    const uint64_t len = strlen(header);
    ox_buf_clear(out);
    for (size_t i = 0; i < 8; i++) {
        ox_buf_add_byte(out, (char)(unsigned char)(len >> (8 * i)));
    }
    ox_buf_add_c(out, header);
    for (size_t i = 0; i < n_data; i++) {
        ox_buf_add_byte(out, (char)(unsigned char)i);
    }
}

static enum ox_status parse(const struct ox_buf *file, struct ox_safetensors *st, struct ox_error *err)
{
    return ox_safetensors_parse((const uint8_t *)file->ptr, file->len, "x", st, err);
}

/* Free key order and white space, escapes, unknown members, a scalar, an empty tensor, a hole, a tail. */
static void test_good(void)
{
    struct ox_buf file;
    struct ox_safetensors st = {NULL, 0, NULL, 0};
    struct ox_error err;
    ox_buf_init(&file);
    make_file(&file,
              "{ \"second\" : {\"data_offsets\":[8,12], \"note\": {\"a\": []}, \"shape\":[], \"dtype\":\"F32\"},\n"
              "\"empty\":{\"dtype\":\"I64\",\"shape\":[3,0,5],\"data_offsets\":[12,12]},"
              "\"first \\u00e9\\\"\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,3],\"data_offsets\":[0,6]},"
              "\"__metadata__\":{\"format\":\"pt\",\"\":\"\"}}   ",
              20);
    if (!OK(parse(&file, &st, &err) == OX_OK, "a good header is read")) {
        NOTE("%s", err.message);
        return;
    }
    const uint8_t *data = (const uint8_t *)file.ptr + st.header_bytes;
    IS_INT(file.len - st.header_bytes, 20, "header_bytes says where the data begin");
    IS_INT(st.n_tensors, 3, "metadata are no tensor");
    OK(ox_str_is(st.tensors[0].name, "first \xC3\xA9\""), "order of offsets, escapes undone");
    IS_INT(st.tensors[0].dtype, OX_DTYPE_F8_E4M3, "dtype");
    OK(st.tensors[0].n_dims == 2 && st.tensors[0].dims[0] == 2 && st.tensors[0].dims[1] == 3, "shape");
    OK(st.tensors[0].data == data && st.tensors[0].len == 6, "data are a view");
    const struct ox_tensor *scalar = ox_safetensors_find(&st, ox_str_c("second"));
    OK(scalar != NULL && scalar->n_dims == 0 && scalar->len == 4 && scalar->data == data + 8, "scalar behind a hole");
    const struct ox_tensor *empty = ox_safetensors_find(&st, ox_str_c("empty"));
    OK(empty != NULL && empty->n_dims == 3 && empty->len == 0, "empty tensor");
    OK(ox_safetensors_find(&st, ox_str_c("first")) == NULL, "no such name");
    ox_safetensors_fini(&st);
    OK(st.tensors == NULL && st.n_tensors == 0, "fini empties");
    ox_safetensors_fini(&st);
    make_file(&file, "{}", 0);
    OK(parse(&file, &st, &err) == OX_OK && st.n_tensors == 0, "no tensors at all");
    ox_safetensors_fini(&st);
    ox_buf_fini(&file);
}

/* Any file that is cut short is refused, and an empty tensor inside another counts as overlap. */
static void test_refused(void)
{
    struct ox_buf file;
    struct ox_safetensors st;
    struct ox_error err;
    bool all = true;
    ox_buf_init(&file);
    make_file(&file, "{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}", 9);
    for (size_t len = 0; len < file.len; len++) {
        uint8_t *cut = ox_calloc(len, 1); /* of its own, so that reading on is seen */
        memcpy(cut, file.ptr, len);
        all = all && ox_safetensors_parse(cut, len, "x", &st, &err) == OX_E_FORMAT && err.message[0] != '\0';
        ox_free(cut);
    }
    OK(all, "every shortened file is refused");
    OK(parse(&file, &st, NULL) == OX_OK, "the whole file is read, err may be NULL");
    ox_safetensors_fini(&st);
    make_file(&file,
              "{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]},"
              "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]}}",
              9);
    IS_INT(parse(&file, &st, &err), OX_E_FORMAT, "empty tensor inside another");
    IS_STR(err.message, "x: tensor b: expected data from 9 on, where a ends, found 4", "and why");
    make_file(&file, "{\"a\\u001b[31m\\n\":7}", 0);
    IS_INT(parse(&file, &st, &err), OX_E_FORMAT, "control characters in a name");
    IS_STR(err.message, "x: tensor a?[31m?: expected an object, found 7", "do not reach the message");
    ox_buf_fini(&file);
}

static void test_write(void)
{
    static const uint16_t values[] = {1, 2, 3, 4, 5, 6};
    static const uint8_t byte = 7;
    struct ox_tensor tensors[] = {
        {.name = ox_str_c("z \"q\""),
         .dtype = OX_DTYPE_BF16,
         .n_dims = 2,
         .dims = {2, 3},
         .data = (const uint8_t *)values},
        {.name = ox_str_c("a"), .dtype = OX_DTYPE_U8, .data = &byte},
        {.name = ox_str_c("none"), .dtype = OX_DTYPE_F32, .n_dims = 1, .dims = {0}},
    };
    struct ox_map map = {NULL, 0};
    struct ox_safetensors st = {NULL, 0, NULL, 0};
    struct ox_error err;
    IS_INT(ox_safetensors_write(PATH, tensors, 3, &err), OX_OK, "write");
    OK(ox_map_open(PATH, &map, &err) == OX_OK && ox_safetensors_parse(map.ptr, map.len, PATH, &st, &err) == OX_OK,
       "read back");
    IS_INT(st.n_tensors, 3, "all are there");
    IS_INT(st.header_bytes % 8, 0, "data start at a multiple of 8");
    IS_INT(map.len - st.header_bytes, 13, "no gaps");
    OK(st.n_tensors == 3 && ox_str_is(st.tensors[0].name, "z \"q\"") && memcmp(st.tensors[0].data, values, 12) == 0,
       "in the given order, name and values kept");
    const struct ox_tensor *a = ox_safetensors_find(&st, ox_str_c("a"));
    OK(a != NULL && a->n_dims == 0 && *a->data == 7, "scalar kept");
    ox_safetensors_fini(&st);
    ox_map_close(&map);
    tensors[0].dims[0] = SIZE_MAX;
    IS_INT(ox_safetensors_write(PATH, tensors, 3, &err), OX_E_ARG, "a shape that overflows is refused");
    OK(ox_map_open(PATH, &map, &err) == OX_OK && map.len > 0, "and the old file is still there");
    ox_map_close(&map);
    IS_INT(ox_safetensors_write("no/such/folder/x", tensors + 1, 1, &err), OX_E_IO, "no such folder");
    OK(strstr(err.message, "no/such/folder/x") != NULL, "is named: %s", err.message);
    (void)unlink(PATH);
}

/* As many tensors as the released model has. */
static void test_many(void)
{
    struct ox_buf header;
    struct ox_buf file;
    struct ox_safetensors st = {NULL, 0, NULL, 0};
    struct ox_error err;
    struct timespec before;
    struct timespec after;
    const size_t n = 23416;
    ox_buf_init(&header);
    ox_buf_init(&file);
    ox_buf_add_c(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        ox_buf_printf(&header,
                      ",\"language_model.model.layers.%zu.block_sparse_moe.experts.%zu.w1.weight\":{\"dtype\":\"BF16\","
                      "\"shape\":[3072,6144],\"data_offsets\":[%zu,%zu]}",
                      i / 400, i % 400, i * 37748736, (i + 1) * 37748736);
    }
    ox_buf_add_byte(&header, '}');
    make_file(&file, ox_buf_text(&header), 0);
    IS_INT(parse(&file, &st, &err), OX_E_FORMAT, "all data out of the file");
    ox_buf_clear(&header);
    ox_buf_add_c(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = n; i > 0; i--) {
        ox_buf_printf(&header,
                      ",\"language_model.model.layers.%zu.block_sparse_moe.experts.%zu.w1.weight\":{\"dtype\":\"BF16\","
                      "\"shape\":[1,1],\"data_offsets\":[%zu,%zu]}",
                      i / 400, i % 400, i * 2 - 2, i * 2);
    }
    ox_buf_add_byte(&header, '}');
    make_file(&file, ox_buf_text(&header), 2 * n);
    clock_gettime(CLOCK_MONOTONIC, &before);
    IS_INT(parse(&file, &st, &err), OX_OK, "23,416 tensors");
    clock_gettime(CLOCK_MONOTONIC, &after);
    IS_INT(st.n_tensors, n, "all listed");
    NOTE("%zu bytes of header in %.3f s", header.len,
         (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec));
    ox_safetensors_fini(&st);
    ox_buf_fini(&header);
    ox_buf_fini(&file);
}

static void test_names(void)
{
    static const char long_name[] = "0123456789012345678901234567890123456789012345678901234567890123456789"
                                    "012345678901234567890123456789012345678901234567890123456789abcdefghij";
    bool all = true;
    for (enum ox_dtype i = 0; i < OX_N_DTYPES; i++) {
        enum ox_dtype back = OX_N_DTYPES;
        all = all && ox_dtype_parse(ox_str_c(ox_dtype_name(i)), &back) && back == i && ox_dtype_bytes(i) > 0;
    }
    OK(all, "every type's name is read back");
    enum ox_dtype dtype;
    OK(!ox_dtype_parse(ox_str_c("bf16"), &dtype) && !ox_dtype_parse(ox_str_c(""), &dtype), "other names are not");
    IS_STR(ox_format_name(OX_FORMAT_MXFP8), "MXFP8", "a format's name");
    const struct ox_label label = ox_label_make(ox_str_c(long_name));
    IS_INT(strlen(label.text), sizeof label.text - 1, "a long name is cut");
    OK(strstr(label.text, "...") != NULL && strstr(label.text, "abcdefghij") != NULL, "in the middle: %s", label.text);
    const size_t dims[] = {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};
    IS_STR(ox_shape_label(dims, 0).text, "[]", "a scalar's shape");
    IS_STR(ox_shape_label(dims, 2).text, "[18446744073709551615, 18446744073709551615]", "large sizes");
    OK(strlen(ox_shape_label(dims, 8).text) < sizeof label.text, "too many of them are cut");
    struct ox_matrix m = {.rows = 3, .row_bytes = 64, .scale_row_bytes = 2};
    IS_INT(ox_matrix_bytes(&m), 0, "no matrix has no bytes");
    m.values = (const uint8_t *)long_name;
    IS_INT(ox_matrix_bytes(&m), 198, "values and scales are counted");
}

int main(void)
{
    test_good();
    test_refused();
    test_write();
    test_many();
    test_names();
    return tap_done();
}
