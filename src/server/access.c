/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys in constant time; Host and Origin by their exact forms.
 */
#include "server/access.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define MAX_KEY_BYTES 1024
#define MAX_KEYS 10000

struct ox_access_key {
    char *text;
    size_t len;
};

/* ---- keys ------------------------------------------------------------------------------------------------------ */

static struct ox_str trim(struct ox_str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s = ox_str_make(s.ptr + 1, s.len - 1);
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t' || s.ptr[s.len - 1] == '\r')) {
        s.len--;
    }
    return s;
}

static bool is_printable(struct ox_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

static enum ox_status add_key(struct ox_access *access, struct ox_str key, const char *what, size_t line,
                              struct ox_error *err)
{
    if (key.len > MAX_KEY_BYTES || !is_printable(key)) {
        return ox_error_set(err, OX_E_FORMAT, "%s: line %zu: expected a key of at most 1024 printable ASCII characters "
                                              "without blanks", what, line);
    }
    if (access->n_keys == MAX_KEYS) {
        return ox_error_set(err, OX_E_LIMIT, "%s: expected at most %d keys", what, MAX_KEYS);
    }
    struct ox_access_key *keys = ox_realloc(access->keys, access->n_keys + 1, sizeof *keys);
    if (keys == NULL) {
        return ox_error_nomem(err, (access->n_keys + 1) * sizeof *keys);
    }
    access->keys = keys;
    keys[access->n_keys] = (struct ox_access_key){ox_strndup(key.ptr, key.len), key.len};
    if (keys[access->n_keys].text == NULL) {
        return ox_error_nomem(err, key.len);
    }
    access->n_keys++;
    return OX_OK;
}

enum ox_status ox_access_read_keys(struct ox_access *access, struct ox_str text, const char *what, struct ox_error *err)
{
    size_t line = 0;
    for (size_t at = 0; at < text.len;) {
        const size_t end = ox_str_find(text, ox_str_c("\n"), at);
        const struct ox_str key = trim(ox_str_make(text.ptr + at, end - at));
        line++;
        at = end + 1;
        if (key.len == 0 || key.ptr[0] == '#') {
            continue;
        }
        const enum ox_status status = add_key(access, key, what, line, err);
        if (status != OX_OK) {
            return status;
        }
    }
    return access->n_keys > 0 ? OX_OK : ox_error_set(err, OX_E_FORMAT, "%s: expected a key on a line, found none", what);
}

void ox_access_fini(struct ox_access *access)
{
    for (size_t i = 0; i < access->n_keys; i++) {
        ox_wipe(access->keys[i].text, access->keys[i].len);
        ox_free(access->keys[i].text);
    }
    ox_free(access->keys);
    access->keys = NULL;
    access->n_keys = 0;
}

/* 0 if given is the key. */
static unsigned differs(struct ox_str given, const struct ox_access_key *key)
{
    unsigned difference = given.len == key->len ? 0 : 1;
    for (size_t i = 0; i < given.len; i++) {
        difference |= (unsigned)(unsigned char)given.ptr[i] ^ (unsigned)(unsigned char)key->text[i % key->len];
    }
    return difference;
}

static bool is_a_key(const struct ox_access *access, struct ox_str given)
{
    unsigned n_equal = 0;
    for (size_t i = 0; i < access->n_keys; i++) {
        n_equal += differs(given, &access->keys[i]) == 0 ? 1 : 0;
    }
    return n_equal > 0;
}

bool ox_access_key_ok(const struct ox_access *access, const char *authorization, const char *x_api_key)
{
    static const char scheme[] = "Bearer ";
    if (access->n_keys == 0) {
        return true;
    }
    bool ok = false;
    if (authorization != NULL && strncasecmp(authorization, scheme, strlen(scheme)) == 0) {
        ok = is_a_key(access, trim(ox_str_c(authorization + strlen(scheme))));
    }
    if (x_api_key != NULL) {
        ok = is_a_key(access, trim(ox_str_c(x_api_key))) || ok;
    }
    return ok;
}

/* ---- Host and Origin ------------------------------------------------------------------------------------------- */

/* Take ":PORT" off the end; false if what follows the colon is no port. */
static bool cut_port(struct ox_str *host)
{
    size_t at = host->len;
    while (at > 0 && host->ptr[at - 1] >= '0' && host->ptr[at - 1] <= '9') {
        at--;
    }
    const bool bracket = host->len > 0 && host->ptr[host->len - 1] == ']';
    if (at > 0 && host->ptr[at - 1] == ':' && !bracket) {
        host->len = at - 1;
        return true;
    }
    return memchr(host->ptr, ':', host->len) == NULL || bracket;
}

static bool is_name(struct ox_str s, const char *name)
{
    return s.len == strlen(name) && strncasecmp(s.ptr, name, s.len) == 0;
}

/* 127.x.x.x: four runs of digits. */
static bool is_local_address(struct ox_str s)
{
    size_t n_dots = 0;
    size_t n_digits = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.' && n_digits > 0) {
            n_dots++;
            n_digits = 0;
        } else if (s.ptr[i] >= '0' && s.ptr[i] <= '9' && n_digits < 3) {
            n_digits++;
        } else {
            return false;
        }
    }
    return n_dots == 3 && n_digits > 0 && ox_str_starts(s, ox_str_c("127."));
}

bool ox_access_host_ok(const struct ox_access *access, const char *host)
{
    static const char below[] = ".localhost";
    if (!access->local || host == NULL) { /* HTTP/1.0 needs no Host, and browsers do not speak it */
        return true;
    }
    struct ox_str name = ox_str_c(host);
    if (!cut_port(&name)) {
        return false;
    }
    const size_t suffix = strlen(below);
    return is_name(name, "localhost") || is_name(name, "[::1]") || is_local_address(name) ||
           (name.len > suffix && strncasecmp(name.ptr + name.len - suffix, below, suffix) == 0);
}

bool ox_access_origin_is_cors(const struct ox_access *access, const char *origin)
{
    return origin != NULL && access->cors_origin != NULL && strcasecmp(origin, access->cors_origin) == 0;
}

bool ox_access_origin_ok(const struct ox_access *access, const char *origin, const char *host)
{
    if (origin == NULL || ox_access_origin_is_cors(access, origin)) {
        return true;
    }
    const char *scheme = access->tls ? "https://" : "http://";
    const size_t len = strlen(scheme);
    return host != NULL && strncasecmp(origin, scheme, len) == 0 && strcasecmp(origin + len, host) == 0;
}

bool ox_access_is_json(const char *content_type)
{
    static const char json[] = "application/json";
    if (content_type == NULL) {
        return false;
    }
    const size_t len = strcspn(content_type, "; \t");
    return len == strlen(json) && strncasecmp(content_type, json, len) == 0;
}
