/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart serve of a build without the HTTP server (configure --disable-server).
 */
#include "cli/cli.h"

int verb_serve(const struct cli *cli)
{
    return cli_fail(cli, EXIT_FAILED, "this oxcart was built without the HTTP server (configure --disable-server)");
}
