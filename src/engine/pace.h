/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of a prompt may be computed in a pass, so that running answers do not pause too long: learned from how long
 * passes took. Pure arithmetic; the caller has the clock.
 *
 * A piece of n rows is taken to cost seconds[size of n] for each of its rows, more where rows lie deep in their context
 * (`weight`, 1 at the beginning). Time per row falls as pieces grow, because weights are read once a pass; so a size
 * that was never measured is predicted by the next smaller one, and pieces grow at most twofold at a time.
 */
#ifndef OX_ENGINE_PACE_H
#define OX_ENGINE_PACE_H

#include <stddef.h>

/* Sizes are powers of two up to 2^(OX_PACE_SIZES - 1) rows. */
#define OX_PACE_SIZES 16

struct ox_pace {
    double most_s;               /* a pass should end by then */
    double alone_s;              /* a pass without a piece takes that; 0: not known */
    double row_s[OX_PACE_SIZES]; /* of a row of weight 1 in pieces of 2^i rows and more; 0: not known */
};

/* max_stall_s > 0. */
void ox_pace_init(struct ox_pace *pace, double max_stall_s);

/* Rows of weight `weight` (>= 1) to compute beside running answers, 1 to most (most > 0). */
size_t ox_pace_rows(const struct ox_pace *pace, double weight, size_t most);

/* Seconds that anything else may take beside running answers; 0 if they alone take all. */
double ox_pace_room(const struct ox_pace *pace);

/* A pass took so long: with n_rows of a prompt (0: none), of this weight on average; beside: running answers were in
 * it. Longer times count at once, shorter ones slowly. */
void ox_pace_learn(struct ox_pace *pace, size_t n_rows, double weight, int beside, double seconds);

#endif
