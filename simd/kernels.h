/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel table: one pointer a kernel, filled with the C level first and overwritten upward by each CPU level up to
 * the one asked for. Kernels take plain pointers and sizes; they allocate nothing, start no threads, touch no files,
 * and may be called from any thread.
 *
 * Order of summation is a property of the shape and the level: what a kernel computes for one row of weights and one
 * token does not depend on how many of either it is given, nor on where the buffers lie.
 */
#ifndef OX_SIMD_KERNELS_H
#define OX_SIMD_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "simd/cpu.h"

/* Operands: activations as a level's products take them, packed once and used by every row of a matrix. Tokens stand in
 * groups of OX_GROUP_TOKENS, the last one as large as what is left: a token takes the same number of bytes in any group,
 * so that group g begins at g * OX_GROUP_TOKENS * bytes of a token. What is inside a group is the level's own affair.
 *
 * Two kinds: `pack` may round to BF16 where the level's matrix unit wants it (levels avx512bf16, amx, neonbf16),
 * `pack_exact` keeps every bit of F32. Where nothing is rounded both are rows of F32, one after the other.
 *
 * operand_bytes, exact_bytes: of one token of n_cols columns; a multiple of 4. Where more columns take as many bytes, an
 * operand of n_cols is also one of these, with zeros in them.
 * pack, pack_exact: columns [begin, end) of a group of n <= OX_GROUP_TOKENS tokens into the group at `out`. rows[i]:
 * these columns of token i. begin is a multiple of OX_PACK_COLS, end too unless it is n_cols; a group is whole when
 * calls have covered [0, n_cols), in any order and from any thread. */
#define OX_GROUP_TOKENS 16
#define OX_PACK_COLS 32
#define OX_PACK_PARAMETERS                                                                                             \
    const float *const *rows, size_t n, size_t begin, size_t end, size_t n_cols, uint8_t *OX_RESTRICT out

/* product_*, exact_*: W has n_rows rows of n_cols values in the kernel's format, the first at `values`, row_bytes apart,
 * at any alignment; MXFP8 has scales [n_rows, n_cols / 32], scale_row_bytes apart (else NULL, 0), and n_cols a multiple
 * of 32. x: the operand of n_tokens tokens, of the kind that the name says (product_*: pack). y: [n_tokens, n_rows] f32,
 * rows y_stride elements apart, overwritten; must not alias. n_rows, n_cols or n_tokens 0 is legal (a sum of no terms is
 * 0). NaN always surfaces; an infinite sum may come out as NaN at the levels that round, but not of product_bf16 and
 * product_mxfp8. */
#define OX_PRODUCT_PARAMETERS                                                                                          \
    const uint8_t *OX_RESTRICT values, size_t row_bytes, const uint8_t *OX_RESTRICT scales, size_t scale_row_bytes,    \
        size_t n_rows, size_t n_cols, const uint8_t *OX_RESTRICT x, size_t n_tokens, float *OX_RESTRICT y,             \
        size_t y_stride

/* expand_*: n values of one row (values, scales as above) to out [n] f32; exact. */
#define OX_EXPAND_PARAMETERS                                                                                           \
    const uint8_t *OX_RESTRICT values, const uint8_t *OX_RESTRICT scales, size_t n, float *OX_RESTRICT out

/* index_max_*: for each of n_q queries the largest dot product with the n_keys > 0 keys (keys: [n_keys, dim], contiguous,
 * f32 or bf16) to best[i * best_stride]. q: the exact operand of n_all queries of dim columns, of which these are
 * [first, first + n_q). No scale. Source: text-model.md 5.3. */
#define OX_INDEX_MAX_PARAMETERS                                                                                        \
    const uint8_t *OX_RESTRICT q, size_t n_all, size_t first, size_t n_q, const void *OX_RESTRICT keys, size_t n_keys, \
        size_t dim, float *OX_RESTRICT best, size_t best_stride

/* The state of a running softmax over part of the keys: the largest score so far and the sum of exp(score - max).
 * {-inf, 0} before the first. */
struct ox_softmax {
    float max;
    float sum;
};

/* What the queries of one token have gathered so far: soft [n_heads], sum [n_heads, dim] f32 of
 * exp(score - max) * value. */
struct ox_gathered {
    struct ox_softmax *soft;
    float *sum;
};

/* attend_*: attention of n_tokens > 0 tokens, n_heads queries each, over the keys of one block, which joins what
 * they have gathered. q[i]: token i's queries, an operand (pack) of n_heads rows of dim columns; it sees the first
 * n_seen[i] keys, 0 < n_seen[i] <= n_keys. keys and values: [n_keys, dim], contiguous, f32 or bf16. Scores are
 * q . key * scale, scale > 0. What a token gets does not depend on the others, nor on keys that it does not see, as long as their
 * values are finite. room: attend_room(n_heads, n_keys, dim) bytes of scratch, aligned to 64.
 * Source: text-model.md 5.1, 5.2. */
#define OX_ATTEND_PARAMETERS                                                                                           \
    const uint8_t *const *q, const struct ox_gathered *gathered, const size_t *n_seen, size_t n_tokens,                \
        size_t n_heads, const void *OX_RESTRICT keys, const void *OX_RESTRICT values, size_t n_keys, size_t dim,       \
        float scale, void *OX_RESTRICT room

#define OX_CHUNK 64

/* The remaining kernels:
 *
 * store_f32, store_bf16: n values to the cache's format (bf16: nearest, ties to even).
 * rms_norm: y[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]; y may be x. weight has the 1 added already.
 *   Source: text-model.md 4.
 * layer_norm: y[i] = (x[i] - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * weight[i] + bias[i]; y may be x. n > 0.
 *   Source: vision.md 6.
 * rope: rotates the pairs (x[i], x[half + i]), i < half, by the angles whose cosines and sines are given.
 *   Source: text-model.md 5.1 ("NeoX" layout).
 * swiglu: y[i] = g * sigmoid(alpha * g) * (u + 1), g = min(gate[i], limit), u = clamp(up[i], -limit, limit); y may be
 *   gate or up. Source: text-model.md 6.
 * gelu: x = x * (1 + erf(x / sqrt 2)) / 2, not its approximation by tanh; -inf becomes 0, its limit. Source: vision.md 6.
 * attend_merge: puts later parts into running softmaxes, n of them: (into[i], sum [n, dim]) and (part[i], part_sum
 *   [n, dim]). An empty state, {-inf, 0} with a sum of zeros, becomes the part (zeros may lose a sign). dim > 0.
 * add: y += x. add_scaled: y += factor * x. scale: x *= factor. sigmoid: x = 1 / (1 + exp(-x)).
 * argmax: index of the largest value, the lowest on a tie; NaN never wins; 0 if there is nothing better. n > 0.
 * chunk_max: out[i] = the largest of the OX_CHUNK values from x[i * OX_CHUNK] on (the last chunk may be shorter); NaN
 *   counts as -inf.
 * weigh: weights[i] = exp((x[i] - largest) * factor), 1 where x[i] is largest (which may be infinite), 0 where x[i] is
 *   -inf or NaN; sums[c] = the sum of chunk c's weights. x[i] <= largest, 0 < factor.
 * read_sum: read each of n bytes once, as fast as the level can, p at any alignment; returns the sum modulo 2^64 of the
 *   64-bit words (in the machine's byte order) that they make, the last n % 8 bytes filled up with zeros behind them.
 * peak_flops: n_rounds rounds of independent multiply-adds of the kind that the level's matrix products are made of, in
 *   registers only; returns how many floating-point operations that were (a multiply-add is 2), the same number for each
 *   round. *out gets a finite sum of the results, so that nothing can be left out.
 */
struct ox_kernels {
    enum ox_cpu_level level;
#define OX_KERNEL(name, type, parameters, class) type(*name) parameters;
#include "simd/kernels.def"
#undef OX_KERNEL
};

/* Fill the table for `level`, which this machine must have (ox_cpu_has_level). */
void ox_kernels_init(struct ox_kernels *kernels, enum ox_cpu_level level);

/* The C level: the definition of right. */
#define OX_KERNEL(name, type, parameters, class) type ox_##name##_c parameters;
#include "simd/kernels.def"
#undef OX_KERNEL

/* The levels above: avx2, avx512 and neon have what simd/wide/wide.def lists, avx512bf16 and neonbf16 what
 * simd/rounded.def lists, amx what simd/amx/amx.def lists. */
#if defined(__x86_64__)
#define OX_KERNEL(name, type, parameters, class)                                                                       \
    type OX_LEVEL_NAME(ox_##name, avx2) parameters;                                                                    \
    type OX_LEVEL_NAME(ox_##name, avx512) parameters;                                                                  \
    type OX_LEVEL_NAME(ox_##name, avx512bf16) parameters;                                                              \
    type OX_LEVEL_NAME(ox_##name, amx) parameters;
#include "simd/kernels.def"
#undef OX_KERNEL
#elif defined(__aarch64__)
#define OX_KERNEL(name, type, parameters, class)                                                                       \
    type OX_LEVEL_NAME(ox_##name, neon) parameters;                                                                    \
    type OX_LEVEL_NAME(ox_##name, neonbf16) parameters;
#include "simd/kernels.def"
#undef OX_KERNEL
#endif

#endif
