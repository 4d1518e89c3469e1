/* SPDX-License-Identifier: Apache-2.0
 *
 * One datagram to a socket of the file system or of the abstract name space.
 */
#include "cli/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify(const char *address, const char *text)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (address == NULL || (address[0] != '/' && address[0] != '@') || strlen(address) >= sizeof to.sun_path) {
        return;
    }
    const size_t len = strlen(address);
    memcpy(to.sun_path, address, len);
    if (address[0] == '@') {
        to.sun_path[0] = '\0';
    }
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
        close(fd);
    }
}
