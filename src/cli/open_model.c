/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening engine and session as the common options say.
 */
#include <stdio.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/notify.h"

/* Who hears of an engine that is being opened. */
struct opening {
    const struct cli *cli;
    int percent; /* that the service's manager was told last */
};

static void on_message(void *user, enum oxcart_log_level level, const char *text)
{
    output_message(user, (enum ox_log_level)level, text);
}

static void on_engine_message(void *user, enum oxcart_log_level level, const char *text)
{
    const struct opening *opening = user;
    on_message(opening->cli->output, level, text);
}

static void on_progress(void *user, const char *phase, uint64_t done, uint64_t total, const char *unit)
{
    struct opening *opening = user;
    const struct cli *cli = opening->cli;
    const int percent = total > 0 ? (int)((double)done / (double)total * 100.0) : 100;
    char text[64];
    output_report(cli->output, phase, done, total, unit);
    if (cli->args.verb == VERB_SERVE && percent != opening->percent) {
        opening->percent = percent;
        snprintf(text, sizeof text, "STATUS=loading the model: %d %%", percent);
        notify(cli->environment.notify_socket, text);
    }
}

static int open_engine(const struct cli *cli, struct oxcart_engine **engine)
{
    char *path = NULL;
    int code = cli_model_path(cli, &path);
    if (code != EXIT_DONE) {
        return code;
    }
    struct opening opening = {.cli = cli};
    const struct oxcart_engine_options options = {
        .size = sizeof options,
        .model_path = path,
        .n_threads = (int32_t)cli_natural(&cli->args, OPT_THREADS, 0),
        .cpu_level = cli_text(&cli->args, OPT_CPU_LEVEL, NULL),
        .message = on_engine_message,
        .progress = on_progress,
        .user = &opening,
    };
    struct oxcart_error err = {0};
    if (oxcart_engine_open(&options, engine, &err) != OXCART_OK) {
        *engine = NULL;
        code = cli_fail_public(cli, &err, EXIT_MODEL);
    }
    ox_free(path);
    return code;
}

/* Closes the engine if that fails. */
static int open_session(const struct cli *cli, struct oxcart_engine **engine, struct oxcart_session **session)
{
    char *helper = cli_media_helper();
    const struct oxcart_session_options options = {
        .size = sizeof options,
        .n_ctx = (int32_t)cli_natural(&cli->args, OPT_CTX_SIZE, 0),
        .kv = cli_text(&cli->args, OPT_KV, NULL),
        .media_helper = helper,
        .max_pixels = (int64_t)cli_natural(&cli->args, OPT_MAX_PIXELS, 0),
        .fps = cli_real(&cli->args, OPT_FPS, 0.0),
        .max_frames = (int32_t)cli_natural(&cli->args, OPT_MAX_FRAMES, 0),
        .message = on_message,
        .user = cli->output,
    };
    struct oxcart_error err = {0};
    int code = EXIT_DONE;
    if (oxcart_session_open(*engine, &options, session, &err) != OXCART_OK) {
        *session = NULL;
        oxcart_engine_close(engine);
        code = cli_fail_public(cli, &err, EXIT_FAILED);
    }
    ox_free(helper);
    return code;
}

int cli_open(const struct cli *cli, struct oxcart_engine **engine, struct oxcart_session **session)
{
    *engine = NULL;
    const int code = open_engine(cli, engine);
    if (code != EXIT_DONE || session == NULL) {
        return code;
    }
    *session = NULL;
    struct oxcart_engine_info info = {.size = sizeof info};
    if (oxcart_engine_info(*engine, &info) == OXCART_OK && info.has_tokenizer == 0) {
        const int missing = cli_fail(cli, EXIT_MODEL, "%s: the model's folder has no tokenizer.json", info.name);
        oxcart_engine_close(engine);
        return missing;
    }
    return open_session(cli, engine, session);
}
