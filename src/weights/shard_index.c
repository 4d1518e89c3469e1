/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the list of tensors and files of a checkpoint in many files. Names of files are taken only if they stay in the
 * folder; each file is listed once, however many tensors it holds.
 */
#include "weights/shard_index.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "weights/tensor.h"

static bool is_plain_name(struct ox_str s)
{
    if (s.len == 0 || s.len > 255 || ox_str_is(s, ".") || ox_str_is(s, "..")) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        const unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c == 0x7F || c == '/' || c == '\\') {
            return false;
        }
    }
    return true;
}

static enum ox_status check_entry(const char *what, const char *tensor, const json_t *file, struct ox_error *err)
{
    const struct ox_label label = ox_label_make(ox_str_c(tensor));
    struct ox_json_at at = {file, what, ""};
    snprintf(at.path, sizeof at.path, "weight_map: tensor %s", label.text);
    if (!json_is_string(file) || !is_plain_name(ox_json_text(file))) {
        return ox_json_expected(&at, "the name of a file in the same folder", err);
    }
    return OX_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sort index->files, which holds one name for each entry, and keep each once. */
static void list_files(struct ox_shard_index *index)
{
    qsort(index->files, index->n_entries, sizeof *index->files, by_text);
    for (size_t i = 0; i < index->n_entries; i++) {
        if (i == 0 || strcmp(index->files[i], index->files[index->n_files - 1]) != 0) {
            index->files[index->n_files++] = index->files[i];
        }
    }
}

/* Copy a name with its NUL to *at and step behind it. */
static const char *copy_name(char **at, struct ox_str name)
{
    char *start = *at;
    memcpy(start, name.ptr, name.len);
    start[name.len] = '\0';
    *at = start + name.len + 1;
    return start;
}

static enum ox_status read_map(json_t *map, const char *what, struct ox_shard_index *index, struct ox_error *err)
{
    const char *key;
    json_t *value;
    size_t names_bytes = 0;
    json_object_foreach(map, key, value)
    {
        const enum ox_status status = check_entry(what, key, value, err);
        if (status != OX_OK) {
            return status;
        }
        names_bytes += strlen(key) + 1 + json_string_length(value) + 1;
    }
    const size_t n = json_object_size(map);
    index->entries = ox_calloc(n, sizeof *index->entries);
    index->files = ox_calloc(n, sizeof *index->files);
    index->names = ox_calloc(names_bytes, 1);
    if (index->entries == NULL || index->files == NULL || index->names == NULL) {
        return ox_error_nomem(err, n * (sizeof *index->entries + sizeof *index->files) + names_bytes);
    }
    char *at = index->names;
    json_object_foreach(map, key, value)
    {
        const struct ox_str tensor = ox_str_c(key);
        index->entries[index->n_entries].tensor = ox_str_make(copy_name(&at, tensor), tensor.len);
        index->files[index->n_entries] = copy_name(&at, ox_json_text(value));
        index->n_entries++;
    }
    list_files(index);
    size_t i = 0;
    json_object_foreach(map, key, value)
    {
        const char *name = json_string_value(value);
        const char *const *file = bsearch(&name, index->files, index->n_files, sizeof *index->files, by_text);
        OX_CHECK(file != NULL);
        index->entries[i++].i_file = (size_t)(file - index->files);
    }
    return OX_OK;
}

enum ox_status ox_shard_index_parse(struct ox_str json, const char *what, struct ox_shard_index *out,
                                    struct ox_error *err)
{
    struct ox_shard_index index = {NULL, 0, NULL, 0, NULL};
    json_t *root = NULL;
    enum ox_status status = ox_json_parse(json, what, &root, err);
    if (status != OX_OK) {
        return status;
    }
    const struct ox_json_at top = ox_json_root(root, what);
    const struct ox_json_at map = ox_json_member(&top, "weight_map");
    status = ox_json_need_object(&top, err);
    if (status == OX_OK) {
        status = ox_json_need_object(&map, err);
    }
    if (status == OX_OK && json_object_size(map.value) == 0) {
        status = ox_error_set(err, OX_E_FORMAT, "%s: weight_map: expected at least one tensor, found none", what);
    }
    if (status == OX_OK) {
        status = read_map(json_object_get(root, "weight_map"), what, &index, err);
    }
    json_decref(root);
    if (status == OX_OK) {
        *out = index;
    } else {
        ox_shard_index_fini(&index);
    }
    return status;
}

void ox_shard_index_fini(struct ox_shard_index *index)
{
    ox_free(index->entries);
    ox_free(index->files);
    ox_free(index->names);
    *index = (struct ox_shard_index){NULL, 0, NULL, 0, NULL};
}
