/* SPDX-License-Identifier: Apache-2.0
 *
 * One product of tiles, by every tile instruction that kernels use.
 */
#include <immintrin.h>

#include "base/compiler.h"
#include "tests/simd/try.h"

void OX_LEVEL_NAME(ox_try_tiles, amx)(const struct ox_tile_config *config, const void *a, const void *b, float *c,
                                      float *alone)
{
    ox_tile_configure(config);
    OX_TILE_LOAD(0, c, 64);
    OX_TILE_LOAD(1, a, 64);
    OX_TILE_LOAD(2, b, 64);
    OX_TILE_MULTIPLY(0, 1, 2);
    OX_TILE_STORE(0, c, 64);
    OX_TILE_ZERO(0);
    OX_TILE_MULTIPLY(0, 1, 2);
    OX_TILE_STORE(0, alone, 64);
    ox_tile_release();
}
