/* SPDX-License-Identifier: Apache-2.0
 *
 * --help from the option table, grouped and wrapped at 79 columns, and --version.
 */
#include "cli/help.h"

#include <string.h>

#include "config.h"

#include "base/buf.h"
#include "oxcart.h"
#include "simd/cpu.h"

#define WIDTH 79
#define INDENT 30

/* Append text, its lines broken at blanks; column is where the line stands, further lines begin at indent. */
static void add_wrapped(struct ox_buf *buf, const char *text, size_t column, size_t indent)
{
    const char *p = text;
    bool first = true;
    while (*p != '\0') {
        const size_t word = strcspn(p, " ");
        if (!first && column + 1 + word > WIDTH) {
            ox_buf_printf(buf, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            ox_buf_add_byte(buf, ' ');
            column++;
        }
        ox_buf_add(buf, p, word);
        column += word;
        first = false;
        p += word;
        p += strspn(p, " ");
    }
    ox_buf_add_byte(buf, '\n');
}

static void add_option(struct ox_buf *buf, const struct cli_option_info *info)
{
    const size_t begin = buf->len;
    if (info->brief != 0) {
        ox_buf_printf(buf, "  -%c, --%s", info->brief, info->name);
    } else {
        ox_buf_printf(buf, "      --%s", info->name);
    }
    if (info->kind != KIND_FLAG) {
        ox_buf_printf(buf, "=%s", info->argument);
    }
    const size_t used = buf->len - begin;
    if (used + 2 > INDENT) {
        ox_buf_printf(buf, "\n%*s", INDENT, "");
    } else {
        ox_buf_printf(buf, "%*s", (int)(INDENT - used), "");
    }
    struct ox_buf text = {0};
    ox_buf_add_c(&text, info->help);
    if (info->preset[0] != '\0') {
        ox_buf_printf(&text, " (default: %s)", info->preset);
    }
    add_wrapped(buf, ox_buf_text(&text), INDENT, INDENT);
    ox_buf_fini(&text);
}

static void add_groups(struct ox_buf *buf, enum cli_verb verb)
{
    for (size_t g = 0; g < N_GROUPS; g++) {
        bool any = false;
        for (size_t i = 0; i < N_OPTIONS; i++) {
            const struct cli_option_info *info = cli_option_info((enum cli_option)i);
            if (info->group != (enum cli_group)g || !cli_verb_has(verb, (enum cli_option)i)) {
                continue;
            }
            if (!any) {
                ox_buf_printf(buf, "\n%s:\n", cli_group_heading((enum cli_group)g));
                any = true;
            }
            add_option(buf, info);
        }
    }
}

static void add_upper_first(struct ox_buf *buf, const char *text)
{
    ox_buf_add_byte(buf, (char)(text[0] >= 'a' && text[0] <= 'z' ? text[0] - 'a' + 'A' : text[0]));
    ox_buf_add_c(buf, text + (text[0] != '\0' ? 1 : 0));
}

static void add_verb(struct ox_buf *buf, enum cli_verb verb)
{
    const struct cli_verb_info *info = cli_verb_info(verb);
    ox_buf_printf(buf, "Usage: oxcart %s [OPTION]...%s%s\n", info->name, info->operands[0] != '\0' ? " " : "",
                  info->operands);
    add_upper_first(buf, info->purpose);
    ox_buf_add_c(buf, ".\n");
    add_groups(buf, verb);
    ox_buf_printf(buf, "\nThe manual: man oxcart-%s\n", info->name);
}

static void add_program(struct ox_buf *buf)
{
    ox_buf_add_c(buf, "Usage: oxcart VERB [OPTION]...\n"
                      "Run MiniMax-M3 on CPUs.\n"
                      "\nVerbs:\n");
    for (size_t i = 0; i < N_VERBS; i++) {
        const struct cli_verb_info *info = cli_verb_info((enum cli_verb)i);
        ox_buf_printf(buf, "  %-12s%s\n", info->name, info->purpose);
    }
    ox_buf_add_c(buf, "\nWithout a verb: chat if standard input is a terminal and no text is given, else run.\n"
                      "\nOptions:\n");
    add_option(buf, cli_option_info(OPT_HELP));
    add_option(buf, cli_option_info(OPT_VERSION));
    ox_buf_add_c(buf, "\nThe options of a verb: oxcart VERB --help\n"
                      "The manual: man oxcart\n");
    if (PACKAGE_BUGREPORT[0] != '\0') {
        ox_buf_add_c(buf, "Report bugs to: " PACKAGE_BUGREPORT "\n");
    }
    if (PACKAGE_URL[0] != '\0') {
        ox_buf_add_c(buf, "Home page: " PACKAGE_URL "\n");
    }
}

void help_print(struct output *output, enum cli_verb verb)
{
    struct ox_buf buf = {0};
    if (verb == VERB_NONE) {
        add_program(&buf);
    } else {
        add_verb(&buf, verb);
    }
    output_write(output, buf.ptr, buf.len);
    ox_buf_fini(&buf);
}

void version_print(struct output *output)
{
    output_printf(output,
                  "oxcart (Oxcart) %s\n"
                  "Copyright (C) 2026 The Oxcart authors\n"
                  "License Apache-2.0: Apache License 2.0 <https://www.apache.org/licenses/LICENSE-2.0>\n"
                  "This is free software: you are free to change and redistribute it.\n"
                  "There is NO WARRANTY, to the extent permitted by law.\n"
                  "\n"
                  "CPU levels:",
                  oxcart_version());
    for (size_t i = 0; i < OX_N_CPU_LEVELS; i++) {
        output_printf(output, " %s", ox_cpu_level_name((enum ox_cpu_level)i));
    }
    output_printf(output, "; used here: %s\nVulkan: no\n", ox_cpu_level_name(ox_cpu_best_level()));
}
