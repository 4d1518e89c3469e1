/* SPDX-License-Identifier: Apache-2.0
 *
 * Operands at the C level, and at every level whose products take F32: the rows themselves, one after the other. Both
 * kinds are the same, since nothing is rounded.
 */
#include <string.h>

#include "simd/kernels.h"

size_t ox_operand_bytes_c(size_t n_cols)
{
    return n_cols * sizeof(float);
}

void ox_pack_c(OX_PACK_PARAMETERS)
{
    for (size_t i = 0; i < n && begin < end; i++) {
        memcpy(out + (i * n_cols + begin) * sizeof(float), rows[i], (end - begin) * sizeof(float));
    }
}

size_t ox_exact_bytes_c(size_t n_cols)
{
    return ox_operand_bytes_c(n_cols);
}

void ox_pack_exact_c(OX_PACK_PARAMETERS)
{
    ox_pack_c(rows, n, begin, end, n_cols, out);
}
