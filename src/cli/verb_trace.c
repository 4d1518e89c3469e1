/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart trace: the forward pass's inner tensors for given token ids, as a safetensors file.
 */
#include "cli/cli.h"
#include "engine/trace.h"
#include "engine/trace_ids.h"
#include "os/file.h"

/* Largest file of ids. */
#define MAX_IDS_BYTES ((size_t)256 << 20)

static int read_ids(const struct cli *cli, struct ox_ids *ids)
{
    const char *path = cli_text(&cli->args, OPT_TOKENS, "-");
    struct ox_buf text = {0};
    struct ox_error err = {0};
    enum ox_status status = ox_file_read(path, MAX_IDS_BYTES, &text, &err);
    if (status == OX_OK) {
        status = ox_trace_parse_ids(ox_buf_str(&text), path, ids, &err);
    }
    if (status == OX_OK && ids->len == 0) {
        status = ox_error_set(&err, OX_E_FORMAT, "%s: expected token ids, found none", path);
    }
    ox_buf_fini(&text);
    return status == OX_OK ? EXIT_DONE : cli_fail_error(cli, &err, EXIT_FAILED);
}

static int run(const struct cli *cli, struct oxcart_engine *engine, const struct ox_ids *ids)
{
    struct ox_error err = {0};
    struct ox_trace_options options = {
        .ids = ids->ptr,
        .n_ids = ids->len,
        .n_positions = (size_t)cli_natural(&cli->args, OPT_POSITIONS, 16),
        .n_greedy = (size_t)cli_natural(&cli->args, OPT_TRACE_GREEDY, 0),
        .chunk = (size_t)cli_natural(&cli->args, OPT_CHUNK, 0),
        .choices = cli_text(&cli->args, OPT_CHOICES, NULL),
        .media = cli_text(&cli->args, OPT_TRACE_MEDIA, NULL),
        .out = cli_text(&cli->args, OPT_OUT, NULL),
    };
    (void)ox_kv_format_parse(ox_str_c(cli_text(&cli->args, OPT_TRACE_KV, "f32")), &options.kv);
    const enum ox_status status = ox_trace_run(engine, &options, &err);
    if (status == OX_E_ARG) { /* what the file of ids says, not how the program was called */
        return cli_fail(cli, EXIT_FAILED, "%s: %s", cli_text(&cli->args, OPT_TOKENS, "-"), err.message);
    }
    return status == OX_OK ? EXIT_DONE : cli_fail_error(cli, &err, EXIT_FAILED);
}

int verb_trace(const struct cli *cli)
{
    struct ox_ids ids = {0};
    struct oxcart_engine *engine = NULL;
    if (!cli_given(&cli->args, OPT_TOKENS) || !cli_given(&cli->args, OPT_OUT)) {
        return cli_fail(cli, EXIT_USAGE, "expected --tokens=FILE and --out=FILE");
    }
    int code = read_ids(cli, &ids);
    if (code == EXIT_DONE) {
        code = cli_open(cli, &engine, NULL);
    }
    if (code == EXIT_DONE) {
        code = run(cli, engine, &ids);
    }
    oxcart_engine_close(&engine);
    ox_ids_fini(&ids);
    return code;
}
