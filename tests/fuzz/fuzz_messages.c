/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as limits and a conversation. Invariants: every refusal has a code and a sentence that begins with the input's
 * name; what is accepted keeps to the limits; the same JSON spelled by another writer renders to the same prompt.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/json.h"
#include "text/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum ox_status read_and_render(struct ox_str json, const struct ox_chat_limits *limits, struct ox_prompt *out,
                                      struct ox_error *err)
{
    struct ox_chat *chat = NULL;
    memset(out, 0, sizeof *out);
    memset(err, 0, sizeof *err);
    enum ox_status status = ox_chat_parse(json, "fuzz", limits, NULL, &chat, err);
    OX_CHECK((status == OX_OK) == (chat != NULL));
    if (status == OX_OK) {
        status = ox_chat_render(chat, out, err);
        OX_CHECK(status == OX_OK || (status == OX_E_LIMIT && out->text.ptr == NULL && out->caller == NULL));
    }
    if (status != OX_OK) {
        OX_CHECK(status == OX_E_FORMAT || status == OX_E_LIMIT);
        OX_CHECK(err->code == status && strncmp(err->message, "fuzz: ", 6) == 0);
    }
    ox_chat_free(chat);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    const struct ox_chat_limits limits = {data[0], data[1] % 65, (size_t)data[2] * 64};
    const struct ox_str json = ox_str_make((const char *)data + 3, size - 3);
    struct ox_prompt prompt;
    struct ox_error err;
    if (read_and_render(json, &limits, &prompt, &err) == OX_OK) {
        OX_CHECK(limits.max_text_bytes == 0 || prompt.text.len <= limits.max_text_bytes);
        json_t *root = NULL;
        OX_CHECK(ox_json_parse(json, "fuzz", &root, NULL) == OX_OK);
        OX_CHECK(limits.max_messages == 0 || json_array_size(json_object_get(root, "messages")) <= limits.max_messages);
        char *again = json_dumps(root, JSON_INDENT(1) | JSON_ENSURE_ASCII);
        struct ox_prompt other;
        OX_CHECK(again != NULL && read_and_render(ox_str_c(again), &limits, &other, &err) == OX_OK);
        OX_CHECK(ox_str_equal(ox_buf_str(&prompt.text), ox_buf_str(&other.text)));
        OX_CHECK(prompt.n_caller == other.n_caller && prompt.n_media == other.n_media);
        ox_prompt_fini(&other);
        free(again);
        json_decref(root);
    }
    ox_prompt_fini(&prompt);
    return 0;
}
