/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading, knowing again, encoding and forgetting of pictures and clips.
 */
#include "engine/pictures.h"

#include <string.h>

#include "base/bytes.h"
#include "base/ckd.h"
#include "base/mem.h"
#include "engine/picture_encoder.h"
#include "os/file.h"
#include "text/markers.h"

static void free_picture(struct ox_picture *picture)
{
    ox_media_fini(&picture->media);
    ox_buf_fini(&picture->origin);
    ox_free(picture->features);
    ox_free(picture);
}

void ox_pictures_fini(struct ox_pictures *pictures)
{
    for (size_t i = 0; i < pictures->n; i++) {
        free_picture(pictures->list[i]);
    }
    if (pictures->room.all != NULL) {
        /* relaxed, as in take_room: it is a number, nothing else is read because of it */
        (void)atomic_fetch_sub_explicit(pictures->room.all, pictures->room.n, memory_order_relaxed);
    }
    ox_free(pictures->list);
    ox_free(pictures->helper);
    memset(pictures, 0, sizeof *pictures);
}

enum ox_status ox_pictures_choose(const char *helper, int64_t max_pixels, double fps, int32_t max_frames,
                                  struct ox_pictures *pictures, struct ox_error *err)
{
    if (max_pixels < 0 || max_frames < 0 || !(fps >= 0.0)) {
        return ox_error_set(err, OX_E_ARG, "options: max_pixels, fps or max_frames is below 0");
    }
    if (helper != NULL) {
        pictures->helper = ox_strdup(helper);
        if (pictures->helper == NULL) {
            return ox_error_nomem(err, strlen(helper));
        }
    }
    pictures->options = (struct ox_media_options){.helper_path = pictures->helper,
                                                  .max_pixels = (uint64_t)max_pixels,
                                                  .fps = fps,
                                                  .max_frames = (uint32_t)max_frames};
    return OX_OK;
}

enum ox_status ox_pictures_check(const struct oxcart_engine *engine, struct ox_error *err)
{
    const struct ox_config *c = &engine->config;
    const struct {
        const char *name;
        size_t expected;
        size_t found;
    } sizes[] = {{"patch_size", OX_PATCH_SIDE, c->vision.patch},
                 {"spatial_merge_size", OX_PATCH_MERGE, c->vision.merge},
                 {"temporal_patch_size", OX_PATCH_FRAMES, c->vision.temporal},
                 {"num_channels", 3, c->vision.n_channels}};
    if (engine->weights.vision.layers == NULL) {
        return ox_error_set(err, OX_E_STATE, "%s cannot see: it has no vision tower", engine->name);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i].found != sizes[i].expected) {
            return ox_error_set(err, OX_E_SHAPE, "%s: vision_config: %s: expected %zu, found %zu", engine->name,
                                sizes[i].name, sizes[i].expected, sizes[i].found);
        }
    }
    if (engine->tokenizer != NULL &&
        (c->image_token < 0 || c->image_token != engine->markers.image || c->video_token != engine->markers.video ||
         engine->markers.media_begin < 0 || engine->markers.media_end < 0)) {
        return ox_error_set(err, OX_E_SHAPE, "%s: tokens of pictures and clips: config.json names %d and %d, "
                            "tokenizer.json %d and %d, between %d and %d", engine->name, c->image_token, c->video_token,
                            engine->markers.image, engine->markers.video, engine->markers.media_begin,
                            engine->markers.media_end);
    }
    return OX_OK;
}

/* ---- knowing again ----------------------------------------------------------------------------------------------- */

static size_t pixel_bytes(const struct ox_media *media)
{
    return media->n_frames * media->height * media->width * 3;
}

static bool same_media(const struct ox_media *a, const struct ox_media *b)
{
    return a->kind == b->kind && a->n_frames == b->n_frames && a->height == b->height && a->width == b->width &&
           a->source_fps == b->source_fps && (a->frame_index == NULL) == (b->frame_index == NULL) &&
           (a->frame_index == NULL || memcmp(a->frame_index, b->frame_index, a->n_frames * sizeof *a->frame_index) == 0) &&
           memcmp(a->pixels, b->pixels, pixel_bytes(a)) == 0;
}

static struct ox_picture *use(struct ox_pictures *pictures, struct ox_picture *picture)
{
    picture->used = ++pictures->clock;
    return picture;
}

static struct ox_picture *find_origin(struct ox_pictures *pictures, const struct ox_buf *origin)
{
    for (size_t i = 0; origin->len > 0 && i < pictures->n; i++) {
        if (ox_str_equal(ox_buf_str(&pictures->list[i]->origin), ox_buf_str(origin))) {
            return use(pictures, pictures->list[i]);
        }
    }
    return NULL;
}

static size_t count_features(const struct ox_media *media)
{
    return ox_media_grid_t(media) * ox_media_tokens_per_t(media);
}

/* Room for n more tokens, counted at once so that no two take the same. */
static enum ox_status take_room(struct ox_pictures_room *room, size_t n, struct ox_error *err)
{
    if (room->max > 0 && n > room->max - room->n) {
        return ox_error_set(err, OX_E_STATE, "context full: the prompt's pictures and clips have more than %zu tokens "
                            "(ctx-size)", room->max);
    }
    if (room->all != NULL) {
        const size_t before = atomic_fetch_add_explicit(room->all, n, memory_order_relaxed);
        if (before > room->all_max || n > room->all_max - before) {
            (void)atomic_fetch_sub_explicit(room->all, n, memory_order_relaxed);
            return ox_error_set(err, OX_E_BUSY, "busy: the pictures and clips of other prompts have %zu tokens, and all "
                                "may have %zu", before - room->n, room->all_max);
        }
    }
    room->n += n;
    return OX_OK;
}

/* A new picture of the list, which takes media; NULL: *status says why. */
static struct ox_picture *add_new(struct ox_pictures *pictures, struct ox_media *media, uint64_t hash,
                                  enum ox_status *status, struct ox_error *err)
{
    const size_t n_features = count_features(media);
    void *list = pictures->list;
    struct ox_picture *picture = ox_calloc(1, sizeof *picture);
    if (picture == NULL || ox_grow(&list, &pictures->cap, pictures->n + 1, sizeof(struct ox_picture *)) != 0) {
        ox_free(picture);
        *status = ox_error_nomem(err, sizeof *picture);
        return NULL;
    }
    pictures->list = list;
    *status = take_room(&pictures->room, n_features, err);
    if (*status != OX_OK) {
        ox_free(picture);
        return NULL;
    }
    pictures->list[pictures->n++] = picture;
    picture->media = *media;
    picture->hash = hash;
    picture->i = pictures->n - 1;
    picture->n_features = n_features;
    memset(media, 0, sizeof *media);
    return picture;
}

/* Take media and origin into the list, or find them there. Both are empty afterwards. */
static enum ox_status add(struct ox_pictures *pictures, struct ox_media *media, struct ox_buf *origin,
                          struct ox_picture **out, struct ox_error *err)
{
    const uint64_t hash = ox_str_hash(ox_str_make((const char *)media->pixels, pixel_bytes(media)));
    struct ox_picture *picture = NULL;
    for (size_t i = 0; picture == NULL && i < pictures->n; i++) {
        if (pictures->list[i]->hash == hash && same_media(&pictures->list[i]->media, media)) {
            picture = pictures->list[i];
        }
    }
    if (picture == NULL) {
        enum ox_status status;
        picture = add_new(pictures, media, hash, &status, err);
        if (picture == NULL) {
            ox_media_fini(media);
            return status;
        }
    }
    ox_media_fini(media);
    if (origin->len > 0) { /* a file that was written again, but not changed, has a new one */
        ox_buf_fini(&picture->origin);
        picture->origin = *origin;
        ox_buf_init(origin);
    }
    *out = use(pictures, picture);
    return OX_OK;
}

/* Say where it comes from; nothing if that cannot be told, or is a file that may change without our knowing. */
static void describe_origin(enum ox_media_kind kind, const struct ox_media_source *source, struct ox_str url,
                            struct ox_buf *out)
{
    struct ox_file_stamp stamp;
    if (source->path != NULL && !ox_file_stamp(source->path, &stamp)) {
        return;
    }
    ox_buf_add_byte(out, kind == OX_MEDIA_VIDEO ? 'v' : 'i');
    if (source->path != NULL) {
        ox_buf_add(out, &stamp, sizeof stamp);
        ox_buf_add_c(out, source->path);
    } else {
        ox_buf_add_str(out, url);
    }
    if (ox_buf_failed(out)) {
        ox_buf_fini(out);
    }
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

/* What went wrong with a picture is about the picture, but for what is the caller's or the machine's affair. */
static enum ox_status about_media(enum ox_status status, struct ox_error *err)
{
    if (status == OX_OK || status == OX_E_NOMEM || status == OX_E_ARG) {
        return status;
    }
    if (err != NULL) {
        err->code = OX_E_MEDIA;
    }
    return OX_E_MEDIA;
}

static enum ox_status load_source(struct ox_pictures *pictures, enum ox_media_kind kind,
                                  const struct ox_media_source *source, struct ox_str url, struct ox_picture **out,
                                  struct ox_error *err)
{
    struct ox_buf origin = {0};
    struct ox_media media;
    memset(&media, 0, sizeof media);
    describe_origin(kind, source, url, &origin);
    *out = find_origin(pictures, &origin);
    enum ox_status status = OX_OK;
    if (*out == NULL) {
        status = kind == OX_MEDIA_VIDEO ? ox_media_load_video(&pictures->options, source, &media, err)
                                        : ox_media_load_image(&pictures->options, source, &media, err);
        if (status == OX_OK && media.n_sampled_frames > media.n_frames) {
            ox_log_message(&pictures->log, OX_LOG_WARNING, "%s: too many frames for the limit: every %.1fth of %llu is taken",
                           source->name, (double)media.n_sampled_frames / (double)media.n_frames,
                           (unsigned long long)media.n_sampled_frames);
        }
        status = status == OX_OK ? add(pictures, &media, &origin, out, err) : about_media(status, err);
    }
    ox_buf_fini(&origin);
    return status;
}

enum ox_status ox_pictures_load_url(struct ox_pictures *pictures, enum ox_media_kind kind, struct ox_str url,
                                    const char *folder, struct ox_picture **out, struct ox_error *err)
{
    struct ox_buf room = {0};
    struct ox_media_source source;
    char *joined = NULL;
    enum ox_status status = ox_media_source_url(url, &room, &source, err);
    if (status == OX_E_FORMAT) {
        status = about_media(status, err);
    }
    if (status == OX_OK && source.path != NULL && source.path[0] != '/' && folder != NULL) {
        joined = ox_path_join(folder, source.path);
        status = joined != NULL ? OX_OK : ox_error_nomem(err, url.len);
        source = ox_media_source_path(joined);
    }
    if (status == OX_OK) {
        status = load_source(pictures, kind, &source, url, out, err);
    }
    ox_free(joined);
    ox_buf_fini(&room);
    return status;
}

/* Most pixels of a frame, so that all frames together are within their limit, as of clips out of files. */
static struct ox_media_options frame_options(const struct ox_media_options *options, size_t n_frames)
{
    struct ox_media_options frame = *options;
    const uint64_t all = options->max_video_pixels != 0 ? options->max_video_pixels : 45158400;
    const uint64_t one = options->max_frame_pixels != 0 ? options->max_frame_pixels : 602112;
    frame.max_pixels = all / n_frames < one ? all / n_frames : one;
    frame.max_pixels = frame.max_pixels > OX_MEDIA_MIN_PIXELS ? frame.max_pixels : OX_MEDIA_MIN_PIXELS;
    return frame;
}

/* A clip whose frames are there: each is made smaller as a picture is. */
static enum ox_status clip_from_pixels(const struct ox_media_options *options, const struct oxcart_media *from,
                                       struct ox_media *out, struct ox_error *err)
{
    const size_t n = (size_t)from->n_frames;
    const struct ox_media_options frame = frame_options(options, n);
    const size_t source_bytes = (size_t)from->height * (size_t)from->width * 3;
    enum ox_status status = OX_OK;
    out->frame_index = ox_calloc(n, sizeof *out->frame_index);
    if (out->frame_index == NULL) {
        return ox_error_nomem(err, n * sizeof *out->frame_index);
    }
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        struct ox_media one;
        memset(&one, 0, sizeof one);
        status = ox_media_from_pixels(&frame, from->pixels + i * source_bytes, (size_t)from->height,
                                      (size_t)from->width, &one, err);
        if (status == OX_OK && i == 0) {
            out->height = one.height;
            out->width = one.width;
            out->pixels = ox_calloc(n, pixel_bytes(&one));
            status = out->pixels != NULL ? OX_OK : ox_error_nomem(err, n * pixel_bytes(&one));
        }
        if (status == OX_OK) {
            memcpy(out->pixels + i * pixel_bytes(&one), one.pixels, pixel_bytes(&one));
            out->frame_index[i] = i;
        }
        ox_media_fini(&one);
    }
    out->kind = OX_MEDIA_VIDEO;
    out->n_frames = n;
    out->source_height = (size_t)from->height;
    out->source_width = (size_t)from->width;
    out->source_fps = from->frames_s;
    out->n_source_frames = n;
    out->n_sampled_frames = n;
    return status;
}

static enum ox_status load_pixels(struct ox_pictures *pictures, const struct oxcart_media *from,
                                  struct ox_picture **out, struct ox_error *err)
{
    const bool clip = from->kind == OXCART_MEDIA_VIDEO;
    const uint64_t max_frames = pictures->options.max_frames != 0 ? pictures->options.max_frames : 768;
    struct ox_buf origin = {0};
    struct ox_media media;
    memset(&media, 0, sizeof media);
    if (from->height < 1 || from->width < 1 || from->n_frames < 1 || (!clip && from->n_frames != 1) ||
        !(from->frames_s >= 0.0)) {
        return ox_error_set(err, OX_E_ARG, "media: expected pixels of 1 or more frames (a picture: 1), rows and columns, "
                            "found %d, %d and %d", from->n_frames, from->height, from->width);
    }
    if (clip && (uint64_t)from->n_frames > max_frames) {
        return ox_error_set(err, OX_E_MEDIA, "a clip of %d frames: expected at most %llu (max-frames)", from->n_frames,
                            (unsigned long long)max_frames);
    }
    const enum ox_status status =
        clip ? clip_from_pixels(&pictures->options, from, &media, err)
             : ox_media_from_pixels(&pictures->options, from->pixels, (size_t)from->height, (size_t)from->width, &media,
                                    err);
    if (status != OX_OK) {
        ox_media_fini(&media);
        return about_media(status, err);
    }
    return add(pictures, &media, &origin, out, err);
}

enum ox_status ox_pictures_load(struct ox_pictures *pictures, const struct oxcart_media *media, struct ox_picture **out,
                                struct ox_error *err)
{
    const bool clip = media->kind == OXCART_MEDIA_VIDEO;
    const int n_sources =
        (media->path != NULL ? 1 : 0) + (media->bytes != NULL ? 1 : 0) + (media->pixels != NULL ? 1 : 0);
    if (media->size != sizeof *media || n_sources != 1 || (!clip && media->kind != OXCART_MEDIA_IMAGE)) {
        return ox_error_set(err, OX_E_ARG, "media: size or kind is not set, or there is not exactly one of path, bytes and "
                            "pixels");
    }
    if (media->pixels != NULL) {
        return load_pixels(pictures, media, out, err);
    }
    const enum ox_media_kind kind = clip ? OX_MEDIA_VIDEO : OX_MEDIA_IMAGE;
    struct ox_media_source source = ox_media_source_bytes(clip ? "clip" : "picture", media->bytes, media->n_bytes);
    if (media->path != NULL) {
        source = ox_media_source_path(media->path);
    }
    if (media->name != NULL) {
        source.name = media->name;
    }
    return load_source(pictures, kind, &source, ox_str_make((const char *)media->bytes, media->n_bytes), out, err);
}

enum ox_status ox_pictures_add(struct ox_pictures *pictures, struct ox_media *media, struct ox_picture **out,
                               struct ox_error *err)
{
    struct ox_buf origin = {0};
    return add(pictures, media, &origin, out, err);
}

struct ox_hash ox_picture_hash(const struct ox_picture *picture, struct ox_hash key)
{
    const struct ox_media *media = &picture->media;
    const size_t sizes[] = {(size_t)media->kind, media->n_frames, media->height, media->width};
    uint8_t bytes[sizeof sizes / sizeof sizes[0] * 8];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ox_bytes_put(bytes + 8 * i, sizes[i], 8);
    }
    return ox_siphash(ox_siphash(key, bytes, sizeof bytes), media->pixels, pixel_bytes(media));
}

uint64_t ox_picture_row_hash(struct ox_hash hash, size_t row)
{
    uint8_t bytes[8];
    ox_bytes_put(bytes, row, sizeof bytes);
    return ox_siphash(hash, bytes, sizeof bytes).word[0];
}

void ox_pictures_settle(struct ox_pictures *pictures)
{
    for (size_t i = 0; i < pictures->n; i++) {
        ox_buf_fini(&pictures->list[i]->origin);
    }
    ox_free(pictures->helper);
    pictures->helper = NULL;
    pictures->options.helper_path = NULL;
}

/* ---- the model's side -------------------------------------------------------------------------------------------- */

void ox_picture_text(const struct ox_picture *picture, struct ox_buf *out)
{
    const struct ox_media *media = &picture->media;
    const bool clip = media->kind == OX_MEDIA_VIDEO;
    for (size_t t = 0; t < ox_media_grid_t(media); t++) {
        char time[OX_MEDIA_TIMESTAMP_BYTES] = "";
        if (clip) {
            ox_media_timestamp(media, t, time);
        }
        if (time[0] != '\0') {
            ox_buf_printf(out, "]<]%s seconds[>[", time);
        }
        ox_buf_add_c(out, OX_TEXT_MEDIA_BEGIN);
        for (size_t i = 0; i < ox_media_tokens_per_t(media); i++) {
            ox_buf_add_c(out, clip ? OX_TEXT_VIDEO : OX_TEXT_IMAGE);
        }
        ox_buf_add_c(out, OX_TEXT_MEDIA_END);
    }
}

/* Features of all segments. */
static enum ox_status encode_all(struct ox_picture_encoder *encoder, bool (*stop)(void *user), void *user,
                                 struct ox_error *err)
{
    bool more = true;
    while (more) {
        if (stop(user)) {
            return ox_error_set(err, OX_E_CANCELLED, "stopped after %zu of %zu parts of a picture or clip", encoder->t,
                                ox_media_grid_t(encoder->media));
        }
        more = ox_picture_encoder_advance(encoder, SIZE_MAX);
    }
    return OX_OK;
}

enum ox_status ox_picture_new_features(const struct oxcart_engine *engine, const struct ox_picture *picture,
                                       float **out, struct ox_error *err)
{
    const size_t row_bytes = engine->config.hidden * sizeof(float);
    uint64_t bytes;
    if (ox_ckd_mul_u64(&bytes, picture->n_features, row_bytes) ||
        ox_ckd_add_u64(&bytes, bytes, ox_picture_encoder_bytes(engine, &picture->media))) {
        bytes = UINT64_MAX;
    }
    const enum ox_status status = ox_engine_check_memory(engine, bytes, err);
    if (status != OX_OK) {
        return status;
    }
    *out = ox_calloc(picture->n_features, row_bytes);
    return *out != NULL ? OX_OK : ox_error_nomem(err, picture->n_features * row_bytes);
}

enum ox_status ox_picture_encode(struct oxcart_engine *engine, struct ox_picture *picture, bool (*stop)(void *user),
                                 void *user, struct ox_error *err)
{
    struct ox_picture_encoder encoder = {0};
    float *features = NULL;
    enum ox_status status = ox_picture_new_features(engine, picture, &features, err);
    if (status == OX_OK) {
        status = ox_picture_encoder_open(engine, &picture->media, features, 0, &encoder, err);
    }
    if (status == OX_OK) {
        status = encode_all(&encoder, stop, user, err);
    }
    ox_picture_encoder_close(&encoder);
    if (status != OX_OK) {
        ox_free(features);
        return status;
    }
    picture->features = features;
    return OX_OK;
}

/* ---- forgetting -------------------------------------------------------------------------------------------------- */

static uint64_t bytes_of(const struct ox_pictures *pictures, const struct ox_picture *picture)
{
    return pixel_bytes(&picture->media) + picture->origin.len +
           (picture->features != NULL ? picture->n_features * pictures->feature_bytes : 0);
}

/* The longest unused of those that have features, or of those that may go altogether. NULL: none. */
static struct ox_picture *find_oldest(const struct ox_pictures *pictures, bool with_features, size_t *at)
{
    struct ox_picture *oldest = NULL;
    for (size_t i = 0; i < pictures->n; i++) {
        struct ox_picture *picture = pictures->list[i];
        if ((with_features ? picture->features != NULL : !picture->kept) && (oldest == NULL || picture->used < oldest->used)) {
            oldest = picture;
            *at = i;
        }
    }
    return oldest;
}

void ox_pictures_trim(struct ox_pictures *pictures)
{
    uint64_t total = 0;
    for (size_t i = 0; i < pictures->n; i++) {
        total += bytes_of(pictures, pictures->list[i]);
    }
    while (total > pictures->max_bytes) {
        size_t at = 0;
        struct ox_picture *picture = find_oldest(pictures, true, &at);
        if (picture != NULL) {
            total -= picture->n_features * pictures->feature_bytes;
            ox_free(picture->features);
            picture->features = NULL;
            continue;
        }
        picture = find_oldest(pictures, false, &at);
        if (picture == NULL) {
            return;
        }
        total -= bytes_of(pictures, picture);
        pictures->list[at] = pictures->list[--pictures->n];
        pictures->list[at]->i = at;
        free_picture(picture);
    }
}
