/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding and writing with libavcodec and libavformat, as short as they let it be.
 */
#include "tests/media_clip.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <string.h>

#include "base/mem.h"

struct writer {
    const struct clip_spec *spec;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVStream *stream;
    AVFrame *frame;
    AVPacket *packet;
    uint8_t *pixels;
};

static bool open_codec(struct writer *w)
{
    const struct clip_spec *spec = w->spec;
    const AVCodec *codec = avcodec_find_encoder_by_name(spec->encoder);
    if (codec == NULL) {
        return false;
    }
    w->codec = avcodec_alloc_context3(codec);
    w->codec->width = (int)spec->width;
    w->codec->height = (int)spec->height;
    w->codec->pix_fmt = av_get_pix_fmt(spec->format);
    w->codec->time_base = (AVRational){1, spec->fps};
    w->codec->framerate = (AVRational){spec->fps, 1};
    w->codec->max_b_frames = spec->n_b_frames;
    w->codec->thread_count = 1;
    w->codec->bit_rate = 4000000;
    if (spec->gop > 0) {
        w->codec->gop_size = spec->gop;
    }
    if (spec->bt709) {
        w->codec->colorspace = AVCOL_SPC_BT709;
    }
    if ((w->format->oformat->flags & AVFMT_GLOBALHEADER) != 0) {
        w->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    }
    (void)av_opt_set(w->codec->priv_data, "preset", "veryfast", 0);
    (void)av_opt_set(w->codec->priv_data, "deadline", "realtime", 0);
    (void)av_opt_set_int(w->codec->priv_data, "cpu-used", 8, 0);
    return avcodec_open2(w->codec, codec, NULL) >= 0;
}

static bool set_parameters(struct writer *w)
{
    AVCodecParameters *parameters = w->stream->codecpar;
    w->stream->time_base = (AVRational){1, w->spec->fps};
    w->stream->avg_frame_rate = (AVRational){w->spec->fps, 1};
    if (w->codec != NULL) {
        return avcodec_parameters_from_context(parameters, w->codec) >= 0;
    }
    parameters->codec_type = AVMEDIA_TYPE_VIDEO;
    parameters->codec_id = AV_CODEC_ID_RAWVIDEO;
    parameters->format = AV_PIX_FMT_YUV420P;
    parameters->codec_tag = MKTAG('I', '4', '2', '0');
    parameters->width = (int)w->spec->width;
    parameters->height = (int)w->spec->height;
    return true;
}

static bool open_file(struct writer *w, const char *path)
{
    w->stream = avformat_new_stream(w->format, NULL);
    if (w->stream == NULL || !set_parameters(w)) {
        return false;
    }
    if (w->spec->turn != 0) {
        int32_t *matrix = (int32_t *)(void *)av_stream_new_side_data(w->stream, AV_PKT_DATA_DISPLAYMATRIX, 9 * 4);
        av_display_rotation_set(matrix, w->spec->turn);
    }
    return avio_open(&w->format->pb, path, AVIO_FLAG_WRITE) >= 0 && avformat_write_header(w->format, NULL) >= 0;
}

/* pixels into the frame's planes. */
static void fill_frame(struct writer *w)
{
    const size_t height = w->spec->height;
    const size_t width = w->spec->width;
    AVFrame *frame = w->frame;
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            const uint8_t *p = w->pixels + (y * width + x) * 3;
            if (frame->data[1] == NULL) { /* packed, blue first */
                uint8_t *to = frame->data[0] + y * (size_t)frame->linesize[0] + 4 * x;
                to[0] = p[2];
                to[1] = p[1];
                to[2] = p[0];
                continue;
            }
            frame->data[0][y * (size_t)frame->linesize[0] + x] = p[0];
            if (y % 2 == 0 && x % 2 == 0) {
                frame->data[1][y / 2 * (size_t)frame->linesize[1] + x / 2] = p[1];
                frame->data[2][y / 2 * (size_t)frame->linesize[2] + x / 2] = p[2];
            }
        }
    }
}

/* Send a frame (NULL: the end) to the encoder and what it gives to the file. */
static bool encode(struct writer *w, const AVFrame *frame)
{
    bool good = avcodec_send_frame(w->codec, frame) >= 0;
    while (good && avcodec_receive_packet(w->codec, w->packet) >= 0) {
        av_packet_rescale_ts(w->packet, w->codec->time_base, w->stream->time_base);
        w->packet->stream_index = 0;
        if (w->packet->duration == 0) {
            w->packet->duration = av_rescale_q(1, w->codec->time_base, w->stream->time_base);
        }
        good = av_interleaved_write_frame(w->format, w->packet) >= 0;
    }
    return good;
}

static bool write_frames(struct writer *w, clip_draw draw, void *user)
{
    const struct clip_spec *spec = w->spec;
    w->frame->width = (int)spec->width;
    w->frame->height = (int)spec->height;
    w->frame->format = w->codec->pix_fmt;
    bool good = av_frame_get_buffer(w->frame, 0) >= 0;
    for (size_t i = 0; good && i < spec->n_frames; i++) {
        good = av_frame_make_writable(w->frame) >= 0;
        if (good) {
            draw(i, spec->height, spec->width, w->pixels, user);
            fill_frame(w);
            w->frame->pts = (int64_t)i;
            good = encode(w, w->frame);
        }
    }
    return good && encode(w, NULL);
}

static bool write_rubbish(struct writer *w)
{
    bool good = av_new_packet(w->packet, 100) >= 0;
    if (good) {
        memset(w->packet->data, 7, 100);
        w->packet->pts = 0;
        w->packet->dts = 0;
        w->packet->duration = 1;
        good = av_interleaved_write_frame(w->format, w->packet) >= 0;
    }
    return good;
}

bool clip_make(const char *path, const struct clip_spec *spec, clip_draw draw, void *user, const char **why)
{
    struct writer w = {.spec = spec};
    bool good = false;
    av_log_set_level(AV_LOG_ERROR);
    *why = spec->container;
    w.pixels = ox_calloc(spec->encoder != NULL ? spec->height * spec->width : 1, 3);
    w.frame = av_frame_alloc();
    w.packet = av_packet_alloc();
    if (w.pixels == NULL || w.frame == NULL || w.packet == NULL ||
        avformat_alloc_output_context2(&w.format, NULL, spec->container, path) < 0) {
        goto out;
    }
    *why = spec->encoder;
    if (spec->encoder != NULL && !open_codec(&w)) {
        goto out;
    }
    *why = "writing";
    good = open_file(&w, path) && (w.codec != NULL ? write_frames(&w, draw, user) : write_rubbish(&w)) &&
           av_write_trailer(w.format) >= 0;
out:
    if (w.format != NULL && w.format->pb != NULL) {
        avio_closep(&w.format->pb);
    }
    avformat_free_context(w.format);
    avcodec_free_context(&w.codec);
    av_frame_free(&w.frame);
    av_packet_free(&w.packet);
    ox_free(w.pixels);
    return good;
}
