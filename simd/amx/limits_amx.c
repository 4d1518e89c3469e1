/* SPDX-License-Identifier: Apache-2.0
 *
 * The multiply-add limit at level amx: TDPBF16PS on four tiles that do not wait for each other.
 */
#include "simd/amx/vector_amx.h"

#define CHAINS 4
#define STEPS 64

size_t OX_LEVEL(ox_peak_flops)(size_t n_rounds, float *out)
{
    struct ox_tile_config config = {.palette = 1};
    _Alignas(64) uint16_t factors[OX_TILE_BYTES / 2];
    _Alignas(64) float sums[OX_TILE_BYTES / 4];
    for (size_t i = 0; i < CHAINS + 2; i++) {
        config.rows[i] = OX_TILE_ROWS_MAX;
        config.colsb[i] = OX_TILE_ROW_BYTES;
    }
    for (size_t i = 0; i < OX_TILE_BYTES / 2; i++) {
        factors[i] = (uint16_t)(0x3E80U + i % 64U); /* 0.25 to 0.5 */
    }
    ox_tile_configure(&config);
    OX_TILE_LOAD(4, factors, OX_TILE_ROW_BYTES);
    OX_TILE_LOAD(5, factors, OX_TILE_ROW_BYTES);
    for (size_t round = 0; round < n_rounds; round++) {
        for (size_t step = 0; step < STEPS; step++) {
            OX_TILE_MULTIPLY(0, 4, 5);
            OX_TILE_MULTIPLY(1, 4, 5);
            OX_TILE_MULTIPLY(2, 4, 5);
            OX_TILE_MULTIPLY(3, 4, 5);
        }
    }
    float sum = 0.0F;
    OX_TILE_STORE(0, sums, OX_TILE_ROW_BYTES);
    sum += sums[0];
    OX_TILE_STORE(1, sums, OX_TILE_ROW_BYTES);
    sum += sums[0];
    OX_TILE_STORE(2, sums, OX_TILE_ROW_BYTES);
    sum += sums[0];
    OX_TILE_STORE(3, sums, OX_TILE_ROW_BYTES);
    sum += sums[0];
    ox_tile_release();
    *out = sum;
    return n_rounds * STEPS * CHAINS * 2 * 16 * 16 * 32;
}
