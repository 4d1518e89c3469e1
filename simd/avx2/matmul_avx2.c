/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products at level avx2: simd/wide/matmul_wide.inc in this level's vectors.
 */
#include "simd/avx2/vector_avx2.h"
#include "simd/wide/matmul_wide.inc"
