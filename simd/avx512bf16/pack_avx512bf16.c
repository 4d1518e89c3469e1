/* SPDX-License-Identifier: Apache-2.0
 *
 * Operands at level avx512bf16: BF16, nearest, ties to even (denormals become zero, as they would in the products). A
 * group is cut into tiles of four tokens (the last of what is left), and a tile lies column block after column block:
 * 32 columns of its first token, of its second and so on, zeros behind the last column. So what a product reads for a
 * tile is one stretch, however far apart the rows of its tokens would have been.
 */
#include "simd/avx512bf16/vector_avx512bf16.h"
#include "simd/kernels.h"

size_t OX_PAIRS_LEVEL(ox_operand_bytes)(size_t n_cols)
{
    return ox_n_blocks(n_cols) * BLOCK_BYTES;
}

/* 32 numbers, or the `left` < 32 of them and zeros. */
OX_INLINE __m512i round_block(const float *from, size_t left)
{
    if (left >= BLOCK_COLS) {
        return ox_round_pairs(ox_v_load(from), ox_v_load(from + 16));
    }
    if (left >= 16) {
        return ox_round_pairs(ox_v_load(from), ox_v_load_n(from + 16, left - 16));
    }
    return ox_round_pairs(ox_v_load_n(from, left), ox_v_zero());
}

void OX_PAIRS_LEVEL(ox_pack)(OX_PACK_PARAMETERS)
{
    const size_t bytes = OX_PAIRS_LEVEL(ox_operand_bytes)(n_cols);
    for (size_t i = 0; i < n; i++) {
        const size_t first = i / TILE_TOKENS * TILE_TOKENS;
        const size_t n_tile = n - first < TILE_TOKENS ? n - first : TILE_TOKENS;
        uint8_t *to = out + first * bytes + (i - first) * BLOCK_BYTES;
        for (size_t k = begin; k < end; k += BLOCK_COLS) {
            const __m512i block = round_block(rows[i] + (k - begin), end - k);
            _mm512_storeu_si512((void *)(to + k / BLOCK_COLS * n_tile * BLOCK_BYTES), block);
        }
    }
}
