/* SPDX-License-Identifier: Apache-2.0
 *
 * The picture decoders as the helper links them, from any operands and any bytes: they answer what the library takes,
 * a picture within the limits or an error, and the same file gives the same picture again.
 */
#include <string.h>

#include "media/helper/decode.h"
#include "tests/answer_help.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decode and read the answer; *media is set if the status is OX_OK. */
static enum ox_status decode(const struct ox_request *request, struct ox_str file, struct ox_media *media)
{
    struct ox_error err = {.code = OX_OK};
    const int old = answer_catch();
    const enum ox_status status = ox_send_image((const uint8_t *)file.ptr, file.len, request, &err);
    if (status != OX_OK) {
        ox_answer_error(&err);
    }
    answer_check(answer_release(old), OX_MEDIA_IMAGE, request, status, &err, media);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ox_request request;
    struct ox_str file;
    struct ox_media first;
    struct ox_media second;
    if (!answer_input(data, size, &request, &file)) {
        return 0;
    }
    const enum ox_status status = decode(&request, file, &first);
    OX_CHECK(decode(&request, file, &second) == status);
    if (status == OX_OK) {
        OX_CHECK(first.height == second.height && first.width == second.width &&
                 memcmp(first.pixels, second.pixels, first.height * first.width * 3) == 0);
        OX_CHECK(first.source_height * first.source_width <= request.numbers[OX_OPERAND_MAX_SOURCE_PIXELS]);
        ox_media_fini(&first);
        ox_media_fini(&second);
    }
    return 0;
}
