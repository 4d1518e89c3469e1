/* SPDX-License-Identifier: Apache-2.0
 *
 * Error values: sentences, reasons, prefixes, and where a sentence that is too long ends.
 */
#include <errno.h>

#include "base/status.h"
#include "base/str.h"
#include "base/utf8.h"
#include "tests/tap.h"

static void test_set(void)
{
    struct ox_error err = {OX_E_IO, 5, 77, "old"};
    IS_INT(ox_error_set(&err, OX_E_SHAPE, "%s: expected %d, found %d", "x", 2, 3), OX_E_SHAPE, "returns the code");
    IS_STR(err.message, "x: expected 2, found 3", "the sentence");
    IS_INT(err.code, OX_E_SHAPE, "the code");
    OK(err.sys_errno == 0 && err.offset == 0, "nothing of the old error stays");
    IS_INT(ox_error_set(NULL, OX_E_IO, "x"), OX_E_IO, "err may be NULL");
    IS_INT(ox_error_set_errno(&err, OX_E_IO, ENOENT, "%s: cannot be opened", "a"), OX_E_IO, "with the system's reason");
    IS_STR(err.message, "a: cannot be opened: No such file or directory", "which stands behind");
    IS_INT(err.sys_errno, ENOENT, "and is kept as a number");
    IS_INT(ox_error_set_errno(NULL, OX_E_IO, ENOENT, "x"), OX_E_IO, "err may be NULL");
    IS_INT(ox_error_nomem(&err, 123), OX_E_NOMEM, "out of memory");
    OK(strstr(err.message, "123 bytes") != NULL && err.code == OX_E_NOMEM, "says how much: %s", err.message);
    IS_INT(ox_error_nomem(NULL, 123), OX_E_NOMEM, "err may be NULL");
}

static void test_prefix(void)
{
    struct ox_error err = {0};
    ox_error_prefix(NULL, "x");
    (void)ox_error_set_errno(&err, OX_E_FORMAT, EIO, "y");
    err.offset = 9;
    ox_error_prefix(&err, "%s: ", "file");
    OK(strncmp(err.message, "file: y: ", 9) == 0, "a prefix: %s", err.message);
    OK(err.code == OX_E_FORMAT && err.sys_errno == EIO && err.offset == 9, "changes nothing else");
}

/* Sentences of every length around the limit, in characters of 1 to 4 bytes: always valid UTF-8, never cut too early. */
static void test_cut(void)
{
    static const char *const letters[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    bool valid = true;
    bool full = true;
    bool prefixed = true;
    bool reasoned = true;
    for (size_t k = 0; k < 4; k++) {
        const size_t width = strlen(letters[k]);
        for (size_t lead = 0; lead < 5; lead++) {
            for (size_t n = 40; n < 300; n++) {
                char text[1600] = "";
                size_t len = 0;
                memset(text, '.', lead);
                len = lead;
                for (size_t i = 0; i < n; i++) {
                    memcpy(text + len, letters[k], width);
                    len += width;
                }
                text[len] = '\0';
                struct ox_error err = {0};
                (void)ox_error_set(&err, OX_E_IO, "%s", text);
                const size_t got = strlen(err.message);
                const size_t limit = OX_ERROR_MESSAGE_BYTES - 1;
                valid = valid && ox_utf8_valid(ox_str_c(err.message)) && strncmp(err.message, text, got) == 0;
                full = full && (len <= limit ? got == len : got + width > limit && got <= limit);
                ox_error_prefix(&err, "%s", "pr\xC3\xA9: ");
                prefixed = prefixed && ox_utf8_valid(ox_str_c(err.message)) && strlen(err.message) <= limit;
                (void)ox_error_set_errno(&err, OX_E_IO, ENOENT, "%s", text);
                reasoned = reasoned && ox_utf8_valid(ox_str_c(err.message)) && strlen(err.message) <= limit;
            }
        }
    }
    OK(valid, "what is too long is cut at a character's end");
    OK(full, "and not before it must");
    OK(prefixed, "also behind a prefix");
    OK(reasoned, "also before a reason");
}

static void test_names(void)
{
    static const struct {
        enum ox_status status;
        const char *name;
    } rows[] = {
        {OX_OK, "OX_OK"},
        {OX_E_NOMEM, "OX_E_NOMEM"},
        {OX_E_IO, "OX_E_IO"},
        {OX_E_FORMAT, "OX_E_FORMAT"},
        {OX_E_SHAPE, "OX_E_SHAPE"},
        {OX_E_LIMIT, "OX_E_LIMIT"},
        {OX_E_ARG, "OX_E_ARG"},
        {OX_E_DEVICE, "OX_E_DEVICE"},
        {OX_E_CANCELLED, "OX_E_CANCELLED"},
        {OX_E_STATE, "OX_E_STATE"},
        {OX_E_BUSY, "OX_E_BUSY"},
        {(enum ox_status)99, "OX_E_UNKNOWN"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        IS_STR(ox_status_name(rows[i].status), rows[i].name, "a status by its name");
    }
}

int main(void)
{
    test_set();
    test_prefix();
    test_cut();
    test_names();
    return tap_done();
}
