/* SPDX-License-Identifier: Apache-2.0
 *
 * The jail: descriptors closed, capabilities dropped, resource limits, and a filter of system calls in the kernel's BPF
 * machine, written out by hand because it is twenty lines and a library would be one more thing in here. The filter
 * lists what is allowed; memory is bounded by RLIMIT_DATA, which counts all private writable memory, and no other kind
 * can be had.
 */
#include "media/helper/jail.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_AARCH64
#else
#define AUDIT_ARCH_HERE 0
#endif

/* The sanitizers' shadow memory is larger than any limit, and they report on descriptor 2. */
#if defined(OX_SANITIZED)
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

#define FIRST_OTHER_FD 3U
#define MAX_INSTRUCTIONS 128

enum check {
    ANY,        /* the call is allowed as it is */
    INPUT,      /* if argument 0 is descriptor 0 */
    OUTPUT,     /* if it is descriptor 1 */
    NO_CODE,    /* if argument 2 does not ask for executable memory */
    PRIVATE,    /* the same, and argument 3 asks for memory that is anonymous and private */
    REFUSED,    /* it fails with EACCES, since libraries try it and go on */
    SANITIZERS, /* allowed in a build with sanitizers only */
};

static const struct {
    long number;
    enum check check;
} calls[] = {
    {SYS_read, INPUT},
    {SYS_lseek, INPUT},
    {SYS_write, OUTPUT},
    {SYS_mmap, PRIVATE},
    {SYS_mprotect, NO_CODE},
    {SYS_munmap, ANY},
    {SYS_mremap, ANY},
    {SYS_madvise, ANY},
    {SYS_brk, ANY},
    {SYS_futex, ANY},
    {SYS_clock_gettime, ANY},      /* where the vDSO does not answer */
    {SYS_getrandom, ANY},          /* the C library's heap asks once */
    {SYS_sysinfo, ANY},            /* qsort asks how much memory there is */
    {SYS_openat, REFUSED},         /* the C library looks for tables of character sets */
    {SYS_sigaltstack, SANITIZERS}, /* asked before the end */
    {SYS_exit, ANY},
    {SYS_exit_group, ANY},
};

struct program {
    struct sock_filter code[MAX_INSTRUCTIONS];
    unsigned short len;
};

static void add(struct program *program, struct sock_filter instruction)
{
    OX_CHECK(program->len < MAX_INSTRUCTIONS);
    program->code[program->len++] = instruction;
}

static void load(struct program *program, size_t offset)
{
    add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void jump(struct program *program, unsigned short test, uint32_t value, uint8_t if_true, uint8_t if_false)
{
    add(program, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | test | BPF_K), value, if_true, if_false));
}

static void finish(struct program *program, uint32_t verdict)
{
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

/* The low half of argument i (both processors are little-endian); no argument looked at here has a meaning above it. */
static void load_argument(struct program *program, size_t i)
{
    load(program, offsetof(struct seccomp_data, args) + i * sizeof(uint64_t));
}

/* With the call's number loaded: judge `number` as `check` says, go on behind this if it is another call. */
static void add_rule(struct program *program, long number, enum check check)
{
    const unsigned short head = program->len;
    jump(program, BPF_JEQ, (uint32_t)number, 0, 0);
    if (check == INPUT || check == OUTPUT) {
        load_argument(program, 0);
        jump(program, BPF_JEQ, check == INPUT ? STDIN_FILENO : STDOUT_FILENO, 1, 0);
        finish(program, SECCOMP_RET_KILL_PROCESS);
    } else if (check == NO_CODE || check == PRIVATE) {
        load_argument(program, 2);
        jump(program, BPF_JSET, PROT_EXEC, 0, 1);
        finish(program, SECCOMP_RET_KILL_PROCESS);
    }
    if (check == PRIVATE) {
        load_argument(program, 3);
        add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, MAP_ANONYMOUS | MAP_TYPE));
        jump(program, BPF_JEQ, MAP_ANONYMOUS | MAP_PRIVATE, 1, 0);
        finish(program, SECCOMP_RET_KILL_PROCESS);
    }
    finish(program, check == REFUSED ? SECCOMP_RET_ERRNO | EACCES : SECCOMP_RET_ALLOW);
    program->code[head].jf = (uint8_t)(program->len - head - 1);
}

static int enter_filter(void)
{
    struct program program = {.len = 0};
    load(&program, offsetof(struct seccomp_data, arch));
    jump(&program, BPF_JEQ, AUDIT_ARCH_HERE, 1, 0);
    finish(&program, SECCOMP_RET_KILL_PROCESS);
    load(&program, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const bool loose = sanitized && (calls[i].check == OUTPUT || calls[i].check == SANITIZERS);
        if (loose || calls[i].check != SANITIZERS) {
            add_rule(&program, calls[i].number, loose ? ANY : calls[i].check);
        }
    }
    finish(&program, SECCOMP_RET_KILL_PROCESS);
    const struct sock_fprog filter = {program.len, program.code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static int limit(__rlimit_resource_t resource, uint64_t value)
{
    const struct rlimit both = {value, value};
    return setrlimit(resource, &both);
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    memset(none, 0, sizeof none);
    return (int)syscall(SYS_capset, &head, none);
}

enum ox_status ox_jail_enter(uint64_t max_bytes, uint64_t timeout_s, struct ox_error *err)
{
    if (AUDIT_ARCH_HERE == 0) {
        return ox_error_set(err, OX_E_DEVICE, "no jail for decoders on this processor");
    }
    /* The limit of processor time: a signal that says so first, the end for who ignores it. */
    const struct rlimit seconds = {timeout_s, timeout_s + 1};
    if (syscall(SYS_close_range, FIRST_OTHER_FD, ~0U, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || drop_capabilities() != 0 ||
        setrlimit(RLIMIT_CPU, &seconds) != 0 || limit(RLIMIT_CORE, 0) != 0 || limit(RLIMIT_FSIZE, 0) != 0 ||
        limit(RLIMIT_NOFILE, 0) != 0 || limit(RLIMIT_NPROC, 0) != 0 ||
        (!sanitized && limit(RLIMIT_DATA, max_bytes) != 0) || enter_filter() != 0) {
        return ox_error_set_errno(err, OX_E_DEVICE, errno, "no jail for the decoder");
    }
    return OX_OK;
}

void ox_jail_exit(int status)
{
    for (;;) {
        (void)syscall(SYS_exit_group, status);
    }
}
