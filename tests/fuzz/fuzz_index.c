/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as model.safetensors.index.json. A file that is refused says why; of one that is taken every file's name is
 * plain, listed once, in order and needed, and every tensor points to one.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "weights/shard_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ox_shard_index index = {NULL, 0, NULL, 0, NULL};
    struct ox_error err;
    memset(&err, 0, sizeof err);
    const struct ox_str text = ox_str_make((const char *)data, size);
    const enum ox_status status = ox_shard_index_parse(text, "fuzz", &index, &err);
    if (status != OX_OK) {
        check(index.entries == NULL && err.code == status && strncmp(err.message, "fuzz: ", 6) == 0);
        return 0;
    }
    check(index.n_entries > 0 && index.n_files > 0 && index.n_files <= index.n_entries);
    bool *used = ox_calloc(index.n_files, sizeof *used);
    check(used != NULL);
    for (size_t i = 0; i < index.n_entries; i++) {
        check(index.entries[i].i_file < index.n_files);
        check(strlen(index.entries[i].tensor.ptr) == index.entries[i].tensor.len);
        used[index.entries[i].i_file] = true;
    }
    for (size_t i = 0; i < index.n_files; i++) {
        const char *name = index.files[i];
        check(used[i] && strlen(name) > 0 && strlen(name) <= 255 && strpbrk(name, "/\\\n\r\x7F") == NULL);
        check(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
        check(i == 0 || strcmp(index.files[i - 1], name) < 0);
    }
    ox_free(used);
    ox_shard_index_fini(&index);
    return 0;
}
