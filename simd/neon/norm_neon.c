/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps between matrix products at level neon: simd/wide/norm_wide.inc in this level's vectors.
 */
#include "simd/neon/vector_neon.h"
#include "simd/wide/norm_wide.inc"
