/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds the trees: tokens are sorted by their bytes, which is the order of the walk.
 */
#include "text/lexicon.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

struct entry {
    struct ox_str bytes;
    int32_t id;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    const size_t n = x->bytes.len < y->bytes.len ? x->bytes.len : y->bytes.len;
    const int order = memcmp(x->bytes.ptr, y->bytes.ptr, n);
    if (order != 0) {
        return order;
    }
    if (x->bytes.len != y->bytes.len) {
        return x->bytes.len < y->bytes.len ? -1 : 1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

/* How many characters a plain token has, one that is cut off at its end included; 0: the token is not plain. */
static uint32_t plain_characters(struct ox_str token)
{
    const size_t tail = ox_utf8_tail(token);
    uint32_t n = tail > 0 ? 1 : 0;
    for (size_t at = 0; at < token.len - tail;) {
        uint32_t code;
        at += ox_utf8_decode(ox_str_make(token.ptr + at, token.len - tail - at), &code);
        if (code == UINT32_MAX || code < 0x20 || code == '"' || code == '\\') {
            return 0;
        }
        n++;
    }
    return n;
}

static size_t common_prefix(struct ox_str a, struct ox_str b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n]) {
        n++;
    }
    return n;
}

/* Set the kinds of all nodes, from the last to the first: children come behind their parents. */
static void set_kinds(struct ox_lexicon_tree *tree)
{
    uint8_t below[OX_LEXICON_TOKEN_BYTES + 2] = {0}; /* [depth] of the nodes of one parent so far */
    for (size_t i = tree->n; i > 0; i--) {
        struct ox_lexicon_node *node = &tree->nodes[i - 1];
        node->kinds = below[node->depth + 1];
        below[node->depth + 1] = 0;
        below[node->depth] |= node->kinds | ox_byte_kind(node->byte);
    }
}

/* The tree of n sorted entries. */
static enum ox_status make_tree(struct ox_lexicon *lexicon, const struct entry *entries, size_t n,
                                struct ox_lexicon_tree *tree, struct ox_error *err)
{
    uint32_t open[OX_LEXICON_TOKEN_BYTES + 1]; /* the nodes from the root to here */
    size_t total = 0;
    struct ox_str last = {NULL, 0};
    for (size_t i = 0; i < n; i++) {
        total += entries[i].bytes.len - common_prefix(last, entries[i].bytes);
        last = entries[i].bytes;
    }
    tree->nodes = ox_calloc(total, sizeof *tree->nodes);
    if (tree->nodes == NULL || total > UINT32_MAX) {
        return ox_error_nomem(err, total * sizeof *tree->nodes);
    }
    size_t depth = 0;
    last = ox_str_make(NULL, 0);
    for (size_t i = 0; i < n; i++) {
        const struct ox_str bytes = entries[i].bytes;
        const size_t common = common_prefix(last, bytes);
        while (depth > common) {
            tree->nodes[open[depth--]].end = (uint32_t)tree->n;
        }
        while (depth < bytes.len) {
            const uint8_t byte = (uint8_t)bytes.ptr[depth++];
            open[depth] = (uint32_t)tree->n;
            tree->nodes[tree->n++] = (struct ox_lexicon_node){0, -1, byte, (uint8_t)depth, false, 0};
        }
        struct ox_lexicon_node *node = &tree->nodes[open[depth]];
        node->shared = node->id >= 0;
        lexicon->same[entries[i].id] = node->id;
        node->id = entries[i].id;
        last = bytes;
    }
    while (depth > 0) {
        tree->nodes[open[depth--]].end = (uint32_t)tree->n;
    }
    set_kinds(tree);
    return OX_OK;
}

static uint8_t kinds_in(struct ox_str bytes)
{
    uint8_t kinds = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        kinds |= ox_byte_kind((uint8_t)bytes.ptr[i]);
    }
    return kinds;
}

/* Order the plain tokens by their number of characters (counting sort). */
static enum ox_status order_by_length(struct ox_lexicon *lexicon, const struct entry *plain, size_t n,
                                      struct ox_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t length = plain_characters(plain[i].bytes);
        lexicon->max_characters = length > lexicon->max_characters ? length : lexicon->max_characters;
        lexicon->plain_mask[(size_t)plain[i].id / 64] |= (uint64_t)1 << (plain[i].id % 64);
        for (unsigned kind = 0; kind < OX_N_BYTE_KINDS; kind++) {
            if ((kinds_in(plain[i].bytes) >> kind & 1) != 0) {
                lexicon->kind_masks[kind * lexicon->n_words + (size_t)plain[i].id / 64] |= (uint64_t)1
                                                                                           << (plain[i].id % 64);
            }
        }
    }
    lexicon->by_length = ox_calloc(n, sizeof *lexicon->by_length);
    lexicon->n_up_to = ox_calloc((size_t)lexicon->max_characters + 1, sizeof *lexicon->n_up_to);
    if (lexicon->by_length == NULL || lexicon->n_up_to == NULL) {
        return ox_error_nomem(err, n * sizeof *lexicon->by_length);
    }
    for (size_t i = 0; i < n; i++) {
        lexicon->n_up_to[plain_characters(plain[i].bytes)]++;
    }
    for (uint32_t k = 1; k <= lexicon->max_characters; k++) {
        lexicon->n_up_to[k] += lexicon->n_up_to[k - 1];
    }
    for (size_t i = n; i > 0; i--) {
        /* each count moves down to where its ids begin: the number of shorter ones */
        lexicon->by_length[--lexicon->n_up_to[plain_characters(plain[i - 1].bytes)]] = plain[i - 1].id;
    }
    for (uint32_t k = 0; k < lexicon->max_characters; k++) {
        lexicon->n_up_to[k] = lexicon->n_up_to[k + 1];
    }
    lexicon->n_up_to[lexicon->max_characters] = n;
    return OX_OK;
}

static enum ox_status arrange(struct ox_lexicon *lexicon, struct entry *plain, struct entry *other,
                              struct ox_error *err)
{
    size_t n_plain = 0;
    size_t n_other = 0;
    for (int32_t id = 0; id < lexicon->n_ids; id++) {
        const struct ox_str token = lexicon->tokens[id];
        if (token.ptr == NULL || token.len == 0 || token.len > OX_LEXICON_TOKEN_BYTES) {
            continue;
        }
        if (plain_characters(token) > 0) {
            plain[n_plain++] = (struct entry){token, id};
        } else {
            other[n_other++] = (struct entry){token, id};
        }
    }
    qsort(plain, n_plain, sizeof *plain, compare_entries);
    qsort(other, n_other, sizeof *other, compare_entries);
    enum ox_status status = make_tree(lexicon, plain, n_plain, &lexicon->plain, err);
    if (status == OX_OK) {
        status = make_tree(lexicon, other, n_other, &lexicon->other, err);
    }
    return status == OX_OK ? order_by_length(lexicon, plain, n_plain, err) : status;
}

static enum ox_status copy_tokens(struct ox_lexicon *lexicon, const struct ox_str *tokens, struct ox_error *err)
{
    for (int32_t id = 0; id < lexicon->n_ids; id++) {
        lexicon->same[id] = -1;
        ox_buf_add_str(&lexicon->bytes, tokens[id]);
    }
    if (ox_buf_failed(&lexicon->bytes)) {
        return ox_error_nomem(err, lexicon->bytes.len);
    }
    size_t at = 0;
    for (int32_t id = 0; id < lexicon->n_ids; id++) {
        if (tokens[id].ptr != NULL) {
            lexicon->tokens[id] = ox_str_make(ox_buf_text(&lexicon->bytes) + at, tokens[id].len);
        }
        at += tokens[id].len;
    }
    return OX_OK;
}

enum ox_status ox_lexicon_new(const struct ox_str *tokens, int32_t n_ids, const struct ox_markers *markers,
                              struct ox_lexicon **out, struct ox_error *err)
{
    static const struct ox_markers none = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    struct ox_lexicon *lexicon = ox_calloc(1, sizeof *lexicon);
    if (lexicon == NULL) {
        return ox_error_nomem(err, sizeof *lexicon);
    }
    const size_t n = (size_t)n_ids;
    lexicon->n_ids = n_ids;
    lexicon->n_words = (n + 63) / 64;
    lexicon->markers = markers != NULL ? *markers : none;
    lexicon->tokens = ox_calloc(n, sizeof *lexicon->tokens);
    lexicon->same = ox_calloc(n, sizeof *lexicon->same);
    lexicon->plain_mask = ox_calloc(lexicon->n_words, sizeof *lexicon->plain_mask);
    lexicon->kind_masks = ox_calloc(lexicon->n_words, OX_N_BYTE_KINDS * sizeof *lexicon->kind_masks);
    struct entry *plain = ox_calloc(n, sizeof *plain);
    struct entry *other = ox_calloc(n, sizeof *other);
    enum ox_status status = OX_OK;
    if (lexicon->tokens == NULL || lexicon->same == NULL || lexicon->plain_mask == NULL ||
        lexicon->kind_masks == NULL || plain == NULL || other == NULL) {
        status = ox_error_nomem(err, n * sizeof *plain);
    }
    if (status == OX_OK) {
        status = copy_tokens(lexicon, tokens, err);
    }
    if (status == OX_OK) {
        status = arrange(lexicon, plain, other, err);
    }
    ox_free(plain);
    ox_free(other);
    if (status != OX_OK) {
        ox_lexicon_free(lexicon);
        return status;
    }
    *out = lexicon;
    return OX_OK;
}

enum ox_status ox_lexicon_from_tokenizer(const struct ox_tokenizer *tokenizer, int32_t n_ids,
                                         const struct ox_markers *markers, struct ox_lexicon **out,
                                         struct ox_error *err)
{
    struct ox_str *tokens = ox_calloc((size_t)n_ids, sizeof *tokens);
    if (tokens == NULL) {
        return ox_error_nomem(err, (size_t)n_ids * sizeof *tokens);
    }
    for (int32_t id = 0; id < n_ids; id++) {
        if (!ox_tokenizer_is_added(tokenizer, id)) {
            tokens[id] = ox_tokenizer_bytes(tokenizer, id);
        }
    }
    const enum ox_status status = ox_lexicon_new(tokens, n_ids, markers, out, err);
    ox_free(tokens);
    return status;
}

void ox_lexicon_free(struct ox_lexicon *lexicon)
{
    if (lexicon == NULL) {
        return;
    }
    ox_free(lexicon->tokens);
    ox_free(lexicon->same);
    ox_free(lexicon->plain.nodes);
    ox_free(lexicon->other.nodes);
    ox_free(lexicon->by_length);
    ox_free(lexicon->n_up_to);
    ox_free(lexicon->plain_mask);
    ox_free(lexicon->kind_masks);
    ox_buf_fini(&lexicon->bytes);
    ox_free(lexicon);
}
