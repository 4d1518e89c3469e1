/* SPDX-License-Identifier: Apache-2.0
 *
 * Which addresses a server may connect to on behalf of a stranger: those of the public internet, and no others.
 */
#ifndef OX_SERVER_ADDRESS_H
#define OX_SERVER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Is the socket address at p (struct sockaddr_in or sockaddr_in6, len bytes, any alignment) a public unicast one? Not: the
 * unspecified, loopback, private, shared (CGNAT), link-local, documentation, benchmark, multicast, broadcast and reserved
 * ranges of IPv4; in IPv6 everything outside 2000::/3, and inside it the protocol assignments (2001::/23: Teredo, ORCHID),
 * documentation and 6to4. Addresses that hold an IPv4 address (mapped, compatible, translated, 6to4) are never public,
 * with one exception: 64:ff9b::/96, through which networks without IPv4 reach it, is what its IPv4 address is. Other
 * families and short addresses are not public. Source: IANA's registries of special-purpose addresses (RFC 6890). Any
 * thread. */
bool ox_address_is_public(const void *p, size_t len);

/* 127.0.0.0/8 or ::1. */
bool ox_address_is_loopback(const void *p, size_t len);

#endif
