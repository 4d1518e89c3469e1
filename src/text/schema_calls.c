/* SPDX-License-Identifier: Apache-2.0
 *
 * Tools to grammar: the block of calls around the arguments, as one automaton over bytes and markers, with one end for
 * each tool; beside it, the document that may come instead. Source: chat-template.md section 6.2.
 */
#include "base/json.h"
#include "base/mem.h"
#include "text/schema_parts.h"

/* A symbol that never comes: it leads to the state behind a call, which no other path reaches. */
#define BEHIND_CALL OX_N_SYMBOLS

/* An optional line end, then the namespace symbol: returns the state behind it. */
static uint32_t link_next(struct ox_net *net, uint32_t from)
{
    const uint32_t line = ox_net_add(net);
    const uint32_t to = ox_net_add(net);
    ox_net_link(net, from, '\n', '\n', line);
    ox_net_link(net, from, OX_SYMBOL_NAMESPACE, OX_SYMBOL_NAMESPACE, to);
    ox_net_link(net, line, OX_SYMBOL_NAMESPACE, OX_SYMBOL_NAMESPACE, to);
    return to;
}

/* The block: names[k] is the name of tool k. */
static enum ox_status make_block(struct ox_grammar *g, const struct ox_str *names, bool parallel, struct ox_error *err)
{
    struct ox_net net = {0};
    struct ox_automaton block = {0};
    const uint32_t start = ox_net_add(&net);
    const uint32_t marked = ox_net_add(&net);
    const uint32_t opened = ox_net_add(&net);
    const uint32_t behind = ox_net_add(&net);
    const uint32_t end = ox_net_add(&net);
    ox_net_link(&net, start, OX_SYMBOL_NAMESPACE, OX_SYMBOL_NAMESPACE, marked);
    ox_net_link(&net, marked, OX_SYMBOL_CALLS_BEGIN, OX_SYMBOL_CALLS_BEGIN, opened);
    const uint32_t call = link_next(&net, opened);
    for (uint32_t k = 0; k < g->n_tools; k++) {
        uint32_t at = ox_net_bytes(&net, call, ox_str_c("<invoke name=\""));
        at = ox_net_bytes(&net, at, names[k]);
        ox_net_accept(&net, ox_net_bytes(&net, at, ox_str_c("\">")), k);
    }
    ox_net_link(&net, start, BEHIND_CALL, BEHIND_CALL, behind);
    const uint32_t next = link_next(&net, ox_net_bytes(&net, behind, ox_str_c("invoke>")));
    ox_net_link(&net, next, OX_SYMBOL_CALLS_END, OX_SYMBOL_CALLS_END, end);
    ox_net_accept(&net, end, (uint32_t)g->n_tools);
    if (parallel) {
        ox_net_skip(&net, next, call);
    }
    enum ox_status status = ox_net_determine(&net, &block, err);
    ox_net_fini(&net);
    if (status == OX_OK) {
        status = ox_grammar_add_automaton(g, &block, &g->block, err);
    }
    if (status == OX_OK) {
        g->after = ox_automaton_step(&g->automata[g->block], 0, BEHIND_CALL);
    }
    return status;
}

static bool is_before(const struct ox_str *names, size_t n, struct ox_str name)
{
    for (size_t i = 0; i < n; i++) {
        if (ox_str_equal(names[i], name)) {
            return true;
        }
    }
    return false;
}

/* The choice of what a tool's arguments may be. */
static enum ox_status add_arguments(struct ox_schema_compiler *c, json_t *parameters, size_t path, uint32_t *choice)
{
    const enum ox_status status = ox_schema_arguments(c, parameters, path, choice);
    return status == OX_OK && c->g->choices[*choice].height > OX_GRAMMAR_CALL_DEPTH
               ? ox_schema_error(c, OX_E_ARG, path, "no call in this format can satisfy these parameters")
               : status;
}

/* The tools that may be called: names and choices of their arguments. */
static enum ox_status add_tools(struct ox_schema_compiler *c, json_t *tools, const struct ox_grammar_calls *calls,
                                json_t *none, struct ox_str *names)
{
    const struct ox_str only = calls->name;
    struct ox_grammar *g = c->g;
    enum ox_status status = OX_OK;
    for (size_t i = 0; i < json_array_size(tools) && status == OX_OK; i++) {
        json_t *function = json_object_get(json_array_get(tools, i), "function");
        const struct ox_str name = ox_json_text(json_object_get(function, "name"));
        json_t *parameters = json_object_get(function, "parameters");
        size_t path = ox_schema_path(c, 0, "", i);
        path = ox_schema_path(c, path, "function", SIZE_MAX);
        if (name.len == 0 || ox_str_find(name, ox_str_c("\">"), 0) < name.len) {
            return ox_schema_error(c, OX_E_ARG, path, "the tool has no name, or one that a call cannot hold");
        }
        status = ox_schema_spend(c, g->n_tools);
        if ((only.ptr != NULL && !ox_str_equal(name, only)) || is_before(names, g->n_tools, name) || status != OX_OK) {
            continue;
        }
        names[g->n_tools] = name;
        g->tools[g->n_tools] = OX_NONE;
        if (!calls->any_arguments) {
            path = ox_schema_path(c, path, "parameters", SIZE_MAX);
            parameters = parameters != NULL && !json_is_null(parameters) ? parameters : none;
            status = add_arguments(c, parameters, path, &g->tools[g->n_tools]);
        }
        g->n_tools++;
    }
    if (status == OX_OK && g->n_tools == 0) {
        status = ox_schema_error(c, OX_E_ARG, 0,
                                 only.ptr != NULL ? "there is no tool of the wanted name" : "there are no tools");
    }
    return status;
}

enum ox_status ox_grammar_from_tools(json_t *tools, const char *what, const struct ox_grammar_calls *calls, bool strict,
                                     struct ox_grammar **out, struct ox_error *err)
{
    struct ox_schema_compiler c;
    struct ox_grammar *g = ox_calloc(1, sizeof *g);
    struct ox_str *names = ox_calloc(json_array_size(tools), sizeof *names);
    json_t *none = json_pack("{s:s}", "type", "object");
    json_t *document = NULL;
    if (g == NULL || names == NULL || none == NULL) {
        ox_free(g);
        ox_free(names);
        json_decref(none);
        return ox_error_nomem(err, sizeof *g);
    }
    g->start = OX_NONE;
    g->text_first = calls->text_first;
    enum ox_status status = ox_schema_init(&c, g, what, strict, err);
    g->tools = ox_calloc(json_array_size(tools), sizeof *g->tools);
    if (status == OX_OK && g->tools == NULL) {
        status = ox_error_nomem(err, json_array_size(tools));
    }
    if (status == OX_OK && !calls->any_arguments) {
        status = ox_schema_check_depth(&c, tools);
    }
    if (status == OX_OK) {
        status = add_tools(&c, tools, calls, none, names);
    }
    if (status == OX_OK) {
        status = make_block(g, names, calls->parallel, err);
    }
    if (status == OX_OK && calls->document.ptr != NULL) {
        c.what = "json-schema";
        status = ox_schema_read(calls->document, c.what, &document, err);
        status = status == OX_OK ? ox_schema_document(&c, document) : status;
    }
    status = ox_schema_fini(&c, status);
    json_decref(document);
    json_decref(none);
    ox_free(names);
    if (status != OX_OK) {
        ox_grammar_free(g);
        return status;
    }
    *out = g;
    return OX_OK;
}
