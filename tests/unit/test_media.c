/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures from files to pixels through the helper: every kind of file, turned and not, whole, shortened, damaged and
 * made to do harm; and helpers that die, hang or talk nonsense.
 */
#include "media/media.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "config.h"
#include "media/resize.h"
#include "tests/media_files.h"
#include "tests/tap.h"

#if defined(OX_HAVE_WEBP)
#include <webp/encode.h>
#endif

#define TMP "test-media.tmp"
#define N_DAMAGED 120

static char helper[4096];
static struct ox_media_options options;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static enum ox_status load(const struct ox_buf *file, struct ox_media *media, struct ox_error *err)
{
    const struct ox_media_source source = ox_media_source_bytes("x.img", (const uint8_t *)ox_buf_text(file), file->len);
    return ox_media_load_image(&options, &source, media, err);
}

/* ---- what comes out ----------------------------------------------------------------------------------------------- */

/* The largest and the mean difference between a file's picture and what pixels would become. */
static void compare(const char *name, const struct ox_buf *file, const uint8_t *pixels, size_t height, size_t width,
                    int max_allowed, double mean_allowed)
{
    struct ox_media found = {0};
    struct ox_media expected = {0};
    struct ox_error err = {0};
    int max = 0;
    double sum = 0.0;
    if (!OK(load(file, &found, &err) == OX_OK, "%s: %s", name, err.message) ||
        !OK(ox_media_from_pixels(&options, pixels, height, width, &expected, &err) == OX_OK, "pixels")) {
        return;
    }
    OK(found.height == expected.height && found.width == expected.width && found.source_height == height &&
           found.source_width == width && found.n_frames == 1 && found.kind == OX_MEDIA_IMAGE &&
           found.frame_index == NULL,
       "%s: %zu x %zu from %zu x %zu", name, found.height, found.width, found.source_height, found.source_width);
    const size_t n = expected.height * expected.width * 3;
    for (size_t i = 0; i < n && found.height == expected.height && found.width == expected.width; i++) {
        const int gap = abs(found.pixels[i] - expected.pixels[i]);
        max = gap > max ? gap : max;
        sum += gap;
    }
    OK(max <= max_allowed && sum / (double)n <= mean_allowed, "%s: differs by at most %d, %.2f in the mean", name, max,
       sum / (double)n);
    ox_media_fini(&found);
    ox_media_fini(&expected);
}

static void make_grey(uint8_t *pixels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pixels[3 * i + 1] = pixels[3 * i];
        pixels[3 * i + 2] = pixels[3 * i];
    }
}

static void test_png(size_t height, size_t width)
{
    struct ox_buf file = {0};
    char name[64];
    for (int channels = 4; channels >= 1; channels--) {
        for (int bits = 8; bits <= 16; bits += 8) {
            uint8_t *pixels = media_picture(height, width);
            media_png(&file, pixels, height, width, channels, bits);
            if (channels < 3) { /* alpha, the last of 2 or 4, is dropped, not blended */
                make_grey(pixels, height * width);
            }
            snprintf(name, sizeof name, "PNG, %d channels of %d bits, %zu x %zu", channels, bits, height, width);
            compare(name, &file, pixels, height, width, 0, 0.0);
            ox_free(pixels);
        }
    }
    ox_buf_fini(&file);
}

static void test_kinds(size_t height, size_t width)
{
    struct ox_buf file = {0};
    uint8_t *pixels = media_picture(height, width);
    media_bmp(&file, pixels, height, width);
    compare("BMP", &file, pixels, height, width, 0, 0.0);
    media_jpeg(&file, pixels, height, width);
    compare("JPEG", &file, pixels, height, width, 120, 4.0);
    media_gif(&file, pixels, height, width);
    for (size_t i = 0; i < height * width * 3; i++) {
        pixels[i] = (uint8_t)(pixels[i] / 51 * 51);
    }
    compare("GIF", &file, pixels, height, width, 0, 0.0);
    ox_free(pixels);
    ox_buf_fini(&file);
}

/* What an orientation does to pixels, by the definition: the stored picture's rows and columns named by EXIF. */
static void test_orientation(void)
{
    const size_t h = 40;
    const size_t w = 100;
    for (int orientation = 1; orientation <= 8; orientation++) {
        uint8_t *pixels = media_picture(h, w);
        uint8_t *upright = ox_calloc(h * w, 3);
        const size_t up_w = orientation >= 5 ? h : w;
        struct ox_buf file = {0};
        char name[32];
        for (size_t y = 0; y < h; y++) {
            for (size_t x = 0; x < w; x++) {
                /* EXIF: where the 0th row and the 0th column of the stored picture are to be seen. */
                const bool row_right_or_bottom =
                    orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
                const bool column_right_or_bottom =
                    orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
                const size_t a = row_right_or_bottom ? h - 1 - y : y;
                const size_t b = column_right_or_bottom ? w - 1 - x : x;
                const size_t to = orientation >= 5 ? b * up_w + a : a * up_w + b;
                memcpy(upright + 3 * to, pixels + 3 * (y * w + x), 3);
            }
        }
        media_jpeg(&file, pixels, h, w);
        media_jpeg_turn(&file, orientation);
        snprintf(name, sizeof name, "orientation %d", orientation);
        compare(name, &file, upright, orientation >= 5 ? w : h, up_w, 120, 4.0);
        ox_free(pixels);
        ox_free(upright);
        ox_buf_fini(&file);
    }
}

#if defined(OX_HAVE_WEBP)
static void make_webp(struct ox_buf *file, const uint8_t *pixels, size_t height, size_t width, bool lossless)
{
    uint8_t *bytes = NULL;
    const int stride = (int)width * 3;
    const size_t len = lossless ? WebPEncodeLosslessRGB(pixels, (int)width, (int)height, stride, &bytes)
                                : WebPEncodeRGB(pixels, (int)width, (int)height, stride, 90.0F, &bytes);
    ox_buf_clear(file);
    ox_buf_add(file, bytes, len);
    WebPFree(bytes);
}

static void test_webp(void)
{
    struct ox_buf file = {0};
    uint8_t *pixels = media_picture(90, 133);
    make_webp(&file, pixels, 90, 133, true);
    compare("WebP without loss", &file, pixels, 90, 133, 0, 0.0);
    make_webp(&file, pixels, 90, 133, false);
    compare("WebP", &file, pixels, 90, 133, 150, 5.0);
    ox_free(pixels);
    ox_buf_fini(&file);
}
#else
static void make_webp(struct ox_buf *file, const uint8_t *pixels, size_t height, size_t width, bool lossless)
{
    (void)lossless;
    media_png(file, pixels, height, width, 3, 8);
}

static void test_webp(void)
{
    struct ox_buf file = {0};
    struct ox_media media;
    struct ox_error err = {0};
    ox_buf_add(&file, "RIFF\0\0\0\0WEBP", 12);
    IS_INT(load(&file, &media, &err), OX_E_DEVICE, "no WebP");
    IS_STR(err.message, "x.img: a WebP file, and this build has no libwebp", "and why");
    ox_buf_fini(&file);
}
#endif

static void test_sizes(void)
{
    static const size_t sizes[][2] = {{1, 1}, {1, 200}, {200, 1}, {2, 3}, {28, 5600}, {700, 3}, {333, 1000}};
    struct ox_buf file = {0};
    struct ox_media media;
    struct ox_error err = {0};
    char name[64];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t h = sizes[i][0];
        const size_t w = sizes[i][1];
        uint8_t *pixels = media_picture(h, w);
        media_png(&file, pixels, h, w, 3, 8);
        snprintf(name, sizeof name, "%zu x %zu", h, w);
        if (h <= 200 * w) {
            compare(name, &file, pixels, h, w, 0, 0.0);
        } else {
            IS_INT(load(&file, &media, &err), OX_E_LIMIT, name);
        }
        ox_free(pixels);
    }
    uint8_t *pixels = media_picture(1, 201);
    media_png(&file, pixels, 1, 201, 3, 8);
    IS_INT(load(&file, &media, &err), OX_E_LIMIT, "1 x 201");
    IS_STR(err.message, "x.img: sides of 1 x 201: expected at most 200 times the other", "message");
    ox_free(pixels);
    const size_t h = 6000;
    const size_t w = 8000;
    pixels = media_picture(h, w);
    media_jpeg(&file, pixels, h, w);
    ox_free(pixels);
    const double begin = now_ms();
    const enum ox_status status = load(&file, &media, &err);
    NOTE("8000 x 6000, %zu bytes of JPEG, in %.0f ms", file.len, now_ms() - begin);
    if (OK(status == OX_OK || (TAP_SANITIZED && status == OX_E_LIMIT), "8000 x 6000 %s", err.message) &&
        status == OX_OK) {
        OK(media.height == 560 && media.width == 756, "to %zu x %zu", media.height, media.width);
        ox_media_fini(&media);
    }
    ox_buf_fini(&file);
}

/* ---- where it comes from -------------------------------------------------------------------------------------------- */

static bool is_picture(enum ox_status status, struct ox_media *media)
{
    const bool good = status == OX_OK && media->height == 56 && media->width == 84;
    if (status == OX_OK) {
        ox_media_fini(media);
    }
    return good;
}

static void test_sources(void)
{
    struct ox_buf file = {0};
    struct ox_media media = {0};
    struct ox_error err = {0};
    int ends[2];
    uint8_t *pixels = media_picture(56, 84);
    media_png(&file, pixels, 56, 84, 3, 8);
    const int fd = open(TMP, O_RDWR | O_CREAT | O_TRUNC, 0600);
    OK(write(fd, file.ptr, file.len) == (ssize_t)file.len, "a file");
    struct ox_media_source source = ox_media_source_path(TMP);
    OK(is_picture(ox_media_load_image(&options, &source, &media, &err), &media), "from a path %s", err.message);
    source = ox_media_source_fd("fd", fd);
    OK(is_picture(ox_media_load_image(&options, &source, &media, &err), &media), "from a descriptor at its end");
    OK(fcntl(fd, F_GETFD) >= 0, "which stays open");
    OK(pipe(ends) == 0 && write(ends[1], file.ptr, file.len) == (ssize_t)file.len && close(ends[1]) == 0, "a pipe");
    source = ox_media_source_fd("pipe", ends[0]);
    OK(is_picture(ox_media_load_image(&options, &source, &media, &err), &media), "from a pipe %s", err.message);
    close(ends[0]);
    struct ox_media_options small = options;
    small.max_file_bytes = file.len - 1;
    source = ox_media_source_path(TMP);
    IS_INT(ox_media_load_image(&small, &source, &media, &err), OX_E_LIMIT, "a file that is too long");
    source = ox_media_source_path("/dev/zero");
    IS_INT(ox_media_load_image(&small, &source, &media, &err), OX_E_LIMIT, "a device without end");
    small.max_file_bytes = file.len;
    source = ox_media_source_path(TMP);
    OK(is_picture(ox_media_load_image(&small, &source, &media, &err), &media), "a file at the limit");
    close(fd);
    unlink(TMP);
    IS_INT(ox_media_load_image(&options, &source, &media, &err), OX_E_IO, "no file");
    IS_STR(err.message, TMP ": cannot be opened: No such file or directory", "message");
    source = ox_media_source_path(".");
    IS_INT(ox_media_load_image(&options, &source, &media, &err), OX_E_IO, "a folder");
    IS_STR(err.message, ".: expected a file, found a folder", "message");
    source = ox_media_source_bytes("nothing", NULL, 0);
    IS_INT(ox_media_load_image(&options, &source, &media, &err), OX_E_FORMAT, "nothing");
    IS_STR(err.message, "nothing: expected JPEG, PNG, GIF, BMP or WebP, found an empty file", "message");
    ox_free(pixels);
    ox_buf_fini(&file);
}

static void test_urls(void)
{
    struct ox_buf room = {0};
    struct ox_media_source source;
    struct ox_error err = {0};
    IS_INT(ox_media_source_url(ox_str_c("data:image/png;base64,Zm9v"), &room, &source, &err), OX_OK, "a data: URI");
    OK(source.len == 3 && memcmp(source.bytes, "foo", 3) == 0 && source.path == NULL && source.fd == -1, "its bytes");
    ox_buf_fini(&room);
    IS_INT(ox_media_source_url(ox_str_make("a/b.png", 5), &room, &source, &err), OX_OK, "a name");
    IS_STR(source.path, "a/b.p", "no more of it than asked");
    ox_buf_fini(&room);
    IS_INT(ox_media_source_url(ox_str_c("https://x.example/y.png"), &room, &source, &err), OX_E_ARG, "https");
    IS_STR(err.message, "expected a file's name or a data: URI, found \"https://x.example/y.png\"", "message");
    IS_INT(ox_media_source_url(ox_str_make("a\0b", 3), &room, &source, &err), OX_E_ARG, "a zero byte in a name");
    IS_INT(ox_media_source_url(ox_str_c(""), &room, &source, &err), OX_E_ARG, "no name");
    IS_INT(ox_media_source_url(ox_str_c("data:;base64,?"), &room, &source, &err), OX_E_FORMAT, "no base64");
    IS_STR(err.message, "data: URI: byte 0: expected a base64 character, found 0x3f", "message");
    ox_buf_fini(&room);
}

static void test_options(void)
{
    const uint8_t pixels[3] = {1, 2, 3};
    struct ox_media media;
    struct ox_error err = {0};
    struct ox_media_options wrong = {.max_pixels = 3135};
    IS_INT(ox_media_from_pixels(&wrong, pixels, 1, 1, &media, &err), OX_E_ARG, "too few pixels");
    IS_STR(err.message, "pixels of a picture: expected at least 3136, found 3135", "message");
    wrong = (struct ox_media_options){.fps = -1.0};
    IS_INT(ox_media_from_pixels(&wrong, pixels, 1, 1, &media, &err), OX_E_ARG, "a negative rate");
    wrong = (struct ox_media_options){.max_source_pixels = 99};
    IS_INT(ox_media_from_pixels(&wrong, pixels, 10, 10, &media, &err), OX_E_LIMIT, "too many pixels");
    IS_INT(ox_media_from_pixels(&wrong, pixels, SIZE_MAX, SIZE_MAX, &media, &err), OX_E_LIMIT, "very many pixels");
    IS_INT(ox_media_from_pixels(&wrong, pixels, 0, 10, &media, &err), OX_E_ARG, "no pixels");
    wrong = (struct ox_media_options){0};
    const struct ox_media_source source = ox_media_source_bytes("x", pixels, 3);
    IS_INT(ox_media_load_image(&wrong, &source, &media, &err), OX_E_ARG, "no helper named");
    uint8_t *large = media_picture(600, 800);
    struct ox_media_options more = {.max_pixels = 200704};
    OK(ox_media_from_pixels(&more, large, 600, 800, &media, &err) == OX_OK && media.height * media.width <= 200704 &&
           media.height * media.width > 150000,
       "max_pixels counts");
    ox_media_fini(&media);
    more.helper_path = helper;
    struct ox_buf file = {0};
    media_png(&file, large, 600, 800, 3, 8);
    const struct ox_media_source png = ox_media_source_bytes("x", (const uint8_t *)file.ptr, file.len);
    OK(ox_media_load_image(&more, &png, &media, &err) == OX_OK && media.height * media.width <= 200704,
       "also in the helper");
    ox_media_fini(&media);
    more.max_source_pixels = 600 * 800 - 1;
    IS_INT(ox_media_load_image(&more, &png, &media, &err), OX_E_LIMIT, "max_source_pixels");
    IS_STR(err.message, "x: 800 x 600 pixels (width x height): expected at most 479999 in all", "message");
    ox_buf_fini(&file);
    ox_free(large);
}

/* ---- broken files --------------------------------------------------------------------------------------------------- */

/* A status that a broken file may have. The decoder's death is none. */
static bool is_fair(enum ox_status status, const struct ox_error *err)
{
    return status == OX_OK ||
           ((status == OX_E_FORMAT || status == OX_E_LIMIT) && strncmp(err->message, "x.img: ", 7) == 0);
}

static void test_damaged(const char *name, const struct ox_buf *file)
{
    struct ox_buf copy = {0};
    struct ox_rng rng;
    size_t n_decoded = 0;
    bool fair = true;
    ox_rng_init(&rng, file->len);
    for (size_t i = 0; i < N_DAMAGED && fair; i++) {
        struct ox_media media;
        struct ox_error err = {0};
        ox_buf_clear(&copy);
        ox_buf_add_str(&copy, ox_buf_str(file));
        if (i % 3 == 0) {
            ox_buf_cut(&copy, (size_t)ox_rng_below(&rng, file->len));
        }
        for (size_t j = 0; copy.len > 0 && i % 3 != 0 && j < 1 + i % 5; j++) {
            /* Headers more often than pixels. */
            const uint64_t range = i % 2 == 0 ? 64 : copy.len;
            copy.ptr[ox_rng_below(&rng, range < copy.len ? range : copy.len)] = (char)ox_rng_next(&rng);
        }
        const enum ox_status status = load(&copy, &media, &err);
        fair = is_fair(status, &err);
        if (!fair) {
            NOTE("%zu: %s", i, err.message);
        }
        if (status == OX_OK) {
            n_decoded++;
            ox_media_fini(&media);
        }
    }
    OK(fair, "%s, %d times shortened or damaged: an error or a picture (%zu)", name, N_DAMAGED, n_decoded);
    ox_buf_fini(&copy);
}

static void test_all_damaged(void)
{
    struct ox_buf file = {0};
    uint8_t *pixels = media_picture(30, 50);
    media_png(&file, pixels, 30, 50, 3, 8);
    test_damaged("PNG", &file);
    media_png(&file, pixels, 30, 50, 4, 16);
    test_damaged("PNG of 16 bits", &file);
    media_jpeg(&file, pixels, 30, 50);
    media_jpeg_turn(&file, 6);
    test_damaged("JPEG", &file);
    media_bmp(&file, pixels, 30, 50);
    test_damaged("BMP", &file);
    media_gif(&file, pixels, 30, 50);
    test_damaged("GIF", &file);
    make_webp(&file, pixels, 30, 50, false);
    test_damaged("WebP", &file);
    make_webp(&file, pixels, 30, 50, true);
    test_damaged("WebP without loss", &file);
    ox_free(pixels);
    ox_buf_fini(&file);
}

/* ---- files that are made to do harm ----------------------------------------------------------------------------- */

static void is_refused(const char *name, const struct ox_buf *file, const char *message)
{
    struct ox_media media;
    struct ox_error err = {0};
    const double before = tap_children_ms();
    IS_INT(load(file, &media, &err), OX_E_LIMIT, name);
    const double took_ms = tap_children_ms() - before;
    OK(strstr(err.message, message) != NULL, "%s: %s", name, err.message);
    OK(took_ms < 1000.0 || TAP_SANITIZED, "%s: refused in %.0f ms of processor time", name, took_ms);
}

static void test_bombs(void)
{
    struct ox_buf file = {0};
    media_png_claim(&file, 30000);
    is_refused("a PNG of 30,000 x 30,000", &file, "30000 x 30000 pixels (width x height): expected at most 67108864");
    media_png_bomb(&file, 1024);
    NOTE("%zu bytes for 1 GiB", file.len);
    is_refused("a pixel that unpacks to 1 GiB", &file, "needs more memory than a picture of 1 x 1 pixels may");
    ox_buf_clear(&file);
    ox_buf_add(&file, "GIF89a\xFF\xFF\xFF\xFF\0\0\0,\0\0\0\0\xFF\xFF\xFF\xFF\0\x08", 24);
    is_refused("a GIF of 65,535 x 65,535", &file, "65535 x 65535");
    uint8_t *pixels = media_picture(2000, 2000);
    media_jpeg(&file, pixels, 2000, 2000);
    for (int i = 0; i < 300; i++) {
        ox_buf_add(&file, "\xFF\xDA\x00\x02", 4);
    }
    is_refused("a JPEG of 301 scans", &file, "301 scans of 4000000 pixels: expected at most 32");
    ox_free(pixels);
    ox_buf_fini(&file);
}

/* The largest resident size of any child so far; called before the large picture is decoded. */
static void test_memory(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_CHILDREN, &usage);
    OK(usage.ru_maxrss < 256 * 1024 || TAP_SANITIZED, "no bomb took more than 256 MiB (%ld MiB)",
       usage.ru_maxrss / 1024);
}

/* ---- helpers that do not do their work -------------------------------------------------------------------------- */

static void with_helper(const char *script, enum ox_status expected, const char *message)
{
    struct ox_media_options fake = options;
    struct ox_media media;
    struct ox_error err = {0};
    const struct ox_media_source source = ox_media_source_bytes("x.img", (const uint8_t *)"x", 1);
    FILE *file = fopen(TMP, "w");
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    chmod(TMP, 0700);
    fake.helper_path = "./" TMP;
    fake.image_timeout_ms = 1000;
    const double begin = now_ms();
    IS_INT(ox_media_load_image(&fake, &source, &media, &err), expected, script);
    OK(strcmp(err.message, message) == 0, "message: %s", err.message);
    OK(now_ms() - begin < 60e3, "given up after %.0f ms", now_ms() - begin);
    unlink(TMP);
}

static void test_helpers(void)
{
    struct ox_media media;
    struct ox_error err = {0};
    const struct ox_media_source source = ox_media_source_bytes("x.img", (const uint8_t *)"x", 1);
    with_helper("exit 3", OX_E_IO, "x.img: the decoder ended without an answer (exit status 3)");
    with_helper("kill -SEGV $$", OX_E_IO, "x.img: the decoder was ended by signal 11 (Segmentation fault)");
    with_helper("kill -XCPU $$", OX_E_LIMIT, "x.img: decoding took longer than 1000 ms");
    with_helper("exec /bin/sleep 100", OX_E_LIMIT, "x.img: decoding took longer than 1000 ms");
    with_helper("exec >&-; exec /bin/sleep 100", OX_E_IO, "x.img: the decoder was ended by signal 9 (Killed)");
    with_helper("exec /bin/cat /dev/zero", OX_E_IO, "x.img: the decoder answered nonsense (no message)");
    with_helper("echo hello", OX_E_IO, "x.img: the decoder ended without an answer (exit status 0)");
    with_helper("test $(/bin/ls /proc/self/fd | /usr/bin/wc -l) -le 5 || exit 1; exit 4", OX_E_IO,
                "x.img: the decoder ended without an answer (exit status 4)");
    with_helper("test -z \"$HOME$abs_top_srcdir$LD_PRELOAD\" && exit 5", OX_E_IO,
                "x.img: the decoder ended without an answer (exit status 5)");
    struct ox_media_options fake = options;
    fake.helper_path = "/no/such/program";
    IS_INT(ox_media_load_image(&fake, &source, &media, &err), OX_E_IO, "no helper");
    IS_STR(err.message, "x.img: /no/such/program: cannot be started: No such file or directory", "message");
    OK(waitpid(-1, NULL, WNOHANG) < 0, "no child is left");
}

int main(void)
{
    struct ox_buf file = {0};
    struct ox_media media;
    struct ox_error err = {0};
    const char *top = getenv("abs_top_builddir");
    snprintf(helper, sizeof helper, "%s/oxcart-media", top != NULL ? top : ".");
    options.helper_path = helper;
    test_helpers();
    test_urls();
    uint8_t *pixels = media_picture(8, 8);
    media_png(&file, pixels, 8, 8, 3, 8);
    ox_free(pixels);
    if (load(&file, &media, &err) == OX_E_DEVICE) {
        NOTE("%s: what needs a decoder is left out", err.message);
        return tap_done();
    }
    ox_media_fini(&media);
    ox_buf_fini(&file);
    test_bombs();
    test_memory();
    test_options();
    test_sources();
    test_png(35, 61);
    test_kinds(70, 131);
    test_webp();
    test_orientation();
    test_all_damaged();
    test_sizes();
    return tap_done();
}
