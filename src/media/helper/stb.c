/* SPDX-License-Identifier: Apache-2.0
 *
 * JPEG, PNG, GIF (first frame) and BMP by stb_image, which is compiled in here. It gets its memory through a budget
 * that the picture's size explains: a small picture that unpacks to gigabytes is refused as soon as it tries. It gets
 * its bytes through a reader that notices when it wants more than there are: stb itself would go on with zeros.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "media/helper/decode.h"

/* stb's allocator takes no context, so this is the one variable of the project that lives outside an object; the
 * process decodes one picture and ends. */
static struct {
    uint64_t left;
    bool refused;
} budget;

/* Each block begins with its length. */
#define HEAD_BYTES ((size_t)16)

static void *budget_realloc(void *p, size_t old, size_t len);
static void budget_free(void *p);

#define STBI_MALLOC(len) budget_realloc(NULL, 0, len)
#define STBI_REALLOC_SIZED(p, old, len) budget_realloc(p, old, len)
#define STBI_FREE(p) budget_free(p)
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_GIF
#define STBI_ONLY_BMP
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

/* What decoding takes: a PNG of 16 bits and 4 channels, packed rows and result; a progressive JPEG of 4 components. */
#define PIXEL_BYTES ((uint64_t)32)
#define FIXED_BYTES ((uint64_t)32 << 20)
#define PNG_SIZE_AT ((size_t)16)
#define FILE_SHARE ((uint64_t)3) /* packed data are gathered in a buffer that doubles */

/* A scan walks all coefficients again. Real files have 10 or so; 32 of the largest picture take less than a second, and
 * small pictures may have more. */
#define MAX_SCANS ((uint64_t)32)
#define MAX_SCAN_PIXELS ((uint64_t)1 << 30)

static void *budget_realloc(void *p, size_t old, size_t len)
{
    size_t bytes;
    if (len > budget.left || ox_ckd_add(&bytes, len, HEAD_BYTES)) {
        budget.refused = true;
        return NULL;
    }
    /* Zeroed, since stb does not write every pixel of a broken picture: the same file shall give the same picture. */
    char *block = p == NULL ? ox_calloc(bytes, 1) : ox_realloc((char *)p - HEAD_BYTES, 1, bytes);
    if (block == NULL) {
        budget.refused = true;
        return NULL;
    }
    budget.left += old;
    budget.left -= len;
    memcpy(block, &len, sizeof len);
    return block + HEAD_BYTES;
}

static void budget_free(void *p)
{
    size_t len;
    if (p != NULL) {
        memcpy(&len, (char *)p - HEAD_BYTES, sizeof len);
        budget.left += len;
        ox_free((char *)p - HEAD_BYTES);
    }
}

/* What stb reads from. */
struct input {
    const uint8_t *at;
    size_t left;
    bool wanted_more; /* than there is */
};

static int input_read(void *user, char *room, int len)
{
    struct input *input = user;
    const size_t n = input->left < (size_t)len ? input->left : (size_t)len;
    input->wanted_more = input->wanted_more || n == 0;
    memcpy(room, input->at, n);
    input->at += n;
    input->left -= n;
    return (int)n;
}

static void input_skip(void *user, int n)
{
    struct input *input = user;
    const size_t n_skipped = input->left < (size_t)n ? input->left : (size_t)n;
    input->at += n_skipped;
    input->left -= n_skipped;
}

static int input_end(void *user)
{
    const struct input *input = user;
    return input->left == 0;
}

static const stbi_io_callbacks reader = {input_read, input_skip, input_end};

/* How often the marker that begins a scan stands in a JPEG file (once too often for a thumbnail in it). */
static uint64_t count_scans(const uint8_t *file, size_t len)
{
    uint64_t n = 0;
    const uint8_t *at = file;
    const uint8_t *end = file + len;
    while (at < end && (at = memchr(at, 0xFF, (size_t)(end - at))) != NULL) {
        n += end - at > 1 && at[1] == 0xDA;
        at++;
    }
    return n;
}

/* Refuse a JPEG of so many scans that it is made to waste time. */
static enum ox_status check_scans(const uint8_t *file, size_t len, uint64_t pixels, struct ox_error *err)
{
    const bool jpeg = len > 0 && file[0] == 0xFF;
    const uint64_t n_scans = jpeg ? count_scans(file, len) : 0;
    if (n_scans > MAX_SCANS && n_scans > MAX_SCAN_PIXELS / pixels) {
        return ox_error_set(err, OX_E_LIMIT, "%" PRIu64 " scans of %" PRIu64 " pixels: expected at most %" PRIu64,
                            n_scans, pixels, MAX_SCANS);
    }
    return OX_OK;
}

/* Why stb has failed, or may not be believed. */
static enum ox_status broken(const struct input *input, struct ox_error *err)
{
    const char *reason = stbi_failure_reason();
    if (input->wanted_more) {
        return ox_error_set(err, OX_E_FORMAT, "cannot be decoded: it ends too early");
    }
    return ox_error_set(err, OX_E_FORMAT, "cannot be decoded: %s", reason != NULL ? reason : "no reason given");
}

/* The size that a PNG's header names: stb tells a picture that is too large for it from no picture at all badly. */
static enum ox_status check_png(const uint8_t *file, size_t len, const struct ox_request *request, struct ox_error *err)
{
    uint64_t sides[2] = {0, 0};
    if (len < PNG_SIZE_AT + 8 || file[0] != 0x89) {
        return OX_OK;
    }
    for (size_t i = 0; i < 8; i++) {
        sides[i / 4] = sides[i / 4] << 8 | file[PNG_SIZE_AT + i];
    }
    return ox_request_check(request, sides[1], sides[0], err);
}

/* Decode a file whose size is known and allowed. */
static enum ox_status load(const uint8_t *file, size_t len, int height, int width, struct ox_picture *out,
                           struct ox_error *err)
{
    const uint64_t pixels = (uint64_t)height * (uint64_t)width;
    int channels = 0;
    struct input input = {file, len, false};
    budget.left = FIXED_BYTES + FILE_SHARE * len + PIXEL_BYTES * pixels;
    budget.refused = false;
    uint8_t *rgb = stbi_load_from_callbacks(&reader, &input, &width, &height, &channels, 3);
    if (rgb == NULL && budget.refused) {
        return ox_error_set(err, OX_E_LIMIT, "needs more memory than a picture of %d x %d pixels may", width, height);
    }
    if (rgb == NULL || input.wanted_more) {
        budget_free(rgb);
        return broken(&input, err);
    }
    if ((uint64_t)height * (uint64_t)width != pixels) {
        budget_free(rgb);
        return ox_error_set(err, OX_E_FORMAT, "cannot be decoded: two sizes");
    }
    out->memory = rgb - HEAD_BYTES;
    out->pixels = rgb;
    out->height = (size_t)height;
    out->width = (size_t)width;
    return OX_OK;
}

enum ox_status ox_decode_stb(const uint8_t *file, size_t len, const struct ox_request *request, struct ox_picture *out,
                             struct ox_error *err)
{
    int width = 0;
    int height = 0;
    int channels = 0;
    struct input input = {file, len, false};
    if (len > INT_MAX) {
        return ox_error_set(err, OX_E_LIMIT, "longer than %d bytes", INT_MAX);
    }
    enum ox_status status = check_png(file, len, request, err);
    if (status != OX_OK) {
        return status;
    }
    budget.left = FIXED_BYTES;
    budget.refused = false;
    if (stbi_info_from_callbacks(&reader, &input, &width, &height, &channels) == 0 || width <= 0 || height <= 0) {
        return broken(&input, err);
    }
    const uint64_t pixels = (uint64_t)height * (uint64_t)width;
    status = ox_request_check(request, (uint64_t)height, (uint64_t)width, err);
    if (status == OX_OK) {
        status = check_scans(file, len, pixels, err);
    }
    return status == OX_OK ? load(file, len, height, width, out, err) : status;
}
