/* SPDX-License-Identifier: Apache-2.0
 *
 * Verbs and options as options.def lists them, and the parser of a command line. Options belong to verbs: a name that
 * another verb has is unknown. The parser is total: any argv gives values or a sentence, nothing is printed.
 */
#ifndef OX_CLI_OPTIONS_H
#define OX_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum cli_verb {
#define OX_GROUP(group, heading)
#define OX_VERB(verb, name, operands, purpose) VERB_##verb,
#define OX_OPTION(id, verbs, name, brief, argument, kind, low, high, preset, group, help)
#define OX_ALIAS(other, id)
#include "cli/options.def"
#undef OX_VERB
#undef OX_OPTION
    N_VERBS,
    VERB_NONE = N_VERBS, /* no verb is known (yet) */
};

enum cli_option {
#define OX_VERB(verb, name, operands, purpose)
#define OX_OPTION(id, verbs, name, brief, argument, kind, low, high, preset, group, help) OPT_##id,
#include "cli/options.def"
#undef OX_GROUP
#undef OX_OPTION
    N_OPTIONS,
};

enum cli_group {
#define OX_GROUP(group, heading) GROUP_##group,
#define OX_OPTION(id, verbs, name, brief, argument, kind, low, high, preset, group, help)
#include "cli/options.def"
#undef OX_GROUP
#undef OX_VERB
#undef OX_OPTION
#undef OX_ALIAS
    N_GROUPS,
};

enum cli_kind { KIND_FLAG, KIND_TEXT, KIND_LIST, KIND_FILE, KIND_FILES, KIND_CHOICE, KIND_NATURAL, KIND_REAL };

/* A row of the table. */
struct cli_option_info {
    uint32_t verbs; /* bit 1 << verb */
    const char *name;
    char brief; /* 0: none */
    const char *argument;
    enum cli_kind kind;
    double low;
    double high;
    const char *preset;
    enum cli_group group;
    const char *help;
};

struct cli_verb_info {
    const char *name;
    const char *operands;
    const char *purpose;
};

const struct cli_option_info *cli_option_info(enum cli_option option);
const struct cli_verb_info *cli_verb_info(enum cli_verb verb);
const char *cli_group_heading(enum cli_group group);

/* The verb that is called name, or VERB_NONE. */
enum cli_verb cli_verb_find(const char *name);

bool cli_verb_has(enum cli_verb verb, enum cli_option option);

/* What was given for an option; the last one counts. */
struct cli_value {
    unsigned n_given;
    const char *text; /* the argument, borrowed from argv; NULL for flags */
    uint64_t natural; /* of KIND_NATURAL */
    double real;      /* of KIND_REAL */
};

struct cli_repeat {
    enum cli_option option;
    const char *text;
};

/* A command line, taken apart. Texts are borrowed from argv. */
struct cli_args {
    enum cli_verb verb;
    struct cli_value values[N_OPTIONS];
    char *const *operands;
    size_t n_operands;
    struct cli_repeat *repeats; /* arguments of KIND_LIST and KIND_FILES options in their order */
    size_t n_repeats;
    size_t repeats_cap;
};

/* Take argv apart (argc >= 1, argv[argc] NULL; its elements are put in another order). Without a verb the verb is
 * VERB_NONE and options are those of `run`. Stops at --help and --version, which then have n_given 1. OX_E_ARG and a
 * sentence for wrong usage, args->verb then tells whose --help to name. Release with cli_args_fini in any case. */
enum ox_status cli_args_parse(int argc, char **argv, struct cli_args *args, struct ox_error *err) OX_MUST_USE;
void cli_args_fini(struct cli_args *args);

/* Give an option a value as if it had stood on the command line; text must outlive args (NULL for a flag). */
enum ox_status cli_args_set(struct cli_args *args, enum cli_option option, const char *text, struct ox_error *err)
    OX_MUST_USE;

/* The option of verb with this long name (or alias), or N_OPTIONS. */
enum cli_option cli_option_find(enum cli_verb verb, const char *name);

static inline bool cli_given(const struct cli_args *args, enum cli_option option)
{
    return args->values[option].n_given > 0;
}

/* The text given, or otherwise. */
static inline const char *cli_text(const struct cli_args *args, enum cli_option option, const char *otherwise)
{
    return cli_given(args, option) ? args->values[option].text : otherwise;
}

static inline uint64_t cli_natural(const struct cli_args *args, enum cli_option option, uint64_t otherwise)
{
    return cli_given(args, option) ? args->values[option].natural : otherwise;
}

static inline double cli_real(const struct cli_args *args, enum cli_option option, double otherwise)
{
    return cli_given(args, option) ? args->values[option].real : otherwise;
}

#endif
