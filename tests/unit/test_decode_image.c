/* SPDX-License-Identifier: Apache-2.0
 *
 * The picture decoders as the helper links them, without its jail: files of every kind, cut at every length, and files
 * that leave pixels open.
 */
#include "media/helper/decode.h"

#include "base/mem.h"
#include "config.h"
#include "media/protocol.h"
#include "tests/media_files.h"
#include "tests/tap.h"

#if defined(OX_HAVE_WEBP)
#include <webp/encode.h>
#endif

#define HEIGHT ((size_t)9)
#define WIDTH ((size_t)13)
#define STACK_BYTES 65536

static const struct ox_request request = {.numbers = {[OX_OPERAND_MAX_SOURCE_PIXELS] = 100000}};

static bool same(const struct ox_picture *a, const struct ox_picture *b)
{
    return a->height == b->height && a->width == b->width &&
           memcmp(a->pixels, b->pixels, a->height * a->width * 3) == 0;
}

static enum ox_status decode(const char *bytes, size_t len, struct ox_picture *out, struct ox_error *err)
{
    /* a block of its own, so that AddressSanitizer sees each byte read too far */
    uint8_t *copy = ox_calloc(len + 1, 1);
    memcpy(copy + 1, bytes, len);
    const enum ox_status status = ox_decode_image(copy + 1, len, &request, out, err);
    ox_free(copy);
    return status;
}

/* Cut the file at every length: where not even the first n_needed bytes are there, no picture comes; behind them either
 * the whole picture does or none. */
static void test_cut(const char *name, const struct ox_buf *file, size_t n_needed)
{
    struct ox_picture whole = {0};
    struct ox_error err = {0};
    size_t n_pictures = 0;
    bool fair = true;
    if (!OK(decode(file->ptr, file->len, &whole, &err) == OX_OK, "%s: %s", name, err.message)) {
        return;
    }
    for (size_t len = 0; len < file->len && fair; len++) {
        struct ox_picture picture = {0};
        err = (struct ox_error){.code = OX_OK};
        const enum ox_status status = decode(file->ptr, len, &picture, &err);
        fair =
            status == OX_OK ? len >= n_needed && same(&picture, &whole) : status == OX_E_FORMAT && err.code == status;
        if (!fair) {
            NOTE("%zu of %zu bytes: status %d, %s", len, file->len, (int)status, err.message);
        }
        n_pictures += status == OX_OK;
        ox_picture_fini(&picture);
    }
    OK(fair, "%s of %zu bytes, cut at every length: an error, or (%zu times) all of it", name, file->len, n_pictures);
    ox_picture_fini(&whole);
}

static void test_all_cut(void)
{
    struct ox_buf file = {0};
    uint8_t *pixels = media_picture(HEIGHT, WIDTH);
    char name[64];
    for (int channels = 1; channels <= 4; channels++) {
        for (int bits = 8; bits <= 16; bits += 8) {
            media_png(&file, pixels, HEIGHT, WIDTH, channels, bits);
            snprintf(name, sizeof name, "PNG, %d channels of %d bits", channels, bits);
            test_cut(name, &file, file.len);
        }
    }
    media_jpeg(&file, pixels, HEIGHT, WIDTH);
    test_cut("JPEG", &file, file.len);
    media_jpeg_turn(&file, 6);
    test_cut("JPEG with EXIF", &file, file.len);
    media_bmp(&file, pixels, HEIGHT, WIDTH);
    test_cut("BMP", &file, file.len - 1); /* its last row ends with one byte of padding */
    for (int bits = 1; bits <= 8; bits *= 2) {
        media_bmp_palette(&file, HEIGHT, WIDTH, bits, 1U << bits);
        snprintf(name, sizeof name, "BMP of %d bits", bits);
        if (bits != 2) {
            test_cut(name, &file, file.len - 3);
        }
    }
    media_gif(&file, pixels, HEIGHT, WIDTH);
    test_cut("GIF", &file, file.len - 2); /* what follows the first frame is not read */
    ox_free(pixels);
    ox_buf_fini(&file);
}

#if defined(OX_HAVE_WEBP)
static void test_webp_cut(void)
{
    uint8_t *pixels = media_picture(HEIGHT, WIDTH);
    for (int lossless = 0; lossless < 2; lossless++) {
        struct ox_buf file = {0};
        uint8_t *bytes = NULL;
        const size_t len = lossless ? WebPEncodeLosslessRGB(pixels, (int)WIDTH, (int)HEIGHT, (int)WIDTH * 3, &bytes)
                                    : WebPEncodeRGB(pixels, (int)WIDTH, (int)HEIGHT, (int)WIDTH * 3, 90.0F, &bytes);
        ox_buf_add(&file, bytes, len);
        WebPFree(bytes);
        test_cut(lossless ? "WebP without loss" : "WebP", &file, file.len / 2);
        ox_buf_fini(&file);
    }
    ox_free(pixels);
}
#else
static void test_webp_cut(void)
{
    SKIP("WebP, cut", "no libwebp");
}
#endif

/* Leave `value` all over the stack that the next call will use. */
static unsigned fill_stack(int value)
{
    volatile unsigned char room[STACK_BYTES];
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof room; i++) {
        room[i] = (unsigned char)value;
    }
    for (size_t i = 0; i < sizeof room; i++) {
        sum += room[i];
    }
    return sum;
}

/* Pixels that name colours which the palette does not have. */
static void test_short_palette(void)
{
    struct ox_buf file = {0};
    for (int bits = 4; bits <= 8; bits += 4) {
        struct ox_picture pictures[2] = {{0}, {0}};
        struct ox_error err = {0};
        bool good = true;
        media_bmp_palette(&file, HEIGHT, WIDTH, bits, 2);
        for (int i = 0; i < 2; i++) {
            good = fill_stack(i * 171) % 171 == 0 && good;
            good = decode(file.ptr, file.len, &pictures[i], &err) == OX_OK && good;
        }
        OK(good && same(&pictures[0], &pictures[1]), "a BMP of %d bits and 2 colours is the same picture twice %s",
           bits, err.message);
        ox_picture_fini(&pictures[0]);
        ox_picture_fini(&pictures[1]);
    }
    ox_buf_fini(&file);
}

/* What a helper may be asked, and what it refuses before it looks at anything. */
static void test_operands(void)
{
    static const char *const good[] = {"3136", "1", "1", "1", "4607182418800017408", "1", "1", "1"};
    static const struct {
        size_t place;
        const char *text;
    } wrong[] = {
        {OX_OPERAND_MAX_PIXELS, "3135"},
        {OX_OPERAND_MAX_VIDEO_PIXELS, "0"},
        {OX_OPERAND_MAX_SOURCE_PIXELS, "0"},
        {OX_OPERAND_MAX_FRAMES, "0"},
        {OX_OPERAND_FPS_BITS, "0"},
        {OX_OPERAND_MAX_BYTES, "0"},
        {OX_OPERAND_TIMEOUT_S, "0"},
        {OX_OPERAND_MAX_FRAMES, "-1"},
        {OX_OPERAND_MAX_FRAMES, ""},
        {OX_OPERAND_MAX_FRAMES, "1 "},
        {OX_OPERAND_MAX_FRAMES, "x"},
        {OX_OPERAND_MAX_FRAMES, "18446744073709551616"},
        {OX_OPERAND_FPS_BITS, "13830554455654793216"}, /* -1 */
        {OX_OPERAND_FPS_BITS, "9218868437227405312"},  /* infinity */
        {OX_OPERAND_FPS_BITS, "9221120237041090560"},  /* not a number */
    };
    struct ox_request found;
    OK(ox_request_read(OX_N_OPERANDS, good, &found) && found.numbers[OX_OPERAND_MAX_PIXELS] == 3136, "operands");
    OK(!ox_request_read(OX_N_OPERANDS - 1, good, &found), "too few");
    OK(!ox_request_read(OX_N_OPERANDS + 1, good, &found), "too many");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *texts[OX_N_OPERANDS];
        memcpy(texts, good, sizeof texts);
        texts[wrong[i].place] = wrong[i].text;
        OK(!ox_request_read(OX_N_OPERANDS, texts, &found), "operand %zu: \"%s\"", wrong[i].place, wrong[i].text);
    }
}

int main(void)
{
    test_operands();
    test_all_cut();
    test_webp_cut();
    test_short_palette();
    return tap_done();
}
