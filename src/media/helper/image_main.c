/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart-media, the decoder of pictures: started by liboxcart with a file on descriptor 0 and a pipe on descriptor 1,
 * never by a person.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "media/helper/decode.h"
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
    return ox_send_image(input->file, input->len, request, err);
}

int main(int argc, char **argv)
{
    static const uint8_t empty[1];
    struct input input = {empty, 0};
    const struct ox_helper helper = {map_input, decode, &input};
    ox_helper_run(argc, argv, &helper);
}
