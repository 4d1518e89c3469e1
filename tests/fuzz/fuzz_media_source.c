/* SPDX-License-Identifier: Apache-2.0
 *
 * A conversation's media sources, with files and hosts allowed but none there: every host's address is a private one.
 * Invariants: nothing is loaded; a refusal has a place, a sentence that begins with it, and leaves the tree alone; what is
 * accepted named data: URIs only; an entry of the list of hosts that allows a host is a valid one.
 */
#include "base/json.h"
#include "server/media_source.h"
#include "server/remote_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *resolve(void *user, const char *host, uint16_t port)
{
    (void)user;
    (void)host;
    (void)port;
    return "10.0.0.1";
}

static void check_entry(struct ox_str text)
{
    if (ox_remote_host_allows(text, ox_str_c("a.test"), 80, true)) {
        OX_CHECK(ox_fetch_host_is_valid(text));
        OX_CHECK(text.len == 6 || (text.len == 9 && ox_str_is(ox_str_make(text.ptr + 6, 3), ":80")) || text.len > 9);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const hosts[] = {"a.test", "b.test:8080", "[::1]", "127.0.0.1"};
    const struct ox_media_options options = {.folder = "/nonexistent",
                                             .hosts = hosts,
                                             .n_hosts = sizeof hosts / sizeof hosts[0],
                                             .max_media = 8,
                                             .max_bytes = 64,
                                             .fetch_ms = 1000,
                                             .connect_ms = 1000,
                                             .resolve = resolve};
    const struct ox_str text = ox_str_make((const char *)data, size);
    struct ox_media_set set = {0};
    struct ox_api_error error = {0};
    json_t *root = NULL;
    check_entry(text);
    if (ox_json_parse(text, "fuzz", &root, NULL) != OX_OK) {
        return 0;
    }
    json_t *before = json_deep_copy(root);
    const bool good = ox_media_load(root, &options, NULL, &set, &error);
    OX_CHECK(set.n_media == 0 && json_equal(root, before));
    if (!good) {
        OX_CHECK(error.http_status == 400 && error.message[0] != '\0');
        OX_CHECK(error.param[0] == '\0' || ox_str_starts(ox_str_c(error.message), ox_str_c(error.param)));
    }
    ox_media_set_fini(&set);
    json_decref(before);
    json_decref(root);
    return 0;
}
