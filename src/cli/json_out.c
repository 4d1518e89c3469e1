/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON trees of results. Building never checks step by step: one failure makes the tree NULL, the printer tells it.
 */
#include "cli/json_out.h"

#include <errno.h>

#include "base/buf.h"
#include "base/json_build.h"
#include "server/api.h"

json_t *json_out_call(const struct answer_call *call)
{
    json_t *function = json_object();
    ox_json_set(&function, "name", ox_json_new_text(ox_buf_str(&call->name)));
    ox_json_set(&function, "arguments", ox_json_new_text(ox_buf_str(&call->arguments)));
    json_t *object = json_object();
    ox_json_set(&object, "id", ox_json_new_text(ox_str_c(call->id)));
    ox_json_set(&object, "type", ox_json_new_text(ox_str_c("function")));
    ox_json_set(&object, "function", function);
    return object;
}

json_t *json_out_calls(const struct answer *answer)
{
    json_t *calls = json_array();
    for (size_t i = 0; i < answer->n_calls; i++) {
        ox_json_append(&calls, json_out_call(&answer->calls[i]));
    }
    return calls;
}

json_t *json_out_answer(const struct answer *answer)
{
    static const char *const finishes[] = {
        [OXCART_FINISH_STOP] = "stop",
        [OXCART_FINISH_LENGTH] = "length",
        [OXCART_FINISH_TOOL_CALLS] = "tool_calls",
    };
    json_t *object = json_object();
    ox_json_set(&object, "content", ox_json_new_text(ox_buf_str(&answer->content)));
    if (answer->reasoning.len > 0) {
        ox_json_set(&object, "reasoning_content", ox_json_new_text(ox_buf_str(&answer->reasoning)));
    }
    if (answer->n_calls > 0) {
        ox_json_set(&object, "tool_calls", json_out_calls(answer));
    }
    ox_json_set(&object, "finish_reason", ox_json_new_text(ox_str_c(finishes[answer->result.finish])));
    ox_json_set(&object, "usage", ox_api_usage(&answer->result));
    ox_json_set(&object, "timings", ox_api_timings(&answer->result));
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
