/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading tokenizer.json. Everything in it is checked before it is used: a setting that this tokenizer does not have is
 * refused by name, because ignoring it would silently give other ids. Source: the Hugging Face tokenizers format.
 */
#include <stdio.h>

#include "base/json.h"
#include "base/utf8.h"
#include "text/tokenizer_parts.h"

struct loader {
    struct ox_tokenizer *tokenizer;
    const char *what;
    const struct ox_log *log;
    struct ox_error *err;
    struct ox_json_at root;
    struct ox_json_at model;
    struct ox_json_at vocab;
    json_t *vocab_tree; /* the same */
    struct ox_json_at merges;
    struct ox_json_at added;
    struct ox_buf text; /* scratch */
};

static enum ox_status out_of_memory(struct loader *l, size_t bytes)
{
    ox_error_nomem(l->err, bytes);
    ox_error_prefix(l->err, "%s: ", l->what);
    return OX_E_NOMEM;
}

/* A member that must be true or false; `otherwise` where it is missing. */
static enum ox_status get_flag(struct loader *l, const struct ox_json_at *at, const char *key, bool otherwise,
                               bool *out)
{
    const struct ox_json_at flag = ox_json_member(at, key);
    *out = otherwise;
    return flag.value == NULL ? OX_OK : ox_json_get_bool(&flag, out, l->err);
}

/* A flag that must be `wanted`; a missing one is `otherwise`. */
static enum ox_status need_flag(struct loader *l, const struct ox_json_at *at, const char *key, bool otherwise,
                                bool wanted)
{
    bool found;
    const enum ox_status status = get_flag(l, at, key, otherwise, &found);
    if (status != OX_OK || found == wanted) {
        return status;
    }
    const struct ox_json_at flag = ox_json_member(at, key);
    return ox_json_expected(&flag, wanted ? "true" : "false", l->err);
}

static bool has_type(const struct ox_json_at *at, const char *name)
{
    const struct ox_json_at type = ox_json_member(at, "type");
    return json_is_string(type.value) && ox_str_is(ox_json_text(type.value), name);
}

static enum ox_status need_type(struct loader *l, const struct ox_json_at *at, const char *name)
{
    const struct ox_json_at type = ox_json_member(at, "type");
    char expected[40];
    snprintf(expected, sizeof expected, "\"%s\"", name);
    return has_type(at, name) ? OX_OK : ox_json_expected(&type, expected, l->err);
}

/* Make the pre-tokenizer from {"type": "Split", ...}. */
static enum ox_status read_split(struct loader *l, const struct ox_json_at *split)
{
    const struct ox_json_at pattern = ox_json_member(split, "pattern");
    const struct ox_json_at regex = ox_json_member(&pattern, "Regex");
    const struct ox_json_at behavior = ox_json_member(split, "behavior");
    struct ox_str text;
    struct ox_str how;
    bool invert;
    enum ox_status status = need_type(l, split, "Split");
    if (status == OX_OK) {
        status = ox_json_get_str(&regex, &text, l->err);
    }
    if (status == OX_OK) {
        status = ox_json_get_str(&behavior, &how, l->err);
    }
    if (status == OX_OK) {
        status = get_flag(l, split, "invert", false, &invert);
    }
    if (status != OX_OK) {
        return status;
    }
    /* "Removed" drops what no piece covers; only a known pattern covers everything. */
    const bool known = ox_pretok_known(text);
    if (!ox_str_is(how, "Isolated") && !(ox_str_is(how, "Removed") && invert && known)) {
        return ox_json_expected(&behavior, "\"Isolated\" (or \"Removed\" with \"invert\" and a known pattern)", l->err);
    }
    if (!known) {
        ox_log_message(l->log, OX_LOG_WARNING,
                       "%s: the pattern of the pre-tokenizer is not that of a released model; "
                       "pieces may differ from other programs' in rare cases",
                       l->what);
    }
    return ox_pretok_new(text, l->what, &l->tokenizer->pretok, l->err);
}

static enum ox_status read_pre_tokenizer(struct loader *l)
{
    const struct ox_json_at at = ox_json_member(&l->root, "pre_tokenizer");
    const struct ox_json_at list = ox_json_member(&at, "pretokenizers");
    enum ox_status status = need_type(l, &at, "Sequence");
    if (status == OX_OK && (!json_is_array(list.value) || json_array_size(list.value) != 2)) {
        status = ox_json_expected(&list, "an array of a Split and a ByteLevel", l->err);
    }
    if (status != OX_OK) {
        return status;
    }
    const struct ox_json_at split = ox_json_element(&list, 0);
    const struct ox_json_at bytes = ox_json_element(&list, 1);
    status = read_split(l, &split);
    if (status == OX_OK) {
        status = need_type(l, &bytes, "ByteLevel");
    }
    if (status == OX_OK) {
        status = need_flag(l, &bytes, "add_prefix_space", true, false);
    }
    return status == OX_OK ? need_flag(l, &bytes, "use_regex", true, false) : status;
}

/* What stands beside the model: no normalizer, a decoder of bytes; the rest is not used and said so. */
static enum ox_status read_surroundings(struct loader *l)
{
    static const char *const unused[] = {"truncation", "padding"};
    const struct ox_json_at normalizer = ox_json_member(&l->root, "normalizer");
    const struct ox_json_at decoder = ox_json_member(&l->root, "decoder");
    const struct ox_json_at post = ox_json_member(&l->root, "post_processor");
    if (normalizer.value != NULL) {
        return ox_json_expected(&normalizer, "null", l->err);
    }
    for (size_t i = 0; i < sizeof unused / sizeof *unused; i++) {
        if (ox_json_member(&l->root, unused[i]).value != NULL) {
            ox_log_message(l->log, OX_LOG_WARNING, "%s: %s is not used", l->what, unused[i]);
        }
    }
    if (post.value != NULL && !has_type(&post, "ByteLevel")) {
        ox_log_message(l->log, OX_LOG_WARNING, "%s: post_processor is not used: no tokens are added to a text",
                       l->what);
    }
    return decoder.value == NULL ? OX_OK : need_type(l, &decoder, "ByteLevel");
}

/* The model's settings besides vocab and merges. unk_token and fuse_unk mean nothing where every byte has a token. */
static enum ox_status read_model(struct loader *l)
{
    static const char *const empty[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const struct ox_json_at dropout = ox_json_member(&l->model, "dropout");
    enum ox_status status = need_type(l, &l->model, "BPE");
    if (status != OX_OK) {
        return status;
    }
    if (dropout.value != NULL && !(json_is_number(dropout.value) && json_number_value(dropout.value) == 0.0)) {
        return ox_json_expected(&dropout, "null", l->err);
    }
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        const struct ox_json_at affix = ox_json_member(&l->model, empty[i]);
        if (affix.value != NULL && !(json_is_string(affix.value) && json_string_length(affix.value) == 0)) {
            return ox_json_expected(&affix, "null", l->err);
        }
    }
    status = need_flag(l, &l->model, "byte_fallback", false, false);
    return status == OX_OK ? get_flag(l, &l->model, "ignore_merges", false, &l->tokenizer->ignore_merges) : status;
}

/* Check every id of vocab and added_tokens, and make the vocabulary for them. */
static enum ox_status size_vocab(struct loader *l)
{
    const json_int_t most = OX_VOCAB_IDS_MAX - 1;
    json_int_t largest = -1;
    const char *key;
    json_t *value;
    enum ox_status status = ox_json_need_object(&l->vocab, l->err);
    if (status == OX_OK && l->added.value != NULL) {
        status = ox_json_need_array(&l->added, l->err);
    }
    if (status != OX_OK) {
        return status;
    }
    json_object_foreach(l->vocab_tree, key, value)
    {
        const json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id > most) {
            const struct ox_json_at at = ox_json_member(&l->vocab, key);
            return ox_json_expected(&at, "an id from 0 to 16777215", l->err);
        }
        largest = id > largest ? id : largest;
    }
    const size_t n_added = json_array_size(l->added.value);
    for (size_t i = 0; i < n_added; i++) {
        const struct ox_json_at element = ox_json_element(&l->added, i);
        const struct ox_json_at at = ox_json_member(&element, "id");
        int64_t id;
        status = ox_json_get_i64(&at, 0, most, &id, l->err);
        if (status != OX_OK) {
            return status;
        }
        largest = id > largest ? id : largest;
    }
    const int32_t n_ids = (int32_t)largest + 1;
    const size_t n_tokens = json_object_size(l->vocab.value);
    return ox_vocab_init(&l->tokenizer->vocab, n_ids, n_tokens < (size_t)n_ids ? n_tokens : (size_t)n_ids, l->err);
}

/* Take one element of added_tokens. */
static enum ox_status read_added(struct loader *l, size_t i)
{
    static const char *const refused[] = {"single_word", "lstrip", "rstrip"};
    struct ox_tokenizer *t = l->tokenizer;
    const struct ox_json_at at = ox_json_element(&l->added, i);
    const struct ox_json_at content = ox_json_member(&at, "content");
    const struct ox_json_at number = ox_json_member(&at, "id");
    struct ox_str text;
    int64_t id = 0;
    bool special = false;
    enum ox_status status = ox_json_get_i64(&number, 0, OX_VOCAB_IDS_MAX - 1, &id, l->err);
    if (status == OX_OK) {
        status = ox_json_get_str(&content, &text, l->err);
    }
    if (status == OX_OK) {
        status = get_flag(l, &at, "special", false, &special);
    }
    for (size_t k = 0; status == OX_OK && k < sizeof refused / sizeof *refused; k++) {
        status = need_flag(l, &at, refused[k], false, false);
    }
    if (status != OX_OK) {
        return status;
    }
    if (text.len == 0 || text.len > OX_ADDED_BYTES_MAX) {
        return ox_error_set(l->err, OX_E_FORMAT, "%s: %s: expected 1 to %d bytes, found %zu", l->what, content.path,
                            OX_ADDED_BYTES_MAX, text.len);
    }
    if (ox_vocab_get(&t->vocab, (int32_t)id) != NULL) {
        return ox_json_expected(&number, "an id that no other added token has", l->err);
    }
    if (ox_added_find(&t->added, text) >= 0) {
        return ox_json_expected(&content, "a text that no other added token has", l->err);
    }
    const uint32_t flags = OX_VOCAB_ADDED | (special ? (uint32_t)OX_VOCAB_SPECIAL : 0U);
    if (ox_vocab_set(&t->vocab, (int32_t)id, text, flags) != 0 || ox_added_put(&t->added, text, (int32_t)id) != 0) {
        return out_of_memory(l, text.len);
    }
    return OX_OK;
}

/* Take one entry of vocab, after all added tokens. An added token may stand there again; it is then no base token: no
 * text but its own, where added tokens may be, can become it. */
static enum ox_status read_token(struct loader *l, const char *key, int32_t id)
{
    struct ox_tokenizer *t = l->tokenizer;
    const struct ox_str text = ox_str_c(key);
    const struct ox_vocab_token *other = ox_vocab_get(&t->vocab, id);
    const int32_t added_id = ox_added_find(&t->added, text);
    if (added_id >= 0 && added_id == id) {
        return OX_OK;
    }
    if (added_id >= 0 || other != NULL) {
        const struct ox_json_at at = ox_json_member(&l->vocab, key);
        if (added_id >= 0) {
            char expected[60];
            snprintf(expected, sizeof expected, "%d as in added_tokens", (int)added_id);
            return ox_json_expected(&at, expected, l->err);
        }
        return ox_json_expected(&at,
                                (other->flags & OX_VOCAB_ADDED) != 0 ? "an id that no added token has"
                                                                     : "an id that no other token has",
                                l->err);
    }
    ox_buf_clear(&l->text);
    const bool base = ox_vocab_unmap(text, &l->text) && text.len > 0;
    if (ox_buf_failed(&l->text) ||
        ox_vocab_set(&t->vocab, id, base ? ox_buf_str(&l->text) : text, base ? (uint32_t)OX_VOCAB_BASE : 0U) != 0) {
        return out_of_memory(l, text.len);
    }
    return OX_OK;
}

static enum ox_status read_vocab(struct loader *l)
{
    const char *key;
    json_t *value;
    enum ox_status status = size_vocab(l);
    const size_t n_added = json_array_size(l->added.value);
    for (size_t i = 0; i < n_added && status == OX_OK; i++) {
        status = read_added(l, i);
    }
    if (status != OX_OK) {
        return status;
    }
    json_object_foreach(l->vocab_tree, key, value)
    {
        status = read_token(l, key, (int32_t)json_integer_value(value));
        if (status != OX_OK) {
            return status;
        }
    }
    return OX_OK;
}

/* After ox_bpe_init: every byte needs a token, or there would be text without ids. */
static enum ox_status read_symbols(struct loader *l)
{
    for (int i = 0; i < 256; i++) {
        const char byte = (char)(unsigned char)i;
        const int32_t id = ox_vocab_find(&l->tokenizer->vocab, ox_str_make(&byte, 1));
        if (id < 0) {
            return ox_error_set(l->err, OX_E_FORMAT,
                                "%s: model.vocab: expected a token for each of the 256 bytes, "
                                "found none for byte 0x%02X",
                                l->what, (unsigned)i);
        }
        l->tokenizer->bpe.symbols[i] = id;
    }
    return OX_OK;
}

/* The two halves of element i of merges: "left right", or ["left", "right"]. */
static enum ox_status split_merge(struct loader *l, size_t i, struct ox_str half[2])
{
    const json_t *merge = json_array_get(l->merges.value, i);
    if (json_is_string(merge)) {
        const struct ox_str text = ox_json_text(merge);
        const size_t blank = ox_str_find(text, ox_str_c(" "), 0);
        if (blank < text.len && ox_str_find(text, ox_str_c(" "), blank + 1) == text.len) {
            half[0] = ox_str_make(text.ptr, blank);
            half[1] = ox_str_make(text.ptr + blank + 1, text.len - blank - 1);
            return OX_OK;
        }
    } else if (json_array_size(merge) == 2 && json_is_string(json_array_get(merge, 0)) &&
               json_is_string(json_array_get(merge, 1))) {
        half[0] = ox_json_text(json_array_get(merge, 0));
        half[1] = ox_json_text(json_array_get(merge, 1));
        return OX_OK;
    }
    const struct ox_json_at at = ox_json_element(&l->merges, i);
    return ox_json_expected(&at, "\"left right\" or [\"left\", \"right\"]", l->err);
}

/* Take element i of merges; *again is set if its pair has a merge already. */
static enum ox_status read_merge(struct loader *l, size_t i, bool *again)
{
    static const char *const names[] = {"left half", "right half", "result"};
    struct ox_str half[2];
    int32_t ids[3];
    const enum ox_status status = split_merge(l, i, half);
    if (status != OX_OK) {
        return status;
    }
    ox_buf_clear(&l->text);
    const bool left_known = ox_vocab_unmap(half[0], &l->text);
    const size_t left = l->text.len;
    const bool right_known = ox_vocab_unmap(half[1], &l->text);
    if (ox_buf_failed(&l->text)) {
        return out_of_memory(l, half[0].len + half[1].len);
    }
    const struct ox_str both = ox_str_make(ox_buf_text(&l->text), l->text.len);
    const struct ox_vocab *vocab = &l->tokenizer->vocab;
    ids[0] = left_known ? ox_vocab_find(vocab, ox_str_make(both.ptr, left)) : -1;
    ids[1] = right_known ? ox_vocab_find(vocab, ox_str_make(both.ptr + left, both.len - left)) : -1;
    ids[2] = left_known && right_known ? ox_vocab_find(vocab, both) : -1;
    for (int k = 0; k < 3; k++) {
        if (ids[k] < 0) {
            return ox_error_set(l->err, OX_E_FORMAT,
                                "%s: model.merges[%zu]: expected tokens of model.vocab that are no "
                                "added tokens, found none for its %s",
                                l->what, i, names[k]);
        }
    }
    *again = ox_bpe_add(&l->tokenizer->bpe, ids[0], ids[1], ids[2]);
    return OX_OK;
}

static enum ox_status read_merges(struct loader *l)
{
    size_t n_again = 0;
    enum ox_status status = ox_json_need_array(&l->merges, l->err);
    if (status != OX_OK) {
        return status;
    }
    const size_t n = json_array_size(l->merges.value);
    if (n > OX_BPE_MERGES_MAX) {
        return ox_error_set(l->err, OX_E_LIMIT, "%s: model.merges: expected at most %zu merges, found %zu", l->what,
                            OX_BPE_MERGES_MAX, n);
    }
    status = ox_bpe_init(&l->tokenizer->bpe, n, l->err);
    if (status == OX_OK) {
        status = read_symbols(l);
    }
    for (size_t i = 0; i < n && status == OX_OK; i++) {
        bool again = false;
        status = read_merge(l, i, &again);
        n_again += again ? 1 : 0;
    }
    if (n_again > 0) {
        ox_log_message(l->log, OX_LOG_WARNING, "%s: model.merges: %zu pairs occur again; the last one counts", l->what,
                       n_again);
    }
    return status;
}

enum ox_status ox_tokenizer_load(struct ox_tokenizer *tokenizer, struct ox_str json, const char *what,
                                 const struct ox_log *log, struct ox_error *err)
{
    json_t *tree = NULL;
    enum ox_status status = ox_json_parse(json, what, &tree, err);
    if (status != OX_OK) {
        return status;
    }
    struct loader l = {.tokenizer = tokenizer, .what = what, .log = log, .err = err, .root = ox_json_root(tree, what)};
    l.model = ox_json_member(&l.root, "model");
    l.vocab = ox_json_member(&l.model, "vocab");
    l.vocab_tree = json_object_get(json_object_get(tree, "model"), "vocab");
    l.merges = ox_json_member(&l.model, "merges");
    l.added = ox_json_member(&l.root, "added_tokens");
    status = ox_json_need_object(&l.root, err);
    if (status == OX_OK) {
        status = read_surroundings(&l);
    }
    if (status == OX_OK) {
        status = read_model(&l);
    }
    if (status == OX_OK) {
        status = read_pre_tokenizer(&l);
    }
    if (status == OX_OK) {
        status = read_vocab(&l);
    }
    if (status == OX_OK) {
        status = read_merges(&l);
    }
    ox_buf_fini(&l.text);
    json_decref(tree);
    return status;
}
