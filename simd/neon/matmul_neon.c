/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products at level neon: simd/wide/matmul_wide.inc in this level's vectors.
 */
#include "simd/neon/vector_neon.h"
#include "simd/wide/matmul_wide.inc"
