/* SPDX-License-Identifier: Apache-2.0
 *
 * Every way in which a checkpoint's files can be wrong, one row a kind: a good small checkpoint is made, one thing in it
 * is spoilt, and opening it must give exactly the sentence of the row (DIR stands for the folder).
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/bind_model.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"

#define FOLDER "wrong-files.tmp"

enum model { ONE, MANY, MX, FUSED };

/* How a file is spoilt. */
enum spoil {
    HEADER, /* replace `from`, the first behind `after`, with `to` in a safetensors header; the data stay as they are */
    TEXT,   /* the same in a text file */
    PUT,    /* the file becomes `to` */
    REMOVE, /* the file is removed */
    CUT,    /* the file is cut to `number` bytes, or by -number */
    LENGTH, /* the header's length is said to be `number` */
    COPY,   /* `from` is copied over the file */
    DEPTH,  /* the header becomes `number` times "[" behind {"a": */
};

struct row {
    const char *kind;
    enum model model;
    enum spoil spoil;
    const char *file;
    const char *after;
    const char *from;
    const char *to;
    long long number;
    const char *message;
};

#define ST "model.safetensors"
#define INDEX "model.safetensors.index.json"
#define SHARD(i) "model-0000" #i "-of-00003.safetensors"
#define LAYER(i) "language_model.model.layers." #i "."
#define EMBED "language_model.model.embed_tokens.weight"
#define Q1 LAYER(1) "self_attn.q_proj.weight"
#define NORM1 LAYER(1) "input_layernorm.weight"
#define ROUTER1 LAYER(1) "block_sparse_moe.gate.weight"
#define EXPERT1 LAYER(1) "block_sparse_moe.experts.1.w2.weight"

static const struct row rows[] = {
#include "tests/unit/wrong_files.def"
};

static void path_of(const char *file, char *path, size_t room)
{
    snprintf(path, room, "%s/%s", FOLDER, file);
}

static bool read_file(const char *file, struct ox_buf *out)
{
    char path[256];
    struct ox_error err;
    ox_buf_init(out);
    path_of(file, path, sizeof path);
    return ox_file_read(path, (size_t)1 << 24, out, &err) == OX_OK;
}

static bool write_file(const char *file, const void *bytes, size_t len)
{
    char path[256];
    struct ox_error err;
    path_of(file, path, sizeof path);
    return ox_file_write(path, bytes, len, &err) == OX_OK;
}

static uint64_t header_len(const struct ox_buf *file)
{
    uint64_t len = 0;
    for (size_t i = 0; i < 8; i++) {
        len |= (uint64_t)(unsigned char)file->ptr[i] << (8 * i);
    }
    return len;
}

static void set_header_len(struct ox_buf *file, uint64_t len)
{
    for (size_t i = 0; i < 8; i++) {
        file->ptr[i] = (char)(unsigned char)(len >> (8 * i));
    }
}

/* text with `from` behind `after` replaced by `to`; false if it is not there. */
static bool replace(struct ox_str text, const struct row *row, struct ox_buf *out)
{
    const size_t after = row->after != NULL ? ox_str_find(text, ox_str_c(row->after), 0) : 0;
    const struct ox_str from = ox_str_c(row->from);
    const size_t at = ox_str_find(text, from, after);
    if (after == text.len || at == text.len) {
        return false;
    }
    ox_buf_add(out, text.ptr, at);
    ox_buf_add_c(out, row->to);
    ox_buf_add(out, text.ptr + at + from.len, text.len - at - from.len);
    return true;
}

static bool spoil_header(const struct row *row, const struct ox_buf *file, struct ox_buf *out)
{
    static const char length[8];
    const size_t len = (size_t)header_len(file);
    ox_buf_add(out, length, 8);
    if (row->spoil == HEADER) {
        if (!replace(ox_str_make(file->ptr + 8, len), row, out)) {
            return false;
        }
    } else {
        ox_buf_add_c(out, "{\"a\":");
        for (long long i = 0; i < row->number; i++) {
            ox_buf_add_byte(out, '[');
        }
    }
    const size_t header_bytes = out->len - 8;
    ox_buf_add(out, file->ptr + 8 + len, file->len - 8 - len);
    set_header_len(out, header_bytes);
    return true;
}

static bool spoil(const struct row *row)
{
    struct ox_buf file;
    struct ox_buf out;
    char path[256];
    bool good = true;
    path_of(row->file, path, sizeof path);
    ox_buf_init(&out);
    if (row->spoil == REMOVE) {
        return unlink(path) == 0;
    }
    if (row->spoil == PUT) {
        return write_file(row->file, row->to, strlen(row->to));
    }
    good = read_file(row->spoil == COPY ? row->from : row->file, &file);
    if (good && row->spoil == TEXT) {
        good = replace(ox_buf_str(&file), row, &out);
    } else if (good && (row->spoil == HEADER || row->spoil == DEPTH)) {
        good = spoil_header(row, &file, &out);
    } else if (good) {
        size_t len = file.len;
        if (row->spoil == CUT) {
            len = row->number >= 0 ? (size_t)row->number : file.len - (size_t)-row->number;
        } else if (row->spoil == LENGTH) {
            set_header_len(&file, (uint64_t)row->number);
        }
        ox_buf_add(&out, file.ptr, len);
    }
    good = good && write_file(row->file, out.ptr, out.len);
    ox_buf_fini(&file);
    ox_buf_fini(&out);
    return good;
}

static bool make_model(enum model model)
{
    struct mk_model_options o = mk_model_default();
    o.layers = 2;
    o.hidden = 32;
    o.vocab = 40;
    o.heads = 2;
    o.kv_heads = 1;
    o.inter = 32;
    o.dense_inter = 64;
    o.experts = 2;
    o.topk = 1;
    o.n_shards = model == MANY ? 3 : 1;
    o.format = model == MX ? OX_FORMAT_MXFP8 : OX_FORMAT_BF16;
    o.spelling = model == FUSED ? MK_RESAVED : MK_RELEASED;
    return mk_model(FOLDER, &o) == 0;
}

/* message with the folder's name replaced by DIR */
static void plain_message(const char *message, char *out, size_t room)
{
    const char *at = strstr(message, FOLDER);
    if (at == NULL) {
        snprintf(out, room, "%s", message);
        return;
    }
    snprintf(out, room, "%.*sDIR%s", (int)(at - message), message, at + strlen(FOLDER));
}

static void check(const struct row *row)
{
    struct bound_model m;
    struct ox_error err;
    char message[OX_ERROR_MESSAGE_BYTES + 16];
    memset(&err, 0, sizeof err);
    if (!OK(make_model(row->model), "%s: model made", row->kind) || !OK(spoil(row), "%s: file spoilt", row->kind)) {
        return;
    }
    const enum ox_status status = bind_model(FOLDER, &m, &err);
    if (status == OX_OK) {
        close_model(&m);
    }
    OK(status != OX_OK && status == err.code, "%s: refused (%s)", row->kind, ox_status_name(status));
    plain_message(err.message, message, sizeof message);
    IS_STR(message, row->message, row->kind);
}

int main(void)
{
    for (enum model model = ONE; model <= FUSED; model++) {
        struct bound_model m;
        struct ox_error err;
        const bool good = make_model(model) && bind_model(FOLDER, &m, &err) == OX_OK;
        if (OK(good, "model %d opens before anything is spoilt", (int)model)) {
            close_model(&m);
        }
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(&rows[i]);
    }
    mk_remove_folder(FOLDER);
    return tap_done();
}
