/* SPDX-License-Identifier: Apache-2.0
 *
 * Any command line: the parser gives values that keep what the table promises, or a sentence; operands and texts are
 * words of the line, and a line that was taken is taken again.
 */
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/options.h"

#define MAX_WORDS 24
#define MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct line {
    char text[MAX_BYTES + 1];
    char *argv[MAX_WORDS + 2];
    int argc;
};

/* Words end at a NUL or a line feed; the program's name comes first. */
static void split(struct line *line, const uint8_t *data, size_t size)
{
    static char name[] = "oxcart";
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        line->text[n++] = data[i] == '\n' ? '\0' : (char)data[i];
    }
    line->text[n] = '\0';
    line->argc = 0;
    line->argv[line->argc++] = name;
    for (size_t at = 0; at < n && line->argc <= MAX_WORDS;) {
        line->argv[line->argc++] = line->text + at;
        at += strlen(line->text + at) + 1;
    }
    line->argv[line->argc] = NULL;
}

static bool is_inside(const struct line *line, const char *p)
{
    return p >= line->text && p <= line->text + MAX_BYTES;
}

static void check_values(const struct line *line, const struct cli_args *args)
{
    const enum cli_verb verb = args->verb == VERB_NONE ? VERB_RUN : args->verb;
    for (int i = 0; i < N_OPTIONS; i++) {
        const struct cli_option_info *info = cli_option_info((enum cli_option)i);
        const struct cli_value *value = &args->values[i];
        if (value->n_given == 0) {
            continue;
        }
        OX_CHECK(cli_verb_has(verb, (enum cli_option)i));
        OX_CHECK(info->kind == KIND_FLAG ? value->text == NULL : is_inside(line, value->text));
        if (info->kind == KIND_NATURAL) {
            OX_CHECK((double)value->natural >= info->low && (double)value->natural <= info->high);
        } else if (info->kind == KIND_REAL) {
            OX_CHECK(value->real >= info->low && value->real <= info->high);
        } else if (info->kind == KIND_CHOICE) {
            OX_CHECK(value->text[0] != '\0' && strstr(info->argument, value->text) != NULL);
        }
    }
    for (size_t i = 0; i < args->n_operands; i++) {
        OX_CHECK(is_inside(line, args->operands[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct line line;
    struct cli_args args;
    struct ox_error err = {0};
    if (size > MAX_BYTES) {
        return 0;
    }
    memset(&line, 0, sizeof line);
    split(&line, data, size);
    const enum ox_status status = cli_args_parse(line.argc, line.argv, &args, &err);
    OX_CHECK(status == OX_OK || status == OX_E_ARG);
    OX_CHECK((status == OX_OK) == (err.message[0] == '\0'));
    if (status == OX_OK) {
        check_values(&line, &args);
        /* Operands were moved to the end: reading the words in that order gives the same. */
        struct cli_args again;
        OX_CHECK(cli_args_parse(line.argc, line.argv, &again, &err) == OX_OK);
        OX_CHECK(again.n_operands == args.n_operands && again.n_repeats == args.n_repeats);
        for (int i = 0; i < N_OPTIONS; i++) {
            OX_CHECK(again.values[i].n_given == args.values[i].n_given && again.values[i].text == args.values[i].text);
        }
        cli_args_fini(&again);
    }
    cli_args_fini(&args);
    return 0;
}
