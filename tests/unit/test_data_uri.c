/* SPDX-License-Identifier: Apache-2.0
 *
 * data: URIs and base64: the RFC's vectors, what is tolerated, and where each fault is.
 */
#include "base/data_uri.h"

#include "tests/tap.h"

static void is_base64(const char *text, const char *expected)
{
    struct ox_buf out = {0};
    struct ox_error err = {0};
    OK(ox_base64_decode(ox_str_c(text), &out, &err) == OX_OK && strcmp(ox_buf_text(&out), expected) == 0,
       "\"%s\" is \"%s\" (%s)", text, expected, err.message);
    ox_buf_fini(&out);
}

static void no_base64(const char *text, uint64_t at, const char *message)
{
    struct ox_buf out = {0};
    struct ox_error err = {0};
    IS_INT(ox_base64_decode(ox_str_c(text), &out, &err), OX_E_FORMAT, text);
    OK(strcmp(err.message, message) == 0 && err.offset == at, "at %d: %s", (int)err.offset, err.message);
    IS_INT(ox_base64_decode(ox_str_c(text), &out, NULL), OX_E_FORMAT, "without an error to fill");
    ox_buf_fini(&out);
}

static void is_uri(const char *text, const char *expected)
{
    struct ox_buf out = {0};
    struct ox_error err = {0};
    OK(ox_data_uri_is(ox_str_c(text)) && ox_data_uri_decode(ox_str_c(text), &out, &err) == OX_OK &&
           strcmp(ox_buf_text(&out), expected) == 0,
       "\"%s\" is \"%s\" (%s)", text, expected, err.message);
    ox_buf_fini(&out);
}

static void no_uri(const char *text, uint64_t at, const char *message)
{
    struct ox_buf out = {0};
    struct ox_error err = {0};
    IS_INT(ox_data_uri_decode(ox_str_c(text), &out, &err), OX_E_FORMAT, text);
    OK(strcmp(err.message, message) == 0 && err.offset == at, "at %d: %s", (int)err.offset, err.message);
    ox_buf_fini(&out);
}

int main(void)
{
    struct ox_buf out = {0};
    is_base64("", "");
    is_base64("Zg==", "f");
    is_base64("Zm8=", "fo");
    is_base64("Zm9v", "foo");
    is_base64("Zm9vYg==", "foob");
    is_base64("Zm9vYmE=", "fooba");
    is_base64("Zm9vYmFy", "foobar");
    is_base64("Zm9vYg", "foob");
    is_base64("Zm9vYmE", "fooba");
    is_base64(" Zm9v\r\n\tYmFy \n", "foobar");
    is_base64("Zm8 = \n", "fo");
    is_base64("Zm9vYg = =", "foob");
    OK(ox_base64_decode(ox_str_c("+/-_AP8"), &out, NULL) == OX_OK && out.len == 5 &&
           memcmp(out.ptr, "\xFB\xFF\xBF\x00\xFF", 5) == 0,
       "both alphabets, all values");
    ox_buf_fini(&out);
    no_base64("Zm9vY", 5, "base64 ends in a group of 1 characters and 0 '='");
    no_base64("Zm9v=", 5, "base64 ends in a group of 0 characters and 1 '='");
    no_base64("Zg=", 3, "base64 ends in a group of 2 characters and 1 '='");
    no_base64("Zg===", 5, "base64 ends in a group of 2 characters and 3 '='");
    no_base64("Zh==", 4, "base64 ends with bits that belong to no byte");
    no_base64("Zm9=", 4, "base64 ends with bits that belong to no byte");
    no_base64("Zm*v", 2, "byte 2: expected a base64 character, found 0x2a");
    no_base64("Zg==Zg==", 4, "byte 4: expected base64's end, found 0x5a");
    no_base64("\xC3\xA9", 0, "byte 0: expected a base64 character, found 0xc3");

    is_uri("data:image/png;base64,Zm9v", "foo");
    is_uri("DATA:;charset=x;BASE64,Zm9v", "foo");
    is_uri("data:,a%20b%2Cc,%C3%a9", "a b,c,\xC3\xA9");
    is_uri("data:text/plain;base64x,Zm9v", "Zm9v");
    is_uri("data:,", "");
    is_uri("data:;base64,", "");
    no_uri("data:image/png;base64", 0, "expected data:TYPE;base64,DATA, found no comma");
    no_uri("http://x/,y", 0, "expected data:TYPE;base64,DATA, found no \"data:\"");
    no_uri("data:;base64,Zm*v", 15, "byte 2: expected a base64 character, found 0x2a");
    no_uri("data:,ab%2", 8, "byte 2: expected %XX, found 0x25");
    no_uri("data:,%g0", 6, "byte 0: expected %XX, found 0x25");
    OK(!ox_data_uri_is(ox_str_c("data")) && !ox_data_uri_is(ox_str_c("/data:x")), "no data: URI");
    OK(ox_data_uri_decode(ox_str_c("data:,%00x"), &out, NULL) == OX_OK && out.len == 2 && out.ptr[0] == '\0',
       "a zero byte");
    ox_buf_fini(&out);
    return tap_done();
}
