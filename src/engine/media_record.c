/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing and reading of a timeline's pictures. What is read may have been made by anybody: sizes are checked against the
 * bytes that are there before anything is allocated.
 */
#include "engine/media_record.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/ckd.h"
#include "base/mem.h"

#define HEAD_BYTES 8
#define PICTURE_BYTES 72
#define SPAN_BYTES 32

static void put(struct ox_buf *out, uint64_t value, size_t n)
{
    uint8_t bytes[8];
    ox_bytes_put(bytes, value, n);
    ox_buf_add(out, bytes, n);
}

/* The numbers of the spans' pictures in the record, from 1 in the order of first use, by their places in the session's
 * list; NULL without memory. */
static size_t *number_pictures(const struct ox_spans *spans, size_t *n_pictures)
{
    size_t n_places = 0;
    for (size_t i = 0; i < spans->len; i++) {
        const size_t place = spans->ptr[i].picture->i;
        n_places = place >= n_places ? place + 1 : n_places;
    }
    size_t *numbers = ox_calloc(n_places, sizeof *numbers);
    *n_pictures = 0;
    for (size_t i = 0; numbers != NULL && i < spans->len; i++) {
        size_t *number = &numbers[spans->ptr[i].picture->i];
        *number = *number == 0 ? ++*n_pictures : *number;
    }
    return numbers;
}

static void put_picture(struct ox_buf *out, const struct ox_media *media)
{
    uint64_t fps;
    memcpy(&fps, &media->source_fps, sizeof fps);
    put(out, media->kind == OX_MEDIA_VIDEO ? 1 : 0, 4);
    put(out, 0, 4);
    put(out, media->n_frames, 8);
    put(out, media->height, 8);
    put(out, media->width, 8);
    put(out, media->source_height, 8);
    put(out, media->source_width, 8);
    put(out, fps, 8);
    put(out, media->n_source_frames, 8);
    put(out, media->n_sampled_frames, 8);
    for (size_t i = 0; media->frame_index != NULL && i < media->n_frames; i++) {
        put(out, media->frame_index[i], 8);
    }
    ox_buf_add(out, media->pixels, media->n_frames * media->height * media->width * 3);
}

void ox_media_record_write(const struct ox_spans *spans, struct ox_buf *out)
{
    size_t n_pictures;
    size_t *numbers = number_pictures(spans, &n_pictures);
    if (numbers == NULL) {
        out->failed = true;
        return;
    }
    put(out, n_pictures, 4);
    put(out, spans->len, 4);
    size_t n_put = 0;
    for (size_t i = 0; i < spans->len; i++) {
        if (numbers[spans->ptr[i].picture->i] > n_put) {
            put_picture(out, &spans->ptr[i].picture->media);
            n_put++;
        }
    }
    for (size_t i = 0; i < spans->len; i++) {
        const struct ox_span *span = &spans->ptr[i];
        put(out, span->begin, 8);
        put(out, span->n, 8);
        put(out, span->row, 8);
        put(out, numbers[span->picture->i] - 1, 8);
    }
    ox_free(numbers);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *bytes;
    size_t left;
};

/* The next n bytes, or NULL if there are not so many. */
static const uint8_t *take(struct reader *r, size_t n)
{
    if (n > r->left) {
        return NULL;
    }
    const uint8_t *at = r->bytes;
    r->bytes += n;
    r->left -= n;
    return at;
}

static enum ox_status refuse(struct ox_error *err, const char *what)
{
    return ox_error_set(err, OX_E_FORMAT, "pictures: %s", what);
}

/* The sizes of a picture; false if they make no sense. */
static bool read_sizes(const uint8_t *head, struct ox_media *media)
{
    const uint64_t kind = ox_bytes_get(head, 4);
    const uint64_t fps = ox_bytes_get(head + 48, 8);
    media->kind = kind == 1 ? OX_MEDIA_VIDEO : OX_MEDIA_IMAGE;
    media->n_frames = (size_t)ox_bytes_get(head + 8, 8);
    media->height = (size_t)ox_bytes_get(head + 16, 8);
    media->width = (size_t)ox_bytes_get(head + 24, 8);
    media->source_height = (size_t)ox_bytes_get(head + 32, 8);
    media->source_width = (size_t)ox_bytes_get(head + 40, 8);
    memcpy(&media->source_fps, &fps, sizeof fps);
    media->n_source_frames = ox_bytes_get(head + 56, 8);
    media->n_sampled_frames = ox_bytes_get(head + 64, 8);
    return kind <= 1 && ox_bytes_get(head + 4, 4) == 0 && media->n_frames >= 1 && (kind == 1 || media->n_frames == 1) &&
           media->height >= OX_MEDIA_FACTOR && media->height % OX_MEDIA_FACTOR == 0 &&
           media->width >= OX_MEDIA_FACTOR && media->width % OX_MEDIA_FACTOR == 0 && isfinite(media->source_fps) &&
           media->source_fps >= 0.0;
}

static enum ox_status read_index(struct reader *r, struct ox_media *media, struct ox_error *err)
{
    const uint8_t *index = media->n_frames <= r->left / 8 ? take(r, media->n_frames * 8) : NULL;
    if (index == NULL) {
        return refuse(err, "a clip is cut off");
    }
    media->frame_index = ox_calloc(media->n_frames, sizeof *media->frame_index);
    if (media->frame_index == NULL) {
        return ox_error_nomem(err, media->n_frames * sizeof *media->frame_index);
    }
    for (size_t i = 0; i < media->n_frames; i++) {
        media->frame_index[i] = ox_bytes_get(index + 8 * i, 8);
        if (i > 0 && media->frame_index[i] < media->frame_index[i - 1]) {
            return refuse(err, "the frames of a clip are out of order");
        }
    }
    return OX_OK;
}

static enum ox_status read_picture(struct reader *r, struct ox_media *media, struct ox_error *err)
{
    const uint8_t *head = take(r, PICTURE_BYTES);
    size_t bytes;
    if (head == NULL || !read_sizes(head, media)) {
        return refuse(err, "the sizes of one make no sense");
    }
    enum ox_status status = media->kind == OX_MEDIA_VIDEO ? read_index(r, media, err) : OX_OK;
    if (status != OX_OK) {
        return status;
    }
    if (ox_ckd_mul(&bytes, media->n_frames, media->height) || ox_ckd_mul(&bytes, bytes, media->width) ||
        ox_ckd_mul(&bytes, bytes, 3) || bytes > r->left) {
        return refuse(err, "the pixels of one are cut off");
    }
    media->pixels = ox_calloc(bytes, 1);
    if (media->pixels == NULL) {
        return ox_error_nomem(err, bytes);
    }
    memcpy(media->pixels, take(r, bytes), bytes);
    return OX_OK;
}

static enum ox_status read_pictures(struct reader *r, size_t n, struct ox_pictures *pictures, struct ox_picture **list,
                                    struct ox_error *err)
{
    enum ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        struct ox_media media;
        memset(&media, 0, sizeof media);
        status = read_picture(r, &media, err);
        if (status == OX_OK) {
            status = ox_pictures_add(pictures, &media, &list[i], err);
        }
        ox_media_fini(&media);
    }
    return status;
}

static enum ox_status read_spans(struct reader *r, size_t n, size_t n_tokens, struct ox_picture *const *list,
                                 size_t n_pictures, struct ox_spans *spans, struct ox_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *bytes = take(r, SPAN_BYTES);
        const uint64_t number = bytes != NULL ? ox_bytes_get(bytes + 24, 8) : UINT64_MAX;
        if (number >= n_pictures) {
            return refuse(err, "tokens stand for one that is not there");
        }
        const struct ox_span span = {.begin = (size_t)ox_bytes_get(bytes, 8),
                                     .n = (size_t)ox_bytes_get(bytes + 8, 8),
                                     .row = (size_t)ox_bytes_get(bytes + 16, 8),
                                     .picture = list[number]};
        const size_t n_rows = span.picture->n_features;
        if (span.begin < at || span.begin >= n_tokens || span.n == 0 || span.n > n_tokens - span.begin ||
            span.row >= n_rows || span.n > n_rows - span.row) {
            return refuse(err, "the tokens of one make no sense");
        }
        at = span.begin + span.n;
        if (ox_spans_add(spans, &span) != 0) {
            return ox_error_nomem(err, sizeof span);
        }
    }
    return r->left == 0 ? OX_OK : refuse(err, "something follows them");
}

enum ox_status ox_media_record_read(const uint8_t *bytes, size_t len, size_t n_tokens, struct ox_pictures *pictures,
                                    struct ox_spans *spans, struct ox_error *err)
{
    struct reader r = {bytes, len};
    const uint8_t *head = take(&r, HEAD_BYTES);
    const size_t n_pictures = head != NULL ? (size_t)ox_bytes_get(head, 4) : 0;
    const size_t n_spans = head != NULL ? (size_t)ox_bytes_get(head + 4, 4) : 0;
    if (head == NULL || n_pictures > r.left / PICTURE_BYTES || n_spans > r.left / SPAN_BYTES) {
        return refuse(err, "their number makes no sense");
    }
    struct ox_picture **list = ox_calloc(n_pictures, sizeof(struct ox_picture *));
    if (list == NULL) {
        return ox_error_nomem(err, n_pictures * sizeof(struct ox_picture *));
    }
    enum ox_status status = read_pictures(&r, n_pictures, pictures, list, err);
    if (status == OX_OK) {
        status = read_spans(&r, n_spans, n_tokens, list, n_pictures, spans, err);
    }
    ox_free(list);
    return status;
}
