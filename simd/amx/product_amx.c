/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products at level amx; equal to simd/c/matmul_c.c within BOUND, x being what its operand holds and subnormal
 * numbers counting as 0. Weights are the left side of the tile products, 16 rows x 32 columns, the operand's groups of
 * up to 16 tokens the right side. Each (row, token) is one chain of TDPBF16PS over the columns in order, from zero: its
 * bits do not depend on the company, and how the work below is cut does not change the chain.
 *
 * Blocking. A panel (panel_amx.h) of 32 rows serves all tokens of a block, two groups at a time: 2 x 2 tiles of sums, 4
 * loads for 4 multiplications of 16 cycles. While one panel is multiplied the next is filled, a line every few steps,
 * and the one behind it is fetched from memory, so that memory, vector units and tiles work all the time: few tokens
 * run at the speed of memory, many at that of the tiles. Columns are taken in blocks whose part of the operand stays in
 * the second cache while all rows pass; in between, sums rest in y.
 *
 * Cycles of a panel of 16 slots, from the instructions' throughput on Sapphire Rapids: 1024 for each two groups; filling
 * about 600 (BF16) and 1800 (MXFP8).
 */
#include "simd/amx/panel_amx.h"

/* Tokens that share a filled panel; a multiple of 32. This, the bytes below and the panels' lengths were measured on 16
 * hardware threads, two a core, of a Sapphire Rapids (2026-11): 0.28 of the tiles' peak with 1024 tokens, against 0.20
 * with 512 tokens, 1 MiB and panels of 8. */
#define BLOCK_TOKENS 256
#define BLOCK_GROUPS (BLOCK_TOKENS / OX_GROUP_TOKENS)
/* Most bytes of the operand that all rows pass by: an eighth of a second cache of 2 MiB, which two threads may share. */
#define BLOCK_BYTES ((size_t)256 << 10)
/* Up to so many tokens a product of BF16 weights is bound by memory: short panels, which stay in the first cache beside
 * the one that is filled (1.13 of what the plain read loop gets, against 0.94 with long ones). */
#define FEW_TOKENS 64
#define FEW_SLOTS 4
#define MANY_SLOTS 16

/* The eight tiles: sums of (upper, lower 16 rows) x (first, second group), weights, operand. Literals, since
 * instructions name them. */
#define SUM_00 0
#define SUM_01 1
#define SUM_10 2
#define SUM_11 3
#define LEFT_0 4
#define LEFT_1 5
#define RIGHT_0 6
#define RIGHT_1 7

/* The product at hand. */
struct product {
    struct weights w;
    const uint8_t *x;
    size_t token_bytes; /* of the operand */
    size_t skip_bytes;  /* of those, what lies before the right sides */
    size_t step_bytes;  /* and one step of them */
    size_t n_tokens;
    float *y;
    size_t y_stride;
};

/* A block of tokens x a block of columns, through which all rows pass. */
struct block {
    size_t t;
    size_t n_tokens;
    size_t k_begin;
    size_t k_end;
    size_t line_cols; /* columns of a panel */
};

/* Where a panel begins. */
struct place {
    size_t row;
    size_t k;
};

/* The panel that is being filled, a line at a time. */
struct feed {
    struct place at;
    size_t n_lines; /* rows that it has; 0: there is none */
    size_t n_filled;
    size_t due;  /* lines to be filled by now, times 256 */
    size_t rate; /* the same for one step */
    uint8_t *panel;
};

OX_INLINE struct place next_place(const struct block *b, struct place at)
{
    at.k += b->line_cols;
    if (at.k >= b->k_end) {
        at.k = b->k_begin;
        at.row += PANEL_ROWS;
    }
    return at;
}

OX_INLINE size_t line_length(const struct block *b, struct place at)
{
    return least(b->k_end - at.k, b->line_cols);
}

/* Fill the next line, and ask for the one that will be filled a panel later. */
OX_INLINE void feed_format(enum format format, const struct product *p, const struct block *b, struct feed *feed)
{
    const size_t i = feed->n_filled++;
    const struct place after = next_place(b, feed->at);
    if (after.row + i < p->w.n_rows) {
        fetch_line(format, &p->w, after.row + i, after.k, line_length(b, after));
    }
    fill_line(format, &p->w, feed->at.row + i, feed->at.k, line_length(b, feed->at),
              feed->panel + i * OX_TILE_ROW_BYTES);
}

/* Calls: the loops below exist four times each. */
static __attribute__((noinline)) void feed_f32(const struct product *p, const struct block *b, struct feed *feed)
{
    feed_format(F32, p, b, feed);
}

static __attribute__((noinline)) void feed_f16(const struct product *p, const struct block *b, struct feed *feed)
{
    feed_format(F16, p, b, feed);
}

static __attribute__((noinline)) void feed_bf16(const struct product *p, const struct block *b, struct feed *feed)
{
    feed_format(BF16, p, b, feed);
}

static __attribute__((noinline)) void feed_mxfp8(const struct product *p, const struct block *b, struct feed *feed)
{
    feed_format(MXFP8, p, b, feed);
}

OX_INLINE void feed_line(enum format format, const struct product *p, const struct block *b, struct feed *feed)
{
    switch (format) {
    case F32:
        feed_f32(p, b, feed);
        break;
    case F16:
        feed_f16(p, b, feed);
        break;
    case BF16:
        feed_bf16(p, b, feed);
        break;
    case MXFP8:
    default:
        feed_mxfp8(p, b, feed);
        break;
    }
}

OX_INLINE void feed_step(enum format format, const struct product *p, const struct block *b, struct feed *feed)
{
    feed->due += feed->rate;
    while (feed->n_filled < feed->n_lines && feed->n_filled * 256 < feed->due) {
        feed_line(format, p, b, feed);
    }
}

OX_INLINE void feed_rest(enum format format, const struct product *p, const struct block *b, struct feed *feed)
{
    while (feed->n_filled < feed->n_lines) {
        feed_line(format, p, b, feed);
    }
}

/* One step: W slots of the panel x X pieces of the operand, into 2 x 2 sums, or fewer. */
OX_INLINE void multiply_step(size_t W, size_t X, bool lower, bool second, const uint8_t *panel,
                             const uint8_t *const *right, const size_t *row_bytes)
{
    for (size_t i = 0; i < W; i++) {
        const uint8_t *left = panel + i * SLOT_BYTES;
        OX_TILE_LOAD(LEFT_0, left, OX_TILE_ROW_BYTES);
        if (lower) {
            OX_TILE_LOAD(LEFT_1, left + OX_TILE_BYTES, OX_TILE_ROW_BYTES);
        }
        for (size_t j = 0; j < X; j++) {
            if (i == 0 || X > 1) {
                OX_TILE_LOAD(RIGHT_0, right[0] + j * 16 * row_bytes[0], row_bytes[0]);
            }
            OX_TILE_MULTIPLY(SUM_00, LEFT_0, RIGHT_0);
            if (lower) {
                OX_TILE_MULTIPLY(SUM_10, LEFT_1, RIGHT_0);
            }
            if (second) {
                if (i == 0 || X > 1) {
                    OX_TILE_LOAD(RIGHT_1, right[1] + j * 16 * row_bytes[1], row_bytes[1]);
                }
                OX_TILE_MULTIPLY(SUM_01, LEFT_0, RIGHT_1);
                if (lower) {
                    OX_TILE_MULTIPLY(SUM_11, LEFT_1, RIGHT_1);
                }
            }
        }
    }
}

/* All steps of a panel for two groups (or one), filling the next panel on the way. */
OX_INLINE void multiply_panel(enum format format, size_t X, bool lower, bool second, const struct product *p,
                              const struct block *b, const uint8_t *panel, size_t n_steps, const uint8_t *const *groups,
                              const size_t *n, struct feed *feed)
{
    const size_t W = pieces_of(format);
    const size_t row_bytes[2] = {4 * n[0], 4 * n[1]};
    const uint8_t *right[2] = {groups[0], groups[1]};
    for (size_t s = 0; s < n_steps; s++) {
        multiply_step(W, X, lower, second, panel + s * W * SLOT_BYTES, right, row_bytes);
        right[0] += p->step_bytes * n[0];
        right[1] += p->step_bytes * n[1];
        feed_step(format, p, b, feed);
    }
}

/* The tiles' shapes: n_rows rows (of 32), n[0] and n[1] tokens. */
OX_INLINE void configure(size_t n_rows, const size_t *n)
{
    struct ox_tile_config config = {.palette = 1};
    const size_t rows[2] = {least(n_rows, 16), n_rows > 16 ? n_rows - 16 : 0};
    for (size_t i = 0; i < 2; i++) {
        config.rows[LEFT_0 + i] = (uint8_t)rows[i];
        config.colsb[LEFT_0 + i] = rows[i] > 0 ? OX_TILE_ROW_BYTES : 0;
        config.rows[RIGHT_0 + i] = n[i] > 0 ? OX_TILE_ROWS_MAX : 0;
        config.colsb[RIGHT_0 + i] = (uint16_t)(4 * n[i]);
        for (size_t j = 0; j < 2; j++) {
            const bool there = rows[i] > 0 && n[j] > 0;
            config.rows[SUM_00 + 2 * i + j] = there ? (uint8_t)rows[i] : 0;
            config.colsb[SUM_00 + 2 * i + j] = there ? (uint16_t)(4 * n[j]) : 0;
        }
    }
    ox_tile_configure(&config);
}

/* A tile of sums [rows][n] to y: y[t * y_stride + r] = sums[r][t]. */
static __attribute__((noinline)) void turn_out(const float *sums, size_t rows, size_t n, float *y, size_t y_stride)
{
    ox_vf v[16];
    if (n == 1) {
        memcpy(y, sums, rows * sizeof *y);
        return;
    }
    for (size_t i = 0; i < 16; i++) {
        v[i] = i < rows ? _mm512_maskz_loadu_ps(lanes_of(n), sums + i * n) : ox_v_zero();
    }
    ox_v_transpose(v);
    for (size_t i = 0; i < n; i++) {
        _mm512_mask_storeu_ps(y + i * y_stride, lanes_of(rows), v[i]);
    }
}

/* The way back. */
static __attribute__((noinline)) void turn_in(const float *y, size_t y_stride, size_t rows, size_t n, float *sums)
{
    ox_vf v[16];
    for (size_t i = 0; i < 16; i++) {
        v[i] = i < n ? _mm512_maskz_loadu_ps(lanes_of(rows), y + i * y_stride) : ox_v_zero();
    }
    ox_v_transpose(v);
    for (size_t i = 0; i < rows; i++) {
        _mm512_mask_storeu_ps(sums + i * n, lanes_of(n), v[i]);
    }
}

/* Where four tiles of sums are kept while others are at work: [upper, lower] x [first, second group]. */
struct home {
    float *sums[4];
    size_t stride[4]; /* bytes */
};

OX_INLINE void load_sums(bool lower, bool second, const struct home *home)
{
    OX_TILE_LOAD(SUM_00, home->sums[0], home->stride[0]);
    if (second) {
        OX_TILE_LOAD(SUM_01, home->sums[1], home->stride[1]);
    }
    if (lower) {
        OX_TILE_LOAD(SUM_10, home->sums[2], home->stride[2]);
    }
    if (lower && second) {
        OX_TILE_LOAD(SUM_11, home->sums[3], home->stride[3]);
    }
}

OX_INLINE void store_sums(bool lower, bool second, const struct home *home)
{
    OX_TILE_STORE(SUM_00, home->sums[0], home->stride[0]);
    if (second) {
        OX_TILE_STORE(SUM_01, home->sums[1], home->stride[1]);
    }
    if (lower) {
        OX_TILE_STORE(SUM_10, home->sums[2], home->stride[2]);
    }
    if (lower && second) {
        OX_TILE_STORE(SUM_11, home->sums[3], home->stride[3]);
    }
}

OX_INLINE void zero_sums(bool lower, bool second)
{
    OX_TILE_ZERO(SUM_00);
    if (second) {
        OX_TILE_ZERO(SUM_01);
    }
    if (lower) {
        OX_TILE_ZERO(SUM_10);
    }
    if (lower && second) {
        OX_TILE_ZERO(SUM_11);
    }
}

/* A panel at work. */
struct stage {
    struct place at;
    size_t n_rows; /* of it, at most 32 */
    size_t n_steps;
    const uint8_t *panel;
    bool first; /* of its rows in this block of columns */
    bool last;
    float *sums; /* [groups of the block][2][256] */
};

/* Between blocks of columns whole tiles rest in y as they are, rows of weights as rows of y: the place is the same.
 * Others are turned. home->sums[i] is where tile i is; resting: where y has it. */
OX_INLINE bool rests_whole(size_t rows, size_t n)
{
    return rows == 16 && n == 16;
}

/* The panel x groups [g, g + 2) of the block, or the last one. */
OX_INLINE void multiply_pair(enum format format, size_t X, bool lower, bool second, const struct product *p,
                             const struct block *b, const struct stage *s, size_t g, const size_t *n, struct feed *feed)
{
    const size_t t = b->t + g * OX_GROUP_TOKENS;
    const bool alone = b->n_tokens <= (size_t)2 * OX_GROUP_TOKENS; /* sums stay in their tiles */
    const uint8_t *groups[2];
    struct home here;
    struct home rest;
    float *y[4];
    size_t rows[4];
    for (size_t j = 0; j < 2; j++) {
        const size_t of = t + (j == 1 && second ? OX_GROUP_TOKENS : 0);
        groups[j] = p->x + of * p->token_bytes + (p->skip_bytes + s->at.k / STEP_COLS * p->step_bytes) * n[j];
        for (size_t i = 0; i < 2; i++) {
            const size_t c = 2 * i + j;
            rows[c] = i == 0 ? least(s->n_rows, 16) : s->n_rows - 16;
            y[c] = p->y + of * p->y_stride + s->at.row + (i == 1 && lower ? 16 : 0);
            here.sums[c] = s->sums + ((g + j) * 2 + i) * (OX_TILE_BYTES / sizeof(float));
            here.stride[c] = 4 * n[j];
            rest.sums[c] = rests_whole(rows[c], n[j]) ? y[c] : here.sums[c];
            rest.stride[c] = rests_whole(rows[c], n[j]) ? p->y_stride * sizeof(float) : here.stride[c];
        }
    }
    if (s->first && b->k_begin == 0) {
        zero_sums(lower, second);
    } else if (s->first) {
        for (size_t c = 0; c < 4; c++) {
            if ((c < 2 || lower) && (c % 2 == 0 || second) && rest.sums[c] != y[c]) {
                turn_in(y[c], p->y_stride, rows[c], n[c % 2], rest.sums[c]);
            }
        }
        load_sums(lower, second, &rest);
    } else if (!alone) {
        load_sums(lower, second, &here);
    }
    multiply_panel(format, X, lower, second, p, b, s->panel, s->n_steps, groups, n, feed);
    const bool ends = s->last && b->k_end == p->w.n_cols;
    if (ends || (!s->last && !alone)) {
        store_sums(lower, second, &here);
    } else if (s->last) {
        store_sums(lower, second, &rest);
    }
    for (size_t c = 0; c < 4 && s->last; c++) {
        if ((c < 2 || lower) && (c % 2 == 0 || second) && (ends || rest.sums[c] != y[c])) {
            turn_out(here.sums[c], rows[c], n[c % 2], y[c], p->y_stride);
        }
    }
}

/* The panel x all groups of the block, two at a time; every other panel from the last to the first, so that the tiles'
 * shapes change once a panel at most. */
OX_INLINE void multiply_groups(enum format format, size_t X, const struct product *p, const struct block *b,
                               const struct stage *s, size_t *shape, bool backward, struct feed *feed)
{
    const size_t n_pairs = (b->n_tokens + 2 * OX_GROUP_TOKENS - 1) / (2 * OX_GROUP_TOKENS);
    for (size_t i = 0; i < n_pairs; i++) {
        const size_t g = 2 * (backward ? n_pairs - 1 - i : i);
        const size_t left = b->n_tokens - g * OX_GROUP_TOKENS;
        const size_t n[2] = {least(left, OX_GROUP_TOKENS),
                             left > OX_GROUP_TOKENS ? least(left - OX_GROUP_TOKENS, OX_GROUP_TOKENS) : 0};
        if (shape[0] != s->n_rows || shape[1] != n[0] || shape[2] != n[1]) {
            configure(s->n_rows, n);
            shape[0] = s->n_rows;
            shape[1] = n[0];
            shape[2] = n[1];
        }
        if (s->n_rows > 16 && n[1] > 0) {
            multiply_pair(format, X, true, true, p, b, s, g, n, feed);
        } else if (s->n_rows > 16) {
            multiply_pair(format, X, true, false, p, b, s, g, n, feed);
        } else if (n[1] > 0) {
            multiply_pair(format, X, false, true, p, b, s, g, n, feed);
        } else {
            multiply_pair(format, X, false, false, p, b, s, g, n, feed);
        }
    }
}

/* All rows x one block. */
OX_INLINE void multiply_block(enum format format, size_t X, const struct product *p, const struct block *b)
{
    _Alignas(64) uint8_t panels[2][PANEL_SLOTS * SLOT_BYTES];
    _Alignas(64) float sums[BLOCK_GROUPS * 2 * OX_TILE_BYTES / sizeof(float)];
    const size_t n_pairs = (b->n_tokens + 2 * OX_GROUP_TOKENS - 1) / (2 * OX_GROUP_TOKENS);
    size_t shape[3] = {0};
    size_t i_panel = 0;
    struct place at = {0, b->k_begin};
    struct feed feed = {.at = at, .n_lines = least(p->w.n_rows, PANEL_ROWS), .panel = panels[0]};
    for (size_t i = 0; i < feed.n_lines; i++) {
        fetch_line(format, &p->w, i, at.k, line_length(b, at));
    }
    feed_rest(format, p, b, &feed);
    while (at.row < p->w.n_rows) {
        const struct stage s = {.at = at,
                                .n_rows = least(p->w.n_rows - at.row, PANEL_ROWS),
                                .n_steps = steps_of(line_length(b, at)),
                                .panel = panels[i_panel % 2],
                                .first = at.k == b->k_begin,
                                .last = at.k + b->line_cols >= b->k_end,
                                .sums = sums};
        at = next_place(b, at);
        i_panel++;
        feed =
            (struct feed){.at = at, .rate = PANEL_ROWS * 256 / (n_pairs * s.n_steps) + 1, .panel = panels[i_panel % 2]};
        feed.n_lines = at.row < p->w.n_rows ? least(p->w.n_rows - at.row, PANEL_ROWS) : 0;
        multiply_groups(format, X, p, b, &s, shape, i_panel % 2 == 0, &feed);
        feed_rest(format, p, b, &feed);
    }
}

/* X: pieces of the operand. */
OX_INLINE void multiply(enum format format, size_t X, const struct product *p)
{
    const size_t slots = p->n_tokens <= FEW_TOKENS && format == BF16 ? FEW_SLOTS : MANY_SLOTS;
    const size_t line_cols = slots / pieces_of(format) * STEP_COLS;
    for (size_t t = 0; t < p->n_tokens && p->w.n_rows > 0; t += BLOCK_TOKENS) {
        const size_t n = least(p->n_tokens - t, BLOCK_TOKENS);
        const size_t lines = BLOCK_BYTES / (n * p->step_bytes * (line_cols / STEP_COLS));
        const size_t cols = line_cols * (lines > 0 ? lines : 1);
        for (size_t k = 0; k < p->w.n_cols; k += cols) {
            const struct block b = {
                .t = t, .n_tokens = n, .k_begin = k, .k_end = least(p->w.n_cols, k + cols), .line_cols = line_cols};
            multiply_block(format, X, p, &b);
        }
    }
    ox_tile_release();
}

/* Sums of no terms. */
OX_INLINE void zero_all(size_t n_rows, size_t n_tokens, float *y, size_t y_stride)
{
    for (size_t t = 0; t < n_tokens && n_rows > 0; t++) {
        memset(y + t * y_stride, 0, n_rows * sizeof *y);
    }
}

OX_INLINE void product(enum format format, OX_PRODUCT_PARAMETERS)
{
    if (n_cols == 0) {
        zero_all(n_rows, n_tokens, y, y_stride);
        return;
    }
    const struct product p = {.w = {values, row_bytes, scales, scale_row_bytes, n_rows, n_cols},
                              .x = x,
                              .token_bytes = operand_bytes(n_cols),
                              .step_bytes = OX_TILE_ROW_BYTES,
                              .n_tokens = n_tokens,
                              .y = y,
                              .y_stride = y_stride};
    multiply(format, 1, &p);
}

OX_INLINE void exact(enum format format, OX_PRODUCT_PARAMETERS)
{
    if (n_cols == 0) {
        zero_all(n_rows, n_tokens, y, y_stride);
        return;
    }
    const struct product p = {.w = {values, row_bytes, scales, scale_row_bytes, n_rows, n_cols},
                              .x = x,
                              .token_bytes = exact_bytes(n_cols),
                              .skip_bytes = n_cols * sizeof(float),
                              .step_bytes = PIECES * OX_TILE_ROW_BYTES,
                              .n_tokens = n_tokens,
                              .y = y,
                              .y_stride = y_stride};
    multiply(format, PIECES, &p);
}

typedef void (*product_function)(OX_PRODUCT_PARAMETERS);

/* Weights that take several pieces themselves: the rows of F32 that stand before a group's pieces, at level avx512. */
OX_INLINE void exact_rows(product_function function, OX_PRODUCT_PARAMETERS)
{
    for (size_t t = 0; t < n_tokens; t += OX_GROUP_TOKENS) {
        function(values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x + t * exact_bytes(n_cols),
                 group_tokens(n_tokens, t), y + t * y_stride, y_stride);
    }
}

void OX_LEVEL(ox_product_f32)(OX_PRODUCT_PARAMETERS)
{
    product(F32, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void OX_LEVEL(ox_product_f16)(OX_PRODUCT_PARAMETERS)
{
    product(F16, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void OX_LEVEL(ox_product_bf16)(OX_PRODUCT_PARAMETERS)
{
    product(BF16, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void OX_LEVEL(ox_product_mxfp8)(OX_PRODUCT_PARAMETERS)
{
    product(MXFP8, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void OX_LEVEL(ox_exact_f32)(OX_PRODUCT_PARAMETERS)
{
    exact_rows(OX_LEVEL_NAME(ox_exact_f32, avx512), values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x,
               n_tokens, y, y_stride);
}

void OX_LEVEL(ox_exact_f16)(OX_PRODUCT_PARAMETERS)
{
    exact_rows(OX_LEVEL_NAME(ox_exact_f16, avx512), values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x,
               n_tokens, y, y_stride);
}

void OX_LEVEL(ox_exact_bf16)(OX_PRODUCT_PARAMETERS)
{
    exact(BF16, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}

void OX_LEVEL(ox_exact_mxfp8)(OX_PRODUCT_PARAMETERS)
{
    exact(MXFP8, values, row_bytes, scales, scale_row_bytes, n_rows, n_cols, x, n_tokens, y, y_stride);
}
