/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands before the compiler's <immintrin.h> in the emulated build of the x86 levels: the same intrinsics from the
 * SIMDe headers (no instruction above the baseline), and below what their version 0.7.4 lacks or computes otherwise.
 * An intrinsic added here gets a line in tests/simd/try_avx512.def or try_avx512bf16.def, where check_emulation compares
 * it with the real instruction. NaN payloads are nobody's promise. Source: Intel SDM volume 2.
 */
#ifndef OX_TESTS_EMULATE_IMMINTRIN_H
#define OX_TESTS_EMULATE_IMMINTRIN_H

#define SIMDE_NO_NATIVE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/simd/emulate/scalars.h"
#include "tests/simd/emulate/tiles.h"

#ifndef _MM_FROUND_NO_EXC
#define _MM_FROUND_NO_EXC 0x08
#endif

typedef simde__mmask8 __mmask8;
typedef simde__mmask16 __mmask16;
typedef simde__mmask32 __mmask32;
typedef simde__mmask64 __mmask64;

/* ---- fused multiply-add: SIMDe rounds twice -------------------------------------------------------------------- */

#undef _mm_fmadd_ps
#undef _mm_fmsub_ps
#undef _mm_fnmadd_ps
#undef _mm_fnmsub_ps
#undef _mm256_fmadd_ps
#undef _mm256_fmsub_ps
#undef _mm256_fnmadd_ps
#undef _mm256_fnmsub_ps
#undef _mm512_fmadd_ps
#undef _mm512_fmsub_ps
#undef _mm512_fnmadd_ps
#undef _mm512_fnmsub_ps
#undef _mm512_mask_fmadd_ps
#undef _mm512_maskz_fmadd_ps

/* The four signs of a * b + c for one width. */
#define EMULATE_FMA(vector, prefix)                                                                                    \
    EMULATE_FMA_SIGNS(vector, prefix##_fmadd_ps, x[i], z[i])                                                           \
    EMULATE_FMA_SIGNS(vector, prefix##_fmsub_ps, x[i], -z[i])                                                          \
    EMULATE_FMA_SIGNS(vector, prefix##_fnmadd_ps, -x[i], z[i])                                                         \
    EMULATE_FMA_SIGNS(vector, prefix##_fnmsub_ps, -x[i], -z[i])
#define EMULATE_FMA_SIGNS(vector, name, factor, term)                                                                  \
    static inline vector name(vector a, vector b, vector c)                                                            \
    {                                                                                                                  \
        float x[sizeof(vector) / 4];                                                                                   \
        float y[sizeof(vector) / 4];                                                                                   \
        float z[sizeof(vector) / 4];                                                                                   \
        memcpy(x, &a, sizeof a);                                                                                       \
        memcpy(y, &b, sizeof b);                                                                                       \
        memcpy(z, &c, sizeof c);                                                                                       \
        for (size_t i = 0; i < sizeof(vector) / 4; i++) {                                                              \
            x[i] = emulate_fma(factor, y[i], term);                                                                    \
        }                                                                                                              \
        memcpy(&a, x, sizeof a);                                                                                       \
        return a;                                                                                                      \
    }
EMULATE_FMA(__m128, _mm)
EMULATE_FMA(__m256, _mm256)
EMULATE_FMA(__m512, _mm512)

static inline __m512 _mm512_mask_fmadd_ps(__m512 a, __mmask16 k, __m512 b, __m512 c)
{
    return _mm512_mask_mov_ps(a, k, _mm512_fmadd_ps(a, b, c));
}

static inline __m512 _mm512_maskz_fmadd_ps(__mmask16 k, __m512 a, __m512 b, __m512 c)
{
    return _mm512_maskz_mov_ps(k, _mm512_fmadd_ps(a, b, c));
}

/* ---- masked memory: what is masked out is not touched ---------------------------------------------------------- */

#define EMULATE_MASKED(vector, mask, element, prefix, suffix)                                                          \
    static inline vector prefix##_mask_loadu_##suffix(vector v, mask k, const void *p)                                 \
    {                                                                                                                  \
        unsigned char to[sizeof(vector)];                                                                              \
        memcpy(to, &v, sizeof v);                                                                                      \
        for (size_t i = 0; i < sizeof(vector); i += sizeof(element)) {                                                 \
            if (((k >> (i / sizeof(element))) & 1) != 0) {                                                             \
                memcpy(to + i, (const unsigned char *)p + i, sizeof(element));                                         \
            }                                                                                                          \
        }                                                                                                              \
        memcpy(&v, to, sizeof v);                                                                                      \
        return v;                                                                                                      \
    }                                                                                                                  \
    static inline vector prefix##_maskz_loadu_##suffix(mask k, const void *p)                                          \
    {                                                                                                                  \
        vector zero;                                                                                                   \
        memset(&zero, 0, sizeof zero);                                                                                 \
        return prefix##_mask_loadu_##suffix(zero, k, p);                                                               \
    }                                                                                                                  \
    static inline void prefix##_mask_storeu_##suffix(void *p, mask k, vector v)                                        \
    {                                                                                                                  \
        unsigned char from[sizeof(vector)];                                                                            \
        memcpy(from, &v, sizeof v);                                                                                    \
        for (size_t i = 0; i < sizeof(vector); i += sizeof(element)) {                                                 \
            if (((k >> (i / sizeof(element))) & 1) != 0) {                                                             \
                memcpy((unsigned char *)p + i, from + i, sizeof(element));                                             \
            }                                                                                                          \
        }                                                                                                              \
    }
EMULATE_MASKED(__m512, __mmask16, float, _mm512, ps)
EMULATE_MASKED(__m512i, __mmask16, uint32_t, _mm512, epi32)
EMULATE_MASKED(__m512i, __mmask32, uint16_t, _mm512, epi16)
EMULATE_MASKED(__m512i, __mmask64, uint8_t, _mm512, epi8)
EMULATE_MASKED(__m256, __mmask8, float, _mm256, ps)
EMULATE_MASKED(__m256i, __mmask8, uint32_t, _mm256, epi32)
EMULATE_MASKED(__m256i, __mmask16, uint16_t, _mm256, epi16)
EMULATE_MASKED(__m256i, __mmask32, uint8_t, _mm256, epi8)

/* ---- lane by lane: conversions and shifts ---------------------------------------------------------------------- */

/* name(a): each of the n lanes of type `in`, called x, becomes `expression` of type `out`. */
#define EMULATE_LANES(to, out, name, from, in, n, expression)                                                          \
    static inline to name(from a)                                                                                      \
    {                                                                                                                  \
        in lanes[sizeof(from) / sizeof(in)];                                                                           \
        out made[n];                                                                                                   \
        to r;                                                                                                          \
        memcpy(lanes, &a, sizeof a);                                                                                   \
        for (size_t i = 0; i < (n); i++) {                                                                             \
            const in x = lanes[i];                                                                                     \
            made[i] = (expression);                                                                                    \
        }                                                                                                              \
        memcpy(&r, made, sizeof r);                                                                                    \
        return r;                                                                                                      \
    }
EMULATE_LANES(__m512i, int32_t, _mm512_cvtepu16_epi32, __m256i, uint16_t, 16, x)
EMULATE_LANES(__m512i, int32_t, _mm512_cvtepu8_epi32, __m128i, uint8_t, 16, x)
EMULATE_LANES(__m512i, int32_t, _mm512_cvtepi8_epi32, __m128i, int8_t, 16, x)
EMULATE_LANES(__m512i, uint16_t, _mm512_cvtepu8_epi16, __m256i, uint8_t, 32, x)
EMULATE_LANES(__m256i, uint16_t, _mm512_cvtepi32_epi16, __m512i, uint32_t, 16, (uint16_t)x)
EMULATE_LANES(__m128i, uint8_t, _mm512_cvtepi32_epi8, __m512i, uint32_t, 16, (uint8_t)x)
EMULATE_LANES(__m512, float, _mm512_cvtepi32_ps, __m512i, int32_t, 16, (float)x)
EMULATE_LANES(__m512i, int32_t, _mm512_cvtps_epi32, __m512, float, 16, emulate_round_to_int(x))
EMULATE_LANES(__m512, float, _mm512_cvtph_ps, __m256i, struct ox_f16, 16, ox_f32_from_f16(x))

static inline __m512i _mm512_srai_epi32(__m512i a, unsigned int n)
{
    int32_t lanes[16];
    memcpy(lanes, &a, sizeof a);
    for (size_t i = 0; i < 16; i++) {
        lanes[i] >>= n > 31 ? 31 : n;
    }
    memcpy(&a, lanes, sizeof a);
    return a;
}

#define _mm512_shuffle_f32x4(a, b, how)                                                                                \
    _mm512_castsi512_ps(_mm512_shuffle_i32x4(_mm512_castps_si512(a), _mm512_castps_si512(b), how))

/* ---- exponents and fractions: not in SIMDe, or otherwise ------------------------------------------------------- */

/* name(a, b): each of the 16 lanes x of a and y of b becomes `expression`. */
#define EMULATE_LANE_PAIRS(name, expression)                                                                           \
    static inline __m512 name(__m512 a, __m512 b)                                                                      \
    {                                                                                                                  \
        float x_lanes[16];                                                                                             \
        float y_lanes[16];                                                                                             \
        memcpy(x_lanes, &a, sizeof a);                                                                                 \
        memcpy(y_lanes, &b, sizeof b);                                                                                 \
        for (size_t i = 0; i < 16; i++) {                                                                              \
            const float x = x_lanes[i];                                                                                \
            const float y = y_lanes[i];                                                                                \
            x_lanes[i] = (expression);                                                                                 \
        }                                                                                                              \
        memcpy(&a, x_lanes, sizeof a);                                                                                 \
        return a;                                                                                                      \
    }
#undef _mm512_scalef_ps
EMULATE_LANE_PAIRS(_mm512_scalef_ps, emulate_scalef(x, y))

/* Only what is left above the next lower integer. */
EMULATE_LANES(__m512, float, emulate_reduce_ps, __m512, float, 16, emulate_fraction(x))
#define _mm512_reduce_ps(a, how) emulate_reduce_ps(a)

/* ---- masks ----------------------------------------------------------------------------------------------------- */

static inline __mmask64 _mm512_testn_epi8_mask(__m512i a, __m512i b)
{
    return _mm512_cmpeq_epi8_mask(_mm512_and_si512(a, b), _mm512_setzero_si512());
}

static inline unsigned char _kortestz_mask64_u8(__mmask64 a, __mmask64 b)
{
    return (a | b) == 0;
}

/* ---- reductions: a tree of halves, as the compilers do it ------------------------------------------------------ */

static inline float _mm512_reduce_add_ps(__m512 a)
{
    float x[16];
    memcpy(x, &a, sizeof a);
    for (size_t n = 8; n > 0; n /= 2) {
        for (size_t i = 0; i < n; i++) {
            x[i] += x[i + n];
        }
    }
    return x[0];
}

static inline float _mm512_reduce_max_ps(__m512 a)
{
    float x[16];
    memcpy(x, &a, sizeof a);
    for (size_t i = 1; i < 16; i++) {
        x[0] = x[i] > x[0] ? x[i] : x[0];
    }
    return x[0];
}

static inline float _mm512_cvtss_f32(__m512 a)
{
    float x;
    memcpy(&x, &a, sizeof x);
    return x;
}

/* ---- gathers --------------------------------------------------------------------------------------------------- */

static inline __m512i _mm512_i32gather_epi32(__m512i index, const void *base, int scale)
{
    int32_t at[16];
    uint32_t x[16];
    memcpy(at, &index, sizeof index);
    for (size_t i = 0; i < 16; i++) {
        memcpy(&x[i], (const unsigned char *)base + (ptrdiff_t)at[i] * scale, sizeof x[i]);
    }
    memcpy(&index, x, sizeof index);
    return index;
}

static inline __m512 _mm512_i32gather_ps(__m512i index, const void *base, int scale)
{
    return _mm512_castsi512_ps(_mm512_i32gather_epi32(index, base, scale));
}

/* ---- BF16 ------------------------------------------------------------------------------------------------------ */

#undef _mm256_dpbf16_ps
#undef _mm512_dpbf16_ps

/* The odd product is added first; SIMDe neither fuses nor flushes. */
#define EMULATE_DPBF16(vector, bf16, name)                                                                             \
    static inline vector name(vector sum, bf16 a, bf16 b)                                                              \
    {                                                                                                                  \
        float s[sizeof(vector) / 4];                                                                                   \
        uint16_t x[sizeof(vector) / 2];                                                                                \
        uint16_t y[sizeof(vector) / 2];                                                                                \
        memcpy(s, &sum, sizeof sum);                                                                                   \
        memcpy(x, &a, sizeof a);                                                                                       \
        memcpy(y, &b, sizeof b);                                                                                       \
        for (size_t i = 0; i < sizeof(vector) / 4; i++) {                                                              \
            s[i] = emulate_fma_bf16(x[2 * i + 1], y[2 * i + 1], s[i]);                                                 \
            s[i] = emulate_fma_bf16(x[2 * i], y[2 * i], s[i]);                                                         \
        }                                                                                                              \
        memcpy(&sum, s, sizeof sum);                                                                                   \
        return sum;                                                                                                    \
    }
EMULATE_DPBF16(__m512, __m512bh, _mm512_dpbf16_ps)
EMULATE_DPBF16(__m256, __m256bh, _mm256_dpbf16_ps)

EMULATE_LANES(__m256bh, uint16_t, _mm512_cvtneps_pbh, __m512, float, 16, emulate_bf16(x))
EMULATE_LANES(__m128bh, uint16_t, _mm256_cvtneps_pbh, __m256, float, 8, emulate_bf16(x))
EMULATE_LANES(__m512, uint32_t, _mm512_cvtpbh_ps, __m256bh, uint16_t, 16, (uint32_t)x << 16)
EMULATE_LANES(__m256, uint32_t, _mm256_cvtpbh_ps, __m128bh, uint16_t, 8, (uint32_t)x << 16)

/* b becomes the lower half. */
#define EMULATE_CVTNE2(vector, bf16, name)                                                                             \
    static inline bf16 name(vector a, vector b)                                                                        \
    {                                                                                                                  \
        float x[sizeof(vector) / 2];                                                                                   \
        uint16_t y[sizeof(vector) / 2];                                                                                \
        bf16 r;                                                                                                        \
        memcpy(x, &b, sizeof b);                                                                                       \
        memcpy(x + sizeof(vector) / 4, &a, sizeof a);                                                                  \
        for (size_t i = 0; i < sizeof(vector) / 2; i++) {                                                              \
            y[i] = emulate_bf16(x[i]);                                                                                 \
        }                                                                                                              \
        memcpy(&r, y, sizeof r);                                                                                       \
        return r;                                                                                                      \
    }
EMULATE_CVTNE2(__m512, __m512bh, _mm512_cvtne2ps_pbh)
EMULATE_CVTNE2(__m256, __m256bh, _mm256_cvtne2ps_pbh)

/* ---- tiles ----------------------------------------------------------------------------------------------------- */

#define _tile_loadconfig(config) emulate_tile_loadconfig(config)
#define _tile_storeconfig(config) emulate_tile_storeconfig(config)
#define _tile_release() emulate_tile_loadconfig((const unsigned char[64]){0})
#define _tile_loadd(tile, base, stride) emulate_tile_loadd((tile), (base), (size_t)(stride))
#define _tile_stream_loadd(tile, base, stride) emulate_tile_loadd((tile), (base), (size_t)(stride))
#define _tile_stored(tile, base, stride) emulate_tile_stored((tile), (base), (size_t)(stride))
#define _tile_zero(tile) emulate_tile_zero(tile)
#define _tile_dpbf16ps(to, a, b) emulate_tile_dpbf16ps((to), (a), (b))

#endif
