/* SPDX-License-Identifier: Apache-2.0
 *
 * Operands at level neonbf16: BF16, nearest, ties to even. Two tokens stand as BFMMLA takes them: four columns of the
 * first, the same of the second, and so on; the last of an odd number is a row. Zeros up to a multiple of 8 columns.
 */
#include "simd/kernels.h"
#include "simd/neonbf16/vector_neonbf16.h"

size_t OX_PAIRS_LEVEL(ox_operand_bytes)(size_t n_cols)
{
    return ox_row_bytes(n_cols);
}

/* Four numbers, or the n < 4 of them and zeros. */
OX_INLINE uint8x8_t round_four(const float *from, size_t n)
{
    const ox_vf v = n < 4 ? ox_v_load_n(from, n) : ox_v_load(from);
    return vreinterpret_u8_bf16(vcvt_bf16_f32(v));
}

void OX_PAIRS_LEVEL(ox_pack)(OX_PACK_PARAMETERS)
{
    const size_t bytes = ox_row_bytes(n_cols);
    for (size_t i = 0; i < n; i++) {
        const size_t in_pair = i % 2 == 1 || i + 1 < n;
        const size_t stride = in_pair ? 16 : 8;
        uint8_t *to = out + (i - i % 2) * bytes + i % 2 * 8;
        const size_t padded = end < n_cols ? end : bytes / 2;
        for (size_t k = begin; k < padded; k += 4) {
            vst1_u8(to + k / 4 * stride, k < end ? round_four(rows[i] + (k - begin), end - k) : vdup_n_u8(0));
        }
    }
}
