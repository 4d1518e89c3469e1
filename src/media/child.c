/* SPDX-License-Identifier: Apache-2.0
 *
 * A child by posix_spawn, which does not copy the page tables of a process that maps a large model. Its end is waited
 * for with patience, then with SIGKILL, so that no call here can hang.
 */
#include "media/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIPE_BYTES (1 << 20)
#define PATIENCE_MS 1000 /* between the end of the answer and that of the child */
#define FIRST_FREE_FD 3

/* A build with sanitizers lets the child say what they found. */
#if defined(OX_SANITIZED)
static const bool quiet = false;
#else
static const bool quiet = true;
#endif

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What the child gets, as spawn attributes and actions; 0 or an error number. */
static int prepare(posix_spawnattr_t *attr, posix_spawn_file_actions_t *actions, int input, int output)
{
    sigset_t none;
    sigset_t all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int status = posix_spawnattr_setsigmask(attr, &none);
    status = status != 0 ? status : posix_spawnattr_setsigdefault(attr, &all);
    status = status != 0 ? status : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    status = status != 0 ? status : posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO);
    status = status != 0 ? status : posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    if (status == 0 && quiet) {
        status = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    }
    return status != 0 ? status : posix_spawn_file_actions_addclosefrom_np(actions, FIRST_FREE_FD);
}

/* posix_spawn wants strings that it may not, and does not, change. */
static int spawn(const char *const *argv, int input, int output, pid_t *pid)
{
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    char *const no_environment[] = {NULL};
    char *const *strings;
    memcpy(&strings, &argv, sizeof strings);
    int status = posix_spawnattr_init(&attr);
    if (status != 0) {
        return status;
    }
    status = posix_spawn_file_actions_init(&actions);
    if (status == 0) {
        status = prepare(&attr, &actions, input, output);
        status = status != 0 ? status : posix_spawn(pid, argv[0], &actions, &attr, strings, no_environment);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)posix_spawnattr_destroy(&attr);
    return status;
}

/* A copy of fd that is none of the three that the child's will be put on, or -1. */
static int high_copy(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
}

enum ox_status ox_child_start(const char *const *argv, int input, uint32_t timeout_ms, struct ox_child *child,
                              struct ox_error *err)
{
    int ends[2] = {-1, -1};
    pid_t pid = 0;
    int status = pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno;
    const int in = high_copy(input);
    const int out = high_copy(ends[1]);
    if (status == 0 && (in < 0 || out < 0)) {
        status = errno;
    }
    if (status == 0) {
        (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES); /* fewer turns; smaller works too */
        status = spawn(argv, in, out, &pid);
    }
    const int fds[] = {in, out, ends[1], status == 0 ? -1 : ends[0]};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    if (status != 0) {
        return ox_error_set_errno(err, OX_E_IO, status, "%s: cannot be started", argv[0]);
    }
    child->pid = pid;
    child->answer = ends[0];
    child->timeout_ms = timeout_ms;
    child->deadline_ms = now_ms() + timeout_ms;
    return OX_OK;
}

/* Wait for the child, at most patience_ms, then kill it. Returns its wait status, or -1 if nobody knows. */
static int wait_child(struct ox_child *child, int patience_ms)
{
    const struct timespec pause = {0, 1000000};
    int status = -1;
    for (int waited = 0;; waited++) {
        const bool last = waited >= patience_ms;
        if (last) {
            (void)kill(child->pid, SIGKILL);
        }
        pid_t done = waitpid(child->pid, &status, last ? 0 : WNOHANG);
        while (done < 0 && errno == EINTR) {
            done = waitpid(child->pid, &status, last ? 0 : WNOHANG);
        }
        if (done != 0) { /* negative: the program reaps children by itself */
            (void)close(child->answer);
            memset(child, 0, sizeof *child);
            return done > 0 ? status : -1;
        }
        (void)nanosleep(&pause, NULL);
    }
}

/* The answer has ended too early: say why. */
static enum ox_status ended(struct ox_child *child, struct ox_error *err)
{
    const uint32_t timeout_ms = child->timeout_ms;
    const int status = wait_child(child, PATIENCE_MS);
    if (status != -1 && WIFSIGNALED(status)) {
        const int signal_number = WTERMSIG(status);
        const char *name = sigdescr_np(signal_number);
        if (signal_number == SIGXCPU) {
            return ox_error_set(err, OX_E_LIMIT, "decoding took longer than %u ms", timeout_ms);
        }
        return ox_error_set(err, OX_E_IO, "the decoder was ended by signal %d (%s)", signal_number,
                            name != NULL ? name : "unknown");
    }
    if (status != -1 && WIFEXITED(status)) {
        return ox_error_set(err, OX_E_IO, "the decoder ended without an answer (exit status %d)", WEXITSTATUS(status));
    }
    return ox_error_set(err, OX_E_IO, "the decoder ended without an answer");
}

enum ox_status ox_child_read(struct ox_child *child, void *bytes, size_t len, struct ox_error *err)
{
    size_t done = 0;
    while (done < len) {
        const int64_t left_ms = child->deadline_ms - now_ms();
        struct pollfd ready = {.fd = child->answer, .events = POLLIN};
        const int wait_ms = (int)(left_ms < INT32_MAX ? left_ms : INT32_MAX);
        const int n_ready = wait_ms > 0 ? poll(&ready, 1, wait_ms) : 0;
        if (n_ready == 0) {
            return ox_error_set(err, OX_E_LIMIT, "decoding took longer than %u ms", child->timeout_ms);
        }
        const ssize_t n = n_ready > 0 ? read(child->answer, (char *)bytes + done, len - done) : -1;
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0) {
            return ended(child, err);
        } else if (errno != EINTR) {
            return ox_error_set_errno(err, OX_E_IO, errno, "the decoder's answer cannot be read");
        }
    }
    return OX_OK;
}

void ox_child_finish(struct ox_child *child)
{
    if (child->pid > 0) {
        (void)wait_child(child, 0);
    }
}
