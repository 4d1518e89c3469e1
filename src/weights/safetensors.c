/* SPDX-License-Identifier: Apache-2.0
 *
 * The safetensors container. Reading trusts nothing: every offset, shape and size is checked against the bytes at hand
 * before a tensor exists, and no two tensors share a byte. Source: the format's specification, checkpoint.md section 3.
 */
#include "weights/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ckd.h"
#include "base/json.h"
#include "base/mem.h"
#include "os/file.h"

#define LENGTH_BYTES ((size_t)8)
#define METADATA_KEY "__metadata__"

/* What is known while a header is read. */
struct parse {
    const char *what;
    const uint8_t *data; /* first byte behind the header */
    size_t data_len;
    struct ox_error *err;
};

/* Put the file's and the tensor's name before a message that was just set. */
static enum ox_status tensor_fault(const struct parse *p, struct ox_str name, enum ox_status status)
{
    const struct ox_label label = ox_label_make(name);
    ox_error_prefix(p->err, "%s: tensor %s: ", p->what, label.text);
    return status;
}

static uint64_t read_u64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

/* The same for a member of a tensor's entry that is not as expected. */
static enum ox_status unlike(const struct parse *p, const struct ox_tensor *t, const char *member, const json_t *value,
                             const char *expected)
{
    struct ox_json_at at = {value, p->what, ""};
    const struct ox_label label = ox_label_make(t->name);
    snprintf(at.path, sizeof at.path, "tensor %s%s%.24s", label.text, member[0] != '\0' ? ": " : "", member);
    return ox_json_expected(&at, expected, p->err);
}

/* Element i of the array `member`: an integer from 0 on. */
static enum ox_status read_size(const struct parse *p, const struct ox_tensor *t, const char *member,
                                const json_t *array, size_t i, size_t *out)
{
    char name[32];
    const json_t *value = json_array_get(array, i);
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        snprintf(name, sizeof name, "%s[%zu]", member, i);
        return unlike(p, t, name, value, "an integer from 0 on");
    }
    *out = (size_t)json_integer_value(value);
    return OX_OK;
}

static enum ox_status read_dtype(const struct parse *p, const json_t *entry, struct ox_tensor *t)
{
    const json_t *dtype = json_object_get(entry, "dtype");
    if (!ox_dtype_parse(ox_json_text(dtype), &t->dtype)) {
        return unlike(p, t, "dtype", dtype, "the name of a known type");
    }
    return OX_OK;
}

static enum ox_status read_shape(const struct parse *p, const json_t *entry, struct ox_tensor *t)
{
    enum ox_status status = OX_OK;
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > OX_TENSOR_MAX_DIMS) {
        return unlike(p, t, "shape", shape, "an array of at most 8 sizes");
    }
    t->n_dims = json_array_size(shape);
    for (size_t i = 0; status == OX_OK && i < t->n_dims; i++) {
        status = read_size(p, t, "shape", shape, i, &t->dims[i]);
    }
    return status;
}

/* Bytes that dtype and shape ask for; true if they overflow. */
static bool wanted_bytes(const struct ox_tensor *t, size_t *out)
{
    *out = ox_dtype_bytes(t->dtype);
    for (size_t i = 0; i < t->n_dims; i++) {
        if (ox_ckd_mul(out, *out, t->dims[i])) {
            return true;
        }
    }
    return false;
}

/* Where the data lie; dtype and shape are known. */
static enum ox_status read_offsets(const struct parse *p, const json_t *entry, struct ox_tensor *t)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    size_t begin = 0;
    size_t end = 0;
    size_t wanted = 0;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2) {
        return unlike(p, t, "data_offsets", offsets, "an array of 2");
    }
    enum ox_status status = read_size(p, t, "data_offsets", offsets, 0, &begin);
    if (status == OX_OK) {
        status = read_size(p, t, "data_offsets", offsets, 1, &end);
    }
    if (status != OX_OK) {
        return status;
    }
    const struct ox_label shape = ox_shape_label(t->dims, t->n_dims);
    if (begin > end || end > p->data_len) {
        status = ox_error_set(p->err, OX_E_FORMAT,
                              "expected data_offsets in order within the file's %zu bytes of data, found [%zu, %zu]",
                              p->data_len, begin, end);
    } else if (wanted_bytes(t, &wanted)) {
        status = ox_error_set(p->err, OX_E_FORMAT, "expected a shape that fits in memory, found %s", shape.text);
    } else if (end - begin != wanted) {
        status = ox_error_set(p->err, OX_E_FORMAT, "expected %zu bytes for %s %s, found %zu", wanted,
                              ox_dtype_name(t->dtype), shape.text, end - begin);
    }
    if (status != OX_OK) {
        return tensor_fault(p, t->name, status);
    }
    t->data = p->data + begin;
    t->len = wanted;
    return OX_OK;
}

static enum ox_status read_tensor(const struct parse *p, const json_t *entry, struct ox_tensor *t)
{
    if (!json_is_object(entry)) {
        return unlike(p, t, "", entry, "an object");
    }
    enum ox_status status = read_dtype(p, entry, t);
    if (status == OX_OK) {
        status = read_shape(p, entry, t);
    }
    return status == OX_OK ? read_offsets(p, entry, t) : status;
}

static enum ox_status check_metadata(const struct parse *p, json_t *metadata)
{
    const char *key;
    json_t *value;
    struct ox_json_at at = {metadata, p->what, "header: " METADATA_KEY};
    if (!json_is_object(metadata)) {
        return ox_json_expected(&at, "an object", p->err);
    }
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value)) {
            const struct ox_label label = ox_label_make(ox_str_c(key));
            snprintf(at.path, sizeof at.path, "header: %s.%s", METADATA_KEY, label.text);
            at.value = value;
            return ox_json_expected(&at, "a string", p->err);
        }
    }
    return OX_OK;
}

static int by_offset(const void *pa, const void *pb)
{
    const struct ox_tensor *a = pa;
    const struct ox_tensor *b = pb;
    if (a->data != b->data) {
        return a->data < b->data ? -1 : 1;
    }
    if (a->len != b->len) {
        return a->len < b->len ? -1 : 1;
    }
    return strcmp(a->name.ptr, b->name.ptr);
}

static enum ox_status check_overlap(const struct parse *p, const struct ox_safetensors *st)
{
    for (size_t i = 1; i < st->n_tensors; i++) {
        const struct ox_tensor *before = &st->tensors[i - 1];
        const struct ox_tensor *t = &st->tensors[i];
        if (t->data < before->data + before->len) {
            const struct ox_label label = ox_label_make(before->name);
            const size_t end = (size_t)(before->data - p->data) + before->len;
            const enum ox_status status = ox_error_set(p->err, OX_E_FORMAT,
                                                       "expected data from %zu on, where %s ends, "
                                                       "found %zu",
                                                       end, label.text, (size_t)(t->data - p->data));
            return tensor_fault(p, t->name, status);
        }
    }
    return OX_OK;
}

/* Fill st (already empty) from a header's tree. */
static enum ox_status read_header(const struct parse *p, json_t *root, struct ox_safetensors *st)
{
    const char *key;
    json_t *value;
    size_t names_bytes = 0;
    json_object_foreach(root, key, value)
    {
        names_bytes += strlen(key) + 1;
    }
    st->tensors = ox_calloc(json_object_size(root), sizeof *st->tensors);
    st->names = ox_calloc(names_bytes, 1);
    if (st->tensors == NULL || st->names == NULL) {
        return ox_error_nomem(p->err, names_bytes + json_object_size(root) * sizeof *st->tensors);
    }
    char *name = st->names;
    json_object_foreach(root, key, value)
    {
        enum ox_status status;
        if (strcmp(key, METADATA_KEY) == 0) {
            status = check_metadata(p, value);
        } else {
            struct ox_tensor *t = &st->tensors[st->n_tensors++];
            t->name = ox_str_make(name, strlen(key));
            memcpy(name, key, t->name.len);
            name += t->name.len + 1;
            status = read_tensor(p, value, t);
        }
        if (status != OX_OK) {
            return status;
        }
    }
    qsort(st->tensors, st->n_tensors, sizeof *st->tensors, by_offset);
    return check_overlap(p, st);
}

enum ox_status ox_safetensors_parse(const uint8_t *bytes, size_t len, const char *what, struct ox_safetensors *out,
                                    struct ox_error *err)
{
    if (len < LENGTH_BYTES) {
        return ox_error_set(err, OX_E_FORMAT, "%s: expected a safetensors file of at least 8 bytes, found %zu", what,
                            len);
    }
    const uint64_t header_len = read_u64(bytes);
    if (header_len > OX_SAFETENSORS_MAX_HEADER) {
        return ox_error_set(err, OX_E_FORMAT, "%s: expected a header of at most %u bytes, found %" PRIu64, what,
                            OX_SAFETENSORS_MAX_HEADER, header_len);
    }
    if (header_len > len - LENGTH_BYTES) {
        return ox_error_set(err, OX_E_FORMAT,
                            "%s: expected a header of %" PRIu64 " bytes, found only %zu bytes after "
                            "its length",
                            what, header_len, len - LENGTH_BYTES);
    }
    const struct ox_str text = ox_str_make((const char *)(bytes + LENGTH_BYTES), (size_t)header_len);
    if (text.len == 0 || text.ptr[0] != '{') {
        return ox_error_set(err, OX_E_FORMAT, "%s: header: expected JSON that begins with '{', found other bytes",
                            what);
    }
    const struct parse p = {what, bytes + LENGTH_BYTES + header_len, len - LENGTH_BYTES - (size_t)header_len, err};
    struct ox_safetensors st = {NULL, 0, NULL, LENGTH_BYTES + (size_t)header_len};
    json_t *root = NULL;
    char header_what[OX_ERROR_MESSAGE_BYTES];
    snprintf(header_what, sizeof header_what, "%s: header", what);
    enum ox_status status = ox_json_parse(text, header_what, &root, err);
    if (status == OX_OK) {
        status = read_header(&p, root, &st);
    }
    json_decref(root);
    if (status == OX_OK) {
        *out = st;
    } else {
        ox_safetensors_fini(&st);
    }
    return status;
}

void ox_safetensors_fini(struct ox_safetensors *st)
{
    ox_free(st->tensors);
    ox_free(st->names);
    *st = (struct ox_safetensors){NULL, 0, NULL, 0};
}

const struct ox_tensor *ox_safetensors_find(const struct ox_safetensors *st, struct ox_str name)
{
    for (size_t i = 0; i < st->n_tensors; i++) {
        if (ox_str_equal(st->tensors[i].name, name)) {
            return &st->tensors[i];
        }
    }
    return NULL;
}

enum ox_status ox_safetensors_header(const struct ox_tensor *tensors, size_t n, struct ox_buf *header,
                                     struct ox_error *err)
{
    static const char no_length[LENGTH_BYTES];
    size_t begin = 0;
    ox_buf_add(header, no_length, LENGTH_BYTES);
    ox_buf_add_c(header, "{\"" METADATA_KEY "\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        size_t bytes;
        size_t end;
        if (wanted_bytes(&tensors[i], &bytes) || ox_ckd_add(&end, begin, bytes)) {
            const struct ox_label label = ox_label_make(tensors[i].name);
            return ox_error_set(err, OX_E_ARG, "tensor %s: expected a shape that fits in memory, found a larger one",
                                label.text);
        }
        ox_buf_add_byte(header, ',');
        ox_json_add_quoted(header, tensors[i].name);
        ox_buf_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", ox_dtype_name(tensors[i].dtype));
        for (size_t j = 0; j < tensors[i].n_dims; j++) {
            ox_buf_printf(header, "%s%zu", j > 0 ? "," : "", tensors[i].dims[j]);
        }
        ox_buf_printf(header, "],\"data_offsets\":[%zu,%zu]}", begin, end);
        begin = end;
    }
    ox_buf_add_byte(header, '}');
    while (header->len % 8 != 0 && !ox_buf_failed(header)) {
        ox_buf_add_byte(header, ' ');
    }
    if (ox_buf_failed(header)) {
        return ox_error_nomem(err, header->len);
    }
    const uint64_t len = header->len - LENGTH_BYTES;
    if (len > OX_SAFETENSORS_MAX_HEADER) {
        return ox_error_set(err, OX_E_LIMIT, "expected a header of at most %u bytes, found %" PRIu64,
                            OX_SAFETENSORS_MAX_HEADER, len);
    }
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        header->ptr[i] = (char)(unsigned char)(len >> (8 * i));
    }
    return OX_OK;
}

enum ox_status ox_safetensors_write(const char *path, const struct ox_tensor *tensors, size_t n, struct ox_error *err)
{
    struct ox_buf header;
    struct ox_str *parts = NULL;
    ox_buf_init(&header);
    enum ox_status status = ox_safetensors_header(tensors, n, &header, err);
    if (status != OX_OK) {
        ox_error_prefix(err, "%s: ", path);
        goto out;
    }
    parts = ox_calloc(n + 1, sizeof *parts);
    if (parts == NULL) {
        status = ox_error_nomem(err, (n + 1) * sizeof *parts);
        goto out;
    }
    parts[0] = ox_buf_str(&header);
    for (size_t i = 0; i < n; i++) {
        size_t bytes;
        OX_CHECK(!wanted_bytes(&tensors[i], &bytes));
        parts[i + 1] = ox_str_make((const char *)tensors[i].data, bytes);
    }
    status = ox_file_write_parts(path, parts, n + 1, err);
out:
    ox_free(parts);
    ox_buf_fini(&header);
    return status;
}
