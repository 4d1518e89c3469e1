/* SPDX-License-Identifier: Apache-2.0
 *
 * data: URIs: what is decoded, encoded again, decodes to the same; output never outgrows input; faults lie within it.
 */
#include "base/data_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(struct ox_buf *out, const struct ox_buf *bytes)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    ox_buf_add_c(out, "data:x;base64,");
    for (size_t i = 0; i < bytes->len; i += 3) {
        uint32_t group = 0;
        const size_t n = bytes->len - i < 3 ? bytes->len - i : 3;
        for (size_t j = 0; j < 3; j++) {
            group = group << 8 | (j < n ? (unsigned char)bytes->ptr[i + j] : 0U);
        }
        for (size_t j = 0; j < 4; j++) {
            ox_buf_add_byte(out, j <= n ? alphabet[group >> (18 - 6 * j) & 63] : '=');
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ox_str text = ox_str_make((const char *)data, size);
    struct ox_buf bytes = {0};
    struct ox_buf again = {0};
    struct ox_buf uri = {0};
    struct ox_error err = {0};
    const enum ox_status status = ox_data_uri_decode(text, &bytes, &err);
    OX_CHECK(status == OX_OK || (status == OX_E_FORMAT && err.offset <= size && err.message[0] != '\0'));
    OX_CHECK(bytes.len <= size && (status != OX_OK || ox_data_uri_is(text)));
    if (status == OX_OK) {
        encode(&uri, &bytes);
        OX_CHECK(ox_data_uri_decode(ox_buf_str(&uri), &again, &err) == OX_OK);
        OX_CHECK(ox_str_equal(ox_buf_str(&bytes), ox_buf_str(&again)));
    }
    ox_buf_clear(&bytes);
    const enum ox_status plain = ox_base64_decode(text, &bytes, &err);
    OX_CHECK(bytes.len <= size / 4 * 3 + 2 && (plain == OX_OK || err.offset <= size));
    ox_buf_fini(&bytes);
    ox_buf_fini(&again);
    ox_buf_fini(&uri);
    return 0;
}
