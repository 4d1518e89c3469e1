/* SPDX-License-Identifier: Apache-2.0
 *
 * One answer: the events of decoding gathered into text, thinking and calls, and shown while they come.
 */
#ifndef OX_CLI_ANSWER_H
#define OX_CLI_ANSWER_H

#include "base/buf.h"
#include "cli/cli.h"

enum answer_show { ANSWER_SHOW_NOTHING, ANSWER_SHOW_CONTENT, ANSWER_SHOW_THINKING, ANSWER_SHOW_FAINT };

#define ANSWER_ID_BYTES 30 /* "call_", 24 characters, NUL */

struct answer_call {
    char id[ANSWER_ID_BYTES];
    struct ox_buf name;
    struct ox_buf arguments;
    int32_t index;
    bool done;
};

/* All zero is an empty answer that shows nothing. */
struct answer {
    const struct cli *cli;
    enum answer_show show;
    struct ox_str schema; /* JSON schema of the answer; ptr NULL: none */
    struct ox_buf content;
    struct ox_buf reasoning;
    struct answer_call *calls;
    size_t n_calls;
    size_t calls_cap;
    bool in_thinking; /* thinking is on the screen, its end is not */
    bool failed;      /* out of memory, or no secret bytes for an id */
    struct oxcart_result result;
};

/* What --show-thinking asks for, or its default. */
enum answer_show answer_show_choose(const struct cli *cli);

void answer_fini(struct answer *answer);

/* Decode with the sampling options of cli and gather the answer (which must be zero but for cli, show and schema). Ctrl-C stops
 * it: what was drawn is kept, *stopped says so. Returns EXIT_DONE or, after a message, an exit code. */
int answer_decode(struct answer *answer, struct oxcart_session *session, bool *stopped);

/* End the text with a line feed if it has none, then print the calls, one JSON object a line. */
void answer_print_rest(struct answer *answer);

/* The prompt's progress on stderr, and Ctrl-C while it is computed; watch must live as long as the session. */
struct answer_watch {
    struct output *output;
    struct cli_signals *signals;
};
void answer_watch_prompt(const struct cli *cli, struct oxcart_session *session, struct answer_watch *watch);

/* "prompt 11709 tok (8192 cached) 210.4 tok/s | first token 17.1 s | ..." */
void answer_statistics(const struct oxcart_result *result, struct ox_buf *line);

/* Check the options that are not a plain number (--logit-bias). Returns EXIT_DONE or, after a message, EXIT_USAGE. */
int answer_check_options(const struct cli *cli);

#endif
