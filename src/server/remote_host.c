/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries of --allow-remote-media: HOST, HOST:PORT, [ADDRESS], [ADDRESS]:PORT.
 */
#include "server/remote_host.h"

#include "server/remote_media.h"

#define MAX_HOST_BYTES 253

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static bool is_same(struct ox_str a, struct ox_str b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i])) {
            return false;
        }
    }
    return a.len == b.len;
}

static bool is_name_byte(char c)
{
    c = lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

static bool is_address_byte(char c)
{
    c = lower(c);
    return (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' || c == '.';
}

/* Take an entry apart; *port 0: it names none. */
static bool read_entry(struct ox_str entry, struct ox_str *host, uint16_t *port)
{
    size_t n = 0;
    if (entry.len > 2 && entry.ptr[0] == '[') {
        for (n = 1; n < entry.len && is_address_byte(entry.ptr[n]); n++) {
        }
        if (n == 1 || n == entry.len || entry.ptr[n] != ']') {
            return false;
        }
        n++;
    } else {
        for (; n < entry.len && is_name_byte(entry.ptr[n]); n++) {
        }
    }
    *host = ox_str_make(entry.ptr, n);
    *port = 0;
    if (n == 0 || n > MAX_HOST_BYTES || n == entry.len) {
        return n == entry.len && n > 0 && n <= MAX_HOST_BYTES;
    }
    uint64_t number;
    if (entry.ptr[n] != ':' || !ox_str_to_u64(ox_str_make(entry.ptr + n + 1, entry.len - n - 1), &number) ||
        number == 0 || number > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)number;
    return true;
}

bool ox_fetch_host_is_valid(struct ox_str text)
{
    struct ox_str host;
    uint16_t port;
    return read_entry(text, &host, &port);
}

bool ox_remote_host_allows(struct ox_str entry, struct ox_str host, uint16_t port, bool is_default_port)
{
    struct ox_str allowed;
    uint16_t allowed_port;
    if (!read_entry(entry, &allowed, &allowed_port) || !is_same(allowed, host)) {
        return false;
    }
    return allowed_port != 0 ? allowed_port == port : is_default_port;
}
