/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps between matrix products at level avx512: simd/wide/norm_wide.inc in this level's vectors.
 */
#include "simd/avx512/vector_avx512.h"
#include "simd/wide/norm_wide.inc"
