/* SPDX-License-Identifier: Apache-2.0
 *
 * data: URIs (RFC 2397) and base64 (RFC 4648).
 */
#ifndef OX_BASE_DATA_URI_H
#define OX_BASE_DATA_URI_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

/* Does s begin with "data:", in any case? */
bool ox_data_uri_is(struct ox_str s);

/* Append what a data: URI holds: "data:" MEDIA-TYPE (";" PARAMETER)* [";base64"] "," DATA, where DATA is base64 or has
 * its special bytes as %XX. The media type is not looked at: contents say what they are. OX_E_FORMAT with the offset of
 * the fault, OX_E_NOMEM. */
enum ox_status ox_data_uri_decode(struct ox_str s, struct ox_buf *out, struct ox_error *err) OX_MUST_USE;

/* Append what base64 text stands for. Either alphabet ("+/" or "-_"), white space anywhere, padding complete or left
 * out; anything else, and bits behind the last byte that are not zero, is OX_E_FORMAT with the offset of the fault. */
enum ox_status ox_base64_decode(struct ox_str s, struct ox_buf *out, struct ox_error *err) OX_MUST_USE;

#endif
