/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products at level neonbf16; equal to simd/c/matmul_c.c on rounded activations within BOUND. BF16 and MXFP8
 * weights: BFMMLA, two rows with two tokens, one accumulator number for each (row, token), four columns a step from the
 * first to the last: the same for one token and for many. F32 and F16 weights stay exact: the operand is widened and
 * multiplied in F32, four columns a step, four lanes.
 *
 * E4M3 becomes BF16 by integers: the code, shifted by four, is a BF16 of the value times 2^-120, so the scale of its
 * block is added to its exponent. Zeros and subnormal codes, NaN and scales at the ends of the range are rare and go
 * through F32.
 *
 * One or two tokens: eight rows side by side, each a stream through a part of the matrix of its own, zipped to pairs in
 * registers. More: 16 rows x 512 columns rest as zipped BF16 in a 16 KiB panel, which tiles of 8 rows x 8 tokens (16
 * accumulators, 8 loads for 16 multiplications) then use for all tokens.
 *
 * Instructions, loop overhead included (gcc 12; speed has not been measured): one or two tokens 0.53 a weight of BF16,
 * 1.29 of MXFP8; tiles 60 for 32 BFMMLA, which is 0.12 for a weight and a token.
 */
#include "simd/kernels.h"
#include "simd/neonbf16/vector_neonbf16.h"

#define PAIRS 4 /* of rows and of tokens in a tile */
#define PANEL_ROWS 16
#define PANEL_COLS 512
/* Tokens whose accumulators rest together: at most 8 KiB. */
#define REST_TOKENS 128

enum format { F32, F16, BF16, MXFP8 };

/* What a product works on. */
struct weights {
    const uint8_t *values;
    size_t row_bytes;
    const uint8_t *scales;
    size_t scale_row_bytes;
    size_t n_cols;
};

/* Two rows of weights, which may be the same. */
struct row_pair {
    const uint8_t *row[2];
    const uint8_t *scales[2];
};

OX_INLINE struct row_pair pair_of(enum format format, const struct weights *w, size_t i, size_t j)
{
    struct row_pair pair = {{w->values + i * w->row_bytes, w->values + j * w->row_bytes}, {NULL, NULL}};
    if (format == MXFP8) {
        pair.scales[0] = w->scales + i * w->scale_row_bytes;
        pair.scales[1] = w->scales + j * w->scale_row_bytes;
    }
    return pair;
}

/* Scales whose blocks, subnormal codes included, become normal BF16 numbers. */
#define LEAST_SCALE 10
#define MOST_SCALE 246
/* Twice a code less 16, modulo 256, is larger than this for zeros, subnormal codes and NaN. */
#define MOST_PLAIN 236

/* A block of 32 codes whatever they are. */
static void expand_rare(const uint8_t *codes, uint8_t scale, uint16x8_t *out)
{
    uint16_t room[32];
    for (size_t i = 0; i < 32; i++) {
        room[i] = ox_bf16_from_f32(ox_f32_from_e4m3(codes[i]) * ox_f32_from_e8m0(scale)).bits;
    }
    for (size_t i = 0; i < 4; i++) {
        out[i] = vld1q_u16(room + 8 * i);
    }
}

OX_INLINE void expand_plain(uint8x16_t codes, uint8_t scale, uint16x8_t *out)
{
    const uint16x8_t fields = vdupq_n_u16(0x87F0);
    const uint16x8_t addend = vdupq_n_u16((uint16_t)((scale - 7U) << 7));
    const int8x16_t c = vreinterpretq_s8_u8(codes);
    const uint16x8_t low = vreinterpretq_u16_s16(vshll_n_s8(vget_low_s8(c), 4));
    const uint16x8_t high = vreinterpretq_u16_s16(vshll_high_n_s8(c, 4));
    out[0] = vaddq_u16(vandq_u16(low, fields), addend);
    out[1] = vaddq_u16(vandq_u16(high, fields), addend);
}

/* How far the codes are from being plain: at most MOST_PLAIN if all are. */
OX_INLINE uint8x16_t rareness(uint8x16_t codes)
{
    return vsubq_u8(vaddq_u8(codes, codes), vdupq_n_u8(16));
}

OX_INLINE int is_odd_scale(uint8_t scale)
{
    return (uint8_t)(scale - LEAST_SCALE) > MOST_SCALE - LEAST_SCALE;
}

/* A block of each of two rows at column k, as eight zipped vectors. */
OX_INLINE void zip_blocks(const struct row_pair *pair, size_t k, uint16x8_t *out)
{
    uint16x8_t value[2][4];
    uint8x16_t codes[2][2];
    const uint8_t scale[2] = {pair->scales[0][k / 32], pair->scales[1][k / 32]};
    OX_UNROLL
    for (size_t r = 0; r < 2; r++) {
        codes[r][0] = vld1q_u8(pair->row[r] + k);
        codes[r][1] = vld1q_u8(pair->row[r] + k + 16);
        expand_plain(codes[r][0], scale[r], value[r]);
        expand_plain(codes[r][1], scale[r], value[r] + 2);
    }
    const uint8x16_t a = vmaxq_u8(rareness(codes[0][0]), rareness(codes[0][1]));
    const uint8x16_t b = vmaxq_u8(rareness(codes[1][0]), rareness(codes[1][1]));
    const uint8_t most = vmaxvq_u8(vmaxq_u8(a, b));
    if (__builtin_expect(most > MOST_PLAIN || is_odd_scale(scale[0]) || is_odd_scale(scale[1]), 0)) {
        uint16x8_t rare[2][4]; /* of its own, so that value stays in registers */
        for (size_t r = 0; r < 2; r++) {
            expand_rare(pair->row[r] + k, scale[r], rare[r]);
            for (size_t i = 0; i < 4; i++) {
                value[r][i] = rare[r][i];
            }
        }
    }
    OX_UNROLL
    for (size_t i = 0; i < 4; i++) {
        ox_zip_rows(value[0][i], value[1][i], out + 2 * i);
    }
}

/* Eight columns of two rows at column k, of which `left` are there, as two zipped vectors. */
OX_INLINE void zip_columns(const struct row_pair *pair, size_t k, size_t left, uint16x8_t *out)
{
    const uint8_t *a = pair->row[0] + 2 * k;
    const uint8_t *b = pair->row[1] + 2 * k;
    if (left < STEP_COLS) {
        ox_zip_rows(ox_load_eight_n(a, left), ox_load_eight_n(b, left), out);
    } else {
        ox_zip_rows(ox_load_eight(a), ox_load_eight(b), out);
    }
}

/* Columns [4 i, 4 i + 4) of two tokens, or of one token twice. */
OX_INLINE uint16x8_t load_tokens(const uint8_t *x, size_t C, size_t i)
{
    if (C == 2) {
        return ox_load_eight(x + 16 * i);
    }
    uint64_t four;
    memcpy(&four, x + 8 * i, sizeof four);
    return vreinterpretq_u16_u64(vdupq_n_u64(four));
}

/* sum[p] += all columns of n pairs of rows x C tokens (1 or 2). */
OX_INLINE void dot_bf16(const struct row_pair *pair, size_t n, size_t n_cols, const uint8_t *x, size_t C, ox_vf *sum)
{
    size_t k = 0;
    for (; k + STEP_COLS <= n_cols; k += STEP_COLS) {
        const uint16x8_t input[2] = {load_tokens(x, C, k / 4), load_tokens(x, C, k / 4 + 1)};
        OX_UNROLL
        for (size_t p = 0; p < n; p++) {
            uint16x8_t value[2];
            zip_columns(&pair[p], k, STEP_COLS, value);
            sum[p] = ox_multiply_pairs(sum[p], value[0], input[0]);
            sum[p] = ox_multiply_pairs(sum[p], value[1], input[1]);
        }
    }
    for (size_t p = 0; p < n && k < n_cols; p++) {
        uint16x8_t value[2];
        zip_columns(&pair[p], k, n_cols - k, value);
        sum[p] = ox_multiply_pairs(sum[p], value[0], load_tokens(x, C, k / 4));
        sum[p] = ox_multiply_pairs(sum[p], value[1], load_tokens(x, C, k / 4 + 1));
    }
}

OX_INLINE void dot_mxfp8(const struct row_pair *pair, size_t n, size_t n_cols, const uint8_t *x, size_t C, ox_vf *sum)
{
    for (size_t k = 0; k < n_cols; k += 32) {
        OX_UNROLL
        for (size_t p = 0; p < n; p++) {
            uint16x8_t value[8];
            zip_blocks(&pair[p], k, value);
            OX_UNROLL
            for (size_t i = 0; i < 8; i++) {
                sum[p] = ox_multiply_pairs(sum[p], value[i], load_tokens(x, C, k / 4 + i));
            }
        }
    }
}

/* Sums of rows i and j and C tokens. */
OX_INLINE void store_pair(ox_vf sum, size_t i, size_t j, size_t C, float *y, size_t y_stride)
{
    y[i] = vgetq_lane_f32(sum, 0);
    y[j] = vgetq_lane_f32(sum, 2);
    if (C == 2) {
        y[y_stride + i] = vgetq_lane_f32(sum, 1);
        y[y_stride + j] = vgetq_lane_f32(sum, 3);
    }
}

/* Rows i, i + gap .. (two for each of n pairs; gap 0: one row) x C tokens, straight from the weights. */
OX_INLINE void direct(enum format format, const struct weights *w, size_t i, size_t gap, size_t n, const uint8_t *x,
                      size_t C, float *y, size_t y_stride)
{
    struct row_pair pair[PAIRS];
    ox_vf sum[PAIRS];
    OX_UNROLL
    for (size_t p = 0; p < n; p++) {
        pair[p] = pair_of(format, w, i + 2 * p * gap, i + (2 * p + 1) * gap);
        sum[p] = ox_v_zero();
    }
    if (format == BF16) {
        dot_bf16(pair, n, w->n_cols, x, C, sum);
    } else {
        dot_mxfp8(pair, n, w->n_cols, x, C, sum);
    }
    for (size_t p = 0; p < n; p++) {
        store_pair(sum[p], i + 2 * p * gap, i + (2 * p + 1) * gap, C, y, y_stride);
    }
}

/* All rows for C tokens (1 or 2). */
OX_INLINE void few_tokens(enum format format, const struct weights *w, size_t n_rows, const uint8_t *x, size_t C,
                          float *y, size_t y_stride)
{
    const size_t gap = n_rows / (2 * PAIRS);
    for (size_t i = 0; i < gap; i++) {
        direct(format, w, i, gap, PAIRS, x, C, y, y_stride);
    }
    for (size_t i = gap * 2 * PAIRS; i < n_rows; i++) {
        direct(format, w, i, 0, 1, x, C, y, y_stride);
    }
}

/* Columns [k, k + len) of R rows from i on, zipped: [pairs of rows][PANEL_COLS / 4][2][4], zeros up to a multiple of 8
 * columns. The last of an odd number stands twice. */
OX_INLINE void fill_panel(enum format format, const struct weights *w, size_t i, size_t R, size_t k, size_t len,
                          uint16_t *panel)
{
    for (size_t r = 0; r < R; r += 2) {
        const struct row_pair pair = pair_of(format, w, i + r, r + 1 < R ? i + r + 1 : i + r);
        uint16_t *to = panel + r * PANEL_COLS;
        if (format == MXFP8) {
            for (size_t j = 0; j < len; j += 32) {
                uint16x8_t value[8];
                zip_blocks(&pair, k + j, value);
                for (size_t v = 0; v < 8; v++) {
                    vst1q_u16(to + 2 * j + 8 * v, value[v]);
                }
            }
            continue;
        }
        for (size_t j = 0; j < len; j += STEP_COLS) {
            uint16x8_t value[2];
            zip_columns(&pair, k + j, len - j, value);
            vst1q_u16(to + 2 * j, value[0]);
            vst1q_u16(to + 2 * j + 8, value[1]);
        }
    }
}

/* Four columns of R pairs of rows x P pairs of tokens. */
OX_INLINE void tile_step(const uint16_t *panel, size_t R, const uint8_t *x, size_t pair_bytes, size_t P, size_t C,
                         size_t i, ox_vf sum[][PAIRS])
{
    uint16x8_t value[PAIRS];
    OX_UNROLL
    for (size_t r = 0; r < R; r++) {
        value[r] = vld1q_u16(panel + r * 2 * PANEL_COLS);
    }
    OX_UNROLL
    for (size_t p = 0; p < P; p++) {
        const uint16x8_t input = load_tokens(x + p * pair_bytes, C, i);
        OX_UNROLL
        for (size_t r = 0; r < R; r++) {
            sum[r][p] = ox_multiply_pairs(sum[r][p], value[r], input);
        }
    }
}

/* R pairs of rows x P pairs of tokens over len columns. x: the first pair, the others pair_bytes apart; with one token
 * (C == 1) P is 1. sums: [P][PANEL_ROWS / 2]. */
OX_INLINE void tile(const uint16_t *panel, size_t R, const uint8_t *x, size_t pair_bytes, size_t P, size_t C,
                    size_t len, ox_vf *sums)
{
    ox_vf sum[PAIRS][PAIRS];
    OX_UNROLL
    for (size_t r = 0; r < R; r++) {
        OX_UNROLL
        for (size_t p = 0; p < P; p++) {
            sum[r][p] = sums[p * (PANEL_ROWS / 2) + r];
        }
    }
    for (size_t k = 0; k < len; k += STEP_COLS) {
        tile_step(panel + 2 * k, R, x, pair_bytes, P, C, k / 4, sum);
        tile_step(panel + 2 * k + 8, R, x, pair_bytes, P, C, k / 4 + 1, sum);
    }
    OX_UNROLL
    for (size_t r = 0; r < R; r++) {
        OX_UNROLL
        for (size_t p = 0; p < P; p++) {
            sums[p * (PANEL_ROWS / 2) + r] = sum[r][p];
        }
    }
}

/* A panel of R pairs of rows x P pairs of tokens, or one token. */
OX_INLINE void tile_rows(const uint16_t *panel, size_t R, const uint8_t *x, size_t pair_bytes, size_t P, size_t C,
                         size_t len, ox_vf *sums)
{
    size_t r = 0;
    for (; r + PAIRS <= R; r += PAIRS) {
        tile(panel + r * 2 * PANEL_COLS, PAIRS, x, pair_bytes, P, C, len, sums + r);
    }
    for (; r < R; r++) {
        tile(panel + r * 2 * PANEL_COLS, 1, x, pair_bytes, P, C, len, sums + r);
    }
}

/* A panel of R pairs of rows x n_tokens tokens from column k on. */
static void tile_tokens(const uint16_t *panel, size_t R, const uint8_t *x, size_t x_bytes, size_t n_tokens, size_t k,
                        size_t len, ox_vf *sums)
{
    const size_t rest = PANEL_ROWS / 2;
    const uint8_t *pairs = x + 4 * k;
    size_t t = 0;
    for (; t + 2 * PAIRS <= n_tokens; t += 2 * PAIRS) {
        tile_rows(panel, R, pairs + t * x_bytes, 2 * x_bytes, PAIRS, 2, len, sums + t / 2 * rest);
    }
    for (; t + 2 <= n_tokens; t += 2) {
        tile_rows(panel, R, pairs + t * x_bytes, 2 * x_bytes, 1, 2, len, sums + t / 2 * rest);
    }
    if (t < n_tokens) {
        tile_rows(panel, R, x + t * x_bytes + 2 * k, 0, 1, 1, len, sums + t / 2 * rest);
    }
}

/* y of R rows x n_tokens tokens. */
static void store_sums(const ox_vf *sums, size_t R, size_t n_tokens, float *y, size_t y_stride)
{
    for (size_t t = 0; t < n_tokens; t += 2) {
        const size_t C = n_tokens - t < 2 ? 1 : 2;
        for (size_t r = 0; r < R; r += 2) {
            store_pair(sums[t / 2 * (PANEL_ROWS / 2) + r / 2], r, r + 1 < R ? r + 1 : r, C, y + t * y_stride, y_stride);
        }
    }
}

OX_INLINE void many_tokens(enum format format, const struct weights *w, size_t n_rows, const uint8_t *x,
                           size_t n_tokens, float *y, size_t y_stride)
{
    const size_t x_bytes = ox_row_bytes(w->n_cols);
    uint16_t panel[PANEL_ROWS * PANEL_COLS];
    ox_vf sums[REST_TOKENS / 2 * (PANEL_ROWS / 2)];
    for (size_t i = 0; i < n_rows; i += PANEL_ROWS) {
        const size_t R = n_rows - i < PANEL_ROWS ? n_rows - i : PANEL_ROWS;
        for (size_t t = 0; t < n_tokens; t += REST_TOKENS) {
            const size_t rest = n_tokens - t < REST_TOKENS ? n_tokens - t : REST_TOKENS;
            for (size_t s = 0; s < REST_TOKENS / 2 * (PANEL_ROWS / 2); s++) {
                sums[s] = ox_v_zero();
            }
            for (size_t k = 0; k < w->n_cols; k += PANEL_COLS) {
                const size_t len = w->n_cols - k < PANEL_COLS ? w->n_cols - k : PANEL_COLS;
                fill_panel(format, w, i, R, k, len, panel);
                tile_tokens(panel, (R + 1) / 2, x + t * x_bytes, x_bytes, rest, k, (len + 7) / 8 * 8, sums);
            }
            store_sums(sums, R, rest, y + t * y_stride + i, y_stride);
        }
    }
}

/* Weights that BF16 holds. */
OX_INLINE void product_pairs(enum format format, OX_PRODUCT_PARAMETERS)
{
    const struct weights w = {values, row_bytes, scales, scale_row_bytes, n_cols};
    if (n_tokens == 1) {
        few_tokens(format, &w, n_rows, x, 1, y, y_stride);
    } else if (n_tokens == 2) {
        few_tokens(format, &w, n_rows, x, 2, y, y_stride);
    } else {
        many_tokens(format, &w, n_rows, x, n_tokens, y, y_stride);
    }
}

/* Four columns of a row at k as F32; with `left` < 4 of them, only those and zeros. */
OX_INLINE ox_vf load_wide(enum format format, const uint8_t *row, size_t k, size_t left)
{
    const size_t bytes = format == F32 ? 4 : 2;
    const uint8_t *from = row + bytes * k;
    uint8_t room[16] = {0};
    if (left < 4) {
        memcpy(room, from, bytes * left);
        from = room;
    }
    return format == F32 ? ox_v_load_bytes(from) : ox_v_load_f16(from);
}

/* Rows i to i + R - 1 x one token, whose blocks of four columns are x_stride bytes apart. */
OX_INLINE void wide_rows(enum format format, const struct weights *w, size_t i, size_t R, const uint8_t *x,
                         size_t x_stride, float *y)
{
    ox_vf sum[2 * PAIRS];
    OX_UNROLL
    for (size_t r = 0; r < R; r++) {
        sum[r] = ox_v_zero();
    }
    for (size_t k = 0; k < w->n_cols; k += 4) {
        const ox_vf input = ox_v_load_bf16(x + k / 4 * x_stride);
        OX_UNROLL
        for (size_t r = 0; r < R; r++) {
            const ox_vf value = load_wide(format, w->values + (i + r) * w->row_bytes, k, w->n_cols - k);
            sum[r] = ox_v_fma(value, input, sum[r]);
        }
    }
    for (size_t r = 0; r < R; r++) {
        y[i + r] = ox_v_reduce_add(sum[r]);
    }
}

/* Weights that BF16 does not hold: eight rows after eight for all tokens, from the first cache but for the first. */
OX_INLINE void product_wide(enum format format, OX_PRODUCT_PARAMETERS)
{
    const struct weights w = {values, row_bytes, scales, scale_row_bytes, n_cols};
    const size_t x_bytes = ox_row_bytes(n_cols);
    for (size_t i = 0; i < n_rows;) {
        const size_t R = n_rows - i < 2 * PAIRS ? 1 : 2 * PAIRS;
        for (size_t t = 0; t < n_tokens; t++) {
            const size_t x_stride = t % 2 == 1 || t + 1 < n_tokens ? 16 : 8;
            const uint8_t *token = x + (t - t % 2) * x_bytes + t % 2 * 8;
            if (R == 1) {
                wide_rows(format, &w, i, 1, token, x_stride, y + t * y_stride);
            } else {
                wide_rows(format, &w, i, 2 * PAIRS, token, x_stride, y + t * y_stride);
            }
        }
        i += R;
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
