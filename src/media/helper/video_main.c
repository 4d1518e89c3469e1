/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart-media-video, the decoder of clips: started by liboxcart with a file on descriptor 0 and a pipe on descriptor 1,
 * never by a person.
 */
#include "media/helper/decode.h"
#include "media/helper/helper.h"

static enum ox_status decode(void *user, const struct ox_request *request, struct ox_error *err)
{
    (void)user;
    return ox_decode_clip(request, err);
}

int main(int argc, char **argv)
{
    const struct ox_helper helper = {.decode = decode};
    ox_helper_run(argc, argv, &helper);
}
