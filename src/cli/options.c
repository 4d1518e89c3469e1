/* SPDX-License-Identifier: Apache-2.0
 *
 * The option table in C, and getopt_long driven by it. getopt_long sees only the options of the verb in hand, so that
 * another verb's are unknown; messages are ours, its own are off.
 */
#include "cli/options.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* Bits of the table's second column. */
enum {
#define OX_GROUP(group, heading)
#define OX_VERB(verb, name, operands, purpose) verb = 1 << VERB_##verb,
#define OX_OPTION(id, verbs, name, brief, argument, kind, low, high, preset, group, help)
#define OX_ALIAS(other, id)
#include "cli/options.def"
#undef OX_VERB
#undef OX_OPTION
    ALL = (1 << N_VERBS) - 1,
};

static const struct cli_option_info options[N_OPTIONS] = {
#define OX_VERB(verb, name, operands, purpose)
#define OX_OPTION(id, verbs, name, brief, argument, kind, low, high, preset, group, help)                              \
    [OPT_##id] = {verbs, name, brief, argument, KIND_##kind, low, high, preset, GROUP_##group, help},
#include "cli/options.def"
#undef OX_VERB
};

static const struct cli_verb_info verbs[N_VERBS] = {
#undef OX_OPTION
#define OX_VERB(verb, name, operands, purpose) [VERB_##verb] = {#name, operands, purpose},
#define OX_OPTION(id, verbs, name, brief, argument, kind, low, high, preset, group, help)
#include "cli/options.def"
#undef OX_GROUP
#undef OX_VERB
};

static const char *const headings[N_GROUPS] = {
#define OX_GROUP(group, heading) [GROUP_##group] = heading,
#define OX_VERB(verb, name, operands, purpose)
#include "cli/options.def"
#undef OX_GROUP
#undef OX_ALIAS
};

static const struct {
    const char *name;
    enum cli_option option;
} aliases[] = {
#define OX_GROUP(group, heading)
#define OX_ALIAS(other, id) {other, OPT_##id},
#include "cli/options.def"
#undef OX_GROUP
#undef OX_VERB
#undef OX_OPTION
#undef OX_ALIAS
};

#define N_ALIASES (sizeof aliases / sizeof aliases[0])
/* What getopt_long returns for option 0; above all characters. */
#define LONG_BASE 1000

const struct cli_option_info *cli_option_info(enum cli_option option)
{
    return &options[option];
}

const struct cli_verb_info *cli_verb_info(enum cli_verb verb)
{
    return &verbs[verb];
}

const char *cli_group_heading(enum cli_group group)
{
    return headings[group];
}

enum cli_verb cli_verb_find(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return (enum cli_verb)i;
        }
    }
    return VERB_NONE;
}

bool cli_verb_has(enum cli_verb verb, enum cli_option option)
{
    return verb != VERB_NONE && (options[option].verbs >> verb & 1U) != 0;
}

enum cli_option cli_option_find(enum cli_verb verb, const char *name)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (cli_verb_has(verb, (enum cli_option)i) && strcmp(options[i].name, name) == 0) {
            return (enum cli_option)i;
        }
    }
    for (size_t i = 0; i < N_ALIASES; i++) {
        if (cli_verb_has(verb, aliases[i].option) && strcmp(aliases[i].name, name) == 0) {
            return aliases[i].option;
        }
    }
    return N_OPTIONS;
}

/* Is text one of the words of "a|b|c"? */
static bool is_choice(const char *words, const char *text)
{
    const size_t len = strlen(text);
    const char *p = words;
    for (;;) {
        const size_t word = strcspn(p, "|");
        if (word == len && memcmp(p, text, len) == 0) {
            return true;
        }
        if (p[word] == '\0') {
            return false;
        }
        p += word + 1;
    }
}

/* The highest whole number that an option takes: 2^64 - 1 is no double, the table's number is rounded up to 2^64. */
static uint64_t highest_natural(const struct cli_option_info *info)
{
    return info->high < 18446744073709551616.0 ? (uint64_t)info->high : UINT64_MAX;
}

static enum ox_status check_value(const struct cli_option_info *info, const char *text, struct cli_value *value,
                                  struct ox_error *err)
{
    if (info->kind == KIND_CHOICE && !is_choice(info->argument, text)) {
        return ox_error_set(err, OX_E_ARG, "--%s: expected one of %s, found '%.60s'", info->name, info->argument, text);
    }
    if (info->kind == KIND_NATURAL) {
        const uint64_t low = (uint64_t)info->low;
        const uint64_t high = highest_natural(info);
        uint64_t natural;
        if (!ox_str_to_u64(ox_str_c(text), &natural) || natural < low || natural > high) {
            return ox_error_set(err, OX_E_ARG, "--%s: expected a whole number from %" PRIu64 " to %" PRIu64
                                ", found '%.60s'", info->name, low, high, text);
        }
        value->natural = natural;
    }
    if (info->kind == KIND_REAL) {
        double real;
        if (!ox_str_to_double(ox_str_c(text), &real) || real < info->low || real > info->high) {
            return ox_error_set(err, OX_E_ARG, "--%s: expected a number from %g to %g, found '%.60s'", info->name,
                                info->low, info->high, text);
        }
        value->real = real;
    }
    return OX_OK;
}

enum ox_status cli_args_set(struct cli_args *args, enum cli_option option, const char *text, struct ox_error *err)
{
    const struct cli_option_info *info = &options[option];
    struct cli_value value = args->values[option];
    if (info->kind != KIND_FLAG) {
        const enum ox_status status = check_value(info, text, &value, err);
        if (status != OX_OK) {
            return status;
        }
    }
    if (info->kind == KIND_LIST || info->kind == KIND_FILES) {
        void *list = args->repeats;
        if (ox_grow(&list, &args->repeats_cap, args->n_repeats + 1, sizeof *args->repeats) != 0) {
            return ox_error_nomem(err, (args->n_repeats + 1) * sizeof *args->repeats);
        }
        args->repeats = list;
        args->repeats[args->n_repeats++] = (struct cli_repeat){option, text};
    }
    value.n_given++;
    value.text = text;
    args->values[option] = value;
    return OX_OK;
}

/* getopt_long's own tables for one verb. */
struct tables {
    struct option longs[N_OPTIONS + N_ALIASES + 1];
    char shorts[3 * N_OPTIONS + 2];
};

static void make_tables(enum cli_verb verb, struct tables *tables)
{
    size_t n_longs = 0;
    size_t n_shorts = 0;
    memset(tables, 0, sizeof *tables);
    tables->shorts[n_shorts++] = ':';
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (!cli_verb_has(verb, (enum cli_option)i)) {
            continue;
        }
        const int has_arg = options[i].kind == KIND_FLAG ? no_argument : required_argument;
        tables->longs[n_longs++] = (struct option){options[i].name, has_arg, NULL, LONG_BASE + (int)i};
        if (options[i].brief != 0) {
            tables->shorts[n_shorts++] = options[i].brief;
            if (has_arg == required_argument) {
                tables->shorts[n_shorts++] = ':';
            }
        }
    }
    for (size_t i = 0; i < N_ALIASES; i++) {
        if (cli_verb_has(verb, aliases[i].option)) {
            const int has_arg = options[aliases[i].option].kind == KIND_FLAG ? no_argument : required_argument;
            tables->longs[n_longs++] =
                (struct option){aliases[i].name, has_arg, NULL, LONG_BASE + (int)aliases[i].option};
        }
    }
}

/* The option that getopt_long's answer stands for, or N_OPTIONS. */
static enum cli_option answer_option(enum cli_verb verb, int answer)
{
    if (answer >= LONG_BASE && answer < LONG_BASE + N_OPTIONS) {
        return (enum cli_option)(answer - LONG_BASE);
    }
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (answer != 0 && options[i].brief == answer && cli_verb_has(verb, (enum cli_option)i)) {
            return (enum cli_option)i;
        }
    }
    return N_OPTIONS;
}

/* How many long names of the verb begin with the first len bytes of name. */
static size_t count_names(const struct tables *tables, const char *name, size_t len)
{
    size_t n = 0;
    for (const struct option *o = tables->longs; o->name != NULL; o++) {
        n += strncmp(o->name, name, len) == 0 ? 1 : 0;
    }
    return n;
}

/* The sentence for what getopt_long refused: answer '?' or ':', word the argv element it stood in. */
static enum ox_status refuse(enum cli_verb verb, const struct tables *tables, int answer, int culprit, const char *word,
                             struct ox_error *err)
{
    const enum cli_option option = answer_option(verb, culprit);
    if (answer == ':') {
        return ox_error_set(err, OX_E_ARG, "option '--%s' needs an argument (%s)",
                            option < N_OPTIONS ? options[option].name : "?",
                            option < N_OPTIONS ? options[option].argument : "");
    }
    if (culprit >= LONG_BASE && option < N_OPTIONS) {
        return ox_error_set(err, OX_E_ARG, "option '--%s' takes no argument", options[option].name);
    }
    if (culprit != 0) {
        return ox_error_set(err, OX_E_ARG, "unknown option '-%c'", culprit >= ' ' && culprit < 127 ? culprit : '?');
    }
    const char *name = strncmp(word, "--", 2) == 0 ? word + 2 : word;
    const size_t len = strcspn(name, "=");
    if (count_names(tables, name, len) > 1) {
        return ox_error_set(err, OX_E_ARG, "option '--%.*s' could be several", (int)(len < 60 ? len : 60), name);
    }
    return ox_error_set(err, OX_E_ARG, "unknown option '--%.*s'", (int)(len < 60 ? len : 60), name);
}

/* Options and operands of argv[1..] for a verb. */
static enum ox_status parse_options(int argc, char **argv, enum cli_verb verb, struct cli_args *args,
                                    struct ox_error *err)
{
    struct tables tables;
    make_tables(verb, &tables);
    opterr = 0;
    optind = 0; /* start afresh, GNU and musl alike */
    for (;;) {
        const int answer = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);
        if (answer == -1) {
            break;
        }
        const enum cli_option option = answer_option(verb, answer);
        if (answer == '?' || answer == ':' || option == N_OPTIONS) {
            const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";
            return refuse(verb, &tables, answer, optopt, word, err);
        }
        const enum ox_status status = cli_args_set(args, option, optarg, err);
        if (status != OX_OK || option == OPT_HELP || option == OPT_VERSION) {
            return status;
        }
    }
    args->operands = argv + optind;
    args->n_operands = (size_t)(argc - optind);
    return OX_OK;
}

enum ox_status cli_args_parse(int argc, char **argv, struct cli_args *args, struct ox_error *err)
{
    memset(args, 0, sizeof *args);
    args->verb = VERB_NONE;
    if (argc < 2 || argv[1][0] == '-') {
        const enum ox_status status = parse_options(argc, argv, VERB_RUN, args, err);
        if (status == OX_OK && args->n_operands > 0) {
            return ox_error_set(err, OX_E_ARG, "'%.60s' without a verb: name the verb first, as in 'oxcart run PROMPT'",
                                args->operands[0]);
        }
        return status;
    }
    args->verb = cli_verb_find(argv[1]);
    if (args->verb == VERB_NONE) {
        return ox_error_set(err, OX_E_ARG, "unknown verb '%.60s'", argv[1]);
    }
    const enum ox_status status = parse_options(argc - 1, argv + 1, args->verb, args, err);
    if (status == OX_OK && args->n_operands > 0 && verbs[args->verb].operands[0] == '\0') {
        return ox_error_set(err, OX_E_ARG, "'%s' takes no operand, found '%.60s'", verbs[args->verb].name,
                            args->operands[0]);
    }
    return status;
}

void cli_args_fini(struct cli_args *args)
{
    ox_free(args->repeats);
    args->repeats = NULL;
    args->n_repeats = 0;
    args->repeats_cap = 0;
}
