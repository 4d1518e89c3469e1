/* SPDX-License-Identifier: Apache-2.0
 *
 * The program's door: the only file that reads the environment, installs signal handlers and exits. Everything else
 * gets what it needs in struct cli and returns an exit code.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/help.h"

/* Written by the signal handler; everyone else reaches it through struct cli. */
static struct cli_signals signals;

/* write(2) from a signal handler; a failure has nowhere to be told. */
static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        return;
    }
}

static void on_interrupt(int number)
{
    (void)number;
    const bool second = signals.n_interrupts > 0 && signals.mode != INTERRUPT_COUNTS;
    if (signals.mode == INTERRUPT_EXITS || second) {
        say("\n");
        _exit(EXIT_INTERRUPTED);
    }
    signals.n_interrupts++;
}

/* SIGTERM: as Ctrl-C for a server, the end for all else. */
static void on_terminate(int number)
{
    if (signals.mode == INTERRUPT_SERVES) {
        on_interrupt(number);
        return;
    }
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, NULL);
    raise(number); /* comes when this returns, so that whoever waits sees the signal */
}

/* A page of a mapped file that cannot be read. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if (info->si_code == BUS_ADRERR) {
        say("\noxcart: a file of the model was shortened or became unreadable while it was in use\n");
    } else {
        say("\noxcart: bus error: the memory of this machine reports a fault\n");
    }
    _exit(EXIT_MODEL);
}

static void install_handlers(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = on_terminate;
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_DFL;
    sigaction(SIGPIPE, &action, NULL);
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, NULL);
}

/* A standard stream that came closed would be the next file to be opened. Put something there that refuses use. */
static void hold_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
            const int opened = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
            if (opened >= 0 && opened != fd) {
                close(opened);
            }
        }
    }
}

static const char *environment_text(const char *name)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static enum ox_status open_output(const struct cli *cli, struct output *output, struct ox_error *err)
{
    static const enum output_color colors[] = {['a'] = OUTPUT_COLOR_ALWAYS, ['n'] = OUTPUT_COLOR_NEVER};
    const char *color = cli_text(&cli->args, OPT_COLOR, "auto");
    struct output_options options = {
        .color = strcmp(color, "auto") == 0 ? OUTPUT_COLOR_AUTO : colors[(unsigned char)color[0]],
        .verbosity = cli_given(&cli->args, OPT_QUIET) ? -1 : (int)cli->args.values[OPT_VERBOSE].n_given,
        .log_file = cli_text(&cli->args, OPT_LOG_FILE, NULL),
        .no_color = cli->environment.no_color,
        .term = cli->environment.term,
    };
    const enum ox_status status = output_open(STDOUT_FILENO, stderr, &options, output, err);
    if (status != OX_OK) { /* without the log file, so that it can be said */
        options.log_file = NULL;
        return output_open(STDOUT_FILENO, stderr, &options, output, NULL) == OX_OK ? status : OX_E_IO;
    }
    return status;
}

/* A command line without a verb, which was read as that of `run`: is it a conversation that is wanted? */
static enum cli_verb default_verb(const struct cli *cli)
{
    static const enum cli_option of_run[] = {OPT_PROMPT, OPT_FILE, OPT_MESSAGES, OPT_JSON, OPT_IMAGE, OPT_VIDEO};
    for (size_t i = 0; i < sizeof of_run / sizeof of_run[0]; i++) {
        if (cli_given(&cli->args, of_run[i])) {
            return VERB_RUN;
        }
    }
    return cli->in_terminal ? VERB_CHAT : VERB_RUN;
}

static int run_verb(struct cli *cli)
{
    static int (*const functions[N_VERBS])(const struct cli *) = {
#define OX_GROUP(group, heading)
#define OX_VERB(verb, name, operands, purpose) [VERB_##verb] = verb_##name,
#define OX_OPTION(id, verbs, name, brief, argument, kind, low, high, preset, group, help)
#define OX_ALIAS(other, id)
#include "cli/options.def"
    };
    if (cli_given(&cli->args, OPT_HELP)) {
        help_print(cli->output, cli->args.verb);
        return EXIT_DONE;
    }
    if (cli_given(&cli->args, OPT_VERSION)) {
        version_print(cli->output);
        return EXIT_DONE;
    }
    if (cli->args.verb == VERB_NONE) {
        cli->args.verb = default_verb(cli);
    }
    return functions[cli->args.verb](cli);
}

int main(int argc, char **argv)
{
    struct output output;
    struct cli cli;
    struct ox_error err = {0};
    memset(&cli, 0, sizeof cli);
    hold_standard_files();
    install_handlers();
    setlocale(LC_CTYPE, "");
    cli.environment = (struct cli_environment){environment_text("OXCART_MODEL"), environment_text("NO_COLOR"),
                                               environment_text("TERM"), environment_text("XDG_STATE_HOME"),
                                               environment_text("HOME"), environment_text("NOTIFY_SOCKET")};
    cli.signals = &signals;
    cli.output = &output;
    cli.in_terminal = isatty(STDIN_FILENO) == 1;
    const enum ox_status parsed = argc > 0 ? cli_args_parse(argc, argv, &cli.args, &err) : OX_E_ARG;
    struct ox_error log_err = {0};
    const enum ox_status opened = open_output(&cli, &output, &log_err);
    int code = EXIT_DONE;
    if (parsed != OX_OK) {
        code = cli_fail_error(&cli, &err, EXIT_USAGE);
    } else if (opened != OX_OK) {
        code = cli_fail_error(&cli, &log_err, EXIT_FAILED);
    } else {
        code = run_verb(&cli);
    }
    if (output_close(&output, &err) != OX_OK) {
        output_message(&output, OX_LOG_ERROR, err.message);
        code = code == EXIT_DONE ? EXIT_FAILED : code;
    }
    cli_args_fini(&cli.args);
    return code;
}
