/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening engines: what is told about a model, options that make no sense, folders without a tokenizer or with one that
 * does not fit, and a model that cannot fit in memory, which is refused before it is read.
 */
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "os/file.h"
#include "os/memory.h"
#include "tests/demo_help.h"
#include "weights/safetensors.h"

#define FOLDER "test_engine_model"

/* The demonstration model with some of its files replaced by others: links into its folder. */
static void make_folder(const char *demo, const char *left_out)
{
    static const char *const names[] = {"config.json", "generation_config.json", "tokenizer.json", "model.safetensors"};
    if (mkdir(FOLDER, 0700) != 0) {
        OK(false, "folder");
        exit(1);
    }
    for (size_t i = 0; i < 4; i++) {
        char *from = ox_path_join(demo, names[i]);
        char *to = ox_path_join(FOLDER, names[i]);
        if (strcmp(names[i], left_out) != 0 && symlink(from, to) != 0) {
            OK(false, "link");
            exit(1);
        }
        ox_free(from);
        ox_free(to);
    }
}

static void remove_folder(void)
{
    static const char *const names[] = {"config.json", "generation_config.json", "tokenizer.json", "model.safetensors"};
    for (size_t i = 0; i < 4; i++) {
        char *path = ox_path_join(FOLDER, names[i]);
        unlink(path);
        ox_free(path);
    }
    rmdir(FOLDER);
}

static enum oxcart_status try_open(const char *folder, struct oxcart_error *err)
{
    const struct oxcart_engine_options options = {.size = sizeof options, .model_path = folder, .n_threads = 1};
    struct oxcart_engine *engine = NULL;
    memset(err, 0, sizeof *err);
    const enum oxcart_status status = oxcart_engine_open(&options, &engine, err);
    if ((status == OXCART_OK) != (engine != NULL) || status != err->code) {
        OK(false, "status, engine and error do not agree");
    }
    oxcart_engine_close(&engine);
    return status;
}

static void test_info(const char *demo)
{
    struct oxcart_engine *engine = demo_open(demo, 2);
    struct oxcart_engine_info info = {.size = sizeof info};
    OK(oxcart_engine_info(engine, &info) == OXCART_OK, "info");
    IS_STR(info.name, "demo", "name");
    IS_STR(info.format, "mxfp8", "format");
    IS_INT(info.n_threads, 2, "threads");
    IS_INT(info.n_layers, 6, "layers");
    IS_INT(info.n_vocab, 2048, "rows of the head");
    IS_INT(info.n_tokens, 2048, "tokens");
    IS_INT(info.has_tokenizer, 1, "tokenizer");
    OK(info.n_parameters > 8000000 && info.n_parameters < 10000000, "%" PRIu64 " parameters", info.n_parameters);
    OK(info.weight_bytes > info.n_parameters && info.weight_bytes < 13000000, "%" PRIu64 " bytes", info.weight_bytes);
    /* 6 layers of keys and values of 2 heads of 64, 5 of index keys of 64, in BF16 */
    IS_INT(info.kv_token_bytes, 6 * 2 * 2 * 64 * 2 + 5 * 64 * 2, "bytes of a token's cache");
    info.size = 1;
    OK(oxcart_engine_info(engine, &info) == OXCART_E_ARG, "a size that is not set is seen");
    OK(strcmp(oxcart_version(), "") != 0, "version %s", oxcart_version());
    oxcart_engine_close(&engine);
}

static void test_options(const char *demo)
{
    struct oxcart_error err = {0};
    struct oxcart_engine *engine = NULL;
    struct oxcart_engine_options options = {.size = sizeof options, .model_path = demo};
    OK(oxcart_engine_open(NULL, &engine, &err) == OXCART_E_ARG && engine == NULL, "no options: %s", err.message);
    options.size = 0;
    OK(oxcart_engine_open(&options, &engine, &err) == OXCART_E_ARG, "no size: %s", err.message);
    options.size = sizeof options;
    options.model_path = NULL;
    OK(oxcart_engine_open(&options, &engine, &err) == OXCART_E_ARG, "no path: %s", err.message);
    options.model_path = demo;
    options.cpu_level = "abacus";
    OK(oxcart_engine_open(&options, &engine, &err) == OXCART_E_ARG && strstr(err.message, "abacus") != NULL,
       "no such level: %s", err.message);
    options.cpu_level = NULL;
    options.n_threads = -1;
    OK(oxcart_engine_open(&options, &engine, &err) == OXCART_E_ARG, "threads: %s", err.message);
    options.n_threads = 100000;
    OK(oxcart_engine_open(&options, &engine, NULL) == OXCART_E_ARG, "an error that nobody wants to hear");
    OK(try_open("no_such_folder", &err) == OXCART_E_IO && strstr(err.message, "no_such_folder") != NULL,
       "no folder: %s", err.message);
}

static void test_parts(const char *demo)
{
    struct oxcart_error err = {0};
    static const char *const needed[] = {"config.json", "model.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        make_folder(demo, needed[i]);
        OK(try_open(FOLDER, &err) == OXCART_E_IO && strstr(err.message, needed[i]) != NULL, "without %s: %s", needed[i],
           err.message);
        remove_folder();
    }
    make_folder(demo, "generation_config.json");
    OK(try_open(FOLDER, &err) == OXCART_OK, "without generation_config.json %s", err.message);
    remove_folder();
    make_folder(demo, "tokenizer.json");
    struct oxcart_engine *engine = demo_open(FOLDER, 1);
    struct oxcart_session *session = demo_session(engine, 64);
    struct oxcart_engine_info info = {.size = sizeof info};
    static const char talk[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}";
    static const int32_t ids[] = {1, 2, 3};
    int32_t *encoded = NULL;
    size_t n = 0;
    OK(oxcart_engine_info(engine, &info) == OXCART_OK && info.has_tokenizer == 0, "without tokenizer.json");
    OK(oxcart_session_set_messages(session, talk, sizeof talk - 1, NULL, &err) == OXCART_E_STATE,
       "it takes no messages: %s", err.message);
    OK(oxcart_encode(engine, "Hi", 2, 0, &encoded, &n, &err) == OXCART_E_STATE, "no text: %s", err.message);
    struct demo_reply reply = {.stop_after = 5};
    struct oxcart_result result;
    OK(oxcart_session_append(session, ids, 3, NULL) == OXCART_OK &&
           demo_decode(session, NULL, &reply, &result) == OXCART_E_CANCELLED && reply.n_ids == 5 &&
           reply.content[0] == '\0',
       "but ids");
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
    remove_folder();
}

/* FOLDER: the demonstration model, its last token (id 2047) renumbered, or left out if id is negative. */
static void make_last_token(const char *demo, json_int_t id)
{
    char *path = ox_path_join(demo, "tokenizer.json");
    json_t *root = json_load_file(path, 0, NULL);
    json_t *added = json_object_get(root, "added_tokens");
    const size_t last = json_array_size(added) - 1;
    make_folder(demo, "tokenizer.json");
    OK(json_integer_value(json_object_get(json_array_get(added, last), "id")) == 2047 &&
           (id < 0 ? json_array_remove(added, last)
                   : json_object_set_new(json_array_get(added, last), "id", json_integer(id))) == 0 &&
           json_dump_file(root, FOLDER "/tokenizer.json", 0) == 0,
       "tokenizer.json with a last token of id %" PRId64, (int64_t)id);
    json_decref(root);
    ox_free(path);
}

/* The token that a bias of 1000 for id 2047 makes of the first one drawn; -1 if none. */
static int32_t draw_2047(const char *folder, int32_t *n_tokens)
{
    const struct oxcart_bias bias = {.id = 2047, .bias = 1000};
    const struct oxcart_sampling sampling = {.size = sizeof sampling, .n_predict = 1, .bias = &bias, .n_bias = 1};
    struct oxcart_engine *engine = demo_open(folder, 1);
    struct oxcart_session *session = demo_session(engine, 16);
    struct oxcart_engine_info info = {.size = sizeof info};
    struct demo_reply reply = {.stop_after = 0};
    struct oxcart_result result;
    const int32_t begin = 2036;
    OK(oxcart_engine_info(engine, &info) == OXCART_OK && info.n_vocab == 2048, "2048 rows");
    *n_tokens = info.n_tokens;
    const bool drawn = oxcart_session_append(session, &begin, 1, NULL) == OXCART_OK &&
                       demo_decode(session, &sampling, &reply, &result) == OXCART_OK && reply.n_ids == 1;
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
    return drawn ? reply.ids[0] : -1;
}

/* A token without a row is refused; a row without a token is fine, and never drawn. */
static void test_rows(const char *demo)
{
    struct oxcart_error err = {0};
    int32_t n_tokens = 0;
    make_last_token(demo, 2048);
    OK(try_open(FOLDER, &err) == OXCART_E_SHAPE, "a token id beyond the rows");
    IS_STR(err.message, FOLDER "/tokenizer.json: token id 2048 is beyond the model's 2048 vocabulary rows",
           "its sentence");
    remove_folder();
    IS_INT(draw_2047(demo, &n_tokens), 2047, "a token with a row can be drawn");
    IS_INT(n_tokens, 2048, "of so many");
    make_last_token(demo, -1);
    const int32_t id = draw_2047(FOLDER, &n_tokens);
    IS_INT(n_tokens, 2047, "one token less");
    OK(id >= 0 && id < 2047, "a row without a token is not drawn, but %d", (int)id);
    remove_folder();
}

/* Widths of the demonstration model, and what a giant has instead: its dense MLP alone takes 768 GiB. */
#define HIDDEN 256
#define INTER 512
#define GIANT_HIDDEN ((uint64_t)1 << 18)
#define GIANT_INTER ((uint64_t)1 << 20)

/* Size d of a tensor of the giant. */
static uint64_t giant_dim(const struct ox_tensor *t, size_t d)
{
    const bool scales = t->dtype == OX_DTYPE_U8 && d == 1;
    const bool dense = ox_str_find(t->name, ox_str_c("layers.0.mlp."), 0) < t->name.len;
    const size_t per = scales ? 32 : 1; /* columns that a scale stands for */
    if (t->dims[d] == HIDDEN / per && (scales || t->dtype != OX_DTYPE_U8 || d == 0)) {
        return GIANT_HIDDEN / per;
    }
    return dense && t->dims[d] == INTER / per ? GIANT_INTER / per : t->dims[d];
}

/* The header of the giant's file, which has no vision tower; returns how many bytes of data it promises. */
static uint64_t giant_header(const struct ox_safetensors *st, struct ox_buf *header)
{
    uint64_t at = 0;
    ox_buf_add_c(header, "{");
    for (size_t i = 0; i < st->n_tensors; i++) {
        const struct ox_tensor *t = &st->tensors[i];
        uint64_t bytes = ox_dtype_bytes(t->dtype);
        if (!ox_str_starts(t->name, ox_str_c("language_model."))) {
            continue;
        }
        ox_buf_printf(header, "%s\"%.*s\": {\"dtype\": \"%s\", \"shape\": [", at > 0 ? ", " : "", (int)t->name.len,
                      t->name.ptr, ox_dtype_name(t->dtype));
        for (size_t d = 0; d < t->n_dims; d++) {
            bytes *= giant_dim(t, d);
            ox_buf_printf(header, "%s%" PRIu64, d > 0 ? ", " : "", giant_dim(t, d));
        }
        ox_buf_printf(header, "], \"data_offsets\": [%" PRIu64 ", %" PRIu64 "]}", at, at + bytes);
        at += bytes;
    }
    ox_buf_add_c(header, "}");
    return at;
}

/* FOLDER/model.safetensors: a header, and then one hole of its length. */
static bool write_hole(const struct ox_buf *header, uint64_t data_bytes)
{
    uint8_t size[8];
    for (size_t i = 0; i < 8; i++) {
        size[i] = (uint8_t)((uint64_t)header->len >> (8 * i));
    }
    const int fd = open(FOLDER "/model.safetensors", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const bool good = fd >= 0 && write(fd, size, 8) == 8 && write(fd, header->ptr, header->len) == (ssize_t)header->len &&
                      ftruncate(fd, (off_t)(8 + header->len + data_bytes)) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

/* Replace the first `old` in text. */
static bool replace(struct ox_buf *text, const char *old, const char *with)
{
    struct ox_buf out = {0};
    const size_t at = ox_str_find(ox_buf_str(text), ox_str_c(old), 0);
    if (at == text->len) {
        return false;
    }
    ox_buf_add(&out, text->ptr, at);
    ox_buf_add_c(&out, with);
    ox_buf_add(&out, text->ptr + at + strlen(old), text->len - at - strlen(old));
    ox_buf_fini(text);
    *text = out;
    return true;
}

static bool make_giant(const char *demo)
{
    struct ox_map map = {0};
    struct ox_safetensors st = {0};
    struct ox_buf config = {0};
    struct ox_buf header = {0};
    char wide[64];
    char inter[64];
    char *config_path = ox_path_join(demo, "config.json");
    char *path = ox_path_join(demo, "model.safetensors");
    snprintf(wide, sizeof wide, "\"hidden_size\": %" PRIu64, GIANT_HIDDEN);
    snprintf(inter, sizeof inter, "\"dense_intermediate_size\": %" PRIu64, GIANT_INTER);
    bool good = ox_file_read(config_path, (size_t)1 << 20, &config, NULL) == OX_OK &&
                replace(&config, "\"hidden_size\": 256", wide) &&
                replace(&config, "\"dense_intermediate_size\": 512", inter) &&
                ox_file_write(FOLDER "/config.json", config.ptr, config.len, NULL) == OX_OK &&
                ox_map_open(path, &map, NULL) == OX_OK &&
                ox_safetensors_parse(map.ptr, map.len, path, &st, NULL) == OX_OK;
    if (good) {
        const uint64_t data_bytes = giant_header(&st, &header);
        good = write_hole(&header, data_bytes);
    }
    ox_free(config_path);
    ox_free(path);
    ox_buf_fini(&config);
    ox_buf_fini(&header);
    ox_safetensors_fini(&st);
    ox_map_close(&map);
    return good;
}

static void test_too_large(const char *demo)
{
    struct oxcart_error err = {0};
    if (mkdir(FOLDER, 0700) != 0 || !make_giant(demo)) {
        NOTE("no file of this size can be made here: the refusal of a model that is too large is not tested");
        remove_folder();
        return;
    }
    const uint64_t before = ox_memory_resident_peak();
    const enum oxcart_status status = try_open(FOLDER, &err);
    OK(status == OXCART_E_NOMEM && strstr(err.message, "memory") != NULL && strstr(err.message, "missing") != NULL,
       "a model of 800 GiB: %s", err.message);
    OK(ox_memory_resident_peak() < before + ((uint64_t)64 << 20), "it was refused before it was read");
    remove_folder();
}

int main(void)
{
    char demo[4200];
    snprintf(demo, sizeof demo, "%s", tap_file("demo"));
    remove_folder();
    test_info(demo);
    test_options(demo);
    test_parts(demo);
    test_rows(demo);
    test_too_large(demo);
    return tap_done();
}
