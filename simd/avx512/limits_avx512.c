/* SPDX-License-Identifier: Apache-2.0
 *
 * The multiply-add limit at level avx512: simd/wide/limits_wide.inc in this level's vectors.
 */
#include "simd/avx512/vector_avx512.h"
#include "simd/wide/limits_wide.inc"
