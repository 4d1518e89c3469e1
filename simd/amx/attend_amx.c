/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over one block at level amx; equal to simd/c/attend_c.c within BOUND, queries being what their operand
 * holds, weights exp(score - max) rounded to BF16 where they meet the values, subnormal numbers counting as 0.
 *
 * Sixteen heads are a tile's width (fewer are filled up with zeros). Scores: 16 keys, as they lie in the cache, x the
 * queries, one chain over the dimensions in order; they stand as [keys][heads], so that maximum, exp and sum need no
 * work across lanes. Sums: [heads][32 keys] x [32 keys][16 dimensions], for which the values are paired once a call,
 * for all its tokens. While the weights of one token are made, so are the scores of the next and the sums of the one
 * before: vectors and tiles work at once. Only keys that a token sees take part, so it gets the same bits whatever else
 * the block holds. All tiles have one shape.
 *
 * Cycles of a token with 16 heads, 128 keys of 128 dimensions, from the instructions' throughput on Sapphire Rapids:
 * about 1000 for the weights, and meanwhile 512 for scores and 512 for sums; pairing 512 a call.
 *
 * A cache of F32, and a dim that no step divides, go level avx512's way.
 */
#include <math.h>

#include "simd/amx/vector_amx.h"
#include "simd/wide/exp_wide.inc"

/* Tiles: sums, left sides, right sides. */
#define SUM_0 0
#define SUM_1 1
#define SUM_2 2
#define SUM_3 3
#define LEFT_0 4
#define LEFT_1 5
#define RIGHT_0 6
#define RIGHT_1 7

#define HEADS OX_GROUP_TOKENS

/* A call's block and its scratch. */
struct block {
    const uint8_t *keys;
    const uint8_t *values;
    size_t n_keys;
    size_t n_used; /* that some token sees */
    size_t dim;
    float scale;
    uint8_t *pairs;      /* values [32-key steps][dim / 16][16 pairs of keys][16][2] */
    uint8_t *tail;       /* the last keys, if 16 do not divide their number */
    uint8_t *queries[2]; /* of a unit, filled up to 16 heads; of two units in turn */
    float *scores[2];    /* [keys rounded up to 32][16 heads]; the same */
    uint8_t *weights[2]; /* [16 heads][keys rounded up to 32] bf16; the same */
    float *sums;         /* [16 heads][dim] */
};

/* Up to 16 heads of a token. */
struct unit {
    size_t t;
    size_t head;
    size_t n_heads;
    size_t n_seen;
    const uint8_t *q; /* 16 heads wide */
    float *scores;
    uint8_t *weights;
    struct ox_softmax part[HEADS]; /* once they are made */
};

OX_INLINE size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* The parts of the scratch, each a multiple of 64 bytes. */
enum part { PAIRS, TAIL, QUERIES, SCORES, WEIGHTS, SUMS, N_PARTS };

/* Where each begins; at[N_PARTS]: their bytes. */
OX_INLINE void lay_out(size_t n_keys, size_t dim, size_t *at)
{
    const size_t keys = round_up(n_keys, 32);
    const size_t bytes[N_PARTS] = {[PAIRS] = keys * dim * 2,         [TAIL] = 16 * dim * 2,
                                   [QUERIES] = 2 * HEADS * dim * 2,  [SCORES] = 2 * keys * HEADS * sizeof(float),
                                   [WEIGHTS] = 2 * keys * HEADS * 2, [SUMS] = HEADS * dim * sizeof(float)};
    at[0] = 0;
    for (size_t i = 0; i < N_PARTS; i++) {
        at[i + 1] = at[i] + bytes[i];
    }
}

/* Queries that level avx512 gets at a time, which turns keys once for all of them. */
#define ROWS 64

/* Tokens whose queries these are, one at least. */
OX_INLINE size_t row_tokens(size_t n_heads)
{
    return n_heads > 0 && n_heads < ROWS ? ROWS / n_heads : 1;
}

/* Their queries as rows of F32; level avx512's scratch stands behind them. */
OX_INLINE size_t rows_bytes(size_t n_heads, size_t dim)
{
    return round_up(row_tokens(n_heads) * n_heads * dim * sizeof(float), OX_ALIGN);
}

size_t OX_LEVEL(ox_attend_room)(size_t n_heads, size_t n_keys, size_t dim)
{
    size_t at[N_PARTS + 1];
    lay_out(n_keys, dim, at);
    const size_t tiles = dim % STEP_COLS == 0 ? at[N_PARTS] : 0;
    const size_t rows = rows_bytes(n_heads, dim) + OX_LEVEL_NAME(ox_attend_room, avx512)(n_heads, n_keys, dim);
    return larger(tiles, rows);
}

/* ---- running softmaxes: level avx512's bits, 16 heads in a vector ------------------------------------------------ */

/* What a sum that was taken relative to `max` is worth relative to `largest`. */
OX_INLINE ox_vf worth(ox_vf max, ox_vf largest)
{
    const __mmask16 same = _mm512_cmp_ps_mask(max, largest, _CMP_EQ_OQ); /* also where both are infinite */
    return _mm512_mask_mov_ps(ox_exp_wide(ox_v_sub(max, largest)), same, ox_v_set(1.0F));
}

/* n <= 16 softmaxes: their maxima and sums. */
OX_INLINE void load_soft(const struct ox_softmax *soft, size_t n, ox_vf *max, ox_vf *sum)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const ox_vf low = _mm512_maskz_loadu_ps(lanes_of(2 * n), soft);
    const ox_vf high = n > 8 ? _mm512_maskz_loadu_ps(lanes_of(2 * n - 16), soft + 8) : ox_v_zero();
    *max = _mm512_permutex2var_ps(low, even, high);
    *sum = _mm512_permutex2var_ps(low, odd, high);
}

OX_INLINE void store_soft(struct ox_softmax *soft, size_t n, ox_vf max, ox_vf sum)
{
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    _mm512_mask_storeu_ps(soft, lanes_of(2 * n), _mm512_permutex2var_ps(max, low, sum));
    if (n > 8) {
        _mm512_mask_storeu_ps(soft + 8, lanes_of(2 * n - 16), _mm512_permutex2var_ps(max, high, sum));
    }
}

/* sum <- sum * old + part_sum * new */
OX_INLINE void merge_sums(float *sum, float old, const float *part_sum, float new, size_t dim)
{
    for (size_t k = 0; k < dim; k += 16) {
        const __mmask16 lanes = lanes_of(dim - k);
        const ox_vf scaled = ox_v_mul(_mm512_maskz_loadu_ps(lanes, sum + k), ox_v_set(old));
        const ox_vf part = _mm512_maskz_loadu_ps(lanes, part_sum + k);
        _mm512_mask_storeu_ps(sum + k, lanes, ox_v_fma(part, ox_v_set(new), scaled));
    }
}

void OX_LEVEL(ox_attend_merge)(struct ox_softmax *OX_RESTRICT into, float *OX_RESTRICT sum,
                               const struct ox_softmax *OX_RESTRICT part, const float *OX_RESTRICT part_sum, size_t n,
                               size_t dim)
{
    for (size_t i = 0; i < n; i += HEADS) {
        const size_t here = least(n - i, HEADS);
        float old[HEADS];
        float new[HEADS];
        ox_vf max[2];
        ox_vf total[2];
        load_soft(into + i, here, &max[0], &total[0]);
        load_soft(part + i, here, &max[1], &total[1]);
        const ox_vf largest = ox_v_max(max[1], max[0]);
        const ox_vf factors[2] = {worth(max[0], largest), worth(max[1], largest)};
        const ox_vf scaled = ox_v_mul(total[0], factors[0]);
        store_soft(into + i, here, largest, ox_v_add(scaled, ox_v_mul(total[1], factors[1])));
        ox_v_store(old, factors[0]);
        ox_v_store(new, factors[1]);
        for (size_t h = 0; h < here; h++) {
            merge_sums(sum + (i + h) * dim, old[h], part_sum + (i + h) * dim, new[h], dim);
        }
    }
}

/* Rounded by hand: the BF16 unit takes subnormal numbers for 0. */
void OX_LEVEL(ox_store_bf16)(const float *OX_RESTRICT x, size_t n, void *OX_RESTRICT out)
{
    const __m512i half = _mm512_set1_epi32(0x7FFF);
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 lanes = lanes_of(n - i);
        const ox_vf v = _mm512_maskz_loadu_ps(lanes, x + i);
        const __m512i upper = _mm512_srli_epi32(bits_of(v), 16);
        const __m512i last = _mm512_and_si512(upper, _mm512_set1_epi32(1));
        const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(bits_of(v), half), last);
        const __m512i nearest = _mm512_srli_epi32(sum, 16);
        const __mmask16 none = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        const __m512i word = _mm512_mask_or_epi32(nearest, none, upper, _mm512_set1_epi32(0x40));
        _mm256_mask_storeu_epi16((uint8_t *)out + 2 * i, lanes, _mm512_cvtepi32_epi16(word));
    }
}

/* ---- level avx512's way ----------------------------------------------------------------------------------------- */

/* A token's operand as rows of F32. */
OX_INLINE void unpack(const uint8_t *q, size_t n_heads, size_t dim, float *rows)
{
    for (size_t h = 0; h < n_heads; h++) {
        const size_t g = h / HEADS * HEADS;
        const size_t n = group_tokens(n_heads, g);
        const uint8_t *group = q + g * operand_bytes(dim);
        for (size_t k = 0; k < dim; k++) {
            struct ox_bf16 x;
            memcpy(&x, group + (k / 2 * n + (h - g)) * 4 + k % 2 * 2, sizeof x);
            rows[h * dim + k] = ox_f32_from_bf16(x);
        }
    }
}

typedef void (*attend_function)(OX_ATTEND_PARAMETERS);

OX_INLINE void attend_rows(attend_function function, OX_ATTEND_PARAMETERS)
{
    float *rows = room;
    const uint8_t *queries[ROWS];
    for (size_t t0 = 0; t0 < n_tokens; t0 += row_tokens(n_heads)) {
        const size_t n = least(n_tokens - t0, row_tokens(n_heads));
        for (size_t t = 0; t < n; t++) {
            float *to = rows + t * n_heads * dim;
            unpack(q[t0 + t], n_heads, dim, to);
            queries[t] = (const uint8_t *)to;
        }
        function(queries, gathered + t0, n_seen + t0, n, n_heads, keys, values, n_keys, dim, scale,
                 (uint8_t *)room + rows_bytes(n_heads, dim));
    }
}

void OX_LEVEL(ox_attend_f32)(OX_ATTEND_PARAMETERS)
{
    attend_rows(OX_LEVEL_NAME(ox_attend_f32, avx512), q, gathered, n_seen, n_tokens, n_heads, keys, values, n_keys, dim,
                scale, room);
}

/* ---- tiles ------------------------------------------------------------------------------------------------------ */

OX_INLINE void configure(void)
{
    struct ox_tile_config config = {.palette = 1};
    for (size_t i = 0; i < 8; i++) {
        config.rows[i] = OX_TILE_ROWS_MAX;
        config.colsb[i] = OX_TILE_ROW_BYTES;
    }
    ox_tile_configure(&config);
}

/* 32 dimensions of two rows of values as two rows of right sides, of 16 dimensions each. */
OX_INLINE void pair_rows(__m512i a, __m512i b, uint8_t *first, uint8_t *second)
{
    const __m512i low =
        _mm512_set_epi32(0x2F000F, 0x2E000E, 0x2D000D, 0x2C000C, 0x2B000B, 0x2A000A, 0x290009, 0x280008, 0x270007,
                         0x260006, 0x250005, 0x240004, 0x230003, 0x220002, 0x210001, 0x200000);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    _mm512_storeu_si512((void *)first, _mm512_permutex2var_epi16(a, low, b));
    _mm512_storeu_si512((void *)second, _mm512_permutex2var_epi16(a, high, b));
}

/* The values that are used to pairs, zeros up to a step. Keys come from memory meanwhile. */
OX_INLINE void pair_values(const struct block *b)
{
    const size_t row_bytes = b->dim * 2;
    for (size_t j = 0; j < round_up(b->n_used, 32); j += 2) {
        uint8_t *to = b->pairs + j / 32 * 32 * row_bytes + j % 32 / 2 * OX_TILE_ROW_BYTES;
        for (size_t k = 0; k < row_bytes; k += 64) {
            const uint8_t *from = b->values + j * row_bytes + k;
            const __m512i even = j < b->n_used ? _mm512_loadu_si512((const void *)from) : _mm512_setzero_si512();
            const __m512i odd =
                j + 1 < b->n_used ? _mm512_loadu_si512((const void *)(from + row_bytes)) : _mm512_setzero_si512();
            if (j + 1 < b->n_used) {
                _mm_prefetch((const void *)(b->keys + j * row_bytes + k), _MM_HINT_T1);
                _mm_prefetch((const void *)(b->keys + (j + 1) * row_bytes + k), _MM_HINT_T1);
            }
            pair_rows(even, odd, to + k / 32 * OX_TILE_BYTES, to + (k / 32 + 1) * OX_TILE_BYTES);
        }
    }
}

/* Where 16 keys from j on lie; behind the last complete ones, in the tail. */
OX_INLINE const uint8_t *key_tile(const struct block *b, size_t j)
{
    return j + 16 <= b->n_keys ? b->keys + j * b->dim * 2 : b->tail;
}

/* Behind the last keys the tail stays as it is: those scores are nobody's. */
OX_INLINE void fill_tail(const struct block *b)
{
    const size_t row_bytes = b->dim * 2;
    const size_t n = b->n_keys % 16;
    memcpy(b->tail, b->keys + (b->n_keys - n) * row_bytes, n * row_bytes);
}

/* Queries of n heads as right sides of 16: as they are, or in `full`. */
OX_INLINE const uint8_t *full_queries(const struct block *b, const uint8_t *q, size_t n, uint8_t *full)
{
    if (n == HEADS) {
        return q;
    }
    for (size_t i = 0; i < b->dim / 2; i++) {
        const __m512 row = _mm512_maskz_loadu_ps(lanes_of(n), q + i * 4 * n);
        _mm512_storeu_ps((void *)(full + i * OX_TILE_ROW_BYTES), row);
    }
    return full;
}

/* Scores of T (1, 2, 4) x 16 keys from j on. */
OX_INLINE void score_tiles(const struct block *b, const struct unit *unit, size_t T, size_t j)
{
    const size_t row_bytes = b->dim * 2;
    float *to = unit->scores + j * HEADS;
    const uint8_t *keys[4];
    for (size_t i = 0; i < T; i++) {
        keys[i] = key_tile(b, j + 16 * i);
    }
    OX_TILE_ZERO(SUM_0);
    OX_TILE_ZERO(SUM_1);
    if (T > 2) { /* else others' */
        OX_TILE_ZERO(SUM_2);
        OX_TILE_ZERO(SUM_3);
    }
    for (size_t k = 0; k < row_bytes; k += OX_TILE_ROW_BYTES) {
        OX_TILE_LOAD(RIGHT_0, unit->q + k * 16, OX_TILE_ROW_BYTES);
        OX_TILE_LOAD(LEFT_0, keys[0] + k, row_bytes);
        OX_TILE_MULTIPLY(SUM_0, LEFT_0, RIGHT_0);
        if (T > 1) {
            OX_TILE_LOAD(LEFT_1, keys[1] + k, row_bytes);
            OX_TILE_MULTIPLY(SUM_1, LEFT_1, RIGHT_0);
        }
        if (T > 2) {
            OX_TILE_LOAD(LEFT_0, keys[2] + k, row_bytes);
            OX_TILE_MULTIPLY(SUM_2, LEFT_0, RIGHT_0);
            OX_TILE_LOAD(LEFT_1, keys[3] + k, row_bytes);
            OX_TILE_MULTIPLY(SUM_3, LEFT_1, RIGHT_0);
        }
    }
    OX_TILE_STORE(SUM_0, to, OX_TILE_ROW_BYTES);
    if (T > 1) {
        OX_TILE_STORE(SUM_1, to + 16 * HEADS, OX_TILE_ROW_BYTES);
    }
    if (T > 2) {
        OX_TILE_STORE(SUM_2, to + 32 * HEADS, OX_TILE_ROW_BYTES);
        OX_TILE_STORE(SUM_3, to + 48 * HEADS, OX_TILE_ROW_BYTES);
    }
}

/* Of the next 32 keys, if the unit (or NULL) sees them. */
OX_INLINE void score_step(const struct block *b, const struct unit *unit, size_t j)
{
    if (unit == NULL || j >= unit->n_seen) {
        return;
    }
    if (j + 16 < unit->n_seen) {
        score_tiles(b, unit, 2, j);
    } else {
        score_tiles(b, unit, 1, j);
    }
}

/* 2^y, 0 below y = -126, NaN stays NaN. A polynomial of degree 5 for y's fraction: largest relative error over [0, 1)
 * 7.5e-8, in F32 1.5e-7. */
OX_INLINE ox_vf power_of_two(ox_vf y)
{
    const ox_vf f = _mm512_reduce_ps(y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const __mmask16 kept = _mm512_cmp_ps_mask(y, ox_v_set(-126.0F), _CMP_NLT_UQ);
    ox_vf p = ox_v_set(1.87757669e-3F);
    p = ox_v_fma(p, f, ox_v_set(8.98933969e-3F));
    p = ox_v_fma(p, f, ox_v_set(5.58263175e-2F));
    p = ox_v_fma(p, f, ox_v_set(2.40153611e-1F));
    p = ox_v_fma(p, f, ox_v_set(6.93153083e-1F));
    p = ox_v_fma(p, f, ox_v_set(9.9999994e-1F));
    return _mm512_maskz_mov_ps(kept, _mm512_scalef_ps(p, y));
}

/* Two keys' weights of 16 heads in pairs. */
OX_INLINE __m512i pair_weights(ox_vf even, ox_vf odd)
{
    const __m512i order =
        _mm512_set_epi32(0x1F000F, 0x1E000E, 0x1D000D, 0x1C000C, 0x1B000B, 0x1A000A, 0x190009, 0x180008, 0x170007,
                         0x160006, 0x150005, 0x140004, 0x130003, 0x120002, 0x110001, 0x100000);
    return _mm512_permutexvar_epi16(order, round_pairs(even, odd));
}

/* Sums of weights over the even and the odd keys. */
struct weighing {
    ox_vf factor; /* of scores, to powers of two */
    ox_vf offset;
    ox_vf sums[2];
};

/* Scores of N keys, of 32 from j on, to their weights, zeros behind them. */
OX_INLINE void weigh_step(const struct block *b, const struct unit *unit, size_t N, size_t j, struct weighing *w)
{
    const size_t weights_bytes = round_up(b->n_keys, 32) * 2;
    ox_vf pairs[16];
    for (size_t i = 0; i < 16; i++) {
        ox_vf e[2] = {ox_v_zero(), ox_v_zero()};
        for (size_t k = 0; k < 2 && 2 * i + k < N; k++) {
            const ox_vf score = ox_v_load(unit->scores + (j + 2 * i + k) * HEADS);
            e[k] = power_of_two(ox_v_fma(score, w->factor, w->offset));
            w->sums[k] = ox_v_add(w->sums[k], e[k]);
        }
        pairs[i] = _mm512_castsi512_ps(pair_weights(e[0], e[1]));
    }
    ox_v_transpose(pairs);
    for (size_t h = 0; h < HEADS; h++) {
        _mm512_storeu_ps((void *)(unit->weights + h * weights_bytes + j * 2), pairs[h]);
    }
}

/* Sums on their way: 32 dimensions after the other, 32 keys at a time, those that have a key in sight. */
struct summing {
    const struct unit *unit;
    size_t k; /* the dimensions in hand; dim: done */
    size_t j;
};

/* Weights x values of the next 32 keys. */
OX_INLINE void sum_step(const struct block *b, struct summing *s)
{
    const uint8_t *right = b->pairs + s->j * b->dim * 2 + s->k / 16 * OX_TILE_BYTES;
    if (s->j == 0) {
        OX_TILE_ZERO(SUM_2);
        OX_TILE_ZERO(SUM_3);
    }
    OX_TILE_LOAD(LEFT_0, s->unit->weights + s->j * 2, round_up(b->n_keys, 32) * 2);
    OX_TILE_LOAD(RIGHT_0, right, OX_TILE_ROW_BYTES);
    OX_TILE_MULTIPLY(SUM_2, LEFT_0, RIGHT_0);
    OX_TILE_LOAD(RIGHT_1, right + OX_TILE_BYTES, OX_TILE_ROW_BYTES);
    OX_TILE_MULTIPLY(SUM_3, LEFT_0, RIGHT_1);
    s->j += 32;
    if (s->j >= s->unit->n_seen) {
        OX_TILE_STORE(SUM_2, b->sums + s->k, b->dim * sizeof(float));
        OX_TILE_STORE(SUM_3, b->sums + s->k + 16, b->dim * sizeof(float));
        s->j = 0;
        s->k += 32;
    }
}

OX_INLINE void sum_steps(const struct block *b, struct summing *s, size_t n)
{
    for (size_t i = 0; i < n && s->k < b->dim; i++) {
        sum_step(b, s);
    }
}

/* The unit's scores to weights exp(score - max), zeros up to a step; max and sum of each head. On the way the next
 * unit's scores, if there is one, and sums of the one before. */
OX_INLINE void weigh(const struct block *b, struct unit *unit, const struct unit *next, struct summing *before)
{
    float max[HEADS];
    float sum[HEADS];
    const size_t n_steps = steps_of(unit->n_seen);
    const size_t n_sums = before->unit != NULL ? steps_of(before->unit->n_seen) * (b->dim / STEP_COLS) : 0;
    const size_t n_each = (n_sums + n_steps - 1) / n_steps;
    ox_vf largest = ox_v_set(-INFINITY);
    for (size_t i = 0; i < unit->n_seen; i++) {
        largest = ox_v_max(ox_v_load(unit->scores + i * HEADS), largest);
    }
    struct weighing w = {.factor = ox_v_set(b->scale * 1.44269504088896341F), .sums = {ox_v_zero(), ox_v_zero()}};
    w.offset = ox_v_sub(ox_v_zero(), ox_v_mul(largest, w.factor));
    size_t j = 0;
    for (; j + 32 <= unit->n_seen; j += 32) {
        score_step(b, next, j);
        sum_steps(b, before, n_each);
        weigh_step(b, unit, 32, j, &w);
    }
    if (j < unit->n_seen) {
        score_step(b, next, j);
        sum_steps(b, before, n_each);
        weigh_step(b, unit, unit->n_seen - j, j, &w);
        j += 32;
    }
    for (; next != NULL && j < next->n_seen; j += 32) {
        score_step(b, next, j);
    }
    ox_v_store(max, ox_v_mul(largest, ox_v_set(b->scale)));
    ox_v_store(sum, ox_v_add(w.sums[0], w.sums[1]));
    for (size_t h = 0; h < HEADS; h++) {
        unit->part[h] = (struct ox_softmax){max[h], sum[h]};
    }
}

/* The unit's sums, as far as they are not made yet, join what its heads have gathered. */
OX_INLINE void join_unit(const struct block *b, struct summing *s, const struct ox_gathered *gathered)
{
    const struct unit *unit = s->unit;
    const struct ox_gathered *to = &gathered[unit->t];
    sum_steps(b, s, SIZE_MAX);
    OX_LEVEL(ox_attend_merge)
    (to->soft + unit->head, to->sum + unit->head * b->dim, unit->part, b->sums, unit->n_heads, b->dim);
}

/* Unit number i of the call: token by token, 16 heads at a time. */
OX_INLINE struct unit make_unit(const struct block *b, const uint8_t *const *q, const size_t *n_seen, size_t n_heads,
                                size_t i)
{
    const size_t n_groups = (n_heads + HEADS - 1) / HEADS;
    const size_t t = i / n_groups;
    const size_t head = i % n_groups * HEADS;
    const size_t n = group_tokens(n_heads, head);
    return (struct unit){.t = t,
                         .head = head,
                         .n_heads = n,
                         .n_seen = n_seen[t],
                         .q = full_queries(b, q[t] + head * operand_bytes(b->dim), n, b->queries[i % 2]),
                         .scores = b->scores[i % 2],
                         .weights = b->weights[i % 2]};
}

OX_INLINE void attend_units(const struct block *b, const uint8_t *const *q, const struct ox_gathered *gathered,
                            const size_t *n_seen, size_t n_tokens, size_t n_heads)
{
    const size_t n_units = n_tokens * ((n_heads + HEADS - 1) / HEADS);
    struct unit units[3]; /* the one before, the one in hand, the next */
    struct summing before = {NULL, b->dim, 0};
    units[0] = make_unit(b, q, n_seen, n_heads, 0);
    size_t j = 0;
    for (; j + 48 < units[0].n_seen; j += 64) {
        score_tiles(b, &units[0], 4, j);
    }
    for (; j < units[0].n_seen; j += 32) {
        score_step(b, &units[0], j);
    }
    for (size_t i = 0; i < n_units; i++) {
        struct unit *next = i + 1 < n_units ? &units[(i + 1) % 3] : NULL;
        if (next != NULL) {
            *next = make_unit(b, q, n_seen, n_heads, i + 1);
        }
        weigh(b, &units[i % 3], next, &before);
        if (before.unit != NULL) {
            join_unit(b, &before, gathered);
        }
        before = (struct summing){&units[i % 3], 0, 0};
    }
    join_unit(b, &before, gathered);
}

void OX_LEVEL(ox_attend_bf16)(OX_ATTEND_PARAMETERS)
{
    if (dim % STEP_COLS != 0) {
        attend_rows(OX_LEVEL_NAME(ox_attend_bf16, avx512), q, gathered, n_seen, n_tokens, n_heads, keys, values, n_keys,
                    dim, scale, room);
        return;
    }
    uint8_t *scratch = room;
    size_t at[N_PARTS + 1];
    lay_out(n_keys, dim, at);
    struct block b = {.keys = keys,
                      .values = values,
                      .n_keys = n_keys,
                      .dim = dim,
                      .scale = scale,
                      .pairs = scratch + at[PAIRS],
                      .tail = scratch + at[TAIL],
                      .queries = {scratch + at[QUERIES], scratch + (at[QUERIES] + at[SCORES]) / 2},
                      .scores = {(float *)(void *)(scratch + at[SCORES]),
                                 (float *)(void *)(scratch + (at[SCORES] + at[WEIGHTS]) / 2)},
                      .weights = {scratch + at[WEIGHTS], scratch + (at[WEIGHTS] + at[SUMS]) / 2},
                      .sums = (float *)(void *)(scratch + at[SUMS])};
    for (size_t t = 0; t < n_tokens; t++) {
        b.n_used = n_seen[t] > b.n_used ? n_seen[t] : b.n_used;
    }
    pair_values(&b);
    fill_tail(&b);
    configure();
    if (n_heads > 0) {
        attend_units(&b, q, gathered, n_seen, n_tokens, n_heads);
    }
    ox_tile_release();
}
