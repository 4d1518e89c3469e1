/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks the chat format's control tokens up in a tokenizer.
 */
#include "text/markers.h"

void ox_markers_find(const struct ox_tokenizer *tokenizer, struct ox_markers *out)
{
    out->begin_document = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_BEGIN_DOCUMENT));
    out->begin_message = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_BEGIN_MESSAGE));
    out->end_message = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_END_MESSAGE));
    out->name_space = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_NAMESPACE));
    out->think_begin = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_THINK_BEGIN));
    out->think_end = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_THINK_END));
    out->tool_call_begin = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_TOOL_CALL_BEGIN));
    out->tool_call_end = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_TOOL_CALL_END));
    out->image = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_IMAGE));
    out->video = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_VIDEO));
    out->media_begin = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_MEDIA_BEGIN));
    out->media_end = ox_tokenizer_added_id(tokenizer, ox_str_c(OX_TEXT_MEDIA_END));
}
