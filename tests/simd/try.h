/* SPDX-License-Identifier: Apache-2.0
 *
 * Single instructions, for the comparison of the emulated ones with the processor's: each source try_<level>.c is
 * compiled twice, for the level and against tests/simd/emulate/, and gives its functions in both.
 */
#ifndef OX_TESTS_TRY_H
#define OX_TESTS_TRY_H

#include <stdint.h>

#include "simd/amx/tile.h"

#define TRY_MAX 80

/* What the expressions of try_*.def work on. */
struct try_input {
    float a[16];
    float b[16];
    float c[16];
    uint8_t i[64];
    uint8_t j[64];
    float table[64];
    uint64_t k;
};

struct try_output {
    uint8_t value[TRY_MAX][64]; /* one an expression, zeros behind it */
};

/* All expressions of try_avx512.def, of try_avx512bf16.def. */
void ox_try_avx512(const struct try_input *in, struct try_output *out);
void ox_try_avx512_emulated(const struct try_input *in, struct try_output *out);
void ox_try_avx512bf16(const struct try_input *in, struct try_output *out);
void ox_try_avx512bf16_emulated(const struct try_input *in, struct try_output *out);

/* c [M][16] f32 += a [M][64 bytes] b [K][64 bytes] in tiles of the shapes of config: 0 (c), 1 (a), 2 (b). alone: the same
 * from zero. */
void ox_try_tiles_amx(const struct ox_tile_config *config, const void *a, const void *b, float *c, float *alone);
void ox_try_tiles_amx_emulated(const struct ox_tile_config *config, const void *a, const void *b, float *c,
                               float *alone);

#endif
