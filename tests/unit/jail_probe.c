/* SPDX-License-Identifier: Apache-2.0
 *
 * Enters the decoders' jail, as they do, and then tries what its operand names. Ends with status 0 if that worked, 1 if
 * the call failed, or is ended by the kernel. Only test_jail starts it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "media/helper/jail.h"

#define MEMORY_BYTES ((uint64_t)64 << 20)
#define SECONDS 1

static int worked(long result)
{
    return result < 0 ? 1 : 0;
}

static int memory(size_t len, int prot, int flags)
{
    volatile char *p = mmap(NULL, len, prot, flags, -1, 0);
    if (p == MAP_FAILED) {
        return 1;
    }
    for (size_t i = 0; i < len; i += 4096) {
        p[i] = 1;
    }
    return 0;
}

static int attempt(const char *what)
{
    static const char *const nobody[] = {"/bin/true", NULL};
    char byte = 'x';
    char *no_environment[] = {NULL};
    char *const *strings;
    memcpy(&strings, &(const char *const *){nobody}, sizeof strings);
    const struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
    if (strcmp(what, "nothing") == 0) {
        return 0;
    } else if (strcmp(what, "read") == 0) {
        return worked(read(0, &byte, 1));
    } else if (strcmp(what, "write") == 0) {
        return worked(write(1, &byte, 1));
    } else if (strcmp(what, "seek") == 0) {
        return worked(lseek(0, 0, SEEK_SET));
    } else if (strcmp(what, "memory") == 0) {
        return memory(MEMORY_BYTES / 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    } else if (strcmp(what, "heap") == 0) {
        void *volatile p = malloc(MEMORY_BYTES / 4);
        return p == NULL;
    } else if (strcmp(what, "much memory") == 0) {
        return memory(MEMORY_BYTES * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    } else if (strcmp(what, "much heap") == 0) {
        void *volatile p = malloc(MEMORY_BYTES * 2);
        return p == NULL;
    } else if (strcmp(what, "shared memory") == 0) {
        return memory(4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    } else if (strcmp(what, "executable memory") == 0) {
        return memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
    } else if (strcmp(what, "memory made executable") == 0) {
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return worked(mprotect(p, 4096, PROT_READ | PROT_EXEC));
    } else if (strcmp(what, "map the input") == 0) {
        return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0) == MAP_FAILED;
    } else if (strcmp(what, "open") == 0) {
        return worked(open("/etc/passwd", O_RDONLY));
    } else if (strcmp(what, "old open") == 0) {
#define NUMBER_OPEN 2 /* on x86-64; elsewhere another call that is not allowed */
        return worked(syscall(NUMBER_OPEN, "/etc/passwd", O_RDONLY));
    } else if (strcmp(what, "openat2") == 0) {
        const uint64_t how[3] = {O_RDONLY, 0, 0};
        return worked(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how));
    } else if (strcmp(what, "create") == 0) {
        return worked(open("jail-probe.tmp", O_WRONLY | O_CREAT, 0600));
    } else if (strcmp(what, "unlink") == 0) {
        return worked(unlink("jail-probe.tmp"));
    } else if (strcmp(what, "stat") == 0) {
        struct stat st;
        return worked(stat("/etc/passwd", &st));
    } else if (strcmp(what, "socket") == 0) {
        return worked(socket(AF_INET, SOCK_STREAM, 0));
    } else if (strcmp(what, "unix socket") == 0) {
        return worked(socket(AF_UNIX, SOCK_STREAM, 0));
    } else if (strcmp(what, "fork") == 0) {
        return worked(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    } else if (strcmp(what, "execute") == 0) {
        return worked(execve("/bin/true", strings, no_environment));
    } else if (strcmp(what, "kill the parent") == 0) {
        return worked(syscall(SYS_kill, getppid(), SIGTERM));
    } else if (strcmp(what, "trace the parent") == 0) {
        return worked(ptrace(PTRACE_ATTACH, 1, NULL, NULL));
    } else if (strcmp(what, "raise a limit") == 0) {
        return worked(setrlimit(RLIMIT_DATA, &more));
    } else if (strcmp(what, "copy a descriptor") == 0) {
        return worked(dup(0));
    } else if (strcmp(what, "read the output") == 0) {
        return worked(read(1, &byte, 1));
    } else if (strcmp(what, "write the input") == 0) {
        return worked(write(0, &byte, 1));
    } else if (strcmp(what, "inherited descriptor") == 0) {
        return worked(write(7, &byte, 1));
    } else if (strcmp(what, "change the jail") == 0) {
        return worked(prctl(PR_SET_DUMPABLE, 1));
    } else if (strcmp(what, "compute for ever") == 0) {
        for (volatile unsigned i = 0;; i++) {
        }
    }
    return 99;
}

int main(int argc, char **argv)
{
    struct ox_error err;
    if (argc != 2) {
        return 98;
    }
    if (ox_jail_enter(MEMORY_BYTES, SECONDS, &err) != OX_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 77;
    }
    ox_jail_exit(attempt(argv[1]));
}
