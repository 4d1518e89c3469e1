/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may ask for what, before a byte of the body is read.
 */
#include "server/request_head.h"

#include <string.h>
#include <strings.h>

#include "base/json_build.h"

static const char invalid[] = "invalid_request_error";

bool ox_request_refuse_body(size_t max_body, struct ox_api_error *error)
{
    return ox_api_refuse(error, 413, invalid, "request_too_large", NULL,
                         "the request's body is larger than %zu bytes (--max-body)", max_body);
}

static bool is_options(const struct ox_request_head *head)
{
    return ox_str_is(ox_str_c(head->method), "OPTIONS");
}

/* Host, Origin, key. */
static bool may_ask(const struct ox_request_head *head, const struct ox_access *access, struct ox_api_error *error)
{
    if (!ox_access_host_ok(access, head->host)) {
        return ox_api_refuse(error, 403, "permission_error", "host_not_allowed", NULL,
                             "Host: expected a name of this machine (localhost, 127.0.0.1, [::1]) since the server is "
                             "bound to a loopback address");
    }
    if (!ox_access_origin_ok(access, head->origin, head->host)) {
        return ox_api_refuse(error, 403, "permission_error", "origin_not_allowed", NULL,
                             "Origin: pages of this origin may not ask (--cors-origin)");
    }
    const bool open = is_options(head) || (head->route != NULL && head->route->open);
    if (!open && !ox_access_key_ok(access, head->authorization, head->x_api_key)) {
        return ox_api_refuse(error, 401, "authentication_error", "invalid_api_key", NULL,
                             "a valid API key is needed: Authorization: Bearer KEY, or x-api-key: KEY "
                             "(--api-key-file)");
    }
    return true;
}

bool ox_request_target_read(struct ox_str text, struct ox_request_target *out)
{
    static const char *const schemes[] = {"http://", "https://"};
    *out = (struct ox_request_target){.path = text};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const size_t n = strlen(schemes[i]);
        if (text.len >= n && strncasecmp(text.ptr, schemes[i], n) == 0) {
            const size_t end = ox_str_find(text, ox_str_c("/"), n);
            out->authority = ox_str_make(text.ptr + n, end - n);
            out->path = end < text.len ? ox_str_make(text.ptr + end, text.len - end) : ox_str_c("/");
            return end > n && memchr(text.ptr + n, '@', end - n) == NULL;
        }
    }
    return true;
}

/* Is it what a client of HTTP may send, and does everybody read it in the same way? */
static bool is_clear(const struct ox_request_head *head, struct ox_api_error *error)
{
    if (head->ambiguous) {
        return ox_api_refuse(error, 400, invalid, "ambiguous_request", NULL,
                             "the request has more than one Host, Content-Length or Transfer-Encoding");
    }
    if (head->no_host) {
        return ox_api_refuse(error, 400, invalid, "missing_host", NULL, "Host: expected one, as in all requests of HTTP/1.1");
    }
    if (head->bad_target) {
        return ox_api_refuse(error, 400, invalid, "invalid_target", NULL,
                             "the request line: expected a path, or http:// or https:// with a host and no user");
    }
    return true;
}

bool ox_request_head_ok(const struct ox_request_head *head, const struct ox_access *access, size_t max_body,
                        struct ox_api_error *error)
{
    if (!is_clear(head, error) || !may_ask(head, access, error)) {
        return false;
    }
    if (is_options(head)) {
        return true;
    }
    if (head->route == NULL) {
        return ox_api_refuse(error, 404, invalid, "not_found", NULL, "there is no such path here; clients of OpenAI's APIs take http://HOST:PORT/v1 as their base, "
                             "Anthropic's http://HOST:PORT");
    }
    if (!ox_route_takes(head->route, head->method)) {
        return ox_api_refuse(error, 405, invalid, "method_not_allowed", NULL, "this path takes %s",
                             ox_route_allow(head->route));
    }
    if (head->route->posts && !ox_access_is_json(head->content_type)) {
        return ox_api_refuse(error, 415, invalid, "unsupported_media_type", NULL,
                             "Content-Type: expected application/json");
    }
    if (head->n_body != OX_LENGTH_UNKNOWN && head->n_body > max_body) {
        return ox_request_refuse_body(max_body, error);
    }
    return true;
}

void ox_request_add_error(const struct ox_api *api, const struct ox_api_error *error, struct ox_buf *out)
{
    if (api != NULL) {
        api->error(error, out);
        return;
    }
    json_t *inner = json_object();
    ox_json_set(&inner, "message", ox_json_new_text(ox_str_c(error->message)));
    ox_json_set(&inner, "type", ox_json_new_text(ox_str_c(error->type)));
    ox_json_set(&inner, "param", error->param[0] != '\0' ? ox_json_new_text(ox_str_c(error->param)) : json_null());
    ox_json_set(&inner, "code", error->code != NULL ? ox_json_new_text(ox_str_c(error->code)) : json_null());
    json_t *object = json_object();
    ox_json_set(&object, "error", inner);
    ox_json_write(object, out);
    json_decref(object);
}
