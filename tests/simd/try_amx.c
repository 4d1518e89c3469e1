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
    _tile_loadd(0, c, 64);
    _tile_loadd(1, a, 64);
    _tile_stream_loadd(2, b, 64);
    _tile_dpbf16ps(0, 1, 2);
    _tile_stored(0, c, 64);
    _tile_zero(0);
    _tile_dpbf16ps(0, 1, 2);
    _tile_stored(0, alone, 64);
    _tile_release();
}
