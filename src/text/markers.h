/* SPDX-License-Identifier: Apache-2.0
 *
 * The control tokens of the chat format: their texts are fixed by the format, their ids come from the tokenizer.
 * Source: chat template of MiniMax-M3.
 */
#ifndef OX_TEXT_MARKERS_H
#define OX_TEXT_MARKERS_H

#include <stdint.h>

#include "text/tokenizer.h"

#define OX_TEXT_BEGIN_DOCUMENT "]~!b["
#define OX_TEXT_BEGIN_MESSAGE "]~b]"
#define OX_TEXT_END_MESSAGE "[e~["
#define OX_TEXT_NAMESPACE "]<]minimax[>["
#define OX_TEXT_THINK_BEGIN "<mm:think>"
#define OX_TEXT_THINK_END "</mm:think>"
#define OX_TEXT_TOOL_CALL_BEGIN "<tool_call>"
#define OX_TEXT_TOOL_CALL_END "</tool_call>"
#define OX_TEXT_IMAGE "]<]image[>["
#define OX_TEXT_VIDEO "]<]video[>["
#define OX_TEXT_MEDIA_BEGIN "]<]start of image[>[" /* of a picture and of each temporal patch of a clip */
#define OX_TEXT_MEDIA_END "]<]end of image[>["

/* Ids of the markers; -1 where the tokenizer has no such added token. */
struct ox_markers {
    int32_t begin_document;
    int32_t begin_message;
    int32_t end_message;
    int32_t name_space;
    int32_t think_begin;
    int32_t think_end;
    int32_t tool_call_begin;
    int32_t tool_call_end;
    int32_t image;
    int32_t video;
    int32_t media_begin;
    int32_t media_end;
};

void ox_markers_find(const struct ox_tokenizer *tokenizer, struct ox_markers *out);

#endif
