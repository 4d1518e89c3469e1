/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart run: one prompt or conversation in, one answer out.
 */
#include "cli/answer.h"
#include "cli/conversation.h"
#include "cli/input.h"
#include "cli/json_out.h"
#include "os/file.h"

/* Largest schema that is looked at: more than the library takes. */
#define SCHEMA_MAX_BYTES ((size_t)16 << 20)

/* One final line end belongs to the file, not to the prompt. */
static void cut_line_end(struct ox_buf *text)
{
    if (text->len > 0 && text->ptr[text->len - 1] == '\n') {
        ox_buf_cut(text, text->len - 1);
        if (text->len > 0 && text->ptr[text->len - 1] == '\r') {
            ox_buf_cut(text, text->len - 1);
        }
    }
}

/* The user's message: pictures and clips in the order given, then the prompt. */
static bool add_prompt(const struct cli *cli, json_t *conversation, struct ox_str text)
{
    json_t *parts = json_array();
    bool good = parts != NULL;
    for (size_t i = 0; good && i < cli->args.n_repeats; i++) {
        const struct cli_repeat *repeat = &cli->args.repeats[i];
        if (repeat->option == OPT_IMAGE || repeat->option == OPT_VIDEO) {
            good = conversation_add_part(&parts, repeat->option == OPT_VIDEO, ox_str_c(repeat->text));
        }
    }
    return good && conversation_add_shown(conversation, parts, text);
}

static int read_prompt(const struct cli *cli, json_t **conversation)
{
    struct ox_buf text = {0};
    bool from_file;
    int code = input_text(cli, &text, &from_file);
    if (code == EXIT_DONE) {
        if (from_file) {
            cut_line_end(&text);
        }
        if (text.len == 0) {
            code = cli_fail(cli, EXIT_USAGE, "the prompt is empty");
        }
    }
    if (code == EXIT_DONE) {
        code = conversation_new(cli, conversation);
    }
    if (code == EXIT_DONE && !add_prompt(cli, *conversation, ox_buf_str(&text))) {
        json_decref(*conversation);
        *conversation = NULL;
        code = cli_fail(cli, EXIT_MEMORY, "out of memory");
    }
    ox_buf_fini(&text);
    return code;
}

/* The conversation to answer, from a file or from a prompt. */
static int read_conversation(const struct cli *cli, json_t **conversation)
{
    const struct cli_args *args = &cli->args;
    if (!cli_given(args, OPT_MESSAGES)) {
        return read_prompt(cli, conversation);
    }
    if (args->n_operands > 0 || cli_given(args, OPT_PROMPT) || cli_given(args, OPT_FILE) ||
        cli_given(args, OPT_SYSTEM) || cli_given(args, OPT_TOOLS) || cli_given(args, OPT_IMAGE) ||
        cli_given(args, OPT_VIDEO)) {
        return cli_fail(cli, EXIT_USAGE, "--messages: the conversation's file holds everything, there can be no prompt, "
                                         "--system, --tools, --image or --video besides");
    }
    return input_json(cli, OPT_MESSAGES, conversation);
}

/* The schema that --json-schema names, checked before a model is opened. */
static int read_schema(const struct cli *cli, struct ox_buf *schema)
{
    struct ox_error err = {0};
    struct oxcart_error wrong = {0};
    if (!cli_given(&cli->args, OPT_JSON_SCHEMA)) {
        return EXIT_DONE;
    }
    const char *path = cli->args.values[OPT_JSON_SCHEMA].text;
    if (ox_file_read(path, SCHEMA_MAX_BYTES, schema, &err) != OX_OK) {
        return cli_fail_error(cli, &err, EXIT_FAILED);
    }
    if (oxcart_schema_check(ox_buf_text(schema), schema->len, &wrong) != OXCART_OK) {
        return wrong.code == OXCART_E_NOMEM ? cli_fail_public(cli, &wrong, EXIT_FAILED)
                                            : cli_fail(cli, EXIT_USAGE, "%s: %s", path, wrong.message);
    }
    return EXIT_DONE;
}

static void print_answer(struct answer *answer)
{
    struct output *output = answer->cli->output;
    if (cli_given(&answer->cli->args, OPT_JSON)) {
        json_t *object = json_out_answer(answer);
        json_out_print(output, object, 0);
        json_decref(object);
    } else {
        answer_print_rest(answer);
    }
    struct ox_buf line = {0};
    answer_statistics(&answer->result, &line);
    output_line(output, false, ox_buf_text(&line));
    ox_buf_clear(&line);
    ox_buf_printf(&line, "seed %llu", (unsigned long long)answer->result.seed);
    output_message(output, OX_LOG_INFO, ox_buf_text(&line));
    ox_buf_fini(&line);
}

static int run(const struct cli *cli, const json_t *conversation, const struct ox_buf *schema,
               struct oxcart_session *session)
{
    struct oxcart_error err = {0};
    struct answer_watch watch;
    bool stopped = false;
    answer_watch_prompt(cli, session, &watch);
    cli->signals->n_interrupts = 0;
    cli->signals->mode = INTERRUPT_STOPS;
    if (conversation_render(cli, conversation, session, &err) != OXCART_OK) {
        if (cli->signals->n_interrupts > 0) {
            return cli_fail(cli, EXIT_FAILED, "interrupted before the answer began");
        }
        if (err.code == OXCART_E_FORMAT || err.code == OXCART_E_ARG) { /* what the conversation says, not the options */
            const char *path = cli_text(&cli->args, OPT_MESSAGES, cli_text(&cli->args, OPT_TOOLS, "prompt"));
            return cli_fail(cli, EXIT_FAILED, "%s: %s", path, err.message);
        }
        return cli_fail_public(cli, &err, EXIT_FAILED);
    }
    struct answer answer = {
        .cli = cli,
        .show = cli_given(&cli->args, OPT_JSON) ? ANSWER_SHOW_NOTHING : answer_show_choose(cli),
        .schema = ox_buf_str(schema),
    };
    int code = answer_decode(&answer, session, &stopped);
    if (code == EXIT_DONE) {
        print_answer(&answer);
    }
    if (stopped) {
        code = cli_fail(cli, EXIT_FAILED, "interrupted; the answer is not complete");
    }
    cli->signals->mode = INTERRUPT_EXITS;
    answer_fini(&answer);
    return code;
}

int verb_run(const struct cli *cli)
{
    json_t *conversation = NULL;
    struct ox_buf schema = {0};
    struct oxcart_engine *engine = NULL;
    struct oxcart_session *session = NULL;
    int code = answer_check_options(cli);
    if (code == EXIT_DONE) {
        code = read_schema(cli, &schema);
    }
    if (code == EXIT_DONE) {
        code = read_conversation(cli, &conversation);
    }
    if (code == EXIT_DONE) {
        code = cli_open(cli, &engine, &session);
    }
    if (code == EXIT_DONE) {
        code = run(cli, conversation, &schema, session);
    }
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
    ox_buf_fini(&schema);
    json_decref(conversation);
    return code;
}
