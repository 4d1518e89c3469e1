/* SPDX-License-Identifier: Apache-2.0
 *
 * Vocabularies arranged for masks: every token stands once in one of the trees, in the right one, with the right bytes on
 * the way, and the lists by length and by kind of byte are those of a plain count.
 */
#include "text/lexicon.h"

#include "base/utf8.h"
#include "tests/schema_random.h"
#include "tests/tap.h"

/* Walk a tree; check ends, depths and bytes, and count how often each token is met. */
static bool walk(const struct ox_lexicon *lexicon, const struct ox_lexicon_tree *tree, int *met)
{
    char path[OX_LEXICON_TOKEN_BYTES + 1];
    bool good = true;
    for (size_t i = 0; i < tree->n; i++) {
        const struct ox_lexicon_node *node = &tree->nodes[i];
        path[node->depth - 1] = (char)node->byte;
        good = good && node->end > i && node->end <= tree->n &&
               (i + 1 == tree->n || tree->nodes[i + 1].depth <= node->depth + 1);
        good = good && (node->end == tree->n || tree->nodes[node->end].depth <= node->depth);
        uint8_t kinds = 0;
        for (size_t k = i + 1; k < node->end; k++) {
            kinds |= ox_byte_kind(tree->nodes[k].byte);
            good = good && tree->nodes[k].depth > node->depth;
        }
        good = good && kinds == node->kinds;
        for (int32_t id = node->id; id >= 0; id = lexicon->same[id]) {
            met[id]++;
            good = good && ox_str_equal(lexicon->tokens[id], ox_str_make(path, node->depth));
        }
        good = good && node->shared == (node->id >= 0 && lexicon->same[node->id] >= 0);
    }
    return good;
}

/* May the token stand in a JSON string as it is, but for a character that it ends in the middle of? */
static bool is_plain(struct ox_str token)
{
    const size_t tail = ox_utf8_tail(token);
    bool plain = ox_utf8_valid(ox_str_make(token.ptr, token.len - tail));
    for (size_t i = 0; i < token.len; i++) {
        plain = plain && (unsigned char)token.ptr[i] >= 0x20 && token.ptr[i] != '"' && token.ptr[i] != '\\';
    }
    return plain;
}

static void tokens(const struct ox_lexicon *lexicon, const struct vocabulary *v)
{
    int *plain = calloc((size_t)v->n, sizeof *plain);
    int *other = calloc((size_t)v->n, sizeof *other);
    bool once = true;
    bool kinds = true;
    size_t n_plain = 0;
    OK(walk(lexicon, &lexicon->plain, plain) && walk(lexicon, &lexicon->other, other), "both trees are in order");
    for (int32_t id = 0; id < v->n; id++) {
        const bool expected = is_plain(v->tokens[id]);
        const size_t w = (size_t)id / 64;
        once = once && plain[id] == (expected ? 1 : 0) && other[id] == (expected ? 0 : 1) &&
               (lexicon->plain_mask[w] >> (id % 64) & 1) == (expected ? 1U : 0U);
        n_plain += expected ? 1 : 0;
        for (unsigned kind = 0; kind < OX_N_BYTE_KINDS; kind++) {
            bool holds = false;
            for (size_t i = 0; i < v->tokens[id].len; i++) {
                holds = holds || ox_byte_kind((uint8_t)v->tokens[id].ptr[i]) == 1U << kind;
            }
            kinds = kinds && (lexicon->kind_masks[kind * lexicon->n_words + w] >> (id % 64) & 1) ==
                                 (expected && holds ? 1U : 0U);
        }
    }
    OK(once, "each token stands once, in the right tree");
    OK(kinds, "kinds of bytes");
    bool sorted = lexicon->n_up_to[lexicon->max_characters] == n_plain && lexicon->n_up_to[0] == 0;
    for (uint32_t k = 1; k <= lexicon->max_characters; k++) {
        for (size_t i = lexicon->n_up_to[k - 1]; i < lexicon->n_up_to[k]; i++) {
            const struct ox_str token = lexicon->tokens[lexicon->by_length[i]];
            uint32_t n = 0;
            for (size_t b = 0; b < token.len; b++) {
                n += ((unsigned char)token.ptr[b] & 0xC0) != 0x80 ? 1 : 0;
            }
            sorted = sorted && n == k;
        }
    }
    OK(sorted, "plain tokens by their number of characters");
    free(plain);
    free(other);
}

int main(void)
{
    struct vocabulary v;
    struct ox_lexicon *lexicon = NULL;
    make_vocabulary(&v, 3000, 11);
    v.tokens[2000] = v.tokens[300]; /* twice the same */
    v.tokens[2001] = v.tokens[300];
    v.tokens[2002] = v.tokens['"'];
    if (OK(ox_lexicon_new(v.tokens, v.n, NULL, &lexicon, NULL) == OX_OK, "a lexicon")) {
        tokens(lexicon, &v);
    }
    ox_lexicon_free(lexicon);

    char text[OX_LEXICON_TOKEN_BYTES + 1];
    memset(text, 'x', sizeof text);
    const struct ox_str few[] = {
        ox_str_make(text, sizeof text), ox_str_make(text, sizeof text - 1), ox_str_make("", 0), {NULL, 0}};
    OK(ox_lexicon_new(few, 4, NULL, &lexicon, NULL) == OX_OK && lexicon->plain.n == OX_LEXICON_TOKEN_BYTES &&
           lexicon->plain_mask[0] == 2,
       "too long, just right, empty, none");
    ox_lexicon_free(lexicon);
    OK(ox_lexicon_new(few, 0, NULL, &lexicon, NULL) == OX_OK && lexicon->n_words == 0, "no tokens at all");
    ox_lexicon_free(lexicon);
    free_vocabulary(&v);
    return tap_done();
}
