/* SPDX-License-Identifier: Apache-2.0
 *
 * The eight tile registers of AMX in software, one set a thread. What would be a fault of the processor (a bad
 * configuration, an unconfigured tile, shapes that do not fit) ends the program with a message. Only palette 1 and BF16.
 * Source: Intel SDM volume 1 chapter 18, volume 2 (LDTILECFG, TILELOADD, TDPBF16PS).
 */
#ifndef OX_TESTS_EMULATE_TILES_H
#define OX_TESTS_EMULATE_TILES_H

#include <stddef.h>

/* config: 64 bytes, as in struct ox_tile_config (simd/amx/tile.h); palette 0 releases. Tiles become zero. */
void emulate_tile_loadconfig(const void *config);
void emulate_tile_storeconfig(void *config);

/* Rows stride bytes apart; rows and bytes as configured. */
void emulate_tile_loadd(int tile, const void *base, size_t stride);
void emulate_tile_stored(int tile, void *base, size_t stride);
void emulate_tile_zero(int tile);

/* to [M][N] += a [M][K pairs] b [K][N pairs]: sums of even and of odd elements, from zero, each step fused and
 * rounded to nearest; both are added, then added to `to`. Subnormals are zeros throughout. */
void emulate_tile_dpbf16ps(int to, int a, int b);

#endif
