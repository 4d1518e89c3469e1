/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products at level avx512: simd/wide/matmul_wide.inc in this level's vectors.
 */
#include "simd/avx512/vector_avx512.h"
#include "simd/wide/matmul_wide.inc"
