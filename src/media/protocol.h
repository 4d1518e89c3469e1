/* SPDX-License-Identifier: Apache-2.0
 *
 * What a helper answers, through a pipe: messages of a fixed head and len bytes behind it, in the byte order and
 * layout of this machine, since both programs are built together. A picture or clip is INFO, FRAME ..., END; in place of
 * any of these may stand ERROR, which is the last. The helper is not trusted: frames.h checks everything.
 */
#ifndef OX_MEDIA_PROTOCOL_H
#define OX_MEDIA_PROTOCOL_H

#include <stdint.h>

#define OX_PROTOCOL_MAGIC 0x314D584FU /* "OXM1" */

enum ox_protocol_kind {
    OX_PROTOCOL_INFO = 1, /* struct ox_protocol_info */
    OX_PROTOCOL_FRAME,    /* the frame's number in its source as uint64_t, then [height, width, 3] RGB bytes */
    OX_PROTOCOL_END,      /* nothing */
    OX_PROTOCOL_ERROR,    /* an enum ox_status as uint32_t, then a sentence without the file's name */
};

struct ox_protocol_head {
    uint32_t magic;
    uint32_t kind;
    uint64_t len;
};

struct ox_protocol_info {
    uint64_t source_height; /* upright */
    uint64_t source_width;
    uint64_t height; /* of the frames that follow */
    uint64_t width;
    uint64_t n_frames; /* that follow, or fewer where a clip breaks off */
    uint64_t n_sampled_frames;
    uint64_t n_source_frames;
    double source_fps; /* 0: unknown */
};

#define OX_PROTOCOL_MAX_ERROR_BYTES 200

/* The helpers' operands, in this order, numbers in decimal. */
enum ox_protocol_operand {
    OX_OPERAND_MAX_PIXELS, /* of a frame after resizing; for a clip also bounded by the next */
    OX_OPERAND_MAX_VIDEO_PIXELS,
    OX_OPERAND_MAX_SOURCE_PIXELS,
    OX_OPERAND_MAX_FRAMES,
    OX_OPERAND_FPS_BITS,  /* the double's bits */
    OX_OPERAND_MAX_BYTES, /* of memory */
    OX_OPERAND_TIMEOUT_S, /* of processor time */
    OX_N_OPERANDS
};

#endif
