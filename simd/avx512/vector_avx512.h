/* SPDX-License-Identifier: Apache-2.0
 *
 * The vectors of level avx512 (F, BW, DQ, VL): what simd/wide/ is written in. Every level's vector header has the same
 * names:
 *
 *   OX_VL lanes of F32 in an ox_vf; OX_LEVEL(name) a kernel's name at this level; tile sizes that fit the registers
 *   load, load_bytes (no alignment), load_n (n < OX_VL, zeros behind), store, store_n, set, zero
 *   add sub mul div fma (a * b + c, one rounding); max min (the second operand where one is NaN); round (to nearest)
 *   reduce_add (a tree of halves), reduce_max; times_power (x * 2^n, n integral); clip_exp; transpose (OX_VL vectors)
 *   load_bf16, load_f16: OX_VL values as F32. load_mxfp8: a block of 32 codes and its scale as 32 / OX_VL vectors;
 *   load_codes: the same for OX_CODES codes, whole blocks, none of whose scales is above OX_MOST_SCALE (OX_CODE_ROWS
 *   rows of them side by side fit the registers)
 *   watch, watched: was there a NaN code among those seen?
 */
#ifndef OX_SIMD_AVX512_VECTOR_AVX512_H
#define OX_SIMD_AVX512_VECTOR_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/number.h"
#include "simd/wide/scales_wide.h"

#define OX_INLINE static inline __attribute__((always_inline))
#define OX_LEVEL(name) OX_LEVEL_NAME(name, avx512)
#define OX_VL 16
#define OX_CODES 64
#define OX_CODE_ROWS 4
#define OX_MOST_SCALE OX_LARGEST_SHIFTED_SCALE
#define OX_TILE_ROWS 6
#define OX_TILE_TOKENS 4
#define OX_VALUE_QUERIES 4
#define OX_VALUE_VECTORS 4

typedef __m512 ox_vf;
typedef __m512i ox_vb;

OX_INLINE ox_vf ox_v_zero(void)
{
    return _mm512_setzero_ps();
}

OX_INLINE ox_vf ox_v_set(float x)
{
    return _mm512_set1_ps(x);
}

OX_INLINE ox_vf ox_v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

OX_INLINE ox_vf ox_v_load_bytes(const uint8_t *p)
{
    return _mm512_loadu_ps((const void *)p);
}

OX_INLINE ox_vf ox_v_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1U << n) - 1U), p);
}

OX_INLINE void ox_v_store(float *p, ox_vf v)
{
    _mm512_storeu_ps(p, v);
}

OX_INLINE void ox_v_store_n(float *p, ox_vf v, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1U << n) - 1U), v);
}

OX_INLINE ox_vf ox_v_add(ox_vf a, ox_vf b)
{
    return _mm512_add_ps(a, b);
}

OX_INLINE ox_vf ox_v_sub(ox_vf a, ox_vf b)
{
    return _mm512_sub_ps(a, b);
}

OX_INLINE ox_vf ox_v_mul(ox_vf a, ox_vf b)
{
    return _mm512_mul_ps(a, b);
}

OX_INLINE ox_vf ox_v_div(ox_vf a, ox_vf b)
{
    return _mm512_div_ps(a, b);
}

OX_INLINE ox_vf ox_v_fma(ox_vf a, ox_vf b, ox_vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

OX_INLINE ox_vf ox_v_max(ox_vf a, ox_vf b)
{
    return _mm512_max_ps(a, b);
}

OX_INLINE ox_vf ox_v_min(ox_vf a, ox_vf b)
{
    return _mm512_min_ps(a, b);
}

OX_INLINE ox_vf ox_v_round(ox_vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* The other half of a vector. */
OX_INLINE __m256 ox_v_upper(ox_vf v)
{
    return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1));
}

OX_INLINE float ox_v_reduce_add(ox_vf v)
{
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), ox_v_upper(v));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

OX_INLINE float ox_v_reduce_max(ox_vf v)
{
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), ox_v_upper(v));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* x * 2^n for integral n. */
OX_INLINE ox_vf ox_v_times_power(ox_vf x, ox_vf n)
{
    return _mm512_scalef_ps(x, n);
}

/* y, but 0 where x < low, infinity where x > high; y is NaN already where x is. */
OX_INLINE ox_vf ox_v_clip_exp(ox_vf x, ox_vf y, float low, float high)
{
    const __mmask16 kept = _mm512_cmp_ps_mask(x, _mm512_set1_ps(low), _CMP_NLT_UQ);
    const __mmask16 above = _mm512_cmp_ps_mask(x, _mm512_set1_ps(high), _CMP_GT_OQ);
    return _mm512_mask_mov_ps(_mm512_maskz_mov_ps(kept, y), above, _mm512_set1_ps(__builtin_inff()));
}

/* In place: lane j of v[i] to lane i of v[j]. */
OX_INLINE void ox_v_transpose(ox_vf *v)
{
    __m512 t[16];
    for (size_t i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
    }
    for (size_t i = 0; i < 16; i += 4) {
        v[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        v[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        v[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
        v[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
    }
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(v[i], v[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(v[i], v[i + 4], 0xDD);
        t[i + 8] = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0xDD);
    }
    for (size_t i = 0; i < 4; i++) {
        v[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xDD);
        v[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        v[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xDD);
    }
}

OX_INLINE ox_vf ox_v_load_bf16(const uint8_t *p)
{
    const __m256i half = _mm256_loadu_si256((const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

OX_INLINE ox_vf ox_v_load_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
}

/* E4M3: the seven bits below the sign, shifted up by 20, are an F32 whose value is the code's times 2^-120, subnormals
 * included (so rare that what they cost on some processors does not count). 2^120 joins the block's scale where that
 * fits. NaN codes become 480: see watch. */
OX_INLINE void ox_v_load_mxfp8(const uint8_t *codes, uint8_t scale, ox_vf *out)
{
    ox_vf factor = _mm512_castsi512_ps(_mm512_set1_epi32((int32_t)ox_shifted_scales[scale]));
    for (size_t i = 0; i < 2; i++) {
        const __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(codes + 16 * i)));
        const __m512i bits = _mm512_and_si512(_mm512_slli_epi32(wide, 20), _mm512_set1_epi32((int32_t)0x87F00000U));
        out[i] = _mm512_castsi512_ps(bits);
    }
    if (__builtin_expect(scale > OX_LARGEST_SHIFTED_SCALE, 0)) {
        out[0] = _mm512_mul_ps(out[0], _mm512_set1_ps(0x1p120F));
        out[1] = _mm512_mul_ps(out[1], _mm512_set1_ps(0x1p120F));
        factor = _mm512_set1_ps(ox_f32_from_e8m0(scale));
    }
    out[0] = _mm512_mul_ps(out[0], factor);
    out[1] = _mm512_mul_ps(out[1], factor);
}

/* Two blocks at once. Byte j of lane i becomes code 16 j + i, so that codes are widened where they are: two products
 * with 16 make words of the lower and the upper bytes, signs in front. 20 operations for 64 codes, products and watching
 * included, of which processors with two 512-bit pipes do two a cycle; 24 where each 16 codes are widened on their
 * own. */
OX_INLINE void ox_v_load_codes(const uint8_t *codes, const uint8_t *scales, ox_vf *out)
{
    const __m512i field = _mm512_set1_epi32((int32_t)0x87F00000U);
    const __m512i lanes = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const __m512i quads = _mm512_permutexvar_epi32(lanes, _mm512_loadu_si512((const void *)codes));
    const __m512i code = _mm512_shuffle_epi8(quads, bytes);
    const __m512i lower = _mm512_maddubs_epi16(_mm512_set1_epi16(16), code);
    const __m512i upper = _mm512_srai_epi16(code, 4);
    const ox_vf first = _mm512_castsi512_ps(_mm512_set1_epi32((int32_t)ox_shifted_scales[scales[0]]));
    const ox_vf second = _mm512_castsi512_ps(_mm512_set1_epi32((int32_t)ox_shifted_scales[scales[1]]));
    out[0] = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_and_si512(_mm512_slli_epi32(lower, 16), field)), first);
    out[1] = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_and_si512(_mm512_slli_epi32(upper, 16), field)), first);
    out[2] = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_and_si512(lower, field)), second);
    out[3] = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_and_si512(upper, field)), second);
}

OX_INLINE ox_vb ox_v_watch_begin(void)
{
    return _mm512_setzero_si512();
}

/* The running maximum of code | 0x80 reaches 255 where a NaN code was. n: 32 or OX_CODES. */
OX_INLINE ox_vb ox_v_watch(ox_vb watch, const uint8_t *codes, size_t n)
{
    const __m512i code =
        n == 32 ? _mm512_maskz_loadu_epi8(0xFFFFFFFFU, codes) : _mm512_loadu_si512((const void *)codes);
    return _mm512_max_epu8(watch, _mm512_or_si512(code, _mm512_set1_epi8((char)0x80)));
}

OX_INLINE int ox_v_watched(ox_vb watch)
{
    return _mm512_cmpeq_epi8_mask(watch, _mm512_set1_epi8((char)0xFF)) != 0;
}

#endif
