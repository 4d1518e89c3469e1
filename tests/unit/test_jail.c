/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoders' jail: a process that has entered it tries to open files and sockets, to start programs and threads, to
 * get memory beyond its limit, and the like. Each attempt is a process of its own (jail_probe).
 */
#include "media/helper/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"

enum { ALLOWED = 0, FAILS = 1, NO_JAIL = 77, KILLED = 1000 };

static const struct {
    const char *what;
    int expected; /* exit status, or KILLED + signal */
    bool without_sanitizers;
} rows[] = {
    {"nothing", ALLOWED, false},
    {"read", ALLOWED, false},
    {"write", ALLOWED, false},
    {"seek", ALLOWED, false},
    {"memory", ALLOWED, false},
    {"heap", ALLOWED, false},
    {"much memory", FAILS, true},
    {"much heap", FAILS, true},
    {"shared memory", KILLED + SIGSYS, false},
    {"executable memory", KILLED + SIGSYS, false},
    {"memory made executable", KILLED + SIGSYS, false},
    {"map the input", KILLED + SIGSYS, false},
    {"open", FAILS, false},
    {"old open", KILLED + SIGSYS, false},
    {"openat2", KILLED + SIGSYS, false},
    {"create", FAILS, false},
    {"unlink", KILLED + SIGSYS, false},
    {"stat", KILLED + SIGSYS, false},
    {"socket", KILLED + SIGSYS, false},
    {"unix socket", KILLED + SIGSYS, false},
    {"fork", KILLED + SIGSYS, false},
    {"execute", KILLED + SIGSYS, false},
    {"kill the parent", KILLED + SIGSYS, false},
    {"trace the parent", KILLED + SIGSYS, false},
    {"raise a limit", KILLED + SIGSYS, false},
    {"copy a descriptor", KILLED + SIGSYS, false},
    {"read the output", KILLED + SIGSYS, false},
    {"write the input", KILLED + SIGSYS, true}, /* sanitizers may write anywhere */
    {"inherited descriptor", KILLED + SIGSYS, true},
    {"change the jail", KILLED + SIGSYS, false},
    {"compute for ever", KILLED + SIGXCPU, false},
};

/* Run the probe; the result as in the table. */
static int run(const char *what)
{
    const char *top = getenv("abs_top_builddir");
    char path[4096];
    int status = -1;
    snprintf(path, sizeof path, "%s/tests/unit/jail_probe", top != NULL ? top : ".");
    const pid_t pid = fork();
    if (pid == 0) {
        const int in = open(path, O_RDONLY);
        const int out = open("/dev/null", O_WRONLY);
        if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 7) < 0) {
            _exit(97);
        }
        execl(path, path, what, (char *)NULL);
        _exit(96);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? KILLED + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(void)
{
    if (run("nothing") == NO_JAIL) {
        tap_skip_all("this kernel has no seccomp filters (an emulator?)");
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].without_sanitizers || !TAP_SANITIZED) {
            IS_INT(run(rows[i].what), rows[i].expected, rows[i].what);
        }
    }
    return tap_done();
}
