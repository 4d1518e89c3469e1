/* SPDX-License-Identifier: Apache-2.0
 *
 * The parser of command lines: values, scopes, errors, and the table's own order.
 */
#include "tests/tap.h"

#include "cli/options.h"

#define MAX_ARGS 16

/* One command line, split at blanks ("_" stands for an empty word), parsed. */
struct line {
    char text[256];
    char *argv[MAX_ARGS + 1];
    int argc;
    struct cli_args args;
    struct ox_error err;
    enum ox_status status;
};

static void parse(struct line *line, const char *text)
{
    memset(line, 0, sizeof *line);
    snprintf(line->text, sizeof line->text, "%s", text);
    char *p = line->text;
    while (*p != '\0' && line->argc < MAX_ARGS) {
        line->argv[line->argc++] = p;
        p += strcspn(p, " ");
        if (*p == ' ') {
            *p++ = '\0';
        }
        if (strcmp(line->argv[line->argc - 1], "_") == 0) {
            line->argv[line->argc - 1][0] = '\0';
        }
    }
    line->status = cli_args_parse(line->argc, line->argv, &line->args, &line->err);
}

static void refused(const char *text, const char *message, enum cli_verb verb)
{
    struct line line;
    parse(&line, text);
    OK(line.status == OX_E_ARG, "refused: %s", text);
    IS_STR(line.err.message, message, text);
    IS_INT(line.args.verb, verb, text);
    cli_args_fini(&line.args);
}

static void test_values(void)
{
    struct line line;
    parse(&line, "oxcart run What --temperature 0.5 is -n7 it --seed=18446744073709551615 -vv --show-thinking=off -- --json");
    IS_INT(line.status, OX_OK, "a long line");
    IS_INT(line.args.verb, VERB_RUN, "its verb");
    IS_INT(line.args.n_operands, 4, "operands, options between them");
    IS_STR(line.args.operands[0], "What", "first");
    IS_STR(line.args.operands[2], "it", "third");
    IS_STR(line.args.operands[3], "--json", "-- ends options");
    OK(!cli_given(&line.args, OPT_JSON), "so --json was not given");
    OK(cli_real(&line.args, OPT_TEMPERATURE, 0) == 0.5, "a real number as the next word");
    IS_INT(cli_natural(&line.args, OPT_PREDICT, 0), 7, "a whole number behind its letter");
    OK(cli_natural(&line.args, OPT_SEED, 0) == UINT64_MAX, "the largest seed");
    IS_INT(line.args.values[OPT_VERBOSE].n_given, 2, "-vv counts");
    IS_STR(cli_text(&line.args, OPT_SHOW_THINKING, ""), "off", "a choice");
    IS_STR(cli_text(&line.args, OPT_MODEL, "none"), "none", "not given");
    OK(cli_natural(&line.args, OPT_TOP_K, 40) == 40 && cli_real(&line.args, OPT_TOP_P, 0.25) == 0.25, "nor these");
    cli_args_fini(&line.args);

    parse(&line, "oxcart run --stop=a --logit-bias=3:-1.5 --stop b --temp=0 --predict=1 -n 2 x");
    IS_INT(line.status, OX_OK, "repeated options");
    IS_INT(line.args.n_repeats, 3, "all are kept");
    OK(line.args.repeats[0].option == OPT_STOP && strcmp(line.args.repeats[0].text, "a") == 0, "in order: a");
    OK(line.args.repeats[1].option == OPT_LOGIT_BIAS && strcmp(line.args.repeats[1].text, "3:-1.5") == 0, "3:-1.5");
    OK(line.args.repeats[2].option == OPT_STOP && strcmp(line.args.repeats[2].text, "b") == 0, "b");
    OK(cli_given(&line.args, OPT_TEMPERATURE), "--temp is --temperature");
    IS_INT(cli_natural(&line.args, OPT_PREDICT, 0), 2, "the last one counts");
    cli_args_fini(&line.args);

    parse(&line, "oxcart run --temperat=0.25 --prompt= -S _ -f -");
    IS_INT(line.status, OX_OK, "a shortened name");
    OK(cli_real(&line.args, OPT_TEMPERATURE, 0) == 0.25, "its value");
    OK(cli_given(&line.args, OPT_PROMPT) && cli_text(&line.args, OPT_PROMPT, NULL)[0] == '\0', "an empty argument");
    IS_STR(cli_text(&line.args, OPT_FILE, ""), "-", "a lone hyphen as an argument");
    cli_args_fini(&line.args);
}

static void test_scopes(void)
{
    struct line line;
    parse(&line, "oxcart bench --prompt=64 --predict=8");
    IS_INT(line.status, OX_OK, "bench's --prompt is a number");
    IS_INT(cli_natural(&line.args, OPT_BENCH_PROMPT, 0), 64, "64");
    OK(!cli_given(&line.args, OPT_PROMPT), "and not run's");
    cli_args_fini(&line.args);
    refused("oxcart bench -p x", "unknown option '-p'", VERB_BENCH);
    refused("oxcart bench --prompt=x", "--prompt: expected a whole number from 1 to 2147483647, found 'x'", VERB_BENCH);
    refused("oxcart doctor -m x", "unknown option '-m'", VERB_DOCTOR);
    refused("oxcart doctor x", "'doctor' takes no operand, found 'x'", VERB_DOCTOR);
    refused("oxcart tokenize --greedy", "unknown option '--greedy'", VERB_TOKENIZE);
    parse(&line, "oxcart inspect model");
    IS_INT(line.args.n_operands, 1, "inspect takes an operand");
    cli_args_fini(&line.args);
    OK(cli_verb_has(VERB_TRACE, OPT_TRACE_KV) && !cli_verb_has(VERB_TRACE, OPT_KV), "trace has a --kv of its own");
    IS_INT(cli_option_find(VERB_BENCH, "prompt"), OPT_BENCH_PROMPT, "found by verb");
    IS_INT(cli_option_find(VERB_CHAT, "temp"), OPT_TEMPERATURE, "found by its other name");
    IS_INT(cli_option_find(VERB_DOCTOR, "temp"), N_OPTIONS, "not found");
}

static void test_errors(void)
{
    refused("oxcart convert", "unknown verb 'convert'", VERB_NONE);
    refused("oxcart _", "unknown verb ''", VERB_NONE);
    refused("oxcart score --image=x", "unknown option '--image'", VERB_SCORE);
    refused("oxcart run --numa=auto", "unknown option '--numa'", VERB_RUN);
    refused("oxcart run --kv=q8", "--kv: expected one of bf16|f32, found 'q8'", VERB_RUN);
    refused("oxcart run --kv=bf16|f32", "--kv: expected one of bf16|f32, found 'bf16|f32'", VERB_RUN);
    refused("oxcart run --kv=", "--kv: expected one of bf16|f32, found ''", VERB_RUN);
    refused("oxcart run -Z", "unknown option '-Z'", VERB_RUN);
    refused("oxcart run -qZ", "unknown option '-Z'", VERB_RUN);
    refused("oxcart run --s=1", "option '--s' could be several", VERB_RUN);
    refused("oxcart run --json=1", "option '--json' takes no argument", VERB_RUN);
    refused("oxcart run --prompt", "option '--prompt' needs an argument (TEXT)", VERB_RUN);
    refused("oxcart run -p", "option '--prompt' needs an argument (TEXT)", VERB_RUN);
    refused("oxcart run -n 0", "--predict: expected a whole number from 1 to 2147483647, found '0'", VERB_RUN);
    refused("oxcart run -n 2147483648", "--predict: expected a whole number from 1 to 2147483647, found '2147483648'",
            VERB_RUN);
    refused("oxcart run -n -1", "--predict: expected a whole number from 1 to 2147483647, found '-1'", VERB_RUN);
    refused("oxcart run --seed=18446744073709551616",
            "--seed: expected a whole number from 0 to 18446744073709551615, found '18446744073709551616'", VERB_RUN);
    refused("oxcart run --top-p=1.5", "--top-p: expected a number from 0 to 1, found '1.5'", VERB_RUN);
    refused("oxcart run --top-p=nan", "--top-p: expected a number from 0 to 1, found 'nan'", VERB_RUN);
    refused("oxcart run --temperature=", "--temperature: expected a number from 0 to 100, found ''", VERB_RUN);
    refused("oxcart --nonsense", "unknown option '--nonsense'", VERB_NONE);
    refused("oxcart -m x hello", "'hello' without a verb: name the verb first, as in 'oxcart run PROMPT'", VERB_NONE);
}

static void test_help(void)
{
    struct line line;
    parse(&line, "oxcart --help --nonsense");
    IS_INT(line.status, OX_OK, "--help ends the reading");
    OK(cli_given(&line.args, OPT_HELP) && line.args.verb == VERB_NONE, "of the program");
    cli_args_fini(&line.args);
    parse(&line, "oxcart score -V --nonsense");
    IS_INT(line.status, OX_OK, "so does -V");
    OK(cli_given(&line.args, OPT_VERSION) && line.args.verb == VERB_SCORE, "of a verb");
    cli_args_fini(&line.args);
    parse(&line, "oxcart");
    IS_INT(line.status, OX_OK, "nothing at all");
    IS_INT(line.args.verb, VERB_NONE, "no verb");
    cli_args_fini(&line.args);
}

static void test_set(void)
{
    struct line line;
    parse(&line, "oxcart chat --top-k=5");
    IS_INT(cli_args_set(&line.args, OPT_TOP_K, "6", &line.err), OX_OK, "set later");
    IS_INT(cli_natural(&line.args, OPT_TOP_K, 0), 6, "6");
    IS_INT(cli_args_set(&line.args, OPT_TOP_K, "x", &line.err), OX_E_ARG, "set wrongly");
    IS_INT(cli_natural(&line.args, OPT_TOP_K, 0), 6, "still 6");
    cli_args_fini(&line.args);
}

/* Is a the long or short name of two options of one verb? */
static bool is_clear(enum cli_verb verb)
{
    for (int a = 0; a < N_OPTIONS; a++) {
        for (int b = 0; b < a; b++) {
            const struct cli_option_info *x = cli_option_info((enum cli_option)a);
            const struct cli_option_info *y = cli_option_info((enum cli_option)b);
            if (cli_verb_has(verb, (enum cli_option)a) && cli_verb_has(verb, (enum cli_option)b) &&
                (strcmp(x->name, y->name) == 0 || (x->brief != 0 && x->brief == y->brief))) {
                NOTE("%s: --%s and --%s", cli_verb_info(verb)->name, x->name, y->name);
                return false;
            }
        }
    }
    return true;
}

static void test_table(void)
{
    for (int v = 0; v < N_VERBS; v++) {
        OK(is_clear((enum cli_verb)v), "no name twice: %s", cli_verb_info((enum cli_verb)v)->name);
        IS_INT(cli_verb_find(cli_verb_info((enum cli_verb)v)->name), v, "found by its name");
        OK(cli_verb_has((enum cli_verb)v, OPT_HELP) && cli_verb_has((enum cli_verb)v, OPT_VERSION), "has --help");
    }
    IS_INT(cli_verb_find("ru"), VERB_NONE, "verbs are not shortened");
    bool whole = true;
    for (int i = 0; i < N_OPTIONS; i++) {
        const struct cli_option_info *info = cli_option_info((enum cli_option)i);
        const bool number = info->kind == KIND_NATURAL || info->kind == KIND_REAL;
        whole = whole && info->name[0] != '\0' && info->help[0] != '\0' && info->verbs != 0;
        whole = whole && (info->kind == KIND_FLAG) == (info->argument[0] == '\0');
        whole = whole && (number ? info->low < info->high : info->low == 0 && info->high == 0);
    }
    OK(whole, "every row is whole");
}

int main(void)
{
    test_values();
    test_scopes();
    test_errors();
    test_help();
    test_set();
    test_table();
    return tap_done();
}
