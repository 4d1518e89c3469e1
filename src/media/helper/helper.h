/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two programs oxcart-media (pictures) and oxcart-media-video (clips) have in common. They are two so that a
 * picture is not decoded beside FFmpeg's hundred libraries, whose loading alone takes forty milliseconds.
 */
#ifndef OX_MEDIA_HELPER_HELPER_H
#define OX_MEDIA_HELPER_HELPER_H

#include <stdbool.h>

#include "media/helper/send.h"

struct ox_helper {
    /* Before the jail: what will not be possible in it. May be NULL. */
    enum ox_status (*prepare)(void *user, struct ox_error *err);
    /* In the jail: decode and answer, all but errors. */
    enum ox_status (*decode)(void *user, const struct ox_request *request, struct ox_error *err);
    void *user;
};

/* The whole of such a program: read the operands, prepare, enter the jail, decode, and end the process. A wrong use ends
 * with status 2 and a sentence on descriptor 2. */
_Noreturn void ox_helper_run(int argc, char **argv, const struct ox_helper *helper);

#endif
