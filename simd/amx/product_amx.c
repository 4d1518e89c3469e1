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
 * the second cache while all rows pass; in between, sums rest in y. The operand of many tokens and their sums pass by
 * the first cache (OX_TILE_STREAM), which keeps the panels.
 *
 * Cycles of a panel of 16 slots, from the instructions' throughput on Sapphire Rapids: 1024 for each two groups; filling
 * about 600 (BF16) and 1500 (MXFP8), beside them.
 *
 * Measured on one thread of a Sapphire Rapids (2026-11), MXFP8, shares of the loop of tile multiplications alone: its core
 * to itself, 256 tokens 0.42 to 0.52, 64 tokens 0.37 to 0.40 (without streaming and with calls for each line 0.35 to
 * 0.38 and 0.28 to 0.31). When another hyperthread works on the core, tile loads and multiplications no longer overlap:
 * four of each from the first cache reach 0.22 to 0.25 of the same, and this 0.15 to 0.18.
 */
#include "simd/amx/panel_amx.h"

/* Tokens that share a filled panel; a multiple of 32. 512 are no faster. */
#define BLOCK_TOKENS 256
#define BLOCK_GROUPS (BLOCK_TOKENS / OX_GROUP_TOKENS)
/* Most bytes of the operand that all rows pass by, of a second cache of 2 MiB; of many tokens' the next block comes in
 * meanwhile. */
#define BLOCK_BYTES ((size_t)512 << 10)
#define SOME_BLOCK_BYTES ((size_t)768 << 10)
/* Up to so many tokens a product of BF16 weights is bound by memory: short panels, which stay in the first cache beside
 * the one that is filled (1.13 of what the plain read loop gets, against 0.94 with long ones). */
#define FEW_TOKENS 64
#define FEW_SLOTS 4
/* Up to so many tokens filling weighs as much as multiplying: panels that stay in the first cache. */
#define SOME_TOKENS 128
#define SOME_SLOTS 8
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
    size_t line_cols;   /* columns of a panel */
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
};

/* Where a panel begins; behind the last one b.t is n_tokens. */
struct place {
    struct block b;
    size_t row;
    size_t k;
};

/* The panel that is being filled and the one behind it that is asked for, a line at a time. */
struct feed {
    struct line line; /* to be filled next */
    size_t n_cols;
    size_t n_left; /* lines to be filled yet */
    uint8_t *to;
    struct line ahead; /* to be asked for next */
    size_t n_ahead_cols;
    size_t n_ahead;
    size_t rate;   /* lines for one step, times 256 */
    size_t credit; /* lines that are due, times 256 */
};

OX_INLINE struct block block_at(const struct product *p, size_t t, size_t k)
{
    struct block b = {.t = t, .n_tokens = least(p->n_tokens - t, BLOCK_TOKENS), .k_begin = k};
    const size_t line_bytes = b.n_tokens * p->step_bytes * (p->line_cols / STEP_COLS);
    const size_t n_lines = (p->n_tokens > SOME_TOKENS ? BLOCK_BYTES : SOME_BLOCK_BYTES) / larger(line_bytes, 1);
    b.k_end = least(p->w.n_cols, k + p->line_cols * larger(n_lines, 1));
    return b;
}

OX_INLINE bool is_end(const struct product *p, const struct place *at)
{
    return at->b.t >= p->n_tokens;
}

OX_INLINE struct block next_block(const struct product *p, const struct block *b)
{
    return b->k_end < p->w.n_cols ? block_at(p, b->t, b->k_end) : block_at(p, b->t + b->n_tokens, 0);
}

/* Panels come in this order: columns of the block, rows, blocks of columns, blocks of tokens. */
OX_INLINE struct place next_place(const struct product *p, const struct place *at)
{
    struct place next = *at;
    next.k += p->line_cols;
    if (next.k >= next.b.k_end) {
        next.k = next.b.k_begin;
        next.row += PANEL_ROWS;
    }
    if (next.row >= p->w.n_rows) {
        next.b = next_block(p, &at->b);
        next.row = 0;
        next.k = next.b.k_begin;
    }
    return next;
}

OX_INLINE size_t line_length(const struct product *p, const struct place *at)
{
    return least(at->b.k_end - at->k, p->line_cols);
}

/* Fill the next n lines, and ask for those that will be filled a panel later. */
OX_INLINE void feed_inline(enum format format, const struct weights *w, size_t n, struct feed *feed)
{
    for (size_t i = 0; i < n; i++) {
        if (feed->n_ahead > 0) {
            fetch_line(format, feed->ahead, feed->n_ahead_cols);
            feed->ahead = line_below(format, w, feed->ahead);
            feed->n_ahead--;
        }
        fill_line(format, feed->line, feed->n_cols, feed->to);
        feed->line = line_below(format, w, feed->line);
        feed->to += OX_TILE_ROW_BYTES;
    }
    feed->n_left -= n;
}

/* Calls, for all but the loops that count: those below exist five times each. */
static __attribute__((noinline)) void feed_f32(const struct weights *w, size_t n, struct feed *feed)
{
    feed_inline(F32, w, n, feed);
}

static __attribute__((noinline)) void feed_f16(const struct weights *w, size_t n, struct feed *feed)
{
    feed_inline(F16, w, n, feed);
}

static __attribute__((noinline)) void feed_bf16(const struct weights *w, size_t n, struct feed *feed)
{
    feed_inline(BF16, w, n, feed);
}

static __attribute__((noinline)) void feed_mxfp8(const struct weights *w, size_t n, struct feed *feed)
{
    feed_inline(MXFP8, w, n, feed);
}

OX_INLINE void feed_lines(enum format format, const struct weights *w, size_t n, struct feed *feed)
{
    switch (format) {
    case F32:
        feed_f32(w, n, feed);
        break;
    case F16:
        feed_f16(w, n, feed);
        break;
    case BF16:
        feed_bf16(w, n, feed);
        break;
    case MXFP8:
    default:
        feed_mxfp8(w, n, feed);
        break;
    }
}

OX_INLINE void feed_step(enum format format, bool many, const struct weights *w, struct feed *feed)
{
    feed->credit += feed->rate;
    const size_t n = least(feed->credit / 256, feed->n_left);
    if (n == 0) {
        return;
    }
    feed->credit -= n * 256;
    if (many) {
        feed_inline(format, w, n, feed);
    } else {
        feed_lines(format, w, n, feed);
    }
}

/* many: more tokens than two groups, whose operand passes by without coming back soon. */
OX_INLINE void load_right(bool many, bool second, const uint8_t *from, size_t row_bytes)
{
    if (many && second) {
        OX_TILE_STREAM(RIGHT_1, from, row_bytes);
    } else if (second) {
        OX_TILE_LOAD(RIGHT_1, from, row_bytes);
    } else if (many) {
        OX_TILE_STREAM(RIGHT_0, from, row_bytes);
    } else {
        OX_TILE_LOAD(RIGHT_0, from, row_bytes);
    }
}

/* One step: W slots of the panel x X pieces of the operand, into 2 x 2 sums, or fewer. */
OX_INLINE void multiply_step(size_t W, size_t X, bool lower, bool second, bool many, const uint8_t *panel,
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
                load_right(many, false, right[0] + j * 16 * row_bytes[0], row_bytes[0]);
            }
            OX_TILE_MULTIPLY(SUM_00, LEFT_0, RIGHT_0);
            if (lower) {
                OX_TILE_MULTIPLY(SUM_10, LEFT_1, RIGHT_0);
            }
            if (second) {
                if (i == 0 || X > 1) {
                    load_right(many, true, right[1] + j * 16 * row_bytes[1], row_bytes[1]);
                }
                OX_TILE_MULTIPLY(SUM_01, LEFT_0, RIGHT_1);
                if (lower) {
                    OX_TILE_MULTIPLY(SUM_11, LEFT_1, RIGHT_1);
                }
            }
        }
    }
}

/* What of the next block's operand is asked for on the way: for each of two groups, lines of 64 bytes. */
struct fetch {
    const uint8_t *from[2];
    size_t n_lines;
};

/* All steps of a panel for two groups (or one), filling the next panel on the way. */
OX_INLINE void multiply_panel(enum format format, size_t X, bool lower, bool second, bool many,
                              const struct product *p, const uint8_t *panel, size_t n_steps,
                              const uint8_t *const *groups, const size_t *n, const struct fetch *fetch,
                              struct feed *feed)
{
    const size_t W = pieces_of(format);
    const size_t row_bytes[2] = {4 * n[0], 4 * n[1]};
    const uint8_t *right[2] = {groups[0], groups[1]};
    const struct weights w = p->w;
    struct feed fed = *feed;
    for (size_t s = 0, line = 0; s < n_steps; s++) {
        multiply_step(W, X, lower, second, many, panel + s * W * SLOT_BYTES, right, row_bytes);
        right[0] += p->step_bytes * n[0];
        right[1] += p->step_bytes * n[1];
        feed_step(format, many, &w, &fed);
        for (; many && line * n_steps < fetch->n_lines * (s + 1); line++) {
            _mm_prefetch((const void *)(fetch->from[0] + line * 64), _MM_HINT_T1);
            _mm_prefetch((const void *)(fetch->from[1] + line * 64), _MM_HINT_T1);
        }
    }
    *feed = fed;
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

OX_INLINE void load_sums(bool lower, bool second, bool many, const struct home *home)
{
    if (many) {
        OX_TILE_STREAM(SUM_00, home->sums[0], home->stride[0]);
        OX_TILE_STREAM(SUM_10, home->sums[2], home->stride[2]);
        OX_TILE_STREAM(SUM_01, home->sums[1], home->stride[1]);
        OX_TILE_STREAM(SUM_11, home->sums[3], home->stride[3]);
        return;
    }
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
    float *sums;        /* [groups of the block][2][256] */
    struct block after; /* whose operand comes next */
    size_t i_panel;     /* of n_panels in the block */
    size_t n_panels;
};

OX_INLINE size_t panels_of(size_t n, size_t length)
{
    return (n + length - 1) / length;
}

OX_INLINE struct stage stage_at(const struct product *p, const struct place *at, const uint8_t *panel, float *sums)
{
    const struct block *b = &at->b;
    const size_t n_lines = panels_of(b->k_end - b->k_begin, p->line_cols);
    return (struct stage){.at = *at,
                          .n_rows = least(p->w.n_rows - at->row, PANEL_ROWS),
                          .n_steps = steps_of(line_length(p, at)),
                          .panel = panel,
                          .first = at->k == b->k_begin,
                          .last = at->k + p->line_cols >= b->k_end,
                          .sums = sums,
                          .after = next_block(p, b),
                          .i_panel = at->row / PANEL_ROWS * n_lines + (at->k - b->k_begin) / p->line_cols,
                          .n_panels = panels_of(p->w.n_rows, PANEL_ROWS) * n_lines};
}

/* Where the operand of the group of n tokens that begins at token t has its column k. */
OX_INLINE const uint8_t *right_at(const struct product *p, size_t t, size_t n, size_t k)
{
    return p->x + t * p->token_bytes + (p->skip_bytes + k / STEP_COLS * p->step_bytes) * n;
}

/* This panel's part of the next block's operand, of whole groups [g, g + 2). */
OX_INLINE struct fetch fetch_at(const struct product *p, const struct stage *s, size_t g)
{
    const struct block *b = &s->after;
    struct fetch fetch = {.n_lines = 0};
    if ((g + 2) * OX_GROUP_TOKENS <= b->n_tokens && b->t < p->n_tokens) {
        const size_t bytes = steps_of(b->k_end - b->k_begin) * p->step_bytes * OX_GROUP_TOKENS;
        const size_t begin = bytes / 64 * s->i_panel / s->n_panels;
        fetch.n_lines = bytes / 64 * (s->i_panel + 1) / s->n_panels - begin;
        for (size_t j = 0; j < 2; j++) {
            fetch.from[j] =
                right_at(p, b->t + (g + j) * OX_GROUP_TOKENS, OX_GROUP_TOKENS, b->k_begin) + begin * 64;
        }
    }
    return fetch;
}

/* Between blocks of columns whole tiles rest in y as they are, rows of weights as rows of y: the place is the same.
 * Others are turned. home->sums[i] is where tile i is; resting: where y has it. */
OX_INLINE bool rests_whole(size_t rows, size_t n)
{
    return rows == 16 && n == 16;
}

/* The panel x groups [g, g + 2) of the block, or the last one. */
OX_INLINE void multiply_pair(enum format format, size_t X, bool lower, bool second, bool many, const struct product *p,
                             const struct stage *s, size_t g, const size_t *n, struct feed *feed)
{
    const struct block *b = &s->at.b;
    const size_t t = b->t + g * OX_GROUP_TOKENS;
    const bool alone = b->n_tokens <= (size_t)2 * OX_GROUP_TOKENS; /* sums stay in their tiles */
    const struct fetch fetch = many ? fetch_at(p, s, g) : (struct fetch){.n_lines = 0};
    const uint8_t *groups[2];
    struct home here;
    struct home rest;
    float *y[4];
    size_t rows[4];
    for (size_t j = 0; j < 2; j++) {
        const size_t of = t + (j == 1 && second ? OX_GROUP_TOKENS : 0);
        groups[j] = right_at(p, of, n[j], s->at.k);
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
        load_sums(lower, second, many, &rest);
    } else if (!alone) {
        load_sums(lower, second, many, &here);
    }
    multiply_panel(format, X, lower, second, many, p, s->panel, s->n_steps, groups, n, &fetch, feed);
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
OX_INLINE void multiply_groups(enum format format, size_t X, const struct product *p, const struct stage *s,
                               size_t *shape, bool backward, struct feed *feed)
{
    const size_t n_tokens = s->at.b.n_tokens;
    const size_t n_pairs = panels_of(n_tokens, 2 * OX_GROUP_TOKENS);
    for (size_t i = 0; i < n_pairs; i++) {
        const size_t g = 2 * (backward ? n_pairs - 1 - i : i);
        const size_t left = n_tokens - g * OX_GROUP_TOKENS;
        const size_t n[2] = {least(left, OX_GROUP_TOKENS),
                             left > OX_GROUP_TOKENS ? least(left - OX_GROUP_TOKENS, OX_GROUP_TOKENS) : 0};
        if (shape[0] != s->n_rows || shape[1] != n[0] || shape[2] != n[1]) {
            configure(s->n_rows, n);
            shape[0] = s->n_rows;
            shape[1] = n[0];
            shape[2] = n[1];
        }
        if (s->n_rows > 16 && n[1] > 0 && n_pairs > 1) {
            multiply_pair(format, X, true, true, true, p, s, g, n, feed);
        } else if (s->n_rows > 16 && n[1] > 0) {
            multiply_pair(format, X, true, true, false, p, s, g, n, feed);
        } else if (s->n_rows > 16) {
            multiply_pair(format, X, true, false, false, p, s, g, n, feed);
        } else if (n[1] > 0) {
            multiply_pair(format, X, false, true, false, p, s, g, n, feed);
        } else {
            multiply_pair(format, X, false, false, false, p, s, g, n, feed);
        }
    }
}

/* The panel at a place (which may be the end), to be filled within n_steps, and the one behind it, to be asked for. */
OX_INLINE struct feed feed_of(enum format format, const struct product *p, const struct place *at, uint8_t *panel,
                              size_t n_steps)
{
    struct feed feed = {.to = panel};
    if (is_end(p, at)) {
        return feed;
    }
    feed.n_left = least(p->w.n_rows - at->row, PANEL_ROWS);
    feed.n_cols = line_length(p, at);
    feed.line = line_at(format, &p->w, at->row, at->k);
    feed.rate = PANEL_ROWS * 256 / larger(n_steps, 1) + 1;
    const struct place after = next_place(p, at);
    if (!is_end(p, &after)) {
        feed.n_ahead = least(p->w.n_rows - after.row, PANEL_ROWS);
        feed.n_ahead_cols = line_length(p, &after);
        feed.ahead = line_at(format, &p->w, after.row, after.k);
    }
    return feed;
}

/* X: pieces of the operand. */
OX_INLINE void multiply(enum format format, size_t X, const struct product *p)
{
    _Alignas(64) uint8_t panels[2][PANEL_SLOTS * SLOT_BYTES];
    _Alignas(64) float sums[BLOCK_GROUPS * 2 * OX_TILE_BYTES / sizeof(float)];
    size_t shape[3] = {0};
    struct place at = {.b = block_at(p, 0, 0)};
    struct feed feed = feed_of(format, p, &at, panels[0], 0);
    for (size_t i = 0; i < feed.n_left; i++) {
        fetch_line(format, line_at(format, &p->w, i, 0), feed.n_cols);
    }
    feed_lines(format, &p->w, feed.n_left, &feed);
    for (size_t i = 0; !is_end(p, &at); i++) {
        const struct stage s = stage_at(p, &at, panels[i % 2], sums);
        at = next_place(p, &at);
        feed = feed_of(format, p, &at, panels[(i + 1) % 2], panels_of(s.at.b.n_tokens, 2 * OX_GROUP_TOKENS) * s.n_steps);
        multiply_groups(format, X, p, &s, shape, i % 2 == 1, &feed);
        feed_lines(format, &p->w, feed.n_left, &feed);
    }
    ox_tile_release();
}

/* Columns of a panel. */
OX_INLINE size_t panel_cols(enum format format, size_t n_tokens)
{
    size_t slots = MANY_SLOTS;
    if (n_tokens <= FEW_TOKENS && format == BF16) {
        slots = FEW_SLOTS;
    } else if (n_tokens <= SOME_TOKENS) {
        slots = SOME_SLOTS;
    }
    return slots / pieces_of(format) * STEP_COLS;
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
    if (n_cols == 0 || n_rows == 0 || n_tokens == 0) {
        zero_all(n_rows, n_tokens, y, y_stride);
        return;
    }
    const struct product p = {.w = {values, row_bytes, scales, scale_row_bytes, n_rows, n_cols},
                              .x = x,
                              .token_bytes = operand_bytes(n_cols),
                              .step_bytes = OX_TILE_ROW_BYTES,
                              .line_cols = panel_cols(format, n_tokens),
                              .n_tokens = n_tokens,
                              .y = y,
                              .y_stride = y_stride};
    multiply(format, 1, &p);
}

OX_INLINE void exact(enum format format, OX_PRODUCT_PARAMETERS)
{
    if (n_cols == 0 || n_rows == 0 || n_tokens == 0) {
        zero_all(n_rows, n_tokens, y, y_stride);
        return;
    }
    const struct product p = {.w = {values, row_bytes, scales, scale_row_bytes, n_rows, n_cols},
                              .x = x,
                              .token_bytes = exact_bytes(n_cols),
                              .skip_bytes = n_cols * sizeof(float),
                              .step_bytes = PIECES * OX_TILE_ROW_BYTES,
                              .line_cols = panel_cols(format, n_tokens),
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
