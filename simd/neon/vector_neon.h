/* SPDX-License-Identifier: Apache-2.0
 *
 * The vectors of level neon (ARMv8.0, its half conversions included): what simd/wide/ is written in; names as in
 * vector_avx512.h.
 */
#ifndef OX_SIMD_NEON_VECTOR_NEON_H
#define OX_SIMD_NEON_VECTOR_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/number.h"

#define OX_INLINE static inline __attribute__((always_inline))
#define OX_LEVEL(name) OX_LEVEL_NAME(name, neon)
#define OX_VL 4
#define OX_CODES 32
#define OX_CODE_ROWS 4
#define OX_MOST_SCALE 246
#define OX_TILE_ROWS 6
#define OX_TILE_TOKENS 4
#define OX_VALUE_QUERIES 4
#define OX_VALUE_VECTORS 4

typedef float32x4_t ox_vf;
typedef uint8x16_t ox_vb;

OX_INLINE ox_vf ox_v_zero(void)
{
    return vdupq_n_f32(0.0F);
}

OX_INLINE ox_vf ox_v_set(float x)
{
    return vdupq_n_f32(x);
}

OX_INLINE ox_vf ox_v_load(const float *p)
{
    return vld1q_f32(p);
}

OX_INLINE ox_vf ox_v_load_bytes(const uint8_t *p)
{
    return vreinterpretq_f32_u8(vld1q_u8(p));
}

OX_INLINE ox_vf ox_v_load_n(const float *p, size_t n)
{
    float room[4] = {0};
    memcpy(room, p, n * sizeof *p);
    return vld1q_f32(room);
}

OX_INLINE void ox_v_store(float *p, ox_vf v)
{
    vst1q_f32(p, v);
}

OX_INLINE void ox_v_store_n(float *p, ox_vf v, size_t n)
{
    float room[4];
    vst1q_f32(room, v);
    memcpy(p, room, n * sizeof *p);
}

OX_INLINE ox_vf ox_v_add(ox_vf a, ox_vf b)
{
    return vaddq_f32(a, b);
}

OX_INLINE ox_vf ox_v_sub(ox_vf a, ox_vf b)
{
    return vsubq_f32(a, b);
}

OX_INLINE ox_vf ox_v_mul(ox_vf a, ox_vf b)
{
    return vmulq_f32(a, b);
}

OX_INLINE ox_vf ox_v_div(ox_vf a, ox_vf b)
{
    return vdivq_f32(a, b);
}

OX_INLINE ox_vf ox_v_fma(ox_vf a, ox_vf b, ox_vf c)
{
    return vfmaq_f32(c, a, b);
}

/* Comparisons, since vmaxq gives NaN where either operand is one. */
OX_INLINE ox_vf ox_v_max(ox_vf a, ox_vf b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

OX_INLINE ox_vf ox_v_min(ox_vf a, ox_vf b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

OX_INLINE ox_vf ox_v_round(ox_vf x)
{
    return vrndnq_f32(x);
}

OX_INLINE float ox_v_reduce_add(ox_vf v)
{
    const float32x2_t two = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

OX_INLINE float ox_v_reduce_max(ox_vf v)
{
    float all[4];
    vst1q_f32(all, v);
    float largest = all[0];
    for (size_t i = 1; i < 4; i++) {
        largest = all[i] > largest ? all[i] : largest;
    }
    return largest;
}

OX_INLINE ox_vf ox_v_times_power(ox_vf x, ox_vf n)
{
    const int32x4_t bias = vdupq_n_s32(127);
    const int32x4_t e = vcvtnq_s32_f32(n);
    const int32x4_t half = vshrq_n_s32(e, 1);
    const int32x4_t a = vshlq_n_s32(vaddq_s32(half, bias), 23);
    const int32x4_t b = vshlq_n_s32(vaddq_s32(vsubq_s32(e, half), bias), 23);
    return vmulq_f32(vmulq_f32(x, vreinterpretq_f32_s32(a)), vreinterpretq_f32_s32(b));
}

OX_INLINE ox_vf ox_v_clip_exp(ox_vf x, ox_vf y, float low, float high)
{
    const ox_vf bounded = vbslq_f32(vcltq_f32(x, vdupq_n_f32(low)), vdupq_n_f32(0.0F), y);
    const ox_vf both = vbslq_f32(vcgtq_f32(x, vdupq_n_f32(high)), vdupq_n_f32(__builtin_inff()), bounded);
    return vbslq_f32(vceqq_f32(x, x), both, x);
}

OX_INLINE void ox_v_transpose(ox_vf *v)
{
    const float32x4x2_t a = vtrnq_f32(v[0], v[1]);
    const float32x4x2_t b = vtrnq_f32(v[2], v[3]);
    v[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    v[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    v[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    v[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

OX_INLINE ox_vf ox_v_load_bf16(const uint8_t *p)
{
    const uint16x4_t half = vreinterpret_u16_u8(vld1_u8(p));
    return vreinterpretq_f32_u32(vshll_n_u16(half, 16));
}

OX_INLINE ox_vf ox_v_load_f16(const uint8_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

/* The values of 32 codes, times 2^-8. */
OX_INLINE void ox_v_widen_codes(const uint8_t *codes, ox_vf *out)
{
    for (size_t i = 0; i < 4; i++) {
        const int16x8_t wide = vshll_n_s8(vreinterpret_s8_u8(vld1_u8(codes + 8 * i)), 7);
        const uint16x8_t half = vandq_u16(vreinterpretq_u16_s16(wide), vdupq_n_u16(0xBF80));
        out[2 * i] = vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(half)));
        out[2 * i + 1] = vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(half)));
    }
}

OX_INLINE void ox_v_load_codes(const uint8_t *codes, const uint8_t *scales, ox_vf *out)
{
    const float factor = ox_f32_from_bits(((uint32_t)scales[0] + 8U) << 23);
    ox_v_widen_codes(codes, out);
    for (size_t i = 0; i < 8; i++) {
        out[i] = vmulq_n_f32(out[i], factor);
    }
}

/* As in vector_avx512.h. */
OX_INLINE void ox_v_load_mxfp8(const uint8_t *codes, uint8_t scale, ox_vf *out)
{
    if (scale <= OX_MOST_SCALE) {
        ox_v_load_codes(codes, &scale, out);
        return;
    }
    ox_v_widen_codes(codes, out);
    for (size_t i = 0; i < 8; i++) {
        out[i] = vmulq_n_f32(vmulq_n_f32(out[i], 256.0F), ox_f32_from_e8m0(scale));
    }
}

OX_INLINE ox_vb ox_v_watch_begin(void)
{
    return vdupq_n_u8(0);
}

OX_INLINE ox_vb ox_v_watch(ox_vb watch, const uint8_t *codes, size_t n)
{
    (void)n;
    const uint8x16_t mark = vdupq_n_u8(0x80);
    const uint8x16_t a = vmaxq_u8(watch, vorrq_u8(vld1q_u8(codes), mark));
    return vmaxq_u8(a, vorrq_u8(vld1q_u8(codes + 16), mark));
}

OX_INLINE int ox_v_watched(ox_vb watch)
{
    return vmaxvq_u8(watch) == 0xFF;
}

#endif
