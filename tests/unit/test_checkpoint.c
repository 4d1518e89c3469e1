/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening checkpoints: one file, many with an index, a file by itself; what is listed, found and told. Wrong files:
 * test_wrong_files.c.
 */
#include "weights/checkpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/file.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"
#include "weights/safetensors.h"
#include "weights/shard_index.h"

#define FOLDER "test-checkpoint.tmp"

struct heard {
    size_t n_progress;
    uint64_t last_done;
    uint64_t last_total;
    bool ordered;
    char message[256];
};

static void hear_progress(void *user, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
    struct heard *heard = user;
    heard->ordered = heard->ordered && strcmp(phase, "open") == 0 && strcmp(unit, "files") == 0 &&
                     (heard->n_progress == 0 || done > heard->last_done);
    heard->n_progress++;
    heard->last_done = done;
    heard->last_total = total;
}

static void hear_message(void *user, enum ox_log_level level, const char *text)
{
    struct heard *heard = user;
    if (level == OX_LOG_DEBUG) {
        snprintf(heard->message, sizeof heard->message, "%s", text);
    }
}

static bool make_model(size_t n_shards)
{
    struct mk_model_options o = mk_model_default();
    o.layers = 2;
    o.n_shards = n_shards;
    return mk_model(FOLDER, &o) == 0;
}

/* What a model has in any number of files. */
static void check_listing(const struct ox_checkpoint *c, size_t n_files)
{
    uint64_t bytes = 0;
    bool ordered = true;
    bool found = true;
    IS_INT(ox_checkpoint_n_files(c), n_files, "files");
    for (size_t i = 0; i < ox_checkpoint_n_tensors(c); i++) {
        const struct ox_tensor *t = ox_checkpoint_tensor(c, i);
        const struct ox_tensor *before = i > 0 ? ox_checkpoint_tensor(c, i - 1) : NULL;
        bytes += t->len;
        found = found && ox_checkpoint_find(c, t->name) == t;
        if (before != NULL) {
            ordered = ordered && (before->i_file < t->i_file ||
                                  (before->i_file == t->i_file && before->data + before->len <= t->data));
        }
    }
    OK(found, "every tensor is found by its name");
    OK(ordered, "tensors come by file, then offset");
    IS_INT(ox_checkpoint_data_bytes(c), bytes, "data bytes are the sum");
    OK(ox_checkpoint_find(c, ox_str_c("language_model.model.norm.weigh")) == NULL &&
           ox_checkpoint_find(c, ox_str_c("")) == NULL,
       "other names are not found");
    for (size_t i = 0; i < n_files; i++) {
        struct stat st;
        const char *path = ox_checkpoint_file_path(c, i);
        OK(stat(path, &st) == 0 && (uint64_t)st.st_size == ox_checkpoint_file_bytes(c, i), "size of %s", path);
        OK(strchr(ox_checkpoint_file_name(c, i), '/') == NULL && strstr(path, ox_checkpoint_file_name(c, i)) != NULL,
           "name of %s", path);
    }
}

static void test_one(void)
{
    struct ox_checkpoint *c = NULL;
    struct ox_error err;
    OK(make_model(1), "model made");
    if (OK(ox_checkpoint_open(FOLDER, NULL, &c, &err) == OX_OK, "folder with one file")) {
        check_listing(c, 1);
        IS_STR(ox_checkpoint_file_path(c, 0), FOLDER "/model.safetensors", "its path");
    }
    ox_checkpoint_close(&c);
    OK(c == NULL, "close sets NULL");
    ox_checkpoint_close(&c);
    if (OK(ox_checkpoint_open(FOLDER "/model.safetensors", NULL, &c, &err) == OX_OK, "the file itself")) {
        check_listing(c, 1);
    }
    ox_checkpoint_close(&c);
    IS_INT(ox_checkpoint_open("test-checkpoint.none", NULL, &c, &err), OX_E_IO, "no such folder");
    IS_STR(err.message, "test-checkpoint.none: cannot be opened: No such file or directory", "and why");
    OK(c == NULL, "nothing comes out of a failure");
}

static void test_many(void)
{
    struct heard heard = {.ordered = true};
    const struct ox_log log = {hear_message, hear_progress, &heard};
    struct ox_checkpoint *c = NULL;
    struct ox_error err;
    OK(make_model(5), "model made");
    if (OK(ox_checkpoint_open(FOLDER "/", &log, &c, &err) == OX_OK, "folder with five files")) {
        check_listing(c, 5);
        IS_STR(ox_checkpoint_file_name(c, 4), "model-00005-of-00005.safetensors", "order of names");
    }
    OK(heard.ordered && heard.n_progress == 6, "progress of each file");
    OK(heard.last_done == 5 && heard.last_total == 5, "which ends");
    IS_STR(heard.message, "", "nothing to remark");
    ox_checkpoint_close(&c);
}

/* Holes are accepted and told at debug level; tensors that the index does not name are there all the same. */
static void test_remarks(void)
{
    static const char header[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}";
    static const char index[] = "{\"weight_map\": {\"a\": \"x.safetensors\"}, \"metadata\": 7}";
    struct heard heard = {.ordered = true};
    const struct ox_log log = {hear_message, hear_progress, &heard};
    struct ox_checkpoint *c = NULL;
    struct ox_error err;
    struct ox_buf file;
    ox_buf_init(&file);
    ox_buf_add_byte(&file, (char)(sizeof header - 1));
    ox_buf_add(&file, "\0\0\0\0\0\0\0", 7);
    ox_buf_add(&file, header, sizeof header - 1);
    ox_buf_add(&file, "0123456789", 10);
    OK(make_model(1) && ox_file_write(FOLDER "/x.safetensors", file.ptr, file.len, &err) == OX_OK &&
           ox_file_write(FOLDER "/model.safetensors.index.json", index, sizeof index - 1, &err) == OX_OK,
       "files made");
    if (OK(ox_checkpoint_open(FOLDER, &log, &c, &err) == OX_OK, "an index goes before model.safetensors")) {
        IS_INT(ox_checkpoint_n_tensors(c), 1, "one tensor");
        OK(memcmp(ox_checkpoint_tensor(c, 0)->data, "2345", 4) == 0, "its bytes");
    }
    IS_STR(heard.message, "x.safetensors: 6 bytes belong to no tensor", "bytes before and behind are told");
    ox_checkpoint_close(&c);
    ox_buf_fini(&file);
}

static void test_index(void)
{
    struct ox_shard_index index = {NULL, 0, NULL, 0, NULL};
    struct ox_error err;
    const char *text = "{\"weight_map\": {\"t1\": \"b\", \"t2\": \"a\", \"t3\": \"b\"}}";
    IS_INT(ox_shard_index_parse(ox_str_c(text), "i", &index, &err), OX_OK, "an index");
    OK(index.n_entries == 3 && index.n_files == 2, "each file once");
    IS_STR(index.files[0], "a", "in order");
    bool right = true;
    for (size_t i = 0; i < index.n_entries; i++) {
        right = right && ox_str_is(index.entries[i].tensor, "t2") == (index.entries[i].i_file == 0);
    }
    OK(right, "tensors point to their files");
    ox_shard_index_fini(&index);
    static const char *const bad[] = {"", ".", "..", "a/b", "/a", "a\\\\b", "a\\u0000b", "a\\nb", "../a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char json[128];
        snprintf(json, sizeof json, "{\"weight_map\": {\"t\": \"%s\"}}", bad[i]);
        IS_INT(ox_shard_index_parse(ox_str_c(json), "i", &index, &err), OX_E_FORMAT, "a name that is none");
    }
    char json[400] = "{\"weight_map\": {\"t\": \"";
    memset(json + strlen(json), 'x', 256);
    snprintf(json + strlen(json), 8, "\"}}");
    IS_INT(ox_shard_index_parse(ox_str_c(json), "i", &index, &err), OX_E_FORMAT, "a name of 256 bytes");
    OK(index.entries == NULL, "nothing comes out of a failure");
}

int main(void)
{
    test_one();
    test_many();
    test_remarks();
    test_index();
    mk_remove_folder(FOLDER);
    return tap_done();
}
