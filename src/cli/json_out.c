/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON trees of results. Building never checks step by step: one failure makes the tree NULL, the printer tells it.
 */
#include "cli/json_out.h"

#include <errno.h>
#include <math.h>

#include "base/buf.h"
#include "base/utf8.h"

json_t *json_out_text(struct ox_str text)
{
    if (ox_utf8_valid(text)) {
        return json_stringn_nocheck(text.len > 0 ? text.ptr : "", text.len);
    }
    struct ox_buf clean = {0};
    ox_utf8_add_lossy(&clean, text);
    json_t *value = ox_buf_failed(&clean) ? NULL : json_stringn_nocheck(ox_buf_text(&clean), clean.len);
    ox_buf_fini(&clean);
    return value;
}

json_t *json_out_natural(uint64_t n)
{
    return json_integer((json_int_t)(n <= INT64_MAX ? n : INT64_MAX));
}

json_t *json_out_real(double x)
{
    if (!isfinite(x)) {
        return json_null();
    }
    return json_real(fabs(x) < 1e9 ? round(x * 1e6) / 1e6 : x);
}

void json_out_set(json_t **object, const char *key, json_t *value)
{
    if (*object == NULL) {
        json_decref(value);
        return;
    }
    if (value == NULL || json_object_set_new_nocheck(*object, key, value) != 0) {
        json_decref(*object);
        *object = NULL;
    }
}

void json_out_append(json_t **array, json_t *value)
{
    if (*array == NULL) {
        json_decref(value);
        return;
    }
    if (value == NULL || json_array_append_new(*array, value) != 0) {
        json_decref(*array);
        *array = NULL;
    }
}

json_t *json_out_call(const struct answer_call *call)
{
    json_t *function = json_object();
    json_out_set(&function, "name", json_out_text(ox_buf_str(&call->name)));
    json_out_set(&function, "arguments", json_out_text(ox_buf_str(&call->arguments)));
    json_t *object = json_object();
    json_out_set(&object, "id", json_out_text(ox_str_c(call->id)));
    json_out_set(&object, "type", json_out_text(ox_str_c("function")));
    json_out_set(&object, "function", function);
    return object;
}

json_t *json_out_calls(const struct answer *answer)
{
    json_t *calls = json_array();
    for (size_t i = 0; i < answer->n_calls; i++) {
        json_out_append(&calls, json_out_call(&answer->calls[i]));
    }
    return calls;
}

static json_t *usage(const struct oxcart_result *result)
{
    json_t *prompt = json_object();
    json_out_set(&prompt, "cached_tokens", json_integer(result->n_cached));
    json_t *completion = json_object();
    json_out_set(&completion, "reasoning_tokens", json_integer(result->n_reasoning));
    json_t *object = json_object();
    json_out_set(&object, "prompt_tokens", json_integer(result->n_prompt));
    json_out_set(&object, "completion_tokens", json_integer(result->n_generated));
    json_out_set(&object, "total_tokens", json_integer((json_int_t)result->n_prompt + result->n_generated));
    json_out_set(&object, "prompt_tokens_details", prompt);
    json_out_set(&object, "completion_tokens_details", completion);
    return object;
}

/* Milliseconds with three digits behind the point. */
static json_t *milliseconds(double seconds)
{
    return json_real(round(seconds * 1e6) / 1e3);
}

static json_t *timings(const struct oxcart_result *result)
{
    json_t *object = json_object();
    json_out_set(&object, "prompt_n", json_integer((json_int_t)result->n_prompt - result->n_cached));
    json_out_set(&object, "prompt_ms", milliseconds(result->prompt_s));
    json_out_set(&object, "cache_n", json_integer(result->n_cached));
    if (result->n_media > 0) {
        json_out_set(&object, "media_n", json_integer(result->n_media));
        json_out_set(&object, "media_ms", milliseconds(result->media_s));
    }
    json_out_set(&object, "predicted_n", json_integer(result->n_generated));
    json_out_set(&object, "predicted_ms", milliseconds(result->generate_s));
    return object;
}

json_t *json_out_answer(const struct answer *answer)
{
    static const char *const finishes[] = {
        [OXCART_FINISH_STOP] = "stop",
        [OXCART_FINISH_LENGTH] = "length",
        [OXCART_FINISH_TOOL_CALLS] = "tool_calls",
    };
    json_t *object = json_object();
    json_out_set(&object, "content", json_out_text(ox_buf_str(&answer->content)));
    if (answer->reasoning.len > 0) {
        json_out_set(&object, "reasoning_content", json_out_text(ox_buf_str(&answer->reasoning)));
    }
    if (answer->n_calls > 0) {
        json_out_set(&object, "tool_calls", json_out_calls(answer));
    }
    json_out_set(&object, "finish_reason", json_out_text(ox_str_c(finishes[answer->result.finish])));
    json_out_set(&object, "usage", usage(&answer->result));
    json_out_set(&object, "timings", timings(&answer->result));
    return object;
}

static int write_part(const char *bytes, size_t len, void *user)
{
    output_write(user, bytes, len);
    return output_failed(user) ? -1 : 0;
}

void json_out_print(struct output *output, const json_t *tree, size_t flags)
{
    if (tree == NULL) {
        output->write_errno = output->write_errno != 0 ? output->write_errno : ENOMEM;
        return;
    }
    if (json_dump_callback(tree, write_part, output, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12)) != 0 &&
        !output_failed(output)) {
        output->write_errno = ENOMEM;
        return;
    }
    output_write(output, "\n", 1);
}
