/* SPDX-License-Identifier: Apache-2.0
 *
 * oxcart score: how likely the model finds a text, token by token.
 */
#include <math.h>

#include "base/json_build.h"
#include "base/mem.h"
#include "cli/answer.h"
#include "cli/input.h"
#include "cli/json_out.h"

struct score {
    int32_t *ids;
    size_t n_ids;
    double *logprobs; /* the first is no number: nothing stands before it */
};

static void print_json(struct output *output, const struct score *score, double sum, double per_token)
{
    json_t *tokens = json_array();
    for (size_t i = 0; i < score->n_ids; i++) {
        json_t *token = json_object();
        ox_json_set(&token, "id", json_integer(score->ids[i]));
        ox_json_set(&token, "logprob", ox_json_new_real(score->logprobs[i]));
        ox_json_append(&tokens, token);
    }
    json_t *object = json_object();
    ox_json_set(&object, "tokens", ox_json_new_natural(score->n_ids));
    ox_json_set(&object, "scored", ox_json_new_natural(score->n_ids - 1));
    ox_json_set(&object, "loglik", ox_json_new_real(sum));
    ox_json_set(&object, "per_token", ox_json_new_real(per_token));
    ox_json_set(&object, "perplexity", ox_json_new_real(exp(-per_token)));
    ox_json_set(&object, "token_logprobs", tokens);
    json_out_print(output, object, 0);
    json_decref(object);
}

static int compute(const struct cli *cli, struct oxcart_engine *engine, struct oxcart_session *session,
                   struct ox_str text, struct score *score)
{
    struct oxcart_error err = {0};
    const uint32_t flags = cli_given(&cli->args, OPT_NO_SPECIAL) ? OXCART_TEXT_PLAIN : 0;
    if (oxcart_encode(engine, text.len > 0 ? text.ptr : "", text.len, flags, &score->ids, &score->n_ids, &err) !=
        OXCART_OK) {
        return cli_fail_public(cli, &err, EXIT_FAILED);
    }
    if (score->n_ids < 2) {
        return cli_fail(cli, EXIT_FAILED, "a text of %zu tokens cannot be scored: expected at least 2", score->n_ids);
    }
    score->logprobs = ox_calloc(score->n_ids, sizeof *score->logprobs);
    if (score->logprobs == NULL) {
        return cli_fail(cli, EXIT_MEMORY, "out of memory");
    }
    if (oxcart_session_score(session, score->ids, score->n_ids, score->logprobs, &err) != OXCART_OK) {
        return cli_fail_public(cli, &err, EXIT_FAILED);
    }
    return EXIT_DONE;
}

static void print_score(const struct cli *cli, const struct score *score)
{
    double sum = 0.0;
    for (size_t i = 1; i < score->n_ids; i++) {
        sum += score->logprobs[i];
    }
    const double per_token = sum / (double)(score->n_ids - 1);
    if (cli_given(&cli->args, OPT_JSON)) {
        print_json(cli->output, score, sum, per_token);
        return;
    }
    output_printf(cli->output, "tokens %zu  loglik %.4f  per token %.4f  perplexity %.4f\n", score->n_ids, sum, per_token,
                  exp(-per_token));
}

int verb_score(const struct cli *cli)
{
    struct ox_buf text = {0};
    struct oxcart_engine *engine = NULL;
    struct oxcart_session *session = NULL;
    struct score score = {0};
    struct answer_watch watch;
    bool from_file;
    int code = input_text(cli, &text, &from_file);
    if (code == EXIT_DONE) {
        code = cli_open(cli, &engine, &session);
    }
    if (code == EXIT_DONE) {
        answer_watch_prompt(cli, session, &watch);
        code = compute(cli, engine, session, ox_buf_str(&text), &score);
    }
    if (code == EXIT_DONE) {
        print_score(cli, &score);
    }
    oxcart_free(score.ids);
    ox_free(score.logprobs);
    oxcart_session_close(&session);
    oxcart_engine_close(&engine);
    ox_buf_fini(&text);
    return code;
}
