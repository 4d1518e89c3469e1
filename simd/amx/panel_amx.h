/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights made into left sides of tile products at level amx: a panel is [slots][32 rows][32 columns] of BF16, a slot
 * being two tiles, one above the other. A step of 32 columns takes one slot where BF16 holds the weights (BF16, MXFP8),
 * two of pieces for F16, three for F32: their sum is the weight, exactly. Columns beyond the last are 0.
 *
 * MXFP8: 32 codes and their scale become BF16 by adding to the exponent, about 5 vector operations; lines with zero,
 * subnormal or NaN codes, or with scales whose results are no normal numbers of BF16, a few in a hundred, are mended.
 */
#ifndef OX_SIMD_AMX_PANEL_AMX_H
#define OX_SIMD_AMX_PANEL_AMX_H

#include "simd/amx/vector_amx.h"

#define PANEL_ROWS 32
#define SLOT_BYTES (PANEL_ROWS * OX_TILE_ROW_BYTES)
/* Most slots of a panel: 32 KiB. */
#define PANEL_SLOTS 16

enum format { F32, F16, BF16, MXFP8 };

/* What a product works on. */
struct weights {
    const uint8_t *values;
    size_t row_bytes;
    const uint8_t *scales;
    size_t scale_row_bytes;
    size_t n_rows;
    size_t n_cols;
};

OX_INLINE size_t value_bytes(enum format format)
{
    switch (format) {
    case F32:
        return 4;
    case F16:
    case BF16:
        return 2;
    case MXFP8:
    default:
        return 1;
    }
}

/* Slots of a step. */
OX_INLINE size_t pieces_of(enum format format)
{
    switch (format) {
    case F32:
        return 3;
    case F16:
        return 2;
    case BF16:
    case MXFP8:
    default:
        return 1;
    }
}

/* 32 codes with any scale, by way of F32, whose upper half is exact: four bits. E4M3's seven bits below the sign,
 * shifted up by seven, are a half whose value is the code's times 2^-8, subnormal ones included. */
static __attribute__((noinline)) void expand_any_block(const uint8_t *codes, uint8_t scale, uint8_t *to)
{
    const __m256i code = _mm256_loadu_si256((const void *)codes);
    const __m512i wide = _mm512_cvtepi8_epi16(code);
    const __m512i half = _mm512_and_si512(_mm512_slli_epi16(wide, 7), _mm512_set1_epi16((int16_t)0xBF80));
    const __m512i magnitude = _mm512_and_si512(_mm512_castsi256_si512(code), _mm512_set1_epi8(0x7F));
    const __mmask32 nan = (__mmask32)_mm512_cmpeq_epi8_mask(magnitude, _mm512_set1_epi8(0x7F));
    const __m512 factor = _mm512_set1_ps(ox_f32_from_e8m0(scale));
    const __m512 unit = _mm512_set1_ps(256.0F);
    const __m512 low = _mm512_mul_ps(_mm512_cvtph_ps(_mm512_castsi512_si256(half)), unit);
    const __m512 high = _mm512_mul_ps(_mm512_cvtph_ps(_mm512_extracti64x4_epi64(half, 1)), unit);
    const __m512i words = upper_halves(_mm512_mul_ps(low, factor), _mm512_mul_ps(high, factor));
    _mm512_storeu_si512((void *)to, _mm512_mask_blend_epi16(nan, words, _mm512_set1_epi16(0x7FC0)));
}

/* 32 codes, their bits spread to 32 words and moved to where BF16 has sign, exponent and mantissa; bias: what the
 * exponents lack, in place, in both words. */
OX_INLINE void expand_block(const uint8_t *codes, const int32_t *bias, uint8_t *to)
{
    const __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)codes));
    const __m512i placed = _mm512_and_si512(_mm512_slli_epi16(wide, 4), _mm512_set1_epi16((int16_t)0x87F0));
    _mm512_storeu_si512((void *)to, _mm512_add_epi32(placed, _mm512_set1_epi32(*bias)));
}

/* Expand again what a line's blocks have that is not normal. */
static __attribute__((noinline, cold)) void mend_line(const uint8_t *codes, const uint8_t *scales, size_t n_blocks,
                                                      uint8_t *to)
{
    for (size_t i = 0; i < n_blocks; i++) {
        expand_any_block(codes + i * STEP_COLS, scales[i], to + i * SLOT_BYTES);
    }
}

/* n_blocks <= 16 blocks of a row, one a slot. A normal code of exponent e has e + scale - 7 as BF16's: a normal number
 * for scales 7 to 246. All blocks are expanded that way; lines that have another code or scale are few, and are mended
 * afterwards. */
OX_INLINE void fill_mxfp8(const uint8_t *codes, const uint8_t *scales, size_t n_blocks, uint8_t *to)
{
    _Alignas(64) int32_t bias[16];
    const __mmask16 used = lanes_of(n_blocks);
    const __m512i near = _mm512_maskz_loadu_epi8((__mmask64)used, scales);
    const __m512i scale = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(near));
    const __m512i seven = _mm512_set1_epi32(7);
    const __m512i lack = _mm512_slli_epi32(_mm512_sub_epi32(scale, seven), 7);
    const __mmask16 low = _mm512_cmpgt_epi32_mask(seven, scale);
    const __mmask16 high = _mm512_cmpgt_epi32_mask(scale, _mm512_set1_epi32(246));
    const bool odd = ((uint32_t)(low | high) & used) != 0;
    /* (code + 1) & 0x70 is 0 for NaN codes and for those below 15, of which the first 8 are not normal */
    const __m512i one = _mm512_set1_epi8(1);
    const __m512i above = _mm512_set1_epi8(0x70);
    __m512i smallest = above;
    _mm512_store_si512((void *)bias, _mm512_or_si512(lack, _mm512_slli_epi32(lack, 16)));
    size_t i = 0;
    for (; i + 2 <= n_blocks; i += 2) {
        const uint8_t *from = codes + i * STEP_COLS;
        const __m512i next = _mm512_add_epi8(_mm512_loadu_si512((const void *)from), one);
        smallest = _mm512_min_epu8(smallest, _mm512_and_si512(next, above));
        expand_block(from, &bias[i], to + i * SLOT_BYTES);
        expand_block(from + STEP_COLS, &bias[i + 1], to + (i + 1) * SLOT_BYTES);
    }
    if (i < n_blocks) {
        expand_any_block(codes + i * STEP_COLS, scales[i], to + i * SLOT_BYTES);
    }
    if (__builtin_expect(_mm512_test_epi8_mask(smallest, above) != UINT64_MAX || odd, 0)) {
        mend_line(codes, scales, n_blocks, to);
    }
}

/* n <= 32 weights as they lie in the file, zeros behind them. */
OX_INLINE void load_weights(enum format format, const uint8_t *from, size_t n, __m512 *v)
{
    if (format == F32) {
        v[0] = _mm512_maskz_loadu_ps(lanes_of(n), from);
        v[1] = n > 16 ? _mm512_maskz_loadu_ps(lanes_of(n - 16), from + 64) : ox_v_zero();
    } else {
        const __m512i half = _mm512_maskz_loadu_epi16((__mmask32)(n >= 32 ? 0xFFFFFFFFU : (1U << n) - 1U), from);
        v[0] = _mm512_cvtph_ps(_mm512_castsi512_si256(half));
        v[1] = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(half, 1));
    }
}

/* A place in a matrix. */
struct line {
    const uint8_t *values;
    const uint8_t *scales;
};

OX_INLINE struct line line_at(enum format format, const struct weights *w, size_t row, size_t k)
{
    return (struct line){w->values + row * w->row_bytes + k * value_bytes(format),
                         format == MXFP8 ? w->scales + row * w->scale_row_bytes + k / 32 : NULL};
}

OX_INLINE struct line line_below(enum format format, const struct weights *w, struct line line)
{
    return (struct line){line.values + w->row_bytes, format == MXFP8 ? line.scales + w->scale_row_bytes : NULL};
}

/* n columns to their line in each slot at `to`. */
OX_INLINE void fill_line(enum format format, struct line line, size_t n, uint8_t *to)
{
    if (format == MXFP8 && n == PANEL_SLOTS * STEP_COLS) { /* the usual lengths, unrolled */
        fill_mxfp8(line.values, line.scales, PANEL_SLOTS, to);
        return;
    }
    if (format == MXFP8 && n == PANEL_SLOTS / 2 * STEP_COLS) {
        fill_mxfp8(line.values, line.scales, PANEL_SLOTS / 2, to);
        return;
    }
    if (format == MXFP8) {
        fill_mxfp8(line.values, line.scales, n / 32, to);
        return;
    }
    for (size_t i = 0; i < n; i += STEP_COLS) {
        const uint8_t *step = line.values + i * value_bytes(format);
        uint8_t *slot = to + i / STEP_COLS * pieces_of(format) * SLOT_BYTES;
        if (format == BF16) {
            const __m512i v = n - i >= STEP_COLS ? _mm512_loadu_si512((const void *)step)
                                                 : _mm512_maskz_loadu_epi16((__mmask32)((1U << (n - i)) - 1U), step);
            _mm512_storeu_si512((void *)slot, v);
            continue;
        }
        __m512 v[2];
        __m512 low[PIECES];
        __m512 high[PIECES];
        load_weights(format, step, n - i, v);
        split(v[0], low);
        split(v[1], high);
        for (size_t p = 0; p < pieces_of(format); p++) {
            _mm512_storeu_si512((void *)(slot + p * SLOT_BYTES), upper_halves(low[p], high[p]));
        }
    }
}

/* Ask for n columns, which will be filled later. */
OX_INLINE void fetch_line(enum format format, struct line line, size_t n)
{
    const size_t bytes = n * value_bytes(format);
    for (size_t i = 0; i < bytes; i += 64) {
        _mm_prefetch((const void *)(line.values + i), _MM_HINT_T1);
    }
    if (format == MXFP8) {
        _mm_prefetch((const void *)line.scales, _MM_HINT_T1);
    }
}

#endif
