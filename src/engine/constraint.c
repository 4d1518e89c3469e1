/* SPDX-License-Identifier: Apache-2.0
 *
 * Options to grammars, and masks with the tokens that no grammar knows: ends of the message and think tags.
 */
#include "engine/constraint.h"

#include <string.h>

#include "base/json_build.h"
#include "base/mem.h"

/* The engine's vocabulary arranged for masks, made when it is first wanted. */
static enum ox_status need_lexicon(struct oxcart_engine *engine, struct ox_error *err)
{
    enum ox_status status = OX_OK;
    pthread_mutex_lock(&engine->turn);
    if (engine->lexicon == NULL) {
        status = ox_lexicon_from_tokenizer(engine->tokenizer, (int32_t)engine->config.vocab, &engine->markers,
                                           &engine->lexicon, err);
    }
    pthread_mutex_unlock(&engine->turn);
    return status;
}

/* The schema of the document that the answer is or may be; ptr NULL: it may not be one. */
static struct ox_str document_of(const struct oxcart_sampling *options)
{
    const bool given = options->json_schema != NULL;
    const struct ox_str schema = ox_str_make(given ? options->json_schema : "", options->json_schema_bytes);
    switch (options->constraint) {
    case OXCART_CONSTRAINT_JSON_OBJECT:
        return ox_str_c(OX_GRAMMAR_ANY_OBJECT);
    case OXCART_CONSTRAINT_JSON_SCHEMA:
        return schema;
    case OXCART_CONSTRAINT_TOOLS_OR_JSON:
        return given ? schema : ox_str_c(OX_GRAMMAR_ANY_OBJECT);
    case OXCART_CONSTRAINT_TOOLS:
    case OXCART_CONSTRAINT_TOOLS_REQUIRED:
    case OXCART_CONSTRAINT_NONE:
    default:
        return ox_str_make(NULL, 0);
    }
}

static enum ox_status make_grammar(json_t *tools, const struct oxcart_sampling *options, struct ox_grammar **out,
                                   struct ox_error *err)
{
    const struct ox_grammar_calls calls = {
        .name = options->tool != NULL ? ox_str_c(options->tool) : ox_str_make(NULL, 0),
        .text_first = options->constraint == OXCART_CONSTRAINT_TOOLS,
        .parallel = options->single_call == 0,
        .any_arguments = options->any_arguments != 0,
        .document = document_of(options),
    };
    switch (options->constraint) {
    case OXCART_CONSTRAINT_JSON_OBJECT:
    case OXCART_CONSTRAINT_JSON_SCHEMA:
        return ox_grammar_from_text(calls.document, "json-schema", true, out, err);
    case OXCART_CONSTRAINT_TOOLS:
    case OXCART_CONSTRAINT_TOOLS_REQUIRED:
    case OXCART_CONSTRAINT_TOOLS_OR_JSON:
        if (tools == NULL) {
            return ox_error_set(err, OX_E_STATE, "calls are wanted, but the conversation has no tools");
        }
        return ox_grammar_from_tools(tools, "tools", &calls, true, out, err);
    case OXCART_CONSTRAINT_NONE:
    default:
        return ox_error_set(err, OX_E_ARG, "sampling options: constraint is not one that is known");
    }
}

/* All that make_grammar looks at. */
static void add_key(const json_t *tools, const struct oxcart_sampling *options, struct ox_buf *key)
{
    const struct ox_str document = document_of(options);
    ox_buf_printf(key, "%d %d %d %zu %s", (int)options->constraint, options->single_call, options->any_arguments,
                  document.len, options->tool != NULL ? options->tool : "");
    ox_buf_add_byte(key, '\0'); /* names have none */
    ox_buf_add_str(key, document);
    if (options->constraint >= OXCART_CONSTRAINT_TOOLS && tools != NULL) {
        ox_json_write(tools, key);
    }
}

/* Find the grammar or make it. */
static enum ox_status need_grammar(struct ox_constraint *c, json_t *tools, const struct oxcart_sampling *options,
                                   struct ox_error *err)
{
    struct ox_grammars *grammars = &c->engine->grammars;
    struct ox_grammar *grammar = NULL;
    struct ox_buf key = {0};
    add_key(tools, options, &key);
    c->grammar = ox_buf_failed(&key) ? NULL : ox_grammars_find(grammars, ox_buf_str(&key));
    enum ox_status status = OX_OK;
    if (c->grammar == NULL) {
        status = make_grammar(tools, options, &grammar, err);
        status = status == OX_OK ? ox_grammars_add(grammars, &key, &grammar, &c->grammar, err) : status;
    }
    ox_buf_fini(&key);
    return status;
}

enum ox_status ox_constraint_check(struct oxcart_engine *engine, json_t *tools, const struct oxcart_sampling *options,
                                   struct ox_error *err)
{
    struct ox_constraint c = {.engine = engine};
    const enum ox_status status = need_grammar(&c, tools, options, err);
    ox_grammars_leave(&engine->grammars, &c.grammar);
    return status;
}

enum ox_status ox_constraint_begin(struct ox_constraint *c, struct oxcart_engine *engine, bool chat,
                                   json_t *tools, int32_t last, const struct oxcart_sampling *options,
                                   struct ox_error *err)
{
    memset(c, 0, sizeof *c);
    if (options->constraint == OXCART_CONSTRAINT_NONE) {
        return OX_OK;
    }
    if (engine->tokenizer == NULL) {
        return ox_error_set(err, OX_E_STATE, "%s: the model's folder has no tokenizer.json", engine->name);
    }
    if (options->ignore_end != 0) {
        return ox_error_set(err, OX_E_ARG, "a constrained answer ends: ignore_end makes no sense");
    }
    c->engine = engine;
    c->may_think = chat && last != engine->markers.think_end;
    enum ox_status status = need_grammar(c, chat ? tools : NULL, options, err);
    if (status == OX_OK) {
        status = need_lexicon(engine, err);
    }
    if (status == OX_OK) {
        c->n_words = engine->lexicon->n_words;
        c->allowed = ox_calloc(c->n_words, sizeof *c->allowed);
        status = c->allowed != NULL ? OX_OK : ox_error_nomem(err, c->n_words * sizeof *c->allowed);
    }
    for (size_t id = 0; status == OX_OK && id < engine->config.vocab; id++) {
        if (ox_engine_is_end(engine, (int32_t)id) && ox_ids_add(&c->ends, (int32_t)id) != 0) {
            status = ox_error_nomem(err, c->ends.len * sizeof *c->ends.ptr);
        }
    }
    return status == OX_OK ? ox_matcher_new(c->grammar->grammar, engine->lexicon, &c->matcher, err) : status;
}

void ox_constraint_fini(struct ox_constraint *c)
{
    ox_matcher_free(c->matcher);
    if (c->engine != NULL) {
        ox_grammars_leave(&c->engine->grammars, &c->grammar);
    }
    ox_ids_fini(&c->ends);
    ox_free(c->allowed);
    memset(c, 0, sizeof *c);
}

static void allow(struct ox_constraint *c, int32_t id)
{
    if (id >= 0 && (size_t)id < c->engine->config.vocab) {
        c->allowed[(size_t)id / 64] |= (uint64_t)1 << (id % 64);
    }
}

enum ox_status ox_constraint_mask(struct ox_constraint *c, bool reasoning, struct ox_error *err)
{
    const uint64_t *mask;
    if (reasoning) { /* anything but the end: the answer is still to come */
        memset(c->allowed, 0xFF, c->n_words * sizeof *c->allowed);
        for (size_t i = 0; i < c->ends.len; i++) {
            c->allowed[(size_t)c->ends.ptr[i] / 64] &= ~((uint64_t)1 << (c->ends.ptr[i] % 64));
        }
        return OX_OK;
    }
    const enum ox_status status = ox_matcher_mask(c->matcher, &mask, err);
    if (status != OX_OK) {
        return status;
    }
    memcpy(c->allowed, mask, c->n_words * sizeof *c->allowed);
    for (size_t i = 0; i < c->ends.len && ox_matcher_is_complete(c->matcher); i++) {
        allow(c, c->ends.ptr[i]);
    }
    if (c->may_think) {
        allow(c, c->engine->markers.think_begin);
        allow(c, c->engine->markers.think_end);
    }
    return OX_OK;
}

enum ox_status ox_constraint_take(struct ox_constraint *c, bool reasoning, int32_t id, struct ox_error *err)
{
    const struct ox_markers *markers = &c->engine->markers;
    if (id == markers->think_end || id == markers->think_begin || reasoning) {
        c->may_think = c->may_think && id != markers->think_end;
        return OX_OK;
    }
    c->may_think = false;
    return ox_engine_is_end(c->engine, id) ? OX_OK : ox_matcher_token(c->matcher, id, err);
}

bool ox_constraint_is_complete(const struct ox_constraint *c)
{
    return c->matcher != NULL && ox_matcher_is_complete(c->matcher);
}
