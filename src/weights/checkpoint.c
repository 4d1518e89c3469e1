/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps the files of a checkpoint, lists their tensors in one table and checks files and index against each other. Only
 * headers are read here; the data stay on disk until somebody asks.
 */
#include "weights/checkpoint.h"

#include <stdlib.h>

#include "base/mem.h"
#include "os/file.h"
#include "weights/safetensors.h"
#include "weights/shard_index.h"

#define SINGLE_NAME "model.safetensors"

struct file {
    char *path;
    struct ox_map map;
    struct ox_safetensors header;
};

struct ox_checkpoint {
    struct file *files;
    size_t n_files;
    struct ox_tensor *tensors; /* names and data belong to the files */
    size_t n_tensors;
    const struct ox_tensor **by_name; /* the same in order of names: no crafted name makes looking up slow */
    uint64_t data_bytes;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Say at debug level where a file has bytes that belong to no tensor. */
static void report_holes(const struct file *file, const struct ox_log *log)
{
    size_t hole_bytes = file->map.len - file->header.header_bytes;
    for (size_t i = 0; i < file->header.n_tensors; i++) {
        hole_bytes -= file->header.tensors[i].len;
    }
    if (hole_bytes > 0) {
        ox_log_message(log, OX_LOG_DEBUG, "%s: %zu bytes belong to no tensor", base_name(file->path), hole_bytes);
    }
}

/* Open path, which the file then owns. */
static enum ox_status open_file(struct file *file, char *path, const struct ox_log *log, struct ox_error *err)
{
    file->path = path;
    if (path == NULL) {
        return ox_error_nomem(err, 1);
    }
    enum ox_status status = ox_map_open(path, &file->map, err);
    if (status == OX_OK) {
        status = ox_safetensors_parse(file->map.ptr, file->map.len, base_name(path), &file->header, err);
    }
    if (status == OX_OK) {
        report_holes(file, log);
    }
    return status;
}

static int by_name(const void *pa, const void *pb)
{
    const struct ox_str a = (*(const struct ox_tensor *const *)pa)->name;
    const struct ox_str b = (*(const struct ox_tensor *const *)pb)->name;
    if (a.len != b.len) {
        return a.len < b.len ? -1 : 1;
    }
    return memcmp(a.ptr, b.ptr, a.len);
}

/* Put all files' tensors into one table and one order of names. */
static enum ox_status list_tensors(struct ox_checkpoint *c, struct ox_error *err)
{
    size_t n = 0;
    for (size_t f = 0; f < c->n_files; f++) {
        n += c->files[f].header.n_tensors;
    }
    c->tensors = ox_calloc(n, sizeof *c->tensors);
    c->by_name = ox_calloc(n, sizeof *c->by_name);
    if (c->tensors == NULL || c->by_name == NULL) {
        return ox_error_nomem(err, n * (sizeof *c->tensors + sizeof *c->by_name));
    }
    for (size_t f = 0; f < c->n_files; f++) {
        for (size_t i = 0; i < c->files[f].header.n_tensors; i++) {
            struct ox_tensor *t = &c->tensors[c->n_tensors];
            *t = c->files[f].header.tensors[i];
            t->i_file = f;
            c->by_name[c->n_tensors++] = t;
            c->data_bytes += t->len;
        }
    }
    qsort(c->by_name, c->n_tensors, sizeof *c->by_name, by_name);
    for (size_t i = 1; i < c->n_tensors; i++) {
        const struct ox_tensor *a = c->by_name[i - 1];
        const struct ox_tensor *b = c->by_name[i];
        if (ox_str_equal(a->name, b->name)) {
            const size_t first = a->i_file < b->i_file ? a->i_file : b->i_file;
            const size_t second = a->i_file < b->i_file ? b->i_file : a->i_file;
            const struct ox_label label = ox_label_make(a->name);
            return ox_error_set(err, OX_E_SHAPE, "%s: tensor %s: expected in one file only, found in %s too",
                                ox_checkpoint_file_name(c, second), label.text, ox_checkpoint_file_name(c, first));
        }
    }
    return OX_OK;
}

/* Every tensor that the index names must be in the file that it names. Files stand in the index's order. */
static enum ox_status check_index(const struct ox_checkpoint *c, const struct ox_shard_index *index,
                                  struct ox_error *err)
{
    for (size_t i = 0; i < index->n_entries; i++) {
        const struct ox_shard_entry *entry = &index->entries[i];
        const struct ox_tensor *t = ox_checkpoint_find(c, entry->tensor);
        if (t == NULL || t->i_file != entry->i_file) {
            const struct ox_label label = ox_label_make(entry->tensor);
            return ox_error_set(err, OX_E_SHAPE, "%s: tensor %s: expected in this file by %s, found in %s",
                                index->files[entry->i_file], label.text, OX_SHARD_INDEX_NAME,
                                t != NULL ? ox_checkpoint_file_name(c, t->i_file) : "none");
        }
    }
    return OX_OK;
}

static enum ox_status open_indexed(struct ox_checkpoint *c, const char *folder, const char *index_path,
                                   const struct ox_log *log, struct ox_error *err)
{
    struct ox_buf text;
    struct ox_shard_index index = {NULL, 0, NULL, 0, NULL};
    ox_buf_init(&text);
    enum ox_status status = ox_file_read(index_path, OX_SHARD_INDEX_MAX_BYTES, &text, err);
    if (status == OX_OK) {
        status = ox_shard_index_parse(ox_buf_str(&text), OX_SHARD_INDEX_NAME, &index, err);
    }
    if (status != OX_OK) {
        goto out;
    }
    c->files = ox_calloc(index.n_files, sizeof *c->files);
    if (c->files == NULL) {
        status = ox_error_nomem(err, index.n_files * sizeof *c->files);
        goto out;
    }
    for (size_t i = 0; i < index.n_files; i++) {
        ox_log_progress(log, "open", i, index.n_files, "files");
        status = open_file(&c->files[c->n_files++], ox_path_join(folder, index.files[i]), log, err);
        if (status != OX_OK) {
            goto out;
        }
    }
    ox_log_progress(log, "open", index.n_files, index.n_files, "files");
    status = list_tensors(c, err);
    if (status == OX_OK) {
        status = check_index(c, &index, err);
    }
out:
    ox_shard_index_fini(&index);
    ox_buf_fini(&text);
    return status;
}

/* Takes path. */
static enum ox_status open_single(struct ox_checkpoint *c, char *path, const struct ox_log *log, struct ox_error *err)
{
    c->files = ox_calloc(1, sizeof *c->files);
    if (c->files == NULL) {
        ox_free(path);
        return ox_error_nomem(err, sizeof *c->files);
    }
    const enum ox_status status = open_file(&c->files[c->n_files++], path, log, err);
    return status == OX_OK ? list_tensors(c, err) : status;
}

static enum ox_status open_folder(struct ox_checkpoint *c, const char *folder, const struct ox_log *log,
                                  struct ox_error *err)
{
    enum ox_status status;
    char *index_path = ox_path_join(folder, OX_SHARD_INDEX_NAME);
    char *single_path = ox_path_join(folder, SINGLE_NAME);
    if (index_path == NULL || single_path == NULL) {
        status = ox_error_nomem(err, strlen(folder));
    } else if (ox_file_exists(index_path)) {
        status = open_indexed(c, folder, index_path, log, err);
    } else if (ox_file_exists(single_path)) {
        status = open_single(c, single_path, log, err);
        single_path = NULL;
    } else {
        status = ox_error_set(err, OX_E_IO, "%s: expected %s or %s in this folder, found neither", folder,
                              OX_SHARD_INDEX_NAME, SINGLE_NAME);
    }
    ox_free(index_path);
    ox_free(single_path);
    return status;
}

enum ox_status ox_checkpoint_open(const char *path, const struct ox_log *log, struct ox_checkpoint **out,
                                  struct ox_error *err)
{
    struct ox_checkpoint *c = ox_calloc(1, sizeof *c);
    if (c == NULL) {
        return ox_error_nomem(err, sizeof *c);
    }
    const enum ox_status status =
        ox_file_is_folder(path) ? open_folder(c, path, log, err) : open_single(c, ox_strdup(path), log, err);
    if (status == OX_OK) {
        *out = c;
    } else {
        ox_checkpoint_close(&c);
    }
    return status;
}

void ox_checkpoint_close(struct ox_checkpoint **checkpoint)
{
    struct ox_checkpoint *c = *checkpoint;
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->n_files; i++) {
        ox_safetensors_fini(&c->files[i].header);
        ox_map_close(&c->files[i].map);
        ox_free(c->files[i].path);
    }
    ox_free(c->files);
    ox_free(c->tensors);
    ox_free(c->by_name);
    ox_free(c);
    *checkpoint = NULL;
}

size_t ox_checkpoint_n_tensors(const struct ox_checkpoint *checkpoint)
{
    return checkpoint->n_tensors;
}

const struct ox_tensor *ox_checkpoint_tensor(const struct ox_checkpoint *checkpoint, size_t i)
{
    return &checkpoint->tensors[i];
}

const struct ox_tensor *ox_checkpoint_find(const struct ox_checkpoint *checkpoint, struct ox_str name)
{
    const struct ox_tensor key = {.name = name};
    const struct ox_tensor *const wanted = &key;
    const struct ox_tensor *const *hit =
        bsearch(&wanted, checkpoint->by_name, checkpoint->n_tensors, sizeof *checkpoint->by_name, by_name);
    return hit != NULL ? *hit : NULL;
}

size_t ox_checkpoint_n_files(const struct ox_checkpoint *checkpoint)
{
    return checkpoint->n_files;
}

const char *ox_checkpoint_file_path(const struct ox_checkpoint *checkpoint, size_t i)
{
    return checkpoint->files[i].path;
}

const char *ox_checkpoint_file_name(const struct ox_checkpoint *checkpoint, size_t i)
{
    return base_name(checkpoint->files[i].path);
}

uint64_t ox_checkpoint_file_bytes(const struct ox_checkpoint *checkpoint, size_t i)
{
    return checkpoint->files[i].map.len;
}

uint64_t ox_checkpoint_data_bytes(const struct ox_checkpoint *checkpoint)
{
    return checkpoint->data_bytes;
}

void ox_checkpoint_advise(const struct ox_checkpoint *checkpoint, const struct ox_tensor *tensor, size_t offset,
                          size_t len)
{
    const struct ox_map *map = &checkpoint->files[tensor->i_file].map;
    ox_map_advise_need(map, (size_t)(tensor->data - map->ptr) + offset, len);
}
