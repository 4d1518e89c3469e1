/* SPDX-License-Identifier: Apache-2.0
 *
 * Names for the compiler's attributes. Every other file uses these names, so that only this file knows compilers.
 */
#ifndef OX_BASE_COMPILER_H
#define OX_BASE_COMPILER_H

#include <assert.h>

#define OX_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define OX_MUST_USE __attribute__((warn_unused_result))
#define OX_RESTRICT __restrict__
#define OX_UNUSED __attribute__((unused))
#define OX_ALIGN 64

/* A kernel's name at a CPU level. The tests build the levels a second time, emulated, under names of their own. */
#if defined(OX_EMULATED)
#define OX_LEVEL_NAME(name, level) name##_##level##_emulated
#else
#define OX_LEVEL_NAME(name, level) name##_##level
#endif

/* Before a loop of a few iterations known to the compiler: unroll it, so that arrays of vectors become registers. Not
 * under sanitizers and emulation, which make the unrolled code huge. */
#if defined(OX_SANITIZED) || defined(OX_EMULATED)
#define OX_UNROLL
#else
#define OX_UNROLL _Pragma("GCC unroll 32")
#endif

/* A programming error ends the program; never for input. Kept in release builds, so only for cheap conditions. */
#define OX_CHECK(condition)                                                                                            \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            __builtin_trap();                                                                                          \
        }                                                                                                              \
    } while (0)

#endif
