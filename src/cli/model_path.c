/* SPDX-License-Identifier: Apache-2.0
 *
 * Which model: the option, the environment, or the demonstration model that comes with the program.
 */
#include "base/mem.h"
#include "cli/cli.h"
#include "os/file.h"

#ifndef OX_DEMO_DIR_INSTALLED
#define OX_DEMO_DIR_INSTALLED "/usr/local/share/oxcart/demo"
#endif
#ifndef OX_DEMO_DIR_SOURCE
#define OX_DEMO_DIR_SOURCE "tests/demo"
#endif

static int copy_path(const struct cli *cli, const char *text, char **path)
{
    *path = ox_strdup(text);
    return *path != NULL ? EXIT_DONE : cli_fail(cli, EXIT_MEMORY, "out of memory");
}

int cli_model_path(const struct cli *cli, char **path)
{
    static const char *const folders[] = {OX_DEMO_DIR_INSTALLED, OX_DEMO_DIR_SOURCE};
    *path = NULL;
    const char *named = cli_text(&cli->args, OPT_MODEL, cli->environment.model);
    if (named != NULL) {
        if (named[0] == '\0') {
            return cli_fail(cli, EXIT_USAGE, "--model: expected a path, found nothing");
        }
        return copy_path(cli, named, path);
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (ox_file_is_folder(folders[i])) {
            output_note(cli->output, "using the built-in demonstration model, which knows only a few tricks; name a real "
                                     "one with -m PATH or OXCART_MODEL");
            return copy_path(cli, folders[i], path);
        }
    }
    return cli_fail(cli, EXIT_MODEL, "no model is named (-m PATH or OXCART_MODEL), and the built-in demonstration model "
                                     "is missing from '%s'",
                    OX_DEMO_DIR_INSTALLED);
}
