/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernels of level amx share: the vectors of level avx512, F32 in pieces of BF16, and where the parts of an
 * operand lie.
 *
 * An operand (pack) of a group of n tokens: [n_cols / 32, rounded up][16 pairs][n tokens][2] bf16, columns beyond
 * n_cols being 0. That is a tile's right side, 32 columns a step, whose rows are 4 n bytes apart; of one token it is
 * the row itself. An exact operand: the rows [n][n_cols] f32, then [steps][3 pieces][16 pairs][n][2] bf16.
 */
#ifndef OX_SIMD_AMX_VECTOR_AMX_H
#define OX_SIMD_AMX_VECTOR_AMX_H

#include "simd/amx/tile.h"
#include "simd/avx512/vector_avx512.h"
#include "simd/kernels.h"

#undef OX_LEVEL
#define OX_LEVEL(name) OX_LEVEL_NAME(name, amx)

/* Columns of a step: a tile's row of BF16. */
#define STEP_COLS 32
/* Pieces of BF16 that an F32 number is the sum of. */
#define PIECES 3

OX_INLINE size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

OX_INLINE size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

OX_INLINE size_t steps_of(size_t n_cols)
{
    return (n_cols + STEP_COLS - 1) / STEP_COLS;
}

/* Tokens of the group that begins at token t. */
OX_INLINE size_t group_tokens(size_t n_tokens, size_t t)
{
    return least(n_tokens - t, OX_GROUP_TOKENS);
}

OX_INLINE size_t operand_bytes(size_t n_cols)
{
    return steps_of(n_cols) * OX_TILE_ROW_BYTES;
}

OX_INLINE size_t exact_bytes(size_t n_cols)
{
    return n_cols * sizeof(float) + PIECES * operand_bytes(n_cols);
}

/* Bits of a vector as integers. */
OX_INLINE __m512i bits_of(__m512 v)
{
    return _mm512_castps_si512(v);
}

/* 32 F32 numbers to BF16, nearest, ties to even; subnormal ones become 0. */
OX_INLINE __m512i round_pairs(__m512 a, __m512 b)
{
    const __m512bh rounded = _mm512_cvtne2ps_pbh(b, a);
    __m512i bits;
    memcpy(&bits, &rounded, sizeof bits);
    return bits;
}

/* The upper halves of 32 F32 numbers. */
OX_INLINE __m512i upper_halves(__m512 a, __m512 b)
{
    const __m512i odd = _mm512_set_epi32(0x3F003D, 0x3B0039, 0x370035, 0x330031, 0x2F002D, 0x2B0029, 0x270025, 0x230021,
                                         0x1F001D, 0x1B0019, 0x170015, 0x130011, 0xF000D, 0xB0009, 0x70005, 0x30001);
    return _mm512_permutex2var_epi16(bits_of(a), odd, bits_of(b));
}

/* v as the sum of three numbers of which BF16 has every bit (the last one may lose bits below 2^-133). Infinities and
 * NaN are in the first alone. */
OX_INLINE void split(__m512 v, __m512 *piece)
{
    const __m512i upper = _mm512_set1_epi32((int)0xFFFF0000);
    const __m512 none = _mm512_sub_ps(v, v); /* NaN where v is not finite */
    const __mmask16 finite = _mm512_cmp_ps_mask(none, none, _CMP_ORD_Q);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m512i quiet = _mm512_mask_or_epi32(bits_of(v), nan, bits_of(v), _mm512_set1_epi32(0x00400000));
    piece[0] = _mm512_castsi512_ps(_mm512_and_si512(quiet, upper));
    const __m512 rest = _mm512_maskz_sub_ps(finite, v, piece[0]);
    piece[1] = _mm512_castsi512_ps(_mm512_and_si512(bits_of(rest), upper));
    piece[2] = _mm512_sub_ps(rest, piece[1]);
}

/* Lanes of n: all 16 from 16 on. */
OX_INLINE __mmask16 lanes_of(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xFFFFU : (1U << n) - 1U);
}

/* A tile of right sides: pairs[i] = the 16 pairs of token i, of n, to [16 pairs][n] at out. */
OX_INLINE void store_right(__m512i *pairs, size_t n, uint8_t *out)
{
    ox_vf turned[16];
    if (n == 1) {
        _mm512_storeu_si512((void *)out, pairs[0]);
        return;
    }
    for (size_t i = 0; i < 16; i++) {
        turned[i] = i < n ? _mm512_castsi512_ps(pairs[i]) : ox_v_zero();
    }
    ox_v_transpose(turned);
    for (size_t i = 0; i < 16; i++) {
        _mm512_mask_storeu_ps(out + i * 4 * n, lanes_of(n), turned[i]);
    }
}

#endif
