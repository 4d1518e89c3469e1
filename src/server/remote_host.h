/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of hosts that media may be fetched from.
 */
#ifndef OX_SERVER_REMOTE_HOST_H
#define OX_SERVER_REMOTE_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Does an entry (see struct ox_fetch_options) allow host (in brackets if it is an IPv6 address) at port, which is the
 * scheme's own (80, 443) or not? Letters of either case are the same; an entry that is not valid allows nothing. */
bool ox_remote_host_allows(struct ox_str entry, struct ox_str host, uint16_t port, bool is_default_port);

#endif
