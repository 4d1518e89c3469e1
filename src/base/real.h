/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubles as text that JSON and Python read.
 */
#ifndef OX_BASE_REAL_H
#define OX_BASE_REAL_H

#include "base/buf.h"

/* Append x as Python's repr(float) spells it: the shortest digits that read back as x, with a point or an exponent
 * ("1.0", "1e+20", "1e-07", "-0.0"), whatever the locale. x must be finite. */
void ox_real_add(struct ox_buf *buf, double x);

#endif
