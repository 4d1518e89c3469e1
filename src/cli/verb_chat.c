/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart chat: turns of a conversation, read line by line. The whole conversation is rendered again for each turn; the
 * session keeps what it has computed already.
 */
#include <stdio.h>
#include <string.h>

#include "cli/chat_commands.h"

static void warn_of_end(struct chat *chat, const struct oxcart_result *result)
{
    if (result->finish != OXCART_FINISH_LENGTH) {
        return;
    }
    if (oxcart_session_tokens(chat->session, NULL) >= (size_t)chat->n_ctx) {
        output_note(chat->cli.output, "the context of %d tokens is full; /clear begins a new conversation", chat->n_ctx);
    } else {
        output_note(chat->cli.output, "the answer was cut off after %d tokens (/set predict N)", result->n_generated);
    }
}

/* Make the session hold the conversation. */
static int render(struct chat *chat)
{
    struct oxcart_error err = {0};
    if (conversation_render(&chat->cli, chat->conversation, chat->session, &err) == OXCART_OK) {
        return EXIT_DONE;
    }
    if (chat->cli.signals->n_interrupts > 0) {
        output_note(chat->cli.output, "stopped; your message was taken back");
        return EXIT_FAILED;
    }
    if (err.code == OXCART_E_STATE) {
        return cli_fail(&chat->cli, EXIT_FAILED, "%s; /clear begins a new conversation", err.message);
    }
    return err.code == OXCART_E_ARG ? cli_fail(&chat->cli, EXIT_FAILED, "%s", err.message)
                                    : cli_fail_public(&chat->cli, &err, EXIT_FAILED);
}

/* One answer to the conversation as it stands, added to it. *stopped: by Ctrl-C. */
static int answer_once(struct chat *chat, struct answer *answer, bool *stopped)
{
    struct cli_signals *signals = chat->cli.signals;
    *stopped = false;
    signals->n_interrupts = 0;
    signals->mode = INTERRUPT_STOPS;
    int code = render(chat);
    if (code == EXIT_DONE) {
        code = answer_decode(answer, chat->session, stopped);
    }
    signals->mode = INTERRUPT_COUNTS;
    if (code != EXIT_DONE) {
        return code;
    }
    answer_print_rest(answer);
    chat->last = answer->result;
    chat->has_last = true;
    chat_show_statistics(chat, OX_LOG_INFO);
    const bool empty = answer->content.len == 0 && answer->reasoning.len == 0 && answer->n_calls == 0;
    if (*stopped && empty) {
        output_note(chat->cli.output, "stopped; your message was taken back");
        return EXIT_FAILED;
    }
    if (*stopped) {
        output_note(chat->cli.output, "stopped");
    } else {
        warn_of_end(chat, &answer->result);
    }
    return conversation_add_answer(chat->conversation, answer) ? EXIT_DONE
                                                                : cli_fail(&chat->cli, EXIT_MEMORY, "out of memory");
}

/* Ask for the results of the answer's calls. False if there is no more input. */
static bool ask_results(struct chat *chat, const struct answer *answer)
{
    struct ox_buf line = {0};
    bool good = true;
    for (size_t i = 0; good && i < answer->n_calls; i++) {
        char prompt[48];
        snprintf(prompt, sizeof prompt, "result of %.30s> ", ox_buf_text(&answer->calls[i].name));
        good = lines_read(chat->lines, prompt, &line) == LINES_GOT &&
               conversation_add_result(chat->conversation, answer->calls[i].id, ox_buf_str(&line));
    }
    ox_buf_fini(&line);
    return good;
}

void chat_respond(struct chat *chat)
{
    for (;;) {
        struct answer answer = {.cli = &chat->cli, .show = answer_show_choose(&chat->cli)};
        bool stopped;
        const int code = answer_once(chat, &answer, &stopped);
        const bool calls = code == EXIT_DONE && !stopped && answer.n_calls > 0;
        const bool go_on = calls && ask_results(chat, &answer);
        answer_fini(&answer);
        if (code != EXIT_DONE) {
            chat->code = code;
            chat->leave = code == EXIT_MEMORY || output_failed(chat->cli.output);
            while (chat_pop_if(chat, "tool") || chat_pop_if(chat, "assistant")) {
            }
            (void)chat_pop_if(chat, "user");
        }
        if (calls && !go_on) { /* a call without a result cannot be continued */
            while (chat_pop_if(chat, "tool")) {
            }
            (void)chat_pop_if(chat, "assistant");
            (void)chat_pop_if(chat, "user");
        }
        if (!go_on) {
            return;
        }
    }
}

bool chat_pop_if(struct chat *chat, const char *role)
{
    json_t *messages = json_object_get(chat->conversation, "messages");
    return strcmp(conversation_last_role(chat->conversation), role) == 0 &&
           json_array_remove(messages, json_array_size(messages) - 1) == 0;
}

void chat_say(struct chat *chat, struct ox_str text)
{
    if (text.len == 0) {
        return;
    }
    json_t *shown = chat->shown;
    chat->shown = NULL;
    if (!conversation_add_shown(chat->conversation, shown, text)) {
        chat->code = cli_fail(&chat->cli, EXIT_MEMORY, "out of memory");
        chat->leave = true;
        return;
    }
    chat_respond(chat);
}

void chat_show_statistics(struct chat *chat, enum ox_log_level level)
{
    struct ox_buf line = {0};
    answer_statistics(&chat->last, &line);
    if (level == OX_LOG_ERROR) {
        output_line(chat->cli.output, true, ox_buf_text(&line));
    } else {
        output_message(chat->cli.output, level, ox_buf_text(&line));
    }
    ox_buf_fini(&line);
}

/* ---- input ----------------------------------------------------------------------------------------------------- */

static bool ends_with(const struct ox_buf *buf, const char *text)
{
    const size_t len = strlen(text);
    return buf->len >= len && memcmp(buf->ptr + buf->len - len, text, len) == 0;
}

/* The rest of a message in triple quotes, whose first line (without the quotes) is in turn. */
static enum lines_result read_quoted(struct chat *chat, struct ox_buf *line, struct ox_buf *turn)
{
    while (!ends_with(turn, "\"\"\"")) {
        const enum lines_result result = lines_read(chat->lines, "... ", line);
        if (result != LINES_GOT) {
            return result == LINES_END ? LINES_GOT : result;
        }
        ox_buf_add_byte(turn, '\n');
        ox_buf_add_str(turn, ox_buf_str(line));
    }
    ox_buf_cut(turn, turn->len - 3);
    return LINES_GOT;
}

/* One turn: a line, lines joined by a backslash at their end, or lines between triple quotes. */
static enum lines_result read_turn(struct chat *chat, struct ox_buf *line, struct ox_buf *turn)
{
    ox_buf_clear(turn);
    enum lines_result result = lines_read(chat->lines, "> ", line);
    if (result == LINES_GOT && line->len >= 3 && memcmp(line->ptr, "\"\"\"", 3) == 0) {
        ox_buf_add(turn, line->ptr + 3, line->len - 3);
        return read_quoted(chat, line, turn);
    }
    while (result == LINES_GOT && ends_with(line, "\\")) {
        ox_buf_add(turn, line->ptr, line->len - 1);
        ox_buf_add_byte(turn, '\n');
        result = lines_read(chat->lines, "... ", line);
    }
    if (result == LINES_GOT) {
        ox_buf_add_str(turn, ox_buf_str(line));
    }
    return result == LINES_END && turn->len > 0 ? LINES_GOT : result;
}

static void talk(struct chat *chat)
{
    struct ox_buf line = {0};
    struct ox_buf turn = {0};
    bool warned = false;
    while (!chat->leave) {
        chat->cli.signals->mode = INTERRUPT_COUNTS;
        chat->cli.signals->n_interrupts = 0;
        const enum lines_result result = read_turn(chat, &line, &turn);
        if (result == LINES_INTERRUPTED && !warned) {
            warned = true;
            output_line(chat->cli.output, true, "(Ctrl-C again or Ctrl-D leaves)");
            continue;
        }
        if (result == LINES_INTERRUPTED) {
            chat->code = EXIT_INTERRUPTED;
            break;
        }
        if (result == LINES_FAILED) {
            chat->code = cli_fail(&chat->cli, EXIT_FAILED, "the line is too long");
            break;
        }
        if (result == LINES_END) {
            break;
        }
        warned = false;
        if (turn.len > 0 && turn.ptr[0] == '/') {
            chat_command(chat, ox_buf_str(&turn));
        } else {
            chat_say(chat, ox_buf_str(&turn));
        }
    }
    ox_buf_fini(&line);
    ox_buf_fini(&turn);
}

static int open_chat(struct chat *chat)
{
    int code = answer_check_options(&chat->cli);
    if (code == EXIT_DONE) {
        code = conversation_new(&chat->cli, &chat->conversation);
    }
    if (code == EXIT_DONE) {
        code = cli_open(&chat->cli, &chat->engine, &chat->session);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    chat->info.size = sizeof chat->info;
    if (oxcart_engine_info(chat->engine, &chat->info) != OXCART_OK) {
        return cli_fail(&chat->cli, EXIT_FAILED, "the model does not describe itself");
    }
    const int32_t usual = chat->info.max_positions < CHAT_USUAL_CTX ? chat->info.max_positions : CHAT_USUAL_CTX;
    chat->n_ctx = (int32_t)cli_natural(&chat->cli.args, OPT_CTX_SIZE, (uint64_t)usual);
    answer_watch_prompt(&chat->cli, chat->session, &chat->watch);
    chat->lines = lines_open(&chat->cli, chat_command_word);
    return chat->lines != NULL ? EXIT_DONE : cli_fail(&chat->cli, EXIT_MEMORY, "out of memory");
}

int verb_chat(const struct cli *cli)
{
    struct chat chat = {.cli = *cli};
    int code = open_chat(&chat);
    if (code == EXIT_DONE) {
        if (cli->in_terminal) {
            output_note(cli->output, "%s, %s; /help lists commands", chat.info.name, chat.info.format);
        }
        talk(&chat);
        /* On a terminal failed turns were dealt with by the one who saw them. */
        code = cli->in_terminal && chat.code == EXIT_FAILED ? EXIT_DONE : chat.code;
    }
    lines_close(chat.lines);
    oxcart_session_close(&chat.session);
    oxcart_engine_close(&chat.engine);
    json_decref(chat.conversation);
    json_decref(chat.shown);
    chat_free_texts(&chat);
    return code;
}
