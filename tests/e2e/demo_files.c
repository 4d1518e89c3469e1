/* SPDX-License-Identifier: Apache-2.0
 *
 * The demonstration model looks at drawn pictures as files: PNG, JPEG (quality 90) and WebP (quality 90), decoded by the
 * program oxcart-media. It must see in them what it sees in the pixels themselves, but for one picture of each kind that
 * loses by its format.
 *
 *     demo_files [--all]
 *
 * Without --all, 8 cases of each kind and format.
 */
#include "config.h"

#include "tests/demo_look.h"
#include "tests/media_files.h"

#if defined(OX_HAVE_WEBP)
#include <webp/encode.h>
#endif

#define SHORT_CASES 8
#define ALL_CASES 96

static void make_png(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width)
{
    media_png(out, pixels, height, width, 3, 8);
}

#if defined(OX_HAVE_WEBP)
static void make_webp(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width)
{
    uint8_t *bytes = NULL;
    const size_t len = WebPEncodeRGB(pixels, (int)width, (int)height, (int)width * 3, 90.0F, &bytes);
    ox_buf_add(out, bytes, len);
    WebPFree(bytes);
}
#endif

static const struct {
    const char *name;
    void (*make)(struct ox_buf *out, const uint8_t *pixels, size_t height, size_t width);
} formats[] = {
    {"PNG", make_png},
    {"JPEG", media_jpeg},
#if defined(OX_HAVE_WEBP)
    {"WebP", make_webp},
#endif
};

static bool play(struct oxcart_session *session, size_t format, enum draw_kind kind, uint64_t seed)
{
    struct drawing drawing;
    struct ox_buf file = {0};
    draw(kind, seed, &drawing);
    formats[format].make(&file, drawing.pixels, (size_t)drawing.height, (size_t)drawing.width);
    const struct oxcart_media media = {.size = sizeof media,
                                       .kind = OXCART_MEDIA_IMAGE,
                                       .name = formats[format].name,
                                       .bytes = (const uint8_t *)file.ptr,
                                       .n_bytes = file.len};
    const bool right = demo_look(session, &drawing, &media, false);
    ox_buf_fini(&file);
    draw_free(&drawing);
    return right;
}

int main(int argc, char **argv)
{
    const bool all = argc > 1 && strcmp(argv[1], "--all") == 0;
    const int n_cases = all ? ALL_CASES : SHORT_CASES;
    struct oxcart_engine *engine = NULL;
    struct oxcart_session *session = demo_look_open(&engine);
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        for (int k = DRAW_PICTURE; k <= DRAW_TWO_SHAPES; k++) {
            int n_right = 0;
            for (int i = 0; i < n_cases; i++) {
                n_right += play(session, f, (enum draw_kind)k, (uint64_t)i) ? 1 : 0;
            }
            const int percent = k == DRAW_PICTURE ? 4 : 11;
            const int most_wrong = all ? n_cases * percent / 100 : 1;
            OK(n_cases - n_right <= most_wrong, "%s as %s: %d of %d right", draw_kind_names[k], formats[f].name, n_right,
               n_cases);
        }
    }
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
    return tap_done();
}
