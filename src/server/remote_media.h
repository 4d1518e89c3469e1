/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetches a picture or clip over http(s) because a stranger asked for it: from hosts that are allowed, at addresses that
 * are public, and never more, longer or elsewhere. The address is checked at the socket that is connected, so that no name
 * can mean one thing when it is checked and another when it is used; every redirect starts again from the beginning.
 */
#ifndef OX_SERVER_REMOTE_MEDIA_H
#define OX_SERVER_REMOTE_MEDIA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

#define OX_FETCH_MAX_URL_BYTES 8192
#define OX_FETCH_MAX_REDIRECTS 5

struct ox_fetch_options {
    /* Who may be asked, [n_hosts]: "HOST" (port 80 for http, 443 for https), "HOST:PORT", an IPv6 address in brackets. A
     * host is its name, not those below it. Allowing a host does not allow an address that is not public. */
    const char *const *hosts;
    size_t n_hosts;
    size_t max_bytes;             /* of the body */
    uint64_t deadline_ns;         /* of ox_clock_ns: when the whole fetch, redirects included, has failed */
    int32_t connect_ms;           /* longest wait for a connection */
    const atomic_bool *cancelled; /* true: give up soon; may be NULL */

    /* For tests; no option of the program leads here. */
    bool permit_loopback;
    const char *(*resolve)(void *user, const char *host, uint16_t port); /* addresses (comma-separated) of a host in the
                                                                          * place of DNS; NULL: ask DNS */
    const char *ca_file; /* PEM of more authorities that vouch for https hosts, beside the system's; NULL: none */
    void *user;
};

/* Is this build able to fetch? Without libcurl ox_fetch returns OX_E_DEVICE. */
bool ox_fetch_is_built(void);

/* Is text something that `hosts` may contain? */
bool ox_fetch_host_is_valid(struct ox_str text);

/* Put into out (which must be empty) what url answers (status 200; but for redirects, anything else is an error). No proxy, cookies,
 * credentials, .netrc or decoding; at most OX_FETCH_MAX_REDIRECTS redirects, none from https to http. Blocks until the
 * deadline at the latest. Statuses: OX_E_ARG: the URL, a host or an address that is not allowed, with a sentence that
 * names --allow-remote-media where that would allow it; OX_E_IO: the host did not answer, or not with the file;
 * OX_E_LIMIT: too large, too slow, too many redirects; OX_E_CANCELLED; OX_E_NOMEM; OX_E_DEVICE. out is to be ignored
 * then. Any thread. */
enum ox_status ox_fetch(struct ox_str url, const struct ox_fetch_options *options, struct ox_buf *out,
                        struct ox_error *err) OX_MUST_USE;

#endif
