/* SPDX-License-Identifier: Apache-2.0
 *
 * AMX tiles in software.
 */
#include "tests/simd/emulate/tiles.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simd/amx/tile.h"
#include "tests/simd/emulate/scalars.h"

#define N_TILES 8
#define MAX_ROWS 16
#define MAX_BYTES 64

static _Thread_local struct {
    struct ox_tile_config config;
    uint8_t tile[N_TILES][MAX_ROWS][MAX_BYTES];
} tiles;

/* The processor would fault here. */
static void need(int good, const char *instruction, const char *what)
{
    if (!good) {
        fprintf(stderr, "emulated %s: %s\n", instruction, what);
        abort();
    }
}

void emulate_tile_loadconfig(const void *config)
{
    static const uint8_t zeros[sizeof tiles.config.reserved] = {0};
    struct ox_tile_config c;
    memcpy(&c, config, sizeof c);
    need(c.palette <= 1, "ldtilecfg", "palette above 1");
    need(c.palette == 0 || memcmp(c.reserved, zeros, sizeof zeros) == 0, "ldtilecfg", "reserved bytes are not zero");
    for (size_t i = 0; i < 16 && c.palette == 1; i++) {
        need(i < N_TILES || (c.rows[i] == 0 && c.colsb[i] == 0), "ldtilecfg", "a tile beyond the eighth");
        need(c.rows[i] <= MAX_ROWS && c.colsb[i] <= MAX_BYTES, "ldtilecfg", "a tile is too large");
        need((c.rows[i] == 0) == (c.colsb[i] == 0), "ldtilecfg", "a tile has rows or columns only");
    }
    memset(&tiles, 0, sizeof tiles);
    if (c.palette == 1) {
        tiles.config = c;
    }
}

void emulate_tile_storeconfig(void *config)
{
    memcpy(config, &tiles.config, sizeof tiles.config);
}

static void need_tile(int tile, const char *instruction)
{
    need(tile >= 0 && tile < N_TILES && tiles.config.rows[tile] > 0, instruction, "the tile is not configured");
}

/* Instructions that move memory go on at start_row, and reset it. */
static size_t first_row(int tile, const char *instruction)
{
    const size_t first = tiles.config.start_row;
    need_tile(tile, instruction);
    need(first < tiles.config.rows[tile], instruction, "start_row is beyond the tile");
    tiles.config.start_row = 0;
    return first;
}

void emulate_tile_loadd(int tile, const void *base, size_t stride)
{
    const size_t first = first_row(tile, "tileloadd");
    if (first == 0) {
        memset(tiles.tile[tile], 0, sizeof tiles.tile[tile]);
    }
    for (size_t i = first; i < tiles.config.rows[tile]; i++) {
        memcpy(tiles.tile[tile][i], (const uint8_t *)base + i * stride, tiles.config.colsb[tile]);
    }
}

void emulate_tile_stored(int tile, void *base, size_t stride)
{
    for (size_t i = first_row(tile, "tilestored"); i < tiles.config.rows[tile]; i++) {
        memcpy((uint8_t *)base + i * stride, tiles.tile[tile][i], tiles.config.colsb[tile]);
    }
}

void emulate_tile_zero(int tile)
{
    need_tile(tile, "tilezero");
    memset(tiles.tile[tile], 0, sizeof tiles.tile[tile]);
    tiles.config.start_row = 0;
}

static float add(float a, float b)
{
    return emulate_no_subnormal(emulate_no_subnormal(a) + emulate_no_subnormal(b));
}

static uint16_t half(int tile, size_t row, size_t i)
{
    uint16_t bits;
    memcpy(&bits, &tiles.tile[tile][row][2 * i], sizeof bits);
    return bits;
}

void emulate_tile_dpbf16ps(int to, int a, int b)
{
    static const char name[] = "tdpbf16ps";
    need_tile(to, name);
    need_tile(a, name);
    need_tile(b, name);
    const struct ox_tile_config *c = &tiles.config;
    need(to != a && to != b && a != b, name, "the tiles are not three");
    need(c->colsb[to] % 4 == 0 && c->colsb[a] % 4 == 0 && c->colsb[b] % 4 == 0, name, "half a pair");
    need(c->rows[to] == c->rows[a] && c->colsb[to] == c->colsb[b] && c->colsb[a] / 4 == c->rows[b], name,
         "the shapes do not fit");
    for (size_t m = 0; m < c->rows[to]; m++) {
        for (size_t n = 0; n < c->colsb[to] / 4U; n++) {
            float even = 0.0F;
            float odd = 0.0F;
            float sum;
            for (size_t k = 0; k < c->colsb[a] / 4U; k++) {
                even = emulate_fma_bf16(half(a, m, 2 * k), half(b, k, 2 * n), even);
                odd = emulate_fma_bf16(half(a, m, 2 * k + 1), half(b, k, 2 * n + 1), odd);
            }
            memcpy(&sum, &tiles.tile[to][m][4 * n], sizeof sum);
            sum = add(sum, add(even, odd));
            memcpy(&tiles.tile[to][m][4 * n], &sum, sizeof sum);
        }
    }
    tiles.config.start_row = 0;
}
