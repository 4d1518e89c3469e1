/* SPDX-License-Identifier: Apache-2.0
 *
 * Making prompts: of ids, or of a conversation, which is rendered and encoded.
 */
#include "engine/request_prompt.h"

#include "base/mem.h"

static struct oxcart_prompt *new_prompt(void)
{
    struct oxcart_prompt *prompt = ox_calloc(1, sizeof *prompt);
    if (prompt != NULL) {
        atomic_init(&prompt->n_references, 1);
    }
    return prompt;
}

struct oxcart_prompt *ox_prompt_keep(struct oxcart_prompt *prompt)
{
    /* relaxed: whoever keeps it has a reference already */
    (void)atomic_fetch_add_explicit(&prompt->n_references, 1, memory_order_relaxed);
    return prompt;
}

void ox_prompt_release(struct oxcart_prompt *prompt)
{
    /* pairs with itself: the last one to let go sees what all others did before */
    if (prompt == NULL || atomic_fetch_sub_explicit(&prompt->n_references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    ox_spans_fini(&prompt->spans);
    ox_pictures_fini(&prompt->pictures);
    ox_ids_fini(&prompt->ids);
    json_decref(prompt->tools);
    ox_free(prompt);
}

/* Ids in range, and none that stands for a picture: what it shows would be missing. */
static enum ox_status check_ids(const struct ox_config *config, bool sees, const struct ox_ids *ids,
                                struct ox_error *err)
{
    for (size_t i = 0; i < ids->len; i++) {
        const int32_t id = ids->ptr[i];
        if (id < 0 || (size_t)id >= config->vocab) {
            return ox_error_set(err, OX_E_ARG, "prompt: token id %d is not in 0 to %zu", id, config->vocab - 1);
        }
        if (sees && (id == config->image_token || id == config->video_token)) {
            return ox_error_set(err, OX_E_ARG, "prompt: token id %d stands for a picture or clip, and none is there",
                                id);
        }
    }
    return OX_OK;
}

enum ox_status ox_prompt_from_tokens(const struct oxcart_engine *engine, const int32_t *ids, size_t n,
                                     struct oxcart_prompt **out, struct ox_error *err)
{
    if (n == 0) {
        return ox_error_set(err, OX_E_ARG, "prompt: it has no tokens");
    }
    struct oxcart_prompt *prompt = new_prompt();
    enum ox_status status = prompt != NULL ? OX_OK : ox_error_nomem(err, sizeof *prompt);
    for (size_t i = 0; status == OX_OK && i < n; i++) {
        status = ox_ids_add(&prompt->ids, ids[i]) == 0 ? OX_OK : ox_error_nomem(err, n * sizeof *ids);
    }
    if (status == OX_OK) {
        status = check_ids(&engine->config, engine->weights.vision.layers != NULL, &prompt->ids, err);
    }
    if (status != OX_OK) {
        ox_prompt_release(prompt);
        return status;
    }
    *out = prompt;
    return OX_OK;
}

/* Who hears of clips that were thinned. */
struct listener {
    void (*message)(void *user, enum oxcart_log_level level, const char *text);
    void *user;
};

static void pass_message(void *user, enum ox_log_level level, const char *text)
{
    const struct listener *listener = user;
    if (listener->message != NULL) {
        listener->message(listener->user, (enum oxcart_log_level)level, text);
    }
}

/* How long pictures are decoded. */
static enum ox_status choose_room(const struct oxcart_engine *engine, const struct oxcart_messages_options *options,
                                  struct ox_pictures_room *room, struct ox_error *err)
{
    if (options->max_media_tokens < 0 || options->all_media_tokens < 0) {
        return ox_error_set(err, OX_E_ARG, "messages options: max_media_tokens or all_media_tokens is below 0");
    }
    room->max = (size_t)options->max_media_tokens;
    room->all_max = (size_t)options->all_media_tokens;
    room->all = options->all_media_tokens > 0 ? engine->n_media_tokens : NULL;
    return OX_OK;
}

/* Encode the rendered text and load its pictures into *prompt. */
static enum ox_status encode(const struct oxcart_engine *engine, const struct oxcart_messages_options *options,
                             const struct ox_chat *chat, struct ox_prompt *text, struct oxcart_prompt *prompt,
                             struct ox_error *err)
{
    struct ox_pictures *pictures = &prompt->pictures;
    struct ox_encoded encoded = {0};
    struct listener listener = {0};
    enum ox_status status = OX_OK;
    if (options != NULL) {
        listener = (struct listener){options->message, options->user};
        status = ox_pictures_choose(options->media_helper, options->max_pixels, options->fps, options->max_frames,
                                    pictures, err);
    }
    if (status == OX_OK && options != NULL) {
        status = choose_room(engine, options, &pictures->room, err);
    }
    pictures->log = (struct ox_log){.message = pass_message, .user = &listener};
    if (status == OX_OK) {
        status = ox_prompt_encode(engine, pictures, options, chat, text, &encoded, err);
    }
    pictures->log = (struct ox_log){0};
    ox_pictures_settle(pictures);
    prompt->ids = encoded.ids;
    prompt->spans = encoded.spans;
    return status;
}

/* What the reply's parser must know. */
static enum ox_status copy_tools(const struct ox_chat *chat, struct oxcart_prompt *prompt, struct ox_error *err)
{
    if (ox_chat_tools(chat) == NULL) {
        return OX_OK;
    }
    prompt->tools = json_deep_copy(ox_chat_tools(chat));
    return prompt->tools != NULL ? OX_OK : ox_error_nomem(err, sizeof *prompt->tools);
}

enum ox_status ox_prompt_from_messages(const struct oxcart_engine *engine, struct ox_str json,
                                       const struct oxcart_messages_options *options, struct oxcart_prompt **out,
                                       struct ox_error *err)
{
    struct ox_chat *chat = NULL;
    struct ox_prompt text = {0};
    struct oxcart_prompt *prompt = new_prompt();
    enum ox_status status = prompt != NULL ? OX_OK : ox_error_nomem(err, sizeof *prompt);
    if (status == OX_OK) {
        status = ox_prompt_render(engine, json, options, &chat, &text, err);
    }
    if (status == OX_OK) {
        status = encode(engine, options, chat, &text, prompt, err);
    }
    if (status == OX_OK) {
        status = copy_tools(chat, prompt, err);
        prompt->chat = true;
        prompt->starts_in_reasoning = text.starts_in_reasoning;
    }
    ox_prompt_fini(&text);
    ox_chat_free(chat);
    if (status != OX_OK) {
        ox_prompt_release(prompt);
        return status;
    }
    *out = prompt;
    return OX_OK;
}

enum oxcart_status oxcart_prompt_from_tokens(const struct oxcart_engine *engine, const int32_t *ids, size_t n,
                                             struct oxcart_prompt **out, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    const enum ox_status status = ox_prompt_from_tokens(engine, ids, n, out, &inner);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

enum oxcart_status oxcart_prompt_from_messages(const struct oxcart_engine *engine, const char *json, size_t json_bytes,
                                               const struct oxcart_messages_options *options,
                                               struct oxcart_prompt **out, struct oxcart_error *err)
{
    struct ox_error inner = {0};
    const enum ox_status status =
        ox_prompt_from_messages(engine, ox_str_make(json, json_bytes), options, out, &inner);
    return status == OX_OK ? OXCART_OK : ox_export_error(&inner, err);
}

size_t oxcart_prompt_tokens(const struct oxcart_prompt *prompt, const int32_t **ids)
{
    if (ids != NULL) {
        *ids = prompt->ids.ptr;
    }
    return prompt->ids.len;
}

void oxcart_prompt_free(struct oxcart_prompt **prompt)
{
    ox_prompt_release(*prompt);
    *prompt = NULL;
}
