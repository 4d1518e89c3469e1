/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over a block and index scores at level avx512: simd/wide/attend_wide.inc in this level's vectors.
 */
#include "simd/avx512/vector_avx512.h"
#include "simd/wide/attend_wide.inc"
