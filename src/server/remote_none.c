/* SPDX-License-Identifier: Apache-2.0
 *
 * remote_media.h in a build without libcurl.
 */
#include "server/remote_media.h"

bool ox_fetch_is_built(void)
{
    return false;
}

enum ox_status ox_fetch(struct ox_str url, const struct ox_fetch_options *options, struct ox_buf *out,
                        struct ox_error *err)
{
    (void)url;
    (void)options;
    (void)out;
    return ox_error_set(err, OX_E_DEVICE, "this build cannot fetch media (configured without libcurl)");
}
