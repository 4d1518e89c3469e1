/* SPDX-License-Identifier: Apache-2.0
 *
 * Which addresses are public: every special range at both its edges, with its neighbours on either side, all the ways to
 * write an IPv4 address in an IPv6 one, and a slow classifier that reads the ranges as text, on random addresses.
 */
#include "server/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>

#include "base/rng.h"
#include "base/str.h"
#include "tests/tap.h"

static size_t make(const char *text, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        return sizeof v4;
    }
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof v6);
        return sizeof v6;
    }
    OK(false, "%s is an address", text);
    return 0;
}

static void is(const char *text, bool expected)
{
    struct sockaddr_storage address;
    const size_t len = make(text, &address);
    OK(ox_address_is_public(&address, len) == expected, "%s is %s", text, expected ? "public" : "special");
}

/* A range: its edges are special; what lies beside it is public unless it belongs to another (NULL). */
static const struct {
    const char *before;
    const char *first;
    const char *last;
    const char *behind;
} ranges[] = {
    {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
    {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
    {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
    {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
    {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
    {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
    {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
    {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
    {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
    {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
    {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
    {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
    {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
    {"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL},
    {NULL, "240.0.0.0", "255.255.255.255", NULL},
    /* All of IPv6 in order. */
    {NULL, "::", "::", NULL},
    {NULL, "::1", "::1", NULL},
    {NULL, "::2", "::fffe:ffff:ffff", NULL},            /* compatible, and reserved */
    {NULL, "::ffff:0:0", "::ffff:ffff:ffff", NULL},     /* mapped */
    {NULL, "::ffff:0:0:0", "::ffff:0:ffff:ffff", NULL}, /* translated (SIIT) */
    {NULL, "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::ff:ffff", "64:ff9b::100:0"},
    {"64:ff9b::dfff:ffff", "64:ff9b::e000:0", "64:ff9b::ffff:ffff", NULL},
    {NULL, "64:ff9b::1:0:0", "64:ff9b:0:0:ffff:ffff:ffff:ffff", NULL},
    {NULL, "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", NULL}, /* local NAT64 */
    {NULL, "100::", "100::ffff:ffff:ffff:ffff", NULL},                 /* discard */
    {NULL, "200::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"},
    {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},
    {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
    {"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"},
    {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},
    {"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
    {NULL, "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, /* segment routing */
    {NULL, "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, /* unique local */
    {NULL, "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, /* link-local */
    {NULL, "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, /* site-local */
    {NULL, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL}, /* multicast */
};

static void test_embedded(void)
{
    static const char *const inside[] = {"127.0.0.1", "10.1.2.3",  "169.254.169.254", "192.168.1.1", "100.64.0.1",
                                         "0.0.0.0",   "224.0.0.1", "255.255.255.255", "8.8.8.8"};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        char text[64];
        unsigned char b[4];
        inet_pton(AF_INET, inside[i], b);
        snprintf(text, sizeof text, "::ffff:%s", inside[i]);
        is(text, false);
        snprintf(text, sizeof text, "::%s", inside[i]);
        is(text, false);
        snprintf(text, sizeof text, "::ffff:0:%s", inside[i]);
        is(text, false);
        snprintf(text, sizeof text, "2002:%02x%02x:%02x%02x::1", b[0], b[1], b[2], b[3]);
        is(text, false);
        snprintf(text, sizeof text, "64:ff9b:1::%s", inside[i]);
        is(text, false);
        /* Only this one may lead to a public IPv4 address. */
        snprintf(text, sizeof text, "64:ff9b::%s", inside[i]);
        is(text, strcmp(inside[i], "8.8.8.8") == 0);
    }
}

/* The ranges once more, from text. */
static bool is_public_slowly(uint32_t address)
{
    static const char *const special[] = {"0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8",
                                          "169.254.0.0/16", "172.16.0.0/12",  "192.0.0.0/24",  "192.0.2.0/24",
                                          "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
                                          "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4"};
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        char text[32];
        struct in_addr first;
        snprintf(text, sizeof text, "%s", special[i]);
        char *slash = strchr(text, '/');
        uint64_t n_bits;
        OX_CHECK(ox_str_to_u64(ox_str_c(slash + 1), &n_bits));
        *slash = '\0';
        inet_pton(AF_INET, text, &first);
        const uint64_t low = ntohl(first.s_addr);
        if (address >= low && address < low + ((uint64_t)1 << (32 - n_bits))) {
            return false;
        }
    }
    return true;
}

static void test_random(void)
{
    struct ox_rng rng;
    ox_rng_init(&rng, 6);
    size_t n_public = 0;
    size_t n_wrong = 0;
    for (size_t i = 0; i < 200000; i++) {
        const uint32_t address = (uint32_t)ox_rng_next(&rng);
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
        const bool good = ox_address_is_public(&v4, sizeof v4);
        n_public += good;
        n_wrong += good != is_public_slowly(address);
    }
    OK(n_wrong == 0, "200,000 random addresses, %zu of them public, as the slow classifier says", n_public);
}

static void test_forms(void)
{
    struct sockaddr_storage address;
    char bytes[sizeof address + 1];
    size_t len = make("8.8.8.8", &address);
    OK(!ox_address_is_public(&address, len - 1), "a short IPv4 address");
    memcpy(bytes + 1, &address, len);
    OK(ox_address_is_public(bytes + 1, len), "an unaligned address");
    len = make("2606:4700::1111", &address);
    OK(ox_address_is_public(&address, len) && !ox_address_is_public(&address, len - 1), "a short IPv6 address");
    OK(!ox_address_is_public(&address, 0), "nothing");
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/x"};
    OK(!ox_address_is_public(&local, sizeof local), "a local socket");
    static const struct {
        const char *text;
        bool loopback;
    } rows[] = {{"127.0.0.1", true},  {"127.255.255.255", true},   {"::1", true},
                {"128.0.0.1", false}, {"126.0.0.1", false},        {"::", false},
                {"::2", false},       {"::ffff:127.0.0.1", false}, {"10.0.0.1", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        len = make(rows[i].text, &address);
        OK(ox_address_is_loopback(&address, len) == rows[i].loopback, "loopback or not: %s", rows[i].text);
    }
    OK(!ox_address_is_loopback(&local, sizeof local), "loopback or not: a local socket");
}

int main(void)
{
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (ranges[i].before != NULL) {
            is(ranges[i].before, true);
        }
        is(ranges[i].first, false);
        is(ranges[i].last, false);
        if (ranges[i].behind != NULL) {
            is(ranges[i].behind, true);
        }
    }
    static const char *const good[] = {
        "1.1.1.1",         "93.184.216.34", "192.31.196.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e",
        "2620:4f:8000::1", "2400:cb00::1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        is(good[i], true);
    }
    test_embedded();
    test_random();
    test_forms();
    return tap_done();
}
