/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading every weight: each kind of bad value is found at each kind of place (within a block tested as a whole, in the
 * rest behind the last block), counted, and said; good values of all codes are not.
 */
#include <unistd.h>

#include "base/mem.h"
#include "os/file.h"
#include "tests/tap.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

#define PATH "test-verify.tmp.safetensors"
#define N ((size_t)10000) /* two blocks of 4,096 and a rest */

struct heard {
    size_t n;
    char sentence[256];
    int result;
    size_t n_progress;
    uint64_t done;
    uint64_t total;
};

static int hear(void *user, const struct ox_tensor *tensor, const char *sentence)
{
    struct heard *heard = user;
    (void)tensor;
    heard->n++;
    snprintf(heard->sentence, sizeof heard->sentence, "%s", sentence);
    return heard->result;
}

static void hear_progress(void *user, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
    struct heard *heard = user;
    if (strcmp(phase, "verify") == 0 && strcmp(unit, "bytes") == 0) {
        heard->n_progress++;
        heard->done = done;
        heard->total = total;
    }
}

/* Write the tensors, verify them, and say what was heard. */
static enum ox_status verify(const struct ox_tensor *tensors, size_t n, struct heard *heard, size_t *n_bad)
{
    const struct ox_log log = {NULL, hear_progress, heard};
    struct ox_checkpoint *c = NULL;
    struct ox_error err;
    enum ox_status status = ox_safetensors_write(PATH, tensors, n, &err);
    if (status == OX_OK) {
        status = ox_checkpoint_open(PATH, NULL, &c, &err);
    }
    if (status == OX_OK) {
        status = ox_checkpoint_verify(c, &log, hear, heard, n_bad, &err);
    }
    ox_checkpoint_close(&c);
    (void)unlink(PATH);
    return status;
}

/* A type, a good value (little-endian bytes), a NaN and something out of range (0 where there is none). */
struct row {
    const char *name;
    enum ox_dtype dtype;
    uint64_t good;
    uint64_t nan;
    uint64_t range;
    const char *what;
};

static const struct row rows[] = {
    {"a", OX_DTYPE_F32, 0x7F7FFFFF, 0x7F800001, 0x7F800000, "finite values, found 2 NaN and 1 infinite"},
    {"a", OX_DTYPE_F32, 0x80000001, 0xFFC00000, 0xFF800000, "finite values, found 2 NaN and 1 infinite"},
    {"a", OX_DTYPE_F64, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000001, 0xFFF0000000000000,
     "finite values, found 2 NaN and 1 infinite"},
    {"a", OX_DTYPE_F16, 0x7BFF, 0x7C01, 0xFC00, "finite values, found 2 NaN and 1 infinite"},
    {"a", OX_DTYPE_BF16, 0x7F7F, 0xFFC0, 0x7F80, "finite values, found 2 NaN and 1 infinite"},
    {"a", OX_DTYPE_F8_E4M3, 0x7E, 0x7F, 0, "finite values, found 2 NaN and 0 infinite"},
    {"a", OX_DTYPE_F8_E4M3, 0xFE, 0xFF, 0, "finite values, found 2 NaN and 0 infinite"},
    {"a", OX_DTYPE_F8_E5M2, 0x7B, 0x7D, 0xFC, "finite values, found 2 NaN and 1 infinite"},
    {"a", OX_DTYPE_F8_E8M0, 246, 255, 247, "scales from 0 to 246, found 2 of 255 (NaN) and 1 of 247 to 254"},
    {"a_scale_inv", OX_DTYPE_U8, 246, 255, 254, "scales from 0 to 246, found 2 of 255 (NaN) and 1 of 247 to 254"},
};

static void put(uint8_t *data, size_t i, size_t bytes, uint64_t value)
{
    for (size_t j = 0; j < bytes; j++) {
        data[i * bytes + j] = (uint8_t)(value >> (8 * j));
    }
}

static void check_row(const struct row *row, const size_t *places)
{
    const size_t bytes = ox_dtype_bytes(row->dtype);
    struct heard heard = {.n = 0};
    size_t n_bad = 99;
    char expected[256];
    uint8_t *data = ox_calloc(N, bytes);
    const struct ox_tensor t = {
        .name = ox_str_c(row->name), .dtype = row->dtype, .n_dims = 1, .dims = {N}, .data = data};
    for (size_t i = 0; i < N; i++) {
        put(data, i, bytes, row->good);
    }
    OK(verify(&t, 1, &heard, &n_bad) == OX_OK && n_bad == 0 && heard.n == 0, "%s: good values", ox_dtype_name(t.dtype));
    put(data, places[0], bytes, row->nan);
    put(data, places[1], bytes, row->nan);
    if (row->range != 0) {
        put(data, places[2], bytes, row->range);
    }
    OK(verify(&t, 1, &heard, &n_bad) == OX_OK && n_bad == 1 && heard.n == 1, "%s: bad values", ox_dtype_name(t.dtype));
    snprintf(expected, sizeof expected, PATH ": tensor %s: expected %s among 10000, the first at element %zu",
             row->name, row->what, places[0]);
    IS_STR(heard.sentence, expected, "sentence");
    ox_free(data);
}

/* Integers have nothing to find; a bad tensor does not stop the rest; report may. */
static void test_many(void)
{
    static const uint8_t ones[16] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const struct ox_tensor tensors[] = {
        {.name = ox_str_c("i8"), .dtype = OX_DTYPE_I8, .n_dims = 1, .dims = {16}, .data = ones},
        {.name = ox_str_c("u8"), .dtype = OX_DTYPE_U8, .n_dims = 1, .dims = {16}, .data = ones},
        {.name = ox_str_c("_scale_inv"), .dtype = OX_DTYPE_U8, .n_dims = 1, .dims = {16}, .data = ones},
        {.name = ox_str_c("bf16"), .dtype = OX_DTYPE_BF16, .n_dims = 1, .dims = {8}, .data = ones},
        {.name = ox_str_c("none"), .dtype = OX_DTYPE_F32, .n_dims = 1, .dims = {0}, .data = ones},
        {.name = ox_str_c("f32"), .dtype = OX_DTYPE_F32, .n_dims = 1, .dims = {4}, .data = ones},
    };
    struct heard heard = {.n = 0};
    size_t n_bad = 99;
    IS_INT(verify(tensors, 6, &heard, &n_bad), OX_OK, "several tensors");
    OK(n_bad == 2 && heard.n == 2, "each bad one is told");
    OK(heard.n_progress > 0 && heard.done == 80 && heard.total == 80, "progress ends at the sum of bytes");
    heard = (struct heard){.result = 1};
    IS_INT(verify(tensors, 6, &heard, &n_bad), OX_E_CANCELLED, "report can stop it");
    IS_INT(heard.n, 1, "at once");
}

/* Progress comes while a large tensor is read. */
static void test_progress(void)
{
    const size_t n = (size_t)80 << 20;
    uint8_t *data = ox_calloc(n, 1);
    const struct ox_tensor t = {
        .name = ox_str_c("x"), .dtype = OX_DTYPE_F8_E4M3, .n_dims = 1, .dims = {n}, .data = data};
    struct heard heard = {.n = 0};
    size_t n_bad = 99;
    data[n - 1] = 0x7F;
    OK(verify(&t, 1, &heard, &n_bad) == OX_OK && n_bad == 1, "80 MiB");
    OK(strstr(heard.sentence, "at element 83886079") != NULL, "the last element is read");
    IS_INT(heard.n_progress, 3, "progress in steps and at the end");
    ox_free(data);
}

int main(void)
{
    static const size_t places[][3] = {{0, 4095, 4096}, {5000, 9999, 8191}, {8192, 8193, 9000}, {9997, 9999, 9998}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t j = 0; j < sizeof places / sizeof places[0]; j++) {
            check_row(&rows[i], places[j]);
        }
    }
    test_many();
    test_progress();
    return tap_done();
}
