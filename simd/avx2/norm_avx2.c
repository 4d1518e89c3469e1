/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps between matrix products at level avx2: simd/wide/norm_wide.inc in this level's vectors.
 */
#include "simd/avx2/vector_avx2.h"
#include "simd/wide/norm_wide.inc"
