/* SPDX-License-Identifier: Apache-2.0
 *
 * Storage formats to and from F32 at the C level; exact, element by element.
 */
#include <string.h>

#include "base/number.h"
#include "simd/kernels.h"

void ox_expand_f32_c(OX_EXPAND_PARAMETERS)
{
    (void)scales;
    if (n > 0) {
        memcpy(out, values, n * sizeof *out);
    }
}

void ox_expand_f16_c(OX_EXPAND_PARAMETERS)
{
    (void)scales;
    for (size_t i = 0; i < n; i++) {
        struct ox_f16 h;
        memcpy(&h, values + 2 * i, sizeof h);
        out[i] = ox_f32_from_f16(h);
    }
}

void ox_expand_bf16_c(OX_EXPAND_PARAMETERS)
{
    (void)scales;
    for (size_t i = 0; i < n; i++) {
        struct ox_bf16 h;
        memcpy(&h, values + 2 * i, sizeof h);
        out[i] = ox_f32_from_bf16(h);
    }
}

/* E4M3 without a branch: the seven bits below the sign, shifted into place, are the value times 2^-120, subnormals
 * included. Multiplying by 2^120 is exact; the NaN code is put right by a select. */
static inline float expand_e4m3(uint8_t code, float scale)
{
    const float magnitude = ox_f32_from_bits((uint32_t)(code & 0x7FU) << 20) * 0x1p120F;
    const uint32_t nan = (code & 0x7FU) == 0x7FU ? 0x7FC00000U : 0U;
    return ox_f32_from_bits(ox_bits_from_f32(magnitude) | (uint32_t)(code & 0x80U) << 24 | nan) * scale;
}

void ox_expand_mxfp8_c(OX_EXPAND_PARAMETERS)
{
    for (size_t block = 0; block < n; block += 32) {
        const float scale = ox_f32_from_e8m0(scales[block / 32]);
        for (size_t i = 0; i < 32; i++) {
            out[block + i] = expand_e4m3(values[block + i], scale);
        }
    }
}

void ox_store_f32_c(const float *OX_RESTRICT x, size_t n, void *OX_RESTRICT out)
{
    if (n > 0) {
        memcpy(out, x, n * sizeof *x);
    }
}

void ox_store_bf16_c(const float *OX_RESTRICT x, size_t n, void *OX_RESTRICT out)
{
    struct ox_bf16 *to = out;
    for (size_t i = 0; i < n; i++) {
        to[i] = ox_bf16_from_f32(x[i]);
    }
}
