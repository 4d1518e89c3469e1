/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart inspect: what is in a model's files, read from headers; with --verify every byte is read.
 */
#include <inttypes.h>
#include <string.h>

#include "base/json_build.h"
#include "base/mem.h"
#include "cli/input.h"
#include "cli/json_out.h"
#include "os/file.h"
#include "weights/checkpoint.h"
#include "weights/config.h"
#include "weights/weights.h"

#define N_DTYPES ((size_t)OX_DTYPE_BOOL + 1)
#define MAX_CONFIG_BYTES ((size_t)64 << 20)

struct inspection {
    const struct cli *cli;
    char *path;
    struct ox_checkpoint *checkpoint;
    struct ox_config config;
    bool has_config;
    json_t *bad; /* findings, with --json */
    size_t n_bad;
};

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* config.json and generation_config.json, where the model is a folder that has them. */
static enum ox_status read_config(struct inspection *x, struct ox_error *err)
{
    const struct ox_log log = cli_log(x->cli);
    struct ox_buf text = {0};
    struct ox_buf generation = {0};
    char *path = ox_path_join(x->path, "config.json");
    char *generation_path = ox_path_join(x->path, "generation_config.json");
    enum ox_status status = OX_OK;
    if (path == NULL || generation_path == NULL) {
        status = ox_error_nomem(err, strlen(x->path));
    } else if (ox_file_exists(path)) {
        status = ox_file_read(path, MAX_CONFIG_BYTES, &text, err);
        if (status == OX_OK) {
            status = ox_config_parse(ox_buf_str(&text), path, &log, &x->config, err);
        }
        if (status == OX_OK && ox_file_exists(generation_path)) {
            status = ox_file_read(generation_path, MAX_CONFIG_BYTES, &generation, err);
            if (status == OX_OK) {
                status = ox_config_parse_generation(ox_buf_str(&generation), generation_path, &x->config, err);
            }
        }
        x->has_config = status == OX_OK;
    }
    ox_buf_fini(&text);
    ox_buf_fini(&generation);
    ox_free(path);
    ox_free(generation_path);
    return status;
}

static int choose_path(struct inspection *x)
{
    const struct cli_args *args = &x->cli->args;
    if (args->n_operands == 0) {
        return cli_model_path(x->cli, &x->path);
    }
    if (args->n_operands > 1 || cli_given(args, OPT_MODEL)) {
        return cli_fail(x->cli, EXIT_USAGE, "expected one model, found more");
    }
    x->path = ox_strdup(args->operands[0]);
    return x->path != NULL ? EXIT_DONE : cli_fail(x->cli, EXIT_MEMORY, "out of memory");
}

/* ---- the list -------------------------------------------------------------------------------------------------- */

struct total {
    size_t n_tensors;
    uint64_t n_bytes;
};

static void sum_up(const struct ox_checkpoint *checkpoint, struct total totals[N_DTYPES])
{
    memset(totals, 0, N_DTYPES * sizeof *totals);
    for (size_t i = 0; i < ox_checkpoint_n_tensors(checkpoint); i++) {
        const struct ox_tensor *tensor = ox_checkpoint_tensor(checkpoint, i);
        totals[tensor->dtype].n_tensors++;
        totals[tensor->dtype].n_bytes += tensor->len;
    }
}

/* "[256, 512]" */
static void format_shape(const struct ox_tensor *tensor, struct ox_buf *buf)
{
    ox_buf_add_byte(buf, '[');
    for (size_t d = 0; d < tensor->n_dims; d++) {
        ox_buf_printf(buf, "%s%zu", d > 0 ? ", " : "", tensor->dims[d]);
    }
    ox_buf_add_byte(buf, ']');
}

static void print_tensors(struct output *output, const struct ox_checkpoint *checkpoint)
{
    struct ox_buf line = {0};
    for (size_t i = 0; i < ox_checkpoint_n_tensors(checkpoint); i++) {
        const struct ox_tensor *tensor = ox_checkpoint_tensor(checkpoint, i);
        ox_buf_clear(&line);
        ox_buf_add_str(&line, tensor->name);
        ox_buf_printf(&line, "  %s  ", ox_dtype_name(tensor->dtype));
        format_shape(tensor, &line);
        ox_buf_printf(&line, "  %zu\n", tensor->len);
        output_text(output, ox_buf_str(&line));
    }
    ox_buf_fini(&line);
}

static size_t count_layers(const bool *flags, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += flags[i] ? 1 : 0;
    }
    return count;
}

static void print_config(struct output *output, const struct ox_config *c, bool sees)
{
    output_printf(output, "\nlayers %zu (%zu with experts, %zu with sparse attention), hidden %zu, vocabulary %zu\n",
                  c->n_layers, count_layers(c->moe_layer, c->n_layers), count_layers(c->sparse_layer, c->n_layers),
                  c->hidden, c->vocab);
    output_printf(output, "heads %zu of %zu, KV heads %zu, rotated %zu, theta %.0f, positions %zu\n", c->n_heads,
                  c->head_dim, c->n_kv_heads, c->rotary_dim, c->rope_theta, c->max_positions);
    output_printf(output, "experts %zu, used %zu, width %zu, shared %zu, dense width %zu\n", c->n_experts,
                  c->n_experts_used, c->expert_inter, c->shared_inter, c->dense_inter);
    if (count_layers(c->sparse_layer, c->n_layers) > 0) {
        output_printf(output, "sparse attention: blocks of %zu, %zu kept (%zu first, %zu last), index size %zu\n", c->block,
                      c->topk_blocks, c->init_blocks, c->local_blocks, c->index_dim);
    }
    if (sees) {
        output_printf(output, "vision tower: %zu layers of %zu, heads %zu, width %zu; patches of %zu x %zu x %zu frames, "
                      "%zu x %zu merged, segments of %zu; projector %zu\n", c->vision.n_layers, c->vision.hidden,
                      c->vision.n_heads, c->vision.inter, c->vision.patch, c->vision.patch, c->vision.temporal,
                      c->vision.merge, c->vision.merge, c->vision.segment_frames, c->vision.projector);
    }
}

static void print_list(const struct inspection *x)
{
    struct output *output = x->cli->output;
    struct total totals[N_DTYPES];
    sum_up(x->checkpoint, totals);
    print_tensors(output, x->checkpoint);
    output_printf(output, "\n");
    for (size_t d = 0; d < N_DTYPES; d++) {
        if (totals[d].n_tensors > 0) {
            output_printf(output, "%s  %zu tensors  %" PRIu64 " bytes\n", ox_dtype_name((enum ox_dtype)d),
                          totals[d].n_tensors, totals[d].n_bytes);
        }
    }
    output_printf(output, "all  %zu tensors  %" PRIu64 " bytes\n\n", ox_checkpoint_n_tensors(x->checkpoint),
                  ox_checkpoint_data_bytes(x->checkpoint));
    for (size_t i = 0; i < ox_checkpoint_n_files(x->checkpoint); i++) {
        output_text(output, ox_str_c(ox_checkpoint_file_path(x->checkpoint, i)));
        output_printf(output, "  %" PRIu64 " bytes\n", ox_checkpoint_file_bytes(x->checkpoint, i));
    }
    if (x->has_config) {
        print_config(output, &x->config, ox_weights_see(x->checkpoint, &x->config));
    }
}

/* ---- the list as JSON ------------------------------------------------------------------------------------------ */

static json_t *json_tensor(const struct inspection *x, const struct ox_tensor *tensor)
{
    json_t *shape = json_array();
    for (size_t d = 0; d < tensor->n_dims; d++) {
        ox_json_append(&shape, ox_json_new_natural(tensor->dims[d]));
    }
    json_t *object = json_object();
    ox_json_set(&object, "name", ox_json_new_text(tensor->name));
    ox_json_set(&object, "dtype", ox_json_new_text(ox_str_c(ox_dtype_name(tensor->dtype))));
    ox_json_set(&object, "shape", shape);
    ox_json_set(&object, "bytes", ox_json_new_natural(tensor->len));
    ox_json_set(&object, "file", ox_json_new_text(ox_str_c(ox_checkpoint_file_path(x->checkpoint, tensor->i_file))));
    return object;
}

static json_t *json_layers(const bool *flags, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        if (flags[i]) {
            ox_json_append(&array, ox_json_new_natural(i));
        }
    }
    return array;
}

static json_t *json_config(const struct ox_config *c, bool sees)
{
    const struct {
        const char *name;
        size_t value;
    } rows[] = {
        {"layers", c->n_layers},       {"hidden", c->hidden},
        {"vocab", c->vocab},           {"heads", c->n_heads},
        {"kv_heads", c->n_kv_heads},   {"head_dim", c->head_dim},
        {"rotary_dim", c->rotary_dim}, {"max_positions", c->max_positions},
        {"dense_inter", c->dense_inter}, {"expert_inter", c->expert_inter},
        {"shared_inter", c->shared_inter}, {"experts", c->n_experts},
        {"experts_used", c->n_experts_used}, {"index_heads", c->n_index_heads},
        {"index_dim", c->index_dim},   {"block", c->block},
        {"topk_blocks", c->topk_blocks}, {"init_blocks", c->init_blocks},
        {"local_blocks", c->local_blocks},
    };
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ox_json_set(&object, rows[i].name, ox_json_new_natural(rows[i].value));
    }
    ox_json_set(&object, "rope_theta", json_real(c->rope_theta));
    ox_json_set(&object, "moe_layers", json_layers(c->moe_layer, c->n_layers));
    ox_json_set(&object, "sparse_layers", json_layers(c->sparse_layer, c->n_layers));
    ox_json_set(&object, "vision", json_boolean(sees));
    return object;
}

static void print_list_json(const struct inspection *x)
{
    struct total totals[N_DTYPES];
    json_t *files = json_array();
    json_t *tensors = json_array();
    json_t *formats = json_object();
    json_t *object = json_object();
    sum_up(x->checkpoint, totals);
    for (size_t i = 0; i < ox_checkpoint_n_files(x->checkpoint); i++) {
        json_t *file = json_object();
        ox_json_set(&file, "path", ox_json_new_text(ox_str_c(ox_checkpoint_file_path(x->checkpoint, i))));
        ox_json_set(&file, "bytes", ox_json_new_natural(ox_checkpoint_file_bytes(x->checkpoint, i)));
        ox_json_append(&files, file);
    }
    for (size_t i = 0; i < ox_checkpoint_n_tensors(x->checkpoint); i++) {
        ox_json_append(&tensors, json_tensor(x, ox_checkpoint_tensor(x->checkpoint, i)));
    }
    for (size_t d = 0; d < N_DTYPES; d++) {
        if (totals[d].n_tensors > 0) {
            json_t *total = json_object();
            ox_json_set(&total, "tensors", ox_json_new_natural(totals[d].n_tensors));
            ox_json_set(&total, "bytes", ox_json_new_natural(totals[d].n_bytes));
            ox_json_set(&formats, ox_dtype_name((enum ox_dtype)d), total);
        }
    }
    ox_json_set(&object, "model", ox_json_new_text(ox_str_c(x->path)));
    ox_json_set(&object, "bytes", ox_json_new_natural(ox_checkpoint_data_bytes(x->checkpoint)));
    ox_json_set(&object, "files", files);
    ox_json_set(&object, "formats", formats);
    if (x->has_config) {
        ox_json_set(&object, "config", json_config(&x->config, ox_weights_see(x->checkpoint, &x->config)));
    }
    ox_json_set(&object, "tensors", tensors);
    json_out_print(x->cli->output, object, JSON_INDENT(1));
    json_decref(object);
}

/* ---- verify ---------------------------------------------------------------------------------------------------- */

/* One finding. name has length 0 where it is about no single tensor. */
static void add_finding(struct inspection *x, struct ox_str name, const char *sentence)
{
    x->n_bad++;
    if (cli_given(&x->cli->args, OPT_JSON)) {
        json_t *finding = json_object();
        ox_json_set(&finding, "tensor", name.len > 0 ? ox_json_new_text(name) : json_null());
        ox_json_set(&finding, "problem", ox_json_new_text(ox_str_c(sentence)));
        ox_json_append(&x->bad, finding);
        return;
    }
    struct ox_buf line = {0};
    if (name.len > 0 && !ox_str_starts(ox_str_c(sentence), name)) {
        ox_buf_add_str(&line, name);
        ox_buf_add_c(&line, ": ");
    }
    ox_buf_add_c(&line, sentence);
    ox_buf_add_byte(&line, '\n');
    output_text(x->cli->output, ox_buf_str(&line));
    output_flush(x->cli->output);
    ox_buf_fini(&line);
}

static int on_bad_tensor(void *user, const struct ox_tensor *tensor, const char *sentence)
{
    struct inspection *x = user;
    add_finding(x, tensor->name, sentence);
    return output_failed(x->cli->output) ? 1 : 0;
}

static void verify_shapes(struct inspection *x)
{
    struct ox_weights weights;
    struct ox_error err = {0};
    memset(&weights, 0, sizeof weights);
    if (x->has_config && ox_weights_bind(x->checkpoint, &x->config, &weights, &err) != OX_OK) {
        add_finding(x, ox_str_make("", 0), err.message);
    }
    ox_weights_fini(&weights);
}

static int verify(struct inspection *x)
{
    struct output *output = x->cli->output;
    struct ox_error err = {0};
    const struct ox_log log = cli_log(x->cli);
    size_t n_bad = 0;
    x->bad = json_array();
    verify_shapes(x);
    const enum ox_status status = ox_checkpoint_verify(x->checkpoint, &log, on_bad_tensor, x, &n_bad, &err);
    if (status != OX_OK) {
        return output_failed(output) ? EXIT_FAILED : cli_fail_error(x->cli, &err, EXIT_MODEL);
    }
    const size_t n_tensors = ox_checkpoint_n_tensors(x->checkpoint);
    const uint64_t n_bytes = ox_checkpoint_data_bytes(x->checkpoint);
    if (cli_given(&x->cli->args, OPT_JSON)) {
        json_t *object = json_object();
        ox_json_set(&object, "model", ox_json_new_text(ox_str_c(x->path)));
        ox_json_set(&object, "tensors", ox_json_new_natural(n_tensors));
        ox_json_set(&object, "bytes", ox_json_new_natural(n_bytes));
        ox_json_set(&object, "bad", json_incref(x->bad));
        json_out_print(output, object, JSON_INDENT(1));
        json_decref(object);
    } else {
        output_printf(output, "%zu tensors, %" PRIu64 " bytes read: %zu bad\n", n_tensors, n_bytes, x->n_bad);
    }
    return x->n_bad > 0 ? EXIT_MODEL : EXIT_DONE;
}

int verb_inspect(const struct cli *cli)
{
    struct inspection *x = ox_calloc(1, sizeof *x);
    if (x == NULL) {
        return cli_fail(cli, EXIT_MEMORY, "out of memory");
    }
    x->cli = cli;
    struct ox_error err = {0};
    const struct ox_log log = cli_log(cli);
    int code = choose_path(x);
    if (code == EXIT_DONE && (ox_checkpoint_open(x->path, &log, &x->checkpoint, &err) != OX_OK ||
                              (ox_file_is_folder(x->path) && read_config(x, &err) != OX_OK))) {
        code = cli_fail_error(cli, &err, EXIT_MODEL);
    }
    if (code == EXIT_DONE && cli_given(&cli->args, OPT_VERIFY)) {
        code = verify(x);
    } else if (code == EXIT_DONE && cli_given(&cli->args, OPT_JSON)) {
        print_list_json(x);
    } else if (code == EXIT_DONE) {
        print_list(x);
    }
    json_decref(x->bad);
    ox_checkpoint_close(&x->checkpoint);
    ox_free(x->path);
    ox_free(x);
    return code;
}
