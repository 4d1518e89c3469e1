/* SPDX-License-Identifier: Apache-2.0
 *
 * The expressions of try_avx512bf16.def.
 */
#include <immintrin.h>
#include <string.h>

#include "base/compiler.h"
#include "tests/simd/try.h"

void OX_LEVEL_NAME(ox_try, avx512bf16)(const struct try_input *in, struct try_output *out)
{
    const __m512 a = _mm512_loadu_ps(in->a);
    const __m512 b = _mm512_loadu_ps(in->b);
    const __m512 c = _mm512_loadu_ps(in->c);
    const __m256 a8 = _mm256_loadu_ps(in->a);
    const __m256 b8 = _mm256_loadu_ps(in->b);
    const __m512i i = _mm512_loadu_si512(in->i);
    const __m512i j = _mm512_loadu_si512(in->j);
    const __m256i i8 = _mm256_loadu_si256((const void *)in->i);
    const __m256i j8 = _mm256_loadu_si256((const void *)in->j);
    const __m128i i4 = _mm_loadu_si128((const void *)in->i);
    size_t n = 0;
    memset(out, 0, sizeof *out);
#define OX_TRY(expression)                                                                                             \
    {                                                                                                                  \
        const __typeof__(expression) r = expression;                                                                   \
        memcpy(out->value[n++], &r, sizeof r);                                                                         \
    }
#include "tests/simd/try_avx512bf16.def"
#undef OX_TRY
}
