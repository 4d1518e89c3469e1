/* SPDX-License-Identifier: Apache-2.0
 *
 * Clips from files to frames through the helper: each frame shows its own number, so that taking the wrong one is seen;
 * many containers and codecs, colours, turned clips, long ones, shortened and damaged ones, and files that are made to
 * do harm.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "media/media.h"
#include "os/file.h"
#include "tests/media_clip.h"
#include "tests/tap.h"

#define TMP "test-video.tmp"
#define HEIGHT ((size_t)112)
#define WIDTH ((size_t)224)
#define SQUARE ((size_t)56) /* 4 x 2 of them, one a bit */
#define N_BITS ((size_t)8)
#define BRIGHT 220
#define DARK 40
#define N_DAMAGED 40

static char helper[4096];
static struct ox_media_options options;

static void draw_number(size_t i, size_t height, size_t width, uint8_t *pixels, void *user)
{
    const bool yuv = *(const bool *)user;
    for (size_t n = 0; n < height * width; n++) {
        const size_t bit = n / width / SQUARE * (WIDTH / SQUARE) + n % width / SQUARE;
        const uint8_t value = (i >> bit & 1) != 0 ? BRIGHT : DARK;
        pixels[3 * n] = value;
        pixels[3 * n + 1] = yuv ? 128 : value;
        pixels[3 * n + 2] = yuv ? 128 : value;
    }
}

static size_t number_on(const struct ox_media *media, size_t frame)
{
    size_t number = 0;
    for (size_t bit = 0; bit < N_BITS; bit++) {
        const size_t y = bit / (WIDTH / SQUARE) * SQUARE + SQUARE / 2;
        const size_t x = bit % (WIDTH / SQUARE) * SQUARE + SQUARE / 2;
        const size_t at = ((frame * media->height + y) * media->width + x) * 3;
        number |= (size_t)(media->pixels[at] > 128) << bit;
    }
    return number;
}

static enum ox_status load_path(const char *path, double fps, uint32_t max_frames, struct ox_media *media,
                                struct ox_error *err)
{
    struct ox_media_options wanted = options;
    const struct ox_media_source source = ox_media_source_path(path);
    wanted.fps = fps;
    wanted.max_frames = max_frames;
    return ox_media_load_video(&wanted, &source, media, err);
}

static enum ox_status load(double fps, uint32_t max_frames, struct ox_media *media, struct ox_error *err)
{
    return load_path(TMP, fps, max_frames, media, err);
}

static bool make(const struct clip_spec *spec)
{
    const char *why = NULL;
    bool yuv = strncmp(spec->format, "yuv", 3) == 0;
    const bool made = clip_make(TMP, spec, draw_number, &yuv, &why);
    if (!made) {
        NOTE("%s in %s is left out: this FFmpeg lacks %s", spec->encoder, spec->container, why);
    }
    return made;
}

/* ---- the right frames ------------------------------------------------------------------------------------------- */

static const struct clip_spec kinds[] = {
    {"matroska", "ffv1", "bgr0", HEIGHT, WIDTH, 6, 1, 0, 0, 0, false},
    {"mp4", "libx264", "yuv420p", HEIGHT, WIDTH, 6, 1, 0, 0, 0, false},
    {"mp4", "libx264", "yuv420p", HEIGHT, WIDTH, 140, 25, 30, 2, 0, false},
    {"mov", "libx264", "yuv420p", HEIGHT, WIDTH, 120, 30, 250, 3, 0, false},
    {"matroska", "libx264", "yuv420p", HEIGHT, WIDTH, 120, 24, 12, 2, 0, false},
    {"mpegts", "libx264", "yuv420p", HEIGHT, WIDTH, 110, 25, 25, 2, 0, false},
    {"flv", "libx264", "yuv420p", HEIGHT, WIDTH, 75, 25, 20, 2, 0, false},
    {"avi", "libx264", "yuv420p", HEIGHT, WIDTH, 75, 25, 20, 0, 0, false},
    {"h264", "libx264", "yuv420p", HEIGHT, WIDTH, 75, 25, 20, 2, 0, false},
    {"webm", "libvpx-vp9", "yuv420p", HEIGHT, WIDTH, 60, 20, 30, 0, 0, false},
    {"webm", "libvpx", "yuv420p", HEIGHT, WIDTH, 60, 20, 30, 0, 0, false},
    {"mpeg", "mpeg2video", "yuv420p", HEIGHT, WIDTH, 75, 25, 15, 2, 0, false},
    {"avi", "mpeg4", "yuv420p", HEIGHT, WIDTH, 75, 25, 15, 2, 0, false},
    {"avi", "mjpeg", "yuvj420p", HEIGHT, WIDTH, 50, 10, 0, 0, 0, false},
    {"matroska", "ffv1", "bgr0", HEIGHT, WIDTH, 200, 50, 1, 0, 0, false},
};

static void right_frames(const struct clip_spec *spec, double fps)
{
    struct ox_media media = {0};
    struct ox_error err = {0};
    char text[128];
    snprintf(text, sizeof text, "%s in %s, %zu frames at %d, wanted %g", spec->encoder, spec->container, spec->n_frames,
             spec->fps, fps);
    if (!OK(load(fps, 0, &media, &err) == OX_OK, "%s %s", text, err.message)) {
        return;
    }
    const size_t step = (size_t)((spec->fps + fps - 1) / fps);
    const size_t n_wanted = (spec->n_frames + step - 1) / step;
    bool all = media.n_frames == n_wanted && media.n_sampled_frames == n_wanted;
    for (size_t i = 0; i < media.n_frames; i++) {
        all = all && media.frame_index[i] == i * step && number_on(&media, i) == i * step;
    }
    OK(all && media.n_source_frames == spec->n_frames && media.source_fps == spec->fps && media.height == HEIGHT &&
           media.width == WIDTH && media.kind == OX_MEDIA_VIDEO,
       "%s: the right %zu frames (%zu of %d at %g)", text, n_wanted, media.n_frames, (int)media.n_source_frames,
       media.source_fps);
    for (size_t i = 0; !all && i < media.n_frames; i++) {
        NOTE("frame %d shows %zu", (int)media.frame_index[i], number_on(&media, i));
    }
    ox_media_fini(&media);
}

static void test_kinds(void)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (make(&kinds[i])) {
            right_frames(&kinds[i], 1.0);
            right_frames(&kinds[i], kinds[i].fps);
            if (kinds[i].fps == 25) {
                right_frames(&kinds[i], 5.0);
            }
        }
    }
}

static void test_thinning(void)
{
    struct ox_media media;
    struct ox_error err = {0};
    char time[OX_MEDIA_TIMESTAMP_BYTES];
    if (!make(&(struct clip_spec){"matroska", "ffv1", "bgr0", HEIGHT, WIDTH, 100, 10, 0, 0, 0, false}) ||
        !OK(load(10.0, 12, &media, &err) == OX_OK, "a clip that is too long %s", err.message)) {
        return;
    }
    IS_INT(media.n_frames, 12, "thinned");
    IS_INT(media.n_sampled_frames, 100, "from");
    bool even = true;
    for (size_t i = 0; i < media.n_frames; i++) {
        even = even && number_on(&media, i) == i * 9 && media.frame_index[i] == i * 9;
    }
    OK(even, "evenly, from the first to the last");
    ox_media_timestamp(&media, 5, time);
    IS_STR(time, "9.0", "the time of the sixth pair");
    ox_media_fini(&media);
}

/* ---- colours, turning, size --------------------------------------------------------------------------------------- */

static void draw_colours(size_t i, size_t height, size_t width, uint8_t *pixels, void *user)
{
    const uint8_t *colour = user;
    for (size_t n = 0; n < height * width; n++) {
        pixels[3 * n] = colour != NULL ? colour[0] : (uint8_t)(n % width + i);
        pixels[3 * n + 1] = colour != NULL ? colour[1] : (uint8_t)(n / width * 2);
        pixels[3 * n + 2] = colour != NULL ? colour[2] : (uint8_t)(n * 7);
    }
}

static void test_exact(void)
{
    const char *why = NULL;
    struct ox_media media;
    struct ox_error err = {0};
    uint8_t *expected = ox_calloc(HEIGHT * WIDTH, 3);
    const struct clip_spec spec = {"matroska", "ffv1", "bgr0", HEIGHT, WIDTH, 3, 1, 0, 0, 0, false};
    if (clip_make(TMP, &spec, draw_colours, NULL, &why) &&
        OK(load(1.0, 0, &media, &err) == OX_OK && media.n_frames == 3, "FFV1 %s", err.message)) {
        bool same = true;
        for (size_t i = 0; i < 3; i++) {
            draw_colours(i, HEIGHT, WIDTH, expected, NULL);
            same = same && memcmp(expected, media.pixels + i * HEIGHT * WIDTH * 3, HEIGHT * WIDTH * 3) == 0;
        }
        OK(same, "without loss: every pixel");
        ox_media_fini(&media);
    }
    ox_free(expected);
}

/* Y'CbCr of limited range to RGB with the weights of red and blue. */
static void test_matrix(bool bt709)
{
    const double kr = bt709 ? 0.2126 : 0.299;
    const double kb = bt709 ? 0.0722 : 0.114;
    uint8_t yuv[3] = {120, 90, 190};
    const double y = (yuv[0] - 16) / 219.0;
    const double cb = (yuv[1] - 128) / 224.0;
    const double cr = (yuv[2] - 128) / 224.0;
    const double r = y + 2 * (1 - kr) * cr;
    const double b = y + 2 * (1 - kb) * cb;
    const double g = (y - kr * r - kb * b) / (1 - kr - kb);
    const double rgb[] = {r, g, b};
    const char *why = NULL;
    struct ox_media media;
    struct ox_error err = {0};
    const struct clip_spec spec = {"matroska", "ffv1", "yuv420p", HEIGHT, WIDTH, 2, 1, 0, 0, 0, bt709};
    if (clip_make(TMP, &spec, draw_colours, yuv, &why) &&
        OK(load(1.0, 0, &media, &err) == OX_OK, "YUV %s", err.message)) {
        bool near = true;
        for (size_t i = 0; i < media.height * media.width * 3; i++) {
            const double gap = media.pixels[i] - rgb[i % 3] * 255.0;
            near = near && gap < 2.0 && gap > -2.0;
        }
        OK(near, "the matrix of %s: %d %d %d, expected %.1f %.1f %.1f", bt709 ? "HD" : "SD", media.pixels[0],
           media.pixels[1], media.pixels[2], rgb[0] * 255, rgb[1] * 255, rgb[2] * 255);
        ox_media_fini(&media);
    }
}

/* One bright corner, top left as stored. */
static void draw_corner(size_t i, size_t height, size_t width, uint8_t *pixels, void *user)
{
    (void)i;
    (void)user;
    for (size_t n = 0; n < height * width; n++) {
        const bool bright = n / width < height / 2 && n % width < width / 2;
        memset(pixels + 3 * n, bright ? BRIGHT : DARK, 3);
        pixels[3 * n + 1] = pixels[3 * n + 2] = 128;
    }
}

static void test_turned(void)
{
    for (int turn = 0; turn < 360; turn += 90) {
        const char *why = NULL;
        struct ox_media media;
        struct ox_error err = {0};
        const struct clip_spec spec = {"mp4", "mpeg4", "yuv420p", HEIGHT, WIDTH, 2, 1, 0, 0, turn, false};
        if (clip_make(TMP, &spec, draw_corner, NULL, &why) &&
            OK(load(1.0, 0, &media, &err) == OX_OK, "turned by %d %s", turn, err.message)) {
            /* Clockwise: top left, top right, bottom right, bottom left. */
            const bool right = turn == 90 || turn == 180;
            const bool bottom = turn == 180 || turn == 270;
            const size_t y = bottom ? media.height - 10 : 10;
            const size_t x = right ? media.width - 10 : 10;
            const bool across = turn % 180 == 90;
            OK(media.height == (across ? WIDTH : HEIGHT) && media.width == (across ? HEIGHT : WIDTH) &&
                   media.pixels[(y * media.width + x) * 3] > 128 &&
                   media.pixels[((media.height - 1 - y) * media.width + media.width - 1 - x) * 3] < 128,
               "turned by %d: upright", turn);
            ox_media_fini(&media);
        }
    }
}

static void test_size(void)
{
    struct ox_media media;
    struct ox_error err = {0};
    struct ox_media_options small = options;
    const struct ox_media_source source = ox_media_source_path(TMP);
    small.max_video_pixels = 10 * 4000;
    if (make(&(struct clip_spec){"matroska", "ffv1", "bgr0", HEIGHT, WIDTH, 10, 1, 0, 0, 0, false})) {
        OK(ox_media_load_video(&small, &source, &media, &err) == OX_OK && media.n_frames == 10 &&
               media.height * media.width <= 4000 && media.source_height == HEIGHT,
           "many frames are smaller: %zu x %zu", media.height, media.width);
        ox_media_fini(&media);
    }
}

/* Key frames make it cheap to take few frames of many. */
static double processor_ms(double fps)
{
    struct ox_media media;
    struct ox_error err = {0};
    const double before = tap_children_ms();
    if (load(fps, 4000, &media, &err) != OX_OK) {
        OK(false, "%s", err.message);
        return 0.0;
    }
    ox_media_fini(&media);
    return tap_children_ms() - before;
}

static void test_seeking(void)
{
    if (make(&(struct clip_spec){"mp4", "mpeg4", "yuv420p", HEIGHT, WIDTH, 2000, 50, 10, 0, 0, false})) {
        const double few = processor_ms(1.0);
        const double all = processor_ms(50.0);
        OK(few < all / 2.0, "40 frames of 2,000: %.0f ms of processor time, all: %.0f ms", few, all);
    }
}

/* ---- broken files --------------------------------------------------------------------------------------------------- */

static void test_broken_off(void)
{
    struct ox_media media;
    struct ox_error err = {0};
    struct ox_map map = {0};
    if (!make(&(struct clip_spec){"matroska", "ffv1", "bgr0", HEIGHT, WIDTH, 10, 1, 0, 0, 0, false}) ||
        ox_map_open(TMP, &map, &err) != OX_OK) {
        return;
    }
    const struct ox_media_source source = ox_media_source_bytes("x.mkv", map.ptr, map.len * 6 / 10);
    if (OK(ox_media_load_video(&options, &source, &media, &err) == OX_OK, "a clip that breaks off %s", err.message)) {
        bool right = media.n_frames >= 3 && media.n_frames <= 7;
        for (size_t i = 0; i < media.n_frames - 1; i++) {
            right = right && number_on(&media, i) == i;
        }
        OK(right, "gives %zu frames", media.n_frames);
        ox_media_fini(&media);
    }
    ox_map_close(&map);
}

static void test_damaged(const struct clip_spec *spec)
{
    struct ox_buf copy = {0};
    struct ox_map map = {0};
    struct ox_error err = {0};
    struct ox_rng rng;
    size_t n_decoded = 0;
    bool fair = true;
    if (!make(spec) || ox_map_open(TMP, &map, &err) != OX_OK) {
        return;
    }
    ox_rng_init(&rng, map.len);
    for (size_t i = 0; i < N_DAMAGED && fair; i++) {
        struct ox_media media;
        ox_buf_clear(&copy);
        ox_buf_add(&copy, map.ptr, i % 4 == 0 ? (size_t)ox_rng_below(&rng, map.len) : map.len);
        for (size_t j = 0; copy.len > 0 && i % 4 != 0 && j < 1 + i % 7; j++) {
            const uint64_t range = i % 2 == 0 ? 500 : copy.len;
            copy.ptr[ox_rng_below(&rng, range < copy.len ? range : copy.len)] = (char)ox_rng_next(&rng);
        }
        const struct ox_media_source source = ox_media_source_bytes("x", (const uint8_t *)ox_buf_text(&copy), copy.len);
        const enum ox_status status = ox_media_load_video(&options, &source, &media, &err);
        fair = status == OX_OK || status == OX_E_FORMAT || status == OX_E_LIMIT || status == OX_E_NOMEM;
        if (status == OX_OK) {
            n_decoded++;
            ox_media_fini(&media);
        }
    }
    OK(fair, "%s in %s, %d times shortened or damaged: an error or a clip (%zu) %s", spec->encoder, spec->container,
       N_DAMAGED, n_decoded, fair ? "" : err.message);
    ox_map_close(&map);
    ox_buf_fini(&copy);
}

static void is_refused(const char *name, enum ox_status expected, const char *message)
{
    struct ox_media media;
    struct ox_error err = {0};
    const double before = tap_children_ms();
    IS_INT(load(1.0, 0, &media, &err), expected, name);
    OK(strcmp(err.message, message) == 0, "message: %s", err.message);
    const double took_ms = tap_children_ms() - before;
    OK(took_ms < 1000.0 || TAP_SANITIZED, "in %.0f ms of processor time", took_ms);
}

static void write_text(const char *text, size_t len)
{
    const int fd = open(TMP, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (write(fd, text, len) != (ssize_t)len) {
        NOTE("cannot write");
    }
    close(fd);
}

static void test_refused(void)
{
    static const char wav[] = "RIFF\x64\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1F\0\0\x40\x1F\0\0\1\0\x08\0data\x40\0\0\0"
                              "0123456789012345678901234567890123456789012345678901234567890123";
    static const char playlist[] = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n";
    static const char list[] = "ffconcat version 1.0\nfile " TMP "2\n";
    struct ox_media media;
    struct ox_error err = {0};
    struct rusage usage;
    const char *why = NULL;
    const struct clip_spec huge = {"avi", NULL, "", 30000, 30000, 1, 1, 0, 0, 0, false};
    const bool made = clip_make(TMP, &huge, NULL, NULL, &why);
    if (OK(made, "a clip that claims 30,000 x 30,000 (%s)", why)) {
        is_refused("is refused", OX_E_LIMIT,
                   TMP ": 30000 x 30000 pixels (width x height): expected at most 67108864 in all");
    }
    (void)getrusage(RUSAGE_CHILDREN, &usage);
    OK(usage.ru_maxrss < 256 * 1024 || TAP_SANITIZED, "within 256 MiB (%ld)", usage.ru_maxrss / 1024);
    write_text(wav, sizeof wav - 1);
    is_refused("sound only", OX_E_FORMAT, TMP ": expected a video, found a file without one");
    write_text("nothing that anybody knows", 26);
    is_refused("no clip", OX_E_FORMAT, TMP ": cannot be decoded: Invalid data found when processing input");
    write_text("", 0);
    is_refused("an empty file", OX_E_FORMAT, TMP ": cannot be decoded: Invalid data found when processing input");
    write_text(playlist, sizeof playlist - 1);
    OK(load(1.0, 0, &media, &err) != OX_OK, "a playlist of a file that is there");
    NOTE("%s", err.message);
    if (make(&(struct clip_spec){"matroska", "ffv1", "bgr0", HEIGHT, WIDTH, 2, 1, 0, 0, 0, false})) {
        rename(TMP, TMP "2");
        write_text(list, sizeof list - 1);
        OK(load(1.0, 0, &media, &err) != OX_OK, "a list of files that are there");
        NOTE("%s", err.message);
        unlink(TMP "2");
    }
}

int main(void)
{
    struct ox_media media;
    struct ox_error err = {0};
    const char *top = getenv("abs_top_builddir");
    snprintf(helper, sizeof helper, "%s/oxcart-media", top != NULL ? top : ".");
    options.helper_path = helper;
    write_text("x", 1);
    if (load(1.0, 0, &media, &err) == OX_E_DEVICE) {
        unlink(TMP);
        tap_skip_all(err.message);
    }
    test_refused();
    test_kinds();
    test_thinning();
    test_exact();
    test_matrix(false);
    test_matrix(true);
    test_turned();
    test_size();
    test_seeking();
    test_broken_off();
    test_damaged(&(struct clip_spec){"matroska", "ffv1", "bgr0", HEIGHT, WIDTH, 5, 1, 0, 0, 0, false});
    test_damaged(&(struct clip_spec){"mp4", "libx264", "yuv420p", HEIGHT, WIDTH, 20, 5, 10, 2, 0, false});
    test_damaged(&(struct clip_spec){"mpegts", "mpeg2video", "yuv420p", HEIGHT, WIDTH, 20, 25, 10, 2, 0, false});
    unlink(TMP);
    return tap_done();
}
