/* SPDX-License-Identifier: Apache-2.0
 *
 * Segments of a picture or clip one after the other; the last one may be shorter. What is computed does not depend on the
 * pieces it is computed in.
 */
#include "engine/picture_encoder.h"

#include <string.h>

#include "model/vision.h"

static size_t segment_of(const struct oxcart_engine *engine, const struct ox_media *media)
{
    const size_t n_t = ox_media_grid_t(media);
    const size_t most = engine->config.vision.segment_frames;
    return n_t < most ? n_t : most;
}

static size_t n_patches(const struct oxcart_engine *engine, const struct ox_media *media)
{
    return segment_of(engine, media) * ox_media_grid_h(media) * ox_media_grid_w(media);
}

uint64_t ox_picture_encoder_bytes(const struct oxcart_engine *engine, const struct ox_media *media)
{
    return ox_vision_bytes(&engine->model, n_patches(engine, media));
}

enum ox_status ox_picture_encoder_open(struct oxcart_engine *engine, const struct ox_media *media, float *features,
                                       size_t n_done, struct ox_picture_encoder *out, struct ox_error *err)
{
    memset(out, 0, sizeof *out);
    out->engine = engine;
    out->media = media;
    out->segment = segment_of(engine, media);
    out->t = n_done / ox_media_tokens_per_t(media);
    out->features = features;
    return ox_vision_open(&engine->model, n_patches(engine, media), &out->vision, err);
}

void ox_picture_encoder_close(struct ox_picture_encoder *encoder)
{
    ox_vision_close(&encoder->vision);
    memset(encoder, 0, sizeof *encoder);
}

size_t ox_picture_encoder_n_done(const struct ox_picture_encoder *encoder)
{
    return encoder->t * ox_media_tokens_per_t(encoder->media);
}

bool ox_picture_encoder_advance(struct ox_picture_encoder *encoder, size_t most)
{
    const struct ox_media *media = encoder->media;
    const size_t n_t = ox_media_grid_t(media);
    if (encoder->t == n_t) {
        return false;
    }
    const size_t n = n_t - encoder->t < encoder->segment ? n_t - encoder->t : encoder->segment;
    if (!encoder->begun) {
        ox_media_patches(media, encoder->t, n, ox_vision_patches(encoder->vision));
        ox_vision_begin(encoder->vision, n, ox_media_grid_h(media), ox_media_grid_w(media), NULL,
                        encoder->features + ox_picture_encoder_n_done(encoder) * encoder->engine->config.hidden);
        encoder->begun = true;
    }
    pthread_mutex_lock(&encoder->engine->turn);
    const bool more = ox_vision_advance(encoder->vision, most);
    pthread_mutex_unlock(&encoder->engine->turn);
    if (!more) {
        encoder->t += n;
        encoder->begun = false;
    }
    return encoder->t < n_t;
}
