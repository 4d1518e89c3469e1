/* SPDX-License-Identifier: Apache-2.0
 *
 * Options to sampling, events to text. Failed calls are text (chat-template.md section 6), done calls are kept apart.
 */
#include "cli/answer.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "cli/json_out.h"
#include "os/memory.h"

enum answer_show answer_show_choose(const struct cli *cli)
{
    const char *preset = cli->output->out_terminal ? "dim" : "off";
    const char *text = cli_text(&cli->args, OPT_SHOW_THINKING, preset);
    if (strcmp(text, "off") == 0) {
        return ANSWER_SHOW_CONTENT;
    }
    return strcmp(text, "dim") == 0 ? ANSWER_SHOW_FAINT : ANSWER_SHOW_THINKING;
}

void answer_fini(struct answer *answer)
{
    for (size_t i = 0; i < answer->n_calls; i++) {
        ox_buf_fini(&answer->calls[i].name);
        ox_buf_fini(&answer->calls[i].arguments);
    }
    ox_free(answer->calls);
    ox_buf_fini(&answer->content);
    ox_buf_fini(&answer->reasoning);
    memset(answer, 0, sizeof *answer);
}

/* ---- sampling -------------------------------------------------------------------------------------------------- */

struct sampling {
    struct oxcart_sampling options;
    struct oxcart_bias *bias;
    const char **stop;
};

static bool parse_bias(const char *text, struct oxcart_bias *bias)
{
    const char *colon = strchr(text, ':');
    uint64_t id;
    double value;
    if (colon == NULL || !ox_str_to_u64(ox_str_make(text, (size_t)(colon - text)), &id) || id > INT32_MAX ||
        !ox_str_to_double(ox_str_c(colon + 1), &value) || value > 1e30 || value < -1e30) {
        return false;
    }
    *bias = (struct oxcart_bias){(int32_t)id, (float)value};
    return true;
}

int answer_check_options(const struct cli *cli)
{
    for (size_t i = 0; i < cli->args.n_repeats; i++) {
        const struct cli_repeat *repeat = &cli->args.repeats[i];
        struct oxcart_bias bias;
        if (repeat->option == OPT_LOGIT_BIAS && !parse_bias(repeat->text, &bias)) {
            return cli_fail(cli, EXIT_USAGE, "--logit-bias: expected ID:X, a token's number and what to add, found '%.60s'",
                            repeat->text);
        }
        if (repeat->option == OPT_STOP && repeat->text[0] == '\0') {
            return cli_fail(cli, EXIT_USAGE, "--stop: expected a text, found nothing");
        }
    }
    return EXIT_DONE;
}

static bool make_sampling(const struct cli_args *args, struct sampling *sampling)
{
    struct oxcart_sampling *o = &sampling->options;
    oxcart_sampling_default(o);
    o->n_predict = (int32_t)cli_natural(args, OPT_PREDICT, 0);
    o->temperature = (float)cli_real(args, OPT_TEMPERATURE, -1.0);
    o->top_p = (float)cli_real(args, OPT_TOP_P, -1.0);
    o->top_k = cli_given(args, OPT_TOP_K) ? (int32_t)cli_natural(args, OPT_TOP_K, 0) : -1;
    o->min_p = (float)cli_real(args, OPT_MIN_P, -1.0);
    o->presence_penalty = (float)cli_real(args, OPT_PRESENCE_PENALTY, 0.0);
    o->frequency_penalty = (float)cli_real(args, OPT_FREQUENCY_PENALTY, 0.0);
    o->seed = cli_natural(args, OPT_SEED, 0);
    o->has_seed = cli_given(args, OPT_SEED) ? 1 : 0;
    if (cli_given(args, OPT_GREEDY)) {
        o->temperature = 0.0F;
    }
    sampling->bias = ox_calloc(args->n_repeats, sizeof *sampling->bias);
    sampling->stop = ox_calloc(args->n_repeats, sizeof *sampling->stop);
    if (sampling->bias == NULL || sampling->stop == NULL) {
        return false;
    }
    for (size_t i = 0; i < args->n_repeats; i++) {
        const struct cli_repeat *repeat = &args->repeats[i];
        if (repeat->option == OPT_LOGIT_BIAS && parse_bias(repeat->text, &sampling->bias[o->n_bias])) {
            o->n_bias++;
        } else if (repeat->option == OPT_STOP) {
            sampling->stop[o->n_stop++] = repeat->text;
        }
    }
    o->bias = sampling->bias;
    o->stop = sampling->stop;
    return true;
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

static struct answer_call *find_call(struct answer *answer, int32_t index)
{
    for (size_t i = answer->n_calls; i > 0; i--) {
        if (answer->calls[i - 1].index == index && !answer->calls[i - 1].done) {
            return &answer->calls[i - 1];
        }
    }
    return NULL;
}

static void begin_call(struct answer *answer, int32_t index, struct ox_str name)
{
    void *calls = answer->calls;
    if (ox_grow(&calls, &answer->calls_cap, answer->n_calls + 1, sizeof *answer->calls) != 0) {
        answer->failed = true;
        return;
    }
    answer->calls = calls;
    struct answer_call *call = &answer->calls[answer->n_calls];
    memset(call, 0, sizeof *call);
    call->index = index;
    answer->n_calls++;
    ox_buf_add_str(&call->name, name);
    answer->failed = answer->failed || ox_rng_id("call_", call->id, sizeof call->id) != 0;
}

static void end_thinking(struct answer *answer)
{
    if (answer->in_thinking) {
        const size_t len = answer->reasoning.len;
        const bool open_line = len > 0 && answer->reasoning.ptr[len - 1] != '\n';
        const char *text = open_line ? "\n...done thinking.\n\n" : "...done thinking.\n\n";
        if (answer->show == ANSWER_SHOW_FAINT) {
            output_faint(answer->cli->output, ox_str_c(text));
        } else {
            output_write(answer->cli->output, text, strlen(text));
        }
        answer->in_thinking = false;
    }
}

static void show_thinking(struct answer *answer, struct ox_str text)
{
    struct output *output = answer->cli->output;
    if (answer->show != ANSWER_SHOW_THINKING && answer->show != ANSWER_SHOW_FAINT) {
        return;
    }
    if (!answer->in_thinking) {
        if (answer->show == ANSWER_SHOW_FAINT) {
            output_faint(output, ox_str_c("Thinking...\n"));
        } else {
            output_printf(output, "Thinking...\n");
        }
        answer->in_thinking = true;
    }
    if (answer->show == ANSWER_SHOW_FAINT) {
        output_faint(output, text);
    } else {
        output_text(output, text);
    }
    output_flush(output);
}

static void show_content(struct answer *answer, struct ox_str text)
{
    if (answer->show != ANSWER_SHOW_NOTHING && text.len > 0) {
        end_thinking(answer);
        output_text(answer->cli->output, text);
        output_flush(answer->cli->output);
    }
}

/* A call that could not be read is text; what was gathered of it is forgotten. */
static void fail_call(struct answer *answer, int32_t index, struct ox_str raw)
{
    struct answer_call *call = find_call(answer, index);
    if (call != NULL) {
        ox_buf_fini(&call->name);
        ox_buf_fini(&call->arguments);
        const size_t i = (size_t)(call - answer->calls);
        memmove(call, call + 1, (answer->n_calls - i - 1) * sizeof *call);
        answer->n_calls--;
    }
    ox_buf_add_str(&answer->content, raw);
    show_content(answer, raw);
}

static int on_event(void *user, const struct oxcart_event *event)
{
    struct answer *answer = user;
    const struct ox_str text = ox_str_make(event->text, event->text_bytes);
    struct answer_call *call = NULL;
    switch (event->kind) {
    case OXCART_EVENT_TOKEN:
        break;
    case OXCART_EVENT_REASONING:
        ox_buf_add_str(&answer->reasoning, text);
        show_thinking(answer, text);
        break;
    case OXCART_EVENT_CONTENT:
        ox_buf_add_str(&answer->content, text);
        show_content(answer, text);
        break;
    case OXCART_EVENT_CALL_BEGIN:
        begin_call(answer, event->index, text);
        break;
    case OXCART_EVENT_CALL_ARGUMENTS:
        call = find_call(answer, event->index);
        if (call != NULL) {
            ox_buf_add_str(&call->arguments, text);
        }
        break;
    case OXCART_EVENT_CALL_DONE:
        call = find_call(answer, event->index);
        if (call != NULL) {
            call->done = true;
        }
        break;
    case OXCART_EVENT_CALL_FAILED:
        fail_call(answer, event->index, text);
        break;
    }
    return answer->failed || answer->cli->signals->n_interrupts > 0 || output_failed(answer->cli->output) ? 1 : 0;
}

/* Calls that were cut off before they were done are no calls. */
static void drop_open_calls(struct answer *answer)
{
    size_t kept = 0;
    for (size_t i = 0; i < answer->n_calls; i++) {
        struct answer_call *call = &answer->calls[i];
        if (call->done) {
            answer->calls[kept++] = *call;
        } else {
            ox_buf_fini(&call->name);
            ox_buf_fini(&call->arguments);
        }
    }
    answer->n_calls = kept;
}

static bool is_short_of_memory(const struct answer *answer)
{
    bool failed = answer->failed || ox_buf_failed(&answer->content) || ox_buf_failed(&answer->reasoning);
    for (size_t i = 0; i < answer->n_calls; i++) {
        failed = failed || ox_buf_failed(&answer->calls[i].name) || ox_buf_failed(&answer->calls[i].arguments);
    }
    return failed;
}

int answer_decode(struct answer *answer, struct oxcart_session *session, bool *stopped)
{
    const struct cli *cli = answer->cli;
    struct sampling sampling = {0};
    struct oxcart_error err = {0};
    enum oxcart_status status = OXCART_E_NOMEM;
    *stopped = false;
    answer->result.size = sizeof answer->result;
    answer->result.finish = OXCART_FINISH_LENGTH;
    if (make_sampling(&cli->args, &sampling)) {
        if (answer->schema.ptr != NULL) {
            sampling.options.constraint = OXCART_CONSTRAINT_JSON_SCHEMA;
            sampling.options.json_schema = answer->schema.ptr;
            sampling.options.json_schema_bytes = answer->schema.len;
        }
        status = oxcart_session_decode(session, &sampling.options, on_event, answer, &answer->result, &err);
    }
    ox_free(sampling.bias);
    ox_free(sampling.stop);
    end_thinking(answer);
    drop_open_calls(answer);
    if (is_short_of_memory(answer)) {
        return cli_fail(cli, EXIT_MEMORY, "out of memory while the answer was gathered");
    }
    if (status == OXCART_E_CANCELLED) {
        *stopped = cli->signals->n_interrupts > 0;
        return *stopped ? EXIT_DONE : EXIT_FAILED; /* else output failed, which is told at the end */
    }
    return status == OXCART_OK ? EXIT_DONE : cli_fail_public(cli, &err, EXIT_FAILED);
}

void answer_print_rest(struct answer *answer)
{
    struct output *output = answer->cli->output;
    const size_t len = answer->content.len;
    if (len > 0 && answer->content.ptr[len - 1] != '\n') {
        output_write(output, "\n", 1);
    }
    for (size_t i = 0; i < answer->n_calls; i++) {
        json_t *call = json_out_call(&answer->calls[i]);
        json_out_print(output, call, JSON_COMPACT);
        json_decref(call);
    }
    output_flush(output);
}

static int on_prompt(void *user, size_t done, size_t total)
{
    const struct answer_watch *watch = user;
    output_report(watch->output, "prompt", done, total, "tok");
    return watch->signals->n_interrupts > 0 ? 1 : 0;
}

void answer_watch_prompt(const struct cli *cli, struct oxcart_session *session, struct answer_watch *watch)
{
    *watch = (struct answer_watch){cli->output, cli->signals};
    oxcart_session_on_prompt(session, on_prompt, watch);
}

/* ---- statistics ------------------------------------------------------------------------------------------------ */

static void add_memory(struct ox_buf *line, uint64_t bytes)
{
    const double gib = (double)bytes / 1073741824.0;
    if (gib >= 10.0) {
        ox_buf_printf(line, "%.0f GiB", gib);
    } else if (gib >= 1.0) {
        ox_buf_printf(line, "%.1f GiB", gib);
    } else {
        ox_buf_printf(line, "%.0f MiB", gib * 1024.0);
    }
}

static double rate(double n, double seconds)
{
    return seconds > 0.0 ? n / seconds : 0.0;
}

void answer_statistics(const struct oxcart_result *result, struct ox_buf *line)
{
    const int32_t n_new = result->n_prompt - result->n_cached;
    ox_buf_printf(line, "prompt %d tok (%d cached) %.1f tok/s | first token %.*f s | generated %d tok %.2f tok/s | memory ",
                  (int)result->n_prompt, (int)result->n_cached, rate((double)n_new, result->prompt_s),
                  result->first_s >= 1.0 ? 1 : 3, result->first_s, (int)result->n_generated,
                  rate((double)result->n_generated, result->generate_s));
    add_memory(line, ox_memory_resident());
    if (result->n_media > 0) {
        ox_buf_printf(line, " | pictures %d tok %.3f s", (int)result->n_media, result->media_s);
    }
}
