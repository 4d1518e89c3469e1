/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper's answers: good ones, each way in which one can lie, and every shortened one.
 */
#include "media/frames.h"

#include <math.h>

#include "base/buf.h"
#include "base/mem.h"
#include "media/protocol.h"
#include "tests/oom.h"
#include "tests/tap.h"

#define SIDE ((uint64_t)56)
#define FRAME_BYTES (SIDE * SIDE * 3)

static const struct ox_media_options options = {
    .max_pixels = 451584,
    .max_frame_pixels = 602112,
    .max_video_pixels = 45158400,
    .fps = 1.0,
    .max_frames = 4,
    .max_source_pixels = 10000,
};

struct reader {
    struct ox_str bytes;
    size_t at;
};

static enum ox_status read_bytes(void *user, void *bytes, size_t len, struct ox_error *err)
{
    struct reader *reader = user;
    if (reader->bytes.len - reader->at < len) {
        return ox_error_set(err, OX_E_IO, "the end");
    }
    memcpy(bytes, reader->bytes.ptr + reader->at, len);
    reader->at += len;
    return OX_OK;
}

static enum ox_status read_answer(struct ox_str bytes, enum ox_media_kind kind, struct ox_media *out,
                                  struct ox_error *err)
{
    struct reader reader = {bytes, 0};
    const struct ox_frames_input input = {read_bytes, &reader};
    return ox_frames_read(&input, kind, &options, out, err);
}

static void add_head(struct ox_buf *buf, uint32_t kind, uint64_t len)
{
    const struct ox_protocol_head head = {OX_PROTOCOL_MAGIC, kind, len};
    ox_buf_add(buf, &head, sizeof head);
}

static void add_frame(struct ox_buf *buf, uint64_t index, char fill)
{
    add_head(buf, OX_PROTOCOL_FRAME, sizeof index + FRAME_BYTES);
    ox_buf_add(buf, &index, sizeof index);
    for (size_t i = 0; i < FRAME_BYTES; i++) {
        ox_buf_add_byte(buf, fill);
    }
}

static struct ox_protocol_info info_of(enum ox_media_kind kind)
{
    const bool image = kind == OX_MEDIA_IMAGE;
    const struct ox_protocol_info info = {.source_height = 50,
                                          .source_width = 60,
                                          .height = SIDE,
                                          .width = SIDE,
                                          .n_frames = image ? 1 : 3,
                                          .n_sampled_frames = image ? 1 : 6,
                                          .n_source_frames = image ? 1 : 100,
                                          .source_fps = image ? 0.0 : 25.0};
    return info;
}

static void make(struct ox_buf *buf, const struct ox_protocol_info *info, uint64_t n_frames)
{
    ox_buf_clear(buf);
    add_head(buf, OX_PROTOCOL_INFO, sizeof *info);
    ox_buf_add(buf, info, sizeof *info);
    for (uint64_t i = 0; i < n_frames; i++) {
        add_frame(buf, 10 * i, (char)('a' + i));
    }
    add_head(buf, OX_PROTOCOL_END, 0);
}

static void test_good(void)
{
    struct ox_buf buf = {0};
    struct ox_media media;
    struct ox_error err = {0};
    struct ox_protocol_info info = info_of(OX_MEDIA_IMAGE);
    make(&buf, &info, 1);
    OK(read_answer(ox_buf_str(&buf), OX_MEDIA_IMAGE, &media, &err) == OX_OK, "a picture %s", err.message);
    OK(media.kind == OX_MEDIA_IMAGE && media.n_frames == 1 && media.height == SIDE && media.width == SIDE &&
           media.source_height == 50 && media.source_width == 60 && media.frame_index == NULL &&
           media.pixels[FRAME_BYTES - 1] == 'a',
       "its members");
    ox_media_fini(&media);
    info = info_of(OX_MEDIA_VIDEO);
    make(&buf, &info, 3);
    OK(read_answer(ox_buf_str(&buf), OX_MEDIA_VIDEO, &media, &err) == OX_OK, "a clip");
    OK(media.n_frames == 3 && media.frame_index[2] == 20 && media.source_fps == 25.0 && media.n_source_frames == 100 &&
           media.n_sampled_frames == 6 && media.pixels[2 * FRAME_BYTES] == 'c',
       "its members");
    ox_media_fini(&media);
    for (size_t len = 0; len < buf.len; len += len < 200 || buf.len - len < 40 ? 1 : 997) {
        if (read_answer(ox_str_make(buf.ptr, len), OX_MEDIA_VIDEO, &media, &err) != OX_E_IO) {
            OK(false, "cut to %zu bytes", len);
            break;
        }
    }
    OK(true, "every shortened answer is refused");
    make(&buf, &info, 2);
    OK(read_answer(ox_buf_str(&buf), OX_MEDIA_VIDEO, &media, &err) == OX_OK && media.n_frames == 2,
       "a clip that breaks off");
    ox_media_fini(&media);
    for (long n = 1; n < 10; n++) {
        oom_arm(n);
        const enum ox_status status = read_answer(ox_buf_str(&buf), OX_MEDIA_VIDEO, &media, &err);
        if (!oom_disarm()) {
            OK(status == OX_OK && n == 3, "%ld allocations", n - 1);
            ox_media_fini(&media);
            break;
        }
        IS_INT(status, OX_E_NOMEM, "an allocation fails");
    }
    ox_buf_fini(&buf);
}

static void is_nonsense(const struct ox_buf *buf, enum ox_media_kind kind, const char *what)
{
    struct ox_media media;
    struct ox_error err = {0};
    char message[128];
    snprintf(message, sizeof message, "the decoder answered nonsense (%s)", what);
    IS_INT(read_answer(ox_buf_str(buf), kind, &media, &err), OX_E_IO, what);
    IS_STR(err.message, message, "message");
}

static void test_lies(void)
{
    static const struct {
        enum ox_media_kind kind;
        size_t member;
        uint64_t value;
        const char *what;
    } rows[] = {
#define ROW(kind, member, value, what) {kind, offsetof(struct ox_protocol_info, member), value, what}
        ROW(OX_MEDIA_IMAGE, source_height, 0, "size of the source"),
        ROW(OX_MEDIA_IMAGE, source_width, 0, "size of the source"),
        ROW(OX_MEDIA_IMAGE, source_width, 201, "size of the source"),
        ROW(OX_MEDIA_IMAGE, source_width, UINT64_MAX / 2, "size of the source"),
        ROW(OX_MEDIA_IMAGE, height, 28, "size of the frames"),
        ROW(OX_MEDIA_IMAGE, width, 84, "size of the frames"),
        ROW(OX_MEDIA_IMAGE, source_height, 100, "size of the frames"),
        ROW(OX_MEDIA_IMAGE, n_frames, 0, "number of frames"),
        ROW(OX_MEDIA_IMAGE, n_frames, 2, "number of frames"),
        ROW(OX_MEDIA_IMAGE, n_source_frames, 2, "number of frames"),
        ROW(OX_MEDIA_VIDEO, n_frames, 5, "number of frames"),
        ROW(OX_MEDIA_VIDEO, n_sampled_frames, 2, "number of frames"),
        ROW(OX_MEDIA_VIDEO, n_source_frames, 5, "number of frames"),
        ROW(OX_MEDIA_VIDEO, n_source_frames, UINT64_MAX, "number of frames"),
        ROW(OX_MEDIA_IMAGE, source_fps, 0x3FF0000000000000U, "frame rate"), /* 1.0 */
        ROW(OX_MEDIA_VIDEO, source_fps, 0xBFF0000000000000U, "frame rate"), /* -1.0 */
        ROW(OX_MEDIA_VIDEO, source_fps, 0x7FF0000000000000U, "frame rate"), /* infinity */
        ROW(OX_MEDIA_VIDEO, source_fps, 0x7FF8000000000000U, "frame rate"), /* NaN */
#undef ROW
    };
    struct ox_buf buf = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ox_protocol_info info = info_of(rows[i].kind);
        memcpy((char *)&info + rows[i].member, &rows[i].value, sizeof rows[i].value);
        make(&buf, &info, 1);
        is_nonsense(&buf, rows[i].kind, rows[i].what);
    }
    struct ox_protocol_info info = info_of(OX_MEDIA_VIDEO);
    ox_buf_clear(&buf);
    ox_buf_add(&buf, "GIF89a...........................", 32);
    is_nonsense(&buf, OX_MEDIA_IMAGE, "no message");
    ox_buf_clear(&buf);
    add_head(&buf, OX_PROTOCOL_END, 0);
    is_nonsense(&buf, OX_MEDIA_IMAGE, "first message");
    ox_buf_clear(&buf);
    add_head(&buf, OX_PROTOCOL_INFO, 8);
    is_nonsense(&buf, OX_MEDIA_IMAGE, "first message");
    make(&buf, &info, 0);
    is_nonsense(&buf, OX_MEDIA_VIDEO, "end of the frames");
    make(&buf, &info, 4);
    is_nonsense(&buf, OX_MEDIA_VIDEO, "length of a frame");
    make(&buf, &info, 1);
    ox_buf_cut(&buf, buf.len - sizeof(struct ox_protocol_head));
    add_frame(&buf, 0, 'x');
    is_nonsense(&buf, OX_MEDIA_VIDEO, "order of frames");
    make(&buf, &info, 1);
    ox_buf_cut(&buf, buf.len - sizeof(struct ox_protocol_head));
    add_frame(&buf, 100, 'x');
    is_nonsense(&buf, OX_MEDIA_VIDEO, "order of frames");
    make(&buf, &info, 1);
    ox_buf_cut(&buf, buf.len - sizeof(struct ox_protocol_head));
    add_head(&buf, OX_PROTOCOL_INFO, sizeof info);
    is_nonsense(&buf, OX_MEDIA_VIDEO, "end of the frames");
    make(&buf, &info, 1);
    ox_buf_cut(&buf, buf.len - sizeof(struct ox_protocol_head));
    add_head(&buf, OX_PROTOCOL_FRAME, FRAME_BYTES);
    is_nonsense(&buf, OX_MEDIA_VIDEO, "length of a frame");
    ox_buf_fini(&buf);
}

static void add_error(struct ox_buf *buf, uint32_t code, const char *text, size_t len)
{
    add_head(buf, OX_PROTOCOL_ERROR, sizeof code + len);
    ox_buf_add(buf, &code, sizeof code);
    ox_buf_add(buf, text, len);
}

static void test_errors(void)
{
    struct ox_buf buf = {0};
    struct ox_media media;
    struct ox_error err = {0};
    char text[OX_PROTOCOL_MAX_ERROR_BYTES + 1];
    const struct ox_protocol_info info = info_of(OX_MEDIA_VIDEO);
    memset(text, 'x', sizeof text);
    add_error(&buf, OX_E_FORMAT, "broken\x1B[31m\n", 12);
    IS_INT(read_answer(ox_buf_str(&buf), OX_MEDIA_IMAGE, &media, &err), OX_E_FORMAT, "an error at once");
    IS_STR(err.message, "broken?[31m?", "cleaned");
    make(&buf, &info, 1);
    ox_buf_cut(&buf, buf.len - sizeof(struct ox_protocol_head));
    add_error(&buf, OX_E_LIMIT, "much", 4);
    IS_INT(read_answer(ox_buf_str(&buf), OX_MEDIA_VIDEO, &media, &err), OX_E_LIMIT, "an error after a frame");
    IS_STR(err.message, "much", "its text");
    ox_buf_clear(&buf);
    add_error(&buf, OX_E_LIMIT, text, sizeof text);
    is_nonsense(&buf, OX_MEDIA_IMAGE, "length of an error");
    ox_buf_clear(&buf);
    add_error(&buf, OX_E_LIMIT, "", 0);
    is_nonsense(&buf, OX_MEDIA_IMAGE, "length of an error");
    ox_buf_clear(&buf);
    add_error(&buf, OX_OK, "fine", 4);
    is_nonsense(&buf, OX_MEDIA_IMAGE, "code of an error");
    ox_buf_clear(&buf);
    add_error(&buf, 12345, "what", 4);
    is_nonsense(&buf, OX_MEDIA_IMAGE, "code of an error");
    ox_buf_fini(&buf);
}

int main(void)
{
    test_good();
    test_lies();
    test_errors();
    IS_INT(ox_frames_max_pixels(602112, 45158400, 10), 602112, "a short clip");
    IS_INT(ox_frames_max_pixels(602112, 45158400, 600), 75264, "600 frames share");
    IS_INT(ox_frames_max_pixels(602112, 45158400, 100000), OX_MEDIA_MIN_PIXELS, "never below the least");
    return tap_done();
}
