/* SPDX-License-Identifier: Apache-2.0
 *
 * What level neonbf16 (FEAT_BF16) has beside the vectors of neon: BFMMLA, which multiplies two rows of four columns
 * with two others. Denormals count as zero there; sums are rounded to odd.
 */
#ifndef OX_SIMD_NEONBF16_VECTOR_NEONBF16_H
#define OX_SIMD_NEONBF16_VECTOR_NEONBF16_H

#include "simd/neon/vector_neon.h"

/* A kernel's name at this level; OX_LEVEL names those of the level below. */
#define OX_PAIRS_LEVEL(name) OX_LEVEL_NAME(name, neonbf16)

/* Columns of a step of the products; rows of an operand are padded with zeros to whole ones. */
#define STEP_COLS 8

/* sum {00, 01, 10, 11} += rows 0, 1 of a . rows 0, 1 of b */
OX_INLINE ox_vf ox_multiply_pairs(ox_vf sum, uint16x8_t a, uint16x8_t b)
{
    return vbfmmlaq_f32(sum, vreinterpretq_bf16_u16(a), vreinterpretq_bf16_u16(b));
}

/* Eight columns of two rows to pairs of four columns. */
OX_INLINE void ox_zip_rows(uint16x8_t a, uint16x8_t b, uint16x8_t *out)
{
    const uint64x2_t x = vreinterpretq_u64_u16(a);
    const uint64x2_t y = vreinterpretq_u64_u16(b);
    out[0] = vreinterpretq_u16_u64(vzip1q_u64(x, y));
    out[1] = vreinterpretq_u16_u64(vzip2q_u64(x, y));
}

OX_INLINE uint16x8_t ox_load_eight(const uint8_t *p)
{
    return vreinterpretq_u16_u8(vld1q_u8(p));
}

/* n < 8 numbers, zeros behind them; nothing beyond is read. */
OX_INLINE uint16x8_t ox_load_eight_n(const uint8_t *p, size_t n)
{
    uint8_t room[16] = {0};
    memcpy(room, p, 2 * n);
    return ox_load_eight(room);
}

/* Bytes of an operand's row. */
static inline size_t ox_row_bytes(size_t n_cols)
{
    return (n_cols + STEP_COLS - 1) / STEP_COLS * STEP_COLS * 2;
}

#endif
