/* SPDX-License-Identifier: Apache-2.0
 *
 * The helper's side of protocol.h: what was asked, and answering through descriptor 1.
 */
#ifndef OX_MEDIA_HELPER_SEND_H
#define OX_MEDIA_HELPER_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "media/helper/picture.h"
#include "media/protocol.h"

/* What was asked, from the operands. */
struct ox_request {
    uint64_t numbers[OX_N_OPERANDS];
};

/* Read the n operands of protocol.h. False, and *request is not to be used, unless all are there and mean something: a
 * decoder may divide by any of them. */
bool ox_request_read(size_t n, const char *const *operands, struct ox_request *request);

/* An answer on its way. All zero is one not begun. */
struct ox_answer {
    struct ox_protocol_info info; /* sizes are filled in by the first frame */
    uint8_t *frame;               /* [info.height, info.width, 3], room */
    size_t n_frames_sent;
};

void ox_answer_fini(struct ox_answer *answer);

/* Resize an upright picture and send it as frame `index` of its source; the first one begins the answer and decides its
 * size, for which n_frames, n_sampled_frames, n_source_frames and source_fps of answer->info must be set. max_pixels: of
 * the result. OX_E_LIMIT (the picture's sides), OX_E_NOMEM; OX_E_IO: nobody reads. */
enum ox_status ox_answer_frame(struct ox_answer *answer, const struct ox_picture *picture, uint64_t index,
                               uint64_t max_pixels, struct ox_error *err) OX_MUST_USE;

enum ox_status ox_answer_end(struct ox_error *err) OX_MUST_USE;

/* Send err in place of what was to come. */
void ox_answer_error(const struct ox_error *err);

/* OX_E_LIMIT unless a source of height x width is within the request's limit (and not empty: OX_E_FORMAT). */
enum ox_status ox_request_check(const struct ox_request *request, uint64_t height, uint64_t width,
                                struct ox_error *err) OX_MUST_USE;

#endif
