/* SPDX-License-Identifier: Apache-2.0
 *
 * From errors to sentences and exit codes, and from the library's log to the program's messages.
 */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

static int fail(const struct cli *cli, int exit_code, const char *text)
{
    output_message(cli->output, OX_LOG_ERROR, text);
    if (exit_code == EXIT_USAGE) {
        char hint[96];
        const bool verb = cli->args.verb != VERB_NONE;
        snprintf(hint, sizeof hint, "Try 'oxcart %s%s--help' for more information.",
                 verb ? cli_verb_info(cli->args.verb)->name : "", verb ? " " : "");
        output_line(cli->output, true, hint);
    }
    return exit_code;
}

int cli_fail(const struct cli *cli, int exit_code, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail(cli, exit_code, text);
}

int cli_fail_error(const struct cli *cli, const struct ox_error *err, int otherwise)
{
    switch (err->code) {
    case OX_E_NOMEM:
        return fail(cli, EXIT_MEMORY, err->message);
    case OX_E_DEVICE:
        return fail(cli, EXIT_DEVICE, err->message);
    case OX_E_ARG:
        return fail(cli, EXIT_USAGE, err->message);
    case OX_E_CANCELLED:
        return fail(cli, EXIT_FAILED, err->message);
    case OX_E_MEDIA:
        return fail(cli, EXIT_MODEL, err->message);
    default:
        return fail(cli, otherwise, err->message);
    }
}

int cli_fail_public(const struct cli *cli, const struct oxcart_error *err, int otherwise)
{
    struct ox_error inner = {.code = (enum ox_status)err->code};
    snprintf(inner.message, sizeof inner.message, "%s", err->message);
    return cli_fail_error(cli, &inner, otherwise);
}

static void on_message(void *user, enum ox_log_level level, const char *text)
{
    output_message(user, level, text);
}

static void on_progress(void *user, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
    output_report(user, phase, done, total, unit);
}

struct ox_log cli_log(const struct cli *cli)
{
    const struct ox_log log = {on_message, on_progress, cli->output};
    return log;
}
