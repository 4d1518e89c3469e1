/* SPDX-License-Identifier: Apache-2.0
 *
 * The tile registers of AMX: their configuration and the instructions that this level is made of. A kernel configures
 * its tiles, multiplies, and releases them, so that the operating system need not save 8 KiB at every switch.
 *
 * By inline assembly: gcc's intrinsics do not tell the compiler that a tile load reads memory, so that stores to a
 * buffer may move behind the load; and gcc 12's _tile_loadconfig names only the first eight bytes of the configuration
 * as its input, so that stores to the rest may be dropped. Here all 64 are named. Under emulation
 * (tests/simd/emulate/tiles.h) the same names are functions.
 */
#ifndef OX_SIMD_AMX_TILE_H
#define OX_SIMD_AMX_TILE_H

#include <immintrin.h>
#include <stddef.h>
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

#define OX_TILE_ROWS_MAX 16
#define OX_TILE_ROW_BYTES 64
#define OX_TILE_BYTES 1024

/* ox_tile_configure: set the shapes of this thread's tiles; all tiles become zero. Needs the operating system's
 * permission (ox_cpu_has_level asks for it). ox_tile_release: no tiles any more.
 *
 * Macros, since an instruction names its tiles (0 to 7, literals or macros) itself:
 * OX_TILE_LOAD, OX_TILE_STORE: rows `stride` bytes apart, as many and as long as configured. OX_TILE_STREAM: the same as
 * OX_TILE_LOAD, for what passes by and should leave the first cache to others.
 * OX_TILE_ZERO.
 * OX_TILE_MULTIPLY(to, a, b): to [M][N] f32 += a [M][2 K] bf16 x b [K][N][2] bf16; subnormal numbers count as 0. */
#if defined(OX_EMULATED)

#define OX_TILE_LOAD(tile, base, stride) _tile_loadd(tile, base, stride)
#define OX_TILE_STREAM(tile, base, stride) _tile_stream_loadd(tile, base, stride)
#define OX_TILE_STORE(tile, base, stride) _tile_stored(tile, base, stride)
#define OX_TILE_ZERO(tile) _tile_zero(tile)
#define OX_TILE_MULTIPLY(to, a, b) _tile_dpbf16ps(to, a, b)

static inline void ox_tile_configure(const struct ox_tile_config *config)
{
    _tile_loadconfig(config);
}

static inline void ox_tile_release(void)
{
    _tile_release();
}

#else

#define OX_TILE_TEXT(name) #name
#define OX_TILE_NAME(tile) "%%tmm" OX_TILE_TEXT(tile)
#define OX_TILE_LOAD(tile, base, stride)                                                                               \
    __asm__ volatile("tileloadd (%0,%1,1), " OX_TILE_NAME(tile)                                                        \
                     :                                                                                                 \
                     : "r"((const void *)(base)), "r"((size_t)(stride))                                                \
                     : "memory")
#define OX_TILE_STREAM(tile, base, stride)                                                                             \
    __asm__ volatile("tileloaddt1 (%0,%1,1), " OX_TILE_NAME(tile)                                                      \
                     :                                                                                                 \
                     : "r"((const void *)(base)), "r"((size_t)(stride))                                                \
                     : "memory")
#define OX_TILE_STORE(tile, base, stride)                                                                              \
    __asm__ volatile("tilestored " OX_TILE_NAME(tile) ", (%0,%1,1)"                                                    \
                     :                                                                                                 \
                     : "r"((void *)(base)), "r"((size_t)(stride))                                                      \
                     : "memory")
#define OX_TILE_ZERO(tile) __asm__ volatile("tilezero " OX_TILE_NAME(tile)::)
#define OX_TILE_MULTIPLY(to, a, b)                                                                                     \
    __asm__ volatile("tdpbf16ps " OX_TILE_NAME(b) ", " OX_TILE_NAME(a) ", " OX_TILE_NAME(to)::)

static inline void ox_tile_configure(const struct ox_tile_config *config)
{
    __asm__ volatile("ldtilecfg %0" : : "m"(*config));
}

static inline void ox_tile_release(void)
{
    __asm__ volatile("tilerelease" ::);
}

#endif

#endif
