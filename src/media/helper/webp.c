/* SPDX-License-Identifier: Apache-2.0
 *
 * WebP by libwebp: still pictures, and the first frame of an animation on its canvas. Transparency is dropped.
 */
#include <webp/decode.h>
#include <webp/demux.h>

#include "media/helper/decode.h"

#define CHANNELS ((size_t)3)

static enum ox_status broken(struct ox_error *err)
{
    return ox_error_set(err, OX_E_FORMAT, "cannot be decoded: a broken WebP file");
}

static enum ox_status first_frame(const WebPData *data, struct ox_picture *out, struct ox_error *err)
{
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(data, NULL); /* RGBA, one thread */
    uint8_t *canvas = NULL;
    int time_ms = 0;
    const size_t n = out->height * out->width;
    const int done = decoder != NULL && WebPAnimDecoderGetNext(decoder, &canvas, &time_ms) != 0;
    for (size_t i = 0; done && i < n; i++) {
        out->pixels[CHANNELS * i] = canvas[4 * i];
        out->pixels[CHANNELS * i + 1] = canvas[4 * i + 1];
        out->pixels[CHANNELS * i + 2] = canvas[4 * i + 2];
    }
    WebPAnimDecoderDelete(decoder);
    return done ? OX_OK : broken(err);
}

enum ox_status ox_decode_webp(const uint8_t *file, size_t len, const struct ox_request *request, struct ox_picture *out,
                              struct ox_error *err)
{
    const WebPData data = {file, len};
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(file, len, &features) != VP8_STATUS_OK || features.width <= 0 || features.height <= 0) {
        return broken(err);
    }
    const size_t height = (size_t)features.height;
    const size_t width = (size_t)features.width;
    enum ox_status status = ox_request_check(request, height, width, err);
    if (status == OX_OK) {
        status = ox_picture_init(out, height, width, err);
    }
    if (status != OX_OK) {
        return status;
    }
    if (features.has_animation) {
        return first_frame(&data, out, err);
    }
    const int stride = features.width * (int)CHANNELS;
    return WebPDecodeRGBInto(file, len, out->pixels, height * width * CHANNELS, stride) != NULL ? OX_OK : broken(err);
}
