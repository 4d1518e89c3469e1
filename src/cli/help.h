/* SPDX-License-Identifier: Apache-2.0
 *
 * What --help and --version print.
 */
#ifndef OX_CLI_HELP_H
#define OX_CLI_HELP_H

#include "cli/options.h"
#include "cli/output.h"

/* The help of a verb, or of the whole program for VERB_NONE, on standard output. */
void help_print(struct output *output, enum cli_verb verb);

/* The version, the licence, and what this build can use. */
void version_print(struct output *output);

#endif
