/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a tokenizer.json. A file that is refused says why; one that is taken encodes a fixed text to ids below
 * n_ids, and decoding gives the text back.
 */
#include <stdlib.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        "Hello, world! It's 12,345 \xE4\xB8\xAD\xE6\x96\x87 \xCC\x81\xF0\x9F\x98\x80\r\n\t  abcab "
        "<x>y [z] \xFF\xE4\xB8 \xE1\xA0\x8E \0 ]~!b[<mm:think>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const struct ox_str s = ox_str_make(text, sizeof text - 1);
    const struct ox_range plain = {4, 60};
    struct ox_tokenizer *t = NULL;
    struct ox_error error;
    memset(&error, 0, sizeof error);
    const enum ox_status status = ox_tokenizer_new(ox_str_make((const char *)data, size), "fuzz", NULL, &t, &error);
    if (status != OX_OK) {
        check(t == NULL && error.code == status && error.message[0] != '\0');
        return 0;
    }
    for (size_t n_plain = 0; n_plain < 2; n_plain++) {
        struct ox_ids ids;
        struct ox_buf back;
        ox_ids_init(&ids);
        ox_buf_init(&back);
        const enum ox_status encoded = ox_tokenizer_encode(t, s, &plain, n_plain, &ids, &error);
        check(encoded == OX_OK || (encoded == OX_E_LIMIT && ids.len == 0));
        for (size_t i = 0; i < ids.len; i++) {
            check(ids.ptr[i] >= 0 && ids.ptr[i] < ox_tokenizer_n_ids(t) && ox_tokenizer_bytes(t, ids.ptr[i]).len > 0);
        }
        ox_tokenizer_decode(t, ids.ptr, ids.len, false, &back);
        check(encoded != OX_OK || ox_str_equal(ox_buf_str(&back), s));
        ox_ids_fini(&ids);
        ox_buf_fini(&back);
    }
    ox_tokenizer_free(t);
    return 0;
}
