/* SPDX-License-Identifier: Apache-2.0
 *
 * A session's decoding: draw a token, tell the caller, decide whether the answer is over, compute the next.
 */
#include "base/json.h"
#include "engine/generation.h"
#include "engine/session.h"
#include "os/clock.h"
#include "text/grammar.h"

/* One more token. */
static enum ox_status generate_one(struct oxcart_session *session, struct ox_generation *g, uint64_t begin_ns,
                                   struct ox_error *err)
{
    int32_t id = -1;
    enum ox_status status = ox_session_compute(session, err);
    if (status == OX_OK) {
        status = ox_generation_draw(g, &session->sampler, session->logits, session->ids.len, &id, err);
    }
    if (status != OX_OK || id < 0) {
        return status;
    }
    if (ox_ids_add(&session->ids, id) != 0) {
        return ox_error_nomem(err, session->ids.len * sizeof id);
    }
    session->logits = NULL;
    if (g->result.n_generated == 0) {
        g->result.first_s = session->prompt_s + ox_clock_seconds(begin_ns, ox_clock_ns());
    }
    return ox_generation_take(g, id, err);
}

static enum ox_status generate(struct oxcart_session *session, struct ox_generation *g, struct ox_error *err)
{
    const uint64_t begin = ox_clock_ns();
    enum ox_status status = OX_OK;
    g->result.n_prompt = (int32_t)session->ids.len;
    g->result.n_cached = (int32_t)session->n_cached;
    g->result.prompt_s = session->prompt_s;
    g->result.n_media = (int32_t)session->n_media;
    g->result.media_s = session->media_s;
    while (status == OX_OK && !ox_generation_is_over(g) && session->ids.len < session->n_ctx) {
        status = generate_one(session, g, begin, err);
    }
    g->result.generate_s = ox_clock_seconds(begin, ox_clock_ns());
    return status == OX_OK ? ox_generation_finish(g, err) : status;
}

enum oxcart_status oxcart_session_decode(struct oxcart_session *session, const struct oxcart_sampling *sampling,
                                         oxcart_event_handler handler, void *user, struct oxcart_result *result,
                                         struct oxcart_error *err)
{
    struct ox_error inner = {0};
    struct ox_generation g = {0};
    enum ox_status status = OX_OK;
    if (result != NULL && result->size != sizeof *result) {
        status = ox_error_set(&inner, OX_E_ARG, "result: size is not set");
    }
    if (status == OX_OK) {
        const int32_t last = session->ids.len > 0 ? session->ids.ptr[session->ids.len - 1] : -1;
        status = ox_generation_init(session->engine, sampling, session->chat, session->tools,
                                    session->starts_in_reasoning, last, handler, user, &g, &inner);
    }
    if (status == OX_OK) {
        ox_sampler_begin(&session->sampler);
        g.n_drawn = session->sampler.n_drawn;
        status = generate(session, &g, &inner);
    }
    if (result != NULL && (status == OX_OK || status == OX_E_CANCELLED)) {
        g.result.size = sizeof *result;
        *result = g.result;
    }
    ox_generation_fini(&g);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

enum oxcart_status oxcart_schema_check(const char *json_schema, size_t json_schema_bytes, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    struct ox_grammar *grammar = NULL;
    const struct ox_str text = ox_str_make(json_schema, json_schema_bytes);
    const enum ox_status status = ox_grammar_from_text(text, "json-schema", true, &grammar, &inner);
    ox_grammar_free(grammar);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

enum oxcart_status oxcart_constraint_check(struct oxcart_engine *engine, const struct oxcart_sampling *sampling,
                                           const char *tools, size_t tools_bytes, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    json_t *tree = NULL;
    enum ox_status status = OX_OK;
    if (tools != NULL) {
        status = ox_json_parse(ox_str_make(tools, tools_bytes), "tools", &tree, &inner);
    }
    if (status == OX_OK) {
        status = ox_constraint_check(engine, tree, sampling, &inner);
    }
    json_decref(tree);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}
