/* SPDX-License-Identifier: Apache-2.0
 *
 * The forward pass: every worker walks the same steps in the same order; barriers stand where a step reads what
 * another worker wrote. Source: text-model.md 3.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "model/step.h"

enum ox_status ox_model_init(const struct ox_config *config, const struct ox_weights *weights,
                             const struct ox_kernels *kernels, struct ox_team *team, struct ox_model *out,
                             struct ox_error *err)
{
    const size_t half = config->rotary_dim / 2;
    memset(out, 0, sizeof *out);
    out->inv_freq = ox_calloc(half, sizeof *out->inv_freq);
    if (out->inv_freq == NULL) {
        return ox_error_nomem(err, half * sizeof *out->inv_freq);
    }
    for (size_t i = 0; i < half; i++) {
        out->inv_freq[i] = (float)(1.0 / pow(config->rope_theta, (double)(2 * i) / (double)config->rotary_dim));
    }
    out->config = config;
    out->weights = weights;
    out->kernels = kernels;
    out->team = team;
    return OX_OK;
}

void ox_model_fini(struct ox_model *model)
{
    ox_free(model->inv_freq);
    memset(model, 0, sizeof *model);
}

/* Cut the batch into runs of one timeline each. */
static void find_runs(struct ox_state *state, const struct ox_row *rows, size_t n_rows)
{
    state->n_runs = 0;
    for (size_t t = 0; t < n_rows; t++) {
        struct ox_run *last = state->n_runs > 0 ? &state->runs[state->n_runs - 1] : NULL;
        if (last != NULL && last->kv == rows[t].kv) {
            last->n_rows++;
        } else {
            state->runs[state->n_runs++] =
                (struct ox_run){.kv = rows[t].kv, .first_row = t, .n_rows = 1, .first_pos = rows[t].kv->n_tokens};
        }
        state->run_of[t] = (uint32_t)(state->n_runs - 1);
    }
}

static void report_hidden(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    if (worker->i_worker == 0 && pass->probe != NULL && pass->probe->hidden != NULL) {
        pass->probe->hidden(pass->probe->user, layer, pass->state->x, pass->n_rows);
    }
}

static void layer_step(const struct ox_pass *pass, const struct ox_worker *worker, size_t layer)
{
    const struct ox_config *config = pass->model->config;
    const struct ox_layer_weights *w = &pass->model->weights->layers[layer];
    report_hidden(pass, worker, layer);
    ox_step_norm(pass, worker, w->input_norm, config->sparse_layer[layer]);
    ox_barrier(worker);
    ox_step_project(pass, worker, layer);
    ox_barrier(worker);
    ox_step_heads(pass, worker, layer);
    ox_barrier(worker);
    if (config->sparse_layer[layer]) {
        ox_step_select(pass, worker, layer);
        ox_barrier(worker);
    }
    ox_step_attend(pass, worker, layer);
    ox_barrier(worker);
    ox_step_output(pass, worker, layer);
    ox_barrier(worker);
    ox_step_norm(pass, worker, w->post_norm, config->moe_layer[layer]);
    ox_barrier(worker);
    if (config->moe_layer[layer]) {
        ox_step_route(pass, worker, layer);
        ox_step_experts(pass, worker, layer);
    } else {
        ox_step_mlp(pass, worker, layer);
    }
    ox_barrier(worker);
}

static void forward(void *argument, const struct ox_worker *worker)
{
    const struct ox_pass *pass = argument;
    ox_step_embed(pass, worker);
    ox_barrier(worker);
    for (size_t l = 0; l < pass->model->config->n_layers; l++) {
        layer_step(pass, worker, l);
    }
    report_hidden(pass, worker, pass->model->config->n_layers);
    ox_step_head(pass, worker);
}

void ox_forward(const struct ox_model *model, struct ox_state *state, const struct ox_row *rows, size_t n_rows,
                const struct ox_probe *probe, const float **logits)
{
    OX_CHECK(n_rows > 0 && n_rows <= state->max_rows);
    struct ox_pass pass = {model, state, rows, n_rows, probe};
    find_runs(state, rows, n_rows);
    ox_team_run(model->team, forward, &pass);
    for (size_t r = 0; r < state->n_runs; r++) {
        state->runs[r].kv->n_tokens += state->runs[r].n_rows;
    }
    if (logits != NULL) {
        *logits = state->logits;
    }
}
