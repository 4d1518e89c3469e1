/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard pages of the kernel checker are themselves checked: what they promise to forbid ends a program.
 */
#include <signal.h>
#include <sys/wait.h>

#include "tests/guard.h"
#include "tests/tap.h"

/* Write to p[at] in a child; true if that ended it by a signal. */
static bool forbidden(uint8_t *p, ptrdiff_t at)
{
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile uint8_t *)(p + at) = 1;
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

int main(void)
{
    static const size_t sizes[] = {0, 1, 3, 63, 4095, 4096, 4097, 10000};
    struct guard guard;
    OK(guard_init(&guard, 10000), "room for 10,000 bytes");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_t n = sizes[i];
        uint8_t *p = guard_take(&guard, n, true);
        OK(forbidden(p, (ptrdiff_t)n), "%zu bytes at the end: the byte behind is forbidden", n);
        OK(n == 0 || (!forbidden(p, 0) && !forbidden(p, (ptrdiff_t)n - 1)), "its own bytes are not");
        OK(guard_intact(&guard), "nothing was written");
        p[-1] = 0;
        OK(!guard_intact(&guard), "a byte before it is seen");
        p = guard_take(&guard, n, false);
        OK(forbidden(p, -1), "%zu bytes at the beginning: the byte before is forbidden", n);
        OK(n == 0 || (!forbidden(p, 0) && !forbidden(p, (ptrdiff_t)n - 1)), "its own bytes are not");
        OK(guard_intact(&guard), "nothing was written");
        p[n] = 0;
        OK(!guard_intact(&guard), "a byte behind it is seen");
    }
    guard_fini(&guard);
    OK(guard.map == NULL, "closed");
    guard_fini(&guard);
    return tap_done();
}
