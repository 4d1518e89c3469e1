/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration of the tile registers of AMX. A thread configures its tiles, multiplies, and releases them
 * (_tile_release), so that the operating system need not save 8 KiB at every switch.
 */
#ifndef OX_SIMD_AMX_TILE_H
#define OX_SIMD_AMX_TILE_H

#include <immintrin.h>
#include <stdint.h>

/* The 64 bytes that LDTILECFG reads. Tiles 0 to 7 exist; unused ones have 0 rows and 0 bytes. Source: Intel SDM volume
 * 1, 18.3.2. */
struct ox_tile_config {
    uint8_t palette;      /* 1: eight tiles of up to 16 rows of 64 bytes; 0 releases them */
    uint8_t start_row;    /* 0; where an interrupted load goes on */
    uint8_t reserved[14]; /* zero */
    uint16_t colsb[16];   /* bytes a row, at most 64 */
    uint8_t rows[16];     /* rows, at most 16 */
};

_Static_assert(sizeof(struct ox_tile_config) == 64, "LDTILECFG reads 64 bytes");

/* Set the shapes of this thread's tiles; all tiles become zero. Needs the operating system's permission (AMX state is
 * off until a process asks for it). gcc 12's _tile_loadconfig names only the first eight bytes as input, so that stores
 * to the rest may be dropped: here all 64 are named. */
#if defined(OX_EMULATED)
static inline void ox_tile_configure(const struct ox_tile_config *config)
{
    _tile_loadconfig(config);
}
#else
static inline void ox_tile_configure(const struct ox_tile_config *config)
{
    __asm__ volatile("ldtilecfg %0" : : "m"(*config));
}
#endif

#endif
