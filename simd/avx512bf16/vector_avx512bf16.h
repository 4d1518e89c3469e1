/* SPDX-License-Identifier: Apache-2.0
 *
 * What level avx512bf16 (AVX512_BF16) has beside the vectors of avx512: pairs of BF16, 16 in a vector, and
 * their dot products. Denormals count as zero on both sides of VDPBF16PS and VCVTNEPS2BF16, whatever MXCSR says.
 */
#ifndef OX_SIMD_AVX512BF16_VECTOR_AVX512BF16_H
#define OX_SIMD_AVX512BF16_VECTOR_AVX512BF16_H

#include "simd/avx512/vector_avx512.h"

/* A kernel's name at this level; OX_LEVEL names those of the level below. */
#define OX_PAIRS_LEVEL(name) OX_LEVEL_NAME(name, avx512bf16)

/* Columns of a vector, which are a block of an operand, and the tokens whose blocks stand side by side:
 * pack_avx512bf16.c says more. */
#define BLOCK_COLS 32
#define BLOCK_BYTES 64
#define TILE_TOKENS 4

/* sum[i] += a[2i] * b[2i] + a[2i + 1] * b[2i + 1] */
OX_INLINE __m512 ox_dot_pairs(__m512 sum, __m512i a, __m512i b)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

/* 32 numbers to BF16, nearest, ties to even. */
OX_INLINE __m512i ox_round_pairs(__m512 low, __m512 high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

OX_INLINE __m512i ox_load_pairs(const uint8_t *p)
{
    return _mm512_loadu_si512((const void *)p);
}

/* n < 32 numbers, zeros behind them; nothing beyond is read. */
OX_INLINE __m512i ox_load_pairs_n(const uint8_t *p, size_t n)
{
    return _mm512_maskz_loadu_epi16((__mmask32)((1U << n) - 1U), (const void *)p);
}

static inline size_t ox_n_blocks(size_t n_cols)
{
    return (n_cols + BLOCK_COLS - 1) / BLOCK_COLS;
}

#endif
