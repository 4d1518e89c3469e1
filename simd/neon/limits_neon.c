/* SPDX-License-Identifier: Apache-2.0
 *
 * The multiply-add limit at level neon: simd/wide/limits_wide.inc in this level's vectors.
 */
#include "simd/neon/vector_neon.h"
#include "simd/wide/limits_wide.inc"
