/* SPDX-License-Identifier: Apache-2.0
 *
 * Token ids as people and scripts write them down: decimal numbers separated by white space.
 */
#ifndef OX_ENGINE_TRACE_IDS_H
#define OX_ENGINE_TRACE_IDS_H

#include "base/status.h"
#include "base/str.h"
#include "text/tokenizer.h"

/* Append every id of text (0 .. 2^31 - 1; blanks, tabs, line feeds and carriage returns between them, none at all is
 * legal) to out. `what` names the text in errors: OX_E_FORMAT with the number of the id, its byte offset and what stands
 * there; out then holds the ids before it. Any thread. */
enum ox_status ox_trace_parse_ids(struct ox_str text, const char *what, struct ox_ids *out, struct ox_error *err)
    OX_MUST_USE;

#endif
