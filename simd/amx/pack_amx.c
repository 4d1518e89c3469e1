/* SPDX-License-Identifier: Apache-2.0
 *
 * Operands at level amx (layout: simd/amx/vector_amx.h): activations rounded to BF16 in pairs, as the right side of a
 * tile product takes them, and exact ones in three pieces of BF16 behind the rows of F32.
 */
#include "simd/amx/vector_amx.h"

size_t OX_LEVEL(ox_operand_bytes)(size_t n_cols)
{
    return operand_bytes(n_cols);
}

size_t OX_LEVEL(ox_exact_bytes)(size_t n_cols)
{
    return exact_bytes(n_cols);
}

/* n <= 32 columns as two vectors, zeros behind them. */
OX_INLINE void load_step(const float *from, size_t n, __m512 *v)
{
    v[0] = _mm512_maskz_loadu_ps(lanes_of(n), from);
    v[1] = n > 16 ? _mm512_maskz_loadu_ps(lanes_of(n - 16), from + 16) : ox_v_zero();
}

void OX_LEVEL(ox_pack)(OX_PACK_PARAMETERS)
{
    (void)n_cols;
    for (size_t k = begin; k < end; k += STEP_COLS) {
        __m512i pairs[OX_GROUP_TOKENS];
        for (size_t i = 0; i < n; i++) {
            __m512 v[2];
            load_step(rows[i] + (k - begin), least(end - k, STEP_COLS), v);
            pairs[i] = round_pairs(v[0], v[1]);
        }
        store_right(pairs, n, out + k / STEP_COLS * OX_TILE_ROW_BYTES * n);
    }
}

void OX_LEVEL(ox_pack_exact)(OX_PACK_PARAMETERS)
{
    uint8_t *pieces = out + n * n_cols * sizeof(float);
    for (size_t i = 0; i < n && begin < end; i++) {
        memcpy(out + (i * n_cols + begin) * sizeof(float), rows[i], (end - begin) * sizeof(float));
    }
    for (size_t k = begin; k < end; k += STEP_COLS) {
        __m512i pairs[PIECES][OX_GROUP_TOKENS];
        for (size_t i = 0; i < n; i++) {
            __m512 v[2];
            __m512 low[PIECES];
            __m512 high[PIECES];
            load_step(rows[i] + (k - begin), least(end - k, STEP_COLS), v);
            split(v[0], low);
            split(v[1], high);
            for (size_t p = 0; p < PIECES; p++) {
                pairs[p][i] = upper_halves(low[p], high[p]);
            }
        }
        for (size_t p = 0; p < PIECES; p++) {
            store_right(pairs[p], n, pieces + (k / STEP_COLS * PIECES + p) * OX_TILE_ROW_BYTES * n);
        }
    }
}
