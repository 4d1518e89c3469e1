/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents: files of text that clients put into messages. The chat format has no place for files, so they are text
 * there: the title and what the client says about it, each on a line, an empty line, the text, an empty line. What is no
 * text (PDF above all) is refused: it would have to be set in pages and looked at.
 */
#ifndef OX_SERVER_API_DOCUMENT_H
#define OX_SERVER_API_DOCUMENT_H

#include <jansson.h>

#include "base/buf.h"
#include "base/str.h"

/* Append what a document begins with; title and context may be empty. */
void ox_document_begin(struct ox_buf *out, struct ox_str title, struct ox_str context);

/* Append what it ends with. */
void ox_document_end(struct ox_buf *out);

/* Append the text of a file that comes in base64. media_type: text of any kind or JSON, perhaps with parameters; the bytes
 * must be UTF-8. A byte order mark is left out. Returns NULL, or a sentence that says why not; memory that ran out is out's to
 * tell. */
const char *ox_document_add_base64(struct ox_buf *out, struct ox_str media_type, struct ox_str base64);

/* Append OpenAI's {"filename", "file_data": a data: URI} as a document. Returns as above. */
const char *ox_document_add_file(struct ox_buf *out, const json_t *file);

#endif
