/* SPDX-License-Identifier: Apache-2.0
 *
 * The public interface's text functions: ids of a text, bytes of ids.
 */
#include "engine/engine.h"

static enum ox_status need_tokenizer(const struct oxcart_engine *engine, struct ox_error *err)
{
    if (engine->tokenizer == NULL) {
        return ox_error_set(err, OX_E_STATE, "%s: the model's folder has no tokenizer.json", engine->name);
    }
    return OX_OK;
}

enum oxcart_status oxcart_encode(const struct oxcart_engine *engine, const char *text, size_t text_bytes,
                                 uint32_t flags, int32_t **ids, size_t *n_ids, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    struct ox_ids list = {0};
    const struct ox_range all = {0, text_bytes};
    enum ox_status status = need_tokenizer(engine, &inner);
    if (status == OX_OK) {
        status = ox_tokenizer_encode(engine->tokenizer, ox_str_make(text, text_bytes), &all,
                                     (flags & OXCART_TEXT_PLAIN) != 0 ? 1 : 0, &list, &inner);
    }
    if (status != OX_OK) {
        ox_ids_fini(&list);
        return ox_export_error(&inner, err);
    }
    *ids = list.ptr;
    *n_ids = list.len;
    return OXCART_OK;
}

enum oxcart_status oxcart_decode(const struct oxcart_engine *engine, const int32_t *ids, size_t n_ids, uint32_t flags,
                                 char **text, size_t *text_bytes, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    if (need_tokenizer(engine, &inner) != OX_OK) {
        return ox_export_error(&inner, err);
    }
    struct ox_buf bytes = {0};
    ox_tokenizer_decode(engine->tokenizer, ids, n_ids, (flags & OXCART_TEXT_SKIP_SPECIAL) != 0, &bytes);
    const size_t len = bytes.len;
    char *taken = ox_buf_take(&bytes);
    if (taken == NULL) {
        ox_error_nomem(&inner, n_ids);
        return ox_export_error(&inner, err);
    }
    *text = taken;
    *text_bytes = len;
    return OXCART_OK;
}
