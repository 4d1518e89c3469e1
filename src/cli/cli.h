/* SPDX-License-Identifier: Apache-2.0
 *
 * What a verb is given, what it gives back, and how it says that something went wrong.
 */
#ifndef OX_CLI_CLI_H
#define OX_CLI_CLI_H

#include <signal.h>

#include "base/log.h"
#include "base/status.h"
#include "cli/options.h"
#include "cli/output.h"
#include "oxcart.h"

/* Exit codes, as the man page lists them. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,  /* at run time */
    EXIT_USAGE = 2,
    EXIT_MODEL = 3,   /* model or media files unusable */
    EXIT_MEMORY = 4,  /* not enough */
    EXIT_DEVICE = 5,  /* demanded, not there */
    EXIT_INTERRUPTED = 130,
};

/* What the program's environment says; NULL where a variable is not set or empty. */
struct cli_environment {
    const char *model;      /* OXCART_MODEL */
    const char *no_color;   /* NO_COLOR */
    const char *term;       /* TERM */
    const char *state_home; /* XDG_STATE_HOME */
    const char *home;       /* HOME */
    const char *notify_socket; /* NOTIFY_SOCKET */
};

enum cli_interrupt { INTERRUPT_EXITS, INTERRUPT_STOPS, INTERRUPT_COUNTS, INTERRUPT_SERVES };

/* Ctrl-C, shared with the signal handler in main.c: EXITS ends the program (130); STOPS counts the first and ends it
 * with the second; COUNTS only counts; SERVES is STOPS, and SIGTERM counts as well. */
struct cli_signals {
    volatile sig_atomic_t mode;
    volatile sig_atomic_t n_interrupts;
};

/* Handed to a verb. */
struct cli {
    struct cli_args args;
    struct cli_environment environment;
    struct output *output;
    struct cli_signals *signals;
    bool in_terminal; /* standard input is a terminal */
};

/* A verb returns the exit code. */
#define OX_GROUP(group, heading)
#define OX_VERB(verb, name, operands, purpose) int verb_##name(const struct cli *cli);
#define OX_OPTION(id, verbs, name, brief, argument, kind, low, high, preset, group, help)
#define OX_ALIAS(other, id)
#include "cli/options.def"
#undef OX_GROUP
#undef OX_VERB
#undef OX_OPTION
#undef OX_ALIAS

/* Print "oxcart: " and the sentence to stderr (for EXIT_USAGE also where to find help), and return exit_code. */
int cli_fail(const struct cli *cli, int exit_code, const char *format, ...) OX_PRINTF(3, 4);

/* The same with a sentence of the library's. The exit code comes from the status: OX_E_NOMEM EXIT_MEMORY, OX_E_DEVICE
 * EXIT_DEVICE, OX_E_ARG EXIT_USAGE, OX_E_CANCELLED EXIT_FAILED, OX_E_MEDIA EXIT_MODEL, all else `otherwise`. */
int cli_fail_error(const struct cli *cli, const struct ox_error *err, int otherwise);
int cli_fail_public(const struct cli *cli, const struct oxcart_error *err, int otherwise);

/* The model's path: -m, $OXCART_MODEL, or the built-in demonstration model, which is said on stderr. A new string in
 * *path (ox_free). Returns EXIT_DONE or, after a message, an exit code. model_path.c */
int cli_model_path(const struct cli *cli, char **path) OX_MUST_USE;

/* The path of the program oxcart-media, a new string (ox_free); NULL when out of memory. media_helper.c */
char *cli_media_helper(void) OX_MUST_USE;

/* A log whose lines and progress go to cli's output. */
struct ox_log cli_log(const struct cli *cli);

/* Open engine and session from the common options -m -t --cpu-level -c --kv and those of pictures and clips; engine options only if session is NULL.
 * Returns EXIT_DONE or, after a message, an exit code, and then both are NULL. open_model.c */
int cli_open(const struct cli *cli, struct oxcart_engine **engine, struct oxcart_session **session) OX_MUST_USE;

#endif
