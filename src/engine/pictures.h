/* SPDX-License-Identifier: Apache-2.0
 *
 * The pictures and clips that a session has seen: decoded once, encoded once, as long as there is room. Two that have the
 * same pixels are one, so that comparing pointers compares contents.
 */
#ifndef OX_ENGINE_PICTURES_H
#define OX_ENGINE_PICTURES_H

#include <stdatomic.h>

#include "engine/engine.h"
#include "media/media.h"

/* Bytes of pixels and features that a session keeps, unless its options say otherwise. */
#define OX_PICTURES_BYTES ((uint64_t)1 << 30)

struct ox_picture {
    struct ox_media media;
    size_t i;          /* its place in the list */
    uint64_t hash;     /* of the pixels */
    struct ox_buf origin; /* says where it was loaded from; empty if that cannot be told */
    float *features;   /* [n_features, hidden]; NULL: not encoded, or forgotten */
    size_t n_features; /* placeholder tokens */
    uint64_t used;     /* when it was last asked for */
    bool kept;         /* part of a timeline: ox_pictures_trim may forget its features only */
};

/* How many placeholder tokens there may be of pictures that are kept decoded. All zero: as many as there are. */
struct ox_pictures_room {
    size_t max;         /* of these pictures; 0: no limit */
    size_t all_max;     /* of all that count in *all; 0: no limit */
    atomic_size_t *all; /* outlives the pictures; NULL: all_max is 0 */
    size_t n;           /* of these pictures, counted in *all */
};

/* All zero but for options, room, sizes and log is an empty one. */
struct ox_pictures {
    struct ox_media_options options;
    char *helper; /* owns options.helper_path */
    uint64_t max_bytes;
    uint64_t feature_bytes; /* of one row */
    struct ox_pictures_room room; /* for lists that only grow: ox_pictures_trim gives none back */
    struct ox_log log; /* hears of clips that were thinned */
    struct ox_picture **list;
    size_t n;
    size_t cap;
    uint64_t clock;
};

void ox_pictures_fini(struct ox_pictures *pictures);

/* Set what a caller chose for loading; *pictures is empty. OX_E_ARG for what makes no sense. */
enum ox_status ox_pictures_choose(const char *helper, int64_t max_pixels, double fps, int32_t max_frames,
                                  struct ox_pictures *pictures, struct ox_error *err) OX_MUST_USE;

/* Can this engine show pictures to its model? OX_E_STATE if it has no vision tower; OX_E_SHAPE if its patches are not
 * those that media are cut into, or tokenizer and configuration name different placeholders. */
enum ox_status ox_pictures_check(const struct oxcart_engine *engine, struct ox_error *err) OX_MUST_USE;

/* The picture that the caller describes, or that a part of a conversation names (url: a data: URI, or a file's name, below
 * folder if that is not NULL). *out belongs to pictures and lives until ox_pictures_trim takes it. OX_E_MEDIA if it cannot
 * be had; OX_E_ARG for a description that makes no sense or an option out of range; OX_E_STATE and OX_E_BUSY where there
 * is no room for it among these pictures and among all; OX_E_NOMEM. */
enum ox_status ox_pictures_load(struct ox_pictures *pictures, const struct oxcart_media *media, struct ox_picture **out,
                                struct ox_error *err) OX_MUST_USE;
enum ox_status ox_pictures_load_url(struct ox_pictures *pictures, enum ox_media_kind kind, struct ox_str url,
                                    const char *folder, struct ox_picture **out, struct ox_error *err) OX_MUST_USE;

/* What is ready already: media is taken, and empty afterwards in any case. */
enum ox_status ox_pictures_add(struct ox_pictures *pictures, struct ox_media *media, struct ox_picture **out,
                               struct ox_error *err) OX_MUST_USE;

/* A hash of what a picture shows (not of what it was loaded from), keyed; and of one row of its features by that. */
struct ox_hash ox_picture_hash(const struct ox_picture *picture, struct ox_hash key);
uint64_t ox_picture_row_hash(struct ox_hash hash, size_t row);

/* Nothing more will be loaded: forget what only loading needs. */
void ox_pictures_settle(struct ox_pictures *pictures);

/* Append the text that stands for a picture in a prompt (vision.md 4, 5.4). */
void ox_picture_text(const struct ox_picture *picture, struct ox_buf *out);

/* Room for the features of picture, zeros, if the memory for encoding it is there as well; to be freed with ox_free. */
enum ox_status ox_picture_new_features(const struct oxcart_engine *engine, const struct ox_picture *picture,
                                       float **out, struct ox_error *err) OX_MUST_USE;

/* Fill picture->features, segment by segment, the engine's turn taken for each. stop is asked before each segment:
 * OX_E_CANCELLED if it returns true. */
enum ox_status ox_picture_encode(struct oxcart_engine *engine, struct ox_picture *picture, bool (*stop)(void *user),
                                 void *user, struct ox_error *err) OX_MUST_USE;

/* Forget features, then whole pictures that are not `kept`, the longest unused first, until max_bytes suffice. No
 * features may be needed at this moment. */
void ox_pictures_trim(struct ox_pictures *pictures);

#endif
