/* SPDX-License-Identifier: Apache-2.0
 *
 * The vectors of level avx2 (AVX2, FMA, F16C): what simd/wide/ is written in; names as in vector_avx512.h.
 */
#ifndef OX_SIMD_AVX2_VECTOR_AVX2_H
#define OX_SIMD_AVX2_VECTOR_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/number.h"
#include "simd/wide/scales_wide.h"

#define OX_INLINE static inline __attribute__((always_inline))
#define OX_LEVEL(name) OX_LEVEL_NAME(name, avx2)
#define OX_VL 8
#define OX_CODES 32
#define OX_CODE_ROWS 4
#define OX_MOST_SCALE OX_LARGEST_SHIFTED_SCALE
#define OX_TILE_ROWS 3
#define OX_TILE_TOKENS 4
#define OX_VALUE_QUERIES 4
#define OX_VALUE_VECTORS 2

typedef __m256 ox_vf;
typedef __m256i ox_vb;

OX_INLINE ox_vf ox_v_zero(void)
{
    return _mm256_setzero_ps();
}

OX_INLINE ox_vf ox_v_set(float x)
{
    return _mm256_set1_ps(x);
}

OX_INLINE ox_vf ox_v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

OX_INLINE ox_vf ox_v_load_bytes(const uint8_t *p)
{
    return _mm256_loadu_ps((const void *)p);
}

OX_INLINE ox_vf ox_v_load_n(const float *p, size_t n)
{
    float room[8] = {0};
    memcpy(room, p, n * sizeof *p);
    return _mm256_loadu_ps(room);
}

OX_INLINE void ox_v_store(float *p, ox_vf v)
{
    _mm256_storeu_ps(p, v);
}

OX_INLINE void ox_v_store_n(float *p, ox_vf v, size_t n)
{
    float room[8];
    _mm256_storeu_ps(room, v);
    memcpy(p, room, n * sizeof *p);
}

OX_INLINE ox_vf ox_v_add(ox_vf a, ox_vf b)
{
    return _mm256_add_ps(a, b);
}

OX_INLINE ox_vf ox_v_sub(ox_vf a, ox_vf b)
{
    return _mm256_sub_ps(a, b);
}

OX_INLINE ox_vf ox_v_mul(ox_vf a, ox_vf b)
{
    return _mm256_mul_ps(a, b);
}

OX_INLINE ox_vf ox_v_div(ox_vf a, ox_vf b)
{
    return _mm256_div_ps(a, b);
}

OX_INLINE ox_vf ox_v_fma(ox_vf a, ox_vf b, ox_vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

OX_INLINE ox_vf ox_v_max(ox_vf a, ox_vf b)
{
    return _mm256_max_ps(a, b);
}

OX_INLINE ox_vf ox_v_min(ox_vf a, ox_vf b)
{
    return _mm256_min_ps(a, b);
}

OX_INLINE ox_vf ox_v_round(ox_vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

OX_INLINE float ox_v_reduce_add(ox_vf v)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

OX_INLINE float ox_v_reduce_max(ox_vf v)
{
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

OX_INLINE ox_vf ox_v_times_power(ox_vf x, ox_vf n)
{
    const __m256i bias = _mm256_set1_epi32(127);
    const __m256i e = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(e, 1);
    const __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i b = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(e, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(x, _mm256_castsi256_ps(a)), _mm256_castsi256_ps(b));
}

OX_INLINE ox_vf ox_v_clip_exp(ox_vf x, ox_vf y, float low, float high)
{
    const __m256 below = _mm256_cmp_ps(x, _mm256_set1_ps(low), _CMP_LT_OQ);
    const __m256 above = _mm256_cmp_ps(x, _mm256_set1_ps(high), _CMP_GT_OQ);
    const __m256 none = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    const ox_vf bounded = _mm256_blendv_ps(y, _mm256_setzero_ps(), below);
    return _mm256_blendv_ps(_mm256_blendv_ps(bounded, _mm256_set1_ps(__builtin_inff()), above), x, none);
}

OX_INLINE void ox_v_transpose(ox_vf *v)
{
    __m256 t[8];
    for (size_t i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
    }
    for (size_t i = 0; i < 8; i += 4) {
        v[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        v[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
        v[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        v[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
    }
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x31);
    }
    for (size_t i = 0; i < 8; i++) {
        v[i] = t[i];
    }
}

OX_INLINE ox_vf ox_v_load_bf16(const uint8_t *p)
{
    const __m128i half = _mm_loadu_si128((const void *)p);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

OX_INLINE ox_vf ox_v_load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p));
}

/* As in vector_avx512.h. */
OX_INLINE void ox_v_load_mxfp8(const uint8_t *codes, uint8_t scale, ox_vf *out)
{
    ox_vf factor = _mm256_castsi256_ps(_mm256_set1_epi32((int32_t)ox_shifted_scales[scale]));
    for (size_t i = 0; i < 4; i++) {
        const __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(codes + 8 * i)));
        const __m256i bits = _mm256_and_si256(_mm256_slli_epi32(wide, 20), _mm256_set1_epi32((int32_t)0x87F00000U));
        out[i] = _mm256_castsi256_ps(bits);
    }
    if (__builtin_expect(scale > OX_LARGEST_SHIFTED_SCALE, 0)) {
        for (size_t i = 0; i < 4; i++) {
            out[i] = _mm256_mul_ps(out[i], _mm256_set1_ps(0x1p120F));
        }
        factor = _mm256_set1_ps(ox_f32_from_e8m0(scale));
    }
    for (size_t i = 0; i < 4; i++) {
        out[i] = _mm256_mul_ps(out[i], factor);
    }
}

/* As in vector_avx512.h, 16 codes at a time: the upper byte of a lane's upper word becomes code i, that of its lower word
 * code 8 + i. 20 operations for 32 codes, products and watching included, none of which crosses the halves of a vector;
 * 22 where each 8 codes are widened on their own. */
OX_INLINE void ox_v_load_codes(const uint8_t *codes, const uint8_t *scales, ox_vf *out)
{
    const __m256i field = _mm256_set1_epi32((int32_t)0x87F00000U);
    const __m256i bytes = _mm256_setr_epi8(-1, 8, -1, 0, -1, 9, -1, 1, -1, 10, -1, 2, -1, 11, -1, 3, -1, 12, -1, 4, -1,
                                           13, -1, 5, -1, 14, -1, 6, -1, 15, -1, 7);
    const ox_vf factor = _mm256_castsi256_ps(_mm256_set1_epi32((int32_t)ox_shifted_scales[scales[0]]));
    for (size_t i = 0; i < 2; i++) {
        const __m256i code = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)(codes + 16 * i)));
        const __m256i words = _mm256_srai_epi16(_mm256_shuffle_epi8(code, bytes), 4);
        const __m256i first = _mm256_and_si256(words, field);
        const __m256i second = _mm256_and_si256(_mm256_bslli_epi128(words, 2), field);
        out[2 * i] = _mm256_mul_ps(_mm256_castsi256_ps(first), factor);
        out[2 * i + 1] = _mm256_mul_ps(_mm256_castsi256_ps(second), factor);
    }
}

OX_INLINE ox_vb ox_v_watch_begin(void)
{
    return _mm256_setzero_si256();
}

OX_INLINE ox_vb ox_v_watch(ox_vb watch, const uint8_t *codes, size_t n)
{
    (void)n;
    const __m256i marked = _mm256_or_si256(_mm256_loadu_si256((const void *)codes), _mm256_set1_epi8((char)0x80));
    return _mm256_max_epu8(watch, marked);
}

OX_INLINE int ox_v_watched(ox_vb watch)
{
    return _mm256_movemask_epi8(_mm256_cmpeq_epi8(watch, _mm256_set1_epi8((char)0xFF))) != 0;
}

#endif
