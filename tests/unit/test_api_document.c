/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of text as text: what they begin and end with, which types and bytes are read, and what is said of the others.
 */
#include "server/api_document.h"

#include "tests/oom.h"
#include "tests/tap.h"

static void test_frame(void)
{
    static const struct {
        const char *title;
        const char *context;
        const char *begins;
    } rows[] = {{"", "", ""}, {"T", "", "T\n\n"}, {"", "C", "C\n\n"}, {"T", "C", "T\nC\n\n"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_buf out = {0};
        ox_document_begin(&out, ox_str_c(rows[i].title), ox_str_c(rows[i].context));
        IS_STR(ox_buf_text(&out), rows[i].begins, "what it begins with");
        ox_buf_clear(&out);
        ox_document_end(&out);
        IS_STR(ox_buf_text(&out), "\n\n", "an empty line behind it");
        ox_buf_fini(&out);
    }
}

static void test_base64(void)
{
    static const struct {
        const char *type;
        const char *base64;
        const char *text; /* NULL: refused, as `says` */
        const char *says;
    } rows[] = {
        {"text/plain", "SGk=", "Hi", NULL},
        {"Text/Markdown ; charset=utf-8", "SGk", "Hi", NULL},
        {"application/json", "e30=", "{}", NULL},
        {"", "SGk=", "Hi", NULL},
        {"text/plain", "", "", NULL},
        {"text/plain", "77u/SGk=", "Hi", NULL},
        {"application/pdf", "JVBERi0=", NULL, "PDF is not read"},
        {"application/PDF;x=y", "JVBERi0=", NULL, "PDF is not read"},
        {"application/octet-stream", "SGk=", NULL, "only text"},
        {"application/jsonx", "SGk=", NULL, "only text"},
        {"text", "SGk=", NULL, "only text"},
        {"text/plain", "SG!=", NULL, "base64"},
        {"text/plain", "/w==", NULL, "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_buf out = {0};
        const char *why = ox_document_add_base64(&out, ox_str_c(rows[i].type), ox_str_c(rows[i].base64));
        const bool right = rows[i].text != NULL ? why == NULL && strcmp(ox_buf_text(&out), rows[i].text) == 0
                                                : why != NULL && strstr(why, rows[i].says) != NULL && out.len == 0;
        OK(right, "%s, %s: %s", rows[i].type, rows[i].base64, why != NULL ? why : ox_buf_text(&out));
        ox_buf_fini(&out);
    }
}

static void test_files(void)
{
    static const struct {
        const char *file;
        const char *text;
        const char *says;
    } rows[] = {
        {"{\"file_data\": \"data:text/plain;base64,SGk=\"}", "Hi\n\n", NULL},
        {"{\"file_data\": \"DATA:text/csv,a%2Cb\", \"filename\": \"a.csv\"}", "a.csv\n\na,b\n\n", NULL},
        {"{\"file_data\": \"data:,\", \"filename\": 1}", "\n\n", NULL},
        {"{\"file_data\": \"data:application/pdf;base64,JVBERi0=\"}", NULL, "PDF is not read"},
        {"{\"file_data\": \"data:image/png;base64,SGk=\"}", NULL, "only text"},
        {"{\"file_data\": \"data:text/plain;base64,?\"}", NULL, "data: URI"},
        {"{\"file_data\": \"data:text/plain\"}", NULL, "data: URI"},
        {"{\"file_data\": \"SGk=\"}", NULL, "data: URI"},
        {"{\"file_data\": \"\"}", NULL, "data: URI"},
        {"{\"file_data\": 1}", NULL, "data: URI"},
        {"{\"file_id\": \"file-1\"}", NULL, "neither kept nor fetched"},
        {"[]", NULL, "data: URI"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ox_buf out = {0};
        json_t *file = json_loads(rows[i].file, 0, NULL);
        const char *why = ox_document_add_file(&out, file);
        const bool right = rows[i].text != NULL ? why == NULL && strcmp(ox_buf_text(&out), rows[i].text) == 0
                                                : why != NULL && strstr(why, rows[i].says) != NULL;
        OK(right, "%s: %s", rows[i].file, why != NULL ? why : ox_buf_text(&out));
        json_decref(file);
        ox_buf_fini(&out);
    }
    OK(ox_document_add_file(&(struct ox_buf){0}, NULL) != NULL, "no file at all");
}

static void test_memory(void)
{
    json_t *file = json_loads("{\"file_data\": \"data:text/plain;base64,SGk=\", \"filename\": \"a\"}", 0, NULL);
    for (long n = 1;; n++) {
        struct ox_buf out = {0};
        oom_arm(n);
        const char *why = ox_document_add_file(&out, file);
        const bool failed = oom_disarm();
        const bool told = ox_buf_failed(&out);
        ox_buf_fini(&out);
        if (!failed || !told || why != NULL) {
            OK(!failed && why == NULL && n > 1, "each of %ld allocations may fail, and is told", n);
            break;
        }
    }
    json_decref(file);
}

int main(void)
{
    test_frame();
    test_base64();
    test_files();
    test_memory();
    return tap_done();
}
