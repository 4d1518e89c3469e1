/* SPDX-License-Identifier: Apache-2.0
 *
 * A benchmark's results as JSON (the object that the manual describes) and as comma-separated values.
 */
#include "base/json.h"
#include "engine/benchmark.h"
#include "weights/synthetic.h"

/* Digits enough to compute with; a JSON number. */
static void add_number(struct ox_buf *out, double value)
{
    ox_buf_printf(out, "%.6g", value);
}

static void add_spread(struct ox_buf *out, const char *name, struct ox_spread spread)
{
    ox_buf_printf(out, "\"%s\": {\"median\": ", name);
    add_number(out, spread.median);
    ox_buf_add_c(out, ", \"min\": ");
    add_number(out, spread.min);
    ox_buf_add_c(out, ", \"max\": ");
    add_number(out, spread.max);
    ox_buf_add_c(out, "}");
}

static void add_result(struct ox_buf *out, const struct ox_benchmark *benchmark, const struct ox_benchmark_result *r)
{
    ox_buf_printf(out, "  {\"depth\": %zu, \"batch\": %zu, \"prompt\": %zu, \"predict\": %zu,\n   \"prefill\": {", r->depth,
                  r->batch, benchmark->prompt, benchmark->predict);
    add_spread(out, "tok_s", r->prefill_tok_s);
    ox_buf_printf(out, ", \"flops_per_token\": %.0f, \"share_of_matmul\": ", r->prefill_flops);
    add_number(out, r->share_of_matmul);
    ox_buf_add_c(out, "},\n   \"decode\": {");
    add_spread(out, "tok_s", r->decode_tok_s);
    ox_buf_add_c(out, ",\n    \"bytes_per_token\": {");
    for (size_t i = 0; i < OX_N_PURPOSES; i++) {
        ox_buf_printf(out, "\"%s\": %.0f, ", ox_purpose_name((enum ox_purpose)i), r->decode_bytes[i]);
    }
    ox_buf_printf(out, "\"total\": %.0f},\n    \"share_of_read\": ", r->decode_bytes_total);
    add_number(out, r->share_of_read);
    ox_buf_add_c(out, "}");
    if (r->extrapolated) {
        ox_buf_printf(out, ",\n   \"extrapolation\": {\"layers\": %d, \"prefill\": {", OX_RELEASED_LAYERS);
        add_spread(out, "tok_s", r->full_prefill_tok_s);
        ox_buf_add_c(out, "}, \"decode\": {");
        add_spread(out, "tok_s", r->full_decode_tok_s);
        ox_buf_add_c(out, "}}");
    }
    ox_buf_add_c(out, "}");
}

void ox_benchmark_add_json(const struct ox_benchmark *benchmark, struct ox_buf *out)
{
    const struct oxcart_engine *engine = benchmark->engine;
    ox_buf_add_c(out, "{\"model\": ");
    ox_json_add_quoted(out, ox_str_c(engine->name));
    ox_buf_printf(out, ", \"format\": \"%s\", \"threads\": %zu, \"cpu_level\": \"%s\", \"rounds\": %zu,\n",
                  ox_engine_format(engine), ox_team_n_workers(engine->team), ox_cpu_level_name(engine->kernels.level),
                  benchmark->repeat);
    ox_buf_add_c(out, " \"machine\": {");
    add_spread(out, "read_bytes_s", benchmark->read_bytes_s);
    ox_buf_add_c(out, ", ");
    add_spread(out, "matmul_flops_s", benchmark->matmul_flops_s);
    ox_buf_printf(out, ", \"matmul_unit\": \"%s\"},\n \"results\": [\n", ox_cpu_matmul_unit(engine->kernels.level));
    for (size_t i = 0; i < benchmark->n_results; i++) {
        add_result(out, benchmark, &benchmark->results[i]);
        ox_buf_add_c(out, i + 1 < benchmark->n_results ? ",\n" : "\n");
    }
    ox_buf_add_c(out, " ]}\n");
}

/* A field of text: in quotes, quotes in it doubled. */
static void add_text(struct ox_buf *out, const char *text)
{
    ox_buf_add_byte(out, '"');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"') {
            ox_buf_add_byte(out, '"');
        }
        ox_buf_add_byte(out, *p);
    }
    ox_buf_add_byte(out, '"');
}

static void add_fields(struct ox_buf *out, struct ox_spread spread)
{
    const double values[] = {spread.median, spread.min, spread.max};
    for (size_t i = 0; i < 3; i++) {
        ox_buf_add_byte(out, ',');
        add_number(out, values[i]);
    }
}

static void add_fields_names(struct ox_buf *out, const char *name)
{
    ox_buf_printf(out, ",%s,%s_min,%s_max", name, name, name);
}

static void add_csv_header(struct ox_buf *out, bool extrapolated)
{
    ox_buf_add_c(out, "model,format,threads,cpu_level,rounds,depth,batch,prompt,predict");
    add_fields_names(out, "prefill_tok_s");
    ox_buf_add_c(out, ",prefill_flops_per_token,share_of_matmul");
    add_fields_names(out, "decode_tok_s");
    for (size_t i = 0; i < OX_N_PURPOSES; i++) {
        ox_buf_printf(out, ",bytes_%s", ox_purpose_name((enum ox_purpose)i));
    }
    ox_buf_add_c(out, ",bytes_total,share_of_read");
    add_fields_names(out, "read_bytes_s");
    add_fields_names(out, "matmul_flops_s");
    ox_buf_add_c(out, ",matmul_unit");
    if (extrapolated) {
        ox_buf_add_c(out, ",extrapolated_layers");
        add_fields_names(out, "extrapolated_prefill_tok_s");
        add_fields_names(out, "extrapolated_decode_tok_s");
    }
    ox_buf_add_c(out, "\n");
}

void ox_benchmark_add_csv(const struct ox_benchmark *benchmark, struct ox_buf *out)
{
    const struct oxcart_engine *engine = benchmark->engine;
    add_csv_header(out, benchmark->n_results > 0 && benchmark->results[0].extrapolated);
    for (size_t i = 0; i < benchmark->n_results; i++) {
        const struct ox_benchmark_result *r = &benchmark->results[i];
        add_text(out, engine->name);
        ox_buf_printf(out, ",%s,%zu,%s,%zu,%zu,%zu,%zu,%zu", ox_engine_format(engine), ox_team_n_workers(engine->team),
                      ox_cpu_level_name(engine->kernels.level), benchmark->repeat, r->depth, r->batch,
                      benchmark->prompt, benchmark->predict);
        add_fields(out, r->prefill_tok_s);
        ox_buf_printf(out, ",%.0f,", r->prefill_flops);
        add_number(out, r->share_of_matmul);
        add_fields(out, r->decode_tok_s);
        for (size_t p = 0; p < OX_N_PURPOSES; p++) {
            ox_buf_printf(out, ",%.0f", r->decode_bytes[p]);
        }
        ox_buf_printf(out, ",%.0f,", r->decode_bytes_total);
        add_number(out, r->share_of_read);
        add_fields(out, benchmark->read_bytes_s);
        add_fields(out, benchmark->matmul_flops_s);
        ox_buf_printf(out, ",%s", ox_cpu_matmul_unit(engine->kernels.level));
        if (r->extrapolated) {
            ox_buf_printf(out, ",%d", OX_RELEASED_LAYERS);
            add_fields(out, r->full_prefill_tok_s);
            add_fields(out, r->full_decode_tok_s);
        }
        ox_buf_add_c(out, "\n");
    }
}
