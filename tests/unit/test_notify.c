/* SPDX-License-Identifier: Apache-2.0
 *
 * What systemd gets to hear, by a path and by an abstract name.
 */
#include "cli/notify.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/tap.h"

/* A socket at address as notify spells it; -1 if there can be none. */
static int listen_at(const char *address)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const size_t len = strlen(address);
    memcpy(at.sun_path, address, len);
    if (address[0] == '@') {
        at.sun_path[0] = '\0';
    }
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0) {
        return fd;
    }
    close(fd);
    return -1;
}

static void check(const char *address)
{
    char got[64] = "";
    const int fd = listen_at(address);
    OK(fd >= 0, "a socket at %s", address);
    notify(address, "READY=1\nSTATUS=ready");
    const ssize_t n = recv(fd, got, sizeof got - 1, 0);
    OK(n == 20, "one datagram");
    IS_STR(got, "READY=1\nSTATUS=ready", "whole");
    close(fd);
}

int main(void)
{
    char folder[] = "/tmp/test_notify.XXXXXX";
    char path[64];
    char name[64];
    OK(mkdtemp(folder) != NULL, "a folder");
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(name, sizeof name, "@%s", folder + 5);
    check(path);
    check(name);
    unlink(path);
    rmdir(folder);
    char longest[256];
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    notify(NULL, "READY=1");
    notify("", "READY=1");
    notify("relative", "READY=1");
    notify(path, "READY=1");
    notify(longest, "READY=1");
    OK(true, "nobody listens: nothing happens");
    return tap_done();
}
