/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a random model whose layers are all dense and that speaks with the demonstration model's tokens, so that oxcart serve
 * can load it: small and in many files, or larger than the caches.
 *
 *     make_model FOLDER TOKENIZER [SHARDS [HIDDEN INTER LAYERS [bf16|mxfp8]]]
 */
#include "base/str.h"
#include "tests/mkmodel.h"
#include "tests/tap.h"

#define VOCAB 2048
#define HEAD 128

int main(int argc, char **argv)
{
    struct mk_model_options options = mk_model_default();
    uint64_t numbers[4] = {1, options.hidden, options.dense_inter, 1};
    bool good = argc >= 3 && argc <= 8;
    for (int i = 3; good && i < argc && i < 7; i++) {
        good = ox_str_to_u64(ox_str_c(argv[i]), &numbers[i - 3]) && numbers[i - 3] > 0;
    }
    if (!good || (argc > 4 && numbers[1] % HEAD != 0)) {
        fprintf(stderr, "usage: make_model FOLDER TOKENIZER [SHARDS [HIDDEN INTER LAYERS [bf16|mxfp8]]]\n");
        return 2;
    }
    options.tokenizer = argv[2];
    options.vocab = VOCAB;
    options.n_shards = numbers[0];
    options.hidden = numbers[1];
    options.dense_inter = numbers[2];
    options.layers = numbers[3];
    options.dense_layers = numbers[3];
    options.full_layers = numbers[3];
    options.max_positions = 8192;
    if (argc > 4) {
        options.head_dim = HEAD;
        options.rotary_dim = HEAD / 2;
        options.heads = options.hidden / HEAD;
        options.kv_heads = options.heads % 4 == 0 ? 4 : 1;
        options.index_dim = HEAD;
        options.block = HEAD;
    }
    options.format = argc > 7 && strcmp(argv[7], "mxfp8") == 0 ? OX_FORMAT_MXFP8 : OX_FORMAT_BF16;
    return mk_model(argv[1], &options) == 0 ? 0 : 1;
}
