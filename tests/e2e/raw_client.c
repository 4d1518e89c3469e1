/* SPDX-License-Identifier: Apache-2.0
 *
 * A client with bad manners, for the tests of the server: sends standard input to a port of this machine byte for byte and
 * prints what comes back.
 *
 *     raw_client PORT read          send, then print all until the server closes
 *     raw_client PORT drip MS [N]   the same, N bytes (1) every MS milliseconds
 *     raw_client PORT mute S        send, then read nothing for S seconds
 *     raw_client PORT leave MS      send, wait, close without reading
 *     raw_client PORT crowd N       open N connections, count those that the server keeps open for a moment
 *     raw_client 0 notify PATH      be the one who started the server: print what comes to a socket at PATH, until it stops
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

#define MAX_CROWD 4096

static int connect_to(uint16_t port)
{
    const int small = 4096;
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) != 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        perror("raw_client");
        return -1;
    }
    return fd;
}

/* Send standard input, `step` bytes at a time with pauses; stops when the server does not want more. */
static void send_input(int fd, size_t step, int pause_ms)
{
    static char bytes[1 << 20];
    const size_t n = fread(bytes, 1, sizeof bytes, stdin);
    for (size_t at = 0; at < n;) {
        const size_t part = n - at < step ? n - at : step;
        const ssize_t sent = send(fd, bytes + at, part, MSG_NOSIGNAL);
        struct pollfd closed = {.fd = fd, .events = POLLRDHUP};
        if (sent <= 0 || (pause_ms > 0 && poll(&closed, 1, pause_ms) > 0)) {
            return;
        }
        at += (size_t)sent;
    }
}

static void print_all(int fd)
{
    char bytes[65536];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        fwrite(bytes, 1, (size_t)n, stdout);
    }
}

static int crowd(uint16_t port, uint64_t n)
{
    static int fds[MAX_CROWD];
    uint64_t n_open = 0;
    for (uint64_t i = 0; i < n && i < MAX_CROWD; i++) {
        fds[i] = connect_to(port);
    }
    poll(NULL, 0, 500);
    for (uint64_t i = 0; i < n && i < MAX_CROWD; i++) {
        struct pollfd closed = {.fd = fds[i], .events = POLLRDHUP};
        n_open += fds[i] >= 0 && poll(&closed, 1, 0) == 0 ? 1 : 0;
    }
    printf("%llu\n", (unsigned long long)n_open);
    return 0;
}

/* Datagrams, a line each, until one says STOPPING=1. */
static int hear(const char *path)
{
    char text[512] = "";
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        perror("raw_client");
        return 1;
    }
    while (strstr(text, "STOPPING=1") == NULL) {
        const ssize_t n = recv(fd, text, sizeof text - 1, 0);
        if (n < 0) {
            return 1;
        }
        text[n] = '\0';
        for (char *line = strchr(text, '\n'); line != NULL; line = strchr(line, '\n')) {
            *line = ' ';
        }
        printf("%s\n", text);
        fflush(stdout);
    }
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t port;
    uint64_t number = 0;
    uint64_t step = 1;
    if (argc == 4 && strcmp(argv[2], "notify") == 0) {
        return hear(argv[3]);
    }
    if (argc < 3 || !ox_str_to_u64(ox_str_c(argv[1]), &port) ||
        (argc > 3 && !ox_str_to_u64(ox_str_c(argv[3]), &number)) ||
        (argc > 4 && !ox_str_to_u64(ox_str_c(argv[4]), &step))) {
        fprintf(stderr, "usage: raw_client PORT read|drip|mute|leave|crowd|notify [N [N]]\n");
        return 2;
    }
    if (strcmp(argv[2], "crowd") == 0) {
        return crowd((uint16_t)port, number);
    }
    const int fd = connect_to((uint16_t)port);
    if (fd < 0) {
        return 1;
    }
    const bool drips = strcmp(argv[2], "drip") == 0;
    send_input(fd, drips ? (size_t)step : SIZE_MAX, drips ? (int)number : 0);
    if (strcmp(argv[2], "mute") == 0) {
        poll(NULL, 0, (int)number * 1000);
    } else if (strcmp(argv[2], "leave") == 0) {
        poll(NULL, 0, (int)number);
    } else {
        print_all(fd);
    }
    close(fd);
    return 0;
}
