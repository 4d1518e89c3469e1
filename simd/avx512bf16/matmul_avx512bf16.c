/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products at level avx512bf16; equal to simd/c/matmul_c.c on rounded activations within BOUND. BF16 and MXFP8
 * weights: VDPBF16PS, one accumulator vector for each (row, token), 32 columns a step from the first to the last, lanes
 * added as a tree at the end: the same for one token and for many. F32 and F16 weights stay exact: the operand is
 * widened and multiplied in F32, 16 columns a step.
 *
 * E4M3 becomes BF16 by integers: the code, shifted by four, is a BF16 of the value times 2^-120, so the scale of its
 * block is added to its exponent: 5 operations for 32 weights, 1.5 to see what is rare (zeros and subnormal codes, NaN,
 * scales at the ends of the range), which goes through F32.
 *
 * Few tokens: memory is the limit, and prefetchers follow a few long streams best (see STREAMS). Many tokens: 12 rows x
 * 768 columns rest as BF16 in an 18 KiB panel, which tiles of 6 rows x 4 tokens (24 accumulators, 10 loads for 24
 * multiplications) then use for all tokens, while the next panel's weights are asked for.
 */
#include "simd/avx512bf16/vector_avx512bf16.h"
#include "simd/kernels.h"

#define TILE_ROWS 6
#define PANEL_ROWS 12
#define PANEL_COLS 768
/* Tokens whose accumulators rest together (at most 72 KiB), and which meet all rows before the next ones do. */
#define REST_TOKENS 96

enum format { F32, F16, BF16, MXFP8 };

/* What a product works on. */
struct weights {
    const uint8_t *values;
    size_t row_bytes;
    const uint8_t *scales;
    size_t scale_row_bytes;
    size_t n_cols;
};

/* Scales whose blocks, subnormal codes included, become normal BF16 numbers. */
#define LEAST_SCALE 10
#define MOST_SCALE 246

/* A block of 32 codes whatever they are; nan: those that are none. */
OX_INLINE __m512i expand_rare(const uint8_t *codes, uint8_t scale, __mmask32 nan)
{
    ox_vf value[2];
    ox_v_load_mxfp8(codes, scale, value);
    return _mm512_mask_mov_epi16(ox_round_pairs(value[0], value[1]), nan, _mm512_set1_epi16(0x7FC0));
}

/* What a scale adds to the bits of a code shifted by four: twice 2^(scale - 127 + 120) at BF16's exponent. */
#define ADDEND(scale) ((((uint32_t)(scale)-7U) << 7 & 0xFFFFU) * 0x10001U)
#define ADDENDS_4(scale) ADDEND(scale), ADDEND((scale) + 1), ADDEND((scale) + 2), ADDEND((scale) + 3)
#define ADDENDS_16(scale) ADDENDS_4(scale), ADDENDS_4((scale) + 4), ADDENDS_4((scale) + 8), ADDENDS_4((scale) + 12)
static const uint32_t addends[256] = {
    ADDENDS_16(0),   ADDENDS_16(16),  ADDENDS_16(32),  ADDENDS_16(48),  ADDENDS_16(64),  ADDENDS_16(80),
    ADDENDS_16(96),  ADDENDS_16(112), ADDENDS_16(128), ADDENDS_16(144), ADDENDS_16(160), ADDENDS_16(176),
    ADDENDS_16(192), ADDENDS_16(208), ADDENDS_16(224), ADDENDS_16(240),
};

OX_INLINE __m512i expand_plain(const uint8_t *codes, uint8_t scale)
{
    const __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)codes));
    const __m512i field = _mm512_and_si512(_mm512_slli_epi16(wide, 4), _mm512_set1_epi16((int16_t)0x87F0));
    return _mm512_add_epi16(field, _mm512_set1_epi32((int32_t)addends[scale]));
}

/* The bits of a code's exponent if a row's n scales are all ordinary ones; else none, so that no block passes for
 * plain. */
OX_INLINE __m512i exponent_bits(const uint8_t *scales, size_t n)
{
    const __m512i least = _mm512_set1_epi8(LEAST_SCALE);
    const __m512i range = _mm512_set1_epi8((char)(MOST_SCALE - LEAST_SCALE + 1));
    __mmask64 odd = 0;
    for (size_t i = 0; i < n; i += 64) {
        const __mmask64 here = n - i < 64 ? ((__mmask64)1 << (n - i)) - 1 : ~(__mmask64)0;
        const __m512i above = _mm512_sub_epi8(_mm512_maskz_loadu_epi8(here, scales + i), least);
        odd |= here & _mm512_cmpeq_epi8_mask(_mm512_max_epu8(above, range), above);
    }
    return odd == 0 ? _mm512_set1_epi8(0x78) : _mm512_setzero_si512();
}

/* Two blocks of 32 codes as BF16. */
OX_INLINE void expand_two(const uint8_t *codes, const uint8_t *scales, __m512i exponent, __m512i *out)
{
    const __m512i code = _mm512_loadu_si512((const void *)codes);
    const __mmask64 low = _mm512_testn_epi8_mask(code, exponent);
    const __mmask64 nan =
        _mm512_cmpeq_epi8_mask(_mm512_or_si512(code, _mm512_set1_epi8((char)0x80)), _mm512_set1_epi8((char)0xFF));
    out[0] = expand_plain(codes, scales[0]);
    out[1] = expand_plain(codes + 32, scales[1]);
    if (__builtin_expect(!_kortestz_mask64_u8(low, nan), 0)) {
        out[0] = expand_rare(codes, scales[0], (__mmask32)nan);
        out[1] = expand_rare(codes + 32, scales[1], (__mmask32)(nan >> 32));
    }
}

/* The last block of an odd number. */
OX_INLINE __m512i expand_one(const uint8_t *codes, uint8_t scale)
{
    const __m256i code = _mm256_loadu_si256((const void *)codes);
    const __m256i marked = _mm256_or_si256(code, _mm256_set1_epi8((char)0x80));
    const __m256i nan = _mm256_cmpeq_epi8(marked, _mm256_set1_epi8((char)0xFF));
    return expand_rare(codes, scale, (__mmask32)_mm256_movemask_epi8(nan));
}

/* Columns [k, k + 16) of a row as F32; with `left` < 16 of them, only those and zeros. */
OX_INLINE ox_vf load_wide(enum format format, const uint8_t *row, size_t k, size_t left)
{
    const __mmask16 mask = (__mmask16)(left < 16 ? (1U << left) - 1U : 0xFFFFU);
    if (format == F32) {
        return _mm512_maskz_loadu_ps(mask, (const void *)(row + 4 * k));
    }
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, (const void *)(row + 2 * k)));
}

/* sum[r][c] += all columns of R rows x C tokens; row[r]: the rows; x: the tile. */
OX_INLINE void dot_bf16(const uint8_t *const *row, size_t R, size_t n_cols, const uint8_t *x, size_t C,
                        ox_vf sum[][TILE_TOKENS])
{
    size_t k = 0;
    for (; k + BLOCK_COLS <= n_cols; k += BLOCK_COLS) {
        OX_UNROLL
        for (size_t r = 0; r < R; r++) {
            const __m512i value = ox_load_pairs(row[r] + 2 * k);
            OX_UNROLL
            for (size_t c = 0; c < C; c++) {
                sum[r][c] = ox_dot_pairs(sum[r][c], value, ox_load_pairs(x + c * BLOCK_BYTES));
            }
        }
        x += C * BLOCK_BYTES;
    }
    for (size_t r = 0; r < R && k < n_cols; r++) {
        const __m512i value = ox_load_pairs_n(row[r] + 2 * k, n_cols - k);
        for (size_t c = 0; c < C; c++) {
            sum[r][c] = ox_dot_pairs(sum[r][c], value, ox_load_pairs(x + c * BLOCK_BYTES));
        }
    }
}

/* How far ahead of expanding codes are asked for: the window of a core holds a few hundred instructions, here not enough
 * lines to hide what they take. 21.0 to 23.4 GB/s on a core of a Zen 4 that reads 29, rows of 6 KiB; 25.7 to 25.2 of
 * 3 KiB. */
#define AHEAD_BYTES 1024

/* The same for MXFP8; scales[r]: the rows' scales. */
OX_INLINE void dot_mxfp8(const uint8_t *const *row, const uint8_t *const *scales, size_t R, size_t n_cols,
                         const uint8_t *x, size_t C, ox_vf sum[][TILE_TOKENS])
{
    __m512i exponent = exponent_bits(scales[0], n_cols / 32);
    for (size_t r = 1; r < R; r++) {
        exponent = _mm512_and_si512(exponent, exponent_bits(scales[r], n_cols / 32));
    }
    size_t k = 0;
    for (; k + 64 <= n_cols; k += 64) {
        OX_UNROLL
        for (size_t r = 0; r < R; r++) {
            __m512i value[2];
            _mm_prefetch((const char *)row[r] + k + AHEAD_BYTES, _MM_HINT_T0);
            expand_two(row[r] + k, scales[r] + k / 32, exponent, value);
            OX_UNROLL
            for (size_t c = 0; c < C; c++) {
                sum[r][c] = ox_dot_pairs(sum[r][c], value[0], ox_load_pairs(x + c * BLOCK_BYTES));
                sum[r][c] = ox_dot_pairs(sum[r][c], value[1], ox_load_pairs(x + (C + c) * BLOCK_BYTES));
            }
        }
        x += 2 * C * BLOCK_BYTES;
    }
    for (size_t r = 0; r < R && k < n_cols; r++) {
        const __m512i value = expand_one(row[r] + k, scales[r][k / 32]);
        for (size_t c = 0; c < C; c++) {
            sum[r][c] = ox_dot_pairs(sum[r][c], value, ox_load_pairs(x + c * BLOCK_BYTES));
        }
    }
}

/* The same for weights that stay wider than BF16. */
OX_INLINE void dot_wide(enum format format, const uint8_t *const *row, size_t R, size_t n_cols, const uint8_t *x,
                        size_t C, ox_vf sum[][TILE_TOKENS])
{
    for (size_t k = 0; k < n_cols; k += 16) {
        const uint8_t *block = x + k / BLOCK_COLS * C * BLOCK_BYTES + k % BLOCK_COLS * 2;
        ox_vf value[TILE_ROWS];
        OX_UNROLL
        for (size_t r = 0; r < R; r++) {
            value[r] = load_wide(format, row[r], k, n_cols - k);
        }
        OX_UNROLL
        for (size_t c = 0; c < C; c++) {
            const ox_vf input = ox_v_load_bf16(block + c * BLOCK_BYTES);
            OX_UNROLL
            for (size_t r = 0; r < R; r++) {
                sum[r][c] = ox_v_fma(value[r], input, sum[r][c]);
            }
        }
    }
}

/* Rows i, i + gap .. (R of them) x a tile of C tokens, straight from the weights. */
OX_INLINE void direct(enum format format, const struct weights *w, size_t i, size_t R, size_t gap, const uint8_t *x,
                      size_t C, float *y, size_t y_stride)
{
    ox_vf sum[TILE_ROWS][TILE_TOKENS];
    const uint8_t *row[TILE_ROWS];
    const uint8_t *scales[TILE_ROWS];
    OX_UNROLL
    for (size_t r = 0; r < R; r++) {
        row[r] = w->values + (i + r * gap) * w->row_bytes;
        scales[r] = format == MXFP8 ? w->scales + (i + r * gap) * w->scale_row_bytes : NULL;
        OX_UNROLL
        for (size_t c = 0; c < C; c++) {
            sum[r][c] = ox_v_zero();
        }
    }
    if (format == BF16) {
        dot_bf16(row, R, w->n_cols, x, C, sum);
    } else if (format == MXFP8) {
        dot_mxfp8(row, scales, R, w->n_cols, x, C, sum);
    } else {
        dot_wide(format, row, R, w->n_cols, x, C, sum);
    }
    OX_UNROLL
    for (size_t r = 0; r < R; r++) {
        OX_UNROLL
        for (size_t c = 0; c < C; c++) {
            y[c * y_stride + i + r * gap] = ox_v_reduce_add(sum[r][c]);
        }
    }
}

/* Rows read side by side where memory is the limit: each is a stream through a part of the matrix of its own, since the
 * prefetchers lose a stream that jumps. Shares of the read bandwidth on a Zen 4, 2 threads, BF16, rows of 12 KiB and of
 * 6 KiB: rows beside each other 0.49 (2 rows) to 0.73 (8); streams 0.90 and 1.00 (2), 0.95 and 0.90 (3), 0.94 and 0.89
 * (4). Prefetch instructions only took their share of the misses that a core can have in flight. */
#define STREAMS 3

/* All rows for a tile of C tokens. */
OX_INLINE void direct_rows(enum format format, const struct weights *w, size_t n_rows, const uint8_t *x, size_t C,
                           float *y, size_t y_stride)
{
    const size_t gap = n_rows / STREAMS;
    for (size_t i = 0; i < gap; i++) {
        direct(format, w, i, STREAMS, gap, x, C, y, y_stride);
    }
    for (size_t i = gap * STREAMS; i < n_rows; i++) {
        direct(format, w, i, 1, 0, x, C, y, y_stride);
    }
}

/* The same, C not known. */
OX_INLINE void few_tokens(enum format format, const struct weights *w, size_t n_rows, const uint8_t *x, size_t C,
                          float *y, size_t y_stride)
{
    switch (C) {
    case 1:
        direct_rows(format, w, n_rows, x, 1, y, y_stride);
        break;
    case 2:
        direct_rows(format, w, n_rows, x, 2, y, y_stride);
        break;
    case 3:
        direct_rows(format, w, n_rows, x, 3, y, y_stride);
        break;
    case 4:
        direct_rows(format, w, n_rows, x, 4, y, y_stride);
        break;
    default:
        break;
    }
}

/* A panel: columns [k, k + len) of R rows from i on, as BF16 [R][PANEL_COLS], zeros up to a multiple of 32. */
struct panel {
    _Alignas(64) uint16_t values[PANEL_ROWS * PANEL_COLS];
    size_t R;
    size_t len;
};

/* Weights that the next panel will want, asked for two lines a step while this panel is used. */
struct ahead {
    const uint8_t *row;
    size_t row_bytes;
    size_t n_rows; /* left */
    size_t step_bytes;
};

OX_INLINE void fill_mxfp8(const uint8_t *codes, const uint8_t *scales, size_t len, uint16_t *to)
{
    const __m512i exponent = exponent_bits(scales, len / 32);
    size_t j = 0;
    for (; j + 64 <= len; j += 64) {
        __m512i value[2];
        expand_two(codes + j, scales + j / 32, exponent, value);
        _mm512_store_si512((void *)(to + j), value[0]);
        _mm512_store_si512((void *)(to + j + 32), value[1]);
    }
    if (j < len) {
        _mm512_store_si512((void *)(to + j), expand_one(codes + j, scales[j / 32]));
    }
}

OX_INLINE void fill_panel(enum format format, const struct weights *w, size_t i, size_t k, struct panel *panel)
{
    for (size_t r = 0; r < panel->R; r++) {
        const uint8_t *row = w->values + (i + r) * w->row_bytes;
        uint16_t *to = panel->values + r * PANEL_COLS;
        if (format == MXFP8) {
            fill_mxfp8(row + k, w->scales + (i + r) * w->scale_row_bytes + k / 32, panel->len, to);
            continue;
        }
        size_t j = 0;
        for (; j + BLOCK_COLS <= panel->len; j += BLOCK_COLS) {
            _mm512_store_si512((void *)(to + j), ox_load_pairs(row + 2 * (k + j)));
        }
        if (j < panel->len) {
            _mm512_store_si512((void *)(to + j), ox_load_pairs_n(row + 2 * (k + j), panel->len - j));
        }
    }
}

/* The next row to ask for; when there is none, something near. */
OX_INLINE void take_ahead(struct ahead *ahead, const uint8_t **row)
{
    *row = ahead->row;
    if (ahead->n_rows > 0) {
        ahead->row += ahead->row_bytes;
        ahead->n_rows--;
    }
}

/* R rows x a tile of C tokens over the panel's columns; sums: [C][PANEL_ROWS] vectors. */
OX_INLINE void tile(const uint16_t *values, size_t R, size_t len, const uint8_t *x, size_t C, struct ahead *next,
                    ox_vf *sums)
{
    const uint8_t *ahead[2];
    const size_t step_bytes = next->n_rows > 0 ? next->step_bytes : 0;
    take_ahead(next, &ahead[0]);
    take_ahead(next, &ahead[1]);
    ox_vf sum[TILE_ROWS][TILE_TOKENS];
    OX_UNROLL
    for (size_t r = 0; r < R; r++) {
        OX_UNROLL
        for (size_t c = 0; c < C; c++) {
            sum[r][c] = sums[c * PANEL_ROWS + r];
        }
    }
    for (size_t k = 0; k < len; k += BLOCK_COLS) {
        __m512i input[TILE_TOKENS];
        _mm_prefetch((const char *)ahead[0], _MM_HINT_T0);
        _mm_prefetch((const char *)ahead[1], _MM_HINT_T0);
        ahead[0] += step_bytes;
        ahead[1] += step_bytes;
        OX_UNROLL
        for (size_t c = 0; c < C; c++) {
            input[c] = ox_load_pairs(x + c * BLOCK_BYTES);
        }
        OX_UNROLL
        for (size_t r = 0; r < R; r++) {
            const __m512i value = _mm512_load_si512((const void *)(values + r * PANEL_COLS + k));
            OX_UNROLL
            for (size_t c = 0; c < C; c++) {
                sum[r][c] = ox_dot_pairs(sum[r][c], value, input[c]);
            }
        }
        x += C * BLOCK_BYTES;
    }
    OX_UNROLL
    for (size_t r = 0; r < R; r++) {
        OX_UNROLL
        for (size_t c = 0; c < C; c++) {
            sums[c * PANEL_ROWS + r] = sum[r][c];
        }
    }
}

/* The panel's rows x a tile of C tokens. */
OX_INLINE void tile_rows(const struct panel *panel, const uint8_t *x, size_t C, struct ahead *next, ox_vf *sums)
{
    size_t r = 0;
    for (; r + TILE_ROWS <= panel->R; r += TILE_ROWS) {
        tile(panel->values + r * PANEL_COLS, TILE_ROWS, panel->len, x, C, next, sums + r);
    }
    for (; r < panel->R; r++) {
        tile(panel->values + r * PANEL_COLS, 1, panel->len, x, C, next, sums + r);
    }
}

/* The same, C not known. */
static void tile_tokens(const struct panel *panel, const uint8_t *x, size_t C, struct ahead *next, ox_vf *sums)
{
    switch (C) {
    case 1:
        tile_rows(panel, x, 1, next, sums);
        break;
    case 2:
        tile_rows(panel, x, 2, next, sums);
        break;
    case 3:
        tile_rows(panel, x, 3, next, sums);
        break;
    default:
        tile_rows(panel, x, TILE_TOKENS, next, sums);
        break;
    }
}

/* What follows the panel at row i, column k. */
OX_INLINE struct ahead ahead_of(enum format format, const struct weights *w, size_t i, size_t k, size_t n_rows)
{
    const size_t value_bytes = format == MXFP8 ? 1 : 2;
    struct ahead next = {w->values, w->row_bytes, 0, value_bytes * BLOCK_COLS};
    if (k + PANEL_COLS >= w->n_cols) {
        i += PANEL_ROWS;
        k = 0;
    } else {
        k += PANEL_COLS;
    }
    if (i < n_rows) {
        next.row = w->values + i * w->row_bytes + k * value_bytes;
        next.n_rows = n_rows - i < PANEL_ROWS ? n_rows - i : PANEL_ROWS;
    }
    return next;
}

/* y of the panel's rows, from i on, x n_tokens tokens. */
static void store_sums(const ox_vf *sums, size_t R, size_t n_tokens, float *y, size_t y_stride)
{
    for (size_t t = 0; t < n_tokens; t++) {
        for (size_t r = 0; r < R; r++) {
            y[t * y_stride + r] = ox_v_reduce_add(sums[t * PANEL_ROWS + r]);
        }
    }
}

OX_INLINE void many_tokens(enum format format, const struct weights *w, size_t n_rows, const uint8_t *x,
                           size_t n_tokens, float *y, size_t y_stride)
{
    const size_t x_bytes = ox_n_blocks(w->n_cols) * BLOCK_BYTES;
    struct panel panel;
    ox_vf sums[REST_TOKENS * PANEL_ROWS];
    for (size_t t0 = 0; t0 < n_tokens; t0 += REST_TOKENS) {
        const size_t rest = n_tokens - t0 < REST_TOKENS ? n_tokens - t0 : REST_TOKENS;
        for (size_t i = 0; i < n_rows; i += PANEL_ROWS) {
            panel.R = n_rows - i < PANEL_ROWS ? n_rows - i : PANEL_ROWS;
            for (size_t s = 0; s < rest * PANEL_ROWS; s++) {
                sums[s] = ox_v_zero();
            }
            for (size_t k = 0; k < w->n_cols; k += PANEL_COLS) {
                struct ahead next = ahead_of(format, w, i, k, n_rows);
                panel.len = w->n_cols - k < PANEL_COLS ? w->n_cols - k : PANEL_COLS;
                fill_panel(format, w, i, k, &panel);
                for (size_t t = 0; t < rest; t += TILE_TOKENS) {
                    const size_t C = rest - t < TILE_TOKENS ? rest - t : TILE_TOKENS;
                    const uint8_t *tokens = x + (t0 + t) * x_bytes + k / BLOCK_COLS * C * BLOCK_BYTES;
                    tile_tokens(&panel, tokens, C, &next, sums + t * PANEL_ROWS);
                }
            }
            store_sums(sums, panel.R, rest, y + t0 * y_stride + i, y_stride);
        }
    }
}

/* Weights that BF16 holds. */
OX_INLINE void product_pairs(enum format format, OX_PRODUCT_PARAMETERS)
{
    const struct weights w = {values, row_bytes, scales, scale_row_bytes, n_cols};
    if (n_tokens <= TILE_TOKENS) {
        few_tokens(format, &w, n_rows, x, n_tokens, y, y_stride);
    } else {
        many_tokens(format, &w, n_rows, x, n_tokens, y, y_stride);
    }
}

/* Weights that BF16 does not hold: tile after tile of tokens, each straight from the weights. */
OX_INLINE void product_wide(enum format format, OX_PRODUCT_PARAMETERS)
{
    const struct weights w = {values, row_bytes, scales, scale_row_bytes, n_cols};
    const size_t x_bytes = ox_n_blocks(n_cols) * BLOCK_BYTES;
    for (size_t t = 0; t < n_tokens; t += TILE_TOKENS) {
        const size_t C = n_tokens - t < TILE_TOKENS ? n_tokens - t : TILE_TOKENS;
        few_tokens(format, &w, n_rows, x + t * x_bytes, C, y + t * y_stride, y_stride);
    }
}

void OX_PAIRS_LEVEL(ox_product_f32)(OX_PRODUCT_PARAMETERS)
{
    product_wide(F32, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void OX_PAIRS_LEVEL(ox_product_f16)(OX_PRODUCT_PARAMETERS)
{
    product_wide(F16, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void OX_PAIRS_LEVEL(ox_product_bf16)(OX_PRODUCT_PARAMETERS)
{
    product_pairs(BF16, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void OX_PAIRS_LEVEL(ox_product_mxfp8)(OX_PRODUCT_PARAMETERS)
{
    product_pairs(MXFP8, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}
