/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart-media, the decoder of pictures: started by liboxcart with a file on descriptor 0 and a pipe on descriptor 1,
 * never by a person.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "media/helper/decode.h"
#include "media/helper/exif.h"
#include "media/helper/helper.h"

struct input {
    const uint8_t *file;
    size_t len;
};

/* Map the file while that is still allowed; its pages are touched only in the jail. */
static enum ox_status map_input(void *user, struct ox_error *err)
{
    struct input *input = user;
    const off_t end = lseek(STDIN_FILENO, 0, SEEK_END);
    input->len = end > 0 ? (size_t)end : 0;
    if (input->len > 0) {
        const void *file = mmap(NULL, input->len, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
        if (file == MAP_FAILED) {
            return ox_error_set(err, OX_E_IO, "cannot be mapped");
        }
        input->file = file;
    }
    return OX_OK;
}

static enum ox_status decode(void *user, const struct ox_request *request, struct ox_error *err)
{
    const struct input *input = user;
    struct ox_picture picture = {0};
    struct ox_answer answer;
    memset(&answer, 0, sizeof answer);
    answer.info.n_frames = 1;
    answer.info.n_sampled_frames = 1;
    answer.info.n_source_frames = 1;
    enum ox_status status = ox_decode_image(input->file, input->len, request, &picture, err);
    if (status == OX_OK) {
        status = ox_picture_turn(&picture, ox_exif_orientation(input->file, input->len), err);
    }
    if (status == OX_OK) {
        status = ox_answer_frame(&answer, &picture, 0, request->numbers[OX_OPERAND_MAX_PIXELS], err);
    }
    if (status == OX_OK) {
        status = ox_answer_end(err);
    }
    ox_answer_fini(&answer);
    ox_picture_fini(&picture);
    return status;
}

int main(int argc, char **argv)
{
    static const uint8_t empty[1];
    struct input input = {empty, 0};
    const struct ox_helper helper = {map_input, decode, &input};
    ox_helper_run(argc, argv, &helper);
}
