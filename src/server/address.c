/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses against tables of ranges.
 */
#include "server/address.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct range4 {
    uint32_t first;
    unsigned n_bits;
};

static const struct range4 special4[] = {
    {0x00000000, 8},  /* 0.0.0.0/8: this network */
    {0x0a000000, 8},  /* 10.0.0.0/8: private */
    {0x64400000, 10}, /* 100.64.0.0/10: shared (CGNAT) */
    {0x7f000000, 8},  /* 127.0.0.0/8: loopback */
    {0xa9fe0000, 16}, /* 169.254.0.0/16: link-local, and clouds' metadata */
    {0xac100000, 12}, /* 172.16.0.0/12: private */
    {0xc0000000, 24}, /* 192.0.0.0/24: protocol assignments */
    {0xc0000200, 24}, /* 192.0.2.0/24: documentation */
    {0xc0586300, 24}, /* 192.88.99.0/24: 6to4 relays, gone */
    {0xc0a80000, 16}, /* 192.168.0.0/16: private */
    {0xc6120000, 15}, /* 198.18.0.0/15: benchmarks */
    {0xc6336400, 24}, /* 198.51.100.0/24: documentation */
    {0xcb007100, 24}, /* 203.0.113.0/24: documentation */
    {0xe0000000, 3},  /* 224.0.0.0/4 multicast, 240.0.0.0/4 reserved and broadcast */
};

static bool in_range4(uint32_t address, struct range4 range)
{
    return ((address ^ range.first) >> (32 - range.n_bits)) == 0;
}

static bool is_public4(uint32_t address)
{
    for (size_t i = 0; i < sizeof special4 / sizeof special4[0]; i++) {
        if (in_range4(address, special4[i])) {
            return false;
        }
    }
    return true;
}

struct range6 {
    uint8_t first[16];
    unsigned n_bits;
};

static const struct range6 global6 = {{0x20}, 3};                        /* 2000::/3: all unicast there is */
static const struct range6 translated6 = {{0x00, 0x64, 0xff, 0x9b}, 96}; /* 64:ff9b::/96: NAT64 */
static const struct range6 special6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* 2001::/23: protocol assignments, Teredo, ORCHID */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* 2001:db8::/32: documentation */
    {{0x20, 0x02}, 16},             /* 2002::/16: 6to4 */
    {{0x3f, 0xff, 0x00}, 20},       /* 3fff::/20: documentation */
};

static bool in_range6(const uint8_t *address, const struct range6 *range)
{
    const size_t whole = range->n_bits / 8;
    const unsigned rest = range->n_bits % 8;
    return memcmp(address, range->first, whole) == 0 &&
           (rest == 0 || (address[whole] ^ range->first[whole]) >> (8 - rest) == 0);
}

static bool is_public6(const uint8_t *address)
{
    if (in_range6(address, &translated6)) {
        uint32_t inner;
        memcpy(&inner, address + 12, sizeof inner);
        return is_public4(ntohl(inner));
    }
    bool good = in_range6(address, &global6);
    for (size_t i = 0; i < sizeof special6 / sizeof special6[0]; i++) {
        good = good && !in_range6(address, &special6[i]);
    }
    return good;
}

/* The family of a whole address; AF_UNSPEC for anything else. One of the two gets it. */
static sa_family_t read_address(const void *p, size_t len, struct sockaddr_in *v4, struct sockaddr_in6 *v6)
{
    sa_family_t family = AF_UNSPEC;
    if (len >= sizeof(struct sockaddr)) {
        memcpy(&family, (const char *)p + offsetof(struct sockaddr, sa_family), sizeof family);
    }
    if (family == AF_INET && len >= sizeof *v4) {
        memcpy(v4, p, sizeof *v4);
        return family;
    }
    if (family == AF_INET6 && len >= sizeof *v6) {
        memcpy(v6, p, sizeof *v6);
        return family;
    }
    return AF_UNSPEC;
}

bool ox_address_is_public(const void *p, size_t len)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (read_address(p, len, &v4, &v6)) {
    case AF_INET:
        return is_public4(ntohl(v4.sin_addr.s_addr));
    case AF_INET6:
        return is_public6(v6.sin6_addr.s6_addr);
    default:
        return false;
    }
}

bool ox_address_is_loopback(const void *p, size_t len)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (read_address(p, len, &v4, &v6)) {
    case AF_INET:
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        return memcmp(&v6.sin6_addr, &in6addr_loopback, sizeof in6addr_loopback) == 0;
    default:
        return false;
    }
}
