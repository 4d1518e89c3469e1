/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of times per row, and the largest piece that it allows.
 */
#include "engine/pace.h"

#include <string.h>

/* Part of the limit that is planned for: the rest is for what cannot be foreseen. */
#define PLANNED 0.75
/* Size of a piece when nothing was measured: 2^FIRST_SIZE rows. */
#define FIRST_SIZE 2
/* How much of a shorter time is believed at once. */
#define EASE 0.1

void ox_pace_init(struct ox_pace *pace, double max_stall_s)
{
    memset(pace, 0, sizeof *pace);
    pace->most_s = PLANNED * max_stall_s;
}

static size_t size_of(size_t n_rows)
{
    size_t size = 0;
    while (size + 1 < OX_PACE_SIZES && n_rows >= (size_t)2 << size) {
        size++;
    }
    return size;
}

/* Seconds per row in pieces of a size: its own, or the next smaller one's that is known; 0 if none is. */
static double row_seconds(const struct ox_pace *pace, size_t size)
{
    for (size_t i = size + 1; i > 0; i--) {
        if (pace->row_s[i - 1] > 0.0) {
            return pace->row_s[i - 1];
        }
    }
    return 0.0;
}

size_t ox_pace_rows(const struct ox_pace *pace, double weight, size_t most)
{
    const double room = pace->most_s - pace->alone_s;
    size_t rows = 1;
    for (size_t size = 0; size < OX_PACE_SIZES; size++) {
        const double each = row_seconds(pace, size) * weight;
        const size_t first = (size_t)1 << size;
        if (first > most || (double)first * each > room) {
            break;
        }
        const double fit = each > 0.0 ? room / each : (double)first;
        const size_t last = 2 * first - 1;
        rows = fit < (double)last ? (size_t)fit : last;
        if (each <= 0.0 && size < FIRST_SIZE) {
            continue;
        }
        if (pace->row_s[size] <= 0.0) {
            break;
        }
    }
    return rows < most ? rows : most;
}

double ox_pace_room(const struct ox_pace *pace)
{
    return pace->most_s > pace->alone_s ? pace->most_s - pace->alone_s : 0.0;
}

static void believe(double *known, double seconds)
{
    *known = *known > seconds ? *known + EASE * (seconds - *known) : seconds;
}

void ox_pace_learn(struct ox_pace *pace, size_t n_rows, double weight, int beside, double seconds)
{
    if (n_rows == 0) {
        believe(&pace->alone_s, seconds);
        return;
    }
    /* with running answers a piece costs what it adds; that they alone take longer than this pass is not true */
    if (beside && seconds < pace->alone_s) {
        pace->alone_s = seconds;
    }
    const double added = beside && seconds > pace->alone_s ? seconds - pace->alone_s : seconds;
    const size_t size = size_of(n_rows);
    believe(&pace->row_s[size], added / ((double)n_rows * weight));
    /* a row of a larger piece costs no more: one slow pass must not put a size out of use */
    for (size_t i = size + 1; i < OX_PACE_SIZES; i++) {
        if (pace->row_s[i] > pace->row_s[size]) {
            pace->row_s[i] = pace->row_s[size];
        }
    }
}
