/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service tells the one that started it, as systemd's sd_notify(3) does.
 */
#ifndef OX_CLI_NOTIFY_H
#define OX_CLI_NOTIFY_H

/* Send "READY=1", "STATUS=..." and the like, lines joined by line feeds, to the socket at address ($NOTIFY_SOCKET: a path,
 * or @ and an abstract name; NULL: nobody wants to know). Failures have nowhere to be told. */
void notify(const char *address, const char *text);

#endif
