/* SPDX-License-Identifier: Apache-2.0
 *
 * The clip decoder as the helper links it, from any operands and any bytes: it answers what the library takes, frames
 * within the limits or an error. FFmpeg itself is the distribution's, and not looked into; what is ours around it is.
 */
#include <libavutil/mem.h>
#include <string.h>

#include "media/helper/decode.h"
#include "tests/answer_help.h"

#define MAX_BLOCK_BYTES ((size_t)256 << 20) /* in place of the jail's limit */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Descriptor 0 becomes the file; returns a copy of the old one, or -1 if there was none. */
static int give_input(struct ox_str file)
{
    const int old = dup(STDIN_FILENO);
    const int memory = memfd_create("clip", MFD_CLOEXEC);
    OX_CHECK(memory >= 0 && write(memory, file.ptr, file.len) == (ssize_t)file.len && lseek(memory, 0, SEEK_SET) == 0);
    OX_CHECK(memory == STDIN_FILENO || (dup2(memory, STDIN_FILENO) == STDIN_FILENO && close(memory) == 0));
    return old;
}

static void take_input(int old)
{
    if (old >= 0) {
        OX_CHECK(dup2(old, STDIN_FILENO) == STDIN_FILENO && close(old) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ox_request request;
    struct ox_str file;
    struct ox_media media;
    struct ox_error err = {.code = OX_OK};
    if (!answer_input(data, size, &request, &file)) {
        return 0;
    }
    av_max_alloc(MAX_BLOCK_BYTES);
    const int old_input = give_input(file);
    const int old = answer_catch();
    const enum ox_status status = ox_decode_clip(&request, &err);
    if (status != OX_OK) {
        ox_answer_error(&err);
    }
    const int memory = answer_release(old);
    take_input(old_input);
    answer_check(memory, OX_MEDIA_VIDEO, &request, status, &err, &media);
    if (status == OX_OK) {
        OX_CHECK(media.n_frames <= request.numbers[OX_OPERAND_MAX_FRAMES]);
        ox_media_fini(&media);
    }
    return 0;
}
