/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over a block and index scores at level neon: simd/wide/attend_wide.inc in this level's vectors.
 */
#include "simd/neon/vector_neon.h"
#include "simd/wide/attend_wide.inc"
