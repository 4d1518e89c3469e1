/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of text become text.
 */
#include "server/api_document.h"

#include <strings.h>

#include "base/data_uri.h"
#include "base/json.h"
#include "base/utf8.h"

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

void ox_document_begin(struct ox_buf *out, struct ox_str title, struct ox_str context)
{
    const struct ox_str lines[] = {title, context};
    for (size_t i = 0; i < 2; i++) {
        ox_buf_add_str(out, lines[i]);
        ox_buf_add_c(out, lines[i].len > 0 ? "\n" : "");
    }
    ox_buf_add_c(out, title.len + context.len > 0 ? "\n" : "");
}

void ox_document_end(struct ox_buf *out)
{
    ox_buf_add_c(out, "\n\n");
}

static bool is_type(struct ox_str type, const char *name)
{
    return type.len == strlen(name) && strncasecmp(type.ptr, name, type.len) == 0;
}

/* Why a file of this type cannot be read; NULL if it can. Without a type it is text, as data: URIs have it. */
static const char *check_type(struct ox_str type)
{
    static const char text[] = "text/";
    type.len = ox_str_find(type, ox_str_c(";"), 0);
    while (type.len > 0 && type.ptr[type.len - 1] == ' ') {
        type.len--;
    }
    if (is_type(type, "application/pdf")) {
        return "PDF is not read here; send its text, or its pages as pictures";
    }
    const bool is_text = type.len >= strlen(text) && strncasecmp(type.ptr, text, strlen(text)) == 0;
    return type.len == 0 || is_text || is_type(type, "application/json")
               ? NULL
               : "only text is read: text/plain and other text, or application/json";
}

/* Append what decoding has left: UTF-8. */
static const char *add_text(struct ox_buf *out, struct ox_str text)
{
    if (!ox_utf8_valid(text)) {
        return "the file is not UTF-8 text";
    }
    if (ox_str_starts(text, ox_str_c(BYTE_ORDER_MARK))) {
        text = ox_str_make(text.ptr + strlen(BYTE_ORDER_MARK), text.len - strlen(BYTE_ORDER_MARK));
    }
    ox_buf_add_str(out, text);
    return NULL;
}

/* Append what a file holds that is `encoded`, and is of this type. */
static const char *add_decoded(struct ox_buf *out, struct ox_str type, struct ox_str encoded,
                               enum ox_status (*decode)(struct ox_str, struct ox_buf *, struct ox_error *),
                               const char *expected)
{
    struct ox_buf text = {0};
    const char *why = check_type(type);
    if (why != NULL) {
        return why;
    }
    const enum ox_status status = decode(encoded, &text, NULL);
    if (status == OX_OK) {
        why = add_text(out, ox_buf_str(&text));
    } else if (status == OX_E_NOMEM) {
        out->failed = true;
    } else {
        why = expected;
    }
    ox_buf_fini(&text);
    return why;
}

const char *ox_document_add_base64(struct ox_buf *out, struct ox_str media_type, struct ox_str base64)
{
    return add_decoded(out, media_type, base64, ox_base64_decode, "expected a string in base64");
}

const char *ox_document_add_file(struct ox_buf *out, const json_t *file)
{
    static const char expected[] = "expected a data: URI in file_data (files are neither kept nor fetched here)";
    const struct ox_str uri = ox_json_text(json_object_get(file, "file_data"));
    const size_t begin = ox_str_find(uri, ox_str_c(":"), 0) + 1;
    const size_t end = ox_str_find(uri, ox_str_c(","), 0);
    if (!ox_data_uri_is(uri) || end < begin) {
        return expected;
    }
    ox_document_begin(out, ox_json_text(json_object_get(file, "filename")), ox_str_make("", 0));
    const char *why = add_decoded(out, ox_str_make(uri.ptr + begin, end - begin), uri, ox_data_uri_decode, expected);
    ox_document_end(out);
    return why;
}
