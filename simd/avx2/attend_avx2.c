/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over a block and index scores at level avx2: simd/wide/attend_wide.inc in this level's vectors.
 */
#include "simd/avx2/vector_avx2.h"
#include "simd/wide/attend_wide.inc"
