/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads token ids from text.
 */
#include "engine/trace_ids.h"

#include "weights/tensor.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

enum ox_status ox_trace_parse_ids(struct ox_str text, const char *what, struct ox_ids *out, struct ox_error *err)
{
    size_t at = 0;
    size_t n = 0;
    for (;;) {
        while (at < text.len && is_blank(text.ptr[at])) {
            at++;
        }
        if (at == text.len) {
            return OX_OK;
        }
        const size_t begin = at;
        while (at < text.len && !is_blank(text.ptr[at])) {
            at++;
        }
        const struct ox_str word = ox_str_make(text.ptr + begin, at - begin);
        uint64_t id;
        if (!ox_str_to_u64(word, &id) || id > INT32_MAX) {
            const struct ox_label found = ox_label_make(word);
            const enum ox_status status =
                ox_error_set(err, OX_E_FORMAT, "%s: id %zu, at byte %zu: expected a number from 0 to %d, found \"%s\"", what,
                             n, begin, INT32_MAX, found.text);
            if (err != NULL) {
                err->offset = begin;
            }
            return status;
        }
        if (ox_ids_add(out, (int32_t)id) != 0) {
            return ox_error_nomem(err, out->len * sizeof *out->ptr);
        }
        n++;
    }
}
