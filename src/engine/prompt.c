/* SPDX-License-Identifier: Apache-2.0
 *
 * Placeholders of a rendered prompt become the texts of their pictures, the whole is encoded as one text, and the
 * placeholder tokens are counted against the features.
 */
#include "engine/prompt.h"

#include <string.h>

#include "base/mem.h"
#include "engine/replay.h"

void ox_spans_fini(struct ox_spans *spans)
{
    ox_free(spans->ptr);
    memset(spans, 0, sizeof *spans);
}

int ox_spans_add(struct ox_spans *spans, const struct ox_span *span)
{
    void *ptr = spans->ptr;
    if (ox_grow(&ptr, &spans->cap, spans->len + 1, sizeof *spans->ptr) != 0) {
        return -1;
    }
    spans->ptr = ptr;
    spans->ptr[spans->len++] = *span;
    return 0;
}

void ox_spans_cut(struct ox_spans *spans, size_t n)
{
    while (spans->len > 0 && spans->ptr[spans->len - 1].begin >= n) {
        spans->len--;
    }
    if (spans->len > 0) {
        struct ox_span *last = &spans->ptr[spans->len - 1];
        last->n = last->n < n - last->begin ? last->n : n - last->begin;
    }
}

const struct ox_span *ox_spans_find(const struct ox_spans *spans, size_t at)
{
    size_t low = 0;
    size_t high = spans->len;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct ox_span *span = &spans->ptr[middle];
        if (at >= span->begin && at < span->begin + span->n) {
            return span;
        }
        if (at < span->begin) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct ox_span *ox_span_at(struct ox_span_cursor *cursor, size_t at)
{
    const struct ox_spans *spans = cursor->spans;
    while (cursor->i < spans->len && at >= spans->ptr[cursor->i].begin + spans->ptr[cursor->i].n) {
        cursor->i++;
    }
    return cursor->i < spans->len && at >= spans->ptr[cursor->i].begin ? &spans->ptr[cursor->i] : NULL;
}

void ox_encoded_fini(struct ox_encoded *encoded)
{
    ox_ids_fini(&encoded->ids);
    ox_spans_fini(&encoded->spans);
}

/* Where the next feature comes from; picture `i` of them, its row `row`. */
struct feature {
    size_t i;
    size_t row;
};

/* Give the placeholder at token `at` its feature: one more of the last span, or a new span. */
static enum ox_status put_feature(struct ox_picture *picture, size_t row, size_t at, struct ox_spans *spans,
                                  struct ox_error *err)
{
    struct ox_span *last = spans->len > 0 ? &spans->ptr[spans->len - 1] : NULL;
    if (last != NULL && last->picture == picture && last->begin + last->n == at && last->row + last->n == row) {
        last->n++;
        return OX_OK;
    }
    const struct ox_span span = {.begin = at, .n = 1, .row = row, .picture = picture};
    return ox_spans_add(spans, &span) == 0 ? OX_OK : ox_error_nomem(err, sizeof span);
}

enum ox_status ox_encoded_place(const struct ox_config *config, struct ox_picture *const *pictures, size_t n,
                                struct ox_encoded *encoded, struct ox_error *err)
{
    size_t n_expected = 0;
    size_t n_found = 0;
    struct feature next = {0, 0};
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        n_expected += pictures[i]->n_features;
    }
    for (size_t at = 0; at < encoded->ids.len; at++) {
        const int32_t id = encoded->ids.ptr[at];
        if (id < 0 || (id != config->image_token && id != config->video_token)) {
            continue;
        }
        n_found++;
        good = good && next.i < n &&
               (pictures[next.i]->media.kind == OX_MEDIA_VIDEO) == (id == config->video_token);
        if (good) {
            const enum ox_status status = put_feature(pictures[next.i], next.row, at, &encoded->spans, err);
            if (status != OX_OK) {
                return status;
            }
            next.row++;
            if (next.row == pictures[next.i]->n_features) {
                next = (struct feature){next.i + 1, 0};
            }
        }
    }
    if (!good || n_found != n_expected) {
        return ox_error_set(err, OX_E_ARG, "the prompt has %zu placeholder tokens, its %zu pictures and clips have %zu",
                            n_found, n, n_expected);
    }
    return OX_OK;
}

enum ox_status ox_prompt_render(const struct oxcart_engine *engine, struct ox_str json,
                                const struct oxcart_messages_options *options, struct ox_chat **chat,
                                struct ox_prompt *prompt, struct ox_error *err)
{
    if (engine->tokenizer == NULL) {
        return ox_error_set(err, OX_E_STATE, "%s: the model's folder has no tokenizer.json", engine->name);
    }
    if (options != NULL && (options->size != sizeof *options || options->thinking < OXCART_THINKING_UNSET ||
                            options->thinking > OXCART_THINKING_DISABLED)) {
        return ox_error_set(err, OX_E_ARG, "messages options: size or thinking is not set to a known value");
    }
    const enum ox_status status = ox_chat_parse(json, "conversation", NULL, NULL, chat, err);
    if (status != OX_OK) {
        return status;
    }
    if (options != NULL && options->thinking != OXCART_THINKING_UNSET) {
        ox_chat_set_thinking(*chat, (enum ox_thinking)((int)options->thinking - (int)OXCART_THINKING_ADAPTIVE));
    }
    return ox_chat_render(*chat, prompt, err);
}

/* The picture of a placeholder: what its part names, or the next of the options'. */
static enum ox_status load_one(struct ox_pictures *pictures, const struct oxcart_messages_options *options,
                               const struct ox_chat_media *media, size_t *n_used, struct ox_picture **out,
                               struct ox_error *err)
{
    const enum ox_media_kind kind = media->is_video ? OX_MEDIA_VIDEO : OX_MEDIA_IMAGE;
    const bool is_data = ox_str_starts(media->source, ox_str_c("data:"));
    if (media->source.len > 0 && !is_data && (options == NULL || options->media_files == 0)) {
        return ox_error_set(err, OX_E_ARG, "conversation: a part names a file, \"%.*s\"; files may not be named here",
                            (int)(media->source.len < 80 ? media->source.len : 80), media->source.ptr);
    }
    if (media->source.len > 0) {
        return ox_pictures_load_url(pictures, kind, media->source, options != NULL ? options->media_folder : NULL, out,
                                    err);
    }
    if (options == NULL || *n_used == options->n_media) {
        return ox_error_set(err, OX_E_ARG, "conversation: %s is not given: the part names no source",
                            media->is_video ? "a clip" : "a picture");
    }
    const struct oxcart_media *given = &options->media[(*n_used)++];
    if ((given->kind == OXCART_MEDIA_VIDEO) != media->is_video) {
        return ox_error_set(err, OX_E_ARG, "conversation: a %s is given where a %s is expected",
                            media->is_video ? "picture" : "clip", media->is_video ? "clip" : "picture");
    }
    return ox_pictures_load(pictures, given, out, err);
}

static enum ox_status load_all(struct ox_pictures *pictures, const struct oxcart_messages_options *options,
                               const struct ox_prompt *prompt, struct ox_picture **list, struct ox_error *err)
{
    size_t n_used = 0;
    for (size_t i = 0; i < prompt->n_media; i++) {
        const enum ox_status status = load_one(pictures, options, &prompt->media[i], &n_used, &list[i], err);
        if (status != OX_OK) {
            return status;
        }
    }
    if (options != NULL && n_used != options->n_media) {
        return ox_error_set(err, OX_E_ARG, "conversation: %zu pictures and clips are given, %zu of its parts want one",
                            options->n_media, n_used);
    }
    return OX_OK;
}

/* Put the texts of the pictures into the prompt. */
static enum ox_status expand(struct ox_picture *const *list, struct ox_prompt *prompt, struct ox_error *err)
{
    struct ox_buf all = {0};
    struct ox_str *texts = ox_calloc(prompt->n_media, sizeof *texts);
    if (texts == NULL) {
        return ox_error_nomem(err, prompt->n_media * sizeof *texts);
    }
    for (size_t i = 0; i < prompt->n_media; i++) {
        const size_t begin = all.len;
        ox_picture_text(list[i], &all);
        texts[i].len = all.len - begin;
    }
    enum ox_status status = ox_buf_failed(&all) ? ox_error_nomem(err, all.len) : OX_OK;
    size_t at = 0;
    for (size_t i = 0; status == OX_OK && i < prompt->n_media; i++) {
        texts[i].ptr = all.ptr + at;
        at += texts[i].len;
    }
    if (status == OX_OK) {
        status = ox_prompt_expand(prompt, texts, 0, err);
    }
    ox_buf_fini(&all);
    ox_free(texts);
    return status;
}

/* The text's ids, with the replays that may stand in it. */
static enum ox_status encode_text(const struct oxcart_engine *engine, const struct oxcart_messages_options *options,
                                  const struct ox_chat *chat, const struct ox_prompt *prompt, struct ox_ids *ids,
                                  struct ox_error *err)
{
    const bool allow_special = options != NULL && options->allow_special != 0;
    struct ox_replayed *replayed = NULL;
    size_t n = 0;
    enum ox_status status = ox_replay_choose(engine, chat, options, prompt, &replayed, &n, err);
    if (status == OX_OK) {
        status = ox_replay_encode(engine, prompt, allow_special, replayed, n, ids, err);
    }
    ox_free(replayed);
    return status;
}

enum ox_status ox_prompt_encode(const struct oxcart_engine *engine, struct ox_pictures *pictures,
                                const struct oxcart_messages_options *options, const struct ox_chat *chat,
                                struct ox_prompt *prompt, struct ox_encoded *out, struct ox_error *err)
{
    struct ox_picture **list = ox_calloc(prompt->n_media, sizeof(struct ox_picture *));
    enum ox_status status = list != NULL ? OX_OK : ox_error_nomem(err, prompt->n_media * sizeof(struct ox_picture *));
    if (status == OX_OK && prompt->n_media > 0) {
        status = ox_pictures_check(engine, err);
    }
    if (status == OX_OK) {
        status = load_all(pictures, options, prompt, list, err);
    }
    if (status == OX_OK && prompt->n_media > 0) {
        status = expand(list, prompt, err);
    }
    if (status == OX_OK) {
        status = encode_text(engine, options, chat, prompt, &out->ids, err);
    }
    if (status == OX_OK && engine->weights.vision.layers != NULL) {
        status = ox_encoded_place(&engine->config, list, prompt->n_media, out, err);
    }
    ox_free(list);
    return status;
}
