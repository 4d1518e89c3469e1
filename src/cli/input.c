/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading texts and JSON files.
 */
#include "cli/input.h"

#include "base/json.h"
#include "os/file.h"

static void join_operands(const struct cli_args *args, struct ox_buf *out)
{
    for (size_t i = 0; i < args->n_operands; i++) {
        ox_buf_add_c(out, i > 0 ? " " : "");
        ox_buf_add_c(out, args->operands[i]);
    }
}

int input_text(const struct cli *cli, struct ox_buf *out, bool *from_file)
{
    const struct cli_args *args = &cli->args;
    const int n_sources = (args->n_operands > 0 ? 1 : 0) + (cli_given(args, OPT_PROMPT) ? 1 : 0) +
                          (cli_given(args, OPT_FILE) ? 1 : 0);
    *from_file = false;
    if (n_sources > 1) {
        return cli_fail(cli, EXIT_USAGE, "the text is given more than once: expected an operand, --prompt or --file");
    }
    if (args->n_operands > 0) {
        join_operands(args, out);
    } else if (cli_given(args, OPT_PROMPT)) {
        ox_buf_add_c(out, args->values[OPT_PROMPT].text);
    } else if (!cli_given(args, OPT_FILE) && cli->in_terminal) {
        return cli_fail(cli, EXIT_USAGE, "no text: give it with --prompt, --file or on standard input");
    } else {
        struct ox_error err = {0};
        *from_file = true;
        if (ox_file_read(cli_text(args, OPT_FILE, "-"), INPUT_MAX_BYTES, out, &err) != OX_OK) {
            return cli_fail_error(cli, &err, EXIT_FAILED);
        }
    }
    return ox_buf_failed(out) ? cli_fail(cli, EXIT_MEMORY, "out of memory while the text was read") : EXIT_DONE;
}

int input_json(const struct cli *cli, enum cli_option option, json_t **out)
{
    const char *path = cli->args.values[option].text;
    struct ox_buf text = {0};
    struct ox_error err = {0};
    enum ox_status status = ox_file_read(path, INPUT_MAX_BYTES, &text, &err);
    if (status == OX_OK) {
        status = ox_json_parse(ox_buf_str(&text), path, out, &err);
    }
    ox_buf_fini(&text);
    return status == OX_OK ? EXIT_DONE : cli_fail_error(cli, &err, EXIT_FAILED);
}
