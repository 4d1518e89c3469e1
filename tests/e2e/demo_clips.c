/* SPDX-License-Identifier: Apache-2.0
 *
 * The demonstration model looks at drawn clips as files of one frame a second: FFV1 in Matroska, which keeps every bit,
 * and H.264 in MP4. All frames are taken, since frames are sampled once a second.
 *
 *     demo_clips [--all]
 *
 * Without --all, 8 clips of each kind of file.
 */
#include "tests/demo_look.h"
#include "tests/media_clip.h"

#include <math.h>
#include <unistd.h>

#define SHORT_CASES 8
#define ALL_CASES 96

static const struct {
    const char *name;
    const char *container;
    const char *encoder;
    const char *format;
} files[] = {{"FFV1", "matroska", "ffv1", "bgr0"}, {"H.264", "mp4", "libx264", "yuv420p"}};

static void frame_rgb(size_t i, size_t height, size_t width, uint8_t *pixels, void *user)
{
    const struct drawing *drawing = user;
    memcpy(pixels, drawing->pixels + i * height * width * 3, height * width * 3);
}

static uint8_t to_byte(double x)
{
    return (uint8_t)lrint(fmin(fmax(x, 0.0), 255.0));
}

/* Y, U, V of studio range, by the matrix of BT.601. */
static void frame_yuv(size_t i, size_t height, size_t width, uint8_t *pixels, void *user)
{
    const struct drawing *drawing = user;
    const uint8_t *from = drawing->pixels + i * height * width * 3;
    for (size_t p = 0; p < height * width; p++) {
        const double r = from[p * 3] / 255.0;
        const double g = from[p * 3 + 1] / 255.0;
        const double b = from[p * 3 + 2] / 255.0;
        const double y = 0.299 * r + 0.587 * g + 0.114 * b;
        pixels[p * 3] = to_byte(16.0 + 219.0 * y);
        pixels[p * 3 + 1] = to_byte(128.0 + 224.0 * (b - y) / 1.772);
        pixels[p * 3 + 2] = to_byte(128.0 + 224.0 * (r - y) / 1.402);
    }
}

/* 1: right, 0: wrong, -1: this FFmpeg cannot write such a file. */
static int play(struct oxcart_session *session, size_t f, uint64_t seed)
{
    static const char path[] = "demo_clips.tmp";
    struct drawing drawing;
    const char *why = "";
    draw(DRAW_CLIP, seed, &drawing);
    const struct clip_spec spec = {.container = files[f].container,
                                   .encoder = files[f].encoder,
                                   .format = files[f].format,
                                   .height = (size_t)drawing.height,
                                   .width = (size_t)drawing.width,
                                   .n_frames = (size_t)drawing.n_frames,
                                   .fps = 1};
    const bool yuv = strcmp(files[f].format, "yuv420p") == 0;
    int right = -1;
    if (clip_make(path, &spec, yuv ? frame_yuv : frame_rgb, &drawing, &why)) {
        const struct oxcart_media media = {.size = sizeof media, .kind = OXCART_MEDIA_VIDEO, .path = path};
        right = demo_look(session, &drawing, &media, false) ? 1 : 0;
    } else {
        NOTE("%s: %s", files[f].name, why);
    }
    unlink(path);
    draw_free(&drawing);
    return right;
}

int main(int argc, char **argv)
{
    const bool all = argc > 1 && strcmp(argv[1], "--all") == 0;
    const int n_cases = all ? ALL_CASES : SHORT_CASES;
    struct oxcart_engine *engine = NULL;
    struct oxcart_session *session = demo_look_open(&engine);
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        int n_right = 0;
        int played = 0;
        for (int i = 0; i < n_cases && played >= 0; i++) {
            played = play(session, f, (uint64_t)i);
            n_right += played > 0 ? 1 : 0;
        }
        if (played < 0) {
            OK(true, "clips as %s # SKIP this FFmpeg cannot write them", files[f].name);
        } else {
            const int most_wrong = all ? n_cases * 4 / 100 : 1;
            OK(n_cases - n_right <= most_wrong, "clips as %s: %d of %d right", files[f].name, n_right, n_cases);
        }
    }
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
    return tap_done();
}
