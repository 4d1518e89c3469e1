/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the program is that decodes pictures and clips: beside this one, as in the folder of a build, or where it is
 * installed.
 */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "os/file.h"

#ifndef OX_HELPER_INSTALLED
#define OX_HELPER_INSTALLED "/usr/local/libexec/oxcart-media"
#endif

#define OWN_PATH_BYTES 4096

char *cli_media_helper(void)
{
    char own[OWN_PATH_BYTES];
    const ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    if (n > 0) {
        own[n] = '\0';
        char *slash = strrchr(own, '/');
        if (slash != NULL) {
            *slash = '\0';
            char *beside = ox_path_join(own, "oxcart-media");
            if (beside != NULL && ox_file_exists(beside)) {
                return beside;
            }
            ox_free(beside);
        }
    }
    return ox_strdup(OX_HELPER_INSTALLED);
}
