/* SPDX-License-Identifier: Apache-2.0
 *
 * The multiply-add limit at level avx2: simd/wide/limits_wide.inc in this level's vectors.
 */
#include "simd/avx2/vector_avx2.h"
#include "simd/wide/limits_wide.inc"
