/* SPDX-License-Identifier: Apache-2.0
 *
 * Clips by FFmpeg's libraries. The packets are listed first, without decoding: so the frames are counted exactly, a
 * wanted frame is known by its time, and decoding can begin at the last key frame before it. Where packets have no
 * times, frames are counted while everything is decoded. One thread; nothing but descriptor 0 is opened.
 */
#include <inttypes.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ckd.h"
#include "base/mem.h"
#include "media/frames.h"
#include "media/helper/decode.h"
#include "media/sample.h"

#define INPUT_BYTES (1 << 16)
#define CHANNELS ((size_t)3)
#define ROW_BYTES ((size_t)64) /* swscale writes rows in vectors */
#define MAX_FPS 1e6
#define MIN_SKIP ((size_t)4) /* frames that it is cheaper to decode than to seek over */

/* One packet of the clip's stream. */
struct packet {
    int64_t pts;
    int64_t dts;
    bool key;
};

struct clip {
    const struct ox_request *request;
    int64_t max_source_pixels;
    AVFormatContext *format;
    AVIOContext *input;
    AVCodecContext *codec;
    struct SwsContext *scaler;
    AVPacket *packet;
    AVFrame *frame;
    int i_stream;
    enum ox_orientation orientation;
    double fps;            /* 0: unknown */
    struct packet *frames; /* in the order in which they are shown, if timed; else in that of the file */
    size_t n_frames;
    size_t n_room;
    bool timed;       /* all packets have times of their own */
    bool cannot_seek; /* a try has failed */
    bool pending;     /* packet is read and not sent */
    bool draining;    /* the file's end was sent */
    bool have_frame;  /* frame is decoded */
    int64_t shown;    /* its pts, or its number if not timed */
    int64_t n_decoded;
};

static enum ox_status av_fault(struct ox_error *err, int code, const char *what)
{
    char reason[AV_ERROR_MAX_STRING_SIZE] = "";
    if (code == AVERROR(ENOMEM)) {
        return ox_error_set(err, OX_E_NOMEM, "%s: out of memory", what);
    }
    (void)av_strerror(code, reason, sizeof reason);
    return ox_error_set(err, OX_E_FORMAT, "%s: %s", what, reason);
}

/* ---- descriptor 0 as FFmpeg reads it ------------------------------------------------------------------------------ */

static int read_input(void *user, uint8_t *room, int len)
{
    (void)user;
    const ssize_t n = read(STDIN_FILENO, room, (size_t)len);
    if (n < 0) {
        return AVERROR(EIO);
    }
    return n > 0 ? (int)n : AVERROR_EOF;
}

static int64_t seek_input(void *user, int64_t offset, int whence)
{
    (void)user;
    if ((whence & AVSEEK_SIZE) != 0) {
        const off_t here = lseek(STDIN_FILENO, 0, SEEK_CUR);
        const off_t end = lseek(STDIN_FILENO, 0, SEEK_END);
        return lseek(STDIN_FILENO, here, SEEK_SET) == here ? end : AVERROR(EIO);
    }
    const off_t at = lseek(STDIN_FILENO, offset, whence & ~AVSEEK_FORCE);
    return at >= 0 ? at : AVERROR(EIO);
}

/* A playlist or the like wants another file. */
static int open_nothing(struct AVFormatContext *format, AVIOContext **out, const char *url, int flags,
                        AVDictionary **options)
{
    (void)format;
    (void)out;
    (void)url;
    (void)flags;
    (void)options;
    return AVERROR(EPERM);
}

static void close_input(struct clip *clip)
{
    avformat_close_input(&clip->format);
    if (clip->input != NULL) {
        av_freep(&clip->input->buffer);
        avio_context_free(&clip->input);
    }
}

/* Codec options for every stream that the headers name: probing decodes, and must not be made to take much memory. */
static AVDictionary **stream_options(const AVFormatContext *format, int64_t max_pixels)
{
    AVDictionary **options = ox_calloc(format->nb_streams, sizeof *options);
    for (size_t i = 0; options != NULL && i < format->nb_streams; i++) {
        (void)av_dict_set_int(&options[i], "max_pixels", max_pixels, 0);
        (void)av_dict_set_int(&options[i], "threads", 1, 0);
    }
    return options;
}

/* Refuse what says itself that it is too large. */
static enum ox_status check_sizes(const struct clip *clip, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < clip->format->nb_streams; i++) {
        const AVCodecParameters *parameters = clip->format->streams[i]->codecpar;
        if (parameters->codec_type == AVMEDIA_TYPE_VIDEO && parameters->width > 0 && parameters->height > 0) {
            status = ox_request_check(clip->request, (uint64_t)parameters->height, (uint64_t)parameters->width, err);
        }
    }
    return status;
}

static enum ox_status probe(struct clip *clip, struct ox_error *err)
{
    const size_t n_streams = clip->format->nb_streams; /* more may be found */
    AVDictionary **options = stream_options(clip->format, clip->max_source_pixels);
    if (options == NULL) {
        return ox_error_nomem(err, n_streams * sizeof *options);
    }
    const int code = avformat_find_stream_info(clip->format, options);
    for (size_t i = 0; i < n_streams; i++) {
        av_dict_free(&options[i]);
    }
    ox_free(options);
    return code < 0 ? av_fault(err, code, "cannot be decoded") : OX_OK;
}

/* Open the container at its beginning and choose the stream; also to begin again. */
static enum ox_status open_input(struct clip *clip, struct ox_error *err)
{
    close_input(clip);
    uint8_t *buffer = av_malloc(INPUT_BYTES);
    clip->format = avformat_alloc_context();
    clip->input = avio_alloc_context(buffer, INPUT_BYTES, 0, NULL, read_input, NULL, seek_input);
    if (buffer == NULL || clip->format == NULL || clip->input == NULL) {
        if (clip->input == NULL) {
            av_free(buffer);
        }
        return ox_error_nomem(err, INPUT_BYTES);
    }
    (void)lseek(STDIN_FILENO, 0, SEEK_SET);
    clip->format->pb = clip->input;
    clip->format->io_open = open_nothing;
    clip->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    const int code = avformat_open_input(&clip->format, "", NULL, NULL);
    if (code < 0) {
        return av_fault(err, code, "cannot be decoded");
    }
    enum ox_status status = check_sizes(clip, err);
    if (status == OX_OK) {
        status = probe(clip, err);
    }
    if (status != OX_OK) {
        return status;
    }
    const int i_stream = av_find_best_stream(clip->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (i_stream < 0) {
        return ox_error_set(err, OX_E_FORMAT, "expected a video, found a file without one");
    }
    clip->i_stream = i_stream;
    for (int i = 0; i < (int)clip->format->nb_streams; i++) {
        clip->format->streams[i]->discard = i == i_stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    }
    clip->pending = false;
    clip->draining = false;
    clip->have_frame = false;
    clip->n_decoded = 0;
    return OX_OK;
}

/* The next packet of the stream into clip->packet; false at the end. */
static bool read_packet(struct clip *clip)
{
    for (;;) {
        av_packet_unref(clip->packet);
        if (av_read_frame(clip->format, clip->packet) < 0) {
            return false;
        }
        if (clip->packet->stream_index == clip->i_stream) {
            return true;
        }
    }
}

/* ---- the list of packets ------------------------------------------------------------------------------------------ */

static int by_pts(const void *a, const void *b)
{
    const struct packet *x = a;
    const struct packet *y = b;
    return (x->pts > y->pts) - (x->pts < y->pts);
}

static enum ox_status list_packets(struct clip *clip, struct ox_error *err)
{
    clip->timed = true;
    while (read_packet(clip)) {
        const AVPacket *packet = clip->packet;
        if ((packet->flags & AV_PKT_FLAG_DISCARD) != 0) { /* decoded, but not shown */
            continue;
        }
        if (ox_grow((void **)&clip->frames, &clip->n_room, clip->n_frames + 1, sizeof *clip->frames) != 0) {
            return ox_error_nomem(err, clip->n_frames * sizeof *clip->frames);
        }
        clip->timed = clip->timed && packet->pts != AV_NOPTS_VALUE;
        clip->frames[clip->n_frames++] =
            (struct packet){packet->pts, packet->dts, (packet->flags & AV_PKT_FLAG_KEY) != 0};
    }
    if (clip->n_frames == 0) {
        return ox_error_set(err, OX_E_FORMAT, "a video without frames");
    }
    if (clip->timed) {
        qsort(clip->frames, clip->n_frames, sizeof *clip->frames, by_pts);
    }
    for (size_t i = 1; clip->timed && i < clip->n_frames; i++) {
        clip->timed = clip->frames[i].pts != clip->frames[i - 1].pts;
    }
    return OX_OK;
}

/* ---- decoding ------------------------------------------------------------------------------------------------------- */

static enum ox_status open_codec(struct clip *clip, struct ox_error *err)
{
    const AVStream *stream = clip->format->streams[clip->i_stream];
    const AVCodec *codec = avcodec_find_decoder(stream->codecpar->codec_id);
    if (codec == NULL) {
        return ox_error_set(err, OX_E_FORMAT, "no decoder for %s", avcodec_get_name(stream->codecpar->codec_id));
    }
    clip->codec = avcodec_alloc_context3(codec);
    if (clip->codec == NULL || avcodec_parameters_to_context(clip->codec, stream->codecpar) < 0) {
        return ox_error_nomem(err, sizeof *clip->codec);
    }
    clip->codec->thread_count = 1;
    clip->codec->max_pixels = clip->max_source_pixels;
    clip->codec->pkt_timebase = stream->time_base;
    const int code = avcodec_open2(clip->codec, codec, NULL);
    return code < 0 ? av_fault(err, code, codec->name) : OX_OK;
}

/* Decode the next frame into clip->frame; false at the end. Frames before `wanted` are of no interest: those that no
 * other frame needs are not decoded. */
static bool next_frame(struct clip *clip, int64_t wanted)
{
    clip->have_frame = false;
    for (;;) {
        const int code = avcodec_receive_frame(clip->codec, clip->frame);
        if (code == 0) {
            clip->shown = clip->timed ? clip->frame->best_effort_timestamp : clip->n_decoded;
            clip->n_decoded++;
            clip->have_frame = true;
            return true;
        }
        if (code != AVERROR(EAGAIN) || clip->draining) {
            return false;
        }
        if (!clip->pending && !read_packet(clip)) {
            clip->draining = true;
            (void)avcodec_send_packet(clip->codec, NULL);
            continue;
        }
        clip->pending = false;
        const bool skip = clip->timed && clip->packet->pts < wanted;
        clip->codec->skip_frame = skip ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
        (void)avcodec_send_packet(clip->codec, clip->packet); /* a broken packet gives no frame, others may */
    }
}

/* The place in frames (timed) of the last one shown at or before pts. */
static size_t place_of(const struct clip *clip, int64_t pts)
{
    size_t low = 0;
    size_t high = clip->n_frames;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (clip->frames[middle].pts <= pts) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Go to a key frame: where the demuxer lands for `time`, if this is not behind pts. */
static bool seek_to(struct clip *clip, int64_t time, int64_t pts)
{
    if (time == AV_NOPTS_VALUE || av_seek_frame(clip->format, clip->i_stream, time, AVSEEK_FLAG_BACKWARD) < 0) {
        return false;
    }
    while (read_packet(clip)) {
        if ((clip->packet->flags & AV_PKT_FLAG_KEY) != 0) {
            clip->pending = true;
            return clip->packet->pts != AV_NOPTS_VALUE && clip->packet->pts <= pts;
        }
    }
    return false;
}

/* Before frame i of a timed clip is decoded: skip what lies between if a key frame allows it. */
static enum ox_status skip_to(struct clip *clip, size_t i, struct ox_error *err)
{
    size_t key = i;
    while (key > 0 && !clip->frames[key].key) {
        key--;
    }
    const size_t here = clip->n_decoded > 0 ? place_of(clip, clip->shown) : 0;
    if (clip->cannot_seek || !clip->frames[key].key || key < here + MIN_SKIP) {
        return OX_OK;
    }
    const int64_t pts = clip->frames[key].pts;
    avcodec_flush_buffers(clip->codec);
    clip->draining = false;
    if (seek_to(clip, pts, pts) || seek_to(clip, clip->frames[key].dts, pts)) {
        return OX_OK;
    }
    clip->cannot_seek = true;
    return open_input(clip, err);
}

/* Decode until frame i of the source, or what is shown in its place, is in clip->frame; *found says whether. */
static enum ox_status decode_frame(struct clip *clip, size_t i, bool *found, struct ox_error *err)
{
    int64_t wanted = (int64_t)i;
    enum ox_status status = OX_OK;
    if (clip->timed) {
        /* Decoders may round times: anything nearer to frame i than to the one before. */
        const int64_t pts = clip->frames[i].pts;
        wanted = i > 0 ? pts - (pts - clip->frames[i - 1].pts - 1) / 2 : pts;
        if (!clip->have_frame || clip->shown < wanted) {
            status = skip_to(clip, i, err);
        }
    }
    *found = clip->have_frame && clip->shown >= wanted;
    while (status == OX_OK && !*found && next_frame(clip, wanted)) {
        *found = clip->shown >= wanted;
    }
    return status;
}

/* ---- pictures ------------------------------------------------------------------------------------------------------- */

/* Tell the scaler by which matrix and range the frame's YUV is meant, where the clip says. */
static void set_colours(struct SwsContext *scaler, const AVFrame *frame)
{
    int *inverse;
    int *table;
    int source_range;
    int range;
    int brightness;
    int contrast;
    int saturation;
    if (sws_getColorspaceDetails(scaler, &inverse, &source_range, &table, &range, &brightness, &contrast, &saturation) <
        0) {
        return;
    }
    const int *matrix = inverse;
    if (frame->colorspace != AVCOL_SPC_UNSPECIFIED && frame->colorspace != AVCOL_SPC_RGB) {
        matrix = sws_getCoefficients((int)frame->colorspace);
    }
    if (frame->color_range != AVCOL_RANGE_UNSPECIFIED) {
        source_range = frame->color_range == AVCOL_RANGE_JPEG;
    }
    (void)sws_setColorspaceDetails(scaler, matrix, source_range, table, range, brightness, contrast, saturation);
}

/* clip->frame as RGB, upright; picture must be empty. */
static enum ox_status make_picture(struct clip *clip, struct ox_picture *picture, struct ox_error *err)
{
    const AVFrame *frame = clip->frame;
    size_t stride;
    enum ox_status status = ox_request_check(clip->request, (uint64_t)(frame->height > 0 ? frame->height : 0),
                                             (uint64_t)(frame->width > 0 ? frame->width : 0), err);
    if (status != OX_OK) {
        return status;
    }
    const size_t height = (size_t)frame->height;
    const size_t width = (size_t)frame->width;
    clip->scaler = sws_getCachedContext(clip->scaler, frame->width, frame->height, (enum AVPixelFormat)frame->format,
                                        frame->width, frame->height, AV_PIX_FMT_RGB24,
                                        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (clip->scaler == NULL) {
        return ox_error_set(err, OX_E_FORMAT, "frames of a format that cannot be converted (%d)", frame->format);
    }
    set_colours(clip->scaler, frame);
    if (ox_ckd_round_up(&stride, width * CHANNELS, ROW_BYTES)) {
        return ox_error_nomem(err, SIZE_MAX);
    }
    picture->memory = ox_calloc_aligned(height + 1, stride);
    if (picture->memory == NULL) {
        return ox_error_nomem(err, height * stride);
    }
    picture->pixels = picture->memory;
    picture->height = height;
    picture->width = width;
    uint8_t *const planes[] = {picture->pixels, NULL, NULL, NULL};
    const int strides[] = {(int)stride, 0, 0, 0};
    if (sws_scale(clip->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, planes,
                  strides) != frame->height) {
        return ox_error_set(err, OX_E_FORMAT, "a frame cannot be converted");
    }
    for (size_t y = 1; y < height; y++) {
        memmove(picture->pixels + y * width * CHANNELS, picture->pixels + y * stride, width * CHANNELS);
    }
    return ox_picture_turn(picture, clip->orientation, err);
}

/* How a clip is to be turned, from its display matrix: x' = a x + c y, y' = b x + d y. */
static enum ox_orientation orientation_of(const AVStream *stream)
{
    const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, NULL);
    int32_t matrix[9];
    if (data == NULL) {
        return OX_UPRIGHT;
    }
    memcpy(matrix, data, sizeof matrix);
    const int32_t a = matrix[0];
    const int32_t b = matrix[1];
    const int32_t c = matrix[3];
    const int32_t d = matrix[4];
    if (b == 0 && c == 0) {
        if (a < 0) {
            return d < 0 ? OX_TURN_180 : OX_MIRROR;
        }
        return d < 0 ? OX_FLIP : OX_UPRIGHT;
    }
    if (a == 0 && d == 0) {
        if (b > 0) {
            return c > 0 ? OX_TRANSPOSE : OX_TURN_CLOCKWISE;
        }
        return c > 0 ? OX_TURN_COUNTERCLOCKWISE : OX_TRANSVERSE;
    }
    return OX_UPRIGHT;
}

static void examine_stream(struct clip *clip)
{
    AVStream *stream = clip->format->streams[clip->i_stream];
    const AVRational rate = av_guess_frame_rate(clip->format, stream, NULL);
    const double fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0.0;
    clip->fps = fps <= MAX_FPS ? fps : 0.0;
    clip->orientation = orientation_of(stream);
}

/* Decode and send the n chosen frames. */
static enum ox_status send_frames(struct clip *clip, const uint64_t *index, size_t n, uint64_t n_sampled,
                                  struct ox_error *err)
{
    const struct ox_request *request = clip->request;
    const uint64_t max_pixels =
        ox_frames_max_pixels(request->numbers[OX_OPERAND_MAX_PIXELS], request->numbers[OX_OPERAND_MAX_VIDEO_PIXELS], n);
    struct ox_answer answer;
    enum ox_status status = OX_OK;
    bool found = true;
    memset(&answer, 0, sizeof answer);
    answer.info.n_frames = n;
    answer.info.n_sampled_frames = n_sampled;
    answer.info.n_source_frames = clip->n_frames;
    answer.info.source_fps = clip->fps;
    for (size_t i = 0; status == OX_OK && found && i < n; i++) {
        struct ox_picture picture = {0};
        status = decode_frame(clip, (size_t)index[i], &found, err);
        if (status == OX_OK && found) {
            status = make_picture(clip, &picture, err);
        }
        if (status == OX_OK && found) {
            status = ox_answer_frame(&answer, &picture, index[i], max_pixels, err);
        }
        ox_picture_fini(&picture);
    }
    if (status == OX_OK) {
        status = answer.n_frames_sent > 0 ? ox_answer_end(err)
                                          : ox_error_set(err, OX_E_FORMAT, "a video of which no frame can be decoded");
    }
    ox_answer_fini(&answer);
    return status;
}

static void close_clip(struct clip *clip)
{
    close_input(clip);
    avcodec_free_context(&clip->codec);
    sws_freeContext(clip->scaler);
    av_packet_free(&clip->packet);
    av_frame_free(&clip->frame);
    ox_free(clip->frames);
}

/* The clip is open, its packets are listed: choose, begin again, decode. */
static enum ox_status decode_chosen(struct clip *clip, struct ox_error *err)
{
    const struct ox_request *request = clip->request;
    const uint64_t most = request->numbers[OX_OPERAND_MAX_FRAMES];
    const size_t room = (size_t)(most < clip->n_frames ? most : clip->n_frames);
    uint64_t n_sampled = 0;
    double fps;
    uint64_t *index = ox_calloc(room, sizeof *index);
    if (index == NULL) {
        return ox_error_nomem(err, room * sizeof *index);
    }
    memcpy(&fps, &request->numbers[OX_OPERAND_FPS_BITS], sizeof fps);
    const size_t n = ox_sample_frames(clip->n_frames, clip->fps, fps, room, index, &n_sampled);
    enum ox_status status = open_input(clip, err);
    if (status == OX_OK) {
        status = open_codec(clip, err);
    }
    if (status == OX_OK) {
        status = send_frames(clip, index, n, n_sampled, err);
    }
    ox_free(index);
    return status;
}

enum ox_status ox_decode_clip(const struct ox_request *request, struct ox_error *err)
{
    const uint64_t max_source_pixels = request->numbers[OX_OPERAND_MAX_SOURCE_PIXELS];
    struct clip clip;
    memset(&clip, 0, sizeof clip);
    clip.request = request;
    clip.max_source_pixels = max_source_pixels < INT64_MAX ? (int64_t)max_source_pixels : INT64_MAX;
    av_log_set_level(AV_LOG_QUIET);
    clip.packet = av_packet_alloc();
    clip.frame = av_frame_alloc();
    enum ox_status status = OX_OK;
    if (clip.packet == NULL || clip.frame == NULL) {
        status = ox_error_nomem(err, sizeof *clip.frame);
    }
    if (status == OX_OK) {
        status = open_input(&clip, err);
    }
    if (status == OX_OK) {
        examine_stream(&clip);
        status = list_packets(&clip, err);
    }
    if (status == OX_OK) {
        status = decode_chosen(&clip, err);
    }
    close_clip(&clip);
    return status;
}
